/* SPDX-License-Identifier: BSD-2-Clause */
/* The token bucket that keeps a guest from flooding the log. */
#include "base/ratelimit.h"

#include <inttypes.h>
#include <time.h>

#include "base/line.h"

/*
 * The state packs what a bucket needs into one word, so that it is shared
 * without a lock: the second of the last refill (32 bits), the tokens used (8)
 * and the lines refused since (24, saturating).
 */
#define BURST  10u
#define MISSED 0xffffffu

bool bk__ratelimit_ok(struct bk__ratelimit *limit, uint64_t *missed)
{
	struct timespec now;
	uint64_t old = __atomic_load_n(&limit->state, __ATOMIC_RELAXED), new;
	bool ok;

	clock_gettime(CLOCK_MONOTONIC, &now);
	do {
		uint32_t second = (uint32_t)(old >> 32), elapsed = (uint32_t)now.tv_sec - second;
		unsigned used = (old >> 24) & 0xff, refused = old & MISSED;

		used = elapsed >= used ? 0 : used - elapsed;
		ok = used < BURST;
		*missed = ok ? refused : 0;
		if (ok) {
			used++;
			refused = 0;
		} else if (refused < MISSED) {
			refused++;
		}
		new = (uint64_t)(uint32_t)now.tv_sec << 32 | (uint64_t)used << 24 | refused;
	} while (!__atomic_compare_exchange_n(&limit->state, &old, new, false, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	return ok;
}

void bk__log_limited(struct bk__ratelimit *limit, enum bk_log_level level, const char *format, ...)
{
	char line[BK__LINE];
	uint64_t missed;
	va_list args;

	if (!bk__ratelimit_ok(limit, &missed))
		return;
	va_start(args, format);
	bk__base_line(line, format, args);
	va_end(args);
	if (missed)
		bk_log(level, "%s (%" PRIu64 " lines like this left out)", line, missed);
	else
		bk_log(level, "%s", line);
}
