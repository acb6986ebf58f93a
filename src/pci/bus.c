/* SPDX-License-Identifier: BSD-2-Clause */
/* A bus: its three spaces, and the functions on it. */
#include "pci/bus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

bool bk__pci_bus_empty(const struct bk_pci_bus *bus)
{
	for (unsigned i = 0; i < 256; i++)
		if (bus->functions[i])
			return false;
	return true;
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
