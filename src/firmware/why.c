/* SPDX-License-Identifier: BSD-2-Clause */
/* Why the model has a BAR where it has it, and why a register reads as it does: in words. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "firmware/replay.h"
#include "pci/bar.h"
#include "pci/function.h"

/* "written by line N", or "as at reset". */
static const char *since(const struct bk__firmware_machine_function *function, unsigned offset,
			 unsigned width, char *text, size_t size)
{
	uint32_t line = 0;

	for (unsigned i = offset; i < offset + width; i++)
		line = function->written[i] > line ? function->written[i] : line;
	if (line)
		snprintf(text, size, "written by line %" PRIu32, line);
	else
		snprintf(text, size, "not written so far");
	return text;
}

void bk__firmware_why_bar(const struct bk__firmware_machine_function *function, unsigned index, char *text,
			  size_t size)
{
	const struct bk_pci_function *model = function->function;
	const struct bk_pci_bar *bar = bk__pci_function_bar(model, index);
	bool rom = index == BK_PCI_ROM, io = bar->kind == BK_PCI_BAR_IO;
	uint64_t raw = bk__pci_function_bar_raw(model, index), address = bk__pci_bar_address(bar, raw);
	unsigned at = bk__pci_function_bar_register(model, index), command = bk__pci_command(model);
	char held[128], written[64], commanded[64];

	snprintf(held, sizeof(held), "register 0x%02x holds 0x%" PRIx64 ", %s", at, raw,
		 since(function, at, bar->kind == BK_PCI_BAR_MEM64 ? 8 : 4, written, sizeof(written)));
	since(function, BK__PCI_COMMAND, 2, commanded, sizeof(commanded));
	/* Outside D0, where nothing decodes, a difference is excused. */
	if (!(command & (io ? BK__PCI_COMMAND_IO : BK__PCI_COMMAND_MEMORY)))
		snprintf(text, size, "COMMAND is 0x%04x (%s): %s decoding is off", command, commanded,
			 io ? "I/O" : "memory");
	else if (rom && !(raw & 1))
		snprintf(text, size, "the ROM's enable bit is off: %s", held);
	else if (bk__pci_bar_decodes(bar, rom, raw, false))
		snprintf(text, size, "COMMAND is 0x%04x (%s), %s: it decodes 0x%" PRIx64 "-0x%" PRIx64,
			 command, commanded, held, address, address + (bar->size - 1));
	else if (!address)
		snprintf(text, size, "address 0 does not decode: %s", held);
	else
		snprintf(text, size, "%s: all ones in the address bits of a half, a size probe", held);
}

static void why_absent(struct bk__firmware_machine *machine, int64_t place, char *text, size_t size)
{
	unsigned bus = (unsigned)(place >> 20), devfn = (unsigned)(place >> 12) & 0xff;
	const char *before = "";
	size_t used;

	snprintf(text, size, "nobody answers at bus %02x, %02x.%x; bridges lead to buses", bus, devfn >> 3,
		 devfn & 7);
	for (unsigned i = 0; i < machine->trace->function_count; i++) {
		const struct bk__firmware_machine_function *bridge = &machine->functions[i];

		if (!bridge->below || !bridge->secondary)
			continue;
		used = strlen(text);
		if (used + 16 + strlen(bridge->desc->path) >= size)
			break;
		snprintf(text + used, size - used, "%s %02x-%02x (%s)", before, bridge->secondary,
			 bridge->subordinate, bridge->desc->path);
		before = ",";
	}
	used = strlen(text);
	if (!*before)
		snprintf(text + used, size - used, " nowhere");
}

void bk__firmware_why_read(struct bk__firmware_machine *machine,
			   const struct bk__firmware_machine_function *function, int64_t place, char *text,
			   size_t size)
{
	unsigned offset = (unsigned)(place & 0xfff) & ~3u;
	char written[64];

	if (!function) {
		why_absent(machine, place, text, size);
		return;
	}
	for (unsigned i = 0; i <= BK_PCI_ROM; i++) {
		const struct bk_pci_bar *bar = bk__pci_function_bar(function->function, i);
		unsigned at = bk__pci_function_bar_register(function->function, i),
			 width = bar && bar->kind == BK_PCI_BAR_MEM64 ? 8 : 4;

		if (!bar || offset < at || offset >= at + width)
			continue;
		snprintf(text, size,
			 "BAR %u, %s of 0x%" PRIx64 " bytes: holds 0x%" PRIx64 ", %s; bits 0x%" PRIx64
			 " are shown as written",
			 i, bk__pci_bar_kind(bar, i == BK_PCI_ROM), bar->size,
			 bk__pci_function_bar_raw(function->function, i),
			 since(function, at, width, written, sizeof(written)),
			 bk__pci_bar_shown(bar, i == BK_PCI_ROM));
		return;
	}
	since(function, offset, 4, written, sizeof(written));
	if (!function->known[place & 0xff])
		snprintf(text, size, "register 0x%02x: %s; no read before a write tells its reset value",
			 offset, written);
	else
		snprintf(text, size, "register 0x%02x: %s; line %" PRIu32 " tells its reset value", offset,
			 written, function->known[place & 0xff]);
}
