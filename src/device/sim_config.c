/* SPDX-License-Identifier: BSD-2-Clause */
/* A sim's config space: the header's registers, and what writing them does (PCI 3.0 6, PCIe 7.5, PM 3.2). */
#include <string.h>

#include "base/bytes.h"
#include "device/sim_parts.h"

enum {
	COMMAND = 0x04,
	COMMAND_IO = 1,
	COMMAND_MEM = 2,
	COMMAND_INTX_DISABLE = 1 << 10,
	STATUS = 0x06,
	STATUS_INTX = 1 << 3,
	STATUS_CAPABILITIES = 1 << 4,
	BARS = 0x10,
	ROM_BAR = 0x30,
	CAPABILITIES = 0x34,
	PM_CONTROL = 4, /* of the capability, as the next two */
	EXPRESS_CONTROL = 8,
	AF_CONTROL = 4,
};

static void put(uint8_t *bytes, unsigned offset, uint64_t value, unsigned width)
{
	bk__store(bytes + offset, width, value);
}

static uint64_t align_up(uint64_t value, uint64_t size)
{
	return (value + size - 1) & ~(size - 1);
}

/* What the register can say of a size: an odd one is rounded up. */
static uint64_t register_size(const struct sim_bar *bar)
{
	uint64_t size = bar->kind == SIM_IO ? 4 : 16;

	while (size < bar->size)
		size <<= 1;
	return size;
}

/*
 * Where the host has put a BAR: never 0 and naturally aligned, as a guest that
 * gets to see it must be able to tell it from its own. They need not be
 * disjoint, as nothing decodes them.
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
	unsigned width = bar->kind == SIM_MEM64 ? 8 : 4, offset = BARS + 4 * index;
	uint64_t type =
		bar->kind == SIM_IO ? 1 : (bar->kind == SIM_MEM64 ? 4 : 0) | (bar->prefetchable ? 8 : 0);

	put(sim->config.reset, offset, bar->address | type, width);
	put(sim->config.write, offset, ~(register_size(bar) - 1), width);
}

void bk__sim_config_build(struct sim *sim)
{
	uint8_t *reset = sim->config.reset, *write = sim->config.write;
	uint16_t command = 0;

	put(reset, 0x00, sim->vendor, 2);
	put(reset, 0x02, sim->id, 2);
	put(write, COMMAND, 0x0547, 2);
	put(sim->config.clear, STATUS, 0xf900, 2);
	put(reset, 0x08, sim->revision, 1);
	put(reset, 0x09, sim->class_code, 3);
	put(write, 0x0c, 0xff, 1); /* cache line size */
	put(reset, 0x2c, sim->subsystem_vendor, 2);
	put(reset, 0x2e, sim->subsystem, 2);
	put(write, 0x3c, 0xff, 1); /* interrupt line */
	put(reset, 0x3c, sim->pin ? 0x0b : 0xff, 1);
	put(reset, 0x3d, sim->pin, 1);
	if (reset[CAPABILITIES])
		put(reset, STATUS, STATUS_CAPABILITIES, 2);
	assign(sim);
	for (unsigned i = 0; i < 6; i++) {
		if (!sim->bars[i].size)
			continue;
		build_bar(sim, i);
		command |= sim->bars[i].kind == SIM_IO ? COMMAND_IO : COMMAND_MEM;
	}
	if (sim->rom_size) {
		put(reset, ROM_BAR, 0xf0000000, 4);
		put(write, ROM_BAR, ~(sim->rom_size - 1) | 1, 4);
	}
	/* The host enables decoding before it gives a device away, and puts its addresses back after a reset.
	 */
	put(reset, COMMAND, command, 2);
}

void bk__sim_config_reset(struct sim *sim)
{
	memcpy(sim->config.bytes, sim->config.reset, sim->config.size);
	memcpy(sim->config.shown, sim->config.reset, sizeof(sim->config.shown));
}

static uint8_t *byte_at(struct sim *sim, unsigned offset, bool raw)
{
	bool bar = (offset >= BARS && offset < BARS + 24) || (offset >= ROM_BAR && offset < ROM_BAR + 4);

	return bar && !raw ? &sim->config.shown[offset] : &sim->config.bytes[offset];
}

void bk__sim_config_read(struct sim *sim, unsigned offset, uint8_t *data, unsigned count, bool raw)
{
	for (unsigned i = 0; i < count; i++) {
		data[i] = *byte_at(sim, offset + i, raw);
		if (offset + i == STATUS && sim->pin && sim->pending)
			data[i] |= STATUS_INTX;
	}
}

/* Takes a self-clearing bit back. */
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
	unsigned power = config->pm ? config->bytes[config->pm + PM_CONTROL] & 3 : 0;
	bool reset;

	for (unsigned i = 0; i < count; i++) {
		uint8_t *byte = byte_at(sim, offset + i, raw), write = config->write[offset + i];

		*byte = (uint8_t)((*byte & ~write) | (data[i] & write));
		*byte &= (uint8_t) ~(data[i] & config->clear[offset + i]);
	}
	reset = take(sim, config->express, EXPRESS_CONTROL + 1, 0x80);
	reset |= take(sim, config->af, AF_CONTROL, 1);
	if (power == 3 && config->soft_reset && !(config->bytes[config->pm + PM_CONTROL] & 3))
		reset = true;
	return reset;
}

bool bk__sim_config_decodes(const struct sim *sim, const struct sim_bar *bar)
{
	const struct sim_config *config = &sim->config;

	if (config->pm && config->bytes[config->pm + PM_CONTROL] & 3)
		return false;
	return config->bytes[COMMAND] & (bar->kind == SIM_IO ? COMMAND_IO : COMMAND_MEM);
}

bool bk__sim_config_intx_disabled(const struct sim *sim)
{
	return sim->config.bytes[COMMAND + 1] & COMMAND_INTX_DISABLE >> 8;
}
