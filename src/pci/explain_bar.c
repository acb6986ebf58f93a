/* SPDX-License-Identifier: BSD-2-Clause */
/* Why a BAR answers, or does not: what its registers say, then the windows above. */
#include "pci/explain_bar.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/struct.h"
#include "pci/bar.h"
#include "pci/bus.h"
#include "pci/function.h"
#include "pci/reach.h"

/* What keeps it from decoding, in the order in which a driver would look. */
static enum bk_pci_bar_reason reason(const struct bk_pci_function *function, unsigned index,
				     const struct bk_pci_explanation *e)
{
	const struct bk_pci_bar *bar = bk__pci_function_bar(function, index);
	const bool rom = index == BK_PCI_ROM;
	const uint16_t enable = bar->kind == BK_PCI_BAR_IO ? BK__PCI_COMMAND_IO : BK__PCI_COMMAND_MEMORY;

	if (atomic_load_explicit(&function->in_reset, memory_order_relaxed))
		return BK_PCI_BAR_IN_RESET;
	if (e->power_state)
		return BK_PCI_BAR_POWERED_DOWN;
	if (!(e->command & enable))
		return BK_PCI_BAR_COMMAND_OFF;
	if (rom && !(e->raw & BK__PCI_ROM_ENABLE))
		return BK_PCI_BAR_ROM_OFF;
	if (!bk__pci_bar_decodes(bar, rom, e->raw, true))
		return BK_PCI_BAR_PROBED;
	if (!e->address && !(function->bus && function->bus->host->desc.address_zero))
		return BK_PCI_BAR_AT_ZERO;
	if (!function->bus)
		return BK_PCI_BAR_DETACHED;
	if (!function->shows[index].now.on || function->shows[index].now.first != e->address)
		return BK_PCI_BAR_LEFT_BEHIND;
	return BK_PCI_BAR_ANSWERS;
}

void bk__pci_explain(const struct bk_pci_function *function, unsigned index, struct bk_pci_explanation *e)
{
	const struct bk_pci_bar *bar = bk__pci_function_bar(function, index);
	const bool rom = index == BK_PCI_ROM;

	e->kind = bk__pci_bar_kind(bar, rom);
	e->offset = bk__pci_function_bar_register(function, index);
	e->width = bar->kind == BK_PCI_BAR_MEM64 ? 8 : 4;
	e->raw = bk__pci_function_bar_raw(function, index);
	e->shown = bk__pci_bar_shown(bar, rom);
	e->address = bk__pci_bar_address(bar, e->raw);
	e->length = bar->size;
	e->io = bar->kind == BK_PCI_BAR_IO;
	e->command = bk__pci_command(function);
	e->power_state = bk__pci_pm_state(function);
	e->bridge = NULL;
	e->missing_first = e->missing_last = 0;
	e->reason = reason(function, index, e);
}

/* What reaches the bus from outside, unless part of the BAR is lost on the way: then `e` says so. Host's
 * lock. */
static int descend(const struct bk_pci_bus *bus, struct bk__pci_reach *reach, struct bk_pci_explanation *e)
{
	struct bk__pci_ranges missing = { 0 };
	int error;

	if (!bus->bridge) {
		error = bk__pci_reach_host(bus->host, reach);
	} else {
		struct bk__pci_reach above = { { 0 }, { 0 } };

		error = bus->bridge->bus ? descend(bus->bridge->bus, &above, e) : 0;
		if (!error && e->reason == BK_PCI_BAR_ANSWERS) {
			pthread_mutex_lock(&bus->bridge->lock);
			error = bk__pci_reach_below(bus->bridge, &above, reach, NULL, NULL);
			pthread_mutex_unlock(&bus->bridge->lock);
		}
		bk__pci_reach_free(&above);
	}
	if (!error && e->reason == BK_PCI_BAR_ANSWERS)
		error = bk__pci_reach_missing(e->io ? &reach->io : &reach->memory, e->address,
					      e->address + (e->length - 1), &missing);
	if (!error && missing.count) {
		e->reason = BK_PCI_BAR_OUTSIDE;
		e->bridge = bus->bridge;
		e->missing_first = missing.at[0].first;
		e->missing_last = missing.at[0].last;
	}
	bk__pci_ranges_free(&missing);
	return error;
}

