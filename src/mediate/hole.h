/* SPDX-License-Identifier: BSD-2-Clause */
/* Changes of the mappable areas: those of the device below, and reports of them to the watcher
 * above. */
#ifndef BARKEEP_MEDIATE_HOLE_H
#define BARKEEP_MEDIATE_HOLE_H

#include "mediate/mediate.h"

/* A range of a mapped area that exits because of the device below. */
struct bk__mediate_range {
	uint64_t first, last;
	struct bk_region *handle;
	struct bk__mediate_place *place; /* while it is not committed */
};

/* Starts to follow changes of the device below; the spaces exist already. (hole.c) */
int bk__mediate_holes_begin(struct bk_mediator *m);
/* Stops following them. Not under the lock. (hole.c) */
void bk__mediate_holes_end(struct bk_mediator *m);

/* Appends the region of a hole to the update. (place.c) */
int bk__mediate_hole_append(struct bk_mediator *m, unsigned region, struct bk_update *update,
			    struct bk__mediate_range *hole);

/* Announces that pages of this range must no longer be mapped. 0: nothing above accesses them directly
 * any more; otherwise the error of the watcher above. The second call reports that the mappable areas
 * of a region have changed, or are again as before. Under the lock. (hole.c) */
int bk__mediate_watcher_lose(struct bk_mediator *m, unsigned region, uint64_t first, uint64_t last);
void bk__mediate_watcher_change(struct bk_mediator *m, unsigned region);

#endif
