/* SPDX-License-Identifier: BSD-2-Clause */
/* Rounds the flat view of a region to pages, as a monitor's memslots would. */
#include "cli/page_runs.h"

struct rounding {
	uint64_t page;
	uint64_t next; /* first byte not yet told */
	void (*visit)(void *opaque, const struct cli_pages *run);
	void *opaque;
};

static void tell(struct rounding *to, uint64_t end, bool mapped)
{
	const struct cli_pages run = { .first = to->next, .last = end - 1, .mapped = mapped };

	if (end > to->next)
		to->visit(to->opaque, &run);
	to->next = end;
}

static bool round_inward(void *opaque, const struct bk_flat *flat)
{
	struct rounding *to = opaque;
	uint64_t first = (flat->first + to->page - 1) & ~(to->page - 1),
		 end = (flat->last + 1) & ~(to->page - 1);

	if (flat->memory && end > first) {
		tell(to, first, false);
		tell(to, end, true);
	}
	return true;
}

void cli_pages_visit(struct bk_space *space, uint64_t page,
		     void (*visit)(void *opaque, const struct cli_pages *run), void *opaque)
{
	struct rounding to = { .page = page, .visit = visit, .opaque = opaque };

	bk_space_visit(space, 0, bk_space_last(space), round_inward, &to);
	tell(&to, bk_space_last(space) + 1, false);
}

struct naming {
	void (*visit)(void *opaque, const char *name, uint64_t first, uint64_t last);
	void *opaque;
};

static bool name_handled(void *opaque, const struct bk_flat *flat)
{
	const struct naming *to = opaque;

	if (!flat->memory)
		to->visit(to->opaque, bk_region_name(flat->region), flat->first, flat->last);
	return true;
}

void cli_pages_traps(struct bk_space *space, const struct cli_pages *run,
		     void (*visit)(void *opaque, const char *name, uint64_t first, uint64_t last),
		     void *opaque)
{
	struct naming to = { .visit = visit, .opaque = opaque };

	bk_space_visit(space, run->first, run->last, name_handled, &to);
}
