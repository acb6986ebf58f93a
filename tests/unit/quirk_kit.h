/* SPDX-License-Identifier: BSD-2-Clause */
/* A device made up by a test, with quirks of any text on it, as a guest sees it. */
#ifndef BARKEEP_TEST_QUIRK_KIT_H
#define BARKEEP_TEST_QUIRK_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <barkeep/quirk.h>

#include "fake_device.h"

#define HEAD "quirk: x\nabout: a test\nmatch: {vendor: 0x1234}\n"

enum { CONFIG = BK_DEVICE_CONFIG, ROM = BK_DEVICE_ROM, VGA = BK_DEVICE_VGA };

struct fixture {
	struct fake fake;
	struct bk_domain *domain;
	struct bk_device *stack; /* the device with its quirks; the mediator's, once there is one */
	struct bk_mediator *mediate;
};

static inline void quiet(void *opaque, enum bk_log_level level, const char *line)
{
}

/* A device without BARs. */
static inline int setup_bare(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fake_init(&f->fake);
	f->domain = bk_domain_create();
	bk_log_set(quiet, NULL);
	*state = f;
	return 0;
}

/* bar0: 64 KiB, not mapped, its bytes a pattern. */
static inline int setup(void **state)
{
	int r = setup_bare(state);

	fake_bar(&((struct fixture *)*state)->fake, 0, 0, 0x10000, false);
	return r;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->mediate)
		bk_mediator_destroy(f->mediate);
	else if (f->stack)
		bk_device_close(f->stack);
	assert_int_equal(bk_domain_destroy(f->domain), 0);
	fake_done(&f->fake);
	free(f);
	bk_log_set(NULL, NULL);
	return 0;
}

static inline struct bk_quirk *parse(const char *text)
{
	struct bk_quirk *quirk;
	struct bk_error err = { "" };

	if (bk_quirk_parse("x.yaml", text, strlen(text), &quirk, &err))
		fail_msg("%s", err.text);
	return quirk;
}

static inline int stack_one(struct bk_device *below, struct bk_quirk *quirk, struct bk_device **device,
			    struct bk_error *err)
{
	return bk_quirk_stack(below, &(struct bk_quirk_stack_desc){ .quirks = &quirk, .count = 1 }, device,
			      err);
}

static inline int apply_all(struct fixture *f, const char *const *texts, unsigned count, struct bk_error *err)
{
	struct bk_quirk *quirks[4];
	struct bk_device *device;
	int r;

	for (unsigned i = 0; i < count; i++)
		quirks[i] = parse(texts[i]);
	r = bk_quirk_stack(&f->fake.device, &(struct bk_quirk_stack_desc){ .quirks = quirks, .count = count },
			   &device, err);
	for (unsigned i = 0; i < count; i++)
		bk_quirk_destroy(quirks[i]); /* the device keeps them */
	if (!r)
		r = bk_mediator_create(f->domain, device, NULL, &f->mediate, err);
	return r ? r : bk_quirk_attach(f->mediate, err);
}

static inline void apply(struct fixture *f, const char *text)
{
	struct bk_error err = { "" };

	if (apply_all(f, &text, 1, &err))
		fail_msg("%s", err.text);
	f->fake.accesses = 0;
}

static inline uint64_t rd(struct fixture *f, unsigned region, uint64_t offset, unsigned width)
{
	uint8_t bytes[8] = { 0 };
	uint64_t value = 0;

	bk_device_read(bk_mediator_device(f->mediate), region, offset, bytes, width);
	for (unsigned i = 0; i < width; i++)
		value |= (uint64_t)bytes[i] << 8 * i;
	return value;
}

static inline void wr(struct fixture *f, unsigned region, uint64_t offset, unsigned width, uint64_t value)
{
	uint8_t bytes[8];

	for (unsigned i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(value >> 8 * i);
	bk_device_write(bk_mediator_device(f->mediate), region, offset, bytes, width);
}

#define WITH_DEVICE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

#endif
