/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A split virtqueue, as the device has it (virtio 1.2, 2.7).
 *
 * The rings are in guest memory and the guest is hostile: an index or a chain
 * that makes no sense makes the queue broken, and a broken queue gives nothing.
 * One pop looks at as many descriptors as the queue has, at most.
 *
 * One thread at a time. Who calls these has entered the DMA space.
 */
#ifndef BK_VIRTIO_QUEUE_H
#define BK_VIRTIO_QUEUE_H

#include "device/dma.h"

enum { BK__VIRTIO_QUEUE_MAX = 256 };

struct bk__virtio_buffer {
	uint64_t at; /* in guest memory */
	uint32_t length;
};

/* One request of the driver: buffers that the device reads, then those that it writes. */
struct bk__virtio_chain {
	uint16_t head;
	unsigned out, in; /* how many buffers of each */
	uint64_t out_bytes, in_bytes;
	struct bk__virtio_buffer buffers[BK__VIRTIO_QUEUE_MAX];
};

/* One of the three parts of a queue. */
struct bk__virtio_ring {
	uint64_t at, size;
	uint8_t *host; /* NULL: it has to be read and written by calls */
};

struct bk__virtio_queue {
	struct bk__device_dma_space *dma;

	/* What the driver wrote. */
	uint16_t size;
	bool ready;
	bool indirect, event_index; /* features that were negotiated */
	uint64_t descriptors, driver, device;

	uint16_t next, used; /* the next of the avail ring to look at, of the used ring to fill */
	uint16_t signalled;  /* `used` when the driver was last signalled */
	bool broken;
	uint64_t generation; /* of the DMA space, when the pointers of the rings were looked up */
	struct bk__virtio_ring table, avail, done;
};

/* The driver has given it these parts; it starts anew. */
void bk__virtio_queue_start(struct bk__virtio_queue *queue);

/* Before the first of the calls below after entering; `generation` is what entering gave. */
void bk__virtio_queue_enter(struct bk__virtio_queue *queue, uint64_t generation);

/* Takes the next chain. False if there is none, or the queue is broken. */
bool bk__virtio_queue_pop(struct bk__virtio_queue *queue, struct bk__virtio_chain *chain);

/* The last `count` chains were not taken. */
void bk__virtio_queue_unpop(struct bk__virtio_queue *queue, unsigned count);

/* Gives a chain back, of which `length` bytes were written. */
void bk__virtio_queue_push(struct bk__virtio_queue *queue, uint16_t head, uint32_t length);

/* Does the driver want to be signalled of what was pushed since the last time? */
bool bk__virtio_queue_signal(struct bk__virtio_queue *queue);

/* Does the driver have to notify the device of new chains? True if there are some now. */
bool bk__virtio_queue_notify(struct bk__virtio_queue *queue, bool wanted);

/* Copies from what the device reads, or to what it writes, from byte `offset` on. 0 or -EFAULT; -EFAULT past
 * the end, too. */
int bk__virtio_chain_read(const struct bk__virtio_queue *queue, const struct bk__virtio_chain *chain,
			  uint64_t offset, void *data, size_t count);
int bk__virtio_chain_write(const struct bk__virtio_queue *queue, const struct bk__virtio_chain *chain,
			   uint64_t offset, const void *data, size_t count);

#endif
