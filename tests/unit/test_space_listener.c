/* SPDX-License-Identifier: BSD-2-Clause */
/* Listeners: what is told, in which order, and that nothing else is. */
#include "space_kit.h"

#include "space/internal.h"
#include "space/ends.h"

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

/* Everything that is told, in order, as one text. */
static char told[4096];

static void say(const char *format, ...)
{
	size_t length = strlen(told);
	va_list args;

	va_start(args, format);
	vsnprintf(told + length, sizeof(told) - length, format, args);
	va_end(args);
}

static void on_begin(void *opaque, bool overlap)
{
	say("%s[%s", (const char *)opaque, overlap ? "!" : "");
}

static void on_removed(void *opaque, const struct bk_flat *flat)
{
	assert_int_equal(flat->memory != NULL,
			 flat->region && strcmp(bk_region_name(flat->region), "memory") == 0);
	say("%s-%" PRIx64 "..%" PRIx64 "+%" PRIx64 " ", (const char *)opaque, flat->first, flat->last,
	    flat->offset);
}

static void on_added(void *opaque, const struct bk_flat *flat)
{
	say("%s+%" PRIx64 "..%" PRIx64 "+%" PRIx64 " ", (const char *)opaque, flat->first, flat->last,
	    flat->offset);
}

static void on_end(void *opaque)
{
	say("%s]", (const char *)opaque);
}

static const struct bk_listener_ops all_ops = {
	.begin = on_begin, .removed = on_removed, .added = on_added, .end = on_end, .mapped_only = false
};
static const struct bk_listener_ops mapped_ops = {
	.begin = on_begin, .removed = on_removed, .added = on_added, .end = on_end, .mapped_only = true
};

#define assert_told(expected)                        \
	do {                                         \
		assert_string_equal(told, expected); \
		told[0] = 0;                         \
	} while (0)

static void moves_are_told_as_removal_and_addition(void **state)
{
	static struct device d = { .id = 1 }, e = { .id = 2 };
	struct bk_region *r, *s;
	struct bk_listener *l;
	struct bk_update *u;

	r = add(space, &d, 0x100, 0x10f, 0, 0);
	s = add(space, &e, 0x200, 0x20f, 0, 1);
	assert_int_equal(bk_listener_add(space, &all_ops, "", &l), 0);
	assert_told("[+100..10f+0 +200..20f+0 ]");
	move(r, domain, 0x300, 0x30f);
	assert_told("[-100..10f+0 +300..30f+0 ]");
	move(r, domain, 0x308, 0x317); /* over itself */
	assert_told("[!-300..30f+0 +308..317+0 ]");
	move(r, domain, 0x308, 0x317);
	assert_told("");
	move(s, domain, 0x310, 0x31f); /* its head stays hidden */
	assert_told("[-200..20f+0 +318..31f+8 ]");
	enable(r, domain, false);
	assert_told("[!-308..317+0 -318..31f+8 +310..31f+0 ]");
	u = bk_update_begin(domain);
	assert_int_equal(bk_update_order(u, s, 7, 7), 0);
	assert_int_equal(bk_update_commit(u, NULL), 0);
	assert_told("");
	drop(s, domain);
	assert_told("[-310..31f+0 ]");
	enable(r, domain, true);
	assert_told("[+308..317+0 ]");
	bk_listener_remove(l);
	assert_told("[-308..317+0 ]");
	drop(r, domain);
	assert_told("");
}

static void two_that_swap_are_told_in_one_go(void **state)
{
	static struct device d = { .id = 1 }, e = { .id = 2 };
	struct bk_region *r = add(space, &d, 0, 0xf, 0, 0), *s = add(space, &e, 0x10, 0x1f, 0, 1);
	struct bk_update *u = bk_update_begin(domain);
	struct bk_listener *l;

	assert_int_equal(bk_listener_add(space, &all_ops, "", &l), 0);
	told[0] = 0;
	assert_int_equal(bk_update_move(u, r, 0x10, 0x1f), 0);
	assert_int_equal(bk_update_move(u, s, 0, 0xf), 0);
	assert_int_equal(bk_update_commit(u, NULL), 0);
	assert_told("[!-0..f+0 -10..1f+0 +0..f+0 +10..1f+0 ]");
	bk_listener_remove(l);
	told[0] = 0;
}

