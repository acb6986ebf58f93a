/* SPDX-License-Identifier: BSD-2-Clause */
/* Cases of overlap and relocation that are lost elsewhere, each under its number, without any PCI. */
#include "space_kit.h"

static struct bk_domain *domain;
static struct bk_space *space;

static int setup(void **state)
{
	domain = bk_domain_create();
	space = bk_space_create(domain, "space", UINT64_MAX);
	return !space;
}

static int teardown(void **state)
{
	assert_int_equal(bk_space_destroy(space), 0);
	assert_int_equal(bk_domain_destroy(domain), 0);
	return 0;
}

/* Every byte of both places: net's if it is there (its rank is lower), else blk's, else nobody's. */
static void assert_map(const struct device *net, uint64_t net_from, const struct device *blk,
		       uint64_t blk_from)
{
	for (uint64_t i = 0; i < 0x140; i++) {
		unsigned expected = 0xff;

		if (i >= blk_from && i < blk_from + 0x80)
			expected = (unsigned)(blk->id + (i - blk_from));
		if (i >= net_from && i < net_from + 0x40)
			expected = (unsigned)(net->id + (i - net_from));
		assert_int_equal(at(space, 0xdf000000 + i), expected);
	}
}

static void F01_io_bars_of_virtio_in_both_orders(void **state)
{
	static struct device blk = { .id = 0 }, net = { .id = 0x80 };

	for (unsigned order = 0; order < 2; order++) {
		struct bk_region *rblk, *rnet;

		/* By their places in the topology: net is slot 2, blk slot 3. */
		if (order)
			rnet = add(space, &net, 0xdf000080, 0xdf0000bf, 0, 2);
		rblk = add(space, &blk, 0xdf000000, 0xdf00007f, 0, 3);
		if (!order)
			rnet = add(space, &net, 0xdf000080, 0xdf0000bf, 0, 2);
		assert_map(&net, 0x80, &blk, 0);
		/* The firmware moves net onto blk: net has 0x00-0x3f, blk what is left of it. */
		move(rnet, domain, 0xdf000000, 0xdf00003f);
		assert_map(&net, 0, &blk, 0);
		/* Then blk away: both answer whole. */
		move(rblk, domain, 0xdf000080, 0xdf0000ff);
		assert_map(&net, 0, &blk, 0x80);
		/* The system programs both again, onto each other in passing. */
		move(rblk, domain, 0xdf000000, 0xdf00007f);
		assert_map(&net, 0, &blk, 0);
		move(rnet, domain, 0xdf000080, 0xdf0000bf);
		assert_map(&net, 0x80, &blk, 0);
		drop(rblk, domain);
		drop(rnet, domain);
		assert_flat(space, "");
	}
}

static void F02_total_partial_and_nested_overlap(void **state)
{
	static struct device a = { .id = 0x10 }, b = { .id = 0x50 }, c = { .id = 0x90 };
	struct bk_space *behind = bk_space_create(domain, "behind", UINT64_MAX);
	struct bk_region *ra = add(space, &a, 0x1000, 0x1fff, 0, 1),
			 *rb = add(space, &b, 0x1000, 0x1fff, 0, 2), *rc, *w;

	assert_int_equal(at(space, 0x1001), 0x11); /* total */
	move(ra, domain, 0x1800, 0x27ff);          /* partial */
	assert_flat(space, "1000-17ff device+0;1800-27ff device+0;");
	assert_int_equal(at(space, 0x17ff), 0x4f);
	assert_int_equal(at(space, 0x1800), 0x10);
	move(ra, domain, 0, 0xfff);
	assert_flat(space, "0-fff device+0;1000-1fff device+0;");
	/* Across a bridge: the window's rank decides, and only where someone behind it answers. */
	rc = add(behind, &c, 0x1400, 0x14ff, 0, 9);
	w = nest(space, behind, 0x1000, 0x1fff, 0x1000, 0, 0);
	assert_flat(space, "0-fff device+0;1000-13ff device+0;1400-14ff device+0;1500-1fff device+500;");
	assert_int_equal(at(space, 0x1400), 0x90);
	enable(rc, domain, false);
	assert_int_equal(at(space, 0x1400), 0x50);
	enable(rc, domain, true);
	drop(rb, domain);
	assert_flat(space, "0-fff device+0;1400-14ff device+0;");
	drop(w, domain);
	assert_int_equal(bk_space_destroy(behind), 0);
}

static void F03_any_order_of_writes_gives_the_same_map(void **state)
{
	static struct device devices[5];
	struct bk_region *regions[5];
	uint64_t seed = 3;
	char expected[4096], text[4096];

	for (unsigned i = 0; i < 5; i++) {
		devices[i].id = (uint8_t)(i * 32);
		regions[i] = add(space, &devices[i], i * 0x10000, i * 0x10000 + 0xfff, 0, i);
	}
	for (unsigned round = 0; round < 200; round++) {
		unsigned order[5] = { 0, 1, 2, 3, 4 };

		for (unsigned i = 0; i < 5; i++) { /* through places that differ each time */
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			move(regions[i], domain, seed >> 40 << 8, (seed >> 40 << 8) + 0xfff);
		}
		for (unsigned i = 4; i; i--) {
			unsigned j = (unsigned)(seed >> (8 + i * 4)) % (i + 1), held = order[i];

			order[i] = order[j];
			order[j] = held;
		}
		for (unsigned i = 0; i < 5; i++)
			move(regions[order[i]], domain, 0x1000 + order[i] * 0x800,
			     0x1000 + order[i] * 0x800 + 0xfff);
		flat(space, round ? text : expected);
		if (round)
			assert_string_equal(text, expected);
	}
	assert_string_equal(expected, "1000-1fff device+0;2000-27ff device+800;2800-2fff device+800;"
				      "3000-37ff device+800;3800-3fff device+800;");
}

