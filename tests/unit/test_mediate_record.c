/* SPDX-License-Identifier: BSD-2-Clause */
/* A recorder sees each finished access of a mediator. */
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

static struct {
	struct bk_access at[16];
	char traps[16][32];
	unsigned count;
} seen;

static void record(void *opaque, const struct bk_access *access)
{
	assert_ptr_equal(opaque, &seen);
	assert_true(seen.count < 16);
	seen.at[seen.count] = *access;
	snprintf(seen.traps[seen.count], sizeof(seen.traps[0]), "%s", access->trap ? access->trap : "-");
	seen.count++;
}

static void saw(unsigned which, const char *trap, unsigned region, uint64_t offset, unsigned width,
		bool write, uint64_t value, int error)
{
	const struct bk_access *access = &seen.at[which];

	assert_true(which < seen.count);
	assert_string_equal(seen.traps[which], trap);
	assert_int_equal(access->struct_size, sizeof(*access));
	assert_int_equal(access->region, region);
	assert_int_equal(access->offset, offset);
	assert_int_equal(access->width, width);
	assert_int_equal(access->write, write);
	assert_int_equal(access->error, error);
	if (!error)
		assert_int_equal(access->value, value);
}

static int fixed_read(void *opaque, unsigned region, uint64_t offset, unsigned width, uint64_t *value)
{
	*value = 0x11223344;
	return offset == 0x48 ? -EIO : 0;
}

static struct bk_mediator *stopping;
static int stopped;

static int stops(void *opaque, unsigned region, uint64_t offset, unsigned width, uint64_t value)
{
	stopped = bk_mediator_record(stopping, NULL, NULL);
	return 0;
}

static const struct bk_trap_ops fixed_ops = { .read = fixed_read }, stopping_ops = { .write = stops };

static int begin(void **state)
{
	const struct bk_trap_desc desc = { .offset = 0x40, .length = 16, .name = "fixed", .ops = &fixed_ops };
	struct bk_trap *trap;
	struct fixture *f;

	memset(&seen, 0, sizeof(seen));
	bare_begin(state);
	f = *state;
	fake_bar(&f->fake, 0, 0, 0x1000, false);
	return bk_mediator_create(f->domain, &f->fake.device, NULL, &f->mediate, &f->err) ||
	       bk_trap_add(f->mediate, &desc, &trap, &f->err);
}

static void traps_and_registers_beside_them_are_recorded(void **state)
{
	struct fixture *f = *state;
	struct bk_space *bar = bk_mediator_space(f->mediate, 0);
	uint64_t value;

	rd(f, 0, 0x40, 4); /* nobody records yet */
	assert_int_equal(bk_mediator_record(f->mediate, record, &seen), 0);
	assert_int_equal(rd(f, 0, 0x44, 4), 0x11223344);
	saw(0, "fixed", 0, 0x44, 4, false, 0x11223344, 0);
	bk_space_read(bar, 0x48, 4, &value);
	saw(1, "fixed", 0, 0x48, 4, false, 0, -EIO);
	bk_space_write(bar, 0x4e, 2, 0x5566); /* without a handler: the device's */
	saw(2, "fixed", 0, 0x4e, 2, true, 0x5566, 0);
	bk_space_write(bar, 0x4c, 8, 0x1122334455667788); /* over its end: in two */
	saw(3, "fixed", 0, 0x4c, 4, true, 0x55667788, 0);
	saw(4, "-", 0, 0x50, 4, true, 0x11223344, 0);
	f->fake.fail = EIO;
	bk_space_read(bar, 0x100, 2, &value);
	saw(5, "-", 0, 0x100, 2, false, 0, -EIO);
	bk_space_read(bk_mediator_space(f->mediate, BK_DEVICE_CONFIG), 0, 4, &value);
	saw(6, "-", BK_DEVICE_CONFIG, 0, 4, false, 0x56781234, 0);
	assert_int_equal(seen.count, 7);
	assert_int_equal(bk_mediator_record(f->mediate, NULL, NULL), 0);
	bk_space_read(bar, 0x100, 2, &value);
	bk_space_read(bar, 0x40, 2, &value);
	assert_int_equal(seen.count, 7);
}

static void an_overlays_read_of_the_device_is_recorded(void **state)
{
	struct fixture *f = *state;
	const struct bk_trap_desc desc = {
		.offset = 0x200, .length = 4, .name = "over", .overlay = true, .ops = &fixed_ops
	};
	struct bk_trap *trap;

	assert_int_equal(bk_trap_add(f->mediate, &desc, &trap, NULL), 0);
	assert_int_equal(bk_mediator_record(f->mediate, record, &seen), 0);
	assert_int_equal(rd(f, 0, 0x200, 8) & 0xffffffff, 0x11223344);
	saw(0, "-", 0, 0x200, 8, false, fake_pattern(0x200, 8), 0);
	saw(1, "over", 0, 0x200, 4, false, 0x11223344, 0);
	assert_int_equal(seen.count, 2);
}

static void a_handler_cannot_end_it(void **state)
{
	struct fixture *f = *state;
	const struct bk_trap_desc desc = { .offset = 0x300, .length = 4, .ops = &stopping_ops };
	struct bk_trap *trap;

	stopping = f->mediate;
	assert_int_equal(bk_trap_add(f->mediate, &desc, &trap, NULL), 0);
	assert_int_equal(bk_mediator_record(f->mediate, record, &seen), 0);
	bk_space_write(bk_mediator_space(f->mediate, 0), 0x300, 4, 1);
	assert_int_equal(stopped, -EDEADLK);
	assert_int_equal(seen.count, 1); /* goes on */
					 /* And it may be there to the end. */
}

static void count(void *opaque, const struct bk_access *access)
{
	__atomic_fetch_add(*(unsigned **)opaque, 1, __ATOMIC_RELAXED);
}

struct reading {
	struct fixture *f;
	unsigned reads; /* atomic */
	bool stop;      /* atomic */
};

static void *read_on(void *opaque)
{
	struct reading *reading = opaque;

	while (!__atomic_load_n(&reading->stop, __ATOMIC_RELAXED)) {
		rd(reading->f, 0, 0x40, 4);
		rd(reading->f, 0, 0x80, 4);
		__atomic_fetch_add(&reading->reads, 2, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* Once it is replaced it is not called any more: what it uses may go. */
static void recorders_come_and_go_while_others_read(void **state)
{
	struct reading reading = { .f = *state };
	pthread_t threads[2];

	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_on, &reading), 0);
	for (unsigned i = 0; i < 100; i++) {
		unsigned *counted = calloc(1, sizeof(*counted)), **box = malloc(sizeof(*box));

		*box = counted;
		assert_int_equal(bk_mediator_record(reading.f->mediate, count, box), 0);
		while (!__atomic_load_n(counted, __ATOMIC_RELAXED))
			sched_yield();
		assert_int_equal(bk_mediator_record(reading.f->mediate, NULL, NULL), 0);
		free(counted);
		free(box);
	}
	__atomic_store_n(&reading.stop, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(traps_and_registers_beside_them_are_recorded, begin,
						bare_end),
		cmocka_unit_test_setup_teardown(an_overlays_read_of_the_device_is_recorded, begin, bare_end),
		cmocka_unit_test_setup_teardown(recorders_come_and_go_while_others_read, begin, bare_end),
		cmocka_unit_test_setup_teardown(a_handler_cannot_end_it, begin, bare_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
