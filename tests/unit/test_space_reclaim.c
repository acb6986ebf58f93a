/* SPDX-License-Identifier: BSD-2-Clause */
/* What was removed lives as long as a reader may be in it, and no longer; memory is bounded while one stays.
 */
#include "space_kit.h"

#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "space/internal.h"

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

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int stop; /* atomic */

static pthread_barrier_t inside;
static int linger(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	pthread_barrier_wait(&inside);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		sched_yield();
	*value = 5;
	return 0;
}

static void *read_lingering(void *opaque)
{
	uint64_t value = 0;

	bk_space_read(space, 0, 4, &value);
	return value == 5 ? NULL : opaque;
}

static void the_removed_lives_while_a_handler_of_it_runs(void **state)
{
	static const struct bk_region_ops ops = { .read = linger, .released = device_released };
	static struct device d = { .id = 1 };
	struct bk_region_desc desc = device_at(&d, 0, 0xff, 0, 0);
	struct timespec pause = { .tv_nsec = 20000000 };
	struct bk_region *r;
	pthread_t thread;
	void *result;

	desc.ops = &ops;
	stop = 0;
	pthread_barrier_init(&inside, NULL, 2);
	assert_int_equal(try_add(space, &desc, &r), 0);
	assert_int_equal(pthread_create(&thread, NULL, read_lingering, &d), 0);
	pthread_barrier_wait(&inside);
	drop(r, domain); /* does not wait */
	nanosleep(&pause, NULL);
	assert_int_equal(__atomic_load_n(&d.released, __ATOMIC_SEQ_CST), 0);
	assert_int_equal(at(space, 0), 0xff);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	assert_int_equal(bk_domain_synchronize(domain), 0);
	assert_int_equal(__atomic_load_n(&d.released, __ATOMIC_SEQ_CST), 1);
	pthread_join(thread, &result);
	assert_null(result);
	pthread_barrier_destroy(&inside);
}

static pthread_t begin_lingering(void *(*read)(void *), struct device *d)
{
	pthread_t thread;

	__atomic_store_n(&stop, 0, __ATOMIC_RELAXED);
	pthread_barrier_init(&inside, NULL, 2);
	assert_int_equal(pthread_create(&thread, NULL, read, d), 0);
	pthread_barrier_wait(&inside);
	return thread;
}

static void end_lingering(pthread_t thread)
{
	void *result;

	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, &result);
	assert_null(result);
	assert_int_equal(bk_domain_synchronize(domain), 0);
	pthread_barrier_destroy(&inside);
}

static const struct bk_region_ops linger_ops = { .read = linger };

/* Who is released may remove others, however many wait. */
static struct bk_region *more;

static void remove_more(void *opaque)
{
	drop(more, domain);
}

static void removals_past_a_lingering_reader_go_on_but_slowly(void **state)
{
	static const struct bk_region_ops removing = { .read = device_read, .released = remove_more };
	static struct device d = { .id = 1 }, e = { .id = 2 };
	struct bk_region_desc desc = device_at(&d, 0, 0xff, 0, 0);
	struct bk_region *lingering, *r;
	uint64_t removals = 0;
	double start;
	pthread_t thread;

	desc.ops = &linger_ops;
	assert_int_equal(try_add(space, &desc, &lingering), 0);
	desc = device_at(&e, 0x2000, 0x20ff, 0, 2);
	more = add(space, &e, 0x3000, 0x30ff, 0, 3);
	desc.ops = &removing;
	assert_int_equal(try_add(space, &desc, &r), 0);
	thread = begin_lingering(read_lingering, &d);
	start = now();
	drop(add(space, &e, 0x1000, 0x10ff, 0, 1), domain); /* what the reclaim thread waits with */
	drop(r, domain);
	for (; removals < 1100; removals++)
		drop(add(space, &e, 0x1000, 0x10ff, 0, 1), domain);
	/* None waits for the reader, and from a thousand or so on each is held up. */
	assert_true(now() - start > 0.2);
	end_lingering(thread);
	assert_int_equal(bk_domain_synchronize(domain), 0);
	assert_int_equal(e.released, 1102);
}

