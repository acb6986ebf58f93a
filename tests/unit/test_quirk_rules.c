/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules and expressions of quirks: what they mean, and that several vCPUs may meet them. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "quirk_kit.h"

static char logged[1024];
static unsigned lines;

static void keep(void *opaque, enum bk_log_level level, const char *line)
{
	strncpy(logged, line, sizeof(logged) - 1);
	lines++;
}

/* Each expression, read as a register of 8 bytes. */
static void operators(void **state)
{
	static const struct {
		const char *text;
		uint64_t value;
	} cases[] = {
		{ "0 + 1 + 2 * 3", 7 },
		{ "(1 + 2) * 3", 9 },
		{ "10 - 2 - 3", 5 },
		{ "-1 + 0", UINT64_MAX },
		{ "~0xff & 0x1234", 0x1200 },
		{ "0x12 | 0x21 ^ 0x01 & 0x0f", 0x32 },
		{ "1 << 4 + 1", 32 },
		{ "1 << 64", 0 },
		{ "0xff >> 4 >> 1", 7 },
		{ "~0 >> 64", 0 },
		{ "0x10 & 0x30 == 0x10", 1 }, /* not as in C */
		{ "1 | 2 != 3", 0 },
		{ "1 < 2 && 2 <= 2 && 3 > 2 && 2 >= 3", 0 },
		{ "0 || 5 > 4", 1 },
		{ "!5 + 0", 0 },
		{ "!0 + 1", 2 },
		{ "1 || 0 && 0", 1 },
		{ "5 - 6 > 100", 1 },                /* unsigned */
		{ "0 && bar0.4(0x100000) || 3", 1 }, /* which would fail */
		{ "1 || bar0.4(0x100000)", 1 },
		{ "size(0) + size(6)", 0x10000 },
		{ "size(100) + 0", 0 },
		{ "config.2(0) + 0", 0x1234 },
		{ "host.1(1) + 0", 0x12 },
		{ "cap(msi) + ecap(sriov) + cap(0x09)", 0 },
		{ "at + 0", 0 },
		{ "value + 0", 0 },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[512];

		setup(state);
		snprintf(text, sizeof(text), HEAD "traps:\n  - {at: bar0+0/8, read: '%s'}\n", cases[i].text);
		apply(*state, text);
		if (rd(*state, 0, 0, 8) != cases[i].value)
			fail_msg("%s: 0x%llx", cases[i].text, (unsigned long long)rd(*state, 0, 0, 8));
		teardown(state);
	}
}

static void constant_mask_read_only_drop(void **state)
{
	struct fixture *f = *state;

	apply(f, HEAD "traps:\n"
		      "  - {at: bar0+0/4, read: 0x12345678, write: drop}\n"
		      "  - {at: bar0+0x10/4, read: device & ~0xff | 0x42}\n"
		      "  - {at: bar0+0x20/4, write: drop}\n"
		      "  - {at: bar0+0x30/0x10, read: 0xa1b2c3d4}\n"
		      "  - {at: bar0+0x40/0x10, read: 0x1122334455667788}\n");
	assert_int_equal(rd(f, 0, 0, 4), 0x12345678);
	assert_int_equal(rd(f, 0, 2, 1), 0x34);
	assert_int_equal(rd(f, 0, 1, 2), 0x3456);
	wr(f, 0, 0, 4, 1);
	assert_int_equal(f->fake.accesses, 0);
	assert_int_equal(rd(f, 0, 0x10, 4), (fake_pattern(0x10, 4) & 0xffffff00) | 0x42);
	wr(f, 0, 0x10, 4, 0x55667788);
	assert_int_equal(f->fake.access[1].value, 0x55667788);
	assert_int_equal(rd(f, 0, 0x20, 4), fake_pattern(0x20, 4));
	f->fake.accesses = 0;
	wr(f, 0, 0x22, 2, 0);
	assert_int_equal(f->fake.accesses, 0);
	assert_int_equal(rd(f, 0, 0x38, 4), 0xa1b2c3d4);
	assert_int_equal(rd(f, 0, 0x3e, 2), 0xa1b2);
	assert_int_equal(rd(f, 0, 0x48, 8), 0x1122334455667788);
	assert_int_equal(rd(f, 0, 0x4c, 2), 0x3344);
}

