/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DMA maps: guest memory in the IOMMU.
 *
 * The container is one address space for all devices of a context, and each
 * front maps the guest's memory for each of its devices. So the container's
 * table counts how many devices asked for a map, and only the first and the
 * last of them reach the kernel, which pins and charges once.
 *
 * Devices may have different owners, which follow one guest's memory independently: one may map a new range
 * before another unmaps the old one. So a map waits a while for those it overlaps.
 */
#include "base/clock.h"
#include "base/ratelimit.h"
#include "device/vfio.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <time.h>
#include <linux/vfio.h>

#include "device/iova.h"

#define IOVA_RANGES 64 /* more than those of any host */

void bk__vfio_dma_init(struct bk__vfio_container *container)
{
	pthread_mutex_init(&container->dma_lock, NULL);
	bk__base_cond_init(&container->dma_gone);
}

void bk__vfio_dma_done(struct bk__vfio_container *container)
{
	pthread_mutex_destroy(&container->dma_lock);
	pthread_cond_destroy(&container->dma_gone);
	bk__device_dma_table_free(&container->dma);
}

/* VFIO_IOMMU_GET_INFO with its capabilities; NULL if the kernel does not say. The caller frees it. */
static struct vfio_iommu_type1_info *iommu_info(int container)
{
	uint32_t size = sizeof(struct vfio_iommu_type1_info);

	for (;;) {
		struct vfio_iommu_type1_info *info = calloc(1, size);

		if (!info)
			return NULL;
		info->argsz = size;
		if (ioctl(container, VFIO_IOMMU_GET_INFO, info)) {
			free(info);
			return NULL;
		}
		if (info->argsz <= size)
			return info;
		size = info->argsz;
		free(info);
	}
}

