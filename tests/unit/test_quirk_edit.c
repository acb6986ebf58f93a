/* SPDX-License-Identifier: BSD-2-Clause */
/* What quirks show of config space and ROM, and how they reset; devices that are hostile or do not fit. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "quirk_kit.h"
#include "rom_file.h"

static unsigned lines;

static void count(void *opaque, enum bk_log_level level, const char *line)
{
	lines++;
}

static void a_device_that_cannot_be_read(void **state)
{
	struct fixture *f = *state;
	struct bk_quirk *quirk = parse(HEAD "rom: {hide: true}\n");
	struct bk_device *device;
	struct bk_error err = { "" };

	f->fake.config_fail = EIO;
	assert_int_equal(bk_quirk_match(quirk, &f->fake.device, NULL, 0, &err), -EIO);
	assert_string_equal(err.text, "fake: config space cannot be read: Input/output error");
	assert_int_equal(stack_one(&f->fake.device, quirk, &device, &err), -EIO);
	assert_null(device);
	assert_true(f->fake.closed);
	bk_quirk_destroy(quirk);
}

/* What fails once the device is known: each with a line that says where. */
static void quirks_that_do_not_fit_the_device(void **state)
{
	static const struct {
		const char *text, *line;
		int result;
	} cases[] = {
		{ HEAD "traps: [{at: bar0+0/0, read: 1}]\n", "x.yaml:4: this trap has no length", -EINVAL },
		{ HEAD "traps: [{at: bar0+~0/2, read: 1}]\n", "x.yaml:4: this trap has no length", -EINVAL },
		{ HEAD "traps: [{at: bar0+host.4(0x1000)/2, read: 1}]\n", "x.yaml:4: where this trap is",
		  -EINVAL },
		{ HEAD "traps: [{at: vga+0x3c0/2, read: 1}]\n", "x.yaml:4: x: ", -EINVAL },
		{ HEAD "variables: {n: host.4(0x1000)}\nrom: {hide: true}\n", "where the variable n starts",
		  -EINVAL },
		{ HEAD "config: [{edit: header, set: here.4(0xffd) = 1}]\n", "x.yaml:4: Invalid", -EINVAL },
		{ HEAD "config: [{edit: header, set: here.1(0x1001) = 1}]\n", "x.yaml:4: Invalid", -EINVAL },
		{ HEAD "config: [{edit: header, set: here.1(0x40) = here.1(0x1001)}]\n", "x.yaml:4: Invalid",
		  -EINVAL },
		{ HEAD "rom: {set: rom.1(0x801) = 8}\n", "outside its 2048 bytes", -EINVAL },
		{ HEAD "config: [{edit: header, when: here.4(0xffd), set: here.4(0) = 1}]\n",
		  "x.yaml:4: Invalid", -EINVAL },
		{ HEAD "config: [{edit: header, set: here.1(5) = 0}]\n",
		  "x.yaml:4: COMMAND (bytes 4 and 5) cannot be edited", -EINVAL },
		{ HEAD "config: [{edit: header, set: here.8(0) = 0}]\n", "x.yaml:4: COMMAND", -EINVAL },
		{ HEAD "config: [{edit: header, set: here.2(3) = 0}]\n", "x.yaml:4: COMMAND", -EINVAL },
		{ HEAD "config: [{insert: vendor, at: host.4(0x1000), size: 8, set: here.1(2) = 8}]\n",
		  "there is no room", -ENOSPC },
		{ HEAD "config: [{insert: vendor, at: 0x40, size: 8, set: here.4(6) = 8}]\n",
		  "x.yaml:4: Invalid", -EINVAL },
		{ HEAD "rom: {set: rom.4(0x7fd) = 8}\n", "outside its 2048 bytes", -EINVAL },
		{ HEAD "rom: {set: 'rom.1(0) = rom.4(0x7fd)'}\n", "outside its 2048 bytes", -EINVAL },
		{ HEAD "options: {o: {about: to be set}}\nrom: {hide: true}\n",
		  "needs the option o (to be set)", -EINVAL },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture *f;
		struct bk_error err = { "" };

		setup(state);
		f = *state;
		fake_bar(&f->fake, ROM, 0, 0x800, false);
		assert_int_equal(apply_all(f, &cases[i].text, 1, &err), cases[i].result);
		if (!strstr(err.text, cases[i].line) || strchr(err.text, '\n'))
			fail_msg("%s\n  instead of %s", err.text, cases[i].line);
		teardown(state);
	}
}