static void registers_that_are_kept_and_cleared(void **state)
{
	struct fixture *f = *state;

	apply(f, HEAD "variables: {kept: 0x11223344, status: 0xff00}\n"
		      "traps:\n"
		      "  - {at: bar0+0/4, read: kept, write: kept}\n"
		      "  - {at: bar0+8/4, read: status, write: status(at) = status(at) & ~value}\n"
		      "  - {at: bar0+0x10/4, read: kept(at) ^ 0xff, write: kept(at) = value | 1}\n");
	assert_int_equal(rd(f, 0, 0, 4), 0x11223344);
	wr(f, 0, 1, 2, 0xaabb);
	assert_int_equal(rd(f, 0, 0, 4), 0x11aabb44);
	assert_int_equal(rd(f, 0, 3, 1), 0x11);
	wr(f, 0, 9, 1, 0x0f);
	assert_int_equal(rd(f, 0, 8, 4), 0xf000);
	wr(f, 0, 8, 4, 0x8000);
	assert_int_equal(rd(f, 0, 8, 4), 0x7000);
	assert_int_equal(rd(f, 0, 0x11, 1), 0x44);
	wr(f, 0, 0x10, 2, 0x1000);
	assert_int_equal(rd(f, 0, 0, 4), 0x11aa1001);
	assert_int_equal(f->fake.accesses, 0);
	assert_int_equal(bk_device_reset(bk_mediator_device(f->mediate)), 0);
	assert_int_equal(rd(f, 0, 0, 4), 0x11223344);
}

static void logs(void **state)
{
	struct fixture *f = *state;

	bk_log_set(keep, NULL);
	apply(f,
	      HEAD "traps:\n  - {at: bar0+0x40/4, log: true}\n  - {at: bar0+0x50/4, read: 7, log: true}\n");
	assert_int_equal(rd(f, 0, 0x40, 4), fake_pattern(0x40, 4));
	assert_non_null(strstr(logged, "fake: x: bar0+0x40: read 4 0x"));
	wr(f, 0, 0x42, 2, 0xbeef);
	assert_string_equal(logged, "fake: x: bar0+0x42: write 2 0xbeef");
	assert_int_equal(f->fake.access[1].value, 0xbeef);
	rd(f, 0, 0x50, 1);
	assert_string_equal(logged, "fake: x: bar0+0x50: read 1 0x07");
	lines = 0;
	wr(f, 0, 0x50, 4, 1);
	assert_int_equal(lines, 0);
	for (unsigned i = 0; i < 1000; i++)
		rd(f, 0, 0x40, 4);
	assert_in_range(lines, 1, 20);
}

/* The first rule that holds all of an access, and is true, answers. */
static void rules_go_by_their_order_and_take_accesses_whole(void **state)
{
	struct fixture *f = *state;

	apply(f, HEAD "variables: {n: 0}\n"
		      "traps:\n"
		      "  - {at: bar0+2/2, read: 0x2222}\n"
		      "  - {at: bar0+4/4, width: 4, read: 0x44444444}\n"
		      "  - {at: bar0+0/0x10, when: n, read: 0x99}\n"
		      "  - {at: bar0+0x20/4, write: n = value}\n"
		      "  - {at: bar0+0x1c/8, width: 8, read: 0x8888888888888888}\n");
	assert_int_equal(rd(f, 0, 2, 2), 0x2222);
	assert_int_equal(rd(f, 0, 3, 1), 0x22);
	/* In part in a rule: cut in halves. */
	assert_int_equal(rd(f, 0, 0, 4), 0x22220000 | fake_pattern(0, 2));
	assert_int_equal(rd(f, 0, 4, 4), 0x44444444);
	assert_int_equal(rd(f, 0, 4, 2), fake_pattern(4, 2));
	assert_int_equal(rd(f, 0, 0, 8), 0x4444444422220000 | fake_pattern(0, 2));
	assert_int_equal(rd(f, 0, 0x1c, 8), 0x8888888888888888);
	wr(f, 0, 0x20, 4, 1);
	assert_int_equal(rd(f, 0, 0, 4), 0x00000099);
	assert_int_equal(rd(f, 0, 2, 2), 0x2222);
	assert_int_equal(rd(f, 0, 4, 2), 0x99);
	f->fake.accesses = 0;
	wr(f, 0, 0x1e, 4, 0x00070000 | 0xabcd);
	assert_int_equal(rd(f, 0, 0x20, 1), fake_pattern(0x20, 1));
	assert_int_equal(f->fake.access[0].value, 0xabcd);
	assert_int_equal(f->fake.access[0].count, 2);
}

