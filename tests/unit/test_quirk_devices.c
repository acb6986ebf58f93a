/* SPDX-License-Identifier: BSD-2-Clause */
/* The quirks that barkeep ships for Intel's graphics and others: what a guest sees, and what reaches the
 * device, access by access. */
#include <errno.h>

#include "quirk_shipped.h"

/* ---- Intel ------------------------------------------------------------- */

static void intel(struct fixture *f, unsigned device)
{
	ids(f, 0x8086, device, 0x030000);
	bar(f, 0, 4, 0x1000000);
	fake_put(&f->fake, 0x50, 4, 0x12345678);
	fake_put(&f->fake, 0x5c, 4, 0xcb800001);
	fake_put(&f->fake, 0xc0, 4, 0x40800001);
	fake_put(&f->fake, 0xfc, 4, 0xaabbc018);
}

static void intel_ggc(void **state)
{
	struct fixture *f = *state;

	intel(f, 0x0166);
	assert_int_equal(matches(f, "intel-ggc-gen6", NULL, 0), 0);
	assert_int_equal(matches(f, "intel-ggc-gen6", "gms", 0x11), -EINVAL);
	assert_int_equal(matches(f, "intel-ggc-gen8", "gms", 1), 0);
	apply_shipped(f, "intel-ggc-gen6", "gms", 0x10);
	/* 0x5678 with bits 7:3 replaced by 0x10. */
	PLAY(f, { 'r', CONFIG, 0x50, 4, 0x12345680 }, { 'r', CONFIG, 0x51, 1, 0x56 },
	     { 'w', CONFIG, 0x50, 4, 0 }, { 'r', CONFIG, 0x50, 2, 0x5680 }, { 'r', 0, 0x108040, 2, 0x5680 },
	     { 'R', 0, 0x108040, 2, 0 }, { 'w', 0, 0x108040, 2, 0 }, { 'r', 0, 0x108041, 1, 0x56 },
	     { 'R', 0, 0x108041, 1, 0 }, { 'r', 0, 0x108042, 2, fake_pattern(0x108042, 2) },
	     { 'R', 0, 0x108042, 2, 0 });
	assert_int_equal(fake_get(&f->fake, 0x50, 4), 0x12345678);
}

static void intel_ggc_of_later_generations(void **state)
{
	struct fixture *f = *state;
	static const unsigned gen9[] = { 0x1912, 0x3185, 0x5912, 0x3e92, 0x9bc5, 0x8a52, 0x4571,
					 0x4e61, 0x9a49, 0x4c8a, 0x4680, 0xa780, 0x7d55 };

	intel(f, 0x1626);
	assert_int_equal(matches(f, "intel-ggc-gen8", "gms", 0x40), 1);
	assert_int_equal(matches(f, "intel-ggc-gen8", "gms", 0x41), -EINVAL);
	assert_int_equal(matches(f, "intel-ggc-gen8", "gms", 0xf0), -EINVAL);
	for (unsigned i = 0; i < sizeof(gen9) / sizeof(gen9[0]); i++) {
		intel(f, gen9[i]);
		assert_int_equal(matches(f, "intel-ggc-gen9", "gms", 0xfe), 1);
		assert_int_equal(matches(f, "intel-ggc-gen9", "gms", 0xff), -EINVAL);
		assert_int_equal(matches(f, "intel-ggc-gen9", "gms", 0x41), -EINVAL);
		assert_int_equal(matches(f, "intel-ggc-gen8", "gms", 1), 0);
	}
	apply_shipped(f, "intel-ggc-gen9", "gms", 0xf1);
	PLAY(f, { 'r', CONFIG, 0x50, 4, 0x1234f178 });
}

