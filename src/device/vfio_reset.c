/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reset of a function.
 *
 * The kernel resets a function alone where it has a way to (FLR, AF, PM, or a
 * bus of its own). Otherwise it can reset the whole bus or slot if every group there is ours. That also
 * resets the guest's other functions there, as a reset of the guest should. Closing a device spares those
 * that stay open; with several owners, a reset spares those in use.
 *
 * A reset may take two minutes. No lock is held over it.
 */
#include "base/ratelimit.h"
#include "device/vfio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <linux/vfio.h>

#define TRIES 12000 /* 10 ms each: as long as a reset may take */

/* What a bus or slot reset would reach, or NULL if there is no such reset. The caller frees it. */
static struct vfio_pci_hot_reset_info *reach(struct bk__device_vfio *vfio)
{
	uint32_t count = 0;

	for (;;) {
		size_t size = sizeof(struct vfio_pci_hot_reset_info) +
			      count * sizeof(struct vfio_pci_dependent_device);
		struct vfio_pci_hot_reset_info *info = calloc(1, size);

		if (!info)
			return NULL;
		info->argsz = (uint32_t)size;
		if (!ioctl(vfio->fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info))
			return info;
		if (errno != ENOSPC || info->count <= count) {
			free(info);
			return NULL;
		}
		count = info->count;
		free(info);
	}
}

/* The kernel reports only the low 16 bits of a domain. */
static bool is_at(const struct bk__device_vfio *vfio, const struct vfio_pci_dependent_device *at)
{
	unsigned domain, bus, slot, function;

	return sscanf(vfio->address, "%x:%x:%x.%x", &domain, &bus, &slot, &function) == 4 &&
	       (domain & 0xffff) == at->segment && bus == at->bus && (slot << 3 | function) == at->devfn;
}

/* True if another device of the container at that address must not be reset. Under the container's lock. */
static bool is_spared(struct bk__device_vfio *vfio, const struct vfio_pci_dependent_device *at, bool alone)
{
	const struct bk__vfio_container *container = vfio->group->container;

	for (struct bk__device_vfio *other = container->devices; other; other = other->next)
		if (other != vfio && is_at(other, at))
			return alone || (container->apart && atomic_load(&other->in_use));
	return false;
}

/* Descriptors of our own: others may close a group before the reset ends. */
static int keep(struct vfio_pci_hot_reset *reset)
{
	for (uint32_t i = 0; i < reset->count; i++) {
		const int fd = fcntl(reset->group_fds[i], F_DUPFD_CLOEXEC, 0);

		if (fd < 0) {
			while (i--)
				close(reset->group_fds[i]);
			return -1;
		}
		reset->group_fds[i] = fd;
	}
	return 0;
}

static void drop(struct vfio_pci_hot_reset *reset)
{
	for (uint32_t i = 0; reset && i < reset->count; i++)
		close(reset->group_fds[i]);
	free(reset);
}

/*
 * The groups that a hot reset has to name, each once; NULL if it is impossible, or would reset another open
 * device that is spared. Under the container's lock. The caller frees it.
 */
static struct vfio_pci_hot_reset *plan(struct bk__device_vfio *vfio, bool alone)
{
	struct vfio_pci_hot_reset_info *info = reach(vfio);
	struct vfio_pci_hot_reset *reset =
		info ? calloc(1, sizeof(*reset) + info->count * sizeof(int32_t)) : NULL;

	for (uint32_t i = 0; reset && i < info->count; i++) {
		struct bk__vfio_group *group =
			bk__vfio_group_find(vfio->group->container, (int)info->devices[i].group_id);
		uint32_t seen = 0;

		if (!group || is_spared(vfio, &info->devices[i], alone)) {
			free(reset);
			reset = NULL;
			break;
		}
		while (seen < reset->count && reset->group_fds[seen] != group->fd)
			seen++;
		reset->group_fds[seen] = group->fd;
		if (seen == reset->count)
			reset->count++;
	}
	if (reset && keep(reset)) {
		free(reset);
		reset = NULL;
	}
	if (reset)
		reset->argsz = (uint32_t)(sizeof(*reset) + reset->count * sizeof(int32_t));
	free(info);
	return reset;
}

enum bk__vfio_reset bk__vfio_reset_method(struct bk__device_vfio *vfio)
{
	enum bk__vfio_reset method;
	struct vfio_pci_hot_reset *bus;

	if (vfio->function_reset)
		return BK__VFIO_RESET_FUNCTION;
	pthread_mutex_lock(&vfio->group->container->lock);
	bus = plan(vfio, false);
	pthread_mutex_unlock(&vfio->group->container->lock);
	method = bus ? BK__VFIO_RESET_BUS : BK__VFIO_RESET_NONE;
	drop(bus);
	return method;
}

/* The kernel fails with EAGAIN while another reset, of this function or its bus, has the device's lock. */
static int request(struct bk__device_vfio *vfio, unsigned long ioctl_number, void *arg)
{
	for (unsigned i = 0; ioctl(vfio->fd, ioctl_number, arg); i++) {
		if (errno != EAGAIN || i == TRIES)
			return -errno;
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	}
	return 0;
}

static int reset(struct bk__device_vfio *vfio, bool alone)
{
	static struct bk__ratelimit limit; /* a guest can ask for ever */
	struct vfio_pci_hot_reset *bus = NULL;
	int ret;

	if (!vfio->function_reset) {
		pthread_mutex_lock(&vfio->group->container->lock);
		bus = plan(vfio, alone);
		pthread_mutex_unlock(&vfio->group->container->lock);
		if (!bus)
			return -EOPNOTSUPP;
	}
	/* The kernel restores COMMAND, but a reset function is no bus master: clear that first. */
	bk__vfio_quiesce(vfio);
	ret = bus ? request(vfio, VFIO_DEVICE_PCI_HOT_RESET, bus) : request(vfio, VFIO_DEVICE_RESET, NULL);
	drop(bus);
	if (ret)
		bk__log_limited(&limit, BK_LOG_ERROR, "%s: reset failed: %s", vfio->base.name,
				strerror(-ret));
	return ret;
}

int bk__vfio_reset(struct bk_device *device)
{
	return reset((struct bk__device_vfio *)device, false);
}

int bk__vfio_reset_alone(struct bk__device_vfio *vfio)
{
	return reset(vfio, true);
}
