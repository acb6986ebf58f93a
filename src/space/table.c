/* SPDX-License-Identifier: BSD-2-Clause */
/* Building the table of a view, and carrying it over from the view before. */
#include "table.h"

#include <string.h>

enum {
	SPARE_BUCKETS = 64, /* beyond one for each span */
	SLOTS_PER_SPAN = 4, /* what a table may take, all in all */
	SPARE_SLOTS = 1024,
	BUCKET_SLOTS = 4096,  /* what one bucket may take ... */
	SLOTS_PER_START = 64, /* ... for each span that begins in it */
	BUCKET_SLOTS_LEAST = 256,
};

/* Takes no access. */
static struct bk__span nobody = { .first = 1, .last = 0 };

static size_t slot_limit(size_t count)
{
	return count * SLOTS_PER_SPAN + SPARE_SLOTS;
}

static size_t bucket_limit(size_t count)
{
	return count + SPARE_BUCKETS;
}

size_t bk__table_view_bytes(size_t count)
{
	return sizeof(struct bk__view) + count * (sizeof(struct bk__span *) + sizeof(uint64_t)) +
	       slot_limit(count) * sizeof(struct bk__span *) + bucket_limit(count) * sizeof(uint32_t);
}

void bk__table_lay_out(struct bk__view *view, size_t count)
{
	view->count = count;
	view->spans = view->memory;
	view->slots = view->spans + count;
	view->firsts = (uint64_t *)(view->slots + slot_limit(count));
	view->buckets = (uint32_t *)(view->firsts + count);
	view->bucket_count = 0;
}

static uint64_t bucket_first(const struct bk__view *view, size_t bucket)
{
	return view->base + ((uint64_t)bucket << view->shift);
}

/* The log2 of the slot size that tells apart the spans which begin in the
 * bucket; if the bucket cannot afford that, they count as missed. */
static unsigned slot_shift(const struct bk__view *view, uint64_t first, size_t *missed)
{
	uint64_t last = first + view->bucket_mask, offsets = 0;
	size_t starts = 0, limit;
	unsigned shift = view->shift, finest;

	for (size_t i = bk__view_find(view, first); i < view->count && view->firsts[i] <= last; i++) {
		if (view->firsts[i] > first) {
			offsets |= view->firsts[i] - first;
			starts++;
		}
	}
	if (!starts)
		return shift;
	limit = SLOTS_PER_START * starts;
	limit = limit < BUCKET_SLOTS_LEAST ? BUCKET_SLOTS_LEAST : limit > BUCKET_SLOTS ? BUCKET_SLOTS : limit;
	finest = (unsigned)__builtin_ctzll(offsets);
	while (shift > finest && (uint64_t)1 << (view->shift - shift + 1) <= limit)
		shift--;
	if (shift > finest)
		*missed += starts;
	return shift;
}

/* Fills one bucket, in place if its slots suffice, else behind the others.
 * False if there is no room there. */
static bool fill_bucket(struct bk__view *view, size_t bucket, bool in_place, size_t *missed)
{
	uint32_t *entry = &view->buckets[bucket];
	uint64_t first = bucket_first(view, bucket);
	unsigned shift = slot_shift(view, first, missed);
	size_t count, at, i;

	/* Slots finer than need be do no harm, and who left may come back. */
	if (in_place && shift >= (*entry & BK__SLOT_SHIFT_MASK)) {
		shift = *entry & BK__SLOT_SHIFT_MASK;
		count = (size_t)1 << (view->shift - shift);
		at = *entry >> BK__SLOT_SHIFT_BITS;
	} else {
		count = (size_t)1 << (view->shift - shift);
		at = view->slot_count;
		if (count > slot_limit(view->count) - at || at + count > UINT32_MAX >> BK__SLOT_SHIFT_BITS)
			return false;
		view->slot_count += count;
	}
	*entry = (uint32_t)(at << BK__SLOT_SHIFT_BITS | shift);
	i = bk__view_find(view, first);
	for (size_t slot = 0; slot < count; slot++) {
		uint64_t from = first + ((uint64_t)slot << shift);

		/* The span that holds the slot's first byte, else one that begins in the slot. None
		 * outside it: such a one could go without a patch that touches this bucket. */
		while (i < view->count && view->spans[i]->last < from)
			i++;
		if (i < view->count && view->firsts[i] <= from + (((uint64_t)1 << shift) - 1))
			view->slots[at + slot] = view->spans[i];
		else
			view->slots[at + slot] = &nobody;
	}
	return true;
}

