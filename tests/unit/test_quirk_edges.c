/* SPDX-License-Identifier: BSD-2-Clause */
/* The device with its quirks, asked for what is not there; chains that lead nowhere; rules that fail. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "quirk_kit.h"

#include "quirk/was_reset.h"

/* The device in front of the device, without a mediator. */
static struct bk_device *stack(struct fixture *f, const char *text)
{
	struct bk_quirk *quirk = parse(text);
	struct bk_error err = { "" };

	if (stack_one(&f->fake.device, quirk, &f->stack, &err))
		fail_msg("%s", err.text);
	bk_quirk_destroy(quirk);
	return f->stack;
}

static void again(struct fixture *f)
{
	if (f->mediate)
		bk_mediator_destroy(f->mediate);
	else
		bk_device_close(f->stack);
	f->mediate = NULL;
	f->stack = NULL;
	fake_done(&f->fake);
	fake_init(&f->fake);
	fake_bar(&f->fake, 0, 0, 0x10000, false);
}

/* ---- The ROM and config space --------------------------------------------- */

static void a_rom_that_a_quirk_shows_is_read_inside_and_never_written(void **state)
{
	struct fixture *f = *state;
	struct bk_device_region region = { 0 };
	struct bk_device *device;
	uint8_t bytes[4] = { 0 };

	fake_bar(&f->fake, ROM, 0, 0x800, false);
	device = stack(f, HEAD "rom: {set: rom.1(0) = 0x77}\n");
	assert_int_equal(bk_device_region(device, ROM, &region), 0);
	assert_int_equal(region.size, 0x800);
	assert_int_equal(bk_device_read(device, ROM, 0, bytes, 4), 0);
	assert_int_equal(bytes[0], 0x77);
	assert_int_equal(bk_device_read(device, ROM, 0x7fe, bytes, 4), -EINVAL);
	assert_int_equal(bk_device_read(device, ROM, 0x801, bytes, 1), -EINVAL);
	assert_int_equal(bk_device_write(device, ROM, 0, bytes, 4), -EINVAL);
	assert_int_equal(f->fake.bytes[ROM][0], fake_pattern(0, 1));
	again(f);

	f->fake.regions[CONFIG].size = 0x200; /* neither 256 nor 4096: of the rest no quirk has a say */
	fake_put(&f->fake, 0x180, 1, 0x66);
	device = stack(f, HEAD "config: [{edit: header, set: here.1(0x3c) = 9}]\n");
	assert_int_equal(bk_device_read(device, CONFIG, 0x180, bytes, 1), 0);
	assert_int_equal(bytes[0], 0x66);
	again(f);

	fake_bar(&f->fake, ROM, 0, 0x800, false);
	device = stack(f, HEAD "rom: {hide: true}\n");
	assert_int_equal(bk_device_region(device, ROM, &region), 0);
	assert_int_equal(region.size, 0);
	assert_int_equal(bk_device_read(device, ROM, 0, bytes, 4), -EINVAL);
	assert_int_equal(bk_device_write(device, ROM, 0, bytes, 4), -EINVAL);
	assert_int_equal(bk_device_region(device, 99, &region), -EINVAL);
	again(f);

	fake_bar(&f->fake, ROM, 0, 0x800, false);
	device = stack(f, HEAD "traps: [{at: bar0+0/4, read: 1}]\n");
	assert_int_equal(bk_device_write(device, ROM, 0, "\x12", 1), 0);
	assert_int_equal(f->fake.bytes[ROM][0], 0x12);
	assert_int_equal(bk_device_read(device, ROM, 0, bytes, 1), 0);
	assert_int_equal(bytes[0], 0x12);
}

