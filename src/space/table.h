/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From an address to the span that is likely to hold it, in two loads.
 *
 * A window over most of the spans is divided into buckets of one size, each
 * bucket into slots of a size of its own, fine enough to tell its spans apart.
 * There are two windows if the spans lie in two heaps far from each other, as
 * BARs below 4 GiB and above do.
 * What a slot names is a guess: the span's own range decides, and where the
 * guess is wrong, or the address outside the window, a search answers.
 */
#ifndef BARKEEP_SPACE_TABLE_H
#define BARKEEP_SPACE_TABLE_H

#include "internal.h"

/* The memory of a view of so many spans. */
size_t bk__table_view_bytes(size_t count);
/* Divides that memory; the spans are to be filled in. */
void bk__table_lay_out(struct bk__view *view, size_t count);
/* Makes the table of a view whose spans are there. */
void bk__table_build(struct bk__view *view);
/* The same, out of the table of the view before and the patches between them. */
void bk__table_patch(struct bk__view *view, const struct bk__view *old, const struct bk__patch *patches,
		     size_t count);

/* A span, which need not hold the address, or NULL if the window does not cover it. */
static inline const struct bk__span *bk__window_guess(const struct bk__view *view,
						      const struct bk__window *window, uint64_t address)
{
	uint64_t distance = address - window->base, bucket = distance >> window->shift;
	const struct bk__span *span;
	uint32_t entry;

	if (bk__unlikely(bucket >= window->bucket_count))
		return NULL;
	entry = window->buckets[bucket];
	span = view->slots[(entry >> BK__SLOT_SHIFT_BITS) +
			   ((distance & window->bucket_mask) >> (entry & BK__SLOT_SHIFT_MASK))];
	if (!span)
		__builtin_unreachable(); /* every slot names one */
	return span;
}

/* The same for both windows. */
static inline const struct bk__span *bk__table_guess(const struct bk__view *view, uint64_t address)
{
	const struct bk__span *span = bk__window_guess(view, &view->windows[0], address);

	return bk__likely(span != NULL) ? span : bk__window_guess(view, &view->windows[1], address);
}

/* As bk__view_find, but within one bucket where the address lies in a window. */
static inline size_t bk__table_find(const struct bk__view *view, uint64_t address)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct bk__window *window = &view->windows[i];
		uint64_t bucket = (address - window->base) >> window->shift;
		size_t low, high;

		if (bucket >= window->bucket_count)
			continue;
		low = window->begun[bucket];
		low -= low > 0;
		high = bucket + 1 < window->bucket_count ? window->begun[bucket + 1] : view->count;
		return bk__view_find_in(view, low, high > low ? high - low : view->count > 0, address);
	}
	return bk__view_find(view, address);
}

#endif
