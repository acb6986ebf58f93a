/* SPDX-License-Identifier: BSD-2-Clause */
/* How accesses reach handlers: whole, cut, unclaimed, failing, and from inside one another. */
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

/* "offset:width" of each access the device has seen. */
static const char *seen(struct device *d)
{
	static char text[2048];
	size_t length = 0;

	text[0] = 0;
	for (unsigned i = 0; i < d->logged; i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%" PRIx64 ":%u",
					   i ? " " : "", d->log[i].offset, d->log[i].width);
	d->logged = 0;
	return text;
}

static void natural_widths_reach_the_handler_whole(void **state)
{
	static struct device d = { .id = 0 };

	add(space, &d, 0x1000, 0x10ff, 0, 0);
	for (unsigned offset = 0; offset < 9; offset++) {
		for (unsigned width = 1; width <= 8; width *= 2) {
			uint64_t expected = 0;

			for (unsigned i = 0; i < width; i++)
				expected |= (uint64_t)(offset + i) << 8 * i;
			assert_int_equal(read_at(space, 0x1000 + offset, width), expected);
			assert_int_equal(bk_space_write(space, 0x1000 + offset, width, UINT64_MAX), 0);
			assert_int_equal(d.logged, 2);
			assert_int_equal(d.log[0].offset, offset);
			assert_int_equal(d.log[0].width, width);
			assert_int_equal(d.log[1].offset, offset);
			assert_int_equal(d.log[1].width, width);
			/* The handler gets the bytes of the access and no others. */
			assert_true(d.log[1].value == UINT64_MAX >> (64 - 8 * width));
			d.logged = 0;
		}
	}
}

static void what_a_handler_stores_beyond_the_width_is_cut_off(void **state)
{
	static struct device d = { .raw = UINT64_MAX };

	add(space, &d, 0, 0xff, 0, 0);
	assert_int_equal(read_at(space, 0, 1), 0xff);
	assert_int_equal(read_at(space, 0, 2), 0xffff);
	assert_int_equal(read_at(space, 0, 4), 0xffffffff);
	assert_int_equal(read_at(space, 0, 3), 0xffffff);
	assert_true(read_at(space, 0, 8) == UINT64_MAX);
}

static void odd_widths_are_cut_naturally(void **state)
{
	static const struct {
		unsigned address, width;
		const char *pieces;
	} cases[] = {
		{ 0, 3, "0:2 2:1" },         { 1, 3, "1:1 2:2" },     { 0, 5, "0:4 4:1" },
		{ 3, 5, "3:1 4:4" },         { 2, 5, "2:2 4:2 6:1" }, { 0, 6, "0:4 4:2" },
		{ 1, 6, "1:1 2:2 4:2 6:1" }, { 2, 6, "2:2 4:4" },     { 0, 7, "0:4 4:2 6:1" },
		{ 1, 7, "1:1 2:2 4:4" },     { 3, 7, "3:1 4:4 8:2" },
	};
	static struct device d = { .id = 0 };

	add(space, &d, 0, 0xff, 0, 0);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t expected = 0, written = 0;

		for (unsigned j = 0; j < cases[i].width; j++)
			expected |= (uint64_t)(cases[i].address + j) << 8 * j;
		assert_int_equal(read_at(space, cases[i].address, cases[i].width), expected);
		assert_string_equal(seen(&d), cases[i].pieces);
		assert_int_equal(bk_space_write(space, cases[i].address, cases[i].width, 0x8877665544332211),
				 0);
		for (unsigned j = 0; j < d.logged; j++)
			written |= d.log[j].value << 8 * (d.log[j].offset - cases[i].address);
		assert_true(written == (0x8877665544332211 & UINT64_MAX >> (64 - 8 * cases[i].width)));
		assert_string_equal(seen(&d), cases[i].pieces);
	}
}

static void hear_no_error(void *opaque, const struct bk_region *region, uint64_t address, bool write,
			  unsigned width, int error)
{
}

static void F15_F21_an_access_over_an_edge_is_cut_there(void **state)
{
	static struct device a = { .id = 0 }, b = { .id = 0x80 };
	struct bk_space_stats stats = { 0 };

	add(space, &a, 0x1000, 0x100f, 0, 0);
	add(space, &b, 0x100c, 0x1013, 1, 0); /* a trap over the end */
	/* Starts before the trap: no byte slips past it. */
	assert_true(read_at(space, 0x1008, 8) == 0x838281800b0a0908);
	assert_string_equal(seen(&a), "8:4");
	assert_string_equal(seen(&b), "0:4");
	/* Unaligned in both. */
	assert_true(read_at(space, 0x1009, 8) == 0x84838281800b0a09);
	assert_string_equal(seen(&a), "9:1 a:2");
	assert_string_equal(seen(&b), "0:4 4:1");
	/* Past the end. */
	assert_true(read_at(space, 0x1010, 8) == 0xffffffff87868584);
	assert_string_equal(seen(&b), "4:4");
	assert_int_equal(bk_space_write(space, 0xffe, 4, 0x44332211), 0);
	assert_string_equal(seen(&a), "0:2");
	assert_int_equal(a.log[0].value, 0x4433);
	bk_space_stats(space, &stats);
	assert_int_equal(stats.unclaimed_reads, 1);
	assert_int_equal(stats.unclaimed_writes, 1);
}

