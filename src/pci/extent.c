/* SPDX-License-Identifier: BSD-2-Clause */
/* Which bytes of config space capabilities have: the sizes of the PCI specifications. */
#include "pci/regs.h"

#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"
#include "base/pci_regs.h"
#include "pci/chain.h"

/* PCI 3.0 6.8.1: with or without 64-bit addresses, with or without mask and pending bits. */
static unsigned msi(unsigned control)
{
	return (control & BK__PCI_MSI_CONTROL_64BIT ? BK__PCI_MSI_SIZE_64 : BK__PCI_MSI_SIZE_32) +
	       (control & BK__PCI_MSI_CONTROL_MASKABLE ? BK__PCI_MSI_SIZE_MASKABLE : 0);
}

/* Its second word decides for those that have several sizes. */
static unsigned standard(const uint8_t *cap, unsigned room)
{
	const unsigned word = room < 4 ? 0 : (unsigned)bk__load(cap + 2, 2);

	switch (*cap) {
	case BK__PCI_CAP_AGP:
	case BK__PCI_CAP_MSIX:
		return 12;
	case BK__PCI_CAP_PM:
	case BK__PCI_CAP_VPD:
	case BK__PCI_CAP_SUBSYSTEM:
	case BK__PCI_CAP_AF: /* which ends in the middle of a register */
		return 8;
	case BK__PCI_CAP_SLOT:
	case BK__PCI_CAP_HOT_SWAP:
	case BK__PCI_CAP_DEBUG_PORT:
		return 4;
	case BK__PCI_CAP_MSI:
		return msi(word);
	case BK__PCI_CAP_PCIX: /* with or without ECC registers */
		return word & 0x3000 ? 24 : 8;
	case BK__PCI_CAP_VENDOR: /* a vendor's says so itself */
		return (word & 0xff) > 2 ? word & 0xff : 0;
	case BK__PCI_CAP_EXPRESS: /* of an endpoint */
		return (word & BK__PCI_EXPRESS_CAPABILITIES_VERSION) == 1 ? BK__PCI_EXPRESS_SIZE_V1
									  : BK__PCI_EXPRESS_SIZE;
	case BK__PCI_CAP_SATA: /* with or without the pair of registers itself */
		return room > 4 && (cap[4] & 0xf) == 0xf ? 16 : 8;
	default:
		return 0;
	}
}

static unsigned extended(const uint8_t *cap, unsigned room)
{
	const unsigned word = room < 8 ? 0 : (unsigned)bk__load(cap + BK__PCI_EXT_VENDOR_ID, 4);
	unsigned length;

	switch (bk__load(cap, 2)) {
	case BK__PCI_EXT_NULL:
		return BK__PCI_EXT_HEADER;
	case BK__PCI_EXT_AER: /* with a log of prefixes */
		return 0x48;
	case BK__PCI_EXT_SERIAL:
	case BK__PCI_EXT_PTM:
	case BK__PCI_EXT_DATA_LINK:
		return 12;
	case BK__PCI_EXT_POWER:
	case BK__PCI_EXT_PRI:
	case BK__PCI_EXT_L1_SUBSTATES:
		return 16;
	case BK__PCI_EXT_ARI:
	case BK__PCI_EXT_ATS:
	case BK__PCI_EXT_LTR:
	case BK__PCI_EXT_PASID:
		return 8;
	case BK__PCI_EXT_SRIOV:
		return 64;
	case BK__PCI_EXT_MULTICAST:
		return 48;
	case BK__PCI_EXT_VENDOR: /* a vendor's and somebody's say so themselves */
	case BK__PCI_EXT_DVSEC:
		length = word >> BK__PCI_EXT_VENDOR_LENGTH_SHIFT;
		return length >= BK__PCI_EXT_VENDOR_HEADER ? length : 0;
	default:
		return 0;
	}
}

unsigned bk__pci_capability_length(const uint8_t *config, unsigned size, unsigned offset)
{
	const unsigned end = offset < BK__PCI_EXTENDED ? BK__PCI_EXTENDED : size,
		       room = offset < end ? end - offset : 0;
	unsigned length;

	if (room < (offset < BK__PCI_EXTENDED ? BK__PCI_CAP_HEADER : BK__PCI_EXT_HEADER))
		return 0;
	length =
		offset < BK__PCI_EXTENDED ? standard(config + offset, room) : extended(config + offset, room);
	return length < room ? length : room;
}

/* Marks where the capabilities of one chain start. */
static void mark(const uint8_t *config, unsigned size, bool extended, uint16_t *starts)
{
	struct bk__pci_chain chain;

	bk__pci_chain_begin(&chain, config, size, extended);
	while (bk__pci_chain_next(&chain))
		starts[chain.at] = (uint16_t)chain.at;
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
	mark(config, size, false, owners);
	extend(config, size, BK__PCI_HEADER_END, BK__PCI_EXTENDED, owners);
	if (size > BK__PCI_EXTENDED) {
		mark(config, size, true, owners);
		extend(config, size, BK__PCI_EXTENDED, size, owners);
	}
}
