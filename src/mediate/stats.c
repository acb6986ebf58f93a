/* SPDX-License-Identifier: BSD-2-Clause */
/* The counters of traps, of registers without one, and of pages that exit because of one. */
#include "mediate/mediate.h"

static struct bk_trap_stats stats_of(const struct bk__mediate_counts *counts, unsigned region,
				     uint64_t offset, uint64_t length)
{
	return (struct bk_trap_stats){
		.struct_size = sizeof(struct bk_trap_stats),
		.region = region,
		.offset = offset,
		.length = length,
		.reads = bk__mediate_counted_reads(counts),
		.writes = bk__mediate_counted_writes(counts),
		.errors = __atomic_load_n(&counts->errors, __ATOMIC_RELAXED),
	};
}

void bk_mediator_stats(struct bk_mediator *m, void (*visit)(void *opaque, const struct bk_trap_stats *stats),
		       void *opaque)
{
	size_t at = 0;

	pthread_mutex_lock(&m->lock);
	for (unsigned i = 0; i < BK__SPACES; i++) {
		const struct bk__mediate_region *region = &m->regions[i];
		struct bk_trap_stats stats = stats_of(&region->counts, i, 0, region->size);

		if (!region->space)
			continue;
		if (i == BK_DEVICE_CONFIG)
			stats.lost = __atomic_load_n(&m->lost, __ATOMIC_RELAXED);
		visit(opaque, &stats);
		for (; at < m->traps.count && m->traps.at[at]->region == i; at++) {
			const struct bk_trap *trap = m->traps.at[at];

			stats = stats_of(&trap->counts, i, trap->offset, trap->length);
			stats.name = trap->name;
			stats.last = __atomic_load_n(&trap->last, __ATOMIC_RELAXED);
			stats.accelerated = bk__mediate_accelerate_count(m, trap);
			visit(opaque, &stats);
		}
	}
	pthread_mutex_unlock(&m->lock);
}

void bk_mediator_page_stats(struct bk_mediator *m,
			    void (*visit)(void *opaque, const struct bk_trap_stats *stats), void *opaque)
{
	pthread_mutex_lock(&m->lock);
	for (unsigned i = 0; i < BK__SPACES; i++) {
		for (size_t j = 0; j < m->regions[i].pages.count; j++) {
			const struct bk__mediate_page *page = m->regions[i].pages.at[j];
			const struct bk_trap_stats stats =
				stats_of(&page->counts, i, page->first, m->page_size);

			if (page->traps)
				visit(opaque, &stats);
		}
	}
	pthread_mutex_unlock(&m->lock);
}
