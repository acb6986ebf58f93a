/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keeps what commits removed from views until no reader can see it; then the next commits use its
 * memory.
 *
 * A commit waits for no reader, and a reader may stay in a handler for
 * minutes. So it does not count how long readers stay, but what they see: each
 * has noted the view that it is in. What was retired before the oldest of
 * these views was made is in none of them. If that leaves too much, each object
 * is looked up in each of these views, and only those that are found there
 * stay. So all that waits is a number of commits, and what the views of readers
 * that stay inside are made of.
 *
 * All of it under the commit lock. No reader is waited for, but in one case:
 * one that is between two loads, and so holds no lock and waits for nobody.
 */
#include "space/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	LOOK_COUNT = 128, /* commits, or bytes that they retired, after which readers are looked at */
	LOOK_BYTES = 4 << 20,
	SWEEP_COUNT = 512, /* those that lead to a search object by object */
	SWEEP_BYTES = 16 << 20,
	INSIST_COUNT = 8192, /* those beyond which a reader that chooses its view is waited for */
	INSIST_BYTES = 64 << 20,
	RECYCLE_COUNT = 4, /* that a commit recycles: more than it makes, and not much to do */
};

struct bk__space_retired *bk__space_retired_create(struct bk_domain *domain, size_t spans, size_t leaves,
						   size_t rows)
{
	struct bk__space_retired *retired;
	unsigned size_class;

	retired = bk__space_record_alloc(domain,
					 sizeof(*retired) + rows * sizeof(retired->rows[0]) +
						 (spans + leaves) * sizeof(void *),
					 &size_class);
	if (!retired)
		return NULL;
	*retired = (struct bk__space_retired){ .size_class = size_class };
	retired->spans = (struct bk__space_span **)(retired->rows + rows);
	retired->leaves = (struct bk__space_leaf **)(retired->spans + spans);
	return retired;
}

static void set_bytes(struct bk__space_retired *retired)
{
	retired->bytes = sizeof(*retired) +
			 retired->row_count * (sizeof(retired->rows[0]) + sizeof(struct bk__space_span *)) +
			 retired->span_count * (sizeof(void *) + sizeof(struct bk__space_span) +
						sizeof(struct bk__space_rest)) +
			 retired->leaf_count * (sizeof(void *) + sizeof(struct bk__space_leaf));
	for (const struct bk__space_view *view = retired->views; view; view = view->next)
		retired->bytes += bk__space_view_bytes(view);
}

static void queue(struct bk_domain *domain, struct bk__space_retired *retired)
{
	retired->next = NULL;
	*domain->last_retired = retired;
	domain->last_retired = &retired->next;
}

/* The first of those that wait is for later commits to recycle. */
static void set_free(struct bk_domain *domain)
{
	struct bk__space_retired *retired = domain->retired;

	domain->retired = retired->next;
	if (!domain->retired)
		domain->last_retired = &domain->retired;
	if (!retired->swept) {
		domain->retired_count--;
		domain->retired_bytes -= retired->bytes;
	}
	retired->next = NULL;
	*domain->last_free = retired;
	domain->last_free = &retired->next;
}

static void recycle(struct bk_domain *domain, struct bk__space_retired *retired)
{
	for (size_t i = 0; i < retired->row_count; i++)
		bk__space_row_free(domain, retired->rows[i]);
	for (size_t i = 0; i < retired->leaf_count; i++)
		bk__space_leaf_free(domain, retired->leaves[i]);
	for (size_t i = 0; i < retired->span_count; i++)
		bk__space_span_free(domain, retired->spans[i]);
	while (retired->views) {
		struct bk__space_view *view = retired->views;

		retired->views = view->next;
		bk__space_view_free(domain, view);
	}
	while (retired->turns) {
		struct bk__space_turn *turn = retired->turns;

		retired->turns = turn->next;
		bk__space_record_free(domain, turn, turn->size_class);
	}
	bk__space_record_free(domain, retired, retired->size_class);
}

void bk__space_recycle(struct bk_domain *domain, bool all)
{
	for (unsigned i = 0; domain->free && (all || i < RECYCLE_COUNT); i++) {
		struct bk__space_retired *retired = domain->free;

		domain->free = retired->next;
		if (!domain->free)
			domain->last_free = &domain->free;
		recycle(domain, retired);
	}
}

/* ---- What readers see ---- */

static int note_view(void *opaque, const void *view)
{
	struct bk_domain *domain = opaque;

	if (bk__array_reserve(&domain->seen, 1))
		return -ENOMEM;
	domain->seen.at[domain->seen.count++] = view;
	return 0;
}

/* Readers see views of every domain, and some have left by now: none of them is followed that is not ours. */
static bool is_seen(const struct bk_domain *domain, const void *view)
{
	for (size_t i = 0; i < domain->seen.count; i++) {
		if (domain->seen.at[i] == view)
			return true;
	}
	return false;
}

