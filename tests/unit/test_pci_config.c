/* SPDX-License-Identifier: BSD-2-Clause */
/* Config space: the header, capabilities, power states, resets, and the ways to it. */
#include "pci_world.h"

#include <stdlib.h>

#include "pci_adds.h"

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

static const struct bk_pci_function_desc plain = { .bars = { MEM32_BAR(0x1000) } };

static void place_and_enable(struct world *world, uint8_t devfn)
{
	config_write(world, devfn, BAR(0), 4, 0x90000000);
	config_write(world, devfn, 4, 2, 6);
}

/* ---- Header ------------------------------------------------------------ */

static void header_shows_the_description(void **state)
{
	struct world *world = *state;
	struct bk_pci_function_desc desc = {
		.vendor = 0x1234,
		.device = 0x5678,
		.subsystem_vendor = 0x1af4,
		.subsystem = 0x1100,
		.revision = 0x42,
		.class_code = 0x010802,
		.pin = 2,
	};
	struct part part;

	part_create(world, &part, 1, desc);
	part_attach(world, &part, DEVFN);
	assert_config(world, DEVFN, 0, 4, 0x56781234);
	assert_config(world, DEVFN, 8, 4, 0x01080242);
	assert_config(world, DEVFN, 0x2c, 4, 0x11001af4);
	assert_config(world, DEVFN, 0x3c, 2, 0x0200);
	assert_config(world, DEVFN, 0, 8, UINT64_C(0x0000000056781234));
	assert_config(world, DEVFN, 2, 1, 0x78);
	assert_config(world, DEVFN, 1, 2, 0x7812); /* misaligned */
	assert_config(world, DEVFN, 0x34, 1, 0);
	assert_config(world, DEVFN, 0xe, 1, 0);

	/* What is read-only stays, what is not takes what is written. */
	for (unsigned offset = 0; offset < 256; offset += 4)
		config_write(world, DEVFN, offset, 4, 0xffffffff);
	assert_config(world, DEVFN, 0, 4, 0x56781234);
	assert_config(world, DEVFN, 4, 4, 0x00000547);
	assert_config(world, DEVFN, 8, 8, UINT64_C(0x0000ffff01080242));
	assert_config(world, DEVFN, 0x3c, 4, 0x000002ff);
	for (unsigned offset = 0x40; offset < 256; offset += 4)
		assert_config(world, DEVFN, offset, 4, 0);
	/* 256 bytes only: beyond them nobody answers. */
	assert_config(world, DEVFN, 0x100, 4, 0xffffffff);
	assert_int_equal(part.command, 0x547);
	part_destroy(&part);
}

static void command_is_told_when_it_changes(void **state)
{
	struct world *world = *state;
	struct part part;

	part_create(world, &part, 1, plain);
	part_attach(world, &part, DEVFN);
	config_write(world, DEVFN, 4, 2, 4);
	assert_int_equal(part.command, 4);
	config_write(world, DEVFN, 4, 1, 4);
	config_write(world, DEVFN, 5, 1, 0);
	assert_int_equal(part.commands, 1);
	config_write(world, DEVFN, 5, 1, 4);
	assert_int_equal(part.command, 0x404);
	bk_pci_function_reset(part.function);
	assert_int_equal(part.command, 0);
	assert_int_equal(part.commands, 3);
	part_destroy(&part);
}

static void absent_functions_read_all_ones(void **state)
{
	struct world *world = *state;

	for (unsigned devfn = 0; devfn < 256; devfn++) {
		assert_config(world, (uint8_t)devfn, 0, 4, 0xffffffff);
		config_write(world, (uint8_t)devfn, 4, 4, 7);
	}
}

