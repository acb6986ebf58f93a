/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads hammer while others move, remove and add: every access is wholly before or wholly after. */
#include "space_kit.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

static struct bk_domain *domain;
static struct bk_space *space;

/* BK_TEST_SECONDS makes it longer. */
static double seconds(void)
{
	const char *text = getenv("BK_TEST_SECONDS");

	return text ? atof(text) : 0.4;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

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

static int stop; /* atomic */

/* Threads must not use cmocka's asserts: they count what is wrong. */
struct hammer {
	pthread_t thread;
	uint64_t done, wrong;
};

static void end_hammers(struct hammer *hammers, unsigned count)
{
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < count; i++) {
		pthread_join(hammers[i].thread, NULL);
		assert_int_equal(hammers[i].wrong, 0);
		assert_true(hammers[i].done > 0);
	}
}

/* Guards against use after release. */
struct living {
	uint64_t alive; /* atomic */
	uint64_t id;
};

static int living_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	struct living *living = opaque;

	if (!__atomic_load_n(&living->alive, __ATOMIC_RELAXED))
		return -EFAULT;
	*value = living->id;
	return 0;
}

static void living_released(void *opaque)
{
	struct living *living = opaque;

	__atomic_store_n(&living->alive, 0, __ATOMIC_RELAXED);
}

static const struct bk_region_ops living_ops = { .read = living_read, .released = living_released };

static struct bk_region *add_living(struct bk_space *where, struct living *living, uint64_t first,
				    uint64_t id)
{
	struct bk_region_desc desc = {
		.name = "living",
		.first = first,
		.last = first + 0xff,
		.rank = id,
		.ops = &living_ops,
		.opaque = living,
	};
	struct bk_region *region = NULL;

	living->alive = 1;
	living->id = id;
	assert_int_equal(try_add(where, &desc, &region), 0);
	return region;
}

/* F13: region 1 is at 0 or at 0x1000, region 2 at the other place: both places always answer. */
static void *read_swapping(void *opaque)
{
	struct hammer *hammer = opaque;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED) || !hammer->done) {
		uint64_t a = 0, b = 0, both = 0;

		if (bk_space_read(space, 0x10, 4, &a) || bk_space_read(space, 0x1010, 4, &b))
			hammer->wrong++;
		if ((a != 1 && a != 2) || (b != 1 && b != 2))
			hammer->wrong++;
		/* One access over both: one view. */
		if (bk_space_read(space, 0x20fc, 8, &both) ||
		    (both != 0x0000000400000003 && both != 0x0000000300000004))
			hammer->wrong++;
		hammer->done++;
	}
	return NULL;
}

static void F13_swapping_while_others_read(void **state)
{
	static struct living living[4];
	struct bk_region *r[4] = {
		add_living(space, &living[0], 0, 1),
		add_living(space, &living[1], 0x1000, 2),
		add_living(space, &living[2], 0x2000, 3),
		add_living(space, &living[3], 0x2100, 4),
	};
	struct hammer hammers[3] = { { 0 } };
	double end = now() + seconds();
	uint64_t swaps = 0;

	stop = 0;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&hammers[i].thread, NULL, read_swapping, &hammers[i]), 0);
	for (; now() < end || swaps <= 100; swaps++) {
		struct bk_update *u = bk_update_begin(domain);
		uint64_t x = swaps % 2 * 0x1000;

		bk_update_move(u, r[0], 0x1000 - x, 0x10ff - x);
		bk_update_move(u, r[1], x, x + 0xff);
		bk_update_move(u, r[2], 0x2100 - x / 16, 0x21ff - x / 16);
		bk_update_move(u, r[3], 0x2000 + x / 16, 0x20ff + x / 16);
		assert_int_equal(bk_update_commit(u, NULL), 0);
	}
	end_hammers(hammers, 3);
	assert_true(swaps > 100);
}

