/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Dispatch and commits of the address space, beside what others do.
 *
 * Layout: a third each of regions of 64 KiB, 4 KiB and 128 bytes, packed from
 * 0xc0000000. Reads are of 4 bytes at random regions and offsets out of a
 * table of 65,536 addresses made beforehand; the handler returns address xor
 * index, with the index in its opaque. The program uses the public interface
 * only, and so can be linked with either library; the shared one is said in
 * the first argument, which is put after each name.
 */
#include "baselines.h"
#include "bench.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TABLE = 65536 };

static const char *suffix = "";

static int answer(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	*value = offset ^ (uintptr_t)opaque;
	return 0;
}

static const struct bk_region_ops answer_ops = { .read = answer };

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "bench: %s\n", what);
	exit(1);
}

/* ---- The layout ---- */

struct layout {
	size_t count;
	struct baseline_region *places; /* by address */
	struct bk_region **regions;
	struct bk_domain *domain;
	struct bk_space *space;
	struct baselines *baselines;
	uint64_t end; /* nothing is there, and nothing above */
	uint64_t addresses[TABLE];
};

static uint64_t size_of(size_t i)
{
	return i % 3 == 0 ? 65536 : i % 3 == 1 ? 4096 : 128;
}

/* In two heaps, if asked for: the upper half of them above 32 GiB, where 64-bit BARs are. */
static struct layout *layout_create_heaps(size_t count, bool two_heaps)
{
	struct layout *l = calloc(1, sizeof(*l));
	uint64_t at = 0xc0000000, seed = 1;
	struct bk_update *update;
	size_t n = 0;

	l->count = count;
	l->places = calloc(count, sizeof(*l->places));
	l->regions = calloc(count, sizeof(*l->regions));
	for (unsigned kind = 0; kind < 3; kind++) { /* the big ones first, as firmware packs them */
		for (size_t i = kind; i < count; i += 3, n++) {
			l->places[n] = (struct baseline_region){ at, at + size_of(i) - 1, answer, (void *)n };
			at += size_of(i);
		}
	}
	l->end = (at + 65535) & ~(uint64_t)65535;
	for (size_t i = count; two_heaps && --i >= count / 2;) {
		uint64_t size = l->places[i].last - l->places[i].first;

		l->places[i].first += 0x800000000 - l->places[count / 2].first;
		l->places[i].last = l->places[i].first + size;
	}
	for (size_t i = 0; i < TABLE; i++) {
		const struct baseline_region *r = &l->places[bench_random(&seed) % count];

		l->addresses[i] = r->first + bench_random(&seed) % (r->last - r->first + 1) / 4 * 4;
	}
	l->domain = bk_domain_create();
	l->space = l->domain ? bk_space_create(l->domain, "memory", UINT64_MAX) : NULL;
	update = l->space ? bk_update_begin(l->domain) : NULL;
	for (size_t i = 0; update && i < count; i++) {
		struct bk_region_desc desc = {
			.name = "bar",
			.first = l->places[i].first,
			.last = l->places[i].last,
			.rank = i,
			.ops = &answer_ops,
			.opaque = (void *)i,
		};

		if (bk_update_add(update, l->space, &desc, &l->regions[i]))
			die("a region was refused");
	}
	if (!update || bk_update_commit(update))
		die("no memory");
	l->baselines = baselines_create(l->places, count);
	return l;
}

static struct layout *layout_create(size_t count)
{
	return layout_create_heaps(count, false);
}

static void layout_destroy(struct layout *l)
{
	bk_space_destroy(l->space);
	bk_domain_destroy(l->domain);
	baselines_destroy(l->baselines);
	free(l->places);
	free(l->regions);
	free(l);
}

/* ---- Kernels ---- */

static __thread uint64_t sink;
static __thread uint16_t cursor; /* into a table of as many */

#define KERNEL(name, call)                                                          \
	__attribute__((noinline)) static void name(void *opaque, size_t count)      \
	{                                                                           \
		const struct layout *l = opaque;                                    \
		const uint64_t *addresses = l->addresses;                           \
		struct baselines *baselines __attribute__((unused)) = l->baselines; \
		struct bk_space *space __attribute__((unused)) = l->space;          \
		uint64_t sum = 0;                                                   \
		uint16_t at = cursor;                                               \
                                                                                    \
		for (size_t i = 0; i < count; i++) {                                \
			uint64_t value;                                             \
                                                                                    \
			if (call(addresses[at++], 4, &value))                       \
				die("an access failed");                            \
			sum += value;                                               \
		}                                                                   \
		cursor = at;                                                        \
		sink += sum;                                                        \
	}

