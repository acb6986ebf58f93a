/* SPDX-License-Identifier: BSD-2-Clause */
/* The quirks that barkeep ships for GPUs of Nvidia and AMD: what a guest sees, and what reaches the device,
 * access by access. */
#include <errno.h>

#include "quirk_shipped.h"

/* What of config space is in no capability, all the same byte. */
static void own_registers(struct fixture *f, uint8_t byte)
{
	for (unsigned i = 0x40; i < 0x1000; i++)
		fake_put(&f->fake, i, 1, byte);
	fake_put(&f->fake, 0x100, 4, 0);
}

/* ---- Nvidia ------------------------------------------------------------ */

static void nvidia(struct fixture *f)
{
	ids(f, 0x10de, 0x1b80, 0x030000);
	bar(f, 0, 0, 0x1000000);
	bar(f, 1, 0xc, 0x10000);
	bar(f, 5, 1, 128);
	own_registers(f, 0xa1);
	fake_put(&f->fake, 0x10, 4, 0xdead0000); /* the host's */
}

static void nvidia_mirror(void **state)
{
	struct fixture *f = *state;

	nvidia(f);
	capability(f, 0x60, 0x05);
	fake_put(&f->fake, 0x62, 2, 0x0080);
	apply_shipped(f, "nvidia-bar0-mirror", NULL, 0);
	PLAY(f, { 'w', CONFIG, 0x10, 4, 0xe1000000 },
	     /* Reads reach the hardware, and are answered by the guest's config space. */
	     { 'r', 0, 0x88000, 4, 0x1b8010de }, { 'R', 0, 0x88000, 4, 0 },
	     { 'r', 0, 0x88010, 4, 0xe1000000 }, { 'R', 0, 0x88010, 4, 0 }, { 'r', 0, 0x88013, 1, 0xe1 },
	     { 'R', 0, 0x88013, 1, 0 }, { 'r', 0, 0x88012, 2, 0xe100 }, { 'R', 0, 0x88012, 2, 0 },
	     /* Writes reach the guest's config space alone. */
	     { 'w', 0, 0x88010, 4, 0xf2000000 }, { 'r', CONFIG, 0x10, 4, 0xf2000000 },
	     { 'w', 0, 0x88700, 4, 0 }, { 'w', 0, 0x88ffc, 4, 1 },
	     /* Behind the mirror the registers are the device's. */
	     { 'r', 0, 0x89000, 4, fake_pattern(0x89000, 4) }, { 'R', 0, 0x89000, 4, 0 },
	     { 'r', 0, 0x87ffc, 4, fake_pattern(0x87ffc, 4) }, { 'R', 0, 0x87ffc, 4, 0 });
	assert_int_equal(fake_get(&f->fake, 0x10, 4), 0xdead0000);
}

/* Drivers shadow the ROM, for one, by bit 0 of 0x50. */
static void registers_in_the_mirror_that_no_capability_has(void **state)
{
	struct fixture *f = *state;

	nvidia(f);
	capability(f, 0x60, 0x05);
	fake_put(&f->fake, 0x62, 2, 0x0080);
	apply_shipped(f, "nvidia-bar0-mirror", NULL, 0);
	PLAY(f, { 'r', 0, 0x88050, 4, 0xa1a1a1a1 }, { 'R', 0, 0x88050, 4, 0 },
	     { 'w', 0, 0x88050, 4, 0xa1a1a1a0 }, { 'r', CONFIG, 0x50, 4, 0xa1a1a1a0 },
	     /* MSI stays the guest's. */
	     { 'w', 0, 0x88064, 4, 0xfee00000 }, { 'r', 0, 0x88064, 4, 0xfee00000 },
	     { 'R', 0, 0x88064, 4, 0 }, { 'r', 0, 0x88420, 4, 0xa1a1a1a1 }, { 'R', 0, 0x88420, 4, 0 },
	     { 'w', 0, 0x88420, 4, 0x12345678 });
	assert_int_equal(fake_get(&f->fake, 0x50, 4), 0xa1a1a1a0);
	assert_int_equal(fake_get(&f->fake, 0x64, 4), 0xa1a1a1a1);
	assert_int_equal(fake_get(&f->fake, 0x420, 4), 0x12345678);
}

