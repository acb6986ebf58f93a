/* SPDX-License-Identifier: BSD-2-Clause */
/* What registers mean, by PCI 3.0 chapter 6, PCI-to-PCI Bridge 1.2 chapter 3 and PM 1.2 chapter 3. */
#include "pci_registers.h"

#include <string.h>

/* Registers of both headers, and of a bridge's. */
enum {
	COMMAND = 0x04,
	STATUS = 0x06,
	CACHE_LINE = 0x0c,
	LATENCY = 0x0d,
	HEADER_TYPE = 0x0e,
	BARS = 0x10,
	SUBSYSTEM = 0x2c,
	POINTER = 0x34,
	LINE = 0x3c,
	PRIMARY = 0x18,
	SECONDARY = 0x19,
	SUBORDINATE = 0x1a,
	SECONDARY_LATENCY = 0x1b,
	IO_BASE = 0x1c,
	IO_LIMIT = 0x1d,
	MEMORY_BASE = 0x20,
	MEMORY_LIMIT = 0x22,
	PREFETCHABLE_BASE = 0x24,
	PREFETCHABLE_LIMIT = 0x26,
	BASE_UPPER = 0x28,
	LIMIT_UPPER = 0x2c,
	CONTROL = 0x3e,
	PMCSR = REG_PM + 4,
	DEVICE_CONTROL = REG_EXPRESS + 8,
	LINK_CONTROL = REG_EXPRESS + 0x10,
	LINK_STATUS = REG_EXPRESS + 0x12,
	SLOT_STATUS = REG_EXPRESS + 0x1a,
	MSI_CONTROL = REG_MSI + 2,
	MSI_MASK = REG_MSI + 12,
	MSI_PENDING = REG_MSI + 16,
	BAR_SIZE = REG_RESIZABLE + 9, /* of BAR 0 */
};

enum { CONTROL_ISA = 4, CONTROL_VGA = 8, CONTROL_16BIT = 0x10, CONTROL_RESET = 0x40 };

static uint64_t get(const struct reg_function *function, unsigned offset, unsigned width)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < width; i++)
		value |= (uint64_t)function->bytes[offset + i] << 8 * i;
	return value;
}

static unsigned bar_count(const struct reg_function *function)
{
	return function->bridge ? 2 : 6;
}

static const struct bk_pci_bar *bar_of(const struct reg_function *function, unsigned index)
{
	const struct bk_pci_bar *bar = index == BK_PCI_ROM           ? &function->desc->rom
				       : index < bar_count(function) ? &function->desc->bars[index]
								     : NULL;

	return bar && bar->kind != BK_PCI_BAR_NONE ? bar : NULL;
}

/* PCIe 7.8.6.3; a size there is none of is the next smaller one. */
static uint64_t size_of(const struct reg_function *function, unsigned index)
{
	unsigned log = function->bytes[BAR_SIZE] + 20;

	if (index || !function->sizes)
		return bar_of(function, index)->size;
	while (!(function->sizes >> log & 1))
		log--;
	return UINT64_C(1) << log;
}

static unsigned bar_register(const struct reg_function *function, unsigned index)
{
	return index == BK_PCI_ROM ? (function->bridge ? 0x38 : 0x30) : BARS + 4 * index;
}

/* The BAR that has a byte there; `*at`: which of its bytes. */
static const struct bk_pci_bar *bar_at(const struct reg_function *function, unsigned offset, unsigned *index,
				       unsigned *at)
{
	if (offset < BARS || offset >= LINE)
		return NULL;
	for (*index = 0; *index <= BK_PCI_ROM; ++*index) {
		const struct bk_pci_bar *bar = bar_of(function, *index);
		unsigned first = bar_register(function, *index);

		*at = offset - first;
		if (bar && offset >= first && *at < (bar->kind == BK_PCI_BAR_MEM64 ? 8u : 4u))
			return bar;
	}
	return NULL;
}

/* ---- Writing and reading ------------------------------------------------ */