#define SPACE(address, width, value)  bk_space_read(space, address, width, value)
#define ARRAY(address, width, value)  baseline_array(baselines, address, width, value)
#define TREE(address, width, value)   baseline_tree_rwlock(baselines, address, width, value)
#define LOCKED(address, width, value) baseline_map_mutex(baselines, address, width, value)
#define CALL(address, width, value)   baseline_call(baselines, address, width, value)

KERNEL(run_space, SPACE)
KERNEL(run_array, ARRAY)
KERNEL(run_tree, TREE)
KERNEL(run_locked, LOCKED)
KERNEL(run_call, CALL)

static void print(const char *name, const struct bench_kernel *kernel)
{
	char full[128];

	snprintf(full, sizeof(full), "%s%s", name, suffix);
	bench_print(full, "ns", kernel->ns, kernel->low, kernel->high);
}

static void print_ratio(const char *name, const char *of, double ratio, double target)
{
	char full[128];

	snprintf(full, sizeof(full), "%s%s", name, suffix);
	bench_print_ratio(full, of, ratio, target);
}

static void one_reader(void)
{
	struct layout *small = layout_create(384);
	struct bench_kernel kernels[] = {
		{ .run = run_space, .opaque = small }, { .run = run_array, .opaque = small },
		{ .run = run_tree, .opaque = small },  { .run = run_locked, .opaque = small },
		{ .run = run_call, .opaque = small },
	};
	struct layout *heaps = layout_create_heaps(384, true);
	struct bench_kernel more[] = {
		{ .run = run_space, .opaque = heaps },
		{ .run = run_array, .opaque = heaps },
	};

	bench_pin(1);
	bench_measure(kernels, 5, 3, BENCH_WALL);
	print("dispatch/384/random/readers=1", &kernels[0]);
	print("baseline/array/384/random/readers=1", &kernels[1]);
	print("baseline/tree-rwlock/384/random/readers=1", &kernels[2]);
	print("baseline/map-mutex/384/random/readers=1", &kernels[3]);
	print("baseline/call/384/random/readers=1", &kernels[4]);
	print_ratio("dispatch/384/random/readers=1", "x the array", kernels[0].ns / kernels[1].ns, 0.5);
	bench_measure(more, 2, 1, BENCH_WALL);
	print("dispatch/384/two-heaps/readers=1", &more[0]);
	print("baseline/array/384/two-heaps/readers=1", &more[1]);
	layout_destroy(heaps);
	layout_destroy(small);
}

static void many_regions(void)
{
	struct layout *small = layout_create(384), *big = layout_create(99999);
	struct bench_kernel kernels[] = {
		{ .run = run_space, .opaque = big },
		{ .run = run_array, .opaque = big },
		{ .run = run_space, .opaque = small },
	};

	bench_measure(kernels, 3, 2, BENCH_WALL);
	print("dispatch/100000/random/readers=1", &kernels[0]);
	print("baseline/array/100000/random/readers=1", &kernels[1]);
	print_ratio("dispatch/100000/random/readers=1", "x 384 regions", kernels[0].ns / kernels[2].ns, 4);
	layout_destroy(big);
	layout_destroy(small);
}

/* ---- Two readers, and a writer ---- */

struct reader {
	pthread_t thread;
	unsigned cpu;
	pthread_barrier_t *barrier;
	struct bench_kernel kernels[2];
	enum bench_clock clock;
};

static void *reader(void *opaque)
{
	struct reader *r = opaque;

	bench_pin(r->cpu);
	pthread_barrier_wait(r->barrier);
	bench_measure(r->kernels, 2, 2, r->clock);
	return NULL;
}

