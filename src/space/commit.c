/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The commit of an update.
 *
 * It applies the changes to the regions, checks that the result is legal, resolves the views that it
 * touches, and only then publishes. Regions are visible only under the commit lock, so up to that point
 * each step can be undone: applying a change exchanges what it holds with what the region holds, and
 * doing so again in reverse order restores everything.
 */
#include "space/update.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- Applying and undoing ---- */

static int mark_dirty(struct bk_space *space, uint64_t first, uint64_t last)
{
	if (bk__array_reserve(&space->dirty, 1))
		return -ENOMEM;
	space->dirty.at[space->dirty.count++] = (struct bk__space_range){ first, last };
	return 0;
}

#define EXCHANGE(type, a, b)     \
	do {                     \
		type held = (a); \
		(a) = (b);       \
		(b) = held;      \
	} while (0)

/* Applies a change, or undoes one that has been applied. Cannot fail. */
static void exchange(struct bk__space_change *change, bool undo)
{
	struct bk_region *region = change->region;
	struct bk_space *space = region->space;

	switch (change->kind) {
	case BK__ADD:
	case BK__REMOVE:
		if ((change->kind == BK__ADD) != undo)
			bk__space_region_link(region);
		else
			bk__space_region_unlink(region);
		break;
	case BK__PLACE:
		if (change->place.shows)
			EXCHANGE(uint64_t, region->nested_first, change->place.nested_first);
		bk__space_tree_remove(&space->by_place, &region->by_place);
		EXCHANGE(uint64_t, region->first, change->place.first);
		EXCHANGE(uint64_t, region->last, change->place.last);
		__atomic_store_n(&region->length, region->last - region->first, __ATOMIC_RELAXED);
		bk__space_tree_insert(&space->by_place, &region->by_place);
		break;
	case BK__ENABLE:
		EXCHANGE(bool, region->enabled, change->enabled);
		break;
	case BK__ORDER:
		bk__space_tree_remove(&space->by_order, &region->by_order);
		EXCHANGE(int, region->priority, change->order.priority);
		EXCHANGE(uint64_t, region->rank, change->order.rank);
		bk__space_tree_insert(&space->by_order, &region->by_order);
		break;
	}
}

/* Would the change alter nothing? Config writes that repeat a value are common. */
static bool idle(const struct bk__space_change *change)
{
	const struct bk_region *region = change->region;

	switch (change->kind) {
	case BK__PLACE:
		return change->place.first == region->first && change->place.last == region->last &&
		       (!change->place.shows || change->place.nested_first == region->nested_first);
	case BK__ENABLE:
		return change->enabled == region->enabled;
	case BK__ORDER:
		return change->order.priority == region->priority && change->order.rank == region->rank;
	default:
		return false;
	}
}

static int apply(struct bk_update *update, struct bk__space_change *change)
{
	struct bk_region *region = change->region;

	if (region->present == (change->kind == BK__ADD))
		return bk__space_update_fail(update, -EINVAL, "region \"%s\" is changed after its removal",
					     region->name);
	if (!idle(change) && region->enabled && region->present &&
	    mark_dirty(region->space, region->first, region->last))
		return -ENOMEM;
	if (!idle(change)) {
		exchange(change, false);
		if (region->enabled && region->present &&
		    mark_dirty(region->space, region->first, region->last)) {
			exchange(change, true);
			return -ENOMEM;
		}
	}
	return 0;
}

/* ---- Is the result legal, and which spaces does it touch ---- */

/* Does the space, or one that shows it at whatever remove, show itself? What has been looked at in this epoch
 * does not, if it is not on the way from there to here. */
static bool shows_itself(struct bk_space *space)
{
	bool loop = false;

	if (space->on_way)
		return true;
	if (space->epoch == space->domain->epoch)
		return false;
	space->epoch = space->domain->epoch;
	space->on_way = true;
	for (struct bk_region *region = space->shown; region && !loop; region = region->next_shown)
		loop = shows_itself(region->space);
	space->on_way = false;
	return loop;
}

/* Before the update there was no loop: one that is there now goes through a space with a new nested region.
 */
