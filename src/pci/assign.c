/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses for every BAR and every window of a bridge, as firmware would give
 * them, through config space.
 *
 * What is to be placed on a bus is a list of wishes: BARs, and the windows of
 * bridges, whose size is found by packing what is below them. Alignments are
 * powers of two and the largest comes first, so that what fits in a trial at
 * one aligned address fits at any other.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "pci/bar.h"
#include "pci/bridge.h"
#include "pci/bus.h"
#include "pci/function.h"
#include "pci/free_ranges.h"

#define BELOW_4G ((uint64_t)UINT32_MAX)
#define ABOVE_4G (BELOW_4G + 1)

enum { IO_WINDOWS = 0xffff };

/* Which window of a bridge it goes through. On the host's bus the last two are one. */
enum pool { POOL_IO, POOL_MEMORY, POOL_PREFETCHABLE, POOLS };

/* A BAR or the window of a bridge. */
struct wish {
	struct bk_pci_function *function;
	unsigned index; /* of the BAR, or BK__SHOW_IO to BK__SHOW_PREFETCHABLE */
	enum pool pool;
	bool wide; /* may be above 4 GiB */
	uint64_t size, align;
	uint64_t first; /* where it is placed */
	bool placed, dropped;
	struct node *below; /* of a window */
};

/* A bus and what is on it. */
struct node {
	struct bk_pci_bus *bus;
	unsigned number;
	bool numbered;
	struct bk_pci_function *functions[256];
	struct node *below[256]; /* of a bridge */
	unsigned count;
	struct wish *wishes;
	size_t wish_count;
	struct bk__pci_ranges *free[POOLS];
};

struct job {
	struct bk_pci_host *host;
	uint64_t page;
	void (*report)(void *opaque, const char *line);
	void *opaque;
	struct bk__pci_ranges memory, io; /* free, in addresses of the host's bus */
	unsigned next_number;
	unsigned failed, unnumbered;
	unsigned closed; /* windows for memory that found no place */
	bool room;       /* windows of hot-plug slots have room for a card to come */
};

/* ---- Who is there ------------------------------------------------------ */

static void free_node(struct node *node)
{
	if (!node)
		return;
	for (unsigned i = 0; i < node->count; i++)
		free_node(node->below[i]);
	free(node->wishes);
	free(node);
}

/* NULL when out of memory. Host's lock. */
static struct node *gather(struct bk_pci_bus *bus)
{
	struct node *node = calloc(1, sizeof(*node));

	if (!node)
		return NULL;
	node->bus = bus;
	for (unsigned i = 0; i < 256; i++) {
		struct bk_pci_function *function = bus->functions[i];

		if (!function)
			continue;
		node->functions[node->count] = function;
		if (function->secondary && !(node->below[node->count] = gather(function->secondary))) {
			free_node(node);
			return NULL;
		}
		node->count++;
	}
	/* A BAR each, a ROM each, three windows a bridge. */
	node->wishes = calloc((size_t)node->count * (BK_PCI_ROM + 1 + POOLS) + 1, sizeof(*node->wishes));
	if (node->wishes)
		return node;
	free_node(node);
	return NULL;
}

static void write_register(struct bk_pci_function *function, unsigned offset, unsigned width, uint64_t value)
{
	bk_space_write(function->space, offset, width, value);
}

static unsigned command_read(struct bk_pci_function *function)
{
	uint64_t value;

	bk_space_read(function->space, BK__PCI_COMMAND, 2, &value);
	return (unsigned)value;
}

static void write_address(struct bk_pci_function *function, unsigned index, uint64_t address)
{
	const struct bk_pci_bar *bar = bk__pci_function_bar(function, index);
	unsigned at = bk__pci_function_bar_register(function, index);

	write_register(function, at, 4, address & UINT32_MAX);
	if (bar->kind == BK_PCI_BAR_MEM64)
		write_register(function, at + 4, 4, address >> 32);
}

