/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages of vfio-user: what is valid, what is not, and what JSON says. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "wire/version.h"

static const struct bk__wire_limits lenient = { .data = BK__WIRE_DATA, .minor = 2, .multi = true };
static const struct bk__wire_limits strict = {
	.data = BK__WIRE_DATA, .minor = 2, .multi = true, .strict = true
};

static int fds[BK__WIRE_FDS_ANYHOW];

static struct bk__wire_message message_of(unsigned command, const void *payload, size_t size,
					  unsigned fd_count)
{
	return (struct bk__wire_message){
		.header = { .command = (uint16_t)command,
			    .size = (uint32_t)(size + sizeof(struct bk__wire_header)) },
		.payload = payload,
		.size = size,
		.fds = fds,
		.fd_count = fd_count,
	};
}

static int check(const struct bk__wire_limits *limits, unsigned command, const void *payload, size_t size,
		 unsigned fd_count)
{
	const struct bk__wire_message message = message_of(command, payload, size, fd_count);
	struct bk__wire_request request;
	struct bk_error err = { { 0 } };
	const int error = bk__wire_check(&message, limits, &request, &err);

	assert_true(!error == !err.text[0]);
	return error;
}

#define CHECK(limits, command, payload, fd_count) \
	check(limits, command, &(payload), sizeof(payload), fd_count)

static void a_frame_is_whole_or_waits_or_is_bad(void **state)
{
	struct bk__wire_header in = { .id = 7, .command = 9, .size = 32 }, out;

	assert_int_equal(bk__wire_frame(&in, 15, 100, &out), -EAGAIN);
	assert_int_equal(bk__wire_frame(&in, 31, 100, &out), -EAGAIN);
	assert_int_equal(bk__wire_frame(&in, 32, 100, &out), 0);
	assert_int_equal(out.id, 7);
	assert_int_equal(bk__wire_frame(&in, 32, 32, &out), 0);
	assert_int_equal(bk__wire_frame(&in, 32, 31, &out), -EPROTO);
	in.size = 15;
	assert_int_equal(bk__wire_frame(&in, 32, 100, &out), -EPROTO);
	in.size = 16;
	assert_int_equal(bk__wire_frame(&in, 16, 100, &out), 0);
}

static void headers(void **state)
{
	struct bk__wire_region_access access = { .offset = 0, .region = 7, .count = 4 };
	struct bk__wire_message message = message_of(BK__WIRE_REGION_READ, &access, sizeof(access), 0);
	struct bk__wire_request request;

	message.header.flags = BK__WIRE_NO_REPLY;
	assert_int_equal(bk__wire_check(&message, &strict, &request, NULL), 0);
	assert_int_equal(request.access.region, 7);
	assert_int_equal(request.size, 0);
	message.header.flags = BK__WIRE_REPLY;
	assert_int_equal(bk__wire_check(&message, &lenient, &request, NULL), -EINVAL);
	message.header.flags = 2;
	assert_int_equal(bk__wire_check(&message, &lenient, &request, NULL), -EINVAL);
	message.header.flags = BK__WIRE_ERROR;
	assert_int_equal(bk__wire_check(&message, &lenient, &request, NULL), -EINVAL);
	message.header.flags = 0x40;
	assert_int_equal(bk__wire_check(&message, &lenient, &request, NULL), 0);
	assert_int_equal(bk__wire_check(&message, &strict, &request, NULL), -EINVAL);
	message.header.flags = 0;
	message.header.error = 1;
	assert_int_equal(bk__wire_check(&message, &lenient, &request, NULL), 0);
	assert_int_equal(bk__wire_check(&message, &strict, &request, NULL), -EINVAL);
}

