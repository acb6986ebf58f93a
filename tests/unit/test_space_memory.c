/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every allocation of the address space fails in turn: what fails says so and
 * has changed nothing, and the next try succeeds. Linked with --wrap for the
 * calls that allocate.
 */
#include "failing.h"
#include "space_kit.h"
#include "space_model.h"

#include <pthread.h>
#include <sys/mman.h>

#include "base/printer.h"
#include "space/internal.h"

static long countdown = -1; /* atomic: allocations until one fails; below 0: none does */
static unsigned failed;     /* atomic */
static unsigned one_in;     /* not 0: each allocation fails once in so many times */
static uint64_t dice;

/* Once in so many times, or when the countdown is at its end. */
static bool fails_once_in(unsigned times)
{
	bool yes = false;

	if (times) {
		uint64_t x = __atomic_add_fetch(&dice, 0x9e3779b97f4a7c15u, __ATOMIC_RELAXED);

		x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
		x = (x ^ x >> 27) * 0x94d049bb133111ebu;
		yes = (x >> 32) % times == 0;
	} else if (__atomic_load_n(&countdown, __ATOMIC_RELAXED) >= 0) {
		yes = __atomic_fetch_sub(&countdown, 1, __ATOMIC_RELAXED) == 0;
	}
	if (yes)
		__atomic_fetch_add(&failed, 1, __ATOMIC_RELAXED);
	return yes;
}

static bool fails(void)
{
	return fails_once_in(one_in);
}

int __real_posix_memalign(void **memory, size_t alignment, size_t size);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *),
			  void *opaque);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t size);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *),
			  void *opaque);

int __wrap_posix_memalign(void **memory, size_t alignment, size_t size)
{
	return fails() ? ENOMEM : __real_posix_memalign(memory, alignment, size);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *),
			  void *opaque)
{
	return fails() ? EAGAIN : __real_pthread_create(thread, attributes, start, opaque);
}

/* Allocations of the room's own, which seldom ask the C library for memory. */
static unsigned inside_one_in; /* atomic; like one_in */

static bool fails_inside(void)
{
	return !one_in && fails_once_in(__atomic_load_n(&inside_one_in, __ATOMIC_RELAXED));
}

#define FAILING_INSIDE(type, name, parameters, failure, ...)                  \
	type __real_##name parameters;                                        \
	type __wrap_##name parameters;                                        \
	type __wrap_##name parameters                                         \
	{                                                                     \
		return fails_inside() ? failure : __real_##name(__VA_ARGS__); \
	}

static bool arrays_are_full; /* each grows for each element */

int __real_bk__array_grow(void **at, size_t *capacity, size_t count, size_t more, size_t element);
int __wrap_bk__array_grow(void **at, size_t *capacity, size_t count, size_t more, size_t element);

int __wrap_bk__array_grow(void **at, size_t *capacity, size_t count, size_t more, size_t element)
{
	int error = fails_inside() ? -ENOMEM : __real_bk__array_grow(at, capacity, count, more, element);

	if (!error && arrays_are_full)
		*capacity = count + more;
	return error;
}

FAILING_INSIDE(struct bk__space_view *, bk__space_view_alloc, (struct bk_domain * domain, size_t bytes), NULL,
	       domain, bytes)
FAILING_INSIDE(struct bk__space_span *, bk__space_span_alloc, (struct bk_domain * domain), NULL, domain)
FAILING_INSIDE(struct bk__space_leaf *, bk__space_leaf_alloc, (struct bk_domain * domain), NULL, domain)
FAILING_INSIDE(struct bk__space_span **, bk__space_slots_alloc,
	       (struct bk_domain * domain, unsigned log2_slots), NULL, domain, log2_slots)
FAILING_INSIDE(struct bk__space_list *, bk__space_list_alloc, (struct bk_domain * domain, size_t count), NULL,
	       domain, count)
FAILING_INSIDE(struct bk__space_retired *, bk__space_retired_create,
	       (struct bk_domain * domain, size_t spans, size_t leaves, size_t rows), NULL, domain, spans,
	       leaves, rows)
FAILING_INSIDE(void *, bk__space_record_alloc,
	       (struct bk_domain * domain, size_t bytes, unsigned *size_class), NULL, domain, bytes,
	       size_class)