/* Each of two neighbours takes its part, if it can, and fails alone. */
static void two_neighbours_answer_their_own_parts(void **state)
{
	static struct device a = { .id = 0 }, b = { .id = 0x80 }, c = { .id = 0x40 };
	const struct bk_region_ops narrow = { .read = device_read,
					      .write = device_write,
					      .widths = BK_WIDTH_1 };
	struct bk_region_desc desc = device_at(&c, 0x2010, 0x201f, 0, 2);
	struct bk_region *low = add(space, &a, 0x2000, 0x200f, 0, 0), *high;
	uint64_t value;

	high = add(space, &b, 0x2010, 0x201f, 0, 1);
	bk_space_on_error(space, hear_no_error, NULL);
	for (unsigned failing = 0; failing < 4; failing++) {
		a.fail = failing & 1 ? -EIO : 0;
		b.fail = failing & 2 ? -ENXIO : 0;
		assert_int_equal(bk_space_read(space, 0x200c, 8, &value), failing & 1 ? -EIO
									  : failing   ? -ENXIO
										      : 0);
		assert_true((value & 0xffffffff) == (failing & 1 ? 0xffffffff : 0x0f0e0d0c));
		assert_true(value >> 32 == (failing & 2 ? 0xffffffff : 0x83828180));
		assert_string_equal(seen(&a), "c:4");
		assert_string_equal(seen(&b), "0:4");
		assert_int_equal(bk_space_write(space, 0x200e, 4, 0x44332211), failing & 1 ? -EIO
									       : failing   ? -ENXIO
											   : 0);
		assert_int_equal(a.log[0].value, 0x2211);
		assert_int_equal(b.log[0].value, 0x4433);
		assert_string_equal(seen(&a), "e:2");
		assert_string_equal(seen(&b), "0:2");
	}
	assert_int_equal(bk_region_errors(low), 4);
	assert_int_equal(bk_region_errors(high), 4);
	a.fail = b.fail = 0;
	/* What is not aligned in its part is cut on. */
	assert_int_equal(bk_space_read(space, 0x200d, 8, &value), 0);
	assert_true(value == 0x84838281800f0e0d);
	assert_string_equal(seen(&a), "d:1 e:2");
	assert_string_equal(seen(&b), "0:4 4:1");
	/* So is what the upper one does not take at once. */
	desc.ops = &narrow;
	drop(high, domain);
	assert_int_equal(try_add(space, &desc, &high), 0);
	assert_int_equal(bk_space_read(space, 0x200e, 4, &value), 0);
	assert_int_equal(value, 0x41400f0e);
	assert_string_equal(seen(&a), "e:2");
	assert_string_equal(seen(&c), "0:1 1:1");
	/* Nobody above, or a hole. */
	move(high, domain, 0x2011, 0x2020);
	assert_int_equal(bk_space_read(space, 0x200e, 4, &value), 0);
	assert_true(value == 0x40ff0f0e);
	drop(high, domain);
	assert_int_equal(bk_space_read(space, 0x200c, 8, &value), 0);
	assert_true(value == 0xffffffff0f0e0d0c);
}

static int wide_error;
static uint64_t wide_offset;
static unsigned wide_reads;

static int read_wide(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	wide_offset = offset;
	wide_reads++;
	*value = 0x0f0e0d0c0b0a0908;
	return wide_error;
}

/* One read for all that yield in its space; others are asked, and so is everybody when it cannot be. */
static void F21_a_read_is_made_whole_for_those_that_yield(void **state)
{
	static struct device below = { .id = 0 }, over = { .id = 0x80 }, plain = { .id = 0xc0 };
	static const struct bk_region_ops below_ops = {
		.read = device_read, .write = device_write, .released = device_released, .yields = true
	};
	static const struct bk_region_ops over_ops = {
		.read = device_read, .write = device_write, .released = device_released, .whole = read_wide
	};
	struct bk_region_desc desc = { .first = 0x1000, .last = 0x100f, .ops = &below_ops, .opaque = &below };
	struct bk_region *region;
	uint64_t value;

	desc.base = desc.first;
	assert_int_equal(try_add(space, &desc, &region), 0);
	desc = (struct bk_region_desc){ .first = 0x100c,
					.last = 0x100d,
					.priority = 1,
					.rank = 7,
					.base = 0x100c,
					.ops = &over_ops,
					.opaque = &over };
	assert_int_equal(try_add(space, &desc, &region), 0);
	add(space, &plain, 0x100e, 0x1013, 1, 0);
	wide_error = 0;
	wide_reads = 0;
	assert_true(read_at(space, 0x1008, 8) == 0xc1c08d8c0b0a0908);
	assert_int_equal(wide_reads, 1);
	assert_int_equal(wide_offset, 0x1008);
	assert_string_equal(seen(&below), "");
	assert_string_equal(seen(&over), "100c:2");
	assert_string_equal(seen(&plain), "0:2");
	/* Inside one of them, or not in the one that wants it. */
	assert_true(read_at(space, 0x100c, 2) == 0x8d8c);
	assert_true(read_at(space, 0x1004, 8) == 0x0b0a090807060504);
	assert_string_equal(seen(&below), "1004:8");
	seen(&over);
	/* A write, and a width that nobody makes. */
	assert_int_equal(bk_space_write(space, 0x100a, 4, 0x44332211), 0);
	assert_string_equal(seen(&below), "100a:2");
	assert_string_equal(seen(&over), "100c:2");
	read_at(space, 0x100a, 3);
	assert_string_equal(seen(&below), "100a:2");
	seen(&over);
	assert_int_equal(wide_reads, 1);
	/* It cannot be made. */
	wide_error = -ERANGE;
	assert_true(read_at(space, 0x100a, 4) == 0x8d8c0b0a);
	assert_string_equal(seen(&below), "100a:2");
	wide_error = -EIO;
	assert_int_equal(bk_space_read(space, 0x100a, 4, &value), -EIO);
	assert_true(value == 0x8d8cffff);
	assert_string_equal(seen(&below), "");
}