static void commands_that_do_not_exist(void **state)
{
	static const uint8_t zero[64];

	assert_int_equal(check(&lenient, 0, zero, 64, 0), -ENOTSUP);
	assert_int_equal(check(&lenient, BK__WIRE_DIRTY_PAGES, zero, 64, 0), -ENOTSUP);
	assert_int_equal(check(&lenient, BK__WIRE_COMMANDS, zero, 64, 0), -ENOTSUP);
	assert_int_equal(check(&lenient, 0xffff, zero, 64, 0), -ENOTSUP);
}

/* One byte less than the fixed part is refused, for each command. */
static void short_messages(void **state)
{
	static const struct {
		unsigned command;
		size_t fixed;
	} shapes[] = {
		{ BK__WIRE_VERSION, 4 },        { BK__WIRE_DMA_MAP, 32 },     { BK__WIRE_DMA_UNMAP, 24 },
		{ BK__WIRE_DEVICE_INFO, 16 },   { BK__WIRE_REGION_INFO, 32 }, { BK__WIRE_REGION_IO_FDS, 16 },
		{ BK__WIRE_IRQ_INFO, 16 },      { BK__WIRE_SET_IRQS, 20 },    { BK__WIRE_REGION_READ, 16 },
		{ BK__WIRE_REGION_WRITE, 16 },  { BK__WIRE_DMA_READ, 16 },    { BK__WIRE_DMA_WRITE, 16 },
		{ BK__WIRE_WRITE_MULTI, 8 },    { BK__WIRE_FEATURE, 8 },      { BK__WIRE_MIG_DATA_READ, 8 },
		{ BK__WIRE_MIG_DATA_WRITE, 8 },
	};
	static const uint8_t zero[64];

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		assert_int_equal(check(&lenient, shapes[i].command, zero, shapes[i].fixed - 1, 0), -EINVAL);
		if (shapes[i].command != BK__WIRE_SET_IRQS)
			assert_int_equal(check(&lenient, shapes[i].command, zero, 64, BK__WIRE_FDS), -EINVAL);
	}
	assert_int_equal(check(&strict, BK__WIRE_RESET, zero, 0, 0), 0);
	assert_int_equal(check(&strict, BK__WIRE_RESET, zero, 1, 0), -EINVAL);
	assert_int_equal(check(&lenient, BK__WIRE_RESET, zero, 1, 0), 0);
}

static void maps(void **state)
{
	const struct bk__wire_limits old = { .data = BK__WIRE_DATA, .minor = 1 };
	const struct bk__wire_dma_map good = { 32, 3, 0, 0x1000, 0x1000 };
	struct bk__wire_dma_map map = good;

	assert_int_equal(CHECK(&strict, BK__WIRE_DMA_MAP, map, 0), 0);
	assert_int_equal(CHECK(&strict, BK__WIRE_DMA_MAP, map, 1), 0);
	assert_int_equal(CHECK(&strict, BK__WIRE_DMA_MAP, map, 2), -EINVAL);
	map.argsz = 31;
	assert_int_equal(CHECK(&lenient, BK__WIRE_DMA_MAP, map, 0), -EINVAL);
	map.argsz = 33;
	assert_int_equal(CHECK(&lenient, BK__WIRE_DMA_MAP, map, 0), 0);
	assert_int_equal(CHECK(&strict, BK__WIRE_DMA_MAP, map, 0), -EINVAL);
	map = good;
	map.flags = 16;
	assert_int_equal(CHECK(&lenient, BK__WIRE_DMA_MAP, map, 0), -EINVAL);
	map.flags = 3 | BK__WIRE_MAP_MMAP;
	assert_int_equal(CHECK(&lenient, BK__WIRE_DMA_MAP, map, 1), 0);
	assert_int_equal(CHECK(&lenient, BK__WIRE_DMA_MAP, map, 0), -EINVAL);
	assert_int_equal(CHECK(&old, BK__WIRE_DMA_MAP, map, 1), -EINVAL);
	map.flags |= BK__WIRE_MAP_FILE_IO;
	assert_int_equal(CHECK(&lenient, BK__WIRE_DMA_MAP, map, 1), -EINVAL);
	map = good;
	map.size = 0;
	assert_int_equal(CHECK(&lenient, BK__WIRE_DMA_MAP, map, 0), -EINVAL);
	map.address = UINT64_MAX - 0xfff;
	map.size = 0x1000;
	assert_int_equal(CHECK(&lenient, BK__WIRE_DMA_MAP, map, 0), 0);
	map.size = 0x1001;
	assert_int_equal(CHECK(&lenient, BK__WIRE_DMA_MAP, map, 0), -EINVAL);
	map = good;
	map.offset = UINT64_MAX - 0xffe;
	assert_int_equal(CHECK(&lenient, BK__WIRE_DMA_MAP, map, 1), -EINVAL);
}

