/* SPDX-License-Identifier: BSD-2-Clause */
/* Hot-plug slots: presence, link, events, interrupts, resets, and cards that come and go (F18). */
#include "pci_world.h"

#define PORT    BK_PCI_DEVFN(2, 0) /* the root port, on the root bus */
#define NUMBER  5                  /* of the slot */
#define SECOND  1                  /* number of the bus below */
#define WINDOW  0x90000000u        /* memory window of the port, 2 MiB */
#define EXPRESS 0x40
#define MSI     0x80

/* Registers of the PCI Express capability. */
#define LNKCAP (EXPRESS + 0x0c)
#define LNKCTL (EXPRESS + 0x10)
#define LNKSTA (EXPRESS + 0x12)
#define SLTCAP (EXPRESS + 0x14)
#define SLTCTL (EXPRESS + 0x18)
#define SLTSTA (EXPRESS + 0x1a)

#define PDC    0x0008 /* Presence Detect Changed, and its enable in SLTCTL */
#define HPIE   0x0020 /* Hot-Plug Interrupt Enable */
#define PDS    0x0040 /* Presence Detect State */
#define DLLSC  0x0100 /* Data Link Layer State Changed */
#define DLLSCE 0x1000 /* ... and its enable */
#define DLLLA  0x2000 /* Data Link Layer Link Active */

static const uint8_t root_port[60] = { [2] = 0x42, [0x0c] = 0x05, [0x0d] = 0x01 }; /* 32 GT/s, 16 lanes */
static const uint8_t endpoint[20] = { [2] = 0x02, [0x12] = 0x83, [0x13] = 0x10 };
static const struct bk_pci_function_desc card_desc = { .bars = { MEM32_BAR(0x1000) }, .pin = 1 };

struct stage {
	struct world *world;
	struct part port, card;
};

static int setup(void **state)
{
	static struct stage stage;

	stage = (struct stage){ .world = world_create(NULL) };
	part_create_in(stage.world, &stage.port, 1,
		       (struct bk_pci_function_desc){ .pin = 1, .extended = true }, true);
	assert_int_equal(bk_pci_express_add(stage.port.function, EXPRESS, root_port, 60), EXPRESS);
	assert_int_equal(bk_pci_msi_add(stage.port.function, MSI, 1, true, true), MSI);
	assert_int_equal(bk_pci_slot_add(stage.port.function, NUMBER), 0);
	part_create(stage.world, &stage.card, 2, card_desc);
	part_attach(stage.world, &stage.port, PORT);
	config_write(stage.world, PORT, 0x18, 4, SECOND << 8 | SECOND << 16);
	config_write(stage.world, PORT, 0x20, 4, 0x90109000);
	config_write(stage.world, PORT, 4, 2, 6);
	*state = &stage;
	return 0;
}

static int teardown(void **state)
{
	struct stage *stage = *state;

	part_destroy(&stage->card);
	part_destroy(&stage->port);
	world_destroy(stage->world);
	return 0;
}

static uint64_t get(struct stage *stage, unsigned offset)
{
	return config_read(stage->world, PORT, offset, 2);
}

static void put(struct stage *stage, unsigned offset, uint64_t value)
{
	config_write(stage->world, PORT, offset, 2, value);
}

static int plug(struct stage *stage, struct part *part, uint8_t devfn)
{
	return bk_pci_function_attach(part->function, bk_pci_bridge_bus(stage->port.function), devfn);
}

/* Config space of the card. */
static uint64_t card_get(struct stage *stage, unsigned offset, unsigned width)
{
	uint64_t value;

	bk_space_read(stage->world->memory, ECAM + (SECOND << 20 | offset), width, &value);
	return value;
}

static void card_put(struct stage *stage, unsigned offset, unsigned width, uint64_t value)
{
	bk_space_write(stage->world->memory, ECAM + (SECOND << 20 | offset), width, value);
}

static void use_msi(struct stage *stage)
{
	config_write(stage->world, PORT, MSI + 4, 8, 0xfee00000);
	config_write(stage->world, PORT, MSI + 12, 2, 0x4041);
	config_write(stage->world, PORT, MSI + 2, 2, 1);
}

/* ---- Registers --------------------------------------------------------- */

static void an_empty_slot(void **state)
{
	struct stage *stage = *state;

	assert_int_equal(get(stage, EXPRESS + 2), 0x0142);
	assert_int_equal(config_read(stage->world, PORT, LNKCAP, 4), 0x00100105);
	assert_int_equal(config_read(stage->world, PORT, SLTCAP, 4), NUMBER << 19 | 0x00040060);
	assert_int_equal(get(stage, SLTSTA), 0);
	assert_int_equal(get(stage, LNKSTA) & DLLLA, 0);
	put(stage, SLTCTL, 0xffff); /* what is not there stays zero */
	assert_int_equal(get(stage, SLTCTL), PDC | HPIE | DLLSCE);
	put(stage, SLTSTA, 0xffff);
	assert_int_equal(get(stage, SLTSTA), 0);
	assert_int_equal(stage->world->line_changes, 0);
}

