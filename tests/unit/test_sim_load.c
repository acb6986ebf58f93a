/* SPDX-License-Identifier: BSD-2-Clause */
/* What the loader of sims refuses, each with its line, column and way out. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "rom_file.h"
#include "sim_device.h"

#define BAR0 HEAD "bars:\n- index: 0\n  kind: mem32\n  size: 4K\n"
#define REGS BAR0 "  registers:\n"
#define CAPS                                                 \
	HEAD "bars:\n- {index: 0, kind: mem32, size: 16K}\n" \
	     "- {index: 1, kind: io, size: 64}\ncapabilities:\n"
#define EXPRESS                                                             \
	HEAD "express: true\nbars:\n- {index: 0, kind: mem32, size: 16K}\n" \
	     "capabilities:\n- express: {}\n"

static void refuse(const char *file, const char *text, const char *error)
{
	struct bk_device *device = (struct bk_device *)&device;
	struct bk_error err = { "" };
	size_t length = strlen(file);

	assert_int_equal(bk__sim_open_text(file, text, strlen(text), "sim:x", &device, &err), -EINVAL);
	assert_null(device);
	assert_memory_equal(err.text, file, length);
	assert_string_equal(err.text + length, error);
	assert_int_equal(bk__sim_open_text(file, text, strlen(text), "sim:x", &device, NULL), -EINVAL);
}

static const struct {
	const char *text, *error;
} cases[] = {
	{ "- a\n", ":1:1: a device must be a map ({key: value, ...})" },
	{ "just text\n", ":1:1: a device must be a map ({key: value, ...})" },
	{ "name: x\n", ":1:1: a device needs the key \"vendor\"; add it" },
	{ "name: x\nvendor: 0x1234\ndevice: 1\n", ":1:1: a device needs the key \"class\"; add it" },
	{ HEAD "color: red\n",
	  ":5:1: a device has no key \"color\"; remove it, or use one of: name, vendor, device, class, "
	  "revision, subsystem, pin, express, reset, reset-waits, bars, capabilities, extended, rom, vga, "
	  "odd" },
	{ HEAD "reset-waits: a/b\n",
	  ":5:14: the FIFO must be beside this one: give its name without a directory" },
	{ HEAD "reset-waits: .\n",
	  ":5:14: the FIFO must be beside this one: give its name without a directory" },
	{ "vendor: 0xffff\n",
	  ":1:9: vendor must be a number from 0 to 0xfffe, not \"0xffff\"; write it in decimal or as 0x..." },
	{ "vendor: 0x10000\n", ":1:9: vendor must be a number from 0 to 0xfffe, not \"0x10000\"; write it in "
			       "decimal or as 0x..." },
	{ "vendor: abc\n",
	  ":1:9: vendor must be a number from 0 to 0xfffe, not \"abc\"; write it in decimal or as 0x..." },
	{ "vendor: 010\n",
	  ":1:9: vendor must be a number from 0 to 0xfffe, not \"010\"; write it in decimal or as 0x..." },
	{ "vendor: \"1\"\n", ":1:9: vendor must be a number from 0 to 0xfffe, not the text \"1\"; write it "
			     "in decimal or as 0x..." },
	{ "vendor: [1]\n",
	  ":1:9: vendor must be a number from 0 to 0xfffe, not \"a list\"; write it in decimal or as 0x..." },
	{ "vendor: -1\n",
	  ":1:9: vendor must be a number from 0 to 0xfffe, not \"-1\"; write it in decimal or as 0x..." },
	{ "vendor: 0x\n",
	  ":1:9: vendor must be a number from 0 to 0xfffe, not \"0x\"; write it in decimal or as 0x..." },
	{ "vendor: 18446744073709551616\n", ":1:9: vendor must be a number from 0 to 0xfffe, not "
					    "\"18446744073709551616\"; write it in decimal or as 0x..." },
	{ "vendor: 1K\n",
	  ":1:9: vendor must be a number from 0 to 0xfffe, not \"1K\"; write it in decimal or as 0x..." },
	{ "name: ''\n", ":1:7: name must be a text of 1 to 63 bytes, not \"\"" },
	{ "name: nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn\n",
	  ":1:7: name must be a text of 1 to 63 bytes, not "
	  "\"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn\"" },
	{ "name: {a: b}\n", ":1:7: name must be a text of 1 to 63 bytes, not \"a map\"" },
	{ HEAD "pin: E\n", ":5:6: pin must be one of none, A, B, C, D, not \"E\"" },
	{ HEAD "express: yes\n", ":5:10: express must be true or false, not \"yes\"" },
	{ HEAD "revision: 256\n",
	  ":5:11: revision must be a number from 0 to 0xff, not \"256\"; write it in decimal or as 0x..." },
	{ HEAD "class: 1\n", ":5:1: \"class\" is given twice (first in line 4); remove one" },
	{ HEAD "subsystem: 5\n", ":5:12: subsystem must be a map ({key: value, ...})" },
	{ HEAD "subsystem: {vendor: 1}\n", ":5:12: a subsystem needs the key \"device\"; add it" },
	{ HEAD "subsystem: {vendor: 1, device: 2, x: 3}\n",
	  ":5:35: a subsystem has no key \"x\"; remove it, or use one of: vendor, device" },
	{ HEAD "bars: 3\n", ":5:7: bars must be a list" },
	{ HEAD "bars: [1,2,3,4,5,6,7]\n", ":5:7: bars must have from 0 to 6 entries, not 7" },
	{ HEAD "bars: [1]\n", ":5:8: a BAR must be a map ({key: value, ...})" },
	{ "class: 0x1000000\n", ":1:8: class must be a number from 0 to 0xffffff, not \"0x1000000\"; write "
				"it in decimal or as 0x..." },
	{ HEAD "bars:\n- {index: 6, kind: io, size: 64}\n",
	  ":6:11: index must be a number from 0 to 5, not \"6\"; write it in decimal or as 0x..." },
	{ HEAD "bars:\n- {index: 0, size: 64}\n", ":6:3: a BAR needs the key \"kind\"; add it" },
	{ HEAD "bars:\n- {index: 0, kind: mem16, size: 64}\n",
	  ":6:20: kind must be one of io, mem32, mem64, not \"mem16\"" },
	{ HEAD "bars:\n- {index: 0, kind: mem32}\n", ":6:3: a BAR needs the key \"size\"; add it" },
	{ HEAD "bars:\n- {index: 0, kind: mem32, size: 5000}\n",
	  ":6:33: a BAR's size must be a power of two, and 0x1388 is not" },
	{ HEAD "bars:\n- {index: 0, kind: mem32, size: 8}\n",
	  ":6:33: the size of a BAR of kind mem32 must be from 0x10 to 0x80000000, not 0x8" },
	{ HEAD "bars:\n- {index: 0, kind: mem32, size: 4G}\n",
	  ":6:33: the size of a BAR of kind mem32 must be from 0x10 to 0x80000000, not 0x100000000" },
	{ HEAD "bars:\n- {index: 0, kind: mem64, size: 256T}\n",
	  ":6:33: the size of a BAR of kind mem64 must be from 0x10 to 0x800000000000, not 0x1000000000000" },
	{ HEAD "bars:\n- {index: 0, kind: io, size: 128K}\n",
	  ":6:30: the size of a BAR of kind io must be from 0x4 to 0x10000, not 0x20000" },
	{ HEAD "bars:\n- {index: 0, kind: mem64, size: 99999999T}\n",
	  ":6:33: size must be a number from 0 to 0xffffffffffffffff, not \"99999999T\"; write it in decimal "
	  "or as 0x..., with K, M, G or T if you like" },
	{ HEAD "bars:\n- {index: 0, kind: io, size: 64, prefetchable: true}\n",
	  ":6:48: an I/O BAR cannot be prefetchable; remove it" },
	{ HEAD "bars:\n- {index: 0, kind: io, size: 64, mappable: true}\n",
	  ":6:44: an I/O BAR cannot be mappable; remove it" },
	{ HEAD "bars:\n- {index: 0, kind: mem32, size: 64, mappable: true}\n",
	  ":6:47: a mappable BAR must have at least one page (0x1000 bytes); enlarge it or remove this" },
	{ HEAD "bars:\n- {index: 0, kind: mem64, size: 512M, mappable: true}\n",
	  ":6:33: mappable BARs may have 0x10000000 bytes in all; make this one smaller or not mappable" },
	{ HEAD "bars:\n- {index: 0, kind: mem64, size: 256M, mappable: true}\n- {index: 2, kind: mem32, "
	       "size: 4K, mappable: true}\n",
	  ":7:33: mappable BARs may have 0x10000000 bytes in all; make this one smaller or not mappable" },
	{ HEAD "bars:\n- {index: 0, kind: mem64, size: 32M, mappable: true, fill: 1}\n",
	  ":6:60: mappable BARs with a pattern may have 0x1000000 bytes in all; remove this" },
	{ HEAD "bars:\n- {index: 0, kind: mem32, size: 4K}\n- {index: 0, kind: mem32, size: 4K}\n",
	  ":7:11: BAR 0 is given twice (first in line 6); use another index" },
	{ HEAD "bars:\n- {index: 0, kind: mem64, size: 4K}\n- {index: 1, kind: mem32, size: 4K}\n",
	  ":7:11: index 1 is the upper half of the 64-bit BAR 0 (line 6); use another index" },
	{ HEAD "bars:\n- {index: 1, kind: mem32, size: 4K}\n- {index: 0, kind: mem64, size: 4K}\n",
	  ":7:11: a 64-bit BAR takes two indexes, and 1 is taken (line 6); use another index" },
	{ HEAD "bars:\n- {index: 5, kind: mem64, size: 4K}\n",
	  ":6:11: a 64-bit BAR takes two indexes, so 5 is too high; use 4 or less" },
	{ BAR0 "  fill: rubbish\n", ":9:9: fill (unless it is the word offset) must be a number from 0 to "
				    "0xffffffff, not \"rubbish\"; write it in decimal or as 0x..." },
	{ BAR0 "  fill: 0x100000000\n",
	  ":9:9: fill (unless it is the word offset) must be a number from 0 to 0xffffffff, not "
	  "\"0x100000000\"; write it in decimal or as 0x..." },
	{ BAR0 "  colour: 1\n", ":9:3: a BAR has no key \"colour\"; remove it, or use one of: index, kind, "
				"prefetchable, size, mappable, fill, registers, mirror" },
	{ REGS "  - 5\n", ":10:5: a register must be a map ({key: value, ...})" },
	{ REGS "  - {name: a}\n", ":10:5: a register needs the key \"offset\"; add it" },
	{ REGS "  - {name: a, offset: 0, width: 3}\n", ":10:33: width must be 1, 2, 4 or 8 bytes" },
	{ REGS "  - {name: a, offset: 0, width: 16}\n",
	  ":10:33: width must be a number from 1 to 8, not \"16\"; write it in decimal or as 0x..." },
	{ REGS "  - {name: a, offset: 4K}\n",
	  ":10:23: the register's 4 bytes at 0x1000 are outside the BAR, which has 0x1000 bytes" },
	{ REGS "  - {name: a, offset: 0xffd}\n",
	  ":10:23: the register's 4 bytes at 0xffd are outside the BAR, which has 0x1000 bytes" },
	{ REGS "  - {name: a, offset: 0, width: 1, reset: 0x100}\n",
	  ":10:43: reset does not fit into a width of 1" },
	{ REGS "  - {name: a, offset: 0, mask: 0x100000000}\n",
	  ":10:32: mask does not fit into a width of 4" },
	{ REGS "  - {name: a, offset: 0, access: rx}\n",
	  ":10:34: access must be one of ro, rw, w1c, rc, wo, irq, ack, status, log, not \"rx\"" },
	{ REGS "  - {name: a, offset: 0, access: ro, mask: 1}\n",
	  ":10:38: \"mask\" has no meaning for access ro; remove it" },
	{ REGS "  - {name: a, offset: 0, access: irq, reset: 1}\n",
	  ":10:39: \"reset\" has no meaning for access irq; remove it" },
	{ REGS "  - {name: a, offset: 0, vector: 1}\n",
	  ":10:26: \"vector\" has no meaning for access rw; remove it" },
	{ REGS "  - {name: a, offset: 0, vector-bits: 1}\n",
	  ":10:26: \"vector-bits\" has no meaning for access rw; remove it" },
	{ REGS "  - {name: a, offset: 0, access: irq, vector: 1, vector-bits: 1}\n",
	  ":10:50: \"vector\" and \"vector-bits\" exclude each other; remove one" },
	{ REGS "  - {name: a, offset: 0, access: irq, vector: 2048}\n",
	  ":10:47: vector must be a number from 0 to 0x7ff, not \"2048\"; write it in decimal or as 0x..." },
	{ REGS "  - {name: a, offset: 0, width: 1, access: irq, vector-bits: 0x100}\n",
	  ":10:62: vector-bits does not fit into a width of 1" },
	{ REGS "  - {name: a, offset: 0}\n  - {name: b, offset: 3}\n",
	  ":11:5: b at 0x3-0x6 overlaps a at 0x0-0x3 (line 10); move one" },
	{ REGS "  - {name: a, offset: 3}\n  - {offset: 0}\n",
	  ":11:5: register 0x0 at 0x0-0x3 overlaps a at 0x3-0x6 (line 10); move one" },
	{ REGS "  - {name: a, offset: 0}\n  - {name: b, offset: 0}\n",
	  ":11:5: b at 0x0-0x3 overlaps a at 0x0-0x3 (line 10); move one" },
	{ BAR0 "  mirror: {size: 256}\n", ":9:11: a mirror needs the key \"offset\"; add it" },
	{ BAR0 "  mirror: {offset: 0, size: 512}\n",
	  ":9:11: the mirror shows 0x200 bytes from 0x0, but config space has 0x100 bytes" },
	{ BAR0 "  mirror: {offset: 0, config: 0x80}\n",
	  ":9:11: the mirror shows 0x100 bytes from 0x80, but config space has 0x100 bytes" },
	{ BAR0 "  mirror: {offset: 0xf80}\n",
	  ":9:20: the mirror's 0x100 bytes at 0xf80 are outside the BAR, which has 0x1000 bytes" },
	{ BAR0 "  mirror: {offset: 0xf00}\n  registers:\n  - {name: a, offset: 0xefd}\n",
	  ":11:5: a at 0xefd-0xf00 overlaps the mirror at 0xf00-0xfff (line 9); move one" },
	{ BAR0 "  mirror: 1\n", ":9:11: mirror must be a map ({key: value, ...})" },
	{ CAPS "- {}\n", ":9:3: an entry must name its capability, such as \"pm\"" },
	{ CAPS "- pn: {}\n", ":9:3: a capability has no key \"pn\"; remove it, or use one of: offset, pm, "
			     "msi, msix, express, af, vendor, raw" },
	{ CAPS "- pm: 3\n", ":9:7: pm must be a map ({key: value, ...})" },
	{ CAPS "- {pm: {}, msi: {}}\n",
	  ":9:3: one entry is one capability, not both \"pm\" and \"msi\"; begin a new entry with -" },
	{ CAPS "- {pm: {}}\n- {pm: {}}\n", ":10:3: a second \"pm\" (first in line 9); remove one" },
	{ CAPS "- {pm: {}, offset: 0x41}\n", ":9:20: a capability must begin at a multiple of 4" },
	{ CAPS "- {pm: {}, offset: 0x3c}\n",
	  ":9:20: offset must be a number from 0x40 to 0xfc, not \"0x3c\"; write it in decimal or as 0x..." },
	{ CAPS "- {pm: {}, offset: 0x100}\n", ":9:20: offset must be a number from 0x40 to 0xfc, not "
					      "\"0x100\"; write it in decimal or as 0x..." },
	{ CAPS "- {pm: {}, offset: 0xfc}\n", ":9:3: no room for this capability of 8 bytes below 0x100" },
	{ CAPS "- {pm: {}, offset: 0x50}\n- {msi: {}, offset: 0x54}\n",
	  ":10:3: this capability (0x54-0x61) overlaps the one of line 9; move one, or leave its offset "
	  "out" },
	{ CAPS "- vendor: {bytes: [1, 256]}\n", ":9:23: each of bytes must be a number from 0 to 0xff, not "
						"\"256\"; write it in decimal or as 0x..." },
	{ CAPS "- vendor: {bytes: 1}\n", ":9:19: bytes must be a list" },
	{ CAPS "- vendor: {}\n", ":9:11: vendor needs the key \"bytes\"; add it" },
	{ CAPS "- msi: {vectors: 3}\n", ":9:18: MSI vectors must be a power of two: 1, 2, 4, 8, 16 or 32" },
	{ CAPS "- msi: {vectors: 64}\n",
	  ":9:18: vectors must be a number from 1 to 0x20, not \"64\"; write it in decimal or as 0x..." },
	{ CAPS "- msi: {speed: 64}\n",
	  ":9:9: msi has no key \"speed\"; remove it, or use one of: vectors, 64bit, maskable" },
	{ CAPS "- msix: {vectors: 1}\n", ":9:9: msix needs the key \"bar\"; add it" },
	{ CAPS "- msix: {vectors: 4096, bar: 0, table: 0, pba: 0x1000}\n",
	  ":9:19: vectors must be a number from 1 to 0x800, not \"4096\"; write it in decimal or as 0x..." },
	{ CAPS "- msix: {vectors: 4, bar: 0, table: 4, pba: 0x1000}\n",
	  ":9:37: the MSI-X table must begin at a multiple of 8" },
	{ CAPS "- express: {}\n", ":9:12: an express capability needs \"express: true\" at the top" },
	{ CAPS "- raw: {bytes: []}\n", ":9:8: raw needs the key \"id\"; add it" },
	{ CAPS "- raw: {id: 256, bytes: []}\n",
	  ":9:13: id must be a number from 0 to 0xff, not \"256\"; write it in decimal or as 0x..." },
	{ HEAD "extended: []\n", ":5:1: extended capabilities need \"express: true\"" },
	{ HEAD "express: true\n",
	  ":5:10: \"express: true\" needs an express capability; add \"- express: {}\" to capabilities" },
	{ EXPRESS "extended:\n- {serial: x}\n",
	  ":11:12: serial must be a number from 0 to 0xffffffffffffffff, not \"x\"; write it in decimal or "
	  "as 0x..." },
	{ EXPRESS "extended:\n- {serial: 1, offset: 0x110}\n",
	  ":11:3: one extended capability must be at 0x100; leave this offset out" },
	{ EXPRESS "extended:\n- {serial: 1}\n- {vendor-specific: {id: 1, bytes: []}, offset: 0x104}\n",
	  ":11:3: one extended capability must be at 0x100; leave this offset out" },
	{ EXPRESS "extended:\n- {raw: {id: 0x10000, bytes: []}}\n",
	  ":11:14: id must be a number from 0 to 0xffff, not \"0x10000\"; write it in decimal or as 0x..." },
	{ EXPRESS "extended:\n- {vendor-specific: {bytes: []}}\n",
	  ":11:21: vendor-specific needs the key \"id\"; add it" },
	{ EXPRESS "extended:\n- {serial: 1}\n- {serial: 1}\n",
	  ":12:3: a second \"serial\" (first in line 11); remove one" },
	{ EXPRESS "extended:\n- {raw: {id: 1, bytes: []}, offset: 0x1000}\n",
	  ":11:37: offset must be a number from 0x100 to 0xffc, not \"0x1000\"; write it in decimal or as "
	  "0x..." },
	{ HEAD "rom: 5\n", ":5:6: rom must be a map ({key: value, ...})" },
	{ HEAD "rom: {}\n", ":5:6: a ROM needs the key \"size\"; add it" },
	{ HEAD "rom: {size: 3000}\n", ":5:13: a ROM's size must be a power of two, and 0xbb8 is not" },
	{ HEAD "rom: {size: 32M}\n", ":5:13: size must be a number from 0x800 to 0x1000000, not \"32M\"; "
				     "write it in decimal or as 0x..., with K, M, G or T if you like" },
	{ HEAD "rom: {size: 2K, file: ../x}\n",
	  ":5:23: the ROM's file must be beside this one: give its name without a directory" },
	{ HEAD "rom: {size: 2K, file: ..}\n",
	  ":5:23: the ROM's file must be beside this one: give its name without a directory" },
	{ HEAD "rom: {size: 2K, file: nosuch.rom}\n",
	  ":5:23: the ROM's file \"nosuch.rom\" cannot be opened: No such file or directory" },
	{ EXPRESS "extended:\n- {serial: 1, offset: 0x100}\n- {raw: {id: 1, bytes: [1]}, offset: 0x108}\n",
	  ":12:3: this capability (0x108-0x10c) overlaps the one of line 11; move one, or leave its offset "
	  "out" },
};

static void each_mistake_has_its_line(void **state)
{
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		refuse("x.yaml", cases[i].text, cases[i].error);
}

/* `count` lines of a register each, in one BAR or in two. */
static char *many_registers(unsigned count, unsigned second)
{
	char *text = malloc(1 << 20), *end = text;

	end += sprintf(end, "%sbars:\n- index: 1\n  kind: mem32\n  size: 64K\n  registers:\n", HEAD);
	for (unsigned i = 0; i < count; i++)
		end += sprintf(end, "  - {offset: 0x%x}\n", 4 * i);
	end += sprintf(end, "- index: 0\n  kind: mem32\n  size: 64K\n  registers:\n");
	for (unsigned i = 0; i < second; i++)
		end += sprintf(end, "  - {offset: 0x%x}\n", 4 * i);
	return text;
}