static void unmaps(void **state)
{
	struct {
		struct bk__wire_dma_unmap unmap;
		uint64_t page, size;
	} with = { { 24, 0, 0x1000, 0x1000 }, 4096, 8 };
	struct bk__wire_dma_unmap unmap = with.unmap;

	assert_int_equal(CHECK(&strict, BK__WIRE_DMA_UNMAP, unmap, 0), 0);
	assert_int_equal(CHECK(&strict, BK__WIRE_DMA_UNMAP, with, 0), -EINVAL);
	with.unmap.flags = unmap.flags = BK__WIRE_UNMAP_BITMAP;
	assert_int_equal(CHECK(&strict, BK__WIRE_DMA_UNMAP, with, 0), 0);
	assert_int_equal(CHECK(&lenient, BK__WIRE_DMA_UNMAP, unmap, 0), -EINVAL);
	unmap.flags = BK__WIRE_UNMAP_ALL;
	assert_int_equal(CHECK(&lenient, BK__WIRE_DMA_UNMAP, unmap, 0), -EINVAL);
	unmap.address = unmap.size = 0;
	assert_int_equal(CHECK(&strict, BK__WIRE_DMA_UNMAP, unmap, 0), 0);
	unmap.flags = 0;
	assert_int_equal(CHECK(&lenient, BK__WIRE_DMA_UNMAP, unmap, 0), -EINVAL);
	unmap.flags = 4;
	assert_int_equal(CHECK(&lenient, BK__WIRE_DMA_UNMAP, unmap, 0), -EINVAL);
	unmap.flags = BK__WIRE_UNMAP_ALL | BK__WIRE_UNMAP_BITMAP;
	assert_int_equal(CHECK(&lenient, BK__WIRE_DMA_UNMAP, unmap, 0), -EINVAL);
}

static void infos(void **state)
{
	struct bk__wire_region_info region = { .argsz = 32 };
	struct bk__wire_irq_info irq = { .argsz = 16 };
	struct bk__wire_io_fds io_fds = { .argsz = 16 };
	uint8_t longer[400] = { 144 }; /* SPDK sends as much as it can take */

	assert_int_equal(CHECK(&strict, BK__WIRE_REGION_INFO, region, 0), 0);
	region.cap_offset = 32;
	assert_int_equal(CHECK(&lenient, BK__WIRE_REGION_INFO, region, 0), 0);
	assert_int_equal(CHECK(&strict, BK__WIRE_REGION_INFO, region, 0), -EINVAL);
	region.argsz = 31;
	assert_int_equal(CHECK(&lenient, BK__WIRE_REGION_INFO, region, 0), -EINVAL);
	assert_int_equal(CHECK(&lenient, BK__WIRE_REGION_INFO, longer, 0), 0);
	assert_int_equal(CHECK(&strict, BK__WIRE_REGION_INFO, longer, 0), 0);
	assert_int_equal(CHECK(&strict, BK__WIRE_IRQ_INFO, irq, 0), 0);
	irq.argsz = 15;
	assert_int_equal(CHECK(&lenient, BK__WIRE_IRQ_INFO, irq, 0), -EINVAL);
	assert_int_equal(CHECK(&lenient, BK__WIRE_DEVICE_INFO, irq, 0), -EINVAL);
	assert_int_equal(CHECK(&strict, BK__WIRE_REGION_IO_FDS, io_fds, 0), 0);
	io_fds.count = 1;
	assert_int_equal(CHECK(&lenient, BK__WIRE_REGION_IO_FDS, io_fds, 0), 0);
	assert_int_equal(CHECK(&strict, BK__WIRE_REGION_IO_FDS, io_fds, 0), -EINVAL);
}

