/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses given as firmware would, and the set of ranges they come from. */
#include "pci_world.h"

#include <stdio.h>
#include <stdlib.h>

#include "pci/ranges.h"

/* ---- Ranges ------------------------------------------------------------ */

static void assert_ranges(const struct bk__ranges *ranges, size_t count, ...)
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
	struct bk__ranges ranges = { 0 };
	uint64_t first;

	assert_int_equal(bk__ranges_add(&ranges, 0x100, 0x1ff), 0);
	assert_int_equal(bk__ranges_add(&ranges, 0x300, 0x3ff), 0);
	assert_ranges(&ranges, 2, U(0x100), U(0x1ff), U(0x300), U(0x3ff));
	assert_int_equal(bk__ranges_add(&ranges, 0x200, 0x27f), 0);
	assert_ranges(&ranges, 2, U(0x100), U(0x27f), U(0x300), U(0x3ff));
	assert_int_equal(bk__ranges_add(&ranges, 0x280, 0x2ff), 0);
	assert_ranges(&ranges, 1, U(0x100), U(0x3ff));
	assert_int_equal(bk__ranges_add(&ranges, UINT64_MAX, UINT64_MAX), 0);
	assert_int_equal(bk__ranges_add(&ranges, 0, 0), 0);
	assert_ranges(&ranges, 3, U(0), U(0), U(0x100), U(0x3ff), UINT64_MAX, UINT64_MAX);
	assert_int_equal(bk__ranges_remove(&ranges, 0x180, 0x1ff), 0);
	assert_int_equal(bk__ranges_remove(&ranges, 0x80, 0x10f), 0);
	assert_ranges(&ranges, 4, U(0), U(0), U(0x110), U(0x17f), U(0x200), U(0x3ff), UINT64_MAX, UINT64_MAX);
	assert_true(bk__ranges_find(&ranges, 0x100, 0x100, 0, UINT64_MAX, &first));
	assert_int_equal(first, 0x200);
	assert_true(bk__ranges_find(&ranges, 0x10, 0x10, 0x210, UINT64_MAX, &first));
	assert_int_equal(first, 0x210);
	assert_true(bk__ranges_find(&ranges, 0x40, 0x40, 0, UINT64_MAX, &first));
	assert_int_equal(first, 0x140);
	assert_false(bk__ranges_find(&ranges, 0x200, 0x200, 0, 0x3fe, &first));
	assert_false(bk__ranges_find(&ranges, 0x400, 0x400, 0, UINT64_MAX, &first));
	assert_int_equal(bk__ranges_longest(&ranges, 0, UINT64_MAX), 0x200);
	assert_int_equal(bk__ranges_longest(&ranges, 0, 0x1ff), 0x70);
	assert_int_equal(bk__ranges_remove(&ranges, 1, UINT64_MAX), 0);
	assert_ranges(&ranges, 1, U(0), U(0));
	assert_int_equal(bk__ranges_remove(&ranges, 0, 0), 0);
	assert_ranges(&ranges, 0);
	assert_int_equal(bk__ranges_longest(&ranges, 0, UINT64_MAX), 0);
	assert_int_equal(bk__ranges_add(&ranges, 0, UINT64_MAX), 0);
	assert_int_equal(bk__ranges_longest(&ranges, 0, UINT64_MAX), UINT64_MAX);
	assert_true(bk__ranges_find(&ranges, UINT64_C(1) << 63, UINT64_C(1) << 63, 1, UINT64_MAX, &first));
	assert_true(first == UINT64_C(1) << 63);
	bk__ranges_free(&ranges);
}

static void ranges_agree_with_a_bitmap(void **state)
{
	struct bk__ranges ranges = { 0 };
	uint8_t map[256] = { 0 };

	srand(1);
	for (unsigned round = 0; round < 20000; round++) {
		unsigned first = (unsigned)rand() % 256, last = first + (unsigned)rand() % (256 - first);
		bool add = rand() % 2;
		size_t at = 0;

		assert_int_equal(add ? bk__ranges_add(&ranges, first, last)
				     : bk__ranges_remove(&ranges, first, last),
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
	bk__ranges_free(&ranges);
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
	struct bk_pci_bar_state state;

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
		assert_int_equal(bk_pci_host_assign(world->host, 0x1000, keep_line, NULL), 0);
		for (unsigned i = 0; i < 12; i++) {
			assert_config(world, parts[i].devfn, 4, 2, 3);
			for (unsigned bar = 0; bar < 5; bar++) {
				struct bk_pci_bar_state is;

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
	desc->windows[0].last = desc->windows[0].first + 0xfffff;
	desc->windows[0].bus_first = 0x1000000;
	desc->windows[1] = desc->windows[2];
	desc->windows[1].last = desc->windows[1].first + 63;
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
	assert_int_equal(bk_pci_host_assign(world->host, 0x1000, keep_line, NULL), 4);
	assert_string_equal(
		lines, "04.2 card: ROM (expansion ROM) does not fit: needs 0x800000 bytes, the longest free "
		       "range has "
		       "0x100000\n"
		       "01.0 f1: BAR 0 (32-bit memory) does not fit: needs 0x80000 bytes, the longest free "
		       "range has 0\n"
		       "03.0 f3: BAR 0 (64-bit memory) does not fit: needs 0x1000 bytes, the longest free "
		       "range has 0\n"
		       "03.0 f3: BAR 2 (I/O) does not fit: needs 0x20 bytes, the longest free range has 0\n");
	assert_int_equal(at(&b, 0).address, 0x1000000);
	assert_memory(world, WINDOW_FIRST + 0xfffff, WHO(2, 0));
	part_destroy(&d);
	part_destroy(&b);
	lines[0] = 0;
	assert_int_equal(bk_pci_host_assign(world->host, 0x1000, keep_line, NULL), 0);
	assert_string_equal(lines, "");
	assert_config(world, a.devfn, 4, 2, 3);
	assert_config(world, c.devfn, 4, 2, 3);
	assert_int_equal(at(&a, 0).address, 0x1000000);
	assert_int_equal(at(&c, 0).address, 0x1080000);
	assert_memory(world, WINDOW_FIRST + 0x80000, WHO(3, 0));
	part_create(world, &d, 4, (struct bk_pci_function_desc){ .bars = { IO_BAR(16), MEM32_BAR(0x10) } });
	part_attach(world, &d, BK_PCI_DEVFN(4, 2));
	assert_int_equal(bk_pci_host_assign(world->host, 0, NULL, NULL), 1);
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
	assert_int_equal(bk_pci_host_assign(world->host, 0x1000, NULL, NULL), 7);
	for (unsigned i = 0; i < 13; i++) {
		uint64_t address = at(&parts[i], 0).address;

		assert_int_equal(address, i < 12 ? 0x80000000 + i * UINT64_C(0x8000000) : 0xf0000000);
		assert_memory(world, address + 0x7ffffff, WHO(i + 1, 0));
	}
	for (unsigned i = 0; i < 20; i++)
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
