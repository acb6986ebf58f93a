/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest memory as a device in software reaches it: a space of I/O virtual addresses.
 *
 * Each DMA map is a region. Memory of this process is a mapped one, memory that
 * only its client reaches is a handled one. The device reads and writes a
 * second space, which shows the first while the device is a bus master.
 *
 * A device enters before it looks at guest memory and leaves when it has no
 * pointer to it any more: bk__device_dma_unmap waits for those who are inside.
 * So one who is inside must not wait for a call of the device to return.
 *
 * Threads: any, unless a call says otherwise.
 */
#ifndef BARKEEP_DEVICE_DMA_H
#define BARKEEP_DEVICE_DMA_H

#include <barkeep/device.h>
#include <barkeep/space.h>

struct bk__device_dma_space;

/* No maps, and no bus master. `name` is in error lines and stays the caller's. NULL when out of memory or
 * threads. */
struct bk__device_dma_space *bk__device_dma_create(const char *name);

/* Nobody is inside. Owner only, never from a handler. NULL is fine. */
void bk__device_dma_destroy(struct bk__device_dma_space *dma);

/*
 * As the operations of a device: maps and their errors are those of
 * bk_device_dma_map and bk_device_dma_unmap. When unmap has returned, no thread uses that memory any
 * more, and its callbacks do not run. -ENOSPC from 65536 maps on. Not from inside.
 */
int bk__device_dma_map(struct bk__device_dma_space *dma, const struct bk_device_dma *map,
		       struct bk_error *err);
int bk__device_dma_unmap(struct bk__device_dma_space *dma, uint64_t iova, uint64_t size);

/* How many maps there are. */
unsigned bk__device_dma_count(struct bk__device_dma_space *dma);

/* COMMAND.MASTER has changed to this value. When the call that turns it off returns, all threads that
 * had entered have left. -ENOMEM: nothing is changed. Not from inside. */
int bk__device_dma_master(struct bk__device_dma_space *dma, bool on);

/* What the device reaches, as a space. */
struct bk_space *bk__device_dma_bus(struct bk__device_dma_space *dma);

/*
 * Returns a ticket, which has to be given back by `leave`, on any thread. Until
 * then pointers from bk__device_dma_at stay valid. `*generation` (may be NULL)
 * is the same as last time if no map and no bus mastering has changed since:
 * then pointers of that time point to the same memory.
 */
unsigned bk__device_dma_enter(struct bk__device_dma_space *dma, uint64_t *generation);
void bk__device_dma_leave(struct bk__device_dma_space *dma, unsigned ticket);

/* Who calls these has entered. */

/* `count` bytes at `iova`. -EFAULT if a part is not there, or must not be read or written; other parts may
 * have been transferred. */
int bk__device_dma_read(struct bk__device_dma_space *dma, uint64_t iova, void *data, size_t count);
int bk__device_dma_write(struct bk__device_dma_space *dma, uint64_t iova, const void *data, size_t count);

/*
 * Memory of this process at `iova`, to be read or written. `*count` is how many
 * bytes are wanted, then how many follow each other there. NULL: there is no
 * memory, or one that has to be transferred by the calls above.
 */
void *bk__device_dma_at(struct bk__device_dma_space *dma, uint64_t iova, uint64_t *count, bool write);

#endif
