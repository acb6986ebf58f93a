/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of this room share.
 *
 *     region --in--> space --resolved into--> view --one of--> snapshot --of--> domain
 *
 * The regions of a space live in two trees, by place and by order; only the
 * holder of the domain's commit lock looks at them. Readers see nothing of
 * that: they follow domain->snapshot to the view of their space and in it find
 * the span that answers. Snapshots, views and spans never change once
 * published; a commit makes new ones, which share with the old what stayed.
 */
#ifndef BARKEEP_SPACE_INTERNAL_H
#define BARKEEP_SPACE_INTERNAL_H

#include <pthread.h>

#include <barkeep/space.h>

#include "rcu.h"
#include "tree.h"

#define bk__container(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

/* ---- What readers see: immutable from publication until no reader is inside ---- */

/* A range of a view, all of it answered by one region. One cache line. */
struct bk__span {
	uint64_t first;
	uint64_t length; /* in bytes, less one */
	uint64_t start;  /* the offset that the handler sees at `first` */
	int (*read)(void *opaque, uint64_t offset, unsigned width, uint64_t *value);
	int (*write)(void *opaque, uint64_t offset, unsigned width, uint64_t value);
	void *opaque;
	struct bk_region *region;
	bool accepts[8]; /* [w - 1]: the handler takes w bytes at once, and the span has so many */
};

/* An entry of `buckets`: the place of the bucket's first slot, and the log2 of the size of each. */
enum { BK__SLOT_SHIFT_BITS = 6, BK__SLOT_SHIFT_MASK = (1 << BK__SLOT_SHIFT_BITS) - 1 };

/* A range of addresses, divided into buckets of one size. */
struct bk__window {
	uint64_t base, bucket_mask;
	size_t bucket_count;
	uint32_t *buckets;
	unsigned shift;  /* log2 of the size of a bucket */
	uint32_t *begun; /* of each bucket: how many spans begin at or below its first address */
};

struct bk__view {
	/* The table, see table.h. */
	struct bk__window windows[2];
	struct bk__span **slots;

	struct bk_space *space; /* NULL: the empty view */
	unsigned size_class;
	size_t count;
	uint64_t *firsts;        /* of the spans, side by side for searches */
	struct bk__span **spans; /* sorted, apart from each other */
	size_t slot_count, built_count;
	struct bk__view *next; /* of those that died with one snapshot, or in the pool */
	struct bk__span *memory[];
};

extern struct bk__view bk__empty_view;

static inline uint64_t bk__span_last(const struct bk__span *span)
{
	return span->first + span->length;
}

static inline uint64_t bk__span_offset(const struct bk__span *span, uint64_t address)
{
	return address - span->first + span->start;
}

/* What to add to an address for that offset (modulo 2^64). */
static inline uint64_t bk__span_add(const struct bk__span *span)
{
	return span->start - span->first;
}

/* What one commit makes unreachable is buried together when no reader can hold it. */
struct bk__grave {
	struct bk__grave *next;
	void (*bury)(struct bk_domain *domain, struct bk__grave *grave);
};

/* One view pointer for each space of the domain, at space->slot. On its death
 * it carries what its successor no longer shows. */
struct bk__snapshot {
	struct bk__grave grave;
	struct bk__view *dead_views;
	struct bk_region *dead_regions;
	struct bk__span **dead_spans;
	size_t dead_span_count;
	size_t capacity;
	struct bk__view *views[];
};

/* ---- What only the holder of the commit lock sees ---- */

struct bk__range {
	uint64_t first, last;
};

/* An array that keeps its memory from one commit to the next. */
#define BK__ARRAY(type)                 \
	struct {                        \
		type *at;               \
		size_t count, capacity; \
	}

/* Makes room for `more` elements. 0 or -ENOMEM. */
#define bk__reserve(array, more) \
	bk__grow((void **)&(array)->at, &(array)->capacity, (array)->count + (more), sizeof(*(array)->at))
int bk__grow(void **at, size_t *capacity, size_t wanted, size_t element);

struct bk_region {
	struct bk__node by_place; /* key: first, id; knows the highest `last` below it */
	struct bk__node by_order; /* key: priority downwards, rank, id */
	uint64_t highest_last;
	uint64_t id;

	struct bk_space *space;
	uint64_t first, last;
	uint64_t length; /* less one; atomic, like nested_first: updates look before they commit */
	int priority;
	uint64_t rank;
	bool enabled;
	bool present; /* in the trees of its space */
	enum bk_region_kind kind;

