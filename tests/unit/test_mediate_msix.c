/* SPDX-License-Identifier: BSD-2-Clause */
/* The MSI-X table and PBA shown in another BAR than the device's. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "sim_device.h"
#include "trap_kit.h"

#define CAP 0x70

/* A device that is described, but not yet mediated. */
static void describe(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	fake_init(&f->fake);
	fake_bar(&f->fake, 0, 0, 0x10000, true);
	fake_bar(&f->fake, 2, 0xc, 0x100000, true);
	fake_bar(&f->fake, 4, 1, 32, false);
	fake_bar(&f->fake, 5, 0, 256, false);
	fake_msix(&f->fake, CAP, 0, 8, TABLE, PBA);
	fake_put(&f->fake, 0x34, 1, CAP);
	f->domain = bk_domain_create();
	bk_log_set(quiet, NULL);
}

static int move(struct fixture *f, unsigned bar, struct bk_error *err)
{
	const struct bk_mediator_options options = { .msix_move = true, .msix_bar = bar };

	return bk_mediator_create(f->domain, &f->fake.device, &options, &f->mediate, err);
}

static void finish(struct fixture *f)
{
	bk_mediator_destroy(f->mediate);
	assert_true(f->fake.closed);
	assert_int_equal(bk_domain_destroy(f->domain), 0);
	fake_done(&f->fake);
	bk_log_set(NULL, NULL);
}

/* What the register of a BAR holds after all ones were written to it. */
static uint64_t sized(struct fixture *f, unsigned bar)
{
	wr(f, BK_DEVICE_CONFIG, 0x10 + 4 * bar, 4, 0xffffffff);
	return rd(f, BK_DEVICE_CONFIG, 0x10 + 4 * bar, 4);
}

/* The table works at its new place without the device, and its old place is the device's. */
static void works_at(struct fixture *f, unsigned bar, uint64_t table, unsigned vectors)
{
	const uint64_t pba = table + 16 * vectors;

	assert_int_equal(rd(f, BK_DEVICE_CONFIG, CAP + 4, 4), table | bar);
	assert_int_equal(rd(f, BK_DEVICE_CONFIG, CAP + 8, 4), pba | bar);
	f->fake.accesses = 0;
	assert_int_equal(rd(f, bar, table + 12, 4), 1);
	wr(f, bar, table + 16, 8, 0xfee01000);
	wr(f, bar, table + 24, 4, 0x4321);
	assert_int_equal(rd(f, bar, table + 16, 8), 0xfee01000);
	assert_int_equal(rd(f, bar, table + 24, 8), 0x100004321);
	assert_int_equal(rd(f, bar, pba, 8), 0);
	assert_int_equal(f->fake.accesses, 0);
	assert_int_equal(rd(f, 0, TABLE + 4, 8), fake_pattern(TABLE + 4, 8));
	wr(f, 0, TABLE, 4, fake_pattern(TABLE, 4));
	assert_int_equal(f->fake.accesses, 2);
	/* No register shares a page with it any more. */
	assert_true(page_is_mapped(f, 0, TABLE & ~0xfffull));
	assert_true(page_is_mapped(f, 0, PBA & ~0xfffull));
}

static void count_pages(void *opaque, const struct bk_trap_stats *stats)
{
	++*(unsigned *)opaque;
}

static unsigned pages(struct fixture *f)
{
	unsigned count = 0;

	bk_mediator_page_stats(f->mediate, count_pages, &count);
	return count;
}

static void a_new_bar_of_32_bits_where_the_next_is_taken(void **state)
{
	static struct fixture f;
	struct bk_device_region region = { 0 };
	struct bk_error err;

	describe(&f);
	if (move(&f, 1, &err))
		fail_msg("%s", err.text);
	assert_int_equal(sized(&f, 1), 0xfffff000);
	works_at(&f, 1, 0, 8);
	assert_int_equal(pages(&f), 0);
	/* The rest of it is nobody's. */
	assert_int_equal(rd(&f, 1, 0xffc, 4), 0xffffffff);
	assert_int_equal(rd(&f, 1, 0x88, 8), UINT64_MAX);
	wr(&f, 1, 0xffc, 4, 0);
	assert_int_equal(f.fake.accesses, 2);
	assert_int_equal(bk_device_region(bk_mediator_device(f.mediate), 1, &region), 0);
	assert_int_equal(region.size, 0x1000);
	assert_int_equal(region.flags, BK_DEVICE_READ | BK_DEVICE_WRITE);
	assert_int_equal(region.fd, -1);
	finish(&f);
}