static void F21_only_what_is_over_the_same_registers_yields(void **state)
{
	static const struct bk_region_ops yielding = {
		.read = device_read, .write = device_write, .released = device_released, .yields = true
	};
	static const struct bk_region_ops over_ops = {
		.read = device_read, .write = device_write, .released = device_released, .whole = read_wide
	};
	static struct device over = { .id = 0x80 }, other = { .id = 0x20 }, nested = { .id = 0x40 };
	static uint8_t ram[16] = { 0x61, 0x62, 0x63, 0x64 };
	struct bk_space *within = bk_space_create(bk_space_domain(space), "within", 0xff);
	struct bk_region_desc desc = { .first = 0x100, .last = 0x101, .ops = &over_ops, .opaque = &over };
	struct bk_region *region, *window;

	wide_error = 0;
	assert_int_equal(try_add(space, &desc, &region), 0);
	map(space, ram, 0x102, 0x103, 0, 1, BK_MEMORY_RAM); /* has no callbacks */
	assert_true(read_at(space, 0x100, 4) == 0x62618180);
	/* The same with other offsets, and in another space. */
	desc = (struct bk_region_desc){
		.first = 0x104, .last = 0x107, .rank = 2, .ops = &yielding, .opaque = &other
	};
	assert_int_equal(try_add(space, &desc, &region), 0);
	desc = (struct bk_region_desc){
		.first = 0x108, .last = 0x109, .rank = 3, .base = 0x108, .ops = &over_ops, .opaque = &over
	};
	assert_int_equal(try_add(space, &desc, &region), 0);
	assert_true(read_at(space, 0x106, 4) == 0x89882322);
	desc = (struct bk_region_desc){
		.first = 0xa, .last = 0xf, .base = 0x10a, .ops = &yielding, .opaque = &nested
	};
	assert_int_equal(try_add(within, &desc, &region), 0);
	window = nest(space, within, 0x10a, 0x10f, 0xa, 0, 4);
	assert_true(read_at(space, 0x108, 4) == 0x4b4a8988);
	drop(window, bk_space_domain(space));
	assert_int_equal(bk_space_destroy(within), 0);
}

static void three_owners_and_a_gap_in_one_access(void **state)
{
	static struct device a = { .id = 0x10 }, b = { .id = 0x20 }, c = { .id = 0x30 };
	uint8_t data[12];

	add(space, &a, 0, 0, 0, 0);
	add(space, &b, 1, 3, 0, 1);
	add(space, &c, 5, 5, 0, 2);
	assert_true(read_at(space, 0, 8) == 0xffff30ff22212010);
	assert_string_equal(seen(&b), "0:1 1:2");
	assert_int_equal(bk_space_read_bytes(space, 0, data, sizeof(data)), 0);
	assert_memory_equal(data, "\x10\x20\x21\x22\xff\x30\xff\xff\xff\xff\xff\xff", 12);
}

static void any_count_of_bytes(void **state)
{
	static struct device d = { .id = 0 };
	uint8_t data[64];

	add(space, &d, 0x100, 0x1ff, 0, 0);
	assert_int_equal(bk_space_read_bytes(space, 0x103, data, 20), 0);
	assert_string_equal(seen(&d), "3:1 4:4 8:8 10:4 14:2 16:1");
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(data[i], 3 + i);
	/* 4 bytes inside one range are whole, aligned or not. */
	assert_int_equal(bk_space_write_bytes(space, 0x103, "\x01\x02\x03\x04", 4), 0);
	assert_int_equal(d.log[0].value, 0x04030201);
	assert_string_equal(seen(&d), "3:4");
	assert_int_equal(bk_space_read_bytes(space, 0x1fc, data, 64), 0);
	assert_memory_equal(data, "\xfc\xfd\xfe\xff\xff\xff\xff\xff", 8);
	assert_string_equal(seen(&d), "fc:4");
	assert_int_equal(bk_space_read_bytes(space, UINT64_MAX - 1, data, 64), 0);
	assert_int_equal(data[63], 0xff);
	assert_int_equal(bk_space_write_bytes(space, UINT64_MAX - 1, data, 64), 0);
}

static void lengths_that_are_refused(void **state)
{
	uint64_t value = 0;
	uint8_t byte = 0;

	assert_int_equal(bk_space_read(space, 0, 0, &value), -EINVAL);
	assert_int_equal(bk_space_read(space, 0, 9, &value), -EINVAL);
	assert_int_equal(bk_space_write(space, 0, 0, 0), -EINVAL);
	assert_int_equal(bk_space_write(space, 0, 1000, 0), -EINVAL);
	assert_int_equal(bk_space_read_bytes(space, 0, &byte, 0), -EINVAL);
	assert_int_equal(bk_space_write_bytes(space, 0, &byte, 0), -EINVAL);
}

struct told {
	unsigned count;
	const struct bk_region *region;
	uint64_t address;
	bool write;
	unsigned width;
	int error;
};

static void tell(void *opaque, const struct bk_region *region, uint64_t address, bool write, unsigned width,
		 int error)
{
	struct told *told = opaque;

	*told = (struct told){ told->count + 1, region, address, write, width, error };
}

static void handlers_get_only_the_widths_they_take(void **state)
{
	static const struct {
		unsigned widths, address, width;
		const char *pieces;
		int error;
	} cases[] = {
		{ BK_WIDTH_4, 0, 4, "0:4", 0 },
		{ BK_WIDTH_4, 0, 8, "0:4 4:4", 0 },
		{ BK_WIDTH_4, 1, 4, "1:4", 0 },
		{ BK_WIDTH_4, 0, 2, "", -EINVAL },
		{ BK_WIDTH_4, 2, 8, "4:4", -EINVAL }, /* 2 + 4 + 2 */
		{ BK_WIDTH_1, 0, 8, "0:1 1:1 2:1 3:1 4:1 5:1 6:1 7:1", 0 },
		{ BK_WIDTH_1 | BK_WIDTH_4, 0, 8, "0:4 4:4", 0 },
		{ BK_WIDTH_1 | BK_WIDTH_4, 0, 2, "0:1 1:1", 0 },
		{ BK_WIDTH_1 | BK_WIDTH_2, 1, 4, "1:1 2:2 4:1", 0 },
		{ BK_WIDTH_2 | BK_WIDTH_8, 0, 4, "0:2 2:2", 0 },
		{ BK_WIDTH_2 | BK_WIDTH_8, 0, 8, "0:8", 0 },
		{ BK_WIDTH_2 | BK_WIDTH_8, 0, 7, "0:2 2:2 4:2", -EINVAL },
		{ BK_WIDTH_8, 0, 4, "", -EINVAL },
		{ 0, 0, 8, "0:8", 0 },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bk_region_ops ops = { .read = device_read,
					     .write = device_write,
					     .widths = cases[i].widths };
		struct device d = { .id = 0 };
		struct bk_region_desc desc = device_at(&d, 0x100, 0x1ff, 0, 0);
		struct told told = { 0 };
		struct bk_region *r;
		uint64_t value;

		bk_space_on_error(space, tell, &told);
		desc.ops = &ops;
		assert_int_equal(try_add(space, &desc, &r), 0);
		assert_int_equal(bk_space_read(space, 0x100 + cases[i].address, cases[i].width, &value),
				 cases[i].error);
		assert_string_equal(seen(&d), cases[i].pieces);
		assert_int_equal(bk_space_write(space, 0x100 + cases[i].address, cases[i].width, 0),
				 cases[i].error);
		assert_string_equal(seen(&d), cases[i].pieces);
		assert_int_equal(told.count > 0, cases[i].error != 0);
		assert_int_equal(bk_region_retire(r), 0);
	}
}

