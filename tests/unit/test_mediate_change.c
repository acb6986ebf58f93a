/* SPDX-License-Identifier: BSD-2-Clause */
/* Traps that are replaced and that go, what they count, and what they cost the page that they are in. */
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

#include "trap_kit.h"

/* ---- Replaced ---------------------------------------------------------- */

struct constant {
	uint64_t value;
	unsigned released;
};

static int constant_read(void *opaque, unsigned region, uint64_t offset, unsigned width, uint64_t *value)
{
	*value = ((struct constant *)opaque)->value;
	return 0;
}

static int constant_write(void *opaque, unsigned region, uint64_t offset, unsigned width, uint64_t value)
{
	return 0;
}

static void constant_released(void *opaque)
{
	__atomic_fetch_add(&((struct constant *)opaque)->released, 1, __ATOMIC_SEQ_CST);
}

static const struct bk_trap_ops constant_ops = { .read = constant_read,
						 .write = constant_write,
						 .released = constant_released };

struct reader {
	struct fixture *f;
	bool started, stop;
	unsigned long ones, twos, wrong;
};

static void *reader(void *opaque)
{
	struct reader *r = opaque;

	while (!__atomic_load_n(&r->stop, __ATOMIC_RELAXED)) {
		uint64_t value = rd(r->f, 0, 0x800, 4);

		if (value == 0x11111111)
			r->ones++;
		else if (value == 0x22222222)
			r->twos++;
		else
			r->wrong++;
		__atomic_store_n(&r->started, true, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* F30: the device is never seen between two traps. */
static void F30_a_trap_is_replaced_in_one_step(void **state)
{
	struct fixture *f = *state;
	struct constant c[2] = { { .value = 0x1111111111111111 }, { .value = 0x2222222222222222 } };
	struct bk_trap_desc desc = { .offset = 0x7fe, .length = 0x10, .ops = &constant_ops };
	struct reader r[2] = { { .f = f }, { .f = f } };
	struct bk_trap *trap, *next;
	pthread_t thread[2];

	desc.opaque = &c[0];
	assert_int_equal(bk_trap_add(f->mediate, &desc, &trap, NULL), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, reader, &r[i]), 0);
	for (unsigned i = 0; i < 2; i++)
		while (!__atomic_load_n(&r[i].started, __ATOMIC_RELAXED))
			sched_yield();
	for (unsigned i = 1; i <= 2000; i++) {
		desc.opaque = &c[i % 2];
		/* Now and then at another place and priority, so that more than the handler changes. */
		desc.offset = i % 3 ? 0x7fe : 0x800;
		desc.priority = (int)(i % 5);
		assert_int_equal(bk_trap_replace(trap, &desc, &next, NULL), 0);
		assert_int_equal(rd(f, 0, 0x800, 4), i % 2 ? 0x22222222 : 0x11111111);
		trap = next;
	}
	for (unsigned i = 0; i < 2; i++) {
		__atomic_store_n(&r[i].stop, true, __ATOMIC_RELAXED);
		pthread_join(thread[i], NULL);
		assert_int_equal(r[i].wrong, 0);
		assert_true(r[i].ones + r[i].twos > 0);
	}
	bk_trap_remove(trap);
	assert_int_equal(bk_domain_synchronize(f->domain), 0);
	assert_int_equal(c[0].released + c[1].released, 2001);
	assert_int_equal(rd(f, 0, 0x800, 4), fake_pattern(0x800, 4));
}

static void count_traps(void *opaque, const struct bk_trap_stats *stats)
{
	if (stats->name)
		++*(unsigned *)opaque;
}

static unsigned trap_count(struct fixture *f)
{
	unsigned count = 0;

	bk_mediator_stats(f->mediate, count_traps, &count);
	return count;
}

static void a_replacement_may_be_in_another_region(void **state)
{
	struct fixture *f = *state;
	static struct recorder old, new;
	struct bk_trap_desc desc = {
		.region = 5, .offset = 0x10, .length = 4, .name = "new", .ops = &recorder_ops, .opaque = &new
	};
	struct bk_trap *trap = add(f, &old, 0, 0x100, 4, 0), *next;
	unsigned count = trap_count(f);

	new.region = 5;
	new.base = 0x10;
	assert_int_equal(bk_trap_replace(trap, &desc, &next, NULL), 0);
	assert_int_equal(rd(f, 0, 0x100, 4), fake_pattern(0x100, 4));
	wr(f, 5, 0x10, 4, 0x1234);
	assert_int_equal(new.writes, 1);
	assert_int_equal(trap_count(f), count);
	assert_int_equal(bk_domain_synchronize(f->domain), 0);
	assert_int_equal(old.released, 1);
}

static void a_refused_replacement_leaves_the_old_trap(void **state)
{
	struct fixture *f = *state;
	static struct recorder old, other, new;
	struct bk_trap_desc desc = {
		.offset = 0x200, .length = 4, .name = "new", .ops = &recorder_ops, .opaque = &new
	};
	struct bk_trap *trap = add(f, &old, 0, 0x100, 4, 0), *next = trap;
	unsigned count = trap_count(f);
	struct bk_error err;

	add(f, &other, 0, 0x200, 8, 0);
	assert_int_equal(bk_trap_replace(trap, &desc, &next, &err), -EEXIST);
	assert_non_null(strstr(err.text, "same priority"));
	assert_null(next);
	desc.offset = 0x10000;
	assert_int_equal(bk_trap_replace(trap, &desc, &next, &err), -EINVAL);
	rd(f, 0, 0x100, 4);
	assert_int_equal(called(&old), 1);
	assert_int_equal(new.released, 0);
	assert_int_equal(trap_count(f), count + 1);
	bk_trap_remove(trap);
	assert_int_equal(rd(f, 0, 0x100, 4), fake_pattern(0x100, 4));
}

struct once {
	struct bk_trap *trap, *next;
	struct bk_trap_desc desc;
	int result;
};

static int once_read(void *opaque, unsigned region, uint64_t offset, unsigned width, uint64_t *value)
{
	struct once *once = opaque;

	*value = 1;
	once->result = bk_trap_replace(once->trap, &once->desc, &once->next, NULL);
	return 0;
}

static void a_trap_replaces_itself_from_its_handler(void **state)
{
	struct fixture *f = *state;
	static struct constant c = { .value = 2 };
	static const struct bk_trap_ops once_ops = { .read = once_read };
	struct once once = { .result = 1 };
	struct bk_trap_desc desc = { .offset = 0x100, .length = 4, .ops = &once_ops, .opaque = &once };

	once.desc = desc;
	once.desc.ops = &constant_ops;
	once.desc.opaque = &c;
	assert_int_equal(bk_trap_add(f->mediate, &desc, &once.trap, NULL), 0);
	assert_int_equal(rd(f, 0, 0x100, 4), 1);
	assert_int_equal(once.result, 0);
	assert_int_equal(rd(f, 0, 0x100, 4), 2);
}

/* ---- Counters ---------------------------------------------------------- */

struct find {
	const char *name;
	unsigned region;
	uint64_t offset;
	struct bk_trap_stats stats;
	unsigned found;
};

static void find_trap(void *opaque, const struct bk_trap_stats *stats)
{
	struct find *find = opaque;

	if (stats->name && !strcmp(stats->name, find->name)) {
		find->stats = *stats;
		find->found++;
	}
}

static void find_page_stats(void *opaque, const struct bk_trap_stats *stats)
{
	struct find *find = opaque;

	assert_null(stats->name);
	if (stats->region == find->region && stats->offset == find->offset) {
		find->stats = *stats;
		find->found++;
	}
}

static struct bk_trap_stats page_stats(struct fixture *f, unsigned region, uint64_t offset)
{
	struct find find = { .region = region, .offset = offset };

	bk_mediator_page_stats(f->mediate, find_page_stats, &find);
	assert_int_equal(find.found, 1);
	return find.stats;
}

static bool has_page(struct fixture *f, unsigned region, uint64_t offset)
{
	struct find find = { .region = region, .offset = offset };

	bk_mediator_page_stats(f->mediate, find_page_stats, &find);
	return find.found;
}

static void the_last_value_of_a_trap_is_kept(void **state)
{
	struct fixture *f = *state;
	static struct recorder r;
	struct find find = { .name = "recorder" };

	add(f, &r, 0, 0x100, 8, 0);
	bk_mediator_stats(f->mediate, find_trap, &find);
	assert_int_equal(find.stats.last, 0);
	wr(f, 0, 0x100, 8, 0x1122334455667788);
	bk_mediator_stats(f->mediate, find_trap, &find);
	assert_int_equal(find.stats.last, 0x1122334455667788);
	rd(f, 0, 0x106, 1);
	bk_mediator_stats(f->mediate, find_trap, &find);
	assert_int_equal(find.stats.last, 0x22);
	r.error = -EIO;
	wr(f, 0, 0x100, 4, 7);
	bk_mediator_stats(f->mediate, find_trap, &find);
	assert_int_equal(find.stats.last, 0x22);
	assert_int_equal(find.stats.errors, 1);
}

static void pages_count_what_hits_registers_beside_a_trap(void **state)
{
	struct fixture *f = *state;
	static struct recorder a, b;
	struct bk_trap *first, *second;
	struct bk_trap_stats stats;

	assert_true(has_page(f, 0, 0x2000)); /* the MSI-X table's */
	assert_true(has_page(f, 0, 0x4000)); /* and the PBA's */
	assert_false(has_page(f, 2, 0x5000));
	first = add(f, &a, 2, 0x5008, 4, 0);
	second = add(f, &b, 2, 0x5ffe, 4, 0); /* reaches into the next page */
	rd(f, 2, 0x5000, 4);
	rd(f, 2, 0x5008, 4); /* the trap's own */
	wr(f, 2, 0x5010, 8, 1);
	rd(f, 2, 0x5004, 8); /* half of it is the trap's */
	stats = page_stats(f, 2, 0x5000);
	assert_int_equal(stats.length, 4096);
	assert_int_equal(stats.reads, 2);
	assert_int_equal(stats.writes, 1);
	assert_int_equal(stats.errors, 0);
	f->fake.fail = EIO;
	rd(f, 2, 0x6100, 4);
	f->fake.fail = 0;
	stats = page_stats(f, 2, 0x6000);
	assert_int_equal(stats.reads, 1);
	assert_int_equal(stats.errors, 1);

	/* A page is one for as long as somebody is in it. */
	bk_trap_remove(first);
	assert_true(has_page(f, 2, 0x5000));
	assert_false(page_is_mapped(f, 2, 0x5000));
	bk_trap_remove(second);
	assert_false(has_page(f, 2, 0x5000));
	assert_false(has_page(f, 2, 0x6000));
	assert_true(page_is_mapped(f, 2, 0x5000));
	assert_true(page_is_mapped(f, 2, 0x6000));
}

/* The device is read whole for them, and so is what is beside the trap. */
static void pages_count_reads_that_are_overlaid(void **state)
{
	struct fixture *f = *state;
	struct bk_trap_desc spec = { 0 };
	struct bk_trap *trap;
	struct bk_trap_stats stats;

	assert_int_equal(bk_trap_parse("bar2+0x5ffe/4:const=1:overlay", &spec, NULL), 0);
	assert_int_equal(bk_trap_add(f->mediate, &spec, &trap, NULL), 0);
	rd(f, 2, 0x5ffc, 4);
	rd(f, 2, 0x5ff8, 8);
	f->fake.fail = EIO;
	rd(f, 2, 0x6000, 4);
	f->fake.fail = 0;
	rd(f, 2, 0x5fff, 1); /* the trap's own */
	stats = page_stats(f, 2, 0x5000);
	assert_int_equal(stats.reads, 2);
	assert_int_equal(stats.errors, 0);
	stats = page_stats(f, 2, 0x6000);
	assert_int_equal(stats.reads, 1);
	assert_int_equal(stats.errors, 1);
}

/* A page that a trap covers has no other registers; one of a BAR that cannot be mapped costs nothing more. */
static void pages_that_cost_nothing_are_not_counted(void **state)
{
	struct fixture *f = *state;
	static struct recorder r[3];

	add(f, &r[0], 2, 0x5000, 0x2000, 0);
	add(f, &r[1], 4, 8, 4, 0);
	add(f, &r[2], BK_DEVICE_CONFIG, 0x40, 4, 0);
	assert_false(has_page(f, 2, 0x5000));
	assert_false(has_page(f, 2, 0x6000));
	assert_false(has_page(f, 4, 0));
	assert_false(has_page(f, BK_DEVICE_CONFIG, 0));
	assert_false(page_is_mapped(f, 2, 0x6000));
}

struct whole {
	uint64_t first, last, ranges;
};

static bool collect(void *opaque, const struct bk_flat *flat)
{
	struct whole *whole = opaque;

	whole->first = flat->memory ? flat->first : UINT64_MAX;
	whole->last = flat->last;
	whole->ranges++;
	return true;
}

struct toucher {
	struct fixture *f;
	bool stop;
	unsigned long wrong;
};

static void *touch(void *opaque)
{
	struct toucher *t = opaque;

	for (uint64_t at = 0; !__atomic_load_n(&t->stop, __ATOMIC_RELAXED);
	     at = (at + 0x404) % 0x10000 & ~3ull)
		t->wrong += rd(t->f, 2, at, 4) != fake_pattern(at, 4);
	return NULL;
}

/* F30: when the last trap has gone the whole BAR is one mapped range again, and nobody was ever answered
 * wrong. */
static void F30_mapped_pages_come_back_when_traps_go(void **state)
{
	struct fixture *f = *state;
	static struct recorder r[8];
	static const struct bk_trap_ops through_ops; /* to the device, both ways */
	struct toucher t[2] = { { .f = f }, { .f = f } };
	struct bk_trap *traps[8];
	struct whole whole;
	pthread_t thread[2];

	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, touch, &t[i]), 0);
	for (unsigned round = 0; round < 200; round++) {
		for (unsigned i = 0; i < 8; i++) {
			struct bk_trap_desc desc = { .region = 2, .ops = &through_ops, .opaque = &r[i] };

			desc.offset = 0x1000 * (i / 2) + 0x10 * i + round % 7;
			desc.length = i == 3 ? 0x1800 : 6;
			assert_int_equal(bk_trap_add(f->mediate, &desc, &traps[i], NULL), 0);
		}
		assert_false(page_is_mapped(f, 2, 0));
		assert_false(page_is_mapped(f, 2, 0x3000));
		for (unsigned i = 0; i < 8; i++)
			bk_trap_remove(traps[(i * 3 + round) % 8]);
		whole.ranges = 0;
		bk_space_visit(bk_mediator_space(f->mediate, 2), 0, UINT64_MAX, collect, &whole);
		assert_int_equal(whole.ranges, 1);
		assert_int_equal(whole.first, 0);
		assert_int_equal(whole.last, 0xfffff);
	}
	for (unsigned i = 0; i < 2; i++) {
		__atomic_store_n(&t[i].stop, true, __ATOMIC_RELAXED);
		pthread_join(thread[i], NULL);
		assert_int_equal(t[i].wrong, 0);
	}
}

