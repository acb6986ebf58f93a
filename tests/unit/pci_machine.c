/* SPDX-License-Identifier: BSD-2-Clause */
/* Builds random hierarchies, and compares pci/ with the dumb model of it. */
#include "pci_machine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define LARGEST (UINT64_C(1) << 33) /* of a resizable BAR */

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

enum { WITH_SLOT = 2 };

/* Bridges first. Spaces are filled in by the machine; `vga` says that there is one, above the BARs. */
static const struct shape {
	struct bk_pci_function_desc desc;
	bool vga;
	uint64_t sizes; /* of a BAR 0 that is resizable */
} shapes[REG_FUNCTIONS] = {
	{ .desc = { .extended = true, .class_code = 0x060400 } },
	{ .desc = { .bars = { MEM64(0x1000) }, .class_code = 0x060400 } },
	{ .desc = { .extended = true, .bars = { MEM32(0x10), IO(0x10) }, .rom = MEM32(0x800) } },
	{ .desc = { .rom = MEM32(0x100000) } },
	{ .desc = { .bars = { MEM32(0x1000), IO(0x20), MEM64(0x4000), { 0 }, MEM64(UINT64_C(1) << 33) } } },
	{ .desc = { .extended = true,
		    .bars = { PREF(0x100000), { 0 }, MEM64(0x100), { 0 }, IO(4), MEM32(16) },
		    .rom = MEM32(0x800) },
	  .sizes = UINT64_C(1) << 33 | 0x500000 },
	{ .desc = { .bars = { IO(0x100), MEM32(UINT64_C(1) << 30), MEM32(0x200000) },
		    .rom = MEM32(0x10000) } },
	{ .desc = { .extended = true, .bars = { [4] = MEM64(UINT64_C(1) << 62) } } },
	{ .desc = { .bars = { MEM32(0x1000000), IO(0x400) }, .class_code = 0x030000 }, .vga = true },
	{ .desc = { .bars = { MEM32(0x1000), MEM32(0x1000), MEM32(0x1000), MEM32(0x1000), IO(8), IO(8) } } },
};

void machine_wrong(struct machine *m, const char *what, uint64_t address)
{
	if (m->wrong)
		return;
	snprintf(m->text, sizeof(m->text), "%s (%#" PRIx64 ")", what, address);
	m->wrong = m->text;
}

/* ---- What answers ------------------------------------------------------- */

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

static void got_message(void *opaque, const struct bk_pci_message *message)
{
	((struct machine *)opaque)->messages++;
}

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

void machine_must(struct machine *m, int error, const char *what)
{
	if (error)
		machine_wrong(m, what, (uint64_t)-error);
}

static struct bk_region *add(struct machine *m, struct bk_space *space, const struct bk_region_desc *desc)
{
	struct bk_update *update = bk_update_begin(m->domain);
	struct bk_region *region = NULL;

	machine_must(m, bk_update_add(update, space, desc, &region), "a region was not added");
	machine_must(m, bk_update_commit(update, NULL), "a region was not committed");
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

void machine_note_capability(struct machine *m, unsigned f, unsigned offset, unsigned size)
{
	m->capabilities[f][m->capability_count[f]++] = (struct capability){ offset, size };
}

/* What an add returned. */
static void expect(struct machine *m, unsigned f, int at, unsigned offset, unsigned size)
{
	if (at != (int)offset)
		machine_wrong(m, "a capability was not added", f << 8 | offset);
	machine_note_capability(m, f, offset, size);
}

static void create_function(struct machine *m, unsigned f)
{
	static const uint8_t endpoint[REG_EXPRESS_SIZE] = { [2] = 2, [7] = 0x10 };
	static const uint8_t port[REG_EXPRESS_SIZE] = { [2] = 0x42 };
	struct bk_pci_function_desc *desc = &m->descs[f];
	struct reg_function *reference = &m->registers.functions[f];
	const struct bk_pci_resizable resizable = { .sizes = shapes[f].sizes };
	struct bk_pci_function *function;

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
		create_answer(m, f, i, i == 0 && shapes[f].sizes ? LARGEST : bar->size);
		bar->space = m->answers[f][i].space;
	}
	if (shapes[f].vga) {
		create_answer(m, f, VGA_MEMORY, 0x20000);
		create_answer(m, f, VGA_IO, 0x30);
		desc->vga_memory = m->answers[f][VGA_MEMORY].space;
		desc->vga_io = m->answers[f][VGA_IO].space;
	}
	machine_must(m,
		     f < REG_BRIDGES ? bk_pci_bridge_create(m->host, desc, &m->functions[f], NULL)
				     : bk_pci_function_create(m->domain, desc, &m->functions[f], NULL),
		     "a function was not created");
	function = m->functions[f];
	*reference = (struct reg_function){
		.desc = desc,
		.bridge = f < REG_BRIDGES,
		.keeps = f % 3 == 0,
		.flr = f % 2,
		.slot = f == WITH_SLOT,
		.msi = f >= REG_BRIDGES && f < REG_BRIDGES + 3,
		.sizes = shapes[f].sizes,
		.parent = REG_NOWHERE,
	};
	reg_clear(reference);
	expect(m, f, bk_pci_pm_add(function, REG_PM, 3, reference->keeps), REG_PM, 8);
	if (reference->flr || reference->slot)
		expect(m, f,
		       bk_pci_express_add(function, REG_EXPRESS, reference->slot ? port : endpoint,
					  REG_EXPRESS_SIZE),
		       REG_EXPRESS, REG_EXPRESS_SIZE);
	if (reference->slot)
		machine_must(m, bk_pci_slot_add(function, 1), "a port has no slot");
	if (reference->msi)
		expect(m, f, bk_pci_msi_add(function, REG_MSI, 1, false, true), REG_MSI, REG_MSI_SIZE);
	if (reference->sizes)
		expect(m, f, bk_pci_resizable_add(function, REG_RESIZABLE, &resizable, 1), REG_RESIZABLE, 12);
	m->fixed_count[f] = m->capability_count[f];
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
	struct bk_pci_window windows[5];
	struct bk_pci_host_desc desc = { .windows = windows };

