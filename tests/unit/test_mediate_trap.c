/* SPDX-License-Identifier: BSD-2-Clause */
/* Traps over the BARs of a device: who is called with what, and what reaches the device. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <barkeep/mediate.h>

#include "trap_kit.h"

/* F28 */
static void F28_the_guests_width_reaches_the_device(void **state)
{
	struct fixture *f = *state;
	const unsigned widths[] = { 1, 2, 4, 8 };

	for (unsigned i = 0; i < 4; i++) {
		unsigned w = widths[i];

		for (uint64_t offset = 0x100; offset < 0x110; offset += w) {
			struct fake_access *a = &f->fake.access[0];

			f->fake.accesses = 0;
			assert_int_equal(rd(f, 0, offset, w), fake_pattern(offset, w));
			assert_int_equal(f->fake.accesses, 1);
			assert_int_equal(a->region, 0);
			assert_int_equal(a->offset, offset);
			assert_int_equal(a->count, w);
			assert_false(a->write);

			f->fake.accesses = 0;
			wr(f, 0, offset, w, fake_pattern(offset, w));
			assert_int_equal(f->fake.accesses, 1);
			assert_int_equal(a->offset, offset);
			assert_int_equal(a->count, w);
			assert_true(a->write);
			assert_int_equal(a->value, fake_pattern(offset, w));
		}
	}
	/* The last bytes of an I/O BAR. */
	assert_int_equal(rd(f, 4, 28, 4), fake_pattern(28, 4));
	assert_int_equal(f->fake.access[f->fake.accesses - 1].count, 4);
}

/* F20 F21: every width at every alignment around two traps that touch: [0x108, 0x10f] and [0x110, 0x113]. */
static void F20_F21_accesses_are_cut_at_the_edges_of_traps(void **state)
{
	struct fixture *f = *state;
	static struct recorder low, high;

	add(f, &low, 0, 0x108, 8, 0);
	add(f, &high, 0, 0x110, 4, 0);
	for (unsigned i = 0; i < 8; i++)
		low.bytes[i] = (uint8_t)(0xa0 + i);
	for (unsigned i = 0; i < 4; i++)
		high.bytes[i] = (uint8_t)(0xb0 + i);
	for (unsigned w = 1; w <= 8; w++) {
		for (uint64_t offset = 0x100; offset < 0x118; offset++) {
			uint64_t value = rd(f, 0, offset, w), want = 0;
			bool in_low = false, in_high = false, outside = false;
			unsigned low_was = called(&low), high_was = called(&high);

			for (unsigned i = 0; i < w; i++) {
				uint64_t at = offset + i;
				uint8_t byte = (uint8_t)fake_pattern(at, 1);

				if (at >= 0x108 && at < 0x110) {
					in_low = true;
					byte = (uint8_t)(0xa0 + at - 0x108);
				} else if (at >= 0x110 && at < 0x114) {
					in_high = true;
					byte = (uint8_t)(0xb0 + at - 0x110);
				} else {
					outside = true;
				}
				want |= (uint64_t)byte << 8 * i;
			}
			assert_int_equal(value, want);
			f->fake.accesses = 0;
			wr(f, 0, offset, w, value);
			assert_int_equal(called(&low) > low_was, in_low);
			assert_int_equal(called(&high) > high_was, in_high);
			assert_int_equal(f->fake.accesses > 0, outside);
			for (unsigned i = 0; i < f->fake.accesses; i++) {
				const struct fake_access *a = &f->fake.access[i];

				assert_true(a->offset + a->count <= 0x108 || a->offset >= 0x114);
			}
			assert_int_equal(rd(f, 0, offset, w), want);
		}
	}
}

/* F20: an access that ends where a trap begins is one access to the device, whole. */
static void F20_an_access_that_ends_where_a_trap_begins_is_whole(void **state)
{
	struct fixture *f = *state;
	static struct recorder r;

	add(f, &r, 0, 0x108, 4, 0);
	f->fake.accesses = 0;
	assert_int_equal(rd(f, 0, 0x100, 8), fake_pattern(0x100, 8));
	assert_int_equal(f->fake.accesses, 1);
	assert_int_equal(f->fake.access[0].count, 8);
	assert_int_equal(called(&r), 0);
	assert_int_equal(rd(f, 0, 0x10c, 4), fake_pattern(0x10c, 4));
	assert_int_equal(called(&r), 0);
}

/* F22 F26 */
static void F22_a_trap_over_the_msix_table_is_called(void **state)
{
	struct fixture *f = *state;
	static struct recorder r;
	struct bk_trap *trap = add(f, &r, 0, TABLE, 16, 0);

	wr(f, 0, TABLE + 8, 4, 0x1234);
	assert_int_equal(r.writes, 1);
	assert_int_equal(rd(f, 0, TABLE + 8, 4), 0x1234);
	bk_trap_remove(trap);
	assert_int_equal(rd(f, 0, TABLE + 8, 4), 0); /* the table's own, which saw nothing */
	wr(f, 0, TABLE + 8, 4, 0x42);
	assert_int_equal(rd(f, 0, TABLE + 8, 4), 0x42);
	assert_int_equal(r.writes, 1);
	assert_int_equal(bk_domain_synchronize(f->domain), 0);
	assert_int_equal(r.released, 1);
}

static bool page_is_mapped(struct fixture *f, unsigned region, uint64_t page);

static void F26_registers_beside_the_msix_table_reach_the_device(void **state)
{
	struct fixture *f = *state;

	f->fake.accesses = 0;
	for (uint64_t offset = 0x2000; offset < 0x3000; offset += 4) {
		bool table = offset >= TABLE && offset < TABLE + 8 * 16;

		if (!table)
			assert_int_equal(rd(f, 0, offset, 4), fake_pattern(offset, 4));
		else
			assert_int_equal(rd(f, 0, offset, 4), offset % 16 == 12 ? 1 : 0); /* masked */
	}
	assert_int_equal(f->fake.accesses, (0x1000 - 8 * 16) / 4);
	for (uint64_t page = 0; page < 0x10000; page += 0x1000)
		assert_int_equal(page_is_mapped(f, 0, page), page != 0x2000 && page != 0x4000);
}

