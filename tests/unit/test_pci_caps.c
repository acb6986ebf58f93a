/* SPDX-License-Identifier: BSD-2-Clause */
/* Capabilities that come and go, BARs that change their size, and those that only say something. */
#include "pci_world.h"

#include <pthread.h>

#include "pci/cap.h"
#include "pci/regs.h"
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

static const struct bk_pci_function_desc express = {
	.extended = true,
	.bars = { MEM64_BAR(UINT64_C(1) << 33), { 0 }, MEM32_BAR(0x1000) },
};

/* ---- Those that only say something --------------------------------------- */

static void vendors_and_the_serial_number(void **state)
{
	static const uint8_t bytes[5] = { 1, 2, 3, 4, 5 }, writable[5] = { 0, 0xff };
	struct world *world = *state;
	struct part part;
	struct bk_pci_function *f;

	part_create(world, &part, 1, express);
	f = part.function;
	assert_int_equal(vendor_add(f, 0, bytes, writable, 5), 0x40);
	assert_int_equal(vendor_add(f, 0, NULL, NULL, 0), 0x48);
	assert_int_equal(vendor_add(f, 0, NULL, NULL, 0xc0), -EINVAL);
	assert_int_equal(vendor_add(f, 0, NULL, NULL, UINT32_MAX), -EINVAL);
	assert_int_equal(vendor_add(f, 0x44, NULL, NULL, 1), -EINVAL);
	assert_int_equal(bk_pci_serial_add(f, 0, UINT64_C(0x0123456789abcdef)), 0x100);
	assert_int_equal(bk_pci_serial_add(f, 0, 1), -EEXIST);
	assert_int_equal(vsec_add(f, 0, 0xabcd, 3, bytes, writable, 5), 0x10c);
	assert_int_equal(dvsec_add(f, 0, 0x1e98, 8, 2, bytes, writable, 5), 0x11c);
	assert_int_equal(dvsec_add(f, 0, 1, 1, 1, NULL, NULL, 0xf00), -EINVAL);
	assert_int_equal(dvsec_add(f, 0, 1, 1, 1, NULL, NULL, 0xef0), -ENOSPC);
	part_attach(world, &part, DEVFN);
	assert_config(world, DEVFN, 0x40, 8, UINT64_C(0x0504030201084809));
	assert_config(world, DEVFN, 0x48, 4, 0x00030009);
	assert_config(world, DEVFN, 0x100, 4, 0x10c10003);
	assert_config(world, DEVFN, 0x104, 8, UINT64_C(0x0123456789abcdef));
	assert_config(world, DEVFN, 0x10c, 8, UINT64_C(0x00d3abcd11c1000b));
	assert_config(world, DEVFN, 0x114, 8, UINT64_C(0x0504030201));
	assert_config(world, DEVFN, 0x11c, 8, UINT64_C(0x00f21e9800010023));
	assert_config(world, DEVFN, 0x124, 8, UINT64_C(0x05040302010008));
	for (unsigned at = 0x40; at < 0x130; at += at == 0x48 ? 0xb8 : 4)
		config_write(world, DEVFN, at, 4, 0xffffffff);
	assert_config(world, DEVFN, 0x40, 8, UINT64_C(0x050403ff01084809));
	assert_config(world, DEVFN, 0x104, 8, UINT64_C(0x0123456789abcdef));
	assert_config(world, DEVFN, 0x10c, 8, UINT64_C(0x00d3abcd11c1000b));
	assert_config(world, DEVFN, 0x114, 8, UINT64_C(0x050403ff01));
	assert_config(world, DEVFN, 0x124, 8, UINT64_C(0x050403ff010008));
	part_destroy(&part);

	part_create(world, &part, 1, (struct bk_pci_function_desc){ 0 }); /* no extended space */
	assert_int_equal(bk_pci_serial_add(part.function, 0, 1), -EINVAL);
	assert_int_equal(dvsec_add(part.function, 0, 1, 1, 1, NULL, NULL, 4), -EINVAL);
	part_destroy(&part);
}