static void multi_function_bit_shows_while_there_are_several(void **state)
{
	struct world *world = *state;
	struct part a, b, c;

	part_create(world, &a, 1, plain);
	part_create(world, &b, 2, plain);
	part_create(world, &c, 3, plain);
	part_attach(world, &a, BK_PCI_DEVFN(3, 0));
	part_attach(world, &c, BK_PCI_DEVFN(4, 0));
	assert_config(world, BK_PCI_DEVFN(3, 0), 0xc, 4, 0);
	part_attach(world, &b, BK_PCI_DEVFN(3, 5));
	assert_config(world, BK_PCI_DEVFN(3, 0), 0xc, 4, 0x800000);
	assert_config(world, BK_PCI_DEVFN(3, 5), 0xe, 1, 0x80);
	assert_config(world, BK_PCI_DEVFN(4, 0), 0xe, 1, 0);
	bk_pci_function_detach(b.function);
	assert_config(world, BK_PCI_DEVFN(3, 0), 0xe, 1, 0);
	part_destroy(&a);
	part_destroy(&b);
	part_destroy(&c);
}

static void preset_changes_values_masks_and_reset_values(void **state)
{
	struct world *world = *state;
	struct part part;

	part_create(world, &part, 1, plain);
	assert_int_equal(
		preset(part.function, 0x40, "\x11\x22\x33\x44", "\xff\x0f\x00\x00", "\x00\x00\x03\x00", 4),
		0);
	assert_int_equal(preset(part.function, 0x3c, "\x0b", NULL, NULL, 1), 0);
	assert_int_equal(preset(part.function, 255, "ab", NULL, NULL, 2), -EINVAL);
	assert_int_equal(preset(part.function, 257, "", NULL, NULL, 0), -EINVAL);
	assert_int_equal(preset(part.function, UINT32_MAX, "ab", NULL, NULL, 2), -EINVAL);
	part_attach(world, &part, DEVFN);
	assert_int_equal(preset(part.function, 0x40, "a", NULL, NULL, 1), -EBUSY);
	assert_config(world, DEVFN, 0x40, 4, 0x44332211);
	config_write(world, DEVFN, 0x40, 4, 0xffffffff);
	assert_config(world, DEVFN, 0x40, 4, 0x44302fff);
	config_write(world, DEVFN, 0x3c, 1, 5);
	assert_config(world, DEVFN, 0x3c, 1, 5);
	bk_pci_function_reset(part.function);
	assert_config(world, DEVFN, 0x40, 4, 0x44332211);
	assert_config(world, DEVFN, 0x3c, 1, 0x0b);
	part_destroy(&part);
}

/* ---- Capabilities ------------------------------------------------------ */

