/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks for rooms above, before they destroy something. */
#ifndef BARKEEP_SPACE_ENDS_H
#define BARKEEP_SPACE_ENDS_H

#include <barkeep/space.h>

/* Is this thread inside a dispatch, or in a `released`, so that it cannot wait for readers? */
bool bk__space_must_not_wait(struct bk_domain *domain);

/* Does a region of a space show it, or somebody listen to it? Any thread; owners know that nobody begins to.
 */
bool bk__space_in_use(struct bk_space *space);

#endif
