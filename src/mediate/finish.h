/* SPDX-License-Identifier: BSD-2-Clause */
/* What every access goes through when it is finished: it is counted, and shown to a recorder if there is one.
 */
#ifndef BARKEEP_MEDIATE_FINISH_H
#define BARKEEP_MEDIATE_FINISH_H

#include "mediate/mediate.h"

/* Shows it to the recorder. (record.c) */
void bk__mediate_record(struct bk_mediator *m, const struct bk_access *access);

/* Without a recorder: one branch that is never taken. */
#define BK__MEDIATE_RECORD(m, ...)                                                                          \
	do {                                                                                                \
		if (__builtin_expect(__atomic_load_n(&(m)->recording, __ATOMIC_RELAXED) != 0, 0))           \
			bk__mediate_record(m, &(struct bk_access){ .struct_size = sizeof(struct bk_access), \
								   __VA_ARGS__ });                          \
	} while (0)

/* An access that a trap has answered. All return `error`. */
static inline int bk__mediate_finish_trap(struct bk_trap *trap, uint64_t offset, unsigned width, bool write,
					  uint64_t value, int error)
{
	bk__mediate_count_access(&trap->counts, write);
	if (error)
		bk__mediate_count_error(&trap->counts);
	else
		__atomic_store_n(&trap->last, value & UINT64_MAX >> (64 - 8 * width), __ATOMIC_RELAXED);
	BK__MEDIATE_RECORD(trap->mediate, .trap = trap->name, .region = trap->region, .offset = offset,
			   .width = width, .write = write, .value = value, .error = error);
	return error;
}

/* And one that reached registers without a trap: counted for the region, and for each page that exits because
 * of a trap. */
static inline int bk__mediate_finish_beside(struct bk_mediator *m, unsigned region, uint64_t offset,
					    unsigned width, bool write, uint64_t value, int error)
{
	bk__mediate_count_access(&m->regions[region].counts, write);
	if (error)
		bk__mediate_count_error(&m->regions[region].counts);
	if (__atomic_load_n(&m->regions[region].buckets, __ATOMIC_ACQUIRE))
		bk__mediate_count_pages(m, region, offset, width, write, error);
	BK__MEDIATE_RECORD(m, .region = region, .offset = offset, .width = width, .write = write,
			   .value = value, .error = error);
	return error;
}

#endif
