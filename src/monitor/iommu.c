/* SPDX-License-Identifier: BSD-2-Clause */
/* Maps what devices may access by DMA: the guest's RAM, and BARs if asked for. Follows a space. */
#include "monitor/iommu.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/array.h"
#include "base/ratelimit.h"
#include "monitor/pages.h"

#define TRIES 5 /* while something else briefly holds pages */

struct range {
	uint64_t key; /* first address of the range in the view */
	struct bk_device_dma dma;
	bool ram;
};

/* A device and its mappings, except those that failed. */
struct client {
	struct bk_device *device;
	BK__ARRAY(uint64_t) iovas;
};

struct bk__monitor_iommu {
	struct bk_listener *listener;
	bool peer_to_peer;

	pthread_mutex_t lock; /* protects what follows; inside the commit lock, held while calling devices */
	BK__ARRAY(struct range) ranges;
	BK__ARRAY(struct client) clients;
};

static int map(struct client *client, const struct range *range, struct bk_error *err)
{
	int error;

	if (bk__array_reserve(&client->iovas, 1))
		return bk_fail(err, ENOMEM, "%s: out of memory", client->device->name);
	for (int i = 0;; i++) {
		const struct timespec pause = { .tv_nsec = 1000000L << i };

		error = bk_device_dma_map(client->device, &range->dma, err);
		if (i == TRIES || (error != -EAGAIN && error != -EBUSY && error != -EINTR))
			break;
		nanosleep(&pause, NULL);
	}
	if (!error)
		client->iovas.at[client->iovas.count++] = range->dma.iova;
	return error;
}

static void unmap(struct client *client, const struct range *range)
{
	static struct bk__ratelimit limit;

	for (size_t i = 0; i < client->iovas.count; i++) {
		if (client->iovas.at[i] == range->dma.iova) {
			const int error =
				bk_device_dma_unmap(client->device, range->dma.iova, range->dma.size);

			if (error)
				bk__log_limited(&limit, BK_LOG_ERROR, "%s: DMA to 0x%" PRIx64 " stays on: %s",
						client->device->name, range->dma.iova, strerror(-error));
			client->iovas.at[i] = client->iovas.at[--client->iovas.count];
			return;
		}
	}
}

static bool wanted(const struct bk__monitor_iommu *iommu, const struct bk_flat *flat)
{
	return flat->memory->attributes & BK_MEMORY_RAM || iommu->peer_to_peer;
}

static void on_added(void *opaque, const struct bk_flat *flat)
{
	static struct bk__ratelimit limit;
	struct bk__monitor_iommu *iommu = opaque;
	const struct bk__monitor_pages pages = bk__monitor_pages_fit(flat);
	const struct bk_memory *memory = flat->memory;
	struct range *range;

	if (!pages.size || !wanted(iommu, flat))
		return;
	pthread_mutex_lock(&iommu->lock);
	if (bk__array_reserve(&iommu->ranges, 1)) {
		pthread_mutex_unlock(&iommu->lock);
		bk__log_limited(&limit, BK_LOG_WARNING, "no DMA to 0x%" PRIx64 ": out of memory", pages.gpa);
		return;
	}
	range = &iommu->ranges.at[iommu->ranges.count++];
	*range = (struct range){ .key = flat->first, .ram = memory->attributes & BK_MEMORY_RAM };
	range->dma.iova = pages.gpa;
	range->dma.size = pages.size;
	range->dma.flags = BK_DEVICE_DMA_READ;
	if (!(memory->attributes & BK_MEMORY_READONLY))
		range->dma.flags |= BK_DEVICE_DMA_WRITE;
	range->dma.vaddr = (uint8_t *)memory->host + pages.skip;
	range->dma.fd = memory->fd;
	range->dma.fd_offset = memory->fd < 0 ? 0 : memory->fd_offset + pages.skip;
	for (size_t i = 0; i < iommu->clients.count; i++) {
		struct bk_error err;
		const int error = map(&iommu->clients.at[i], range, &err);

		if (error && error != -EOPNOTSUPP)
			bk__log_limited(&limit, BK_LOG_WARNING, "no DMA to %s at 0x%" PRIx64 ": %s",
					bk_region_name(flat->region), pages.gpa, err.text);
	}
	pthread_mutex_unlock(&iommu->lock);
}

