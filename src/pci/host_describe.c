/* SPDX-License-Identifier: BSD-2-Clause */
/* The hierarchy for people and programs: who is where, and which parts of a BAR no window reaches. */
#include <inttypes.h>
#include <stdio.h>

#include "pci/bar.h"
#include "base/printer.h"
#include "pci/bridge.h"
#include "pci/bus.h"
#include "pci/function.h"
#include "pci/ranges.h"

/* Addresses of a bus that can be reached from outside. */
struct reach {
	struct bk__pci_ranges memory, io;
};

static void free_reach(struct reach *reach)
{
	bk__pci_ranges_free(&reach->memory);
	bk__pci_ranges_free(&reach->io);
}

/* In JSON an object with a range, left open. */
static void put_range(struct bk__printer *p, uint64_t first, uint64_t last)
{
	if (p->json)
		fputs("{", p->out);
	bk__put_range(p, first, last);
}

/* The next key of an object. */
static void put_list(struct bk__printer *p, const char *key)
{
	if (p->json)
		fputs(", ", p->out);
	bk__put_list(p, key);
}

/* What of [first, last] is in no window, one line each. */
static void put_unreachable(struct bk__printer *p, const struct bk__pci_ranges *reach, uint64_t first,
			    uint64_t last)
{
	struct bk__pci_ranges rest = { 0 };

	p->error = bk__pci_ranges_add(&rest, first, last);
	for (size_t i = 0; i < reach->count && !p->error; i++)
		p->error = bk__pci_ranges_remove(&rest, reach->at[i].first, reach->at[i].last);
	put_list(p, "unreachable");
	for (size_t i = 0; i < rest.count && !p->error; i++) {
		bk__put_next(p);
		put_range(p, rest.at[i].first, rest.at[i].last);
		fputs(p->json ? "}" : " is in no window\n", p->out);
	}
	bk__put_list_end(p);
	bk__pci_ranges_free(&rest);
}

static void put_bar(struct bk__printer *p, const struct bk_pci_function *function, unsigned index,
		    const struct reach *reach)
{
	const struct bk_pci_bar *bar = bk__pci_function_bar(function, index);
	struct bk__pci_place place = bk__pci_map_wanted(function, index);
	const char *kind = bk__pci_bar_kind(bar, index == BK_PCI_ROM);

	bk__put_next(p);
	if (p->json) {
		put_range(p, place.first, place.last);
		fprintf(p->out, ", \"bar\": %u, \"kind\": \"%s\", \"decodes\": %s", index, kind,
			place.on ? "true" : "false");
	} else {
		fprintf(p->out, "BAR %u %s at ", index, kind);
		put_range(p, place.first, place.last);
		fputs(place.on ? "\n" : ", off\n", p->out);
	}
	if (place.on)
		put_unreachable(p, bar->kind == BK_PCI_BAR_IO ? &reach->io : &reach->memory, place.first,
				place.last);
	if (p->json)
		fputs("}", p->out);
	p->first = false;
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

static void put_windows(struct bk__printer *p, const struct bk_pci_function *bridge,
			const struct reach *above, struct reach *below)
{
	static const struct {
		unsigned show;
		const char *name;
		bool io;
	} windows[] = {
		{ BK__SHOW_IO, "I/O", true },
		{ BK__SHOW_IO_ISA, "I/O less ISA ports", true },
		{ BK__SHOW_MEMORY, "memory", false },
		{ BK__SHOW_PREFETCHABLE, "prefetchable", false },
		{ BK__SHOW_VGA_MEMORY, "VGA memory", false },
		{ BK__SHOW_VGA_MONO, "VGA ports", true },
		{ BK__SHOW_VGA_COLOR, "VGA ports", true },
		{ BK__SHOW_VGA_ALIASES, "VGA port aliases", true },
	};

	put_list(p, "windows");
	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]) && !p->error; i++) {
		struct bk__pci_place place = bk__pci_map_wanted(bridge, windows[i].show);

		if (!place.on)
			continue;
		bk__put_next(p);
		if (!p->json)
			fprintf(p->out, "window %s ", windows[i].name);
		put_range(p, place.first, place.last);
		if (p->json)
			fprintf(p->out, ", \"kind\": \"%s\"}", windows[i].name);
		else
			fputs("\n", p->out);
		if (!windows[i].io)
			p->error = add_window(&below->memory, &above->memory, &place);
		else if (windows[i].show == BK__SHOW_IO_ISA || windows[i].show == BK__SHOW_VGA_ALIASES)
			p->error = add_filtered(&below->io, &above->io, &place, windows[i].show);
		else
			p->error = add_window(&below->io, &above->io, &place);
	}
	bk__put_list_end(p);
}

