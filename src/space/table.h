/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From an address to the span that is likely to hold it, in two loads.
 *
 * A window over most of the spans is divided into buckets of one size. The
 * entry of a bucket leads to its row: slots of a size of its own, each of which
 * names the span at its first byte. A row is as fine as it takes to tell the
 * spans of the bucket apart; where that would be too fine, as for registers of
 * a few bytes far from each other, it is a list of them.
 * There are two windows if the spans lie in two heaps far from each other, as
 * BARs below 4 GiB and above do. Outside them a search of the leaves answers.
 *
 * What a slot names is a guess: the span's own end decides.
 *
 * Entries are copied from view to view; rows are shared.
 */
#ifndef BARKEEP_SPACE_TABLE_H
#define BARKEEP_SPACE_TABLE_H

#include "space/internal.h"

/*
 * An entry is where the row would begin if slots of this size were laid out
 * from the window's base on, and the log2 of that size in the low bits: one
 * shift of the distance from the base makes the place.
 */
enum { BK__SHIFT_BITS = 6, BK__SHIFT_MASK = (1 << BK__SHIFT_BITS) - 1 };

static inline struct bk__space_span **bk__space_entry_slot(uint64_t entry, uint64_t distance)
{
	int64_t base = (int64_t)entry >> BK__SHIFT_BITS;
	uint64_t at = (distance >> (entry & BK__SHIFT_MASK)) * sizeof(struct bk__space_span *);

	return (struct bk__space_span **)(uintptr_t)((uint64_t)base + at);
}

static inline const struct bk__space_span *bk__space_slot_span(uint64_t entry, uint64_t distance)
{
	const struct bk__space_span *span = *bk__space_entry_slot(entry, distance);

	if (!span)
		__builtin_unreachable(); /* every slot names one */
	return span;
}

/* How many entries a view of so many spans needs room for, if it follows the old one. */
size_t bk__space_table_room(size_t count, const struct bk__space_view *old);
/* Makes the table of space->view, whose leaves are there, out of that of the old view and the patches where
 * its windows are still good. 0 or -ENOMEM. */
int bk__space_table_patch(struct bk_space *space);
/* Is the row one of the view's? */
bool bk__space_table_has_row(const struct bk__space_view *view, const struct bk__space_row *row);
/* Calls `visit` for each row of the view's table. */
void bk__space_table_rows(const struct bk__space_view *view,
			  void (*visit)(struct bk_domain *domain, struct bk__space_row row),
			  struct bk_domain *domain);

/* A span that begins at or below the address, but need not reach as far, or the head of a list; NULL outside
 * the first window. */
static inline const struct bk__space_span *bk__space_first_guess(const struct bk__space_view *view,
								 uint64_t address)
{
	const struct bk__space_window *window = &view->windows[0];
	uint64_t distance = address - window->base, bucket = distance >> window->shift;

	if (bk__space_unlikely(bucket >= window->count))
		return NULL;
	return bk__space_slot_span(bk__space_entries(view)[bucket], distance);
}

/* The same for the second one. */
static inline const struct bk__space_span *bk__space_second_guess(const struct bk__space_view *view,
								  uint64_t address)
{
	const struct bk__space_window *window = &view->windows[1];
	uint64_t distance = address - window->base, bucket = distance >> window->shift;

	if (bk__space_unlikely(bucket >= window->count))
		return NULL;
	return bk__space_slot_span(bk__space_entries(view)[view->windows[0].count + bucket], distance);
}

/* The row of a bucket that has a list. */
static inline struct bk__space_row bk__space_list_row(struct bk__space_list *list)
{
	return (struct bk__space_row){ (struct bk__space_span **)&list->head.opaque, 0, 0 };
}

/* The span of a list that begins last at or below the address, or the head, which takes no access. */
static inline const struct bk__space_span *bk__space_list_find(const struct bk__space_span *head,
							       uint64_t address)
{
	const struct bk__space_listed *at = ((const struct bk__space_list *)head)->spans;

	if (!head->origin || at->first > address)
		return head;
	for (uint64_t half = head->origin / 2; half; half /= 2) /* without a branch to mispredict */
		at = at[half].first <= address ? at + half : at;
	return at->span;
}

#endif