static void a_card_comes_and_goes(void **state)
{
	struct stage *stage = *state;

	assert_int_equal(plug(stage, &stage->card, 0), 0);
	assert_int_equal(get(stage, SLTSTA), PDS | PDC | DLLSC);
	assert_int_equal(get(stage, LNKSTA), DLLLA | 0x11);
	put(stage, SLTSTA, PDC);
	assert_int_equal(get(stage, SLTSTA), PDS | DLLSC);
	put(stage, SLTSTA, PDS | DLLSC); /* the state cannot be written */
	assert_int_equal(get(stage, SLTSTA), PDS);
	bk_pci_function_detach(stage->card.function);
	assert_int_equal(get(stage, SLTSTA), PDC | DLLSC);
	assert_int_equal(get(stage, LNKSTA) & DLLLA, 0);
	assert_int_equal(card_get(stage, 0, 4), 0xffffffff);
}

static void the_card_is_function_0_of_device_0(void **state)
{
	struct stage *stage = *state;
	struct part second;

	part_create(stage->world, &second, 3, card_desc);
	assert_int_equal(plug(stage, &second, 1), 0);
	assert_int_equal(get(stage, SLTSTA), 0);
	assert_int_equal(plug(stage, &stage->card, 0), 0);
	assert_int_equal(get(stage, SLTSTA), PDS | PDC | DLLSC);
	put(stage, SLTSTA, 0xffff);
	part_destroy(&second);
	assert_int_equal(get(stage, SLTSTA), PDS);
	assert_int_equal(plug(stage, &stage->card, 0), -EBUSY);
	assert_int_equal(get(stage, SLTSTA), PDS);
}

static uint64_t second_get(struct stage *stage)
{
	return card_get(stage, 1 << 12, 4);
}

/* Function 0 comes last and goes first: with it all of a card is there, and gone. */
static void without_function_0_no_function_is_reached(void **state)
{
	struct stage *stage = *state;
	struct part second;

	part_create(stage->world, &second, 3, card_desc);
	assert_int_equal(plug(stage, &second, 1), 0);
	assert_int_equal(bk_pci_function_write(second.function, BAR(0), 4, WINDOW), 0);
	assert_int_equal(bk_pci_function_write(second.function, 4, 2, 6), 0);
	assert_int_equal(second_get(stage), 0xffffffff);
	assert_memory(stage->world, WINDOW, NOBODY);
	assert_int_equal(second.command, 2);
	assert_int_equal(get(stage, LNKSTA) & DLLLA, 0);
	assert_int_equal(plug(stage, &stage->card, 0), 0);
	assert_int_equal(second_get(stage), 0x10001b36);
	assert_memory(stage->world, WINDOW, WHO(3, 0));
	assert_int_equal(second.command, 6);
	bk_pci_function_detach(stage->card.function);
	assert_int_equal(second_get(stage), 0xffffffff);
	assert_memory(stage->world, WINDOW, NOBODY);
	assert_int_equal(second.command, 2);
	part_destroy(&second);
}

static void the_link_is_as_fast_as_the_card_says(void **state)
{
	struct stage *stage = *state;
	struct part fast;

	part_create(stage->world, &fast, 3, card_desc);
	assert_int_equal(bk_pci_express_add(fast.function, 0x40, endpoint, 20), 0x40);
	assert_int_equal(plug(stage, &fast, 0), 0);
	assert_int_equal(get(stage, LNKSTA), DLLLA | 0x83);
	part_destroy(&fast);
	part_create(stage->world, &fast, 3, card_desc); /* an integrated endpoint: no link registers */
	assert_int_equal(bk_pci_express_add(fast.function, 0x40, (uint8_t[12]){ [2] = 0x91 }, 12), 0x40);
	assert_int_equal(plug(stage, &fast, 0), 0);
	assert_int_equal(get(stage, LNKSTA), DLLLA | 0x11);
	part_destroy(&fast);
}

