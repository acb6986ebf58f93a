/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads a regular file whole, with a bound on its size; finds what lies beside another one. */
#ifndef BARKEEP_BASE_FILE_H
#define BARKEEP_BASE_FILE_H

#include <barkeep/base.h>

/*
 * Reads `path` into `*bytes`, which the caller frees. A NUL follows the last
 * byte. -EINVAL for what is no regular file, -EFBIG for more than `most`
 * bytes; the line names the file and the reason. It never waits for a FIFO.
 */
int bk__base_file_read(const char *path, size_t most, char **bytes, size_t *size, struct bk_error *err);

/*
 * Opens the file `name` in the directory of `file`, with O_CLOEXEC and without
 * waiting for a FIFO. `name` has no directory, and a link is not followed: the author of `file` must
 * not be able to read any other file. A descriptor, or a negative errno; the line says `what` the file
 * is for, but not the name of `file`.
 */
int bk__base_file_open_beside(const char *what, const char *file, const char *name, int flags,
			      struct bk_error *err);

/* Reads such a file as bk__base_file_read does. */
int bk__base_file_read_beside(const char *what, const char *file, const char *name, size_t most, char **bytes,
			      size_t *size, struct bk_error *err);

#endif
