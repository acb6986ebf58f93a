/* SPDX-License-Identifier: BSD-2-Clause */
/* Shows the counters of a device's traps. */
#include "cli/trap_stats.h"

#include <inttypes.h>
#include <string.h>

#include "cli/device_option.h"

struct rows {
	FILE *out;
	const char *device;
	const char *nameless; /* what a row without a trap is */
	int width;
};

static void print_trap(void *opaque, const struct bk_trap_stats *stats)
{
	const struct rows *rows = opaque;
	char place[64];

	snprintf(place, sizeof(place), "%s+0x%" PRIx64 "/0x%" PRIx64, bk_device_region_name(stats->region),
		 stats->offset, stats->length);
	fprintf(rows->out, "%-*s %-24s %-16s %10" PRIu64 " %10" PRIu64 " %8" PRIu64, rows->width,
		rows->device, place, stats->name ? stats->name : rows->nameless, stats->reads, stats->writes,
		stats->errors);
	if (stats->name && stats->reads + stats->writes)
		fprintf(rows->out, " 0x%" PRIx64, stats->last);
	if (stats->accelerated)
		fprintf(rows->out, ", accelerated: %u", stats->accelerated);
	if (stats->lost)
		fprintf(rows->out, " %" PRIu64 " writes had no effect", stats->lost);
	putc('\n', rows->out);
}

int cli_stats_width(int width, const char *device)
{
	const int length = (int)strlen(device);

	width = width < 24 ? 24 : width;
	return length > width ? length : width;
}

void cli_stats_head(FILE *out, int width)
{
	fprintf(out, "%-*s %-24s %-16s %10s %10s %8s last value\n", width, "device", "region", "trap",
		"reads", "writes", "errors");
}

void cli_stats_device(FILE *out, int width, const char *device, struct bk_mediator *mediate)
{
	struct rows rows = { .out = out, .device = device, .nameless = "(untrapped)", .width = width };

	bk_mediator_stats(mediate, print_trap, &rows);
	rows.nameless = "(beside traps)";
	bk_mediator_page_stats(mediate, print_trap, &rows);
}

static void put(json_object *o, const char *key, uint64_t value)
{
	json_object_object_add(o, key, json_object_new_uint64(value));
}

json_object *cli_stats_json(const struct bk_trap_stats *stats)
{
	json_object *trap = json_object_new_object();

	if (stats->name)
		json_object_object_add(trap, "trap", json_object_new_string(stats->name));
	json_object_object_add(trap, "region", json_object_new_string(bk_device_region_name(stats->region)));
	put(trap, "offset", stats->offset);
	put(trap, "length", stats->length);
	put(trap, "reads", stats->reads);
	put(trap, "writes", stats->writes);
	put(trap, "errors", stats->errors);
	if (stats->name)
		put(trap, "last", stats->last);
	return trap;
}
