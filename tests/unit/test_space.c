/* SPDX-License-Identifier: BSD-2-Clause */
/* Who wins where: overlap, order, nesting, changes and their errors, the end of regions. */
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

static void an_empty_space_answers_nothing(void **state)
{
	struct bk_space_stats stats = { 0 };
	static struct device d = { 0 };

	assert_flat(space, "");
	assert_int_equal(read_at(space, 0, 8), UINT64_MAX);
	assert_int_equal(read_at(space, 5, 3), 0xffffff);
	assert_int_equal(bk_space_write(space, UINT64_MAX, 4, 1), 0);
	bk_space_stats(space, &stats);
	assert_int_equal(stats.unclaimed_reads, 2);
	assert_int_equal(stats.unclaimed_writes, 1);
	assert_int_equal(stats.errors, 0);
	assert_string_equal(bk_space_name(space), "space");
	assert_true(bk_space_last(space) == UINT64_MAX);
	assert_ptr_equal(bk_space_domain(space), domain);
	assert_int_equal(d.reads, 0);
}

static void a_region_answers_its_range_only(void **state)
{
	static struct device d = { .id = 0x10 };
	struct bk_region *r = add(space, &d, 0x1000, 0x1fff, 0, 0);

	assert_int_equal(at(space, 0xfff), 0xff);
	assert_int_equal(at(space, 0x1000), 0x10);
	assert_int_equal(at(space, 0x1005), 0x15);
	assert_int_equal(read_at(space, 0x1004, 4), 0x17161514);
	assert_int_equal(at(space, 0x1ff3), 0x03);
	assert_int_equal(at(space, 0x2000), 0xff);
	assert_string_equal(bk_region_name(r), "device");
	assert_ptr_equal(bk_region_opaque(r), &d);
	assert_flat(space, "1000-1fff device+0;");
}

static void the_higher_priority_then_the_lower_rank_wins(void **state)
{
	static struct device a = { .id = 0x20 }, b = { .id = 0x60 }, c = { .id = 0xa0 };
	struct bk_region *low = add(space, &a, 0x100, 0x10f, -1, 0);
	struct bk_region *late = add(space, &b, 0x104, 0x107, 5, 9);
	struct bk_region *early = add(space, &c, 0x106, 0x109, 5, 2);

	assert_int_equal(at(space, 0x103), 0x23);
	assert_int_equal(at(space, 0x104), 0x60);
	assert_int_equal(at(space, 0x105), 0x61);
	assert_int_equal(at(space, 0x106), 0xa0);
	assert_int_equal(at(space, 0x109), 0xa3);
	assert_int_equal(at(space, 0x10a), 0x2a);
	assert_flat(space, "100-103 device+0;104-105 device+0;106-109 device+0;10a-10f device+a;");
	drop(early, domain);
	assert_int_equal(at(space, 0x107), 0x63);
	assert_int_equal(at(space, 0x108), 0x28);
	drop(late, domain);
	assert_flat(space, "100-10f device+0;");
	drop(low, domain);
	assert_flat(space, "");
}

