/* SPDX-License-Identifier: BSD-2-Clause */
/* Registers, maps and interrupts with many threads, and from inside handlers. */
#include "pci_world.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "pci_adds.h"

#define DEVFN BK_PCI_DEVFN(3, 0)
#define HERE  UINT64_C(0x90000000)
#define THERE UINT64_C(0x90100000)

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* ---- F14: a device that moves, resets or pulls its own BAR ---------------- */

struct mover {
	struct world *world;
	struct bk_pci_function *function;
	uint64_t next;
	int how;
	_Atomic unsigned entered;
};

static int mover_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	atomic_fetch_add(&((struct mover *)opaque)->entered, 1);
	*value = 0x42;
	return 0;
}

static int mover_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	struct mover *mover = opaque;

	switch (mover->how) {
	case 0: /* through the way a guest takes */
		config_write(mover->world, DEVFN, BAR(0), 4, mover->next);
		break;
	case 1:
		config_write(mover->world, DEVFN, 4, 2, 0);
		break;
	case 2:
		bk_pci_function_reset(mover->function);
		break;
	case 3:
		bk_pci_function_detach(mover->function);
		break;
	case 4: /* what must not be done here says so */
		bk_pci_function_detach(mover->function);
		assert_int_equal(bk_pci_function_destroy(mover->function), -EDEADLK);
		assert_int_equal(bk_pci_host_destroy(mover->world->host), -EDEADLK);
		break;
	}
	return 0;
}

static const struct bk_region_ops mover_ops = { .read = mover_read, .write = mover_write };

static struct bk_space *mover_space(struct world *world, struct mover *mover)
{
	struct bk_space *space = bk_space_create(world->domain, "mover", 0xfff);
	struct bk_update *update = bk_update_begin(world->domain);
	struct bk_region_desc desc = {
		.name = "mover", .last = 0xfff, .kind = BK_REGION_HANDLED, .ops = &mover_ops, .opaque = mover
	};
	struct bk_region *region;

	assert_int_equal(bk_update_add(update, space, &desc, &region), 0);
	assert_int_equal(bk_update_commit(update, NULL), 0);
	return space;
}

static void F14_a_device_moves_its_own_bar(void **state)
{
	struct world *world = world_create(NULL);
	struct mover mover = { .world = world };
	struct bk_space *space = mover_space(world, &mover);
	struct bk_pci_function_desc desc = { .bars = { { BK_PCI_BAR_MEM32, false, 0x1000, space, 0 } } };
	struct part part;

	part_create(world, &part, 1, desc);
	mover.function = part.function;
	for (mover.how = 0; mover.how < 5; mover.how++) {
		part_attach(world, &part, DEVFN);
		config_write(world, DEVFN, BAR(0), 4, HERE);
		config_write(world, DEVFN, 4, 2, 2);
		mover.next = THERE;
		assert_int_equal(bk_space_write(world->memory, HERE, 4, 0), 0);
		assert_memory(world, HERE, NOBODY);
		assert_memory(world, THERE, mover.how ? NOBODY : 0x42);
		bk_pci_function_detach(part.function);
	}
	part_destroy(&part);
	assert_int_equal(bk_space_destroy(space), 0);
	world_destroy(world);
}

/* ---- F13: others use it while it moves ------------------------------------ */

struct storm {
	struct world *world;
	struct part *parts;
	_Atomic bool stop;
	_Atomic unsigned long done;
};

static unsigned roll(unsigned *seed, unsigned sides)
{
	*seed = *seed * 1103515245 + 12345;
	return (*seed >> 16) % sides;
}

static void *hammer(void *opaque)
{
	struct storm *storm = opaque;
	unsigned seed = atomic_fetch_add(&storm->done, 1) + 7;

	while (!atomic_load(&storm->stop)) {
		uint64_t address = (roll(&seed, 2) ? HERE : THERE) + roll(&seed, 0x3000), value;

		bk_space_read(storm->world->memory, address, 4, &value);
		bk_space_write(storm->world->memory, address, 8, value);
		/* Old owner, new owner, or nobody: bytes never mix two functions' ids and something else. */
		for (unsigned i = 0; i < 4; i++) {
			uint8_t who = value >> 8 * i & 0xff;

			if (who != NOBODY && who >> 3 != 1 && who >> 3 != 2)
				abort();
		}
		atomic_fetch_add(&storm->done, 1);
	}
	return NULL;
}