static void a_rom_with_a_sum_outside_it_or_none_to_read_is_left_alone(void **state)
{
	static const struct {
		const char *text;
		uint64_t size;
		bool shown;
	} cases[] = {
		{ HEAD "rom: {set: rom.1(0) = 1, checksum: 5}\n", 2, true },
		{ HEAD "rom: {set: rom.1(0) = 1, checksum: 0}\n", 2, true },
		{ HEAD "rom: {set: rom.1(0) = 1, when: 'rom.4(0x800) == 0'}\n", 0x800, true },
		{ HEAD "rom: {set: rom.1(0) = 1, when: 'rom.4(0x801) || 1'}\n", 0x800, true },
		{ HEAD "rom: {set: rom.1(0) = 1}\n", 0, false },
		{ HEAD "rom: {set: rom.1(0) = 1}\n", ((uint64_t)16 << 20) + 1, false },
	};
	struct fixture *f = *state;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bk_device *device;
		uint8_t byte;

		if (cases[i].size && cases[i].size < 0x1000)
			fake_bar(&f->fake, ROM, 0, cases[i].size, false);
		f->fake.regions[ROM].size = cases[i].size;
		device = stack(f, cases[i].text);
		if (cases[i].shown)
			assert_int_equal(bk_device_read(device, ROM, 0, &byte, 1), 0);
		again(f);
	}
}

static void config_space_beyond_its_end_is_the_devices_to_refuse(void **state)
{
	struct fixture *f = *state;
	struct bk_device *device;
	uint8_t bytes[8] = { 0 };

	f->fake.regions[CONFIG].size = 256;
	device = stack(f, HEAD "config: [{edit: header, set: here.1(0x3c) = 9}]\n");
	assert_int_equal(bk_device_read(device, CONFIG, 0x3c, bytes, 1), 0);
	assert_int_equal(bytes[0], 9);
	assert_int_equal(bk_device_read(device, CONFIG, 0x101, bytes, 1), -EINVAL);
	assert_int_equal(bk_device_read(device, CONFIG, 0xfe, bytes, 4), -EINVAL);
	assert_int_equal(bk_device_write(device, CONFIG, 0x101, bytes, 1), -EINVAL);
	/* Those bytes that are the device's are written to it, and its error is known. */
	assert_int_equal(bk_device_write(device, CONFIG, 0x3a, "\1\2\3\4", 4), 0);
	assert_int_equal(fake_get(&f->fake, 0x3a, 4), 0x04000201);
	f->fake.config_fail = EIO;
	assert_int_equal(bk_device_write(device, CONFIG, 0x3a, "\1\2\3\4", 4), -EIO);
	f->fake.config_fail = 0;
}

static void a_capability_that_is_shown_as_another_is_not_written(void **state)
{
	struct fixture *f = *state;
	struct bk_device *device;

	fake_put(&f->fake, 6, 2, 0x10);
	fake_put(&f->fake, 0x34, 1, 0x50);
	fake_put(&f->fake, 0x50, 4, 0x00100009);
	device = stack(f, HEAD "config: [{edit: vendor, set: here.1(0) = 3}]\n");
	assert_int_equal(bk_device_write(device, CONFIG, 0x54, "\1\2\3\4", 4), 0);
	assert_int_equal(fake_get(&f->fake, 0x54, 4), 0);
	assert_int_equal(bk_device_write(device, CONFIG, 0x60, "\1\2\3\4", 4), 0);
	assert_int_equal(fake_get(&f->fake, 0x60, 4), 0x04030201);
}

/* ---- Making one ------------------------------------------------------------ */

static void a_config_space_that_is_none_is_refused(void **state)
{
	struct fixture *f = *state;
	struct bk_quirk *quirk = parse(HEAD "rom: {hide: true}\n");
	struct bk_device *device;
	struct bk_error err = { "" };

	f->fake.regions[CONFIG].size = 0x20;
	assert_int_equal(stack_one(&f->fake.device, quirk, &device, &err), -EINVAL);
	assert_non_null(strstr(err.text, "config space cannot be read"));
	bk_quirk_destroy(quirk);
}

static void no_quirk_at_all_leaves_the_device_as_it_is(void **state)
{
	struct fixture *f = *state;
	uint8_t id[4];

	assert_int_equal(
		bk_quirk_stack(&f->fake.device, &(struct bk_quirk_stack_desc){ .count = 0 }, &f->stack, NULL),
		0);
	assert_int_equal(bk_device_read(f->stack, CONFIG, 0, id, 4), 0);
	assert_memory_equal(id, "\x34\x12\x78\x56", 4);
	f->fake.reset_result = -EIO;
	assert_int_equal(bk_device_reset(f->stack), -EIO);
}