/* Moves one of two regions to and fro; the other one's handler does the same from within. */
static struct bk_region *mover;

static int move_it(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	struct bk_update *u = bk_update_begin(domain);

	*value = 0;
	bk_update_move(u, mover, 0x10000 + offset % 2 * 0x100, 0x100ff + offset % 2 * 0x100);
	return bk_update_commit(u, NULL);
}

/* What waits for readers, and memory that is kept for the next commits. */
static size_t bytes_held(void)
{
	size_t bytes;

	pthread_mutex_lock(&domain->commit_lock);
	bytes = domain->store_bytes + domain->retired_bytes;
	pthread_mutex_unlock(&domain->commit_lock);
	return bytes;
}

enum { MANY = 400, MIDDLE = 200, STORM = 20000, BOUND = 48 << 20 };

static void F44_memory_is_bounded_while_one_reader_stays_and_others_move(void **state)
{
	static const struct bk_region_ops ops = { .read = move_it };
	static struct device d[MANY];
	struct bk_region_desc desc = device_at(&d[0], 0, 0xff, 0, 0);
	struct bk_region *lingering, *handler;
	size_t before, most = 0;
	pthread_t thread;

	desc.ops = &linger_ops;
	assert_int_equal(try_add(space, &desc, &lingering), 0);
	desc = device_at(&d[0], 0x200, 0x2ff, 0, 1);
	desc.ops = &ops;
	assert_int_equal(try_add(space, &desc, &handler), 0);
	mover = add(space, &d[1], 0x10000, 0x100ff, 0, 2);
	for (unsigned i = 2; i < MANY; i++)
		add(space, &d[i], 0x20000 + i * 0x100, 0x200ff + i * 0x100, 0, 1 + i);
	thread = begin_lingering(read_lingering, &d[0]);
	before = bytes_held();
	for (unsigned i = 0; i < STORM; i++) {
		size_t bytes;

		if (i / 64 % 2) /* by a handler */
			assert_int_equal(at(space, 0x200 + i % 2), 0);
		else
			move(mover, domain, 0x10000 + i % 2 * 0x100, 0x100ff + i % 2 * 0x100);
		bytes = bytes_held();
		most = bytes > most ? bytes : most;
	}
	end_lingering(thread);
	assert_true(most < BOUND);
	/* And after the storm it is given back. */
	assert_true(bytes_held() <= before + (4 << 20));
}

/* All regions in one access, of which the first lingers. */
static uint8_t seen_by_one[MANY * 0x100];

static void *read_all_lingering(void *opaque)
{
	return bk_space_read_bytes(space, 0, seen_by_one, sizeof(seen_by_one)) ? opaque : NULL;
}

/* The same in a handler. */
static void *read_through_window(void *opaque)
{
	uint64_t value = 0;

	return bk_space_read(space, 0x1a000, 1, &value) || value != 7 ? opaque : NULL;
}

static int read_within(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	*value = 7;
	return bk_space_read_bytes(space, 0, seen_by_one, sizeof(seen_by_one));
}

static int linger_once(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	*value = 0;
	return offset ? 0 : linger(opaque, offset, width, value);
}

static const struct bk_region_ops linger_once_ops = { .read = linger_once };

/* Every other region goes to where its neighbour was, again and again; who is inside sees what was. */
static void others_move_while(void *(*read)(void *), const struct bk_region_ops *first_ops,
			      struct bk_region **first)
{
	static const struct bk_region_ops within_ops = { .read = read_within };
	static struct device d[MANY];
	struct bk_region *regions[MANY];
	struct bk_region_desc desc = device_at(&d[0], MIDDLE * 0x100, MIDDLE * 0x100 + 0xff, 0, 0);
	pthread_t thread;

