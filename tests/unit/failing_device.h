/* SPDX-License-Identifier: BSD-2-Clause */
/* A made-up device of which one call fails, the one that a test chooses by its number. After fake_device.h.
 */
#ifndef BARKEEP_TEST_FAILING_DEVICE_H
#define BARKEEP_TEST_FAILING_DEVICE_H

#include <errno.h>

#include "fake_device.h"

static struct {
	const struct bk_device_ops *real;
	struct bk_device_ops ops;
	unsigned until; /* that many calls from now one fails; 0: none */
	bool failed;    /* it did */
} calls;

static inline bool call_fails(void)
{
	if (!calls.until || --calls.until)
		return false;
	calls.failed = true;
	return true;
}

static inline int failing_info(struct bk_device *device, struct bk_device_info *info)
{
	return call_fails() ? -EIO : calls.real->info(device, info);
}

static inline int failing_region(struct bk_device *device, unsigned index, struct bk_device_region *region)
{
	return call_fails() ? -EIO : calls.real->region(device, index, region);
}

static inline int failing_irq(struct bk_device *device, unsigned index, struct bk_device_irq *irq)
{
	return call_fails() ? -EIO : calls.real->irq(device, index, irq);
}

static inline int failing_read(struct bk_device *device, unsigned region, uint64_t offset, void *data,
			       size_t count)
{
	return call_fails() ? -EIO : calls.real->read(device, region, offset, data, count);
}

static inline int failing_write(struct bk_device *device, unsigned region, uint64_t offset, const void *data,
				size_t count)
{
	return call_fails() ? -EIO : calls.real->write(device, region, offset, data, count);
}

static inline int failing_reset(struct bk_device *device)
{
	return call_fails() ? -EIO : calls.real->reset(device);
}

/* After fake_init. `until`: which call fails, from 1. */
static inline void calls_fail(struct fake *fake, unsigned until)
{
	calls.real = fake->device.ops;
	calls.ops = *calls.real;
	calls.ops.info = failing_info;
	calls.ops.region = failing_region;
	calls.ops.irq = failing_irq;
	calls.ops.read = failing_read;
	calls.ops.write = failing_write;
	calls.ops.reset = failing_reset;
	calls.until = until;
	calls.failed = false;
	fake->device.ops = &calls.ops;
}

#endif
