/* SPDX-License-Identifier: BSD-2-Clause */
/* The addresses in the windows of a host bridge that nobody has. */
#include "pci/free_ranges.h"

#include "pci/bus.h"

#define MIB       0x100000 /* below it, ... */
#define ISA_PORTS 0x400    /* ... and below this, are the places of PCs before PCI */
#define LEAST_IO  0x1000   /* below are the fixed ports of a PC */

/* A window being searched for what others answer in it. */
struct search {
	const struct bk_pci_window *window;
	struct bk__pci_ranges *ranges;
	int error;
};

static bool taken(void *opaque, const struct bk_flat *flat)
{
	struct search *search = opaque;
	const struct bk_pci_window *window = search->window;
	uint64_t first = flat->first > window->first ? flat->first : window->first;
	uint64_t last = flat->last < window->last ? flat->last : window->last;

	search->error = bk__pci_ranges_remove(search->ranges, window->bus_first + (first - window->first),
					      window->bus_first + (last - window->first));
	return !search->error;
}

/* What is there has its address from old, as VGA. */
static bool is_legacy(const struct bk_pci_window *window)
{
	const uint64_t end = window->kind == BK_PCI_WINDOW_IO ? ISA_PORTS : MIB;

	return window->bus_first < end && window->last - window->first < end - window->bus_first;
}

int bk__pci_free_ranges(struct bk_pci_host *host, uint64_t page, struct bk__pci_ranges *memory,
			struct bk__pci_ranges *io)
{
	const unsigned windows = host->desc.window_count;
	int error = 0;

	for (unsigned i = 0; i < windows && !error; i++) {
		const struct bk_pci_window *window = &host->windows[i].desc;

		if (is_legacy(window))
			continue;
		error = bk__pci_ranges_add(window->kind == BK_PCI_WINDOW_IO ? io : memory, window->bus_first,
					   window->bus_first + (window->last - window->first));
	}
	for (unsigned i = 0; i < windows && !error; i++) {
		const struct bk_pci_window *window = &host->windows[i].desc;
		struct search search = {
			.window = window,
			.ranges = window->kind == BK_PCI_WINDOW_IO ? io : memory,
		};

		error = bk_space_visit(search.window->space, search.window->first, search.window->last, taken,
				       &search);
		if (!error)
			error = search.error;
	}
	if (!error)
		error = bk__pci_ranges_remove(memory, 0, page - 1);
	if (!error && bk__pci_ranges_longest(io, LEAST_IO, UINT32_MAX))
		error = bk__pci_ranges_remove(io, 0, LEAST_IO - 1);
	return error ? error : bk__pci_ranges_remove(io, 0, 3);
}
