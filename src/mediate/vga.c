/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The legacy VGA ranges of a device that has them. Its region holds memory and
 * ports at the addresses they have in a PC (VFIO_PCI_VGA_REGION_INDEX), and so
 * does the space here; the function shows the two parts of it.
 */
#include "mediate/mediate.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/pci_regs.h"

static const struct {
	uint64_t first, size;
} ranges[] = {
	{ BK__PCI_VGA_MONO, BK__PCI_VGA_MONO_END - BK__PCI_VGA_MONO },
	{ BK__PCI_VGA_COLOR, BK__PCI_VGA_COLOR_END - BK__PCI_VGA_COLOR },
	{ BK__PCI_VGA_MEMORY, (BK__PCI_VGA_MEMORY_END - BK__PCI_VGA_MEMORY) },
};

#define RANGES (sizeof(ranges) / sizeof(ranges[0]))

bool bk__mediate_vga_has(uint64_t offset, uint64_t length)
{
	for (unsigned i = 0; i < RANGES; i++)
		if (offset >= ranges[i].first && offset - ranges[i].first < ranges[i].size)
			return length <= ranges[i].size - (offset - ranges[i].first);
	return false;
}

/* A separate space that shows a part of the whole. */
static int show(struct bk_mediator *m, unsigned index, const char *name, uint64_t first, uint64_t size)
{
	const struct bk_region_desc desc = {
		.name = name,
		.last = size - 1,
		.kind = BK_REGION_NESTED,
		.nested = m->regions[BK_DEVICE_VGA].space,
		.nested_first = first,
	};

	m->vga[index] = bk_space_create(m->domain, name, size - 1);
	return m->vga[index] ? bk_region_add(m->vga[index], &desc, NULL, NULL) : -ENOMEM;
}

int bk__mediate_vga(struct bk_mediator *m, struct bk_error *err)
{
	struct bk__mediate_region *region = &m->regions[BK_DEVICE_VGA];
	int r = bk_device_region(m->below, BK_DEVICE_VGA, &region->info);

	if (bk__load(m->config + BK__PCI_CLASS, 3) >> 8 != BK__PCI_CLASS_VGA)
		return bk_fail(err, EINVAL,
			       "%s: vga: class %06" PRIx64 " has no legacy VGA ranges, only 0300xx has",
			       m->below->name, bk__load(m->config + BK__PCI_CLASS, 3));
	if (r < 0 || region->info.size < BK__PCI_VGA_MEMORY_END)
		return bk_fail(
			err, EINVAL,
			"%s: vga: the device below offers no legacy VGA ranges (for a host device, the "
			"kernel must have VFIO_PCI_VGA, and the device must be decoding them)",
			m->below->name);
	region->size = BK__PCI_VGA_MEMORY_END;
	region->space = bk_space_create(m->domain, "vga", BK__PCI_VGA_MEMORY_END - 1);
	r = region->space ? 0 : -ENOMEM;
	for (unsigned i = 0; !r && i < RANGES; i++) {
		r = bk__mediate_bottom_add(m, BK_DEVICE_VGA, ranges[i].first, ranges[i].size,
					   BK__PRIORITY_HANDLED, BK_WIDTH_1 | BK_WIDTH_2 | BK_WIDTH_4, err);
		if (r)
			return r;
	}
	if (m->filter)
		return 0; /* the model above shows them */
	if (!r)
		r = show(m, 0, "VGA memory", BK__PCI_VGA_MEMORY,
			 (BK__PCI_VGA_MEMORY_END - BK__PCI_VGA_MEMORY));
	if (!r)
		r = show(m, 1, "VGA ports", BK__PCI_VGA_MONO, (BK__PCI_VGA_COLOR_END - BK__PCI_VGA_MONO));
	return r ? bk_fail(err, -r, "%s: vga: %s", m->below->name, strerror(-r)) : 0;
}
