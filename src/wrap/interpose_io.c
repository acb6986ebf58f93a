/* SPDX-License-Identifier: BSD-2-Clause */
/* Replaces the C library's ioctl and its functions that read and write. */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE
#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#include "wrap/kvm.h"
#include "wrap/real.h"
#include "wrap/calls.h"

#define LIKELY(condition)   __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

/* A fixed third argument, whether given or not: a variable list would cost saving all registers. */
int interposed_ioctl(int fd, unsigned long request, void *argument) __asm__("ioctl");

int interposed_ioctl(int fd, unsigned long request, void *argument)
{
	struct bk__wrap_file *file = bk__wrap_find(fd);

	if (LIKELY(!file ? !bk__wrap_is_ours(request) : bk__wrap_kvm_passes(file, request)))
		return bk__wrap_real.ioctl(fd, request, argument);
	return bk__wrap_ioctl(file, fd, request, argument);
}

/* ---- At an offset ------------------------------------------------------ */

/*
 * Each function has two halves, so that a call that is not the mediator's only jumps to the C library's.
 * Another thread may close or replace the descriptor meanwhile: so the answer counts only if the descriptor
 * still refers to the same file afterwards.
 */
#define MEDIATED_SLOWLY(name, parameters, arguments, dispatch)                                   \
	static __attribute__((noinline)) ssize_t mediated_##name parameters                      \
	{                                                                                        \
		for (;;) {                                                                       \
			struct bk__wrap_file *file = bk__wrap_find(fd);                          \
			ssize_t result;                                                          \
                                                                                                 \
			if (!file || !bk__wrap_file_mediates(file, at) || !(dispatch)) {         \
				if (bk__wrap_find(fd) == file)                                   \
					return bk__wrap_real.name arguments;                     \
			} else if (result >= 0 || errno != EBADF || bk__wrap_find(fd) == file) { \
				return result;                                                   \
			}                                                                        \
		}                                                                                \
	}

#define MEDIATED(name, parameters, arguments, dispatch)                                                \
	MEDIATED_SLOWLY(name, parameters, arguments, dispatch)                                         \
	ssize_t name parameters;                                                                       \
	ssize_t name parameters                                                                        \
	{                                                                                              \
		const struct bk__wrap_file *file = bk__wrap_find(fd);                                  \
                                                                                                       \
		if (LIKELY(!file || (!bk__wrap_file_mediates(file, at) && bk__wrap_find(fd) == file))) \
			return bk__wrap_real.name arguments;                                           \
		return mediated_##name arguments;                                                      \
	}

#define READ(name)                                                                          \
	MEDIATED(name, (int fd, void *data, size_t count, off_t at), (fd, data, count, at), \
		 bk__wrap_read(file, data, count, (uint64_t)at, &result))

/* If there is no room, the C library's fortified function reports it. */
#define READ_CHECKED(name)                                                        \
	MEDIATED(name, (int fd, void *data, size_t count, off_t at, size_t room), \
		 (fd, data, count, at, room),                                     \
		 count <= room && bk__wrap_read(file, data, count, (uint64_t)at, &result))

#define WRITE(name)                                                                               \
	MEDIATED(name, (int fd, const void *data, size_t count, off_t at), (fd, data, count, at), \
		 bk__wrap_write(file, data, count, (uint64_t)at, &result))

#define VECTOR(name, call)                                                                               \
	MEDIATED(name, (int fd, const struct iovec *parts, int count, off_t at), (fd, parts, count, at), \
		 call(file, parts, count, (uint64_t)at, &result))

READ(pread)
READ(pread64)
READ_CHECKED(__pread_chk)
READ_CHECKED(__pread64_chk)
WRITE(pwrite)
WRITE(pwrite64)
VECTOR(preadv, bk__wrap_readv)
VECTOR(preadv64, bk__wrap_readv)
VECTOR(pwritev, bk__wrap_writev)
VECTOR(pwritev64, bk__wrap_writev)

