/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The only place that knows how reclaim waits for readers: liburcu, membarrier flavour. A reader costs
 * a few plain loads and stores of its own thread's memory.
 *
 * Threads are registered on their first read and unregistered when they end.
 * A thread that its owner has registered with liburcu is left to him as long as
 * it is.
 *
 * Each read notes the view that it has chosen. So those who free views and
 * regions need not wait until a read ends: they see whether anybody can be in
 * a view. Nobody here waits in liburcu, so a fork finds it in order.
 */
#ifndef BARKEEP_SPACE_RCU_H
#define BARKEEP_SPACE_RCU_H

#include <stdbool.h>

/* Permits the inline forms of the read side, each below ten lines (LGPL 2.1, 5). */
#ifndef _LGPL_SOURCE
#define _LGPL_SOURCE
#endif
#include <urcu/urcu-memb.h>

#define bk__space_likely(x)   __builtin_expect(!!(x), 1)
#define bk__space_unlikely(x) __builtin_expect(!!(x), 0)

#if defined(__SANITIZE_THREAD__)
#define BK__TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define BK__TSAN 1
#endif
#endif

#ifdef BK__TSAN
/* ThreadSanitizer cannot see that a grace period orders what readers did
 * before what follows it: say so, through the address of the grace period. */
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define bk__space_tsan_acquire() __tsan_acquire(&urcu_memb_gp)
#define bk__space_tsan_release() __tsan_release(&urcu_memb_gp)
#else
#define bk__space_tsan_acquire() ((void)0)
#define bk__space_tsan_release() ((void)0)
#endif

/* What a thread must do before its next outermost read, other than just read. */
enum bk__space_reader_state {
	BK__READER_READY = 0,   /* nothing */
	BK__READER_NEW = 1,     /* register */
	BK__READER_OWES = 2,    /* give reclaim a chance: it removed regions inside a read */
	BK__READER_HEAVY = 3,   /* nothing, but the system has no membarrier call: use the heavy lock */
	BK__READER_FOREIGN = 4, /* look whether it is still registered: its owner did that, and may undo it */
};

struct bk__space_record;

/* What a thread reads. */
struct bk__space_reader {
	/* The thread's counter in liburcu if it is READY, else a number that says that it is inside, so that
	 * one test tells whether there is anything to do before a read. */
	unsigned long *ctr;
	/* Atomic: the view of the outermost read; NULL: is being chosen. It means nothing while the thread is
	 * not inside. Who frees views looks at it. */
	const void *view;
	struct bk__space_record *record; /* of the registered thread */
	enum bk__space_reader_state state;
};

extern __thread struct bk__space_reader bk__space_reader;

enum { BK__SPACE_NESTED_MOST = 64 };

/* A registered thread, as reclaim sees it. */
struct bk__space_record {
	struct bk__space_record *next, **link;
	const struct bk__space_reader *reader;
	struct urcu_reader *urcu; /* what liburcu knows of the thread */
	bool ours;                /* registered with liburcu here */
	unsigned depth;           /* atomic: reads that it makes in handlers now, one in the other */
	const void *nested[BK__SPACE_NESTED_MOST]; /* atomic: their views, like `view` */
	const void *unseen;                        /* of those that are deeper */
};

void bk__space_reader_set(enum bk__space_reader_state state);

/* Makes what registration needs; a domain cannot be created without it. 0 or a negative errno. */
int bk__space_reader_init(void);

/* Registers the calling thread, unless it is; the state is READY, HEAVY or FOREIGN then.
 * -ENOMEM if there is no memory for that, or its end could not be noticed: a thread that ends registered
 * would haunt every grace period. */
int bk__space_reader_register(void);

/* Does the waiting thread force the order of all threads' loads and stores, or do readers use fences
 * themselves?
 */
extern bool bk__space_fences;

/*
 * Calls `visit` for the view of each read that goes on anywhere; what is
 * published before the call is what reads see that begin after it. -EAGAIN if
 * a thread is choosing its view just now, or reads too deep; an error of
 * `visit`. On an error, too, some may have been visited.
 */