static void the_order_of_registration_does_not_matter(void **state)
{
	static const unsigned orders[][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
					      { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
	static struct device devices[3] = { { .id = 1 }, { .id = 0x41 }, { .id = 0x81 } };
	char first[4096], text[4096];

	for (unsigned i = 0; i < 6; i++) {
		struct bk_region *regions[3];

		for (unsigned j = 0; j < 3; j++) {
			unsigned k = orders[i][j];

			regions[k] = add(space, &devices[k], 0x10 * k, 0x10 * k + 0x18, 0, 10 - k);
		}
		flat(space, i ? text : first);
		if (i)
			assert_string_equal(text, first);
		assert_int_equal(at(space, 0x12), 0x43);
		for (unsigned j = 0; j < 3; j++)
			drop(regions[j], domain);
	}
}

static void equal_priority_and_rank_is_refused(void **state)
{
	static struct device a = { .id = 1 }, b = { .id = 2 };
	struct bk_region_desc desc = device_at(&b, 0x5000, 0x5fff, 3, 4);
	struct bk_region *r = add(space, &a, 0, 0xf, 3, 4), *other;
	struct bk_update *u;
	struct bk_error err;

	assert_int_equal(try_add(space, &desc, &other), -EEXIST);
	assert_int_equal(b.released, 0);
	assert_flat(space, "0-f device+0;");
	desc.rank = 5;
	assert_int_equal(try_add(space, &desc, &other), 0);
	u = bk_update_begin(domain);
	assert_int_equal(bk_update_move(u, r, 0x100, 0x10f), 0);
	assert_int_equal(bk_update_order(u, other, 3, 4), 0);
	assert_int_equal(bk_update_commit(u, &err), -EEXIST);
	assert_string_equal(err.text,
			    "regions \"device\" and \"device\" of \"space\" have the same priority and rank");
	assert_flat(space, "0-f device+0;5000-5fff device+0;");

	/* What counts is the result: two may exchange their ranks. */
	u = bk_update_begin(domain);
	assert_int_equal(bk_update_order(u, other, 3, 4), 0);
	assert_int_equal(bk_update_order(u, r, 3, 5), 0);
	assert_int_equal(bk_update_commit(u, NULL), 0);
	move(r, domain, 0x5000, 0x500f);
	assert_int_equal(at(space, 0x5000), 2);
	u = bk_update_begin(domain);
	assert_int_equal(bk_update_order(u, r, 3, 0), 0);
	assert_int_equal(bk_update_commit(u, NULL), 0);
	assert_int_equal(at(space, 0x5000), 1);
}

static void many_of_them_with_twins_anywhere_in_the_order(void **state)
{
	static struct device devices[300];
	struct bk_region *regions[300], *more;

	for (unsigned i = 0; i < 300; i++)
		regions[i] = add(space, &devices[i], i * 16, i * 16 + 15, (int)(i % 7), i);
	for (unsigned i = 0; i < 300; i++) {
		struct bk_region_desc desc = device_at(&devices[0], 0, 0, (int)(i % 7), i);

		assert_int_equal(try_add(space, &desc, &more), -EEXIST);
	}
	for (unsigned i = 0; i < 300; i += 2)
		drop(regions[i], domain);
	assert_int_equal(bk_domain_synchronize(domain), 0);
	for (unsigned i = 0; i < 300; i++) {
		assert_int_equal(devices[i].released, i % 2 == 0);
		assert_int_equal(at(space, i * 16 + 3), i % 2 ? 3 : 0xff);
	}
}

/* An update whose first change is refused: the change, the next one and the commit say so, the latter with a
 * line. */
static void assert_sticks(struct bk_update *u, int first, int expected, const char *line)
{
	static struct device d = { .id = 9 };
	struct bk_region_desc desc = device_at(&d, 0, 0xf, 50, 50);
	struct bk_region *region = (struct bk_region *)&d;
	struct bk_error err = { "" };

	assert_int_equal(first, expected);
	assert_int_equal(bk_update_add(u, space, &desc, &region), expected);
	assert_null(region);
	assert_int_equal(bk_update_commit(u, &err), expected);
	assert_string_equal(err.text, line);
	assert_int_equal(d.released, 0);
}

static void assert_no_add(struct bk_space *to, const struct bk_region_desc *desc, int expected,
			  const char *line)
{
	struct bk_update *u = bk_update_begin(domain);
	struct bk_region *region = (struct bk_region *)&u;
	int first = bk_update_add(u, to, desc, &region);

	assert_null(region);
	assert_sticks(u, first, expected, line);
}

static void adds_are_refused(void **state)
{
	struct bk_space *small = bk_space_create(domain, "small", 0xff);
	struct bk_domain *elsewhere = bk_domain_create();
	struct bk_space *foreign = bk_space_create(elsewhere, "foreign", 0xff);
	static struct device d = { .id = 1 };
	struct bk_region_desc desc = device_at(&d, 0x10, 0xf, 0, 0);

	assert_no_add(small, &desc, -EINVAL,
		      "region \"device\" at 0x10-0xf of \"small\": that is no range of it");
	desc.last = 0x100;
	assert_no_add(small, &desc, -EINVAL,
		      "region \"device\" at 0x10-0x100 of \"small\": that is no range of it");
	desc.last = 0xff;
	desc.ops = &(const struct bk_region_ops){ .read = device_read, .widths = 16 };
	assert_no_add(small, &desc, -EINVAL,
		      "region \"device\" at 0x10-0xff of \"small\": it takes widths that there are not");
	desc.ops = NULL;
	assert_no_add(small, &desc, -EINVAL,
		      "region \"device\" at 0x10-0xff of \"small\": it has no handlers");
	desc.kind = BK_REGION_MAPPED;
	desc.memory = (struct bk_memory){ .host = &d, .fd = -1, .attributes = BK_MEMORY_DEVICE };
	assert_no_add(small, &desc, -EINVAL,
		      "region \"device\" at 0x10-0xff of \"small\": it has neither handlers nor RAM");
	desc.memory.attributes = BK_MEMORY_RAM;
	desc.memory.host = NULL;
	assert_no_add(small, &desc, -EINVAL,
		      "region \"device\" at 0x10-0xff of \"small\": it has neither handlers nor RAM");
	desc.kind = (enum bk_region_kind)77;
	assert_no_add(small, &desc, -EINVAL,
		      "region \"device\" at 0x10-0xff of \"small\": there is no such kind");
	desc.kind = BK_REGION_NESTED;
	assert_no_add(small, &desc, -EINVAL,
		      "region \"device\" at 0x10-0xff of \"small\": it shows no space");
	desc.nested = foreign;
	assert_no_add(small, &desc, -EXDEV,
		      "region \"device\" of \"small\": \"foreign\" is of another domain");
	desc.nested = space;
	desc.nested_first = UINT64_MAX - 0xee;
	assert_no_add(small, &desc, -EINVAL,
		      "region \"device\" at 0x10-0xff of \"small\": it shows addresses beyond 2^64");
	desc = device_at(&d, 0, 0xf, 0, 2);
	assert_no_add(foreign, &desc, -EXDEV, "space \"foreign\" is of another domain");
	assert_int_equal(d.released, 0);
	assert_flat(space, "");
	assert_flat(small, "");
	assert_int_equal(bk_space_destroy(small), 0);
	assert_int_equal(bk_space_destroy(foreign), 0);
	assert_int_equal(bk_domain_destroy(elsewhere), 0);
}

static void changes_are_refused(void **state)
{
	struct bk_space *small = bk_space_create(domain, "small", 0xff);
	struct bk_domain *elsewhere = bk_domain_create();
	struct bk_space *foreign = bk_space_create(elsewhere, "foreign", 0xff);
	static struct device d = { .id = 1 }, e = { .id = 2 };
	struct bk_region *r = add(small, &d, 0, 0xf, 0, 0);
	struct bk_region *memory = map(small, &e, 0x10, 0xff, 0, 1, BK_MEMORY_RAM), *other;
	struct bk_region_desc desc = device_at(&e, 0, 0xf, 0, 0);
	struct bk_update *u = bk_update_begin(domain);

	assert_sticks(u, bk_update_move(u, r, 0, 0x1f), -EINVAL,
		      "region \"device\": 0x0-0x1f is of another length, and it has handlers");
	u = bk_update_begin(domain);
	assert_sticks(u, bk_update_move(u, r, 0xf1, 0x100), -EINVAL,
		      "region \"device\": 0xf1-0x100 is no range of \"small\"");
	u = bk_update_begin(domain);
	assert_sticks(u, bk_update_move(u, r, 0x20, 0x1f), -EINVAL,
		      "region \"device\": 0x20-0x1f is no range of \"small\"");
	u = bk_update_begin(domain);
	assert_sticks(u, bk_update_place(u, memory, 0, 0xf, 0), -EINVAL, "region \"memory\" shows no space");
	/* What is refused takes all with it. */
	u = bk_update_begin(domain);
	assert_int_equal(bk_update_move(u, r, 0xf0, 0xff), 0);
	assert_int_equal(bk_update_move(u, memory, 0, 0x7f), 0);
	assert_sticks(u, bk_update_move(u, r, 0, 0x100), -EINVAL,
		      "region \"device\": 0x0-0x100 is no range of \"small\"");
	assert_flat(small, "0-f device+0;10-ff memory+0;");
	assert_int_equal(bk_region_add(foreign, &desc, &other, NULL), 0);
	u = bk_update_begin(domain);
	assert_sticks(u, bk_update_remove(u, other), -EXDEV, "region \"device\" is of another domain");
	u = bk_update_begin(domain);
	assert_sticks(u, bk_update_enable(u, other, false), -EXDEV, "region \"device\" is of another domain");
	assert_int_equal(bk_space_destroy(small), 0);
	assert_int_equal(bk_space_destroy(foreign), 0);
	assert_int_equal(bk_domain_destroy(elsewhere), 0);
}

/* bk_update_begin returned NULL. */
static void no_update_is_one_without_memory(void **state)
{
	static struct device d = { .id = 1 };
	struct bk_region *r = add(space, &d, 0, 0xf, 0, 0), *other = r;
	struct bk_region_desc desc = device_at(&d, 0x10, 0x1f, 0, 1);
	struct bk_error err = { "" };

	assert_int_equal(bk_update_add(NULL, space, &desc, &other), -ENOMEM);
	assert_null(other);
	assert_int_equal(bk_update_remove(NULL, r), -ENOMEM);
	assert_int_equal(bk_update_move(NULL, r, 0, 0xf), -ENOMEM);
	assert_int_equal(bk_update_place(NULL, r, 0, 0xf, 0), -ENOMEM);
	assert_int_equal(bk_update_enable(NULL, r, true), -ENOMEM);
	assert_int_equal(bk_update_order(NULL, r, 0, 0), -ENOMEM);
	assert_int_equal(bk_update_commit(NULL, &err), -ENOMEM);
	assert_string_equal(err.text, "out of memory");
	bk_update_drop(NULL);
	assert_flat(space, "0-f device+0;");
}

/* Of a later release of the library, with a field more. */
struct later_desc {
	struct bk_region_desc desc;
	uint64_t more;
};

static void structs_may_be_of_another_release(void **state)
{
	static struct device d = { .id = 1 };
	struct later_desc later = { .desc = device_at(&d, 0, 0xf, 0, 0) };
	struct bk_region_desc shorter = device_at(&d, 0x10, 0x1f, 0, 1);
	struct bk_space_stats stats = { offsetof(struct bk_space_stats, unclaimed_writes),
					.unclaimed_writes = 77 };
	struct bk_region_ops ops = device_ops;
	struct bk_error err;
	struct bk_region *r;
	uint64_t value;

	later.desc.struct_size = sizeof(later);
	assert_int_equal(bk_region_add(space, &later.desc, &r, &err), 0);
	later.desc.rank = later.more = 1;
	assert_int_equal(bk_region_add(space, &later.desc, &r, &err), -E2BIG);
	assert_null(r);
	assert_string_equal(err.text,
			    "a region of \"space\" asks for what this library does not have: it is too old");
	/* One that ends before `base` and all behind it. */
	shorter.struct_size = offsetof(struct bk_region_desc, base);
	shorter.base = 0x30;
	/* Nothing of it is needed after the call. */
	ops.struct_size = offsetof(struct bk_region_ops, widths);
	ops.widths = BK_WIDTH_1;
	shorter.ops = &ops;
	assert_int_equal(bk_region_add(space, &shorter, &r, &err), 0);
	memset(&ops, 0x55, sizeof(ops));
	assert_int_equal(bk_space_read(space, 0x14, 4, &value), 0);
	assert_int_equal(value, 0x08070605);
	assert_int_equal(d.log[0].width, 4);
	drop(r, domain);
	assert_int_equal(bk_domain_synchronize(domain), 0);
	assert_int_equal(d.released, 1);
	bk_space_read(space, 0x100, 4, &value);
	bk_space_stats(space, &stats);
	assert_int_equal(stats.unclaimed_reads, 1);
	assert_int_equal(stats.unclaimed_writes, 77);
}

static void a_space_needs_no_name(void **state)
{
	struct bk_space *nameless = bk_space_create(domain, NULL, 0xff);

	assert_string_equal(bk_space_name(nameless), "");
	assert_int_equal(bk_space_destroy(nameless), 0);
}

static void all_are_destroyed_or_none(void **state)
{
	static struct device d = { .id = 1 };
	struct bk_space *two[2] = { bk_space_create(domain, "a", 0xff), bk_space_create(domain, "b", 0xff) };
	struct bk_region *window = nest(space, two[0], 0, 0xff, 0, 0, 0);

	add(two[0], &d, 0, 0xff, 0, 0);
	assert_int_equal(bk_space_destroy_all(two, 2), -EBUSY);
	assert_int_equal(at(space, 0), 1);
	drop(window, domain);
	assert_int_equal(bk_space_destroy_all(two, 0), 0);
	nest(two[1], two[0], 0, 0xff, 0, 0, 0); /* the one shows the other */
	assert_int_equal(bk_space_destroy_all(&two[0], 1), -EBUSY);
	assert_int_equal(bk_space_destroy_all(two, 2), 0);
}

/* A hole between them is none of theirs, although both show one region at its place. */
static void two_windows_of_one_region_do_not_join(void **state)
{
	static struct device d = { .id = 1 }, over = { .id = 0x80 };
	struct bk_space *inner = bk_space_create(domain, "inner", 0xff);
	struct bk_region *a = nest(space, inner, 0, 0xf, 0, 0, 0);
	struct bk_region *b = nest(space, inner, 0x20, 0x2f, 0x20, 0, 1), *all;

	add(inner, &d, 0, 0xff, 0, 0);
	all = add(space, &over, 0, 0x3f, 1, 0);
	assert_flat(space, "0-3f device+0;");
	enable(all, domain, false);
	assert_flat(space, "0-f device+0;20-2f device+20;");
	drop(a, domain);
	drop(b, domain);
	assert_int_equal(bk_space_destroy(inner), 0);
}

/* Only where the window is in the end counts. */
static void a_window_past_the_end_of_addresses_fails_the_commit(void **state)
{
	static struct device d = { .id = 1 };
	struct bk_space *inner = bk_space_create(domain, "inner", UINT64_MAX);
	struct bk_region *window = nest(space, inner, 0x1000, 0x10ff, 0, 0, 0);
	struct bk_update *u = bk_update_begin(domain);
	struct bk_error err;

	add(inner, &d, UINT64_MAX - 0xff, UINT64_MAX, 0, 0);
	assert_int_equal(bk_update_place(u, window, 0x1000, 0x10ff, UINT64_MAX - 0xfe), 0);
	assert_int_equal(bk_update_commit(u, &err), -EINVAL);
	assert_string_equal(err.text, "region \"window\" would show \"inner\" beyond 2^64");
	assert_flat(space, "");
	u = bk_update_begin(domain);
	assert_int_equal(bk_update_place(u, window, 0x1000, 0x10ff, UINT64_MAX - 0xff), 0);
	assert_int_equal(bk_update_move(u, window, 0x1000, 0x1100), 0);
	assert_int_equal(bk_update_commit(u, NULL), -EINVAL);
	assert_flat(space, "");
	u = bk_update_begin(domain);
	/* On the way to the result it may run past the end. */
	assert_int_equal(bk_update_place(u, window, 0x1000, 0x1fff, UINT64_MAX), 0);
	assert_int_equal(bk_update_place(u, window, 0x1000, 0x10ff, UINT64_MAX - 0xff), 0);
	assert_int_equal(bk_update_commit(u, NULL), 0);
	assert_flat(space, "1000-10ff device+0;");
	drop(window, domain);
	assert_int_equal(bk_space_destroy(inner), 0);
}

static void a_region_named_after_its_removal_fails_the_commit(void **state)
{
	static struct device d = { .id = 1 };
	struct bk_region *r = add(space, &d, 0, 0xf, 0, 0);
	struct bk_update *u = bk_update_begin(domain);
	struct bk_error err;

	assert_int_equal(bk_update_move(u, r, 0x100, 0x10f), 0);
	assert_int_equal(bk_update_remove(u, r), 0);
	assert_int_equal(bk_update_enable(u, r, false), 0);
	assert_int_equal(bk_update_commit(u, &err), -EINVAL);
	assert_string_equal(err.text, "region \"device\" is changed after its removal");
	assert_flat(space, "0-f device+0;");
	assert_int_equal(d.released, 0);
}

static void ranges_at_the_ends_of_the_world(void **state)
{
	static struct device all = { .id = 0 }, low = { .id = 0x10 }, high = { .id = 0x20 },
			     four = { .id = 0x30 };
	struct bk_region *whole = add(space, &all, 0, UINT64_MAX, 0, 0);
	struct bk_region *first, *last;

	assert_int_equal(at(space, 0), 0);
	assert_int_equal(at(space, UINT64_MAX), 0xff);
	assert_int_equal(read_at(space, UINT64_MAX - 7, 8), 0xfffefdfcfbfaf9f8);
	first = add(space, &low, 0, 0, 1, 0);
	last = add(space, &high, UINT64_MAX, UINT64_MAX, 1, 1);
	assert_int_equal(read_at(space, 0, 2), 0x0110);
	assert_int_equal(read_at(space, UINT64_MAX - 1, 2), 0x20fe);
	/* Past 2^64 - 1 nobody answers. */
	assert_int_equal(read_at(space, UINT64_MAX, 4), 0xffffff20);
	assert_flat(space,
		    "0-0 device+0;1-fffffffffffffffe device+1;ffffffffffffffff-ffffffffffffffff device+0;");
	move(first, domain, UINT64_MAX, UINT64_MAX);
	assert_int_equal(read_at(space, UINT64_MAX, 1), 0x10);
	move(last, domain, 0, 0);
	assert_int_equal(read_at(space, 0, 1), 0x20);
	drop(whole, domain);
	assert_flat(space, "0-0 device+0;ffffffffffffffff-ffffffffffffffff device+0;");
	add(space, &four, 0x80000000, 0x17fffffff, 0, 3); /* 4 GiB, over the 4 GiB line */
	assert_int_equal(read_at(space, 0xfffffffe, 4), 0x31302f2e);
	assert_int_equal(at(space, 0x17fffffff), 0x2f);
	assert_int_equal(at(space, 0x180000000), 0xff);
	assert_int_equal(at(space, 0x7fffffff), 0xff);
}

static void nested_spaces_show_with_an_offset_and_are_clipped(void **state)
{
	struct bk_space *bus = bk_space_create(domain, "bus", 0xffff);
	static struct device d = { .id = 0 }, e = { .id = 0x80 };
	struct bk_region *window, *r;
	struct bk_update *u;

	add(bus, &d, 0x1000, 0x10ff, 0, 0);
	r = add(bus, &e, 0x1080, 0x117f, 1, 0);
	window = nest(space, bus, 0x40001010, 0x4000110f, 0x1010, 0, 0);
	assert_flat(space, "40001010-4000107f device+10;40001080-4000110f device+0;");
	assert_int_equal(at(space, 0x40001010), 0x10);
	assert_int_equal(at(space, 0x4000100f), 0xff);
	assert_int_equal(at(space, 0x40001080), 0x80);
	/* What happens inside is seen outside. */
	move(r, domain, 0x2000, 0x20ff);
	assert_flat(space, "40001010-400010ff device+10;");
	u = bk_update_begin(domain);
	assert_int_equal(bk_update_place(u, window, 0x40001010, 0x4000110f, 0x1f80), 0);
	assert_int_equal(bk_update_commit(u, NULL), 0);
	assert_flat(space, "40001090-4000110f device+0;");
	/* A window may be moved and clipped in one go. */
	u = bk_update_begin(domain);
	/* Runs past the bus's last address. */
	assert_int_equal(bk_update_place(u, window, 0x100, 0x1ff, 0xfff0), 0);
	assert_int_equal(bk_update_move(u, r, 0xff00, 0xffff), 0);
	assert_int_equal(bk_update_commit(u, NULL), 0);
	assert_flat(space, "100-10f device+f0;");
	enable(window, domain, false);
	assert_flat(space, "");
	enable(window, domain, true);
	assert_flat(space, "100-10f device+f0;");
	assert_int_equal(bk_space_destroy(bus), -EBUSY);
	drop(window, domain);
	assert_int_equal(bk_space_destroy(bus), 0);
	assert_int_equal(bk_domain_synchronize(domain), 0);
	assert_int_equal(d.released, 1);
	assert_int_equal(e.released, 1);
}

static void holes_of_a_nested_space_show_what_is_below(void **state)
{
	struct bk_space *bus = bk_space_create(domain, "bus", UINT64_MAX);
	static struct device below = { .id = 0 }, inside = { .id = 0x40 }, above = { .id = 0x80 };
	struct bk_region *window;

	add(space, &below, 0x1000, 0x10ff, 0, 0);
	/* The highest priority inside, yet it does not compete outside. */
	add(bus, &inside, 0x1020, 0x103f, 1000, 0);
	window = nest(space, bus, 0x1000, 0x10ff, 0x1000, 1, 0);
	add(space, &above, 0x1030, 0x1047, 2, 0);
	assert_int_equal(at(space, 0x101f), 0x1f);
	assert_int_equal(at(space, 0x1020), 0x40);
	assert_int_equal(at(space, 0x102f), 0x4f);
	assert_int_equal(at(space, 0x1030), 0x80);
	assert_int_equal(at(space, 0x1047), 0x97);
	assert_int_equal(at(space, 0x1048), 0x48);
	enable(window, domain, false);
	assert_flat(space, "1000-102f device+0;1030-1047 device+0;1048-10ff device+48;");
	drop(window, domain);
	assert_int_equal(bk_space_destroy(bus), 0);
}

static void one_space_shows_in_several_places(void **state)
{
	struct bk_space *ports = bk_space_create(domain, "ports", UINT32_MAX);
	struct bk_space *top = bk_space_create(domain, "top", UINT64_MAX);
	static struct device d = { .id = 0x10 };
	struct bk_region *r = add(ports, &d, 0xc000, 0xc01f, 0, 0), *a, *b, *c, *t;

	a = nest(space, ports, 0, 0xffff, 0, 0, 0);
	b = nest(space, ports, 0xdf000000, 0xdf00ffff, 0, 0, 1);
	c = nest(space, ports, 0xdf010000, 0xdf01000f, 0xc010, 0, 2);
	t = nest(top, space, 0, UINT64_MAX, 0, 0, 0);
	assert_flat(top, "c000-c01f device+0;df00c000-df00c01f device+0;df010000-df01000f device+10;");
	move(r, domain, 0xc010, 0xc02f);
	assert_flat(top, "c010-c02f device+0;df00c010-df00c02f device+0;df010000-df01000f device+0;");
	assert_int_equal(read_at(top, 0xdf00c012, 2), 0x1312);
	enable(r, domain, false);
	assert_flat(top, "");
	drop(a, domain);
	drop(b, domain);
	drop(c, domain);
	drop(t, domain);
	assert_int_equal(bk_space_destroy(ports), 0);
	assert_int_equal(bk_space_destroy(top), 0);
}

static void a_space_cannot_contain_itself(void **state)
{
	struct bk_space *b = bk_space_create(domain, "b", UINT64_MAX),
			*c = bk_space_create(domain, "c", UINT64_MAX);
	struct bk_region_desc desc = { .first = 0, .last = 0xff, .rank = 7, .kind = BK_REGION_NESTED };
	struct bk_region *ab = nest(space, b, 0, 0xff, 0, 0, 0), *bc = nest(b, c, 0, 0xff, 0, 0, 0), *r;
	struct bk_update *u;

	desc.nested = space;
	assert_int_equal(try_add(space, &desc, &r), -ELOOP);
	assert_int_equal(try_add(c, &desc, &r), -ELOOP);
	assert_int_equal(try_add(b, &desc, &r), -ELOOP);
	desc.nested = c;
	assert_int_equal(try_add(space, &desc, &r), 0); /* a diamond is none */
	drop(r, domain);
	/* What counts is the result. */
	u = bk_update_begin(domain);
	desc.nested = space;
	assert_int_equal(bk_update_add(u, c, &desc, &r), 0);
	assert_int_equal(bk_update_remove(u, ab), 0);
	assert_int_equal(bk_update_commit(u, NULL), 0);
	drop(r, domain);
	drop(bc, domain);
	assert_int_equal(bk_space_destroy(b), 0);
	assert_int_equal(bk_space_destroy(c), 0);
}

static void an_update_is_seen_whole_or_not_at_all(void **state)
{
	struct bk_space *ports = bk_space_create(domain, "ports", UINT32_MAX);
	static struct device a = { .id = 1 }, b = { .id = 2 }, c = { .id = 3 };
	struct bk_region *ra = add(space, &a, 0, 0xf, 0, 0), *rb = add(ports, &b, 0x10, 0x1f, 0, 0), *rc;
	struct bk_region_desc desc = device_at(&c, 0x10, 0x1f, 0, 0);
	struct bk_update *u = bk_update_begin(domain);

	assert_int_equal(bk_update_move(u, ra, 0x100, 0x10f), 0);
	assert_int_equal(bk_update_remove(u, rb), 0);
	assert_int_equal(bk_update_add(u, ports, &desc, &rc), 0);
	assert_int_equal(bk_update_move(u, rc, 0x40, 0x4f), 0);
	assert_int_equal(bk_update_enable(u, rc, false), 0);
	assert_int_equal(bk_update_enable(u, rc, true), 0);
	assert_flat(space, "0-f device+0;");
	assert_flat(ports, "10-1f device+0;");
	assert_int_equal(bk_update_commit(u, NULL), 0);
	assert_flat(space, "100-10f device+0;");
	assert_flat(ports, "40-4f device+0;");
	assert_int_equal(at(ports, 0x40), 3);

	/* The same with an error at its end. */
	desc = device_at(&c, 0, 0, 0, 0);
	u = bk_update_begin(domain);
	assert_int_equal(bk_update_move(u, ra, 0, 0xf), 0);
	assert_int_equal(bk_update_order(u, ra, 5, 5), 0);
	assert_int_equal(bk_update_enable(u, ra, false), 0);
	assert_int_equal(bk_update_remove(u, rc), 0);
	assert_int_equal(bk_update_add(u, space, &desc, &rb), 0);
	desc.rank = 1;
	assert_int_equal(bk_update_add(u, space, &desc, &rb), 0);
	assert_int_equal(bk_update_order(u, rb, 0, 0), 0);
	assert_int_equal(bk_update_commit(u, NULL), -EEXIST);
	assert_flat(space, "100-10f device+0;");
	assert_flat(ports, "40-4f device+0;");
	assert_int_equal(bk_domain_synchronize(domain), 0);
	assert_int_equal(a.released + c.released, 0);
	assert_int_equal(b.released, 1);
	assert_int_equal(bk_space_destroy(ports), 0);
}

static void an_empty_update_and_changes_that_change_nothing(void **state)
{
	static struct device a = { .id = 1 };
	struct bk_region *r = add(space, &a, 0, 0xf, 0, 0);

	assert_int_equal(bk_update_commit(bk_update_begin(domain), NULL), 0);
	bk_update_drop(bk_update_begin(domain));
	move(r, domain, 0, 0xf);
	enable(r, domain, true);
	assert_flat(space, "0-f device+0;");
}

static void disabled_regions_are_there_but_silent(void **state)
{
	static struct device a = { .id = 1 }, b = { .id = 0x41 };
	struct bk_region_desc desc = device_at(&b, 0, 0xf, 1, 0);
	struct bk_region *r;

	add(space, &a, 0, 0x1f, 0, 0);
	desc.disabled = true;
	assert_int_equal(try_add(space, &desc, &r), 0);
	assert_int_equal(at(space, 0), 1);
	move(r, domain, 0x10, 0x1f);
	assert_int_equal(at(space, 0x10), 0x11);
	enable(r, domain, true);
	assert_int_equal(at(space, 0x10), 0x41);
	enable(r, domain, false);
	assert_int_equal(at(space, 0x10), 0x11);
	desc.rank = 0;
	assert_int_equal(try_add(space, &desc, &r), -EEXIST);
}

static void the_base_is_added_to_what_handlers_see(void **state)
{
	static struct device a = { .id = 0 };
	struct bk_region_desc desc = device_at(&a, 0x1000, 0x10ff, 0, 0);
	struct bk_region *r;

	desc.base = 0x40;
	assert_int_equal(try_add(space, &desc, &r), 0);
	assert_int_equal(at(space, 0x1001), 0x41);
	assert_flat(space, "1000-10ff device+0;");
}

static void released_comes_once_and_retire_waits_for_it(void **state)
{
	static struct device a = { .id = 1 }, b = { .id = 2 };
	struct bk_region *ra = add(space, &a, 0, 0xf, 0, 0), *rb = add(space, &b, 0, 0xf, 0, 1);

	assert_int_equal(bk_region_retire(ra), 0);
	assert_int_equal(a.released, 1);
	assert_int_equal(at(space, 0), 2);
	drop(rb, domain);
	assert_int_equal(bk_domain_synchronize(domain), 0);
	assert_int_equal(b.released, 1);
	assert_int_equal(bk_domain_synchronize(domain), 0);
	assert_int_equal(a.released, 1);
	assert_int_equal(b.released, 1);
}

static void a_domain_with_spaces_stays(void **state)
{
	static struct device a = { .id = 1 };

	add(space, &a, 0, 0xf, 0, 0);
	assert_int_equal(bk_domain_destroy(domain), -EBUSY);
	assert_int_equal(at(space, 0), 1);
}

static void F18_regions_come_back_at_the_same_place(void **state)
{
	static struct device devices[1000];

	for (unsigned i = 0; i < 1000; i++) {
		struct bk_region *r;

		devices[i].id = (uint8_t)(i % 200);
		r = add(space, &devices[i], 0x1000, 0x1fff, 0, 0);
		assert_int_equal(at(space, 0x1000), i % 200);
		drop(r, domain);
		assert_int_equal(at(space, 0x1000), 0xff);
	}
	assert_int_equal(bk_domain_synchronize(domain), 0);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(devices[i].released, 1);
}

static void many_spaces_come_and_go(void **state)
{
	static struct device devices[100];
	struct bk_space *spaces[100];
	struct bk_region *windows[100];

	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 100; i++) {
			spaces[i] = bk_space_create(domain, "bar", 0xfff);
			devices[i].id = (uint8_t)i;
			add(spaces[i], &devices[i], 0, 0xfff, 0, 0);
			windows[i] = nest(space, spaces[i], i * 0x1000, i * 0x1000 + 0xfff, 0, 0, i);
		}
		for (unsigned i = 0; i < 100; i++)
			assert_int_equal(at(space, i * 0x1000), i);
		for (unsigned i = 0; i < 100; i++) {
			drop(windows[i], domain);
			assert_int_equal(bk_space_destroy(spaces[i]), 0);
		}
		assert_flat(space, "");
	}
	assert_int_equal(bk_domain_synchronize(domain), 0);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(devices[i].released, 3);
}

