/* SPDX-License-Identifier: BSD-2-Clause */
/* Gives KVM the guest's VFIO groups, so that it honours DMA that does not snoop the caches. */
#include "monitor/groups.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/array.h"

/* A group that KVM has. Removing it from KVM needs an fd, and the caller may have closed its own by then. */
struct group {
	int fd, own; /* the caller's, which identifies it, and a duplicate */
};

struct bk__monitor_groups {
	int device;
	BK__ARRAY(struct group) list;
};

static int change(const struct bk__monitor_groups *groups, unsigned attribute, const int *fd)
{
	const struct kvm_device_attr change = {
		.group = KVM_DEV_VFIO_GROUP,
		.attr = attribute,
		.addr = (uintptr_t)fd,
	};

	return ioctl(groups->device, KVM_SET_DEVICE_ATTR, &change) < 0 ? -errno : 0;
}

struct bk__monitor_groups *bk__monitor_groups_create(const struct bk__monitor_vm *vm)
{
	struct kvm_create_device device = { .type = KVM_DEV_TYPE_VFIO };
	struct bk__monitor_groups *groups = calloc(1, sizeof(*groups));
	int error = groups ? bk__monitor_vm_ioctl(vm, KVM_CREATE_DEVICE, &device) : -ENOMEM;

	if (error) {
		bk_log(BK_LOG_WARNING, "kvm: knows no VFIO groups, DMA past the caches may go wrong: %s",
		       strerror(-error));
		free(groups);
		return NULL;
	}
	groups->device = (int)device.fd;
	return groups;
}

static void take_away(struct bk__monitor_groups *groups, size_t index)
{
	struct group *group = &groups->list.at[index];

	change(groups, KVM_DEV_VFIO_GROUP_DEL, &group->own);
	close(group->own);
	*group = groups->list.at[--groups->list.count];
}

static int add(struct bk__monitor_groups *groups, int fd)
{
	struct group group = { .fd = fd };
	int error;

	if (bk__array_reserve(&groups->list, 1))
		return -ENOMEM;
	group.own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (group.own < 0)
		return -errno;
	error = change(groups, KVM_DEV_VFIO_GROUP_ADD, &group.own);
	if (error)
		close(group.own);
	else
		groups->list.at[groups->list.count++] = group;
	return error;
}

static bool has(const int *fds, unsigned count, int fd)
{
	while (count && fds[count - 1] != fd)
		count--;
	return count;
}

void bk__monitor_groups_set(struct bk__monitor_groups *groups, const int *fds, unsigned count)
{
	for (size_t i = groups->list.count; i-- > 0;)
		if (!has(fds, count, groups->list.at[i].fd))
			take_away(groups, i);
	for (unsigned i = 0; i < count; i++) {
		size_t known = 0;
		int error;

		while (known < groups->list.count && groups->list.at[known].fd != fds[i])
			known++;
		error = known < groups->list.count ? 0 : add(groups, fds[i]);
		if (error)
			bk_log(BK_LOG_WARNING, "kvm: does not take a VFIO group: %s", strerror(-error));
	}
}

void bk__monitor_groups_destroy(struct bk__monitor_groups *groups)
{
	if (!groups)
		return;
	while (groups->list.count)
		take_away(groups, groups->list.count - 1);
	close(groups->device);
	free(groups->list.at);
	free(groups);
}
