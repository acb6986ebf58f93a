/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's buses: the host bridge's own and those below bridges, and what is in their slots.
 *
 * A PCI Express machine has root ports, each with a hot-plug slot. A PCI bridge behind one is a PCIe-to-PCI
 * bridge; elsewhere it is a conventional one.
 */
#include "monitor/buses.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/pci_regs.h"
#include "base/ratelimit.h"

/* The ids are those of QEMU's bridges, which need no driver of their own. */
#define VENDOR      0x1b36
#define ROOT_PORT   0x000c
#define PCI_BRIDGE  0x0001
#define PCIE_TO_PCI 0x000e
#define CLASS       0x060400

#define ROOM 0x200000 /* bytes of a slot, unless configured */

#define FASTEST 6  /* 64 GT/s: cards show their own link speed, and no port may be slower */
#define WIDEST  32 /* lanes */

struct bk__monitor_buses {
	struct bk_pci_host *host;
	struct bk__monitor_bus *root; /* the first of the list; a bus comes after its parent */
	unsigned ports;
	void (*power_off)(void *opaque);
	void *opaque;
};

static void on_power(void *opaque, bool on)
{
	const struct bk__monitor_buses *buses = opaque;

	if (!on)
		buses->power_off(buses->opaque);
}

/* ---- Bridges ----------------------------------------------------------- */

/* `speed` as in Max Link Speed (1 is 2.5 GT/s), `lanes` as in Maximum Link Width. */
static int add_express(struct bk_pci_function *bridge, unsigned type, unsigned speed, unsigned lanes,
		       unsigned port)
{
	uint8_t bytes[BK__PCI_EXPRESS_SIZE] = { 0 };
	uint32_t link = speed | lanes << BK__PCI_EXPRESS_LINK_STATUS_WIDTH_SHIFT |
			port << BK__PCI_EXPRESS_LINK_CAPABILITIES_PORT_SHIFT;
	int at;

	/* A link with more than one speed or lane reports changes (PCIe 7.5.3.6). */
	if (type == BK__PCI_EXPRESS_ROOT_PORT)
		link |= BK__PCI_EXPRESS_LINK_CAPABILITIES_BANDWIDTH;
	bk__store(bytes + BK__PCI_EXPRESS_CAPABILITIES, 2,
		  2 | type << BK__PCI_EXPRESS_CAPABILITIES_TYPE_SHIFT);
	bk__store(bytes + BK__PCI_EXPRESS_DEVICE_CAPABILITIES, 4,
		  BK__PCI_EXPRESS_DEVICE_CAPABILITIES_ROLE_ERRORS);
	bk__store(bytes + BK__PCI_EXPRESS_LINK_CAPABILITIES, 4, link);
	bk__store(bytes + BK__PCI_EXPRESS_LINK_STATUS, 2, BK__PCI_EXPRESS_LINK_STATUS_SLOWEST);
	bk__store(bytes + BK__PCI_EXPRESS_LINK_CAPABILITIES_2, 4, (2u << speed) - 2);
	bk__store(bytes + BK__PCI_EXPRESS_LINK_CONTROL_2, 2, speed);
	if (type == BK__PCI_EXPRESS_ROOT_PORT)
		bk__store(bytes + BK__PCI_EXPRESS_ROOT_CAPABILITIES, 2,
			  BK__PCI_EXPRESS_ROOT_CAPABILITIES_RETRY);
	at = bk_pci_express_add(bridge, 0, bytes, sizeof(bytes));
	return at < 0 ? at : 0;
}

static int add_slot(struct bk__monitor_buses *buses, struct bk_pci_function *port,
		    const struct bk__monitor_bridge_config *config)
{
	int error = bk_pci_slot_add(port, ++buses->ports);

	if (!error && (config->memory || config->prefetchable))
		error = bk_pci_slot_set_room(port, config->memory ? config->memory : ROOM,
					     config->prefetchable ? config->prefetchable : ROOM);
	if (!error)
		error = bk_pci_slot_add_button(port, on_power, buses);
	return error;
}