	m->domain = bk_domain_create();
	m->memory = bk_space_create(m->domain, "memory", UINT64_MAX);
	m->ports = bk_space_create(m->domain, "ports", 0xffff);
	m->ram = add(m, m->memory, &ram);
	m->ioapic = add(m, m->memory, &ioapic);
	desc.domain = m->domain;
	windows[0] = (struct bk_pci_window){ BK_PCI_WINDOW_MEMORY, m->memory,    WINDOW_FIRST,
					     0xffffffff,           WINDOW_FIRST, 0 };
	windows[1] = (struct bk_pci_window){ BK_PCI_WINDOW_MEMORY, m->memory,  WIDE_FIRST,
					     UINT64_MAX,           WIDE_FIRST, 0 };
	windows[2] =
		(struct bk_pci_window){ BK_PCI_WINDOW_MEMORY, m->memory, VGA_FIRST, VGA_LAST, VGA_FIRST, 20 };
	windows[3] = (struct bk_pci_window){ BK_PCI_WINDOW_IO, m->ports, 0x1000, 0xffff, 0x1000, 0 };
	windows[4] = (struct bk_pci_window){ BK_PCI_WINDOW_IO, m->ports, 0x3b0, 0x3df, 0x3b0, 0 };
	desc.window_count = 5;
	desc.ecam = m->memory;
	desc.ecam_first = ECAM;
	desc.ecam_priority = 5;
	desc.bus_last = 255;
	desc.ports = m->ports;
	desc.address_zero = m->registers.address_zero;
	desc.msi = got_message;
	desc.opaque = m;
	machine_must(m, bk_pci_host_create(&desc, &m->host, NULL), "no host bridge");
	m->buses = bk_pci_host_config(m->host);
}

static struct bk_pci_bus *bus_of(struct machine *m, int parent)
{
	return parent == REG_ROOT ? bk_pci_host_bus(m->host) : bk_pci_bridge_bus(m->functions[parent]);
}

void machine_attach(struct machine *m, unsigned f, int parent, uint8_t devfn)
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
		machine_wrong(m, "an attach gave another result", (uint64_t)-error);
	} else if (!error) {
		reference->parent = parent;
		reference->taken = false;
		reference->devfn = devfn;
	}
}

void machine_detach(struct machine *m, unsigned f)
{
	bk_pci_function_detach(m->functions[f]);
	m->registers.functions[f].parent = REG_NOWHERE;
	m->registers.functions[f].taken = true;
}

void machine_finish(struct machine *m)
{
	for (unsigned f = REG_FUNCTIONS; f--;)
		bk_pci_function_detach(m->functions[f]);
	for (unsigned f = REG_FUNCTIONS; f--;) {
		machine_must(m, bk_pci_function_destroy(m->functions[f]), "a function was not destroyed");
		for (unsigned i = 0; i < ANSWERS; i++)
			if (m->answers[f][i].space)
				machine_must(m, bk_space_destroy(m->answers[f][i].space),
					     "a BAR is still shown");
	}
	machine_must(m, bk_pci_host_destroy(m->host), "the host was not destroyed");
	machine_must(m, bk_space_destroy(m->memory), "memory was not destroyed");
	machine_must(m, bk_space_destroy(m->ports), "ports were not destroyed");
	machine_must(m, bk_domain_destroy(m->domain), "the domain was not destroyed");
}

/* ---- Comparing ---------------------------------------------------------- */

const struct bk_region *machine_owner(struct machine *m, bool io, uint64_t address, uint64_t *offset)
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
		machine_wrong(m, "there are too many ranges", flat->first);
		return false;
	}
	m->flats[m->flat_count++] = *flat;
	return true;
}

bool machine_exempt(bool io, uint64_t address)
{
	return io ? address >= 0xcf8 && address <= 0xcff : address >= ECAM && address <= ECAM_LAST;
}

