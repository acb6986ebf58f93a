/* SPDX-License-Identifier: BSD-2-Clause */
/* Prints a space, for people and for programs. */
#include "space/internal.h"

#include <inttypes.h>

#include "base/printer.h"

/* `"key": "name"` in JSON. */
static void put_name(struct bk__printer *p, const char *key, const char *name)
{
	fprintf(p->out, "\"%s\": \"", key);
	bk__put_text(p, name);
	fputs("\"", p->out);
}

static int put_region(void *opaque, struct bk_region *region);

/* The regions of a space; a space that shows in several places is printed once. */
static void put_regions(struct bk__printer *p, struct bk_space *space)
{
	bk__put_list(p, "regions");
	bk__space_regions_visit(space, 0, UINT64_MAX, put_region, p);
	bk__put_list_end(p);
}

static void put_nested(struct bk__printer *p, const struct bk_region *region)
{
	const uint64_t epoch = region->space->domain->epoch;
	bool seen = region->nested->epoch == epoch;

	region->nested->epoch = epoch;
	if (p->json) {
		fprintf(p->out, ", \"nested\": {\"at\": \"0x%" PRIx64 "\", ", region->nested_first);
		put_name(p, "space", region->nested->name);
		if (!seen) {
			fputs(", ", p->out);
			put_regions(p, region->nested);
		}
		fputs("}", p->out);
	} else {
		fprintf(p->out, " shows %s from 0x%" PRIx64 "%s\n", region->nested->name,
			region->nested_first, seen ? ", as above" : ":");
		if (!seen)
			put_regions(p, region->nested);
	}
}

static int put_region(void *opaque, struct bk_region *region)
{
	uint64_t errors = bk_region_errors(region);
	struct bk__printer *p = opaque;

	bk__put_next(p);
	if (p->json) {
		fputs("{", p->out);
		bk__put_range(p, region->first, region->last);
		fputs(", ", p->out);
		put_name(p, "name", region->name);
		fprintf(p->out,
			", \"kind\": \"%s\", \"priority\": %d, \"rank\": \"0x%" PRIx64
			"\", \"enabled\": %s, \"errors\": %" PRIu64,
			bk__space_kind_names[region->kind], region->priority, region->rank,
			region->enabled ? "true" : "false", errors);
		if (region->nested)
			put_nested(p, region);
		fputs("}", p->out);
		p->first = false;
		return 0;
	}
	bk__put_range(p, region->first, region->last);
	fprintf(p->out, " %s %s, priority %d, rank 0x%" PRIx64 "%s", region->name,
		bk__space_kind_names[region->kind], region->priority, region->rank,
		region->enabled ? "" : ", disabled");
	if (errors)
		fprintf(p->out, ", %" PRIu64 " errors", errors);
	if (region->nested)
		put_nested(p, region);
	else
		fputs("\n", p->out);
	return 0;
}

static void put_flat(struct bk__printer *p, const struct bk_space *space)
{
	struct bk__space_cursor cursor = bk__space_view_begin(space->view);
	const struct bk__space_span *span;

	for (; (span = bk__space_cursor_span(&cursor)); bk__space_cursor_next(&cursor)) {
		struct bk_flat flat;

		bk__space_span_flat(span, &flat);
		bk__put_next(p);
		if (p->json)
			fputs("{", p->out);
		bk__put_range(p, flat.first, flat.last);
		if (p->json) {
			fputs(", ", p->out);
			put_name(p, "region", flat.region->name);
			fprintf(p->out, ", \"offset\": \"0x%" PRIx64 "\", \"kind\": \"%s\"}", flat.offset,
				bk__space_kind_names[flat.region->kind]);
		} else {
			fprintf(p->out, " %s +0x%" PRIx64 "%s\n", flat.region->name, flat.offset,
				flat.memory ? " mapped" : "");
		}
	}
}