FAILING_INSIDE(void *, mmap, (void *at, size_t length, int protection, int flags, int fd, off_t offset),
	       MAP_FAILED, at, length, protection, flags, fd, offset)

/* Where file offsets are made large, mmap is this. */
FAILING_INSIDE(void *, mmap64, (void *at, size_t length, int protection, int flags, int fd, off_t offset),
	       MAP_FAILED, at, length, protection, flags, fd, offset)

/* What is built, step by step. */
struct stage {
	struct bk_domain *domain;
	struct bk_space *top, *bus, *more[20];
	struct bk_region *window, *ram, *devices[40];
	struct bk_listener *listener;
	uint64_t told; /* ranges added less ranges removed */
};

static struct device devices[40];
static uint8_t ram[0x10000];

static void on_added(void *opaque, const struct bk_flat *flat)
{
	((struct stage *)opaque)->told++;
}

static void on_removed(void *opaque, const struct bk_flat *flat)
{
	((struct stage *)opaque)->told--;
}

static const struct bk_listener_ops listener_ops = { .added = on_added, .removed = on_removed };

/* 0 or -ENOMEM; `*region` is set only on success. */
static int add_one(struct bk_space *space, struct bk_region_desc desc, struct bk_region **region)
{
	struct bk_update *u = bk_update_begin(bk_space_domain(space));
	struct bk_region *added;
	int error;

	if (!u)
		return -ENOMEM;
	error = bk_update_add(u, space, &desc, &added);
	if (error) {
		bk_update_drop(u);
		return error;
	}
	error = bk_update_commit(u, NULL);
	if (!error)
		*region = added;
	return error;
}

static size_t leaf_spans;

static int start(struct stage *s)
{
	s->domain = bk_domain_create();
	if (!s->domain)
		return -ENOMEM;
	s->domain->leaf_spans = leaf_spans;
	return 0;
}

static int make_top(struct stage *s)
{
	s->top = bk_space_create(s->domain, "top", UINT64_MAX);
	return s->top ? 0 : -ENOMEM;
}

static int make_bus(struct stage *s)
{
	s->bus = bk_space_create(s->domain, "bus", 0xffff);
	return s->bus ? 0 : -ENOMEM;
}

static int add_ram(struct stage *s)
{
	return add_one(s->top,
		       (struct bk_region_desc){
			       .name = "ram",
			       .last = sizeof(ram) - 1,
			       .priority = -1,
			       .kind = BK_REGION_MAPPED,
			       .memory = { .host = ram, .fd = -1, .attributes = BK_MEMORY_RAM },
		       },
		       &s->ram);
}

static int add_window(struct stage *s)
{
	return add_one(s->top,
		       (struct bk_region_desc){
			       .name = "window",
			       .first = 0x8000,
			       .last = 0x17fff,
			       .kind = BK_REGION_NESTED,
			       .nested = s->bus,
		       },
		       &s->window);
}

static int add_many(struct stage *s)
{
	struct bk_update *u = bk_update_begin(s->domain);
	struct bk_region *added[40];
	int error = u ? 0 : -ENOMEM;

	for (unsigned i = 0; !error && i < 40; i++) {
		struct bk_region_desc desc = device_at(&devices[i], i * 0x100, i * 0x100 + 0xff, 0, i);

		error = bk_update_add(u, s->bus, &desc, &added[i]);
	}
	if (error) {
		if (u)
			bk_update_drop(u);
		return error;
	}
	error = bk_update_commit(u, NULL);
	if (!error)
		memcpy(s->devices, added, sizeof(added));
	return error;
}

static int listen_top(struct stage *s)
{
	return bk_listener_add(s->top, &listener_ops, s, &s->listener);
}

