/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client's memory, for the device's DMA.
 *
 * Memory with a file is mapped here and handed to the device; with hardware the IOMMU pins it, and no code
 * touches it. Memory without a file is reached by messages, which only devices in software can do: for others
 * such a map is noted, and nothing more.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ratelimit.h"
#include "serve/session.h"

/* ---- The list ---------------------------------------------------------- */

static int ends_before(const void *element, const void *iova)
{
	const struct bk__serve_map *map = *(struct bk__serve_map *const *)element;

	return map->iova + (map->size - 1) < *(const uint64_t *)iova;
}

/* The first that ends at or behind `iova`. */
static size_t place_of(const struct bk__serve_session *session, uint64_t iova)
{
	return bk__array_search(session->maps.at, session->maps.count, sizeof(*session->maps.at), &iova,
				ends_before);
}

static void count_maps(struct bk__serve_session *session)
{
	atomic_store_explicit(&session->serve->maps, session->maps.count, memory_order_relaxed);
	atomic_store_explicit(&session->serve->memory, session->memory, memory_order_relaxed);
}

static int insert(struct bk__serve_session *session, struct bk__serve_map *map, size_t at)
{
	if (bk__array_reserve(&session->maps, 1))
		return -ENOMEM;
	bk__array_insert(&session->maps, at, map);
	session->memory += map->size;
	count_maps(session);
	return 0;
}

/* ---- Memory that is not mapped here ------------------------------------ */

static int read_message(void *opaque, uint64_t offset, void *data, size_t count)
{
	const struct bk__serve_map *map = opaque;

	return bk__serve_channel_dma(&map->session->channel, map->iova + offset, data, count, false);
}

static int write_message(void *opaque, uint64_t offset, const void *data, size_t count)
{
	const struct bk__serve_map *map = opaque;

	return bk__serve_channel_dma(&map->session->channel, map->iova + offset, (void *)(uintptr_t)data,
				     count, true);
}

static int read_file(void *opaque, uint64_t offset, void *data, size_t count)
{
	const struct bk__serve_map *map = opaque;
	uint8_t *bytes = data;

	while (count) {
		const ssize_t n = pread(map->file->fd, bytes, count, (off_t)(map->offset + offset));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EFAULT;
		bytes += n;
		offset += (uint64_t)n;
		count -= (size_t)n;
	}
	return 0;
}

static int write_file(void *opaque, uint64_t offset, const void *data, size_t count)
{
	const struct bk__serve_map *map = opaque;
	const uint8_t *bytes = data;

	while (count) {
		const ssize_t n = pwrite(map->file->fd, bytes, count, (off_t)(map->offset + offset));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EFAULT;
		bytes += n;
		offset += (uint64_t)n;
		count -= (size_t)n;
	}
	return 0;
}

/* ---- Mapping ----------------------------------------------------------- */

/* Tells the device. It may have no DMA, or none of this kind. */
static int give(struct bk__serve_session *session, struct bk__serve_map *map, uint32_t flags,
		struct bk_error *err)
{
	struct bk_device_dma dma = { .iova = map->iova, .size = map->size, .fd = -1, .opaque = map };
	int error;

	dma.flags = (flags & BK__WIRE_MAP_READ ? BK_DEVICE_DMA_READ : 0) |
		    (flags & BK__WIRE_MAP_WRITE ? BK_DEVICE_DMA_WRITE : 0);
	if (map->file && !map->file_io) {
		dma.vaddr = map->file->base + map->offset;
		dma.fd = map->file->fd;
		dma.fd_offset = map->offset;
	} else if (map->file) {
		dma.read = read_file;
		dma.write = write_file;
	} else {
		dma.read = read_message;
		dma.write = write_message;
	}
	err->text[0] = 0;
	error = bk_device_dma_map(session->device, &dma, err);
	map->given = !error;
	if (error == -EOPNOTSUPP || (error == -EINVAL && !dma.vaddr))
		return 0;
	if (error && !err->text[0])
		bk_fail(err, -error, "%s", strerror(-error));
	return error;
}

static int check(const struct bk__serve_session *session, const struct bk__wire_dma_map *request, size_t at,
		 struct bk_error *err)
{
	const uint64_t last = request->address + (request->size - 1);

