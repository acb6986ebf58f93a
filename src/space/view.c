/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flattening: the view of a space, as spans in address order.
 *
 * Only the ranges that a commit has touched are resolved again. Spans outside
 * them, and those that come out the same, are shared with the view before, and
 * so are leaves in which nothing changed.
 */
#include "space/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SORT_FEW = 8 }; /* ranges that are sorted in place */

size_t bk__space_view_bytes(const struct bk__space_view *view)
{
	return sizeof(*view) + (view->windows[0].count + view->windows[1].count) * sizeof(uint64_t) +
	       view->leaf_count * (sizeof(view->firsts[0]) + sizeof(view->leaves[0]));
}

void bk__space_view_destroy(struct bk_domain *domain, struct bk__space_view *view)
{
	bk__space_table_rows(view, bk__space_row_free, domain);
	for (size_t i = 0; i < view->leaf_count; i++) {
		struct bk__space_leaf *leaf = view->leaves[i];

		for (size_t j = 0; j < leaf->count; j++)
			bk__space_span_free(domain, leaf->spans[j]);
		bk__space_leaf_free(domain, leaf);
	}
	bk__space_view_free(domain, view);
}

/* ---- From the old view to the new ---- */

/* A part of a span that nothing has changed. */
static int keep(struct bk_domain *domain, const struct bk__space_span *span, uint64_t first, uint64_t last)
{
	return bk__space_view_piece(domain, first, last, span->origin, bk__space_rest(span)->region);
}

static bool same(const struct bk__space_span *span, const struct bk__space_piece *piece)
{
	return bk__space_span_first(span) == piece->first && bk__space_span_last(span) == piece->last &&
	       span->origin == piece->origin && bk__space_rest(span)->region == piece->region;
}

/* See bk__space_span. */
static uint64_t limits_of(const struct bk__space_piece *piece)
{
	uint64_t start = piece->first - piece->origin, length = piece->last - piece->first;
	uint64_t end = length < UINT32_MAX - start ? start + length + 1 : UINT32_MAX, widths = 0;

	/* Offsets that are too high, or that wrap and so seem low: in the span, or behind it at addresses for
	 * which the table may name it, since a bucket has up to 1/32 of the space. */
	if (start >= UINT32_MAX || length > UINT64_MAX - start ||
	    (piece->origin > piece->first && piece->last >= UINT64_MAX / 32 * 31))
		return 0;
	for (uint64_t left = piece->region->widths; left; left &= left - 1) {
		const uint64_t width = left & -left;

		if (length >= width - 1)
			widths |= (uint64_t)1 << width;
	}
	if (piece->region->whole)
		widths |= BK__LIMITS_WHOLE;
	return widths << BK__LIMITS_WIDTHS | end;
}

static struct bk__space_span *make_span(struct bk_domain *domain, const struct bk__space_piece *piece)
{
	struct bk__space_span *span;

	if (bk__array_reserve(&domain->made_spans, 1))
		return NULL;
	span = bk__space_span_alloc(domain);
	if (!span)
		return NULL;
	domain->made_spans.at[domain->made_spans.count++] = span;
	*span = piece->region->answer;
	span->origin = piece->origin;
	span->limits = limits_of(piece);
	*bk__space_rest(span) = piece->region->rest;
	bk__space_rest(span)->first = piece->first;
	bk__space_rest(span)->length = piece->last - piece->first;
	return span;
}

static struct bk__space_range range_of(const struct bk_space *space, const struct bk__space_patch *patch)
{
	struct bk__space_span *const *old = space->stale.at + patch->at, *const *new = space->fresh.at +
										       patch->new_at;
	struct bk__space_range range = { UINT64_MAX, 0 };

	if (patch->count) {
		range.first = bk__space_span_first(old[0]);
		range.last = bk__space_span_last(old[patch->count - 1]);
	}
	if (patch->new_count) {
		uint64_t first = bk__space_span_first(new[0]),
			 last = bk__space_span_last(new[patch->new_count - 1]);

		range.first = first < range.first ? first : range.first;
		range.last = last > range.last ? last : range.last;
	}
	return range;
}

