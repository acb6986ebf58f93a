/* SPDX-License-Identifier: BSD-2-Clause */
/* Cases that break other hypervisors, on both sides of bridges. */
#include "pci_world.h"

#include <stdio.h>
#include <stdlib.h>

#define MIB UINT64_C(0x100000)

/* Two bridges on the root bus, in slots 1 and 2, to buses 1 and 2; all windows show 0x90000000-0x9fffffff,
 * the prefetchable ones 0x1000000000-0x5fffffffff, I/O 0x4000-0x5fff. */
enum { BRIDGES = 2 };

struct tree {
	struct world *world;
	struct part bridges[BRIDGES];
};

static void put(struct tree *tree, unsigned bus, uint8_t devfn, unsigned offset, unsigned width,
		uint64_t value)
{
	assert_int_equal(bk_space_write(tree->world->memory,
					ECAM + (bus << 20 | (unsigned)devfn << 12 | offset), width, value),
			 0);
}

static uint64_t get(struct tree *tree, unsigned bus, uint8_t devfn, unsigned offset, unsigned width)
{
	uint64_t value;

	bk_space_read(tree->world->memory, ECAM + (bus << 20 | (unsigned)devfn << 12 | offset), width,
		      &value);
	return value;
}

static uint8_t bridge_devfn(unsigned i)
{
	return BK_PCI_DEVFN(i + 1, 0);
}

static void numbers(struct tree *tree, unsigned i, unsigned bus)
{
	put(tree, 0, bridge_devfn(i), 0x18, 4, bus << 16 | bus << 8);
}

static void open_windows(struct tree *tree, unsigned i)
{
	const uint8_t devfn = bridge_devfn(i);

	numbers(tree, i, i + 1);
	put(tree, 0, devfn, 0x1c, 2, 0x5040);
	put(tree, 0, devfn, 0x20, 4, 0x9ff09000);
	put(tree, 0, devfn, 0x24, 4, 0xfff00000);
	put(tree, 0, devfn, 0x28, 4, 0x10);
	put(tree, 0, devfn, 0x2c, 4, 0x5f);
	put(tree, 0, devfn, 4, 2, 7);
}

static int setup(void **state)
{
	struct tree *tree = calloc(1, sizeof(*tree));

	tree->world = world_create(NULL);
	for (unsigned i = 0; i < BRIDGES; i++) {
		part_create_in(tree->world, &tree->bridges[i], i + 1, (struct bk_pci_function_desc){ 0 },
			       true);
		part_attach(tree->world, &tree->bridges[i], bridge_devfn(i));
		open_windows(tree, i);
	}
	*state = tree;
	return 0;
}

static int teardown(void **state)
{
	struct tree *tree = *state;

	for (unsigned i = 0; i < BRIDGES; i++)
		part_destroy(&tree->bridges[i]);
	world_destroy(tree->world);
	free(tree);
	return 0;
}

static struct bk_pci_bus *bus(struct tree *tree, unsigned number)
{
	return number ? bk_pci_bridge_bus(tree->bridges[number - 1].function) : tree->world->bus;
}

static void plug(struct tree *tree, struct part *part, unsigned number, uint8_t devfn)
{
	part->devfn = devfn;
	assert_int_equal(bk_pci_function_attach(part->function, bus(tree, number), devfn), 0);
}

/* ---- F02 ----------------------------------------------------------------- */

static const struct bk_pci_function_desc cards = {
	.bars = { MEM32_BAR(0x4000), MEM32_BAR(0x1000), MEM32_BAR(0x4000), IO_BAR(0x40), IO_BAR(0x10) },
};

struct bar {
	unsigned bus;
	uint8_t devfn;
	unsigned index;
	uint64_t size;
	uint8_t who;
};

static void move(struct tree *tree, const struct bar *bar, uint64_t address)
{
	put(tree, bar->bus, bar->devfn, BAR(bar->index), 4, address);
}

/* Byte by byte, `winner` at its place, `loser` around it. */
static void assert_won(struct tree *tree, const struct bar *winner, uint64_t at, const struct bar *loser,
		       uint64_t below)
{
	for (uint64_t address = below; address < below + loser->size; address += 0x10) {
		bool won = address >= at && address < at + winner->size;

		assert_memory(tree->world, address, won ? winner->who : loser->who);
	}
}

/* All three kinds: the same range, one inside the other (the only partial overlap that aligned powers of two
 * can have), at its start, inside, at its end; and the loser is whole again when the winner goes. */
