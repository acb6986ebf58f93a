/* SPDX-License-Identifier: BSD-2-Clause */
/* RAM and the 64-bit window keep to what the CPU and the host's IOMMU allow, on hosts that are made up. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "monitor/layout.h"

#define GIB UINT64_C(0x40000000)
#define TIB UINT64_C(0x10000000000)

#define LOW_END UINT64_C(0xc0000000) /* of RAM below 4 GiB, as on x86 */

/* What an AMD host allows. */
static const struct bk_device_iova_range amd[] = { { 0, 0xfedfffff },
						   { 0xfef00000, 0xfcffffffff },
						   { TIB, UINT64_MAX } };

static struct bk__monitor_ram ram_of(uint64_t size)
{
	struct bk__monitor_ram ram = { .size = size };

	bk__monitor_layout_low(&ram, 0, LOW_END);
	return ram;
}

static int try_plan(uint64_t size, unsigned bits, const struct bk_device_iova_range *ranges, unsigned count,
		    struct bk__monitor_layout *layout, struct bk_error *err)
{
	const struct bk__monitor_ram ram = ram_of(size);

	return bk__monitor_layout_plan(&ram, bits, BK__RAM_HIGH, ranges, count, layout, err);
}

static struct bk__monitor_layout plan(uint64_t size, unsigned bits, const struct bk_device_iova_range *ranges,
				      unsigned count)
{
	struct bk__monitor_layout layout;
	struct bk_error err;

	assert_int_equal(try_plan(size, bits, ranges, count, &layout, &err), 0);
	return layout;
}

static void the_64_bit_window_is_above_ram(void **state)
{
	struct bk__monitor_layout layout = plan(GIB, 40, NULL, 0);

	(void)state;
	assert_int_equal(ram_of(GIB).low_size, GIB);
	assert_int_equal(layout.high, BK__RAM_HIGH);
	assert_int_equal(layout.mmio64.first, UINT64_C(1) << 36);
	assert_int_equal(layout.mmio64.last, (UINT64_C(1) << 40) - 1);
	layout = plan(64 * GIB, 40, NULL, 0); /* ends at 65 GiB */
	assert_int_equal(ram_of(64 * GIB).low_size, 3 * GIB);
	assert_int_equal(layout.mmio64.first, UINT64_C(2) << 36);
	layout = plan(GIB, 52, NULL, 0);
	assert_int_equal(layout.mmio64.last, (UINT64_C(1) << 48) - 1);
	layout = plan(GIB, 36, NULL, 0);
	assert_true(layout.mmio64.first > layout.mmio64.last);
}

static void small_ram_stays_where_it_is_on_amd(void **state)
{
	struct bk__monitor_layout layout = plan(64 * GIB, 48, amd, 3);

	(void)state;
	assert_int_equal(layout.high, BK__RAM_HIGH);
	/* The window is the largest piece. */
	assert_int_equal(layout.mmio64.first, TIB);
	assert_int_equal(layout.mmio64.last, (UINT64_C(1) << 48) - 1);
	layout = plan(64 * GIB, 40, amd, 3);
	assert_int_equal(layout.mmio64.first, UINT64_C(2) << 36);
	assert_int_equal(layout.mmio64.last, 0xfcffffffff);
}

/* The most that fits below what AMD reserves, and one page more. */
static void large_ram_is_moved_above_what_amd_reserves(void **state)
{
	const uint64_t most = 0xfd00000000 - BK__RAM_HIGH + LOW_END;
	struct bk__monitor_layout layout = plan(most, 48, amd, 3);

	(void)state;
	assert_int_equal(layout.high, BK__RAM_HIGH);
	layout = plan(most + 0x200000, 48, amd, 3);
	assert_int_equal(layout.high, TIB);
	assert_true(layout.mmio64.first >= 2 * TIB - BK__RAM_HIGH);
	assert_int_equal(layout.mmio64.last, (UINT64_C(1) << 48) - 1);
}

static void ram_that_fits_nowhere_has_a_line(void **state)
{
	struct bk__monitor_layout layout;
	struct bk_error err;

	(void)state;
	assert_int_equal(try_plan(TIB, 39, NULL, 0, &layout, &err), -EINVAL);
	assert_non_null(
		strstr(err.text, "1048576 MiB do not fit into the 39 bits of this CPU's addresses; give"));
	assert_int_equal(try_plan(TIB - 4 * GIB, 40, amd, 3, &layout, &err), -EINVAL);
	assert_non_null(strstr(err.text, "between what the host's IOMMU reserves"));
	assert_int_equal(try_plan(TIB - 4 * GIB, 40, NULL, 0, &layout, &err), 0);
	assert_int_equal(try_plan(TIB - 4 * GIB, 41, amd, 3, &layout, &err), 0);
}

static void ram_is_found_where_it_was_moved(void **state)
{
	const struct bk__monitor_ram ram = {
		.host = (void *)0x1000, .size = 5 * GIB, .low_size = 3 * GIB, .high = TIB
	};

	(void)state;
	assert_ptr_equal(bk__monitor_ram_at(&ram, TIB, 1), (uint8_t *)0x1000 + 3 * GIB);
	assert_ptr_equal(bk__monitor_ram_at(&ram, TIB + 2 * GIB - 8, 8), (uint8_t *)0x1000 + 5 * GIB - 8);
	assert_null(bk__monitor_ram_at(&ram, TIB + 2 * GIB - 8, 9));
	assert_null(bk__monitor_ram_at(&ram, BK__RAM_HIGH, 1));
	assert_null(bk__monitor_ram_at(&ram, TIB - 1, 2));
	assert_null(bk__monitor_ram_at(&ram, 3 * GIB - 1, 2));
}

