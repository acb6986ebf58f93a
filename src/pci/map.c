/* SPDX-License-Identifier: BSD-2-Clause */
/* The map as a pure function of the registers, applied as one update. */
#include "pci/map.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/ratelimit.h"
#include "pci/bar.h"
#include "pci/bridge.h"
#include "pci/bus.h"
#include "pci/function.h"

/* ---- What there is ----------------------------------------------------- */

/* What shows of a bridge, or through it. */
static struct bk__pci_shown shown_of_bridge(const struct bk_pci_function *bridge, unsigned index)
{
	struct bk_pci_bus *above = bridge->bus, *below = bridge->secondary;

	switch (index) {
	case BK__SHOW_VGA_MEMORY:
	case BK__SHOW_MEMORY:
	case BK__SHOW_PREFETCHABLE:
		return (struct bk__pci_shown){ .in = above->memory, .below = below->memory, .same = true };
	case BK__SHOW_VGA_MONO:
	case BK__SHOW_VGA_COLOR:
	case BK__SHOW_IO:
		return (struct bk__pci_shown){ .in = above->io, .below = below->io, .same = true };
	case BK__SHOW_IO_ISA:
		return (struct bk__pci_shown){ .in = above->io, .below = below->io_isa, .same = true };
	case BK__SHOW_VGA_ALIASES:
		return (struct bk__pci_shown){ .in = above->io, .below = below->io_vga, .same = true };
	case BK__SHOW_BUSES:
		return (struct bk__pci_shown){ .in = above->buses, .below = below->buses, .same = true };
	default:
		return (struct bk__pci_shown){ .in = below->buses,
					       .below = below->config,
					       .priority = BK__OWN_PRIORITY };
	}
}

enum { PAGE_PRIORITY = -1 }; /* below all BARs and windows of the bus */

/* The function is on a bus. */
static struct bk__pci_shown shown(const struct bk_pci_function *function, unsigned index)
{
	struct bk_pci_bus *bus = function->bus;
	const struct bk_pci_bar *bar = index <= BK_PCI_ROM ? bk__pci_function_bar(function, index) : NULL;

	if (bar)
		return (struct bk__pci_shown){
			.in = bar->kind == BK_PCI_BAR_IO ? bus->io : bus->memory,
			.below = bar->space,
		};
	if (index >= BK__SHOW_PAGE) {
		bar = bk__pci_function_bar(function, index - BK__SHOW_PAGE);
		return (struct bk__pci_shown){
			.in = bus->memory,
			.below = bar && bar->page ? bar->space : NULL,
			.priority = PAGE_PRIORITY,
		};
	}
	if (index > BK_PCI_ROM && function->secondary)
		return shown_of_bridge(function, index);
	switch (index) {
	case BK__SHOW_VGA_MEMORY:
		return (struct bk__pci_shown){ .in = bus->memory, .below = function->desc.vga_memory };
	case BK__SHOW_VGA_MONO:
		return (struct bk__pci_shown){ .in = bus->io, .below = function->desc.vga_io };
	case BK__SHOW_VGA_COLOR:
		return (struct bk__pci_shown){
			.in = bus->io,
			.below = function->desc.vga_io,
			.below_first = BK__PCI_VGA_COLOR - BK__PCI_VGA_MONO,
		};
	default:
		return (struct bk__pci_shown){ 0 };
	}
}

static void name(const struct bk_pci_function *function, unsigned index, char *text, size_t size)
{
	static const char *const names[BK__SHOWS] = {
		[BK_PCI_ROM] = "rom",
		[BK__SHOW_VGA_MEMORY] = "VGA memory",
		[BK__SHOW_VGA_MONO] = "VGA ports 0x3b0",
		[BK__SHOW_VGA_COLOR] = "VGA ports 0x3c0",
		[BK__SHOW_IO] = "I/O window",
		[BK__SHOW_IO_ISA] = "I/O window less ISA ports",
		[BK__SHOW_VGA_ALIASES] = "aliases of VGA ports",
		[BK__SHOW_MEMORY] = "memory window",
		[BK__SHOW_PREFETCHABLE] = "prefetchable window",
		[BK__SHOW_BUSES] = "bus numbers",
		[BK__SHOW_SECONDARY] = "secondary bus",
	};

	if (names[index])
		snprintf(text, size, "%s %s", function->name, names[index]);
	else
		snprintf(text, size, "%s bar%u%s", function->name,
			 index >= BK__SHOW_PAGE ? index - BK__SHOW_PAGE : index,
			 index >= BK__SHOW_PAGE ? " page" : "");
}

