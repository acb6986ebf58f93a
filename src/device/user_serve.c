/* SPDX-License-Identifier: BSD-2-Clause */
/* Serves the server's own requests: reads and writes of the client's memory. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "device/user.h"

enum { AT_ONCE = 64 }; /* commands, since other threads want the lock, too */

/* The map that holds all of the range, with these flags; NULL. Under `using`. */
static const struct bk_device_dma *find(struct bk__user_device *user, uint64_t address, uint64_t count,
					unsigned flag)
{
	const struct bk__device_dma_map *map = bk__device_dma_table_at(&user->maps, address);

	return map && count <= map->dma.size - (address - map->dma.iova) && map->dma.flags & flag ? &map->dma
												  : NULL;
}

static int read_memory(struct bk__user_device *user, uint64_t address, void *data, size_t count)
{
	const struct bk_device_dma *dma;
	int r = -EFAULT;

	pthread_rwlock_rdlock(&user->using);
	dma = find(user, address, count, BK_DEVICE_DMA_READ);
	if (dma && dma->vaddr) {
		memcpy(data, (const uint8_t *)dma->vaddr + (address - dma->iova), count);
		r = 0;
	} else if (dma && dma->read) {
		r = dma->read(dma->opaque, address - dma->iova, data, count);
	}
	pthread_rwlock_unlock(&user->using);
	return r;
}

static int write_memory(struct bk__user_device *user, uint64_t address, const void *data, size_t count)
{
	const struct bk_device_dma *dma;
	int r = -EFAULT;

	pthread_rwlock_rdlock(&user->using);
	dma = find(user, address, count, BK_DEVICE_DMA_WRITE);
	if (dma && dma->vaddr) {
		memcpy((uint8_t *)dma->vaddr + (address - dma->iova), data, count);
		r = 0;
	} else if (dma && dma->write) {
		r = dma->write(dma->opaque, address - dma->iova, data, count);
	}
	pthread_rwlock_unlock(&user->using);
	return r;
}

/* Replies to a command: with an error, or with the access and its data. */
static int reply(int fd, const struct bk__wire_message *to, int error,
		 const struct bk__wire_dma_access *access, const void *data, size_t size)
{
	struct bk__wire_header header = { .id = to->header.id, .command = to->header.command };
	struct iovec parts[] = {
		{ &header, sizeof(header) },
		{ (void *)access, sizeof(*access) },
		{ (void *)data, size },
	};

	if (to->header.flags & BK__WIRE_NO_REPLY)
		return 0;
	header.flags = BK__WIRE_REPLY | (error ? BK__WIRE_ERROR : 0);
	header.error = (uint32_t)-error;
	header.size = (uint32_t)(sizeof(header) + (error ? 0 : sizeof(*access) + size));
	return bk__wire_send(fd, parts, error ? 1 : size ? 3 : 2, NULL, 0);
}

int bk__user_serve(struct bk__user_device *user, int fd, struct bk__wire_message *message, uint64_t most)
{
	const struct bk__wire_limits limits = { .data = most, .minor = BK__WIRE_MINOR };
	struct bk__wire_request request = { 0 };
	void *data = NULL;
	int r;

	bk__wire_drop_fds(message);
	if ((message->header.flags & BK__WIRE_TYPE) != BK__WIRE_COMMAND)
		return 0; /* a reply that no thread waits for any more */
	if (message->header.command != BK__WIRE_DMA_READ && message->header.command != BK__WIRE_DMA_WRITE)
		return reply(fd, message, -ENOTSUP, NULL, NULL, 0);
	r = bk__wire_check(message, &limits, &request, NULL);
	if (r)
		return reply(fd, message, r, NULL, NULL, 0);
	if (message->header.command == BK__WIRE_DMA_WRITE) {
		r = write_memory(user, request.dma.address, request.data, request.dma.count);
		return reply(fd, message, r, &request.dma, NULL, 0);
	}
	data = malloc(request.dma.count);
	r = data ? read_memory(user, request.dma.address, data, request.dma.count) : -ENOMEM;
	r = reply(fd, message, r, &request.dma, data, request.dma.count);
	free(data);
	return r;
}

bool bk__user_attend(struct bk__user_device *user, int fd, struct bk__wire_stream *stream, uint64_t most)
{
	struct bk__wire_message message;
	unsigned left = AT_ONCE;
	int r;

	do {
		r = bk__wire_receive(stream, &message, MSG_DONTWAIT);
		if (!r)
			r = bk__user_serve(user, fd, &message, most);
		left -= left > 0;
	} while ((!r && (left || bk__wire_ready(stream))) || r == -EINTR);
	return !r || r == -EAGAIN;
}
