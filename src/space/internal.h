/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of this room share.
 *
 *     region --in--> space --resolved into--> view --made of--> leaves --of--> spans
 *
 * The regions of a space live in two trees, by place and by order; only the
 * holder of the domain's commit lock looks at them. Readers see nothing of
 * that: they follow space->published to the view and in it find the span that
 * answers. Views, leaves, rows and spans never change once published; a commit
 * makes new ones, which share with the old what stayed.
 */
#ifndef BARKEEP_SPACE_INTERNAL_H
#define BARKEEP_SPACE_INTERNAL_H

#include <pthread.h>

#include <barkeep/space.h>

#include "base/array.h"
#include "base/ratelimit.h"
#include "space/rcu.h"
#include "space/tree.h"

#define bk__space_container(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

/* ---- What readers see: immutable from publication until no reader is inside ---- */

/* A range of a view, all of it answered by one region: what dispatch needs of it, in half a cache line. */
struct bk__space_span {
	uint64_t origin; /* where the handler's offset 0 would be (modulo 2^64) */
	int (*read)(void *opaque, uint64_t offset, unsigned width,
		    uint64_t *value); /* NULL: see bk__space_list */
	void *opaque;
	/* What accesses the handler takes whole, if they do not begin before the span. Bits 31:0: where the
	 * span ends, as an offset that the handler sees; beyond 32 bits the slow path looks. Bit 32 + w: the
	 * handler takes w bytes in one call. Bit 32: the region has a `whole` handler, which is asked first.
	 */
	uint64_t limits;
};

enum { BK__LIMITS_WIDTHS = 32, BK__LIMITS_WHOLE = 1 };

/* The rest of it. */
struct bk__space_rest {
	uint64_t first;
	uint64_t length; /* in bytes, less one */
	int (*write)(void *opaque, uint64_t offset, unsigned width, uint64_t value);
	struct bk_region *region;
};

/* Spans lie side by side in pages of their own, and their rests elsewhere: the processor's cache is for
 * what dispatch needs. */
enum {
	BK__PAGE_SIZE = 4096,
	BK__PAGE_SPANS = (BK__PAGE_SIZE - 2 * sizeof(void *)) / sizeof(struct bk__space_span),
};

struct bk__space_page {
	struct bk__space_span spans[BK__PAGE_SPANS];
	struct bk__space_rest *rests; /* of as many */
	unsigned idle;                /* how many are free, while memory is given back */
};

static inline struct bk__space_rest *bk__space_rest(const struct bk__space_span *span)
{
	struct bk__space_page *page =
		(struct bk__space_page *)((uintptr_t)span & ~(uintptr_t)(BK__PAGE_SIZE - 1));

	return &page->rests[span - page->spans];
}

/*
 * The spans of a bucket (see table.h) that no row of slots can tell apart. Its
 * head takes the place of a span there, and takes no access.
 */
struct bk__space_list {
	struct bk__space_span
		head; /* no `read`; `origin`: how many; `opaque`: the row's only slot, for itself */
	/* In address order. The last one fills up the list to a power of two, which is the same for most:
	 * searches of one length are those that a processor can foresee. */
	struct bk__space_listed {
		uint64_t first;
		struct bk__space_span *span;
	} spans[];
};

/* What takes the place of a span in a row: is it the head of a list? */
static inline bool bk__space_is_list(const struct bk__space_span *span)
{
	return !span->read;
}

extern struct bk__space_list bk__space_nobody; /* the empty one: nothing is in the bucket */

enum { BK__LEAF_SPANS = 64 };

/* Some spans of a view in address order, at least one and no more than domain->leaf_spans. */
struct bk__space_leaf {
	size_t count;
	uint64_t firsts[BK__LEAF_SPANS];
	struct bk__space_span *spans[BK__LEAF_SPANS];
};

/* A range of addresses, divided into buckets of one size. */
struct bk__space_window {
	uint64_t base;
	unsigned shift; /* log2 of the size of a bucket */
	size_t count;   /* of buckets */
};

