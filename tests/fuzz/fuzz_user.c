/* SPDX-License-Identifier: BSD-2-Clause */
/* A server that says anything, with fds, to the client that is `vfio-user:PATH`: nothing is touched that is
 * not its, and nothing is left. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "device/user.h"
#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct server {
	struct input input;
	int fd;
};

static int event = -1, memory;
static uint8_t guest[0x3000]; /* the middle page is mapped for DMA */

static void quiet(void *opaque, enum bk_log_level level, const char *line)
{
	(void)opaque, (void)level, (void)line;
}

static void set_up(void)
{
	bk_log_set(quiet, NULL);
	event = eventfd(0, EFD_NONBLOCK);
	memory = memfd_create("bar", 0);
	if (event < 0 || memory < 0 || ftruncate(memory, 0x4000))
		abort();
}

static void say(int fd, const struct bk__wire_header *header, const void *payload, size_t size,
		unsigned fd_count)
{
	const int fds[] = { memory, event, memory };
	const struct iovec parts[] = { { (void *)(uintptr_t)header, sizeof(*header) },
				       { (void *)(uintptr_t)payload, size } };

	bk__wire_send(fd, parts, size ? 2 : 1, fds, fd_count);
}

/* What a right server answers; its number of bytes. */
static size_t right_answer(const struct bk__wire_message *message, uint8_t *answer, unsigned *fds)
{
	const size_t size = message->size < 64 ? message->size : 64;
	const struct bk__wire_device_info info = {
		.argsz = sizeof(info), .flags = 3, .regions = 9, .irqs = 5
	};
	struct bk__wire_region_info *region = (void *)answer;
	struct bk__wire_irq_info *irq = (void *)answer;
	const struct bk__wire_area area = { 0x1000, 0x3000 };
	struct bk__wire_region_info said;

	memset(answer, 0, 4096);
	memcpy(answer, message->payload, size);
	*fds = 0;
	switch (message->header.command) {
	case BK__WIRE_VERSION:
		return 4;
	case BK__WIRE_DEVICE_INFO:
		memcpy(answer, &info, sizeof(info));
		return sizeof(info);
	case BK__WIRE_REGION_INFO:
		region->flags = BK__WIRE_REGION_READS | BK__WIRE_REGION_WRITES |
				(region->index ? 0u : (unsigned)BK__WIRE_REGION_MMAPS);
		region->size = region->index ? 0x100 : 0x4000;
		*fds = !region->index;
		said = *region;
		return bk__wire_region_info_put(answer, said.argsz, &said, &area, *fds);
	case BK__WIRE_IRQ_INFO:
		irq->count = 4;
		return sizeof(*irq);
	case BK__WIRE_REGION_READ:
		return 16 + (answer[12] < 200 ? answer[12] : 200);
	case BK__WIRE_REGION_WRITE:
		return 16;
	case BK__WIRE_DMA_UNMAP:
		return 24;
	default:
		return 0;
	}
}

/* One answer, and what comes before it. False: hang up. */
static bool answer(struct server *server, const struct bk__wire_message *message)
{
	const unsigned how = (unsigned)take(&server->input, 1);
	struct bk__wire_header header = message->header;
	_Alignas(8) uint8_t payload[4096];
	bool going = true;
	unsigned fds;
	size_t size;

	header.flags = BK__WIRE_REPLY;
	header.error = 0;
	if (how & 1) { /* a command of the server's own, on memory that is there or not */
		struct bk__wire_header command = { .id = 7, .command = (uint16_t)(10 + (how >> 1 & 3)) };
		struct bk__wire_dma_access access = { .address = take(&server->input, 3),
						      .count = take(&server->input, 2) };
		const size_t data = command.command == BK__WIRE_DMA_WRITE ? access.count & 0xff : 0;

		memcpy(payload, &access, sizeof(access));
		memset(payload + sizeof(access), 0xaa, data);
		command.size = (uint32_t)(sizeof(command) + sizeof(access) + data);
		say(server->fd, &command, payload, sizeof(access) + data, 0);
	}
	size = right_answer(message, payload, &fds);
	if (how & 8)
		header.flags |= BK__WIRE_ERROR;
	if (how & 0x10) /* other bytes at the start of the right ones */
		for (unsigned i = (unsigned)take(&server->input, 1) & 63,
			      n = (unsigned)take(&server->input, 1) & 15;
		     n--; i++)
			payload[i] = (uint8_t)take(&server->input, 1);
	if (how & 0x20)
		size = (size_t)take(&server->input, 1) & 0xff;
	if (how & 0x40)
		fds = (unsigned)take(&server->input, 1) & 3;
	header.size = (uint32_t)(sizeof(header) + size);
	if (how & 0x80) {
		const unsigned more = (unsigned)take(&server->input, 1);

		header.id = (uint16_t)(header.id + (more & 1));
		header.command = (uint16_t)(header.command + (more >> 1 & 3));
		if (more & 8)
			header.size = (uint32_t)take(&server->input, 4);
		/* What waits for the rest, or for another id, would wait for seconds. */
		going = !(more & 9);
		if (more & 16)
			return false;
	}
	say(server->fd, &header, payload, size, fds);
	return going;
}

