/* SPDX-License-Identifier: BSD-2-Clause */
/* Bridges: windows, bus numbers, VGA, resets, interrupt pins, and what comes and goes below. */
#include "pci_world.h"

#include <stdio.h>
#include <stdlib.h>

#define PORT BK_PCI_DEVFN(2, 0) /* the bridge, on the root bus */

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

/* Config space of a bus, through ECAM. */
static uint64_t get(struct world *world, unsigned bus, uint8_t devfn, unsigned offset, unsigned width)
{
	uint64_t value;

	bk_space_read(world->memory, ECAM + (bus << 20 | (unsigned)devfn << 12 | offset), width, &value);
	return value;
}

static void put(struct world *world, unsigned bus, uint8_t devfn, unsigned offset, unsigned width,
		uint64_t value)
{
	bk_space_write(world->memory, ECAM + (bus << 20 | (unsigned)devfn << 12 | offset), width, value);
}

static void attach_below(struct part *bridge, struct part *part, uint8_t devfn)
{
	part->devfn = devfn;
	assert_int_equal(bk_pci_function_attach(part->function, bk_pci_bridge_bus(bridge->function), devfn),
			 0);
}

static void numbers(struct world *world, unsigned bus, uint8_t devfn, uint8_t secondary, uint8_t subordinate)
{
	put(world, bus, devfn, 0x18, 4, bus | (unsigned)secondary << 8 | (unsigned)subordinate << 16);
}

static void memory_window(struct world *world, unsigned bus, uint8_t devfn, uint32_t first, uint32_t last)
{
	put(world, bus, devfn, 0x20, 4, (first >> 16 & 0xfff0) | (last & 0xfff00000));
}

static void wide_window(struct world *world, unsigned bus, uint8_t devfn, uint64_t first, uint64_t last)
{
	put(world, bus, devfn, 0x24, 4, (first >> 16 & 0xfff0) | (last & 0xfff00000));
	put(world, bus, devfn, 0x28, 4, first >> 32);
	put(world, bus, devfn, 0x2c, 4, last >> 32);
}

static void io_window(struct world *world, unsigned bus, uint8_t devfn, uint16_t first, uint16_t last)
{
	put(world, bus, devfn, 0x1c, 2, (first >> 8 & 0xf0) | (last & 0xf000));
}

static const struct bk_pci_function_desc plain = { 0 };
static const struct bk_pci_function_desc card = {
	.bars = { MEM32_BAR(0x1000), IO_BAR(0x100), MEM64_BAR(0x10000) },
	.pin = 1,
};

static void bridge_create(struct world *world, struct part *part, unsigned id)
{
	part_create_in(world, part, id, plain, true);
}

static void header_of_a_bridge(void **state)
{
	struct world *world = *state;
	struct bk_pci_function_desc desc = { .bars = { MEM64_BAR(0x1000) },
					     .rom = MEM32_BAR(0x800),
					     .subsystem = 7 };
	struct part bridge;
	struct bk_pci_function *function;
	struct bk_error err;

	part_create_in(world, &bridge, 1, desc, true);
	part_attach(world, &bridge, PORT);
	assert_int_equal(get(world, 0, PORT, 0xe, 1), 1);
	assert_int_equal(get(world, 0, PORT, 0x2c, 4), 0);
	for (unsigned offset = 0x10; offset < 0x40; offset += 4)
		put(world, 0, PORT, offset, 4, 0xffffffff);
	assert_int_equal(get(world, 0, PORT, 0x10, 8), UINT64_C(0xfffffffffffff004));
	assert_int_equal(get(world, 0, PORT, 0x18, 4), 0xffffffff);
	assert_int_equal(get(world, 0, PORT, 0x1c, 4), 0x0000f0f0);
	assert_int_equal(get(world, 0, PORT, 0x20, 8), UINT64_C(0xfff1fff1fff0fff0));
	assert_int_equal(get(world, 0, PORT, 0x28, 8), UINT64_MAX);
	assert_int_equal(get(world, 0, PORT, 0x30, 4), 0);
	assert_int_equal(get(world, 0, PORT, 0x38, 4), 0xfffff801);
	assert_int_equal(get(world, 0, PORT, 0x3c, 4), 0x0bff00ff);
	put(world, 0, PORT, 0x3e, 2, 0);
	put(world, 0, PORT, 4, 2, 2);
	put(world, 0, PORT, 0x10, 8, 0x90000000);
	put(world, 0, PORT, 0x38, 4, 0x90001001);
	assert_memory(world, 0x90000000, WHO(1, 0));
	assert_memory(world, 0x900017ff, WHO(1, BK_PCI_ROM));
	part_destroy(&bridge);

	desc.bars[2] = (struct bk_pci_bar)IO_BAR(4);
	assert_int_equal(bk_pci_bridge_create(world->host, &desc, &function, &err), -EINVAL);
	assert_non_null(strstr(err.text, "BAR 2"));
}

