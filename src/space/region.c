/* SPDX-License-Identifier: BSD-2-Clause */
/* Regions: creating them, the two trees that hold them, and freeing them. */
#include "space/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/struct.h"

static struct bk_region *placed(const struct bk__space_node *node)
{
	return bk__space_container(node, struct bk_region, by_place);
}

static struct bk_region *ordered(const struct bk__space_node *node)
{
	return bk__space_container(node, struct bk_region, by_order);
}

static int compare_id(const struct bk_region *a, const struct bk_region *b)
{
	return a->id < b->id ? -1 : a->id > b->id;
}

static int compare_place(const struct bk__space_node *left, const struct bk__space_node *right)
{
	const struct bk_region *a = placed(left), *b = placed(right);

	if (a->first != b->first)
		return a->first < b->first ? -1 : 1;
	return compare_id(a, b);
}

/* Without the id: equal for what may not be in one space. */
static int compare_rank(const struct bk_region *a, const struct bk_region *b)
{
	if (a->priority != b->priority)
		return a->priority > b->priority ? -1 : 1;
	return a->rank < b->rank ? -1 : a->rank > b->rank;
}

static int compare_order(const struct bk__space_node *left, const struct bk__space_node *right)
{
	const struct bk_region *a = ordered(left), *b = ordered(right);
	int order = compare_rank(a, b);

	return order ? order : compare_id(a, b);
}

static void refresh_highest(struct bk__space_node *node)
{
	struct bk_region *region = placed(node);
	uint64_t highest = region->last;

	if (node->left && placed(node->left)->highest_last > highest)
		highest = placed(node->left)->highest_last;
	if (node->right && placed(node->right)->highest_last > highest)
		highest = placed(node->right)->highest_last;
	region->highest_last = highest;
}

const struct bk__space_tree bk__space_tree_by_place = { .compare = compare_place,
							.refresh = refresh_highest };
const struct bk__space_tree bk__space_tree_by_order = { .compare = compare_order };

const char *const bk__space_kind_names[] = {
	[BK_REGION_HANDLED] = "handled",
	[BK_REGION_MAPPED] = "mapped",
	[BK_REGION_NESTED] = "nested",
};

static const char *find_fault(const struct bk_space *space, const struct bk_region_desc *desc,
			      const struct bk_region_ops *ops)
{
	if (desc->last < desc->first || desc->last > space->last)
		return "that is no range of it";
	if (ops && ops->widths > BK_WIDTH_ALL)
		return "it takes widths that there are not";
	switch (desc->kind) {
	case BK_REGION_HANDLED:
		return ops ? NULL : "it has no handlers";
	case BK_REGION_MAPPED:
		if (!ops && !(desc->memory.attributes & BK_MEMORY_RAM && desc->memory.host))
			return "it has neither handlers nor RAM";
		return NULL;
	case BK_REGION_NESTED:
		if (!desc->nested)
			return "it shows no space";
		return desc->last - desc->first > UINT64_MAX - desc->nested_first
			       ? "it shows addresses beyond 2^64"
			       : NULL;
	}
	return "there is no such kind";
}

/* What the caller knows of desc and ops, with zeros for the rest of it; `ops` is left alone if there are
 * none. */
static int take_desc(const struct bk_region_desc *given, struct bk_region_desc *desc,
		     struct bk_region_ops *ops)
{
	int error = bk__struct_take(desc, sizeof(*desc), given);

	if (error || !desc->ops)
		return error;
	error = bk__struct_take(ops, sizeof(*ops), desc->ops);
	desc->ops = ops;
	return error;
}

static int check(const struct bk_space *space, const struct bk_region_desc *desc, struct bk_error *err)
{
	const char *fault = find_fault(space, desc, desc->ops);

	if (fault)
		return bk_fail(err, EINVAL, "region \"%s\" at 0x%" PRIx64 "-0x%" PRIx64 " of \"%s\": %s",
			       desc->name ? desc->name : "", desc->first, desc->last, space->name, fault);
	if (desc->kind == BK_REGION_NESTED && desc->nested->domain != space->domain)
		return bk_fail(err, EXDEV, "region \"%s\" of \"%s\": \"%s\" is of another domain",
			       desc->name ? desc->name : "", space->name, desc->nested->name);
	return 0;
}

