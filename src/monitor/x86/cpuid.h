/* SPDX-License-Identifier: BSD-2-Clause */
/* What CPUID says in the guest: all that KVM supports, one socket of cores. */
#ifndef BK_MONITOR_X86_CPUID_H
#define BK_MONITOR_X86_CPUID_H

#include "monitor/vm.h"

struct kvm_cpuid2;

/* What KVM supports, to be freed, with room for what bk__monitor_cpuid_fix adds. */
int bk__monitor_cpuid_host(const struct bk__monitor_vm *vm, struct kvm_cpuid2 **cpuid, struct bk_error *err);

/* For the vCPU whose APIC id is `id`, of `cpus`. May be called again on the result. */
void bk__monitor_cpuid_fix(struct kvm_cpuid2 *cpuid, unsigned id, unsigned cpus, bool tsc_deadline);
#define BK__CPUID_ADDED 3 /* entries at most */

/* How many bits of a physical address a guest may use. */
unsigned bk__monitor_cpuid_physical_bits(const struct kvm_cpuid2 *cpuid);

#endif
