/* SPDX-License-Identifier: BSD-2-Clause */
/* A sim of any text, and any accesses to it: the text up to a NUL, then what is done to the device. */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "device/sim.h"

#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void say(void *opaque, const char *key, const char *value)
{
	if (!*key || !value)
		abort();
}

static void act(struct bk_device *device, struct input *input, int fd)
{
	unsigned what = (unsigned)take(input, 1), index = (unsigned)take(input, 1) % 10;
	struct bk_device_region region = { 0 };
	struct bk_device_dma dma;
	uint8_t bytes[64];
	int fds[4] = { fd, -1, fd, -1 };
	uint64_t offset;
	size_t count;

	switch (what % 8) {
	case 0:
	case 1:
	case 2:
	case 3:
		offset = take(input, 4);
		count = (size_t)take(input, 1) % sizeof(bytes);
		if (bk_device_region(device, index, &region))
			return;
		/* Offsets from the end as well: what is interesting is there. */
		if (what & 0x80)
			offset = region.size - offset % 256;
		memset(bytes, (int)take(input, 1), sizeof(bytes));
		if (what % 2)
			bk_device_write(device, index, offset, bytes, count);
		else if (!bk_device_read(device, index, offset, bytes, count) &&
			 (offset > region.size || count > region.size - offset))
			abort();
		break;
	case 4:
		bk_device_set_irqs(device, index, (enum bk_device_irq_action)(what >> 4 & 3),
				   (unsigned)take(input, 2), (unsigned)take(input, 1) % 5,
				   what & 8 ? fds : NULL);
		break;
	case 5:
		bk_device_reset(device);
		break;
	case 6:
		dma = (struct bk_device_dma){ .iova = take(input, 3) << 8,
					      .size = take(input, 2) << 8,
					      .fd = -1 };
		bk_device_dma_map(device, &dma, NULL);
		break;
	default:
		offset = take(input, 3) << 8;
		bk_device_dma_unmap(device, offset, take(input, 2) << 8);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size ? memchr(data, 0, size) : NULL;
	size_t length = end ? (size_t)(end - data) : size;
	struct input input = { data + length, size - length };
	struct bk_device *device;
	struct bk_error err = { "" };
	int fd;

	if (bk__sim_open_text("x.yaml", (const char *)data, length, "sim:x.yaml", &device, &err)) {
		if (device || strncmp(err.text, "x.yaml", 6) || strchr(err.text, '\n'))
			abort();
		return 0;
	}
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	take(&input, 1);
	for (unsigned i = 0; i < 200 && input.size; i++)
		act(device, &input, fd);
	bk_device_describe(device, say, NULL);
	bk_device_close(device);
	close(fd);
	return 0;
}