static void windows_open_what_is_below(void **state)
{
	struct world *world = *state;
	struct part bridge, part;

	bridge_create(world, &bridge, 1);
	part_create(world, &part, 2, card);
	attach_below(&bridge, &part, 0);
	part_attach(world, &bridge, PORT);
	assert_null(bk_pci_bridge_bus(part.function));

	/* Bus numbers are a window, too. */
	assert_int_equal(get(world, 1, 0, 0, 4), 0xffffffff);
	numbers(world, 0, PORT, 1, 1);
	assert_int_equal(get(world, 1, 0, 0, 4), 0x10001b36);
	assert_int_equal(get(world, 1, 8, 0, 4), 0xffffffff);
	numbers(world, 0, PORT, 5, 7);
	assert_int_equal(get(world, 1, 0, 0, 4), 0xffffffff);
	assert_int_equal(get(world, 5, 0, 0, 4), 0x10001b36);
	assert_int_equal(get(world, 6, 0, 0, 4), 0xffffffff);
	numbers(world, 0, PORT, 7, 5);
	assert_int_equal(get(world, 7, 0, 0, 4), 0xffffffff);
	numbers(world, 0, PORT, 0, 5); /* the root bus's own number: nothing below shows */
	assert_int_equal(get(world, 0, 0, 0, 4), 0xffffffff);
	assert_int_equal(get(world, 0, PORT, 0xe, 1), 1);
	numbers(world, 0, PORT, 255, 255);
	assert_int_equal(get(world, 255, 0, 0, 4), 0x10001b36);

	put(world, 255, 0, 4, 2, 3);
	put(world, 255, 0, BAR(0), 4, 0x90000000);
	put(world, 255, 0, BAR(1), 4, 0x4000);
	put(world, 255, 0, BAR(2), 8, UINT64_C(0x1200000000));
	assert_memory(world, 0x90000000, NOBODY);
	put(world, 0, PORT, 4, 2, 3); /* closed at reset */
	assert_memory(world, 0x90000000, NOBODY);
	assert_port(world, 0x4000, NOBODY);
	memory_window(world, 0, PORT, 0x90000000, 0x900fffff);
	assert_memory(world, 0x90000fff, WHO(2, 0));
	io_window(world, 0, PORT, 0x4000, 0x4fff);
	assert_port(world, 0x40ff, WHO(2, 1));
	wide_window(world, 0, PORT, UINT64_C(0x1200000000), UINT64_C(0x12000fffff));
	assert_memory(world, UINT64_C(0x120000ffff), WHO(2, 2));
	/* Non-prefetchable registers may be in the prefetchable window: addresses alone decide. */
	put(world, 255, 0, BAR(0), 4, 0x91000000);
	assert_memory(world, 0x91000000, NOBODY);
	wide_window(world, 0, PORT, 0x91000000, 0x910fffff);
	assert_memory(world, 0x91000000, WHO(2, 0));
	put(world, 255, 0, BAR(0), 4, 0x90000000);

	/* Gates: COMMAND of the bridge, and a base above its limit. */
	put(world, 0, PORT, 4, 2, 1);
	assert_memory(world, 0x90000000, NOBODY);
	assert_port(world, 0x4000, WHO(2, 1));
	put(world, 0, PORT, 4, 2, 2);
	assert_memory(world, 0x90000000, WHO(2, 0));
	assert_port(world, 0x4000, NOBODY);
	memory_window(world, 0, PORT, 0x90100000, 0x900fffff);
	assert_memory(world, 0x90000000, NOBODY);
	memory_window(world, 0, PORT, 0x80000000, 0xfff00000);
	assert_memory(world, 0x90000000, WHO(2, 0));
	assert_memory(world, IOAPIC, CHIP);
	put(world, 255, 0, BAR(2), 8, ~UINT64_C(0xffff) << 20);
	wide_window(world, 0, PORT, UINT64_C(0xfffffff000000000), UINT64_MAX);
	assert_memory(world, UINT64_C(0xfffffff000000000), WHO(2, 2));
	wide_window(world, 0, PORT, 0, UINT64_MAX); /* and back over everything */
	assert_memory(world, UINT64_C(0xfffffff000000000), WHO(2, 2));
	assert_memory(world, 0, RAM);
	part_destroy(&part);
	part_destroy(&bridge);
}

