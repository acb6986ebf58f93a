/* SPDX-License-Identifier: BSD-2-Clause */
/* Drives pci/ and the dumb model of it with the same operations. */
#include "pci_model.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pci_adds.h"
#include "pci_machine.h"

/* ---- Operations --------------------------------------------------------- */

/* What registers mean, so that random writes often make sense. */
enum meaning {
	BITS,
	COMMAND,
	ADDRESS,
	ROM_ADDRESS,
	NUMBERS,
	IO_WINDOW,
	WINDOW,
	UPPER,
	CONTROL,
	POWER,
	FLR,
	SIZE,
	SWITCH,
	LINK
};

static const struct favourite {
	uint16_t offset;
	uint8_t width;
	enum meaning meaning;
} favourites[] = {
	{ 0x04, 2, COMMAND },           { 0x10, 4, ADDRESS },        { 0x14, 4, ADDRESS },
	{ 0x18, 4, ADDRESS },           { 0x1c, 4, ADDRESS },        { 0x20, 4, ADDRESS },
	{ 0x24, 4, ADDRESS },           { 0x30, 4, ROM_ADDRESS },    { REG_PM + 4, 1, POWER },
	{ REG_EXPRESS + 8, 2, FLR },    { 0x10, 8, ADDRESS },        { 0x18, 8, ADDRESS },
	{ REG_MSI + 2, 1, SWITCH },     { 0x04, 1, COMMAND },        { 0x3c, 4, BITS },
	{ REG_RESIZABLE + 9, 1, SIZE }, { REG_MSI + 12, 1, SWITCH },
}, of_bridges[] = {
	{ 0x04, 2, COMMAND },           { 0x18, 4, NUMBERS },        { 0x19, 2, NUMBERS },
	{ 0x1c, 2, IO_WINDOW },         { 0x20, 4, WINDOW },         { 0x24, 4, WINDOW },
	{ 0x28, 4, UPPER },             { 0x2c, 4, UPPER },          { 0x3e, 2, CONTROL },
	{ 0x38, 4, ROM_ADDRESS },       { 0x10, 4, ADDRESS },        { REG_PM + 4, 1, POWER },
	{ REG_EXPRESS + 8, 2, FLR },    { 0x04, 2, COMMAND },        { 0x18, 4, NUMBERS },
	{ 0x20, 8, WINDOW },            { REG_EXPRESS + 16, 1, LINK },
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
	case SWITCH:
		return x & 1 ? x >> 1 & 1 : x >> 8;
	case LINK:
		return x & 3 ? 0 : x >> 8;
	case SIZE:
		return x & 3 ? x >> 2 & 15 : x;
	case FLR:
		return x & 7 ? x >> 3 & 0xff : 0x8000;
	default:
		return (uint64_t)x << 32 | x;
	}
}

/* What is not 1, 2, 4 or 8 bytes comes in aligned powers of two, all to who was there at first. */
static void write_registers(struct machine *m, unsigned f, unsigned offset, unsigned width, uint64_t value)
{
	while (width) {
		unsigned piece = width & (width - 1) ? 4 : width;

		while (piece > width || (piece != width && offset % piece))
			piece /= 2;
		reg_write(&m->registers, f, offset, piece, value);
		offset += piece;
		width -= piece;
		value = piece < 8 ? value >> 8 * piece : 0;
	}
}

/* By its address, through ECAM or the ports; where bridges do not lead there, to another or nobody. */
static void write_address(struct machine *m, unsigned f, bool ports, uint8_t bus, unsigned offset,
			  unsigned width, uint64_t value)
{
	uint8_t devfn = m->registers.functions[f].devfn;
	uint64_t address = (uint64_t)bus << 20 | (uint64_t)devfn << 12 | offset;
	int reached = reg_route(&m->registers, bus, devfn, offset);

	if (ports && offset < 256 && offset % 4 + width <= 4) {
		machine_must(m,
			     bk_space_write(m->ports, 0xcf8, 4,
					    UINT64_C(0x80000000) | (address >> 12) << 8 | (offset & ~3u)),
			     "no 0xcf8");
		machine_must(m, bk_space_write(m->ports, 0xcfc + offset % 4, width, value), "no 0xcfc");
	} else {
		machine_must(m, bk_space_write(m->memory, ECAM + address, width, value), "no ECAM");
	}
	if (reached >= 0)
		write_registers(m, (unsigned)reached, offset, width, value);
}

