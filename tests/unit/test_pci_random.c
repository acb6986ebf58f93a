/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random config writes of any width at any offset of functions that overlap,
 * come and go. After each, all registers and the whole map are compared with
 * those of a reference that knows nothing of pci/: bytes as written, and for
 * each address a search through all BARs.
 */
#include "pci_world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { FUNCTIONS = 5, STEPS = 20000, PM = 0x40, EXPRESS = 0x60 };

struct reference {
	const struct bk_pci_function_desc *desc;
	bool attached, keeps; /* keeps: No_Soft_Reset */
	uint8_t bytes[256];   /* command, BARs, ROM, power state: as written; the rest unused */
};

static const struct bk_pci_function_desc descs[FUNCTIONS] = {
	{ .bars = { MEM32_BAR(0x1000),
		    IO_BAR(0x20),
		    MEM64_BAR(0x4000),
		    { 0 },
		    MEM64_BAR(UINT64_C(1) << 33) } },
	{ .bars = { MEM64_BAR(0x10000), { 0 }, MEM64_BAR(0x100), { 0 }, IO_BAR(4), MEM32_BAR(16) },
	  .rom = MEM32_BAR(0x800) },
	{ .bars = { IO_BAR(0x100), MEM32_BAR(UINT64_C(1) << 30), MEM32_BAR(0x100000) },
	  .rom = MEM32_BAR(0x10000) },
	{ .bars = { [4] = MEM64_BAR(UINT64_C(1) << 62) } },
	{ .bars = { MEM32_BAR(0x1000), MEM32_BAR(0x1000), MEM32_BAR(0x1000), MEM32_BAR(0x1000), IO_BAR(8),
		    IO_BAR(8) } },
};
static const uint8_t devfns[FUNCTIONS] = { BK_PCI_DEVFN(4, 0), BK_PCI_DEVFN(1, 0), BK_PCI_DEVFN(1, 3),
					   BK_PCI_DEVFN(31, 7), BK_PCI_DEVFN(2, 0) };

static uint64_t seed;

static uint32_t dice(uint32_t sides)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t)(seed >> 33) % sides;
}

/* ---- The reference ----------------------------------------------------- */

