/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest memory as a device in software reaches it: a space of I/O virtual addresses. */
#include "device/dma.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

enum { MAPS_MAX = 65535, PAGE = 0x1000 };

struct bk__device_dma_space {
	const char *name;
	struct bk_domain *domain;
	struct bk_space *maps, *bus;
	struct bk_region *window; /* shows `maps` in `bus` while the device is a bus master */

	pthread_mutex_t change; /* held while maps or bus mastering change */
	unsigned count;

	pthread_mutex_t lock; /* protects what follows; innermost, held briefly */
	pthread_cond_t left;
	uint64_t generation;
	unsigned current;   /* the index in `inside` for threads that enter now */
	uint64_t inside[2]; /* threads that entered before the last wait use the other */
};

struct map {
	struct bk_device_dma dma;
};

/* ---- One map ----------------------------------------------------------- */

static int map_transfer(const struct map *map, uint64_t offset, void *data, size_t count, bool write)
{
	const struct bk_device_dma *dma = &map->dma;

	if (!(dma->flags & (write ? BK_DEVICE_DMA_WRITE : BK_DEVICE_DMA_READ)))
		return -EFAULT;
	if (dma->vaddr && write)
		memcpy((uint8_t *)dma->vaddr + offset, data, count);
	else if (dma->vaddr)
		memcpy(data, (uint8_t *)dma->vaddr + offset, count);
	else if (write)
		return dma->write ? dma->write(dma->opaque, offset, data, count) : -EFAULT;
	else
		return dma->read ? dma->read(dma->opaque, offset, data, count) : -EFAULT;
	return 0;
}

static int map_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	uint8_t bytes[8];
	int error = map_transfer(opaque, offset, bytes, width, false);

	if (!error)
		*value = bk__load(bytes, width);
	return error;
}

static int map_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	uint8_t bytes[8];

	bk__store(bytes, width, value);
	return map_transfer(opaque, offset, bytes, width, true);
}

static const struct bk_region_ops map_ops = { .read = map_read, .write = map_write, .released = free };

/* ---- Creating it ------------------------------------------------------- */

static int add_window(struct bk__device_dma_space *dma)
{
	const struct bk_region_desc desc = {
		.name = "bus master",
		.last = UINT64_MAX,
		.disabled = true,
		.kind = BK_REGION_NESTED,
		.nested = dma->maps,
	};

	return bk_region_add(dma->bus, &desc, &dma->window, NULL);
}

struct bk__device_dma_space *bk__device_dma_create(const char *name)
{
	struct bk__device_dma_space *dma = calloc(1, sizeof(*dma));

	if (!dma)
		return NULL;
	dma->name = name;
	pthread_mutex_init(&dma->change, NULL);
	pthread_mutex_init(&dma->lock, NULL);
	pthread_cond_init(&dma->left, NULL);
	dma->domain = bk_domain_create();
	if (dma->domain) {
		dma->maps = bk_space_create(dma->domain, "DMA", UINT64_MAX);
		dma->bus = bk_space_create(dma->domain, "DMA of a bus master", UINT64_MAX);
	}
	if (dma->maps && dma->bus && !add_window(dma))
		return dma;
	bk__device_dma_destroy(dma);
	return NULL;
}

void bk__device_dma_destroy(struct bk__device_dma_space *dma)
{
	if (!dma)
		return;
	if (dma->bus)
		bk_space_destroy(dma->bus); /* first: it shows the other one */
	if (dma->maps)
		bk_space_destroy(dma->maps);
	if (dma->domain)
		bk_domain_destroy(dma->domain);
	pthread_cond_destroy(&dma->left);
	pthread_mutex_destroy(&dma->lock);
	pthread_mutex_destroy(&dma->change);
	free(dma);
}

struct bk_space *bk__device_dma_bus(struct bk__device_dma_space *dma)
{
	return dma->bus;
}

/* ---- Who is inside ----------------------------------------------------- */

unsigned bk__device_dma_enter(struct bk__device_dma_space *dma, uint64_t *generation)
{
	unsigned ticket;

	pthread_mutex_lock(&dma->lock);
	ticket = dma->current;
	dma->inside[ticket]++;
	if (generation)
		*generation = dma->generation;
	pthread_mutex_unlock(&dma->lock);
	return ticket;
}

