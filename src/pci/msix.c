/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSI-X (PCI 3.0 6.8.2): the capability, the table and the pending bits.
 *
 * The specification leaves undefined what an access of less than 4 bytes or
 * across entries does. Here a write changes the bytes that it covers and a
 * read shows them, whatever the width and alignment.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/pci_regs.h"
#include "pci/cap.h"
#include "pci/function.h"

static unsigned pba_size(unsigned vectors)
{
	return (vectors + 63) / 64 * 8;
}

/* The table or the PBA must be inside a memory BAR. */
static bool fits(const struct bk_pci_function *function, unsigned index, uint32_t offset, uint64_t size)
{
	const struct bk_pci_bar *bar = index < BK_PCI_BARS ? bk__pci_function_bar(function, index) : NULL;

	return bar && bar->kind != BK_PCI_BAR_IO && !(offset & 7) && offset + size <= bar->size;
}

static int msix_add(struct bk_pci_function *function, unsigned offset, unsigned vectors, unsigned table_bar,
		    uint32_t table_offset, unsigned pba_bar, uint32_t pba_offset)
{
	struct bk__pci_config *config = &function->config;
	uint8_t *table;
	int at;

	if (!vectors || vectors > BK__PCI_MSIX_VECTORS ||
	    !fits(function, table_bar, table_offset, (uint64_t)vectors * BK__PCI_MSIX_ENTRY) ||
	    !fits(function, pba_bar, pba_offset, pba_size(vectors)))
		return -EINVAL;
	table = calloc(vectors, BK__PCI_MSIX_ENTRY);
	if (!table)
		return -ENOMEM;
	at = bk__pci_capability_add(function, false, BK__PCI_CAP_MSIX, 0, offset, BK__PCI_MSIX_SIZE, NULL,
				    NULL, NULL);
	if (at < 0) {
		free(table);
		return at;
	}
	bk__pci_config_preset(config, (unsigned)at + BK__PCI_MSIX_CONTROL, 2, vectors - 1);
	bk__pci_config_allow(config, (unsigned)at + BK__PCI_MSIX_CONTROL, 2,
			     BK__PCI_MSIX_CONTROL_ENABLE | BK__PCI_MSIX_CONTROL_MASK, 0);
	bk__pci_config_preset(config, (unsigned)at + BK__PCI_MSIX_TABLE, 4, table_offset | table_bar);
	bk__pci_config_preset(config, (unsigned)at + BK__PCI_MSIX_PBA, 4, pba_offset | pba_bar);
	function->msix = (struct bk__pci_msix){
		.offset = (unsigned)at,
		.vectors = vectors,
		.table_bar = table_bar,
		.pba_bar = pba_bar,
		.table_offset = table_offset,
		.pba_offset = pba_offset,
		.table = table,
	};
	bk__pci_msix_reset(function);
	return at;
}

int bk_pci_msix_add(struct bk_pci_function *function, unsigned offset, unsigned vectors, unsigned table_bar,
		    uint32_t table_offset, unsigned pba_bar, uint32_t pba_offset)
{
	int at;

	bk__pci_function_lock(function);
	at = msix_add(function, offset, vectors, table_bar, table_offset, pba_bar, pba_offset);
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

/* The region outlives the capability, which may also come back with fewer vectors. Function's lock. */
static bool in_table(const struct bk_pci_function *function, uint64_t offset, unsigned width)
{
	return offset + width <= (uint64_t)function->msix.vectors * BK__PCI_MSIX_ENTRY;
}

static int table_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	struct bk_pci_function *function = opaque;
	int error = 0;

	pthread_mutex_lock(&function->lock);
	if (in_table(function, offset, width))
		*value = bk__load(function->msix.table + offset, width);
	else
		error = -ERANGE;
	pthread_mutex_unlock(&function->lock);
	return error;
}

/* Changes the bytes of one entry, all inside it. */
static void entry_write(struct bk_pci_function *function, unsigned vector, unsigned offset, unsigned width,
			uint64_t value)
{
	uint8_t *entry = function->msix.table + (size_t)vector * BK__PCI_MSIX_ENTRY,
		old[BK__PCI_MSIX_ENTRY_CONTROL];

	memcpy(old, entry, sizeof(old));
	for (unsigned i = offset; i < offset + width; i++, value >>= 8) {
		uint8_t writable = i == 0                            ? 0xfc
				   : i < BK__PCI_MSIX_ENTRY_CONTROL  ? 0xff
				   : i == BK__PCI_MSIX_ENTRY_CONTROL ? BK__PCI_MSIX_ENTRY_MASKED
								     : 0;

		entry[i] = (uint8_t)value & writable;
	}
	if (function->irq.mode == BK_PCI_IRQ_MSIX)
		bk__pci_irq_settle_vector(function, vector, memcmp(old, entry, sizeof(old)) != 0);
}

static int table_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	struct bk_pci_function *function = opaque;
	unsigned vector = (unsigned)(offset / BK__PCI_MSIX_ENTRY),
		 in_entry = (unsigned)(offset % BK__PCI_MSIX_ENTRY);
	unsigned here = width < BK__PCI_MSIX_ENTRY - in_entry ? width : BK__PCI_MSIX_ENTRY - in_entry;
	int error = 0;

	pthread_mutex_lock(&function->lock);
	if (!in_table(function, offset, width)) {
		error = -ERANGE;
	} else {
		entry_write(function, vector, in_entry, here, value);
		if (here < width)
			entry_write(function, vector + 1, 0, width - here, value >> 8 * here);
	}
	pthread_mutex_unlock(&function->lock);
	return error;
}

static int pba_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	struct bk_pci_function *function = opaque;
	const struct bk__pci_irq *irq = &function->irq;

	*value = 0;
	pthread_mutex_lock(&function->lock);
	for (unsigned i = 0; i < width * 8; i++) {
		uint64_t vector = offset * 8 + i;
		bool pending = vector < function->msix.vectors &&
			       (irq->mode == BK_PCI_IRQ_MSIX
					? bk__pci_irq_pending(function, (unsigned)vector)
					: bk__pci_bit(function->msix.pending, (unsigned)vector));

		*value |= (uint64_t)pending << i;
	}
	pthread_mutex_unlock(&function->lock);
	return 0;
}

static int pba_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	(void)opaque, (void)offset, (void)width, (void)value;
	return 0; /* read only (PCI 3.0 6.8.2.9) */
}

int bk_pci_msix_regions(struct bk_pci_function *function, struct bk_region_desc *table,
			struct bk_region_desc *pba)
{
	static const struct bk_region_ops table_ops = { .read = table_read, .write = table_write };
	static const struct bk_region_ops pba_ops = { .read = pba_read, .write = pba_write };
	struct bk__pci_msix msix;

	pthread_mutex_lock(&function->lock);
	msix = function->msix;
	pthread_mutex_unlock(&function->lock);
	if (!msix.offset)
		return -ENOENT;
	*table = (struct bk_region_desc){
		.name = "MSI-X table",
		.first = msix.table_offset,
		.last = msix.table_offset + (uint64_t)msix.vectors * BK__PCI_MSIX_ENTRY - 1,
		.kind = BK_REGION_HANDLED,
		.ops = &table_ops,
		.opaque = function,
	};
	*pba = (struct bk_region_desc){
		.name = "MSI-X PBA",
		.first = msix.pba_offset,
		.last = msix.pba_offset + (uint64_t)pba_size(msix.vectors) - 1,
		.kind = BK_REGION_HANDLED,
		.ops = &pba_ops,
		.opaque = function,
	};
	return 0;
}