static void capabilities_chain_in_order_of_offsets(void **state)
{
	struct world *world = *state;
	struct bk_pci_function_desc desc = plain;
	static const uint8_t vendor[] = { 9, 9, 8, 1, 2, 3, 4, 5 };
	static const uint8_t ff[] = { 255, 255, 255, 255, 255, 255, 255, 255 };
	struct part part;
	struct bk_pci_function *f;

	desc.extended = true;
	part_create(world, &part, 1, desc);
	f = part.function;
	assert_int_equal(capability_add(f, 9, 0x80, 8, vendor, ff, NULL), 0x80);
	assert_int_equal(bk_pci_pm_add(f, 0, 3, true), 0x40);
	assert_int_equal(bk_pci_msi_add(f, 0, 4, true, true), 0x48);
	assert_int_equal(capability_add(f, 9, 0xf8, 8, NULL, NULL, NULL), 0xf8);
	/* Refused: overlap, alignment, bounds, twice, nonsense. */
	assert_int_equal(capability_add(f, 9, 0x3c, 8, NULL, NULL, NULL), -EINVAL);
	assert_int_equal(capability_add(f, 9, 0x7c, 8, NULL, NULL, NULL), -EINVAL);
	assert_int_equal(capability_add(f, 9, 0x84, 8, NULL, NULL, NULL), -EINVAL);
	assert_int_equal(capability_add(f, 9, 0x92, 8, NULL, NULL, NULL), -EINVAL);
	assert_int_equal(capability_add(f, 9, 0xfc, 8, NULL, NULL, NULL), -EINVAL);
	assert_int_equal(capability_add(f, 9, 0x100, 8, NULL, NULL, NULL), -EINVAL);
	assert_int_equal(capability_add(f, 9, 0xfffffffc, 8, NULL, NULL, NULL), -EINVAL);
	assert_int_equal(capability_add(f, 9, 0x90, 0xfffffff0, NULL, NULL, NULL), -EINVAL);
	assert_int_equal(capability_add(f, 9, 0, 1, NULL, NULL, NULL), -EINVAL);
	assert_int_equal(capability_add(f, 9, 0, 0x90, NULL, NULL, NULL), -ENOSPC);
	assert_int_equal(bk_pci_pm_add(f, 0, 3, true), -EEXIST);
	assert_int_equal(capability_add(f, 5, 0, 10, NULL, NULL, NULL), -EEXIST);
	assert_int_equal(bk_pci_msi_add(f, 0, 3, true, true), -EINVAL);
	assert_int_equal(bk_pci_msi_add(f, 0, 64, true, true), -EINVAL);
	assert_int_equal(bk_pci_msi_add(f, 0, 0, true, true), -EINVAL);
	assert_int_equal(capability_add(f, 9, 0, 0x60, NULL, NULL, NULL), 0x88);
	/* Extended: the chain begins at 0x100 even if nothing is there. */
	assert_int_equal(extended_add(f, 0x0b, 1, 0x200, 0x10, NULL, NULL, NULL), 0x200);
	part_attach(world, &part, DEVFN);
	assert_config(world, DEVFN, 6, 2, 0x10);
	assert_config(world, DEVFN, 0x34, 1, 0x40);
	assert_config(world, DEVFN, 0x40, 2, 0x4801);
	assert_config(world, DEVFN, 0x48, 2, 0x8005);
	assert_config(world, DEVFN, 0x80, 8, UINT64_C(0x0504030201088809));
	assert_config(world, DEVFN, 0x88, 2, 0xf809);
	assert_config(world, DEVFN, 0xf8, 2, 0x0009);
	config_write(world, DEVFN, 0x80, 8, 0);
	assert_config(world, DEVFN, 0x80, 8, 0x8809);
	assert_config(world, DEVFN, 0x100, 4, 0x20000000);
	assert_config(world, DEVFN, 0x200, 4, 0x0001000b);
	bk_pci_function_detach(f);
	assert_int_equal(extended_add(f, 0x03, 2, 0, 12, NULL, NULL, NULL), 0x100);
	assert_int_equal(extended_add(f, 0x0b, 1, 0x300, 0xd00, NULL, NULL, NULL), 0x300);
	assert_int_equal(extended_add(f, 0x0b, 1, 0, 0xf4, NULL, NULL, NULL), 0x10c);
	assert_int_equal(extended_add(f, 0x0b, 1, 0, 0xf4, NULL, NULL, NULL), -ENOSPC);
	assert_int_equal(extended_add(f, 0x0b, 1, 0xf0, 8, NULL, NULL, NULL), -EINVAL);
	part_attach(world, &part, DEVFN);
	assert_config(world, DEVFN, 0x100, 4, 0x10c20003);
	assert_config(world, DEVFN, 0x10c, 4, 0x2001000b);
	assert_config(world, DEVFN, 0x200, 4, 0x3001000b);
	assert_config(world, DEVFN, 0x300, 4, 0x0001000b);
	part_destroy(&part);

	part_create(world, &part, 1, plain);
	assert_int_equal(extended_add(part.function, 0x0b, 1, 0, 8, NULL, NULL, NULL), -EINVAL);
	part_destroy(&part);
}

/* ---- Power states and resets ------------------------------------------- */