static void F02_windows_clip_and_overlap(void **state)
{
	struct world *world = *state;
	struct part bridge, part, neighbour;
	struct bk_pci_function_desc large = { .bars = { MEM32_BAR(0x400000) } };

	bridge_create(world, &bridge, 1);
	part_create(world, &part, 2, large);
	part_create(world, &neighbour, 3, large);
	part_attach(world, &bridge, PORT);
	attach_below(&bridge, &part, 0);
	numbers(world, 0, PORT, 1, 1);
	put(world, 0, PORT, 4, 2, 2);
	put(world, 1, 0, BAR(0), 4, 0x90000000);
	put(world, 1, 0, 4, 2, 2);
	memory_window(world, 0, PORT, 0x90100000, 0x902fffff); /* the middle of the BAR */
	assert_memory(world, 0x900fffff, NOBODY);
	assert_memory(world, 0x90100000, WHO(2, 0));
	assert_memory(world, 0x902fffff, WHO(2, 0));
	assert_memory(world, 0x90300000, NOBODY);
	part.answers[0].offset = 0;
	bk_space_write(world->memory, 0x90100000, 4, 1);
	assert_int_equal(part.answers[0].offset, 0x100000);

	/* A BAR of the root bus on the window, above it (slot 1) and below it (slot 3). */
	part_attach(world, &neighbour, BK_PCI_DEVFN(3, 0));
	put(world, 0, neighbour.devfn, BAR(0), 4, 0x90000000);
	put(world, 0, neighbour.devfn, 4, 2, 2);
	assert_memory(world, 0x900fffff, WHO(3, 0));
	assert_memory(world, 0x90100000, WHO(2, 0));
	assert_memory(world, 0x90300000, WHO(3, 0));
	put(world, 1, 0, 4, 2, 0); /* nobody in the window: the lower shows through */
	assert_memory(world, 0x90100000, WHO(3, 0));
	put(world, 1, 0, 4, 2, 2);
	bk_pci_function_detach(neighbour.function);
	part_attach(world, &neighbour, BK_PCI_DEVFN(1, 0));
	assert_memory(world, 0x90100000, WHO(3, 0));
	part_destroy(&neighbour);
	assert_memory(world, 0x90100000, WHO(2, 0));
	part_destroy(&part);
	part_destroy(&bridge);
}

static void bridges_below_bridges(void **state)
{
	struct world *world = *state;
	struct part outer, inner, part;
	uint64_t value;

	bridge_create(world, &outer, 1);
	bridge_create(world, &inner, 2);
	part_create(world, &part, 3, card);
	attach_below(&inner, &part, BK_PCI_DEVFN(4, 0));
	attach_below(&outer, &inner, BK_PCI_DEVFN(3, 0));
	assert_int_equal(bk_pci_function_intx_line(part.function), -ENOENT);
	part_attach(world, &outer, PORT);
	/* INTA# of slot 4, then slot 3, then slot 2: 0 + 4 + 3 + 2. */
	assert_int_equal(bk_pci_function_intx_line(part.function), 1);

	numbers(world, 0, PORT, 1, 2);
	assert_int_equal(get(world, 1, BK_PCI_DEVFN(3, 0), 0xe, 1), 1);
	assert_int_equal(get(world, 2, BK_PCI_DEVFN(4, 0), 0, 4), 0xffffffff);
	numbers(world, 1, BK_PCI_DEVFN(3, 0), 2, 2);
	assert_int_equal(get(world, 2, BK_PCI_DEVFN(4, 0), 0, 4), 0x10001b36);
	bk_space_write(world->ports, 0xcf8, 4, 0x80022000);
	bk_space_read(world->ports, 0xcfc, 4, &value);
	assert_int_equal(value, 0x10001b36);
	numbers(world, 0, PORT, 1, 1); /* the outer one does not forward bus 2 */
	assert_int_equal(get(world, 2, BK_PCI_DEVFN(4, 0), 0, 4), 0xffffffff);
	numbers(world, 0, PORT, 0x11, 0x1f);
	numbers(world, 0x11, BK_PCI_DEVFN(3, 0), 0x11, 0x12); /* the bus it is on wins */
	assert_int_equal(get(world, 0x11, BK_PCI_DEVFN(3, 0), 0xe, 1), 1);
	numbers(world, 0x11, BK_PCI_DEVFN(3, 0), 0x12, 0x12);
	put(world, 0x12, BK_PCI_DEVFN(4, 0), BAR(0), 4, 0x90000000);
	put(world, 0x12, BK_PCI_DEVFN(4, 0), 4, 2, 2);
	put(world, 0, PORT, 4, 2, 2);
	put(world, 0x11, BK_PCI_DEVFN(3, 0), 4, 2, 2);
	memory_window(world, 0x11, BK_PCI_DEVFN(3, 0), 0x90000000, 0x900fffff);
	assert_memory(world, 0x90000000, NOBODY);
	memory_window(world, 0, PORT, 0x90000000, 0x90000000);
	assert_memory(world, 0x90000000, WHO(3, 0));

	/* The whole branch is pulled, and comes back in another slot. */
	bk_pci_function_set_intx(part.function, true);
	assert_true(world->lines[1]);
	bk_pci_function_detach(outer.function);
	assert_false(world->lines[1]);
	assert_memory(world, 0x90000000, NOBODY);
	assert_int_equal(get(world, 0x12, BK_PCI_DEVFN(4, 0), 0, 4), 0xffffffff);
	assert_int_equal(bk_pci_function_destroy(outer.function), -EBUSY); /* not empty */
	part_attach(world, &outer, BK_PCI_DEVFN(5, 0));
	assert_true(world->lines[0]);
	assert_memory(world, 0x90000000, WHO(3, 0));
	assert_int_equal(get(world, 0x12, BK_PCI_DEVFN(4, 0), 0, 4), 0x10001b36);
	part_destroy(&part);
	part_destroy(&inner);
	bk_pci_function_detach(outer.function);
	assert_int_equal(bk_pci_host_destroy(world->host), -EBUSY); /* the bridge is of this host */
	part_destroy(&outer);
}

