/* SPDX-License-Identifier: BSD-2-Clause */
/* Limits the rate of log lines that a guest can cause. */
#ifndef BARKEEP_BASE_RATELIMIT_H
#define BARKEEP_BASE_RATELIMIT_H

#include <barkeep/base.h>

/*
 * A token bucket for lines that a guest can cause: ten lines at once, then
 * one a second. Zero-initialise it; share it freely between threads.
 */
struct bk__ratelimit {
	uint64_t state;
};

/* True if a line may be written now. Lines refused are counted, and the count
 * is stored in `*missed` when the next line is allowed. */
bool bk__ratelimit_ok(struct bk__ratelimit *limit, uint64_t *missed);

/* bk_log for lines that a guest can cause: writes as many as `limit` allows; the next line after a gap
 * says how many were left out. */
void bk__log_limited(struct bk__ratelimit *limit, enum bk_log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
