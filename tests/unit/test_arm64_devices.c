/* SPDX-License-Identifier: BSD-2-Clause */
/* The devices of an arm64 machine, driven through their registers: serial port, clock, power button. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "monitor/arm64/button.h"
#include "monitor/arm64/pl011.h"
#include "monitor/arm64/rtc.h"

#define UART UINT64_C(0x9000000)
#define RTC  UINT64_C(0x9010000)
#define GPIO UINT64_C(0x9030000)

enum {
	DR = 0x00,
	RSR = 0x04,
	FR = 0x18,
	LCR_H = 0x2c,
	CR = 0x30,
	IFLS = 0x34,
	IMSC = 0x38,
	RIS = 0x3c,
	MIS = 0x40,
	ICR = 0x44
};
enum { RXFE = 0x10, RXFF = 0x40, TXFE = 0x80 };                 /* of FR */
enum { RX = 0x10, TX = 0x20, TIMEOUT = 0x40, OVERRUN = 0x400 }; /* interrupts */

struct machine {
	struct bk_domain *domain;
	struct bk_space *memory;
	struct bk__monitor_pl011 *uart;
	struct bk__monitor_rtc *rtc;
	struct bk__monitor_button *button;
	char output[256];
	size_t outputs;
	bool level, button_level, bad;
	unsigned rooms;
};

/* Each call is a change. */
static void on_irq(void *opaque, bool level)
{
	struct machine *machine = opaque;

	machine->bad |= level == machine->level;
	machine->level = level;
}

static void on_button_irq(void *opaque, bool level)
{
	struct machine *machine = opaque;

	machine->bad |= level == machine->button_level;
	machine->button_level = level;
}

static void on_output(void *opaque, uint8_t byte)
{
	struct machine *machine = opaque;

	machine->output[machine->outputs++ % sizeof(machine->output)] = (char)byte;
}

static void on_room(void *opaque)
{
	((struct machine *)opaque)->rooms++;
}

static const struct bk__monitor_pl011_ops ops = { .irq = on_irq, .output = on_output, .room = on_room };

static void put(struct machine *machine, uint64_t at, unsigned width, uint32_t value)
{
	assert_int_equal(bk_space_write(machine->memory, at, width, value), 0);
}

static uint32_t get(struct machine *machine, uint64_t at, unsigned width)
{
	uint64_t value;

	assert_int_equal(bk_space_read(machine->memory, at, width, &value), 0);
	return (uint32_t)value;
}

static size_t feed(struct machine *machine, const char *text)
{
	return bk__monitor_pl011_input(machine->uart, (const uint8_t *)text, strlen(text));
}

static int setup(void **state)
{
	struct machine *machine = calloc(1, sizeof(*machine));

	machine->domain = bk_domain_create();
	machine->memory = bk_space_create(machine->domain, "memory", UINT64_MAX);
	*state = machine;
	if (bk__monitor_pl011_create(machine->memory, UART, &ops, machine, &machine->uart) ||
	    bk__monitor_rtc_create(machine->memory, RTC, &machine->rtc) ||
	    bk__monitor_button_create(machine->memory, GPIO, on_button_irq, machine, &machine->button))
		return -1;
	return 0;
}

static int teardown(void **state)
{
	struct machine *machine = *state;

	bk__monitor_pl011_destroy(machine->uart);
	bk__monitor_rtc_destroy(machine->rtc);
	bk__monitor_button_destroy(machine->button);
	if (bk_space_destroy(machine->memory) || bk_domain_destroy(machine->domain) || machine->bad)
		return -1;
	free(machine);
	return 0;
}

static void each_says_what_it_is(void **state)
{
	static const struct {
		uint64_t at;
		uint32_t part;
	} devices[] = { { UART, 0x011 }, { RTC, 0x031 }, { GPIO, 0x061 } };

	for (unsigned i = 0; i < 3; i++) {
		uint32_t part = 0, cell = 0;

		for (unsigned j = 0; j < 4; j++) {
			part |= get(*state, devices[i].at + 0xfe0 + 4 * j, 4) << 8 * j;
			cell |= get(*state, devices[i].at + 0xff0 + 4 * j, 4) << 8 * j;
		}
		assert_int_equal(part & 0xfff, devices[i].part);
		assert_int_equal(part >> 12 & 0xff, 0x41); /* Arm */
		assert_int_equal(cell, 0xb105f00d);
	}
}

/* ---- Serial port ------------------------------------------------------- */

