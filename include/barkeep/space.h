/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who answers an address.
 *
 * A *space* is a set of *regions* that may overlap. They resolve into one
 * flat, immutable *view*; accesses are dispatched through it. Guest memory,
 * I/O ports, the secondary side of a bridge, config space and a BAR are all
 * spaces, placed inside one another by nested regions.
 *
 * The winner at an address is the region of the highest priority, then of the
 * lowest rank. A rank is an identity that the owner gives, never the order of
 * registration. Priorities inside a nested space never compete outside it, and
 * a nested space that has no answer lets the region below it show through.
 *
 * Changes are collected in an *update* and become visible at once on commit.
 *
 * Threads: readers (bk_space_read and friends) take no lock and may run on any
 * thread, which is registered on first use. An update belongs to one thread
 * until it is committed. Handlers run with no barkeep lock held. Calls that
 * are not to be made from a handler say so.
 *
 * Addresses are bytes. Ranges are [first, last], both included, so that a
 * range may end at 2^64 - 1. Values are integers in PCI's (little-endian)
 * byte order: the byte at the lowest address is bits 7:0, on every host.
 *
 * Structs that a caller fills are copied by the call that takes them. One that
 * begins with `struct_size` may get more members, see base.h.
 */
#ifndef BARKEEP_SPACE_H
#define BARKEEP_SPACE_H

#include <stdio.h>

#include <barkeep/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bk_domain;   /* all spaces that can be nested in one another */
struct bk_space;    /* a set of regions */
struct bk_region;   /* one of them */
struct bk_update;   /* changes not yet committed */
struct bk_listener; /* learns what changed */

/* ---- Domains and spaces ------------------------------------------------ */

/*
 * A domain has one commit lock, and all its views change at once. It owns a
 * thread, with all signals blocked, that waits for readers and calls `released`,
 * so that no commit waits. A child of fork() has no such thread: it may read its
 * parent's spaces, and create domains of its own, but not change or destroy
 * what is its parent's. NULL when out of memory or threads. Any thread, any
 * handler.
 */
struct bk_domain *bk_domain_create(void);

/*
 * Waits for readers, releases what is left, frees everything. All spaces must
 * have been destroyed (-EBUSY otherwise, and nothing is freed). Owner only,
 * never from a handler (-EDEADLK).
 */
int bk_domain_destroy(struct bk_domain *domain);

/*
 * Waits until no reader is inside anything that an earlier commit removed, and
 * until the `released` callbacks of all of that have returned. Any thread, but
 * never from a handler, a listener or a `released` callback (-EDEADLK, without
 * waiting), and never with a lock held that one of these takes. Memory that is
 * not used any more is given back to the system.
 */
int bk_domain_synchronize(struct bk_domain *domain);

/*
 * An empty space whose addresses are 0..last (UINT64_MAX for memory,
 * UINT32_MAX for PCI I/O, size - 1 for a BAR or a config space). Accesses
 * beyond `last` are unclaimed. `name` is copied. NULL when out of memory. Any
 * thread, any handler, never from a listener.
 */
struct bk_space *bk_space_create(struct bk_domain *domain, const char *name, uint64_t last);

/*
 * Removes its regions (their `released` is called when no reader is inside any
 * more) and frees the space at that moment. -EBUSY if a region of another
 * space shows it or it has listeners, -EDEADLK in a listener. Any thread, also
 * from a handler; the caller must not use it again.
 */
int bk_space_destroy(struct bk_space *space);

/* Destroys several spaces of one domain, or none of them: they may show one another. Errors and threads as
 * bk_space_destroy. */
int bk_space_destroy_all(struct bk_space *const *spaces, size_t count);

/* What a space was created with: its domain, its name (valid as long as the space) and its last address.
 * Any thread, any handler. */
struct bk_domain *bk_space_domain(const struct bk_space *space);
const char *bk_space_name(const struct bk_space *space);
uint64_t bk_space_last(const struct bk_space *space);

/* ---- Regions ----------------------------------------------------------- */

/* Access widths in bytes; they also are the bits of a set of widths. */
enum {
	BK_WIDTH_1 = 1,
	BK_WIDTH_2 = 2,
	BK_WIDTH_4 = 4,
	BK_WIDTH_8 = 8,
	BK_WIDTH_ALL = 15,
};

