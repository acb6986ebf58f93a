/* SPDX-License-Identifier: BSD-2-Clause */
/* What commits cost. */
#include <stdio.h>

#include "bench.h"
#include "parts.h"

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
void commit_moves(size_t count, double target)
{
	enum { SAMPLES = 10000 };
	struct layout *l = layout_create(count, LAYOUT_FLAT);
	static double samples[SAMPLES], means[BENCH_ROUNDS], p99s[BENCH_ROUNDS], p999s[BENCH_ROUNDS];
	struct bk_listener *listener;
	double mean, tail;
	uint64_t seed = 7;
	char name[64];

	if (bk_listener_add(l->space, &recording, NULL, &listener))
		die("no memory");
	bench_pin(1);
	for (unsigned round = 0; round < BENCH_ROUNDS + 1; round++) {
		double cpu = bench_now(BENCH_PROCESS_CPU);
		size_t i = 0;

		for (size_t s = 0; s < SAMPLES; s++) {
			double start;

			if (s % 2 == 0)
				i = bench_random(&seed) % count;
			start = bench_now(BENCH_WALL);
			layout_move(l, i, s % 2 ? l->places[i].first : l->end);
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
	struct layout *l = layout_create(10000, LAYOUT_FLAT);
	double samples[BENCH_ROUNDS * 5], median;
	uint64_t seed = 9;

	bench_pin(1);
	for (unsigned s = 0; s < BENCH_ROUNDS * 5; s++) {
		struct bk_update *update = bk_update_begin(l->domain);
		uint64_t at = l->end;
		double start;

		for (unsigned j = 0; j < 1000; j++) {
			size_t i = bench_random(&seed) % l->count;
			const struct baseline_region *r = &l->places[i];
			uint64_t size = r->last - r->first + 1;
			uint64_t first = bench_random(&seed) & 1 ? r->first : (at + size - 1) & ~(size - 1);

			at = first == r->first ? at : first + size;
			bk_update_move(update, l->regions[i], first, first + size - 1);
		}
		start = bench_now(BENCH_WALL);
		if (bk_update_commit(update, NULL))
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
	struct layout *l = layout_create(10000, LAYOUT_FLAT);
	struct bk_space *top = bk_space_create(l->domain, "top", UINT64_MAX);
	struct bk_region_desc desc = {
		.name = "window",
		.first = 0,
		.last = (uint64_t)1 << 40,
		.kind = BK_REGION_NESTED,
		.nested = l->space,
	};
	double samples[BENCH_ROUNDS * 5], median;
	struct bk_region *window;

	if (!top || bk_region_add(top, &desc, &window, NULL))
		die("no memory");
	bench_pin(1);
	for (unsigned s = 0; s < BENCH_ROUNDS * 5; s++) {
		uint64_t first = s % 2 ? 0 : 1 << 20;
		struct bk_update *update = bk_update_begin(l->domain);
		double start;

		bk_update_move(update, window, first, first + desc.last);
		start = bench_now(BENCH_WALL);
		if (bk_update_commit(update, NULL))
			die("a rebuild failed");
		samples[s] = bench_now(BENCH_WALL) - start;
	}
	median = bench_quantile(samples, BENCH_ROUNDS * 5, 0.5);
	bench_print("rebuild/10000", "ns", median, samples[0], samples[BENCH_ROUNDS * 5 - 1]);
	bk_space_destroy(top);
	layout_destroy(l);
	return median;
}

void commit_batch(void)
{
	double ns = batch();

	bench_print_ratio("batch/10000/moves=1000", "x a rebuild", ns / rebuild(), 2.5);
}
