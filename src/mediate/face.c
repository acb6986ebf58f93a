/* SPDX-License-Identifier: BSD-2-Clause */
/* The mediated device as a device: its regions are the spaces, the rest is the device below. */
#include "mediate/filter.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/struct.h"

static struct bk_mediator *of(struct bk_device *device)
{
	return (struct bk_mediator *)device; /* the first member */
}

struct visiting {
	uint64_t page, end; /* of the BAR: its space may be longer */
	bk_device_area_fn *visit;
	void *opaque;
};

/* Whole pages of the flat view that the device answers directly. A mapped range is where it is in the file.
 */
static bool visit_flat(void *opaque, const struct bk_flat *flat)
{
	const struct visiting *v = opaque;
	const uint64_t first = (flat->first + v->page - 1) & ~(v->page - 1);
	uint64_t end = (flat->last + 1) & ~(v->page - 1);

	if (!flat->memory || flat->memory->fd < 0 || first >= end)
		return true;
	end = end < v->end ? end : v->end;
	v->visit(v->opaque, &(struct bk_device_area){ .offset = first, .size = end - first });
	return true;
}

static int face_areas(struct bk_device *device, unsigned index, bool all, bk_device_area_fn *visit,
		      void *opaque)
{
	struct bk_mediator *m = of(device);
	const struct bk__mediate_region *own = index < BK__SPACES ? &m->regions[index] : NULL;
	struct visiting v = { m->page_size, own ? own->size : 0, visit, opaque };

	if (!own)
		return bk_device_areas(m->below, index, all, visit, opaque);
	if (!all && own->area_count)
		bk_space_visit(own->space, 0, own->size - 1, visit_flat, &v);
	for (size_t i = 0; all && i < own->area_count; i++) {
		const struct bk__mediate_place *area = own->areas[i];

		visit(opaque,
		      &(struct bk_device_area){ .offset = area->first,
						.size = area->size < own->size ? area->size : own->size });
	}
	return 0;
}

static void note_area(void *opaque, const struct bk_device_area *area)
{
	(void)area;
	*(bool *)opaque = true;
}

static int face_region(struct bk_device *device, unsigned index, struct bk_device_region *region)
{
	struct bk_mediator *m = of(device);
	const struct bk__mediate_region *own;
	bool mapped = false;

	if (index >= BK__SPACES)
		return bk_device_region(m->below, index, region);
	own = &m->regions[index];
	*region = own->info;
	region->size = own->size;
	if (index == BK_DEVICE_CONFIG)
		region->flags = BK_DEVICE_READ | BK_DEVICE_WRITE;
	else if (index == BK_DEVICE_ROM)
		region->flags = own->size ? BK_DEVICE_READ : 0;
	else if (own->space && !own->info.size) /* only a guest sees this BAR */
		region->flags = BK_DEVICE_READ | BK_DEVICE_WRITE;
	face_areas(device, index, false, note_area, &mapped);
	if (!mapped || !(region->flags & BK_DEVICE_MMAP)) {
		region->flags &= ~(unsigned)BK_DEVICE_MMAP;
		region->fd = -1;
		region->fd_offset = 0;
	}
	return 0;
}

static int face_watch(struct bk_device *device, const struct bk_device_watcher *watcher, void *opaque)
{
	struct bk_mediator *m = of(device);
	int r = 0;

	pthread_mutex_lock(&m->lock);
	if (watcher && m->watcher.change) {
		r = -EBUSY;
	} else if (watcher) {
		r = bk__struct_take(&m->watcher, sizeof(m->watcher), watcher);
		m->watcher_opaque = opaque;
	} else {
		memset(&m->watcher, 0, sizeof(m->watcher));
	}
	pthread_mutex_unlock(&m->lock);
	return r;
}

static int face_host_config(struct bk_device *device, void *data, size_t count)
{
	/* In filter mode config space is the device's, and what its host hides is hidden here, too. */
	return of(device)->filter ? bk_device_host_config(of(device)->below, data, count) : -EOPNOTSUPP;
}

static int face_read(struct bk_device *device, unsigned region, uint64_t offset, void *data, size_t count)
{
	struct bk_mediator *m = of(device);

	if (region >= BK__SPACES)
		return bk_device_read(m->below, region, offset, data, count);
	if (!m->regions[region].space || offset > m->regions[region].size ||
	    count > m->regions[region].size - offset)
		return -EINVAL;
	return bk_space_read_bytes(m->regions[region].space, offset, data, count);
}

static int face_write(struct bk_device *device, unsigned region, uint64_t offset, const void *data,
		      size_t count)
{
	struct bk_mediator *m = of(device);

	if (region >= BK__SPACES)
		return bk_device_write(m->below, region, offset, data, count);
	if (!m->regions[region].space || offset > m->regions[region].size ||
	    count > m->regions[region].size - offset)
		return -EINVAL;
	return bk_space_write_bytes(m->regions[region].space, offset, data, count);
}

/* The device's own would bypass the traps. */
static int face_ioeventfd(struct bk_device *device, unsigned region, uint64_t offset, unsigned width,
			  uint64_t value, int fd)
{
	return -EOPNOTSUPP;
}

static int face_doorbells(struct bk_device *device, bk_device_doorbell_fn *visit, void *opaque)
{
	return 0;
}

static int face_reset(struct bk_device *device)
{
	struct bk_mediator *m = of(device);

	return m->filter ? bk__mediate_filter_reset(m) : bk_pci_function_reset(m->function);
}

struct saying {
	void (*say)(void *opaque, const char *key, const char *value);
	void *opaque;
};

static void say_trap(void *opaque, const struct bk_trap_stats *stats)
{
	const struct saying *saying = opaque;
	char line[256];

	if (!stats->name)
		return;
	snprintf(line, sizeof(line), "%s+0x%" PRIx64 "/0x%" PRIx64 " %s",
		 bk_device_region_name(stats->region), stats->offset, stats->length, stats->name);
	saying->say(saying->opaque, "trap", line);
}

static void face_describe(struct bk_device *device,
			  void (*say)(void *opaque, const char *key, const char *value), void *opaque)
{
	struct saying saying = { say, opaque };

	bk_device_describe(of(device)->below, say, opaque);
	bk_mediator_stats(of(device), say_trap, &saying);
}

static void face_close(struct bk_device *device)
{
	bk_mediator_destroy(of(device)); /* logs why if it cannot */
}

const struct bk_device_ops bk__mediate_face_ops = {
	.region = face_region,
	.read = face_read,
	.write = face_write,
	.reset = face_reset,
	.ioeventfd = face_ioeventfd,
	.doorbells = face_doorbells,
	.areas = face_areas,
	.watch = face_watch,
	.host_config = face_host_config,
	.describe = face_describe,
	.close = face_close,
};