static void describe_shows_the_tree_the_view_and_the_shadows(void **state)
{
	struct bk_space *bus = bk_space_create(domain, "bus \"1\"", 0xffff);
	static struct device a = { .id = 1, .fail = -EIO }, b = { .id = 2 };
	struct bk_region *w, *w2;
	char text[8192];
	uint64_t value;
	FILE *out;

	add(bus, &a, 0x100, 0x1ff, 0, 0);
	add(bus, &b, 0x180, 0x27f, 0, 1);
	w = nest(space, bus, 0x10000, 0x1ffff, 0, 0, 0);
	w2 = nest(space, bus, 0x10000, 0x1ffff, 0, 0, 9);
	bk_space_on_error(space, (bk_error_fn *)NULL, NULL);
	bk_log_set(NULL, NULL);
	assert_int_equal(bk_space_read(space, 0x10100, 4, &value), -EIO);
	assert_int_equal(bk_space_read(space, 0, 4, &value), 0);
	for (enum bk_format format = BK_FORMAT_TEXT; format <= BK_FORMAT_JSON; format++) {
		out = fmemopen(text, sizeof(text), "w");
		assert_int_equal(bk_space_describe(space, format, bk_sink_file, out), 0);
		fclose(out);
		if (format == BK_FORMAT_TEXT) {
			assert_non_null(strstr(text, "0x00000180-0x000001ff of bus \"1\": device by device"));
			assert_non_null(strstr(text, "0x00010100-0x000101ff device +0x0"));
			assert_non_null(strstr(text, "1 unclaimed reads, 0 unclaimed writes, 1 errors"));
			assert_non_null(strstr(text, "shows bus \"1\" from 0x0, as above"));
		} else {
			assert_non_null(strstr(text, "\"space\": \"bus \\\"1\\\"\""));
			assert_non_null(strstr(text, "\"unclaimed_reads\": 1"));
		}
	}
	out = fopen("/dev/full", "w");
	if (out) {
		setvbuf(out, NULL, _IONBF, 0);
		assert_int_equal(bk_space_describe(space, BK_FORMAT_TEXT, bk_sink_file, out), -EIO);
		fclose(out);
	}
	drop(w, domain);
	drop(w2, domain);
	assert_int_equal(bk_space_destroy(bus), 0);
}

