/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands of a wrapped program's control socket. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/trap_stats.h"
#include "cli/page_runs.h"
#include "cli/preload.h"
#include "wrap/wrap.h"

static void put(json_object *o, const char *key, uint64_t value)
{
	json_object_object_add(o, key, json_object_new_uint64(value));
}

/* ---- Traps ------------------------------------------------------------- */

static struct cli_device *find(struct run *run, const char *name, struct bk_error *err)
{
	for (struct wrapped *wrapped = run->list; wrapped; wrapped = wrapped->next)
		if (!strcmp(wrapped->device.name, name) || !strcmp(wrapped->device.spec, name))
			return &wrapped->device;
	bk_fail(err, ENOENT, "%s: the program has no device of that name open", name);
	return NULL;
}

/* Pages that the program has mapped cannot be trapped. */
static int make_way(struct cli_device *device, const char *text, struct bk_error *err)
{
	struct bk_trap_desc desc = { 0 };
	int error = bk_trap_parse(text, &desc, err);

	if (error || desc.from != BK_TRAP_FROM_START)
		return error; /* config space is never mapped */
	return bk__wrap_make_way(device->mediate, desc.region, desc.offset, desc.length, err);
}

enum change { ADD, REPLACE, REMOVE };

static int change_trap(struct run *run, const char *const *values, enum change change, struct bk_error *err)
{
	struct cli_device *device;
	int error = -ENOENT;

	cli_preload_lock();
	bk__wrap_change_begin();
	device = find(run, values[0], err);
	if (device && change == REMOVE)
		error = cli_traps_remove(device, values[1], err);
	else if (device && !(error = make_way(device, values[1], err)))
		error = change == ADD ? cli_traps_add(device, values[1], err)
				      : cli_traps_replace(device, values[1], err);
	bk__wrap_change_end(error ? NULL : device->mediate);
	cli_preload_unlock();
	return error;
}

static int trap_add(struct run *run, const char *const *values, json_object *answer, struct bk_error *err)
{
	(void)answer;
	return change_trap(run, values, ADD, err);
}

static int trap_replace(struct run *run, const char *const *values, json_object *answer, struct bk_error *err)
{
	(void)answer;
	return change_trap(run, values, REPLACE, err);
}

static int trap_remove(struct run *run, const char *const *values, json_object *answer, struct bk_error *err)
{
	(void)answer;
	return change_trap(run, values, REMOVE, err);
}

/* ---- Looking ----------------------------------------------------------- */

static void put_run(void *opaque, const struct cli_pages *pages)
{
	json_object *one;

	if (!pages->mapped)
		return;
	one = json_object_new_object();
	put(one, "offset", pages->first);
	put(one, "length", pages->last - pages->first + 1);
	json_object_array_add(opaque, one);
}

static json_object *describe_region(const struct cli_device *device, unsigned region)
{
	struct bk_space *space = bk_mediator_space(device->mediate, region);
	json_object *o = json_object_new_object(), *mapped = json_object_new_array();

	json_object_object_add(o, "region", json_object_new_string(bk_device_region_name(region)));
	put(o, "size", bk_space_last(space) + 1);
	if (region <= BK_DEVICE_ROM && !device->unmapped)
		cli_pages_visit(space, (uint64_t)4096, put_run, mapped);
	json_object_object_add(o, "mapped", mapped);
	return o;
}

static void put_quirk(json_object *list, const struct bk_quirk *quirk)
{
	json_object_array_add(list, json_object_new_string(bk_quirk_name(quirk)));
}

static int describe(struct run *run, const char *const *values, json_object *answer, struct bk_error *err)
{
	json_object *devices = json_object_new_array();

	(void)values, (void)err;
	cli_preload_lock();
	for (struct wrapped *wrapped = run->list; wrapped; wrapped = wrapped->next) {
		const struct cli_device *device = &wrapped->device;
		json_object *o = json_object_new_object(), *regions = json_object_new_array(),
			    *quirks = json_object_new_array();

		json_object_object_add(o, "device", json_object_new_string(device->name));
		for (unsigned i = 0; i < BK_DEVICE_REGIONS; i++)
			if (bk_mediator_space(device->mediate, i))
				json_object_array_add(regions, describe_region(device, i));
		json_object_object_add(o, "regions", regions);
		for (size_t i = 0; i < device->chosen.count; i++)
			put_quirk(quirks, device->chosen.at[i]);
		json_object_object_add(o, "quirks", quirks);
		json_object_array_add(devices, o);
	}
	cli_preload_unlock();
	json_object_object_add(answer, "devices", devices);
	return 0;
}

static void put_trap(void *opaque, const struct bk_trap_stats *stats)
{
	json_object_array_add(opaque, cli_stats_json(stats));
}

static int stats(struct run *run, const char *const *values, json_object *answer, struct bk_error *err)
{
	json_object *devices = json_object_new_array();

	(void)values, (void)err;
	cli_preload_lock();
	for (struct wrapped *wrapped = run->list; wrapped; wrapped = wrapped->next) {
		json_object *o = json_object_new_object(), *traps = json_object_new_array(),
			    *pages = json_object_new_array();

		json_object_object_add(o, "device", json_object_new_string(wrapped->device.name));
		bk_mediator_stats(wrapped->device.mediate, put_trap, traps);
		json_object_object_add(o, "accesses", traps);
		bk_mediator_page_stats(wrapped->device.mediate, put_trap, pages);
		json_object_object_add(o, "pages", pages);
		json_object_array_add(devices, o);
	}
	cli_preload_unlock();
	json_object_object_add(answer, "devices", devices);
	return 0;
}

const struct cli_command cli_commands[] = {
	{ "trap-add", { "device", "trap" }, trap_add },
	{ "trap-replace", { "device", "trap" }, trap_replace },
	{ "trap-remove", { "device", "trap" }, trap_remove },
	{ "describe", { NULL }, describe },
	{ "stats", { NULL }, stats },
	{ NULL, { NULL }, NULL },
};
