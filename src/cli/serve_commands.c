/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands of the control socket of `barkeep serve`. */
#include "cli/serve_commands.h"

#include <errno.h>
#include <string.h>

#include "cli/served.h"
#include "cli/trap_stats.h"

static void put(json_object *o, const char *key, uint64_t value)
{
	json_object_object_add(o, key, json_object_new_uint64(value));
}

static struct cli_device *find(struct run *run, const char *name, struct bk_error *err)
{
	for (size_t i = 0; i < run->list.count; i++)
		if (run->list.at[i]->serve && !strcmp(run->list.at[i]->device.name, name))
			return &run->list.at[i]->device;
	bk_fail(err, ENOENT, "%s: there is no device of that name", name);
	return NULL;
}

/* ---- Traps ------------------------------------------------------------- */

static int trap_add(struct run *run, const char *const *values, json_object *answer, struct bk_error *err)
{
	struct cli_device *device = find(run, values[0], err);

	(void)answer;
	return device ? cli_traps_add(device, values[1], err) : -ENOENT;
}

static int trap_replace(struct run *run, const char *const *values, json_object *answer, struct bk_error *err)
{
	struct cli_device *device = find(run, values[0], err);

	(void)answer;
	return device ? cli_traps_replace(device, values[1], err) : -ENOENT;
}

static int trap_remove(struct run *run, const char *const *values, json_object *answer, struct bk_error *err)
{
	struct cli_device *device = find(run, values[0], err);

	(void)answer;
	return device ? cli_traps_remove(device, values[1], err) : -ENOENT;
}

/* ---- Looking ----------------------------------------------------------- */

static void put_trap(void *opaque, const struct bk_trap_stats *stats)
{
	json_object_array_add(opaque, cli_stats_json(stats));
}

static json_object *commands_of(const struct bk__serve_stats *counts)
{
	json_object *o = json_object_new_object();

	for (unsigned i = 0; i < BK__SERVE_COMMANDS; i++)
		if (counts->commands[i])
			put(o, bk__serve_command_name(i), counts->commands[i]);
	return o;
}

static json_object *stats_of(const struct cli_served *served)
{
	json_object *o = json_object_new_object(), *traps = json_object_new_array(),
		    *pages = json_object_new_array();
	struct bk__serve_stats counts;

	bk__serve_stats(served->serve, &counts);
	json_object_object_add(o, "device", json_object_new_string(served->device.name));
	json_object_object_add(o, "client", json_object_new_boolean(counts.client));
	put(o, "clients", counts.clients);
	put(o, "messages", counts.messages);
	json_object_object_add(o, "commands", commands_of(&counts));
	put(o, "refused", counts.refused);
	put(o, "maps", counts.maps);
	put(o, "memory", counts.memory);
	bk_mediator_stats(served->device.mediate, put_trap, traps);
	json_object_object_add(o, "accesses", traps);
	bk_mediator_page_stats(served->device.mediate, put_trap, pages);
	json_object_object_add(o, "pages", pages);
	return o;
}

static int stats(struct run *run, const char *const *values, json_object *answer, struct bk_error *err)
{
	json_object *devices = json_object_new_array();

	(void)values, (void)err;
	for (size_t i = 0; i < run->list.count; i++)
		if (run->list.at[i]->serve)
			json_object_array_add(devices, stats_of(run->list.at[i]));
	json_object_object_add(answer, "devices", devices);
	return 0;
}

static int quit(struct run *run, const char *const *values, json_object *answer, struct bk_error *err)
{
	(void)values, (void)answer, (void)err;
	run->quit = true;
	return 0;
}

const struct cli_command cli_serve_commands[] = {
	{ "trap-add", { "device", "trap" }, trap_add },
	{ "trap-replace", { "device", "trap" }, trap_replace },
	{ "trap-remove", { "device", "trap" }, trap_remove },
	{ "stats", { NULL }, stats },
	{ "quit", { NULL }, quit },
	{ NULL, { NULL }, NULL },
};
