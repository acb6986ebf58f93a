/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest memory as a device in software reaches it. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "device/dma.h"

#define PAGE 0x1000u

struct fixture {
	struct bk__device_dma_space *dma;
	_Alignas(8) uint8_t memory[2 * PAGE];
	uint8_t far[PAGE]; /* reached by calls */
	unsigned calls;
	int error; /* of the calls */
};

static int setup(void **state)
{
	static struct fixture fixture;

	fixture = (struct fixture){ .dma = bk__device_dma_create("x") };
	assert_non_null(fixture.dma);
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	bk__device_dma_destroy(((struct fixture *)*state)->dma);
	return 0;
}

static int map(struct fixture *f, uint64_t iova, uint64_t size, unsigned flags)
{
	const struct bk_device_dma dma = {
		.iova = iova, .size = size, .flags = flags, .vaddr = f->memory, .fd = -1
	};

	return bk__device_dma_map(f->dma, &dma, NULL);
}

#define BOTH (BK_DEVICE_DMA_READ | BK_DEVICE_DMA_WRITE)

static int far_read(void *opaque, uint64_t offset, void *data, size_t count)
{
	struct fixture *f = opaque;

	assert_true(offset + count <= PAGE);
	memcpy(data, f->far + offset, count);
	f->calls++;
	return f->error;
}

static int far_write(void *opaque, uint64_t offset, const void *data, size_t count)
{
	struct fixture *f = opaque;

	assert_true(offset + count <= PAGE);
	memcpy(f->far + offset, data, count);
	f->calls++;
	return f->error;
}

static int map_far(struct fixture *f, uint64_t iova)
{
	const struct bk_device_dma dma = { .iova = iova,
					   .size = PAGE,
					   .flags = BOTH,
					   .fd = -1,
					   .read = far_read,
					   .write = far_write,
					   .opaque = f };

	return bk__device_dma_map(f->dma, &dma, NULL);
}

static void maps_are_disjoint(void **state)
{
	struct fixture *f = *state;
	const struct bk_device_dma odd = { .iova = 0x800, .size = PAGE, .fd = -1 };
	struct bk_error err;

	assert_int_equal(map(f, 0x10000, 2 * PAGE, BOTH), 0);
	assert_int_equal(map(f, 0x11000, PAGE, BOTH), -EEXIST);
	assert_int_equal(map(f, 0xf000, 0x10000, BOTH), -EEXIST);
	assert_int_equal(map(f, 0x12000, PAGE, BOTH), 0);
	assert_int_equal(map(f, 0, 0, BOTH), -EINVAL);
	assert_int_equal(map(f, UINT64_MAX - 0xfff, PAGE, BOTH), 0);
	assert_int_equal(map(f, UINT64_MAX - 0x1fff, 2 * PAGE, BOTH), -EEXIST);
	assert_int_equal(map(f, UINT64_MAX - 0xfff, 2 * PAGE, BOTH), -EINVAL);
	assert_int_equal(bk__device_dma_map(f->dma, &odd, &err), -EINVAL);
	assert_string_equal(err.text, "x: DMA range 0x800+0x1000 is not of whole pages");
	assert_int_equal(bk__device_dma_count(f->dma), 3);
	assert_int_equal(bk__device_dma_unmap(f->dma, 0x10000, PAGE), -ENOENT);
	assert_int_equal(bk__device_dma_unmap(f->dma, 0x10000, 3 * PAGE), -ENOENT);
	assert_int_equal(bk__device_dma_unmap(f->dma, 0x10000, 0), -ENOENT);
	assert_int_equal(bk__device_dma_unmap(f->dma, 0x10000, 2 * PAGE), 0);
	assert_int_equal(bk__device_dma_unmap(f->dma, 0x10000, 2 * PAGE), -ENOENT);
	assert_int_equal(bk__device_dma_unmap(f->dma, UINT64_MAX - 0xfff, PAGE), 0);
	assert_int_equal(bk__device_dma_count(f->dma), 1);
}