static void the_link_is_no_faster_and_no_wider_than_the_port(void **state)
{
	/* Speed and lanes as a card says them, and what is shown of them. */
	static const uint16_t links[][2] = {
		{ 0x0206, 0x0105 }, { 0x0083, 0x0083 }, { 0x0086, 0x0085 }, { 0x0203, 0x0103 },
		{ 0x03ff, 0x0105 }, { 0x0080, 0x0081 }, { 0x0003, 0x0013 }, { 0x0000, 0x0011 },
	};
	struct stage *stage = *state;
	struct part card;

	for (unsigned i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		const uint8_t bytes[20] = {
			[2] = 0x02, [0x12] = (uint8_t)links[i][0], [0x13] = (uint8_t)(links[i][0] >> 8)
		};

		part_create(stage->world, &card, 3, card_desc);
		assert_int_equal(bk_pci_express_add(card.function, 0x40, bytes, 20), 0x40);
		assert_int_equal(plug(stage, &card, 0), 0);
		assert_int_equal(get(stage, LNKSTA), DLLLA | links[i][1]);
		part_destroy(&card);
	}
}

static void link_disable_resets_and_hides_the_card(void **state)
{
	struct stage *stage = *state;

	assert_int_equal(plug(stage, &stage->card, 0), 0);
	card_put(stage, BAR(0), 4, WINDOW);
	card_put(stage, 4, 2, 2);
	assert_memory(stage->world, WINDOW, WHO(2, 0));
	put(stage, SLTSTA, 0xffff);
	put(stage, LNKCTL, 0x10);
	assert_int_equal(get(stage, SLTSTA), PDS | DLLSC);
	assert_int_equal(get(stage, LNKSTA) & DLLLA, 0);
	assert_int_equal(stage->card.resets, 1);
	assert_int_equal(card_get(stage, 0, 4), 0xffffffff);
	assert_memory(stage->world, WINDOW, NOBODY);
	put(stage, LNKCTL, 0x10);
	assert_int_equal(stage->card.resets, 1);
	put(stage, SLTSTA, 0xffff);
	put(stage, LNKCTL, 0);
	assert_int_equal(get(stage, SLTSTA), PDS | DLLSC);
	assert_int_equal(get(stage, LNKSTA) & DLLLA, DLLLA);
	assert_int_equal(card_get(stage, 0, 4), 0x10001b36);
	assert_int_equal(card_get(stage, BAR(0), 4), 0);
}

/* ---- Interrupts -------------------------------------------------------- */

static void a_message_for_each_new_event(void **state)
{
	struct stage *stage = *state;
	struct world *world = stage->world;

	use_msi(stage);
	assert_int_equal(plug(stage, &stage->card, 0), 0);
	assert_int_equal(world->message_count, 0); /* nothing is enabled */
	put(stage, SLTCTL, PDC);
	assert_int_equal(world->message_count, 0);
	put(stage, SLTCTL, PDC | HPIE | DLLSCE); /* the events are there already */
	assert_int_equal(world->message_count, 1);
	assert_int_equal(world->messages[0].address, 0xfee00000);
	assert_int_equal(world->messages[0].data, 0x4041);
	put(stage, SLTSTA, PDC); /* the other one is still there: no new message */
	put(stage, 4, 2);
	put(stage, 4, 6);
	assert_int_equal(world->message_count, 1);
	put(stage, SLTSTA, DLLSC);
	bk_pci_function_detach(stage->card.function);
	assert_int_equal(world->message_count, 2);
	put(stage, SLTSTA, PDC | DLLSC);
	put(stage, SLTCTL, HPIE);
	assert_int_equal(plug(stage, &stage->card, 0), 0);
	assert_int_equal(world->message_count, 2);
	put(stage, SLTCTL, HPIE | DLLSCE);
	assert_int_equal(world->message_count, 3);
	assert_int_equal(world->line_changes, 0);
}

static void a_masked_message_waits_or_is_taken_back(void **state)
{
	struct stage *stage = *state;
	struct world *world = stage->world;

	use_msi(stage);
	put(stage, SLTCTL, PDC | HPIE);
	config_write(world, PORT, MSI + 16, 4, 1);
	assert_int_equal(plug(stage, &stage->card, 0), 0);
	assert_int_equal(config_read(world, PORT, MSI + 20, 4), 1);
	put(stage, SLTSTA, PDC);
	assert_int_equal(config_read(world, PORT, MSI + 20, 4), 0);
	bk_pci_function_detach(stage->card.function);
	assert_int_equal(world->message_count, 0);
	config_write(world, PORT, MSI + 16, 4, 0);
	assert_int_equal(world->message_count, 1);
}

