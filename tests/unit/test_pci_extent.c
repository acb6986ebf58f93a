/* SPDX-License-Identifier: BSD-2-Clause */
/* Which bytes of a config space its capabilities have, also where it lies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/bytes.h"
#include "pci/regs.h"

static uint8_t config[4096];
static uint16_t owners[4096];

static int clear(void **state)
{
	memset(config, 0, sizeof(config));
	return 0;
}

/* With nothing behind the config space to read by mistake. */
static unsigned length_of(unsigned size, unsigned offset)
{
	uint8_t *exact = malloc(size);
	unsigned length;

	assert_non_null(exact);
	memcpy(exact, config, size);
	length = bk__pci_capability_length(exact, size, offset);
	free(exact);
	return length;
}

static void find_owners(unsigned size)
{
	uint8_t *exact = malloc(size);
	uint16_t *found = calloc(size, sizeof(*found));

	assert_non_null(exact);
	assert_non_null(found);
	memcpy(exact, config, size);
	bk__pci_capability_owners(exact, size, found);
	memset(owners, 0xff, sizeof(owners));
	memcpy(owners, found, size * sizeof(*found));
	free(found);
	free(exact);
}

/* Asserts that the bytes in [first, last] belong to `owner`. */
static void assert_owner(unsigned first, unsigned last, unsigned owner)
{
	for (unsigned at = first; at <= last; at++)
		assert_int_equal(owners[at], owner);
}

static void put_standard(unsigned at, unsigned id, unsigned next)
{
	config[6] = 0x10;
	bk__store(config + at, 2, next << 8 | id);
}

static void put_extended(unsigned at, unsigned id, unsigned next)
{
	bk__store(config + at, 4, (uint64_t)next << 20 | 1 << 16 | id);
}

static void standard_ones_are_as_long_as_their_kind(void **state)
{
	/* The kind, its second word, the byte behind that, and the length. */
	static const struct {
		uint8_t id;
		uint16_t word;
		uint8_t next;
		unsigned length;
	} kinds[] = {
		{ 0x01, 0, 0, 8 },      { 0x02, 0, 0, 12 },      { 0x03, 0, 0, 8 },
		{ 0x04, 0, 0, 4 },      { 0x05, 0, 0, 10 },      { 0x05, 0x80, 0, 14 },
		{ 0x05, 0x100, 0, 20 }, { 0x05, 0x180, 0, 24 },  { 0x06, 0, 0, 4 },
		{ 0x07, 0, 0, 8 },      { 0x07, 0x1000, 0, 24 }, { 0x07, 0x2000, 0, 24 },
		{ 0x09, 0, 0, 0 },      { 0x09, 2, 0, 0 },       { 0x09, 0xff03, 0, 3 },
		{ 0x09, 0x40, 0, 64 },  { 0x0a, 0, 0, 4 },       { 0x0d, 0, 0, 8 },
		{ 0x10, 1, 0, 20 },     { 0x10, 2, 0, 60 },      { 0x11, 0, 0, 12 },
		{ 0x12, 0, 0x04, 8 },   { 0x12, 0, 0x0f, 16 },   { 0x13, 0, 0, 8 },
		{ 0x00, 0x1234, 0, 0 }, { 0x14, 0, 0, 0 },       { 0xff, 0xffff, 0, 0 },
	};

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		put_standard(0x40, kinds[i].id, 0);
		bk__store(config + 0x42, 2, kinds[i].word);
		config[0x44] = kinds[i].next;
		assert_int_equal(length_of(256, 0x40), kinds[i].length);
		assert_int_equal(length_of(4096, 0x40), kinds[i].length);
	}
}

static void extended_ones_are_as_long_as_their_kind(void **state)
{
	static const struct {
		uint16_t id;
		uint32_t word;
		unsigned length;
	} kinds[] = {
		{ 0x00, 0, 4 },           { 0x01, 0, 0x48 },       { 0x03, 0, 12 },
		{ 0x04, 0, 16 },          { 0x0e, 0, 8 },          { 0x0f, 0, 8 },
		{ 0x10, 0, 64 },          { 0x12, 0, 48 },         { 0x13, 0, 16 },
		{ 0x18, 0, 8 },           { 0x1b, 0, 8 },          { 0x1e, 0, 16 },
		{ 0x1f, 0, 12 },          { 0x25, 0, 12 },         { 0x02, 0, 0 },
		{ 0x15, 0, 0 },           { 0xffff, 0, 0 },        { 0x0b, 0, 0 },
		{ 0x0b, 0x00700000, 0 },  { 0x0b, 0x00800000, 8 }, { 0x0b, 0x123fffff, 0x123 },
		{ 0x23, 0x00c00000, 12 },
	};

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		put_extended(0x100, kinds[i].id, 0);
		bk__store(config + 0x104, 4, kinds[i].word);
		assert_int_equal(length_of(4096, 0x100), kinds[i].length);
	}
}

