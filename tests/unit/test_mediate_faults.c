/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every width at every alignment, read and written, over traps of all shapes. A model says who has each byte;
 * from it alone follows what the guest sees, and which pieces of which width each owner gets, in which order.
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

#define VECTORS 8
#define TRAPS   3

enum who { THE_DEVICE, NOBODY, THE_TABLE, THE_PBA, TRAP };

struct piece {
	enum who who;
	uint64_t offset;
	unsigned width;
};

/* A window of a region: who has each of its bytes. */
struct sweep {
	struct fixture *f;
	unsigned region;
	uint64_t from;
	unsigned length;
	uint8_t owner[0x400]; /* enum who; TRAP + n: the trap of that number */
	struct recorder traps[TRAPS];
	uint8_t table[16 * VECTORS];
	unsigned char salt;
};

static struct sweep *sweep_begin(struct fixture *f, unsigned region, uint64_t from, unsigned length)
{
	static struct sweep s;

	assert_true(length <= sizeof(s.owner));
	s = (struct sweep){ .f = f, .region = region, .from = from, .length = length };
	for (unsigned i = 0; i < VECTORS; i++)
		s.table[16 * i + 12] = 1; /* masked, PCI 3.0 6.8.2.9 */
	for (unsigned n = 0; n < TRAPS; n++)
		for (unsigned i = 0; i < sizeof(s.traps[n].bytes); i++)
			s.traps[n].bytes[i] = (uint8_t)(0x31 * (n + 1) + i);
	return &s;
}

static void paint(struct sweep *s, uint64_t first, uint64_t length, unsigned who)
{
	for (unsigned i = 0; i < s->length; i++)
		if (s->from + i >= first && s->from + i - first < length)
			s->owner[i] = (uint8_t)who;
}

static struct bk_trap *trap(struct sweep *s, unsigned n, uint64_t first, uint64_t length, int priority)
{
	paint(s, first, length, TRAP + n);
	return add(s->f, &s->traps[n], s->region, first, length, priority);
}

/* Whole if one owner has all of it, else cut at the edges and into naturally aligned powers of two. */
static unsigned cut(const struct sweep *s, uint64_t at, unsigned width, struct piece *pieces)
{
	const uint8_t *owner = &s->owner[at - s->from];
	unsigned count = 0, same = 1;

	while (same < width && owner[same] == owner[0])
		same++;
	if (same == width) {
		pieces[0] = (struct piece){ owner[0], at, width };
		return 1;
	}
	for (unsigned i = 0; i < width;) {
		unsigned run = 1, w = 8;

		while (i + run < width && owner[i + run] == owner[i])
			run++;
		while (w > run || (at + i) % w)
			w /= 2;
		pieces[count++] = (struct piece){ owner[i], at + i, w };
		i += w;
	}
	return count;
}

static uint8_t byte_at(const struct sweep *s, uint64_t at)
{
	const unsigned who = s->owner[at - s->from];
	const struct recorder *r = &s->traps[who >= TRAP ? who - TRAP : 0];

	if (who == THE_DEVICE)
		return s->f->fake.bytes[s->region][at];
	if (who == THE_TABLE)
		return s->table[at - TABLE];
	if (who == THE_PBA)
		return 0;
	return who == NOBODY || r->error ? 0xff : r->bytes[at - r->base];
}

static void put_byte(struct sweep *s, uint8_t *device, uint64_t at, uint8_t value)
{
	const unsigned who = s->owner[at - s->from], in_entry = (unsigned)(at - TABLE) % 16;

	if (who == THE_DEVICE)
		device[at - s->from] = value;
	else if (who == THE_TABLE)
		s->table[at - TABLE] = in_entry == 0    ? value & 0xfc
				       : in_entry < 12  ? value
				       : in_entry == 12 ? value & 1
							: 0;
}

