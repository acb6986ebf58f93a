/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory slots: memory that a vCPU accesses without an exit. They follow the mapped ranges of a
 * space. */
#include "monitor/slots.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/array.h"
#include "base/ratelimit.h"
#include "monitor/pages.h"

#define NO_SLOT UINT32_MAX
#define TRIES   100 /* to remove a slot: KVM may need memory for it */

/* A mapped range as the listener reported it. */
struct range {
	uint64_t first;     /* the key: ranges of a view are disjoint */
	uint64_t gpa, size; /* of its slot */
	uint64_t left_out;  /* pages without a slot */
	uint32_t slot;      /* NO_SLOT: every access exits */
	bool device;
};

struct bk__monitor_slots {
	const struct bk__monitor_vm *vm;
	const struct bk__monitor_slots_ops *ops;
	void *opaque;
	struct bk_listener *listener;

	/* Protects everything below. Taken inside the commit lock; innermost. */
	pthread_mutex_t lock;
	BK__ARRAY(struct range) ranges; /* ascending */
	BK__ARRAY(uint32_t) spare;      /* slots given back, for the next range; room for `next` of them */
	uint32_t next;                  /* this number and all above were never used */
	uint64_t left_out;
	uint64_t untracked; /* pages of ranges dropped for lack of memory */
	bool held;
	bool lost; /* KVM keeps a removed slot: vCPUs are held, and the run ends */
};

static int is_below(const void *element, const void *key)
{
	return ((const struct range *)element)->first < *(const uint64_t *)key;
}

/* The index of the first range at `first` or above. */
static size_t lower_bound(const struct bk__monitor_slots *slots, uint64_t first)
{
	return bk__array_search(slots->ranges.at, slots->ranges.count, sizeof(*slots->ranges.at), &first,
				is_below);
}

static struct range *range_at(struct bk__monitor_slots *slots, uint64_t gpa)
{
	size_t i = lower_bound(slots, gpa);

	/* The range at `gpa` itself, else the one before: a slot may start after its range does. */
	if (i == slots->ranges.count || slots->ranges.at[i].first != gpa) {
		if (!i)
			return NULL;
		i--;
	}
	if (slots->ranges.at[i].slot == NO_SLOT || gpa < slots->ranges.at[i].gpa ||
	    gpa - slots->ranges.at[i].gpa >= slots->ranges.at[i].size)
		return NULL;
	return &slots->ranges.at[i];
}

/* Taking a slot also makes room for it in `spare`, so that it can always be given back. */
static uint32_t take_slot(struct bk__monitor_slots *slots)
{
	if (slots->spare.count)
		return slots->spare.at[--slots->spare.count];
	if (slots->next >= slots->vm->slots)
		return NO_SLOT;
	if (bk__array_reserve(&slots->spare, slots->next + 1))
		return NO_SLOT;
	return slots->next++;
}

static int set_slot(struct bk__monitor_slots *slots, uint32_t slot, const struct bk__monitor_pages *pages,
		    bool readonly)
{
	struct kvm_userspace_memory_region region = { .slot = slot };

	if (pages) {
		region.guest_phys_addr = pages->gpa;
		region.memory_size = pages->size;
		region.userspace_addr = pages->host;
		region.flags = readonly ? KVM_MEM_READONLY : 0;
	}
	return bk__monitor_vm_ioctl(slots->vm, KVM_SET_USER_MEMORY_REGION, &region);
}

/*
 * The commit is still in progress, so the memory behind the slot is not reused before this returns. So
 * vCPUs are kept out of the guest until the slot is removed, or for ever if KVM does not remove it.
 */
static int insist(struct bk__monitor_slots *slots, const struct range *range, int error)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	char line[128];

	if (slots->lost)
		return error;
	slots->ops->hold(slots->opaque);
	for (unsigned i = 0; error && i < TRIES; i++) {
		nanosleep(&pause, NULL);
		error = set_slot(slots, range->slot, NULL, false);
	}
	if (!error) {
		slots->ops->release(slots->opaque);
		return 0;
	}
	slots->lost = true;
	snprintf(line, sizeof(line), "kvm: memory slot %" PRIu32 " at 0x%" PRIx64 " cannot be removed: %s",
		 range->slot, range->gpa, strerror(-error));
	slots->ops->lost(slots->opaque, line);
	return error;
}

static void drop_slot(struct bk__monitor_slots *slots, struct range *range)
{
	int error = set_slot(slots, range->slot, NULL, false);

	if (error)
		error = insist(slots, range, error);
	if (!error) /* else the number stays taken */
		slots->spare.at[slots->spare.count++] = range->slot;
	range->slot = NO_SLOT;
}

static void map_range(struct bk__monitor_slots *slots, struct range *range, const struct bk_flat *flat)
{
	static struct bk__ratelimit limit;
	const struct bk__monitor_pages pages = bk__monitor_pages_fit(flat);
	const bool readonly = flat->memory->attributes & BK_MEMORY_READONLY;
	int error;

	range->left_out = pages.left_out;
	if (!pages.size || (readonly && !slots->vm->readonly))
		goto exits;
	range->slot = take_slot(slots);
	error = range->slot == NO_SLOT ? -ENOSPC : set_slot(slots, range->slot, &pages, readonly);
	if (!error) {
		range->gpa = pages.gpa;
		range->size = pages.size;
		return;
	}
	if (range->slot != NO_SLOT)
		slots->spare.at[slots->spare.count++] = range->slot;
	range->slot = NO_SLOT;
	bk__log_limited(&limit, BK_LOG_WARNING, "kvm: no slot for %s at 0x%" PRIx64 ", its accesses exit: %s",
			bk_region_name(flat->region), pages.gpa, strerror(-error));
exits:
	range->left_out = pages.left_out + pages.size / BK__PAGE;
}

