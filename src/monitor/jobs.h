/* SPDX-License-Identifier: BSD-2-Clause */
/* Jobs that may take minutes, such as resets: they run in parallel, each in its own thread, while the
 * owner continues. */
#ifndef BK_MONITOR_JOBS_H
#define BK_MONITOR_JOBS_H

#include <barkeep/base.h>

struct bk__monitor_job;

/* Owner only. */
struct bk__monitor_jobs {
	struct bk__monitor_job *list;
	_Atomic unsigned left; /* those under way, and one while more may be added */
	int done;              /* eventfd, the owner's: written when none is left */
};

void bk__monitor_jobs_begin(struct bk__monitor_jobs *jobs, int done);

/* Starts `work`. Without a thread for it, does it before it returns. */
void bk__monitor_jobs_add(struct bk__monitor_jobs *jobs, void (*work)(void *opaque), void *opaque);

/* No more are added: wait for `done`, then end them. */
void bk__monitor_jobs_seal(struct bk__monitor_jobs *jobs);

/* Waits for all of them. */
void bk__monitor_jobs_end(struct bk__monitor_jobs *jobs);

#endif