/* ---- At the descriptor's position -------------------------------------- */

/*
 * Only these calls move the kernel's position, so ours stays the same if all of them use it. An unmediated
 * device has no position.
 */
static inline bool has_position(int fd, struct bk__wrap_file **file)
{
	*file = bk__wrap_find(fd);
	return UNLIKELY(*file) &&
	       (bk__wrap_kind_of(*file) == BK__WRAP_DEVICE || bk__wrap_kind_of(*file) == BK__WRAP_REFUSED);
}

static ssize_t at_position(int fd, struct bk__wrap_file *file, const struct iovec *parts, int count,
			   bool write)
{
	uint64_t at = 0;
	ssize_t result;

	if (file->device)
		at = __atomic_load_n(&file->device->position, __ATOMIC_RELAXED);
	if (!(write ? bk__wrap_writev(file, parts, count, at, &result)
		    : bk__wrap_readv(file, parts, count, at, &result)))
		result = write ? bk__wrap_real.pwritev64(fd, parts, count, (off_t)at)
			       : bk__wrap_real.preadv64(fd, parts, count, (off_t)at);
	if (result > 0)
		__atomic_fetch_add(&file->device->position, (uint64_t)result, __ATOMIC_RELAXED);
	return result;
}

/* Offset -1 is the position (preadv2(2)). */
#define VECTOR2(name, call, write)                                                                      \
	MEDIATED_SLOWLY(name, (int fd, const struct iovec *parts, int count, off_t at, int flags),      \
			(fd, parts, count, at, flags), call(file, parts, count, (uint64_t)at, &result)) \
                                                                                                        \
	ssize_t name(int fd, const struct iovec *parts, int count, off_t at, int flags);                \
	ssize_t name(int fd, const struct iovec *parts, int count, off_t at, int flags)                 \
	{                                                                                               \
		struct bk__wrap_file *file = bk__wrap_find(fd);                                         \
                                                                                                        \
		if (UNLIKELY(file) && at == -1 && has_position(fd, &file))                              \
			return at_position(fd, file, parts, count, write);                              \
		if (LIKELY(!file || (!bk__wrap_file_mediates(file, at) && bk__wrap_find(fd) == file)))  \
			return bk__wrap_real.name(fd, parts, count, at, flags);                         \
		return mediated_##name(fd, parts, count, at, flags);                                    \
	}

VECTOR2(preadv2, bk__wrap_readv, false)
VECTOR2(preadv64v2, bk__wrap_readv, false)
VECTOR2(pwritev2, bk__wrap_writev, true)
VECTOR2(pwritev64v2, bk__wrap_writev, true)

ssize_t read(int fd, void *data, size_t count)
{
	struct bk__wrap_file *file;

	if (has_position(fd, &file))
		return at_position(fd, file, &(struct iovec){ data, count }, 1, false);
	return bk__wrap_real.read(fd, data, count);
}

ssize_t __read_chk(int fd, void *data, size_t count, size_t room);
ssize_t __read_chk(int fd, void *data, size_t count, size_t room)
{
	struct bk__wrap_file *file;

	if (has_position(fd, &file) && count <= room)
		return at_position(fd, file, &(struct iovec){ data, count }, 1, false);
	return bk__wrap_real.__read_chk(fd, data, count, room);
}

ssize_t write(int fd, const void *data, size_t count)
{
	struct bk__wrap_file *file;

	if (has_position(fd, &file))
		return at_position(fd, file, &(struct iovec){ (void *)data, count }, 1, true);
	return bk__wrap_real.write(fd, data, count);
}

ssize_t readv(int fd, const struct iovec *parts, int count)
{
	struct bk__wrap_file *file;

	if (has_position(fd, &file))
		return at_position(fd, file, parts, count, false);
	return bk__wrap_real.readv(fd, parts, count);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	struct bk__wrap_file *file;

	if (has_position(fd, &file))
		return at_position(fd, file, parts, count, true);
	return bk__wrap_real.writev(fd, parts, count);
}
