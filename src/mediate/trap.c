/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Traps: regions above the device's registers, and the list of them.
 *
 * The list is for people (bk_mediate_stats, describe); who answers is the
 * space's business. A trap leaves the list before its region is removed, since
 * it is freed as soon as no reader is inside.
 */
#include "mediate/mediate.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct bk_trap {
	struct bk_mediate *mediate;
	struct bk_region *handle;
	const struct bk_trap_ops *ops;
	void *opaque;
	struct bk_region_ops region_ops;
	unsigned region;
	uint64_t offset, length;
	int priority;                   /* in the region's space */
	uint64_t reads, writes, errors; /* relaxed */
	char name[];
};

static int counted(struct bk_trap *trap, uint64_t *calls, int r)
{
	__atomic_fetch_add(calls, 1, __ATOMIC_RELAXED);
	if (r)
		__atomic_fetch_add(&trap->errors, 1, __ATOMIC_RELAXED);
	return r;
}

static int trap_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	struct bk_trap *trap = opaque;

	if (trap->ops->read)
		return counted(trap, &trap->reads,
			       trap->ops->read(trap->opaque, trap->region, offset, width, value));
	return counted(trap, &trap->reads,
		       bk_mediate_below_read(trap->mediate, trap->region, offset, width, value));
}

static int trap_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	struct bk_trap *trap = opaque;

	if (trap->ops->write)
		return counted(trap, &trap->writes,
			       trap->ops->write(trap->opaque, trap->region, offset, width, value));
	return counted(trap, &trap->writes,
		       bk_mediate_below_write(trap->mediate, trap->region, offset, width, value));
}

static void trap_released(void *opaque)
{
	struct bk_trap *trap = opaque;

	if (trap->ops->released)
		trap->ops->released(trap->opaque);
	free(trap);
}

/* ---- The list ---------------------------------------------------------- */

/* No two traps are equal in all three: the space refuses that. */
static int compare(const struct bk_trap *a, const struct bk_trap *b)
{
	if (a->region != b->region)
		return a->region < b->region ? -1 : 1;
	if (a->offset != b->offset)
		return a->offset < b->offset ? -1 : 1;
	return a->priority < b->priority ? 1 : a->priority > b->priority ? -1 : 0;
}