static void an_option_has_the_setting_of_its_name_and_no_other(void **state)
{
	struct fixture *f = *state;
	const struct bk_quirk_setting settings[] = { { "other", 7 }, { "o", 5 }, { "another", 9 } };
	struct bk_quirk *quirk = parse(HEAD "options: {o: {about: x, valid: o == 5}}\nrom: {hide: true}\n");
	struct bk_device *device;
	struct bk_error err = { "" };

	assert_int_equal(bk_quirk_match(quirk, &f->fake.device, settings, 3, &err), 1);
	assert_int_equal(bk_quirk_match(quirk, &f->fake.device, settings, 1, &err), 0);
	assert_int_equal(
		bk_quirk_match(quirk, &f->fake.device, &(struct bk_quirk_setting){ "o", 6 }, 1, &err),
		-EINVAL);
	assert_int_equal(bk_quirk_stack(&f->fake.device,
					&(struct bk_quirk_stack_desc){
						.quirks = &quirk,
						.count = 1,
						.settings = &(struct bk_quirk_setting){ "o", 6 },
						.setting_count = 1 },
					&device, &err),
			 -EINVAL);
	bk_quirk_destroy(quirk);
}

static void the_first_quirk_with_a_reset_resets(void **state)
{
	struct fixture *f = *state;
	static const char *const texts[] = {
		HEAD "rom: {hide: true}\n",
		HEAD "reset: {always: true, steps: [bar0.1(0x10) = 0x11]}\n",
		HEAD "reset: {always: true, steps: [bar0.1(0x10) = 0x22]}\n",
	};
	struct bk_error err = { "" };

	assert_int_equal(apply_all(f, texts, 3, &err), 0);
	assert_int_equal(bk_device_reset(bk_mediator_device(f->mediate)), 0);
	assert_int_equal(f->fake.bytes[0][0x10], 0x11);
	assert_int_equal(f->fake.resets, 0);
}

static void bars_are_matched_by_their_size(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *bar;
		int matches;
	} cases[] = {
		{ "{index: 0}", 1 },
		{ "{index: 1}", 0 },
		{ "{index: 0, min: 64K}", 1 },
		{ "{index: 0, min: 128K}", 0 },
		{ "{index: 0, max: 64K}", 1 },
		{ "{index: 0, max: 32K}", 0 },
		{ "{index: 0, kind: mem32}", 1 },
		{ "{index: 0, kind: mem64}", 0 },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[256];
		struct bk_quirk *quirk;

		snprintf(text, sizeof(text),
			 "quirk: x\nabout: x\nmatch: {vendor: 0x1234, bars: [%s]}\nrom: {hide: true}\n",
			 cases[i].bar);
		quirk = parse(text);
		assert_int_equal(bk_quirk_match(quirk, &f->fake.device, NULL, 0, NULL), cases[i].matches);
		bk_quirk_destroy(quirk);
	}
}

static void a_condition_that_cannot_be_read_does_not_match(void **state)
{
	struct fixture *f = *state;
	struct bk_quirk *quirk =
		parse("quirk: x\nabout: x\nmatch: {when: host.4(0x1000) || 1}\nrom: {hide: true}\n");

	assert_int_equal(bk_quirk_match(quirk, &f->fake.device, NULL, 0, NULL), 0);
	bk_quirk_destroy(quirk);
}

/* ---- Chains ----------------------------------------------------------------- */

static void chains_that_loop_end(void **state)
{
	struct fixture *f = *state;
	struct bk_device *device;
	uint8_t byte;

	fake_put(&f->fake, 6, 2, 0x10);
	fake_put(&f->fake, 0x34, 1, 0x50);
	fake_put(&f->fake, 0x50, 4, 0x00106009);
	fake_put(&f->fake, 0x60, 4, 0x00005003); /* and back */
	fake_put(&f->fake, 0x100, 4, 0x00010003 | 0x140u << 20);
	fake_put(&f->fake, 0x140, 4, 0x00010001 | 0x100u << 20);
	device = stack(f, HEAD "config:\n"
			       "- {edit: msi, set: here.1(2) = 1}\n" /* is not there */
			       "- {drop: vendor}\n"
			       "- {insert: vendor, at: [0x60, 0x80], size: 8, set: here.1(2) = 8}\n");
	assert_int_equal(bk_device_read(device, CONFIG, 0x80, &byte, 1), 0);
	assert_int_equal(byte, 9);
	again(f);

	fake_put(&f->fake, 0x100, 4, 0xffffffff); /* none */
	device = stack(f, HEAD
		       "variables: {n: ecap(0x03)}\n"
		       "config: [{insert: 0x0b, extended: true, at: 0x100, size: 12, set: here.1(8) = 5}]\n");
	assert_int_equal(bk_device_read(device, CONFIG, 0x100, &byte, 1), 0);
	assert_int_equal(byte, 0x0b);
}

