/* SPDX-License-Identifier: BSD-2-Clause */
/* Advanced Features (AF ECN): a FLR for conventional functions. */
#include "pci/cap.h"
#include "pci/function.h"
#include "pci/kind.h"

static int af_add(struct bk_pci_function *function, unsigned offset)
{
	static const uint8_t bytes[BK__PCI_AF_SIZE] = {
		[BK__PCI_AF_LENGTH] = BK__PCI_AF_SIZE,
		[BK__PCI_AF_CAPABILITIES] = BK__PCI_AF_CAPABILITIES_PENDING | BK__PCI_AF_CAPABILITIES_FLR
	};
	int at = bk__pci_capability_add(function, false, BK__PCI_CAP_AF, 0, offset, BK__PCI_AF_SIZE, bytes,
					NULL, NULL);

	if (at > 0)
		function->af = (unsigned)at;
	return at;
}

int bk_pci_af_add(struct bk_pci_function *function, unsigned offset)
{
	int at;

	bk__pci_function_lock(function);
	at = af_add(function, offset);
	bk__pci_function_unlock(function);
	return at;
}

static bool written(struct bk_pci_function *function, const struct bk__pci_write *write)
{
	return function->af &&
	       bk__pci_write_sets(write, function->af + BK__PCI_AF_CONTROL, BK__PCI_AF_CONTROL_FLR);
}

static void forget(struct bk_pci_function *function, unsigned offset)
{
	if (function->af == offset)
		function->af = 0;
}

const struct bk__pci_kind bk__pci_af_kind = { .forget = forget, .written = written };
