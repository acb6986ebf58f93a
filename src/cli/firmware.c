/* SPDX-License-Identifier: BSD-2-Clause */
/* `barkeep firmware check`: replays a recorded firmware trace and says where the model differs. */
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "firmware/replay.h"

static const char help[] =
	"usage: barkeep firmware check [--json | --verbose] FILE.trace[.xz]\n"
	"\n"
	"Builds the PCI hierarchy of a recorded firmware trace, repeats every config access, and\n"
	"prints each difference in what the guest read and in where the BARs then were.\n"
	"\n"
	"  --json     print one JSON object instead of lines\n"
	"  --verbose  also print each access, and the map wherever it changed\n"
	"  --help\n"
	"\n"
	"Exit status: 0 no difference, 1 a difference or an error, 2 wrong arguments.\n";

struct check {
	const char *file;
	json_object *array; /* NULL: lines */
	uint64_t told;
	struct bk_pci_bar_state *map; /* --verbose: all BARs as last printed, by function; or NULL */
};

static const char *bar_name(unsigned bar)
{
	static const char *const names[] = { "BAR 0", "BAR 1", "BAR 2", "BAR 3", "BAR 4", "BAR 5", "ROM" };

	return names[bar];
}

/* "at 0xfe000000", or "off" */
static void put_place(char *text, size_t size, bool on, uint64_t address)
{
	if (on)
		snprintf(text, size, "at 0x%" PRIx64, address);
	else
		snprintf(text, size, "off");
}

static void print_difference(const struct check *check, const struct bk__firmware_difference *difference)
{
	const struct bk__firmware_verdict *verdict = &difference->verdict;
	char access[128] = "nothing was written yet", model[40], recorded[40];

	if (difference->access)
		bk__firmware_step_text(difference->access, access, sizeof(access));
	printf("%s:%" PRIu32 ": ", check->file, difference->access ? difference->access->line : 1);
	if (difference->map) {
		put_place(model, sizeof(model), verdict->on, verdict->address);
		put_place(recorded, sizeof(recorded), verdict->recorded_on, verdict->recorded_address);
		printf("%s %s is %s, recorded %s\n", difference->path, bar_name(difference->bar), model,
		       recorded);
	} else {
		printf("%s+0x%02x reads 0x%0*" PRIx64 ", recorded 0x%0*" PRIx64 ", compared bits 0x%0*" PRIx64
		       "\n",
		       difference->path ? difference->path : "no function", difference->offset,
		       (int)difference->width * 2, difference->value, (int)difference->width * 2,
		       difference->recorded, (int)difference->width * 2, difference->mask);
	}
	printf("    access: %s\n    model:  %s\n", access, difference->why);
}

static void put(json_object *o, const char *key, json_object *value)
{
	json_object_object_add(o, key, value);
}

static json_object *place_value(bool on, uint64_t address)
{
	json_object *o = json_object_new_object();

	put(o, "decodes", json_object_new_boolean(on));
	if (on)
		put(o, "address", json_object_new_uint64(address));
	return o;
}

static json_object *difference_value(const struct bk__firmware_difference *difference)
{
	const struct bk__firmware_verdict *verdict = &difference->verdict;
	json_object *o = json_object_new_object();
	char access[128];

	if (difference->access) {
		bk__firmware_step_text(difference->access, access, sizeof(access));
		put(o, "line", json_object_new_uint64(difference->access->line));
		put(o, "access", json_object_new_string(access));
	}
	if (difference->path)
		put(o, "function", json_object_new_string(difference->path));
	if (difference->map) {
		put(o, "bar", json_object_new_uint64(difference->bar));
		put(o, "model", place_value(verdict->on, verdict->address));
		put(o, "recorded", place_value(verdict->recorded_on, verdict->recorded_address));
	} else {
		put(o, "register", json_object_new_uint64(difference->offset));
		put(o, "width", json_object_new_uint64(difference->width));
		put(o, "model", json_object_new_uint64(difference->value));
		put(o, "recorded", json_object_new_uint64(difference->recorded));
		put(o, "compared_bits", json_object_new_uint64(difference->mask));
	}
	put(o, "why", json_object_new_string(difference->why));
	return o;
}

static void tell(void *opaque, const struct bk__firmware_difference *difference)
{
	struct check *check = opaque;

	if (check->told == BK__FIRMWARE_TOLD)
		return;
	check->told++;
	if (check->array)
		json_object_array_add(check->array, difference_value(difference));
	else
		print_difference(check, difference);
}

/* ---- --verbose --------------------------------------------------------- */

