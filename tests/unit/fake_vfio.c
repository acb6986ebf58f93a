/* SPDX-License-Identifier: BSD-2-Clause */
/* The VFIO made up by tests. It knows a descriptor by its file's inode, and so its copies, too. */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE
#include "fake_vfio.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REGION(n)    ((uint64_t)(n) << 40)
#define BIND_IOMMUFD 0x3b76

struct fake_vfio fake_vfio;

enum kind { CONTAINER, GROUP, CDEV, DEVICE, IOMMUFD };

struct object {
	ino_t inode;
	enum kind kind;
	char name[64]; /* as /proc has it */
	char device[16];
	bool bound; /* a CDEV, atomic */
};

enum { OBJECTS = 4096 };
static struct object objects[OBJECTS];
static unsigned object_count; /* atomic */

static const struct {
	const char *device;
	unsigned group;
} groups[] = { { "0000:01:00.0", 7 }, { "0000:02:00.0", 8 } };

static const uint64_t sizes[9] = { 0x10000, 0x10000, 0x100000, 0, 256, 256, 0x1000, 256, 0 };

/* The function below this one; looked up once. */
#define BELOW(name)                                                                          \
	(*__extension__({                                                                    \
		static __typeof__(&name) found;                                              \
                                                                                             \
		if (!__atomic_load_n(&found, __ATOMIC_RELAXED))                              \
			__atomic_store_n(&found, (__typeof__(&name))dlsym(RTLD_NEXT, #name), \
					 __ATOMIC_RELAXED);                                  \
		&found;                                                                      \
	}))

static struct object *object_of(int fd)
{
	const unsigned count = __atomic_load_n(&object_count, __ATOMIC_ACQUIRE);
	const int saved = errno;
	struct stat st;

	if (!fstat(fd, &st))
		for (unsigned i = 0; i < count; i++)
			if (__atomic_load_n(&objects[i].inode, __ATOMIC_ACQUIRE) == st.st_ino)
				return &objects[i];
	errno = saved;
	return NULL;
}

static int create(enum kind kind, const char *name, const char *device)
{
	const int fd = (int)syscall(SYS_memfd_create, "fake-vfio", MFD_CLOEXEC);
	const unsigned at = __atomic_fetch_add(&object_count, 1, __ATOMIC_ACQ_REL);
	struct stat st;

	if (fd < 0 || at >= OBJECTS || fstat(fd, &st))
		abort();
	objects[at].kind = kind;
	snprintf(objects[at].name, sizeof(objects[at].name), "%s", name);
	snprintf(objects[at].device, sizeof(objects[at].device), "%s", device);
	__atomic_store_n(&objects[at].inode, st.st_ino, __ATOMIC_RELEASE);
	return fd;
}

/* ---- Devices ----------------------------------------------------------- */

static void poke(int fd, unsigned offset, unsigned width, uint64_t value)
{
	BELOW(pwrite64)(fd, &value, width, (off_t)(REGION(7) + offset));
}

static void fill(int fd, const char *device)
{
	uint8_t bytes[0x1000];

	if (ftruncate(fd, (off_t)REGION(9)))
		abort();
	poke(fd, 0x00, 4, !strcmp(device, "0000:01:00.0") ? 0x56781234 : 0x99991234);
	poke(fd, 0x06, 2, 0x0010);
	poke(fd, 0x0a, 2, 0x0200);
	poke(fd, 0x10, 4, 0xfe000000);
	poke(fd, 0x14, 4, 0xfe100008);
	poke(fd, 0x18, 4, 0xfe20000c);
	poke(fd, 0x20, 4, 0x0000c001);
	poke(fd, 0x24, 4, 0xfe300000);
	poke(fd, 0x30, 4, 0xfe400000);
	poke(fd, 0x34, 1, 0x70);
	poke(fd, 0x70, 4, 0x00070011);
	poke(fd, 0x74, 4, 0x2000);
	poke(fd, 0x78, 4, 0x3000);
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + i / 256);
	for (unsigned region = 0; region < 7; region++)
		for (uint64_t at = 0; at < sizes[region]; at += sizeof(bytes))
			BELOW(pwrite64)
	(fd, bytes, sizes[region] - at < sizeof(bytes) ? (size_t)(sizes[region] - at) : sizeof(bytes),
	 (off_t)(REGION(region) + at));
}

static int get_info(struct vfio_device_info *info)
{
	if (fake_vfio.fail_info) {
		errno = fake_vfio.fail_info;
		return -1;
	}
	info->flags = VFIO_DEVICE_FLAGS_PCI | (fake_vfio.no_reset ? 0 : VFIO_DEVICE_FLAGS_RESET);
	info->num_regions = 9;
	info->num_irqs = 5;
	return 0;
}