static void a_rom_that_cannot_be_read_is_none(void **state)
{
	struct fixture *f = *state;
	struct bk_quirk *quirk = parse(HEAD "rom: {set: rom.1(0) = 1, checksum: 3}\n");
	struct bk_device *device;

	fake_bar(&f->fake, ROM, 0, 0x800, false);
	f->fake.fail = EIO;
	assert_int_equal(stack_one(&f->fake.device, quirk, &device, NULL), 0);
	bk_quirk_destroy(quirk);
	bk_device_close(device);
}

static void note_fact(void *opaque, const char *key, const char *value)
{
	*(unsigned *)opaque += !strcmp(key, "quirk") && !strcmp(value, "x");
	*(unsigned *)opaque += !strcmp(key, "made up by") * 10u;
}

static void a_device_says_which_quirks_it_has(void **state)
{
	struct fixture *f = *state;
	unsigned facts = 0;

	apply(f, HEAD "traps: [{at: bar0+0/4, read: 1}]\n");
	bk_device_describe(bk_mediator_below(f->mediate), note_fact, &facts);
	assert_int_equal(facts, 11);
	/* What is not its business goes to the device below, which has none of these. */
	assert_int_equal(bk_device_set_irqs(bk_mediator_below(f->mediate), BK_DEVICE_MSI,
					    BK_DEVICE_IRQ_TRIGGER, 0, 0, NULL),
			 -EOPNOTSUPP);
	assert_int_equal(bk_device_dma_unmap(bk_mediator_below(f->mediate), 0, 4096), -EOPNOTSUPP);
}

static void too_many_quirks(void **state)
{
	struct fixture *f = *state;
	struct bk_quirk *quirks[BK_QUIRKS_MAX + 1];
	struct bk_device *device;
	struct bk_error err = { "" };

	for (unsigned i = 0; i <= BK_QUIRKS_MAX; i++)
		quirks[i] = parse(HEAD "rom: {hide: true}\n");
	assert_int_equal(
		bk_quirk_stack(&f->fake.device,
			       &(struct bk_quirk_stack_desc){ .quirks = quirks, .count = BK_QUIRKS_MAX + 1 },
			       &device, &err),
		-EINVAL);
	assert_string_equal(err.text, "fake: 33 quirks (32 at most)");
	assert_true(f->fake.closed);
	for (unsigned i = 0; i <= BK_QUIRKS_MAX; i++)
		bk_quirk_destroy(quirks[i]);
}

/* Of a program that was built with a later release, and uses what that has. */
static void quirks_of_a_later_release(void **state)
{
	struct fixture *f = *state;
	struct bk_device *device = &f->fake.device;
	struct bk_error err = { "" };
	struct {
		struct bk_quirk_stack_desc known;
		uint64_t later;
	} newer = { .known = { .struct_size = sizeof(newer) }, .later = 1 };

	assert_int_equal(bk_quirk_stack(&f->fake.device, &newer.known, &device, &err), -E2BIG);
	assert_string_equal(err.text, "fake: quirks of a later release");
	assert_null(device);
	assert_true(f->fake.closed);
}

static unsigned walk(struct fixture *f, unsigned *ids, unsigned room)
{
	unsigned count = 0;

	for (unsigned at = (unsigned)rd(f, CONFIG, 0x34, 1); at && count < room;
	     at = (unsigned)rd(f, CONFIG, at + 1, 1))
		ids[count++] = (unsigned)rd(f, CONFIG, at, 1);
	return count;
}

static void capabilities_are_dropped_and_put_in(void **state)
{
	struct fixture *f = *state;
	unsigned ids[8];

	fake_put(&f->fake, 6, 2, 0x10);
	fake_put(&f->fake, 0x34, 1, 0x40);
	fake_put(&f->fake, 0x40, 4, 0x00035001);  /* PM */
	fake_put(&f->fake, 0x50, 4, 0x00086009);  /* vendor */
	fake_put(&f->fake, 0x60, 4, 0x00800005);  /* MSI */
	fake_put(&f->fake, 0x100, 4, 0x1401001b); /* PASID, which is hidden anyhow */
	fake_put(&f->fake, 0x140, 4, 0x18010003); /* serial number */
	fake_put(&f->fake, 0x180, 4, 0x00010018); /* LTR */
	apply(f, HEAD
	      "config:\n"
	      "  - {drop: vendor}\n"
	      "  - {drop: ltr, extended: true}\n"
	      "  - {insert: 0x09, at: [0x40, 0x80], size: 12, set: [here.1(2) = 12, here.4(8) = 0xcafe]}\n"
	      "  - {insert: 0x0b, extended: true, at: 0x200, size: 16, version: 2, set: here.8(8) = 0x77}\n"
	      "  - {edit: express, set: here.1(2) = 1}\n"
	      "  - {edit: msi, when: 'host.2(0) == 1', set: here.1(0) = 0xff}\n");
	assert_int_equal(walk(f, ids, 8), 3);
	assert_int_equal(ids[0], 0x01);
	assert_int_equal(ids[1], 0x05);
	assert_int_equal(ids[2], 0x09);
	assert_int_equal(rd(f, CONFIG, 0x88, 4), 0xcafe);
	assert_int_equal(rd(f, CONFIG, 0x50, 4), 0);
	assert_int_equal(rd(f, CONFIG, 0x140, 2), 0x0003);
	assert_int_equal(rd(f, CONFIG, 0x142, 2), 0x2001);
	assert_int_equal(rd(f, CONFIG, 0x180, 4), 0);
	assert_int_equal(rd(f, CONFIG, 0x200, 4), 0x0002000b);
	assert_int_equal(rd(f, CONFIG, 0x208, 8), 0x77);
}