static void writes_inside_the_first_two_bytes_of_msi_reach_the_hardware_too(void **state)
{
	struct fixture *f = *state;

	nvidia(f);
	capability(f, 0x60, 0x05);
	fake_put(&f->fake, 0x62, 2, 0x0080);
	apply_shipped(f, "nvidia-bar0-mirror", NULL, 0);
	PLAY(f, { 'w', 0, 0x88060, 1, 0xff }, { 'W', 0, 0x88060, 1, 0xff }, { 'w', 0, 0x88061, 1, 0xff },
	     { 'W', 0, 0x88061, 1, 0xff }, { 'w', 0, 0x88060, 2, 0xffff }, { 'W', 0, 0x88060, 2, 0xffff },
	     { 'w', 0, 0x88060, 4, 0xffff }, { 'w', 0, 0x88062, 1, 0xff }, { 'w', 0, 0x8805f, 1, 0xff },
	     { 'w', 0, 0x88061, 2, 0xffff }, { 'w', 0, 0x88000, 1, 0xff }, { 'r', 0, 0x88060, 1, 0x05 },
	     { 'R', 0, 0x88060, 1, 0 });
}

/* The device below is asked through the quirk. */
static unsigned asked, reached;

static int ioeventfd(struct bk_device *device, unsigned region, uint64_t offset, unsigned width,
		     uint64_t value, int fd)
{
	reached += region == 0 && offset == 0x88704 && width == 4 && value == 0 && fd == 17;
	return 0;
}

static int accelerate(void *opaque, const struct bk_accelerated *what, void **handle)
{
	struct fixture *f = opaque;

	assert_int_equal(what->bar, 0);
	assert_int_equal(what->offset, 0x88704);
	assert_int_equal(what->width, 4);
	assert_int_equal(what->value, 0);
	assert_int_equal(bk_device_ioeventfd(bk_mediator_below(f->mediate), 0, 0x88704, 4, 0, 17), 0);
	asked++;
	return 0;
}

static void decelerate(void *opaque, void *handle)
{
	asked--;
}

static void the_same_write_ten_times_is_the_kernels(void **state)
{
	struct fixture *f = *state;
	static const struct bk_accelerator_ops ops = { .start = accelerate, .stop = decelerate };
	struct bk_device_ops below = *f->fake.device.ops;

	below.ioeventfd = ioeventfd;
	f->fake.device.ops = &below;
	nvidia(f);
	capability(f, 0x60, 0x05);
	fake_put(&f->fake, 0x62, 2, 0x0080);
	apply_shipped(f, "nvidia-bar0-mirror", NULL, 0);
	bk_mediator_accelerate(f->mediate, &ops, f);
	for (unsigned i = 0; i < 9; i++)
		PLAY(f, { 'w', 0, 0x88704, 4, 0 }, { 'W', 0, 0x88704, 4, 0 });
	PLAY(f, { 'r', 0, 0x88704, 4, 0xa1a1a1a1 }, { 'R', 0, 0x88704, 4, 0 });
	assert_int_equal(asked, 0);
	PLAY(f, { 'w', 0, 0x88704, 4, 0 }, { 'W', 0, 0x88704, 4, 0 });
	assert_int_equal(asked, 1);
	assert_int_equal(reached, 1);
	for (unsigned i = 0; i < 20; i++)
		PLAY(f, { 'w', 0, 0x88710, 4, 0 });
	assert_int_equal(asked, 1);
	assert_int_equal(bk_device_reset(bk_mediator_device(f->mediate)), 0);
	assert_int_equal(asked, 0);
	bk_mediator_destroy(f->mediate); /* while the table of calls is there */
	f->mediate = NULL;
	f->stack = NULL;
}

static void without_msi_nothing_is_forwarded(void **state)
{
	struct fixture *f = *state;

	nvidia(f);
	apply_shipped(f, "nvidia-bar0-mirror", NULL, 0);
	PLAY(f, { 'w', 0, 0x88000, 1, 0xff }, { 'w', 0, 0x88060, 1, 0xff });
}

static void a_small_config_space_has_a_small_mirror(void **state)
{
	struct fixture *f = *state;

	nvidia(f);
	f->fake.regions[CONFIG].size = 256;
	apply_shipped(f, "nvidia-bar0-mirror", NULL, 0);
	PLAY(f, { 'r', 0, 0x88000, 2, 0x10de }, { 'R', 0, 0x88000, 2, 0 },
	     { 'r', 0, 0x88100, 2, fake_pattern(0x88100, 2) }, { 'R', 0, 0x88100, 2, 0 },
	     { 'r', 0, 0x88704, 4, fake_pattern(0x88704, 4) }, { 'R', 0, 0x88704, 4, 0 },
	     { 'w', 0, 0x88704, 4, 7 }, { 'W', 0, 0x88704, 4, 7 }, { 'r', 0, 0x88704, 4, 7 },
	     { 'R', 0, 0x88704, 4, 0 });
}

