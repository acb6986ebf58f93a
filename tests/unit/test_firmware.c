/* SPDX-License-Identifier: BSD-2-Clause */
/* Firmware traces: what is refused, with which line; which differences are told, and why. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <lzma.h>

#include "firmware/replay.h"

/* ---- Parsing ----------------------------------------------------------- */

static void refused(const char *text, size_t size, const char *wanted)
{
	struct bk_error err = { { 0 } };
	struct bk__firmware_trace trace;

	if (!bk__firmware_trace_parse("t", text, size, &trace, &err))
		fail_msg("taken: %.*s", (int)size, text);
	bk__firmware_trace_free(&trace);
	if (!strstr(err.text, wanted))
		fail_msg("said: %s, wanted: %s", err.text, wanted);
}

#define ENDPOINT "dev 01.0 1af4:1000 endpoint Ethernet_controller\n"
#define BRIDGE   "dev 02.0 1b36:000c bridge PCI_bridge\n"

static void malformed_lines(void **state)
{
	static const char *const cases[][2] = {
		{ "", "no `dev` line" },
		{ "ecam r 0x0 4 0x0\n", "no `dev` line" },
		{ "hello\n", "t:1: `hello`" },
		{ "dev 01.0\n", "t:1: should be: dev" },
		{ "dev 01.0 1af4:1000 endpoint a b\n", "t:1: should be: dev" },
		{ "dev 20.0 1af4:1000 endpoint x\n", "t:1: 20.0: should end in SLOT.FUNCTION" },
		{ "dev 01.8 1af4:1000 endpoint x\n", "SLOT.FUNCTION" },
		{ "dev 01 1af4:1000 endpoint x\n", "SLOT.FUNCTION" },
		{ "dev -1.0 1af4:1000 endpoint x\n", "SLOT.FUNCTION" },
		{ "dev 01.0 1af4 endpoint x\n", "VENDOR:DEVICE" },
		{ "dev 01.0 1af41:1000 endpoint x\n", "VENDOR:DEVICE" },
		{ "dev 01.0 1af4:1000 gadget x\n", "endpoint or bridge" },
		{ "dev 02.0/01.0 1af4:1000 endpoint x\n", "no bridge `02.0`" },
		{ ENDPOINT "dev 01.0/01.0 1af4:1000 endpoint x\n", "t:2: 01.0/01.0: no bridge" },
		{ ENDPOINT ENDPOINT, "t:2: 01.0 is there already" },
		{ "bar 01.0 0 io 0x20\n", "t:1: no function `01.0`" },
		{ ENDPOINT "bar 01.0 7 io 0x20\n", "t:2: BAR 7" },
		{ ENDPOINT "bar 01.0 0 io\n", "should be: bar" },
		{ ENDPOINT "bar 01.0 0 tape 0x20\n", "of kind tape" },
		{ ENDPOINT "bar 01.0 6 io 0x20\n", "BAR 6 of kind io" },
		{ ENDPOINT "bar 01.0 0 rom 0x800\n", "BAR 0 of kind rom" },
		{ ENDPOINT "bar 01.0 0 io 0\n", "should be a length" },
		{ ENDPOINT "bar 01.0 0 io 0x0\n", "should be a length" },
		{ ENDPOINT "bar 01.0 0 io 0x10000000000000000\n", "should be a length" },
		{ ENDPOINT "bar 01.0 0 io 0x20\nbar 01.0 0 io 0x20\n", "t:3: 01.0 has a BAR 0 already" },
		{ ENDPOINT "ecam r 0x0 4\n", "t:2: should be: ecam" },
		{ ENDPOINT "ecam x 0x0 4 0x0\n", "should be: ecam" },
		{ ENDPOINT "ecam r zero 4 0x0\n", "zero: should be an address" },
		{ ENDPOINT "ecam r 0x0 3 0x0\n", "a size should be" },
		{ ENDPOINT "ecam r 0x0 8 0x0\n", "a size should be" },
		{ ENDPOINT "ecam r 0xffe 4 0x0\n", "past the end" },
		{ ENDPOINT "ecam r 0x0 4 x\n", "should be a value" },
		{ ENDPOINT "cf8 w 0xcfc 4 0x0\n", "outside of ports 0xcf8-0xcfb" },
		{ ENDPOINT "cfc r 0xcfe 4 0x0\n", "outside of ports 0xcfc-0xcff" },
		{ ENDPOINT "cfc r 0xffffffffffffffff 4 0x0\n", "outside of ports" },
		{ ENDPOINT "map 00:01.0 0 0x0\n", "should be: map" },
		{ ENDPOINT "unmap 100:01.0 0 0x0 0x20 x\n", "BUS:SLOT.FUNCTION" },
		{ ENDPOINT "map 00:01.0 9 0x0 0x20 x\n", "BAR 9" },
		{ ENDPOINT "map 00:01.0 0 0x0 -1 x\n", "address and length" },
		{ ENDPOINT "a b c d e f g h i\n", "more than 8 words" },
		{ ENDPOINT "\033[2J\n", "byte 0x1b is no text" },
	};

	static const char *const more[][2] = {
		{ "dev 01.0 1:x endpoint x\n", "VENDOR:DEVICE" },
		{ "dev 01.0 1:1 endpoint x y z\n", "t:1: should be: dev" },
		{ "dev 01.x 1:1 endpoint x\n", "SLOT.FUNCTION" },
		{ ENDPOINT "dev 01.0/01.0 1:1 endpoint x\n", "no bridge `01.0`" },
		{ ENDPOINT "dev 01 1:1 endpoint x\n", "SLOT.FUNCTION" },
		{ ENDPOINT "bar 01 0 io 0x20\n", "no function `01`" },
		{ ENDPOINT "bar 01.0 0 io x20\n", "should be a length" },
		{ ENDPOINT "bar 01.0 0 io 0x\n", "should be a length" },
		{ ENDPOINT "ecam r 0x0 0 0x0\n", "a size should be" },
		{ ENDPOINT "ecam r 0x0 x 0x0\n", "a size should be" },
		{ ENDPOINT "cf8 w 0xcf7 1 0x0\n", "outside of ports 0xcf8-0xcfb" },
		{ ENDPOINT "cf8 w 0xcf9 4 0x0\n", "outside of ports 0xcf8-0xcfb" },
		{ ENDPOINT "map 00:01.0 0 0x0 0x20 x y\n", "should be: map" },
		{ ENDPOINT "map 00:x 0 0x0 0x20 x\n", "BUS:SLOT.FUNCTION" },
		{ ENDPOINT "map 00:01.0 0 0 0x20 x\n", "address and length" },
		{ ENDPOINT "\x7f\n", "byte 0x7f is no text" },
		{ ENDPOINT "\t\r \nhello\n", "t:3: `hello`" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		refused(cases[i][0], strlen(cases[i][0]), cases[i][1]);
	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
		refused(more[i][0], strlen(more[i][0]), more[i][1]);
	refused("dev 01.0\0 x", 11, "t:1: byte 0");
}

static void long_lines_and_many_functions(void **state)
{
	char *text = malloc(1 << 20);
	size_t length = 0;

	assert_non_null(text);
	memset(text, 'x', 1 << 20);
	refused(text, 1 << 20, "t:1: a line of more than 255 bytes");
	refused(text, 256, "t:1: a line of more than 255 bytes");
	memcpy(text, "dev ", 4);
	memset(text + 4, '0', 128);
	strcpy(text + 132, " 1af4:1000 endpoint x\n");
	refused(text, strlen(text), "t:1: a path of more than 127 bytes");
	for (unsigned i = 0; i <= BK__TRACE_FUNCTIONS; i++) {
		unsigned bridge = i / 256, at = i % 256;

		length += (size_t)(i < 8 ? sprintf(text + length, "dev %02x.0 1b36:1 bridge x\n", i)
					 : sprintf(text + length, "dev %02x.0/%02x.%x 1af4:1 endpoint x\n",
						   bridge, at >> 3, at & 7));
	}
	refused(text, length, "t:1025: more than 1024 functions");
	free(text);
}

/* Packed with liblzma; *size is that of the result. */
static uint8_t *pack(const char *text, size_t *size)
{
	size_t room = strlen(text) + 1024;
	uint8_t *packed = malloc(room);

	*size = 0;
	assert_int_equal(lzma_easy_buffer_encode(6, LZMA_CHECK_CRC64, NULL, (const uint8_t *)text,
						 strlen(text), packed, size, room),
			 LZMA_OK);
	return packed;
}

static void xz(void **state)
{
	struct bk_error err = { { 0 } };
	struct bk__firmware_trace trace;
	size_t size;
	uint8_t *packed = pack(ENDPOINT "ecam r 0x8000 4 0x10001af4", &size);

	assert_int_equal(bk__firmware_trace_parse("t", packed, size, &trace, &err), 0);
	assert_int_equal(trace.function_count, 1);
	assert_int_equal(trace.step_count, 1);
	assert_int_equal(trace.steps[0].value, 0x10001af4);
	bk__firmware_trace_free(&trace);
	for (size_t cut = 6; cut < size; cut++)
		refused((char *)packed, cut, " and on: the .xz data ends too early");
	for (size_t i = 6; i < size; i++) {
		packed[i] ^= 0x40;
		assert_true(bk__firmware_trace_parse("t", packed, size, &trace, &err) < 0);
		bk__firmware_trace_free(&trace);
		packed[i] ^= 0x40;
	}
	free(packed);
}

static void damaged(uint8_t *packed, size_t size, const char *wanted)
{
	refused((char *)packed, size, wanted);
	free(packed);
}

/* What a decoder of .xz can say: headers that are whole, but ask for something else. */
static void xz_of_another_kind(void **state)
{
	enum { FLAGS = 6, BLOCK = 12 };
	struct bk_error err = { { 0 } };
	struct bk__firmware_trace trace;
	uint8_t *packed;
	unsigned at, end;
	uint32_t crc;
	size_t size;

	packed = pack(ENDPOINT, &size);
	packed[FLAGS] = 0x80; /* reserved */
	crc = lzma_crc32(packed + FLAGS, 2, 0);
	for (unsigned i = 0; i < 4; i++)
		packed[FLAGS + 2 + i] = (uint8_t)(crc >> 8 * i);
	damaged(packed, size, "features of .xz that this liblzma does not know");
	/* In the block's header: filter 0x21, 1 byte, which is the size of a dictionary. */
	packed = pack(ENDPOINT, &size);
	end = BLOCK + 4u * packed[BLOCK];
	for (at = BLOCK + 2; packed[at] != 0x21 || packed[at + 1] != 1; at++)
		assert_true(at < end);
	packed[at + 2] = 40; /* 4 GiB */
	crc = lzma_crc32(packed + BLOCK, end - BLOCK, 0);
	for (unsigned i = 0; i < 4; i++)
		packed[end + i] = (uint8_t)(crc >> 8 * i);
	damaged(packed, size, "needs more than 128 MiB to unpack");
	/* Another stream behind the first one is more of the same. */
	packed = pack(ENDPOINT,
		      &size); /* in the block's header: filter 0x21, 1 byte, the size of a dictionary */
	end = BLOCK + 4u * packed[BLOCK];
	for (at = BLOCK + 2; packed[at] != 0x21 || packed[at + 1] != 1; at++)
		assert_true(at < end);
	packed[at + 2] = 40; /* 4 GiB */
	crc = lzma_crc32(packed + BLOCK, end - BLOCK, 0);
	for (unsigned i = 0; i < 4; i++)
		packed[end + i] = (uint8_t)(crc >> 8 * i);
	damaged(packed, size, "needs more than 128 MiB to unpack");
	/* Another stream behind the first one is more of the same. */
	packed = pack(ENDPOINT, &size);
	packed = realloc(packed, 2 * size);
	memcpy(packed + size, packed, size);
	refused((char *)packed, 2 * size, "t:2: 01.0 is there already");
	free(packed);
	assert_int_equal(bk__firmware_trace_parse("t", ENDPOINT, strlen(ENDPOINT) - 1, &trace, &err), 0);
	bk__firmware_trace_free(&trace);
}

static void more_bytes_than_a_trace_can_need(void **state)
{
	const size_t size = (size_t)BK__TRACE_STEPS * 64 + 1;
	char *text = malloc(size);

	assert_non_null(text);
	memset(text, '\n', size);
	refused(text, size, "t: more than 268435456 bytes");
	free(text);
}

static void files_that_cannot_be_read(void **state)
{
	struct bk_error err = { { 0 } };
	struct bk__firmware_trace trace;
	char path[64];
	FILE *file;

	assert_int_equal(bk__firmware_trace_load("/nowhere/at.all", &trace, &err), -ENOENT);
	assert_string_equal(err.text, "/nowhere/at.all: No such file or directory");
	assert_int_equal(bk__firmware_trace_load("/", &trace, &err), -EIO);
	assert_string_equal(err.text, "/: cannot be read: Is a directory");
	/* One that is longer than what is read at once. */
	file = tmpfile();
	assert_non_null(file);
	for (unsigned i = 0; i < 5000; i++)
		fputs("\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\n", file);
	fputs(ENDPOINT, file);
	fflush(file);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fileno(file));
	assert_int_equal(bk__firmware_trace_load(path, &trace, &err), 0);
	assert_int_equal(trace.functions[0].line, 5001);
	bk__firmware_trace_free(&trace);
	fclose(file);
	assert_int_equal(bk__firmware_trace_load("/dev/null", &trace, &err), -EINVAL);
	assert_non_null(strstr(err.text, "no `dev` line"));
}

/* ---- Replaying --------------------------------------------------------- */

struct seen {
	unsigned count, steps, looked_at;
	struct bk__firmware_difference last;
	char path[128], why[512];
};

static void told(void *opaque, const struct bk__firmware_difference *difference)
{
	struct seen *seen = opaque;

	seen->count++;
	seen->last = *difference;
	snprintf(seen->path, sizeof(seen->path), "%s", difference->path ? difference->path : "nobody");
	snprintf(seen->why, sizeof(seen->why), "%s", difference->why);
}

static void stepped(void *opaque, struct bk__firmware_machine *machine,
		    const struct bk__firmware_step *access)
{
	struct seen *seen = opaque;

	seen->steps++;
	seen->looked_at += machine->changed_count;
}

static struct bk__firmware_trace trace;

static struct bk__firmware_replay_counts replay(const char *text, struct seen *seen)
{
	static const struct bk__firmware_replay_ops ops = { .difference = told, .step = stepped };
	struct bk__firmware_replay_counts counts;
	struct bk_error err;

	*seen = (struct seen){ 0 };
	bk__firmware_trace_free(&trace);
	if (bk__firmware_trace_parse("t", text, strlen(text), &trace, &err) ||
	    bk__firmware_replay("t", &trace, &ops, seen, &counts, &err))
		fail_msg("%s", err.text);
	assert_int_equal(counts.differences, seen->count);
	return counts;
}

static void not_replayed(const char *text, const char *wanted)
{
	static const struct bk__firmware_replay_ops ops = { .difference = told };
	struct bk__firmware_replay_counts counts;
	struct bk_error err = { { 0 } };
	struct seen seen = { 0 };

	bk__firmware_trace_free(&trace);
	assert_int_equal(bk__firmware_trace_parse("t", text, strlen(text), &trace, &err), 0);
	assert_true(bk__firmware_replay("t", &trace, &ops, &seen, &counts, &err) < 0);
	if (!strstr(err.text, wanted))
		fail_msg("said: %s, wanted: %s", err.text, wanted);
}

static void impossible_hierarchies(void **state)
{
	not_replayed(ENDPOINT "bar 01.0 5 mem64 0x1000\n", "t:1: 01.0: BAR 5: a 64-bit BAR needs");
	not_replayed(ENDPOINT "bar 01.0 0 io 0x21\n", "t:1: 01.0: BAR 0: a size of 0x21");
	not_replayed(BRIDGE "bar 02.0 2 io 0x20\n", "t:1: 02.0: BAR 2: a bridge has two");
	not_replayed("dev 01.0 ffff:1 endpoint x\n", "t:1: 01.0: vendor id 0xffff");
	not_replayed("dev 01.0 1:1 endpoint x\ndev 1.0 1:1 endpoint x\n", "t:2: 1.0: another function");
	not_replayed(ENDPOINT "bar 01.0 0 io 0x20\nmap 00:02.0 0 0xc000 0x20 x\n", "t:3: no such BAR");
	not_replayed(ENDPOINT "bar 01.0 0 io 0x20\nmap 00:01.0 0 0xc000 0x40 x\n", "t:3: no such BAR");
	not_replayed(ENDPOINT "bar 01.0 0 io 0x20\nmap 01:01.0 0 0xc000 0x20 x\n", "t:3: no such BAR");
}

#define TWO_BARS ENDPOINT "bar 01.0 0 io 0x20\nbar 01.0 4 mem64,pref 0x4000\n"
#define PROGRAM  TWO_BARS "ecam w 0x8010 4 0xc000\necam w 0x8004 2 0x1\n"

static void what_agrees(void **state)
{
	struct seen seen;
	struct bk__firmware_replay_counts counts = replay(
		PROGRAM "map 00:01.0 0 0xc000 0x20 x\necam r 0x8010 4 0xc001\necam r 0x10000 2 0xffff\n"
			"cf8 w 0xcf8 4 0x80000810\ncf8 w 0xcfb 1 0x0\ncfc r 0xcfd 1 0xc0\n",
		&seen);

	assert_int_equal(seen.count, 0);
	assert_int_equal(counts.reads, 3);
	assert_int_equal(counts.bytes, 4 + 2 + 1);
	assert_int_equal(counts.writes, 4);
	assert_int_equal(counts.events, 1);
	assert_int_equal(seen.steps, 7);
}

static void differences_of_the_map(void **state)
{
	struct seen seen;

	/* It should not have decoded. Told once, with the write that did it. */
	replay(PROGRAM "ecam w 0x803c 1 0x1\necam w 0x803c 1 0x2\n", &seen);
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.last.access->line, 5);
	assert_string_equal(seen.path, "01.0");
	assert_true(seen.last.map && seen.last.verdict.on && !seen.last.verdict.recorded_on);
	assert_int_equal(seen.last.bar, 0);
	assert_non_null(strstr(seen.why, "COMMAND is 0x0001 (written by line 5)"));
	assert_non_null(strstr(seen.why, "0xc000-0xc01f"));

	/* Elsewhere. */
	replay(PROGRAM "map 00:01.0 0 0xd000 0x20 x\n", &seen);
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.last.verdict.address, 0xc000);
	assert_int_equal(seen.last.verdict.recorded_address, 0xd000);

	/* It should have. */
	replay(TWO_BARS "ecam w 0x8010 4 0xc000\nmap 00:01.0 0 0xc000 0x20 x\n", &seen);
	assert_int_equal(seen.count, 1);
	assert_non_null(strstr(seen.why, "COMMAND is 0x0000 (not written so far): I/O decoding is off"));
	replay(TWO_BARS "ecam w 0x8004 2 0x1\nmap 00:01.0 0 0x0 0x20 x\n", &seen);
	assert_non_null(strstr(seen.why, "address 0 does not decode"));
	replay(ENDPOINT "bar 01.0 6 rom 0x800\necam w 0x8004 2 0x2\necam w 0x8030 4 0xfe000000\nmap 00:01.0 "
			"6 0xfe000000 0x800 x\n",
	       &seen);
	assert_int_equal(seen.count, 1);
	assert_non_null(strstr(seen.why, "the ROM's enable bit is off"));
}

