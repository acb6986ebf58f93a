/* SPDX-License-Identifier: BSD-2-Clause */
/* Capabilities: their ids, and how one is added. */
#ifndef BARKEEP_PCI_CAP_H
#define BARKEEP_PCI_CAP_H

#include <barkeep/pci.h>

/* As bk_pci_capability_add says, within bk__pci_function_lock: a guest sees what the caller changes before it
 * unlocks together with the capability. */
int bk__pci_capability_add(struct bk_pci_function *function, bool extended, uint16_t id, uint8_t version,
			   unsigned offset, unsigned size, const void *bytes, const void *writable,
			   const void *w1c);

/* Does a capability begin there? Then it may be dropped: its registers are zero, and no pointer leads there.
 * Function's lock. */
bool bk__pci_capability_begins(const struct bk_pci_function *function, unsigned offset);
void bk__pci_capability_drop(struct bk_pci_function *function, unsigned offset);

bool bk__pci_capability_has(const struct bk_pci_function *function, bool extended, uint16_t id);

#endif
