/* SPDX-License-Identifier: BSD-2-Clause */
/* What a device's host has to say while the guest runs: an error of the device, and that it is wanted back.
 */
#include "monitor/events.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/ratelimit.h"

#define SOON_MS 100

static void listen_to(struct bk__monitor_events *events, struct bk_device *device, unsigned index)
{
	struct bk__monitor_event *event = &events->entries[events->count];
	struct bk_device_irq irq = { 0 };
	int error;

	if (events->count == BK__EVENTS_MAX || bk_device_irq(device, index, &irq) || !irq.count)
		return;
	*event = (struct bk__monitor_event){ .device = device,
					     .index = index,
					     .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
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

void bk__monitor_events_add(struct bk__monitor_events *events, struct bk_device *device)
{
	listen_to(events, device, BK_DEVICE_ERR);
	listen_to(events, device, BK_DEVICE_REQ);
}

void bk__monitor_events_remove(struct bk__monitor_events *events, struct bk_device *device)
{
	for (unsigned i = events->count; i-- > 0;) {
		struct bk__monitor_event *event = &events->entries[i];

		if (event->device != device)
			continue;
		bk_device_set_irqs(device, event->index, BK_DEVICE_IRQ_TRIGGER, 0, 0, NULL);
		close(event->fd);
		*event = events->entries[--events->count];
	}
}

bool bk__monitor_events_poll(struct bk__monitor_events *events, int fd, void (*ready)(void *opaque),
			     void *opaque)
{
	if (events->count == BK__EVENTS_MAX)
		return false;
	events->entries[events->count++] =
		(struct bk__monitor_event){ .fd = fd, .ready = ready, .opaque = opaque };
	return true;
}

void bk__monitor_events_ignore(struct bk__monitor_events *events, int fd)
{
	for (unsigned i = events->count; i-- > 0;)
		if (events->entries[i].fd == fd)
			events->entries[i] = events->entries[--events->count];
}

static bool taken(int fd)
{
	uint64_t count;

	return read(fd, &count, sizeof(count)) == sizeof(count);
}

/* -ENODEV when a device is wanted back that cannot be given. */
static int serve_devices(struct bk__monitor_events *events, struct bk_error *err)
{
	static struct bk__ratelimit limit; /* a guest may be what makes a device fail */

	for (unsigned i = 0; i < events->count; i++) {
		const struct bk__monitor_event *event = &events->entries[i];

		if (event->ready || !taken(event->fd))
			continue;
		if (event->index == BK_DEVICE_REQ) {
			if (events->wanted && events->wanted(events->opaque, event->device)) {
				i = -1u; /* others are in its place */
				continue;
			}
			return bk_fail(err, ENODEV,
				       "%s: the host wants the device back (it was unbound or removed "
				       "there), so the run ends",
				       event->device->name);
		}
		bk__log_limited(&limit, BK_LOG_ERROR,
				"%s: the device reports an error that it cannot recover from; the host's "
				"kernel log says more",
				event->device->name);
	}
	return 0;
}

/* Before devices are served, which may leave. */
static void serve_polled(const struct bk__monitor_events *events, const struct pollfd *fds)
{
	for (unsigned i = 0; i < events->count; i++)
		if (events->entries[i].ready && fds[i].revents)
			events->entries[i].ready(events->entries[i].opaque);
}

int bk__monitor_events_wait(struct bk__monitor_events *events, int wake, struct bk_error *err)
{
	struct pollfd fds[2 + BK__EVENTS_MAX];

	for (;;) {
		int error;

		fds[0] = (struct pollfd){ .fd = wake, .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = events->watch.ready ? events->watch.fd : -1,
					  .events = POLLIN };
		for (unsigned i = 0; i < events->count; i++) {
			const struct bk__monitor_event *event = &events->entries[i];

			fds[2 + i] = (struct pollfd){ .fd = events->quiet && !event->ready ? -1 : event->fd,
						      .events = POLLIN };
		}
		if (poll(fds, 2 + events->count, events->impatient ? SOON_MS : -1) < 0) {
			if (errno == EINTR)
				continue;
			return bk_fail(err, errno, "poll: %s", strerror(errno));
		}
		serve_polled(events, fds + 2);
		error = events->quiet ? 0 : serve_devices(events, err);
		if (error)
			return error;
		if (fds[1].revents)
			events->watch.ready(events->watch.opaque);
		if (taken(wake) || events->impatient)
			return 0;
	}
}
