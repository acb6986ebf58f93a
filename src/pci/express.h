/* SPDX-License-Identifier: BSD-2-Clause */
/* The PCI Express capability: its registers (PCIe 7.5.3), and what a port is. */
#ifndef BARKEEP_PCI_EXPRESS_H
#define BARKEEP_PCI_EXPRESS_H

#include <barkeep/pci.h>

/* Registers, from where the capability begins. */
enum {
	BK__PCI_EXPRESS_CAPABILITIES = 0x02,
	BK__PCI_EXPRESS_DEVICE_CAPABILITIES = 0x04,
	BK__PCI_EXPRESS_DEVICE_CONTROL = 0x08,
	BK__PCI_EXPRESS_DEVICE_STATUS = 0x0a,
	BK__PCI_EXPRESS_LINK_CAPABILITIES = 0x0c,
	BK__PCI_EXPRESS_LINK_CONTROL = 0x10,
	BK__PCI_EXPRESS_LINK_STATUS = 0x12,
	BK__PCI_EXPRESS_SLOT_CAPABILITIES = 0x14,
	BK__PCI_EXPRESS_SLOT_CONTROL = 0x18,
	BK__PCI_EXPRESS_SLOT_STATUS = 0x1a,
	BK__PCI_EXPRESS_ROOT_CONTROL = 0x1c,
	BK__PCI_EXPRESS_ROOT_CAPABILITIES = 0x1e,
	BK__PCI_EXPRESS_ROOT_STATUS = 0x20,
	BK__PCI_EXPRESS_DEVICE_CONTROL_2 = 0x28,
	BK__PCI_EXPRESS_LINK_CONTROL_2 = 0x30,
	BK__PCI_EXPRESS_LINK_STATUS_2 = 0x32,
	BK__PCI_EXPRESS_SLOT_CONTROL_2 = 0x38,
	BK__PCI_EXPRESS_SIZE = 0x3c,
};

/* Device/Port Type, bits 7:4 of the first. */
enum {
	BK__PCI_EXPRESS_ROOT_PORT = 4,
	BK__PCI_EXPRESS_UPSTREAM_PORT = 5,
	BK__PCI_EXPRESS_DOWNSTREAM_PORT = 6,
	BK__PCI_EXPRESS_FROM_PCI = 8, /* a PCI-to-PCIe bridge */
	BK__PCI_EXPRESS_EVENT_COLLECTOR = 10,
	BK__PCI_EXPRESS_NONE = 16, /* there is no such capability */
};

unsigned bk__pci_express_type(const struct bk_pci_function *function);

/* Does it have a bus below of PCI Express? */
bool bk__pci_express_is_port(const struct bk_pci_function *bridge);

/* Bytes of the capability; 0: there is none. */
unsigned bk__pci_express_size(const struct bk_pci_function *function);

/* Does a write of these bytes start a reset? */
bool bk__pci_express_starts_reset(const struct bk_pci_function *function, unsigned offset, unsigned width,
				  uint64_t value);

/* The guest asked a root port to show by a vendor id of 0001 that a function is not ready yet (PCIe 2.3.2).
 */
bool bk__pci_express_shows_retry(const struct bk_pci_function *port);

/* What a reset of the function, or of its bus (`sticky`), leaves of the capability: back from `before`, which
 * is all of config space as it was (PCIe 6.6.2, 7.4). */
void bk__pci_express_keep(struct bk_pci_function *function, const uint8_t *before, bool sticky);

#endif
