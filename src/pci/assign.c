/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses for every BAR, as firmware would give them: through config space, largest first. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "bar.h"
#include "bus.h"
#include "function.h"
#include "ranges.h"

#define BELOW_4G UINT32_MAX

enum { LEAST_IO = 0x1000 }; /* below are the fixed ports of a PC, on every slot's behalf */

/* One BAR to be placed. */
struct wish {
	struct bk_pci_function *function;
	unsigned index;
	const struct bk_pci_bar *bar;
	uint64_t room; /* bytes, and the alignment */
	bool done;
};

struct job {
	struct bk_pci_host *host;
	uint64_t page;
	void (*report)(void *opaque, const char *line);
	void *opaque;
	struct bk__ranges memory, io; /* free, in bus addresses */
	struct wish *wishes;
	size_t count;
	int error;
};

/* ---- What is free ------------------------------------------------------ */

/* A window being searched for what others answer in it. */
struct search {
	const struct bk_pci_window *window;
	struct bk__ranges *ranges;
	int error;
};

static bool taken(void *opaque, const struct bk_flat *flat)
{
	struct search *search = opaque;
	const struct bk_pci_window *window = search->window;
	uint64_t first = flat->first > window->first ? flat->first : window->first;
	uint64_t last = flat->last < window->last ? flat->last : window->last;

	search->error = bk__ranges_remove(search->ranges, window->bus_first + (first - window->first),
					  window->bus_first + (last - window->first));
	return !search->error;
}

/* Everything in the windows where nobody answers now. */
static int find_free(struct job *job)
{
	const struct bk_pci_host_desc *desc = &job->host->desc;
	int error = 0;

	for (unsigned i = 0; i < desc->window_count && !error; i++) {
		const struct bk_pci_window *window = &desc->windows[i];

		error = bk__ranges_add(window->kind == BK_PCI_WINDOW_IO ? &job->io : &job->memory,
				       window->bus_first, window->bus_first + (window->last - window->first));
	}
	for (unsigned i = 0; i < desc->window_count && !error; i++) {
		struct search search = {
			.window = &desc->windows[i],
			.ranges = desc->windows[i].kind == BK_PCI_WINDOW_IO ? &job->io : &job->memory,
		};

		bk_space_visit(search.window->space, search.window->first, search.window->last, taken,
			       &search);
		error = search.error;
	}
	if (!error)
		error = bk__ranges_remove(&job->memory, 0, job->page - 1);
	if (!error && bk__ranges_longest(&job->io, LEAST_IO, UINT32_MAX))
		error = bk__ranges_remove(&job->io, 0, LEAST_IO - 1);
	return error ? error : bk__ranges_remove(&job->io, 0, 3);
}

/* ---- What is wished for ------------------------------------------------ */

static void write_register(struct bk_pci_function *function, unsigned offset, unsigned width, uint64_t value)
{
	bk_space_write(function->space, offset, width, value);
}

static unsigned command_read(struct bk_pci_function *function)
{
	uint64_t value;

	bk_space_read(function->space, BK__COMMAND, 2, &value);
	return (unsigned)value;
}

static void write_address(struct bk_pci_function *function, unsigned index, uint64_t address)
{
	const struct bk_pci_bar *bar = bk__function_bar(function, index);
	unsigned at = bk__function_bar_register(function, index);

	write_register(function, at, 4, address & UINT32_MAX);
	if (bar->kind == BK_PCI_BAR_MEM64)
		write_register(function, at + 4, 4, address >> 32);
}

/* Larger first; among equals by place, so that the result depends on nothing else. */
static int by_room(const void *left, const void *right)
{
	const struct wish *a = left, *b = right;

	if (a->room != b->room)
		return a->room > b->room ? -1 : 1;
	if (a->function->devfn != b->function->devfn)
		return a->function->devfn < b->function->devfn ? -1 : 1;
	return a->index < b->index ? -1 : 1;
}

