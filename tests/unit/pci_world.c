/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine of the tests of pci/. */
#include "pci_world.h"

#include <stdio.h>
#include <stdlib.h>

static int foreign_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	*value = UINT64_C(0x0101010101010101) * (offset < 0x80000000 ? RAM : CHIP);
	return 0;
}

static int foreign_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	((struct world *)opaque)->foreign_writes++;
	return 0;
}

static const struct bk_region_ops foreign = { .read = foreign_read, .write = foreign_write };

static int answer_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	struct answer *answer = opaque;

	answer->reads++;
	answer->width = width;
	answer->offset = offset;
	*value = UINT64_C(0x0101010101010101) * answer->who;
	return 0;
}

static int answer_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	struct answer *answer = opaque;

	answer->writes++;
	answer->width = width;
	answer->offset = offset;
	answer->value = value;
	return 0;
}

static const struct bk_region_ops answers = { .read = answer_read, .write = answer_write };

static void add(struct bk_space *space, const struct bk_region_desc *desc)
{
	struct bk_update *update = bk_update_begin(bk_space_domain(space));
	struct bk_region *region;

	assert_int_equal(bk_update_add(update, space, desc, &region), 0);
	assert_int_equal(bk_update_commit(update, NULL), 0);
}

static void got_message(void *opaque, const struct bk_pci_message *message)
{
	struct world *world = opaque;

	if (world->message_count < 64)
		world->messages[world->message_count] = *message;
	world->message_count++;
}

static void got_line(void *opaque, unsigned line, bool level)
{
	struct world *world = opaque;

	assert_int_not_equal(world->lines[line], level);
	world->lines[line] = level;
	world->line_changes++;
}

struct world *world_create(void (*tune)(struct bk_pci_host_desc *desc))
{
	struct world *world = calloc(1, sizeof(*world));
	struct bk_region_desc ram = {
		.name = "RAM",
		.last = WINDOW_FIRST - 1,
		.priority = 10,
		.kind = BK_REGION_HANDLED,
		.ops = &foreign,
		.opaque = world,
	};
	struct bk_region_desc chip = {
		.name = "IOAPIC",
		.rank = IOAPIC,
		.first = IOAPIC,
		.last = IOAPIC + 0xfff,
		.priority = 10,
		.base = 0x80000000,
		.kind = BK_REGION_HANDLED,
		.ops = &foreign,
		.opaque = world,
	};
	struct bk_pci_window windows[8] = { 0 };
	struct bk_pci_host_desc desc = { .windows = windows };
	struct bk_error err;

	world->domain = bk_domain_create();
	world->memory = bk_space_create(world->domain, "memory", UINT64_MAX);
	world->ports = bk_space_create(world->domain, "ports", 0xffff);
	world->below = bk_space_create(world->domain, "ports below", 0xffff);
	add(world->memory, &ram);
	add(world->memory, &chip);
	desc.domain = world->domain;
	windows[0] = (struct bk_pci_window){ BK_PCI_WINDOW_MEMORY, world->memory, WINDOW_FIRST,
					     0xffffffff,           WINDOW_FIRST,  0 };
	windows[1] = (struct bk_pci_window){ BK_PCI_WINDOW_MEMORY, world->memory, WIDE_FIRST,
					     UINT64_MAX,           WIDE_FIRST,    0 };
	windows[2] =
		(struct bk_pci_window){ BK_PCI_WINDOW_IO, world->ports, IO_WINDOW, 0xffff, IO_WINDOW, 0 };
	desc.window_count = 3;
	desc.ecam = world->memory;
	desc.ecam_first = ECAM;
	desc.ecam_priority = 5;
	desc.bus_last = 255;
	desc.ports = world->ports;
	desc.ports_below = world->below;
	desc.msi = got_message;
	desc.intx = got_line;
	desc.opaque = world;
	if (tune)
		tune(&desc);
	if (bk_pci_host_create(&desc, &world->host, &err))
		fail_msg("%s", err.text);
	world->bus = bk_pci_host_bus(world->host);
	return world;
}

