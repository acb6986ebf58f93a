/* SPDX-License-Identifier: BSD-2-Clause */
/* The clock for timeouts: it runs evenly, whatever the host's time of day is set to. */
#ifndef BARKEEP_BASE_CLOCK_H
#define BARKEEP_BASE_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/* Nanoseconds of CLOCK_MONOTONIC. */
static inline uint64_t bk__base_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The same in milliseconds, as poll counts. */
static inline int64_t bk__base_now_ms(void)
{
	return (int64_t)(bk__base_now() / 1000000);
}

/* Timed waits for it go by that clock. */
static inline void bk__base_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t clock;

	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &clock);
	pthread_condattr_destroy(&clock);
}

#endif
