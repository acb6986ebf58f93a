/* SPDX-License-Identifier: BSD-2-Clause */
/* A socket that carries messages of vfio-user, with their fds. */
#ifndef BK_WIRE_STREAM_H
#define BK_WIRE_STREAM_H

#include <sys/uio.h>

#include "wire/message.h"

/*
 * What was read and is not used up. Fds come with the bytes of one sendmsg, and belong to the message that
 * those begin; the kernel ends a read behind them. So they are those of the last message that begins in what
 * one read gave. If that may not have so many, the sendmsg had several messages, and those before it get the
 * rest.
 */
struct bk__wire_stream {
	int fd;      /* the socket; not closed here */
	size_t most; /* bytes of a message */
	uint8_t *buffer;
	size_t room, start, end;
	int fds[2 * BK__WIRE_FDS_ANYHOW];
	size_t owners[2 * BK__WIRE_FDS_ANYHOW]; /* where in the buffer the message of each begins */
	unsigned fd_count;
	int taken[BK__WIRE_FDS_ANYHOW]; /* of the message that was given last */
	size_t pin; /* bytes of the buffer that stay where they are: of a message that is in use while others
		       read on */
	uint64_t reads; /* system calls */
	uint64_t until; /* CLOCK_MONOTONIC in ns: nothing is read after that; 0: for ever */
};

/* Allocates a buffer for messages of at most `most` bytes: nothing else here allocates. -ENOMEM. */
int bk__wire_stream_open(struct bk__wire_stream *stream, int fd, size_t most);

/* Frees it and closes fds that were not taken. Does nothing if it is zero. */
void bk__wire_stream_close(struct bk__wire_stream *stream);

/*
 * The next message; `flags` is 0 or MSG_DONTWAIT. Its payload and its list of fds are valid until the next
 * call, and the caller closes the fds first. 0; -EAGAIN; -EINTR; -EPIPE when the other side has closed the
 * connection between two messages, -ECONNRESET in one; -EPROTO for a size that cannot be; -EBADMSG when the
 * kernel could not deliver all fds; -ETIMEDOUT after `until`; what recvmsg gave. After all but the first
 * three the stream is of no use.
 */
int bk__wire_receive(struct bk__wire_stream *stream, struct bk__wire_message *message, int flags);

/* Is a whole message there without a system call? */
bool bk__wire_ready(const struct bk__wire_stream *stream);

/*
 * Sends one message: `parts` are its bytes in order, the header first, up to BK__WIRE_PARTS of them; `fds`
 * go with its first byte. Waits until all is sent, unless the socket does not wait: then -EAGAIN when not
 * one byte was, and -EPIPE when a part was. Never raises SIGPIPE. 0 or a negative errno.
 */
#define BK__WIRE_PARTS 4
int bk__wire_send(int fd, const struct iovec *parts, unsigned count, const int *fds, unsigned fd_count);

/* The same, but `wait` waits in the kernel's place while the socket takes nothing: 0 to try again, or what
 * ends the attempt. */
int bk__wire_send_or(int fd, const struct iovec *parts, unsigned count, const int *fds, unsigned fd_count,
		     int (*wait)(void *opaque), void *opaque);

#endif