static void every_class_of_display_has_the_mirror(void **state)
{
	struct fixture *f = *state;

	nvidia(f);
	assert_int_equal(matches(f, "nvidia-bar0-mirror", NULL, 0), 1);
	for (unsigned i = 0; i < 2; i++) { /* 3D controllers (compute boards), other displays */
		ids(f, 0x10de, 0x1db1, i ? 0x038000 : 0x030200);
		assert_int_equal(matches(f, "nvidia-bar0-mirror", NULL, 0), 1);
		ids(f, 0x10de, 0x2330, i ? 0x038000 : 0x030200);
		assert_int_equal(matches(f, "nvidia-ep-mirror", NULL, 0), 1);
	}
	ids(f, 0x10de, 0x1aef, 0x040300); /* the sound of a board */
	assert_int_equal(matches(f, "nvidia-bar0-mirror", NULL, 0), 0);
	ids(f, 0x10de, 0x22a3, 0x068000); /* NVSwitch */
	assert_int_equal(matches(f, "nvidia-bar0-mirror", NULL, 0), 0);
	assert_int_equal(matches(f, "nvidia-ep-mirror", NULL, 0), 0);
	ids(f, 0x10df, 0x1b80, 0x030000);
	assert_int_equal(matches(f, "nvidia-bar0-mirror", NULL, 0), 0);
}

static void each_generation_has_one_mirror(void **state)
{
	static const struct {
		unsigned device;
		bool later;
	} chips[] = {
		{ 0x0020, false }, { 0x0191, false }, { 0x0f00, false },
		{ 0x1380, false },                                       /* NV4 to Maxwell */
		{ 0x1b80, false }, { 0x1db1, false }, { 0x1e04, false }, /* to Turing */
		{ 0x20b0, false }, { 0x2204, false }, { 0x25a0, false }, /* GA100, GA10x */
		{ 0x2684, false }, { 0x26b9, false }, { 0x28e1, false }, /* Ada */
		{ 0x2302, true },  { 0x2330, true },  { 0x2342, true },
		{ 0x23f0, true }, /* GH100 */
		{ 0x2901, true },  { 0x2941, true },  { 0x2b85, true },
		{ 0x2c02, true }, /* Blackwell */
		{ 0x2d04, true },  { 0x2f04, true },  { 0x3182, true },
	};
	struct fixture *f = *state;

	nvidia(f);
	for (size_t i = 0; i < sizeof(chips) / sizeof(chips[0]); i++) {
		ids(f, 0x10de, chips[i].device, 0x030200);
		assert_int_equal(matches(f, "nvidia-bar0-mirror", NULL, 0), !chips[i].later);
		assert_int_equal(matches(f, "nvidia-ep-mirror", NULL, 0), chips[i].later);
	}
}

static void mirror_of_hopper_and_blackwell(void **state)
{
	struct fixture *f = *state;

	nvidia(f);
	ids(f, 0x10de, 0x2330, 0x030200);
	capability(f, 0x60, 0x05);
	fake_put(&f->fake, 0x62, 2, 0x0080);
	apply_shipped(f, "nvidia-ep-mirror", NULL, 0);
	PLAY(f, { 'w', CONFIG, 0x10, 4, 0xe1000000 },
	     /* Reads reach the hardware, and are answered by the guest's config space. */
	     { 'r', 0, 0x92000, 4, 0x233010de }, { 'R', 0, 0x92000, 4, 0 },
	     { 'r', 0, 0x92010, 4, 0xe1000000 }, { 'R', 0, 0x92010, 4, 0 },
	     /* Writes reach the guest's config space alone, also those to MSI. */
	     { 'w', 0, 0x92010, 4, 0xf2000000 }, { 'r', CONFIG, 0x10, 4, 0xf2000000 },
	     { 'w', 0, 0x92060, 1, 0xff },
	     /* Elsewhere, and where older GPUs have theirs, are the device's registers. */
	     { 'r', 0, 0x93000, 4, fake_pattern(0x93000, 4) }, { 'R', 0, 0x93000, 4, 0 },
	     { 'r', 0, 0x91ffc, 4, fake_pattern(0x91ffc, 4) }, { 'R', 0, 0x91ffc, 4, 0 },
	     { 'r', 0, 0x88000, 4, fake_pattern(0x88000, 4) }, { 'R', 0, 0x88000, 4, 0 });
	assert_int_equal(fake_get(&f->fake, 0x10, 4), 0xdead0000);
}