/* What the owners were called with is what the pieces say: in order, for each of them. */
static void check_calls(struct sweep *s, const struct piece *pieces, unsigned count, bool write)
{
	unsigned device = 0, calls[TRAPS] = { 0 };

	for (unsigned i = 0; i < count; i++) {
		const struct piece *p = &pieces[i];

		if (p->who == THE_DEVICE) {
			const struct fake_access *a = &s->f->fake.access[device++];

			assert_true(device <= s->f->fake.accesses);
			assert_int_equal(a->offset, p->offset);
			assert_int_equal(a->count, p->width);
			assert_int_equal(a->write, write);
		} else if (p->who >= TRAP) {
			const struct recorder *r = &s->traps[p->who - TRAP];
			unsigned call = calls[p->who - TRAP]++;

			assert_int_equal(r->offset[call], p->offset);
			assert_int_equal(r->width[call], p->width);
		}
	}
	assert_int_equal(s->f->fake.accesses, device);
	for (unsigned n = 0; n < TRAPS; n++) {
		assert_int_equal(write ? s->traps[n].writes : s->traps[n].reads, calls[n]);
		assert_int_equal(write ? s->traps[n].reads : s->traps[n].writes, 0);
	}
}

static void forget_calls(struct sweep *s)
{
	s->f->fake.accesses = 0;
	for (unsigned n = 0; n < TRAPS; n++)
		s->traps[n].reads = s->traps[n].writes = 0;
}

static void sweep_read(struct sweep *s, uint64_t at, unsigned width)
{
	struct piece pieces[8];
	uint64_t want = 0;

	for (unsigned i = 0; i < width; i++)
		want |= (uint64_t)byte_at(s, at + i) << 8 * i;
	forget_calls(s);
	assert_int_equal(rd(s->f, s->region, at, width), want);
	check_calls(s, pieces, cut(s, at, width, pieces), false);
}

static void sweep_write(struct sweep *s, uint64_t at, unsigned width)
{
	static uint8_t device[sizeof(s->owner)];
	struct piece pieces[8];
	uint64_t value = 0;

	for (unsigned i = 0; i < s->length; i++)
		device[i] = s->owner[i] == THE_DEVICE ? s->f->fake.bytes[s->region][s->from + i] : 0;
	for (unsigned i = 0; i < width; i++) {
		uint8_t byte = s->salt = (uint8_t)(s->salt * 5 + 0x3b);

		value |= (uint64_t)byte << 8 * i;
		put_byte(s, device, at + i, byte);
	}
	forget_calls(s);
	wr(s->f, s->region, at, width, value);
	check_calls(s, pieces, cut(s, at, width, pieces), true);
	for (unsigned i = 0; i < s->length; i++)
		if (s->owner[i] == THE_DEVICE)
			assert_int_equal(s->f->fake.bytes[s->region][s->from + i], device[i]);
	for (unsigned i = 0; i < width; i++) {
		const unsigned who = s->owner[at + i - s->from];
		const struct recorder *r = &s->traps[who >= TRAP ? who - TRAP : 0];

		if (who >= TRAP && !r->error)
			assert_int_equal(r->bytes[at + i - r->base], value >> 8 * i & 0xff);
	}
	/* And it reads back so, by bytes. */
	for (unsigned i = 0; i < width; i++)
		sweep_read(s, at + i, 1);
}

static void sweep(struct sweep *s)
{
	for (unsigned width = 1; width <= 8; width *= 2)
		for (uint64_t at = s->from; at + width <= s->from + s->length; at++)
			sweep_read(s, at, width);
	for (unsigned width = 1; width <= 8; width *= 2)
		for (uint64_t at = s->from; at + width <= s->from + s->length; at++)
			sweep_write(s, at, width);
}

static void F20_traps_that_touch(void **state)
{
	struct sweep *s = sweep_begin(*state, 0, 0x100, 0x40);

	trap(s, 0, 0x10d, 3, 0);
	trap(s, 1, 0x110, 9, 0);
	trap(s, 2, 0x119, 1, 0);
	sweep(s);
}

