/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The files that a client's memory is in, each mapped once and whole, however many ranges of it are used.
 *
 * If a file shrinks, accesses to pages past its end would raise SIGBUS: the server then gets a page of
 * zeros instead.
 */
#ifndef BK_SERVE_MEMORY_FILES_H
#define BK_SERVE_MEMORY_FILES_H

#include <pthread.h>
#include <sys/types.h>

#include <barkeep/base.h>

struct bk__base_guard;

struct bk__serve_file {
	struct bk__serve_file *next;
	dev_t device;
	ino_t inode;
	int fd;
	bool writable, mapped;
	uint8_t *base; /* NULL unless it is mapped */
	uint64_t size; /* bytes that are mapped */
	unsigned uses;
	struct bk__base_guard *guard;
};

/* Each costs the process a descriptor and a mapping, of which other clients need some, too. */
enum { BK__SERVE_FILES = 512 };

struct bk__serve_files {
	pthread_mutex_t lock;
	struct bk__serve_file *first;
	unsigned count;
};

void bk__serve_files_init(struct bk__serve_files *files);
void bk__serve_files_done(struct bk__serve_files *files); /* all have been put */

/*
 * Takes `fd` and finds or makes the file. -EINVAL with a line for what is no memory (a regular file of tmpfs
 * or hugetlbfs), for a range that is not whole pages inside the file; -EACCES for one that cannot be read, or
 * written if `write` is set; -ENFILE for one more than BK__SERVE_FILES; -ENOMEM. With `map` it is mapped. Any
 * thread.
 */
int bk__serve_file_get(struct bk__serve_files *files, int fd, uint64_t offset, uint64_t size, bool write,
		       bool map, struct bk__serve_file **file, struct bk_error *err);
void bk__serve_file_put(struct bk__serve_files *files, struct bk__serve_file *file);

#endif
