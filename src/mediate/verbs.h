/* SPDX-License-Identifier: BSD-2-Clause */
/* Ready-made traps: one file a verb, all with the same state. */
#ifndef BARKEEP_MEDIATE_VERBS_H
#define BARKEEP_MEDIATE_VERBS_H

#include <barkeep/mediate.h>

/* The opaque of a ready-made trap; freed when it is released. */
struct bk__mediate_verb {
	struct bk_mediator *mediate;
	struct bk_trap_spec spec;
	struct bk_ratelimit limit; /* log */
};

extern const struct bk_trap_ops bk__mediate_mirror_ops, bk__mediate_constant_ops, bk__mediate_log_ops;

#endif