int bk__space_readers(int (*visit)(void *opaque, const void *view), void *opaque);

/* Wakes the thread that waits for readers. */
void bk__space_reader_wake(void) __attribute__((cold));

/* Is the calling thread inside a read: in a handler, or in a read section of its owner's? */
static inline bool bk__space_read_ongoing(void)
{
	return urcu_memb_read_ongoing();
}

/* Is there nothing to do before the read but bk__space_read_lock? `ctr` is the thread's. */
static inline bool bk__space_ready(const unsigned long *ctr)
{
	return bk__space_likely(!(*ctr & URCU_GP_CTR_NEST_MASK));
}

#ifdef BK__TSAN
#define bk__space_futex() __atomic_load_n(&urcu_memb_gp.futex, __ATOMIC_RELAXED)
#else
#define bk__space_futex() \
	urcu_memb_gp.futex /* behind a barrier, and so read here; a test of it in one instruction */
#endif

static inline void bk__space_wake_waiter(void)
{
	if (bk__space_unlikely(bk__space_futex() == -1))
		bk__space_reader_wake();
}

/* Notes which view a read has chosen. */
static inline void bk__space_note(const void **place, const void *view)
{
	__atomic_store_n(place, view, __ATOMIC_RELAXED);
}

/*
 * The outermost read of a thread that is bk__space_ready(); within a read, nothing
 * is needed. These are the parts of liburcu's read_lock and read_unlock for the outermost read on a
 * system that has membarrier. The thread's writes here may be reordered after its reads, since a thread
 * that waits for readers forces a barrier on all threads.
 */
static inline void bk__space_read_lock(unsigned long *ctr)
{
	bk__space_note(&bk__space_reader.view, NULL);
	_CMM_STORE_SHARED(*ctr, _CMM_LOAD_SHARED(urcu_memb_gp.ctr));
	cmm_barrier();
}

static inline void bk__space_read_unlock(void)
{
	bk__space_tsan_release();
	cmm_barrier();
	_CMM_STORE_SHARED(URCU_TLS(urcu_memb_reader).ctr, 0); /* a commit may have set the state by now */
	cmm_barrier();
	bk__space_wake_waiter();
}

/* The same for a registered thread on any system. */
static inline void bk__space_heavy_read_lock(void)
{
	bk__space_note(&bk__space_reader.view, NULL);
	_CMM_STORE_SHARED(URCU_TLS(urcu_memb_reader).ctr, _CMM_LOAD_SHARED(urcu_memb_gp.ctr));
	if (bk__space_fences)
		cmm_smp_mb();
	cmm_barrier();
}

static inline void bk__space_heavy_read_unlock(void)
{
	bk__space_tsan_release();
	if (bk__space_fences)
		cmm_smp_mb();
	cmm_barrier();
	_CMM_STORE_SHARED(URCU_TLS(urcu_memb_reader).ctr, 0);
	if (bk__space_fences)
		cmm_smp_mb();
	cmm_barrier();
	bk__space_wake_waiter();
}

/* A read in a handler. Returns where its view is to be noted. */
static inline const void **bk__space_nested_read_lock(void)
{
	struct bk__space_record *record = bk__space_reader.record;
	unsigned depth = record->depth;
	/* What is too deep is counted only, see bk__space_readers. */
	const void **place = depth < BK__SPACE_NESTED_MOST ? &record->nested[depth] : &record->unseen;

	bk__space_note(place, NULL);
	__atomic_store_n(&record->depth, depth + 1, __ATOMIC_RELEASE);
	if (bk__space_fences)
		cmm_smp_mb();
	cmm_barrier();
	return place;
}

static inline void bk__space_nested_read_unlock(void)
{
	struct bk__space_record *record = bk__space_reader.record;

	bk__space_tsan_release();
	__atomic_store_n(&record->depth, record->depth - 1, __ATOMIC_RELEASE);
}

#define bk__space_publish(pointer, value) __atomic_store_n(&(pointer), (value), __ATOMIC_RELEASE)
#define bk__space_subscribe(pointer)      __atomic_load_n(&(pointer), __ATOMIC_ACQUIRE)

#endif
