/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes that come again and again are made without their trap: which, when, how many, and until when. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "trap_kit.h"

/* Stands for who runs the guest: notes what it is asked for. */
struct accelerator {
	struct bk_accelerated started[64];
	unsigned starts, stops, running;
	int error;
};

static int start(void *opaque, const struct bk_accelerated *what, void **handle)
{
	struct accelerator *a = opaque;

	a->started[a->starts % 64] = *what;
	a->starts++;
	if (a->error)
		return a->error;
	a->running++;
	*handle = malloc(1);
	return 0;
}

static void stop(void *opaque, void *handle)
{
	struct accelerator *a = opaque;

	a->stops++;
	a->running--;
	free(handle);
}

static const struct bk_accelerator_ops accelerator_ops = { .start = start, .stop = stop };
static const struct bk_trap_ops through_ops; /* to the device, both ways */

static struct bk_trap *add_through(struct fixture *f, unsigned bar, uint64_t offset, uint64_t length)
{
	const struct bk_trap_desc desc = { .region = bar,
					   .offset = offset,
					   .length = length,
					   .accelerate = true,
					   .name = "through",
					   .ops = &through_ops };
	struct bk_trap *trap;

	assert_int_equal(bk_trap_add(f->mediate, &desc, &trap, NULL), 0);
	return trap;
}

static void write_times(struct fixture *f, unsigned bar, uint64_t offset, unsigned width, uint64_t value,
			unsigned times)
{
	for (unsigned i = 0; i < times; i++)
		wr(f, bar, offset, width, value);
}

static void sum_accelerated(void *opaque, const struct bk_trap_stats *stats)
{
	*(unsigned *)opaque += stats->accelerated;
}

static unsigned accelerated(struct fixture *f)
{
	unsigned sum = 0;

	bk_mediator_stats(f->mediate, sum_accelerated, &sum);
	return sum;
}

static void the_tenth_write_on_end_is_the_last(void **state)
{
	struct fixture *f = *state;
	struct accelerator a = { .starts = 0 };

	bk_mediator_accelerate(f->mediate, &accelerator_ops, &a);
	add_through(f, 2, 0x5008, 0x10);
	write_times(f, 2, 0x500c, 4, 0x1234, BK_ACCELERATE_AFTER - 1);
	assert_int_equal(a.starts, 0);
	write_times(f, 2, 0x500c, 4, 0x1234, 1);
	assert_int_equal(a.starts, 1);
	assert_int_equal(a.started[0].bar, 2);
	assert_int_equal(a.started[0].offset, 0x500c);
	assert_int_equal(a.started[0].region_offset, 4);
	assert_int_equal(a.started[0].width, 4);
	assert_int_equal(a.started[0].value, 0x1234);
	assert_int_equal(accelerated(f), 1);
	/* They all reached the device, and so do those that come by the trap all the same. */
	assert_int_equal(f->fake.accesses, BK_ACCELERATE_AFTER);
	write_times(f, 2, 0x500c, 4, 0x1234, 50);
	assert_int_equal(f->fake.accesses, BK_ACCELERATE_AFTER + 50);
	assert_int_equal(a.starts, 1);
	bk_mediator_accelerate(f->mediate, NULL, NULL);
	assert_int_equal(a.stops, 1);
	assert_int_equal(accelerated(f), 0);
	write_times(f, 2, 0x5008, 4, 7, 20);
	assert_int_equal(a.starts, 1);
}

static void writes_that_differ_do_not_count(void **state)
{
	struct fixture *f = *state;
	struct accelerator a = { .starts = 0 };

	bk_mediator_accelerate(f->mediate, &accelerator_ops, &a);
	add_through(f, 2, 0x5008, 0x10);
	for (unsigned i = 0; i < 100; i++) {
		wr(f, 2, 0x5008, 4, i % 2);         /* another value */
		wr(f, 2, 0x5008 + i % 2, 1, 1);     /* another place */
		wr(f, 2, 0x5008, i % 2 ? 2 : 4, 5); /* another width */
		rd(f, 2, 0x5008, 4);
	}
	assert_int_equal(a.starts, 0);
	/* Cut at the trap's edge, what is the trap's part counts. */
	write_times(f, 2, 0x5004, 8, 0x1111111122222222, BK_ACCELERATE_AFTER);
	assert_int_equal(a.starts, 1);
	assert_int_equal(a.started[0].offset, 0x5008);
	assert_int_equal(a.started[0].value, 0x11111111);
	bk_mediator_accelerate(f->mediate, NULL, NULL);
}

static void there_are_ten_at_most(void **state)
{
	struct fixture *f = *state;
	struct accelerator a = { .starts = 0 };
	struct bk_trap *trap;

	bk_mediator_accelerate(f->mediate, &accelerator_ops, &a);
	trap = add_through(f, 2, 0x5000, 0x100);
	add_through(f, 0, 0x100, 0x100);
	for (unsigned i = 0; i < 16; i++)
		write_times(f, i % 2 ? 2 : 0, (i % 2 ? 0x5000 : 0x100) + 4 * i, 4, i, 12);
	assert_int_equal(a.running, 10);
	assert_int_equal(accelerated(f), 10);
	/* The trap goes, and its five with it. */
	bk_trap_remove(trap);
	assert_int_equal(a.running, 5);
	write_times(f, 0, 0x1f0, 4, 99, 12);
	assert_int_equal(a.running, 6);
	/* The same one twice is one. */
	write_times(f, 0, 0x1f0, 4, 98, 1);
	write_times(f, 0, 0x1f0, 4, 99, 12);
	assert_int_equal(a.running, 6);
	bk_mediator_accelerate(f->mediate, NULL, NULL);
	assert_int_equal(a.running, 0);
}