static int add_capabilities(struct bk__monitor_buses *buses, struct bk_pci_function *bridge,
			    const struct bk__monitor_bridge_config *config, bool express)
{
	const enum bk__monitor_bus_kind kind = config->kind;
	uint8_t subsystem[8] = { 0 };
	int at = bk_pci_pm_add(bridge, 0, BK__PCI_PM_PMC_VERSION_1_2, true);

	bk__store(subsystem + 4, 2, VENDOR);
	if (at >= 0)
		at = bk_pci_capability_add(bridge,
					   &(struct bk_pci_capability_desc){ .id = BK__PCI_CAP_SUBSYSTEM,
									     .size = sizeof(subsystem),
									     .bytes = subsystem });
	if (at >= 0 && kind == BK__BUS_PORT)
		at = bk_pci_msi_add(bridge, 0, 1, true, false);
	if (at >= 0 && kind == BK__BUS_PORT) {
		at = add_express(bridge, BK__PCI_EXPRESS_ROOT_PORT, FASTEST, WIDEST, buses->ports + 1);
		if (!at)
			at = add_slot(buses, bridge, config);
	} else if (at >= 0 && express) {
		at = add_express(bridge, BK__PCI_EXPRESS_TO_PCI, 1, 1, 0);
	}
	return at < 0 ? at : 0;
}

static int create_bridge(struct bk__monitor_buses *buses, const struct bk__monitor_bridge_config *config,
			 bool express, struct bk_pci_function **bridge, struct bk_error *err)
{
	const bool port = config->kind == BK__BUS_PORT;
	const struct bk_pci_function_desc desc = {
		.name = config->name,
		.vendor = VENDOR,
		.device = port      ? ROOT_PORT
			  : express ? PCIE_TO_PCI
				    : PCI_BRIDGE,
		.class_code = CLASS,
		.pin = port,
		.extended = express,
	};
	int error = bk_pci_bridge_create(buses->host, &desc, bridge, err);

	if (error)
		return error;
	error = add_capabilities(buses, *bridge, config, express);
	if (error) {
		bk_pci_function_destroy(*bridge);
		return bk_fail(err, -error, "bridge %s: %s", config->name, strerror(-error));
	}
	return 0;
}

int bk__monitor_buses_bridge(struct bk__monitor_buses *buses, const struct bk__monitor_bridge_config *config,
			     struct bk_error *err)
{
	struct bk__monitor_bus *above = bk__monitor_buses_find(buses, config->bus, err),
			       **last = &buses->root, *bus;
	const bool express = config->kind == BK__BUS_PORT || (above && above->kind == BK__BUS_PORT);
	int devfn, error;

	if (!above)
		return -ENOENT;
	if (config->kind == BK__BUS_PORT && above->above)
		return bk_fail(err, EINVAL, "bridge %s: a root port is on the root bus, not behind %s",
			       config->name, config->bus);
	for (bus = buses->root; bus; last = &bus->next, bus = bus->next)
		if (bus->name && !strcmp(bus->name, config->name))
			return bk_fail(err, EEXIST, "bridge %s: there are two of that name", config->name);
	bus = calloc(1, sizeof(*bus));
	if (!bus || !(bus->name = strdup(config->name))) {
		free(bus);
		return bk_fail(err, ENOMEM, "bridge %s: out of memory", config->name);
	}
	bus->kind = config->kind;
	devfn = bk__monitor_bus_take(above, config->slot, config->function, config->name, err);
	error = devfn < 0 ? devfn : create_bridge(buses, config, express, &bus->bridge, err);
	if (!error) {
		error = bk_pci_function_attach(bus->bridge, above->bus, (uint8_t)devfn);
		if (error) {
			bk_pci_function_destroy(bus->bridge);
			bk_fail(err, -error, "bridge %s: %s", config->name, strerror(-error));
		}
	}
	if (error) {
		if (devfn >= 0)
			bk__monitor_bus_leave(above, (uint8_t)devfn);
		free(bus->name);
		free(bus);
		return error;
	}
	bus->above = above;
	bus->devfn = (uint8_t)devfn;
	bus->bus = bk_pci_bridge_bus(bus->bridge);
	*last = bus;
	return 0;
}

/* ---- Buses and places -------------------------------------------------- */