static void nvidia_mirror_at_1800(void **state)
{
	struct fixture *f = *state;

	nvidia(f);
	capability(f, 0x60, 0x05);
	assert_int_equal(matches(f, "nvidia-bar0-1800", NULL, 0), 0);
	assert_int_equal(matches(f, "nvidia-bar0-1800", "vga", 0), 0);
	apply_shipped(f, "nvidia-bar0-1800", "vga", 1);
	PLAY(f, { 'r', 0, 0x1800, 4, 0x1b8010de }, { 'R', 0, 0x1800, 4, 0 },
	     { 'w', 0, 0x1810, 4, 0xe1000000 }, { 'r', CONFIG, 0x10, 4, 0xe1000000 },
	     { 'w', 0, 0x1860, 1, 0xff }, { 'W', 0, 0x1860, 1, 0xff },
	     { 'r', 0, 0x1900, 1, fake_pattern(0x1900, 1) }, { 'R', 0, 0x1900, 1, 0 });
}

static void nvidia_window(void **state)
{
	struct fixture *f = *state;

	nvidia(f);
	assert_int_equal(matches(f, "nvidia-bar5-window", NULL, 0), 0);
	apply_shipped(f, "nvidia-bar5-window", "vga", 1);
	hold(f, 5, 0, 16, 0);
	PLAY(f, { 'w', CONFIG, 0x10, 4, 0xe1000000 },
	     /* Not enabled: the address is not watched, the data are the device's. */
	     { 'w', 5, 8, 4, 0x1810 }, { 'W', 5, 8, 4, 0x1810 }, { 'r', 5, 12, 4, 0 }, { 'R', 5, 12, 4, 0 },
	     { 'w', 5, 0, 4, 1 }, { 'W', 5, 0, 4, 1 }, { 'r', 5, 12, 4, 0 }, { 'R', 5, 12, 4, 0 },
	     { 'w', 5, 4, 4, 1 }, { 'W', 5, 4, 4, 1 }, { 'r', 5, 12, 4, 0 }, { 'R', 5, 12, 4, 0 },
	     /* Both bits: an address of the first range arms it. */
	     { 'w', 5, 8, 4, 0x1810 }, { 'W', 5, 8, 4, 0x1810 }, { 'r', 5, 12, 4, 0xe1000000 },
	     { 'R', 5, 12, 4, 0 }, { 'w', 5, 12, 4, 0xf2000000 }, { 'r', CONFIG, 0x10, 4, 0xf2000000 },
	     { 'r', 5, 14, 2, 0xf200 }, { 'R', 5, 14, 2, 0 },
	     /* The second range, and all of it. */
	     { 'w', 5, 8, 4, 0x88000 }, { 'W', 5, 8, 4, 0x88000 }, { 'r', 5, 12, 4, 0x1b8010de },
	     { 'R', 5, 12, 4, 0 }, { 'w', 5, 8, 4, 0x88ffc }, { 'W', 5, 8, 4, 0x88ffc }, { 'w', 5, 12, 4, 5 },
	     /* Beyond them it is disarmed. */
	     { 'w', 5, 8, 4, 0x1900 }, { 'W', 5, 8, 4, 0x1900 }, { 'w', 5, 12, 4, 0x55 },
	     { 'W', 5, 12, 4, 0x55 }, { 'r', 5, 12, 4, 0x55 }, { 'R', 5, 12, 4, 0 },
	     /* Armed, then one of the bits off. */
	     { 'w', 5, 8, 4, 0x1800 }, { 'W', 5, 8, 4, 0x1800 }, { 'w', 5, 0, 4, 2 }, { 'W', 5, 0, 4, 2 },
	     { 'r', 5, 12, 4, 0x55 }, { 'R', 5, 12, 4, 0 }, { 'w', 5, 0, 4, 3 }, { 'W', 5, 0, 4, 3 },
	     { 'r', 5, 12, 4, 0x1b8010de }, { 'R', 5, 12, 4, 0 });
}

