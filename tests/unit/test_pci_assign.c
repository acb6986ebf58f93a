/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses given as firmware would, and the set of ranges they come from. */
#include "pci_world.h"

#include <stdio.h>
#include <stdlib.h>

#include "pci/ranges.h"

/* ---- Ranges ------------------------------------------------------------ */

static void assert_ranges(const struct bk__pci_ranges *ranges, size_t count, ...)
{
	va_list args;

	va_start(args, count);
	assert_int_equal(ranges->count, count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(ranges->at[i].first, va_arg(args, uint64_t));
		assert_int_equal(ranges->at[i].last, va_arg(args, uint64_t));
	}
	va_end(args);
}

#define U(x) ((uint64_t)(x))

static void ranges_join_and_split(void **state)
{
	struct bk__pci_ranges ranges = { 0 };
	uint64_t first;

	assert_int_equal(bk__pci_ranges_add(&ranges, 0x100, 0x1ff), 0);
	assert_int_equal(bk__pci_ranges_add(&ranges, 0x300, 0x3ff), 0);
	assert_ranges(&ranges, 2, U(0x100), U(0x1ff), U(0x300), U(0x3ff));
	assert_int_equal(bk__pci_ranges_add(&ranges, 0x200, 0x27f), 0);
	assert_ranges(&ranges, 2, U(0x100), U(0x27f), U(0x300), U(0x3ff));
	assert_int_equal(bk__pci_ranges_add(&ranges, 0x280, 0x2ff), 0);
	assert_ranges(&ranges, 1, U(0x100), U(0x3ff));
	assert_int_equal(bk__pci_ranges_add(&ranges, UINT64_MAX, UINT64_MAX), 0);
	assert_int_equal(bk__pci_ranges_add(&ranges, 0, 0), 0);
	assert_ranges(&ranges, 3, U(0), U(0), U(0x100), U(0x3ff), UINT64_MAX, UINT64_MAX);
	assert_int_equal(bk__pci_ranges_remove(&ranges, 0x180, 0x1ff), 0);
	assert_int_equal(bk__pci_ranges_remove(&ranges, 0x80, 0x10f), 0);
	assert_ranges(&ranges, 4, U(0), U(0), U(0x110), U(0x17f), U(0x200), U(0x3ff), UINT64_MAX, UINT64_MAX);
	assert_true(bk__pci_ranges_find(&ranges, 0x100, 0x100, 0, UINT64_MAX, &first));
	assert_int_equal(first, 0x200);
	assert_true(bk__pci_ranges_find(&ranges, 0x10, 0x10, 0x210, UINT64_MAX, &first));
	assert_int_equal(first, 0x210);
	assert_true(bk__pci_ranges_find(&ranges, 0x40, 0x40, 0, UINT64_MAX, &first));
	assert_int_equal(first, 0x140);
	assert_false(bk__pci_ranges_find(&ranges, 0x200, 0x200, 0, 0x3fe, &first));
	assert_false(bk__pci_ranges_find(&ranges, 0x400, 0x400, 0, UINT64_MAX, &first));
	assert_int_equal(bk__pci_ranges_longest(&ranges, 0, UINT64_MAX), 0x200);
	assert_int_equal(bk__pci_ranges_longest(&ranges, 0, 0x1ff), 0x70);
	assert_int_equal(bk__pci_ranges_remove(&ranges, 1, UINT64_MAX), 0);
	assert_ranges(&ranges, 1, U(0), U(0));
	assert_int_equal(bk__pci_ranges_remove(&ranges, 0, 0), 0);
	assert_ranges(&ranges, 0);
	assert_int_equal(bk__pci_ranges_longest(&ranges, 0, UINT64_MAX), 0);
	assert_int_equal(bk__pci_ranges_add(&ranges, 0, UINT64_MAX), 0);
	assert_int_equal(bk__pci_ranges_longest(&ranges, 0, UINT64_MAX), UINT64_MAX);
	assert_true(
		bk__pci_ranges_find(&ranges, UINT64_C(1) << 63, UINT64_C(1) << 63, 1, UINT64_MAX, &first));
	assert_true(first == UINT64_C(1) << 63);
	bk__pci_ranges_free(&ranges);
}