struct bk__monitor_buses *bk__monitor_buses_create(struct bk_pci_host *host, const char *first,
						   void (*power_off)(void *opaque), void *opaque)
{
	struct bk__monitor_buses *buses = calloc(1, sizeof(*buses));

	if (!buses)
		return NULL;
	buses->host = host;
	buses->power_off = power_off;
	buses->opaque = opaque;
	buses->root = calloc(1, sizeof(*buses->root));
	if (buses->root) {
		buses->root->bus = bk_pci_host_bus(host);
		buses->root->taken[0] = strdup(first);
	}
	if (buses->root && buses->root->taken[0])
		return buses;
	bk__monitor_buses_destroy(buses);
	return NULL;
}

/* From the last bus to the first, so that a bridge goes after those below it. */
static void destroy(struct bk__monitor_bus *bus)
{
	if (!bus)
		return;
	destroy(bus->next);
	if (bus->bridge) {
		bk_pci_function_detach(bus->bridge);
		bk_pci_function_destroy(bus->bridge);
	}
	for (unsigned i = 0; i < 256; i++)
		free(bus->taken[i]);
	free(bus->name);
	free(bus);
}

void bk__monitor_buses_destroy(struct bk__monitor_buses *buses)
{
	if (!buses)
		return;
	destroy(buses->root);
	free(buses);
}

struct bk__monitor_bus *bk__monitor_buses_find(struct bk__monitor_buses *buses, const char *name,
					       struct bk_error *err)
{
	for (struct bk__monitor_bus *bus = buses->root; bus; bus = bus->next)
		if (name ? bus->name && !strcmp(bus->name, name) : !bus->name)
			return bus;
	bk_fail(err, ENOENT, "bus=%s: no bridge has that name (see --bridge)", name);
	return NULL;
}

static const char *bus_name(const struct bk__monitor_bus *bus)
{
	return bus->name ? bus->name : "the root bus";
}

/* The first slot without any function, or -1. */
static int free_slot(const struct bk__monitor_bus *bus, int last)
{
	for (int slot = 0; slot <= last; slot++) {
		bool used = false;

		for (unsigned i = 0; i < 8; i++)
			used |= bus->taken[BK_PCI_DEVFN(slot, i)] != NULL;
		if (!used)
			return slot;
	}
	return -1;
}

int bk__monitor_bus_take(struct bk__monitor_bus *bus, int slot, unsigned function, const char *who,
			 struct bk_error *err)
{
	const int last = bus->kind == BK__BUS_PORT ? 0 : 31; /* a link leads to one device (PCIe 7.3.1) */
	char **place;

	if (slot < 0 && !last && !bus->taken[function])
		slot = 0; /* with the other functions of the card */
	if (slot < 0)
		slot = free_slot(bus, last);
	if (slot < 0)
		return bk_fail(err, ENOSPC,
			       last ? "%s: all slots of %s are taken" : "%s: the slot of %s is taken", who,
			       bus_name(bus));
	if (slot > last)
		return bk_fail(err, EINVAL, "%s: behind a root port there is slot 00 alone, not %02x", who,
			       (unsigned)slot);
	place = &bus->taken[BK_PCI_DEVFN(slot, function)];
	if (*place)
		return bk_fail(err, EEXIST, "%s: addr=%02x.%x on %s is taken by %s", who, (unsigned)slot,
			       function, bus_name(bus), *place);
	*place = strdup(who);
	if (!*place)
		return bk_fail(err, ENOMEM, "%s: out of memory", who);
	return BK_PCI_DEVFN(slot, function);
}

void bk__monitor_bus_leave(struct bk__monitor_bus *bus, uint8_t devfn)
{
	free(bus->taken[devfn]);
	bus->taken[devfn] = NULL;
	if (!devfn)
		bus->leaving = false;
}

static void reset_bridge(void *opaque)
{
	static struct bk__ratelimit limit;
	const struct bk__monitor_bus *bus = opaque;
	const int error = bk_pci_function_reset(bus->bridge);

	if (error)
		bk__log_limited(&limit, BK_LOG_WARNING, "%s: not reset: %s", bus->name, strerror(-error));
}

void bk__monitor_buses_reset(struct bk__monitor_buses *buses, struct bk__monitor_jobs *jobs)
{
	for (struct bk__monitor_bus *bus = buses->root->next; bus; bus = bus->next)
		if (bus->above == buses->root)
			bk__monitor_jobs_add(jobs, reset_bridge, bus);
}