static void intel_bdsm(void **state)
{
	struct fixture *f = *state;

	intel(f, 0x5912);
	assert_int_equal(matches(f, "intel-bdsm-gen11", NULL, 0), 0);
	apply_shipped(f, "intel-bdsm-gen6", NULL, 0);
	PLAY(f, { 'r', CONFIG, 0x5c, 4, 0 }, { 'w', CONFIG, 0x5c, 4, 0x7b800000 },
	     { 'r', CONFIG, 0x5c, 4, 0x7b800000 }, { 'w', CONFIG, 0x5e, 1, 0x81 },
	     { 'r', CONFIG, 0x5c, 4, 0x7b810000 }, { 'r', CONFIG, 0x5e, 2, 0x7b81 },
	     { 'r', 0, 0x1080c0, 4, 0x7b810000 }, { 'R', 0, 0x1080c0, 4, 0 },
	     { 'w', 0, 0x1080c0, 4, 0x100000 }, { 'r', CONFIG, 0x5c, 4, 0x100000 },
	     { 'r', 0, 0x1080c4, 4, fake_pattern(0x1080c4, 4) }, { 'R', 0, 0x1080c4, 4, 0 });
	assert_int_equal(fake_get(&f->fake, 0x5c, 4), 0xcb800001);
	/* A reset starts it again. */
	assert_int_equal(bk_device_reset(bk_mediator_device(f->mediate)), 0);
	PLAY(f, { 'r', CONFIG, 0x5c, 4, 0 });
}

static void intel_bdsm_of_64_bits(void **state)
{
	struct fixture *f = *state;

	intel(f, 0x9a49);
	assert_int_equal(matches(f, "intel-bdsm-gen6", NULL, 0), 0);
	apply_shipped(f, "intel-bdsm-gen11", NULL, 0);
	PLAY(f, { 'r', CONFIG, 0xc0, 4, 0 }, { 'w', CONFIG, 0xc4, 4, 1 },
	     { 'w', CONFIG, 0xc0, 4, 0x80000000 }, { 'r', 0, 0x1080c0, 8, 0x180000000 },
	     { 'R', 0, 0x1080c0, 8, 0 }, { 'r', 0, 0x1080c4, 4, 1 }, { 'R', 0, 0x1080c4, 4, 0 },
	     { 'w', 0, 0x1080c0, 8, 0x240000000 }, { 'r', CONFIG, 0xc0, 4, 0x40000000 },
	     { 'r', CONFIG, 0xc4, 4, 2 });
}

static void intel_asls(void **state)
{
	struct fixture *f = *state;

	intel(f, 0x7d55);
	apply_shipped(f, "intel-asls", NULL, 0);
	PLAY(f, { 'r', CONFIG, 0xfc, 4, 0 }, { 'w', CONFIG, 0xfc, 4, 0x7eeee018 },
	     { 'r', CONFIG, 0xfc, 4, 0x7eeee018 }, { 'r', CONFIG, 0xff, 1, 0x7e });
	assert_int_equal(fake_get(&f->fake, 0xfc, 4), 0xaabbc018);
}

static void the_rom_of_another_device(void **state)
{
	struct fixture *f = *state;
	uint8_t sum = 0;

	intel(f, 0x9a49);
	bar(f, ROM, 0, 0x2000);
	fake_put(&f->fake, 0x10 + 4 * ROM, 4, 0xbeefcafe >> 16); /* what fake_bar overwrote */
	memset(f->fake.bytes[ROM], 0x11, 0x2000);
	hold(f, ROM, 0, 4, 0x0400aa55 | 4 << 16);
	f->fake.bytes[ROM][2] = 4; /* 2 KiB */
	hold(f, ROM, 0x18, 2, 0x40);
	hold(f, ROM, 0x40, 8, 0x9a40808652494350);
	apply_shipped(f, "intel-rom-id", NULL, 0);
	assert_int_equal(rd(f, ROM, 0x46, 2), 0x9a49);
	assert_int_equal(rd(f, ROM, 0x44, 2), 0x8086);
	assert_int_equal(rd(f, ROM, 0x47, 1), 0x9a);
	for (unsigned i = 0; i < 2048; i++)
		sum = (uint8_t)(sum + rd(f, ROM, i, 1));
	assert_int_equal(sum, 0);
	assert_int_equal(f->fake.bytes[ROM][0x46], 0x40);
}

