/* SPDX-License-Identifier: BSD-2-Clause */
/* Parses the comma-separated values of --device and --bridge. */
#include "cli/comma_items.h"

#include <errno.h>
#include <stdlib.h>

int cli_parse_addr(const char *value, int *slot_out, unsigned *function_out, struct bk_error *err)
{
	char *end;
	unsigned long slot = strtoul(value, &end, 16), function = 0;
	bool good = end != value && *value != '-' && *value != '+';

	if (good && *end == '.') {
		const char *digit = end + 1;

		good = *digit >= '0' && *digit <= '7' && !digit[1];
		function = good ? (unsigned long)(*digit - '0') : 0;
	} else if (*end) {
		good = false;
	}
	if (!good || slot > 0x1f)
		return bk_fail(err, EINVAL,
			       "addr=%s: give a slot and a function as SS.F, 00.0 to 1f.7 in hexadecimal",
			       value);
	*slot_out = (int)slot;
	*function_out = (unsigned)function;
	return 0;
}