static void without_msi_the_pin_is_held(void **state)
{
	struct stage *stage = *state;
	struct world *world = stage->world;
	const unsigned line = 2; /* of slot 2, INTA# */

	put(stage, SLTCTL, PDC | HPIE | DLLSCE);
	assert_int_equal(plug(stage, &stage->card, 0), 0);
	assert_true(world->lines[line]);
	assert_int_equal(get(stage, 6) & 8, 8);
	put(stage, SLTSTA, PDC);
	assert_true(world->lines[line]);
	put(stage, SLTSTA, DLLSC);
	assert_false(world->lines[line]);
	bk_pci_function_detach(stage->card.function);
	assert_true(world->lines[line]);
	use_msi(stage); /* from now on by message, at once */
	assert_false(world->lines[line]);
	assert_int_equal(world->message_count, 1);
	config_write(world, PORT, MSI + 2, 2, 0);
	assert_true(world->lines[line]);
	put(stage, SLTCTL, 0);
	assert_false(world->lines[line]);
}

/* ---- Resets, and coming back ------------------------------------------- */

static void a_reset_of_the_port_is_no_event(void **state)
{
	struct stage *stage = *state;

	put(stage, SLTCTL, PDC | HPIE);
	assert_int_equal(plug(stage, &stage->card, 0), 0);
	assert_true(stage->world->lines[2]);
	assert_int_equal(bk_pci_function_reset(stage->port.function), 0);
	assert_false(stage->world->lines[2]);
	assert_int_equal(get(stage, SLTCTL), 0);
	assert_int_equal(get(stage, SLTSTA), PDS);
	assert_int_equal(get(stage, LNKSTA), DLLLA | 0x11);
	assert_int_equal(stage->card.resets, 1);
	put(stage, 0x3e, 0x40); /* secondary bus reset: the card stays where it is */
	put(stage, 0x3e, 0);
	assert_int_equal(get(stage, SLTSTA), PDS);
	assert_int_equal(stage->card.resets, 2);
}

/* The message of an event that is pending when its port is reset is never sent. */
static void a_reset_of_the_port_takes_its_message_back(void **state)
{
	struct stage *stage = *state;

	use_msi(stage);
	config_write(stage->world, PORT, MSI + 16, 4, 1);
	put(stage, SLTCTL, PDC | HPIE);
	assert_int_equal(plug(stage, &stage->card, 0), 0);
	assert_config(stage->world, PORT, MSI + 20, 4, 1);
	assert_int_equal(bk_pci_function_reset(stage->port.function), 0);
	use_msi(stage);
	config_write(stage->world, PORT, 4, 2, 6);
	assert_config(stage->world, PORT, MSI + 20, 4, 0);
	assert_int_equal(stage->world->message_count, 0);
}

/* A port without a pin and without messages is looked at. */
static void a_port_without_interrupts(void **state)
{
	struct stage *stage = *state;
	struct part port, card;

	part_create_in(stage->world, &port, 5, (struct bk_pci_function_desc){ .extended = true }, true);
	assert_int_equal(bk_pci_express_add(port.function, EXPRESS, root_port, 60), EXPRESS);
	assert_int_equal(bk_pci_slot_add(port.function, NUMBER + 1), 0);
	part_create(stage->world, &card, 6, card_desc);
	part_attach(stage->world, &port, BK_PCI_DEVFN(5, 0));
	config_write(stage->world, BK_PCI_DEVFN(5, 0), SLTCTL, 2, PDC | HPIE);
	assert_int_equal(bk_pci_function_attach(card.function, bk_pci_bridge_bus(port.function), 0), 0);
	assert_config(stage->world, BK_PCI_DEVFN(5, 0), SLTSTA, 2, PDS | PDC | DLLSC);
	assert_int_equal(stage->world->line_changes, 0);
	part_destroy(&card);
	part_destroy(&port);
}

/* F18: nothing of the card that left is there when another comes to the same address. */
static void the_next_card_finds_the_place_clean(void **state)
{
	struct stage *stage = *state;
	struct world *world = stage->world;
	struct part next;

	for (unsigned round = 0; round < 3; round++) {
		assert_int_equal(bk_pci_function_reset(stage->card.function), 0);
		assert_int_equal(plug(stage, &stage->card, 0), 0);
		assert_memory(world, WINDOW, NOBODY);
		card_put(stage, BAR(0), 4, WINDOW);
		card_put(stage, 4, 2, 2);
		assert_memory(world, WINDOW, WHO(2, 0));
		assert_int_equal(bk_pci_function_set_intx(stage->card.function, true), 0);
		assert_true(world->lines[2]); /* swizzled: device 0 below slot 2 */
		bk_pci_function_detach(stage->card.function);
		assert_false(world->lines[2]);
		assert_memory(world, WINDOW, NOBODY);
		assert_int_equal(card_get(stage, 0, 4), 0xffffffff);

		part_create(world, &next, 3, (struct bk_pci_function_desc){ .bars = { MEM32_BAR(0x2000) } });
		assert_int_equal(plug(stage, &next, 0), 0);
		assert_memory(world, WINDOW, NOBODY);
		assert_int_equal(card_get(stage, BAR(0), 4), 0);
		assert_int_equal(card_get(stage, 4, 2), 0);
		card_put(stage, BAR(0), 4, WINDOW);
		card_put(stage, 4, 2, 2);
		assert_memory(world, WINDOW + 0x1fff, WHO(3, 0));
		part_destroy(&next);
		assert_memory(world, WINDOW, NOBODY);
	}
}