static void another_vendors_rom_is_left_alone(void **state)
{
	struct fixture *f = *state;

	intel(f, 0x9a49);
	bar(f, ROM, 0, 0x800);
	hold(f, ROM, 0, 2, 0xaa55);
	hold(f, ROM, 0x18, 2, 0x40);
	hold(f, ROM, 0x40, 8, 0x9a40808752494350);
	apply_shipped(f, "intel-rom-id", NULL, 0);
	for (unsigned i = 0; i < 0x800; i++)
		assert_int_equal(rd(f, ROM, i, 1), f->fake.bytes[ROM][i]);
}

static void intel_vmd(void **state)
{
	struct fixture *f = *state;

	ids(f, 0x8086, 0x467f, 0x010400);
	bar(f, 2, 0, 0x1000);
	bar(f, 4, 4, 0x1000);
	fake_put(&f->fake, 0x18, 4, 0x82000000);
	fake_put(&f->fake, 0x1c, 4, 0);
	fake_put(&f->fake, 0x20, 4, 0x40000004);
	fake_put(&f->fake, 0x24, 4, 0x60);
	apply_shipped(f, "intel-vmd", NULL, 0);
	PLAY(f, { 'w', CONFIG, 0x18, 4, 0xe0000000 }, { 'r', CONFIG, 0x34, 1, 0xe8 },
	     { 'r', CONFIG, 0xe8, 4, 0x01180009 }, { 'r', CONFIG, 0xec, 4, 0x53484457 },
	     { 'r', CONFIG, 0xf0, 4, 0x82000000 }, { 'r', CONFIG, 0xf4, 4, 0 },
	     { 'r', CONFIG, 0xf8, 4, 0x40000004 }, { 'r', CONFIG, 0xfc, 4, 0x60 });
	ids(f, 0x8086, 0x467e, 0x010400);
	assert_int_equal(matches(f, "intel-vmd", NULL, 0), 0);
}

/* ---- Realtek ----------------------------------------------------------- */

/* Its registers stay whole, and nothing is said. */
static void a_card_reader_whose_msix_table_lies_over_registers(void **state)
{
	struct fixture *f = *state;

	ids(f, 0x10ec, 0x5287, 0xff0000);
	bar(f, 0, 0, 0x1000);
	fake_msix(&f->fake, 0xb0, 0, 1, 0, 0);
	fake_put(&f->fake, 0x34, 1, 0xb0);
	apply_shipped(f, "realtek-5287-msix", NULL, 0);
	assert_int_equal(rd(f, CONFIG, 0x34, 1), 0);
	PLAY(f, { 'r', 0, 0, 4, fake_pattern(0, 4) }, { 'R', 0, 0, 4, 0 }, { 'w', 0, 0x8, 4, 5 },
	     { 'W', 0, 0x8, 4, 5 });
}

static void a_card_reader_whose_msix_table_is_elsewhere_keeps_it(void **state)
{
	struct fixture *f = *state;

	ids(f, 0x10ec, 0x5287, 0xff0000);
	bar(f, 0, 0, 0x2000);
	assert_int_equal(matches(f, "realtek-5287-msix", NULL, 0), 0);
	fake_msix(&f->fake, 0xb0, 0, 1, 0x1000, 0x1800);
	fake_put(&f->fake, 0x34, 1, 0xb0);
	assert_int_equal(matches(f, "realtek-5287-msix", NULL, 0), 0);
	ids(f, 0x10ec, 0x5288, 0xff0000);
	fake_msix(&f->fake, 0xb0, 0, 1, 0, 0);
	assert_int_equal(matches(f, "realtek-5287-msix", NULL, 0), 0);
}