/* As everywhere in a quirk, a number is decimal or has 0x. */
static void ids_are_decimal_or_0x(void **state)
{
	struct fixture *f = *state;
	unsigned ids[8];

	fake_put(&f->fake, 6, 2, 0x10);
	fake_put(&f->fake, 0x34, 1, 0x40);
	fake_put(&f->fake, 0x40, 4, 0x00005008);
	fake_put(&f->fake, 0x50, 4, 0x0008600a);
	fake_put(&f->fake, 0x60, 4, 0x00080009);
	apply(f, HEAD "config: [{drop: 10}, {drop: 0X09}]\n");
	assert_int_equal(walk(f, ids, 8), 1);
	assert_int_equal(ids[0], 8);
}

static void a_capability_where_there_were_none(void **state)
{
	struct fixture *f = *state;
	unsigned ids[8];

	f->fake.regions[CONFIG].size = 256;
	apply(f, HEAD "config: [{insert: vendor, at: 0x40, size: 4, set: here.1(2) = 4}]\n");
	assert_int_equal(walk(f, ids, 8), 1);
	assert_int_equal(ids[0], 9);
	assert_int_equal(rd(f, CONFIG, 6, 2) & 0x10, 0x10);
}

/* Into which place a capability goes of 0x40 to 0xf0, if another one is at 0x50. */
static unsigned chosen_beside(void **state, uint64_t low, uint64_t high, bool extended)
{
	static const char *const texts[] = {
		HEAD "config: [{insert: vendor, at: [0x4c, 0x54, 0x58, 0x5c, 0x60, 0x64, 0x68, 0x88, 0x8c], "
		     "size: 8, "
		     "set: here.1(2) = 8}]\n",
		HEAD "config: [{insert: vendor, extended: true, at: [0x14c, 0x154, 0x158, 0x15c, 0x160, "
		     "0x164, 0x188, "
		     "0x18c, 0x190, 0x198], size: 8, set: here.4(4) = 0x00800001}]\n",
	};
	const unsigned base = extended ? 0x100 : 0;
	struct bk_error err = { "" };
	struct fixture *f;
	unsigned at;

	setup(state);
	f = *state;
	fake_put(&f->fake, 6, 2, 0x10);
	if (!extended)
		fake_put(&f->fake, 0x34, 1, 0x50);
	fake_put(&f->fake, 0x100, 4, 0x15010003);
	fake_put(&f->fake, base + 0x50, 4, low);
	fake_put(&f->fake, base + 0x54, 4, high);
	if (apply_all(f, &texts[extended], 1, &err))
		fail_msg("%s", err.text);
	for (at = base + 0x4c; at < base + 0xf0; at += 4)
		if (rd(f, CONFIG, at, extended ? 2 : 1) == (extended ? 0x0b : 0x09) && at != base + 0x50)
			break;
	teardown(state);
	return at;
}

