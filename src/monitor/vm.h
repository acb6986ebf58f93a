/* SPDX-License-Identifier: BSD-2-Clause */
/* The virtual machine as KVM knows it: opening it, and what this KVM can do. */
#ifndef BK_MONITOR_VM_H
#define BK_MONITOR_VM_H

#include <barkeep/base.h>

struct bk__monitor_arch_vm; /* what its architecture keeps of it */

struct bk__monitor_vm {
	int kvm, fd;
	unsigned slots;        /* how many memory slots there may be */
	unsigned routes;       /* how many entries an interrupt routing table may have */
	size_t run_bytes;      /* of a vCPU's shared page */
	bool readonly;         /* memory slots may be read-only */
	unsigned address_bits; /* of a guest-physical address */
	struct bk__monitor_arch_vm *arch;
};

/* Opens /dev/kvm and makes a machine with its interrupt chips in the kernel. One line if there is
 * no KVM, no permission, or if it lacks something. */
int bk__monitor_vm_open(struct bk__monitor_vm *vm, struct bk_error *err);
void bk__monitor_vm_close(struct bk__monitor_vm *vm);

/* ioctl on the machine: 0 or more, or a negative errno. */
int bk__monitor_vm_ioctl(const struct bk__monitor_vm *vm, unsigned long request, void *argument);

#endif
