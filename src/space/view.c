/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flattening: who answers each address of a space, as a sorted array of spans.
 *
 * A nested space is resolved before those that show it, so a nested region
 * contributes the spans of an array that exists already, each with the
 * region's own priority and rank; where that array has a hole it contributes
 * nothing, and what lies below shows through.
 *
 * Only the ranges that a commit has touched are resolved again. Spans outside
 * them, and those that come out the same, are shared with the view before.
 */
#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

size_t bk__view_find(const struct bk__view *view, uint64_t address)
{
	return bk__view_find_in(view, 0, view->count, address);
}

size_t bk__view_find_in(const struct bk__view *view, size_t low, size_t left, uint64_t address)
{
	const uint64_t *base = view->firsts + low;
	size_t at;

	if (!left)
		return low;
	/* The last span that begins at or below the address, without a branch to mispredict. */
	while (left > 1) {
		size_t half = left / 2;

		base = base[half] <= address ? base + half : base;
		left -= half;
	}
	at = (size_t)(base - view->firsts);
	return bk__span_last(view->spans[at]) < address ? at + 1 : at;
}

struct bk__range bk__patch_range(const struct bk__patch *patch, const struct bk__view *old,
				 const struct bk__view *new)
{
	struct bk__range range = { UINT64_MAX, 0 };

	if (patch->count) {
		range.first = old->firsts[patch->at];
		range.last = bk__span_last(old->spans[patch->at + patch->count - 1]);
	}
	if (patch->new_count) {
		uint64_t first = new->firsts[patch->new_at];
		uint64_t last = bk__span_last(new->spans[patch->new_at + patch->new_count - 1]);

		range.first = first < range.first ? first : range.first;
		range.last = last > range.last ? last : range.last;
	}
	return range;
}

void bk__span_flat(const struct bk__span *span, struct bk_flat *flat)
{
	const struct bk_region *region = span->region;

	flat->first = span->first;
	flat->last = bk__span_last(span);
	flat->region = region;
	flat->offset = span->start - region->base;
	flat->memory = region->kind == BK_REGION_MAPPED ? &region->memory : NULL;
}

/* ---- What each region would answer ---- */

struct collecting {
	struct bk_domain *domain;
	uint64_t first, last;
	bool sorted;
};

static int add_item(struct collecting *in, const struct bk_region *region, const struct bk__item *item)
{
	struct bk_domain *domain = in->domain;
	size_t count = domain->items.count;

	if (bk__reserve(&domain->items, 1))
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
	const struct bk__view *inner;

	if (!region->enabled)
		return 0;
	if (!region->nested) {
		struct bk__item item = {
			.first = first, .last = last, .region = region, .add = region->base - region->first
		};

		return add_item(in, region, &item);
	}
	if (!bk__region_shows(region, &inner_first, &inner_last) ||
	    first - region->first > inner_last - inner_first)
		return 0;
	up = region->first - region->nested_first; /* address here = address there + up */
	if (inner_first < first - up)
		inner_first = first - up;
	if (inner_last - inner_first > last - (inner_first + up))
		inner_last = last - up;
	inner = region->nested->view;
	for (size_t i = bk__view_find(inner, inner_first); i < inner->count; i++) {
		const struct bk__span *span = inner->spans[i];
		struct bk__item item = { .region = span->region, .add = bk__span_add(span) - up };

		if (span->first > inner_last)
			break;
		item.first = (span->first > inner_first ? span->first : inner_first) + up;
		item.last = (bk__span_last(span) < inner_last ? bk__span_last(span) : inner_last) + up;
		if (add_item(in, region, &item))
			return -ENOMEM;
	}
	return 0;
}

static int compare_first(const void *left, const void *right)
{
	const struct bk__item *a = left, *b = right;

	return a->first < b->first ? -1 : a->first > b->first;
}

int bk__view_items(struct bk_space *space, uint64_t first, uint64_t last)
{
	struct collecting in = { .domain = space->domain, .first = first, .last = last, .sorted = true };
	int error;

	space->domain->items.count = 0;
	error = bk__regions_visit(space, first, last, collect, &in);
	if (!error && !in.sorted)
		qsort(space->domain->items.at, space->domain->items.count, sizeof(struct bk__item),
		      compare_first);
	return error;
}

/* ---- Who wins: a sweep over the items with a heap of those that cover the place ---- */

static bool beats(const struct bk__item *a, const struct bk__item *b)
{
	return a->priority != b->priority ? a->priority > b->priority : a->rank < b->rank;
}

