/* SPDX-License-Identifier: BSD-2-Clause */
/* A device out of any text that lspci might have printed: the text up to a NUL, then what is done to the
 * device. */
#include <stdlib.h>
#include <string.h>

#include "device/context.h"
#include "device/dump.h"

#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void say(void *opaque, const char *key, const char *value)
{
	if (!*key || !value || strchr(value, '\n'))
		abort();
}

static void act(struct bk_device *device, struct input *input)
{
	unsigned what = (unsigned)take(input, 1), index = (unsigned)take(input, 1) % 10;
	struct bk_device_region region = { 0 };
	uint64_t offset = take(input, 4);
	size_t count = (size_t)take(input, 1) % 64;
	uint8_t bytes[64];
	int fds[4] = { -1, -1, -1, -1 };

	memset(bytes, (int)take(input, 1), sizeof(bytes));
	if (what % 4 == 3) {
		bk_device_set_irqs(device, index, (enum bk_device_irq_action)(what >> 4 & 3),
				   (unsigned)offset, count % 5, what & 8 ? fds : NULL);
		return;
	}
	if (what % 4 == 2) {
		bk_device_reset(device);
		return;
	}
	if (bk_device_region(device, index, &region))
		return;
	/* Offsets from the end as well: what is interesting is there. */
	if (what & 0x80)
		offset = region.size - offset % 256;
	if (what % 4)
		bk_device_write(device, index, offset, bytes, count);
	else if (!bk_device_read(device, index, offset, bytes, count) &&
		 (offset > region.size || count > region.size - offset))
		abort();
}

static void quiet(void *opaque, enum bk_log_level level, const char *line)
{
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size ? memchr(data, 0, size) : NULL;
	size_t length = end ? (size_t)(end - data) : size;
	struct input input = { data + length, size - length };
	struct bk_device *device;
	struct bk_error err = { "" };
	const char *function;

	bk_log_set(quiet, NULL);
	take(&input, 1);
	function = take(&input, 1) & 1 ? "0000:02:00.0" : NULL;
	if (bk__dump_open_text("x.txt", (const char *)data, length, function, "dump:x.txt", &device, &err)) {
		if (device || strncmp(err.text, "x.txt", 5) || strchr(err.text, '\n'))
			abort();
		return 0;
	}
	for (unsigned i = 0; i < 100 && input.size; i++)
		act(device, &input);
	bk_device_describe(device, say, NULL);
	bk_device_close(device);
	return 0;
}