static int get_region_info(struct vfio_region_info *info)
{
	static const unsigned flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	struct {
		struct {
			struct vfio_info_cap_header header;
			uint32_t nr_areas, reserved;
		} head; /* vfio_region_info_cap_sparse_mmap without its array */
		struct vfio_region_sparse_mmap_area areas[2];
	} sparse = { { { VFIO_REGION_INFO_CAP_SPARSE_MMAP, 1, 0 }, 2, 0 },
		     { { 0, 0x4000 }, { 0x8000, 0x8000 } } };
	const struct vfio_info_cap_header mappable = { VFIO_REGION_INFO_CAP_MSIX_MAPPABLE, 1, 0 };
	const void *cap = info->index == 0 ? (const void *)&mappable : (const void *)&sparse;
	const unsigned cap_size = info->index == 0 ? sizeof(mappable) : info->index == 1 ? sizeof(sparse) : 0;

	if (info->index >= 9 || info->index == 8) {
		errno = EINVAL;
		return -1;
	}
	info->size = sizes[info->index];
	info->offset = REGION(info->index) + (fake_vfio.odd_layout ? 0x1000 : 0);
	info->flags = !info->size ? 0 : info->index == 6 ? VFIO_REGION_INFO_FLAG_READ : flags;
	if (info->size && info->index < 6 && info->index != 4)
		info->flags |= VFIO_REGION_INFO_FLAG_MMAP;
	info->cap_offset = 0;
	if (!cap_size)
		return 0;
	info->flags |= VFIO_REGION_INFO_FLAG_CAPS;
	if (info->argsz < sizeof(*info) + cap_size) {
		info->argsz = (uint32_t)sizeof(*info) + cap_size;
		return 0;
	}
	memcpy(info + 1, cap, cap_size);
	info->cap_offset = sizeof(*info);
	return 0;
}

static int bind_cdev(struct object *object)
{
	__atomic_fetch_add(&fake_vfio.binds, 1, __ATOMIC_RELAXED);
	if (!__atomic_exchange_n(&object->bound, true, __ATOMIC_ACQ_REL))
		return 0;
	errno = EINVAL;
	return -1;
}

static int on_device(unsigned long request, void *argument)
{
	switch (request) {
	case VFIO_DEVICE_RESET:
		__atomic_fetch_add(&fake_vfio.resets, 1, __ATOMIC_RELAXED);
		return 0;
	case VFIO_DEVICE_PCI_HOT_RESET:
		__atomic_fetch_add(&fake_vfio.hot_resets, 1, __ATOMIC_RELAXED);
		return 0;
	case VFIO_DEVICE_IOEVENTFD:
		__atomic_fetch_add(&fake_vfio.ioeventfds, 1, __ATOMIC_RELAXED);
		return 0;
	case VFIO_DEVICE_FEATURE:
		__atomic_fetch_add(&fake_vfio.features, 1, __ATOMIC_RELAXED);
		return 0;
	case VFIO_DEVICE_GET_INFO:
	case VFIO_DEVICE_GET_REGION_INFO:
	case VFIO_DEVICE_GET_IRQ_INFO:
		break;
	default:
		errno = ENOTTY;
		return -1;
	}
	if ((uintptr_t)argument < 4096) {
		errno = EFAULT;
		return -1;
	}
	if (*(uint32_t *)argument < (request == VFIO_DEVICE_GET_REGION_INFO ? 32u : 16u)) {
		errno = EINVAL;
		return -1;
	}
	if (request == VFIO_DEVICE_GET_INFO)
		return get_info(argument);
	if (request == VFIO_DEVICE_GET_REGION_INFO)
		return get_region_info(argument);
	((struct vfio_irq_info *)argument)->flags = VFIO_IRQ_INFO_EVENTFD;
	((struct vfio_irq_info *)argument)->count = 1;
	return 0;
}

static int get_device(const char *name)
{
	for (unsigned i = 0; i < 2; i++)
		if (!strncmp(name, groups[i].device, strlen(groups[i].device))) {
			const int fd = create(DEVICE, "anon_inode:[vfio-device]", groups[i].device);

			fill(fd, groups[i].device);
			__atomic_fetch_add(&fake_vfio.opens, 1, __ATOMIC_RELAXED);
			return fd;
		}
	errno = ENODEV;
	return -1;
}

/* ---- The functions ----------------------------------------------------- */

int fake_vfio_open(const char *path, int flags, mode_t mode)
{
	int fd;

	if (!strcmp(path, "/dev/vfio/vfio"))
		return create(CONTAINER, path, "");
	if (!strcmp(path, "/dev/iommu"))
		return create(IOMMUFD, path, "");
	for (unsigned i = 0; i < 2; i++) {
		char group[32], cdev[32];

		snprintf(group, sizeof(group), "/dev/vfio/%u", groups[i].group);
		snprintf(cdev, sizeof(cdev), "/dev/vfio/devices/vfio%u", i);
		if (!strcmp(path, group) || !strcmp(path, "/tmp/link-to-a-group"))
			return create(GROUP, group, groups[i].device);
		if (!strcmp(path, cdev)) {
			fd = create(CDEV, cdev, groups[i].device);
			fill(fd, groups[i].device);
			return fd;
		}
	}
	return BELOW(open)(path, flags, mode);
}

int fake_vfio_openat(int directory, const char *path, int flags, mode_t mode)
{
	return *path == '/' ? fake_vfio_open(path, flags, mode) : BELOW(openat)(directory, path, flags, mode);
}

