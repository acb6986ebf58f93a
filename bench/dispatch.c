/* SPDX-License-Identifier: BSD-2-Clause */
/* Dispatch, beside what others do. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bench.h"
#include "parts.h"

/* 40 ns where a read of one region takes 4.3. */
#define TWO_REGIONS (40 / 4.3)

static __thread uint64_t sink;
static __thread uint16_t cursor; /* into a table of as many */

#define KERNEL(name, table, width, call)                                            \
	__attribute__((noinline)) void name(void *opaque, size_t count)             \
	{                                                                           \
		const struct layout *l = opaque;                                    \
		const uint64_t *addresses = l->table;                               \
		struct baselines *baselines __attribute__((unused)) = l->baselines; \
		struct bk_space *space __attribute__((unused)) = l->space;          \
		uint64_t sum = 0;                                                   \
		uint16_t at = cursor;                                               \
                                                                                    \
		for (size_t i = 0; i < count; i++) {                                \
			uint64_t value;                                             \
                                                                                    \
			if (call(addresses[at++], width, &value))                   \
				die("an access failed");                            \
			sum += value;                                               \
		}                                                                   \
		cursor = at;                                                        \
		sink += sum;                                                        \
	}                                                                           \
	_Static_assert(1, "for a semicolon")

#define SPACE(address, width, value)  bk_space_read(space, address, width, value)
#define WRITE(address, width, value)  (*(value) = i, bk_space_write(space, address, width, *(value)))
#define ARRAY(address, width, value)  baseline_array(baselines, address, width, value)
#define TREE(address, width, value)   baseline_tree_rwlock(baselines, address, width, value)
#define LOCKED(address, width, value) baseline_map_mutex(baselines, address, width, value)
#define CALL(address, width, value)   baseline_call(baselines, address, width, value)

KERNEL(run_space, addresses, 4, SPACE);
KERNEL(run_write, addresses, 4, WRITE);
KERNEL(run_edges, edges, 8, SPACE);
KERNEL(run_array, addresses, 4, ARRAY);
static KERNEL(run_tree, addresses, 4, TREE);
static KERNEL(run_locked, addresses, 4, LOCKED);
static KERNEL(run_call, addresses, 4, CALL);

static void print(const char *name, const char *suffix, const struct bench_kernel *kernel)
{
	char full[128];

	snprintf(full, sizeof(full), "%s%s", name, suffix);
	bench_print(full, "ns", kernel->ns, kernel->low, kernel->high);
}

static void print_ratio(const char *name, const char *suffix, const char *of, double ratio, double target)
{
	char full[128];

	snprintf(full, sizeof(full), "%s%s", name, suffix);
	bench_print_ratio(full, of, ratio, target);
}