static void a_new_bar_of_64_bits_where_the_next_is_free(void **state)
{
	static struct fixture f;
	struct bk_error err;

	describe(&f);
	f.fake.regions[4].size = f.fake.regions[5].size = 0;
	fake_put(&f.fake, 0x20, 8, 0);
	fake_put(&f.fake, CAP + 2, 2, 2047); /* 32 KiB of table, and the PBA */
	if (move(&f, 4, &err))
		fail_msg("%s", err.text);
	assert_int_equal(sized(&f, 4), 0xffff000c);
	assert_int_equal(sized(&f, 5), 0xffffffff);
	works_at(&f, 4, 0, 2048);
	wr(&f, 4, 16 * 2047, 4, 0xfee00000);
	assert_int_equal(rd(&f, 4, 16 * 2047, 4), 0xfee00000);
	finish(&f);

	describe(&f); /* the last one has no next */
	f.fake.regions[5].size = 0;
	assert_int_equal(move(&f, 5, &err), 0);
	assert_int_equal(sized(&f, 5), 0xfffff000);
	works_at(&f, 5, 0, 8);
	finish(&f);
}

static void a_bar_is_doubled(void **state)
{
	static struct fixture f;
	static struct recorder r;
	struct bk_device_region region = { 0 };
	struct areas areas;
	struct bk_error err;

	describe(&f);
	if (move(&f, 0, &err))
		fail_msg("%s", err.text);
	assert_int_equal(sized(&f, 0), 0xfffe0000);
	works_at(&f, 0, 0x10000, 8);
	assert_int_equal(pages(&f), 0);
	assert_true(page_is_mapped(&f, 0, 0xf000));
	assert_false(page_is_mapped(&f, 0, 0x10000));
	/* Over the middle: the device's, then the table's. */
	wr(&f, 0, 0x10000, 4, 0xfee02000);
	assert_int_equal(rd(&f, 0, 0xfffc, 8), fake_pattern(0xfffc, 4) | 0xfee0200000000000);
	assert_int_equal(rd(&f, 0, 0x1fff8, 8), UINT64_MAX);
	f.fake.accesses = 0;
	wr(&f, 0, 0x1fff8, 8, 0);
	assert_int_equal(f.fake.accesses, 0);
	/* A trap may be there too, and what is below it is the same. */
	add(&f, &r, 0, 0x10088, 4, 0);
	rd(&f, 0, 0x10084, 8);
	assert_int_equal(called(&r), 1);
	assert_int_equal(r.width[0], 4);
	{
		uint64_t value;

		assert_int_equal(bk_mediator_below_read(f.mediate, 0, 0xfffc, 8, &value), 0);
		assert_int_equal(value, fake_pattern(0xfffc, 4) | 0xfee0200000000000);
		assert_int_equal(bk_mediator_below_read(f.mediate, 0, 0x1fffc, 4, &value), 0);
		assert_int_equal(value, 0xffffffff);
		assert_int_equal(bk_mediator_below_write(f.mediate, 0, 0xfffc, 8, 0x12345678ull << 32 | 7),
				 0);
		assert_int_equal(rd(&f, 0, 0xfffc, 4), 7);
		assert_int_equal(rd(&f, 0, 0x10000, 4), 0x12345678);
		f.fake.fail = EIO; /* of the device, which is not to lose what is the table's */
		assert_int_equal(bk_mediator_below_write(f.mediate, 0, 0xfffc, 8, 0x9abcdef0ull << 32), -EIO);
		f.fake.fail = 0;
		assert_int_equal(rd(&f, 0, 0x10000, 4), 0x9abcdef0);
	}
	assert_int_equal(bk_device_region(bk_mediator_device(f.mediate), 0, &region), 0);
	areas = areas_of(bk_mediator_device(f.mediate), 0);
	assert_int_equal(region.size, 0x20000);
	assert_int_equal(areas.count, 1);
	assert_int_equal(areas.at[0].size, 0x10000);
	finish(&f);
}

