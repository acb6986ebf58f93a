/* SPDX-License-Identifier: BSD-2-Clause */
/* Updates that cannot be made: the map stays, is tried again, and nothing else is lost. */
#include "pci_world.h"

static unsigned begin_fails, commit_fails, visit_fails;

struct bk_update *__real_bk_update_begin(struct bk_domain *domain);
struct bk_update *__wrap_bk_update_begin(struct bk_domain *domain);
int __real_bk_update_commit(struct bk_update *update, struct bk_error *err);
int __wrap_bk_update_commit(struct bk_update *update, struct bk_error *err);

struct bk_update *__wrap_bk_update_begin(struct bk_domain *domain)
{
	if (begin_fails) {
		begin_fails--;
		return NULL;
	}
	return __real_bk_update_begin(domain);
}

int __wrap_bk_update_commit(struct bk_update *update, struct bk_error *err)
{
	if (commit_fails) {
		commit_fails--;
		bk_update_drop(update);
		return bk_fail(err, ENOMEM, "out of memory");
	}
	return __real_bk_update_commit(update, err);
}

int __real_bk_region_add(struct bk_space *space, const struct bk_region_desc *desc, struct bk_region **region,
			 struct bk_error *err);
int __wrap_bk_region_add(struct bk_space *space, const struct bk_region_desc *desc, struct bk_region **region,
			 struct bk_error *err);

int __wrap_bk_region_add(struct bk_space *space, const struct bk_region_desc *desc, struct bk_region **region,
			 struct bk_error *err)
{
	unsigned *fails = begin_fails ? &begin_fails : &commit_fails;

	if (!*fails)
		return __real_bk_region_add(space, desc, region, err);
	--*fails;
	return bk_fail(err, ENOMEM, "out of memory");
}

int __real_bk_space_visit(struct bk_space *space, uint64_t first, uint64_t last,
			  bool (*visit)(void *opaque, const struct bk_flat *flat), void *opaque);
int __wrap_bk_space_visit(struct bk_space *space, uint64_t first, uint64_t last,
			  bool (*visit)(void *opaque, const struct bk_flat *flat), void *opaque);

int __wrap_bk_space_visit(struct bk_space *space, uint64_t first, uint64_t last,
			  bool (*visit)(void *opaque, const struct bk_flat *flat), void *opaque)
{
	if (visit_fails) {
		visit_fails--;
		return -ENOMEM;
	}
	return __real_bk_space_visit(space, first, last, visit, opaque);
}

static void swallow(void *opaque, enum bk_log_level level, const char *line)
{
	++*(unsigned *)opaque;
}

static void map_is_kept_and_tried_again(void **state)
{
	struct world *world = world_create(NULL);
	struct bk_pci_function_desc desc = { .bars = { MEM32_BAR(0x1000), MEM32_BAR(0x1000) } };
	const uint8_t devfn = 8;
	struct part part;
	unsigned logged = 0;

	bk_log_set(swallow, &logged);
	part_create(world, &part, 1, desc);
	for (unsigned which = 0; which < 2; which++) {
		unsigned *fails = which ? &commit_fails : &begin_fails;
		unsigned before = logged;

		*fails = 1;
		assert_int_equal(bk_pci_function_attach(part.function, world->bus, devfn), -ENOMEM);
		assert_config(world, devfn, 0, 4, 0xffffffff);
		part_attach(world, &part, devfn);
		config_write(world, devfn, BAR(0), 4, 0x90000000);
		config_write(world, devfn, BAR(1), 4, 0x90001000);
		*fails = 1;
		config_write(world, devfn, 4, 2, 2);
		assert_int_equal(logged, before + 1);
		assert_config(world, devfn, 4, 2, 2); /* the register has it */
		assert_memory(world, 0x90000000, NOBODY);
		config_write(world, devfn, 0x3c, 1, 1); /* any write tries again */
		assert_memory(world, 0x90000000, WHO(1, 0));
		assert_memory(world, 0x90001000, WHO(1, 1));
		*fails = 1;
		config_write(world, devfn, BAR(0), 4, 0x90002000);
		assert_memory(world, 0x90000000, WHO(1, 0));
		config_write(world, devfn, BAR(1), 4, 0x90003000);
		assert_memory(world, 0x90000000, NOBODY);
		assert_memory(world, 0x90002000, WHO(1, 0));
		assert_memory(world, 0x90003000, WHO(1, 1));
		*fails = 1;
		assert_int_equal(bk_pci_function_detach(part.function), -ENOMEM); /* stays */
		assert_memory(world, 0x90002000, WHO(1, 0));
		assert_int_equal(bk_pci_function_destroy(part.function), -EBUSY);
		assert_int_equal(bk_pci_function_detach(part.function), 0);
		assert_memory(world, 0x90002000, NOBODY);
		bk_pci_function_reset(part.function);
	}
	begin_fails = 1;
	assert_int_equal(bk_pci_host_destroy(world->host), -ENOMEM);
	part_destroy(&part);
	bk_log_set(NULL, NULL);
	world_destroy(world);
}

