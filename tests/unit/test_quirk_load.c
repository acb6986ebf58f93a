/* SPDX-License-Identifier: BSD-2-Clause */
/* Quirk files: what is wrong with one and where, what rules and expressions mean, devices that are hostile.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <barkeep/quirk.h>

#include "fake_device.h"

#define HEAD "quirk: x\nabout: a test\nmatch: {vendor: 0x1234}\n"

enum { CONFIG = BK_DEVICE_CONFIG, ROM = BK_DEVICE_ROM };

static char logged[1024];
static unsigned lines;

static void keep(void *opaque, enum bk_log_level level, const char *line)
{
	strncpy(logged, line, sizeof(logged) - 1);
	lines++;
}

/* ---- What is wrong ------------------------------------------------------ */

static void refused(const char *text, const char *where)
{
	struct bk_quirk *quirk;
	struct bk_error err = { "" };

	assert_int_equal(bk_quirk_parse("x.yaml", text, strlen(text), &quirk, &err), -EINVAL);
	assert_null(quirk);
	if (strncmp(err.text, where, strlen(where)) || strchr(err.text, '\n'))
		fail_msg("%s\n  instead of %s\n%s", err.text, where, text);
	assert_int_equal(bk_quirk_parse("x.yaml", text, strlen(text), &quirk, NULL), -EINVAL);
}

static void mistakes_are_told_with_line_and_column(void **state)
{
	refused("", "x.yaml:1:1: ");
	refused("[]", "x.yaml:1:1: a quirk file is a map");
	refused("quirk: x\n", "x.yaml:1:1: ");
	refused("quirk: X\nabout: a\nmatch: {vendor: 1}\nrom: {hide: true}\n", "x.yaml:1:8: a quirk's name");
	refused(HEAD, "x.yaml:1:1: this quirk does nothing");
	refused(HEAD "colour: red\n", "x.yaml:4:1: ");
	refused("quirk: x\nabout: a\nmatch: {}\nrom: {hide: true}\n",
		"x.yaml:3:8: this matches every device");
	refused("quirk: x\nabout: a\nmatch: {vendor: 0x10000}\nrom: {hide: true}\n",
		"x.yaml:3:17: here must be a number up to 0xffff");
	refused("quirk: x\nabout: a\nmatch: {vendor: [1, x]}\nrom: {hide: true}\n", "x.yaml:3:21: ");
	refused("quirk: x\nabout: a\nmatch: {device: 0x5801/0xff00}\nrom: {hide: true}\n",
		"x.yaml:3:17: the value has bits");
	refused("quirk: x\nabout: a\nmatch: {device: 0x5800/}\nrom: {hide: true}\n", "x.yaml:3:17: ");
	refused("quirk: x\nabout: a\nmatch: {bars: [{index: 6}]}\nrom: {hide: true}\n", "x.yaml:3:24: ");
	refused("quirk: x\nabout: a\nmatch: {bars: [1]}\nrom: {hide: true}\n", "x.yaml:3:16: a BAR is a map");
	refused("quirk: x\nabout: a\nmatch: {when: at == 1}\nrom: {hide: true}\n",
		"x.yaml:3:15: there is nothing here with the name \"at\"");
}

static void mistakes_in_names(void **state)
{
	refused(HEAD "variables: {at: 1}\nrom: {hide: true}\n", "x.yaml:4:13: \"at\" means something");
	refused(HEAD "variables: {A: 1}\nrom: {hide: true}\n", "x.yaml:4:13: a name has small letters");
	refused(HEAD "variables: {a: b}\nrom: {hide: true}\n", "x.yaml:4:16: there is nothing here");
	refused(HEAD "variables: {a: a = 1}\nrom: {hide: true}\n", "x.yaml:4:16: ");
	refused(HEAD "options: {o: {about: x}}\nvariables: {o: 1}\nrom: {hide: true}\n",
		"x.yaml:5:13: \"o\" is an option already");
	refused(HEAD "options: {o: 1}\nrom: {hide: true}\n", "x.yaml:4:14: an option is a map");
	refused(HEAD "options: {o: {about: x, valid: host.4(0)}}\nrom: {hide: true}\n",
		"x.yaml:4:32: host cannot be used here");
}