struct bk__space_turn;

struct bk__space_view {
	struct bk__space_window windows[2];
	struct bk_space *space;            /* a view or stand-in of one */
	const struct bk__space_turn *turn; /* NULL, except in the stand-in of a view, see bk__space_settled */
	size_t count;                      /* of spans */
	size_t leaf_count;
	uint64_t *firsts;               /* of the leaves */
	struct bk__space_leaf **leaves; /* in address order */
	/* Of the spans: how many begin in no window; both counts when the windows were chosen. */
	size_t outside, built_outside, built_count;
	uint64_t birth; /* the number of the commit that made it */
	unsigned size_class;
	struct bk__space_view *next; /* of those that one commit retired, or in the pool */
};

/* Of the buckets of both windows, one after the other; see table.h. They lie behind the view. */
static inline uint64_t *bk__space_entries(const struct bk__space_view *view)
{
	return (uint64_t *)(view + 1);
}

/*
 * A commit that changes several views makes them visible at once: for a moment
 * each space shows a stand-in, which is the old view before the turn and the
 * new one after it.
 */
struct bk__space_turn {
	bool done; /* atomic */
	unsigned size_class;
	size_t count;
	struct bk__space_turn *next; /* of those that wait together */
	struct bk__space_stand_in {
		struct bk__space_view view; /* empty windows: readers of it are on the slow path */
		struct bk__space_view *old, *new;
	} stand_ins[];
};

/* The view that readers of this one shall see: itself, unless it is a stand-in. */
static inline const struct bk__space_view *bk__space_settled(const struct bk__space_view *view)
{
	const struct bk__space_stand_in *stand_in;

	if (bk__space_likely(!view->turn))
		return view;
	stand_in = bk__space_container(view, const struct bk__space_stand_in, view);
	return bk__space_subscribe(view->turn->done) ? stand_in->new : stand_in->old;
}

static inline uint64_t bk__space_span_first(const struct bk__space_span *span)
{
	return bk__space_rest(span)->first;
}

static inline uint64_t bk__space_span_last(const struct bk__space_span *span)
{
	return bk__space_span_first(span) + bk__space_rest(span)->length;
}

/* What the handler sees as offset. */
static inline uint64_t bk__space_span_offset(const struct bk__space_span *span, uint64_t address)
{
	return address - span->origin;
}

/* A place among the spans of a view. */
struct bk__space_cursor {
	const struct bk__space_view *view;
	size_t leaf, at;
};

/* NULL behind the last span. */
static inline struct bk__space_span *bk__space_cursor_span(const struct bk__space_cursor *cursor)
{
	return cursor->leaf < cursor->view->leaf_count ? cursor->view->leaves[cursor->leaf]->spans[cursor->at]
						       : NULL;
}

static inline void bk__space_cursor_next(struct bk__space_cursor *cursor)
{
	if (++cursor->at == cursor->view->leaves[cursor->leaf]->count) {
		cursor->leaf++;
		cursor->at = 0;
	}
}

/* Removed regions, which the reclaim thread releases once every reader has left that may be inside. */
struct bk__space_removal {
	struct bk__space_removal *next;
	uint64_t number;           /* of the commit: no view that it made, or a later one, has the regions */
	struct bk_region *regions; /* to be released; linked by next_removed */
	void (*recycle)(struct bk_domain *domain, struct bk__space_removal *removal); /* last; no lock held */
};

/* ---- What only the holder of the commit lock sees ---- */

struct bk__space_range {
	uint64_t first, last;
};

struct bk_region {
	struct bk__space_node by_place; /* key: first, id; knows the highest `last` below it */
	struct bk__space_node by_order; /* key: priority downwards, rank, id */
	uint64_t highest_last;
	uint64_t id;

	struct bk_space *space;
	uint64_t first, last;
	uint64_t length; /* less one; atomic: updates look before they commit */
	int priority;
	uint64_t rank;
	bool enabled;
	bool present; /* in the trees of its space */
	enum bk_region_kind kind;

