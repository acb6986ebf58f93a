/* SPDX-License-Identifier: BSD-2-Clause */
/* Builds what is measured. The handlers return offset xor index, with the index in `opaque`. */
#include "layout.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

enum { HANDLERS = 16 };

_Noreturn void die(const char *what)
{
	fprintf(stderr, "bench: %s\n", what);
	exit(1);
}

static int answer(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	*value = offset ^ (uintptr_t)opaque;
	return 0;
}

static __thread uint64_t taken;

static int take(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	taken += value ^ offset ^ (uintptr_t)opaque;
	return 0;
}

static const struct bk_region_ops answer_ops = { .read = answer, .write = take };

/* Each of its own, so that they are not one function. */
#define HANDLER(n)                                                                            \
	static int answer_##n(void *opaque, uint64_t offset, unsigned width, uint64_t *value) \
	{                                                                                     \
		*value = (offset ^ (uintptr_t)opaque) + (n);                                  \
		return 0;                                                                     \
	}
HANDLER(0)
HANDLER(1)
HANDLER(2)
HANDLER(3)
HANDLER(4)
HANDLER(5)
HANDLER(6)
HANDLER(7)
HANDLER(8)
HANDLER(9)
HANDLER(10)
HANDLER(11)
HANDLER(12)
HANDLER(13)
HANDLER(14)
HANDLER(15)

static const struct bk_region_ops many_ops[HANDLERS] = {
	{ .read = answer_0 },  { .read = answer_1 },  { .read = answer_2 },  { .read = answer_3 },
	{ .read = answer_4 },  { .read = answer_5 },  { .read = answer_6 },  { .read = answer_7 },
	{ .read = answer_8 },  { .read = answer_9 },  { .read = answer_10 }, { .read = answer_11 },
	{ .read = answer_12 }, { .read = answer_13 }, { .read = answer_14 }, { .read = answer_15 },
};

static uint64_t size_of(size_t i)
{
	return i % 3 == 0 ? 65536 : i % 3 == 1 ? 4096 : 128;
}

static void place(struct layout *l, enum layout_kind kind)
{
	uint64_t at = 0xc0000000, seed = 1;
	size_t n = 0;

	for (unsigned size = 0; size < 3; size++) { /* the big ones first, as firmware packs them */
		for (size_t i = size; i < l->count; i += 3, n++) {
			l->places[n] = (struct baseline_region){ at, at + size_of(i) - 1, answer, (void *)n };
			if (kind == LAYOUT_HANDLERS)
				l->places[n].read = many_ops[n % HANDLERS].read;
			at += size_of(i);
		}
	}
	l->end = (at + 65535) & ~(uint64_t)65535;
	for (size_t i = l->count; kind == LAYOUT_HEAPS && --i >= l->count / 2;) {
		uint64_t size = l->places[i].last - l->places[i].first;

		l->places[i].first += 0x800000000 - l->places[l->count / 2].first;
		l->places[i].last = l->places[i].first + size;
	}
	for (size_t i = 0; i < LAYOUT_ADDRESSES; i++) {
		const struct baseline_region *r = &l->places[bench_random(&seed) % l->count];

		l->addresses[i] = r->first + bench_random(&seed) % (r->last - r->first + 1) / 4 * 4;
	}
	for (size_t i = 0; i < LAYOUT_ADDRESSES; i++) /* in the lower half, which has no gap */
		l->edges[i] = l->places[bench_random(&seed) % (l->count / 2 - 1)].last - 3;
}

static struct bk_region *add(struct bk_update *update, struct bk_space *space, struct bk_region_desc desc)
{
	struct bk_region *region;

	bk_update_add(update, space, &desc, &region);
	return region;
}