static void *read_coming_and_going(void *opaque)
{
	struct hammer *hammer = opaque;

	for (uint64_t i = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++) {
		uint64_t value = 0;

		if (bk_space_read(space, i % 64 * 0x100 + 8, 4, &value))
			hammer->wrong++; /* -EFAULT: called after its release */
		hammer->done += value != 0xffffffff;
	}
	return NULL;
}

static void nothing_is_called_after_its_release(void **state)
{
	static struct living living[64];
	struct hammer hammers[2] = { { 0 } };
	double end = now() + seconds();

	stop = 0;
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&hammers[i].thread, NULL, read_coming_and_going, &hammers[i]),
				 0);
	while (now() < end) {
		struct bk_region *regions[64];

		for (unsigned i = 0; i < 64; i++)
			regions[i] = add_living(space, &living[i], i * 0x100, i);
		for (unsigned i = 0; i < 64; i++) {
			if (i % 2)
				drop(regions[i], domain);
			else
				assert_int_equal(bk_region_retire(regions[i]), 0);
			if (i % 2 == 0)
				assert_int_equal(living[i].alive, 0);
		}
		assert_int_equal(bk_domain_synchronize(domain), 0);
	}
	end_hammers(hammers, 2);
}

/* F14 from many threads: the write handler moves its own region among 16 places. */
struct wanderer {
	struct bk_region *region;
	uint64_t moves; /* atomic */
};

static int wander(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	struct wanderer *wanderer = opaque;
	struct bk_update *u = bk_update_begin(domain);
	uint64_t first = value % 16 * 0x100;

	if (!u || bk_update_move(u, wanderer->region, first, first + 0xff) || bk_update_commit(u, NULL))
		return -EIO;
	__atomic_fetch_add(&wanderer->moves, 1, __ATOMIC_RELAXED);
	return 0;
}

static const struct bk_region_ops wanderer_ops = { .write = wander };

static void *chase(void *opaque)
{
	struct hammer *hammer = opaque;
	uint64_t x = (uint64_t)(uintptr_t)hammer | 1;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED) || !hammer->done) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		if (bk_space_write(space, x % 16 * 0x100, 4, x >> 32))
			hammer->wrong++;
		hammer->done++;
	}
	return NULL;
}

static void F14_handlers_of_many_threads_move_their_regions(void **state)
{
	struct wanderer wanderers[4] = { { 0 } };
	struct hammer hammers[3] = { { 0 } };
	struct timespec pause;

	for (unsigned i = 0; i < 4; i++) {
		struct bk_region_desc desc = {
			.first = i * 0x100,
			.last = i * 0x100 + 0xff,
			.rank = i,
			.ops = &wanderer_ops,
			.opaque = &wanderers[i],
		};
		struct bk_region *region = NULL;
		struct bk_update *u = bk_update_begin(domain);

		assert_int_equal(bk_update_add(u, space, &desc, &region), 0);
		wanderers[i].region = region;
		assert_int_equal(bk_update_commit(u, NULL), 0);
	}
	stop = 0;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&hammers[i].thread, NULL, chase, &hammers[i]), 0);
	pause.tv_sec = (time_t)seconds();
	pause.tv_nsec = (long)((seconds() - (double)pause.tv_sec) * 1e9);
	nanosleep(&pause, NULL);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < 3; i++) {
		pthread_join(hammers[i].thread, NULL);
		assert_int_equal(hammers[i].wrong, 0);
	}
	for (unsigned i = 0; i < 4; i++)
		assert_true(wanderers[i].moves > 0);
	assert_int_equal(bk_domain_synchronize(domain), 0);
}

/* A thread commits under a lock that another's handler wants: must not wait for that reader. */
static pthread_mutex_t function_lock = PTHREAD_MUTEX_INITIALIZER;

static int take_lock(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	pthread_mutex_lock(&function_lock);
	*value = 7;
	pthread_mutex_unlock(&function_lock);
	return 0;
}