/* Whole pages for the table, though the BAR has less. */
static void a_bar_below_a_page_becomes_two_pages(void **state)
{
	static struct fixture f;
	struct bk_error err;

	describe(&f);
	if (move(&f, 5, &err))
		fail_msg("%s", err.text);
	assert_int_equal(sized(&f, 5), 0xffffe000);
	works_at(&f, 5, 0x1000, 8);
	assert_int_equal(rd(&f, 5, 0xfc, 8), fake_pattern(0xfc, 4) | 0xffffffff00000000);
	assert_int_equal(rd(&f, 5, 0x100, 8), UINT64_MAX);
	finish(&f);
}

/* Nothing of the table that the device has needs to make sense where it goes elsewhere. */
static void a_table_that_makes_no_sense_may_be_moved(void **state)
{
	static const uint32_t places[][2] = { { 0x10000, 0x20000 }, { 7, 6 }, { 0x10008, 0x10008 } };
	static struct fixture f;
	struct bk_error err;

	for (unsigned i = 0; i < 3; i++) {
		describe(&f);
		fake_put(&f.fake, CAP + 4, 4, places[i][0]);
		fake_put(&f.fake, CAP + 8, 4, places[i][1]);
		assert_int_equal(move(&f, 1, &err), 0);
		works_at(&f, 1, 0, 8);
		finish(&f);
	}
}

/* Live registers in the very page of the table. */
static const char shared_page[] = HEAD "bars:\n"
				       "  - {index: 0, kind: mem32, size: 16K, mappable: true}\n"
				       "capabilities:\n"
				       "  - msix: {vectors: 16, bar: 0, table: 0x2800, pba: 0x2a00}\n";

/* A guest reads every register of 4 bytes but the device's table: how many of those exit? */
static unsigned exits(bool moved)
{
	const struct bk_mediator_options options = { .msix_move = moved, .msix_bar = 4 };
	struct fixture f = { .domain = bk_domain_create() };
	struct bk_error err;
	unsigned count = 0;

	if (bk_mediator_create(f.domain, open_text(shared_page), &options, &f.mediate, &err))
		fail_msg("%s", err.text);
	for (uint64_t at = 0; at < 0x4000; at += 4) {
		if (at >= 0x2800 && at < 0x2a08)
			continue;
		if (page_is_mapped(&f, 0, at & ~0xfffull))
			continue;
		assert_int_equal(rd(&f, 0, at, 4), 0);
		count++;
	}
	bk_mediator_destroy(f.mediate);
	assert_int_equal(bk_domain_destroy(f.domain), 0);
	return count;
}

static void F26_registers_that_shared_a_page_with_the_table_exit_no_more(void **state)
{
	assert_int_equal(exits(false), (0x1000 - 0x208) / 4);
	assert_int_equal(exits(true), 0);
}

static void refused(struct fixture *f, unsigned bar, const char *says)
{
	struct bk_error err;

	assert_int_equal(move(f, bar, &err), -EINVAL);
	if (!strstr(err.text, says))
		fail_msg("\"%s\" does not say \"%s\"", err.text, says);
	f->fake.regions[2].size = 0x100000; /* what is mapped */
	finish(f);
}

static void what_cannot_hold_the_table_is_refused_with_a_line(void **state)
{
	static struct fixture f;

	describe(&f);
	refused(&f, 4, "I/O");
	describe(&f);
	refused(&f, 3, "upper half of bar2");
	describe(&f);
	refused(&f, 6, "no bar6");
	describe(&f);
	f.fake.regions[1] = (struct bk_device_region){ .size = 0x80000000, .fd = -1 };
	refused(&f, 1, "below 4 GiB");
	describe(&f);
	f.fake.regions[2].size = 0x100000000;
	f.fake.regions[2].flags = BK_DEVICE_READ;
	refused(&f, 2, "choose another BAR");
	describe(&f);
	fake_put(&f.fake, 0x34, 1, 0);
	refused(&f, 1, "no MSI-X table");
	describe(&f);
	f.fake.irqs[BK_DEVICE_MSIX].count = 0;
	refused(&f, 1, "no MSI-X table");
}

