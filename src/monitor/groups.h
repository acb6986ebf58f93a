/* SPDX-License-Identifier: BSD-2-Clause */
/* Tells KVM which VFIO groups the guest has, so that it honours DMA that does not snoop the caches. */
#ifndef BK_MONITOR_GROUPS_H
#define BK_MONITOR_GROUPS_H

#include "monitor/vm.h"

struct bk__groups;

/* The fds stay the caller's and must be open until bk__groups_destroy. NULL, with a log line, if KVM cannot.
 */
struct bk__groups *bk__groups_create(const struct bk__vm *vm, const int *fds, unsigned count);
void bk__groups_destroy(struct bk__groups *groups);

#endif
