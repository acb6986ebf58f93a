/* SPDX-License-Identifier: BSD-2-Clause */
/* Tells KVM which VFIO groups the guest has, so that it honours DMA that does not snoop the caches. */
#include "monitor/groups.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct bk__groups {
	int device;
	unsigned count;
	int fds[]; /* those that KVM took, and holds until they are taken away */
};

static int change(const struct bk__groups *groups, unsigned attribute, const int *fd)
{
	const struct kvm_device_attr change = {
		.group = KVM_DEV_VFIO_GROUP,
		.attr = attribute,
		.addr = (uintptr_t)fd,
	};

	return ioctl(groups->device, KVM_SET_DEVICE_ATTR, &change) < 0 ? -errno : 0;
}

struct bk__groups *bk__groups_create(const struct bk__vm *vm, const int *fds, unsigned count)
{
	struct kvm_create_device device = { .type = KVM_DEV_TYPE_VFIO };
	struct bk__groups *groups = calloc(1, sizeof(*groups) + count * sizeof(groups->fds[0]));
	int error = groups ? bk__vm_ioctl(vm, KVM_CREATE_DEVICE, &device) : -ENOMEM;

	if (error) {
		bk_log(BK_LOG_WARNING, "kvm: knows no VFIO groups, DMA past the caches may go wrong: %s",
		       strerror(-error));
		free(groups);
		return NULL;
	}
	groups->device = (int)device.fd;
	for (unsigned i = 0; i < count; i++) {
		error = change(groups, KVM_DEV_VFIO_GROUP_ADD, &fds[i]);
		if (error)
			bk_log(BK_LOG_WARNING, "kvm: does not take a VFIO group: %s", strerror(-error));
		else
			groups->fds[groups->count++] = fds[i];
	}
	return groups;
}

void bk__groups_destroy(struct bk__groups *groups)
{
	if (!groups)
		return;
	for (unsigned i = 0; i < groups->count; i++)
		change(groups, KVM_DEV_VFIO_GROUP_DEL, &groups->fds[i]);
	close(groups->device);
	free(groups);
}
