/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What real firmware and kernels did to the functions of another machine (tests/traces/README.md),
 * done again here: what they read, and where each BAR was after each write, has to be the same.
 */
#include "pci_world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST = 32, CONFIG_MASK = 0x0fffffff };

struct traced {
	char path[32];
	unsigned id;
	int parent; /* which bridge it is behind; -1: none */
	uint8_t devfn;
	bool bridge;
	struct bk_pci_function_desc desc;
	struct part part;
	struct bk_pci_bus *below;

	uint8_t secondary;           /* of a bridge, as the first pass goes along */
	bool known[64], written[64]; /* bytes of the header: read, written in the first pass */
	uint8_t first[64];           /* what the first read gave */
	struct {
		bool on;
		uint64_t address;
	} oracle[BK_PCI_ROM + 1]; /* where the other machine had it */
};

struct trace {
	FILE *file;
	unsigned line;
	struct traced functions[MOST];
	unsigned count;
	uint32_t index; /* 0xcf8, in the first pass */

	struct world *world;
	unsigned reads, writes, events;
};

static struct traced *find(struct trace *trace, const char *path)
{
	for (unsigned i = 0; i < trace->count; i++)
		if (!strcmp(trace->functions[i].path, path))
			return &trace->functions[i];
	return NULL;
}

/* The function at that place, by bus numbers that `secondary` gives. */
static struct traced *at(struct trace *trace, unsigned bus, uint8_t devfn)
{
	for (unsigned i = 0; i < trace->count; i++) {
		struct traced *function = &trace->functions[i];
		unsigned own = function->parent < 0 ? 0 : trace->functions[function->parent].secondary;

		if (function->devfn == devfn && own == bus && (bus || function->parent < 0))
			return function;
	}
	return NULL;
}

/* ---- Parsing ----------------------------------------------------------- */

static void add_function(struct trace *trace, const char *line)
{
	struct traced *function = &trace->functions[trace->count];
	unsigned vendor, device, slot, number;
	char kind[16], *own;

	assert_true(trace->count < MOST);
	assert_int_equal(sscanf(line, "dev %31s %x:%x %15s", function->path, &vendor, &device, kind), 4);
	own = strrchr(function->path, '/');
	function->parent = -1;
	if (own) {
		*own = 0;
		assert_non_null(find(trace, function->path));
		function->parent = (int)(find(trace, function->path) - trace->functions);
		*own = '/';
	}
	assert_int_equal(sscanf(own ? own + 1 : function->path, "%x.%x", &slot, &number), 2);
	function->devfn = BK_PCI_DEVFN(slot, number);
	function->bridge = !strcmp(kind, "bridge");
	function->desc.name = function->path;
	function->desc.vendor = (uint16_t)vendor;
	function->desc.device = (uint16_t)device;
	function->desc.extended = true;
	function->id = trace->count++;
}

static void add_bar(struct trace *trace, const char *line)
{
	char path[32], kind[32];
	unsigned index;
	uint64_t size;
	struct traced *function;
	struct bk_pci_bar *bar;

	assert_int_equal(sscanf(line, "bar %31s %u %31s %" SCNx64, path, &index, kind, &size), 4);
	function = find(trace, path);
	assert_non_null(function);
	bar = index == BK_PCI_ROM ? &function->desc.rom : &function->desc.bars[index];
	bar->kind = !strncmp(kind, "io", 2)      ? BK_PCI_BAR_IO
		    : !strncmp(kind, "mem64", 5) ? BK_PCI_BAR_MEM64
						 : BK_PCI_BAR_MEM32;
	bar->prefetchable = strstr(kind, ",pref") != NULL;
	bar->size = size;
}

/* An access as bus << 20 | devfn << 12 | register; false: to the address register, or to nothing. */
struct access {
	bool write;
	unsigned width;
	uint64_t address, value;
	bool ports; /* cf8 or cfc: `address` is the port */
};

static bool parse_access(const char *line, struct access *access)
{
	char kind[8], direction;

	if (sscanf(line, "%7s %c %" SCNx64 " %u %" SCNx64, kind, &direction, &access->address, &access->width,
		   &access->value) != 5)
		return false;
	access->write = direction == 'w';
	access->ports = strcmp(kind, "ecam") != 0;
	return !access->ports || !strcmp(kind, "cf8") || !strcmp(kind, "cfc");
}

/* Where in config it goes, with the address register as it is; -1: nowhere. */
static int64_t target(const struct access *access, uint32_t index)
{
	if (!access->ports)
		return (int64_t)(access->address & CONFIG_MASK);
	if (access->address < 0xcfc || !(index >> 31))
		return -1;
	return (int64_t)((index >> 8 & 0xffff) << 12 | (index & 0xfc) | (access->address & 3));
}

