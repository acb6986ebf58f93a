/* SPDX-License-Identifier: BSD-2-Clause */
/* Which address an instruction means to access, linear and physical: for those that KVM can neither run nor
 * emulate. */
#ifndef BK_MONITOR_X86_FAULT_H
#define BK_MONITOR_X86_FAULT_H

#include <barkeep/base.h>

#include "monitor/layout.h"

struct kvm_regs;
struct kvm_sregs;

/*
 * The linear address of the memory operand (ModRM) of the instruction in
 * `bytes`. False if it has none, is cut off, or the CPU is in a 16-bit mode.
 */
bool bk__monitor_fault_operand(const uint8_t *bytes, size_t count, const struct kvm_regs *regs,
			       const struct kvm_sregs *sregs, uint64_t *linear);

/*
 * Where the guest's page tables put a linear address, whatever the rights:
 * KVM_TRANSLATE refuses a program's pages while the guest has SMAP on. False
 * where nothing is mapped, or outside of long mode.
 */
bool bk__monitor_fault_walk(const struct bk__monitor_ram *ram, const struct kvm_sregs *sregs, uint64_t linear,
			    uint64_t *gpa);

#endif
