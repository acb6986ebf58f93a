/* SPDX-License-Identifier: BSD-2-Clause */
/* The header (PCI 3.0 6.1): its values at reset, its writable bits, and the bits that a read
 * computes. */
#include "pci/bar.h"
#include "pci/bus.h"
#include "pci/function.h"

const struct bk_pci_bar *bk__pci_function_bar(const struct bk_pci_function *function, unsigned index)
{
	const struct bk_pci_bar *bar;

	if (index > BK_PCI_ROM || (index < BK_PCI_ROM && index >= function->bar_count))
		return NULL;
	bar = index == BK_PCI_ROM ? &function->desc.rom : &function->desc.bars[index];
	return bar->kind == BK_PCI_BAR_NONE ? NULL : bar;
}

unsigned bk__pci_function_bar_register(const struct bk_pci_function *function, unsigned index)
{
	return index == BK_PCI_ROM ? function->rom_register : BK__PCI_BAR0 + 4 * index;
}

static unsigned bar_width(const struct bk_pci_bar *bar)
{
	return bar->kind == BK_PCI_BAR_MEM64 ? 8 : 4;
}

uint64_t bk__pci_function_bar_raw(const struct bk_pci_function *function, unsigned index)
{
	return bk__pci_config_get(&function->config, bk__pci_function_bar_register(function, index),
				  bar_width(bk__pci_function_bar(function, index)));
}

/* All that is written is kept; the size shows in what is read. */
static void show_size(struct bk_pci_function *function, unsigned index)
{
	const struct bk_pci_bar *bar = bk__pci_function_bar(function, index);
	unsigned at = bk__pci_function_bar_register(function, index);

	for (unsigned i = 0; i < bar_width(bar); i++)
		function->config.shown[at + i] =
			(uint8_t)(bk__pci_bar_shown(bar, index == BK_PCI_ROM) >> 8 * i);
}

void bk__pci_function_bar_resize(struct bk_pci_function *function, unsigned index, uint64_t size)
{
	if (function->desc.bars[index].size == size)
		return;
	function->desc.bars[index].size = size;
	show_size(function, index);
}

static void bar_fill(struct bk_pci_function *function, unsigned index)
{
	const struct bk_pci_bar *bar = bk__pci_function_bar(function, index);
	unsigned at = bk__pci_function_bar_register(function, index);
	struct bk__pci_config *config = &function->config;
	bool rom = index == BK_PCI_ROM;

	if (!bar)
		return;
	bk__pci_config_allow(config, at, bar_width(bar), UINT64_MAX, 0);
	show_size(function, index);
	config->fixed[at] = (uint8_t)bk__pci_bar_type(bar, rom);
}

void bk__pci_header_fill(struct bk_pci_function *function)
{
	const struct bk_pci_function_desc *desc = &function->desc;
	struct bk__pci_config *config = &function->config;

	bk__pci_config_preset(config, BK__PCI_VENDOR, 2, desc->vendor);
	bk__pci_config_preset(config, BK__PCI_DEVICE, 2, desc->device);
	bk__pci_config_allow(config, BK__PCI_COMMAND, 2,
			     BK__PCI_COMMAND_IO | BK__PCI_COMMAND_MEMORY | BK__PCI_COMMAND_MASTER |
				     BK__PCI_COMMAND_PARITY | BK__PCI_COMMAND_SERR |
				     BK__PCI_COMMAND_INTX_DISABLE,
			     0);
	bk__pci_config_allow(config, BK__PCI_STATUS, 2, 0, BK__PCI_STATUS_ERRORS);
	bk__pci_config_preset(config, BK__PCI_REVISION, 1, desc->revision);
	bk__pci_config_preset(config, BK__PCI_CLASS, 3, desc->class_code);
	bk__pci_config_allow(config, BK__PCI_CACHE_LINE, 1, 0xff, 0);
	if (!desc->extended) /* PCI Express has none (PCIe 7.5.1.1.7) */
		bk__pci_config_allow(config, BK__PCI_LATENCY, 1, 0xff, 0);
	bk__pci_config_preset(config, BK__PCI_SUBSYSTEM_VENDOR, 2, desc->subsystem_vendor);
	bk__pci_config_preset(config, BK__PCI_SUBSYSTEM, 2, desc->subsystem);
	bk__pci_config_allow(config, BK__PCI_INTERRUPT_LINE, 1, 0xff, 0);
	bk__pci_config_preset(config, BK__PCI_INTERRUPT_PIN, 1, desc->pin);
	for (unsigned i = 0; i <= BK_PCI_ROM; i++)
		bar_fill(function, i);
}
