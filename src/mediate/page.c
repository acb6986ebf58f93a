/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages that would be mapped if no trap were in a part of them. Registers
 * without a trap there exit too, so each such page is a region of its own with
 * counters, that answers while a trap has an edge in it. (A page that a trap
 * covers whole has no other registers.) It shows the same memory as the area
 * below it: whoever maps sees no difference.
 */
#include "mediate/mediate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* The first page that is not below `first`. */
static size_t position(const struct bk__region *region, uint64_t first)
{
	size_t low = 0, high = region->page_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (region->pages[middle]->first < first)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct bk__place *find(const struct bk__region *region, uint64_t first)
{
	size_t at = position(region, first);

	return at < region->page_count && region->pages[at]->first == first ? region->pages[at] : NULL;
}

/* The pages at the edges of a trap that it covers in part: at most two. */
static unsigned edges(const struct bk_trap *trap, uint64_t pages[2])
{
	const uint64_t mask = page_size() - 1, end = trap->offset + trap->length;
	unsigned count = 0;

	if (trap->offset & mask)
		pages[count++] = trap->offset & ~mask;
	if (end & mask && (!count || pages[0] != (end & ~mask)))
		pages[count++] = end & ~mask;
	return count;
}

static const struct bk__place *area_of(const struct bk__region *region, uint64_t first)
{
	for (unsigned i = 0; i < region->area_count; i++)
		if (first >= region->areas[i]->first &&
		    first - region->areas[i]->first < region->areas[i]->size)
			return region->areas[i];
	return NULL;
}

/* A region of its own over the area; disabled. */
static int add_region(struct bk_mediate *m, const struct bk__place *area, struct bk__place *page)
{
	struct bk_region_desc desc = bk__mapped_desc(area, page->first, page->size);
	struct bk_update *update = bk_update_begin(m->domain);
	int r;

	if (!update)
		return -ENOMEM;
	desc.priority = BK__PRIORITY_PAGE;
	desc.opaque = page;
	desc.disabled = true;
	r = bk_update_add(update, m->regions[page->region].space, &desc, &page->handle);
	if (r) {
		bk_update_drop(update);
		return r;
	}
	return bk_update_commit(update);
}

static int create(struct bk_mediate *m, unsigned index, const struct bk__place *area, uint64_t first)
{
	struct bk__region *region = &m->regions[index];
	struct bk__place *page;
	size_t at = position(region, first);
	int r;

	if (region->page_count == region->page_room) {
		size_t more = region->page_room ? 2 * region->page_room : 16;
		struct bk__place **pages = realloc(region->pages, more * sizeof(struct bk__place *));

		if (!pages)
			return -ENOMEM;
		region->pages = pages;
		region->page_room = more;
	}
	page = calloc(1, sizeof(*page));
	if (!page)
		return -ENOMEM;
	*page = (struct bk__place){
		.mediate = m,
		.region = index,
		.first = first,
		.size = page_size(),
		.host = area->host ? (uint8_t *)area->host + (first - area->first) : NULL,
		.owns_count = true,
	};
	r = add_region(m, area, page);
	if (r) {
		free(page);
		return r;
	}
	memmove(region->pages + at + 1, region->pages + at,
		(region->page_count - at) * sizeof(struct bk__place *));
	region->pages[at] = page;
	region->page_count++;
	return 0;
}

int bk__pages_prepare(struct bk_mediate *m, struct bk_trap *trap)
{
	const struct bk__region *region = &m->regions[trap->region];
	uint64_t pages[2];
	unsigned count = edges(trap, pages);

	for (unsigned i = 0; i < count; i++) {
		const struct bk__place *area = area_of(region, pages[i]);
		int r = area && !find(region, pages[i]) ? create(m, trap->region, area, pages[i]) : 0;

		if (r)
			return r;
	}
	for (unsigned i = 0; i < count; i++)
		trap->pages[i] = find(region, pages[i]);
	return 0;
}

/* Pages have one trap more, or one less. Where that is the first or was the last, they are switched by
 * `update`, if there is one. */
static int change(struct bk_mediate *m, struct bk_update *update, const struct bk_trap *trap, bool more)
{
	uint64_t pages[2];
	unsigned count = edges(trap, pages);

	for (unsigned i = 0; i < count; i++) {
		struct bk__place *page = find(&m->regions[trap->region], pages[i]);
		int r = 0;

		if (!page)
			continue;
		if (update && page->traps == (more ? 0 : 1))
			r = bk_update_enable(update, page->handle, more);
		if (r) { /* the first one has been counted */
			page = i ? find(&m->regions[trap->region], pages[0]) : NULL;
			if (page)
				page->traps += more ? -1u : 1u;
			return r;
		}
		page->traps += more ? 1u : -1u;
	}
	return 0;
}

int bk__pages_claim(struct bk_mediate *m, struct bk_update *update, const struct bk_trap *trap)
{
	return change(m, update, trap, true);
}

int bk__pages_release(struct bk_mediate *m, struct bk_update *update, const struct bk_trap *trap)
{
	return change(m, update, trap, false);
}

void bk__pages_undo(struct bk_mediate *m, const struct bk_trap *trap, bool claimed)
{
	change(m, NULL, trap, !claimed);
}
