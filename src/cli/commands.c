/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands of a running guest's control socket. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/run.h"
#include "cli/trap_stats.h"

static void put(json_object *o, const char *key, uint64_t value)
{
	json_object_object_add(o, key, json_object_new_uint64(value));
}

/* ---- Devices ----------------------------------------------------------- */

/* The only device of that name; NULL with a line. */
static struct cli_device *find(struct run *run, const char *name, struct bk_error *err)
{
	struct cli_device *found = NULL;

	for (size_t i = 0; i < run->devices.count; i++) {
		if (run->devices.at[i].leaving || strcmp(run->devices.at[i].name, name))
			continue;
		if (found) {
			bk_fail(err, EEXIST,
				"%s: there are two devices of that name; give them names (name=)", name);
			return NULL;
		}
		found = &run->devices.at[i];
	}
	if (!found)
		bk_fail(err, ENOENT, "%s: there is no device of that name", name);
	return found;
}

/* A guest sees a device come and go only where a slot reports it. */
static int check_slot(struct run *run, const struct cli_device *device, struct bk_error *err)
{
	enum bk__monitor_bus_kind kind;
	int error;

	if (!device->bus)
		return bk_fail(err, EINVAL, "%s: bus=NAME is needed: the root port that it goes behind",
			       device->name);
	error = bk__monitor_bus(run->monitor, device->bus, &kind, err);
	if (!error && kind != BK__BUS_PORT)
		error = bk_fail(err, EINVAL, "%s: bus=%s: not a root port, hence no hot-plug slot",
				device->name, device->bus);
	return error;
}

/* A guest looks at function 0 when it comes, and then at the others: they have to be there by then. */
static int check_card(struct run *run, const struct cli_device *device, struct bk_error *err)
{
	const struct cli_device *card = device->function ? cli_run_card(run, device->bus) : NULL;

	if (!card)
		return 0;
	return bk_fail(err, EBUSY,
		       "%s: the slot of %s has its function 0, %s, and a guest looks for others only when "
		       "function 0 comes: unplug %s, then plug this one, and function 0 last",
		       device->name, device->bus, card->name, card->name);
}

static int plug(struct run *run, const char *const *values, json_object *answer, struct bk_error *err)
{
	struct cli_device *device;
	/* Not while another leaves: it stays where it is in the list, and the context is its thread's. */
	int error = bk__monitor_busy(run->monitor, err);

	if (!error)
		error = cli_run_add(run, values[0], err);
	if (error)
		return error;
	device = &run->devices.at[run->devices.count - 1];
	error = check_slot(run, device, err);
	if (!error)
		error = check_card(run, device, err);
	for (size_t i = 0; i + 1 < run->devices.count && !error; i++)
		if (!strcmp(run->devices.at[i].name, device->name))
			error = bk_fail(err, EEXIST,
					"%s: there is a device of that name; give it another (name=)",
					device->name);
	if (!error)
		error = cli_run_attach(run, device, err);
	if (error)
		cli_run_drop(run, run->devices.count - 1);
	else
		json_object_object_add(answer, "device", json_object_new_string(device->name));
	return error;
}