void bk__device_dma_leave(struct bk__device_dma_space *dma, unsigned ticket)
{
	pthread_mutex_lock(&dma->lock);
	if (!--dma->inside[ticket] && ticket != dma->current)
		pthread_cond_broadcast(&dma->left);
	pthread_mutex_unlock(&dma->lock);
}

/* Call after a commit that changed what the device reaches. With `wait`, waits until no thread is inside
 * that may have seen the old state. */
static void changed(struct bk__device_dma_space *dma, bool wait)
{
	pthread_mutex_lock(&dma->lock);
	dma->generation++;
	if (wait) {
		const unsigned before = dma->current;

		dma->current = !before;
		while (dma->inside[before])
			pthread_cond_wait(&dma->left, &dma->lock);
	}
	pthread_mutex_unlock(&dma->lock);
}

/* ---- Changes ----------------------------------------------------------- */

/* A map that touches a range. */
struct found {
	struct bk_flat flat;
	bool any;
};

static bool find(void *opaque, const struct bk_flat *flat)
{
	struct found *found = opaque;

	found->flat = *flat;
	found->any = true;
	return false;
}

static int add(struct bk__device_dma_space *dma, const struct bk_device_dma *wanted)
{
	struct map *map = malloc(sizeof(*map));
	struct bk_region_desc desc = { .name = "guest memory",
				       .first = wanted->iova,
				       .last = wanted->iova + (wanted->size - 1),
				       .rank = wanted->iova,
				       .ops = &map_ops,
				       .opaque = map };
	int error;

	if (!map)
		return -ENOMEM;
	map->dma = *wanted;
	if (wanted->vaddr) {
		desc.kind = BK_REGION_MAPPED;
		desc.memory.host = wanted->vaddr;
		desc.memory.fd = wanted->fd;
		desc.memory.fd_offset = wanted->fd_offset;
		desc.memory.attributes = BK_MEMORY_RAM;
		if (!(wanted->flags & BK_DEVICE_DMA_WRITE))
			desc.memory.attributes |= BK_MEMORY_READONLY;
	}
	error = bk_region_add(dma->maps, &desc, NULL, NULL);
	if (error)
		free(map);
	return error;
}

/* Locked. */
static int map_locked(struct bk__device_dma_space *dma, const struct bk_device_dma *map)
{
	struct found found = { .any = false };
	int error;

	if (!map->size || map->iova + (map->size - 1) < map->iova)
		return -EINVAL;
	error = bk_space_visit(dma->maps, map->iova, map->iova + (map->size - 1), find, &found);
	if (!error && found.any)
		error = -EEXIST;
	if (!error && dma->count == MAPS_MAX)
		error = -ENOSPC;
	if (!error)
		error = add(dma, map);
	if (error)
		return error;
	dma->count++;
	changed(dma, false);
	return 0;
}

int bk__device_dma_map(struct bk__device_dma_space *dma, const struct bk_device_dma *map,
		       struct bk_error *err)
{
	int error;

	if ((map->iova | map->size) & (PAGE - 1))
		return bk_fail(err, EINVAL, "%s: DMA range 0x%" PRIx64 "+0x%" PRIx64 " is not of whole pages",
			       dma->name, map->iova, map->size);
	pthread_mutex_lock(&dma->change);
	error = map_locked(dma, map);
	pthread_mutex_unlock(&dma->change);
	if (error)
		bk_fail(err, -error, "%s: DMA range 0x%" PRIx64 "+0x%" PRIx64 " %s", dma->name, map->iova,
			map->size,
			error == -EEXIST   ? "overlaps one that is mapped; unmap that first"
			: error == -ENOSPC ? "is one too many; unmap others first"
			: error == -EINVAL ? "is empty or wraps"
					   : "cannot be kept: out of memory");
	return error;
}

/* Locked. */
static int unmap_locked(struct bk__device_dma_space *dma, uint64_t iova, uint64_t size)
{
	const uint64_t last = iova + (size - 1);
	struct found found = { .any = false };
	struct bk_update *update;
	int error = size && last >= iova ? bk_space_visit(dma->maps, iova, last, find, &found) : -ENOENT;

	if (error)
		return error;
	if (!found.any || found.flat.first != iova || found.flat.last != last)
		return -ENOENT;
	update = bk_update_begin(dma->domain);
	/* This thread has the lock, so no other removes it. */
	bk_update_remove(update, (struct bk_region *)found.flat.region);
	error = bk_update_commit(update, NULL);
	if (error)
		return error;
	dma->count--;
	changed(dma, true);
	return 0;
}

