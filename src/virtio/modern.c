/* SPDX-License-Identifier: BSD-2-Clause */
/* The modern registers, in a memory BAR (virtio 1.2, 4.1.4). */
#include "base/bytes.h"
#include "virtio/pci_device.h"

/* The common configuration, 4.1.4.3. */
enum {
	OFFERED_SELECT = 0,
	OFFERED = 4,
	ACCEPTED_SELECT = 8,
	ACCEPTED = 12,
	CONFIG_VECTOR = 16,
	QUEUES = 18,
	STATUS = 20,
	GENERATION = 21,
	QUEUE_SELECT = 22,
	QUEUE_SIZE = 24,
	QUEUE_VECTOR = 26,
	QUEUE_ENABLE = 28,
	QUEUE_NOTIFY = 30,
	QUEUE_DESC = 32,
	QUEUE_DRIVER = 40,
	QUEUE_DEVICE = 48,
};

static uint32_t half(uint64_t value, uint32_t select)
{
	return select < 2 ? (uint32_t)(value >> 32 * select) : 0;
}

static void put_queue(const struct bk__virtio *virtio, uint8_t *bytes)
{
	const unsigned index = virtio->queue_select;
	const struct bk__virtio_queue *queue;

	if (index >= virtio->type->queues) {
		bk__store(bytes + QUEUE_VECTOR, 2, BK__VIRTIO_NO_VECTOR);
		return;
	}
	queue = &virtio->queues[index];
	bk__store(bytes + QUEUE_SIZE, 2, queue->size);
	bk__store(bytes + QUEUE_VECTOR, 2, atomic_load(&virtio->vectors[index]));
	bk__store(bytes + QUEUE_ENABLE, 2, queue->ready);
	bk__store(bytes + QUEUE_NOTIFY, 2, index);
	bk__store(bytes + QUEUE_DESC, 8, queue->descriptors);
	bk__store(bytes + QUEUE_DRIVER, 8, queue->driver);
	bk__store(bytes + QUEUE_DEVICE, 8, queue->device);
}

static int common_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	struct bk__virtio *virtio = opaque;
	uint8_t bytes[BK__VIRTIO_COMMON_SIZE] = { 0 };

	pthread_mutex_lock(&virtio->lock);
	bk__store(bytes + OFFERED_SELECT, 4, virtio->offered_select);
	bk__store(bytes + OFFERED, 4, half(virtio->offered, virtio->offered_select));
	bk__store(bytes + ACCEPTED_SELECT, 4, virtio->accepted_select);
	bk__store(bytes + ACCEPTED, 4, half(virtio->accepted, virtio->accepted_select));
	bk__store(bytes + CONFIG_VECTOR, 2, atomic_load(&virtio->config_vector));
	bk__store(bytes + QUEUES, 2, virtio->type->queues);
	bytes[STATUS] = (uint8_t)atomic_load(&virtio->status);
	bytes[GENERATION] = 0; /* the config never changes */
	bk__store(bytes + QUEUE_SELECT, 2, virtio->queue_select);
	put_queue(virtio, bytes);
	pthread_mutex_unlock(&virtio->lock);
	*value = bk__load(bytes + offset, width);
	return 0;
}

/* Half of an address, or all of it. */
static void set_address(uint64_t *address, uint64_t offset, unsigned width, uint64_t value)
{
	uint8_t bytes[8];

	bk__store(bytes, 8, *address);
	bk__store(bytes + offset, width, value);
	*address = bk__load(bytes, 8);
}

static bool is_power_of_two(uint64_t value)
{
	return value && !(value & (value - 1));
}

/* A queue that is ready keeps what it has. */
static void write_queue(struct bk__virtio *virtio, uint64_t offset, unsigned width, uint64_t value)
{
	const unsigned index = virtio->queue_select;
	struct bk__virtio_queue *queue;

	if (index >= virtio->type->queues)
		return;
	queue = &virtio->queues[index];
	if (offset == QUEUE_VECTOR && width == 2)
		atomic_store(&virtio->vectors[index], bk__virtio_vector(virtio, (uint16_t)value));
	if (queue->ready)
		return;
	if (offset == QUEUE_SIZE && width == 2 && is_power_of_two(value) && value <= BK__VIRTIO_QUEUE_MAX)
		queue->size = (uint16_t)value;
	else if (offset == QUEUE_ENABLE && width == 2 && value == 1)
		bk__virtio_queue_ready(virtio, index);
	else if (offset >= QUEUE_DEVICE && width >= 4)
		set_address(&queue->device, offset - QUEUE_DEVICE, width, value);
	else if (offset >= QUEUE_DRIVER && width >= 4)
		set_address(&queue->driver, offset - QUEUE_DRIVER, width, value);
	else if (offset >= QUEUE_DESC && width >= 4)
		set_address(&queue->descriptors, offset - QUEUE_DESC, width, value);
}

