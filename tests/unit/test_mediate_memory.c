/* SPDX-License-Identifier: BSD-2-Clause */
/* A mediated device with each allocation and each mapping failing in turn: an error with a line, and nothing
 * left over; or, for a mapping, exits instead of it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include <barkeep/mediate.h>

#include "failing.h"
#include "fake_device.h"

int __real_posix_memalign(void **memory, size_t alignment, size_t size);
void *__real_mmap64(void *address, size_t size, int protection, int flags, int fd, off_t offset);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t size);
void *__wrap_mmap64(void *address, size_t size, int protection, int flags, int fd, off_t offset);

static unsigned until_failure; /* 0: none */
static bool failed, mapping_failed;

static bool fails(void)
{
	if (!until_failure || --until_failure)
		return false;
	failed = true;
	return true;
}

int __wrap_posix_memalign(void **memory, size_t alignment, size_t size)
{
	return fails() ? ENOMEM : __real_posix_memalign(memory, alignment, size);
}

/* The name of mmap where off_t is asked to have 64 bits, which all of the build does. */
void *__wrap_mmap64(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	if (!fails())
		return __real_mmap64(address, size, protection, flags, fd, offset);
	mapping_failed = true;
	errno = ENOMEM;
	return MAP_FAILED;
}

static void quiet(void *opaque, enum bk_log_level level, const char *line)
{
}

static void describe(struct fake *fake)
{
	fake_init(fake);
	fake_bar(fake, 0, 0, 0x10000, true);
	fake->areas[0].count = 2;
	fake->areas[0].at[0].size = 0x4000;
	fake->areas[0].at[1] = (struct bk_device_area){ 0x8000, 0x8000 };
	fake->regions[BK_DEVICE_ROM].size = 0x1000;
	fake->regions[BK_DEVICE_VGA].size = 0xc0000;
	fake_put(fake, 0x09, 3, 0x030000);
	fake_put(fake, 0x34, 1, 0x50);
	fake_put(fake, 0x50, 4, 0x00886005); /* MSI */
	fake_put(fake, 0x60, 4, 0x00107009); /* vendor specific */
	fake_msix(fake, 0x70, 0x90, 8, 0x2000, 0x3000);
	fake_put(fake, 0x90, 4, 0x0002c010); /* PCI Express */
	fake_put(fake, 0x91, 1, 0xd0);
	fake_put(fake, 0xd0, 4, 0x00000003); /* vital product data */
	fake_put(fake, 0x100, 4, 0x00010003);
}

static uint64_t bar0(struct bk_mediator *mediate, uint64_t offset)
{
	uint64_t value;

	bk_space_read(bk_mediator_space(mediate, 0), offset, 4, &value);
	return value;
}

static void count_pages(void *opaque, const struct bk_trap_stats *stats)
{
	++*(unsigned *)opaque;
}

static int zero_read(void *opaque, unsigned region, uint64_t offset, unsigned width, uint64_t *value)
{
	*value = 0;
	return 0;
}

/* Puts another trap, over the edge of two other pages, in its place. */
static int replace(struct bk_mediator *mediate, struct bk_trap **trap)
{
	static const struct bk_trap_ops ops = { .read = zero_read };
	struct bk_trap_desc desc = { .offset = 0x8ffc, .length = 8, .ops = &ops };
	struct bk_trap *next;
	struct bk_error err = { "" };
	unsigned before = 0, after = 0;
	int r;

	bk_mediator_page_stats(mediate, count_pages, &before);
	r = bk_trap_replace(*trap, &desc, &next, &err);
	bk_mediator_page_stats(mediate, count_pages, &after);
	if (r) {
		assert_int_equal(r, -ENOMEM);
		assert_null(next);
		assert_int_not_equal(err.text[0], 0);
		assert_int_equal(bar0(mediate, 0x40), 0x1234);
		assert_int_equal(bar0(mediate, 0x8ffc), fake_pattern(0x8ffc, 4));
		assert_int_equal(after, before);
		return r;
	}
	assert_int_equal(bar0(mediate, 0x40), fake_pattern(0x40, 4));
	assert_int_equal(bar0(mediate, 0x9000), 0);
	if (!mapping_failed) /* what is not mapped exits anyway, and has no page that is counted */
		assert_int_equal(after, before + 1);
	*trap = next;
	return 0;
}

