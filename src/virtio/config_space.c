/* SPDX-License-Identifier: BSD-2-Clause */
/* The function's config space: its header, MSI-X, and where the modern registers are (virtio 1.2, 4.1.4). */
#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/pci_regs.h"
#include "virtio/pci_device.h"

#define VENDOR   0x1af4u
#define DEVICE_0 0x0fffu /* of transitional devices: this and the type's id */
#define MSIX_PBA 0x800u

/* Of a capability of virtio */
enum {
	CFG_TYPE = 3,
	CFG_BAR = 4,
	CFG_OFFSET = 8,
	CFG_LENGTH = 12,
	CFG_SIZE = 16,
	CFG_DATA = 16, /* of the one that reaches BARs */
	CFG_MULTIPLIER = 16,
};

enum { COMMON = 1, NOTIFY = 2, ISR = 3, DEVICE = 4, ACCESS = 5 };

struct builder {
	struct bk__virtio_config *config;
	unsigned next;    /* where the next capability goes */
	uint8_t *pointer; /* what is to lead to it */
};

static uint8_t *add(struct builder *builder, uint8_t id, unsigned size)
{
	uint8_t *at = builder->config->reset + builder->next;

	*builder->pointer = (uint8_t)builder->next;
	at[0] = id;
	builder->pointer = at + 1;
	builder->next += (size + 3) & ~3u;
	return at;
}

static uint8_t *add_part(struct builder *builder, uint8_t type, unsigned size, uint32_t offset,
			 uint32_t length)
{
	uint8_t *at = add(builder, BK__PCI_CAP_VENDOR, size);

	at[2] = (uint8_t)size;
	at[CFG_TYPE] = type;
	at[CFG_BAR] = length ? BK__VIRTIO_BAR_MODERN : 0;
	bk__store(at + CFG_OFFSET, 4, offset);
	bk__store(at + CFG_LENGTH, 4, length);
	return at;
}

static void add_bar(struct bk__virtio *virtio, unsigned bar, uint64_t type, unsigned width)
{
	struct bk__virtio_config *config = &virtio->config;

	bk__store(config->reset + BK__PCI_BAR0 + 4 * bar, width, type);
	bk__store(config->write + BK__PCI_BAR0 + 4 * bar, width, ~bk_space_last(virtio->bars[bar]));
}

void bk__virtio_config_build(struct bk__virtio *virtio)
{
	struct bk__virtio_config *config = &virtio->config;
	const struct bk__virtio_type *type = virtio->type;
	struct builder builder = { .config = config,
				   .next = BK__PCI_HEADER_END,
				   .pointer = config->reset + BK__PCI_CAP_POINTER };
	uint8_t *reset = config->reset, *at;

	bk__store(reset + BK__PCI_VENDOR, 2, VENDOR);
	bk__store(reset + BK__PCI_DEVICE, 2, DEVICE_0 + type->id);
	bk__store(config->write + BK__PCI_COMMAND, 2, BK__PCI_COMMAND_WRITABLE);
	bk__store(reset + BK__PCI_STATUS, 2, BK__PCI_STATUS_CAP_LIST);
	bk__store(reset + BK__PCI_CLASS, 3, type->class_code);
	config->write[BK__PCI_CACHE_LINE] = 0xff;
	add_bar(virtio, BK__VIRTIO_BAR_LEGACY, BK__PCI_BAR_IO, 4);
	add_bar(virtio, BK__VIRTIO_BAR_MSIX, 0, 4);
	add_bar(virtio, BK__VIRTIO_BAR_MODERN, BK__PCI_BAR_TYPE_64 | BK__PCI_BAR_PREFETCHABLE, 8);
	bk__store(reset + BK__PCI_SUBSYSTEM_VENDOR, 2, VENDOR);
	bk__store(reset + BK__PCI_SUBSYSTEM, 2, type->id);
	config->write[BK__PCI_INTERRUPT_LINE] = 0xff;
	reset[BK__PCI_INTERRUPT_PIN] = 1;

	add_part(&builder, COMMON, CFG_SIZE, BK__VIRTIO_MODERN_COMMON, BK__VIRTIO_COMMON_SIZE);
	add_part(&builder, ISR, CFG_SIZE, BK__VIRTIO_MODERN_ISR, 4);
	add_part(&builder, DEVICE, CFG_SIZE, BK__VIRTIO_MODERN_CONFIG, BK__VIRTIO_CONFIG_MAX);
	at = add_part(&builder, NOTIFY, CFG_SIZE + 4, BK__VIRTIO_MODERN_NOTIFY,
		      BK__VIRTIO_NOTIFY_STEP * type->queues);
	bk__store(at + CFG_MULTIPLIER, 4, BK__VIRTIO_NOTIFY_STEP);
	config->access = builder.next;
	add_part(&builder, ACCESS, CFG_SIZE + 4, 0, 0);
	config->write[config->access + CFG_BAR] = 0xff;
	memset(config->write + config->access + CFG_OFFSET, 0xff, 8);
	at = add(&builder, BK__PCI_CAP_MSIX, BK__PCI_MSIX_SIZE);
	bk__store(at + BK__PCI_MSIX_CONTROL, 2, virtio->irqs.count[BK_DEVICE_MSIX] - 1);
	bk__store(at + BK__PCI_MSIX_TABLE, 4, BK__VIRTIO_BAR_MSIX);
	bk__store(at + BK__PCI_MSIX_PBA, 4, MSIX_PBA | BK__VIRTIO_BAR_MSIX);
	bk__store(config->write + (at - reset) + BK__PCI_MSIX_CONTROL, 2,
		  BK__PCI_MSIX_CONTROL_ENABLE | BK__PCI_MSIX_CONTROL_MASK);
	memcpy(config->bytes, reset, sizeof(config->bytes));
}