static void F21_traps_apart_in_one_access(void **state)
{
	struct sweep *s = sweep_begin(*state, 2, 0x5000, 0x40);

	trap(s, 0, 0x5003, 1, 0);
	trap(s, 1, 0x5006, 2, 0);
	trap(s, 2, 0x5014, 0x10, 0);
	sweep(s);
}

static void F21_traps_over_one_another(void **state)
{
	struct sweep *s = sweep_begin(*state, 2, 0x5000, 0x40);

	trap(s, 0, 0x5004, 0x20, 0);
	trap(s, 1, 0x5007, 6, 1);
	trap(s, 2, 0x5009, 1, 2);
	sweep(s);
}

static void F22_F26_the_bar_of_the_msix_table(void **state)
{
	struct sweep *s = sweep_begin(*state, 0, TABLE - 0x10, 0x20 + 16 * VECTORS);

	paint(s, TABLE, 16 * VECTORS, THE_TABLE);
	sweep(s);
	trap(s, 0, TABLE - 5, 5, 0);                /* up to the table */
	trap(s, 1, TABLE + 0x27, 0x12, 0);          /* over a part of it */
	trap(s, 2, TABLE + 16 * VECTORS - 3, 7, 0); /* over its end */
	sweep(s);
}

static void F25_the_pba(void **state)
{
	struct sweep *s = sweep_begin(*state, 0, PBA, 0x20);

	paint(s, PBA, 8, THE_PBA);
	sweep(s);
	trap(s, 0, PBA + 3, 2, 0);
	sweep(s);
}

static void F23_a_trap_to_the_end_of_a_bar(void **state)
{
	struct sweep *s = sweep_begin(*state, 5, 0xe0, 0x30);

	paint(s, 0x100, 0x10, NOBODY);
	sweep(s);
	trap(s, 0, 0xf3, 13, 0);
	sweep(s);
}

static void F23_a_trap_over_a_whole_bar(void **state)
{
	struct sweep *s = sweep_begin(*state, 4, 0, 0x30);

	paint(s, 0x20, 0x10, NOBODY);
	trap(s, 0, 0, 0x20, 0);
	trap(s, 1, 0x11, 1, 1);
	sweep(s);
}

static void F24_a_trap_in_every_other_byte(void **state)
{
	struct sweep *s = sweep_begin(*state, 1, 0x3000, 0x100);

	for (unsigned i = 0; i < 0x80; i++) {
		paint(s, 0x3000 + 2 * i, 1, TRAP);
		add(s->f, &s->traps[0], 1, 0x3000 + 2 * i, 1, 0);
	}
	s->traps[0].base = 0x3000;
	sweep(s);
}

static void F27_a_trap_that_fails(void **state)
{
	struct sweep *s = sweep_begin(*state, 2, 0x5000, 0x40);

	trap(s, 0, 0x500d, 7, 0);
	trap(s, 1, 0x5014, 5, 0);
	s->traps[0].error = -EIO;
	sweep(s);
}

static void F28_no_edge_no_cut(void **state)
{
	sweep(sweep_begin(*state, 0, 0x100, 0x40)); /* a BAR that is mapped */
	sweep(sweep_begin(*state, 4, 0, 0x20));     /* one of ports */
	sweep(sweep_begin(*state, 5, 0x40, 0x40));  /* one below a page */
}

int main(void)
{
#define WITH_DEVICE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_DEVICE(F20_traps_that_touch),
		WITH_DEVICE(F21_traps_apart_in_one_access),
		WITH_DEVICE(F21_traps_over_one_another),
		WITH_DEVICE(F22_F26_the_bar_of_the_msix_table),
		WITH_DEVICE(F25_the_pba),
		WITH_DEVICE(F23_a_trap_to_the_end_of_a_bar),
		WITH_DEVICE(F23_a_trap_over_a_whole_bar),
		WITH_DEVICE(F24_a_trap_in_every_other_byte),
		WITH_DEVICE(F27_a_trap_that_fails),
		WITH_DEVICE(F28_no_edge_no_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
