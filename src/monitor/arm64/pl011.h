/* SPDX-License-Identifier: BSD-2-Clause */
/* A PL011 UART. */
#ifndef BK_MONITOR_ARM64_PL011_H
#define BK_MONITOR_ARM64_PL011_H

#include <barkeep/space.h>

struct bk__monitor_pl011;

/* Called from vCPU threads and from the calls below. */
struct bk__monitor_pl011_ops {
	void (*irq)(void *opaque, bool level);      /* of its interrupt, with the UART's lock held */
	void (*output)(void *opaque, uint8_t byte); /* what the guest sends */
	void (*room)(void *opaque);                 /* the receiver was full and takes bytes again */
};

/* Adds its page of registers to `memory` at `first`. */
int bk__monitor_pl011_create(struct bk_space *memory, uint64_t first, const struct bk__monitor_pl011_ops *ops,
			     void *opaque, struct bk__monitor_pl011 **uart);

/* How many bytes its receiver takes now, and giving it some: the count that it took. Any thread. */
size_t bk__monitor_pl011_room(struct bk__monitor_pl011 *uart);
size_t bk__monitor_pl011_input(struct bk__monitor_pl011 *uart, const uint8_t *bytes, size_t count);

void bk__monitor_pl011_reset(struct bk__monitor_pl011 *uart);

/* Takes its registers away and waits for readers. Never from a handler. NULL is fine. */
void bk__monitor_pl011_destroy(struct bk__monitor_pl011 *uart);

#endif