/*
 * What answers in a handled region, and on exits in a mapped one.
 *
 * read/write: `offset` is in bytes from the region's first address plus the
 * region's `base`; `width` is 1, 2, 4 or 8, one of `widths`. They return 0 or
 * a negative errno; on an error the guest reads all ones (of that piece) or
 * the piece is dropped, and the error is counted and reported. A missing read
 * or write counts as -EOPNOTSUPP. A handler may dispatch, update and commit.
 *
 * released: no reader is inside the region any more, or ever will be. Runs
 * once, on any thread, outside any reader, with no barkeep lock held. It must
 * not wait for a reader (bk_domain_synchronize, bk_region_retire).
 *
 * whole: for a region that lies over registers whose reads have side effects
 * (NULL: no such). A read of 2, 4 or 8 bytes that is in part in the region is
 * first given whole to it: it does what would be done if no region were over
 * the others, and fills `value`. What of the access is in regions that
 * `yield`, in the same space and with the same offsets (first - base), has its
 * bytes from there; every other region is asked for its own, this one too. On
 * -ERANGE the access is cut as any other; another error is one of this region,
 * and the bytes are all ones. `offset` may lie before the region.
 */
struct bk_region_ops {
	size_t struct_size; /* of this struct, or 0: see base.h */
	int (*read)(void *opaque, uint64_t offset, unsigned width, uint64_t *value);
	int (*write)(void *opaque, uint64_t offset, unsigned width, uint64_t value);
	void (*released)(void *opaque);
	unsigned widths; /* set of BK_WIDTH_*; 0 means BK_WIDTH_ALL */
	int (*whole)(void *opaque, uint64_t offset, unsigned width, uint64_t *value);
	bool yields;
};

enum bk_region_kind {
	BK_REGION_HANDLED, /* callbacks answer */
	BK_REGION_MAPPED,  /* host memory that a guest may reach directly */
	BK_REGION_NESTED,  /* another space shows here */
};

enum {
	BK_MEMORY_RAM = 1,      /* plain memory: accesses without handlers are loads and stores */
	BK_MEMORY_DEVICE = 2,   /* device registers: exits go through the handlers, never memcpy */
	BK_MEMORY_READONLY = 4, /* the guest must not write it directly */
};

/* Host memory behind a mapped region; byte 0 is the region's first address. */
struct bk_memory {
	void *host;          /* valid until the region is released */
	int fd;              /* the file it comes from, or -1 */
	uint64_t fd_offset;  /* bytes into that file */
	unsigned attributes; /* BK_MEMORY_* */
};

/* A region to be. Zero-initialise it. */
struct bk_region_desc {
	size_t struct_size; /* of this struct, or 0: see base.h */
	const char *name;   /* for people; need not be unique */
	uint64_t first, last;
	int priority;
	uint64_t rank;
	bool disabled; /* present, but does not answer until enabled */
	enum bk_region_kind kind;

	/* Handled: required. Mapped: required unless it is RAM with a host address, which
	 * is then read and written by exits too (read-only: a write is -EOPNOTSUPP). */
	const struct bk_region_ops *ops;
	void *opaque;  /* first argument of the callbacks */
	uint64_t base; /* added to the offset that handlers see */

	struct bk_memory memory; /* mapped */

	struct bk_space *nested; /* nested: the space that shows here, up to its last address ... */
	uint64_t nested_first;   /* ... from this address of it at `first` */
};

/* What a region was added with. Valid until the region is released. Any thread, any handler. */
const char *bk_region_name(const struct bk_region *region);
void *bk_region_opaque(const struct bk_region *region);

/* The space that the region was added to. Valid until the region is released. Any thread, any handler. */
struct bk_space *bk_region_space(const struct bk_region *region);

/* How many errors the region's handlers have returned so far. Any thread, any handler. */
uint64_t bk_region_errors(const struct bk_region *region);

/* ---- Updates ----------------------------------------------------------- */

/*
 * A private list of changes to the spaces of one domain. NULL when out of
 * memory, which the calls below take for an update that has failed with
 * -ENOMEM. Any thread, any handler.
 *
 *     update = bk_update_begin(domain);
 *     bk_update_add(update, space, &desc, &region);
 *     bk_update_remove(update, other);
 *     error = bk_update_commit(update, &err);
 */
struct bk_update *bk_update_begin(struct bk_domain *domain);

/*
 * Each of these appends one change. Errors stick: after the first one nothing
 * is appended, each call returns it, and so does the commit. A caller that
 * commits need not look at what they return. Only the thread that owns the
 * update, any handler, with any lock held.
 *
 * -EINVAL: a range with last < first, or beyond the space's last address; a
 * handler is missing; `desc` asks for what this library does not have. -EXDEV:
 * the space or region is of another domain. -ENOMEM.
 */

