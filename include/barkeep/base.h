/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What all headers share: errors and the log.
 *
 * Every barkeep call that can fail returns 0 or a negative errno. Calls whose
 * failure a person has to understand (opening a device, loading a file) also
 * fill a `struct bk_error` with one line: what failed, where, and what to do.
 *
 * Structs that may get more members in a later release begin with `struct_size`. Set it to the
 * sizeof of the struct. 0 stands for the members of release 0.1, so a zeroed struct is enough if
 * you use no others. If the caller's struct lacks a member, the library takes it as 0, or does not
 * fill it in. -E2BIG: the caller's struct has a member that this library does not know, and it is
 * not 0.
 */
#ifndef BARKEEP_BASE_H
#define BARKEEP_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The release of this header. */
#define BK_VERSION_MAJOR 0
#define BK_VERSION_MINOR 1
#define BK_VERSION_PATCH 0
#define BK_VERSION       (BK_VERSION_MAJOR << 16 | BK_VERSION_MINOR << 8 | BK_VERSION_PATCH)

/* BK_VERSION of the library that the program runs with. Any thread, any handler. */
unsigned bk_version(void);

/* One line for a person, without a newline at the end. If the text is too long, its middle is left
 * out; control characters become `?`. */
struct bk_error {
	char text[1024];
};

/*
 * Writes the line and returns -code, so that a caller can say
 * `return bk_fail(err, ENOENT, "%s: no such device", name);`.
 * `err` may be NULL. `code` is a positive errno. Any thread, any handler.
 */
int bk_fail(struct bk_error *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

enum bk_log_level {
	BK_LOG_ERROR,   /* something was lost or cannot work */
	BK_LOG_WARNING, /* works, but not as asked or not as fast */
	BK_LOG_INFO,
	BK_LOG_DEBUG,
};

/* Is called with one line, without a newline, from any thread and with any lock held. It must not
 * call barkeep. */
typedef void bk_log_fn(void *opaque, enum bk_log_level level, const char *line);

/*
 * Sets the function that gets log lines; NULL restores the default (standard error, level
 * BK_LOG_WARNING and above). It applies to the whole process: call it before starting threads.
 */
void bk_log_set(bk_log_fn *fn, void *opaque);

/* Writes one line to the log. Any thread, any handler. */
void bk_log(enum bk_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Receives the text that a call produces, in pieces of `size` bytes without a terminating zero. It
 * is called on the thread that made the call, with no barkeep lock held. It returns 0 or a negative
 * errno; after an error it is not called again, and the call returns that error. It may be called
 * in any handler.
 */
typedef int bk_sink_fn(void *opaque, const char *text, size_t size);

/* A sink that writes to `file`, a FILE * open for writing. -EIO: it could not be written or
 * flushed. Any thread. */
int bk_sink_file(void *file, const char *text, size_t size);

#ifdef __cplusplus
}
#endif
#endif
