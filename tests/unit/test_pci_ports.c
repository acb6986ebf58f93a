/* SPDX-License-Identifier: BSD-2-Clause */
/* Ports of old: 0xcf8 and 0xcfc, VGA and its aliases, ISA cards behind a bridge. */
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
static void put(struct world *world, unsigned bus, uint8_t devfn, unsigned offset, unsigned width,
		uint64_t value)
{
	assert_int_equal(bk_space_write(world->memory, ECAM + (bus << 20 | (unsigned)devfn << 12 | offset),
					width, value),
			 0);
}

static void bridge_create(struct world *world, struct part *bridge)
{
	part_create_in(world, bridge, 1, (struct bk_pci_function_desc){ 0 }, true);
	part_attach(world, bridge, PORT);
	put(world, 0, PORT, 0x18, 4, 0x010100);
}

static void attach_below(struct part *bridge, struct part *part, uint8_t devfn)
{
	part->devfn = devfn;
	assert_int_equal(bk_pci_function_attach(part->function, bk_pci_bridge_bus(bridge->function), devfn),
			 0);
}

/* ---- VGA --------------------------------------------------------------- */

static void tune_vga(struct bk_pci_host_desc *desc)
{
	WINDOWS(desc)
	[3] = (struct bk_pci_window){ BK_PCI_WINDOW_MEMORY, desc->ecam, 0xa0000, 0xbffff, 0xa0000, 20 };
	WINDOWS(desc)[4] = (struct bk_pci_window){ BK_PCI_WINDOW_IO, desc->ports, 0x3b0, 0x3df, 0x3b0, 0 };
	desc->window_count = 5;
}

/* Two spaces that answer as BARs 0 and 1 of a function that has none. */
static void vga_create(struct world *world, struct part *lender, struct part *vga, unsigned id)
{
	part_create(world, lender, id,
		    (struct bk_pci_function_desc){ .bars = { MEM32_BAR(0x20000), IO_BAR(0x40) } });
	part_create(world, vga, id + 1,
		    (struct bk_pci_function_desc){
			    .class_code = 0x030000,
			    .vga_memory = lender->spaces[0],
			    .vga_io = lender->spaces[1],
		    });
}

static void vga_ranges_follow_command_and_enables(void **state)
{
	struct world *world = world_create(tune_vga);
	struct part bridge, one, one_spaces, other, other_spaces;

	bridge_create(world, &bridge);
	vga_create(world, &one_spaces, &one, 2);
	vga_create(world, &other_spaces, &other, 4);
	attach_below(&bridge, &one, 0);
	part_attach(world, &other, BK_PCI_DEVFN(7, 0));
	assert_memory(world, 0xa0000, RAM); /* nobody in the window: what is below shows */
	put(world, 0, other.devfn, 4, 2, 3);
	assert_memory(world, 0xa0000, WHO(4, 0));
	assert_memory(world, 0xbffff, WHO(4, 0));
	for (unsigned port = 0x3b0; port <= 0x3df; port++)
		assert_port(world, port, port >= 0x3bc && port <= 0x3bf ? NOBODY : WHO(4, 1));
	bk_space_write(world->ports, 0x3c5, 1, 0);
	assert_int_equal(other_spaces.answers[1].offset, 0x15);

	put(world, 1, 0, 4, 2, 3);
	put(world, 0, PORT, 4, 2, 3);
	assert_memory(world, 0xa0000, WHO(4, 0));
	put(world, 0, PORT, 0x3e, 2, 8); /* VGA Enable: both now, the lower slot wins */
	assert_memory(world, 0xa0000, WHO(2, 0));
	assert_port(world, 0x3c0, WHO(2, 1));
	bk_space_write(world->ports, 0x3c5, 1, 0);
	assert_int_equal(one_spaces.answers[1].offset, 0x15);
	put(world, 0, PORT, 4, 2, 2);
	assert_memory(world, 0xa0000, WHO(2, 0));
	assert_port(world, 0x3c0, WHO(4, 1));
	put(world, 1, 0, 4, 2, 1);
	assert_memory(world, 0xa0000, WHO(4, 0));
	put(world, 0, other.devfn, 4, 2, 0);
	assert_memory(world, 0xa0000, RAM);
	assert_port(world, 0x3c0, NOBODY);
	part_destroy(&one);
	part_destroy(&other);
	part_destroy(&bridge);
	part_destroy(&one_spaces);
	part_destroy(&other_spaces);
	world_destroy(world);
}

/* ---- Aliases, and ISA --------------------------------------------------- */

/* A card with 1 KiB of ports behind a bridge, which forwards 0x1000-0x2fff. */
static void card_behind(struct world *world, struct part *bridge, struct part *part)
{
	bridge_create(world, bridge);
	part_create(world, part, 2,
		    (struct bk_pci_function_desc){ .bars = { IO_BAR(0x400), IO_BAR(0x400) } });
	attach_below(bridge, part, 0);
	put(world, 1, 0, BAR(0), 4, 0x1000);
	put(world, 1, 0, BAR(1), 4, 0x8400);
	put(world, 1, 0, 4, 2, 1);
	put(world, 0, PORT, 4, 2, 1);
	put(world, 0, PORT, 0x1c, 2, 0x2010);
}