static const struct bk_listener_ops silent = { 0 };

/* Whoever listens to any of their spaces keeps all of a bridge. */
static void a_bridge_is_destroyed_whole_or_not_at_all(void **state)
{
	struct world *world = world_create(NULL);
	struct part bridge, card;
	struct bk_listener *listener;
	struct bk_pci_bus *below;

	part_create_in(world, &bridge, 1, (struct bk_pci_function_desc){ 0 }, true);
	part_create(world, &card, 2,
		    (struct bk_pci_function_desc){ .bars = { MEM32_BAR(0x1000), IO_BAR(0x100) } });
	below = bk_pci_bridge_bus(bridge.function);
	/* With what ISA Enable and VGA Enable need. */
	bk_pci_function_write(bridge.function, 0x1c, 2, 0xf010);
	bk_pci_function_write(bridge.function, 4, 2, 3);
	part_attach(world, &bridge, 8);
	config_write(world, 8, 0x3e, 2, 0xc);
	assert_int_equal(bk_pci_function_detach(bridge.function), 0);
	for (unsigned i = 0; i < 3; i++) {
		struct bk_space *const spaces[] = { bk_pci_bus_memory(below), bk_pci_bus_io(below),
						    bk_pci_function_config(bridge.function) };

		assert_int_equal(bk_listener_add(spaces[i], &silent, NULL, &listener), 0);
		assert_int_equal(bk_pci_function_destroy(bridge.function), -EBUSY);
		bk_listener_remove(listener);
		/* All of it works. */
		part_attach(world, &bridge, 8);
		assert_int_equal(bk_pci_function_attach(card.function, below, 0), 0);
		config_write(world, 8, 0x18, 4, 0x010100);
		config_write(world, 8, 0x20, 4, 0x90009000);
		config_write(world, 8, 4, 2, 3);
		bk_pci_function_write(card.function, BAR(0), 4, 0x90000000);
		bk_pci_function_write(card.function, BAR(1), 4, 0x2000);
		bk_pci_function_write(card.function, 4, 2, 3);
		assert_memory(world, 0x90000000, WHO(2, 0));
		assert_port(world, 0x2000, WHO(2, 1));
		assert_config(world, 8, 0, 2, 0x1b36);
		assert_int_equal(bk_pci_function_detach(card.function), 0);
		assert_int_equal(bk_pci_function_detach(bridge.function), 0);
	}
	part_destroy(&card);
	part_destroy(&bridge);
	world_destroy(world);
}

static void a_host_that_is_not_destroyed_takes_nobody(void **state)
{
	struct world *world = world_create(NULL);
	struct bk_listener *listener;
	struct part part;

	part_create(world, &part, 1, (struct bk_pci_function_desc){ 0 });
	assert_int_equal(bk_listener_add(bk_pci_bus_io(world->bus), &silent, NULL, &listener), 0);
	assert_int_equal(bk_pci_host_destroy(world->host), -EBUSY);
	assert_int_equal(bk_pci_function_attach(part.function, world->bus, 8), -ESHUTDOWN);
	assert_int_equal(bk_pci_host_destroy(world->host), -EBUSY);
	bk_listener_remove(listener);
	part_destroy(&part);
	world_destroy(world);
}

