/* SPDX-License-Identifier: BSD-2-Clause */
/* The program's reads and writes of a device's regions. */
#undef _FILE_OFFSET_BITS
#include <errno.h>
#include <limits.h>
#include <linux/vfio.h>

#include "wrap/calls.h"

/* How much of an access is in the region; -errno as from the kernel. */
static ssize_t bound(struct bk__wrap_device *device, unsigned region, uint64_t offset, size_t count,
		     bool write)
{
	struct bk_space *space = bk_mediator_space(device->mediate, region);
	uint64_t left;

	if (!space || (write && region == BK_DEVICE_ROM))
		return -EINVAL;
	if (offset > bk_space_last(space))
		return region == BK_DEVICE_CONFIG ? -EFAULT : -EINVAL;
	left = bk_space_last(space) - offset + 1;
	if (count > left && region == BK_DEVICE_CONFIG)
		return -EFAULT;
	return (ssize_t)(count < left ? count : left);
}

/* A ROM without traps needs no more calls than the program makes. */
static bool is_plain_rom(struct bk__wrap_device *device, unsigned region, uint64_t offset, size_t count)
{
	struct bk_device *below = bk_mediator_below(device->mediate);
	struct bk_device_region info = { 0 };

	return region == BK_DEVICE_ROM && count > 8 && !bk__wrap_is_trapped(device, region, offset, count) &&
	       !bk_device_region(below, region, &info) &&
	       info.size == bk_space_last(bk_mediator_space(device->mediate, region)) + 1;
}

static ssize_t access_region(struct bk__wrap_device *device, unsigned region, uint64_t offset, void *in,
			     const void *out, size_t count)
{
	struct bk_space *space = bk_mediator_space(device->mediate, region);
	const ssize_t bounded = bound(device, region, offset, count, out);
	int error;

	if (bounded <= 0)
		return bounded;
	if (out)
		error = bk_space_write_bytes(space, offset, out, (size_t)bounded);
	else if (is_plain_rom(device, region, offset, (size_t)bounded))
		error = bk_device_read(bk_mediator_below(device->mediate), region, offset, in,
				       (size_t)bounded);
	else
		error = bk_space_read_bytes(space, offset, in, (size_t)bounded);
	return error ? -EIO : bounded;
}

static bool failed(int error, ssize_t *result)
{
	errno = error;
	*result = -1;
	return true;
}

static bool dispatch(struct bk__wrap_file *file, void *in, const void *out, size_t count, uint64_t at,
		     ssize_t *result)
{
	const uint64_t offset = at & ((UINT64_C(1) << BK__WRAP_OFFSET_BITS) - 1);
	struct bk__wrap_device *device = bk__wrap_device_of(file);
	const enum bk__wrap_kind kind = bk__wrap_kind_of(file);
	const uint64_t region = at >> BK__WRAP_OFFSET_BITS;

	/* If the descriptor was closed or replaced, the caller looks it up again. */
	if (kind != BK__WRAP_DEVICE)
		return failed(kind == BK__WRAP_REFUSED ? EPERM : EBADF, result);
	/* This does not read the device, which may go until it is entered. */
	if (region >= BK_DEVICE_REGIONS || !bk__wrap_file_mediates(file, (int64_t)at))
		return false;
	if (!bk__wrap_device_enter(file))
		return failed(EBADF, result);
	*result = access_region(device, (unsigned)region, offset, in, out, count);
	bk__wrap_device_leave(device);
	if (*result < 0) {
		errno = (int)-*result;
		*result = -1;
	}
	return true;
}

bool bk__wrap_read(struct bk__wrap_file *file, void *data, size_t count, uint64_t at, ssize_t *result)
{
	return dispatch(file, data, NULL, count, at, result);
}

bool bk__wrap_write(struct bk__wrap_file *file, const void *data, size_t count, uint64_t at, ssize_t *result)
{
	return dispatch(file, NULL, data, count, at, result);
}

/* As the kernel does on such files: one access after the other, until one is short. */
static bool dispatch_parts(struct bk__wrap_file *file, bool write, const struct iovec *parts, int count,
			   uint64_t at, ssize_t *result)
{
	ssize_t all = 0;

	if (count <= 0 || count > IOV_MAX)
		return false; /* for the kernel to refuse */
	for (int i = 0; i < count; i++) {
		ssize_t one;

		if (!parts[i].iov_len)
			continue;
		if (!(write ? dispatch(file, NULL, parts[i].iov_base, parts[i].iov_len, at + (uint64_t)all,
				       &one)
			    : dispatch(file, parts[i].iov_base, NULL, parts[i].iov_len, at + (uint64_t)all,
				       &one))) {
			if (all)
				break;
			return false;
		}
		if (one < 0 && !all)
			all = -1;
		else if (one > 0)
			all += one;
		if (one != (ssize_t)parts[i].iov_len)
			break;
	}
	*result = all;
	return true;
}

bool bk__wrap_readv(struct bk__wrap_file *file, const struct iovec *parts, int count, uint64_t at,
		    ssize_t *result)
{
	return dispatch_parts(file, false, parts, count, at, result);
}

bool bk__wrap_writev(struct bk__wrap_file *file, const struct iovec *parts, int count, uint64_t at,
		     ssize_t *result)
{
	return dispatch_parts(file, true, parts, count, at, result);
}