static void follow_index(const struct access *access, uint32_t *index)
{
	if (access->ports && access->write && access->address == 0xcf8 && access->width == 4)
		*index = (uint32_t)access->value;
}

/* ---- First pass: what the registers held at the start -------------------- */

static void learn(struct trace *trace, const struct access *access)
{
	int64_t place = target(access, trace->index);
	struct traced *function;

	follow_index(access, &trace->index);
	if (place < 0)
		return;
	function = at(trace, (unsigned)(place >> 20), (uint8_t)(place >> 12));
	for (unsigned i = 0; function && i < access->width; i++) {
		unsigned offset = (unsigned)(place & 0xfff) + i;
		uint8_t byte = (uint8_t)(access->value >> 8 * i);

		if (offset >= 64)
			break;
		if (access->write)
			function->written[offset] = true;
		else if (!function->written[offset] && !function->known[offset])
			function->known[offset] = true, function->first[offset] = byte;
		if (access->write && function->bridge && offset == 0x19)
			function->secondary = byte;
	}
}

static void first_pass(struct trace *trace)
{
	char line[256];

	while (fgets(line, sizeof(line), trace->file)) {
		struct access access;

		if (!strncmp(line, "dev ", 4))
			add_function(trace, line);
		else if (!strncmp(line, "bar ", 4))
			add_bar(trace, line);
		else if (parse_access(line, &access))
			learn(trace, &access);
	}
	rewind(trace->file);
	trace->index = 0;
}

/* ---- The machine ------------------------------------------------------- */

static bool compared(const struct traced *function, unsigned offset);

/* COMMAND, the interrupt line, and a bridge's windows, numbers and control. BARs are 0 at reset. */
static bool preset(const struct traced *function, unsigned offset)
{
	bool bar = offset >= 0x10 && offset < (function->bridge ? 0x18 : 0x28);
	bool rom = offset >= (function->bridge ? 0x38 : 0x30) && offset < (function->bridge ? 0x3c : 0x34);

	return compared(function, offset) && !bar && !rom && offset >= 4 && offset != 0xe;
}

static void build(struct trace *trace)
{
	trace->world = world_create(NULL);
	for (unsigned i = 0; i < trace->count; i++) {
		struct traced *function = &trace->functions[i];
		struct bk_pci_bus *bus =
			function->parent < 0 ? trace->world->bus : trace->functions[function->parent].below;

		part_create_in(trace->world, &function->part, function->id, function->desc, function->bridge);
		function->below = bk_pci_bridge_bus(function->part.function);
		function->secondary = 0;
		for (unsigned offset = 0; offset < 64; offset++)
			if (function->known[offset] && preset(function, offset))
				assert_int_equal(bk_pci_function_preset(function->part.function, offset,
									&function->first[offset], NULL, NULL,
									1),
						 0);
		assert_int_equal(bk_pci_function_attach(function->part.function, bus, function->devfn), 0);
	}
}

/* ---- Second pass: the same accesses here ---------------------------------- */

/* Bytes that a guest reads here as there. */
static bool compared(const struct traced *function, unsigned offset)
{
	if (offset < 5 || (offset >= 0x10 && offset < 0x18))
		return true;
	if (function->bridge)
		return (offset >= 0x18 && offset < 0x1b) || (offset >= 0x1c && offset < 0x1e) ||
		       (offset >= 0x20 && offset < 0x34) || (offset >= 0x38 && offset < 0x3d) ||
		       offset >= 0x3e;
	return (offset >= 0x18 && offset < 0x28) || (offset >= 0x30 && offset < 0x34) || offset == 0x3c;
}

static void compare_read(struct trace *trace, const struct access *access, uint64_t value, int64_t place)
{
	struct traced *function = at(trace, (unsigned)(place >> 20), (uint8_t)(place >> 12));

	for (unsigned i = 0; i < access->width; i++) {
		unsigned offset = (unsigned)(place & 0xfff) + i;
		uint8_t mask = offset == 4 ? 7 : 0xff;

		if (function && (offset >= 64 || !compared(function, offset)))
			continue;
		trace->reads++;
		if ((value >> 8 * i & mask) != (access->value >> 8 * i & mask))
			fail_msg("line %u: %s+%#x reads %#x, should read %#x", trace->line,
				 function ? function->path : "nobody", offset,
				 (unsigned)(value >> 8 * i & 0xff),
				 (unsigned)(access->value >> 8 * i & 0xff));
	}
}