/* ---- Its registers. Under `config_lock` -------------------------------- */

static unsigned command(const struct bk__virtio *virtio)
{
	return (unsigned)bk__load(virtio->config.bytes + BK__PCI_COMMAND, 2);
}

/* Nothing is in flight when the device loses the bus; what waits in its queues goes on when it has it again.
 */
static int set_master(struct bk__virtio *virtio, bool on)
{
	int error;

	pthread_mutex_lock(&virtio->lock);
	bk__virtio_worker_park(virtio);
	error = bk__device_dma_master(virtio->dma, on);
	atomic_store(&virtio->master, on && !error);
	bk__virtio_worker_go(virtio);
	bk__virtio_kick_all(virtio);
	pthread_mutex_unlock(&virtio->lock);
	return error;
}

static int settle(struct bk__virtio *virtio, unsigned before)
{
	const unsigned now = command(virtio);

	bk__virtio_intx_disable(virtio, now & BK__PCI_COMMAND_INTX_DISABLE);
	return (before ^ now) & BK__PCI_COMMAND_MASTER ? set_master(virtio, now & BK__PCI_COMMAND_MASTER) : 0;
}

void bk__virtio_config_reset(struct bk__virtio *virtio)
{
	const unsigned before = command(virtio);

	memcpy(virtio->config.bytes, virtio->config.reset, sizeof(virtio->config.bytes));
	settle(virtio, before);
}

/* What the capability that reaches BARs points to; the width is one of those that there are. */
static struct bk_space *target(const struct bk__virtio *virtio, uint32_t *offset, unsigned *width)
{
	const uint8_t *at = virtio->config.bytes + virtio->config.access;

	*offset = (uint32_t)bk__load(at + CFG_OFFSET, 4);
	*width = (unsigned)bk__load(at + CFG_LENGTH, 4);
	if (at[CFG_BAR] >= 6 || (*width != 1 && *width != 2 && *width != 4))
		return NULL;
	return virtio->bars[at[CFG_BAR]];
}

static bool is_data(const struct bk__virtio *virtio, unsigned offset, unsigned count)
{
	const unsigned data = virtio->config.access + CFG_DATA;

	return offset < data + 4 && offset + count > data;
}

int bk__virtio_config_read(struct bk__virtio *virtio, unsigned offset, uint8_t *data, unsigned count)
{
	const uint8_t *bytes = virtio->config.bytes;
	uint32_t at;
	unsigned width;
	struct bk_space *space;
	uint64_t value = 0;

	space = is_data(virtio, offset, count) ? target(virtio, &at, &width) : NULL;
	if (space) {
		bk_space_read(space, at, width, &value);
		bk__store(virtio->config.bytes + virtio->config.access + CFG_DATA, 4, value);
	}
	memcpy(data, bytes + offset, count);
	if (offset <= BK__PCI_STATUS && offset + count > BK__PCI_STATUS && bk__virtio_isr_peek(virtio))
		data[BK__PCI_STATUS - offset] |= BK__PCI_STATUS_INTX;
	return 0;
}

int bk__virtio_config_write(struct bk__virtio *virtio, unsigned offset, const uint8_t *data, unsigned count)
{
	struct bk__virtio_config *config = &virtio->config;
	const unsigned before = command(virtio);
	struct bk_space *space;
	uint32_t at;
	unsigned width;

	for (unsigned i = 0; i < count; i++) {
		const uint8_t mask = config->write[offset + i];

		config->bytes[offset + i] = (uint8_t)((config->bytes[offset + i] & ~mask) | (data[i] & mask));
	}
	space = is_data(virtio, offset, count) ? target(virtio, &at, &width) : NULL;
	if (space && offset == config->access + CFG_DATA)
		bk_space_write(space, at, width, bk__load(data, count < width ? count : width));
	return settle(virtio, before);
}
