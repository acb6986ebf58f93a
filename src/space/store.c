/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory of views and their parts, kept for the next commit: fresh pages would cost more than the commit. */
#include "space/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
	VIEW_LOWEST = 8,        /* the smallest views are of 2^8 bytes */
	VIEW_LIMIT = 64 << 20,  /* bytes of views that are kept; what comes beyond is freed */
	VIEW_IDLE = 1 << 20,    /* the same, when memory is given back */
	IDLE_LEAST = 256 << 10, /* so few bytes of chunks are not worth to be looked through */
	VIEW_HUGE = 512 << 10,  /* views of so many bytes get a huge page */
	HUGE_PAGE_LOG2 = 21,    /* as they are on most systems, where there are any */
	HUGE_PAGE = 1 << HUGE_PAGE_LOG2,
	/* The first chunk of a domain; each of the next is twice as large, up to a huge page: so what is not
	 * used yet is no more than what is. */
	CHUNK_LEAST = 16 << 10,
	GROUP_LEAST = 512, /* bytes of a pool's first objects; the next are twice as many, up to that */
	GROUP_MOST = 64 << 10,
	PAGES_MOST = 64, /* pages of spans at once */
	LOG2_POINTER = sizeof(void *) == 8 ? 3 : 2,
	RECORD_CLASSES = 10, /* records of up to 4 KiB are pooled, with the rows of that size */
	PAGE_BYTES =
		BK__PAGE_SIZE + BK__PAGE_SPANS * sizeof(struct bk__space_rest), /* of one, with the rests */
};

/* Memory for objects of all sizes. */
struct bk__space_chunk {
	struct bk__space_chunk *next;
	size_t size;
	size_t given, idle; /* bytes: in objects, and in free ones while memory is given back */
	char bytes[] __attribute__((aligned(64)));
};

_Static_assert(sizeof(struct bk__space_span) == 32 || sizeof(void *) < 8, "two spans are a cache line");
_Static_assert(sizeof(struct bk__space_page) <= BK__PAGE_SIZE &&
		       BK__PAGE_SIZE - sizeof(struct bk__space_page) < sizeof(struct bk__space_span),
	       "a page of spans is a page");
_Static_assert(offsetof(struct bk__space_list, head) == 0, "a list can stand for its head");

struct bk__space_list bk__space_nobody = { .head = { .opaque = &bk__space_nobody.head } };