/* What ISA Enable and aliases of VGA's ports need is made when they are first set. */
static void windows_with_holes_are_tried_again(void **state)
{
	struct world *world = world_create(NULL);
	const uint8_t devfn = 8;
	unsigned logged = 0;

	bk_log_set(swallow, &logged);
	for (unsigned which = 0; which < 2; which++) {
		unsigned *fails = which ? &commit_fails : &begin_fails;

		for (unsigned control = 4; control <= 8; control += 4) { /* ISA Enable, VGA Enable */
			const unsigned port = control == 4 ? 0x1100 : 0x83b0;
			const uint8_t before = control == 4 ? WHO(2, 0) : NOBODY;
			const uint8_t after = control == 4 ? NOBODY : WHO(2, 1);
			struct part bridge, part;

			part_create_in(world, &bridge, 1, (struct bk_pci_function_desc){ 0 }, true);
			part_create(
				world, &part, 2,
				(struct bk_pci_function_desc){ .bars = { IO_BAR(0x400), IO_BAR(0x400) } });
			part_attach(world, &bridge, devfn);
			assert_int_equal(
				bk_pci_function_attach(part.function, bk_pci_bridge_bus(bridge.function), 0),
				0);
			bk_pci_function_write(part.function, BAR(0), 4, 0x1000);
			bk_pci_function_write(part.function, BAR(1), 4, 0x8000);
			bk_pci_function_write(part.function, 4, 2, 1);
			config_write(world, devfn, 0x1c, 2, 0x1010);
			config_write(world, devfn, 4, 2, 1);
			assert_port(world, port, before);
			*fails = 1;
			config_write(world, devfn, 0x3e, 2, control);
			assert_config(world, devfn, 0x3e, 2, control);
			assert_port(world, port, before);
			config_write(world, devfn, 0x3c, 1, 1);
			assert_port(world, port, after);
			bk_pci_function_detach(bridge.function);
			*fails = 1;
			assert_int_equal(bk_pci_function_attach(bridge.function, world->bus, devfn), -ENOMEM);
			part_attach(world, &bridge, devfn);
			assert_port(world, port, after);
			part_destroy(&part);
			part_destroy(&bridge);

			/* Set before the bridge is anywhere: made when it is attached. */
			part_create_in(world, &bridge, 1, (struct bk_pci_function_desc){ 0 }, true);
			bk_pci_function_write(bridge.function, 0x3e, 2, control);
			bk_pci_function_write(bridge.function, 0x1c, 2, 0x1010);
			bk_pci_function_write(bridge.function, 4, 2, 1);
			*fails = 1;
			assert_int_equal(bk_pci_function_attach(bridge.function, world->bus, devfn), -ENOMEM);
			part_attach(world, &bridge, devfn);
			part_destroy(&bridge);
		}
	}
	bk_log_set(NULL, NULL);
	world_destroy(world);
}

static void creation_fails_whole(void **state)
{
	struct bk_domain *domain = bk_domain_create();
	struct bk_pci_function_desc desc = { .vendor = 1 };
	struct bk_pci_host_desc host_desc = { .domain = domain };
	struct bk_pci_function *function;
	struct bk_pci_host *host;
	struct bk_error err;

	for (unsigned which = 0; which < 2; which++) {
		unsigned *fails = which ? &commit_fails : &begin_fails;

		*fails = 1;
		assert_int_equal(bk_pci_function_create(domain, &desc, &function, &err), -ENOMEM);
		*fails = 1;
		assert_int_equal(bk_pci_host_create(&host_desc, &host, &err), -ENOMEM);
	}
	assert_int_equal(bk_domain_destroy(domain), 0); /* nothing was left in it */
}

static void no_memory(void *opaque, const char *line)
{
	assert_string_equal(line, "no BAR has an address: out of memory");
	++*(unsigned *)opaque;
}

/* What nobody could look at is not taken to be free. */
static void without_a_look_at_what_is_there_nothing_has_an_address(void **state)
{
	struct world *world = world_create(NULL);
	struct bk_pci_bar_state bar = { .struct_size = sizeof(bar) };
	struct part part;
	unsigned lines = 0, left_out = 99;

	part_create(world, &part, 1, (struct bk_pci_function_desc){ .bars = { MEM32_BAR(0x1000) } });
	part_attach(world, &part, 8);
	visit_fails = 1;
	assert_int_equal(bk_pci_host_assign(world->host, 0x1000, &left_out, no_memory, &lines), -ENOMEM);
	assert_int_equal(left_out, 0);
	assert_int_equal(lines, 1);
	assert_int_equal(bk_pci_function_bar(part.function, 0, &bar), 0);
	assert_false(bar.decodes);
	assert_int_equal(assign(world->host, 0x1000, no_memory, &lines), 0);
	assert_int_equal(bk_pci_function_bar(part.function, 0, &bar), 0);
	assert_memory(world, bar.address, WHO(1, 0));
	part_destroy(&part);
	world_destroy(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(map_is_kept_and_tried_again),
		cmocka_unit_test(a_bridge_is_destroyed_whole_or_not_at_all),
		cmocka_unit_test(a_host_that_is_not_destroyed_takes_nobody),
		cmocka_unit_test(windows_with_holes_are_tried_again),
		cmocka_unit_test(creation_fails_whole),
		cmocka_unit_test(without_a_look_at_what_is_there_nothing_has_an_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