/* What rooms above ask: which bytes the model has, and which it takes writes of. */
static void bytes_that_are_held_and_bytes_that_take_writes(void **state)
{
	static const uint8_t bytes[6] = { 0 }, writable[6] = { [3] = 0x10 }, w1c[6] = { [4] = 0x01 };
	struct world *world = *state;
	struct part part;
	struct bk_pci_function *f;

	part_create(world, &part, 1, express);
	f = part.function;
	assert_int_equal(capability_add(f, 0x77, 0x40, 6, bytes, writable, w1c), 0x40);
	assert_int_equal(bk__pci_capability_holds(f, 0x3e, 4), 0xc);
	assert_int_equal(bk__pci_capability_holds(f, 0x40, 4), 0xf);
	assert_int_equal(bk__pci_capability_holds(f, 0x44, 4), 0x3);
	assert_int_equal(bk__pci_capability_holds(f, 0x46, 2), 0);
	assert_false(bk__pci_registers_take(f, 0x40, 2)); /* the header of a capability */
	assert_false(bk__pci_registers_take(f, 0x42, 1));
	assert_true(bk__pci_registers_take(f, 0x43, 1));
	assert_true(bk__pci_registers_take(f, 0x44, 1)); /* a write of ones clears something */
	assert_false(bk__pci_registers_take(f, 0x45, 3));
	assert_true(bk__pci_registers_take(f, 0x40, 8));
	assert_true(bk__pci_registers_take(f, BAR(0), 4));
	part_destroy(&part);
}

/* ---- Coming and going ---------------------------------------------------- */

