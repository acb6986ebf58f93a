/* SPDX-License-Identifier: BSD-2-Clause */
/* The PCI function that a guest sees of the device: ids, BARs, what its registers do to the device. */
#include "base/ratelimit.h"
#include "mediate/mediate.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/pci_regs.h"

#define PINS 4

#define LEAST_IO     4
#define LEAST_MEMORY 16
#define BAR32_MOST   ((uint64_t)1 << 31)
#define BAR64_MOST   ((uint64_t)1 << 63)

static uint64_t power_of_two(uint64_t size)
{
	uint64_t power = 1;

	while (power < size)
		power <<= 1;
	return power;
}

/* An invalid register gives the kind that kernels assume. */
static enum bk_pci_bar_kind bar_kind(struct bk_mediator *m, unsigned index, unsigned low)
{
	const char *why;

	if (low & BK__PCI_BAR_IO)
		return BK_PCI_BAR_IO;
	if ((low & BK__PCI_BAR_TYPE) == BK__PCI_BAR_TYPE)
		why = "the reserved type 3";
	else if ((low & BK__PCI_BAR_TYPE) == BK__PCI_BAR_TYPE_64 && index == 5)
		why = "64 bits, but no register for the upper half";
	else
		return (low & BK__PCI_BAR_TYPE) == BK__PCI_BAR_TYPE_64 ? BK_PCI_BAR_MEM64 : BK_PCI_BAR_MEM32;
	bk_log(BK_LOG_WARNING, "%s: bar%u has %s (register 0x%08x): shown as 32-bit memory", m->below->name,
	       index, why, low);
	return BK_PCI_BAR_MEM32;
}

/*
 * Leaves out what cannot be a BAR: an IDE function in compatibility mode has some of one byte (its ports are
 * the chipset's). Rounds the size up to a power of two; bytes that the device does not have read all ones.
 */
static void bar_describe(struct bk_mediator *m, unsigned index, struct bk_pci_bar bars[BK_PCI_BARS])
{
	const uint64_t size = m->regions[index].info.size;
	unsigned low = (unsigned)bk__load(m->config + BK__PCI_BAR0 + 4 * index, 4);
	struct bk_pci_bar bar = { .kind = BK_PCI_BAR_NONE };
	uint64_t least, most;

	if (index && bars[index - 1].kind == BK_PCI_BAR_MEM64) {
		bk_log(BK_LOG_WARNING, "%s: bar%u is not shown: bar%u is 64-bit, and this is its upper half",
		       m->below->name, index, index - 1);
		return;
	}
	bar.kind = bar_kind(m, index, low);
	bar.prefetchable = bar.kind != BK_PCI_BAR_IO && low & BK__PCI_BAR_PREFETCHABLE;
	least = bar.kind == BK_PCI_BAR_IO ? LEAST_IO : LEAST_MEMORY;
	most = bar.kind == BK_PCI_BAR_MEM64 ? BAR64_MOST : BAR32_MOST;
	if (size < least || size > most) {
		bk_log(BK_LOG_WARNING,
		       "%s: bar%u is not shown: it has 0x%" PRIx64 " bytes, and a BAR of its kind 0x%" PRIx64
		       " to 0x%" PRIx64,
		       m->below->name, index, size, least, most);
		return;
	}
	bar.size = power_of_two(size);
	if (bar.size != size)
		bk_log(BK_LOG_WARNING,
		       "%s: bar%u has 0x%" PRIx64 " bytes, not a power of two: shown with 0x%" PRIx64
		       ", the rest of it all ones",
		       m->below->name, index, size, bar.size);
	bars[index] = bar;
}

static void on_command(void *opaque, uint16_t command)
{
	struct bk_mediator *m = opaque;
	static struct bk__ratelimit limit;
	int r;

	m->command = command;
	r = bk__mediate_command(m);
	if (r)
		bk__log_limited(&limit, BK_LOG_ERROR, "%s: bus mastering cannot be switched: %s",
				m->below->name, strerror(-r));
}

static int on_reset(void *opaque)
{
	struct bk_mediator *m = opaque;
	int r, restored;

	bk__mediate_accelerate_reset(m);
	r = bk_device_reset(m->below);

	if (r == -EOPNOTSUPP && !m->reset_told) {
		m->reset_told = true;
		bk_log(BK_LOG_WARNING,
		       "%s: the device cannot be reset: only its registers in config space are",
		       m->below->name);
	}
	restored = bk__mediate_command(m);
	return r ? r : restored;
}

