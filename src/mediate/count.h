/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counters of accesses. Most are used by one thread at a time, and a locked
 * instruction costs as much as all else that a short handler does: so the first thread that counts has
 * its own part, and the others share one.
 */
#ifndef BARKEEP_MEDIATE_COUNT_H
#define BARKEEP_MEDIATE_COUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bk__mediate_counts {
	const char *owner;              /* &bk__mediate_counting_thread of that thread; atomic */
	uint64_t own_reads, own_writes; /* relaxed; no other thread writes them */
	uint64_t reads, writes, errors; /* relaxed */
};

/* Its address identifies a thread. A thread that gets the address of one that has ended takes over what
 * that owned.
 */
extern __thread char bk__mediate_counting_thread;

static inline void bk__mediate_count_access(struct bk__mediate_counts *counts, bool write)
{
	const char *me = &bk__mediate_counting_thread,
		   *owner = __atomic_load_n(&counts->owner, __ATOMIC_RELAXED);

	if (!owner && __atomic_compare_exchange_n(&counts->owner, &owner, me, false, __ATOMIC_RELAXED,
						  __ATOMIC_RELAXED))
		owner = me;
	if (owner == me) {
		uint64_t *own = write ? &counts->own_writes : &counts->own_reads;

		__atomic_store_n(own, __atomic_load_n(own, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
	} else {
		__atomic_fetch_add(write ? &counts->writes : &counts->reads, 1, __ATOMIC_RELAXED);
	}
}

static inline void bk__mediate_count_error(struct bk__mediate_counts *counts)
{
	__atomic_fetch_add(&counts->errors, 1, __ATOMIC_RELAXED);
}

/* How often each so far. */
static inline uint64_t bk__mediate_counted_reads(const struct bk__mediate_counts *counts)
{
	return __atomic_load_n(&counts->reads, __ATOMIC_RELAXED) +
	       __atomic_load_n(&counts->own_reads, __ATOMIC_RELAXED);
}

static inline uint64_t bk__mediate_counted_writes(const struct bk__mediate_counts *counts)
{
	return __atomic_load_n(&counts->writes, __ATOMIC_RELAXED) +
	       __atomic_load_n(&counts->own_writes, __ATOMIC_RELAXED);
}

#endif