	/* Of its handlers; `plain`: it has none, and is memory. */
	void (*released)(void *opaque);
	int (*whole)(void *opaque, uint64_t offset, unsigned width, uint64_t *value);
	bool yields, plain;
	void *opaque;
	uint64_t base;
	struct bk_memory memory;
	struct bk_space *nested;
	uint64_t nested_first;

	/* What spans of it are made from, with stand-ins for handlers that are missing. */
	unsigned widths; /* that the handlers take: a set of BK_WIDTH_* */
	struct bk__space_span answer;
	struct bk__space_rest rest;

	struct bk_region *next_shown, **shown_link; /* nested: others that show the same space */
	struct bk_region *next_removed;
	uint64_t errors; /* atomic; written by readers */
	char name[];
};

/* Does the handler take so many bytes at once, up to 8, and has the span as many? */
static inline bool bk__space_span_accepts(const struct bk__space_span *span, unsigned width)
{
	const struct bk__space_rest *rest = bk__space_rest(span);

	return !(width & (width - 1)) && rest->region->widths & width && rest->length >= width - 1;
}

/* Some spans of the old view give way to others: `count` of space->stale from `at` on to `new_count` of
 * space->fresh from `new_at` on. Those that stay within are in both. */
struct bk__space_patch {
	struct bk__space_cursor from; /* in the old view: the first of them, or where the new ones go */
	size_t at, count, new_at, new_count;
	struct bk__space_range range; /* from the first byte of all these to the last */
};

/* The memory that a bucket's entry leads to: 2^log2_slots slots, or a list. */
struct bk__space_row {
	struct bk__space_span **slots;
	unsigned log2_slots;
	uint64_t first; /* address of the bucket */
};

/* What one commit took out of views, or what is left of several. See retired.c. */
struct bk__space_retired {
	struct bk__space_retired *next;
	uint64_t number; /* of the commit: views that were made by it, or later, have nothing of this */
	size_t bytes;    /* about */
	unsigned size_class;
	bool swept; /* left of several, and not counted */
	struct bk__space_view *views;
	struct bk__space_turn *turns;
	size_t span_count, leaf_count, row_count;
	size_t held_spans, held_leaves, held_rows; /* at the end of the arrays, in a sweep */
	struct bk__space_span **spans;
	struct bk__space_leaf **leaves;
	struct bk__space_row rows[];
};

struct bk_space {
	struct bk__space_view *published; /* what readers see */
	struct bk_domain *domain;
	uint64_t last;
	char *name;
	bk_error_fn *on_error;
	void *on_error_opaque;
	struct bk__space_view empty; /* without a span: the first view, and the last */

	/* Commit lock; not in the line that readers read. */
	struct bk__space_tree by_place __attribute__((aligned(64))), by_order;
	struct bk__space_view *view; /* the newest: published, or about to be */
	struct bk_region *shown;     /* the nested regions that show this space, of any space */
	struct bk_listener *listeners;
	size_t region_count;
	struct bk_space *next, **link; /* of the domain's spaces, or of those that end */

	/* One commit's work, see update.c, winners.c and view.c. */
	uint64_t epoch; /* domain->epoch if this commit has come by */
	bool on_way;    /* while loops are looked for */
	struct bk_space *next_affected;
	BK__ARRAY(struct bk__space_range) dirty; /* addresses whose owner may change */
	BK__ARRAY(struct bk__space_patch) patches;
	BK__ARRAY(struct bk__space_span *) stale, fresh; /* the old and the new spans of all patches */
	struct bk__space_view *old_view;                 /* NULL if the view stays */

	struct bk__space_removal removal;

	/* Atomic; written by readers, hence in lines of their own. */
	uint64_t unclaimed_reads __attribute__((aligned(64)));
	uint64_t unclaimed_writes;
	uint64_t errors;
	struct bk__ratelimit log_limit;
};

