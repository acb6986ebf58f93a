/* SPDX-License-Identifier: BSD-2-Clause */
/* The x86 part of the machine. */
#ifndef BK_MONITOR_X86_VM_H
#define BK_MONITOR_X86_VM_H

#include "monitor/vm.h"

struct bk__monitor_arch_vm {
	struct kvm_cpuid2 *cpuid; /* of the host, fixed for the vCPU that was made last */
	bool tsc_deadline;        /* the local APIC's timer has the TSC deadline mode */
};

#endif