static void ranges_agree_with_a_bitmap(void **state)
{
	struct bk__pci_ranges ranges = { 0 };
	uint8_t map[256] = { 0 };

	srand(1);
	for (unsigned round = 0; round < 20000; round++) {
		unsigned first = (unsigned)rand() % 256, last = first + (unsigned)rand() % (256 - first);
		bool add = rand() % 2;
		size_t at = 0;

		assert_int_equal(add ? bk__pci_ranges_add(&ranges, first, last)
				     : bk__pci_ranges_remove(&ranges, first, last),
				 0);
		memset(map + first, add, last - first + 1);
		for (unsigned i = 0; i < 256; i++) {
			if (!map[i])
				continue;
			assert_true(at < ranges.count);
			assert_int_equal(ranges.at[at].first, i);
			while (i < 255 && map[i + 1])
				i++;
			assert_int_equal(ranges.at[at++].last, i);
		}
		assert_int_equal(at, ranges.count);
	}
	bk__pci_ranges_free(&ranges);
}

/* ---- Assignment -------------------------------------------------------- */

static int setup(void **state)
{
	*state = world_create(NULL);
	return 0;
}

static int teardown(void **state)
{
	world_destroy(*state);
	return 0;
}

static char lines[4096];

static void keep_line(void *opaque, const char *line)
{
	strncat(lines, line, sizeof(lines) - strlen(lines) - 2);
	strcat(lines, "\n");
}

static struct bk_pci_bar_state at(struct part *part, unsigned bar)
{
	struct bk_pci_bar_state state = { .struct_size = sizeof(state) };

	assert_int_equal(bk_pci_function_bar(part->function, bar, &state), 0);
	return state;
}

static void everything_gets_an_address(void **state)
{
	struct world *world = *state;
	struct bk_pci_function_desc desc = {
		.bars = { MEM32_BAR(0x10),
			  IO_BAR(0x20),
			  MEM64_BAR(0x400000),
			  { 0 },
			  MEM64_BAR(0x1000),
			  { 0 } },
		.rom = MEM32_BAR(0x10000),
	};
	struct part parts[12];

	desc.bars[2].prefetchable = true;
	for (unsigned i = 0; i < 12; i++) {
		part_create(world, &parts[i], i + 1, desc);
		part_attach(world, &parts[i], (uint8_t)(i * 5));
	}
	for (unsigned again = 0; again < 2; again++) { /* the same, whatever was there */
		assert_int_equal(assign(world->host, 0x1000, keep_line, NULL), 0);
		for (unsigned i = 0; i < 12; i++) {
			assert_config(world, parts[i].devfn, 4, 2, 3);
			for (unsigned bar = 0; bar < 5; bar++) {
				struct bk_pci_bar_state is = { .struct_size = sizeof(is) };

				if (bar == 3)
					continue;
				is = at(&parts[i], bar);
				assert_true(is.decodes);
				assert_int_equal(is.address % is.size, 0);
				assert_true(bar == 2 ? is.address >= WIDE_FIRST : is.address < WIDE_FIRST);
				if (bar == 1) {
					assert_port(world, is.address, WHO(i + 1, 1));
					assert_port(world, is.address + 0x1f, WHO(i + 1, 1));
					continue;
				}
				assert_int_equal(is.address % 0x1000, 0);
				assert_memory(world, is.address, WHO(i + 1, bar));
				assert_memory(world, is.address + is.size - 1, WHO(i + 1, bar));
				for (uint64_t a = (is.address + is.size + 15) & ~15u; a & 0xfff; a += 16)
					assert_memory(world, a, NOBODY);
			}
			assert_false(at(&parts[i], BK_PCI_ROM).decodes);
			assert_int_not_equal(at(&parts[i], BK_PCI_ROM).address, 0);
			config_write(world, parts[i].devfn, ROM_BAR, 1, 1);
			assert_memory(world, at(&parts[i], BK_PCI_ROM).address + 0xffff,
				      WHO(i + 1, BK_PCI_ROM));
		}
	}
	for (unsigned i = 0; i < 12; i++)
		part_destroy(&parts[i]);
}

