/* SPDX-License-Identifier: BSD-2-Clause */
/* From YAML to a sim: identity, BARs, registers, ROM. docs/sim.md describes the format. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "device/sim_parts.h"
#include "pci/rom_image.h"

struct loader {
	struct sim *sim;
	const struct bk__yaml *yaml;
	struct bk_error *err;
	uint64_t memory, filled; /* of the BARs so far */
};

#define FAIL(node, ...) bk__yaml_fail(loader->yaml, node, loader->err, __VA_ARGS__)

static bool power_of_two(uint64_t value)
{
	return value && !(value & (value - 1));
}

/* ---- Registers and mirrors ---- */

struct register_fields {
	const char *name;
	uint64_t offset, width, reset, mask, vector, vector_bits;
	unsigned access;
};

static const char *const accesses[] = { "ro", "rw", "w1c", "rc", "wo", "irq", "ack", "status", "log", NULL };

#define AT(member) offsetof(struct register_fields, member)
static const struct bk__yaml_field register_fields[] = {
	{ "name", BK__YAML_TEXT, AT(name), false, 1, 39, NULL },
	{ "offset", BK__YAML_SIZE, AT(offset), true, 0, 1ull << 47, NULL },
	{ "width", BK__YAML_NUMBER, AT(width), false, 1, 8, NULL },
	{ "reset", BK__YAML_NUMBER, AT(reset), false, 0, UINT64_MAX, NULL },
	{ "access", BK__YAML_CHOICE, AT(access), false, 0, 0, accesses },
	{ "mask", BK__YAML_NUMBER, AT(mask), false, 0, UINT64_MAX, NULL },
	{ "vector", BK__YAML_NUMBER, AT(vector), false, 0, 2047, NULL },
	{ "vector-bits", BK__YAML_NUMBER, AT(vector_bits), false, 1, UINT64_MAX, NULL },
	{ 0 },
};
#undef AT

/* Refuses keys that have no effect for this kind of register. */
static int check_keys(struct loader *loader, const struct bk__yaml_node *node, unsigned access)
{
	static const struct {
		const char *key;
		unsigned accesses;
	} rules[] = {
		{ "reset", 1 << SIM_RO | 1 << SIM_RW | 1 << SIM_W1C | 1 << SIM_RC | 1 << SIM_LOG },
		{ "mask",
		  1 << SIM_RW | 1 << SIM_W1C | 1 << SIM_WO | 1 << SIM_IRQ | 1 << SIM_ACK | 1 << SIM_LOG },
		{ "vector", 1 << SIM_IRQ },
		{ "vector-bits", 1 << SIM_IRQ },
	};

	for (unsigned i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const struct bk__yaml_node *value = bk__yaml_get(node, rules[i].key);

		if (value && !(rules[i].accesses & 1u << access))
			return FAIL(value->key, "\"%s\" has no meaning for access %s; remove it",
				    rules[i].key, accesses[access]);
	}
	if (bk__yaml_get(node, "vector") && bk__yaml_get(node, "vector-bits"))
		return FAIL(bk__yaml_get(node, "vector-bits")->key,
			    "\"vector\" and \"vector-bits\" exclude each other; remove one");
	return 0;
}