/* One that stays is told once, one that changes again. */
static void a_difference_is_told_again_when_it_changes(void **state)
{
	struct seen seen;

	/* On there and here, elsewhere; then elsewhere again, there and here. */
	replay(PROGRAM "map 00:01.0 0 0xd000 0x20 x\necam w 0x803c 1 0x1\n"
		       "ecam w 0x8010 4 0xe000\necam w 0x803c 1 0x2\n"
		       "ecam w 0x803c 1 0x3\nmap 00:01.0 0 0xb000 0x20 x\n"
		       "ecam w 0x803c 1 0x4\nunmap 00:01.0 0 0xb000 0x20 x\n"
		       "ecam w 0x8004 2 0x0\nmap 00:01.0 0 0xe000 0x20 x\n",
	       &seen);
	assert_int_equal(seen.count, 5);
	/* A BAR whose half is all address. */
	replay(ENDPOINT "bar 01.0 0 mem64 0x100000000\necam w 0x8014 4 0x1\necam w 0x8004 2 0x2\n", &seen);
	assert_int_equal(seen.count, 1);
	replay(ENDPOINT "bar 01.0 0 mem64 0x100000000\necam w 0x8004 2 0x2\necam w 0x8014 4 0xffffffff\n"
			"map 00:01.0 0 0xffffffff00000000 0x100000000 x\necam w 0x8014 4 0x1\n"
			"map 00:01.0 0 0x100000000 0x100000000 x\n",
	       &seen);
	assert_int_equal(seen.count, 0);
	/* The low half of a probe. */
	replay(ENDPOINT "bar 01.0 0 mem32 0x1000\necam w 0x8004 2 0x2\necam w 0x8010 4 0xffffffff\n"
			"map 00:01.0 0 0xfffff000 0x1000 x\necam w 0x8010 4 0x90000000\n"
			"map 00:01.0 0 0x90000000 0x1000 x\n",
	       &seen);
	assert_int_equal(seen.count, 0);
	/* What it is excused for and what not, with the same addresses. */
	replay(ENDPOINT "bar 01.0 0 mem64 0x100000000\necam w 0x8004 2 0x2\necam w 0x8014 4 0xfffffffe\n"
			"ecam w 0x803c 1 0x1\n",
	       &seen);
	assert_int_equal(seen.count, 1);
	replay(ENDPOINT "bar 01.0 0 mem32 0x1000\necam w 0x8004 2 0x2\necam w 0x8010 4 0xffffffff\n"
			"map 00:01.0 0 0xfffff000 0x1000 x\n",
	       &seen);
	assert_int_equal(seen.count, 1); /* at the end */
	/* Of a bridge and of memory. */
	replay(BRIDGE
	       "bar 02.0 0 mem32 0x1000\necam w 0x10010 4 0x90000000\nmap 00:02.0 0 0x90000000 0x1000 x\n",
	       &seen);
	assert_int_equal(seen.count, 1);
	assert_non_null(strstr(seen.why, "memory decoding is off"));
}