#define TRAP(text) HEAD "traps:\n  - {" text "}\n"

static void mistakes_in_traps(void **state)
{
	refused(HEAD "traps: []\n", "x.yaml:4:8: ");
	refused(HEAD "traps: [1]\n", "x.yaml:4:9: a trap is a map");
	refused(TRAP("at: bar0+0/4"), "x.yaml:5:5: this trap does nothing");
	refused(TRAP("read: 1"), "x.yaml:5:5: ");
	refused(TRAP("at: bar6+0/4, log: true"), "x.yaml:5:10: here must be REGION+OFFSET/LENGTH");
	refused(TRAP("at: bar0, log: true"), "x.yaml:5:10: here must be REGION+OFFSET/LENGTH");
	refused(TRAP("at: bar0+0, log: true"), "x.yaml:5:10: here must be REGION+OFFSET/LENGTH");
	refused(TRAP("at: bar0+x/4, log: true"), "x.yaml:5:15: there is nothing here with the name \"x\"");
	refused(TRAP("at: bar0+0x10/, log: true"), "x.yaml:5:20: here must be a number");
	refused(TRAP("at: bar0+at/4, log: true"), "x.yaml:5:15: there is nothing here with the name \"at\"");
	refused(TRAP("at: bar0+0/4, width: 3, log: true"), "x.yaml:5:27: width must be");
	refused(TRAP("at: bar0+0/4, read: drop"), "x.yaml:5:26: a read must give a number");
	refused(TRAP("at: bar0+0/4, read: device = 1"), "x.yaml:5:26: a read must give a number");
	refused(TRAP("at: bar0+0/4, read: []"), "x.yaml:5:26: here must be 1 to 16");
	refused(TRAP("at: bar0+0/4, read: {a: 1}"), "x.yaml:5:26: here must be an expression, not a map");
	refused(TRAP("at: bar0+0/4, write: value"), "x.yaml:5:27: in a write this does nothing");
	refused(TRAP("at: bar0+0/4, write: [device, 7]"), "x.yaml:5:36: in a write this does nothing");
	refused(TRAP("at: bar0+0/4, when: value = 1, log: true"), "x.yaml:5:26: what is left of =");
	refused(TRAP("at: bar0+0/4, when: device = 1, log: true"), "x.yaml:5:26: here must be a number or a");
	refused(TRAP("at: bar0+0/4, write: drop, accelerate: true"), "x.yaml:5:45: only a rule for a BAR");
	refused(TRAP("at: config+0/4, write: device, accelerate: true"),
		"x.yaml:5:49: only a rule for a BAR");
	refused(TRAP("at: bar0+0/4, when: value, write: device, accelerate: true"),
		"x.yaml:5:60: only a rule");
	refused(TRAP("at: bar0+0/4, write: here(1)"), "x.yaml:5:27: here cannot be used here");
}

