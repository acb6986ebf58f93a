/* SPDX-License-Identifier: BSD-2-Clause */
/* A device made up by a test. */
#include "base/bytes.h"
#include "fake_device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct fake *of(struct bk_device *device)
{
	return (struct fake *)device;
}

static int info(struct bk_device *device, struct bk_device_info *info)
{
	*info = of(device)->info;
	return 0;
}

static int region(struct bk_device *device, unsigned index, struct bk_device_region *region)
{
	if (index >= BK_DEVICE_REGIONS)
		return -EINVAL;
	*region = of(device)->regions[index];
	return 0;
}

static int areas(struct bk_device *device, unsigned index, bool all, bk_device_area_fn *visit, void *opaque)
{
	for (unsigned i = 0; index < BK_DEVICE_REGIONS && i < of(device)->areas[index].count; i++)
		visit(opaque, &of(device)->areas[index].at[i]);
	return 0;
}

static int irq(struct bk_device *device, unsigned index, struct bk_device_irq *irq)
{
	if (index >= BK_DEVICE_IRQS)
		return -EINVAL;
	*irq = of(device)->irqs[index];
	return 0;
}

static void record(struct fake *fake, unsigned region, uint64_t offset, size_t count, bool write,
		   const void *data)
{
	struct fake_access *access;

	if (fake->accesses < FAKE_ACCESSES) {
		access = &fake->access[fake->accesses++];
		*access = (struct fake_access){ region, offset, count, write, 0 };
		access->value = bk__load(data, count < 8 ? (unsigned)count : 8);
	}
}

static int transfer(struct fake *fake, unsigned region, uint64_t offset, void *data, size_t count, bool write)
{
	uint8_t *bytes;

	if (region >= BK_DEVICE_REGIONS || offset > fake->regions[region].size ||
	    count > fake->regions[region].size - offset)
		return -EINVAL;
	if (region == BK_DEVICE_CONFIG ? fake->config_fail : fake->fail)
		return -(region == BK_DEVICE_CONFIG ? fake->config_fail : fake->fail);
	bytes = fake->bytes[region];
	if (region == BK_DEVICE_CONFIG && write) {
		fake->config_writes++;
		fake->config_write = (struct fake_access){ region, offset, count, true, 0 };
		fake->config_write.value = bk__load(data, count < 8 ? (unsigned)count : 8);
		/* STATUS clears what is written as 1. */
		for (size_t i = 0; i < count; i++) {
			if (offset + i == 6 || offset + i == 7)
				bytes[offset + i] &= (uint8_t) ~((uint8_t *)data)[i];
			else
				bytes[offset + i] = ((uint8_t *)data)[i];
		}
	} else if (write && bytes) {
		memcpy(bytes + offset, data, count);
	} else if (!write && bytes) {
		memcpy(data, bytes + offset, count);
	} else if (!write) {
		memset(data, 0, count);
	}
	if (region != BK_DEVICE_CONFIG)
		record(fake, region, offset, count, write, data);
	return 0;
}

static int locked_transfer(struct bk_device *device, unsigned region, uint64_t offset, void *data,
			   size_t count, bool write)
{
	struct fake *fake = of(device);
	int r;

	pthread_mutex_lock(&fake->lock);
	r = transfer(fake, region, offset, data, count, write);
	pthread_mutex_unlock(&fake->lock);
	return r;
}

static int read_(struct bk_device *device, unsigned region, uint64_t offset, void *data, size_t count)
{
	return locked_transfer(device, region, offset, data, count, false);
}

static int write_(struct bk_device *device, unsigned region, uint64_t offset, const void *data, size_t count)
{
	return locked_transfer(device, region, offset, (void *)data, count, true);
}

static int reset(struct bk_device *device)
{
	struct fake *fake = of(device);

	fake->resets++;
	if (!fake->reset_result)
		fake_put(fake, 4, 2, 0);
	return fake->reset_result;
}

static int host_config(struct bk_device *device, void *data, size_t count)
{
	const struct fake *fake = of(device);
	int have = fake->host_config_size;

	if (!fake->host_config)
		return have < 0 ? have : -EOPNOTSUPP;
	have = have > (int)count ? (int)count : have;
	memcpy(data, fake->host_config, have < 0 ? 0 : (size_t)have);
	return have;
}

static void describe(struct bk_device *device, void (*say)(void *opaque, const char *key, const char *value),
		     void *opaque)
{
	say(opaque, "made up by", "a test");
}

