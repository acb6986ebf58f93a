/* SPDX-License-Identifier: BSD-2-Clause */
/* The end of a mediator: refused while somebody needs it, and then whole; safe while accesses are under way.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <cmocka.h>

#include "mediate/mediate.h"
#include "trap_kit.h"

static const struct bk_listener_ops nothing;

/* All of it still works. */
static void is_whole(struct fixture *f)
{
	static struct recorder r;
	struct bk_trap *trap;

	r = (struct recorder){ .bytes = { 0x44, 0x33, 0x22, 0x11 } };
	assert_false(f->fake.closed);
	assert_int_equal(rd(f, BK_DEVICE_CONFIG, 0, 4), 0x56781234);
	for (unsigned bar = 0; bar < 3; bar++)
		assert_int_equal(rd(f, bar, 0x100, 4), fake_pattern(0x100, 4));
	wr(f, 0, TABLE, 4, 0xfee00000);
	assert_int_equal(rd(f, 0, TABLE, 4), 0xfee00000);
	trap = add(f, &r, 1, 0x100, 4, 0);
	assert_int_equal(rd(f, 1, 0x100, 4), 0x11223344);
	bk_trap_remove(trap);
	assert_int_equal(rd(f, 1, 0x100, 4), fake_pattern(0x100, 4));
	bk_domain_synchronize(f->domain);
	assert_int_equal(r.released, 1);
}

static void a_mediator_that_somebody_listens_to_is_refused_and_whole(void **state)
{
	static const unsigned regions[] = { 0, 1, 5, BK_DEVICE_CONFIG };
	struct fixture *f = *state;

	for (unsigned i = 0; i < 4; i++) {
		struct bk_listener *listener;

		assert_int_equal(
			bk_listener_add(bk_mediator_space(f->mediate, regions[i]), &nothing, NULL, &listener),
			0);
		assert_int_equal(bk_mediator_destroy(f->mediate), -EBUSY);
		is_whole(f);
		bk_listener_remove(listener);
	}
}

static struct bk_pci_host *host_of(struct fixture *f, struct bk_space *memory)
{
	const struct bk_pci_host_desc desc = {
		.domain = f->domain,
		.windows = (const struct bk_pci_window[]){ { .kind = BK_PCI_WINDOW_MEMORY,
							     .space = memory,
							     .first = 0x80000000,
							     .last = 0xbfffffff,
							     .bus_first = 0x80000000 } },
		.window_count = 1,
	};
	struct bk_pci_host *host;

	assert_int_equal(bk_pci_host_create(&desc, &host, NULL), 0);
	return host;
}

static void a_mediator_on_a_bus_is_refused_and_whole(void **state)
{
	struct fixture *f = *state;
	struct bk_space *memory = bk_space_create(f->domain, "memory", UINT64_MAX);
	struct bk_pci_host *host = host_of(f, memory);
	struct bk_pci_function *function = bk_mediator_function(f->mediate);
	uint64_t value;

	assert_int_equal(bk_pci_function_attach(function, bk_pci_host_bus(host), 8), 0);
	assert_int_equal(bk_mediator_destroy(f->mediate), -EBUSY);
	is_whole(f);
	wr(f, BK_DEVICE_CONFIG, 0x14, 4, 0x80000000);
	wr(f, BK_DEVICE_CONFIG, 4, 2, 2);
	assert_int_equal(bk_mediator_destroy(f->mediate), -EBUSY);
	assert_int_equal(bk_space_read(memory, 0x80000100, 4, &value), 0);
	assert_int_equal(value, fake_pattern(0x100, 4));
	bk_pci_function_detach(function);
	is_whole(f);
	assert_int_equal(bk_pci_host_destroy(host), 0);
	assert_int_equal(bk_space_destroy(memory), 0);
}

static int close_in_handler(void *opaque, unsigned region, uint64_t offset, unsigned width, uint64_t *value)
{
	*value = (uint64_t)-bk_mediator_destroy(((struct fixture *)opaque)->mediate);
	return 0;
}