	if (at < session->maps.count && session->maps.at[at]->iova <= last)
		return bk_fail(err, EEXIST, "DMA_MAP: something is mapped at 0x%" PRIx64 " already",
			       session->maps.at[at]->iova);
	if (session->maps.count >= session->maps_most)
		return bk_fail(err, ENOSPC, "DMA_MAP: more than %u maps", session->maps_most);
	if (session->config->memory && request->size > session->config->memory - session->memory)
		return bk_fail(err, ENOMEM, "DMA_MAP: more than %" PRIu64 " bytes", session->config->memory);
	if (request->address % BK__WIRE_PAGE || request->size % BK__WIRE_PAGE)
		return bk_fail(err, EINVAL, "DMA_MAP: 0x%" PRIx64 " and 0x%" PRIx64 " bytes: not whole pages",
			       request->address, request->size);
	return 0;
}

static void free_map(struct bk__serve_session *session, struct bk__serve_map *map)
{
	if (map->file)
		bk__serve_file_put(session->files, map->file);
	free(map);
}

static int add(struct bk__serve_session *session, const struct bk__wire_dma_map *request, int fd, size_t at,
	       struct bk_error *err)
{
	struct bk__serve_map *map = calloc(1, sizeof(*map));
	int error;

	if (!map) {
		if (fd >= 0)
			close(fd);
		return bk_fail(err, ENOMEM, "out of memory");
	}
	*map = (struct bk__serve_map){
		.session = session,
		.iova = request->address,
		.size = request->size,
		.offset = request->offset,
		.file_io = request->flags & BK__WIRE_MAP_FILE_IO,
	};
	error = fd < 0 ? 0
		       : bk__serve_file_get(session->files, fd, map->offset, map->size,
					    request->flags & BK__WIRE_MAP_WRITE, !map->file_io, &map->file,
					    err);
	if (!error)
		error = give(session, map, request->flags, err);
	if (!error) {
		error = insert(session, map, at);
		if (error && map->given)
			bk_device_dma_unmap(session->device, map->iova, map->size);
	}
	if (error)
		free_map(session, map);
	return error;
}

int bk__serve_dma_map(struct bk__serve_session *session, struct bk__wire_message *message,
		      const struct bk__wire_request *request)
{
	const struct bk__wire_dma_map *map = &request->map;
	const size_t at = place_of(session, map->address);
	struct bk_error err = { { 0 } };
	int error = check(session, map, at, &err);

	if (!error)
		error = add(session, map, bk__wire_take_fd(message, 0), at, &err);
	return error ? bk__serve_refuse(session, message, error, err.text)
		     : bk__serve_reply(session, message, 0, NULL, 0);
}

/* ---- Unmapping --------------------------------------------------------- */

/* What the device refuses to give up stays, and so does the map: the device may use the memory still.
 * -ENOENT: it does not know the memory any more. */
static int take(struct bk__serve_session *session, struct bk__serve_map *map)
{
	static struct bk__ratelimit limit;
	const int error = map->given ? bk_device_dma_unmap(session->device, map->iova, map->size) : 0;

	if (error && error != -ENOENT) {
		bk__log_limited(&limit, BK_LOG_ERROR, "%s: DMA to 0x%" PRIx64 " stays on: %s",
				session->config->name, map->iova, strerror(-error));
		return error;
	}
	session->memory -= map->size;
	free_map(session, map);
	return 0;
}

int bk__serve_unmap_all(struct bk__serve_session *session)
{
	size_t kept = 0;
	int error = 0;

	for (size_t i = 0; i < session->maps.count; i++) {
		const int refused = take(session, session->maps.at[i]);

		if (refused)
			session->maps.at[kept++] = session->maps.at[i];
		if (!error)
			error = refused;
	}
	session->maps.count = kept;
	count_maps(session);
	return error;
}

static int unmap(struct bk__serve_session *session, const struct bk__wire_dma_unmap *request)
{
	const size_t at = place_of(session, request->address);
	int error;

	if (request->flags & BK__WIRE_UNMAP_BITMAP)
		return -ENOTSUP; /* no dirty pages are tracked */
	if (request->flags & BK__WIRE_UNMAP_ALL)
		return bk__serve_unmap_all(session);
	if (at == session->maps.count || session->maps.at[at]->iova != request->address ||
	    session->maps.at[at]->size != request->size)
		return -EINVAL;
	error = take(session, session->maps.at[at]);
	if (error)
		return error;
	bk__array_remove(&session->maps, at);
	count_maps(session);
	return 0;
}

int bk__serve_dma_unmap(struct bk__serve_session *session, struct bk__wire_message *message,
			const struct bk__wire_request *request)
{
	const int error = unmap(session, &request->unmap);

	if (error)
		return bk__serve_refuse(session, message, error, NULL);
	memcpy(BK__SERVE_PAYLOAD(session), &request->unmap, sizeof(request->unmap));
	return bk__serve_reply(session, message, sizeof(request->unmap), NULL, 0);
}
