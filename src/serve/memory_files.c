/* SPDX-License-Identifier: BSD-2-Clause */
/* The files that a client's memory is in, each mapped once and whole, however many ranges of it are used. */
#include "serve/memory_files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/guard.h"

/* A file that waits for a network or another process would let the device wait, too. f_type is of another
 * width and sign on each architecture. */
static bool is_memory(int fd, const struct stat *st)
{
	struct statfs fs;
	const uint32_t type = fstatfs(fd, &fs) ? 0 : (uint32_t)fs.f_type;

	return S_ISREG(st->st_mode) && (type == TMPFS_MAGIC || type == HUGETLBFS_MAGIC);
}

static int check(int fd, const struct stat *st, uint64_t offset, uint64_t size, bool write, bool *writable,
		 struct bk_error *err)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	const int mode = fcntl(fd, F_GETFL) & O_ACCMODE;

	*writable = mode == O_RDWR;
	if (!is_memory(fd, st))
		return bk_fail(err, EINVAL, "the file is no memory: a regular file of tmpfs or hugetlbfs");
	if (mode == O_WRONLY || (write && !*writable))
		return bk_fail(err, EACCES, "the file is not open for that");
	if (offset % page || size % page)
		return bk_fail(err, EINVAL, "the range is not of whole pages");
	if (size > (uint64_t)st->st_size || offset > (uint64_t)st->st_size - size)
		return bk_fail(err, EINVAL, "the file has %" PRIu64 " bytes only", (uint64_t)st->st_size);
	return 0;
}

static struct bk__serve_file *find(const struct bk__serve_files *files, const struct stat *st, uint64_t end,
				   bool writable, bool map)
{
	for (struct bk__serve_file *file = files->first; file; file = file->next)
		if (file->device == st->st_dev && file->inode == st->st_ino && file->writable == writable &&
		    file->mapped == map && (!map || file->size >= end))
			return file;
	return NULL;
}

static int map_file(struct bk__serve_file *file, const struct stat *st, struct bk_error *err)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	void *base;

	file->size = ((uint64_t)st->st_size + page - 1) & ~(page - 1);
	base = mmap(NULL, file->size, PROT_READ | (file->writable ? PROT_WRITE : 0),
		    MAP_SHARED | MAP_NORESERVE, file->fd, 0);
	if (base == MAP_FAILED)
		return bk_fail(err, errno, "the client's memory cannot be mapped: %s", strerror(errno));
	file->base = base;
	madvise(base, file->size, MADV_DONTDUMP);
	file->guard = bk__base_guard_add(base, file->size, 0);
	return file->guard ? 0 : bk_fail(err, ENOMEM, "out of memory");
}

static void free_file(struct bk__serve_file *file)
{
	bk__base_guard_remove(file->guard);
	if (file->base)
		munmap(file->base, file->size);
	close(file->fd);
	free(file);
}

static int make_file(struct bk__serve_files *files, int fd, const struct stat *st, bool writable, bool map,
		     struct bk__serve_file **result, struct bk_error *err)
{
	struct bk__serve_file *file;
	int error;

	if (files->count == BK__SERVE_FILES) {
		close(fd);
		return bk_fail(err, ENFILE, "the client's memory is in more than %d files", BK__SERVE_FILES);
	}
	file = calloc(1, sizeof(*file));
	if (!file) {
		close(fd);
		return bk_fail(err, ENOMEM, "out of memory");
	}
	*file = (struct bk__serve_file){ .device = st->st_dev,
					 .inode = st->st_ino,
					 .fd = fd,
					 .writable = writable,
					 .mapped = map,
					 .uses = 1 };
	error = map ? map_file(file, st, err) : 0;
	if (error) {
		free_file(file);
		return error;
	}
	file->next = files->first;
	files->first = file;
	files->count++;
	*result = file;
	return 0;
}

int bk__serve_file_get(struct bk__serve_files *files, int fd, uint64_t offset, uint64_t size, bool write,
		       bool map, struct bk__serve_file **result, struct bk_error *err)
{
	struct bk__serve_file *file;
	struct stat st;
	bool writable = false;
	int error = fstat(fd, &st) ? bk_fail(err, errno, "the file: %s", strerror(errno))
				   : check(fd, &st, offset, size, write, &writable, err);

	if (error) {
		close(fd);
		return error;
	}
	pthread_mutex_lock(&files->lock);
	file = find(files, &st, offset + size, writable, map);
	if (file) {
		close(fd);
		file->uses++;
		*result = file;
	} else {
		error = make_file(files, fd, &st, writable, map, result, err);
	}
	pthread_mutex_unlock(&files->lock);
	return error;
}

void bk__serve_file_put(struct bk__serve_files *files, struct bk__serve_file *file)
{
	struct bk__serve_file **link = &files->first;
	bool last;

	pthread_mutex_lock(&files->lock);
	last = !--file->uses;
	if (last) {
		while (*link != file)
			link = &(*link)->next;
		*link = file->next;
		files->count--;
	}
	pthread_mutex_unlock(&files->lock);
	if (last)
		free_file(file);
}

void bk__serve_files_init(struct bk__serve_files *files)
{
	pthread_mutex_init(&files->lock, NULL);
	files->first = NULL;
	files->count = 0;
}

void bk__serve_files_done(struct bk__serve_files *files)
{
	pthread_mutex_destroy(&files->lock);
}
