/* SPDX-License-Identifier: BSD-2-Clause */
/* Replaces the C library's functions that open, duplicate and close descriptors. */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <unistd.h>

#include "wrap/real.h"
#include "wrap/calls.h"

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC 4
#endif

/* ---- Opening ----------------------------------------------------------- */

static mode_t mode_of(int flags, va_list args)
{
	return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(args, mode_t) : 0;
}

#define OPEN(name)                                          \
	int name(const char *path, int flags, ...)          \
	{                                                   \
		va_list args;                               \
		mode_t mode;                                \
		int fd;                                     \
                                                            \
		va_start(args, flags);                      \
		mode = mode_of(flags, args);                \
		va_end(args);                               \
		fd = bk__wrap_real.name(path, flags, mode); \
		bk__wrap_adopt_opened(fd, AT_FDCWD, path);  \
		return fd;                                  \
	}

#define OPENAT(name)                                                   \
	int name(int directory, const char *path, int flags, ...)      \
	{                                                              \
		va_list args;                                          \
		mode_t mode;                                           \
		int fd;                                                \
                                                                       \
		va_start(args, flags);                                 \
		mode = mode_of(flags, args);                           \
		va_end(args);                                          \
		fd = bk__wrap_real.name(directory, path, flags, mode); \
		bk__wrap_adopt_opened(fd, directory, path);            \
		return fd;                                             \
	}

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

#define OPEN_2(name)                                       \
	int name(const char *path, int flags);             \
	int name(const char *path, int flags)              \
	{                                                  \
		int fd = bk__wrap_real.name(path, flags);  \
                                                           \
		bk__wrap_adopt_opened(fd, AT_FDCWD, path); \
		return fd;                                 \
	}

#define OPENAT_2(name)                                               \
	int name(int directory, const char *path, int flags);        \
	int name(int directory, const char *path, int flags)         \
	{                                                            \
		int fd = bk__wrap_real.name(directory, path, flags); \
                                                                     \
		bk__wrap_adopt_opened(fd, directory, path);          \
		return fd;                                           \
	}

OPEN_2(__open_2)
OPEN_2(__open64_2)
OPENAT_2(__openat_2)
OPENAT_2(__openat64_2)

/* ---- Copying ----------------------------------------------------------- */

/* `copy` now refers to the file of `fd`, and may have replaced another. */
static int copied(int fd, int copy)
{
	struct bk__wrap_file *file = bk__wrap_find(fd);
	int error;

	if (copy < 0 || copy == fd || (!file && !bk__wrap_find(copy)) || bk__wrap_is_borrowed())
		return copy;
	/* In one step, so that no thread finds the descriptor missing in the table. */
	if (!file || bk__wrap_kind_of(file) == BK__WRAP_PRIVATE) {
		bk__wrap_file_remove(copy);
		return copy;
	}
	error = bk__wrap_file_share(copy, file);
	if (error == -ESTALE) { /* another thread closed `fd` after the kernel copied it */
		bk__wrap_file_remove(copy);
		bk__wrap_adopt(copy);
	} else if (error) {
		bk__wrap_real.close(copy);
		errno = ENOMEM;
		return -1;
	}
	return copy;
}

/* The program cannot replace a descriptor of ours: that moves away first. */
static bool is_private(int fd)
{
	const struct bk__wrap_file *file = bk__wrap_find(fd);

	return file && bk__wrap_kind_of(file) == BK__WRAP_PRIVATE && !bk__wrap_is_borrowed();
}

int dup(int fd)
{
	return copied(fd, bk__wrap_real.dup(fd));
}

static int refuse_busy(void)
{
	errno = EBUSY; /* as the kernel fails while an open is in progress there */
	return -1;
}

int dup2(int fd, int to)
{
	return is_private(to) ? refuse_busy() : copied(fd, bk__wrap_real.dup2(fd, to));
}

int dup3(int fd, int to, int flags)
{
	return is_private(to) ? refuse_busy() : copied(fd, bk__wrap_real.dup3(fd, to, flags));
}

#define FCNTL(name)                                                                                    \
	int name(int fd, int command, ...)                                                             \
	{                                                                                              \
		va_list args;                                                                          \
		void *argument;                                                                        \
		int result;                                                                            \
                                                                                                       \
		va_start(args, command);                                                               \
		argument = va_arg(args, void *);                                                       \
		va_end(args);                                                                          \
		result = bk__wrap_real.name(fd, command, argument);                                    \
		return command == F_DUPFD || command == F_DUPFD_CLOEXEC ? copied(fd, result) : result; \
	}

FCNTL(fcntl)
FCNTL(fcntl64)

/* ---- Closing ----------------------------------------------------------- */

int close(int fd)
{
	const struct bk__wrap_file *file = bk__wrap_find(fd);

	if (__builtin_expect(!file, 1))
		return bk__wrap_real.close(fd);
	if (is_private(fd)) {
		errno = EBADF; /* the program does not have this descriptor */
		return -1;
	}
	bk__wrap_file_remove(fd); /* first: once closed, another file may get the number */
	return bk__wrap_real.close(fd);
}

int close_range(unsigned first, unsigned last, int flags)
{
	unsigned from = first;
	int result = 0;

	if (first > last || flags & CLOSE_RANGE_CLOEXEC)
		return bk__wrap_real.close_range(first, last, flags);
	for (int fd = first <= INT_MAX ? bk__wrap_file_next((int)first) : -1; fd >= 0 && (unsigned)fd <= last;
	     fd = bk__wrap_file_next(fd + 1)) {
		if (!is_private(fd)) {
			bk__wrap_file_remove(fd);
			continue;
		}
		if ((unsigned)fd > from)
			result = bk__wrap_real.close_range(from, (unsigned)fd - 1, flags);
		from = (unsigned)fd + 1;
		if (result)
			return result;
	}
	return from <= last ? bk__wrap_real.close_range(from, last, flags) : result;
}

void closefrom(int first)
{
	close_range(first < 0 ? 0 : (unsigned)first, UINT_MAX, 0);
}
