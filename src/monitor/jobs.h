/* SPDX-License-Identifier: BSD-2-Clause */
/* What may take minutes, as a reset does: done in threads of its own, all at once, while its owner serves
 * others. */
#ifndef BK_MONITOR_JOBS_H
#define BK_MONITOR_JOBS_H

#include <barkeep/base.h>

struct bk__job;

/* Owner only. */
struct bk__jobs {
	struct bk__job *list;
	_Atomic unsigned left; /* those under way, and one while more may be added */
	int done;              /* eventfd, the owner's: written when none is left */
};

void bk__jobs_begin(struct bk__jobs *jobs, int done);

/* Starts `work`. Without a thread for it, does it before it returns. */
void bk__jobs_add(struct bk__jobs *jobs, void (*work)(void *opaque), void *opaque);

/* No more are added: wait for `done`, then end them. */
void bk__jobs_seal(struct bk__jobs *jobs);

/* Waits for all of them. */
void bk__jobs_end(struct bk__jobs *jobs);

#endif