static void overlap(struct tree *tree, const struct bar *winner, const struct bar *loser, bool one_function)
{
	const uint64_t base = 0x90000000, far = 0x90800000;

	move(tree, loser, base);
	for (uint64_t at = base; at < base + loser->size; at += winner->size) {
		move(tree, winner, at);
		assert_won(tree, winner, at, loser, base);
		move(tree, winner, far); /* it moves on */
		assert_won(tree, winner, far, loser, base);
		assert_memory(tree->world, far, winner->who);
		move(tree, winner, at);
		move(tree, loser, far); /* the loser moves on, and comes back */
		assert_memory(tree->world, at, winner->who);
		assert_memory(tree->world, far, loser->who);
		move(tree, loser, base);
		assert_won(tree, winner, at, loser, base);
		if (one_function)
			continue;
		put(tree, winner->bus, winner->devfn, 4, 2, 0); /* it stops decoding */
		assert_won(tree, winner, far, loser, base);
		put(tree, winner->bus, winner->devfn, 4, 2, 3);
		assert_won(tree, winner, at, loser, base);
		if (winner->bus != loser->bus && winner->bus) { /* its bridge does */
			put(tree, 0, bridge_devfn(winner->bus - 1), 4, 2, 1);
			assert_won(tree, winner, far, loser, base);
			put(tree, 0, bridge_devfn(winner->bus - 1), 4, 2, 7);
			assert_won(tree, winner, at, loser, base);
		}
	}
	move(tree, winner, 0);
	move(tree, loser, 0);
}

static void F02_overlap_on_one_bus_and_across_bridges(void **state)
{
	struct tree *tree = *state;
	struct part parts[4];
	/* On bus 0 in slots 0 and 5, on buses 1 and 2: the bridges' slots are 1 and 2. */
	static const struct {
		unsigned bus;
		uint8_t devfn;
	} places[4] = { { 0, 0 }, { 1, 0x18 }, { 2, 0 }, { 0, 0x28 } };

	for (unsigned i = 4; i--;) { /* the order in which they come does not matter */
		part_create(tree->world, &parts[i], 3 + i, cards);
		plug(tree, &parts[i], places[i].bus, places[i].devfn);
		put(tree, places[i].bus, places[i].devfn, 4, 2, 3);
	}
	for (unsigned w = 0; w < 4; w++) {
		struct bar winner = { places[w].bus, places[w].devfn, 0, 0x4000, WHO(3 + w, 0) }, loser;

		for (unsigned l = w; l < 4; l++) {
			loser = (struct bar){ places[l].bus, places[l].devfn, 2, 0x4000, WHO(3 + l, 2) };
			overlap(tree, &winner, &loser, l == w); /* total */
			winner = (struct bar){ places[w].bus, places[w].devfn, 1, 0x1000, WHO(3 + w, 1) };
			overlap(tree, &winner, &loser, l == w); /* nested */
			winner = (struct bar){ places[w].bus, places[w].devfn, 0, 0x4000, WHO(3 + w, 0) };
			if (l == w)
				continue;
			loser = (struct bar){ places[l].bus, places[l].devfn, 1, 0x1000, WHO(3 + l, 1) };
			move(tree, &winner, 0x90000000); /* all of the loser is covered */
			move(tree, &loser, 0x90001000);
			for (unsigned i = 0; i < 4; i++)
				assert_memory(tree->world, 0x90000000 + i * 0x1000, winner.who);
			move(tree, &winner, 0);
			assert_memory(tree->world, 0x90001fff, loser.who);
			assert_memory(tree->world, 0x90002000, NOBODY);
			move(tree, &loser, 0);
		}
	}
	for (unsigned i = 0; i < 4; i++)
		part_destroy(&parts[i]);
}

/* A window that ends in the middle of a BAR below is the one way to overlap in part. */
static void F02_partial_overlap_at_the_edge_of_a_window(void **state)
{
	struct tree *tree = *state;
	struct part below, beside;
	struct bk_pci_function_desc large = { .bars = { MEM32_BAR(4 * MIB) } };

	part_create(tree->world, &below, 3, large);
	part_create(tree->world, &beside, 4, large);
	plug(tree, &below, 1, 0);
	plug(tree, &beside, 0, 0x28);
	put(tree, 1, 0, BAR(0), 4, 0x90000000);
	put(tree, 0, 0x28, BAR(0), 4, 0x90000000);
	put(tree, 1, 0, 4, 2, 2);
	put(tree, 0, 0x28, 4, 2, 2);
	for (unsigned first = 0; first < 4; first++) {
		for (unsigned last = first; last < 4; last++) {
			put(tree, 0, bridge_devfn(0), 0x20, 4,
			    (0x9000 + first * 0x10) | (0x9000 + last * 0x10) << 16);
			for (unsigned i = 0; i < 4; i++)
				assert_memory(tree->world, 0x90000000 + i * MIB,
					      i >= first && i <= last ? WHO(3, 0) : WHO(4, 0));
		}
	}
	part_destroy(&below);
	part_destroy(&beside);
}