static void *guest_moves(void *opaque)
{
	struct storm *storm = opaque;
	unsigned seed = 99;

	while (!atomic_load(&storm->stop)) {
		uint8_t devfn = storm->parts[roll(&seed, 2)].devfn;

		switch (roll(&seed, 6)) {
		case 0:
			config_write(storm->world, devfn, 4, 2, roll(&seed, 2) * 2);
			break;
		case 1:
			config_write(storm->world, devfn, BAR(0), 4, 0xffffffff);
			config_read(storm->world, devfn, BAR(0), 4);
			break;
		default:
			config_write(storm->world, devfn, BAR(roll(&seed, 2)), 4,
				     (roll(&seed, 2) ? HERE : THERE) + roll(&seed, 3) * 0x1000);
			config_write(storm->world, devfn, 4, 2, 6);
		}
	}
	return NULL;
}

static void *owner_plugs(void *opaque)
{
	struct storm *storm = opaque;
	unsigned seed = 5;

	while (!atomic_load(&storm->stop)) {
		struct part *part = &storm->parts[roll(&seed, 2)];

		bk_pci_function_send_msi(part->function, roll(&seed, 2));
		bk_pci_function_set_intx(part->function, roll(&seed, 2));
		switch (roll(&seed, 3)) {
		case 0:
			bk_pci_function_reset(part->function);
			break;
		case 1:
			bk_pci_function_detach(part->function);
			bk_pci_function_attach(part->function, storm->world->bus, part->devfn);
			break;
		}
	}
	return NULL;
}

static void *guest_masks(void *opaque)
{
	struct storm *storm = opaque;
	unsigned seed = 3;

	while (!atomic_load(&storm->stop)) {
		uint8_t devfn = storm->parts[roll(&seed, 2)].devfn;

		config_write(storm->world, devfn, 0x42, 2, roll(&seed, 2) | roll(&seed, 2) << 4);
		config_write(storm->world, devfn, 0x44, 4, 0xfee00000);
		config_write(storm->world, devfn, 0x4c, 4, roll(&seed, 4));
		config_read(storm->world, devfn, 0x50, 4);
		config_write(storm->world, devfn, 4, 2, 2 | roll(&seed, 2) << 2 | roll(&seed, 2) << 10);
	}
	return NULL;
}

/* Counted with the function's lock held, by several threads. */
static void count_message(void *opaque, const struct bk_pci_message *message)
{
}

static void count_line(void *opaque, unsigned line, bool level)
{
}

static void tune(struct bk_pci_host_desc *desc)
{
	desc->msi = count_message;
	desc->intx = count_line;
}

static void F13_F18_everything_at_once(void **state)
{
	struct world *world = world_create(tune);
	struct bk_pci_function_desc desc = { .bars = { MEM32_BAR(0x1000), MEM32_BAR(0x2000) }, .pin = 1 };
	void *(*const bodies[])(void *) = { hammer, hammer, guest_moves, guest_masks, owner_plugs };
	struct part parts[2];
	struct storm storm = { .world = world, .parts = parts };
	pthread_t threads[5];
	double end;

	for (unsigned i = 0; i < 2; i++) {
		part_create(world, &parts[i], i + 1, desc);
		assert_int_equal(bk_pci_msi_add(parts[i].function, 0, 2, false, true), 0x40);
		part_attach(world, &parts[i], BK_PCI_DEVFN(3, i));
	}
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, bodies[i], &storm), 0);
	for (end = now() + 2; now() < end || atomic_load(&storm.done) <= 1000;)
		nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
	atomic_store(&storm.stop, true);
	for (unsigned i = 0; i < 5; i++)
		pthread_join(threads[i], NULL);
	assert_true(atomic_load(&storm.done) > 1000);
	/* Whatever it came to, the registers rule. */
	for (unsigned i = 0; i < 2; i++) {
		config_write(world, parts[i].devfn, 4, 2, 2);
		config_write(world, parts[i].devfn, BAR(0), 4, HERE + i * 0x1000);
		config_write(world, parts[i].devfn, BAR(1), 4, THERE + i * 0x2000);
	}
	assert_memory(world, HERE, WHO(1, 0));
	assert_memory(world, HERE + 0x1000, WHO(2, 0));
	assert_memory(world, THERE + 0x3fff, WHO(2, 1));
	part_destroy(&parts[0]);
	part_destroy(&parts[1]);
	world_destroy(world);
}