static void tune_narrow(struct bk_pci_host_desc *desc)
{
	/* 1 MiB, as the bus sees it from 16 MiB on; 64 ports. */
	WINDOWS(desc)[0].last = WINDOWS(desc)[0].first + 0xfffff;
	WINDOWS(desc)[0].bus_first = 0x1000000;
	WINDOWS(desc)[1] = WINDOWS(desc)[2];
	WINDOWS(desc)[1].last = WINDOWS(desc)[1].first + 63;
	desc->window_count = 2;
}

static void what_does_not_fit_is_reported_and_stays_at_0(void **state)
{
	struct world *world = world_create(tune_narrow);
	struct part a, b, c, d;

	lines[0] = 0;
	part_create(world, &a, 1,
		    (struct bk_pci_function_desc){ .bars = { MEM32_BAR(0x80000), IO_BAR(32) } });
	part_create(world, &b, 2,
		    (struct bk_pci_function_desc){ .bars = { MEM64_BAR(0x100000), { 0 }, IO_BAR(32) } });
	part_create(world, &c, 3,
		    (struct bk_pci_function_desc){ .bars = { MEM64_BAR(0x10), { 0 }, IO_BAR(32) } });
	part_create(world, &d, 4,
		    (struct bk_pci_function_desc){ .name = "card", .rom = MEM32_BAR(0x800000) });
	part_attach(world, &a, BK_PCI_DEVFN(1, 0));
	part_attach(world, &b, BK_PCI_DEVFN(2, 0));
	part_attach(world, &c, BK_PCI_DEVFN(3, 0));
	part_attach(world, &d, BK_PCI_DEVFN(4, 2));
	assert_int_equal(assign(world->host, 0x1000, keep_line, NULL), 4);
	assert_string_equal(
		lines,
		"00:04.2 card: ROM does not fit: needs 0x800000 bytes, the longest free "
		"range has "
		"0x100000\n"
		"00:01.0 f1: BAR 0 (32-bit memory) does not fit: needs 0x80000 bytes, the longest free "
		"range has 0\n"
		"00:03.0 f3: BAR 0 (64-bit memory) does not fit: needs 0x1000 bytes, the longest free "
		"range has 0\n"
		"00:03.0 f3: BAR 2 (I/O) does not fit: needs 0x20 bytes, the longest free range has 0\n");
	assert_int_equal(at(&b, 0).address, 0x1000000);
	assert_memory(world, WINDOW_FIRST + 0xfffff, WHO(2, 0));
	part_destroy(&d);
	part_destroy(&b);
	lines[0] = 0;
	assert_int_equal(assign(world->host, 0x1000, keep_line, NULL), 0);
	assert_string_equal(lines, "");
	assert_config(world, a.devfn, 4, 2, 3);
	assert_config(world, c.devfn, 4, 2, 3);
	assert_int_equal(at(&a, 0).address, 0x1000000);
	assert_int_equal(at(&c, 0).address, 0x1080000);
	assert_memory(world, WINDOW_FIRST + 0x80000, WHO(3, 0));
	part_create(world, &d, 4, (struct bk_pci_function_desc){ .bars = { IO_BAR(16), MEM32_BAR(0x10) } });
	part_attach(world, &d, BK_PCI_DEVFN(4, 2));
	assert_int_equal(assign(world->host, 0, NULL, NULL), 1);
	assert_config(world, d.devfn, 4, 2, 0); /* one of two: it stays off */
	assert_int_equal(at(&d, 0).address, 0);
	assert_int_not_equal(at(&d, 1).address, 0);
	part_destroy(&a);
	part_destroy(&c);
	part_destroy(&d);
	world_destroy(world);
}

