/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of an arm64 machine besides RAM and PCI: flash, serial port, clock, power button, ranges of
 * the GIC.
 */
#include "monitor/board.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/arm64/button.h"
#include "monitor/arm64/flash.h"
#include "monitor/arm64/guest_map.h"
#include "monitor/arm64/pl011.h"
#include "monitor/arm64/rtc.h"
#include "monitor/monitor.h"

struct bk__monitor_board {
	struct bk__monitor_board_config config;
	struct bk__monitor_flash *flash; /* NULL without firmware */
	struct bk__monitor_pl011 *uart;
	struct bk__monitor_rtc *rtc;
	struct bk__monitor_button *button;
};

/* ---- Fixed ranges ------------------------------------------------------ */

/* The GIC is in the kernel; what reaches us it did not want. */
static int zero_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	*value = 0;
	return 0;
}

static int drop_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	return 0;
}

static const struct bk_region_ops gic_ops = { .read = zero_read, .write = drop_write };

static int add_fixed(struct bk__monitor_board *board)
{
	static const enum bk__monitor_arm64_place places[] = { BK__ARM64_GICD, BK__ARM64_ITS,
							       BK__ARM64_GICR };
	int error = 0;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && !error; i++) {
		const struct bk__monitor_arm64_range *range = &bk__monitor_arm64_map[places[i]];
		const struct bk_region_desc desc = {
			.name = range->name,
			.first = range->first,
			.last = range->first + range->size - 1,
			.priority = BK__PRIORITY_FIXED,
			.rank = i + 1,
			.ops = &gic_ops,
		};
		struct bk_region *region;

		error = bk_region_add(board->config.memory, &desc, &region, NULL);
	}
	return error;
}

/* ---- PCI --------------------------------------------------------------- */

void bk__monitor_board_pci(const struct bk__monitor_board *board,
			   struct bk_pci_window windows[BK__MONITOR_WINDOWS], struct bk_pci_host_desc *desc)
{
	const struct bk__monitor_arm64_range *memory = &bk__monitor_arm64_map[BK__ARM64_MMIO32];
	struct bk_space *space = board->config.memory;
	uint64_t bus_first, io = bk__monitor_arm64_io(board->config.config->io_window, &bus_first);

	windows[0] = (struct bk_pci_window){
		BK_PCI_WINDOW_MEMORY, space, memory->first, memory->first + memory->size - 1, memory->first,
		BK__PRIORITY_WINDOW,
	};
	windows[1] = (struct bk_pci_window){
		BK_PCI_WINDOW_IO, space, io, io + BK__ARM64_IO_SIZE - 1, bus_first, BK__PRIORITY_WINDOW,
	};
	desc->window_count = 2;
	desc->ecam = space;
	desc->ecam_first = bk__monitor_arm64_map[BK__ARM64_ECAM].first;
}

/* ---- Serial port, and interrupts --------------------------------------- */

static void on_uart_irq(void *opaque, bool level)
{
	struct bk__monitor_board *board = opaque;

	bk__monitor_gsi_level(board->config.gsis, BK__SPI_UART, level);
}

static void on_button_irq(void *opaque, bool level)
{
	struct bk__monitor_board *board = opaque;

	bk__monitor_gsi_level(board->config.gsis, BK__SPI_GPIO, level);
}

static void on_uart_room(void *opaque)
{
	struct bk__monitor_board *board = opaque;

	board->config.ops->room(board->config.opaque);
}

static void on_uart_output(void *opaque, uint8_t byte)
{
	struct bk__monitor_board *board = opaque;

	board->config.ops->output(board->config.opaque, byte);
}

static const struct bk__monitor_pl011_ops uart_ops = {
	.irq = on_uart_irq,
	.output = on_uart_output,
	.room = on_uart_room,
};

size_t bk__monitor_board_room(struct bk__monitor_board *board)
{
	return bk__monitor_pl011_room(board->uart);
}

size_t bk__monitor_board_input(struct bk__monitor_board *board, const uint8_t *bytes, size_t count)
{
	return bk__monitor_pl011_input(board->uart, bytes, count);
}

bool bk__monitor_board_button(struct bk__monitor_board *board)
{
	return bk__monitor_button_press(board->button);
}

struct bk__monitor_flash *bk__monitor_board_flash(struct bk__monitor_board *board)
{
	return board->flash;
}

/* ---- All of it --------------------------------------------------------- */

static int create_devices(struct bk__monitor_board *board, const char **what)
{
	const struct bk__monitor_arm64_range *map = bk__monitor_arm64_map;
	struct bk_space *memory = board->config.memory;
	int error = add_fixed(board);

	*what = "ranges of the GIC";
	if (!error) {
		*what = "serial port";
		error = bk__monitor_pl011_create(memory, map[BK__ARM64_UART].first, &uart_ops, board,
						 &board->uart);
	}
	if (!error) {
		*what = "clock";
		error = bk__monitor_rtc_create(memory, map[BK__ARM64_RTC].first, &board->rtc);
	}
	if (!error) {
		*what = "power button";
		error = bk__monitor_button_create(memory, map[BK__ARM64_GPIO].first, on_button_irq, board,
						  &board->button);
	}
	return error;
}

int bk__monitor_board_create(const struct bk__monitor_board_config *config, struct bk__monitor_board **out,
			     struct bk_error *err)
{
	struct bk__monitor_board *board = calloc(1, sizeof(*board));
	const char *what;
	int error;

	if (!board)
		return bk_fail(err, ENOMEM, "board: out of memory");
	board->config = *config;
	error = create_devices(board, &what);
	if (error)
		bk_fail(err, -error, "board: no %s: %s", what, strerror(-error));
	else if (config->config->firmware)
		error = bk__monitor_flash_create(config->memory, &board->flash, err);
	if (error) {
		bk__monitor_board_destroy(board);
		return error;
	}
	*out = board;
	return 0;
}

void bk__monitor_board_reset(struct bk__monitor_board *board)
{
	bk__monitor_pl011_reset(board->uart);
	bk__monitor_rtc_reset(board->rtc);
	bk__monitor_button_reset(board->button);
}

void bk__monitor_board_destroy(struct bk__monitor_board *board)
{
	if (!board)
		return;
	bk__monitor_pl011_destroy(board->uart);
	bk__monitor_rtc_destroy(board->rtc);
	bk__monitor_button_destroy(board->button);
	bk__monitor_flash_destroy(board->flash);
	free(board);
}