/*
 * Adds a region to a space. `*region` (NULL: not wanted) is the new region, or NULL on an error. Later
 * changes of the update may name it; it answers from commit on. If the commit
 * fails or the update is dropped, it is gone without `released` being called.
 * 0, -EINVAL, -EXDEV or -ENOMEM, as above. Owner of the update only,
 * any handler.
 */
int bk_update_add(struct bk_update *update, struct bk_space *space, const struct bk_region_desc *desc,
		  struct bk_region **region);

/* Removes a region at commit. The region must not be named afterwards. 0, -EXDEV or -ENOMEM, as above. Owner
 * of the update only, any handler. */
int bk_update_remove(struct bk_update *update, struct bk_region *region);

/* Same region, another place (handlers see offsets from the new first). A
 * nested or mapped region may change its length too: it is clipped or grown
 * at its end; a mapped one must not grow past its host memory. A handled one
 * keeps its length (-EINVAL). Other errors and threads as above. */
int bk_update_move(struct bk_update *update, struct bk_region *region, uint64_t first, uint64_t last);

/* The same for a nested region (-EINVAL for others), and which address of the
 * nested space shows at `first`. Other errors and threads as above. */
int bk_update_place(struct bk_update *update, struct bk_region *region, uint64_t first, uint64_t last,
		    uint64_t nested_first);

/* A disabled region keeps its place and does not answer. Errors and threads as above. */
int bk_update_enable(struct bk_update *update, struct bk_region *region, bool enabled);

/* Same region, another precedence in its space. Errors and threads as above. */
int bk_update_order(struct bk_update *update, struct bk_region *region, int priority, uint64_t rank);

/*
 * Makes all changes visible at once, calls the listeners, frees the update.
 * On an error nothing is changed, the update is freed all the same, and `err`
 * (NULL: not wanted) names the regions. The error is the first of the calls
 * above, or
 * -EEXIST: two regions of one space would have equal priority and rank;
 * -ELOOP: a space would contain itself;
 * -EINVAL: a change names a region after its removal, or a nested region would
 * show addresses beyond 2^64 - 1;
 * -EDEADLK: called from a listener; -ENOMEM.
 * Only the result of all changes together has to be legal, so that two regions
 * may swap ranks.
 *
 * Any thread, any handler, with or without a lock that handlers take: it waits
 * for no reader. A thread that removes regions faster than readers leave them
 * is held up outside its handlers, for 10 ms at most each time.
 */
int bk_update_commit(struct bk_update *update, struct bk_error *err);

/* Frees the update (NULL: nothing) and the regions it would have added. Any thread, any handler. */
void bk_update_drop(struct bk_update *update);

/* An update that adds one region, and its commit: errors and threads are those of bk_update_add and
 * bk_update_commit. `*region` (NULL: not wanted) is NULL on an error. */
int bk_region_add(struct bk_space *space, const struct bk_region_desc *desc, struct bk_region **region,
		  struct bk_error *err);

/*
 * Remove, commit and wait: when it returns, no callback of the region runs or
 * ever will, `released` included, and `region` is gone. Any thread, but never
 * from a handler or a `released` callback (-EDEADLK, nothing changed), and never
 * with a lock held that a handler, a listener or a `released` callback takes.
 * Other errors are those of bk_update_commit: the region stays.
 */
int bk_region_retire(struct bk_region *region);

/* ---- Dispatch ---------------------------------------------------------- */

/*
 * One access of `width` bytes, 1 to 8 (any, KVM delivers 3, 5, 6 and 7 too).
 * 1, 2, 4 and 8 bytes inside one range reach its handler whole. Anything else
 * is split at the edges of ranges and into naturally aligned powers of two, low
 * address first. A handler gets no width it does not take: a wider access is
 * split, one narrower than all its widths is -EINVAL. An access that runs past
 * 2^64 - 1 is unclaimed from there.
 *
 * If no region answers or a handler fails, reads give all ones and writes have
 * no effect. Returns 0 or the first error of a handler; the value is complete
 * even then. -EINVAL for another width; `value` is left alone. -ENOMEM if the
 * thread has not read before and there is no memory to register it: the value
 * is all ones, and nothing is written. Any thread, any handler, with any lock
 * held that the handlers do not take.
 */
int bk_space_read(struct bk_space *space, uint64_t address, unsigned width, uint64_t *value);
int bk_space_write(struct bk_space *space, uint64_t address, unsigned width, uint64_t value);

