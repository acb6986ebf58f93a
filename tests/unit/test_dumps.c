/* SPDX-License-Identifier: BSD-2-Clause */
/* Odd devices, as reports show them: each opens, and what makes no sense of it is left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <barkeep/quirk.h>

static char logged[4096];

static void keep(void *opaque, enum bk_log_level level, const char *line)
{
	if (level <= BK_LOG_WARNING)
		snprintf(logged + strlen(logged), sizeof(logged) - strlen(logged), "%s\n", line);
}

struct machine {
	struct bk_device_context *context;
	struct bk_domain *domain;
	struct bk_mediator *mediate;
};

static int setup(void **state)
{
	static struct machine machine;

	machine.context = bk_device_context_create();
	machine.domain = bk_domain_create();
	machine.mediate = NULL;
	*state = &machine;
	logged[0] = 0;
	bk_log_set(keep, NULL);
	return 0;
}

static int teardown(void **state)
{
	struct machine *machine = *state;

	bk_log_set(NULL, NULL);
	if (machine->mediate)
		bk_mediator_destroy(machine->mediate);
	assert_int_equal(bk_domain_destroy(machine->domain), 0);
	bk_device_context_destroy(machine->context);
	return 0;
}

static struct bk_device *open_dump(struct machine *machine, const char *file)
{
	struct bk_device *device;
	struct bk_error err;
	char spec[512];

	snprintf(spec, sizeof(spec), "dump:%s/%s", DUMPS, file);
	if (bk_device_open(machine->context, spec, &device, &err))
		fail_msg("%s", err.text);
	return device;
}

/* With the quirk of that name, which has to match, if there is one. */
static void show(struct machine *machine, const char *file, const char *quirk_name)
{
	struct bk_device *device = open_dump(machine, file);
	struct bk_quirk *quirk;
	struct bk_error err;
	char path[512];

	if (quirk_name) {
		snprintf(path, sizeof(path), "%s/%s.yaml", QUIRKS, quirk_name);
		if (bk_quirk_load(path, &quirk, &err))
			fail_msg("%s", err.text);
		assert_int_equal(bk_quirk_match(quirk, device, NULL, 0, &err), 1);
		if (bk_quirk_stack(device, &(struct bk_quirk_stack_desc){ .quirks = &quirk, .count = 1 },
				   &device, &err))
			fail_msg("%s", err.text);
		bk_quirk_destroy(quirk);
	}
	if (bk_mediator_create(machine->domain, device, NULL, &machine->mediate, &err) ||
	    (quirk_name && bk_quirk_attach(machine->mediate, &err)))
		fail_msg("%s", err.text);
}

static unsigned config(struct machine *machine, unsigned offset, unsigned width)
{
	uint64_t value = 0;

	bk_space_read(bk_mediator_space(machine->mediate, BK_DEVICE_CONFIG), offset, width, &value);
	return (unsigned)value;
}

/* The ids of the guest's capabilities, in order, as text. */
static void assert_capabilities(struct machine *machine, const char *wanted)
{
	char text[256] = "";
	unsigned left = 48;

	for (unsigned at = config(machine, 0x34, 1); at && left--; at = config(machine, at + 1, 1))
		sprintf(text + strlen(text), "%s%02x", *text ? " " : "", config(machine, at, 1));
	assert_string_equal(text, wanted);
}

static void assert_logged(const char *words)
{
	if (!strstr(logged, words))
		fail_msg("\"%s\" is not in: %s", words, logged);
}

static void a_card_reader_has_its_registers_and_no_msix(void **state)
{
	show(*state, "card-reader.txt", NULL);
	assert_logged("MSI-X (0xb0) is not shown: its table and its PBA are at the same place");
	assert_capabilities(*state, "01 05 10");
}

static void its_quirk_says_nothing(void **state)
{
	show(*state, "card-reader.txt", "realtek-5287-msix");
	assert_string_equal(logged, "");
	assert_capabilities(*state, "01 05 10");
}