/* F20 F21 F28: a quirk's mirror is the ready-made one, at every width and place, over its edges too. */
static void a_mirror_at_every_width_and_alignment(void **state)
{
	struct fixture *f = *state;
	struct bk_trap_desc spec = { 0 };
	struct bk_trap *trap;

	apply(f, HEAD "traps:\n  - {at: bar0+0x103/0x105, read: config(at), write: config(at)}\n");
	assert_int_equal(bk_trap_parse("bar0+0x1103/0x105:mirror", &spec, NULL), 0);
	assert_int_equal(bk_trap_add(f->mediate, &spec, &trap, NULL), 0);
	for (unsigned i = 0; i < 0x400; i++)
		f->fake.bytes[0][0x1000 + i] = f->fake.bytes[0][i];
	for (unsigned width = 1; width <= 8; width++)
		for (uint64_t at = 0xf8; at < 0x210; at++) {
			assert_int_equal(rd(f, 0, at, width), rd(f, 0, 0x1000 + at, width));
			wr(f, 0, at, width, 0x0102030405060708 * (at + width));
			wr(f, 0, 0x1000 + at, width, 0x0102030405060708 * (at + width));
			assert_memory_equal(f->fake.bytes[0] + 0xe0, f->fake.bytes[0] + 0x10e0, 0x140);
		}
	assert_int_equal(rd(f, 0, 0x103, 4), 0x56781234);
}

static void places_that_a_rule_can_write(void **state)
{
	struct fixture *f = *state;

	apply(f, HEAD "traps:\n"
		      "  - {at: bar0+0/4, write: [bar0(0x100), host.4(0x40) = value]}\n"
		      "  - {at: bar0+0x10/4, when: 'bar3.4(0) == 1', read: 5}\n");
	wr(f, 0, 0, 4, 0x1234);
	assert_int_equal(f->fake.accesses, 1);
	assert_int_equal(f->fake.access[0].offset, 0x100);
	assert_int_equal(f->fake.access[0].value, 0x1234);
	assert_int_equal(fake_get(&f->fake, 0x40, 4), 0x1234);
	assert_int_equal(rd(f, 0, 0x10, 4), 0xffffffff); /* its condition cannot be told */
}

static void the_first_of_several_quirks_has_its_way(void **state)
{
	struct fixture *f = *state;
	static const char *const texts[] = {
		HEAD "config: [{edit: header, set: here.1(8) = 0x11}]\ntraps: [{at: bar0+0/4, read: 1}]\n",
		HEAD "config: [{edit: header, set: [here.1(8) = 0x22, here.1(0x3e) = 0x33]}]\n"
		     "traps: [{at: bar0+0/8, read: 2}, {at: bar0+0/4, write: drop}]\n",
	};
	struct bk_error err = { "" };

	if (apply_all(f, texts, 2, &err))
		fail_msg("%s", err.text);
	assert_int_equal(rd(f, 0, 0, 4), 1);
	assert_int_equal(rd(f, 0, 4, 4), 0);
	assert_int_equal(rd(f, 0, 0, 8), 2);
	assert_int_equal(rd(f, CONFIG, 8, 1), 0x11);
	assert_int_equal(rd(f, CONFIG, 0x3e, 1), 0x33);
}

static void a_rule_that_leads_to_itself_ends(void **state)
{
	struct fixture *f = *state;

	apply(f, HEAD
	      "variables: {n: 0}\ntraps:\n  - {at: config+0x50/4, read: config(0x50), write: [n = n + 1, "
	      "config(0x50)]}\n  - {at: bar0+0/4, read: n}\n");
	assert_int_equal(rd(f, CONFIG, 0x50, 4), 0xffffffff);
	wr(f, CONFIG, 0x50, 4, 1);
	assert_int_equal(rd(f, 0, 0, 4), 8);
}