static void F27_errors_give_all_ones_are_counted_and_told(void **state)
{
	static struct device good = { .id = 0x10 }, bad = { .id = 0x20, .fail = -EIO },
			     worse = { .id = 0x30, .fail = -ENXIO };
	struct bk_space_stats stats = { 0 };
	struct bk_region *r, *r2;
	struct told told = { 0 };
	uint64_t value = 0;
	uint8_t data[6];

	bk_space_on_error(space, tell, &told);
	add(space, &good, 0, 3, 0, 0);
	r = add(space, &bad, 4, 7, 0, 1);
	r2 = add(space, &worse, 8, 11, 0, 2);
	assert_int_equal(bk_space_read(space, 4, 4, &value), -EIO);
	assert_int_equal(value, 0xffffffff);
	assert_int_equal(told.count, 1);
	assert_ptr_equal(told.region, r);
	assert_int_equal(told.address, 4);
	assert_false(told.write);
	assert_int_equal(told.width, 4);
	assert_int_equal(told.error, -EIO);
	assert_int_equal(bk_space_write(space, 5, 2, 0), -EIO);
	assert_true(told.write);
	assert_int_equal(told.address, 5);
	/* The other piece is whole. */
	assert_int_equal(bk_space_read(space, 0, 8, &value), -EIO);
	assert_true(value == 0xffffffff13121110);
	/* The first error is what is returned. */
	assert_int_equal(bk_space_read_bytes(space, 6, data, 6), -EIO);
	assert_memory_equal(data, "\xff\xff\xff\xff\xff\xff", 6);
	assert_ptr_equal(told.region, r2);
	assert_int_equal(bk_region_errors(r), 4);
	assert_int_equal(bk_region_errors(r2), 1);
	bk_space_stats(space, &stats);
	assert_int_equal(stats.errors, 5);
	assert_int_equal(stats.unclaimed_reads + stats.unclaimed_writes, 0);
}

static unsigned lines;
static void count_line(void *opaque, enum bk_log_level level, const char *line)
{
	lines++;
}

static void the_default_for_errors_is_a_limited_log(void **state)
{
	static struct device bad = { .fail = -EIO };
	uint64_t value;

	add(space, &bad, 0, 3, 0, 0);
	bk_log_set(count_line, NULL);
	for (unsigned i = 0; i < 10000; i++)
		assert_int_equal(bk_space_read(space, 0, 4, &value), -EIO);
	bk_log_set(NULL, NULL);
	assert_in_range(lines, 1, 30);
}

/* A first write of a thread, or one in a handler, that fails; with an error that the C library has no text
 * for. */
static char last_line[256];
static void keep_line(void *opaque, enum bk_log_level level, const char *line)
{
	snprintf(last_line, sizeof(last_line), "%s", line);
}

static int write_through(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	return bk_space_write(space, offset, width, value);
}

static int read_through(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	return bk_space_read(space, offset, width, value);
}

static void a_failing_access_in_a_handler_is_logged(void **state)
{
	static const struct bk_region_ops through = { .read = read_through, .write = write_through };
	static struct device bad = { .fail = -99999 };
	struct bk_region_desc desc = { .first = 0x100, .last = 0x1ff, .rank = 1, .ops = &through };
	struct bk_region *region;
	uint64_t value;

	add(space, &bad, 0, 3, 0, 0);
	assert_int_equal(try_add(space, &desc, &region), 0);
	bk_log_set(keep_line, NULL);
	assert_int_equal(bk_space_read(space, 0x100, 4, &value), -99999);
	assert_true(value == UINT32_MAX);
	assert_int_equal(bk_space_write(space, 0x100, 4, 1), -99999);
	bk_log_set(NULL, NULL);
	assert_non_null(strstr(last_line, "write of 4 bytes at 0x100 failed in region"));
	assert_non_null(strstr(last_line, "error 99999 "));
}

static void missing_handlers_are_errors(void **state)
{
	static const struct bk_region_ops nothing;
	struct bk_region_desc desc = { .first = 0, .last = 7, .ops = &nothing };
	struct told told = { 0 };
	struct bk_region *r;
	uint64_t value;

	bk_space_on_error(space, tell, &told);
	assert_int_equal(try_add(space, &desc, &r), 0);
	assert_int_equal(bk_space_read(space, 0, 4, &value), -EOPNOTSUPP);
	assert_int_equal(value, 0xffffffff);
	assert_int_equal(bk_space_write(space, 0, 4, 0), -EOPNOTSUPP);
	assert_int_equal(told.count, 2);
}