static void no_slot_where_none_can_be(void **state)
{
	struct stage *stage = *state;
	struct world *world = stage->world;
	static const uint8_t to_pci[60] = { [2] = 0x72 };
	struct part part;

	assert_int_equal(bk_pci_slot_add(stage->port.function, 1), -EEXIST);
	assert_int_equal(bk_pci_slot_add(stage->card.function, 1), -EINVAL);
	part_create_in(world, &part, 3, (struct bk_pci_function_desc){ 0 }, true);
	assert_int_equal(bk_pci_slot_add(part.function, 1), -EINVAL); /* not PCI Express */
	assert_int_equal(bk_pci_express_add(part.function, EXPRESS, to_pci, 60), EXPRESS);
	assert_int_equal(bk_pci_slot_add(part.function, 1), -EINVAL); /* a PCIe-to-PCI bridge */
	part_destroy(&part);
	part_create_in(world, &part, 3, (struct bk_pci_function_desc){ 0 }, true);
	assert_int_equal(bk_pci_express_add(part.function, EXPRESS, root_port, 20), EXPRESS);
	assert_int_equal(bk_pci_slot_add(part.function, 1), -EINVAL); /* no room for the registers */
	part_destroy(&part);
	part_create_in(world, &part, 3, (struct bk_pci_function_desc){ 0 }, true);
	assert_int_equal(bk_pci_express_add(part.function, EXPRESS, root_port, 60), EXPRESS);
	assert_int_equal(bk_pci_slot_add(part.function, 8192), -EINVAL);
	part_attach(world, &part, BK_PCI_DEVFN(3, 0));
	assert_int_equal(bk_pci_slot_add(part.function, 8191), -EBUSY);
	put(stage, SLTCTL, 0);
	part_destroy(&part);
}

/* ---- Room for what comes ----------------------------------------------- */

static void fail_line(void *opaque, const char *line)
{
	fail_msg("%s", line);
}

static void an_empty_slot_has_room(void **state)
{
	struct stage *stage = *state;
	struct world *world = stage->world;

	assert_int_equal(assign(world->host, 0x1000, fail_line, NULL), 0);
	assert_int_equal(config_read(world, PORT, 0x20, 4), 0x80108000);            /* 2 MiB */
	assert_int_equal(config_read(world, PORT, 0x1c, 2), 0x1010);                /* 4 KiB */
	assert_int_equal(config_read(world, PORT, 0x24, 4), 0x00110001);            /* 2 MiB ... */
	assert_int_equal(config_read(world, PORT, 0x28, 8), UINT64_C(0x100000001)); /* ... above 4 GiB */
	assert_int_equal(config_read(world, PORT, 4, 2) & 3, 3);
	assert_int_equal(config_read(world, PORT, 0x19, 1), 1);
}

static void as_much_room_as_is_asked_for(void **state)
{
	struct world *world = world_create(NULL);
	struct part ports[2];

	for (unsigned i = 0; i < 2; i++) {
		part_create_in(world, &ports[i], i + 1, (struct bk_pci_function_desc){ 0 }, true);
		assert_int_equal(bk_pci_slot_set_room(ports[i].function, 0, 0), -EINVAL); /* no slot so far */
		assert_int_equal(bk_pci_express_add(ports[i].function, EXPRESS, root_port, 60), EXPRESS);
		assert_int_equal(bk_pci_slot_add(ports[i].function, NUMBER), 0);
	}
	assert_int_equal(bk_pci_slot_set_room(ports[0].function, 0x180000, 0), -EINVAL);
	assert_int_equal(bk_pci_slot_set_room(ports[0].function, 0, 0x1000), -EINVAL);
	assert_int_equal(bk_pci_slot_set_room(ports[0].function, UINT64_C(1) << 32, 0), -EINVAL);
	assert_int_equal(bk_pci_slot_set_room(ports[0].function, 0, UINT64_C(1) << 47), -EINVAL);
	assert_int_equal(bk_pci_slot_set_room(ports[0].function, 0, UINT64_C(1) << 46), 0);
	assert_int_equal(bk_pci_slot_set_room(ports[0].function, 0x300000, UINT64_C(1) << 34), 0);
	assert_int_equal(bk_pci_slot_set_room(ports[1].function, 0x4000000, 0), 0);
	part_attach(world, &ports[0], PORT);
	part_attach(world, &ports[1], PORT + 8);
	assert_int_equal(bk_pci_slot_set_room(ports[0].function, 0, 0), -EBUSY);
	assert_int_equal(assign(world->host, 0x1000, fail_line, NULL), 0);
	assert_int_equal(config_read(world, PORT + 8, 0x20, 4), 0x83f08000); /* 64 MiB */
	assert_int_equal(config_read(world, PORT + 8, 0x24, 4), 0x0001fff1); /* closed */
	assert_int_equal(config_read(world, PORT, 0x20, 4), 0x84208400);     /* 3 MiB */
	assert_int_equal(config_read(world, PORT, 0x24, 4), 0xfff10001);     /* 16 GiB ... */
	assert_int_equal(config_read(world, PORT, 0x28, 8), UINT64_C(0x700000004));
	part_destroy(&ports[0]);
	part_destroy(&ports[1]);
	world_destroy(world);
}

