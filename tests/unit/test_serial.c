/* SPDX-License-Identifier: BSD-2-Clause */
/* The UART, driven through its ports as a guest would, and from two threads at once. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "monitor/layout.h"
#include "monitor/x86/guest_map.h"
#include "monitor/x86/serial.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR, FCR = IIR };

struct machine {
	struct bk_domain *domain;
	struct bk_space *ports;
	struct bk__monitor_serial *serial;
	char output[256];
	size_t outputs;
	bool level, inside, bad;
	unsigned rises, rooms;
};

static void on_irq(void *opaque, bool level)
{
	struct machine *machine = opaque;

	/* One call at a time, each a change. */
	if (__atomic_exchange_n(&machine->inside, true, __ATOMIC_ACQ_REL) || level == machine->level)
		machine->bad = true;
	machine->level = level;
	machine->rises += level;
	__atomic_store_n(&machine->inside, false, __ATOMIC_RELEASE);
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

static const struct bk__monitor_serial_ops ops = { .irq = on_irq, .output = on_output, .room = on_room };

static void out(struct machine *machine, unsigned reg, unsigned value)
{
	assert_int_equal(bk_space_write(machine->ports, BK__PORT_COM1 + reg, 1, value), 0);
}

static unsigned in(struct machine *machine, unsigned reg)
{
	uint64_t value;

	assert_int_equal(bk_space_read(machine->ports, BK__PORT_COM1 + reg, 1, &value), 0);
	return (unsigned)value;
}

static size_t feed(struct machine *machine, const char *text)
{
	return bk__monitor_serial_input(machine->serial, (const uint8_t *)text, strlen(text));
}

static int setup(void **state)
{
	struct machine *machine = calloc(1, sizeof(*machine));

	machine->domain = bk_domain_create();
	machine->ports = bk_space_create(machine->domain, "ports", UINT32_MAX);
	*state = machine;
	return bk__monitor_serial_create(machine->ports, BK__PORT_COM1, &ops, machine, &machine->serial);
}

static int teardown(void **state)
{
	struct machine *machine = *state;

	bk__monitor_serial_destroy(machine->serial);
	if (bk_space_destroy(machine->ports) || bk_domain_destroy(machine->domain) || machine->bad)
		return -1;
	free(machine);
	return 0;
}

/* What Linux's 8250 driver tries before it says 16550A (autoconfig in 8250_port.c). */
static void linux_sees_a_16550a(void **state)
{
	struct machine *m = *state;

	out(m, IER, 0);
	assert_int_equal(in(m, IER) & 0x0f, 0);
	out(m, IER, 0x0f);
	assert_int_equal(in(m, IER) & 0x0f, 0x0f);
	out(m, IER, 0);
	out(m, MCR, 0x10 | 0x0a);
	assert_int_equal(in(m, MSR) & 0xf0, 0x90);
	out(m, MCR, 0);
	out(m, LCR, 0xbf);
	out(m, FCR, 0);
	out(m, LCR, 0);
	out(m, FCR, 1);
	assert_int_equal(in(m, IIR) >> 6, 3);
	/* No extended features behind DLAB or 0xbf, no 64-byte FIFO, no XScale unit enable. */
	out(m, LCR, 0x80);
	assert_int_not_equal(in(m, IIR), 0);
	out(m, LCR, 0xbf);
	assert_int_not_equal(in(m, IIR), 0);
	out(m, LCR, 0);
	out(m, FCR, 0x21);
	assert_int_equal(in(m, IIR) >> 5, 6);
	out(m, LCR, 0x80);
	out(m, FCR, 0x21);
	assert_int_equal(in(m, IIR) >> 5, 6);
	out(m, LCR, 0);
	out(m, IER, 0x40);
	assert_int_equal(in(m, IER), 0);
	/* No National SuperIO: register 2 behind 0xe0 does not follow MCR's loopback bit. */
	out(m, MCR, 0);
	out(m, LCR, 0xe0);
	assert_int_equal(in(m, IIR) & 0x10, 0);
	out(m, LCR, 0);
	out(m, SCR, 0xa5);
	assert_int_equal(in(m, SCR), 0xa5);
	/* The two THRE tests of its start-up: the interrupt comes whenever it is enabled. */
	for (int i = 0; i < 3; i++) {
		out(m, IER, 2);
		assert_int_equal(in(m, LSR) & 0x60, 0x60);
		assert_int_equal(in(m, IIR) & 0x0f, 2);
		out(m, IER, 0);
	}
}