static void F19_power_states_gate_decoding(void **state)
{
	struct world *world = *state;

	for (int keeps = 0; keeps < 2; keeps++) {
		struct part part;
		unsigned pm;

		part_create(world, &part, 1, plain);
		pm = (unsigned)bk_pci_pm_add(part.function, 0, 0x0203, keeps); /* D1, no D2 */
		part_attach(world, &part, DEVFN);
		place_and_enable(world, DEVFN);
		assert_memory(world, 0x90000000, WHO(1, 0));
		config_write(world, DEVFN, pm + 4, 1, 2); /* not supported: dropped */
		assert_config(world, DEVFN, pm + 4, 2, keeps ? 8 : 0);
		assert_memory(world, 0x90000000, WHO(1, 0));
		config_write(world, DEVFN, pm + 4, 2, 1);
		assert_memory(world, 0x90000000, NOBODY);
		config_write(world, DEVFN, pm + 4, 2, 0);
		assert_memory(world, 0x90000000, WHO(1, 0));
		config_write(world, DEVFN, pm + 4, 4, 0xffffffff); /* D3hot */
		assert_config(world, DEVFN, pm + 4, 4, keeps ? 0xb : 3);
		assert_memory(world, 0x90000000, NOBODY);
		assert_config(world, DEVFN, 4, 2, 6);
		config_write(world, DEVFN, BAR(0), 4, 0x90001000);
		assert_memory(world, 0x90001000, NOBODY);
		config_write(world, DEVFN, pm + 4, 1, 0);
		assert_config(world, DEVFN, 4, 2, keeps ? 6 : 0);
		assert_config(world, DEVFN, BAR(0), 4, keeps ? 0x90001000 : 0);
		assert_memory(world, 0x90001000, keeps ? WHO(1, 0) : NOBODY);
		assert_int_equal(part.command, keeps ? 6 : 0);
		assert_int_equal(part.resets, keeps ? 0 : 1);
		part_destroy(&part);
	}
}

static void F19_resets(void **state)
{
	struct world *world = *state;
	static const uint8_t express[60] = {
		[2] = 0x02, [7] = 0x10, [8] = 0x10, [9] = 0x28
	}; /* FLR capable */
	static const uint8_t without[60] = { [2] = 0x02, [4] = 0xff, [5] = 0xff, [6] = 0xff, [7] = 0xef };
	struct part part;
	unsigned at, af;

	part_create(world, &part, 1, plain);
	at = (unsigned)bk_pci_express_add(part.function, 0, express, sizeof(express));
	af = (unsigned)bk_pci_af_add(part.function, 0);
	part_attach(world, &part, DEVFN);
	assert_config(world, DEVFN, at, 2, af << 8 | 0x10);
	assert_config(world, DEVFN, at + 8, 2, 0x2810);
	assert_config(world, DEVFN, af, 4, 0x03060013);

	for (unsigned round = 0; round < 4; round++) {
		place_and_enable(world, DEVFN);
		config_write(world, DEVFN, 0x3c, 1, 10);
		config_write(world, DEVFN, at + 8, 2, 0x0004);
		assert_config(world, DEVFN, at + 8, 2, 0x0004);
		assert_memory(world, 0x90000000, WHO(1, 0));
		assert_int_equal(part.resets, round);
		if (round == 0)
			assert_int_equal(bk_pci_function_reset(part.function), 0);
		else if (round == 1)
			config_write(world, DEVFN, at + 8, 2, 0x8004);
		else if (round == 2)
			config_write(world, DEVFN, at + 9, 1, 0x80);
		else
			config_write(world, DEVFN, af + 4, 1, 1);
		assert_int_equal(part.resets, round + 1);
		assert_memory(world, 0x90000000, NOBODY);
		assert_config(world, DEVFN, 4, 2, 0);
		assert_config(world, DEVFN, BAR(0), 4, 0);
		assert_config(world, DEVFN, 0x3c, 1, 0);
		assert_config(world, DEVFN, at + 8, 2, 0x2810);
		assert_config(world, DEVFN, af + 4, 1, 0);
		assert_int_equal(part.command, 0);
	}
	part.reset_result = -EIO;
	assert_int_equal(bk_pci_function_reset(part.function), -EIO);
	part_destroy(&part);

	part_create(world, &part, 1, plain);
	at = (unsigned)bk_pci_express_add(part.function, 0x60, without, sizeof(without));
	assert_int_equal(at, 0x60);
	assert_int_equal(bk_pci_express_add(part.function, 0, without, sizeof(without)), -EEXIST);
	part_attach(world, &part, DEVFN);
	config_write(world, DEVFN, at + 8, 2, 0xffff);
	assert_config(world, DEVFN, at + 8, 2, 0x7fff);
	assert_int_equal(part.resets, 0);
	config_write(world, DEVFN, at + 0x18, 4, 0xffffffff); /* no slot, no root */
	config_write(world, DEVFN, at + 0x1c, 4, 0xffffffff);
	assert_config(world, DEVFN, at + 0x18, 8, 0);
	part_destroy(&part);
	part_create(world, &part, 1, plain);
	assert_int_equal(bk_pci_express_add(part.function, 0, without, 61), -EINVAL);
	assert_int_equal(bk_pci_express_add(part.function, 0, without, 8), -EINVAL);
	part_destroy(&part);
}