/* The pieces replace the `count` spans from the cursor on: a patch, without what stays at its ends. */
static int make_patch(struct bk_space *space, struct bk__space_cursor from, size_t count)
{
	struct bk_domain *domain = space->domain;
	const struct bk__space_piece *piece = domain->pieces.at, *piece_end = piece + domain->pieces.count;
	struct bk__space_patch patch = { .at = space->stale.count, .new_at = space->fresh.count };
	struct bk__space_span **old, **old_end;

	for (; count && piece < piece_end && same(bk__space_cursor_span(&from), piece); count--, piece++)
		bk__space_cursor_next(&from);
	patch.from = from;
	/* One more, so that an empty array has a place. */
	if (bk__array_reserve(&space->patches, 1) || bk__array_reserve(&space->stale, count + 1) ||
	    bk__array_reserve(&space->fresh, (size_t)(piece_end - piece) + 1) ||
	    bk__array_reserve(&domain->retired_spans, count))
		return -ENOMEM;
	if (!count && piece == piece_end)
		return 0;
	for (size_t i = 0; i < count; i++, bk__space_cursor_next(&from))
		space->stale.at[patch.at + i] = bk__space_cursor_span(&from);
	while (count && piece < piece_end && same(space->stale.at[patch.at + count - 1], piece_end - 1))
		count--, piece_end--;
	patch.count = count;
	patch.new_count = (size_t)(piece_end - piece);
	space->stale.count += patch.count;
	old = space->stale.at + patch.at;
	old_end = old + count;
	for (; piece < piece_end; piece++) {
		struct bk__space_span *span;

		while (old < old_end && bk__space_span_first(*old) < piece->first)
			domain->retired_spans.at[domain->retired_spans.count++] = *old++;
		span = old < old_end && same(*old, piece) ? *old++ : make_span(domain, piece);
		if (!span)
			return -ENOMEM;
		space->fresh.at[space->fresh.count++] = span;
	}
	while (old < old_end)
		domain->retired_spans.at[domain->retired_spans.count++] = *old++;
	patch.range = range_of(space, &patch);
	space->patches.at[space->patches.count++] = patch;
	return 0;
}

static int compare_ranges(const void *left, const void *right)
{
	const struct bk__space_range *a = left, *b = right;

	return a->first < b->first ? -1 : a->first > b->first;
}

/* By address. Most commits have two or four. */
static void sort_ranges(struct bk__space_range *range, size_t count)
{
	if (count > SORT_FEW) {
		qsort(range, count, sizeof(*range), compare_ranges);
		return;
	}
	for (size_t i = 1; i < count; i++) {
		const struct bk__space_range moved = range[i];
		size_t at = i;

		for (; at && moved.first < range[at - 1].first; at--)
			range[at] = range[at - 1];
		range[at] = moved;
	}
}

static void merge_dirty(struct bk_space *space)
{
	struct bk__space_range *range = space->dirty.at;
	size_t kept = 0;

	sort_ranges(range, space->dirty.count);
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
	const struct bk__space_range *dirty = space->dirty.at;
	uint64_t first = dirty[*i].first, last, from;
	struct bk__space_cursor begin = bk__space_view_find(space->view, first ? first - 1 : 0), end = begin;
	const struct bk__space_span *span = bk__space_cursor_span(&begin), *first_span = span,
				    *last_span = NULL;
	size_t count = 0;

	domain->pieces.count = 0;
	if (bk__array_reserve(&domain->pieces,
			      1)) /* so that it has a place, if only to say that there are none */
		return -ENOMEM;
	from = span && bk__space_span_first(span) < first ? bk__space_span_first(span) : first;
	do {
		first = dirty[*i].first;
		last = dirty[*i].last;
		/* Between two ranges there is one span, or none. */
		if ((from < first && keep(domain, last_span ? last_span : first_span, from, first - 1)) ||
		    bk__space_view_pieces(space, first, last))
			return -ENOMEM;
		from = last + 1;
		/* Past those that begin by last + 1. */
		for (; (span = bk__space_cursor_span(&end)) &&
		       (last == UINT64_MAX || bk__space_span_first(span) <= last + 1);
		     count++) {
			last_span = span;
			bk__space_cursor_next(&end);
		}
		++*i;
		/* Does the next range touch the last of them? */
	} while (*i < space->dirty.count && last_span &&
		 bk__space_span_last(last_span) >= dirty[*i].first - 1);
	if (last_span && bk__space_span_last(last_span) > last &&
	    keep(domain, last_span, from, bk__space_span_last(last_span)))
		return -ENOMEM;
	return make_patch(space, begin, count);
}