static void nvidia_sequence_through_vga_ports(void **state)
{
	struct fixture *f = *state;

	nvidia(f);
	apply_shipped(f, "nvidia-vga-ports", "vga", 1);
	PLAY(f, { 'w', CONFIG, 0x10, 4, 0xe1000000 },
	     /* A read of the register at 0x1812. */
	     { 'w', VGA, 0x3d4, 2, 0x338 }, { 'W', VGA, 0x3d4, 2, 0x338 }, { 'w', VGA, 0x3d0, 2, 0x1812 },
	     { 'W', VGA, 0x3d0, 2, 0x1812 }, { 'w', VGA, 0x3d4, 2, 0x538 }, { 'W', VGA, 0x3d4, 2, 0x538 },
	     { 'r', VGA, 0x3d0, 2, 0xe100 }, { 'R', VGA, 0x3d0, 2, 0 },
	     /* Once only. */
	     { 'r', VGA, 0x3d0, 2, 0x1812 }, { 'R', VGA, 0x3d0, 2, 0 },
	     /* A write there: the device does not see the data. */
	     { 'w', VGA, 0x3d4, 2, 0x338 }, { 'W', VGA, 0x3d4, 2, 0x338 }, { 'w', VGA, 0x3d0, 2, 0x1812 },
	     { 'W', VGA, 0x3d0, 2, 0x1812 }, { 'w', VGA, 0x3d4, 2, 0x738 }, { 'W', VGA, 0x3d4, 2, 0x738 },
	     { 'w', VGA, 0x3d0, 2, 0xf200 }, { 'r', CONFIG, 0x10, 4, 0xf2000000 },
	     { 'w', VGA, 0x3d0, 2, 0x1111 }, { 'W', VGA, 0x3d0, 2, 0x1111 },
	     /* Another target is the device's. */
	     { 'w', VGA, 0x3d4, 2, 0x338 }, { 'W', VGA, 0x3d4, 2, 0x338 }, { 'w', VGA, 0x3d0, 2, 0x1912 },
	     { 'W', VGA, 0x3d0, 2, 0x1912 }, { 'w', VGA, 0x3d4, 2, 0x538 }, { 'W', VGA, 0x3d4, 2, 0x538 },
	     { 'r', VGA, 0x3d0, 2, 0x1912 }, { 'R', VGA, 0x3d0, 2, 0 },
	     /* Any other access in between begins anew. */
	     { 'w', VGA, 0x3d4, 2, 0x338 }, { 'W', VGA, 0x3d4, 2, 0x338 }, { 'r', VGA, 0x3d4, 2, 0x338 },
	     { 'R', VGA, 0x3d4, 2, 0 }, { 'w', VGA, 0x3d0, 2, 0x1812 }, { 'W', VGA, 0x3d0, 2, 0x1812 },
	     { 'w', VGA, 0x3d4, 2, 0x538 }, { 'W', VGA, 0x3d4, 2, 0x538 }, { 'r', VGA, 0x3d0, 2, 0x1812 },
	     { 'R', VGA, 0x3d0, 2, 0 });
}

static void nvidia_clique(void **state)
{
	struct fixture *f = *state;

	nvidia(f);
	assert_int_equal(matches(f, "nvidia-gpudirect", NULL, 0), 0);
	assert_int_equal(matches(f, "nvidia-gpudirect", "clique", 16), -EINVAL);
	capability(f, 0x60, 0x05);
	fake_put(&f->fake, 0x62, 2, 0x0080);
	apply_shipped(f, "nvidia-gpudirect", "clique", 5);
	PLAY(f, { 'r', CONFIG, 0x34, 1, 0x60 }, { 'r', CONFIG, 0x60, 2, 0xc805 },
	     { 'r', CONFIG, 0xc8, 4, 0x50080009 }, { 'r', CONFIG, 0xcc, 4, 0x00285032 },
	     { 'w', CONFIG, 0xcc, 4, 0 }, { 'r', CONFIG, 0xcc, 4, 0x00285032 },
	     { 'r', CONFIG, 0x60, 1, 0x05 });
}

static void nvidia_clique_elsewhere(void **state)
{
	struct fixture *f = *state;

	nvidia(f);
	capability(f, 0xc8, 0x09);
	fake_put(&f->fake, 0xca, 1, 8);
	apply_shipped(f, "nvidia-gpudirect", "clique", 0);
	PLAY(f, { 'r', CONFIG, 0x34, 1, 0xc8 }, { 'r', CONFIG, 0xc9, 1, 0xd4 },
	     { 'r', CONFIG, 0xd4, 4, 0x50080009 }, { 'r', CONFIG, 0xd8, 4, 0x5032 });
}