static void on_begin(void *opaque, bool overlap)
{
	struct bk__monitor_slots *slots = opaque;

	slots->held = overlap;
	if (overlap)
		slots->ops->hold(slots->opaque);
}

static void on_end(void *opaque)
{
	struct bk__monitor_slots *slots = opaque;

	if (slots->held)
		slots->ops->release(slots->opaque);
	slots->held = false;
}

static void on_added(void *opaque, const struct bk_flat *flat)
{
	struct bk__monitor_slots *slots = opaque;
	struct range range = { .first = flat->first, .slot = NO_SLOT };
	size_t at;

	pthread_mutex_lock(&slots->lock);
	if (bk__array_reserve(&slots->ranges, 1)) {
		slots->untracked += flat->last / BK__PAGE - flat->first / BK__PAGE + 1;
		pthread_mutex_unlock(&slots->lock);
		return;
	}
	range.device = flat->memory->attributes & BK_MEMORY_DEVICE;
	map_range(slots, &range, flat);
	slots->left_out += range.left_out;
	at = lower_bound(slots, flat->first);
	bk__array_insert(&slots->ranges, at, range);
	pthread_mutex_unlock(&slots->lock);
}

static void on_removed(void *opaque, const struct bk_flat *flat)
{
	struct bk__monitor_slots *slots = opaque;
	struct range *range;
	size_t at;

	pthread_mutex_lock(&slots->lock);
	at = lower_bound(slots, flat->first);
	if (at < slots->ranges.count && slots->ranges.at[at].first == flat->first) {
		range = &slots->ranges.at[at];
		if (range->slot != NO_SLOT)
			drop_slot(slots, range);
		slots->left_out -= range->left_out;
		bk__array_remove(&slots->ranges, at);
	} else {
		slots->untracked -= flat->last / BK__PAGE - flat->first / BK__PAGE + 1;
	}
	pthread_mutex_unlock(&slots->lock);
}

static const struct bk_listener_ops listener_ops = {
	.begin = on_begin,
	.removed = on_removed,
	.added = on_added,
	.end = on_end,
	.mapped_only = true,
};

int bk__monitor_slots_create(const struct bk__monitor_vm *vm, struct bk_space *memory,
			     const struct bk__monitor_slots_ops *ops, void *opaque,
			     struct bk__monitor_slots **out, struct bk_error *err)
{
	struct bk__monitor_slots *slots = calloc(1, sizeof(*slots));
	int error;

	if (!slots)
		return bk_fail(err, ENOMEM, "memory slots: out of memory");
	slots->vm = vm;
	slots->ops = ops;
	slots->opaque = opaque;
	pthread_mutex_init(&slots->lock, NULL);
	error = bk_listener_add(memory, &listener_ops, slots, &slots->listener);
	if (error) {
		pthread_mutex_destroy(&slots->lock);
		free(slots);
		return bk_fail(err, -error, "memory slots: %s", strerror(-error));
	}
	*out = slots;
	return 0;
}

void bk__monitor_slots_destroy(struct bk__monitor_slots *slots)
{
	if (!slots)
		return;
	bk_listener_remove(slots->listener);
	pthread_mutex_destroy(&slots->lock);
	free(slots->ranges.at);
	free(slots->spare.at);
	free(slots);
}

bool bk__monitor_slots_covers(struct bk__monitor_slots *slots, uint64_t gpa)
{
	bool covered;

	pthread_mutex_lock(&slots->lock);
	covered = range_at(slots, gpa) != NULL;
	pthread_mutex_unlock(&slots->lock);
	return covered;
}

static bool revoke(struct bk__monitor_slots *slots, struct range *range)
{
	if (!range || !range->device || range->slot == NO_SLOT)
		return false;
	drop_slot(slots, range);
	range->left_out += range->size / BK__PAGE;
	slots->left_out += range->size / BK__PAGE;
	return true;
}

bool bk__monitor_slots_revoke(struct bk__monitor_slots *slots, uint64_t gpa)
{
	bool revoked;

	pthread_mutex_lock(&slots->lock);
	revoked = revoke(slots, range_at(slots, gpa));
	pthread_mutex_unlock(&slots->lock);
	return revoked;
}

bool bk__monitor_slots_revoke_all(struct bk__monitor_slots *slots)
{
	bool revoked = false;

	pthread_mutex_lock(&slots->lock);
	for (size_t i = 0; i < slots->ranges.count; i++)
		revoked |= revoke(slots, &slots->ranges.at[i]);
	pthread_mutex_unlock(&slots->lock);
	return revoked;
}

void bk__monitor_slots_stats(struct bk__monitor_slots *slots, struct bk__monitor_slots_stats *stats)
{
	pthread_mutex_lock(&slots->lock);
	stats->used = slots->next - slots->spare.count;
	stats->unmappable = slots->left_out + slots->untracked;
	pthread_mutex_unlock(&slots->lock);
}