unsigned bk__vfio_iova_of_info(const struct vfio_iommu_type1_info *info, struct bk_device_iova_range *ranges,
			       unsigned room)
{
	const uint32_t at = info->flags & VFIO_IOMMU_INFO_CAPS ? info->cap_offset : 0;
	const uint8_t *capability =
		bk__vfio_capability(info, info->argsz, at, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
	struct vfio_iommu_type1_info_cap_iova_range header;
	struct vfio_iova_range range;
	size_t left;

	if (!capability)
		return 0;
	left = info->argsz - (size_t)(capability - (const uint8_t *)info);
	if (left < sizeof(header))
		return 0;
	memcpy(&header, capability, sizeof(header));
	if (header.nr_iovas > (left - sizeof(header)) / sizeof(range))
		return 0;
	for (uint32_t i = 0; i < header.nr_iovas && i < room; i++) {
		memcpy(&range, capability + sizeof(header) + i * sizeof(range), sizeof(range));
		ranges[i] = (struct bk_device_iova_range){ range.start, range.end };
	}
	return header.nr_iovas;
}

unsigned bk__vfio_iova_of_container(int container, struct bk_device_iova_range *ranges, unsigned room)
{
	struct vfio_iommu_type1_info *info = iommu_info(container);
	const unsigned count = info ? bk__vfio_iova_of_info(info, ranges, room) : 0;

	free(info);
	return count;
}

/*
 * True if the IOMMU can map all of [first, last]; `text` gets the ranges that
 * it can map. True also if the kernel does not say.
 */
static bool mappable(const struct vfio_iommu_type1_info *info, uint64_t first, uint64_t last, char *text,
		     size_t room)
{
	struct bk_device_iova_range ranges[IOVA_RANGES];
	const unsigned count = bk__vfio_iova_of_info(info, ranges, IOVA_RANGES);
	bool inside = !count || count > IOVA_RANGES;

	for (unsigned i = 0; i < count && i < IOVA_RANGES; i++) {
		const size_t length = strlen(text);

		inside = inside || (first >= ranges[i].first && last <= ranges[i].last);
		snprintf(text + length, room - length, "%s0x%" PRIx64 "-0x%" PRIx64, i ? ", " : "",
			 ranges[i].first, ranges[i].last);
	}
	return inside;
}

/* Explains if the IOMMU can never map the memory: the kernel says only EINVAL. */
static int check(struct bk__device_vfio *vfio, const struct bk_device_dma *dma, struct bk_error *err)
{
	uint64_t last = dma->iova + (dma->size - 1), page = 4096;
	struct vfio_iommu_type1_info *info;
	char text[400] = "";
	bool inside;

	if (!dma->size || last < dma->iova || !(dma->flags & (BK_DEVICE_DMA_READ | BK_DEVICE_DMA_WRITE)))
		return bk_fail(err, EINVAL,
			       "%s: DMA map at 0x%" PRIx64 ": empty, past 2^64, or neither read nor write",
			       vfio->base.name, dma->iova);
	if (!dma->vaddr)
		return bk_fail(err, EINVAL,
			       "%s: DMA map at 0x%" PRIx64
			       ": the memory is not in this process, and a device of "
			       "the host reaches only memory that is: its client has to share it",
			       vfio->base.name, dma->iova);
	info = iommu_info(vfio->group->container->fd);
	if (!info)
		return 0;
	if (info->flags & VFIO_IOMMU_INFO_PGSIZES && info->iova_pgsizes)
		page = info->iova_pgsizes & (~info->iova_pgsizes + 1);
	if ((dma->iova | dma->size | (uintptr_t)dma->vaddr) & (page - 1)) {
		free(info);
		return bk_fail(err, EINVAL,
			       "%s: DMA map at 0x%" PRIx64 ", 0x%" PRIx64
			       " bytes: address, size and memory must be multiples of 0x%" PRIx64,
			       vfio->base.name, dma->iova, dma->size, page);
	}
	inside = mappable(info, dma->iova, last, text, sizeof(text));
	free(info);
	if (!inside)
		return bk_fail(
			err, EINVAL,
			"%s: 0x%" PRIx64 "-0x%" PRIx64
			" is not in what the host's IOMMU can map (%s); place the guest's memory inside",
			vfio->base.name, dma->iova, last, text);
	return 0;
}

static int explain(struct bk__device_vfio *vfio, const struct bk_device_dma *dma, int code,
		   struct bk_error *err)
{
	const struct bk__device_dma_table *all = &vfio->group->container->dma;
	uint64_t pinned = dma->size;
	struct rlimit limit;

	for (unsigned i = 0; i < all->maps.count; i++)
		pinned += all->maps.at[i].dma.size;
	if (code == ENOMEM && !getrlimit(RLIMIT_MEMLOCK, &limit) && limit.rlim_cur < pinned)
		return bk_fail(
			err, code,
			"%s: the device's DMA needs %" PRIu64
			" bytes of locked memory, the limit allows %" PRIu64
			"; raise it (ulimit -l, or LimitMEMLOCK= of the service) or grant CAP_IPC_LOCK",
			vfio->base.name, pinned, (uint64_t)limit.rlim_cur);
	if (code == ENOSPC)
		return bk_fail(err, code,
			       "%s: no DMA map left after %zu; raise dma_entry_limit of vfio_iommu_type1 or "
			       "map larger "
			       "pieces",
			       vfio->base.name, all->maps.count);
	if (code == EFAULT)
		return bk_fail(err, code,
			       "%s: DMA map at 0x%" PRIx64 ", 0x%" PRIx64
			       " bytes: the memory behind it cannot be pinned (past the end of its file?)",
			       vfio->base.name, dma->iova, dma->size);
	return bk_fail(err, code, "%s: DMA map at 0x%" PRIx64 ", 0x%" PRIx64 " bytes: %s", vfio->base.name,
		       dma->iova, dma->size, strerror(code));
}

static int overlap(struct bk__device_vfio *vfio, const struct bk_device_dma *dma, struct bk_error *err)
{
	return bk_fail(err, EEXIST,
		       "%s: DMA map at 0x%" PRIx64 ", 0x%" PRIx64 " bytes overlaps an earlier one",
		       vfio->base.name, dma->iova, dma->size);
}

/* -EEXIST without a message. */
static int map_in_kernel(struct bk__device_vfio *vfio, const struct bk_device_dma *dma, struct bk_error *err)
{
	struct bk__device_dma_table *all = &vfio->group->container->dma;
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = (dma->flags & BK_DEVICE_DMA_READ ? VFIO_DMA_MAP_FLAG_READ : 0) |
			 (dma->flags & BK_DEVICE_DMA_WRITE ? VFIO_DMA_MAP_FLAG_WRITE : 0),
		.vaddr = (uintptr_t)dma->vaddr,
		.iova = dma->iova,
		.size = dma->size,
	};
	int code, ret = bk__device_dma_table_add(all, dma);

	if (ret == -EEXIST)
		return ret;
	if (ret)
		return bk_fail(err, -ret, "%s: out of memory", vfio->base.name);
	if (!ioctl(vfio->group->container->fd, VFIO_IOMMU_MAP_DMA, &map))
		return 0;
	code = errno;
	bk__device_dma_table_remove(all, bk__device_dma_table_find(all, dma->iova, dma->size));
	return explain(vfio, dma, code, err);
}