int fake_vfio_ioctl(int fd, unsigned long request, void *argument)
{
	struct object *object = object_of(fd);

	if (!object)
		return BELOW(ioctl)(fd, request, argument);
	switch (object->kind) {
	case GROUP:
		if (request == VFIO_GROUP_GET_DEVICE_FD)
			return (uintptr_t)argument < 4096 ? (errno = EFAULT, -1) : get_device(argument);
		return 0;
	case CDEV:
		if (request == BIND_IOMMUFD)
			return bind_cdev(object);
		if (!__atomic_load_n(&object->bound, __ATOMIC_ACQUIRE)) { /* it knows no other request yet */
			errno = EINVAL;
			return -1;
		}
		return on_device(request, argument);
	case DEVICE:
		return on_device(request, argument);
	default:
		return 0;
	}
}

/* How much of an access is inside its region. */
static ssize_t bound(uint64_t at, size_t count)
{
	const uint64_t region = at >> 40, offset = at & (REGION(1) - 1);

	if (fake_vfio.fail || region > 8 || offset >= sizes[region]) {
		errno = fake_vfio.fail ? fake_vfio.fail : EINVAL;
		return -1;
	}
	__atomic_store_n(&fake_vfio.last_offset, at, __ATOMIC_RELAXED);
	return (ssize_t)(count < sizes[region] - offset ? count : (size_t)(sizes[region] - offset));
}

ssize_t fake_vfio_pread(int fd, void *data, size_t count, off_t at)
{
	const struct object *object = object_of(fd);
	ssize_t bounded;

	if (!object)
		return BELOW(pread64)(fd, data, count, at);
	__atomic_fetch_add(&fake_vfio.reads, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&fake_vfio.last_width, (unsigned)count, __ATOMIC_RELAXED);
	bounded = bound((uint64_t)at, count);
	return bounded < 0 ? bounded : BELOW(pread64)(fd, data, (size_t)bounded, at);
}

ssize_t fake_vfio_pwrite(int fd, const void *data, size_t count, off_t at)
{
	const struct object *object = object_of(fd);
	ssize_t bounded;

	if (!object)
		return BELOW(pwrite64)(fd, data, count, at);
	__atomic_fetch_add(&fake_vfio.writes, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&fake_vfio.last_width, (unsigned)count, __ATOMIC_RELAXED);
	bounded = bound((uint64_t)at, count);
	return bounded < 0 ? bounded : BELOW(pwrite64)(fd, data, (size_t)bounded, at);
}

ssize_t fake_vfio_readlink(const char *path, char *target, size_t size)
{
	const struct object *object = NULL;
	char text[128];
	int fd;

	if (sscanf(path, "/proc/self/fd/%d", &fd) == 1) {
		object = object_of(fd);
		if (fake_vfio.no_proc) {
			errno = ENOENT;
			return -1;
		}
	} else if (!strncmp(path, "/sys/dev/char/", 14)) {
		snprintf(text, sizeof(text), "../../devices/pci0000:00/0000:01:00.0/vfio-dev/vfio0");
		memcpy(target, text, strlen(text) < size ? strlen(text) : size);
		return (ssize_t)strlen(text);
	}
	if (!object)
		return BELOW(readlink)(path, target, size);
	memcpy(target, object->name, strlen(object->name) < size ? strlen(object->name) : size);
	return (ssize_t)strlen(object->name);
}

#ifdef FAKE_VFIO_LIBRARY
/* For whole programs: preloaded below the wrap library. */
#define EXPORT __attribute__((visibility("default")))

static mode_t mode_of(int flags, va_list args)
{
	return flags & O_CREAT ? va_arg(args, mode_t) : 0;
}

#define OPEN(name)                                        \
	EXPORT int name(const char *path, int flags, ...) \
	{                                                 \
		va_list args;                             \
		mode_t mode;                              \
                                                          \
		va_start(args, flags);                    \
		mode = mode_of(flags, args);              \
		va_end(args);                             \
		return fake_vfio_open(path, flags, mode); \
	}
OPEN(open)
OPEN(open64)

EXPORT int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *argument;

	va_start(args, request);
	argument = va_arg(args, void *);
	va_end(args);
	return fake_vfio_ioctl(fd, request, argument);
}

EXPORT ssize_t pread64(int fd, void *data, size_t count, off_t at)
{
	return fake_vfio_pread(fd, data, count, at);
}

EXPORT ssize_t pwrite64(int fd, const void *data, size_t count, off_t at)
{
	return fake_vfio_pwrite(fd, data, count, at);
}

EXPORT ssize_t pread(int fd, void *data, size_t count, off_t at)
{
	return fake_vfio_pread(fd, data, count, at);
}

EXPORT ssize_t pwrite(int fd, const void *data, size_t count, off_t at)
{
	return fake_vfio_pwrite(fd, data, count, at);
}

EXPORT ssize_t readlink(const char *path, char *target, size_t size)
{
	return fake_vfio_readlink(path, target, size);
}
#endif
