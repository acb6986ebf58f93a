/* SPDX-License-Identifier: BSD-2-Clause */
/* Explains in words why the model has a BAR at an address, and why a register has its value. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/pci_regs.h"
#include "firmware/replay.h"

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
	struct bk_pci_explanation bar = { .struct_size = sizeof(bar) };
	char held[128], written[64], commanded[64];

	bk_pci_function_explain(function->function, index, &bar, NULL, 0);
	snprintf(held, sizeof(held), "register 0x%02x holds 0x%" PRIx64 ", %s", bar.offset, bar.raw,
		 since(function, bar.offset, bar.width, written, sizeof(written)));
	since(function, BK__PCI_COMMAND, 2, commanded, sizeof(commanded));
	switch (bar.reason) {
	case BK_PCI_BAR_COMMAND_OFF:
		snprintf(text, size, "COMMAND is 0x%04x (%s): %s decoding is off", bar.command, commanded,
			 bar.io ? "I/O" : "memory");
		break;
	case BK_PCI_BAR_ROM_OFF:
		snprintf(text, size, "the ROM's enable bit is off: %s", held);
		break;
	case BK_PCI_BAR_PROBED:
		snprintf(text, size, "%s: all ones in the address bits of a half, a size probe", held);
		break;
	case BK_PCI_BAR_AT_ZERO:
		snprintf(text, size, "address 0 does not decode: %s", held);
		break;
	default: /* outside D0, where nothing decodes, a difference is excused */
		snprintf(text, size, "COMMAND is 0x%04x (%s), %s: it decodes 0x%" PRIx64 "-0x%" PRIx64,
			 bar.command, commanded, held, bar.address, bar.address + (bar.length - 1));
		break;
	}
}

static void why_absent(struct bk__firmware_machine *machine, int64_t place, char *text, size_t size)
{
	unsigned bus = (unsigned)(place >> 20), devfn = (unsigned)(place >> 12) & 0xff;
	const char *before = "";
	size_t used;

	snprintf(text, size, "no function answers at bus %02x, %02x.%x; bridges lead to buses", bus,
		 devfn >> 3, devfn & 7);
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
		struct bk_pci_explanation bar = { .struct_size = sizeof(bar) };

		if (bk_pci_function_explain(function->function, i, &bar, NULL, 0) || offset < bar.offset ||
		    offset >= bar.offset + bar.width)
			continue;
		snprintf(text, size,
			 "BAR %u, %s of 0x%" PRIx64 " bytes: holds 0x%" PRIx64 ", %s; bits 0x%" PRIx64
			 " are shown as written",
			 i, bar.kind, bar.length, bar.raw,
			 since(function, bar.offset, bar.width, written, sizeof(written)), bar.shown);
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