static void reasons(void **state)
{
	struct seen seen;
	char text[64 * 100], *at = text;

	/* No bridge leads anywhere, or there are more than a line has room for. */
	replay(BRIDGE "ecam r 0x100000 2 0x1\n", &seen);
	assert_non_null(
		strstr(seen.why, "no function answers at bus 01, 00.0; bridges lead to buses nowhere"));
	for (unsigned i = 0; i < 32; i++)
		at += sprintf(at, "dev %x.0 1:1 bridge x\ndev %x.1 1:2 bridge x\n", i, i);
	for (unsigned i = 0; i < 32; i++)
		at += sprintf(at, "ecam w 0x%x18 4 0x%x0100\necam w 0x%x18 4 0x800100\n", i << 7, i + 1,
			      i << 7 | 16);
	sprintf(at, "ecam r 0xff00000 2 0x1\n");
	replay(text, &seen);
	assert_int_equal(seen.count, 1);
	assert_non_null(strstr(seen.why, "01-01 (0.0), 01-80 (0.1), 01-02 (1.0)"));
	/* Halves of a BAR, what is beside it, and a register whose reset value is not known. */
	replay(TWO_BARS "ecam r 0x8024 4 0x1\n", &seen);
	assert_non_null(strstr(seen.why, "BAR 4, 64-bit prefetchable memory of 0x4000 bytes: holds 0x0"));
	replay(TWO_BARS "ecam r 0x8014 4 0x1\n", &seen);
	assert_non_null(strstr(seen.why, "register 0x14: not written so far; line 4 tells"));
	replay(TWO_BARS "ecam w 0x803c 1 0x1\necam r 0x803c 1 0x2\n", &seen);
	assert_non_null(strstr(seen.why, "register 0x3c: written by line 4; no read before a write tells"));
	replay(ENDPOINT "bar 01.0 6 rom 0x800\necam w 0x8004 2 0x2\necam w 0x8030 4 0xfe000001\n", &seen);
	assert_non_null(strstr(seen.why, "it decodes 0xfe000000-0xfe0007ff"));
}

