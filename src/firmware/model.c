/* SPDX-License-Identifier: BSD-2-Clause */
/* Builds the hierarchy of a trace; what its registers held at the start is learnt from what was read first.
 */
#include "firmware/model.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/pci_regs.h"
#include "pci/chain.h"

enum { EXPRESS_SIZE = 12 }; /* up to Device Control, which has Initiate FLR */

/* ---- Who is where ------------------------------------------------------ */

int64_t bk__firmware_machine_target(const struct bk__firmware_machine *machine,
				    const struct bk__firmware_step *access)
{
	if (access->kind == BK__STEP_ECAM)
		return (int64_t)(access->address & BK__MACHINE_CONFIG_MASK);
	if (access->kind != BK__STEP_CFC || !(machine->index >> 31))
		return -1;
	return (int64_t)((machine->index >> 8 & 0xffff) << 12 | (machine->index & 0xfc) |
			 (access->address & 3));
}

void bk__firmware_machine_follow_index(struct bk__firmware_machine *machine,
				       const struct bk__firmware_step *access)
{
	if (access->kind == BK__STEP_CF8 && access->write && access->width == 4)
		machine->index = (uint32_t)access->value;
}

/* The bridge on the bus `from` through which bus number `bus` is reached, NULL: none. */
static const struct bk__firmware_machine_function *bridge_to(const struct bk__firmware_bus *from, uint8_t bus)
{
	for (unsigned i = 0; i < from->bridge_count; i++) {
		const struct bk__firmware_machine_function *bridge = from->at[from->bridges[i]];

		if (bridge->secondary && bus >= bridge->secondary && bus <= bridge->subordinate)
			return bridge;
	}
	return NULL;
}

struct bk__firmware_machine_function *bk__firmware_machine_at(struct bk__firmware_machine *machine,
							      uint8_t bus, uint8_t devfn)
{
	const struct bk__firmware_bus *at = machine->root;
	uint8_t number = 0;

	while (bus != number) {
		const struct bk__firmware_machine_function *bridge = bridge_to(at, bus);

		if (!bridge)
			return NULL;
		at = bridge->bus;
		number = bridge->secondary;
	}
	return at->at[devfn];
}

void bk__firmware_changed(struct bk__firmware_machine_function *function)
{
	struct bk__firmware_machine *machine = function->machine;

	if (!function->changed)
		machine->changed[machine->changed_count++] = function;
	function->changed = true;
}

static int out_of_memory(const struct bk__firmware_machine *machine, struct bk_error *err)
{
	return bk_fail(err, ENOMEM, "%s: out of memory", machine->name);
}

/* Puts every function on its bus: an access must not cost more the more functions there are. */
static int arrange(struct bk__firmware_machine *machine, struct bk_error *err)
{
	const struct bk__firmware_trace *trace = machine->trace;

	machine->root = calloc(1, sizeof(*machine->root));
	machine->changed = calloc(trace->function_count + 1, sizeof(struct bk__firmware_machine_function *));
	if (!machine->root || !machine->changed)
		return out_of_memory(machine, err);
	for (unsigned i = 0; i < trace->function_count; i++) {
		struct bk__firmware_machine_function *function = &machine->functions[i];
		const struct bk__firmware_trace_function *desc = function->desc;
		struct bk__firmware_bus *bus =
			desc->parent < 0 ? machine->root : machine->functions[desc->parent].bus;

		function->machine = machine;
		if (bus->at[desc->devfn])
			return bk_fail(err, EEXIST, "%s:%" PRIu32 ": %s: another function is there",
				       machine->name, desc->line, desc->path);
		bus->at[desc->devfn] = function;
		function->bus = desc->bridge ? calloc(1, sizeof(*function->bus)) : NULL;
		if (desc->bridge && !function->bus)
			return out_of_memory(machine, err);
		for (int above = desc->parent; above >= 0; above = trace->functions[above].parent)
			machine->functions[above].functions_below++;
	}
	for (unsigned i = 0; i <= trace->function_count; i++) {
		struct bk__firmware_bus *bus = i ? machine->functions[i - 1].bus : machine->root;

		for (unsigned devfn = 0; bus && devfn < 256; devfn++)
			if (bus->at[devfn] && bus->at[devfn]->bus)
				bus->bridges[bus->bridge_count++] = (uint8_t)devfn;
	}
	return 0;
}

