/* SPDX-License-Identifier: BSD-2-Clause */
/* A function from creation to destruction, and the calls of its owner. */
#include "pci/function.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/struct.h"
#include "pci/bar.h"
#include "pci/bus.h"
#include "pci/hierarchy.h"
#include "pci/registers.h"

/* ---- Life -------------------------------------------------------------- */

static int check_bar(struct bk_domain *domain, const struct bk_pci_function_desc *desc, unsigned index,
		     struct bk_error *err)
{
	bool rom = index == BK_PCI_ROM;
	const struct bk_pci_bar *bar = rom ? &desc->rom : &desc->bars[index];
	char who[128];
	int error;

	if (bar->kind == BK_PCI_BAR_NONE)
		return 0;
	if (rom)
		snprintf(who, sizeof(who), "%s: ROM", desc->name);
	else
		snprintf(who, sizeof(who), "%s: BAR %u", desc->name, index);
	error = bk__pci_bar_check(bar, rom, who, err);
	if (error)
		return error;
	if (bar->kind == BK_PCI_BAR_MEM64 &&
	    (index + 1 >= BK_PCI_BARS || desc->bars[index + 1].kind != BK_PCI_BAR_NONE))
		return bk_fail(err, EINVAL, "%s: a 64-bit BAR needs the next register for its upper half",
			       who);
	if (bk_space_domain(bar->space) != domain)
		return bk_fail(err, EINVAL, "%s: its space is in another domain", who);
	if (bk_space_last(bar->space) < bar->size - 1) /* the page, if there is one, was looked at */
		return bk_fail(err, EINVAL, "%s: its space is shorter than the BAR", who);
	return 0;
}

static int check(struct bk_domain *domain, const struct bk_pci_function_desc *desc, struct bk_error *err)
{
	if (desc->vendor == 0xffff)
		return bk_fail(err, EINVAL, "%s: vendor id 0xffff means that nothing is there", desc->name);
	if (desc->class_code > 0xffffff)
		return bk_fail(err, EINVAL, "%s: class code %#x has more than 24 bits", desc->name,
			       desc->class_code);
	if (desc->pin > 4)
		return bk_fail(err, EINVAL, "%s: interrupt pin %u: there are 1 (INTA#) to 4 (INTD#)",
			       desc->name, desc->pin);
	for (unsigned i = 0; i <= BK_PCI_ROM; i++) {
		int error = check_bar(domain, desc, i, err);

		if (error)
			return error;
	}
	if ((desc->vga_memory && bk_space_domain(desc->vga_memory) != domain) ||
	    (desc->vga_io && bk_space_domain(desc->vga_io) != domain))
		return bk_fail(err, EINVAL, "%s: VGA: its space is in another domain", desc->name);
	return 0;
}

static void release(struct bk_pci_function *function)
{
	pthread_cond_destroy(&function->reset_ended);
	pthread_mutex_destroy(&function->lock);
	free(function->msix.table);
	free(function->capabilities.at);
	bk__pci_config_free(&function->config);
	free(function->name);
	free(function);
}

/* Its spaces and those of the bus below a bridge, or none of them. */
static int destroy_spaces(struct bk_pci_function *function)
{
	struct bk_pci_bus *below = function->secondary;
	struct bk_pci_host *host = below ? below->host : NULL;
	int error = bk__pci_bus_destroy(below, function->space);

	if (!error && host)
		atomic_fetch_sub(&host->bridges, 1);
	return error;
}

/* The space that shows the registers. 0 or a negative errno. */
static int show_registers(struct bk_pci_function *function)
{
	static const struct bk_region_ops ops = { .read = bk__pci_registers_read,
						  .write = bk__pci_registers_write };
	struct bk_region_desc registers = {
		.name = "registers",
		.last = function->config.size - 1,
		.kind = BK_REGION_HANDLED,
		.ops = &ops,
		.opaque = function,
	};
	char name[128];

	snprintf(name, sizeof(name), "%s config", function->name);
	function->space = bk_space_create(function->domain, name, function->config.size - 1);
	return function->space ? bk_region_add(function->space, &registers, NULL, NULL) : -ENOMEM;
}

static int create(struct bk_domain *domain, struct bk_pci_host *host, const struct bk_pci_function_desc *desc,
		  struct bk_pci_function **function, struct bk_error *err)
{
	struct bk_pci_function_desc named;
	struct bk_pci_function *created;
	int error;

