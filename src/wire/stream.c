/* SPDX-License-Identifier: BSD-2-Clause */
/* A socket that carries messages of vfio-user, with their fds. */
#include "wire/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define AHEAD 65536 /* bytes that are read beyond one message */
#define SMALL 128   /* bytes of a message that are put together, so that it is one part */

union control {
	struct cmsghdr header; /* for its alignment */
	char bytes[CMSG_SPACE(sizeof(int) * BK__WIRE_FDS_ANYHOW)];
};

int bk__wire_stream_open(struct bk__wire_stream *stream, int fd, size_t most)
{
	*stream = (struct bk__wire_stream){ .fd = fd, .most = most, .room = 2 * most + AHEAD };
	stream->buffer = malloc(stream->room);
	return stream->buffer ? 0 : -ENOMEM;
}

void bk__wire_stream_close(struct bk__wire_stream *stream)
{
	for (unsigned i = 0; i < stream->fd_count; i++)
		close(stream->fds[i]);
	stream->fd_count = 0;
	free(stream->buffer);
	stream->buffer = NULL;
}

/* The whole message at `*at` of the buffer, which becomes the place of the next. False: there is none. */
static bool next_message(const struct bk__wire_stream *stream, size_t *at, unsigned *fds)
{
	struct bk__wire_header header;

	/* Behind a bad size nothing is looked at. */
	if (bk__wire_frame(stream->buffer + *at, stream->end - *at, stream->most, &header))
		return false;
	*fds = bk__wire_fds_most(&header, stream->buffer + *at + sizeof(header));
	*at += header.size;
	return true;
}

/* What the bytes from `from` on begin. */
struct begun {
	size_t first, last; /* where messages begin */
	uint64_t room;      /* for fds, in those that are whole */
	bool whole;         /* is the last one? */
};

static struct begun look(const struct bk__wire_stream *stream, size_t from)
{
	struct begun begun = { .first = SIZE_MAX, .whole = true };
	size_t at = stream->start;
	unsigned fds;

	begun.last = at;
	while (at < stream->end && begun.whole) {
		begun.last = at;
		if (at >= from && begun.first == SIZE_MAX)
			begun.first = at;
		begun.whole = next_message(stream, &at, &fds);
		if (begun.whole && begun.last >= from)
			begun.room += fds;
	}
	return begun;
}

/*
 * Whose they are, by where its message begins. A sendmsg has the fds of one message, as a rule: of the last
 * one that begins in what was read. A client may put several messages into one, which then has the fds of
 * them all: the last takes as many as it may have, then the one before it.
 */
static void find_owners(const struct bk__wire_stream *stream, size_t from, size_t *owners, unsigned count)
{
	const struct begun begun = look(stream, from);
	uint64_t skip = begun.room > count ? begun.room - count : 0;
	unsigned done = 0, fds;

	for (size_t at = begun.first, next = at;
	     begun.whole && done < count && next < stream->end && next_message(stream, &next, &fds);
	     at = next) {
		for (; fds && skip; fds--)
			skip--;
		for (; fds && done < count; fds--)
			owners[done++] = at;
	}
	while (done < count)
		owners[done++] = begun.last;
}

/* All of a control message's fds, or none. They came with bytes from `from` on. */
static int keep_fds(struct bk__wire_stream *stream, struct msghdr *control, size_t from)
{
	const unsigned before = stream->fd_count;
	int error = control->msg_flags & MSG_CTRUNC ? -EBADMSG : 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(control); c; c = CMSG_NXTHDR(control, c)) {
		const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		const size_t room = sizeof(stream->fds) / sizeof(stream->fds[0]) - stream->fd_count;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (error || count > room) {
				close(fd);
				error = error ? error : -EBADMSG;
				continue;
			}
			stream->fds[stream->fd_count++] = fd;
		}
	}
	find_owners(stream, from, stream->owners + before, stream->fd_count - before);
	return error;
}

/* Makes room for more bytes: moves the present ones to the start, after those that are pinned. */
static void move_down(struct bk__wire_stream *stream)
{
	const size_t by = stream->start - stream->pin;

	if (!by)
		return;
	memmove(stream->buffer + stream->pin, stream->buffer + stream->start, stream->end - stream->start);
	for (unsigned i = 0; i < stream->fd_count; i++)
		stream->owners[i] -= by;
	stream->end -= by;
	stream->start = stream->pin;
}

