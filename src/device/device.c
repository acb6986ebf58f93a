/* SPDX-License-Identifier: BSD-2-Clause */
/* The interface of all devices and mediators, and the context that the devices of a guest share. */
#include <barkeep/device.h>

#include <errno.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/struct.h"
#include "device/apart.h"
#include "device/context.h"
#include "device/iova.h"
#include "device/vfio_group.h"

/* The first device with the operation, from this one down. */
#define WITH(op)                                  \
	while (!device->ops->op && device->below) \
	device = device->below
#define CALL(op, ...) (device->ops->op ? device->ops->op(device, __VA_ARGS__) : -EOPNOTSUPP)

int bk_device_info(struct bk_device *device, struct bk_device_info *info)
{
	struct bk_device_info full = { .struct_size = sizeof(full) };
	int error;

	WITH(info);
	error = CALL(info, &full);
	bk__struct_give(info, &full, sizeof(full));
	return error;
}

int bk_device_region(struct bk_device *device, unsigned index, struct bk_device_region *region)
{
	struct bk_device_region full = { .struct_size = sizeof(full), .fd = -1 };
	int error;

	WITH(region);
	error = CALL(region, index, &full);
	bk__struct_give(region, &full, sizeof(full));
	return error;
}

int bk_device_irq(struct bk_device *device, unsigned index, struct bk_device_irq *irq)
{
	struct bk_device_irq full = { .struct_size = sizeof(full) };
	int error;

	WITH(irq);
	error = CALL(irq, index, &full);
	bk__struct_give(irq, &full, sizeof(full));
	return error;
}

int bk_device_read(struct bk_device *device, unsigned region, uint64_t offset, void *data, size_t count)
{
	WITH(read);
	return CALL(read, region, offset, data, count);
}

int bk_device_write(struct bk_device *device, unsigned region, uint64_t offset, const void *data,
		    size_t count)
{
	WITH(write);
	return CALL(write, region, offset, data, count);
}

int bk_device_set_irqs(struct bk_device *device, unsigned index, enum bk_device_irq_action action,
		       unsigned start, unsigned count, const int *fds)
{
	WITH(set_irqs);
	return CALL(set_irqs, index, action, start, count, fds);
}

int bk_device_dma_map(struct bk_device *device, const struct bk_device_dma *dma, struct bk_error *err)
{
	struct bk_device_dma full;

	WITH(dma_map);
	if (!device->ops->dma_map)
		return bk_fail(err, EOPNOTSUPP, "%s: this device does no DMA", device->name);
	if (bk__struct_take(&full, sizeof(full), dma))
		return bk_fail(err, E2BIG, "%s: a map of memory of a later release", device->name);
	return device->ops->dma_map(device, &full, err);
}

int bk_device_dma_unmap(struct bk_device *device, uint64_t iova, uint64_t size)
{
	WITH(dma_unmap);
	return CALL(dma_unmap, iova, size);
}

int bk_device_reset(struct bk_device *device)
{
	WITH(reset);
	return device->ops->reset ? device->ops->reset(device) : -EOPNOTSUPP;
}

int bk_device_ioeventfd(struct bk_device *device, unsigned region, uint64_t offset, unsigned width,
			uint64_t value, int fd)
{
	WITH(ioeventfd);
	return CALL(ioeventfd, region, offset, width, value, fd);
}

int bk_device_areas(struct bk_device *device, unsigned index, bool all, bk_device_area_fn *visit,
		    void *opaque)
{
	WITH(areas);
	return CALL(areas, index, all, visit, opaque);
}

int bk_device_watch(struct bk_device *device, const struct bk_device_watcher *watcher, void *opaque)
{
	WITH(watch);
	return CALL(watch, watcher, opaque);
}

int bk_device_host_config(struct bk_device *device, void *data, size_t count)
{
	WITH(host_config);
	return CALL(host_config, data, count);
}

int bk_device_doorbells(struct bk_device *device, bk_device_doorbell_fn *visit, void *opaque)
{
	WITH(doorbells);
	return CALL(doorbells, visit, opaque);
}

int bk_device_share(struct bk_device *device, unsigned region, const struct bk_device_area *areas,
		    size_t count, int *fd)
{
	WITH(share);
	return CALL(share, region, areas, count, fd);
}

void bk_device_describe(struct bk_device *device,
			void (*say)(void *opaque, const char *key, const char *value), void *opaque)
{
	WITH(describe);
	if (device->ops->describe)
		device->ops->describe(device, say, opaque);
}

void bk_device_close(struct bk_device *device)
{
	if (device && device->ops->close)
		device->ops->close(device);
}

int bk_device_read_value(struct bk_device *device, unsigned region, uint64_t offset, unsigned width,
			 uint64_t *value)
{
	uint8_t bytes[8] = { 0 };
	int error;

	*value = 0;
	if (!bk__is_width(width))
		return -EINVAL;
	error = bk_device_read(device, region, offset, bytes, width);
	*value = bk__load(bytes, width);
	return error < 0 ? error : 0;
}

int bk_device_write_value(struct bk_device *device, unsigned region, uint64_t offset, unsigned width,
			  uint64_t value)
{
	uint8_t bytes[8];
	int error;

	if (!bk__is_width(width))
		return -EINVAL;
	bk__store(bytes, width, value);
	error = bk_device_write(device, region, offset, bytes, width);
	return error < 0 ? error : 0;
}

const char *bk_device_region_name(unsigned region)
{
	static const char *const names[BK_DEVICE_REGIONS] = { "bar0", "bar1", "bar2",   "bar3", "bar4",
							      "bar5", "rom",  "config", "vga" };

	return region < BK_DEVICE_REGIONS ? names[region] : "region";
}

struct bk_device_context *bk_device_context_create(void)
{
	struct bk_device_context *context = calloc(1, sizeof(*context));

	if (!context)
		return NULL;
	bk__device_context_roots(context, "/sys", "/dev/vfio");
	if (bk__device_kinds_init(context)) {
		bk_device_context_destroy(context);
		return NULL;
	}
	return context;
}

void bk_device_context_destroy(struct bk_device_context *context)
{
	bk__device_kinds_free(context);
	free(context);
}

unsigned bk_device_context_groups(struct bk_device_context *context, int *fds, unsigned room)
{
	return context->container ? bk__vfio_group_fds(context->container, fds, room) : 0;
}

unsigned bk_device_context_iova_ranges(struct bk_device_context *context, struct bk_device_iova_range *ranges,
				       unsigned room)
{
	const struct bk__vfio_container *container = context->container;
	const unsigned count = container ? bk__vfio_iova_of_container(container->fd, ranges, room) : 0;

	return count ? count : bk__device_iova_of_groups(context->sysfs, ranges, room);
}

void bk__device_context_apart(struct bk_device_context *context, unsigned seconds)
{
	context->apart = seconds;
}

void bk__device_context_roots(struct bk_device_context *context, const char *sysfs, const char *dev)
{
	context->sysfs = sysfs;
	context->dev = dev;
}
