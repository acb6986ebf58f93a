/* SPDX-License-Identifier: BSD-2-Clause */
/* Which part of a mapped range can be given to KVM or an IOMMU: whole pages, with guest and host
 * addresses congruent. */
#ifndef BK_MONITOR_PAGES_H
#define BK_MONITOR_PAGES_H

#include <barkeep/space.h>

#define BK__PAGE UINT64_C(4096)

struct bk__monitor_pages {
	uint64_t gpa, size; /* whole pages of the guest; size 0: nothing fits */
	uint64_t skip;      /* bytes of the region before `gpa` */
	uint64_t host;      /* the host's address of `gpa` */
	uint64_t left_out;  /* pages that the range touches and that did not fit */
};

/* Ranges that end at 2^64 - 1 are fine. */
static inline struct bk__monitor_pages bk__monitor_pages_fit(const struct bk_flat *flat)
{
	const uint64_t touched = flat->last / BK__PAGE - flat->first / BK__PAGE + 1;
	const uint64_t head = -flat->first % BK__PAGE; /* bytes before the first page boundary */
	struct bk__monitor_pages pages = { .left_out = touched };

	if (!flat->memory || head > flat->last - flat->first)
		return pages;
	pages.gpa = flat->first + head;
	pages.skip = flat->offset + head;
	pages.host = (uint64_t)(uintptr_t)flat->memory->host + pages.skip;
	if (pages.host % BK__PAGE == 0)
		pages.size = (flat->last - pages.gpa + 1) / BK__PAGE * BK__PAGE;
	pages.left_out = touched - pages.size / BK__PAGE;
	return pages;
}

#endif
