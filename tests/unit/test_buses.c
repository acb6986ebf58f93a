/* SPDX-License-Identifier: BSD-2-Clause */
/* The monitor's buses: bridges of each kind as a guest reads them, names, and places. */
#include "pci_world.h"

#include "monitor/buses.h"

struct stage {
	struct world *world;
	struct bk__monitor_buses *buses;
};

static int setup(void **state)
{
	static struct stage stage;

	stage.world = world_create(NULL);
	stage.buses = bk__monitor_buses_create(stage.world->host, "the host bridge", NULL, NULL);
	assert_non_null(stage.buses);
	*state = &stage;
	return 0;
}

static int teardown(void **state)
{
	struct stage *stage = *state;

	bk__monitor_buses_destroy(stage->buses);
	world_destroy(stage->world);
	return 0;
}

static struct bk_error err;

static int add(struct stage *stage, const char *name, enum bk__monitor_bus_kind kind, const char *bus,
	       int slot)
{
	const struct bk__monitor_bridge_config config = {
		.name = name, .kind = kind, .bus = bus, .slot = slot
	};

	return bk__monitor_buses_bridge(stage->buses, &config, &err);
}

static uint64_t get(struct stage *stage, unsigned bus, unsigned slot, unsigned offset, unsigned width)
{
	uint64_t value;

	bk_space_read(stage->world->memory, ECAM + (bus << 20 | slot << 15 | offset), width, &value);
	return value;
}

/* Where the capability is; 0: nowhere. */
static unsigned capability(struct stage *stage, unsigned bus, unsigned slot, unsigned id)
{
	unsigned at = (unsigned)get(stage, bus, slot, 0x34, 1);

	while (at && get(stage, bus, slot, at, 1) != id)
		at = (unsigned)get(stage, bus, slot, at + 1, 1);
	return at;
}

static void fail_line(void *opaque, const char *line)
{
	fail_msg("%s", line);
}

static void a_root_port(void **state)
{
	struct stage *stage = *state;
	unsigned express;

	assert_int_equal(add(stage, "rp1", BK__BUS_PORT, NULL, -1), 0);
	assert_int_equal(add(stage, "rp2", BK__BUS_PORT, NULL, -1), 0);
	assert_int_equal(get(stage, 0, 1, 0, 4), 0x000c1b36);
	assert_int_equal(get(stage, 0, 1, 0xb, 1), 0x06);
	assert_int_equal(get(stage, 0, 1, 0x3d, 1), 1);
	assert_int_not_equal(capability(stage, 0, 1, 0x01), 0);
	assert_int_not_equal(capability(stage, 0, 1, 0x05), 0);
	assert_int_equal(get(stage, 0, 1, capability(stage, 0, 1, 0x0d) + 4, 4), 0x1b36);
	express = capability(stage, 0, 1, 0x10);
	assert_int_equal(get(stage, 0, 1, express + 2, 2), 0x142);
	assert_int_equal(get(stage, 0, 1, express + 0x0c, 4), 0x01300206); /* 32 lanes of 64 GT/s, port 1 */
	assert_int_equal(get(stage, 0, 1, express + 0x2c, 4), 0x7e);
	assert_int_equal(get(stage, 0, 1, express + 0x1e, 2), 1); /* CRS Software Visibility */
	assert_int_equal(get(stage, 0, 1, express + 0x14, 4), 1 << 19 | 0x40073);
	assert_int_equal(get(stage, 0, 2, express + 0x14, 4), 2 << 19 | 0x40073);
	assert_int_equal(bk__monitor_buses_find(stage->buses, "rp2", &err)->kind, BK__BUS_PORT);
}

static void room_in_a_slot(void **state)
{
	struct stage *stage = *state;
	const struct bk__monitor_bridge_config config = {
		.name = "rp", .kind = BK__BUS_PORT, .slot = 1, .prefetchable = UINT64_C(16) << 20
	};

	assert_int_equal(bk__monitor_buses_bridge(stage->buses, &config, &err), 0);
	assert_int_equal(assign(stage->world->host, 0x1000, fail_line, NULL), 0);
	assert_int_equal(get(stage, 0, 1, 0x20, 4), 0x80108000);
	assert_int_equal(get(stage, 0, 1, 0x24, 4), 0x00f10001);
}

