/* SPDX-License-Identifier: BSD-2-Clause */
/* Building the table of a view, and carrying it over from the view before. */
#include "space/table.h"

#include <errno.h>
#include <string.h>

enum {
	SPARE_BUCKETS = 32,  /* of a window, beyond one for each two spans */
	SLOTS_PER_START = 8, /* what a row may take for each span that begins in its bucket ... */
	SLOTS_LEAST = 16,    /* ... if that is not less */
	LOG2_SLOTS_MOST = 12,
	LIST_LEAST = 8,
	OUTSIDE_LEAST = 8, /* so few spans outside the windows are no reason to choose others */
};

static size_t bucket_limit(size_t count)
{
	return count / 2 + SPARE_BUCKETS;
}

static size_t entry_count(const struct bk__space_view *view)
{
	return view->windows[0].count + view->windows[1].count;
}

static size_t entry_limit(size_t count)
{
	return bucket_limit(count) + SPARE_BUCKETS; /* of both windows */
}

size_t bk__space_table_room(size_t count, const struct bk__space_view *old)
{
	size_t kept = entry_count(old), limit = entry_limit(count);

	return kept > limit && kept <= limit * 2 ? kept : limit;
}

static uint64_t bucket_first(const struct bk__space_window *window, size_t bucket)
{
	return window->base + ((uint64_t)bucket << window->shift);
}

static uint64_t bucket_mask(const struct bk__space_window *window)
{
	return ((uint64_t)1 << window->shift) - 1;
}

static bool covers(const struct bk__space_window *window, uint64_t address)
{
	return (address - window->base) >> window->shift < window->count;
}

static bool inside(const struct bk__space_view *view, uint64_t address)
{
	return covers(&view->windows[0], address) || covers(&view->windows[1], address);
}

/* ---- Rows ---- */

/* The log2 of how many slots tell apart spans that begin in a bucket, if these are all the bits of their
 * offsets in it. */
static unsigned log2_slots(uint64_t offsets, unsigned bucket_shift)
{
	return offsets ? bucket_shift - (unsigned)__builtin_ctzll(offsets) : 0;
}

/* May `starts` spans that begin in a bucket have so many slots? */
static bool affordable(unsigned log2, size_t starts)
{
	size_t limit = starts * SLOTS_PER_START;

	return log2 <= LOG2_SLOTS_MOST && (size_t)1 << log2 <= (limit > SLOTS_LEAST ? limit : SLOTS_LEAST);
}

static struct bk__space_row row_of(const struct bk__space_window *window, size_t bucket, uint64_t entry)
{
	unsigned shift = entry & BK__SHIFT_MASK;

	return (struct bk__space_row){ bk__space_entry_slot(entry, (uint64_t)bucket << window->shift),
				       window->shift - shift, bucket_first(window, bucket) };
}

static uint64_t entry_of(const struct bk__space_window *window, size_t bucket, struct bk__space_row row)
{
	unsigned shift = window->shift - row.log2_slots;
	uint64_t before = ((uint64_t)bucket << row.log2_slots) * sizeof(struct bk__space_span *);

	return ((uint64_t)(uintptr_t)row.slots - before) << BK__SHIFT_BITS | shift;
}

static int list_row(struct bk_domain *domain, struct bk__space_cursor cursor, size_t count,
		    struct bk__space_row *row)
{
	struct bk__space_list *list;
	size_t room = LIST_LEAST;

	while (room < count)
		room *= 2;
	list = bk__space_list_alloc(domain, room);
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++, bk__space_cursor_next(&cursor)) {
		list->spans[i].span = bk__space_cursor_span(&cursor);
		list->spans[i].first = bk__space_span_first(list->spans[i].span);
	}
	for (size_t i = count; i < room; i++) {
		list->spans[i] = list->spans[count - 1];
		list->spans[i].first = UINT64_MAX;
	}
	*row = bk__space_list_row(list);
	return 0;
}

