/* SPDX-License-Identifier: BSD-2-Clause */
/* Traps that are placed by capability or over the VGA ranges, and traps laid over wider reads. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "trap_kit.h"

/* ---- By capability ----------------------------------------------------- */

static void traps_are_placed_by_capability(void **state)
{
	struct fixture *f = *state;
	static struct recorder r;
	struct bk_trap_desc desc = {
		.region = BK_DEVICE_CONFIG,
		.from = BK_TRAP_FROM_CAPABILITY,
		.capability = 0x11,
		.offset = 2,
		.length = 2,
		.ops = &recorder_ops,
		.opaque = &r,
	};
	struct bk_trap *trap;
	struct bk_error err;
	unsigned at = 0;

	r.region = BK_DEVICE_CONFIG;
	assert_int_equal(bk_mediator_capability(f->mediate, false, 0x11, &at), 0);
	assert_int_equal(at, 0x70);
	assert_int_equal(bk_trap_add(f->mediate, &desc, &trap, &err), 0);
	rd(f, BK_DEVICE_CONFIG, 0x72, 2);
	assert_int_equal(called(&r), 1);
	assert_int_equal(r.offset[0], 0x72); /* from the region's start, as ever */
	desc.capability = 0x10;
	assert_int_equal(bk_trap_add(f->mediate, &desc, &trap, &err), -ENOENT);
	assert_non_null(strstr(err.text, "no capability 0x10"));
	desc.from = BK_TRAP_FROM_EXTENDED;
	assert_int_equal(bk_trap_add(f->mediate, &desc, &trap, &err), -ENOENT);
	assert_non_null(strstr(err.text, "no extended capability 0x10"));
	desc.from = BK_TRAP_FROM_CAPABILITY;
	desc.capability = 0x11;
	desc.region = 0;
	assert_int_equal(bk_trap_add(f->mediate, &desc, &trap, &err), -EINVAL);
	desc.region = BK_DEVICE_CONFIG;
	desc.offset = UINT64_MAX - 0x60;
	assert_int_equal(bk_trap_add(f->mediate, &desc, &trap, &err), -EINVAL);
}

static int setup_extended(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fake_init(&f->fake);
	fake_bar(&f->fake, 0, 0, 0x1000, true);
	fake_put(&f->fake, 0x100, 4, 0x14010003); /* serial number, then at 0x140 ... */
	fake_put(&f->fake, 0x140, 4, 0x00010018); /* ... LTR */
	f->domain = bk_domain_create();
	bk_log_set(quiet, NULL);
	*state = f;
	return bk_mediator_create(f->domain, &f->fake.device, NULL, &f->mediate, NULL);
}

static void traps_are_placed_by_extended_capability(void **state)
{
	struct fixture *f = *state;
	struct bk_trap_desc spec = { 0 };
	struct bk_trap *trap;
	struct bk_error err;
	unsigned at = 0;

	assert_int_equal(bk_mediator_capability(f->mediate, true, 0x18, &at), 0);
	assert_int_equal(at, 0x140);
	assert_int_equal(bk_mediator_capability(f->mediate, true, 0x19, &at), -ENOENT);
	assert_int_equal(bk_mediator_capability(f->mediate, false, 0x11, &at), -ENOENT);
	/* The constant's bytes count from the trap's start, wherever that is. */
	assert_int_equal(bk_trap_parse("ext:0x18+6/2:const=0xabcd", &spec, &err), 0);
	assert_int_equal(bk_trap_add(f->mediate, &spec, &trap, &err), 0);
	assert_int_equal(rd(f, BK_DEVICE_CONFIG, 0x146, 2), 0xabcd);
	assert_int_equal(rd(f, BK_DEVICE_CONFIG, 0x147, 1), 0xab);
	assert_int_equal(bk_trap_parse("ext:0x19+0/4:log", &spec, &err), 0);
	assert_int_equal(bk_trap_add(f->mediate, &spec, &trap, &err), -ENOENT);
	assert_int_equal(bk_trap_parse("cap:0x100+0/4:log", &spec, &err), -EINVAL);
	assert_int_equal(bk_trap_parse("cap:+0/4:log", &spec, &err), -EINVAL);
	assert_int_equal(bk_trap_parse("cap:0x11+2/2:log:overlay", &spec, &err), 0);
	assert_true(spec.overlay);
	assert_int_equal(spec.from, BK_TRAP_FROM_CAPABILITY);
	assert_int_equal(spec.capability, 0x11);
	assert_int_equal(spec.region, BK_DEVICE_CONFIG);
}

/* ---- Overlay ----------------------------------------------------------- */