static uint8_t bridge_writable(unsigned offset)
{
	switch (offset) {
	case PRIMARY:
	case SECONDARY:
	case SUBORDINATE:
		return 0xff;
	case IO_BASE:
	case IO_LIMIT:
	case MEMORY_BASE:
	case MEMORY_LIMIT:
	case PREFETCHABLE_BASE:
	case PREFETCHABLE_LIMIT:
		return 0xf0;
	case MEMORY_BASE + 1:
	case MEMORY_LIMIT + 1:
	case PREFETCHABLE_BASE + 1:
	case PREFETCHABLE_LIMIT + 1:
	case CONTROL:
		return 0xff;
	case CONTROL + 1:
		return 0x0b;
	default:
		return offset >= BASE_UPPER && offset < LIMIT_UPPER + 4 ? 0xff : 0;
	}
}

/* Bits that take what is written. Nothing else of what is modelled here can be written. */
static uint8_t writable(const struct reg_function *function, unsigned offset)
{
	unsigned index, at;

	if (bar_at(function, offset, &index, &at))
		return 0xff;
	switch (offset) {
	case COMMAND:
		return 0x47;
	case COMMAND + 1:
		return 0x05;
	case CACHE_LINE:
	case LINE:
		return 0xff;
	case LATENCY:
		return function->desc->extended ? 0 : 0xff;
	case SECONDARY_LATENCY:
		if (function->bridge)
			return function->desc->extended ? 0 : 0xff;
		return 0;
	case LINK_CONTROL:
		return function->slot ? 0xdf : 0;
	case MSI_CONTROL:
		return function->msi ? 0x71 : 0;
	case MSI_MASK:
		return function->msi;
	case BAR_SIZE:
		return function->sizes ? 15 : 0;
	default:
		return function->bridge ? bridge_writable(offset) : 0;
	}
}

void reg_clear(struct reg_function *function)
{
	const struct bk_pci_function_desc *desc = function->desc;
	uint8_t *bytes = function->bytes;

	function->pending = false;
	memset(bytes, 0, sizeof(function->bytes));
	bytes[0] = (uint8_t)desc->vendor;
	bytes[1] = (uint8_t)(desc->vendor >> 8);
	bytes[2] = (uint8_t)desc->device;
	bytes[3] = (uint8_t)(desc->device >> 8);
	bytes[STATUS] = 0x10;
	for (unsigned i = 0; i < 3; i++)
		bytes[9 + i] = (uint8_t)(desc->class_code >> 8 * i);
	bytes[POINTER] = REG_PM;
	if (!function->bridge) {
		bytes[SUBSYSTEM + 2] = (uint8_t)desc->subsystem;
		return;
	}
	bytes[HEADER_TYPE] = 1;
	/* Closed: each base is above its limit. */
	bytes[IO_BASE] = 0xf0;
	bytes[MEMORY_BASE] = 0xf0;
	bytes[MEMORY_BASE + 1] = 0xff;
	bytes[PREFETCHABLE_BASE] = 0xf1;
	bytes[PREFETCHABLE_BASE + 1] = 0xff;
	bytes[PREFETCHABLE_LIMIT] = 1;
}

static void reset_below(struct registers *all, unsigned bridge)
{
	for (unsigned i = 0; i < REG_FUNCTIONS; i++)
		if (all->functions[i].parent == (int)bridge)
			reg_reset(all, i);
}

void reg_reset(struct registers *all, unsigned function)
{
	reg_clear(&all->functions[function]);
	all->functions[function].resets++;
	if (all->functions[function].bridge)
		reset_below(all, function);
}

/* PCIe 7.5.3.7. What is below is reset by it, and out of reach. */
static bool link_disabled(const struct reg_function *function)
{
	return function->slot && (function->bytes[LINK_CONTROL] & 0x10);
}

/* Without a card in it, or with its link disabled, nothing below a slot is reached. */
static bool shuts(const struct reg_function *function)
{
	return function->bridge &&
	       ((function->bytes[CONTROL] & CONTROL_RESET) || link_disabled(function) || function->empty);
}

static bool resets_below(const struct reg_function *function)
{
	return function->bridge && ((function->bytes[CONTROL] & CONTROL_RESET) || link_disabled(function));
}

