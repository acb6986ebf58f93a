/* SPDX-License-Identifier: BSD-2-Clause */
/* The sim back: registers, config space, interrupts, and what its loader refuses. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "device/sim.h"

#define HEAD "name: x\nvendor: 0x1234\ndevice: 0x11e8\nclass: 0xff0000\n"

static struct bk_device *open_text(const char *text)
{
	struct bk_device *device = NULL;
	struct bk_error err = { "" };

	if (bk__sim_open_text("x.yaml", text, strlen(text), "sim:x.yaml", &device, &err))
		fail_msg("%s", err.text);
	return device;
}

static struct bk_device *open_example(const char *name)
{
	struct bk_device_context *context = bk_device_context_create();
	struct bk_device *device = NULL;
	struct bk_error err = { "" };
	char spec[512];

	snprintf(spec, sizeof(spec), "sim:%s/%s", EXAMPLES, name);
	if (bk_device_open(context, spec, &device, &err))
		fail_msg("%s", err.text);
	bk_device_context_destroy(context);
	return device;
}

static uint64_t get(struct bk_device *device, unsigned region, uint64_t offset, unsigned width)
{
	uint8_t bytes[8];
	uint64_t value = 0;

	assert_int_equal(bk_device_read(device, region, offset, bytes, width), 0);
	for (unsigned i = 0; i < width; i++)
		value |= (uint64_t)bytes[i] << 8 * i;
	return value;
}

static void put(struct bk_device *device, unsigned region, uint64_t offset, uint64_t value, unsigned width)
{
	uint8_t bytes[8];

	for (unsigned i = 0; i < width; i++)
		bytes[i] = (uint8_t)(value >> 8 * i);
	assert_int_equal(bk_device_write(device, region, offset, bytes, width), 0);
}

/* ---- Registers ---- */

static void registers_by_access(void **state)
{
	struct bk_device *device = open_text(
		HEAD "bars:\n- index: 0\n  kind: mem32\n  size: 4K\n  fill: 0xa5a5a5a5\n  registers:\n"
		     "  - {name: a, offset: 0x0, access: ro, reset: 0x11223344}\n"
		     "  - {name: b, offset: 0x4, access: rw, mask: 0x00ffff00, reset: 0xaabbccdd}\n"
		     "  - {name: c, offset: 0x8, access: w1c, mask: 0xff, reset: 0x1ff}\n"
		     "  - {name: d, offset: 0xc, access: rc, reset: 0x01020304}\n"
		     "  - {name: e, offset: 0x10, access: wo}\n"
		     "  - {name: f, offset: 0x14, width: 1, access: rw}\n"
		     "  - {name: g, offset: 0x15, width: 2, access: rw, reset: 0xbeef}\n"
		     "  - {name: h, offset: 0x18, width: 8, access: rw, reset: 0x1122334455667788}\n");

	put(device, 0, 0, 0, 4);
	assert_int_equal(get(device, 0, 0, 4), 0x11223344);
	put(device, 0, 4, 0x11111111, 4);
	assert_int_equal(get(device, 0, 4, 4), 0xaa1111dd);
	put(device, 0, 8, 0x103, 4);
	assert_int_equal(get(device, 0, 8, 4), 0x1fc);
	/* Only the bytes that are read are cleared. */
	assert_int_equal(get(device, 0, 0xd, 1), 0x03);
	assert_int_equal(get(device, 0, 0xc, 4), 0x01020004);
	assert_int_equal(get(device, 0, 0xc, 4), 0);
	put(device, 0, 0x10, 0x77, 4);
	assert_int_equal(get(device, 0, 0x10, 4), 0);
	/* One access over two registers and a byte of the pattern. */
	put(device, 0, 0x14, 0x99345612, 4);
	assert_int_equal(get(device, 0, 0x14, 4), 0xa5345612);
	assert_int_equal(get(device, 0, 0x18, 8), 0x1122334455667788);
	put(device, 0, 0x1a, 0xabcd, 2);
	assert_int_equal(get(device, 0, 0x18, 8), 0x11223344abcd7788);
	put(device, 0, 0x18, 0x0102030405060708, 8);
	assert_int_equal(get(device, 0, 0x1c, 4), 0x01020304);
	assert_int_equal(get(device, 0, 0x20, 4), 0xa5a5a5a5);
	put(device, 0, 0x20, 0, 4);
	assert_int_equal(get(device, 0, 0x20, 8), 0xa5a5a5a5a5a5a5a5);
	/* Wider over two: each is told of its bytes. */
	put(device, 0, 0, 0xffffffff00000000, 8);
	assert_int_equal(get(device, 0, 0, 8), 0xaaffffdd11223344);

	assert_int_equal(bk_device_reset(device), 0);
	assert_int_equal(get(device, 0, 4, 4), 0xaabbccdd);
	assert_int_equal(get(device, 0, 8, 4), 0x1ff);
	assert_int_equal(get(device, 0, 0xc, 4), 0x01020304);
	assert_int_equal(get(device, 0, 0x14, 4), 0xa5beef00);
	bk_device_close(device);
}