static void repeat(struct trace *trace, const struct access *access)
{
	struct bk_space *space = access->ports ? trace->world->ports : bk_pci_host_config(trace->world->host);
	uint64_t address = access->ports ? access->address : access->address & CONFIG_MASK, value;
	int64_t place = target(access, trace->index);

	follow_index(access, &trace->index);
	if (access->write) {
		assert_int_equal(bk_space_write(space, address, access->width, access->value), 0);
		trace->writes++;
	} else {
		assert_int_equal(bk_space_read(space, address, access->width, &value), 0);
		if (place >= 0)
			compare_read(trace, access, value, place);
	}
	for (unsigned i = 0; i < trace->count; i++) {
		struct traced *bridge = &trace->functions[i];

		if (bridge->bridge && !bk_pci_function_read(bridge->part.function, 0x19, 1, &value))
			bridge->secondary = (uint8_t)value;
	}
}

static void event(struct trace *trace, const char *line)
{
	unsigned bus, slot, number, bar;
	struct traced *function;
	uint64_t address;
	char kind[8];

	assert_int_equal(sscanf(line, "%7s %x:%x.%x %u %" SCNx64, kind, &bus, &slot, &number, &bar, &address),
			 6);
	function = at(trace, bus, BK_PCI_DEVFN(slot, number));
	if (!function || bar > BK_PCI_ROM)
		fail_msg("line %u: nobody there: %s", trace->line, line);
	function->oracle[bar].on = kind[0] == 'm';
	function->oracle[bar].address = address;
	trace->events++;
}

/* A half that holds all ones is a size probe here, an address there. */
static bool probed(const struct bk_pci_bar *bar, const struct bk_pci_bar_state *state)
{
	uint64_t mask = ~(state->size - 1);

	if (bar->kind == BK_PCI_BAR_MEM64 && state->address >> 32 == UINT32_MAX)
		return true;
	return (uint32_t)mask && (uint32_t)state->address == (uint32_t)mask;
}

static void compare_map(struct trace *trace, bool excuse)
{
	for (unsigned i = 0; i < trace->count; i++) {
		struct traced *function = &trace->functions[i];

		for (unsigned bar = 0; bar <= BK_PCI_ROM; bar++) {
			const struct bk_pci_bar *desc =
				bar == BK_PCI_ROM ? &function->desc.rom : &function->desc.bars[bar];
			struct bk_pci_bar_state state;

			if (desc->kind == BK_PCI_BAR_NONE)
				continue;
			assert_int_equal(bk_pci_function_bar(function->part.function, bar, &state), 0);
			if (state.decodes == function->oracle[bar].on &&
			    (!state.decodes || state.address == function->oracle[bar].address))
				continue;
			if (!excuse || !probed(desc, &state))
				fail_msg("line %u: %s BAR %u is %s at %#" PRIx64
					 ", should be %s at %#" PRIx64,
					 trace->line, function->path, bar, state.decodes ? "on" : "off",
					 state.address, function->oracle[bar].on ? "on" : "off",
					 function->oracle[bar].address);
		}
	}
}

static void second_pass(struct trace *trace)
{
	bool wrote = false;
	char line[256];

	while (fgets(line, sizeof(line), trace->file)) {
		struct access access;

		if (!strncmp(line, "map ", 4) || !strncmp(line, "unmap ", 6)) {
			event(trace, line);
		} else if (parse_access(line, &access)) {
			if (wrote)
				compare_map(trace, true);
			repeat(trace, &access);
			wrote = access.write;
		}
		trace->line++;
	}
	compare_map(trace, false);
}

static void play(const char *name, unsigned least_reads, unsigned least_events)
{
	struct trace *trace = calloc(1, sizeof(*trace));
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", TRACES, name);
	trace->file = fopen(path, "r");
	assert_non_null(trace->file);
	first_pass(trace);
	build(trace);
	trace->line = 1;
	second_pass(trace);
	assert_true(trace->reads >= least_reads);
	assert_int_equal(trace->events, least_events);
	for (unsigned i = trace->count; i--;)
		part_destroy(&trace->functions[i].part);
	world_destroy(trace->world);
	fclose(trace->file);
	free(trace);
}

static void uboot_arm64(void **state)
{
	play("uboot-arm64.trace", 50, 6);
}

static void seabios_and_linux_q35(void **state)
{
	play("seabios-linux-q35.trace", 1000, 300);
}

static void ovmf_q35(void **state)
{
	play("ovmf-q35.trace", 1000, 126);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(uboot_arm64),
		cmocka_unit_test(seabios_and_linux_q35),
		cmocka_unit_test(ovmf_q35),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