/* Each reads the next many times: without a bound that is 20 to the 7th. */
static void rules_that_lead_to_many_others_end(void **state)
{
	struct fixture *f = *state;
	char text[8192];
	size_t length = (size_t)snprintf(text, sizeof(text), HEAD "traps:\n");

	for (unsigned i = 0; i < 7; i++) {
		length += (size_t)snprintf(text + length, sizeof(text) - length,
					   "  - {at: config+0x%x/4, read: 'config(0x%x)", 0x50 + 4 * i,
					   0x54 + 4 * i);
		for (unsigned j = 1; j < 20; j++)
			length += (size_t)snprintf(text + length, sizeof(text) - length, "|config(0x%x)",
						   0x54 + 4 * i);
		length += (size_t)snprintf(text + length, sizeof(text) - length, "'}\n");
	}
	apply(f, text);
	assert_int_equal(rd(f, CONFIG, 0x50, 4), 0xffffffff);
	assert_int_equal(rd(f, CONFIG, 0x68, 4), 0); /* alone it is far from the bound */
}

static void a_part_of_a_write_has_only_its_bytes(void **state)
{
	struct fixture *f = *state;

	apply(f, HEAD "variables: {low: 0, high: 0}\ntraps:\n"
		      "  - {at: bar0+0/4, when: value == 5, write: low = value}\n"
		      "  - {at: bar0+4/4, write: high = value}\n"
		      "  - {at: bar0+0/8, width: 1, write: drop}\n"
		      "  - {at: bar0+0x10/8, read: 'low | high << 32'}\n");
	wr(f, 0, 0, 8, 0x700000005);
	assert_int_equal(f->fake.accesses, 0);
	assert_int_equal(rd(f, 0, 0x10, 8), 0x700000005);
}

/* The first half fails. */
static void a_part_of_an_access_is_not_lost_with_another(void **state)
{
	struct fixture *f = *state;

	apply(f, HEAD "variables: {high: 0}\ntraps:\n"
		      "  - {at: bar0+0/4, read: bar3(0), write: bar3(0)}\n"
		      "  - {at: bar0+4/4, read: high, write: high = value}\n"
		      "  - {at: bar0+0/8, width: 1, write: drop}\n");
	wr(f, 0, 0, 8, 0x700000005);
	assert_int_equal(rd(f, 0, 4, 4), 7);
	assert_int_equal(rd(f, 0, 0, 8), 0x7ffffffff);
}

static void sum_errors(void *opaque, const struct bk_trap_stats *stats)
{
	*(uint64_t *)opaque += stats->name ? stats->errors : 0;
}

static void a_read_that_fails_in_part_is_counted(void **state)
{
	struct fixture *f = *state;
	uint64_t errors = 0;

	apply(f, HEAD "traps:\n"
		      "  - {at: bar0+0/1, read: 1}\n"
		      "  - {at: bar0+1/1, read: bar3(0)}\n"
		      "  - {at: bar0+6/2, read: bar3(0)}\n"
		      "  - {at: bar0+0/8, write: drop}\n");
	assert_int_equal(rd(f, 0, 0, 8), 0xffff000000000000 | (fake_pattern(2, 4) << 16) | 0xff01);
	bk_mediator_stats(f->mediate, sum_errors, &errors);
	assert_int_equal(errors, 1);
	assert_int_equal(rd(f, 0, 6, 2), 0xffff);
	errors = 0;
	bk_mediator_stats(f->mediate, sum_errors, &errors);
	assert_int_equal(errors, 2);
}

static void a_read_of_which_no_part_can_be_read_fails(void **state)
{
	struct fixture *f = *state;
	uint64_t errors = 0, value = 0;

	apply(f, HEAD "traps:\n"
		      "  - {at: bar0+0/4, read: bar3(0)}\n"
		      "  - {at: bar0+4/4, read: bar3(0)}\n"
		      "  - {at: bar0+0/8, write: drop}\n");
	assert_int_not_equal(bk_space_read(bk_mediator_space(f->mediate, 0), 0, 8, &value), 0);
	assert_int_equal(value, UINT64_MAX);
	bk_mediator_stats(f->mediate, sum_errors, &errors);
	assert_int_equal(errors, 1);
}

static void a_drop_in_a_read_leaves_its_number(void **state)
{
	struct fixture *f = *state;

	apply(f, HEAD "traps:\n"
		      "  - {at: bar0+0/4, read: [0x1234, drop]}\n"
		      "  - {at: bar0+4/4, read: [drop, device]}\n");
	assert_int_equal(rd(f, 0, 0, 4), 0x1234);
	assert_int_equal(rd(f, 0, 4, 4), fake_pattern(4, 4));
}

