/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages that would be mapped if no trap were in a part of them. Registers
 * without a trap there exit too, so each such page has counters while a trap
 * has an edge in it. (A page that a trap covers whole has no other registers.)
 *
 * A page is only counters: registers beside a trap stay in one region with those of the pages around, so that
 * no access is split at page edges. Accesses find them without a lock, in chains by hash. The list in order
 * is for people.
 */
#include "mediate/mediate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The most chains of a region; else it has one for each page. */
#define BUCKETS_MOST 1024

uint64_t bk__mediate_page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

static int is_before(const void *element, const void *first)
{
	return (*(struct bk__mediate_page *const *)element)->first < *(const uint64_t *)first;
}

/* The first page that is not below `first`. */
static size_t position(const struct bk__mediate_region *region, uint64_t first)
{
	return bk__array_search(region->pages.at, region->pages.count, sizeof(*region->pages.at), &first,
				is_before);
}

static struct bk__mediate_page *find(const struct bk__mediate_region *region, uint64_t first)
{
	size_t at = position(region, first);

	return at < region->pages.count && region->pages.at[at]->first == first ? region->pages.at[at] : NULL;
}

/* The pages that a trap covers in part, at its edges: at most two. */
static unsigned edges(const struct bk_trap *trap, uint64_t pages[2])
{
	const uint64_t mask = trap->mediate->page_size - 1, end = trap->offset + trap->length;
	unsigned count = 0;

	if (trap->offset & mask)
		pages[count++] = trap->offset & ~mask;
	if (end & mask && (!count || pages[0] != (end & ~mask)))
		pages[count++] = end & ~mask;
	return count;
}

static bool is_mappable(const struct bk__mediate_region *region, uint64_t first)
{
	for (size_t i = 0; i < region->area_count; i++)
		if (first >= region->areas[i]->first &&
		    first - region->areas[i]->first < region->areas[i]->size)
			return true;
	return false;
}

static struct bk__mediate_page **chain_of(struct bk__mediate_page **buckets,
					  const struct bk__mediate_region *region, uint64_t first,
					  uint64_t page_size)
{
	return &buckets[first / page_size & (region->bucket_count - 1)];
}

/* ---- While accesses are made -------------------------------------------- */

/* A linked page is complete, and an unlinked one still leads to the next. */
static void count_page(struct bk_mediator *m, const struct bk__mediate_region *region,
		       struct bk__mediate_page **buckets, uint64_t first, bool write, int r)
{
	struct bk__mediate_page *page =
		__atomic_load_n(chain_of(buckets, region, first, m->page_size), __ATOMIC_ACQUIRE);

	while (page && page->first != first)
		page = __atomic_load_n(&page->next, __ATOMIC_ACQUIRE);
	if (!page)
		return;
	bk__mediate_count_access(&page->counts, write);
	if (r)
		bk__mediate_count_error(&page->counts);
}

void bk__mediate_count_pages(struct bk_mediator *m, unsigned index, uint64_t offset, unsigned width,
			     bool write, int r)
{
	const struct bk__mediate_region *region = &m->regions[index];
	struct bk__mediate_page **buckets = __atomic_load_n(&region->buckets, __ATOMIC_ACQUIRE);
	const uint64_t first = offset & ~(m->page_size - 1),
		       last = (offset + width - 1) & ~(m->page_size - 1);

	count_page(m, region, buckets, first, write, r);
	if (last != first)
		count_page(m, region, buckets, last, write, r);
}

/* ---- Under the lock ----------------------------------------------------- */

static void link_page(struct bk_mediator *m, struct bk__mediate_page *page)
{
	struct bk__mediate_region *region = &m->regions[page->region];
	struct bk__mediate_page **chain = chain_of(region->buckets, region, page->first, m->page_size);
	size_t at = position(region, page->first);

	bk__array_insert(&region->pages, at, page);
	__atomic_store_n(&page->next, *chain, __ATOMIC_RELAXED);
	__atomic_store_n(chain, page, __ATOMIC_RELEASE);
}