/* The kernel gives it two BARs of one byte, which no register can say. */
static void ide_in_compatibility_mode(void **state)
{
	struct machine *machine = *state;

	show(machine, "ide-compatibility.txt", NULL);
	assert_logged("bar1 is not shown: it has 0x1 bytes");
	assert_logged("bar3 is not shown: it has 0x1 bytes");
	assert_null(strstr(logged, "bar0"));
	assert_null(strstr(logged, "bar4"));
	assert_non_null(bk_mediator_space(machine->mediate, 0));
	assert_null(bk_mediator_space(machine->mediate, 1));
	assert_int_equal(config(machine, 0x20, 4) & 3, 1);
}

static void a_pba_inside_the_last_entry_of_the_table(void **state)
{
	struct machine *machine = *state;
	uint64_t value;

	show(machine, "pba-in-the-table.txt", NULL);
	assert_logged("PBA (0x20f8 of bar0) reaches into the table (0x2000)");
	assert_capabilities(machine, "01 11 10");
	/* The table answers whole: its last vector can be unmasked. */
	assert_int_equal(bk_space_read(bk_mediator_space(machine->mediate, 0), 0x20fc, 4, &value), 0);
	assert_int_equal(value, 1);
}

static void a_table_outside_its_bar(void **state)
{
	show(*state, "table-outside-its-bar.txt", NULL);
	assert_logged("MSI-X (0x60) is not shown: its table is outside its BAR");
	assert_capabilities(*state, "01 10");
}

static void a_virtual_function_whose_pba_is_elsewhere(void **state)
{
	show(*state, "chelsio-t5-vf.txt", "chelsio-t5-vf");
	assert_string_equal(logged, "");
	assert_capabilities(*state, "10 11");
	assert_int_equal(config(*state, 0, 4), 0x580d1425);
	assert_int_equal(config(*state, 0xb8, 4), 0x1004);
}

/* The first one says that it has 64 bytes, in which two others are. Each has what is its own. */
static void capabilities_inside_others(void **state)
{
	show(*state, "capabilities-overlap.txt", NULL);
	assert_capabilities(*state, "09 01 09");
	assert_int_equal(config(*state, 0x44, 4), 0x14131211);
	assert_int_equal(config(*state, 0x5c, 4), 0x24232221);
}

/* It fell off its bus; the kernel still knows its ids. */
static void a_dead_virtual_function_opens(void **state)
{
	show(*state, "dead-vf.txt", NULL);
	assert_int_equal(config(*state, 0, 4), 0x154c8086);
}

static void a_compute_board_has_the_mirror_of_its_generation(void **state)
{
	struct machine *machine = *state;
	uint64_t value;

	show(machine, "nvidia-h100.txt", "nvidia-ep-mirror");
	assert_string_equal(logged, "");
	assert_capabilities(machine, "01 05 10 09 11");
	assert_int_equal(bk_space_read(bk_mediator_space(machine->mediate, 0), 0x92000, 4, &value), 0);
	assert_int_equal(value, 0x233010de);
}

static void a_disk_behind_a_vmd(void **state)
{
	show(*state, "behind-vmd.txt,function=10000:01:00.0", NULL);
	assert_string_equal(logged, "");
	assert_capabilities(*state, "01 11 10");
	assert_int_equal(config(*state, 0x52, 2), 128);
}

#define DEVICE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DEVICE(a_card_reader_has_its_registers_and_no_msix),
		DEVICE(its_quirk_says_nothing),
		DEVICE(ide_in_compatibility_mode),
		DEVICE(a_pba_inside_the_last_entry_of_the_table),
		DEVICE(a_table_outside_its_bar),
		DEVICE(a_virtual_function_whose_pba_is_elsewhere),
		DEVICE(capabilities_inside_others),
		DEVICE(a_dead_virtual_function_opens),
		DEVICE(a_compute_board_has_the_mirror_of_its_generation),
		DEVICE(a_disk_behind_a_vmd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
