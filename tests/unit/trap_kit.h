/* SPDX-License-Identifier: BSD-2-Clause */
/* A mediated device made up by a test, traps that record who called, and accesses to it. After cmocka.h. */
#ifndef BARKEEP_TEST_TRAP_KIT_H
#define BARKEEP_TEST_TRAP_KIT_H

#include <stdio.h>
#include <stdlib.h>

#include <barkeep/mediate.h>

#include "fake_device.h"

/* bar0: 64 KiB, mapped, MSI-X table at 0x2010 (8 vectors), PBA at 0x4000. bar1: 4 MiB, mapped. bar2: 1 MiB,
 * 64-bit, mapped. bar4: I/O, 32 bytes. bar5: 256 bytes, less than a page. */
struct fixture {
	struct fake fake;
	struct bk_domain *domain;
	struct bk_mediator *mediate;
	struct bk_mediator_options options;
	struct bk_error err;
};

#define TABLE 0x2010
#define PBA   0x4000

static inline void quiet(void *opaque, enum bk_log_level level, const char *line)
{
}

/* Set-up of a test that describes the device, and mediates it, itself: no BARs, no capabilities. */
static inline int bare_begin(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fake_init(&f->fake);
	f->domain = bk_domain_create();
	bk_log_set(quiet, NULL);
	*state = f;
	return 0;
}

static inline int bare_end(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(bk_mediator_destroy(f->mediate), 0);
	assert_int_equal(bk_domain_destroy(f->domain), 0);
	fake_done(&f->fake);
	free(f);
	bk_log_set(NULL, NULL);
	return 0;
}

/* And once more, with other statements. */
static inline void bare_again(struct fixture *f)
{
	assert_int_equal(bk_mediator_destroy(f->mediate), 0);
	f->mediate = NULL;
	fake_done(&f->fake);
	fake_init(&f->fake);
}

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct bk_error err;

	fake_init(&f->fake);
	fake_bar(&f->fake, 0, 0, 0x10000, true);
	fake_bar(&f->fake, 1, 0x8, 0x400000, true);
	fake_bar(&f->fake, 2, 0xc, 0x100000, true);
	fake_bar(&f->fake, 4, 1, 32, false);
	fake_bar(&f->fake, 5, 0, 256, true);
	fake_msix(&f->fake, 0x70, 0, 8, TABLE, PBA);
	fake_put(&f->fake, 0x34, 1, 0x70);
	f->domain = bk_domain_create();
	bk_log_set(quiet, NULL);
	if (bk_mediator_create(f->domain, &f->fake.device, NULL, &f->mediate, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return -1;
	}
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(bk_mediator_destroy(f->mediate), 0);
	assert_true(f->fake.closed);
	assert_int_equal(bk_domain_destroy(f->domain), 0);
	fake_done(&f->fake);
	free(f);
	bk_log_set(NULL, NULL);
	return 0;
}

/* A trap that keeps its registers in memory, and a record of who called. */
struct recorder {
	uint8_t bytes[4096];
	uint64_t base; /* offset of bytes[0] */
	unsigned region;
	unsigned reads, writes, released;
	uint64_t offset[64]; /* of the last accesses */
	unsigned width[64];
	int error;
};

static inline unsigned called(const struct recorder *r)
{
	return r->reads + r->writes;
}

static inline void note(struct recorder *r, unsigned region, uint64_t offset, unsigned width)
{
	unsigned at = called(r) % 64;

	assert_int_equal(region, r->region);
	r->offset[at] = offset;
	r->width[at] = width;
}

static inline int recorder_read(void *opaque, unsigned region, uint64_t offset, unsigned width,
				uint64_t *value)
{
	struct recorder *r = opaque;

	note(r, region, offset, width);
	r->reads++;
	*value = 0;
	for (unsigned i = 0; i < width; i++)
		*value |= (uint64_t)r->bytes[(offset - r->base + i) % 4096] << 8 * i;
	return r->error;
}

static inline int recorder_write(void *opaque, unsigned region, uint64_t offset, unsigned width,
				 uint64_t value)
{
	struct recorder *r = opaque;

	note(r, region, offset, width);
	r->writes++;
	for (unsigned i = 0; !r->error && i < width; i++)
		r->bytes[(offset - r->base + i) % 4096] = (uint8_t)(value >> 8 * i);
	return r->error;
}

static inline void recorder_released(void *opaque)
{
	((struct recorder *)opaque)->released++;
}

static const struct bk_trap_ops recorder_ops = { .read = recorder_read,
						 .write = recorder_write,
						 .released = recorder_released };

static inline struct bk_trap *add(struct fixture *f, struct recorder *r, unsigned region, uint64_t offset,
				  uint64_t length, int priority)
{
	struct bk_trap_desc desc = {
		.region = region,
		.offset = offset,
		.length = length,
		.priority = priority,
		.name = "recorder",
		.ops = &recorder_ops,
		.opaque = r,
	};
	struct bk_trap *trap;
	struct bk_error err;

	r->base = offset;
	r->region = region;
	if (bk_trap_add(f->mediate, &desc, &trap, &err))
		fail_msg("%s", err.text);
	assert_non_null(trap);
	return trap;
}

static inline uint64_t rd(struct fixture *f, unsigned region, uint64_t offset, unsigned width)
{
	uint64_t value = 0;

	bk_space_read(bk_mediator_space(f->mediate, region), offset, width, &value);
	return value;
}

static inline void wr(struct fixture *f, unsigned region, uint64_t offset, unsigned width, uint64_t value)
{
	bk_space_write(bk_mediator_space(f->mediate, region), offset, width, value);
}

/* Config space, as a guest sees it. */
static inline uint64_t cfg(struct fixture *f, unsigned offset, unsigned width)
{
	return rd(f, BK_DEVICE_CONFIG, offset, width);
}

static inline void cfg_write(struct fixture *f, unsigned offset, unsigned width, uint64_t value)
{
	wr(f, BK_DEVICE_CONFIG, offset, width, value);
}

static inline uint64_t ones(unsigned width)
{
	return UINT64_MAX >> (64 - 8 * width);
}

struct find_page {
	uint64_t first, last;
	bool mapped;
};

static inline bool find_page(void *opaque, const struct bk_flat *flat)
{
	struct find_page *find = opaque;

	if (flat->memory && flat->first <= find->first && flat->last >= find->last)
		find->mapped = true;
	return true;
}

static inline bool page_is_mapped(struct fixture *f, unsigned region, uint64_t page)
{
	struct find_page find = { page, page + 4095, false };

	bk_space_visit(bk_mediator_space(f->mediate, region), page, page + 4095, find_page, &find);
	return find.mapped;
}

#endif
