/* SPDX-License-Identifier: BSD-2-Clause */
/* A virtio device as a bk_device: its regions, its interrupts, its DMA, opening and closing it. */
#include "virtio/pci_device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MSIX_SIZE 0x1000u

static struct bk__virtio *of(struct bk_device *device)
{
	return (struct bk__virtio *)device;
}

/* ---- What it is -------------------------------------------------------- */

static int virtio_info(struct bk_device *device, struct bk_device_info *info)
{
	info->flags = BK_DEVICE_CAN_RESET;
	info->regions = BK_DEVICE_REGIONS;
	info->irqs = BK_DEVICE_IRQS;
	return 0;
}

static uint64_t region_size(const struct bk__virtio *virtio, unsigned index)
{
	if (index == BK_DEVICE_CONFIG)
		return BK__VIRTIO_PCI_CONFIG;
	return index < BK_DEVICE_ROM && virtio->bars[index] ? bk_space_last(virtio->bars[index]) + 1 : 0;
}

static int virtio_region(struct bk_device *device, unsigned index, struct bk_device_region *region)
{
	if (index >= BK_DEVICE_REGIONS)
		return -EINVAL;
	*region = (struct bk_device_region){ .fd = -1, .size = region_size(of(device), index) };
	if (region->size)
		region->flags = BK_DEVICE_READ | BK_DEVICE_WRITE;
	return 0;
}

static int virtio_irq(struct bk_device *device, unsigned index, struct bk_device_irq *irq)
{
	if (index >= BK_DEVICE_IRQS)
		return -EINVAL;
	irq->count = of(device)->irqs.count[index];
	irq->flags = !irq->count               ? 0
		     : index == BK_DEVICE_INTX ? BK_DEVICE_IRQ_MASKABLE | BK_DEVICE_IRQ_AUTOMASKED
					       : BK_DEVICE_IRQ_NORESIZE;
	return 0;
}

/* ---- Accesses ---------------------------------------------------------- */

static int config_access(struct bk__virtio *virtio, unsigned offset, uint8_t *data, size_t count, bool write)
{
	int error = 0;

	/* In pieces as on a bus: one of them may reach a BAR. */
	while (count && !error) {
		unsigned width = 4;

		while (width > count || offset % width)
			width /= 2;
		pthread_mutex_lock(&virtio->config_lock);
		error = write ? bk__virtio_config_write(virtio, offset, data, width)
			      : bk__virtio_config_read(virtio, offset, data, width);
		pthread_mutex_unlock(&virtio->config_lock);
		offset += width;
		data += width;
		count -= width;
	}
	return error;
}

static int check(const struct bk__virtio *virtio, unsigned region, uint64_t offset, size_t count)
{
	const uint64_t size = region < BK_DEVICE_REGIONS ? region_size(virtio, region) : 0;

	return size && offset <= size && count <= size - offset ? 0 : -EINVAL;
}

static int virtio_read(struct bk_device *device, unsigned region, uint64_t offset, void *data, size_t count)
{
	struct bk__virtio *virtio = of(device);
	int error = check(virtio, region, offset, count);

	if (error)
		return error;
	if (region == BK_DEVICE_CONFIG)
		return config_access(virtio, (unsigned)offset, data, count, false);
	return bk_space_read_bytes(virtio->bars[region], offset, data, count);
}

static int virtio_write(struct bk_device *device, unsigned region, uint64_t offset, const void *data,
			size_t count)
{
	struct bk__virtio *virtio = of(device);
	int error = check(virtio, region, offset, count);

	if (error)
		return error;
	if (region == BK_DEVICE_CONFIG) /* only read from when writing */
		return config_access(virtio, (unsigned)offset, (uint8_t *)data, count, true);
	return bk_space_write_bytes(virtio->bars[region], offset, data, count);
}

/* The MSI-X table and PBA are those of whoever shows the function. */
static int msix_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	*value = 0;
	return 0;
}

static int msix_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	return 0;
}

/* ---- The rest of the interface ----------------------------------------- */

static int virtio_set_irqs(struct bk_device *device, unsigned index, enum bk_device_irq_action action,
			   unsigned start, unsigned count, const int *fds)
{
	struct bk__virtio *virtio = of(device);
	int error = bk__device_irqs_set(&virtio->irqs, index, action, start, count, fds);

	if (error || index != BK_DEVICE_MSIX || action != BK_DEVICE_IRQ_TRIGGER)
		return error;
	return bk__virtio_legacy_msix(virtio, bk__device_irqs_on(&virtio->irqs, BK_DEVICE_MSIX));
}