static void steps_as_text(void **state)
{
	static const struct {
		struct bk__firmware_step step;
		const char *text;
	} steps[] = {
		{ { .kind = BK__STEP_CF8, .address = 0xcf8, .value = 1, .width = 4 }, "cf8 r 0xcf8 4 0x1" },
		{ { .kind = BK__STEP_ECAM, .write = true, .width = 1 }, "ecam w 0x0 1 0x0" },
		{ { .kind = BK__STEP_UNMAP, .bus = 1, .devfn = 9, .bar = 6, .value = 16 },
		  "unmap 01:01.1 6 0x0 0x10" },
	};
	char text[64];

	for (unsigned i = 0; i < 3; i++) {
		bk__firmware_step_text(&steps[i].step, text, sizeof(text));
		assert_string_equal(text, steps[i].text);
	}
}

/* An event of a reset names the bus by the number that it had. */
static void events_name_the_bus_as_it_was(void **state)
{
	struct seen seen;

	replay("dev 02.0 1:1 bridge\ndev 02.0/00.0 1:2 endpoint\nbar 02.0/00.0 0 mem32 0x1000\n"
	       "ecam w 0x10018 4 0x010100\necam w 0x100010 4 0x90000000\necam w 0x100004 2 0x2\n"
	       "map 01:00.0 0 0x90000000 0x1000\necam w 0x10018 4 0x020200\n"
	       "unmap 01:00.0 0 0x90000000 0x1000\nmap 02:00.0 0 0x90000000 0x1000\n",
	       &seen);
	assert_int_equal(seen.count, 0);
	not_replayed("dev 02.0 1:1 bridge\ndev 02.0/00.0 1:2 endpoint\nbar 02.0/00.0 0 mem32 0x1000\n"
		     "ecam w 0x10018 4 0x010100\nmap 07:00.0 0 0x90000000 0x1000\n",
		     "t:5: no such BAR at that place now");
}