static struct bk_trap *add_overlay(struct fixture *f, struct recorder *r, unsigned region, uint64_t offset,
				   uint64_t length)
{
	struct bk_trap_desc desc = {
		.region = region,
		.offset = offset,
		.length = length,
		.overlay = true,
		.name = "overlay",
		.ops = &recorder_ops,
		.opaque = r,
	};
	struct bk_trap *trap;
	struct bk_error err;

	r->base = offset;
	r->region = region;
	if (bk_trap_add(f->mediate, &desc, &trap, &err))
		fail_msg("%s", err.text);
	return trap;
}

/* The bytes of an access of which [first, end) are the trap's, 0x40 and up, and the others the device's. */
static uint64_t mixed(uint64_t at, unsigned width, uint64_t first, uint64_t end)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < width; i++) {
		uint64_t byte =
			at + i >= first && at + i < end ? 0x40 + (at + i - first) : fake_pattern(at + i, 1);

		value |= byte << 8 * i;
	}
	return value;
}

/* F21: every width at every alignment over both edges of a trap of 1, 2, 4, 8 and 12 bytes. */
static void F21_an_overlay_leaves_the_devices_read_whole(void **state)
{
	struct fixture *f = *state;
	const unsigned widths[] = { 1, 2, 4, 8 }, lengths[] = { 1, 2, 4, 8, 12 };
	static struct recorder r;

	for (unsigned i = 0; i < 4096; i++)
		r.bytes[i] = (uint8_t)(0x40 + i);
	for (unsigned l = 0; l < 5; l++) {
		for (uint64_t first = 0x100; first < 0x108; first++) {
			const uint64_t end = first + lengths[l];
			struct bk_trap *trap = add_overlay(f, &r, 2, first, lengths[l]);

			for (unsigned i = 0; i < 4; i++) {
				for (uint64_t at = first - 9; at < end + 2; at++) {
					const unsigned w = widths[i];
					const bool apart = at + w <= first || at >= end;
					const bool inside = at >= first && at + w <= end;
					const struct fake_access *a = &f->fake.access[0];
					unsigned calls = called(&r);

					f->fake.accesses = 0;
					assert_int_equal(rd(f, 2, at, w), mixed(at, w, first, end));
					assert_int_equal(f->fake.accesses, inside ? 0 : 1);
					assert_int_equal(called(&r) == calls, apart);
					if (inside)
						continue;
					assert_int_equal(a->offset, at);
					assert_int_equal(a->count, w);
				}
			}
			bk_trap_remove(trap);
			assert_int_equal(bk_domain_synchronize(f->domain), 0);
		}
	}
}

static void writes_over_the_edge_of_an_overlay_are_cut(void **state)
{
	struct fixture *f = *state;
	static struct recorder r;

	add_overlay(f, &r, 2, 0x104, 4);
	f->fake.accesses = 0;
	wr(f, 2, 0x100, 8, 0x8877665544332211);
	assert_int_equal(r.writes, 1);
	assert_int_equal(r.width[0], 4);
	assert_int_equal(f->fake.accesses, 1);
	assert_int_equal(f->fake.access[0].offset, 0x100);
	assert_int_equal(f->fake.access[0].count, 4);
	assert_int_equal(f->fake.access[0].value, 0x44332211);
}

/* No other trap is passed over by the wide read, and what no device read can be is cut as ever. */
static void an_overlay_gives_its_neighbours_their_own(void **state)
{
	struct fixture *f = *state;
	static struct recorder overlay, plain;
	uint8_t bytes[6];

	memset(overlay.bytes, 0xaa, sizeof(overlay.bytes));
	memset(plain.bytes, 0xbb, sizeof(plain.bytes));
	add_overlay(f, &overlay, 0, 0x104, 2);
	add(f, &plain, 0, 0x102, 1, 0);
	f->fake.accesses = 0;
	assert_int_equal(rd(f, 0, 0x100, 8),
			 (fake_pattern(0x100, 8) & 0xffff0000ff00ffff) | 0x0000aaaa00bb0000);
	assert_int_equal(f->fake.accesses, 1);
	assert_int_equal(called(&plain), 1);
	/* 3, 5, 6 and 7 bytes are no width that a device knows. */
	f->fake.accesses = 0;
	assert_int_equal(bk_space_read_bytes(bk_mediator_space(f->mediate, 0), 0x103, bytes, 6), 0);
	assert_int_equal(f->fake.accesses, 3); /* 0x103, 0x106 in 2, 0x108 */
	assert_int_equal(bytes[1], 0xaa);
	assert_int_equal(bytes[3], fake_pattern(0x106, 1));
	/* Beside the MSI-X table, which is the function's: its 8 bytes are not the device's. */
	add_overlay(f, &overlay, 0, TABLE - 4, 4);
	f->fake.accesses = 0;
	assert_int_equal(rd(f, 0, TABLE - 4, 8), 0xaaaaaaaa);
	/* At the ends of the BAR. */
	add_overlay(f, &plain, 2, 0xffffe, 2);
	assert_int_equal(rd(f, 2, 0xffffc, 4), (fake_pattern(0xffffc, 4) & 0xffff) | 0xbbbb0000);
	assert_int_equal(bk_space_read_bytes(bk_mediator_space(f->mediate, 2), 0xffffc, bytes, 4), 0);
	assert_int_equal(rd(f, 2, 0xffffc, 8), (fake_pattern(0xffffc, 4) & 0xffff) | 0xffffffffbbbb0000);
}