/* F25 */
static void F25_any_width_and_alignment_in_the_msix_table_and_pba(void **state)
{
	struct fixture *f = *state;
	uint8_t shadow[8 * 16] = { 0 };
	uint32_t seed = 1;

	for (unsigned i = 0; i < 8; i++)
		shadow[16 * i + 12] = 1;
	for (unsigned n = 0; n < 20000; n++) {
		unsigned w, at;
		uint64_t value;

		seed = seed * 1664525 + 1013904223;
		w = 1 + (seed >> 8) % 8;
		at = (seed >> 12) % (sizeof(shadow) - w + 1);
		value = (uint64_t)seed * 0x9e3779b97f4a7c15;
		wr(f, 0, TABLE + at, w, value);
		for (unsigned i = 0; i < w; i++)
			shadow[at + i] = (uint8_t)(value >> 8 * i);
		wr(f, 0, PBA + at % 8, w, value); /* dropped, or the device's beyond it */
	}
	f->fake.accesses = 0;
	for (unsigned at = 0; at < sizeof(shadow); at++) {
		uint8_t mask = at % 16 < 12 ? (at % 4 ? 0xff : 0xfc) : at % 16 == 12 ? 0x01 : 0;

		assert_int_equal(rd(f, 0, TABLE + at, 1) & mask, shadow[at] & mask);
	}
	assert_int_equal(rd(f, 0, PBA, 8), 0);
	assert_int_equal(f->fake.accesses, 0);
}

/* F23 */
static void F23_traps_at_the_end_of_all_and_of_one_byte(void **state)
{
	struct fixture *f = *state;
	static struct recorder end, all, one;
	struct bk_trap *trap;

	add(f, &end, 2, 0xffffc, 4, 0);
	assert_int_equal(rd(f, 2, 0xffff8, 8), fake_pattern(0xffff8, 4));
	assert_int_equal(called(&end), 1);
	rd(f, 2, 0xffffe, 8); /* runs out of the BAR: the rest is nobody's */
	assert_int_equal(called(&end), 2);
	assert_int_equal(end.width[1], 2);

	add(f, &one, 4, 31, 1, 0);
	one.bytes[0] = 0x5a;
	assert_int_equal(rd(f, 4, 28, 4), fake_pattern(28, 3) | 0x5a000000);
	assert_int_equal(called(&one), 1);

	trap = add(f, &all, 0, 0, 0x10000, 0);
	f->fake.accesses = 0;
	for (uint64_t offset = 0; offset < 0x10000; offset += 0x100)
		rd(f, 0, offset, 4);
	assert_int_equal(called(&all), 0x100);
	assert_int_equal(f->fake.accesses, 0);
	assert_false(page_is_mapped(f, 0, 0x8000));
	bk_trap_remove(trap);
	assert_true(page_is_mapped(f, 0, 0x8000));
}

/* F24 */
static void F24_a_thousand_traps_in_one_bar(void **state)
{
	struct fixture *f = *state;
	struct recorder *r = calloc(1000, sizeof(*r));
	struct bk_trap *trap[1000];
	struct bk_device_region region = { 0 };
	struct areas areas;

	/* A quarter of them share a page; the BAR has 256. */
	for (unsigned i = 0; i < 1000; i++) {
		trap[i] = add(f, &r[i], 2, (uint64_t)i * 0x400 + 0x10, 4, 0);
		memset(r[i].bytes, (int)i, 4);
	}
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t at = (uint64_t)i * 0x400 + 0x10;

		assert_int_equal(rd(f, 2, at, 1), (uint8_t)i);
		assert_int_equal(rd(f, 2, at - 4, 4), fake_pattern(at - 4, 4));
		assert_int_equal(rd(f, 2, at + 4, 4), fake_pattern(at + 4, 4));
		assert_int_equal(called(&r[i]), 1);
	}
	assert_int_equal(bk_device_region(bk_mediator_device(f->mediate), 2, &region), 0);
	areas = areas_of(bk_mediator_device(f->mediate), 2);
	assert_int_equal(areas.count, 1); /* pages 250 to 255 */
	assert_int_equal(areas.at[0].offset, 250 * 4096);
	assert_int_equal(areas.at[0].size, 6 * 4096);
	for (unsigned i = 0; i < 1000; i += 2)
		bk_trap_remove(trap[i]);
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t at = (uint64_t)i * 0x400 + 0x10;

		assert_int_equal(rd(f, 2, at, 1), i % 2 ? (uint8_t)i : fake_pattern(at, 1));
	}
	assert_int_equal(bk_domain_synchronize(f->domain), 0);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(r[i].released, i % 2 ? 0 : 1);
	for (unsigned i = 1; i < 1000; i += 2)
		bk_trap_remove(trap[i]);
	assert_int_equal(bk_domain_synchronize(f->domain), 0);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(r[i].released, 1);
	free(r);
}

/* F24: a trap at the end of each of 1,000 pages of a BAR of 1,024; the last ones stay mapped. */
static void F24_a_thousand_trapped_pages_in_one_bar(void **state)
{
	struct fixture *f = *state;
	static struct recorder r[1000];
	struct bk_device_region region = { 0 };
	struct areas areas;

	for (unsigned i = 0; i < 1000; i++)
		add(f, &r[i], 1, (uint64_t)i * 4096 + 4092, 4, 0);
	for (unsigned i = 0; i < 1000; i++) {
		assert_false(page_is_mapped(f, 1, (uint64_t)i * 4096));
		assert_int_equal(rd(f, 1, (uint64_t)i * 4096 + 4088, 8), fake_pattern(i * 4096 + 4088, 4));
		assert_int_equal(called(&r[i]), 1);
	}
	assert_int_equal(bk_device_region(bk_mediator_device(f->mediate), 1, &region), 0);
	areas = areas_of(bk_mediator_device(f->mediate), 1);
	assert_int_equal(areas.count, 1);
	assert_int_equal(areas.at[0].offset, 1000 * 4096);
	assert_int_equal(areas.at[0].size, 24 * 4096);
}

