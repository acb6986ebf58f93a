/* SPDX-License-Identifier: BSD-2-Clause */
/* What the thread of a vCPU keeps on x86. */
#ifndef BK_MONITOR_X86_VCPU_H
#define BK_MONITOR_X86_VCPU_H

#include <linux/kvm.h>
#include <stdint.h>

struct bk__monitor_arch_vcpu {
	unsigned retries; /* of the instruction at `retry_rip`, in a row */
	uint64_t retry_rip, retry_exit;
	unsigned undefined; /* opcode exceptions with these registers, in a row */
	uint64_t undefined_exit;
	struct kvm_regs undefined_regs;
};

#endif
