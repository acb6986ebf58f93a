/* SPDX-License-Identifier: BSD-2-Clause */
/* Drives pci/ and the dumb model of it with the same operations, and compares all registers and the whole
 * map. */
#include "pci_model.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pci_registers.h"

enum { FLATS = 1024 };

#define WINDOW_FIRST UINT64_C(0x80000000)
#define ECAM         UINT64_C(0xe0000000)
#define ECAM_LAST    (ECAM + 0xfffffff)
#define IOAPIC       UINT64_C(0xfec00000)
#define WIDE_FIRST   UINT64_C(0x100000000)
#define VGA_FIRST    UINT64_C(0xa0000)
#define VGA_LAST     UINT64_C(0xbffff)

#define IO(bytes)                                      \
	{                                              \
		.kind = BK_PCI_BAR_IO, .size = (bytes) \
	}
#define MEM32(bytes)                                      \
	{                                                 \
		.kind = BK_PCI_BAR_MEM32, .size = (bytes) \
	}
#define MEM64(bytes)                                      \
	{                                                 \
		.kind = BK_PCI_BAR_MEM64, .size = (bytes) \
	}
#define PREF(bytes)                                                             \
	{                                                                       \
		.kind = BK_PCI_BAR_MEM64, .prefetchable = true, .size = (bytes) \
	}

/* Bridges first. Spaces are filled in by the machine; `vga` says that there is one, above the BARs. */
static const struct shape {
	struct bk_pci_function_desc desc;
	bool vga;
} shapes[REG_FUNCTIONS] = {
	{ .desc = { .extended = true, .class_code = 0x060400 } },
	{ .desc = { .bars = { MEM64(0x1000) }, .class_code = 0x060400 } },
	{ .desc = { .extended = true, .bars = { MEM32(0x10), IO(0x10) }, .rom = MEM32(0x800) } },
	{ .desc = { .rom = MEM32(0x100000) } },
	{ .desc = { .bars = { MEM32(0x1000), IO(0x20), MEM64(0x4000), { 0 }, MEM64(UINT64_C(1) << 33) } } },
	{ .desc = { .extended = true,
		    .bars = { PREF(0x10000), { 0 }, MEM64(0x100), { 0 }, IO(4), MEM32(16) },
		    .rom = MEM32(0x800) } },
	{ .desc = { .bars = { IO(0x100), MEM32(UINT64_C(1) << 30), MEM32(0x200000) },
		    .rom = MEM32(0x10000) } },
	{ .desc = { .extended = true, .bars = { [4] = MEM64(UINT64_C(1) << 62) } } },
	{ .desc = { .bars = { MEM32(0x1000000), IO(0x400) }, .class_code = 0x030000 }, .vga = true },
	{ .desc = { .bars = { MEM32(0x1000), MEM32(0x1000), MEM32(0x1000), MEM32(0x1000), IO(8), IO(8) } } },
};

enum { VGA_MEMORY = BK_PCI_ROM + 1, VGA_IO, ANSWERS };

struct machine;

/* Every byte of a BAR reads as who it is. */
struct answer {
	struct machine *machine;
	uint8_t who;
	uint64_t size;
	struct bk_space *space;
	struct bk_region *region;
};

struct machine {
	struct bk_domain *domain;
	struct bk_space *memory, *ports, *buses;
	struct bk_pci_host *host;
	struct bk_pci_function *functions[REG_FUNCTIONS];
	struct bk_pci_function_desc descs[REG_FUNCTIONS];
	struct answer answers[REG_FUNCTIONS][ANSWERS];
	unsigned resets[REG_FUNCTIONS];
	uint16_t commands[REG_FUNCTIONS];
	struct bk_region *ram, *ioapic;
	struct registers registers;

	struct bk_flat flats[FLATS];
	unsigned flat_count;
	uint64_t written; /* times who: the last write that reached a BAR */
	const char *wrong;
	char text[160];
};

static void wrong(struct machine *m, const char *what, uint64_t address)
{
	if (m->wrong)
		return;
	snprintf(m->text, sizeof(m->text), "%s (%#" PRIx64 ")", what, address);
	m->wrong = m->text;
}

/* ---- What answers ------------------------------------------------------- */

