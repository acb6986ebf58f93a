/* SPDX-License-Identifier: BSD-2-Clause */
/* Turns a dumped config space into the one that VFIO would show, and finds out which bits can be
 * written. */
#include <string.h>

#include <barkeep/device.h>

#include "base/bytes.h"
#include "base/pci_regs.h"
#include "device/dump.h"
#include "pci/chain.h"

static unsigned get(const struct bk__device_dump *dump, unsigned offset, unsigned width)
{
	return (unsigned)bk__load(dump->config + offset, width);
}

/* The low bits of a register. lspci calls the ports of IDE's compatibility mode memory, but memory BARs have
 * 16 bytes or more. */
static unsigned type_of(const struct bk__dump_bar *bar)
{
	if (bar->io || bar->size < 16)
		return BK__PCI_BAR_IO;
	return (bar->wide ? BK__PCI_BAR_TYPE_64 : 0) | (bar->prefetchable ? BK__PCI_BAR_PREFETCHABLE : 0);
}

/* A virtual function's ids are all ones and its BARs zeros: the kernel knows them from the physical function.
 */
static void fill_in(struct bk__device_dump *dump)
{
	if (get(dump, BK__PCI_VENDOR, 4) == UINT32_MAX && dump->vendor) {
		bk__store(dump->config + BK__PCI_VENDOR, 2, dump->vendor);
		bk__store(dump->config + BK__PCI_DEVICE, 2, dump->device);
	}
	for (unsigned i = 0; i < 6; i++) {
		const struct bk__dump_bar *bar = &dump->bars[i];
		unsigned now = get(dump, BK__PCI_BAR0 + 4 * i, 4), width = bar->wide && i < 5 ? 8 : 4;

		if (bar->size && (!now || now == UINT32_MAX))
			bk__store(dump->config + BK__PCI_BAR0 + 4 * i, width, bar->address | type_of(bar));
	}
}

static void bar_writable(uint8_t *write, const struct bk__device_dump *dump, unsigned index)
{
	const unsigned offset = index < 6 ? BK__PCI_BAR0 + 4 * index : BK__PCI_ROM;
	const uint64_t size = dump->bars[index].size;
	unsigned low = get(dump, offset, 4);
	bool wide = index < 5 && (low & (BK__PCI_BAR_TYPE | BK__PCI_BAR_IO)) == BK__PCI_BAR_TYPE_64;

	if (size && !(size & (size - 1)))
		bk__store(write + offset, wide ? 8 : 4, ~(size - 1) | (index == 6));
}

static void chain_fixed(const struct bk__device_dump *dump, bool extended, uint8_t *write)
{
	struct bk__pci_chain chain;

	bk__pci_chain_begin(&chain, dump->config, dump->size, extended);
	while (bk__pci_chain_next(&chain))
		memset(write + chain.at, 0, extended ? BK__PCI_EXT_HEADER : BK__PCI_CAP_HEADER);
}

/* Headers in the chains are read-only; everything else behind the header is memory. */
static void capabilities_writable(const struct bk__device_dump *dump, uint8_t write[BK__PCI_CONFIG_SIZE])
{
	memset(write + BK__PCI_HEADER_END, 0xff, dump->size - BK__PCI_HEADER_END);
	chain_fixed(dump, false, write);
	if (dump->size == BK__PCI_EXTENDED)
		return;
	chain_fixed(dump, true, write);
	memset(write + BK__PCI_EXTENDED, 0, BK__PCI_EXT_HEADER); /* also if the chain is empty */
}

static unsigned find(const struct bk__device_dump *dump, unsigned id)
{
	return bk__pci_chain_find(dump->config, dump->size, false, id);
}

static void count_vectors(const struct bk__device_dump *dump, unsigned vectors[])
{
	unsigned msi = find(dump, BK__PCI_CAP_MSI), msix = find(dump, BK__PCI_CAP_MSIX);
	unsigned pin = get(dump, BK__PCI_INTERRUPT_PIN, 1);

	vectors[BK_DEVICE_INTX] = pin >= 1 && pin <= 4;
	vectors[BK_DEVICE_MSI] =
		msi ? 1u << (get(dump, msi + BK__PCI_MSI_CONTROL, 1) >> BK__PCI_MSI_CONTROL_CAPABLE_SHIFT &
			     BK__PCI_MSI_CONTROL_COUNT_MASK)
		    : 0;
	vectors[BK_DEVICE_MSIX] =
		msix ? (get(dump, msix + BK__PCI_MSIX_CONTROL, 2) & BK__PCI_MSIX_CONTROL_SIZE) + 1 : 0;
	vectors[BK_DEVICE_ERR] = find(dump, BK__PCI_CAP_EXPRESS) != 0;
	vectors[BK_DEVICE_REQ] = 1;
}

void bk__dump_config(struct bk__device_dump *dump, uint8_t write[BK__PCI_CONFIG_SIZE], unsigned vectors[])
{
	memset(write, 0, BK__PCI_CONFIG_SIZE);
	fill_in(dump);
	if (dump->dumped == BK__PCI_HEADER_END) {
		dump->config[BK__PCI_STATUS] &= (uint8_t)~BK__PCI_STATUS_CAP_LIST;
		dump->config[BK__PCI_CAP_POINTER] = 0;
	}
	bk__store(write + BK__PCI_COMMAND, 2, BK__PCI_COMMAND_WRITABLE);
	write[BK__PCI_CACHE_LINE] = write[BK__PCI_LATENCY] = write[BK__PCI_INTERRUPT_LINE] = 0xff;
	if (!(get(dump, BK__PCI_HEADER_TYPE, 1) & BK__PCI_HEADER_TYPE_MASK))
		for (unsigned i = 0; i < 7; i++)
			bar_writable(write, dump, i);
	capabilities_writable(dump, write);
	count_vectors(dump, vectors);
}
