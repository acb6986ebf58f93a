/* SPDX-License-Identifier: BSD-2-Clause */
/* The host bridge: windows, ECAM (PCIe 7.2.2), and the ports 0xcf8 and 0xcfc (PCI 3.0 3.2.2.3.2). */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/struct.h"
#include "pci/bus.h"
#include "pci/config.h"

enum {
	PORT_INDEX = 0xcf8,
	PORT_DATA = 0xcfc,
	INDEX_ENABLE = 1u << 31,
	INDEX_WRITABLE = INDEX_ENABLE | 0xfffffc, /* the rest is read-only zero */
};

/* ---- CF8 and CFC ------------------------------------------------------- */

static int index_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	struct bk_pci_host *host = opaque;

	if (width == 4) { /* all of it */
		*value = atomic_load(&host->address);
		return 0;
	}
	if (host->desc.ports_below)
		return bk_space_read(host->desc.ports_below, PORT_INDEX + offset, width, value);
	*value = UINT64_MAX;
	return 0;
}

/* Only a write of the whole register is one of this register; others go to the ports below. */
static int index_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	struct bk_pci_host *host = opaque;

	if (width == 4) { /* all of it */
		atomic_store(&host->address, (uint32_t)value & INDEX_WRITABLE);
		return 0;
	}
	if (host->desc.ports_below)
		return bk_space_write(host->desc.ports_below, PORT_INDEX + offset, width, value);
	return 0;
}

/* Where in config the data ports are now; false: nowhere, they are plain ports. Bits 1:0 come from the port.
 */
static bool data_address(struct bk_pci_host *host, uint64_t offset, uint64_t *address)
{
	uint32_t index = atomic_load(&host->address);

	*address = (uint64_t)(index >> 8 & 0xffff) << 12 | (index & 0xff) | offset;
	return index & INDEX_ENABLE;
}

/* Is that on one of the host's buses, which ECAM shows, too? */
static bool is_on_bus(const struct bk_pci_host *host, uint64_t address)
{
	const uint64_t bus = address >> BK__BUS_SHIFT;

	return bus >= host->desc.bus_first && bus <= host->desc.bus_last;
}

static int data_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	struct bk_pci_host *host = opaque;
	uint64_t address;

	if (data_address(host, offset, &address)) {
		if (is_on_bus(host, address))
			return bk_space_read(host->root->buses, address, width, value);
		*value = UINT64_MAX;
		return 0;
	}
	if (host->desc.ports_below)
		return bk_space_read(host->desc.ports_below, PORT_DATA + offset, width, value);
	*value = UINT64_MAX;
	return 0;
}

static int data_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	struct bk_pci_host *host = opaque;
	uint64_t address;

	if (data_address(host, offset, &address))
		return is_on_bus(host, address) ? bk_space_write(host->root->buses, address, width, value)
						: 0;
	if (host->desc.ports_below)
		return bk_space_write(host->desc.ports_below, PORT_DATA + offset, width, value);
	return 0;
}

static const struct bk_region_ops index_ops = { .read = index_read, .write = index_write };
static const struct bk_region_ops data_ops = { .read = data_read, .write = data_write };

/* ---- Absent functions --------------------------------------------------- */

/*
 * Where no function is, config space reads all ones. There must be somebody
 * who says so: ECAM is a fixed range, in which no BAR below may show through.
 */
static int absent_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	(void)opaque, (void)offset, (void)width;
	*value = UINT64_MAX;
	return 0;
}

static int absent_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	(void)opaque, (void)offset, (void)width, (void)value;
	return 0;
}

static const struct bk_region_ops absent_ops = { .read = absent_read, .write = absent_write };

/* ---- Creation ---------------------------------------------------------- */

static int check_window(const struct bk_pci_window *window, unsigned number, struct bk_domain *domain,
			struct bk_error *err)
{
	uint64_t top = window->kind == BK_PCI_WINDOW_IO ? UINT32_MAX : UINT64_MAX;