/* Drops one use. A map that the kernel refuses to unmap stays in the table. */
static int release(struct bk__device_vfio *vfio, uint64_t iova, uint64_t size)
{
	struct bk__device_dma_table *all = &vfio->group->container->dma;
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap), .iova = iova, .size = size };
	struct bk__device_dma_map *map = bk__device_dma_table_find(all, iova, size);
	static struct bk__ratelimit limit; /* a guest can move BARs that peers reach for ever */

	if (map->uses > 1) {
		map->uses--;
		return 0;
	}
	if (ioctl(vfio->group->container->fd, VFIO_IOMMU_UNMAP_DMA, &unmap)) {
		const int ret = -errno;

		bk__log_limited(&limit, BK_LOG_ERROR, "%s: DMA unmap at 0x%" PRIx64 ": %s", vfio->base.name,
				iova, strerror(-ret));
		return ret;
	}
	bk__device_dma_table_remove(all, map);
	pthread_cond_broadcast(&vfio->group->container->dma_gone);
	return 0;
}

/* Adds a use of a map, or a new map. -EEXIST without a message. */
static int enter(struct bk__device_vfio *vfio, const struct bk_device_dma *dma, struct bk_error *err)
{
	struct bk__device_dma_map *same =
		bk__device_dma_table_find(&vfio->group->container->dma, dma->iova, dma->size);

	if (!same || same->dma.vaddr != dma->vaddr || same->dma.flags != dma->flags)
		return map_in_kernel(vfio, dma, err);
	same->uses++;
	return 0;
}

/* The same, once others that it overlaps have gone. */
static int enter_in_time(struct bk__device_vfio *vfio, const struct bk_device_dma *dma, struct bk_error *err)
{
	struct bk__vfio_container *container = vfio->group->container;
	int ret = enter(vfio, dma, err);
	bool late = !container->apart;
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += container->apart;
	for (; ret == -EEXIST && !late; ret = enter(vfio, dma, err))
		late = pthread_cond_timedwait(&container->dma_gone, &container->dma_lock, &until);
	return ret == -EEXIST ? overlap(vfio, dma, err) : ret;
}

static void leave(struct bk__device_vfio *vfio, struct bk__device_dma_map *map)
{
	bk__device_dma_table_remove(&vfio->dma, map);
	atomic_store(&vfio->in_use, vfio->dma.maps.count);
}

int bk__vfio_dma_map(struct bk_device *device, const struct bk_device_dma *dma, struct bk_error *err)
{
	struct bk__device_vfio *vfio = (struct bk__device_vfio *)device;
	pthread_mutex_t *lock = &vfio->group->container->dma_lock;
	int ret = check(vfio, dma, err);

	if (ret)
		return ret;
	pthread_mutex_lock(lock);
	ret = bk__device_dma_table_add(&vfio->dma, dma);
	if (ret == -EEXIST)
		overlap(vfio, dma, err);
	else if (ret)
		bk_fail(err, -ret, "%s: out of memory", device->name);
	if (!ret) {
		atomic_store(&vfio->in_use, true);
		ret = enter_in_time(vfio, dma, err);
		if (ret)
			leave(vfio, bk__device_dma_table_find(&vfio->dma, dma->iova, dma->size));
	}
	pthread_mutex_unlock(lock);
	return ret;
}

int bk__vfio_dma_unmap(struct bk_device *device, uint64_t iova, uint64_t size)
{
	struct bk__device_vfio *vfio = (struct bk__device_vfio *)device;
	pthread_mutex_t *lock = &vfio->group->container->dma_lock;
	struct bk__device_dma_map *map;
	int ret = -ENOENT;

	pthread_mutex_lock(lock);
	map = bk__device_dma_table_find(&vfio->dma, iova, size);
	if (map) {
		ret = release(vfio, iova, size);
		if (!ret)
			leave(vfio, map);
	}
	pthread_mutex_unlock(lock);
	return ret;
}

void bk__vfio_dma_unmap_all(struct bk__device_vfio *vfio)
{
	pthread_mutex_t *lock = &vfio->group->container->dma_lock;

	pthread_mutex_lock(lock);
	for (unsigned i = 0; i < vfio->dma.maps.count; i++)
		release(vfio, vfio->dma.maps.at[i].dma.iova, vfio->dma.maps.at[i].dma.size);
	bk__device_dma_table_free(&vfio->dma);
	atomic_store(&vfio->in_use, false);
	pthread_mutex_unlock(lock);
}