static void realtek_back_door(void **state)
{
	struct fixture *f = *state;

	ids(f, 0x10ec, 0x8168, 0x020000);
	bar(f, 2, 0xc, 0x1000);
	bar(f, 4, 0xc, 0x1000);
	fake_msix(&f->fake, 0xb0, 0, 4, 4, 0x804);
	fake_put(&f->fake, 0x34, 1, 0xb0);
	apply_shipped(f, "realtek-8168", NULL, 0);
	hold(f, 2, 0x70, 8, 0);
	PLAY(f,
	     /* A write to the table: the device gets the data, and not the command. */
	     { 'w', 2, 0x70, 4, 0xfee00398 }, { 'W', 2, 0x70, 4, 0xfee00398 },
	     { 'w', 2, 0x74, 4, 0x8001f000 }, { 'r', 2, 0x74, 4, 0x0001f000 }, { 'R', 2, 0x74, 4, 0 },
	     { 'r', 4, 0, 4, 0xfee00398 }, { 'w', 2, 0x70, 4, 0x4051 }, { 'W', 2, 0x70, 4, 0x4051 },
	     { 'w', 2, 0x74, 4, 0x8001f018 }, { 'r', 4, 0x18, 4, 0x4051 },
	     /* A read of the table. */
	     { 'w', 2, 0x74, 4, 0x0001f000 }, { 'W', 2, 0x74, 4, 0x0001f000 },
	     { 'r', 2, 0x74, 4, 0x8001f000 }, { 'R', 2, 0x74, 4, 0 }, { 'r', 2, 0x70, 4, 0xfee00398 },
	     { 'R', 2, 0x70, 4, 0 },
	     /* Other kinds of registers are the device's. */
	     { 'w', 2, 0x74, 4, 0x0002f000 }, { 'W', 2, 0x74, 4, 0x0002f000 },
	     { 'r', 2, 0x74, 4, 0x0002f000 }, { 'R', 2, 0x74, 4, 0 }, { 'r', 2, 0x70, 4, 0x4051 },
	     { 'R', 2, 0x70, 4, 0 }, { 'w', 2, 0x74, 4, 0x8002f000 }, { 'W', 2, 0x74, 4, 0x8002f000 },
	     /* Four aligned bytes, and nothing else. */
	     { 'r', 2, 0x74, 2, 0xffff }, { 'w', 2, 0x75, 1, 1 }, { 'r', 2, 0x70, 1, 0xff },
	     { 'r', 2, 0x78, 4, fake_pattern(0x78, 4) }, { 'R', 2, 0x78, 4, 0 },
	     { 'r', 2, 0x6c, 4, fake_pattern(0x6c, 4) }, { 'R', 2, 0x6c, 4, 0 });
}

static void the_table_may_have_been_moved(void **state)
{
	struct fixture *f = *state;
	const struct bk_mediator_options options = { .msix_move = true, .msix_bar = 0 };
	struct bk_error err = { "" };

	ids(f, 0x10ec, 0x8168, 0x020000);
	bar(f, 2, 0xc, 0x1000);
	bar(f, 4, 0xc, 0x1000);
	fake_msix(&f->fake, 0xb0, 0, 4, 4, 0x804);
	fake_put(&f->fake, 0x34, 1, 0xb0);
	stack(f, "realtek-8168", NULL, 0);
	if (bk_mediator_create(f->domain, f->stack, &options, &f->mediate, &err) ||
	    bk_quirk_attach(f->mediate, &err))
		fail_msg("%s", err.text);
	PLAY(f, { 'w', 2, 0x70, 4, 0xfee00398 }, { 'W', 2, 0x70, 4, 0xfee00398 },
	     { 'w', 2, 0x74, 4, 0x8001f010 }, { 'r', 0, 0x10, 4, 0xfee00398 });
	assert_int_not_equal(rd(f, 4, 0x10, 4), 0xfee00398);
}

static void without_msix_the_table_is_nowhere(void **state)
{
	struct fixture *f = *state;

	ids(f, 0x10ec, 0x8168, 0x020000);
	bar(f, 2, 0xc, 0x1000);
	apply_shipped(f, "realtek-8168", NULL, 0);
	hold(f, 2, 0x70, 8, 0);
	PLAY(f, { 'w', 2, 0x70, 4, 0x77 }, { 'W', 2, 0x70, 4, 0x77 }, { 'w', 2, 0x74, 4, 0x8001f000 },
	     { 'r', 2, 0x74, 4, 0x0001f000 }, { 'R', 2, 0x74, 4, 0 }, { 'r', 2, 0x70, 4, 0x77 },
	     { 'R', 2, 0x70, 4, 0 });
}

/* ---- Others ------------------------------------------------------------ */