static void a_capability_is_not_put_into_another(void **state)
{
	static const struct {
		bool extended;
		uint64_t low, high;
		unsigned place;
	} cases[] = {
		{ false, 0x00020001, 0, 0x58 },          /* PM */
		{ false, 0x00000005, 0, 0x5c },          /* MSI */
		{ false, 0x00800005, 0, 0x60 },          /* with 64 bits */
		{ false, 0x01800005, 0, 0x68 },          /* and masks */
		{ false, 0x00000011, 0x2000, 0x5c },     /* MSI-X */
		{ false, 0x00020010, 0, 0x8c },          /* PCI Express, version 2 */
		{ false, 0x00010010, 0, 0x64 },          /* version 1 */
		{ false, 0x00100009, 0, 0x60 },          /* a vendor's */
		{ false, 0x00000009, 0, 0x54 },          /* that makes no sense */
		{ false, 0x00000007, 0, 0x58 },          /* PCI-X */
		{ false, 0x10000007, 0, 0x68 },          /* with ECC */
		{ false, 0x00000012, 0xf, 0x60 },        /* SATA */
		{ false, 0x00000012, 0, 0x58 },          /* without registers */
		{ false, 0x00000008, 0, 0x54 },          /* not known */
		{ true, 0x00010001, 0, 0x198 },          /* AER */
		{ true, 0x0001001e, 0, 0x160 },          /* L1 substates */
		{ true, 0x00010018, 0, 0x158 },          /* LTR */
		{ true, 0x00010010, 0, 0x190 },          /* SR-IOV */
		{ true, 0x00010023, 0x00c00000, 0x15c }, /* somebody's */
		{ true, 0x00010002, 0, 0x154 },          /* not known */
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned place = chosen_beside(state, cases[i].low, cases[i].high, cases[i].extended);

		if (place != cases[i].place)
			fail_msg("beside 0x%08x: 0x%x", (unsigned)cases[i].low, place);
	}
}

static void chains_that_make_no_sense(void **state)
{
	static const struct {
		unsigned at;
		uint64_t first, second; /* capabilities at 0x40 and 0x44 */
	} chains[] = {
		{ 0x40, 0x4009, 0 },      { 0x40, 0x4409, 0x4009 }, { 0xfc, 0x4009, 0x4009 },
		{ 0x10, 0x4009, 0x4009 }, { 0x44, 0xff09, 0x4009 }, { 0x40, 0x4405, 0x4009 },
	};

	for (unsigned i = 0; i < sizeof(chains) / sizeof(chains[0]); i++) {
		struct fixture *f;
		struct bk_error err = { "" };
		static const char *const text = HEAD "config: [{drop: vendor}, {drop: serial, extended: "
						     "true}, {insert: 0x0b, extended: true, at: "
						     "[0x100, 0x200], size: 8, set: here.4(4) = 1}, {insert: "
						     "1, at: [0x40, 0x80], size: 8, set: "
						     "here.1(2) = 1}]\n";

		setup(state);
		f = *state;
		fake_put(&f->fake, 6, 2, 0x10);
		fake_put(&f->fake, 0x34, 1, chains[i].at);
		fake_put(&f->fake, 0x40, 4, chains[i].first);
		fake_put(&f->fake, 0x44, 4, chains[i].second);
		fake_put(&f->fake, 0xfc, 4, 0x0009);
		fake_put(&f->fake, 0x100, 4, 0x10010003); /* leads to itself */
		if (apply_all(f, &text, 1, &err) && !*err.text)
			fail_msg("chain %u fails without a word", i);
		teardown(state);
	}
}

static int insert_extended(void **state, uint64_t first, const char **why)
{
	static const char *const text = HEAD "config: [{insert: vendor, extended: true, at: 0x200, size: 16, "
					     "set: here.4(4) = 0x01000001}]\n";
	static struct bk_error err;
	struct fixture *f;
	int r;

	err.text[0] = 0;
	*why = err.text;
	setup(state);
	f = *state;
	fake_put(&f->fake, 0x100, 4, first);
	r = apply_all(f, &text, 1, &err);
	if (!r) {
		assert_int_equal(rd(f, CONFIG, 0x102, 2) >> 4, 0x200);
		assert_int_equal(rd(f, CONFIG, 0x200, 4), 0x0001000b);
		assert_int_equal(rd(f, CONFIG, 0x204, 4), 0x01000001);
	}
	teardown(state);
	return r;
}

static void an_extended_capability_behind_a_broken_chain(void **state)
{
	const char *why;

	assert_int_equal(insert_extended(state, 0x04010003, &why), -EINVAL); /* leads to 0x40 */
	assert_string_equal(why, "fake: x.yaml:4: the chain of capabilities is broken");
	assert_int_equal(insert_extended(state, 0x10010003, &why), -EINVAL); /* to itself */
	assert_string_equal(why, "fake: x.yaml:4: the chain of capabilities is broken");
	assert_int_equal(insert_extended(state, 0x00010003, &why), 0);
	assert_int_equal(insert_extended(state, 0, &why), 0);
	assert_int_equal(insert_extended(state, 0xffffffff, &why), 0);
}