static void memory_without_handlers_is_loads_and_stores(void **state)
{
	_Alignas(8) uint8_t ram[64], rom[16], data[64];
	struct told told = { 0 };
	uint64_t value;

	bk_space_on_error(space, tell, &told);
	for (unsigned i = 0; i < 64; i++)
		ram[i] = (uint8_t)i;
	memset(rom, 0xab, sizeof(rom));
	map(space, ram, 0x1000, 0x103f, 0, 0, BK_MEMORY_RAM);
	map(space, rom, 0x1040, 0x104f, 0, 1, BK_MEMORY_RAM | BK_MEMORY_READONLY);
	assert_true(read_at(space, 0x1008, 8) == 0x0f0e0d0c0b0a0908);
	assert_true(read_at(space, 0x1009, 8) == 0x100f0e0d0c0b0a09);
	assert_int_equal(read_at(space, 0x100a, 4), 0x0d0c0b0a);
	assert_int_equal(read_at(space, 0x100b, 2), 0x0c0b);
	assert_int_equal(read_at(space, 0x100a, 2), 0x0b0a);
	assert_int_equal(read_at(space, 0x1005, 7), 0x0b0a0908070605);
	assert_int_equal(bk_space_write(space, 0x1000, 8, 0x1122334455667788), 0);
	assert_int_equal(ram[0], 0x88);
	assert_int_equal(bk_space_write(space, 0x1001, 4, 0xaabbccdd), 0);
	assert_int_equal(ram[4], 0xaa);
	assert_int_equal(bk_space_write(space, 0x1002, 2, 0x0102), 0);
	assert_int_equal(ram[3], 1);
	assert_int_equal(bk_space_write(space, 0x1004, 4, 0x01020304), 0);
	assert_int_equal(ram[7], 1);
	assert_int_equal(bk_space_write(space, 0x1007, 1, 0x77), 0);
	assert_int_equal(ram[7], 0x77);
	assert_int_equal(bk_space_read_bytes(space, 0x1000, data, 64), 0);
	assert_memory_equal(data, ram, 64);
	memset(data, 0x5a, sizeof(data));
	assert_int_equal(bk_space_write_bytes(space, 0x1010, data, 40), 0);
	assert_memory_equal(ram + 0x10, data, 40);
	assert_int_equal(ram[0x10 + 40], 0x38);
	assert_int_equal(told.count, 0);
	/* Read-only memory reads, and keeps what it has. */
	assert_int_equal(read_at(space, 0x1040, 4), 0xabababab);
	assert_int_equal(bk_space_write(space, 0x1040, 4, 0), -EOPNOTSUPP);
	assert_int_equal(bk_space_write_bytes(space, 0x1040, data, 16), -EOPNOTSUPP);
	assert_int_equal(rom[0], 0xab);
	assert_int_equal(bk_space_read(space, 0x103e, 4, &value), 0);
	assert_int_equal(value, 0xabab3f3e);
}

static void exits_on_mapped_memory_go_through_its_handlers(void **state)
{
	static struct device d = { .id = 0x40 };
	uint8_t host[16] = { 0 };
	struct bk_region_desc desc = device_at(&d, 0x1000, 0x100f, 0, 0);
	struct bk_region *r;

	desc.kind = BK_REGION_MAPPED;
	desc.memory = (struct bk_memory){ .host = host, .fd = -1, .attributes = BK_MEMORY_DEVICE };
	assert_int_equal(try_add(space, &desc, &r), 0);
	assert_int_equal(read_at(space, 0x1004, 4), 0x47464544);
	assert_int_equal(bk_space_write(space, 0x1004, 4, 1), 0);
	assert_int_equal(host[4], 0);
	assert_int_equal(d.writes, 1);
}

/* ---- From inside a handler ---- */

struct actor {
	struct bk_region *self;
	uint64_t to;
	int results[4];
	unsigned released;
	bool remove;
};

static int act(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	struct actor *actor = opaque;
	struct bk_update *u = bk_update_begin(domain);

	if (actor->remove)
		actor->results[0] = bk_update_remove(u, actor->self);
	else
		actor->results[0] = bk_update_move(u, actor->self, actor->to, actor->to + 0xf);
	actor->results[1] = bk_update_commit(u, NULL);
	actor->results[2] = bk_region_retire(actor->self);
	actor->results[3] = bk_domain_synchronize(domain);
	return 0;
}

static int answer(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	*value = 0x42;
	return 0;
}

static void actor_released(void *opaque)
{
	struct actor *actor = opaque;

	__atomic_fetch_add(&actor->released, 1, __ATOMIC_SEQ_CST);
}

static const struct bk_region_ops actor_ops = { .read = answer, .write = act, .released = actor_released };

static void F14_a_device_moves_and_removes_itself_from_its_own_handler(void **state)
{
	struct actor actor = { .to = 0x2000 };
	struct bk_region_desc desc = { .first = 0x1000, .last = 0x100f, .ops = &actor_ops, .opaque = &actor };

	assert_int_equal(try_add(space, &desc, &actor.self), 0);
	assert_int_equal(bk_space_write(space, 0x1000, 4, 1), 0);
	assert_int_equal(actor.results[0], 0);
	assert_int_equal(actor.results[1], 0);
	assert_int_equal(actor.results[2], -EDEADLK);
	assert_int_equal(actor.results[3], -EDEADLK);
	assert_int_equal(read_at(space, 0x1000, 1), 0xff);
	assert_int_equal(read_at(space, 0x2000, 1), 0x42);
	/* Often: what is not reclaimed stays bounded, and it goes on. */
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t from = actor.to;

		actor.to = 0x1000 + i % 500 * 0x10;
		assert_int_equal(bk_space_write(space, from, 4, 1), 0);
		assert_int_equal(actor.results[1], 0);
	}
	assert_int_equal(read_at(space, actor.to, 1), 0x42);
	actor.remove = true;
	assert_int_equal(bk_space_write(space, actor.to, 4, 1), 0);
	assert_int_equal(actor.results[1], 0);
	assert_int_equal(read_at(space, actor.to, 1), 0xff);
	assert_int_equal(bk_domain_synchronize(domain), 0);
	assert_int_equal(actor.released, 1);
}

