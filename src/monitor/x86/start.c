/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting an x86 machine: kernel, ACPI tables, and the first vCPU at the kernel's entry. */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "monitor/arch.h"
#include "monitor/x86/acpi.h"
#include "monitor/x86/boot.h"

int bk__monitor_arch_boot_open(const struct bk__monitor_config *config, const struct bk__monitor_ram *ram,
			       struct bk__monitor_boot **boot, struct bk_error *err)
{
	return bk__monitor_boot_open(config->kernel, config->initrd, config->append, ram, boot, err);
}

int bk__monitor_arch_boot_load(struct bk__monitor_boot *boot, const struct bk__monitor_start *start,
			       struct bk_error *err)
{
	const struct bk__monitor_acpi_config acpi = { .cpus = start->config->cpus,
						      .mmio64 = start->layout->mmio64 };
	const int vcpu = start->vcpus[0];
	struct kvm_regs regs = { 0 };
	struct kvm_sregs sregs;
	uint64_t rsdp;
	int error = bk__monitor_acpi_build(start->ram, &acpi, &rsdp, err);

	if (!error)
		error = bk__monitor_boot_load(boot, start->ram, rsdp, err);
	if (error)
		return error;
	if (ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0)
		return bk_fail(err, errno, "kvm: registers of vCPU 0: %s", strerror(errno));
	bk__monitor_boot_registers(boot, &regs, &sregs);
	if (ioctl(vcpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(vcpu, KVM_SET_REGS, &regs) < 0)
		return bk_fail(err, errno, "kvm: registers of vCPU 0 at the kernel's entry: %s",
			       strerror(errno));
	return 0;
}