static void output_and_its_interrupt(void **state)
{
	struct machine *m = *state;

	out(m, MCR, 0x08);
	out(m, DATA, 'a');
	assert_int_equal(m->rises, 0);
	out(m, IER, 2);
	assert_true(m->level);
	assert_int_equal(in(m, IIR), 0x02);
	assert_false(m->level);
	assert_int_equal(in(m, IIR), 0x01);
	/* Every byte is one more edge, even if nobody read IIR. */
	for (unsigned i = 0; i < 3; i++) {
		out(m, DATA, 'b');
		assert_true(m->level);
		assert_int_equal(m->rises, 2 + i);
	}
	assert_int_equal(in(m, IIR), 0x02);
	assert_int_equal(in(m, IIR), 0x01);
	/* Still enabled is not newly enabled. */
	out(m, IER, 2);
	assert_false(m->level);
	out(m, IER, 0);
	out(m, IER, 2);
	assert_true(m->level);
	out(m, IER, 0);
	assert_false(m->level);
	assert_int_equal(m->outputs, 4);
	assert_memory_equal(m->output, "abbb", 4);
}

static void receiver_fifo(void **state)
{
	static const struct {
		uint8_t fcr, trigger;
	} levels[] = { { 0x01, 1 }, { 0x41, 4 }, { 0x81, 8 }, { 0xc1, 14 } };
	struct machine *m = *state;

	out(m, MCR, 0x08);
	out(m, IER, 1);
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		out(m, FCR, levels[i].fcr | 2);
		assert_int_equal(bk__monitor_serial_room(m->serial), 16);
		assert_int_equal(feed(m, "0123456789abcdefXYZ"), 16);
		assert_int_equal(bk__monitor_serial_room(m->serial), 0);
		assert_int_equal(feed(m, "X"), 0);
		for (unsigned left = 16; left; left--) {
			assert_true(m->level);
			assert_int_equal(in(m, LSR), 0x61);
			assert_int_equal(in(m, IIR), left >= levels[i].trigger ? 0xc4 : 0xcc);
			assert_int_equal(in(m, DATA), "0123456789abcdef"[16 - left]);
		}
		assert_false(m->level);
		assert_int_equal(in(m, LSR), 0x60);
		assert_int_equal(in(m, IIR), 0xc1);
		assert_int_equal(in(m, DATA), 0);
		assert_int_equal(m->rooms, i + 1);
	}
}

static void receiver_without_fifo(void **state)
{
	struct machine *m = *state;

	out(m, MCR, 0x08);
	out(m, IER, 1);
	assert_int_equal(feed(m, "xy"), 1);
	assert_int_equal(in(m, IIR), 0x04);
	assert_int_equal(in(m, DATA), 'x');
	assert_int_equal(m->rooms, 1);
	assert_int_equal(feed(m, "y"), 1);
	/* Switching the FIFOs on or off empties them. */
	out(m, FCR, 1);
	assert_int_equal(in(m, LSR), 0x60);
	assert_false(m->level);
	assert_int_equal(m->rooms, 2);
}

static void priorities(void **state)
{
	struct machine *m = *state;

	out(m, FCR, 1);
	out(m, MCR, 0x10);
	for (int i = 0; i < 17; i++)
		out(m, DATA, (unsigned)i);
	out(m, MCR, 0x12); /* CTS changes */
	out(m, IER, 0x0f);
	assert_int_equal(in(m, IIR) & 0x0f, 0x06);
	assert_int_equal(in(m, LSR), 0x63); /* overrun: the 17th byte is lost */
	assert_int_equal(in(m, LSR), 0x61);
	assert_int_equal(in(m, IIR) & 0x0f, 0x04);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(in(m, DATA), i);
	assert_int_equal(in(m, IIR) & 0x0f, 0x02);
	assert_int_equal(in(m, IIR) & 0x0f, 0x00);
	assert_int_not_equal(in(m, MSR) & 0x0f, 0);
	assert_int_equal(in(m, MSR) & 0x0f, 0);
	assert_int_equal(in(m, IIR) & 0x0f, 0x01);
	assert_int_equal(m->rises, 0);   /* OUT2 is off */
	assert_int_equal(m->outputs, 0); /* loopback */
}

static void modem_lines(void **state)
{
	struct machine *m = *state;

	assert_int_equal(in(m, MSR), 0xb0);
	out(m, MCR, 0x10);
	assert_int_equal(in(m, MSR), 0x0b); /* DCD, DSR and CTS went off */
	out(m, MCR, 0x14);
	assert_int_equal(in(m, MSR), 0x40); /* RI's rise is no delta ... */
	out(m, MCR, 0x10);
	assert_int_equal(in(m, MSR), 0x04); /* ... its fall is */
	/* The deltas add up until they are read, and interrupt once the line is open. */
	out(m, IER, 8);
	out(m, MCR, 0x1b);
	assert_int_equal(m->rises, 0);
	out(m, MCR, 0x08);
	assert_true(m->level);
	assert_int_equal(in(m, IIR), 0);
	assert_true(m->level);
	assert_int_equal(in(m, MSR), 0xbb);
	assert_false(m->level);
}

