/* SPDX-License-Identifier: BSD-2-Clause */
/* Creates and destroys spaces, and keeps their counters. */
#include "space/ends.h"
#include "space/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/struct.h"

static void link_space(struct bk_space *space, struct bk_space **list)
{
	space->next = *list;
	space->link = list;
	if (space->next)
		space->next->link = &space->next;
	*list = space;
}

static void unlink_space(struct bk_space *space)
{
	*space->link = space->next;
	if (space->next)
		space->next->link = space->link;
}

struct bk_space *bk_space_create(struct bk_domain *domain, const char *name, uint64_t last)
{
	struct bk_space *space;
	void *memory;

	if (posix_memalign(&memory, 64, sizeof(*space)))
		return NULL;
	space = memory;
	memset(space, 0, sizeof(*space));
	space->domain = domain;
	space->last = last;
	space->by_place = bk__space_tree_by_place;
	space->by_order = bk__space_tree_by_order;
	space->empty.space = space;
	space->view = space->published = &space->empty;
	space->name = strdup(name ? name : "");
	if (!space->name || bk__space_lock(domain))
		goto out_of_memory;
	link_space(space, &domain->spaces);
	domain->space_count++;
	bk__space_unlock(domain);
	return space;

out_of_memory:
	free(space->name);
	free(space);
	return NULL;
}

static void recycle_space(struct bk_domain *domain, struct bk__space_removal *removal)
{
	struct bk_space *space = bk__space_container(removal, struct bk_space, removal);

	bk__space_lock(domain);
	unlink_space(space);
	bk__space_view_destroy(domain, space->view);
	bk__space_unlock(domain);
	free(space->dirty.at);
	free(space->patches.at);
	free(space->stale.at);
	free(space->fresh.at);
	free(space->name);
	free(space);
}

/* Does anybody else listen to one of these, or show it? Commit lock. */
static bool is_busy(struct bk_space *const *spaces, size_t count, const struct bk_space *space)
{
	for (const struct bk_region *region = space->shown; region; region = region->next_shown) {
		size_t i = 0;

		while (i < count && spaces[i] != region->space)
			i++;
		if (i == count)
			return true;
	}
	return space->listeners != NULL;
}

/* Commit lock. */
static void destroy(struct bk_domain *domain, struct bk_space *space)
{
	bk__space_publish(space->published, &space->empty);
	while (space->by_place.root) {
		struct bk_region *region =
			bk__space_container(space->by_place.root, struct bk_region, by_place);

		bk__space_region_unlink(region);
		region->next_removed = space->removal.regions;
		space->removal.regions = region;
	}
	unlink_space(space);
	link_space(space, &domain->ending);
	domain->space_count--;
	space->removal.recycle = recycle_space;
	space->removal.number = domain->commits + 1; /* the view that it had until now has them, too */
	bk__space_removal_queue(domain, &space->removal);
}

int bk_space_destroy_all(struct bk_space *const *spaces, size_t count)
{
	struct bk_domain *domain = count ? spaces[0]->domain : NULL;
	int error = domain ? bk__space_lock(domain) : 0;

	if (error || !domain)
		return error;
	for (size_t i = 0; i < count && !error; i++)
		error = is_busy(spaces, count, spaces[i]) ? -EBUSY : 0;
	for (size_t i = 0; i < count && !error; i++)
		destroy(domain, spaces[i]);
	bk__space_unlock(domain);
	return error;
}

int bk_space_destroy(struct bk_space *space)
{
	return bk_space_destroy_all(&space, 1);
}

bool bk__space_in_use(struct bk_space *space)
{
	bool used = true;

	if (!bk__space_lock(space->domain)) {
		used = is_busy(NULL, 0, space);
		bk__space_unlock(space->domain);
	}
	return used;
}

struct bk_domain *bk_space_domain(const struct bk_space *space)
{
	return space->domain;
}

const char *bk_space_name(const struct bk_space *space)
{
	return space->name;
}

uint64_t bk_space_last(const struct bk_space *space)
{
	return space->last;
}

void bk_space_stats(const struct bk_space *space, struct bk_space_stats *stats)
{
	const struct bk_space_stats now = {
		.unclaimed_reads = __atomic_load_n(&space->unclaimed_reads, __ATOMIC_RELAXED),
		.unclaimed_writes = __atomic_load_n(&space->unclaimed_writes, __ATOMIC_RELAXED),
		.errors = __atomic_load_n(&space->errors, __ATOMIC_RELAXED),
	};

	bk__struct_give(stats, &now, sizeof(now));
}

void bk_space_on_error(struct bk_space *space, bk_error_fn *fn, void *opaque)
{
	space->on_error = fn;
	space->on_error_opaque = opaque;
}
