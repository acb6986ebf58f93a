/* SPDX-License-Identifier: BSD-2-Clause */
/* The state of a device: its status, the features, and when its queues start (virtio 1.2, 2.1 and 3.1). */
#include "virtio/pci_device.h"

#define PAGE_SHIFT   12 /* of a legacy queue, 4.1.4.8 */
#define LEGACY_ALIGN 4096u

uint16_t bk__virtio_vector(const struct bk__virtio *virtio, uint16_t vector)
{
	return vector < virtio->irqs.count[BK_DEVICE_MSIX] ? vector : BK__VIRTIO_NO_VECTOR;
}

void bk__virtio_reset(struct bk__virtio *virtio)
{
	bk__virtio_worker_park(virtio);
	atomic_store(&virtio->status, 0);
	atomic_store(&virtio->worker.kicked, 0);
	atomic_store(&virtio->config_vector, BK__VIRTIO_NO_VECTOR);
	for (unsigned i = 0; i < virtio->type->queues; i++) {
		virtio->queues[i] =
			(struct bk__virtio_queue){ .dma = virtio->dma, .size = BK__VIRTIO_QUEUE_MAX };
		atomic_store(&virtio->vectors[i], BK__VIRTIO_NO_VECTOR);
	}
	virtio->accepted = 0;
	virtio->offered_select = virtio->accepted_select = 0;
	virtio->queue_select = 0;
	bk__virtio_isr_take(virtio);
	bk__virtio_worker_go(virtio);
}

void bk__virtio_set_features(struct bk__virtio *virtio, uint64_t accepted)
{
	if (!(atomic_load(&virtio->status) & (BK__VIRTIO_FEATURES_OK | BK__VIRTIO_DRIVER_OK)))
		virtio->accepted = accepted;
}

/* Starts to serve. Parked. */
static void start_queue(struct bk__virtio *virtio, struct bk__virtio_queue *queue)
{
	queue->indirect = virtio->accepted & BK__VIRTIO_F_INDIRECT_DESC;
	queue->event_index = virtio->accepted & BK__VIRTIO_F_EVENT_INDEX;
	queue->ready = true;
	bk__virtio_queue_start(queue);
}

static void go_and_look(struct bk__virtio *virtio)
{
	bk__virtio_worker_go(virtio);
	bk__virtio_kick_all(virtio);
}

void bk__virtio_queue_ready(struct bk__virtio *virtio, unsigned index)
{
	struct bk__virtio_queue *queue = &virtio->queues[index];

	if (queue->ready)
		return;
	bk__virtio_worker_park(virtio);
	start_queue(virtio, queue);
	go_and_look(virtio);
}

void bk__virtio_queue_page(struct bk__virtio *virtio, unsigned index, uint32_t page)
{
	struct bk__virtio_queue *queue = &virtio->queues[index];

	bk__virtio_worker_park(virtio);
	queue->ready = false;
	queue->descriptors = (uint64_t)page << PAGE_SHIFT;
	queue->driver = queue->descriptors + 16 * (uint64_t)queue->size;
	queue->device = (queue->driver + 6 + 2 * (uint64_t)queue->size + LEGACY_ALIGN - 1) &
			~(uint64_t)(LEGACY_ALIGN - 1);
	if (page)
		start_queue(virtio, queue);
	go_and_look(virtio);
}

/* A legacy driver knows no features above 31; a modern one has to know VERSION_1. */
static bool features_are_right(const struct bk__virtio *virtio)
{
	return virtio->accepted & BK__VIRTIO_F_VERSION_1 && !(virtio->accepted & ~virtio->offered);
}

static void begin(struct bk__virtio *virtio)
{
	bk__virtio_worker_park(virtio);
	/* A legacy driver may have set queues up before it accepted features. */
	virtio->accepted &= virtio->offered;
	for (unsigned i = 0; i < virtio->type->queues; i++)
		if (virtio->queues[i].ready)
			start_queue(virtio, &virtio->queues[i]);
	atomic_fetch_or(&virtio->status, BK__VIRTIO_DRIVER_OK);
	if (virtio->type->start)
		virtio->type->start(virtio);
	go_and_look(virtio);
}

void bk__virtio_set_status(struct bk__virtio *virtio, uint8_t status, bool legacy)
{
	const unsigned before = atomic_load(&virtio->status);
	unsigned now = status & ~(unsigned)BK__VIRTIO_NEEDS_RESET;

	if (!status) {
		bk__virtio_reset(virtio);
		return;
	}
	if (!legacy && now & BK__VIRTIO_FEATURES_OK && !(before & BK__VIRTIO_FEATURES_OK) &&
	    !features_are_right(virtio))
		now &= ~(unsigned)BK__VIRTIO_FEATURES_OK;
	/* A driver may not take bits back, and the worker may add one at the same time. */
	atomic_fetch_or(&virtio->status, now & ~(unsigned)BK__VIRTIO_DRIVER_OK);
	if (now & ~before & BK__VIRTIO_DRIVER_OK && (legacy || (before | now) & BK__VIRTIO_FEATURES_OK))
		begin(virtio);
}