static struct bk_space *inner;

static int pass_on(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	return bk_space_read(inner, offset, width, value);
}

static int destroy_it(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	int error = bk_space_destroy(inner);

	inner = NULL;
	return error;
}

static void handlers_dispatch_and_destroy(void **state)
{
	static const struct bk_region_ops ops = { .read = pass_on, .write = destroy_it };
	struct bk_region_desc desc = { .first = 0x1000, .last = 0x1fff, .ops = &ops };
	static struct device d = { .id = 0x70 };
	struct bk_region *r;

	inner = bk_space_create(domain, "inner", 0xfff);
	add(inner, &d, 0, 0xff, 0, 0);
	assert_int_equal(try_add(space, &desc, &r), 0);
	assert_int_equal(read_at(space, 0x1002, 2), 0x7372);
	assert_int_equal(read_at(space, 0x1202, 2), 0xffff);
	assert_int_equal(bk_space_write(space, 0x1000, 1, 0), 0);
	assert_null(inner);
	assert_int_equal(bk_domain_synchronize(domain), 0);
	assert_int_equal(d.released, 1);
}

static int write_on(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	return bk_space_write(inner, offset, width, value);
}

/* Where there is a region, over its end, and where there is none; with a region at all, and without. */
static void every_access_in_a_handler(void **state)
{
	static const struct bk_region_ops ops = { .read = pass_on, .write = write_on };
	struct bk_region_desc desc = { .first = 0x1000, .last = 0x1fff, .ops = &ops };
	static struct device d = { .id = 0x70 };
	struct bk_region *r;

	inner = bk_space_create(domain, "inner", 0xfff);
	assert_int_equal(try_add(space, &desc, &r), 0);
	assert_int_equal(read_at(space, 0x1000, 4), 0xffffffff); /* the thread's first read */
	assert_int_equal(read_at(space, 0x1000, 4), 0xffffffff);
	assert_int_equal(bk_space_write(space, 0x1000, 4, 1), 0);
	add(inner, &d, 0x10, 0x1f, 0, 0);
	assert_int_equal(read_at(space, 0x1012, 4), 0x75747372);
	assert_int_equal(read_at(space, 0x101e, 4), 0xffff7f7e);
	assert_int_equal(read_at(space, 0x1020, 4), 0xffffffff);
	assert_string_equal(seen(&d), "2:4 e:2");
	assert_int_equal(bk_space_write(space, 0x1012, 4, UINT64_MAX), 0);
	assert_int_equal(d.log[0].value, 0xffffffff);
	assert_int_equal(bk_space_write(space, 0x101e, 4, 1), 0);
	assert_int_equal(bk_space_write(space, 0x1020, 4, 1), 0);
	assert_string_equal(seen(&d), "2:4 e:2");
	d.fail = -EIO;
	bk_space_on_error(inner, hear_no_error, NULL);
	bk_space_on_error(space, hear_no_error, NULL);
	assert_int_equal(bk_space_read(space, 0x1010, 4, &(uint64_t){ 0 }), -EIO);
	assert_int_equal(bk_space_write(space, 0x1010, 4, 1), -EIO);
	assert_int_equal(bk_space_destroy(inner), 0);
}

static int destroy_domain(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	return bk_domain_destroy(opaque);
}

static void a_domain_is_not_destroyed_in_a_handler(void **state)
{
	static const struct bk_region_ops ops = { .write = destroy_domain };
	struct bk_domain *other = bk_domain_create();
	struct bk_region_desc desc = { .first = 0, .last = 7, .ops = &ops, .opaque = other };
	struct told told = { 0 };
	struct bk_region *r;

	bk_space_on_error(space, tell, &told);
	assert_int_equal(try_add(space, &desc, &r), 0);
	assert_int_equal(bk_space_write(space, 0, 4, 0), -EDEADLK);
	assert_int_equal(bk_domain_destroy(other), 0);
}

static unsigned visited;
static bool visit_some(void *opaque, const struct bk_flat *flat)
{
	assert_int_equal(bk_domain_synchronize(domain), -EDEADLK); /* a visitor is a reader */
	return ++visited < *(unsigned *)opaque;
}

static void visit_gives_whole_ranges_until_told_to_stop(void **state)
{
	static struct device devices[10] = { { 0 } };
	unsigned limit = 3;

	for (unsigned i = 0; i < 10; i++)
		add(space, &devices[i], i * 0x20, i * 0x20 + 0xf, 0, i);
	visited = 0;
	bk_space_visit(space, 0x2f, UINT64_MAX, visit_some, &limit);
	assert_int_equal(visited, 3);
	limit = 100;
	visited = 0;
	bk_space_visit(space, 0x2f, 0x60, visit_some, &limit);
	assert_int_equal(visited, 3);
	visited = 0;
	bk_space_visit(space, 0x30, 0x3f, visit_some, &limit);
	assert_int_equal(visited, 0);
}

/* A GPU's memory may be larger than 32 bits can count. */
static void far_offsets_of_a_large_region(void **state)
{
	static const uint64_t offsets[] = {
		0,          0xfffffff8,  0xfffffffc,  0xfffffffd,   0xfffffffe,
		0xffffffff, 0x100000000, 0x100000001, 0x7fffffff00, 0xfffffffff8
	};
	const uint64_t first = 0x4000000000, size = 0x10000000000;
	static struct device gpu, trap;

	add(space, &gpu, first, first + size - 1, 0, 0);
	for (unsigned pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
			for (unsigned width = 1; width <= 8; width *= 2) {
				uint64_t value = 0;

				gpu.logged = gpu.reads = gpu.writes = 0;
				assert_int_equal(bk_space_read(space, first + offsets[i], width, &value), 0);
				assert_int_equal(bk_space_write(space, first + offsets[i], width, value), 0);
				assert_int_equal(gpu.reads, 1);
				assert_int_equal(gpu.writes, 1);
				assert_int_equal(gpu.log[0].offset, offsets[i]);
				assert_int_equal(gpu.log[1].offset, offsets[i]);
				assert_int_equal(gpu.log[0].width, width);
			}
		}
		/* Once more where most of it lies behind a trap. */
		if (!pass)
			add(space, &trap, first + 0x10, first + 0x13, 1, 0);
	}
	/* The last bytes, and beyond them. */
	gpu.logged = 0;
	at(space, first + size - 1);
	assert_int_equal(gpu.log[0].offset, size - 1);
	gpu.reads = 0;
	at(space, first + size);
	assert_int_equal(gpu.reads, 0);
}