void reg_write(struct registers *all, unsigned index, unsigned offset, unsigned width, uint64_t value)
{
	struct reg_function *function = &all->functions[index];
	bool held = resets_below(function), flr = false, woke = false;

	for (unsigned i = offset; i < offset + width && i < REG_BYTES; i++, value >>= 8) {
		uint8_t byte = (uint8_t)value, *at = &function->bytes[i], mask = writable(function, i);

		*at = (uint8_t)((*at & ~mask) | (byte & mask));
		if (i == PMCSR && (byte & 3) != 1 && (byte & 3) != 2) { /* no D1, no D2 */
			woke = *at == 3 && !(byte & 3) && !function->keeps;
			*at = byte & 3;
		}
		if (i == DEVICE_CONTROL + 1 && function->flr)
			flr = byte & 0x80;
	}
	if (flr || woke) { /* which leaves what belongs to the link (PCIe 6.6.2) */
		const uint8_t left = function->bytes[LINK_CONTROL] & (function->slot ? 0xcb : 0);

		reg_reset(all, index);
		function->bytes[LINK_CONTROL] |= left;
	}
	if (!held && resets_below(function))
		reset_below(all, index);
	reg_send(all);
}

uint8_t reg_byte(const struct registers *all, unsigned index, unsigned offset)
{
	const struct reg_function *function = &all->functions[index];
	uint8_t byte = function->bytes[offset];
	const struct bk_pci_bar *bar;
	unsigned which, at;

	if (offset == HEADER_TYPE)
		for (unsigned i = 0; i < REG_FUNCTIONS; i++)
			if (i != index && all->functions[i].parent == function->parent &&
			    function->parent != REG_NOWHERE &&
			    all->functions[i].devfn >> 3 == function->devfn >> 3)
				byte |= 0x80;
	if (offset == MSI_PENDING)
		return function->pending;
	if (offset == SLOT_STATUS && function->slot)
		return reg_at(all, (int)index, 0) >= 0 ? 0x40 : 0;
	if (offset == LINK_STATUS + 1 && function->slot)
		return reg_at(all, (int)index, 0) >= 0 && !link_disabled(function) ? 0x20 : 0;
	if (offset == PMCSR)
		return byte | (function->keeps ? 8 : 0);
	bar = bar_at(function, offset, &which, &at);
	if (!bar)
		return byte;
	byte &= (uint8_t)(~(size_of(function, which) - 1) >> 8 * at) | (at == 0 && which == BK_PCI_ROM);
	if (at == 0 && which != BK_PCI_ROM)
		byte |= (uint8_t)(bar->kind == BK_PCI_BAR_IO      ? 1
				  : bar->kind == BK_PCI_BAR_MEM64 ? 4
								  : 0) |
			(bar->prefetchable ? 8 : 0);
	return byte;
}

/* ---- Places ------------------------------------------------------------ */

static struct reg_place bar_place(const struct registers *all, const struct reg_function *function,
				  unsigned index)
{
	const struct bk_pci_bar *bar = bar_of(function, index);
	struct reg_place place = { 0 };
	unsigned at = bar_register(function, index);
	uint64_t low, high = 0, size;
	bool rom = index == BK_PCI_ROM;

	if (!bar)
		return place;
	place.io = bar->kind == BK_PCI_BAR_IO;
	low = get(function, at, 4);
	if (bar->kind == BK_PCI_BAR_MEM64)
		high = get(function, at + 4, 4);
	size = size_of(function, index);
	place.first = (high << 32 | low) / size * size;
	place.last = place.first + (size - 1);
	place.on = function->bytes[COMMAND] & (place.io ? 1 : 2) && (!rom || low & 1) &&
		   (low | (rom        ? 0x7ff
			   : place.io ? 3
				      : 15)) != UINT32_MAX &&
		   high != UINT32_MAX && (place.first || all->address_zero);
	return place;
}

static struct reg_place vga_place(const struct reg_function *function, unsigned show)
{
	struct reg_place place = { .window = function->bridge };