static int slots_row(struct bk_domain *domain, struct bk__space_cursor cursor, uint64_t first,
		     unsigned slot_shift, unsigned log2, struct bk__space_row *row)
{
	struct bk__space_span **slots = bk__space_slots_alloc(domain, log2),
			      *span = bk__space_cursor_span(&cursor);

	if (!slots)
		return -ENOMEM;
	for (size_t slot = 0; slot < (size_t)1 << log2; slot++) {
		uint64_t from = first + ((uint64_t)slot << slot_shift);

		while (span && bk__space_span_last(span) < from) {
			bk__space_cursor_next(&cursor);
			span = bk__space_cursor_span(&cursor);
		}
		slots[slot] = span && bk__space_span_first(span) <= from ? span : &bk__space_nobody.head;
	}
	*row = (struct bk__space_row){ slots, log2, first };
	return 0;
}

/* Gives a bucket the row that the leaves call for. 0 or -ENOMEM. */
static int fill_bucket(struct bk_space *space, const struct bk__space_window *window, uint64_t *entries,
		       size_t bucket)
{
	struct bk_domain *domain = space->domain;
	uint64_t first = bucket_first(window, bucket), last = first + bucket_mask(window), offsets = 0;
	struct bk__space_cursor cursor = bk__space_view_find(space->view, first), begin = cursor;
	size_t count = 0, starts = 0;
	struct bk__space_span *span;
	struct bk__space_row row = bk__space_list_row(&bk__space_nobody);
	unsigned log2;
	int error = 0;

	for (; (span = bk__space_cursor_span(&cursor)) && bk__space_span_first(span) <= last;
	     bk__space_cursor_next(&cursor)) {
		count++;
		if (bk__space_span_first(span) > first) {
			offsets |= bk__space_span_first(span) - first;
			starts++;
		}
	}
	if (bk__array_reserve(&domain->made_rows, 1))
		return -ENOMEM;
	log2 = log2_slots(offsets, window->shift);
	if (count && affordable(log2, starts))
		error = slots_row(domain, begin, first, window->shift - log2, log2, &row);
	else if (count)
		error = list_row(domain, begin, count, &row);
	if (error)
		return error;
	domain->made_rows.at[domain->made_rows.count++] = row;
	entries[bucket] = entry_of(window, bucket, row);
	return 0;
}

bool bk__space_table_has_row(const struct bk__space_view *view, const struct bk__space_row *row)
{
	const uint64_t *entries = bk__space_entries(view);

	if (row->slots == (struct bk__space_span **)&bk__space_nobody.head.opaque)
		return false; /* a part of every view, and never freed */
	for (unsigned w = 0; w < 2; w++) {
		const struct bk__space_window *window = &view->windows[w];
		uint64_t bucket = (row->first - window->base) >> window->shift;

		if (bucket < window->count && row_of(window, bucket, entries[bucket]).slots == row->slots)
			return true;
		entries += window->count;
	}
	return false;
}

void bk__space_table_rows(const struct bk__space_view *view,
			  void (*visit)(struct bk_domain *domain, struct bk__space_row row),
			  struct bk_domain *domain)
{
	const uint64_t *entries = bk__space_entries(view);

	for (unsigned w = 0; w < 2; w++) {
		for (size_t i = 0; i < view->windows[w].count; i++)
			visit(domain, row_of(&view->windows[w], i, entries[i]));
		entries += view->windows[w].count;
	}
}

/* ---- Where the windows are ---- */

/* A run of spans of the view, by number. */
struct part {
	size_t at, count;
};

/* The first addresses of all spans of a view, and what is made of them. */
struct plan {
	const uint64_t *firsts;
	const struct bk__space_view *view;
	struct part parts[2]; /* a window for each that has spans */
	unsigned left_out;    /* twentieths of each part that may lie outside its window */
};

/* The `wanted` spans of a part that begin in the smallest range of addresses. */
static struct part closest(const uint64_t *firsts, struct part part, size_t wanted)
{
	size_t best = part.at;

	for (size_t i = part.at; i + wanted <= part.at + part.count; i++) {
		if (firsts[i + wanted - 1] - firsts[i] < firsts[best + wanted - 1] - firsts[best])
			best = i;
	}
	return (struct part){ best, wanted };
}

static struct part part_of(const struct plan *plan, unsigned i)
{
	struct part part = plan->parts[i];

	return closest(plan->firsts, part, part.count - part.count * plan->left_out / 20);
}