/* ---- F04, F05 -------------------------------------------------------------- */

static void F04_two_swap_across_bridges(void **state)
{
	const uint64_t places[2] = { 0x90000000, 0x90100000 };
	struct tree *tree = *state;
	struct part parts[2];

	for (unsigned i = 0; i < 2; i++) {
		part_create(tree->world, &parts[i], 3 + i,
			    (struct bk_pci_function_desc){ .bars = { MEM32_BAR(MIB) } });
		plug(tree, &parts[i], i + 1, 0);
		put(tree, i + 1, 0, BAR(0), 4, places[i]);
		put(tree, i + 1, 0, 4, 2, 2);
	}
	for (unsigned round = 1; round < 5; round++) {
		for (unsigned i = 0; i < 2; i++) {
			put(tree, i + 1, 0, 4, 2, 0);
			assert_memory(tree->world, places[(round + 1 + i) % 2], NOBODY);
		}
		for (unsigned i = 0; i < 2; i++)
			put(tree, i + 1, 0, BAR(0), 4, places[(round + i) % 2]);
		for (unsigned i = 0; i < 2; i++) {
			put(tree, i + 1, 0, 4, 2, 2);
			assert_memory(tree->world, places[(round + i) % 2] + MIB - 1, WHO(3 + i, 0));
		}
	}
	part_destroy(&parts[0]);
	part_destroy(&parts[1]);
}

/* ---- F06 ------------------------------------------------------------------- */

static int fixed_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	*value = UINT64_C(0x0101010101010101) * *(const uint8_t *)opaque;
	return 0;
}

static int fixed_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	fail_msg("a write of the BAR went to a fixed range");
	return 0;
}

static bool described(struct bk_space *space, const char *text)
{
	char *all;
	size_t length;
	FILE *out = open_memstream(&all, &length);
	bool there;

	assert_int_equal(bk_space_describe(space, BK_FORMAT_TEXT, bk_sink_file, out), 0);
	fclose(out);
	there = strstr(all, text) != NULL;
	free(all);
	return there;
}

/* Whatever the platform has at fixed addresses is above BARs; what is beside it answers; the space tells. */
static void F06_over_firmware_apics_and_ecam(void **state)
{
	static const struct bk_region_ops ops = { .read = fixed_read, .write = fixed_write };
	static const struct {
		const char *name;
		uint64_t first, last;
		uint8_t byte;
	} fixed[] = {
		{ "firmware", 0xffc00000, 0xffffffff, 0xf1 },
		{ "LAPIC", 0xfee00000, 0xfee00fff, 0xf2 },
		{ "HPET", 0xfed00000, 0xfed003ff, 0xf3 },
	};
	enum { COUNT = sizeof(fixed) / sizeof(fixed[0]) };
	struct tree *tree = *state;
	struct world *world = tree->world;
	struct bk_update *update = bk_update_begin(world->domain);
	struct bk_region *regions[COUNT];
	struct part part;
	char shadow[64];

	for (unsigned i = 0; i < COUNT; i++) {
		struct bk_region_desc desc = {
			.name = fixed[i].name,
			.first = fixed[i].first,
			.last = fixed[i].last,
			.priority = 10,
			.rank = fixed[i].first,
			.ops = &ops,
			.opaque = (void *)(uintptr_t)&fixed[i].byte,
		};

		assert_int_equal(bk_update_add(update, world->memory, &desc, &regions[i]), 0);
	}
	assert_int_equal(bk_update_commit(update, NULL), 0);
	part_create(world, &part, 3,
		    (struct bk_pci_function_desc){ .bars = { MEM32_BAR(0x2000), MEM32_BAR(8 * MIB) } });
	plug(tree, &part, 0, 0x28);
	put(tree, 0, 0x28, 4, 2, 2);
	for (unsigned i = 0; i < COUNT; i++) {
		uint64_t beside = fixed[i].last == 0xffffffff ? 0 : fixed[i].last + 1;

		put(tree, 0, 0x28, BAR(0), 4, fixed[i].first);
		assert_int_equal(get(tree, 0, 0x28, BAR(0), 4), fixed[i].first); /* kept as written */
		assert_memory(world, fixed[i].first, fixed[i].byte);
		assert_memory(world, fixed[i].last, fixed[i].byte);
		if (beside)
			assert_memory(world, beside, WHO(3, 0));
		snprintf(shadow, sizeof(shadow), " of memory: answer by %s\n", fixed[i].name);
		assert_true(described(world->memory, shadow));
		put(tree, 0, 0x28, BAR(0), 4, 0x90000000);
		assert_memory(world, 0x90000000, WHO(3, 0));
		assert_memory(world, fixed[i].first, fixed[i].byte);
		assert_false(described(world->memory, shadow));
	}
	/* ECAM: a config write that puts a BAR over the way that it came by, and one that takes it away
	 * again. */
	for (uint64_t at = ECAM - 8 * MIB; at <= ECAM + 0x10000000; at += 8 * MIB) {
		bool inside = at >= ECAM && at < ECAM + 0x10000000;

		put(tree, 0, 0x28, BAR(1), 4, at);
		assert_int_equal(get(tree, 0, 0x28, BAR(1), 4), at);
		assert_memory(world, at + MIB,
			      inside ? get(tree, (unsigned)((at + MIB - ECAM) >> 20) & 0xff, 0, 0, 1)
				     : WHO(3, 1));
	}
	put(tree, 0, 0x28, BAR(1), 4, 0);
	part_destroy(&part);
	for (unsigned i = 0; i < COUNT; i++)
		assert_int_equal(bk_region_retire(regions[i]), 0);
}