	if (function->bridge ? !(function->bytes[CONTROL] & CONTROL_VGA) || shuts(function)
			     : !function->desc->vga_memory)
		return place;
	place.io = show != REG_VGA_MEMORY;
	place.on = function->bytes[COMMAND] & (place.io ? 1 : 2);
	place.first = show == REG_VGA_MEMORY ? 0xa0000 : show == REG_VGA_MONO ? 0x3b0 : 0x3c0;
	place.last = show == REG_VGA_MEMORY ? 0xbffff : show == REG_VGA_MONO ? 0x3bb : 0x3df;
	return place;
}

/* Ports 0x3b0-0x3bb and 0x3c0-0x3df again in each 1024. */
static struct reg_place alias_place(const struct reg_function *function)
{
	uint8_t control = function->bridge ? function->bytes[CONTROL] : 0;

	return (struct reg_place){
		.on = (control & CONTROL_VGA) && !(control & CONTROL_16BIT) && !shuts(function) &&
		      function->bytes[COMMAND] & 1,
		.io = true,
		.window = true,
		.first = 0x400,
		.last = 0xffff,
		.ports = REG_VGA_PORTS,
	};
}

static struct reg_place window_place(const struct reg_function *function, unsigned show)
{
	struct reg_place place = { .window = true, .io = show == REG_IO };

	if (show == REG_IO) {
		place.first = (get(function, IO_BASE, 1) & 0xf0) << 8;
		place.last = (get(function, IO_LIMIT, 1) & 0xf0) << 8 | 0xfff;
		if (function->bytes[CONTROL] & CONTROL_ISA)
			place.ports = REG_NOT_ISA;
	} else if (show == REG_MEMORY) {
		place.first = (get(function, MEMORY_BASE, 2) & 0xfff0) << 16;
		place.last = (get(function, MEMORY_LIMIT, 2) & 0xfff0) << 16 | 0xfffff;
	} else {
		place.first = get(function, BASE_UPPER, 4) << 32 |
			      (get(function, PREFETCHABLE_BASE, 2) & 0xfff0) << 16;
		place.last = get(function, LIMIT_UPPER, 4) << 32 |
			     (get(function, PREFETCHABLE_LIMIT, 2) & 0xfff0) << 16 | 0xfffff;
	}
	place.on = function->bridge && place.first <= place.last && !shuts(function) &&
		   function->bytes[COMMAND] & (place.io ? 1 : 2);
	return place;
}

void reg_settle(struct registers *all)
{
	for (unsigned f = 0; f < REG_FUNCTIONS; f++) {
		const struct reg_function *function = &all->functions[f];
		unsigned at = f;

		for (unsigned show = 0; show < REG_SHOWS; show++) {
			struct reg_place place = show <= BK_PCI_ROM        ? bar_place(all, function, show)
						 : show <= REG_VGA_COLOR   ? vga_place(function, show)
						 : show == REG_VGA_ALIASES ? alias_place(function)
									   : window_place(function, show);

			place.on = place.on && !(function->bytes[PMCSR] & 3);
			all->places[f][show] = place;
		}
		for (; at && all->functions[all->order[at - 1]].devfn > function->devfn; at--)
			all->order[at] = all->order[at - 1];
		all->order[at] = f;
	}
	all->on_count = 0;
	for (unsigned i = 0; i < REG_FUNCTIONS; i++) {
		for (unsigned show = 0; show < REG_SHOWS; show++) {
			if (!all->places[all->order[i]][show].on)
				continue;
			all->on[all->on_count].function = all->order[i];
			all->on[all->on_count++].show = show;
		}
	}
}

/* ---- Who answers -------------------------------------------------------- */

static bool covers(const struct reg_place *place, uint64_t address)
{
	unsigned low = address & 0x3ff;

	if (address < place->first || address > place->last)
		return false;
	if (place->ports == REG_NOT_ISA)
		return low < 0x100;
	return place->ports == REG_ALL || (low >= 0x3b0 && low <= 0x3bb) || (low >= 0x3c0 && low <= 0x3df);
}

