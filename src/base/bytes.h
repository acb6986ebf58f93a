/* SPDX-License-Identifier: BSD-2-Clause */
/* Integers in PCI's byte order (lowest address is bits 7:0), on any host. */
#ifndef BARKEEP_BASE_BYTES_H
#define BARKEEP_BASE_BYTES_H

#include <stdbool.h>
#include <stdint.h>

/* What a register, a handler's access or a constant may have. */
static inline bool bk__is_width(uint64_t width)
{
	return width == 1 || width == 2 || width == 4 || width == 8;
}

/* `width` bytes; 1, 2, 4 and 8 are one load where the compiler sees that. */
static inline uint64_t bk__load(const void *bytes, unsigned width)
{
	const uint8_t *byte = bytes;
	uint64_t value = 0;

	switch (width) {
	case 1:
		return byte[0];
	case 2:
		return (uint64_t)(byte[0] | byte[1] << 8);
	case 4:
		return byte[0] | (uint32_t)byte[1] << 8 | (uint32_t)byte[2] << 16 | (uint32_t)byte[3] << 24;
	default:
		for (unsigned i = 0; i < width; i++)
			value |= (uint64_t)byte[i] << 8 * i;
		return value;
	}
}

static inline void bk__store(void *bytes, unsigned width, uint64_t value)
{
	uint8_t *byte = bytes;

	if (width == 4) { /* one store */
		byte[0] = (uint8_t)value;
		byte[1] = (uint8_t)(value >> 8);
		byte[2] = (uint8_t)(value >> 16);
		byte[3] = (uint8_t)(value >> 24);
		return;
	}
	for (unsigned i = 0; i < width; i++)
		byte[i] = (uint8_t)(value >> 8 * i);
}

#endif