	memset(seen_by_one, 0, sizeof(seen_by_one));
	desc.ops = first_ops;
	assert_int_equal(try_add(space, &desc, first), 0);
	desc = device_at(&d[MIDDLE], 0x1a000, 0x1a0ff, 0, MANY + 1);
	desc.ops = &within_ops;
	assert_int_equal(try_add(space, &desc, &regions[MIDDLE]), 0);
	for (unsigned i = 0; i < MANY; i++) {
		if (i == MIDDLE)
			continue;
		d[i].id = (uint8_t)i;
		regions[i] = add(space, &d[i], i * 0x100, i * 0x100 + 0xff, 0, 1 + i);
	}
	thread = begin_lingering(read, &d[0]);
	move(*first, domain, 0x1b000, 0x1b0ff);
	for (unsigned i = 0; i < 4000; i++) {
		unsigned a = i * 7 % MANY, b = i * 11 % MANY;
		struct bk_region *held = regions[a];
		struct bk_update *u;

		if (a == MIDDLE || b == MIDDLE)
			continue;
		u = bk_update_begin(domain);

		bk_update_move(u, regions[a], b * 0x100, b * 0x100 + 0xff);
		bk_update_move(u, regions[b], a * 0x100, a * 0x100 + 0xff);
		assert_int_equal(bk_update_commit(u, NULL), 0);
		regions[a] = regions[b];
		regions[b] = held;
	}
	end_lingering(thread);
}

static void stays_in_its_view(void *(*read)(void *))
{
	struct bk_region *first;

	others_move_while(read, &linger_once_ops, &first);
	for (unsigned i = 0; i < MANY; i++) {
		for (unsigned j = 0; j < 0x100; j++)
			assert_int_equal(seen_by_one[i * 0x100 + j], i != MIDDLE ? (uint8_t)(i + j)
								     : j         ? 0
										 : 5);
	}
}

static void F44_a_reader_that_stays_is_in_its_view_to_the_end(void **state)
{
	stays_in_its_view(read_all_lingering);
}

static void F44_so_is_one_in_a_handler(void **state)
{
	stays_in_its_view(read_through_window);
}

static int linger_and_fail(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	linger(opaque, offset, width, value);
	return -EIO;
}

static void *fail_lingering(void *opaque)
{
	uint64_t value = 0;

	bk_space_read(space, 0, 1, &value); /* the first of a thread is another way */
	return bk_space_read(space, MIDDLE * 0x100, 4, &value) == -EIO && value == UINT32_MAX ? NULL : opaque;
}

static const struct bk_region *blamed;

static void blame(void *opaque, const struct bk_region *region, uint64_t address, bool write, unsigned width,
		  int error)
{
	blamed = region;
}

static void F44_an_error_of_one_that_stays_is_its_own(void **state)
{
	static const struct bk_region_ops ops = { .read = linger_and_fail };
	struct bk_region *first;

	blamed = NULL;
	bk_space_on_error(space, blame, NULL);
	others_move_while(fail_lingering, &ops, &first);
	assert_ptr_equal(blamed, first);
}

/* The thread is a reader by a section of its owner's, and notes a view as a read does. */
static void be_in(const void *view)
{
	__atomic_store_n(&bk__space_reader.view, view, __ATOMIC_RELAXED);
}

static size_t turns(void)
{
	size_t count = 0;

	for (const struct bk__space_retired *retired = domain->retired; retired; retired = retired->next) {
		for (const struct bk__space_turn *turn = retired->turns; turn; turn = turn->next)
			count++;
	}
	return count;
}

static struct bk__space_view *stand_in_of(const struct bk_space *of)
{
	struct bk__space_turn *turn = domain->retired->turns;

	for (size_t i = 0; i < turn->count; i++) {
		if (turn->stand_ins[i].view.space == of)
			return &turn->stand_ins[i].view;
	}
	return NULL;
}

