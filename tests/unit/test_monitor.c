/* SPDX-License-Identifier: BSD-2-Clause */
/* Parts of the monitor that need no KVM: pages, routes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/arch.h"
#include "monitor/gsi.h"
#include "monitor/pages.h"

/* ---- Pages ------------------------------------------------------------- */

static struct bk__monitor_pages fit(uint64_t first, uint64_t last, uint64_t offset, uint64_t host)
{
	const struct bk_memory memory = { .host = (void *)(uintptr_t)host, .fd = -1 };
	const struct bk_flat flat = { .first = first, .last = last, .offset = offset, .memory = &memory };

	return bk__monitor_pages_fit(&flat);
}

static void whole_pages_fit(void **state)
{
	const struct bk__monitor_pages pages = fit(0x10000, 0x13fff, 0x1000, 0x700000);

	assert_int_equal(pages.gpa, 0x10000);
	assert_int_equal(pages.size, 0x4000);
	assert_int_equal(pages.host, 0x701000);
	assert_int_equal(pages.skip, 0x1000);
	assert_int_equal(pages.left_out, 0);
}

static void edges_are_rounded_inward(void **state)
{
	const struct bk__monitor_pages pages = fit(0x10f00, 0x130ff, 0xf00, 0x700000);

	assert_int_equal(pages.gpa, 0x11000);
	assert_int_equal(pages.size, 0x2000);
	assert_int_equal(pages.host, 0x701000);
	assert_int_equal(pages.skip, 0x1000);
	assert_int_equal(pages.left_out, 2);
}

static void pages_that_do_not_line_up_are_left_out(void **state)
{
	struct bk__monitor_pages pages = fit(0x10000, 0x13fff, 0x800, 0x700000);

	assert_int_equal(pages.size, 0);
	assert_int_equal(pages.left_out, 4);
	pages = fit(0x10800, 0x10fff, 0x800, 0x700000); /* part of one page */
	assert_int_equal(pages.size, 0);
	assert_int_equal(pages.left_out, 1);
	pages = fit(0x10001, 0x10001, 1, 0x700000);
	assert_int_equal(pages.size, 0);
	assert_int_equal(pages.left_out, 1);
}

static void a_range_may_end_at_the_top(void **state)
{
	struct bk__monitor_pages pages = fit(UINT64_MAX - 0x1fff, UINT64_MAX, 0, 0x700000);

	assert_int_equal(pages.gpa, UINT64_MAX - 0x1fff);
	assert_int_equal(pages.size, 0x2000);
	assert_int_equal(pages.left_out, 0);
	pages = fit(UINT64_MAX - 0xff, UINT64_MAX, 0, 0x700f00);
	assert_int_equal(pages.size, 0);
	assert_int_equal(pages.left_out, 1);
}

/* ---- Routes ------------------------------------------------------------ */

static void routes_hold_messages_until_given_back(void **state)
{
	const struct bk_pci_message message = { .address = UINT64_C(0x1fee01000), .data = 0x4021 };
	const unsigned fixed = bk__monitor_arch.fixed_routes;
	struct bk__monitor_routes routes;
	struct kvm_irq_routing *table;

	bk__monitor_routes_init(&routes, 4096);
	for (int i = 0; i < 40; i++)
		assert_int_equal(bk__monitor_routes_take(&routes), (int)bk__monitor_arch.pins + i);
	routes.messages.at[7].routed = true;
	routes.messages.at[7].message = message;
	table = bk__monitor_routes_table(&routes);
	assert_int_equal(table->nr, fixed + 1); /* without a message there is no entry */
	assert_int_equal(table->entries[fixed].gsi, (int)bk__monitor_arch.pins + 7);
	assert_int_equal(table->entries[fixed].type, KVM_IRQ_ROUTING_MSI);
	assert_int_equal(table->entries[fixed].u.msi.address_lo, 0xfee01000);
	assert_int_equal(table->entries[fixed].u.msi.address_hi, 1);
	assert_int_equal(table->entries[fixed].u.msi.data, 0x4021);
	free(table);

	bk__monitor_routes_give(&routes, (int)bk__monitor_arch.pins + 7);
	table = bk__monitor_routes_table(&routes);
	assert_int_equal(table->nr, fixed);
	free(table);
	assert_int_equal(bk__monitor_routes_take(&routes), (int)bk__monitor_arch.pins + 7);
	assert_int_equal(bk__monitor_routes_take(&routes), (int)bk__monitor_arch.pins + 40);
	bk__monitor_routes_done(&routes);
}

static void routes_end_at_the_limit(void **state)
{
	struct bk__monitor_routes routes;

	bk__monitor_routes_init(&routes, bk__monitor_arch.fixed_routes + 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(bk__monitor_routes_take(&routes), (int)bk__monitor_arch.pins + i);
	assert_int_equal(bk__monitor_routes_take(&routes), -ENOSPC);
	bk__monitor_routes_give(&routes, (int)bk__monitor_arch.pins + 1);
	assert_int_equal(bk__monitor_routes_take(&routes), (int)bk__monitor_arch.pins + 1);
	bk__monitor_routes_done(&routes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_pages_fit),
		cmocka_unit_test(edges_are_rounded_inward),
		cmocka_unit_test(pages_that_do_not_line_up_are_left_out),
		cmocka_unit_test(a_range_may_end_at_the_top),
		cmocka_unit_test(routes_hold_messages_until_given_back),
		cmocka_unit_test(routes_end_at_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
