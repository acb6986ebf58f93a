/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which region answers at each address of a space.
 *
 * A nested space is resolved before those that show it, so a nested region
 * contributes the spans of a view that exists already, each with the
 * region's own priority and rank; where that view has a hole it contributes
 * nothing, and what lies below shows through.
 */
#include "space/table.h"

#include <errno.h>
#include <stdlib.h>

/* ---- What each region would answer ---- */

struct collecting {
	struct bk_domain *domain;
	uint64_t first, last;
	bool sorted;
};

static int add_item(struct collecting *in, const struct bk_region *region, const struct bk__space_item *item)
{
	struct bk_domain *domain = in->domain;
	size_t count = domain->items.count;

	if (bk__array_reserve(&domain->items, 1))
		return -ENOMEM;
	if (count && domain->items.at[count - 1].first > item->first)
		in->sorted = false;
	domain->items.at[count] = *item;
	domain->items.at[count].priority = region->priority;
	domain->items.at[count].rank = region->rank;
	domain->items.count++;
	return 0;
}

static int collect(void *opaque, struct bk_region *region)
{
	struct collecting *in = opaque;
	uint64_t first = region->first > in->first ? region->first : in->first;
	uint64_t last = region->last < in->last ? region->last : in->last;
	uint64_t inner_first, inner_last, up;
	const struct bk__space_span *span;
	struct bk__space_cursor cursor;

	if (!region->enabled)
		return 0;
	if (!region->nested) {
		struct bk__space_item item = {
			.first = first, .last = last, .region = region, .origin = region->first - region->base
		};

		return add_item(in, region, &item);
	}
	if (!bk__space_region_shows(region, &inner_first, &inner_last) ||
	    first - region->first > inner_last - inner_first)
		return 0;
	up = region->first - region->nested_first; /* address here = address there + up */
	if (inner_first < first - up)
		inner_first = first - up;
	if (inner_last - inner_first > last - (inner_first + up))
		inner_last = last - up;
	for (cursor = bk__space_view_find(region->nested->view, inner_first);
	     (span = bk__space_cursor_span(&cursor)) && bk__space_span_first(span) <= inner_last;
	     bk__space_cursor_next(&cursor)) {
		struct bk__space_item item = { .region = bk__space_rest(span)->region,
					       .origin = span->origin + up };

		item.first = (bk__space_span_first(span) > inner_first ? bk__space_span_first(span)
								       : inner_first) +
			     up;
		item.last =
			(bk__space_span_last(span) < inner_last ? bk__space_span_last(span) : inner_last) +
			up;
		if (add_item(in, region, &item))
			return -ENOMEM;
	}
	return 0;
}

static int compare_first(const void *left, const void *right)
{
	const struct bk__space_item *a = left, *b = right;

	return a->first < b->first ? -1 : a->first > b->first;
}

int bk__space_view_items(struct bk_space *space, uint64_t first, uint64_t last)
{
	struct collecting in = { .domain = space->domain, .first = first, .last = last, .sorted = true };
	int error;

	space->domain->items.count = 0;
	error = bk__space_regions_visit(space, first, last, collect, &in);
	if (!error && !in.sorted)
		qsort(space->domain->items.at, space->domain->items.count, sizeof(struct bk__space_item),
		      compare_first);
	return error;
}

/* ---- Who wins: a sweep over the items with a heap of those that cover the place ---- */

static bool beats(const struct bk__space_item *a, const struct bk__space_item *b)
{
	return a->priority != b->priority ? a->priority > b->priority : a->rank < b->rank;
}

static void heap_push(struct bk_domain *domain, struct bk__space_item *item)
{
	struct bk__space_item **heap = domain->heap.at;
	size_t at = domain->heap.count++;

	for (; at && beats(item, heap[(at - 1) / 2]); at = (at - 1) / 2)
		heap[at] = heap[(at - 1) / 2];
	heap[at] = item;
}

static void heap_pop(struct bk_domain *domain)
{
	struct bk__space_item **heap = domain->heap.at, *item = heap[--domain->heap.count];
	size_t count = domain->heap.count, at = 0;

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= count)
			break;
		if (child + 1 < count && beats(heap[child + 1], heap[child]))
			child++;
		if (!beats(heap[child], item))
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = item;
}

int bk__space_view_piece(struct bk_domain *domain, uint64_t first, uint64_t last, uint64_t origin,
			 struct bk_region *region)
{
	struct bk__space_piece *before =
		domain->pieces.count ? &domain->pieces.at[domain->pieces.count - 1] : NULL;

	if (before && before->region == region && before->origin == origin && before->last + 1 == first) {
		before->last = last;
		return 0;
	}
	if (bk__array_reserve(&domain->pieces, 1))
		return -ENOMEM;
	domain->pieces.at[domain->pieces.count++] =
		(struct bk__space_piece){ .first = first, .last = last, .origin = origin, .region = region };
	return 0;
}

int bk__space_view_pieces(struct bk_space *space, uint64_t first, uint64_t last)
{
	struct bk_domain *domain = space->domain;
	struct bk__space_item *item, *end;
	uint64_t at = first;

	domain->heap.count = 0;
	if (bk__space_view_items(space, first, last) || bk__array_reserve(&domain->heap, domain->items.count))
		return -ENOMEM;
	if (!domain->items.count)
		return 0;
	item = domain->items.at;
	end = item + domain->items.count;
	for (;;) {
		const struct bk__space_item *winner;
		uint64_t until;

		while (domain->heap.count && domain->heap.at[0]->last < at)
			heap_pop(domain);
		if (!domain->heap.count) {
			if (item == end)
				return 0;
			at = item->first;
		}
		while (item < end && item->first <= at)
			heap_push(domain, item++);
		winner = domain->heap.at[0];
		until = winner->last;
		while (item < end && item->first <= until) {
			if (beats(item, winner))
				until = item->first - 1;
			else
				heap_push(domain, item++);
		}
		if (bk__space_view_piece(domain, at, until, winner->origin, winner->region))
			return -ENOMEM;
		if (until >= last)
			return 0;
		at = until + 1;
	}
}
