/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's devices: each on its bus, with its interrupts, its DMA and what its host has to say. */
#ifndef BK_MONITOR_DEVICES_H
#define BK_MONITOR_DEVICES_H

#include "monitor/accelerate.h"
#include "monitor/buses.h"
#include "monitor/events.h"
#include "monitor/gsi.h"
#include "monitor/iommu.h"

struct bk__device;

/* Zero-initialise `list`; the rest is the owner's. Owner only, as everything here. */
struct bk__devices {
	const struct bk__vm *vm;
	struct bk_space *memory; /* the guest's */
	struct bk__buses *buses;
	struct bk__gsi *gsis;
	struct bk__iommu *iommu;
	struct bk__events *events;
	struct bk__device *list;
	const char *busy; /* none may come or go, because of this; or NULL */
	/* Does it on another thread, and serves others meanwhile; or NULL. */
	void (*meanwhile)(void *opaque, void (*work)(void *), void *work_opaque);
	void *opaque;
};

/* -EBUSY with a line if none may come or go at this moment. */
int bk__devices_busy(const struct bk__devices *devices, struct bk_error *err);

/* On success it is ours; errors as bk__monitor_attach. */
int bk__devices_attach(struct bk__devices *devices, struct bk_mediate *mediate,
		       const struct bk__monitor_place *place, struct bk_error *err);

/* Takes it off its bus and closes it. Errors as bk__monitor_detach. */
int bk__devices_detach(struct bk__devices *devices, struct bk_mediate *mediate, struct bk_error *err);

/* Asks the guest to let it go, as bk__monitor_ask. */
int bk__devices_ask(struct bk__devices *devices, struct bk_mediate *mediate, struct bk_error *err);

/* One that the guest was asked for, and has switched off; NULL: none. */
struct bk_mediate *bk__devices_let_go(const struct bk__devices *devices);

/* Which one it is; NULL: none. */
struct bk_mediate *bk__devices_find(const struct bk__devices *devices, const struct bk_device *below);

/* The name of one that is in reset; NULL: none is. */
const char *bk__devices_in_reset(const struct bk__devices *devices);

/* Waits until none is. */
void bk__devices_wait(const struct bk__devices *devices);

/* Resets all of them, and the bridges, as so many jobs. vCPUs are parked; none comes or goes before they end.
 */
void bk__devices_reset(struct bk__devices *devices, struct bk__jobs *jobs);

/* After KVM's chips were reset: see bk__irq_renew. */
void bk__devices_renew(struct bk__devices *devices);

/* Says which functions a guest will not look at. */
void bk__devices_warn(const struct bk__devices *devices);

/* Closes all of them. */
void bk__devices_close(struct bk__devices *devices);

#endif
