/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory of views and their parts, kept for the next commit: fresh pages would cost more than the commit. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
	VIEW_LOWEST = 8,       /* the smallest views are of 2^8 bytes */
	VIEW_LIMIT = 64 << 20, /* bytes of views that are kept; what comes beyond is freed */
	VIEW_HUGE = 512 << 10, /* views of so many bytes get a huge page */
	HUGE_PAGE_LOG2 = 21,   /* as they are on most systems, where there are any */
	HUGE_PAGE = 1 << HUGE_PAGE_LOG2,
	CHUNK_LEAST =
		16
		<< 10, /* the first chunk of a domain; the next are four times as large, up to a huge page */
	GROUP_LEAST = 512, /* bytes of a pool's first objects; the next are twice as many, up to that */
	GROUP_MOST = 64 << 10,
	PAGES_MOST = 64, /* pages of spans at once */
};

/* Memory that stays with the domain to its end, for objects of all sizes. */
struct bk__chunk {
	struct bk__chunk *next;
	char bytes[] __attribute__((aligned(64)));
};

_Static_assert(sizeof(struct bk__span) == 32, "two spans are a cache line");
_Static_assert(sizeof(struct bk__page) <= BK__PAGE_SIZE &&
		       BK__PAGE_SIZE - sizeof(struct bk__page) < sizeof(struct bk__span),
	       "a page of spans is a page");
_Static_assert(offsetof(struct bk__list, head) == 0, "a list can stand for its head");

struct bk__list bk__nobody = { .head = { .opaque = &bk__nobody.head } };

int bk__grow(void **at, size_t *capacity, size_t wanted, size_t element)
{
	size_t more = *capacity ? *capacity : 16;
	void *new;

	if (wanted <= *capacity)
		return 0;
	while (more < wanted)
		more *= 2;
	new = realloc(*at, more * element);
	if (!new)
		return -ENOMEM;
	*at = new;
	*capacity = more;
	return 0;
}

/* Lookups among many spans miss the TLB at almost every load. */
static void *allocate(size_t bytes)
{
	bool huge = bytes >= HUGE_PAGE;
	void *memory;

	if (posix_memalign(&memory, huge ? HUGE_PAGE : 64, bytes))
		return NULL;
#ifdef MADV_HUGEPAGE
	if (huge)
		madvise(memory, bytes, MADV_HUGEPAGE); /* a wish */
#endif
	return memory;
}

/* ---- Chunks ---- */

static size_t aligned(const struct bk_domain *domain, size_t alignment)
{
	uintptr_t at = (uintptr_t)domain->chunk_at;

	return (size_t)((at + alignment - 1) / alignment * alignment - at);
}

static void *carve(struct bk_domain *domain, size_t alignment, size_t bytes)
{
	size_t skip = aligned(domain, alignment);
	char *memory;

	if (domain->chunk_left < skip + bytes) {
		size_t wanted = domain->chunk_bytes ? domain->chunk_bytes * 4 : CHUNK_LEAST;
		size_t least = sizeof(struct bk__chunk) + alignment + bytes;
		struct bk__chunk *chunk;

		wanted = wanted < HUGE_PAGE ? wanted : HUGE_PAGE;
		wanted = wanted > least ? wanted : least;
		chunk = allocate(wanted);
		if (!chunk)
			return NULL;
		chunk->next = domain->chunks;
		domain->chunks = chunk;
		domain->chunk_bytes = wanted;
		domain->chunk_at = chunk->bytes;
		domain->chunk_left = wanted - sizeof(*chunk);
		skip = aligned(domain, alignment);
	}
	memory = domain->chunk_at + skip;
	domain->chunk_at += skip + bytes;
	domain->chunk_left -= skip + bytes;
	return memory;
}

/* ---- Spans, in pages ---- */

static int add_pages(struct bk_domain *domain)
{
	size_t count = domain->page_count ? domain->page_count * 2 : 1;
	struct bk__rest *rests;
	char *pages;

	count = count < PAGES_MOST ? count : PAGES_MOST;
	pages = carve(domain, BK__PAGE_SIZE, count * BK__PAGE_SIZE);
	rests = carve(domain, 64, count * BK__PAGE_SPANS * sizeof(*rests));
	if (!pages || !rests) /* what there is stays unused, until the domain goes */
		return -ENOMEM;
	domain->page_count = count;
	for (size_t p = count; p--;) {
		struct bk__page *page = (struct bk__page *)(pages + p * BK__PAGE_SIZE);

		page->rests = rests + p * BK__PAGE_SPANS;
		for (size_t i = BK__PAGE_SPANS; i--;)
			bk__span_free(domain, &page->spans[i]);
	}
	return 0;
}