/* ---- F09, F10, F12 across a bridge ------------------------------------------- */

/* The address in the registers, and who should answer it, after every byte, word or half that is written. */
static void F09_64bit_bar_by_halves_words_and_bytes(void **state)
{
	static const uint64_t targets[] = { UINT64_C(0x1234500000), UINT64_C(0x90100000),
					    UINT64_C(0x5f00ff0000), UINT64_C(0x4500000000) };
	struct tree *tree = *state;
	struct part part;
	uint64_t raw = 0;

	part_create(tree->world, &part, 3, (struct bk_pci_function_desc){ .bars = { MEM64_BAR(0x10000) } });
	plug(tree, &part, 1, 0);
	put(tree, 1, 0, 4, 2, 2);
	srand(9);
	for (unsigned round = 0; round < 3000; round++) {
		unsigned width = 1u << rand() % 4;
		unsigned at = (unsigned)(rand() % (int)(8 / width)) * width;
		uint64_t target = targets[rand() % 4],
			 mask = width == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * width) - 1;
		uint64_t value = rand() % 8 ? target >> 8 * at & mask : mask, address;
		bool reachable;

		put(tree, 1, 0, BAR(0) + at, width, value);
		raw = (raw & ~(mask << 8 * at)) | value << 8 * at;
		address = raw & ~UINT64_C(0xffff);
		reachable = (raw & 0xfffffff0) != 0xfffffff0 && raw >> 32 != 0xffffffff &&
			    ((address >= 0x90000000 && address <= 0x9fffffff) ||
			     (address >= UINT64_C(0x1000000000) && address <= UINT64_C(0x5fffffffff)));
		assert_int_equal(get(tree, 1, 0, BAR(0), 8), address | 4);
		if (reachable) {
			assert_memory(tree->world, address, WHO(3, 0));
			assert_memory(tree->world, address + 0xffff, WHO(3, 0));
		}
		for (unsigned i = 0; i < 4; i++)
			if (!reachable || targets[i] != address)
				assert_memory(tree->world, targets[i], NOBODY);
	}
	part_destroy(&part);
}