static struct bk__space_window window_over(const struct plan *plan, struct part part)
{
	uint64_t first = plan->firsts[part.at], last_first = plan->firsts[part.at + part.count - 1], last;
	struct bk__space_cursor cursor = bk__space_view_find(plan->view, last_first);
	const struct bk__space_span *end = bk__space_cursor_span(&cursor);
	struct bk__space_window window = { 0 };

	/* All of the last span, unless it would make the buckets too coarse for others. */
	last = part.count > 1 && bk__space_rest(end)->length > last_first - first ? last_first
										  : bk__space_span_last(end);
	while ((last >> window.shift) - (first >> window.shift) >= bucket_limit(part.count))
		window.shift++;
	window.base = first >> window.shift << window.shift;
	window.count = (size_t)((last - window.base) >> window.shift) + 1;
	return window;
}

/* How many spans of a part no slots would tell apart. */
static size_t crowded(const struct plan *plan, struct part part, const struct bk__space_window *window)
{
	size_t missed = 0, i = part.at;

	while (i < part.at + part.count) {
		uint64_t bucket = (plan->firsts[i] - window->base) >> window->shift, offsets = 0;
		size_t starts = 0;

		for (;
		     i < part.at + part.count && (plan->firsts[i] - window->base) >> window->shift == bucket;
		     i++) {
			uint64_t offset = plan->firsts[i] & bucket_mask(window);

			offsets |= offset;
			starts += offset > 0;
		}
		if (!affordable(log2_slots(offsets, window->shift), starts))
			missed += starts;
	}
	return missed;
}

/* How many spans the plan leaves to something slower than slots. */
static size_t missed_by(const struct plan *plan)
{
	size_t missed = 0;

	for (unsigned i = 0; i < 2 && plan->parts[i].count; i++) {
		struct part part = part_of(plan, i);
		struct bk__space_window window = window_over(plan, part);

		missed += plan->parts[i].count - part.count + crowded(plan, part, &window);
	}
	return missed;
}

static void choose_windows(struct bk__space_view *view, const uint64_t *firsts)
{
	/* Spans that lie far from the others make the buckets coarse. If many do, the view is cut
	 * at its widest gap; if few do, they are left out. */
	struct plan best = { 0 };
	size_t cut = 1, best_missed = SIZE_MAX; /* of the simplest plan that is not much worse than others */

	for (size_t i = 1; i < view->count; i++) {
		if (firsts[i] - firsts[i - 1] > firsts[cut] - firsts[cut - 1])
			cut = i;
	}
	for (unsigned i = 0; i < 4 && best_missed > view->count / 20; i++) {
		struct plan plan = { .firsts = firsts, .view = view, .left_out = i % 2 };
		size_t missed;

		plan.parts[0] = (struct part){ 0, i < 2 ? view->count : cut };
		plan.parts[1] = (struct part){ cut, i < 2 ? 0 : view->count - cut };
		missed = missed_by(&plan);
		if (!i || missed + view->count / 20 < best_missed) {
			best = plan;
			best_missed = missed;
		}
	}
	for (unsigned i = 0; i < 2 && best.parts[i].count; i++)
		view->windows[i] = window_over(&best, part_of(&best, i));
}

static void no_windows(struct bk__space_view *view)
{
	memset(view->windows, 0, sizeof(view->windows));
	view->outside = view->built_outside = view->count;
	view->built_count = view->count;
}

/* Makes the table of space->view, whose leaves are there. 0 or -ENOMEM. */
static int build(struct bk_space *space)
{
	struct bk__space_view *view = space->view;
	struct bk_domain *domain = space->domain;
	uint64_t *entries = bk__space_entries(view);
	size_t n = 0;

	no_windows(view);
	if (!view->count)
		return 0;
	domain->firsts.count = 0;
	if (bk__array_reserve(&domain->firsts, view->count))
		return -ENOMEM;
	for (size_t i = 0; i < view->leaf_count; n += view->leaves[i++]->count)
		memcpy(&domain->firsts.at[n], view->leaves[i]->firsts,
		       view->leaves[i]->count * sizeof(domain->firsts.at[0]));
	choose_windows(view, domain->firsts.at);
	for (unsigned w = 0; w < 2; w++) {
		for (size_t i = 0; i < view->windows[w].count; i++) {
			if (fill_bucket(space, &view->windows[w], entries, i))
				return -ENOMEM;
		}
		entries += view->windows[w].count;
	}
	view->outside = 0;
	for (size_t i = 0; i < view->count; i++)
		view->outside += !inside(view, domain->firsts.at[i]);
	view->built_outside = view->outside;
	return 0;
}

