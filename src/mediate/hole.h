/* SPDX-License-Identifier: BSD-2-Clause */
/* What can be mapped changes: of the device below, and for who stands above. */
#ifndef BARKEEP_MEDIATE_HOLE_H
#define BARKEEP_MEDIATE_HOLE_H

#include "mediate/mediate.h"

/* A range of a mapped area that exits because of the device below. */
struct bk__mediate_range {
	uint64_t first, last;
	struct bk_region *handle;
	struct bk__mediate_place *place; /* while it is not committed */
};

/* From now on what changes below is followed; the spaces are built. (hole.c) */
int bk__mediate_holes_begin(struct bk_mediator *m);
/* And no more. Not under the lock. (hole.c) */
void bk__mediate_holes_end(struct bk_mediator *m);

/* Appends the region of a hole to the update. (place.c) */
int bk__mediate_hole_append(struct bk_mediator *m, unsigned region, struct bk_update *update,
			    struct bk__mediate_range *hole);

/* Pages of this range are about to exit: 0, and nobody above reaches them directly any more; or an error of
 * theirs. Then what can be mapped of a region is different, or as it was. Under the lock. (hole.c) */
int bk__mediate_watcher_lose(struct bk_mediator *m, unsigned region, uint64_t first, uint64_t last);
void bk__mediate_watcher_change(struct bk_mediator *m, unsigned region);

#endif
