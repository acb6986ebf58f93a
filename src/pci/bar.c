/* SPDX-License-Identifier: BSD-2-Clause */
/* The rule by which a BAR decodes (PCI 3.0 6.2.5), from the registers alone. */
#include "pci/bar.h"

#include <errno.h>
#include <inttypes.h>

#include "base/pci_regs.h"

const char *bk__pci_bar_kind(const struct bk_pci_bar *bar, bool rom)
{
	if (rom)
		return "expansion ROM";
	if (bar->kind == BK_PCI_BAR_IO)
		return "I/O";
	if (bar->kind == BK_PCI_BAR_MEM64)
		return bar->prefetchable ? "64-bit prefetchable memory" : "64-bit memory";
	return bar->prefetchable ? "32-bit prefetchable memory" : "32-bit memory";
}

int bk__pci_bar_check(const struct bk_pci_bar *bar, bool rom, const char *who, struct bk_error *err)
{
	uint64_t least, most;

	switch (bar->kind) {
	case BK_PCI_BAR_IO:
		least = 4, most = UINT64_C(1) << 31;
		break;
	case BK_PCI_BAR_MEM32:
		least = rom ? 2048 : 16, most = UINT64_C(1) << (rom ? 24 : 31);
		break;
	case BK_PCI_BAR_MEM64:
		least = 16, most = UINT64_C(1) << 63;
		break;
	default:
		return bk_fail(err, EINVAL, "%s: no such kind of BAR: %d", who, bar->kind);
	}
	if (rom && bar->kind != BK_PCI_BAR_MEM32)
		return bk_fail(err, EINVAL, "%s: an expansion ROM is 32-bit memory", who);
	if (bar->kind == BK_PCI_BAR_IO && bar->prefetchable)
		return bk_fail(err, EINVAL, "%s: an I/O BAR cannot be prefetchable", who);
	if (bar->size < least || bar->size > most || (bar->size & (bar->size - 1)))
		return bk_fail(err, EINVAL,
			       "%s: a size of %#" PRIx64 " bytes: %s takes a power of two from %#" PRIx64
			       " to %#" PRIx64,
			       who, bar->size, bk__pci_bar_kind(bar, rom), least, most);
	if (!bar->space)
		return bk_fail(err, EINVAL, "%s: no space that answers in it", who);
	if (bar->page && (rom || bar->kind == BK_PCI_BAR_IO || bar->page <= bar->size ||
			  bar->page & (bar->page - 1) || bk_space_last(bar->space) < bar->page - 1))
		return bk_fail(err, EINVAL,
			       "%s: a page of %#" PRIx64
			       " bytes: memory below a page may share one, in a space "
			       "that is as long",
			       who, bar->page);
	return 0;
}

/* Bits that hold an address, whatever the size: a size probe sets all of a half. */
static uint32_t low_address_bits(const struct bk_pci_bar *bar, bool rom)
{
	if (rom)
		return ~(uint32_t)BK__PCI_ROM_FLAGS;
	return bar->kind == BK_PCI_BAR_IO ? ~(uint32_t)BK__PCI_BAR_IO_FLAGS : ~(uint32_t)BK__PCI_BAR_FLAGS;
}

static uint64_t address_mask(const struct bk_pci_bar *bar)
{
	uint64_t mask = ~(bar->size - 1);

	return bar->kind == BK_PCI_BAR_MEM64 ? mask : mask & UINT32_MAX;
}

uint64_t bk__pci_bar_shown(const struct bk_pci_bar *bar, bool rom)
{
	return address_mask(bar) | (rom ? BK__PCI_ROM_ENABLE : 0);
}

uint32_t bk__pci_bar_type(const struct bk_pci_bar *bar, bool rom)
{
	if (rom)
		return 0;
	if (bar->kind == BK_PCI_BAR_IO)
		return BK__PCI_BAR_IO;
	return (bar->kind == BK_PCI_BAR_MEM64 ? BK__PCI_BAR_TYPE_64 : 0u) |
	       (bar->prefetchable ? BK__PCI_BAR_PREFETCHABLE : 0u);
}

uint64_t bk__pci_bar_address(const struct bk_pci_bar *bar, uint64_t raw)
{
	return raw & address_mask(bar);
}

bool bk__pci_bar_decodes(const struct bk_pci_bar *bar, bool rom, uint64_t raw, bool address_zero)
{
	uint32_t low = (uint32_t)raw, high = (uint32_t)(raw >> 32), bits = low_address_bits(bar, rom);

	if (rom && !(low & BK__PCI_ROM_ENABLE))
		return false;
	if ((low & bits) == bits)
		return false;
	if (bar->kind == BK_PCI_BAR_MEM64 && high == UINT32_MAX)
		return false;
	/* A multiple of a power of two: the range neither wraps nor passes the register's top. */
	return bk__pci_bar_address(bar, raw) || address_zero;
}