/* Everyone who exits is told by the function, and who does not by the device. */
static void the_pba_has_its_trap_while_it_is_asked_for(void **state)
{
	struct fixture *f = *state;
	static struct recorder r;
	struct bk_trap *trap;
	uint64_t value;

	assert_false(page_is_mapped(f, 0, PBA));
	assert_int_equal(bk_mediator_trap_pba(f->mediate, true), 0); /* as it is */
	for (unsigned round = 0; round < 3; round++) {
		assert_int_equal(bk_mediator_trap_pba(f->mediate, false), 0);
		assert_int_equal(bk_mediator_trap_pba(f->mediate, false), 0);
		assert_true(page_is_mapped(f, 0, PBA));
		assert_false(page_is_mapped(f, 0, TABLE & ~0xfffull));
		assert_int_equal(bk_mediator_below_read(f->mediate, 0, PBA, 8, &value), 0);
		assert_int_equal(value, 0);
		assert_int_equal(bk_mediator_trap_pba(f->mediate, true), 0);
		assert_false(page_is_mapped(f, 0, PBA));
		assert_int_equal(rd(f, 0, PBA, 8), 0);
	}

	/* Somebody else's trap in its page. */
	trap = add(f, &r, 0, PBA + 0x100, 4, 0);
	assert_int_equal(bk_mediator_trap_pba(f->mediate, false), 0);
	assert_false(page_is_mapped(f, 0, PBA));
	assert_int_equal(rd(f, 0, PBA, 8), 0);
	assert_int_equal(rd(f, 0, PBA + 8, 8), fake_pattern(PBA + 8, 8));
	bk_trap_remove(trap);
	assert_true(page_is_mapped(f, 0, PBA));
	assert_int_equal(bk_mediator_trap_pba(f->mediate, true), 0);

	/* One that is below it never answers there, as a quirk's. */
	trap = add(f, &r, 0, PBA & ~0xfffull, 0x1000, -2);
	assert_int_equal(bk_mediator_trap_pba(f->mediate, false), -ENOTSUP);
	assert_int_equal(rd(f, 0, PBA, 8), 0);
	assert_int_equal(called(&r), 0);
	bk_trap_remove(trap);
	assert_int_equal(bk_mediator_trap_pba(f->mediate, false), 0);
	assert_true(page_is_mapped(f, 0, PBA));
}

/* The table is in its page; its BAR is not the device's; the device cannot be mapped; there is none. */
static void a_pba_whose_page_exits_all_the_same_keeps_its_trap(void **state)
{
	static struct fixture f;
	struct bk_error err;

	describe(&f);
	fake_put(&f.fake, CAP + 8, 4, 0x2800);
	assert_int_equal(bk_mediator_create(f.domain, &f.fake.device, NULL, &f.mediate, &err), 0);
	assert_int_equal(bk_mediator_trap_pba(f.mediate, false), -ENOTSUP);
	assert_int_equal(rd(&f, 0, 0x2800, 8), 0);
	finish(&f);

	describe(&f);
	assert_int_equal(move(&f, 1, &err), 0);
	assert_int_equal(bk_mediator_trap_pba(f.mediate, false), -ENOTSUP);
	finish(&f);

	describe(&f);
	fake_put(&f.fake, CAP + 8, 4, 0x0005);
	assert_int_equal(bk_mediator_create(f.domain, &f.fake.device, NULL, &f.mediate, &err), 0);
	assert_int_equal(bk_mediator_trap_pba(f.mediate, false), -ENOTSUP);
	finish(&f);

	describe(&f);
	fake_put(&f.fake, 0x34, 1, 0);
	assert_int_equal(bk_mediator_create(f.domain, &f.fake.device, NULL, &f.mediate, &err), 0);
	assert_int_equal(bk_mediator_trap_pba(f.mediate, false), -ENOTSUP);
	assert_int_equal(bk_mediator_trap_pba(f.mediate, true), -ENOTSUP);
	finish(&f);
}

