/* SPDX-License-Identifier: BSD-2-Clause */
/* A /dev/kvm without a CPU: what its files share. */
#ifndef FAKEKVM_H
#define FAKEKVM_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

#define FAKE_RUN_BYTES 12288 /* of a vCPU's shared pages */
#define FAKE_DATA      4096  /* where in them the data of a port access is */

/* ---- fakekvm.c: requests to the machine ---- */

/* What can be made to fail, with ENOMEM. */
enum fake_request {
	FAKE_SLOT_ADD,
	FAKE_SLOT_REMOVE,
	FAKE_IRQFD,
	FAKE_ROUTES,
	FAKE_REQUESTS,
};

/* The next `count` requests of that name fail; false: there is no such name. */
bool fake_fail(const char *name, unsigned count);
bool fake_fails(enum fake_request request);

/* ---- slots.c ---- */

int fake_slot_set(const struct kvm_userspace_memory_region *region);
unsigned fake_slots(void);

/* The host address behind a guest address; 0: no slot. */
uint64_t fake_slot_host(uint64_t gpa);

/* Reads or writes through a slot, as a CPU would; false: there is none, so the access exits. */
bool fake_slot_access(uint64_t gpa, unsigned width, bool write, uint64_t *value);

/* ---- irqs.c ---- */

int fake_irqfd(const struct kvm_irqfd *irqfd);
int fake_routes(const struct kvm_irq_routing *table);
void fake_message(uint64_t address, uint32_t data);
void fake_line(unsigned gsi, bool level); /* a pin, from here: an interrupt where it rises */

/* How many eventfds are joined, and how many routes there are. */
unsigned fake_irqfds(void);
unsigned fake_route_count(void);

/* Takes one interrupt that arrived into `text`; false: there is none. */
bool fake_irq_take(char *text, unsigned room);

/* The end of interrupt of a level-triggered GSI. */
void fake_eoi(unsigned gsi);

/* Waits for `fd` (or -1), or for an eventfd that is joined if `irqs`; false: a signal came. */
bool fake_wait(int fd, bool irqs);

/* ---- guest.c: vCPUs ---- */

struct fake_vcpu {
	unsigned id;
	struct kvm_run *run;
	unsigned next; /* vCPU 1 and up: which of the repeated accesses */
	bool asked;    /* an exit is being served, whose result is the answer */
};

/* What KVM says of the first vCPU: 32 bits, without paging. (guest.c) */
void fake_registers(struct kvm_regs *regs);
void fake_special_registers(struct kvm_sregs *sregs);
bool fake_translate(struct kvm_translation *translation);

/* Those that FAKEKVM_IN and FAKEKVM_OUT name: before vCPUs run, which may not be allowed to. */
void fake_open_files(void);

/* KVM_RUN: 0 or -1 with errno. */
int fake_run(struct fake_vcpu *vcpu);

#endif
