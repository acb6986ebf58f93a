/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What real firmware and kernels did to the functions of another machine (tests/traces/README.md),
 * done again here: what they read, and where each BAR was after each write, has to be the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "firmware/replay.h"

static void difference(void *opaque, const struct bk__firmware_difference *difference)
{
	fail_msg("line %u: %s: %s", difference->access ? difference->access->line : 0,
		 difference->path ? difference->path : "nobody", difference->why);
}

static const struct {
	const char *name;
	unsigned bytes, events; /* of reads that are compared, at least; of the map, exactly */
} traces[] = {
	{ "uboot-arm64", 165, 6 },
	{ "seabios-linux-q35", 19940, 300 },
	{ "ovmf-q35", 18618, 126 },
	{ "seabios-linux-nested-pc", 7339, 586 },
	{ "linux-reassign-q35", 25505, 706 },
	{ "linux-alone-q35", 23603, 362 },
	{ "ovmf-nested-pc", 19839, 106 },
	{ "ovmf-express-q35", 29602, 144 },
	{ "uefi-arm64", 15198, 119 },
	{ "uboot-express-arm64", 1401, 28 },
	{ "uboot-q35", 428, 3 },
};
enum { TRACES_COUNT = sizeof(traces) / sizeof(traces[0]) };

static void play(void **state)
{
	static const struct bk__firmware_replay_ops ops = { .difference = difference };
	size_t number = (size_t)(uintptr_t)*state;
	struct bk__firmware_replay_counts counts;
	struct bk__firmware_trace trace;
	struct bk_error err;
	char path[512];

	snprintf(path, sizeof(path), "%s/%s.trace.xz", TRACES, traces[number].name);
	if (bk__firmware_trace_load(path, &trace, &err) ||
	    bk__firmware_replay(path, &trace, &ops, NULL, &counts, &err))
		fail_msg("%s", err.text);
	assert_int_equal(counts.differences, 0);
	assert_true(counts.bytes >= traces[number].bytes);
	assert_int_equal(counts.events, traces[number].events);
	bk__firmware_trace_free(&trace);
}

int main(void)
{
	struct CMUnitTest tests[TRACES_COUNT];

	for (size_t i = 0; i < TRACES_COUNT; i++)
		tests[i] = (struct CMUnitTest){
			.name = traces[i].name,
			.test_func = play,
			.initial_state = (void *)(uintptr_t)i,
		};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