static void unlink_page(struct bk_mediator *m, struct bk__mediate_page *page)
{
	struct bk__mediate_region *region = &m->regions[page->region];
	struct bk__mediate_page **link = chain_of(region->buckets, region, page->first, m->page_size);
	size_t at = position(region, page->first);

	bk__array_remove(&region->pages, at);
	while (*link != page)
		link = &(*link)->next;
	__atomic_store_n(link, page->next, __ATOMIC_RELEASE);
}

static int make_buckets(struct bk_mediator *m, struct bk__mediate_region *region)
{
	unsigned count = 1;
	struct bk__mediate_page **buckets;

	if (region->buckets)
		return 0;
	while (count < BUCKETS_MOST && count < region->size / m->page_size)
		count <<= 1;
	buckets = calloc(count, sizeof(struct bk__mediate_page *));
	if (!buckets)
		return -ENOMEM;
	region->bucket_count = count;
	__atomic_store_n(&region->buckets, buckets, __ATOMIC_RELEASE);
	return 0;
}

static int create(struct bk_mediator *m, unsigned index, uint64_t first)
{
	struct bk__mediate_region *region = &m->regions[index];
	struct bk__mediate_page *page;

	if (make_buckets(m, region) || bk__array_reserve(&region->pages, 1) ||
	    !(page = calloc(1, sizeof(*page))))
		return -ENOMEM;
	page->region = index;
	page->first = first;
	link_page(m, page);
	return 0;
}

int bk__mediate_pages_prepare(struct bk_mediator *m, struct bk_trap *trap)
{
	const struct bk__mediate_region *region = &m->regions[trap->region];
	uint64_t pages[2];
	unsigned count = edges(trap, pages);

	for (unsigned i = 0; i < count; i++) {
		bool is_new = is_mappable(region, pages[i]) && !find(region, pages[i]);
		int r = is_new ? create(m, trap->region, pages[i]) : 0;

		if (r)
			return r;
	}
	return 0;
}

static void change(struct bk_mediator *m, const struct bk_trap *trap, unsigned more)
{
	uint64_t pages[2];
	unsigned count = edges(trap, pages);

	for (unsigned i = 0; i < count; i++) {
		struct bk__mediate_page *page = find(&m->regions[trap->region], pages[i]);

		if (page)
			page->traps += more;
	}
}

void bk__mediate_pages_claim(struct bk_mediator *m, const struct bk_trap *trap)
{
	change(m, trap, 1);
}

void bk__mediate_pages_unclaim(struct bk_mediator *m, const struct bk_trap *trap)
{
	change(m, trap, -1u);
}

void bk__mediate_pages_release(struct bk_mediator *m, struct bk_trap *trap)
{
	uint64_t pages[2];
	unsigned count = edges(trap, pages);

	for (unsigned i = 0; i < count; i++) {
		struct bk__mediate_page *page = find(&m->regions[trap->region], pages[i]);

		trap->left[i] = NULL;
		if (!page || --page->traps)
			continue;
		unlink_page(m, page);
		trap->left[i] = page;
	}
}

void bk__mediate_pages_restore(struct bk_mediator *m, struct bk_trap *trap)
{
	for (unsigned i = 0; i < 2; i++) {
		if (trap->left[i])
			link_page(m, trap->left[i]); /* back in its place: there is room */
		trap->left[i] = NULL;
	}
	bk__mediate_pages_claim(m, trap);
}

void bk__mediate_pages_left_free(struct bk_trap *trap)
{
	free(trap->left[0]);
	free(trap->left[1]);
}

void bk__mediate_pages_free(struct bk__mediate_region *region)
{
	for (size_t i = 0; i < region->pages.count; i++)
		free(region->pages.at[i]);
	free(region->pages.at);
	free(region->buckets);
}