static void F10_large_bars_behind_a_bridge(void **state)
{
	struct tree *tree = *state;

	for (unsigned log = 31; log <= 47; log++) {
		uint64_t size = UINT64_C(1) << log, address = log == 31 ? UINT64_C(0x180000000) : size;
		uint64_t last = address + size - 1;
		struct bk_pci_function_desc desc = { .bars = { MEM64_BAR(size) } };
		struct part part;

		desc.bars[0].prefetchable = true;
		part_create(tree->world, &part, 3, desc);
		plug(tree, &part, 1, 0);
		put(tree, 1, 0, 4, 2, 2);
		put(tree, 1, 0, BAR(0), 4, UINT32_MAX);
		put(tree, 1, 0, BAR(1), 4, UINT32_MAX);
		assert_int_equal(get(tree, 1, 0, BAR(0), 8), ~(size - 1) | 0xc);
		put(tree, 1, 0, BAR(0), 4, (uint32_t)address);
		put(tree, 1, 0, BAR(1), 4, address >> 32);
		put(tree, 0, bridge_devfn(0), 0x24, 4, (address >> 16 & 0xfff0) | (last & 0xfff00000));
		put(tree, 0, bridge_devfn(0), 0x28, 4, address >> 32);
		put(tree, 0, bridge_devfn(0), 0x2c, 4, last >> 32);
		assert_memory(tree->world, address, WHO(3, 0));
		assert_memory(tree->world, last, WHO(3, 0));
		assert_memory(tree->world, address - 1, NOBODY);
		assert_memory(tree->world, last + 1, NOBODY);
		assert_int_equal(bk_space_write(tree->world->memory, last - 3, 4, 1), 0);
		assert_int_equal(part.answers[0].offset, size - 4);
		part_destroy(&part);
	}
}

static void F12_decode_off_anywhere_above_gives_all_ones(void **state)
{
	struct tree *tree = *state;
	struct part part;
	uint64_t value;

	part_create(tree->world, &part, 3, cards);
	plug(tree, &part, 1, 0);
	put(tree, 1, 0, BAR(0), 4, 0x90000000);
	put(tree, 1, 0, BAR(3), 4, 0x4000);
	for (unsigned commands = 0; commands < 16; commands++) {
		unsigned own = commands & 3, above = commands >> 2, both = own & above;

		put(tree, 1, 0, 4, 1, own);
		put(tree, 0, bridge_devfn(0), 4, 1, above);
		assert_memory(tree->world, 0x90000000, both & 2 ? WHO(3, 0) : NOBODY);
		assert_port(tree->world, 0x4000, both & 1 ? WHO(3, 3) : NOBODY);
		bk_space_read(tree->world->memory, 0x90000ffc, 8, &value);
		assert_true((value == UINT64_MAX) == !(both & 2));
		part.answers[0].writes = 0;
		assert_int_equal(bk_space_write(tree->world->memory, 0x90000000, 4, 1), 0);
		assert_int_equal(part.answers[0].writes, both & 2 ? 1 : 0);
	}
	part_destroy(&part);
}

/* ---- F17, F18, F19 ------------------------------------------------------------ */

/* As the guest sees a bus after "remove" and "rescan": numbers and windows closed, then all given anew. */
static void F17_removed_and_found_elsewhere(void **state)
{
	struct tree *tree = *state;
	struct part part;

	part_create(tree->world, &part, 3, cards);
	plug(tree, &part, 1, 0x18);
	put(tree, 1, 0x18, BAR(0), 4, 0x90000000);
	put(tree, 1, 0x18, 4, 2, 2);
	for (unsigned bus = 3; bus < 250; bus += 7) {
		uint32_t window = 0x90000000 + (bus & 0x7f) * (uint32_t)MIB;

		/* Removed: the driver is unbound, decoding off, the bridge shut. */
		uint64_t was = get(tree, 0, bridge_devfn(0), 0x19, 1);

		put(tree, (unsigned)was, 0x18, 4, 2, 0);
		put(tree, 0, bridge_devfn(0), 4, 2, 0);
		numbers(tree, 0, 0);
		assert_int_equal(get(tree, (unsigned)was, 0x18, 0, 4), 0xffffffff);
		assert_memory(tree->world, 0x90000000, NOBODY);
		/* Found again, on another bus, and placed elsewhere. */
		numbers(tree, 0, bus);
		for (unsigned devfn = 0; devfn < 256; devfn++)
			assert_int_equal(get(tree, bus, (uint8_t)devfn, 0, 2),
					 devfn == 0x18 ? 0x1b36 : 0xffff);
		put(tree, bus, 0x18, BAR(0), 4, 0xffffffff);
		assert_int_equal(get(tree, bus, 0x18, BAR(0), 4), 0xffffc000);
		put(tree, bus, 0x18, BAR(0), 4, window);
		put(tree, 0, bridge_devfn(0), 0x20, 4, window >> 16 | window);
		put(tree, 0, bridge_devfn(0), 4, 2, 2);
		put(tree, bus, 0x18, 4, 2, 2);
		for (unsigned i = 0; i < 128; i++)
			assert_memory(tree->world, 0x90000000 + i * MIB,
				      0x90000000 + i * MIB == window ? WHO(3, 0) : NOBODY);
	}
	part_destroy(&part);
}