static uint32_t raw(const struct reference *reference, unsigned offset)
{
	const uint8_t *at = reference->bytes + offset;

	return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static const struct bk_pci_bar *bar_of(const struct reference *reference, unsigned index)
{
	return index == BK_PCI_ROM ? &reference->desc->rom : &reference->desc->bars[index];
}

static unsigned register_of(unsigned index)
{
	return index == BK_PCI_ROM ? ROM_BAR : BAR(index);
}

static bool where(const struct reference *reference, unsigned index, uint64_t *first)
{
	const struct bk_pci_bar *bar = bar_of(reference, index);
	uint32_t low = raw(reference, register_of(index)), high = 0, command = raw(reference, 4);
	bool io = bar->kind == BK_PCI_BAR_IO, wide = bar->kind == BK_PCI_BAR_MEM64, rom = index == BK_PCI_ROM;

	if (!reference->attached || bar->kind == BK_PCI_BAR_NONE)
		return false;
	if (wide)
		high = raw(reference, register_of(index) + 4);
	if (!(command & (io ? 1 : 2)) || reference->bytes[PM + 4] || (rom && !(low & 1)))
		return false;
	if ((low | (rom ? 0x7ff : io ? 3 : 15)) == 0xffffffff || high == 0xffffffff)
		return false;
	*first = ((uint64_t)high << 32 | low) / bar->size * bar->size;
	return *first != 0;
}

static uint8_t owner(const struct reference *all, bool io, uint64_t address)
{
	unsigned best = UINT32_MAX;
	uint8_t who = NOBODY;

	if (io && (address < IO_WINDOW || address > 0xffff))
		return NOBODY;
	if (!io && address < WINDOW_FIRST)
		return RAM;
	if (!io && address >= IOAPIC && address < IOAPIC + 0x1000)
		return CHIP;
	for (unsigned f = 0; f < FUNCTIONS; f++) {
		for (unsigned i = 0; i <= BK_PCI_ROM; i++) {
			const struct bk_pci_bar *bar = bar_of(&all[f], i);
			uint64_t first;

			if (!where(&all[f], i, &first) || (bar->kind == BK_PCI_BAR_IO) != io ||
			    address < first || address - first >= bar->size || devfns[f] * 8u + i >= best)
				continue;
			best = devfns[f] * 8u + i;
			who = WHO(f, i);
		}
	}
	return who;
}

static void reset(struct reference *reference)
{
	memset(reference->bytes, 0, sizeof(reference->bytes));
}

static void write_reference(struct reference *reference, unsigned offset, unsigned width, uint64_t value)
{
	bool flr = false, woke = false;

	for (unsigned i = offset; i < offset + width; i++, value >>= 8) {
		uint8_t byte = (uint8_t)value, *at = &reference->bytes[i];

		if (i == 4)
			*at = byte & 0x47;
		else if (i == 5)
			*at = byte & 0x05;
		else if ((i >= 0x10 && i < 0x28) || (i >= ROM_BAR && i < ROM_BAR + 4))
			*at = byte;
		else if (i == PM + 4 && (byte & 3) != 1 && (byte & 3) != 2) { /* no D1, no D2 */
			woke = *at == 3 && !(byte & 3) && !reference->keeps;
			*at = byte & 3;
		} else if (i == EXPRESS + 9)
			flr = byte & 0x80;
	}
	if (flr || woke)
		reset(reference);
}

static uint32_t shown(const struct reference *reference, unsigned index)
{
	const struct bk_pci_bar *bar = bar_of(reference, index);
	uint32_t value = raw(reference, register_of(index));
	uint64_t mask;

	if (bar->kind == BK_PCI_BAR_NONE) { /* the upper half, or nothing */
		bar = index && index < BK_PCI_ROM ? bar_of(reference, index - 1) : bar;
		mask = bar->kind == BK_PCI_BAR_MEM64 ? ~(bar->size - 1) >> 32 : 0;
		return value & (uint32_t)mask;
	}
	mask = ~(bar->size - 1);
	if (index == BK_PCI_ROM)
		return value & (uint32_t)(mask | 1);
	return (value & (uint32_t)mask) | (bar->kind == BK_PCI_BAR_IO      ? 1
					   : bar->kind == BK_PCI_BAR_MEM64 ? 4
									   : 0);
}

/* ---- Comparing --------------------------------------------------------- */

struct edges {
	uint64_t at[1024];
	unsigned count;
};

static bool add_flat(void *opaque, const struct bk_flat *flat)
{
	struct edges *edges = opaque;

	assert_true(edges->count + 2 <= 1024);
	edges->at[edges->count++] = flat->first;
	edges->at[edges->count++] = flat->last + 1;
	return true;
}

/* Between neighbouring edges, of the view and of the reference, nothing changes. */
static void compare_space(struct world *world, const struct reference *all, bool io, unsigned step)
{
	struct edges edges = { { 0 }, 0 };

	for (unsigned f = 0; f < FUNCTIONS; f++) {
		for (unsigned i = 0; i <= BK_PCI_ROM; i++) {
			uint64_t first;

			if (where(&all[f], i, &first) && (bar_of(&all[f], i)->kind == BK_PCI_BAR_IO) == io) {
				edges.at[edges.count++] = first;
				edges.at[edges.count++] = first + bar_of(&all[f], i)->size;
			}
		}
	}
	bk_space_visit(io ? world->ports : world->memory, io ? IO_WINDOW : 0, io ? 0xffff : UINT64_MAX,
		       add_flat, &edges);
	for (unsigned i = 0; i < edges.count; i++) {
		for (unsigned below = 0; below < 2; below++) {
			uint64_t address = edges.at[i] - below;
			uint8_t is, want;

			if (io ? address > 0xffff || (address >= 0xcf8 && address <= 0xcff)
			       : address >= ECAM && address < ECAM + 0x10000000)
				continue;
			is = io ? port_byte(world, address) : memory_byte(world, address);
			want = owner(all, io, address);
			if (is != want)
				fail_msg("step %u: %s %#" PRIx64 " is %#x, should be %#x", step,
					 io ? "port" : "memory", address, is, want);
		}
	}
}

static void compare(struct world *world, const struct reference *all, unsigned step)
{
	for (unsigned f = 0; f < FUNCTIONS; f++) {
		if (!all[f].attached) {
			assert_config(world, devfns[f], 0, 4, 0xffffffff);
			continue;
		}
		assert_config(world, devfns[f], 4, 2, raw(&all[f], 4) & 0xffff);
		for (unsigned i = 0; i <= BK_PCI_ROM; i++)
			assert_config(world, devfns[f], register_of(i), 4, shown(&all[f], i));
	}
	compare_space(world, all, false, step);
	compare_space(world, all, true, step);
}

/* ---- The dice ---------------------------------------------------------- */

static uint64_t some_value(void)
{
	static const uint64_t favourites[] = {
		0,          UINT64_MAX, 0xffffffff, 0xfffffff0, 0x90000000, 0x90001000,
		0x90004000, 0x00001001, 0xffff0000, 1,          0xc0000000, 0x2000,
		0x2010,     0xfec00000, 0xe0000000, 0x40000000,
	};

	if (dice(4))
		return favourites[dice(16)];
	return (uint64_t)dice(UINT32_MAX) << 32 ^ (uint64_t)dice(UINT32_MAX) << 8 ^ dice(256);
}

static void write_both(struct world *world, struct reference *all, unsigned f, unsigned offset,
		       unsigned width, uint64_t value)
{
	if (dice(4) || (offset & 3) + width > 4) {
		config_write(world, devfns[f], offset, width, value);
	} else {
		bk_space_write(world->ports, 0xcf8, 4,
			       0x80000000 | (uint32_t)devfns[f] << 8 | (offset & ~3u));
		bk_space_write(world->ports, 0xcfc + (offset & 3), width, value);
	}
	if (all[f].attached)
		write_reference(&all[f], offset, width, value);
}

static void any_writes_give_the_map_of_their_registers(void **state)
{
	struct world *world = world_create(NULL);
	static const uint8_t express[60] = { [2] = 2, [7] = 0x10 };
	struct reference all[FUNCTIONS] = { 0 };
	struct part parts[FUNCTIONS];

	seed = 1;
	for (unsigned f = 0; f < FUNCTIONS; f++) {
		part_create(world, &parts[f], f, descs[f]);
		all[f].desc = &descs[f];
		all[f].keeps = f % 2;
		assert_int_equal(bk_pci_pm_add(parts[f].function, PM, 3, all[f].keeps), PM);
		assert_int_equal(bk_pci_express_add(parts[f].function, EXPRESS, express, 60), EXPRESS);
		part_attach(world, &parts[f], devfns[f]);
		all[f].attached = true;
	}
	for (unsigned step = 0; step < STEPS; step++) {
		unsigned f = dice(FUNCTIONS), what = dice(100);

		if (what < 50) {
			write_both(world, all, f, BAR(dice(6)), 4, some_value());
		} else if (what < 70) {
			write_both(world, all, f, 4, 1 + dice(2), dice(4) ? 7 : dice(8));
		} else if (what < 80) {
			unsigned width = dice(8) + 1;

			write_both(world, all, f, dice(0x40 - width), width, some_value());
		} else if (what < 85) {
			write_both(world, all, f, ROM_BAR + dice(2), 1 + dice(4), some_value() | 1);
		} else if (what < 95) {
			write_both(world, all, f, PM + 4, 1, dice(3) ? 0 : dice(4));
		} else if (what < 97) {
			write_both(world, all, f, dice(250), 1 + dice(4), some_value());
		} else if (what < 98) {
			write_both(world, all, f, EXPRESS + 8, 2, 0x8000);
		} else if (what < 99) {
			bk_pci_function_reset(parts[f].function);
			reset(&all[f]);
		} else if (all[f].attached) {
			bk_pci_function_detach(parts[f].function);
			all[f].attached = false;
		} else {
			part_attach(world, &parts[f], devfns[f]);
			all[f].attached = true;
		}
		if (all[f].attached || step % 16 == 0)
			compare(world, all, step);
	}
	for (unsigned f = 0; f < FUNCTIONS; f++)
		part_destroy(&parts[f]);
	world_destroy(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_writes_give_the_map_of_their_registers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
