/* SPDX-License-Identifier: BSD-2-Clause */
/* Registers of a vCPU of arm64, as KVM names them. */
#ifndef BK_MONITOR_ARM64_VCPU_REGISTERS_H
#define BK_MONITOR_ARM64_VCPU_REGISTERS_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BK__ARM64_CORE(field)                                  \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | \
	 offsetof(struct kvm_regs, field) / sizeof(uint32_t))
#define BK__ARM64_PC BK__ARM64_CORE(regs.pc)
#define BK__ARM64_X0 BK__ARM64_CORE(regs.regs[0])

/* Reads or writes one. 0 or a negative errno. */
int bk__monitor_arm64_register(int fd, uint64_t id, bool write, uint64_t *value);

#endif
