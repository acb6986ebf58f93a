/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages of a mapped area that must exit because of the device below: it may be
 * a mediator itself, to which traps are added and removed while this one is in
 * use. Areas mapped at create that cannot be mapped now are covered by regions without memory, the holes.
 */
#include "mediate/mediate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mediate/hole.h"

/* Ranges, ascending and disjoint. */
struct ranges {
	BK__ARRAY(struct bk__mediate_range);
	bool failed; /* out of memory */
};

static void append(struct ranges *ranges, uint64_t first, uint64_t last)
{
	if (bk__array_reserve(ranges, 1)) {
		ranges->failed = true;
		return;
	}
	ranges->at[ranges->count++] = (struct bk__mediate_range){ .first = first, .last = last };
}

/* What can still be mapped, except the lost range. */
struct collecting {
	struct ranges mapped;
	const struct bk__mediate_range *lost; /* or NULL */
};

static void collect(void *opaque, const struct bk_device_area *area)
{
	struct collecting *c = opaque;
	const uint64_t first = area->offset, last = area->offset + area->size - 1;

	if (!c->lost || c->lost->last < first || c->lost->first > last) {
		append(&c->mapped, first, last);
		return;
	}
	if (c->lost->first > first)
		append(&c->mapped, first, c->lost->first - 1);
	if (c->lost->last < last)
		append(&c->mapped, c->lost->last + 1, last);
}

/* The parts of the areas outside those ranges. */
static void find_missing(const struct bk__mediate_region *region, const struct ranges *mapped,
			 struct ranges *missing)
{
	for (size_t i = 0; i < region->area_count; i++) {
		const uint64_t end = region->areas[i]->first + region->areas[i]->size;
		uint64_t from = region->areas[i]->first;

		for (size_t j = 0; j < mapped->count && from < end; j++) {
			const struct bk__mediate_range *range = &mapped->at[j];

			if (range->last < from)
				continue;
			if (range->first >= end)
				break;
			if (range->first > from)
				append(missing, from, range->first - 1);
			from = range->last + 1;
		}
		if (from < end)
			append(missing, from, end - 1);
	}
}

static struct bk__mediate_range *find(struct bk__mediate_range *ranges, size_t count,
				      const struct bk__mediate_range *same)
{
	for (size_t i = 0; i < count; i++)
		if (ranges[i].first == same->first && ranges[i].last == same->last)
			return &ranges[i];
	return NULL;
}

/* Notify the space above before anything else can go wrong. */
static int add_new(struct bk_mediator *m, unsigned index, struct bk_update *update, struct ranges *wanted)
{
	struct bk__mediate_region *region = &m->regions[index];
	int r = 0;

	for (size_t i = 0; i < wanted->count && !r; i++) {
		struct bk__mediate_range *hole = &wanted->at[i];
		const struct bk__mediate_range *there = find(region->holes, region->hole_count, hole);

		if (there) {
			hole->handle = there->handle;
			continue;
		}
		r = bk__mediate_watcher_lose(m, index, hole->first, hole->last);
		if (!r)
			r = bk__mediate_hole_append(m, index, update, hole);
	}
	return r;
}

static void remove_old(struct bk__mediate_region *region, struct bk_update *update, struct ranges *wanted)
{
	for (size_t i = 0; i < region->hole_count; i++)
		if (!find(wanted->at, wanted->count, &region->holes[i]))
			bk_update_remove(update, region->holes[i].handle);
}

/* A failed commit drops the update's new regions, but not their places. */
static void drop_new(struct ranges *wanted)
{
	for (size_t i = 0; i < wanted->count; i++)
		free(wanted->at[i].place); /* NULL: the hole is an old one */
}

static int apply(struct bk_mediator *m, unsigned index, struct ranges *wanted)
{
	struct bk__mediate_region *region = &m->regions[index];
	struct bk_update *update = bk_update_begin(m->domain);
	int r = add_new(m, index, update, wanted);

	if (r) {
		bk_update_drop(update);
	} else {
		remove_old(region, update, wanted);
		r = bk_update_commit(update, NULL);
	}
	if (r) {
		drop_new(wanted);
		return r;
	}
	free(region->holes);
	region->holes = wanted->at;
	region->hole_count = wanted->count;
	*wanted = (struct ranges){ 0 };
	return 0;
}

