/* SPDX-License-Identifier: BSD-2-Clause */
/* Address spaces: which region answers at an address.
 *
 * A *space* is a set of *regions* that may overlap. barkeep resolves them into one flat, immutable
 * *view* and dispatches accesses through it. Guest memory, I/O ports, the secondary side of a
 * bridge, config space and a BAR are all spaces, placed inside one another by nested regions.
 *
 * At each address the region with the highest priority answers; among equal priorities, the one
 * with the lowest rank. A rank is an identity that the owner chooses, never the order of
 * registration. Priorities inside a nested space do not compete outside it. Where a nested space
 * has no region, the region below it shows through.
 *
 * Changes are collected in an *update* and become visible at once on commit.
 *
 * Threads: readers (bk_space_read and friends) take no lock and may run on any thread; barkeep
 * registers the thread on first use. An update belongs to one thread until it is committed.
 * Handlers run with no barkeep lock held. If a call must not be made from a handler, its comment
 * says so.
 *
 * Addresses are bytes. Ranges are [first, last], both included, so that a
 * range may end at 2^64 - 1. Values are integers in PCI's (little-endian)
 * byte order: the byte at the lowest address is bits 7:0, on every host.
 *
 * Calls copy the structs that a caller fills in. A struct that begins with `struct_size` may get
 * more members, see base.h.
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
struct bk_listener; /* is called with what a commit changed */

/* ---- Domains and spaces ------------------------------------------------ */

/*
 * Creates a domain. It has one commit lock, and all its views change at once. It owns a thread,
 * with all signals blocked, that waits for readers and calls `released`, so that no commit has to
 * wait. A child of fork() does not have this thread: it may read its parent's spaces and create new
 * domains, but must not change or destroy its parent's. NULL when out of memory or threads. Any
 * thread, any handler.
 */
struct bk_domain *bk_domain_create(void);

/*
 * Waits for readers, calls the outstanding `released` callbacks and frees the domain. -EBUSY if it
 * still has a space: then nothing is freed. Owner only, never from a handler (-EDEADLK).
 */
int bk_domain_destroy(struct bk_domain *domain);

/*
 * Waits until no reader is inside a region that an earlier commit removed, and until the `released`
 * callbacks of these regions have returned. Returns unused memory to the system. Any thread, but
 * never from a handler, a listener or a `released` callback (-EDEADLK, without waiting), and never
 * with a lock held that one of these takes.
 */
int bk_domain_synchronize(struct bk_domain *domain);

/*
 * Creates an empty space with the addresses 0..last (UINT64_MAX for memory, UINT32_MAX for PCI I/O,
 * size - 1 for a BAR or a config space). No region can answer beyond `last`. `name` is copied. NULL
 * when out of memory. Any thread, any handler, never from a listener.
 */
struct bk_space *bk_space_create(struct bk_domain *domain, const char *name, uint64_t last);

/*
 * Removes the space's regions. When no reader is inside any more, their `released` is called and
 * the space is freed. The caller must not use it again. -EBUSY if a region of another space shows
 * it or it has listeners, -EDEADLK in a listener. Any thread, any handler.
 */
int bk_space_destroy(struct bk_space *space);

/* Destroys several spaces of one domain, which may show one another. On an error it destroys none
 * of them. Errors and threads as bk_space_destroy. */
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
 * Callbacks that answer accesses to a handled region, and exits from a mapped one.
 *
 * read/write: `offset` is in bytes from the region's first address plus the
 * region's `base`; `width` is 1, 2, 4 or 8, one of `widths`. They return 0 or a negative errno. On
 * an error a read gives all ones and a write is dropped (for this piece of the access), and barkeep
 * counts and reports the error. A missing read or write counts as -EOPNOTSUPP. A handler may
 * dispatch, update and commit.
 *
 * released: called when no reader is inside the region any more and none can enter. Runs once, on
 * any thread, outside any reader, with no barkeep lock held. It must not wait for a reader
 * (bk_domain_synchronize, bk_region_retire).
 *
 * whole: for a region over registers whose reads have side effects; may be NULL. A read of 2, 4 or
 * 8 bytes that lies partly in the region is first passed to `whole` in one piece. `whole` reads
 * what would be there without regions on top, and fills in `value`. Bytes of the access in regions
 * with `yields` set, in the same space and with the same offsets (first - base), are taken from
 * `value`. Every other region, this one included, is called for its own bytes. If `whole` returns
 * -ERANGE, the access is split as usual. Any other error counts as an error of this region, and the
 * bytes are all ones. `offset` may be below the region's start.
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

/* Describes a region to add. Zero-initialise it. */
struct bk_region_desc {
	size_t struct_size; /* of this struct, or 0: see base.h */
	const char *name;   /* for people; need not be unique */
	uint64_t first, last;
	int priority;
	uint64_t rank;
	bool disabled; /* present, but does not answer until enabled */
	enum bk_region_kind kind;

