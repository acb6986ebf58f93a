/* SPDX-License-Identifier: BSD-2-Clause */
/* In place of the C library's: mappings. */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include "wrap/maps.h"
#include "wrap/real.h"
#include "wrap/vfio.h"

/* What is mapped over a device is forgotten before, so that nobody else's is who gets the addresses later. */
static inline void make_room(const void *at, size_t size, int flags)
{
	if (flags & MAP_FIXED && size && !bk__wrap_maps_outside(at, size))
		bk__wrap_maps_remove(at, size);
}

#define MMAP(name)                                                                    \
	void *name(void *at, size_t size, int prot, int flags, int fd, off_t offset)  \
	{                                                                             \
		struct bk__wrap_file *file;                                           \
                                                                                      \
		make_room(at, size, flags);                                           \
		file = flags & MAP_ANONYMOUS ? NULL : bk__wrap_find(fd);              \
		if (__builtin_expect(!file, 1))                                       \
			return bk__wrap_real.name(at, size, prot, flags, fd, offset); \
		return bk__wrap_map(file, at, size, prot, flags, fd, offset);         \
	}

MMAP(mmap)
MMAP(mmap64)

int munmap(void *at, size_t size)
{
	/* Where the kernel refuses, what is mapped stays. */
	const bool whole =
		!((uintptr_t)at % (uintptr_t)sysconf(_SC_PAGESIZE)) && size <= UINTPTR_MAX - (uintptr_t)at;

	if (whole && !bk__wrap_maps_outside(at, size))
		bk__wrap_maps_remove(at, size);
	return bk__wrap_real.munmap(at, size);
}

void *mremap(void *at, size_t size, size_t new_size, int flags, ...)
{
	va_list args;
	void *to, *result;

	va_start(args, flags);
	to = va_arg(args, void *);
	va_end(args);
	if (flags & MREMAP_FIXED)
		make_room(to, new_size, MAP_FIXED);
	result = bk__wrap_real.mremap(at, size, new_size, flags, to);
	if (result != MAP_FAILED && !bk__wrap_maps_outside(at, size))
		bk__wrap_maps_move(at, size, result, new_size);
	return result;
}
