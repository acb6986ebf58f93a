/* SPDX-License-Identifier: BSD-2-Clause */
/* What a space looks like, for people and for programs. */
#include "internal.h"

#include <errno.h>
#include <inttypes.h>

struct printer {
	FILE *out;
	bool json;
	unsigned depth;
	bool first; /* of a JSON list */
	uint64_t epoch;
};

static void put_string(struct printer *p, const char *string)
{
	putc('"', p->out);
	for (const unsigned char *s = (const unsigned char *)string; *s; s++) {
		if (*s == '"' || *s == '\\')
			fprintf(p->out, "\\%c", *s);
		else if (*s < 0x20)
			fprintf(p->out, "\\u%04x", *s);
		else
			putc(*s, p->out);
	}
	putc('"', p->out);
}

/* `"key": "name"` in JSON. */
static void put_name(struct printer *p, const char *key, const char *name)
{
	fprintf(p->out, "\"%s\": ", key);
	put_string(p, name);
}

/* Addresses are strings in JSON: its numbers are not sure to hold 64 bits. */
static void put_range(struct printer *p, uint64_t first, uint64_t last)
{
	if (p->json)
		fprintf(p->out, "\"first\": \"0x%" PRIx64 "\", \"last\": \"0x%" PRIx64 "\"", first, last);
	else
		fprintf(p->out, "0x%08" PRIx64 "-0x%08" PRIx64, first, last);
}

static void put_next(struct printer *p)
{
	if (p->json)
		fputs(p->first ? "\n" : ",\n", p->out);
	p->first = false;
	fprintf(p->out, "%*s", (int)p->depth * 2, "");
}

static void begin_list(struct printer *p, const char *key)
{
	if (p->json)
		fprintf(p->out, "\"%s\": [", key);
	p->first = true;
	p->depth++;
}

static void end_list(struct printer *p)
{
	p->depth--;
	if (p->json)
		fputs("]", p->out);
	p->first = false;
}

static const char *const kinds[] = {
	[BK_REGION_HANDLED] = "handled",
	[BK_REGION_MAPPED] = "mapped",
	[BK_REGION_NESTED] = "nested",
};

static int put_region(void *opaque, struct bk_region *region);

/* The regions of a space; a space that shows in several places is told once. */
static void put_regions(struct printer *p, struct bk_space *space)
{
	begin_list(p, "regions");
	bk__regions_visit(space, 0, UINT64_MAX, put_region, p);
	end_list(p);
}

static void put_nested(struct printer *p, const struct bk_region *region)
{
	bool seen = region->nested->epoch == p->epoch;

	region->nested->epoch = p->epoch;
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
	struct printer *p = opaque;

	put_next(p);
	if (p->json) {
		fputs("{", p->out);
		put_range(p, region->first, region->last);
		fputs(", ", p->out);
		put_name(p, "name", region->name);
		fprintf(p->out,
			", \"kind\": \"%s\", \"priority\": %d, \"rank\": \"0x%" PRIx64
			"\", \"enabled\": %s, \"errors\": %" PRIu64,
			kinds[region->kind], region->priority, region->rank,
			region->enabled ? "true" : "false", errors);
		if (region->nested)
			put_nested(p, region);
		fputs("}", p->out);
		p->first = false;
		return 0;
	}
	put_range(p, region->first, region->last);
	fprintf(p->out, " %s %s, priority %d, rank 0x%" PRIx64 "%s", region->name, kinds[region->kind],
		region->priority, region->rank, region->enabled ? "" : ", disabled");
	if (errors)
		fprintf(p->out, ", %" PRIu64 " errors", errors);
	if (region->nested)
		put_nested(p, region);
	else
		fputs("\n", p->out);
	return 0;
}

