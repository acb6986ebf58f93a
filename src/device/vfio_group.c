/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VFIO container of a context and the IOMMU groups in it.
 *
 * A group can be opened once in the whole system, so the devices of one group
 * share its fd; all groups of a context are in one container, so that memory
 * is pinned and mapped once for all its devices.
 */
#include "device/vfio_group.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/vfio.h>

#include "device/sysfs.h"
#include "device/vfio.h"

static int open_container(struct bk_device_context *context, const char *spec, struct bk_error *err)
{
	struct bk__vfio_container *container;
	char path[PATH_MAX];
	int fd, ret;

	snprintf(path, sizeof(path), "%s/vfio", context->dev);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ret = errno;
	if (fd < 0 && (ret == ENOENT || ret == ENODEV || ret == ENXIO))
		return bk_fail(err, ret, "%s: %s is not there; load the driver: modprobe vfio-pci", spec,
			       path);
	if (fd < 0)
		return bk_fail(err, ret, "%s: cannot open %s: %s; run as root, or give this user the node",
			       spec, path, strerror(ret));
	if (ioctl(fd, VFIO_GET_API_VERSION) != VFIO_API_VERSION) {
		close(fd);
		return bk_fail(err, ENODEV, "%s: %s is not a VFIO container of a version known here", spec,
			       path);
	}
	if (ioctl(fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) != 1) {
		close(fd);
		return bk_fail(err, ENODEV,
			       "%s: the host's VFIO has no type 1 IOMMU; modprobe vfio_iommu_type1", spec);
	}
	container = calloc(1, sizeof(*container));
	if (!container) {
		close(fd);
		return bk_fail(err, ENOMEM, "%s: out of memory", spec);
	}
	container->context = context;
	container->apart = context->apart;
	container->fd = fd;
	pthread_mutex_init(&container->lock, NULL);
	bk__vfio_dma_init(container);
	context->container = container;
	return 0;
}

static void close_container(struct bk__vfio_container *container)
{
	container->context->container = NULL;
	close(container->fd);
	pthread_mutex_destroy(&container->lock);
	bk__vfio_dma_done(container);
	free(container);
}

struct list {
	char text[700];
	char first[BK__SYSFS_FACT];
	unsigned count;
};

/* Drivers that leave a group usable from user space: VFIO's own, none, and those that do no DMA by
 * themselves. */
static void add_blocker(void *opaque, const char *member, const char *driver)
{
	struct list *list = opaque;
	size_t length = strlen(list->text);

	if (!*driver || bk__device_driver_is_vfio(driver) || !strcmp(driver, "pcieport") ||
	    !strcmp(driver, "pci-stub"))
		return;
	if (!list->count++)
		snprintf(list->first, sizeof(list->first), "%s", member);
	snprintf(list->text + length, sizeof(list->text) - length, "%s%s (%s)", length ? ", " : "", member,
		 driver);
}

static int not_viable(struct bk_device_context *context, int number, const char *address, const char *spec,
		      struct bk_error *err)
{
	struct list list = { 0 };

	bk__sysfs_group_members(context->sysfs, address, add_blocker, &list);
	if (!list.count)
		return bk_fail(err, EPERM, "%s: IOMMU group %d is not viable: the host uses a device of it",
			       spec, number);
	return bk_fail(
		err, EPERM,
		"%s: IOMMU group %d is not viable: the host uses %s of it; bind %s to vfio-pci or unbind "
		"%s (echo %s > /sys/bus/pci/devices/%s/driver/unbind), or put the card in another slot",
		spec, number, list.text, list.count > 1 ? "each" : "it", list.count > 1 ? "each" : "it",
		list.first, list.first);
}

/* The first group brings the container's IOMMU to life; the next ones join it. */
static int attach(struct bk__vfio_container *container, int fd, int number, const char *spec,
		  struct bk_error *err)
{
	bool first = !container->groups;
	int ret = 0;

	if (ioctl(fd, VFIO_GROUP_SET_CONTAINER, &container->fd) ||
	    (first && ioctl(container->fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU)))
		ret = errno;
	if (ret == EPERM)
		return bk_fail(err, ret,
			       "%s: the host's IOMMU does not remap interrupts, so a guest could forge them; "
			       "turn it "
			       "on in the firmware, or accept that: options vfio_iommu_type1 "
			       "allow_unsafe_interrupts=1",
			       spec);
	if (ret && first)
		return bk_fail(err, ret, "%s: no IOMMU for group %d: %s", spec, number, strerror(ret));
	if (ret)
		return bk_fail(
			err, ret,
			"%s: group %d cannot join the IOMMU address space of the devices already open: %s",
			spec, number, strerror(ret));
	if (first && ioctl(container->fd, VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU) != 1)
		bk_log(BK_LOG_INFO, "%s: the IOMMU does not enforce cache snooping; DMA may be non-coherent",
		       spec);
	return 0;
}