static void a_table_at_the_end_of_config_space_is_none(void **state)
{
	struct fixture *f = *state;
	struct bk_quirk *quirk = parse(HEAD "traps: [{at: bar0+0/4, read: 7}]\n");
	const struct bk_mediator_options filter = { .filter = true };
	struct bk_error err = { "" };

	fake_put(&f->fake, 6, 2, 0x10);
	fake_put(&f->fake, 0x34, 1, 0xf8);
	fake_put(&f->fake, 0xf8, 4, 0x00070011);
	assert_int_equal(stack_one(&f->fake.device, quirk, &f->stack, &err), 0);
	assert_int_equal(bk_mediator_create(f->domain, f->stack, &filter, &f->mediate, &err), 0);
	assert_int_equal(bk_quirk_attach(f->mediate, &err), 0);
	assert_int_equal(bk_quirk_attach(f->mediate, &err), -EINVAL); /* once is all */
	assert_int_equal(rd(f, 0, 0, 4), 7);
	bk_quirk_destroy(quirk);
}

/* ---- Rules -------------------------------------------------------------------- */

static void rules_of_several_regions_may_stand_in_any_order(void **state)
{
	struct fixture *f = *state;

	fake_bar(&f->fake, 2, 0, 0x1000, false);
	apply(f, HEAD "traps:\n"
		      "- {at: bar2+8/4, read: 4}\n"
		      "- {at: bar0+8/4, read: 2}\n"
		      "- {at: bar2+0/4, read: 3}\n"
		      "- {at: bar0+0/4, read: 1}\n"
		      "- {at: bar0+8/8, read: 9}\n");
	assert_int_equal(rd(f, 0, 0, 4), 1);
	assert_int_equal(rd(f, 0, 8, 4), 2);
	assert_int_equal(rd(f, 2, 0, 4), 3);
	assert_int_equal(rd(f, 2, 8, 4), 4);
	assert_int_equal(rd(f, 0, 12, 4), 0); /* the upper half of 9 */
}

static void a_wide_read_of_which_both_halves_fail_has_failed(void **state)
{
	struct fixture *f = *state;
	uint64_t value;

	apply(f, HEAD "traps: [{at: bar0+2/4, read: bar0.4(0x100)}]\n");
	f->fake.fail = EIO;
	assert_int_equal(rd(f, 0, 0, 4), 0xffffffff);
	f->fake.regions[0].size = 0x100; /* what the rule reads is not there any more, and the rest is */
	f->fake.fail = 0;
	assert_int_equal(rd(f, 0, 4, 4), 0xffff | fake_pattern(6, 2) << 16);
	f->fake.regions[0].size = 0x10000;
	f->fake.fail = EIO;
	assert_int_equal(bk_space_read(bk_mediator_space(f->mediate, 0), 2, 4, &value), -EIO);
}

/* The first rule that holds answers; writes of all of them pass, and may be made without the trap. */
static void several_rules_at_one_place_may_be_accelerated(void **state)
{
	struct fixture *f = *state;

	apply(f, HEAD "traps:\n"
		      "- {at: bar0+0x20/4, read: 5}\n"
		      "- {at: bar0+0/4, read: 1}\n"
		      "- {at: bar0+0/4, read: 2, write: device, accelerate: true}\n"
		      "- {at: bar0+0/4, read: 4, write: device, accelerate: true}\n"
		      "- {at: bar0+0/0x40, read: 3}\n"
		      "- {at: bar0+0x10/4, read: 6, write: device, accelerate: true}\n");
	assert_int_equal(rd(f, 0, 0, 4), 1);
	assert_int_equal(rd(f, 0, 0x10, 4), 3);
	assert_int_equal(rd(f, 0, 0x20, 4), 5);
	wr(f, 0, 0, 4, 0x11223344);
	assert_memory_equal(f->fake.bytes[0], "\x44\x33\x22\x11", 4);
}