/* A reader of a description that changes the space: no lock may be held while it is written. */
static ssize_t change_space(void *opaque, const char *text, size_t size)
{
	struct bk_update *update = bk_update_begin(bk_space_domain(opaque));

	return bk_update_commit(update, NULL) ? -1 : (ssize_t)size;
}

static void a_description_is_written_without_a_lock(void **state)
{
	FILE *out = fopencookie(space, "w", (cookie_io_functions_t){ .write = change_space });

	assert_non_null(out);
	setvbuf(out, NULL, _IONBF, 0);
	assert_int_equal(bk_space_describe(space, BK_FORMAT_TEXT, bk_sink_file, out), 0);
	fclose(out);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_empty_space_answers_nothing),
		TEST(a_region_answers_its_range_only),
		TEST(the_higher_priority_then_the_lower_rank_wins),
		TEST(the_order_of_registration_does_not_matter),
		TEST(equal_priority_and_rank_is_refused),
		TEST(many_of_them_with_twins_anywhere_in_the_order),
		TEST(adds_are_refused),
		TEST(changes_are_refused),
		TEST(no_update_is_one_without_memory),
		TEST(structs_may_be_of_another_release),
		TEST(a_space_needs_no_name),
		TEST(two_windows_of_one_region_do_not_join),
		TEST(all_are_destroyed_or_none),
		TEST(a_window_past_the_end_of_addresses_fails_the_commit),
		TEST(a_region_named_after_its_removal_fails_the_commit),
		TEST(ranges_at_the_ends_of_the_world),
		TEST(nested_spaces_show_with_an_offset_and_are_clipped),
		TEST(holes_of_a_nested_space_show_what_is_below),
		TEST(one_space_shows_in_several_places),
		TEST(a_space_cannot_contain_itself),
		TEST(an_update_is_seen_whole_or_not_at_all),
		TEST(an_empty_update_and_changes_that_change_nothing),
		TEST(disabled_regions_are_there_but_silent),
		TEST(the_base_is_added_to_what_handlers_see),
		TEST(released_comes_once_and_retire_waits_for_it),
		TEST(a_domain_with_spaces_stays),
		TEST(F18_regions_come_back_at_the_same_place),
		TEST(many_spaces_come_and_go),
		TEST(describe_shows_the_tree_the_view_and_the_shadows),
		TEST(a_description_is_written_without_a_lock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
