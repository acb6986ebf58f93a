/* SPDX-License-Identifier: BSD-2-Clause */
/* A life of a host, a bridge and a function, with each allocation failing in turn. */
#include <stdio.h>
#include <stdlib.h>

#include "failing.h"
#include "pci_adds.h"
#include "pci_world.h"

/* Of this thread alone: the one that reclaims allocates nothing that may fail. */
static __thread long left = -1; /* allocations until one fails; -1: none does */

static bool fails(void)
{
	return left >= 0 && left-- == 0;
}

static int nothing(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	*value = 0x5a;
	return 0;
}

static const struct bk_region_ops ops = { .read = nothing };

static void swallow(void *opaque, enum bk_log_level level, const char *line)
{
}

/* 0, or -ENOMEM; anything else is wrong. */
static int checked(int error)
{
	if (error >= 0)
		return 0;
	assert_int_equal(error, -ENOMEM);
	return error;
}

struct life {
	struct bk_domain *domain;
	struct bk_space *memory, *bar;
	struct bk_pci_host *host;
	struct bk_pci_function *bridge, *function;
};

static int fill_bar(struct life *life)
{
	struct bk_region_desc desc = {
		.name = "bar", .last = 0xffff, .kind = BK_REGION_HANDLED, .ops = &ops
	};
	struct bk_update *update = bk_update_begin(life->domain);
	struct bk_region *region;

	if (!update)
		return -ENOMEM;
	if (bk_update_add(update, life->bar, &desc, &region)) {
		bk_update_drop(update);
		return -ENOMEM;
	}
	return bk_update_commit(update, NULL);
}

static int add_capabilities(struct bk_pci_function *function)
{
	static const uint8_t express[60] = { [2] = 2 };
	int error = checked(bk_pci_pm_add(function, 0, 3, true));

	if (!error)
		error = checked(bk_pci_msi_add(function, 0, 8, true, true));
	if (!error)
		error = checked(msix_add(function, 0, 8, 0, 0, 0, 0x800));
	if (!error)
		error = checked(bk_pci_express_add(function, 0, express, sizeof(express)));
	if (!error)
		error = checked(bk_pci_serial_add(function, 0, 1));
	if (!error)
		error = checked(vendor_add(function, 0, "v", NULL, 1));
	if (!error)
		error = checked(dvsec_add(function, 0, 1, 1, 1, "v", NULL, 1));
	return error;
}

/* Windows with holes and aliases, all of it told in both ways, a port that comes and goes. */
static int look(struct life *life)
{
	static const uint8_t port[60] = { [2] = 0x42 };
	FILE *out = fopen("/dev/null", "w");
	struct bk_pci_explanation why = { .struct_size = sizeof(why) };
	int error;

	assert_non_null(out);
	bk_pci_function_write(life->bridge, 0x1c, 2, 0xf010);
	bk_pci_function_write(life->bridge, 4, 2, 7);
	bk_pci_function_write(life->bridge, 0x3e, 2, 0xc);
	bk_pci_function_write(life->bridge, 0x3e, 2, 8);
	bk_pci_function_write(life->bridge, 0x3e, 2, 0xc);
	error = checked(bk_pci_host_describe(life->host, BK_FORMAT_TEXT, bk_sink_file, out));
	bk_pci_function_write(life->function, 4, 2, 0);
	if (!error)
		error = checked(bk_pci_host_describe(life->host, BK_FORMAT_JSON, bk_sink_file, out));
	bk_pci_function_write(life->function, 4, 2, 2);
	if (!error)
		error = checked(bk_pci_function_explain(life->function, 0, &why, NULL, 0));
	fclose(out);
	bk_pci_function_write(life->bridge, 0x3e, 2, 0);
	if (!error)
		error = checked(bk_pci_function_detach(life->bridge));
	if (!error)
		error = checked(bk_pci_express_add(life->bridge, 0, port, sizeof(port)));
	if (!error)
		error = checked(bk_pci_function_attach(life->bridge, bk_pci_host_bus(life->host), 8));
	return error;
}

static void say(void *opaque, const char *line)
{
	assert_non_null(line);
}

static void (*report)(void *opaque, const char *line);

