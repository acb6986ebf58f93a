/* SPDX-License-Identifier: BSD-2-Clause */
/* A made-up device that remembers interrupts and maps, and does DMA when it is told to. */
#include "served_device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"

static const struct bk_device_ops *fake_ops;
static struct bk_device_ops ops;

static struct served_device *of(struct bk_device *device)
{
	return (struct served_device *)device;
}

void served_fence(struct served_device *device)
{
	pthread_mutex_lock(&device->fake.lock);
	pthread_mutex_unlock(&device->fake.lock);
}

/* ---- Interrupts -------------------------------------------------------- */

static int do_set_irqs(struct bk_device *base, unsigned index, enum bk_device_irq_action action,
		       unsigned start, unsigned count, const int *fds)
{
	struct served_device *device = of(base);

	if (index >= BK_DEVICE_IRQS || start + count > device->fake.irqs[index].count)
		return -EINVAL;
	if (action == BK_DEVICE_IRQ_TRIGGER && !count) {
		device->on[index] = false;
		for (unsigned i = 0; i < SERVED_VECTORS; i++)
			device->fds[index][i] = -1;
		if (index == BK_DEVICE_INTX)
			device->resample = -1;
	} else if (action == BK_DEVICE_IRQ_TRIGGER && fds) {
		device->on[index] = true;
		memcpy(&device->fds[index][start], fds, count * sizeof(*fds));
	} else if (action == BK_DEVICE_IRQ_TRIGGER) {
		if (!device->on[index])
			return -EINVAL;
		for (unsigned i = start; i < start + count; i++)
			served_fire(device, index, i);
	} else if (fds) {
		if (fds[0] >= 0 && device->resample >= 0)
			return -EBUSY; /* as the kernel */
		device->resample = fds[0];
	} else {
		device->intx_masked = action == BK_DEVICE_IRQ_MASK;
	}
	return 0;
}

void served_fire(struct served_device *device, unsigned index, unsigned vector)
{
	const uint64_t one = 1;

	if (device->fds[index][vector] >= 0 &&
	    write(device->fds[index][vector], &one, sizeof(one)) != sizeof(one))
		abort();
}

unsigned served_bound(const struct served_device *device)
{
	unsigned count = 0;

	for (unsigned index = 0; index < BK_DEVICE_IRQS; index++)
		for (unsigned i = 0; i < SERVED_VECTORS; i++)
			count += device->fds[index][i] >= 0;
	return count;
}

/* ---- DMA --------------------------------------------------------------- */

static int do_dma_map(struct bk_device *base, const struct bk_device_dma *dma, struct bk_error *err)
{
	struct served_device *device = of(base);
	void *maps = realloc(device->maps, (device->map_count + 1) * sizeof(*dma));

	if (!maps)
		abort();
	device->maps = maps;
	if (device->map_result)
		return bk_fail(err, device->map_result, "as the test wants it");
	if (device->no_messages && !dma->vaddr)
		return bk_fail(err, EINVAL, "no memory");
	device->maps[device->map_count++] = *dma;
	return 0;
}

static int do_dma_unmap(struct bk_device *base, uint64_t iova, uint64_t size)
{
	struct served_device *device = of(base);

	for (unsigned i = 0; i < device->map_count; i++) {
		if (device->maps[i].iova != iova || device->maps[i].size != size)
			continue;
		if (device->unmap_result)
			return -device->unmap_result;
		device->maps[i] = device->maps[--device->map_count];
		return 0;
	}
	return -ENOENT;
}

static int transfer(struct served_device *device, uint64_t address, void *data, bool write)
{
	for (unsigned i = 0; i < device->map_count; i++) {
		const struct bk_device_dma *map = &device->maps[i];
		const uint64_t at = address - map->iova;

		if (address < map->iova || at + 8 > map->size)
			continue;
		if (!map->vaddr)
			return write ? map->write(map->opaque, at, data, 8)
				     : map->read(map->opaque, at, data, 8);
		if (write)
			memcpy((uint8_t *)map->vaddr + at, data, 8);
		else
			memcpy(data, (uint8_t *)map->vaddr + at, 8);
		return 0;
	}
	return -EFAULT;
}

struct job {
	struct served_device *device;
	uint64_t address;
	bool write;
};