/* Adds a trap, replaces it and takes it away. False if an allocation failed. */
static bool trap(struct bk_mediator *mediate)
{
	unsigned before = 0, after = 0;
	struct bk_trap_desc spec = {
		.offset = 0x40, .length = 4, .verb = BK_TRAP_CONSTANT, .value = 0x1234, .width = 4
	};
	struct bk_error err = { "" };
	struct bk_trap *trap;
	bool replaced, failed_before, waits;
	int r;

	bk_mediator_page_stats(mediate, count_pages, &before);
	r = bk_trap_add(mediate, &spec, &trap, &err);
	if (r) {
		assert_int_equal(r, -ENOMEM);
		assert_null(trap);
		assert_non_null(strstr(err.text, "const"));
		assert_int_equal(bar0(mediate, 0x40), fake_pattern(0x40, 4));
		return false;
	}
	assert_int_equal(bar0(mediate, 0x40), 0x1234);
	replaced = !replace(mediate, &trap);
	failed_before = failed;
	bk_trap_remove(trap); /* cannot fail: only its pages may wait for the next change */
	waits = failed && !failed_before;
	assert_int_equal(bar0(mediate, 0x40), fake_pattern(0x40, 4));
	assert_int_equal(bar0(mediate, 0x9000), fake_pattern(0x9000, 4));
	bk_mediator_page_stats(mediate, count_pages, &after);
	assert_int_equal(after, before + (waits ? replaced ? 2 : 1 : 0));
	if (waits) {
		assert_int_equal(bk_trap_add(mediate, &spec, &trap, &err), 0);
		bk_trap_remove(trap);
		after = 0;
		bk_mediator_page_stats(mediate, count_pages, &after);
		assert_int_equal(after, before);
	}
	return replaced && !waits;
}

static void each_allocation_fails_with(const struct bk_mediator_options *options)
{
	bool whole = false;

	bk_log_set(quiet, NULL);
	for (unsigned n = 1; !whole; n++) {
		struct bk_domain *domain = bk_domain_create();
		struct bk_mediator *mediate = NULL;
		struct bk_error err = { "" };
		struct fake fake;
		int r;

		describe(&fake);
		assert_in_range(n, 1, 5000);
		failed = mapping_failed = false;
		until_failure = n;
		r = bk_mediator_create(domain, &fake.device, options, &mediate, &err);
		if (r) {
			until_failure = 0;
			assert_true(failed && !mapping_failed);
			assert_int_equal(r, -ENOMEM);
			assert_null(mediate);
			if (!err.text[0])
				fail_msg("allocation %u fails without a line", n);
		} else {
			whole = trap(mediate) && !failed;
			until_failure = 0;
			assert_int_equal(bar0(mediate, 0x9000), fake_pattern(0x9000, 4));
			bk_mediator_destroy(mediate);
		}
		assert_true(fake.closed);
		assert_int_equal(bk_domain_destroy(domain), 0);
		fake_done(&fake);
		assert_true(whole || failed);
	}
	bk_log_set(NULL, NULL);
}

static void each_allocation_may_fail(void **state)
{
	each_allocation_fails_with(NULL);
}

static void each_allocation_may_fail_with_vga_and_a_moved_table(void **state)
{
	each_allocation_fails_with(
		&(struct bk_mediator_options){ .vga = true, .msix_move = true, .msix_bar = 2 });
}

static void each_allocation_may_fail_in_filter_mode(void **state)
{
	each_allocation_fails_with(&(struct bk_mediator_options){ .filter = true });
}

static void each_allocation_may_fail_in_filter_mode_with_a_given_rom(void **state)
{
	static const uint8_t image[3000] = { 0x55, 0xaa };

	each_allocation_fails_with(&(struct bk_mediator_options){
		.filter = true, .rom_image = image, .rom_size = sizeof(image) });
}

/* However little there is, closing works. */
static void closing_needs_no_memory(void **state)
{
	bool reached = true;

	bk_log_set(quiet, NULL);
	for (unsigned n = 1; reached; n++) {
		struct bk_domain *domain = bk_domain_create();
		struct bk_mediator *mediate = NULL;
		struct fake fake;

		describe(&fake);
		assert_int_equal(bk_mediator_create(domain, &fake.device, NULL, &mediate, NULL), 0);
		failed = false;
		until_failure = n;
		bk_mediator_destroy(mediate);
		until_failure = 0;
		reached = failed;
		assert_true(fake.closed);
		assert_int_equal(bk_domain_destroy(domain), 0);
		fake_done(&fake);
	}
	bk_log_set(NULL, NULL);
}

