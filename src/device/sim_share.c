/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moves some pages of a sim's BAR into a separate file: the BAR's memory at those pages becomes that
 * file's. The other pages stay in the first file. Mappings of the first file lose the pages that move.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "device/sim_parts.h"

#define PAGE 4096u

/* Pages of zeros need no memory in the file. */
static int copy(int fd, const uint8_t *memory, const struct bk_device_area *area)
{
	static const uint8_t zeros[PAGE];

	for (uint64_t at = area->offset; at < area->offset + area->size; at += PAGE) {
		if (!memcmp(memory + at, zeros, PAGE))
			continue;
		if (pwrite(fd, memory + at, PAGE, (off_t)at) != PAGE)
			return errno ? -errno : -ENOSPC;
	}
	return 0;
}

/* Backs an area with the file from now on, and keeps its contents. */
static int move(struct sim_bar *bar, int fd, const struct bk_device_area *area)
{
	const int error = copy(fd, bar->memory, area);

	if (error)
		return error;
	return mmap(bar->memory + area->offset, area->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		    fd, (off_t)area->offset) == MAP_FAILED
		       ? -errno
		       : 0;
}

/* Moves the contents back to the first file, over what it held before. */
static int take_back(struct sim_bar *bar)
{
	while (bar->shared_count) {
		const struct bk_device_area *area = &bar->shared_areas[bar->shared_count - 1];
		int error;

		if (fallocate(bar->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)area->offset,
			      (off_t)area->size))
			return -errno;
		error = move(bar, bar->fd, area);
		if (error)
			return error;
		bar->shared_count--;
	}
	free(bar->shared_areas);
	bar->shared_areas = NULL;
	if (bar->shared >= 0)
		close(bar->shared);
	bar->shared = -1;
	return 0;
}

static int give(struct sim_bar *bar, const struct bk_device_area *areas, size_t count)
{
	int error = 0;

	bar->shared_areas = malloc(count * sizeof(*areas));
	if (!bar->shared_areas)
		return -ENOMEM;
	memcpy(bar->shared_areas, areas, count * sizeof(*areas));
	bar->shared = memfd_create("barkeep-sim", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (bar->shared < 0 || ftruncate(bar->shared, (off_t)bar->size) ||
	    fcntl(bar->shared, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		error = -errno;
	while (!error && bar->shared_count < count) {
		error = move(bar, bar->shared, &areas[bar->shared_count]);
		bar->shared_count += !error;
	}
	if (error)
		take_back(bar);
	return error;
}

/* Allows only areas that can be mapped. */
static bool allowed(const struct sim_bar *bar, const struct bk_device_area *area)
{
	for (unsigned i = 0; i < bar->area_count; i++)
		if (area->offset >= bar->areas[i].offset && area->size <= bar->areas[i].size &&
		    area->offset - bar->areas[i].offset <= bar->areas[i].size - area->size)
			return area->size && !(area->offset % PAGE) && !(area->size % PAGE);
	return false;
}

int bk__sim_share(struct bk_device *device, unsigned region, const struct bk_device_area *areas, size_t count,
		  int *fd)
{
	struct sim *sim = (struct sim *)device; /* its first member */
	struct sim_bar *bar = region < BK_DEVICE_ROM ? &sim->bars[region] : NULL;
	int error;

	if (!bar || !bar->memory)
		return -EOPNOTSUPP;
	for (size_t i = 0; i < count; i++)
		if (!allowed(bar, &areas[i]))
			return -EINVAL;
	pthread_mutex_lock(&sim->lock);
	error = take_back(bar);
	if (!error && count)
		error = give(bar, areas, count);
	pthread_mutex_unlock(&sim->lock);
	if (!error && count)
		*fd = bar->shared;
	return error;
}
