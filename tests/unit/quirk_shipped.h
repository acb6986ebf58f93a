/* SPDX-License-Identifier: BSD-2-Clause */
/* Shipped quirks on a device made up by a test, and sequences of accesses to it. */
#ifndef BARKEEP_TEST_QUIRK_SHIPPED_H
#define BARKEEP_TEST_QUIRK_SHIPPED_H

#include <stdio.h>

#include "quirk_kit.h"

/* The VGA ranges are there, and all zeros. */
static inline int setup_vga(void **state)
{
	int r = setup_bare(state);
	struct fake *fake = &((struct fixture *)*state)->fake;

	fake->regions[VGA].flags = BK_DEVICE_READ | BK_DEVICE_WRITE;
	fake->regions[VGA].size = 0xc0000;
	fake->bytes[VGA] = calloc(1, 0xc0000);
	return r;
}

static inline int teardown_vga(void **state)
{
	struct fixture *f = *state;
	void *bytes = f->fake.bytes[VGA];
	int r = teardown(state);

	free(bytes);
	return r;
}

static inline void ids(struct fixture *f, unsigned vendor, unsigned device, unsigned class_code)
{
	fake_put(&f->fake, 0x00, 2, vendor);
	fake_put(&f->fake, 0x02, 2, device);
	fake_put(&f->fake, 0x09, 3, class_code);
}

/* Also in place of another. */
static inline void bar(struct fixture *f, unsigned index, unsigned low, uint64_t size)
{
	free(f->fake.bytes[index]);
	fake_bar(&f->fake, index, low, size, false);
}

/* A capability at the head of the chain. */
static inline void capability(struct fixture *f, unsigned offset, unsigned id)
{
	fake_put(&f->fake, offset, 2, id | fake_get(&f->fake, 0x34, 1) << 8);
	fake_put(&f->fake, 0x34, 1, offset);
	fake_put(&f->fake, 0x06, 2, 0x10);
}

static inline struct bk_quirk *load(const char *name)
{
	struct bk_quirk *quirk;
	struct bk_error err = { "" };
	char file[512];

	snprintf(file, sizeof(file), "%s/%s.yaml", QUIRKS, name);
	if (bk_quirk_load(file, &quirk, &err))
		fail_msg("%s", err.text);
	assert_string_equal(bk_quirk_name(quirk), name);
	return quirk;
}

static inline int matches(struct fixture *f, const char *name, const char *option, uint64_t value)
{
	struct bk_quirk *quirk = load(name);
	const struct bk_quirk_setting setting = { option, value };
	struct bk_error err = { "" };
	int r = bk_quirk_match(quirk, &f->fake.device, &setting, option ? 1 : 0, &err);

	if (r < 1)
		assert_true(*err.text && !strchr(err.text, '\n'));
	bk_quirk_destroy(quirk);
	return r;
}

/* The quirk in front of the device, which it must match. */
static inline void stack(struct fixture *f, const char *name, const char *option, uint64_t value)
{
	struct bk_quirk *quirk = load(name);
	const struct bk_quirk_setting setting = { option, value };
	struct bk_error err = { "" };

	if (bk_quirk_match(quirk, &f->fake.device, &setting, option ? 1 : 0, &err) != 1)
		fail_msg("%s", err.text);
	if (bk_quirk_stack(&f->fake.device,
			   &(struct bk_quirk_stack_desc){ .quirks = &quirk,
							  .count = 1,
							  .settings = &setting,
							  .setting_count = option ? 1 : 0 },
			   &f->stack, &err))
		fail_msg("%s", err.text);
	bk_quirk_destroy(quirk);
}

static inline void apply_shipped(struct fixture *f, const char *name, const char *option, uint64_t value)
{
	struct bk_mediator_options options = { .vga = option && !strcmp(option, "vga") };
	struct bk_error err = { "" };

	stack(f, name, option, value);
	if (bk_mediator_create(f->domain, f->stack, &options, &f->mediate, &err) ||
	    bk_quirk_attach(f->mediate, &err))
		fail_msg("%s", err.text);
}

/* What the registers of the fake hold. */
static inline void hold(struct fixture *f, unsigned region, uint64_t offset, unsigned width, uint64_t value)
{
	for (unsigned i = 0; i < width; i++)
		f->fake.bytes[region][offset + i] = i < 8 ? (uint8_t)(value >> 8 * i) : 0;
}

/*
 * 'r' and 'w': the guest reads the value, writes the value. Behind it stands
 * all that the device sees of it: 'R' with any value, 'W' with the value.
 */
struct step {
	char what;
	unsigned region;
	uint64_t offset;
	unsigned width;
	uint64_t value;
};

static inline void play(struct fixture *f, const struct step *step)
{
	while (step->what) {
		unsigned seen = 0;
		const struct step guest = *step;

		f->fake.accesses = 0;
		if (guest.what == 'w')
			wr(f, guest.region, guest.offset, guest.width, guest.value);
		else
			assert_int_equal(rd(f, guest.region, guest.offset, guest.width), guest.value);
		for (step++; step->what == 'R' || step->what == 'W'; step++, seen++) {
			const struct fake_access *access = &f->fake.access[seen];

			assert_true(seen < f->fake.accesses);
			assert_int_equal(access->write, step->what == 'W');
			assert_int_equal(access->region, step->region);
			assert_int_equal(access->offset, step->offset);
			assert_int_equal(access->count, step->width);
			if (access->write)
				assert_int_equal(access->value, step->value);
		}
		assert_int_equal(seen, f->fake.accesses);
	}
}

#define PLAY(f, ...) play(f, (const struct step[]){ __VA_ARGS__, { 0 } })

#define WITH_VGA(test) cmocka_unit_test_setup_teardown(test, setup_vga, teardown_vga)

#endif