/* ---- Where the registers put it ---------------------------------------- */

static struct bk__pci_place bar_place(const struct bk_pci_function *function, unsigned index)
{
	const struct bk_pci_bar *bar = bk__pci_function_bar(function, index);
	bool address_zero = function->bus && function->bus->host->desc.address_zero;
	struct bk__pci_place place = { 0 };
	uint16_t enable;
	uint64_t raw;

	if (!bar)
		return place;
	raw = bk__pci_function_bar_raw(function, index);
	enable = bar->kind == BK_PCI_BAR_IO ? BK__PCI_COMMAND_IO : BK__PCI_COMMAND_MEMORY;
	place.first = bk__pci_bar_address(bar, raw);
	place.last = place.first + (bar->size - 1);
	place.on = (bk__pci_command(function) & enable) &&
		   bk__pci_bar_decodes(bar, index == BK_PCI_ROM, raw, address_zero);
	return place;
}

static struct bk__pci_place vga_place(const struct bk_pci_function *function, unsigned index)
{
	static const uint64_t ranges[][2] = {
		{ BK__PCI_VGA_MEMORY, (BK__PCI_VGA_MEMORY_END - 1) },
		{ BK__PCI_VGA_MONO, (BK__PCI_VGA_MONO_END - 1) },
		{ BK__PCI_VGA_COLOR, (BK__PCI_VGA_COLOR_END - 1) },
	};
	uint16_t enable = index == BK__SHOW_VGA_MEMORY ? BK__PCI_COMMAND_MEMORY : BK__PCI_COMMAND_IO;

	return (struct bk__pci_place){
		.on = (bk__pci_command(function) & enable) &&
		      (!function->secondary || bk__pci_bridge_vga(function)),
		.first = ranges[index - BK__SHOW_VGA_MEMORY][0],
		.last = ranges[index - BK__SHOW_VGA_MEMORY][1],
	};
}

/* The page of a BAR that may share it. */
static struct bk__pci_place page_place(const struct bk_pci_function *function, unsigned index)
{
	const struct bk_pci_bar *bar = bk__pci_function_bar(function, index);
	struct bk__pci_place place = bar_place(function, index);

	place.on = place.on && bar->page && place.first % bar->page == 0;
	if (place.on)
		place.last = place.first + (bar->page - 1);
	return place;
}

struct bk__pci_place bk__pci_map_wanted(const struct bk_pci_function *function, unsigned index)
{
	struct bk__pci_place place = index <= BK_PCI_ROM           ? bar_place(function, index)
				     : index <= BK__SHOW_VGA_COLOR ? vga_place(function, index)
				     : index >= BK__SHOW_PAGE ? page_place(function, index - BK__SHOW_PAGE)
							      : bk__pci_bridge_place(function, index);

	if (bk__pci_pm_state(function) != 0)
		place.on = false;
	return place;
}

/* ---- The map follows --------------------------------------------------- */

/* Needs a space that is made when it is first open. */
static bool is_filter(const struct bk_pci_function *function, unsigned index)
{
	return function->secondary && (index == BK__SHOW_IO_ISA || index == BK__SHOW_VGA_ALIASES);
}

/* A space that shows of the bus's ports what the bridge lets through that way; NULL when out of memory. */
static struct bk_space *create_filter(struct bk_pci_bus *bus, unsigned show, const char *name)
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

/* Makes one of these, for BK__SHOW_IO_ISA or BK__SHOW_VGA_ALIASES, if it is not there. 0 or -ENOMEM. */
static int need_filter(struct bk_pci_bus *bus, unsigned show)
{
	struct bk_space **space = show == BK__SHOW_IO_ISA ? &bus->io_isa : &bus->io_vga;
	char text[128];

	if (*space)
		return 0;
	snprintf(text, sizeof(text), "%s io %s", bus->bridge->name,
		 show == BK__SHOW_IO_ISA ? "less ISA ports" : "as aliases of VGA ports");
	*space = create_filter(bus, show, text);
	return *space ? 0 : -ENOMEM;
}

