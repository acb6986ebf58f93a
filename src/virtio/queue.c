/* SPDX-License-Identifier: BSD-2-Clause */
/* A split virtqueue, as the device has it (virtio 1.2, 2.7). */
#include "virtio/queue.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/bytes.h"

enum {
	DESC_SIZE = 16,
	DESC_NEXT = 1,
	DESC_WRITE = 2,
	DESC_INDIRECT = 4,
	AVAIL_FLAGS = 0,
	AVAIL_INDEX = 2,
	AVAIL_RING = 4,
	AVAIL_NO_INTERRUPT = 1,
	USED_FLAGS = 0,
	USED_INDEX = 2,
	USED_RING = 4,
	USED_SIZE = 8, /* of an entry */
	USED_NO_NOTIFY = 1,
};

/* ---- The rings in memory ----------------------------------------------- */

static void look_up(struct bk__virtio_queue *queue, struct bk__virtio_ring *ring, unsigned alignment,
		    bool write)
{
	uint64_t count = ring->size;

	ring->host = bk__device_dma_at(queue->dma, ring->at, &count, write);
	if (count < ring->size || (uintptr_t)ring->host % alignment)
		ring->host = NULL;
}

void bk__virtio_queue_start(struct bk__virtio_queue *queue)
{
	const uint64_t n = queue->size;

	queue->table = (struct bk__virtio_ring){ .at = queue->descriptors, .size = n * DESC_SIZE };
	queue->avail = (struct bk__virtio_ring){ .at = queue->driver, .size = AVAIL_RING + 2 * n + 2 };
	queue->done = (struct bk__virtio_ring){ .at = queue->device, .size = USED_RING + USED_SIZE * n + 2 };
	queue->next = queue->used = queue->signalled = 0;
	queue->broken = false;
	queue->generation = UINT64_MAX;
}

void bk__virtio_queue_enter(struct bk__virtio_queue *queue, uint64_t generation)
{
	if (queue->generation == generation)
		return;
	queue->generation = generation;
	look_up(queue, &queue->table, DESC_SIZE, false);
	look_up(queue, &queue->avail, 2, false);
	look_up(queue, &queue->done, 4, true);
}

static uint16_t load16(struct bk__virtio_queue *queue, const struct bk__virtio_ring *ring, uint64_t offset)
{
	uint8_t bytes[2] = { 0 };

	if (ring->host) {
		const uint16_t value =
			atomic_load_explicit((_Atomic uint16_t *)(ring->host + offset), memory_order_acquire);

		return (uint16_t)bk__load(&value, 2);
	}
	if (bk__device_dma_read(queue->dma, ring->at + offset, bytes, 2))
		queue->broken = true;
	atomic_thread_fence(memory_order_acquire);
	return (uint16_t)bk__load(bytes, 2);
}

static void store16(struct bk__virtio_queue *queue, const struct bk__virtio_ring *ring, uint64_t offset,
		    uint16_t value)
{
	uint8_t bytes[2];

	bk__store(bytes, 2, value);
	if (ring->host) {
		memcpy(&value, bytes, 2);
		atomic_store_explicit((_Atomic uint16_t *)(ring->host + offset), value, memory_order_release);
		return;
	}
	atomic_thread_fence(memory_order_release);
	if (bk__device_dma_write(queue->dma, ring->at + offset, bytes, 2))
		queue->broken = true;
}

/* ---- Chains ------------------------------------------------------------ */

/* Where descriptors are: in the queue's table, or in one that a descriptor leads to. */
struct table {
	struct bk__virtio_ring ring;
	unsigned count;
};

struct descriptor {
	uint64_t at;
	uint32_t length;
	uint16_t flags, next;
};

static bool read_descriptor(const struct bk__virtio_queue *queue, const struct table *table, unsigned index,
			    struct descriptor *descriptor)
{
	const uint64_t offset = (uint64_t)index * DESC_SIZE;
	uint8_t bytes[DESC_SIZE];

	if (table->ring.host)
		memcpy(bytes, table->ring.host + offset, sizeof(bytes));
	else if (bk__device_dma_read(queue->dma, table->ring.at + offset, bytes, sizeof(bytes)))
		return false;
	descriptor->at = bk__load(bytes, 8);
	descriptor->length = (uint32_t)bk__load(bytes + 8, 4);
	descriptor->flags = (uint16_t)bk__load(bytes + 12, 2);
	descriptor->next = (uint16_t)bk__load(bytes + 14, 2);
	return true;
}

static bool add_buffer(struct bk__virtio_chain *chain, const struct descriptor *descriptor)
{
	const bool write = descriptor->flags & DESC_WRITE;

	if (!write && chain->in)
		return false;
	if (descriptor->length && descriptor->length - 1 > UINT64_MAX - descriptor->at)
		return false;
	chain->buffers[chain->out + chain->in] =
		(struct bk__virtio_buffer){ .at = descriptor->at, .length = descriptor->length };
	*(write ? &chain->in : &chain->out) += 1;
	*(write ? &chain->in_bytes : &chain->out_bytes) += descriptor->length;
	return true;
}

/* Goes on in the table that a descriptor leads to: one level, and the last of the chain. */
static bool enter_table(struct bk__virtio_queue *queue, const struct descriptor *descriptor,
			struct table *table)
{
	if (!queue->indirect || descriptor->flags & DESC_NEXT || !descriptor->length ||
	    descriptor->length % DESC_SIZE)
		return false;
	table->ring = (struct bk__virtio_ring){ .at = descriptor->at, .size = descriptor->length };
	table->count = descriptor->length / DESC_SIZE;
	look_up(queue, &table->ring, 1, false);
	return true;
}

