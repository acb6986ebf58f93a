/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds out what a descriptor is, by the name that the kernel has for it. Descriptors come from open,
 * over sockets and by inheritance. If one was missed, its first VFIO ioctl reveals it.
 */
#undef _FILE_OFFSET_BITS
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "wrap/real.h"
#include "wrap/calls.h"

/* The PCI address of a device node: the sysfs path of the node has it third from the end. */
static void find_address(int fd, char *address, size_t size)
{
	char path[64], link[512];
	struct stat st;
	ssize_t length;
	char *end;

	*address = 0;
	if (fstat(fd, &st))
		return;
	snprintf(path, sizeof(path), "/sys/dev/char/%u:%u", major(st.st_rdev), minor(st.st_rdev));
	length = bk__wrap_real.readlink(path, link, sizeof(link) - 1);
	if (length <= 0)
		return;
	link[length] = 0;
	for (unsigned i = 0; i < 2; i++) {
		end = strrchr(link, '/');
		if (!end)
			return;
		*end = 0;
	}
	end = strrchr(link, '/');
	snprintf(address, size, "%.63s", end ? end + 1 : link);
}

static bool is_number(const char *text)
{
	return *text && text[strspn(text, "0123456789")] == 0;
}

static enum bk__wrap_kind kind_of_name(const char *name)
{
	if (!strcmp(name, "anon_inode:[vfio-device]"))
		return BK__WRAP_DEVICE;
	if (!strcmp(name, "/dev/vfio/vfio") || !strcmp(name, "/dev/iommu"))
		return BK__WRAP_OTHER;
	if (!strncmp(name, "/dev/vfio/noiommu-", 18)
		    ? is_number(name + 18)
		    : !strncmp(name, "/dev/vfio/", 10) && is_number(name + 10))
		return BK__WRAP_GROUP;
	if (!strncmp(name, "/dev/vfio/devices/vfio", 22) && is_number(name + 22))
		return BK__WRAP_CDEV;
	return BK__WRAP_NONE;
}

/* Without /proc (in a chroot), tries the calls of each kind. None of them changes anything. */
static enum bk__wrap_kind kind_by_asking(int fd)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_group_status status = { .argsz = sizeof(status) };
	struct stat st;

	if (fstat(fd, &st) || (st.st_mode & S_IFMT && !S_ISCHR(st.st_mode)))
		return BK__WRAP_NONE;
	if (!bk__wrap_real.ioctl(fd, VFIO_DEVICE_GET_INFO, &info))
		return S_ISCHR(st.st_mode) ? BK__WRAP_CDEV : BK__WRAP_DEVICE;
	if (S_ISCHR(st.st_mode) && !bk__wrap_real.ioctl(fd, VFIO_GROUP_GET_STATUS, &status))
		return BK__WRAP_GROUP;
	return BK__WRAP_NONE;
}

static enum bk__wrap_kind kind_of(int fd)
{
	char path[32], name[512];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	length = bk__wrap_real.readlink(path, name, sizeof(name) - 1);
	if (length <= 0)
		return kind_by_asking(fd);
	name[length] = 0;
	return kind_of_name(name);
}

void bk__wrap_cdev_settle(struct bk__wrap_file *file, int fd)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	enum bk__wrap_kind kind = BK__WRAP_CDEV;
	const int saved = errno;

	/* An unbound device fails this request. One thread sets the device up; others are refused meanwhile.
	 */
	if (!bk__wrap_real.ioctl(fd, VFIO_DEVICE_GET_INFO, &info) &&
	    __atomic_compare_exchange_n(&file->kind, &kind, BK__WRAP_REFUSED, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE)) {
		if (bk__wrap_device_begin(file, fd, file->name))
			bk__wrap_file_refuse(file);
		else
			__atomic_store_n(&file->kind, BK__WRAP_DEVICE, __ATOMIC_RELEASE);
	}
	errno = saved;
}

static void add(int fd, enum bk__wrap_kind kind)
{
	struct bk__wrap_file *file = bk__wrap_file_create(kind);

	if (!file)
		return;
	if (kind == BK__WRAP_CDEV)
		find_address(fd, file->name, sizeof(file->name));
	if (kind == BK__WRAP_DEVICE && bk__wrap_device_begin(file, fd, ""))
		bk__wrap_file_refuse(file);
	if (kind == BK__WRAP_CDEV)
		bk__wrap_cdev_settle(file, fd);
	if (!bk__wrap_file_add(fd, file))
		return;
	if (bk__wrap_kind_of(file) == BK__WRAP_DEVICE)
		bk__wrap_device_end(file);
	else
		bk__wrap_file_discard(file);
}

void bk__wrap_adopt(int fd)
{
	const int saved = errno;
	enum bk__wrap_kind kind = BK__WRAP_NONE;

	if (!bk__wrap_find(fd) && !bk__wrap_is_borrowed())
		kind = kind_of(fd);
	if (kind != BK__WRAP_NONE)
		add(fd, kind);
	errno = saved;
}

void bk__wrap_adopt_opened(int fd, int directory, const char *path)
{
	if (fd >= 0 &&
	    ((directory != AT_FDCWD && *path != '/') || strstr(path, "vfio") || strstr(path, "iommu")))
		bk__wrap_adopt(fd);
}

void bk__wrap_adopt_all(void)
{
	const long most = sysconf(_SC_OPEN_MAX);

	for (int fd = 0; fd < 1024 && fd < most; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			bk__wrap_adopt(fd);
}
