/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What differs between architectures. Each has a folder here that implements all of this, in KVM's words for
 * it, and meson.build chooses the folder. Nothing else of such a folder is used from outside.
 */
#ifndef BK_MONITOR_ARCH_H
#define BK_MONITOR_ARCH_H

#include "monitor/board.h"
#include "monitor/exit.h"
#include "monitor/layout.h"
#include "monitor/monitor.h"
#include "monitor/vm.h"

struct kvm_irq_routing_entry;

/* ---- Facts ------------------------------------------------------------- */

struct bk__monitor_capability {
	int id; /* KVM_CAP_... */
	const char *name;
};

struct bk__monitor_arch {
	const char *name;
	const char *no_kvm;                         /* what to do where there is no /dev/kvm */
	const char *crash;                          /* what a guest that crashes comes to */
	const struct bk__monitor_capability *needs; /* beside those of vm.c */
	unsigned need_count;

	uint64_t ram_first;            /* where RAM starts */
	uint64_t ram_hole, ram_resume; /* no RAM from the first to the second; both 0: no hole */

	uint64_t mmio64_first; /* where the 64-bit window of PCI is to be, if the CPU's addresses reach so far
				*/

	/* GSIs: below `pins` they are pins of KVM's interrupt chips, the others are messages. */
	unsigned pins;
	unsigned fixed_routes;       /* entries of KVM's table that the pins take */
	unsigned pci_pin, pci_lines; /* the lines of PCI are the pins from pci_pin on */
	bool requesters;             /* KVM has to know which function sends a message */
};
extern const struct bk__monitor_arch bk__monitor_arch;

/* -EINVAL with a line if `config` asks for what the architecture does not have. */
int bk__monitor_arch_check(const struct bk__monitor_config *config, struct bk_error *err);

/* The first address above `ram_first` where RAM cannot be; what has no room below is at 4 GiB or above. */
uint64_t bk__monitor_arch_ram_end(const struct bk__monitor_config *config);

/* ---- The machine ------------------------------------------------------- */

/* What KVM_CREATE_VM gets. */
unsigned long bk__monitor_arch_vm_type(int kvm);

/* Before there are vCPUs: sets `arch` and `address_bits`. */
int bk__monitor_arch_vm_create(struct bk__monitor_vm *vm, struct bk_error *err);
void bk__monitor_arch_vm_destroy(struct bk__monitor_vm *vm);

/* What is left to do when all vCPUs are there, and no route yet. */
int bk__monitor_arch_vm_complete(const struct bk__monitor_vm *vm, struct bk_error *err);

/* Writes the routes of the pins, `fixed_routes` of them. */
void bk__monitor_arch_routes(struct kvm_irq_routing_entry *entries);

/* What KVM_IRQ_LINE calls a pin. */
uint32_t bk__monitor_arch_pin(unsigned gsi);

/* ---- vCPUs ------------------------------------------------------------- */

/* `fd` and `run` are there. Destroying one that was not created is fine. */
int bk__monitor_arch_vcpu_create(struct bk__monitor_vcpu *vcpu, struct bk_error *err);
void bk__monitor_arch_vcpu_destroy(struct bk__monitor_vcpu *vcpu);

/* After a pause. */
void bk__monitor_arch_vcpu_resume(int fd);

/* Serves the exits that exit.c does not know. On the vCPU's thread. */
enum bk__monitor_exit bk__monitor_arch_exit(struct bk__monitor_vcpu *vcpu, char *line, size_t size);

/* For messages: where the guest is, such as "RIP 0x1000". */
void bk__monitor_arch_where(const struct bk__monitor_vcpu *vcpu, char *text, size_t size);

/* KVM_RUN said EFAULT: the address that the host cannot back, if that can be told. */
bool bk__monitor_arch_unbacked(struct bk__monitor_vcpu *vcpu, uint64_t *gpa);

/* ---- Starting ---------------------------------------------------------- */

/* Kernel and initrd, or firmware: open files, checked once, and read at every start. */
struct bk__monitor_boot;

struct bk__monitor_start {
	const struct bk__monitor_config *config;
	const struct bk__monitor_ram *ram;
	const struct bk__monitor_layout *layout;
	struct bk__monitor_board *board;
	const int *vcpus; /* KVM's descriptors, config->cpus of them */
};

/* Opens and checks the files that `config` names. `ram` has no `high` so far. */
int bk__monitor_arch_boot_open(const struct bk__monitor_config *config, const struct bk__monitor_ram *ram,
			       struct bk__monitor_boot **boot, struct bk_error *err);

/* Fills RAM, with the tables that a guest looks for, and puts the first vCPU at its first instruction. At
 * each start and reset. */
int bk__monitor_arch_boot_load(struct bk__monitor_boot *boot, const struct bk__monitor_start *start,
			       struct bk_error *err);
void bk__monitor_boot_close(struct bk__monitor_boot *boot);

#endif