void dispatch_one_reader(const char *suffix)
{
	struct layout *flat = layout_create(384, LAYOUT_FLAT), *heaps = layout_create(384, LAYOUT_HEAPS);
	struct layout *nested = layout_create(384, LAYOUT_NESTED);
	struct layout *handlers = layout_create(384, LAYOUT_HANDLERS);
	struct bench_kernel kernels[] = {
		{ .run = run_space, .opaque = flat },   { .run = run_array, .opaque = flat },
		{ .run = run_space, .opaque = nested }, { .run = run_tree, .opaque = flat },
		{ .run = run_locked, .opaque = flat },  { .run = run_call, .opaque = flat },
		{ .run = run_write, .opaque = flat },   { .run = run_edges, .opaque = flat },
	};
	struct bench_kernel more[] = {
		{ .run = run_space, .opaque = heaps },
		{ .run = run_array, .opaque = heaps },
		{ .run = run_space, .opaque = handlers },
		{ .run = run_array, .opaque = handlers },
	};

	bench_pin(1);
	bench_measure(kernels, 8, 4, BENCH_WALL);
	print("dispatch/384/random/readers=1", suffix, &kernels[0]);
	print("baseline/array/384/random/readers=1", suffix, &kernels[1]);
	print("dispatch/384/nested/readers=1", suffix, &kernels[2]);
	print("baseline/tree-rwlock/384/random/readers=1", suffix, &kernels[3]);
	print("baseline/map-mutex/384/random/readers=1", suffix, &kernels[4]);
	print("baseline/call/384/random/readers=1", suffix, &kernels[5]);
	print("dispatch/384/random/writers=1", suffix, &kernels[6]);
	print("dispatch/384/two-regions/readers=1", suffix, &kernels[7]);
	print_ratio("dispatch/384/random/readers=1", suffix, "x the array", kernels[0].ns / kernels[1].ns,
		    0.5);
	print_ratio("dispatch/384/nested/readers=1", suffix, "x flat", kernels[2].ns / kernels[0].ns, 1.05);
	print_ratio("dispatch/384/random/writers=1", suffix, "x the array", kernels[6].ns / kernels[1].ns,
		    0.5);
	print_ratio("dispatch/384/two-regions/readers=1", suffix, "x one region",
		    kernels[7].ns / kernels[0].ns, TWO_REGIONS);
	bench_measure(more, 4, 2, BENCH_WALL);
	print("dispatch/384/two-heaps/readers=1", suffix, &more[0]);
	print("baseline/array/384/two-heaps/readers=1", suffix, &more[1]);
	print("dispatch/384/handlers=16/readers=1", suffix, &more[2]);
	print("baseline/array/384/handlers=16/readers=1", suffix, &more[3]);
	layout_destroy(handlers);
	layout_destroy(nested);
	layout_destroy(heaps);
	layout_destroy(flat);
}

void dispatch_many_regions(void)
{
	struct layout *small = layout_create(384, LAYOUT_FLAT), *big = layout_create(99999, LAYOUT_FLAT);
	struct bench_kernel kernels[] = {
		{ .run = run_space, .opaque = big },
		{ .run = run_array, .opaque = big },
		{ .run = run_space, .opaque = small },
	};

	bench_pin(1);
	bench_measure(kernels, 3, 2, BENCH_WALL);
	print("dispatch/100000/random/readers=1", "", &kernels[0]);
	print("baseline/array/100000/random/readers=1", "", &kernels[1]);
	print_ratio("dispatch/100000/random/readers=1", "", "x 384 regions", kernels[0].ns / kernels[2].ns,
		    4);
	layout_destroy(big);
	layout_destroy(small);
}

struct reader {
	pthread_t thread;
	unsigned cpu;
	pthread_barrier_t *barrier;
	struct bench_kernel kernels[2];
	unsigned kernel_count;
	enum bench_clock clock;
};

static void *reader(void *opaque)
{
	struct reader *r = opaque;

	bench_pin(r->cpu);
	pthread_barrier_wait(r->barrier);
	bench_measure(r->kernels, r->kernel_count, r->kernel_count, r->clock);
	return NULL;
}

static void run_readers(const struct bench_kernel *kernels, unsigned kernel_count, struct reader *readers,
			unsigned count, enum bench_clock clock)
{
	pthread_barrier_t barrier;

	pthread_barrier_init(&barrier, NULL, count);
	for (unsigned i = 0; i < count; i++) {
		readers[i] = (struct reader){
			.cpu = i, .barrier = &barrier, .clock = clock, .kernel_count = kernel_count
		};
		memcpy(readers[i].kernels, kernels, kernel_count * sizeof(*kernels));
		if (pthread_create(&readers[i].thread, NULL, reader, &readers[i]))
			die("no thread");
	}
	for (unsigned i = 0; i < count; i++)
		pthread_join(readers[i].thread, NULL);
	pthread_barrier_destroy(&barrier);
}

struct writer {
	struct layout *layout;
	int stop;
	uint64_t moves;
};