/* As real devices say them: the capability has it, and the registers there stay the BAR's. */
static void msix_tables_that_make_no_sense_are_no_mistake(void **state)
{
	static const struct {
		const char *text;
		uint32_t table, pba;
	} cases[] = {
		{ CAPS "- msix: {vectors: 4, bar: 1, table: 0, pba: 0x1000}\n", 1, 0x1001 },
		{ CAPS "- msix: {vectors: 4, bar: 3, table: 0, pba: 0x1000}\n", 3, 0x1003 },
		{ CAPS "- msix: {vectors: 4, bar: 0, pba-bar: 1, table: 0, pba: 0x1000}\n", 0, 0x1001 },
		{ CAPS "- msix: {vectors: 4, bar: 0, table: 0x3fd0, pba: 0x1000}\n", 0x3fd0, 0x1000 },
		{ CAPS "- msix: {vectors: 4, bar: 0, table: 0, pba: 0x4000}\n", 0, 0x4000 },
		{ CAPS "- msix: {vectors: 4, bar: 0, table: 0, pba: 0x38}\n", 0, 0x38 },
		{ CAPS "- msix: {vectors: 1, bar: 0, table: 0, pba: 0}\n", 0, 0 },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bk_device *device = open_text(cases[i].text);
		unsigned cap = (unsigned)get(device, BK_DEVICE_CONFIG, 0x34, 1);

		assert_int_equal(get(device, BK_DEVICE_CONFIG, cap, 1), 0x11);
		assert_int_equal(get(device, BK_DEVICE_CONFIG, cap + 4, 4), cases[i].table);
		assert_int_equal(get(device, BK_DEVICE_CONFIG, cap + 8, 4), cases[i].pba);
		bk_device_close(device);
	}
}

