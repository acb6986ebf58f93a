/* SPDX-License-Identifier: BSD-2-Clause */
/* Quirks on a device of which each call fails in turn: an error with a line, or a device that goes on with
 * what answers. */
#include "quirk_kit.h"

#include "failing_device.h"

static const char text[] =
	"quirk: x\nabout: x\n"
	"match: {vendor: 0x1234, bars: [{index: 0}], when: host.4(0x100) == 0 && host.1(0x3d) == 1}\n"
	"variables: {n: host.4(0)}\n"
	"config:\n"
	"- {edit: header, set: here.1(0x3c) = host.1(0x3c), when: host.2(0) == 0x1234}\n"
	"- {insert: vendor, at: [0x40 + host.1(0x50)], size: 8, set: here.1(2) = 8}\n"
	"rom: {set: rom.1(0) = host.1(0), when: rom.1(1) == 0}\n"
	"traps:\n"
	"- {at: bar0+host.1(0x60)/4, when: bar0.4(0x100), read: n}\n"
	"- {at: bar0+2/4, read: bar0.4(0x200), write: bar0.4(0x300)}\n"
	"- {at: bar0+0x40/8, log: true}\n"
	"reset: {always: true, steps: [bar0.4(0x400) = 1, {require: bar0.1(8) == 0x38},\n"
	"        {poll: bar0.4(0x400) == 1, timeout: 1}]}\n";

/* What it gives, or all ones in those bytes of which a call failed. */
static void check_read(struct fixture *f, uint64_t offset, uint64_t want)
{
	const bool before = calls.failed;
	const uint64_t is = rd(f, 0, offset, 4);

	if (is == want)
		return;
	assert_true(calls.failed && !before);
	for (unsigned i = 0; i < 4; i++)
		if ((is >> 8 * i & 0xff) != 0xff)
			assert_int_equal(is >> 8 * i & 0xff, want >> 8 * i & 0xff);
}

static void use(struct fixture *f)
{
	bool before;
	int r;

	check_read(f, 0, 0x56781234);
	check_read(f, 0x40, fake_pattern(0x40, 4));
	check_read(f, 4, (fake_pattern(0x200, 4) & 0xffff) | fake_pattern(6, 2) << 16);
	wr(f, 0, 2, 4, 0x11223344);
	wr(f, 0, 0x42, 4, 0x55667788);
	rd(f, CONFIG, 0x3c, 4);
	wr(f, CONFIG, 0x3a, 4, 0);
	before = calls.failed;
	r = bk_device_reset(bk_mediator_device(f->mediate));
	assert_true(!r || (calls.failed && !before));
}

static int match_and_apply(struct fixture *f, struct bk_error *err)
{
	struct bk_quirk *quirk = parse(text);
	int r = bk_quirk_match(quirk, &f->fake.device, NULL, 0, err);

	if (r == 1) {
		r = stack_one(&f->fake.device, quirk, &f->stack, err);
		if (!r)
			r = bk_mediator_create(f->domain, f->stack, NULL, &f->mediate, err);
		if (r)
			f->stack = NULL; /* closed */
		if (!r)
			r = bk_quirk_attach(f->mediate, err);
	} else {
		bk_device_close(&f->fake.device);
		r = r ? r : 1;
	}
	bk_quirk_destroy(quirk);
	return r;
}

static void a_device_of_which_a_call_fails_is_refused_or_goes_on(void **state)
{
	struct fixture *f = *state;
	bool failed = true;

	for (unsigned n = 1; failed; n++) {
		struct bk_error err = { "" };
		int r;

		fake_done(&f->fake);
		fake_init(&f->fake);
		fake_bar(&f->fake, 0, 0, 0x10000, false);
		f->fake.regions[ROM].size = 0x800;
		f->fake.regions[ROM].flags = BK_DEVICE_READ;
		f->mediate = NULL;
		calls_fail(&f->fake, n);
		r = match_and_apply(f, &err);
		if (r) {
			assert_true(calls.failed);
			assert_int_not_equal(err.text[0], 0);
		} else {
			use(f);
		}
		assert_int_equal(bk_mediator_destroy(f->mediate), 0);
		failed = calls.failed;
		assert_true(f->fake.closed);
	}
	f->mediate = NULL;
	f->stack = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DEVICE(a_device_of_which_a_call_fails_is_refused_or_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
