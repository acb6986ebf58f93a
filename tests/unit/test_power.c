/* SPDX-License-Identifier: BSD-2-Clause */
/* The power registers, driven through their ports as ACPI's drivers do (ACPI 6.4, 4.8.3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "monitor/layout.h"
#include "monitor/x86/guest_map.h"
#include "monitor/x86/power.h"

#define STATUS  BK__PORT_PM1_EVT
#define ENABLE  (BK__PORT_PM1_EVT + 2)
#define CONTROL BK__PORT_PM1_CNT

#define BUTTON 0x100u
#define SCI_EN 0x001u
#define SLP_EN 0x2000u
#define S5     (5u << 10)

struct machine {
	struct bk_domain *domain;
	struct bk_space *ports;
	struct bk__monitor_power *power;
	bool level;
	unsigned edges, offs;
};

static void on_sci(void *opaque, bool level)
{
	struct machine *machine = opaque;

	assert_int_not_equal(level, machine->level);
	machine->level = level;
	machine->edges++;
}

static void on_soft_off(void *opaque)
{
	((struct machine *)opaque)->offs++;
}

static const struct bk__monitor_power_ops ops = { .sci = on_sci, .soft_off = on_soft_off };

static void out(struct machine *machine, uint64_t port, unsigned width, unsigned value)
{
	assert_int_equal(bk_space_write(machine->ports, port, width, value), 0);
}

static unsigned in(struct machine *machine, uint64_t port, unsigned width)
{
	uint64_t value;

	assert_int_equal(bk_space_read(machine->ports, port, width, &value), 0);
	return (unsigned)value;
}

static int setup(void **state)
{
	struct machine *machine = calloc(1, sizeof(*machine));

	machine->domain = bk_domain_create();
	machine->ports = bk_space_create(machine->domain, "ports", UINT32_MAX);
	*state = machine;
	return bk__monitor_power_create(machine->ports, BK__PORT_PM1_EVT, &ops, machine, &machine->power);
}

static int teardown(void **state)
{
	struct machine *machine = *state;

	bk_space_destroy(machine->ports);
	bk_domain_destroy(machine->domain);
	bk__monitor_power_destroy(machine->power);
	free(machine);
	return 0;
}

static void a_button_that_nobody_listens_to_is_not_pressed(void **state)
{
	struct machine *machine = *state;

	assert_false(bk__monitor_power_button(machine->power));
	assert_int_equal(in(machine, STATUS, 2), 0);
	out(machine, ENABLE, 2, BUTTON);
	assert_false(machine->level); /* not even afterwards */
}

static void the_button_interrupts_until_its_status_is_cleared(void **state)
{
	struct machine *machine = *state;

	out(machine, ENABLE, 2, BUTTON);
	assert_true(bk__monitor_power_button(machine->power));
	assert_true(machine->level);
	assert_int_equal(in(machine, STATUS, 2), BUTTON);
	out(machine, STATUS, 2, 0xfeff); /* all but the button's */
	assert_int_equal(in(machine, STATUS, 2), BUTTON);
	assert_true(machine->level);
	out(machine, STATUS + 1, 1, BUTTON >> 8);
	assert_int_equal(in(machine, STATUS, 2), 0);
	assert_false(machine->level);
	assert_int_equal(machine->edges, 2);
}

static void a_button_pressed_twice_is_one_interrupt(void **state)
{
	struct machine *machine = *state;

	out(machine, ENABLE, 2, BUTTON);
	bk__monitor_power_button(machine->power);
	bk__monitor_power_button(machine->power);
	assert_int_equal(machine->edges, 1);
}

static void disabling_the_button_takes_the_interrupt_back(void **state)
{
	struct machine *machine = *state;

	out(machine, ENABLE, 2, BUTTON);
	bk__monitor_power_button(machine->power);
	out(machine, ENABLE, 2, 0);
	assert_false(machine->level);
	out(machine, ENABLE, 2, BUTTON); /* the status is still there */
	assert_true(machine->level);
}

static void only_s5_with_sleep_enable_switches_off(void **state)
{
	struct machine *machine = *state;

	assert_int_equal(in(machine, CONTROL, 2), SCI_EN);
	out(machine, CONTROL, 2, S5);
	out(machine, CONTROL, 2, SLP_EN | 1 << 10);
	assert_int_equal(machine->offs, 0);
	out(machine, CONTROL, 2, SLP_EN | S5);
	assert_int_equal(machine->offs, 1);
	assert_int_equal(in(machine, CONTROL, 2), S5 | SCI_EN); /* SLP_EN reads 0 */
	out(machine, CONTROL + 1, 1, (SLP_EN | S5) >> 8);
	assert_int_equal(machine->offs, 2);
}

static void a_reset_forgets_the_button(void **state)
{
	struct machine *machine = *state;

	out(machine, ENABLE, 2, BUTTON);
	bk__monitor_power_button(machine->power);
	bk__monitor_power_reset(machine->power);
	assert_false(machine->level);
	assert_int_equal(in(machine, STATUS, 4), 0);
}

static void every_width_reads_and_writes_the_same_bytes(void **state)
{
	struct machine *machine = *state;

	out(machine, STATUS, 4, BUTTON << 16 | 0x1200u << 16);
	assert_int_equal(in(machine, ENABLE, 2), BUTTON | 0x1200);
	assert_int_equal(in(machine, ENABLE + 1, 1), (BUTTON | 0x1200) >> 8);
	assert_int_equal(in(machine, STATUS, 4), (BUTTON | 0x1200u) << 16);
	assert_int_equal(in(machine, STATUS, 4) >> 16, in(machine, ENABLE, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_button_that_nobody_listens_to_is_not_pressed, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_button_interrupts_until_its_status_is_cleared, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_button_pressed_twice_is_one_interrupt, setup, teardown),
		cmocka_unit_test_setup_teardown(disabling_the_button_takes_the_interrupt_back, setup,
						teardown),
		cmocka_unit_test_setup_teardown(only_s5_with_sleep_enable_switches_off, setup, teardown),
		cmocka_unit_test_setup_teardown(a_reset_forgets_the_button, setup, teardown),
		cmocka_unit_test_setup_teardown(every_width_reads_and_writes_the_same_bytes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
