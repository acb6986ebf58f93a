/* SPDX-License-Identifier: BSD-2-Clause */
/* A set of addresses as sorted ranges. */
#include "pci/ranges.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

void bk__pci_ranges_free(struct bk__pci_ranges *ranges)
{
	free(ranges->at);
	*ranges = (struct bk__pci_ranges){ 0 };
}

/* Puts `count` (0 to 2) ranges in the place of [begin, end). */
static int replace(struct bk__pci_ranges *ranges, size_t begin, size_t end,
		   const struct bk__pci_free_range *with, size_t count)
{
	if (count > end - begin && bk__array_reserve(ranges, count - (end - begin)))
		return -ENOMEM;
	if (ranges->count != end)
		memmove(ranges->at + begin + count, ranges->at + end,
			(ranges->count - end) * sizeof(*ranges->at));
	if (count)
		memcpy(ranges->at + begin, with, count * sizeof(*with));
	ranges->count += count - (end - begin);
	return 0;
}

int bk__pci_ranges_add(struct bk__pci_ranges *ranges, uint64_t first, uint64_t last)
{
	struct bk__pci_free_range whole = { first, last };
	size_t begin = 0, end;

	/* Ranges that overlap or touch become one. */
	while (begin < ranges->count && first && ranges->at[begin].last < first - 1)
		begin++;
	for (end = begin; end < ranges->count && (last == UINT64_MAX || ranges->at[end].first <= last + 1);
	     end++) {
		if (ranges->at[end].first < whole.first)
			whole.first = ranges->at[end].first;
		if (ranges->at[end].last > whole.last)
			whole.last = ranges->at[end].last;
	}
	return replace(ranges, begin, end, &whole, 1);
}

int bk__pci_ranges_remove(struct bk__pci_ranges *ranges, uint64_t first, uint64_t last)
{
	struct bk__pci_free_range rest[2];
	size_t begin = 0, end, count = 0;

	while (begin < ranges->count && ranges->at[begin].last < first)
		begin++;
	for (end = begin; end < ranges->count && ranges->at[end].first <= last; end++) {
		if (ranges->at[end].first < first)
			rest[count++] = (struct bk__pci_free_range){ ranges->at[end].first, first - 1 };
		if (ranges->at[end].last > last)
			rest[count++] = (struct bk__pci_free_range){ last + 1, ranges->at[end].last };
	}
	return begin == end ? 0 : replace(ranges, begin, end, rest, count);
}

static bool clip(const struct bk__pci_free_range *range, uint64_t least, uint64_t most,
		 struct bk__pci_free_range *clipped)
{
	clipped->first = range->first > least ? range->first : least;
	clipped->last = range->last < most ? range->last : most;
	return clipped->first <= clipped->last;
}

bool bk__pci_ranges_find(const struct bk__pci_ranges *ranges, uint64_t size, uint64_t align, uint64_t least,
			 uint64_t most, uint64_t *first)
{
	for (size_t i = 0; i < ranges->count; i++) {
		struct bk__pci_free_range range;
		uint64_t up;

		if (!clip(&ranges->at[i], least, most, &range))
			continue;
		up = (align - (range.first & (align - 1))) & (align - 1);
		if (up <= range.last - range.first && range.last - range.first - up >= size - 1) {
			*first = range.first + up;
			return true;
		}
	}
	return false;
}

uint64_t bk__pci_ranges_longest(const struct bk__pci_ranges *ranges, uint64_t least, uint64_t most)
{
	uint64_t longest = 0;

	for (size_t i = 0; i < ranges->count; i++) {
		struct bk__pci_free_range range;
		uint64_t length;

		if (!clip(&ranges->at[i], least, most, &range))
			continue;
		length = range.last - range.first + 1;
		if (!length)
			return UINT64_MAX;
		if (length > longest)
			longest = length;
	}
	return longest;
}
