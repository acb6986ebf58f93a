/* SPDX-License-Identifier: BSD-2-Clause */
/* A sim's config space: the header's registers, and the effects of writes (PCI 3.0 6, PCIe 7.5, PM
 * 3.2). */
#include <string.h>

#include "base/bytes.h"
#include "base/pci_regs.h"
#include "device/sim_parts.h"

static void put(uint8_t *bytes, unsigned offset, uint64_t value, unsigned width)
{
	bk__store(bytes + offset, width, value);
}

static uint64_t align_up(uint64_t value, uint64_t size)
{
	return (value + size - 1) & ~(size - 1);
}

/* The size in the register, rounded up to a power of two. */
static uint64_t register_size(const struct sim_bar *bar)
{
	uint64_t size = bar->kind == SIM_IO ? 4 : 16;

	while (size < bar->size)
		size <<= 1;
	return size;
}

/*
 * Where the host has put a BAR: never 0 and naturally aligned, so that a guest that sees the address can tell
 * it from its own. Addresses may overlap, as nothing decodes them.
 */
static void assign(struct sim *sim)
{
	uint64_t io = 0xe000, mem32 = 0xc0000000, mem64 = 0x380000000000;

	for (unsigned i = 0; i < 6; i++) {
		struct sim_bar *bar = &sim->bars[i];
		uint64_t *next = bar->kind == SIM_IO ? &io : bar->kind == SIM_MEM32 ? &mem32 : &mem64, size;

		if (!bar->size)
			continue;
		size = register_size(bar);
		bar->address = align_up(*next, size);
		if (bar->kind == SIM_MEM32 && bar->address + size > 0xfec00000)
			bar->address = align_up(0x80000000, size);
		*next = bar->address + size;
	}
}

static void build_bar(struct sim *sim, unsigned index)
{
	struct sim_bar *bar = &sim->bars[index];
	unsigned width = bar->kind == SIM_MEM64 ? 8 : 4, offset = BK__PCI_BAR0 + 4 * index;
	uint64_t type = bar->kind == SIM_IO ? BK__PCI_BAR_IO
					    : (bar->kind == SIM_MEM64 ? BK__PCI_BAR_TYPE_64 : 0) |
						      (bar->prefetchable ? BK__PCI_BAR_PREFETCHABLE : 0);

	put(sim->config.reset, offset, bar->address | type, width);
	put(sim->config.write, offset, ~(register_size(bar) - 1), width);
}

void bk__sim_config_build(struct sim *sim)
{
	uint8_t *reset = sim->config.reset, *write = sim->config.write;
	uint16_t command = 0;

	put(reset, BK__PCI_VENDOR, sim->vendor, 2);
	put(reset, BK__PCI_DEVICE, sim->id, 2);
	put(write, BK__PCI_COMMAND, BK__PCI_COMMAND_WRITABLE, 2);
	put(sim->config.clear, BK__PCI_STATUS, BK__PCI_STATUS_ERRORS, 2);
	put(reset, BK__PCI_REVISION, sim->revision, 1);
	put(reset, BK__PCI_CLASS, sim->class_code, 3);
	put(write, BK__PCI_CACHE_LINE, 0xff, 1);
	put(reset, BK__PCI_SUBSYSTEM_VENDOR, sim->subsystem_vendor, 2);
	put(reset, BK__PCI_SUBSYSTEM, sim->subsystem, 2);
	put(write, BK__PCI_INTERRUPT_LINE, 0xff, 1);
	put(reset, BK__PCI_INTERRUPT_LINE, sim->pin ? 0x0b : 0xff, 1);
	put(reset, BK__PCI_INTERRUPT_PIN, sim->pin, 1);
	if (reset[BK__PCI_CAP_POINTER])
		put(reset, BK__PCI_STATUS, BK__PCI_STATUS_CAP_LIST, 2);
	assign(sim);
	for (unsigned i = 0; i < 6; i++) {
		if (!sim->bars[i].size)
			continue;
		build_bar(sim, i);
		command |= sim->bars[i].kind == SIM_IO ? BK__PCI_COMMAND_IO : BK__PCI_COMMAND_MEMORY;
	}
	if (sim->rom_size) {
		put(reset, BK__PCI_ROM, 0xf0000000, 4);
		put(write, BK__PCI_ROM, ~(sim->rom_size - 1) | BK__PCI_ROM_ENABLE, 4);
	}
	/* The host enables decoding before it gives a device away, and puts its addresses back after a reset.
	 */
	put(reset, BK__PCI_COMMAND, command, 2);
}

