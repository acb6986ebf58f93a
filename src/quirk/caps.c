/* SPDX-License-Identifier: BSD-2-Clause */
/* What is read of a device before a guest has it: config space, capabilities, sizes. */
#include "quirk/stack.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/pci_regs.h"
#include "pci/chain.h"

void bk__quirk_find_caps(const struct bk_quirk *quirk, const uint8_t *config, unsigned size,
			 uint16_t *offsets)
{
	for (unsigned i = 0; i < quirk->cap_count; i++)
		offsets[i] = (uint16_t)bk__pci_chain_find(config, size, quirk->caps[i].extended,
							  quirk->caps[i].id);
}

/* Where a device has less than the 256 bytes that there are at least, the rest is 0. */
int bk__quirk_read_config(struct bk_device *device, uint8_t config[BK__PCI_CONFIG_SIZE], unsigned *size,
			  struct bk_error *err)
{
	struct bk_device_region region = { 0 };
	int r = bk_device_region(device, BK_DEVICE_CONFIG, &region);

	*size = region.size < BK__PCI_CONFIG_SIZE ? BK__PCI_EXTENDED : BK__PCI_CONFIG_SIZE;
	memset(config, 0, BK__PCI_CONFIG_SIZE);
	if (!r && region.size < BK__PCI_HEADER_END)
		r = -EINVAL;
	if (!r)
		r = bk_device_read(device, BK_DEVICE_CONFIG, 0, config,
				   region.size < *size ? (size_t)region.size : *size);
	return r < 0 ? bk_fail(err, -r, "%s: config space cannot be read: %s", device->name, strerror(-r))
		     : 0;
}

int bk__quirk_read_sizes(struct bk_device *device, uint64_t sizes[BK__SIZE_COUNT], struct bk_error *err)
{
	for (unsigned i = 0; i < BK__SIZE_COUNT; i++) {
		struct bk_device_region region = { 0 };
		int r = bk_device_region(device, i, &region);

		if (r < 0)
			return bk_fail(err, -r, "%s: region %u does not describe itself: %s", device->name, i,
				       strerror(-r));
		sizes[i] = region.size;
	}
	return 0;
}

/* Callers name what a device has by itself: BK__HOST, a BAR or the ROM. */
static unsigned region_of(enum bk__quirk_place place)
{
	return place == BK__HOST ? BK_DEVICE_CONFIG : place;
}

int bk__quirk_device_place_read(void *opaque, enum bk__quirk_place place, uint64_t offset, unsigned width,
				uint64_t *value)
{
	return bk_device_read_value(opaque, region_of(place), offset, width, value);
}

int bk__quirk_device_place_write(void *opaque, enum bk__quirk_place place, uint64_t offset, unsigned width,
				 uint64_t value)
{
	return bk_device_write_value(opaque, region_of(place), offset, width, value);
}