enum { NOBODY = 0xff, FOREIGN = 0xfe };

static int answer_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	*value = UINT64_C(0x0101010101010101) * ((struct answer *)opaque)->who;
	return 0;
}

static int answer_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	struct answer *answer = opaque;

	answer->machine->written = answer->who;
	return 0;
}

static const struct bk_region_ops answer_ops = { .read = answer_read, .write = answer_write };

static int foreign_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	*value = UINT64_C(0x0101010101010101) * FOREIGN;
	return 0;
}

static int foreign_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	((struct machine *)opaque)->written = FOREIGN;
	return 0;
}

static const struct bk_region_ops foreign_ops = { .read = foreign_read, .write = foreign_write };

static void told_command(void *opaque, uint16_t command)
{
	struct answer *first = opaque;

	first->machine->commands[first->who >> 4] = command;
}

static int told_reset(void *opaque)
{
	struct answer *first = opaque;

	first->machine->resets[first->who >> 4]++;
	return 0;
}

/* ---- The machine --------------------------------------------------------- */

static void must(struct machine *m, int error, const char *what)
{
	if (error)
		wrong(m, what, (uint64_t)-error);
}

static struct bk_region *add(struct machine *m, struct bk_space *space, const struct bk_region_desc *desc)
{
	struct bk_update *update = bk_update_begin(m->domain);
	struct bk_region *region = NULL;

	must(m, bk_update_add(update, space, desc, &region), "a region was not added");
	must(m, bk_update_commit(update), "a region was not committed");
	return region;
}

static void create_answer(struct machine *m, unsigned f, unsigned which, uint64_t size)
{
	struct answer *answer = &m->answers[f][which];
	struct bk_region_desc desc = {
		.name = "answer",
		.last = size - 1,
		.kind = BK_REGION_HANDLED,
		.ops = &answer_ops,
		.opaque = answer,
	};

	answer->size = size;
	answer->space = bk_space_create(m->domain, "answer", size - 1);
	answer->region = add(m, answer->space, &desc);
}

static uint32_t next(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 16;
}

static void create_function(struct machine *m, unsigned f)
{
	static const uint8_t express[REG_EXPRESS_SIZE] = { [2] = 2, [7] = 0x10 };
	struct bk_pci_function_desc *desc = &m->descs[f];
	struct reg_function *reference = &m->registers.functions[f];

	*desc = shapes[f].desc;
	desc->vendor = 0x1b36;
	desc->device = (uint16_t)(0x1000 + f);
	desc->command = told_command;
	desc->reset = told_reset;
	desc->opaque = &m->answers[f][0];
	for (unsigned i = 0; i < ANSWERS; i++) {
		m->answers[f][i].machine = m;
		m->answers[f][i].who = (uint8_t)(f << 4 | i);
	}
	for (unsigned i = 0; i <= BK_PCI_ROM; i++) {
		struct bk_pci_bar *bar = i == BK_PCI_ROM ? &desc->rom : &desc->bars[i];

		if (bar->kind == BK_PCI_BAR_NONE)
			continue;
		create_answer(m, f, i, bar->size);
		bar->space = m->answers[f][i].space;
	}
	if (shapes[f].vga) {
		create_answer(m, f, VGA_MEMORY, 0x20000);
		create_answer(m, f, VGA_IO, 0x30);
		desc->vga_memory = m->answers[f][VGA_MEMORY].space;
		desc->vga_io = m->answers[f][VGA_IO].space;
	}
	must(m,
	     f < REG_BRIDGES ? bk_pci_bridge_create(m->host, desc, &m->functions[f], NULL)
			     : bk_pci_function_create(m->domain, desc, &m->functions[f], NULL),
	     "a function was not created");
	*reference = (struct reg_function){
		.desc = desc,
		.bridge = f < REG_BRIDGES,
		.keeps = f % 3 == 0,
		.flr = f % 2,
		.parent = REG_NOWHERE,
	};
	reg_clear(reference);
	if (bk_pci_pm_add(m->functions[f], REG_PM, 3, reference->keeps) != REG_PM ||
	    (reference->flr &&
	     bk_pci_express_add(m->functions[f], REG_EXPRESS, express, REG_EXPRESS_SIZE) != REG_EXPRESS))
		wrong(m, "a capability was not added", f);
}