static void config_write(struct machine *m, const struct model_op *op)
{
	unsigned f = op->a % REG_FUNCTIONS, offset, width;
	const struct reg_function *reference = &m->registers.functions[f];
	const struct favourite *register_ =
		reference->bridge ? &of_bridges[op->b % 17] : &favourites[op->b % 17];
	uint64_t value = sensible(register_->meaning, op->x);
	uint8_t bus = reference->parent >= 0 ? m->registers.functions[reference->parent].bytes[0x19] : 0;

	offset = register_->offset < 0x100 || reference->desc->extended ? register_->offset : 4;
	width = register_->width;
	if (op->c & 1) { /* a piece of it */
		width = 1 + (op->c >> 1 & 7);
		offset += op->c >> 4 & 3;
		value >>= 8 * (op->c >> 4 & 3);
	} else if (op->c % 16 == 2) { /* anything, anywhere */
		width = 1 + (op->c >> 4 & 7);
		offset = op->b & 0x7f;
		value = op->c & 0x80 ? UINT64_MAX : (uint64_t)op->x << 32 | op->x;
	} else if (op->c % 16 == 4) {
		bus = op->c >> 4;
	}
	if (op->a >= 128 || (width != 1 && width != 2 && width != 4)) {
		write_address(m, f, op->a >= 192, bus, offset, width, value);
		return;
	}
	machine_must(m, bk_pci_function_write(m->functions[f], offset, width, value), "no such register");
	reg_write(&m->registers, f, offset, width, value);
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
	machine_must(m,
		     bk_space_read(m->memory, ECAM + ((uint64_t)bus << 20 | (uint64_t)devfn << 12 | offset),
				   width, &value),
		     "no ECAM");
	for (unsigned i = 0; i < width; i++) {
		if (reached >= 0 && offset + i >= 0x40)
			continue;
		want = reached < 0 ? 0xff : reg_byte(&m->registers, (unsigned)reached, offset + i);
		if ((value >> 8 * i & 0xff) != want)
			machine_wrong(m, "config space is answered by another",
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
		if (machine_exempt(io, address + i) || (io && address + i > 0xffff) || address + i < address)
			return;
	machine_must(m, bk_space_read(io ? m->ports : m->memory, address, width, &value), "a read failed");
	for (unsigned i = 0; i < width; i++) {
		uint64_t offset, who = NOBODY;
		const struct bk_region *region = machine_owner(m, io, address + i, &offset);

		if (region == m->ram || region == m->ioapic)
			who = FOREIGN;
		else if (region)
			who = ((struct answer *)bk_region_opaque(region))->who;
		if ((value >> 8 * i & 0xff) != who)
			machine_wrong(m, "a byte is answered by another", address + i);
		m->written = NOBODY;
		machine_must(m, bk_space_write(io ? m->ports : m->memory, address + i, 1, 0),
			     "a write failed");
		if (m->written != who)
			machine_wrong(m, "a written byte went to another", address + i);
	}
}

/* One more wherever there is room, or one of those less. */
static void change_capabilities(struct machine *m, const struct model_op *op)
{
	unsigned f = op->a % REG_FUNCTIONS, *count = &m->capability_count[f];
	bool extended = op->c & 1 && m->descs[f].extended;
	unsigned size = extended ? 10 + (op->x & 0x1ff) : 3 + (op->x & 31);
	unsigned first = extended ? 0x100 : 0x40, end = extended ? 0x1000 : 0x100;
	unsigned fixed = m->fixed_count[f], which;
	int at;

	if (op->b & 1 && *count > fixed) {
		which = fixed + (op->b >> 1) % (*count - fixed);
		machine_must(m, bk_pci_capability_remove(m->functions[f], m->capabilities[f][which].offset),
			     "one was not dropped");
		m->capabilities[f][which] = m->capabilities[f][--*count];
		return;
	}
	if (*count == CAPABILITIES)
		return;
	at = extended ? dvsec_add(m->functions[f], 0, 0x1b36, 1, 1, NULL, NULL, size - 10)
		      : vendor_add(m->functions[f], 0, NULL, NULL, size - 3);
	for (unsigned from = at == -ENOSPC ? first : (unsigned)at; from + size <= end && from <= (unsigned)at;
	     from += 4) {
		bool room = true;

		for (unsigned i = 0; i < *count; i++)
			if (from < m->capabilities[f][i].offset + m->capabilities[f][i].size &&
			    m->capabilities[f][i].offset < from + size)
				room = false;
		if (room != (at >= 0))
			machine_wrong(m, "there is room, or none, and the call says otherwise", from);
	}
	if (at >= 0)
		machine_note_capability(m, f, (unsigned)at, size);
	else if (at != -ENOSPC)
		machine_wrong(m, "a capability was refused", (uint64_t)-at);
}

/* A vector fires, now and then after what makes it one that may. */
static void fire(struct machine *m, const struct model_op *op)
{
	static const unsigned first[][2] = { { REG_MSI + 2, 1 }, { 0x04, 6 }, { REG_MSI + 12, 1 } };
	unsigned f = REG_BRIDGES + op->a % 3;

	for (unsigned i = 0; i < 3; i++) {
		if (!(op->c >> i & 1))
			continue;
		machine_must(m, bk_pci_function_write(m->functions[f], first[i][0], 1, first[i][1]),
			     "no such register");
		reg_write(&m->registers, f, first[i][0], 1, first[i][1]);
	}
	if (bk_pci_function_send_msi(m->functions[f], 0) != (reg_fire(&m->registers, f) ? 0 : -EINVAL))
		machine_wrong(m, "a vector fired, or did not", f);
}

/* False if nothing can have changed. */
static bool once(struct machine *m, const struct model_op *op)
{
	unsigned f = op->a % REG_FUNCTIONS;

	if (op->what < 170) {
		config_write(m, op);
	} else if (op->what < 190) {
		config_read(m, op);
	} else if (op->what < 212) {
		access_once(m, op);
	} else if (op->what < 220) {
		fire(m, op);
	} else if (op->what < 230) {
		machine_must(m, bk_pci_function_reset(m->functions[f]), "a reset failed");
		reg_reset(&m->registers, f);
	} else if (op->what >= 248) {
		change_capabilities(m, op);
	} else if (op->what < 240 && m->registers.functions[f].parent != REG_NOWHERE) {
		machine_detach(m, f);
	} else {
		int parent = (int)(op->b % (REG_BRIDGES + 1)) + REG_ROOT;

		machine_attach(m, f, parent, (uint8_t)((op->c & 7) << 3 | (op->c >> 3 & 1)));
	}
	reg_send(&m->registers);
	return op->what < 170 || op->what >= 212;
}

static const char *run(const struct model_op *ops, size_t count, size_t *at)
{
	static char text[160];
	struct machine *m = calloc(1, sizeof(*m));
	const char *result;

	*at = 0;
	if (!m)
		return NULL;
	machine_build(m, count ? ops[0].x : 0);
	machine_compare(m);
	for (size_t i = 1; i < count && !m->wrong; i++) {
		*at = i;
		if (once(m, &ops[i]))
			machine_compare(m);
	}
	machine_finish(m);
	memcpy(text, m->text, sizeof(text));
	result = m->wrong ? text : NULL;
	free(m);
	return result;
}

static void describe(const struct model_op *op, char *line, size_t size)
{
	const char *what = op->what < 170   ? "config write"
			   : op->what < 190 ? "config read"
			   : op->what < 212 ? "access"
			   : op->what < 220 ? "message"
			   : op->what < 230 ? "reset"
			   : op->what < 240 ? "detach, or attach"
			   : op->what < 248 ? "attach"
					    : "capability";

	snprintf(line, size, "{ %u, %u, %u, %u, 0x%08" PRIx32 " }, /* %s: function %u */", op->what, op->a,
		 op->b, op->c, op->x, what, op->a % REG_FUNCTIONS);
}

const struct model pci_model = { .run = run, .describe = describe };
