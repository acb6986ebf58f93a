/* SPDX-License-Identifier: BSD-2-Clause */
/* Arrays that grow, and the search in one that is in order. */
#include "base/array.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

int bk__array_grow(void **at, size_t *capacity, size_t count, size_t more, size_t element)
{
	size_t wanted = *capacity ? *capacity : 16;
	void *grown;

	if (more <= *capacity - count)
		return 0;
	if (more > SIZE_MAX / 2 / element - count)
		return -ENOMEM;
	while (wanted < count + more) /* less than twice that, and so its size in bytes is a number, too */
		wanted *= 2;
	grown = realloc(*at, wanted * element);
	if (!grown)
		return -ENOMEM;
	*at = grown;
	*capacity = wanted;
	return 0;
}

size_t bk__array_search(const void *at, size_t count, size_t element, const void *key,
			int (*is_before)(const void *element, const void *key))
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (is_before((const char *)at + middle * element, key))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}
