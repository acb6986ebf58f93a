/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's RAM: memory of this process alone, or a memfd that others can map. */
#include "monitor/ram.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "monitor/host_memory.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

#define PAGE           UINT64_C(4096)
#define HUGE           UINT64_C(0x200000)
#define POPULATE_PIECE (UINT64_C(256) << 20)
#define HUGE_2MIB      (21U << 26) /* MFD_HUGE_2MB of linux/memfd.h, which clashes with sys/mman.h */

/* Aligned to huge pages, so that KVM can map guest memory by them. fd -1: private memory. */
static void *map_aligned(int fd, uint64_t size)
{
	const int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED;
	uint8_t *room =
		mmap(NULL, size + HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	const uint64_t head = -(uint64_t)(uintptr_t)room % HUGE;
	void *host;

	if (room == MAP_FAILED)
		return MAP_FAILED;
	host = mmap(room + head, size, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0);
	if (host == MAP_FAILED) {
		const int error = errno;

		munmap(room, size + HUGE);
		errno = error;
		return host;
	}
	if (head)
		munmap(room, head);
	munmap(room + head + size, HUGE - head);
	return host;
}

static int fail_memory(struct bk_error *err, int error, uint64_t size, bool huge_pages)
{
	const uint64_t mib = size >> 20;

	if (huge_pages)
		return bk_fail(err, error,
			       "guest RAM: no %" PRIu64 " huge pages of 2 MiB (%s); reserve them: sysctl "
			       "vm.nr_hugepages=%" PRIu64,
			       size / HUGE, strerror(error), size / HUGE);
	return bk_fail(err, error, "guest RAM: no %" PRIu64 " MiB: %s", mib, strerror(error));
}

/* For a kernel before 5.14. Nobody uses the memory yet. */
static int populate_slowly(const struct bk__monitor_ram *ram, uint64_t first, uint64_t size)
{
	if (ram->fd >= 0)
		return fallocate(ram->fd, 0, (off_t)first, (off_t)size);
	for (uint64_t at = first; at < first + size; at += PAGE)
		*((volatile uint8_t *)ram->host + at) = 0;
	return 0;
}

/*
 * Takes all of the RAM from the host, piece by piece, since others take memory at the same time. Each piece
 * is checked first: a host that runs out of memory kills processes, perhaps others than this one.
 */
static int populate(struct bk__monitor_ram *ram, struct bk_error *err)
{
	struct bk_error why;

	for (uint64_t done = 0, piece; done < ram->size; done += piece) {
		const uint64_t left = ram->size - done;

		piece = left < POPULATE_PIECE ? left : POPULATE_PIECE;
		if (bk__monitor_host_memory_check("", left, &why))
			return bk_fail(err, ENOMEM,
				       "guest RAM: %" PRIu64 " MiB cannot be taken from the host at once: %s",
				       ram->size >> 20, why.text);
		if (!madvise((uint8_t *)ram->host + done, piece, MADV_POPULATE_WRITE))
			continue;
		if (errno != EINVAL || populate_slowly(ram, done, piece))
			return bk_fail(err, errno, "guest RAM: %" PRIu64 " of %" PRIu64 " MiB taken: %s",
				       done >> 20, ram->size >> 20, strerror(errno));
	}
	return 0;
}

static int open_file(struct bk__monitor_ram *ram, const struct bk__monitor_ram_config *config)
{
	const unsigned huge = config->huge_pages ? MFD_HUGETLB | HUGE_2MIB : 0;

	ram->fd = memfd_create("barkeep-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING | huge);
	if (ram->fd < 0 || ftruncate(ram->fd, (off_t)ram->size))
		return errno;
	fcntl(ram->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
	/* This takes only reserved huge pages, so others lose nothing. */
	if (config->preallocate && config->huge_pages && fallocate(ram->fd, 0, 0, (off_t)ram->size))
		return errno;
	return 0;
}

int bk__monitor_ram_open(struct bk__monitor_ram *ram, const struct bk__monitor_ram_config *config,
			 struct bk_error *err)
{
	const uint64_t size = config->size;
	int error = 0;

	*ram = (struct bk__monitor_ram){ .fd = -1, .size = size, .host = MAP_FAILED };
	if (!size || size % HUGE || size > (UINT64_C(1) << 44))
		return bk_fail(err, EINVAL,
			       "guest RAM: %" PRIu64 " bytes: give a multiple of 2 MiB, at most 16 TiB",
			       size);
	if (config->share || config->huge_pages)
		error = open_file(ram, config);
	if (!error) {
		ram->host = map_aligned(ram->fd, size);
		if (ram->host == MAP_FAILED)
			error = errno;
	}
	if (error) {
		bk__monitor_ram_close(ram);
		return fail_memory(err, error, size, config->huge_pages);
	}
	if (!config->huge_pages)
		madvise(ram->host, size, MADV_HUGEPAGE);
	madvise(ram->host, size, MADV_DONTDUMP);
	madvise(ram->host, size, MADV_DONTFORK);
	error = config->preallocate && !config->huge_pages ? populate(ram, err) : 0;
	if (error)
		bk__monitor_ram_close(ram);
	return error;
}

void bk__monitor_ram_close(struct bk__monitor_ram *ram)
{
	if (ram->host != MAP_FAILED && ram->host)
		munmap(ram->host, ram->size);
	if (ram->fd >= 0)
		close(ram->fd);
	ram->host = NULL;
	ram->fd = -1;
}