static void a_pba_below_its_table_is_mapped(void **state)
{
	static struct fixture f;
	struct bk_error err;

	describe(&f);
	fake_put(&f.fake, CAP + 8, 4, 0x1000);
	assert_int_equal(bk_mediator_create(f.domain, &f.fake.device, NULL, &f.mediate, &err), 0);
	assert_false(page_is_mapped(&f, 0, 0x1000));
	assert_int_equal(bk_mediator_trap_pba(f.mediate, false), 0);
	assert_true(page_is_mapped(&f, 0, 0x1000));
	finish(&f);
}

static void a_pba_is_mapped_only_if_one_area_has_all_of_its_page(void **state)
{
	static const struct {
		struct bk_device_area areas[2];
		int result;
	} cases[] = {
		{ { { 0, 0x4000 }, { 0x5000, 0xb000 } }, -ENOTSUP },
		{ { { 0, 0x2000 }, { 0x4000, 0x1000 } }, 0 },
		{ { { 0, 0x6000 }, { 0x8000, 0x1000 } }, 0 },
	};
	static struct fixture f;
	struct bk_error err;

	for (unsigned i = 0; i < 3; i++) {
		describe(&f);
		f.fake.areas[0].count = 2;
		memcpy(f.fake.areas[0].at, cases[i].areas, sizeof(cases[i].areas));
		assert_int_equal(bk_mediator_create(f.domain, &f.fake.device, NULL, &f.mediate, &err), 0);
		assert_int_equal(bk_mediator_trap_pba(f.mediate, false), cases[i].result);
		assert_int_equal(page_is_mapped(&f, 0, PBA), !cases[i].result);
		finish(&f);
	}
}

/* Of the traps of lower priority only one that is over the PBA keeps it trapped. */
static void traps_beside_the_pba_do_not_keep_its_trap(void **state)
{
	struct fixture *f = *state;
	static struct recorder r[4];
	struct bk_trap *over;

	add(f, &r[0], 1, PBA, 8, -2);
	add(f, &r[1], 0, PBA - 0x1000, 0x1000, -2);
	add(f, &r[2], 0, PBA + 0x1000, 4, -2);
	assert_int_equal(bk_mediator_trap_pba(f->mediate, false), 0);
	assert_true(page_is_mapped(f, 0, PBA));
	assert_int_equal(bk_mediator_trap_pba(f->mediate, true), 0);
	over = add(f, &r[3], 0, PBA + 4, 8, -2);
	assert_int_equal(bk_mediator_trap_pba(f->mediate, false), -ENOTSUP);
	bk_trap_remove(over);
	assert_int_equal(bk_mediator_trap_pba(f->mediate, false), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_bar_of_32_bits_where_the_next_is_taken),
		cmocka_unit_test(a_new_bar_of_64_bits_where_the_next_is_free),
		cmocka_unit_test(a_bar_is_doubled),
		cmocka_unit_test(a_bar_below_a_page_becomes_two_pages),
		cmocka_unit_test(a_table_that_makes_no_sense_may_be_moved),
		cmocka_unit_test(F26_registers_that_shared_a_page_with_the_table_exit_no_more),
		cmocka_unit_test(what_cannot_hold_the_table_is_refused_with_a_line),
		cmocka_unit_test_setup_teardown(the_pba_has_its_trap_while_it_is_asked_for, setup, teardown),
		cmocka_unit_test(a_pba_whose_page_exits_all_the_same_keeps_its_trap),
		cmocka_unit_test(a_pba_below_its_table_is_mapped),
		cmocka_unit_test(a_pba_is_mapped_only_if_one_area_has_all_of_its_page),
		cmocka_unit_test_setup_teardown(traps_beside_the_pba_do_not_keep_its_trap, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