/* A length that config space has no room for is cut, and nothing past its end is looked at. */
static void none_is_longer_than_the_space_it_is_in(void **state)
{
	put_standard(0xfc, 0x05, 0);
	bk__store(config + 0xfe, 2, 0x180);
	assert_int_equal(length_of(256, 0xfc), 4);
	assert_int_equal(length_of(4096, 0xfc), 4); /* extended space is another one */
	config[0xfe] = 0x05;
	config[0xff] = 0xff;
	assert_int_equal(length_of(256, 0xfe), 2); /* its second word is not there */
	assert_int_equal(length_of(256, 0xff), 0);
	put_standard(0xfc, 0x12, 0);
	assert_int_equal(length_of(256, 0xfc), 4);
	put_extended(0xff8, 0x10, 0);
	assert_int_equal(length_of(4096, 0xff8), 8);
	put_extended(0xffc, 0x0b, 0);
	assert_int_equal(length_of(4096, 0xffc), 0);
	put_extended(0xffc, 0x01, 0);
	assert_int_equal(length_of(4096, 0xffc), 4);
	assert_int_equal(length_of(4096, 0xffd), 0); /* no room for a header */
	assert_int_equal(length_of(4096, 0x1000), 0);
	assert_int_equal(length_of(4096, 0xfffffffc), 0);
	assert_int_equal(length_of(256, 0x100), 0); /* has no extended space */
}

static void bytes_belong_to_the_capability_they_are_in(void **state)
{
	config[0x34] = 0x43; /* the low bits say nothing */
	put_standard(0x40, 0x01, 0x50);
	put_standard(0x50, 0x05, 0xe0);
	put_standard(0xe0, 0x77, 0x60); /* of no known length: up to the next one, here the end */
	put_standard(0x60, 0x78, 0);    /* this one up to 0xe0 */
	put_extended(0x100, 0x03, 0x200);
	put_extended(0x200, 0x2a, 0);
	find_owners(256);
	assert_owner(0, 0x3f, 0);
	assert_owner(0x40, 0x47, 0x40);
	assert_owner(0x48, 0x4f, 0);
	assert_owner(0x50, 0x5b, 0x50); /* 10 bytes, in registers of 4 */
	assert_owner(0x5c, 0x5f, 0);
	assert_owner(0x60, 0xdf, 0x60);
	assert_owner(0xe0, 0xff, 0xe0);
	find_owners(4096);
	assert_owner(0xe0, 0xff, 0xe0);
	assert_owner(0x100, 0x10b, 0x100);
	assert_owner(0x10c, 0x1ff, 0);
	assert_owner(0x200, 0xfff, 0x200);
}

static void one_that_begins_inside_another_keeps_its_bytes(void **state)
{
	config[0x34] = 0x40;
	put_standard(0x40, 0x10, 0x50);
	bk__store(config + 0x42, 2, 2); /* 60 bytes */
	put_standard(0x50, 0x01, 0);
	find_owners(256);
	assert_owner(0x40, 0x4f, 0x40);
	assert_owner(0x50, 0x57, 0x50);
	assert_owner(0x58, 0x7b, 0x40);
	assert_owner(0x7c, 0xff, 0);
}

static void chains_may_loop_or_lead_anywhere(void **state)
{
	config[0x34] = 0x40;
	put_standard(0x40, 0x01, 0x50);
	put_standard(0x50, 0x01, 0x40); /* back to the first */
	put_extended(0x100, 0x03, 0x100);
	find_owners(4096);
	assert_owner(0x40, 0x47, 0x40);
	assert_owner(0x50, 0x57, 0x50);
	assert_owner(0x58, 0xff, 0);
	assert_owner(0x100, 0x10b, 0x100);
	put_standard(0x50, 0x01, 0x3c); /* into the header */
	put_extended(0x100, 0x03, 0xfc);
	find_owners(4096);
	assert_owner(0, 0x3f, 0);
	assert_owner(0x50, 0x57, 0x50);
	assert_owner(0xfc, 0xff, 0);
	assert_owner(0x100, 0x10b, 0x100);
	put_extended(0x100, 0x03, 0xffc); /* to the last register */
	put_extended(0xffc, 0x10, 0);
	find_owners(4096);
	assert_owner(0x10c, 0xffb, 0);
	assert_owner(0xffc, 0xfff, 0xffc);
}

static void where_no_chain_is_nothing_is_found(void **state)
{
	config[0x34] = 0x40;
	put_standard(0x40, 0x01, 0);
	config[6] = 0;     /* the status says that there is none */
	find_owners(4096); /* and a first header of 0 */
	assert_owner(0, 0xfff, 0);
	bk__store(config + 0x100, 4, 0xffffffff);
	find_owners(4096);
	assert_owner(0x100, 0xfff, 0);
	put_extended(0x100, 0x03, 0x140);
	bk__store(config + 0x140, 4, 0xffffffff); /* nobody answers there */
	find_owners(4096);
	assert_owner(0x100, 0x10b, 0x100);
	assert_owner(0x10c, 0xfff, 0);
	config[6] = 0x10;
	config[0x34] = 0;
	find_owners(256);
	assert_owner(0, 0xff, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(standard_ones_are_as_long_as_their_kind, clear),
		cmocka_unit_test_setup(extended_ones_are_as_long_as_their_kind, clear),
		cmocka_unit_test_setup(none_is_longer_than_the_space_it_is_in, clear),
		cmocka_unit_test_setup(bytes_belong_to_the_capability_they_are_in, clear),
		cmocka_unit_test_setup(one_that_begins_inside_another_keeps_its_bytes, clear),
		cmocka_unit_test_setup(chains_may_loop_or_lead_anywhere, clear),
		cmocka_unit_test_setup(where_no_chain_is_nothing_is_found, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