static int read_more(struct bk__wire_stream *stream, int flags)
{
	union control control;
	struct iovec part;
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	ssize_t count;

	move_down(stream);
	if (stream->end == stream->room)
		return -EPROTO;
	part = (struct iovec){ stream->buffer + stream->end, stream->room - stream->end };
	stream->reads++;
	count = recvmsg(stream->fd, &message, flags | MSG_CMSG_CLOEXEC);
	if (count < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	stream->end += (size_t)count;
	if (message.msg_controllen || message.msg_flags & MSG_CTRUNC) {
		const int error = keep_fds(stream, &message, stream->end - (size_t)count);

		if (error)
			return error;
	}
	if (!count)
		return stream->end ? -ECONNRESET : -EPIPE;
	return 0;
}

static void give(struct bk__wire_stream *stream, struct bk__wire_message *message)
{
	unsigned kept = 0;

	message->payload = stream->buffer + stream->start + sizeof(message->header);
	message->size = message->header.size - sizeof(message->header);
	message->fds = stream->taken;
	message->fd_count = 0;
	for (unsigned i = 0; i < stream->fd_count; i++) {
		if (stream->owners[i] != stream->start) {
			stream->owners[kept] = stream->owners[i];
			stream->fds[kept++] = stream->fds[i];
		} else if (message->fd_count < BK__WIRE_FDS_ANYHOW) {
			stream->taken[message->fd_count++] = stream->fds[i];
		} else {
			close(stream->fds[i]); /* more than any message may have */
		}
	}
	stream->fd_count = kept;
	stream->start += message->header.size;
}

static bool is_too_late(const struct bk__wire_stream *stream)
{
	return stream->until && bk__base_now() > stream->until;
}

int bk__wire_receive(struct bk__wire_stream *stream, struct bk__wire_message *message, int flags)
{
	for (;;) {
		int error = bk__wire_frame(stream->buffer + stream->start, stream->end - stream->start,
					   stream->most, &message->header);

		if (!error) {
			/* Who pins it has room for another behind it. */
			if (stream->start + message->header.size > stream->room - stream->most)
				move_down(stream);
			give(stream, message);
			return 0;
		}
		if (error == -EAGAIN)
			error = is_too_late(stream) ? -ETIMEDOUT : read_more(stream, flags);
		if (error)
			return error;
	}
}

bool bk__wire_ready(const struct bk__wire_stream *stream)
{
	struct bk__wire_header header;

	return !bk__wire_frame(stream->buffer + stream->start, stream->end - stream->start, stream->most,
			       &header);
}

static size_t put_fds(union control *control, const int *fds, unsigned count)
{
	const size_t size = count * sizeof(int);

	control->header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(size),
					    .cmsg_level = SOL_SOCKET,
					    .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(&control->header), fds, size);
	return CMSG_SPACE(size);
}

/* One part and no fds, as most messages are: the call that takes the kernel less. */
static ssize_t send_some(int fd, const struct msghdr *message, int flags)
{
	const struct iovec *part = message->msg_iov;

	return message->msg_iovlen == 1 && !message->msg_control
		       ? send(fd, part->iov_base, part->iov_len, flags)
		       : sendmsg(fd, message, flags);
}

/* Makes one part of them, if they are small. Returns how many there are then. */
static unsigned join_small(struct iovec *parts, unsigned count, uint8_t *bytes)
{
	size_t size = 0;

	for (unsigned i = 0; i < count; i++) {
		if (parts[i].iov_len > SMALL - size)
			return count;
		if (parts[i].iov_len) /* of an empty part there may be no bytes */
			memcpy(bytes + size, parts[i].iov_base, parts[i].iov_len);
		size += parts[i].iov_len;
	}
	parts[0] = (struct iovec){ bytes, size };
	return 1;
}

int bk__wire_send_or(int fd, const struct iovec *parts, unsigned count, const int *fds, unsigned fd_count,
		     int (*wait)(void *opaque), void *opaque)
{
	const int flags = MSG_NOSIGNAL | (wait ? MSG_DONTWAIT : 0);
	struct iovec left[BK__WIRE_PARTS];
	uint8_t bytes[SMALL];
	union control control;
	struct msghdr message = { .msg_iov = left, .msg_iovlen = count };
	bool begun = false;

	if (count > BK__WIRE_PARTS || fd_count > BK__WIRE_FDS_ANYHOW)
		return -EINVAL;
	memcpy(left, parts, count * sizeof(*parts));
	if (fd_count) {
		message.msg_control = &control;
		message.msg_controllen = put_fds(&control, fds, fd_count);
	} else if (count > 1) {
		message.msg_iovlen = join_small(left, count, bytes);
	}
	while (message.msg_iovlen) {
		ssize_t sent = send_some(fd, &message, flags);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && wait && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			const int error = wait(opaque);

			if (error)
				return error;
			continue;
		}
		if (sent < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK ? (begun ? -EPIPE : -EAGAIN) : -errno;
		begun = true;
		message.msg_control = NULL;
		message.msg_controllen = 0;
		while (message.msg_iovlen && (size_t)sent >= message.msg_iov->iov_len) {
			sent -= (ssize_t)message.msg_iov->iov_len;
			message.msg_iov++;
			message.msg_iovlen--;
		}
		if (message.msg_iovlen) {
			message.msg_iov->iov_base = (uint8_t *)message.msg_iov->iov_base + sent;
			message.msg_iov->iov_len -= (size_t)sent;
		}
	}
	return 0;
}

int bk__wire_send(int fd, const struct iovec *parts, unsigned count, const int *fds, unsigned fd_count)
{
	return bk__wire_send_or(fd, parts, count, fds, fd_count, NULL, NULL);
}