static void bytes_go_out(void **state)
{
	struct machine *m = *state;

	for (const char *c = "hello"; *c; c++) {
		assert_int_equal(get(m, UART + FR, 4) & TXFE, TXFE);
		put(m, UART + DR, c[0] & 1 ? 1 : 4, (uint32_t)*c);
	}
	assert_memory_equal(m->output, "hello", 5);
	assert_int_equal(m->outputs, 5);
	assert_false(m->level);
	put(m, UART + IMSC, 4, TX);
	assert_true(m->level);
	put(m, UART + ICR, 4, TX);
	assert_false(m->level);
	put(m, UART + DR, 4, '!'); /* sent at once: it asks for more */
	assert_true(m->level);
	assert_int_equal(get(m, UART + MIS, 4), TX);
}

static void bytes_come_in(void **state)
{
	struct machine *m = *state;

	put(m, UART + IMSC, 4, RX | TIMEOUT);
	assert_int_equal(bk__monitor_pl011_room(m->uart), 1);
	assert_int_equal(feed(m, "ab"), 1); /* without FIFOs */
	assert_true(m->level);
	assert_int_equal(get(m, UART + FR, 4) & (RXFE | RXFF), RXFF);
	assert_int_equal(m->rooms, 0);
	assert_int_equal(get(m, UART + DR, 4), 'a');
	assert_int_equal(m->rooms, 1);
	assert_false(m->level);
	assert_int_equal(get(m, UART + FR, 4) & (RXFE | RXFF), RXFE);

	put(m, UART + LCR_H, 4, 0x70);
	assert_int_equal(feed(m, "0123456789abcdefgh"), 16);
	assert_int_equal(get(m, UART + RIS, 4) & (RX | TIMEOUT), RX | TIMEOUT);
	for (unsigned i = 0; i < 16; i++) {
		assert_true(m->level); /* as long as there is a byte */
		assert_int_equal(get(m, UART + DR, 2), "0123456789abcdef"[i]);
	}
	assert_false(m->level);
	assert_int_equal(get(m, UART + DR, 4), 0);
	assert_int_equal(m->rooms, 2);
}

/* A driver clears the timeout before it reads, and must hear of what is left. */
static void no_byte_is_forgotten(void **state)
{
	struct machine *m = *state;

	put(m, UART + LCR_H, 4, 0x70);
	put(m, UART + IMSC, 4, RX | TIMEOUT);
	assert_int_equal(feed(m, "abc"), 3);
	assert_int_equal(get(m, UART + MIS, 4), TIMEOUT);
	put(m, UART + ICR, 4, RX | TIMEOUT);
	assert_false(m->level);
	assert_int_equal(get(m, UART + DR, 4), 'a');
	assert_true(m->level);
	put(m, UART + LCR_H, 4, 0x60); /* without FIFOs: empty */
	assert_false(m->level);
	assert_int_equal(get(m, UART + FR, 4) & RXFE, RXFE);
}

static void loopback_and_overrun(void **state)
{
	struct machine *m = *state;

	put(m, UART + CR, 4, 0x381);
	assert_int_equal(bk__monitor_pl011_room(m->uart), 0);
	put(m, UART + DR, 4, 'x');
	put(m, UART + DR, 4, 'y');
	assert_int_equal(m->outputs, 0);
	assert_int_equal(get(m, UART + RIS, 4) & OVERRUN, OVERRUN);
	assert_int_equal(get(m, UART + RSR, 4), 8);
	put(m, UART + RSR, 4, 0);
	assert_int_equal(get(m, UART + RSR, 4), 0);
	assert_int_equal(get(m, UART + DR, 4), 'x');
}

static void a_reset_forgets_everything(void **state)
{
	struct machine *m = *state;

	put(m, UART + LCR_H, 4, 0x70);
	put(m, UART + IMSC, 4, 0x7ff);
	assert_int_equal(feed(m, "abc"), 3);
	assert_true(m->level);
	bk__monitor_pl011_reset(m->uart);
	assert_false(m->level);
	assert_int_equal(get(m, UART + FR, 4) & RXFE, RXFE);
	assert_int_equal(get(m, UART + CR, 4), 0x300);
	assert_int_equal(get(m, UART + IFLS, 4), 0x12);
}

/* ---- Clock and button -------------------------------------------------- */