/* The same for any count of bytes, in address order: `data` has the bytes as they lie in memory. -EINVAL if
 * `count` is 0. Other errors and threads as bk_space_read and bk_space_write. */
int bk_space_read_bytes(struct bk_space *space, uint64_t address, void *data, size_t count);
int bk_space_write_bytes(struct bk_space *space, uint64_t address, const void *data, size_t count);

/* ---- Looking at it ----------------------------------------------------- */

/* A range of the flat view: one region answers all of it. */
struct bk_flat {
	uint64_t first, last;           /* addresses in the space looked at */
	const struct bk_region *region; /* who answers (never a nested region) */
	uint64_t offset;                /* of `first` in that region, without `base` */
	const struct bk_memory *memory; /* of that region; NULL unless mapped */
};

/*
 * Calls `visit` for the ranges that touch [first, last], in order, until it
 * returns false. The ranges are whole, not clipped. Runs as a reader: what it
 * is given is valid until it returns. 0, or -ENOMEM if the thread has not read
 * before and there is no memory to register it: then nothing is visited. Any
 * thread, any handler.
 */
int bk_space_visit(struct bk_space *space, uint64_t first, uint64_t last,
		   bool (*visit)(void *opaque, const struct bk_flat *flat), void *opaque);

struct bk_space_stats {
	size_t struct_size;       /* of this struct, or 0: set it before the call */
	uint64_t unclaimed_reads; /* parts of accesses to this space that no region answered */
	uint64_t unclaimed_writes;
	uint64_t errors; /* pieces whose handler failed */
};

/* The counters of dispatch to this space so far. Any thread, any handler. */
void bk_space_stats(const struct bk_space *space, struct bk_space_stats *stats);

/*
 * Told of every handler error in a dispatch to this space, on the thread that
 * made the access, inside its read section; NULL restores the default, one
 * rate-limited log line. Owner only, before the space is used.
 */
typedef void bk_error_fn(void *opaque, const struct bk_region *region, uint64_t address, bool write,
			 unsigned width, int error);
void bk_space_on_error(struct bk_space *space, bk_error_fn *fn, void *opaque);

enum bk_format { BK_FORMAT_TEXT, BK_FORMAT_JSON };

/*
 * The tree of regions, the flat view, who is shadowed by whom, the counters.
 * Takes the commit lock, but not while the sink is called. Any thread, any handler,
 * never from a listener (-EDEADLK). 0, -ENOMEM or what the sink returned.
 */
int bk_space_describe(struct bk_space *space, enum bk_format format, bk_sink_fn *sink, void *opaque);

/*
 * Prints why this region answers an address. For the space, and for each space
 * that the address leads to through the nested region that wins there: the
 * regions at the address by precedence, disabled ones too, with priority and
 * rank, which of them answers, and what keeps the others from it. Last the
 * region that answers in the end and the offset in it, if there is one. Sink,
 * lock, threads and errors are those of bk_space_describe.
 */
int bk_space_explain(struct bk_space *space, uint64_t address, enum bk_format format, bk_sink_fn *sink,
		     void *opaque);

/* ---- Listeners --------------------------------------------------------- */

/*
 * A commit calls these with what it changed in the flat view of one space, on
 * the committing thread, inside the commit: it publishes the view, then calls
 * `begin` of all listeners, then all `removed`, then all `added`, then `end`. It
 * leaves out ranges whose place, owner and offset stay. `overlap` says that a
 * removed range overlaps an added one. Any may be NULL.
 *
 * They must not commit, take a function lock or wait for a handler. They
 * cannot fail a commit.
 */
struct bk_listener_ops {
	size_t struct_size; /* of this struct, or 0: see base.h */
	void (*begin)(void *opaque, bool overlap);
	void (*removed)(void *opaque, const struct bk_flat *flat);
	void (*added)(void *opaque, const struct bk_flat *flat);
	void (*end)(void *opaque);
	bool mapped_only; /* call for mapped ranges only */
};

/* Starts listening. Before it returns, it calls `added` for the present view.
 * `ops` is copied. -ENOMEM; -EINVAL if `ops` asks for what this library does not
 * have; -EDEADLK from a listener. Any thread, any handler. */
int bk_listener_add(struct bk_space *space, const struct bk_listener_ops *ops, void *opaque,
		    struct bk_listener **listener);

/* Stops listening. Before it returns, it calls `removed` for the present view.
 * In a listener, its own or another, it calls nothing, and the listener is not
 * called again. Any thread. */
void bk_listener_remove(struct bk_listener *listener);

#ifdef __cplusplus
}
#endif
#endif
