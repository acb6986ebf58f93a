/* SPDX-License-Identifier: BSD-2-Clause */
/* The regions at the bottom of each space: what answers where there is no trap, mapped where it can be. */
#include "mediate/finish.h"
#include "mediate/hole.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/guard.h"

static int place_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	struct bk__mediate_place *place = opaque;
	int r = bk_mediator_below_read(place->mediate, place->region, offset, width, value);

	return bk__mediate_finish_beside(place->mediate, place->region, offset, width, false, *value, r);
}

static int place_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	struct bk__mediate_place *place = opaque;
	int r = bk_mediator_below_write(place->mediate, place->region, offset, width, value);

	return bk__mediate_finish_beside(place->mediate, place->region, offset, width, true, value, r);
}

static void place_released(void *opaque)
{
	struct bk__mediate_place *place = opaque;

	bk__base_guard_remove(place->guard);
	if (place->host)
		bk__mediate_unmap(place->host, place->size);
	free(place);
}

const struct bk_region_ops bk__mediate_place_ops = {
	.read = place_read,
	.write = place_write,
	.released = place_released,
	.yields = true,
};

/* Registers that are 4 bytes wide at most. */
static const struct bk_region_ops narrow_place_ops = {
	.read = place_read,
	.write = place_write,
	.released = place_released,
	.widths = BK_WIDTH_1 | BK_WIDTH_2 | BK_WIDTH_4,
	.yields = true,
};

/* Config space: the checks of bk_mediator_below_read are not needed here. */
static int config_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	struct bk_mediator *m = ((struct bk__mediate_place *)opaque)->mediate;
	int r = bk__mediate_config_read(m, offset, width, value);

	return bk__mediate_finish_beside(m, BK_DEVICE_CONFIG, offset, width, false, *value, r);
}

static const struct bk_region_ops config_place_ops = {
	.read = config_read,
	.write = place_write,
	.released = place_released,
	.widths = BK_WIDTH_1 | BK_WIDTH_2 | BK_WIDTH_4,
	.yields = true,
};

/* Commits one region whose opaque is a place; frees the place on failure. */
static int place_add(struct bk_space *space, const struct bk_region_desc *desc, struct bk_region **handle)
{
	int r = bk_region_add(space, desc, handle, NULL);

	if (r)
		place_released(desc->opaque);
	return r;
}

int bk__mediate_bottom_add(struct bk_mediator *m, unsigned region, uint64_t first, uint64_t size,
			   int priority, unsigned widths, struct bk_error *err)
{
	struct bk__mediate_place *place = calloc(1, sizeof(*place));
	struct bk_region_desc desc = {
		.name = bk_device_region_name(region),
		.first = first,
		.last = first + size - 1,
		.priority = priority,
		.rank = first,
		.kind = BK_REGION_HANDLED,
		.ops = region == BK_DEVICE_CONFIG ? &config_place_ops
		       : widths == BK_WIDTH_ALL   ? &bk__mediate_place_ops
						  : &narrow_place_ops,
		.opaque = place,
		.base = first,
	};
	int r = -ENOMEM;

	if (place) {
		*place = (struct bk__mediate_place){
			.mediate = m, .region = region, .first = first, .size = size
		};
		r = place_add(m->regions[region].space, &desc, &m->regions[region].bottom);
	}
	return r ? bk_fail(err, -r, "%s: %s: %s", m->below->name, bk_device_region_name(region), strerror(-r))
		 : 0;
}

const struct bk_region *bk_mediator_registers(const struct bk_mediator *m, unsigned bar)
{
	return bar < BK_PCI_BARS ? m->regions[bar].bottom : NULL;
}

struct bk_region_desc bk__mediate_mapped_desc(const struct bk__mediate_place *area, uint64_t first,
					      uint64_t size)
{
	const struct bk_device_region *info = &area->mediate->regions[area->region].info;

	return (struct bk_region_desc){
		.name = bk_device_region_name(area->region),
		.first = first,
		.last = first + size - 1,
		.priority = BK__PRIORITY_MAPPED,
		.rank = first,
		.kind = BK_REGION_MAPPED,
		.ops = &bk__mediate_place_ops,
		.base = first,
		.memory = {
			.host = area->host ? (uint8_t *)area->host + (first - area->first) : NULL,
			.fd = info->fd,
			.fd_offset = info->fd_offset + first,
			.attributes = BK_MEMORY_DEVICE |
				      (info->flags & BK_DEVICE_WRITE ? 0 : BK_MEMORY_READONLY),
		},
	};
}

static int map_area(struct bk_mediator *m, unsigned bar, uint64_t first, uint64_t size)
{
	struct bk__mediate_region *region = &m->regions[bar];
	struct bk__mediate_place *place = calloc(1, sizeof(*place));
	struct bk_region_desc desc;
	int r;

	if (!place)
		return -ENOMEM;
	*place = (struct bk__mediate_place){ .mediate = m, .region = bar, .first = first, .size = size };
	if (!m->filter)
		place->host = bk__mediate_map(region->info.fd, region->info.fd_offset + first, size,
					      region->info.flags & BK_DEVICE_WRITE);
	if (place->host && !bk__mediate_guard(place, region->info.fd)) {
		place_released(place);
		return -ENOMEM;
	}
	if (!place->host && !m->filter) {
		bk_log(BK_LOG_WARNING,
		       "%s: %s: 0x%" PRIx64 " bytes at 0x%" PRIx64
		       " cannot be mapped (%s): every access exits",
		       m->below->name, bk_device_region_name(bar), size, first, strerror(errno));
		free(place);
		return 0;
	}
	desc = bk__mediate_mapped_desc(place, first, size);
	desc.opaque = place;
	r = place_add(region->space, &desc, NULL);
	if (!r)
		region->areas[region->area_count++] = place;
	return r;
}