static void F19_bus_resets(void **state)
{
	struct world *world = *state;
	struct part outer, inner, part;
	const uint8_t slot = BK_PCI_DEVFN(3, 0);

	bridge_create(world, &outer, 1);
	bridge_create(world, &inner, 2);
	part_create(world, &part, 3, card);
	part_attach(world, &outer, PORT);
	attach_below(&outer, &inner, slot);
	attach_below(&inner, &part, 0);
	for (unsigned how = 0; how < 3; how++) {
		numbers(world, 0, PORT, 1, 2);
		numbers(world, 1, slot, 2, 2);
		put(world, 2, 0, BAR(0), 4, 0x90000000);
		put(world, 2, 0, 4, 2, 2);
		put(world, 0, PORT, 4, 2, 2);
		put(world, 1, slot, 4, 2, 2);
		memory_window(world, 0, PORT, 0x90000000, 0x900fffff);
		memory_window(world, 1, slot, 0x90000000, 0x900fffff);
		assert_memory(world, 0x90000000, WHO(3, 0));
		assert_int_equal(part.resets, how);
		if (how == 0) {
			put(world, 0, PORT, 0x3e, 2, 0x40);
			assert_int_equal(outer.resets, 0);
			assert_int_equal(get(world, 1, slot, 0, 4), 0xffffffff); /* held in reset */
			put(world, 0, PORT, 0x3e, 2, 0x40);
			assert_int_equal(part.resets, 1);
			put(world, 0, PORT, 0x3e, 2, 0);
			assert_int_equal(get(world, 1, slot, 4, 2), 0);
			assert_int_equal(get(world, 0, PORT, 0x19, 1), 1);
		} else if (how == 1) {
			put(world, 1, slot, 0x3e, 1, 0x40);
			assert_int_equal(get(world, 1, slot, 0x19, 1), 2);
			put(world, 1, slot, 0x3e, 1, 0);
			assert_int_equal(inner.resets, 1);
		} else {
			assert_int_equal(bk_pci_function_reset(outer.function), 0);
			assert_int_equal(outer.resets, 1);
			assert_int_equal(get(world, 0, PORT, 0x18, 4), 0);
			assert_int_equal(get(world, 0, PORT, 0x20, 4), 0xfff0);
		}
		assert_int_equal(part.resets, how + 1);
		assert_int_equal(part.command, 0);
		assert_memory(world, 0x90000000, NOBODY);
	}
	part_destroy(&part);
	part_destroy(&inner);
	part_destroy(&outer);
}

static void power_state_shuts_a_bridge(void **state)
{
	struct world *world = *state;
	struct part bridge, part;
	unsigned pm;

	bridge_create(world, &bridge, 1);
	pm = (unsigned)bk_pci_pm_add(bridge.function, 0, 3, true);
	part_create(world, &part, 2, card);
	part_attach(world, &bridge, PORT);
	attach_below(&bridge, &part, 0);
	numbers(world, 0, PORT, 1, 1);
	put(world, 0, PORT, 4, 2, 2);
	memory_window(world, 0, PORT, 0x90000000, 0x900fffff);
	put(world, 1, 0, BAR(0), 4, 0x90000000);
	put(world, 1, 0, 4, 2, 2);
	for (unsigned d = 0; d < 4; d += 3) {
		put(world, 0, PORT, pm + 4, 1, d);
		assert_memory(world, 0x90000000, d ? NOBODY : WHO(2, 0));
		assert_int_equal(get(world, 1, 0, 0, 2), d ? 0xffff : 0x1b36);
	}
	put(world, 0, PORT, pm + 4, 1, 0);
	assert_memory(world, 0x90000000, WHO(2, 0));
	part_destroy(&part);
	part_destroy(&bridge);
}

/* ---- Description -------------------------------------------------------- */

static void assert_described(struct world *world, enum bk_format format, const char *expected)
{
	size_t length;
	char *text;
	FILE *out = open_memstream(&text, &length);

	assert_int_equal(bk_pci_host_describe(world->host, format, bk_sink_file, out), 0);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
}