static bool turn_is_seen(const struct bk_domain *domain, const struct bk__space_turn *turn)
{
	for (size_t i = 0; i < turn->count; i++) {
		if (is_seen(domain, &turn->stand_ins[i].view))
			return true;
	}
	return false;
}

static int hold(struct bk_domain *domain, const struct bk__space_view *view)
{
	if (bk__array_reserve(&domain->held, 1))
		return -ENOMEM;
	domain->held.at[domain->held.count++] = view;
	return 0;
}

/* domain->held becomes all views with retired parts that a reader may be in. 0, -EAGAIN or -ENOMEM. */
static int find_held(struct bk_domain *domain)
{
	int error;

	domain->seen.count = domain->held.count = 0;
	error = bk__space_readers(note_view, domain);
	if (error || !domain->seen.count)
		return error;
	for (const struct bk__space_retired *retired = domain->retired; retired; retired = retired->next) {
		for (const struct bk__space_view *view = retired->views; view; view = view->next) {
			if (is_seen(domain, view) && hold(domain, view))
				return -ENOMEM;
		}
		for (const struct bk__space_turn *turn = retired->turns; turn; turn = turn->next) {
			for (size_t i = 0; i < turn->count; i++) {
				const struct bk__space_stand_in *stand_in = &turn->stand_ins[i];

				if (is_seen(domain, &stand_in->view) &&
				    (hold(domain, stand_in->old) || hold(domain, stand_in->new)))
					return -ENOMEM;
			}
		}
	}
	return 0;
}

/* What may see a region that commit `number` removed, or the space that is gone. */
struct inside {
	const struct bk_domain *domain;
	uint64_t number;
};

/* A view that is not published any more and was made before the commit. */
static bool is_before(const struct inside *inside, const struct bk__space_retired *retired, const void *view)
{
	for (const struct bk__space_view *at = retired->views; at; at = at->next) {
		if (at == view)
			return at->birth < inside->number;
	}
	for (const struct bk__space_turn *turn = retired->turns; turn; turn = turn->next) {
		for (size_t i = 0; i < turn->count; i++) {
			if (&turn->stand_ins[i].view == view)
				return turn->stand_ins[i].old->birth < inside->number;
		}
	}
	return false;
}

static int look_inside(void *opaque, const void *view)
{
	const struct inside *inside = opaque;

	for (const struct bk_space *space = inside->domain->ending; space; space = space->next) {
		if (view == space->view || view == &space->empty)
			return -EBUSY;
	}
	for (const struct bk__space_retired *retired = inside->domain->retired; retired;
	     retired = retired->next) {
		if (is_before(inside, retired, view))
			return -EBUSY;
	}
	return 0;
}

bool bk__space_is_inside(struct bk_domain *domain, uint64_t number)
{
	struct inside inside = { domain, number };

	return bk__space_readers(look_inside, &inside) != 0;
}

static bool is_held(const struct bk_domain *domain, const struct bk__space_view *view)
{
	for (size_t i = 0; i < domain->held.count; i++) {
		if (domain->held.at[i] == view)
			return true;
	}
	return false;
}

/* ---- Object by object ---- */

static bool span_is_held(const struct bk_domain *domain, const struct bk__space_span *span)
{
	for (size_t i = 0; i < domain->held.count; i++) {
		if (bk__space_view_has_span(domain->held.at[i], span))
			return true;
	}
	return false;
}

static bool leaf_is_held(const struct bk_domain *domain, const struct bk__space_leaf *leaf)
{
	for (size_t i = 0; i < domain->held.count; i++) {
		if (bk__space_view_has_leaf(domain->held.at[i], leaf))
			return true;
	}
	return false;
}

static bool row_is_held(const struct bk_domain *domain, const struct bk__space_row *row)
{
	for (size_t i = 0; i < domain->held.count; i++) {
		if (bk__space_table_has_row(domain->held.at[i], row))
			return true;
	}
	return false;
}

/* Puts those of an array that are held behind the others; `kept` is how many they are. */
#define PART(type, domain, array, count, kept, is_held, how)              \
	do {                                                              \
		for (size_t i = (kept) = 0; i < (count) - (kept);) {      \
			type object = (array)[i];                         \
                                                                          \
			if (is_held(domain, how object)) {                \
				(array)[i] = (array)[(count) - ++(kept)]; \
				(array)[(count) - (kept)] = object;       \
			} else {                                          \
				i++;                                      \
			}                                                 \
		}                                                         \
	} while (0)

