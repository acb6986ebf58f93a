/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MSI-X table and its pending bits, as a guest reads and writes them.
 *
 * The specification leaves undefined what an access of less than 4 bytes or
 * across entries does. Here a write changes the bytes that it covers and a
 * read shows them, whatever the width and alignment.
 */
#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "pci/function.h"

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
		.last = msix.pba_offset + (uint64_t)bk__pci_msix_pba_size(msix.vectors) - 1,
		.kind = BK_REGION_HANDLED,
		.ops = &pba_ops,
		.opaque = function,
	};
	return 0;
}
