/* SPDX-License-Identifier: BSD-2-Clause */
/* The sim back: registers, config space, interrupts, and what its loader refuses. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/bytes.h"
#include "areas.h"
#include "sim_device.h"

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
	struct bk_device *device =
		open_text(HEAD "bars:\n- {index: 0, kind: mem32, size: 4K}\nrom: {size: 2K}\n");
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
	struct bk_device_region region = { 0 };

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

/* A mirror that can be written is how a guest would move the hardware itself. */
static void a_writable_mirror_reaches_the_hardware(void **state)
{
	struct bk_device *device =
		open_text(HEAD "bars:\n- index: 0\n  kind: mem64\n  size: 4K\n"
			       "  mirror: {offset: 0x801, size: 0x40, config: 0, writable: true}\n");
	uint64_t bar = get(device, 7, 0x10, 4);

	put(device, 0, 0x811, 0xff, 1);
	put(device, 0, 0x812, 0xabcd, 2);
	assert_int_equal(get(device, 0, 0x812, 2), 0xabcd & 0xfff0);
	assert_int_equal(get(device, 7, 0x10, 4), bar);
	/* Decoding off, by the mirror, and nothing answers any more. */
	put(device, 0, 0x805, 0, 1);
	assert_int_equal(bk_device_read(device, 0, 0, &bar, 4), -EIO);
	put(device, 7, 4, 2, 2);
	get(device, 0, 0, 4);
	bk_device_close(device);
}

static void decoding_follows_command_and_power(void **state)
{
	struct bk_device *device = open_text(HEAD "bars:\n- {index: 0, kind: mem32, size: 4K}\n"
						  "- {index: 1, kind: io, size: 64}\n"
						  "capabilities:\n- pm: {no-soft-reset: false}\n");
	uint32_t data;

	assert_int_equal(get(device, 7, 4, 2), 3);
	put(device, 7, 4, 1, 2);
	assert_int_equal(bk_device_read(device, 0, 0, &data, 4), -EIO);
	assert_int_equal(bk_device_write(device, 0, 0, &data, 4), -EIO);
	get(device, 1, 0, 4);
	put(device, 7, 4, 3, 2);
	put(device, 7, 0x3c, 0x42, 1);
	put(device, 7, 0x44, 3, 2); /* D3hot */
	assert_int_equal(bk_device_read(device, 1, 0, &data, 4), -EIO);
	assert_int_equal(get(device, 7, 0x3c, 1), 0x42);
	put(device, 7, 0x44, 0, 2); /* back, and reset on the way */
	get(device, 1, 0, 4);
	assert_int_not_equal(get(device, 7, 0x3c, 1), 0x42);
	bk_device_close(device);
}

