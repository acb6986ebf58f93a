/* SPDX-License-Identifier: BSD-2-Clause */
/* What a BAR's registers mean: pure functions of what was written. */
#ifndef BARKEEP_PCI_BAR_H
#define BARKEEP_PCI_BAR_H

#include <barkeep/pci.h>

/* "64-bit memory", for messages. */
const char *bk__pci_bar_kind(const struct bk_pci_bar *bar, bool rom);

/* 0, or -EINVAL with a line that begins with `who`. */
int bk__pci_bar_check(const struct bk_pci_bar *bar, bool rom, const char *who, struct bk_error *err);

/* Bits of the registers (the upper one in bits 63:32) that a guest reads as it
 * wrote them, and the read-only ones that tell the kind. */
uint64_t bk__pci_bar_shown(const struct bk_pci_bar *bar, bool rom);
uint32_t bk__pci_bar_type(const struct bk_pci_bar *bar, bool rom);

/* The address in the registers as written (`raw`). */
uint64_t bk__pci_bar_address(const struct bk_pci_bar *bar, uint64_t raw);

/* Would it answer at that address if COMMAND and the power state allow it? */
bool bk__pci_bar_decodes(const struct bk_pci_bar *bar, bool rom, uint64_t raw, bool address_zero);

#endif
