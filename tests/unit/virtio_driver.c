/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver's side of a virtio device, for tests. */
#include "virtio_driver.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/bytes.h"

/* ---- Memory ------------------------------------------------------------ */

/* Two bytes at once are an index of a ring, by which the rest is published. */
static int far_read(void *opaque, uint64_t offset, void *data, size_t count)
{
	uint8_t *at = ((struct driver *)opaque)->memory + offset;
	uint16_t index;

	if (count == 2 && offset % 2 == 0) {
		index = atomic_load((_Atomic uint16_t *)at);
		memcpy(data, &index, 2);
	} else {
		memcpy(data, at, count);
	}
	return 0;
}

static int far_write(void *opaque, uint64_t offset, const void *data, size_t count)
{
	uint8_t *at = ((struct driver *)opaque)->memory + offset;
	uint16_t index;

	if (count == 2 && offset % 2 == 0) {
		memcpy(&index, data, 2);
		atomic_store((_Atomic uint16_t *)at, index);
	} else {
		memcpy(at, data, count);
	}
	return 0;
}

void driver_attach(struct driver *driver, struct bk__virtio *virtio, bool far)
{
	struct bk_device_dma dma = { .iova = DRIVER_BASE,
				     .size = DRIVER_MEMORY,
				     .flags = BK_DEVICE_DMA_READ | BK_DEVICE_DMA_WRITE,
				     .fd = -1,
				     .read = far_read,
				     .write = far_write,
				     .opaque = driver };
	void *memory;

	*driver = (struct driver){ .virtio = virtio, .device = &virtio->device, .far = far };
	for (unsigned i = 0; i < 4; i++)
		driver->fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_int_equal(posix_memalign(&memory, 4096, DRIVER_MEMORY), 0);
	driver->memory = memory;
	memset(memory, 0, DRIVER_MEMORY);
	dma.vaddr = far ? NULL : memory;
	assert_int_equal(bk_device_dma_map(driver->device, &dma, NULL), 0);
	driver_command(driver, 7);
}

void driver_detach(struct driver *driver)
{
	bk_device_close(driver->device);
	for (unsigned i = 0; i < 4; i++)
		close(driver->fds[i]);
	free(driver->memory);
}

/* ---- Registers --------------------------------------------------------- */

uint64_t driver_in(struct driver *driver, unsigned bar, uint64_t offset, unsigned width)
{
	uint8_t bytes[8] = { 0 };

	assert_int_equal(bk_device_read(driver->device, bar, offset, bytes, width), 0);
	return bk__load(bytes, width);
}

void driver_out(struct driver *driver, unsigned bar, uint64_t offset, unsigned width, uint64_t value)
{
	uint8_t bytes[8];

	bk__store(bytes, width, value);
	assert_int_equal(bk_device_write(driver->device, bar, offset, bytes, width), 0);
}

void driver_command(struct driver *driver, uint16_t command)
{
	driver_out(driver, BK_DEVICE_CONFIG, 4, 2, command);
}

uint8_t driver_status(struct driver *driver)
{
	return (uint8_t)(driver->modern ? driver_in(driver, 4, 20, 1) : driver_in(driver, 0, 18, 1));
}

void driver_reset(struct driver *driver)
{
	if (driver->modern)
		driver_out(driver, 4, 20, 1, 0);
	else
		driver_out(driver, 0, 18, 1, 0);
	assert_int_equal(driver_status(driver), 0);
}

static void interrupts_on(struct driver *driver, bool msix)
{
	const unsigned vectors = 1 + driver->virtio->type->queues;

	bk_device_set_irqs(driver->device, BK_DEVICE_MSIX, BK_DEVICE_IRQ_TRIGGER, 0, 0, NULL);
	bk_device_set_irqs(driver->device, BK_DEVICE_INTX, BK_DEVICE_IRQ_TRIGGER, 0, 0, NULL);
	if (msix)
		assert_int_equal(bk_device_set_irqs(driver->device, BK_DEVICE_MSIX, BK_DEVICE_IRQ_TRIGGER, 0,
						    vectors, driver->fds),
				 0);
	else
		assert_int_equal(bk_device_set_irqs(driver->device, BK_DEVICE_INTX, BK_DEVICE_IRQ_TRIGGER, 0,
						    1, driver->fds),
				 0);
}

static void place(struct driver *driver, unsigned index, uint16_t size)
{
	struct driver_queue *queue = &driver->queues[index];

	*queue = (struct driver_queue){ .size = size, .table = 0x10000 * (uint64_t)index };
	queue->avail = queue->table + 16 * (uint64_t)size;
	queue->used = (queue->avail + 6 + 2 * (uint64_t)size + 4095) & ~(uint64_t)4095;
	memset(driver->memory + queue->table, 0, 0x10000);
}

static void start_legacy(struct driver *driver, uint64_t features, bool msix)
{
	driver_out(driver, 0, 18, 1, BK__VIRTIO_ACKNOWLEDGE | BK__VIRTIO_DRIVER);
	driver_out(driver, 0, 4, 4, driver_in(driver, 0, 0, 4) & features);
	for (unsigned i = 0; i < driver->virtio->type->queues; i++) {
		driver_out(driver, 0, 14, 2, i);
		place(driver, i, (uint16_t)driver_in(driver, 0, 12, 2));
		driver_out(driver, 0, 8, 4, (DRIVER_BASE + driver->queues[i].table) >> 12);
		if (msix)
			driver_out(driver, 0, 22, 2, i + 1);
	}
	driver_out(driver, 0, 18, 1, BK__VIRTIO_ACKNOWLEDGE | BK__VIRTIO_DRIVER | BK__VIRTIO_DRIVER_OK);
}

