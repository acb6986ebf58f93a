/* SPDX-License-Identifier: BSD-2-Clause */
/* Devices that describe themselves in odd ways: all come up, without what makes no sense, and a line says so.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "trap_kit.h"

#include "sim_device.h"

static struct {
	char text[4096];
	unsigned lines;
} told;

static void keep(void *opaque, enum bk_log_level level, const char *line)
{
	size_t used = strlen(told.text);

	told.lines++;
	snprintf(told.text + used, sizeof(told.text) - used, "%s\n", line);
}

/* Exactly one line was told; it names the device and says this. */
static void one_line(const char *says)
{
	if (told.lines != 1 || strncmp(told.text, "fake: ", 6) || !strstr(told.text, says))
		fail_msg("%u lines, not one that says \"%s\":\n%s", told.lines, says, told.text);
}

static void create_over(struct fixture *f, struct bk_device *below)
{
	struct bk_error err;

	memset(&told, 0, sizeof(told));
	if (bk_mediator_create(f->domain, below, NULL, &f->mediate, &err))
		fail_msg("%s", err.text);
}

static void create(struct fixture *f)
{
	create_over(f, &f->fake.device);
}

static int begin(void **state)
{
	bare_begin(state);
	bk_log_set(keep, NULL);
	return 0;
}

static uint64_t sized(struct fixture *f, unsigned bar)
{
	cfg_write(f, 0x10 + 4 * bar, 4, 0xffffffff);
	return cfg(f, 0x10 + 4 * bar, 4);
}

/* ---- BARs -------------------------------------------------------------- */

/* Nothing there, for whoever asks. */
static void absent(struct fixture *f, unsigned bar)
{
	struct bk_device_region region = { 0 };

	assert_int_equal(sized(f, bar), 0);
	assert_null(bk_mediator_space(f->mediate, bar));
	assert_int_equal(bk_device_region(bk_mediator_device(f->mediate), bar, &region), 0);
	assert_int_equal(region.size, 0);
}

/* IDE in compatibility mode: 0x3f6 and 0x376 have one byte in the kernel's eyes; BAR 4, bus mastering, is
 * real. */
static void F38_bars_of_one_byte_are_left_out(void **state)
{
	struct fixture *f = *state;

	fake_put(&f->fake, 0x09, 3, 0x010180);
	fake_bar(&f->fake, 0, 1, 8, false);
	fake_bar(&f->fake, 1, 1, 1, false);
	fake_bar(&f->fake, 2, 1, 8, false);
	fake_bar(&f->fake, 3, 1, 1, false);
	fake_bar(&f->fake, 4, 1, 16, false);
	create(f);
	assert_int_equal(told.lines, 2);
	assert_non_null(strstr(told.text, "fake: bar1 is not shown"));
	assert_non_null(strstr(told.text, "fake: bar3 is not shown"));
	absent(f, 1);
	absent(f, 3);
	assert_int_equal(sized(f, 0), 0xfffffff9);
	assert_int_equal(sized(f, 4), 0xfffffff1);
	assert_int_equal(rd(f, 4, 2, 2), fake_pattern(2, 2));
}

/* The registers of those are often zero, as if they were memory. */
static void bars_below_the_least_of_their_kind_are_left_out(void **state)
{
	struct fixture *f = *state;

	fake_bar(&f->fake, 0, 0, 8, false);
	create(f);
	one_line("bar0 is not shown: it has 0x8 bytes");
	absent(f, 0);
	bare_again(f);
	fake_bar(&f->fake, 5, 1, 2, false);
	create(f);
	one_line("bar5 is not shown");
	absent(f, 5);
}

static void bars_above_the_most_of_their_kind_are_left_out(void **state)
{
	struct fixture *f = *state;
	static const struct {
		unsigned low;
		uint64_t size;
	} cases[] = { { 0, 0x80000001 }, { 0, 0x100000000 }, { 1, 0x100000000 }, { 4, UINT64_MAX } };

	for (unsigned i = 0; i < 4; i++) {
		fake_put(&f->fake, 0x18, 4, cases[i].low);
		f->fake.regions[2].size = cases[i].size;
		create(f);
		one_line("bar2 is not shown");
		absent(f, 2);
		bare_again(f);
	}
}

