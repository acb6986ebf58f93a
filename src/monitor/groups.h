/* SPDX-License-Identifier: BSD-2-Clause */
/* Gives KVM the guest's VFIO groups, so that it honours DMA that does not snoop the caches. */
#ifndef BK_MONITOR_GROUPS_H
#define BK_MONITOR_GROUPS_H

#include "monitor/vm.h"

struct bk__monitor_groups;

/* NULL, with a log line, if KVM cannot. */
struct bk__monitor_groups *bk__monitor_groups_create(const struct bk__monitor_vm *vm);

/* These groups are the guest's from now on, and no others. To be called after each change, and before
 * a group that left may be opened again; the fds stay the caller's. */
void bk__monitor_groups_set(struct bk__monitor_groups *groups, const int *fds, unsigned count);
void bk__monitor_groups_destroy(struct bk__monitor_groups *groups);

#endif