/* Offsets are modulo 2^64, which an access over the end of a region must not profit from. */
static void offsets_that_wrap(void **state)
{
	static struct device device, top;
	struct bk_region_desc desc = device_at(&device, 0x1000, 0x101b, 0, 0);
	struct bk_update *u = bk_update_begin(domain);

	desc.base = UINT64_MAX - 15;
	assert_int_equal(bk_update_add(u, space, &desc, NULL), 0);
	desc = device_at(&top, 0x2000, UINT64_MAX, 0, 1);
	desc.base = 0x2010;
	assert_int_equal(bk_update_add(u, space, &desc, NULL), 0);
	assert_int_equal(bk_update_commit(u, NULL), 0);
	for (uint64_t at = 0; at < 0x20; at++) {
		uint64_t value;

		device.logged = 0;
		bk_space_read(space, 0x1000 + at, 4, &value);
		assert_int_equal(device.logged > 0, at < 0x1c);
		if (at <= 0x18 && at % 4 == 0) {
			assert_int_equal(device.logged, 1);
			assert_int_equal(device.log[0].width, 4);
			assert_int_equal(device.log[0].offset, UINT64_MAX - 15 + at);
		}
		for (unsigned i = 0; i < device.logged; i++) /* none is past the end */
			assert_true(device.log[i].offset + 16 + device.log[i].width <= 0x1c);
	}
	/* The last bytes of all, whose offsets are low again. */
	top.logged = 0;
	assert_int_equal(bk_space_read(space, UINT64_MAX - 3, 8, &(uint64_t){ 0 }), 0);
	assert_int_equal(top.logged, 1);
	assert_int_equal(top.log[0].width, 4);
	assert_int_equal(top.log[0].offset, 0xc);
}

/* At the top of the space, behind a region whose offset 0 is below address 0. */
static void offsets_that_wrap_behind_a_region(void **state)
{
	static struct device device;
	const uint64_t last = UINT64_MAX - 5000;
	struct bk_region_desc desc = device_at(&device, 0x10, last, 0, 0);
	struct bk_region *region;

	desc.base = 0x1000;
	assert_int_equal(try_add(space, &desc, &region), 0);
	assert_int_equal(read_at(space, 0x10, 1), 0);
	assert_int_equal(read_at(space, last, 1), (uint8_t)(0x1000 - 0x10 + last));
	assert_int_equal(device.reads, 2);
	for (uint64_t at = last + 1; at; at++)
		assert_int_equal(read_at(space, at, 1), 0xff);
	assert_int_equal(device.reads, 2);
}

/* An access over the top ends there: it does not go on at 0. */
static void nothing_is_behind_the_top(void **state)
{
	static struct device bottom = { .id = 1 }, top = { .id = 2 };
	const uint64_t first = UINT64_MAX - 0xff;

	add(space, &bottom, 0, 0xff, 0, 0);
	add(space, &top, first, UINT64_MAX, 0, 1);
	for (unsigned width = 2; width <= 8; width++) {
		for (unsigned inside = 1; inside < width; inside++) {
			const uint64_t address = UINT64_MAX - inside + 1,
				       value = read_at(space, address, width);

			for (unsigned i = 0; i < width; i++)
				assert_int_equal(value >> 8 * i & 0xff,
						 i < inside ? (uint8_t)(2 + 0x100 - inside + i) : 0xff);
			assert_int_equal(bk_space_write(space, address, width, 0), 0);
		}
	}
	assert_int_equal(bottom.reads + bottom.writes, 0);
	assert_true(top.reads >= 28 && top.writes >= 28);
}

/* ---- Layouts of many kinds, as the table sees them ---- */

enum { MANY = 1500 };
static struct device crowd[MANY];
static struct bk_region *crowd_regions[MANY];
static struct {
	uint64_t first, last;
	bool gone;
} places[MANY];

static void check_crowd(void)
{
	for (unsigned i = 0; i < MANY; i++) {
		uint64_t middle = places[i].first + (places[i].last - places[i].first) / 2;

		crowd[i].reads = 0;
		at(space, places[i].first);
		at(space, places[i].last);
		at(space, middle);
		assert_int_equal(crowd[i].reads, places[i].gone ? 0 : 3);
	}
}

/* Apart from each other, by address; `kind` says how. */
static void lay_out(unsigned kind)
{
	uint64_t address = kind == 2 ? 3 : 0x10000, x = kind + 1;
	struct bk_update *u = bk_update_begin(domain);

	for (unsigned i = 0; i < MANY; i++) {
		struct bk_region_desc desc;
		uint64_t size, gap;

		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		size = kind == 0 ? 0x80 : kind == 1 ? (uint64_t)1 << x % 17 : 1 + x % 300;
		gap = kind < 2 ? 0 : kind == 2 ? x >> 20 & 3 : (uint64_t)1 << (x >> 20) % 50;
		if (kind == 5) { /* registers of a few bytes, each somewhere in a page of its own */
			size = 8;
			gap = (~address & 0xfff) + 1 + (x >> 20) % 0xff0;
		}
		if (kind == 4 && i == MANY / 2) /* two heaps */
			gap = (uint64_t)1 << 62;
		if (kind == 4 && i != MANY / 2)
			gap = 0;
		if (kind == 1)
			address = (address + size - 1) & ~(size - 1);
		places[i].first = address += gap;
		places[i].last = address + size - 1;
		places[i].gone = false;
		address += size;
		crowd[i].id = (uint8_t)i;
		desc = device_at(&crowd[i], places[i].first, places[i].last, 0, i);
		assert_int_equal(bk_update_add(u, space, &desc, &crowd_regions[i]), 0);
	}
	assert_int_equal(bk_update_commit(u, NULL), 0);
}

