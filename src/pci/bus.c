/* SPDX-License-Identifier: BSD-2-Clause */
/* A bus: its three spaces, and who is on it. */
#include "pci/bus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pci/bridge.h"
#include "pci/express.h"
#include "pci/function.h"

struct bk_pci_bus *bk__pci_bus_create(struct bk_pci_host *host, struct bk_pci_function *bridge,
				      const char *name)
{
	struct bk_domain *domain = host->desc.domain;
	struct bk_pci_bus *bus = calloc(1, sizeof(*bus));
	char text[128];

	if (!bus)
		return NULL;
	bus->host = host;
	bus->bridge = bridge;
	atomic_init(&bus->way,
		    bridge ? 0
			   : BK__PCI_WAY_FORWARDS | BK__PCI_WAY_EXTENDED |
				     (uint32_t)host->desc.bus_first << (BK__PCI_WAY_REQUESTER_SHIFT + 8));
	snprintf(text, sizeof(text), "%s memory", name);
	bus->memory = bk_space_create(domain, text, UINT64_MAX);
	snprintf(text, sizeof(text), "%s io", name);
	bus->io = bk_space_create(domain, text, UINT32_MAX);
	snprintf(text, sizeof(text), "%s config", name);
	bus->config = bk_space_create(domain, text, (UINT64_C(256) << BK__DEVFN_SHIFT) - 1);
	snprintf(text, sizeof(text), "%s and buses below", name);
	bus->buses = bk_space_create(domain, text, (UINT64_C(256) << BK__BUS_SHIFT) - 1);
	if (bus->memory && bus->io && bus->config && bus->buses)
		return bus;
	bk__pci_bus_destroy(bus, NULL);
	return NULL;
}

int bk__pci_bus_destroy(struct bk_pci_bus *bus, struct bk_space *config)
{
	struct bk_space *all[] = { config,
				   bus ? bus->buses : NULL,
				   bus ? bus->config : NULL,
				   bus ? bus->memory : NULL,
				   bus ? bus->io : NULL,
				   bus ? bus->io_isa : NULL,
				   bus ? bus->io_vga : NULL };
	size_t count = 0;
	int error;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i])
			all[count++] = all[i];
	error = bk_space_destroy_all(all, count);
	if (!error)
		free(bus);
	return error;
}

struct bk_space *bk_pci_bus_memory(struct bk_pci_bus *bus)
{
	return bus->memory;
}

struct bk_space *bk_pci_bus_io(struct bk_pci_bus *bus)
{
	return bus->io;
}

/* A space that shows of the bus's ports what the bridge lets through that way; NULL when out of memory. */
static struct bk_space *filter(struct bk_pci_bus *bus, unsigned show, const char *name)
{
	struct bk_domain *domain = bus->host->desc.domain;
	struct bk_space *space = bk_space_create(domain, name, UINT32_MAX);
	struct bk_update *update = space ? bk_update_begin(domain) : NULL;
	struct bk__pci_place range;
	int error;

	for (unsigned i = 0; space && bk__pci_bridge_passes(show, i, &range); i++) {
		struct bk_region_desc desc = {
			.name = name,
			.first = range.first,
			.last = range.last,
			.rank = i,
			.kind = BK_REGION_NESTED,
			.nested = bus->io,
			.nested_first = range.first,
		};

		bk_update_add(update, space, &desc, NULL);
	}
	error = bk_update_commit(update, NULL);
	if (!error)
		return space;
	if (space)
		bk_space_destroy(space);
	return NULL;
}

int bk__pci_bus_filter(struct bk_pci_bus *bus, unsigned show)
{
	struct bk_space **space = show == BK__SHOW_IO_ISA ? &bus->io_isa : &bus->io_vga;
	char text[128];

	if (*space)
		return 0;
	snprintf(text, sizeof(text), "%s io %s", bus->bridge->name,
		 show == BK__SHOW_IO_ISA ? "less ISA ports" : "as aliases of VGA ports");
	*space = filter(bus, show, text);
	return *space ? 0 : -ENOMEM;
}

bool bk__pci_bus_empty(const struct bk_pci_bus *bus)
{
	for (unsigned i = 0; i < 256; i++)
		if (bus->functions[i])
			return false;
	return true;
}

/* The line that the function's pin is on: at each bridge the pin is one
 * further for each slot (PCI-to-PCI Bridge 1.2, 9.1). Host's lock. */
