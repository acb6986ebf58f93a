/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program's virtual machines, as far as devices' pages are in them.
 *
 * A trap may be added in a page that the program has mapped and given to its guest by a memory slot of
 * KVM. The slot is then replaced by pieces without that page, so that the guest's accesses to it leave
 * KVM_RUN; they are answered here, and the program never hears of them.
 */
#ifndef BARKEEP_WRAP_KVM_H
#define BARKEEP_WRAP_KVM_H

#include <linux/kvm.h>
#include <stdbool.h>

#include "wrap/opened.h"

/* KVM_CREATE_VM: what it gives is a virtual machine, in the table of files. */
int bk__wrap_kvm_create(int fd, void *argument);

/* KVM_SET_USER_MEMORY_REGION2, since Linux 6.8: begins as the older one's structure. */
#define BK__WRAP_SET_REGION2 _IOC(_IOC_WRITE, KVMIO, 0x49, 160)

/* Requests on a virtual machine, and on a vCPU. Others than these are for the kernel alone. */
static inline bool bk__wrap_kvm_wants(enum bk__wrap_kind kind, unsigned long request)
{
	return kind == BK__WRAP_VCPU ? request == KVM_RUN
				     : request == KVM_SET_USER_MEMORY_REGION ||
					       request == BK__WRAP_SET_REGION2 || request == KVM_CREATE_VCPU;
}

/* Is a file of KVM's, and the request none of these? */
static inline bool bk__wrap_kvm_passes(const struct bk__wrap_file *file, unsigned long request)
{
	const enum bk__wrap_kind kind = bk__wrap_kind_of(file);

	return (kind == BK__WRAP_VM || kind == BK__WRAP_VCPU) && !bk__wrap_kvm_wants(kind, request);
}

int bk__wrap_kvm_ioctl(struct bk__wrap_file *file, int fd, unsigned long request, void *argument);

/* The program has mapped a vCPU's state. */
void bk__wrap_kvm_mapped(struct bk__wrap_file *vcpu, void *at);

/* The virtual machine's last descriptor is closed. */
void bk__wrap_kvm_end(const struct bk__wrap_file *vm);

/* Around a fork; before devices are held. */
void bk__wrap_kvm_hold(void);
void bk__wrap_kvm_go_on(void);

/* Is there a virtual machine? */
bool bk__wrap_kvm_is_used(void);

/* What the guest has, by memory slots, of the pages in [first, last] of a region that the program has mapped.
 */
enum bk__wrap_given {
	BK__WRAP_GIVEN_ALL,    /* there may be none that is mapped */
	BK__WRAP_GIVEN_BESIDE, /* not all; but other pages of the region, so that it is known where the guest
				  has it */
	BK__WRAP_GIVEN_NONE,   /* nothing of the region */
};
enum bk__wrap_given bk__wrap_kvm_given(const struct bk__wrap_device *device, unsigned region, uint64_t first,
				       uint64_t last);

/* There are traps on pages that are mapped and in no slot: the program's exits are to be looked at. */
void bk__wrap_kvm_watch(void);

/* Returns when no thread uses a device that it has found by a mapping. */
void bk__wrap_kvm_settle(void);

/* The traps of a device have changed. */
void bk__wrap_kvm_update(const struct bk_mediator *mediate);

#endif