static void description_tells_what_no_window_reaches(void **state)
{
	struct world *world = *state;
	struct bk_pci_function_desc desc = {
		.name = "a \"card\"",
		.bars = { MEM32_BAR(0x400000), IO_BAR(0x10), MEM64_BAR(0x1000) },
		.rom = MEM32_BAR(0x800),
	};
	struct part bridge, part;

	assert_described(world, BK_FORMAT_TEXT, "bus 00\n");
	bridge_create(world, &bridge, 1);
	part_create(world, &part, 2, desc);
	part_attach(world, &bridge, PORT);
	attach_below(&bridge, &part, 8);
	numbers(world, 0, PORT, 1, 1);
	put(world, 0, PORT, 4, 2, 2);
	memory_window(world, 0, PORT, 0x90100000, 0x902fffff);
	put(world, 1, 8, BAR(0), 4, 0x90000000);
	put(world, 1, 8, BAR(1), 4, 0x100);
	put(world, 1, 8, BAR(2), 4, 0x90200000);
	put(world, 1, 8, 4, 2, 3);
	assert_described(world, BK_FORMAT_TEXT,
			 "bus 00\n"
			 "  00:02.0 f1 1b36:1000\n"
			 "    window memory 0x90100000-0x902fffff\n"
			 "    01:01.0 a \"card\" 1b36:1000\n"
			 "      BAR 0 32-bit memory at 0x90000000-0x903fffff\n"
			 "        0x90000000-0x900fffff is in no window\n"
			 "        0x90300000-0x903fffff is in no window\n"
			 "      BAR 1 I/O at 0x00000100-0x0000010f\n"
			 "        0x00000100-0x0000010f is in no window\n"
			 "      BAR 2 64-bit memory at 0x90200000-0x90200fff\n"
			 "      BAR 6 expansion ROM at 0x00000000-0x000007ff, off: register 0x30 holds "
			 "0x0: the ROM's enable bit is off\n");
	part_destroy(&part);
	part_create(world, &part, 3,
		    (struct bk_pci_function_desc){ .name = "a \"b\"", .bars = { MEM32_BAR(0x400000) } });
	attach_below(&bridge, &part, 8);
	put(world, 1, 8, BAR(0), 4, 0x90000000);
	put(world, 1, 8, 4, 2, 2);
	assert_described(world, BK_FORMAT_JSON,
			 "{\"bus\": \"00\", \"functions\": [\n"
			 "  {\"address\": \"00:02.0\", \"name\": \"f1\", \"vendor\": \"0x1b36\", \"device\": "
			 "\"0x1000\", "
			 "\"bars\": [], \"windows\": [\n"
			 "    {\"first\": \"0x90100000\", \"last\": \"0x902fffff\", \"kind\": \"memory\"}], "
			 "\"functions\": [\n"
			 "    {\"address\": \"01:01.0\", \"name\": \"a \\\"b\\\"\", \"vendor\": \"0x1b36\", "
			 "\"device\": "
			 "\"0x1000\", \"bars\": [\n"
			 "      {\"first\": \"0x90000000\", \"last\": \"0x903fffff\", \"bar\": 0, \"kind\": "
			 "\"32-bit memory\", "
			 "\"decodes\": true, \"unreachable\": [\n"
			 "        {\"first\": \"0x90000000\", \"last\": \"0x900fffff\"},\n"
			 "        {\"first\": \"0x90300000\", \"last\": \"0x903fffff\"}]}]}]}]}\n");
	part_destroy(&part);
	part_destroy(&bridge);
}

/* ---- Upstream ----------------------------------------------------------- */

static void got_vector(void *opaque, unsigned vector, const struct bk_pci_message *message)
{
	*(uint64_t *)opaque = message ? message->address : 0;
}