/* F27: the wide read fails: the trap's bytes are its own, the others all ones, and it is counted. */
static void F27_a_wide_read_that_fails_gives_all_ones(void **state)
{
	struct fixture *f = *state;
	static struct recorder r;
	struct bk_space *space = bk_mediator_space(f->mediate, 2);
	uint64_t value;

	memset(r.bytes, 0xaa, sizeof(r.bytes));
	add_overlay(f, &r, 2, 0x104, 4);
	f->fake.fail = EIO;
	assert_int_equal(bk_space_read(space, 0x100, 8, &value), -EIO);
	assert_int_equal(value, 0xaaaaaaaaffffffff);
	f->fake.fail = 0;
	r.error = -EIO;
	assert_int_equal(bk_space_read(space, 0x100, 8, &value), -EIO);
	assert_int_equal(value, 0xffffffff00000000 | fake_pattern(0x100, 4));
}

/* ---- VGA --------------------------------------------------------------- */

static int create_vga(struct fixture *f, unsigned class_code, bool has, struct bk_error *err)
{
	struct bk_mediator_options options = { .vga = true };

	fake_init(&f->fake);
	fake_put(&f->fake, 8, 4, class_code << 8);
	if (has) {
		f->fake.regions[BK_DEVICE_VGA].size = 0xc0000;
		f->fake.regions[BK_DEVICE_VGA].flags = BK_DEVICE_READ | BK_DEVICE_WRITE;
		f->fake.bytes[BK_DEVICE_VGA] = malloc(0xc0000);
		for (unsigned i = 0; i < 0xc0000; i++)
			f->fake.bytes[BK_DEVICE_VGA][i] = (uint8_t)fake_pattern(i, 1);
	}
	f->domain = bk_domain_create();
	bk_log_set(quiet, NULL);
	return bk_mediator_create(f->domain, &f->fake.device, &options, &f->mediate, err);
}

static void destroy_vga(struct fixture *f)
{
	bk_mediator_destroy(f->mediate);
	assert_true(f->fake.closed);
	assert_int_equal(bk_domain_destroy(f->domain), 0);
	free(f->fake.bytes[BK_DEVICE_VGA]);
	fake_done(&f->fake);
	bk_log_set(NULL, NULL);
}

static void vga_ranges_carry_traps(void **state)
{
	static struct fixture f;
	static struct recorder r;
	struct bk_trap_desc desc = {
		.region = BK_DEVICE_VGA, .offset = 0x3bc, .length = 1, .ops = &recorder_ops
	};
	struct bk_device_region region = { 0 };
	struct bk_trap_desc spec = { 0 };
	struct bk_trap *trap;
	struct bk_error err;

	assert_int_equal(create_vga(&f, 0x030000, true, &err), 0);
	assert_int_equal(rd(&f, BK_DEVICE_VGA, 0x3c3, 1), fake_pattern(0x3c3, 1));
	wr(&f, BK_DEVICE_VGA, 0xb8000, 4, 5);
	assert_int_equal(f.fake.access[f.fake.accesses - 1].region, BK_DEVICE_VGA);
	assert_int_equal(f.fake.access[f.fake.accesses - 1].offset, 0xb8000);
	/* Ports that are not VGA's are nobody's. */
	assert_int_equal(rd(&f, BK_DEVICE_VGA, 0x3bc, 4), 0xffffffff);

	add(&f, &r, BK_DEVICE_VGA, 0x3c3, 1, 0);
	rd(&f, BK_DEVICE_VGA, 0x3c0, 4);
	assert_int_equal(called(&r), 1);
	assert_int_equal(r.offset[0], 0x3c3);
	assert_int_equal(bk_trap_add(f.mediate, &desc, &trap, &err), -EINVAL);
	assert_non_null(strstr(err.text, "VGA range"));
	desc.offset = 0x3df;
	desc.length = 2;
	assert_int_equal(bk_trap_add(f.mediate, &desc, &trap, &err), -EINVAL);
	assert_int_equal(bk_trap_parse("vga+0xa0000/0x20000:log", &spec, &err), 0);
	assert_int_equal(bk_trap_add(f.mediate, &spec, &trap, &err), 0);

	assert_int_equal(bk_device_region(bk_mediator_device(f.mediate), BK_DEVICE_VGA, &region), 0);
	assert_int_equal(region.size, 0xc0000);
	assert_int_equal(region.flags, BK_DEVICE_READ | BK_DEVICE_WRITE);
	destroy_vga(&f);
}