	if (window->kind != BK_PCI_WINDOW_IO && window->kind != BK_PCI_WINDOW_MEMORY)
		return bk_fail(err, EINVAL, "window %u: no such kind: %d", number, window->kind);
	if (!window->space || bk_space_domain(window->space) != domain)
		return bk_fail(err, EINVAL, "window %u: needs a space of the host's domain", number);
	if (window->last < window->first || window->last > bk_space_last(window->space))
		return bk_fail(err, EINVAL, "window %u: no range of %s: %#" PRIx64 "-%#" PRIx64, number,
			       bk_space_name(window->space), window->first, window->last);
	if (window->bus_first > top || window->last - window->first > top - window->bus_first)
		return bk_fail(err, EINVAL, "window %u: runs past the bus's last address %#" PRIx64, number,
			       top);
	return 0;
}

static int check(const struct bk_pci_host_desc *desc, struct bk_error *err)
{
	uint64_t ecam_last = ((uint64_t)desc->bus_last + 1) << BK__BUS_SHIFT;

	if (!desc->domain)
		return bk_fail(err, EINVAL, "host bridge: no domain");
	if (desc->window_count && !desc->windows)
		return bk_fail(err, EINVAL, "host bridge: %u windows, and none is given", desc->window_count);
	if (desc->bus_last < desc->bus_first)
		return bk_fail(err, EINVAL, "host bridge: last bus %u is below the first, %u", desc->bus_last,
			       desc->bus_first);
	for (unsigned i = 0; i < desc->window_count; i++) {
		int error = check_window(&desc->windows[i], i, desc->domain, err);

		if (error)
			return error;
	}
	if (desc->ecam &&
	    (bk_space_domain(desc->ecam) != desc->domain || desc->ecam_first > UINT64_MAX - ecam_last ||
	     desc->ecam_first + ecam_last - 1 > bk_space_last(desc->ecam)))
		return bk_fail(err, EINVAL, "ECAM at %#" PRIx64 " is not inside a space of the host's domain",
			       desc->ecam_first);
	if (desc->ports &&
	    (bk_space_domain(desc->ports) != desc->domain || bk_space_last(desc->ports) < PORT_DATA + 3))
		return bk_fail(err, EINVAL,
			       "the ports 0xcf8-0xcff are not inside a space of the host's domain");
	return 0;
}

static void add_windows(struct bk_pci_host *host, struct bk_update *update)
{
	for (unsigned i = 0; i < host->desc.window_count; i++) {
		const struct bk_pci_window *window = &host->windows[i].desc;
		bool io = window->kind == BK_PCI_WINDOW_IO;
		struct bk_region_desc region = {
			.name = io ? "PCI I/O window" : "PCI memory window",
			.first = window->first,
			.last = window->last,
			.priority = window->priority,
			.rank = window->first,
			.kind = BK_REGION_NESTED,
			.nested = io ? host->root->io : host->root->memory,
			.nested_first = window->bus_first,
		};

		bk_update_add(update, window->space, &region, &host->windows[i].region);
	}
}

static void add_config(struct bk_pci_host *host, struct bk_update *update)
{
	const struct bk_pci_host_desc *desc = &host->desc;
	uint64_t first = (uint64_t)desc->bus_first << BK__BUS_SHIFT,
		 last = first + (UINT64_C(1) << BK__BUS_SHIFT) - 1;
	struct bk_region_desc own = {
		.name = "PCI root bus",
		.first = first,
		.last = last,
		.priority = BK__OWN_PRIORITY,
		.kind = BK_REGION_NESTED,
		.nested = host->root->config,
	};
	struct bk_region_desc ecam = {
		.name = "ECAM",
		.first = desc->ecam_first + first,
		.last = desc->ecam_first + (((uint64_t)desc->bus_last + 1) << BK__BUS_SHIFT) - 1,
		.priority = desc->ecam_priority,
		.rank = desc->ecam_first,
		.kind = BK_REGION_NESTED,
		.nested = host->root->buses,
		.nested_first = first,
	};
	struct bk_region_desc absent = {
		.name = "absent functions",
		.last = bk_space_last(host->root->buses),
		.priority = INT_MIN,
		.kind = BK_REGION_HANDLED,
		.ops = &absent_ops,
	};

	bk_update_add(update, host->root->buses, &own, &host->own_config);
	bk_update_add(update, host->root->buses, &absent, &host->absent);
	if (desc->ecam)
		bk_update_add(update, desc->ecam, &ecam, &host->ecam);
}