/* A trap that went without memory passes all on until there is some, and nothing is added before. */
static void a_trap_that_went_without_memory_is_taken_away_before_all_else(void **state)
{
	const struct bk_trap_desc spec = {
		.offset = 0x1040, .length = 4, .verb = BK_TRAP_CONSTANT, .value = 0x1234, .width = 4
	};
	bool reached = true;

	bk_log_set(quiet, NULL);
	for (unsigned n = 1; reached; n++) {
		struct bk_domain *domain = bk_domain_create();
		struct bk_mediator *mediate;
		struct bk_trap *trap;
		struct fake fake;
		unsigned pages = 0;
		int r;

		describe(&fake);
		assert_int_equal(bk_mediator_create(domain, &fake.device, NULL, &mediate, NULL), 0);
		assert_int_equal(bk_trap_add(mediate, &spec, &trap, NULL), 0);
		failed = false;
		until_failure = 1;
		bk_trap_remove(trap);
		assert_true(failed);
		assert_int_equal(bar0(mediate, 0x1040), fake_pattern(0x1040, 4));
		failed = false;
		until_failure = n;
		r = bk_trap_add(mediate, &spec, &trap, NULL);
		until_failure = 0;
		reached = failed;
		assert_int_equal(r, failed ? -ENOMEM : 0);
		assert_int_equal(bar0(mediate, 0x1040), r ? fake_pattern(0x1040, 4) : 0x1234);
		if (r) { /* and one that goes then waits, too, or takes it along */
			struct bk_trap *other;

			assert_int_equal(bk_trap_add(mediate, &spec, &trap, NULL), 0);
			until_failure = 1;
			bk_trap_remove(trap);
			until_failure = 0;
			assert_int_equal(bk_trap_add(mediate, &spec, &other, NULL), 0);
			until_failure = 1;
			bk_trap_remove(other);
			until_failure = 0;
			assert_int_equal(bk_trap_add(mediate, &spec, &trap, NULL), 0);
		}
		bk_trap_remove(trap);
		bk_mediator_page_stats(mediate, count_pages, &pages);
		assert_int_equal(pages, 2); /* those of the MSI-X table and PBA */
		assert_int_equal(bk_mediator_destroy(mediate), 0);
		assert_int_equal(bk_domain_destroy(domain), 0);
		fake_done(&fake);
	}
	bk_log_set(NULL, NULL);
}

/* The second waits behind the first. */
static void two_traps_that_went_without_memory_are_both_taken_away(void **state)
{
	struct bk_domain *domain = bk_domain_create();
	struct bk_mediator *mediate;
	struct bk_trap *traps[2], *later;
	struct fake fake;
	unsigned pages = 0;
	struct bk_trap_desc spec = { .length = 4, .verb = BK_TRAP_CONSTANT, .value = 0x1234, .width = 4 };

	bk_log_set(quiet, NULL);
	describe(&fake);
	assert_int_equal(bk_mediator_create(domain, &fake.device, NULL, &mediate, NULL), 0);
	for (unsigned i = 0; i < 2; i++) {
		spec.offset = 0x1040 + 0x8000 * i;
		assert_int_equal(bk_trap_add(mediate, &spec, &traps[i], NULL), 0);
	}
	for (unsigned i = 0; i < 2; i++) {
		failed = false;
		until_failure = 1;
		bk_trap_remove(traps[i]);
		until_failure = 0;
		assert_true(failed);
		assert_int_equal(bar0(mediate, 0x1040 + 0x8000 * i), fake_pattern(0x1040 + 0x8000 * i, 4));
	}
	bk_mediator_page_stats(mediate, count_pages, &pages);
	assert_int_equal(pages, 4); /* theirs, and those of the MSI-X table and PBA */
	assert_int_equal(bk_trap_add(mediate, &spec, &later, NULL), 0);
	bk_trap_remove(later);
	pages = 0;
	bk_mediator_page_stats(mediate, count_pages, &pages);
	assert_int_equal(pages, 2);
	assert_int_equal(bk_mediator_destroy(mediate), 0);
	assert_int_equal(bk_domain_destroy(domain), 0);
	fake_done(&fake);
	bk_log_set(NULL, NULL);
}

/* What of the device below has traps when another mediator is put over it: as many holes as there are pages.
 */