static void accesses_keep_their_width(void **state)
{
	struct bk_device *device = open_text(
		HEAD "bars:\n- {index: 0, kind: mem32, size: 4K}\n- {index: 1, kind: io, size: 64}\n");
	struct bk__sim_access list[BK__SIM_ACCESSES + 10];
	uint8_t data[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };

	for (unsigned width = 1; width <= 8; width *= 2) {
		get(device, 0, 0x10, width);
		put(device, 0, 0x18, 0x1122334455667788, width);
		assert_int_equal(bk__sim_accesses(device, list, 2), 2);
		assert_int_equal(list[0].width, width);
		assert_int_equal(list[0].write, false);
		assert_int_equal(list[0].offset, 0x10);
		assert_int_equal(list[1].width, width);
		assert_int_equal(list[1].write, true);
		assert_int_equal(list[1].offset, 0x18);
		assert_int_equal(list[1].value, 0x1122334455667788 & (~0ull >> (64 - 8 * width)));
		assert_int_equal(bk__sim_count(device, 0, width, true), 1);
		assert_int_equal(bk__sim_count(device, 0, width, false), 1);
	}
	/* 9 bytes from 3: 1 + 4 + 4. */
	assert_int_equal(bk_device_write(device, 0, 3, data, 9), 0);
	assert_int_equal(bk__sim_accesses(device, list, 3), 3);
	assert_int_equal(list[0].width, 1);
	assert_int_equal(list[1].width, 4);
	assert_int_equal(list[1].offset, 4);
	assert_int_equal(list[1].value, 0x05040302);
	assert_int_equal(list[2].width, 4);
	assert_int_equal(list[2].value, 0x09080706);
	/* Ports and config space have no 8-byte accesses. */
	assert_int_equal(bk_device_read(device, 1, 8, data, 8), 0);
	assert_int_equal(bk__sim_count(device, 1, 4, false), 2);
	assert_int_equal(bk__sim_count(device, 1, 8, false), 0);
	assert_int_equal(bk_device_read(device, BK_DEVICE_CONFIG, 0x40, data, 8), 0);
	assert_int_equal(bk__sim_count(device, BK_DEVICE_CONFIG, 4, false), 2);
	/* The ring keeps the latest. */
	for (unsigned i = 0; i < 1000; i++)
		get(device, 0, i, 1);
	assert_int_equal(bk__sim_accesses(device, list, BK__SIM_ACCESSES + 10), BK__SIM_ACCESSES);
	assert_int_equal(list[0].offset, 1000 - BK__SIM_ACCESSES);
	assert_int_equal(list[BK__SIM_ACCESSES - 1].offset, 999);
	bk_device_close(device);
}

static void accesses_past_the_end_are_refused(void **state)
{
	struct bk_device *device = open_text(HEAD "bars:\n- {index: 0, kind: mem32, size: 4K}\nrom: {size: 2K}\n");
	uint8_t data[8] = { 0 };

	assert_int_equal(bk_device_read(device, 0, 4096, data, 1), -EINVAL);
	assert_int_equal(bk_device_read(device, 0, 4092, data, 8), -EINVAL);
	assert_int_equal(bk_device_write(device, 0, UINT64_MAX, data, 2), -EINVAL);
	assert_int_equal(bk_device_read(device, 0, 0, data, SIZE_MAX), -EINVAL);
	assert_int_equal(bk_device_read(device, 1, 0, data, 1), -EINVAL);
	assert_int_equal(bk_device_read(device, BK_DEVICE_VGA, 0, data, 1), -EINVAL);
	assert_int_equal(bk_device_read(device, 9, 0, data, 1), -EINVAL);
	assert_int_equal(bk_device_read(device, UINT32_MAX, 0, data, 1), -EINVAL);
	assert_int_equal(bk_device_read(device, BK_DEVICE_CONFIG, 256, data, 1), -EINVAL);
	assert_int_equal(bk_device_write(device, BK_DEVICE_ROM, 0, data, 1), -EINVAL);
	assert_int_equal(bk_device_read(device, BK_DEVICE_ROM, 2047, data, 1), 0);
	assert_int_equal(data[0], 0xff);
	bk_device_close(device);
}