int bk__device_dma_unmap(struct bk__device_dma_space *dma, uint64_t iova, uint64_t size)
{
	int error;

	pthread_mutex_lock(&dma->change);
	error = unmap_locked(dma, iova, size);
	pthread_mutex_unlock(&dma->change);
	return error;
}

unsigned bk__device_dma_count(struct bk__device_dma_space *dma)
{
	unsigned count;

	pthread_mutex_lock(&dma->change);
	count = dma->count;
	pthread_mutex_unlock(&dma->change);
	return count;
}

int bk__device_dma_master(struct bk__device_dma_space *dma, bool on)
{
	struct bk_update *update = bk_update_begin(dma->domain);
	int error;

	bk_update_enable(update, dma->window, on);
	pthread_mutex_lock(&dma->change);
	error = bk_update_commit(update, NULL);
	if (!error)
		changed(dma, !on);
	pthread_mutex_unlock(&dma->change);
	return error;
}

/* ---- Transfers --------------------------------------------------------- */

struct transfer {
	uint64_t at; /* the next address */
	uint8_t *data;
	size_t count; /* left */
	bool write;
	int error;
};

static bool transfer_range(void *opaque, const struct bk_flat *flat)
{
	struct transfer *transfer = opaque;
	size_t count = transfer->count;
	uint64_t room;

	if (flat->first > transfer->at) {
		transfer->error = -EFAULT;
		return false;
	}
	room = flat->last - transfer->at;
	if (count - 1 > room)
		count = (size_t)room + 1;
	transfer->error =
		map_transfer(bk_region_opaque(flat->region), flat->offset + (transfer->at - flat->first),
			     transfer->data, count, transfer->write);
	transfer->at += count;
	transfer->data += count;
	transfer->count -= count;
	return !transfer->error && transfer->count;
}

static int transfer_all(struct bk__device_dma_space *dma, uint64_t iova, uint8_t *data, size_t count,
			bool write)
{
	struct transfer transfer = { .at = iova, .data = data, .count = count, .write = write };
	int error;

	if (!count)
		return 0;
	if (count - 1 > UINT64_MAX - iova)
		return -EFAULT;
	error = bk_space_visit(dma->bus, iova, iova + (count - 1), transfer_range, &transfer);
	if (!error)
		error = transfer.error;
	return !error && transfer.count ? -EFAULT : error;
}

int bk__device_dma_read(struct bk__device_dma_space *dma, uint64_t iova, void *data, size_t count)
{
	return transfer_all(dma, iova, data, count, false);
}

int bk__device_dma_write(struct bk__device_dma_space *dma, uint64_t iova, const void *data, size_t count)
{
	/* A write only reads from it. */
	return transfer_all(dma, iova, (uint8_t *)data, count, true);
}

struct place {
	uint64_t iova, count;
	bool write;
	void *host;
};

/* Runs inside the visit, since the map may be freed after it. The memory stays until the threads inside
 * leave. */
static bool place_of(void *opaque, const struct bk_flat *flat)
{
	struct place *place = opaque;
	const struct bk_device_dma *dma = &((const struct map *)bk_region_opaque(flat->region))->dma;

	if (!dma->vaddr || !(dma->flags & (place->write ? BK_DEVICE_DMA_WRITE : BK_DEVICE_DMA_READ)))
		return false;
	place->host = (uint8_t *)dma->vaddr + flat->offset + (place->iova - flat->first);
	if (place->count - 1 > flat->last - place->iova)
		place->count = flat->last - place->iova + 1;
	return false;
}

void *bk__device_dma_at(struct bk__device_dma_space *dma, uint64_t iova, uint64_t *count, bool write)
{
	struct place place = { .iova = iova, .count = *count, .write = write };

	if (!*count || bk_space_visit(dma->bus, iova, iova, place_of, &place))
		return NULL;
	*count = place.count;
	return place.host;
}
