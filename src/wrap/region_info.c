/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VFIO_DEVICE_GET_REGION_INFO: the kernel's answer, without the pages that the
 * mediator answers for.
 *
 * The kernel answers first, and so has checked the program's structure.
 */
#undef _FILE_OFFSET_BITS
#include <errno.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wrap/calls.h"
#include "wrap/real.h"

static void add_area(struct bk__wrap_areas *areas, uint64_t offset, uint64_t size)
{
	struct vfio_region_sparse_mmap_area *last =
		areas->list.count ? &areas->list.at[areas->list.count - 1] : NULL;

	if (last && last->offset + last->size == offset) {
		last->size += size;
		return;
	}
	if (bk__array_reserve(&areas->list, 1)) {
		areas->failed = true;
		return;
	}
	areas->list.at[areas->list.count++] =
		(struct vfio_region_sparse_mmap_area){ .offset = offset, .size = size };
}

/* Whole pages that the device answers directly. */
static bool visit_area(void *opaque, const struct bk_flat *flat)
{
	struct bk__wrap_areas *areas = opaque;
	const uint64_t first = (flat->first + areas->page - 1) & ~(areas->page - 1);
	const uint64_t end = (flat->last + 1) & ~(areas->page - 1);

	if (flat->memory && first < end)
		add_area(areas, first, end - first);
	return true;
}

void bk__wrap_areas_find(struct bk__wrap_device *device, unsigned region, struct bk__wrap_areas *areas)
{
	struct bk_space *space = bk_mediator_space(device->mediate, region);

	*areas = (struct bk__wrap_areas){ .page = (uint64_t)sysconf(_SC_PAGESIZE) };
	if (space && !bk__wrap_device_is_unmapped(device, region))
		bk_space_visit(space, 0, bk_space_last(space), visit_area, areas);
}

bool bk__wrap_may_map(struct bk__wrap_device *device, unsigned region, uint64_t offset, uint64_t size)
{
	struct bk__wrap_areas areas;
	bool may = false;

	bk__wrap_areas_find(device, region, &areas);
	for (size_t i = 0; i < areas.list.count && !may; i++)
		may = offset >= areas.list.at[i].offset && size <= areas.list.at[i].size &&
		      offset - areas.list.at[i].offset <= areas.list.at[i].size - size;
	free(areas.list.at);
	return may;
}

/* Compares places: a region without memory, or a trap with its own page, shows no other sign. */
struct trapped {
	unsigned region;
	uint64_t offset, length;
	bool found;
};

static void visit_trap(void *opaque, const struct bk_trap_stats *stats)
{
	struct trapped *trapped = opaque;

	trapped->found |= stats->name && stats->region == trapped->region &&
			  stats->offset < trapped->offset + trapped->length &&
			  trapped->offset < stats->offset + stats->length;
}

bool bk__wrap_is_trapped(struct bk__wrap_device *device, unsigned region, uint64_t offset, uint64_t length)
{
	struct trapped trapped = { .region = region, .offset = offset, .length = length };

	bk_mediator_stats(device->mediate, visit_trap, &trapped);
	return trapped.found;
}

/* ---- The answer -------------------------------------------------------- */

/* The size of a capability, known only from where the next one starts. */
static uint32_t size_of(const struct bk__wrap_region *region, uint32_t at)
{
	const struct vfio_region_info *info = (const void *)region->answer;
	struct vfio_info_cap_header header, other;
	uint32_t end = region->answer_size;

	for (uint32_t next = info->cap_offset, left = 64; next && left--; next = other.next) {
		if (next > region->answer_size - sizeof(other))
			break;
		memcpy(&other, region->answer + next, sizeof(other));
		if (next > at && next < end)
			end = next;
	}
	memcpy(&header, region->answer + at, sizeof(header));
	return end - at;
}

/* Appends a capability to the answer, and links it to the one before. */
static uint8_t *append(uint8_t *answer, uint32_t *used, uint32_t *last, const void *cap, uint32_t size)
{
	struct vfio_region_info *info = (void *)answer;
	const uint32_t at = *used;

	memcpy(answer + at, cap, size);
	((struct vfio_info_cap_header *)(void *)(answer + at))->next = 0;
	if (*last)
		((struct vfio_info_cap_header *)(void *)(answer + *last))->next = at;
	else
		info->cap_offset = at;
	*last = at;
	*used += (size + 7) & ~7u;
	return answer + at;
}