/* ---- What registers held at the start ---------------------------------- */

bool bk__firmware_machine_compared(const struct bk__firmware_trace_function *function, unsigned offset)
{
	if (offset <= BK__PCI_COMMAND || (offset >= BK__PCI_BAR0 && offset < BK__PCI_BRIDGE_PRIMARY))
		return true;
	if (function->bridge)
		return (offset >= BK__PCI_BRIDGE_PRIMARY && offset < BK__PCI_BRIDGE_LATENCY) ||
		       (offset >= BK__PCI_BRIDGE_IO_BASE && offset < BK__PCI_BRIDGE_STATUS) ||
		       (offset >= BK__PCI_BRIDGE_MEMORY_BASE && offset < BK__PCI_CAP_POINTER) ||
		       (offset >= BK__PCI_BRIDGE_ROM && offset <= BK__PCI_INTERRUPT_LINE) ||
		       offset >= BK__PCI_BRIDGE_CONTROL;
	return (offset >= BK__PCI_BRIDGE_PRIMARY && offset < BK__PCI_BARS_END) ||
	       (offset >= BK__PCI_ROM && offset < BK__PCI_CAP_POINTER) || offset == BK__PCI_INTERRUPT_LINE;
}

/* COMMAND, the interrupt line, and a bridge's windows, numbers and control. BARs are 0 at reset. */
static bool preset(const struct bk__firmware_trace_function *function, unsigned offset)
{
	unsigned rom = function->bridge ? BK__PCI_BRIDGE_ROM : BK__PCI_ROM;
	bool bar = offset >= BK__PCI_BAR0 &&
		   offset < (function->bridge ? BK__PCI_BRIDGE_PRIMARY : BK__PCI_BARS_END);

	return bk__firmware_machine_compared(function, offset) && !bar &&
	       !(offset >= rom && offset < rom + 4) && offset >= BK__PCI_COMMAND;
}

static void learn(struct bk__firmware_machine *machine, const struct bk__firmware_step *access)
{
	int64_t place = bk__firmware_machine_target(machine, access);
	struct bk__firmware_machine_function *function;

	bk__firmware_machine_follow_index(machine, access);
	if (place < 0)
		return;
	function = bk__firmware_machine_at(machine, (uint8_t)(place >> 20), (uint8_t)(place >> 12));
	for (unsigned i = 0; function && i < access->width; i++) {
		unsigned offset = (unsigned)(place & 0xfff) + i;
		uint8_t byte = (uint8_t)(access->value >> 8 * i);

		if (offset >= BK__MACHINE_LEARNT)
			break;
		if (access->write)
			function->written[offset] = access->line;
		else if (!function->written[offset] && !function->known[offset])
			function->known[offset] = access->line, function->first[offset] = byte;
		if (offset == BK__PCI_BRIDGE_SECONDARY)
			function->secondary = byte;
		else if (offset == BK__PCI_BRIDGE_SUBORDINATE)
			function->subordinate = byte;
	}
}

/* The chain, as far as the guest read it before it wrote to it. That it reads it at all says that there is
 * one. */
static bool first_read(void *opaque, unsigned offset, unsigned width, uint32_t *value)
{
	const struct bk__firmware_machine_function *function = opaque;

	*value = 0;
	if (offset == BK__PCI_STATUS)
		*value = BK__PCI_STATUS_CAP_LIST;
	else if (!function->known[offset])
		return false;
	else
		for (unsigned i = 0; i < width; i++)
			*value |= (uint32_t)(function->known[offset + i] ? function->first[offset + i] : 0)
				  << 8 * i;
	return true;
}