static void irqs(void **state)
{
	struct {
		struct bk__wire_set_irqs set;
		uint8_t bools[4];
	} with = { { 24, BK__WIRE_IRQ_BOOL | BK__WIRE_IRQ_TRIGGER, 2, 0, 4 }, { 1, 0, 0, 1 } };
	struct bk__wire_set_irqs set = { 20, BK__WIRE_IRQ_FDS | BK__WIRE_IRQ_TRIGGER, 2, 0, 4 };

	assert_int_equal(CHECK(&strict, BK__WIRE_SET_IRQS, set, 4), 0);
	assert_int_equal(CHECK(&strict, BK__WIRE_SET_IRQS, set, 0), 0);
	assert_int_equal(CHECK(&lenient, BK__WIRE_SET_IRQS, set, 3), -EINVAL);
	assert_int_equal(CHECK(&lenient, BK__WIRE_SET_IRQS, set, 5), -EINVAL);
	set.flags = BK__WIRE_IRQ_NONE | BK__WIRE_IRQ_TRIGGER;
	assert_int_equal(CHECK(&strict, BK__WIRE_SET_IRQS, set, 0), 0);
	assert_int_equal(CHECK(&lenient, BK__WIRE_SET_IRQS, set, 4), -EINVAL);
	set.flags = BK__WIRE_IRQ_NONE;
	assert_int_equal(CHECK(&lenient, BK__WIRE_SET_IRQS, set, 0), -EINVAL);
	set.flags = BK__WIRE_IRQ_NONE | BK__WIRE_IRQ_BOOL | BK__WIRE_IRQ_MASK;
	assert_int_equal(CHECK(&lenient, BK__WIRE_SET_IRQS, set, 0), -EINVAL);
	set.flags = BK__WIRE_IRQ_NONE | BK__WIRE_IRQ_MASK | BK__WIRE_IRQ_UNMASK;
	assert_int_equal(CHECK(&lenient, BK__WIRE_SET_IRQS, set, 0), -EINVAL);
	set.flags = BK__WIRE_IRQ_NONE | BK__WIRE_IRQ_MASK | 64;
	assert_int_equal(CHECK(&lenient, BK__WIRE_SET_IRQS, set, 0), -EINVAL);
	set.flags = BK__WIRE_IRQ_NONE | BK__WIRE_IRQ_MASK;
	set.start = UINT32_MAX;
	assert_int_equal(CHECK(&lenient, BK__WIRE_SET_IRQS, set, 0), -EINVAL);
	assert_int_equal(CHECK(&strict, BK__WIRE_SET_IRQS, with, 0), 0);
	with.set.count = 5;
	with.set.argsz = 25;
	assert_int_equal(CHECK(&lenient, BK__WIRE_SET_IRQS, with, 0), -EINVAL);
	with.set.count = 3;
	assert_int_equal(CHECK(&lenient, BK__WIRE_SET_IRQS, with, 0), 0);
	assert_int_equal(CHECK(&strict, BK__WIRE_SET_IRQS, with, 0), -EINVAL);
	with.set.argsz = 22;
	assert_int_equal(CHECK(&lenient, BK__WIRE_SET_IRQS, with, 0), -EINVAL);
}

