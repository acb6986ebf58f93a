/* SPDX-License-Identifier: BSD-2-Clause */
/* Which addresses of a bus can be reached from outside, from the windows above it. */
#include "pci/reach.h"

#include "pci/bridge.h"
#include "pci/bus.h"
#include "pci/function.h"

void bk__pci_reach_free(struct bk__pci_reach *reach)
{
	bk__pci_ranges_free(&reach->memory);
	bk__pci_ranges_free(&reach->io);
}

int bk__pci_reach_host(const struct bk_pci_host *host, struct bk__pci_reach *reach)
{
	int error = 0;

	for (unsigned i = 0; i < host->desc.window_count && !error; i++) {
		const struct bk_pci_window *window = &host->windows[i].desc;

		error = bk__pci_ranges_add(window->kind == BK_PCI_WINDOW_IO ? &reach->io : &reach->memory,
					   window->bus_first,
					   window->bus_first + (window->last - window->first));
	}
	return error;
}

/* What of `above` a window lets through. */
static int add_window(struct bk__pci_ranges *below, const struct bk__pci_ranges *above,
		      const struct bk__pci_place *window)
{
	int error = 0;

	for (size_t i = 0; i < above->count && window->on && !error; i++) {
		uint64_t first = above->at[i].first > window->first ? above->at[i].first : window->first;
		uint64_t last = above->at[i].last < window->last ? above->at[i].last : window->last;

		if (first <= last)
			error = bk__pci_ranges_add(below, first, last);
	}
	return error;
}

/* The same, for one that lets only some ranges through. */
static int add_filtered(struct bk__pci_ranges *below, const struct bk__pci_ranges *above,
			const struct bk__pci_place *window, unsigned show)
{
	struct bk__pci_place range;
	int error = 0;

	for (unsigned i = 0; !error && bk__pci_bridge_passes(show, i, &range); i++) {
		range.on = range.first <= window->last && range.last >= window->first;
		if (range.first < window->first)
			range.first = window->first;
		if (range.last > window->last)
			range.last = window->last;
		error = add_window(below, above, &range);
	}
	return error;
}

int bk__pci_reach_below(const struct bk_pci_function *bridge, const struct bk__pci_reach *above,
			struct bk__pci_reach *below,
			int (*tell)(void *opaque, const struct bk__pci_window *window), void *opaque)
{
	struct bk__pci_window windows[] = {
		{ .show = BK__SHOW_IO, .name = "I/O", .io = true },
		{ .show = BK__SHOW_IO_ISA, .name = "I/O less ISA ports", .io = true },
		{ .show = BK__SHOW_MEMORY, .name = "memory" },
		{ .show = BK__SHOW_PREFETCHABLE, .name = "prefetchable" },
		{ .show = BK__SHOW_VGA_MEMORY, .name = "VGA memory" },
		{ .show = BK__SHOW_VGA_MONO, .name = "VGA ports", .io = true },
		{ .show = BK__SHOW_VGA_COLOR, .name = "VGA ports", .io = true },
		{ .show = BK__SHOW_VGA_ALIASES, .name = "VGA port aliases", .io = true },
	};
	int error = 0;

	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]) && !error; i++) {
		struct bk__pci_window *window = &windows[i];

		window->place = bk__pci_map_wanted(bridge, window->show);
		if (!window->place.on)
			continue;
		error = tell ? tell(opaque, window) : 0;
		if (error)
			break;
		if (!window->io)
			error = add_window(&below->memory, &above->memory, &window->place);
		else if (window->show == BK__SHOW_IO_ISA || window->show == BK__SHOW_VGA_ALIASES)
			error = add_filtered(&below->io, &above->io, &window->place, window->show);
		else
			error = add_window(&below->io, &above->io, &window->place);
	}
	return error;
}

int bk__pci_reach_missing(const struct bk__pci_ranges *reach, uint64_t first, uint64_t last,
			  struct bk__pci_ranges *missing)
{
	int error = bk__pci_ranges_add(missing, first, last);

	for (size_t i = 0; i < reach->count && !error; i++)
		error = bk__pci_ranges_remove(missing, reach->at[i].first, reach->at[i].last);
	return error;
}