static void create_host(struct machine *m)
{
	struct bk_region_desc ram = {
		.name = "RAM", .last = WINDOW_FIRST - 1, .priority = 10, .ops = &foreign_ops, .opaque = m
	};
	struct bk_region_desc ioapic = { .name = "IOAPIC",
					 .first = IOAPIC,
					 .last = IOAPIC + 0xfff,
					 .rank = 1,
					 .priority = 10,
					 .ops = &foreign_ops,
					 .opaque = m };
	struct bk_pci_host_desc desc = { 0 };

	m->domain = bk_domain_create();
	m->memory = bk_space_create(m->domain, "memory", UINT64_MAX);
	m->ports = bk_space_create(m->domain, "ports", 0xffff);
	m->ram = add(m, m->memory, &ram);
	m->ioapic = add(m, m->memory, &ioapic);
	desc.domain = m->domain;
	desc.windows[0] = (struct bk_pci_window){ BK_PCI_WINDOW_MEMORY, m->memory,    WINDOW_FIRST,
						  0xffffffff,           WINDOW_FIRST, 0 };
	desc.windows[1] = (struct bk_pci_window){ BK_PCI_WINDOW_MEMORY, m->memory,  WIDE_FIRST,
						  UINT64_MAX,           WIDE_FIRST, 0 };
	desc.windows[2] =
		(struct bk_pci_window){ BK_PCI_WINDOW_MEMORY, m->memory, VGA_FIRST, VGA_LAST, VGA_FIRST, 20 };
	desc.windows[3] = (struct bk_pci_window){ BK_PCI_WINDOW_IO, m->ports, 0x1000, 0xffff, 0x1000, 0 };
	desc.windows[4] = (struct bk_pci_window){ BK_PCI_WINDOW_IO, m->ports, 0x3b0, 0x3df, 0x3b0, 0 };
	desc.window_count = 5;
	desc.ecam = m->memory;
	desc.ecam_first = ECAM;
	desc.ecam_priority = 5;
	desc.bus_last = 255;
	desc.ports = m->ports;
	desc.address_zero = m->registers.address_zero;
	must(m, bk_pci_host_create(&desc, &m->host, NULL), "no host bridge");
	m->buses = bk_pci_host_config(m->host);
}

static struct bk_pci_bus *bus_of(struct machine *m, int parent)
{
	return parent == REG_ROOT ? bk_pci_host_bus(m->host) : bk_pci_bridge_bus(m->functions[parent]);
}

/* What is refused, and with what error, is part of the model. */
static void attach(struct machine *m, unsigned f, int parent, uint8_t devfn)
{
	struct reg_function *reference = &m->registers.functions[f];
	int error = bk_pci_function_attach(m->functions[f], bus_of(m, parent), devfn), want = 0;

	if (reference->parent != REG_NOWHERE)
		want = -EBUSY;
	else if (reg_at(&m->registers, parent, devfn) >= 0)
		want = -EEXIST;
	else if (reg_contains(&m->registers, f, parent))
		want = -ELOOP;
	if (error != want) {
		wrong(m, "an attach gave another result", (uint64_t)-error);
	} else if (!error) {
		reference->parent = parent;
		reference->devfn = devfn;
	}
}

static void detach(struct machine *m, unsigned f)
{
	bk_pci_function_detach(m->functions[f]);
	m->registers.functions[f].parent = REG_NOWHERE;
}

static void finish(struct machine *m)
{
	for (unsigned f = REG_FUNCTIONS; f--;)
		bk_pci_function_detach(m->functions[f]);
	for (unsigned f = REG_FUNCTIONS; f--;) {
		must(m, bk_pci_function_destroy(m->functions[f]), "a function was not destroyed");
		for (unsigned i = 0; i < ANSWERS; i++)
			if (m->answers[f][i].space)
				must(m, bk_space_destroy(m->answers[f][i].space), "a BAR is still shown");
	}
	must(m, bk_pci_host_destroy(m->host), "the host was not destroyed");
	must(m, bk_space_destroy(m->memory), "memory was not destroyed");
	must(m, bk_space_destroy(m->ports), "ports were not destroyed");
	must(m, bk_domain_destroy(m->domain), "the domain was not destroyed");
}