/* The smallest range of addresses in which `wanted` of the spans begin: its first one. */
static size_t smallest_window(const struct bk__view *view, size_t wanted)
{
	size_t best = 0;

	for (size_t i = 0; i + wanted <= view->count; i++) {
		if (view->firsts[i + wanted - 1] - view->firsts[i] <
		    view->firsts[best + wanted - 1] - view->firsts[best])
			best = i;
	}
	return best;
}

/* Makes the table over the window of so many spans. Returns how many spans are
 * left to searches: outside the window, or not told apart by their slots. */
static size_t build_window(struct bk__view *view, size_t wanted)
{
	size_t at = smallest_window(view, wanted), missed = view->count - wanted;
	const struct bk__span *end = view->spans[at + wanted - 1];
	uint64_t first = view->firsts[at], last;

	/* All of the last span, unless it alone would make the buckets too coarse. */
	last = end->last - end->first > end->first - first ? end->first : end->last;
	view->shift = 0;
	while ((last >> view->shift) - (first >> view->shift) >= bucket_limit(view->count))
		view->shift++;
	view->base = first >> view->shift << view->shift;
	view->bucket_mask = ((uint64_t)1 << view->shift) - 1;
	view->bucket_count = (size_t)((last - view->base) >> view->shift) + 1;
	view->slot_count = 0;
	for (size_t i = 0; i < view->bucket_count; i++) {
		if (!fill_bucket(view, i, false, &missed)) {
			view->bucket_count = i; /* the rest is left to searches */
			return view->count;
		}
	}
	return missed;
}

void bk__table_build(struct bk__view *view)
{
	/* Spans that lie far from the others make the buckets coarse: leave them out if that helps. */
	size_t wanted[] = { view->count, view->count - view->count / 20, view->count / 2 + 1 };
	size_t best = 0, best_missed = SIZE_MAX, missed = SIZE_MAX;

	view->base = view->bucket_mask = 0;
	view->shift = 0;
	view->bucket_count = view->slot_count = 0;
	view->built_count = view->count;
	if (view->count < 2)
		return;
	for (size_t i = 0; i < 3; i++) {
		missed = build_window(view, wanted[i]);
		if (missed < best_missed) {
			best = i;
			best_missed = missed;
		}
		if (missed <= view->count / 20)
			return;
	}
	if (missed != best_missed)
		build_window(view, wanted[best]);
}

void bk__table_patch(struct bk__view *view, const struct bk__view *old, const struct bk__patch *patches,
		     size_t count)
{
	size_t touched = 0, missed = 0;

	if (old->bucket_count == 0 || old->slot_count > slot_limit(view->count) ||
	    old->bucket_count > bucket_limit(view->count) || view->count > old->built_count * 2) {
		bk__table_build(view);
		return;
	}
	view->base = old->base;
	view->shift = old->shift;
	view->bucket_mask = old->bucket_mask;
	view->bucket_count = old->bucket_count;
	view->slot_count = old->slot_count;
	view->built_count = old->built_count;
	memcpy(view->buckets, old->buckets, old->bucket_count * sizeof(view->buckets[0]));
	memcpy(view->slots, old->slots, old->slot_count * sizeof(view->slots[0]));
	for (size_t i = 0; i < count; i++) {
		struct bk__range range = bk__patch_range(&patches[i], old, view);
		uint64_t end = bucket_first(view, view->bucket_count - 1) + view->bucket_mask;
		size_t bucket, last;

		if (range.last < view->base || range.first > end)
			continue;
		bucket = range.first < view->base ? 0 : (size_t)((range.first - view->base) >> view->shift);
		last = range.last > end ? view->bucket_count - 1
					: (size_t)((range.last - view->base) >> view->shift);
		touched += last - bucket + 1;
		for (; bucket <= last; bucket++) {
			if (touched > view->bucket_count / 2 || !fill_bucket(view, bucket, true, &missed)) {
				bk__table_build(view);
				return;
			}
		}
	}
}