/* Spreads the bits of a number that is given out in order (the finaliser of splitmix64). */
static uint64_t scatter(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/* What a span of this region does; its place is filled in when it gets one. */
static void prepare_answer(struct bk_region *region, const struct bk_region_ops *ops)
{
	struct bk__space_span *answer = &region->answer;

	region->rest.region = region;
	answer->opaque = region->opaque;
	region->widths = ops && ops->widths ? ops->widths : BK_WIDTH_ALL;
	if (ops) {
		region->whole = ops->whole;
		region->yields = ops->yields;
		answer->read = ops->read ? ops->read : bk__space_no_read;
		region->rest.write = ops->write ? ops->write : bk__space_no_write;
	} else {
		bool readonly = region->memory.attributes & BK_MEMORY_READONLY;

		answer->opaque = region->memory.host;
		answer->read = bk__space_plain_read;
		region->rest.write = readonly ? bk__space_no_write : bk__space_plain_write;
		region->base = 0;
		region->plain = true;
	}
}

static struct bk_region *make(struct bk_space *space, const struct bk_region_desc *desc)
{
	const char *name = desc->name ? desc->name : "";
	struct bk_region *region = calloc(1, sizeof(*region) + strlen(name) + 1);

	if (!region)
		return NULL;
	strcpy(region->name, name);
	region->space = space;
	region->id = __atomic_fetch_add(&space->domain->next_region_id, 1, __ATOMIC_RELAXED);
	region->by_place.weight = region->by_order.weight = (uint32_t)scatter(region->id + 1);
	region->first = desc->first;
	region->last = desc->last;
	region->length = desc->last - desc->first;
	region->priority = desc->priority;
	region->rank = desc->rank;
	region->enabled = !desc->disabled;
	region->kind = desc->kind;
	region->opaque = desc->opaque;
	region->base = desc->base;
	if (desc->ops)
		region->released = desc->ops->released;
	if (desc->kind == BK_REGION_MAPPED)
		region->memory = desc->memory;
	if (desc->kind == BK_REGION_NESTED) {
		region->nested = desc->nested;
		region->nested_first = desc->nested_first;
	} else {
		prepare_answer(region, desc->ops);
	}
	return region;
}

int bk__space_region_create(struct bk_space *space, const struct bk_region_desc *given,
			    struct bk_region **result, struct bk_error *err)
{
	struct bk_region_desc desc;
	struct bk_region_ops ops;
	struct bk_region *region;
	int error = take_desc(given, &desc, &ops);

	if (error)
		return bk_fail(err, -error,
			       "a region of \"%s\" asks for what this library does not have: it is too old",
			       space->name);
	error = check(space, &desc, err);
	if (error)
		return error;
	region = make(space, &desc);
	if (!region)
		return bk_fail(err, ENOMEM, "out of memory");
	*result = region;
	return 0;
}

void bk__space_region_link(struct bk_region *region)
{
	struct bk_space *space = region->space;

	bk__space_tree_insert(&space->by_place, &region->by_place);
	bk__space_tree_insert(&space->by_order, &region->by_order);
	space->region_count++;
	if (region->nested) {
		region->next_shown = region->nested->shown;
		region->shown_link = &region->nested->shown;
		if (region->next_shown)
			region->next_shown->shown_link = &region->next_shown;
		region->nested->shown = region;
	}
	region->present = true;
}

void bk__space_region_unlink(struct bk_region *region)
{
	struct bk_space *space = region->space;

	bk__space_tree_remove(&space->by_place, &region->by_place);
	bk__space_tree_remove(&space->by_order, &region->by_order);
	space->region_count--;
	if (region->nested) {
		*region->shown_link = region->next_shown;
		if (region->next_shown)
			region->next_shown->shown_link = region->shown_link;
	}
	region->present = false;
}

void bk__space_region_release(struct bk_region *region)
{
	if (region->released)
		region->released(region->opaque);
	free(region);
}

/* Nodes of equal priority and rank lie side by side, but in any shape. */
static struct bk_region *twin_below(const struct bk__space_node *node, const struct bk_region *region)
{
	while (node) {
		int order = compare_rank(region, ordered(node));
		struct bk_region *found;

		if (order == 0 && ordered(node) != region)
			return ordered(node);
		if (order == 0 && (found = twin_below(node->left, region)))
			return found;
		node = order < 0 ? node->left : node->right;
	}
	return NULL;
}

struct bk_region *bk__space_region_twin(const struct bk_region *region)
{
	return twin_below(region->space->by_order.root, region);
}

bool bk__space_region_shows(const struct bk_region *region, uint64_t *first, uint64_t *last)
{
	*first = region->nested_first;
	*last = *first + region->length; /* 2^64 - 1 at most, see check_result */
	if (*last > region->nested->last)
		*last = region->nested->last;
	return *first <= *last;
}

static int visit_below(const struct bk__space_node *node, uint64_t first, uint64_t last,
		       int (*visit)(void *opaque, struct bk_region *region), void *opaque)
{
	while (node && placed(node)->highest_last >= first) {
		struct bk_region *region = placed(node);
		int error = visit_below(node->left, first, last, visit, opaque);

		if (!error && region->first <= last && region->last >= first)
			error = visit(opaque, region);
		if (error || region->first > last)
			return error;
		node = node->right;
	}
	return 0;
}

int bk__space_regions_visit(const struct bk_space *space, uint64_t first, uint64_t last,
			    int (*visit)(void *opaque, struct bk_region *region), void *opaque)
{
	return visit_below(space->by_place.root, first, last, visit, opaque);
}

static void visit_in_order(const struct bk__space_node *node, uint64_t address,
			   void (*visit)(void *opaque, struct bk_region *region), void *opaque)
{
	for (; node; node = node->right) {
		struct bk_region *region = ordered(node);

		visit_in_order(node->left, address, visit, opaque);
		if (region->first <= address && region->last >= address)
			visit(opaque, region);
	}
}

void bk__space_regions_visit_at(const struct bk_space *space, uint64_t address,
				void (*visit)(void *opaque, struct bk_region *region), void *opaque)
{
	visit_in_order(space->by_order.root, address, visit, opaque);
}

const char *bk_region_name(const struct bk_region *region)
{
	return region->name;
}

void *bk_region_opaque(const struct bk_region *region)
{
	return region->opaque;
}

struct bk_space *bk_region_space(const struct bk_region *region)
{
	return region->space;
}

uint64_t bk_region_errors(const struct bk_region *region)
{
	return __atomic_load_n(&region->errors, __ATOMIC_RELAXED);
}