/* Brings `map` up to date; did anything move? */
static bool follow_map(struct bk__firmware_machine *machine, struct bk_pci_bar_state *map)
{
	bool moved = false;

	for (unsigned i = 0; i < machine->trace->function_count; i++) {
		for (unsigned bar = 0; bar <= BK_PCI_ROM; bar++, map++) {
			struct bk_pci_bar_state now = { .struct_size = sizeof(now) };

			if (bk_pci_function_bar(machine->functions[i].function, bar, &now))
				continue;
			moved |= now.decodes != map->decodes || (now.decodes && now.address != map->address);
			*map = now;
		}
	}
	return moved;
}

static void show_step(void *opaque, struct bk__firmware_machine *machine,
		      const struct bk__firmware_step *access)
{
	struct check *check = opaque;
	const struct bk_pci_bar_state *state = check->map;
	char text[128];

	bk__firmware_step_text(access, text, sizeof(text));
	printf("%" PRIu32 ": %s\n", access->line, text);
	if (!follow_map(machine, check->map))
		return;
	for (unsigned i = 0; i < machine->trace->function_count; i++)
		for (unsigned bar = 0; bar <= BK_PCI_ROM; bar++, state++)
			if (state->decodes)
				printf("    %#14" PRIx64 " - %#-14" PRIx64 " %s %s\n", state->address,
				       state->address + (state->size - 1), machine->functions[i].desc->path,
				       bar_name(bar));
}

/* ---- The command ------------------------------------------------------- */

static void print_summary(const struct check *check, const struct bk__firmware_trace *trace,
			  const struct bk__firmware_replay_counts *counts)
{
	if (counts->differences > check->told)
		printf("%" PRIu64 " more differences are not listed\n", counts->differences - check->told);
	printf("%s: %u functions, %" PRIu64 " reads (%" PRIu64 " bytes compared), %" PRIu64
	       " writes, %" PRIu64 " map events, %" PRIu64 " excused: ",
	       check->file, trace->function_count, counts->reads, counts->bytes, counts->writes,
	       counts->events, counts->excused);
	if (counts->differences)
		printf("%" PRIu64 " difference%s\n", counts->differences,
		       counts->differences == 1 ? "" : "s");
	else
		puts("no difference");
}

static void print_json(const struct check *check, const struct bk__firmware_trace *trace,
		       const struct bk__firmware_replay_counts *counts)
{
	json_object *o = json_object_new_object();

	put(o, "file", json_object_new_string(check->file));
	put(o, "functions", json_object_new_uint64(trace->function_count));
	put(o, "reads", json_object_new_uint64(counts->reads));
	put(o, "bytes_compared", json_object_new_uint64(counts->bytes));
	put(o, "writes", json_object_new_uint64(counts->writes));
	put(o, "map_events", json_object_new_uint64(counts->events));
	put(o, "excused", json_object_new_uint64(counts->excused));
	put(o, "difference_count", json_object_new_uint64(counts->differences));
	put(o, "differences", json_object_get(check->array));
	puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
						       JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
}

static int run_check(const char *file, bool json, bool verbose)
{
	struct check check = { .file = file };
	struct bk__firmware_replay_ops ops = { .difference = tell };
	struct bk__firmware_replay_counts counts = { 0 };
	struct bk_error err = { { 0 } };
	struct bk__firmware_trace trace;
	int status, error;

	error = bk__firmware_trace_load(file, &trace, &err);
	if (!error && verbose) {
		ops.step = show_step;
		check.map = calloc((size_t)trace.function_count * (BK_PCI_ROM + 1), sizeof(*check.map));
		if (!check.map)
			error = bk_fail(&err, ENOMEM, "%s: out of memory", file);
	}
	check.array = json ? json_object_new_array() : NULL;
	if (!error)
		error = bk__firmware_replay(file, &trace, &ops, &check, &counts, &err);
	if (error) {
		fflush(stdout);
		status = cli_error(&err);
	} else {
		if (json)
			print_json(&check, &trace, &counts);
		else
			print_summary(&check, &trace, &counts);
		status = counts.differences ? CLI_ERROR : CLI_OK;
	}
	json_object_put(check.array);
	free(check.map);
	bk__firmware_trace_free(&trace);
	return status;
}

int cli_firmware(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	bool json = false, verbose = false;
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		switch (option) {
		case 'j':
			json = true;
			break;
		case 'v':
			verbose = true;
			break;
		case 'h':
			fputs(help, stdout);
			return CLI_OK;
		default:
			return cli_usage("firmware", "there is no option `%s`", argv[optind - 1]);
		}
	}
	if (optind == argc)
		return cli_usage("firmware", "say what to do: check");
	if (strcmp(argv[optind], "check"))
		return cli_usage("firmware", "`%s` is not a thing to do; there is check", argv[optind]);
	if (optind + 1 == argc)
		return cli_usage("firmware", "name a trace");
	if (optind + 2 < argc)
		return cli_usage("firmware", "one trace at a time; `%s` is too much", argv[optind + 2]);
	if (json && verbose)
		return cli_usage("firmware", "--json and --verbose exclude each other");
	return run_check(argv[optind + 1], json, verbose);
}