static void put_shadow(struct bk__printer *p, const struct bk_space *space,
		       const struct bk__space_item *loser, const struct bk__space_span *winner)
{
	uint64_t first =
		loser->first > bk__space_span_first(winner) ? loser->first : bk__space_span_first(winner);
	uint64_t winner_last = bk__space_span_last(winner);
	uint64_t last = loser->last < winner_last ? loser->last : winner_last;

	bk__put_next(p);
	if (p->json)
		fputs("{", p->out);
	bk__put_range(p, first, last);
	if (p->json) {
		fputs(", ", p->out);
		put_name(p, "space", space->name);
		fputs(", ", p->out);
		put_name(p, "region", loser->region->name);
		fputs(", ", p->out);
		put_name(p, "by", bk__space_rest(winner)->region->name);
		fputs("}", p->out);
	} else {
		fprintf(p->out, " of %s: %s by %s\n", space->name, loser->region->name,
			bk__space_rest(winner)->region->name);
	}
}

/* Every part of what a region of the space would answer that another one does. */
static int put_shadows(struct bk__printer *p, struct bk_space *space);

static int put_nested_shadows(void *opaque, struct bk_region *region)
{
	struct bk__printer *p = opaque;

	if (!region->nested || region->nested->epoch == region->space->domain->epoch)
		return 0;
	return put_shadows(p, region->nested);
}

static int put_shadows(struct bk__printer *p, struct bk_space *space)
{
	int error = bk__space_view_items(space, 0, space->last);

	space->epoch = space->domain->epoch;
	for (size_t i = 0; !error && i < space->domain->items.count; i++) {
		const struct bk__space_item *item = &space->domain->items.at[i];

		struct bk__space_cursor cursor = bk__space_view_find(space->view, item->first);
		const struct bk__space_span *span;

		for (; (span = bk__space_cursor_span(&cursor)) && bk__space_span_first(span) <= item->last;
		     bk__space_cursor_next(&cursor)) {
			if (bk__space_rest(span)->region != item->region || span->origin != item->origin)
				put_shadow(p, space, item, span);
		}
	}
	return error ? error : bk__space_regions_visit(space, 0, UINT64_MAX, put_nested_shadows, p);
}

static int describe(struct bk_space *space, struct bk__printer *p)
{
	struct bk_space_stats stats = { 0 };
	int error;

	bk_space_stats(space, &stats);
	if (p->json) {
		fputs("{", p->out);
		put_name(p, "space", space->name);
		fprintf(p->out, ", \"last\": \"0x%" PRIx64 "\",\n", space->last);
	} else {
		fprintf(p->out, "%s 0x0-0x%" PRIx64 "\nregions\n", space->name, space->last);
	}
	space->domain->epoch++; /* spaces told in this pass have it */
	put_regions(p, space);
	fputs(p->json ? ",\n" : "answered\n", p->out);
	bk__put_list(p, "flat");
	put_flat(p, space);
	bk__put_list_end(p);
	fputs(p->json ? ",\n" : "shadowed\n", p->out);
	bk__put_list(p, "shadowed");
	space->domain->epoch++;
	error = put_shadows(p, space);
	bk__put_list_end(p);
	fprintf(p->out,
		p->json ? ",\n\"unclaimed_reads\": %" PRIu64 ", \"unclaimed_writes\": %" PRIu64
			  ", \"errors\": %" PRIu64 "}\n"
			: "counters\n  %" PRIu64 " unclaimed reads, %" PRIu64 " unclaimed writes, %" PRIu64
			  " errors\n",
		stats.unclaimed_reads, stats.unclaimed_writes, stats.errors);
	return error;
}

int bk_space_describe(struct bk_space *space, enum bk_format format, bk_sink_fn *sink, void *opaque)
{
	struct bk__printer p;
	int error = bk__printer_begin(&p, format == BK_FORMAT_JSON);

	if (error)
		return error;
	p.error = bk__space_lock(space->domain);
	if (!p.error) {
		p.error = describe(space, &p);
		bk__space_unlock(space->domain);
	}
	return bk__printer_end(&p, sink, opaque);
}