/* The queue that a write to a register kicks, and by which registers; false: it does something else. */
static bool is_doorbell(const struct bk__virtio *virtio, unsigned region, uint64_t offset, unsigned width,
			uint64_t value, unsigned *queue, unsigned *which)
{
	*which = region == BK__VIRTIO_BAR_MODERN;
	*queue = (unsigned)value;
	if (value >= virtio->type->queues || width != 2)
		return false;
	return *which ? offset == BK__VIRTIO_MODERN_NOTIFY + BK__VIRTIO_NOTIFY_STEP * value
		      : region == BK__VIRTIO_BAR_LEGACY && offset == BK__VIRTIO_LEGACY_NOTIFY;
}

static int virtio_ioeventfd(struct bk_device *device, unsigned region, uint64_t offset, unsigned width,
			    uint64_t value, int fd)
{
	struct bk__virtio *virtio = of(device);
	unsigned queue, which;
	int error;

	if (!virtio->worker.started || !is_doorbell(virtio, region, offset, width, value, &queue, &which))
		return -ENOTTY;
	pthread_mutex_lock(&virtio->lock);
	error = bk__virtio_doorbell(virtio, queue, which, fd);
	pthread_mutex_unlock(&virtio->lock);
	return error;
}

static int virtio_doorbells(struct bk_device *device, bk_device_doorbell_fn *visit, void *opaque)
{
	for (unsigned i = 0; i < of(device)->type->queues; i++) {
		struct bk_device_doorbell doorbell = { .struct_size = sizeof(doorbell),
						       .region = BK__VIRTIO_BAR_LEGACY,
						       .offset = BK__VIRTIO_LEGACY_NOTIFY,
						       .width = 2,
						       .value = i };

		visit(opaque, &doorbell);
		doorbell.region = BK__VIRTIO_BAR_MODERN;
		doorbell.offset = BK__VIRTIO_MODERN_NOTIFY + BK__VIRTIO_NOTIFY_STEP * (uint64_t)i;
		visit(opaque, &doorbell);
	}
	return 0;
}

static int virtio_dma_map(struct bk_device *device, const struct bk_device_dma *dma, struct bk_error *err)
{
	return bk__device_dma_map(of(device)->dma, dma, err);
}

static int virtio_dma_unmap(struct bk_device *device, uint64_t iova, uint64_t size)
{
	return bk__device_dma_unmap(of(device)->dma, iova, size);
}

static int virtio_reset(struct bk_device *device)
{
	struct bk__virtio *virtio = of(device);

	pthread_mutex_lock(&virtio->config_lock);
	pthread_mutex_lock(&virtio->lock);
	bk__virtio_reset(virtio);
	pthread_mutex_unlock(&virtio->lock);
	bk__virtio_config_reset(virtio);
	pthread_mutex_unlock(&virtio->config_lock);
	return 0;
}

static void virtio_describe(struct bk_device *device,
			    void (*say)(void *opaque, const char *key, const char *value), void *opaque)
{
	struct bk__virtio *virtio = of(device);
	char text[64];

	say(opaque, "device", virtio->type->name);
	if (virtio->type->describe)
		virtio->type->describe(virtio, say, opaque);
	snprintf(text, sizeof(text), "0x%02x", atomic_load(&virtio->status));
	say(opaque, "status", text);
	snprintf(text, sizeof(text), "%u", bk__device_dma_count(virtio->dma));
	say(opaque, "DMA maps", text);
}

/* Of a device that may be half made. */
static void destroy(struct bk__virtio *virtio)
{
	for (unsigned i = 0; i < 6; i++)
		if (virtio->bars[i])
			bk_space_destroy(virtio->bars[i]);
	bk__device_dma_destroy(virtio->dma);
	bk__device_irqs_close(&virtio->irqs);
	pthread_cond_destroy(&virtio->worker.changed);
	pthread_mutex_destroy(&virtio->worker.lock);
	pthread_mutex_destroy(&virtio->isr_lock);
	pthread_mutex_destroy(&virtio->lock);
	pthread_mutex_destroy(&virtio->config_lock);
	free(virtio->name);
	free(virtio);
}

static void virtio_close(struct bk_device *device)
{
	struct bk__virtio *virtio = of(device);

	virtio_reset(device);
	bk__virtio_worker_stop(virtio);
	for (unsigned i = 0; i < BK__VIRTIO_QUEUES_MAX; i++)
		for (unsigned j = 0; j < BK__VIRTIO_DOORBELLS; j++)
			if (virtio->worker.doorbells[i][j] >= 0)
				close(virtio->worker.doorbells[i][j]);
	virtio->type->close(virtio);
	destroy(virtio);
}

