/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of a machine besides RAM and PCI: serial port, power, fixed ranges. Each architecture has
 * its own. */
#ifndef BK_MONITOR_BOARD_H
#define BK_MONITOR_BOARD_H

#include <barkeep/pci.h>

#include "monitor/gsi.h"
#include "monitor/layout.h"

/* Whatever is fixed outranks what a guest can place. */
#define BK__PRIORITY_WINDOW 0
#define BK__PRIORITY_ECAM   10
#define BK__PRIORITY_RAM    20
#define BK__PRIORITY_FIXED  30

struct bk__monitor_board;
struct bk__monitor_config;

/* From vCPU threads; they must not wait for one. */
struct bk__monitor_board_ops {
	void (*poweroff)(void *opaque);
	void (*reset)(void *opaque);
	void (*output)(void *opaque, uint8_t byte); /* of the serial port */
	void (*room)(void *opaque);                 /* it was full, and takes bytes again */
};

struct bk__monitor_board_config {
	const struct bk__monitor_config *config; /* needed as long as the board */
	struct bk_space *memory, *ports;
	struct bk__monitor_gsi *gsis;
	const struct bk__monitor_board_ops *ops;
	void *opaque;
};

int bk__monitor_board_create(const struct bk__monitor_board_config *config, struct bk__monitor_board **board,
			     struct bk_error *err);

enum { BK__MONITOR_WINDOWS = 4 }; /* of any board, at most */

/* Fills in where PCI is: config space, and windows but the 64-bit one. */
void bk__monitor_board_pci(const struct bk__monitor_board *board,
			   struct bk_pci_window windows[BK__MONITOR_WINDOWS], struct bk_pci_host_desc *desc);

/* How many bytes the serial port takes now, and giving it some: the count that it took. Any thread. */
size_t bk__monitor_board_room(struct bk__monitor_board *board);
size_t bk__monitor_board_input(struct bk__monitor_board *board, const uint8_t *bytes, size_t count);

/* Presses the power button; false if the guest does not listen to it. Any thread. */
bool bk__monitor_board_button(struct bk__monitor_board *board);

/* The state after power-on. While no vCPU runs. */
void bk__monitor_board_reset(struct bk__monitor_board *board);

/* Never from a handler. */
void bk__monitor_board_destroy(struct bk__monitor_board *board);

#endif
