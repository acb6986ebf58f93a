/* SPDX-License-Identifier: BSD-2-Clause */
/* Updates: a private list of changes. See commit.c for what becomes of it. */
#include "space/update.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RANGE "0x%" PRIx64 "-0x%" PRIx64

struct bk_update *bk_update_begin(struct bk_domain *domain)
{
	struct bk_update *update = malloc(sizeof(*update));

	if (!update)
		return NULL;
	update->domain = domain;
	update->error = 0;
	update->line = NULL;
	update->changes.at = update->few;
	update->changes.count = 0;
	update->changes.capacity = sizeof(update->few) / sizeof(update->few[0]);
	return update;
}

int bk__space_update_fail(struct bk_update *update, int error, const char *format, ...)
{
	va_list args;

	update->error = error;
	update->line = malloc(sizeof(*update->line));
	if (update->line) {
		va_start(args, format);
		vsnprintf(update->line->text, sizeof(update->line->text), format, args);
		va_end(args);
	}
	return error;
}

/* The first ones move out of the update. */
static int grow(struct bk_update *update)
{
	const size_t count = update->changes.count;

	if (update->changes.at != update->few)
		return bk__array_enlarge(&update->changes, 1);
	update->changes.at = NULL;
	update->changes.count = update->changes.capacity = 0;
	if (bk__array_enlarge(&update->changes, count + 1)) {
		update->changes.at = update->few;
		update->changes.count = update->changes.capacity = count;
		return -ENOMEM;
	}
	memcpy(update->changes.at, update->few, sizeof(update->few));
	update->changes.count = count;
	return 0;
}

static int append(struct bk_update *update, struct bk__space_change change)
{
	if (change.region->space->domain != update->domain)
		return bk__space_update_fail(update, -EXDEV, "region \"%s\" is of another domain",
					     change.region->name);
	if (update->changes.count == update->changes.capacity && grow(update))
		return bk__space_update_fail(update, -ENOMEM, "out of memory");
	update->changes.at[update->changes.count++] = change;
	return 0;
}

int bk_update_add(struct bk_update *update, struct bk_space *space, const struct bk_region_desc *desc,
		  struct bk_region **result)
{
	struct bk_region *region = NULL;
	struct bk_error err;
	int error = update ? update->error : -ENOMEM;

	if (!error && space->domain != update->domain)
		error = bk__space_update_fail(update, -EXDEV, "space \"%s\" is of another domain",
					      space->name);
	if (!error) {
		error = bk__space_region_create(space, desc, &region, &err);
		if (error)
			bk__space_update_fail(update, error, "%s", err.text);
	}
	if (!error) {
		error = append(update, (struct bk__space_change){ .kind = BK__ADD, .region = region });
		if (error) {
			free(region);
			region = NULL;
		}
	}
	if (result)
		*result = region;
	return error;
}

int bk_update_remove(struct bk_update *update, struct bk_region *region)
{
	if (!update || update->error)
		return update ? update->error : -ENOMEM;
	return append(update, (struct bk__space_change){ .kind = BK__REMOVE, .region = region });
}

static int place(struct bk_update *update, struct bk__space_change change)
{
	const struct bk_region *region = change.region;
	const uint64_t first = change.place.first, last = change.place.last;

	if (last < first || last > region->space->last)
		return bk__space_update_fail(update, -EINVAL,
					     "region \"%s\": " RANGE " is no range of \"%s\"", region->name,
					     first, last, region->space->name);
	if (region->kind == BK_REGION_HANDLED &&
	    last - first != __atomic_load_n(&region->length, __ATOMIC_RELAXED))
		return bk__space_update_fail(
			update, -EINVAL, "region \"%s\": " RANGE " is of another length, and it has handlers",
			region->name, first, last);
	return append(update, change);
}

int bk_update_move(struct bk_update *update, struct bk_region *region, uint64_t first, uint64_t last)
{
	if (!update || update->error)
		return update ? update->error : -ENOMEM;
	return place(update, (struct bk__space_change){ .kind = BK__PLACE,
							.region = region,
							.place = { .first = first, .last = last } });
}

int bk_update_place(struct bk_update *update, struct bk_region *region, uint64_t first, uint64_t last,
		    uint64_t nested_first)
{
	if (!update || update->error)
		return update ? update->error : -ENOMEM;
	if (region->kind != BK_REGION_NESTED)
		return bk__space_update_fail(update, -EINVAL, "region \"%s\" shows no space", region->name);
	return place(update, (struct bk__space_change){ .kind = BK__PLACE,
							.region = region,
							.place = { .first = first,
								   .last = last,
								   .nested_first = nested_first,
								   .shows = true } });
}

int bk_update_enable(struct bk_update *update, struct bk_region *region, bool enabled)
{
	if (!update || update->error)
		return update ? update->error : -ENOMEM;
	return append(update,
		      (struct bk__space_change){ .kind = BK__ENABLE, .region = region, .enabled = enabled });
}

int bk_update_order(struct bk_update *update, struct bk_region *region, int priority, uint64_t rank)
{
	if (!update || update->error)
		return update ? update->error : -ENOMEM;
	return append(update, (struct bk__space_change){
				      .kind = BK__ORDER, .region = region, .order = { priority, rank } });
}

void bk__space_update_free(struct bk_update *update, bool keep_regions)
{
	for (size_t i = 0; !keep_regions && i < update->changes.count; i++) {
		if (update->changes.at[i].kind == BK__ADD)
			free(update->changes.at[i].region);
	}
	if (update->changes.at != update->few)
		free(update->changes.at);
	free(update->line);
	free(update);
}

void bk_update_drop(struct bk_update *update)
{
	if (update)
		bk__space_update_free(update, false);
}
