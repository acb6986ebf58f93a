/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of an x86 machine besides RAM and PCI: COM1, power and reset ports, ranges of chips. */
#include "monitor/board.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/x86/guest_map.h"
#include "monitor/x86/power.h"
#include "monitor/x86/serial.h"

#define PORT_KEYBOARD 0x60 /* data, and at 0x64 status and command */
#define PORT_COMMAND  0x64

struct bk__monitor_board {
	struct bk__monitor_board_config config;
	struct bk__monitor_serial *serial;
	struct bk__monitor_power *power;
};

/* ---- Ports ------------------------------------------------------------- */

static int zero_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	*value = 0;
	return 0;
}

static int reset_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	struct bk__monitor_board *board = opaque;

	if (value == 1)
		board->config.ops->reset(board->config.opaque);
	return 0;
}

static const struct bk_region_ops reset_ops = { .read = zero_read,
						.write = reset_write,
						.widths = BK_WIDTH_1 };

/* Of the keyboard controller there is only what resets the machine: commands 0xf0 to 0xff pull down the
 * output lines whose bits are 0, and line 0 is the CPU's reset. */
static int keyboard_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	struct bk__monitor_board *board = opaque;

	if ((value & 0xf1) == 0xf0)
		board->config.ops->reset(board->config.opaque);
	return 0;
}

static int drop_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	return 0;
}

static const struct bk_region_ops keyboard_ops = { .read = zero_read,
						   .write = keyboard_write,
						   .widths = BK_WIDTH_1 };
static const struct bk_region_ops keyboard_data_ops = { .read = zero_read,
							.write = drop_write,
							.widths = BK_WIDTH_1 };

/* ---- Memory ------------------------------------------------------------ */

/* Chips in the kernel answer there; what reaches us they did not want. */
static int ones_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	*value = UINT64_MAX;
	return 0;
}

static const struct bk_region_ops fixed_ops = { .read = ones_read, .write = drop_write };

static const struct {
	bool port;
	uint64_t first, last;
	const struct bk_region_ops *ops;
	const char *name;
} fixed[] = {
	{ false, BK__IOAPIC, BK__IOAPIC + 0xfff, &fixed_ops, "ioapic" },
	{ false, BK__LAPIC, BK__LAPIC + 0xfffff, &fixed_ops, "local apic and msi" },
	{ false, BK__KVM_IDENTITY, BK__KVM_TSS + 0x2fff, &fixed_ops, "kvm" },
	{ true, BK__PORT_RESET, BK__PORT_RESET, &reset_ops, "reset" },
	{ true, PORT_KEYBOARD, PORT_KEYBOARD, &keyboard_data_ops, "keyboard data" },
	{ true, PORT_COMMAND, PORT_COMMAND, &keyboard_ops, "keyboard controller" },
};

static int add_fixed(struct bk__monitor_board *board)
{
	struct bk_update *update = bk_update_begin(bk_space_domain(board->config.memory));

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		const struct bk_region_desc desc = {
			.name = fixed[i].name,
			.first = fixed[i].first,
			.last = fixed[i].last,
			.priority = BK__PRIORITY_FIXED,
			.rank = i,
			.kind = BK_REGION_HANDLED,
			.ops = fixed[i].ops,
			.opaque = board,
		};

		bk_update_add(update, fixed[i].port ? board->config.ports : board->config.memory, &desc,
			      NULL);
	}
	return bk_update_commit(update, NULL);
}

/* ---- PCI --------------------------------------------------------------- */