static void find_capabilities(struct bk__firmware_machine_function *function)
{
	struct bk__pci_chain chain;

	bk__pci_chain_begin_read(&chain, BK__MACHINE_LEARNT, false, first_read, function);
	while (bk__pci_chain_next(&chain)) {
		if (chain.id == BK__PCI_CAP_PM && !function->pm &&
		    chain.at <= BK__MACHINE_LEARNT - BK__PCI_PM_SIZE)
			function->pm = (uint8_t)chain.at;
		if (chain.id == BK__PCI_CAP_EXPRESS && !function->express &&
		    chain.at <= BK__MACHINE_LEARNT - EXPRESS_SIZE)
			function->express = (uint8_t)chain.at;
	}
}

static void learn_all(struct bk__firmware_machine *machine)
{
	for (size_t i = 0; i < machine->trace->step_count; i++)
		if (bk__firmware_step_is_access(&machine->trace->steps[i]))
			learn(machine, &machine->trace->steps[i]);
	machine->index = 0;
	for (unsigned i = 0; i < machine->trace->function_count; i++) {
		struct bk__firmware_machine_function *function = &machine->functions[i];

		find_capabilities(function);
		memset(function->written, 0, sizeof(function->written));
		function->secondary = function->subordinate = 0;
	}
}

/* ---- The model --------------------------------------------------------- */

static int fail_at(const struct bk__firmware_machine *machine, uint32_t line, int error, struct bk_error *err)
{
	return bk_fail(err, -error, "%s:%" PRIu32 ": %s", machine->name, line, strerror(-error));
}

static int create_host(struct bk__firmware_machine *machine, struct bk_error *err)
{
	struct bk_pci_window windows[2];
	struct bk_pci_host_desc desc = { .windows = windows, .window_count = 2, .bus_last = 255 };
	struct bk_error why = { { 0 } };
	int error;

	machine->domain = bk_domain_create();
	if (!machine->domain)
		return out_of_memory(machine, err);
	machine->memory = bk_space_create(machine->domain, "memory", UINT64_MAX);
	machine->ports = bk_space_create(machine->domain, "ports", 0xffff);
	if (!machine->memory || !machine->ports)
		return out_of_memory(machine, err);
	desc.domain = machine->domain;
	desc.ports = machine->ports;
	windows[0] = (struct bk_pci_window){ .kind = BK_PCI_WINDOW_MEMORY,
					     .space = machine->memory,
					     .last = UINT64_MAX };
	windows[1] =
		(struct bk_pci_window){ .kind = BK_PCI_WINDOW_IO, .space = machine->ports, .last = 0xffff };
	error = bk_pci_host_create(&desc, &machine->host, &why);
	return error ? bk_fail(err, -error, "%s: %s", machine->name, why.text) : 0;
}

/* Registers as the guest found them, the power state, which gates decoding (the other machine keeps registers
 * in D3), and what can start a reset. */
static int preset_registers(struct bk__firmware_machine_function *function)
{
	uint8_t pmc[2];
	int at = 0;

	for (unsigned offset = 0; offset < BK__PCI_HEADER_END; offset++) {
		int error = function->known[offset] && preset(function->desc, offset)
				    ? bk_pci_function_preset(
					      function->function,
					      &(struct bk_pci_preset){ .offset = offset,
								       .bytes = &function->first[offset],
								       .count = 1 })
				    : 0;

		if (error)
			return error;
	}
	if (function->pm) {
		memcpy(pmc, &function->first[function->pm + 2], sizeof(pmc));
		at = bk_pci_pm_add(function->function, function->pm, (uint16_t)(pmc[0] | pmc[1] << 8), true);
	}
	if (at >= 0 && function->express)
		at = bk_pci_express_add(function->function, function->express,
					&function->first[function->express], EXPRESS_SIZE);
	return at < 0 ? at : 0;
}

/* It was reset, by its bus too. */
static int on_reset(void *opaque)
{
	bk__firmware_changed(opaque);
	return 0;
}