/* A trap in every page: nothing is left to map. */
static void a_bar_without_a_whole_page_is_not_mappable(void **state)
{
	struct fixture *f = *state;
	static struct recorder r;
	struct bk_device_region region = { 0 };
	struct areas areas;

	for (uint64_t page = 0; page < 0x10000; page += 4096)
		add(f, &r, 0, page + 0x800, 1, 0);
	assert_int_equal(bk_device_region(bk_mediator_device(f->mediate), 0, &region), 0);
	areas = areas_of(bk_mediator_device(f->mediate), 0);
	assert_int_equal(areas.count, 0);
	assert_int_equal(region.flags & BK_DEVICE_MMAP, 0);
	assert_int_equal(region.fd, -1);
}

struct find_stats {
	const char *name;
	unsigned region;
	bool found;
	struct bk_trap_stats stats;
};

static void find_stats(void *opaque, const struct bk_trap_stats *stats)
{
	struct find_stats *find = opaque;

	if (stats->region != find->region || !stats->name != !find->name)
		return;
	if (stats->name && strcmp(stats->name, find->name))
		return;
	find->found = true;
	find->stats = *stats;
}

static struct bk_trap_stats stats_of(struct fixture *f, unsigned region, const char *name)
{
	struct find_stats find = { .name = name, .region = region };

	bk_mediator_stats(f->mediate, find_stats, &find);
	assert_true(find.found);
	return find.stats;
}

struct told {
	unsigned count;
	uint64_t address;
	unsigned width;
	bool write;
	int error;
};

static void tell(void *opaque, const struct bk_region *region, uint64_t address, bool write, unsigned width,
		 int error)
{
	struct told *told = opaque;

	*told = (struct told){ told->count + 1, address, width, write, error };
}

/* F27 */
static void F27_a_handlers_error_reads_all_ones_is_counted_and_told(void **state)
{
	struct fixture *f = *state;
	static struct recorder r = { .error = -EIO };
	struct told told = { 0 };
	struct bk_trap_stats stats;
	uint64_t value;

	bk_space_on_error(bk_mediator_space(f->mediate, 0), tell, &told);
	add(f, &r, 0, 0x104, 4, 0);
	for (unsigned w = 1; w <= 4; w *= 2) {
		value = 0;
		assert_int_equal(bk_space_read(bk_mediator_space(f->mediate, 0), 0x104, w, &value), -EIO);
		assert_int_equal(value, ones(w));
	}
	assert_int_equal(told.count, 3);
	assert_int_equal(told.error, -EIO);
	/* The neighbour's half of a cut access is whole. */
	assert_int_equal(rd(f, 0, 0x100, 8), fake_pattern(0x100, 4) | 0xffffffff00000000);
	assert_int_equal(bk_space_write(bk_mediator_space(f->mediate, 0), 0x104, 4, 5), -EIO);
	assert_int_equal(told.count, 5);
	assert_int_equal(told.address, 0x104);
	assert_int_equal(told.width, 4);
	assert_true(told.write);
	stats = stats_of(f, 0, "recorder");
	assert_int_equal(stats.errors, 5);
	assert_int_equal(stats.reads, 4);
	assert_int_equal(stats.writes, 1);

	/* The device fails itself. */
	f->fake.fail = EIO;
	assert_int_equal(rd(f, 0, 0x200, 4), 0xffffffff);
	assert_int_equal(told.count, 6);
	assert_int_equal(stats_of(f, 0, NULL).errors, 1);
}

static void count_twins(void *opaque, const struct bk_trap_stats *stats)
{
	if (stats->name && !strcmp(stats->name, "twin"))
		++*(unsigned *)opaque;
}

struct looking {
	struct bk_mediator *mediate;
	_Atomic bool stop;
	unsigned twins;
};

static void *look(void *opaque)
{
	struct looking *looking = opaque;

	while (!looking->stop)
		bk_mediator_stats(looking->mediate, count_twins, &looking->twins);
	return NULL;
}

/* A trap that is refused is in the list for a moment: AddressSanitizer watches who looks at it then. */
static void a_refused_trap_may_be_looked_at(void **state)
{
	struct fixture *f = *state;
	static struct recorder r;
	struct bk_trap_desc desc = { .offset = 0x400, .length = 4, .name = "twin", .ops = &recorder_ops };
	struct looking looking = { .mediate = f->mediate };
	struct bk_trap *trap;
	pthread_t thread;

	for (unsigned offset = 0; offset <= 0x400; offset += 4)
		add(f, &r, 0, offset, 4, 0);
	assert_int_equal(pthread_create(&thread, NULL, look, &looking), 0);
	for (unsigned i = 0; i < 5000; i++)
		assert_int_equal(bk_trap_add(f->mediate, &desc, &trap, NULL), -EEXIST);
	looking.stop = true;
	pthread_join(thread, NULL);
	looking.twins = 0;
	bk_mediator_stats(f->mediate, count_twins, &looking.twins);
	assert_int_equal(looking.twins, 0);
}

/* ---- F30 --------------------------------------------------------------- */

static int nines_read(void *opaque, unsigned region, uint64_t offset, unsigned width, uint64_t *value)
{
	*value = 0x9999999999999999 & ones(width);
	return 0;
}

static const struct bk_trap_ops nines_ops = { .read = nines_read };

struct hammer {
	struct fixture *f;
	bool started, stop;
	unsigned long before, within, wrong;
};