static int line_of(const struct bk_pci_function *function)
{
	const struct bk_pci_bus *bus = function->bus;
	unsigned slot = function->devfn >> 3, pin = function->desc.pin;

	if (!pin)
		return -1;
	for (pin--; bus && bus->bridge; bus = bus->bridge->bus) {
		pin = (pin + slot) % 4;
		slot = bus->bridge->devfn >> 3;
	}
	return bus ? (int)((slot + pin) % bus->host->desc.lines) : -1;
}

void bk__pci_bus_lines(struct bk_pci_bus *bus)
{
	for (unsigned i = 0; i < 256; i++) {
		struct bk_pci_function *function = bus->functions[i];

		if (!function)
			continue;
		pthread_mutex_lock(&function->lock);
		bk__pci_intx_move(function, line_of(function));
		if (function->secondary)
			bk__pci_bus_lines(function->secondary);
		pthread_mutex_unlock(&function->lock);
	}
}

/* How much of its config space shows on the bus: a conventional bus has no more addresses than 256 bytes need
 * (PCIe to PCI/PCI-X Bridge 1.0, 1.3.3). */
static unsigned config_size(const struct bk_pci_function *function)
{
	return atomic_load(&function->bus->way) & BK__PCI_WAY_EXTENDED ? function->config.size
								       : BK__PCI_EXTENDED;
}

/* The same, after the way changed. */
static void show_config(struct bk_pci_function *function)
{
	const uint64_t first = (uint64_t)function->devfn << BK__DEVFN_SHIFT;
	const unsigned size = config_size(function);
	struct bk_update *update;
	int error;

	if (size == function->config_shown)
		return;
	update = bk_update_begin(function->domain);
	bk_update_move(update, function->in_bus, first, first + size - 1);
	error = bk_update_commit(update, NULL);
	if (!error)
		function->config_shown = size;
	else
		bk_log_limited(&function->map_limit, BK_LOG_ERROR,
			       "%s: as much of config space shows as before: %s", function->name,
			       strerror(-error));
}

/* A conventional bus has no requester IDs: a bridge to one sends with its own, and one that is PCI Express
 * with that of its secondary bus (PCIe to PCI/PCI-X Bridge 1.0, 2.3). */
static uint32_t requester_way(const struct bk_pci_function *bridge, uint32_t above)
{
	const uint32_t number = (uint32_t)bk__pci_config_get(&bridge->config, BK__PCI_BRIDGE_SECONDARY, 1)
				<< (BK__PCI_WAY_REQUESTER_SHIFT + 8);

	if (above & BK__PCI_WAY_ALIAS)
		return above & (BK__PCI_WAY_ALIAS | UINT32_MAX << BK__PCI_WAY_REQUESTER_SHIFT);
	if (bk__pci_express_is_port(bridge))
		return number;
	if (bk__pci_express_type(bridge) == BK__PCI_EXPRESS_TO_PCI)
		return BK__PCI_WAY_ALIAS | number;
	return BK__PCI_WAY_ALIAS | (above & UINT32_MAX << BK__PCI_WAY_REQUESTER_SHIFT) |
	       (uint32_t)bridge->devfn << BK__PCI_WAY_REQUESTER_SHIFT;
}

static uint32_t way_of(const struct bk_pci_function *bridge)
{
	const uint32_t above = bridge->bus ? atomic_load(&bridge->bus->way) : BK__PCI_WAY_EXTENDED;
	uint32_t way = requester_way(bridge, above);

	if (above & BK__PCI_WAY_FORWARDS && bk__pci_bridge_forwards(bridge))
		way |= BK__PCI_WAY_FORWARDS;
	if (above & BK__PCI_WAY_RETRY || bk__pci_express_shows_retry(bridge))
		way |= BK__PCI_WAY_RETRY;
	if (above & BK__PCI_WAY_EXTENDED && bk__pci_express_is_port(bridge))
		way |= BK__PCI_WAY_EXTENDED;
	return way;
}

void bk__pci_bus_forward(struct bk_pci_bus *bus)
{
	const uint32_t way = way_of(bus->bridge);

	if (atomic_exchange(&bus->way, way) == way)
		return;
	for (unsigned i = 0; i < 256; i++) {
		struct bk_pci_function *function = bus->functions[i];

		if (!function)
			continue;
		pthread_mutex_lock(&function->lock);
		show_config(function);
		bk__pci_function_upstream(function);
		pthread_mutex_unlock(&function->lock);
	}
}

bool bk__pci_bus_stops(const struct bk_pci_function *function)
{
	return function->bus ? !(atomic_load(&function->bus->way) & BK__PCI_WAY_FORWARDS)
			     : function->detached;
}

