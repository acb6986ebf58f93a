/* SPDX-License-Identifier: BSD-2-Clause */
/* A made-up device that remembers interrupts and maps, and does DMA when it is told to. */
#ifndef BARKEEP_TEST_SERVED_DEVICE_H
#define BARKEEP_TEST_SERVED_DEVICE_H

#include "fake_device.h"

#define SERVED_VECTORS 2048
#define SERVED_BELL    0x800 /* in BAR 0, 2 bytes */

/*
 * A write of 8 bytes to these places of BAR 0 does DMA of 8 bytes: an address to be read, with the result at
 * SERVED_VALUE; an address to be written with what is at SERVED_VALUE. It is done in the handler, or, once
 * SERVED_THREAD is not 0, by a thread that the handler waits for. SERVED_RESULT is 0 or an errno.
 */
enum { SERVED_READ = 0, SERVED_WRITE = 8, SERVED_VALUE = 16, SERVED_RESULT = 24, SERVED_THREAD = 32 };

struct served_device {
	struct fake fake;                        /* the first member */
	int fds[BK_DEVICE_IRQS][SERVED_VECTORS]; /* -1: none */
	bool on[BK_DEVICE_IRQS];
	bool intx_masked;
	int resample;
	struct bk_device_dma *maps;
	unsigned map_count;
	int map_result;   /* errno that dma_map gives */
	int unmap_result; /* and dma_unmap, which then keeps the map */
	int bells[2];     /* eventfds for writes of their index to SERVED_BELL; -1: none; -2: not offered */
	bool no_messages; /* maps without memory are refused, as by hardware */
};

/* What was done before it on one thread is known after it on another: messages are no order that a sanitizer
 * sees. The device's calls begin and end with it. */
void served_fence(struct served_device *device);

void served_init(struct served_device *device);
void served_done(struct served_device *device);

/* As if the device had fired. */
void served_fire(struct served_device *device, unsigned index, unsigned vector);

/* Vectors that have an eventfd, of all indexes. */
unsigned served_bound(const struct served_device *device);

#endif