static void card_gone(struct part *bridge, struct part *part)
{
	part_destroy(part);
	part_destroy(bridge);
}

static void isa_enable_takes_three_quarters_of_the_window(void **state)
{
	struct world *world = *state;
	struct part bridge, part;

	card_behind(world, &bridge, &part);
	for (unsigned port = 0x1000; port < 0x1400; port++)
		assert_port(world, port, WHO(2, 0));
	put(world, 0, PORT, 0x3e, 2, 4);
	for (unsigned port = 0x1000; port < 0x1400; port++)
		assert_port(world, port, port < 0x1100 ? WHO(2, 0) : NOBODY);
	bk_space_write(world->ports, 0x10fc, 4, 0);
	assert_int_equal(part.answers[0].offset, 0xfc);
	put(world, 1, 0, BAR(0), 4, 0x2c00); /* the card follows, in the second window's kind too */
	assert_port(world, 0x1000, NOBODY);
	assert_port(world, 0x2c00, WHO(2, 0));
	assert_port(world, 0x2cff, WHO(2, 0));
	assert_port(world, 0x2d00, NOBODY);
	put(world, 0, PORT, 0x1c, 2, 0x1010); /* and the window */
	assert_port(world, 0x2c00, NOBODY);
	put(world, 0, PORT, 0x1c, 2, 0x2010);
	put(world, 0, PORT, 4, 2, 0);
	assert_port(world, 0x2c00, NOBODY);
	put(world, 0, PORT, 4, 2, 1);
	put(world, 0, PORT, 0x3e, 2, 0);
	assert_port(world, 0x2d00, WHO(2, 0));
	card_gone(&bridge, &part);
}

static void vga_aliases_pass_unless_16_bits_are_decoded(void **state)
{
	struct world *world = *state;
	struct part bridge, part;

	card_behind(world, &bridge, &part);
	assert_port(world, 0x87c0, NOBODY); /* 0x8400-0x87ff is in no window */
	put(world, 0, PORT, 0x3e, 2, 8);
	for (unsigned port = 0x8400; port < 0x8800; port++) {
		unsigned low = port & 0x3ff;
		bool alias = (low >= 0x3b0 && low <= 0x3bb) || (low >= 0x3c0 && low <= 0x3df);

		assert_port(world, port, alias ? WHO(2, 1) : NOBODY);
	}
	bk_space_write(world->ports, 0x87c5, 1, 0);
	assert_int_equal(part.answers[1].offset, 0x3c5);
	put(world, 0, PORT, 0x3e, 2, 8 | 4); /* VGA is forwarded whatever ISA Enable says */
	assert_port(world, 0x87c0, WHO(2, 1));
	put(world, 0, PORT, 0x3e, 2, 8 | 0x10);
	assert_port(world, 0x87c0, NOBODY);
	put(world, 0, PORT, 0x3e, 2, 8);
	put(world, 0, PORT, 4, 2, 0);
	assert_port(world, 0x87c0, NOBODY);
	put(world, 0, PORT, 4, 2, 1);
	put(world, 0, PORT, 0x3e, 2, 0x10); /* 16-bit decode alone forwards nothing */
	assert_port(world, 0x87c0, NOBODY);
	card_gone(&bridge, &part);
}

static void description_tells_what_passes(void **state)
{
	struct world *world = *state;
	struct part bridge, part;
	size_t length;
	char *text;
	FILE *out;

	card_behind(world, &bridge, &part);
	put(world, 0, PORT, 0x3e, 2, 8 | 4);
	out = open_memstream(&text, &length);
	assert_int_equal(bk_pci_host_describe(world->host, BK_FORMAT_TEXT, bk_sink_file, out), 0);
	fclose(out);
	assert_string_equal(text, "bus 00\n"
				  "  00:02.0 f1 1b36:1000\n"
				  "    window I/O less ISA ports 0x00001000-0x00002fff\n"
				  "    window VGA ports 0x000003b0-0x000003bb\n"
				  "    window VGA ports 0x000003c0-0x000003df\n"
				  "    window VGA port aliases 0x00000400-0x0000ffff\n"
				  "    01:00.0 f2 1b36:1000\n"
				  "      BAR 0 I/O at 0x00001000-0x000013ff\n"
				  "        0x00001100-0x000013af is in no window\n"
				  "        0x000013bc-0x000013bf is in no window\n"
				  "        0x000013e0-0x000013ff is in no window\n"
				  "      BAR 1 I/O at 0x00008400-0x000087ff\n"
				  "        0x00008400-0x000087af is in no window\n"
				  "        0x000087bc-0x000087bf is in no window\n"
				  "        0x000087e0-0x000087ff is in no window\n");
	free(text);
	card_gone(&bridge, &part);
}