static void *hammer(void *opaque)
{
	struct hammer *h = opaque;
	const uint64_t device = fake_pattern(0x800, 4);

	while (!__atomic_load_n(&h->stop, __ATOMIC_RELAXED)) {
		uint64_t value = rd(h->f, 0, 0x800, 4);

		if (value == device)
			h->before++;
		else if (value == 0x99999999)
			h->within++;
		else
			h->wrong++;
		__atomic_store_n(&h->started, true, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* However busy the machine is, both are at it when this returns. */
static void hammers_start(struct hammer h[2], pthread_t thread[2])
{
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, hammer, &h[i]), 0);
	for (unsigned i = 0; i < 2; i++)
		while (!__atomic_load_n(&h[i].started, __ATOMIC_RELAXED))
			sched_yield();
}

static void F30_an_access_is_wholly_before_or_after_a_trap_is_added(void **state)
{
	struct fixture *f = *state;
	struct bk_trap_desc desc = { .offset = 0x7fe, .length = 0x10, .ops = &nines_ops };
	struct hammer h[2] = { { .f = f }, { .f = f } };
	pthread_t thread[2];

	hammers_start(h, thread);
	for (unsigned i = 0; i < 1000; i++) {
		struct bk_trap *trap;

		assert_int_equal(bk_trap_add(f->mediate, &desc, &trap, NULL), 0);
		assert_int_equal(rd(f, 0, 0x800, 4), 0x99999999);
		bk_trap_remove(trap);
		assert_int_equal(rd(f, 0, 0x800, 4), fake_pattern(0x800, 4));
	}
	for (unsigned i = 0; i < 2; i++) {
		__atomic_store_n(&h[i].stop, true, __ATOMIC_RELAXED);
		pthread_join(thread[i], NULL);
		assert_int_equal(h[i].wrong, 0);
		assert_true(h[i].before + h[i].within > 0);
	}
}

/* F30: `released` frees what a handler uses; no handler may be inside then, or come later. */
struct mortal {
	uint32_t alive;
};

static unsigned mortals_released;

static int mortal_read(void *opaque, unsigned region, uint64_t offset, unsigned width, uint64_t *value)
{
	*value = ((struct mortal *)opaque)->alive;
	return 0;
}

static void mortal_released(void *opaque)
{
	((struct mortal *)opaque)->alive = 0xdead;
	free(opaque);
	__atomic_fetch_add(&mortals_released, 1, __ATOMIC_RELAXED);
}

static const struct bk_trap_ops mortal_ops = { .read = mortal_read, .released = mortal_released };

static void F30_a_trap_is_released_when_nobody_is_inside(void **state)
{
	struct fixture *f = *state;
	struct hammer h[2] = { { .f = f }, { .f = f } };
	pthread_t thread[2];

	hammers_start(h, thread);
	for (unsigned i = 0; i < 1000; i++) {
		struct mortal *mortal = malloc(sizeof(*mortal));
		struct bk_trap_desc desc = {
			.offset = 0x800, .length = 4, .ops = &mortal_ops, .opaque = mortal
		};
		struct bk_trap *trap;

		mortal->alive = 0x99999999;
		assert_int_equal(bk_trap_add(f->mediate, &desc, &trap, NULL), 0);
		bk_trap_remove(trap);
	}
	for (unsigned i = 0; i < 2; i++) {
		__atomic_store_n(&h[i].stop, true, __ATOMIC_RELAXED);
		pthread_join(thread[i], NULL);
		assert_int_equal(h[i].wrong, 0);
	}
	assert_int_equal(bk_domain_synchronize(f->domain), 0);
	assert_int_equal(mortals_released, 1000);
}

/* A trap that removes itself when it is read, and puts another in its place. */
struct once {
	struct fixture *f;
	struct bk_trap *self, *other;
	struct recorder *next;
	unsigned calls, released;
};

static int once_read(void *opaque, unsigned region, uint64_t offset, unsigned width, uint64_t *value)
{
	struct once *once = opaque;

	once->calls++;
	*value = 0x11;
	bk_trap_remove(once->self);
	once->other = add(once->f, once->next, region, offset, width, 0);
	return 0;
}

static void once_released(void *opaque)
{
	((struct once *)opaque)->released++;
}

static const struct bk_trap_ops once_ops = { .read = once_read, .released = once_released };

static void a_trap_removes_itself_and_adds_another_from_its_handler(void **state)
{
	struct fixture *f = *state;
	static struct recorder next = { .bytes = { 0x22, 0x22, 0x22, 0x22 } };
	struct once once = { .f = f, .next = &next };
	struct bk_trap_desc desc = {
		.region = 2, .offset = 0x40, .length = 4, .ops = &once_ops, .opaque = &once
	};

	assert_int_equal(bk_trap_add(f->mediate, &desc, &once.self, NULL), 0);
	assert_int_equal(rd(f, 2, 0x40, 4), 0x11);
	assert_int_equal(rd(f, 2, 0x40, 4), 0x22222222);
	assert_int_equal(once.calls, 1);
	assert_int_equal(bk_domain_synchronize(f->domain), 0);
	assert_int_equal(once.released, 1);
	bk_trap_remove(once.other);
	assert_int_equal(rd(f, 2, 0x40, 4), fake_pattern(0x40, 4));
}

/* ---- What a trap may be ------------------------------------------------ */

static void a_missing_direction_goes_to_the_device(void **state)
{
	struct fixture *f = *state;
	struct bk_trap_desc desc = { .offset = 0x100, .length = 8, .ops = &nines_ops };
	struct bk_trap *trap;

	assert_int_equal(bk_trap_add(f->mediate, &desc, &trap, NULL), 0);
	f->fake.accesses = 0;
	wr(f, 0, 0x100, 8, 0x1122334455667788);
	assert_int_equal(f->fake.accesses, 1);
	assert_int_equal(f->fake.access[0].count, 8);
	assert_int_equal(f->fake.access[0].value, 0x1122334455667788);
	assert_int_equal(rd(f, 0, 0x100, 8), 0x9999999999999999);
	assert_int_equal(f->fake.accesses, 1);
}

/* In config space the missing direction is the guest's own register, not the device's. */
static void a_trap_over_config_space_has_the_registers_below_it(void **state)
{
	struct fixture *f = *state;
	struct bk_trap_desc desc = {
		.region = BK_DEVICE_CONFIG, .offset = 0x10, .length = 4, .ops = &nines_ops
	};
	struct bk_trap *trap;

	assert_int_equal(bk_trap_add(f->mediate, &desc, &trap, NULL), 0);
	wr(f, BK_DEVICE_CONFIG, 0x10, 4, 0xfe000000);
	assert_int_equal(rd(f, BK_DEVICE_CONFIG, 0x10, 4), 0x99999999);
	assert_int_equal(rd(f, BK_DEVICE_CONFIG, 0x0e, 4), 0x99990000);
	assert_int_equal(fake_get(&f->fake, 0x10, 4), 0);
	bk_trap_remove(trap);
	assert_int_equal(rd(f, BK_DEVICE_CONFIG, 0x10, 4), 0xfe000000);
}

static void what_is_below_can_be_called(void **state)
{
	struct fixture *f = *state;
	static struct recorder r;
	uint64_t value;

	add(f, &r, 0, 0x100, 8, 0);
	f->fake.accesses = 0;
	assert_int_equal(bk_mediator_below_read(f->mediate, 0, 0x100, 8, &value), 0);
	assert_int_equal(value, fake_pattern(0x100, 8));
	assert_int_equal(f->fake.accesses, 1);
	assert_int_equal(f->fake.access[0].count, 8);
	assert_int_equal(bk_mediator_below_write(f->mediate, 0, 0x100, 8, 5), 0);
	assert_int_equal(f->fake.accesses, 2);
	assert_int_equal(f->fake.access[1].count, 8);
	assert_int_equal(called(&r), 0);
	assert_int_equal(stats_of(f, 0, NULL).reads, 0); /* only what a guest did is counted */

	assert_int_equal(bk_mediator_below_read(f->mediate, BK_DEVICE_CONFIG, 0, 8, &value), 0);
	assert_int_equal((uint32_t)value, 0x56781234);
	assert_int_equal(value >> 48, 0x0010); /* STATUS: capabilities */
	assert_int_equal(bk_mediator_below_write(f->mediate, BK_DEVICE_CONFIG, 0x10, 8, 0xd0000000fe000000),
			 0);
	assert_int_equal(bk_mediator_below_read(f->mediate, BK_DEVICE_CONFIG, 0x10, 8, &value), 0);
	assert_int_equal(value, 0xd0000008fe000000);

	assert_int_equal(bk_mediator_below_read(f->mediate, 0, 0, 3, &value), -EINVAL);
	assert_int_equal(bk_mediator_below_read(f->mediate, 0, 0, 0, &value), -EINVAL);
	assert_int_equal(bk_mediator_below_read(f->mediate, 0, 0xfffd, 4, &value), -EINVAL);
	assert_int_equal(bk_mediator_below_read(f->mediate, 3, 0, 4, &value), -EINVAL);
	assert_int_equal(bk_mediator_below_read(f->mediate, BK_DEVICE_ROM, 0, 4, &value), -EINVAL);
	assert_int_equal(bk_mediator_below_write(f->mediate, BK_DEVICE_CONFIG, 4096, 1, 0), -EINVAL);
	assert_int_equal(bk_mediator_below_write(f->mediate, 0, UINT64_MAX, 1, 0), -EINVAL);
	assert_true(bk_mediator_below_read(f->mediate, 99, 0, 4, &value) < 0);
}

static void widths_of_a_trap_cut_its_accesses(void **state)
{
	struct fixture *f = *state;
	static struct recorder r = { .base = 0x100 };
	const struct bk_trap_ops ops = { .read = recorder_read,
					 .write = recorder_write,
					 .widths = BK_WIDTH_2 | BK_WIDTH_4 };
	struct bk_trap_desc desc = { .offset = 0x100, .length = 16, .ops = &ops, .opaque = &r };
	struct bk_trap *trap;

	assert_int_equal(bk_trap_add(f->mediate, &desc, &trap, NULL), 0);
	wr(f, 0, 0x100, 8, 0x1122334455667788);
	assert_int_equal(r.writes, 2);
	assert_int_equal(r.width[0], 4);
	assert_int_equal(r.width[1], 4);
	assert_int_equal(rd(f, 0, 0x104, 4), 0x11223344);
	assert_int_equal(rd(f, 0, 0x104, 1), 0xff); /* narrower than it takes */
	bk_trap_remove(trap);
	assert_int_equal(bk_domain_synchronize(f->domain), 0);
}

static void overlapping_traps_go_by_priority_then_by_start(void **state)
{
	struct fixture *f = *state;
	static struct recorder wide, late, high;
	struct bk_trap *trap;
	struct bk_trap_desc twin = { .offset = 0x100, .length = 1, .ops = &recorder_ops, .opaque = &wide };
	struct bk_error err;

	add(f, &wide, 0, 0x100, 0x20, 0);
	add(f, &late, 0, 0x110, 0x20, 0);
	trap = add(f, &high, 0, 0x118, 4, 1);
	rd(f, 0, 0x110, 4);
	assert_int_equal(called(&wide), 1);
	rd(f, 0, 0x120, 4);
	assert_int_equal(called(&late), 1);
	rd(f, 0, 0x118, 4);
	assert_int_equal(called(&high), 1);
	bk_trap_remove(trap);
	rd(f, 0, 0x118, 4);
	assert_int_equal(called(&wide), 2);

	assert_int_equal(bk_trap_add(f->mediate, &twin, &trap, &err), -EEXIST);
	assert_null(trap);
	assert_non_null(strstr(err.text, "bar0+0x100"));
	assert_int_equal(wide.released, 0);
	/* Refused ones leave no trace: the one that stands can still be found and counted. */
	assert_int_equal(stats_of(f, 0, NULL).errors, 0);
	assert_int_equal(bk_domain_synchronize(f->domain), 0);
	assert_int_equal(high.released, 1);
}

static void places_that_are_not_in_the_device_are_refused_with_a_line(void **state)
{
	struct fixture *f = *state;
	static struct recorder r;
	const struct {
		unsigned region;
		uint64_t offset, length;
		int priority;
		const char *line;
	} cases[] = {
		{ 0, 0, 0, 0, "bar0" },
		{ 0, 0x10000, 1, 0, "bar0" },
		{ 0, 0xfffc, 8, 0, "bar0" },
		{ 0, UINT64_MAX, 2, 0, "bar0" },
		{ 0, 4, UINT64_MAX, 0, "bar0" },
		{ 3, 0, 4, 0, "no bar3" }, /* the upper half of bar2 */
		{ BK_DEVICE_ROM, 0, 4, 0, "no rom" },
		{ BK_DEVICE_CONFIG, 4096, 1, 0, "config" },
		{ BK_DEVICE_VGA, 0x3c0, 1, 0, "no vga" },
		{ BK_DEVICE_VGA + 1, 0, 1, 0, "region 9" },
		{ 12345, 0, 1, 0, "region 12345" },
		{ 0, 0, 4, -15, "priority" },
		{ 0, 0, 4, INT32_MIN, "priority" },
		{ 0, 0, 4, INT32_MAX, "priority" },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bk_trap_desc desc = {
			.region = cases[i].region,
			.offset = cases[i].offset,
			.length = cases[i].length,
			.priority = cases[i].priority,
			.name = "it",
			.ops = &recorder_ops,
			.opaque = &r,
		};
		struct bk_trap *trap = (struct bk_trap *)f;
		struct bk_error err = { "" };

		assert_int_equal(bk_trap_add(f->mediate, &desc, &trap, &err), -EINVAL);
		assert_null(trap);
		if (!strstr(err.text, cases[i].line))
			fail_msg("\"%s\" does not name %s", err.text, cases[i].line);
	}
	assert_int_equal(r.released, 0);
}

static void stats_name_every_trap_in_order(void **state)
{
	struct fixture *f = *state;
	struct find_stats gone = { .name = "recorder", .region = 2 };
	static struct recorder r;
	struct bk_trap_stats stats;
	struct bk_trap *trap = add(f, &r, 2, 0x100, 4, 0);

	rd(f, 2, 0x100, 4);
	wr(f, 2, 0x100, 4, 0);
	wr(f, 2, 0x100, 2, 0);
	rd(f, 2, 0x104, 4);
	rd(f, 0, TABLE, 4);
	wr(f, 0, PBA, 4, 0);
	stats = stats_of(f, 2, "recorder");
	assert_int_equal(stats.offset, 0x100);
	assert_int_equal(stats.length, 4);
	assert_int_equal(stats.reads, 1);
	assert_int_equal(stats.writes, 2);
	assert_int_equal(stats.errors, 0);
	stats = stats_of(f, 2, NULL);
	assert_int_equal(stats.length, 0x100000);
	assert_int_equal(stats.reads, 1);
	assert_int_equal(stats.writes, 0);
	stats = stats_of(f, 0, "msix-table");
	assert_int_equal(stats.offset, TABLE);
	assert_int_equal(stats.length, 128);
	assert_int_equal(stats.reads, 1);
	stats = stats_of(f, 0, "msix-pba");
	assert_int_equal(stats.writes, 1);
	rd(f, BK_DEVICE_CONFIG, 0, 4);
	assert_int_equal(stats_of(f, BK_DEVICE_CONFIG, NULL).reads, 1);
	bk_trap_remove(trap);
	bk_mediator_stats(f->mediate, find_stats, &gone);
	assert_false(gone.found);
}

/* ---- Mapping ----------------------------------------------------------- */

static bool same_memory(void *opaque, const struct bk_flat *flat)
{
	struct fake *fake = opaque;

	if (flat->memory) {
		uint8_t *host = (uint8_t *)flat->memory->host + flat->offset;

		assert_int_equal(flat->memory->attributes, BK_MEMORY_DEVICE);
		assert_int_equal(flat->memory->fd, fake->regions[2].fd);
		assert_int_equal(flat->memory->fd_offset + flat->offset,
				 fake->regions[2].fd_offset + flat->first);
		assert_int_equal(*host, fake->bytes[2][flat->first]);
		fake->bytes[2][flat->first] ^= 0xff;
		assert_int_equal(*host, fake->bytes[2][flat->first]);
		/* 1 MiB on a multiple of 1 MiB: large pages could be used. */
		assert_int_equal((uintptr_t)(host - flat->first) % 0x100000, 0);
	}
	return true;
}

static void mapped_pages_are_the_devices_memory(void **state)
{
	struct fixture *f = *state;
	static struct recorder r;

	add(f, &r, 2, 0x5008, 4, 0);
	assert_false(page_is_mapped(f, 2, 0x5000));
	assert_true(page_is_mapped(f, 2, 0x4000));
	assert_true(page_is_mapped(f, 2, 0x6000));
	assert_true(page_is_mapped(f, 2, 0xff000));
	bk_space_visit(bk_mediator_space(f->mediate, 2), 0, UINT64_MAX, same_memory, &f->fake);
}

static bool none_mapped(void *opaque, const struct bk_flat *flat)
{
	assert_null(flat->memory);
	return true;
}

static void a_bar_smaller_than_a_page_is_not_mapped(void **state)
{
	struct fixture *f = *state;
	struct bk_device_region region = { 0 };
	struct areas areas;

	bk_space_visit(bk_mediator_space(f->mediate, 5), 0, UINT64_MAX, none_mapped, NULL);
	bk_space_visit(bk_mediator_space(f->mediate, 4), 0, UINT64_MAX, none_mapped, NULL);
	assert_int_equal(bk_device_region(bk_mediator_device(f->mediate), 5, &region), 0);
	areas = areas_of(bk_mediator_device(f->mediate), 5);
	assert_int_equal(areas.count, 0);
	assert_int_equal(region.size, 256);
	assert_int_equal(rd(f, 5, 0xfe, 2), fake_pattern(0xfe, 2));
}

/* ---- Ready-made traps -------------------------------------------------- */

static struct bk_trap *spec(struct fixture *f, const char *text)
{
	struct bk_trap_desc spec = { 0 };
	struct bk_trap *trap = NULL;
	struct bk_error err;

	if (bk_trap_parse(text, &spec, &err) || bk_trap_add(f->mediate, &spec, &trap, &err))
		fail_msg("%s", err.text);
	return trap;
}

static void constants_repeat_and_swallow_writes(void **state)
{
	struct fixture *f = *state;

	spec(f, "bar0+0x40/4:const=0x12345678");
	spec(f, "bar0+0x51/5:const=0xa1b2c3d4");
	f->fake.accesses = 0;
	assert_int_equal(rd(f, 0, 0x40, 4), 0x12345678);
	assert_int_equal(rd(f, 0, 0x41, 2), 0x3456);
	assert_int_equal(rd(f, 0, 0x43, 1), 0x12);
	assert_int_equal(rd(f, 0, 0x51, 5), 0xd4a1b2c3d4);
	wr(f, 0, 0x40, 4, 0);
	assert_int_equal(rd(f, 0, 0x40, 4), 0x12345678);
	assert_int_equal(f->fake.accesses, 0);
	assert_int_equal(rd(f, 0, 0x3c, 8), fake_pattern(0x3c, 4) | 0x1234567800000000);
}

static char logged[1024];
static unsigned log_lines;

static void keep(void *opaque, enum bk_log_level level, const char *line)
{
	assert_true(level <= BK_LOG_WARNING); /* shown by default */
	strncpy(logged, line, sizeof(logged) - 1);
	log_lines++;
}

static void logs_leave_a_line_and_reach_the_device(void **state)
{
	struct fixture *f = *state;

	spec(f, "bar2+0x40/8:log");
	spec(f, "config+0x3c/1:log");
	bk_log_set(keep, NULL);
	log_lines = 0;
	f->fake.accesses = 0;
	assert_int_equal(rd(f, 2, 0x40, 8), fake_pattern(0x40, 8));
	assert_int_equal(f->fake.accesses, 1);
	assert_int_equal(f->fake.access[0].count, 8);
	assert_int_equal(log_lines, 1);
	assert_non_null(strstr(logged, "bar2+0x40"));
	assert_non_null(strstr(logged, "read 8"));
	wr(f, 2, 0x44, 2, 0xbeef);
	assert_string_equal(logged, "fake: bar2+0x44: write 2 0xbeef");
	wr(f, BK_DEVICE_CONFIG, 0x3c, 1, 11);
	assert_string_equal(logged, "fake: config+0x3c: write 1 0x0b");
	assert_int_equal(rd(f, BK_DEVICE_CONFIG, 0x3c, 1), 11);
	log_lines = 0;
	for (unsigned i = 0; i < 1000; i++)
		rd(f, 2, 0x40, 4);
	assert_in_range(log_lines, 1, 20);
	bk_log_set(quiet, NULL);
}

/* What is seen through a trap that hands on is what is seen without it: the table of the model, whose
 * entries the device must never get, and not the device's. */
static void a_log_over_the_msix_table_leaves_it_in_place(void **state)
{
	struct fixture *f = *state;
	static const struct bk_trap_ops hands_on;
	struct bk_trap_desc desc = { .length = 0x10000, .priority = 1, .ops = &hands_on };
	uint64_t value;
	struct bk_trap *trap;

	spec(f, "bar0+0/0x10000:log");
	assert_int_equal(bk_trap_add(f->mediate, &desc, &trap, NULL), 0);
	f->fake.accesses = 0;
	wr(f, 0, TABLE, 8, 0x12fee01000);
	wr(f, 0, TABLE + 8, 8, 0x4051);
	wr(f, 0, PBA, 4, 1);
	assert_int_equal(rd(f, 0, TABLE + 4, 8), 0x405100000012);
	assert_int_equal(rd(f, 0, PBA, 8), 0);
	assert_int_equal(f->fake.accesses, 0);

	/* Over the edge, each part is its owner's. */
	wr(f, 0, TABLE - 2, 4, 0x10047777);
	assert_int_equal(rd(f, 0, TABLE - 2, 4), 0x10047777);
	assert_int_equal(bk_mediator_below_read(f->mediate, 0, TABLE - 4, 8, &value), 0);
	assert_int_equal(value, 0xfee0100477770000 | fake_pattern(TABLE - 4, 2));
	assert_int_equal(f->fake.access[0].offset, TABLE - 2);
	assert_int_equal(f->fake.access[0].count, 2);
	for (unsigned i = 0; i < f->fake.accesses; i++)
		assert_true(f->fake.access[i].offset + f->fake.access[i].count <= TABLE);

	bk_trap_remove(trap);
	assert_int_equal(rd(f, 0, TABLE + 8, 4), 0x4051);
}

static void a_mirror_of_config_space_on_itself_is_refused(void **state)
{
	struct fixture *f = *state;
	struct bk_trap_desc spec = { 0 };
	struct bk_trap *trap;
	struct bk_error err;

	assert_int_equal(bk_trap_parse("config+0x40/4:mirror", &spec, &err), 0);
	assert_int_equal(bk_trap_add(f->mediate, &spec, &trap, &err), -EINVAL);
	assert_non_null(strstr(err.text, "mirror"));
	assert_null(trap);
}

/* ---- Text -------------------------------------------------------------- */

static void traps_as_users_write_them(void **state)
{
	struct bk_trap_desc spec = { 0 };
	struct bk_error err;

	assert_int_equal(bk_trap_parse("bar2+0xf00/0x100:mirror", &spec, &err), 0);
	assert_int_equal(spec.region, 2);
	assert_int_equal(spec.offset, 0xf00);
	assert_int_equal(spec.length, 0x100);
	assert_int_equal(spec.verb, BK_TRAP_MIRROR);
	assert_int_equal(spec.value, 0);
	assert_int_equal(bk_trap_parse("bar5+16/2:mirror=0x50", &spec, &err), 0);
	assert_int_equal(spec.offset, 16);
	assert_int_equal(spec.value, 0x50);
	assert_int_equal(bk_trap_parse("bar0+0x40/4:const=0x12345678", &spec, &err), 0);
	assert_int_equal(spec.verb, BK_TRAP_CONSTANT);
	assert_int_equal(spec.value, 0x12345678);
	assert_int_equal(spec.width, 4);
	assert_int_equal(bk_trap_parse("rom+0/0x20:const=0xffffffffffffffff", &spec, &err), 0);
	assert_int_equal(spec.region, BK_DEVICE_ROM);
	assert_int_equal(spec.width, 8);
	assert_int_equal(bk_trap_parse("config+0x40/2:log", &spec, &err), 0);
	assert_int_equal(spec.region, BK_DEVICE_CONFIG);
	assert_int_equal(spec.verb, BK_TRAP_LOG);
	assert_int_equal(bk_trap_parse("bar0+18446744073709551615/1:log", &spec, &err), 0);
	assert_int_equal(spec.offset, UINT64_MAX);
}

static void what_is_not_a_trap_is_refused_with_an_example(void **state)
{
	const char *const texts[] = {
		"",
		"bar",
		"bar6+0/4:log",
		"BAR0+0/4:log",
		"bar0",
		"bar0+",
		"bar0+-4/4:log",
		"bar0+ 4/4:log",
		"bar0+0x/4:log",
		"bar0+4",
		"bar0+4/",
		"bar0+4/0:log",
		"bar0+4/4",
		"bar0+4/4:",
		"bar0+4/4:window",
		"bar0+4/4:const",
		"bar0+4/4:const=",
		"bar0+4/4:const=x",
		"bar0+4/4:const=0x100000000",
		"bar0+4/1:const=256",
		"bar0+4/4:const=0x10000000000000000",
		"bar0+18446744073709551616/4:log",
		"bar0+4/4:log=1",
		"bar0+4/4:logs",
		"bar0+4/4:mirror=0x40 ",
		" bar0+4/4:log",
		"bar0 +4/4:log",
	};
	struct bk_trap_desc spec = { 0 };

	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct bk_error err = { "" };

		assert_int_equal(bk_trap_parse(texts[i], &spec, &err), -EINVAL);
		assert_int_equal(strncmp(err.text, texts[i], strlen(texts[i])), 0);
		assert_true(strlen(err.text) > strlen(texts[i]) + 10);
		assert_int_equal(bk_trap_parse(texts[i], &spec, NULL), -EINVAL);
	}
}

