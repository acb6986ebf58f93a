/* SPDX-License-Identifier: BSD-2-Clause */
/* BARs: what a guest reads back, and who answers where. */
#include "pci_world.h"

#include <stdlib.h>

#include "pci/bar.h"

#define DEVFN BK_PCI_DEVFN(3, 0)

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

static void enable(struct world *world, uint8_t devfn)
{
	config_write(world, devfn, 0x04, 2, 3);
}

/* ---- The rule ---------------------------------------------------------- */

static void rule(void **state)
{
	struct bk_pci_bar io = IO_BAR(4), small = MEM32_BAR(16), large = MEM32_BAR(UINT64_C(1) << 31),
			  wide = MEM64_BAR(16), huge = MEM64_BAR(UINT64_C(1) << 33), rom = MEM32_BAR(2048);
	static const struct {
		char bar;
		uint64_t raw;
		bool decodes;
	} cases[] = {
		{ 'i', 0xffffffff, false },
		{ 'i', 0xfffffffc, false },
		{ 'i', 0xfffffff8, true },
		{ 'i', 4, true },
		{ 'i', 0, false },
		{ 'i', 3, false },
		{ 's', 0xfffffff0, false },
		{ 's', 0xffffffe0, true },
		{ 's', 0xffffffff, false },
		{ 'l', 0x80000000, true },
		{ 'l', 0xffffffff, false },
		{ 'l', 0xfffffff0, false },
		{ 'l', 0xffffffe0, true },
		{ 'l', 0x7fffffff, false }, /* masked to 0 */
		{ 'w', 0xffffffff00000010, false },
		{ 'w', 0xfffffffefffffff0, false },
		{ 'w', 0xfffffffeffffffe0, true },
		{ 'w', 0x0000000100000000, true },
		{ 'w', 0x00000000fffffff0, false },
		{ 'w', 0x00000000ffffffe0, true },
		{ 'h', 0xfffffffe00000000, true },
		{ 'h', 0xffffffff00000000, false },
		{ 'h', 0x00000002ffffffff, false },
		{ 'h', 0x0000000200000000, true },
		{ 'h', 0x0000000100000000, false }, /* masked to 0 */
		{ 'r', 0x00010001, true },
		{ 'r', 0x00010000, false },
		{ 'r', 0xfffff801, false },
		{ 'r', 0xffffffff, false },
		{ 'r', 0xfffff001, true },
		{ 'r', 0x00000001, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct bk_pci_bar *bar = cases[i].bar == 'i'   ? &io
					       : cases[i].bar == 's' ? &small
					       : cases[i].bar == 'l' ? &large
					       : cases[i].bar == 'w' ? &wide
					       : cases[i].bar == 'h' ? &huge
								     : &rom;

		if (bk__pci_bar_decodes(bar, bar == &rom, cases[i].raw, false) != cases[i].decodes)
			fail_msg("%c at %#llx", cases[i].bar, (unsigned long long)cases[i].raw);
	}
	assert_true(bk__pci_bar_decodes(&small, false, 0, true));
	assert_true(bk__pci_bar_decodes(&rom, true, 1, true));
	assert_false(bk__pci_bar_decodes(&rom, true, 0, true));
}

/* ---- What is read back ------------------------------------------------- */

static void F07_sizing_with_decode_on_in_all_forms(void **state)
{
	struct world *world = *state;
	struct part part;
	struct bk_pci_function_desc desc = { .bars = { MEM32_BAR(0x4000), IO_BAR(0x20), MEM64_BAR(0x10000) },
					     .rom = MEM32_BAR(0x1000) };

	desc.bars[2].prefetchable = true;
	part_create(world, &part, 1, desc);
	part_attach(world, &part, DEVFN);
	enable(world, DEVFN);
	config_write(world, DEVFN, BAR(0), 4, 0x90000000);
	config_write(world, DEVFN, BAR(1), 4, 0x2000);
	config_write(world, DEVFN, BAR(2), 4, 0xa0000000);
	config_write(world, DEVFN, BAR(3), 4, 0x12);
	assert_memory(world, 0x90000000, WHO(1, 0));
	assert_port(world, 0x2000, WHO(1, 1));
	assert_memory(world, UINT64_C(0x12a0000000), WHO(1, 2));

	/* Every form, every BAR, decoding. */
	config_write(world, DEVFN, BAR(0), 4, 0xffffffff);
	assert_config(world, DEVFN, BAR(0), 4, 0xffffc000);
	assert_memory(world, 0x90000000, NOBODY);
	assert_memory(world, 0xffffc000, NOBODY);
	config_write(world, DEVFN, BAR(0), 4, 0xfffffff0);
	assert_config(world, DEVFN, BAR(0), 4, 0xffffc000);
	assert_memory(world, 0xffffc000, NOBODY);
	config_write(world, DEVFN, BAR(0), 4, 0xffff1234);
	assert_config(world, DEVFN, BAR(0), 4, 0xffff0000);
	assert_memory(world, 0xffff0000, WHO(1, 0));
	config_write(world, DEVFN, BAR(0), 4, 0x90000000);
	assert_memory(world, 0x90003fff, WHO(1, 0));

	config_write(world, DEVFN, BAR(1), 4, 0xffffffff);
	assert_config(world, DEVFN, BAR(1), 4, 0xffffffe1);
	assert_port(world, 0x2000, NOBODY);
	assert_port(world, 0xffe0, NOBODY);
	config_write(world, DEVFN, BAR(1), 4, 0x2000);
	assert_config(world, DEVFN, BAR(1), 4, 0x2001);
	assert_port(world, 0x201f, WHO(1, 1));

	/* Upper half first: nothing at the top, nothing below 4 GiB. */
	config_write(world, DEVFN, BAR(3), 4, 0xffffffff);
	assert_config(world, DEVFN, BAR(3), 4, 0xffffffff);
	assert_memory(world, UINT64_C(0xffffffffa0000000), NOBODY);
	assert_memory(world, UINT64_C(0x12a0000000), NOBODY);
	config_write(world, DEVFN, BAR(2), 4, 0xffffffff);
	assert_config(world, DEVFN, BAR(2), 8, UINT64_C(0xffffffffffff000c));
	config_write(world, DEVFN, BAR(3), 4, 0);
	assert_memory(world, 0xffff0000, NOBODY);
	config_write(world, DEVFN, BAR(2), 4, 0xa0000000);
	assert_memory(world, 0xa0000000, WHO(1, 2));

	config_write(world, DEVFN, ROM_BAR, 4, 0xfffffffe); /* as firmware sizes it */
	assert_config(world, DEVFN, ROM_BAR, 4, 0xfffff000);
	config_write(world, DEVFN, ROM_BAR, 4, 0xfffff800);
	assert_config(world, DEVFN, ROM_BAR, 4, 0xfffff000);
	config_write(world, DEVFN, ROM_BAR, 4, 0xffffffff);
	assert_config(world, DEVFN, ROM_BAR, 4, 0xfffff001);
	assert_memory(world, 0xfffff000, NOBODY);
	config_write(world, DEVFN, ROM_BAR, 4, 0xb0000000);
	assert_memory(world, 0xb0000000, NOBODY);
	config_write(world, DEVFN, ROM_BAR, 1, 1);
	assert_memory(world, 0xb0000fff, WHO(1, BK_PCI_ROM));

	/* Registers that are not there. */
	config_write(world, DEVFN, BAR(4), 8, UINT64_MAX);
	assert_config(world, DEVFN, BAR(4), 8, 0);
	part_destroy(&part);
}

static void F07_size_probes_touch_nothing_outside_the_windows(void **state)
{
	struct world *world = *state;
	struct part part;
	struct bk_pci_function_desc desc = {
		.bars = { MEM64_BAR(UINT64_C(1) << 31), { 0 }, MEM32_BAR(0x100000) }
	};
	static const uint32_t garbage[] = {
		0xffffffff, 0xfffffff0, 0, 0x7fffffff, 0xfec00000, 0xe0000000, 1
	};

	part_create(world, &part, 1, desc);
	part_attach(world, &part, DEVFN);
	enable(world, DEVFN);
	for (unsigned i = 0; i < 7 * 7 * 7; i++) {
		config_write(world, DEVFN, BAR(0), 4, garbage[i % 7]);
		config_write(world, DEVFN, BAR(1), 4, garbage[i / 7 % 7]);
		config_write(world, DEVFN, BAR(2), 4, garbage[i / 49]);
		assert_memory(world, 0, RAM);
		assert_memory(world, 0x7fffffff, RAM);
		assert_memory(world, IOAPIC, CHIP);
		assert_memory(world, IOAPIC + 0xfff, CHIP);
		assert_config(world, DEVFN, 0, 2, 0x1b36); /* ECAM itself */
	}
	part_destroy(&part);
}

static void F08_writes_are_exact_per_byte(void **state)
{
	struct world *world = *state;
	struct part part;
	struct bk_pci_function_desc desc = { .bars = { MEM32_BAR(0x100), { 0 }, MEM64_BAR(0x1000) } };

	part_create(world, &part, 1, desc);
	part_attach(world, &part, DEVFN);
	enable(world, DEVFN);
	config_write(world, DEVFN, BAR(0), 4, 0x90000000);
	config_write(world, DEVFN, BAR(0) + 1, 1, 0x77);
	assert_config(world, DEVFN, BAR(0), 4, 0x90007700);
	assert_memory(world, 0x90007700, WHO(1, 0));
	assert_memory(world, 0x90000000, NOBODY);
	config_write(world, DEVFN, BAR(0) + 2, 2, 0x9123);
	assert_config(world, DEVFN, BAR(0), 4, 0x91237700);
	assert_memory(world, 0x912377ff, WHO(1, 0));
	config_write(world, DEVFN, BAR(0) + 1, 2, 0x4566); /* misaligned */
	assert_config(world, DEVFN, BAR(0), 4, 0x91456600);
	config_write(world, DEVFN, BAR(0), 1, 0xff); /* below the size: kept, not shown */
	assert_config(world, DEVFN, BAR(0), 4, 0x91456600);
	assert_memory(world, 0x91456600, WHO(1, 0));
	config_write(world, DEVFN, BAR(0) + 3, 1, 0xff);
	config_write(world, DEVFN, BAR(0) + 2, 1, 0xff);
	assert_memory(world, 0xffff6600, WHO(1, 0));
	config_write(world, DEVFN, BAR(0) + 1, 1, 0xff); /* now all ones as written */
	assert_config(world, DEVFN, BAR(0), 4, 0xffffff00);
	assert_memory(world, 0xffffff00, NOBODY);
	config_write(world, DEVFN, BAR(0), 1, 0); /* and now not: a BAR that ends at 4 GiB */
	assert_memory(world, 0xffffff00, WHO(1, 0));
	assert_memory(world, 0xffffffff, WHO(1, 0));

	/* One write over two registers, and over the end of the BARs. */
	config_write(world, DEVFN, BAR(2), 8, UINT64_C(0x0000000290000000));
	assert_memory(world, UINT64_C(0x290000fff), WHO(1, 2));
	config_write(world, DEVFN, BAR(3) + 3, 2, 0x0100);
	assert_config(world, DEVFN, BAR(2), 8, UINT64_C(0x0000000290000004));
	config_write(world, DEVFN, BAR(2) + 3, 2, 0x05a0); /* over both halves */
	assert_memory(world, UINT64_C(0x5a0000000), WHO(1, 2));
	part_destroy(&part);
}

static void F09_halves_in_every_order(void **state)
{
	struct world *world = *state;
	struct part part;
	struct bk_pci_function_desc desc = { .bars = { [2] = MEM64_BAR(0x4000) } };
	const uint64_t final = UINT64_C(0x0000004590abc000);
	unsigned order[8];

	part_create(world, &part, 1, desc);
	part_attach(world, &part, DEVFN);
	enable(world, DEVFN);
	for (unsigned low = 0; low < 2; low++) {
		config_write(world, DEVFN, BAR(2) + 4 * low, 4, final >> 32 * low);
		config_write(world, DEVFN, BAR(2) + 4 * !low, 4, final >> 32 * !low);
		assert_memory(world, final, WHO(1, 2));
		/* One half alone: just another address. */
		config_write(world, DEVFN, BAR(2) + 4, 4, 0);
		assert_memory(world, final, NOBODY);
		assert_memory(world, 0x90abc000, WHO(1, 2));
		config_write(world, DEVFN, BAR(2), 4, 0);
		assert_memory(world, 0x90abc000, NOBODY);
	}
	srand(9);
	for (unsigned round = 0; round < 200; round++) {
		for (unsigned i = 0; i < 8; i++) {
			unsigned other = (unsigned)rand() % (i + 1);

			order[i] = order[other];
			order[other] = i;
		}
		for (unsigned i = 0; i < 8; i++)
			config_write(world, DEVFN, BAR(2) + order[i], 1, final >> 8 * order[i] & 0xff);
		assert_memory(world, final, WHO(1, 2));
		assert_memory(world, final + 0x3fff, WHO(1, 2));
		assert_memory(world, final + 0x4000, NOBODY);
		config_write(world, DEVFN, BAR(2), 8, 0);
	}
	part_destroy(&part);
}

static void F10_bars_of_4_GiB_and_more(void **state)
{
	struct world *world = *state;

	for (unsigned log = 31; log <= 63; log++) {
		uint64_t size = UINT64_C(1) << log;
		struct bk_pci_function_desc desc = { .bars = { MEM64_BAR(size) } };
		uint64_t address = log == 63 ? size : log == 31 ? WIDE_FIRST : size * 2;
		struct part part;

		part_create(world, &part, 1, desc);
		part_attach(world, &part, DEVFN);
		enable(world, DEVFN);
		config_write(world, DEVFN, BAR(0), 4, 0xffffffff);
		config_write(world, DEVFN, BAR(1), 4, 0xffffffff);
		assert_config(world, DEVFN, BAR(0), 8, ~(size - 1) | 4);
		config_write(world, DEVFN, BAR(1), 4, address >> 32);
		assert_memory(world, address, NOBODY);       /* the low half is a probe still */
		config_write(world, DEVFN, BAR(0), 4, 0x10); /* not all ones: masked */
		assert_config(world, DEVFN, BAR(0), 8, address | 4);
		assert_memory(world, address, WHO(1, 0));
		assert_memory(world, address + size / 2, WHO(1, 0));
		assert_memory(world, address + (size - 1), WHO(1, 0));
		if (address + size)
			assert_memory(world, address + size, NOBODY);
		part_destroy(&part);
	}
}

static void F11_ends_at_4_GiB_at_the_top_and_address_zero(void **state)
{
	struct world *world = *state;
	struct part part;
	struct bk_pci_function_desc desc = { .bars = { MEM32_BAR(0x1000), IO_BAR(0x100),
						       MEM64_BAR(UINT64_C(1) << 34) } };
	struct bk_pci_bar_state at = { .struct_size = sizeof(at) };

	part_create(world, &part, 1, desc);
	part_attach(world, &part, DEVFN);
	enable(world, DEVFN);
	config_write(world, DEVFN, BAR(0), 4, 0xfffff000);
	assert_memory(world, 0xffffffff, WHO(1, 0));
	assert_memory(world, WIDE_FIRST, NOBODY);
	config_write(world, DEVFN, BAR(3), 4, 0xfffffffc);
	assert_memory(world, UINT64_MAX, WHO(1, 2));
	assert_memory(world, UINT64_C(0xfffffffc00000000), WHO(1, 2));
	config_write(world, DEVFN, BAR(1), 4, 0xff00);
	assert_port(world, 0xffff, WHO(1, 1));
	config_write(world, DEVFN, BAR(1), 4, 0xffff0000);
	assert_int_equal(bk_pci_function_bar(part.function, 1, &at), 0);
	assert_true(at.decodes); /* its own decision; no window is there */
	assert_int_equal(at.address, 0xffff0000);
	config_write(world, DEVFN, BAR(0), 4, 0);
	assert_int_equal(bk_pci_function_bar(part.function, 0, &at), 0);
	assert_false(at.decodes);
	assert_memory(world, 0, RAM);
	assert_int_equal(bk_pci_function_bar(part.function, 3, &at), -EINVAL);
	assert_int_equal(bk_pci_function_bar(part.function, BK_PCI_ROM, &at), -EINVAL);
	assert_int_equal(bk_pci_function_bar(part.function, 99, &at), -EINVAL);
	part_destroy(&part);
}

static void tune_zero(struct bk_pci_host_desc *desc)
{
	desc->address_zero = true;
	WINDOWS(desc)[0].first = 0x90000000; /* shows the bus from 0 */
	WINDOWS(desc)[0].bus_first = 0;
}

static void F11_address_zero_where_the_host_allows_it(void **state)
{
	struct world *world = world_create(tune_zero);
	struct part part;
	struct bk_pci_function_desc desc = { .bars = { MEM32_BAR(0x1000) } };

	part_create(world, &part, 1, desc);
	part_attach(world, &part, DEVFN);
	assert_memory(world, 0x90000000, NOBODY);
	enable(world, DEVFN);
	assert_memory(world, 0x90000000, WHO(1, 0));
	config_write(world, DEVFN, BAR(0), 4, 0x5000);
	assert_memory(world, 0x90000000, NOBODY);
	assert_memory(world, 0x90005fff, WHO(1, 0));
	part_destroy(&part);
	world_destroy(world);
}

static void F12_decode_off_gives_all_ones(void **state)
{
	struct world *world = *state;
	struct part part;
	struct bk_pci_function_desc desc = { .bars = { MEM32_BAR(0x1000), IO_BAR(16) } };
	uint64_t value;

	part_create(world, &part, 1, desc);
	part_attach(world, &part, DEVFN);
	config_write(world, DEVFN, BAR(0), 4, 0x90000000);
	config_write(world, DEVFN, BAR(1), 4, 0x3000);
	for (unsigned command = 0; command < 8; command++) {
		config_write(world, DEVFN, 4, 1, command);
		assert_memory(world, 0x90000000, command & 2 ? WHO(1, 0) : NOBODY);
		assert_port(world, 0x3000, command & 1 ? WHO(1, 1) : NOBODY);
	}
	config_write(world, DEVFN, 4, 2, 0);
	bk_space_read(world->memory, 0x90000000, 8, &value);
	assert_true(value == UINT64_MAX);
	assert_int_equal(bk_space_write(world->memory, 0x90000000, 4, 1), 0);
	assert_int_equal(part.answers[0].writes, 0);
	part_destroy(&part);
}

/* ---- Overlap ----------------------------------------------------------- */

static void two(struct world *world, struct part *a, struct part *b, bool swapped,
		struct bk_pci_function_desc first, struct bk_pci_function_desc second)
{
	part_create(world, a, 2, first);
	part_create(world, b, 3, second);
	if (swapped)
		part_attach(world, b, BK_PCI_DEVFN(3, 0));
	part_attach(world, a, BK_PCI_DEVFN(2, 0));
	if (!swapped)
		part_attach(world, b, BK_PCI_DEVFN(3, 0));
}

static void assert_ports(struct world *world, uint64_t first, unsigned count, uint8_t who)
{
	for (uint64_t port = first; port < first + count; port++)
		assert_port(world, port, who);
}

static void F01_firmware_moves_io_bars_over_each_other(void **state)
{
	struct world *world = *state;
	struct bk_pci_function_desc net_desc = { .bars = { IO_BAR(64) } },
				    blk_desc = { .bars = { IO_BAR(128) } };
	const uint8_t n = BK_PCI_DEVFN(2, 0), b = BK_PCI_DEVFN(3, 0), net = WHO(2, 0), blk = WHO(3, 0);
	struct part two_net, three_blk;

	for (int swapped = 0; swapped < 2; swapped++) {
		two(world, &two_net, &three_blk, swapped, net_desc, blk_desc);
		enable(world, n);
		enable(world, b);
		config_write(world, b, BAR(0), 4, 0x4000);
		config_write(world, n, BAR(0), 4, 0x4080);
		assert_ports(world, 0x4000, 128, blk);
		assert_ports(world, 0x4080, 64, net);
		assert_ports(world, 0x40c0, 64, NOBODY);

		config_write(world, n, BAR(0), 4, 0x4000);
		assert_ports(world, 0x4000, 64, net);
		assert_ports(world, 0x4040, 64, blk);
		assert_ports(world, 0x4080, 128, NOBODY);

		config_write(world, b, BAR(0), 4, 0x4080);
		assert_ports(world, 0x4000, 64, net);
		assert_ports(world, 0x4040, 64, NOBODY);
		assert_ports(world, 0x4080, 128, blk);

		config_write(world, b, BAR(0), 4, 0x4000);
		config_write(world, n, BAR(0), 4, 0x4080);
		assert_ports(world, 0x4000, 128, blk);
		assert_ports(world, 0x4080, 64, net);
		part_destroy(&two_net);
		assert_ports(world, 0x4080, 64, NOBODY);
		part_destroy(&three_blk);
	}
}

static void F02_overlap_of_one_function_and_of_two(void **state)
{
	struct world *world = *state;
	struct bk_pci_function_desc desc = { .bars = { MEM32_BAR(0x1000), MEM32_BAR(0x4000) } };
	const uint8_t a = BK_PCI_DEVFN(2, 0), b = BK_PCI_DEVFN(3, 0);
	struct part one, other;

	two(world, &one, &other, true, desc, desc);
	enable(world, a);
	enable(world, b);
	/* Nested, in one function: the lower index wins, the higher shows around it. */
	config_write(world, a, BAR(1), 4, 0x90000000);
	config_write(world, a, BAR(0), 4, 0x90001000);
	assert_memory(world, 0x90000fff, WHO(2, 1));
	assert_memory(world, 0x90001000, WHO(2, 0));
	assert_memory(world, 0x90002000, WHO(2, 1));
	/* Another function over both: the lower slot wins. */
	config_write(world, b, BAR(1), 4, 0x90000000);
	config_write(world, b, BAR(0), 4, 0x90003000);
	for (unsigned i = 0; i < 4; i++)
		assert_memory(world, 0x90000000 + i * 0x1000, i == 1 ? WHO(2, 0) : WHO(2, 1));
	config_write(world, a, 4, 2, 0);
	for (unsigned i = 0; i < 4; i++)
		assert_memory(world, 0x90000000 + i * 0x1000, i == 3 ? WHO(3, 0) : WHO(3, 1));
	enable(world, a);
	assert_memory(world, 0x90003fff, WHO(2, 1));
	part_destroy(&one);
	assert_memory(world, 0x90003fff, WHO(3, 0));
	part_destroy(&other);
}

static void F04_two_functions_swap_addresses(void **state)
{
	struct world *world = *state;
	struct bk_pci_function_desc desc = { .bars = { MEM32_BAR(0x1000) } };
	const uint8_t a = BK_PCI_DEVFN(2, 0), b = BK_PCI_DEVFN(3, 0);
	struct part one, other;

	two(world, &one, &other, false, desc, desc);
	config_write(world, a, BAR(0), 4, 0x90000000);
	config_write(world, b, BAR(0), 4, 0x90001000);
	for (int live = 0; live < 2; live++) { /* decode off, then on, while they swap */
		config_write(world, a, 4, 2, live ? 2 : 0);
		config_write(world, b, 4, 2, live ? 2 : 0);
		for (unsigned swap = 0; swap < 4; swap++) {
			unsigned turned = (swap + 1) % 2;

			config_write(world, a, BAR(0), 4, turned ? 0x90001000 : 0x90000000);
			config_write(world, b, BAR(0), 4, turned ? 0x90000000 : 0x90001000);
			enable(world, a);
			enable(world, b);
			assert_memory(world, 0x90000000, turned ? WHO(3, 0) : WHO(2, 0));
			assert_memory(world, 0x90001000, turned ? WHO(2, 0) : WHO(3, 0));
			config_write(world, a, 4, 2, live ? 2 : 0);
			config_write(world, b, 4, 2, live ? 2 : 0);
		}
	}
	part_destroy(&one);
	part_destroy(&other);
}

static void F05_equal_bars_and_one_moves_on(void **state)
{
	struct world *world = *state;
	struct bk_pci_function_desc desc = { .bars = { MEM32_BAR(0x1000) } };
	const uint8_t a = BK_PCI_DEVFN(2, 0), b = BK_PCI_DEVFN(3, 0);
	struct part one, other;

	two(world, &one, &other, true, desc, desc);
	enable(world, a);
	enable(world, b);
	config_write(world, b, BAR(0), 4, 0x90000000);
	config_write(world, a, BAR(0), 4, 0x90000000);
	assert_memory(world, 0x90000000, WHO(2, 0));
	config_write(world, a, BAR(0), 4, 0x91000000);
	assert_memory(world, 0x90000000, WHO(3, 0));
	assert_memory(world, 0x91000000, WHO(2, 0));
	config_write(world, a, BAR(0), 4, 0x90000000);
	config_write(world, b, BAR(0), 4, 0x92000000);
	assert_memory(world, 0x90000000, WHO(2, 0));
	assert_memory(world, 0x92000000, WHO(3, 0));
	part_destroy(&one);
	part_destroy(&other);
}

static void F06_fixed_ranges_shadow_and_give_back(void **state)
{
	struct world *world = *state;
	struct bk_pci_function_desc desc = {
		.bars = { MEM32_BAR(0x4000), { 0 }, MEM64_BAR(UINT64_C(1) << 32) }
	};
	struct part part;
	char *text = NULL;
	size_t length;
	FILE *out;

	part_create(world, &part, 1, desc);
	part_attach(world, &part, DEVFN);
	enable(world, DEVFN);
	config_write(world, DEVFN, BAR(0), 4, IOAPIC - 0x2000 + 0x2000);
	assert_memory(world, IOAPIC, CHIP);
	assert_memory(world, IOAPIC + 0x1000, WHO(1, 0));
	out = open_memstream(&text, &length);
	assert_int_equal(bk_space_describe(world->memory, BK_FORMAT_TEXT, bk_sink_file, out), 0);
	fclose(out);
	assert_non_null(strstr(text, "f1 bar0"));
	free(text);
	config_write(world, DEVFN, BAR(0), 4, ECAM); /* over the way it is moved by */
	assert_config(world, DEVFN, BAR(0), 4, ECAM);
	config_write(world, DEVFN, BAR(0), 4, 0x1000); /* in RAM: no window */
	assert_memory(world, 0x1000, RAM);
	config_write(world, DEVFN, BAR(0), 4, 0x90000000);
	assert_memory(world, 0x90000000, WHO(1, 0));
	/* Half in the window above 4 GiB, the rest unreachable. */
	config_write(world, DEVFN, BAR(3), 4, 0);
	assert_memory(world, 0x7fffffff, RAM);
	config_write(world, DEVFN, BAR(3), 4, 1);
	assert_memory(world, WIDE_FIRST, WHO(1, 2));
	part_destroy(&part);
}

/* ---- F03: random permutations of the same final writes ------------------ */

struct final {
	uint8_t devfn;
	unsigned offset, width;
	uint64_t value;
};

static void F03_any_order_of_writes_gives_the_same_map(void **state)
{
	struct world *world = *state;
	struct bk_pci_function_desc desc = {
		.bars = { MEM32_BAR(0x2000), IO_BAR(0x40), MEM64_BAR(0x8000), { 0 }, MEM32_BAR(0x1000) },
		.rom = MEM32_BAR(0x4000)
	};
	enum { COUNT = 4, PER = 7, TOTAL = COUNT * PER };
	struct final finals[TOTAL];
	struct part parts[COUNT];
	uint8_t expected[0x400], expected_ports[0x200];

	srand(3);
	for (unsigned i = 0; i < COUNT; i++) {
		const uint8_t devfn = BK_PCI_DEVFN(i + 1, 0);
		const uint32_t page = (uint32_t)(rand() % 16) << 12;
		const struct final own[PER] = {
			{ devfn, BAR(0), 4, 0x90000000 + page },
			{ devfn, BAR(1), 4, 0x2000 + (uint32_t)(rand() % 8) * 0x20 },
			{ devfn, BAR(2), 4, 0x90000000 + (uint32_t)(rand() % 16) * 0x1000 },
			{ devfn, BAR(3), 4, 0 },
			{ devfn, BAR(4), 4, 0x90000000 + (uint32_t)(rand() % 16) * 0x1000 },
			{ devfn, ROM_BAR, 4, 0x90000001 + (uint32_t)(rand() % 16) * 0x1000 },
			{ devfn, 4, 2, 3 },
		};

		part_create(world, &parts[i], i + 1, desc);
		memcpy(finals + i * PER, own, sizeof(own));
	}
	for (unsigned i = 0; i < COUNT; i++)
		part_attach(world, &parts[i], BK_PCI_DEVFN(i + 1, 0));
	for (unsigned round = 0; round < 100; round++) {
		/* From any state whatever. */
		for (unsigned i = 0; i < 20; i++)
			config_write(world, BK_PCI_DEVFN(rand() % COUNT + 1, 0), BAR(rand() % 6), 4,
				     0x90000000 + (uint32_t)(rand() % 64) * 0x800);
		for (unsigned i = 0; i < TOTAL; i++) {
			unsigned other = (unsigned)rand() % (i + 1);
			struct final held = finals[other];

			finals[other] = finals[i];
			finals[i] = held;
		}
		for (unsigned i = 0; i < TOTAL; i++)
			config_write(world, finals[i].devfn, finals[i].offset, finals[i].width,
				     finals[i].value);
		for (unsigned i = 0; i < sizeof(expected); i++) {
			uint8_t who = memory_byte(world, 0x90000000 + i * 0x80);

			if (!round)
				expected[i] = who;
			assert_int_equal(who, expected[i]);
		}
		for (unsigned i = 0; i < sizeof(expected_ports); i++) {
			uint8_t who = port_byte(world, 0x2000 + i);

			if (!round)
				expected_ports[i] = who;
			assert_int_equal(who, expected_ports[i]);
		}
	}
	/* The order in which they came to the bus does not matter either. */
	for (unsigned i = 0; i < COUNT; i++)
		bk_pci_function_detach(parts[i].function);
	assert_memory(world, 0x90000000, NOBODY);
	for (unsigned i = COUNT; i--;)
		part_attach(world, &parts[i], BK_PCI_DEVFN(i + 1, 0));
	for (unsigned i = 0; i < sizeof(expected); i++)
		assert_memory(world, 0x90000000 + i * 0x80, expected[i]);
	for (unsigned i = 0; i < COUNT; i++)
		part_destroy(&parts[i]);
}

/* ---- Coming and going --------------------------------------------------- */

static void F17_rescan_and_come_back_elsewhere(void **state)
{
	struct world *world = *state;
	struct bk_pci_function_desc desc = { .bars = { MEM32_BAR(0x1000) } };
	struct part part;

	part_create(world, &part, 1, desc);
	part_attach(world, &part, DEVFN);
	for (uint64_t address = 0x90000000; address < 0x90010000; address += 0x1000) {
		config_write(world, DEVFN, 4, 2, 0);
		config_write(world, DEVFN, BAR(0), 4, 0xffffffff);
		assert_config(world, DEVFN, BAR(0), 4, 0xfffff000);
		config_write(world, DEVFN, BAR(0), 4, address);
		enable(world, DEVFN);
		for (uint64_t i = 0x90000000; i < 0x90010000; i += 0x1000)
			assert_memory(world, i, i == address ? WHO(1, 0) : NOBODY);
	}
	part_destroy(&part);
}

static void F18_unplug_and_plug_at_the_same_address(void **state)
{
	struct world *world = *state;
	struct bk_pci_function_desc desc = { .bars = { MEM32_BAR(0x1000) } };
	struct part old, new;

	for (unsigned round = 0; round < 3; round++) {
		part_create(world, &old, 1, desc);
		part_create(world, &new, 2, desc);
		part_attach(world, &old, DEVFN);
		assert_int_equal(bk_pci_function_attach(old.function, world->bus, 0x88), -EBUSY);
		assert_int_equal(bk_pci_function_attach(new.function, world->bus, DEVFN), -EEXIST);
		assert_int_equal(bk_pci_function_destroy(old.function), -EBUSY);
		assert_int_equal(bk_pci_host_destroy(world->host), -EBUSY);
		config_write(world, DEVFN, BAR(0), 4, 0x90000000);
		enable(world, DEVFN);
		assert_memory(world, 0x90000000, WHO(1, 0));
		bk_pci_function_detach(old.function);
		assert_memory(world, 0x90000000, NOBODY);
		assert_config(world, DEVFN, 0, 4, 0xffffffff);
		part_attach(world, &new, DEVFN);
		assert_memory(world, 0x90000000, NOBODY);
		assert_config(world, DEVFN, BAR(0), 4, 0);
		config_write(world, DEVFN, BAR(0), 4, 0x90000000);
		enable(world, DEVFN);
		assert_memory(world, 0x90000000, WHO(2, 0));
		part_destroy(&old);
		part_destroy(&new);
	}
}

/* ---- A description that makes no sense ---------------------------------- */

static void assert_refused(struct world *world, struct bk_pci_function_desc desc, const char *word)
{
	struct bk_pci_function *function = NULL;
	struct bk_error err = { "" };

	if (!desc.vendor)
		desc.vendor = 1;
	assert_int_equal(bk_pci_function_create(world->domain, &desc, &function, &err), -EINVAL);
	assert_null(function);
	if (!strstr(err.text, word))
		fail_msg("no '%s' in '%s'", word, err.text);
}

static void descriptions_that_make_no_sense_are_refused(void **state)
{
	struct world *world = *state;
	struct bk_domain *elsewhere = bk_domain_create();
	struct bk_space *space = bk_space_create(world->domain, "s", 0xfff);
	struct bk_space *foreign = bk_space_create(elsewhere, "s", 0xfff);
#define WITH(...) ((struct bk_pci_function_desc){ .name = "x", __VA_ARGS__ })
#define ONE(k, s) WITH(.bars = { { .kind = (k), .size = (s), .space = space } })

	assert_refused(world, ONE(BK_PCI_BAR_MEM32, 0), "x: BAR 0");
	assert_refused(world, ONE(BK_PCI_BAR_MEM32, 8), "size");
	assert_refused(world, ONE(BK_PCI_BAR_MEM32, 0x1001), "size");
	assert_refused(world, ONE(BK_PCI_BAR_MEM32, UINT64_C(1) << 32), "size");
	assert_refused(world, ONE(BK_PCI_BAR_IO, 2), "size");
	assert_refused(world, ONE(9, 16), "kind");
	assert_refused(world, WITH(.bars = { { BK_PCI_BAR_IO, true, 16, space, 0 } }), "prefetchable");
	assert_refused(world, WITH(.bars = { { BK_PCI_BAR_MEM32, false, 16, NULL, 0 } }), "space");
	assert_refused(world, ONE(BK_PCI_BAR_MEM64, (bk_space_last(space) + 1) * 2), "shorter than the BAR");
	assert_refused(world, WITH(.bars = { { BK_PCI_BAR_MEM32, false, 16, foreign, 0 } }), "domain");
	assert_refused(world, WITH(.bars = { [5] = { BK_PCI_BAR_MEM64, false, 16, space, 0 } }), "BAR 5");
	assert_refused(world,
		       WITH(.bars = { { BK_PCI_BAR_MEM64, false, 16, space, 0 },
				      { BK_PCI_BAR_IO, false, 4, space, 0 } }),
		       "upper half");
	assert_refused(world, WITH(.rom = { BK_PCI_BAR_MEM64, false, 4096, space, 0 }), "ROM");
	assert_refused(world, WITH(.rom = { BK_PCI_BAR_MEM32, false, 1024, space, 0 }), "ROM");
	assert_refused(world, WITH(.rom = { BK_PCI_BAR_MEM32, false, 1 << 25, space, 0 }), "ROM");
	assert_refused(world, WITH(.vendor = 0xffff), "vendor");
	assert_refused(world, WITH(.class_code = 1 << 24), "class");
	assert_refused(world, WITH(.pin = 5), "pin");
	bk_space_destroy(space);
	bk_space_destroy(foreign);
	assert_int_equal(bk_domain_destroy(elsewhere), 0);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rule),
		WORLD_TEST(F07_sizing_with_decode_on_in_all_forms),
		WORLD_TEST(F07_size_probes_touch_nothing_outside_the_windows),
		WORLD_TEST(F08_writes_are_exact_per_byte),
		WORLD_TEST(F09_halves_in_every_order),
		WORLD_TEST(F10_bars_of_4_GiB_and_more),
		WORLD_TEST(F11_ends_at_4_GiB_at_the_top_and_address_zero),
		cmocka_unit_test(F11_address_zero_where_the_host_allows_it),
		WORLD_TEST(F12_decode_off_gives_all_ones),
		WORLD_TEST(F01_firmware_moves_io_bars_over_each_other),
		WORLD_TEST(F02_overlap_of_one_function_and_of_two),
		WORLD_TEST(F03_any_order_of_writes_gives_the_same_map),
		WORLD_TEST(F04_two_functions_swap_addresses),
		WORLD_TEST(F05_equal_bars_and_one_moves_on),
		WORLD_TEST(F06_fixed_ranges_shadow_and_give_back),
		WORLD_TEST(F17_rescan_and_come_back_elsewhere),
		WORLD_TEST(F18_unplug_and_plug_at_the_same_address),
		WORLD_TEST(descriptions_that_make_no_sense_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