/* A bit of everything; a swap in it keeps the commit from being a sum of others. */
static int change_many(struct stage *s)
{
	struct bk_update *u = bk_update_begin(s->domain);
	int error = u ? 0 : -ENOMEM;

	for (unsigned i = 0; !error && i < 40; i++)
		error = bk_update_move(u, s->devices[i], 0x8000 + i * 0x80, 0x8000 + i * 0x80 + 0xff);
	if (!error)
		error = bk_update_order(u, s->devices[0], 0, 1);
	if (!error)
		error = bk_update_order(u, s->devices[1], 0, 0);
	if (!error)
		error = bk_update_enable(u, s->devices[7], false);
	if (!error)
		error = bk_update_place(u, s->window, 0x8000, 0x17fff, 0x100);
	if (!error)
		error = bk_update_move(u, s->ram, 0x1000, 0x10fff);
	if (!error)
		error = bk_update_remove(u, s->devices[39]);
	if (error) {
		if (u)
			bk_update_drop(u);
		return error;
	}
	error = bk_update_commit(u, NULL);
	if (!error)
		s->devices[39] = NULL;
	return error;
}

static int make_more(struct stage *s)
{
	for (unsigned i = 0; i < 20; i++) {
		if (!s->more[i])
			s->more[i] = bk_space_create(s->domain, "more", 0xfff);
		if (!s->more[i])
			return -ENOMEM;
	}
	return 0;
}

static int retire_one(struct stage *s)
{
	int error = s->devices[3] ? bk_region_retire(s->devices[3]) : 0;

	if (!error)
		s->devices[3] = NULL;
	return error;
}

static int (*const steps[])(struct stage *s) = {
	start,    make_top,   make_bus,  add_ram,     add_window,
	add_many, listen_top, make_more, change_many, retire_one,
};

static bool count_flat(void *opaque, const struct bk_flat *flat)
{
	++*(uint64_t *)opaque;
	return true;
}

/* No array has room left: the next commit has to let each of them grow. */
static void tighten(struct bk_domain *domain, struct bk_space *space)
{
	domain->items.capacity = domain->heap.capacity = domain->pieces.capacity = 0;
	domain->gathered.capacity = domain->firsts.capacity = 0;
	domain->made_spans.capacity = domain->retired_spans.capacity = 0;
	domain->made_leaves.capacity = domain->retired_leaves.capacity = 0;
	domain->made_rows.capacity = domain->retired_rows.capacity = 0;
	if (space)
		space->dirty.capacity = space->patches.capacity = space->stale.capacity =
			space->fresh.capacity = 0;
}

/* The view of both spaces and what is told of one: nothing of it may change when a step fails. */
static void snapshot(struct stage *s, char text[2 * 4096])
{
	uint64_t flats = 0;

	memset(text, 0, 2 * 4096);
	if (s->top)
		flat(s->top, text);
	if (s->bus)
		flat(s->bus, text + 4096);
	if (s->listener) {
		bk_space_visit(s->top, 0, UINT64_MAX, count_flat, &flats);
		assert_int_equal(flats, s->told);
	}
}

static void stop(struct stage *s)
{
	bk_listener_remove(s->listener);
	assert_int_equal(s->told, 0);
	assert_int_equal(bk_space_destroy(s->top), 0);
	assert_int_equal(bk_space_destroy(s->bus), 0);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(bk_space_destroy(s->more[i]), 0);
	assert_int_equal(bk_domain_destroy(s->domain), 0);
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(devices[i].released, 1);
}

static void each_fails_in_turn(size_t spans)
{
	unsigned total = 0;

	leaf_spans = spans;
	for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		/* For each allocation of this step: all before it succeed. */
		for (long nth = 0;; nth++) {
			static char before[2 * 4096], after[2 * 4096];
			struct stage s = { 0 };
			bool over;
			int error;

			for (unsigned j = 0; j < 40; j++)
				devices[j] = (struct device){ .id = (uint8_t)(j * 4) };
			for (unsigned j = 0; j < i; j++)
				assert_int_equal(steps[j](&s), 0);
			snapshot(&s, before);
			if (s.domain) {
				tighten(s.domain, s.top);
				tighten(s.domain, s.bus);
			}
			failed = 0;
			__atomic_store_n(&countdown, nth, __ATOMIC_RELAXED);
			error = steps[i](&s);
			__atomic_store_n(&countdown, -1, __ATOMIC_RELAXED);
			over = !failed;
			if (over) {
				assert_int_equal(error, 0);
			} else {
				total++;
				assert_int_equal(error, -ENOMEM);
				snapshot(&s, after);
				assert_memory_equal(before, after, sizeof(before));
				assert_int_equal(steps[i](&s), 0);
			}
			for (unsigned j = i + 1; j < sizeof(steps) / sizeof(steps[0]); j++)
				assert_int_equal(steps[j](&s), 0);
			snapshot(&s, after);
			stop(&s);
			if (over)
				break;
		}
	}
	printf("%u allocations failed in turn\n", total);
	assert_in_range(total, 40, 100000);
}

