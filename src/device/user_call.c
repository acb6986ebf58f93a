/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests to the server, and their replies. There is one request at a time. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "device/user.h"

/* Seconds that a server may take for a reply, even if it sends other messages meanwhile: a vCPU waits. In a
 * SLOW request it may be silent that long. */
enum { LONGEST = 300, SLOW = 600 };
#define SECOND UINT64_C(1000000000) /* in ns */

void bk__user_wake(struct bk__user_device *user)
{
	const uint64_t one = 1;

	if (user->wake >= 0 && write(user->wake, &one, sizeof(one)) < 0)
		return; /* the thread is awake */
}

void bk__user_break(struct bk__user_device *user, struct bk__user_link *link)
{
	link->broken = true;
	bk__user_wake(user);
}

static int send_request(struct bk__user_device *user, struct bk__user_link *link,
			struct bk__user_request *request, unsigned flags)
{
	struct bk__wire_header header = {
		.id = ++link->id,
		.command = (uint16_t)request->command,
		.size = (uint32_t)(sizeof(header) + request->fixed_size + request->size),
		.flags = flags,
	};
	const struct iovec parts[] = {
		{ &header, sizeof(header) },
		{ (void *)request->fixed, request->fixed_size },
		{ (void *)request->data, request->size },
	};
	int r = bk__wire_send(link->fd, parts,
			      request->size         ? 3
			      : request->fixed_size ? 2
						    : 1,
			      request->fds, request->fd_count);

	if (r)
		bk__user_break(user, link);
	return r ? -EIO : 0;
}

/* Takes the fds that the request wants, and closes the others. */
static void take_fds(struct bk__wire_message *message, struct bk__user_request *request, bool error)
{
	if (request->takes_twin && !error)
		request->twin = bk__wire_take_fd(message, request->twin_index);
	if (request->takes_fd && !error)
		request->fd = bk__wire_take_fd(message, 0);
	for (unsigned i = 0; request->all && !error && i < message->fd_count && i < BK__WIRE_FDS; i++)
		request->all[request->all_count++] = bk__wire_take_fd(message, i);
	bk__wire_drop_fds(message);
}

static int take_reply(struct bk__user_device *user, struct bk__user_link *link,
		      struct bk__wire_message *message, struct bk__user_request *request)
{
	const uint8_t *data = NULL;
	size_t size = 0;
	int r = bk__wire_check_reply(message, request->command, request->reply, request->reply_size, &data,
				     &size);

	request->answered = 0;
	if (!r && size <= request->room) {
		if (size)
			memcpy(request->answer, data, size);
		request->answered = size;
	} else if (!r) {
		r = -EPROTO; /* more than the request asked for */
	}
	take_fds(message, request, r < 0);
	if (r == -EPROTO)
		bk__user_break(user, link);
	return r;
}

/* Serves messages read together with the reply: they would wake no other thread. */
static void serve_rest(struct bk__user_device *user, struct bk__user_link *link)
{
	struct bk__wire_message message;

	while (!link->broken && bk__wire_ready(&link->stream))
		if (bk__wire_receive(&link->stream, &message, 0) ||
		    bk__user_serve(user, link->fd, &message, link->agreed.data))
			bk__user_break(user, link);
}

/* Servers pin all of a guest's memory in one request, and a device may take minutes to reset. */
static bool is_slow(unsigned command)
{
	return command == BK__WIRE_DMA_MAP || command == BK__WIRE_DMA_UNMAP || command == BK__WIRE_RESET;
}

static int wait_reply(struct bk__user_device *user, struct bk__user_link *link,
		      struct bk__user_request *request)
{
	struct bk__wire_message message;
	int r;

	for (;;) {
		r = bk__wire_receive(&link->stream, &message, 0);
		if (r == -EINTR || (r == -EAGAIN && is_slow(request->command)))
			continue; /* not after link->stream.until */
		if ((r == -EAGAIN || r == -ETIMEDOUT) && request->command != BK__WIRE_VERSION)
			bk_log(BK_LOG_ERROR, "%s: the server does not answer %s in time", user->device.name,
			       bk__wire_command_name(request->command));
		if (r) {
			bk__user_break(user, link); /* gone, or silent for too long */
			return -EIO;
		}
		if ((message.header.flags & BK__WIRE_TYPE) == BK__WIRE_REPLY &&
		    message.header.id == link->id) {
			r = take_reply(user, link, &message, request);
			serve_rest(user, link);
			return r;
		}
		if (bk__user_serve(user, link->fd, &message, link->agreed.data)) {
			bk__user_break(user, link);
			return -EIO;
		}
	}
}

int bk__user_call(struct bk__user_device *user, struct bk__user_link *link, struct bk__user_request *request)
{
	int r;

	request->fd = request->twin = -1;
	if (link->broken || send_request(user, link, request, BK__WIRE_COMMAND))
		return -EIO;
	link->stream.until = bk__base_now() + (is_slow(request->command) ? SLOW : LONGEST) * SECOND;
	r = wait_reply(user, link, request);
	link->stream.until = 0;
	return r;
}

int bk__user_post(struct bk__user_device *user, struct bk__user_link *link, struct bk__user_request *request)
{
	return link->broken ? -EIO : send_request(user, link, request, BK__WIRE_COMMAND | BK__WIRE_NO_REPLY);
}
