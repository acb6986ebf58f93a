/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's buses: the host bridge's own and those below bridges, and what is in their slots. */
#ifndef BK_MONITOR_BUSES_H
#define BK_MONITOR_BUSES_H

#include "monitor/jobs.h"
#include "monitor/monitor.h"

struct bk__monitor_buses;

struct bk__monitor_bus {
	struct bk__monitor_bus *next;
	struct bk__monitor_bus *above; /* NULL: the root bus */
	char *name;                    /* of the bridge; NULL: the root bus */
	enum bk__monitor_bus_kind kind;
	struct bk_pci_bus *bus;
	struct bk_pci_function *bridge; /* NULL: the root bus */
	uint8_t devfn;                  /* of the bridge, on the bus above */
	char *taken[256];               /* what is there, by devfn */
	bool leaving;                   /* the guest was asked to let the card in the slot go */
};

/* The root bus, with `first` at 00.0. `power_off` is called when the guest switches off the power of a slot,
 * under locks: no more than a note of it. NULL when out of memory. Owner only, as everything here. */
struct bk__monitor_buses *bk__monitor_buses_create(struct bk_pci_host *host, const char *first,
						   void (*power_off)(void *opaque), void *opaque);

/* What is on the buses has left them. */
void bk__monitor_buses_destroy(struct bk__monitor_buses *buses);

/* Makes a bridge, and puts it on its bus. Errors as bk__monitor_bridge. */
int bk__monitor_buses_bridge(struct bk__monitor_buses *buses, const struct bk__monitor_bridge_config *config,
			     struct bk_error *err);

/* The bus below a bridge, or the root bus; NULL with a line if no bridge has that name. */
struct bk__monitor_bus *bk__monitor_buses_find(struct bk__monitor_buses *buses, const char *name,
					       struct bk_error *err);

/* Takes a place, or the first free slot where the slot is -1: its devfn, or -EINVAL, -EEXIST, -ENOSPC,
 * -ENOMEM with a line. */
int bk__monitor_bus_take(struct bk__monitor_bus *bus, int slot, unsigned function, const char *who,
			 struct bk_error *err);
void bk__monitor_bus_leave(struct bk__monitor_bus *bus, uint8_t devfn);

/* Resets the bridges on the root bus, and with each of them all that is below: each bridge is a job. */
void bk__monitor_buses_reset(struct bk__monitor_buses *buses, struct bk__monitor_jobs *jobs);

#endif