uint16_t bk__pci_bus_requester(const struct bk_pci_function *function)
{
	const uint32_t way = atomic_load(&function->bus->way);
	const uint16_t requester = (uint16_t)(way >> BK__PCI_WAY_REQUESTER_SHIFT);

	return way & BK__PCI_WAY_ALIAS ? requester : requester | function->devfn;
}

bool bk__pci_bus_shows_retry(const struct bk_pci_function *function)
{
	return function->bus && atomic_load(&function->bus->way) & BK__PCI_WAY_RETRY;
}

/* All that a guest sees of the function appears in one update. Both locks. */
static int show(struct bk_pci_function *function)
{
	struct bk_region_desc config = {
		.name = function->name,
		.first = (uint64_t)function->devfn << BK__DEVFN_SHIFT,
		.last = ((uint64_t)function->devfn << BK__DEVFN_SHIFT) + config_size(function) - 1,
		.rank = function->devfn,
		.kind = BK_REGION_NESTED,
		.nested = function->space,
	};
	struct bk_update *update = bk_update_begin(function->domain);
	int error;

	function->config_shown = config_size(function);
	bk_update_add(update, function->bus->config, &config, &function->in_bus);
	error = bk__pci_map_add(function, update);
	if (!error)
		return bk_update_commit(update, NULL);
	bk_update_drop(update);
	return error;
}

static int hide(struct bk_pci_function *function)
{
	struct bk_update *update = bk_update_begin(function->domain);

	bk_update_remove(update, function->in_bus);
	bk__pci_map_remove(function, update);
	return bk_update_commit(update, NULL);
}

static void forget(struct bk_pci_function *function)
{
	function->bus = NULL;
	function->in_bus = NULL;
	bk__pci_map_forget(function);
}

/* Who is on the bus changed, and the port above may have a slot. Host's lock. */
static void tell_slot(struct bk_pci_bus *bus)
{
	struct bk_pci_function *port = bus->bridge;

	if (!port)
		return;
	pthread_mutex_lock(&port->lock);
	bk__pci_slot_changed(port);
	bk__pci_slot_settle(port);
	bk__pci_intx_settle(port);
	pthread_mutex_unlock(&port->lock);
}

int bk_pci_function_attach(struct bk_pci_function *function, struct bk_pci_bus *bus, uint8_t devfn)
{
	int error = 0;

	pthread_mutex_lock(&bus->host->lock);
	pthread_mutex_lock(&function->lock);
	if (function->bus)
		error = -EBUSY;
	else if (function->secondary && function->secondary->host != bus->host)
		error = -EXDEV;
	else if (bus->functions[devfn])
		error = -EEXIST;
	else if (!bus->host->own_config)
		error = -ESHUTDOWN;
	if (error)
		goto out;
	function->bus = bus;
	function->devfn = devfn;
	error = show(function);
	if (error) {
		forget(function);
		goto out;
	}
	function->detached = false;
	bus->functions[devfn] = function;
	atomic_fetch_add(&bus->in_slot[devfn >> 3], 1);
	bk__pci_intx_move(function, line_of(function));
	bk__pci_function_upstream(function);
	if (function->secondary)
		bk__pci_bus_lines(function->secondary);
out:
	pthread_mutex_unlock(&function->lock);
	if (!error)
		tell_slot(bus);
	pthread_mutex_unlock(&bus->host->lock);
	return error;
}

/* Both locks. */
static int detach(struct bk_pci_function *function)
{
	struct bk_pci_bus *bus = function->bus;
	int error = hide(function);

	if (error)
		return error;
	bk__pci_intx_move(function, -1);
	bus->functions[function->devfn] = NULL;
	atomic_fetch_sub(&bus->in_slot[function->devfn >> 3], 1);
	forget(function);
	function->detached = true;
	bk__pci_function_upstream(function);
	if (function->secondary)
		bk__pci_bus_lines(function->secondary);
	return 0;
}

int bk_pci_function_detach(struct bk_pci_function *function)
{
	struct bk_pci_bus *bus;
	int error = 0;

	pthread_mutex_lock(&function->lock);
	bus = function->bus;
	pthread_mutex_unlock(&function->lock);
	if (!bus)
		return 0;
	pthread_mutex_lock(&bus->host->lock);
	pthread_mutex_lock(&function->lock);
	if (function->bus == bus)
		error = detach(function);
	pthread_mutex_unlock(&function->lock);
	if (!error)
		tell_slot(bus);
	pthread_mutex_unlock(&bus->host->lock);
	return error;
}
