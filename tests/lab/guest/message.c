/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An arm64 guest without an operating system: it has edu raise an MSI ten times, by way of the ITS.
 *
 * No driver of Linux enables edu's MSI, and a program cannot: only the kernel
 * gives the ITS its commands. It prints lines as the lab's guest does, and
 * switches the machine off.
 */
#include <stdint.h>

#define GICD     0x08000000ul
#define ITS      0x08080000ul
#define DOORBELL (ITS + 0x10040)
#define GICR     0x080a0000ul
#define UART     0x09000000ul
#define WINDOW   0x10000000ul /* of 32-bit BARs */
#define ECAM     0x30000000ul
#define LPI      8192u
#define EDU      0x11e81234u
#define SECONDS  120
#define COUNT    10

enum { PAGE = 0x10000 };

enum { /* commands of the ITS */
       MAPD = 8,
       MAPC = 9,
       MAPTI = 10,
       INV = 12,
};

/* Tables that the guest gives the GIC. */
static struct {
	uint8_t properties[PAGE], pending[PAGE], devices[PAGE], collections[PAGE], translations[PAGE];
	uint64_t commands[PAGE / 8];
	uint8_t stack[PAGE];
} tables __attribute__((aligned(PAGE), used));

extern uint8_t image_end[];

/* The head of an Image. It may be loaded anywhere, so nothing here holds an address. */
__asm__(".pushsection .head, \"ax\"\n"
	".globl start\n"
	"start: b 1f\n"
	".long 0\n"
	".quad 0\n"                 /* text_offset */
	".quad image_end - start\n" /* image_size */
	".quad 2\n"                 /* pages of 4 KiB */
	".quad 0, 0, 0\n"
	".ascii \"ARM\\x64\"\n"
	".long 0\n"
	"1: adrp x1, image_end\n"
	"add x1, x1, :lo12:image_end\n"
	"mov sp, x1\n" /* which is where the stack ends */
	"bl run\n"
	"2: wfi\n"
	"b 2b\n"
	".popsection\n");

static uint32_t get(uintptr_t at)
{
	return *(volatile uint32_t *)at;
}
static void put(uintptr_t at, uint32_t value)
{
	*(volatile uint32_t *)at = value;
}
static void put8(uintptr_t at, uint64_t value)
{
	*(volatile uint64_t *)at = value;
}
static uint64_t get8(uintptr_t at)
{
	return *(volatile uint64_t *)at;
}

static void say(const char *text)
{
	for (; *text; text++)
		put(UART, (uint8_t)*text);
}

static void say_number(uint32_t value)
{
	if (value >= 10)
		say_number(value / 10);
	put(UART, '0' + value % 10);
}

static void power_off(void)
{
	register uint64_t x0 __asm__("x0") = 0x84000008; /* PSCI */

	__asm__ volatile("hvc #0" : "+r"(x0) : : "memory");
}

static void end(const char *name, uint32_t got, uint32_t wanted)
{
	say("LAB check name=");
	say(name);
	say(got == wanted ? " result=ok got=" : " result=FAIL got=");
	say_number(got);
	say(" wanted=");
	say_number(wanted);
	say("\nLAB end test=message\n");
	power_off();
	for (;;)
		;
}

/* ---- The GIC ----------------------------------------------------------- */

static void set_up_lpis(void)
{
	tables.properties[0] = 0xa0 | 3; /* of the first LPI: its priority, and that it is enabled */
	put(GICD, 0x12);                 /* affinity routing, and group 1 */
	put(GICR + 0x14, 0);             /* awake */
	put8(GICR + 0x70, (uintptr_t)tables.properties | 15);
	put8(GICR + 0x78, (uintptr_t)tables.pending | 1ul << 62);
	put(GICR, 1);
	__asm__ volatile("msr S3_0_C12_C12_5, %0\n isb\n" /* ICC_SRE_EL1 */
			 "msr S3_0_C4_C6_0, %1\n"         /* ICC_PMR_EL1 */
			 "msr S3_0_C12_C12_7, %0\n isb\n" /* ICC_IGRPEN1_EL1 */
			 :
			 : "r"(1ul), "r"(0xfful));
}

