/* SPDX-License-Identifier: BSD-2-Clause */
/* Parses numbers in the one form that all options and files use: decimal or 0x. */
#include "base/number.h"

#include <string.h>

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 16;
}

const char *bk__base_number_take(const char *text, uint64_t *value)
{
	const bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const unsigned base = hex ? 16 : 10;
	const char *first = hex ? text + 2 : text, *at = first;

	for (*value = 0; digit(*at) < (int)base; at++)
		if (__builtin_mul_overflow(*value, (uint64_t)base, value) ||
		    __builtin_add_overflow(*value, (uint64_t)digit(*at), value))
			return NULL;
	if (at == first || (!hex && *first == '0' && at > first + 1))
		return NULL;
	return at;
}

bool bk__base_number(const char *text, uint64_t *value)
{
	const char *end = bk__base_number_take(text, value);

	return end && !*end;
}

bool bk__base_size(const char *text, uint64_t *bytes)
{
	static const char units[] = "KMGT";
	const char *end = bk__base_number_take(text, bytes), *unit;
	unsigned shift;

	if (!end || !*end)
		return end;
	unit = strchr(units, *end & ~0x20);
	if (!unit || !*unit || end[1])
		return false;
	shift = 10 * (unsigned)(unit - units + 1);
	if (*bytes > UINT64_MAX >> shift)
		return false;
	*bytes <<= shift;
	return true;
}
