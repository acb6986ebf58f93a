/* SPDX-License-Identifier: BSD-2-Clause */
/* Replaces the C library's functions that send and receive descriptors over sockets. */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE
#include <string.h>
#include <sys/socket.h>

#include "base/ratelimit.h"
#include "wrap/real.h"
#include "wrap/calls.h"

static void visit_fds(const struct msghdr *message, void (*visit)(int fd))
{
	struct msghdr *walked = (struct msghdr *)message; /* CMSG_NXTHDR changes nothing */

	if (!message->msg_control || message->msg_controllen < sizeof(struct cmsghdr))
		return;
	for (struct cmsghdr *part = CMSG_FIRSTHDR(walked); part; part = CMSG_NXTHDR(walked, part)) {
		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at + sizeof(int) <= part->cmsg_len; at += sizeof(int)) {
			int fd;

			memcpy(&fd, (const char *)part + at, sizeof(fd));
			visit(fd);
		}
	}
}

static void received(int fd)
{
	bk__wrap_file_remove(fd); /* the old file was closed behind our back */
	bk__wrap_adopt(fd);
}

/* A receiver without this library sees the device without its traps. */
static void sent(int fd)
{
	const struct bk__wrap_file *file = bk__wrap_find(fd);
	static struct bk__ratelimit limit;

	if (file && (bk__wrap_kind_of(file) == BK__WRAP_DEVICE || bk__wrap_kind_of(file) == BK__WRAP_GROUP))
		bk__log_limited(&limit, BK_LOG_WARNING,
				"a descriptor of VFIO was sent to another process: unless that is wrapped "
				"too, it sees "
				"the device without traps");
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	const ssize_t result = bk__wrap_real.recvmsg(fd, message, flags);

	if (result >= 0)
		visit_fds(message, received);
	return result;
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout)
{
	const int result = bk__wrap_real.recvmmsg(fd, messages, count, flags, timeout);

	for (int i = 0; i < result; i++)
		visit_fds(&messages[i].msg_hdr, received);
	return result;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	const ssize_t result = bk__wrap_real.sendmsg(fd, message, flags);

	if (result >= 0)
		visit_fds(message, sent);
	return result;
}

int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
	const int result = bk__wrap_real.sendmmsg(fd, messages, count, flags);

	for (int i = 0; i < result; i++)
		visit_fds(&messages[i].msg_hdr, sent);
	return result;
}