static void F04_two_swap_with_decode_off(void **state)
{
	static struct device a = { .id = 0x10 }, b = { .id = 0x50 };
	struct bk_region *ra = add(space, &a, 0x1000, 0x10ff, 0, 1),
			 *rb = add(space, &b, 0x2000, 0x20ff, 0, 2);

	enable(ra, domain, false);
	enable(rb, domain, false);
	move(ra, domain, 0x2000, 0x20ff);
	move(rb, domain, 0x1000, 0x10ff);
	assert_flat(space, "");
	enable(ra, domain, true);
	enable(rb, domain, true);
	assert_int_equal(at(space, 0x1000), 0x50);
	assert_int_equal(at(space, 0x2000), 0x10);
}

static void F05_of_two_in_one_place_one_moves_on(void **state)
{
	static struct device a = { .id = 0x10 }, b = { .id = 0x50 };
	struct bk_region *ra = add(space, &a, 0x1000, 0x10ff, 0, 1),
			 *rb = add(space, &b, 0x1000, 0x10ff, 0, 2);

	move(ra, domain, 0x3000, 0x30ff);
	assert_int_equal(at(space, 0x1000), 0x50);
	assert_int_equal(at(space, 0x3000), 0x10);
	move(ra, domain, 0x1000, 0x10ff);
	assert_int_equal(at(space, 0x1000), 0x10);
	move(rb, domain, 0x3000, 0x30ff);
	assert_int_equal(at(space, 0x1000), 0x10);
	assert_int_equal(at(space, 0x3000), 0x50);
}

static void F06_on_top_of_ram_is_shadowed_listed_and_returns(void **state)
{
	static struct device bar = { .id = 0x50 };
	static uint8_t ram[0x10000];
	struct bk_region *r = add(space, &bar, 0x20000, 0x20fff, 0, 1);
	char text[4096];
	FILE *out;

	map(space, ram, 0, 0xffff, 100, 0, BK_MEMORY_RAM);
	move(r, domain, 0xf800, 0x107ff);
	assert_flat(space, "0-ffff memory+0;10000-107ff device+800;");
	out = fmemopen(text, sizeof(text), "w");
	assert_int_equal(bk_space_describe(space, BK_FORMAT_TEXT, bk_sink_file, out), 0);
	fclose(out);
	assert_non_null(strstr(text, "0x0000f800-0x0000ffff of space: device by memory"));
	move(r, domain, 0x1000, 0x1fff);
	assert_flat(space, "0-ffff memory+0;");
	move(r, domain, 0x20000, 0x20fff);
	assert_flat(space, "0-ffff memory+0;20000-20fff device+0;");
}

static void F16_small_ones_in_one_page_and_off_alignment(void **state)
{
	static struct device devices[32];
	struct bk_region *regions[32];

	for (unsigned i = 0; i < 32; i++) {
		devices[i].id = (uint8_t)i;
		regions[i] = add(space, &devices[i], 0x1000 + i * 0x80, 0x1000 + i * 0x80 + 0x7f, 0, i);
	}
	move(regions[5], domain, 0x1000 + 5 * 0x80 + 0x13, 0x1000 + 5 * 0x80 + 0x13 + 0x7f);
	for (unsigned i = 0; i < 32; i++) {
		if (i != 5 && i != 6)
			assert_int_equal(at(space, 0x1000 + i * 0x80), i);
	}
	assert_int_equal(at(space, 0x1000 + 5 * 0x80), 0xff);
	assert_int_equal(at(space, 0x1000 + 5 * 0x80 + 0x13), 5);
	assert_int_equal(at(space, 0x1000 + 6 * 0x80 + 0x12), 5 + 0x7f);
	assert_int_equal(at(space, 0x1000 + 6 * 0x80 + 0x13), 6 + 0x13);
	move(regions[5], domain, 0x1000 + 5 * 0x80, 0x1000 + 5 * 0x80 + 0x7f);
	for (unsigned i = 0; i < 32; i++)
		assert_int_equal(at(space, 0x1000 + i * 0x80), i);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(F01_io_bars_of_virtio_in_both_orders),
		TEST(F02_total_partial_and_nested_overlap),
		TEST(F03_any_order_of_writes_gives_the_same_map),
		TEST(F04_two_swap_with_decode_off),
		TEST(F05_of_two_in_one_place_one_moves_on),
		TEST(F06_on_top_of_ram_is_shadowed_listed_and_returns),
		TEST(F16_small_ones_in_one_page_and_off_alignment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