static void accesses(void **state)
{
	struct {
		struct bk__wire_region_access access;
		uint8_t data[8];
	} with = { { 0x10, 0, 8 }, { 0 } };
	struct bk__wire_region_access access = with.access;

	assert_int_equal(CHECK(&strict, BK__WIRE_REGION_READ, access, 0), 0);
	assert_int_equal(CHECK(&lenient, BK__WIRE_REGION_WRITE, access, 0), -EINVAL);
	assert_int_equal(CHECK(&strict, BK__WIRE_REGION_WRITE, with, 0), 0);
	with.access.count = 7;
	assert_int_equal(CHECK(&lenient, BK__WIRE_REGION_WRITE, with, 0), -EINVAL);
	with.access.count = 9;
	assert_int_equal(CHECK(&lenient, BK__WIRE_REGION_WRITE, with, 0), -EINVAL);
	access.count = 0;
	assert_int_equal(CHECK(&lenient, BK__WIRE_REGION_READ, access, 0), -EINVAL);
	access.count = BK__WIRE_DATA;
	assert_int_equal(CHECK(&lenient, BK__WIRE_REGION_READ, access, 0), 0);
	access.count++;
	assert_int_equal(CHECK(&lenient, BK__WIRE_REGION_READ, access, 0), -EINVAL);
	access.count = 2;
	access.offset = UINT64_MAX;
	assert_int_equal(CHECK(&lenient, BK__WIRE_REGION_READ, access, 0), -EINVAL);
}

static void several_writes(void **state)
{
	const struct bk__wire_limits without = { .data = BK__WIRE_DATA };
	struct {
		uint64_t count;
		struct bk__wire_write writes[2];
	} multi = { 2, { { 0, 1, 4, { 0 } }, { 8, 1, 8, { 0 } } } };

	assert_int_equal(CHECK(&strict, BK__WIRE_WRITE_MULTI, multi, 0), 0);
	assert_int_equal(CHECK(&without, BK__WIRE_WRITE_MULTI, multi, 0), -ENOTSUP);
	multi.writes[1].count = 9;
	assert_int_equal(CHECK(&lenient, BK__WIRE_WRITE_MULTI, multi, 0), -EINVAL);
	multi.writes[1].count = 0;
	assert_int_equal(CHECK(&lenient, BK__WIRE_WRITE_MULTI, multi, 0), -EINVAL);
	multi.count = 1;
	assert_int_equal(CHECK(&lenient, BK__WIRE_WRITE_MULTI, multi, 0), 0);
	assert_int_equal(CHECK(&strict, BK__WIRE_WRITE_MULTI, multi, 0), -EINVAL);
	multi.count = 3;
	assert_int_equal(CHECK(&lenient, BK__WIRE_WRITE_MULTI, multi, 0), -EINVAL);
	multi.count = UINT64_MAX / sizeof(multi.writes[0]) + 2;
	assert_int_equal(CHECK(&lenient, BK__WIRE_WRITE_MULTI, multi, 0), -EINVAL);
}

static void replies(void **state)
{
	struct bk__wire_region_access fixed, reply[2] = { { 1, 2, 3 } };
	struct bk__wire_message message = message_of(BK__WIRE_REGION_READ, reply, sizeof(reply), 0);
	const uint8_t *data;
	size_t size;

	message.header.flags = BK__WIRE_REPLY;
	assert_int_equal(
		bk__wire_check_reply(&message, BK__WIRE_REGION_READ, &fixed, sizeof(fixed), &data, &size), 0);
	assert_int_equal(fixed.region, 2);
	assert_ptr_equal(data, reply + 1);
	assert_int_equal(size, sizeof(reply[0]));
	assert_int_equal(bk__wire_check_reply(&message, BK__WIRE_RESET, &fixed, 0, &data, &size), -EPROTO);
	assert_int_equal(bk__wire_check_reply(&message, BK__WIRE_REGION_READ, &fixed, 33, &data, &size),
			 -EPROTO);
	message.header.flags = BK__WIRE_REPLY | BK__WIRE_ERROR;
	message.header.error = EEXIST;
	assert_int_equal(bk__wire_check_reply(&message, BK__WIRE_REGION_READ, &fixed, 33, &data, &size),
			 -EEXIST);
	message.header.error = 0;
	assert_int_equal(bk__wire_check_reply(&message, BK__WIRE_REGION_READ, &fixed, 33, &data, &size),
			 -EIO);
	message.header.error = UINT32_MAX;
	assert_int_equal(bk__wire_check_reply(&message, BK__WIRE_REGION_READ, &fixed, 33, &data, &size),
			 -EIO);
	message.header.flags = 0;
	assert_int_equal(bk__wire_check_reply(&message, BK__WIRE_REGION_READ, &fixed, 16, &data, &size),
			 -EPROTO);
}

