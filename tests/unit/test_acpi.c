/* SPDX-License-Identifier: BSD-2-Clause */
/* The ACPI tables: reachable, summed to 0, accepted by iasl, and the namespace says what layout.h says. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "monitor/x86/acpi.h"
#include "monitor/x86/guest_map.h"

#define MIB (UINT64_C(1) << 20)

static uint8_t memory[2 * MIB];
static const struct bk__monitor_ram ram = {
	.host = memory, .fd = -1, .size = sizeof(memory), .low_size = sizeof(memory)
};
static const struct bk__monitor_window window = { UINT64_C(0x1000000000), UINT64_C(0x7fffffffff) };

static uint64_t build(unsigned cpus, struct bk__monitor_window mmio64)
{
	struct bk__monitor_acpi_config config = { cpus, mmio64 };
	struct bk_error err;
	uint64_t rsdp;

	memset(memory, 0xa5, sizeof(memory));
	assert_int_equal(bk__monitor_acpi_build(&ram, &config, &rsdp, &err), 0);
	for (size_t i = 0; i < sizeof(memory); i++)
		if (i < BK__ACPI_FIRST || i > BK__ACPI_LAST)
			assert_int_equal(memory[i], 0xa5);
	return rsdp;
}

static uint64_t number(const uint8_t *at, unsigned width)
{
	uint64_t value = 0;

	memcpy(&value, at, width);
	return value;
}

static uint8_t sum(const uint8_t *bytes, size_t count)
{
	uint8_t total = 0;

	while (count--)
		total += *bytes++;
	return total;
}

/* The table at `address`, which must be in the area reserved for them and add up. */
static const uint8_t *table_at(uint64_t address, const char *signature)
{
	const uint8_t *table = memory + address;

	assert_in_range(address, BK__ACPI_FIRST, BK__ACPI_LAST);
	assert_memory_equal(table, signature, 4);
	assert_in_range(address + number(table + 4, 4) - 1, BK__ACPI_FIRST, BK__ACPI_LAST);
	if (strcmp(signature, "FACS"))
		assert_int_equal(sum(table, number(table + 4, 4)), 0);
	return table;
}

static const uint8_t *table(uint64_t rsdp, const char *signature)
{
	const uint8_t *xsdt = table_at(number(memory + rsdp + 24, 8), "XSDT");
	const uint8_t *fadt = table_at(number(xsdt + 36, 8), "FACP");

	assert_int_equal(number(xsdt + 4, 4), 36 + 3 * 8);
	if (!strcmp(signature, "DSDT")) {
		assert_int_equal(number(fadt + 40, 4), number(fadt + 140, 8));
		return table_at(number(fadt + 140, 8), "DSDT");
	}
	if (!strcmp(signature, "FACS")) {
		assert_int_equal(number(fadt + 36, 4) % 64, 0);
		return table_at(number(fadt + 36, 4), "FACS");
	}
	for (int i = 0; i < 3; i++) {
		uint64_t address = number(xsdt + 36 + i * 8, 8);

		if (!memcmp(memory + address, signature, 4))
			return table_at(address, signature);
	}
	fail_msg("no %s", signature);
	return NULL;
}

static void root_pointer(void **state)
{
	uint64_t rsdp = build(2, window);

	assert_int_equal(rsdp % 16, 0);
	assert_in_range(rsdp, BK__ACPI_FIRST, BK__ACPI_LAST);
	assert_memory_equal(memory + rsdp, "RSD PTR ", 8);
	assert_int_equal(sum(memory + rsdp, 20), 0);
	assert_int_equal(sum(memory + rsdp, 36), 0);
	assert_int_equal(memory[rsdp + 15], 2);
}

static void fixed_hardware(void **state)
{
	const uint8_t *fadt = table(build(2, window), "FACP");
	uint64_t flags = number(fadt + 112, 4);

	assert_int_equal(number(fadt + 4, 4), 276);
	assert_int_equal(number(fadt + 46, 2), 9);     /* SCI */
	assert_int_equal(number(fadt + 48, 4), 0);     /* SMI_CMD */
	assert_int_equal(number(fadt + 56, 4), 0x600); /* PM1a_EVT */
	assert_int_equal(number(fadt + 64, 4), 0x604); /* PM1a_CNT */
	assert_int_equal(number(fadt + 76, 4), 0);     /* PM timer, */
	assert_int_equal(fadt[91], 0);                 /* its length */
	assert_int_equal(fadt[88], 4);
	assert_int_equal(fadt[89], 2);
	assert_int_equal(flags >> 20 & 1, 0); /* not hardware-reduced */
	assert_int_equal(flags >> 8 & 1, 0);  /* no 32-bit PM timer */
	assert_int_equal(flags >> 10 & 1, 1); /* a reset register: I/O, 8 bits, at */
	assert_int_equal(number(fadt + 116, 4), 0x01000801);
	assert_int_equal(number(fadt + 120, 8), BK__PORT_RESET);
	assert_int_equal(fadt[128], 1);
	assert_int_equal(number(fadt + 152, 8), BK__PORT_PM1_EVT);
	assert_int_equal(number(fadt + 176, 8), BK__PORT_PM1_CNT);
}

