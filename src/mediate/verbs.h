/* SPDX-License-Identifier: BSD-2-Clause */
/* Ready-made traps: one file a verb, all with the same state. */
#ifndef BARKEEP_MEDIATE_VERBS_H
#define BARKEEP_MEDIATE_VERBS_H

#include <barkeep/mediate.h>

#include "base/ratelimit.h"

/* The opaque of a ready-made trap; freed when it is released. */
struct bk__mediate_verb {
	struct bk_mediator *mediate;
	uint64_t first; /* where it starts in the region */
	uint64_t value;
	unsigned region, width;
	struct bk__ratelimit limit; /* log */
};

/* Makes `desc`, whose offset is from the start of its region, one with handlers: its opaque is a verb, for
 * the caller to free if the trap is not added. -EINVAL or -ENOMEM with a line. */
int bk__mediate_verb_make(struct bk_mediator *m, struct bk_trap_desc *desc, struct bk_error *err);

/* What bk_trap_parse calls it; NULL: there is no such verb to be written. */
const char *bk__mediate_verb_name(enum bk_trap_verb verb);

extern const struct bk_trap_ops bk__mediate_mirror_ops, bk__mediate_constant_ops, bk__mediate_log_ops;

#endif