static void run_readers(struct layout *l, struct reader *readers, unsigned count, enum bench_clock clock)
{
	pthread_barrier_t barrier;

	pthread_barrier_init(&barrier, NULL, count);
	for (unsigned i = 0; i < count; i++) {
		readers[i] = (struct reader){
			.cpu = i,
			.barrier = &barrier,
			.clock = clock,
			.kernels = { { .run = run_space, .opaque = l }, { .run = run_array, .opaque = l } },
		};
		pthread_create(&readers[i].thread, NULL, reader, &readers[i]);
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

static void move(struct layout *l, size_t i, uint64_t first)
{
	const struct baseline_region *r = &l->places[i];
	struct bk_update *update = bk_update_begin(l->domain);

	if (!update || bk_update_move(update, l->regions[i], first, first + (r->last - r->first)) ||
	    bk_update_commit(update))
		die("a move failed");
}

/* One region, which nobody reads: readers must find the others all the time. */
static void *writer(void *opaque)
{
	struct writer *w = opaque;
	struct timespec next;

	clock_gettime(CLOCK_MONOTONIC, &next);
	for (; !__atomic_load_n(&w->stop, __ATOMIC_RELAXED); w->moves++) {
		move(w->layout, 0, w->moves % 2 ? w->layout->places[0].first : w->layout->end);
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

static void two_readers(void)
{
	struct layout *l = layout_create(384);
	struct reader one[1], two[2];
	struct bench_kernel space, array, alone;
	struct writer w = { .layout = l };
	pthread_t thread;
	uint64_t before;
	double start;

	if (bench_cpus() < 2)
		die("two readers need two CPUs");
	for (size_t i = 0; i < TABLE; i++) { /* the one that moves is read elsewhere */
		if (l->addresses[i] <= l->places[0].last)
			l->addresses[i] += l->places[1].first - l->places[0].first;
	}
	run_readers(l, one, 1, BENCH_THREAD_CPU);
	run_readers(l, two, 2, BENCH_THREAD_CPU);
	alone = mean(one, 1, 0);
	space = mean(two, 2, 0);
	array = mean(two, 2, 1);
	print("dispatch/384/random/readers=2", &space);
	print("baseline/array/384/random/readers=2", &array);
	print_ratio("dispatch/384/random/readers=2", "x one reader", space.ns / alone.ns, 1.15);

	pthread_create(&thread, NULL, writer, &w);
	before = __atomic_load_n(&w.moves, __ATOMIC_RELAXED);
	start = bench_now(BENCH_WALL);
	run_readers(l, two, 2, BENCH_THREAD_CPU);
	__atomic_store_n(&w.stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	bench_print("dispatch/384/random/readers=2/moves=1000/moves-done", "moves/s",
		    (double)(w.moves - before) * 1e9 / (bench_now(BENCH_WALL) - start), 0, 0);
	space = mean(two, 2, 0);
	array = mean(two, 2, 1);
	print("dispatch/384/random/readers=2/moves=1000", &space);
	print_ratio("dispatch/384/random/readers=2/moves=1000", "x the array", space.ns / array.ns, 0.7);
	layout_destroy(l);
}

/* ---- Commits ---- */

static uint64_t told;

static void tell(void *opaque, const struct bk_flat *flat)
{
	told += flat->first;
}

static const struct bk_listener_ops recording = { .removed = tell, .added = tell };

/*
 * A random region goes to a free place and comes back. The mean is of CPU time,
 * that of reclaim included; the percentiles are of wall time, and so are of the
 * machine as much as of the commit. Once in some hundred moves reclaim is woken.
 */
static void moves(size_t count, double target)
{
	enum { SAMPLES = 10000 };
	struct layout *l = layout_create(count);
	static double samples[SAMPLES], means[BENCH_ROUNDS], p99s[BENCH_ROUNDS], p999s[BENCH_ROUNDS];
	struct bk_listener *listener;
	double mean, tail;
	uint64_t seed = 7;
	char name[64];

	if (bk_listener_add(l->space, &recording, NULL, &listener))
		die("no memory");
	for (unsigned round = 0; round < BENCH_ROUNDS + 1; round++) {
		double cpu = bench_now(BENCH_PROCESS_CPU);
		size_t i = 0;

		for (size_t s = 0; s < SAMPLES; s++) {
			double start;

			if (s % 2 == 0)
				i = bench_random(&seed) % count;
			start = bench_now(BENCH_WALL);
			move(l, i, s % 2 ? l->places[i].first : l->end);
			samples[s] = bench_now(BENCH_WALL) - start;
		}
		if (!round) /* warm up */
			continue;
		means[round - 1] = (bench_now(BENCH_PROCESS_CPU) - cpu) / SAMPLES;
		p99s[round - 1] = bench_quantile(samples, SAMPLES, 0.99);
		p999s[round - 1] = bench_quantile(samples, SAMPLES, 0.999);
	}
	mean = bench_quantile(means, BENCH_ROUNDS, 0.5);
	snprintf(name, sizeof(name), "move/%zu", count);
	bench_print_target(name, "ns", mean, means[0], means[BENCH_ROUNDS - 1], target);
	tail = bench_quantile(p99s, BENCH_ROUNDS, 0.5);
	snprintf(name, sizeof(name), "move/%zu/p99", count);
	bench_print(name, "ns", tail, p99s[0], p99s[BENCH_ROUNDS - 1]);
	tail = bench_quantile(p999s, BENCH_ROUNDS, 0.5);
	snprintf(name, sizeof(name), "move/%zu/p999", count);
	bench_print(name, "ns", tail, p999s[0], p999s[BENCH_ROUNDS - 1]);
	bk_listener_remove(listener);
	layout_destroy(l);
}

/* 1000 regions move in one update. */
static double batch(void)
{
	struct layout *l = layout_create(10000);
	double samples[BENCH_ROUNDS * 5], median;
	uint64_t seed = 9;

	for (unsigned s = 0; s < BENCH_ROUNDS * 5; s++) {
		struct bk_update *update = bk_update_begin(l->domain);
		uint64_t at = l->end;
		double start;

		for (unsigned j = 0; update && j < 1000; j++) {
			size_t i = bench_random(&seed) % l->count;
			const struct baseline_region *r = &l->places[i];
			uint64_t size = r->last - r->first + 1;
			uint64_t first = bench_random(&seed) & 1 ? r->first : (at + size - 1) & ~(size - 1);

			at = first == r->first ? at : first + size;
			if (bk_update_move(update, l->regions[i], first, first + size - 1))
				die("a move was refused");
		}
		start = bench_now(BENCH_WALL);
		if (!update || bk_update_commit(update))
			die("a batch failed");
		samples[s] = bench_now(BENCH_WALL) - start;
	}
	median = bench_quantile(samples, BENCH_ROUNDS * 5, 0.5);
	bench_print("batch/10000/moves=1000", "ns", median, samples[0], samples[BENCH_ROUNDS * 5 - 1]);
	layout_destroy(l);
	return median;
}

/* A window onto 10,000 regions moves: the view that shows it is made anew. */
static double rebuild(void)
{
	struct layout *l = layout_create(10000);
	struct bk_space *top = bk_space_create(l->domain, "top", UINT64_MAX);
	struct bk_region_desc desc = {
		.name = "window",
		.first = 0,
		.last = (uint64_t)1 << 40,
		.kind = BK_REGION_NESTED,
		.nested = l->space,
	};
	struct bk_update *update = bk_update_begin(l->domain);
	double samples[BENCH_ROUNDS * 5], median;
	struct bk_region *window;

	if (!top || !update || bk_update_add(update, top, &desc, &window) || bk_update_commit(update))
		die("no memory");
	for (unsigned s = 0; s < BENCH_ROUNDS * 5; s++) {
		uint64_t first = s % 2 ? 0 : 1 << 20;
		double start;

		update = bk_update_begin(l->domain);
		if (!update || bk_update_move(update, window, first, first + desc.last))
			die("a move was refused");
		start = bench_now(BENCH_WALL);
		if (bk_update_commit(update))
			die("a rebuild failed");
		samples[s] = bench_now(BENCH_WALL) - start;
	}
	median = bench_quantile(samples, BENCH_ROUNDS * 5, 0.5);
	bench_print("rebuild/10000", "ns", median, samples[0], samples[BENCH_ROUNDS * 5 - 1]);
	bk_space_destroy(top);
	layout_destroy(l);
	return median;
}

/* usage: bench_space [SUFFIX]   all of it, or dispatch only if there is a suffix;
 *        bench_space --count N  N dispatches and nothing else, under callgrind */
int main(int argc, char **argv)
{
	double batch_ns;

	if (argc == 3 && strcmp(argv[1], "--count") == 0) {
		run_space(layout_create(384), strtoull(argv[2], NULL, 0));
		return 0;
	}
	if (argc == 3 && strcmp(argv[1], "--moves") == 0) {
		bench_pin(1);
		moves(strtoull(argv[2], NULL, 0), 0);
		return 0;
	}
	if (argc > 1)
		suffix = argv[1];
	one_reader();
	if (argc > 1)
		return 0;
	many_regions();
	two_readers();
	moves(384, 3000);
	moves(10000, 40000);
	batch_ns = batch();
	bench_print_ratio("batch/10000/moves=1000", "x a rebuild", batch_ns / rebuild(), 2.5);
	return 0;
}