/* Memory of the system's own, which it gets back at once. */
static void *map(size_t bytes)
{
	char *memory =
		mmap(NULL, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t before;

	if (memory == MAP_FAILED)
		return NULL;
	before = -(uintptr_t)memory % HUGE_PAGE;
	munmap(memory, before); /* of no bytes it does nothing */
	munmap(memory + before + bytes, HUGE_PAGE - before);
	return memory + before;
}

/* Lookups among many spans miss the TLB at almost every load. */
static void *allocate(size_t bytes)
{
	void *memory;

	if (bytes < HUGE_PAGE)
		return posix_memalign(&memory, 64, bytes) ? NULL : memory;
	memory = map(bytes);
#ifdef MADV_HUGEPAGE
	if (memory)
		madvise(memory, bytes, MADV_HUGEPAGE); /* a wish */
#endif
	return memory;
}

static void *allocate_counted(struct bk_domain *domain, size_t bytes)
{
	void *memory = allocate(bytes);

	if (memory)
		domain->store_bytes += bytes;
	return memory;
}

static void release(struct bk_domain *domain, void *memory, size_t bytes)
{
	domain->store_bytes -= bytes;
	if (bytes < HUGE_PAGE)
		free(memory);
	else
		munmap(memory, bytes);
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
		size_t wanted = domain->chunk_bytes ? domain->chunk_bytes * 2 : CHUNK_LEAST;
		size_t least = sizeof(struct bk__space_chunk) + alignment + bytes;
		struct bk__space_chunk *chunk;

		wanted = wanted < HUGE_PAGE ? wanted : HUGE_PAGE;
		if (wanted < least) /* in whole huge pages, if it is so much */
			wanted = least < HUGE_PAGE ? least : (least + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
		chunk = allocate_counted(domain, wanted);
		if (!chunk)
			return NULL;
		chunk->size = wanted;
		chunk->given = 0;
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
	domain->chunks->given += bytes;
	return memory;
}

/* ---- Spans, in pages ---- */

static int add_pages(struct bk_domain *domain)
{
	size_t count = domain->page_count ? domain->page_count * 2 : 1;
	struct bk__space_rest *rests;
	char *pages;

	count = count < PAGES_MOST ? count : PAGES_MOST;
	pages = carve(domain, BK__PAGE_SIZE, count * PAGE_BYTES);
	if (!pages)
		return -ENOMEM;
	rests = (struct bk__space_rest *)(pages + count * BK__PAGE_SIZE);
	domain->page_count = count;
	for (size_t p = count; p--;) {
		struct bk__space_page *page = (struct bk__space_page *)(pages + p * BK__PAGE_SIZE);

		page->rests = rests + p * BK__PAGE_SPANS;
		for (size_t i = BK__PAGE_SPANS; i--;)
			bk__space_span_free(domain, &page->spans[i]);
	}
	return 0;
}

struct bk__space_span *bk__space_span_alloc(struct bk_domain *domain)
{
	struct bk__space_span *span;

	if (!domain->free_spans && add_pages(domain))
		return NULL;
	span = domain->free_spans;
	domain->free_spans = span->opaque;
	return span;
}

void bk__space_span_free(struct bk_domain *domain, struct bk__space_span *span)
{
	span->opaque = domain->free_spans;
	domain->free_spans = span;
}

/* ---- Leaves and rows, in pools ---- */

static void pool_free(struct bk__space_pool *pool, void *object)
{
	memcpy(object, &pool->free, sizeof(pool->free));
	pool->free = object;
}

static void *pool_alloc(struct bk_domain *domain, struct bk__space_pool *pool, size_t size)
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

struct bk__space_leaf *bk__space_leaf_alloc(struct bk_domain *domain)
{
	return pool_alloc(domain, &domain->leaves, sizeof(struct bk__space_leaf));
}

void bk__space_leaf_free(struct bk_domain *domain, struct bk__space_leaf *leaf)
{
	pool_free(&domain->leaves, leaf);
}

struct bk__space_span **bk__space_slots_alloc(struct bk_domain *domain, unsigned log2_slots)
{
	return pool_alloc(domain, &domain->rows[log2_slots], sizeof(struct bk__space_span *) << log2_slots);
}

/* The pool for a list: the smallest whose rows are as long as that. */
static unsigned list_class(size_t count)
{
	size_t bytes = sizeof(struct bk__space_list) + count * sizeof(struct bk__space_listed);
	unsigned class = 0;

	while ((sizeof(struct bk__space_span *) << class) < bytes)
		class ++;
	return class;
}

struct bk__space_list *bk__space_list_alloc(struct bk_domain *domain, size_t count)
{
	struct bk__space_list *list =
		(struct bk__space_list *)bk__space_slots_alloc(domain, list_class(count));

	if (list) {
		memset(list, 0, sizeof(*list));
		list->head.origin = count;
		list->head.opaque = &list->head;
	}
	return list;
}

void bk__space_row_free(struct bk_domain *domain, struct bk__space_row row)
{
	if (row.log2_slots == 0 && !row.slots[0]->read) {
		struct bk__space_list *list = (struct bk__space_list *)row.slots[0];

		if (list != &bk__space_nobody)
			pool_free(&domain->rows[list_class((size_t)list->head.origin)], list);
		return;
	}
	pool_free(&domain->rows[row.log2_slots], row.slots);
}

/* ---- What a commit leaves behind ---- */

void *bk__space_record_alloc(struct bk_domain *domain, size_t bytes, unsigned *size_class)
{
	/* The smallest memory that is large enough. */
	*size_class = 64 - (unsigned)__builtin_clzll((uint64_t)bytes - 1) - LOG2_POINTER;
	if (*size_class < RECORD_CLASSES)
		return pool_alloc(domain, &domain->rows[*size_class], sizeof(void *) << *size_class);
	*size_class = RECORD_CLASSES;
	return malloc(bytes);
}

void bk__space_record_free(struct bk_domain *domain, void *record, unsigned size_class)
{
	if (size_class == RECORD_CLASSES)
		free(record);
	else
		pool_free(&domain->rows[size_class], record);
}

/* ---- Views ---- */

struct bk__space_view *bk__space_view_alloc(struct bk_domain *domain, size_t bytes)
{
	unsigned class = VIEW_LOWEST;
	struct bk__space_view *view;

	while ((size_t)1 << class < bytes)
		class ++;
	if (bytes >= VIEW_HUGE && class < HUGE_PAGE_LOG2)
		class = HUGE_PAGE_LOG2;
	view = domain->views[class];
	if (view) {
		domain->views[class] = view->next;
		domain->view_bytes -= (size_t)1 << class;
	} else {
		view = allocate_counted(domain, (size_t)1 << class);
		if (!view)
			return NULL;
		view->size_class = class;
	}
	return view;
}

void bk__space_view_free(struct bk_domain *domain, struct bk__space_view *view)
{
	if (!view->size_class) /* part of its space */
		return;
	if (domain->view_bytes + ((size_t)1 << view->size_class) > VIEW_LIMIT) {
		release(domain, view, (size_t)1 << view->size_class);
		return;
	}
	domain->view_bytes += (size_t)1 << view->size_class;
	view->next = domain->views[view->size_class];
	domain->views[view->size_class] = view;
}

/* Frees pooled views, the largest first, until there are no more than so many bytes. */
static void free_views(struct bk_domain *domain, size_t most)
{
	for (unsigned at = BK__POOL_CLASSES; at; at--) {
		unsigned class = at - 1;

		while (domain->views[class] && domain->view_bytes > most) {
			struct bk__space_view *view = domain->views[class];

			domain->views[class] = view->next;
			domain->view_bytes -= (size_t)1 << class;
			release(domain, view, (size_t)1 << class);
		}
	}
}

/* ---- Giving back ---- */

/* The chunk that an object is in. They are few: each is larger than all before, or a huge page. */
static struct bk__space_chunk *chunk_of(const struct bk_domain *domain, const void *object)
{
	struct bk__space_chunk *chunk = domain->chunks;

	while ((uintptr_t)object - (uintptr_t)chunk >= chunk->size)
		chunk = chunk->next;
	return chunk;
}

static bool goes(const struct bk_domain *domain, const void *object)
{
	const struct bk__space_chunk *chunk = chunk_of(domain, object);

	return chunk->idle == chunk->given;
}

static struct bk__space_page *page_of(const struct bk__space_span *span)
{
	return (struct bk__space_page *)((uintptr_t)span & ~(uintptr_t)(BK__PAGE_SIZE - 1));
}

static void count_spans(struct bk_domain *domain)
{
	struct bk__space_span *span;

	for (span = domain->free_spans; span; span = span->opaque)
		page_of(span)->idle = 0;
	for (span = domain->free_spans; span; span = span->opaque) {
		if (++page_of(span)->idle == BK__PAGE_SPANS)
			chunk_of(domain, span)->idle += PAGE_BYTES;
	}
}

static void take_spans_out(struct bk_domain *domain)
{
	struct bk__space_span *span = domain->free_spans, *next;

	domain->free_spans = NULL;
	for (; span; span = next) {
		next = span->opaque;
		if (!goes(domain, span))
			bk__space_span_free(domain, span);
	}
}

static void count_pool(struct bk_domain *domain, struct bk__space_pool *pool, size_t size)
{
	for (void *object = pool->free; object; memcpy(&object, object, sizeof(object)))
		chunk_of(domain, object)->idle += size;
}

static void take_pool_out(struct bk_domain *domain, struct bk__space_pool *pool)
{
	void *object = pool->free, *next;

	pool->free = NULL;
	for (; object; object = next) {
		memcpy(&next, object, sizeof(next));
		if (!goes(domain, object))
			pool_free(pool, object);
	}
}

static void free_idle_chunks(struct bk_domain *domain)
{
	struct bk__space_chunk **link = &domain->chunks;

	/* What is left of the newest goes with it, and otherwise is used on. */
	if (domain->chunks->idle == domain->chunks->given)
		domain->chunk_left = 0;
	while (*link) {
		struct bk__space_chunk *chunk = *link;

		if (chunk->idle == chunk->given) {
			*link = chunk->next;
			release(domain, chunk, chunk->size);
		} else {
			link = &chunk->next;
		}
	}
}

void bk__space_store_trim(struct bk_domain *domain)
{
	size_t bytes = 0;

	free_views(domain, VIEW_IDLE);
	for (struct bk__space_chunk *chunk = domain->chunks; chunk; chunk = chunk->next) {
		chunk->idle = 0;
		bytes += chunk->size;
	}
	if (bytes < IDLE_LEAST)
		return;
	count_spans(domain);
	count_pool(domain, &domain->leaves, sizeof(struct bk__space_leaf));
	for (unsigned i = 0; i < BK__ROW_CLASSES; i++)
		count_pool(domain, &domain->rows[i], sizeof(struct bk__space_span *) << i);
	take_spans_out(domain);
	take_pool_out(domain, &domain->leaves);
	for (unsigned i = 0; i < BK__ROW_CLASSES; i++)
		take_pool_out(domain, &domain->rows[i]);
	free_idle_chunks(domain);
}

void bk__space_store_destroy(struct bk_domain *domain)
{
	free_views(domain, 0);
	while (domain->chunks) {
		struct bk__space_chunk *chunk = domain->chunks;

		domain->chunks = chunk->next;
		release(domain, chunk, chunk->size);
	}
}