/* Under the lock. */
static int settle(struct bk_mediator *m, unsigned index, const struct bk__mediate_range *lost)
{
	struct collecting now = { .lost = lost };
	struct ranges wanted = { 0 };
	int r = 0;

	if (!m->regions[index].area_count || m->closed)
		return 0;
	if (m->regions[index].info.fd >= 0)
		bk_device_areas(m->below, index, false, collect, &now);
	find_missing(&m->regions[index], &now.mapped, &wanted);
	if (now.mapped.failed || wanted.failed)
		r = -ENOMEM;
	if (!r)
		r = apply(m, index, &wanted);
	free(now.mapped.at);
	free(wanted.at);
	bk__mediate_watcher_change(m, index);
	return r;
}

static int lose(void *opaque, unsigned region, uint64_t first, uint64_t last)
{
	const struct bk__mediate_range lost = { .first = first, .last = last };
	struct bk_mediator *m = opaque;
	int r;

	if (region >= BK_PCI_BARS)
		return 0;
	pthread_mutex_lock(&m->lock);
	r = settle(m, region, &lost);
	pthread_mutex_unlock(&m->lock);
	return r;
}

/*
 * The device below may now have another file to map, or none: its server left or came back. Maps the new file
 * in place of the old one while holes still cover all of it. Under the lock.
 */
static void map_again(struct bk_mediator *m, unsigned index)
{
	struct bk__mediate_region *region = &m->regions[index];
	struct bk_device_region now = { 0 };
	int r = 0;

	if (m->filter || m->closed || !region->area_count)
		return;
	if (bk_device_region(m->below, index, &now) || now.size != region->info.size)
		now.fd = -1;
	if (now.fd == region->info.fd)
		return;
	for (size_t i = 0; i < region->area_count; i++) {
		struct bk__mediate_place *place = region->areas[i];

		if (!bk__mediate_guard(place, now.fd))
			r = -ENOMEM;
		else
			r = bk__mediate_map_again(place->host, now.fd, now.fd_offset + place->first,
						  place->size, now.flags & BK_DEVICE_WRITE);
		if (r)
			break;
	}
	region->info.fd = r ? -1 : now.fd; /* without a file everything exits */
	if (r)
		bk_log(BK_LOG_WARNING, "%s: %s cannot be mapped again (%s): every access exits",
		       m->below->name, bk_device_region_name(index), strerror(-r));
}

static void change(void *opaque, unsigned region)
{
	struct bk_mediator *m = opaque;

	if (region >= BK_PCI_BARS)
		return;
	pthread_mutex_lock(&m->lock);
	map_again(m, region);
	settle(m, region, NULL); /* if memory runs out, pages still exit */
	pthread_mutex_unlock(&m->lock);
}

int bk__mediate_holes_begin(struct bk_mediator *m)
{
	static const struct bk_device_watcher watcher = { .lose = lose, .change = change };
	int r = bk_device_watch(m->below, &watcher, m);

	if (r)
		return r == -EOPNOTSUPP ? 0 : r; /* its mappable areas never change */
	for (unsigned i = 0; i < BK_PCI_BARS && !r; i++) {
		pthread_mutex_lock(&m->lock);
		r = settle(m, i, NULL);
		pthread_mutex_unlock(&m->lock);
	}
	return r;
}

void bk__mediate_holes_end(struct bk_mediator *m)
{
	bk_device_watch(m->below, NULL, NULL);
}

/* ---- Who stands above --------------------------------------------------- */

int bk__mediate_watcher_lose(struct bk_mediator *m, unsigned region, uint64_t first, uint64_t last)
{
	const uint64_t mask = m->page_size - 1;

	return m->watcher.lose ? m->watcher.lose(m->watcher_opaque, region, first & ~mask, last | mask) : 0;
}

void bk__mediate_watcher_change(struct bk_mediator *m, unsigned region)
{
	if (m->watcher.change)
		m->watcher.change(m->watcher_opaque, region);
}
