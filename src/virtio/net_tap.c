/* SPDX-License-Identifier: BSD-2-Clause */
/* A tap interface of the host at the other end of a network card. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "virtio/net.h"

enum { BATCH = 64 /* frames at a time */ };

struct tap {
	struct bk__virtio_net *net;
	int fd;
	int index; /* in what is waited for; -1: it is not */
	char name[IFNAMSIZ];
	uint8_t frame[BK__VIRTIO_FRAME];
};

static void tap_send(void *opaque, const uint8_t *frame, size_t length)
{
	struct tap *tap = opaque;
	ssize_t n;

	/* An interface that is down or full loses frames, as a cable does. */
	do
		n = write(tap->fd, frame, length);
	while (n < 0 && errno == EINTR);
}

static void tap_fill(void *opaque, struct bk__virtio_polls *polls, bool ready)
{
	struct tap *tap = opaque;

	tap->index = ready ? bk__virtio_polls_add(polls, tap->fd, POLLIN) : -1;
}

static void tap_poll(void *opaque, const struct bk__virtio_polls *polls)
{
	struct tap *tap = opaque;

	if (tap->index < 0 || (unsigned)tap->index >= polls->count || !polls->fds[tap->index].revents)
		return;
	for (unsigned i = 0; i < BATCH; i++) {
		const ssize_t n = read(tap->fd, tap->frame, sizeof(tap->frame));

		if (n <= 0)
			return;
		bk__virtio_net_receive(tap->net, tap->frame, (size_t)n);
	}
}

static void tap_describe(void *opaque, void (*say)(void *opaque, const char *key, const char *value),
			 void *to)
{
	say(to, "tap interface", ((struct tap *)opaque)->name);
}

static void tap_close(void *opaque)
{
	struct tap *tap = opaque;

	close(tap->fd);
	free(tap);
}

static const struct bk__virtio_net_ops tap_ops = {
	.send = tap_send,
	.fill = tap_fill,
	.poll = tap_poll,
	.describe = tap_describe,
	.close = tap_close,
};

static int attach(struct tap *tap, const char *name, struct bk_error *err)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };

	memcpy(request.ifr_name, name, strlen(name));
	tap->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tap->fd < 0)
		return bk_fail(err, errno, "/dev/net/tun cannot be opened: %s; load the module tun",
			       strerror(errno));
	if (!ioctl(tap->fd, TUNSETIFF, &request))
		return 0;
	if (errno == EPERM)
		return bk_fail(err, EPERM,
			       "tap %s: not permitted; make it with: ip tuntap add %s mode tap user $USER",
			       name, name);
	return bk_fail(err, errno, "tap %s: %s", name, strerror(errno));
}

int bk__virtio_net_tap(const char *name, struct bk__virtio_net_end *end, struct bk_error *err)
{
	struct tap *tap;
	int error;

	if (!*name || strlen(name) >= IFNAMSIZ)
		return bk_fail(err, EINVAL, "tap=%s: a name of 1 to %d characters", name, IFNAMSIZ - 1);
	tap = calloc(1, sizeof(*tap));
	if (!tap)
		return bk_fail(err, ENOMEM, "out of memory");
	tap->index = -1;
	strcpy(tap->name, name);
	error = attach(tap, name, err);
	if (error) {
		if (tap->fd >= 0)
			close(tap->fd);
		free(tap);
		return error;
	}
	*end = (struct bk__virtio_net_end){ &tap_ops, tap, &tap->net };
	return 0;
}
