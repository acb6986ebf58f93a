/* SPDX-License-Identifier: BSD-2-Clause */
/* What a device's host has to say while the guest runs: an error of the device, and that it is wanted back.
 */
#include "monitor/events.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void listen_to(struct bk__events *events, struct bk_device *device, unsigned index)
{
	struct bk__event *event = &events->entries[events->count];
	struct bk_device_irq irq = { 0 };
	int error;

	if (events->count == BK__EVENTS_MAX || bk_device_irq(device, index, &irq) || !irq.count)
		return;
	*event = (struct bk__event){ device, index, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	error = event->fd < 0 ? -errno
			      : bk_device_set_irqs(device, index, BK_DEVICE_IRQ_TRIGGER, 0, 1, &event->fd);
	if (!error) {
		events->count++;
		return;
	}
	if (event->fd >= 0)
		close(event->fd);
	bk_log(BK_LOG_WARNING, "%s: nobody will hear %s: %s", device->name,
	       index == BK_DEVICE_ERR ? "of its errors" : "that the host wants it back", strerror(-error));
}

void bk__events_add(struct bk__events *events, struct bk_device *device)
{
	listen_to(events, device, BK_DEVICE_ERR);
	listen_to(events, device, BK_DEVICE_REQ);
}

void bk__events_remove(struct bk__events *events, struct bk_device *device)
{
	for (unsigned i = events->count; i-- > 0;) {
		struct bk__event *event = &events->entries[i];

		if (event->device != device)
			continue;
		bk_device_set_irqs(device, event->index, BK_DEVICE_IRQ_TRIGGER, 0, 0, NULL);
		close(event->fd);
		*event = events->entries[--events->count];
	}
}

static bool taken(int fd)
{
	uint64_t count;

	return read(fd, &count, sizeof(count)) == sizeof(count);
}

int bk__events_wait(struct bk__events *events, int wake, struct bk_error *err)
{
	static struct bk_ratelimit limit; /* a guest may be what makes a device fail */
	struct pollfd fds[1 + BK__EVENTS_MAX] = { { .fd = wake, .events = POLLIN } };

	for (unsigned i = 0; i < events->count; i++)
		fds[1 + i] = (struct pollfd){ .fd = events->entries[i].fd, .events = POLLIN };
	for (;;) {
		if (poll(fds, 1 + events->count, -1) < 0 && errno != EINTR)
			return bk_fail(err, errno, "poll: %s", strerror(errno));
		for (unsigned i = 0; i < events->count; i++) {
			const struct bk__event *event = &events->entries[i];

			if (!taken(event->fd))
				continue;
			if (event->index == BK_DEVICE_REQ)
				return bk_fail(
					err, ENODEV,
					"%s: the host wants the device back (it was unbound or removed "
					"there), so the run ends",
					event->device->name);
			bk_log_limited(
				&limit, BK_LOG_ERROR,
				"%s: the device reports an error that it cannot recover from; the host's "
				"kernel log says more",
				event->device->name);
		}
		if (taken(wake))
			return 0;
	}
}
