/* SPDX-License-Identifier: BSD-2-Clause */
/* The arm64 part of the machine: KVM's devices, and how vCPUs are made. */
#ifndef BK_MONITOR_ARM64_VM_H
#define BK_MONITOR_ARM64_VM_H

#include <linux/kvm.h>

#include "monitor/vm.h"

struct bk__monitor_arch_vm {
	int gic, its;             /* KVM's devices */
	struct kvm_vcpu_init cpu; /* of each vCPU, without its power state */
};

/* (Re)initialises a vCPU: all but the first are off until the guest switches them on. 0 or a negative errno.
 */
int bk__monitor_arm64_vcpu_init(const struct bk__monitor_arch_vm *arch, int fd, unsigned id);

/* Sets (or gets) an attribute of one of KVM's devices. 0 or a negative errno. */
int bk__monitor_arm64_device_set(int device, uint32_t group, uint64_t attribute, const void *value);
int bk__monitor_arm64_device_get(int device, uint32_t group, uint64_t attribute, void *value);

#endif
