/* SPDX-License-Identifier: BSD-2-Clause */
/* The PCI Express capability: its registers (PCIe 7.5.3), and what a port is. */
#ifndef BARKEEP_PCI_EXPRESS_H
#define BARKEEP_PCI_EXPRESS_H

#include <barkeep/pci.h>

unsigned bk__pci_express_type(const struct bk_pci_function *function);

/* Does it have a bus below of PCI Express? */
bool bk__pci_express_is_port(const struct bk_pci_function *bridge);

/* Bytes of the capability; 0: there is none. */
unsigned bk__pci_express_size(const struct bk_pci_function *function);

/* The guest asked a root port to show by a vendor id of 0001 that a function is not ready yet (PCIe 2.3.2).
 */
bool bk__pci_express_shows_retry(const struct bk_pci_function *port);

/* As bk_pci_express_add says. Function's lock. */
int bk__pci_express_add(struct bk_pci_function *function, unsigned offset, const void *bytes, unsigned size);

#endif
