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

static void difference(void *opaque, const struct bk__difference *difference)
{
	fail_msg("line %u: %s: %s", difference->access ? difference->access->line : 0,
		 difference->path ? difference->path : "nobody", difference->why);
}

/* `bytes`: how many bytes of reads have to be compared at least. */
static void play(const char *name, unsigned bytes, unsigned events)
{
	static const struct bk__replay_ops ops = { .difference = difference };
	struct bk__replay_counts counts;
	struct bk__trace trace;
	struct bk_error err;
	char path[512];

	snprintf(path, sizeof(path), "%s/%s.trace.xz", TRACES, name);
	if (bk__trace_load(path, &trace, &err) || bk__replay(path, &trace, &ops, NULL, &counts, &err))
		fail_msg("%s", err.text);
	assert_int_equal(counts.differences, 0);
	assert_true(counts.bytes >= bytes);
	assert_int_equal(counts.events, events);
	bk__trace_free(&trace);
}

static void uboot_arm64(void **state)
{
	play("uboot-arm64", 165, 6);
}

static void seabios_and_linux_q35(void **state)
{
	play("seabios-linux-q35", 19940, 300);
}

static void ovmf_q35(void **state)
{
	play("ovmf-q35", 18618, 126);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(uboot_arm64),
		cmocka_unit_test(seabios_and_linux_q35),
		cmocka_unit_test(ovmf_q35),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