static bool walk(struct bk__virtio_queue *queue, struct bk__virtio_chain *chain)
{
	struct table table = { .ring = queue->table, .count = queue->size };
	struct descriptor descriptor;
	unsigned index = chain->head;
	bool indirect = false;

	for (unsigned left = queue->size; left; left--) {
		if (index >= table.count || !read_descriptor(queue, &table, index, &descriptor))
			return false;
		if (descriptor.flags & DESC_INDIRECT) {
			if (indirect || !enter_table(queue, &descriptor, &table))
				return false;
			indirect = true;
			index = 0;
			left++; /* of the chain it is none: it leads to its first */
			continue;
		}
		if (!add_buffer(chain, &descriptor))
			return false;
		if (!(descriptor.flags & DESC_NEXT))
			return true;
		index = descriptor.next;
	}
	return false; /* longer than the queue: it may be a loop */
}

bool bk__virtio_queue_pop(struct bk__virtio_queue *queue, struct bk__virtio_chain *chain)
{
	uint16_t waiting;

	if (!queue->ready || queue->broken)
		return false;
	waiting = (uint16_t)(load16(queue, &queue->avail, AVAIL_INDEX) - queue->next);
	if (!waiting || queue->broken)
		return false;
	chain->head = load16(queue, &queue->avail, AVAIL_RING + 2 * (queue->next % queue->size));
	chain->out = chain->in = 0;
	chain->out_bytes = chain->in_bytes = 0;
	if (waiting > queue->size || queue->broken || !walk(queue, chain)) {
		queue->broken = true;
		return false;
	}
	queue->next++;
	return true;
}

void bk__virtio_queue_unpop(struct bk__virtio_queue *queue, unsigned count)
{
	queue->next = (uint16_t)(queue->next - count);
}

/* ---- The used ring ----------------------------------------------------- */

void bk__virtio_queue_push(struct bk__virtio_queue *queue, uint16_t head, uint32_t length)
{
	const uint64_t offset = USED_RING + USED_SIZE * (uint64_t)(queue->used % queue->size);
	uint8_t entry[USED_SIZE];

	if (queue->broken)
		return;
	bk__store(entry, 4, head);
	bk__store(entry + 4, 4, length);
	if (queue->done.host)
		memcpy(queue->done.host + offset, entry, sizeof(entry));
	else if (bk__device_dma_write(queue->dma, queue->done.at + offset, entry, sizeof(entry)))
		queue->broken = true;
	queue->used++;
	store16(queue, &queue->done, USED_INDEX, queue->used);
}

bool bk__virtio_queue_signal(struct bk__virtio_queue *queue)
{
	const uint16_t before = queue->signalled, now = queue->used;
	uint16_t event;

	if (queue->broken || before == now)
		return false;
	/* What the driver wants is read after it can see what was pushed. */
	atomic_thread_fence(memory_order_seq_cst);
	queue->signalled = now;
	if (!queue->event_index)
		return !(load16(queue, &queue->avail, AVAIL_FLAGS) & AVAIL_NO_INTERRUPT);
	event = load16(queue, &queue->avail, AVAIL_RING + 2 * (uint64_t)queue->size);
	return (uint16_t)(now - event - 1) < (uint16_t)(now - before);
}

bool bk__virtio_queue_notify(struct bk__virtio_queue *queue, bool wanted)
{
	if (!queue->ready || queue->broken)
		return false;
	if (!queue->event_index)
		store16(queue, &queue->done, USED_FLAGS, wanted ? 0 : USED_NO_NOTIFY);
	else if (wanted)
		store16(queue, &queue->done, USED_RING + USED_SIZE * (uint64_t)queue->size, queue->next);
	if (!wanted)
		return false;
	/* A driver that does not see this yet has published its chain before. */
	atomic_thread_fence(memory_order_seq_cst);
	return load16(queue, &queue->avail, AVAIL_INDEX) != queue->next && !queue->broken;
}

/* ---- What is in a chain ------------------------------------------------ */

static int copy(const struct bk__virtio_queue *queue, const struct bk__virtio_buffer *buffers, unsigned count,
		uint64_t offset, uint8_t *data, size_t left, bool write)
{
	for (unsigned i = 0; i < count && left; i++) {
		const uint32_t length = buffers[i].length;
		size_t part;
		int error;

		if (offset >= length) {
			offset -= length;
			continue;
		}
		part = length - (size_t)offset < left ? length - (size_t)offset : left;
		error = write ? bk__device_dma_write(queue->dma, buffers[i].at + offset, data, part)
			      : bk__device_dma_read(queue->dma, buffers[i].at + offset, data, part);
		if (error)
			return -EFAULT;
		offset = 0;
		data += part;
		left -= part;
	}
	return left ? -EFAULT : 0;
}

int bk__virtio_chain_read(const struct bk__virtio_queue *queue, const struct bk__virtio_chain *chain,
			  uint64_t offset, void *data, size_t count)
{
	return copy(queue, chain->buffers, chain->out, offset, data, count, false);
}

int bk__virtio_chain_write(const struct bk__virtio_queue *queue, const struct bk__virtio_chain *chain,
			   uint64_t offset, const void *data, size_t count)
{
	/* Only read from when writing. */
	return copy(queue, chain->buffers + chain->out, chain->in, offset, (uint8_t *)data, count, true);
}
