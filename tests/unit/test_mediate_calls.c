/* SPDX-License-Identifier: BSD-2-Clause */
/* A mediated device with each call to the device below failing in turn: an error with a line, or a device
 * that goes on with what answers. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "trap_kit.h"

#include "failing_device.h"

enum { CONFIG = BK_DEVICE_CONFIG, ROM = BK_DEVICE_ROM, VGA = BK_DEVICE_VGA };

/* What a device can have: every kind of capability, a ROM, and VGA. */
static void describe(struct fake *fake)
{
	fake_init(fake);
	fake_bar(fake, 0, 0, 0x10000, true);
	fake_bar(fake, 4, 1, 32, false);
	fake->regions[ROM].size = 0x800;
	fake->regions[ROM].flags = BK_DEVICE_READ;
	fake->regions[VGA].size = 0xc0000;
	fake->regions[VGA].flags = BK_DEVICE_READ | BK_DEVICE_WRITE;
	fake_put(fake, 0x09, 3, 0x030000);
	fake_put(fake, 0x34, 1, 0x50);
	fake_put(fake, 0x50, 4, 0x00886005); /* MSI */
	fake_put(fake, 0x60, 4, 0x00107009); /* vendor specific */
	fake_msix(fake, 0x70, 0x90, 8, TABLE, PBA);
	fake_put(fake, 0x90, 4, 0x0002d010); /* PCI Express */
	fake_put(fake, 0xd0, 4, 0x00000003); /* vital product data */
	fake_put(fake, 0x100, 4, 0x00010001 | 0x148u << 20);
	fake_put(fake, 0x148, 4, 0x00010003);
}

/* What a read gives, or all ones if a call failed in it. */
static void check_read(struct fixture *f, unsigned region, uint64_t offset, unsigned width, uint64_t want)
{
	const bool before = calls.failed;
	const uint64_t is = rd(f, region, offset, width);

	if (is == want)
		return;
	assert_true(calls.failed && !before);
	/* Of a wide read one half may be there. */
	for (unsigned i = 0; i < width; i++)
		if ((is >> 8 * i & 0xff) != 0xff)
			assert_int_equal(is >> 8 * i & 0xff, want >> 8 * i & 0xff);
}

/* What a guest does; registers that it does not write keep what they hold. */
static void use(struct fixture *f, bool filter)
{
	static const unsigned widths[] = { 1, 2, 4, 8 };

	for (unsigned i = 0; i < 4; i++) {
		const unsigned width = widths[i];

		check_read(f, 0, 0x5000, width, fake_pattern(0x5000, width));
		check_read(f, 4, 8, width, fake_pattern(8, width));
		check_read(f, CONFIG, 0x64, width, fake_get(&f->fake, 0x64, width)); /* the vendor's */
		wr(f, 0, 0x6000, width, 0x1122334455667788);
		wr(f, CONFIG, 0x64, width, 0x1122334455667788);
		wr(f, CONFIG, 0x62, width, 0x1122334455667788);  /* and over its edge */
		wr(f, CONFIG, 0x96, width, 0x1122334455667788);  /* Device Control and above */
		wr(f, CONFIG, 0x104, width, 0xffffffffffffffff); /* errors, to be cleared */
		rd(f, CONFIG, 0x04, width);                      /* COMMAND and STATUS */
	}
	wr(f, CONFIG, 0xd2, 2, 0x0010);
	wr(f, CONFIG, 0x06, 2, 0xffff);
	wr(f, CONFIG, 0x04, 2, 0x0004);
	if (bk_mediator_space(f->mediate, VGA))
		check_read(f, VGA, 0x3c0, 4, 0);
	if (bk_mediator_space(f->mediate, ROM) && filter)
		check_read(f, ROM, 0, 4, 0);
}

/* Both halves of what the table begins in. */
static void halves(struct fixture *f)
{
	uint64_t value;

	for (unsigned i = 0; i < 2; i++) {
		const uint64_t at = i ? TABLE + 16 * 8 - 4 : TABLE - 4;
		const bool before = calls.failed;
		int r = bk_mediator_below_read(f->mediate, 0, at, 8, &value);

		assert_int_equal(r, calls.failed && !before ? -EIO : 0);
	}
}

static void each_call_fails_in_turn(const struct bk_mediator_options *options)
{
	bool failed = true;

	bk_log_set(quiet, NULL);
	for (unsigned n = 1; failed; n++) {
		struct fixture f = { .domain = bk_domain_create() };
		struct bk_error err = { "" };
		int r;

		describe(&f.fake);
		calls_fail(&f.fake, n);
		r = bk_mediator_create(f.domain, &f.fake.device, options, &f.mediate, &err);
		if (r) {
			assert_true(calls.failed);
			assert_null(f.mediate);
			assert_int_not_equal(err.text[0], 0);
		} else {
			int reset;
			bool before;

			use(&f, options->filter);
			if (!options->filter)
				halves(&f);
			before = calls.failed;
			reset = bk_device_reset(bk_mediator_device(f.mediate));
			assert_true(!reset || (calls.failed && !before));
			assert_int_equal(bk_mediator_destroy(f.mediate), 0);
		}
		failed = calls.failed;
		assert_true(f.fake.closed);
		assert_int_equal(bk_domain_destroy(f.domain), 0);
		fake_done(&f.fake);
	}
	bk_log_set(NULL, NULL);
}

static void a_device_of_which_a_call_fails_is_refused_or_goes_on(void **state)
{
	each_call_fails_in_turn(&(struct bk_mediator_options){ 0 });
}

static void one_with_vga_is_refused_or_goes_on(void **state)
{
	each_call_fails_in_turn(&(struct bk_mediator_options){ .vga = true });
}

static void one_with_a_moved_table_is_refused_or_goes_on(void **state)
{
	each_call_fails_in_turn(&(struct bk_mediator_options){ .msix_move = true, .msix_bar = 1 });
}

static void one_in_filter_mode_is_refused_or_goes_on(void **state)
{
	each_call_fails_in_turn(&(struct bk_mediator_options){ .filter = true });
}

static void one_in_filter_mode_with_a_moved_table_is_refused_or_goes_on(void **state)
{
	each_call_fails_in_turn(
		&(struct bk_mediator_options){ .filter = true, .msix_move = true, .msix_bar = 1 });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_of_which_a_call_fails_is_refused_or_goes_on),
		cmocka_unit_test(one_with_vga_is_refused_or_goes_on),
		cmocka_unit_test(one_with_a_moved_table_is_refused_or_goes_on),
		cmocka_unit_test(one_in_filter_mode_is_refused_or_goes_on),
		cmocka_unit_test(one_in_filter_mode_with_a_moved_table_is_refused_or_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