/* ---- Counters of many threads ---- */

enum { COUNTING = 4, ACCESSES = 20000 };

static void *access_and_end(void *opaque)
{
	struct fixture *f = opaque;

	for (unsigned i = 0; i < ACCESSES; i++) {
		rd(f, 2, 0x6000, 4);
		wr(f, 2, 0x6000, 4, i);
		rd(f, 2, 0x6010, 4); /* in the same page, without a trap */
	}
	return NULL;
}

struct counted {
	uint64_t reads, writes, beside, in_page;
};

static void sum_of_traps(void *opaque, const struct bk_trap_stats *stats)
{
	struct counted *counted = opaque;

	if (stats->name) {
		counted->reads += stats->reads;
		counted->writes += stats->writes;
	} else if (stats->region == 2) {
		counted->beside += stats->reads;
	}
}

static void sum_of_pages(void *opaque, const struct bk_trap_stats *stats)
{
	struct counted *counted = opaque;

	counted->in_page += stats->reads;
}

/* Some threads at once, and then as many that have taken the place of those. */
static void no_access_of_any_thread_goes_uncounted(void **state)
{
	static const struct bk_trap_ops through_ops;
	const struct bk_trap_desc desc = {
		.region = 2, .offset = 0x6000, .length = 4, .name = "counted", .ops = &through_ops
	};
	struct fixture *f = *state;
	struct bk_trap *trap;

	assert_int_equal(bk_trap_add(f->mediate, &desc, &trap, NULL), 0);
	for (unsigned round = 1; round <= 3; round++) {
		struct counted counted = { 0 };
		pthread_t thread[COUNTING];
		uint64_t expected = (uint64_t)round * COUNTING * ACCESSES;

		for (unsigned i = 0; i < COUNTING; i++)
			assert_int_equal(pthread_create(&thread[i], NULL, access_and_end, f), 0);
		for (unsigned i = 0; i < COUNTING; i++)
			pthread_join(thread[i], NULL);
		bk_mediator_stats(f->mediate, sum_of_traps, &counted);
		bk_mediator_page_stats(f->mediate, sum_of_pages, &counted);
		assert_int_equal(counted.reads, expected);
		assert_int_equal(counted.writes, expected);
		assert_int_equal(counted.beside, expected);
		assert_int_equal(counted.in_page, expected);
	}
}

int main(void)
{
#define WITH_DEVICE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_DEVICE(F30_a_trap_is_replaced_in_one_step),
		WITH_DEVICE(a_replacement_may_be_in_another_region),
		WITH_DEVICE(a_refused_replacement_leaves_the_old_trap),
		WITH_DEVICE(a_trap_replaces_itself_from_its_handler),
		WITH_DEVICE(the_last_value_of_a_trap_is_kept),
		WITH_DEVICE(pages_count_what_hits_registers_beside_a_trap),
		WITH_DEVICE(pages_count_reads_that_are_overlaid),
		WITH_DEVICE(pages_that_cost_nothing_are_not_counted),
		WITH_DEVICE(F30_mapped_pages_come_back_when_traps_go),
		WITH_DEVICE(no_access_of_any_thread_goes_uncounted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