static unsigned lines;

static void less_room(void *opaque, const char *line)
{
	assert_non_null(strstr(line, "less room for cards to come"));
	lines++;
}

static void one_mib(struct bk_pci_host_desc *desc)
{
	WINDOWS(desc)[0].last = WINDOWS(desc)[0].first + 0xfffff;
	WINDOWS(desc)[1] = WINDOWS(desc)[2];
	desc->window_count = 2;
}

static void what_is_there_comes_before_what_may_come(void **state)
{
	struct world *world = world_create(one_mib);
	struct part port, card, plain;

	part_create_in(world, &port, 1, (struct bk_pci_function_desc){ 0 }, true);
	assert_int_equal(bk_pci_express_add(port.function, EXPRESS, root_port, 60), EXPRESS);
	assert_int_equal(bk_pci_slot_add(port.function, NUMBER), 0);
	part_create(world, &card, 2, card_desc);
	part_attach(world, &port, PORT);
	assert_int_equal(bk_pci_function_attach(card.function, bk_pci_bridge_bus(port.function), 0), 0);
	lines = 0;
	assert_int_equal(assign(world->host, 0x1000, less_room, NULL), 0);
	assert_int_equal(lines, 1);
	assert_int_equal(config_read(world, PORT, 0x20, 4), 0x80008000);
	assert_memory(world, WINDOW_FIRST, WHO(2, 0));
	/* The same, and nobody is told; a bridge without a slot has no room to lose. */
	part_create_in(world, &plain, 3, (struct bk_pci_function_desc){ 0 }, true);
	part_attach(world, &plain, BK_PCI_DEVFN(9, 0));
	assert_int_equal(assign(world->host, 0x1000, NULL, NULL), 0);
	assert_memory(world, WINDOW_FIRST, WHO(2, 0));
	assert_config(world, BK_PCI_DEVFN(9, 0), 0x20, 4, 0x0000fff0);
	part_destroy(&plain);
	part_destroy(&card);
	part_destroy(&port);
	world_destroy(world);
}

#define STAGE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* ---- The button -------------------------------------------------------- */

#define ABP        0x0001 /* Attention Button Pressed, and its enable in SLTCTL */
#define PIC_ON     0x0100 /* the power indicator */
#define PIC_BLINKS 0x0200
#define PCC_OFF    0x0400 /* the power controller */

static unsigned switched, on;

static void on_power(void *opaque, bool powered)
{
	assert_ptr_equal(opaque, &switched);
	switched++;
	on = powered;
}

/* A port with a button, in place of the one of setup. */
static int setup_button(void **state)
{
	struct stage *stage;

	setup(state);
	stage = *state;
	switched = on = 0;
	assert_int_equal(bk_pci_function_detach(stage->port.function), 0);
	assert_int_equal(bk_pci_slot_add_button(stage->port.function, on_power, &switched), 0);
	part_attach(stage->world, &stage->port, PORT);
	assert_int_equal(plug(stage, &stage->card, 0), 0);
	put(stage, SLTSTA, PDC | DLLSC);
	return 0;
}

/* An empty slot that cannot have its room has none: that is told, too. */
static void an_empty_slot_without_room_is_told_of(void **state)
{
	struct world *world = world_create(one_mib);
	struct part port;

	(void)state;
	part_create_in(world, &port, 1, (struct bk_pci_function_desc){ 0 }, true);
	assert_int_equal(bk_pci_express_add(port.function, EXPRESS, root_port, 60), EXPRESS);
	assert_int_equal(bk_pci_slot_add(port.function, NUMBER), 0);
	part_attach(world, &port, PORT);
	lines = 0;
	assert_int_equal(assign(world->host, 0x1000, less_room, NULL), 0);
	assert_int_equal(lines, 1);
	assert_config(world, PORT, 0x20, 4, 0x0000fff0); /* closed */
	assert_config(world, PORT, 0x1c, 2, 0x1010);     /* ports are enough for all */
	part_destroy(&port);
	world_destroy(world);
}

