/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Filter mode: traps on a device that somebody else models.
 *
 * The virtual machine monitor above has a model of config space, of the MSI-X
 * table and of interrupts, and it alone decides what the device's registers
 * hold. So there is no function here. Config space is the device's, with the
 * few registers that options change, and BARs are spaces as ever.
 */
#include "mediate/filter.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/pci_regs.h"

/* ---- Config space ------------------------------------------------------ */

static void add_register(struct bk_mediator *m, unsigned offset, uint32_t mask, uint32_t writable,
			 uint32_t value)
{
	m->filter->registers[m->filter->count++] = (struct bk__mediate_register){
		.offset = offset, .mask = mask, .writable = writable, .value = value
	};
}

/* A BAR that only the guest has, or has larger than the device. */
static void add_bar(struct bk_mediator *m, unsigned index, const struct bk_pci_bar *bar)
{
	const bool wide = bar->kind == BK_PCI_BAR_MEM64;
	const uint32_t flags =
		(wide ? BK__PCI_BAR_TYPE_64 : 0) | (bar->prefetchable ? BK__PCI_BAR_PREFETCHABLE : 0);
	const uint64_t address = ~(bar->size - 1);
	const uint64_t now = bk__load(m->config + BK__PCI_BAR0 + 4 * index, wide ? 8 : 4) & address;

	add_register(m, BK__PCI_BAR0 + 4 * index, UINT32_MAX,
		     (uint32_t)address & ~(uint32_t)BK__PCI_BAR_FLAGS, (uint32_t)now | flags);
	if (wide)
		add_register(m, BK__PCI_BAR0 + 4 * index + 4, UINT32_MAX, (uint32_t)(address >> 32),
			     (uint32_t)(now >> 32));
}

/* Makes the register tell the size of the ROM shown, which may differ from the device's. */
static void add_rom(struct bk_mediator *m)
{
	const uint64_t size = m->regions[BK_DEVICE_ROM].size;
	const uint32_t bits =
		size ? (~(uint32_t)BK__PCI_ROM_FLAGS & ~((uint32_t)size - 1)) | BK__PCI_ROM_ENABLE : 0;

	add_register(m, BK__PCI_ROM, UINT32_MAX, bits, (uint32_t)bk__load(m->config + BK__PCI_ROM, 4) & bits);
}

static void add_msix(struct bk_mediator *m)
{
	const unsigned at = bk__mediate_capability_below(m, BK__PCI_CAP_MSIX);

	add_register(m, at + BK__PCI_MSIX_TABLE, UINT32_MAX, 0, m->msix_table | m->msix_to);
	add_register(m, at + BK__PCI_MSIX_PBA, UINT32_MAX, 0, m->msix_pba | m->msix_to);
}

/* ---- Regions ----------------------------------------------------------- */

/* Only what the mapping and the moved table need. */
static struct bk_pci_bar describe_bar(const struct bk_mediator *m, unsigned index)
{
	const unsigned low = (unsigned)bk__load(m->config + BK__PCI_BAR0 + 4 * index, 4);
	const bool wide = (low & BK__PCI_BAR_TYPE) == BK__PCI_BAR_TYPE_64 && index < BK_PCI_BARS - 1;
	struct bk_pci_bar bar = { .size = m->regions[index].info.size };

	if (!bar.size)
		return bar;
	bar.kind = low & BK__PCI_BAR_IO ? BK_PCI_BAR_IO : wide ? BK_PCI_BAR_MEM64 : BK_PCI_BAR_MEM32;
	bar.prefetchable = bar.kind != BK_PCI_BAR_IO && low & BK__PCI_BAR_PREFETCHABLE;
	return bar;
}

static int build_bars(struct bk_mediator *m, const struct bk_mediator_options *options, struct bk_error *err)
{
	struct bk_pci_bar bars[BK_PCI_BARS];
	int error = 0;

	for (unsigned i = 0; i < BK_PCI_BARS; i++)
		bars[i] = describe_bar(m, i);
	if (options->msix_move)
		error = bk__mediate_msix_move(m, options->msix_bar, bars, err);
	for (unsigned i = 0; i < BK_PCI_BARS && !error; i++)
		if (bars[i].kind != BK_PCI_BAR_NONE)
			error = bk__mediate_bar_build(m, i, &bars[i], err);
	if (!error && m->msix_moved) {
		add_bar(m, m->msix_to, &bars[m->msix_to]);
		add_msix(m);
	}
	return error;
}

/* A given image is shown as in any mediator; else the device's own, read only on access. */
static int build_rom(struct bk_mediator *m, const struct bk_mediator_options *options, struct bk_error *err)
{
	struct bk__mediate_region *region = &m->regions[BK_DEVICE_ROM];
	int error = 0;

	if (options->rom_image) {
		error = bk__mediate_rom(m, options, err);
	} else if (!options->rom_off && region->info.size) {
		region->size = region->info.size;
		region->space = bk_space_create(m->domain, "rom", region->size - 1);
		error = region->space ? bk__mediate_bottom_add(m, BK_DEVICE_ROM, 0, region->size,
							       BK__PRIORITY_HANDLED, BK_WIDTH_ALL, err)
				      : bk_fail(err, ENOMEM, "%s: rom: out of memory", m->below->name);
	}
	if (!error)
		add_rom(m);
	return error;
}

static int build_config(struct bk_mediator *m, struct bk_error *err)
{
	struct bk__mediate_region *region = &m->regions[BK_DEVICE_CONFIG];

	region->size = m->config_size;
	region->space = bk_space_create(m->domain, "config", region->size - 1);
	if (!region->space)
		return bk_fail(err, ENOMEM, "%s: config: out of memory", m->below->name);
	return bk__mediate_bottom_add(m, BK_DEVICE_CONFIG, 0, region->size, BK__PRIORITY_CONFIG,
				      BK_WIDTH_1 | BK_WIDTH_2 | BK_WIDTH_4, err);
}

int bk__mediate_filter_build(struct bk_mediator *m, const struct bk_mediator_options *options,
			     struct bk_error *err)
{
	struct bk_device_region vga = { 0 };
	int error = bk__mediate_config_load(m, err);

	m->filter = calloc(1, sizeof(*m->filter));
	if (!m->filter)
		return bk_fail(err, ENOMEM, "%s: out of memory", m->below->name);
	if (!error)
		error = build_bars(m, options, err);
	if (!error)
		error = build_rom(m, options, err);
	if (!error)
		error = build_config(m, err);
	if (!error && (options->vga || (m->config[BK__PCI_CLASS + 2] == 3 && !m->config[BK__PCI_CLASS + 1] &&
					!bk_device_region(m->below, BK_DEVICE_VGA, &vga) && vga.size)))
		error = bk__mediate_vga(m, err);
	return error;
}

int bk__mediate_filter_reset(struct bk_mediator *m)
{
	bk__mediate_accelerate_reset(m);
	return bk_device_reset(m->below);
}
