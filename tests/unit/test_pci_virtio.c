/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * F01, with real writes: two virtio functions whose I/O BARs show in a memory
 * window, where bhyve puts them; what U-Boot wrote to such a pair; then an
 * operating system that gives both new addresses, as Linux does it and as
 * FreeBSD does. After every write every byte is compared with what the
 * registers as written say.
 */
#include "pci_world.h"

#include <stdio.h>
#include <stdlib.h>

#include "firmware/trace.h"

enum { NET, BLK, COUNT };

#define WINDOW   UINT64_C(0xdf000000)
#define LOOKED   0x200u /* bytes of it */
#define COMMAND  0x04
#define DECODE   0x3
#define RECORDED 0x1000u /* where I/O begins in the trace */

static const uint8_t devfns[COUNT] = { BK_PCI_DEVFN(2, 0), BK_PCI_DEVFN(3, 0) };
static const uint32_t sizes[COUNT] = { 64, 128 };

struct guest {
	struct world *world;
	struct part parts[COUNT];
	uint8_t command[COUNT];
	uint32_t bar[COUNT]; /* BAR 0 as written */
	unsigned writes;
};

static void tune(struct bk_pci_host_desc *desc)
{
	WINDOWS(desc)
	[desc->window_count++] = (struct bk_pci_window){
		BK_PCI_WINDOW_IO, desc->ecam, WINDOW, WINDOW + 0xffff, WINDOW, 1,
	};
}

/* Who should answer: the first of those whose BAR is there, by slot. */
static uint8_t owner(const struct guest *guest, uint64_t address)
{
	for (unsigned i = 0; i < COUNT; i++) {
		uint32_t first = guest->bar[i] & ~(sizes[i] - 1);

		if ((guest->command[i] & 1) && (guest->bar[i] | 3) != UINT32_MAX && address >= first &&
		    address - first < sizes[i])
			return WHO(i, 0);
	}
	return NOBODY;
}

static void check(struct guest *guest)
{
	for (uint64_t address = WINDOW; address < WINDOW + LOOKED; address++) {
		uint8_t is = memory_byte(guest->world, address), should = owner(guest, address);

		if (is != should)
			fail_msg("write %u: %#llx is %#x, should be %#x", guest->writes,
				 (unsigned long long)address, is, should);
	}
}

/* [first, end) of the window are all of this one. */
static void assert_range(struct guest *guest, unsigned first, unsigned end, uint8_t who)
{
	for (unsigned i = first; i < end; i++)
		assert_memory(guest->world, WINDOW + i, who);
}

static uint32_t get(struct guest *guest, unsigned i, unsigned offset, unsigned width)
{
	return (uint32_t)config_read(guest->world, devfns[i], offset, width);
}

static void put(struct guest *guest, unsigned i, unsigned offset, unsigned width, uint32_t value)
{
	config_write(guest->world, devfns[i], offset, width, value);
	guest->writes++;
	if (offset == COMMAND)
		guest->command[i] = (uint8_t)value;
	if (offset == BAR(0))
		guest->bar[i] = value;
	check(guest);
}

static void plug(struct guest *guest, unsigned i)
{
	struct bk_pci_function_desc desc = {
		.vendor = 0x1af4,
		.device = i == NET ? 0x1000 : 0x1001,
		.bars = { IO_BAR(sizes[i]), MEM32_BAR(0x1000) },
	};

	part_create(guest->world, &guest->parts[i], i, desc);
	part_attach(guest->world, &guest->parts[i], devfns[i]);
	check(guest);
	/* bhyve's functions decode from the start. */
	put(guest, i, BAR(0), 4, (uint32_t)WINDOW + (i == NET ? 0x80 : 0));
	put(guest, i, COMMAND, 2, 1);
}