/* True if all of it went well. */
static bool live(struct life *life)
{
	struct bk_pci_window windows[2];
	struct bk_pci_host_desc host = { .windows = windows, .bus_last = 255, .address_zero = false };
	struct bk_pci_function_desc desc = { .vendor = 1, .extended = true, .pin = 1 };
	struct bk_error err;
	unsigned left_out;

	life->domain = bk_domain_create();
	if (!life->domain)
		return false;
	life->memory = bk_space_create(life->domain, "memory", UINT64_MAX);
	life->bar = bk_space_create(life->domain, "bar", 0xffff);
	if (!life->memory || !life->bar || fill_bar(life))
		return false;
	host.domain = life->domain;
	windows[0] = (struct bk_pci_window){ BK_PCI_WINDOW_MEMORY, life->memory, 0x80000000,
					     0xdfffffff,           0x80000000,   0 };
	windows[1] = (struct bk_pci_window){ BK_PCI_WINDOW_IO, life->memory, 0x1000, 0xffff, 0x1000, 0 };
	host.window_count = 2;
	host.ecam = life->memory;
	host.ecam_first = 0xe0000000;
	host.ecam_priority = 1;
	if (checked(bk_pci_host_create(&host, &life->host, &err)))
		return false;
	if (checked(bk_pci_bridge_create(life->host, &desc, &life->bridge, &err)))
		return false;
	desc.bars[0] = (struct bk_pci_bar){ .kind = BK_PCI_BAR_MEM32, .size = 0x10000, .space = life->bar };
	if (checked(bk_pci_function_create(life->domain, &desc, &life->function, &err)) ||
	    add_capabilities(life->function))
		return false;
	if (checked(bk_pci_function_attach(life->function, bk_pci_bridge_bus(life->bridge), 0)) ||
	    checked(bk_pci_function_attach(life->bridge, bk_pci_host_bus(life->host), 8)))
		return false;
	return !bk_pci_host_assign(life->host, 0x1000, &left_out, report, NULL) && !left_out && !look(life);
}

static void die(struct life *life)
{
	if (life->bridge)
		bk_pci_function_detach(life->bridge);
	if (life->function) {
		bk_pci_function_detach(life->function);
		assert_int_equal(bk_pci_function_destroy(life->function), 0);
	}
	if (life->bridge)
		assert_int_equal(bk_pci_function_destroy(life->bridge), 0);
	if (life->host)
		assert_int_equal(bk_pci_host_destroy(life->host), 0);
	if (life->memory)
		assert_int_equal(bk_space_destroy(life->memory), 0);
	if (life->bar)
		assert_int_equal(bk_space_destroy(life->bar), 0);
	if (life->domain)
		assert_int_equal(bk_domain_destroy(life->domain), 0);
}

static void fails_in_turn(void)
{
	unsigned failures = 0, recovered = 0;
	bool done = false;

	bk_log_set(swallow, NULL);
	for (long n = 0; !done; n++) {
		struct life life = { 0 };
		bool well, used;
		uint64_t value;

		left = n;
		well = live(&life);
		used = left < 0;
		left = -1;
		done = !used;
		failures += !well;
		/* A map that could not follow does so with the next writes. */
		if (well) {
			struct bk_pci_bar_state bar = { .struct_size = sizeof(bar) };

			recovered += used;
			bk_pci_function_write(life.bridge, 0x3c, 1, 1);
			bk_pci_function_write(life.function, 0x3c, 1, 1);
			assert_int_equal(bk_pci_function_bar(life.function, 0, &bar), 0);
			assert_true(bar.decodes);
			bk_space_read(life.memory, bar.address + 0x4000, 1, &value);
			assert_int_equal(value, 0x5a);
		}
		die(&life);
	}
	bk_log_set(NULL, NULL);
	assert_true(failures > 50);
	assert_true(recovered > 10);
}

static void every_allocation_fails_in_turn(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		report = i ? say : NULL;
		fails_in_turn();
	}
}

/* ---- A crowded machine ---------------------------------------------------- */

static void attach_below(struct part *bridge, struct part *part, uint8_t devfn)
{
	part->devfn = devfn;
	assert_int_equal(bk_pci_function_attach(part->function, bk_pci_bridge_bus(bridge->function), devfn),
			 0);
}