	error = bk__struct_take(&named, sizeof(named), desc);
	if (error)
		return bk_fail(err, -error, "the function's desc is of a later release, and sets more");
	if (!named.name)
		named.name = host ? "bridge" : "function";
	error = check(domain, &named, err);
	if (error)
		return error;
	created = calloc(1, sizeof(*created));
	if (!created)
		return bk_fail(err, ENOMEM, "%s: out of memory", named.name);
	pthread_mutex_init(&created->lock, NULL);
	pthread_cond_init(&created->reset_ended, NULL);
	created->domain = domain;
	created->desc = named;
	created->desc.name = created->name = strdup(named.name);
	created->bar_count = host ? 2 : BK_PCI_BARS;
	created->rom_register = host ? BK__PCI_BRIDGE_ROM : BK__PCI_ROM;
	created->line = -1;
	error = created->name ? bk__pci_config_init(&created->config,
						    named.extended ? BK__PCI_CONFIG_SIZE : BK__PCI_EXTENDED)
			      : -ENOMEM;
	if (!error && host) {
		created->secondary = bk__pci_bus_create(host, created, named.name);
		error = created->secondary ? 0 : -ENOMEM;
		if (!error)
			atomic_fetch_add(&host->bridges, 1);
	}
	if (!error) {
		bk__pci_header_fill(created);
		if (host)
			bk__pci_bridge_fill(created);
		error = show_registers(created);
	}
	if (error) {
		destroy_spaces(created);
		release(created);
		return bk_fail(err, -error, "%s: %s", named.name, strerror(-error));
	}
	*function = created;
	return 0;
}

int bk_pci_function_create(struct bk_domain *domain, const struct bk_pci_function_desc *desc,
			   struct bk_pci_function **function, struct bk_error *err)
{
	return create(domain, NULL, desc, function, err);
}

int bk_pci_bridge_create(struct bk_pci_host *host, const struct bk_pci_function_desc *desc,
			 struct bk_pci_function **bridge, struct bk_error *err)
{
	for (unsigned i = 2; i < BK_PCI_BARS; i++)
		if (desc->bars[i].kind != BK_PCI_BAR_NONE)
			return bk_fail(err, EINVAL, "%s: BAR %u: a bridge has two",
				       desc->name ? desc->name : "bridge", i);
	return create(host->desc.domain, host, desc, bridge, err);
}

int bk_pci_function_destroy(struct bk_pci_function *function)
{
	int error;

	bk__pci_function_lock(function);
	error = function->bus || (function->secondary && !bk__pci_bus_empty(function->secondary)) ? -EBUSY
												  : 0;
	bk__pci_function_unlock(function);
	/* In a handler this fails, where waiting is not allowed. */
	if (!error)
		error = bk_domain_synchronize(function->domain);
	if (error)
		return error;
	bk__pci_reset_wait(function);
	error = destroy_spaces(function);
	if (error)
		return error;
	bk_domain_synchronize(function->domain); /* readers who came through the spaces */
	release(function);
	return 0;
}

/* ---- Calls of the owner ------------------------------------------------ */

struct bk_space *bk_pci_function_config(struct bk_pci_function *function)
{
	return function->space;
}

static bool has(const struct bk_pci_function *function, unsigned offset, unsigned width)
{
	return (width == 1 || width == 2 || width == 4) && offset < function->config.size &&
	       width <= function->config.size - offset;
}

int bk_pci_function_read(struct bk_pci_function *function, unsigned offset, unsigned width, uint64_t *value)
{
	return has(function, offset, width) ? bk__pci_registers_read(function, offset, width, value)
					    : -EINVAL;
}

int bk_pci_function_write(struct bk_pci_function *function, unsigned offset, unsigned width, uint64_t value)
{
	return has(function, offset, width) ? bk__pci_registers_write(function, offset, width, value)
					    : -EINVAL;
}

struct bk_pci_bus *bk_pci_bridge_bus(struct bk_pci_function *bridge)
{
	return bridge->secondary;
}

const char *bk_pci_function_name(const struct bk_pci_function *function)
{
	return function->name;
}

int bk_pci_function_bar(struct bk_pci_function *function, unsigned index, struct bk_pci_bar_state *state)
{
	const struct bk_pci_bar *bar = bk__pci_function_bar(function, index);
	struct bk_pci_bar_state now;
	struct bk__pci_place place;

	if (!bar)
		return -EINVAL;
	pthread_mutex_lock(&function->lock);
	place = bk__pci_map_wanted(function, index);
	now = (struct bk_pci_bar_state){
		.address = place.first,
		.size = bar->size,
		.decodes = place.on,
	};
	pthread_mutex_unlock(&function->lock);
	bk__struct_give(state, &now, sizeof(now));
	return 0;
}

int bk_pci_function_preset(struct bk_pci_function *function, const struct bk_pci_preset *caller)
{
	struct bk__pci_config *config = &function->config;
	struct bk_pci_preset preset;
	int error = bk__struct_take(&preset, sizeof(preset), caller);

	if (error)
		return error;
	if (preset.offset > config->size || preset.count > config->size - preset.offset)
		return -EINVAL;
	bk__pci_function_lock(function);
	if (function->bus) {
		bk__pci_function_unlock(function);
		return -EBUSY;
	}
	for (size_t i = 0; i < preset.count; i++) {
		unsigned at = preset.offset + (unsigned)i;

		if (preset.bytes)
			bk__pci_config_preset(config, at, 1, ((const uint8_t *)preset.bytes)[i]);
		if (preset.writable)
			config->writable[at] = ((const uint8_t *)preset.writable)[i];
		if (preset.w1c)
			config->w1c[at] = ((const uint8_t *)preset.w1c)[i];
	}
	function->command = bk__pci_command(function);
	bk__pci_function_settle(function);
	bk__pci_function_unlock(function);
	return 0;
}
