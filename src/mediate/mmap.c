/* SPDX-License-Identifier: BSD-2-Clause */
/* Mappings of a device's file, placed so that large pages can be used. */
#include "mediate/mediate.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/guard.h"

#define LARGEST_PAGE ((uint64_t)1 << 30)

void *bk__mediate_map(int fd, uint64_t offset, uint64_t size, bool writable)
{
	uint64_t align = (uint64_t)sysconf(_SC_PAGESIZE);
	uint8_t *reserved, *host;
	int saved;

	while (align < size && align < LARGEST_PAGE)
		align <<= 1;
	if (size > SIZE_MAX - align) {
		errno = ENOMEM;
		return NULL;
	}
	/* Room for any alignment, without memory behind it; the rest is unmapped. */
	reserved = mmap(NULL, size + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (reserved == MAP_FAILED)
		return NULL;
	host = reserved + (-(uintptr_t)reserved & (align - 1));
	if (mmap(host, size, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED | MAP_FIXED, fd,
		 (off_t)offset) == MAP_FAILED) {
		saved = errno;
		munmap(reserved, size + align);
		errno = saved;
		return NULL;
	}
	if (host > reserved)
		munmap(reserved, (size_t)(host - reserved));
	munmap(host + size, (size_t)(reserved + align - host)); /* at least a page: `align` is not all used */
	return host;
}

int bk__mediate_map_again(void *host, int fd, uint64_t offset, uint64_t size, bool writable)
{
	const int what = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED;

	/* A concurrent reader gets the old bytes or the new ones. */
	if (mmap(host, size, PROT_READ | (writable || fd < 0 ? PROT_WRITE : 0), what | MAP_FIXED, fd,
		 fd < 0 ? 0 : (off_t)offset) == MAP_FAILED)
		return -errno;
	return 0;
}

void bk__mediate_unmap(void *host, uint64_t size)
{
	munmap(host, size);
}

bool bk__mediate_guard(struct bk__mediate_place *place, int fd)
{
	struct stat st;

	/* Only a regular file can shrink. */
	if (place->guard || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return true;
	place->guard = bk__base_guard_add(place->host, place->size, 0xff);
	return place->guard;
}