static void a_bar_that_is_no_power_of_two_is_shown_with_the_next_one(void **state)
{
	struct fixture *f = *state;

	fake_bar(&f->fake, 3, 0, 0x3000, true);
	create(f);
	one_line("bar3 has 0x3000 bytes, not a power of two: shown with 0x4000");
	assert_int_equal(sized(f, 3), 0xffffc000);
	assert_int_equal(rd(f, 3, 0x2ffc, 4), fake_pattern(0x2ffc, 4));
	assert_int_equal(rd(f, 3, 0x2ffc, 8), fake_pattern(0x2ffc, 4) | 0xffffffff00000000);
	assert_int_equal(rd(f, 3, 0x3000, 8), UINT64_MAX);
	assert_true(page_is_mapped(f, 3, 0x2000));
	assert_false(page_is_mapped(f, 3, 0x3000));
}

static void a_bar_of_the_reserved_type_is_taken_as_32_bits(void **state)
{
	struct fixture *f = *state;

	fake_bar(&f->fake, 3, 6, 0x4000, false);
	create(f);
	one_line("bar3 has the reserved type 3");
	assert_int_equal(sized(f, 3), 0xffffc000);
	assert_int_equal(rd(f, 3, 0x10, 4), fake_pattern(0x10, 4));
}

static void the_last_bar_has_no_upper_half(void **state)
{
	struct fixture *f = *state;

	fake_bar(&f->fake, 5, 0xc, 0x4000, false);
	create(f);
	one_line("bar5 has 64 bits");
	assert_int_equal(sized(f, 5), 0xffffc008);
}

static void a_bar_in_the_upper_half_of_another_is_left_out(void **state)
{
	struct fixture *f = *state;

	fake_bar(&f->fake, 3, 4, 0x4000, false);
	fake_bar(&f->fake, 4, 0, 0x1000, false);
	create(f);
	one_line("bar4 is not shown: bar3 is 64-bit");
	assert_int_equal(sized(f, 3), 0xffffc004);
	assert_int_equal(sized(f, 4), 0xffffffff);
	assert_null(bk_mediator_space(f->mediate, 4));
}

/* ---- The header -------------------------------------------------------- */

static void a_header_of_another_type_is_shown_as_an_endpoint(void **state)
{
	struct fixture *f = *state;

	fake_bar(&f->fake, 0, 0, 0x1000, false);
	fake_put(&f->fake, 0x0e, 1, 0x81);
	create(f);
	one_line("header type 1");
	assert_int_equal(cfg(f, 0x0e, 1), 0);
	assert_int_equal(cfg(f, 0x2c, 4), 0); /* of a bridge it is something else */
	assert_int_equal(sized(f, 0), 0xfffff000);
}

static void a_pin_that_no_slot_has_is_left_out(void **state)
{
	struct fixture *f = *state;

	fake_put(&f->fake, 0x3d, 1, 5);
	create(f);
	one_line("interrupt pin 5");
	assert_int_equal(cfg(f, 0x3d, 1), 0);
}

static void a_config_space_of_less_than_256_bytes_is_zero_beyond(void **state)
{
	struct fixture *f = *state;

	f->fake.regions[BK_DEVICE_CONFIG].size = 0x80;
	fake_put(&f->fake, 6, 2, 0x10);
	fake_put(&f->fake, 0x34, 1, 0x60);
	fake_put(&f->fake, 0x60, 4, 0x00009009); /* leads on to where nothing is */
	fake_put(&f->fake, 0x70, 4, 0x12345678);
	create(f);
	assert_int_equal(told.lines, 2);
	assert_non_null(strstr(told.text, "fake: a config space of 128 bytes"));
	assert_non_null(strstr(told.text, "leads to 0x90"));
	assert_int_equal(bk_space_last(bk_mediator_space(f->mediate, BK_DEVICE_CONFIG)), 0xff);
	assert_int_equal(cfg(f, 0x70, 4), 0x12345678);
	for (unsigned i = 0x80; i < 0x100; i += 4) {
		assert_int_equal(cfg(f, i, 4), 0);
		cfg_write(f, i, 4, 1);
	}
}

/* ---- MSI-X ------------------------------------------------------------- */

static unsigned find_cap(struct fixture *f, unsigned id)
{
	unsigned at;

	return bk_mediator_capability(f->mediate, false, id, &at) ? 0 : at;
}

static void describe_msix(struct fixture *f, unsigned vectors, uint32_t table, uint32_t pba)
{
	fake_bar(&f->fake, 0, 0, 0x4000, true);
	fake_bar(&f->fake, 2, 1, 0x100, false);
	fake_put(&f->fake, 0x34, 1, 0x50);
	fake_put(&f->fake, 0x50, 4, 0x00807005); /* MSI, 64-bit */
	fake_msix(&f->fake, 0x70, 0, vectors, table, pba);
}

