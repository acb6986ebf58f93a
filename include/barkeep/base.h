/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every room shares: how a call fails, and where a log line goes.
 *
 * Every barkeep call that can fail returns 0 or a negative errno. Calls whose
 * failure a person has to understand (opening a device, loading a file) also
 * fill a `struct bk_error` with one line: what failed, where, and what to do.
 *
 * Structs that may get more members in a later release begin with `struct_size`.
 * Set it to the size of the struct, as your compiler knows it. 0 stands for the
 * members that release 0.1 has, so a zeroed struct will do for those. A member
 * that the caller does not have counts as 0, or is not filled. -E2BIG: a member
 * that this library does not have is not 0.
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

/* The release that this header is of. */
#define BK_VERSION_MAJOR 0
#define BK_VERSION_MINOR 1
#define BK_VERSION_PATCH 0
#define BK_VERSION       (BK_VERSION_MAJOR << 16 | BK_VERSION_MINOR << 8 | BK_VERSION_PATCH)

/* BK_VERSION of the library that the program runs with. Any thread, any handler. */
unsigned bk_version(void);

/* One line for a person, without a newline at its end. A text that is too long loses its middle; control
 * characters become `?`. */
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

/* Gets one line without a newline. Called from any thread, with any lock held:
 * it must not call back into barkeep. */
typedef void bk_log_fn(void *opaque, enum bk_log_level level, const char *line);

/*
 * Where lines go from now on; NULL restores the default (standard error, level
 * BK_LOG_WARNING and above). Process wide: call it before starting threads.
 */
void bk_log_set(bk_log_fn *fn, void *opaque);

/* One line to the log. Any thread, any handler. */
void bk_log(enum bk_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Where a text goes that a call makes: it is called with pieces of it, `size` bytes without a terminating
 * zero, on the thread that made the call, with no barkeep lock held. 0, or a negative errno: then it is not
 * called again, and the call returns that. Any handler.
 */
typedef int bk_sink_fn(void *opaque, const char *text, size_t size);

/* A sink: `file` is a FILE *, open for writing. -EIO: it could not be written, or flushed. Any thread. */
int bk_sink_file(void *file, const char *text, size_t size);

#ifdef __cplusplus
}
#endif
#endif