static void the_clock_is_the_hosts_until_it_is_set(void **state)
{
	struct machine *m = *state;
	const uint32_t before = (uint32_t)time(NULL), is = get(m, RTC, 4), after = (uint32_t)time(NULL);
	uint32_t set;

	assert_true(is >= before && is <= after);
	put(m, RTC + 8, 4, 1000);
	set = get(m, RTC, 4);
	assert_true(set >= 1000 && set - 1000 <= (uint32_t)time(NULL) - before);
	assert_int_equal(get(m, RTC + 8, 4), 1000);
	put(m, RTC + 4, 4, 77);
	assert_int_equal(get(m, RTC + 4, 4), 77);
	bk__monitor_rtc_reset(m->rtc);
	assert_true(get(m, RTC, 4) >= before);
	assert_int_equal(get(m, RTC + 4, 4), 0);
}

/* As Linux's gpio-keys does it: both edges, and the line is read at each. */
static void the_button_is_pressed_and_released(void **state)
{
	const uint64_t line = GPIO + (1 << (BK__BUTTON_LINE + 2));
	struct machine *m = *state;

	assert_false(bk__monitor_button_press(m->button)); /* nobody listens */
	put(m, GPIO + 0x408, 4, 8);
	put(m, GPIO + 0x410, 4, 8);
	assert_int_equal(get(m, line, 4), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(bk__monitor_button_press(m->button));
		assert_true(m->button_level);
		assert_int_equal(get(m, GPIO + 0x418, 4), 8);
		put(m, GPIO + 0x41c, 4, 8);
		assert_false(m->button_level);
		assert_int_equal(get(m, line, 4), 8);
		assert_true(m->button_level); /* the release */
		put(m, GPIO + 0x41c, 4, 8);
		assert_int_equal(get(m, line, 4), 0);
		assert_false(m->button_level);
	}
	assert_true(bk__monitor_button_press(m->button));
	bk__monitor_button_reset(m->button);
	assert_false(m->button_level);
	assert_int_equal(get(m, line, 4), 0);
	/* An output is what was written, through the mask. */
	put(m, GPIO + 0x400, 4, 0xff);
	put(m, GPIO + (0x55 << 2), 4, 0xff);
	assert_int_equal(get(m, GPIO + 0x3fc, 4), 0x55);
}

/* Whatever a guest writes, at whatever width. */
static void any_access_is_defined(void **state)
{
	static const uint64_t bases[] = { UART, RTC, GPIO };
	struct machine *m = *state;

	srandom(1);
	for (unsigned i = 0; i < 200000; i++) {
		const uint64_t at = bases[random() % 3] + (uint64_t)random() % 0x1000;
		const unsigned width = 1u << random() % 4;

		if (random() & 1)
			put(m, at, width, (uint32_t)random());
		else
			get(m, at, width);
		if (i % 16 == 0)
			feed(m, "x");
		if (i % 64 == 0)
			bk__monitor_button_press(m->button);
	}
}

static void *receiver(void *opaque)
{
	struct machine *m = opaque;

	for (unsigned i = 0; i < 20000;)
		i += (unsigned)feed(m, "z");
	return NULL;
}

static void two_threads_lose_no_byte(void **state)
{
	struct machine *m = *state;
	pthread_t thread;
	unsigned got = 0;

	put(m, UART + LCR_H, 4, 0x70);
	put(m, UART + IMSC, 4, RX | TIMEOUT);
	assert_int_equal(pthread_create(&thread, NULL, receiver, m), 0);
	while (got < 20000) {
		if (get(m, UART + FR, 4) & RXFE)
			continue;
		assert_int_equal(get(m, UART + DR, 4), 'z');
		got++;
	}
	pthread_join(thread, NULL);
	assert_false(m->level);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_says_what_it_is, setup, teardown),
		cmocka_unit_test_setup_teardown(bytes_go_out, setup, teardown),
		cmocka_unit_test_setup_teardown(bytes_come_in, setup, teardown),
		cmocka_unit_test_setup_teardown(no_byte_is_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(loopback_and_overrun, setup, teardown),
		cmocka_unit_test_setup_teardown(a_reset_forgets_everything, setup, teardown),
		cmocka_unit_test_setup_teardown(the_clock_is_the_hosts_until_it_is_set, setup, teardown),
		cmocka_unit_test_setup_teardown(the_button_is_pressed_and_released, setup, teardown),
		cmocka_unit_test_setup_teardown(any_access_is_defined, setup, teardown),
		cmocka_unit_test_setup_teardown(two_threads_lose_no_byte, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
