/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest without an operating system, entered by PVH: it does what no driver does, and switches the machine
 * off. Its command line is one of the words at the end of this file. Counters that a restart must not lose
 * are in RAM above the kernel.
 */
#include <stdint.h>

#define PM1_CONTROL    0x604
#define RESET          0x608
#define COM1           0x3f8
#define CONFIG_ADDRESS 0xcf8
#define ECAM           0xe0000000u
#define WINDOW         0xc0000000u
#define WINDOW_BYTES   0x20000000u
#define RESTARTS       ((volatile uint32_t *)0x2000000)

__asm__(".pushsection .note.Xen, \"a\", @note\n"
	".balign 4\n"
	".long 4, 4, 18\n" /* XEN_ELFNOTE_PHYS32_ENTRY */
	".asciz \"Xen\"\n"
	".long start\n"
	".popsection\n"
	".globl start\n"
	"start: mov $0x1000000, %esp\n"
	"cld\n"
	"push %ebx\n"
	"call run\n"
	"1: hlt\n"
	"jmp 1b\n");

static void out1(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static void out2(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static void out4(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static uint32_t in4(uint16_t port)
{
	uint32_t value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static void power_off(void)
{
	out2(PM1_CONTROL, 5 << 10 | 1 << 13);
}

static void triple_fault(void)
{
	static const struct {
		uint16_t limit;
		uint32_t base;
	} __attribute__((packed)) none = { 0, 0 };

	__asm__ volatile("lidt %0\n int $3" : : "m"(none));
}

static void say(const char *text)
{
	for (; *text; text++)
		out1(COM1, (uint8_t)*text);
}

static uint32_t random32(void)
{
	static uint64_t state = 1;

	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 32);
}

/* A reset, and at once a crash: the reset was first. */
static void restart(void)
{
	if (++*RESTARTS < 20) {
		out1(RESET, 1);
		triple_fault();
	}
}

/* Restarts as fast as it can; whatever is said about that must not fill the log. */
static void storm(void)
{
	if (++*RESTARTS < 60) {
		out1(RESET, 1);
		for (;;)
			;
	}
}

/* Every port, at every width, alone and by string instructions. 0xa5 means nothing to those that end the run.
 */
static void ports(void)
{
	static uint8_t buffer[64];

	for (uint32_t port = 0; port < 0x10000; port += port < 0x700 || port >= 0xfff0 ? 1 : 61) {
		uint32_t value = 0xa5a5a5a5;
		void *at = buffer;
		uint32_t count = 3;

		__asm__ volatile("inb %%dx, %%al\n inw %%dx, %%ax\n inl %%dx, %%eax"
				 : "=a"(value)
				 : "d"(port));
		value = 0xa5a5a5a5;
		__asm__ volatile("outb %%al, %%dx\n outw %%ax, %%dx\n outl %%eax, %%dx"
				 :
				 : "a"(value), "d"(port));
		__asm__ volatile("rep insl" : "+D"(at), "+c"(count) : "d"(port) : "memory");
		for (unsigned i = 0; i < sizeof(buffer); i++)
			buffer[i] = 0xa5;
		at = buffer;
		count = 5;
		__asm__ volatile("rep outsw" : "+S"(at), "+c"(count) : "d"(port) : "memory");
	}
}

/* Config writes without sense, by ECAM and by ports, and accesses wherever the BARs may be by then. */
static void registers(void)
{
	static uint8_t buffer[32];

	for (unsigned i = 0; i < 5000; i++) {
		uint32_t dice = random32(), slot = 1 + dice % 2;
		volatile uint8_t *config = (volatile uint8_t *)(ECAM | slot << 15);
		volatile uint8_t *bar = (volatile uint8_t *)(WINDOW + random32() % WINDOW_BYTES);
		uint32_t count = 1 + (dice >> 8) % 24;
		void *to = buffer;
		const volatile void *from = bar;

		switch (dice >> 28) {
		case 0:
			out4(CONFIG_ADDRESS, 0x80000000 | slot << 11 | (random32() & 0xff));
			out1(CONFIG_ADDRESS + 4 + (dice & 3), (uint8_t)random32());
			in4(CONFIG_ADDRESS + 4);
			break;
		case 1:
			*(volatile uint32_t *)(config + (random32() & 0xfff)) = random32();
			break;
		case 2:
			*(volatile uint16_t *)(config + (random32() & 0x3f)) = (uint16_t)random32();
			break;
		case 3: /* decode on, and a BAR into the window */
			*(volatile uint16_t *)(config + 4) = 7;
			*(volatile uint32_t *)(config + 0x10 + (random32() & 7) * 4) =
				WINDOW + (random32() & 0x1fff000);
			break;
		case 4:
			__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
			break;
		case 5:
			(void)*(volatile uint32_t *)(uintptr_t)(random32() | 0xf0000000);
			break;
		case 6: /* the end of the address space */
			(void)*(volatile uint32_t *)0xfffffffd;
			break;
		default:
			bar = (volatile uint8_t *)(WINDOW + (random32() & 0x1ffffff));
			if (dice & 0x10)
				*(volatile uint32_t *)bar = random32();
			else
				(void)*(volatile uint16_t *)bar;
			break;
		}
	}
}

/* Reads of the trapped register at the first address of slot 1's BAR 0. */
static void flood(void)
{
	volatile uint8_t *config = (volatile uint8_t *)(ECAM | 1 << 15);
	volatile uint32_t *bar = (volatile uint32_t *)(*(volatile uint32_t *)(config + 0x10) & ~15u);

	*(volatile uint16_t *)(config + 4) = 2;
	for (unsigned i = 0; i < 2000; i++)
		(void)*bar;
}

static int is(const char *word, const char *wanted)
{
	for (; *word && *word == *wanted; word++, wanted++)
		;
	return *word == *wanted;
}

__attribute__((used)) void run(const uint32_t *start_info)
{
	const char *word = (const char *)start_info[6];

	say("tiny\n");
	if (is(word, "restart"))
		restart();
	else if (is(word, "storm"))
		storm();
	else if (is(word, "ports"))
		ports();
	else if (is(word, "registers"))
		registers();
	else if (is(word, "flood"))
		flood();
	else
		triple_fault();
	power_off();
}
