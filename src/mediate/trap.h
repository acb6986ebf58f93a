/* SPDX-License-Identifier: BSD-2-Clause */
/* What rooms above may tell of their traps. */
#ifndef BARKEEP_MEDIATE_TRAP_H
#define BARKEEP_MEDIATE_TRAP_H

#include <barkeep/mediate.h>

/* Some bytes of a read could not be read, and are all ones: counted as an error. From a handler. */
void bk__mediate_trap_failed_in_part(struct bk_trap *trap);

#endif
