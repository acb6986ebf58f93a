/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's devices: each on its bus, with its interrupts, its DMA and events from its host. */
#ifndef BK_MONITOR_DEVICES_H
#define BK_MONITOR_DEVICES_H

#include "monitor/ioeventfd.h"
#include "monitor/buses.h"
#include "monitor/events.h"
#include "monitor/gsi.h"
#include "monitor/iommu.h"
#include "monitor/map_log.h"

struct bk__monitor_device;

/* Zero-initialise `list`; the rest is the owner's. Owner only, as everything here. */
struct bk__monitor_devices {
	const struct bk__monitor_vm *vm;
	struct bk_space *memory, *ports; /* the guest's */
	struct bk__monitor_buses *buses;
	struct bk__monitor_gsi *gsis;
	struct bk__monitor_iommu *iommu;
	struct bk__monitor_map_log *map_log; /* or NULL */
	struct bk__monitor_events *events;
	struct bk__monitor_device *list;
	const char *busy; /* none may come or go, because of this; or NULL */
	/* Does it on another thread, and serves others meanwhile; or NULL. */
	void (*meanwhile)(void *opaque, void (*work)(void *), void *work_opaque);
	void *opaque;
};

/* -EBUSY with a line if none may come or go at this moment. */
int bk__monitor_devices_busy(const struct bk__monitor_devices *devices, struct bk_error *err);

/* On success it is ours; errors as bk__monitor_attach. */
int bk__monitor_devices_attach(struct bk__monitor_devices *devices, struct bk_mediator *mediate,
			       const struct bk__monitor_place *place, struct bk_error *err);

/* Takes it off its bus and closes it. Errors as bk__monitor_detach. */
int bk__monitor_devices_detach(struct bk__monitor_devices *devices, struct bk_mediator *mediate,
			       struct bk_error *err);

/* Asks the guest to let it go, as bk__monitor_ask. */
int bk__monitor_devices_ask(struct bk__monitor_devices *devices, struct bk_mediator *mediate,
			    struct bk_error *err);

/* One that the guest was asked for, and has switched off; NULL: none. */
struct bk_mediator *bk__monitor_devices_let_go(const struct bk__monitor_devices *devices);

/* Which one it is; NULL: none. */
struct bk_mediator *bk__monitor_devices_find(const struct bk__monitor_devices *devices,
					     const struct bk_device *below);

/* The name of one that is in reset; NULL: none is. */
const char *bk__monitor_devices_in_reset(const struct bk__monitor_devices *devices);

/* Waits until none is. */
void bk__monitor_devices_wait(const struct bk__monitor_devices *devices);

/* Resets all of them, and the bridges, as so many jobs. vCPUs are parked; none comes or goes before they end.
 */
void bk__monitor_devices_reset(struct bk__monitor_devices *devices, struct bk__monitor_jobs *jobs);

/* After KVM's chips were reset: see bk__monitor_irq_renew. */
void bk__monitor_devices_renew(struct bk__monitor_devices *devices);

/* Says which functions a guest will not look at. */
void bk__monitor_devices_warn(const struct bk__monitor_devices *devices);

/* Closes all of them. */
void bk__monitor_devices_close(struct bk__monitor_devices *devices);

#endif