static int start(void *opaque, const struct bk_accelerated *what, void **handle)
{
	*(unsigned *)opaque += 1;
	return 0;
}

static void stop(void *opaque, void *handle)
{
}

static unsigned started_by_writes(struct fixture *f, uint64_t offset, unsigned width)
{
	static const struct bk_accelerator_ops ops = { .start = start, .stop = stop };
	unsigned started = 0;

	bk_mediator_accelerate(f->mediate, &ops, &started);
	f->fake.accesses = 0;
	for (unsigned i = 0; i < 20; i++)
		wr(f, 0, offset, width, 1);
	bk_mediator_accelerate(f->mediate, NULL, NULL);
	return started;
}

static void an_accelerated_rule_is_asked_in_its_turn(void **state)
{
	struct fixture *f = *state;
	struct bk_error err = { "" };
	static const char *const texts[] = {
		HEAD "traps:\n"
		     "  - {at: bar0+0x40/4, write: drop}\n"
		     "  - {at: bar0+0x50/2, log: true}\n"
		     "  - {at: bar0+0x60/4, read: 5}\n",
		HEAD "traps:\n"
		     "  - {at: bar0+0x40/4, write: device, accelerate: true}\n"
		     "  - {at: bar0+0x50/4, write: device, accelerate: true}\n"
		     "  - {at: bar0+0x60/4, read: 6, write: device, accelerate: true}\n"
		     "  - {at: bar0+0x60/8, write: drop}\n",
	};

	if (apply_all(f, texts, 2, &err))
		fail_msg("%s", err.text);
	assert_int_equal(started_by_writes(f, 0x40, 4), 0);
	assert_int_equal(f->fake.accesses, 0);
	assert_int_equal(started_by_writes(f, 0x50, 4), 0);
	assert_int_equal(f->fake.accesses, 20);
	/* A rule before it for reads alone is none of its business, and neither is one behind it. */
	assert_int_equal(started_by_writes(f, 0x60, 4), 1);
	assert_int_equal(f->fake.accesses, 20);
	assert_int_equal(rd(f, 0, 0x60, 4), 5);
}

static void accelerated_rules_in_one_place(void **state)
{
	struct fixture *f = *state;
	struct bk_error err = { "" };
	static const char *const texts[] = {
		HEAD "traps: [{at: bar0+0x40/4, write: device, accelerate: true}]\n",
		HEAD "traps: [{at: bar0+0x40/4, write: device, accelerate: true}, {at: bar0+0x40/2, write: "
		     "device, accelerate: true}]\n",
	};

	if (apply_all(f, texts, 2, &err))
		fail_msg("%s", err.text);
	assert_int_equal(started_by_writes(f, 0x40, 4), 1);
	assert_int_equal(f->fake.accesses, 20);
	assert_int_equal(started_by_writes(f, 0x40, 2), 1);
	assert_int_equal(f->fake.accesses, 20);
}

/* A user's trap is above the rules, and what is below it is the device. */
static void a_log_of_the_user_passes_to_the_device(void **state)
{
	struct fixture *f = *state;
	struct bk_trap_desc spec = { 0 };
	struct bk_trap *trap;

	apply(f, HEAD "traps:\n  - {at: bar0+0/8, read: 1, write: drop}\n");
	assert_int_equal(bk_trap_parse("bar0+0/4:log", &spec, NULL), 0);
	assert_int_equal(bk_trap_add(f->mediate, &spec, &trap, NULL), 0);
	assert_int_equal(rd(f, 0, 0, 4), fake_pattern(0, 4));
	assert_int_equal(rd(f, 0, 4, 4), 0);
	wr(f, 0, 0, 4, 5);
	assert_int_equal(rd(f, 0, 0, 4), 5);
	bk_trap_remove(trap);
	assert_int_equal(rd(f, 0, 0, 4), 1);
}