static void nothing_is_put_where_others_answer(void **state)
{
	struct world *world = *state;
	struct part parts[20];

	/* The window of 2 GiB has ECAM and an IOAPIC in it; what fits lies around them. */
	for (unsigned i = 0; i < 20; i++) {
		part_create(world, &parts[i], i + 1,
			    (struct bk_pci_function_desc){ .bars = { MEM32_BAR(0x8000000) } });
		part_attach(world, &parts[i], BK_PCI_DEVFN(i + 1, 0));
	}
	/* 0x80000000-0xdfffffff are 12, 0xf0000000 one, 0xf8000000 holds the IOAPIC. */
	assert_int_equal(assign(world->host, 0x1000, NULL, NULL), 7);
	for (unsigned i = 0; i < 13; i++) {
		uint64_t address = at(&parts[i], 0).address;

		assert_int_equal(address, i < 12 ? 0x80000000 + i * UINT64_C(0x8000000) : 0xf0000000);
		assert_memory(world, address + 0x7ffffff, WHO(i + 1, 0));
	}
	for (unsigned i = 0; i < 20; i++)
		part_destroy(&parts[i]);
}

/* ---- Bridges ----------------------------------------------------------- */

static void attach_below(struct part *bridge, struct part *part, uint8_t devfn)
{
	part->devfn = devfn;
	assert_int_equal(bk_pci_function_attach(part->function, bk_pci_bridge_bus(bridge->function), devfn),
			 0);
}

/* Each BAR that should answers where it says, through all the bridges. */
static void assert_reached(struct world *world, struct part *part, const struct bk_pci_function_desc *desc)
{
	for (unsigned bar = 0; bar < BK_PCI_BARS; bar++) {
		struct bk_pci_bar_state is = { .struct_size = sizeof(is) };

		if (desc->bars[bar].kind == BK_PCI_BAR_NONE)
			continue;
		is = at(part, bar);
		assert_true(is.decodes);
		if (desc->bars[bar].kind == BK_PCI_BAR_IO) {
			assert_port(world, is.address, WHO(part->id, bar));
			assert_port(world, is.address + is.size - 1, WHO(part->id, bar));
		} else {
			assert_memory(world, is.address, WHO(part->id, bar));
			assert_memory(world, is.address + is.size - 1, WHO(part->id, bar));
		}
	}
}