/* PCI-to-PCI Bridge 1.2, 3.2.4.3: without Bus Master a bridge forwards no memory write from below. */
static void what_is_below_sends_through_bus_masters_only(void **state)
{
	static const struct bk_pci_irq_ops ops = { .vector = got_vector };
	const uint8_t slot = BK_PCI_DEVFN(3, 0);
	struct world *world = *state;
	struct part outer, inner, part;
	unsigned msi, pm;
	uint64_t told = 0;

	bridge_create(world, &outer, 1);
	pm = (unsigned)bk_pci_pm_add(outer.function, 0, 3, true);
	bridge_create(world, &inner, 2);
	part_create(world, &part, 3, card);
	msi = (unsigned)bk_pci_msi_add(part.function, 0, 1, false, false);
	attach_below(&inner, &part, 0);
	attach_below(&outer, &inner, slot);
	part_attach(world, &outer, PORT);
	numbers(world, 0, PORT, 1, 2);
	numbers(world, 1, slot, 2, 2);
	put(world, 2, 0, msi + 4, 4, 0xfee00000);
	put(world, 2, 0, msi + 2, 2, 1);
	put(world, 2, 0, 4, 2, 4);
	assert_int_equal(part.command, 0); /* its owner must not let it reach memory */
	assert_int_equal(get(world, 2, 0, 4, 2), 4);
	assert_int_equal(bk_pci_function_send_msi(part.function, 0), 0);
	put(world, 0, PORT, 4, 2, 4);
	assert_int_equal(world->message_count, 0);
	assert_int_equal(part.command, 0);
	put(world, 1, slot, 4, 2, 4); /* the last one: what waited is sent */
	assert_int_equal(world->message_count, 1);
	assert_int_equal(part.command, 4);
	assert_int_equal(bk_pci_function_send_msi(part.function, 0), 0);
	assert_int_equal(world->message_count, 2);

	/* Every way to shut one of them. */
	for (unsigned how = 0; how < 5; how++) {
		if (how == 0)
			put(world, 0, PORT, 4, 2, 0);
		else if (how == 1)
			put(world, 0, PORT, pm + 4, 2, 3);
		else if (how == 2)
			put(world, 1, slot, 4, 2, 0);
		else if (how == 3)
			bk_pci_function_detach(outer.function);
		else
			bk_pci_function_detach(inner.function);
		assert_int_equal(part.command, 0);
		assert_int_equal(bk_pci_function_send_msi(part.function, 0), 0);
		assert_int_equal(world->message_count, 2 + how);
		if (how == 0)
			put(world, 0, PORT, 4, 2, 4);
		else if (how == 1)
			put(world, 0, PORT, pm + 4, 2, 0);
		else if (how == 2)
			put(world, 1, slot, 4, 2, 4);
		else if (how == 3)
			part_attach(world, &outer, PORT);
		else
			attach_below(&outer, &inner, slot);
		assert_int_equal(part.command, 4);
		assert_int_equal(world->message_count, 3 + how);
	}

	/* One whose interrupts come from outside is told to be silent. */
	bk_pci_function_set_irq_ops(part.function, &ops, &told);
	assert_int_equal(told, 0xfee00000);
	put(world, 0, PORT, 4, 2, 0);
	assert_int_equal(told, 0);
	put(world, 0, PORT, 4, 2, 4);
	assert_int_equal(told, 0xfee00000);
	put(world, 2, 0, 4, 2, 0); /* its own Bus Master is its own affair */
	assert_int_equal(told, 0xfee00000);
	put(world, 0, PORT, 4, 2, 0);
	assert_int_equal(told, 0);
	part_destroy(&part);
	part_destroy(&inner);
	part_destroy(&outer);
}

/* ---- Any writes at all --------------------------------------------------- */

static void any_writes_to_bridges_are_defined(void **state)
{
	struct world *world = *state;
	struct part bridges[4], parts[4];

	for (unsigned i = 0; i < 4; i++) {
		bridge_create(world, &bridges[i], i + 1);
		part_create(world, &parts[i], i + 11, card);
		attach_below(&bridges[i], &parts[i], (uint8_t)(i * 8));
	}
	part_attach(world, &bridges[0], 0x10);
	part_attach(world, &bridges[1], 0x11);
	attach_below(&bridges[0], &bridges[2], 0x20);
	attach_below(&bridges[2], &bridges[3], 0x28);
	srand(7);
	for (unsigned i = 0; i < 30000; i++) {
		struct part *part = rand() % 4 ? &bridges[rand() % 4] : &parts[rand() % 4];
		static const unsigned widths[] = { 1, 2, 4 };
		unsigned width = widths[rand() % 3], offset = (unsigned)rand() % (0x40 - width);
		uint64_t value = rand() % 3 ? (uint64_t)rand() * 7 : rand() % 2 ? UINT64_MAX : 0;
		uint64_t back;

		if (rand() % 4 == 0)
			offset = 4, width = 2, value = 7;
		assert_int_equal(bk_pci_function_write(part->function, offset, width, value), 0);
		bk_space_read(world->memory, (uint64_t)rand() * 3, 8, &back);
		bk_space_write(world->ports, (uint64_t)rand() & 0xffff, 4, value);
		assert_memory(world, 0, RAM);
		assert_memory(world, 0x7fffffff, RAM);
		assert_memory(world, IOAPIC, CHIP);
	}
	/* And it can still be set right. */
	for (unsigned i = 0; i < 4; i++) {
		bk_pci_function_reset(bridges[i].function);
		bk_pci_function_reset(parts[i].function);
	}
	numbers(world, 0, 0x10, 1, 3);
	numbers(world, 1, 0x20, 2, 3);
	numbers(world, 2, 0x28, 3, 3);
	put(world, 3, 24, BAR(0), 4, 0x90000000);
	put(world, 3, 24, 4, 2, 2);
	for (unsigned i = 0; i < 3; i++) {
		const unsigned bus[] = { 0, 1, 2 }, devfn[] = { 0x10, 0x20, 0x28 };

		put(world, bus[i], (uint8_t)devfn[i], 4, 2, 2);
		memory_window(world, bus[i], (uint8_t)devfn[i], 0x90000000, 0x90000000);
	}
	assert_memory(world, 0x90000000, WHO(14, 0));
	for (unsigned i = 4; i--;) {
		part_destroy(&parts[i]);
		part_destroy(&bridges[i]);
	}
}