static void mistakes_in_expressions(void **state)
{
	refused(TRAP("at: bar0+0/4, read: 1 +"), "x.yaml:5:29: here must be a number, a name");
	refused(TRAP("at: bar0+0/4, read: (1"), "x.yaml:5:28: here a parenthesis must be closed");
	refused(TRAP("at: bar0+0/4, read: 1 2"), "x.yaml:5:28: from here on this is not understood");
	refused(TRAP("at: bar0+0/4, read: 0x"), "x.yaml:5:26: a number has digits after 0x");
	refused(TRAP("at: bar0+0/4, read: 12ab"), "x.yaml:5:26: this is no number");
	refused(TRAP("at: bar0+0/4, read: 0x10000000000000000"), "x.yaml:5:26: this number has more than 64");
	refused(TRAP("at: bar0+0/4, read: '1 + foo'"), "x.yaml:5:31: there is nothing here");
	refused(TRAP("at: bar0+0/4, read: config"), "x.yaml:5:32: here must be a parenthesis");
	refused(TRAP("at: bar0+0/4, read: config.3(1)"), "x.yaml:5:32: after the dot comes a width");
	refused(TRAP("at: bar0+0/4, read: cap(foo)"), "x.yaml:5:30: \"foo\" is no standard capability");
	refused(TRAP("at: bar0+0/4, read: cap(sriov)"), "x.yaml:5:30: \"sriov\" is no standard capability");
	refused(TRAP("at: bar0+0/4, read: cap(256)"), "x.yaml:5:30: this is no capability's id");
	refused(TRAP("at: bar0+0/4, read: cap(at + 1)"), "x.yaml:5:30: ");
	refused(TRAP("at: bar0+0/4, read: cap 5"), "x.yaml:5:30: here must be a capability in parentheses");
	refused(TRAP("at: bar0+0/4, read: cap(~5)"), "x.yaml:5:30: here must be a capability's name or id");
	refused(TRAP("at: bar0+0/4, read: cap(5"), "x.yaml:5:31: here a parenthesis must be closed");
	refused(TRAP("at: bar0+0/4, read: cap(0xZ)"), "x.yaml:5:30: a number has digits");
	refused(TRAP("at: bar0+0/4, read: [cap(1)+cap(2)+cap(3)+cap(4)+cap(5)+cap(6)+cap(7)+cap(8)+cap(9), "
		     "cap(10)+cap(11)+cap(12)+cap(13)+cap(14)+cap(15)+cap(16)+cap(0x1F)]"),
		"x.yaml:5:151: too many capabilities");
	refused(TRAP("at: bar0+host.4(0) = 1/4, log: true"), "x.yaml:5:10: OFFSET and LENGTH are numbers");
	refused(TRAP("at: bar0+0/4, read: ((((((((((((((((((((((((((1"),
		"x.yaml:5:50: this is nested too deep");
	refused(TRAP("at: bar0+0/4, read: ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~1"), "x.yaml:5:50: this is nested");
	refused(TRAP("at: bar0+0/4, read: "
		     "1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1"),
		"x.yaml:5:91: this is too long");
	refused(HEAD "reset:\n  steps:\n    - bar0(4) = 1\n", "x.yaml:6:11: here must be a width");
}

static void mistakes_in_edits(void **state)
{
	refused(HEAD "config: [{drop: foo}]\n", "x.yaml:4:17: here must be the name");
	refused(HEAD "config: [{drop: header}]\n", "x.yaml:4:17: here must be the name");
	refused(HEAD "config: [{drop: msi, edit: msi}]\n", "x.yaml:4:10: here must be one of");
	refused(HEAD "config: [{when: 1}]\n", "x.yaml:4:10: here must be one of");
	refused(HEAD "config: [{drop: msi, set: here.1(0) = 1}]\n",
		"x.yaml:4:22: \"set\" has no meaning for drop");
	refused(HEAD "config: [1]\n", "x.yaml:4:10: an edit of config space is a map");
	refused(HEAD "config: [{edit: msi, set: host.1(0) = 1}]\n",
		"x.yaml:4:27: host cannot be written here");
	refused(HEAD "rom: {set: host.1(0) = 1}\n", "x.yaml:4:12: host cannot be written here");
	refused(HEAD "rom: {file: .}\n", "x.yaml:4:13: the ROM's file must be beside");
	refused(HEAD "rom: {hide: 3}\n", "x.yaml:4:13: ");
	refused(HEAD "config: [{edit: msi}]\n", "x.yaml:4:10: edit needs \"set\"");
	refused(HEAD "config: [{insert: vendor, size: 8, set: here.1(2) = 8}]\n",
		"x.yaml:4:10: insert needs \"at\"");
	refused(HEAD "config: [{insert: vendor, at: 0x40, size: 2, set: here.1(2) = 8}]\n",
		"x.yaml:4:43: a capability has");
	refused(HEAD "config: [{insert: vendor, at: 0x40, size: 0xc1, set: here.1(2) = 8}]\n",
		"x.yaml:4:43: a capability of");
	refused(HEAD "config: [{insert: vendor, at: 0x40, size: 8, version: 2, set: here.1(2) = 8}]\n",
		"x.yaml:4:55: only extended");
	refused(HEAD "config: [{edit: msi, set: 5}]\n", "x.yaml:4:27: in an edit this does nothing");
	refused(HEAD "config: [{edit: msi, set: here.1(0)}]\n", "x.yaml:4:27: in an edit this does nothing");
	refused(HEAD "rom: {hide: true, set: rom.1(0) = 1}\n", "x.yaml:4:6: a ROM has either");
	refused(HEAD "rom: {when: 1}\n", "x.yaml:4:6: a ROM has either");
	refused(HEAD "rom: {file: ../x}\n", "x.yaml:4:13: the ROM's file must be beside");
	refused(HEAD "rom: {file: there-is-none.rom}\n",
		"x.yaml:4:13: the ROM's file \"there-is-none.rom\" cannot");
}