struct areas {
	BK__ARRAY(struct bk_device_area);
	bool failed;
};

static void take_area(void *opaque, const struct bk_device_area *area)
{
	struct areas *areas = opaque;

	if (bk__array_reserve(areas, 1)) {
		areas->failed = true;
		return;
	}
	areas->at[areas->count++] = *area;
}

/* Whole pages of each area, as far as the device describes them in a way that can be mapped. */
static int map_areas(struct bk_mediator *m, unsigned bar, uint64_t shared, const struct areas *areas)
{
	struct bk__mediate_region *region = &m->regions[bar];
	const uint64_t page = bk__mediate_page_size(), size = shared ? shared : region->info.size;
	uint64_t from = 0;

	region->areas = calloc(areas->count + 1, sizeof(struct bk__mediate_place *));
	if (!region->areas)
		return -ENOMEM;
	for (size_t i = 0; i < areas->count; i++) {
		const struct bk_device_area *area = &areas->at[i];
		uint64_t first, end;
		int r;

		if (area->offset >= size || area->offset < from)
			continue;
		first = (area->offset + page - 1) & ~(page - 1);
		end = area->size < size - area->offset && !shared ? area->offset + area->size : size;
		end &= ~(page - 1);
		if (first >= end)
			continue;
		r = map_area(m, bar, first, end - first);
		if (r)
			return r;
		from = end;
	}
	return 0;
}

static bool is_mappable(const struct bk_device_region *info)
{
	const uint64_t page = bk__mediate_page_size();

	return info->flags & BK_DEVICE_MMAP && info->flags & BK_DEVICE_READ && info->fd >= 0 &&
	       info->fd_offset % page == 0 && info->fd_offset <= INT64_MAX &&
	       info->size <= INT64_MAX - info->fd_offset;
}

struct whole {
	uint64_t size;
	unsigned count;
	bool is;
};

static void note_whole(void *opaque, const struct bk_device_area *area)
{
	struct whole *whole = opaque;

	whole->is = !whole->count++ && !area->offset && area->size >= whole->size;
}

/* Only if the device offers to map all of it: then it takes care of the rest of the page. */
uint64_t bk__mediate_bar_page(const struct bk_mediator *m, unsigned index, const struct bk_pci_bar *bar)
{
	const struct bk_device_region *info = &m->regions[index].info;
	const uint64_t page = bk__mediate_page_size();
	struct whole whole = { .size = info->size };

	if (bar->kind == BK_PCI_BAR_IO || bar->size >= page || !is_mappable(info))
		return 0;
	bk_device_areas(m->below, index, true, note_whole, &whole);
	return whole.is ? page : 0;
}

int bk__mediate_bar_build(struct bk_mediator *m, unsigned index, struct bk_pci_bar *bar, struct bk_error *err)
{
	struct bk__mediate_region *region = &m->regions[index];
	const uint64_t length = bar->page ? bar->page : bar->size;
	struct areas areas = { 0 };
	int r;

	region->size = bar->size;
	region->page = bar->page;
	bar->space = region->space = bk_space_create(m->domain, bk_device_region_name(index), length - 1);
	if (!region->space)
		return bk_fail(err, ENOMEM, "%s: %s: out of memory", m->below->name,
			       bk_device_region_name(index));
	r = bk__mediate_bottom_add(m, index, 0, length, BK__PRIORITY_HANDLED, BK_WIDTH_ALL, err);
	if (r || bar->kind == BK_PCI_BAR_IO || !is_mappable(&region->info))
		return r;
	/* All areas that could ever be mapped; hole.c covers those that cannot be now. */
	bk_device_areas(m->below, index, true, take_area, &areas);
	r = areas.failed ? -ENOMEM : map_areas(m, index, bar->page, &areas);
	free(areas.at);
	return r ? bk_fail(err, -r, "%s: %s: %s", m->below->name, bk_device_region_name(index), strerror(-r))
		 : 0;
}

int bk__mediate_hole_append(struct bk_mediator *m, unsigned region, struct bk_update *update,
			    struct bk__mediate_range *hole)
{
	struct bk_region_desc desc = {
		.name = bk_device_region_name(region),
		.first = hole->first,
		.last = hole->last,
		.priority = BK__PRIORITY_HOLE,
		.rank = hole->first,
		.kind = BK_REGION_HANDLED,
		.ops = &bk__mediate_place_ops,
		.base = hole->first,
	};

	hole->place = calloc(1, sizeof(*hole->place));
	if (!hole->place)
		return -ENOMEM;
	*hole->place = (struct bk__mediate_place){ .mediate = m, .region = region, .first = hole->first };
	desc.opaque = hole->place;
	return bk_update_add(update, m->regions[region].space, &desc, &hole->handle);
}
