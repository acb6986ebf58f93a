/* SPDX-License-Identifier: BSD-2-Clause */
/* The devices of a run: added, removed, and given back when their host or the guest releases them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/run.h"

/* The server of a vfio-user device maps the guest's RAM, if it is given the file. */
static void share_memory(struct run *run, const struct cli_device *device)
{
	if (strncmp(device->spec, "vfio-user:", strlen("vfio-user:")) != 0)
		return;
	if (!run->monitor)
		run->config.share_memory = true;
	else if (!run->config.share_memory && !run->config.huge_pages)
		bk_log(BK_LOG_WARNING,
		       "%s: its server cannot map the guest's RAM, and reaches it by messages only; "
		       "start the run with --share-memory",
		       device->name);
}

int cli_run_add(struct run *run, const char *text, struct bk_error *err)
{
	int error;

	if (bk__array_reserve(&run->devices, 1))
		return bk_fail(err, ENOMEM, "%s: out of memory", text);
	error = cli_device_parse(text, CLI_FRONT_OWN, &run->devices.at[run->devices.count], err);
	if (!error)
		share_memory(run, &run->devices.at[run->devices.count++]);
	return error;
}

int cli_run_add_kind(struct run *run, const char *kind, const char *text, struct bk_error *err)
{
	char *spec;
	int error;

	if (asprintf(&spec, "%s:%s", kind, text) < 0)
		return bk_fail(err, ENOMEM, "out of memory");
	error = cli_run_add(run, spec, err);
	free(spec);
	return error;
}

void cli_run_drop(struct run *run, size_t index)
{
	cli_device_close(&run->devices.at[index]);
	bk__array_remove(&run->devices, index);
}

/* Tells KVM which groups there are now. */
static void tell_groups(struct run *run)
{
	const unsigned count = bk_device_context_groups(run->context, NULL, 0);
	int *fds = count ? calloc(count, sizeof(*fds)) : NULL;

	if (fds || !count)
		bk__monitor_groups(run->monitor, fds,
				   count ? bk_device_context_groups(run->context, fds, count) : 0);
	free(fds);
}

int cli_run_attach(struct run *run, struct cli_device *device, struct bk_error *err)
{
	const struct bk__monitor_place place = { device->bus, device->slot, device->function };
	enum bk__monitor_bus_kind kind;
	int error = bk__monitor_bus(run->monitor, device->bus, &kind, err);

	if (error)
		return error;
	device->below_port = kind == BK__BUS_PORT;
	error = cli_device_open(device, run->context, bk__monitor_domain(run->monitor), err);
	if (!error)
		error = bk__monitor_attach(run->monitor, device->mediate, &place, err);
	device->attached = !error;
	if (!error)
		tell_groups(run);
	return error;
}

static bool is_behind(const struct cli_device *device, const char *bus)
{
	return device->attached && device->bus && bus && !strcmp(device->bus, bus);
}

struct cli_device *cli_run_card(struct run *run, const char *bus)
{
	for (size_t i = 0; i < run->devices.count; i++)
		if (is_behind(&run->devices.at[i], bus) && run->devices.at[i].below_port &&
		    !run->devices.at[i].function)
			return &run->devices.at[i];
	return NULL;
}

static int take_one(struct run *run, struct cli_device *device, struct bk_error *err)
{
	int error;

	device->leaving = true; /* requests are served meanwhile */
	error = bk__monitor_detach(run->monitor, device->mediate, err);
	device->leaving = false;
	if (!error)
		cli_run_drop(run, (size_t)(device - run->devices.at));
	return error;
}

/* The guest learns from function 0 that a card comes or goes, so that one leaves first. */
int cli_run_take_out(struct run *run, struct cli_device *device, struct bk_error *err)
{
	struct cli_device *card = cli_run_card(run, device->bus);
	char *bus = card ? strdup(card->bus) : NULL;
	int error;

	if (card && !bus)
		return bk_fail(err, ENOMEM, "out of memory");
	error = take_one(run, card ? card : device, err);
	for (size_t i = run->devices.count; !error && bus && i--;)
		if (is_behind(&run->devices.at[i], bus))
			error = take_one(run, &run->devices.at[i], err);
	free(bus);
	if (!error)
		tell_groups(run);
	return error;
}

/* Takes out the device that is this one, with a line that says why. */
static bool take_out(struct run *run, struct bk_mediator *mediate, const char *why)
{
	struct bk_error err;
	char name[128];
	size_t i = 0;

	while (i < run->devices.count && run->devices.at[i].mediate != mediate)
		i++;
	if (i == run->devices.count)
		return false;
	snprintf(name, sizeof(name), "%s", run->devices.at[i].name);
	if (cli_run_take_out(run, &run->devices.at[i], &err))
		return false;
	bk_log(BK_LOG_WARNING, "%s: %s", name, why);
	return true;
}

/* The host gets back what is in a slot: the guest's driver finds it gone. */
static bool on_wanted(void *opaque, struct bk_mediator *mediate)
{
	return take_out(
		opaque, mediate,
		"the host wants the device back (it was unbound or removed there), so it is taken out of "
		"its slot");
}

static void on_gone(void *opaque, struct bk_mediator *mediate)
{
	take_out(opaque, mediate, "the guest has let it go, and it is out of its slot");
}

void cli_run_listen(struct run *run)
{
	bk__monitor_wanted(run->monitor, on_wanted, run);
	bk__monitor_let_go(run->monitor, on_gone, run);
}
