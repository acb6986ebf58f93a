/* SPDX-License-Identifier: BSD-2-Clause */
/* What a function passes on to those below it: settling of registers, resets, attaching and
 * detaching. */
#include "pci/hierarchy.h"

#include <errno.h>
#include <string.h>

#include "base/ratelimit.h"
#include "pci/bridge.h"
#include "pci/bus.h"
#include "pci/express.h"
#include "pci/function.h"
#include "pci/kind.h"
#include "pci/resets.h"

/* ---- What the bridges above let through --------------------------------- */

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
		bk__log_limited(&function->map_limit, BK_LOG_ERROR,
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

static void upstream(struct bk_pci_function *function);

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
		upstream(function);
		pthread_mutex_unlock(&function->lock);
	}
}

/* The part of it which depends on whether bridges above forward what the function sends. */
static void upstream(struct bk_pci_function *function)
{
	uint16_t command = bk__pci_command(function);

	if (bk__pci_bus_stops(function) || bk__pci_pm_state(function) != 0)
		command &= (uint16_t)~BK__PCI_COMMAND_MASTER;
	if (!atomic_load_explicit(&function->in_reset, memory_order_relaxed)) {
		bk__pci_irq_settle(function);
		if (command != function->command) {
			function->command = command;
			if (function->desc.command)
				function->desc.command(function->desc.opaque, command);
		}
	}
	if (function->secondary)
		bk__pci_bus_forward(function->secondary);
}

void bk__pci_function_settle(struct bk_pci_function *function)
{
	bk__pci_kinds_settle(function);
	bk__pci_map_settle(function);
	upstream(function);
	bk__pci_slot_settle(function);
	bk__pci_intx_settle(function);
}

/* ---- Resets --------------------------------------------------------------- */

/* An owner's reset may be slow: it is called with no lock held, and the function cannot be destroyed before.
 */
static void append(struct bk__pci_resets *list, struct bk_pci_function *function)
{
	atomic_store(&function->in_reset, true);
	function->next_reset = NULL;
	if (list->last)
		list->last->next_reset = function;
	else
		list->first = function;
	list->last = function;
}

bool bk__pci_reset_begin(struct bk_pci_function *function, enum bk__pci_reset kind,
			 struct bk__pci_resets *list)
{
	if (atomic_load(&function->in_reset))
		return false;
	function->intx_level = false;
	bk__pci_reset_registers(function, kind);
	bk__pci_irq_reset(function);
	bk__pci_function_settle(function);
	if (function->secondary)
		bk__pci_reset_bus(function->secondary, kind == BK__PCI_RESET_POWER ? kind : BK__PCI_RESET_BUS,
				  list);
	if (function->desc.reset)
		append(list, function);
	return true;
}

void bk__pci_reset_bus(struct bk_pci_bus *bus, enum bk__pci_reset kind, struct bk__pci_resets *list)
{
	for (unsigned i = 0; i < 256; i++) {
		struct bk_pci_function *function = bus->functions[i];

		if (!function)
			continue;
		pthread_mutex_lock(&function->lock);
		bk__pci_reset_begin(function, kind, list);
		pthread_mutex_unlock(&function->lock);
	}
}

/* ---- Who is on which bus -------------------------------------------------- */

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

/* All functions on it and below are on the lines that they now are on. Host's lock, and the lock of the
 * bridge above. */
static void move_lines(struct bk_pci_bus *bus)
{
	for (unsigned i = 0; i < 256; i++) {
		struct bk_pci_function *function = bus->functions[i];

		if (!function)
			continue;
		pthread_mutex_lock(&function->lock);
		bk__pci_intx_move(function, line_of(function));
		if (function->secondary)
			move_lines(function->secondary);
		pthread_mutex_unlock(&function->lock);
	}
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
	port->slot.occupied = bus->functions[0] != NULL;
	if (port->slot.there) {
		bk__pci_map_settle(port);
		upstream(port);
	}
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
	upstream(function);
	if (function->secondary)
		move_lines(function->secondary);
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
	upstream(function);
	if (function->secondary)
		move_lines(function->secondary);
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