/* ---- Comparing ---------------------------------------------------------- */

/* Who answers in the guest's spaces, windows and fixed ranges included; NULL: nobody. */
static const struct bk_region *owner(struct machine *m, bool io, uint64_t address, uint64_t *offset)
{
	bool vga = !io && address >= VGA_FIRST && address <= VGA_LAST;
	struct reg_answer answer = { .function = -1 };
	const struct answer *found;

	*offset = address;
	if (!io && address < WINDOW_FIRST && !vga)
		return m->ram;
	if (!io && address >= IOAPIC && address < IOAPIC + 0x1000) {
		*offset = address - IOAPIC;
		return m->ioapic;
	}
	if (!io || (address >= 0x1000 && address <= 0xffff) || (address >= 0x3b0 && address <= 0x3df))
		answer = reg_owner(&m->registers, io, address);
	if (answer.function < 0)
		return vga ? m->ram : NULL;
	*offset = answer.offset + (answer.show == REG_VGA_COLOR ? 0x10 : 0);
	found = &m->answers[answer.function][answer.show == REG_VGA_COLOR ? VGA_IO : answer.show];
	return found->region;
}

static bool note(void *opaque, const struct bk_flat *flat)
{
	struct machine *m = opaque;

	if (m->flat_count == FLATS) {
		wrong(m, "there are too many ranges", flat->first);
		return false;
	}
	m->flats[m->flat_count++] = *flat;
	return true;
}

/* Those that are not compared: config space and its ports. */
static bool exempt(bool io, uint64_t address)
{
	return io ? address >= 0xcf8 && address <= 0xcff : address >= ECAM && address <= ECAM_LAST;
}