/* Appends that it shows, if there is such a thing. */
static int add(struct bk_pci_function *function, unsigned index, struct bk_update *update)
{
	struct bk__pci_show *show = &function->shows[index];
	uint32_t bit = UINT32_C(1) << index;
	struct bk__pci_shown what;
	char text[128];
	struct bk_region_desc desc = { .name = text, .kind = BK_REGION_NESTED };
	int error = 0;

	show->now = bk__pci_map_wanted(function, index);
	if (is_filter(function, index)) {
		function->shown |= bit;
		if (show->now.on)
			error = need_filter(function->secondary, index);
	}
	what = shown(function, index);
	if (error || !what.below)
		return error;
	function->shown |= bit;
	name(function, index, text, sizeof(text));
	desc.first = show->now.first;
	desc.last = show->now.last;
	desc.priority = what.priority;
	desc.rank = (uint64_t)function->devfn << 8 | index;
	desc.disabled = !show->now.on;
	desc.nested = what.below;
	desc.nested_first = what.same ? show->now.first : what.below_first;
	return bk_update_add(update, what.in, &desc, &show->region);
}

int bk__pci_map_add(struct bk_pci_function *function, struct bk_update *update)
{
	for (unsigned i = 0; i < BK__SHOWS; i++) {
		int error = add(function, i, update);

		if (error)
			return error;
	}
	return 0;
}

void bk__pci_map_remove(struct bk_pci_function *function, struct bk_update *update)
{
	for (unsigned i = 0; i < BK__SHOWS; i++)
		if (function->shows[i].region)
			bk_update_remove(update, function->shows[i].region);
}

void bk__pci_map_forget(struct bk_pci_function *function)
{
	memset(function->shows, 0, sizeof(function->shows));
	function->shown = 0;
	function->left_behind = false;
}

/* Appends what takes the thing from where it is to `wanted`. */
static void change(struct bk_pci_function *function, unsigned index, struct bk_update *update,
		   const struct bk__pci_place *wanted)
{
	const struct bk__pci_show *show = &function->shows[index];

	if (wanted->first != show->now.first || wanted->last != show->now.last) {
		if (shown(function, index).same)
			bk_update_place(update, show->region, wanted->first, wanted->last, wanted->first);
		else
			bk_update_move(update, show->region, wanted->first, wanted->last);
	}
	if (wanted->on != show->now.on)
		bk_update_enable(update, show->region, wanted->on);
}

static void failed(struct bk_pci_function *function, const char *why)
{
	bk__log_limited(&function->map_limit, BK_LOG_ERROR,
			"%s: BARs stay where they were until the next config write: %s", function->name, why);
}

/* Appends what `show` needs to be where the registers put it; what it was goes to `before`. True if it was
 * elsewhere. */
static bool follow(struct bk_pci_function *function, unsigned index, struct bk_update **update,
		   struct bk__pci_show *before, int *error)
{
	struct bk__pci_show *show = &function->shows[index];
	struct bk__pci_place wanted = bk__pci_map_wanted(function, index);

	if (!wanted.on) { /* what is off stays where it was */
		wanted.first = show->now.first;
		wanted.last = show->now.last;
	}
	if (wanted.on == show->now.on && wanted.first == show->now.first && wanted.last == show->now.last)
		return false;
	*before = *show;
	if (!*update)
		*update = bk_update_begin(function->domain);
	if (!*update)
		*error = -ENOMEM;
	else if (show->region)
		change(function, index, *update, &wanted);
	else
		*error = add(function, index, *update);
	show->now = wanted;
	return true;
}

static void settle(struct bk_pci_function *function, uint32_t shows)
{
	struct bk__pci_show before[BK__SHOWS];
	struct bk_update *update = NULL;
	uint32_t changed = 0;
	struct bk_error err;
	int error = 0;

	for (uint32_t left = shows; left && !error; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctz(left);

		if (follow(function, i, &update, &before[i], &error))
			changed |= UINT32_C(1) << i;
	}
	if (error) {
		bk_update_drop(update);
		bk_fail(&err, ENOMEM, "out of memory");
	} else if (update) {
		error = bk_update_commit(update, &err);
	}
	function->left_behind = error != 0;
	if (!error)
		return;
	for (; changed; changed &= changed - 1) {
		unsigned i = (unsigned)__builtin_ctz(changed);

		function->shows[i] = before[i];
	}
	failed(function, err.text);
}

void bk__pci_map_settle(struct bk_pci_function *function)
{
	if (function->bus)
		settle(function, function->shown);
}

void bk__pci_map_settle_bars(struct bk_pci_function *function, uint32_t bars)
{
	const uint32_t shows = function->left_behind ? UINT32_MAX : bars | bars << BK__SHOW_PAGE;

	if (function->bus)
		settle(function, shows & function->shown);
}
