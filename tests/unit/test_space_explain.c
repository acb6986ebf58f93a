/* SPDX-License-Identifier: BSD-2-Clause */
/* Explanations: the chain of spaces, who wins at an address and why, and who loses. */
#include "space_kit.h"

static struct bk_domain *domain;
static struct bk_space *space, *bus;
static char text[16384];

static int setup(void **state)
{
	domain = bk_domain_create();
	space = bk_space_create(domain, "memory", 0xffffffff);
	bus = bk_space_create(domain, "bus", 0xffff);
	return !space || !bus;
}

static int teardown(void **state)
{
	assert_int_equal(bk_space_destroy(space), 0);
	assert_int_equal(bk_space_destroy(bus), 0);
	assert_int_equal(bk_domain_destroy(domain), 0);
	return 0;
}

static const char *explain(struct bk_space *of, uint64_t address, enum bk_format format)
{
	FILE *out = fmemopen(text, sizeof(text), "w");

	assert_int_equal(bk_space_explain(of, address, format, bk_sink_file, out), 0);
	fclose(out);
	return text;
}

static struct bk_region *named(struct bk_space *to, const char *name, uint64_t first, uint64_t last,
			       int priority, uint64_t rank)
{
	static struct device device = { .id = 1 };
	struct bk_region_desc desc = device_at(&device, first, last, priority, rank);
	struct bk_region *region = NULL;

	desc.name = name;
	assert_int_equal(try_add(to, &desc, &region), 0);
	return region;
}

static void nobody_answers(void **state)
{
	named(space, "nic", 0x1000, 0x1fff, 0, 0);
	assert_string_equal(explain(space, 0xfff, BK_FORMAT_TEXT), "0x00000fff in memory\n"
								   "no region answers\n");
	assert_string_equal(explain(space, 0x2000, BK_FORMAT_JSON),
			    "{\"chain\": [\n"
			    "  {\"space\": \"memory\", \"address\": \"0x2000\", \"regions\": []}], "
			    "\"answer\": null}\n");
	assert_string_equal(explain(bus, UINT64_MAX, BK_FORMAT_TEXT),
			    "0xffffffffffffffff in bus, beyond its last address\n"
			    "no region answers\n");
}

static void one_answers_alone(void **state)
{
	static struct device device;
	struct bk_region_desc desc = device_at(&device, 0x1000, 0x1fff, -3, 0x2a);
	struct bk_region *region;

	desc.base = 0x10000;
	assert_int_equal(try_add(space, &desc, &region), 0);
	assert_string_equal(explain(space, 0x1fff, BK_FORMAT_TEXT),
			    "0x00001fff in memory\n"
			    "  0x00001000-0x00001fff device handled, priority -3, rank 0x2a: answers, no "
			    "other region does\n"
			    "answered by device at offset 0xfff, its handler sees 0x10fff\n");
	assert_string_equal(explain(space, 0x1000, BK_FORMAT_JSON),
			    "{\"chain\": [\n"
			    "  {\"space\": \"memory\", \"address\": \"0x1000\", \"regions\": [\n"
			    "    {\"first\": \"0x1000\", \"last\": \"0x1fff\", \"name\": \"device\", "
			    "\"kind\": \"handled\", \"priority\": -3, \"rank\": \"0x2a\", "
			    "\"verdict\": \"answers\", \"why\": \"no other region does\"}]}], "
			    "\"answer\": {\"region\": \"device\", \"offset\": \"0x0\", "
			    "\"base\": \"0x10000\"}}\n");
}

