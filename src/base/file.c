/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads a regular file whole, with a bound on its size; finds what lies beside another one. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* At most `room` bytes. Returns how many, or a negative errno. */
static ssize_t read_all(int fd, char *bytes, size_t room)
{
	size_t done = 0;

	while (done < room) {
		ssize_t n = read(fd, bytes + done, room - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

/* All of a file, and a NUL behind it. -EINVAL if it is no regular file, -EFBIG, -ENOMEM, or what reading
 * says. */
static int read_open(int fd, size_t most, char **bytes, size_t *size)
{
	struct stat status;
	size_t room;
	ssize_t n;

	if (fstat(fd, &status) || !S_ISREG(status.st_mode))
		return -EINVAL;
	/* Files of /proc and /sys say a size of 0 or a page. One byte more, to see what is too large. */
	room = status.st_size > 4096 && (uint64_t)status.st_size <= most ? (size_t)status.st_size + 1
									 : most + 1;
	*bytes = malloc(room + 1);
	if (!*bytes)
		return -ENOMEM;
	n = read_all(fd, *bytes, room);
	if (n >= 0 && (size_t)n <= most) {
		(*bytes)[n] = 0;
		*size = (size_t)n;
		return 0;
	}
	free(*bytes);
	*bytes = NULL;
	return n < 0 ? (int)n : -EFBIG;
}

int bk__base_file_read(const char *path, size_t most, char **bytes, size_t *size, struct bk_error *err)
{
	/* O_NONBLOCK: a FIFO must not keep us waiting before it is refused. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), error;

	*bytes = NULL;
	*size = 0;
	if (fd < 0)
		return bk_fail(err, errno, "%s: cannot be opened: %s", path, strerror(errno));
	error = read_open(fd, most, bytes, size);
	close(fd);
	if (error == -EINVAL)
		return bk_fail(err, EINVAL, "%s: not a regular file", path);
	if (error == -EFBIG)
		return bk_fail(err, EFBIG, "%s: too large: at most %zu bytes", path, most);
	if (error == -ENOMEM)
		return bk_fail(err, ENOMEM, "%s: out of memory", path);
	return error ? bk_fail(err, -error, "%s: cannot be read: %s", path, strerror(-error)) : 0;
}

int bk__base_file_open_beside(const char *what, const char *file, const char *name, int flags,
			      struct bk_error *err)
{
	const char *slash = strrchr(file, '/');
	char path[4096];
	int fd;

	if (strchr(name, '/') || !strcmp(name, "..") || !strcmp(name, "."))
		return bk_fail(err, EINVAL, "%s must be beside this one: give its name without a directory",
			       what);
	if (snprintf(path, sizeof(path), "%.*s%s", slash ? (int)(slash + 1 - file) : 0, file, name) >=
	    (int)sizeof(path))
		return bk_fail(err, ENAMETOOLONG, "%s has too long a path", what);
	fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
	if (fd < 0)
		return bk_fail(err, errno, "%s \"%.100s\" cannot be opened: %s", what, name, strerror(errno));
	return fd;
}

int bk__base_file_read_beside(const char *what, const char *file, const char *name, size_t most, char **bytes,
			      size_t *size, struct bk_error *err)
{
	int fd = bk__base_file_open_beside(what, file, name, O_RDONLY, err), error;

	*bytes = NULL;
	*size = 0;
	if (fd < 0)
		return fd;
	error = read_open(fd, most, bytes, size);
	close(fd);
	if (error == -EINVAL || error == -EFBIG)
		return bk_fail(err, -error, "%s \"%.100s\" must be a regular file of at most 0x%zx bytes",
			       what, name, most);
	if (error == -ENOMEM)
		return bk_fail(err, ENOMEM, "%s: out of memory", what);
	return error ? bk_fail(err, -error, "%s \"%.100s\" cannot be read: %s", what, name, strerror(-error))
		     : 0;
}