static void *read_locking(void *opaque)
{
	struct hammer *hammer = opaque;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED) || !hammer->done) {
		uint64_t value = 0;

		if (bk_space_read(space, 0x10000, 4, &value) || value != 7)
			hammer->wrong++;
		hammer->done++;
	}
	return NULL;
}

static void a_commit_under_a_lock_that_handlers_take_goes_on(void **state)
{
	static const struct bk_region_ops ops = { .read = take_lock };
	struct bk_region_desc desc = { .first = 0x10000, .last = 0x1ffff, .rank = 9, .ops = &ops };
	struct bk_region *locking, *r;
	struct hammer hammer = { 0 };
	static struct living living;

	r = add_living(space, &living, 0, 1);
	assert_int_equal(try_add(space, &desc, &locking), 0);
	stop = 0;
	assert_int_equal(pthread_create(&hammer.thread, NULL, read_locking, &hammer), 0);
	for (unsigned i = 0; i < 40; i++) {
		pthread_mutex_lock(&function_lock);
		/* Far beyond the point where reclaim is due. */
		for (unsigned j = 0; j < 100; j++)
			move(r, domain, j % 2 * 0x100, j % 2 * 0x100 + 0xff);
		pthread_mutex_unlock(&function_lock);
		sched_yield();
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(hammer.thread, NULL);
	assert_int_equal(hammer.wrong, 0);
}

static void *read_once(void *opaque)
{
	uint64_t value;

	return bk_space_read(space, 0, 4, &value) ? opaque : NULL;
}

static void threads_that_end_are_forgotten(void **state)
{
	static struct device d = { .id = 1 };
	void *result;

	add(space, &d, 0, 0xff, 0, 0);
	for (unsigned i = 0; i < 200; i++) {
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, read_once, &d), 0);
		pthread_join(thread, &result);
		assert_null(result);
	}
	assert_int_equal(bk_domain_synchronize(domain), 0);
}

/* Everything at once: spaces come and go behind windows, listeners too, while others read, move and look. */
static void *come_and_go(void *opaque)
{
	static const struct bk_region_ops silent = { .released = device_released };
	static const struct bk_listener_ops nothing = { 0 };
	struct hammer *hammer = opaque;
	struct device d = { .id = 3 };
	uint64_t rank = (uint64_t)(uintptr_t)hammer;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED) || !hammer->done) {
		struct bk_space *bus = bk_space_create(domain, "bus", 0xffff);
		struct bk_region_desc inner = { .last = 0xff, .ops = &silent, .opaque = &d };
		struct bk_region_desc outer = {
			.first = 0x100000,
			.last = 0x10ffff,
			.rank = rank,
			.kind = BK_REGION_NESTED,
			.nested = bus,
		};
		struct bk_region *region = NULL, *window = NULL;
		struct bk_listener *listener;

		__atomic_store_n(&d.released, 0, __ATOMIC_RELAXED);
		if (!bus || bk_listener_add(bus, &nothing, NULL, &listener)) {
			hammer->wrong++;
			return NULL;
		}
		if (try_add(bus, &inner, &region) || try_add(space, &outer, &window) ||
		    bk_space_destroy(bus) != -EBUSY)
			hammer->wrong++;
		bk_listener_remove(listener);
		if (bk_region_retire(window) || bk_space_destroy(bus) || bk_domain_synchronize(domain) ||
		    __atomic_load_n(&d.released, __ATOMIC_RELAXED) != 1)
			hammer->wrong++;
		hammer->done++;
	}
	return NULL;
}

static void swallow(void *opaque, const struct bk_region *region, uint64_t address, bool write,
		    unsigned width, int error)
{
}

static bool count_ranges(void *opaque, const struct bk_flat *flat)
{
	++*(uint64_t *)opaque;
	return true;
}

