/* SPDX-License-Identifier: BSD-2-Clause */
/* Cursors: find an address among the spans of an existing view. */
#include "space/internal.h"

struct bk__space_cursor bk__space_view_find(const struct bk__space_view *view, uint64_t address)
{
	struct bk__space_cursor cursor = bk__space_view_begin(view);
	const struct bk__space_leaf *leaf;

	if (!view->leaf_count)
		return cursor;
	/* The last span that begins at or below the address. */
	cursor.leaf = bk__space_search(view->firsts, view->leaf_count, address);
	leaf = view->leaves[cursor.leaf];
	cursor.at = bk__space_search(leaf->firsts, leaf->count, address);
	if (bk__space_span_last(leaf->spans[cursor.at]) < address)
		bk__space_cursor_next(&cursor);
	return cursor;
}

bool bk__space_view_has_leaf(const struct bk__space_view *view, const struct bk__space_leaf *leaf)
{
	return view->leaf_count &&
	       view->leaves[bk__space_search(view->firsts, view->leaf_count, leaf->firsts[0])] == leaf;
}

bool bk__space_view_has_span(const struct bk__space_view *view, const struct bk__space_span *span)
{
	uint64_t first = bk__space_span_first(span);
	const struct bk__space_leaf *leaf;

	if (!view->leaf_count)
		return false;
	leaf = view->leaves[bk__space_search(view->firsts, view->leaf_count, first)];
	return leaf->spans[bk__space_search(leaf->firsts, leaf->count, first)] == span;
}

void bk__space_span_flat(const struct bk__space_span *span, struct bk_flat *flat)
{
	const struct bk_region *region = bk__space_rest(span)->region;

	flat->first = bk__space_span_first(span);
	flat->last = bk__space_span_last(span);
	flat->region = region;
	flat->offset = bk__space_span_offset(span, flat->first) - region->base;
	flat->memory = region->kind == BK_REGION_MAPPED ? &region->memory : NULL;
}