/* ---- Ways to config space ---------------------------------------------- */

static uint64_t port_read(struct world *world, unsigned port, unsigned width)
{
	uint64_t value;

	assert_int_equal(bk_space_read(world->ports, port, width, &value), 0);
	return value;
}

static void port_write(struct world *world, unsigned port, unsigned width, uint64_t value)
{
	assert_int_equal(bk_space_write(world->ports, port, width, value), 0);
}

static void cf8_and_cfc_reach_the_same_registers(void **state)
{
	struct world *world = *state;
	struct part part;

	part_create(world, &part, 1, plain);
	part_attach(world, &part, DEVFN);
	assert_int_equal(port_read(world, 0xcf8, 4), 0);
	assert_int_equal(port_read(world, 0xcfc, 4), 0xffffffff); /* not enabled */
	port_write(world, 0xcf8, 4, 0x80001800);
	assert_int_equal(port_read(world, 0xcf8, 4), 0x80001800);
	assert_int_equal(port_read(world, 0xcfc, 4), 0x10001b36);
	assert_int_equal(port_read(world, 0xcfe, 2), 0x1000);
	assert_int_equal(port_read(world, 0xcfd, 1), 0x1b);
	assert_int_equal(port_read(world, 0xcfd, 2), 0x001b);
	assert_int_equal(port_read(world, 0xcfe, 4), 0xffff1000); /* runs past the ports */

	/* Only 4 bytes at 0xcf8 are the address. */
	port_write(world, 0xcfb, 1, 1);
	port_write(world, 0xcf8, 2, 0);
	port_write(world, 0xcf8, 1, 0);
	port_write(world, 0xcf9, 1, 6);
	assert_int_equal(port_read(world, 0xcf8, 4), 0x80001800);
	assert_int_equal(port_read(world, 0xcf9, 1), 0xff);
	assert_int_equal(port_read(world, 0xcfb, 1), 0xff);

	/* Bits 1:0 are ignored, the lanes come from the port. */
	port_write(world, 0xcf8, 4, 0x80001813);
	assert_int_equal(port_read(world, 0xcf8, 4), 0x80001810);
	port_write(world, 0xcfc, 4, 0x90000000);
	port_write(world, 0xcfd, 1, 0x20);
	assert_int_equal(port_read(world, 0xcfc, 4), 0x90002000);
	assert_config(world, DEVFN, BAR(0), 4, 0x90002000);
	port_write(world, 0xcf8, 4, 0x80001804);
	port_write(world, 0xcfc, 2, 2);
	assert_memory(world, 0x90002000, WHO(1, 0));
	/* Disabled: neither read nor written. */
	port_write(world, 0xcf8, 4, 0x00001804);
	port_write(world, 0xcfc, 2, 0);
	assert_int_equal(port_read(world, 0xcfc, 2), 0xffff);
	assert_memory(world, 0x90002000, WHO(1, 0));
	/* Nobody there: another slot, another bus. */
	port_write(world, 0xcf8, 4, 0x80001900);
	assert_int_equal(port_read(world, 0xcfc, 4), 0xffffffff);
	port_write(world, 0xcf8, 4, 0x80011800);
	assert_int_equal(port_read(world, 0xcfc, 4), 0xffffffff);
	port_write(world, 0xcf8, 4, 0xffffffff);
	assert_int_equal(port_read(world, 0xcf8, 4), 0x80fffffc); /* the others are reserved */
	assert_int_equal(port_read(world, 0xcfc, 4), 0xffffffff);
	/* Both at once: address, then data. */
	assert_int_equal(bk_space_write(world->ports, 0xcf8, 8, UINT64_C(0x9100000080001810)), 0);
	assert_config(world, DEVFN, BAR(0), 4, 0x91000000);
	part_destroy(&part);
}