static int collect(struct job *job, struct bk_pci_function **functions, size_t count)
{
	job->wishes = calloc(count * (BK_PCI_ROM + 1) + 1, sizeof(*job->wishes));
	if (!job->wishes)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		write_register(functions[i], BK__COMMAND, 2,
			       command_read(functions[i]) & ~(unsigned)(BK__COMMAND_IO | BK__COMMAND_MEMORY));
		for (unsigned index = 0; index <= BK_PCI_ROM; index++) {
			const struct bk_pci_bar *bar = bk__function_bar(functions[i], index);
			bool io = bar && bar->kind == BK_PCI_BAR_IO;

			if (!bar)
				continue;
			write_address(functions[i], index, 0);
			job->wishes[job->count++] = (struct wish){
				.function = functions[i],
				.index = index,
				.bar = bar,
				.room = io || bar->size > job->page ? bar->size : job->page,
			};
		}
	}
	qsort(job->wishes, job->count, sizeof(*job->wishes), by_room);
	return 0;
}

/* ---- Placing ----------------------------------------------------------- */

static bool place(struct job *job, struct wish *wish)
{
	struct bk__ranges *ranges = wish->bar->kind == BK_PCI_BAR_IO ? &job->io : &job->memory;
	bool wide = wish->bar->kind == BK_PCI_BAR_MEM64, found = false;
	uint64_t first;

	if (wide && wish->bar->prefetchable)
		found = bk__ranges_find(ranges, wish->room, wish->room, (uint64_t)BELOW_4G + 1, UINT64_MAX,
					&first);
	if (!found)
		found = bk__ranges_find(ranges, wish->room, wish->room, 0, BELOW_4G, &first);
	if (!found && wide)
		found = bk__ranges_find(ranges, wish->room, wish->room, 0, UINT64_MAX, &first);
	if (!found || bk__ranges_remove(ranges, first, first + (wish->room - 1)))
		return false;
	write_address(wish->function, wish->index, first);
	return true;
}

static void report(const struct job *job, const struct wish *wish)
{
	bool io = wish->bar->kind == BK_PCI_BAR_IO, wide = wish->bar->kind == BK_PCI_BAR_MEM64;
	char line[256], which[16];

	if (!job->report)
		return;
	if (wish->index == BK_PCI_ROM)
		snprintf(which, sizeof(which), "ROM");
	else
		snprintf(which, sizeof(which), "BAR %u", wish->index);
	snprintf(line, sizeof(line),
		 "%02x.%x %s: %s (%s) does not fit: needs %#" PRIx64
		 " bytes, the longest free range has %#" PRIx64,
		 wish->function->devfn >> 3, wish->function->devfn & 7, wish->function->name, which,
		 bk__bar_kind(wish->bar, wish->index == BK_PCI_ROM), wish->room,
		 bk__ranges_longest(io ? &job->io : &job->memory, 0, wide ? UINT64_MAX : BELOW_4G));
	job->report(job->opaque, line);
}

/* Decoding on, for those of which everything found a place. */
static void enable(const struct job *job, struct bk_pci_function *function)
{
	unsigned bits = 0;

	for (size_t i = 0; i < job->count; i++) {
		const struct wish *wish = &job->wishes[i];

		if (wish->function != function)
			continue;
		if (!wish->done)
			return;
		bits |= wish->bar->kind == BK_PCI_BAR_IO ? BK__COMMAND_IO : BK__COMMAND_MEMORY;
	}
	if (bits)
		write_register(function, BK__COMMAND, 2, command_read(function) | bits);
}

unsigned bk_pci_host_assign(struct bk_pci_host *host, uint64_t page,
			    void (*report_line)(void *opaque, const char *line), void *opaque)
{
	struct job job = { .host = host, .page = 1, .report = report_line, .opaque = opaque };
	struct bk_pci_function *functions[256];
	size_t count = 0;
	unsigned failed = 0;

	while (job.page < page && job.page << 1)
		job.page <<= 1;
	pthread_mutex_lock(&host->lock);
	for (unsigned i = 0; i < 256; i++)
		if (host->root->functions[i])
			functions[count++] = host->root->functions[i];
	pthread_mutex_unlock(&host->lock);

	job.error = collect(&job, functions, count);
	if (!job.error)
		job.error = find_free(&job);
	for (size_t i = 0; i < job.count; i++) {
		struct wish *wish = &job.wishes[i];

		wish->done = !job.error && place(&job, wish);
		if (!wish->done) {
			failed++;
			report(&job, wish);
		}
	}
	for (size_t i = 0; i < count; i++)
		enable(&job, functions[i]);
	free(job.wishes);
	bk__ranges_free(&job.memory);
	bk__ranges_free(&job.io);
	return failed;
}