static void capabilities_are_chained_and_placed(void **state)
{
	struct bk_device *device = open_text(
		HEAD
		"express: true\nbars:\n- {index: 0, kind: mem64, size: 64K}\ncapabilities:\n"
		"- pm: {}\n- {msi: {vectors: 32, 64bit: false, maskable: true}, offset: 0x44}\n"
		"- msix: {vectors: 2048, bar: 0, table: 0x1000, pba: 0}\n- express: {flr: true}\n"
		"- af: {}\n- vendor: {bytes: [1, 2, 3], writable: true}\n- raw: {id: 0x14, bytes: [7, 8]}\n"
		"extended:\n- {raw: {id: 0x15, version: 2, bytes: [9]}, offset: 0x200}\n"
		"- vendor-specific: {id: 0xabcd, revision: 3, bytes: [0x11, 0x22]}\n- serial: "
		"0x1122334455667788\n");
	static const struct {
		unsigned offset, id;
	} chain[] = { { 0x58, 0x01 }, { 0x44, 0x05 }, { 0x60, 0x11 }, { 0x6c, 0x10 },
		      { 0xa8, 0x13 }, { 0xb0, 0x09 }, { 0x40, 0x14 } };
	unsigned at = (unsigned)get(device, 7, 0x34, 1);
	struct bk_device_irq irq = { 0 };

	for (unsigned i = 0; i < 7; i++) {
		assert_int_equal(at, chain[i].offset);
		assert_int_equal(get(device, 7, at, 1), chain[i].id);
		at = (unsigned)get(device, 7, at + 1, 1);
	}
	assert_int_equal(at, 0);
	assert_int_equal(get(device, 7, 0x46, 2), 0x010a);
	assert_int_equal(get(device, 7, 0x62, 2), 2047);
	assert_int_equal(get(device, 7, 0x64, 4), 0x1000);
	assert_int_equal(get(device, 7, 0x70, 4), 0x10008000);
	assert_int_equal(get(device, 7, 0xb2, 4), 0x03020106);
	put(device, 7, 0xb2, 0xffffffff, 4);
	assert_int_equal(get(device, 7, 0xb2, 4), 0xffffff06);
	put(device, 7, 0x42, 0xffff, 2);
	assert_int_equal(get(device, 7, 0x42, 2), 0x0807);
	/* vendor-specific at 0x100, serial behind it, raw where it was asked for. */
	assert_int_equal(get(device, 7, 0x100, 4), 0x10c1000b);
	assert_int_equal(get(device, 7, 0x104, 4), 0x00a3abcd);
	assert_int_equal(get(device, 7, 0x108, 4), 0x2211);
	assert_int_equal(get(device, 7, 0x10c, 4), 0x20010003);
	assert_int_equal(get(device, 7, 0x110, 4), 0x55667788);
	assert_int_equal(get(device, 7, 0x114, 4), 0x11223344);
	assert_int_equal(get(device, 7, 0x200, 4), 0x00020015);
	assert_int_equal(get(device, 7, 0x204, 1), 9);
	assert_int_equal(bk_device_irq(device, BK_DEVICE_MSI, &irq), 0);
	assert_int_equal(irq.count, 32);
	assert_int_equal(bk_device_irq(device, BK_DEVICE_MSIX, &irq), 0);
	assert_int_equal(irq.count, 2048);
	assert_int_equal(bk_device_irq(device, BK_DEVICE_INTX, &irq), 0);
	assert_int_equal(irq.count, 0);
	assert_int_equal(bk_device_irq(device, BK_DEVICE_ERR, &irq), 0);
	assert_int_equal(irq.count, 1);
	assert_int_equal(bk_device_irq(device, BK_DEVICE_IRQS, &irq), -EINVAL);
	bk_device_close(device);
}

/* As strange as real devices are; refused elsewhere, since it is a mistake more often. */
static void odd_devices_say_what_makes_no_sense(void **state)
{
	struct bk_device *device =
		open_text(HEAD "odd: true\nexpress: true\nbars:\n"
			       "- {index: 0, kind: io, size: 8}\n"
			       "- {index: 1, kind: io, size: 1}\n"
			       "- {index: 2, kind: mem32, size: 5000}\n"
			       "capabilities:\n"
			       "- {vendor: {bytes: [1, 2, 3, 4, 5], length: 0x40}, offset: 0x50}\n"
			       "- {pm: {}, offset: 0x54}\n"
			       "extended:\n- {serial: 7, offset: 0x200}\n");
	struct bk_device_region region = { 0 };

	assert_int_equal(bk_device_region(device, 1, &region), 0);
	assert_int_equal(region.size, 1);
	assert_int_equal(bk_device_region(device, 2, &region), 0);
	assert_int_equal(region.size, 5000);
	put(device, 7, 0x14, 0xffffffff, 4); /* registers can say powers of two only */
	assert_int_equal(get(device, 7, 0x14, 4), 0xfffffffd);
	put(device, 7, 0x18, 0xffffffff, 4);
	assert_int_equal(get(device, 7, 0x18, 4), 0xffffe000);
	assert_int_equal(get(device, 7, 0x34, 1), 0x50);
	assert_int_equal(get(device, 7, 0x50, 4), 0x01405409); /* its own pointer survives */
	assert_int_equal(get(device, 7, 0x54, 4), 0x00030001); /* the later one lies over it */
	assert_int_equal(get(device, 7, 0x100, 4), 0);
	assert_int_equal(get(device, 7, 0x200, 4), 0x00010003);
	bk_device_close(device);
}