static int reset_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	*value = 0x0e;
	return 0;
}

static int reset_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	*(uint64_t *)opaque = value;
	return 0;
}

static void reset_port_is_below_the_address_register(void **state)
{
	static const struct bk_region_ops ops = { .read = reset_read, .write = reset_write };
	struct world *world = *state;
	uint64_t written = 0;
	struct bk_region_desc desc = { .name = "reset",
				       .first = 0xcf9,
				       .last = 0xcf9,
				       .kind = BK_REGION_HANDLED,
				       .ops = &ops,
				       .opaque = &written };
	struct bk_update *update = bk_update_begin(world->domain);
	struct bk_region *region;

	assert_int_equal(bk_update_add(update, world->below, &desc, &region), 0);
	assert_int_equal(bk_update_commit(update, NULL), 0);
	assert_int_equal(port_read(world, 0xcf9, 1), 0x0e);
	port_write(world, 0xcf9, 1, 6);
	assert_int_equal(written, 6);
	port_write(world, 0xcf8, 4, 0x80ffff00);
	assert_int_equal(written, 6);
	assert_int_equal(port_read(world, 0xcf8, 4), 0x80ffff00);
}

static void tune_buses(struct bk_pci_host_desc *desc)
{
	desc->bus_first = 0x20;
	desc->bus_last = 0x2f;
}

static void ecam_of_a_host_that_does_not_begin_at_bus_0(void **state)
{
	struct world *world = world_create(tune_buses);
	struct part part;
	uint64_t value;

	part_create(world, &part, 1, plain);
	part_attach(world, &part, DEVFN);
	bk_space_read(world->memory, ECAM + 0x2000000 + ((uint64_t)DEVFN << 12), 4, &value);
	assert_int_equal(value, 0x10001b36);
	assert_memory(world, ECAM + ((uint64_t)DEVFN << 12), NOBODY);
	bk_space_read(bk_pci_host_config(world->host), 0x2000000 + ((uint64_t)DEVFN << 12), 4, &value);
	assert_int_equal(value, 0x10001b36);
	port_write(world, 0xcf8, 4, 0x80201800);
	assert_int_equal(port_read(world, 0xcfc, 4), 0x10001b36);
	part_destroy(&part);
	world_destroy(world);
}

static void registers_below_an_owners_regions(void **state)
{
	static const struct bk_region_ops ops = { .read = reset_read, .write = reset_write };
	struct world *world = *state;
	uint64_t written = 0, value;
	struct bk_region_desc desc = { .name = "trap",
				       .first = 4,
				       .last = 5,
				       .priority = 1,
				       .kind = BK_REGION_HANDLED,
				       .ops = &ops,
				       .opaque = &written };
	struct bk_update *update = bk_update_begin(world->domain);
	struct bk_region *region;
	struct part part;

	part_create(world, &part, 1, plain);
	part_attach(world, &part, DEVFN);
	assert_int_equal(bk_update_add(update, bk_pci_function_config(part.function), &desc, &region), 0);
	assert_int_equal(bk_update_commit(update, NULL), 0);
	config_write(world, DEVFN, 4, 2, 7);
	assert_int_equal(written, 7);
	assert_int_equal(part.command, 0);
	assert_config(world, DEVFN, 4, 2, 0x0e);
	assert_int_equal(bk_pci_function_write(part.function, 4, 2, 7), 0);
	assert_int_equal(part.command, 7);
	assert_int_equal(bk_pci_function_read(part.function, 4, 2, &value), 0);
	assert_int_equal(value, 7);
	assert_int_equal(bk_pci_function_read(part.function, 3, 4, &value), 0);
	assert_int_equal(value, 0x00000710);
	assert_int_equal(bk_pci_function_read(part.function, 255, 2, &value), -EINVAL);
	assert_int_equal(bk_pci_function_read(part.function, 256, 1, &value), -EINVAL);
	assert_int_equal(bk_pci_function_read(part.function, 0, 3, &value), -EINVAL);
	assert_int_equal(bk_pci_function_write(part.function, UINT32_MAX, 4, 0), -EINVAL);
	part_destroy(&part);
}