static void everything_behind_bridges_is_reached(void **state)
{
	struct world *world = *state;
	struct bk_pci_function_desc desc = {
		.bars = { MEM32_BAR(0x10),
			  IO_BAR(0x100),
			  MEM64_BAR(0x4000000),
			  { 0 },
			  MEM64_BAR(0x200000),
			  { 0 } },
		.rom = MEM32_BAR(0x10000),
	};
	struct bk_pci_function_desc small = { .bars = { MEM32_BAR(0x1000), IO_BAR(4) } };
	struct bk_pci_function_desc with_bar = { .bars = { MEM32_BAR(0x1000) } };
	struct part bridges[4], parts[5];

	desc.bars[2].prefetchable = true;
	for (unsigned i = 0; i < 4; i++)
		part_create_in(world, &bridges[i], i + 1,
			       i == 1 ? with_bar : (struct bk_pci_function_desc){ 0 }, true);
	for (unsigned i = 0; i < 5; i++)
		part_create(world, &parts[i], i + 11, i < 3 ? desc : small);
	/* 0, 2 and 3 in a chain; 1 alone; a part below each, and one on the host's bus. */
	part_attach(world, &bridges[0], BK_PCI_DEVFN(2, 0));
	part_attach(world, &bridges[1], BK_PCI_DEVFN(2, 1));
	attach_below(&bridges[0], &bridges[2], BK_PCI_DEVFN(1, 0));
	attach_below(&bridges[2], &bridges[3], BK_PCI_DEVFN(0, 0));
	for (unsigned i = 0; i < 4; i++)
		attach_below(&bridges[i], &parts[i], BK_PCI_DEVFN(4, 0));
	part_attach(world, &parts[4], BK_PCI_DEVFN(1, 0));
	lines[0] = 0;
	for (unsigned again = 0; again < 2; again++) {
		assert_int_equal(assign(world->host, 0x1000, keep_line, NULL), 0);
		assert_string_equal(lines, "");
		for (unsigned i = 0; i < 5; i++)
			assert_reached(world, &parts[i], i < 3 ? &desc : &small);
		assert_reached(world, &bridges[1], &with_bar);
		assert_true(at(&parts[2], 2).address >= WIDE_FIRST);
		assert_true(at(&parts[2], 4).address < WIDE_FIRST);
		/* primary, secondary, subordinate: depth first */
		assert_config(world, BK_PCI_DEVFN(2, 0), 0x18, 4, 0x030100);
		assert_config(world, BK_PCI_DEVFN(2, 1), 0x18, 4, 0x040400);
		bk_pci_function_write(parts[0].function, BAR(0), 4, 0xdeadbee0);
	}
	/* Nothing below 0: its window stays closed. */
	bk_pci_function_detach(parts[3].function);
	assert_int_equal(assign(world->host, 0x1000, keep_line, NULL), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_reached(world, &parts[i], &desc);
	bk_pci_function_detach(bridges[0].function);
	for (unsigned i = 0; i < 5; i++)
		part_destroy(&parts[i]);
	for (unsigned i = 4; i--;)
		part_destroy(&bridges[i]);
}

static void tune_small(struct bk_pci_host_desc *desc)
{
	WINDOWS(desc)[0].last = WINDOWS(desc)[0].first + 0x3fffff; /* 4 MiB */
	WINDOWS(desc)[1] = WINDOWS(desc)[2];
	desc->window_count = 2;
	desc->bus_last = 2;
}

static void behind_bridges_what_fits_gets_an_address(void **state)
{
	struct world *world = world_create(tune_small);
	struct bk_pci_function_desc large = { .bars = { MEM32_BAR(0x400000), MEM64_BAR(UINT64_C(1) << 40) } };
	struct bk_pci_function_desc small = { .bars = { MEM32_BAR(0x100000) } };
	struct part bridges[3], parts[3];

	for (unsigned i = 0; i < 3; i++) {
		part_create_in(world, &bridges[i], i + 1, (struct bk_pci_function_desc){ 0 }, true);
		part_create(world, &parts[i], i + 11, i ? small : large);
		part_attach(world, &bridges[i], BK_PCI_DEVFN(i + 1, 0));
	}
	attach_below(&bridges[0], &parts[0], 0);
	attach_below(&bridges[0], &parts[1], 8);
	attach_below(&bridges[2], &parts[2], 0);
	lines[0] = 0;
	assert_int_equal(assign(world->host, 0x1000, keep_line, NULL), 3);
	assert_string_equal(
		lines,
		"00:03.0 f3: no bus number is left for the bus below: the last is 2\n"
		"01:00.0 f11: BAR 1 (64-bit memory) does not fit: needs 0x10000000000 bytes, the longest "
		"free range has 0x100000\n"
		"01:00.0 f11: BAR 0 (32-bit memory) does not fit: needs 0x400000 bytes, the longest free "
		"range has 0x100000\n"
		"00:00.0 f13: BAR 0 (32-bit memory) does not fit: needs 0x100000 bytes, the longest free "
		"range has 0\n");
	assert_reached(world, &parts[1], &small);
	for (unsigned i = 0; i < 3; i++)
		part_destroy(&parts[i]);
	for (unsigned i = 0; i < 3; i++)
		part_destroy(&bridges[i]);
	world_destroy(world);
}

/* Random trees: whatever has an address answers there, nobody else does, and most have one. */
static void random_trees_are_reached(void **state)
{
	srand(11);
	for (unsigned round = 0; round < 100; round++) {
		struct world *world = world_create(NULL);
		struct bk_pci_function_desc descs[14];
		struct part bridges[6], parts[14];
		unsigned failed = 0, bars = 0, placed = 0;

		for (unsigned i = 0; i < 6; i++) {
			int above = rand() % (int)(i + 1) - 1;

			part_create_in(world, &bridges[i], i, (struct bk_pci_function_desc){ 0 }, true);
			if (above < 0)
				part_attach(world, &bridges[i], (uint8_t)i);
			else
				attach_below(&bridges[above], &bridges[i], (uint8_t)i);
		}
		for (unsigned i = 0; i < 14; i++) {
			int above = rand() % 7 - 1;

			memset(&descs[i], 0, sizeof(descs[i]));
			for (unsigned bar = 0; bar < 6; bar++) {
				struct bk_pci_bar *b = &descs[i].bars[bar];

				b->kind = (enum bk_pci_bar_kind)(rand() % 4);
				if (b->kind == BK_PCI_BAR_MEM64 && bar == 5)
					b->kind = BK_PCI_BAR_NONE;
				b->size = b->kind == BK_PCI_BAR_IO ? UINT64_C(4) << rand() % 8
								   : UINT64_C(16) << rand() % 22;
				b->prefetchable = b->kind >= BK_PCI_BAR_MEM32 && rand() % 2;
				bars += b->kind != BK_PCI_BAR_NONE;
				bar += b->kind == BK_PCI_BAR_MEM64;
			}
			part_create(world, &parts[i], i + 10, descs[i]);
			if (above < 0)
				part_attach(world, &parts[i], (uint8_t)(i + 16));
			else
				attach_below(&bridges[above], &parts[i], (uint8_t)(i + 16));
		}
		failed = assign(world->host, 0x1000, NULL, NULL);
		for (unsigned i = 0; i < 14; i++) {
			bool all = true;

			for (unsigned bar = 0; bar < 6; bar++)
				if (descs[i].bars[bar].kind != BK_PCI_BAR_NONE && !at(&parts[i], bar).address)
					all = false;
				else if (descs[i].bars[bar].kind != BK_PCI_BAR_NONE)
					placed++;
			if (all)
				assert_reached(world, &parts[i], &descs[i]);
		}
		assert_int_equal(placed + failed, bars);
		assert_int_equal(failed, 0); /* there is room for all of it */
		for (unsigned i = 0; i < 14; i++)
			part_destroy(&parts[i]);
		for (unsigned i = 6; i--;)
			part_destroy(&bridges[i]);
		world_destroy(world);
	}
}

static void tune_legacy(struct bk_pci_host_desc *desc)
{
	/* Of old: below 1 MiB and 4 KiB of ports, and what crosses those. */
	WINDOWS(desc)
	[0] = (struct bk_pci_window){
		BK_PCI_WINDOW_MEMORY, WINDOWS(desc)[0].space, 0xa0000, 0xbffff, 0xa0000, 0
	};
	WINDOWS(desc)
	[1] = (struct bk_pci_window){ BK_PCI_WINDOW_MEMORY,
				      WINDOWS(desc)[0].space,
				      WINDOW_FIRST,
				      WINDOW_FIRST + 0x2fffff,
				      0xf0000,
				      0 };
	WINDOWS(desc)[2].first = WINDOWS(desc)[2].bus_first = 0x3b0;
	WINDOWS(desc)[2].last = 0x3df;
	WINDOWS(desc)
	[3] = (struct bk_pci_window){ BK_PCI_WINDOW_IO, WINDOWS(desc)[2].space, 0x800, 0x7fff, 0x800, 0 };
	desc->window_count = 4;
	desc->bus_last = 0;
}

static void windows_of_old_are_given_to_nobody(void **state)
{
	struct world *world = world_create(tune_legacy);
	struct part part, bridge, below;

	part_create(world, &part, 1,
		    (struct bk_pci_function_desc){ .bars = { MEM32_BAR(0x1000), IO_BAR(16) } });
	part_create_in(world, &bridge, 2, (struct bk_pci_function_desc){ 0 }, true);
	part_create(world, &below, 3, (struct bk_pci_function_desc){ .bars = { MEM32_BAR(0x1000) } });
	part_attach(world, &part, 8);
	part_attach(world, &bridge, 16);
	attach_below(&bridge, &below, 0);
	/* Nobody hears of what is left out: the bridge has no bus number. */
	assert_int_equal(assign(world->host, 0x1000, NULL, NULL), 1);
	assert_in_range(at(&part, 0).address, 0xf0000, 0x3effff);
	assert_in_range(at(&part, 1).address, 0x1000, 0x7fff);
	assert_false(at(&below, 0).decodes);
	/* No page is as long as that. */
	assert_int_equal(assign(world->host, UINT64_MAX, NULL, NULL), 2);
	assert_int_equal(at(&part, 0).address, 0);
	lines[0] = 0;
	assign(world->host, 0x1000, keep_line, NULL);
	assert_non_null(strstr(lines, "00:02.0 f2: no bus number is left for the bus below: the last is 0"));
	part_destroy(&below);
	part_destroy(&bridge);
	part_destroy(&part);
	world_destroy(world);
}

/* More than all addresses there are, behind a bridge. */
static void what_no_window_can_hold_is_left_out(void **state)
{
	const struct bk_pci_bar huge = { .kind = BK_PCI_BAR_MEM64,
					 .prefetchable = true,
					 .size = UINT64_C(1) << 61 };
	struct world *world = *state;
	struct part bridge, parts[3];

	part_create_in(world, &bridge, 4, (struct bk_pci_function_desc){ 0 }, true);
	part_attach(world, &bridge, 8);
	for (unsigned i = 0; i < 3; i++) {
		part_create(world, &parts[i], i + 1,
			    (struct bk_pci_function_desc){ .bars = { huge, { 0 }, huge, { 0 }, huge } });
		attach_below(&bridge, &parts[i], (uint8_t)i);
	}
	assert_in_range(assign(world->host, 0x1000, NULL, NULL), 1, 8);
	for (unsigned i = 0; i < 3; i++)
		part_destroy(&parts[i]);
	part_destroy(&bridge);
}

static void tune_low_ports(struct bk_pci_host_desc *desc)
{
	WINDOWS(desc)[2].first = WINDOWS(desc)[2].bus_first = 0x500;
	WINDOWS(desc)[2].last = 0xfff;
}

/* The fixed ports of a PC are left alone only where there are others. */
static void low_ports_are_given_where_there_are_no_others(void **state)
{
	struct world *world = world_create(tune_low_ports);
	struct part part;

	part_create(world, &part, 1, (struct bk_pci_function_desc){ .bars = { IO_BAR(0x100) } });
	part_attach(world, &part, 8);
	assert_int_equal(assign(world->host, 0x1000, keep_line, NULL), 0);
	assert_int_equal(at(&part, 0).address, 0x500);
	assert_port(world, 0x5ff, WHO(1, 0));
	part_destroy(&part);
	world_destroy(world);
}

static void tune_no_io(struct bk_pci_host_desc *desc)
{
	WINDOWS(desc)[0].last = WINDOWS(desc)[0].first + 0xfffff; /* 1 MiB */
	desc->window_count = 1;
}

/* A bridge lets others through even if nothing of its own has a place. */
static void a_bridge_whose_bars_do_not_fit_still_passes_on(void **state)
{
	struct world *world = world_create(tune_no_io);
	struct bk_pci_function_desc small = { .bars = { MEM32_BAR(0x1000) } };
	struct part bridge, part;

	part_create_in(world, &bridge, 1, (struct bk_pci_function_desc){ .bars = { IO_BAR(0x20) } }, true);
	part_create(world, &part, 2, small);
	part_attach(world, &bridge, 8);
	attach_below(&bridge, &part, 0);
	lines[0] = 0;
	assert_int_equal(assign(world->host, 0x1000, keep_line, NULL), 1);
	assert_string_equal(lines, "00:01.0 f1: BAR 0 (I/O) does not fit: needs 0x20 bytes, the longest free "
				   "range has 0\n");
	assert_config(world, 8, 4, 2, 2); /* memory for the window, no I/O for the BAR */
	assert_reached(world, &part, &small);
	part_destroy(&part);
	part_destroy(&bridge);
	world_destroy(world);
}

static void windows_without_a_place_are_reported(void **state)
{
	struct world *world = world_create(tune_no_io);
	struct part bridge, part, large;

	part_create(world, &large, 1, (struct bk_pci_function_desc){ .bars = { MEM32_BAR(0x100000) } });
	part_create_in(world, &bridge, 2, (struct bk_pci_function_desc){ 0 }, true);
	part_create(world, &part, 3,
		    (struct bk_pci_function_desc){ .bars = { MEM32_BAR(0x1000), IO_BAR(0x20) } });
	part_attach(world, &large, 8);
	part_attach(world, &bridge, 16);
	attach_below(&bridge, &part, 0);
	lines[0] = 0;
	assert_int_equal(assign(world->host, 0x1000, keep_line, NULL), 2);
	assert_string_equal(
		lines,
		"00:02.0 f2: memory window does not fit: needs 0x100000 bytes, the longest free range has 0\n"
		"00:02.0 f2: I/O window does not fit: needs 0x1000 bytes, the longest free range has 0\n"
		"01:00.0 f3: BAR 0 (32-bit memory) does not fit: needs 0x1000 bytes, the longest free range "
		"has 0\n"
		"01:00.0 f3: BAR 1 (I/O) does not fit: needs 0x20 bytes, the longest free range has 0\n");
	assert_config(world, 16, 4, 2, 0);
	part_destroy(&part);
	part_destroy(&bridge);
	part_destroy(&large);
	world_destroy(world);
}

/* The same size and slot: by function, then by BAR. */
static void equals_go_by_place(void **state)
{
	struct world *world = *state;
	struct part parts[3];

	for (unsigned i = 0; i < 3; i++) {
		part_create(
			world, &parts[i], i + 1,
			(struct bk_pci_function_desc){ .bars = { MEM32_BAR(0x1000), MEM32_BAR(0x1000) } });
		part_attach(world, &parts[i], (uint8_t)(10 - i));
	}
	assert_int_equal(assign(world->host, 0x1000, NULL, NULL), 0);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(at(&parts[2 - i / 2], i % 2).address, at(&parts[2], 0).address + i * 0x1000);
	for (unsigned i = 0; i < 3; i++)
		part_destroy(&parts[i]);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_join_and_split),
		cmocka_unit_test(ranges_agree_with_a_bitmap),
		WORLD_TEST(everything_gets_an_address),
		cmocka_unit_test(what_does_not_fit_is_reported_and_stays_at_0),
		WORLD_TEST(nothing_is_put_where_others_answer),
		WORLD_TEST(everything_behind_bridges_is_reached),
		cmocka_unit_test(behind_bridges_what_fits_gets_an_address),
		cmocka_unit_test(windows_of_old_are_given_to_nobody),
		WORLD_TEST(what_no_window_can_hold_is_left_out),
		cmocka_unit_test(low_ports_are_given_where_there_are_no_others),
		cmocka_unit_test(a_bridge_whose_bars_do_not_fit_still_passes_on),
		cmocka_unit_test(windows_without_a_place_are_reported),
		WORLD_TEST(equals_go_by_place),
		cmocka_unit_test(random_trees_are_reached),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