static void add_ports(struct bk_pci_host *host, struct bk_update *update)
{
	struct bk_region_desc region = {
		.name = "PCI config address",
		.first = PORT_INDEX,
		.last = PORT_INDEX + 3,
		.priority = BK_PCI_PORTS_PRIORITY,
		.rank = PORT_INDEX,
		.kind = BK_REGION_HANDLED,
		.ops = &index_ops,
		.opaque = host,
	};

	if (!host->desc.ports)
		return;
	bk_update_add(update, host->desc.ports, &region, &host->index);
	region.name = "PCI config data";
	region.first = region.rank = PORT_DATA;
	region.last = PORT_DATA + 3;
	region.ops = &data_ops;
	bk_update_add(update, host->desc.ports, &region, &host->data);
}

static int show(struct bk_pci_host *host, struct bk_error *err)
{
	struct bk_update *update = bk_update_begin(host->desc.domain);

	add_windows(host, update);
	add_config(host, update);
	add_ports(host, update);
	return bk_update_commit(update, err);
}

/* Frees all but what still shows somewhere: 0 or -EBUSY, and may be tried again. */
static int free_host(struct bk_pci_host *host)
{
	int error = bk__pci_bus_destroy(host->root, NULL);

	if (error)
		return error;
	pthread_mutex_destroy(&host->intx_lock);
	pthread_mutex_destroy(&host->lock);
	free(host->asserted);
	free(host);
	return 0;
}

int bk_pci_host_create(const struct bk_pci_host_desc *given, struct bk_pci_host **host, struct bk_error *err)
{
	struct bk_error why = { "out of memory" };
	struct bk_pci_host_desc desc;
	struct bk_pci_host *created;
	int error;

	error = bk__struct_take(&desc, sizeof(desc), given);
	if (error)
		return bk_fail(err, -error, "the host bridge's desc is of a later release, and sets more");
	error = check(&desc, err);
	if (error)
		return error;
	created = calloc(1, sizeof(*created) + desc.window_count * sizeof(created->windows[0]));
	if (!created)
		return bk_fail(err, ENOMEM, "host bridge: out of memory");
	created->desc = desc;
	for (unsigned i = 0; i < desc.window_count; i++)
		created->windows[i].desc = desc.windows[i];
	created->desc.windows = NULL; /* the caller's */
	if (!created->desc.lines)
		created->desc.lines = 4;
	pthread_mutex_init(&created->lock, NULL);
	pthread_mutex_init(&created->intx_lock, NULL);
	created->asserted = calloc(created->desc.lines, sizeof(*created->asserted));
	created->root = bk__pci_bus_create(created, NULL, "PCI root bus");
	error = created->asserted && created->root ? show(created, &why) : -ENOMEM;
	if (error) {
		free_host(created);
		return bk_fail(err, -error, "host bridge: %s", why.text);
	}
	*host = created;
	return 0;
}

static int hide(struct bk_pci_host *host)
{
	struct bk_update *update = bk_update_begin(host->desc.domain);
	struct bk_region *const regions[] = { host->own_config, host->absent, host->ecam, host->index,
					      host->data };

	for (unsigned i = 0; i < host->desc.window_count; i++)
		bk_update_remove(update, host->windows[i].region);
	for (unsigned i = 0; i < sizeof(regions) / sizeof(regions[0]); i++)
		if (regions[i])
			bk_update_remove(update, regions[i]);
	return bk_update_commit(update, NULL);
}

int bk_pci_host_destroy(struct bk_pci_host *host)
{
	/* Wait for readers that came through what is now hidden; fails if the caller is a reader
	 * itself. */
	int error = bk_domain_synchronize(host->desc.domain);

	pthread_mutex_lock(&host->lock);
	if (!error && (!bk__pci_bus_empty(host->root) || atomic_load(&host->bridges)))
		error = -EBUSY;
	pthread_mutex_unlock(&host->lock);
	if (error)
		return error;
	if (host->own_config) {
		error = hide(host);
		if (error)
			return error;
		pthread_mutex_lock(&host->lock);
		host->own_config = NULL;
		pthread_mutex_unlock(&host->lock);
	}
	bk_domain_synchronize(host->desc.domain);
	return free_host(host);
}

/* ---- Looking at it ----------------------------------------------------- */

struct bk_pci_bus *bk_pci_host_bus(struct bk_pci_host *host)
{
	return host->root;
}

struct bk_space *bk_pci_host_config(struct bk_pci_host *host)
{
	return host->root->buses;
}
