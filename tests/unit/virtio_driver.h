/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver's side of a virtio device, for tests: guest memory, registers of both kinds, queues. */
#ifndef VIRTIO_DRIVER_H
#define VIRTIO_DRIVER_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "virtio/pci_device.h"

enum {
	DRIVER_MEMORY = 1 << 20,
	DRIVER_BASE = 0x100000, /* where the device sees it */
	DRIVER_QUEUES = 2,
	DRIVER_SIZE = 64,      /* of a queue; a legacy one is as large as the device says */
	DRIVER_DATA = 0x40000, /* in memory: what follows is the test's */
	DRIVER_NEXT = 1,
	DRIVER_WRITE = 2,
	DRIVER_INDIRECT = 4,
};

struct driver_queue {
	uint16_t size, added, seen;
	uint64_t table, avail, used; /* offsets in memory */
};

struct driver {
	struct bk__virtio *virtio;
	struct bk_device *device;
	bool modern, far; /* all memory is reached by calls */
	unsigned vectors;
	int fds[4]; /* of MSI-X, or the first of INTx */
	struct driver_queue queues[DRIVER_QUEUES];
	uint8_t *memory;
};

/* Maps memory, makes the device a bus master. */
void driver_attach(struct driver *driver, struct bk__virtio *virtio, bool far);
void driver_detach(struct driver *driver); /* closes the device, too */

/* Negotiates, sets all queues up, starts. With `msix` each queue has the vector after its index. */
void driver_start(struct driver *driver, bool modern, uint64_t features, bool msix);
void driver_reset(struct driver *driver);

uint64_t driver_in(struct driver *driver, unsigned bar, uint64_t offset, unsigned width);
void driver_out(struct driver *driver, unsigned bar, uint64_t offset, unsigned width, uint64_t value);
uint8_t driver_status(struct driver *driver);
void driver_command(struct driver *driver, uint16_t command);

/* Writes descriptor `index`, of the queue's table or of one at `table` in memory. `at` is an offset in
 * memory. */
void driver_describe(struct driver *driver, unsigned queue, unsigned index, uint64_t at, uint32_t length,
		     uint16_t flags, uint16_t next);
void driver_describe_at(struct driver *driver, uint64_t table, unsigned index, uint64_t at, uint32_t length,
			uint16_t flags, uint16_t next);
void driver_add(struct driver *driver, unsigned queue, uint16_t head); /* makes it available */
void driver_kick(struct driver *driver, unsigned queue);               /* and serves, if there is no worker */

/* The next chain that came back: true, with its head and length. Does not wait. */
bool driver_used(struct driver *driver, unsigned queue, uint32_t *head, uint32_t *length);
/* The same, for a device with a worker: waits. */
void driver_wait(struct driver *driver, unsigned queue, uint32_t *head, uint32_t *length);

/* What an eventfd counted since the last time. */
uint64_t driver_interrupts(struct driver *driver, unsigned vector);

#endif
