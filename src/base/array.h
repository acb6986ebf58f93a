/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arrays that grow, and the search in one that is in order.
 *
 *     BK__ARRAY(struct range) ranges;             zeros: it is empty
 *
 *     if (bk__array_reserve(&ranges, 1))
 *             return -ENOMEM;                     what is there stays
 *     ranges.at[ranges.count++] = range;
 *
 * It keeps its memory when `count` becomes 0; free(ranges.at) ends it.
 */
#ifndef BARKEEP_BASE_ARRAY_H
#define BARKEEP_BASE_ARRAY_H

#include <stddef.h>
#include <string.h>

#define BK__ARRAY(type)                 \
	struct {                        \
		type *at;               \
		size_t count, capacity; \
	}

/* Makes room for `more` elements. 0 or -ENOMEM. */
#define bk__array_reserve(array, more)                                                               \
	((more) <= (array)->capacity - (array)->count                                                \
		 ? 0                                                                                 \
		 : bk__array_grow((void **)&(array)->at, &(array)->capacity, (array)->count, (more), \
				  sizeof(*(array)->at)))
int bk__array_grow(void **at, size_t *capacity, size_t count, size_t more, size_t element);

/* The same where it is known that there is none. */
#define bk__array_enlarge(array, more)                                                    \
	bk__array_grow((void **)&(array)->at, &(array)->capacity, (array)->count, (more), \
		       sizeof(*(array)->at))

/* Puts an element in at `index`; there has to be room. */
#define bk__array_insert(array, index, element)                      \
	(memmove((array)->at + (index) + 1, (array)->at + (index),   \
		 ((array)->count - (index)) * sizeof(*(array)->at)), \
	 (array)->at[index] = (element), (array)->count++)

/* Takes the element at `index` out; those behind it move up. */
#define bk__array_remove(array, index)                                   \
	(memmove((array)->at + (index), (array)->at + (index) + 1,       \
		 ((array)->count - 1 - (index)) * sizeof(*(array)->at)), \
	 (array)->count--)

/* The index of the first element that `is_before` does not put before the key; `count` if it puts all there.
 */
size_t bk__array_search(const void *at, size_t count, size_t element, const void *key,
			int (*is_before)(const void *element, const void *key));

#endif
