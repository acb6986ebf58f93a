/* SPDX-License-Identifier: BSD-2-Clause */
/* MSI (PCI 3.0 6.8.1): the capability and its registers. */
#include <errno.h>

#include "pci/cap.h"
#include "pci/function.h"
#include "pci/kind.h"

static unsigned data_offset(const struct bk__pci_msi *msi)
{
	return msi->offset + (msi->address64 ? BK__PCI_MSI_DATA_64 : BK__PCI_MSI_DATA_32);
}

static unsigned mask_offset(const struct bk__pci_msi *msi)
{
	return data_offset(msi) + 4;
}

static int msi_add(struct bk_pci_function *function, unsigned offset, unsigned vectors, bool address64,
		   bool maskable)
{
	struct bk__pci_msi msi = { .vectors = vectors, .address64 = address64, .maskable = maskable };
	struct bk__pci_config *config = &function->config;
	unsigned size = (address64 ? BK__PCI_MSI_SIZE_64 : BK__PCI_MSI_SIZE_32) +
			(maskable ? BK__PCI_MSI_SIZE_MASKABLE : 0),
		 log = 0;
	int at;

	while (log < 5 && 1u << log != vectors)
		log++;
	if (1u << log != vectors)
		return -EINVAL;
	at = bk__pci_capability_add(function, false, BK__PCI_CAP_MSI, 0, offset, size, NULL, NULL, NULL);
	if (at < 0)
		return at;
	msi.offset = (unsigned)at;
	bk__pci_config_preset(config, msi.offset + BK__PCI_MSI_CONTROL, 2,
			      log << BK__PCI_MSI_CONTROL_CAPABLE_SHIFT |
				      (address64 ? BK__PCI_MSI_CONTROL_64BIT : 0u) |
				      (maskable ? BK__PCI_MSI_CONTROL_MASKABLE : 0u));
	bk__pci_config_allow(config, msi.offset + BK__PCI_MSI_CONTROL, 2,
			     BK__PCI_MSI_CONTROL_ENABLE | BK__PCI_MSI_CONTROL_COUNT_MASK
								  << BK__PCI_MSI_CONTROL_ENABLED_SHIFT,
			     0);
	bk__pci_config_allow(config, msi.offset + BK__PCI_MSI_ADDRESS, 4, UINT32_MAX & ~3u, 0);
	if (address64)
		bk__pci_config_allow(config, msi.offset + BK__PCI_MSI_ADDRESS + 4, 4, UINT32_MAX, 0);
	bk__pci_config_allow(config, data_offset(&msi), 2, UINT16_MAX, 0);
	if (maskable)
		bk__pci_config_allow(config, mask_offset(&msi), 4, UINT32_MAX >> (32 - vectors), 0);
	msi.pending_at = maskable ? mask_offset(&msi) + 4 : 0;
	function->msi = msi;
	return at;
}

int bk_pci_msi_add(struct bk_pci_function *function, unsigned offset, unsigned vectors, bool address64,
		   bool maskable)
{
	int at;

	bk__pci_function_lock(function);
	at = msi_add(function, offset, vectors, address64, maskable);
	bk__pci_function_unlock(function);
	return at;
}

unsigned bk__pci_msi_enabled(const struct bk_pci_function *function)
{
	const struct bk__pci_msi *msi = &function->msi;
	unsigned control, count;

	if (!msi->offset)
		return 0;
	control = (unsigned)bk__pci_config_get(&function->config, msi->offset + BK__PCI_MSI_CONTROL, 2);
	if (!(control & BK__PCI_MSI_CONTROL_ENABLE))
		return 0;
	count = 1u << (control >> BK__PCI_MSI_CONTROL_ENABLED_SHIFT & BK__PCI_MSI_CONTROL_COUNT_MASK);
	return count < msi->vectors ? count : msi->vectors;
}

void bk__pci_msi_registers(const struct bk_pci_function *function, struct bk__pci_irq_registers *registers)
{
	const struct bk__pci_config *config = &function->config;
	const struct bk__pci_msi *msi = &function->msi;

	registers->control = (uint16_t)bk__pci_config_get(config, msi->offset + BK__PCI_MSI_CONTROL, 2);
	registers->address =
		bk__pci_config_get(config, msi->offset + BK__PCI_MSI_ADDRESS, msi->address64 ? 8 : 4);
	registers->data = (uint32_t)bk__pci_config_get(config, data_offset(msi), 2);
	registers->mask = msi->maskable ? (uint32_t)bk__pci_config_get(config, mask_offset(msi), 4) : 0;
}

bool bk__pci_msi_message(const struct bk_pci_function *function, unsigned vector,
			 struct bk_pci_message *message)
{
	struct bk__pci_irq_registers registers;

	bk__pci_msi_registers(function, &registers);
	message->address = registers.address;
	/* The function owns as many low bits as it needs to tell its vectors apart. */
	message->data = (registers.data & ~(bk__pci_msi_enabled(function) - 1)) | vector;
	return !(registers.mask >> vector & 1);
}

static void forget(struct bk_pci_function *function, unsigned offset)
{
	if (function->msi.offset == offset)
		function->msi = (struct bk__pci_msi){ 0 };
}

const struct bk__pci_kind bk__pci_msi_kind = { .forget = forget };