static int load_register(struct loader *loader, struct sim_bar *bar, const struct bk__yaml_node *node)
{
	struct register_fields fields = { .width = 4, .mask = UINT64_MAX, .access = SIM_RW };
	struct sim_span span = { .kind = SIM_REGISTER, .node = node };
	static const char *const fitting[] = { "reset", "mask", "vector-bits" };
	uint64_t all;
	int r = bk__yaml_read(loader->yaml, node, "a register", register_fields, &fields, loader->err);

	if (r)
		return r;
	r = check_keys(loader, node, fields.access);
	if (r)
		return r;
	if (!power_of_two(fields.width))
		return FAIL(bk__yaml_get(node, "width"), "width must be 1, 2, 4 or 8 bytes");
	if (loader->sim->register_count++ == SIM_REGISTERS)
		return FAIL(node, "too many registers: at most %u in one device", SIM_REGISTERS);
	if (fields.offset >= bar->size || fields.width > bar->size - fields.offset)
		return FAIL(bk__yaml_get(node, "offset"),
			    "the register's %u bytes at 0x%" PRIx64
			    " are outside the BAR, which has 0x%" PRIx64 " bytes",
			    (unsigned)fields.width, fields.offset, bar->size);
	all = ~0ull >> (64 - 8 * fields.width);
	for (unsigned i = 0; i < 3; i++) {
		uint64_t value = i == 0 ? fields.reset : i == 1 ? fields.mask : fields.vector_bits;

		if (bk__yaml_get(node, fitting[i]) && value & ~all)
			return FAIL(bk__yaml_get(node, fitting[i]), "%s does not fit into a width of %u",
				    fitting[i], (unsigned)fields.width);
	}
	span.offset = fields.offset;
	span.size = fields.width;
	span.access = fields.access;
	span.reset = fields.reset;
	span.mask = fields.mask & all;
	span.vector = (unsigned)fields.vector;
	span.vector_bits = fields.vector_bits;
	if (fields.name)
		snprintf(span.name, sizeof(span.name), "%s", fields.name);
	else
		snprintf(span.name, sizeof(span.name), "register 0x%" PRIx64, fields.offset);
	return bk__sim_bar_add(bar, &span) ? bk__yaml_no_memory(loader->yaml, loader->err) : 0;
}

static int load_mirror(struct loader *loader, struct sim_bar *bar, const struct bk__yaml_node *node)
{
	struct {
		uint64_t offset, size, config;
		bool writable;
	} mirror = { .size = 256 };
	static const struct bk__yaml_field fields[] = {
		{ "offset", BK__YAML_SIZE, 0, true, 0, 1ull << 47, NULL },
		{ "size", BK__YAML_SIZE, 8, false, 1, BK__PCI_CONFIG_SIZE, NULL },
		{ "config", BK__YAML_NUMBER, 16, false, 0, BK__PCI_CONFIG_SIZE - 1, NULL },
		{ "writable", BK__YAML_BOOL, 24, false, 0, 0, NULL },
		{ 0 },
	};
	struct sim_span span = { .kind = SIM_MIRROR, .name = "the mirror", .node = node };
	unsigned config_size = loader->sim->config.size;
	int r = bk__yaml_read(loader->yaml, node, "a mirror", fields, &mirror, loader->err);

	if (r)
		return r;
	if (mirror.config >= config_size || mirror.size > config_size - mirror.config)
		return FAIL(node,
			    "the mirror shows 0x%" PRIx64 " bytes from 0x%" PRIx64
			    ", but config space has 0x%x bytes",
			    mirror.size, mirror.config, config_size);
	if (mirror.offset >= bar->size || mirror.size > bar->size - mirror.offset)
		return FAIL(bk__yaml_get(node, "offset"),
			    "the mirror's 0x%" PRIx64 " bytes at 0x%" PRIx64
			    " are outside the BAR, which has 0x%" PRIx64 " bytes",
			    mirror.size, mirror.offset, bar->size);
	span.offset = mirror.offset;
	span.size = mirror.size;
	span.config = (unsigned)mirror.config;
	span.writable = mirror.writable;
	return bk__sim_bar_add(bar, &span) ? bk__yaml_no_memory(loader->yaml, loader->err) : 0;
}

/* ---- BARs ---- */

struct bar_fields {
	uint64_t index, size;
	unsigned kind;
	bool prefetchable, mappable;
	const struct bk__yaml_node *fill, *registers, *mirror;
};

static const char *const bar_kinds[] = { "io", "mem32", "mem64", NULL };

#define AT(member) offsetof(struct bar_fields, member)
static const struct bk__yaml_field bar_fields[] = {
	{ "index", BK__YAML_NUMBER, AT(index), true, 0, 5, NULL },
	{ "kind", BK__YAML_CHOICE, AT(kind), true, 0, 0, bar_kinds },
	{ "prefetchable", BK__YAML_BOOL, AT(prefetchable), false, 0, 0, NULL },
	{ "size", BK__YAML_SIZE, AT(size), true, 0, UINT64_MAX, NULL },
	{ "mappable", BK__YAML_BOOL, AT(mappable), false, 0, 0, NULL },
	{ "fill", BK__YAML_NODE, AT(fill), false, 0, 0, NULL },
	{ "registers", BK__YAML_NODES_OF, AT(registers), false, 0, SIM_REGISTERS, NULL },
	{ "mirror", BK__YAML_MAP_OF, AT(mirror), false, 0, 0, NULL },
	{ 0 },
};
#undef AT