/* The order of registration is not that of precedence. */
static void losers_are_listed_by_precedence(void **state)
{
	struct bk_region *top;

	named(space, "low", 0x0, 0xffff, -1, 0);
	named(space, "second", 0x1000, 0x1fff, 0, 9);
	named(space, "elsewhere", 0x2000, 0x2fff, 9, 0);
	named(space, "first", 0x1000, 0x1fff, 0, 3);
	top = named(space, "off", 0x1800, 0x1fff, 7, 0);
	enable(top, domain, false);
	assert_string_equal(
		explain(space, 0x1800, BK_FORMAT_TEXT),
		"0x00001800 in memory\n"
		"  0x00001800-0x00001fff off handled, priority 7, rank 0x0: does not answer, "
		"disabled\n"
		"  0x00001000-0x00001fff first handled, priority 0, rank 0x3: answers, lowest rank "
		"of this priority\n"
		"  0x00001000-0x00001fff second handled, priority 0, rank 0x9: shadowed, same "
		"priority, higher rank\n"
		"  0x00000000-0x0000ffff low handled, priority -1, rank 0x0: shadowed, lower "
		"priority\n"
		"answered by first at offset 0x800\n");
	enable(top, domain, true);
	explain(space, 0x1800, BK_FORMAT_TEXT);
	assert_non_null(strstr(text, "off handled, priority 7, rank 0x0: answers, highest priority\n"));
	assert_non_null(strstr(text, "first handled, priority 0, rank 0x3: shadowed, lower priority\n"));
	assert_non_null(strstr(text, "answered by off at offset 0x0\n"));
}

static void the_chain_leads_through_nested_spaces(void **state)
{
	struct bk_space *bar = bk_space_create(domain, "bar \"0\"", 0xfff);
	struct bk_region *inner, *outer;
	uint64_t value;

	named(bar, "device", 0, 0xfff, 0, 0);
	named(bar, "trap", 0x40, 0x43, 1, 0);
	inner = nest(bus, bar, 0x2000, 0x2fff, 0, 0, 5);
	outer = nest(space, bus, 0x80000000, 0x8000ffff, 0, 0, 1);
	assert_string_equal(
		explain(space, 0x80002042, BK_FORMAT_TEXT),
		"0x80002042 in memory\n"
		"  0x80000000-0x8000ffff window nested, priority 0, rank 0x1: answers, no other region does; "
		"shows bus at 0x2042\n"
		"0x00002042 in bus\n"
		"  0x00002000-0x00002fff window nested, priority 0, rank 0x5: answers, no other region does; "
		"shows bar \"0\" at 0x42\n"
		"0x00000042 in bar \"0\"\n"
		"  0x00000040-0x00000043 trap handled, priority 1, rank 0x0: answers, highest priority\n"
		"  0x00000000-0x00000fff device handled, priority 0, rank 0x0: shadowed, lower priority\n"
		"answered by trap at offset 0x2\n");
	assert_int_equal(bk_space_read(space, 0x80002042, 1, &value), 0);
	assert_int_equal(value, 1 + 2);
	explain(space, 0x80002042, BK_FORMAT_JSON);
	assert_non_null(strstr(text, "\"shows\": {\"space\": \"bar \\\"0\\\"\", \"address\": \"0x42\"}, "
				     "\"answerer\": \"trap\"}]},\n"));
	assert_non_null(strstr(text, "\"answer\": {\"region\": \"trap\", \"offset\": \"0x2\", "));
	drop(outer, domain);
	drop(inner, domain);
	assert_int_equal(bk_space_destroy(bar), 0);
}

/* Where a nested space has no answer, what lies below shows through. */
static void holes_of_nested_spaces_are_named(void **state)
{
	struct bk_region *window;

	named(bus, "nic", 0x100, 0x1ff, 0, 0);
	named(space, "ram", 0, 0xfffff, -1, 0);
	window = nest(space, bus, 0x10000, 0x2ffff, 0, 3, 0);
	explain(space, 0x10200, BK_FORMAT_TEXT);
	assert_string_equal(
		text,
		"0x00010200 in memory\n"
		"  0x00010000-0x0002ffff window nested, priority 3, rank 0x0: does not "
		"answer, shows nothing there; shows bus at 0x200\n"
		"  0x00000000-0x000fffff ram handled, priority -1, rank 0x0: answers, no other region does\n"
		"answered by ram at offset 0x10200\n");
	/* Past the last address of the nested space, nothing is shown. */
	explain(space, 0x20000, BK_FORMAT_TEXT);
	assert_non_null(strstr(text, "window nested, priority 3, rank 0x0: does not answer, shows nothing "
				     "there\n"));
	enable(window, domain, false);
	explain(space, 0x10100, BK_FORMAT_TEXT);
	assert_non_null(strstr(text, "rank 0x0: does not answer, disabled; shows bus at 0x100\n"));
	assert_non_null(strstr(text, "answered by ram at offset 0x10100\n"));
	enable(window, domain, true);
	explain(space, 0x10100, BK_FORMAT_TEXT);
	assert_non_null(strstr(text, "answered by nic at offset 0x0\n"));
	drop(window, domain);
}

