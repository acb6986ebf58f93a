/* SPDX-License-Identifier: BSD-2-Clause */
/* The map as a pure function of the registers, applied as one update. */
#include "map.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bar.h"
#include "bus.h"
#include "function.h"

struct bk__place bk__map_wanted(const struct bk_pci_function *function, unsigned index)
{
	const struct bk_pci_bar *bar = bk__function_bar(function, index);
	struct bk__place place = { 0 };
	uint16_t enable;
	uint64_t raw;

	if (!bar)
		return place;
	raw = bk__function_bar_raw(function, index);
	enable = bar->kind == BK_PCI_BAR_IO ? BK__COMMAND_IO : BK__COMMAND_MEMORY;
	place.first = bk__bar_address(bar, raw);
	place.last = place.first + (bar->size - 1);
	place.on = (bk__command(function) & enable) && bk__pm_state(function) == 0 &&
		   bk__bar_decodes(bar, index == BK_PCI_ROM, raw,
				   function->bus && function->bus->host->desc.address_zero);
	return place;
}

int bk__map_add(struct bk_pci_function *function, struct bk_update *update)
{
	for (unsigned i = 0; i < BK__SHOWS; i++) {
		const struct bk_pci_bar *bar = bk__function_bar(function, i);
		struct bk__show *show = &function->shows[i];
		char name[128];
		struct bk_region_desc desc = {
			.name = name,
			.rank = (uint64_t)function->devfn << 8 | i,
			.kind = BK_REGION_NESTED,
		};
		int error;

		if (!bar)
			continue;
		show->now = bk__map_wanted(function, i);
		if (i == BK_PCI_ROM)
			snprintf(name, sizeof(name), "%s rom", function->name);
		else
			snprintf(name, sizeof(name), "%s bar%u", function->name, i);
		desc.first = show->now.first;
		desc.last = show->now.last;
		desc.disabled = !show->now.on;
		desc.nested = bar->space;
		error = bk_update_add(update,
				      bar->kind == BK_PCI_BAR_IO ? function->bus->io : function->bus->memory,
				      &desc, &show->region);
		if (error)
			return error;
	}
	return 0;
}

int bk__map_remove(struct bk_pci_function *function, struct bk_update *update)
{
	for (unsigned i = 0; i < BK__SHOWS; i++) {
		int error =
			function->shows[i].region ? bk_update_remove(update, function->shows[i].region) : 0;

		if (error)
			return error;
	}
	return 0;
}

void bk__map_forget(struct bk_pci_function *function)
{
	memset(function->shows, 0, sizeof(function->shows));
}

/* Appends what takes the thing from where it is to `wanted`. What is off stays where it was. */
static int change(struct bk_update *update, const struct bk__show *show, const struct bk__place *wanted)
{
	int error = 0;

	if (wanted->on && (wanted->first != show->now.first || wanted->last != show->now.last))
		error = bk_update_move(update, show->region, wanted->first, wanted->last);
	if (!error && wanted->on != show->now.on)
		error = bk_update_enable(update, show->region, wanted->on);
	return error;
}

static void failed(struct bk_pci_function *function, int error)
{
	uint64_t missed;

	function->map_failures++;
	if (bk_ratelimit_ok(&function->map_limit, &missed))
		bk_log(BK_LOG_ERROR,
		       "%s: BARs stay where they were until the next config write: %s (%" PRIu64
		       " times so far)",
		       function->name, strerror(-error), function->map_failures);
}

void bk__map_settle(struct bk_pci_function *function)
{
	struct bk__place wanted[BK__SHOWS];
	struct bk_update *update = NULL;
	int error = 0;

	for (unsigned i = 0; i < BK__SHOWS && !error; i++) {
		struct bk__show *show = &function->shows[i];

		wanted[i] = show->now;
		if (!show->region)
			continue;
		wanted[i] = bk__map_wanted(function, i);
		if (!wanted[i].on) {
			wanted[i].first = show->now.first;
			wanted[i].last = show->now.last;
		}
		if (wanted[i].on == show->now.on && wanted[i].first == show->now.first &&
		    wanted[i].last == show->now.last)
			continue;
		if (!update)
			update = bk_update_begin(function->domain);
		error = update ? change(update, show, &wanted[i]) : -ENOMEM;
	}
	if (!update && !error)
		return;
	if (!error)
		error = bk_update_commit(update);
	else if (update)
		bk_update_drop(update);
	if (error) {
		failed(function, error);
		return;
	}
	for (unsigned i = 0; i < BK__SHOWS; i++)
		function->shows[i].now = wanted[i];
}