static void *serve(void *opaque)
{
	struct server *server = opaque;
	struct bk__wire_stream stream;
	struct bk__wire_message message;
	bool going = true;

	if (bk__wire_stream_open(&stream, server->fd, BK__WIRE_MESSAGE))
		abort();
	while (going && !bk__wire_receive(&stream, &message, 0)) {
		bk__wire_drop_fds(&message);
		if ((message.header.flags & BK__WIRE_TYPE) == BK__WIRE_COMMAND)
			/* At the end of the input it is gone. */
			going = server->input.size && answer(server, &message);
	}
	shutdown(server->fd, SHUT_RDWR);
	bk__wire_stream_close(&stream);
	return NULL;
}

static void note(void *opaque, const struct bk_device_area *area)
{
	(void)opaque;
	if (!area->size)
		abort();
}

/* As a mediator and a monitor would. */
static void use(struct bk_device *device)
{
	const struct bk_device_dma dma = {
		.iova = 0x10000, .size = 0x1000, .flags = 3, .vaddr = guest + 0x1000, .fd = -1
	};
	const int fds[] = { event, -1, event };
	struct bk_device_region region = { 0 };
	struct bk_error err;
	uint8_t data[64];

	for (unsigned i = 0; i < BK_DEVICE_REGIONS; i++) {
		bk_device_region(device, i, &region);
		bk_device_areas(device, i, false, note, NULL);
	}
	bk_device_dma_map(device, &dma, &err);
	bk_device_set_irqs(device, BK_DEVICE_MSIX, BK_DEVICE_IRQ_TRIGGER, 0, 3, fds);
	for (unsigned i = 0; i < 4; i++) {
		bk_device_read(device, i & 1 ? BK_DEVICE_CONFIG : 0, 8 * i, data, 1u << i);
		bk_device_write(device, i & 1 ? BK_DEVICE_CONFIG : 0, 8 * i, data, 1u << i);
	}
	bk_device_set_irqs(device, BK_DEVICE_MSIX, BK_DEVICE_IRQ_TRIGGER, 0, 0, NULL);
	bk_device_dma_unmap(device, 0x10000, 0x1000);
	bk_device_reset(device);
	bk_device_read(device, BK_DEVICE_CONFIG, 0, data, 64);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct server server = { .input = { data, size } };
	struct bk__user_device *user = bk__user_create("vfio-user:fuzz", "fuzz");
	struct bk_error err;
	pthread_t thread;
	int fds[2];

	if (event < 0)
		set_up();
	memset(guest, 0x55, sizeof(guest));
	if (!user || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		abort();
	server.fd = fds[0];
	if (pthread_create(&thread, NULL, serve, &server))
		abort();
	bk__user_link_init(&user->link);
	user->link.fd = fds[1];
	if (!bk__user_begin(user, &user->link, &err) && !bk__user_thread_start(user))
		use(&user->device);
	bk_device_close(&user->device);
	pthread_join(thread, NULL);
	close(fds[0]);
	for (unsigned i = 0; i < 0x1000; i++)
		if (guest[i] != 0x55 || guest[0x2000 + i] != 0x55)
			abort(); /* memory that was not mapped */
	return 0;
}
