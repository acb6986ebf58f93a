/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine as KVM knows it on x86: chips, CPUID, vCPUs. */
#include "monitor/x86/vm.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "monitor/arch.h"
#include "monitor/x86/cpuid.h"
#include "monitor/x86/guest_map.h"

#define PIC_PINS 16

static const struct bk__monitor_capability needs[] = {
	{ KVM_CAP_SET_TSS_ADDR, "a TSS address" },
	{ KVM_CAP_SET_IDENTITY_MAP_ADDR, "an identity map address" },
	{ KVM_CAP_EXT_CPUID, "CPUID tables" },
	{ KVM_CAP_PIT2, "a PIT in the kernel" },
};

const struct bk__monitor_arch bk__monitor_arch = {
	.name = "x86-64",
	.no_kvm = "load kvm-intel or kvm-amd, and see that virtualisation is switched on in the firmware",
	.crash = "triple fault",
	.needs = needs,
	.need_count = sizeof(needs) / sizeof(needs[0]),
	.ram_hole = BK__VGA_FIRST,
	.ram_resume = BK__VGA_LAST + 1,
	.mmio64_first = BK__RAM_HIGH,
	.pins = BK__GSI_PINS,
	.fixed_routes = PIC_PINS + BK__GSI_PINS,
	.pci_pin = BK__GSI_PCI,
	.pci_lines = BK__PCI_LINES,
};

int bk__monitor_arch_check(const struct bk__monitor_config *config, struct bk_error *err)
{
	if (config->firmware)
		return bk_fail(err, EINVAL, "%s: firmware is for arm64 guests; give a kernel",
			       config->firmware);
	if (config->io_window)
		return bk_fail(err, EINVAL, "x86 has ports: there is no I/O window in memory");
	return 0;
}

uint64_t bk__monitor_arch_ram_end(const struct bk__monitor_config *config)
{
	return BK__RAM_LOW_END;
}

unsigned long bk__monitor_arch_vm_type(int kvm)
{
	return 0;
}

static int create_chips(const struct bk__monitor_vm *vm, struct bk_error *err)
{
	uint64_t identity = BK__KVM_IDENTITY;
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	struct kvm_enable_cap exits = { .cap = KVM_CAP_EXIT_ON_EMULATION_FAILURE, .args = { 1 } };

	if (ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0 ||
	    ioctl(vm->fd, KVM_SET_TSS_ADDR, BK__KVM_TSS) < 0)
		return bk_fail(err, errno, "kvm: no place for its own pages: %s", strerror(errno));
	if (ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0) < 0)
		return bk_fail(err, errno, "kvm: no interrupt controller: %s", strerror(errno));
	if (ioctl(vm->fd, KVM_CREATE_PIT2, &pit) < 0)
		return bk_fail(err, errno, "kvm: no PIT: %s", strerror(errno));

	/* Else a program of the guest that fails to be emulated gets an exception that we never see. */
	if (ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_EXIT_ON_EMULATION_FAILURE) > 0)
		ioctl(vm->fd, KVM_ENABLE_CAP, &exits);
	return 0;
}

int bk__monitor_arch_vm_create(struct bk__monitor_vm *vm, struct bk_error *err)
{
	int error;

	vm->arch = calloc(1, sizeof(*vm->arch));
	if (!vm->arch)
		return bk_fail(err, ENOMEM, "virtual machine: out of memory");
	vm->arch->tsc_deadline = ioctl(vm->kvm, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0;
	error = create_chips(vm, err);
	if (!error)
		error = bk__monitor_cpuid_host(vm, &vm->arch->cpuid, err);
	if (!error)
		vm->address_bits = bk__monitor_cpuid_physical_bits(vm->arch->cpuid);
	return error;
}

void bk__monitor_arch_vm_destroy(struct bk__monitor_vm *vm)
{
	if (vm->arch)
		free(vm->arch->cpuid);
	free(vm->arch);
	vm->arch = NULL;
}

int bk__monitor_arch_vm_complete(const struct bk__monitor_vm *vm, struct bk_error *err)
{
	return 0;
}

/* ---- Interrupts -------------------------------------------------------- */

static void pin(struct kvm_irq_routing_entry *entry, unsigned gsi, unsigned chip, unsigned pin)
{
	*entry = (struct kvm_irq_routing_entry){ .gsi = gsi, .type = KVM_IRQ_ROUTING_IRQCHIP };
	entry->u.irqchip.irqchip = chip;
	entry->u.irqchip.pin = pin;
}

void bk__monitor_arch_routes(struct kvm_irq_routing_entry *entries)
{
	for (unsigned i = 0; i < PIC_PINS; i++)
		pin(entries++, i, i < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE, i % 8);
	for (unsigned i = 0; i < BK__GSI_PINS; i++)
		pin(entries++, i, KVM_IRQCHIP_IOAPIC, i);
}

uint32_t bk__monitor_arch_pin(unsigned gsi)
{
	return gsi;
}
