/* SPDX-License-Identifier: BSD-2-Clause */
/* MSI-X (PCI 3.0 6.8.2): the capability, and the state that it and the table set. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/pci_regs.h"
#include "base/struct.h"
#include "pci/cap.h"
#include "pci/function.h"
#include "pci/kind.h"

/* The table or the PBA must be inside a memory BAR. */
static bool fits(const struct bk_pci_function *function, unsigned index, uint32_t offset, uint64_t size)
{
	const struct bk_pci_bar *bar = index < BK_PCI_BARS ? bk__pci_function_bar(function, index) : NULL;

	return bar && bar->kind != BK_PCI_BAR_IO && !(offset & 7) && offset + size <= bar->size;
}

static int msix_add(struct bk_pci_function *function, const struct bk_pci_msix_desc *desc)
{
	const unsigned vectors = desc->vectors;
	struct bk__pci_config *config = &function->config;
	uint8_t *table;
	int at;

	if (!vectors || vectors > BK__PCI_MSIX_VECTORS ||
	    !fits(function, desc->table_bar, desc->table_offset, (uint64_t)vectors * BK__PCI_MSIX_ENTRY) ||
	    !fits(function, desc->pba_bar, desc->pba_offset, bk__pci_msix_pba_size(vectors)))
		return -EINVAL;
	table = calloc(vectors, BK__PCI_MSIX_ENTRY);
	if (!table)
		return -ENOMEM;
	at = bk__pci_capability_add(function, false, BK__PCI_CAP_MSIX, 0, desc->offset, BK__PCI_MSIX_SIZE,
				    NULL, NULL, NULL);
	if (at < 0) {
		free(table);
		return at;
	}
	bk__pci_config_preset(config, (unsigned)at + BK__PCI_MSIX_CONTROL, 2, vectors - 1);
	bk__pci_config_allow(config, (unsigned)at + BK__PCI_MSIX_CONTROL, 2,
			     BK__PCI_MSIX_CONTROL_ENABLE | BK__PCI_MSIX_CONTROL_MASK, 0);
	bk__pci_config_preset(config, (unsigned)at + BK__PCI_MSIX_TABLE, 4,
			      desc->table_offset | desc->table_bar);
	bk__pci_config_preset(config, (unsigned)at + BK__PCI_MSIX_PBA, 4, desc->pba_offset | desc->pba_bar);
	function->msix = (struct bk__pci_msix){
		.offset = (unsigned)at,
		.vectors = vectors,
		.table_bar = desc->table_bar,
		.pba_bar = desc->pba_bar,
		.table_offset = desc->table_offset,
		.pba_offset = desc->pba_offset,
		.table = table,
	};
	bk__pci_msix_reset(function);
	return at;
}

int bk_pci_msix_add(struct bk_pci_function *function, const struct bk_pci_msix_desc *caller)
{
	struct bk_pci_msix_desc desc;
	int at = bk__struct_take(&desc, sizeof(desc), caller);

	if (at)
		return at;
	bk__pci_function_lock(function);
	at = msix_add(function, &desc);
	bk__pci_function_unlock(function);
	return at;
}

void bk__pci_msix_reset(struct bk_pci_function *function)
{
	struct bk__pci_msix *msix = &function->msix;

	memset(msix->pending, 0, sizeof(msix->pending));
	if (!msix->table)
		return;
	memset(msix->table, 0, (size_t)msix->vectors * BK__PCI_MSIX_ENTRY);
	for (unsigned i = 0; i < msix->vectors; i++)
		msix->table[i * BK__PCI_MSIX_ENTRY + BK__PCI_MSIX_ENTRY_CONTROL] = BK__PCI_MSIX_ENTRY_MASKED;
}

void bk__pci_msix_registers(const struct bk_pci_function *function, struct bk__pci_irq_registers *registers)
{
	registers->control = (uint16_t)bk__pci_config_get(&function->config,
							  function->msix.offset + BK__PCI_MSIX_CONTROL, 2);
}

unsigned bk__pci_msix_enabled(const struct bk_pci_function *function)
{
	struct bk__pci_irq_registers registers;

	if (!function->msix.offset)
		return 0;
	bk__pci_msix_registers(function, &registers);
	return registers.control & BK__PCI_MSIX_CONTROL_ENABLE ? function->msix.vectors : 0;
}

bool bk__pci_msix_message(const struct bk_pci_function *function, unsigned vector,
			  struct bk_pci_message *message)
{
	const uint8_t *entry = function->msix.table + (size_t)vector * BK__PCI_MSIX_ENTRY;
	struct bk__pci_irq_registers registers;

	bk__pci_msix_registers(function, &registers);
	message->address = bk__load(entry, 8);
	message->data = (uint32_t)bk__load(entry + BK__PCI_MSIX_ENTRY_DATA, 4);
	return !(registers.control & BK__PCI_MSIX_CONTROL_MASK) &&
	       !(entry[BK__PCI_MSIX_ENTRY_CONTROL] & BK__PCI_MSIX_ENTRY_MASKED);
}

static void forget(struct bk_pci_function *function, unsigned offset)
{
	if (function->msix.offset != offset)
		return;
	free(function->msix.table);
	function->msix = (struct bk__pci_msix){ 0 };
}

const struct bk__pci_kind bk__pci_msix_kind = { .forget = forget };