static int check_loops(struct bk_update *update)
{
	update->domain->epoch++;
	for (size_t i = 0; i < update->changes.count; i++) {
		const struct bk_region *region = update->changes.at[i].region;

		if (update->changes.at[i].kind == BK__ADD && region->present && region->nested &&
		    shows_itself(region->space))
			return bk__space_update_fail(update, -ELOOP,
						     "region \"%s\" of \"%s\" would show it inside itself",
						     region->name, region->space->name);
	}
	return 0;
}

static int check_twin(struct bk_update *update, const struct bk_region *region)
{
	const struct bk_region *twin = bk__space_region_twin(region);

	if (!twin)
		return 0;
	return bk__space_update_fail(update, -EEXIST,
				     "regions \"%s\" and \"%s\" of \"%s\" have the same priority and rank",
				     region->name, twin->name, region->space->name);
}

static int check_end(struct bk_update *update, const struct bk_region *region)
{
	if (!region->nested || region->length <= UINT64_MAX - region->nested_first)
		return 0;
	return bk__space_update_fail(update, -EINVAL, "region \"%s\" would show \"%s\" beyond 2^64",
				     region->name, region->nested->name);
}

static int check_result(struct bk_update *update)
{
	for (size_t i = 0; i < update->changes.count; i++) {
		const struct bk__space_change *change = &update->changes.at[i];
		int error = 0;

		if (!change->region->present)
			continue;
		if (change->kind == BK__ADD || change->kind == BK__ORDER)
			error = check_twin(update, change->region);
		else if (change->kind == BK__PLACE)
			error = check_end(update, change->region);
		if (error)
			return error;
	}
	return check_loops(update);
}

/* Puts the space and all that show it in front of the list: children come before their parents. */
static void list_affected(struct bk_space *space)
{
	struct bk_domain *domain = space->domain;

	if (space->epoch == domain->epoch)
		return;
	space->epoch = domain->epoch;
	for (struct bk_region *region = space->shown; region; region = region->next_shown)
		list_affected(region->space);
	space->next_affected = domain->affected;
	domain->affected = space;
}

/* What changed in a nested space may change where it shows. */
static int dirty_parents(const struct bk_space *space)
{
	for (const struct bk_region *region = space->shown; region; region = region->next_shown) {
		uint64_t first, last, up = region->first - region->nested_first;

		if (!region->enabled || !bk__space_region_shows(region, &first, &last))
			continue;
		for (size_t i = 0; i < space->patches.count; i++) {
			struct bk__space_range range = space->patches.at[i].range;

			if (range.first > last || range.last < first)
				continue;
			if (mark_dirty(region->space, (range.first > first ? range.first : first) + up,
				       (range.last < last ? range.last : last) + up))
				return -ENOMEM;
		}
	}
	return 0;
}

static int resolve_affected(struct bk_update *update)
{
	struct bk_domain *domain = update->domain;

	domain->epoch++;
	for (size_t i = 0; i < update->changes.count; i++)
		list_affected(update->changes.at[i].region->space);
	for (struct bk_space *space = domain->affected; space; space = space->next_affected) {
		if (space->dirty.count && (bk__space_view_update(space) || dirty_parents(space)))
			return -ENOMEM;
	}
	return 0;
}

/* ---- Publishing ---- */

static void recycle_removal(struct bk_domain *domain, struct bk__space_removal *removal)
{
	free(removal);
}

/* What the commit leaves behind: what it took out of views, the turn that it needs, the regions removed. */
struct left {
	struct bk__space_retired *retired;
	struct bk__space_turn *turn;
	struct bk__space_removal *removed; /* NULL if there are none */
};

static void free_left(struct bk_domain *domain, struct left *left)
{
	if (left->retired)
		bk__space_record_free(domain, left->retired, left->retired->size_class);
	if (left->turn)
		bk__space_record_free(domain, left->turn, left->turn->size_class);
	free(left->removed);
}

/* The parts of views. The views themselves are added when they are published. */
static struct bk__space_retired *list_retired(struct bk_domain *domain)
{
	const size_t spans = domain->retired_spans.count, leaves = domain->retired_leaves.count;
	const size_t rows = domain->retired_rows.count;
	struct bk__space_retired *retired = bk__space_retired_create(domain, spans, leaves, rows);