void bk__monitor_board_pci(const struct bk__monitor_board *board,
			   struct bk_pci_window windows[BK__MONITOR_WINDOWS], struct bk_pci_host_desc *desc)
{
	struct bk_space *memory = board->config.memory, *ports = board->config.ports;
	const struct bk_pci_window all[] = {
		{ BK_PCI_WINDOW_MEMORY, memory, BK__MMIO32_FIRST, BK__MMIO32_LAST, BK__MMIO32_FIRST,
		  BK__PRIORITY_WINDOW },
		{ BK_PCI_WINDOW_IO, ports, BK__PIO_FIRST, BK__PIO_LAST, BK__PIO_FIRST, BK__PRIORITY_WINDOW },
		{ BK_PCI_WINDOW_MEMORY, memory, BK__VGA_FIRST, BK__VGA_LAST, BK__VGA_FIRST,
		  BK__PRIORITY_WINDOW },
		{ BK_PCI_WINDOW_IO, ports, BK__VGA_PORTS, BK__VGA_PORTS_LAST, BK__VGA_PORTS,
		  BK__PRIORITY_WINDOW },
	};

	memcpy(windows, all, sizeof(all));
	desc->window_count = sizeof(all) / sizeof(all[0]);
	desc->ecam = memory;
	desc->ecam_first = BK__ECAM_FIRST;
	desc->ports = ports;
}

/* ---- Serial port ------------------------------------------------------- */

static void on_serial_irq(void *opaque, bool level)
{
	struct bk__monitor_board *board = opaque;

	bk__monitor_gsi_level(board->config.gsis, BK__GSI_COM1, level);
}

static void on_serial_room(void *opaque)
{
	struct bk__monitor_board *board = opaque;

	board->config.ops->room(board->config.opaque);
}

static void on_serial_output(void *opaque, uint8_t byte)
{
	struct bk__monitor_board *board = opaque;

	board->config.ops->output(board->config.opaque, byte);
}

static const struct bk__monitor_serial_ops serial_ops = {
	.irq = on_serial_irq,
	.output = on_serial_output,
	.room = on_serial_room,
};

size_t bk__monitor_board_room(struct bk__monitor_board *board)
{
	return bk__monitor_serial_room(board->serial);
}

size_t bk__monitor_board_input(struct bk__monitor_board *board, const uint8_t *bytes, size_t count)
{
	return bk__monitor_serial_input(board->serial, bytes, count);
}

/* ---- Power ------------------------------------------------------------- */

static void on_sci(void *opaque, bool level)
{
	struct bk__monitor_board *board = opaque;

	bk__monitor_gsi_level(board->config.gsis, BK__GSI_SCI, level);
}

static void on_soft_off(void *opaque)
{
	struct bk__monitor_board *board = opaque;

	board->config.ops->poweroff(board->config.opaque);
}

static const struct bk__monitor_power_ops power_ops = { .sci = on_sci, .soft_off = on_soft_off };

bool bk__monitor_board_button(struct bk__monitor_board *board)
{
	return bk__monitor_power_button(board->power);
}

/* ---- All of it --------------------------------------------------------- */

int bk__monitor_board_create(const struct bk__monitor_board_config *config, struct bk__monitor_board **out,
			     struct bk_error *err)
{
	struct bk__monitor_board *board = calloc(1, sizeof(*board));
	const char *what = "fixed ranges";
	int error;

	if (!board)
		return bk_fail(err, ENOMEM, "board: out of memory");
	board->config = *config;
	error = add_fixed(board);
	if (!error) {
		what = "serial port";
		error = bk__monitor_serial_create(config->ports, BK__PORT_COM1, &serial_ops, board,
						  &board->serial);
	}
	if (!error) {
		what = "power registers";
		error = bk__monitor_power_create(config->ports, BK__PORT_PM1_EVT, &power_ops, board,
						 &board->power);
	}
	if (error) {
		bk__monitor_board_destroy(board);
		return bk_fail(err, -error, "board: no %s: %s", what, strerror(-error));
	}
	*out = board;
	return 0;
}

void bk__monitor_board_reset(struct bk__monitor_board *board)
{
	bk__monitor_power_reset(board->power);
	bk__monitor_serial_reset(board->serial);
}

void bk__monitor_board_destroy(struct bk__monitor_board *board)
{
	if (!board)
		return;
	if (board->serial)
		bk__monitor_serial_destroy(board->serial);
	bk__monitor_power_destroy(board->power);
	/* The rest goes with its spaces, and no reader is left. */
	free(board);
}
