/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Some pages of a BAR in a file of their own: a dma-buf, where the kernel has them and lets them be mapped.
 *
 * A dma-buf is a row of ranges without gaps. Other pages that are allowed anyhow fill the gaps between areas,
 * so that each area is at its offset in the region.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <fcntl.h>
#include <linux/vfio.h>

#include "device/vfio.h"

#define RANGES_MOST 4096

/* Of Linux 6.19; the headers of older ones lack it. */
#define FEATURE_DMA_BUF 11

struct range {
	uint64_t offset, length;
};

struct request {
	uint32_t argsz, flags;
	uint32_t region, open_flags, buffer_flags, count;
	struct range ranges[RANGES_MOST];
};

static int add(struct request *request, uint64_t offset, uint64_t length)
{
	if (request->count == RANGES_MOST)
		return -EOPNOTSUPP;
	request->ranges[request->count++] = (struct range){ offset, length };
	return 0;
}

static int lay_out(struct request *request, const struct bk_device_area *areas, size_t count)
{
	const struct bk_device_area *largest = areas;
	uint64_t end = 0;
	int error = 0;

	for (size_t i = 1; i < count; i++)
		if (areas[i].size > largest->size)
			largest = &areas[i];
	for (size_t i = 0; i < count && !error; i++) {
		while (end < areas[i].offset && !error) {
			const uint64_t gap = areas[i].offset - end;
			const uint64_t piece = gap < largest->size ? gap : largest->size;

			error = add(request, largest->offset, piece);
			end += piece;
		}
		if (!error)
			error = add(request, areas[i].offset, areas[i].size);
		end = areas[i].offset + areas[i].size;
	}
	return error;
}

/* Kernels that can export it need not let it be mapped. */
static bool can_map(int fd, const struct bk_device_area *area)
{
	void *host = mmap(NULL, area->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)area->offset);

	if (host == MAP_FAILED)
		return false;
	munmap(host, area->size);
	return true;
}

static int export(struct bk__device_vfio *vfio, unsigned region, const struct bk_device_area *areas,
		  size_t count)
{
	struct request *request = calloc(1, sizeof(*request));
	int fd;

	if (!request)
		return -ENOMEM;
	request->flags = VFIO_DEVICE_FEATURE_GET | FEATURE_DMA_BUF;
	request->region = region;
	request->open_flags = O_CLOEXEC | O_RDWR;
	fd = lay_out(request, areas, count);
	request->argsz = (uint32_t)(sizeof(*request) - sizeof(request->ranges) +
				    request->count * sizeof(request->ranges[0]));
	if (!fd)
		fd = ioctl(vfio->fd, VFIO_DEVICE_FEATURE, request);
	free(request);
	if (fd < 0)
		return -EOPNOTSUPP;
	if (can_map(fd, areas))
		return fd;
	close(fd);
	return -EOPNOTSUPP;
}

int bk__vfio_share(struct bk_device *device, unsigned region, const struct bk_device_area *areas,
		   size_t count, int *fd)
{
	struct bk__device_vfio *vfio = (struct bk__device_vfio *)device; /* its first member */
	int new = -1;

	if (region >= BK_DEVICE_ROM)
		return -EOPNOTSUPP;
	if (count)
		new = export(vfio, region, areas, count);
	if (count && new < 0)
		return new;
	if (vfio->shared[region] > 0)
		close(vfio->shared[region]); /* mappings of it stay */
	vfio->shared[region] = new > 0 ? new : 0;
	if (count)
		*fd = new;
	return 0;
}

void bk__vfio_share_close(struct bk__device_vfio *vfio)
{
	for (unsigned i = 0; i < BK_DEVICE_ROM; i++)
		if (vfio->shared[i] > 0)
			close(vfio->shared[i]);
}