static void mistakes_in_resets(void **state)
{
	refused(HEAD "reset: {}\n", "x.yaml:4:8: ");
	refused(HEAD "reset: {steps: [{delay: 5000001}]}\n", "x.yaml:4:25: ");
	refused(HEAD "reset: {steps: [{delay: 5000000}, {delay: 1}]}\n",
		"x.yaml:4:35: this reset may take longer");
	refused(HEAD "reset: {steps: [{delay: 1, require: 1}]}\n", "x.yaml:4:17: a step has one of");
	refused(HEAD "reset: {steps: [{when: 1}]}\n", "x.yaml:4:17: a step has one of");
	refused(HEAD "reset: {steps: [{poll: 1}]}\n", "x.yaml:4:17: poll and timeout belong");
	refused(HEAD "reset: {steps: [{delay: 1, every: 1}]}\n", "x.yaml:4:17: every and go-on");
	refused(HEAD "reset: {steps: [config.4(0) = 1]}\n", "x.yaml:4:17: config cannot be used here");
}

/* ---- What it means ------------------------------------------------------ */

struct fixture {
	struct fake fake;
	struct bk_domain *domain;
	struct bk_mediate *mediate;
};

/* bar0: 64 KiB, not mapped, its bytes a pattern. */
static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fake_init(&f->fake);
	fake_bar(&f->fake, 0, 0, 0x10000, false);
	f->domain = bk_domain_create();
	bk_log_set(keep, NULL);
	lines = 0;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->mediate)
		bk_mediate_close(f->mediate);
	assert_int_equal(bk_domain_destroy(f->domain), 0);
	fake_done(&f->fake);
	free(f);
	bk_log_set(NULL, NULL);
	return 0;
}

static struct bk_quirk *parse(const char *text)
{
	struct bk_quirk *quirk;
	struct bk_error err = { "" };

	if (bk_quirk_parse("x.yaml", text, strlen(text), &quirk, &err))
		fail_msg("%s", err.text);
	return quirk;
}

static int apply_all(struct fixture *f, const char *const *texts, unsigned count, struct bk_error *err)
{
	struct bk_quirk *quirks[4];
	struct bk_device *device;
	int r;

	for (unsigned i = 0; i < count; i++)
		quirks[i] = parse(texts[i]);
	r = bk_quirk_stack(&f->fake.device, quirks, count, NULL, 0, &device, err);
	for (unsigned i = 0; i < count; i++)
		bk_quirk_free(quirks[i]); /* the device keeps them */
	if (!r)
		r = bk_mediate_create(f->domain, device, NULL, &f->mediate, err);
	return r ? r : bk_quirk_attach(f->mediate, err);
}

static void apply(struct fixture *f, const char *text)
{
	struct bk_error err = { "" };

	if (apply_all(f, &text, 1, &err))
		fail_msg("%s", err.text);
	f->fake.accesses = 0;
}

static uint64_t rd(struct fixture *f, unsigned region, uint64_t offset, unsigned width)
{
	uint8_t bytes[8] = { 0 };
	uint64_t value = 0;

	bk_device_read(bk_mediate_device(f->mediate), region, offset, bytes, width);
	for (unsigned i = 0; i < width; i++)
		value |= (uint64_t)bytes[i] << 8 * i;
	return value;
}

