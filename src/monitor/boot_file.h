/* SPDX-License-Identifier: BSD-2-Clause */
/* Files that a guest boots from: open for as long as it may be restarted. */
#ifndef BK_MONITOR_BOOT_FILE_H
#define BK_MONITOR_BOOT_FILE_H

#include <barkeep/base.h>

struct bk__monitor_file {
	char *name;
	int fd; /* -1: none */
	uint64_t size;
};

/* A regular file. One line if it cannot be opened. It never waits for a FIFO. */
int bk__monitor_file_open(const char *name, struct bk__monitor_file *file, struct bk_error *err);
void bk__monitor_file_close(struct bk__monitor_file *file);

/* Reads all of [offset, offset + length), or fails: the file may have shrunk since it was opened. */
int bk__monitor_file_read(const struct bk__monitor_file *file, uint64_t offset, void *data, uint64_t length,
			  struct bk_error *err);

#endif