/* ---- Leaves ---- */

static void append(struct bk__space_view *view, struct bk__space_leaf *leaf)
{
	view->firsts[view->leaf_count] = leaf->firsts[0];
	view->leaves[view->leaf_count++] = leaf;
}

/* Puts what has been gathered into leaves of about the same size. */
static int add_leaves(struct bk_domain *domain, struct bk__space_view *view)
{
	size_t count = domain->gathered.count, leaves = (count + domain->leaf_spans - 1) / domain->leaf_spans,
	       at = 0;

	if (bk__array_reserve(&domain->made_leaves, leaves))
		return -ENOMEM;
	for (; leaves; leaves--) {
		struct bk__space_leaf *leaf = bk__space_leaf_alloc(domain);
		size_t share = (count - at) / leaves;

		if (!leaf)
			return -ENOMEM;
		domain->made_leaves.at[domain->made_leaves.count++] = leaf;
		leaf->count = share;
		for (size_t i = 0; i < share; i++) {
			leaf->spans[i] = domain->gathered.at[at + i];
			leaf->firsts[i] = bk__space_span_first(leaf->spans[i]);
		}
		at += share;
		append(view, leaf);
	}
	domain->gathered.count = 0;
	return 0;
}

static int gather(struct bk_domain *domain, struct bk__space_span *const *spans, size_t count)
{
	if (bk__array_reserve(&domain->gathered, count))
		return -ENOMEM;
	if (count)
		memcpy(domain->gathered.at + domain->gathered.count, spans, count * sizeof(*spans));
	domain->gathered.count += count;
	return 0;
}

/* Of the patches those that begin in leaf `i`, or behind it if it is the last one: what comes behind all
 * spans belongs to that. */
static const struct bk__space_patch *patches_end(const struct bk__space_patch *patch,
						 const struct bk__space_patch *end, size_t i, bool last)
{
	while (patch < end && patch->from.leaf <= (last ? i + 1 : i))
		patch++;
	return patch;
}

static size_t patch_place(const struct bk__space_patch *patch, const struct bk__space_leaf *leaf, size_t i)
{
	return patch->from.leaf == i ? patch->from.at : leaf->count;
}

/* How many spans leaf `i` has with its patches; 0: they reach into the next one. */
static size_t patched_count(const struct bk__space_leaf *leaf, size_t i, const struct bk__space_patch *patch,
			    const struct bk__space_patch *end)
{
	size_t count = leaf->count;

	for (; patch < end; patch++) {
		if (patch_place(patch, leaf, i) + patch->count > leaf->count)
			return 0;
		count += patch->new_count - patch->count;
	}
	return count;
}

/* Spans behind those that the leaf has. */
static void copy(struct bk__space_leaf *leaf, const struct bk__space_leaf *from, size_t at, size_t count)
{
	memcpy(leaf->spans + leaf->count, from->spans + at, count * sizeof(leaf->spans[0]));
	memcpy(leaf->firsts + leaf->count, from->firsts + at, count * sizeof(leaf->firsts[0]));
	leaf->count += count;
}

/* Makes one leaf of the old one and its patches, without gathering. 0 or -ENOMEM. */
static int patch_leaf(struct bk_space *space, struct bk__space_view *view, const struct bk__space_leaf *old,
		      size_t i, const struct bk__space_patch *patch, const struct bk__space_patch *end)
{
	struct bk_domain *domain = space->domain;
	struct bk__space_leaf *leaf;
	size_t at = 0;

	if (bk__array_reserve(&domain->made_leaves, 1))
		return -ENOMEM;
	leaf = bk__space_leaf_alloc(domain);
	if (!leaf)
		return -ENOMEM;
	domain->made_leaves.at[domain->made_leaves.count++] = leaf;
	leaf->count = 0;
	for (; patch < end; patch++) {
		copy(leaf, old, at, patch_place(patch, old, i) - at);
		for (size_t j = 0; j < patch->new_count; j++) {
			struct bk__space_span *span = space->fresh.at[patch->new_at + j];

			leaf->spans[leaf->count] = span;
			leaf->firsts[leaf->count++] = bk__space_span_first(span);
		}
		at = patch_place(patch, old, i) + patch->count;
	}
	copy(leaf, old, at, old->count - at);
	append(view, leaf);
	return 0;
}