struct bk_listener {
	struct bk_listener *next;
	struct bk_space *space;
	struct bk_listener_ops ops;
	void *opaque;
	bool changed; /* during a commit: has something to be told */
	bool gone;    /* removed by a listener: gets no more notices, and is freed after this one */
};

/* A range that some region of a space would answer if no other were there. */
struct bk__space_item {
	uint64_t first, last;
	uint64_t origin;          /* as in a span */
	struct bk_region *region; /* the region that answers, never a nested one */
	uint64_t rank;            /* of the space's own region, like the priority */
	int priority;
};

/* A span to be. */
struct bk__space_piece {
	uint64_t first, last;
	uint64_t origin;
	struct bk_region *region;
};

enum { BK__POOL_CLASSES = 48, BK__ROW_CLASSES = 40 };

/* Free objects of one size. */
struct bk__space_pool {
	void *free;   /* linked by their first word */
	size_t bytes; /* that were added at last */
};

struct bk_domain {
	pthread_mutex_t commit_lock;
	/* How many spans a leaf has at most: BK__LEAF_SPANS. Tests set it to 4 before there is a region, so
	 * that a few ranges do what hundreds do otherwise. */
	size_t leaf_spans;
	struct bk_space *spaces;
	struct bk_space *ending; /* those that wait for readers */
	size_t space_count;
	uint64_t next_region_id; /* atomic */
	uint64_t epoch;

	/* Scratch of the commit. */
	struct bk_space *affected; /* children before parents */
	bool listeners_gone;       /* some are */
	BK__ARRAY(struct bk__space_item) items;
	BK__ARRAY(struct bk__space_item *) heap;
	BK__ARRAY(struct bk__space_piece) pieces;
	BK__ARRAY(struct bk__space_span *) gathered; /* what new leaves are filled with */
	BK__ARRAY(uint64_t) firsts;                  /* of the spans of a view */
	/* What this commit made, and what it made unreachable. */
	BK__ARRAY(struct bk__space_span *) made_spans, retired_spans;
	BK__ARRAY(struct bk__space_leaf *) made_leaves, retired_leaves;
	BK__ARRAY(struct bk__space_row) made_rows, retired_rows;

	/* Memory that commits need again and again, see store.c. */
	struct bk__space_view *views[BK__POOL_CLASSES];
	size_t view_bytes;                 /* in there */
	size_t store_bytes;                /* of views and chunks, used or free */
	struct bk__space_span *free_spans; /* linked by `opaque` */
	size_t page_count;                 /* of pages that were added at last */
	struct bk__space_pool leaves;
	struct bk__space_pool rows[BK__ROW_CLASSES]; /* of 8 << class bytes */
	struct bk__space_chunk *chunks;              /* what all these come from */
	size_t chunk_bytes, chunk_left;              /* of the newest one; unused at its end */
	char *chunk_at;

	/* What waits for readers, and what is for the next commits to recycle: see retired.c. */
	struct bk__space_retired *retired, **last_retired, *free, **last_free;
	size_t retired_count, retired_bytes; /* that wait, without what a sweep has left */
	size_t look_count, look_bytes;       /* at which readers are looked at again */
	uint64_t commits;
	BK__ARRAY(const void *) seen;                  /* what readers are in, of any domain */
	BK__ARRAY(const struct bk__space_view *) held; /* those of our views that have retired parts */

	/* Reclaim, see reclaim.c. */
	pthread_mutex_t reclaim_lock; /* the innermost */
	pthread_cond_t reclaim_wake, reclaim_done;
	pthread_t reclaimer;
	struct bk__space_removal *removals, **last_removal; /* that wait for readers */
	size_t removal_count;                               /* not yet reclaimed */
	uint64_t removals_recycled, removals_queued;        /* sequence numbers */
	bool untidy; /* atomic: a commit has been made since bk__space_tidy */
	bool reclaim_now, reclaim_stop;
};