static void F44_a_reader_of_a_stand_in_keeps_both_its_views(void **state)
{
	static struct device d = { .id = 0 }, e = { .id = 0 };
	struct bk_space *bus = bk_space_create(domain, "bus", 0xfff);
	struct bk_region *window = nest(space, bus, 0x1000, 0x1fff, 0, 0, 0);
	struct bk_region *r = add(bus, &d, 0, 0xff, 0, 0), *other = add(space, &e, 0x8000, 0x80ff, 0, 1);
	const struct bk__space_stand_in *stand_in;

	read_at(space, 0, 1);
	assert_int_equal(bk_domain_synchronize(domain), 0);
	urcu_memb_read_lock();
	be_in(&domain);
	move(r, domain, 0x100, 0x1ff); /* both views change */
	assert_int_equal(turns(), 1);
	assert_int_equal(domain->retired->turns->count, 2);
	stand_in = &domain->retired->turns->stand_ins[1];
	be_in(&stand_in->view);
	assert_ptr_equal(bk__space_settled(&stand_in->view), stand_in->new);
	domain->retired->turns->done = false;
	assert_ptr_equal(bk__space_settled(&stand_in->view), stand_in->old);
	/* A read that comes across it sees the one or the other. */
	bus->published = stand_in_of(bus);
	assert_int_equal(at(bus, 0), 0);
	assert_int_equal(at(bus, 0x100), 0xff);
	domain->retired->turns->done = true;
	assert_int_equal(at(bus, 0), 0xff);
	assert_int_equal(at(bus, 0x100), 0);
	bus->published = bus->view;
	domain->retired->turns->done = false;
	for (unsigned i = 0; i < 1200; i++)
		move(i % 3 ? other : r, domain, (i % 3 ? 0x8000 : 0) + (i % 2) * 0x100,
		     (i % 3 ? 0x8000 : 0) + (i % 2) * 0x100 + 0xff);
	pthread_mutex_lock(&domain->commit_lock);
	bk__space_tidy(domain);
	pthread_mutex_unlock(&domain->commit_lock);
	assert_int_equal(turns(), 1);
	assert_ptr_equal(stand_in->old->space, stand_in->new->space);
	assert_true(stand_in->old->count == 2 && stand_in->new->count == 2);
	be_in(&domain);
	urcu_memb_read_unlock();
	assert_int_equal(bk_domain_synchronize(domain), 0);
	assert_null(domain->retired);
	drop(window, domain);
	assert_int_equal(bk_space_destroy(bus), 0);
}

/* A thread that is between two loads is waited for, when too much would wait for it. */
static unsigned moved; /* atomic */

static void *choose_in_a_while(void *opaque)
{
	struct timespec pause = { .tv_nsec = 50000000 };
	uint64_t value;

	bk_space_read(space, 0, 1, &value);
	urcu_memb_read_lock();
	be_in(NULL);
	pthread_barrier_wait(&inside);
	while (__atomic_load_n(&moved, __ATOMIC_RELAXED) < 8188)
		sched_yield();
	nanosleep(&pause, NULL); /* the others come to where they have to wait, or wait a little less */
	be_in(opaque);
	urcu_memb_read_unlock();
	return NULL;
}

/* A thread of the domain's own frees some of them at any time. */
static size_t retired(void)
{
	size_t count;

	pthread_mutex_lock(&domain->commit_lock);
	count = domain->retired_count;
	pthread_mutex_unlock(&domain->commit_lock);
	return count;
}

static void F44_a_thread_that_chooses_its_view_is_waited_for(void **state)
{
	static struct device d = { .id = 0 };
	struct bk_region *r = add(space, &d, 0, 0xff, 0, 0);
	pthread_t thread;

	pthread_barrier_init(&inside, NULL, 2);
	assert_int_equal(pthread_create(&thread, NULL, choose_in_a_while, &d), 0);
	pthread_barrier_wait(&inside);
	for (unsigned i = 0; i < 9000; i++) {
		__atomic_store_n(&moved, i, __ATOMIC_RELAXED);
		move(r, domain, (i % 2) * 0x100, (i % 2) * 0x100 + 0xff);
		assert_in_range(retired(), 0, 8192 + 128);
	}
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&inside);
	assert_true(retired() < 8192);
}

/* Handlers that read, one in the other, deeper than is noted. */
static unsigned depth, deepest;
static int looked, seen_views;

static int count_view(void *opaque, const void *view)
{
	seen_views++;
	return opaque && seen_views == 3 ? -ERANGE : 0;
}

static int read_deeper(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	if (++depth < deepest)
		return bk_space_read(space, 0, 1, value);
	seen_views = 0;
	looked = bk__space_readers(count_view, opaque);
	*value = 9;
	return 0;
}