static int create_function(struct bk__firmware_machine *machine, unsigned number, struct bk_error *err)
{
	struct bk__firmware_machine_function *function = &machine->functions[number];
	const struct bk__firmware_trace_function *from = function->desc;
	struct bk_pci_function_desc desc = {
		.name = from->path,
		.vendor = from->vendor,
		.device = from->device,
		.extended = true,
		.reset = on_reset,
		.opaque = function,
	};
	struct bk_pci_bus *bus =
		from->parent < 0 ? bk_pci_host_bus(machine->host) : machine->functions[from->parent].below;
	struct bk_error why = { { 0 } };
	int error;

	for (unsigned i = 0; i <= BK_PCI_ROM; i++) {
		struct bk_pci_bar *bar = i == BK_PCI_ROM ? &desc.rom : &desc.bars[i];

		bar->kind = from->bars[i].kind;
		bar->prefetchable = from->bars[i].prefetchable;
		bar->size = from->bars[i].size;
		if (bar->kind == BK_PCI_BAR_NONE)
			continue;
		bar->space = function->spaces[i] = bk_space_create(machine->domain, "BAR", bar->size - 1);
		if (!bar->space)
			return fail_at(machine, from->line, -ENOMEM, err);
	}
	error = from->bridge ? bk_pci_bridge_create(machine->host, &desc, &function->function, &why)
			     : bk_pci_function_create(machine->domain, &desc, &function->function, &why);
	if (error)
		return bk_fail(err, -error, "%s:%" PRIu32 ": %s", machine->name, from->line, why.text);
	function->below = from->bridge ? bk_pci_bridge_bus(function->function) : NULL;
	error = preset_registers(function);
	if (!error)
		error = bk_pci_function_attach(function->function, bus, from->devfn);
	return error ? fail_at(machine, from->line, error, err) : 0;
}

int bk__firmware_machine_create(const char *name, const struct bk__firmware_trace *trace,
				struct bk__firmware_machine *machine, struct bk_error *err)
{
	int error;

	*machine = (struct bk__firmware_machine){ .trace = trace, .name = name };
	machine->functions = calloc(trace->function_count + 1u, sizeof(*machine->functions));
	if (!machine->functions)
		return out_of_memory(machine, err);
	for (unsigned i = 0; i < trace->function_count; i++)
		machine->functions[i].desc = &trace->functions[i];
	error = arrange(machine, err);
	if (!error)
		learn_all(machine);
	if (!error)
		error = create_host(machine, err);
	for (unsigned i = 0; i < trace->function_count && !error; i++)
		error = create_function(machine, i, err);
	return error;
}

static void note(int *first, int error)
{
	if (!*first)
		*first = error;
}

int bk__firmware_machine_destroy(struct bk__firmware_machine *machine)
{
	int error = 0;

	for (unsigned i = machine->functions ? machine->trace->function_count : 0; i--;) {
		struct bk__firmware_machine_function *function = &machine->functions[i];

		if (function->function) {
			/* What the first try gave back may do for a second one. */
			if (bk_pci_function_detach(function->function))
				note(&error, bk_pci_function_detach(function->function));
			note(&error, bk_pci_function_destroy(function->function));
		}
		free(function->bus);
		for (unsigned bar = 0; bar <= BK_PCI_ROM; bar++)
			if (function->spaces[bar])
				note(&error, bk_space_destroy(function->spaces[bar]));
	}
	if (machine->host && bk_pci_host_destroy(machine->host))
		note(&error, bk_pci_host_destroy(machine->host));
	if (machine->memory)
		note(&error, bk_space_destroy(machine->memory));
	if (machine->ports)
		note(&error, bk_space_destroy(machine->ports));
	if (machine->domain)
		note(&error, bk_domain_destroy(machine->domain));
	free(machine->changed);
	free(machine->root);
	free(machine->functions);
	*machine = (struct bk__firmware_machine){ 0 };
	return error;
}
