/* SPDX-License-Identifier: BSD-2-Clause */
/* The registers that survive a reset (PCIe 6.6.2, 7.4). */
#include <string.h>

#include "pci/function.h"
#include "pci/kind.h"
#include "pci/resets.h"

/* Extended capabilities whose registers are left as a whole: sticky ones, and those of the link (PCIe 6.6.2).
 */
static bool is_left(const struct bk__pci_capability *capability, bool sticky)
{
	if (capability->offset < BK__PCI_EXTENDED)
		return false;
	switch (capability->id) {
	case BK__PCI_EXT_AER:
		return true;
	case BK__PCI_EXT_VC:
	case BK__PCI_EXT_MFVC:
	case BK__PCI_EXT_VC_BESIDE_MFVC:
	case BK__PCI_EXT_SECONDARY_EXPRESS:
	case BK__PCI_EXT_DATA_LINK:
	case BK__PCI_EXT_PHYSICAL_16:
	case BK__PCI_EXT_MARGINING:
	case BK__PCI_EXT_PHYSICAL_32:
		return !sticky;
	default:
		return false;
	}
}

void bk__pci_reset_registers(struct bk_pci_function *function, enum bk__pci_reset kind)
{
	struct bk__pci_config *config = &function->config;
	const bool sticky = kind == BK__PCI_RESET_BUS;
	uint8_t before[BK__PCI_CONFIG_SIZE];

	memcpy(before, config->value, config->size);
	bk__pci_config_reset(config);
	if (kind == BK__PCI_RESET_POWER)
		return;
	for (unsigned i = 0; i < function->capabilities.count; i++) {
		const struct bk__pci_capability *capability = &function->capabilities.at[i];

		if (is_left(capability, sticky))
			memcpy(config->value + capability->offset, before + capability->offset,
			       capability->size);
	}
	bk__pci_kinds_keep(function, before, sticky);
}