/* A card with ports behind two bridges, the outer one of which lets only some of them through: what is
 * reachable is in many pieces. */
static void a_description_without_memory_is_none(void **state)
{
	const struct bk_pci_function_desc bridge = { 0 }, desc = { .bars = { IO_BAR(0x4000), IO_BAR(0x10),
									     MEM32_BAR(0x1000) } };
	struct world *world = world_create(NULL);
	struct part outer, inner, card;
	FILE *out = fopen("/dev/null", "w");

	assert_non_null(out);
	part_create_in(world, &outer, 1, bridge, true);
	part_create_in(world, &inner, 2, bridge, true);
	part_create(world, &card, 3, desc);
	attach_below(&inner, &card, 0);
	attach_below(&outer, &inner, 0);
	part_attach(world, &outer, 8);
	assert_int_equal(assign(world->host, 0x1000, NULL, NULL), 0);
	assert_int_equal(bk_pci_function_write(outer.function, 0x3e, 2, 4), 0); /* ISA Enable */
	for (unsigned format = 0; format < 2; format++) {
		unsigned failures = 0;

		for (bool done = false; !done;) {
			int error;

			left = failures;
			error = bk_pci_host_describe(world->host, format ? BK_FORMAT_JSON : BK_FORMAT_TEXT,
						     bk_sink_file, out);
			done = left >= 0;
			left = -1;
			assert_int_equal(error, done ? 0 : -ENOMEM);
			failures += !done;
		}
		assert_true(failures > 5);
	}
	fclose(out);
	part_destroy(&card);
	part_destroy(&inner);
	part_destroy(&outer);
	world_destroy(world);
}

/* A BAR that the map cannot follow says so, and is there after the next write. */
static void moves_fail_in_turn(void **state)
{
	struct world *world = world_create(NULL);
	const struct bk_pci_function_desc desc = { .bars = { MEM32_BAR(0x1000) } };
	struct bk_pci_explanation why = { .struct_size = sizeof(why) };
	unsigned failures = 0;
	struct part card;

	(void)state;
	part_create(world, &card, 3, desc);
	part_attach(world, &card, 8);
	config_write(world, 8, 4, 2, 2);
	for (bool done = false; !done;) {
		left = failures;
		config_write(world, 8, BAR(0), 4, 0x90000000 + 0x1000 * failures);
		done = left >= 0;
		left = -1;
		assert_int_equal(bk_pci_function_explain(card.function, 0, &why, NULL, 0), 0);
		assert_int_equal(why.reason, done ? BK_PCI_BAR_ANSWERS : BK_PCI_BAR_LEFT_BEHIND);
		config_write(world, 8, 0x3c, 1, 0); /* any register */
		assert_int_equal(bk_pci_function_explain(card.function, 0, &why, NULL, 0), 0);
		assert_int_equal(why.reason, BK_PCI_BAR_ANSWERS);
		assert_memory(world, 0x90000000 + 0x1000 * failures, WHO(3, 0));
		failures += !done;
	}
	assert_true(failures > 0);
	part_destroy(&card);
	world_destroy(world);
}

/* Whatever fails, what is assigned next has all that `wanted` fail without. */
static void assign_fails_in_turn(struct world *world, unsigned wanted)
{
	unsigned failures = 0;
	bool done = false;

	for (long n = 0; !done; n++) {
		unsigned left_out;
		int error;

		left = n;
		error = bk_pci_host_assign(world->host, 0x1000, &left_out, NULL, NULL);
		done = left >= 0;
		left = -1;
		assert_true(error ? error == -ENOMEM : left_out >= wanted);
		failures += error || left_out > wanted;
		assert_int_equal(assign(world->host, 0x1000, NULL, NULL), wanted);
	}
	assert_true(failures > 1);
}