static void add_flat(struct layout *l, struct bk_update *update, enum layout_kind kind)
{
	for (size_t i = 0; i < l->count; i++) {
		l->regions[i] =
			add(update, l->space,
			    (struct bk_region_desc){
				    .name = "bar",
				    .first = l->places[i].first,
				    .last = l->places[i].last,
				    .rank = i,
				    .ops = kind == LAYOUT_HANDLERS ? &many_ops[i % HANDLERS] : &answer_ops,
				    .opaque = (void *)i,
			    });
	}
}

/* Bus addresses are those of the guest less the bridge's offset. */
static void add_nested(struct layout *l, struct bk_update *update)
{
	const uint64_t window = l->places[0].first, bus = 0x40000000;

	l->bars = calloc(l->count / 3, sizeof(struct bk_space *));
	l->bus = bk_space_create(l->domain, "bus", UINT64_MAX);
	if (!l->bars || !l->bus)
		die("no memory");
	add(update, l->space,
	    (struct bk_region_desc){
		    .name = "bridge",
		    .first = window,
		    .last = l->end - 1,
		    .kind = BK_REGION_NESTED,
		    .nested = l->bus,
		    .nested_first = bus,
	    });
	for (size_t i = 0; i < l->count; i += 3) {
		const struct baseline_region *r = &l->places[i];
		uint64_t first = r[0].first, size = r[2].last - first + 1;
		struct bk_space *bar = bk_space_create(l->domain, "bar", size - 1);

		if (!bar)
			die("no memory");
		l->bars[i / 3] = bar;
		add(update, l->bus,
		    (struct bk_region_desc){
			    .name = "bar",
			    .first = bus + (first - window),
			    .last = bus + (first - window) + size - 1,
			    .rank = i,
			    .kind = BK_REGION_NESTED,
			    .nested = bar,
		    });
		add(update, bar,
		    (struct bk_region_desc){
			    .name = "device", .last = size - 1, .ops = &answer_ops, .opaque = r[2].opaque });
		for (size_t j = 0; j < 2; j++) {
			add(update, bar,
			    (struct bk_region_desc){
				    .name = "trap",
				    .first = r[j].first - first,
				    .last = r[j].last - first,
				    .priority = 1,
				    .rank = j,
				    .ops = &answer_ops,
				    .opaque = r[j].opaque,
			    });
		}
	}
}

struct layout *layout_create(size_t count, enum layout_kind kind)
{
	struct layout *l = calloc(1, sizeof(*l));
	struct bk_update *update;

	if (!l)
		die("no memory");
	l->count = count;
	l->places = calloc(count, sizeof(*l->places));
	l->regions = calloc(count, sizeof(struct bk_region *));
	if (!l->places || !l->regions)
		die("no memory");
	place(l, kind);
	l->baselines = baselines_create(l->places, count);
	bench_pin_nowhere(); /* not the domain's thread */
	l->domain = bk_domain_create();
	l->space = l->domain ? bk_space_create(l->domain, "memory", UINT64_MAX) : NULL;
	update = l->space ? bk_update_begin(l->domain) : NULL;
	if (!update)
		die("no memory");
	if (kind == LAYOUT_NESTED)
		add_nested(l, update);
	else
		add_flat(l, update, kind);
	if (bk_update_commit(update, NULL))
		die("the layout was refused");
	return l;
}

void layout_destroy(struct layout *l)
{
	bk_space_destroy(l->space);
	if (l->bus)
		bk_space_destroy(l->bus);
	for (size_t i = 0; l->bars && i < l->count / 3; i++)
		bk_space_destroy(l->bars[i]);
	if (bk_domain_destroy(l->domain))
		die("something was left");
	baselines_destroy(l->baselines);
	free(l->bars);
	free(l->places);
	free(l->regions);
	free(l);
}

void layout_move(struct layout *l, size_t i, uint64_t first)
{
	const struct baseline_region *r = &l->places[i];
	struct bk_update *update = bk_update_begin(l->domain);

	bk_update_move(update, l->regions[i], first, first + (r->last - r->first));
	if (bk_update_commit(update, NULL))
		die("a move failed");
}