static void processors_and_ioapic(void **state)
{
	for (unsigned cpus = 1; cpus <= 16; cpus++) {
		const uint8_t *madt = table(build(cpus, window), "APIC");
		const uint8_t *at = madt + 44, *end = madt + number(madt + 4, 4);
		unsigned lapics = 0, ioapics = 0, overrides = 0;

		assert_int_equal(number(madt + 36, 4), BK__LAPIC);
		assert_int_equal(number(madt + 40, 4), 1);
		for (; at < end; at += at[1]) {
			if (at[0] == 0) {
				assert_int_equal(at[1], 8);
				assert_int_equal(at[2], lapics);
				assert_int_equal(at[3], lapics++);
				assert_int_equal(number(at + 4, 4), 1);
			} else if (at[0] == 1) {
				assert_int_equal(at[1], 12);
				assert_int_equal(number(at + 4, 4), BK__IOAPIC);
				assert_int_equal(number(at + 8, 4), 0);
				ioapics++;
			} else {
				assert_int_equal(at[0], 2);
				assert_int_equal(at[1], 10);
				assert_int_equal(at[3], BK__GSI_SCI);
				assert_int_equal(number(at + 4, 4), BK__GSI_SCI);
				assert_int_equal(number(at + 8, 2) >> 2, 3); /* level */
				overrides++;
			}
		}
		assert_ptr_equal(at, end);
		assert_int_equal(lapics, cpus);
		assert_int_equal(ioapics, 1);
		assert_int_equal(overrides, 1);
	}
}

static void ecam(void **state)
{
	const uint8_t *mcfg = table(build(2, window), "MCFG");

	assert_int_equal(number(mcfg + 4, 4), 60);
	assert_int_equal(number(mcfg + 44, 8), BK__ECAM_FIRST);
	assert_int_equal(number(mcfg + 52, 2), 0);
	assert_int_equal(mcfg[54], 0);
	assert_int_equal(mcfg[55], 255);
}

static void refused(void **state)
{
	struct bk__monitor_ram none = { .host = memory, .fd = -1, .size = 0x10000, .low_size = 0x10000 };
	struct bk__monitor_acpi_config config = { 17, window };
	struct bk_error err;
	uint64_t rsdp;

	assert_int_equal(bk__monitor_acpi_build(&ram, &config, &rsdp, &err), -EINVAL);
	config.cpus = 0;
	assert_int_equal(bk__monitor_acpi_build(&ram, &config, &rsdp, &err), -EINVAL);
	config.cpus = 1;
	assert_int_equal(bk__monitor_acpi_build(&none, &config, &rsdp, &err), -ENOMEM);
}

/* ---- With the ACPI tools ----------------------------------------------- */

static char directory[] = "/tmp/barkeep-acpi-XXXXXX";

static void save(const char *name, const uint8_t *at)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(at, number(at + 4, 4), 1, file), 1);
	assert_int_equal(fclose(file), 0);
}

/* Runs a command in the directory; its output, to be freed, and its status. */
static char *run(const char *command, int *status)
{
	size_t size = 0, got;
	char line[512], *text = malloc(1 << 20);
	FILE *pipe;

	snprintf(line, sizeof(line), "cd %s && %s 2>&1", directory, command);
	pipe = popen(line, "r");
	assert_non_null(pipe);
	while ((got = fread(text + size, 1, (1 << 20) - 1 - size, pipe)) > 0)
		size += got;
	text[size] = 0;
	*status = pclose(pipe);
	return text;
}

static void succeeds(const char *command, const char *says)
{
	int status;
	char *text = run(command, &status);

	if (status || (says && !strstr(text, says)))
		fail_msg("%s: status %d, \"%s\" wanted: %s", command, status, says ? says : "", text);
	free(text);
}