static void close_windows(struct bk_pci_function *bridge)
{
	write_register(bridge, BK__PCI_BRIDGE_PRIMARY, 2, 0);
	write_register(bridge, BK__PCI_BRIDGE_SUBORDINATE, 1, 0);
	write_register(bridge, BK__PCI_BRIDGE_IO_BASE, 2, 0x00f0);
	write_register(bridge, BK__PCI_BRIDGE_MEMORY_BASE, 4, 0x0000fff0);
	write_register(bridge, BK__PCI_BRIDGE_PREFETCHABLE_BASE, 4, 0x0000fff0);
	write_register(bridge, BK__PCI_BRIDGE_PREFETCHABLE_BASE_UPPER, 4, 0);
	write_register(bridge, BK__PCI_BRIDGE_PREFETCHABLE_LIMIT_UPPER, 4, 0);
}

/* Nothing decodes, and everything is at 0. */
static void silence(struct node *node)
{
	for (unsigned i = 0; i < node->count; i++) {
		struct bk_pci_function *function = node->functions[i];

		write_register(function, BK__PCI_COMMAND, 2,
			       command_read(function) &
				       ~(unsigned)(BK__PCI_COMMAND_IO | BK__PCI_COMMAND_MEMORY));
		for (unsigned index = 0; index <= BK_PCI_ROM; index++)
			if (bk__pci_function_bar(function, index))
				write_address(function, index, 0);
		if (node->below[i]) {
			close_windows(function);
			silence(node->below[i]);
		}
	}
}

static void no_number(const struct job *job, const struct node *node, const struct bk_pci_function *bridge)
{
	char line[256];

	snprintf(line, sizeof(line),
		 "%02x:%02x.%x %s: no bus number is left for the bus below: the last is %u", node->number,
		 bridge->devfn >> 3, bridge->devfn & 7, bridge->name, job->host->desc.bus_last);
	if (job->report)
		job->report(job->opaque, line);
}

/* Bus numbers, depth first. */
static void number(struct job *job, struct node *node, unsigned own)
{
	node->number = own;
	node->numbered = true;
	for (unsigned i = 0; i < node->count; i++) {
		struct bk_pci_function *bridge = node->functions[i];
		unsigned first = job->next_number;

		if (!node->below[i])
			continue;
		if (first > job->host->desc.bus_last) {
			no_number(job, node, bridge);
			job->unnumbered++;
			continue;
		}
		job->next_number++;
		number(job, node->below[i], first);
		write_register(bridge, BK__PCI_BRIDGE_PRIMARY, 1, own);
		write_register(bridge, BK__PCI_BRIDGE_SECONDARY, 1, first);
		write_register(bridge, BK__PCI_BRIDGE_SUBORDINATE, 1, job->next_number - 1);
	}
}

/* ---- What is wished for ------------------------------------------------ */

static bool is_window(const struct wish *wish)
{
	return wish->index > BK_PCI_ROM;
}

/* What needs the larger alignment first; among equals by place, so that the
 * result depends on nothing else. */
static int by_align(const void *left, const void *right)
{
	const struct wish *a = left, *b = right;

	if (a->align != b->align)
		return a->align > b->align ? -1 : 1;
	if (a->size != b->size)
		return a->size > b->size ? -1 : 1;
	if (a->function->devfn != b->function->devfn)
		return a->function->devfn < b->function->devfn ? -1 : 1;
	return a->index < b->index ? -1 : 1;
}

static void wish_for_bars(const struct job *job, struct node *node, struct bk_pci_function *function)
{
	for (unsigned index = 0; index <= BK_PCI_ROM; index++) {
		const struct bk_pci_bar *bar = bk__pci_function_bar(function, index);
		struct wish *wish = &node->wishes[node->wish_count];

		if (!bar)
			continue;
		*wish = (struct wish){ .function = function, .index = index, .pool = POOL_MEMORY };
		wish->wide = bar->kind == BK_PCI_BAR_MEM64;
		if (bar->kind == BK_PCI_BAR_IO)
			wish->pool = POOL_IO;
		else if (wish->wide && bar->prefetchable)
			wish->pool = POOL_PREFETCHABLE;
		wish->size = wish->align =
			wish->pool == POOL_IO || bar->size > job->page ? bar->size : job->page;
		node->wish_count++;
	}
}