static void start(struct guest *guest, unsigned first)
{
	memset(guest, 0, sizeof(*guest));
	guest->world = world_create(tune);
	plug(guest, first);
	plug(guest, !first);
	assert_range(guest, 0, 0x80, WHO(BLK, 0));
	assert_range(guest, 0x80, 0xc0, WHO(NET, 0));
	assert_range(guest, 0xc0, LOOKED, NOBODY);
}

static void end(struct guest *guest)
{
	for (unsigned i = 0; i < COUNT; i++)
		part_destroy(&guest->parts[i]);
	guest->command[NET] = guest->command[BLK] = 0;
	check(guest);
	world_destroy(guest->world);
}

/* Every write of U-Boot to the two, with its addresses moved to this machine's windows. */
static void firmware(struct guest *guest)
{
	struct bk__firmware_trace trace;
	struct bk_error err;
	unsigned done = 0;

	if (bk__firmware_trace_load(TRACES "/uboot-arm64.trace.xz", &trace, &err))
		fail_msg("%s", err.text);
	for (size_t s = 0; s < trace.step_count; s++) {
		const struct bk__firmware_step *step = &trace.steps[s];
		unsigned i = (step->address >> 12 & 0xff) == devfns[NET] ? NET : BLK, offset;
		uint32_t value = (uint32_t)step->value;

		if (step->kind != BK__STEP_ECAM || !step->write || (step->address >> 12) != devfns[i])
			continue;
		offset = step->address & 0xfff;
		if (offset == BAR(0) && value != UINT32_MAX)
			value += (uint32_t)WINDOW - RECORDED;
		else if (offset > BAR(0) && offset < BAR(6) && value && value != UINT32_MAX)
			value += (uint32_t)WINDOW_FIRST;
		put(guest, i, offset, step->width, value);
		done++;
		if (i == NET && offset == BAR(0) && value == WINDOW) { /* over the other one */
			assert_range(guest, 0, 0x40, WHO(NET, 0));
			assert_range(guest, 0x40, 0x80, WHO(BLK, 0));
			assert_range(guest, 0x80, LOOKED, NOBODY);
		}
	}
	assert_int_equal(done, 28);
	bk__firmware_trace_free(&trace);
	assert_range(guest, 0, 0x40, WHO(NET, 0));
	assert_range(guest, 0x40, 0x80, NOBODY);
	assert_range(guest, 0x80, 0x100, WHO(BLK, 0));
	assert_memory(guest->world, UINT64_C(0x90000000), WHO(NET, 1));
	assert_memory(guest->world, UINT64_C(0x90008000), WHO(BLK, 1));
}

static void size(struct guest *guest, unsigned i, unsigned bar)
{
	uint32_t was = get(guest, i, BAR(bar), 4), mask;

	put(guest, i, BAR(bar), 4, UINT32_MAX);
	mask = get(guest, i, BAR(bar), 4);
	put(guest, i, BAR(bar), 4, was);
	assert_int_equal(mask, bar == 0 ? ~(sizes[i] - 1) | 1 : bar == 1 ? 0xfffff000 : 0);
	assert_int_equal(get(guest, i, BAR(bar), 4), was);
}

/* __pci_read_base with decoding off for the function, then pci_update_resource and pci_enable_device. */
static void linux_programs(struct guest *guest)
{
	for (unsigned i = 0; i < COUNT; i++) {
		uint32_t command = get(guest, i, COMMAND, 2);

		put(guest, i, COMMAND, 2, command & ~DECODE);
		for (unsigned bar = 0; bar < 6; bar++)
			size(guest, i, bar);
		put(guest, i, COMMAND, 2, command);
	}
	put(guest, BLK, BAR(0), 4, (uint32_t)WINDOW | 1); /* largest first, onto the other one */
	assert_range(guest, 0, 0x40, WHO(NET, 0));
	assert_range(guest, 0x40, 0x80, WHO(BLK, 0));
	put(guest, NET, BAR(0), 4, ((uint32_t)WINDOW + 0x80) | 1);
	for (unsigned i = 0; i < COUNT; i++)
		put(guest, i, COMMAND, 2, get(guest, i, COMMAND, 2) | 1);
}

