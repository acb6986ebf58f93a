/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as a message of vfio-user, on a socket and alone: as a command, a reply, and each payload. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "input.h"
#include "wire/stream.h"
#include "wire/version.h"

#define MOST 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t sum; /* every byte that is claimed to be there is read */

static void read_all(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		sum += data[i];
}

static void on_area(void *opaque, const struct bk__wire_area *area)
{
	const struct bk__wire_region_info *info = opaque;

	if (!area->size || area->offset > info->size || area->size > info->size - area->offset)
		abort();
}

static void as_payload(const uint8_t *payload, size_t size)
{
	struct bk__wire_version version, again;
	struct bk__wire_region_info info;
	struct bk__wire_io_fd io_fd;
	struct bk_error err;
	uint8_t text[1024];
	bool sparse;
	int length;

	if (!bk__wire_version_take(payload, size, &version, &err)) {
		length = bk__wire_version_put(text, sizeof(text), &version, true);
		if (length < 0 || bk__wire_version_take(text, (size_t)length, &again, &err) ||
		    again.fds != version.fds || again.data != version.data || again.twin != version.twin)
			abort();
	}
	bk__wire_region_info_take(payload, size, &info, &sparse, on_area, &info);
	for (uint32_t i = 0; i < 4; i++)
		bk__wire_io_fd_take(payload, size, 4, i, &io_fd);
}

static void as_command(const struct bk__wire_message *message, const struct bk__wire_limits *limits)
{
	struct bk__wire_request request;
	struct bk_error err = { { 0 } };

	if (bk__wire_check(message, limits, &request, &err)) {
		if (!err.text[0])
			abort();
		return;
	}
	read_all(request.data, request.size);
	if (message->header.command == BK__WIRE_WRITE_MULTI)
		for (uint64_t i = 0; i < request.multi.count; i++)
			if (bk__wire_multi_write(&request, i).count > 8)
				abort();
	if (message->header.command == BK__WIRE_REGION_WRITE)
		read_all(request.data, request.access.count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	const struct bk__wire_limits limits = {
		.data = MOST,
		.minor = (unsigned)take(&input, 1) % 3,
		.multi = true,
		.strict = size & 1,
	};
	struct bk__wire_stream stream;
	struct bk__wire_message message;
	int fds[2], error = 0;

	as_payload(input.data, input.size);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) || bk__wire_stream_open(&stream, fds[1], MOST))
		abort();
	while (input.size) {
		const unsigned op = (unsigned)take(&input, 1);
		const size_t count = op & 0x3f && (op & 0x3f) < input.size ? op & 0x3f : input.size;
		const struct iovec part = { (void *)(uintptr_t)input.data, count };
		int sent[3] = { fds[0], fds[1], 0 };

		if (!count)
			break;
		if (bk__wire_send(fds[0], &part, 1, sent, op >> 6))
			break;
		input.data += count;
		input.size -= count;
		while (!(error = bk__wire_receive(&stream, &message, MSG_DONTWAIT))) {
			struct bk__wire_region_access fixed;
			const uint8_t *rest;
			size_t left;

			if (message.size > MOST)
				abort();
			for (unsigned i = 0; i < message.fd_count; i++)
				if (fcntl(message.fds[i], F_GETFD) < 0)
					abort();
			as_command(&message, &limits);
			as_payload(message.payload, message.size);
			if (!bk__wire_check_reply(&message, message.header.command, &fixed, sizeof(fixed),
						  &rest, &left))
				read_all(rest, left);
			bk__wire_drop_fds(&message);
		}
		if (error != -EAGAIN)
			break;
	}
	bk__wire_stream_close(&stream);
	close(fds[0]);
	close(fds[1]);
	return 0;
}