static int check_index(struct loader *loader, const struct bk__yaml_node *node, unsigned index,
		       enum sim_bar_kind kind)
{
	const struct sim_bar *bars = loader->sim->bars;
	const struct bk__yaml_node *place = bk__yaml_get(node, "index");

	if (bars[index].size)
		return FAIL(place, "BAR %u is given twice (first in line %u); use another index", index,
			    bars[index].node->line);
	if (index > 0 && bars[index - 1].size && bars[index - 1].kind == SIM_MEM64)
		return FAIL(place,
			    "index %u is the upper half of the 64-bit BAR %u (line %u); use another index",
			    index, index - 1, bars[index - 1].node->line);
	if (kind != SIM_MEM64)
		return 0;
	if (index == 5)
		return FAIL(place, "a 64-bit BAR takes two indexes, so 5 is too high; use 4 or less");
	if (bars[index + 1].size)
		return FAIL(place,
			    "a 64-bit BAR takes two indexes, and %u is taken (line %u); use another index",
			    index + 1, bars[index + 1].node->line);
	return 0;
}

static int check_bar(struct loader *loader, const struct bk__yaml_node *node, const struct bar_fields *bar)
{
	static const uint64_t smallest[] = { 4, 16, 16 }, largest[] = { 1 << 16, 1u << 31, 1ull << 47 };
	const struct bk__yaml_node *size = bk__yaml_get(node, "size");
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	if (!power_of_two(bar->size) && !loader->sim->odd)
		return FAIL(size, "a BAR's size must be a power of two, and 0x%" PRIx64 " is not", bar->size);
	if (bar->size < (loader->sim->odd ? 1 : smallest[bar->kind]) || bar->size > largest[bar->kind])
		return FAIL(size,
			    "the size of a BAR of kind %s must be from 0x%" PRIx64 " to 0x%" PRIx64
			    ", not 0x%" PRIx64,
			    bar_kinds[bar->kind], loader->sim->odd ? 1 : smallest[bar->kind],
			    largest[bar->kind], bar->size);
	if (bar->kind == SIM_IO && bar->prefetchable)
		return FAIL(bk__yaml_get(node, "prefetchable"),
			    "an I/O BAR cannot be prefetchable; remove it");
	if (!bar->mappable)
		return 0;
	if (bar->kind == SIM_IO)
		return FAIL(bk__yaml_get(node, "mappable"), "an I/O BAR cannot be mappable; remove it");
	if (bar->size < page)
		return FAIL(bk__yaml_get(node, "mappable"),
			    "a mappable BAR must have at least one page (0x%" PRIx64
			    " bytes); enlarge it or remove this",
			    page);
	loader->memory += bar->size;
	if (bar->size > SIM_MEMORY || loader->memory > SIM_MEMORY)
		return FAIL(size,
			    "mappable BARs may have 0x%x bytes in all; make this one smaller or not mappable",
			    SIM_MEMORY);
	loader->filled += bar->fill ? bar->size : 0;
	if (loader->filled > SIM_FILLED)
		return FAIL(bk__yaml_get(node, "fill"),
			    "mappable BARs with a pattern may have 0x%x bytes in all; remove this",
			    SIM_FILLED);
	return 0;
}