static void broadcom_rom_is_hidden(void **state)
{
	struct fixture *f = *state;

	ids(f, 0x14e4, 0x168e, 0x020000);
	bar(f, ROM, 0, 0x800);
	apply_shipped(f, "broadcom-57810-rom", NULL, 0);
	assert_null(bk_mediator_space(f->mediate, ROM));
	PLAY(f, { 'w', CONFIG, 0x30, 4, 0xfffff800 }, { 'r', CONFIG, 0x30, 4, 0 });
}

static void an_image_of_the_users_is_shown(void **state)
{
	struct fixture *f = *state;
	const struct bk_mediator_options options = { .rom_image = "image", .rom_size = 5 };
	struct bk_error err = { "" };

	ids(f, 0x14e4, 0x168e, 0x020000);
	bar(f, ROM, 0, 0x800);
	stack(f, "broadcom-57810-rom", NULL, 0);
	assert_int_equal(bk_mediator_create(f->domain, f->stack, &options, &f->mediate, &err), 0);
	assert_int_equal(rd(f, ROM, 0, 4), 0x67616d69);
}

static void virtual_function(struct fixture *f, unsigned vendor, unsigned device, uint64_t size, uint32_t pba)
{
	ids(f, vendor, device, 0x020000);
	bar(f, 0, 4, size);
	fake_msix(&f->fake, 0x70, 0, 8, 0, pba);
	fake_put(&f->fake, 0x34, 1, 0x70);
}

static void chelsio_pba(void **state)
{
	struct fixture *f = *state;

	virtual_function(f, 0x1425, 0x5801, 0x2000, 0x8000);
	apply_shipped(f, "chelsio-t5-vf", NULL, 0);
	PLAY(f, { 'r', CONFIG, 0x78, 4, 0x1000 }, { 'r', 0, 0x1000, 8, 0 },
	     { 'r', 0, 0x1008, 4, fake_pattern(0x1008, 4) }, { 'R', 0, 0x1008, 4, 0 });
}

static void kunlun_pba(void **state)
{
	struct fixture *f = *state;

	virtual_function(f, 0x1d22, 0x3685, 0x10000, 0x460000);
	apply_shipped(f, "kunlun-vf", NULL, 0);
	PLAY(f, { 'r', CONFIG, 0x78, 4, 0xb400 }, { 'r', 0, 0xb400, 8, 0 });
}

static void a_pba_inside_its_bar_is_left_alone(void **state)
{
	struct fixture *f = *state;

	virtual_function(f, 0x1425, 0x5801, 0x10000, 0x8000);
	assert_int_equal(matches(f, "chelsio-t5-vf", NULL, 0), 0);
	virtual_function(f, 0x1425, 0x5701, 0x2000, 0x8000);
	assert_int_equal(matches(f, "chelsio-t5-vf", NULL, 0), 0);
}

/* MSI of 64 bits at 0x50; the host's message is 0xfee01234/0x40c0. */
static void ath(struct fixture *f, unsigned device, unsigned vectors_log2)
{
	ids(f, 0x17cb, device, 0x028000);
	bar(f, 0, 4, 0x2000000);
	capability(f, 0x50, 0x05);
	fake_put(&f->fake, 0x52, 2, 0x0080 | 5 << 1 | vectors_log2 << 4);
	fake_put(&f->fake, 0x54, 4, 0xfee01234);
	fake_put(&f->fake, 0x5c, 2, 0x40c0);
}