static void two_buses(struct bk_pci_host_desc *desc)
{
	desc->bus_last = 1;
}

static void no_number(void *opaque, const char *line)
{
	(void)opaque;
	assert_string_equal(line, "00:05.0 f2: no bus number is left for the bus below: the last is 1");
	lines++;
}

/* Bus numbers that run out have nothing to do with room. */
static void without_bus_numbers_for_all_a_slot_keeps_its_room(void **state)
{
	struct world *world = world_create(two_buses);
	struct part port, plain;

	(void)state;
	part_create_in(world, &port, 1, (struct bk_pci_function_desc){ 0 }, true);
	assert_int_equal(bk_pci_express_add(port.function, EXPRESS, root_port, 60), EXPRESS);
	assert_int_equal(bk_pci_slot_add(port.function, NUMBER), 0);
	part_create_in(world, &plain, 2, (struct bk_pci_function_desc){ 0 }, true);
	part_attach(world, &port, PORT);
	part_attach(world, &plain, BK_PCI_DEVFN(5, 0));
	lines = 0;
	assert_int_equal(assign(world->host, 0x1000, no_number, NULL), 0);
	assert_int_equal(lines, 1);
	assert_int_equal(config_read(world, PORT, 0x20, 4), 0x80108000); /* 2 MiB */
	part_destroy(&plain);
	part_destroy(&port);
	world_destroy(world);
}

static void a_slot_below_a_switch_has_room(void **state)
{
	static const uint8_t upstream[60] = { [2] = 0x52, [0x0c] = 0x05, [0x0d] = 0x01 },
			     downstream[60] = { [2] = 0x62, [0x0c] = 0x05, [0x0d] = 0x01 };
	static const uint8_t *const kinds[] = { root_port, upstream, downstream };
	struct world *world = world_create(NULL);
	struct part ports[3];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		part_create_in(world, &ports[i], i + 1, (struct bk_pci_function_desc){ .extended = true },
			       true);
		assert_int_equal(bk_pci_express_add(ports[i].function, EXPRESS, kinds[i], 60), EXPRESS);
	}
	assert_int_equal(bk_pci_slot_add(ports[2].function, NUMBER), 0);
	for (unsigned i = 3; --i;)
		assert_int_equal(bk_pci_function_attach(ports[i].function,
							bk_pci_bridge_bus(ports[i - 1].function), 0),
				 0);
	part_attach(world, &ports[0], PORT);
	assert_int_equal(assign(world->host, 0x1000, fail_line, NULL), 0);
	for (unsigned i = 0; i < 3; i++) {
		uint64_t window;

		assert_int_equal(bk_pci_function_read(ports[i].function, 0x20, 4, &window), 0);
		assert_int_equal(window, 0x80108000);
	}
	for (unsigned i = 3; i--;)
		part_destroy(&ports[i]);
	world_destroy(world);
}

static void a_slot_without_a_button_has_nothing_to_press(void **state)
{
	struct stage *stage = *state;

	assert_int_equal(bk_pci_slot_press(stage->port.function), -EINVAL);
	assert_true(bk_pci_slot_powered(stage->port.function));
	put(stage, SLTCTL, 0xffff);
	assert_int_equal(get(stage, SLTCTL), PDC | HPIE | DLLSCE);
	assert_int_equal(bk_pci_slot_add_button(stage->port.function, on_power, NULL), -EBUSY); /* too late */
	assert_int_equal(bk_pci_slot_add_button(stage->card.function, on_power, NULL), -EINVAL);
	assert_true(bk_pci_slot_powered(stage->card.function)); /* no slot could switch it off */
}

static void the_button_is_an_event_for_who_listens(void **state)
{
	struct stage *stage = *state;

	assert_int_equal(config_read(stage->world, PORT, SLTCAP, 4), NUMBER << 19 | 0x00040073);
	assert_int_equal(bk_pci_slot_press(stage->port.function), -EAGAIN);
	put(stage, SLTCTL, PIC_ON | HPIE);
	assert_int_equal(bk_pci_slot_press(stage->port.function), -EAGAIN);
	put(stage, SLTCTL, PIC_ON | ABP);
	assert_int_equal(bk_pci_slot_press(stage->port.function), -EAGAIN);
	assert_int_equal(get(stage, SLTSTA), PDS);
	put(stage, SLTCTL, PIC_ON | HPIE | ABP);
	use_msi(stage);
	assert_int_equal(stage->world->message_count, 0);
	assert_int_equal(bk_pci_slot_press(stage->port.function), 0);
	assert_int_equal(stage->world->message_count, 1);
	assert_int_equal(get(stage, SLTSTA), PDS | ABP);
	put(stage, SLTSTA, ABP);
	assert_int_equal(get(stage, SLTSTA), PDS);
	put(stage, SLTCTL, PIC_BLINKS | HPIE | ABP);
	assert_int_equal(bk_pci_slot_press(stage->port.function), -EALREADY);
	assert_int_equal(stage->world->message_count, 1);
}