/* Out of its slot and into the same one: a fresh card knows nothing of the old one's place, and the old one,
 * reset, is fresh too. */
static void F18_plugged_again_behind_a_bridge(void **state)
{
	struct tree *tree = *state;
	struct part parts[2];

	for (unsigned i = 0; i < 2; i++)
		part_create(tree->world, &parts[i], 3 + i, cards);
	for (unsigned round = 0; round < 6; round++) {
		unsigned i = round % 2;

		plug(tree, &parts[i], 1, 0);
		assert_memory(tree->world, 0x90000000, NOBODY);
		assert_port(tree->world, 0x4000, NOBODY);
		assert_int_equal(get(tree, 1, 0, BAR(0), 4), 0);
		put(tree, 1, 0, BAR(0), 4, 0x90000000);
		put(tree, 1, 0, BAR(3), 4, 0x4000);
		put(tree, 1, 0, 4, 2, 3);
		assert_memory(tree->world, 0x90003fff, WHO(3 + i, 0));
		assert_port(tree->world, 0x403f, WHO(3 + i, 3));
		bk_pci_function_detach(parts[i].function);
		assert_memory(tree->world, 0x90000000, NOBODY);
		assert_memory(tree->world, 0x90003fff, NOBODY);
		assert_port(tree->world, 0x4000, NOBODY);
		assert_int_equal(get(tree, 1, 0, 0, 4), 0xffffffff);
		assert_int_equal(bk_pci_function_reset(parts[i].function), 0);
	}
	for (unsigned i = 0; i < 2; i++)
		part_destroy(&parts[i]);
}

static void F19_a_bridge_back_from_d3(void **state)
{
	struct tree *tree = *state;

	for (int keeps = 0; keeps < 2; keeps++) {
		struct part part, bridge;
		const uint8_t devfn = BK_PCI_DEVFN(7, 0);
		unsigned pm;

		part_create_in(tree->world, &bridge, 5, (struct bk_pci_function_desc){ 0 }, true);
		pm = (unsigned)bk_pci_pm_add(bridge.function, 0, 3, keeps);
		part_create(tree->world, &part, 3, cards);
		plug(tree, &bridge, 0, devfn);
		assert_int_equal(bk_pci_function_attach(part.function, bk_pci_bridge_bus(bridge.function), 0),
				 0);
		put(tree, 0, devfn, 0x18, 4, 0x090900);
		put(tree, 0, devfn, 0x20, 4, 0xa000a000);
		put(tree, 0, devfn, 4, 2, 6);
		put(tree, 9, 0, BAR(0), 4, 0xa0000000);
		put(tree, 9, 0, 4, 2, 2);
		assert_memory(tree->world, 0xa0000000, WHO(3, 0));
		put(tree, 0, devfn, pm + 4, 1, 3);
		assert_memory(tree->world, 0xa0000000, NOBODY);
		assert_int_equal(get(tree, 9, 0, 0, 4), 0xffffffff);
		assert_int_equal(part.resets + bridge.resets, 0);
		put(tree, 0, devfn, pm + 4, 1, 0);
		assert_memory(tree->world, 0xa0000000, keeps ? WHO(3, 0) : NOBODY);
		assert_int_equal(get(tree, 0, devfn, 0x18, 4), keeps ? 0x090900 : 0);
		assert_int_equal(get(tree, 0, devfn, 0x20, 4), keeps ? 0xa000a000 : 0x0000fff0);
		assert_int_equal(bridge.resets, keeps ? 0 : 1);
		assert_int_equal(part.resets,
				 keeps ? 0 : 1); /* a reset of a bridge is one of the bus below */
		assert_int_equal(part.command, keeps ? 2 : 0);
		part_destroy(&part);
		part_destroy(&bridge);
	}
}

#define TREE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TREE_TEST(F02_overlap_on_one_bus_and_across_bridges),
		TREE_TEST(F02_partial_overlap_at_the_edge_of_a_window),
		TREE_TEST(F04_two_swap_across_bridges),
		TREE_TEST(F06_over_firmware_apics_and_ecam),
		TREE_TEST(F09_64bit_bar_by_halves_words_and_bytes),
		TREE_TEST(F10_large_bars_behind_a_bridge),
		TREE_TEST(F12_decode_off_anywhere_above_gives_all_ones),
		TREE_TEST(F17_removed_and_found_elsewhere),
		TREE_TEST(F18_plugged_again_behind_a_bridge),
		TREE_TEST(F19_a_bridge_back_from_d3),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