static void registers_are_bounded(void **state)
{
	struct bk_device *device;
	struct bk_error err = { "" };
	char *text = many_registers(4097, 1);

	refuse("x.yaml", text, ":10:3: registers must have from 0 to 4096 entries, not 4097");
	free(text);
	text = many_registers(4090, 7);
	refuse("x.yaml", text, ":4110:5: too many registers: at most 4096 in one device");
	free(text);
	text = many_registers(4090, 6);
	assert_int_equal(bk__sim_open_text("x", text, strlen(text), "sim:x", &device, &err), 0);
	bk_device_close(device);
	free(text);
}

static void a_file_of_any_kind_is_bounded(void **state)
{
	struct bk_device *device;
	struct bk_error err = { "" };

	assert_int_equal(bk__sim_open(NULL, NULL, "/nonexistent.yaml", "sim:x", &device, &err), -ENOENT);
	assert_null(device);
	assert_string_equal(err.text, "/nonexistent.yaml: cannot be opened: No such file or directory");
	assert_int_equal(bk__sim_open(NULL, NULL, "/dev/zero", "sim:x", &device, &err), -EINVAL);
	assert_string_equal(err.text, "/dev/zero: not a regular file");
}

/* Whatever is cut off, the rest is refused or is a device, and nothing is leaked. */
static void truncated_files_are_survived(void **state)
{
	static const char *const names[] = { "edu.yaml", "nvme-like.yaml" };

	for (unsigned i = 0; i < 2; i++) {
		char path[512], text[8192];
		size_t length;
		FILE *stream;

		snprintf(path, sizeof(path), "%s/%s", EXAMPLES, names[i]);
		stream = fopen(path, "r");
		assert_non_null(stream);
		length = fread(text, 1, sizeof(text), stream);
		fclose(stream);
		for (size_t cut = 0; cut <= length; cut += 1 + cut % 3) {
			struct bk_device *device;
			struct bk_error err = { "" };
			int r = bk__sim_open_text("x", text, cut, "sim:x", &device, &err);

			assert_true(r ? !device && err.text[0] : device != NULL);
			bk_device_close(device);
		}
	}
}