static void gate(void **state)
{
	struct machine *m = *state;

	out(m, IER, 1);
	assert_int_equal(feed(m, "x"), 1);
	assert_false(m->level);
	out(m, MCR, 0x08);
	assert_true(m->level);
	out(m, MCR, 0x18);
	assert_false(m->level);
	assert_int_equal(bk__monitor_serial_room(m->serial), 0);
	assert_int_equal(feed(m, "y"), 0);
	out(m, MCR, 0x08);
	assert_true(m->level);
	assert_int_equal(in(m, DATA), 'x');
}

static void divisor_and_wide_accesses(void **state)
{
	struct machine *m = *state;
	uint64_t value;

	out(m, LCR, 0x83);
	assert_int_equal(bk_space_write(m->ports, BK__PORT_COM1, 2, 0x1234), 0);
	assert_int_equal(in(m, DATA), 0x34);
	assert_int_equal(in(m, IER), 0x12);
	assert_int_equal(bk_space_read(m->ports, BK__PORT_COM1, 4, &value), 0);
	assert_int_equal(value, 0x83011234);
	out(m, LCR, 3);
	assert_int_equal(in(m, IER), 0);
	assert_int_equal(m->outputs, 0);
	/* Status registers keep what they are. */
	out(m, LSR, 0xff);
	out(m, MSR, 0xff);
	assert_int_equal(in(m, LSR), 0x60);
	assert_int_equal(in(m, MSR), 0xb0);
}

static void reset(void **state)
{
	struct machine *m = *state;

	out(m, LCR, 0x80);
	out(m, IER, 0x55);
	out(m, LCR, 0);
	out(m, FCR, 0xc1);
	out(m, MCR, 0x08);
	out(m, IER, 0x0f);
	feed(m, "abc");
	assert_true(m->level);
	bk__monitor_serial_reset(m->serial);
	assert_false(m->level);
	assert_int_equal(bk__monitor_serial_room(m->serial), 1);
	assert_int_equal(in(m, IER), 0);
	assert_int_equal(in(m, IIR), 1);
	assert_int_equal(in(m, MCR), 0);
	assert_int_equal(in(m, LSR), 0x60);
	assert_int_equal(in(m, MSR), 0xb0);
}

static void second_at_the_same_ports(void **state)
{
	struct machine *m = *state;
	struct bk__monitor_serial *other;
	uint64_t value;

	assert_int_equal(bk__monitor_serial_create(m->ports, BK__PORT_COM1, &ops, m, &other), -EEXIST);
	assert_int_equal(bk__monitor_serial_create(m->ports, UINT32_MAX, &ops, m, &other), -EINVAL);
	assert_int_equal(bk__monitor_serial_create(m->ports, 0x2f8, &ops, m, &other), 0);
	bk__monitor_serial_destroy(other);
	bk_space_read(m->ports, 0x2f8 + SCR, 1, &value);
	assert_int_equal(value, 0xff);
	assert_int_equal(in(m, SCR), 0);
}

/* ---- Two threads ------------------------------------------------------- */

#define BYTES 20000

struct typist {
	struct machine *machine;
	bool done;
};

static void *type(void *opaque)
{
	struct typist *typist = opaque;

	for (unsigned sent = 0; sent < BYTES;) {
		uint8_t byte = (uint8_t)sent;

		if (bk__monitor_serial_input(typist->machine->serial, &byte, 1))
			sent++;
		else
			sched_yield();
	}
	__atomic_store_n(&typist->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* Input arrives while the guest sends and serves its interrupts: none is lost, their levels come in order. */
static void interrupts_in_order(void **state)
{
	struct machine *m = *state;
	struct typist typist = { .machine = m };
	pthread_t thread;
	unsigned got = 0;

	out(m, FCR, 0x41);
	out(m, MCR, 0x08);
	out(m, IER, 3);
	assert_int_equal(pthread_create(&thread, NULL, type, &typist), 0);
	while (got < BYTES) {
		unsigned id = in(m, IIR) & 0x0f;

		if (id == 4 || id == 12) {
			assert_int_equal(in(m, DATA), got % 256);
			got++;
		} else if (id == 2) {
			if (got % 3)
				out(m, DATA, 'x');
		} else {
			out(m, IER, 1);
			out(m, IER, 3);
		}
	}
	pthread_join(thread, NULL);
	assert_true(typist.done);
	out(m, IER, 1);
	assert_int_equal(in(m, IIR), 0xc1);
	assert_false(m->level);
	assert_false(m->bad);
}

int main(void)
{
#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(linux_sees_a_16550a),
		TEST(output_and_its_interrupt),
		TEST(receiver_fifo),
		TEST(receiver_without_fifo),
		TEST(priorities),
		TEST(modem_lines),
		TEST(gate),
		TEST(divisor_and_wide_accesses),
		TEST(reset),
		TEST(second_at_the_same_ports),
		TEST(interrupts_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