static void places_outside_read_all_ones_and_are_counted(void **state)
{
	struct fixture *f = *state;

	apply(f, HEAD
	      "traps:\n  - {at: bar0+0/4, read: config(0xfff)}\n  - {at: bar0+4/4, read: bar0(0x10000)}\n"
	      "  - {at: bar0+8/4, read: msix(0), write: msix(0)}\n  - {at: bar0+12/4, read: bar3(0)}\n"
	      "  - {at: bar0+16/4, read: rom(0)}\n  - {at: bar0+20/4, read: host(~0)}\n");
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(rd(f, 0, 4 * i, 4), 0xffffffff);
	wr(f, 0, 8, 4, 1);
	assert_int_equal(rd(f, 0, 0, 1), 0);
}

/* Far parts of a variable have nothing; 8 bytes are all of it. */
static void parts_of_variables_at_their_edges(void **state)
{
	struct fixture *f = *state;

	apply(f, HEAD "variables: {v: 0x1122334455667788}\ntraps:\n"
		      "  - {at: bar0+0/8, read: v, write: v}\n"
		      "  - {at: bar0+0x10/16, read: v(at), write: v(at) = value}\n"
		      "  - {at: bar0+0x20/0x20, read: v, write: v}\n"
		      "  - {at: bar0+0x40/0x20, read: 0x1122334455667788}\n"
		      "  - {at: bar0+0x60/0x20, read: 0x55667788, write: drop}\n");
	assert_int_equal(rd(f, 0, 0, 8), 0x1122334455667788);
	assert_int_equal(rd(f, 0, 4, 4), 0x11223344);
	assert_int_equal(rd(f, 0, 0x10, 8), 0x1122334455667788);
	assert_int_equal(rd(f, 0, 0x17, 1), 0x11);
	assert_int_equal(rd(f, 0, 0x18, 4), 0);
	assert_int_equal(rd(f, 0, 0x28, 8), 0); /* from its ninth byte on */
	wr(f, 0, 0x18, 4, 0xffffffff);
	wr(f, 0, 0x28, 8, ~UINT64_C(0));
	assert_int_equal(rd(f, 0, 0, 8), 0x1122334455667788);
	wr(f, 0, 0x16, 2, 0xabcd);
	assert_int_equal(rd(f, 0, 0, 8), 0xabcd334455667788);
	wr(f, 0, 0, 8, 1);
	assert_int_equal(rd(f, 0, 0, 8), 1);
	/* A number repeats: in words of 4 bytes, or of 8 if it takes them. */
	assert_int_equal(rd(f, 0, 0x48, 8), 0x1122334455667788);
	assert_int_equal(rd(f, 0, 0x44, 4), 0x11223344);
	assert_int_equal(rd(f, 0, 0x64, 4), 0x55667788);
	assert_int_equal(rd(f, 0, 0x60, 8), 0x5566778855667788);
	assert_int_equal(f->fake.accesses, 0);
}

static void sizes_of_regions_that_are_not_there_are_zero(void **state)
{
	struct fixture *f = *state;

	apply(f,
	      HEAD "traps:\n  - {at: bar0+0/4, read: size(0) + 0}\n  - {at: bar0+4/4, read: size(5) + 0}\n"
		   "  - {at: bar0+8/4, read: size(7) + 0}\n  - {at: bar0+12/4, read: size(1 << 40) + 0}\n");
	assert_int_equal(rd(f, 0, 0, 4), 0x10000);
	assert_int_equal(rd(f, 0, 4, 4), 0);
	assert_int_equal(rd(f, 0, 8, 4), 0x1000);
	assert_int_equal(rd(f, 0, 12, 4), 0);
}

/* An access that reaches past the end of its place is none, even if it starts inside. */
static void accesses_over_the_end_of_a_place(void **state)
{
	struct fixture *f = *state;

	fake_put(&f->fake, 6, 2, 0x10);
	fake_put(&f->fake, 0x34, 1, 0x40);
	fake_msix(&f->fake, 0x40, 0, 2, 0x2000, 0x3000);
	apply(f, HEAD "traps:\n  - {at: bar0+0/4, read: config(0xffe), write: config(0xffe)}\n"
		      "  - {at: bar0+4/4, read: config(0x1000), write: config(0x1000)}\n"
		      "  - {at: bar0+8/4, read: msix(0x1e), write: msix(0x1e)}\n"
		      "  - {at: bar0+12/4, read: msix(0x21), write: msix(0x21)}\n"
		      "  - {at: bar0+16/4, read: msix(0x1c), write: msix(0x1c)}\n"
		      "  - {at: bar0+20/4, read: bar0(0xfffe), write: bar0(0xfffe)}\n");
	for (unsigned i = 0; i < 6; i++) {
		uint64_t value = i == 4 ? 1 : 0xffffffff; /* the last vector's mask */

		wr(f, 0, 4 * i, 4, 1);
		assert_int_equal(rd(f, 0, 4 * i, 4), value);
	}
	assert_int_equal(f->fake.accesses, 0);
}