static void each_allocation_fails_in_turn(void **state)
{
	each_fails_in_turn(BK__LEAF_SPANS);
}

static void each_allocation_of_small_leaves_fails_in_turn(void **state)
{
	each_fails_in_turn(4);
}

static void random_operations_with_failing_allocations(void **state)
{
	failed = 0;
	for (unsigned round = 0; round < 150; round++) {
		struct model_op ops[200];
		uint64_t x = round * 7919 + 1;
		const char *wrong;
		size_t at;

		for (unsigned i = 0; i < 200; i++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			ops[i] = (struct model_op){ (uint8_t)(x % 90), (uint8_t)(x >> 8), (uint8_t)(x >> 16),
						    (uint8_t)(x >> 24), (uint32_t)(x >> 32) };
		}
		dice = round;
		one_in = 5 + round % 40;
		wrong = space_model.run(ops, 200, &at);
		one_in = 0;
		if (wrong)
			fail_msg("round %u, operation %zu: %s", round, at, wrong);
	}
	assert_true(__atomic_load_n(&failed, __ATOMIC_RELAXED) > 1000);
}

/* Commits go on while a reader stays inside and memory runs out now and then: nothing is lost or freed too
 * early. */
static void a_reader_stays_while_memory_runs_out(void **state)
{
	static struct device d[200];
	struct bk_domain *domain = bk_domain_create();
	struct bk_space *spaces[2] = { bk_space_create(domain, "a", UINT64_MAX),
				       bk_space_create(domain, "b", 0xffff) };
	struct bk_region *regions[200], *window = nest(spaces[0], spaces[1], 0x100000, 0x10ffff, 0, 0, 1000);
	const struct bk__space_view *view;
	const struct bk__space_turn *turn;
	char before[4096], after[4096];
	unsigned commits = 0, errors = 0;

	for (unsigned i = 0; i < 200; i++)
		regions[i] = add(spaces[i % 2], &d[i], i * 0x100, i * 0x100 + 0xff, 0, i);
	read_at(spaces[0], 0, 1);
	urcu_memb_read_lock(); /* the reader is this thread: it is in the view of now */
	view = spaces[0]->published;
	__atomic_store_n(&bk__space_reader.view, view, __ATOMIC_RELAXED);
	snprintf(before, sizeof(before), "%zu %zu %zu", view->count, view->leaf_count, view->built_count);
	arrays_are_full = true;
	tighten(domain, spaces[0]);
	tighten(domain, spaces[1]);
	__atomic_store_n(&inside_one_in, 60, __ATOMIC_RELAXED);
	while (commits < 6000 || errors < 100) {
		unsigned i = commits * 7 % 200, j = commits * 11 % 200;
		struct bk_region *a = regions[i], *b = regions[j];
		struct bk_update *u;
		uint64_t first = a->first;

		commits++;
		if (a->space != b->space || a == b)
			continue;
		tighten(domain, a->space);
		u = bk_update_begin(domain);
		if (bk_update_move(u, a, b->first, b->last) || bk_update_move(u, b, first, first + 0xff)) {
			bk_update_drop(u);
			errors++;
		} else if (bk_update_commit(u, NULL)) {
			errors++;
		}
	}
	__atomic_store_n(&inside_one_in, 0, __ATOMIC_RELAXED);
	/* Each allocation of a look at the readers; one is at a stand-in of both spaces, as if in a handler.
	 */
	move(regions[1], domain, 0xf000, 0xf0ff);
	pthread_mutex_lock(&domain->commit_lock);
	turn = bk__space_container(domain->last_retired, struct bk__space_retired, next)->turns;
	assert_non_null(turn);
	bk__space_reader.record->nested[0] = &turn->stand_ins[0].view;
	bk__space_reader.record->depth = 1;
	for (long nth = 0; nth < 10; nth++) {
		domain->seen.capacity = domain->held.capacity = 0;
		__atomic_store_n(&countdown, nth, __ATOMIC_RELAXED);
		bk__space_tidy(domain);
		__atomic_store_n(&countdown, -1, __ATOMIC_RELAXED);
		assert_non_null(domain->retired);
	}
	arrays_are_full = false;
	bk__space_reader.record->depth = 0;
	pthread_mutex_unlock(&domain->commit_lock);
	snprintf(after, sizeof(after), "%zu %zu %zu", view->count, view->leaf_count, view->built_count);
	assert_string_equal(before, after);
	for (struct bk__space_cursor at = bk__space_view_begin(view); bk__space_cursor_span(&at);
	     bk__space_cursor_next(&at)) {
		const struct bk__space_span *span = bk__space_cursor_span(&at);

		/* As it was made: each has its place by its id. */
		if (bk__space_rest(span)->region->space == spaces[0])
			assert_true(((struct device *)span->opaque - d) * 0x100 ==
				    (ptrdiff_t)bk__space_rest(span)->first);
	}
	urcu_memb_read_unlock();
	assert_int_equal(bk_domain_synchronize(domain), 0);
	assert_null(domain->retired);
	drop(window, domain);
	assert_int_equal(bk_space_destroy(spaces[0]), 0);
	assert_int_equal(bk_space_destroy(spaces[1]), 0);
	assert_int_equal(bk_domain_destroy(domain), 0);
}