/* Chains that lead outside, into themselves, or to what the guest did not read. */
static void capabilities_as_far_as_they_were_read(void **state)
{
	static const char *const chains[] = {
		"ecam r 0x8034 1 0x40\necam r 0x8040 2 0x4001\n",                         /* itself */
		"ecam r 0x8034 1 0x40\necam r 0x8040 1 0x1\n",                            /* no next one */
		"ecam r 0x8034 1 0x20\n",                                                 /* the header */
		"ecam r 0x8034 1 0xfc\necam r 0x80fc 2 0x1\n",                            /* PM at the end */
		"ecam r 0x8034 1 0xf8\necam r 0x80f8 2 0x10\n",                           /* PCIe there */
		"ecam r 0x8034 1 0x40\necam r 0x8040 2 0x5001\necam r 0x8050 2 0x1\n",    /* two PM */
		"ecam r 0x8034 1 0x40\necam r 0x8040 2 0x5410\necam r 0x8054 2 0x10\n",   /* two PCIe */
		"ecam r 0x8034 1 0x40\necam r 0x8040 2 0x5405\necam r 0x8054 2 0x4009\n", /* others, a loop */
		"cfc r 0xcfc 4 0x0\ncf8 w 0xcf8 4 0x800\ncfc r 0xcfc 4 0x0\n",            /* no enable bit */
		"ecam r 0x8100 4 0x0\necam w 0x8100 4 0x0\n",                             /* extended */
	};
	struct seen seen;

	for (size_t i = 0; i < sizeof(chains) / sizeof(chains[0]); i++) {
		char text[256];

		snprintf(text, sizeof(text), ENDPOINT "%s", chains[i]);
		replay(text, &seen);
		assert_int_equal(seen.count, 0);
	}
}