static void a_mediator_over_traps_is_whole_or_not_there(void **state)
{
	bool reached = true;

	bk_log_set(quiet, NULL);
	for (unsigned n = 1; reached; n++) {
		struct bk_domain *domain = bk_domain_create();
		struct bk_mediator *lower, *upper = NULL;
		struct bk_error err = { "" };
		struct fake fake;
		int r;

		describe(&fake);
		assert_int_equal(bk_mediator_create(domain, &fake.device, NULL, &lower, NULL), 0);
		for (unsigned i = 0; i < 2; i++) {
			const struct bk_trap_desc spec = { .offset = 0x1040 + 0x8000 * i,
							   .length = 4,
							   .verb = BK_TRAP_CONSTANT,
							   .value = 0x1234,
							   .width = 4 };
			struct bk_trap *trap;

			assert_int_equal(bk_trap_add(lower, &spec, &trap, NULL), 0);
		}
		failed = mapping_failed = false;
		until_failure = n;
		r = bk_mediator_create(domain, bk_mediator_device(lower), NULL, &upper, &err);
		until_failure = 0;
		reached = failed;
		if (r) {
			assert_int_equal(r, -ENOMEM);
			assert_int_not_equal(err.text[0], 0);
		} else {
			assert_true(!failed || mapping_failed);
			assert_int_equal(bar0(upper, 0x1040), 0x1234);
			assert_int_equal(bar0(upper, 0x9040), 0x1234);
			assert_int_equal(bk_mediator_destroy(upper), 0);
		}
		assert_true(fake.closed);
		assert_int_equal(bk_domain_destroy(domain), 0);
		fake_done(&fake);
	}
	bk_log_set(NULL, NULL);
}

static bool is_mapped(void *opaque, const struct bk_flat *flat)
{
	*(bool *)opaque |= flat->memory && flat->first <= 0x1000 && flat->last >= 0x1fff;
	return true;
}

/* Without memory a trap below another mediator is refused, or nobody passes it by. */
static void a_trap_below_is_refused_or_not_passed_by(void **state)
{
	const struct bk_trap_desc spec = {
		.offset = 0x1040, .length = 4, .verb = BK_TRAP_CONSTANT, .value = 0x1234, .width = 4
	};
	struct bk_trap_desc other = spec;
	bool reached = true;

	bk_log_set(quiet, NULL);
	for (unsigned n = 1; reached; n++) {
		struct bk_domain *domain = bk_domain_create();
		struct bk_mediator *lower, *upper;
		struct bk_trap *trap, *again, *others[2];
		struct fake fake;
		bool mapped = false;
		int r;

		describe(&fake);
		assert_int_equal(bk_mediator_create(domain, &fake.device, NULL, &lower, NULL), 0);
		assert_int_equal(bk_mediator_create(domain, bk_mediator_device(lower), NULL, &upper, NULL),
				 0);
		for (unsigned i = 0; i < 2; i++) {
			other.offset = 0x9040 + 0x3000 * i;
			assert_int_equal(bk_trap_add(lower, &other, &others[i], NULL), 0);
		}
		failed = false;
		until_failure = n;
		r = bk_trap_add(lower, &spec, &trap, NULL);
		until_failure = 0;
		reached = failed;
		bk_space_visit(bk_mediator_space(upper, 0), 0x1000, 0x1fff, is_mapped, &mapped);
		assert_int_equal(bar0(upper, 0x1040), r ? fake_pattern(0x1040, 4) : 0x1234);
		if (r)
			assert_int_equal(r, -ENOMEM);
		else
			assert_false(mapped);
		if (r)
			assert_int_equal(bk_trap_add(lower, &spec, &trap, NULL), 0);

		/* Gone at once, and its page with the next change at the latest. */
		failed = false;
		until_failure = n;
		bk_trap_remove(trap);
		until_failure = 0;
		reached |= failed;
		assert_int_equal(bar0(upper, 0x1040), fake_pattern(0x1040, 4));
		assert_int_equal(bk_trap_add(lower, &spec, &again, NULL), 0);
		bk_trap_remove(again);
		mapped = false;
		bk_space_visit(bk_mediator_space(upper, 0), 0x1000, 0x1fff, is_mapped, &mapped);
		assert_true(mapped);

		/* One whose page alone was a hole, with another hole behind it. */
		failed = false;
		until_failure = n;
		bk_trap_remove(others[0]);
		until_failure = 0;
		reached |= failed;
		assert_int_equal(bar0(upper, 0x9040), fake_pattern(0x9040, 4));
		assert_int_equal(bar0(upper, 0xc040), 0x1234);
		assert_int_equal(bk_mediator_destroy(upper), 0);
		assert_int_equal(bk_domain_destroy(domain), 0);
		fake_done(&fake);
	}
	bk_log_set(NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_allocation_may_fail),
		cmocka_unit_test(each_allocation_may_fail_with_vga_and_a_moved_table),
		cmocka_unit_test(each_allocation_may_fail_in_filter_mode),
		cmocka_unit_test(each_allocation_may_fail_in_filter_mode_with_a_given_rom),
		cmocka_unit_test(closing_needs_no_memory),
		cmocka_unit_test(a_trap_that_went_without_memory_is_taken_away_before_all_else),
		cmocka_unit_test(two_traps_that_went_without_memory_are_both_taken_away),
		cmocka_unit_test(a_mediator_over_traps_is_whole_or_not_there),
		cmocka_unit_test(a_trap_below_is_refused_or_not_passed_by),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