/* ---- 0xcf8 and 0xcfc ---------------------------------------------------- */

struct port {
	unsigned reads, writes;
	uint64_t value;
};

static int port_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	((struct port *)opaque)->reads++;
	*value = 0x40 + offset;
	return 0;
}

static int port_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	struct port *port = opaque;

	port->writes++;
	port->value = value << 8 | offset << 4 | width;
	return 0;
}

static void without_its_enable_bit_0xcfc_is_a_plain_port(void **state)
{
	static const struct bk_region_ops ops = { .read = port_read, .write = port_write };
	struct world *world = *state;
	struct port port = { 0 };
	struct bk_region_desc desc = {
		.name = "ports", .first = 0xcfc, .last = 0xcff, .ops = &ops, .opaque = &port
	};
	struct bk_update *update = bk_update_begin(world->domain);
	struct bk_region *region;
	struct part part;

	assert_int_equal(bk_update_add(update, world->below, &desc, &region), 0);
	assert_int_equal(bk_update_commit(update, NULL), 0);
	part_create(world, &part, 1, (struct bk_pci_function_desc){ 0 });
	part_attach(world, &part, 0);
	assert_port(world, 0xcfd, 0x41);
	assert_int_equal(bk_space_write(world->ports, 0xcfe, 2, 0xab), 0);
	assert_int_equal(port.value, 0xab22);
	assert_int_equal(bk_space_write(world->ports, 0xcf8, 4, 0x80000000), 0);
	assert_port(world, 0xcfd, 0x1b);
	assert_int_equal(bk_space_write(world->ports, 0xcfc, 4, 0), 0);
	assert_int_equal(port.reads, 1);
	assert_int_equal(port.writes, 1);
	assert_int_equal(bk_space_write(world->ports, 0xcf8, 4, 0x00000000), 0);
	assert_port(world, 0xcfc, 0x40);
	part_destroy(&part);
}

static void tune_few_buses(struct bk_pci_host_desc *desc)
{
	desc->bus_first = 0x10;
	desc->bus_last = 0x12;
}

/* A guest may give a bridge any numbers; ECAM ends at the host's last bus. */
static void the_ports_show_the_buses_that_ecam_shows(void **state)
{
	static const uint8_t secondary[] = { 0x05, 0x0f, 0x10, 0x11, 0x12, 0x13, 0xff };
	struct world *world = world_create(tune_few_buses);
	struct part bridge, part;

	bridge_create(world, &bridge);
	part_create(world, &part, 2, (struct bk_pci_function_desc){ 0 });
	attach_below(&bridge, &part, BK_PCI_DEVFN(5, 0));
	for (unsigned i = 0; i < sizeof(secondary); i++) {
		const unsigned bus = secondary[i];
		const bool there = bus >= 0x10 && bus <= 0x12;
		uint64_t ports, ecam;

		bk_pci_function_write(bridge.function, 0x18, 4, bus << 8 | bus << 16);
		assert_int_equal(bk_space_write(world->ports, 0xcf8, 4, 0x80000000 | bus << 16 | 5 << 11), 0);
		assert_int_equal(bk_space_read(world->ports, 0xcfc, 4, &ports), 0);
		assert_int_equal(bk_space_read(world->memory, ECAM + (bus << 20) + (5 << 15), 4, &ecam), 0);
		assert_int_equal(ports, there ? 0x10001b36 : 0xffffffff);
		assert_int_equal(ecam, ports);
		assert_int_equal(bk_space_write(world->ports, 0xcf8, 4, 0x8000003c | bus << 16 | 5 << 11), 0);
		assert_int_equal(bk_space_write(world->ports, 0xcfc, 1, i + 1), 0);
		assert_int_equal(bk_pci_function_read(part.function, 0x3c, 1, &ports), 0);
		assert_int_equal(ports == i + 1, there);
	}
	part_destroy(&part);
	part_destroy(&bridge);
	world_destroy(world);
}

static void tune_no_ports_below(struct bk_pci_host_desc *desc)
{
	desc->ports_below = NULL;
}

static void with_no_ports_below_nobody_answers(void **state)
{
	struct world *world = world_create(tune_no_ports_below);

	assert_int_equal(bk_space_write(world->ports, 0xcf9, 1, 6), 0);
	assert_port(world, 0xcf9, 0xff);
	assert_int_equal(bk_space_write(world->ports, 0xcfc, 4, 0), 0);
	assert_port(world, 0xcfc, 0xff);
	world_destroy(world);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vga_ranges_follow_command_and_enables),
		WORLD_TEST(isa_enable_takes_three_quarters_of_the_window),
		WORLD_TEST(vga_aliases_pass_unless_16_bits_are_decoded),
		WORLD_TEST(description_tells_what_passes),
		WORLD_TEST(without_its_enable_bit_0xcfc_is_a_plain_port),
		cmocka_unit_test(the_ports_show_the_buses_that_ecam_shows),
		cmocka_unit_test(with_no_ports_below_nobody_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