static void close_(struct bk_device *device)
{
	of(device)->closed = true;
}

static const struct bk_device_ops ops = {
	.info = info,
	.region = region,
	.irq = irq,
	.read = read_,
	.write = write_,
	.reset = reset,
	.areas = areas,
	.host_config = host_config,
	.describe = describe,
	.close = close_,
};

void fake_put(struct fake *fake, unsigned offset, unsigned width, uint64_t value)
{
	for (unsigned i = 0; i < width; i++)
		fake->config[offset + i] = (uint8_t)(value >> 8 * i);
}

uint64_t fake_get(const struct fake *fake, unsigned offset, unsigned width)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < width; i++)
		value |= (uint64_t)fake->config[offset + i] << 8 * i;
	return value;
}

void fake_init(struct fake *fake)
{
	memset(fake, 0, sizeof(*fake));
	fake->device.ops = &ops;
	fake->device.name = "fake";
	pthread_mutex_init(&fake->lock, NULL);
	fake->info = (struct bk_device_info){ .flags = BK_DEVICE_CAN_RESET,
					      .regions = BK_DEVICE_REGIONS,
					      .irqs = BK_DEVICE_IRQS };
	for (unsigned i = 0; i < BK_DEVICE_REGIONS; i++)
		fake->regions[i].fd = -1;
	fake->regions[BK_DEVICE_CONFIG].flags = BK_DEVICE_READ | BK_DEVICE_WRITE;
	fake->regions[BK_DEVICE_CONFIG].size = 4096;
	fake->bytes[BK_DEVICE_CONFIG] = fake->config;
	fake->irqs[BK_DEVICE_INTX].count = 1;
	fake->irqs[BK_DEVICE_MSI].count = 32;
	fake->irqs[BK_DEVICE_MSIX].count = 2048;
	fake_put(fake, 0x00, 4, 0x56781234);
	fake_put(fake, 0x08, 4, 0x0200a105); /* class 0200a1, revision 05 */
	fake_put(fake, 0x2c, 4, 0xbeefcafe);
	fake_put(fake, 0x3d, 1, 1);
}

void fake_done(struct fake *fake)
{
	for (unsigned i = 0; i < BK_DEVICE_CONFIG; i++) {
		if (fake->bytes[i] && fake->regions[i].fd >= 0) {
			munmap(fake->bytes[i], fake->regions[i].size);
			close(fake->regions[i].fd);
		} else {
			free(fake->bytes[i]);
		}
	}
	pthread_mutex_destroy(&fake->lock);
}

static uint8_t pattern(uint64_t offset)
{
	return (uint8_t)(offset * 7 + offset / 256);
}

uint64_t fake_pattern(uint64_t offset, unsigned width)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < width; i++)
		value |= (uint64_t)pattern(offset + i) << 8 * i;
	return value;
}

void fake_bar(struct fake *fake, unsigned bar, unsigned low, uint64_t size, bool mapped)
{
	struct bk_device_region *region = &fake->regions[bar];

	fake_put(fake, 0x10 + 4 * bar, 4, low);
	region->flags = BK_DEVICE_READ | BK_DEVICE_WRITE;
	region->size = size;
	if (mapped) {
		uint64_t file = (size + 4095) & ~(uint64_t)4095;

		region->flags |= BK_DEVICE_MMAP;
		region->fd_offset = 0x3000;
		region->fd = memfd_create("fake", MFD_CLOEXEC);
		if (region->fd < 0 || ftruncate(region->fd, (off_t)(file + region->fd_offset)))
			abort();
		fake->areas[bar].count = 1;
		fake->areas[bar].at[0].size = file;
		fake->bytes[bar] = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, region->fd,
					(off_t)region->fd_offset);
		if (fake->bytes[bar] == MAP_FAILED)
			abort();
	} else {
		fake->bytes[bar] = malloc(size);
		if (!fake->bytes[bar])
			abort();
	}
	for (uint64_t i = 0; i < size; i++)
		fake->bytes[bar][i] = pattern(i);
}

void fake_msix(struct fake *fake, unsigned offset, unsigned next, unsigned vectors, uint32_t table,
	       uint32_t pba)
{
	fake_put(fake, 6, 2, 0x10);
	fake_put(fake, offset, 4, 0x11 | next << 8 | (vectors - 1) << 16);
	fake_put(fake, offset + 4, 4, table);
	fake_put(fake, offset + 8, 4, pba);
}