static void part(const struct bk_domain *domain, struct bk__space_retired *retired)
{
	PART(struct bk__space_span *, domain, retired->spans, retired->span_count, retired->held_spans,
	     span_is_held, );
	PART(struct bk__space_leaf *, domain, retired->leaves, retired->leaf_count, retired->held_leaves,
	     leaf_is_held, );
	PART(struct bk__space_row, domain, retired->rows, retired->row_count, retired->held_rows,
	     row_is_held, &);
}

/* Moves what is held from the end of the arrays, and the views and turns that are. */
static void move_held(const struct bk_domain *domain, struct bk__space_retired *from,
		      struct bk__space_retired *to)
{
	struct bk__space_view **view = &from->views;
	struct bk__space_turn **turn = &from->turns;

	from->span_count -= from->held_spans;
	memcpy(to->spans + to->span_count, from->spans + from->span_count,
	       from->held_spans * sizeof(from->spans[0]));
	to->span_count += from->held_spans;
	from->leaf_count -= from->held_leaves;
	memcpy(to->leaves + to->leaf_count, from->leaves + from->leaf_count,
	       from->held_leaves * sizeof(from->leaves[0]));
	to->leaf_count += from->held_leaves;
	from->row_count -= from->held_rows;
	memcpy(to->rows + to->row_count, from->rows + from->row_count,
	       from->held_rows * sizeof(from->rows[0]));
	to->row_count += from->held_rows;
	while (*view) {
		struct bk__space_view *at = *view;

		if (is_held(domain, at)) {
			*view = at->next;
			at->next = to->views;
			to->views = at;
		} else {
			view = &at->next;
		}
	}
	while (*turn) {
		struct bk__space_turn *at = *turn;

		if (turn_is_seen(domain, at)) {
			*turn = at->next;
			at->next = to->turns;
			to->turns = at;
		} else {
			turn = &at->next;
		}
	}
}

/* All that waits is free, but what is in a view that is held: that becomes one. */
static void sweep(struct bk_domain *domain)
{
	size_t spans = 0, leaves = 0, rows = 0;
	struct bk__space_retired *kept;

	for (struct bk__space_retired *retired = domain->retired; retired; retired = retired->next) {
		part(domain, retired);
		spans += retired->held_spans;
		leaves += retired->held_leaves;
		rows += retired->held_rows;
	}
	kept = bk__space_retired_create(domain, spans, leaves, rows);
	if (!kept) /* the next time */
		return;
	while (domain->retired) {
		kept->number = domain->retired->number;
		move_held(domain, domain->retired, kept);
		set_free(domain);
	}
	kept->swept = true;
	set_bytes(kept);
	queue(domain, kept);
}

/* ---- When ---- */

static bool is_beyond(const struct bk_domain *domain, size_t count, size_t bytes)
{
	return domain->retired_count >= count || domain->retired_bytes >= bytes;
}

/* Frees what no reader can see; object by object if that is worth it, or `thorough`. False if it could not be
 * found out. */
static bool look(struct bk_domain *domain, bool thorough)
{
	uint64_t oldest = UINT64_MAX;

	if (find_held(domain))
		return false;
	for (size_t i = 0; i < domain->held.count; i++) {
		if (domain->held.at[i]->birth < oldest)
			oldest = domain->held.at[i]->birth;
	}
	while (domain->retired && domain->retired->number <= oldest)
		set_free(domain);
	if (domain->retired && (thorough || is_beyond(domain, SWEEP_COUNT, SWEEP_BYTES)))
		sweep(domain);
	return true;
}

static void look_and_plan(struct bk_domain *domain, bool thorough)
{
	static const struct timespec moment = { .tv_nsec = 20000 };

	while (!look(domain, thorough) && is_beyond(domain, INSIST_COUNT, INSIST_BYTES))
		nanosleep(&moment, NULL);
	domain->look_count = domain->retired_count + LOOK_COUNT;
	domain->look_bytes = domain->retired_bytes + LOOK_BYTES;
}

void bk__space_retire(struct bk_domain *domain, struct bk__space_retired *retired)
{
	retired->number = domain->commits;
	set_bytes(retired);
	queue(domain, retired);
	domain->retired_count++;
	domain->retired_bytes += retired->bytes;
	if (is_beyond(domain, domain->look_count, domain->look_bytes))
		look_and_plan(domain, false);
}

bool bk__space_tidy(struct bk_domain *domain)
{
	if (domain->retired)
		look_and_plan(domain, true);
	bk__space_recycle(domain, true);
	bk__space_store_trim(domain);
	return !domain->retired;
}

void bk__space_retired_init(struct bk_domain *domain)
{
	domain->last_retired = &domain->retired;
	domain->last_free = &domain->free;
	domain->look_count = LOOK_COUNT;
	domain->look_bytes = LOOK_BYTES;
}

void bk__space_retired_end(struct bk_domain *domain)
{
	while (domain->retired)
		set_free(domain);
	bk__space_recycle(domain, true);
	free(domain->seen.at);
	free(domain->held.at);
}
