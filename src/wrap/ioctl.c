/* SPDX-License-Identifier: BSD-2-Clause */
/* ioctls on descriptors of VFIO: those that return a device, and those that query or change one. */
#undef _FILE_OFFSET_BITS
#include <errno.h>
#include <linux/kvm.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>

#include "wrap/kvm.h"
#include "wrap/real.h"
#include "wrap/calls.h"

#define BIND_IOMMUFD    _IO(VFIO_TYPE, VFIO_BASE + 18) /* VFIO_DEVICE_BIND_IOMMUFD, since Linux 6.6 */
#define FEATURE_DMA_BUF 11                             /* VFIO_DEVICE_FEATURE_DMA_BUF */

/* ---- Those that give a device ------------------------------------------ */

/* The kernel has accepted the name. The address ends where options begin. */
static int get_device(int fd, const char *name)
{
	const int device = bk__wrap_real.ioctl(fd, VFIO_GROUP_GET_DEVICE_FD, (void *)name);
	struct bk__wrap_file *file;
	char address[64];
	int error;

	if (device < 0)
		return device;
	snprintf(address, sizeof(address), "%.*s", (int)strcspn(name, " ,"), name);
	file = bk__wrap_file_create(BK__WRAP_DEVICE);
	error = file ? bk__wrap_device_begin(file, device, address) : -ENOMEM;
	if (!error && bk__wrap_file_add(device, file)) {
		bk__wrap_device_end(file);
		error = -ENOMEM;
	} else if (error && file) {
		bk__wrap_file_discard(file);
	}
	if (!error)
		return device;
	bk__wrap_real.close(device);
	errno = error == -ENOMEM ? ENOMEM : EPERM;
	return -1;
}

/* Binds a device, which answers from then on. */
static int bind_iommufd(struct bk__wrap_file *file, int fd, void *argument)
{
	const int result = bk__wrap_real.ioctl(fd, BIND_IOMMUFD, argument);

	if (result)
		return result;
	if (!file) /* not known until now */
		bk__wrap_adopt(fd);
	else
		bk__wrap_cdev_settle(file, fd);
	file = bk__wrap_find(fd);
	if (!file || bk__wrap_kind_of(file) != BK__WRAP_REFUSED)
		return 0;
	errno = EPERM;
	return -1;
}

/* ---- Those on a device ------------------------------------------------- */

static int get_info(struct bk__wrap_device *device, struct vfio_device_info *info)
{
	struct bk_device_info own = { 0 };
	const int result = bk__wrap_real.ioctl(device->fd, VFIO_DEVICE_GET_INFO, info);

	if (!result && !bk_device_info(bk_mediator_device(device->mediate), &own) &&
	    own.flags & BK_DEVICE_CAN_RESET)
		info->flags |= VFIO_DEVICE_FLAGS_RESET;
	return result;
}

static int reset(struct bk__wrap_device *device)
{
	const int error = bk_device_reset(bk_mediator_device(device->mediate));

	if (!error)
		return 0;
	errno = -error;
	return -1;
}

static int hot_reset(int fd, void *argument)
{
	const int result = bk__wrap_real.ioctl(fd, VFIO_DEVICE_PCI_HOT_RESET, argument);

	if (!result)
		bk__wrap_devices_were_reset();
	return result;
}

/* Refused on traps, which the kernel's write would bypass. Programs can do without. */
static int ioeventfd(struct bk__wrap_device *device, const struct vfio_device_ioeventfd *argument)
{
	uint64_t offset, width;
	int region;

	if ((uintptr_t)argument < 4096 || argument->argsz < sizeof(*argument) || argument->fd < 0)
		return bk__wrap_real.ioctl(device->fd, VFIO_DEVICE_IOEVENTFD, (void *)argument);
	region = bk__wrap_device_region(device, argument->offset);
	offset = argument->offset & ((UINT64_C(1) << BK__WRAP_OFFSET_BITS) - 1);
	width = argument->flags & VFIO_DEVICE_IOEVENTFD_SIZE_MASK;
	if (region >= 0 && width && bk__wrap_is_trapped(device, (unsigned)region, offset, width)) {
		errno = ENOTTY;
		return -1;
	}
	return bk__wrap_real.ioctl(device->fd, VFIO_DEVICE_IOEVENTFD, (void *)argument);
}

