/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The only place that knows how readers are kept apart from reclaim: liburcu,
 * membarrier flavour. A reader costs a few plain loads and stores of its own
 * thread's memory.
 *
 * Threads are registered on their first read and unregistered when they end.
 * A thread that its owner has registered with liburcu already is left to him.
 */
#ifndef BARKEEP_SPACE_RCU_H
#define BARKEEP_SPACE_RCU_H

#include <stdbool.h>

/* Permits the inline forms of the read side, each below ten lines (LGPL 2.1, 5). */
#ifndef _LGPL_SOURCE
#define _LGPL_SOURCE
#endif
#include <urcu/urcu-memb.h>

#define bk__likely(x)   __builtin_expect(!!(x), 1)
#define bk__unlikely(x) __builtin_expect(!!(x), 0)

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
#define bk__tsan_acquire() __tsan_acquire(&urcu_memb_gp)
#define bk__tsan_release() __tsan_release(&urcu_memb_gp)
#else
#define bk__tsan_acquire() ((void)0)
#define bk__tsan_release() ((void)0)
#endif

/* What a thread must do before its next outermost read, other than just read. */
enum bk__reader_state {
	BK__READER_READY = 0, /* nothing */
	BK__READER_NEW = 1,   /* register */
	BK__READER_OWES = 2,  /* give reclaim a chance: it committed inside a read */
	BK__READER_HEAVY = 3, /* nothing, but the system has no membarrier call: use the heavy lock */
};

extern __thread enum bk__reader_state bk__reader_state;

/* The thread's counter in liburcu if it is READY, else a number that says that it is inside, so that one
 * test tells whether there is anything to do before a read. */
extern __thread unsigned long *bk__reader_ctr;

void bk__reader_set(enum bk__reader_state state);

/* Makes what registration needs; a domain cannot be created without it. 0 or a negative errno. */
int bk__reader_init(void);

/* Registers the calling thread, unless it is; the state is READY or HEAVY then.
 * -ENOMEM if its end could not be noticed: a thread that ends registered would
 * haunt every grace period. */
int bk__reader_register(void);

/* Wakes the one that waits for readers. */
void bk__reader_wake(void) __attribute__((cold));

/* Is the calling thread inside a read: in a handler, or in a read section of its owner's? */
static inline bool bk__read_ongoing(void)
{
	return urcu_memb_read_ongoing();
}

/* Is there nothing to do before the read but bk__read_lock? */
static inline bool bk__ready(void)
{
	return bk__likely(!(*bk__reader_ctr & URCU_GP_CTR_NEST_MASK));
}

#ifdef BK__TSAN
#define bk__futex() __atomic_load_n(&urcu_memb_gp.futex, __ATOMIC_RELAXED)
#else
#define bk__futex() \
	urcu_memb_gp.futex /* behind a barrier, and so read here; a test of it in one instruction */
#endif

static inline void bk__wake_waiter(void)
{
	if (bk__unlikely(bk__futex() == -1))
		bk__reader_wake();
}

/*
 * The outermost read of a thread that is bk__ready(); within a read, nothing
 * is needed. Of liburcu's read_lock and read_unlock these are the parts for
 * the outermost read on a system that has membarrier: what the thread writes
 * here may stay behind what it reads, since who waits for readers forces a
 * barrier upon all threads.
 */
static inline void bk__read_lock(void)
{
	_CMM_STORE_SHARED(*bk__reader_ctr, _CMM_LOAD_SHARED(urcu_memb_gp.ctr));
	cmm_barrier();
}

static inline void bk__read_unlock(void)
{
	bk__tsan_release();
	cmm_barrier();
	_CMM_STORE_SHARED(URCU_TLS(urcu_memb_reader).ctr, 0); /* a commit may have set the state by now */
	cmm_barrier();
	bk__wake_waiter();
}

/* The same for a registered thread on any system. */
static inline void bk__heavy_read_lock(void)
{
	_CMM_STORE_SHARED(URCU_TLS(urcu_memb_reader).ctr, _CMM_LOAD_SHARED(urcu_memb_gp.ctr));
	urcu_memb_smp_mb_slave();
}

static inline void bk__heavy_read_unlock(void)
{
	bk__tsan_release();
	urcu_memb_smp_mb_slave();
	_CMM_STORE_SHARED(URCU_TLS(urcu_memb_reader).ctr, 0);
	urcu_memb_smp_mb_slave();
	bk__wake_waiter();
}

/* Waits until every read that is going on now has ended. Never inside a read. */
static inline void bk__wait_for_readers(void)
{
	urcu_memb_synchronize_rcu();
	bk__tsan_acquire();
}

#define bk__publish(pointer, value) __atomic_store_n(&(pointer), (value), __ATOMIC_RELEASE)
#define bk__subscribe(pointer)      __atomic_load_n(&(pointer), __ATOMIC_ACQUIRE)

#endif