static void command(unsigned index, uint64_t first, uint64_t second, uint64_t third)
{
	uint64_t *words = tables.commands + 4 * index;

	words[0] = first;
	words[1] = second;
	words[2] = third;
	words[3] = 0;
}

/* Event 0 of the device is the first LPI, at the first CPU. */
static void set_up_its(uint64_t device)
{
	const uint64_t valid = 1ul << 63;

	put8(ITS + 0x100, valid | (uintptr_t)tables.devices | 2 << 8); /* pages of 64 KiB, one each */
	put8(ITS + 0x108, valid | (uintptr_t)tables.collections | 2 << 8);
	put8(ITS + 0x80, valid | (uintptr_t)tables.commands);
	put8(ITS + 0x88, 0);
	put(ITS, 1);
	command(0, MAPC, 0, valid);
	command(1, MAPD | device << 32, 4, valid | (uintptr_t)tables.translations);
	command(2, MAPTI | device << 32, (uint64_t)LPI << 32, 0);
	command(3, INV | device << 32, 0, 0);
	__asm__ volatile("dsb sy" : : : "memory");
	put8(ITS + 0x88, 4 * 32);
	while (get8(ITS + 0x90) != 4 * 32)
		;
}

static uint64_t counter(void)
{
	uint64_t value;

	__asm__ volatile("isb\n mrs %0, cntvct_el0" : "=r"(value));
	return value;
}

/* The next interrupt, or 1023 if none comes. */
static uint32_t take_interrupt(void)
{
	uint64_t id, frequency;
	const uint64_t began = counter();

	__asm__ volatile("mrs %0, cntfrq_el0" : "=r"(frequency));
	do
		__asm__ volatile("mrs %0, S3_0_C12_C12_0\n dsb sy" : "=r"(id)); /* ICC_IAR1_EL1 */
	while (id == 1023 && counter() - began < SECONDS * frequency);
	if (id != 1023)
		__asm__ volatile("msr S3_0_C12_C12_1, %0\n isb" : : "r"(id)); /* ICC_EOIR1_EL1 */
	return (uint32_t)id;
}

/* ---- edu --------------------------------------------------------------- */

static void enable_msi(uintptr_t config)
{
	uintptr_t at = config + (get(config + 0x34) & 0xff);

	while ((get(at) & 0xff) != 5 && get(at) >> 8 & 0xff)
		at = config + (get(at) >> 8 & 0xff);
	if ((get(at) & 0xff) != 5)
		end("edu-has-msi", 0, 1);
	put(at + 4, DOORBELL);
	put(at + 8, 0);
	put(at + 12, 0); /* event 0 */
	put(at, (get(at) & 0xff8fffff) | 1 << 16);
}

__attribute__((used)) void run(void)
{
	uintptr_t config = ECAM;
	unsigned slot = 0;

	while (slot < 32 && get(config) != EDU) {
		slot++;
		config = ECAM + ((uintptr_t)slot << 15);
	}
	if (slot == 32)
		end("edu-present", 0, 1);
	say("LAB start test=message\n");
	set_up_lpis();
	set_up_its(slot << 3);
	put(config + 0x10, WINDOW);
	put(config + 4, 6);
	enable_msi(config);
	for (uint32_t i = 1; i <= COUNT; i++) {
		uint32_t id;

		put(WINDOW + 0x60, i);
		id = take_interrupt();
		if (id != LPI)
			end("edu-msi-is-the-lpi", id, LPI);
		if (get(WINDOW + 0x24) != i)
			end("edu-msi-status", get(WINDOW + 0x24), i);
		put(WINDOW + 0x64, i);
	}
	end("edu-msi-10-times", COUNT, COUNT);
}
