/* SPDX-License-Identifier: BSD-2-Clause */
/* The program's descriptor of a device as a bk_device, for use below the mediator. */
#undef _FILE_OFFSET_BITS
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wrap/opened.h"
#include "wrap/real.h"

static struct bk__wrap_device *of(struct bk_device *back)
{
	return (struct bk__wrap_device *)back; /* the first member */
}

static int back_info(struct bk_device *back, struct bk_device_info *info)
{
	const struct bk__wrap_device *device = of(back);

	*info = (struct bk_device_info){
		.flags = device->flags & VFIO_DEVICE_FLAGS_RESET ? BK_DEVICE_CAN_RESET : 0,
		.regions = device->region_count,
		.irqs = device->irq_count,
	};
	return 0;
}

/* The kernel's own sparse areas, where a driver has any; else all of it. */
static int back_areas(struct bk_device *back, unsigned index, bool all, bk_device_area_fn *visit,
		      void *opaque)
{
	const struct bk__wrap_region *from = &of(back)->regions[index < BK_DEVICE_REGIONS ? index : 0];
	const struct vfio_region_info *info = (const void *)from->answer;
	struct vfio_region_info_cap_sparse_mmap sparse;
	uint32_t at = from->flags & VFIO_REGION_INFO_FLAG_CAPS ? info->cap_offset : 0;

	if (index >= BK_DEVICE_REGIONS || !(from->flags & VFIO_REGION_INFO_FLAG_MMAP))
		return 0;
	for (unsigned left = 64; at && left--; at = sparse.header.next) {
		memset(&sparse, 0, sizeof(sparse));
		if (at > from->answer_size - sizeof(sparse.header))
			break;
		memcpy(&sparse, from->answer + at,
		       at > from->answer_size - sizeof(sparse) ? sizeof(sparse.header) : sizeof(sparse));
		if (sparse.header.id != VFIO_REGION_INFO_CAP_SPARSE_MMAP)
			continue;
		at += sizeof(sparse);
		for (uint32_t i = 0; i < sparse.nr_areas;
		     i++, at += sizeof(struct vfio_region_sparse_mmap_area)) {
			struct vfio_region_sparse_mmap_area area;

			if (at > from->answer_size - sizeof(area))
				break;
			memcpy(&area, from->answer + at, sizeof(area));
			if (area.size && area.offset < from->size && area.size <= from->size - area.offset)
				visit(opaque, &(struct bk_device_area){ area.offset, area.size });
		}
		return 0;
	}
	if (from->size)
		visit(opaque, &(struct bk_device_area){ 0, from->size });
	return 0;
}

static int back_region(struct bk_device *back, unsigned index, struct bk_device_region *region)
{
	const struct bk__wrap_device *device = of(back);
	const struct bk__wrap_region *from;

	memset(region, 0, sizeof(*region));
	region->fd = -1;
	if (index >= BK_DEVICE_REGIONS)
		return -EINVAL;
	from = &device->regions[index];
	if (!from->answer)
		return index == BK_DEVICE_VGA ? -EINVAL : 0;
	region->size = from->size;
	region->flags = (from->flags & VFIO_REGION_INFO_FLAG_READ ? BK_DEVICE_READ : 0) |
			(from->flags & VFIO_REGION_INFO_FLAG_WRITE ? BK_DEVICE_WRITE : 0);
	if (from->flags & VFIO_REGION_INFO_FLAG_MMAP) {
		region->flags |= BK_DEVICE_MMAP;
		region->fd = device->fd;
		region->fd_offset = (uint64_t)index << BK__WRAP_OFFSET_BITS;
	}
	return 0;
}

static int back_irq(struct bk_device *back, unsigned index, struct bk_device_irq *irq)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = index };

	if (bk__wrap_real.ioctl(of(back)->fd, VFIO_DEVICE_GET_IRQ_INFO, &info))
		return -errno;
	*irq = (struct bk_device_irq){ .flags = info.flags & ~(unsigned)VFIO_IRQ_INFO_EVENTFD,
				       .count = info.count };
	return 0;
}

static int check(const struct bk__wrap_device *device, unsigned region, uint64_t offset, size_t count)
{
	if (region >= BK_DEVICE_REGIONS || offset > device->regions[region].size ||
	    count > device->regions[region].size - offset)
		return -EINVAL;
	return 0;
}

static int back_read(struct bk_device *back, unsigned region, uint64_t offset, void *data, size_t count)
{
	const struct bk__wrap_device *device = of(back);
	const off_t at = (off_t)(((uint64_t)region << BK__WRAP_OFFSET_BITS) + offset);
	ssize_t done;

	if (check(device, region, offset, count))
		return -EINVAL;
	do
		done = bk__wrap_real.pread64(device->fd, data, count, at);
	while (done < 0 && errno == EINTR);
	return done == (ssize_t)count ? 0 : done < 0 ? -errno : -EIO;
}