/* ---- From the old view to the new ---- */

static size_t count_outside(const struct bk__space_view *view, struct bk__space_span *const *spans,
			    size_t count)
{
	size_t outside = 0;

	for (size_t i = 0; i < count; i++)
		outside += !inside(view, bk__space_span_first(spans[i]));
	return outside;
}

/* Are the windows of the old view good for the new one? */
static bool windows_fit(const struct bk__space_view *view, const struct bk__space_view *old)
{
	return entry_count(old) && entry_count(old) <= entry_limit(view->count) * 2 &&
	       view->count <= old->built_count * 2 &&
	       view->outside <= view->count / 16 + old->built_outside * 2 + OUTSIDE_LEAST;
}

/* Buckets of a window, which has some, that a range of addresses touches: [first, last]; none if first >
 * last.
 */
static void touched(const struct bk__space_window *window, struct bk__space_range range, size_t *first,
		    size_t *last)
{
	uint64_t end = bucket_first(window, window->count - 1) + bucket_mask(window);

	*first = 1;
	*last = 0;
	if (range.last < window->base || range.first > end)
		return;
	*first = range.first < window->base ? 0 : (size_t)((range.first - window->base) >> window->shift);
	*last = range.last > end ? window->count - 1 : (size_t)((range.last - window->base) >> window->shift);
}

static int refill(struct bk_space *space, const struct bk__space_window *window, uint64_t *entries,
		  const uint64_t *old_entries)
{
	struct bk_domain *domain = space->domain;
	size_t next = 0, first, last;

	for (size_t i = 0; i < space->patches.count; i++) { /* in address order */
		touched(window, space->patches.at[i].range, &first, &last);
		for (first = first > next ? first : next; first <= last; first++) {
			if (bk__array_reserve(&domain->retired_rows, 1) ||
			    fill_bucket(space, window, entries, first))
				return -ENOMEM;
			domain->retired_rows.at[domain->retired_rows.count++] =
				row_of(window, first, old_entries[first]);
			next = first + 1;
		}
	}
	return 0;
}

/* Counts what the patches touch in both windows, so that there is a limit to what is done bucket by bucket.
 */
static size_t touched_count(const struct bk_space *space)
{
	size_t count = 0, first, last;

	for (size_t i = 0; i < space->patches.count; i++) {
		for (unsigned w = 0; w < 2 && space->view->windows[w].count; w++) {
			touched(&space->view->windows[w], space->patches.at[i].range, &first, &last);
			count += first <= last ? last - first + 1 : 0;
		}
	}
	return count;
}

static void retire_row(struct bk_domain *domain, struct bk__space_row row)
{
	domain->retired_rows.at[domain->retired_rows.count++] = row;
}

int bk__space_table_patch(struct bk_space *space)
{
	struct bk__space_view *view = space->view;
	const struct bk__space_view *old = space->old_view;
	size_t second = old->windows[0].count;

	memcpy(view->windows, old->windows, sizeof(view->windows));
	view->outside = old->outside + count_outside(view, space->fresh.at, space->fresh.count) -
			count_outside(view, space->stale.at, space->stale.count);
	if (!windows_fit(view, old) || touched_count(space) > entry_count(old) / 2) {
		if (bk__array_reserve(&space->domain->retired_rows, entry_count(old)) || build(space))
			return -ENOMEM;
		bk__space_table_rows(old, retire_row, space->domain);
		return 0;
	}
	view->built_count = old->built_count;
	view->built_outside = old->built_outside;
	memcpy(bk__space_entries(view), bk__space_entries(old), entry_count(old) * sizeof(uint64_t));
	if (refill(space, &view->windows[0], bk__space_entries(view), bk__space_entries(old)))
		return -ENOMEM;
	if (!view->windows[1].count)
		return 0;
	return refill(space, &view->windows[1], bk__space_entries(view) + second,
		      bk__space_entries(old) + second);
}