/* The condition of a rule, and what it does, each fail for themselves; a write that is lost is counted. */
static void what_fails_in_a_rule_is_counted_once(void **state)
{
	struct fixture *f = *state;
	uint64_t errors = 0;

	apply(f, HEAD "traps:\n  - {at: bar0+0/4, when: 'bar3.4(0) == 1', write: drop}\n"
		      "  - {at: bar0+4/4, write: [bar3(0), bar4(0), bar0(0x100)]}\n"
		      "  - {at: bar0+8/4, when: '1 || bar3.4(0)', read: 7, write: drop}\n"
		      "  - {at: bar0+12/4, when: '0 && bar3.4(0)', read: 7}\n");
	wr(f, 0, 0, 4, 1);
	wr(f, 0, 4, 4, 0x55);
	assert_int_equal(rd(f, 0, 8, 4), 7);
	rd(f, 0, 12, 4);
	bk_mediator_stats(f->mediate, sum_errors, &errors);
	assert_int_equal(errors, 2);
	assert_int_equal(f->fake.bytes[0][0x100],
			 0x55); /* one that fails is no reason for the next not to be */
}

/* Rules of one place by their order in the file, of several by their place, whatever the order. */
static void rules_of_many_regions_in_any_order(void **state)
{
	struct fixture *f = *state;

	fake_bar(&f->fake, 2, 0, 0x1000, false);
	apply(f, HEAD
	      "traps:\n  - {at: config+0x40/4, read: 1}\n  - {at: bar2+8/4, read: 2}\n"
	      "  - {at: bar0+8/4, read: 3}\n  - {at: bar2+0/4, read: 4}\n  - {at: bar0+8/8, read: 5 + 0}\n"
	      "  - {at: bar0+0/4, read: 6}\n  - {at: bar0+4/8, read: 7 + 0}\n");
	assert_int_equal(rd(f, CONFIG, 0x40, 4), 1);
	assert_int_equal(rd(f, 2, 8, 4), 2);
	assert_int_equal(rd(f, 0, 8, 4), 3);
	assert_int_equal(rd(f, 2, 0, 4), 4);
	assert_int_equal(rd(f, 0, 12, 4), 5);
	assert_int_equal(rd(f, 0, 0, 4), 6);
	assert_int_equal(rd(f, 0, 4, 4), 7);
}

static void a_place_that_cannot_be_told_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ HEAD "traps:\n  - {at: bar0+host.4(0x2000)/4, read: 1}\n",
		  "where this trap is cannot be read" },
		{ HEAD "traps:\n  - {at: bar0+0/host.4(0x2000), read: 1}\n",
		  "where this trap is cannot be read" },
		{ HEAD "traps:\n  - {at: bar0+0/0, read: 1}\n", "this trap has no length" },
		{ HEAD "traps:\n  - {at: bar0+~0/2, read: 1}\n", "or reaches past the end" },
		{ HEAD "traps:\n  - {at: bar3+0/4, read: 1}\n", "fake: x.yaml:5: x: fake shows no bar3" },
		{ HEAD "traps:\n  - {at: bar3+0/4, write: device, accelerate: true}\n", "no bar3" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct bk_error err = { "" };
		void *fixture;

		assert_int_equal(setup(&fixture), 0);
		assert_true(apply_all(fixture, &bad[i].text, 1, &err) < 0);
		if (strncmp(err.text, "fake: x.yaml:5: ", 16) || !strstr(err.text, bad[i].why))
			fail_msg("%s", err.text);
		teardown(&fixture);
	}
}

static void a_trap_outside_the_device_is_refused_with_its_line(void **state)
{
	struct fixture *f = *state;
	static const char *const bad =
		HEAD "traps:\n  - {at: bar0+0/4, read: 1}\n  - {at: bar0+0xfffe/4, read: 1}\n";
	struct bk_error err = { "" };

	assert_int_equal(apply_all(f, &bad, 1, &err), -EINVAL);
	assert_non_null(strstr(err.text, "fake: x.yaml:6: x: 0x4 bytes at 0xfffe"));
}