static void memory_is_not_touched_by_what_lies_below_it(void **state)
{
	static uint8_t ram[0x10000];
	static struct device d = { .id = 1 };
	struct bk_listener *l;
	struct bk_region *r;

	map(space, ram, 0, 0xffff, 10, 0, BK_MEMORY_RAM);
	assert_int_equal(bk_listener_add(space, &mapped_ops, "", &l), 0);
	assert_told("[+0..ffff+0 ]");
	r = add(space, &d, 0x8000, 0x8fff, 0, 1);
	assert_told("");
	move(r, domain, 0xf000, 0xffff);
	assert_told("");
	move(r, domain, 0x10000, 0x10fff); /* answers now, but is not mapped */
	assert_told("");
	drop(r, domain);
	/* What lies above does split it, and it comes back whole. */
	r = add(space, &d, 0x8000, 0x8fff, 20, 1);
	assert_told("[!-0..ffff+0 +0..7fff+0 +9000..ffff+9000 ]");
	move(r, domain, 0xf000, 0xffff);
	assert_told("[!-0..7fff+0 -9000..ffff+9000 +0..efff+0 ]");
	drop(r, domain);
	assert_told("[!-0..efff+0 +0..ffff+0 ]");
	bk_listener_remove(l);
	assert_told("[-0..ffff+0 ]");
}

static void overlap_counts_what_the_listener_wants_only(void **state)
{
	static uint8_t ram[0x1000];
	static struct device d = { .id = 1 };
	struct bk_region *r = add(space, &d, 0x1000, 0x1fff, 0, 0),
			 *m = map(space, ram, 0, 0xfff, 0, 1, BK_MEMORY_RAM);
	struct bk_update *u = bk_update_begin(domain);
	struct bk_listener *l, *k;

	assert_int_equal(bk_listener_add(space, &all_ops, "a", &l), 0);
	assert_int_equal(bk_listener_add(space, &mapped_ops, "m", &k), 0);
	told[0] = 0;
	assert_int_equal(bk_update_move(u, r, 0, 0xfff), 0);
	assert_int_equal(bk_update_move(u, m, 0x1000, 0x1fff), 0);
	assert_int_equal(bk_update_commit(u, NULL), 0);
	/* All begin, all removals, all additions, all end. */
	assert_told(
		"a[!m[a-0..fff+0 a-1000..1fff+0 m-0..fff+0 a+0..fff+0 a+1000..1fff+0 m+1000..1fff+0 a]m]");
	bk_listener_remove(l);
	bk_listener_remove(k);
	told[0] = 0;
}

static void a_change_inside_is_told_wherever_it_shows(void **state)
{
	struct bk_space *bus = bk_space_create(domain, "bus", 0xffff);
	static struct device d = { .id = 1 }, e = { .id = 2 };
	struct bk_region *r = add(bus, &d, 0x100, 0x10f, 0, 0), *w, *w2;
	struct bk_listener *l, *k;
	struct bk_update *u;

	add(bus, &e, 0x400, 0x40f, 0, 1);
	w = nest(space, bus, 0x10000, 0x1ffff, 0, 0, 0);
	w2 = nest(space, bus, 0x20000, 0x200ff, 0x400, 0, 1);
	assert_int_equal(bk_listener_add(space, &all_ops, "s", &l), 0);
	assert_int_equal(bk_listener_add(bus, &all_ops, "b", &k), 0);
	assert_told("s[s+10100..1010f+0 s+10400..1040f+0 s+20000..2000f+0 s]b[b+100..10f+0 b+400..40f+0 b]");
	move(r, domain, 0x200, 0x20f);
	assert_told("b[s[b-100..10f+0 s-10100..1010f+0 b+200..20f+0 s+10200..1020f+0 b]s]");
	move(r, domain, 0x410, 0x41f);
	assert_told("b[s[b-200..20f+0 s-10200..1020f+0 b+410..41f+0 s+10410..1041f+0 s+20010..2001f+0 b]s]");
	assert_int_equal(bk_space_destroy(bus), -EBUSY);
	bk_listener_remove(k);
	told[0] = 0;
	u = bk_update_begin(domain);
	assert_int_equal(bk_update_move(u, w2, 0x20000, 0x2000f), 0); /* clipped at its end */
	assert_int_equal(bk_update_commit(u, NULL), 0);
	assert_told("s[s-20010..2001f+0 s]");
	drop(w, domain);
	assert_told("s[s-10400..1040f+0 s-10410..1041f+0 s]");
	bk_listener_remove(l);
	told[0] = 0;
	drop(w2, domain);
	assert_int_equal(bk_space_destroy(bus), 0);
}