static void F38_an_msix_table_that_is_not_in_its_bar_is_left_out(void **state)
{
	struct fixture *f = *state;
	static const struct {
		unsigned vectors;
		uint32_t table, pba;
		const char *what;
	} cases[] = {
		{ 2048, 0x0000, 0x3000, "table" },                                  /* 32 KiB in 16 */
		{ 1, 0x4000, 0x3000, "table" },                                     /* behind it */
		{ 1, 0xfffffff8, 0x3000, "table" },                                 /* far behind it */
		{ 1, 0x0001, 0x3000, "table" },                                     /* in no BAR */
		{ 1, 0x0006, 0x3000, "table" },                                     /* no BAR's number */
		{ 1, 0x0007, 0x3000, "table" },     { 1, 0x0002, 0x3000, "table" }, /* ports */
		{ 65, 0x0000, 0x3ff8, "PBA" },      { 1, 0x0000, 0x4000, "PBA" },
		{ 1, 0x0000, 0x0003, "PBA" },       { 1, 0x0000, 0x0000, "same place" },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		describe_msix(f, cases[i].vectors, cases[i].table, cases[i].pba);
		create(f);
		one_line(cases[i].what);
		one_line("msix=barN");
		assert_int_equal(find_cap(f, 0x11), 0);
		assert_int_equal(find_cap(f, 5), 0x50); /* what drivers use instead */
		for (uint64_t page = 0; page < 0x4000; page += 0x1000)
			assert_true(page_is_mapped(f, 0, page));
		bare_again(f);
	}
}

/* Nobody reads a PBA of which the table has the place. */
static void F38_a_pba_inside_the_table_is_the_tables(void **state)
{
	struct fixture *f = *state;

	describe_msix(f, 4, 0x1000, 0x1038); /* the last 8 bytes of the last entry */
	create(f);
	one_line("reaches into the table");
	assert_int_equal(find_cap(f, 0x11), 0x70);
	assert_int_equal(cfg(f, 0x72, 2), 3);
	for (unsigned i = 0; i < 4; i++) {
		wr(f, 0, 0x1000 + 16 * i, 8, 0xfee00000 + i);
		wr(f, 0, 0x1008 + 16 * i, 8, 0x41 + i);
	}
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(rd(f, 0, 0x1000 + 16 * i, 8), (0xfee00000 + i) & ~3u);
		assert_int_equal(rd(f, 0, 0x1008 + 16 * i, 8), 0x41 + i);
	}
	assert_int_equal(rd(f, 0, 0x1040, 8), fake_pattern(0x1040, 8));
}

static void a_pba_that_is_in_the_table_in_part_has_the_rest(void **state)
{
	struct fixture *f = *state;

	describe_msix(f, 65, 0x1000, 0x1000 + 16 * 65 - 8);
	create(f);
	one_line("reaches into the table");
	wr(f, 0, 0x1000 + 16 * 64 + 8, 8, 0x77);
	assert_int_equal(rd(f, 0, 0x1000 + 16 * 64 + 8, 8), 0x77);
	assert_int_equal(rd(f, 0, 0x1000 + 16 * 65, 8), 0); /* nothing is pending */
	assert_int_equal(rd(f, 0, 0x1008 + 16 * 65, 8), fake_pattern(0x1008 + 16 * 65, 8));
	bare_again(f);

	describe_msix(f, 65, 0x1008, 0x1000);
	create(f);
	one_line("reaches into the table");
	assert_int_equal(rd(f, 0, 0x1000, 8), 0);
	wr(f, 0, 0x1008, 8, 0xfee00000);
	assert_int_equal(rd(f, 0, 0x1008, 8), 0xfee00000);
}

static const char card_reader[] =
	"name: card-reader\nvendor: 0x10ec\ndevice: 0x5287\nclass: 0xff0000\npin: B\nexpress: true\n"
	"bars:\n"
	"  - {index: 0, kind: mem32, size: 4K, mappable: true}\n"
	"capabilities:\n"
	"  - {pm: {no-soft-reset: false}, offset: 0x40}\n"
	"  - {msi: {vectors: 1, 64bit: true}, offset: 0x50}\n"
	"  - {express: {flr: false}, offset: 0x70}\n"
	"  - {msix: {vectors: 1, bar: 0, table: 0, pba: 0}, offset: 0xb0}\n";

