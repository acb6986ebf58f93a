/* SPDX-License-Identifier: BSD-2-Clause */
/* The PCI function that a guest sees of the device: ids, BARs, what its registers do to the device. */
#include "mediate/mediate.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"

/* PCI 3.0 6.1 */
#define VENDOR           0x00
#define DEVICE           0x02
#define REVISION         0x08
#define CLASS            0x09
#define HEADER_TYPE      0x0e
#define BAR0             0x10
#define SUBSYSTEM_VENDOR 0x2c
#define SUBSYSTEM        0x2e
#define INTERRUPT_PIN    0x3d
#define MIN_GNT          0x3e

#define HEADER_TYPE_MASK 0x7f
#define PINS             4

/* PCI 3.0 6.2.5.1 */
#define BAR_IO           0x1
#define BAR_TYPE         0x6
#define BAR_TYPE_64      0x4
#define BAR_PREFETCHABLE 0x8

#define COMMAND_IO     0x0001
#define COMMAND_MEMORY 0x0002

#define BAR_IO_LEAST     4
#define BAR_MEMORY_LEAST 16
#define BAR32_MOST       ((uint64_t)1 << 31)
#define BAR64_MOST       ((uint64_t)1 << 63)

static uint64_t power_of_two(uint64_t size)
{
	uint64_t power = 1;

	while (power < size)
		power <<= 1;
	return power;
}

/* Where the register says what no register can, as kernels take it. */
static enum bk_pci_bar_kind bar_kind(struct bk_mediator *m, unsigned index, unsigned low)
{
	const char *why;

	if (low & BAR_IO)
		return BK_PCI_BAR_IO;
	if ((low & BAR_TYPE) == BAR_TYPE)
		why = "the reserved type 3";
	else if ((low & BAR_TYPE) == BAR_TYPE_64 && index == 5)
		why = "64 bits, but no register for the upper half";
	else
		return (low & BAR_TYPE) == BAR_TYPE_64 ? BK_PCI_BAR_MEM64 : BK_PCI_BAR_MEM32;
	bk_log(BK_LOG_WARNING, "%s: bar%u has %s (register 0x%08x): shown as 32-bit memory", m->below->name,
	       index, why, low);
	return BK_PCI_BAR_MEM32;
}

/*
 * What cannot be a BAR is left out: an IDE function in compatibility mode has
 * some of one byte (its ports are the chipset's). One that is no power of two
 * is shown with the next one; what the device has not got of it is all ones.
 */
static void bar_describe(struct bk_mediator *m, unsigned index, struct bk_pci_bar bars[BK_PCI_BARS])
{
	const uint64_t size = m->regions[index].info.size;
	unsigned low = (unsigned)bk__load(m->config + BAR0 + 4 * index, 4);
	struct bk_pci_bar bar = { .kind = BK_PCI_BAR_NONE };
	uint64_t least, most;

	if (index && bars[index - 1].kind == BK_PCI_BAR_MEM64) {
		bk_log(BK_LOG_WARNING, "%s: bar%u is not shown: bar%u is 64-bit, and this is its upper half",
		       m->below->name, index, index - 1);
		return;
	}
	bar.kind = bar_kind(m, index, low);
	bar.prefetchable = bar.kind != BK_PCI_BAR_IO && low & BAR_PREFETCHABLE;
	least = bar.kind == BK_PCI_BAR_IO ? BAR_IO_LEAST : BAR_MEMORY_LEAST;
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
	static struct bk_ratelimit limit;
	int r;

	m->command = command;
	r = bk__mediate_command(m);
	if (r)
		bk_log_limited(&limit, BK_LOG_ERROR, "%s: bus mastering cannot be switched: %s",
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
	struct bk_device_irq intx;
	int r;

	desc->name = m->below->name;
	desc->vendor = (uint16_t)bk__load(config + VENDOR, 2);
	desc->device = (uint16_t)bk__load(config + DEVICE, 2);
	if (!(config[HEADER_TYPE] & HEADER_TYPE_MASK)) { /* others have something else there */
		desc->subsystem_vendor = (uint16_t)bk__load(config + SUBSYSTEM_VENDOR, 2);
		desc->subsystem = (uint16_t)bk__load(config + SUBSYSTEM, 2);
	}
	desc->revision = config[REVISION];
	desc->class_code = (uint32_t)bk__load(config + CLASS, 3);
	desc->extended = m->config_size > 256;
	if (config[INTERRUPT_PIN] > PINS)
		bk_log(BK_LOG_WARNING, "%s: interrupt pin %u is not shown: there are 1 (INTA#) to 4 (INTD#)",
		       m->below->name, config[INTERRUPT_PIN]);
	else if (!bk_device_irq(m->below, BK_DEVICE_INTX, &intx) && intx.count)
		desc->pin = config[INTERRUPT_PIN];
	desc->command = on_command;
	desc->reset = on_reset;
	desc->opaque = m;
	r = bk_pci_function_create(m->domain, desc, &m->function, err);
	if (r)
		return r;
	r = bk_pci_function_preset(m->function, MIN_GNT, config + MIN_GNT, NULL, NULL, 2);
	return r ? bk_fail(err, -r, "%s: %s", m->below->name, strerror(-r)) : 0;
}

int bk__mediate_function(struct bk_mediator *m, const struct bk_mediator_options *options,
			 struct bk_error *err)
{
	struct bk_pci_function_desc desc = { 0 };
	int r;

	if (m->config[HEADER_TYPE] & HEADER_TYPE_MASK)
		bk_log(BK_LOG_WARNING, "%s: header type %u: shown as an endpoint (type 0)", m->below->name,
		       m->config[HEADER_TYPE] & HEADER_TYPE_MASK);
	for (unsigned i = 0; i < BK_PCI_BARS; i++) {
		if (!m->regions[i].info.size)
			continue;
		bar_describe(m, i, desc.bars);
		if (desc.bars[i].kind != BK_PCI_BAR_NONE)
			m->decode |= desc.bars[i].kind == BK_PCI_BAR_IO ? COMMAND_IO : COMMAND_MEMORY;
	}
	if (options->msix_move) {
		r = bk__mediate_msix_move(m, options->msix_bar, desc.bars, err);
		if (r)
			return r;
	}
	if (m->regions[BK_DEVICE_ROM].info.size)
		m->decode |= COMMAND_MEMORY;
	if (options->vga)
		m->decode |= COMMAND_IO | COMMAND_MEMORY;
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