struct bk__span *bk__span_alloc(struct bk_domain *domain)
{
	struct bk__span *span;

	if (!domain->free_spans && add_pages(domain))
		return NULL;
	span = domain->free_spans;
	domain->free_spans = span->opaque;
	return span;
}

void bk__span_free(struct bk_domain *domain, struct bk__span *span)
{
	span->opaque = domain->free_spans;
	domain->free_spans = span;
}

/* ---- Leaves and rows, in pools ---- */

static void pool_free(struct bk__pool *pool, void *object)
{
	memcpy(object, &pool->free, sizeof(pool->free));
	pool->free = object;
}

static void *pool_alloc(struct bk_domain *domain, struct bk__pool *pool, size_t size)
{
	void *object;

	if (!pool->free) {
		size_t bytes = pool->bytes ? pool->bytes * 2 : GROUP_LEAST;
		size_t count = (bytes < GROUP_MOST ? bytes : GROUP_MOST) / size;
		char *objects;

		count += !count;
		objects = carve(domain, 64, count * size);
		if (!objects)
			return NULL;
		pool->bytes = count * size;
		while (count--)
			pool_free(pool, objects + count * size);
	}
	object = pool->free;
	memcpy(&pool->free, object, sizeof(pool->free));
	return object;
}

struct bk__leaf *bk__leaf_alloc(struct bk_domain *domain)
{
	return pool_alloc(domain, &domain->leaves, sizeof(struct bk__leaf));
}

void bk__leaf_free(struct bk_domain *domain, struct bk__leaf *leaf)
{
	pool_free(&domain->leaves, leaf);
}

struct bk__span **bk__slots_alloc(struct bk_domain *domain, unsigned log2_slots)
{
	return pool_alloc(domain, &domain->rows[log2_slots], sizeof(struct bk__span *) << log2_slots);
}

/* The pool for a list: the smallest whose rows are as long as that. */
static unsigned list_class(size_t count)
{
	size_t bytes = sizeof(struct bk__list) + count * sizeof(struct bk__listed);
	unsigned class = 0;

	while ((sizeof(struct bk__span *) << class) < bytes)
		class ++;
	return class;
}

struct bk__list *bk__list_alloc(struct bk_domain *domain, size_t count)
{
	struct bk__list *list = (struct bk__list *)bk__slots_alloc(domain, list_class(count));

	if (list) {
		memset(list, 0, sizeof(*list));
		list->head.origin = count;
		list->head.opaque = &list->head;
	}
	return list;
}

void bk__row_free(struct bk_domain *domain, struct bk__row row)
{
	if (row.log2_slots == 0 && !row.slots[0]->read) {
		struct bk__list *list = (struct bk__list *)row.slots[0];

		if (list != &bk__nobody)
			pool_free(&domain->rows[list_class((size_t)list->head.origin)], list);
		return;
	}
	pool_free(&domain->rows[row.log2_slots], row.slots);
}

/* ---- Views ---- */

struct bk__view *bk__view_alloc(struct bk_domain *domain, size_t bytes)
{
	unsigned class = VIEW_LOWEST;
	struct bk__view *view;

	while ((size_t)1 << class < bytes)
		class ++;
	if (bytes >= VIEW_HUGE && class < HUGE_PAGE_LOG2)
		class = HUGE_PAGE_LOG2;
	view = domain->views[class];
	if (view) {
		domain->views[class] = view->next;
		domain->view_bytes -= (size_t)1 << class;
	} else {
		view = allocate((size_t)1 << class);
		if (!view)
			return NULL;
		view->size_class = class;
	}
	return view;
}

void bk__view_free(struct bk_domain *domain, struct bk__view *view)
{
	if (!view->size_class) /* part of its space */
		return;
	if (domain->view_bytes + ((size_t)1 << view->size_class) > VIEW_LIMIT) {
		free(view);
		return;
	}
	domain->view_bytes += (size_t)1 << view->size_class;
	view->next = domain->views[view->size_class];
	domain->views[view->size_class] = view;
}

void bk__store_destroy(struct bk_domain *domain)
{
	for (unsigned class = 0; class < BK__POOL_CLASSES; class ++) {
		struct bk__view *view;

		while ((view = domain->views[class])) {
			domain->views[class] = view->next;
			free(view);
		}
	}
	while (domain->chunks) {
		struct bk__chunk *chunk = domain->chunks;

		domain->chunks = chunk->next;
		free(chunk);
	}
}