static void *do_dma(void *opaque)
{
	const struct job *job = opaque;
	uint8_t *bar = job->device->fake.bytes[0];
	const int error = transfer(job->device, job->address, bar + SERVED_VALUE, job->write);

	bk__store(bar + SERVED_RESULT, 8, (uint64_t)-error);
	return NULL;
}

static int do_write(struct bk_device *base, unsigned region, uint64_t offset, const void *data, size_t count)
{
	struct served_device *device = of(base);
	const int error = fake_ops->write(base, region, offset, data, count);
	struct job job = { device, 0, offset == SERVED_WRITE };
	pthread_t thread;

	if (error || region != 0 || offset > SERVED_WRITE || count != 8)
		return error;
	job.address = bk__load(data, 8);
	if (!bk__load(device->fake.bytes[0] + SERVED_THREAD, 8)) {
		do_dma(&job);
	} else {
		if (pthread_create(&thread, NULL, do_dma, &job))
			abort();
		pthread_join(thread, NULL);
	}
	return 0;
}

/* ---- The calls, fenced ------------------------------------------------- */

#define FENCED(call)                    \
	do {                            \
		int result;             \
                                        \
		served_fence(of(base)); \
		result = call;          \
		served_fence(of(base)); \
		return result;          \
	} while (0)

static int set_irqs(struct bk_device *base, unsigned index, enum bk_device_irq_action action, unsigned start,
		    unsigned count, const int *fds)
{
	FENCED(do_set_irqs(base, index, action, start, count, fds));
}

static int dma_map(struct bk_device *base, const struct bk_device_dma *dma, struct bk_error *err)
{
	FENCED(do_dma_map(base, dma, err));
}

static int dma_unmap(struct bk_device *base, uint64_t iova, uint64_t size)
{
	FENCED(do_dma_unmap(base, iova, size));
}

static int write_(struct bk_device *base, unsigned region, uint64_t offset, const void *data, size_t count)
{
	FENCED(do_write(base, region, offset, data, count));
}

static int reset(struct bk_device *base)
{
	FENCED(fake_ops->reset(base));
}

static int doorbells(struct bk_device *base, bk_device_doorbell_fn *visit, void *opaque)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct bk_device_doorbell doorbell = {
			.struct_size = sizeof(doorbell), .offset = SERVED_BELL, .width = 2, .value = i
		};

		if (of(base)->bells[i] != -2)
			visit(opaque, &doorbell);
	}
	return 0;
}

static int ioeventfd(struct bk_device *base, unsigned region, uint64_t offset, unsigned width, uint64_t value,
		     int fd)
{
	int error = 0;

	served_fence(of(base));
	if (region || offset != SERVED_BELL || width != 2 || value > 1 || of(base)->bells[value] == -2)
		error = -ENOTTY;
	else if (fd >= 0 && of(base)->bells[value] >= 0)
		error = -EEXIST;
	else
		of(base)->bells[value] = fd;
	served_fence(of(base));
	return error;
}

void served_init(struct served_device *device)
{
	memset(device, 0, sizeof(*device));
	fake_init(&device->fake);
	fake_ops = device->fake.device.ops;
	ops = *fake_ops;
	ops.set_irqs = set_irqs;
	ops.dma_map = dma_map;
	ops.dma_unmap = dma_unmap;
	ops.write = write_;
	ops.reset = reset;
	ops.doorbells = doorbells;
	ops.ioeventfd = ioeventfd;
	device->fake.device.ops = &ops;
	device->fake.irqs[BK_DEVICE_INTX].flags = BK_DEVICE_IRQ_MASKABLE | BK_DEVICE_IRQ_AUTOMASKED;
	device->fake.irqs[BK_DEVICE_ERR].count = device->fake.irqs[BK_DEVICE_REQ].count = 1;
	device->bells[0] = device->bells[1] = -2;
	fake_bar(&device->fake, 0, 0, 0x1000, false);
	memset(device->fake.bytes[0], 0, 64);
	fake_bar(&device->fake, 2, 0, 0x4000, true);
	device->resample = -1;
	for (unsigned index = 0; index < BK_DEVICE_IRQS; index++)
		for (unsigned i = 0; i < SERVED_VECTORS; i++)
			device->fds[index][i] = -1;
}

void served_done(struct served_device *device)
{
	fake_done(&device->fake);
	free(device->maps);
}