static void roms_come_from_beside_the_file(void **state)
{
	static const char *const text = HEAD "rom: {size: 2K, file: x.rom}\n",
				 *const odd = HEAD "rom: {size: 2K, file: x.rom}\nodd: true\n";
	char directory[] = "/tmp/barkeep-sim-XXXXXX", yaml[64], rom[64];
	struct bk_device *device;
	struct bk_error err = { "" };
	uint8_t data[4];
	FILE *stream;

	assert_non_null(mkdtemp(directory));
	snprintf(yaml, sizeof(yaml), "%s/x.yaml", directory);
	snprintf(rom, sizeof(rom), "%s/x.rom", directory);
	rom_file_write(rom, ROM_FILE_LEAST, '!');
	assert_int_equal(bk__sim_open_text(yaml, text, strlen(text), "sim:x", &device, &err), 0);
	assert_int_equal(bk_device_read(device, BK_DEVICE_ROM, 0, data, 4), 0);
	assert_memory_equal(data, "U\xaa\0!", 4);
	assert_int_equal(bk_device_read(device, BK_DEVICE_ROM, ROM_FILE_LEAST - 2, data, 4), 0);
	assert_memory_equal(data, "\0\0\xff\xff", 4);
	bk_device_close(device);

	/* No ROM: refused, unless nonsense is wanted. */
	stream = fopen(rom, "w");
	refuse(yaml, text, ":5:23: the ROM's file \"x.rom\": the file is empty");
	fputs("U\xab!", stream);
	fclose(stream);
	refuse(yaml, text,
	       ":5:23: the ROM's file \"x.rom\": not a ROM: it does not start with 55 aa; nowhere in it does "
	       "a "
	       "ROM start");
	assert_int_equal(bk__sim_open_text(yaml, odd, strlen(odd), "sim:x", &device, &err), 0);
	assert_int_equal(bk_device_read(device, BK_DEVICE_ROM, 0, data, 4), 0);
	assert_memory_equal(data, "U\xab!\xff", 4);
	bk_device_close(device);

	assert_int_equal(truncate(rom, 2049), 0);
	refuse(yaml, text, ":5:23: the ROM's file \"x.rom\" must be a regular file of at most 0x800 bytes");
	unlink(rom);
	assert_int_equal(mkfifo(rom, 0600), 0);
	refuse(yaml, text, ":5:23: the ROM's file \"x.rom\" must be a regular file of at most 0x800 bytes");
	unlink(rom);
	assert_int_equal(symlink("/etc/passwd", rom), 0);
	refuse(yaml, text,
	       ":5:23: the ROM's file \"x.rom\" cannot be opened: Too many levels of symbolic links");
	unlink(rom);
	rmdir(directory);
}