void world_destroy(struct world *world)
{
	assert_int_equal(world->foreign_writes, 0);
	assert_int_equal(bk_pci_host_destroy(world->host), 0);
	assert_int_equal(bk_space_destroy(world->memory), 0);
	assert_int_equal(bk_space_destroy(world->ports), 0);
	assert_int_equal(bk_space_destroy(world->below), 0);
	assert_int_equal(bk_domain_destroy(world->domain), 0);
	free(world);
}

static void told_command(void *opaque, uint16_t command)
{
	struct part *part = opaque;

	part->command = command;
	part->commands++;
}

static int told_reset(void *opaque)
{
	struct part *part = opaque;

	part->resets++;
	return part->reset_result;
}

void part_create(struct world *world, struct part *part, unsigned id, struct bk_pci_function_desc desc)
{
	part_create_in(world, part, id, desc, false);
}

void part_create_in(struct world *world, struct part *part, unsigned id, struct bk_pci_function_desc desc,
		    bool bridge)
{
	struct bk_error err;
	int error;
	char name[32];

	memset(part, 0, sizeof(*part));
	part->id = id;
	snprintf(name, sizeof(name), "f%u", id);
	for (unsigned i = 0; i <= BK_PCI_ROM; i++) {
		struct bk_pci_bar *bar = i == BK_PCI_ROM ? &desc.rom : &desc.bars[i];
		struct bk_region_desc region = {
			.name = "answer",
			.last = bar->size - 1,
			.kind = BK_REGION_HANDLED,
			.ops = &answers,
			.opaque = &part->answers[i],
		};

		if (bar->kind == BK_PCI_BAR_NONE || bar->space)
			continue;
		part->answers[i].who = WHO(id, i);
		part->spaces[i] = bk_space_create(world->domain, "bar", bar->size - 1);
		add(part->spaces[i], &region);
		bar->space = part->spaces[i];
	}
	desc.name = desc.name ? desc.name : name;
	desc.vendor = desc.vendor ? desc.vendor : 0x1b36;
	desc.device = desc.device ? desc.device : 0x1000;
	desc.command = told_command;
	desc.reset = told_reset;
	desc.opaque = part;
	if (bridge)
		error = bk_pci_bridge_create(world->host, &desc, &part->function, &err);
	else
		error = bk_pci_function_create(world->domain, &desc, &part->function, &err);
	if (error)
		fail_msg("%s", err.text);
}

void part_attach(struct world *world, struct part *part, uint8_t devfn)
{
	part->devfn = devfn;
	assert_int_equal(bk_pci_function_attach(part->function, world->bus, devfn), 0);
}

void part_destroy(struct part *part)
{
	bk_pci_function_detach(part->function);
	assert_int_equal(bk_pci_function_destroy(part->function), 0);
	for (unsigned i = 0; i <= BK_PCI_ROM; i++)
		if (part->spaces[i])
			assert_int_equal(bk_space_destroy(part->spaces[i]), 0);
}

uint64_t config_read(struct world *world, uint8_t devfn, unsigned offset, unsigned width)
{
	uint64_t value;

	assert_int_equal(bk_space_read(world->memory, ECAM + ((uint64_t)devfn << 12) + offset, width, &value),
			 0);
	return value;
}

void config_write(struct world *world, uint8_t devfn, unsigned offset, unsigned width, uint64_t value)
{
	assert_int_equal(bk_space_write(world->memory, ECAM + ((uint64_t)devfn << 12) + offset, width, value),
			 0);
}

uint8_t memory_byte(struct world *world, uint64_t address)
{
	uint64_t value;

	assert_int_equal(bk_space_read(world->memory, address, 1, &value), 0);
	return (uint8_t)value;
}

uint8_t port_byte(struct world *world, uint64_t address)
{
	uint64_t value;

	assert_int_equal(bk_space_read(world->ports, address, 1, &value), 0);
	return (uint8_t)value;
}