static void reads_in_handlers_are_noted_as_deep_as_they_go(void **state)
{
	static const struct bk_region_ops ops = { .read = read_deeper };
	static int stops;
	struct bk_region_desc desc = { .last = 0xff, .ops = &ops };
	struct bk_region *r;

	assert_int_equal(try_add(space, &desc, &r), 0);
	for (deepest = 1; deepest < 80; deepest++) {
		depth = 0;
		assert_int_equal(read_at(space, 0, 1), 9);
		assert_int_equal(looked, deepest <= 65 ? 0 : -EAGAIN);
		if (!looked)
			assert_int_equal(seen_views, deepest);
	}
	assert_int_equal(bk__space_readers(count_view, NULL), 0);
	desc = (struct bk_region_desc){
		.last = 0xff, .rank = 1, .priority = 1, .ops = &ops, .opaque = &stops
	};
	assert_int_equal(try_add(space, &desc, &r), 0);
	depth = 0;
	deepest = 6;
	assert_int_equal(read_at(space, 0, 1), 9);
	assert_int_equal(looked, -ERANGE);
	assert_int_equal(seen_views, 3);
}

static void what_has_no_spans_has_none_of_them(void **state)
{
	static struct device d = { .id = 0 };
	const struct bk__space_view *view, *empty = &space->empty;

	add(space, &d, 0, 0xff, 0, 0);
	view = space->view;
	assert_true(bk__space_view_has_leaf(view, view->leaves[0]));
	assert_true(bk__space_view_has_span(view, view->leaves[0]->spans[0]));
	assert_false(bk__space_view_has_leaf(empty, view->leaves[0]));
	assert_false(bk__space_view_has_span(empty, view->leaves[0]->spans[0]));
}

/* `released` is called on the thread that waits for readers, which must not wait for itself. */
static int answers[3];

static void wait_in_released(void *opaque)
{
	answers[0] = bk_domain_synchronize(domain);
	answers[1] = bk_region_retire(opaque);
	answers[2] = bk_domain_destroy(domain);
}

