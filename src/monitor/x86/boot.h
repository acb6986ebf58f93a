/* SPDX-License-Identifier: BSD-2-Clause */
/* Loads a kernel as a boot loader would: bzImage by its 64-bit entry, ELF by its PVH note. */
#ifndef BK_MONITOR_X86_BOOT_H
#define BK_MONITOR_X86_BOOT_H

#include <barkeep/base.h>

#include "monitor/layout.h"

struct kvm_regs;
struct kvm_sregs;

/* Kernel and initrd as files; they are held open, checked once, and read at every start. */
struct bk__monitor_boot;

/* Opens and checks the files. One line if missing, unreadable, truncated, not a kernel, or too
 * large for `ram`. */
int bk__monitor_boot_open(const char *kernel, const char *initrd, const char *append,
			  const struct bk__monitor_ram *ram, struct bk__monitor_boot **boot,
			  struct bk_error *err);

/* Writes kernel, initrd, command line, E820 and the boot parameters to RAM (again at
 * each reset). The E820 map holds RAM, and reserves ECAM and the ACPI tables at `rsdp`. */
int bk__monitor_boot_load(struct bk__monitor_boot *boot, const struct bk__monitor_ram *ram, uint64_t rsdp,
			  struct bk_error *err);

/* The state of the first vCPU at the kernel's entry; sregs come in as KVM_GET_SREGS gave them. */
void bk__monitor_boot_registers(const struct bk__monitor_boot *boot, struct kvm_regs *regs,
				struct kvm_sregs *sregs);

void bk__monitor_boot_close(struct bk__monitor_boot *boot);

#endif
