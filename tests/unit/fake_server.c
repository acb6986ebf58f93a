/* SPDX-License-Identifier: BSD-2-Clause */
#include "fake_server.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "wire/version.h"

static void answer(int fd, const struct bk__wire_header *to, const void *a, size_t a_size, const void *b,
		   size_t b_size, const int *fds, unsigned count)
{
	struct bk__wire_header header = *to;
	const struct iovec parts[] = {
		{ &header, sizeof(header) },
		{ (void *)a, a_size },
		{ (void *)b, b_size },
	};

	if (to->flags & BK__WIRE_NO_REPLY)
		return;
	header.flags = BK__WIRE_REPLY;
	header.error = 0;
	header.size = (uint32_t)(sizeof(header) + a_size + b_size);
	bk__wire_send(fd, parts, b_size ? 3 : a_size ? 2 : 1, fds, count);
}

static void refuse(int fd, const struct bk__wire_header *to, int error)
{
	struct bk__wire_header header = *to;
	const struct iovec part = { &header, sizeof(header) };

	header.flags = BK__WIRE_REPLY | BK__WIRE_ERROR;
	header.error = (uint32_t)error;
	header.size = sizeof(header);
	bk__wire_send(fd, &part, 1, NULL, 0);
}

/* Reads exactly that much; false at the end. */
static bool take(int fd, void *data, size_t count)
{
	for (size_t done = 0; done < count;) {
		ssize_t n = read(fd, (uint8_t *)data + done, count - done);

		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

static int dma(int fd, unsigned command, uint64_t address, void *data, uint32_t count)
{
	const bool writes = command == BK__WIRE_DMA_WRITE;
	struct bk__wire_dma_access access = { .address = address, .count = count };
	struct bk__wire_header header = {
		.id = 0x7777,
		.command = (uint16_t)command,
		.size = (uint32_t)(sizeof(header) + sizeof(access) + (writes ? count : 0)),
	};
	const struct iovec parts[] = {
		{ &header, sizeof(header) },
		{ &access, sizeof(access) },
		{ data, count },
	};

	if (bk__wire_send(fd, parts, writes ? 3 : 2, NULL, 0) || !take(fd, &header, sizeof(header)))
		return EPIPE;
	assert(header.id == 0x7777 && header.command == command);
	if (header.flags & BK__WIRE_ERROR)
		return (int)header.error;
	assert(take(fd, &access, sizeof(access)));
	if (!writes)
		assert(take(fd, data, count));
	return 0;
}

int fake_dma_read(struct fake_server *server, int fd, uint64_t address, void *data, uint32_t count)
{
	(void)server;
	return dma(fd, BK__WIRE_DMA_READ, address, data, count);
}

int fake_dma_write(struct fake_server *server, int fd, uint64_t address, const void *data, uint32_t count)
{
	(void)server;
	return dma(fd, BK__WIRE_DMA_WRITE, address, (void *)data, count);
}

/* ---- Commands ------------------------------------------------------------ */

static void version(struct fake_server *server, const struct bk__wire_message *message)
{
	struct bk__wire_version version = { 0 };
	uint8_t text[1024];
	int ends[2] = { -1, -1 }, size;
	struct bk_error err;

	assert(!bk__wire_version_take(message->payload, message->size, &version, &err));
	version.fds = server->max_fds;
	version.data = server->max_data;
	version.twin = version.twin && server->twin_socket;
	version.has = BK__WIRE_HAS_FDS | BK__WIRE_HAS_DATA | (version.twin ? (unsigned)BK__WIRE_HAS_TWIN : 0);
	version.twin_index = 0;
	if (server->fault == FAKE_MAJOR)
		version.major = 1;
	if (server->fault == FAKE_MINOR)
		version.minor++;
	size = bk__wire_version_put(text, sizeof(text), &version, true);
	if (server->fault == FAKE_TEXT)
		memset(text + 4, 'x', 10);
	if (version.twin)
		assert(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	answer(server->fd, &message->header, text, (size_t)size, NULL, 0, ends, version.twin);
	if (version.twin) {
		close(ends[0]);
		server->twin = ends[1];
	}
}

static void region_info(struct fake_server *server, const struct bk__wire_message *message)
{
	static const uint64_t sizes[] = { FAKE_BAR0, 0, FAKE_BAR2, 0, 0, 0, 0, 256, 0 };
	struct bk__wire_area area = { 0x1000, FAKE_BAR0 - 0x1000 };
	struct bk__wire_region_info info;
	uint8_t payload[256];
	uint32_t room, fd_count;
	size_t size;

	memcpy(&info, message->payload, sizeof(info));
	room = info.argsz;
	if (info.index >= 9) {
		refuse(server->fd, &message->header, EINVAL);
		return;
	}
	info.size = sizes[info.index];
	info.flags = info.size ? BK__WIRE_REGION_READS | BK__WIRE_REGION_WRITES : 0;
	fd_count = info.index == 0 && !server->no_maps;
	if (fd_count)
		info.flags |= BK__WIRE_REGION_MMAPS;
	if (server->fault == FAKE_AREA)
		area.size++;
	size = bk__wire_region_info_put(payload, room < sizeof(payload) ? room : sizeof(payload), &info,
					&area, fd_count);
	if (server->fault == FAKE_CAP && size > 40) {
		info.cap_offset = 250;
		memcpy(payload, &info, sizeof(info));
	}
	if (server->fault == FAKE_LONG_INFO)
		size += 8;
	if (server->fault == FAKE_NO_FD)
		fd_count = 0;
	answer(server->fd, &message->header, payload, size, NULL, 0, &server->memory, fd_count);
}

static void irq_info(struct fake_server *server, const struct bk__wire_message *message)
{
	struct bk__wire_irq_info info;

	memcpy(&info, message->payload, sizeof(info));
	info.flags =
		BK__WIRE_IRQ_EVENTFD | (info.index ? 0u : BK__WIRE_IRQ_MASKABLE | BK__WIRE_IRQ_AUTOMASKED);
	info.count = info.index == 0 ? 1 : info.index == 2 ? server->msix_count : 0;
	if (server->fault == FAKE_VECTORS)
		info.count = 0x10000;
	answer(server->fd, &message->header, &info, sizeof(info), NULL, 0, NULL, 0);
}

static void set_irqs(struct fake_server *server, struct bk__wire_message *message)
{
	struct bk__wire_set_irqs set;

	memcpy(&set, message->payload, sizeof(set));
	if (message->fd_count > server->most_fds)
		server->most_fds = message->fd_count;
	if (set.flags == (BK__WIRE_IRQ_FDS | BK__WIRE_IRQ_TRIGGER))
		for (unsigned i = 0; i < set.count; i++) {
			int *at = &server->irqs[set.index][set.start + i];

			if (*at >= 0)
				close(*at);
			*at = message->fd_count ? bk__wire_take_fd(message, i) : -1;
		}
	if (set.flags == (BK__WIRE_IRQ_FDS | BK__WIRE_IRQ_UNMASK)) {
		if (server->unmask >= 0)
			close(server->unmask);
		server->unmask = message->fd_count ? bk__wire_take_fd(message, 0) : -1;
	}
	if (set.flags == (BK__WIRE_IRQ_NONE | BK__WIRE_IRQ_TRIGGER))
		for (unsigned i = 0; i < (set.count ? set.count : 64); i++) {
			int *at = &server->irqs[set.index][set.start + i];
			const uint64_t one = 1;

			if (*at >= 0 && set.count)
				assert(write(*at, &one, 8) == 8);
			if (*at >= 0 && !set.count) {
				close(*at);
				*at = -1;
			}
		}
	answer(server->fd, &message->header, NULL, 0, NULL, 0, NULL, 0);
}

static void map(struct fake_server *server, const struct bk__wire_message *message)
{
	struct bk__wire_dma_map map;

	memcpy(&map, message->payload, sizeof(map));
	server->maps[server->map_count].address = map.address;
	server->maps[server->map_count].size = map.size;
	server->maps[server->map_count++].fd = message->fd_count == 1;
	answer(server->fd, &message->header, NULL, 0, NULL, 0, NULL, 0);
}

static void unmap(struct fake_server *server, const struct bk__wire_message *message)
{
	struct bk__wire_dma_unmap unmap;

	memcpy(&unmap, message->payload, sizeof(unmap));
	for (unsigned i = 0; i < server->map_count; i++)
		if (server->maps[i].address == unmap.address && server->maps[i].size == unmap.size)
			server->maps[i] = server->maps[--server->map_count];
	answer(server->fd, &message->header, &unmap, sizeof(unmap), NULL, 0, NULL, 0);
}

static uint8_t *find(struct fake_server *server, unsigned region)
{
	return region == 0 ? server->bar0 : region == 2 ? server->bar2 : server->config;
}

static void read_region(struct fake_server *server, const struct bk__wire_message *message)
{
	struct bk__wire_header header = message->header;
	struct bk__wire_region_access access;
	uint32_t size;
	uint64_t address = atomic_exchange(&server->dma_address, 0);

	memcpy(&access, message->payload, sizeof(access));
	if (address)
		fake_dma_read(server, server->fd, address, &server->dma_value, 4);
	size = access.count;
	if (server->fault == FAKE_READ_ERROR) {
		refuse(server->fd, &header, EACCES);
		return;
	}
	if (server->fault == FAKE_READ_SHORT)
		size--;
	if (server->fault == FAKE_READ_LONG)
		size += 4;
	if (server->fault == FAKE_READ_OTHER)
		header.command = BK__WIRE_REGION_WRITE;
	answer(server->fd, &header, &access, sizeof(access), find(server, access.region) + access.offset,
	       size, (const int[]){ server->memory, server->memory }, server->fault == FAKE_READ_FDS ? 2 : 0);
}

static void write_region(struct fake_server *server, const struct bk__wire_message *message)
{
	struct bk__wire_region_access access;

	memcpy(&access, message->payload, sizeof(access));
	memcpy(find(server, access.region) + access.offset, message->payload + sizeof(access), access.count);
	server->posted += !!(message->header.flags & BK__WIRE_NO_REPLY);
	answer(server->fd, &message->header, &access, sizeof(access), NULL, 0, NULL, 0);
}

/* Asks for the capabilities that the first answer had no room for. */
static bool is_second(const struct bk__wire_message *message)
{
	struct bk__wire_region_info info;

	memcpy(&info, message->payload, sizeof(info));
	return info.argsz > sizeof(info);
}

/* False: hang up. */
static void io_fds(struct fake_server *server, struct bk__wire_message *message)
{
	const int fds[] = { server->memory, eventfd(0, EFD_CLOEXEC) };
	const struct bk__wire_io_fd entries[] = {
		{ .offset = 0x40, .size = 4, .fd_index = 0 }, /* a file that is none */
		{ .offset = 0x44, .size = 4, .fd_index = 2 },
		{ .offset = 0x48, .size = 4, .fd_index = 0xffffffff },
		{ .offset = 0x4c, .size = 4, .fd_index = 1, .type = BK__WIRE_IOREGIONFD },
		{ .offset = 0x50, .size = 3, .fd_index = 1 },
		{ .offset = FAKE_BAR0 - 2, .size = 4, .fd_index = 1 },
		{ .offset = UINT64_MAX, .size = 4, .fd_index = 1 },
		{ .offset = 0x60, .size = 4, .fd_index = 1 }, /* nothing is wrong with it */
		{ .offset = 0x64,
		  .size = 4,
		  .fd_index = 1,
		  .flags = BK__WIRE_IOEVENTFD_DATAMATCH,
		  .datamatch = 7 },
	};
	const struct bk__wire_io_fds reply = { .argsz = sizeof(reply) + sizeof(entries),
					       .count = sizeof(entries) / sizeof(entries[0]) };
	struct bk__wire_io_fds question;

	memcpy(&question, message->payload, sizeof(question));
	if (server->fault == FAKE_IO_FDS && !question.index)
		answer(server->fd, &message->header, &reply, sizeof(reply), entries, sizeof(entries), fds, 2);
	else
		refuse(server->fd, &message->header, ENOTSUP);
	close(fds[1]);
}

static bool handle(struct fake_server *server, struct bk__wire_message *message)
{
	const struct bk__wire_device_info info = {
		.argsz = sizeof(info),
		.flags = BK__WIRE_DEVICE_RESETS |
			 (server->fault == FAKE_NO_PCI ? 0u : (unsigned)BK__WIRE_DEVICE_PCI),
		.regions = 9,
		.irqs = 5,
	};

	switch (message->header.command) {
	case BK__WIRE_VERSION:
		if (server->fault == FAKE_NO_VERSION)
			return false;
		version(server, message);
		break;
	case BK__WIRE_DEVICE_INFO:
		if (server->fault == FAKE_HANG_UP)
			return false;
		if (server->fault == FAKE_HUGE) {
			const struct bk__wire_header huge = { .id = message->header.id,
							      .command = BK__WIRE_DEVICE_INFO,
							      .size = 0xffffffff,
							      .flags = BK__WIRE_REPLY };

			return write(server->fd, &huge, sizeof(huge)) == sizeof(huge);
		}
		answer(server->fd, &message->header, &info,
		       sizeof(info) - (server->fault == FAKE_SHORT_INFO ? 4 : 0), NULL, 0, NULL, 0);
		break;
	case BK__WIRE_REGION_INFO:
		if (server->fault == FAKE_NO_REGION && is_second(message))
			return false;
		region_info(server, message);
		break;
	case BK__WIRE_REGION_IO_FDS:
		if (server->fault == FAKE_IO_FDS_HANG_UP)
			return false;
		io_fds(server, message);
		break;
	case BK__WIRE_IRQ_INFO:
		irq_info(server, message);
		break;
	case BK__WIRE_SET_IRQS:
		set_irqs(server, message);
		break;
	case BK__WIRE_DMA_MAP:
		map(server, message);
		break;
	case BK__WIRE_DMA_UNMAP:
		if (server->keeps_maps)
			refuse(server->fd, &message->header, EBUSY);
		else
			unmap(server, message);
		break;
	case BK__WIRE_REGION_READ:
		read_region(server, message);
		break;
	case BK__WIRE_REGION_WRITE:
		write_region(server, message);
		break;
	case BK__WIRE_RESET:
		server->resets++;
		answer(server->fd, &message->header, NULL, 0, NULL, 0, NULL, 0);
		break;
	default:
		refuse(server->fd, &message->header, ENOTSUP);
	}
	return true;
}

static void forget(struct fake_server *server)
{
	pthread_mutex_lock(&server->lock);
	for (unsigned i = 0; i < 5; i++)
		for (unsigned j = 0; j < 64; j++) {
			if (server->irqs[i][j] >= 0)
				close(server->irqs[i][j]);
			server->irqs[i][j] = -1;
		}
	if (server->unmask >= 0)
		close(server->unmask);
	if (server->twin >= 0)
		close(server->twin);
	server->unmask = server->twin = -1;
	server->map_count = 0;
	server->fd = -1;
	pthread_cond_broadcast(&server->changed);
	pthread_mutex_unlock(&server->lock);
}

static void serve(struct fake_server *server)
{
	struct bk__wire_stream stream;
	struct bk__wire_message message;

	assert(!bk__wire_stream_open(&stream, server->fd, BK__WIRE_MESSAGE));
	while (!bk__wire_receive(&stream, &message, 0)) {
		void (*after)(struct fake_server * server, void *opaque);
		bool ok;

		pthread_mutex_lock(&server->lock); /* with the answer: who has it sees what was done */
		after = server->after;
		server->messages++;
		ok = handle(server, &message);
		pthread_mutex_unlock(&server->lock);

		bk__wire_drop_fds(&message);
		if (after)
			after(server, server->opaque);
		pthread_mutex_lock(&server->lock);
		if (after)
			server->after = NULL;
		pthread_cond_broadcast(&server->changed);
		pthread_mutex_unlock(&server->lock);
		if (!ok)
			break;
	}
	bk__wire_stream_close(&stream);
}

static void *run(void *opaque)
{
	struct fake_server *server = opaque;

	for (;;) {
		int fd = accept(server->listener, NULL, NULL);

		if (fd < 0)
			return NULL;
		pthread_mutex_lock(&server->lock);
		server->fd = fd;
		pthread_mutex_unlock(&server->lock);
		serve(server);
		forget(server);
		close(fd);
	}
}

/* ---- Begin and end -------------------------------------------------------- */

void fake_server_init(struct fake_server *server)
{
	memset(server, 0, sizeof(*server));
	snprintf(server->path, sizeof(server->path), "/tmp/fake-server-%d", (int)getpid());
	server->listener = server->fd = server->twin = server->unmask = -1;
	server->max_fds = 8;
	server->max_data = 1 << 20;
	server->msix_count = FAKE_VECTORS_MSIX;
	server->memory = memfd_create("bar0", MFD_CLOEXEC);
	assert(!ftruncate(server->memory, FAKE_BAR0));
	server->bar0 = mmap(NULL, FAKE_BAR0, PROT_READ | PROT_WRITE, MAP_SHARED, server->memory, 0);
	server->config[0] = 0x34;
	server->config[1] = 0x12;
	pthread_mutex_init(&server->lock, NULL);
	pthread_cond_init(&server->changed, NULL);
	memset(server->irqs, 0xff, sizeof(server->irqs));
}

void fake_server_start(struct fake_server *server)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strcpy(address.sun_path, server->path);
	unlink(server->path);
	server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert(!bind(server->listener, (struct sockaddr *)&address, sizeof(address)));
	assert(!listen(server->listener, 4));
	assert(!pthread_create(&server->thread, NULL, run, server));
}

void fake_server_stop(struct fake_server *server)
{
	shutdown(server->listener, SHUT_RDWR);
	pthread_mutex_lock(&server->lock);
	if (server->fd >= 0)
		shutdown(server->fd, SHUT_RDWR);
	pthread_mutex_unlock(&server->lock);
	pthread_join(server->thread, NULL);
	close(server->listener);
	unlink(server->path);
}

void fake_server_free(struct fake_server *server)
{
	munmap(server->bar0, FAKE_BAR0);
	close(server->memory);
	pthread_mutex_destroy(&server->lock);
	pthread_cond_destroy(&server->changed);
}