/* RAM that starts above 0, and has room for all of it there or not. */
static void the_first_piece_may_start_anywhere(void **state)
{
	struct bk__monitor_ram ram = { .host = (void *)0x1000, .size = 2 * GIB };
	struct bk__monitor_layout layout;
	struct bk_error err;

	(void)state;
	bk__monitor_layout_low(&ram, GIB, 3 * GIB / 2);
	assert_int_equal(ram.low_size, GIB / 2);
	assert_int_equal(bk__monitor_layout_plan(&ram, 40, BK__RAM_HIGH, NULL, 0, &layout, &err), 0);
	ram.high = layout.high;
	assert_null(bk__monitor_ram_at(&ram, GIB - 1, 1));
	assert_null(bk__monitor_ram_at(&ram, 0, 1));
	assert_ptr_equal(bk__monitor_ram_at(&ram, GIB, GIB / 2), (uint8_t *)0x1000);
	assert_null(bk__monitor_ram_at(&ram, GIB, GIB / 2 + 1));
	assert_ptr_equal(bk__monitor_ram_at(&ram, 4 * GIB, 1), (uint8_t *)0x1000 + GIB / 2);

	/* In one piece it goes on above 4 GiB; the window keeps off it. */
	ram.size = 255 * GIB;
	bk__monitor_layout_low(&ram, GIB, UINT64_MAX);
	assert_int_equal(ram.low_size, 255 * GIB);
	assert_int_equal(bk__monitor_layout_plan(&ram, 40, BK__RAM_HIGH, NULL, 0, &layout, &err), 0);
	assert_int_equal(layout.mmio64.first, 256 * GIB);
	assert_ptr_equal(bk__monitor_ram_at(&ram, 256 * GIB - 1, 1), (uint8_t *)0x1000 + 255 * GIB - 1);
	assert_null(bk__monitor_ram_at(&ram, 256 * GIB, 1));
	/* There may be a better place for it, where the CPU's addresses reach so far. */
	assert_int_equal(bk__monitor_layout_plan(&ram, 40, TIB / 2, NULL, 0, &layout, &err), 0);
	assert_int_equal(layout.mmio64.first, TIB / 2);
	assert_int_equal(bk__monitor_layout_plan(&ram, 39, TIB / 2, NULL, 0, &layout, &err), 0);
	assert_int_equal(layout.mmio64.first, 256 * GIB);
	assert_int_equal(bk__monitor_layout_plan(&ram, 37, BK__RAM_HIGH, NULL, 0, &layout, &err), -EINVAL);
}

static bool allowed(const struct bk_device_iova_range *ranges, unsigned count, uint64_t first, uint64_t last)
{
	for (unsigned i = 0; i < count; i++)
		if (first >= ranges[i].first && last <= ranges[i].last)
			return true;
	return false;
}

/* Whatever the host reserves and the guest has: what is planned is allowed, and apart. */
static void random_hosts(void **state)
{
	unsigned planned = 0, refused = 0;

	(void)state;
	srandom(1);
	for (unsigned round = 0; round < 20000; round++) {
		struct bk_device_iova_range ranges[6] = { { 0, 0xfedfffff } };
		const unsigned bits = 36 + (unsigned)random() % 17;
		const uint64_t size = ((uint64_t)random() % (1u << random() % 21) + 1) << 24;
		struct bk__monitor_layout layout;
		struct bk_error err;
		uint64_t at = 0xfef00000, high, first;
		unsigned count = 1;

		for (; count < 1 + (unsigned)random() % 6; count++) {
			ranges[count].first = at;
			at += (uint64_t)random() << random() % 16;
			ranges[count].last = at;
			at += 1 + ((uint64_t)random() << random() % 10);
		}
		if (try_plan(size, bits, ranges, count, &layout, &err)) {
			refused++;
			continue;
		}
		planned++;
		high = size - ram_of(size).low_size;
		first = layout.high;
		if (high) {
			assert_true(allowed(ranges, count, first, first + high - 1));
			assert_true(first + high <= UINT64_C(1) << bits);
		}
		if (layout.mmio64.first > layout.mmio64.last)
			continue;
		assert_true(allowed(ranges, count, layout.mmio64.first, layout.mmio64.last));
		assert_true(layout.mmio64.last < UINT64_C(1) << bits);
		assert_true(layout.mmio64.first >= BK__RAM_HIGH);
		assert_true(!high || layout.mmio64.first >= first + high || layout.mmio64.last < first);
	}
	assert_true(planned > 1000 && refused > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_64_bit_window_is_above_ram),
		cmocka_unit_test(small_ram_stays_where_it_is_on_amd),
		cmocka_unit_test(large_ram_is_moved_above_what_amd_reserves),
		cmocka_unit_test(ram_that_fits_nowhere_has_a_line),
		cmocka_unit_test(ram_is_found_where_it_was_moved),
		cmocka_unit_test(the_first_piece_may_start_anywhere),
		cmocka_unit_test(random_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