static void a_handler_does_not_close_what_it_is_in(void **state)
{
	static const struct bk_trap_ops ops = { .read = close_in_handler };
	struct fixture *f = *state;
	const struct bk_trap_desc desc = { .region = 2, .length = 4, .ops = &ops, .opaque = f };
	struct bk_trap *trap;

	assert_int_equal(bk_trap_add(f->mediate, &desc, &trap, NULL), 0);
	assert_int_equal(rd(f, 2, 0, 4), EDEADLK);
	is_whole(f);
}

/* A thread that is in a handler while the mediator is closed, and does there what handlers do. */
struct inside {
	struct fixture *f;
	struct bk_trap *trap;
	bool entered; /* atomic */
	uint64_t device, config;
	unsigned released;
};

static int stay(void *opaque, unsigned region, uint64_t offset, unsigned width, uint64_t *value)
{
	static const struct bk_trap_ops passing;
	const struct bk_trap_desc desc = { .region = 1, .offset = 0x40, .length = 4, .ops = &passing };
	struct inside *inside = opaque;
	struct bk_mediator *m = inside->f->mediate;
	struct bk_trap *trap;
	int r;

	__atomic_store_n(&inside->entered, true, __ATOMIC_RELEASE);
	/* Until the end has begun. */
	while (!(r = bk_trap_add(m, &desc, &trap, NULL)))
		bk_trap_remove(trap);
	assert_int_equal(r, -ESHUTDOWN);
	bk_trap_remove(inside->trap);
	bk_mediator_below_read(m, 1, 0x100, 4, &inside->device);
	bk_space_read(bk_mediator_space(m, BK_DEVICE_CONFIG), 0, 4, &inside->config);
	*value = 1;
	return 0;
}

static void note_released(void *opaque)
{
	((struct inside *)opaque)->released++;
}

static void *enter(void *opaque)
{
	struct inside *inside = opaque;

	rd(inside->f, 2, 0x80, 4);
	return NULL;
}

static void F43_a_handler_that_is_inside_while_it_is_closed_goes_on(void **state)
{
	static const struct bk_trap_ops ops = { .read = stay, .released = note_released };
	struct fixture *f = *state;
	struct inside inside = { .f = f };
	const struct bk_trap_desc desc = {
		.region = 2, .offset = 0x80, .length = 4, .ops = &ops, .opaque = &inside
	};
	pthread_t thread;

	assert_int_equal(bk_trap_add(f->mediate, &desc, &inside.trap, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, enter, &inside), 0);
	while (!__atomic_load_n(&inside.entered, __ATOMIC_ACQUIRE))
		;
	assert_int_equal(bk_mediator_destroy(f->mediate), 0);
	f->mediate = NULL;
	pthread_join(thread, NULL);
	assert_int_equal(inside.device, fake_pattern(0x100, 4));
	assert_int_equal(inside.config, 0x56781234);
	assert_int_equal(inside.released, 1);
}

/* ---- Pages ------------------------------------------------------------- */

static void a_page_of_which_the_traps_are_gone_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	const struct bk__mediate_region *region = &f->mediate->regions[1];
	static struct recorder r;

	for (unsigned page = 0; page < 0x400; page++) {
		struct bk_trap *one = add(f, &r, 1, page * 0x1000ull + 8, 4, 0);
		struct bk_trap *other = add(f, &r, 1, page * 0x1000ull + 0x10, 4, 0);

		assert_int_equal(region->pages.count, 1);
		bk_trap_remove(one);
		assert_int_equal(region->pages.count, 1);
		bk_trap_remove(other);
		assert_int_equal(region->pages.count, 0);
	}
	for (unsigned i = 0; i < region->bucket_count; i++)
		assert_null(region->buckets[i]);
}

