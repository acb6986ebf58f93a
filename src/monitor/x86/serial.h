/* SPDX-License-Identifier: BSD-2-Clause */
/* A 16550A UART at COM1. */
#ifndef BK_MONITOR_X86_SERIAL_H
#define BK_MONITOR_X86_SERIAL_H

#include <barkeep/space.h>

struct bk__monitor_serial;

/*
 * `irq` sets the level of the UART's line: one call at a time, in the order of
 * the changes. `output` gets what the guest sends. `room`, which may be NULL,
 * says that the receiver was full and takes bytes again. All are called from
 * vCPU threads and from the calls below, without the UART's lock held.
 */
struct bk__monitor_serial_ops {
	void (*irq)(void *opaque, bool level);
	void (*output)(void *opaque, uint8_t byte);
	void (*room)(void *opaque);
};

/* Adds its eight ports to `ports` at `first`. */
int bk__monitor_serial_create(struct bk_space *ports, uint64_t first,
			      const struct bk__monitor_serial_ops *ops, void *opaque,
			      struct bk__monitor_serial **serial);

/* How many bytes its receiver takes now, and giving it some: the count that it took. Any thread. */
size_t bk__monitor_serial_room(struct bk__monitor_serial *serial);
size_t bk__monitor_serial_input(struct bk__monitor_serial *serial, const uint8_t *bytes, size_t count);

void bk__monitor_serial_reset(struct bk__monitor_serial *serial);

/* Takes its ports away and waits for readers. Never from a handler. */
void bk__monitor_serial_destroy(struct bk__monitor_serial *serial);

#endif
