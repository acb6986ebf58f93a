/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads a regular file whole, with a bound on its size. */
#ifndef BARKEEP_BASE_FILE_H
#define BARKEEP_BASE_FILE_H

#include <barkeep/base.h>

/*
 * Reads `path` into `*bytes`, which the caller frees. A NUL follows the last
 * byte. -EINVAL for what is no regular file, -EFBIG for more than `most`
 * bytes; the line names the file and the reason. It never waits for a FIFO.
 */
int bk__base_file_read(const char *path, size_t most, char **bytes, size_t *size, struct bk_error *err);

#endif