static void released_cannot_wait(void **state)
{
	static const struct bk_region_ops ops = { .read = device_read, .released = wait_in_released };
	static struct device d = { .id = 0 };
	struct bk_region_desc desc =
		device_at((struct device *)add(space, &d, 0x100, 0x1ff, 0, 1), 0, 0xff, 0, 0);
	struct bk_region *r;

	desc.ops = &ops;
	assert_int_equal(try_add(space, &desc, &r), 0);
	drop(r, domain);
	assert_int_equal(bk_domain_synchronize(domain), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(answers[i], -EDEADLK);
	assert_int_equal(at(space, 0x100), 0);
}

static void a_domain_gives_memory_back(void **state)
{
	static struct device d[4000];
	struct bk_region *regions[4000];
	size_t before, most;

	add(space, &d[0], 0, 0xff, 0, 4000);
	assert_int_equal(bk_domain_synchronize(domain), 0);
	before = bytes_held();
	for (unsigned i = 1; i < 4000; i++)
		regions[i] = add(space, &d[i], i * 0x1000, i * 0x1000 + 0xfff, 0, i);
	most = bytes_held();
	for (unsigned i = 1; i < 4000; i++)
		drop(regions[i], domain);
	assert_int_equal(bk_domain_synchronize(domain), 0);
	assert_true(most > before + (1 << 20));
	/* The piece of memory that the region that stayed is in is a huge page at most. */
	assert_true(bytes_held() <= before + (2 << 20) + (1 << 20));
	assert_int_equal(at(space, 0), 0);
}

/* No commit comes after it. */
static void a_destroyed_space_is_freed_without_commits(void **state)
{
	size_t before, after;

	assert_int_equal(bk_space_destroy(bk_space_create(domain, "", 0xff)), 0);
	assert_int_equal(bk_domain_synchronize(domain), 0);
	before = mallinfo2().uordblks;
	for (unsigned i = 0; i < 5000; i++)
		assert_int_equal(bk_space_destroy(bk_space_create(domain, "a space", 0xff)), 0);
	assert_int_equal(bk_domain_synchronize(domain), 0);
	after = mallinfo2().uordblks;
	assert_true(after <= before + 5000 * sizeof(struct bk_space) / 10);
}

static _Atomic unsigned left_some, left_none; /* of what commits retired, by looks at it */

bool __real_bk__space_tidy(struct bk_domain *of);
bool __wrap_bk__space_tidy(struct bk_domain *of);

bool __wrap_bk__space_tidy(struct bk_domain *of)
{
	const bool all = __real_bk__space_tidy(of);

	(*(all ? &left_none : &left_some))++;
	return all;
}

static void wait_for_more(const _Atomic unsigned *count, unsigned than)
{
	const struct timespec pause = { .tv_nsec = 1000000 };

	while (*count == than)
		nanosleep(&pause, NULL);
}

/* No commit comes after that one either. */
static void what_a_reader_keeps_is_freed_once_it_has_left(void **state)
{
	static struct device d[2];
	struct bk_region_desc desc = device_at(&d[0], 0, 0xff, 0, 0);
	unsigned some, none;
	struct bk_region *r;
	pthread_t thread;

	desc.ops = &linger_ops;
	assert_int_equal(try_add(space, &desc, &r), 0);
	thread = begin_lingering(read_lingering, &d[0]);
	some = left_some;
	add(space, &d[1], 0x1000, 0x1fff, 0, 1); /* the reader is in what was there before */
	wait_for_more(&left_some, some);
	wait_for_more(&left_some, some + 1); /* it is looked at again */
	none = left_none;
	end_lingering(thread);
	wait_for_more(&left_none, none);
}

/* The owner of a thread registers it with liburcu, and unregisters it. */
static void *read_unregistered(void *opaque)
{
	uint64_t value = 0;

	urcu_memb_register_thread();
	if (bk_space_read(space, 0x100, 1, &value))
		return opaque;
	urcu_memb_read_lock(); /* in a section of its owner's, too */
	if (bk_space_read(space, 0x101, 1, &value))
		return opaque;
	urcu_memb_read_unlock();
	urcu_memb_unregister_thread();
	return read_lingering(opaque);
}

static void who_is_unregistered_by_its_owner_reads_protected(void **state)
{
	static const struct bk_region_ops ops = { .read = linger, .released = device_released };
	static struct device d = { .id = 1 }, e = { .id = 2 };
	struct bk_region_desc desc = device_at(&d, 0, 0xff, 0, 0);
	struct timespec pause = { .tv_nsec = 20000000 };
	struct bk_region *r;
	pthread_t thread;

	desc.ops = &ops;
	assert_int_equal(try_add(space, &desc, &r), 0);
	drop(add(space, &e, 0x200, 0x2ff, 0, 2), domain);
	add(space, &e, 0x100, 0x1ff, 0, 1);
	thread = begin_lingering(read_unregistered, &d);
	drop(r, domain);
	nanosleep(&pause, NULL);
	assert_int_equal(__atomic_load_n(&d.released, __ATOMIC_SEQ_CST), 0);
	end_lingering(thread);
	assert_int_equal(__atomic_load_n(&d.released, __ATOMIC_SEQ_CST), 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_removed_lives_while_a_handler_of_it_runs),
		TEST(removals_past_a_lingering_reader_go_on_but_slowly),
		TEST(F44_memory_is_bounded_while_one_reader_stays_and_others_move),
		TEST(F44_a_reader_that_stays_is_in_its_view_to_the_end),
		TEST(F44_so_is_one_in_a_handler),
		TEST(F44_an_error_of_one_that_stays_is_its_own),
		TEST(F44_a_reader_of_a_stand_in_keeps_both_its_views),
		TEST(F44_a_thread_that_chooses_its_view_is_waited_for),
		TEST(reads_in_handlers_are_noted_as_deep_as_they_go),
		TEST(what_has_no_spans_has_none_of_them),
		TEST(released_cannot_wait),
		TEST(a_domain_gives_memory_back),
		TEST(a_destroyed_space_is_freed_without_commits),
		TEST(what_a_reader_keeps_is_freed_once_it_has_left),
		TEST(who_is_unregistered_by_its_owner_reads_protected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
