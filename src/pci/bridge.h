/* SPDX-License-Identifier: BSD-2-Clause */
/* The windows that the registers of a bridge open to the bus below. */
#ifndef BARKEEP_PCI_BRIDGE_H
#define BARKEEP_PCI_BRIDGE_H

#include "pci/map.h"

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