	/* Handled: required. Mapped: required unless it is RAM with a host address; exits then read
	 * and write the memory itself (a write to read-only memory is -EOPNOTSUPP). */
	const struct bk_region_ops *ops;
	void *opaque;  /* first argument of the callbacks */
	uint64_t base; /* added to the offset that handlers see */

	struct bk_memory memory; /* mapped */

	struct bk_space *nested; /* nested: the space that shows here, up to its last address ... */
	uint64_t nested_first;   /* ... from this address of it at `first` */
};

/* The region's name and `opaque`, as given to the call that added it. Valid until the region is
 * released. Any thread, any handler. */
const char *bk_region_name(const struct bk_region *region);
void *bk_region_opaque(const struct bk_region *region);

/* The space that the region was added to. Valid until the region is released. Any thread, any handler. */
struct bk_space *bk_region_space(const struct bk_region *region);

/* How many errors the region's handlers have returned so far. Any thread, any handler. */
uint64_t bk_region_errors(const struct bk_region *region);

/* ---- Updates ----------------------------------------------------------- */

/*
 * Begins an update: a private list of changes to the spaces of one domain. NULL when out of memory;
 * the calls below treat NULL as an update that has failed with -ENOMEM. Any thread, any handler.
 *
 *     update = bk_update_begin(domain);
 *     bk_update_add(update, space, &desc, &region);
 *     bk_update_remove(update, other);
 *     error = bk_update_commit(update, &err);
 */
struct bk_update *bk_update_begin(struct bk_domain *domain);

/*
 * Each of these calls appends one change. Errors stick: after the first error nothing more is
 * appended, and each call returns that error, as does the commit. So a caller that commits does not
 * have to check each call.
 */

/*
 * Adds a region to a space. `*region` (NULL: not wanted) is the new region, or NULL on an error.
 * Later changes of the update may name it; it answers from the commit on. If the commit fails or
 * the update is dropped, the region is freed and `released` is not called.
 *
 * -EINVAL: a range with last < first or beyond the space's last address; a handler is missing; `desc`
 * uses a member that this library does not have. -EXDEV: the space or region belongs to another domain.
 * -ENOMEM. Owner of the update only, any handler, with any lock held.
 */
int bk_update_add(struct bk_update *update, struct bk_space *space, const struct bk_region_desc *desc,
		  struct bk_region **region);

/* Removes a region at commit. Later changes must not name it. Errors and threads as bk_update_add. */
int bk_update_remove(struct bk_update *update, struct bk_region *region);

/* Moves a region; handlers see offsets from the new `first`. A nested or mapped region may change
 * its length, too: it is clipped or grown at its end, and a mapped one must not grow past its host
 * memory. A handled one keeps its length (-EINVAL otherwise). Other errors and threads as
 * bk_update_add. */
int bk_update_move(struct bk_update *update, struct bk_region *region, uint64_t first, uint64_t last);

/* Moves a nested region (-EINVAL for others) and sets which address of the nested space shows at
 * `first`. Other errors and threads as bk_update_add. */
int bk_update_place(struct bk_update *update, struct bk_region *region, uint64_t first, uint64_t last,
		    uint64_t nested_first);

/* Enables or disables a region. A disabled region keeps its place but does not answer. Errors and
 * threads as bk_update_add. */
int bk_update_enable(struct bk_update *update, struct bk_region *region, bool enabled);

/* Changes a region's precedence in its space. Errors and threads as bk_update_add. */
int bk_update_order(struct bk_update *update, struct bk_region *region, int priority, uint64_t rank);

/*
 * Makes all changes visible at once, calls the listeners and frees the update. On an error nothing is
 * changed, but the update is freed, and `err` (NULL: not wanted) names the regions. The error is the first
 * that a call of the update returned, or
 * -EEXIST: two regions of one space would have equal priority and rank;
 * -ELOOP: a space would contain itself;
 * -EINVAL: a change names a region after its removal, or a nested region would show addresses beyond
 * 2^64 - 1;
 * -EDEADLK: called from a listener; -ENOMEM.
 * Only the result of all changes together has to be legal, so two regions may swap ranks.
 *
 * Any thread, any handler, also with a lock held that handlers take: it does not wait for readers.
 * A thread that removes regions faster than readers leave them is delayed outside its handlers, by
 * at most 10 ms each time.
 */
int bk_update_commit(struct bk_update *update, struct bk_error *err);

/* Frees the update (NULL: nothing) and the regions it would have added. Any thread, any handler. */
void bk_update_drop(struct bk_update *update);

/* Adds one region in an update that it commits. Errors and threads as bk_update_add and
 * bk_update_commit. `*region` (NULL: not wanted) is NULL on an error. */
int bk_region_add(struct bk_space *space, const struct bk_region_desc *desc, struct bk_region **region,
		  struct bk_error *err);

