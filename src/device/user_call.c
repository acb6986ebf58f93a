/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests to the server, and their replies. One is on its way at a time. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "device/user.h"

void bk__user_wake(struct bk__user_device *user)
{
	const uint64_t one = 1;

	if (user->wake >= 0 && write(user->wake, &one, sizeof(one)) < 0)
		return; /* it is awake */
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

/* Takes the fds that are wanted; the others are closed. */
static void take_fds(struct bk__wire_message *message, struct bk__user_request *request, bool error)
{
	unsigned first = 0;

	if (request->twin == 1) {
		request->twin = -1;
		if (!error && request->twin_index < message->fd_count)
			request->twin = bk__wire_take_fd(message, request->twin_index);
	}
	if (request->fd == 1)
		request->fd = !error && first < message->fd_count ? bk__wire_take_fd(message, first) : -1;
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
		r = -EPROTO; /* more than was asked for */
	}
	take_fds(message, request, r < 0);
	if (r == -EPROTO)
		bk__user_break(user, link);
	return r;
}

/* What came in the same read as the reply: nobody else would be woken for it. */
static void serve_rest(struct bk__user_device *user, struct bk__user_link *link)
{
	struct bk__wire_message message;

	while (!link->broken && bk__wire_ready(&link->stream))
		if (bk__wire_receive(&link->stream, &message, 0) ||
		    bk__user_serve(user, link->fd, &message, link->agreed.data))
			bk__user_break(user, link);
}

int bk__user_call(struct bk__user_device *user, struct bk__user_link *link, struct bk__user_request *request)
{
	struct bk__wire_message message;
	int r;

	if (link->broken || send_request(user, link, request, BK__WIRE_COMMAND))
		return -EIO;
	for (;;) {
		r = bk__wire_receive(&link->stream, &message, 0);
		if (r == -EINTR)
			continue;
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

int bk__user_post(struct bk__user_device *user, struct bk__user_link *link, struct bk__user_request *request)
{
	return link->broken ? -EIO : send_request(user, link, request, BK__WIRE_COMMAND | BK__WIRE_NO_REPLY);
}
