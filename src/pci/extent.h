/* SPDX-License-Identifier: BSD-2-Clause */
/* Which bytes of config space capabilities have, as config space itself tells. */
#ifndef BARKEEP_PCI_EXTENT_H
#define BARKEEP_PCI_EXTENT_H

#include <stdint.h>

/* Bytes of the capability at `offset`, an extended one from 0x100 on; it may be hostile. 0: that is not known
 * of its kind, or it makes no sense. */
unsigned bk__pci_capability_length(const uint8_t *config, unsigned size, unsigned offset);

/*
 * For each of `size` bytes (256 or 4096) where the capability is that has it; 0: none does. Registers of 4
 * bytes belong to one whole, and what is behind one whose length is not known does, up to the next one.
 */
void bk__pci_capability_owners(const uint8_t *config, unsigned size, uint16_t *owners);

#endif
