/* SPDX-License-Identifier: BSD-2-Clause */
/* The expansion ROM, hidden, replaced or patched. */
#include "quirk/stack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define CHUNK 65536

static int place_read(void *opaque, enum bk__quirk_place place, uint64_t offset, unsigned width,
		      uint64_t *value)
{
	const struct bk__quirk_stack *stack = opaque;

	if (place != BK__ROM)
		return bk__quirk_device_place_read(stack->below, place, offset, width, value);
	if (offset > stack->rom_size || width > stack->rom_size - offset)
		return -EINVAL;
	*value = bk__load(stack->rom + offset, width);
	return 0;
}

static int place_write(void *opaque, enum bk__quirk_place place, uint64_t offset, unsigned width,
		       uint64_t value)
{
	const struct bk__quirk_stack *stack = opaque; /* the only place that can be written */

	if (offset > stack->rom_size || width > stack->rom_size - offset)
		return -EINVAL;
	bk__store(stack->rom + offset, width, value);
	return 0;
}

/* False: there is none that can be read, which is common. */
static bool load_own(struct bk__quirk_stack *stack)
{
	const uint64_t size = stack->sizes[BK__ROM];

	if (!size || size > BK__QUIRK_ROM_MAX || !(stack->rom = malloc((size_t)size)))
		return false;
	for (uint64_t at = 0; at < size; at += CHUNK) {
		const size_t count = size - at < CHUNK ? (size_t)(size - at) : CHUNK;

		if (bk_device_read(stack->below, BK_DEVICE_ROM, at, stack->rom + at, count) < 0) {
			free(stack->rom);
			stack->rom = NULL;
			return false;
		}
	}
	stack->rom_size = size;
	return true;
}

/* PCI 3.0 6.3.1.2: byte 2 of an image is its length in units of 512 bytes; the sum of its bytes is 0. */
static void make_sum(struct bk__quirk_stack *stack, unsigned at)
{
	uint64_t length = stack->rom_size > 2 ? (uint64_t)stack->rom[2] * 512 : 0;
	uint8_t sum = 0;

	if (at >= stack->rom_size)
		return;
	if (!length || length > stack->rom_size)
		length = stack->rom_size;
	stack->rom[at] = 0;
	for (uint64_t i = 0; i < length; i++)
		sum = (uint8_t)(sum + stack->rom[i]);
	stack->rom[at] = (uint8_t)-sum;
}

int bk__quirk_edit_rom(struct bk__quirk_bound *bound, struct bk_error *err)
{
	const struct bk__quirk_rom_edit *rom = bound->quirk->rom;
	struct bk__quirk_stack *stack = bound->stack;
	struct bk__quirk_run run = {
		.width = 4,
		.options = bound->options,
		.caps = bound->host_caps,
		.sizes = stack->sizes,
		.read = place_read,
		.write = place_write,
		.opaque = stack,
	};

	if (!rom)
		return 0;
	if (rom->hide) {
		stack->rom_hidden = true;
		return 0;
	}
	if (rom->image) {
		uint8_t *copy = realloc(stack->rom, (size_t)rom->size);

		if (!copy)
			return bk_fail(err, ENOMEM, "%s: rom: out of memory", stack->below->name);
		memcpy(copy, rom->image, (size_t)rom->size);
		stack->rom = copy;
		stack->rom_size = rom->size;
		stack->rom_hidden = false;
	} else if (!stack->rom && !load_own(stack)) {
		return 0;
	}
	/* If the image is too short for what the patch reads, it is not the image that was meant. */
	if (rom->when && (!bk__quirk_item_number(rom->when, &run) || run.error))
		return 0;
	stack->rom_hidden = false;
	bk__quirk_items_write(&rom->set, &run);
	if (run.error)
		return bk_fail(err, -run.error, "%s: %s: an edit of the ROM is outside its %llu bytes",
			       stack->below->name, bound->quirk->file, (unsigned long long)stack->rom_size);
	if (rom->checksum >= 0)
		make_sum(stack, (unsigned)rom->checksum);
	return 0;
}