static void heap_push(struct bk_domain *domain, struct bk__item *item)
{
	struct bk__item **heap = domain->heap.at;
	size_t at = domain->heap.count++;

	for (; at && beats(item, heap[(at - 1) / 2]); at = (at - 1) / 2)
		heap[at] = heap[(at - 1) / 2];
	heap[at] = item;
}

static void heap_pop(struct bk_domain *domain)
{
	struct bk__item **heap = domain->heap.at, *item = heap[--domain->heap.count];
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

static int add_piece(struct bk_domain *domain, uint64_t first, uint64_t last, uint64_t add,
		     struct bk_region *region)
{
	struct bk__piece *before = domain->pieces.count ? &domain->pieces.at[domain->pieces.count - 1] : NULL;

	if (before && before->region == region && before->add == add && before->last + 1 == first) {
		before->last = last;
		return 0;
	}
	if (bk__reserve(&domain->pieces, 1))
		return -ENOMEM;
	domain->pieces.at[domain->pieces.count++] =
		(struct bk__piece){ .first = first, .last = last, .add = add, .region = region };
	return 0;
}

static int resolve(struct bk_space *space, uint64_t first, uint64_t last)
{
	struct bk_domain *domain = space->domain;
	struct bk__item *item, *end;
	uint64_t at = first;

	domain->heap.count = 0;
	if (bk__view_items(space, first, last) || bk__reserve(&domain->heap, domain->items.count))
		return -ENOMEM;
	if (!domain->items.count)
		return 0;
	item = domain->items.at;
	end = item + domain->items.count;
	for (;;) {
		const struct bk__item *winner;
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
		if (add_piece(domain, at, until, winner->add, winner->region))
			return -ENOMEM;
		if (until >= last)
			return 0;
		at = until + 1;
	}
}

/* ---- From the old view to the new ---- */

/* What the old view has in [first, last]. */
static int keep(struct bk_domain *domain, const struct bk__view *old, uint64_t first, uint64_t last)
{
	for (size_t i = bk__view_find(old, first); i < old->count && old->spans[i]->first <= last; i++) {
		const struct bk__span *span = old->spans[i];

		if (add_piece(domain, span->first > first ? span->first : first,
			      bk__span_last(span) < last ? bk__span_last(span) : last, bk__span_add(span),
			      span->region))
			return -ENOMEM;
	}
	return 0;
}

static bool same(const struct bk__span *span, const struct bk__piece *piece)
{
	return span->first == piece->first && bk__span_last(span) == piece->last &&
	       bk__span_add(span) == piece->add && span->region == piece->region;
}

static struct bk__span *bear(struct bk_domain *domain, const struct bk__piece *piece)
{
	struct bk__span *span;

	if (bk__reserve(&domain->born, 1))
		return NULL;
	span = bk__span_alloc(domain);
	if (!span)
		return NULL;
	domain->born.at[domain->born.count++] = span;
	*span = piece->region->answer;
	span->first = piece->first;
	span->length = piece->last - piece->first;
	span->start = piece->first + piece->add;
	for (unsigned width = 2; width <= 8; width *= 2) { /* see takes() in dispatch.c */
		if (piece->last - piece->first < width - 1)
			span->accepts[width - 1] = false;
	}
	return span;
}

/* The pieces replace the old spans [at, end): a patch, without what stays at its ends. */
static int make_patch(struct bk_space *space, size_t at, size_t end)
{
	struct bk_domain *domain = space->domain;
	struct bk__span *const *old = space->view->spans;
	const struct bk__piece *piece = domain->pieces.at, *piece_end = piece + domain->pieces.count;
	struct bk__patch *patch;

	while (at < end && piece < piece_end && same(old[at], piece))
		at++, piece++;
	while (at < end && piece < piece_end && same(old[end - 1], piece_end - 1))
		end--, piece_end--;
	if (at == end && piece == piece_end)
		return 0;
	if (bk__reserve(&space->patches, 1) || bk__reserve(&space->fresh, (size_t)(piece_end - piece)) ||
	    bk__reserve(&domain->died, end - at))
		return -ENOMEM;
	patch = &space->patches.at[space->patches.count++];
	*patch = (struct bk__patch){ .at = at, .count = end - at, .new_count = (size_t)(piece_end - piece) };
	patch->new_at = space->fresh.count; /* in `fresh`; bk__view_update makes it a place in the view */
	for (; piece < piece_end; piece++) {
		struct bk__span *span;

		while (at < end && old[at]->first < piece->first)
			domain->died.at[domain->died.count++] = old[at++];
		if (at < end && same(old[at], piece))
			span = old[at++];
		else
			span = bear(domain, piece);
		if (!span)
			return -ENOMEM;
		space->fresh.at[space->fresh.count++] = span;
	}
	while (at < end)
		domain->died.at[domain->died.count++] = old[at++];
	return 0;
}

static int compare_ranges(const void *left, const void *right)
{
	const struct bk__range *a = left, *b = right;

	return a->first < b->first ? -1 : a->first > b->first;
}

static void merge_dirty(struct bk_space *space)
{
	struct bk__range *range = space->dirty.at;
	size_t kept = 0;

	if (space->dirty.count > 1)
		qsort(range, space->dirty.count, sizeof(*range), compare_ranges);
	for (size_t i = 1; i < space->dirty.count; i++) {
		if (range[kept].last == UINT64_MAX || range[i].first <= range[kept].last + 1) {
			if (range[i].last > range[kept].last)
				range[kept].last = range[i].last;
		} else {
			range[++kept] = range[i];
		}
	}
	space->dirty.count = kept + 1;
}

/* One patch for dirty range `i` and those that follow it within the same old
 * spans; `*i` is moved past them. Spans that only touch a range belong to the
 * patch, since what is resolved there may continue them. */
static int patch_at(struct bk_space *space, size_t *i)
{
	struct bk_domain *domain = space->domain;
	const struct bk__view *old = space->view;
	const struct bk__range *dirty = space->dirty.at;
	uint64_t first = dirty[*i].first, last;
	size_t at = bk__view_find(old, first ? first - 1 : 0), end = at;
	uint64_t from = at < old->count && old->spans[at]->first < first ? old->spans[at]->first : first;

	domain->pieces.count = 0;
	if (bk__reserve(&domain->pieces, 1)) /* so that it has a place, if only to say that there are none */
		return -ENOMEM;
	do {
		first = dirty[*i].first;
		last = dirty[*i].last;
		if ((from < first && keep(domain, old, from, first - 1)) || resolve(space, first, last))
			return -ENOMEM;
		from = last + 1;
		/* One past those that begin by last + 1. */
		end = last == UINT64_MAX ? old->count : bk__view_find(old, last + 1);
		if (end < old->count && old->spans[end]->first <= last + 1)
			end++;
		++*i;
	} while (*i < space->dirty.count && bk__view_find(old, dirty[*i].first - 1) < end);
	if (end > at && bk__span_last(old->spans[end - 1]) > last &&
	    keep(domain, old, from, bk__span_last(old->spans[end - 1])))
		return -ENOMEM;
	return make_patch(space, at, end);
}

static void copy_spans(struct bk__view *new, size_t to, const struct bk__view *old, size_t from, size_t count)
{
	if (!count) /* the empty view has no arrays */
		return;
	memcpy(&new->spans[to], &old->spans[from], count * sizeof(new->spans[0]));
	memcpy(&new->firsts[to], &old->firsts[from], count * sizeof(new->firsts[0]));
}

int bk__view_update(struct bk_space *space)
{
	struct bk__view *old = space->view, *new;
	size_t count = old->count, from = 0, to = 0;

	merge_dirty(space);
	for (size_t i = 0; i < space->dirty.count;) {
		if (patch_at(space, &i))
			return -ENOMEM;
	}
	if (!space->patches.count)
		return 0;
	for (size_t i = 0; i < space->patches.count; i++)
		count += space->patches.at[i].new_count - space->patches.at[i].count;
	new = bk__view_alloc(space->domain, bk__table_view_bytes(count));
	if (!new)
		return -ENOMEM;
	bk__table_lay_out(new, count);
	new->space = space;
	for (size_t i = 0; i < space->patches.count; i++) {
		struct bk__patch *patch = &space->patches.at[i];

		copy_spans(new, to, old, from, patch->at - from);
		to += patch->at - from;
		for (size_t j = 0; j < patch->new_count; j++) {
			new->spans[to + j] = space->fresh.at[patch->new_at + j];
			new->firsts[to + j] = new->spans[to + j]->first;
		}
		patch->new_at = to;
		to += patch->new_count;
		from = patch->at + patch->count;
	}
	copy_spans(new, to, old, from, old->count - from);
	bk__table_patch(new, old, space->patches.at, space->patches.count);
	space->old_view = old;
	space->view = new;
	return 0;
}