static void no_room_for_a_clique(void **state)
{
	struct fixture *f = *state;
	struct bk_quirk *quirk = load("nvidia-gpudirect");
	const struct bk_quirk_setting setting = { "clique", 1 };
	struct bk_device *device;
	struct bk_error err = { "" };

	nvidia(f);
	capability(f, 0xc8, 0x09);
	capability(f, 0xd8, 0x09);
	assert_int_equal(bk_quirk_stack(&f->fake.device,
					&(struct bk_quirk_stack_desc){ .quirks = &quirk,
								       .count = 1,
								       .settings = &setting,
								       .setting_count = 1 },
					&device, &err),
			 -ENOSPC);
	assert_non_null(strstr(err.text, "nvidia-gpudirect.yaml:13: there is no room"));
	assert_true(f->fake.closed);
	bk_quirk_destroy(quirk);
}

/* ---- ATI and AMD ------------------------------------------------------- */

static void ati(struct fixture *f)
{
	ids(f, 0x1002, 0x6649, 0x030000);
	own_registers(f, 0xa2);
	bar(f, 2, 0xc, 0x40000);
	bar(f, 4, 1, 256);
	bar(f, 5, 0, 0x40000);
}

static void ati_window(void **state)
{
	struct fixture *f = *state;

	ati(f);
	assert_int_equal(matches(f, "ati-bar4-window", NULL, 0), 0);
	apply_shipped(f, "ati-bar4-window", "vga", 1);
	hold(f, 4, 0, 8, 0);
	PLAY(f, { 'w', CONFIG, 0x18, 4, 0xe1000000 }, { 'r', 4, 4, 4, 0 }, { 'R', 4, 4, 4, 0 },
	     { 'w', 4, 0, 4, 0x4018 }, { 'W', 4, 0, 4, 0x4018 }, { 'r', 4, 4, 4, 0xe100000c },
	     { 'R', 4, 4, 4, 0 }, { 'r', 4, 7, 1, 0xe1 }, { 'R', 4, 7, 1, 0 }, { 'w', 4, 4, 4, 0xf2000000 },
	     { 'r', CONFIG, 0x18, 4, 0xf200000c }, { 'w', 4, 0, 4, 0x4fff }, { 'W', 4, 0, 4, 0x4fff },
	     { 'r', 4, 4, 1, 0xa2 }, { 'R', 4, 4, 1, 0 }, { 'w', 4, 0, 4, 0x5000 }, { 'W', 4, 0, 4, 0x5000 },
	     { 'w', 4, 4, 4, 0x77 }, { 'W', 4, 4, 4, 0x77 }, { 'r', 4, 4, 4, 0x77 }, { 'R', 4, 4, 4, 0 },
	     { 'r', 4, 0, 4, 0x5000 }, { 'R', 4, 0, 4, 0 });
}

static void ati_mirror(void **state)
{
	struct fixture *f = *state;

	ati(f);
	apply_shipped(f, "ati-bar2-mirror", "vga", 1);
	PLAY(f, { 'w', CONFIG, 0x18, 4, 0xe1000000 }, { 'r', 2, 0x4018, 4, 0xe100000c },
	     { 'R', 2, 0x4018, 4, 0 }, { 'w', 2, 0x4018, 4, 0xf2000000 },
	     { 'r', CONFIG, 0x18, 4, 0xf200000c }, { 'r', 2, 0x4080, 4, 0xa2a2a2a2 },
	     { 'R', 2, 0x4080, 4, 0 }, { 'w', 2, 0x4080, 4, 0x01020304 },
	     { 'r', CONFIG, 0x80, 4, 0x01020304 }, { 'r', 2, 0x4100, 4, fake_pattern(0x4100, 4) },
	     { 'R', 2, 0x4100, 4, 0 });
}

static void only_where_bar_2_is_64_bit(void **state)
{
	struct fixture *f = *state;

	ati(f);
	assert_int_equal(matches(f, "ati-bar2-mirror", "vga", 1), 1);
	fake_put(&f->fake, 0x18, 4, 0);
	assert_int_equal(matches(f, "ati-bar2-mirror", "vga", 1), 0);
}

static void ati_port_3c3(void **state)
{
	struct fixture *f = *state;

	ati(f);
	apply_shipped(f, "ati-vga-ports", "vga", 1);
	PLAY(f, { 'w', CONFIG, 0x20, 4, 0xc300 }, { 'r', VGA, 0x3c3, 1, 0xc3 }, { 'w', VGA, 0x3c3, 1, 1 },
	     { 'r', VGA, 0x3c3, 1, 0xc3 }, { 'w', VGA, 0x3c2, 1, 1 }, { 'W', VGA, 0x3c2, 1, 1 },
	     { 'r', VGA, 0x3c2, 2, 0xc301 }, { 'R', VGA, 0x3c2, 1, 0 });
}