static struct reg_answer search(const struct registers *all, int bus, bool io, uint64_t address)
{
	struct reg_answer answer = { .function = -1 };

	for (unsigned i = 0; i < all->on_count && answer.function < 0; i++) {
		unsigned f = all->on[i].function, show = all->on[i].show;
		const struct reg_place *place = &all->places[f][show];

		if (all->functions[f].parent != bus || place->io != io || !covers(place, address))
			continue;
		if (place->window)
			answer = search(all, (int)f, io, address);
		else
			answer = (struct reg_answer){ (int)f, show, address - place->first };
	}
	return answer;
}

struct reg_answer reg_owner(const struct registers *all, bool io, uint64_t address)
{
	return search(all, REG_ROOT, io, address);
}

int reg_at(const struct registers *all, int parent, uint8_t devfn)
{
	for (int i = 0; i < REG_FUNCTIONS; i++)
		if (all->functions[i].parent == parent && all->functions[i].devfn == devfn)
			return i;
	return -1;
}

/* `number`: of the bus at `parent` itself. `express`: all bridges on the way have links. */
static int route(const struct registers *all, int parent, bool express, uint8_t number, uint8_t bus,
		 uint8_t devfn, unsigned offset)
{
	int found = bus == number ? reg_at(all, parent, devfn) : -1;

	if (found >= 0 && ((express && all->functions[found].desc->extended) || offset < 256))
		return found;
	found = -1;
	for (unsigned i = 0; i < REG_FUNCTIONS && found < 0; i++) {
		unsigned f = all->order[i];
		const struct reg_function *bridge = &all->functions[f];
		uint8_t secondary = bridge->bytes[SECONDARY];

		if (bridge->parent == parent && bridge->bridge && secondary && secondary <= bus &&
		    bus <= bridge->bytes[SUBORDINATE] && !shuts(bridge) && !(bridge->bytes[PMCSR] & 3))
			found = route(all, (int)f, express && bridge->slot, secondary, bus, devfn, offset);
	}
	return found;
}

int reg_route(const struct registers *all, uint8_t bus, uint8_t devfn, unsigned offset)
{
	return route(all, REG_ROOT, true, 0, bus, devfn, offset);
}

bool reg_passes(const struct registers *all, unsigned function)
{
	int above = all->functions[function].parent;

	for (; above >= 0; above = all->functions[above].parent) {
		const struct reg_function *bridge = &all->functions[above];

		if (!(bridge->bytes[COMMAND] & 4) || (bridge->bytes[PMCSR] & 3) || shuts(bridge) ||
		    bridge->parent == REG_NOWHERE)
			return false;
	}
	return true;
}

bool reg_masters(const struct registers *all, unsigned function)
{
	return reg_passes(all, function) && !all->functions[function].taken &&
	       !(all->functions[function].bytes[PMCSR] & 3);
}

void reg_send(struct registers *all)
{
	for (unsigned f = 0; f < REG_FUNCTIONS; f++)
		all->functions[f].empty = all->functions[f].slot && reg_at(all, (int)f, 0) < 0;
	for (unsigned f = 0; f < REG_FUNCTIONS; f++) {
		struct reg_function *function = &all->functions[f];

		if (!function->msi || !(function->bytes[MSI_CONTROL] & 1)) {
			function->pending = false;
		} else if (function->pending && !(function->bytes[MSI_MASK] & 1) &&
			   (function->bytes[COMMAND] & 4) && !(function->bytes[PMCSR] & 3) &&
			   function->parent != REG_NOWHERE && reg_passes(all, f)) {
			function->pending = false;
			all->messages++;
		}
	}
}

bool reg_fire(struct registers *all, unsigned f)
{
	struct reg_function *function = &all->functions[f];

	function->pending = function->msi && (function->bytes[MSI_CONTROL] & 1);
	if (!function->pending)
		return false;
	reg_send(all);
	return true;
}

bool reg_contains(const struct registers *all, unsigned above, int below)
{
	while (below >= 0 && below != (int)above)
		below = all->functions[below].parent;
	return below == (int)above;
}
