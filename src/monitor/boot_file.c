/* SPDX-License-Identifier: BSD-2-Clause */
/* Files that a guest boots from: open for as long as it may be restarted. */
#include "monitor/boot_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int bk__monitor_file_open(const char *name, struct bk__monitor_file *file, struct bk_error *err)
{
	struct stat stat;

	file->name = strdup(name);
	if (!file->name)
		return bk_fail(err, ENOMEM, "%s: out of memory", name);
	/* O_NONBLOCK: a FIFO must not make us wait before we can refuse it. */
	file->fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (file->fd < 0 || fstat(file->fd, &stat) < 0)
		return bk_fail(err, errno, "%s: %s", name, strerror(errno));
	if (!S_ISREG(stat.st_mode))
		return bk_fail(err, EINVAL, "%s: not a regular file", name);
	file->size = (uint64_t)stat.st_size;
	return 0;
}

void bk__monitor_file_close(struct bk__monitor_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	free(file->name);
}

int bk__monitor_file_read(const struct bk__monitor_file *file, uint64_t offset, void *data, uint64_t length,
			  struct bk_error *err)
{
	uint8_t *to = data;

	while (length) {
		ssize_t got = pread(file->fd, to, length, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return bk_fail(err, errno, "%s: cannot read it: %s", file->name, strerror(errno));
		if (!got)
			return bk_fail(err, EIO, "%s: it ends at %" PRIu64 ": it has shrunk", file->name,
				       offset);
		to += got;
		offset += (uint64_t)got;
		length -= (uint64_t)got;
	}
	return 0;
}
