/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Structs of the public API that begin with their size: what the caller's
 * version of one has is copied, the rest is zero.
 */
#ifndef BARKEEP_BASE_SIZED_H
#define BARKEEP_BASE_SIZED_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/*
 * Copies a struct of `from_size` bytes, or of `size` if that is 0, into one of `size` bytes. False if the
 * longer one sets what the shorter one has not.
 */
static inline bool bk__sized_copy(void *to, size_t size, const void *from, size_t from_size)
{
	const unsigned char *bytes = (const unsigned char *)from;
	size_t known = from_size && from_size < size ? from_size : size;

	memcpy(to, from, known);
	memset((unsigned char *)to + known, 0, size - known);
	for (size_t i = size; i < from_size; i++)
		if (bytes[i])
			return false;
	return true;
}

#endif