static int back_write(struct bk_device *back, unsigned region, uint64_t offset, const void *data,
		      size_t count)
{
	const struct bk__wrap_device *device = of(back);
	const off_t at = (off_t)(((uint64_t)region << BK__WRAP_OFFSET_BITS) + offset);
	ssize_t done;

	if (check(device, region, offset, count))
		return -EINVAL;
	do
		done = bk__wrap_real.pwrite64(device->fd, data, count, at);
	while (done < 0 && errno == EINTR);
	return done == (ssize_t)count ? 0 : done < 0 ? -errno : -EIO;
}

static int back_reset(struct bk_device *back)
{
	return bk__wrap_real.ioctl(of(back)->fd, VFIO_DEVICE_RESET, NULL) ? -errno : 0;
}

/* Nothing to do: the device is part of the open file and ends with it. */
static void back_close(struct bk_device *back)
{
}

static const struct bk_device_ops back_ops = {
	.info = back_info,
	.region = back_region,
	.irq = back_irq,
	.read = back_read,
	.write = back_write,
	.reset = back_reset,
	.areas = back_areas,
	.close = back_close,
};

/* Stores the kernel's whole answer, whose length the kernel gives. */
static int load_region(struct bk__wrap_device *device, unsigned index, struct bk_error *err)
{
	struct bk__wrap_region *region = &device->regions[index];
	struct vfio_region_info info = { .argsz = sizeof(info), .index = index }, *all;

	if (bk__wrap_real.ioctl(device->fd, VFIO_DEVICE_GET_REGION_INFO, &info))
		return 0; /* no such region: VGA, mostly */
	if (info.argsz < sizeof(info) || info.argsz > 1 << 20)
		return bk_fail(err, EPROTO, "%s: region %u: an answer of %u bytes", device->back.name, index,
			       info.argsz);
	all = calloc(1, info.argsz);
	if (!all)
		return bk_fail(err, ENOMEM, "%s: out of memory", device->back.name);
	all->argsz = info.argsz;
	all->index = index;
	if (bk__wrap_real.ioctl(device->fd, VFIO_DEVICE_GET_REGION_INFO, all) || all->argsz > info.argsz) {
		free(all);
		return bk_fail(err, EPROTO, "%s: region %u does not describe itself", device->back.name,
			       index);
	}
	region->answer = (uint8_t *)all;
	region->answer_size = info.argsz;
	region->flags = all->flags;
	region->size = all->size;
	if (all->offset != (uint64_t)index << BK__WRAP_OFFSET_BITS || all->size >> BK__WRAP_OFFSET_BITS)
		return bk_fail(err, EPROTO,
			       "%s: region %u is at 0x%" PRIx64
			       " of the descriptor: this kernel's VFIO is not known here",
			       device->back.name, index, (uint64_t)all->offset);
	return 0;
}

int bk__wrap_back_open(struct bk__wrap_device *device, int fd, struct bk_error *err)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int error = 0;

	device->back.ops = &back_ops;
	/* Start at a number that programs do not choose themselves. */
	device->fd = bk__wrap_real.fcntl(fd, F_DUPFD_CLOEXEC, (void *)(uintptr_t)200);
	if (device->fd < 0)
		device->fd = bk__wrap_real.fcntl(fd, F_DUPFD_CLOEXEC, (void *)(uintptr_t)3);
	if (device->fd < 0)
		return bk_fail(err, errno, "%s: no descriptor is left: %s", device->back.name,
			       strerror(errno));
	bk__wrap_keep_private(device->fd);
	if (bk__wrap_real.ioctl(device->fd, VFIO_DEVICE_GET_INFO, &info))
		error = bk_fail(err, errno, "%s: the device does not describe itself: %s", device->back.name,
				strerror(errno));
	else if (!(info.flags & VFIO_DEVICE_FLAGS_PCI))
		error = bk_fail(err, EOPNOTSUPP, "%s: not a PCI device: it cannot be wrapped",
				device->back.name);
	device->flags = info.flags;
	device->region_count = info.num_regions;
	device->irq_count = info.num_irqs;
	for (unsigned i = 0; i < BK_DEVICE_REGIONS && i < info.num_regions && !error; i++)
		error = load_region(device, i, err);
	return error;
}

void bk__wrap_back_close(struct bk__wrap_device *device)
{
	for (unsigned i = 0; i < BK_DEVICE_REGIONS; i++)
		free(device->regions[i].answer);
	memset(device->regions, 0, sizeof(device->regions));
	if (device->fd >= 0) {
		bk__wrap_file_remove(device->fd);
		bk__wrap_real.close(device->fd);
	}
	device->fd = -1;
}