static void crowds_of_any_layout_are_found_and_thin_out(void **state)
{
	for (unsigned kind = 0; kind < 6; kind++) {
		unsigned left = MANY;

		lay_out(kind);
		check_crowd();
		/* One by one at first, then most of them at once, then one by one to the last. */
		while (left) {
			struct bk_update *u = bk_update_begin(domain);
			unsigned count = left == MANY - 50 ? MANY - 150 : 1;

			for (unsigned i = kind % 2 ? 0 : MANY - 1; count; i += kind % 2 ? 1 : -1u) {
				unsigned which = i * 7 % MANY;

				if (places[which].gone)
					continue;
				places[which].gone = true;
				count--;
				left--;
				assert_int_equal(bk_update_remove(u, crowd_regions[which]), 0);
			}
			assert_int_equal(bk_update_commit(u, NULL), 0);
			if (left % 16 == 0)
				check_crowd();
		}
	}
}

/* The windows of the table follow. */
static void a_crowd_that_moves_far_away_is_found(void **state)
{
	for (unsigned kind = 0; kind < 6; kind += 5) {
		lay_out(kind);
		for (unsigned i = 0; i < MANY; i++) {
			unsigned which = i * 7 % MANY;
			struct bk_update *u = bk_update_begin(domain);

			places[which].first += 0x700000000000;
			places[which].last += 0x700000000000;
			assert_int_equal(bk_update_move(u, crowd_regions[which], places[which].first,
							places[which].last),
					 0);
			assert_int_equal(bk_update_commit(u, NULL), 0);
			if (i % 64 == 0)
				check_crowd();
		}
		check_crowd();
		for (unsigned i = 0; i < MANY; i++)
			assert_int_equal(bk_region_retire(crowd_regions[i]), 0);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static int fail_always(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	return -EIO;
}

static int refuse_always(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	return -EPERM;
}

/* And a region without a name that cannot be says so without one. */
static void the_lower_half_of_an_access_over_an_edge_may_fail(void **state)
{
	static const struct bk_region_ops ops = { .read = fail_always, .write = refuse_always };
	static struct device d = { .id = 0 };
	struct bk_region_desc desc = { .name = "fails", .first = 0xff0, .last = 0xfff, .ops = &ops };
	struct bk_domain *other = bk_domain_create();
	struct bk_space *foreign = bk_space_create(other, "foreign", 0xffff);
	struct bk_region *r;
	struct bk_error err;
	uint64_t value = 0;

	assert_int_equal(bk_region_add(space, &desc, &r, NULL), 0);
	add(space, &d, 0x1000, 0x10ff, 0, 1);
	for (unsigned i = 0; i < 200; i++) /* so many that a table tells where they are */
		add(space, &d, 0x2000 + 0x100 * i, 0x20ff + 0x100 * i, 0, 2 + i);
	for (unsigned i = 0; i < 3; i++) { /* also where it has been before */
		assert_int_equal(bk_space_read(space, 0xffe, 4, &value), -EIO);
		assert_int_equal(value & 0xffff, 0xffff);
		assert_int_equal(bk_space_write(space, 0xffe, 4, 1), -EPERM);
	}
	desc = (struct bk_region_desc){ .first = 1, .ops = &ops };
	assert_int_equal(bk_region_add(space, &desc, &r, &err), -EINVAL);
	assert_non_null(strstr(err.text, "region \"\" at 0x1-0x0"));
	desc = (struct bk_region_desc){ .last = 0xff, .kind = BK_REGION_NESTED, .nested = foreign };
	assert_int_equal(bk_region_add(space, &desc, &r, &err), -EXDEV);
	assert_non_null(strstr(err.text, "region \"\" of"));
	assert_int_equal(bk_space_destroy(foreign), 0);
	assert_int_equal(bk_domain_destroy(other), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(natural_widths_reach_the_handler_whole),
		TEST(what_a_handler_stores_beyond_the_width_is_cut_off),
		TEST(odd_widths_are_cut_naturally),
		TEST(the_lower_half_of_an_access_over_an_edge_may_fail),
		TEST(F15_F21_an_access_over_an_edge_is_cut_there),
		TEST(two_neighbours_answer_their_own_parts),
		TEST(F21_a_read_is_made_whole_for_those_that_yield),
		TEST(F21_only_what_is_over_the_same_registers_yields),
		TEST(three_owners_and_a_gap_in_one_access),
		TEST(any_count_of_bytes),
		TEST(lengths_that_are_refused),
		TEST(handlers_get_only_the_widths_they_take),
		TEST(F27_errors_give_all_ones_are_counted_and_told),
		TEST(the_default_for_errors_is_a_limited_log),
		TEST(a_failing_access_in_a_handler_is_logged),
		TEST(missing_handlers_are_errors),
		TEST(memory_without_handlers_is_loads_and_stores),
		TEST(exits_on_mapped_memory_go_through_its_handlers),
		TEST(F14_a_device_moves_and_removes_itself_from_its_own_handler),
		TEST(handlers_dispatch_and_destroy),
		TEST(every_access_in_a_handler),
		TEST(a_domain_is_not_destroyed_in_a_handler),
		TEST(far_offsets_of_a_large_region),
		TEST(offsets_that_wrap),
		TEST(offsets_that_wrap_behind_a_region),
		TEST(nothing_is_behind_the_top),
		TEST(crowds_of_any_layout_are_found_and_thin_out),
		TEST(a_crowd_that_moves_far_away_is_found),
		TEST(visit_gives_whole_ranges_until_told_to_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