/*
 * Removes a region, commits and waits: when it returns, no callback of the region is running or
 * will run, `released` included, and the region is freed. Any thread, but never from a handler or a
 * `released` callback (-EDEADLK, nothing changed), and never with a lock held that a handler, a
 * listener or a `released` callback takes. On any other error of bk_update_commit the region stays.
 */
int bk_region_retire(struct bk_region *region);

/* ---- Dispatch ---------------------------------------------------------- */

/*
 * Makes one access of `width` bytes, any from 1 to 8 (KVM delivers 3, 5, 6 and 7, too). If 1, 2, 4
 * or 8 bytes lie inside one range, its handler gets the access whole. Any other access is split at
 * the edges of ranges and into naturally aligned powers of two, low address first. A handler gets
 * only widths that it takes: a wider access is split, one narrower than all its widths is -EINVAL.
 * Bytes past 2^64 - 1 are unclaimed.
 *
 * If no region answers or a handler fails, reads give all ones and writes have no effect. Returns 0
 * or the first error of a handler; the value is complete even then. -EINVAL for any other width;
 * `value` is unchanged. -ENOMEM if the thread has not read before and there is no memory to
 * register it: the value is all ones, and nothing is written. Any thread, any handler, with any
 * lock held that the handlers do not take.
 */
int bk_space_read(struct bk_space *space, uint64_t address, unsigned width, uint64_t *value);
int bk_space_write(struct bk_space *space, uint64_t address, unsigned width, uint64_t value);

/* Reads or writes any number of bytes, in address order. `data` holds the bytes as they are in
 * memory. -EINVAL if `count` is 0. Other errors and threads as bk_space_read and bk_space_write. */
int bk_space_read_bytes(struct bk_space *space, uint64_t address, void *data, size_t count);
int bk_space_write_bytes(struct bk_space *space, uint64_t address, const void *data, size_t count);

/* ---- Inspection -------------------------------------------------------- */

/* A range of the flat view: one region answers all of it. */
struct bk_flat {
	uint64_t first, last;           /* addresses in the space looked at */
	const struct bk_region *region; /* the region that answers (never a nested one) */
	uint64_t offset;                /* of `first` in that region, without `base` */
	const struct bk_memory *memory; /* of that region; NULL unless mapped */
};

/*
 * Calls `visit` for the ranges that touch [first, last], in order, until it
 * returns false. The ranges are whole, not clipped. `visit` runs as a reader: its arguments are
 * valid until it returns. 0, or -ENOMEM if the thread has not read before and there is no memory to
 * register it: then nothing is visited. Any thread, any handler.
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
 * `fn` is called for every handler error in a dispatch to this space, on the thread that made the
 * access, inside its read section. NULL restores the default, a rate-limited log line. Owner only,
 * before the space is used.
 */
typedef void bk_error_fn(void *opaque, const struct bk_region *region, uint64_t address, bool write,
			 unsigned width, int error);
void bk_space_on_error(struct bk_space *space, bk_error_fn *fn, void *opaque);

enum bk_format { BK_FORMAT_TEXT, BK_FORMAT_JSON };

/*
 * Prints the tree of regions, the flat view, which regions shadow others, and the counters. Takes
 * the commit lock, but not while the sink is called. Any thread, any handler, never from a listener
 * (-EDEADLK). 0, -ENOMEM or what the sink returned.
 */
int bk_space_describe(struct bk_space *space, enum bk_format format, bk_sink_fn *sink, void *opaque);

/*
 * Prints which region answers at an address, and why. For the space, and for each nested space
 * through which the address leads, it lists the regions at the address by precedence, including
 * disabled ones, with priority and rank, and says which of them answers and why the others do not.
 * At the end it prints the region that answers, if any, and the offset in it. Sink, lock, threads
 * and errors as bk_space_describe.
 */
int bk_space_explain(struct bk_space *space, uint64_t address, enum bk_format format, bk_sink_fn *sink,
		     void *opaque);

/* ---- Listeners --------------------------------------------------------- */

/*
 * A commit calls these with what it changed in the flat view of one space, on
 * the committing thread, inside the commit: it publishes the view, then calls
 * `begin` of all listeners, then all `removed`, then all `added`, then `end`. It leaves out ranges
 * whose place, region and offset stay the same. `overlap` says that a removed range overlaps an
 * added one. Any callback may be NULL.
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
 * `ops` is copied. -ENOMEM; -EINVAL if `ops` uses a member that this library does not have;
 * -EDEADLK from a listener. Any thread, any handler. */
int bk_listener_add(struct bk_space *space, const struct bk_listener_ops *ops, void *opaque,
		    struct bk_listener **listener);

/* Stops listening. Before it returns, it calls `removed` for the present view.
 * If it is called from a listener, the same or another, it calls nothing. The listener is not
 * called again. Any thread. */
void bk_listener_remove(struct bk_listener *listener);

#ifdef __cplusplus
}
#endif
#endif
