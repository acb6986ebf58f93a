/* SPDX-License-Identifier: BSD-2-Clause */
/* Adds and removes the machine's devices and bridges. */
#include "monitor/machine.h"

#include <errno.h>

int bk__monitor_bridge(struct bk__monitor *monitor, const struct bk__monitor_bridge_config *config,
		       struct bk_error *err)
{
	return bk__monitor_buses_bridge(monitor->buses, config, err);
}

int bk__monitor_bus(struct bk__monitor *monitor, const char *name, enum bk__monitor_bus_kind *kind,
		    struct bk_error *err)
{
	const struct bk__monitor_bus *bus = bk__monitor_buses_find(monitor->buses, name, err);

	if (!bus)
		return -ENOENT;
	*kind = bus->kind;
	return 0;
}

int bk__monitor_attach(struct bk__monitor *monitor, struct bk_mediator *mediate,
		       const struct bk__monitor_place *place, struct bk_error *err)
{
	return bk__monitor_devices_attach(&monitor->devices, mediate, place, err);
}

int bk__monitor_busy(const struct bk__monitor *monitor, struct bk_error *err)
{
	return bk__monitor_devices_busy(&monitor->devices, err);
}

int bk__monitor_detach(struct bk__monitor *monitor, struct bk_mediator *mediate, struct bk_error *err)
{
	return bk__monitor_devices_detach(&monitor->devices, mediate, err);
}

void bk__monitor_groups(struct bk__monitor *monitor, const int *fds, unsigned count)
{
	if (count && !monitor->groups)
		monitor->groups = bk__monitor_groups_create(&monitor->vm);
	if (monitor->groups)
		bk__monitor_groups_set(monitor->groups, fds, count);
}

int bk__monitor_watch(struct bk__monitor *monitor, int fd, void (*ready)(void *opaque), void *opaque)
{
	return bk__base_loop_add(monitor->events.loop, fd, ready, opaque);
}

static bool on_wanted(void *opaque, struct bk_device *device)
{
	struct bk__monitor *monitor = opaque;
	struct bk_mediator *mediate = bk__monitor_devices_find(&monitor->devices, device);

	/* No device leaves during a reset, and the host asks only once for this one. */
	bk__monitor_devices_wait(&monitor->devices);
	return mediate && monitor->wanted(monitor->wanted_opaque, mediate);
}

void bk__monitor_wanted(struct bk__monitor *monitor,
			bool (*wanted)(void *opaque, struct bk_mediator *mediate), void *opaque)
{
	monitor->wanted = wanted;
	monitor->wanted_opaque = opaque;
	monitor->events.wanted = on_wanted;
	monitor->events.opaque = monitor;
}

int bk__monitor_ask(struct bk__monitor *monitor, struct bk_mediator *mediate, struct bk_error *err)
{
	return bk__monitor_devices_ask(&monitor->devices, mediate, err);
}

void bk__monitor_let_go(struct bk__monitor *monitor, void (*gone)(void *opaque, struct bk_mediator *mediate),
			void *opaque)
{
	monitor->gone = gone;
	monitor->gone_opaque = opaque;
}