static void a_space_shown_twice_at_one_address(void **state)
{
	struct bk_region *a, *b;

	named(bus, "nic", 0x100, 0x1ff, 0, 0);
	named(bus, "disk", 0x1100, 0x11ff, 0, 1);
	a = nest(space, bus, 0x10000, 0x10fff, 0x1000, 0, 8);
	b = nest(space, bus, 0x10000, 0x1ffff, 0, 0, 9);
	assert_string_equal(
		explain(space, 0x10180, BK_FORMAT_TEXT),
		"0x00010180 in memory\n"
		"  0x00010000-0x00010fff window nested, priority 0, rank 0x8: answers, lowest rank "
		"of this priority; shows bus at 0x1180\n"
		"  0x00010000-0x0001ffff window nested, priority 0, rank 0x9: shadowed, same "
		"priority, higher rank; shows bus at 0x180, nic there\n"
		"0x00001180 in bus\n"
		"  0x00001100-0x000011ff disk handled, priority 0, rank 0x1: answers, no other region does\n"
		"answered by disk at offset 0x80\n");
	drop(a, domain);
	drop(b, domain);
}

struct expected {
	uint64_t address, offset;
	const char *name;
};

static bool expect(void *opaque, const struct bk_flat *flat)
{
	struct expected *expected = opaque;

	expected->name = bk_region_name(flat->region);
	expected->offset = flat->offset + (expected->address - flat->first);
	return false;
}

/* The answer is that of the view, at each address of a tangle. */
static void the_answer_is_that_of_the_view(void **state)
{
	static char names[24][8];
	struct bk_region *windows[4];
	uint32_t seed = 1;
	unsigned answered = 0;

	for (unsigned i = 0; i < 24; i++) {
		struct bk_region *region;
		uint64_t first;

		seed = seed * 1664525 + 1013904223;
		first = (seed >> 8) % 200;
		snprintf(names[i], sizeof(names[i]), "r%u", i);
		region = named(i % 2 ? bus : space, names[i], first, first + (seed >> 20) % 30,
			       (int)(seed >> 28) % 3, i);
		enable(region, domain, i % 5 != 0);
	}
	for (unsigned i = 0; i < 4; i++)
		windows[i] = nest(space, bus, i * 50, i * 50 + 70, 17 * i, (int)i % 2, 100 + i);
	for (uint64_t address = 0; address < 300; address++) {
		struct expected expected = { .address = address };
		char line[64];

		bk_space_visit(space, address, address, expect, &expected);
		explain(space, address, BK_FORMAT_TEXT);
		if (expected.name)
			snprintf(line, sizeof(line), "\nanswered by %s at offset 0x%" PRIx64 "\n",
				 expected.name, expected.offset);
		else
			snprintf(line, sizeof(line), "\nno region answers\n");
		assert_non_null(strstr(text, line));
		answered += expected.name != NULL;
	}
	assert_in_range(answered, 100, 299);
	for (unsigned i = 0; i < 4; i++)
		drop(windows[i], domain);
}