/* The first one that was dropped is left as null: dropping those finds it for ever. */
static void a_null_capability_need_not_be_dropped(void **state)
{
	struct fixture *f = *state;

	fake_put(&f->fake, 0x100, 4, 0x14010003);
	fake_put(&f->fake, 0x140, 4, 0x1801000b);
	fake_put(&f->fake, 0x180, 4, 0x00010000);
	apply(f, HEAD "config: [{drop: serial, extended: true}, {drop: 0, extended: true}]\n");
	assert_int_equal(rd(f, CONFIG, 0x100, 2), 0);
	assert_int_equal(rd(f, CONFIG, 0x140, 2), 0x0b);
}

/* MSI at 0x50, 64-bit and maskable, and PASID at 0x140, on a device whose other bytes are 0x5a. After
 * `edits`, is there a byte of one of them that a guest's write reaches, or one of the rest that it does
 * not? Neither is expected between `from` and `end`. */
static void guarded(void **state, const char *edits, unsigned from, unsigned end)
{
	struct fixture *f;
	char text[512];

	setup(state);
	f = *state;
	memset(f->fake.config + 0x40, 0x5a, sizeof(f->fake.config) - 0x40);
	fake_put(&f->fake, 6, 2, 0x10);
	fake_put(&f->fake, 0x34, 1, 0x50);
	fake_put(&f->fake, 0x50, 4, 0x018a0005);
	fake_put(&f->fake, 0x100, 4, 0x14010003);
	fake_put(&f->fake, 0x140, 4, 0x0001001b);
	snprintf(text, sizeof(text), HEAD "config: [%s]\n", edits);
	apply(f, text);
	for (unsigned i = 0x40; i < 0x1000; i++) {
		const uint8_t there = f->fake.config[i];
		const bool standard = i < 0x100 && (i < 0x50 || i >= 0x68) && (i < from || i >= end);
		const bool is_own = standard || (i >= 0x10c && i < 0x140) || i >= 0x148;

		wr(f, CONFIG, i, 1, there ^ 0xff);
		if (f->fake.config[i] != (is_own ? there ^ 0xff : there))
			fail_msg("%s: 0x%x is %sreached", edits, i, is_own ? "not " : "");
		f->fake.config[i] = there;
		if ((i >= 0x54 && i < 0x68) || (i >= 0x144 && i < 0x148))
			assert_int_not_equal(rd(f, CONFIG, i, 1), 0x5a);
	}
	teardown(state);
}

/* What is not shown of a capability any more, or as another, has not become the device's own. */
static void edits_lead_to_no_capability_of_the_host(void **state)
{
	guarded(state, "{edit: vendor, set: here.1(2) = 1}", 0, 0);
	guarded(state, "{drop: msi}", 0, 0);
	guarded(state, "{drop: msi}, {drop: pasid, extended: true}", 0, 0);
	guarded(state, "{drop: serial, extended: true}", 0, 0);
	guarded(state, "{edit: header, set: here.1(0x34) = 0}", 0, 0);
	guarded(state, "{edit: header, set: here.1(6) = 0}", 0, 0);
	guarded(state, "{edit: header, set: here.4(0x100) = 0x00010003}", 0, 0);
	guarded(state, "{edit: header, set: here.4(0x100) = 0}", 0, 0);
	guarded(state, "{edit: msi, set: here.2(2) = 0}", 0, 0);
	guarded(state, "{drop: msi}, {insert: vendor, at: 0x54, size: 8, set: here.1(2) = 8}", 0, 0);
	guarded(state, "{insert: vendor, at: 0x80, size: 16, set: here.1(2) = 8}", 0x80, 0x90);
	guarded(state, "{edit: header, set: here.4(0x80) = 1}", 0x80, 0x84);
}

/* It is shown as read-only as any other, and read, but is still MSI. */
static void a_capability_under_another_name_is_not_written(void **state)
{
	struct fixture *f = *state;

	memset(f->fake.config + 0x40, 0x5a, 0xc0);
	fake_put(&f->fake, 6, 2, 0x10);
	fake_put(&f->fake, 0x34, 1, 0x50);
	fake_put(&f->fake, 0x50, 4, 0x018a0005);
	apply(f, HEAD "config: [{edit: msi, set: [here.1(0) = 9, here.1(2) = 4]}]\n");
	assert_int_equal(rd(f, CONFIG, 0x50, 4), 0x01040009);
	for (unsigned i = 0x54; i < 0x68; i++) {
		wr(f, CONFIG, i, 1, 0);
		assert_int_equal(f->fake.config[i], 0x5a);
		assert_int_equal(rd(f, CONFIG, i, 1), 0);
	}
}