/* Disassembles every table, and compiles what came out. */
static void iasl_accepts(void **state)
{
	static const char *const names[] = { "FACP", "FACS", "APIC", "MCFG", "DSDT" };
	uint64_t rsdp = build(3, window);
	char command[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		save(names[i], table(rsdp, names[i]));
		snprintf(command, sizeof(command), "iasl -vs -d -p %s %s", names[i], names[i]);
		succeeds(command, NULL);
		snprintf(command, sizeof(command), "! grep -iE 'error|warning|invalid' %s.dsl", names[i]);
		succeeds(command, NULL);
		snprintf(command, sizeof(command), "iasl -vs -we -p again %s.dsl", names[i]);
		succeeds(command, "0 Errors, 0 Warnings");
	}
	succeeds("grep -q 'Name (WMIN, 0x0000001000000000)' DSDT.dsl", NULL);
	succeeds("grep -q 'Name (WMAX, 0x0000007FFFFFFFFF)' DSDT.dsl", NULL);
	succeeds("grep -q 'Name (NCPU, 0x0000000000000003)' DSDT.dsl", NULL);
}

/* Evaluates `path` by ACPICA's interpreter: the bytes of the buffer it gives. */
static size_t evaluate_buffer(const char *path, uint8_t *bytes, size_t size)
{
	char command[320], *text, *line;
	size_t count = 0;
	int status;

	snprintf(command, sizeof(command), "acpiexec -b 'execute %s' DSDT", path);
	text = run(command, &status);
	line = strstr(text, "[Buffer] Length");
	if (!line)
		fail_msg("%s: %s", path, text);
	while (line) {
		char *at = strchr(line, ':'), *end = strstr(line, "//");
		unsigned byte;
		int used;

		if (!at || !end || end < at)
			break;
		for (at++; at < end && count < size && sscanf(at, " %2x%n", &byte, &used) == 1; at += used)
			bytes[count++] = (uint8_t)byte;
		line = strchr(end, '\n');
	}
	free(text);
	return count;
}

struct crs {
	unsigned memory32, memory64, io, bus;
	uint64_t first64, last64, size64;
};

/* The resource descriptors of ACPI 6.0, 6.4, as far as dsdt.asl has them. */
static struct crs host_bridge_crs(void)
{
	uint8_t bytes[512];
	size_t count = evaluate_buffer("\\_SB.PCI0._CRS", bytes, sizeof(bytes)), at = 0;
	struct crs crs = { 0 };

	while (at < count) {
		const uint8_t *d = bytes + at;
		size_t length = d[0] & 0x80 ? 3 + number(d + 1, 2) : 1 + (d[0] & 7u);

		if (d[0] == 0x88 && d[3] == 2) {
			assert_int_equal(number(d + 8, 2), 0);
			assert_int_equal(number(d + 10, 2), 255);
			crs.bus++;
		} else if (d[0] == 0x88) {
			/* All ports but those of CF8 and CFC. */
			assert_int_equal(d[3], 1);
			assert_int_equal(number(d + 8, 2), crs.io ? 0xd00 : 0);
			assert_int_equal(number(d + 10, 2), crs.io ? 0xffff : 0xcf7);
			crs.io++;
		} else if (d[0] == 0x87) {
			const uint64_t first = crs.memory32 ? BK__MMIO32_FIRST : BK__VGA_FIRST;
			const uint64_t last = crs.memory32 ? BK__MMIO32_LAST : BK__VGA_LAST;

			assert_int_equal(number(d + 10, 4), first);
			assert_int_equal(number(d + 14, 4), last);
			assert_int_equal(number(d + 22, 4), last - first + 1);
			crs.memory32++;
		} else if (d[0] == 0x8a) {
			crs.first64 = number(d + 14, 8);
			crs.last64 = number(d + 22, 8);
			crs.size64 = number(d + 38, 8);
			crs.memory64++;
		}
		at += length;
	}
	assert_int_equal(at, count);
	assert_int_equal(crs.bus, 1);
	assert_int_equal(crs.io, 2);
	assert_int_equal(crs.memory32, 2);
	return crs;
}