/* ---- Resets of a bus against writes below it -------------------------------- */

struct branch {
	struct part bridge, part;
	struct world *world;
	_Atomic bool stop;
};

static void *write_below(void *opaque)
{
	struct branch *branch = opaque;

	while (!atomic_load(&branch->stop)) {
		bk_pci_function_write(branch->part.function, BAR(0), 4, HERE);
		bk_pci_function_write(branch->part.function, 4, 2, 2);
	}
	return NULL;
}

static void *plug_below(void *opaque)
{
	struct branch *branch = opaque;

	while (!atomic_load(&branch->stop)) {
		bk_pci_function_detach(branch->part.function);
		bk_pci_function_attach(branch->part.function, bk_pci_bridge_bus(branch->bridge.function), 0);
	}
	return NULL;
}

static void *plug_bridge(void *opaque)
{
	struct branch *branch = opaque;

	while (!atomic_load(&branch->stop)) {
		bk_pci_function_detach(branch->bridge.function);
		bk_pci_function_attach(branch->bridge.function, branch->world->bus, 8);
	}
	return NULL;
}

static void F18_F19_bus_reset_against_writes_and_hotplug(void **state)
{
	static const uint8_t root_port[60] = { [2] = 0x42 };
	struct world *world = world_create(tune);
	struct branch branch = { .world = world };
	void *(*const bodies[])(void *) = { write_below, plug_below, plug_bridge };
	pthread_t threads[3];
	unsigned round = 0;
	uint64_t value;
	double end;

	part_create_in(world, &branch.bridge, 1, (struct bk_pci_function_desc){ .pin = 1 }, true);
	assert_int_equal(bk_pci_express_add(branch.bridge.function, 0x40, root_port, 60), 0x40);
	assert_int_equal(bk_pci_msi_add(branch.bridge.function, 0x80, 1, false, false), 0x80);
	assert_int_equal(bk_pci_slot_add(branch.bridge.function, 1), 0);
	part_create(world, &branch.part, 2,
		    (struct bk_pci_function_desc){ .bars = { MEM32_BAR(0x1000) }, .pin = 1 });
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, bodies[i], &branch), 0);
	for (end = now() + 1.5; now() < end || !branch.part.resets;) {
		struct bk_pci_function *bridge = branch.bridge.function;

		bk_pci_function_write(bridge, 0x18, 4, 0x010100);
		bk_pci_function_write(bridge, 0x20, 4, 0x90009000);
		bk_pci_function_write(bridge, 4, 2, 6);
		bk_space_read(world->memory, HERE, 4, &value);
		bk_pci_function_write(bridge, 0x58, 2, 0x1028);      /* interrupts of the slot by pin, ... */
		bk_pci_function_write(bridge, 0x82, 2, round++ & 1); /* ... or by message */
		bk_pci_function_write(bridge, 0x5a, 2, 0x0108);      /* events are seen */
		bk_pci_function_write(bridge, 0x50, 2, (round & 2) << 3); /* the link goes down, and up */
		bk_pci_function_write(bridge, 0x3e, 1, 0x40);
		bk_pci_function_write(bridge, 0x3e, 1, 0);
		bk_pci_function_reset(bridge);
	}
	atomic_store(&branch.stop, true);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	bk_pci_function_detach(branch.bridge.function);
	part_destroy(&branch.part);
	part_destroy(&branch.bridge);
	world_destroy(world);
}

/* ---- Messages through a bridge that opens and shuts ------------------------ */

static void *open_bridge(void *opaque)
{
	struct branch *branch = opaque;

	bk_pci_function_write(branch->bridge.function, 4, 1, 4);
	return NULL;
}

/* What fires while the bridge becomes a bus master is sent at once, or by the bridge: once, and never lost.
 */