/* Could it ever be in a window of a bridge? If not, it must not spoil it for the others. */
static bool possible(const struct wish *wish)
{
	uint64_t most = wish->pool == POOL_IO       ? IO_WINDOWS
			: wish->pool == POOL_MEMORY ? BELOW_4G
						    : UINT64_MAX / 4;

	return wish->size <= most / 2 + 1;
}

/* Packs the wishes of a pool as they will be placed. The size is 0 if there are none. */
static int pack(struct node *node, enum pool pool, uint64_t *size, uint64_t *align)
{
	const uint64_t base = UINT64_C(1) << 62,
		       grain = pool == POOL_IO ? BK__PCI_BRIDGE_IO_GRAIN : BK__PCI_BRIDGE_MEMORY_GRAIN;
	struct bk__pci_ranges trial = { 0 };
	uint64_t end = base;
	int error = bk__pci_ranges_add(&trial, base, UINT64_MAX);

	*align = grain;
	for (size_t i = 0; i < node->wish_count && !error; i++) {
		struct wish *wish = &node->wishes[i];
		uint64_t first;

		wish->dropped |= !possible(wish);
		if (wish->pool != pool || wish->dropped)
			continue;
		if (!bk__pci_ranges_find(&trial, wish->size, wish->align, 0, UINT64_MAX, &first))
			continue;
		error = bk__pci_ranges_remove(&trial, first, first + (wish->size - 1));
		if (first + wish->size > end)
			end = first + wish->size;
		if (wish->align > *align)
			*align = wish->align;
	}
	bk__pci_ranges_free(&trial);
	*size = (end - base + grain - 1) & ~(grain - 1);
	return error;
}

/* The window of a slot has room for a card to come, whose largest BAR wants to be aligned. */
static void widen(struct wish *wish)
{
	const struct bk__pci_slot *slot = &wish->function->slot;
	uint64_t room = wish->pool == POOL_IO       ? BK__PCI_BRIDGE_IO_GRAIN
			: wish->pool == POOL_MEMORY ? slot->memory
						    : slot->prefetchable;

	if (!slot->there || wish->size >= room)
		return;
	wish->size = room;
	while (room & (room - 1))
		room &= room - 1;
	if (room > wish->align)
		wish->align = room;
}

/* All wishes of a bus, in the order in which they are placed; those below first. */
static int wish_for_all(const struct job *job, struct node *node)
{
	node->wish_count = 0;
	for (unsigned i = 0; i < node->count; i++) {
		struct node *below = node->below[i];
		int error = below ? wish_for_all(job, below) : 0;

		wish_for_bars(job, node, node->functions[i]);
		for (unsigned pool = 0; pool < POOLS && below && below->numbered && !error; pool++) {
			struct wish *wish = &node->wishes[node->wish_count];

			*wish = (struct wish){
				.function = node->functions[i],
				.index = BK__SHOW_IO + pool,
				.pool = pool,
				.wide = pool == POOL_PREFETCHABLE,
				.below = below,
			};
			error = pack(below, pool, &wish->size, &wish->align);
			if (job->room)
				widen(wish);
			if (wish->size)
				node->wish_count++;
		}
		if (error)
			return error;
	}
	qsort(node->wishes, node->wish_count, sizeof(*node->wishes), by_align);
	return 0;
}

/* ---- Placing ----------------------------------------------------------- */

