/* SPDX-License-Identifier: BSD-2-Clause */
/* Which bytes of config space capabilities have: the sizes of the PCI specifications. */
#include "pci/extent.h"

#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"

/* PCI 3.0 6.8.1: with or without 64-bit addresses, with or without mask and pending bits. */
static unsigned msi(unsigned control)
{
	return (control & 0x80 ? 14 : 10) + (control & 0x100 ? 10 : 0);
}

/* Its second word decides for those that have several sizes. */
static unsigned standard(const uint8_t *cap, unsigned room)
{
	const unsigned word = room < 4 ? 0 : (unsigned)bk__load(cap + 2, 2);

	switch (*cap) {
	case 0x02: /* AGP */
	case 0x11: /* MSI-X */
		return 12;
	case 0x01: /* PM */
	case 0x03: /* VPD */
	case 0x0d: /* subsystem of a bridge */
	case 0x13: /* AF, which ends in the middle of a register */
		return 8;
	case 0x04: /* slot */
	case 0x06: /* hot swap */
	case 0x0a: /* debug port */
		return 4;
	case 0x05:
		return msi(word);
	case 0x07: /* PCI-X: with or without ECC registers */
		return word & 0x3000 ? 24 : 8;
	case 0x09: /* a vendor's says so itself */
		return (word & 0xff) > 2 ? word & 0xff : 0;
	case 0x10: /* PCI Express of an endpoint */
		return (word & 0xf) == 1 ? 20 : 60;
	case 0x12: /* SATA: with or without the pair of registers itself */
		return room > 4 && (cap[4] & 0xf) == 0xf ? 16 : 8;
	default:
		return 0;
	}
}

static unsigned extended(const uint8_t *cap, unsigned room)
{
	const unsigned word = room < 8 ? 0 : (unsigned)bk__load(cap + 4, 4);

	switch (bk__load(cap, 2)) {
	case 0x00: /* none: a header that leads on */
		return 4;
	case 0x01: /* AER, with a log of prefixes */
		return 0x48;
	case 0x03: /* serial number */
	case 0x1f: /* PTM */
	case 0x25: /* data link feature */
		return 12;
	case 0x04: /* power budgeting */
	case 0x13: /* PRI */
	case 0x1e: /* L1 substates */
		return 16;
	case 0x0e: /* ARI */
	case 0x0f: /* ATS */
	case 0x18: /* LTR */
	case 0x1b: /* PASID */
		return 8;
	case 0x10: /* SR-IOV */
		return 64;
	case 0x12: /* multicast */
		return 48;
	case 0x0b: /* a vendor's and */
	case 0x23: /* somebody's say so themselves */
		return word >> 20 >= 8 ? word >> 20 : 0;
	default:
		return 0;
	}
}

unsigned bk__pci_capability_length(const uint8_t *config, unsigned size, unsigned offset)
{
	const unsigned end = offset < 0x100 ? 0x100 : size, room = offset < end ? end - offset : 0;
	unsigned length;

	if (room < (offset < 0x100 ? 2 : 4))
		return 0;
	length = offset < 0x100 ? standard(config + offset, room) : extended(config + offset, room);
	return length < room ? length : room;
}

/* Marks where the capabilities of one chain start, which may loop or lead anywhere. */
static void walk(const uint8_t *config, unsigned first, unsigned end, uint16_t *starts)
{
	const bool extended = first == 0x100;
	unsigned at = extended ? first : config[0x34] & ~3u;

	if (!extended && !(config[6] & 0x10))
		return;
	while (at >= first && at < end && !starts[at]) {
		const uint64_t header = bk__load(config + at, extended ? 4 : 2);

		if (extended && (!header || header == 0xffffffff))
			return;
		starts[at] = (uint16_t)at;
		at = extended ? header >> 20 & ~3u : header >> 8 & ~3u;
	}
}

/* From the last one on, so that one that begins inside another keeps its bytes, and the other has those
 * behind it. */
static void extend(const uint8_t *config, unsigned size, unsigned first, unsigned end, uint16_t *owners)
{
	unsigned next = end;

	for (unsigned at = end; at > first;) {
		unsigned length;

		at -= 4;
		if (owners[at] != at)
			continue;
		length = (bk__pci_capability_length(config, size, at) + 3) & ~3u;
		if (!length) /* not known */
			length = next - at;
		for (unsigned i = at; i < at + length; i++)
			if (!owners[i])
				owners[i] = (uint16_t)at;
		next = at;
	}
}

void bk__pci_capability_owners(const uint8_t *config, unsigned size, uint16_t *owners)
{
	memset(owners, 0, size * sizeof(*owners));
	walk(config, 0x40, 0x100, owners);
	extend(config, size, 0x40, 0x100, owners);
	if (size > 0x100) {
		walk(config, 0x100, size, owners);
		extend(config, size, 0x100, size, owners);
	}
}