/* Shares the old leaves that no patch touches. One whose patches leave it neither too small nor too large is
 * made anew. Others are gathered with the patches, and so are their neighbours behind them while it would
 * make a small leaf. */
static int make_leaves(struct bk_space *space, struct bk__space_view *view, const struct bk__space_view *old)
{
	struct bk_domain *domain = space->domain;
	const struct bk__space_patch *patch = space->patches.at, *end = patch + space->patches.count;
	size_t skip = 0; /* spans of the patch before that are in the leaves to come */

	domain->gathered.count = 0;
	for (size_t i = 0; i < old->leaf_count; i++) {
		struct bk__space_leaf *leaf = old->leaves[i];
		size_t at = skip < leaf->count ? skip : leaf->count;
		/* What comes behind all spans belongs to the last leaf. */
		bool patched = patch < end && patch->from.leaf <= (i + 1 < old->leaf_count ? i : i + 1);
		bool touched = at > 0 || patched ||
			       (domain->gathered.count && domain->gathered.count < domain->leaf_spans / 4);

		skip -= at;
		if (!touched) {
			if (domain->gathered.count && add_leaves(domain, view))
				return -ENOMEM;
			append(view, leaf);
			continue;
		}
		if (bk__array_reserve(&domain->retired_leaves, 1))
			return -ENOMEM;
		domain->retired_leaves.at[domain->retired_leaves.count++] = leaf;
		if (!at && !domain->gathered.count) {
			const struct bk__space_patch *own =
				patches_end(patch, end, i, i + 1 == old->leaf_count);
			const size_t spans = patched_count(leaf, i, patch, own);

			if (spans && spans >= domain->leaf_spans / 4 && spans <= domain->leaf_spans) {
				if (patch_leaf(space, view, leaf, i, patch, own))
					return -ENOMEM;
				patch = own;
				continue;
			}
		}
		for (; patch < end && patch->from.leaf == i; patch++) {
			size_t before = patch->from.at - at;

			if (gather(domain, leaf->spans + at, before) ||
			    gather(domain, space->fresh.at + patch->new_at, patch->new_count))
				return -ENOMEM;
			at = patch->from.at + patch->count;
			skip = at > leaf->count ? at - leaf->count : 0;
			at -= skip;
		}
		if (gather(domain, leaf->spans + at, leaf->count - at))
			return -ENOMEM;
	}
	for (; patch < end; patch++) {
		if (gather(domain, space->fresh.at + patch->new_at, patch->new_count))
			return -ENOMEM;
	}
	return domain->gathered.count ? add_leaves(domain, view) : 0;
}

int bk__space_view_update(struct bk_space *space)
{
	struct bk__space_view *old = space->view, *new;
	size_t count = old->count, leaves, entries;

	merge_dirty(space);
	for (size_t i = 0; i < space->dirty.count;) {
		if (patch_at(space, &i))
			return -ENOMEM;
	}
	if (!space->patches.count)
		return 0;
	count += space->fresh.count - space->stale.count;
	/* A patch makes no more leaves than what is gathered for it fills, and one. */
	leaves = old->leaf_count + space->fresh.count / (space->domain->leaf_spans / 2) +
		 2 * space->patches.count + 1;
	entries = bk__space_table_room(count, old);
	new = bk__space_view_alloc(space->domain, sizeof(*new) + (entries + leaves) * sizeof(uint64_t) +
							  leaves * sizeof(void *));
	if (!new)
		return -ENOMEM;
	new->space = space;
	new->turn = NULL;
	new->birth = space->domain->commits;
	new->count = count;
	new->leaf_count = 0;
	new->firsts = bk__space_entries(new) + entries;
	new->leaves = (struct bk__space_leaf **)(new->firsts + leaves);
	space->old_view = old;
	space->view = new;
	if (make_leaves(space, new, old))
		return -ENOMEM;
	return bk__space_table_patch(space);
}