	if (!retired)
		return NULL;
	retired->span_count = spans;
	retired->leaf_count = leaves;
	retired->row_count = rows;
	if (rows)
		memcpy(retired->rows, domain->retired_rows.at, rows * sizeof(retired->rows[0]));
	if (spans)
		memcpy(retired->spans, domain->retired_spans.at, spans * sizeof(retired->spans[0]));
	if (leaves)
		memcpy(retired->leaves, domain->retired_leaves.at, leaves * sizeof(retired->leaves[0]));
	return retired;
}

/* The turn that a commit of several new views takes; *needed: is it one? NULL if not, or if out of memory. */
static struct bk__space_turn *prepare_turn(struct bk_domain *domain, bool *needed)
{
	struct bk__space_turn *turn;
	unsigned size_class;
	size_t count = 0;

	for (const struct bk_space *space = domain->affected; space; space = space->next_affected)
		count += space->old_view != NULL;
	*needed = count > 1;
	if (!*needed)
		return NULL;
	turn = bk__space_record_alloc(domain, sizeof(*turn) + count * sizeof(turn->stand_ins[0]),
				      &size_class);
	if (!turn)
		return NULL;
	*turn = (struct bk__space_turn){ .size_class = size_class, .count = count };
	count = 0;
	for (struct bk_space *space = domain->affected; space; space = space->next_affected) {
		struct bk__space_stand_in *stand_in = &turn->stand_ins[count];

		if (!space->old_view)
			continue;
		*stand_in = (struct bk__space_stand_in){ .old = space->old_view, .new = space->view };
		stand_in->view.space = space;
		stand_in->view.turn = turn;
		count++;
	}
	return turn;
}

/* Each space shows its stand-in, then all of them turn, then each shows its new view. */
static void publish_views(struct bk_domain *domain, struct bk__space_turn *turn)
{
	struct bk__space_stand_in *stand_in = turn ? turn->stand_ins : NULL;

	for (struct bk_space *space = domain->affected; turn && space; space = space->next_affected) {
		if (space->old_view)
			bk__space_publish(space->published, &(stand_in++)->view);
	}
	if (turn)
		bk__space_publish(turn->done, true);
	for (struct bk_space *space = domain->affected; space; space = space->next_affected) {
		if (space->old_view)
			bk__space_publish(space->published, space->view);
	}
}

static bool removes(const struct bk_update *update)
{
	for (size_t i = 0; i < update->changes.count; i++) {
		if (update->changes.at[i].kind == BK__REMOVE)
			return true;
	}
	return false;
}

/* 0 or -ENOMEM; what there is then is in `left` all the same. */
static int prepare_left(const struct bk_update *update, struct left *left)
{
	bool turns, removal = removes(update);

	left->retired = list_retired(update->domain);
	left->turn = prepare_turn(update->domain, &turns);
	left->removed = removal ? malloc(sizeof(*left->removed)) : NULL;
	return left->retired && (left->turn || !turns) && (left->removed || !removal) ? 0 : -ENOMEM;
}

/* Everything the commit needs is there: from here on it cannot fail. What is retired
 * is still whole, for the listeners. */
static void publish(struct bk_update *update, const struct left *left)
{
	struct bk_domain *domain = update->domain;

	publish_views(domain, left->turn);
	left->retired->turns = left->turn;
	for (struct bk_space *space = domain->affected; space; space = space->next_affected) {
		if (space->old_view && space->old_view != &space->empty) {
			space->old_view->next = left->retired->views;
			left->retired->views = space->old_view;
		}
	}
	if (!left->removed)
		return;
	*left->removed = (struct bk__space_removal){ .recycle = recycle_removal, .number = domain->commits };
	for (size_t i = update->changes.count; i--;) {
		struct bk__space_change *change = &update->changes.at[i];

		if (change->kind == BK__REMOVE) {
			change->region->next_removed = left->removed->regions;
			left->removed->regions = change->region;
		}
	}
}

static int commit(struct bk_update *update, size_t *applied, struct left *left)
{
	struct bk_domain *domain = update->domain;
	int error = 0;

	domain->commits++;
	for (*applied = 0; *applied < update->changes.count; ++*applied) {
		error = apply(update, &update->changes.at[*applied]);
		if (error)
			return error;
	}
	error = check_result(update);
	if (!error)
		error = resolve_affected(update);
	if (!error)
		error = prepare_left(update, left);
	if (error) {
		free_left(domain, left);
		return error;
	}
	publish(update, left);
	bk__space_listeners_tell(domain);
	return 0;
}