static void bytes_around_command_can_be_edited(void **state)
{
	struct fixture *f = *state;

	apply(f, HEAD "config: [{edit: header, set: [here.4(0) = 0x11112222, here.2(6) = 0]}]\n");
	assert_int_equal(rd(f, CONFIG, 0, 4), 0x11112222);
}

static void edited_bytes_are_not_written_to_the_device(void **state)
{
	struct fixture *f = *state;
	struct bk_quirk *quirk = parse(HEAD "config: [{edit: header, set: here.2(0x40) = 0xbeef}]\n");
	struct bk_device *device;
	uint8_t bytes[4] = { 1, 2, 3, 4 };

	assert_int_equal(stack_one(&f->fake.device, quirk, &device, NULL), 0);
	bk_quirk_destroy(quirk);
	fake_put(&f->fake, 0x40, 4, 0x99887766);
	assert_int_equal(bk_device_write(device, CONFIG, 0x40, bytes, 4), 0);
	assert_int_equal(fake_get(&f->fake, 0x40, 4), 0x04037766);
	assert_int_equal(bk_device_read(device, CONFIG, 0x40, bytes, 4), 0);
	assert_int_equal(bytes[0] | bytes[1] << 8 | bytes[2] << 16, 0x03beef);
	assert_int_equal(bk_device_write(device, CONFIG, 0x44, bytes, 4), 0);
	assert_int_equal(fake_get(&f->fake, 0x44, 2), 0xbeef);
	bk_device_close(device);
	assert_true(f->fake.closed);
}

/* Accesses that begin in what is edited, or end in it, or reach past the end of all. */
static void accesses_around_edited_bytes(void **state)
{
	struct fixture *f = *state;
	struct bk_device *device;
	struct bk_error err = { "" };
	struct bk_quirk *quirk = parse(HEAD "config: [{edit: header, set: here.1(0x41) = 0x77}]\n");
	uint8_t bytes[8];

	fake_put(&f->fake, 0x40, 4, 0x44332211);
	assert_int_equal(stack_one(&f->fake.device, quirk, &device, &err), 0);
	bk_quirk_destroy(quirk);
	f->stack = device;
	assert_int_equal(bk_device_read(device, CONFIG, 0x40, bytes, 4), 0);
	assert_memory_equal(bytes, ((uint8_t[]){ 0x11, 0x77, 0x33, 0x44 }), 4);
	memset(bytes, 0xee, sizeof(bytes));
	assert_int_equal(bk_device_write(device, CONFIG, 0x40, bytes, 4), 0);
	assert_int_equal(fake_get(&f->fake, 0x40, 4), 0xeeee22ee); /* all but that byte */
	assert_int_equal(bk_device_write(device, CONFIG, 0x44, bytes, 2), 0);
	assert_int_equal(fake_get(&f->fake, 0x44, 2), 0xeeee);
	assert_true(bk_device_read(device, CONFIG, 0xffe, bytes, 4) < 0);
	assert_true(bk_device_write(device, CONFIG, 0xffe, bytes, 4) < 0);
	assert_true(bk_device_read(device, CONFIG, 0x1001, bytes, 1) < 0);
}

/* A place is taken if any part of it is: before, in, over and behind a capability of known length. */
static void room_for_a_capability_is_found_between_others(void **state)
{
	static const struct {
		const char *at;
		unsigned found;
	} places[] = {
		{ "0x3c", 0 },
		{ "0x41", 0 },
		{ "0xfc", 0 },
		{ "0x100", 0 },
		{ "0x48", 0 },
		{ "0x50", 0 },
		{ "0x54", 0 },
		{ "0x56", 0 },
		{ "0x58", 0x58 },
		{ "0x44", 0x44 },
		{ "[0x50, 0x60]", 0x60 },
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		char text[200];
		const char *list = text;
		struct bk_error err = { "" };
		struct fixture *f;
		void *fixture;
		int r;

		assert_int_equal(setup(&fixture), 0);
		f = fixture;
		fake_put(&f->fake, 6, 2, 0x10);
		fake_put(&f->fake, 0x34, 1, 0x50);
		fake_put(&f->fake, 0x50, 4, 0x00030001); /* power management, 8 bytes */
		snprintf(text, sizeof(text),
			 HEAD "config: [{insert: vendor, at: %s, size: 12, set: here.1(2) = 12}]\n",
			 places[i].at);
		r = apply_all(f, &list, 1, &err);
		if (places[i].found) {
			assert_int_equal(r, 0);
			assert_int_equal(rd(f, CONFIG, places[i].found, 1), 9);
			assert_int_equal(rd(f, CONFIG, places[i].found + 2, 1), 12);
		} else {
			assert_true(r < 0);
		}
		teardown(&fixture);
	}
}