static int unplug(struct run *run, const char *const *values, json_object *answer, struct bk_error *err)
{
	struct cli_device *device = find(run, values[0], err);
	const struct cli_device *card = device && device->function ? cli_run_card(run, device->bus) : NULL;
	struct bk_error inner = { { 0 } };
	int error;

	if (!device)
		return -ENOENT;
	if (card)
		return bk_fail(
			err, EBUSY,
			"%s: a card comes out whole: unplug %s, its function 0, and this one comes too",
			device->name, card->name);
	/* What came without its function 0 the guest has never seen. */
	error = values[1] || device->function ? 1 : bk__monitor_ask(run->monitor, device->mediate, &inner);
	json_object_object_add(answer, "asked", json_object_new_boolean(!error));
	if (error > 0)
		error = cli_run_take_out(run, device, &inner);
	return error ? bk_fail(err, -error, "%s: %s", values[0], inner.text) : 0;
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

/* ---- The guest --------------------------------------------------------- */

static int press_button(struct run *run, const char *const *values, json_object *answer, struct bk_error *err)
{
	(void)values, (void)answer;
	if (bk__monitor_button(run->monitor))
		return 0;
	return bk_fail(err, EAGAIN,
		       "the guest does not listen to its power button: its operating system has not come so "
		       "far, or has no driver for it; quit ends the run all the same");
}

static int reset(struct run *run, const char *const *values, json_object *answer, struct bk_error *err)
{
	(void)values, (void)answer, (void)err;
	bk__monitor_reset(run->monitor);
	return 0;
}

static int pause_guest(struct run *run, const char *const *values, json_object *answer, struct bk_error *err)
{
	(void)values, (void)answer;
	return bk__monitor_pause(run->monitor, err);
}

static int resume(struct run *run, const char *const *values, json_object *answer, struct bk_error *err)
{
	(void)values, (void)answer, (void)err;
	bk__monitor_resume(run->monitor);
	return 0;
}

static int quit(struct run *run, const char *const *values, json_object *answer, struct bk_error *err)
{
	(void)values, (void)answer, (void)err;
	bk__monitor_stop(run->monitor);
	return 0;
}

/* ---- Looking ----------------------------------------------------------- */

static int describe(struct run *run, const char *const *values, json_object *answer, struct bk_error *err)
{
	json_object *host = NULL;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int error =
		out ? bk_pci_host_describe(bk__monitor_host(run->monitor), BK_FORMAT_JSON, bk_sink_file, out)
		    : -ENOMEM;

	(void)values;
	if (out && fclose(out) && !error)
		error = -ENOMEM;
	if (!error)
		host = cli_json_parse(text);
	if (!error && !host)
		error = -ENOMEM;
	free(text);
	if (error)
		return bk_fail(err, -error, "describe: %s", strerror(-error));
	json_object_object_add(answer, "host", host);
	return 0;
}

static void put_trap(void *opaque, const struct bk_trap_stats *stats)
{
	json_object *trap = cli_stats_json(stats);

	if (!stats->name && stats->region == BK_DEVICE_CONFIG)
		put(trap, "lost", stats->lost);
	if (stats->name)
		put(trap, "accelerated", stats->accelerated);
	json_object_array_add(opaque, trap);
}

static int stats(struct run *run, const char *const *values, json_object *answer, struct bk_error *err)
{
	json_object *devices = json_object_new_array();
	struct bk__monitor_stats counts;

	(void)values, (void)err;
	bk__monitor_stats(run->monitor, &counts);
	json_object_object_add(answer, "paused", json_object_new_boolean(bk__monitor_paused(run->monitor)));
	put(answer, "memory_exits", counts.mmio_exits);
	put(answer, "port_exits", counts.io_exits);
	put(answer, "mapped_exits", counts.mapped_exits);
	put(answer, "memslots", counts.memslots);
	put(answer, "unmappable_pages", counts.unmappable);
	for (size_t i = 0; i < run->devices.count; i++) {
		json_object *device, *traps, *pages;

		if (run->devices.at[i].leaving)
			continue;
		device = json_object_new_object();
		traps = json_object_new_array();
		pages = json_object_new_array();
		json_object_object_add(device, "device", json_object_new_string(run->devices.at[i].name));
		bk_mediator_stats(run->devices.at[i].mediate, put_trap, traps);
		json_object_object_add(device, "accesses", traps);
		bk_mediator_page_stats(run->devices.at[i].mediate, put_trap, pages);
		json_object_object_add(device, "pages", pages);
		json_object_array_add(devices, device);
	}
	json_object_object_add(answer, "devices", devices);
	return 0;
}

const struct cli_command cli_commands[] = {
	{ "plug", { "device" }, plug },
	{ "unplug", { "device", "--force" }, unplug },
	{ "trap-add", { "device", "trap" }, trap_add },
	{ "trap-replace", { "device", "trap" }, trap_replace },
	{ "trap-remove", { "device", "trap" }, trap_remove },
	{ "shutdown", { NULL }, press_button },
	{ "reset", { NULL }, reset },
	{ "pause", { NULL }, pause_guest },
	{ "resume", { NULL }, resume },
	{ "quit", { NULL }, quit },
	{ "describe", { NULL }, describe },
	{ "stats", { NULL }, stats },
	{ NULL, { NULL }, NULL },
};