static struct bk_region *probe;
static int commit_result, destroy_result;

static void commits(void *opaque, const struct bk_flat *flat)
{
	struct bk_update *u = bk_update_begin(domain);
	uint64_t value;

	bk_update_move(u, probe, 0x5000, 0x500f);
	commit_result = bk_update_commit(u, NULL);
	destroy_result = bk_space_destroy(space);
	/* The view is published by now. */
	assert_int_equal(bk_space_read(space, flat->first, 1, &value), 0);
	assert_int_equal(value, 1);
}

static void a_commit_from_a_listener_is_refused(void **state)
{
	static const struct bk_listener_ops ops = { .added = commits };
	static struct device d = { .id = 1 };
	struct bk_listener *l;

	probe = add(space, &d, 0, 0xf, 0, 0);
	assert_int_equal(bk_listener_add(space, &ops, NULL, &l), 0);
	assert_int_equal(commit_result, -EDEADLK);
	commit_result = destroy_result = 0;
	move(probe, domain, 0x100, 0x10f);
	assert_int_equal(commit_result, -EDEADLK);
	assert_int_equal(destroy_result, -EDEADLK);
	assert_flat(space, "100-10f device+0;");
	bk_listener_remove(l);
}

static void a_failed_commit_tells_nothing(void **state)
{
	static struct device d = { .id = 1 }, e = { .id = 2 };
	struct bk_region *r = add(space, &d, 0, 0xf, 0, 0), *other;
	struct bk_region_desc desc = device_at(&e, 0x10, 0x1f, 0, 0);
	struct bk_update *u = bk_update_begin(domain);
	struct bk_listener *l;

	assert_int_equal(bk_listener_add(space, &all_ops, "", &l), 0);
	told[0] = 0;
	assert_int_equal(bk_update_move(u, r, 0x100, 0x10f), 0);
	assert_int_equal(bk_update_add(u, space, &desc, &other), 0);
	assert_int_equal(bk_update_commit(u, NULL), -EEXIST);
	assert_told("");
	bk_listener_remove(l);
	told[0] = 0;
}

/* What a listener keeps by what it is told is always the view. */
#define KEPT 4096
static struct kept {
	uint64_t first, last, offset;
	const struct bk_region *region;
} kept[KEPT];
static unsigned kept_count;

static void keep(void *opaque, const struct bk_flat *flat)
{
	for (unsigned i = 0; i < kept_count; i++)
		assert_true(kept[i].last < flat->first || kept[i].first > flat->last);
	assert_true(kept_count < KEPT);
	kept[kept_count++] = (struct kept){ flat->first, flat->last, flat->offset, flat->region };
}

static void forget(void *opaque, const struct bk_flat *flat)
{
	for (unsigned i = 0; i < kept_count; i++) {
		if (kept[i].first == flat->first && kept[i].last == flat->last &&
		    kept[i].region == flat->region && kept[i].offset == flat->offset) {
			kept[i] = kept[--kept_count];
			return;
		}
	}
	fail_msg("%" PRIx64 "-%" PRIx64 " was never told", flat->first, flat->last);
}

static bool is_kept(void *opaque, const struct bk_flat *flat)
{
	unsigned *seen = opaque;

	for (unsigned i = 0; i < kept_count; i++) {
		if (kept[i].first == flat->first && kept[i].last == flat->last &&
		    kept[i].region == flat->region && kept[i].offset == flat->offset) {
			++*seen;
			return true;
		}
	}
	fail_msg("%" PRIx64 "-%" PRIx64 " is not told", flat->first, flat->last);
	return false;
}