static void only_with_256_ports(void **state)
{
	struct fixture *f = *state;

	ati(f);
	assert_int_equal(matches(f, "ati-vga-ports", "vga", 1), 1);
	f->fake.regions[4].size = 128;
	assert_int_equal(matches(f, "ati-vga-ports", "vga", 1), 0);
}

static void ati_vga_of_qemu(void **state)
{
	struct fixture *f = *state;

	ids(f, 0x1002, 0x5046, 0x030000);
	bar(f, 2, 0, 0x4000);
	apply_shipped(f, "ati-vga", NULL, 0);
	PLAY(f, { 'w', CONFIG, 0x18, 4, 0xe1000000 }, { 'r', 2, 0xf18, 4, 0xe1000000 },
	     { 'R', 2, 0xf18, 4, 0 }, { 'r', 2, 0xf1b, 1, 0xe1 }, { 'R', 2, 0xf1b, 1, 0 },
	     { 'w', 2, 0xf18, 4, 0xe2000000 }, { 'r', CONFIG, 0x18, 4, 0xe2000000 },
	     { 'r', 2, 0xefc, 4, fake_pattern(0xefc, 4) }, { 'R', 2, 0xefc, 4, 0 });
}

static void amd_reset(void **state)
{
	struct fixture *f = *state;
	static const struct fake_access expected[] = {
		{ 5, 0x200, 4, true, 0x80000004 }, { 5, 0x204, 4, false, 0 },
		{ 5, 0x200, 4, true, 0x80000370 }, { 5, 0x204, 4, false, 0 },
		{ 5, 0x200, 4, true, 0xc00c0000 }, { 5, 0x204, 4, false, 0 },
		{ 5, 0x200, 4, true, 0xc0000010 }, { 5, 0x204, 4, false, 0 },
		{ 5, 0x204, 4, true, 0x20102 },    { 5, 0x204, 4, false, 0 },
		{ 5, 0x5428, 4, false, 0 },        { 5, 0x200, 4, true, 0x80000000 },
		{ 5, 0x204, 4, false, 0 },         { 5, 0x204, 4, true, 0x20103 },
		{ 5, 0x200, 4, true, 0x80000004 }, { 5, 0x204, 4, false, 0 },
		{ 5, 0x204, 4, true, 0x20103 },
	};
	struct bk_device_info info = { 0 };

	ati(f);
	f->fake.info.flags = 0;
	f->fake.reset_result = -EOPNOTSUPP;
	stack(f, "amd-bonaire-hawaii-reset", NULL, 0);
	assert_int_equal(bk_device_info(f->stack, &info), 0);
	assert_int_equal(info.flags, BK_DEVICE_CAN_RESET);
	hold(f, 5, 0x204, 4, 0x20100);
	f->fake.accesses = 0;
	assert_int_equal(bk_device_reset(f->stack), 0);
	assert_int_equal(f->fake.resets, 0);
	assert_int_equal(f->fake.accesses, sizeof(expected) / sizeof(expected[0]));
	for (unsigned i = 0; i < f->fake.accesses; i++) {
		const struct fake_access *access = &f->fake.access[i];

		assert_int_equal(access->write, expected[i].write);
		assert_int_equal(access->offset, expected[i].offset);
		assert_int_equal(access->count, 4);
		if (access->write)
			assert_int_equal(access->value, expected[i].value);
	}
	assert_int_equal(fake_get(&f->fake, 0x7c, 4), 0x39d5e86b);
}

static void amd_polls_until_memory_is_back_or_time_is_up(void **state)
{
	struct fixture *f = *state;
	unsigned polls = 0;

	ati(f);
	f->fake.info.flags = 0;
	stack(f, "amd-bonaire-hawaii-reset", NULL, 0);
	hold(f, 5, 0x204, 4, 0x20100);
	hold(f, 5, 0x5428, 4, 0xffffffff);
	f->fake.accesses = 0;
	assert_int_equal(bk_device_reset(f->stack), 0);
	for (unsigned i = 0; i < f->fake.accesses; i++)
		polls += f->fake.access[i].offset == 0x5428;
	assert_true(polls > 5);
	assert_int_equal(f->fake.access[f->fake.accesses - 1].value, 0x20103);
}