static void on_removed(void *opaque, const struct bk_flat *flat)
{
	struct bk__monitor_iommu *iommu = opaque;

	pthread_mutex_lock(&iommu->lock);
	for (size_t i = 0; i < iommu->ranges.count; i++) {
		if (iommu->ranges.at[i].key != flat->first)
			continue;
		for (size_t j = 0; j < iommu->clients.count; j++)
			unmap(&iommu->clients.at[j], &iommu->ranges.at[i]);
		iommu->ranges.at[i] = iommu->ranges.at[--iommu->ranges.count];
		break;
	}
	pthread_mutex_unlock(&iommu->lock);
}

static const struct bk_listener_ops listener_ops = {
	.removed = on_removed,
	.added = on_added,
	.mapped_only = true,
};

int bk__monitor_iommu_create(struct bk_space *memory, bool peer_to_peer, struct bk__monitor_iommu **out,
			     struct bk_error *err)
{
	struct bk__monitor_iommu *iommu = calloc(1, sizeof(*iommu));
	int error;

	if (!iommu)
		return bk_fail(err, ENOMEM, "DMA: out of memory");
	iommu->peer_to_peer = peer_to_peer;
	pthread_mutex_init(&iommu->lock, NULL);
	error = bk_listener_add(memory, &listener_ops, iommu, &iommu->listener);
	if (error) {
		pthread_mutex_destroy(&iommu->lock);
		free(iommu);
		return bk_fail(err, -error, "DMA: %s", strerror(-error));
	}
	*out = iommu;
	return 0;
}

void bk__monitor_iommu_destroy(struct bk__monitor_iommu *iommu)
{
	if (!iommu)
		return;
	bk_listener_remove(iommu->listener);
	pthread_mutex_destroy(&iommu->lock);
	free(iommu->ranges.at);
	free(iommu->clients.at);
	free(iommu);
}

static void forget(struct bk__monitor_iommu *iommu, struct client *client)
{
	for (size_t i = 0; i < iommu->ranges.count; i++)
		unmap(client, &iommu->ranges.at[i]);
	free(client->iovas.at);
	*client = iommu->clients.at[--iommu->clients.count];
}

int bk__monitor_iommu_add(struct bk__monitor_iommu *iommu, struct bk_device *device, struct bk_error *err)
{
	struct client *client;
	int error = 0;

	pthread_mutex_lock(&iommu->lock);
	if (bk__array_reserve(&iommu->clients, 1)) {
		pthread_mutex_unlock(&iommu->lock);
		return bk_fail(err, ENOMEM, "%s: out of memory", device->name);
	}
	client = &iommu->clients.at[iommu->clients.count++];
	*client = (struct client){ .device = device };
	for (size_t i = 0; i < iommu->ranges.count && !error; i++) {
		error = map(client, &iommu->ranges.at[i], err);
		if (error == -EOPNOTSUPP ||
		    !iommu->ranges.at[i].ram) /* a device without DMA, or a BAR out of peers' reach */
			error = 0;
	}
	if (error)
		forget(iommu, client);
	pthread_mutex_unlock(&iommu->lock);
	return error;
}

void bk__monitor_iommu_remove(struct bk__monitor_iommu *iommu, struct bk_device *device)
{
	pthread_mutex_lock(&iommu->lock);
	for (size_t i = 0; i < iommu->clients.count; i++) {
		if (iommu->clients.at[i].device == device) {
			forget(iommu, &iommu->clients.at[i]);
			break;
		}
	}
	pthread_mutex_unlock(&iommu->lock);
}