#define WITH_DEVICE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DEVICE(F28_the_guests_width_reaches_the_device),
		WITH_DEVICE(F20_F21_accesses_are_cut_at_the_edges_of_traps),
		WITH_DEVICE(F20_an_access_that_ends_where_a_trap_begins_is_whole),
		WITH_DEVICE(F22_a_trap_over_the_msix_table_is_called),
		WITH_DEVICE(F26_registers_beside_the_msix_table_reach_the_device),
		WITH_DEVICE(F25_any_width_and_alignment_in_the_msix_table_and_pba),
		WITH_DEVICE(F23_traps_at_the_end_of_all_and_of_one_byte),
		WITH_DEVICE(F24_a_thousand_traps_in_one_bar),
		WITH_DEVICE(F24_a_thousand_trapped_pages_in_one_bar),
		WITH_DEVICE(a_bar_without_a_whole_page_is_not_mappable),
		WITH_DEVICE(F27_a_handlers_error_reads_all_ones_is_counted_and_told),
		WITH_DEVICE(F30_an_access_is_wholly_before_or_after_a_trap_is_added),
		WITH_DEVICE(F30_a_trap_is_released_when_nobody_is_inside),
		WITH_DEVICE(a_trap_removes_itself_and_adds_another_from_its_handler),
		WITH_DEVICE(a_missing_direction_goes_to_the_device),
		WITH_DEVICE(a_trap_over_config_space_has_the_registers_below_it),
		WITH_DEVICE(what_is_below_can_be_called),
		WITH_DEVICE(widths_of_a_trap_cut_its_accesses),
		WITH_DEVICE(overlapping_traps_go_by_priority_then_by_start),
		WITH_DEVICE(places_that_are_not_in_the_device_are_refused_with_a_line),
		WITH_DEVICE(stats_name_every_trap_in_order),
		WITH_DEVICE(mapped_pages_are_the_devices_memory),
		WITH_DEVICE(a_bar_smaller_than_a_page_is_not_mapped),
		WITH_DEVICE(constants_repeat_and_swallow_writes),
		WITH_DEVICE(logs_leave_a_line_and_reach_the_device),
		WITH_DEVICE(a_log_over_the_msix_table_leaves_it_in_place),
		WITH_DEVICE(a_refused_trap_may_be_looked_at),
		WITH_DEVICE(a_mirror_of_config_space_on_itself_is_refused),
		cmocka_unit_test(traps_as_users_write_them),
		cmocka_unit_test(what_is_not_a_trap_is_refused_with_an_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
