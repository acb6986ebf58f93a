/* SPDX-License-Identifier: BSD-2-Clause */
/* Events from a device's host while the guest runs: an error of the device, and a request to give it
 * back.
 */
#include "monitor/events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/ratelimit.h"

#define SOON_MS 100

static bool taken(int fd)
{
	uint64_t count;

	return read(fd, &count, sizeof(count)) == sizeof(count);
}

static void on_told(void *opaque)
{
	struct bk__monitor_event *event = opaque;

	event->told |= taken(event->fd);
}

static void discard(struct bk__monitor_events *events, struct bk__monitor_event *event)
{
	if (event->fd >= 0) {
		bk__base_loop_remove(events->loop, event->fd);
		close(event->fd);
	}
	free(event);
}

static int add(struct bk__monitor_events *events, struct bk_device *device, unsigned index)
{
	struct bk__monitor_event *event = malloc(sizeof(*event));
	int error;

	if (!event)
		return -ENOMEM;
	*event = (struct bk__monitor_event){ events->list, device, index,
					     .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	error = event->fd < 0 ? -errno : bk__base_loop_add(events->loop, event->fd, on_told, event);
	if (!error)
		error = bk_device_set_irqs(device, index, BK_DEVICE_IRQ_TRIGGER, 0, 1, &event->fd);
	if (error)
		discard(events, event);
	else
		events->list = event;
	return error;
}

static void listen_to(struct bk__monitor_events *events, struct bk_device *device, unsigned index)
{
	struct bk_device_irq irq = { 0 };
	int error;

	if (bk_device_irq(device, index, &irq) || !irq.count)
		return;
	error = add(events, device, index);
	if (error)
		bk_log(BK_LOG_WARNING, "%s: barkeep will not notice %s: %s", device->name,
		       index == BK_DEVICE_ERR ? "its errors" : "that the host wants it back",
		       strerror(-error));
}

void bk__monitor_events_add(struct bk__monitor_events *events, struct bk_device *device)
{
	listen_to(events, device, BK_DEVICE_ERR);
	listen_to(events, device, BK_DEVICE_REQ);
}

void bk__monitor_events_remove(struct bk__monitor_events *events, struct bk_device *device)
{
	struct bk__monitor_event **link = &events->list;

	while (*link) {
		struct bk__monitor_event *event = *link;

		if (event->device != device) {
			link = &event->next;
			continue;
		}
		*link = event->next;
		bk_device_set_irqs(device, event->index, BK_DEVICE_IRQ_TRIGGER, 0, 0, NULL);
		discard(events, event);
	}
}

/* -ENODEV if the host wants a device back that cannot be given. */
static int serve_devices(struct bk__monitor_events *events, struct bk_error *err)
{
	static struct bk__ratelimit limit; /* a guest may be what makes a device fail */
	struct bk__monitor_event *event = events->quiet ? NULL : events->list, *next;

	for (; event; event = next) {
		struct bk_device *device = event->device;

		next = event->next;
		if (!event->told)
			continue;
		event->told = false;
		if (event->index == BK_DEVICE_ERR) {
			bk__log_limited(&limit, BK_LOG_ERROR,
					"%s: the device reports an error that it cannot recover from; the "
					"host's kernel log says more",
					device->name);
			continue;
		}
		if (!events->wanted || !events->wanted(events->opaque, device))
			return bk_fail(err, ENODEV,
				       "%s: the host wants the device back (it was unbound or removed "
				       "there), so the run ends",
				       device->name);
		next = events->list; /* the device has left, and others may have come */
	}
	return 0;
}

struct wake {
	int fd;
	bool woken;
};

static void on_wake(void *opaque)
{
	struct wake *wake = opaque;

	wake->woken |= taken(wake->fd);
}

int bk__monitor_events_wait(struct bk__monitor_events *events, int fd, struct bk_error *err)
{
	struct wake wake = { .fd = fd };
	int error = bk__base_loop_add(events->loop, fd, on_wake, &wake);

	if (error)
		return bk_fail(err, -error, "waiting: %s", strerror(-error));
	error = serve_devices(events, err); /* events that came while quiet */
	while (!error && !wake.woken) {
		error = bk__base_loop_wait(events->loop, events->impatient ? SOON_MS : -1);
		error = error < 0 ? bk_fail(err, -error, "waiting: %s", strerror(-error))
				  : serve_devices(events, err);
		if (events->impatient)
			break;
	}
	bk__base_loop_remove(events->loop, fd);
	return error;
}
