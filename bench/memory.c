/* SPDX-License-Identifier: BSD-2-Clause */
/* What regions take, and that moves leave nothing behind. */
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "parts.h"

enum { LOOKS = 10000 }; /* at the resident set */

static double heap_bytes(void)
{
	struct mallinfo2 info = mallinfo2();

	return (double)info.uordblks + (double)info.hblkhd;
}

/* Resident, in KiB. */
static double resident(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;

	if (!file || fscanf(file, "%*u %lu", &pages) != 1)
		die("/proc/self/statm cannot be read");
	fclose(file);
	return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1024;
}

static void add_all(const struct layout *l, struct bk_domain *domain, struct bk_space *space)
{
	static const struct bk_region_ops ops = { .widths = BK_WIDTH_4 };
	struct bk_update *update = bk_update_begin(domain);

	for (size_t i = 0; i < l->count; i++) {
		struct bk_region_desc desc = { .name = "bar",
					       .first = l->places[i].first,
					       .last = l->places[i].last,
					       .rank = i,
					       .ops = &ops };

		bk_update_add(update, space, &desc, NULL);
	}
	if (bk_update_commit(update, NULL) || bk_domain_synchronize(domain))
		die("no memory");
}

/* All of a domain but its thread's stack: regions, view, and what is kept for the next commit. */
static void per_region(size_t count, const char *name)
{
	struct layout *l = layout_create(count, LAYOUT_FLAT); /* for the places only */
	double before = heap_bytes();
	struct bk_domain *domain = bk_domain_create();
	struct bk_space *space = domain ? bk_space_create(domain, "memory", UINT64_MAX) : NULL;

	if (!space)
		die("no memory");
	add_all(l, domain, space);
	bench_print(name, "bytes/region", (heap_bytes() - before) / (double)count, 0, 0);
	bk_space_destroy(space);
	bk_domain_destroy(domain);
	layout_destroy(l);
}

void memory_per_region(void)
{
	per_region(384, "memory/384");
	per_region(99999, "memory/100000");
}

struct reader {
	struct layout *layout;
	int stop;
};

static void *reader(void *opaque)
{
	struct reader *r = opaque;

	bench_pin(0);
	while (!__atomic_load_n(&r->stop, __ATOMIC_RELAXED))
		run_space(r->layout, 100000);
	return NULL;
}

/* The resident set, in KiB: the smallest of each half of the moves, and the largest. */
struct marks {
	double least[2], most;
};

static void look(struct marks *marks, bool second)
{
	const double now = resident();

	if (!marks->least[second] || now < marks->least[second])
		marks->least[second] = now;
	if (now > marks->most)
		marks->most = now;
}

/* One region goes and comes back. The first tenth is not looked at. */
static struct marks move_often(struct layout *l, size_t moves, size_t leak)
{
	const size_t warm = moves / 10, half = warm + (moves - warm) / 2, every = moves / LOOKS + 1;
	struct marks marks = { { 0 }, 0 };

	for (size_t i = 0; i < moves; i++) {
		layout_move(l, 0, i % 2 ? l->places[0].first : l->end);
		if (leak)
			memset(malloc(leak), 1, leak);
		if (i >= warm && i % every == 0)
			look(&marks, i >= half);
	}
	look(&marks, true);
	return marks;
}

/* While a reader reads the other regions. What waits for it differs from moment to moment, but must not grow.
 */
void memory_growth(size_t moves, size_t leak)
{
	struct layout *l = layout_create(48, LAYOUT_FLAT);
	struct reader r = { .layout = l };
	double start = bench_now(BENCH_WALL);
	struct marks marks;
	pthread_t thread;
	char name[80];

	for (size_t i = 0; i < LAYOUT_ADDRESSES; i++) { /* the one that moves is read elsewhere */
		if (l->addresses[i] <= l->places[0].last)
			l->addresses[i] += l->places[1].first - l->places[0].first;
	}
	if (pthread_create(&thread, NULL, reader, &r))
		die("no thread");
	marks = move_often(l, moves, leak);
	__atomic_store_n(&r.stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	snprintf(name, sizeof(name), "memory/moves=%zu/least", moves);
	bench_print(name, "KiB", marks.least[1], 0, 0);
	snprintf(name, sizeof(name), "memory/moves=%zu/most", moves);
	bench_print(name, "KiB", marks.most, 0, 0);
	snprintf(name, sizeof(name), "memory/moves=%zu/seconds", moves);
	bench_print(name, "s", (bench_now(BENCH_WALL) - start) / 1e9, 0, 0);
	snprintf(name, sizeof(name), "memory/moves=%zu/growth", moves);
	/* Up to the pieces in which memory is taken. What is lost at each move is 24 bytes and more. */
	bench_print_target(name, "bytes/move", (marks.least[1] - marks.least[0]) * 1024 / ((double)moves / 2),
			   0, 0, 2);
	layout_destroy(l);
}