/* The more others are there, the more pieces what is free is in. */
static void addresses_among_others_without_memory(void **state)
{
	struct bk_region_desc other = { .name = "other", .kind = BK_REGION_HANDLED, .ops = &ops };
	struct world *world = world_create(NULL);
	struct part part;

	part_create(world, &part, 1, (struct bk_pci_function_desc){ .bars = { MEM32_BAR(0x10000) } });
	part_attach(world, &part, 8);
	for (unsigned i = 0; i < 10; i++) {
		struct bk_update *update = bk_update_begin(world->domain);
		struct bk_region *region;

		other.rank = i;
		other.first = WINDOW_FIRST + i * 0x40000;
		other.last = other.first + 0xfff;
		assert_int_equal(bk_update_add(update, world->memory, &other, &region), 0);
		assert_int_equal(bk_update_commit(update, NULL), 0);
		assign_fails_in_turn(world, 0);
		assert_memory(world, WINDOW_FIRST + 0x10000, WHO(1, 0));
	}
	part_destroy(&part);
	world_destroy(world);
}

static void tune_small(struct bk_pci_host_desc *desc)
{
	WINDOWS(desc)[0].last = WINDOWS(desc)[0].first + 0x3fffff; /* 4 MiB */
	WINDOWS(desc)[1] = WINDOWS(desc)[2];
	desc->window_count = 2;
}

/* A window is made smaller until it has a place. */
static void addresses_where_not_all_fit_without_memory(void **state)
{
	struct world *world = world_create(tune_small);
	struct part bridge, large, small;

	part_create_in(world, &bridge, 1, (struct bk_pci_function_desc){ 0 }, true);
	part_create(world, &large, 2, (struct bk_pci_function_desc){ .bars = { MEM32_BAR(0x400000) } });
	part_create(world, &small, 3, (struct bk_pci_function_desc){ .bars = { MEM32_BAR(0x100000) } });
	attach_below(&bridge, &large, 0);
	attach_below(&bridge, &small, 8);
	part_attach(world, &bridge, 8);
	assign_fails_in_turn(world, 1);
	assert_memory(world, WINDOW_FIRST, WHO(3, 0));
	part_destroy(&small);
	part_destroy(&large);
	part_destroy(&bridge);
	world_destroy(world);
}

/* A bridge shows a lot: it goes with all of it, or stays with all of it. */
static void a_bridge_that_cannot_be_detached_stays(void **state)
{
	struct world *world = world_create(NULL);
	struct part bridge, card;
	unsigned failures = 0;
	bool done = false;

	part_create_in(world, &bridge, 1,
		       (struct bk_pci_function_desc){ .bars = { MEM32_BAR(0x1000), MEM32_BAR(0x1000) } },
		       true);
	part_create(world, &card, 2, (struct bk_pci_function_desc){ .bars = { MEM32_BAR(0x1000) } });
	attach_below(&bridge, &card, 0);
	part_attach(world, &bridge, 8);
	assert_int_equal(assign(world->host, 0x1000, NULL, NULL), 0);
	assert_int_equal(bk_pci_function_write(bridge.function, 0x1c, 2, 0xf010), 0);
	assert_int_equal(bk_pci_function_write(bridge.function, 4, 2, 3), 0);
	assert_int_equal(bk_pci_function_write(bridge.function, 0x3e, 2, 0xc), 0); /* VGA and ISA Enable */
	while (!done) {
		struct bk_pci_bar_state bar = { .struct_size = sizeof(bar) };
		int error;

		assert_int_equal(bk_pci_function_bar(card.function, 0, &bar), 0);
		assert_memory(world, bar.address, WHO(2, 0));
		left = failures;
		error = bk_pci_function_detach(bridge.function);
		done = left >= 0;
		left = -1;
		assert_int_equal(error, done ? 0 : -ENOMEM);
		failures += !done;
	}
	assert_true(failures > 1);
	part_destroy(&card);
	part_destroy(&bridge);
	world_destroy(world);
}

static int quiet(void **state)
{
	bk_log_set(swallow, NULL);
	return 0;
}

static int loud(void **state)
{
	bk_log_set(NULL, NULL);
	return 0;
}

#define QUIET_TEST(name) cmocka_unit_test_setup_teardown(name, quiet, loud)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moves_fail_in_turn),
		cmocka_unit_test(every_allocation_fails_in_turn),
		QUIET_TEST(a_description_without_memory_is_none),
		QUIET_TEST(addresses_among_others_without_memory),
		QUIET_TEST(addresses_where_not_all_fit_without_memory),
		QUIET_TEST(a_bridge_that_cannot_be_detached_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