/* The sum of an image goes over the length that it says, or over all of it where that makes no sense. */
static void the_sum_of_a_rom_at_its_edges(void **state)
{
	static const struct {
		unsigned units, at, size;
	} roms[] = { { 0, 6, 0x800 }, { 1, 6, 0x800 }, { 4, 6, 0x800 }, { 5, 6, 0x800 }, { 1, 511, 0x200 } };

	for (size_t i = 0; i < sizeof(roms) / sizeof(roms[0]); i++) {
		const unsigned says = roms[i].units * 512,
			       length = says && says <= roms[i].size ? says : roms[i].size;
		uint8_t *image = calloc(1, roms[i].size), sum = 0;
		char text[200];
		struct fixture *f;
		void *fixture;

		assert_int_equal(setup(&fixture), 0);
		f = fixture;
		for (unsigned b = 0; b < roms[i].size; b++)
			image[b] = (uint8_t)(b * 7 + 1);
		image[2] = (uint8_t)roms[i].units;
		f->fake.regions[ROM].flags = BK_DEVICE_READ;
		f->fake.regions[ROM].size = roms[i].size;
		f->fake.bytes[ROM] = image;
		snprintf(text, sizeof(text), HEAD "rom: {set: rom.1(3) = 9, checksum: %u}\n", roms[i].at);
		apply(f, text);
		for (unsigned b = 0; b < length; b++)
			sum = (uint8_t)(sum + rd(f, ROM, b, 1));
		assert_int_equal(sum, 0);
		assert_int_equal(rd(f, ROM, 3, 1), 9);
		f->fake.bytes[ROM] = NULL;
		teardown(&fixture);
		free(image);
	}
}

static void a_rom_from_a_file(void **state)
{
	struct fixture *f = *state;
	char dir[] = "/tmp/barkeep-quirk-XXXXXX", file[64], image[64];
	static const char text[] = HEAD "rom: {file: x.rom, set: rom.1(4) = 0x77, checksum: 5}\n";
	struct bk_quirk *quirk;
	struct bk_device *device;
	struct bk_error err = { "" };
	uint8_t sum = 0;

	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/x.yaml", dir);
	snprintf(image, sizeof(image), "%s/x.rom", dir);
	rom_file_write(image, 100, 'd');
	if (bk_quirk_parse(file, text, strlen(text), &quirk, &err))
		fail_msg("%s", err.text);
	unlink(image);
	rmdir(dir);
	assert_int_equal(stack_one(&f->fake.device, quirk, &device, NULL), 0);
	bk_quirk_destroy(quirk);
	assert_int_equal(bk_mediator_create(f->domain, device, NULL, &f->mediate, NULL), 0);
	assert_int_equal(rd(f, ROM, 0, 4), 'd' << 24 | 0xaa55);
	assert_int_equal(rd(f, ROM, 4, 1), 0x77);
	for (unsigned i = 0; i < 100; i++)
		sum = (uint8_t)(sum + rd(f, ROM, i, 1));
	assert_int_equal(sum, 0);
	assert_int_equal(rd(f, ROM, 100, 1), 0xff);
}

static bool rom_is_shown(void **state, const char *first, const char *second)
{
	const char *const texts[] = { first, second };
	struct bk_error err = { "" };
	struct fixture *f;
	bool shown;

	setup(state);
	f = *state;
	fake_bar(&f->fake, ROM, 0, 0x800, false);
	if (apply_all(f, texts, 2, &err))
		fail_msg("%s", err.text);
	shown = bk_mediator_space(f->mediate, ROM);
	teardown(state);
	return shown;
}

/* The first of several quirks has its way, if it does something. */
static void a_hidden_rom_stays_hidden_under_a_patch_that_does_not_apply(void **state)
{
	static const char hide[] = HEAD "rom: {hide: true}\n", patch[] = HEAD "rom: {set: rom.1(6) = 1}\n",
			  other[] = HEAD "rom: {when: rom.2(0) == 0x1234, set: rom.1(6) = 1}\n";

	assert_false(rom_is_shown(state, other, hide));
	assert_true(rom_is_shown(state, patch, hide));
	assert_false(rom_is_shown(state, hide, patch));
	assert_true(rom_is_shown(state, other, patch));
}