/* All ways to memory at once. */
static void expect(struct fixture *f, uint64_t iova, bool readable, bool writable)
{
	unsigned ticket = bk__device_dma_enter(f->dma, NULL);
	uint64_t count = 4, value;
	uint8_t bytes[4] = { 0 };

	assert_int_equal(bk__device_dma_read(f->dma, iova, bytes, 4), readable ? 0 : -EFAULT);
	assert_int_equal(bk__device_dma_at(f->dma, iova, &count, false) != NULL, readable);
	assert_int_equal(bk__device_dma_write(f->dma, iova, bytes, 4), writable ? 0 : -EFAULT);
	assert_int_equal(bk__device_dma_at(f->dma, iova, &count, true) != NULL, writable);
	bk_space_read(bk__device_dma_bus(f->dma), iova, 4, &value);
	assert_int_equal(value == UINT32_MAX, !readable);
	bk__device_dma_leave(f->dma, ticket);
}

static void only_a_bus_master_reaches_memory(void **state)
{
	struct fixture *f = *state;

	map(f, 0x10000, PAGE, BOTH);
	expect(f, 0x10000, false, false);
	assert_int_equal(bk__device_dma_master(f->dma, true), 0);
	expect(f, 0x10000, true, true);
	expect(f, 0x11000, false, false);
	assert_int_equal(bk__device_dma_master(f->dma, false), 0);
	expect(f, 0x10000, false, false);
}

static void maps_keep_their_permission(void **state)
{
	struct fixture *f = *state;

	bk__device_dma_master(f->dma, true);
	map(f, 0x10000, PAGE, BK_DEVICE_DMA_READ);
	map(f, 0x20000, PAGE, BK_DEVICE_DMA_WRITE);
	expect(f, 0x10000, true, false);
	expect(f, 0x20000, false, true);
	bk__device_dma_unmap(f->dma, 0x10000, PAGE);
	expect(f, 0x10000, false, false);
}

static void transfers_go_over_edges(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[16], back[16];
	uint64_t count = 64;
	unsigned ticket;

	bk__device_dma_master(f->dma, true);
	map(f, 0x10000, PAGE, BOTH);
	map_far(f, 0x11000);
	for (unsigned i = 0; i < 16; i++)
		bytes[i] = (uint8_t)(i + 1);
	ticket = bk__device_dma_enter(f->dma, NULL);
	assert_int_equal(bk__device_dma_write(f->dma, 0x10ff8, bytes, 16), 0);
	assert_memory_equal(f->memory + 0xff8, bytes, 8);
	assert_memory_equal(f->far, bytes + 8, 8);
	assert_int_equal(f->calls, 1); /* in one piece */
	assert_int_equal(bk__device_dma_read(f->dma, 0x10ff8, back, 16), 0);
	assert_memory_equal(back, bytes, 16);
	assert_int_equal(bk__device_dma_read(f->dma, 0x11ff8, back, 16), -EFAULT);
	assert_int_equal(bk__device_dma_read(f->dma, 0xfff8, back, 16), -EFAULT);
	assert_int_equal(bk__device_dma_read(f->dma, UINT64_MAX - 4, back, 16), -EFAULT);
	assert_int_equal(bk__device_dma_read(f->dma, 0, back, 0), 0);
	assert_ptr_equal(bk__device_dma_at(f->dma, 0x10ff8, &count, true), f->memory + 0xff8);
	assert_int_equal(count, 8);
	assert_null(bk__device_dma_at(f->dma, 0x11000, &count, true));
	f->error = -EIO;
	assert_int_equal(bk__device_dma_read(f->dma, 0x11000, back, 8), -EIO);
	bk__device_dma_leave(f->dma, ticket);
}

/* No callbacks, no memory: a client that shares nothing. */
static void memory_without_a_way_to_it(void **state)
{
	struct fixture *f = *state;
	const struct bk_device_dma dma = { .iova = 0x10000, .size = PAGE, .flags = BOTH, .fd = -1 };

	bk__device_dma_master(f->dma, true);
	assert_int_equal(bk__device_dma_map(f->dma, &dma, NULL), 0);
	expect(f, 0x10000, false, false);
}