static void flr_and_af_reset_the_function(void **state)
{
	struct bk_device *device = open_example("nvme-like.yaml");
	unsigned express = 0x48;

	assert_int_equal(get(device, 7, express, 1), 0x10);
	put(device, 0, 0x2000, 0x1234, 4);
	put(device, 7, 0x3c, 0x99, 1);
	put(device, 7, express + 8, 0x8000, 2);
	assert_int_equal(get(device, 7, express + 8, 2), 0);
	assert_int_equal(get(device, 0, 0x2000, 4), 0);
	assert_int_equal(get(device, 7, 0x3c, 1), 0x0b);
	bk_device_close(device);

	device = open_text(HEAD "reset: false\ncapabilities:\n- af: {}\n");
	put(device, 7, 0x3c, 0x99, 1);
	assert_int_equal(bk_device_reset(device), -EOPNOTSUPP);
	assert_int_equal(get(device, 7, 0x3c, 1), 0x99);
	put(device, 7, 0x44, 1, 1);
	assert_int_equal(get(device, 7, 0x44, 1), 0);
	assert_int_equal(get(device, 7, 0x3c, 1), 0xff);
	bk_device_close(device);
}

/* ---- Memory ---- */

static void msix_table_in_the_middle_of_registers(void **state)
{
	struct bk_device *device = open_example("nvme-like.yaml");
	struct bk_device_region region = { 0 };

	assert_int_equal(bk_device_region(device, 0, &region), 0);
	assert_int_equal(region.size, 16384);
	assert_int_equal(region.flags, BK_DEVICE_READ | BK_DEVICE_WRITE);
	assert_int_equal(region.fd, -1);
	assert_int_equal(get(device, 0, 0, 8), 0x004008200f0107ff);
	assert_int_equal(get(device, 0, 0x280c, 4), 1); /* masked */
	put(device, 0, 0x2810, 0x1122334455667788, 8);
	assert_int_equal(get(device, 0, 0x2814, 2), 0x3344);
	put(device, 0, 0x2bff, 0x5a, 1);
	assert_int_equal(get(device, 0, 0x2bfc, 4), 0x5a000001);
	put(device, 0, 0x2c00, 0x5a, 4); /* behind the table: nothing */
	assert_int_equal(get(device, 0, 0x2c00, 4), 0);
	put(device, 0, 0x2c10, 0x77, 4);
	assert_int_equal(get(device, 0, 0x2c10, 4), 0x77);
	put(device, 0, 0x3000, ~0ull, 8); /* the PBA is read-only */
	assert_int_equal(get(device, 0, 0x3000, 8), 0);
	assert_int_equal(bk_device_reset(device), 0);
	assert_int_equal(get(device, 0, 0x2810, 8), 0);
	assert_int_equal(get(device, 0, 0x281c, 4), 1);
	bk_device_close(device);
}

static void registers_may_cut_a_mappable_bar_into_many_areas(void **state)
{
	char text[4096];
	struct bk_device *device;
	struct areas areas;
	int length = snprintf(
		text, sizeof(text),
		HEAD "bars:\n- index: 0\n  kind: mem32\n  size: 1M\n  mappable: true\n  registers:\n");

	for (unsigned i = 1; i <= 40; i++)
		length += snprintf(text + length, sizeof(text) - (size_t)length, "  - {offset: 0x%x}\n",
				   i * 0x2000);
	device = open_text(text);
	areas = areas_of(device, 0);
	assert_int_equal(areas.count, 41);
	for (unsigned i = 1; i < 40; i++) {
		assert_int_equal(areas.at[i].offset, i * 0x2000 + 0x1000);
		assert_int_equal(areas.at[i].size, 0x1000);
	}
	bk_device_close(device);
}

