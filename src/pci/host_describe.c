/* SPDX-License-Identifier: BSD-2-Clause */
/* The hierarchy for people and programs: where functions are, and which parts of a BAR no window
 * reaches. */
#include <inttypes.h>
#include <stdio.h>

#include "base/printer.h"
#include "pci/bar.h"
#include "pci/bus.h"
#include "pci/explain_bar.h"
#include "pci/function.h"
#include "pci/reach.h"

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

	p->error = bk__pci_reach_missing(reach, first, last, &rest);
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
		    const struct bk__pci_reach *reach)
{
	const struct bk_pci_bar *bar = bk__pci_function_bar(function, index);
	struct bk__pci_place place = bk__pci_map_wanted(function, index);
	const char *kind = bk__pci_bar_kind(bar, index == BK_PCI_ROM);
	struct bk_pci_explanation why = { .struct_size = sizeof(why) };
	char text[BK__PCI_EXPLAIN_TEXT];

	bk__pci_explain(function, index, &why);
	bk__pci_explain_text(&why, text, sizeof(text));
	bk__put_next(p);
	if (p->json) {
		put_range(p, place.first, place.last);
		fprintf(p->out, ", \"bar\": %u, \"kind\": \"%s\", \"decodes\": %s", index, kind,
			place.on ? "true" : "false");
		if (!place.on)
			fprintf(p->out, ", \"why\": \"%s\"", text);
	} else {
		fprintf(p->out, "BAR %u %s at ", index, kind);
		put_range(p, place.first, place.last);
		if (place.on)
			fputs("\n", p->out);
		else
			fprintf(p->out, ", off: %s\n", text);
	}
	if (place.on)
		put_unreachable(p, bar->kind == BK_PCI_BAR_IO ? &reach->io : &reach->memory, place.first,
				place.last);
	if (p->json)
		fputs("}", p->out);
	p->first = false;
}

static int put_window(void *opaque, const struct bk__pci_window *window)
{
	struct bk__printer *p = opaque;

	bk__put_next(p);
	if (!p->json)
		fprintf(p->out, "window %s ", window->name);
	put_range(p, window->place.first, window->place.last);
	if (p->json)
		fprintf(p->out, ", \"kind\": \"%s\"}", window->name);
	else
		fputs("\n", p->out);
	return p->error;
}

static void put_bus(struct bk__printer *p, const struct bk_pci_bus *bus, unsigned number,
		    const struct bk__pci_reach *reach);

static void put_function(struct bk__printer *p, struct bk_pci_function *function, unsigned bus,
			 const struct bk__pci_reach *reach)
{
	struct bk__pci_reach below = { { 0 }, { 0 } };
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
		put_list(p, "windows");
		p->error = bk__pci_reach_below(function, reach, &below, put_window, p);
		bk__put_list_end(p);
	}
	pthread_mutex_unlock(&function->lock);
	if (function->secondary && !p->error)
		put_bus(p, function->secondary, secondary, &below);
	bk__pci_reach_free(&below);
	if (p->json)
		fputs("}", p->out);
	p->first = false;
}

/* Host's lock. */
static void put_bus(struct bk__printer *p, const struct bk_pci_bus *bus, unsigned number,
		    const struct bk__pci_reach *reach)
{
	put_list(p, "functions");
	for (unsigned i = 0; i < 256 && !p->error; i++)
		if (bus->functions[i])
			put_function(p, bus->functions[i], number, reach);
	bk__put_list_end(p);
}

int bk_pci_host_describe(struct bk_pci_host *host, enum bk_format format, bk_sink_fn *sink, void *opaque)
{
	struct bk__printer p;
	struct bk__pci_reach reach = { { 0 }, { 0 } };
	int error = bk__printer_begin(&p, format == BK_FORMAT_JSON);

	if (error)
		return error;
	p.error = bk__pci_reach_host(host, &reach);
	if (!p.error) {
		fprintf(p.out, p.json ? "{\"bus\": \"%02x\"" : "bus %02x\n", host->desc.bus_first);
		pthread_mutex_lock(&host->lock);
		put_bus(&p, host->root, host->desc.bus_first, &reach);
		pthread_mutex_unlock(&host->lock);
		if (p.json)
			fputs("}\n", p.out);
	}
	bk__pci_reach_free(&reach);
	return bk__printer_end(&p, sink, opaque);
}