static void changes_are_told(void **state)
{
	struct fixture *f = *state;
	uint64_t first, second;

	bk__device_dma_leave(f->dma, bk__device_dma_enter(f->dma, &first));
	bk__device_dma_leave(f->dma, bk__device_dma_enter(f->dma, &second));
	assert_int_equal(first, second);
	map(f, 0x10000, PAGE, BOTH);
	bk__device_dma_leave(f->dma, bk__device_dma_enter(f->dma, &second));
	assert_int_not_equal(first, second);
	bk__device_dma_unmap(f->dma, 0x10000, PAGE);
	bk__device_dma_leave(f->dma, bk__device_dma_enter(f->dma, &first));
	assert_int_not_equal(first, second);
	bk__device_dma_master(f->dma, true);
	bk__device_dma_leave(f->dma, bk__device_dma_enter(f->dma, &second));
	assert_int_not_equal(first, second);
}

/* ---- Who is inside ----------------------------------------------------- */

struct inside {
	struct fixture *f;
	bool master; /* what is turned off, in place of a map */
	atomic_bool entered, left;
};

static void *user(void *opaque)
{
	struct inside *inside = opaque;
	struct fixture *f = inside->f;
	unsigned ticket = bk__device_dma_enter(f->dma, NULL);
	uint64_t count = 8;
	uint8_t *memory = bk__device_dma_at(f->dma, 0x10000, &count, true);

	assert_non_null(memory);
	atomic_store(&inside->entered, true);
	while (bk__device_dma_at(f->dma, 0x10000, &count, true))
		sched_yield();
	for (unsigned i = 0; i < 1000; i++) {
		memory[0]++; /* it is gone for who asks now, but not for who has asked before */
		sched_yield();
	}
	atomic_store(&inside->left, true);
	bk__device_dma_leave(f->dma, ticket);
	return NULL;
}

static void wait_for(struct fixture *f, bool master)
{
	struct inside inside = { .f = f, .master = master };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, user, &inside), 0);
	while (!atomic_load(&inside.entered))
		sched_yield();
	if (master)
		assert_int_equal(bk__device_dma_master(f->dma, false), 0);
	else
		assert_int_equal(bk__device_dma_unmap(f->dma, 0x10000, PAGE), 0);
	assert_true(atomic_load(&inside.left));
	pthread_join(thread, NULL);
}

static void changes_wait_for_who_is_inside(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 10; i++) {
		bk__device_dma_master(f->dma, true);
		map(f, 0x10000, PAGE, BOTH);
		wait_for(f, false);
		map(f, 0x10000, PAGE, BOTH);
		wait_for(f, true);
		bk__device_dma_unmap(f->dma, 0x10000, PAGE);
	}
}

static atomic_bool stop;

static void *copier(void *opaque)
{
	struct fixture *f = opaque;
	uint8_t bytes[256];
	int error;

	while (!atomic_load(&stop)) {
		unsigned ticket = bk__device_dma_enter(f->dma, NULL);

		error = bk__device_dma_read(f->dma, 0x10000, bytes, sizeof(bytes));
		assert_true(!error || error == -EFAULT);
		bk__device_dma_leave(f->dma, ticket);
	}
	return NULL;
}

/* The memory is written as soon as it is unmapped: the sanitizers see who is late. */
static void memory_is_free_once_unmapped(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[2];

	atomic_store(&stop, false);
	bk__device_dma_master(f->dma, true);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, copier, f), 0);
	for (unsigned i = 0; i < 300; i++) {
		assert_int_equal(map(f, 0x10000, PAGE, BOTH), 0);
		assert_int_equal(bk__device_dma_unmap(f->dma, 0x10000, PAGE), 0);
		memset(f->memory, (int)i, PAGE);
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(maps_are_disjoint),
		TEST(only_a_bus_master_reaches_memory),
		TEST(maps_keep_their_permission),
		TEST(transfers_go_over_edges),
		TEST(memory_without_a_way_to_it),
		TEST(changes_are_told),
		TEST(changes_wait_for_who_is_inside),
		TEST(memory_is_free_once_unmapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