static void added_and_dropped_while_a_guest_looks(void **state)
{
	static const uint8_t flr[60] = { [2] = 2, [7] = 0x10 };
	struct world *world = *state;
	struct bk_region_desc table, pba;
	struct bk_update *update;
	struct bk_region *region;
	struct part part;
	struct bk_pci_function *f;
	uint64_t value;

	part_create(world, &part, 1, express);
	f = part.function;
	part_attach(world, &part, DEVFN);
	assert_config(world, DEVFN, 6, 2, 0);
	assert_config(world, DEVFN, 0x34, 1, 0);
	assert_int_equal(bk_pci_capability_remove(f, 0x40), -ENOENT);
	assert_int_equal(vendor_add(f, 0x80, "a", NULL, 1), 0x80);
	assert_config(world, DEVFN, 6, 2, 0x10);
	assert_config(world, DEVFN, 0x34, 1, 0x80);
	assert_int_equal(bk_pci_pm_add(f, 0x40, 3, true), 0x40);
	assert_int_equal(msix_add(f, 0xa0, 4, 2, 0, 2, 0x800), 0xa0);
	assert_int_equal(bk_pci_msi_add(f, 0x50, 1, true, false), 0x50);
	assert_int_equal(bk_pci_express_add(f, 0xb0, flr, 60), 0xb0);
	assert_int_equal(bk_pci_af_add(f, 0xf0), 0xf0);
	assert_config(world, DEVFN, 0x34, 1, 0x40);
	assert_config(world, DEVFN, 0x40, 2, 0x5001);
	assert_config(world, DEVFN, 0x50, 2, 0x8005);
	assert_config(world, DEVFN, 0x80, 2, 0xa009);
	assert_config(world, DEVFN, 0xa0, 2, 0xb011);
	assert_config(world, DEVFN, 0xb0, 2, 0xf010);
	assert_config(world, DEVFN, 0xf0, 2, 0x0013);

	/* What each of them did stops with it. */
	config_write(world, DEVFN, BAR(2), 4, 0x90000000);
	config_write(world, DEVFN, 4, 2, 6);
	assert_memory(world, 0x90000000, WHO(1, 2));
	config_write(world, DEVFN, 0x44, 1, 3);
	assert_memory(world, 0x90000000, NOBODY);
	assert_int_equal(bk_pci_capability_remove(f, 0x40), 0);
	assert_memory(world, 0x90000000, WHO(1, 2)); /* in D0 */
	assert_config(world, DEVFN, 0x34, 1, 0x50);
	assert_config(world, DEVFN, 0x40, 8, 0);
	config_write(world, DEVFN, 0x44, 1, 3);
	assert_config(world, DEVFN, 0x44, 1, 0);
	assert_memory(world, 0x90000000, WHO(1, 2));

	config_write(world, DEVFN, 0x52, 2, 1);
	assert_int_equal(bk_pci_function_send_msi(f, 0), 0);
	assert_int_equal(world->message_count, 1);
	assert_int_equal(bk_pci_capability_remove(f, 0x50), 0);
	assert_int_equal(bk_pci_function_send_msi(f, 0), -EINVAL);
	assert_config(world, DEVFN, 0x34, 1, 0x80);

	assert_int_equal(bk_pci_msix_regions(f, &table, &pba), 0);
	table.priority = 1;
	update = bk_update_begin(world->domain);
	assert_int_equal(bk_update_add(update, part.spaces[2], &table, &region), 0);
	assert_int_equal(bk_update_commit(update, NULL), 0);
	config_write(world, DEVFN, 0xa2, 2, 0x8000);
	assert_int_equal(bk_space_write(world->memory, 0x90000000, 4, 0xfee00000), 0);
	assert_int_equal(bk_space_write(world->memory, 0x9000000c, 4, 0), 0);
	assert_int_equal(bk_pci_function_send_msi(f, 0), 0);
	assert_int_equal(world->message_count, 2);
	assert_int_equal(bk_pci_capability_remove(f, 0xa0), 0);
	assert_int_equal(bk_pci_function_send_msi(f, 0), -EINVAL);
	assert_int_equal(bk_space_read(world->memory, 0x90000000, 4, &value), -ERANGE);
	assert_int_equal(value, 0xffffffff);
	assert_int_equal(bk_pci_msix_regions(f, &table, &pba), -ENOENT);
	assert_config(world, DEVFN, 0x80, 2, 0xb009);
	assert_int_equal(msix_add(f, 0, 2, 2, 0, 2, 0x800), 0x40); /* and once more, smaller */
	assert_int_equal(bk_space_read(world->memory, 0x90000010, 8, &value), 0);
	assert_int_equal(bk_space_read(world->memory, 0x90000020, 8, &value), -ERANGE);
	assert_int_equal(bk_region_retire(region), 0);

	config_write(world, DEVFN, 0xb8, 2, 0x8000);
	assert_int_equal(part.resets, 1);
	assert_int_equal(bk_pci_capability_remove(f, 0xb0), 0);
	config_write(world, DEVFN, 0xb8, 2, 0x8000);
	config_write(world, DEVFN, 0xf4, 1, 1);
	assert_int_equal(part.resets, 2);
	assert_int_equal(bk_pci_capability_remove(f, 0xf0), 0);
	config_write(world, DEVFN, 0xf4, 1, 1);
	assert_int_equal(part.resets, 2);
	assert_int_equal(bk_pci_capability_remove(f, 0x40), 0);
	assert_int_equal(bk_pci_capability_remove(f, 0x80), 0);
	assert_config(world, DEVFN, 6, 2, 0);
	assert_config(world, DEVFN, 0x34, 1, 0);

	/* A reset keeps what is there now. */
	assert_int_equal(vendor_add(f, 0x80, "a", NULL, 1), 0x80);
	assert_int_equal(bk_pci_function_reset(f), 0);
	assert_config(world, DEVFN, 6, 2, 0x10);
	assert_config(world, DEVFN, 0x80, 4, 0x61040009);
	assert_int_equal(bk_pci_capability_remove(f, 0x80), 0);
	assert_int_equal(bk_pci_function_reset(f), 0);
	assert_config(world, DEVFN, 0x34, 1, 0);
	part_destroy(&part);
}

static void what_a_slot_needs_stays(void **state)
{
	static const uint8_t port[60] = { [2] = 0x42 };
	struct world *world = *state;
	struct part part;

	part_create_in(world, &part, 1, (struct bk_pci_function_desc){ 0 }, true);
	assert_int_equal(bk_pci_express_add(part.function, 0x40, port, 60), 0x40);
	assert_int_equal(bk_pci_slot_add(part.function, 1), 0);
	part_attach(world, &part, DEVFN);
	assert_int_equal(bk_pci_capability_remove(part.function, 0x40), -EBUSY);
	assert_config(world, DEVFN, 0x34, 1, 0x40);
	part_destroy(&part);
}