/* Each allocation of commits that change many places: some leaves get too small, some are made anew. */
static void a_commit_of_many_changes_fails_in_turn(void **state)
{
	enum { REGIONS = 300 };
	static struct device d[REGIONS];
	struct bk_domain *domain = bk_domain_create();
	struct bk_space *space = bk_space_create(domain, "s", UINT64_MAX);
	struct bk_region *regions[REGIONS];

	domain->leaf_spans = 8;
	for (unsigned i = 0; i < REGIONS; i++)
		regions[i] = add(space, &d[i], i * 0x100, i * 0x100 + 0xff, 0, i);
	arrays_are_full = true;
	for (unsigned step = 1; step < 40; step += 3) {
		int error = -ENOMEM;

		for (long nth = 0; error; nth++) {
			struct bk_update *u = bk_update_begin(domain);

			for (unsigned i = step; i < REGIONS; i += step)
				bk_update_move(u, regions[i],
					       regions[i]->first ^ (step % 2 ? 0x80000 : 0x8000),
					       regions[i]->last ^ (step % 2 ? 0x80000 : 0x8000));
			tighten(domain, space);
			__atomic_store_n(&countdown, nth, __ATOMIC_RELAXED);
			error = bk_update_commit(u, NULL);
			__atomic_store_n(&countdown, -1, __ATOMIC_RELAXED);
			assert_true(!error || error == -ENOMEM);
		}
	}
	arrays_are_full = false;
	for (unsigned i = 0; i < REGIONS; i++)
		drop(regions[i], domain);
	assert_int_equal(bk_space_destroy(space), 0);
	assert_int_equal(bk_domain_destroy(domain), 0);
}

/* One that grows past the few changes that it has room for, and then again. */
static void an_update_without_room_says_so(void **state)
{
	static struct device d;
	struct bk_domain *domain = bk_domain_create();
	struct bk_space *space = bk_space_create(domain, "s", UINT64_MAX);
	struct bk_region *regions[40];
	int error = -ENOMEM;

	for (long nth = 0; error; nth++) {
		struct bk_update *u = bk_update_begin(domain);

		__atomic_store_n(&countdown, nth, __ATOMIC_RELAXED);
		for (unsigned i = 0; i < 40; i++) {
			struct bk_region_desc desc = device_at(&d, i * 0x10, i * 0x10 + 4, 0, i);

			bk_update_add(u, space, &desc, &regions[i]); /* its error stays */
		}
		error = bk_update_commit(u, NULL);
		__atomic_store_n(&countdown, -1, __ATOMIC_RELAXED);
		assert_true(!error || error == -ENOMEM);
	}
	for (unsigned i = 0; i < 40; i++)
		drop(regions[i], domain);
	assert_int_equal(bk_space_destroy(space), 0);
	assert_int_equal(bk_domain_destroy(domain), 0);
}

