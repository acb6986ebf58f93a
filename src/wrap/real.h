/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The functions that this library replaces: the C library's, or those of another preloaded library.
 * Each is looked up by its first call, which may come before any constructor has run.
 */
#ifndef BARKEEP_WRAP_REAL_H
#define BARKEEP_WRAP_REAL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

/* X(result, name, parameters, arguments). Those with an optional argument are always called with it. */
/* readlink is not put in any place, but is a way to ask what a descriptor is. */
#define BK__WRAP_REAL(X)                                                                                     \
	X(int, open, (const char *path, int flags, mode_t mode), (path, flags, mode))                        \
	X(int, open64, (const char *path, int flags, mode_t mode), (path, flags, mode))                      \
	X(int, openat, (int dir, const char *path, int flags, mode_t mode), (dir, path, flags, mode))        \
	X(int, openat64, (int dir, const char *path, int flags, mode_t mode), (dir, path, flags, mode))      \
	X(int, __open_2, (const char *path, int flags), (path, flags))                                       \
	X(int, __open64_2, (const char *path, int flags), (path, flags))                                     \
	X(int, __openat_2, (int dir, const char *path, int flags), (dir, path, flags))                       \
	X(int, __openat64_2, (int dir, const char *path, int flags), (dir, path, flags))                     \
	X(ssize_t, readlink, (const char *path, char *target, size_t size), (path, target, size))            \
	X(int, close, (int fd), (fd))                                                                        \
	X(int, close_range, (unsigned first, unsigned last, int flags), (first, last, flags))                \
	X(int, dup, (int fd), (fd))                                                                          \
	X(int, dup2, (int fd, int to), (fd, to))                                                             \
	X(int, dup3, (int fd, int to, int flags), (fd, to, flags))                                           \
	X(int, fcntl, (int fd, int command, void *argument), (fd, command, argument))                        \
	X(int, fcntl64, (int fd, int command, void *argument), (fd, command, argument))                      \
	X(int, ioctl, (int fd, unsigned long request, void *argument), (fd, request, argument))              \
	X(ssize_t, read, (int fd, void *data, size_t count), (fd, data, count))                              \
	X(ssize_t, __read_chk, (int fd, void *data, size_t count, size_t room), (fd, data, count, room))     \
	X(ssize_t, write, (int fd, const void *data, size_t count), (fd, data, count))                       \
	X(ssize_t, readv, (int fd, const struct iovec *parts, int count), (fd, parts, count))                \
	X(ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count))               \
	X(ssize_t, pread, (int fd, void *data, size_t count, off_t at), (fd, data, count, at))               \
	X(ssize_t, pread64, (int fd, void *data, size_t count, off_t at), (fd, data, count, at))             \
	X(ssize_t, __pread_chk, (int fd, void *data, size_t count, off_t at, size_t room),                   \
	  (fd, data, count, at, room))                                                                       \
	X(ssize_t, __pread64_chk, (int fd, void *data, size_t count, off_t at, size_t room),                 \
	  (fd, data, count, at, room))                                                                       \
	X(ssize_t, pwrite, (int fd, const void *data, size_t count, off_t at), (fd, data, count, at))        \
	X(ssize_t, pwrite64, (int fd, const void *data, size_t count, off_t at), (fd, data, count, at))      \
	X(ssize_t, preadv, (int fd, const struct iovec *parts, int count, off_t at), (fd, parts, count, at)) \
	X(ssize_t, preadv64, (int fd, const struct iovec *parts, int count, off_t at),                       \
	  (fd, parts, count, at))                                                                            \
	X(ssize_t, preadv2, (int fd, const struct iovec *parts, int count, off_t at, int flags),             \
	  (fd, parts, count, at, flags))                                                                     \
	X(ssize_t, preadv64v2, (int fd, const struct iovec *parts, int count, off_t at, int flags),          \
	  (fd, parts, count, at, flags))                                                                     \
	X(ssize_t, pwritev, (int fd, const struct iovec *parts, int count, off_t at),                        \
	  (fd, parts, count, at))                                                                            \
	X(ssize_t, pwritev64, (int fd, const struct iovec *parts, int count, off_t at),                      \
	  (fd, parts, count, at))                                                                            \
	X(ssize_t, pwritev2, (int fd, const struct iovec *parts, int count, off_t at, int flags),            \
	  (fd, parts, count, at, flags))                                                                     \
	X(ssize_t, pwritev64v2, (int fd, const struct iovec *parts, int count, off_t at, int flags),         \
	  (fd, parts, count, at, flags))                                                                     \
	X(void *, mmap, (void *at, size_t size, int prot, int flags, int fd, off_t offset),                  \
	  (at, size, prot, flags, fd, offset))                                                               \
	X(void *, mmap64, (void *at, size_t size, int prot, int flags, int fd, off_t offset),                \
	  (at, size, prot, flags, fd, offset))                                                               \
	X(int, munmap, (void *at, size_t size), (at, size))                                                  \
	X(void *, mremap, (void *at, size_t size, size_t new_size, int flags, void *to),                     \
	  (at, size, new_size, flags, to))                                                                   \
	X(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))               \
	X(int, recvmmsg,                                                                                     \
	  (int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout),           \
	  (fd, messages, count, flags, timeout))                                                             \
	X(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))         \
	X(int, sendmmsg, (int fd, struct mmsghdr *messages, unsigned count, int flags),                      \
	  (fd, messages, count, flags))

#define BK__WRAP_MEMBER(result, name, parameters, arguments) result(*name) parameters;

struct bk__wrap_real {
	BK__WRAP_REAL(BK__WRAP_MEMBER)
};

/* Each pointer changes once: at first it is a function that looks the real one up. */
extern struct bk__wrap_real bk__wrap_real;

/* Looks all of them up at once, for callers that cannot do it later. */
void bk__wrap_real_find(void);

#endif