static void probes_are_excused_but_not_at_the_end(void **state)
{
#define PROBE                                                                                                \
	TWO_BARS "ecam w 0x8004 2 0x2\necam w 0x8024 4 0xffffffff\nmap 00:01.0 4 0xffffffff00000000 0x4000 " \
		 "x\n"
	struct seen seen;
	struct bk__firmware_replay_counts counts =
		replay(PROBE "ecam w 0x8024 4 0x0\nunmap 00:01.0 4 0xffffffff00000000 0x4000 x\n", &seen);

	assert_int_equal(seen.count, 0);
	assert_int_equal(counts.excused, 1);
	replay(PROBE, &seen);
	assert_int_equal(seen.count, 1);
	assert_non_null(strstr(seen.why, "a size probe"));
	/* One that never ended: nothing but the excuse is another one. */
	counts = replay(PROBE "ecam w 0x803c 1 0x1\n", &seen);
	assert_int_equal(counts.excused, 1);
	assert_int_equal(seen.count, 1);
}

/* The trace shows a PM capability: in D3 the model decodes nothing, whatever the other machine does. */
static void power_states_are_excused(void **state)
{
	struct seen seen;
	struct bk__firmware_replay_counts counts =
		replay(TWO_BARS "ecam r 0x8034 1 0x40\necam r 0x8040 4 0x00030001\necam w 0x8010 4 0xc000\n"
				"ecam w 0x8004 2 0x1\nmap 00:01.0 0 0xc000 0x20 x\n"
				"ecam w 0x8044 2 0x3\necam r 0x8010 4 0xc001\necam w 0x8044 2 0x0\n"
				"ecam w 0x8044 2 0x3\n",
		       &seen);

	assert_int_equal(seen.count, 0);
	assert_int_equal(counts.excused, 2);
}

