/* SPDX-License-Identifier: BSD-2-Clause */
/* An update: the changes that its owner has listed so far, or the first error. */
#ifndef BARKEEP_SPACE_UPDATE_H
#define BARKEEP_SPACE_UPDATE_H

#include "space/internal.h"

enum bk__space_change_kind { BK__ADD, BK__REMOVE, BK__PLACE, BK__ENABLE, BK__ORDER };

struct bk__space_change {
	enum bk__space_change_kind kind;
	struct bk_region *region;
	union {
		struct {
			uint64_t first, last, nested_first;
			bool shows; /* nested_first counts */
		} place;
		bool enabled;
		struct {
			int priority;
			uint64_t rank;
		} order;
	};
};

struct bk_update {
	struct bk_domain *domain;
	int error;             /* the first; nothing is appended after it */
	struct bk_error *line; /* about it; NULL: there was no memory for it, or there is nothing to say */
	BK__ARRAY(struct bk__space_change) changes;
	struct bk__space_change few[4]; /* room for the first ones: most updates have no more */
};

/* Notes an error, unless there is one already, and a line about it. Returns the first error. */
int bk__space_update_fail(struct bk_update *update, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4), cold));
/* Frees the update and, unless they are in their spaces now, the regions it added. */
void bk__space_update_free(struct bk_update *update, bool keep_regions);

#endif