/* ---- A host that makes no sense ----------------------------------------- */

static void assert_no_host(const struct bk_pci_host_desc *desc, int error)
{
	struct bk_pci_host *host = NULL;
	struct bk_error err = { "" };

	assert_int_equal(bk_pci_host_create(desc, &host, &err), error);
	assert_null(host);
	assert_true(err.text[0]);
}

static void hosts_that_make_no_sense_are_refused(void **state)
{
	struct world *world = *state;
	const struct bk_pci_window good_window = {
		BK_PCI_WINDOW_MEMORY, world->memory, 0x1000, 0x1fff, 0, 3
	};
	struct bk_pci_window window = good_window;
	const struct bk_pci_host_desc good = {
		.domain = world->domain,
		.windows = &window,
		.window_count = 1,
	};
	struct bk_pci_host_desc bad;
	struct bk_pci_host *host;

	assert_int_equal(bk_pci_host_create(&good, &host, NULL), 0);
	assert_no_host(&good, -EEXIST); /* the same window again */
	assert_int_equal(bk_pci_host_destroy(host), 0);

	bad = good, bad.domain = NULL;
	assert_no_host(&bad, -EINVAL);
	bad = good, bad.windows = NULL;
	assert_no_host(&bad, -EINVAL);
	bad = good, window = good_window, window.last = 0;
	assert_no_host(&bad, -EINVAL);
	bad = good, window = good_window, window.space = NULL;
	assert_no_host(&bad, -EINVAL);
	bad = good, window = good_window, window.kind = 7;
	assert_no_host(&bad, -EINVAL);
	bad = good, window = good_window, window.bus_first = UINT64_MAX;
	assert_no_host(&bad, -EINVAL);
	bad = good, window = good_window, window.kind = BK_PCI_WINDOW_IO, window.bus_first = 0xfffff001;
	assert_no_host(&bad, -EINVAL);
	window = good_window;
	bad = good, bad.bus_first = 1;
	assert_no_host(&bad, -EINVAL);
	bad = good, bad.ecam = world->memory, bad.ecam_first = UINT64_MAX;
	assert_no_host(&bad, -EINVAL);
	bad = good, bad.ports = bk_pci_bus_memory(world->bus);
	assert_int_equal(bk_pci_host_create(&bad, &host, NULL), 0);
	assert_int_equal(bk_pci_host_destroy(host), 0);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(header_shows_the_description),
		WORLD_TEST(command_is_told_when_it_changes),
		WORLD_TEST(absent_functions_read_all_ones),
		WORLD_TEST(multi_function_bit_shows_while_there_are_several),
		WORLD_TEST(preset_changes_values_masks_and_reset_values),
		WORLD_TEST(capabilities_chain_in_order_of_offsets),
		WORLD_TEST(F19_power_states_gate_decoding),
		WORLD_TEST(F19_resets),
		WORLD_TEST(cf8_and_cfc_reach_the_same_registers),
		WORLD_TEST(reset_port_is_below_the_address_register),
		cmocka_unit_test(ecam_of_a_host_that_does_not_begin_at_bus_0),
		WORLD_TEST(registers_below_an_owners_regions),
		WORLD_TEST(hosts_that_make_no_sense_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
