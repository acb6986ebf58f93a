/* SPDX-License-Identifier: BSD-2-Clause */
/* A server in this process, and a client that says to it whatever a test wants. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/bytes.h"
#include "serve_client.h"

static void on_gone(void *opaque)
{
	struct served *served = opaque;

	sem_post(&served->gone);
}

static void quiet(void *opaque, enum bk_log_level level, const char *line)
{
	(void)opaque, (void)level, (void)line;
}

void served_create(struct served *served)
{
	bk_log_set(quiet, NULL);
	memset(served, 0, sizeof(*served));
	served_init(&served->device);
	sem_init(&served->gone, 0, 0);
	served->fd = -1;
	served->config = (struct bk__serve_config){ .name = "served",
						    .device = &served->device.fake.device,
						    .mmap = BK__SERVE_MMAP_SAFE,
						    .gone = on_gone,
						    .opaque = served };
}

void served_start(struct served *served)
{
	static unsigned number;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct bk_error err;

	snprintf(served->path, sizeof(served->path), "/tmp/test_serve.%d.%u", (int)getpid(), number++);
	strcpy(address.sun_path, served->path);
	unlink(served->path); /* of an earlier process of this number, which was killed */
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(bk__serve_create(&served->config, fd, false, &served->serve, &err), 0);
}

void served_end(struct served *served)
{
	served_fence(&served->device);
	if (served->fd >= 0) {
		bk__wire_drop_fds(&served->reply);
		bk__wire_stream_close(&served->stream);
		close(served->fd);
	}
	bk__serve_destroy(served->serve);
	unlink(served->path);
	served_done(&served->device);
	sem_destroy(&served->gone);
}

void client_connect(struct served *served)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strcpy(address.sun_path, served->path);
	served->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(served->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(bk__wire_stream_open(&served->stream, served->fd, BK__WIRE_MESSAGE), 0);
	served->reply.fd_count = 0;
}

void client_close(struct served *served)
{
	bk__wire_drop_fds(&served->reply);
	served->reply.fd_count = 0;
	served_fence(&served->device);
	bk__wire_stream_close(&served->stream);
	close(served->fd);
	served->fd = -1;
	while (sem_wait(&served->gone))
		;
	served_fence(&served->device);
}

void client_say(struct served *served, unsigned command, unsigned flags, const void *payload, size_t size,
		const void *data, size_t data_size, const int *fds, unsigned fd_count)
{
	const struct bk__wire_header header = { .id = ++served->id,
						.command = (uint16_t)command,
						.size = (uint32_t)(sizeof(header) + size + data_size),
						.flags = flags };
	const struct iovec parts[] = { { (void *)(uintptr_t)&header, sizeof(header) },
				       { (void *)(uintptr_t)payload, size },
				       { (void *)(uintptr_t)data, data_size } };

	served_fence(&served->device);
	assert_int_equal(bk__wire_send(served->fd, parts, 3, fds, fd_count), 0);
}

int client_hear(struct served *served)
{
	int error;

	bk__wire_drop_fds(&served->reply);
	served->reply.fd_count = 0;
	error = bk__wire_receive(&served->stream, &served->reply, 0);
	served_fence(&served->device);
	return error;
}

static int answer(struct served *served, unsigned command)
{
	const uint8_t *data;
	size_t size;

	assert_int_equal(client_hear(served), 0);
	assert_int_equal(served->reply.header.id, served->id);
	assert_int_equal(served->reply.header.command, command);
	return bk__wire_check_reply(&served->reply, command, NULL, 0, &data, &size);
}

int client_ask(struct served *served, unsigned command, const void *payload, size_t size, const int *fds,
	       unsigned fd_count)
{
	client_say(served, command, 0, payload, size, NULL, 0, fds, fd_count);
	return answer(served, command);
}

void client_start(struct served *served)
{
	const struct bk__wire_version version = { .minor = 2,
						  .has = 0x3f & ~BK__WIRE_HAS_TWIN,
						  .fds = 16,
						  .data = BK__WIRE_DATA,
						  .maps = BK__WIRE_MAPS,
						  .pgsizes = BK__WIRE_PAGE,
						  .multi = true };
	uint8_t payload[512];
	const int size = bk__wire_version_put(payload, sizeof(payload), &version, false);

	client_connect(served);
	assert_int_equal(client_ask(served, BK__WIRE_VERSION, payload, (size_t)size, NULL, 0), 0);
}

int client_map(struct served *served, uint64_t address, uint64_t size, uint64_t offset, int fd)
{
	const struct bk__wire_dma_map map = { sizeof(map), 3, offset, address, size };

	return client_ask(served, BK__WIRE_DMA_MAP, &map, sizeof(map), &fd, fd >= 0);
}

int client_unmap(struct served *served, uint64_t address, uint64_t size, unsigned flags)
{
	const struct bk__wire_dma_unmap unmap = { sizeof(unmap), flags, address, size };

	return client_ask(served, BK__WIRE_DMA_UNMAP, &unmap, sizeof(unmap), NULL, 0);
}

int client_irqs(struct served *served, unsigned flags, unsigned index, unsigned start, unsigned count,
		const int *fds, unsigned fd_count)
{
	const struct bk__wire_set_irqs set = { sizeof(set), flags, index, start, count };

	return client_ask(served, BK__WIRE_SET_IRQS, &set, sizeof(set), fds, fd_count);
}

uint64_t client_read(struct served *served, unsigned region, uint64_t offset, unsigned count)
{
	const struct bk__wire_region_access access = { offset, region, count };

	assert_int_equal(client_ask(served, BK__WIRE_REGION_READ, &access, sizeof(access), NULL, 0), 0);
	assert_int_equal(served->reply.size, sizeof(access) + count);
	assert_memory_equal(served->reply.payload, &access, sizeof(access));
	return bk__load(served->reply.payload + sizeof(access), count);
}

int client_write(struct served *served, unsigned region, uint64_t offset, uint64_t value, unsigned count)
{
	const struct bk__wire_region_access access = { offset, region, count };
	uint8_t data[8];

	bk__store(data, 8, value);
	client_say(served, BK__WIRE_REGION_WRITE, 0, &access, sizeof(access), data, count, NULL, 0);
	return answer(served, BK__WIRE_REGION_WRITE);
}

int memory_file(uint64_t size)
{
	const int fd = memfd_create("client", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}