/* ---- Region info ------------------------------------------------------- */

struct areas {
	unsigned count;
	struct bk__wire_area list[8];
};

static void keep_area(void *opaque, const struct bk__wire_area *area)
{
	struct areas *areas = opaque;

	assert_true(areas->count < 8);
	areas->list[areas->count++] = *area;
}

static int take_info(const void *payload, size_t size, struct areas *areas, bool *sparse)
{
	struct bk__wire_region_info info;

	areas->count = 0;
	return bk__wire_region_info_take(payload, size, &info, sparse, keep_area, areas);
}

static void region_info_there_and_back(void **state)
{
	const struct bk__wire_area areas[2] = { { 0, 0x1000 }, { 0x3000, 0x1000 } };
	struct bk__wire_region_info info = { .flags = 7, .size = 0x4000 };
	uint8_t payload[256];
	struct areas seen;
	bool sparse;

	assert_int_equal(bk__wire_region_info_put(payload, 32, &info, areas, 2), 32);
	assert_int_equal(info.argsz, 32 + 16 + 32);
	assert_int_equal(info.cap_offset, 32); /* what QEMU's client looks at before it asks again */
	assert_int_equal(take_info(payload, 32, &seen, &sparse), -EPROTO);
	assert_int_equal(bk__wire_region_info_put(payload, 79, &info, areas, 2), 32);
	assert_int_equal(bk__wire_region_info_put(payload, 80, &info, areas, 2), 80);
	assert_int_equal(take_info(payload, 80, &seen, &sparse), 0);
	assert_true(sparse);
	assert_int_equal(seen.count, 2);
	assert_memory_equal(seen.list, areas, sizeof(areas));
	info = (struct bk__wire_region_info){ .flags = 3, .size = 0x4000 };
	assert_int_equal(bk__wire_region_info_put(payload, 256, &info, NULL, 0), 32);
	assert_int_equal(info.flags, 3);
	assert_int_equal(take_info(payload, 32, &seen, &sparse), 0);
	assert_false(sparse);
	assert_int_equal(bk__wire_region_info_put(payload, 31, &info, NULL, 0), 0);
}

static void hostile_region_info(void **state)
{
	struct {
		struct bk__wire_region_info info;
		struct bk__wire_cap_sparse sparse;
		struct bk__wire_area areas[2];
	} good = { { 80, 15, 0, 32, 0x4000, 0 },
		   { { BK__WIRE_CAP_SPARSE, 1, 0 }, 2, 0 },
		   { { 0, 0x1000 }, { 0x3000, 0x1000 } } },
	  bad;
	struct areas seen;
	bool sparse;

	assert_int_equal(take_info(&good, sizeof(good), &seen, &sparse), 0);
#define BAD(statement)                                                                   \
	do {                                                                             \
		bad = good;                                                              \
		statement;                                                               \
		assert_int_equal(take_info(&bad, sizeof(bad), &seen, &sparse), -EPROTO); \
	} while (0)
	BAD(bad.info.argsz = 81);
	BAD(bad.info.argsz = 31);
	BAD(bad.info.cap_offset = 31);
	BAD(bad.info.cap_offset = 73);
	BAD(bad.info.cap_offset = UINT32_MAX);
	BAD(bad.sparse.cap.next = 32);
	BAD(bad.sparse.cap.next = 39);
	BAD(bad.sparse.count = 3);
	BAD(bad.sparse.count = UINT32_MAX);
	BAD(bad.areas[1].size = 0x1001);
	BAD(bad.areas[1].size = 0);
	BAD(bad.areas[1].offset = UINT64_MAX);
#undef BAD
	bad = good;
	bad.sparse.cap.id = BK__WIRE_CAP_MSIX; /* only its header counts */
	assert_int_equal(take_info(&bad, sizeof(bad), &seen, &sparse), 0);
	assert_false(sparse);
	assert_int_equal(take_info(&bad, 31, &seen, &sparse), -EPROTO);
}