/* Through COMMAND and a bus, as a guest reaches them. */
static void vga_ranges_show_on_the_bus(void **state)
{
	static struct fixture f;
	static struct recorder r;
	struct bk_space *memory, *ports;
	struct bk_pci_window windows[2];
	struct bk_pci_host_desc desc = { .windows = windows, .window_count = 2 };
	struct bk_pci_host *host;
	struct bk_error err;
	uint64_t value;

	assert_int_equal(create_vga(&f, 0x030000, true, &err), 0);
	memory = bk_space_create(f.domain, "memory", UINT64_MAX);
	ports = bk_space_create(f.domain, "ports", 0xffff);
	desc.domain = f.domain;
	windows[0] = (struct bk_pci_window){ .kind = BK_PCI_WINDOW_MEMORY,
					     .space = memory,
					     .first = 0xa0000,
					     .last = 0xbffff,
					     .bus_first = 0xa0000 };
	windows[1] =
		(struct bk_pci_window){ .kind = BK_PCI_WINDOW_IO, .space = ports, .first = 0, .last = 0xcf7 };
	assert_int_equal(bk_pci_host_create(&desc, &host, &err), 0);
	assert_int_equal(bk_pci_function_attach(bk_mediator_function(f.mediate), bk_pci_host_bus(host), 8),
			 0);

	bk_space_read(ports, 0x3c3, 1, &value);
	assert_int_equal(value, 0xff);
	bk_space_write(bk_pci_function_config(bk_mediator_function(f.mediate)), 4, 2, 3);
	bk_space_read(ports, 0x3c3, 1, &value);
	assert_int_equal(value, fake_pattern(0x3c3, 1));
	bk_space_read(ports, 0x3b4, 2, &value);
	assert_int_equal(value, fake_pattern(0x3b4, 2));
	bk_space_read(memory, 0xb8000, 4, &value);
	assert_int_equal(value, fake_pattern(0xb8000, 4));
	memset(r.bytes, 0x5a, sizeof(r.bytes));
	add(&f, &r, BK_DEVICE_VGA, 0xb8000, 0x100, 0);
	bk_space_read(memory, 0xb8000, 4, &value);
	assert_int_equal(value, 0x5a5a5a5a);

	bk_pci_function_detach(bk_mediator_function(f.mediate));
	assert_int_equal(bk_pci_host_destroy(host), 0);
	assert_int_equal(bk_space_destroy(memory), 0);
	assert_int_equal(bk_space_destroy(ports), 0);
	destroy_vga(&f);
}

static void vga_is_refused_where_there_is_none(void **state)
{
	static struct fixture f;
	struct bk_error err;

	assert_int_equal(create_vga(&f, 0x020000, true, &err), -EINVAL);
	assert_non_null(strstr(err.text, "020000"));
	destroy_vga(&f);
	memset(&f, 0, sizeof(f));
	assert_int_equal(create_vga(&f, 0x030000, false, &err), -EINVAL);
	assert_non_null(strstr(err.text, "no legacy VGA"));
	destroy_vga(&f);
}

int main(void)
{
#define WITH_DEVICE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_DEVICE(traps_are_placed_by_capability),
		cmocka_unit_test_setup_teardown(traps_are_placed_by_extended_capability, setup_extended,
						teardown),
		WITH_DEVICE(F21_an_overlay_leaves_the_devices_read_whole),
		WITH_DEVICE(writes_over_the_edge_of_an_overlay_are_cut),
		WITH_DEVICE(an_overlay_gives_its_neighbours_their_own),
		WITH_DEVICE(F27_a_wide_read_that_fails_gives_all_ones),
		cmocka_unit_test(vga_ranges_carry_traps),
		cmocka_unit_test(vga_ranges_show_on_the_bus),
		cmocka_unit_test(vga_is_refused_where_there_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