/* So it shows that a function has FLR; and a bridge that is reset has no bus number any more. */
static void resets(void **state)
{
	struct seen seen;

	replay(BRIDGE "dev 02.0/00.0 1:1 endpoint x\nbar 02.0/00.0 0 mem32 0x1000\n"
		      "ecam r 0x10034 1 0x40\necam r 0x10040 2 0x10\necam r 0x10044 4 0x10000000\n"
		      "ecam w 0x10018 4 0x010100\necam w 0x100010 4 0xfe000000\necam w 0x100004 2 0x2\n"
		      "map 01:00.0 0 0xfe000000 0x1000 x\n"
		      "ecam w 0x10048 2 0x8000\nunmap 01:00.0 0 0xfe000000 0x1000 x\n"
		      "ecam r 0x10018 4 0x0\necam r 0x100000 2 0xffff\n",
	       &seen);
	assert_int_equal(seen.count, 0);
}

static void differences_of_reads(void **state)
{
	struct seen seen;

	replay(PROGRAM "map 00:01.0 0 0xc000 0x20 x\necam r 0x8012 2 0x1234\n", &seen);
	assert_int_equal(seen.count, 1);
	assert_false(seen.last.map);
	assert_int_equal(seen.last.access->line, 7);
	assert_int_equal(seen.last.offset, 0x12);
	assert_int_equal(seen.last.value, 0);
	assert_int_equal(seen.last.recorded, 0x1234);
	assert_non_null(strstr(seen.why, "BAR 0, I/O of 0x20 bytes: holds 0xc000, written by line 4"));

	replay(BRIDGE "dev 02.0/00.0 1:1 endpoint x\necam w 0x10018 4 0x020100\necam r 0x100000 2 0x1\n"
		      "ecam r 0x200000 2 0x1\n",
	       &seen);
	assert_int_equal(seen.count, 1);
	assert_string_equal(seen.path, "nobody");
	assert_int_equal(seen.last.access->line, 5);
	assert_non_null(
		strstr(seen.why, "no function answers at bus 02, 00.0; bridges lead to buses 01-02 (02.0)"));

	replay(ENDPOINT "ecam r 0x8004 1 0x7\necam w 0x8004 1 0x0\necam r 0x8004 1 0x7\n", &seen);
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.last.mask, 7);
	assert_non_null(strstr(seen.why, "register 0x04: written by line 3; line 2 tells its reset value"));

	/* Registers that are not compared, and bits of COMMAND. */
	replay(ENDPOINT "ecam w 0x8004 2 0x0\necam r 0x8004 4 0x12345678\necam r 0x8040 4 0x1\n", &seen);
	assert_int_equal(seen.count, 0);
}

/* A bridge with 255 functions below, which all have all BARs; room for more lines. */
static char *crowd(size_t more, char **end)
{
	char *text = malloc(255 * 7 * 40 + 100 + more), *at = text;

	assert_non_null(text);
	at += sprintf(at, "dev 00.0 1:1 bridge x\n");
	for (unsigned i = 0; i < 255; i++) {
		at += sprintf(at, "dev 00.0/%x.%u 1:2 endpoint x\n", i / 8, i % 8);
		for (unsigned bar = 0; bar < 6; bar++)
			at += sprintf(at, "bar 00.0/%x.%u %u mem32 0x1000\n", i / 8, i % 8, bar);
	}
	at += sprintf(at, "ecam w 0x18 4 0x010100\n");
	*end = at;
	return text;
}

/* A packed file can hold millions of writes to one of a thousand functions. */
static void a_write_makes_nobody_look_at_other_functions(void **state)
{
	struct bk__firmware_replay_counts counts;
	struct seen seen;
	char *at, *text = crowd(3 * 100 * 40, &at);

	for (unsigned i = 0; i < 100; i++)
		at += sprintf(at, "ecam w 0x1ff0%02x 4 0x0\n", 0x10 + 4 * (i % 6));
	counts = replay(text, &seen);
	assert_int_equal(counts.writes, 101);
	assert_int_equal(counts.differences, 0);
	assert_in_range(seen.looked_at, 1, 101);
	/* All of them, where all are reset. */
	sprintf(at, "ecam w 0x3e 1 0x40\n");
	replay(text, &seen);
	assert_in_range(seen.looked_at, 256, 101 + 256);
	free(text);
}