void bk__sim_config_reset(struct sim *sim)
{
	memcpy(sim->config.bytes, sim->config.reset, sim->config.size);
	memcpy(sim->config.shown, sim->config.reset, sizeof(sim->config.shown));
}

static uint8_t *byte_at(struct sim *sim, unsigned offset, bool raw)
{
	bool bar = (offset >= BK__PCI_BAR0 && offset < BK__PCI_BAR0 + 24) ||
		   (offset >= BK__PCI_ROM && offset < BK__PCI_ROM + 4);

	return bar && !raw ? &sim->config.shown[offset] : &sim->config.bytes[offset];
}

void bk__sim_config_read(struct sim *sim, unsigned offset, uint8_t *data, unsigned count, bool raw)
{
	for (unsigned i = 0; i < count; i++) {
		data[i] = *byte_at(sim, offset + i, raw);
		if (offset + i == BK__PCI_STATUS && sim->pin && sim->pending)
			data[i] |= BK__PCI_STATUS_INTX;
	}
}

/* Clears a self-clearing bit; true if it was set. */
static bool take(struct sim *sim, unsigned capability, unsigned offset, uint8_t bit)
{
	uint8_t *byte = &sim->config.bytes[capability + offset];
	bool set = capability && *byte & bit;

	if (set)
		*byte &= (uint8_t)~bit;
	return set;
}

bool bk__sim_config_write(struct sim *sim, unsigned offset, const uint8_t *data, unsigned count, bool raw)
{
	struct sim_config *config = &sim->config;
	unsigned power =
		config->pm ? config->bytes[config->pm + BK__PCI_PM_PMCSR] & BK__PCI_PM_PMCSR_STATE : 0;
	bool reset;

	for (unsigned i = 0; i < count; i++) {
		uint8_t *byte = byte_at(sim, offset + i, raw), write = config->write[offset + i];

		*byte = (uint8_t)((*byte & ~write) | (data[i] & write));
		*byte &= (uint8_t) ~(data[i] & config->clear[offset + i]);
	}
	reset = take(sim, config->express, BK__PCI_EXPRESS_DEVICE_CONTROL + 1,
		     BK__PCI_EXPRESS_DEVICE_CONTROL_FLR >> 8);
	reset |= take(sim, config->af, BK__PCI_AF_CONTROL, BK__PCI_AF_CONTROL_FLR);
	if (power == 3 && config->soft_reset &&
	    !(config->bytes[config->pm + BK__PCI_PM_PMCSR] & BK__PCI_PM_PMCSR_STATE))
		reset = true;
	return reset;
}

bool bk__sim_config_decodes(const struct sim *sim, const struct sim_bar *bar)
{
	const struct sim_config *config = &sim->config;

	if (config->pm && config->bytes[config->pm + BK__PCI_PM_PMCSR] & BK__PCI_PM_PMCSR_STATE)
		return false;
	return config->bytes[BK__PCI_COMMAND] &
	       (bar->kind == SIM_IO ? BK__PCI_COMMAND_IO : BK__PCI_COMMAND_MEMORY);
}

bool bk__sim_config_intx_disabled(const struct sim *sim)
{
	return sim->config.bytes[BK__PCI_COMMAND + 1] & BK__PCI_COMMAND_INTX_DISABLE >> 8;
}