/* A DMA buffer of a region with traps would show what is below them. */
static int feature(struct bk__wrap_device *device, struct vfio_device_feature *argument)
{
	uint32_t region;

	if ((uintptr_t)argument < 4096 || argument->argsz < sizeof(*argument) + sizeof(region) ||
	    (argument->flags & VFIO_DEVICE_FEATURE_MASK) != FEATURE_DMA_BUF)
		return bk__wrap_real.ioctl(device->fd, VFIO_DEVICE_FEATURE, argument);
	memcpy(&region, argument->data, sizeof(region));
	if (bk__wrap_device_is_mediated(device, region)) {
		errno = ENOTTY;
		return -1;
	}
	return bk__wrap_real.ioctl(device->fd, VFIO_DEVICE_FEATURE, argument);
}

/* Uses the library's own descriptor: the program's may be closed or another device's by now. */
static int on_device(struct bk__wrap_device *device, unsigned long request, void *argument)
{
	switch (request) {
	case VFIO_DEVICE_GET_INFO:
		return get_info(device, argument);
	case VFIO_DEVICE_GET_REGION_INFO:
		return bk__wrap_region_info(device, argument);
	case VFIO_DEVICE_RESET:
		return reset(device);
	case VFIO_DEVICE_IOEVENTFD:
		return ioeventfd(device, argument);
	case VFIO_DEVICE_FEATURE:
		return feature(device, argument);
	default:
		return bk__wrap_real.ioctl(device->fd, request, argument);
	}
}

/* False: the kernel answers, if the descriptor still refers to the file. */
static bool dispatch(struct bk__wrap_file *file, int fd, unsigned long request, void *argument, int *result)
{
	struct bk__wrap_device *device;

	switch (bk__wrap_kind_of(file)) {
	case BK__WRAP_REFUSED:
		errno = EPERM;
		*result = -1;
		return true;
	case BK__WRAP_GROUP:
		if (request != VFIO_GROUP_GET_DEVICE_FD)
			return false;
		*result = get_device(fd, argument);
		return true;
	case BK__WRAP_CDEV:
		if (request == BIND_IOMMUFD) {
			*result = bind_iommufd(file, fd, argument);
			return true;
		}
		bk__wrap_cdev_settle(file, fd);
		return bk__wrap_kind_of(file) != BK__WRAP_CDEV &&
		       dispatch(file, fd, request, argument, result);
	case BK__WRAP_DEVICE:
		if (request == VFIO_DEVICE_PCI_HOT_RESET) {
			*result = hot_reset(fd, argument);
			return true;
		}
		device = bk__wrap_device_enter(file);
		if (!device)
			return false; /* another thread is closing it */
		*result = on_device(device, request, argument);
		bk__wrap_device_leave(device);
		return true;
	case BK__WRAP_VM:
	case BK__WRAP_VCPU:
		if (!bk__wrap_kvm_wants(bk__wrap_kind_of(file), request))
			return false;
		*result = bk__wrap_kvm_ioctl(file, fd, request, argument);
		return true;
	default:
		return false;
	}
}

int bk__wrap_ioctl(struct bk__wrap_file *file, int fd, unsigned long request, void *argument)
{
	int result;

	if (!file && request == KVM_CREATE_VM)
		return bk__wrap_kvm_create(fd, argument);
	if (!file)
		bk__wrap_adopt(fd);
	do {
		file = bk__wrap_find(fd);
		if (file && dispatch(file, fd, request, argument, &result))
			return result;
	} while (bk__wrap_find(fd) != file);
	return !file && request == BIND_IOMMUFD ? bind_iommufd(NULL, fd, argument)
						: bk__wrap_real.ioctl(fd, request, argument);
}