static void *look_around(void *opaque)
{
	struct hammer *hammer = opaque;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED) || !hammer->done) {
		static char text[65536];
		uint64_t value, ranges = 0;
		FILE *out = fmemopen(text, sizeof(text), "w");

		if (!out || bk_space_describe(space, hammer->done % 2 ? BK_FORMAT_TEXT : BK_FORMAT_JSON,
					      bk_sink_file, out))
			hammer->wrong++;
		if (out)
			fclose(out);
		bk_space_visit(space, 0, UINT64_MAX, count_ranges, &ranges);
		if (!ranges)
			hammer->wrong++;
		for (unsigned i = 0; i < 100; i++)
			bk_space_read(space, 0x100000 + i, 4, &value);
		hammer->done++;
	}
	return NULL;
}

static void everything_at_once(void **state)
{
	static struct living living[2];
	void *(*const what[])(void *) = { come_and_go, come_and_go, look_around, read_coming_and_going };
	struct hammer hammers[4] = { { 0 } };
	struct bk_region *r[2] = { add_living(space, &living[0], 0, 1),
				   add_living(space, &living[1], 0x200, 2) };
	double end = now() + seconds();
	uint64_t moves = 0;

	bk_space_on_error(space, swallow, NULL);
	__atomic_store_n(&stop, 0, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&hammers[i].thread, NULL, what[i], &hammers[i]), 0);
	for (; now() < end || !moves; moves++)
		move(r[moves % 2], domain, moves % 7 * 0x80, moves % 7 * 0x80 + 0xff);
	end_hammers(hammers, 4);
	assert_true(moves > 0);
}

/* ---- Many spaces in one update ---- */

enum { CLOCKS = 200 };
static struct bk_space *clocks[CLOCKS];

static int offset_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	*value = offset;
	return 0;
}

static const struct bk_region_ops offset_ops = { .read = offset_read };

/* Who has seen a time on one clock sees no earlier one on another, though many are set between the two. */
static void *read_clocks(void *opaque)
{
	struct hammer *hammer = opaque;
	uint64_t seen = 0;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED) || !hammer->done) {
		uint64_t time = 0;

		if (bk_space_read(clocks[hammer->done % 2 ? 0 : CLOCKS - 1], 0, 8, &time) || time < seen)
			hammer->wrong++;
		seen = time;
		hammer->done++;
	}
	return NULL;
}

static void many_spaces_change_at_once(void **state)
{
	const struct bk_region_desc time_desc = { .name = "time", .last = UINT64_MAX, .ops = &offset_ops };
	const struct bk_region_desc clock_desc = {
		.name = "clock", .last = 7, .kind = BK_REGION_NESTED, .nested = space
	};
	struct hammer hammers[2] = { { 0 } };
	struct bk_region *windows[CLOCKS], *region;
	double end = now() + seconds();
	uint64_t time = 0;

	assert_int_equal(try_add(space, &time_desc, &region), 0);
	for (unsigned i = 0; i < CLOCKS; i++) {
		clocks[i] = bk_space_create(domain, "clock", UINT64_MAX);
		assert_int_equal(try_add(clocks[i], &clock_desc, &windows[i]), 0);
	}
	__atomic_store_n(&stop, 0, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&hammers[i].thread, NULL, read_clocks, &hammers[i]), 0);
	while (now() < end || time <= 100) {
		struct bk_update *u = bk_update_begin(domain);

		time += 8;
		for (unsigned i = 0; i < CLOCKS; i++)
			bk_update_place(u, windows[i], 0, 7, time);
		assert_int_equal(bk_update_commit(u, NULL), 0);
	}
	end_hammers(hammers, 2);
	for (unsigned i = 0; i < CLOCKS; i++)
		assert_int_equal(bk_space_destroy(clocks[i]), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(F13_swapping_while_others_read),
		TEST(nothing_is_called_after_its_release),
		TEST(F14_handlers_of_many_threads_move_their_regions),
		TEST(a_commit_under_a_lock_that_handlers_take_goes_on),
		TEST(threads_that_end_are_forgotten),
		TEST(everything_at_once),
		TEST(many_spaces_change_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
