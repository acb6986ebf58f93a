/* SPDX-License-Identifier: BSD-2-Clause */
/* A region of a device as runs of pages: mapped straight to the hardware, or not and why. */
#ifndef BK_CLI_PAGE_RUNS_H
#define BK_CLI_PAGE_RUNS_H

#include <barkeep/space.h>

struct cli_pages {
	uint64_t first, last; /* bytes; whole pages, except at the end of a small region */
	bool mapped;
};

/* Calls `visit` for each run of pages of the space's view that are all mapped or all exit, in order. */
void cli_pages_visit(struct bk_space *space, uint64_t page,
		     void (*visit)(void *opaque, const struct cli_pages *run), void *opaque);

/* Calls `visit` for each handled range of the view that touches the run. */
void cli_pages_traps(struct bk_space *space, const struct cli_pages *run,
		     void (*visit)(void *opaque, const char *name, uint64_t first, uint64_t last),
		     void *opaque);

#endif