/* Registers of a few bytes far from each other are in lists, see table.h. */
static void lists_without_memory_change_nothing(void **state)
{
	static struct device d;
	struct bk_domain *domain = bk_domain_create();
	struct bk_space *space = bk_space_create(domain, "s", UINT64_MAX);

	for (long nth = 0;; nth++) {
		struct bk_update *u = bk_update_begin(domain);
		int error;

		for (unsigned i = 0; i < 40; i++) {
			struct bk_region_desc desc = device_at(&d, i * 0x10001 + 1, i * 0x10001 + 4, 0, i);

			assert_int_equal(bk_update_add(u, space, &desc, NULL), 0);
		}
		failed = 0;
		__atomic_store_n(&countdown, nth, __ATOMIC_RELAXED);
		error = bk_update_commit(u, NULL);
		__atomic_store_n(&countdown, -1, __ATOMIC_RELAXED);
		assert_int_equal(error, failed ? -ENOMEM : 0);
		assert_int_equal(at(space, 0x10002), failed ? 0xff : 0);
		if (!failed)
			break;
	}
	assert_int_equal(bk_space_destroy(space), 0);
	assert_int_equal(bk_domain_destroy(domain), 0);
}

/* What commits retire counts by its size, too. */
static void large_views_are_looked_at_sooner(void **state)
{
	static struct device d;
	struct bk_domain *domain = bk_domain_create();
	struct bk_space *space = bk_space_create(domain, "s", UINT64_MAX);
	struct bk_update *u = bk_update_begin(domain);
	struct bk_region *moves = NULL;

	for (unsigned i = 0; i < 20000; i++) {
		struct bk_region_desc desc = device_at(&d, i * 0x1000, i * 0x1000 + 0xff, 0, i);

		assert_int_equal(bk_update_add(u, space, &desc, &moves), 0);
	}
	assert_int_equal(bk_update_commit(u, NULL), 0);
	for (unsigned i = 0; i < 120; i++) {
		move(moves, domain, 20000 * 0x1000 + i % 2 * 0x1000, 20000 * 0x1000 + i % 2 * 0x1000 + 0xff);
		pthread_mutex_lock(&domain->commit_lock);
		assert_true(domain->retired_bytes < 5 << 20);
		pthread_mutex_unlock(&domain->commit_lock);
	}
	assert_int_equal(bk_space_destroy(space), 0);
	assert_int_equal(bk_domain_destroy(domain), 0);
}

/* Streams that fail, when they are opened and when they are closed. */
static enum { STREAMS_WORK, NO_STREAM, STREAM_FAILED, CLOSE_FAILS } streams;
FILE *__real_open_memstream(char **text, size_t *size);
FILE *__wrap_open_memstream(char **text, size_t *size);
int __real_ferror(FILE *stream);
int __wrap_ferror(FILE *stream);
int __real_fclose(FILE *stream);
int __wrap_fclose(FILE *stream);

FILE *__wrap_open_memstream(char **text, size_t *size)
{
	return streams == NO_STREAM ? NULL : __real_open_memstream(text, size);
}

int __wrap_ferror(FILE *stream)
{
	return streams == STREAM_FAILED ? 1 : __real_ferror(stream);
}

int __wrap_fclose(FILE *stream)
{
	int error = __real_fclose(stream);

	return streams == CLOSE_FAILS ? EOF : error;
}