/* The format's description has an example of each key: it must be a device. */
static void the_example_of_the_docs_is_a_device(void **state)
{
	char directory[] = "/tmp/barkeep-sim-XXXXXX", yaml[64], rom[64], text[16384] = "", *start, *end;
	struct bk_device *device;
	struct bk_error err = { "" };
	uint32_t id;
	FILE *stream = fopen(EXAMPLES "/../docs/sim.md", "r");

	assert_non_null(stream);
	assert_in_range(fread(text, 1, sizeof(text) - 1, stream), 1, sizeof(text) - 2);
	fclose(stream);
	start = strstr(text, "```yaml\n");
	assert_non_null(start);
	start += strlen("```yaml\n");
	end = strstr(start, "```");
	assert_non_null(end);
	assert_non_null(mkdtemp(directory));
	snprintf(yaml, sizeof(yaml), "%s/x.yaml", directory);
	snprintf(rom, sizeof(rom), "%s/some.rom", directory);
	rom_file_write(rom, ROM_FILE_LEAST, 0);
	if (bk__sim_open_text(yaml, start, (size_t)(end - start), "sim:x", &device, &err))
		fail_msg("%s", err.text);
	assert_int_equal(bk_device_read(device, 0, 0, &id, 4), 0);
	assert_memory_equal(&id, "\xed\x00\x00\x01", 4);
	bk_device_close(device);
	unlink(rom);
	rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_mistake_has_its_line),
		cmocka_unit_test(msix_tables_that_make_no_sense_are_no_mistake),
		cmocka_unit_test(registers_are_bounded),
		cmocka_unit_test(a_file_of_any_kind_is_bounded),
		cmocka_unit_test(truncated_files_are_survived),
		cmocka_unit_test(roms_come_from_beside_the_file),
		cmocka_unit_test(the_example_of_the_docs_is_a_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