/* lock.c */
void bk__space_lock_init(struct bk_domain *domain);
int bk__space_lock(struct bk_domain *domain); /* the commit lock: 0, or -EDEADLK in a listener */
void bk__space_unlock(struct bk_domain *domain);

/* store.c: all under the commit lock */
struct bk__space_view *bk__space_view_alloc(struct bk_domain *domain, size_t bytes);
void bk__space_view_free(struct bk_domain *domain, struct bk__space_view *view);
struct bk__space_span *bk__space_span_alloc(struct bk_domain *domain);
void bk__space_span_free(struct bk_domain *domain, struct bk__space_span *span);
struct bk__space_leaf *bk__space_leaf_alloc(struct bk_domain *domain);
void bk__space_leaf_free(struct bk_domain *domain, struct bk__space_leaf *leaf);
/* 2^log2_slots slots that are to be filled. */
struct bk__space_span **bk__space_slots_alloc(struct bk_domain *domain, unsigned log2_slots);
/* A list of so many spans, a power of two, that are to be filled in. */
struct bk__space_list *bk__space_list_alloc(struct bk_domain *domain, size_t count);
void bk__space_row_free(struct bk_domain *domain, struct bk__space_row row); /* slots or list */
/* What each commit makes and a later one frees. `*size_class` is for the latter; NULL may be freed. */
void *bk__space_record_alloc(struct bk_domain *domain, size_t bytes, unsigned *size_class);
void bk__space_record_free(struct bk_domain *domain, void *record, unsigned size_class);
/* Gives back memory that is free. */
void bk__space_store_trim(struct bk_domain *domain);
void bk__space_store_destroy(struct bk_domain *domain);

/* retired.c: all under the commit lock */
void bk__space_retired_init(struct bk_domain *domain);
void bk__space_retired_end(struct bk_domain *domain); /* when there are no readers */
/* With room for so much, and empty. NULL when out of memory. */
struct bk__space_retired *bk__space_retired_create(struct bk_domain *domain, size_t spans, size_t leaves,
						   size_t rows);
/* Recycles it when no reader can see it. It is of the newest commit. */
void bk__space_retire(struct bk_domain *domain, struct bk__space_retired *retired);
/* Recycles some of what no reader can see, or all. */
void bk__space_recycle(struct bk_domain *domain, bool all);
/* Is a reader in a view that was made before this commit and is not published any more, or in a space that
 * ends? True, too, if a reader is just choosing its view. */
bool bk__space_is_inside(struct bk_domain *domain, uint64_t number);
/* Recycles and gives back what it can. True if nothing waits for readers. */
bool bk__space_tidy(struct bk_domain *domain);

/* reclaim.c */
int bk__space_reclaim_start(struct bk_domain *domain);
void bk__space_reclaim_stop(struct bk_domain *domain);
/* Hands it to the reclaim thread, which calls `recycle` when no reader is inside. Commit lock held. */
void bk__space_removal_queue(struct bk_domain *domain, struct bk__space_removal *removal);
/* Has the memory of commits tidied up in a while. Commit lock held. */
void bk__space_reclaim_tidy(struct bk_domain *domain);
/* Gives reclaim time to catch up, outside any read and never for long. */
void bk__space_reclaim_wait(struct bk_domain *domain);
/* What must come before the read of a thread that is not BK__READER_READY. 0 or -ENOMEM. */
int bk__space_reader_prepare(struct bk_domain *domain);
bool bk__space_is_reclaimer(struct bk_domain *domain);

/* region.c: under the commit lock */
extern const struct bk__space_tree bk__space_tree_by_place, bk__space_tree_by_order;
extern const char *const bk__space_kind_names[]; /* by enum bk_region_kind */
int bk__space_region_create(struct bk_space *space, const struct bk_region_desc *desc,
			    struct bk_region **region, struct bk_error *err);
