/* SPDX-License-Identifier: BSD-2-Clause */
/* Building the table of a view, and carrying it over from the view before. */
#include "table.h"

#include <string.h>

enum {
	SPARE_BUCKETS = 32, /* of a window, beyond one for each span */
	SLOTS_PER_SPAN = 4, /* what a table may take, all in all */
	SPARE_SLOTS = 1024,
	BUCKET_SLOTS = 4096,  /* what one bucket may take ... */
	SLOTS_PER_START = 64, /* ... for each span that begins in it */
	BUCKET_SLOTS_LEAST = 256,
};

/* Takes no access. */
static struct bk__span nobody = { .length = 0 };

static size_t slot_limit(size_t count)
{
	return count * SLOTS_PER_SPAN + SPARE_SLOTS;
}

static size_t bucket_limit(size_t count)
{
	return count + SPARE_BUCKETS;
}

static size_t bucket_room(size_t count)
{
	return bucket_limit(count) + SPARE_BUCKETS; /* in both windows */
}

static size_t bucket_total(const struct bk__view *view)
{
	return view->windows[0].bucket_count + view->windows[1].bucket_count;
}

size_t bk__table_view_bytes(size_t count)
{
	return sizeof(struct bk__view) + count * (sizeof(struct bk__span *) + sizeof(uint64_t)) +
	       slot_limit(count) * sizeof(struct bk__span *) + bucket_room(count) * 2 * sizeof(uint32_t);
}

static void no_windows(struct bk__view *view)
{
	uint32_t *buckets = (uint32_t *)(view->firsts + view->count);

	for (unsigned i = 0; i < 2; i++)
		view->windows[i] = (struct bk__window){ .buckets = buckets,
							.begun = buckets + bucket_room(view->count) };
	view->slot_count = 0;
}

void bk__table_lay_out(struct bk__view *view, size_t count)
{
	view->count = count;
	view->spans = view->memory;
	view->slots = view->spans + count;
	view->firsts = (uint64_t *)(view->slots + slot_limit(count));
	no_windows(view);
}

/* The log2 of the slot size that tells apart the spans which begin in the
 * bucket; if the bucket cannot afford that, they count as missed. */
static unsigned slot_shift(const struct bk__view *view, const struct bk__window *window, uint64_t first,
			   size_t *missed)
{
	uint64_t last = first + window->bucket_mask, offsets = 0;
	size_t starts = 0, limit;
	unsigned shift = window->shift, finest;

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
	while (shift > finest && (uint64_t)1 << (window->shift - shift + 1) <= limit)
		shift--;
	if (shift > finest)
		*missed += starts;
	return shift;
}

/* Fills one bucket, in place if its slots suffice, else behind the others.
 * False if there is no room there. */
static bool fill_bucket(struct bk__view *view, const struct bk__window *window, size_t bucket, bool in_place,
			size_t *missed)
{
	uint32_t *entry = &window->buckets[bucket];
	uint64_t first = window->base + ((uint64_t)bucket << window->shift);
	unsigned shift = slot_shift(view, window, first, missed);
	size_t count, at, i;

	/* Slots finer than need be do no harm, and who left may come back. */
	if (in_place && shift >= (*entry & BK__SLOT_SHIFT_MASK)) {
		shift = *entry & BK__SLOT_SHIFT_MASK;
		count = (size_t)1 << (window->shift - shift);
		at = *entry >> BK__SLOT_SHIFT_BITS;
	} else {
		count = (size_t)1 << (window->shift - shift);
		at = view->slot_count;
		if (count > slot_limit(view->count) - at || at + count > UINT32_MAX >> BK__SLOT_SHIFT_BITS)
			return false;
		view->slot_count += count;
	}
	*entry = (uint32_t)(at << BK__SLOT_SHIFT_BITS | shift);
	i = bk__view_find(view, first);
	window->begun[bucket] = (uint32_t)(i + (i < view->count && view->firsts[i] <= first));
	for (size_t slot = 0; slot < count; slot++) {
		uint64_t from = first + ((uint64_t)slot << shift);

		/* The span that holds the slot's first byte, else one that begins in the slot. None
		 * outside it: such a one could go without a patch that touches this bucket. */
		while (i < view->count && bk__span_last(view->spans[i]) < from)
			i++;
		if (i < view->count && view->firsts[i] <= from + (((uint64_t)1 << shift) - 1))
			view->slots[at + slot] = view->spans[i];
		else
			view->slots[at + slot] = &nobody;
	}
	return true;
}

/* A run of spans of the view. */
struct part {
	size_t at, count;
};

/* The `wanted` spans of a part that begin in the smallest range of addresses. */
static struct part closest(const struct bk__view *view, struct part part, size_t wanted)
{
	const uint64_t *firsts = view->firsts;
	size_t best = part.at;

	for (size_t i = part.at; i + wanted <= part.at + part.count; i++) {
		if (firsts[i + wanted - 1] - firsts[i] < firsts[best + wanted - 1] - firsts[best])
			best = i;
	}
	return (struct part){ best, wanted };
}

/* Makes a window over a run of spans. Returns how many of them are left to
 * searches because their slots do not tell them apart. */