	const struct bk_region_ops *ops;
	void *opaque;
	uint64_t base;
	struct bk_memory memory;
	struct bk_space *nested;
	uint64_t nested_first;

	/* What spans of it are made from: stand-ins for handlers that are missing are in place. */
	struct bk__span answer;

	struct bk_region *next_shown; /* nested: others that show the same space */
	struct bk_region *next_dead;
	uint64_t errors; /* atomic; written by readers */
	char name[];
};

/* Old spans [at, at + count) give way to new spans [new_at, new_at + new_count) of the new view. */
struct bk__patch {
	size_t at, count, new_at, new_count;
};

struct bk_space {
	struct bk_domain *domain;
	size_t view_at; /* where in a snapshot its view is, in bytes: what readers need of `slot` */
	size_t slot;
	uint64_t last;
	char *name;
	bk_error_fn *on_error;
	void *on_error_opaque;

	/* Commit lock; not in the line that readers read. */
	struct bk__tree by_place __attribute__((aligned(64))), by_order;
	struct bk__view *view;   /* the newest, published or about to be */
	struct bk_region *shown; /* the nested regions that show this space, of any space */
	struct bk_listener *listeners;
	size_t region_count;
	struct bk_space *next, **link; /* of the domain's spaces */

	/* One commit's work, see update.c and view.c. */
	uint64_t epoch; /* domain->epoch if this commit has come by */
	struct bk_space *next_affected;
	BK__ARRAY(struct bk__range) dirty; /* addresses whose owner may change */
	BK__ARRAY(struct bk__patch) patches;
	BK__ARRAY(struct bk__span *) fresh; /* the new spans of all patches */
	struct bk__view *old_view;          /* NULL if the view stays */

	struct bk__grave grave;
	struct bk_region *dead_regions;

	/* Atomic; written by readers, hence in lines of their own. */
	uint64_t unclaimed_reads __attribute__((aligned(64)));
	uint64_t unclaimed_writes;
	uint64_t errors;
	struct bk_ratelimit log_limit;
};

struct bk_listener {
	struct bk_listener *next;
	struct bk_space *space;
	const struct bk_listener_ops *ops;
	void *opaque;
	bool changed; /* during a commit: has something to be told */
};

/* A range that some region of a space would answer if no other were there. */
struct bk__item {
	uint64_t first, last;
	uint64_t add;             /* address + add = offset that the handler sees (modulo 2^64) */
	struct bk_region *region; /* who answers in the end, never a nested one */
	uint64_t rank;            /* of the space's own region, like the priority */
	int priority;
};

/* A span to be. */
struct bk__piece {
	uint64_t first, last;
	uint64_t add;
	struct bk_region *region;
};

enum { BK__POOL_CLASSES = 48 };

struct bk_domain {
	struct bk__snapshot *snapshot; /* published */

	/* An error-checking one: a listener that commits gets -EDEADLK. Not in the line that readers read. */
	pthread_mutex_t commit_lock __attribute__((aligned(64)));
	struct bk_space *spaces;
	size_t space_count;
	size_t slots_used; /* the highest slot ever used, plus one */
	BK__ARRAY(size_t) free_slots;
	uint64_t next_region_id; /* atomic */
	uint64_t epoch;

	/* Scratch of the commit. */
	struct bk_space *affected; /* children before parents */
	BK__ARRAY(struct bk__item) items;
	BK__ARRAY(struct bk__item *) heap;
	BK__ARRAY(struct bk__piece) pieces;
	BK__ARRAY(struct bk__span *) born, died; /* spans of this commit */

	/* Memory that commits need again and again, see store.c. */
	struct bk__view *pool[BK__POOL_CLASSES];
	size_t pool_bytes;
	struct bk__span *free_spans; /* linked by `opaque` */
	struct bk__slab *slabs;
	size_t slab_count;

	/* Reclaim, see reclaim.c. */
	pthread_mutex_t reclaim_lock; /* the innermost */
	pthread_cond_t reclaim_wake, reclaim_done;
	pthread_t reclaimer;
	struct bk__grave *graves, **last_grave;
	size_t grave_count, grave_bytes; /* not yet reclaimed */
	uint64_t buried, dug;            /* sequence numbers */
	bool reclaim_now, reclaim_stop;
};

