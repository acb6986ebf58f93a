/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine as KVM knows it on arm64: a GICv3 with an ITS, and which pins it has. */
#include "monitor/arm64/vm.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "monitor/arch.h"
#include "monitor/arm64/guest_map.h"

#define PRIVATE_IRQS 32 /* interrupt IDs below that of SPI 0 */
#define IPA_BITS     40 /* of a guest-physical address, where KVM says nothing */
#define CPUS_MAX     16

static const struct bk__monitor_capability needs[] = {
	{ KVM_CAP_DEVICE_CTRL, "devices in the kernel" },
	{ KVM_CAP_ARM_PSCI_0_2, "PSCI" },
	{ KVM_CAP_READONLY_MEM, "read-only memory" },
};

const struct bk__monitor_arch bk__monitor_arch = {
	.name = "arm64",
	.no_kvm = "the kernel has to start at EL2, which is firmware's to do",
	.crash = "its kernel gave up",
	.needs = needs,
	.need_count = sizeof(needs) / sizeof(needs[0]),
	.ram_first = UINT64_C(0x40000000),
	.mmio64_first = BK__ARM64_MMIO64,
	.pins = BK__SPI_COUNT,
	.fixed_routes = BK__SPI_COUNT,
	.pci_pin = BK__SPI_PCI,
	.pci_lines = BK__SPI_PCI_LINES,
	.requesters = true,
};

uint64_t bk__monitor_arch_ram_end(const struct bk__monitor_config *config)
{
	return config->io_window > bk__monitor_arch.ram_first ? config->io_window & ~(BK__RAM_GRAIN - 1)
							      : UINT64_C(1) << 52;
}

int bk__monitor_arch_check(const struct bk__monitor_config *config, struct bk_error *err)
{
	const uint64_t lowest = bk__monitor_arch.ram_first + BK__RAM_GRAIN;

	if (config->io_window && (config->io_window < lowest || config->io_window % BK__ARM64_IO_SIZE ||
				  config->io_window > UINT32_MAX))
		return bk_fail(err, EINVAL,
			       "I/O window at 0x%llx: give a multiple of 0x10000 from 0x%llx to 0xffff0000",
			       (unsigned long long)config->io_window, (unsigned long long)lowest);
	return 0;
}

/* Of addresses: bits, which KVM_CREATE_VM takes as the type of the machine. */
static unsigned address_bits(int kvm)
{
	const int bits = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_ARM_VM_IPA_SIZE);

	return bits > 0 ? (unsigned)bits : IPA_BITS;
}

unsigned long bk__monitor_arch_vm_type(int kvm)
{
	const int bits = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_ARM_VM_IPA_SIZE);

	return bits > 0 ? KVM_VM_TYPE_ARM_IPA_SIZE((unsigned long)bits) : 0;
}

/* ---- Devices of KVM ---------------------------------------------------- */

static int device_attribute(int device, unsigned long request, uint32_t group, uint64_t attribute,
			    const void *value)
{
	const struct kvm_device_attr attr = {
		.group = group,
		.attr = attribute,
		.addr = (uintptr_t)value,
	};

	return ioctl(device, request, &attr) < 0 ? -errno : 0;
}

int bk__monitor_arm64_device_set(int device, uint32_t group, uint64_t attribute, const void *value)
{
	return device_attribute(device, KVM_SET_DEVICE_ATTR, group, attribute, value);
}

int bk__monitor_arm64_device_get(int device, uint32_t group, uint64_t attribute, void *value)
{
	return device_attribute(device, KVM_GET_DEVICE_ATTR, group, attribute, value);
}

static int create_device(const struct bk__monitor_vm *vm, uint32_t type, int *fd)
{
	struct kvm_create_device device = { .type = type };
	const int error = bk__monitor_vm_ioctl(vm, KVM_CREATE_DEVICE, &device);

	if (!error)
		*fd = (int)device.fd;
	return error;
}