static size_t build_window(struct bk__view *view, struct bk__window *window, struct part part)
{
	const struct bk__span *end = view->spans[part.at + part.count - 1];
	uint64_t first = view->firsts[part.at], last;
	size_t missed = 0;

	/* All of the last span, unless it alone would make the buckets too coarse. */
	last = end->length > end->first - first ? end->first : bk__span_last(end);
	window->shift = 0;
	while ((last >> window->shift) - (first >> window->shift) >= bucket_limit(part.count))
		window->shift++;
	window->base = first >> window->shift << window->shift;
	window->bucket_mask = ((uint64_t)1 << window->shift) - 1;
	window->bucket_count = (size_t)((last - window->base) >> window->shift) + 1;
	for (size_t i = 0; i < window->bucket_count; i++) {
		if (!fill_bucket(view, window, i, false, &missed)) {
			window->bucket_count = i; /* the rest is left to searches */
			return part.count;
		}
	}
	return missed;
}

/* Makes windows over one or two parts of the view, without `left_out` twentieths of each. */
static size_t build(struct bk__view *view, const struct part parts[2], unsigned left_out)
{
	size_t missed = 0;

	no_windows(view);
	for (unsigned i = 0; i < 2 && parts[i].count; i++) {
		struct part part = closest(view, parts[i], parts[i].count - parts[i].count * left_out / 20);

		view->windows[i].buckets = view->windows[0].buckets + view->windows[0].bucket_count;
		view->windows[i].begun = view->windows[0].begun + view->windows[0].bucket_count;
		missed += parts[i].count - part.count + build_window(view, &view->windows[i], part);
	}
	return missed;
}

void bk__table_build(struct bk__view *view)
{
	/* Spans that lie far from the others make the buckets coarse. If many do, the view is cut
	 * at its widest gap; if few do, they are left out. */
	struct part plans[2][2] = { { { 0, view->count } } };
	size_t cut = 1, best = 0, best_missed = SIZE_MAX;

	no_windows(view);
	view->built_count = view->count;
	if (view->count < 2)
		return;
	for (size_t i = 1; i < view->count; i++) {
		if (view->firsts[i] - view->firsts[i - 1] > view->firsts[cut] - view->firsts[cut - 1])
			cut = i;
	}
	plans[1][0] = (struct part){ 0, cut };
	plans[1][1] = (struct part){ cut, view->count - cut };
	for (size_t i = 0; i < 4; i++) {
		size_t missed = build(view, plans[i / 2], i % 2);

		if (missed <= view->count / 20)
			return;
		if (missed < best_missed) {
			best = i;
			best_missed = missed;
		}
	}
	if (best != 3)
		build(view, plans[best / 2], best % 2);
}

/* Fills the buckets that a range of addresses touches. False if the table is to be made anew. */
static bool patch_window(struct bk__view *view, const struct bk__window *window, struct bk__range range,
			 size_t *touched)
{
	size_t bucket, last, missed = 0;
	uint64_t end;

	if (!window->bucket_count)
		return true;
	end = window->base + ((uint64_t)(window->bucket_count - 1) << window->shift) + window->bucket_mask;
	if (range.last < window->base || range.first > end)
		return true;
	bucket = range.first < window->base ? 0 : (size_t)((range.first - window->base) >> window->shift);
	last = range.last > end ? window->bucket_count - 1
				: (size_t)((range.last - window->base) >> window->shift);
	*touched += last - bucket + 1;
	if (*touched > bucket_total(view) / 2)
		return false;
	for (; bucket <= last; bucket++) {
		if (!fill_bucket(view, window, bucket, true, &missed))
			return false;
	}
	return true;
}

/* Spans that come or go count for the buckets behind them; those that they touch are filled later. */
static void patch_begun(const struct bk__window *window, const struct bk__window *old_window,
			const struct bk__view *view, const struct bk__view *old,
			const struct bk__patch *patches, size_t count)
{
	size_t bucket = 0;
	uint32_t more = 0;

	for (size_t i = 0; i <= count; i++) {
		size_t end = window->bucket_count;

		if (i < count) {
			uint64_t last = bk__patch_range(&patches[i], old, view).last;
			uint64_t in = (last - window->base) >> window->shift;

			if (last < window->base)
				end = 0;
			else if (in < end)
				end = (size_t)in + 1;
		}
		for (; bucket < end; bucket++)
			window->begun[bucket] = old_window->begun[bucket] + more;
		if (i < count)
			more += (uint32_t)(patches[i].new_count - patches[i].count);
	}
}

void bk__table_patch(struct bk__view *view, const struct bk__view *old, const struct bk__patch *patches,
		     size_t count)
{
	size_t buckets = bucket_total(old), touched = 0;

	if (buckets == 0 || old->slot_count > slot_limit(view->count) ||
	    buckets > bucket_limit(view->count) || view->count > old->built_count * 2) {
		bk__table_build(view);
		return;
	}
	for (unsigned i = 0; i < 2; i++) {
		size_t before = i ? old->windows[0].bucket_count : 0;
		uint32_t *to = view->windows[0].buckets + before, *begun = view->windows[0].begun + before;

		view->windows[i] = old->windows[i];
		view->windows[i].buckets = to;
		view->windows[i].begun = begun;
		patch_begun(&view->windows[i], &old->windows[i], view, old, patches, count);
	}
	memcpy(view->windows[0].buckets, old->windows[0].buckets, buckets * sizeof(uint32_t));
	memcpy(view->slots, old->slots, old->slot_count * sizeof(view->slots[0]));
	view->slot_count = old->slot_count;
	view->built_count = old->built_count;
	for (size_t i = 0; i < count; i++) {
		struct bk__range range = bk__patch_range(&patches[i], old, view);

		if (!patch_window(view, &view->windows[0], range, &touched) ||
		    !patch_window(view, &view->windows[1], range, &touched)) {
			bk__table_build(view);
			return;
		}
	}
}