/* domain.c */
int bk__lock(struct bk_domain *domain); /* the commit lock: 0, or -EDEADLK in a listener */
void bk__unlock(struct bk_domain *domain);
/* A slot of the published snapshot, showing the empty view. 0 or -ENOMEM. */
int bk__slot_take(struct bk_domain *domain, size_t *slot);
void bk__slot_give(struct bk_domain *domain, size_t slot);

/* store.c: all under the commit lock */
struct bk__view *bk__view_alloc(struct bk_domain *domain, size_t bytes);
void bk__view_free(struct bk_domain *domain, struct bk__view *view);
size_t bk__view_bytes(const struct bk__view *view); /* what it fills */
struct bk__span *bk__span_alloc(struct bk_domain *domain);
void bk__span_free(struct bk_domain *domain, struct bk__span *span);
void bk__store_destroy(struct bk_domain *domain);
struct bk__snapshot *bk__snapshot_alloc(size_t capacity);

/* reclaim.c */
int bk__reclaim_start(struct bk_domain *domain);
void bk__reclaim_stop(struct bk_domain *domain);
/* Buries it when no reader can be inside; `now`: do not wait for company. */
void bk__dig(struct bk_domain *domain, struct bk__grave *grave, size_t bytes, bool now);
/* Gives reclaim time to catch up, outside any read and never for long. */
void bk__settle(struct bk_domain *domain);
/* What must come before the read of a thread that is not BK__READER_READY. 0 or -ENOMEM. */
int bk__reader_prepare(struct bk_domain *domain);
bool bk__is_reclaimer(struct bk_domain *domain);

/* region.c: under the commit lock */
extern const struct bk__tree bk__tree_by_place, bk__tree_by_order;
extern const char *const bk__kind_names[]; /* by enum bk_region_kind */
int bk__region_create(struct bk_space *space, const struct bk_region_desc *desc, struct bk_region **region);
void bk__region_link(struct bk_region *region);
void bk__region_unlink(struct bk_region *region);
void bk__region_release(struct bk_region *region); /* calls `released` and frees it; no lock held */
/* Another region of its space that has the same priority and rank, or NULL. */
struct bk_region *bk__region_twin(const struct bk_region *region);
/* The part of the nested space that a nested region shows. False if none. */
bool bk__region_shows(const struct bk_region *region, uint64_t *first, uint64_t *last);
/* Calls `visit` for the regions that touch [first, last], by first address; stops at the first error. */
int bk__regions_visit(const struct bk_space *space, uint64_t first, uint64_t last,
		      int (*visit)(void *opaque, struct bk_region *region), void *opaque);

/* Calls `visit` for the regions at an address, by precedence; slow if there are many anywhere. */
int bk__regions_visit_at(const struct bk_space *space, uint64_t address,
			 int (*visit)(void *opaque, struct bk_region *region), void *opaque);

/* view.c: under the commit lock, but for the first */
size_t bk__view_find(const struct bk__view *view,
		     uint64_t address); /* the first span that ends at or after it */
/* The same, where the last span that begins at or below the address is known to be one of `count` from `low`
 * on. */
size_t bk__view_find_in(const struct bk__view *view, size_t low, size_t count, uint64_t address);
/* domain->items becomes what the regions would answer in [first, last], by first address. 0 or -ENOMEM. */
int bk__view_items(struct bk_space *space, uint64_t first, uint64_t last);
/* Resolves the dirty ranges again: space->patches, and a new space->view if there are any. 0 or -ENOMEM. */
int bk__view_update(struct bk_space *space);
/* The addresses that a patch of one view into the next is about. */
struct bk__range bk__patch_range(const struct bk__patch *patch, const struct bk__view *old,
				 const struct bk__view *new);
void bk__span_flat(const struct bk__span *span, struct bk_flat *flat);

/* listener.c: under the commit lock */
void bk__listeners_tell(struct bk_domain *domain);

/* dispatch.c */
int bk__no_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value);
int bk__no_write(void *opaque, uint64_t offset, unsigned width, uint64_t value);
int bk__plain_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value);
int bk__plain_write(void *opaque, uint64_t offset, unsigned width, uint64_t value);

static inline struct bk__view *bk__view_of(const struct bk_space *space)
{
	struct bk__snapshot *snapshot = bk__subscribe(space->domain->snapshot);

	return bk__subscribe(*(struct bk__view **)((char *)snapshot + space->view_at));
}

#endif