static void compare_at(struct machine *m, bool io, uint64_t address)
{
	const struct bk_region *is = NULL, *want;
	uint64_t offset, at = 0;
	unsigned low = 0, high = m->flat_count;

	if (exempt(io, address) || (io && address > 0xffff))
		return;
	while (low < high) { /* the first range that ends at the address or after it */
		unsigned middle = (low + high) / 2;

		if (m->flats[middle].last < address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < m->flat_count && m->flats[low].first <= address) {
		is = m->flats[low].region;
		at = m->flats[low].offset + (address - m->flats[low].first);
	}
	want = owner(m, io, address, &offset);
	if (is != want)
		wrong(m, io ? "a port is answered by another" : "an address is answered by another", address);
	else if (is && at != offset)
		wrong(m, "another offset of it answers", address);
}

/* Between neighbouring edges, of the view and of the model, nothing changes. */
static void compare_map(struct machine *m, bool io)
{
	m->flat_count = 0;
	bk_space_visit(io ? m->ports : m->memory, 0, UINT64_MAX, note, m);
	for (unsigned i = 0; i < m->flat_count && !m->wrong; i++) {
		compare_at(m, io, m->flats[i].first);
		compare_at(m, io, m->flats[i].last);
		compare_at(m, io, m->flats[i].last + 1);
	}
	for (unsigned f = 0; f < REG_FUNCTIONS && !m->wrong; f++) {
		for (unsigned show = 0; show < REG_SHOWS; show++) {
			const struct reg_place *place = &m->registers.places[f][show];

			if (!place->on || place->io != io)
				continue;
			compare_at(m, io, place->first);
			compare_at(m, io, place->first - 1);
			compare_at(m, io, place->last);
			compare_at(m, io, place->last + 1);
			for (uint64_t at = place->first; place->ports && at < place->last; at += 16)
				compare_at(m, io, at);
		}
	}
}

static void compare_registers(struct machine *m, unsigned f)
{
	const struct reg_function *reference = &m->registers.functions[f];
	uint64_t value;

	for (unsigned offset = 0; offset <= REG_PM + 4; offset += 4) {
		if (offset == REG_PM)
			continue;
		must(m, bk_pci_function_read(m->functions[f], offset, 4, &value), "no register");
		for (unsigned i = 0; i < (offset > REG_PM ? 1 : 4); i++)
			if ((uint8_t)(value >> 8 * i) != reg_byte(&m->registers, f, offset + i))
				wrong(m, "a register reads as something else", f << 8 | (offset + i));
	}
	if (m->resets[f] != reference->resets)
		wrong(m, "the owner was told of another number of resets", f);
	if (m->commands[f] !=
	    ((reference->bytes[4] & (reg_passes(&m->registers, f) ? 0xff : 0xfb)) | reference->bytes[5] << 8))
		wrong(m, "the owner was told another COMMAND", f);
	for (unsigned bar = 0; bar <= BK_PCI_ROM; bar++) {
		const struct reg_place *place = &m->registers.places[f][bar];
		struct bk_pci_bar_state state;

		if (bk_pci_function_bar(m->functions[f], bar, &state))
			continue;
		if (state.address != place->first || state.size - 1 != place->last - place->first)
			wrong(m, "a BAR is elsewhere", f << 8 | bar);
	}
}

static void compare(struct machine *m)
{
	reg_settle(&m->registers);
	for (unsigned f = 0; f < REG_FUNCTIONS && !m->wrong; f++)
		compare_registers(m, f);
	compare_map(m, false);
	compare_map(m, true);
}

/* ---- Operations --------------------------------------------------------- */

/* What registers mean, so that random writes often make sense. */
enum meaning { BITS, COMMAND, ADDRESS, ROM_ADDRESS, NUMBERS, IO_WINDOW, WINDOW, UPPER, CONTROL, POWER, FLR };

static const struct favourite {
	uint8_t offset, width;
	enum meaning meaning;
} favourites[] = {
	{ 0x04, 2, COMMAND },           { 0x10, 4, ADDRESS },        { 0x14, 4, ADDRESS },
	{ 0x18, 4, ADDRESS },           { 0x1c, 4, ADDRESS },        { 0x20, 4, ADDRESS },
	{ 0x24, 4, ADDRESS },           { 0x30, 4, ROM_ADDRESS },    { REG_PM + 4, 1, POWER },
	{ REG_EXPRESS + 8, 2, FLR },    { 0x10, 8, ADDRESS },        { 0x18, 8, ADDRESS },
	{ 0x04, 2, COMMAND },           { 0x04, 1, COMMAND },        { 0x3c, 4, BITS },
	{ 0x20, 8, ADDRESS },
}, of_bridges[] = {
	{ 0x04, 2, COMMAND },           { 0x18, 4, NUMBERS },        { 0x19, 2, NUMBERS },
	{ 0x1c, 2, IO_WINDOW },         { 0x20, 4, WINDOW },         { 0x24, 4, WINDOW },
	{ 0x28, 4, UPPER },             { 0x2c, 4, UPPER },          { 0x3e, 2, CONTROL },
	{ 0x38, 4, ROM_ADDRESS },       { 0x10, 4, ADDRESS },        { REG_PM + 4, 1, POWER },
	{ REG_EXPRESS + 8, 2, FLR },    { 0x04, 2, COMMAND },        { 0x18, 4, NUMBERS },
	{ 0x20, 8, WINDOW },
};

static uint64_t sensible(enum meaning meaning, uint32_t x)
{
	static const uint32_t addresses[] = {
		0x90000000, 0x90001000, 0x90100000, 0x90200000, 0x00002000, 0x00002010,
		0x000013c0, 0x0000f000, 0xffffffff, 0xfffffff0, 0x00000000, 0xc0000000,
		IOAPIC,     ECAM,       0x40000000, 0x00000001,
	};
	static const uint32_t windows[] = { 0x9000, 0x9010, 0x9020, 0xc000, 0x0000, 0xfff0, 0x4000, 0xe000 };
	uint32_t low = addresses[x & 15];

	switch (meaning) {
	case COMMAND:
		return x & 7 ? 7 : x >> 3;
	case ADDRESS:
		return low | (uint64_t)(x & 0x300 ? x >> 10 & 3 : addresses[x >> 4 & 15]) << 32;
	case ROM_ADDRESS:
		return low | (x & 0x70 ? 1 : 0);
	case NUMBERS:
		return x & 0x80 ? (x & 7) | (x >> 3 & 7) << 8 | (x >> 8 & 7) << 16 : (x & 3) << 8 | 7 << 16;
	case IO_WINDOW:
		return x & 0x80 ? (x & 0xffff) : 0xf010;
	case WINDOW:
		return windows[x & 7] | windows[x >> 3 & 7] << 16 | (uint64_t)windows[x >> 6 & 7] << 32 |
		       (uint64_t)windows[x >> 9 & 7] << 48;
	case UPPER:
		return x & 0x100 ? x >> 9 & 3 : x & 0x200 ? UINT32_MAX : 0;
	case CONTROL:
		return x & 3 ? x & 0xbf : x;
	case POWER:
		return x & 3 ? (x & 4 ? 3 : 0) : x >> 3 & 3;
	case FLR:
		return x & 7 ? x >> 3 & 0xff : 0x8000;
	default:
		return (uint64_t)x << 32 | x;
	}
}

static void config_write(struct machine *m, const struct model_op *op)
{
	unsigned f = op->a % REG_FUNCTIONS, offset, width;
	struct reg_function *reference = &m->registers.functions[f];
	const struct favourite *register_ =
		reference->bridge ? &of_bridges[op->b & 15] : &favourites[op->b & 15];
	uint64_t value = sensible(register_->meaning, op->x);
	int reached = (int)f;

	offset = register_->offset;
	width = register_->width;
	if (op->c & 1) { /* a piece of it */
		width = 1u << (op->c >> 1 & 3);
		offset += op->c >> 3 & 3;
		value >>= 8 * (op->c >> 3 & 3);
	} else if (op->c % 16 == 2) { /* anything, anywhere */
		width = 1u << (op->c >> 4 & 3);
		offset = op->b & 0x7f;
		value = op->c & 0x40 ? UINT64_MAX : (uint64_t)op->x << 32 | op->x;
	}
	if (width == 8 || op->a >= 128) { /* by its address, if it has one */
		uint8_t bus =
			reference->parent >= 0 ? m->registers.functions[reference->parent].bytes[0x19] : 0;
		uint64_t address = (uint64_t)bus << 20 | (uint64_t)reference->devfn << 12 | offset;

		if (op->c % 16 == 4)
			bus = op->c >> 4, address = (address & 0xfffff) | (uint64_t)bus << 20;
		reached = reg_route(&m->registers, bus, reference->devfn, offset);
		if (op->a >= 192 && width <= 4 && offset % 4 + width <= 4) {
			must(m,
			     bk_space_write(m->ports, 0xcf8, 4,
					    UINT64_C(0x80000000) | (address >> 12) << 8 | (offset & ~3u)),
			     "no 0xcf8");
			must(m, bk_space_write(m->ports, 0xcfc + offset % 4, width, value), "no 0xcfc");
		} else {
			must(m, bk_space_write(m->memory, ECAM + address, width, value), "no ECAM");
		}
	} else {
		must(m, bk_pci_function_write(m->functions[f], offset, width, value), "no such register");
	}
	if (reached >= 0)
		reg_write(&m->registers, (unsigned)reached, offset, width, value);
}

/* Any bus and device number: who is reached there, as bridges stand. */
static void config_read(struct machine *m, const struct model_op *op)
{
	uint8_t bus = op->x & 0x100 ? (uint8_t)op->x : op->x & 7;
	uint8_t devfn = m->registers.functions[op->a % REG_FUNCTIONS].devfn;
	unsigned offset = (unsigned)(op->x >> 16) % 0xffd, width = 1u << (op->b & 1);
	int reached = reg_route(&m->registers, bus, devfn, offset);
	uint64_t value, want;

	if (op->c & 1)
		offset = op->c & 0x3e, reached = reg_route(&m->registers, bus, devfn, offset);
	if (offset < 256 && offset + width > 256)
		return;
	must(m,
	     bk_space_read(m->memory, ECAM + ((uint64_t)bus << 20 | (uint64_t)devfn << 12 | offset), width,
			   &value),
	     "no ECAM");
	for (unsigned i = 0; i < width; i++) {
		if (reached >= 0 && offset + i >= 0x40)
			continue;
		want = reached < 0 ? 0xff : reg_byte(&m->registers, (unsigned)reached, offset + i);
		if ((value >> 8 * i & 0xff) != want)
			wrong(m, "config space is answered by another",
			      (uint64_t)bus << 20 | devfn << 12 | offset);
	}
}

/* Byte by byte, though it is one access: each byte goes to its own owner. */
static void access_once(struct machine *m, const struct model_op *op)
{
	const struct reg_place *place = &m->registers.places[op->a % REG_FUNCTIONS][op->b % REG_SHOWS];
	uint64_t address = (op->c & 1 ? place->first : place->last) + (op->c >> 1 & 15) - 8, value;
	unsigned width = 1 + (op->x & 7);
	bool io = place->io;

	for (unsigned i = 0; i < width; i++)
		if (exempt(io, address + i) || (io && address + i > 0xffff) || address + i < address)
			return;
	must(m, bk_space_read(io ? m->ports : m->memory, address, width, &value), "a read failed");
	for (unsigned i = 0; i < width; i++) {
		uint64_t offset, who = NOBODY;
		const struct bk_region *region = owner(m, io, address + i, &offset);

		if (region == m->ram || region == m->ioapic)
			who = FOREIGN;
		else if (region)
			who = ((struct answer *)bk_region_opaque(region))->who;
		if ((value >> 8 * i & 0xff) != who)
			wrong(m, "a byte is answered by another", address + i);
		m->written = NOBODY;
		must(m, bk_space_write(io ? m->ports : m->memory, address + i, 1, 0), "a write failed");
		if (m->written != who)
			wrong(m, "a written byte went to another", address + i);
	}
}

/* False if nothing can have changed. */
static bool once(struct machine *m, const struct model_op *op)
{
	unsigned f = op->a % REG_FUNCTIONS;

	if (op->what < 170) {
		config_write(m, op);
	} else if (op->what < 190) {
		config_read(m, op);
	} else if (op->what < 220) {
		access_once(m, op);
	} else if (op->what < 230) {
		must(m, bk_pci_function_reset(m->functions[f]), "a reset failed");
		reg_reset(&m->registers, f);
	} else if (op->what < 240 && m->registers.functions[f].parent != REG_NOWHERE) {
		detach(m, f);
	} else {
		int parent = (int)(op->b % (REG_BRIDGES + 1)) + REG_ROOT;

		attach(m, f, parent, (uint8_t)((op->c & 7) << 3 | (op->c >> 3 & 1)));
	}
	return op->what < 170 || op->what >= 220;
}

/* A hierarchy out of a number: bridges at the root or below earlier ones, functions anywhere. */
static void build(struct machine *m, uint32_t seed)
{
	m->registers.address_zero = next(&seed) % 4 == 0;
	create_host(m);
	for (unsigned f = 0; f < REG_FUNCTIONS; f++)
		create_function(m, f);
	for (unsigned f = 0; f < REG_FUNCTIONS; f++) {
		unsigned above = f < REG_BRIDGES ? f : REG_BRIDGES;
		int parent = (int)(next(&seed) % (above + 1)) + REG_ROOT;
		uint8_t devfn = (uint8_t)((next(&seed) & 7) << 3 | (next(&seed) & 1));

		while (reg_at(&m->registers, parent, devfn) >= 0)
			devfn = (uint8_t)(devfn + 8);
		if (next(&seed) % 8)
			attach(m, f, parent, devfn);
	}
}

static const char *run(const struct model_op *ops, size_t count, size_t *at)
{
	static char text[160];
	struct machine *m = calloc(1, sizeof(*m));
	const char *result;

	*at = 0;
	if (!m)
		return NULL;
	build(m, count ? ops[0].x : 0);
	compare(m);
	for (size_t i = 1; i < count && !m->wrong; i++) {
		*at = i;
		if (once(m, &ops[i]))
			compare(m);
	}
	finish(m);
	memcpy(text, m->text, sizeof(text));
	result = m->wrong ? text : NULL;
	free(m);
	return result;
}

static void describe(const struct model_op *op, char *line, size_t size)
{
	const char *what = op->what < 170   ? "config write"
			   : op->what < 190 ? "config read"
			   : op->what < 220 ? "access"
			   : op->what < 230 ? "reset"
			   : op->what < 240 ? "detach, or attach"
					    : "attach";

	snprintf(line, size, "{ %u, %u, %u, %u, 0x%08" PRIx32 " }, /* %s: function %u */", op->what, op->a,
		 op->b, op->c, op->x, what, op->a % REG_FUNCTIONS);
}

const struct model pci_model = { .run = run, .describe = describe };