/* Several vCPUs at one device: a rule runs to its end before another one begins. */

enum { THREADS = 4, ROUNDS = 2000 };

static void *many_accesses(void *opaque)
{
	struct fixture *f = opaque;

	for (unsigned i = 0; i < ROUNDS; i++) {
		wr(f, 0, 0, 4, 1);
		if (rd(f, 0, 0x10, 8) >> 32 != rd(f, 0, 0x20, 4))
			__atomic_fetch_add(&f->fake.irqs[0].count, 1000, __ATOMIC_RELAXED);
		if (i % 100 == 0)
			bk_device_reset(bk_mediator_device(f->mediate));
	}
	return NULL;
}

static void one_access_at_a_time(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[THREADS];
	unsigned before = f->fake.irqs[0].count;

	apply(f, HEAD "variables: {sum: 0, copy: 0}\n"
		      "traps:\n"
		      "  - {at: bar0+0/4, write: [sum = sum + value, copy = copy + 1, config(0x3c)]}\n"
		      "  - {at: bar0+0x10/8, read: (sum - copy) << 32}\n"
		      "  - {at: bar0+0x20/4, read: sum - copy}\n"
		      "  - {at: bar0+0x30/4, read: sum}\n");
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, many_accesses, f), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(f->fake.irqs[0].count, before);
	/* After a reset it counts from 0 again, and loses none. */
	bk_device_reset(bk_mediator_device(f->mediate));
	for (unsigned i = 0; i < 10; i++)
		wr(f, 0, 0, 4, 2);
	assert_int_equal(rd(f, 0, 0x30, 4), 20);
}

static void *count_up(void *opaque)
{
	for (unsigned i = 0; i < ROUNDS; i++)
		wr(opaque, 0, 0, 4, 1);
	return NULL;
}

static void no_access_is_lost(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[THREADS];

	apply(f,
	      HEAD "variables: {sum: 0}\ntraps:\n  - {at: bar0+0/4, read: sum, write: sum = sum + value}\n");
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count_up, f), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(rd(f, 0, 0, 4), THREADS * ROUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(operators),
		WITH_DEVICE(constant_mask_read_only_drop),
		WITH_DEVICE(registers_that_are_kept_and_cleared),
		WITH_DEVICE(logs),
		WITH_DEVICE(rules_go_by_their_order_and_take_accesses_whole),
		WITH_DEVICE(a_mirror_at_every_width_and_alignment),
		WITH_DEVICE(places_that_a_rule_can_write),
		WITH_DEVICE(the_first_of_several_quirks_has_its_way),
		WITH_DEVICE(a_rule_that_leads_to_itself_ends),
		WITH_DEVICE(rules_that_lead_to_many_others_end),
		WITH_DEVICE(a_part_of_a_write_has_only_its_bytes),
		WITH_DEVICE(a_part_of_an_access_is_not_lost_with_another),
		WITH_DEVICE(a_read_that_fails_in_part_is_counted),
		WITH_DEVICE(a_read_of_which_no_part_can_be_read_fails),
		WITH_DEVICE(a_drop_in_a_read_leaves_its_number),
		WITH_DEVICE(an_accelerated_rule_is_asked_in_its_turn),
		WITH_DEVICE(accelerated_rules_in_one_place),
		WITH_DEVICE(a_log_of_the_user_passes_to_the_device),
		WITH_DEVICE(places_outside_read_all_ones_and_are_counted),
		WITH_DEVICE(parts_of_variables_at_their_edges),
		WITH_DEVICE(sizes_of_regions_that_are_not_there_are_zero),
		WITH_DEVICE(accesses_over_the_end_of_a_place),
		WITH_DEVICE(what_fails_in_a_rule_is_counted_once),
		WITH_DEVICE(rules_of_many_regions_in_any_order),
		cmocka_unit_test(a_place_that_cannot_be_told_is_refused_with_its_line),
		WITH_DEVICE(a_trap_outside_the_device_is_refused_with_its_line),
		WITH_DEVICE(one_access_at_a_time),
		WITH_DEVICE(no_access_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
