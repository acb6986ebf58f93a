/* SPDX-License-Identifier: BSD-2-Clause */
/* Events from a device's host while the guest runs: an error of the device, and a request to give it
 * back.
 */
#ifndef BK_MONITOR_EVENTS_H
#define BK_MONITOR_EVENTS_H

#include <barkeep/device.h>

#include "base/loop.h"

/* One thing that a device may say. */
struct bk__monitor_event {
	struct bk__monitor_event *next;
	struct bk_device *device;
	unsigned index; /* BK_DEVICE_ERR or BK_DEVICE_REQ */
	bool told;      /* and not served yet */
	int fd;
};

/* Zero-initialise it except for the loop, which others may use, too. The owner's thread only. */
struct bk__monitor_events {
	struct bk__base_loop *loop;
	/* True: the device that its host wants back is not ours any more (bk__monitor_events_remove). May be
	 * NULL. */
	bool (*wanted)(void *opaque, struct bk_device *device);
	void *opaque;
	bool quiet;     /* devices are not listened to at this moment; what they say waits */
	bool impatient; /* come back soon even if nothing happens: something awaited gives no notice
			 */
	struct bk__monitor_event *list;
};

/* Listens to what the device can say; that it cannot is no failure. */
void bk__monitor_events_add(struct bk__monitor_events *events, struct bk_device *device);

/* Before the device is closed. */
void bk__monitor_events_remove(struct bk__monitor_events *events, struct bk_device *device);

/*
 * Runs the loop until the eventfd `wake` is written, and empties it, or, if it is impatient, for a moment or
 * until anything happens. An error of a device becomes a line in the log: the guest's driver has to deal with
 * it. -ENODEV with a line when the host wants a device back, which it waits for, and `wanted` cannot give
 * it: the guest cannot go on without. What the loop calls may add and remove devices, and wait in here for
 * another eventfd.
 */
int bk__monitor_events_wait(struct bk__monitor_events *events, int wake, struct bk_error *err);

#endif