static int open_group(struct bk_device_context *context, int number, const char *address, const char *spec,
		      int *group_fd, struct bk_error *err)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char path[PATH_MAX];
	int fd, ret;

	snprintf(path, sizeof(path), "%s/%d", context->dev, number);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ret = errno;
	if (fd < 0 && ret == EBUSY)
		return bk_fail(err, ret,
			       "%s: IOMMU group %d is in use; stop the program that has %s open (fuser %s); "
			       "one program has to have all devices of a group",
			       spec, number, path, path);
	if (fd < 0 && ret == ENOENT)
		return bk_fail(err, ret, "%s: %s is not there; make VFIO's nodes visible here", spec, path);
	if (fd < 0)
		return bk_fail(err, ret, "%s: cannot open %s: %s; run as root, or give this user the node",
			       spec, path, strerror(ret));
	if (ioctl(fd, VFIO_GROUP_GET_STATUS, &status)) {
		close(fd);
		return bk_fail(err, ENODEV, "%s: %s is not a VFIO group", spec, path);
	}
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE)) {
		close(fd);
		return not_viable(context, number, address, spec, err);
	}
	*group_fd = fd;
	return 0;
}

struct bk__vfio_group *bk__vfio_group_find(struct bk__vfio_container *container, int number)
{
	for (struct bk__vfio_group *group = container->groups; group; group = group->next)
		if (group->number == number)
			return group;
	return NULL;
}

int bk__vfio_group_get(struct bk_device_context *context, int number, const char *address, const char *spec,
		       struct bk__vfio_group **group, struct bk_error *err)
{
	struct bk__vfio_group *new = NULL;
	int ret, fd = -1;

	if (context->container && (*group = bk__vfio_group_find(context->container, number))) {
		(*group)->uses++;
		return 0;
	}
	ret = context->container ? 0 : open_container(context, spec, err);
	if (ret)
		return ret;
	ret = open_group(context, number, address, spec, &fd, err);
	if (!ret)
		ret = attach(context->container, fd, number, spec, err);
	if (!ret && !(new = calloc(1, sizeof(*new))))
		ret = bk_fail(err, ENOMEM, "%s: out of memory", spec);
	if (ret) {
		if (fd >= 0)
			close(fd);
		if (!context->container->groups)
			close_container(context->container);
		return ret;
	}
	*new = (struct bk__vfio_group){
		.container = context->container, .number = number, .fd = fd, .uses = 1
	};
	pthread_mutex_lock(&new->container->lock);
	new->next = new->container->groups;
	new->container->groups = new;
	pthread_mutex_unlock(&new->container->lock);
	*group = new;
	return 0;
}

void bk__vfio_group_put(struct bk__vfio_group *group)
{
	struct bk__vfio_container *container = group->container;
	struct bk__vfio_group **link = &container->groups;

	if (--group->uses)
		return;
	pthread_mutex_lock(&container->lock);
	while (*link != group)
		link = &(*link)->next;
	*link = group->next;
	pthread_mutex_unlock(&container->lock);
	close(group->fd);
	free(group);
	if (!container->groups)
		close_container(container);
}

void bk__vfio_group_join(struct bk__device_vfio *vfio)
{
	struct bk__vfio_container *container = vfio->group->container;

	pthread_mutex_lock(&container->lock);
	vfio->next = container->devices;
	container->devices = vfio;
	pthread_mutex_unlock(&container->lock);
}

void bk__vfio_group_leave(struct bk__device_vfio *vfio)
{
	struct bk__vfio_container *container = vfio->group->container;
	struct bk__device_vfio **link = &container->devices;

	pthread_mutex_lock(&container->lock);
	while (*link != vfio)
		link = &(*link)->next;
	*link = vfio->next;
	pthread_mutex_unlock(&container->lock);
}

struct bk__device_vfio *bk__vfio_group_device(struct bk__vfio_container *container, const char *address)
{
	struct bk__device_vfio *vfio = container->devices;

	while (vfio && strcmp(vfio->address, address))
		vfio = vfio->next;
	return vfio;
}

unsigned bk__vfio_group_fds(struct bk__vfio_container *container, int *fds, unsigned room)
{
	unsigned count = 0;

	for (struct bk__vfio_group *group = container->groups; group; group = group->next, count++)
		if (count < room)
			fds[count] = group->fd;
	return count;
}