static const struct bk_device_ops virtio_ops = {
	.info = virtio_info,
	.region = virtio_region,
	.irq = virtio_irq,
	.read = virtio_read,
	.write = virtio_write,
	.set_irqs = virtio_set_irqs,
	.dma_map = virtio_dma_map,
	.dma_unmap = virtio_dma_unmap,
	.reset = virtio_reset,
	.ioeventfd = virtio_ioeventfd,
	.doorbells = virtio_doorbells,
	.describe = virtio_describe,
	.close = virtio_close,
};

/* ---- Making one -------------------------------------------------------- */

static int make_bar(struct bk__virtio *virtio, unsigned index, const char *name, uint64_t size)
{
	struct bk_domain *domain = bk_space_domain(bk__device_dma_bus(virtio->dma));

	virtio->bars[index] = bk_space_create(domain, name, size - 1);
	return virtio->bars[index] ? 0 : -ENOMEM;
}

static int add_regions(struct bk__virtio *virtio)
{
	static const struct bk_region_ops ops = { .read = msix_read, .write = msix_write };
	const struct bk_region_desc msix = { .name = "MSI-X", .last = MSIX_SIZE - 1, .ops = &ops };
	struct bk_update *update = bk_update_begin(bk_space_domain(bk__device_dma_bus(virtio->dma)));

	bk__virtio_legacy_add(virtio, update);
	bk_update_add(update, virtio->bars[BK__VIRTIO_BAR_MSIX], &msix, NULL);
	bk__virtio_modern_add(virtio, update);
	return bk_update_commit(update, NULL);
}

static int make(struct bk__virtio *virtio)
{
	int error;

	virtio->irqs.count[BK_DEVICE_INTX] = 1;
	virtio->irqs.count[BK_DEVICE_MSIX] = 1 + virtio->type->queues;
	error = bk__device_irqs_open(&virtio->irqs);
	if (error)
		return error;
	virtio->dma = bk__device_dma_create(virtio->device.name);
	if (!virtio->dma)
		return -ENOMEM;
	error = make_bar(virtio, BK__VIRTIO_BAR_LEGACY, "legacy", virtio->type->legacy_size);
	if (!error)
		error = make_bar(virtio, BK__VIRTIO_BAR_MSIX, "msix", MSIX_SIZE);
	if (!error)
		error = make_bar(virtio, BK__VIRTIO_BAR_MODERN, "modern", BK__VIRTIO_MODERN_SIZE);
	return error ? error : add_regions(virtio);
}

int bk__virtio_create(const struct bk__virtio_type *type, void *opaque, const char *spec, uint64_t features,
		      const void *config, size_t size, bool threaded, struct bk__virtio **result,
		      struct bk_error *err)
{
	struct bk__virtio *virtio = calloc(1, sizeof(*virtio));
	int error;

	if (!virtio)
		return bk_fail(err, ENOMEM, "%s: out of memory", spec);
	virtio->device.ops = &virtio_ops;
	virtio->device.name = virtio->name = strdup(spec);
	virtio->type = type;
	virtio->opaque = opaque;
	virtio->offered = features | BK__VIRTIO_F_ANY_LAYOUT | BK__VIRTIO_F_INDIRECT_DESC |
			  BK__VIRTIO_F_EVENT_INDEX | BK__VIRTIO_F_VERSION_1;
	memcpy(virtio->type_config, config, size < BK__VIRTIO_CONFIG_MAX ? size : BK__VIRTIO_CONFIG_MAX);
	pthread_mutex_init(&virtio->config_lock, NULL);
	pthread_mutex_init(&virtio->lock, NULL);
	pthread_mutex_init(&virtio->isr_lock, NULL);
	pthread_mutex_init(&virtio->worker.lock, NULL);
	pthread_cond_init(&virtio->worker.changed, NULL);
	memset(virtio->worker.doorbells, 0xff, sizeof(virtio->worker.doorbells)); /* none */
	bk__device_irqs_init(&virtio->irqs, virtio->device.name);
	error = virtio->name ? make(virtio) : -ENOMEM;
	if (!error) {
		bk__virtio_config_build(virtio);
		bk__virtio_reset(virtio);
		error = bk__virtio_worker_start(virtio, threaded);
	}
	if (error) {
		destroy(virtio);
		return bk_fail(err, -error, "%s: %s", spec, strerror(-error));
	}
	*result = virtio;
	return 0;
}
