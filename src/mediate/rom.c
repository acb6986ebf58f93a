/* SPDX-License-Identifier: BSD-2-Clause */
/* The expansion ROM: the user's image or the device's own, read once. */
#include "mediate/mediate.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ROM_MIN 2048                 /* PCI 3.0 6.2.5.2: the address starts at bit 11 */
#define ROM_MAX ((uint64_t)16 << 20) /* and 16 MiB is the most a device may ask for */
#define CHUNK   65536

static int device_image(struct bk_mediator *m, uint8_t *image, uint64_t size)
{
	for (uint64_t at = 0; at < size; at += CHUNK) {
		size_t count = size - at < CHUNK ? (size_t)(size - at) : CHUNK;
		int r = bk_device_read(m->below, BK_DEVICE_ROM, at, image + at, count);

		if (r < 0)
			return r;
	}
	return 0;
}

int bk__mediate_rom(struct bk_mediator *m, const struct bk_mediator_options *options, struct bk_error *err)
{
	struct bk__mediate_region *region = &m->regions[BK_DEVICE_ROM];
	uint64_t length = region->info.size, size = ROM_MIN;

	if (options->rom_off)
		return 0;
	if (options->rom_image) {
		length = options->rom_size;
		if (!length || length > ROM_MAX)
			return bk_fail(err, EINVAL, "%s: a ROM image of %" PRIu64 " bytes (1 byte to 16 MiB)",
				       m->below->name, length);
	}
	if (!length)
		return 0;
	if (length > ROM_MAX) {
		bk_log(BK_LOG_WARNING, "%s: the ROM says it is %" PRIu64 " bytes (16 MiB at most): not shown",
		       m->below->name, length);
		return 0;
	}
	while (size < length)
		size <<= 1;
	m->rom = malloc(size);
	if (!m->rom)
		return bk_fail(err, ENOMEM, "%s: rom: out of memory", m->below->name);
	memset(m->rom, 0xff, size);
	if (options->rom_image) {
		memcpy(m->rom, options->rom_image, length);
	} else {
		int r = device_image(m, m->rom, length);

		if (r) {
			/* Common: many functions have the register and no chip. */
			bk_log(BK_LOG_INFO, "%s: the ROM cannot be read (%s): not shown", m->below->name,
			       strerror(-r));
			return 0;
		}
	}
	region->space = bk_space_create(m->domain, "rom", size - 1);
	if (!region->space)
		return bk_fail(err, ENOMEM, "%s: rom: out of memory", m->below->name);
	region->size = size;
	return bk__mediate_bottom_add(m, BK_DEVICE_ROM, 0, size, BK__PRIORITY_HANDLED, BK_WIDTH_ALL, err);
}