static void open_window(const struct wish *wish)
{
	struct bk_pci_function *bridge = wish->function;
	uint64_t first = wish->first, last = first + (wish->size - 1);

	switch (wish->pool) {
	case POOL_IO:
		write_register(bridge, BK__PCI_BRIDGE_IO_BASE, 2, (first >> 8 & 0xf0) | (last & 0xf000));
		break;
	case POOL_MEMORY:
		write_register(bridge, BK__PCI_BRIDGE_MEMORY_BASE, 4,
			       (first >> 16 & 0xfff0) | (last & 0xfff00000));
		break;
	default:
		write_register(bridge, BK__PCI_BRIDGE_PREFETCHABLE_BASE, 4,
			       (first >> 16 & 0xfff0) | (last & 0xfff00000));
		write_register(bridge, BK__PCI_BRIDGE_PREFETCHABLE_BASE_UPPER, 4, first >> 32);
		write_register(bridge, BK__PCI_BRIDGE_PREFETCHABLE_LIMIT_UPPER, 4, last >> 32);
	}
}

/* Nothing lies across 4 GiB, so that the order of places is the same in any window. */
static bool find_place(struct node *node, struct wish *wish)
{
	struct bk__pci_ranges *ranges = node->free[wish->pool];
	uint64_t most = wish->pool == POOL_IO && is_window(wish) ? IO_WINDOWS : BELOW_4G;
	bool found = false;

	if (wish->pool == POOL_PREFETCHABLE)
		found = bk__pci_ranges_find(ranges, wish->size, wish->align, ABOVE_4G, UINT64_MAX,
					    &wish->first);
	if (!found)
		found = bk__pci_ranges_find(ranges, wish->size, wish->align, 0, most, &wish->first);
	if (!found && wish->wide)
		found = bk__pci_ranges_find(ranges, wish->size, wish->align, ABOVE_4G, UINT64_MAX,
					    &wish->first);
	return found && !bk__pci_ranges_remove(ranges, wish->first, wish->first + (wish->size - 1));
}

/* A window that has no place does without the largest thing in it. False if nothing is left. */
static bool shrink(struct wish *window)
{
	struct node *below = window->below;

	for (size_t i = 0; i < below->wish_count; i++) {
		struct wish *wish = &below->wishes[i];

		if (wish->pool != window->pool || wish->dropped)
			continue;
		wish->dropped = true;
		return !pack(below, window->pool, &window->size, &window->align) && window->size;
	}
	return false;
}

static void place(struct node *node, struct wish *wish)
{
	const struct wish asked = *wish;

	if (wish->dropped)
		return;
	do {
		wish->placed = find_place(node, wish);
	} while (!wish->placed && is_window(wish) && shrink(wish));
	if (!wish->placed)
		wish->size = asked.size;
	else if (is_window(wish))
		open_window(wish);
	else
		write_address(wish->function, wish->index, wish->first);
}

static void report(const struct job *job, const struct node *node, const struct wish *wish)
{
	static const char *const windows[] = { "I/O window", "memory window", "prefetchable window" };
	char line[256], what[64];

	if (!job->report)
		return;
	if (is_window(wish))
		snprintf(what, sizeof(what), "%s", windows[wish->pool]);
	else if (wish->index == BK_PCI_ROM)
		snprintf(what, sizeof(what), "ROM");
	else
		snprintf(what, sizeof(what), "BAR %u (%s)", wish->index,
			 bk__pci_bar_kind(bk__pci_function_bar(wish->function, wish->index), false));
	snprintf(line, sizeof(line),
		 "%02x:%02x.%x %s: %s does not fit: needs %#" PRIx64
		 " bytes, the longest free range has %#" PRIx64,
		 node->number, wish->function->devfn >> 3, wish->function->devfn & 7, wish->function->name,
		 what, wish->size,
		 bk__pci_ranges_longest(node->free[wish->pool], 0, wish->wide ? UINT64_MAX : BELOW_4G));
	job->report(job->opaque, line);
}