static void extended_ones_too(void **state)
{
	struct world *world = *state;
	struct part part;
	struct bk_pci_function *f;

	part_create(world, &part, 1, express);
	f = part.function;
	part_attach(world, &part, DEVFN);
	assert_config(world, DEVFN, 0x100, 4, 0);
	assert_int_equal(dvsec_add(f, 0x200, 1, 1, 1, NULL, NULL, 6), 0x200);
	assert_config(world, DEVFN, 0x100, 4, 0x20000000); /* of nothing, it leads on */
	assert_int_equal(bk_pci_serial_add(f, 0x100, 1), 0x100);
	assert_config(world, DEVFN, 0x100, 4, 0x20010003);
	assert_int_equal(vsec_add(f, 0xff0, 1, 1, NULL, NULL, 8), 0xff0);
	assert_config(world, DEVFN, 0x200, 4, 0xff010023);
	assert_int_equal(bk_pci_capability_remove(f, 0x200), 0);
	assert_config(world, DEVFN, 0x100, 4, 0xff010003);
	assert_int_equal(bk_pci_capability_remove(f, 0x100), 0);
	assert_config(world, DEVFN, 0x100, 8, 0xff000000);
	assert_int_equal(bk_pci_capability_remove(f, 0xff0), 0);
	assert_config(world, DEVFN, 0x100, 4, 0);
	assert_int_equal(bk_pci_capability_remove(f, 0xff0), -ENOENT);
	part_destroy(&part);
}

/* A guest that follows the chains while they change: it always gets to an end, and meets only what has an id.
 */
struct walker {
	struct world *world;
	_Atomic bool stop, lost;
};

static unsigned look(struct walker *walker, unsigned at, unsigned width)
{
	uint64_t value = 0;

	bk_space_read(walker->world->memory, ECAM + (DEVFN << 12 | at), width, &value);
	return (unsigned)value;
}

static void *walk(void *opaque)
{
	struct walker *walker = opaque;

	while (!walker->stop) {
		unsigned last = 0x3f, at;

		for (at = look(walker, 0x34, 1); at > last; at = look(walker, at + 1, 1))
			last = at;
		walker->lost |= at != 0;
		last = 0xff;
		for (at = 0x100; at > last; at = look(walker, at, 4) >> 20)
			last = at;
		walker->lost |= at != 0;
	}
	return NULL;
}

static void who_follows_a_chain_gets_to_its_end(void **state)
{
	struct world *world = *state;
	struct walker walker = { .world = world };
	struct part part;
	pthread_t thread;

	part_create(world, &part, 1, express);
	part_attach(world, &part, DEVFN);
	assert_int_equal(pthread_create(&thread, NULL, walk, &walker), 0);
	for (unsigned i = 0; i < 5000; i++) {
		unsigned at = 0x40 + i * 7 % 48 * 4, extended = 0x100 + i * 11 % 192 * 16;

		if (bk_pci_capability_remove(part.function, at) == -ENOENT)
			vendor_add(part.function, at, NULL, NULL, 1 + i % 9);
		if (bk_pci_capability_remove(part.function, extended) == -ENOENT)
			dvsec_add(part.function, extended, 1, 1, 1, NULL, NULL, 6 + i % 16);
	}
	walker.stop = true;
	pthread_join(thread, NULL);
	assert_false(walker.lost);
	part_destroy(&part);
}

/* ---- Resizable BARs -------------------------------------------------------- */

#define MIB UINT64_C(0x100000)
#define GIB UINT64_C(0x40000000)

static void create_resizable(struct world *world, struct part *part)
{
	const struct bk_pci_resizable bars[] = {
		{ 0, 8 * GIB | 256 * MIB | MIB },
		{ 2, MIB | 2 * MIB },
	};
	struct bk_pci_function_desc desc = {
		.extended = true,
		.bars = { MEM64_BAR(8 * GIB), { 0 }, MEM32_BAR(2 * MIB) },
	};

	part_create(world, part, 1, desc);
	assert_int_equal(bk_pci_resizable_add(part->function, 0, bars, 2), 0x100);
	part_attach(world, part, DEVFN);
}

