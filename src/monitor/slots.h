/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory slots: memory that a vCPU accesses without an exit. They follow the mapped ranges of a
 * space. */
#ifndef BK_MONITOR_SLOTS_H
#define BK_MONITOR_SLOTS_H

#include <barkeep/space.h>

#include "monitor/vm.h"

struct bk__monitor_slots;

/* How to keep vCPUs out of the guest between a removal and the addition that overlaps it: `hold` returns
 * when none is inside KVM_RUN, and waits for nothing else. Called inside a commit.
 *
 * `lost`: KVM does not give up a slot, so that a guest would reach whatever is next at the host's addresses.
 * It stays held for ever: end the run, with this line. Told once. */
struct bk__monitor_slots_ops {
	void (*hold)(void *opaque);
	void (*release)(void *opaque);
	void (*lost)(void *opaque, const char *line);
};

/* Starts listening to `memory`. */
int bk__monitor_slots_create(const struct bk__monitor_vm *vm, struct bk_space *memory,
			     const struct bk__monitor_slots_ops *ops, void *opaque,
			     struct bk__monitor_slots **slots, struct bk_error *err);

/* Stops listening and takes all slots away. */
void bk__monitor_slots_destroy(struct bk__monitor_slots *slots);

/* Is there a slot at `gpa`? Any thread, any handler. */
bool bk__monitor_slots_covers(struct bk__monitor_slots *slots, uint64_t gpa);

/* The host cannot back the page at `gpa` any more: the slot of device memory there goes, its accesses exit
 * from now on. False if there is none. Any thread, any handler. */
bool bk__monitor_slots_revoke(struct bk__monitor_slots *slots, uint64_t gpa);

/* The same for all device memory. False if there is none with a slot. */
bool bk__monitor_slots_revoke_all(struct bk__monitor_slots *slots);

struct bk__monitor_slots_stats {
	uint64_t used;       /* slots */
	uint64_t unmappable; /* pages of mapped ranges left to exits */
};
void bk__monitor_slots_stats(struct bk__monitor_slots *slots, struct bk__monitor_slots_stats *stats);

#endif