/* The first one that is not below `trap` in the order. */
static size_t position(const struct bk_mediate *m, const struct bk_trap *trap)
{
	size_t low = 0, high = m->trap_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(m->traps[middle], trap) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int link_trap(struct bk_mediate *m, struct bk_trap *trap)
{
	size_t at;
	int r = 0;

	pthread_mutex_lock(&m->lock);
	if (m->trap_count == m->trap_room) {
		size_t more = m->trap_room ? 2 * m->trap_room : 16;
		struct bk_trap **traps = realloc(m->traps, more * sizeof(struct bk_trap *));

		if (traps) {
			m->traps = traps;
			m->trap_room = more;
		}
	}
	if (m->trap_count < m->trap_room) {
		at = position(m, trap);
		memmove(m->traps + at + 1, m->traps + at, (m->trap_count - at) * sizeof(struct bk_trap *));
		m->traps[at] = trap;
		m->trap_count++;
	} else {
		r = -ENOMEM;
	}
	pthread_mutex_unlock(&m->lock);
	return r;
}

static void unlink_trap(struct bk_mediate *m, struct bk_trap *trap)
{
	size_t at;

	pthread_mutex_lock(&m->lock);
	/* One that is about to be refused may stand beside its equal. */
	at = position(m, trap);
	while (at < m->trap_count && m->traps[at] != trap)
		at++;
	if (at < m->trap_count) {
		m->trap_count--;
		memmove(m->traps + at, m->traps + at + 1, (m->trap_count - at) * sizeof(struct bk_trap *));
	}
	pthread_mutex_unlock(&m->lock);
}

/* ---- Add and remove ---------------------------------------------------- */

static int place_in_space(struct bk_mediate *m, struct bk_trap *trap)
{
	struct bk_space *space = m->regions[trap->region].space;
	struct bk_region_desc desc = {
		.name = trap->name,
		.first = trap->offset,
		.last = trap->offset + trap->length - 1,
		.priority = trap->priority,
		.rank = trap->offset,
		.kind = BK_REGION_HANDLED,
		.ops = &trap->region_ops,
		.opaque = trap,
		.base = trap->offset,
	};
	struct bk_update *update = bk_update_begin(m->domain);
	int r;

	if (!update)
		return -ENOMEM;
	r = bk_update_add(update, space, &desc, &trap->handle);
	if (!r)
		r = link_trap(m, trap);
	if (r) {
		bk_update_drop(update);
		return r;
	}
	/* In the list, and known to the caller, before a handler can run that removes it. */
	r = bk_update_commit(update);
	if (r)
		unlink_trap(m, trap);
	return r;
}

int bk__trap_place(struct bk_mediate *m, const struct bk_trap_desc *desc, int priority, struct bk_trap **out,
		   struct bk_error *err)
{
	const char *name = desc->name ? desc->name : "trap", *where = bk__region_name(desc->region);
	size_t length = strlen(name) + 1;
	struct bk_trap *trap;
	uint64_t size;
	int r;

	if (desc->region >= BK__SPACES)
		return bk_fail(err, EINVAL, "%s: region %u cannot carry traps (bar0 to bar5, rom, config)",
			       name, desc->region);
	size = m->regions[desc->region].size;
	if (!m->regions[desc->region].space)
		return bk_fail(err, EINVAL, "%s: %s has no %s", name, m->below->name, where);
	if (!desc->length || desc->offset >= size || desc->length > size - desc->offset)
		return bk_fail(err, EINVAL,
			       "%s: 0x%" PRIx64 " bytes at 0x%" PRIx64
			       " are not in %s of %s, which has 0x%" PRIx64 " bytes",
			       name, desc->length, desc->offset, where, m->below->name, size);
	trap = calloc(1, sizeof(*trap) + length);
	if (!trap)
		return bk_fail(err, ENOMEM, "%s: out of memory", name);
	trap->mediate = m;
	trap->ops = desc->ops;
	trap->opaque = desc->opaque;
	trap->region_ops = (struct bk_region_ops){
		.read = trap_read,
		.write = trap_write,
		.released = trap_released,
		.widths = desc->ops->widths,
	};
	trap->region = desc->region;
	trap->offset = desc->offset;
	trap->length = desc->length;
	trap->priority = priority;
	memcpy(trap->name, name, length);
	*out = trap;
	r = place_in_space(m, trap);
	if (!r)
		return 0;
	free(trap);
	*out = NULL;
	if (r == -EEXIST)
		return bk_fail(err, EEXIST, "%s: %s+0x%" PRIx64 ": a trap of the same priority starts there",
			       name, where, desc->offset);
	return bk_fail(err, -r, "%s: %s+0x%" PRIx64 ": %s", name, where, desc->offset, strerror(-r));
}

int bk_trap_add(struct bk_mediate *m, const struct bk_trap_desc *desc, struct bk_trap **trap,
		struct bk_error *err)
{
	*trap = NULL;
	if (!desc->ops)
		return bk_fail(err, EINVAL, "%s: a trap without handlers", desc->name ? desc->name : "trap");
	if (desc->priority < BK__PRIORITY_LOWEST - BK_TRAP_PRIORITY ||
	    desc->priority > INT_MAX - BK_TRAP_PRIORITY)
		return bk_fail(err, EINVAL,
			       "%s: priority %d is not above the device's registers (%d and more)",
			       desc->name ? desc->name : "trap", desc->priority,
			       BK__PRIORITY_LOWEST - BK_TRAP_PRIORITY);
	return bk__trap_place(m, desc, desc->priority + BK_TRAP_PRIORITY, trap, err);
}

int bk_trap_remove(struct bk_trap *trap)
{
	struct bk_mediate *m = trap->mediate;
	struct bk_update *update = bk_update_begin(m->domain);
	int r;

	if (!update)
		return -ENOMEM;
	r = bk_update_remove(update, trap->handle);
	if (r) {
		bk_update_drop(update);
		return r;
	}
	unlink_trap(m, trap);
	r = bk_update_commit(update);
	if (r)
		link_trap(m, trap); /* at worst it answers without being listed */
	return r;
}

/* ---- MSI-X ------------------------------------------------------------- */

/* What is below them knows them. */
static const struct bk_trap_ops msix_ops;

int bk__msix_traps(struct bk_mediate *m, unsigned table_bar, unsigned pba_bar, struct bk_error *err)
{
	const unsigned bars[] = { table_bar, pba_bar };
	static const char *const names[] = { "msix-table", "msix-pba" };
	struct bk_trap *trap;
	int r = bk_pci_msix_regions(m->function, &m->msix[0], &m->msix[1]);

	for (unsigned i = 0; !r && i < 2; i++) {
		const struct bk_trap_desc desc = {
			.region = bars[i],
			.offset = m->msix[i].first,
			.length = m->msix[i].last - m->msix[i].first + 1,
			.name = names[i],
			.ops = &msix_ops,
		};

		m->msix_bar[i] = bars[i];
		r = bk__trap_place(m, &desc, BK__PRIORITY_BUILTIN, &trap, err);
	}
	return r == -ENOENT ? 0 : r;
}

/* ---- Counters ---------------------------------------------------------- */

static void visit_region(struct bk_mediate *m, unsigned index,
			 void (*visit)(void *opaque, const struct bk_trap_stats *stats), void *opaque)
{
	const struct bk__region *region = &m->regions[index];
	const struct bk_trap_stats stats = {
		.region = index,
		.length = region->size,
		.reads = __atomic_load_n(&region->reads, __ATOMIC_RELAXED),
		.writes = __atomic_load_n(&region->writes, __ATOMIC_RELAXED),
		.errors = __atomic_load_n(&region->errors, __ATOMIC_RELAXED),
	};

	visit(opaque, &stats);
}

static void visit_trap(struct bk_trap *trap, void (*visit)(void *opaque, const struct bk_trap_stats *stats),
		       void *opaque)
{
	const struct bk_trap_stats stats = {
		.name = trap->name,
		.region = trap->region,
		.offset = trap->offset,
		.length = trap->length,
		.reads = __atomic_load_n(&trap->reads, __ATOMIC_RELAXED),
		.writes = __atomic_load_n(&trap->writes, __ATOMIC_RELAXED),
		.errors = __atomic_load_n(&trap->errors, __ATOMIC_RELAXED),
	};

	visit(opaque, &stats);
}

void bk_mediate_stats(struct bk_mediate *m, void (*visit)(void *opaque, const struct bk_trap_stats *stats),
		      void *opaque)
{
	size_t at = 0;

	pthread_mutex_lock(&m->lock);
	for (unsigned region = 0; region < BK__SPACES; region++) {
		if (!m->regions[region].space)
			continue;
		visit_region(m, region, visit, opaque);
		for (; at < m->trap_count && m->traps[at]->region == region; at++)
			visit_trap(m->traps[at], visit, opaque);
	}
	pthread_mutex_unlock(&m->lock);
}