static void put_bus(struct bk__printer *p, const struct bk_pci_bus *bus, unsigned number,
		    const struct reach *reach);

static void put_function(struct bk__printer *p, struct bk_pci_function *function, unsigned bus,
			 const struct reach *reach)
{
	struct reach below = { { 0 }, { 0 } };
	unsigned secondary = 0;

	pthread_mutex_lock(&function->lock);
	bk__put_next(p);
	fprintf(p->out, p->json ? "{\"address\": \"%02x:%02x.%x\", \"name\": \"" : "%02x:%02x.%x ", bus,
		function->devfn >> 3, function->devfn & 7);
	bk__put_text(p, function->name);
	fprintf(p->out, p->json ? "\", \"vendor\": \"0x%04x\", \"device\": \"0x%04x\"" : " %04x:%04x\n",
		function->desc.vendor, function->desc.device);
	put_list(p, "bars");
	for (unsigned i = 0; i <= BK_PCI_ROM && !p->error; i++)
		if (bk__pci_function_bar(function, i))
			put_bar(p, function, i, reach);
	bk__put_list_end(p);
	if (function->secondary) {
		secondary = (unsigned)bk__pci_config_get(&function->config, BK__PCI_BRIDGE_SECONDARY, 1);
		put_windows(p, function, reach, &below);
	}
	pthread_mutex_unlock(&function->lock);
	if (function->secondary && !p->error)
		put_bus(p, function->secondary, secondary, &below);
	free_reach(&below);
	if (p->json)
		fputs("}", p->out);
	p->first = false;
}

/* Host's lock. */
static void put_bus(struct bk__printer *p, const struct bk_pci_bus *bus, unsigned number,
		    const struct reach *reach)
{
	put_list(p, "functions");
	for (unsigned i = 0; i < 256 && !p->error; i++)
		if (bus->functions[i])
			put_function(p, bus->functions[i], number, reach);
	bk__put_list_end(p);
}

int bk_pci_host_describe(struct bk_pci_host *host, FILE *out, enum bk_format format)
{
	struct bk__printer p;
	struct reach reach = { { 0 }, { 0 } };
	int error = bk__printer_begin(&p, format == BK_FORMAT_JSON);

	if (error)
		return error;
	for (unsigned i = 0; i < host->desc.window_count && !p.error; i++) {
		const struct bk_pci_window *window = &host->desc.windows[i];

		p.error = bk__pci_ranges_add(window->kind == BK_PCI_WINDOW_IO ? &reach.io : &reach.memory,
					     window->bus_first,
					     window->bus_first + (window->last - window->first));
	}
	if (!p.error) {
		fprintf(p.out, p.json ? "{\"bus\": \"%02x\"" : "bus %02x\n", host->desc.bus_first);
		pthread_mutex_lock(&host->lock);
		put_bus(&p, host->root, host->desc.bus_first, &reach);
		pthread_mutex_unlock(&host->lock);
		if (p.json)
			fputs("}\n", p.out);
	}
	free_reach(&reach);
	return bk__printer_end(&p, out);
}