static void ath11k(void **state)
{
	struct fixture *f = *state;

	ath(f, 0x1103, 5);
	apply_shipped(f, "ath11k", NULL, 0);
	PLAY(f, { 'w', CONFIG, 0x54, 4, 0xfee00000 }, { 'w', CONFIG, 0x58, 4, 0 },
	     { 'w', CONFIG, 0x5c, 2, 0x4020 }, { 'w', CONFIG, 0x52, 2, 0x0051 },
	     /* The guest's address anywhere in the range becomes the host's; so do the data 8 bytes behind.
	      */
	     { 'w', 0, 0x81230, 4, 0xfee00000 }, { 'W', 0, 0x81230, 4, 0xfee01234 },
	     { 'w', 0, 0x81234, 4, 0 }, { 'W', 0, 0x81234, 4, 0 }, { 'w', 0, 0x81238, 4, 0x4023 },
	     { 'W', 0, 0x81238, 4, 0x40c3 },
	     /* Once for each address. */
	     { 'w', 0, 0x81238, 4, 0x4023 }, { 'W', 0, 0x81238, 4, 0x4023 },
	     /* Data of another message, data elsewhere, other widths, outside. */
	     { 'w', 0, 0xbfff0, 4, 0xfee00000 }, { 'W', 0, 0xbfff0, 4, 0xfee01234 },
	     { 'w', 0, 0xbfff8, 4, 0x4043 }, { 'W', 0, 0xbfff8, 4, 0x4043 }, { 'w', 0, 0x80000, 4, 0x4020 },
	     { 'W', 0, 0x80000, 4, 0x4020 }, { 'w', 0, 0x80000, 8, 0xfee00000 },
	     { 'W', 0, 0x80000, 8, 0xfee00000 }, { 'w', 0, 0xc0000, 4, 0xfee00000 },
	     { 'W', 0, 0xc0000, 4, 0xfee00000 }, { 'w', 0, 0x7fffc, 4, 0xfee00000 },
	     { 'W', 0, 0x7fffc, 4, 0xfee00000 }, { 'r', 0, 0x81230, 4, 0xfee01234 },
	     { 'R', 0, 0x81230, 4, 0 });
}

static void ath12k_where_the_host_shows_no_message(void **state)
{
	struct fixture *f = *state;

	ath(f, 0x1107, 0);
	fake_put(&f->fake, 0x54, 4, 0);
	apply_shipped(f, "ath12k", NULL, 0);
	PLAY(f, { 'w', CONFIG, 0x54, 4, 0xfee00000 }, { 'w', 0, 0x1e00000, 4, 0xfee00000 },
	     { 'W', 0, 0x1e00000, 4, 0xfee00000 });
	fake_put(&f->fake, 0x54, 4, 0xfee01234);
	PLAY(f, { 'w', 0, 0x1e7fff0, 4, 0xfee00000 }, { 'W', 0, 0x1e7fff0, 4, 0xfee01234 },
	     { 'w', 0, 0x1e80000, 4, 0xfee00000 }, { 'W', 0, 0x1e80000, 4, 0xfee00000 });
}

/* The guest has no MSI, and so there is no message at 4 bytes into it: that would be COMMAND. */
static void ath_without_a_guests_msi(void **state)
{
	struct fixture *f = *state;
	uint64_t command;

	ath(f, 0x1103, 0);
	f->fake.irqs[BK_DEVICE_MSI].count = 0;
	apply_shipped(f, "ath11k", NULL, 0);
	PLAY(f, { 'w', CONFIG, 0x04, 2, 0x0400 });
	command = rd(f, CONFIG, 0x04, 4);
	PLAY(f, { 'w', 0, 0x80000, 4, command }, { 'W', 0, 0x80000, 4, command });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_VGA(intel_ggc),
		WITH_VGA(intel_ggc_of_later_generations),
		WITH_VGA(intel_bdsm),
		WITH_VGA(intel_bdsm_of_64_bits),
		WITH_VGA(intel_asls),
		WITH_VGA(the_rom_of_another_device),
		WITH_VGA(another_vendors_rom_is_left_alone),
		WITH_VGA(intel_vmd),
		WITH_VGA(a_card_reader_whose_msix_table_lies_over_registers),
		WITH_VGA(a_card_reader_whose_msix_table_is_elsewhere_keeps_it),
		WITH_VGA(realtek_back_door),
		WITH_VGA(the_table_may_have_been_moved),
		WITH_VGA(without_msix_the_table_is_nowhere),
		WITH_VGA(broadcom_rom_is_hidden),
		WITH_VGA(an_image_of_the_users_is_shown),
		WITH_VGA(chelsio_pba),
		WITH_VGA(kunlun_pba),
		WITH_VGA(a_pba_inside_its_bar_is_left_alone),
		WITH_VGA(ath11k),
		WITH_VGA(ath12k_where_the_host_shows_no_message),
		WITH_VGA(ath_without_a_guests_msi),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