static void a_rule_that_fails_to_be_placed_ends_it(void **state)
{
	struct fixture *f = *state;
	static const char *const text = HEAD "traps: [{at: bar3+0/4, read: 1}, {at: bar4+0/4, read: 1}]\n";
	struct bk_error err = { "" };

	assert_int_equal(apply_all(f, &text, 1, &err), -EINVAL);
	assert_non_null(strstr(err.text, "bar3"));
}

/* ---- A reset that came from elsewhere ------------------------------------------ */

static void a_reset_from_elsewhere_starts_the_variables_anew(void **state)
{
	struct fixture *f = *state;

	apply(f, HEAD "variables: {n: 5}\ntraps: [{at: bar0+0/4, read: n, write: n}]\n");
	assert_int_equal(rd(f, 0, 0, 4), 5);
	wr(f, 0, 0, 4, 6);
	assert_int_equal(rd(f, 0, 0, 4), 6);
	bk__quirk_was_reset(&f->fake.device); /* has no quirks */
	assert_int_equal(rd(f, 0, 0, 4), 6);
	bk__quirk_was_reset(bk_mediator_below(f->mediate));
	assert_int_equal(rd(f, 0, 0, 4), 5);
}

/* ---- Text ----------------------------------------------------------------------- */

static void what_a_file_says_wrong_is_said_with_its_line(void **state)
{
	static const struct {
		const char *text, *line;
	} cases[] = {
		{ HEAD "traps: [{at: bar0+0/4, read: []}]\n", "x.yaml:4" },
		{ HEAD "traps: [{at: bar0+0/4, read: a_name_that_is_longer_than_what_a_line_has_room_for}]\n",
		  "x.yaml:4" },
		{ HEAD "variables: {at: 1, n: 2}\nrom: {hide: true}\n", "x.yaml:4" },
		{ HEAD "variables: {bar0: 1, n: 2}\nrom: {hide: true}\n", "x.yaml:4" },
		{ HEAD "config: [{edit: nonsense, set: here.1(0) = 1}, {drop: msi}]\n", "x.yaml:4" },
		{ "quirk: x\nabout: x\nmatch: {nonsense: 1}\nrom: {hide: true}\n", "x.yaml:3" },
		{ "quirk: x\nabout: x\nmatch: {}\nrom: {hide: true}\n", "x.yaml:3" },
		{ "quirk: x\nabout: x\nmatch: {vendor: [0x12345, 0x1234]}\nrom: {hide: true}\n", "x.yaml:3" },
	};
	struct bk_quirk *quirk;
	struct bk_error err = { "" };

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(bk_quirk_parse("x.yaml", cases[i].text, strlen(cases[i].text), &quirk, &err),
				 -EINVAL);
		if (!strstr(err.text, cases[i].line))
			fail_msg("%s\n  instead of %s", err.text, cases[i].line);
	}
	assert_int_equal(bk_quirk_load("/nonexistent/x.yaml", &quirk, &err), -ENOENT);
	assert_null(quirk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DEVICE(a_rom_that_a_quirk_shows_is_read_inside_and_never_written),
		WITH_DEVICE(a_rom_with_a_sum_outside_it_or_none_to_read_is_left_alone),
		WITH_DEVICE(config_space_beyond_its_end_is_the_devices_to_refuse),
		WITH_DEVICE(a_capability_that_is_shown_as_another_is_not_written),
		WITH_DEVICE(a_config_space_that_is_none_is_refused),
		WITH_DEVICE(no_quirk_at_all_leaves_the_device_as_it_is),
		WITH_DEVICE(an_option_has_the_setting_of_its_name_and_no_other),
		WITH_DEVICE(the_first_quirk_with_a_reset_resets),
		WITH_DEVICE(bars_are_matched_by_their_size),
		WITH_DEVICE(a_condition_that_cannot_be_read_does_not_match),
		WITH_DEVICE(chains_that_loop_end),
		WITH_DEVICE(a_table_at_the_end_of_config_space_is_none),
		WITH_DEVICE(rules_of_several_regions_may_stand_in_any_order),
		WITH_DEVICE(a_wide_read_of_which_both_halves_fail_has_failed),
		WITH_DEVICE(several_rules_at_one_place_may_be_accelerated),
		WITH_DEVICE(a_rule_that_fails_to_be_placed_ends_it),
		WITH_DEVICE(a_reset_from_elsewhere_starts_the_variables_anew),
		WITH_DEVICE(what_a_file_says_wrong_is_said_with_its_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
