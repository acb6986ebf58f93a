/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls on descriptors of VFIO. All return what the calls that they replace would: -1 with errno. */
#ifndef BARKEEP_WRAP_CALLS_H
#define BARKEEP_WRAP_CALLS_H

#include <linux/vfio.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/array.h"
#include "wrap/opened.h"

/* Is a request one of VFIO's (or of iommufd's), or KVM_CREATE_VM? */
static inline bool bk__wrap_is_ours(unsigned long request)
{
	return (request & ~0xfful) == 0x3b00 || request == 0xae01;
}

/* ---- find.c ---- */

/* If the descriptor is VFIO's it is in the table afterwards. Keeps errno. */
void bk__wrap_adopt(int fd);

/* The same for one that was opened by this path: most cannot be. */
void bk__wrap_adopt_opened(int fd, int directory, const char *path);

/* A CDEV may be bound, here or by another process that has it: then it is a device, mediated or REFUSED. */
void bk__wrap_cdev_settle(struct bk__wrap_file *file, int fd);

/* ---- ioctl.c ---- */

/* On a descriptor of the table, or one of another kind with one of VFIO's requests. */
int bk__wrap_ioctl(struct bk__wrap_file *file, int fd, unsigned long request, void *argument);

/* ---- region_info.c ---- */

int bk__wrap_region_info(struct bk__wrap_device *device, void *argument);

/* What of a region may be mapped, in order; `list.at` is to be freed. */
struct bk__wrap_areas {
	BK__ARRAY(struct vfio_region_sparse_mmap_area) list;
	bool failed; /* out of memory */
	uint64_t page;
};
void bk__wrap_areas_find(struct bk__wrap_device *device, unsigned region, struct bk__wrap_areas *areas);

/* All pages of [offset, offset + size) may be mapped. */
bool bk__wrap_may_map(struct bk__wrap_device *device, unsigned region, uint64_t offset, uint64_t size);

/* A byte of [offset, offset + length) is answered by the mediator. */
bool bk__wrap_is_trapped(struct bk__wrap_device *device, unsigned region, uint64_t offset, uint64_t length);

/* ---- access.c ---- */

/* One call, at an offset of a descriptor of a device. False: it is for the function below. */
bool bk__wrap_read(struct bk__wrap_file *file, void *data, size_t count, uint64_t at, ssize_t *result);
bool bk__wrap_write(struct bk__wrap_file *file, const void *data, size_t count, uint64_t at, ssize_t *result);
bool bk__wrap_readv(struct bk__wrap_file *file, const struct iovec *parts, int count, uint64_t at,
		    ssize_t *result);
bool bk__wrap_writev(struct bk__wrap_file *file, const struct iovec *parts, int count, uint64_t at,
		     ssize_t *result);

/* ---- memory.c ---- */

void *bk__wrap_map(struct bk__wrap_file *file, void *at, size_t size, int prot, int flags, int fd,
		   off_t offset);

#endif
