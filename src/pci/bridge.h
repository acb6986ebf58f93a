/* SPDX-License-Identifier: BSD-2-Clause */
/* What the registers of a bridge open to the bus below. */
#ifndef BARKEEP_PCI_BRIDGE_H
#define BARKEEP_PCI_BRIDGE_H

#include "pci/map.h"

/* Registers of a type 1 header (PCI-to-PCI Bridge 1.2, 3.2). */
enum {
	BK__BRIDGE_PRIMARY = 0x18,
	BK__BRIDGE_SECONDARY = 0x19,
	BK__BRIDGE_SUBORDINATE = 0x1a,
	BK__BRIDGE_LATENCY = 0x1b,
	BK__BRIDGE_IO_BASE = 0x1c,
	BK__BRIDGE_IO_LIMIT = 0x1d,
	BK__BRIDGE_STATUS = 0x1e,
	BK__BRIDGE_MEMORY_BASE = 0x20,
	BK__BRIDGE_MEMORY_LIMIT = 0x22,
	BK__BRIDGE_PREFETCHABLE_BASE = 0x24,
	BK__BRIDGE_PREFETCHABLE_LIMIT = 0x26,
	BK__BRIDGE_PREFETCHABLE_BASE_UPPER = 0x28,
	BK__BRIDGE_PREFETCHABLE_LIMIT_UPPER = 0x2c,
	BK__BRIDGE_CONTROL = 0x3e,
};

enum { BK__IO_GRAIN = 0x1000, BK__MEMORY_GRAIN = 0x100000 };

/* Of a window, the VGA ranges or the bus numbers; only if the function is a bridge in D0. */
struct bk__pci_place bk__pci_bridge_place(const struct bk_pci_function *bridge, unsigned show);

/*
 * Through BK__SHOW_IO_ISA and BK__SHOW_VGA_ALIASES only some ranges of ports pass: this is one of them, by
 * number from 0 up. False: there are not as many.
 */
bool bk__pci_bridge_passes(unsigned show, unsigned number, struct bk__pci_place *range);

/* Does the bridge forward memory writes from below? */
bool bk__pci_bridge_forwards(const struct bk_pci_function *bridge);

/* Does the bridge forward the VGA ranges? */
bool bk__pci_bridge_vga(const struct bk_pci_function *bridge);

#endif
