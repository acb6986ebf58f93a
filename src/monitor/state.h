/* SPDX-License-Identifier: BSD-2-Clause */
/* The state of the CPUs and chips that KVM keeps, as it was before the guest ran; a reset restores it.
 */
#ifndef BK_MONITOR_STATE_H
#define BK_MONITOR_STATE_H

#include "monitor/vm.h"

struct bk__monitor_state;

/* Saves the machine and its vCPUs, none of which has run. */
int bk__monitor_state_save(const struct bk__monitor_vm *vm, const int *vcpus, unsigned count,
			   struct bk__monitor_state **state, struct bk_error *err);

/* Brings it back. No vCPU is in KVM_RUN, and none has an access to finish. */
int bk__monitor_state_restore(const struct bk__monitor_state *state, struct bk_error *err);

void bk__monitor_state_free(struct bk__monitor_state *state);

#endif