static void wr(struct fixture *f, unsigned region, uint64_t offset, unsigned width, uint64_t value)
{
	uint8_t bytes[8];

	for (unsigned i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(value >> 8 * i);
	bk_device_write(bk_mediate_device(f->mediate), region, offset, bytes, width);
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
	assert_int_equal(bk_device_reset(bk_mediate_device(f->mediate)), 0);
	assert_int_equal(rd(f, 0, 0, 4), 0x11223344);
}

static void logs(void **state)
{
	struct fixture *f = *state;

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
	struct bk_trap_spec spec;
	struct bk_trap *trap;

	apply(f, HEAD "traps:\n  - {at: bar0+0x103/0x105, read: config(at), write: config(at)}\n");
	assert_int_equal(bk_trap_parse("bar0+0x1103/0x105:mirror", &spec, NULL), 0);
	assert_int_equal(bk_trap_add_spec(f->mediate, &spec, &trap, NULL), 0);
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

static void a_device_that_cannot_be_read(void **state)
{
	struct fixture *f = *state;
	struct bk_quirk *quirk = parse(HEAD "rom: {hide: true}\n");
	struct bk_device *device;
	struct bk_error err = { "" };

	f->fake.config_fail = EIO;
	assert_int_equal(bk_quirk_match(quirk, &f->fake.device, NULL, 0, &err), -EIO);
	assert_string_equal(err.text, "fake: config space cannot be read: Input/output error");
	assert_int_equal(bk_quirk_stack(&f->fake.device, &quirk, 1, NULL, 0, &device, &err), -EIO);
	assert_null(device);
	assert_true(f->fake.closed);
	bk_quirk_free(quirk);
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
		{ HEAD "config: [{edit: header, when: here.4(0xffd), set: here.4(0) = 1}]\n",
		  "x.yaml:4: Invalid", -EINVAL },
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
	assert_int_equal(bk_quirk_stack(&f->fake.device, &quirk, 1, NULL, 0, &device, NULL), 0);
	bk_quirk_free(quirk);
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
	bk_device_describe(bk_mediate_below(f->mediate), note_fact, &facts);
	assert_int_equal(facts, 11);
	/* What is not its business goes to the device below, which has none of these. */
	assert_int_equal(bk_device_set_irqs(bk_mediate_below(f->mediate), BK_DEVICE_MSI,
					    BK_DEVICE_IRQ_TRIGGER, 0, 0, NULL),
			 -EOPNOTSUPP);
	assert_int_equal(bk_device_dma_unmap(bk_mediate_below(f->mediate), 0, 4096), -EOPNOTSUPP);
}

static void too_many_quirks(void **state)
{
	struct fixture *f = *state;
	struct bk_quirk *quirks[BK_QUIRKS_MAX + 1];
	struct bk_device *device;
	struct bk_error err = { "" };

	for (unsigned i = 0; i <= BK_QUIRKS_MAX; i++)
		quirks[i] = parse(HEAD "rom: {hide: true}\n");
	assert_int_equal(bk_quirk_stack(&f->fake.device, quirks, BK_QUIRKS_MAX + 1, NULL, 0, &device, &err),
			 -EINVAL);
	assert_string_equal(err.text, "fake: 33 quirks (32 at most)");
	assert_true(f->fake.closed);
	for (unsigned i = 0; i <= BK_QUIRKS_MAX; i++)
		bk_quirk_free(quirks[i]);
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
			bk_device_reset(bk_mediate_device(f->mediate));
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
	bk_device_reset(bk_mediate_device(f->mediate));
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

/* ---- Config space and ROM ----------------------------------------------- */

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

static void edited_bytes_are_not_written_to_the_device(void **state)
{
	struct fixture *f = *state;
	struct bk_quirk *quirk = parse(HEAD "config: [{edit: header, set: here.2(0x40) = 0xbeef}]\n");
	struct bk_device *device;
	uint8_t bytes[4] = { 1, 2, 3, 4 };

	assert_int_equal(bk_quirk_stack(&f->fake.device, &quirk, 1, NULL, 0, &device, NULL), 0);
	bk_quirk_free(quirk);
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

static void a_rom_from_a_file(void **state)
{
	struct fixture *f = *state;
	char dir[] = "/tmp/barkeep-quirk-XXXXXX", file[64], image[64];
	static const char text[] = HEAD "rom: {file: x.rom, set: rom.1(0) = 0x55, checksum: 3}\n";
	struct bk_quirk *quirk;
	struct bk_device *device;
	struct bk_error err = { "" };
	FILE *out;

	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/x.yaml", dir);
	snprintf(image, sizeof(image), "%s/x.rom", dir);
	out = fopen(image, "w");
	fputs("abcdef", out);
	fclose(out);
	if (bk_quirk_parse(file, text, strlen(text), &quirk, &err))
		fail_msg("%s", err.text);
	unlink(image);
	rmdir(dir);
	assert_int_equal(bk_quirk_stack(&f->fake.device, &quirk, 1, NULL, 0, &device, NULL), 0);
	bk_quirk_free(quirk);
	assert_int_equal(bk_mediate_create(f->domain, device, NULL, &f->mediate, NULL), 0);
	assert_int_equal(rd(f, ROM, 0, 4) & 0xffffff, 0x636255);
	assert_int_equal(rd(f, ROM, 3, 1), 0x100 - ((0x55 + 'b' + 'c' + 'e' + 'f') & 0xff));
	assert_int_equal(rd(f, ROM, 6, 1), 0xff);
}

/* ---- Reset --------------------------------------------------------------- */

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
		assert_int_equal(bk_quirk_stack(&f->fake.device, &quirk, 1, NULL, 0, &device, NULL), 0);
		bk_quirk_free(quirk);
		lines = 0;
		assert_int_equal(bk_device_reset(device), cases[i].result);
		assert_int_equal(f->fake.resets, 0);
		assert_true(lines <= 1);
		bk_device_close(device);
		teardown(state);
	}
}

static void what_is_no_stack_has_no_quirks(void **state)
{
	struct fixture *f = *state;
	struct bk_error err = { "" };

	assert_int_equal(bk_mediate_create(f->domain, &f->fake.device, NULL, &f->mediate, NULL), 0);
	assert_int_equal(bk_quirk_attach(f->mediate, &err), -EINVAL);
	assert_non_null(strstr(err.text, "no quirks"));
}

static void options_are_described(void **state)
{
	struct bk_quirk *quirk =
		parse(HEAD "options: {one: {about: the first}, two: {about: b, default: 3}}\n"
			   "rom: {hide: true}\n");
	const char *about;

	assert_string_equal(bk_quirk_name(quirk), "x");
	assert_string_equal(bk_quirk_about(quirk), "a test");
	assert_string_equal(bk_quirk_option(quirk, 0, &about), "one");
	assert_string_equal(about, "the first");
	assert_string_equal(bk_quirk_option(quirk, 1, &about), "two");
	assert_null(bk_quirk_option(quirk, 2, &about));
	bk_quirk_free(quirk);
	bk_quirk_free(NULL);
}

#define WITH_DEVICE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mistakes_are_told_with_line_and_column),
		cmocka_unit_test(mistakes_in_names),
		cmocka_unit_test(mistakes_in_traps),
		cmocka_unit_test(mistakes_in_expressions),
		cmocka_unit_test(mistakes_in_edits),
		cmocka_unit_test(mistakes_in_resets),
		cmocka_unit_test(operators),
		cmocka_unit_test(chains_that_make_no_sense),
		cmocka_unit_test(quirks_that_do_not_fit_the_device),
		cmocka_unit_test(resets),
		cmocka_unit_test(options_are_described),
		WITH_DEVICE(constant_mask_read_only_drop),
		WITH_DEVICE(registers_that_are_kept_and_cleared),
		WITH_DEVICE(logs),
		WITH_DEVICE(rules_go_by_their_order_and_take_accesses_whole),
		WITH_DEVICE(places_that_a_rule_can_write),
		WITH_DEVICE(a_rom_that_cannot_be_read_is_none),
		WITH_DEVICE(a_device_says_which_quirks_it_has),
		WITH_DEVICE(too_many_quirks),
		WITH_DEVICE(a_mirror_at_every_width_and_alignment),
		WITH_DEVICE(a_device_that_cannot_be_read),
		WITH_DEVICE(the_first_of_several_quirks_has_its_way),
		WITH_DEVICE(a_rule_that_leads_to_itself_ends),
		WITH_DEVICE(places_outside_read_all_ones_and_are_counted),
		WITH_DEVICE(a_trap_outside_the_device_is_refused_with_its_line),
		WITH_DEVICE(one_access_at_a_time),
		WITH_DEVICE(no_access_is_lost),
		WITH_DEVICE(capabilities_are_dropped_and_put_in),
		WITH_DEVICE(a_capability_where_there_were_none),
		WITH_DEVICE(edited_bytes_are_not_written_to_the_device),
		WITH_DEVICE(a_rom_from_a_file),
		WITH_DEVICE(what_is_no_stack_has_no_quirks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