static void a_reset_ends_all(void **state)
{
	struct fixture *f = *state;
	struct accelerator a = { .starts = 0 };

	bk_mediator_accelerate(f->mediate, &accelerator_ops, &a);
	add_through(f, 2, 0x5000, 0x100);
	write_times(f, 2, 0x5000, 4, 1, 10);
	assert_int_equal(a.running, 1);
	assert_int_equal(bk_pci_function_reset(bk_mediator_function(f->mediate)), 0);
	assert_int_equal(a.running, 0);
	/* It has to come ten times again. */
	write_times(f, 2, 0x5000, 4, 1, 9);
	assert_int_equal(a.running, 0);
	write_times(f, 2, 0x5000, 4, 1, 1);
	assert_int_equal(a.running, 1);
	bk_mediator_accelerate(f->mediate, NULL, NULL);
}

/* Writes that came before there was one, or when there was another, do not keep a register from it. */
static void a_new_accelerator_counts_anew(void **state)
{
	struct fixture *f = *state;
	struct accelerator a = { .starts = 0 }, b = { .starts = 0 };

	add_through(f, 2, 0x5000, 0x100);
	write_times(f, 2, 0x5000, 4, 1, 50);
	bk_mediator_accelerate(f->mediate, &accelerator_ops, &a);
	write_times(f, 2, 0x5000, 4, 1, 9);
	assert_int_equal(a.running, 0);
	write_times(f, 2, 0x5000, 4, 1, 1);
	assert_int_equal(a.running, 1);
	bk_mediator_accelerate(f->mediate, &accelerator_ops, &b);
	assert_int_equal(a.running, 0);
	write_times(f, 2, 0x5000, 4, 1, 10);
	assert_int_equal(b.running, 1);
	bk_mediator_accelerate(f->mediate, NULL, NULL);
}

static void a_replaced_trap_starts_anew(void **state)
{
	struct fixture *f = *state;
	struct accelerator a = { .starts = 0 };
	const struct bk_trap_desc desc = {
		.region = 2, .offset = 0x5000, .length = 0x100, .ops = &through_ops
	};
	struct bk_trap *trap, *next;

	bk_mediator_accelerate(f->mediate, &accelerator_ops, &a);
	trap = add_through(f, 2, 0x5000, 0x100);
	write_times(f, 2, 0x5000, 4, 1, 10);
	assert_int_equal(bk_trap_replace(trap, &desc, &next, NULL), 0);
	assert_int_equal(a.running, 0);
	/* And this one did not ask for it. */
	write_times(f, 2, 0x5000, 4, 1, 20);
	assert_int_equal(a.starts, 1);
	bk_mediator_accelerate(f->mediate, NULL, NULL);
}

static void what_is_not_the_devices_goes_on_as_before(void **state)
{
	struct fixture *f = *state;
	struct accelerator a = { .starts = 0 };
	const struct bk_trap_desc config = { .region = BK_DEVICE_CONFIG,
					     .offset = 0x40,
					     .length = 4,
					     .accelerate = true,
					     .ops = &through_ops };
	struct bk_trap *trap;

	bk_mediator_accelerate(f->mediate, &accelerator_ops, &a);
	add_through(f, 0, TABLE, 16); /* the MSI-X table is the function's */
	write_times(f, 0, TABLE, 4, 0xfee00000, 20);
	assert_int_equal(bk_trap_add(f->mediate, &config, &trap, NULL), 0);
	write_times(f, BK_DEVICE_CONFIG, 0x40, 4, 1, 20);
	assert_int_equal(a.starts, 0);
	/* The device fails, or who runs the guest cannot. */
	add_through(f, 2, 0x5000, 4);
	f->fake.fail = EIO;
	write_times(f, 2, 0x5000, 4, 1, 20);
	f->fake.fail = 0;
	assert_int_equal(a.starts, 0);
	a.error = -ENOSPC;
	write_times(f, 2, 0x5000, 4, 2, 30);
	assert_int_equal(a.starts, 1);
	assert_int_equal(accelerated(f), 0);
	bk_mediator_accelerate(f->mediate, NULL, NULL);
	assert_int_equal(a.stops, 0);
}