static void bridges_behind_each_other(void **state)
{
	struct stage *stage = *state;
	struct bk__monitor_jobs jobs;
	unsigned express;

	assert_int_equal(add(stage, "rp", BK__BUS_PORT, NULL, 3), 0);
	assert_int_equal(add(stage, "first", BK__BUS_PCI, "rp", -1), 0);
	assert_int_equal(add(stage, "second", BK__BUS_PCI, "first", 7), 0);
	assert_int_equal(add(stage, "old", BK__BUS_PCI, NULL, 0x1f), 0);
	assert_int_equal(assign(stage->world->host, 0x1000, fail_line, NULL), 0);
	assert_int_equal(get(stage, 0, 3, 0x18, 4), 0x00030100);
	assert_int_equal(get(stage, 1, 0, 0, 4), 0x000e1b36);
	assert_int_equal(get(stage, 1, 0, 0x18, 4), 0x00030201);
	express = capability(stage, 1, 0, 0x10);
	assert_int_equal(get(stage, 1, 0, express + 2, 2), 0x72);
	/* It sits in the slot of the port. */
	express = capability(stage, 0, 3, 0x10);
	assert_int_equal(get(stage, 0, 3, express + 0x1a, 2) & 0x40, 0x40);
	/* Conventional ones have no PCI Express capability. */
	assert_int_equal(get(stage, 2, 7, 0, 4), 0x00011b36);
	assert_int_equal(capability(stage, 2, 7, 0x10), 0);
	assert_int_equal(get(stage, 0, 0x1f, 0, 4), 0x00011b36);
	assert_int_equal(capability(stage, 0, 0x1f, 0x10), 0);
	assert_int_not_equal(capability(stage, 0, 0x1f, 0x01), 0);
	/* A reset takes all of them back. */
	bk__monitor_jobs_begin(&jobs, -1);
	bk__monitor_buses_reset(stage->buses, &jobs);
	bk__monitor_jobs_end(&jobs);
	assert_int_equal(get(stage, 0, 3, 0x18, 4), 0);
	assert_int_equal(get(stage, 0, 0x1f, 0x18, 4), 0);
}

static void wrong_names_and_kinds(void **state)
{
	struct stage *stage = *state;

	assert_int_equal(add(stage, "rp", BK__BUS_PORT, NULL, -1), 0);
	assert_int_equal(add(stage, "rp", BK__BUS_PCI, NULL, -1), -EEXIST);
	assert_non_null(strstr(err.text, "bridge rp"));
	assert_int_equal(add(stage, "b", BK__BUS_PCI, "none", -1), -ENOENT);
	assert_non_null(strstr(err.text, "bus=none"));
	assert_int_equal(add(stage, "b", BK__BUS_PORT, "rp", -1), -EINVAL);
	assert_non_null(strstr(err.text, "root bus"));
	assert_int_equal(get(stage, 0, 1, 0, 4), 0x000c1b36);
	assert_int_equal(get(stage, 0, 2, 0, 4), 0xffffffff);
}

static void places_are_taken_once(void **state)
{
	struct stage *stage = *state;
	struct bk__monitor_bus *root = bk__monitor_buses_find(stage->buses, NULL, &err), *port, *pci;

	assert_int_equal(bk__monitor_bus_take(root, 0, 0, "card", &err), -EEXIST);
	assert_non_null(strstr(err.text, "host bridge"));
	assert_int_equal(bk__monitor_bus_take(root, -1, 0, "card", &err), BK_PCI_DEVFN(1, 0));
	assert_int_equal(bk__monitor_bus_take(root, 1, 0, "other", &err), -EEXIST);
	assert_non_null(strstr(err.text, "01.0"));
	assert_non_null(strstr(err.text, "card"));
	assert_int_equal(bk__monitor_bus_take(root, 1, 1, "other", &err), BK_PCI_DEVFN(1, 1));
	bk__monitor_bus_leave(root, BK_PCI_DEVFN(1, 0));
	assert_int_equal(bk__monitor_bus_take(root, -1, 0, "third", &err),
			 BK_PCI_DEVFN(2, 0)); /* 01.1 is there */

	assert_int_equal(add(stage, "rp", BK__BUS_PORT, NULL, 1), 0);
	port = bk__monitor_buses_find(stage->buses, "rp", &err);
	assert_int_equal(bk__monitor_bus_take(port, 1, 0, "card", &err), -EINVAL);
	assert_non_null(strstr(err.text, "slot 00"));
	assert_int_equal(bk__monitor_bus_take(port, -1, 0, "card", &err), 0);
	assert_int_equal(bk__monitor_bus_take(port, -1, 0, "other", &err), -ENOSPC);
	assert_int_equal(bk__monitor_bus_take(port, 0, 7, "other", &err), 7);
	assert_int_equal(add(stage, "behind", BK__BUS_PCI, "rp", -1), -ENOSPC);

	assert_int_equal(add(stage, "pci", BK__BUS_PCI, NULL, -1), 0);
	pci = bk__monitor_buses_find(stage->buses, "pci", &err);
	for (int slot = 0; slot < 32; slot++)
		assert_int_equal(bk__monitor_bus_take(pci, -1, 0, "card", &err), BK_PCI_DEVFN(slot, 0));
	assert_int_equal(bk__monitor_bus_take(pci, -1, 0, "card", &err), -ENOSPC);
}

#define STAGE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STAGE_TEST(a_root_port),
		STAGE_TEST(room_in_a_slot),
		STAGE_TEST(bridges_behind_each_other),
		STAGE_TEST(wrong_names_and_kinds),
		STAGE_TEST(places_are_taken_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