static void what_is_told_adds_up_to_the_view(void **state)
{
	static const struct bk_listener_ops ops = { .removed = forget, .added = keep };
	static struct device devices[64];
	struct bk_region *regions[64];
	struct bk_listener *l;
	uint64_t x = 88172645463325252u;

	kept_count = 0;
	for (unsigned i = 0; i < 64; i++)
		regions[i] = add(space, &devices[i], i * 8, i * 8 + 5 + i % 40, (int)(i % 5), i);
	assert_int_equal(bk_listener_add(space, &ops, NULL, &l), 0);
	for (unsigned i = 0; i < 5000; i++) {
		unsigned changes, seen = 0;
		struct bk_update *u = bk_update_begin(domain);

		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		changes = 1 + x % 4;
		for (unsigned j = 0; j < changes; j++) {
			unsigned k = (unsigned)(x >> (8 * j)) % 64;
			uint64_t first = (x >> (20 + j)) % 600;

			if ((x >> j) & 0x100)
				bk_update_enable(u, regions[k], x >> j & 0x200);
			else
				bk_update_move(u, regions[k], first, first + 5 + k % 40);
		}
		assert_int_equal(bk_update_commit(u, NULL), 0);
		bk_space_visit(space, 0, UINT64_MAX, is_kept, &seen);
		assert_int_equal(seen, kept_count);
	}
	bk_listener_remove(l);
	assert_int_equal(kept_count, 0);
}

/* A listener that removes itself, or another, when it is told of an address. */
struct leaver {
	const char *name;
	uint64_t at;
	struct bk_listener **leaves;
};

static void leave_at(const struct leaver *leaver, const struct bk_flat *flat)
{
	if (flat->first == leaver->at)
		bk_listener_remove(*leaver->leaves);
}

static void leaver_begin(void *opaque, bool overlap)
{
	on_begin((void *)((const struct leaver *)opaque)->name, overlap);
}

static void leaver_removed(void *opaque, const struct bk_flat *flat)
{
	on_removed((void *)((const struct leaver *)opaque)->name, flat);
	leave_at(opaque, flat);
}

static void leaver_added(void *opaque, const struct bk_flat *flat)
{
	on_added((void *)((const struct leaver *)opaque)->name, flat);
	leave_at(opaque, flat);
}

static void leaver_end(void *opaque)
{
	on_end((void *)((const struct leaver *)opaque)->name);
}

static const struct bk_listener_ops leaver_ops = { .begin = leaver_begin,
						   .removed = leaver_removed,
						   .added = leaver_added,
						   .end = leaver_end,
						   .mapped_only = false };

static void one_that_removes_itself_is_told_nothing_more(void **state)
{
	static struct device d = { .id = 1 };
	struct bk_listener *a, *b;
	struct leaver first = { "a", 0x100, &a }, second = { "b", UINT64_MAX, &a };
	struct bk_update *u;

	add(space, &d, 0, 0xf, 0, 0);
	assert_int_equal(bk_listener_add(space, &leaver_ops, &first, &a), 0);
	assert_int_equal(bk_listener_add(space, &leaver_ops, &second, &b), 0);
	told[0] = 0;
	u = bk_update_begin(domain);
	for (unsigned i = 0; i < 2; i++) {
		struct bk_region_desc desc = device_at(&d, 0x100 + i * 0x100, 0x10f + i * 0x100, 0, 1 + i);

		assert_int_equal(bk_update_add(u, space, &desc, NULL), 0);
	}
	assert_int_equal(bk_update_commit(u, NULL), 0);
	assert_told("a[b[a+100..10f+0 b+100..10f+0 b+200..20f+0 b]");
	add(space, &d, 0x300, 0x30f, 0, 3);
	assert_told("b[b+300..30f+0 b]");
	bk_listener_remove(b);
	assert_told("b[b-0..f+0 b-100..10f+0 b-200..20f+0 b-300..30f+0 b]");
}