static void a_message_waits_for_the_bridge(void **state)
{
	struct world *world = world_create(NULL);
	struct branch branch = { .world = world };
	pthread_t thread;
	unsigned msi;

	part_create_in(world, &branch.bridge, 1, (struct bk_pci_function_desc){ 0 }, true);
	part_create(world, &branch.part, 2, (struct bk_pci_function_desc){ 0 });
	msi = (unsigned)bk_pci_msi_add(branch.part.function, 0, 1, false, false);
	assert_int_equal(
		bk_pci_function_attach(branch.part.function, bk_pci_bridge_bus(branch.bridge.function), 0),
		0);
	part_attach(world, &branch.bridge, 8);
	bk_pci_function_write(branch.part.function, 4, 2, 4);
	bk_pci_function_write(branch.part.function, msi + 4, 4, 0xfee00000);
	bk_pci_function_write(branch.part.function, msi + 2, 2, 1);
	for (unsigned round = 0; round < 1000; round++) {
		bk_pci_function_write(branch.bridge.function, 4, 1, 0);
		assert_int_equal(pthread_create(&thread, NULL, open_bridge, &branch), 0);
		assert_int_equal(bk_pci_function_send_msi(branch.part.function, 0), 0);
		pthread_join(thread, NULL);
		assert_int_equal(world->message_count, round + 1);
	}
	part_destroy(&branch.part);
	part_destroy(&branch.bridge);
	world_destroy(world);
}

/* ---- A table in use while its capability comes and goes ----------------------- */

#define VECTORS 2048

struct table {
	struct bk_space *bar;
	_Atomic bool stop;
	_Atomic unsigned done;
};

static void *use_table(void *opaque)
{
	struct table *table = opaque;
	uint64_t value;

	while (!atomic_load(&table->stop)) {
		bk_space_read(table->bar, 16 * (VECTORS - 1), 8, &value);
		bk_space_write(table->bar, 16 * (VECTORS - 1) + 8, 4, 5);
		bk_space_write(table->bar, 16 * (VECTORS - 1) - 4, 8, 5);
		bk_space_read(table->bar, 16 * VECTORS, 8, &value);
		atomic_fetch_add(&table->done, 1);
	}
	return NULL;
}

static void no_error(void *opaque, const struct bk_region *region, uint64_t address, bool write,
		     unsigned width, int error)
{
	assert_int_equal(error, -ERANGE);
}

static void an_msix_table_is_checked_against_the_vectors_of_that_moment(void **state)
{
	struct bk_domain *domain = bk_domain_create();
	struct table table = { .bar = bk_space_create(domain, "bar", 0xffff) };
	struct bk_pci_function_desc desc = {
		.name = "f",
		.vendor = 0x1234,
		.bars[0] = { .kind = BK_PCI_BAR_MEM32, .size = 0x10000, .space = table.bar },
	};
	struct bk_update *update = bk_update_begin(domain);
	struct bk_pci_function *function;
	struct bk_region_desc shown[2];
	struct bk_region *regions[2];
	pthread_t threads[2];
	int at;

	bk_space_on_error(table.bar, no_error, NULL);
	assert_int_equal(bk_pci_function_create(domain, &desc, &function, NULL), 0);
	at = msix_add(function, 0, VECTORS, 0, 0, 0, 0x8000);
	assert_true(at > 0);
	assert_int_equal(bk_pci_msix_regions(function, &shown[0], &shown[1]), 0);
	for (unsigned i = 0; i < 2; i++) {
		shown[i].rank = i;
		assert_int_equal(bk_update_add(update, table.bar, &shown[i], &regions[i]), 0);
	}
	assert_int_equal(bk_update_commit(update, NULL), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, use_table, &table), 0);
	for (unsigned i = 0; i < 20000 || atomic_load(&table.done) < 1000; i++) {
		assert_int_equal(bk_pci_capability_remove(function, (unsigned)at), 0);
		at = msix_add(function, 0, i & 1 ? VECTORS : 1, 0, 0, 0, 0x8000);
		assert_true(at > 0);
	}
	atomic_store(&table.stop, true);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(bk_region_retire(regions[i]), 0);
	assert_int_equal(bk_pci_function_destroy(function), 0);
	assert_int_equal(bk_space_destroy(table.bar), 0);
	assert_int_equal(bk_domain_destroy(domain), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(F14_a_device_moves_its_own_bar),
		cmocka_unit_test(F13_F18_everything_at_once),
		cmocka_unit_test(F18_F19_bus_reset_against_writes_and_hotplug),
		cmocka_unit_test(a_message_waits_for_the_bridge),
		cmocka_unit_test(an_msix_table_is_checked_against_the_vectors_of_that_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