/* The windows from the host down to the function. Host's lock. */
static int explain_windows(const struct bk_pci_function *function, struct bk_pci_explanation *e)
{
	struct bk__pci_reach reach = { { 0 }, { 0 } };
	int error = descend(function->bus, &reach, e);

	bk__pci_reach_free(&reach);
	return error;
}

void bk__pci_explain_text(const struct bk_pci_explanation *e, char *text, size_t size)
{
	char held[64];

	snprintf(held, sizeof(held), "register 0x%02x holds 0x%" PRIx64, e->offset, e->raw);
	switch (e->reason) {
	case BK_PCI_BAR_ANSWERS:
		snprintf(text, size, "it answers at 0x%" PRIx64 "-0x%" PRIx64, e->address,
			 e->address + (e->length - 1));
		break;
	case BK_PCI_BAR_IN_RESET:
		snprintf(text, size, "the function is in reset");
		break;
	case BK_PCI_BAR_POWERED_DOWN:
		snprintf(text, size, "the function is in D%u", e->power_state);
		break;
	case BK_PCI_BAR_COMMAND_OFF:
		snprintf(text, size, "COMMAND is 0x%04x: %s decoding is off", e->command,
			 e->io ? "I/O" : "memory");
		break;
	case BK_PCI_BAR_ROM_OFF:
		snprintf(text, size, "%s: the ROM's enable bit is off", held);
		break;
	case BK_PCI_BAR_PROBED:
		snprintf(text, size, "%s: all ones in the address bits of a half, a size probe", held);
		break;
	case BK_PCI_BAR_AT_ZERO:
		snprintf(text, size, "%s: address 0 does not decode", held);
		break;
	case BK_PCI_BAR_DETACHED:
		snprintf(text, size, "the function is on no bus");
		break;
	case BK_PCI_BAR_LEFT_BEHIND:
		snprintf(text, size, "%s, but the map could not follow: out of memory", held);
		break;
	case BK_PCI_BAR_OUTSIDE:
		snprintf(text, size, "0x%" PRIx64 "-0x%" PRIx64 " is in no window of %.80s", e->missing_first,
			 e->missing_last, e->bridge ? e->bridge->name : "the host bridge");
		break;
	}
}

int bk_pci_function_explain(struct bk_pci_function *function, unsigned index,
			    struct bk_pci_explanation *explanation, char *text, size_t text_size)
{
	struct bk_pci_explanation e = { 0 };
	struct bk_pci_host *host;
	int error = 0;

	if (!bk__pci_function_bar(function, index))
		return -EINVAL;
	pthread_mutex_lock(&function->lock);
	host = function->bus ? function->bus->host : NULL;
	bk__pci_explain(function, index, &e);
	pthread_mutex_unlock(&function->lock);
	if (host && e.reason == BK_PCI_BAR_ANSWERS) { /* its lock comes before the function's */
		pthread_mutex_lock(&host->lock);
		pthread_mutex_lock(&function->lock);
		bk__pci_explain(function, index, &e);
		pthread_mutex_unlock(&function->lock);
		if (e.reason == BK_PCI_BAR_ANSWERS && function->bus->host == host)
			error = explain_windows(function, &e);
		if (text && !error)
			bk__pci_explain_text(&e, text, text_size);
		pthread_mutex_unlock(&host->lock);
	} else if (text) {
		bk__pci_explain_text(&e, text, text_size);
	}
	if (error)
		return error;
	bk__struct_give(explanation, &e, sizeof(e));
	return 0;
}
