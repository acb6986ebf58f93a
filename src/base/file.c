/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads a regular file whole, with a bound on its size. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
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

static int read_open(int fd, const char *path, size_t most, char **bytes, size_t *size, struct bk_error *err)
{
	struct stat status;
	size_t room;
	ssize_t n;

	if (fstat(fd, &status) || !S_ISREG(status.st_mode))
		return bk_fail(err, EINVAL, "%s: not a regular file", path);
	/* Files of /proc and /sys say a size of 0 or a page. One byte more, to see what is too large. */
	room = status.st_size > 4096 && (uint64_t)status.st_size <= most ? (size_t)status.st_size + 1
									 : most + 1;
	*bytes = malloc(room + 1);
	if (!*bytes)
		return bk_fail(err, ENOMEM, "%s: out of memory", path);
	n = read_all(fd, *bytes, room);
	if (n < 0)
		return bk_fail(err, (int)-n, "%s: cannot be read: %s", path, strerror((int)-n));
	if ((size_t)n > most)
		return bk_fail(err, EFBIG, "%s: too large: at most %zu bytes", path, most);
	(*bytes)[n] = 0;
	*size = (size_t)n;
	return 0;
}

int bk__base_file_read(const char *path, size_t most, char **bytes, size_t *size, struct bk_error *err)
{
	/* O_NONBLOCK: a FIFO must not keep us waiting before it is refused. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), error;

	*bytes = NULL;
	*size = 0;
	if (fd < 0)
		return bk_fail(err, errno, "%s: cannot be opened: %s", path, strerror(errno));
	error = read_open(fd, path, most, bytes, size, err);
	close(fd);
	if (error) {
		free(*bytes);
		*bytes = NULL;
	}
	return error;
}