/* ---- Config space ---- */

static void config_is_a_real_device_s(void **state)
{
	struct bk_device *device = open_example("edu.yaml");
	struct bk_device_region region;

	assert_int_equal(bk_device_region(device, BK_DEVICE_CONFIG, &region), 0);
	assert_int_equal(region.size, 256);
	assert_int_equal(get(device, 7, 0x00, 4), 0x11e81234);
	assert_int_equal(get(device, 7, 0x04, 4), 0x00100002); /* memory on, capabilities */
	assert_int_equal(get(device, 7, 0x08, 4), 0x00ff0010);
	assert_int_equal(get(device, 7, 0x2c, 4), 0x11001af4);
	assert_int_equal(get(device, 7, 0x3d, 1), 1);
	/* One capability: MSI of 64 bits, one vector. */
	assert_int_equal(get(device, 7, 0x34, 1), 0x40);
	assert_int_equal(get(device, 7, 0x40, 4), 0x00800005);
	put(device, 7, 0x42, 0xffff, 2);
	assert_int_equal(get(device, 7, 0x42, 2), 0x00f1);
	put(device, 7, 0x44, 0xfee00fff, 4);
	assert_int_equal(get(device, 7, 0x44, 4), 0xfee00ffc);
	/* IDs cannot be written, bytes of registers can. */
	put(device, 7, 0x00, 0, 4);
	assert_int_equal(get(device, 7, 0x00, 4), 0x11e81234);
	put(device, 7, 0x3c, 0x55, 1);
	assert_int_equal(get(device, 7, 0x3c, 2), 0x0155);
	assert_int_equal(bk_device_reset(device), 0);
	assert_int_equal(get(device, 7, 0x3c, 2), 0x010b);
	bk_device_close(device);
}

static void bars_can_be_sized_and_the_mirror_shows_the_host_s(void **state)
{
	struct bk_device *device = open_example("edu.yaml");
	uint64_t bar0 = get(device, 7, 0x10, 4), bar2 = get(device, 7, 0x18, 4);

	assert_int_not_equal(bar0, 0);
	assert_int_equal(bar0 & 0xfffff, 0);
	assert_int_not_equal(bar2, 0);
	assert_int_equal(get(device, 2, 0xf10, 4), bar0);
	put(device, 7, 0x10, 0xffffffff, 4);
	assert_int_equal(get(device, 7, 0x10, 4), 0xfff00000);
	put(device, 7, 0x12, 0xab, 1);
	assert_int_equal(get(device, 7, 0x10, 4), 0xffa00000);
	put(device, 7, 0x14, 0xffffffff, 4);
	assert_int_equal(get(device, 7, 0x14, 4), 0);
	/* The hardware stays where it was, as does what it shows; this mirror cannot be written. */
	assert_int_equal(get(device, 2, 0xf10, 4), bar0);
	assert_int_equal(get(device, 2, 0xf18, 4), bar2);
	put(device, 2, 0xf10, 0, 4);
	assert_int_equal(get(device, 2, 0xf10, 4), bar0);
	assert_int_equal(get(device, 2, 0xf00, 8), get(device, 7, 0, 4) | get(device, 7, 4, 4) << 32);
	assert_int_equal(get(device, 2, 0xeff, 1), 0);
	bk_device_close(device);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(config_is_a_real_device_s),
		cmocka_unit_test(bars_can_be_sized_and_the_mirror_shows_the_host_s),
		cmocka_unit_test(registers_by_access),
		cmocka_unit_test(accesses_keep_their_width),
		cmocka_unit_test(accesses_past_the_end_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