static void put_flat(struct printer *p, const struct bk_space *space)
{
	for (size_t i = 0; i < space->view->count; i++) {
		struct bk_flat flat;

		bk__span_flat(space->view->spans[i], &flat);
		put_next(p);
		if (p->json)
			fputs("{", p->out);
		put_range(p, flat.first, flat.last);
		if (p->json) {
			fputs(", ", p->out);
			put_name(p, "region", flat.region->name);
			fprintf(p->out, ", \"offset\": \"0x%" PRIx64 "\", \"kind\": \"%s\"}", flat.offset,
				kinds[flat.region->kind]);
		} else {
			fprintf(p->out, " %s +0x%" PRIx64 "%s\n", flat.region->name, flat.offset,
				flat.memory ? " mapped" : "");
		}
	}
}

static void put_shadow(struct printer *p, const struct bk_space *space, const struct bk__item *loser,
		       const struct bk__span *winner)
{
	uint64_t first = loser->first > winner->first ? loser->first : winner->first;
	uint64_t last = loser->last < winner->last ? loser->last : winner->last;

	put_next(p);
	if (p->json)
		fputs("{", p->out);
	put_range(p, first, last);
	if (p->json) {
		fputs(", ", p->out);
		put_name(p, "space", space->name);
		fputs(", ", p->out);
		put_name(p, "region", loser->region->name);
		fputs(", ", p->out);
		put_name(p, "by", winner->region->name);
		fputs("}", p->out);
	} else {
		fprintf(p->out, " of %s: %s by %s\n", space->name, loser->region->name, winner->region->name);
	}
}

/* Every part of what a region of the space would answer that another one does. */
static int put_shadows(struct printer *p, struct bk_space *space);

static int put_nested_shadows(void *opaque, struct bk_region *region)
{
	struct printer *p = opaque;

	if (!region->nested || region->nested->epoch == p->epoch)
		return 0;
	return put_shadows(p, region->nested);
}

static int put_shadows(struct printer *p, struct bk_space *space)
{
	const struct bk__view *view = space->view;
	int error = bk__view_items(space, 0, space->last);

	space->epoch = p->epoch;
	for (size_t i = 0; !error && i < space->domain->items.count; i++) {
		const struct bk__item *item = &space->domain->items.at[i];

		for (size_t j = bk__view_find(view, item->first); j < view->count; j++) {
			const struct bk__span *span = view->spans[j];

			if (span->first > item->last)
				break;
			if (span->region != item->region || span->add != item->add)
				put_shadow(p, space, item, span);
		}
	}
	return error ? error : bk__regions_visit(space, 0, UINT64_MAX, put_nested_shadows, p);
}

static int describe(struct bk_space *space, struct printer *p)
{
	struct bk_space_stats stats;
	int error;

	bk_space_stats(space, &stats);
	if (p->json) {
		fputs("{", p->out);
		put_name(p, "space", space->name);
		fprintf(p->out, ", \"last\": \"0x%" PRIx64 "\",\n", space->last);
	} else {
		fprintf(p->out, "%s 0x0-0x%" PRIx64 "\nregions\n", space->name, space->last);
	}
	p->epoch = ++space->domain->epoch;
	put_regions(p, space);
	fputs(p->json ? ",\n" : "answered\n", p->out);
	begin_list(p, "flat");
	put_flat(p, space);
	end_list(p);
	fputs(p->json ? ",\n" : "shadowed\n", p->out);
	begin_list(p, "shadowed");
	p->epoch = ++space->domain->epoch;
	error = put_shadows(p, space);
	end_list(p);
	fprintf(p->out,
		p->json ? ",\n\"unclaimed_reads\": %" PRIu64 ", \"unclaimed_writes\": %" PRIu64
			  ", \"errors\": %" PRIu64 "}\n"
			: "counters\n  %" PRIu64 " unclaimed reads, %" PRIu64 " unclaimed writes, %" PRIu64
			  " errors\n",
		stats.unclaimed_reads, stats.unclaimed_writes, stats.errors);
	return error;
}

int bk_space_describe(struct bk_space *space, FILE *out, enum bk_format format)
{
	struct printer p = { .out = out, .json = format == BK_FORMAT_JSON };
	int error = bk__lock(space->domain);

	if (error)
		return error;
	error = describe(space, &p);
	bk__unlock(space->domain);
	if (!error && (fflush(out) || ferror(out)))
		error = -EIO;
	return error;
}
