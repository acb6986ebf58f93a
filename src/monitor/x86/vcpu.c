/* SPDX-License-Identifier: BSD-2-Clause */
/* A vCPU of x86: its CPUID and its local APIC. */
#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "monitor/arch.h"
#include "monitor/x86/cpuid.h"
#include "monitor/x86/vcpu.h"
#include "monitor/x86/vm.h"

/* LINT0 takes the PIC, LINT1 the NMI (virtual wire mode, MultiProcessor Specification 1.4, 3.6.2.2). */
static int wire_lapic(int fd)
{
	struct kvm_lapic_state lapic;
	const uint32_t extint = 7 << 8, nmi = 4 << 8;

	if (ioctl(fd, KVM_GET_LAPIC, &lapic) < 0)
		return -errno;
	memcpy(&lapic.regs[0x350], &extint, sizeof(extint));
	memcpy(&lapic.regs[0x360], &nmi, sizeof(nmi));
	return ioctl(fd, KVM_SET_LAPIC, &lapic) < 0 ? -errno : 0;
}

int bk__monitor_arch_vcpu_create(struct bk__monitor_vcpu *vcpu, struct bk_error *err)
{
	const struct bk__monitor_vcpus_config *config = &vcpu->all->config;
	const struct bk__monitor_arch_vm *vm = config->vm->arch;
	int error;

	vcpu->arch = calloc(1, sizeof(*vcpu->arch));
	if (!vcpu->arch)
		return bk_fail(err, ENOMEM, "vCPUs: out of memory");
	bk__monitor_cpuid_fix(vm->cpuid, vcpu->id, config->count, vm->tsc_deadline);
	if (ioctl(vcpu->fd, KVM_SET_CPUID2, vm->cpuid) < 0)
		return bk_fail(err, errno, "kvm: CPUID of vCPU %u: %s", vcpu->id, strerror(errno));
	error = wire_lapic(vcpu->fd);
	if (error)
		return bk_fail(err, -error, "kvm: local APIC of vCPU %u: %s", vcpu->id, strerror(-error));
	return 0;
}

void bk__monitor_arch_vcpu_destroy(struct bk__monitor_vcpu *vcpu)
{
	free(vcpu->arch);
}

/* So that a guest with KVM's clock does not take the pause for a lockup; another has nothing to tell. */
void bk__monitor_arch_vcpu_resume(int fd)
{
	ioctl(fd, KVM_KVMCLOCK_CTRL, 0);
}

void bk__monitor_arch_where(const struct bk__monitor_vcpu *vcpu, char *text, size_t size)
{
	struct kvm_regs regs = { 0 };

	ioctl(vcpu->fd, KVM_GET_REGS, &regs);
	snprintf(text, size, "RIP 0x%llx", regs.rip);
}