static void amd_is_reset_at_the_end_if_a_guest_had_it(void **state)
{
	struct fixture *f = *state;
	const struct bk_device_dma dma = { .size = 0x1000, .fd = -1 };

	ati(f);
	f->fake.info.flags = 0;
	for (unsigned used = 0; used < 2; used++) {
		stack(f, "amd-bonaire-hawaii-reset", NULL, 0);
		hold(f, 5, 0x204, 4, 0x20100);
		if (used)
			bk_device_dma_map(f->stack, &dma, NULL);
		f->fake.accesses = 0;
		bk_device_close(f->stack);
		f->stack = NULL;
		assert_int_equal(fake_get(&f->fake, 0x7c, 4), used ? 0x39d5e86b : 0xa2a2a2a2);
		assert_int_equal(f->fake.accesses != 0, used);
	}
}

static void amd_without_firmware_is_not_reset(void **state)
{
	struct fixture *f = *state;

	ati(f);
	f->fake.info.flags = 0;
	stack(f, "amd-bonaire-hawaii-reset", NULL, 0);
	hold(f, 5, 0x204, 4, 0x200fe);
	f->fake.accesses = 0;
	assert_int_equal(bk_device_reset(f->stack), -EIO);
	assert_int_equal(f->fake.accesses, 4);
	hold(f, 5, 0x204, 4, 0x20101);
	assert_int_equal(bk_device_reset(f->stack), -EIO);
	assert_int_equal(fake_get(&f->fake, 0x7c, 4), 0xa2a2a2a2);
}

static void the_hosts_reset_is_preferred(void **state)
{
	struct fixture *f = *state;

	ati(f);
	stack(f, "amd-bonaire-hawaii-reset", NULL, 0);
	f->fake.accesses = 0;
	assert_int_equal(bk_device_reset(f->stack), 0);
	assert_int_equal(f->fake.resets, 1);
	assert_int_equal(f->fake.accesses, 0);
}

static void only_those_chips(void **state)
{
	struct fixture *f = *state;

	ati(f);
	for (unsigned id = 0x6600; id < 0x6800; id++) {
		static const unsigned listed[] = { 0x6649, 0x6650, 0x6651, 0x6658, 0x665c, 0x665d,
						   0x67a0, 0x67a1, 0x67a2, 0x67a8, 0x67a9, 0x67aa,
						   0x67b0, 0x67b1, 0x67b8, 0x67b9, 0x67ba, 0x67be };
		int expected = 0;

		for (unsigned i = 0; i < sizeof(listed) / sizeof(listed[0]); i++)
			expected |= listed[i] == id;
		if (!expected && id % 16)
			continue; /* some that are not */
		fake_put(&f->fake, 2, 2, id);
		assert_int_equal(matches(f, "amd-bonaire-hawaii-reset", NULL, 0), expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_VGA(nvidia_mirror),
		WITH_VGA(registers_in_the_mirror_that_no_capability_has),
		WITH_VGA(writes_inside_the_first_two_bytes_of_msi_reach_the_hardware_too),
		WITH_VGA(the_same_write_ten_times_is_the_kernels),
		WITH_VGA(without_msi_nothing_is_forwarded),
		WITH_VGA(a_small_config_space_has_a_small_mirror),
		WITH_VGA(every_class_of_display_has_the_mirror),
		WITH_VGA(each_generation_has_one_mirror),
		WITH_VGA(mirror_of_hopper_and_blackwell),
		WITH_VGA(nvidia_mirror_at_1800),
		WITH_VGA(nvidia_window),
		WITH_VGA(nvidia_sequence_through_vga_ports),
		WITH_VGA(nvidia_clique),
		WITH_VGA(nvidia_clique_elsewhere),
		WITH_VGA(no_room_for_a_clique),
		WITH_VGA(ati_window),
		WITH_VGA(ati_mirror),
		WITH_VGA(only_where_bar_2_is_64_bit),
		WITH_VGA(ati_port_3c3),
		WITH_VGA(only_with_256_ports),
		WITH_VGA(ati_vga_of_qemu),
		WITH_VGA(amd_reset),
		WITH_VGA(amd_polls_until_memory_is_back_or_time_is_up),
		WITH_VGA(amd_is_reset_at_the_end_if_a_guest_had_it),
		WITH_VGA(amd_without_firmware_is_not_reset),
		WITH_VGA(the_hosts_reset_is_preferred),
		WITH_VGA(only_those_chips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
