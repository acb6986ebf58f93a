/* SPDX-License-Identifier: BSD-2-Clause */
/* The virtual machine as KVM knows it: opening it, and what this KVM can do. */
#include "monitor/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "monitor/arch.h"

#define KVM_API 12 /* never changes */

/* What every architecture needs. */
static const struct bk__monitor_capability needs[] = {
	{ KVM_CAP_IRQCHIP, "an interrupt controller in the kernel" },
	{ KVM_CAP_USER_MEMORY, "user memory" },
	{ KVM_CAP_DESTROY_MEMORY_REGION_WORKS, "removal of memory slots" },
	{ KVM_CAP_MP_STATE, "the state of vCPUs" },
	{ KVM_CAP_IRQ_ROUTING, "interrupt routing" },
	{ KVM_CAP_IRQFD, "interrupts by eventfd" },
	{ KVM_CAP_IRQFD_RESAMPLE, "level interrupts by eventfd" },
	{ KVM_CAP_SIGNAL_MSI, "MSI" },
	{ KVM_CAP_IMMEDIATE_EXIT, "immediate exit" },
};

static int fail_open(struct bk_error *err)
{
	switch (errno) {
	case ENOENT:
		return bk_fail(err, ENOENT, "/dev/kvm: there is none; %s", bk__monitor_arch.no_kvm);
	case EACCES:
	case EPERM:
		return bk_fail(err, EACCES,
			       "/dev/kvm: no permission; run as root, or as a member of the group kvm");
	case ENODEV:
	case ENXIO:
		return bk_fail(err, ENODEV, "/dev/kvm: the kernel has no KVM for this CPU");
	default:
		return bk_fail(err, errno, "/dev/kvm: %s", strerror(errno));
	}
}

static int check_needs(const struct bk__monitor_vm *vm, const struct bk__monitor_capability *list,
		       unsigned count, struct bk_error *err)
{
	for (unsigned i = 0; i < count; i++) {
		if (ioctl(vm->kvm, KVM_CHECK_EXTENSION, list[i].id) <= 0)
			return bk_fail(
				err, ENOTSUP,
				"/dev/kvm: this kernel's KVM lacks %s (capability %d); Linux 5.10 or later "
				"on %s has it",
				list[i].name, list[i].id, bk__monitor_arch.name);
	}
	return 0;
}

static int check_extensions(struct bk__monitor_vm *vm, struct bk_error *err)
{
	const int api = ioctl(vm->kvm, KVM_GET_API_VERSION, 0);
	int bytes, error, routes, slots;

	if (api != KVM_API)
		return bk_fail(err, ENOTSUP, "/dev/kvm: speaks version %d of its interface, %d is needed",
			       api, KVM_API);
	error = check_needs(vm, needs, sizeof(needs) / sizeof(needs[0]), err);
	if (!error)
		error = check_needs(vm, bk__monitor_arch.needs, bk__monitor_arch.need_count, err);
	if (error)
		return error;
	bytes = ioctl(vm->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (bytes < (int)sizeof(struct kvm_run))
		return bk_fail(err, ENOTSUP, "/dev/kvm: a vCPU's shared page has only %d bytes", bytes);
	vm->run_bytes = (size_t)bytes;
	slots = ioctl(vm->kvm, KVM_CHECK_EXTENSION, KVM_CAP_NR_MEMSLOTS);
	routes = ioctl(vm->kvm, KVM_CHECK_EXTENSION, KVM_CAP_IRQ_ROUTING);
	vm->slots = slots > 0 ? (unsigned)slots : 32;
	vm->routes = (unsigned)routes;
	vm->readonly = ioctl(vm->kvm, KVM_CHECK_EXTENSION, KVM_CAP_READONLY_MEM) > 0;
	return 0;
}

static int create(struct bk__monitor_vm *vm, struct bk_error *err)
{
	do
		vm->fd = ioctl(vm->kvm, KVM_CREATE_VM, bk__monitor_arch_vm_type(vm->kvm));
	while (vm->fd < 0 && errno == EINTR);
	if (vm->fd < 0)
		return bk_fail(err, errno, "/dev/kvm: no new machine: %s%s", strerror(errno),
			       errno == EBUSY ? " (another hypervisor holds the CPU)" : "");
	return bk__monitor_arch_vm_create(vm, err);
}

int bk__monitor_vm_open(struct bk__monitor_vm *vm, struct bk_error *err)
{
	int error;

	*vm = (struct bk__monitor_vm){ .kvm = -1, .fd = -1 };
	vm->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm->kvm < 0)
		return fail_open(err);
	error = check_extensions(vm, err);
	if (!error)
		error = create(vm, err);
	if (error)
		bk__monitor_vm_close(vm);
	return error;
}

void bk__monitor_vm_close(struct bk__monitor_vm *vm)
{
	bk__monitor_arch_vm_destroy(vm);
	if (vm->fd >= 0)
		close(vm->fd);
	if (vm->kvm >= 0)
		close(vm->kvm);
	vm->fd = vm->kvm = -1;
}

int bk__monitor_vm_ioctl(const struct bk__monitor_vm *vm, unsigned long request, void *argument)
{
	int result;

	do
		result = ioctl(vm->fd, request, argument);
	while (result < 0 && errno == EINTR);
	return result < 0 ? -errno : result;
}
