/* SPDX-License-Identifier: BSD-2-Clause */
/* Ready-made traps: one file a verb, all with the same state. */
#ifndef BARKEEP_MEDIATE_VERBS_H
#define BARKEEP_MEDIATE_VERBS_H

#include <barkeep/mediate.h>

/* The opaque of a ready-made trap; freed when it is released. */
struct bk__verb {
	struct bk_mediate *mediate;
	struct bk_trap_spec spec;
	struct bk_ratelimit limit; /* log */
};

void bk__verb_released(void *opaque);

extern const struct bk_trap_ops bk__mirror_ops, bk__constant_ops, bk__log_ops;

#endif