/* Adds our sparse areas and the kernel's other capabilities. */
static void add_capabilities(const struct bk__wrap_region *region, const struct bk__wrap_areas *areas,
			     bool sparse, uint8_t *answer, uint32_t *used)
{
	const struct vfio_region_info *from = (const void *)region->answer;
	struct vfio_region_info_cap_sparse_mmap head = {
		.header = { .id = VFIO_REGION_INFO_CAP_SPARSE_MMAP, .version = 1 },
		.nr_areas = (uint32_t)areas->list.count,
	};
	uint32_t last = 0, at = region->flags & VFIO_REGION_INFO_FLAG_CAPS ? from->cap_offset : 0;
	struct vfio_info_cap_header header;

	for (unsigned left = 64; at && left--; at = header.next) {
		if (at < sizeof(*from) || at > region->answer_size - sizeof(header))
			break;
		memcpy(&header, region->answer + at, sizeof(header));
		if (header.id != VFIO_REGION_INFO_CAP_SPARSE_MMAP)
			append(answer, used, &last, region->answer + at, size_of(region, at));
	}
	if (!sparse)
		return;
	append(answer, used, &last, &head, sizeof(head));
	memcpy(answer + *used, areas->list.at, areas->list.count * sizeof(*areas->list.at));
	*used += (uint32_t)(areas->list.count * sizeof(*areas->list.at));
}

/* In separate memory, since the answer may exceed the program's. */
static uint8_t *compose(struct bk__wrap_device *device, unsigned index, const struct bk__wrap_areas *areas,
			uint32_t *size)
{
	static const struct bk__wrap_region none; /* a region that only the guest has */
	const struct bk__wrap_region *region =
		device->regions[index].answer ? &device->regions[index] : &none;
	struct bk_space *space = bk_mediator_space(device->mediate, index);
	/* Each of up to 64 capabilities may grow by 7 bytes. */
	uint8_t *answer = calloc(1, sizeof(struct vfio_region_info) + 2 * (size_t)region->answer_size +
					    64 * 8 + sizeof(struct vfio_region_info_cap_sparse_mmap) +
					    areas->list.count * sizeof(*areas->list.at));
	struct vfio_region_info *info = (void *)answer;
	uint64_t all;

	*size = sizeof(*info);
	if (!answer)
		return NULL;
	info->index = index;
	info->flags = region->flags & ~(uint32_t)(VFIO_REGION_INFO_FLAG_CAPS | VFIO_REGION_INFO_FLAG_MMAP);
	info->offset = (uint64_t)index << BK__WRAP_OFFSET_BITS;
	info->size = space ? bk_space_last(space) + 1 : 0;
	if (!info->flags && space)
		info->flags = VFIO_REGION_INFO_FLAG_READ |
			      (index == BK_DEVICE_ROM ? 0 : VFIO_REGION_INFO_FLAG_WRITE);
	if (areas->list.count)
		info->flags |= VFIO_REGION_INFO_FLAG_MMAP;
	all = areas->list.count == 1 && !areas->list.at[0].offset ? areas->list.at[0].size : 0;
	if (info->size)
		add_capabilities(region, areas, areas->list.count && all != info->size, answer, size);
	if (*size > sizeof(*info))
		info->flags |= VFIO_REGION_INFO_FLAG_CAPS;
	return answer;
}

int bk__wrap_region_info(struct bk__wrap_device *device, void *argument)
{
	struct vfio_region_info *info = argument;
	uint32_t room = 0, size, index;
	struct bk__wrap_areas areas;
	uint8_t *answer;

	/* Never read a pointer into page 0: the kernel reports the error. */
	if ((uintptr_t)argument >= 4096)
		room = __atomic_load_n(&info->argsz, __ATOMIC_RELAXED);
	if (room < sizeof(*info))
		return bk__wrap_real.ioctl(device->fd, VFIO_DEVICE_GET_REGION_INFO, argument);
	index = info->index;
	if (bk__wrap_real.ioctl(device->fd, VFIO_DEVICE_GET_REGION_INFO, argument))
		return -1;
	if (!bk__wrap_device_is_mediated(device, index) && !bk__wrap_device_is_unmapped(device, index))
		return 0;
	bk__wrap_areas_find(device, index, &areas);
	answer = areas.failed ? NULL : compose(device, index, &areas, &size);
	free(areas.list.at);
	if (!answer) {
		errno = ENOMEM;
		return -1;
	}
	((struct vfio_region_info *)(void *)answer)->argsz = size > room ? size : room;
	if (size > room)
		((struct vfio_region_info *)(void *)answer)->cap_offset = 0;
	memcpy(info, answer, size > room ? sizeof(*info) : size);
	free(answer);
	return 0;
}