static int load_bar(struct loader *loader, const struct bk__yaml_node *node)
{
	static const struct bk__yaml_field word = { "fill", BK__YAML_NUMBER, 0, false, 0, UINT32_MAX, NULL };
	struct bar_fields fields = { 0 };
	struct sim_bar *bar;
	uint64_t fill = 0;
	int r = bk__yaml_read(loader->yaml, node, "a BAR", bar_fields, &fields, loader->err);

	if (r)
		return r;
	r = check_index(loader, node, (unsigned)fields.index, fields.kind);
	if (!r)
		r = check_bar(loader, node, &fields);
	if (r)
		return r;
	bar = &loader->sim->bars[fields.index];
	bar->node = node;
	bar->size = fields.size;
	bar->kind = fields.kind;
	bar->prefetchable = fields.prefetchable;
	bar->mappable = fields.mappable;
	if (fields.fill && fields.fill->kind == BK__YAML_SCALAR && !strcmp(fields.fill->text, "offset"))
		bar->fill_address = true;
	else if (fields.fill)
		r = bk__yaml_scalar(loader->yaml, fields.fill, "fill (unless it is the word offset)", &word,
				    &fill, loader->err);
	bar->fill = (uint32_t)fill;
	for (node = fields.registers ? fields.registers->first : NULL; node && !r; node = node->next)
		r = load_register(loader, bar, node);
	if (!r && fields.mirror)
		r = load_mirror(loader, bar, fields.mirror);
	return r;
}

/* ---- ROM ---- */

struct rom_fields {
	uint64_t size;
	const char *file;
};

static int load_gate(struct loader *loader, const struct bk__yaml_node *node, const char *name)
{
	struct bk_error why;
	const int fd = bk__base_file_open_beside("the FIFO", loader->sim->file, name, O_RDWR, &why);
	struct stat status;

	if (fd < 0)
		return FAIL(node, "%s", why.text);
	loader->sim->gate = fd;
	if (fstat(fd, &status) < 0 || !S_ISFIFO(status.st_mode))
		return FAIL(node, "\"%.100s\" is no FIFO: make one with mkfifo", name);
	return 0;
}

static int load_rom_file(struct loader *loader, const struct bk__yaml_node *node, const char *name)
{
	struct sim *sim = loader->sim;
	struct bk_error why;
	size_t size;
	char *bytes;
	int r;

	if (bk__base_file_read_beside("the ROM's file", sim->file, name, sim->rom_size, &bytes, &size, &why))
		return FAIL(node, "%s", why.text);
	r = size ? bk__pci_rom_check(bytes, size, &why) : bk_fail(&why, EINVAL, "the file is empty");
	memcpy(sim->rom, bytes, size);
	free(bytes);
	return r && !sim->odd ? FAIL(node, "the ROM's file \"%.100s\": %s", name, why.text) : 0;
}

static int load_rom(struct loader *loader, const struct bk__yaml_node *node)
{
	static const struct bk__yaml_field fields[] = {
		{ "size", BK__YAML_SIZE, offsetof(struct rom_fields, size), true, 2048, SIM_ROM, NULL },
		{ "file", BK__YAML_TEXT, offsetof(struct rom_fields, file), false, 1, 255, NULL },
		{ 0 },
	};
	struct rom_fields rom = { 0 };
	int r = bk__yaml_read(loader->yaml, node, "a ROM", fields, &rom, loader->err);

	if (r)
		return r;
	if (!power_of_two(rom.size))
		return FAIL(bk__yaml_get(node, "size"),
			    "a ROM's size must be a power of two, and 0x%" PRIx64 " is not", rom.size);
	loader->sim->rom = malloc(rom.size);
	if (!loader->sim->rom)
		return bk__yaml_no_memory(loader->yaml, loader->err);
	loader->sim->rom_size = rom.size;
	memset(loader->sim->rom, 0xff, rom.size);
	return rom.file ? load_rom_file(loader, bk__yaml_get(node, "file"), rom.file) : 0;
}

/* ---- The whole ---- */

struct top_fields {
	const char *name, *gate;
	uint64_t vendor, device, class_code, revision;
	unsigned pin;
	bool express, reset, vga, odd;
	const struct bk__yaml_node *subsystem, *bars, *capabilities, *extended, *rom;
};

static const char *const pins[] = { "none", "A", "B", "C", "D", NULL };