static void without_power_the_card_is_reset_and_out_of_reach(void **state)
{
	struct stage *stage = *state;
	const uint64_t id = card_get(stage, 0, 4);

	card_put(stage, 4, 2, 6);
	assert_int_not_equal(id, UINT32_MAX);
	put(stage, SLTCTL, DLLSCE | PCC_OFF);
	assert_int_equal(switched, 1);
	assert_int_equal(on, false);
	assert_false(bk_pci_slot_powered(stage->port.function));
	assert_int_equal(card_get(stage, 0, 4), UINT32_MAX);
	assert_int_equal(get(stage, SLTSTA), PDS | DLLSC);
	assert_int_equal(get(stage, LNKSTA) & DLLLA, 0);
	put(stage, SLTCTL, DLLSCE | PCC_OFF); /* the same again is no news */
	assert_int_equal(switched, 1);
	put(stage, SLTCTL, DLLSCE);
	assert_int_equal(switched, 2);
	assert_int_equal(on, true);
	assert_int_equal(card_get(stage, 0, 4), id);
	assert_int_equal(card_get(stage, 4, 2), 0); /* as after a reset */
	assert_int_equal(get(stage, LNKSTA) & DLLLA, DLLLA);
}

static void a_card_for_a_slot_without_power_comes_with_the_button(void **state)
{
	struct stage *stage = *state;

	assert_int_equal(bk_pci_function_detach(stage->card.function), 0);
	put(stage, SLTCTL, PCC_OFF);
	put(stage, SLTSTA, ABP | PDC | DLLSC);
	assert_int_equal(plug(stage, &stage->card, 0), 0);
	assert_int_equal(get(stage, SLTSTA), PDS | PDC | ABP);
	assert_int_equal(get(stage, LNKSTA) & DLLLA, 0);
	put(stage, SLTCTL, 0);
	assert_int_equal(get(stage, LNKSTA) & DLLLA, DLLLA);
}

static void a_reset_of_the_port_switches_the_power_on(void **state)
{
	struct stage *stage = *state;

	put(stage, SLTCTL, PCC_OFF);
	assert_int_equal(bk_pci_function_reset(stage->port.function), 0);
	assert_true(bk_pci_slot_powered(stage->port.function));
	assert_int_equal(switched, 2);
	assert_int_equal(on, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STAGE_TEST(an_empty_slot),
		STAGE_TEST(a_card_comes_and_goes),
		STAGE_TEST(the_card_is_function_0_of_device_0),
		STAGE_TEST(without_function_0_no_function_is_reached),
		STAGE_TEST(the_link_is_as_fast_as_the_card_says),
		STAGE_TEST(the_link_is_no_faster_and_no_wider_than_the_port),
		STAGE_TEST(link_disable_resets_and_hides_the_card),
		STAGE_TEST(a_message_for_each_new_event),
		STAGE_TEST(a_masked_message_waits_or_is_taken_back),
		STAGE_TEST(without_msi_the_pin_is_held),
		STAGE_TEST(a_reset_of_the_port_is_no_event),
		STAGE_TEST(a_reset_of_the_port_takes_its_message_back),
		STAGE_TEST(a_port_without_interrupts),
		STAGE_TEST(the_next_card_finds_the_place_clean),
		STAGE_TEST(no_slot_where_none_can_be),
		STAGE_TEST(an_empty_slot_has_room),
		cmocka_unit_test(as_much_room_as_is_asked_for),
		cmocka_unit_test(what_is_there_comes_before_what_may_come),
		cmocka_unit_test(an_empty_slot_without_room_is_told_of),
		cmocka_unit_test(without_bus_numbers_for_all_a_slot_keeps_its_room),
		cmocka_unit_test(a_slot_below_a_switch_has_room),
		STAGE_TEST(a_slot_without_a_button_has_nothing_to_press),
		cmocka_unit_test_setup_teardown(the_button_is_an_event_for_who_listens, setup_button,
						teardown),
		cmocka_unit_test_setup_teardown(without_power_the_card_is_reset_and_out_of_reach,
						setup_button, teardown),
		cmocka_unit_test_setup_teardown(a_card_for_a_slot_without_power_comes_with_the_button,
						setup_button, teardown),
		cmocka_unit_test_setup_teardown(a_reset_of_the_port_switches_the_power_on, setup_button,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