void bk__space_region_link(struct bk_region *region);
void bk__space_region_unlink(struct bk_region *region);
void bk__space_region_release(struct bk_region *region); /* calls `released` and frees it; no lock held */
/* Another region of its space that has the same priority and rank, or NULL. */
struct bk_region *bk__space_region_twin(const struct bk_region *region);
/* The part of the nested space that a nested region shows. False if none. */
bool bk__space_region_shows(const struct bk_region *region, uint64_t *first, uint64_t *last);
/* Calls `visit` for the regions that touch [first, last], by first address; stops at the first error. */
int bk__space_regions_visit(const struct bk_space *space, uint64_t first, uint64_t last,
			    int (*visit)(void *opaque, struct bk_region *region), void *opaque);

/* Calls `visit` for the regions at an address, by precedence; slow if there are many anywhere. */
void bk__space_regions_visit_at(const struct bk_space *space, uint64_t address,
				void (*visit)(void *opaque, struct bk_region *region), void *opaque);

/* cursor.c */
/* At the first span that ends at or after the address. */
struct bk__space_cursor bk__space_view_find(const struct bk__space_view *view, uint64_t address);
static inline struct bk__space_cursor bk__space_view_begin(const struct bk__space_view *view)
{
	return (struct bk__space_cursor){ view, 0, 0 };
}
/* Is this, which need not be of the same space, a part of the view? */
bool bk__space_view_has_span(const struct bk__space_view *view, const struct bk__space_span *span);
bool bk__space_view_has_leaf(const struct bk__space_view *view, const struct bk__space_leaf *leaf);
void bk__space_span_flat(const struct bk__space_span *span, struct bk_flat *flat);

/* Of `count` numbers in order, at least one: the place of the last that is no higher, or 0. */
static inline size_t bk__space_search(const uint64_t *numbers, size_t count, uint64_t wanted)
{
	const uint64_t *base = numbers;

	while (count > 1) { /* without a branch to mispredict */
		size_t half = count / 2;

		base = base[half] <= wanted ? base + half : base;
		count -= half;
	}
	return (size_t)(base - numbers);
}

/* winners.c: under the commit lock */
/* domain->items becomes what the regions would answer in [first, last], by first address. 0 or -ENOMEM. */
int bk__space_view_items(struct bk_space *space, uint64_t first, uint64_t last);
/* Adds to domain->pieces that the region answers in [first, last]; what goes on from the last piece makes
 * that longer. 0 or -ENOMEM. */
int bk__space_view_piece(struct bk_domain *domain, uint64_t first, uint64_t last, uint64_t origin,
			 struct bk_region *region);
/* Adds to domain->pieces which region answers where in [first, last]. 0 or -ENOMEM. */
int bk__space_view_pieces(struct bk_space *space, uint64_t first, uint64_t last);

/* view.c: under the commit lock */
/* Resolves the dirty ranges again: space->patches, and a new space->view if there are any. 0 or -ENOMEM. */
int bk__space_view_update(struct bk_space *space);
/* Frees all that the view is made of. */
void bk__space_view_destroy(struct bk_domain *domain, struct bk__space_view *view);
size_t bk__space_view_bytes(const struct bk__space_view *view); /* what it fills itself */

/* listener.c: under the commit lock */
void bk__space_listeners_tell(struct bk_domain *domain);

/* cut.c: inside a read */
/* Any access of at least a byte. Returns the first error of a handler, or 0. */
int bk__space_cut(const struct bk__space_view *view, uint64_t address, uint8_t *data, size_t length,
		  bool write);
/* Counts and reports an error of a handler. */
void bk__space_failed(struct bk_space *space, const struct bk__space_span *span, uint64_t address, bool write,
		      unsigned width, int error) __attribute__((cold));

/* plain.c */
int bk__space_no_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value);
int bk__space_no_write(void *opaque, uint64_t offset, unsigned width, uint64_t value);
int bk__space_plain_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value);
int bk__space_plain_write(void *opaque, uint64_t offset, unsigned width, uint64_t value);

#endif