/* A window longer than the space that it shows, in JSON and at an address that is not shown. */
static void what_a_window_does_not_reach_is_said(void **state)
{
	struct bk_region *window = nest(space, bus, 0x20000, 0x3ffff, 0, 0, 0);

	assert_non_null(strstr(explain(space, 0x30000, BK_FORMAT_TEXT), "shows nothing there"));
	assert_non_null(strstr(explain(space, 0x30000, BK_FORMAT_JSON), "\"verdict\": \"does not answer\""));
	assert_null(strstr(text, "answerer"));
	drop(window, domain);
	window = nest(space, bus, 0x20000, 0x3ffff, 0x10000, 0, 0); /* beyond it altogether */
	assert_non_null(strstr(explain(space, 0x20000, BK_FORMAT_TEXT), "shows nothing there"));
	drop(window, domain);
}

static void a_disabled_region_is_described_as_such(void **state)
{
	FILE *out = fmemopen(text, sizeof(text), "w");

	enable(named(space, "nic", 0, 0xfff, 0, 0), domain, false);
	assert_int_equal(bk_space_describe(space, BK_FORMAT_JSON, bk_sink_file, out), 0);
	fclose(out);
	assert_non_null(strstr(text, "\"enabled\": false"));
	out = fmemopen(text, sizeof(text), "w");
	assert_int_equal(bk_space_describe(space, BK_FORMAT_TEXT, bk_sink_file, out), 0);
	fclose(out);
	assert_non_null(strstr(text, "nic handled, priority 0, rank 0x0, disabled"));
}

/* A space shown twice: the same region shadows itself, from another place. */
static void one_region_shadows_itself(void **state)
{
	struct bk_region *a = nest(space, bus, 0, 0xffff, 0, 0, 0),
			 *b = nest(space, bus, 0x800, 0x107ff, 0, 1, 1);
	FILE *out = fmemopen(text, sizeof(text), "w");

	named(bus, "nic", 0, 0xfff, 0, 0);
	assert_int_equal(bk_space_describe(space, BK_FORMAT_TEXT, bk_sink_file, out), 0);
	fclose(out);
	assert_non_null(strstr(text, "0x00000800-0x00000fff of memory: nic by nic\n"));
	drop(a, domain);
	drop(b, domain);
}

static void names_are_quoted_in_json(void **state)
{
	named(space, "a\"b\\c\x01\nd", 0, 0xfff, 0, 0);
	assert_non_null(strstr(explain(space, 0, BK_FORMAT_JSON), "a\\\"b\\\\c\\u0001\\u000ad"));
	assert_non_null(strstr(explain(space, 0, BK_FORMAT_TEXT), "a\"b\\c"));
}

static struct bk_space *from_listener;
static int listener_error;

static void explain_in_listener(void *opaque)
{
	FILE *out = fmemopen(text, sizeof(text), "w");

	listener_error = bk_space_explain(from_listener, 0, BK_FORMAT_TEXT, bk_sink_file, out);
	fclose(out);
}

static void what_cannot_be_explained(void **state)
{
	static const struct bk_listener_ops ops = { .end = explain_in_listener };
	struct bk_listener *listener;
	FILE *out = fopen("/dev/full", "w");

	if (out) {
		setvbuf(out, NULL, _IONBF, 0);
		assert_int_equal(bk_space_explain(space, 0, BK_FORMAT_TEXT, bk_sink_file, out), -EIO);
		fclose(out);
	}
	from_listener = space;
	assert_int_equal(bk_listener_add(space, &ops, NULL, &listener), 0);
	named(space, "nic", 0, 0xfff, 0, 0);
	assert_int_equal(listener_error, -EDEADLK);
	bk_listener_remove(listener);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nobody_answers),
		TEST(one_answers_alone),
		TEST(losers_are_listed_by_precedence),
		TEST(the_chain_leads_through_nested_spaces),
		TEST(holes_of_nested_spaces_are_named),
		TEST(a_space_shown_twice_at_one_address),
		TEST(the_answer_is_that_of_the_view),
		TEST(what_cannot_be_explained),
		TEST(names_are_quoted_in_json),
		TEST(what_a_window_does_not_reach_is_said),
		TEST(a_disabled_region_is_described_as_such),
		TEST(one_region_shadows_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
