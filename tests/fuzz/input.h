/* SPDX-License-Identifier: BSD-2-Clause */
/* The bytes of a fuzz input, taken as numbers. */
#ifndef BK_FUZZ_INPUT_H
#define BK_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>

struct input {
	const uint8_t *data;
	size_t size;
};

/* The next `width` bytes as a number; zero after the end. */
static inline uint64_t take(struct input *input, unsigned width)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < width && input->size; i++) {
		value |= (uint64_t)*input->data++ << 8 * i;
		input->size--;
	}
	return value;
}

#endif
