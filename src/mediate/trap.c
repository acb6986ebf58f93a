/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Traps: regions above the device's registers, and the list of them.
 *
 * The list is for people (bk_mediator_stats, describe); the space decides which trap answers. A trap
 * leaves the list before its region is removed, since it is freed as soon as no reader is inside.
 */
#include "mediate/trap.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/struct.h"
#include "mediate/finish.h"
#include "mediate/hole.h"
#include "mediate/verbs.h"

static int trap_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	struct bk_trap *trap = opaque;
	int (*read)(void *, unsigned, uint64_t, unsigned, uint64_t *) =
		__atomic_load_n(&trap->read, __ATOMIC_RELAXED);
	int r;

	if (read)
		r = read(trap->opaque, trap->region, offset, width, value);
	else
		r = bk_mediator_below_read(trap->mediate, trap->region, offset, width, value);
	return bk__mediate_finish_trap(trap, offset, width, false, *value, r);
}

static int trap_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	struct bk_trap *trap = opaque;
	int (*write)(void *, unsigned, uint64_t, unsigned, uint64_t) =
		__atomic_load_n(&trap->write, __ATOMIC_RELAXED);
	int r;

	if (write)
		r = write(trap->opaque, trap->region, offset, width, value);
	else
		r = bk_mediator_below_write(trap->mediate, trap->region, offset, width, value);
	if (trap->accelerate && !r)
		bk__mediate_accelerate_note(trap, offset, width, value);
	return bk__mediate_finish_trap(trap, offset, width, true, value, r);
}

void bk__mediate_trap_failed_in_part(struct bk_trap *trap)
{
	bk__mediate_count_error(&trap->counts);
}

/* Overlay: the read that others yield to. It ignores bytes outside this region. */
static int trap_whole(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	struct bk_trap *trap = opaque;
	struct bk__mediate_region *region = &trap->mediate->regions[trap->region];
	int r;

	if (offset >= region->size || width > region->size - offset ||
	    (trap->region == BK_DEVICE_VGA && !bk__mediate_vga_has(offset, width)))
		return -ERANGE;
	r = bk_mediator_below_read(trap->mediate, trap->region, offset, width, value);
	bk__mediate_finish_beside(trap->mediate, trap->region, offset, width, false, *value, r);
	return r == -ERANGE ? -EIO : r;
}

