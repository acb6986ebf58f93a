/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as a firmware trace: parsed, unpacked, replayed; an error has one line. */
#include <stdlib.h>
#include <string.h>

#include "firmware/replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void told(void *opaque, const struct bk__firmware_difference *difference)
{
	if (!*difference->why || strchr(difference->why, '\n'))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct bk__firmware_replay_ops ops = { .difference = told };
	struct bk__firmware_replay_counts counts;
	struct bk_error err = { "" };
	struct bk__firmware_trace trace;
	int error;

	error = bk__firmware_trace_parse("t", data, size, &trace, &err);
	if (!error)
		error = bk__firmware_replay("t", &trace, &ops, NULL, &counts, &err);
	if (error && (strncmp(err.text, "t:", 2) || strchr(err.text, '\n')))
		abort();
	bk__firmware_trace_free(&trace);
	return 0;
}
