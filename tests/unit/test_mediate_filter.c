/* SPDX-License-Identifier: BSD-2-Clause */
/* Filter mode: config space is the device's, nothing of it is modelled, and traps are as ever. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <barkeep/mediate.h>

#include "failing_device.h"
#include "trap_kit.h"

static struct bk_mediator_options options;

static int setup_filter(void **state)
{
	struct fixture *f;
	struct bk_error err;

	if (setup(state))
		return -1;
	f = *state;
	bk_mediator_destroy(f->mediate);
	f->fake.closed = false;
	f->fake.config_writes = 0;
	f->fake.accesses = 0;
	options = (struct bk_mediator_options){ .filter = true };
	return bk_mediator_create(f->domain, &f->fake.device, &options, &f->mediate, &err);
}

static void again_with(struct fixture *f, const struct bk_mediator_options *with)
{
	struct bk_error err;

	bk_mediator_destroy(f->mediate);
	f->fake.closed = false;
	if (bk_mediator_create(f->domain, &f->fake.device, with, &f->mediate, &err))
		fail_msg("%s", err.text);
}

static void mirror(struct fixture *f, const char *text)
{
	struct bk_trap_desc spec = { 0 };
	struct bk_error err;
	struct bk_trap *trap;

	assert_int_equal(bk_trap_parse(text, &spec, &err), 0);
	assert_int_equal(bk_trap_add(f->mediate, &spec, &trap, &err), 0);
}

static void making_one_changes_nothing_in_the_device(void **state)
{
	struct fixture *f = *state;

	assert_null(bk_mediator_function(f->mediate));
	assert_int_equal(f->fake.config_writes, 0);
	assert_int_equal(f->fake.accesses, 0);
}

static void config_space_is_the_devices_at_each_access(void **state)
{
	struct fixture *f = *state;

	mirror(f, "bar2+0xf00/0x100:mirror");
	fake_put(&f->fake, 0x18, 4, 0xfebf800c); /* as the monitor above moves the BAR */
	assert_int_equal(rd(f, 7, 0x18, 4), 0xfebf800c);
	assert_int_equal(rd(f, 2, 0xf18, 4), 0xfebf800c);
	assert_int_equal(rd(f, 2, 0xf1a, 2), 0xfebf);
	wr(f, 2, 0xf40, 2, 0x1234);
	assert_int_equal(fake_get(&f->fake, 0x40, 2), 0x1234);
	wr(f, 7, 4, 2, 0);
	assert_int_equal(fake_get(&f->fake, 4, 2), 0);
}

static void the_msix_table_is_no_trap(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(rd(f, 0, TABLE, 4), fake_pattern(TABLE, 4));
	assert_true(page_is_mapped(f, 0, TABLE & ~0xfffu));
}

static void a_trap_takes_its_page_out_of_the_areas(void **state)
{
	struct fixture *f = *state;
	struct bk_device_region region = { 0 };
	struct areas areas;

	mirror(f, "bar2+0xf00/0x100:mirror");
	assert_int_equal(bk_device_region(bk_mediator_device(f->mediate), 2, &region), 0);
	areas = areas_of(bk_mediator_device(f->mediate), 2);
	assert_int_equal(areas.count, 1);
	assert_int_equal(areas.at[0].offset, 0x1000);
	assert_int_equal(areas.at[0].size, 0xff000);
}

static void a_moved_msix_table_is_in_its_registers(void **state)
{
	struct fixture *f = *state;
	const struct bk_mediator_options moved = { .filter = true, .msix_move = true, .msix_bar = 1 };
	struct bk_device_region region = { 0 };

	again_with(f, &moved);
	assert_int_equal(rd(f, 7, 0x74, 4), 0x400001);
	assert_int_equal(rd(f, 7, 0x78, 4), 0x400081);
	assert_int_equal(bk_device_region(bk_mediator_device(f->mediate), 1, &region), 0);
	assert_int_equal(region.size, 0x800000);
	wr(f, 7, 0x14, 4, 0xffffffff);
	assert_int_equal(rd(f, 7, 0x14, 4), 0xff800008);
	wr(f, 7, 0x16, 1, 0);
	assert_int_equal(rd(f, 7, 0x14, 4), 0xff000008);
	assert_int_equal(rd(f, 1, 0x400000, 4), 0xffffffff);
}

static void a_given_rom_is_read_and_sized(void **state)
{
	struct fixture *f = *state;
	static const uint8_t image[3000] = { 0x55, 0xaa };
	const struct bk_mediator_options rom = { .filter = true, .rom_image = image, .rom_size = 3000 };

	wr(f, 7, 0x30, 4, 0xfffff800);
	assert_int_equal(rd(f, 7, 0x30, 4), 0); /* no ROM, whatever the device's register does */
	again_with(f, &rom);
	wr(f, 7, 0x30, 4, 0xfffff801);
	assert_int_equal(rd(f, 7, 0x30, 4), 0xfffff001);
	assert_int_equal(rd(f, 6, 0, 2), 0xaa55);
}

static void capabilities_are_found_in_the_devices_own_chain(void **state)
{
	struct fixture *f = *state;
	unsigned at;

	assert_int_equal(bk_mediator_capability(f->mediate, false, 0x11, &at), 0);
	assert_int_equal(at, 0x70);
	assert_int_equal(bk_mediator_capability(f->mediate, false, 0x05, &at), -ENOENT);
}

static void a_capability_of_which_a_register_cannot_be_read_is_not_found(void **state)
{
	struct fixture *f = *state;
	unsigned reads = 0, at;

	calls_fail(&f->fake, 0);
	do {
		int r;

		calls.failed = false;
		calls.until = reads + 1;
		r = bk_mediator_capability(f->mediate, false, 0x11, &at);
		calls.until = 0;
		assert_int_equal(r, calls.failed ? -ENOENT : 0);
		reads += calls.failed;
	} while (calls.failed);
	assert_int_equal(at, 0x70);
	assert_int_equal(reads, 3); /* STATUS, the pointer, and the capability's header */
}

static void a_reset_is_the_devices_alone(void **state)
{
	struct fixture *f = *state;

	f->fake.config_writes = 0;
	assert_int_equal(bk_device_reset(bk_mediator_device(f->mediate)), 0);
	assert_int_equal(f->fake.resets, 1);
	assert_int_equal(f->fake.config_writes, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_filter, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(making_one_changes_nothing_in_the_device),
		TEST(config_space_is_the_devices_at_each_access),
		TEST(the_msix_table_is_no_trap),
		TEST(a_trap_takes_its_page_out_of_the_areas),
		TEST(a_moved_msix_table_is_in_its_registers),
		TEST(a_given_rom_is_read_and_sized),
		TEST(capabilities_are_found_in_the_devices_own_chain),
		TEST(a_capability_of_which_a_register_cannot_be_read_is_not_found),
		TEST(a_reset_is_the_devices_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
