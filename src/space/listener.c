/* SPDX-License-Identifier: BSD-2-Clause */
/* Listeners: the exact difference between a view and the one before. */
#include "space/internal.h"

#include <errno.h>
#include <stdlib.h>

#include "base/struct.h"

static bool wanted(const struct bk_listener *listener, const struct bk__space_span *span)
{
	return !listener->ops.mapped_only || bk__space_rest(span)->region->kind == BK_REGION_MAPPED;
}

/* Within a patch a span that stays is the same object among the old and the new; both are in address order.
 */
struct walk {
	struct bk__space_span *const *old, *const *old_end, *const *new, *const *new_end;
};

static struct walk walk_of(const struct bk_space *space, const struct bk__space_patch *patch)
{
	struct bk__space_span *const *old = space->stale.at + patch->at;
	struct bk__space_span *const *new = space->fresh.at + patch->new_at;

	return (struct walk){ old, old + patch->count, new, new + patch->new_count };
}

/* The next span that is in one of the views only, and in which. */
static const struct bk__space_span *next_change(struct walk *walk, bool *removed)
{
	while (walk->old < walk->old_end && walk->new < walk->new_end && * walk->old == *walk->new)
		walk->old++, walk->new ++;
	if (walk->old < walk->old_end &&
	    (walk->new == walk->new_end ||
	     bk__space_span_first(*walk->old) <= bk__space_span_first(*walk->new))) {
		*removed = true;
		return *walk->old++;
	}
	*removed = false;
	return walk->new < walk->new_end ? *walk->new ++ : NULL;
}

/* Is there anything to tell, and does something that goes overlap something that comes? */
static void look(struct bk_listener *listener, bool *overlap)
{
	const struct bk_space *space = listener->space;
	const struct bk__space_span *last_of[2] = { NULL, NULL }; /* the latest added, removed */

	*overlap = false;
	listener->changed = false;
	for (size_t i = 0; i < space->patches.count; i++) {
		struct walk walk = walk_of(space, &space->patches.at[i]);
		const struct bk__space_span *span;
		bool removed;

		while ((span = next_change(&walk, &removed))) {
			if (!wanted(listener, span))
				continue;
			listener->changed = true;
			/* They come by first address, so only the latest of the others can reach this one. */
			if (last_of[!removed] &&
			    bk__space_span_last(last_of[!removed]) >= bk__space_span_first(span))
				*overlap = true;
			last_of[removed] = span;
		}
	}
}

static void tell_changes(const struct bk_listener *listener, bool removals)
{
	const struct bk_space *space = listener->space;
	void (*tell)(void *opaque, const struct bk_flat *flat) =
		removals ? listener->ops.removed : listener->ops.added;

	for (size_t i = 0; tell && i < space->patches.count; i++) {
		struct walk walk = walk_of(space, &space->patches.at[i]);
		const struct bk__space_span *span;
		bool removed;

		while (!listener->gone && (span = next_change(&walk, &removed))) {
			struct bk_flat flat;

			if (removed != removals || !wanted(listener, span))
				continue;
			bk__space_span_flat(span, &flat);
			tell(listener->opaque, &flat);
		}
	}
}

static void begin(const struct bk_listener *listener, bool overlap)
{
	if (listener->ops.begin)
		listener->ops.begin(listener->opaque, overlap);
}

static void end(const struct bk_listener *listener)
{
	if (listener->ops.end)
		listener->ops.end(listener->opaque);
}

enum phase { BEGIN, REMOVED, ADDED, END };

static void tell_phase(const struct bk_space *space, enum phase phase)
{
	for (struct bk_listener *listener = space->listeners; listener; listener = listener->next) {
		bool overlap;

		if (listener->gone)
			continue;
		if (phase == BEGIN) {
			look(listener, &overlap);
			if (listener->changed)
				begin(listener, overlap);
		} else if (listener->changed) {
			if (phase == END)
				end(listener);
			else
				tell_changes(listener, phase == REMOVED);
		}
	}
}

/* Frees the listeners that listeners removed, once no notice is on its way. */
static void free_gone(struct bk_domain *domain)
{
	if (!domain->listeners_gone)
		return;
	domain->listeners_gone = false;
	for (struct bk_space *space = domain->spaces; space; space = space->next) {
		struct bk_listener **link = &space->listeners;

		while (*link) {
			struct bk_listener *listener = *link;

			if (listener->gone) {
				*link = listener->next;
				free(listener);
			} else {
				link = &listener->next;
			}
		}
	}
}

void bk__space_listeners_tell(struct bk_domain *domain)
{
	bool any = false;

	for (const struct bk_space *space = domain->affected; space; space = space->next_affected)
		any |= space->listeners != NULL;
	for (enum phase phase = BEGIN; any && phase <= END; phase++) {
		for (struct bk_space *space = domain->affected; space; space = space->next_affected) {
			if (space->old_view)
				tell_phase(space, phase);
		}
	}
	free_gone(domain);
}

/* The whole view, to one that begins or ends to listen. */
static void tell_all(const struct bk_listener *listener,
		     void (*tell)(void *opaque, const struct bk_flat *flat))
{
	struct bk__space_cursor cursor = bk__space_view_begin(listener->space->view);
	const struct bk__space_span *span;

	begin(listener, false);
	for (; tell && !listener->gone && (span = bk__space_cursor_span(&cursor));
	     bk__space_cursor_next(&cursor)) {
		struct bk_flat flat;

		if (!wanted(listener, span))
			continue;
		bk__space_span_flat(span, &flat);
		tell(listener->opaque, &flat);
	}
	if (!listener->gone)
		end(listener);
}

int bk_listener_add(struct bk_space *space, const struct bk_listener_ops *ops, void *opaque,
		    struct bk_listener **result)
{
	struct bk_listener *listener = calloc(1, sizeof(*listener)), **link;
	int error;

	if (!listener)
		return -ENOMEM;
	error = bk__struct_take(&listener->ops, sizeof(listener->ops), ops);
	if (error) {
		free(listener);
		return error;
	}
	error = bk__space_lock(space->domain);
	if (error) {
		free(listener);
		return error;
	}
	listener->space = space;
	listener->opaque = opaque;
	for (link = &space->listeners; *link; link = &(*link)->next)
		;
	*link = listener;
	*result = listener;
	tell_all(listener, listener->ops.added);
	free_gone(space->domain);
	bk__space_unlock(space->domain);
	return 0;
}

void bk_listener_remove(struct bk_listener *listener)
{
	struct bk_domain *domain = listener->space->domain;
	struct bk_listener **link = &listener->space->listeners;

	if (bk__space_lock(domain)) { /* in a listener, which may be this one */
		listener->gone = domain->listeners_gone = true;
		return;
	}
	while (*link != listener)
		link = &(*link)->next;
	*link = listener->next;
	tell_all(listener, listener->ops.removed);
	free_gone(domain);
	bk__space_unlock(domain);
	free(listener);
}
