/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest memory, as the client describes it to the server. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "device/user.h"

/* Under `lock`. */
static int ask(struct bk__user_device *user, struct bk__user_link *link, const struct bk_device_dma *dma)
{
	const struct bk__wire_dma_map map = {
		.argsz = sizeof(map),
		.flags = (dma->flags & BK_DEVICE_DMA_READ ? BK__WIRE_MAP_READ : 0u) |
			 (dma->flags & BK_DEVICE_DMA_WRITE ? BK__WIRE_MAP_WRITE : 0u),
		.offset = dma->fd >= 0 ? dma->fd_offset : 0,
		.address = dma->iova,
		.size = dma->size,
	};
	struct bk__user_request request = {
		.command = BK__WIRE_DMA_MAP,
		.fixed = &map,
		.fixed_size = sizeof(map),
		.fds = &dma->fd,
		.fd_count = dma->fd >= 0,
	};

	return bk__user_call(user, link, &request);
}

static int ask_end(struct bk__user_device *user, struct bk__user_link *link, uint64_t iova, uint64_t size)
{
	struct bk__wire_dma_unmap unmap = { .argsz = sizeof(unmap), .address = iova, .size = size };
	const struct bk__wire_dma_unmap question = unmap;
	struct bk__user_request request = {
		.command = BK__WIRE_DMA_UNMAP,
		.fixed = &question,
		.fixed_size = sizeof(question),
		.answer = &unmap, /* only some servers send it back */
		.room = sizeof(unmap),
	};

	return bk__user_call(user, link, &request);
}

/* Keeps the file for a server that comes back: the caller may have closed its own by then. */
static int add(struct bk__user_device *user, const struct bk_device_dma *dma)
{
	struct bk_device_dma kept = *dma;
	int r;

	if (user->reconnect && dma->fd >= 0) {
		kept.fd = fcntl(dma->fd, F_DUPFD_CLOEXEC, 0);
		if (kept.fd < 0)
			return -errno;
	}
	pthread_rwlock_wrlock(&user->using);
	r = bk__device_dma_table_add(&user->maps, &kept);
	pthread_rwlock_unlock(&user->using);
	if (r && kept.fd != dma->fd)
		close(kept.fd);
	return r;
}

/* Waits for the transfers that use the map. */
static int take_off(struct bk__user_device *user, uint64_t iova, uint64_t size)
{
	struct bk__device_dma_map *map;
	int fd = -1;

	pthread_rwlock_wrlock(&user->using);
	map = bk__device_dma_table_find(&user->maps, iova, size);
	if (map) {
		fd = map->dma.fd;
		bk__device_dma_table_remove(&user->maps, map);
	}
	pthread_rwlock_unlock(&user->using);
	if (user->reconnect && fd >= 0)
		close(fd);
	return map ? 0 : -ENOENT;
}

void bk__user_dma_forget(struct bk__user_device *user)
{
	while (user->maps.maps.count) {
		const struct bk_device_dma *dma = &user->maps.maps.at[user->maps.maps.count - 1].dma;

		take_off(user, dma->iova, dma->size);
	}
	bk__device_dma_table_free(&user->maps);
}

int bk__user_dma_map(struct bk__user_device *user, const struct bk_device_dma *dma, struct bk_error *err)
{
	int r = add(user, dma);

	if (!r) {
		pthread_mutex_lock(&user->lock);
		r = user->link.broken ? -EIO : ask(user, &user->link, dma);
		if (user->link.broken && user->reconnect)
			r = 0; /* the server gets it when it is back */
		pthread_mutex_unlock(&user->lock);
		if (r)
			take_off(user, dma->iova, dma->size);
	}
	return r ? bk_fail(err, -r, "%s: DMA of 0x%" PRIx64 " bytes at 0x%" PRIx64 ": %s", user->device.name,
			   dma->size, dma->iova, strerror(-r))
		 : 0;
}

/* A server that refuses still has a file's pages, but cannot reach them by messages. */
int bk__user_dma_unmap(struct bk__user_device *user, uint64_t iova, uint64_t size)
{
	int r = 0;

	if (!bk__device_dma_table_find(&user->maps, iova, size))
		return -ENOENT;
	pthread_mutex_lock(&user->lock);
	if (!user->link.broken)
		r = ask_end(user, &user->link, iova, size);
	if (user->link.broken)
		r = 0; /* a server that has gone uses no memory */
	pthread_mutex_unlock(&user->lock);
	take_off(user, iova, size);
	return r;
}

int bk__user_dma_again(struct bk__user_device *user, struct bk__user_link *link)
{
	int r = 0;

	for (size_t i = 0; i < user->maps.maps.count && !r; i++)
		r = ask(user, link, &user->maps.maps.at[i].dma);
	return r;
}
