/* SPDX-License-Identifier: BSD-2-Clause */
/* Registers, for rooms above: which capability each byte of config space belongs to, of a function and
 * of any device. */
#ifndef BARKEEP_PCI_REGS_H
#define BARKEEP_PCI_REGS_H

#include <barkeep/pci.h>

/* Bytes of the capability at `offset`, an extended one from 0x100 on; it may be hostile. 0: that is not known
 * of its kind, or it makes no sense. */
unsigned bk__pci_capability_length(const uint8_t *config, unsigned size, unsigned offset);

/*
 * For each of `size` bytes (256 or 4096) where the capability is that has it; 0: none does. Registers of 4
 * bytes belong to one whole, and what is behind one whose length is not known does, up to the next one.
 */
void bk__pci_capability_owners(const uint8_t *config, unsigned size, uint16_t *owners);

/* Which of these bytes of config space capabilities of the function have: bit i for byte i. Any thread, not
 * within bk__pci_function_lock. */
unsigned bk__pci_capability_holds(struct bk_pci_function *function, unsigned offset, unsigned width);

/* Has the model a bit in these bytes that a write changes? Any thread, not within bk__pci_function_lock. */
bool bk__pci_registers_take(struct bk_pci_function *function, unsigned offset, unsigned width);

#endif