static void compare_at(struct machine *m, bool io, uint64_t address)
{
	const struct bk_region *is = NULL, *want;
	uint64_t offset, at = 0;
	unsigned low = 0, high = m->flat_count;

	if (machine_exempt(io, address) || (io && address > 0xffff))
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
	want = machine_owner(m, io, address, &offset);
	if (is != want)
		machine_wrong(m, io ? "a port is answered by another" : "an address is answered by another",
			      address);
	else if (is && at != offset)
		machine_wrong(m, "another offset of it answers", address);
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

/* Follows a chain as a guest does: it goes up, and meets exactly what is there. */
static void compare_chain(struct machine *m, unsigned f, bool extended)
{
	unsigned last = extended ? 0xff : 0x3f, met = 0, there = 0;
	uint64_t next = 0x100, header;

	if (!extended)
		machine_must(m, bk_pci_function_read(m->functions[f], 0x34, 1, &next), "no register");
	while (next > last && !m->wrong) {
		bool known = false;

		machine_must(m, bk_pci_function_read(m->functions[f], (unsigned)next, 4, &header),
			     "no register");
		for (unsigned i = 0; i < m->capability_count[f]; i++)
			known |= m->capabilities[f][i].offset == next;
		if (!known && (next != 0x100 || header & 0xffff)) /* of nothing, it only leads on */
			machine_wrong(m, "a chain goes to nothing", f << 12 | (unsigned)next);
		met += known;
		last = (unsigned)next;
		next = extended ? header >> 20 : header >> 8 & 0xff;
	}
	for (unsigned i = 0; i < m->capability_count[f]; i++)
		there += (m->capabilities[f][i].offset >= 0x100) == extended;
	if (next || met != there)
		machine_wrong(m, "a chain does not meet all there is", f << 12 | (unsigned)next);
}

static bool has_slot(const struct reg_function *function)
{
	return function->slot;
}

static bool has_msi(const struct reg_function *function)
{
	return function->msi;
}

static bool has_sizes(const struct reg_function *function)
{
	return function->sizes != 0;
}

/* Registers above the header, each of those who have it. */
static const struct {
	uint16_t offset;
	uint8_t mask;
	bool (*of)(const struct reg_function *function);
} others[] = {
	{ REG_EXPRESS + 0x10, 0xff, has_slot }, /* Link Control */
	{ REG_EXPRESS + 0x13, 0xff, has_slot }, /* Link Status: active */
	{ REG_EXPRESS + 0x1a, 0x40, has_slot }, /* Slot Status: presence */
	{ REG_MSI + 2, 0xff, has_msi },         { REG_MSI + 12, 0xff, has_msi },
	{ REG_MSI + 16, 0xff, has_msi },        { REG_RESIZABLE + 9, 0xff, has_sizes },
};

static void compare_registers(struct machine *m, unsigned f)
{
	const struct reg_function *reference = &m->registers.functions[f];
	uint64_t value;

	for (unsigned offset = 0; offset <= REG_PM + 4; offset += 4) {
		if (offset == REG_PM)
			continue;
		machine_must(m, bk_pci_function_read(m->functions[f], offset, 4, &value), "no register");
		for (unsigned i = 0; i < (offset > REG_PM ? 1 : 4); i++)
			if ((uint8_t)(value >> 8 * i) != reg_byte(&m->registers, f, offset + i))
				machine_wrong(m, "a register reads as something else", f << 8 | (offset + i));
	}
	compare_chain(m, f, false);
	if (m->descs[f].extended)
		compare_chain(m, f, true);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (!others[i].of(reference))
			continue;
		machine_must(m, bk_pci_function_read(m->functions[f], others[i].offset, 1, &value),
			     "no register");
		if ((value & others[i].mask) != reg_byte(&m->registers, f, others[i].offset))
			machine_wrong(m, "a register reads as something else", f << 12 | others[i].offset);
	}
	if (m->resets[f] != reference->resets)
		machine_wrong(m, "the owner was told of another number of resets", f);
	if (m->commands[f] != ((reference->bytes[4] & (reg_masters(&m->registers, f) ? 0xff : 0xfb)) |
			       reference->bytes[5] << 8))
		machine_wrong(m, "the owner was told another COMMAND", f);
	for (unsigned bar = 0; bar <= BK_PCI_ROM; bar++) {
		const struct reg_place *place = &m->registers.places[f][bar];
		struct bk_pci_bar_state state = { .struct_size = sizeof(state) };

		if (bk_pci_function_bar(m->functions[f], bar, &state))
			continue;
		if (state.address != place->first || state.size - 1 != place->last - place->first)
			machine_wrong(m, "a BAR is elsewhere", f << 8 | bar);
	}
}

void machine_compare(struct machine *m)
{
	reg_settle(&m->registers);
	if (m->messages != m->registers.messages)
		machine_wrong(m, "another number of messages was sent", m->messages);
	for (unsigned f = 0; f < REG_FUNCTIONS && !m->wrong; f++)
		compare_registers(m, f);
	compare_map(m, false);
	compare_map(m, true);
}

void machine_build(struct machine *m, uint32_t seed)
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
			machine_attach(m, f, parent, devfn);
	}
}