static int function_create(struct bk_mediator *m, struct bk_pci_function_desc *desc, struct bk_error *err)
{
	const uint8_t *config = m->config;
	struct bk_device_irq intx = { 0 };
	int r;

	desc->name = m->below->name;
	desc->vendor = (uint16_t)bk__load(config + BK__PCI_VENDOR, 2);
	desc->device = (uint16_t)bk__load(config + BK__PCI_DEVICE, 2);
	if (!(config[BK__PCI_HEADER_TYPE] & BK__PCI_HEADER_TYPE_MASK)) { /* other headers differ here */
		desc->subsystem_vendor = (uint16_t)bk__load(config + BK__PCI_SUBSYSTEM_VENDOR, 2);
		desc->subsystem = (uint16_t)bk__load(config + BK__PCI_SUBSYSTEM, 2);
	}
	desc->revision = config[BK__PCI_REVISION];
	desc->class_code = (uint32_t)bk__load(config + BK__PCI_CLASS, 3);
	desc->extended = m->config_size > 256;
	if (config[BK__PCI_INTERRUPT_PIN] > PINS)
		bk_log(BK_LOG_WARNING, "%s: interrupt pin %u is not shown: there are 1 (INTA#) to 4 (INTD#)",
		       m->below->name, config[BK__PCI_INTERRUPT_PIN]);
	else if (!bk_device_irq(m->below, BK_DEVICE_INTX, &intx) && intx.count)
		desc->pin = config[BK__PCI_INTERRUPT_PIN];
	desc->command = on_command;
	desc->reset = on_reset;
	desc->opaque = m;
	r = bk_pci_function_create(m->domain, desc, &m->function, err);
	if (r)
		return r;
	r = bk_pci_function_preset(m->function, &(struct bk_pci_preset){ .offset = BK__PCI_MIN_GRANT,
									 .bytes = config + BK__PCI_MIN_GRANT,
									 .count = 2 });
	return r ? bk_fail(err, -r, "%s: %s", m->below->name, strerror(-r)) : 0;
}

int bk__mediate_function(struct bk_mediator *m, const struct bk_mediator_options *options,
			 struct bk_error *err)
{
	struct bk_pci_function_desc desc = { 0 };
	int r;

	if (m->config[BK__PCI_HEADER_TYPE] & BK__PCI_HEADER_TYPE_MASK)
		bk_log(BK_LOG_WARNING, "%s: header type %u: shown as an endpoint (type 0)", m->below->name,
		       m->config[BK__PCI_HEADER_TYPE] & BK__PCI_HEADER_TYPE_MASK);
	for (unsigned i = 0; i < BK_PCI_BARS; i++) {
		if (!m->regions[i].info.size)
			continue;
		bar_describe(m, i, desc.bars);
		if (desc.bars[i].kind != BK_PCI_BAR_NONE)
			m->decode |= desc.bars[i].kind == BK_PCI_BAR_IO ? BK__PCI_COMMAND_IO
									: BK__PCI_COMMAND_MEMORY;
	}
	if (options->msix_move) {
		r = bk__mediate_msix_move(m, options->msix_bar, desc.bars, err);
		if (r)
			return r;
	}
	if (m->regions[BK_DEVICE_ROM].info.size)
		m->decode |= BK__PCI_COMMAND_MEMORY;
	if (options->vga)
		m->decode |= BK__PCI_COMMAND_IO | BK__PCI_COMMAND_MEMORY;
	r = bk__mediate_command(m);
	if (r)
		return bk_fail(err, -r, "%s: decoding cannot be switched on: %s", m->below->name,
			       strerror(-r));

	for (unsigned i = 0; i < BK_PCI_BARS; i++) {
		if (desc.bars[i].kind == BK_PCI_BAR_NONE)
			continue;
		if (options->share_page)
			desc.bars[i].page = bk__mediate_bar_page(m, i, &desc.bars[i]);
		r = bk__mediate_bar_build(m, i, &desc.bars[i], err);
		if (r)
			return r;
	}
	r = bk__mediate_rom(m, options, err);
	if (r)
		return r;
	if (m->regions[BK_DEVICE_ROM].space)
		desc.rom = (struct bk_pci_bar){ .kind = BK_PCI_BAR_MEM32,
						.size = m->regions[BK_DEVICE_ROM].size,
						.space = m->regions[BK_DEVICE_ROM].space };
	if (options->vga) {
		r = bk__mediate_vga(m, err);
		if (r)
			return r;
		desc.vga_memory = m->vga[0];
		desc.vga_io = m->vga[1];
	}
	r = function_create(m, &desc, err);
	if (r)
		return r;
	m->regions[BK_DEVICE_CONFIG].space = bk_pci_function_config(m->function);
	m->regions[BK_DEVICE_CONFIG].size = m->config_size;
	return 0;
}