static void windows(void **state)
{
	const struct bk__monitor_window none = { 1, 0 };
	struct crs crs;

	save("DSDT", table(build(2, window), "DSDT"));
	crs = host_bridge_crs();
	assert_int_equal(crs.memory64, 1);
	assert_int_equal(crs.first64, window.first);
	assert_int_equal(crs.last64, window.last);
	assert_int_equal(crs.size64, window.last - window.first + 1);

	save("DSDT", table(build(2, none), "DSDT"));
	crs = host_bridge_crs();
	assert_int_equal(crs.memory64, 0);
}

/* The integers that evaluating `path` prints. */
static size_t evaluate_integers(const char *path, uint64_t *values, size_t size)
{
	char command[128], *text, *at;
	size_t count = 0;
	int status;

	snprintf(command, sizeof(command), "acpiexec -b 'execute %s' DSDT", path);
	at = text = run(command, &status);
	while (count < size && (at = strstr(at, "[Integer] = "))) {
		at += strlen("[Integer] = ");
		values[count++] = strtoull(at, NULL, 16);
	}
	free(text);
	return count;
}

static void interrupt_routing(void **state)
{
	static uint64_t values[4 * 128 + 1];

	save("DSDT", table(build(2, window), "DSDT"));
	assert_int_equal(evaluate_integers("\\_SB.PCI0._PRT", values, 4 * 128 + 1), 4 * 128);
	for (unsigned slot = 0; slot < 32; slot++) {
		for (unsigned pin = 1; pin <= 4; pin++) {
			const uint64_t *entry = values + 4 * (slot * 4 + pin - 1);

			assert_int_equal(entry[0], slot << 16 | 0xffff);
			assert_int_equal(entry[1], pin - 1);
			assert_int_equal(entry[2], 0);
			assert_int_equal(entry[3], BK__GSI_PCI + (slot + pin - 1) % BK__PCI_LINES);
		}
	}
}

static void processors_present(void **state)
{
	char path[32];
	uint64_t status;

	save("DSDT", table(build(3, window), "DSDT"));
	for (unsigned i = 0; i < 16; i += i < 4 ? 1 : 11) {
		snprintf(path, sizeof(path), "\\_SB.CP%02u._STA", i);
		assert_int_equal(evaluate_integers(path, &status, 1), 1);
		assert_int_equal(status, i < 3 ? 0xf : 0);
	}
}

static void power_off(void **state)
{
	uint64_t values[4];

	save("DSDT", table(build(1, window), "DSDT"));
	assert_int_equal(evaluate_integers("\\_S5", values, 4), 4);
	assert_int_equal(values[0], 5);
}

/* 33DB4D5B-1FF7-401C-9657-7441C03DD766 */
#define PCIE_UUID "5B 4D DB 33 F7 1F 1C 40 96 57 74 41 C0 3D D7 66"
#define SUPPORT   "1F 00 00 00"

static void osc(const char *uuid, unsigned revision, const char *asked, uint32_t status, uint32_t given)
{
	char path[256];
	uint8_t reply[12];

	snprintf(path, sizeof(path), "\\_SB.PCI0._OSC (%s) %u 3 (00 00 00 00 " SUPPORT " %s 00 00 00)", uuid,
		 revision, asked);
	assert_int_equal(evaluate_buffer(path, reply, sizeof(reply)), sizeof(reply));
	assert_int_equal(number(reply, 4), status);
	assert_int_equal(number(reply + 8, 4), given);
}

/* _OSC gives the guest what it may have: native hot-plug and all but the standard controller (bit 1) and LTR
 * (bit 5). */
static void control(void **state)
{
	save("DSDT", table(build(1, window), "DSDT"));
	osc(PCIE_UUID, 1, "1F", 0x10, 0x1d);
	osc(PCIE_UUID, 1, "01", 0x00, 0x01);
	osc(PCIE_UUID, 1, "22", 0x10, 0x00);
	osc(PCIE_UUID, 1, "14", 0x00, 0x14);
	osc(PCIE_UUID, 2, "14", 0x08, 0x14);
	osc("00 4D DB 33 F7 1F 1C 40 96 57 74 41 C0 3D D7 66", 1, "1F", 0x04, 0x1f);
}

static int make_directory(void **state)
{
	return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", directory);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_pointer),
		cmocka_unit_test(fixed_hardware),
		cmocka_unit_test(processors_and_ioapic),
		cmocka_unit_test(ecam),
		cmocka_unit_test(refused),
		cmocka_unit_test(iasl_accepts),
		cmocka_unit_test(windows),
		cmocka_unit_test(interrupt_routing),
		cmocka_unit_test(processors_present),
		cmocka_unit_test(power_off),
		cmocka_unit_test(control),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
