/* SPDX-License-Identifier: BSD-2-Clause */
/* Where RAM and the 64-bit window are, by what the CPU and the host's IOMMU allow. */
#include "monitor/layout.h"

#include <errno.h>
#include <inttypes.h>

static const struct bk_device_iova_range everything = { 0, UINT64_MAX };

static uint64_t align_up(uint64_t value, uint64_t align)
{
	return value > UINT64_MAX - align ? UINT64_MAX : (value + align - 1) / align * align;
}

/* Does [first, first + size) fit into the range, below `end`? */
static bool holds(const struct bk_device_iova_range *range, uint64_t first, uint64_t size, uint64_t end)
{
	return first >= range->first && first <= range->last && size - 1 <= range->last - first &&
	       first < end && size <= end - first;
}

/* The lowest place of RAM above 4 GiB; false if there is none. */
static bool place_high(uint64_t size, uint64_t end, const struct bk_device_iova_range *ranges, unsigned count,
		       uint64_t *at)
{
	for (unsigned i = 0; i < count; i++) {
		const uint64_t start = align_up(ranges[i].first, BK__RAM_ALIGN);

		*at = start > BK__RAM_HIGH ? start : BK__RAM_HIGH;
		if (holds(&ranges[i], *at, size, end))
			return true;
	}
	return false;
}

/* The part of a range in [first, end), and above RAM if that is in it. */
static struct bk__monitor_window clip(const struct bk_device_iova_range *range, uint64_t ram_first,
				      uint64_t ram_end, uint64_t first, uint64_t end)
{
	struct bk__monitor_window window = { range->first > first ? range->first : first,
					     range->last < end ? range->last : end - 1 };

	if (ram_first < ram_end && window.first < ram_end && window.last >= ram_first)
		window.first = ram_end;
	window.first = align_up(window.first, BK__MMIO64_ALIGN);
	return window;
}

static struct bk__monitor_window place_window(uint64_t ram_first, uint64_t ram_end, uint64_t first,
					      uint64_t end, const struct bk_device_iova_range *ranges,
					      unsigned count)
{
	struct bk__monitor_window best = { 1, 0 };

	for (unsigned i = 0; i < count; i++) {
		const struct bk__monitor_window window = clip(&ranges[i], ram_first, ram_end, first, end);

		if (window.first > window.last)
			continue;
		if (best.first > best.last || window.last - window.first > best.last - best.first)
			best = window;
	}
	return best;
}

void bk__monitor_layout_low(struct bk__monitor_ram *ram, uint64_t first, uint64_t end)
{
	ram->low = first;
	ram->high = BK__RAM_HIGH;
	ram->low_size = ram->size < end - first ? ram->size : end - first;
}

int bk__monitor_layout_plan(const struct bk__monitor_ram *ram, unsigned bits, uint64_t mmio64,
			    const struct bk_device_iova_range *ranges, unsigned count,
			    struct bk__monitor_layout *layout, struct bk_error *err)
{
	const uint64_t size = ram->size, high = size - ram->low_size;
	const uint64_t end = UINT64_C(1) << bits;
	/* Page tables of four levels reach 48 bits, whatever the CPU says. */
	const uint64_t window_end = UINT64_C(1) << (bits < 48 ? bits : 48);
	const uint64_t low_end = ram->low + ram->low_size;
	uint64_t at = BK__RAM_HIGH, ram_first, ram_end;

	if (!count) {
		ranges = &everything;
		count = 1;
	}
	if (low_end > end || (high && !place_high(high, end, ranges, count, &at)))
		return bk_fail(err, EINVAL,
			       low_end <= end && place_high(high, end, &everything, 1, &at)
				       ? "guest RAM: %" PRIu64
					 " MiB do not fit into the %u bits of this CPU's addresses in one "
					 "piece between what the host's IOMMU reserves; give less --memory"
				       : "guest RAM: %" PRIu64 " MiB do not fit into the %u bits of this "
					 "CPU's addresses; give less --memory",
			       size >> 20, bits);
	layout->high = at;
	ram_first = high ? at : ram->low;
	ram_end = high ? at + high : low_end;
	layout->mmio64 = place_window(ram_first, ram_end, mmio64, window_end, ranges, count);
	if (layout->mmio64.first > layout->mmio64.last)
		layout->mmio64 = place_window(ram_first, ram_end, BK__RAM_HIGH, window_end, ranges, count);
	return 0;
}
