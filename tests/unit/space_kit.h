/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of the address space share: a device that notes its accesses, and short forms. */
#ifndef TESTS_SPACE_KIT_H
#define TESTS_SPACE_KIT_H

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <barkeep/space.h>

/* Byte at offset o of device `id` reads as id + o, so that a value tells who answered from where. */
struct device {
	uint8_t id;
	int fail;          /* errno to fail with */
	unsigned released; /* atomic */
	unsigned reads, writes;
	struct {
		uint64_t offset, value;
		unsigned width;
	} log[64];
	unsigned logged;
	uint64_t raw; /* what `read` stores, if not 0 */
};

static inline void note(struct device *d, uint64_t offset, unsigned width, uint64_t value)
{
	if (d->logged < 64) {
		d->log[d->logged].offset = offset;
		d->log[d->logged].width = width;
		d->log[d->logged].value = value;
		d->logged++;
	}
}

static inline int device_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	struct device *d = opaque;
	uint64_t v = 0;

	d->reads++;
	for (unsigned i = 0; i < width; i++)
		v |= (uint64_t)(uint8_t)(d->id + offset + i) << 8 * i;
	*value = d->raw ? d->raw : v;
	note(d, offset, width, v);
	return d->fail;
}

static inline int device_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	struct device *d = opaque;

	d->writes++;
	note(d, offset, width, value);
	return d->fail;
}

static inline void device_released(void *opaque)
{
	struct device *d = opaque;

	__atomic_fetch_add(&d->released, 1, __ATOMIC_SEQ_CST);
}

static const struct bk_region_ops device_ops = {
	.read = device_read,
	.write = device_write,
	.released = device_released,
};

static inline int try_add(struct bk_space *space, const struct bk_region_desc *desc,
			  struct bk_region **region)
{
	return bk_region_add(space, desc, region, NULL);
}

static inline struct bk_region_desc device_at(struct device *d, uint64_t first, uint64_t last, int priority,
					      uint64_t rank)
{
	return (struct bk_region_desc){
		.name = "device",
		.first = first,
		.last = last,
		.priority = priority,
		.rank = rank,
		.ops = &device_ops,
		.opaque = d,
	};
}

static inline struct bk_region *add(struct bk_space *space, struct device *d, uint64_t first, uint64_t last,
				    int priority, uint64_t rank)
{
	struct bk_region_desc desc = device_at(d, first, last, priority, rank);
	struct bk_region *region = NULL;

	assert_int_equal(try_add(space, &desc, &region), 0);
	return region;
}

static inline struct bk_region *nest(struct bk_space *space, struct bk_space *inner, uint64_t first,
				     uint64_t last, uint64_t nested_first, int priority, uint64_t rank)
{
	struct bk_region_desc desc = {
		.name = "window",
		.first = first,
		.last = last,
		.priority = priority,
		.rank = rank,
		.kind = BK_REGION_NESTED,
		.nested = inner,
		.nested_first = nested_first,
	};
	struct bk_region *region = NULL;

	assert_int_equal(try_add(space, &desc, &region), 0);
	return region;
}

static inline struct bk_region *map(struct bk_space *space, void *host, uint64_t first, uint64_t last,
				    int priority, uint64_t rank, unsigned attributes)
{
	struct bk_region_desc desc = {
		.name = "memory",
		.first = first,
		.last = last,
		.priority = priority,
		.rank = rank,
		.kind = BK_REGION_MAPPED,
		.memory = { .host = host, .fd = -1, .attributes = attributes },
	};
	struct bk_region *region = NULL;

	assert_int_equal(try_add(space, &desc, &region), 0);
	return region;
}

static inline void move(struct bk_region *region, struct bk_domain *domain, uint64_t first, uint64_t last)
{
	struct bk_update *u = bk_update_begin(domain);

	assert_int_equal(bk_update_move(u, region, first, last), 0);
	assert_int_equal(bk_update_commit(u, NULL), 0);
}

static inline void enable(struct bk_region *region, struct bk_domain *domain, bool enabled)
{
	struct bk_update *u = bk_update_begin(domain);

	assert_int_equal(bk_update_enable(u, region, enabled), 0);
	assert_int_equal(bk_update_commit(u, NULL), 0);
}

static inline void drop(struct bk_region *region, struct bk_domain *domain)
{
	struct bk_update *u = bk_update_begin(domain);

	assert_int_equal(bk_update_remove(u, region), 0);
	assert_int_equal(bk_update_commit(u, NULL), 0);
}

static inline uint64_t read_at(struct bk_space *space, uint64_t address, unsigned width)
{
	uint64_t value = 0x1234567812345678;

	assert_int_equal(bk_space_read(space, address, width, &value), 0);
	return value;
}

/* Which byte answers; 0xff where nobody does (no device has that at a tested place). */
static inline unsigned at(struct bk_space *space, uint64_t address)
{
	return (unsigned)read_at(space, address, 1);
}

/* The flat view as text: "first-last region offset;" in hex. */
static inline bool flat_line(void *opaque, const struct bk_flat *flat)
{
	char *text = opaque;
	size_t length = strlen(text);

	snprintf(text + length, 4096 - length, "%" PRIx64 "-%" PRIx64 " %s+%" PRIx64 ";", flat->first,
		 flat->last, bk_region_name(flat->region), flat->offset);
	return true;
}

static inline const char *flat(struct bk_space *space, char text[4096])
{
	text[0] = 0;
	bk_space_visit(space, 0, UINT64_MAX, flat_line, text);
	return text;
}

#define assert_flat(space, expected)                                   \
	do {                                                           \
		char flat_text[4096];                                  \
		assert_string_equal(flat(space, flat_text), expected); \
	} while (0)

#endif
