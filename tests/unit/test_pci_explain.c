/* SPDX-License-Identifier: BSD-2-Clause */
/* Why a BAR is not there: each reason, in fields and in words, and that a BAR that answers has none. */
#include "pci_world.h"

#define PORT BK_PCI_DEVFN(2, 0)
#define CARD BK_PCI_DEVFN(1, 0) /* on the bus below the port */

struct stage {
	struct world *world;
	struct part port, card;
	bool in_reset; /* the card's owner asks why */
	struct bk_pci_explanation seen;
};

static uint64_t at(unsigned bus, uint8_t devfn, unsigned offset)
{
	return ECAM + (bus << 20 | (unsigned)devfn << 12 | offset);
}

static void put(struct stage *stage, unsigned bus, uint8_t devfn, unsigned offset, unsigned width,
		uint64_t value)
{
	assert_int_equal(bk_space_write(stage->world->memory, at(bus, devfn, offset), width, value), 0);
}

static int setup(void **state)
{
	static struct stage stage;
	const struct bk_pci_function_desc bridge = { 0 };
	const struct bk_pci_function_desc desc = {
		.name = "card",
		.bars = { MEM32_BAR(0x200000), IO_BAR(0x100), MEM64_BAR(0x1000) },
		.rom = MEM32_BAR(0x800),
	};

	memset(&stage, 0, sizeof(stage));
	stage.world = world_create(NULL);
	part_create_in(stage.world, &stage.port, 1, bridge, true);
	part_attach(stage.world, &stage.port, PORT);
	part_create(stage.world, &stage.card, 2, desc);
	assert_int_equal(bk_pci_pm_add(stage.card.function, 0x40, 0, true), 0x40);
	assert_int_equal(
		bk_pci_function_attach(stage.card.function, bk_pci_bridge_bus(stage.port.function), CARD), 0);
	put(&stage, 0, PORT, 0x18, 4, 0x00010100);
	put(&stage, 0, PORT, 0x20, 4, 0x90209000); /* memory 0x90000000-0x902fffff */
	put(&stage, 0, PORT, 0x1c, 2, 0x2020);     /* ports 0x2000-0x2fff */
	put(&stage, 0, PORT, 4, 2, 3);
	put(&stage, 1, CARD, BAR(0), 4, 0x90000000);
	put(&stage, 1, CARD, BAR(1), 4, 0x2000);
	put(&stage, 1, CARD, BAR(2), 4, 0x90200000);
	put(&stage, 1, CARD, ROM_BAR, 4, 0x90201001);
	put(&stage, 1, CARD, 4, 2, 3);
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

static struct bk_pci_explanation why(struct stage *stage, unsigned index, const char *expected)
{
	struct bk_pci_explanation explanation = { .struct_size = sizeof(explanation) };
	char text[192];

	assert_int_equal(
		bk_pci_function_explain(stage->card.function, index, &explanation, text, sizeof(text)), 0);
	assert_string_equal(text, expected);
	return explanation;
}

static void answers(void **state)
{
	struct stage *stage = *state;
	struct bk_pci_explanation e = { .struct_size = sizeof(e) };

	assert_int_equal(bk_pci_function_explain(stage->card.function, 2, &e, NULL, 0), 0); /* no text */
	assert_int_equal(e.reason, BK_PCI_BAR_ANSWERS);
	e = why(*state, 2, "it answers at 0x90200000-0x90200fff");

	assert_int_equal(e.reason, BK_PCI_BAR_ANSWERS);
	assert_string_equal(e.kind, "64-bit memory");
	assert_int_equal(e.offset, 0x18);
	assert_int_equal(e.width, 8);
	assert_int_equal(e.raw, 0x90200000);
	assert_int_equal(e.shown, ~UINT64_C(0xfff));
	assert_int_equal(e.address, 0x90200000);
	assert_int_equal(e.length, 0x1000);
	assert_int_equal(e.command, 3);
	assert_false(e.io);
	assert_int_equal(why(*state, 0, "it answers at 0x90000000-0x901fffff").reason, BK_PCI_BAR_ANSWERS);
	assert_int_equal(why(*state, BK_PCI_ROM, "it answers at 0x90201000-0x902017ff").reason,
			 BK_PCI_BAR_ANSWERS);
	e = why(*state, 1, "it answers at 0x2000-0x20ff");
	assert_true(e.io);
	assert_int_equal(e.width, 4);
}

static void registers_say_no(void **state)
{
	struct stage *stage = *state;

	put(stage, 1, CARD, BAR(0), 4, 0xfffffff0);
	assert_int_equal(why(stage, 0,
			     "register 0x10 holds 0xfffffff0: all ones in the address bits of a half, a size "
			     "probe")
				 .reason,
			 BK_PCI_BAR_PROBED);
	put(stage, 1, CARD, BAR(0), 4, 0);
	assert_int_equal(why(stage, 0, "register 0x10 holds 0x0: address 0 does not decode").reason,
			 BK_PCI_BAR_AT_ZERO);
	put(stage, 1, CARD, ROM_BAR, 4, 0x90201000);
	assert_int_equal(
		why(stage, BK_PCI_ROM, "register 0x30 holds 0x90201000: the ROM's enable bit is off").reason,
		BK_PCI_BAR_ROM_OFF);
	put(stage, 1, CARD, 4, 2, 2);
	assert_int_equal(why(stage, 1, "COMMAND is 0x0002: I/O decoding is off").reason,
			 BK_PCI_BAR_COMMAND_OFF);
	put(stage, 1, CARD, 4, 2, 1);
	assert_int_equal(why(stage, 2, "COMMAND is 0x0001: memory decoding is off").reason,
			 BK_PCI_BAR_COMMAND_OFF);
	put(stage, 1, CARD, 0x44, 1, 3);
	assert_int_equal(why(stage, 2, "the function is in D3").reason, BK_PCI_BAR_POWERED_DOWN);
}

static void no_bus(void **state)
{
	struct stage *stage = *state;

	put(stage, 1, CARD, BAR(0), 4, 0);
	assert_int_equal(bk_pci_function_detach(stage->card.function), 0);
	assert_int_equal(why(stage, 0, "register 0x10 holds 0x0: address 0 does not decode").reason,
			 BK_PCI_BAR_AT_ZERO);
	assert_int_equal(why(stage, 2, "the function is on no bus").reason, BK_PCI_BAR_DETACHED);
}

static void zero_decodes(struct bk_pci_host_desc *desc)
{
	desc->address_zero = true;
}

/* Where address 0 decodes, the windows decide about it as about any other. */
static void address_zero(void **state)
{
	const struct bk_pci_function_desc desc = { .name = "low", .bars = { MEM32_BAR(0x1000) } };
	struct bk_pci_explanation e = { .struct_size = sizeof(e) };
	struct world *world = world_create(zero_decodes);
	struct part low;

	part_create(world, &low, 3, desc);
	part_attach(world, &low, CARD);
	config_write(world, CARD, 4, 2, 2);
	assert_int_equal(bk_pci_function_explain(low.function, 0, &e, NULL, 0), 0);
	assert_int_equal(e.reason, BK_PCI_BAR_OUTSIDE);
	part_destroy(&low);
	world_destroy(world);
}

/* The topmost window that lets a part go is named. */
static void windows_say_no(void **state)
{
	struct stage *stage = *state;
	struct bk_pci_explanation e;

	put(stage, 0, PORT, 0x20, 4, 0x90109010); /* 0x90100000-0x901fffff */
	e = why(stage, 0, "0x90000000-0x900fffff is in no window of f1");
	assert_int_equal(e.reason, BK_PCI_BAR_OUTSIDE);
	assert_ptr_equal(e.bridge, stage->port.function);
	assert_int_equal(e.missing_first, 0x90000000);
	assert_int_equal(e.missing_last, 0x900fffff);
	put(stage, 0, PORT, 4, 2, 2);
	assert_int_equal(why(stage, 1, "0x2000-0x20ff is in no window of f1").reason, BK_PCI_BAR_OUTSIDE);
	put(stage, 0, PORT, 4, 2, 3);
	put(stage, 1, CARD, BAR(2), 4, 0x40000000); /* below the host's window */
	e = why(stage, 2, "0x40000000-0x40000fff is in no window of the host bridge");
	assert_null(e.bridge);
	put(stage, 0, PORT, 0x20, 4, 0x40004000);
	e = why(stage, 2, "0x40000000-0x40000fff is in no window of the host bridge");
	/* A port that is off its bus leads nowhere. */
	assert_int_equal(bk_pci_function_detach(stage->card.function), 0);
	put(stage, 0, PORT, 0x20, 4, 0x90209000);
	assert_int_equal(
		bk_pci_function_attach(stage->card.function, bk_pci_bridge_bus(stage->port.function), CARD),
		0);
	why(stage, 0, "it answers at 0x90000000-0x901fffff");
	assert_int_equal(bk_pci_function_detach(stage->port.function), 0);
	why(stage, 0, "0x90000000-0x901fffff is in no window of f1");
}

static int on_reset(void *opaque)
{
	struct stage *stage = opaque;

	stage->seen.struct_size = sizeof(stage->seen);
	return bk_pci_function_explain(stage->card.function, 0, &stage->seen, NULL, 0);
}

static void in_reset(void **state)
{
	struct stage *stage = *state;
	const struct bk_pci_function_desc desc = { .bars = { MEM32_BAR(0x1000) },
						   .reset = on_reset,
						   .opaque = stage };
	struct bk_pci_function_desc with_space = desc;
	struct bk_pci_function *function, *card = stage->card.function;

	with_space.vendor = 0x1234;
	with_space.bars[0].space = stage->card.spaces[0];
	assert_int_equal(bk_pci_function_create(stage->world->domain, &with_space, &function, NULL), 0);
	stage->card.function = function;
	assert_int_equal(bk_pci_function_reset(function), 0);
	assert_int_equal(stage->seen.reason, BK_PCI_BAR_IN_RESET);
	assert_int_equal(bk_pci_function_destroy(function), 0);
	stage->card.function = card;
}

/* An older program's struct is shorter: nothing behind it is written. */
static void sizes(void **state)
{
	struct stage *stage = *state;
	struct bk_pci_explanation e;

	memset(&e, 0x5a, sizeof(e));
	e.struct_size = offsetof(struct bk_pci_explanation, bridge);
	assert_int_equal(bk_pci_function_explain(stage->card.function, 0, &e, NULL, 0), 0);
	assert_int_equal(e.struct_size, offsetof(struct bk_pci_explanation, bridge));
	assert_int_equal(e.address, 0x90000000);
	assert_int_equal(e.missing_last, UINT64_C(0x5a5a5a5a5a5a5a5a));
	e.struct_size = 0; /* of the first release */
	assert_int_equal(bk_pci_function_explain(stage->card.function, 0, &e, NULL, 0), 0);
	e.struct_size = sizeof(e);
	assert_int_equal(bk_pci_function_explain(stage->card.function, 3, &e, NULL, 0), -EINVAL);
	assert_int_equal(bk_pci_function_explain(stage->card.function, 4, &e, NULL, 0), -EINVAL);
	assert_int_equal(bk_pci_function_explain(stage->card.function, 7, &e, NULL, 0), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(answers, setup, teardown),
		cmocka_unit_test_setup_teardown(registers_say_no, setup, teardown),
		cmocka_unit_test_setup_teardown(no_bus, setup, teardown),
		cmocka_unit_test(address_zero),
		cmocka_unit_test_setup_teardown(windows_say_no, setup, teardown),
		cmocka_unit_test_setup_teardown(in_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(sizes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