static void a_bar_has_the_size_its_register_says(void **state)
{
	const uint64_t base = UINT64_C(0x1200000000);
	struct world *world = *state;
	struct part part, neighbour;
	struct bk_pci_bar_state bar = { .struct_size = sizeof(bar) };

	create_resizable(world, &part);
	/* Sizes at 4 and 12: bit 4 is 1 MiB. Control at 8 and 16: index, how many, the size as it is. */
	assert_config(world, DEVFN, 0x100, 8, UINT64_C(0x0002101000010015));
	assert_config(world, DEVFN, 0x108, 4, 0x00000d40);
	assert_config(world, DEVFN, 0x10c, 8, UINT64_C(0x0000010200000030));
	config_write(world, DEVFN, BAR(0), 8, base + 16 * MIB);
	config_write(world, DEVFN, BAR(2), 4, 0x90100000);
	config_write(world, DEVFN, 4, 2, 2);
	assert_memory(world, base, WHO(1, 0)); /* low bits do not count */
	assert_memory(world, base + 8 * GIB - 1, WHO(1, 0));
	assert_memory(world, 0x90000000, WHO(1, 2));

	config_write(world, DEVFN, 0x109, 1, 0); /* 1 MiB: more address bits come to light */
	assert_config(world, DEVFN, BAR(0), 8, base + 16 * MIB + 4);
	assert_memory(world, base, NOBODY);
	assert_memory(world, base + 16 * MIB, WHO(1, 0));
	assert_memory(world, base + 17 * MIB - 1, WHO(1, 0));
	assert_memory(world, base + 17 * MIB, NOBODY);
	assert_int_equal(bk_pci_function_bar(part.function, 0, &bar), 0);
	assert_int_equal(bar.size, MIB);
	config_write(world, DEVFN, BAR(0), 8, UINT64_MAX);
	assert_config(world, DEVFN, BAR(0), 8, ~(MIB - 1) | 4);
	config_write(world, DEVFN, BAR(0), 8, base + 256 * MIB);

	config_write(world, DEVFN, 0x108, 4,
		     8 << 8); /* 256 MiB: by 4 bytes, of which the others are read-only */
	assert_config(world, DEVFN, 0x108, 4, 0x00000840);
	assert_memory(world, base + 256 * MIB, WHO(1, 0));
	assert_memory(world, base + 512 * MIB - 1, WHO(1, 0));
	assert_memory(world, base, NOBODY);
	config_write(world, DEVFN, 0x109, 1, 9); /* 512 MiB there is not: the next smaller one */
	assert_memory(world, base + 512 * MIB - 1, WHO(1, 0));
	assert_memory(world, base + 512 * MIB, NOBODY);
	config_write(world, DEVFN, 0x109, 1, 0x3f);
	assert_config(world, DEVFN, 0x109, 1, 0x0d); /* bits that no size needs */
	assert_memory(world, base, WHO(1, 0));

	/* The other one, and a neighbour in what it leaves. */
	part_create(world, &neighbour, 2, (struct bk_pci_function_desc){ .bars = { MEM32_BAR(0x1000) } });
	part_attach(world, &neighbour, BK_PCI_DEVFN(4, 0));
	config_write(world, neighbour.devfn, BAR(0), 4, 0x90080000);
	config_write(world, neighbour.devfn, 4, 2, 2);
	assert_memory(world, 0x90080000, WHO(1, 2));
	config_write(world, DEVFN, 0x111, 1, 0);
	assert_memory(world, 0x90080000, WHO(2, 0));
	assert_memory(world, 0x90100000, WHO(1, 2));
	assert_memory(world, 0x90200000, NOBODY);

	assert_int_equal(bk_pci_function_reset(part.function), 0);
	assert_config(world, DEVFN, 0x108, 4, 0x00000d40);
	assert_int_equal(bk_pci_function_bar(part.function, 2, &bar), 0);
	assert_int_equal(bar.size, 2 * MIB);
	config_write(world, DEVFN, 0x109, 1, 0);
	assert_int_equal(bk_pci_capability_remove(part.function, 0x100), 0); /* as before it was added */
	assert_int_equal(bk_pci_function_bar(part.function, 0, &bar), 0);
	assert_int_equal(bar.size, 8 * GIB);
	config_write(world, DEVFN, 0x109, 1, 0xff);
	assert_config(world, DEVFN, 0x109, 1, 0);
	part_destroy(&neighbour);
	part_destroy(&part);
}

