/* SPDX-License-Identifier: BSD-2-Clause */
/* Replaces the C library's functions for mappings. */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE
#include <stdarg.h>
#include <sys/mman.h>

#include "wrap/maps.h"
#include "wrap/real.h"
#include "wrap/calls.h"

/* Another mapping replaced this range, or failed to. */
static inline void replaced(void *at, size_t size, const void *result)
{
	if (size && !bk__wrap_maps_outside(at, size))
		bk__wrap_maps_replaced(at, size, result == MAP_FAILED);
}

#define MMAP(name)                                                                             \
	void *name(void *at, size_t size, int prot, int flags, int fd, off_t offset)           \
	{                                                                                      \
		struct bk__wrap_file *file = flags & MAP_ANONYMOUS ? NULL : bk__wrap_find(fd); \
		void *result;                                                                  \
                                                                                               \
		if (__builtin_expect(!file && !(flags & MAP_FIXED), 1))                        \
			return bk__wrap_real.name(at, size, prot, flags, fd, offset);          \
		if (file)                                                                      \
			return bk__wrap_map(file, at, size, prot, flags, fd, offset);          \
		result = bk__wrap_real.name(at, size, prot, flags, fd, offset);                \
		replaced(at, size, result);                                                    \
		return result;                                                                 \
	}

MMAP(mmap)
MMAP(mmap64)

int munmap(void *at, size_t size)
{
	return bk__wrap_maps_outside(at, size) ? bk__wrap_real.munmap(at, size)
					       : bk__wrap_maps_unmap(at, size);
}

void *mremap(void *at, size_t size, size_t new_size, int flags, ...)
{
	va_list args;
	void *to, *result;

	va_start(args, flags);
	to = va_arg(args, void *);
	va_end(args);
	result = bk__wrap_real.mremap(at, size, new_size, flags, to);
	if (flags & MREMAP_FIXED)
		replaced(to, new_size, result);
	if (result != MAP_FAILED && !bk__wrap_maps_outside(at, size))
		bk__wrap_maps_move(at, size, result, new_size);
	return result;
}