static int create_gic(const struct bk__monitor_vm *vm)
{
	const uint64_t distributor = bk__monitor_arm64_map[BK__ARM64_GICD].first;
	const uint64_t redistributors = bk__monitor_arm64_map[BK__ARM64_GICR].first;
	const uint64_t its = bk__monitor_arm64_map[BK__ARM64_ITS].first;
	struct bk__monitor_arch_vm *arch = vm->arch;
	int error = create_device(vm, KVM_DEV_TYPE_ARM_VGIC_V3, &arch->gic);

	if (!error)
		error = bk__monitor_arm64_device_set(arch->gic, KVM_DEV_ARM_VGIC_GRP_ADDR,
						     KVM_VGIC_V3_ADDR_TYPE_DIST, &distributor);
	if (!error)
		error = bk__monitor_arm64_device_set(arch->gic, KVM_DEV_ARM_VGIC_GRP_ADDR,
						     KVM_VGIC_V3_ADDR_TYPE_REDIST, &redistributors);
	if (!error)
		error = create_device(vm, KVM_DEV_TYPE_ARM_VGIC_ITS, &arch->its);
	if (!error)
		error = bk__monitor_arm64_device_set(arch->its, KVM_DEV_ARM_VGIC_GRP_ADDR,
						     KVM_VGIC_ITS_ADDR_TYPE, &its);
	return error;
}

/* Else an access that the CPU does not describe ends the run; its guest is to hear of it instead. */
static void ask_for_exits(const struct bk__monitor_vm *vm)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_ARM_NISV_TO_USER };

	bk__monitor_vm_ioctl(vm, KVM_ENABLE_CAP, &cap);
}

static void want(struct bk__monitor_arch_vm *arch, unsigned feature)
{
	arch->cpu.features[feature / 32] |= 1u << feature % 32;
}

int bk__monitor_arch_vm_create(struct bk__monitor_vm *vm, struct bk_error *err)
{
	struct bk__monitor_arch_vm *arch = calloc(1, sizeof(*arch));
	int error;

	if (!arch)
		return bk_fail(err, ENOMEM, "virtual machine: out of memory");
	vm->arch = arch;
	arch->gic = arch->its = -1;
	vm->address_bits = address_bits(vm->kvm);
	ask_for_exits(vm);
	error = bk__monitor_vm_ioctl(vm, KVM_ARM_PREFERRED_TARGET, &arch->cpu);
	if (error)
		return bk_fail(err, -error, "kvm: names no CPU for a guest: %s", strerror(-error));
	want(arch, KVM_ARM_VCPU_PSCI_0_2);
	if (ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_ARM_PTRAUTH_ADDRESS) > 0 &&
	    ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_ARM_PTRAUTH_GENERIC) > 0) {
		want(arch, KVM_ARM_VCPU_PTRAUTH_ADDRESS);
		want(arch, KVM_ARM_VCPU_PTRAUTH_GENERIC);
	}
	error = create_gic(vm);
	if (error)
		return bk_fail(err, -error,
			       "kvm: no GICv3 with an ITS: %s; the host's interrupt controller has to be "
			       "a GICv3 or later",
			       strerror(-error));
	return 0;
}

void bk__monitor_arch_vm_destroy(struct bk__monitor_vm *vm)
{
	if (!vm->arch)
		return;
	if (vm->arch->its >= 0)
		close(vm->arch->its);
	if (vm->arch->gic >= 0)
		close(vm->arch->gic);
	free(vm->arch);
	vm->arch = NULL;
}

int bk__monitor_arch_vm_complete(const struct bk__monitor_vm *vm, struct bk_error *err)
{
	const uint32_t irqs = PRIVATE_IRQS + BK__SPI_COUNT;
	int error = bk__monitor_arm64_device_set(vm->arch->gic, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &irqs);

	if (!error)
		error = bk__monitor_arm64_device_set(vm->arch->gic, KVM_DEV_ARM_VGIC_GRP_CTRL,
						     KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
	if (!error)
		error = bk__monitor_arm64_device_set(vm->arch->its, KVM_DEV_ARM_VGIC_GRP_CTRL,
						     KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
	return error ? bk_fail(err, -error, "kvm: its GIC does not start: %s", strerror(-error)) : 0;
}

/* ---- Interrupts -------------------------------------------------------- */

void bk__monitor_arch_routes(struct kvm_irq_routing_entry *entries)
{
	for (unsigned i = 0; i < BK__SPI_COUNT; i++) {
		entries[i] = (struct kvm_irq_routing_entry){ .gsi = i, .type = KVM_IRQ_ROUTING_IRQCHIP };
		entries[i].u.irqchip.pin = i;
	}
}

uint32_t bk__monitor_arch_pin(unsigned gsi)
{
	return KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT | (PRIVATE_IRQS + gsi);
}
