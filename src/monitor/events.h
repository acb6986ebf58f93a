/* SPDX-License-Identifier: BSD-2-Clause */
/* What a device's host has to say while the guest runs: an error of the device, and that it is wanted back.
 */
#ifndef BK_MONITOR_EVENTS_H
#define BK_MONITOR_EVENTS_H

#include <barkeep/device.h>

#define BK__EVENTS_MAX 768 /* three a device; those of more devices are not heard */

/* Something else that is waited for. */
struct bk__monitor_watch {
	int fd;
	void (*ready)(void *opaque); /* NULL: nothing is */
	void *opaque;
};

/* Zero-initialise it. The owner's thread only. */
struct bk__monitor_events {
	struct bk__monitor_watch watch;
	/* True: the device that its host wants back is not ours any more (bk__monitor_events_remove). May be
	 * NULL. */
	bool (*wanted)(void *opaque, struct bk_device *device);
	void *opaque;
	bool quiet;     /* devices are not listened to at this moment; what they say waits */
	bool impatient; /* come back soon even if nothing happens: something is waited for that tells nobody
			 */
	unsigned count;
	struct bk__monitor_event {
		struct bk_device *device;
		unsigned index; /* BK_DEVICE_ERR or BK_DEVICE_REQ */
		int fd;
		void (*ready)(void *opaque); /* NULL: the fd is the device's, and `index` says what for */
		void *opaque;
	} entries[BK__EVENTS_MAX];
};

/* Listens to what the device can say; that it cannot is no failure. */
void bk__monitor_events_add(struct bk__monitor_events *events, struct bk_device *device);

/* Before the device is closed. */
void bk__monitor_events_remove(struct bk__monitor_events *events, struct bk_device *device);

/* Calls `ready` on the owner's thread when the fd can be read, even while it is quiet; it must not add or
 * remove anything. False: there are too many. */
bool bk__monitor_events_poll(struct bk__monitor_events *events, int fd, void (*ready)(void *opaque),
			     void *opaque);

/* That again, before the fd is closed. */
void bk__monitor_events_ignore(struct bk__monitor_events *events, int fd);

/*
 * Waits until the eventfd `wake` is written, and empties it, or, if it is impatient, for a moment or until
 * anything happens. An error of a device becomes a line in the log: the guest's driver has to deal with
 * it. -ENODEV with a line when the host wants a device back, which it waits for, and `wanted` cannot give
 * it: the guest cannot go on without. Meanwhile calls the watch's `ready` when its fd can be read, which
 * may add and remove devices.
 */
int bk__monitor_events_wait(struct bk__monitor_events *events, int wake, struct bk_error *err);

#endif