static void sub_regions_of_both_sizes(void **state)
{
	struct bk__wire_io_fd text[2] = { { .offset = 1 }, { .offset = 2, .datamatch = 3 } }, out;
	uint64_t shadow[12] = { [6] = 5, [11] = 7 };

	assert_int_equal(bk__wire_io_fd_take(text, sizeof(text), 2, 1, &out), 0);
	assert_int_equal(out.offset, 2);
	assert_int_equal(out.datamatch, 3);
	assert_int_equal(bk__wire_io_fd_take(shadow, sizeof(shadow), 2, 1, &out), 0);
	assert_int_equal(out.offset, 5);
	assert_int_equal(out.datamatch, 7);
	assert_int_equal(bk__wire_io_fd_take(text, sizeof(text), 2, 2, &out), -EPROTO);
	assert_int_equal(bk__wire_io_fd_take(text, sizeof(text), 1, 0, &out), -EPROTO);
	assert_int_equal(bk__wire_io_fd_take(text, sizeof(text) - 1, 2, 0, &out), -EPROTO);
	assert_int_equal(bk__wire_io_fd_take(text, 0, 0, 0, &out), -EPROTO);
}

/* ---- VERSION ----------------------------------------------------------- */

static int take_text(const char *text, size_t size, struct bk__wire_version *version)
{
	const struct bk__wire_version_header header = { .minor = 1 };
	uint8_t payload[8192] = { 0 };
	struct bk_error err = { { 0 } };
	int error;

	assert_true(size + 4 <= sizeof(payload));
	memcpy(payload, &header, sizeof(header));
	memcpy(payload + 4, text, size);
	error = bk__wire_version_take(payload, size + 4, version, &err);
	assert_true(!error == !err.text[0]);
	return error;
}

#define TEXT(text, version) take_text(text, sizeof(text), version)

static void versions_in_the_wild(void **state)
{
	struct bk__wire_version version;

	assert_int_equal(take_text("", 0, &version), 0); /* SPDK */
	assert_int_equal(version.minor, 1);
	assert_int_equal(version.has, 0);
	assert_int_equal(version.fds, 1);
	assert_int_equal(version.data, 1 << 20);
	assert_int_equal(TEXT("", &version), 0);
	assert_int_equal(TEXT("{}", &version), 0);
	assert_int_equal(TEXT("{\"capabilities\": {\"max_msg_fds\": 16, \"max_data_xfer_size\": 1048576, "
			      "\"pgsizes\": 4096, \"max_dma_maps\": 65535, \"write_multiple\": true, "
			      "\"migration\": {\"pgsize\": 4096, \"max_bitmap_size\": 268435456}}}",
			      &version),
			 0); /* QEMU */
	assert_int_equal(version.fds, 16);
	assert_true(version.multi);
	assert_int_equal(version.has, BK__WIRE_HAS_FDS | BK__WIRE_HAS_DATA | BK__WIRE_HAS_PGSIZES |
					      BK__WIRE_HAS_MAPS | BK__WIRE_HAS_MULTI);
	assert_int_equal(take_text("{\"capabilities\":{}}", 19, &version), 0); /* no NUL */
	assert_int_equal(
		TEXT("{\"capabilities\":{\"twin_socket\":{\"supported\":true,\"fd_index\":2}}}", &version),
		0);
	assert_true(version.twin);
	assert_int_equal(version.twin_index, 2);
}