/* An access that touches no trap reaches the device whole, whatever traps are in its pages. */
static void F28_an_access_over_the_edge_of_a_page_is_not_cut_for_a_trap_elsewhere(void **state)
{
	struct fixture *f = *state;
	static struct recorder r;

	add(f, &r, 1, 0x2ff0, 4, 0);
	add(f, &r, 1, 0x1000, 4, 0);
	f->fake.accesses = 0;
	assert_int_equal(rd(f, 1, 0x1ffc, 8), fake_pattern(0x1ffc, 8));
	wr(f, 1, 0x1fff, 2, 0x1234);
	assert_int_equal(rd(f, 1, 0x2ffc, 8), fake_pattern(0x2ffc, 8));
	assert_int_equal(f->fake.accesses, 3);
	assert_int_equal(f->fake.access[0].count, 8);
	assert_int_equal(f->fake.access[1].count, 2);
	assert_int_equal(f->fake.access[2].count, 8);
}

struct in_pages {
	uint64_t reads[4]; /* of the first pages of bar1 */
};

static void note_page(void *opaque, const struct bk_trap_stats *stats)
{
	struct in_pages *pages = opaque;

	if (stats->region == 1)
		pages->reads[stats->offset / 0x1000] = stats->reads;
}

/* It costs both of them. */
static void an_access_over_the_edge_of_a_page_counts_in_both(void **state)
{
	struct fixture *f = *state;
	struct in_pages pages = { { 0 } };
	static struct recorder r;

	add(f, &r, 1, 0x1800, 4, 0);
	add(f, &r, 1, 0x2800, 4, 0);
	rd(f, 1, 0x1ffc, 8);
	rd(f, 1, 0x2ffc, 8); /* of which the second has no trap */
	rd(f, 1, 0x0ffc, 8); /* of which the first has none */
	bk_mediator_page_stats(f->mediate, note_page, &pages);
	assert_int_equal(pages.reads[0], 0);
	assert_int_equal(pages.reads[1], 2);
	assert_int_equal(pages.reads[2], 2);
	assert_int_equal(pages.reads[3], 0);
}

/* Pages of one chain: as many chains as a region has pages, at most so many. */
static void pages_that_share_a_chain_are_told_apart(void **state)
{
	struct fixture *f = *state;
	static struct recorder r;
	struct bk_trap *traps[3];
	struct bk__mediate_region *region = &f->mediate->regions[1];

	traps[0] = add(f, &r, 1, 0x1008, 4, 0);
	bk_trap_remove(traps[0]);
	region->bucket_count = 1; /* all of them lead to one chain from here on */
	for (unsigned i = 0; i < 3; i++)
		traps[i] = add(f, &r, 1, 0x1008 + 0x1000 * i, 4, 0);
	for (unsigned i = 0; i < 3; i++)
		for (unsigned n = 0; n <= i; n++)
			rd(f, 1, 0x1100 + 0x1000 * i, 4);
	bk_trap_remove(traps[1]); /* from the middle */
	rd(f, 1, 0x2100, 4);
	rd(f, 1, 0x1100, 4);
	{
		struct in_pages pages = { { 0 } };

		bk_mediator_page_stats(f->mediate, note_page, &pages);
		assert_int_equal(pages.reads[1], 2);
		assert_int_equal(pages.reads[2], 0);
		assert_int_equal(pages.reads[3], 3);
	}
}

int main(void)
{
#define WITH_DEVICE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_DEVICE(a_mediator_that_somebody_listens_to_is_refused_and_whole),
		WITH_DEVICE(a_mediator_on_a_bus_is_refused_and_whole),
		WITH_DEVICE(a_handler_does_not_close_what_it_is_in),
		WITH_DEVICE(F43_a_handler_that_is_inside_while_it_is_closed_goes_on),
		WITH_DEVICE(a_page_of_which_the_traps_are_gone_leaves_nothing),
		WITH_DEVICE(F28_an_access_over_the_edge_of_a_page_is_not_cut_for_a_trap_elsewhere),
		WITH_DEVICE(an_access_over_the_edge_of_a_page_counts_in_both),
		WITH_DEVICE(pages_that_share_a_chain_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
