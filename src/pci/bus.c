/* SPDX-License-Identifier: BSD-2-Clause */
/* A bus: its three spaces, and who is on it. */
#include "bus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "function.h"

enum { CONFIG_SHIFT = 12 };

struct bk_pci_bus *bk__bus_create(struct bk_pci_host *host, const char *name)
{
	struct bk_domain *domain = host->desc.domain;
	struct bk_pci_bus *bus = calloc(1, sizeof(*bus));
	char text[128];

	if (!bus)
		return NULL;
	bus->host = host;
	snprintf(text, sizeof(text), "%s memory", name);
	bus->memory = bk_space_create(domain, text, UINT64_MAX);
	snprintf(text, sizeof(text), "%s io", name);
	bus->io = bk_space_create(domain, text, UINT32_MAX);
	snprintf(text, sizeof(text), "%s config", name);
	bus->config = bk_space_create(domain, text, (UINT64_C(256) << CONFIG_SHIFT) - 1);
	if (bus->memory && bus->io && bus->config)
		return bus;
	bk__bus_destroy(bus);
	return NULL;
}

int bk__bus_destroy(struct bk_pci_bus *bus)
{
	struct bk_space **spaces[] = { &bus->memory, &bus->io, &bus->config };

	if (!bus)
		return 0;
	for (unsigned i = 0; i < 3; i++) {
		int error = *spaces[i] ? bk_space_destroy(*spaces[i]) : 0;

		if (error)
			return error;
		*spaces[i] = NULL;
	}
	free(bus);
	return 0;
}

struct bk_space *bk_pci_bus_memory(struct bk_pci_bus *bus)
{
	return bus->memory;
}

struct bk_space *bk_pci_bus_io(struct bk_pci_bus *bus)
{
	return bus->io;
}

/* The line that the function's pin is on: one further for each slot. */
static int line_of(const struct bk_pci_function *function)
{
	unsigned pin = function->desc.pin;

	if (!pin)
		return -1;
	return (int)(((function->devfn >> 3) + pin - 1) % function->bus->host->desc.lines);
}

/* All that a guest sees of the function appears in one update. Both locks. */
static int show(struct bk_pci_function *function)
{
	struct bk_region_desc config = {
		.name = function->name,
		.first = (uint64_t)function->devfn << CONFIG_SHIFT,
		.last = ((uint64_t)function->devfn << CONFIG_SHIFT) + function->config.size - 1,
		.rank = function->devfn,
		.kind = BK_REGION_NESTED,
		.nested = function->space,
	};
	struct bk_update *update = bk_update_begin(function->domain);
	int error;

	if (!update)
		return -ENOMEM;
	error = bk_update_add(update, function->bus->config, &config, &function->in_bus);
	if (!error)
		error = bk__map_add(function, update);
	if (!error)
		return bk_update_commit(update);
	bk_update_drop(update);
	return error;
}

static int hide(struct bk_pci_function *function)
{
	struct bk_update *update = bk_update_begin(function->domain);
	int error;

	if (!update)
		return -ENOMEM;
	error = bk_update_remove(update, function->in_bus);
	if (!error)
		error = bk__map_remove(function, update);
	if (!error)
		return bk_update_commit(update);
	bk_update_drop(update);
	return error;
}

static void forget(struct bk_pci_function *function)
{
	function->bus = NULL;
	function->in_bus = NULL;
	bk__map_forget(function);
}

int bk_pci_function_attach(struct bk_pci_function *function, struct bk_pci_bus *bus, uint8_t devfn)
{
	int error = 0;

	pthread_mutex_lock(&bus->host->lock);
	pthread_mutex_lock(&function->lock);
	if (function->bus)
		error = -EBUSY;
	else if (bus->functions[devfn])
		error = -EEXIST;
	if (error)
		goto out;
	function->bus = bus;
	function->devfn = devfn;
	error = show(function);
	if (error) {
		forget(function);
		goto out;
	}
	bus->functions[devfn] = function;
	atomic_fetch_add(&bus->in_slot[devfn >> 3], 1);
	bk__intx_move(function, line_of(function));
	bk__irq_flush(function);
out:
	pthread_mutex_unlock(&function->lock);
	pthread_mutex_unlock(&bus->host->lock);
	return error;
}

void bk_pci_function_detach(struct bk_pci_function *function)
{
	struct bk_pci_bus *bus;
	int error;

	pthread_mutex_lock(&function->lock);
	bus = function->bus;
	pthread_mutex_unlock(&function->lock);
	if (!bus)
		return;
	pthread_mutex_lock(&bus->host->lock);
	pthread_mutex_lock(&function->lock);
	if (function->bus == bus) {
		error = hide(function);
		if (error) {
			bk_log(BK_LOG_ERROR, "%s: cannot be detached now, out of memory", function->name);
		} else {
			bk__intx_move(function, -1);
			bus->functions[function->devfn] = NULL;
			atomic_fetch_sub(&bus->in_slot[function->devfn >> 3], 1);
			forget(function);
		}
	}
	pthread_mutex_unlock(&function->lock);
	pthread_mutex_unlock(&bus->host->lock);
}