static void start_modern(struct driver *driver, uint64_t features, bool msix)
{
	const uint8_t status = BK__VIRTIO_ACKNOWLEDGE | BK__VIRTIO_DRIVER | BK__VIRTIO_FEATURES_OK;

	driver_out(driver, 4, 20, 1, BK__VIRTIO_ACKNOWLEDGE | BK__VIRTIO_DRIVER);
	for (unsigned i = 0; i < 2; i++) {
		driver_out(driver, 4, 0, 4, i);
		driver_out(driver, 4, 8, 4, i);
		driver_out(driver, 4, 12, 4, driver_in(driver, 4, 4, 4) & (uint32_t)(features >> 32 * i));
	}
	driver_out(driver, 4, 20, 1, status);
	assert_int_equal(driver_status(driver), status);
	if (msix)
		driver_out(driver, 4, 16, 2, 0);
	for (unsigned i = 0; i < driver->virtio->type->queues; i++) {
		const struct driver_queue *queue = &driver->queues[i];

		place(driver, i, DRIVER_SIZE);
		driver_out(driver, 4, 22, 2, i);
		driver_out(driver, 4, 24, 2, DRIVER_SIZE);
		driver_out(driver, 4, 32, 8, DRIVER_BASE + queue->table);
		driver_out(driver, 4, 40, 4, (DRIVER_BASE + queue->avail) & UINT32_MAX);
		driver_out(driver, 4, 44, 4, 0);
		driver_out(driver, 4, 48, 8, DRIVER_BASE + queue->used);
		if (msix)
			driver_out(driver, 4, 26, 2, i + 1);
		driver_out(driver, 4, 28, 2, 1);
	}
	driver_out(driver, 4, 20, 1, status | BK__VIRTIO_DRIVER_OK);
}

void driver_start(struct driver *driver, bool modern, uint64_t features, bool msix)
{
	driver->modern = modern;
	interrupts_on(driver, msix);
	driver_reset(driver);
	if (modern)
		start_modern(driver, features | BK__VIRTIO_F_VERSION_1, msix);
	else
		start_legacy(driver, features, msix);
	assert_true(driver_status(driver) & BK__VIRTIO_DRIVER_OK);
}

/* ---- Queues ------------------------------------------------------------ */

void driver_describe_at(struct driver *driver, uint64_t table, unsigned index, uint64_t at, uint32_t length,
			uint16_t flags, uint16_t next)
{
	uint8_t *bytes = driver->memory + table + 16 * (uint64_t)index;

	bk__store(bytes, 8, DRIVER_BASE + at);
	bk__store(bytes + 8, 4, length);
	bk__store(bytes + 12, 2, flags);
	bk__store(bytes + 14, 2, next);
}

void driver_describe(struct driver *driver, unsigned queue, unsigned index, uint64_t at, uint32_t length,
		     uint16_t flags, uint16_t next)
{
	driver_describe_at(driver, driver->queues[queue].table, index, at, length, flags, next);
}

static _Atomic uint16_t *word(struct driver *driver, uint64_t offset)
{
	return (_Atomic uint16_t *)(driver->memory + offset);
}

static uint16_t little(uint16_t value)
{
	uint8_t bytes[2];

	bk__store(bytes, 2, value);
	memcpy(&value, bytes, 2);
	return value;
}

void driver_add(struct driver *driver, unsigned index, uint16_t head)
{
	struct driver_queue *queue = &driver->queues[index];

	atomic_store(word(driver, queue->avail + 4 + 2 * (queue->added % queue->size)), little(head));
	queue->added++;
	atomic_store(word(driver, queue->avail + 2), little(queue->added));
}

void driver_kick(struct driver *driver, unsigned queue)
{
	if (driver->modern)
		driver_out(driver, 4, 0x3000 + 4 * queue, 2, queue);
	else
		driver_out(driver, 0, 16, 2, queue);
	if (!driver->virtio->worker.started)
		bk__virtio_serve(driver->virtio);
}

bool driver_used(struct driver *driver, unsigned index, uint32_t *head, uint32_t *length)
{
	struct driver_queue *queue = &driver->queues[index];
	const uint8_t *entry = driver->memory + queue->used + 4 + 8 * (uint64_t)(queue->seen % queue->size);

	if (little(atomic_load(word(driver, queue->used + 2))) == queue->seen)
		return false;
	*head = (uint32_t)bk__load(entry, 4);
	*length = (uint32_t)bk__load(entry + 4, 4);
	queue->seen++;
	return true;
}

void driver_wait(struct driver *driver, unsigned queue, uint32_t *head, uint32_t *length)
{
	while (!driver_used(driver, queue, head, length)) {
		if (!driver->virtio->worker.started)
			bk__virtio_serve(driver->virtio);
		poll(NULL, 0, 1);
	}
}

/* By a second descriptor, as the device writes it: QEMU's user-mode emulation swaps the bytes of the first
 * one alone. */
uint64_t driver_interrupts(struct driver *driver, unsigned vector)
{
	const int same = fcntl(driver->fds[vector], F_DUPFD_CLOEXEC, 0);
	uint64_t count = 0;

	if (read(same, &count, sizeof(count)) < 0)
		assert_int_equal(errno, EAGAIN);
	close(same);
	return count;
}
