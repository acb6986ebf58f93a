/* SPDX-License-Identifier: BSD-2-Clause */
/* The legacy registers, in an I/O BAR (virtio 1.2, 4.1.4.10). With MSI-X there are two more of them, and the
 * device's config moves behind those. */
#include "base/bytes.h"
#include "virtio/pci_device.h"

enum {
	OFFERED = 0,
	ACCEPTED = 4,
	QUEUE_PAGE = 8,
	QUEUE_SIZE = 12,
	QUEUE_SELECT = 14,
	NOTIFY = BK__VIRTIO_LEGACY_NOTIFY,
	STATUS = 18,
	ISR = 19,
	HEADER_SIZE = 20,
	CONFIG_VECTOR = 0, /* of the two more */
	QUEUE_VECTOR = 2,
	VECTORS_SIZE = 4,
};

static struct bk__virtio_queue *selected(struct bk__virtio *virtio)
{
	return virtio->queue_select < virtio->type->queues ? &virtio->queues[virtio->queue_select] : NULL;
}

static int header_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	struct bk__virtio *virtio = opaque;
	const struct bk__virtio_queue *queue;
	uint8_t bytes[HEADER_SIZE] = { 0 };

	pthread_mutex_lock(&virtio->lock);
	queue = selected(virtio);
	bk__store(bytes + OFFERED, 4, virtio->offered);
	bk__store(bytes + ACCEPTED, 4, virtio->accepted);
	if (queue) {
		bk__store(bytes + QUEUE_PAGE, 4, queue->descriptors >> 12);
		bk__store(bytes + QUEUE_SIZE, 2, queue->size);
	}
	bk__store(bytes + QUEUE_SELECT, 2, virtio->queue_select);
	bytes[STATUS] = (uint8_t)atomic_load(&virtio->status);
	pthread_mutex_unlock(&virtio->lock);
	if (offset + width > ISR)
		bytes[ISR] = bk__virtio_isr_take(virtio);
	*value = bk__load(bytes + offset, width);
	return 0;
}

static int header_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	struct bk__virtio *virtio = opaque;

	if (offset == NOTIFY && width >= 2) {
		bk__virtio_kick(virtio, (uint16_t)value);
		return 0;
	}
	pthread_mutex_lock(&virtio->lock);
	if (offset == ACCEPTED && width == 4)
		bk__virtio_set_features(virtio, (uint32_t)value);
	else if (offset == QUEUE_PAGE && width == 4 && selected(virtio))
		bk__virtio_queue_page(virtio, virtio->queue_select, (uint32_t)value);
	else if (offset == QUEUE_SELECT && width == 2)
		virtio->queue_select = (uint16_t)value;
	else if (offset == STATUS && (width == 1 || width == 2))
		bk__virtio_set_status(virtio, (uint8_t)value, true);
	pthread_mutex_unlock(&virtio->lock);
	return 0;
}

static int vectors_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	struct bk__virtio *virtio = opaque;
	uint8_t bytes[VECTORS_SIZE] = { 0 };

	pthread_mutex_lock(&virtio->lock);
	bk__store(bytes + CONFIG_VECTOR, 2, atomic_load(&virtio->config_vector));
	bk__store(bytes + QUEUE_VECTOR, 2,
		  selected(virtio) ? atomic_load(&virtio->vectors[virtio->queue_select])
				   : BK__VIRTIO_NO_VECTOR);
	pthread_mutex_unlock(&virtio->lock);
	*value = bk__load(bytes + offset, width);
	return 0;
}

static int vectors_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	struct bk__virtio *virtio = opaque;
	const uint16_t vector = bk__virtio_vector(virtio, (uint16_t)value);

	pthread_mutex_lock(&virtio->lock);
	if (offset == CONFIG_VECTOR && width == 2)
		atomic_store(&virtio->config_vector, vector);
	else if (offset == QUEUE_VECTOR && width == 2 && selected(virtio))
		atomic_store(&virtio->vectors[virtio->queue_select], vector);
	pthread_mutex_unlock(&virtio->lock);
	return 0;
}

void bk__virtio_legacy_add(struct bk__virtio *virtio, struct bk_update *update)
{
	static const struct bk_region_ops header = { .read = header_read,
						     .write = header_write,
						     .widths = BK_WIDTH_1 | BK_WIDTH_2 | BK_WIDTH_4 };
	static const struct bk_region_ops vectors = { .read = vectors_read,
						      .write = vectors_write,
						      .widths = BK_WIDTH_1 | BK_WIDTH_2 | BK_WIDTH_4 };
	const struct bk_region_desc registers = {
		.name = "legacy registers", .last = HEADER_SIZE - 1, .ops = &header, .opaque = virtio
	};
	const struct bk_region_desc messages = { .name = "legacy vectors",
						 .first = HEADER_SIZE,
						 .last = HEADER_SIZE + VECTORS_SIZE - 1,
						 .rank = 1,
						 .disabled = true,
						 .ops = &vectors,
						 .opaque = virtio };
	const struct bk_region_desc config = { .name = "device config",
					       .first = HEADER_SIZE,
					       .last = virtio->type->legacy_size - VECTORS_SIZE - 1,
					       .rank = 2,
					       .ops = &bk__virtio_type_config_ops,
					       .opaque = virtio };
	struct bk_space *bar = virtio->bars[BK__VIRTIO_BAR_LEGACY];

	bk_update_add(update, bar, &registers, NULL);
	bk_update_add(update, bar, &messages, &virtio->legacy_vectors);
	bk_update_add(update, bar, &config, &virtio->legacy_config);
}

int bk__virtio_legacy_msix(struct bk__virtio *virtio, bool on)
{
	const uint64_t first = on ? HEADER_SIZE + VECTORS_SIZE : HEADER_SIZE;
	const uint64_t length = virtio->type->legacy_size - VECTORS_SIZE - HEADER_SIZE;
	struct bk_update *update = bk_update_begin(bk_space_domain(virtio->bars[BK__VIRTIO_BAR_LEGACY]));

	bk_update_enable(update, virtio->legacy_vectors, on);
	bk_update_move(update, virtio->legacy_config, first, first + length - 1);
	return bk_update_commit(update, NULL);
}
