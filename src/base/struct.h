/* SPDX-License-Identifier: BSD-2-Clause */
/* Converts structs of a caller that was built with another release; they begin with `struct_size`
 * (barkeep/base.h). */
#ifndef BARKEEP_BASE_STRUCT_H
#define BARKEEP_BASE_STRUCT_H

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* How much of the struct at `caller` there is. All structs are still as release 0.1 has them. */
static inline size_t bk__struct_size(const void *caller, size_t size)
{
	size_t theirs;

	memcpy(&theirs, caller, sizeof(theirs));
	return theirs < sizeof(theirs) ? size : theirs;
}

/* A caller's struct into ours, of `size` bytes; members that it does not have become 0. -E2BIG: it has one
 * that we do not know, and uses it. */
static inline int bk__struct_take(void *ours, size_t size, const void *caller)
{
	const size_t theirs = bk__struct_size(caller, size);
	const unsigned char *bytes = caller;

	for (size_t i = size; i < theirs; i++)
		if (bytes[i])
			return -E2BIG;
	memset(ours, 0, size);
	memcpy(ours, caller, theirs < size ? theirs : size);
	memcpy(ours, &size, sizeof(size));
	return 0;
}

/* Ours, of `size` bytes, into a caller's, as far as it goes. */
static inline void bk__struct_give(void *caller, const void *ours, size_t size)
{
	const size_t theirs = bk__struct_size(caller, size);
	const size_t given = theirs < size ? theirs : size;

	memcpy((char *)caller + sizeof(size_t), (const char *)ours + sizeof(size_t), given - sizeof(size_t));
}

#endif