#define AT(member) offsetof(struct top_fields, member)
static const struct bk__yaml_field top_fields[] = {
	{ "name", BK__YAML_TEXT, AT(name), true, 1, 63, NULL },
	{ "vendor", BK__YAML_NUMBER, AT(vendor), true, 0, 0xfffe, NULL },
	{ "device", BK__YAML_NUMBER, AT(device), true, 0, 0xffff, NULL },
	{ "class", BK__YAML_NUMBER, AT(class_code), true, 0, 0xffffff, NULL },
	{ "revision", BK__YAML_NUMBER, AT(revision), false, 0, 0xff, NULL },
	{ "subsystem", BK__YAML_MAP_OF, AT(subsystem), false, 0, 0, NULL },
	{ "pin", BK__YAML_CHOICE, AT(pin), false, 0, 0, pins },
	{ "express", BK__YAML_BOOL, AT(express), false, 0, 0, NULL },
	{ "reset", BK__YAML_BOOL, AT(reset), false, 0, 0, NULL },
	{ "reset-waits", BK__YAML_TEXT, AT(gate), false, 1, 255, NULL },
	{ "bars", BK__YAML_NODES_OF, AT(bars), false, 0, 6, NULL },
	{ "capabilities", BK__YAML_NODES_OF, AT(capabilities), false, 0, 48, NULL },
	{ "extended", BK__YAML_NODES_OF, AT(extended), false, 0, 64, NULL },
	{ "rom", BK__YAML_MAP_OF, AT(rom), false, 0, 0, NULL },
	{ "vga", BK__YAML_BOOL, AT(vga), false, 0, 0, NULL },
	{ "odd", BK__YAML_BOOL, AT(odd), false, 0, 0, NULL },
	{ 0 },
};
#undef AT

static int load_subsystem(struct loader *loader, const struct bk__yaml_node *node)
{
	static const struct bk__yaml_field fields[] = {
		{ "vendor", BK__YAML_NUMBER, 0, true, 0, 0xffff, NULL },
		{ "device", BK__YAML_NUMBER, 8, true, 0, 0xffff, NULL },
		{ 0 },
	};
	uint64_t ids[2] = { 0 };
	int r = bk__yaml_read(loader->yaml, node, "a subsystem", fields, ids, loader->err);

	loader->sim->subsystem_vendor = (uint16_t)ids[0];
	loader->sim->subsystem = (uint16_t)ids[1];
	return r;
}

int bk__sim_load(struct sim *sim, const struct bk__yaml *yaml, struct bk_error *err)
{
	struct loader state = { .sim = sim, .yaml = yaml, .err = err }, *loader = &state;
	const struct bk__yaml_node *root = bk__yaml_root(yaml), *node;
	struct top_fields top = { .reset = true };
	int r = bk__yaml_read(yaml, root, "a device", top_fields, &top, err);

	if (r)
		return r;
	snprintf(sim->model, sizeof(sim->model), "%s", top.name);
	sim->vendor = (uint16_t)top.vendor;
	sim->id = (uint16_t)top.device;
	sim->class_code = (uint32_t)top.class_code;
	sim->revision = (uint8_t)top.revision;
	sim->pin = (uint8_t)top.pin;
	sim->odd = top.odd;
	sim->express = top.express;
	sim->can_reset = top.reset;
	sim->config.size = top.express ? BK__PCI_CONFIG_SIZE : 256;
	if (top.extended && !top.express)
		return FAIL(top.extended->key, "extended capabilities need \"express: true\"");
	if (top.subsystem)
		r = load_subsystem(loader, top.subsystem);
	for (node = top.bars ? top.bars->first : NULL; node && !r; node = node->next)
		r = load_bar(loader, node);
	if (!r)
		r = bk__sim_load_caps(sim, yaml, top.capabilities, top.extended, err);
	if (!r && top.express && !sim->config.express && !sim->odd)
		r = FAIL(bk__yaml_get(root, "express"), "\"express: true\" needs an express capability; add "
							"\"- express: {}\" to capabilities");
	for (unsigned i = 0; i < 6 && !r; i++)
		if (sim->bars[i].size)
			r = bk__sim_bar_open(&sim->bars[i], yaml, err);
	if (!r && top.rom)
		r = load_rom(loader, top.rom);
	if (!r && top.gate)
		r = load_gate(loader, bk__yaml_get(root, "reset-waits"), top.gate);
	if (!r && top.vga) {
		sim->vga = calloc(1, SIM_VGA_MEMORY_SIZE + SIM_VGA_PORTS_SIZE);
		if (!sim->vga)
			r = bk__yaml_no_memory(yaml, err);
	}
	return r;
}