static void write_accepted(struct bk__virtio *virtio, uint32_t value)
{
	const unsigned shift = 32 * virtio->accepted_select;

	if (virtio->accepted_select < 2)
		bk__virtio_set_features(virtio, (virtio->accepted & ~((uint64_t)UINT32_MAX << shift)) |
							(uint64_t)value << shift);
}

/* Only writes of a whole register count: one to a part, or to a read-only register, has no effect. */
static int common_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	struct bk__virtio *virtio = opaque;

	pthread_mutex_lock(&virtio->lock);
	if (offset >= QUEUE_SIZE && (offset < QUEUE_DESC || offset % 8 + width <= 8))
		write_queue(virtio, offset, width, value);
	else if (offset == OFFERED_SELECT && width == 4)
		virtio->offered_select = (uint32_t)value;
	else if (offset == ACCEPTED_SELECT && width == 4)
		virtio->accepted_select = (uint32_t)value;
	else if (offset == ACCEPTED && width == 4)
		write_accepted(virtio, (uint32_t)value);
	else if (offset == CONFIG_VECTOR && width == 2)
		atomic_store(&virtio->config_vector, bk__virtio_vector(virtio, (uint16_t)value));
	else if (offset == STATUS && width == 1)
		bk__virtio_set_status(virtio, (uint8_t)value, false);
	else if (offset == QUEUE_SELECT && width == 2)
		virtio->queue_select = (uint16_t)value;
	pthread_mutex_unlock(&virtio->lock);
	return 0;
}

static int isr_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	*value = offset ? 0 : bk__virtio_isr_take(opaque);
	return 0;
}

static int ignore_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	return 0;
}

static int zero_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	*value = 0;
	return 0;
}

static int notify_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	bk__virtio_kick(opaque, (unsigned)(offset / BK__VIRTIO_NOTIFY_STEP));
	return 0;
}

static int type_config_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	const struct bk__virtio *virtio = opaque;
	uint8_t bytes[8] = { 0 };

	for (unsigned i = 0; i < width && offset + i < BK__VIRTIO_CONFIG_MAX; i++)
		bytes[i] = virtio->type_config[offset + i];
	*value = bk__load(bytes, width);
	return 0;
}

const struct bk_region_ops bk__virtio_type_config_ops = { .read = type_config_read, .write = ignore_write };

void bk__virtio_modern_add(struct bk__virtio *virtio, struct bk_update *update)
{
	static const struct bk_region_ops common = { .read = common_read, .write = common_write };
	static const struct bk_region_ops isr = { .read = isr_read, .write = ignore_write };
	static const struct bk_region_ops notify = { .read = zero_read, .write = notify_write };
	static const struct {
		const char *name;
		uint64_t first, size;
		const struct bk_region_ops *ops;
	} regions[] = {
		{ "common config", BK__VIRTIO_MODERN_COMMON, BK__VIRTIO_COMMON_SIZE, &common },
		{ "ISR", BK__VIRTIO_MODERN_ISR, 4, &isr },
		{ "device config", BK__VIRTIO_MODERN_CONFIG, 0x1000, &bk__virtio_type_config_ops },
		{ "notify", BK__VIRTIO_MODERN_NOTIFY, 0x1000, &notify },
	};

	for (unsigned i = 0; i < sizeof(regions) / sizeof(regions[0]); i++) {
		const struct bk_region_desc desc = { .name = regions[i].name,
						     .first = regions[i].first,
						     .last = regions[i].first + regions[i].size - 1,
						     .rank = i,
						     .ops = regions[i].ops,
						     .opaque = virtio };

		bk_update_add(update, virtio->bars[BK__VIRTIO_BAR_MODERN], &desc, NULL);
	}
}