/* A reader of the description that writes config space: no lock may be held while it is written. */
static ssize_t write_config(void *opaque, const char *text, size_t size)
{
	config_write(opaque, BK_PCI_DEVFN(1, 0), 4, 2, 2);
	return (ssize_t)size;
}

static void a_description_is_written_without_a_lock(void **state)
{
	struct world *world = *state;
	FILE *out = fopencookie(world, "w", (cookie_io_functions_t){ .write = write_config });
	struct part bridge;

	part_create_in(world, &bridge, 1, (struct bk_pci_function_desc){ 0 }, true);
	part_attach(world, &bridge, BK_PCI_DEVFN(1, 0));
	assert_non_null(out);
	setvbuf(out, NULL, _IONBF, 0);
	assert_int_equal(bk_pci_host_describe(world->host, BK_FORMAT_JSON, bk_sink_file, out), 0);
	fclose(out);
	assert_int_equal(bridge.command, 2);
	part_destroy(&bridge);
}

/* Its locks are those of its own hierarchy. */
enum { EXPRESS = 0x40 };

static void express(struct part *part, unsigned type)
{
	const uint8_t bytes[60] = { [2] = (uint8_t)(type << 4 | 2) };

	assert_int_equal(bk_pci_express_add(part->function, EXPRESS, bytes, 60), EXPRESS);
}

/* What a guest finds of the card at 0x100, below buses 1 and 2. */
static uint64_t extended_of(struct world *world)
{
	uint64_t value, low;

	assert_int_equal(bk_space_read(world->memory, ECAM + (2 << 20), 4, &low), 0);
	assert_int_equal(low, 0x10001b36);
	assert_int_equal(bk_space_read(world->memory, ECAM + (2 << 20) + 0xff, 1, &low), 0);
	assert_int_equal(low, 0);
	assert_int_equal(bk_space_read(world->memory, ECAM + (2 << 20) + 0x100, 4, &value), 0);
	assert_int_equal(bk_space_read(world->memory, ECAM + (2 << 20) + 0xffc, 4, &low), 0);
	assert_int_equal(low, value == UINT32_MAX ? UINT32_MAX : 0);
	return value;
}

static void extended_config_space_is_behind_ports_only(void **state)
{
	/* Types of the upper and the lower bridge; -1 is a conventional one. */
	static const struct {
		int upper, lower;
		bool reached;
	} ways[] = {
		{ 4, 5, true }, { 4, 7, false }, { -1, 4, false }, { -1, -1, false },
		{ 5, 6, true }, { 8, 6, true },  { 4, 0, false },  { 7, 8, false },
	};
	struct world *world = world_create(NULL);
	struct part upper, lower, card;

	for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		const uint64_t want = ways[i].reached ? 0x00010003 : UINT32_MAX;

		bridge_create(world, &upper, 1);
		bridge_create(world, &lower, 2);
		part_create(world, &card, 3, (struct bk_pci_function_desc){ .extended = true });
		assert_int_equal(bk_pci_serial_add(card.function, 0, 5), 0x100);
		if (ways[i].lower >= 0)
			express(&lower, (unsigned)ways[i].lower);
		/* From below and from above, what the upper one is known before or after. */
		if (ways[i].upper >= 0 && i % 2)
			express(&upper, (unsigned)ways[i].upper);
		if (i % 4 < 2)
			attach_below(&lower, &card, 0);
		part_attach(world, &upper, 8);
		attach_below(&upper, &lower, 0);
		if (i % 4 >= 2)
			attach_below(&lower, &card, 0);
		if (ways[i].upper >= 0 && !(i % 2))
			express(&upper, (unsigned)ways[i].upper);
		numbers(world, 0, 8, 1, 2);
		numbers(world, 1, 0, 2, 2);
		assert_int_equal(extended_of(world), want);
		/* Without the capability it is conventional. */
		if (ways[i].upper >= 0) {
			assert_int_equal(bk_pci_capability_remove(upper.function, EXPRESS), 0);
			assert_int_equal(extended_of(world), UINT32_MAX);
			express(&upper, (unsigned)ways[i].upper);
			assert_int_equal(extended_of(world), want);
		}
		/* And elsewhere it is another way. */
		bk_pci_function_detach(lower.function);
		assert_int_equal(bk_pci_function_attach(lower.function, world->bus, 0), 0);
		numbers(world, 0, 0, 2, 2);
		assert_int_equal(extended_of(world),
				 ways[i].lower >= 4 && ways[i].lower != 7 ? 0x00010003 : UINT32_MAX);
		part_destroy(&card);
		part_destroy(&lower);
		part_destroy(&upper);
	}
	world_destroy(world);
}

