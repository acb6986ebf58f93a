/* SPDX-License-Identifier: BSD-2-Clause */
/* What an access without the user's traps does: the device, the function or the ROM's image answers. */
#include "mediate/mediate.h"

#include <errno.h>

#include "base/bytes.h"

static bool is_access(struct bk_mediator *m, unsigned region, uint64_t offset, unsigned width)
{
	uint64_t size;

	if (!bk__is_width(width))
		return false;
	if (region >= BK__SPACES)
		return true;
	if (!m->regions[region].space)
		return false;
	size = m->regions[region].page ? m->regions[region].page : m->regions[region].size;
	return size >= width && offset <= size - width;
}

/* Who answers an access to a BAR where there is no trap. */
enum owner { DEVICE, NOBODY, MSIX, SEVERAL };

/*
 * The function answers for the MSI-X table and PBA: the device's own hold what the host wrote. Nobody answers
 * past the end of the device's BAR.
 */
static enum owner owner_of(const struct bk_mediator *m, unsigned region, uint64_t offset, unsigned width,
			   const struct bk_region_desc **msix)
{
	const uint64_t last = offset + width - 1, size = m->regions[region].info.size;

	for (unsigned i = 0; i < 2; i++) {
		const struct bk_region_desc *desc = &m->msix[i];

		if (!desc->ops || m->msix_bar[i] != region || offset > desc->last || last < desc->first)
			continue;
		*msix = desc;
		return offset < desc->first || last > desc->last ? SEVERAL : MSIX;
	}
	if (last < size)
		return DEVICE;
	return offset < size ? SEVERAL : NOBODY;
}

bool bk__mediate_device_has(const struct bk_mediator *m, unsigned bar, uint64_t offset, unsigned width)
{
	const struct bk_region_desc *msix;

	return owner_of(m, bar, offset, width, &msix) == DEVICE;
}

static int halves_read(struct bk_mediator *m, unsigned region, uint64_t offset, unsigned width,
		       uint64_t *value)
{
	uint64_t high;
	int r = bk_mediator_below_read(m, region, offset, width / 2, value);

	if (!r)
		r = bk_mediator_below_read(m, region, offset + width / 2, width / 2, &high);
	if (!r)
		*value |= high << 4 * width;
	return r;
}

int bk_mediator_below_read(struct bk_mediator *m, unsigned region, uint64_t offset, unsigned width,
			   uint64_t *value)
{
	const struct bk_region_desc *msix;

	*value = UINT64_MAX;
	if (!is_access(m, region, offset, width))
		return -EINVAL;
	if (region == BK_DEVICE_CONFIG)
		return bk__mediate_config_read(m, offset, width, value);
	if (region == BK_DEVICE_ROM && m->rom) {
		*value = bk__load(m->rom + offset, width);
		return 0;
	}
	if (region >= BK__SPACES)
		return bk_device_read_value(m->below, region, offset, width, value);
	switch (owner_of(m, region, offset, width, &msix)) {
	case DEVICE:
		return bk_device_read_value(m->below, region, offset, width, value);
	case MSIX:
		return msix->ops->read(msix->opaque, offset - msix->first + msix->base, width, value);
	case SEVERAL:
		return halves_read(m, region, offset, width, value);
	case NOBODY:
		break;
	}
	*value = UINT64_MAX >> (64 - 8 * width);
	return 0;
}

int bk_mediator_below_write(struct bk_mediator *m, unsigned region, uint64_t offset, unsigned width,
			    uint64_t value)
{
	const struct bk_region_desc *msix;
	int r, other;

	if (!is_access(m, region, offset, width))
		return -EINVAL;
	if (region == BK_DEVICE_CONFIG)
		return bk__mediate_config_write(m, offset, width, value);
	if (region == BK_DEVICE_ROM)
		return 0; /* read only: dropped, as by hardware */
	if (region >= BK__SPACES)
		return bk_device_write_value(m->below, region, offset, width, value);
	switch (owner_of(m, region, offset, width, &msix)) {
	case DEVICE:
		return bk_device_write_value(m->below, region, offset, width, value);
	case MSIX:
		return msix->ops->write(msix->opaque, offset - msix->first + msix->base, width, value);
	case SEVERAL: /* if one half fails, the other is still written */
		r = bk_mediator_below_write(m, region, offset, width / 2, value);
		other = bk_mediator_below_write(m, region, offset + width / 2, width / 2, value >> 4 * width);
		return r ? r : other;
	case NOBODY:
		break;
	}
	return 0;
}