static void writes_to_bridges_are_bounded_by_what_is_below(void **state)
{
	const unsigned most = BK__FIRMWARE_WORK / 255;
	struct bk__firmware_replay_counts counts;
	struct seen seen;
	char *at, *last, wanted[64], *text = crowd((most + 2) * 20, &at);

	for (unsigned i = 1; i < most; i++) /* the first has numbered the bus */
		at += sprintf(at, "ecam w 0x3c 1 0x0\n");
	last = at;
	at += sprintf(at, "ecam w 0xff03c 1 0x0\n"); /* who has nothing below is free */
	counts = replay(text, &seen);
	assert_int_equal(counts.writes, most + 1);
	sprintf(last, "ecam w 0x3c 1 0x0\n");
	sprintf(wanted, "t:%u: too many writes to bridges", 1 + 255 * 7 + most + 1);
	not_replayed(text, wanted);
	free(text);
}

static void a_thousand_differences_are_told_and_all_are_counted(void **state)
{
	static const struct bk__firmware_replay_ops ops = { .difference = told };
	struct bk__firmware_replay_counts counts;
	struct bk_error err;
	struct seen seen = { 0 };
	char *text = malloc(2 * BK__FIRMWARE_TOLD * 40 + 100), *at = text;

	at += sprintf(at, ENDPOINT "bar 01.0 0 mem32 0x1000\necam w 0x8004 1 0x2\n");
	for (unsigned i = 0; i < BK__FIRMWARE_TOLD; i++)
		at += sprintf(at, "ecam r 0x8000 1 0x0\necam w 0x8010 4 0x%x000\n", i + 1);
	bk__firmware_trace_free(&trace);
	assert_int_equal(bk__firmware_trace_parse("t", text, strlen(text), &trace, &err), 0);
	assert_int_equal(bk__firmware_replay("t", &trace, &ops, &seen, &counts, &err), 0);
	assert_int_equal(counts.differences, 2 * BK__FIRMWARE_TOLD);
	assert_int_equal(seen.count, BK__FIRMWARE_TOLD);
	free(text);
}

/* Two bridges have one number for a while: an event is of who was written to. */
static void one_number_for_two_buses(void **state)
{
	struct seen seen;

	replay("dev 01.0 1:1 bridge x\ndev 01.0/00.0 1:2 endpoint x\nbar 01.0/00.0 0 mem32 0x1000\n"
	       "dev 02.0 1:1 bridge x\ndev 02.0/00.0 1:2 endpoint x\nbar 02.0/00.0 0 mem32 0x1000\n"
	       "ecam w 0x10018 4 0x010100\n"
	       "ecam w 0x100010 4 0xfe000000\necam w 0x100004 2 0x2\nmap 01:00.0 0 0xfe000000 0x1000 x\n"
	       "ecam w 0x8018 4 0x010100\n"
	       "ecam w 0x100010 4 0xfd000000\necam w 0x100004 2 0x2\nmap 01:00.0 0 0xfd000000 0x1000 x\n",
	       &seen);
	assert_int_equal(seen.count, 0);
}

static int end(void **state)
{
	bk__firmware_trace_free(&trace);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(malformed_lines),
		cmocka_unit_test(long_lines_and_many_functions),
		cmocka_unit_test(xz),
		cmocka_unit_test(impossible_hierarchies),
		cmocka_unit_test(what_agrees),
		cmocka_unit_test(differences_of_the_map),
		cmocka_unit_test(probes_are_excused_but_not_at_the_end),
		cmocka_unit_test(power_states_are_excused),
		cmocka_unit_test(resets),
		cmocka_unit_test(differences_of_reads),
		cmocka_unit_test(xz_of_another_kind),
		cmocka_unit_test(more_bytes_than_a_trace_can_need),
		cmocka_unit_test(files_that_cannot_be_read),
		cmocka_unit_test(a_difference_is_told_again_when_it_changes),
		cmocka_unit_test(reasons),
		cmocka_unit_test(steps_as_text),
		cmocka_unit_test(events_name_the_bus_as_it_was),
		cmocka_unit_test(capabilities_as_far_as_they_were_read),
		cmocka_unit_test(a_write_makes_nobody_look_at_other_functions),
		cmocka_unit_test(writes_to_bridges_are_bounded_by_what_is_below),
		cmocka_unit_test(a_thousand_differences_are_told_and_all_are_counted),
		cmocka_unit_test(one_number_for_two_buses),
	};

	return cmocka_run_group_tests(tests, NULL, end);
}
