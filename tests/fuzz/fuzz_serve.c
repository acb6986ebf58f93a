/* SPDX-License-Identifier: BSD-2-Clause */
/* Any messages, with fds, from a client of a served device: each gets at most one reply, and nothing is left.
 */
#include <fcntl.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../unit/served_device.h"
#include "input.h"
#include "serve/serve.h"
#include "wire/stream.h"
#include "wire/version.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int event = -1, memory, file;

static void quiet(void *opaque, enum bk_log_level level, const char *line)
{
	(void)opaque, (void)level, (void)line;
}

static void set_up(void)
{
	bk_log_set(quiet, NULL);
	event = eventfd(0, EFD_NONBLOCK);
	memory = memfd_create("client", 0);
	file = open("/proc/self/exe", O_RDONLY);
	if (event < 0 || memory < 0 || file < 0 || ftruncate(memory, 0x10000))
		abort();
}

static void say(int fd, const struct bk__wire_header *header, const void *payload, size_t size,
		const int *fds, unsigned count)
{
	const struct iovec parts[] = { { (void *)(uintptr_t)header, sizeof(*header) },
				       { (void *)(uintptr_t)payload, size } };

	bk__wire_send(fd, parts, 2, fds, count);
}

static void say_version(int fd)
{
	const struct bk__wire_version version = { .minor = 2,
						  .has = 0x3f & ~BK__WIRE_HAS_TWIN,
						  .fds = 16,
						  .data = BK__WIRE_DATA,
						  .maps = 8,
						  .pgsizes = BK__WIRE_PAGE,
						  .multi = true };
	uint8_t payload[512];
	const int size = bk__wire_version_put(payload, sizeof(payload), &version, false);
	const struct bk__wire_header header = { .command = BK__WIRE_VERSION,
						.size = (uint32_t)(sizeof(header) + (size_t)size) };

	say(fd, &header, payload, (size_t)size, NULL, 0);
}

/* Takes replies off the socket, so that the server can go on; counts them. DMA messages get no answer. */
static void listen_to(struct bk__wire_stream *stream, unsigned *replies, int flags)
{
	struct bk__wire_message message;

	while (!bk__wire_receive(stream, &message, flags)) {
		*replies += (message.header.flags & BK__WIRE_TYPE) == BK__WIRE_REPLY;
		if (message.header.flags & BK__WIRE_ERROR && message.size)
			abort();
		bk__wire_drop_fds(&message);
	}
}

static unsigned talk(int fd, struct bk__wire_stream *stream, struct input *input)
{
	unsigned said = 0, replies = 0;
	const int fds[] = { event, memory, file, event };

	while (input->size) {
		const unsigned op = (unsigned)take(input, 1);
		const uint8_t length = (uint8_t)take(input, 1);
		const size_t size = length < input->size ? length : input->size;
		struct bk__wire_header header = { .id = (uint16_t)said,
						  .command = op & 0x1f,
						  .size = (uint32_t)(sizeof(header) + size),
						  .flags = op & 0x20 ? BK__WIRE_NO_REPLY : 0 };

		/* What waits for an answer would wait for seconds. */
		if (size == 255)
			header.size = (uint32_t)take(input, 4);
		said += !(op & 0x20);
		/* What is beyond its size are commands, too. */
		if (header.size < sizeof(header) + size)
			said += (unsigned)(sizeof(header) + size) / (unsigned)sizeof(header);
		say(fd, &header, input->data, size < input->size ? size : input->size, fds + (op >> 6),
		    op & 0x40 ? 1 : op >> 6);
		input->data += size < input->size ? size : input->size;
		input->size -= size < input->size ? size : input->size;
		listen_to(stream, &replies, MSG_DONTWAIT);
	}
	shutdown(fd, SHUT_WR);
	listen_to(stream, &replies, 0);
	/* An impossible size has no reply of its own, but what came before it has. */
	if (replies > said + 1)
		abort();
	return replies;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	static struct served_device device;
	struct bk__serve_config config = { .name = "fuzz", .device = &device.fake.device };
	const unsigned how = (unsigned)take(&input, 1);
	struct bk__wire_stream stream;
	struct bk__serve *serve;
	int fds[2];

	if (event < 0)
		set_up();
	served_init(&device);
	device.no_messages = true;
	config.strict = how & 1;
	config.mmap = how >> 1 & 3 ? BK__SERVE_MMAP_DEVICE_FD : BK__SERVE_MMAP_SAFE;
	config.memory = how & 8 ? 0x8000 : 0;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) ||
	    bk__wire_stream_open(&stream, fds[0], BK__WIRE_MESSAGE) ||
	    bk__serve_create(&config, fds[1], true, &serve, NULL))
		abort();
	if (!(how & 0x10))
		say_version(fds[0]);
	talk(fds[0], &stream, &input);
	close(fds[0]);
	bk__serve_destroy(serve);
	bk__wire_stream_close(&stream);
	if (served_bound(&device) || device.map_count || device.resample >= 0 ||
	    fake_get(&device.fake, 4, 2) & 4)
		abort();
	served_done(&device);
	return 0;
}