static void undo(struct bk_update *update, size_t applied)
{
	struct bk_domain *domain = update->domain;

	for (size_t i = 0; i < domain->made_rows.count; i++)
		bk__space_row_free(domain, domain->made_rows.at[i]);
	for (size_t i = 0; i < domain->made_leaves.count; i++)
		bk__space_leaf_free(domain, domain->made_leaves.at[i]);
	for (struct bk_space *space = domain->affected; space; space = space->next_affected) {
		if (space->old_view) {
			bk__space_view_free(domain, space->view);
			space->view = space->old_view;
		}
	}
	for (size_t i = 0; i < domain->made_spans.count; i++)
		bk__space_span_free(domain, domain->made_spans.at[i]);
	while (applied--)
		exchange(&update->changes.at[applied], true);
}

/* Leaves nothing of the commit behind in the domain. */
static void clear(struct bk_update *update)
{
	struct bk_domain *domain = update->domain;

	for (size_t i = 0; i < update->changes.count; i++)
		update->changes.at[i].region->space->dirty.count = 0;
	while (domain->affected) {
		struct bk_space *space = domain->affected;

		domain->affected = space->next_affected;
		space->dirty.count = space->patches.count = space->stale.count = space->fresh.count = 0;
		space->old_view = NULL;
	}
	domain->made_spans.count = domain->retired_spans.count = 0;
	domain->made_leaves.count = domain->retired_leaves.count = 0;
	domain->made_rows.count = domain->retired_rows.count = 0;
}

/* Under the commit lock. *removed: were regions? */
static int commit_locked(struct bk_update *update, bool *removed)
{
	struct bk_domain *domain = update->domain;
	struct left left = { 0 };
	size_t applied = 0;
	int error;

	bk__space_recycle(domain, false);
	error = commit(update, &applied, &left);
	if (error)
		undo(update, applied);
	clear(update);
	*removed = !error && left.removed;
	if (error)
		return error;
	bk__space_retire(domain, left.retired);
	bk__space_reclaim_tidy(domain);
	if (*removed) /* these may be gone from here on */
		bk__space_removal_queue(domain, left.removed);
	return 0;
}

static __attribute__((cold)) int refuse(struct bk_update *update, int error, struct bk_error *err)
{
	if (update->line)
		bk_fail(err, -error, "%s", update->line->text);
	else if (error == -EDEADLK)
		bk_fail(err, EDEADLK, "a listener must not change an address space");
	else
		bk_fail(err, -error, "%s", strerror(-error));
	bk__space_update_free(update, false);
	return error;
}

int bk_update_commit(struct bk_update *update, struct bk_error *err)
{
	struct bk_domain *domain;
	bool removed = false;
	int error;

	if (!update)
		return bk_fail(err, ENOMEM, "out of memory");
	domain = update->domain;
	error = update->error;
	if (!error)
		error = bk__space_lock(domain);
	if (error)
		return refuse(update, error, err);
	error = commit_locked(update, &removed);
	bk__space_unlock(domain);
	if (error)
		return refuse(update, error, err);
	bk__space_update_free(update, true);
	if (removed && bk__space_read_ongoing())
		bk__space_reader_set(BK__READER_OWES);
	else if (removed)
		bk__space_reclaim_wait(domain);
	return 0;
}

int bk_region_add(struct bk_space *space, const struct bk_region_desc *desc, struct bk_region **region,
		  struct bk_error *err)
{
	struct bk_update *update = bk_update_begin(space->domain);
	struct bk_region *added = NULL;
	int error;

	bk_update_add(update, space, desc, &added);
	error = bk_update_commit(update, err);
	if (region)
		*region = error ? NULL : added;
	return error;
}

int bk_region_retire(struct bk_region *region)
{
	struct bk_domain *domain = region->space->domain;
	struct bk_update *update;
	int error;

	if (bk__space_read_ongoing() || bk__space_is_reclaimer(domain))
		return -EDEADLK;
	update = bk_update_begin(domain);
	bk_update_remove(update, region);
	error = bk_update_commit(update, NULL);
	return error ? error : bk_domain_synchronize(domain);
}