static uint16_t requester_of(struct world *world, struct part *card)
{
	const unsigned before = world->message_count;

	assert_int_equal(bk_pci_function_send_msi(card->function, 0), 0);
	assert_int_equal(world->message_count, before + 1);
	return world->messages[before].requester;
}

/* Behind a port a card speaks for itself, on a conventional bus the bridge does. */
static void messages_tell_who_requests(void **state)
{
	static const struct {
		int upper, lower;
		uint16_t requester;
	} ways[] = {
		{ 4, 5, 0x0208 },  { 4, 7, 0x0200 },   { 4, -1, 0x0110 },
		{ 7, -1, 0x0100 }, { -1, -1, 0x0040 }, { -1, 8, 0x0040 },
	};
	struct world *world = world_create(NULL);
	struct part upper, lower, card;
	unsigned msi;

	for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		bridge_create(world, &upper, 1);
		bridge_create(world, &lower, 2);
		part_create(world, &card, 3, (struct bk_pci_function_desc){ 0 });
		msi = (unsigned)bk_pci_msi_add(card.function, 0, 1, false, false);
		if (ways[i].lower >= 0)
			express(&lower, (unsigned)ways[i].lower);
		if (ways[i].upper >= 0)
			express(&upper, (unsigned)ways[i].upper);
		part_attach(world, &upper, 0x40);
		attach_below(&upper, &lower, 0x10);
		attach_below(&lower, &card, 0x08);
		numbers(world, 0, 0x40, 1, 2);
		numbers(world, 1, 0x10, 2, 2);
		put(world, 0, 0x40, 4, 2, 4);
		put(world, 1, 0x10, 4, 2, 4);
		put(world, 2, 0x08, msi + 4, 4, 0xfee00000);
		put(world, 2, 0x08, msi + 2, 2, 1);
		put(world, 2, 0x08, 4, 2, 4);
		assert_int_equal(requester_of(world, &card), ways[i].requester);

		/* Other numbers, as the guest likes. */
		numbers(world, 0, 0x40, 5, 7);
		numbers(world, 5, 0x10, 7, 7);
		assert_int_equal(requester_of(world, &card) & 0xff, ways[i].requester & 0xff);
		assert_int_equal(requester_of(world, &card) >> 8, ways[i].requester >> 8 == 2   ? 7
								  : ways[i].requester >> 8 == 1 ? 5
												: 0);
		part_destroy(&card);
		part_destroy(&lower);
		part_destroy(&upper);
	}
	/* On the host's own bus. */
	part_create(world, &card, 3, (struct bk_pci_function_desc){ 0 });
	msi = (unsigned)bk_pci_msi_add(card.function, 0, 1, false, false);
	part_attach(world, &card, 0x18);
	put(world, 0, 0x18, msi + 2, 2, 1);
	put(world, 0, 0x18, 4, 2, 4);
	assert_int_equal(requester_of(world, &card), 0x18);
	part_destroy(&card);
	world_destroy(world);
}

static void a_bridge_stays_in_its_hierarchy(void **state)
{
	struct world *world = *state;
	const struct bk_pci_host_desc desc = { .domain = world->domain };
	struct bk_pci_host *other;
	struct part bridge;

	assert_int_equal(bk_pci_host_create(&desc, &other, NULL), 0);
	part_create_in(world, &bridge, 1, (struct bk_pci_function_desc){ 0 }, true);
	assert_int_equal(bk_pci_function_attach(bridge.function, bk_pci_host_bus(other), 8), -EXDEV);
	assert_int_equal(bk_pci_host_destroy(other), 0);
	part_attach(world, &bridge, BK_PCI_DEVFN(1, 0));
	part_destroy(&bridge);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(header_of_a_bridge),
		WORLD_TEST(windows_open_what_is_below),
		WORLD_TEST(F02_windows_clip_and_overlap),
		WORLD_TEST(bridges_below_bridges),
		WORLD_TEST(F19_bus_resets),
		WORLD_TEST(what_is_below_sends_through_bus_masters_only),
		WORLD_TEST(power_state_shuts_a_bridge),
		WORLD_TEST(description_tells_what_no_window_reaches),
		WORLD_TEST(any_writes_to_bridges_are_defined),
		WORLD_TEST(a_description_is_written_without_a_lock),
		cmocka_unit_test(extended_config_space_is_behind_ports_only),
		cmocka_unit_test(messages_tell_who_requests),
		WORLD_TEST(a_bridge_stays_in_its_hierarchy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
