/* SPDX-License-Identifier: BSD-2-Clause */
/* What Arm's PrimeCell devices have in common: a page of registers, with identification at its end. */
#ifndef BK_MONITOR_ARM64_PRIMECELL_H
#define BK_MONITOR_ARM64_PRIMECELL_H

#include <stdint.h>

#define BK__PRIMECELL_SIZE 0x1000
#define BK__PRIMECELL_ID   0xfe0

/* The byte at `offset` from BK__PRIMECELL_ID on: `part` is the device's number, with its revision above. */
static inline uint8_t bk__monitor_primecell_id(uint32_t part, uint64_t offset)
{
	static const uint8_t cell[] = { 0x0d, 0xf0, 0x05, 0xb1 };
	const unsigned index = (unsigned)(offset - BK__PRIMECELL_ID) / 4 % 8;

	return index < 4 ? (uint8_t)(part >> 8 * index) : cell[index - 4];
}

#endif
