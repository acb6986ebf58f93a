/* SPDX-License-Identifier: BSD-2-Clause */
/* A sim for a test: opened from text or an example, and read and written by value. */
#ifndef TESTS_SIM_DEVICE_H
#define TESTS_SIM_DEVICE_H

#include <stdio.h>
#include <string.h>

#include "device/sim.h"

#define HEAD "name: x\nvendor: 0x1234\ndevice: 0x11e8\nclass: 0xff0000\n"

static inline struct bk_device *open_text(const char *text)
{
	struct bk_device *device = NULL;
	struct bk_error err = { "" };

	if (bk__sim_open_text("x.yaml", text, strlen(text), "sim:x.yaml", &device, &err))
		fail_msg("%s", err.text);
	return device;
}

static inline struct bk_device *open_example(const char *name)
{
	struct bk_device_context *context = bk_device_context_create();
	struct bk_device *device = NULL;
	struct bk_error err = { "" };
	char spec[512];

	snprintf(spec, sizeof(spec), "sim:%s/%s", EXAMPLES, name);
	if (bk_device_open(context, spec, &device, &err))
		fail_msg("%s", err.text);
	bk_device_context_destroy(context);
	return device;
}

static inline uint64_t get(struct bk_device *device, unsigned region, uint64_t offset, unsigned width)
{
	uint8_t bytes[8];
	uint64_t value = 0;

	assert_int_equal(bk_device_read(device, region, offset, bytes, width), 0);
	for (unsigned i = 0; i < width; i++)
		value |= (uint64_t)bytes[i] << 8 * i;
	return value;
}

static inline void put(struct bk_device *device, unsigned region, uint64_t offset, uint64_t value,
		       unsigned width)
{
	uint8_t bytes[8];

	for (unsigned i = 0; i < width; i++)
		bytes[i] = (uint8_t)(value >> 8 * i);
	assert_int_equal(bk_device_write(device, region, offset, bytes, width), 0);
}

#endif