/* Decoding on, where all BARs found a place; a bridge must let others through in any case. */
static void enable(const struct node *node, struct bk_pci_function *function)
{
	bool all = true;
	unsigned bars = 0, windows = 0;

	for (size_t i = 0; i < node->wish_count; i++) {
		const struct wish *wish = &node->wishes[i];
		unsigned bit = wish->pool == POOL_IO ? BK__PCI_COMMAND_IO : BK__PCI_COMMAND_MEMORY;

		if (wish->function != function)
			continue;
		if (!is_window(wish))
			bars |= bit, all = all && wish->placed;
		else if (wish->placed)
			windows |= bit;
	}
	if ((all && bars) || windows)
		write_register(function, BK__PCI_COMMAND, 2,
			       command_read(function) | (all ? bars : 0) | windows);
}

static void place_all(struct job *job, struct node *node)
{
	for (size_t i = 0; i < node->wish_count; i++) {
		struct wish *wish = &node->wishes[i];

		place(node, wish);
		if (!wish->placed)
			report(job, node, wish);
		job->failed += !wish->placed && !is_window(wish);
		job->closed += !wish->placed && is_window(wish) && wish->pool != POOL_IO;
	}
	for (unsigned i = 0; i < node->count; i++) {
		struct bk__pci_ranges windows[POOLS] = { { 0 } };
		struct node *below = node->below[i];

		enable(node, node->functions[i]);
		if (!below)
			continue;
		for (unsigned pool = 0; pool < POOLS; pool++)
			below->free[pool] = &windows[pool];
		for (size_t k = 0; k < node->wish_count; k++) {
			const struct wish *wish = &node->wishes[k];

			/* Out of memory, the window stays empty, and what should be in it is reported. */
			if (wish->function == node->functions[i] && is_window(wish) && wish->placed)
				(void)bk__pci_ranges_add(&windows[wish->pool], wish->first,
							 wish->first + (wish->size - 1));
		}
		place_all(job, below);
		for (unsigned pool = 0; pool < POOLS; pool++)
			bk__pci_ranges_free(&windows[pool]);
	}
}

static bool has_slot(const struct node *node)
{
	for (unsigned i = 0; i < node->count; i++)
		if (node->functions[i]->slot.there || (node->below[i] && has_slot(node->below[i])))
			return true;
	return false;
}

/* All of it once: 0 or a negative errno. */
static int place_hierarchy(struct job *job, struct node *root)
{
	int error;

	bk__pci_ranges_free(&job->memory);
	bk__pci_ranges_free(&job->io);
	root->free[POOL_IO] = &job->io;
	root->free[POOL_MEMORY] = root->free[POOL_PREFETCHABLE] = &job->memory;
	silence(root);
	job->next_number = job->host->desc.bus_first + 1u;
	job->failed = 0;
	number(job, root, job->host->desc.bus_first);
	error = wish_for_all(job, root);
	if (!error)
		error = bk__pci_free_ranges(job->host, job->page, &job->memory, &job->io);
	if (!error)
		place_all(job, root);
	return error;
}

int bk_pci_host_assign(struct bk_pci_host *host, uint64_t page, unsigned *left_out,
		       void (*report_line)(void *opaque, const char *line), void *opaque)
{
	struct job job = { .host = host, .page = 1, .opaque = opaque };
	struct node *root;
	int error = -ENOMEM;

	while (job.page < page && job.page << 1)
		job.page <<= 1;
	pthread_mutex_lock(&host->lock);
	root = gather(host->root);
	pthread_mutex_unlock(&host->lock);
	/* Room for later devices must not displace a present one. */
	job.room = root && has_slot(root);
	if (job.room)
		error = place_hierarchy(&job, root);
	if (root && job.room && (job.failed || job.closed) && report_line)
		report_line(opaque,
			    "there is less room for cards to come than the hot-plug slots should have");
	if (root && (!job.room || job.failed || job.unnumbered)) {
		job.room = job.room && !job.failed; /* whom no bus number is left for gains nothing by it */
		job.report = report_line;
		error = place_hierarchy(&job, root);
	}
	if (error && report_line)
		report_line(opaque, "no BAR has an address: out of memory");
	free_node(root);
	bk__pci_ranges_free(&job.memory);
	bk__pci_ranges_free(&job.io);
	if (left_out)
		*left_out = error ? 0 : job.failed;
	return error;
}
