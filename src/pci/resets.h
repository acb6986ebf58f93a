/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Resets, in two steps: first the registers, at once and under the locks of the functions; then the
 * owners' callbacks, which may take minutes, with no lock held.
 */
#ifndef BARKEEP_PCI_RESETS_H
#define BARKEEP_PCI_RESETS_H

#include <barkeep/pci.h>

enum bk__pci_reset {
	BK__PCI_RESET_POWER,    /* a fresh card: nothing is left */
	BK__PCI_RESET_BUS,      /* of the bus or the link above: sticky registers are left */
	BK__PCI_RESET_FUNCTION, /* FLR, AF, or D3hot to D0: also what belongs to the link */
};

/* The functions whose owners are still to be called. Zero-initialise it. */
struct bk__pci_resets {
	struct bk_pci_function *first, *last;
};

/* Sets registers to their reset values, except those that this kind of reset leaves. Function's lock. */
void bk__pci_reset_registers(struct bk_pci_function *function, enum bk__pci_reset kind);

/* Calls the owners, and ends the resets. Returns what the owner of `asked` said; what others say is logged.
 * No lock held. */
int bk__pci_reset_end(struct bk__pci_resets *list, const struct bk_pci_function *asked);

/* Waits until the function is not in reset. Returns what its owner said of the last one. No lock held. */
int bk__pci_reset_wait(struct bk_pci_function *function);

#endif
