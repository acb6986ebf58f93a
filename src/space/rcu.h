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
/* And the inline forms race on purpose: it gets calls into the library, which it does not look into. */
#define bk__rcu_read_lock()   urcu_memb_flavor.read_lock()
#define bk__rcu_read_unlock() urcu_memb_flavor.read_unlock()
#else
#define bk__tsan_acquire()    ((void)0)
#define bk__tsan_release()    ((void)0)
#define bk__rcu_read_lock()   urcu_memb_read_lock()
#define bk__rcu_read_unlock() urcu_memb_read_unlock()
#endif

/* What a thread must do before its next outermost read, other than just read. */
enum bk__reader_state {
	BK__READER_NEW = 0,   /* register */
	BK__READER_READY = 1, /* nothing */
	BK__READER_OWES = 2,  /* give reclaim a chance: it committed inside a read */
};

extern __thread enum bk__reader_state bk__reader_state;

/* Makes what registration needs; a domain cannot be created without it. 0 or a negative errno. */
int bk__reader_init(void);

/* Registers the calling thread, unless it is. -ENOMEM if its end could not be
 * noticed: a thread that ends registered would haunt every grace period. */
int bk__reader_register(void);

/* The thread is registered: bk__reader_state is not BK__READER_NEW. */
static inline void bk__read_lock(void)
{
	bk__rcu_read_lock();
}

static inline void bk__read_unlock(void)
{
	bk__tsan_release();
	bk__rcu_read_unlock();
}

/* Is the calling thread inside a read: in a handler, or in a read section of its owner's? */
static inline bool bk__read_ongoing(void)
{
	return urcu_memb_read_ongoing();
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
