/* SPDX-License-Identifier: BSD-2-Clause */
/* Explains which region answers at an address: the spaces that the address leads through, and which
 * regions win and lose in each.
 */
#include "space/internal.h"

#include <inttypes.h>

#include "base/printer.h"

/* One space of the chain. */
struct level {
	struct bk__printer *printer;
	const struct bk_space *space;
	uint64_t address; /* in that space */
	const struct bk_region *winner;
	const struct bk_region *second; /* would answer if the winner were not there */
};

/* Where the address lies in the space that a nested region shows. False if it is not shown. */
static bool inner_address(const struct bk_region *region, uint64_t address, uint64_t *inner)
{
	uint64_t first, last;

	if (!bk__space_region_shows(region, &first, &last) || address - region->first > last - first)
		return false;
	*inner = first + (address - region->first);
	return true;
}

/* Who answers an address of a space in the end, or NULL. */
static const struct bk_region *answerer(const struct bk_space *space, uint64_t address)
{
	struct bk__space_cursor cursor = bk__space_view_find(space->view, address);
	const struct bk__space_span *span = bk__space_cursor_span(&cursor);

	return span && bk__space_span_first(span) <= address ? bk__space_rest(span)->region : NULL;
}

/* Who would answer the address if this region won, or NULL. */
static const struct bk_region *answers(const struct bk_region *region, uint64_t address)
{
	uint64_t inner;

	if (!region->enabled)
		return NULL;
	if (!region->nested)
		return region;
	return inner_address(region, address, &inner) ? answerer(region->nested, inner) : NULL;
}

/* By precedence: the first that answers wins. */
static void choose(void *opaque, struct bk_region *region)
{
	struct level *level = opaque;

	if (!answers(region, level->address))
		return;
	if (!level->winner)
		level->winner = region;
	else if (!level->second)
		level->second = region;
}

static const char *reason(const struct level *level, const struct bk_region *region)
{
	const struct bk_region *winner = level->winner;

	if (!region->enabled)
		return "disabled";
	if (!answers(region, level->address))
		return "shows nothing there";
	if (region == winner && !level->second)
		return "no other region does";
	if (region == winner)
		return winner->priority > level->second->priority ? "highest priority"
								  : "lowest rank of this priority";
	return region->priority < winner->priority ? "lower priority" : "same priority, higher rank";
}

static void put_region(void *opaque, struct bk_region *region)
{
	const struct level *level = opaque;
	struct bk__printer *p = level->printer;
	const struct bk_region *end = answers(region, level->address);
	const char *verdict = region == level->winner ? "answers" : end ? "shadowed" : "does not answer";
	uint64_t inner = 0;
	bool shown = region->nested && inner_address(region, level->address, &inner);

	bk__put_next(p);
	if (!p->json) {
		bk__put_range(p, region->first, region->last);
		fprintf(p->out, " %s %s, priority %d, rank 0x%" PRIx64 ": %s, %s", region->name,
			bk__space_kind_names[region->kind], region->priority, region->rank, verdict,
			reason(level, region));
		if (shown)
			fprintf(p->out, "; shows %s at 0x%" PRIx64, region->nested->name, inner);
		if (region->nested && end && region != level->winner)
			fprintf(p->out, ", %s there", end->name);
		fputs("\n", p->out);
		return;
	}
	fputs("{", p->out);
	bk__put_range(p, region->first, region->last);
	fputs(", \"name\": \"", p->out);
	bk__put_text(p, region->name);
	fprintf(p->out,
		"\", \"kind\": \"%s\", \"priority\": %d, \"rank\": \"0x%" PRIx64
		"\", \"verdict\": \"%s\", \"why\": \"%s\"",
		bk__space_kind_names[region->kind], region->priority, region->rank, verdict,
		reason(level, region));
	if (shown) {
		fputs(", \"shows\": {\"space\": \"", p->out);
		bk__put_text(p, region->nested->name);
		fprintf(p->out, "\", \"address\": \"0x%" PRIx64 "\"}", inner);
	}
	if (region->nested && end) {
		fputs(", \"answerer\": \"", p->out);
		bk__put_text(p, end->name);
		fputs("\"", p->out);
	}
	fputs("}", p->out);
}

static void put_level(struct level *level)
{
	struct bk__printer *p = level->printer;

	bk__space_regions_visit_at(level->space, level->address, choose, level);
	bk__put_next(p);
	if (p->json) {
		fputs("{\"space\": \"", p->out);
		bk__put_text(p, level->space->name);
		fprintf(p->out, "\", \"address\": \"0x%" PRIx64 "\", ", level->address);
	} else {
		fprintf(p->out, "0x%08" PRIx64 " in %s%s\n", level->address, level->space->name,
			level->address > level->space->last ? ", beyond its last address" : "");
	}
	bk__put_list(p, "regions");
	bk__space_regions_visit_at(level->space, level->address, put_region, level);
	bk__put_list_end(p);
	if (p->json)
		fputs("}", p->out);
}

static void put_answer(struct bk__printer *p, const struct bk_region *region, uint64_t offset)
{
	if (p->json) {
		fputs(", \"answer\": ", p->out);
		if (region) {
			fputs("{\"region\": \"", p->out);
			bk__put_text(p, region->name);
			fprintf(p->out, "\", \"offset\": \"0x%" PRIx64 "\", \"base\": \"0x%" PRIx64 "\"}",
				offset, region->base);
		} else {
			fputs("null", p->out);
		}
		fputs("}\n", p->out);
	} else if (!region) {
		fputs("no region answers\n", p->out);
	} else {
		fprintf(p->out, "answered by %s at offset 0x%" PRIx64, region->name, offset);
		if (region->base)
			fprintf(p->out, ", its handler sees 0x%" PRIx64, offset + region->base);
		fputs("\n", p->out);
	}
}

static void explain(const struct bk_space *space, uint64_t address, struct bk__printer *p)
{
	struct level level = { .printer = p, .space = space, .address = address };

	if (p->json) {
		fputs("{", p->out);
		bk__put_list(p, "chain");
	}
	put_level(&level);
	while (level.winner && level.winner->nested) {
		const struct bk_region *window = level.winner;

		level = (struct level){ .printer = p, .space = window->nested };
		inner_address(window, address, &level.address);
		address = level.address;
		put_level(&level);
	}
	if (p->json)
		bk__put_list_end(p);
	put_answer(p, level.winner, level.winner ? address - level.winner->first : 0);
}

int bk_space_explain(struct bk_space *space, uint64_t address, enum bk_format format, bk_sink_fn *sink,
		     void *opaque)
{
	struct bk__printer p;
	int error = bk__printer_begin(&p, format == BK_FORMAT_JSON);

	if (error)
		return error;
	p.error = bk__space_lock(space->domain);
	if (!p.error) {
		explain(space, address, &p);
		bk__space_unlock(space->domain);
	}
	return bk__printer_end(&p, sink, opaque);
}