static void trap_released(void *opaque)
{
	struct bk_trap *trap = opaque;

	if (trap->released)
		trap->released(trap->opaque);
	bk__mediate_pages_left_free(trap);
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

static int is_before(const void *element, const void *key)
{
	return compare(*(struct bk_trap *const *)element, key) < 0;
}

/* Where the first trap is that does not sort before `trap`. */
static size_t position(const struct bk_mediator *m, const struct bk_trap *trap)
{
	return bk__array_search(m->traps.at, m->traps.count, sizeof(*m->traps.at), trap, is_before);
}

/* The list has room. */
static void link_trap(struct bk_mediator *m, struct bk_trap *trap)
{
	size_t at = position(m, trap);

	bk__array_insert(&m->traps, at, trap);
}

/* The trap is in the list. */
static void unlink_trap(struct bk_mediator *m, struct bk_trap *trap)
{
	size_t at = position(m, trap);

	/* A trap about to be refused may stand beside its equal. */
	while (m->traps.at[at] != trap)
		at++;
	bk__array_remove(&m->traps, at);
}

/* ---- Add, replace and remove ------------------------------------------- */

static void append_add(struct bk_mediator *m, struct bk_update *update, struct bk_trap *trap)
{
	const struct bk_region_desc desc = {
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

	bk_update_add(update, m->regions[trap->region].space, &desc, &trap->handle);
}

/*
 * Changes the lists before the commit: after it, `out` may be freed and a handler of `in` may run.
 */
static int commit(struct bk_mediator *m, struct bk_update *update, struct bk_trap *out, struct bk_trap *in)
{
	int r;

	if (in) { /* first, so that a page that both are in keeps its counters */
		link_trap(m, in);
		bk__mediate_pages_claim(m, in);
	}
	if (out) {
		unlink_trap(m, out);
		bk__mediate_pages_release(m, out);
	}
	r = bk_update_commit(update, NULL);
	if (!r)
		return 0;
	if (out) {
		bk__mediate_pages_restore(m, out);
		link_trap(m, out);
	}
	if (in) {
		bk__mediate_pages_unclaim(m, in);
		unlink_trap(m, in);
	}
	return r;
}

/* `out` goes and `in` comes, in one update; either may be NULL. Under the lock. */
static int exchange(struct bk_mediator *m, struct bk_trap *out, struct bk_trap *in)
{
	struct bk_update *update;
	int r = in ? bk__array_reserve(&m->traps, 1) : 0;

	if (!r && in)
		r = bk__mediate_pages_prepare(m, in);
	if (r)
		return r;
	if (in)
		r = bk__mediate_watcher_lose(m, in->region, in->offset, in->offset + in->length - 1);
	if (r)
		return r;
	update = bk_update_begin(m->domain);
	if (in)
		append_add(m, update, in);
	if (out)
		bk_update_remove(update, out->handle);
	r = commit(m, update, out, in);
	if (!r && out)
		bk__mediate_accelerate_stop(m, out); /* `out` may be freed by now */
	return r;
}

/* ---- Without memory ----------------------------------------------------- */

/*
 * If memory is too short to remove a trap from the view, its region stays and passes all accesses on until a
 * later change removes it. The owner sees a difference only in when `released` comes.
 */
static void retire(struct bk_mediator *m, struct bk_trap *trap)
{
	unlink_trap(m, trap);
	bk__mediate_accelerate_stop(m, trap);
	__atomic_store_n(&trap->read, NULL, __ATOMIC_RELAXED);
	__atomic_store_n(&trap->write, NULL, __ATOMIC_RELAXED);
	trap->next_retired = m->retired;
	m->retired = trap;
}

static int take_away(struct bk_mediator *m, struct bk_trap *trap)
{
	struct bk_update *update = bk_update_begin(m->domain);
	int r;

	bk_update_remove(update, trap->handle);
	bk__mediate_pages_release(m, trap);
	r = bk_update_commit(update, NULL);
	if (r)
		bk__mediate_pages_restore(m, trap);
	return r;
}

static int remove_retired(struct bk_mediator *m)
{
	while (m->retired) {
		struct bk_trap *next = m->retired->next_retired;
		int r = take_away(m, m->retired);

		if (r)
			return r;
		m->retired = next;
	}
	return 0;
}

static int locked_exchange(struct bk_mediator *m, struct bk_trap *out, struct bk_trap *in)
{
	const unsigned region = out ? out->region : in->region;
	int r;

	pthread_mutex_lock(&m->lock);
	r = m->closed ? -ESHUTDOWN : remove_retired(m);
	if (!r)
		r = exchange(m, out, in);
	if (!r && out && in->region != region)
		bk__mediate_watcher_change(m, region);
	bk__mediate_watcher_change(m, in->region);
	pthread_mutex_unlock(&m->lock);
	return r;
}

static const char *name_of(const struct bk_trap_desc *desc)
{
	const char *verb = bk__mediate_verb_name(desc->verb);

	return desc->name ? desc->name : verb ? verb : "trap";
}

/* Makes `desc` count from the region's start, and checks that it is in the device.
 */
static int find_place(struct bk_mediator *m, struct bk_trap_desc *desc, struct bk_error *err)
{
	const char *name = name_of(desc), *where = bk_device_region_name(desc->region);
	uint64_t size;

	if (desc->region >= BK__SPACES)
		return bk_fail(err, EINVAL,
			       "%s: region %u cannot carry traps (bar0 to bar5, rom, config, vga)", name,
			       desc->region);
	size = m->regions[desc->region].size;
	if (!m->regions[desc->region].space)
		return bk_fail(err, EINVAL, "%s: %s shows no %s%s", name, m->below->name, where,
			       desc->region == BK_DEVICE_VGA ? " ranges (vga=on does)" : "");
	if (desc->from != BK_TRAP_FROM_START) {
		bool extended = desc->from == BK_TRAP_FROM_EXTENDED;
		unsigned at;

		if (desc->region != BK_DEVICE_CONFIG)
			return bk_fail(err, EINVAL, "%s: capabilities are in config space, not in %s", name,
				       where);
		if (bk_mediator_capability(m, extended, desc->capability, &at))
			return bk_fail(err, ENOENT, "%s: %s shows no %scapability 0x%02x", name,
				       m->below->name, extended ? "extended " : "", desc->capability);
		desc->offset = desc->offset > size ? size : at + desc->offset;
		desc->from = BK_TRAP_FROM_START;
	}
	if (!desc->length || desc->offset >= size || desc->length > size - desc->offset)
		return bk_fail(err, EINVAL,
			       "%s: 0x%" PRIx64 " bytes at 0x%" PRIx64
			       " are not in %s of %s, which has 0x%" PRIx64 " bytes",
			       name, desc->length, desc->offset, where, m->below->name, size);
	if (desc->region == BK_DEVICE_VGA && !bk__mediate_vga_has(desc->offset, desc->length))
		return bk_fail(err, EINVAL,
			       "%s: 0x%" PRIx64 " bytes at 0x%" PRIx64
			       " are not in a VGA range: memory 0xa0000 to 0xbffff, ports 0x3b0 to 0x3bb and "
			       "0x3c0 to 0x3df",
			       name, desc->length, desc->offset);
	return 0;
}

static struct bk_trap *create(struct bk_mediator *m, const struct bk_trap_desc *desc,
			      const struct bk_trap_ops *ops, int priority)
{
	const char *name = name_of(desc);
	const size_t length = strlen(name) + 1;
	struct bk_trap *trap;

	if (posix_memalign((void **)&trap, BK__CACHE_LINE, sizeof(*trap) + length))
		return NULL;
	*trap = (struct bk_trap){
		.read = ops->read,
		.write = ops->write,
		.opaque = desc->opaque,
		.released = ops->released,
		.region = desc->region,
		.priority = priority,
		.mediate = m,
		.offset = desc->offset,
		.length = desc->length,
		.accelerate = desc->accelerate && desc->region < BK_DEVICE_ROM,
		.region_ops = {
			.read = trap_read,
			.write = trap_write,
			.released = trap_released,
			.widths = ops->widths,
			.whole = desc->overlay ? trap_whole : NULL,
		},
	};
	memcpy(trap->name, name, length);
	return trap;
}

/* `desc` has been checked to be in the device. */
static int place(struct bk_mediator *m, struct bk_trap *old, const struct bk_trap_desc *desc, int priority,
		 struct bk_trap **out, struct bk_error *err)
{
	const char *name = name_of(desc), *where = bk_device_region_name(desc->region);
	struct bk_trap_ops ops;
	struct bk_trap *trap;
	int r = bk__struct_take(&ops, sizeof(ops), desc->ops);

	if (r)
		return bk_fail(err, -r, "%s: its handlers are of a later release", name);
	trap = create(m, desc, &ops, priority);
	if (!trap)
		return bk_fail(err, ENOMEM, "%s: out of memory", name);
	*out = trap;
	r = locked_exchange(m, old, trap);
	if (!r)
		return 0;
	free(trap);
	*out = NULL;
	if (r == -EEXIST)
		return bk_fail(err, EEXIST, "%s: %s+0x%" PRIx64 ": a trap of the same priority starts there",
			       name, where, desc->offset);
	return bk_fail(err, -r, "%s: %s+0x%" PRIx64 ": %s", name, where, desc->offset,
		       r == -EBUSY ? "who uses the device reaches that page without traps, and goes on to"
				   : strerror(-r));
}

int bk__mediate_trap_place(struct bk_mediator *m, const struct bk_trap_desc *desc, int priority,
			   struct bk_trap **trap, struct bk_error *err)
{
	struct bk_trap_desc own = *desc;
	int r = find_place(m, &own, err);

	return r ? r : place(m, NULL, &own, priority, trap, err);
}

/* A trap of the user's: with handlers, or a ready-made one. */
static int place_checked(struct bk_mediator *m, struct bk_trap *old, const struct bk_trap_desc *from,
			 struct bk_trap **trap, struct bk_error *err)
{
	struct bk_trap_desc desc;
	int r = bk__struct_take(&desc, sizeof(desc), from);

	*trap = NULL;
	if (r)
		return bk_fail(err, -r, "a trap's description is of a later release");
	if (desc.verb == BK_TRAP_HANDLERS && !desc.ops)
		return bk_fail(err, EINVAL, "%s: a trap without handlers", name_of(&desc));
	if (desc.priority < BK__PRIORITY_LOWEST - BK_TRAP_PRIORITY ||
	    desc.priority > INT_MAX - BK_TRAP_PRIORITY)
		return bk_fail(err, EINVAL,
			       "%s: priority %d is not above the device's registers (%d and more)",
			       name_of(&desc), desc.priority, BK__PRIORITY_LOWEST - BK_TRAP_PRIORITY);
	r = find_place(m, &desc, err);
	if (!r && desc.verb != BK_TRAP_HANDLERS)
		r = bk__mediate_verb_make(m, &desc, err);
	if (r)
		return r;
	r = place(m, old, &desc, desc.priority + BK_TRAP_PRIORITY, trap, err);
	if (r && desc.verb != BK_TRAP_HANDLERS)
		free(desc.opaque);
	return r;
}

int bk_trap_add(struct bk_mediator *m, const struct bk_trap_desc *desc, struct bk_trap **trap,
		struct bk_error *err)
{
	return place_checked(m, NULL, desc, trap, err);
}

int bk_trap_replace(struct bk_trap *old, const struct bk_trap_desc *desc, struct bk_trap **trap,
		    struct bk_error *err)
{
	return place_checked(old->mediate, old, desc, trap, err);
}

void bk_trap_remove(struct bk_trap *trap)
{
	struct bk_mediator *m = trap->mediate;
	const unsigned region = trap->region;

	pthread_mutex_lock(&m->lock);
	if (!m->closed && (remove_retired(m) || exchange(m, trap, NULL)))
		retire(m, trap);
	bk__mediate_watcher_change(m, region);
	pthread_mutex_unlock(&m->lock);
}