/* 10ec:5287: one vector, table and PBA at the same place, over registers that its driver needs. */
static void F38_the_card_reader_comes_up_without_msix(void **state)
{
	struct fixture *f = *state;

	create_over(f, open_text(card_reader));
	assert_int_equal(told.lines, 1);
	assert_non_null(strstr(told.text, "sim:x.yaml: MSI-X (0xb0) is not shown"));
	assert_non_null(strstr(told.text, "msix=barN"));
	assert_int_equal(find_cap(f, 0x11), 0);
	assert_int_equal(find_cap(f, 0x05), 0x50);
	assert_int_equal(find_cap(f, 0x10), 0x70);
	assert_true(page_is_mapped(f, 0, 0));
}

/* ---- Capabilities that overlap ----------------------------------------- */

/* A vendor's of 0x30 bytes with MSI (14 bytes) inside it: the driver's registers behind that are still there.
 */
static void F38_bytes_behind_a_capability_inside_another_are_the_devices(void **state)
{
	struct fixture *f = *state;

	fake_put(&f->fake, 6, 2, 0x10);
	fake_put(&f->fake, 0x34, 1, 0x40);
	fake_put(&f->fake, 0x40, 4, 0x00305009);
	fake_put(&f->fake, 0x50, 4, 0x00800005);
	fake_put(&f->fake, 0x44, 4, 0x11223344);
	fake_put(&f->fake, 0x60, 4, 0x55667788);
	create(f);
	assert_int_equal(find_cap(f, 0x09), 0x40);
	assert_int_equal(find_cap(f, 0x05), 0x50);
	assert_int_equal(cfg(f, 0x44, 4), 0x11223344);
	assert_int_equal(cfg(f, 0x60, 4), 0x55667788);
	cfg_write(f, 0x6c, 4, 0xcafe0001);
	assert_int_equal(fake_get(&f->fake, 0x6c, 4), 0xcafe0001);
	/* MSI stays the model's. */
	cfg_write(f, 0x54, 4, 0xfee00000);
	assert_int_equal(fake_get(&f->fake, 0x54, 4), 0);
	assert_int_equal(cfg(f, 0x54, 4), 0xfee00000);
}

/* Nothing of a capability that is hidden, wherever another one begins. */
static void bytes_of_a_hidden_capability_behind_another_stay_hidden(void **state)
{
	struct fixture *f = *state;

	fake_put(&f->fake, 0x100, 4, 0x0010 | 1 << 16 | 0x120u << 20); /* SR-IOV, 64 bytes */
	fake_put(&f->fake, 0x120, 4, 0x0003 | 1 << 16);                /* serial number, 12 bytes */
	fake_put(&f->fake, 0x130, 4, 0x12345678);
	create(f);
	assert_int_equal(cfg(f, 0x130, 4), 0);
	cfg_write(f, 0x130, 4, 1);
	assert_int_equal(fake_get(&f->fake, 0x130, 4), 0x12345678);
}

static void msi_that_another_capability_cuts_has_no_masks(void **state)
{
	struct fixture *f = *state;

	fake_put(&f->fake, 6, 2, 0x10);
	fake_put(&f->fake, 0x34, 1, 0x40);
	fake_put(&f->fake, 0x40, 4, 0x01805005); /* 64-bit, maskable: 24 bytes */
	fake_put(&f->fake, 0x50, 4, 0x00100009);
	create(f);
	one_line("shown without masks");
	assert_int_equal(cfg(f, 0x42, 2), 0x0080);
	assert_int_equal(find_cap(f, 0x09), 0x50);
}

#define ODD(test) cmocka_unit_test_setup_teardown(test, begin, bare_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ODD(F38_bars_of_one_byte_are_left_out),
		ODD(bars_below_the_least_of_their_kind_are_left_out),
		ODD(bars_above_the_most_of_their_kind_are_left_out),
		ODD(a_bar_that_is_no_power_of_two_is_shown_with_the_next_one),
		ODD(a_bar_of_the_reserved_type_is_taken_as_32_bits),
		ODD(the_last_bar_has_no_upper_half),
		ODD(a_bar_in_the_upper_half_of_another_is_left_out),
		ODD(a_header_of_another_type_is_shown_as_an_endpoint),
		ODD(a_pin_that_no_slot_has_is_left_out),
		ODD(a_config_space_of_less_than_256_bytes_is_zero_beyond),
		ODD(F38_an_msix_table_that_is_not_in_its_bar_is_left_out),
		ODD(F38_a_pba_inside_the_table_is_the_tables),
		ODD(a_pba_that_is_in_the_table_in_part_has_the_rest),
		ODD(F38_the_card_reader_comes_up_without_msix),
		ODD(F38_bytes_behind_a_capability_inside_another_are_the_devices),
		ODD(bytes_of_a_hidden_capability_behind_another_stay_hidden),
		ODD(msi_that_another_capability_cuts_has_no_masks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