static void mappable_bars_offer_the_pages_without_registers(void **state)
{
	struct bk_device *device = open_text(
		HEAD
		"bars:\n- index: 2\n  kind: mem64\n  size: 64K\n  mappable: true\n  fill: offset\n  "
		"registers:\n"
		"  - {name: a, offset: 0x2ffe, width: 4, reset: 0x99999999}\n  - {name: b, offset: 0x8000}\n"
		"capabilities:\n- msix: {vectors: 4, bar: 2, table: 0x5000, pba: 0x6000}\n");
	struct bk_device_region region = { 0 };
	struct areas areas;
	uint8_t *memory;

	assert_int_equal(bk_device_region(device, 2, &region), 0);
	areas = areas_of(device, 2);
	assert_int_equal(region.flags, BK_DEVICE_READ | BK_DEVICE_WRITE | BK_DEVICE_MMAP);
	assert_int_equal(region.fd_offset, 0);
	assert_int_equal(areas.count, 3);
	assert_int_equal(areas.at[0].offset, 0);
	assert_int_equal(areas.at[0].size, 0x2000);
	assert_int_equal(areas.at[1].offset, 0x4000);
	assert_int_equal(areas.at[1].size, 0x4000);
	assert_int_equal(areas.at[2].offset, 0x9000);
	assert_int_equal(areas.at[2].size, 0x7000);
	memory = mmap(NULL, 0x7000, PROT_READ | PROT_WRITE, MAP_SHARED, region.fd, 0x9000);
	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_int_equal(bk__load(memory + 4, 4), 0x9004);
	bk__store(memory + 4, 4, 0x12345678);
	assert_int_equal(get(device, 2, 0x9004, 4), 0x12345678);
	put(device, 2, 0x9008, 0xaabb, 2);
	assert_int_equal(bk__load(memory + 8, 4), 0xaabb);
	/* A write over memory and a register gives each its bytes. */
	put(device, 2, 0x2ff8, 0x1111222233334444, 8);
	assert_int_equal(get(device, 2, 0x2ff8, 8), 0x1111222233334444);
	assert_int_equal(get(device, 2, 0x3000, 4), 0x00009999);
	/* Nobody can take the memory away. */
	assert_int_equal(ftruncate(region.fd, 0), -1);
	assert_int_equal(bk_device_reset(device), 0);
	assert_int_equal(bk__load(memory + 4, 4), 0x9004);
	assert_int_equal(get(device, 2, 0x500c, 4), 1);
	assert_int_equal(get(device, 2, 0x2ff8, 8), 0x99992ffc00002ff8);
	munmap(memory, 0x7000);
	bk_device_close(device);
}

static void memory_without_a_pattern_is_zero_after_a_reset(void **state)
{
	struct bk_device *device =
		open_text(HEAD "bars:\n- {index: 0, kind: mem64, size: 256M, mappable: true}\n");

	assert_int_equal(get(device, 0, 0xfffffff, 1), 0);
	put(device, 0, 0x1000, 0x55, 1);
	assert_int_equal(get(device, 0, 0x1000, 1), 0x55);
	assert_int_equal(bk_device_reset(device), 0);
	assert_int_equal(get(device, 0, 0x1000, 1), 0);
	bk_device_close(device);
}

static void huge_bars_allocate_nothing(void **state)
{
	struct bk_device *device =
		open_text(HEAD "bars:\n- index: 0\n  kind: mem64\n  size: 128T\n  prefetchable: true\n  "
			       "fill: offset\n  registers:\n"
			       "  - {offset: 0x7ffffffffffc}\n- {index: 2, kind: mem32, size: 2G}\n");

	put(device, 0, 0x7ffffffffffc, 0xabc, 4);
	assert_int_equal(get(device, 0, 0x7ffffffffff8, 8), 0xabcfffffff8);
	put(device, 7, 0x10, 0xffffffff, 4);
	put(device, 7, 0x14, 0xffffffff, 4);
	assert_int_equal(get(device, 7, 0x10, 4), 0xc);
	assert_int_equal(get(device, 7, 0x14, 4), 0xffff8000);
	assert_int_equal(get(device, 2, 0x7fffffff, 1), 0);
	assert_int_equal(get(device, 7, 0x18, 4), 0x80000000);
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
		cmocka_unit_test(a_writable_mirror_reaches_the_hardware),
		cmocka_unit_test(decoding_follows_command_and_power),
		cmocka_unit_test(capabilities_are_chained_and_placed),
		cmocka_unit_test(odd_devices_say_what_makes_no_sense),
		cmocka_unit_test(flr_and_af_reset_the_function),
		cmocka_unit_test(msix_table_in_the_middle_of_registers),
		cmocka_unit_test(registers_may_cut_a_mappable_bar_into_many_areas),
		cmocka_unit_test(mappable_bars_offer_the_pages_without_registers),
		cmocka_unit_test(memory_without_a_pattern_is_zero_after_a_reset),
		cmocka_unit_test(huge_bars_allocate_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