/* pci_read_bar and pci_write_bar: for each BAR, with decoding of its kind off. */
static void freebsd_programs(struct guest *guest)
{
	static const uint32_t places[COUNT] = { 0x80, 0 }; /* net onto blk, then blk away */

	for (unsigned i = 0; i < COUNT; i++) {
		for (unsigned bar = 0; bar < 6; bar++) {
			uint32_t command = get(guest, i, COMMAND, 2);

			put(guest, i, COMMAND, 2, command & ~(bar ? 2u : 1u));
			size(guest, i, bar);
			put(guest, i, COMMAND, 2, command);
		}
	}
	for (unsigned i = 0; i < COUNT; i++) {
		uint32_t command = get(guest, i, COMMAND, 2);

		put(guest, i, COMMAND, 2, command & ~1u);
		put(guest, i, BAR(0), 4, (uint32_t)WINDOW + places[i]);
		put(guest, i, COMMAND, 2, command);
		if (i == NET) {
			assert_range(guest, 0x80, 0xc0, WHO(NET, 0));
			assert_range(guest, 0xc0, 0x100, WHO(BLK, 0));
			assert_range(guest, 0, 0x80, NOBODY);
		}
	}
}

static void run(unsigned first, void (*system)(struct guest *guest))
{
	struct guest guest;

	start(&guest, first);
	firmware(&guest);
	system(&guest);
	assert_range(&guest, 0, 0x80, WHO(BLK, 0));
	assert_range(&guest, 0x80, 0xc0, WHO(NET, 0));
	assert_range(&guest, 0xc0, LOOKED, NOBODY);
	/* And each at the offset that it should be at. */
	assert_int_equal(bk_space_write(guest.world->memory, WINDOW + 0x7c, 4, 5), 0);
	assert_int_equal(guest.parts[BLK].answers[0].offset, 0x7c);
	assert_int_equal(bk_space_write(guest.world->memory, WINDOW + 0x93, 1, 5), 0);
	assert_int_equal(guest.parts[NET].answers[0].offset, 0x13);
	end(&guest);
}

static void F01_net_first_then_linux(void **state)
{
	run(NET, linux_programs);
}

static void F01_blk_first_then_linux(void **state)
{
	run(BLK, linux_programs);
}

static void F01_net_first_then_freebsd(void **state)
{
	run(NET, freebsd_programs);
}

static void F01_blk_first_then_freebsd(void **state)
{
	run(BLK, freebsd_programs);
}

/* A memory BAR put on the window that shows I/O: that window is above, and lets the BAR show where no I/O is.
 */
static void F06_a_memory_bar_over_another_window(void **state)
{
	struct guest guest;

	start(&guest, NET);
	config_write(guest.world, devfns[BLK], BAR(1), 4, WINDOW);
	config_write(guest.world, devfns[BLK], COMMAND, 2, 3);
	assert_range(&guest, 0, 0x80, WHO(BLK, 0));
	assert_range(&guest, 0x80, 0xc0, WHO(NET, 0));
	assert_range(&guest, 0xc0, LOOKED, WHO(BLK, 1));
	config_write(guest.world, devfns[NET], COMMAND, 2, 0);
	assert_range(&guest, 0x80, LOOKED, WHO(BLK, 1));
	config_write(guest.world, devfns[NET], COMMAND, 2, 1);
	config_write(guest.world, devfns[BLK], BAR(1), 4, 0x90000000);
	assert_memory(guest.world, 0x90000000, WHO(BLK, 1));
	check(&guest);
	end(&guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(F01_net_first_then_linux),
		cmocka_unit_test(F01_blk_first_then_linux),
		cmocka_unit_test(F01_net_first_then_freebsd),
		cmocka_unit_test(F01_blk_first_then_freebsd),
		cmocka_unit_test(F06_a_memory_bar_over_another_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