static void a_description_without_memory_says_so(void **state)
{
	static struct device d;
	struct bk_domain *domain = bk_domain_create();
	struct bk_space *spaces[2] = { bk_space_create(domain, "a", UINT64_MAX),
				       bk_space_create(domain, "b", 0xffff) };
	struct bk_region *window = nest(spaces[0], spaces[1], 0x100000, 0x10ffff, 0, 0, 1000);
	struct bk__printer printer;
	FILE *out = tmpfile(), *full = fopen("/dev/full", "w");

	add(spaces[1], &d, 0, 0xff, 0, 0);
	add(spaces[0], &d, 0, 0xff, 0, 0);
	assert_int_equal(bk__printer_begin(&printer, false), 0);
	printer.error = -EIO; /* which stays */
	streams = STREAM_FAILED;
	assert_int_equal(bk__printer_end(&printer, bk_sink_file, out), -EIO);
	for (streams = NO_STREAM; streams <= CLOSE_FAILS; streams++) {
		assert_int_equal(bk_space_describe(spaces[0], BK_FORMAT_JSON, bk_sink_file, out), -ENOMEM);
		assert_int_equal(bk_space_explain(spaces[0], 0, BK_FORMAT_JSON, bk_sink_file, out), -ENOMEM);
	}
	streams = STREAMS_WORK;
	for (long nth = 0;; nth++) {
		int error;

		domain->items.capacity = 0;
		failed = 0;
		__atomic_store_n(&countdown, nth, __ATOMIC_RELAXED);
		error = bk_space_describe(spaces[0], BK_FORMAT_TEXT, bk_sink_file, out);
		__atomic_store_n(&countdown, -1, __ATOMIC_RELAXED);
		assert_int_equal(error, failed ? -ENOMEM : 0);
		if (!failed)
			break;
		if (nth == 0) { /* an error stays the first one */
			__atomic_store_n(&countdown, 0, __ATOMIC_RELAXED);
			streams = CLOSE_FAILS;
			assert_int_equal(bk_space_describe(spaces[0], BK_FORMAT_TEXT, bk_sink_file, out),
					 -ENOMEM);
			streams = STREAMS_WORK;
			__atomic_store_n(&countdown, -1, __ATOMIC_RELAXED);
		}
	}
	if (full) /* which has a buffer */
		assert_int_equal(bk_space_explain(spaces[0], 0, BK_FORMAT_TEXT, bk_sink_file, full), -EIO);
	if (full)
		fclose(full);
	fclose(out);
	drop(window, domain);
	assert_int_equal(bk_space_destroy_all(spaces, 2), 0);
	assert_int_equal(bk_domain_destroy(domain), 0);
}

/* Of a list of hundreds of thousands, and of views of megabytes. */
static void large_objects_are_the_systems(void **state)
{
	struct bk_domain *domain = bk_domain_create();
	struct bk__space_view *views[40];
	size_t before = domain->store_bytes;

	assert_non_null(bk__space_list_alloc(domain, 1 << 12));
	assert_non_null(bk__space_list_alloc(domain, 1 << 18));
	domain->chunk_left = 0;
	__atomic_store_n(&countdown, 1, __ATOMIC_RELAXED); /* the call, then mmap */
	assert_null(bk__space_list_alloc(domain, 1 << 10));
	__atomic_store_n(&countdown, -1, __ATOMIC_RELAXED);
	for (size_t bytes = 600 << 10; bytes <= 4 << 20; bytes *= 2) {
		__atomic_store_n(&countdown, 1, __ATOMIC_RELAXED); /* the call, then mmap */
		assert_null(bk__space_view_alloc(domain, bytes));
		__atomic_store_n(&countdown, -1, __ATOMIC_RELAXED);
	}
	for (unsigned i = 0; i < 40; i++) {
		views[i] = bk__space_view_alloc(domain, (i % 4 + 1) << 20);
		assert_non_null(views[i]);
		assert_int_equal((uintptr_t)views[i] % (2 << 20), 0);
	}
	assert_true(domain->store_bytes > before + (80 << 20));
	for (unsigned i = 0; i < 40; i++)
		bk__space_view_free(domain, views[i]);
	assert_in_range(domain->view_bytes, 32 << 20, 64 << 20);
	bk__space_store_trim(domain);
	assert_int_equal(domain->view_bytes, 0);
	assert_int_equal(bk_domain_destroy(domain), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_allocation_fails_in_turn),
		cmocka_unit_test(each_allocation_of_small_leaves_fails_in_turn),
		cmocka_unit_test(random_operations_with_failing_allocations),
		cmocka_unit_test(a_reader_stays_while_memory_runs_out),
		cmocka_unit_test(a_description_without_memory_says_so),
		cmocka_unit_test(an_update_without_room_says_so),
		cmocka_unit_test(a_commit_of_many_changes_fails_in_turn),
		cmocka_unit_test(lists_without_memory_change_nothing),
		cmocka_unit_test(large_views_are_looked_at_sooner),
		cmocka_unit_test(large_objects_are_the_systems),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