static void one_that_another_removes_is_told_nothing_more(void **state)
{
	static struct device d = { .id = 1 };
	struct bk_listener *a, *b;
	struct leaver first = { "a", 0x100, &b }, second = { "b", UINT64_MAX, &a };

	assert_int_equal(bk_listener_add(space, &leaver_ops, &first, &a), 0);
	assert_int_equal(bk_listener_add(space, &leaver_ops, &second, &b), 0);
	told[0] = 0;
	add(space, &d, 0x100, 0x10f, 0, 0);
	assert_told("a[b[a+100..10f+0 a]");
	first.at = UINT64_MAX;
	bk_listener_remove(a);
	assert_told("a[a-100..10f+0 a]");
}

static void one_may_leave_while_it_comes_or_goes(void **state)
{
	static struct device d = { .id = 1 };
	struct bk_listener *a;
	struct leaver leaver = { "a", 0x100, &a };

	add(space, &d, 0x100, 0x10f, 0, 0);
	add(space, &d, 0x200, 0x20f, 0, 1);
	assert_int_equal(bk_listener_add(space, &leaver_ops, &leaver, &a), 0);
	assert_told("a[a+100..10f+0 ");
	leaver.at = 0x200;
	assert_int_equal(bk_listener_add(space, &leaver_ops, &leaver, &a), 0);
	assert_told("a[a+100..10f+0 a+200..20f+0 ");
	leaver.at = UINT64_MAX;
	assert_int_equal(bk_listener_add(space, &leaver_ops, &leaver, &a), 0);
	assert_told("a[a+100..10f+0 a+200..20f+0 a]");
	leaver.at = 0x100;
	bk_listener_remove(a);
	assert_told("a[a-100..10f+0 ");
}

/* Whatever takes the commit lock. */
static struct bk_region *someone;

static void do_what_is_refused(void *opaque)
{
	struct bk_listener *listener;
	FILE *out = tmpfile();
	unsigned *called = opaque;

	++*called;
	assert_int_equal(bk_domain_synchronize(domain), -EDEADLK);
	assert_int_equal(bk_domain_destroy(domain), -EDEADLK);
	assert_int_equal(bk_space_destroy(space), -EDEADLK);
	assert_true(bk__space_in_use(space));
	assert_int_equal(bk_region_retire(someone), -EDEADLK);
	assert_int_equal(bk_space_describe(space, BK_FORMAT_TEXT, bk_sink_file, out), -EDEADLK);
	assert_int_equal(bk_space_explain(space, 0, BK_FORMAT_TEXT, bk_sink_file, out), -EDEADLK);
	assert_int_equal(bk_listener_add(space, &all_ops, "", &listener), -EDEADLK);
	assert_null(bk_space_create(domain, NULL, 0xff));
	fclose(out);
}

static void what_listeners_must_not_do_is_refused(void **state)
{
	static const struct bk_listener_ops ops = { .end = do_what_is_refused };
	static struct device d = { .id = 1 };
	struct bk_listener *listener;
	unsigned called = 0;

	someone = add(space, &d, 0, 0xf, 0, 0);
	assert_int_equal(bk_listener_add(space, &ops, &called, &listener), 0);
	move(someone, domain, 0x10, 0x1f);
	assert_int_equal(called, 2);
	assert_true(bk__space_in_use(space));
	bk_listener_remove(listener);
	assert_int_equal(called, 3);
	assert_false(bk__space_in_use(space));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static void a_listener_of_a_later_release_is_refused(void **state)
{
	const struct {
		struct bk_listener_ops ops;
		size_t more;
	} later = { .ops.struct_size = sizeof(later), .more = 1 };
	struct bk_listener *listener;

	assert_int_equal(bk_listener_add(space, &later.ops, NULL, &listener), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_listener_of_a_later_release_is_refused),
		TEST(what_listeners_must_not_do_is_refused),
		TEST(one_that_removes_itself_is_told_nothing_more),
		TEST(one_that_another_removes_is_told_nothing_more),
		TEST(one_may_leave_while_it_comes_or_goes),
		TEST(moves_are_told_as_removal_and_addition),
		TEST(two_that_swap_are_told_in_one_go),
		TEST(memory_is_not_touched_by_what_lies_below_it),
		TEST(overlap_counts_what_the_listener_wants_only),
		TEST(a_change_inside_is_told_wherever_it_shows),
		TEST(a_commit_from_a_listener_is_refused),
		TEST(a_failed_commit_tells_nothing),
		TEST(what_is_told_adds_up_to_the_view),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