/* One region, which nobody reads: readers must find the others all the time. */
static void *writer(void *opaque)
{
	struct writer *w = opaque;
	struct timespec next;

	bench_pin_nowhere();
	clock_gettime(CLOCK_MONOTONIC, &next);
	for (; !__atomic_load_n(&w->stop, __ATOMIC_RELAXED); w->moves++) {
		layout_move(w->layout, 0, w->moves % 2 ? w->layout->places[0].first : w->layout->end);
		next.tv_nsec += 1000000;
		if (next.tv_nsec >= 1000000000) {
			next.tv_nsec -= 1000000000;
			next.tv_sec++;
		}
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
	return NULL;
}

/* The mean of the readers. */
static struct bench_kernel mean(const struct reader *readers, unsigned count, unsigned kernel)
{
	struct bench_kernel result = readers[0].kernels[kernel];

	for (unsigned i = 1; i < count; i++) {
		result.ns += readers[i].kernels[kernel].ns;
		if (readers[i].kernels[kernel].low < result.low)
			result.low = readers[i].kernels[kernel].low;
		if (readers[i].kernels[kernel].high > result.high)
			result.high = readers[i].kernels[kernel].high;
	}
	result.ns /= count;
	return result;
}

/* Those with locks one at a time, so that they contend with themselves, and by
 * the clock on the wall, since they sleep. */
static void two_readers_locked(struct layout *l)
{
	const struct bench_kernel tree = { .run = run_tree, .opaque = l, .contended = true };
	const struct bench_kernel locked = { .run = run_locked, .opaque = l, .contended = true };
	struct reader two[2];
	struct bench_kernel result;

	run_readers(&tree, 1, two, 2, BENCH_WALL);
	result = mean(two, 2, 0);
	print("baseline/tree-rwlock/384/random/readers=2", "", &result);
	run_readers(&locked, 1, two, 2, BENCH_WALL);
	result = mean(two, 2, 0);
	print("baseline/map-mutex/384/random/readers=2", "", &result);
}

void dispatch_two_readers(void)
{
	struct layout *l = layout_create(384, LAYOUT_FLAT);
	const struct bench_kernel kernels[] = {
		{ .run = run_space, .opaque = l },
		{ .run = run_array, .opaque = l },
	};
	struct reader one[1], two[2];
	struct bench_kernel space, array, alone;
	struct writer w = { .layout = l };
	pthread_t thread;
	uint64_t before;
	double start;

	if (bench_cpus() < 2)
		die("two readers need two CPUs");
	for (size_t i = 0; i < LAYOUT_ADDRESSES; i++) { /* the one that moves is read elsewhere */
		if (l->addresses[i] <= l->places[0].last)
			l->addresses[i] += l->places[1].first - l->places[0].first;
	}
	run_readers(kernels, 2, one, 1, BENCH_THREAD_CPU);
	run_readers(kernels, 2, two, 2, BENCH_THREAD_CPU);
	alone = mean(one, 1, 0);
	space = mean(two, 2, 0);
	array = mean(two, 2, 1);
	print("dispatch/384/random/readers=2", "", &space);
	print("baseline/array/384/random/readers=2", "", &array);
	print_ratio("dispatch/384/random/readers=2", "", "x one reader", space.ns / alone.ns, 1.15);

	two_readers_locked(l);

	if (pthread_create(&thread, NULL, writer, &w))
		die("no thread");
	before = __atomic_load_n(&w.moves, __ATOMIC_RELAXED);
	start = bench_now(BENCH_WALL);
	run_readers(kernels, 2, two, 2, BENCH_THREAD_CPU);
	__atomic_store_n(&w.stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	bench_print("dispatch/384/random/readers=2/moves=1000/moves-done", "moves/s",
		    (double)(w.moves - before) * 1e9 / (bench_now(BENCH_WALL) - start), 0, 0);
	space = mean(two, 2, 0);
	array = mean(two, 2, 1);
	print("dispatch/384/random/readers=2/moves=1000", "", &space);
	print_ratio("dispatch/384/random/readers=2/moves=1000", "", "x the array", space.ns / array.ns, 0.7);
	layout_destroy(l);
}
