/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory of views and spans, kept for the next commit: fresh pages would cost more than the commit. */
#define _DEFAULT_SOURCE /* madvise */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
	POOL_LOWEST = 8,       /* the smallest views are of 2^8 bytes */
	POOL_LIMIT = 64 << 20, /* bytes in the pool; what comes beyond is freed */
	SPANS_PER_SLAB = 63,
	SLABS_SMALL = 64,
	HUGE_PAGE = 2 << 20, /* what is as large as that is put on huge pages, where the system has some */
};

struct bk__slab {
	struct bk__slab *next;
	struct bk__span spans[] __attribute__((aligned(64)));
};

_Static_assert(sizeof(struct bk__span) == 64, "a span is a cache line");

/* Its arrays have no elements, but a place: C forbids to add even 0 to a null pointer. */
static struct bk__span *no_spans[1];
static uint64_t no_firsts[1];
struct bk__view bk__empty_view = { .slots = no_spans, .firsts = no_firsts, .spans = no_spans };

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

size_t bk__view_bytes(const struct bk__view *view)
{
	return view->count * (sizeof(view->spans[0]) + sizeof(view->firsts[0])) +
	       view->slot_count * sizeof(view->slots[0]) +
	       (view->windows[0].bucket_count + view->windows[1].bucket_count) * 2 * sizeof(uint32_t);
}

/* Lookups in a large view miss the TLB at almost every load. */
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

struct bk__view *bk__view_alloc(struct bk_domain *domain, size_t bytes)
{
	unsigned class = POOL_LOWEST;
	struct bk__view *view;

	while ((size_t)1 << class < bytes)
		class ++;
	view = domain->pool[class];
	if (view) {
		domain->pool[class] = view->next;
		domain->pool_bytes -= (size_t)1 << class;
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
	if (view == &bk__empty_view)
		return;
	if (domain->pool_bytes + ((size_t)1 << view->size_class) > POOL_LIMIT) {
		free(view);
		return;
	}
	domain->pool_bytes += (size_t)1 << view->size_class;
	view->next = domain->pool[view->size_class];
	domain->pool[view->size_class] = view;
}

struct bk__span *bk__span_alloc(struct bk_domain *domain)
{
	struct bk__span *span = domain->free_spans;

	if (!span) {
		size_t count =
			domain->slab_count < SLABS_SMALL ? SPANS_PER_SLAB : HUGE_PAGE / sizeof(*span) - 1;
		struct bk__slab *slab = allocate(sizeof(*slab) + count * sizeof(*span));

		if (!slab)
			return NULL;
		slab->next = domain->slabs;
		domain->slabs = slab;
		domain->slab_count++;
		while (count)
			bk__span_free(domain, &slab->spans[--count]);
		span = domain->free_spans;
	}
	domain->free_spans = span->opaque;
	return span;
}

void bk__span_free(struct bk_domain *domain, struct bk__span *span)
{
	span->opaque = domain->free_spans;
	domain->free_spans = span;
}

struct bk__snapshot *bk__snapshot_alloc(size_t capacity)
{
	struct bk__snapshot *snapshot = calloc(1, sizeof(*snapshot) + capacity * sizeof(snapshot->views[0]));

	if (snapshot)
		snapshot->capacity = capacity;
	return snapshot;
}

void bk__store_destroy(struct bk_domain *domain)
{
	for (unsigned class = 0; class < BK__POOL_CLASSES; class ++) {
		struct bk__view *view;

		while ((view = domain->pool[class])) {
			domain->pool[class] = view->next;
			free(view);
		}
	}
	while (domain->slabs) {
		struct bk__slab *slab = domain->slabs;

		domain->slabs = slab->next;
		free(slab);
	}
}