static void a_user_asks_for_it_with_a_log(void **state)
{
	struct fixture *f = *state;
	struct accelerator a = { .starts = 0 };
	struct bk_trap_desc spec = { 0 };
	struct bk_trap *trap;

	assert_int_equal(bk_trap_parse("bar2+0x40/4:log:accelerate", &spec, NULL), 0);
	assert_true(spec.accelerate);
	assert_int_equal(bk_trap_parse("bar2+0x40/4:log:overlay:accelerate", &spec, NULL), 0);
	assert_true(spec.accelerate && spec.overlay);
	assert_int_equal(bk_trap_add(f->mediate, &spec, &trap, NULL), 0);
	bk_mediator_accelerate(f->mediate, &accelerator_ops, &a);
	write_times(f, 2, 0x40, 4, 1, 10);
	assert_int_equal(a.running, 1);
	assert_int_equal(bk_trap_parse("bar2+0x40/4:const=1:accelerate", &spec, NULL), -EINVAL);
	assert_int_equal(bk_trap_parse("bar2+0x40/4:mirror:accelerate", &spec, NULL), -EINVAL);
	bk_mediator_accelerate(f->mediate, NULL, NULL);
}

struct leaving {
	struct bk_trap *trap;
	unsigned writes;
};

static int leave(void *opaque, unsigned region, uint64_t offset, unsigned width, uint64_t value)
{
	struct leaving *leaving = opaque;

	if (++leaving->writes == BK_ACCELERATE_AFTER)
		bk_trap_remove(leaving->trap);
	return 0;
}

static void a_trap_that_goes_in_its_tenth_write_starts_nothing(void **state)
{
	static const struct bk_trap_ops ops = { .write = leave };
	struct fixture *f = *state;
	struct accelerator a = { .starts = 0 };
	struct leaving leaving = { .writes = 0 };
	const struct bk_trap_desc desc = { .region = 2,
					   .offset = 0x5000,
					   .length = 4,
					   .accelerate = true,
					   .ops = &ops,
					   .opaque = &leaving };

	bk_mediator_accelerate(f->mediate, &accelerator_ops, &a);
	add_through(f, 2, 0x6000, 4); /* one that stays */
	assert_int_equal(bk_trap_add(f->mediate, &desc, &leaving.trap, NULL), 0);
	write_times(f, 2, 0x5000, 4, 1, BK_ACCELERATE_AFTER + 1);
	assert_int_equal(leaving.writes, BK_ACCELERATE_AFTER);
	assert_int_equal(a.starts, 0);
	bk_mediator_accelerate(f->mediate, NULL, NULL);
}

static void the_same_value_at_another_width_is_another_write(void **state)
{
	struct fixture *f = *state;
	struct accelerator a = { .starts = 0 };

	bk_mediator_accelerate(f->mediate, &accelerator_ops, &a);
	add_through(f, 2, 0x5000, 0x10);
	write_times(f, 2, 0x5000, 4, 1, BK_ACCELERATE_AFTER);
	write_times(f, 2, 0x5000, 2, 1, BK_ACCELERATE_AFTER);
	assert_int_equal(a.running, 2);
	assert_int_equal(a.started[0].width, 4);
	assert_int_equal(a.started[1].width, 2);
	bk_mediator_accelerate(f->mediate, NULL, NULL);
}

struct writer {
	struct fixture *f;
	bool stop;
};

static void *write_on(void *opaque)
{
	struct writer *w = opaque;

	for (unsigned i = 0; !__atomic_load_n(&w->stop, __ATOMIC_RELAXED); i++)
		wr(w->f, 2, 0x5000 + i / 12 % 8 * 4, 4, i / 12);
	return NULL;
}

/* Writers, traps that come and go, and resets: whatever was started is stopped. ThreadSanitizer looks on. */
static void nothing_is_left_running(void **state)
{
	struct fixture *f = *state;
	struct accelerator a = { .starts = 0 };
	struct writer w = { .f = f };
	pthread_t thread[2];

	bk_mediator_accelerate(f->mediate, &accelerator_ops, &a);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, write_on, &w), 0);
	for (unsigned i = 0; i < 300; i++) {
		struct bk_trap *trap = add_through(f, 2, 0x5000, 0x20);

		for (volatile unsigned wait = 0; wait < 20000;)
			wait = wait + 1;
		if (i % 3 == 0)
			assert_int_equal(bk_pci_function_reset(bk_mediator_function(f->mediate)), 0);
		bk_trap_remove(trap);
		assert_int_equal(accelerated(f), 0);
	}
	__atomic_store_n(&w.stop, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	bk_mediator_accelerate(f->mediate, NULL, NULL);
	assert_int_equal(a.running, 0);
}

int main(void)
{
#define WITH_DEVICE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_DEVICE(the_tenth_write_on_end_is_the_last),
		WITH_DEVICE(writes_that_differ_do_not_count),
		WITH_DEVICE(there_are_ten_at_most),
		WITH_DEVICE(a_reset_ends_all),
		WITH_DEVICE(a_new_accelerator_counts_anew),
		WITH_DEVICE(a_replaced_trap_starts_anew),
		WITH_DEVICE(what_is_not_the_devices_goes_on_as_before),
		WITH_DEVICE(a_user_asks_for_it_with_a_log),
		WITH_DEVICE(a_trap_that_goes_in_its_tenth_write_starts_nothing),
		WITH_DEVICE(the_same_value_at_another_width_is_another_write),
		WITH_DEVICE(nothing_is_left_running),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