/* What a guest may write of the size is the bits that some size needs, and so also what is no size. */
static void any_size_written_is_one_of_those_there_are(void **state)
{
	const struct bk_pci_resizable bars[] = {
		{ 0, UINT64_C(1) << 63 | 16 * MIB },
		{ 2, 32 * MIB | 16 * MIB },
	};
	struct bk_pci_function_desc desc = {
		.extended = true,
		.bars = { MEM64_BAR(UINT64_C(1) << 63), { 0 }, MEM32_BAR(32 * MIB) },
	};
	struct world *world = *state;
	struct bk_pci_bar_state bar = { .struct_size = sizeof(bar) };
	struct part part;

	part_create(world, &part, 1, desc);
	assert_int_equal(bk_pci_resizable_add(part.function, 0, bars, 2), 0x100);
	part_attach(world, &part, DEVFN);
	assert_config(world, DEVFN, 0x104, 8, UINT64_C(0x80002b4000000100));
	for (unsigned size = 0; size < 64; size++) {
		unsigned first = size & 0x2f, second = size & 5; /* 4 and 43; 4 and 5 */

		config_write(world, DEVFN, 0x109, 1, size);
		config_write(world, DEVFN, 0x111, 1, size);
		assert_config(world, DEVFN, 0x109, 1, first);
		assert_config(world, DEVFN, 0x111, 1, second);
		assert_int_equal(bk_pci_function_bar(part.function, 0, &bar), 0);
		assert_true(bar.size == (first >= 43 ? UINT64_C(1) << 63 : 16 * MIB));
		assert_int_equal(bk_pci_function_bar(part.function, 2, &bar), 0);
		assert_int_equal(bar.size, second == 5 ? 32 * MIB : 16 * MIB);
	}
	part_destroy(&part);
}

static void sizes_that_cannot_be_are_refused(void **state)
{
	struct world *world = *state;
	struct bk_pci_function_desc desc = {
		.extended = true,
		.bars = { MEM64_BAR(GIB), { 0 }, MEM32_BAR(MIB), IO_BAR(16), MEM32_BAR(0x1000) },
	};
	static const struct bk_pci_resizable bad[] = {
		{ 0, 0 },             /* not its own size */
		{ 0, MIB },           /* same */
		{ 0, GIB | 0x80000 }, /* less than 1 MiB */
		{ 0, GIB | 2 * GIB }, /* more than its space */
		{ 1, MIB },           /* an upper half */
		{ 3, 16 },            /* I/O */
		{ 4, 0x1000 },
		{ 6, MIB },
		{ 1000, MIB },
	};
	const struct bk_pci_resizable twice[] = { { 0, GIB }, { 0, GIB } };
	struct part part;

	part_create(world, &part, 1, desc);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(bk_pci_resizable_add(part.function, 0, &bad[i], 1), -EINVAL);
	assert_int_equal(bk_pci_resizable_add(part.function, 0, twice, 0), -EINVAL);
	assert_int_equal(bk_pci_resizable_add(part.function, 0, twice, 2), -EINVAL);
	assert_int_equal(bk_pci_resizable_add(part.function, 0x80, twice, 1), -EINVAL);
	assert_int_equal(bk_pci_resizable_add(part.function, 0x200, twice, 1), 0x200);
	assert_int_equal(bk_pci_resizable_add(part.function, 0, twice, 1), -EEXIST);
	part_destroy(&part);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(vendors_and_the_serial_number),
		WORLD_TEST(bytes_that_are_held_and_bytes_that_take_writes),
		WORLD_TEST(added_and_dropped_while_a_guest_looks),
		WORLD_TEST(what_a_slot_needs_stays),
		WORLD_TEST(extended_ones_too),
		WORLD_TEST(who_follows_a_chain_gets_to_its_end),
		WORLD_TEST(a_bar_has_the_size_its_register_says),
		WORLD_TEST(any_size_written_is_one_of_those_there_are),
		WORLD_TEST(sizes_that_cannot_be_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