static void resets(void **state)
{
	static const struct {
		const char *steps;
		int result;
	} cases[] = {
		{ "[bar0.4(0) = 1]", 0 },
		{ "[n = 5, {require: n == 5}, {when: n == 4, require: 0}]", 0 },
		{ "[{require: 0}]", -EIO },
		{ "[{poll: 0, timeout: 1000}]", -ETIMEDOUT },
		{ "[{poll: 0, timeout: 1000, every: 100, go-on: true}]", 0 },
		{ "[{poll: 1, timeout: 4999999}, {delay: 1}]", 0 },
		{ "[bar0.4(0x10000) = 1]", -EINVAL },
		{ "[{poll: bar1.4(0) == 1, timeout: 5000000}]", -EINVAL },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture *f;
		struct bk_quirk *quirk;
		struct bk_device *device;
		char text[512];

		setup(state);
		f = *state;
		snprintf(text, sizeof(text), HEAD "variables: {n: 0}\nreset: {always: true, steps: %s}\n",
			 cases[i].steps);
		quirk = parse(text);
		assert_int_equal(stack_one(&f->fake.device, quirk, &device, NULL), 0);
		bk_quirk_destroy(quirk);
		bk_log_set(count, NULL);
		lines = 0;
		assert_int_equal(bk_device_reset(device), cases[i].result);
		assert_int_equal(f->fake.resets, 0);
		assert_true(lines <= 1);
		bk_device_close(device);
		teardown(state);
	}
}

/* How often the steps are done for a guest that had the device, when that is closed. */
static unsigned steps_at_the_end(void **state, const char *reset, unsigned flags)
{
	const struct bk_device_dma dma = { .size = 0x1000, .fd = -1 };
	struct bk_quirk *quirk;
	struct bk_device *device;
	struct fixture *f;
	char text[256];
	unsigned done;

	setup(state);
	f = *state;
	f->fake.info.flags = flags;
	snprintf(text, sizeof(text), HEAD "reset: {%s steps: [bar0.4(0x10) = 0x77]}\n", reset);
	quirk = parse(text);
	assert_int_equal(stack_one(&f->fake.device, quirk, &device, NULL), 0);
	bk_quirk_destroy(quirk);
	bk_device_dma_map(device, &dma, NULL);
	f->fake.accesses = 0;
	bk_device_close(device);
	done = f->fake.accesses;
	teardown(state);
	return done;
}

static void the_end_of_use_is_a_reset(void **state)
{
	assert_int_equal(steps_at_the_end(state, "", 0), 1);
	assert_int_equal(steps_at_the_end(state, "", BK_DEVICE_CAN_RESET), 0);
	assert_int_equal(steps_at_the_end(state, "always: true,", 0), 1);
	assert_int_equal(steps_at_the_end(state, "always: true,", BK_DEVICE_CAN_RESET), 1);
}

static void what_is_no_stack_has_no_quirks(void **state)
{
	struct fixture *f = *state;
	struct bk_error err = { "" };

	assert_int_equal(bk_mediator_create(f->domain, &f->fake.device, NULL, &f->mediate, NULL), 0);
	assert_int_equal(bk_quirk_attach(f->mediate, &err), -EINVAL);
	assert_non_null(strstr(err.text, "no quirks"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DEVICE(a_device_that_cannot_be_read),
		cmocka_unit_test(quirks_that_do_not_fit_the_device),
		WITH_DEVICE(a_rom_that_cannot_be_read_is_none),
		WITH_DEVICE(a_device_says_which_quirks_it_has),
		WITH_DEVICE(too_many_quirks),
		WITH_DEVICE(quirks_of_a_later_release),
		WITH_DEVICE(capabilities_are_dropped_and_put_in),
		WITH_DEVICE(ids_are_decimal_or_0x),
		WITH_DEVICE(a_capability_where_there_were_none),
		cmocka_unit_test(a_capability_is_not_put_into_another),
		cmocka_unit_test(chains_that_make_no_sense),
		cmocka_unit_test(an_extended_capability_behind_a_broken_chain),
		WITH_DEVICE(a_null_capability_need_not_be_dropped),
		cmocka_unit_test(edits_lead_to_no_capability_of_the_host),
		WITH_DEVICE(a_capability_under_another_name_is_not_written),
		WITH_DEVICE(bytes_around_command_can_be_edited),
		WITH_DEVICE(edited_bytes_are_not_written_to_the_device),
		WITH_DEVICE(accesses_around_edited_bytes),
		cmocka_unit_test(room_for_a_capability_is_found_between_others),
		cmocka_unit_test(the_sum_of_a_rom_at_its_edges),
		WITH_DEVICE(a_rom_from_a_file),
		cmocka_unit_test(a_hidden_rom_stays_hidden_under_a_patch_that_does_not_apply),
		cmocka_unit_test(resets),
		cmocka_unit_test(the_end_of_use_is_a_reset),
		WITH_DEVICE(what_is_no_stack_has_no_quirks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