static void texts_that_make_no_sense(void **state)
{
	static const char *const texts[] = {
		"{",
		"[]",
		"1",
		"{} {}",
		"{\"capabilities\":[]}",
		"{\"capabilities\":{\"max_msg_fds\":-1}}",
		"{\"capabilities\":{\"max_msg_fds\":4294967296}}",
		"{\"capabilities\":{\"max_msg_fds\":\"1\"}}",
		"{\"capabilities\":{\"max_msg_fds\":1.5}}",
		"{\"capabilities\":{\"write_multiple\":1}}",
		"{\"capabilities\":{\"twin_socket\":true}}",
		"{\"capabilities\":{\"twin_socket\":{\"supported\":1}}}",
		"{\"capabilities\":{\"twin_socket\":{\"fd_index\":-1}}}",
		"{\"a\":[[[[[[[[[[]]]]]]]]]]}",
		"{\"capabilities\":{}",
	};
	struct bk__wire_version version;
	char text[BK__WIRE_VERSION_TEXT + 1];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(take_text(texts[i], strlen(texts[i]) + 1, &version), -EINVAL);
	assert_int_equal(take_text("{}\0{}", 6, &version), -EINVAL);
	memset(text, ' ', sizeof(text));
	memcpy(text, "{}", 2);
	assert_int_equal(take_text(text, sizeof(text), &version), -EINVAL);
	assert_int_equal(take_text(text, sizeof(text) - 1, &version), -EINVAL);
	text[sizeof(text) - 2] = 0;
	assert_int_equal(take_text(text, sizeof(text) - 1, &version), 0);
	assert_int_equal(bk__wire_version_take("abc", 3, &version, NULL), -EINVAL);
}

static void a_version_there_and_back(void **state)
{
	struct bk__wire_version in = { .minor = 2,
				       .has = 63,
				       .fds = 16,
				       .data = 1 << 20,
				       .maps = 65535,
				       .pgsizes = UINT64_MAX,
				       .twin = true,
				       .multi = true,
				       .twin_index = 1 },
				out;
	uint8_t payload[512];
	int size = bk__wire_version_put(payload, sizeof(payload), &in, true);

	assert_true(size > 4);
	assert_int_equal(payload[size - 1], 0);
	assert_int_equal(bk__wire_version_take(payload, (size_t)size, &out, NULL), 0);
	assert_memory_equal(&in, &out, sizeof(in));
	assert_int_equal(bk__wire_version_put(payload, (size_t)size - 1, &in, true), -ENOBUFS);
	in.has = 0;
	size = bk__wire_version_put(payload, sizeof(payload), &in, true);
	assert_string_equal((char *)payload + 4, "{\"capabilities\":{}}");
	in.has = BK__WIRE_HAS_TWIN;
	bk__wire_version_put(payload, sizeof(payload), &in, false);
	assert_string_equal((char *)payload + 4, "{\"capabilities\":{\"twin_socket\":{\"supported\":true}}}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_is_whole_or_waits_or_is_bad),
		cmocka_unit_test(headers),
		cmocka_unit_test(commands_that_do_not_exist),
		cmocka_unit_test(short_messages),
		cmocka_unit_test(maps),
		cmocka_unit_test(unmaps),
		cmocka_unit_test(infos),
		cmocka_unit_test(irqs),
		cmocka_unit_test(accesses),
		cmocka_unit_test(several_writes),
		cmocka_unit_test(replies),
		cmocka_unit_test(region_info_there_and_back),
		cmocka_unit_test(hostile_region_info),
		cmocka_unit_test(sub_regions_of_both_sizes),
		cmocka_unit_test(versions_in_the_wild),
		cmocka_unit_test(texts_that_make_no_sense),
		cmocka_unit_test(a_version_there_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
