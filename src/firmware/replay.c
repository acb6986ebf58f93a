/* SPDX-License-Identifier: BSD-2-Clause */
/* The accesses of a trace, made to the model, and what they have to give. */
#include "firmware/replay.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/pci_regs.h"

struct replay {
	struct bk__firmware_machine machine;
	const struct bk__firmware_replay_ops *ops;
	void *opaque;
	struct bk__firmware_replay_counts *counts;
	struct bk_error *err;

	const struct bk__firmware_step *access; /* the last one */
	const struct bk__firmware_step *write;  /* the last write */
	struct bk__firmware_machine_function *target;
	bool compare;  /* the map, once the events are known */
	uint64_t work; /* done so far */
};

/* Counts one more. True if it is printed, with the reason. */
static bool count(struct replay *replay)
{
	return replay->counts->differences++ < BK__FIRMWARE_TOLD;
}

/* ---- The map ----------------------------------------------------------- */

/* A half that holds all ones is a size probe here, an address there. */
static bool probed(const struct bk__firmware_trace_bar *bar, uint64_t address)
{
	uint32_t mask = (uint32_t) ~(bar->size - 1);

	if (bar->kind == BK_PCI_BAR_MEM64 && address >> 32 == UINT32_MAX)
		return true;
	return mask && (uint32_t)address == mask;
}

/* The other machine may decode in D1 to D3, the model does not. At the end of a trace no probe is going on.
 */
static bool excused(const struct bk__firmware_machine_function *function, unsigned bar, uint64_t address,
		    bool end)
{
	struct bk_pci_explanation why = { .struct_size = sizeof(why) };

	bk_pci_function_explain(function->function, bar, &why, NULL, 0);
	return why.power_state || (!end && probed(&function->desc->bars[bar], address));
}

static void compare_bar(struct replay *replay, struct bk__firmware_machine_function *function, unsigned bar,
			bool end)
{
	struct bk__firmware_verdict now = { 0 }, *last = &function->last[bar];
	struct bk_pci_bar_state state = { .struct_size = sizeof(state) };
	char why[512];

	bk_pci_function_bar(function->function, bar, &state);
	now.on = state.decodes;
	now.address = state.address;
	now.recorded_on = function->recorded[bar].on;
	now.recorded_address = function->recorded[bar].address;
	now.different = now.on != now.recorded_on || (now.on && now.address != now.recorded_address);
	now.excused = now.different && excused(function, bar, now.address, end);
	if (now.different && (!last->different || now.on != last->on || now.address != last->address ||
			      now.recorded_on != last->recorded_on || now.excused != last->excused ||
			      now.recorded_address != last->recorded_address)) {
		struct bk__firmware_difference difference = {
			.access = replay->write,
			.path = function->desc->path,
			.map = true,
			.bar = bar,
			.verdict = now,
			.why = why,
		};

		if (now.excused) {
			replay->counts->excused++;
		} else if (count(replay)) {
			bk__firmware_why_bar(function, bar, why, sizeof(why));
			replay->ops->difference(replay->opaque, &difference);
		}
	}
	*last = now;
}

static void compare_function(struct replay *replay, struct bk__firmware_machine_function *function, bool end)
{
	for (unsigned bar = 0; bar <= BK_PCI_ROM; bar++)
		if (function->desc->bars[bar].kind != BK_PCI_BAR_NONE)
			compare_bar(replay, function, bar, end);
}

/* What an access and its events left; before the next one. A BAR decodes by the registers of its function
 * alone, so that only those that were changed need a look. */
static void settle(struct replay *replay, bool end)
{
	struct bk__firmware_machine *machine = &replay->machine;

	for (unsigned i = 0; end && i < machine->trace->function_count; i++)
		compare_function(replay, &machine->functions[i], true);
	for (unsigned i = 0; replay->compare && !end && i < machine->changed_count; i++)
		compare_function(replay, machine->changed[i], false);
	replay->compare = false;
	if (replay->access && replay->ops->step)
		replay->ops->step(replay->opaque, &replay->machine, replay->access);
	replay->access = NULL;
}

/* Is it the function of that event? Events tell the number of the bus it is on, reachable or not. */
static bool named(const struct replay *replay, const struct bk__firmware_machine_function *function,
		  const struct bk__firmware_step *step)
{
	int parent = function->desc->parent;
	const struct bk__firmware_machine_function *bridge =
		parent < 0 ? NULL : &replay->machine.functions[parent];
	bool there = bridge ? step->bus == bridge->secondary || step->bus == bridge->secondary_before
			    : step->bus == 0;

	return there && function->desc->devfn == step->devfn &&
	       function->desc->bars[step->bar].size == step->value;
}

/* While buses are renumbered two may have one number: then it is who was written to, or who can be reached.
 */
static struct bk__firmware_machine_function *event_of(struct replay *replay,
						      const struct bk__firmware_step *step)
{
	struct bk__firmware_machine *machine = &replay->machine;
	struct bk__firmware_machine_function *reached =
		bk__firmware_machine_at(machine, step->bus, step->devfn);

	if (replay->target && named(replay, replay->target, step))
		return replay->target;
	if (reached && named(replay, reached, step))
		return reached;
	for (unsigned i = 0; i < machine->trace->function_count; i++)
		if (named(replay, &machine->functions[i], step))
			return &machine->functions[i];
	return NULL;
}

static int event(struct replay *replay, const struct bk__firmware_step *step)
{
	struct bk__firmware_machine_function *function = event_of(replay, step);
	char text[128];

	if (!function) {
		bk__firmware_step_text(step, text, sizeof(text));
		return bk_fail(replay->err, ENOENT, "%s:%" PRIu32 ": no such BAR at that place now: %s",
			       replay->machine.name, step->line, text);
	}
	bk__firmware_changed(function);
	function->recorded[step->bar].on = step->kind == BK__STEP_MAP;
	function->recorded[step->bar].address = step->address;
	replay->counts->events++;
	return 0;
}

/* ---- Accesses ---------------------------------------------------------- */

static void compare_read(struct replay *replay, const struct bk__firmware_step *access, uint64_t value,
			 int64_t place)
{
	struct bk__firmware_machine_function *function = replay->target;
	unsigned offset = (unsigned)(place & 0xfff);
	char why[512];
	struct bk__firmware_difference difference = {
		.access = access,
		.path = function ? function->desc->path : NULL,
		.offset = offset,
		.width = access->width,
		.value = value,
		.recorded = access->value,
		.why = why,
	};

	for (unsigned i = 0; i < access->width; i++) {
		/* Of COMMAND the bits that decide about decoding and DMA. */
		uint64_t mask = function && offset + i == BK__PCI_COMMAND ? 7 : 0xff;

		if (function && (offset + i >= BK__PCI_HEADER_END ||
				 !bk__firmware_machine_compared(function->desc, offset + i)))
			continue;
		replay->counts->bytes++;
		difference.mask |= mask << 8 * i;
	}
	if (!((value ^ access->value) & difference.mask) || !count(replay))
		return;
	bk__firmware_why_read(&replay->machine, function, place, why, sizeof(why));
	replay->ops->difference(replay->opaque, &difference);
}

/* What `bk__firmware_machine_at` goes by, of a bridge whose registers may have changed. */
static void follow_numbers(struct bk__firmware_machine_function *bridge)
{
	uint64_t numbers = 0;

	if (!bridge->below)
		return;
	bk_pci_function_read(bridge->function, BK__PCI_BRIDGE_SECONDARY, 2, &numbers);
	bridge->secondary = (uint8_t)numbers;
	bridge->subordinate = (uint8_t)(numbers >> 8);
}

/* Before the next write: what it will have changed is not known yet. */
static void forget_changes(struct bk__firmware_machine *machine)
{
	for (unsigned i = 0; i < machine->changed_count; i++) {
		struct bk__firmware_machine_function *function = machine->changed[i];

		function->changed = false;
		function->secondary_before = function->secondary;
	}
	machine->changed_count = 0;
}

static int make_write(struct replay *replay, struct bk_space *space, uint64_t address,
		      const struct bk__firmware_step *access)
{
	struct bk__firmware_machine *machine = &replay->machine;
	int error;

	forget_changes(machine);
	error = bk_space_write(space, address, access->width, access->value);
	if (replay->target)
		bk__firmware_changed(replay->target);
	for (unsigned i = 0; i < machine->changed_count; i++)
		follow_numbers(machine->changed[i]);
	replay->write = access;
	replay->compare = true;
	replay->counts->writes++;
	return error;
}

/*
 * What a write to a bridge can make the model do grows with what is below it: resets, windows that open and
 * close. Together with a file that packs millions of writes into a few bytes that would have no end.
 */
static int spend(struct replay *replay, const struct bk__firmware_step *access)
{
	if (access->write && replay->target)
		replay->work += replay->target->functions_below;
	if (replay->work <= BK__FIRMWARE_WORK)
		return 0;
	return bk_fail(replay->err, E2BIG,
		       "%s:%" PRIu32
		       ": too many writes to bridges with too much below them: this would take very long",
		       replay->machine.name, access->line);
}

static void note_write(struct bk__firmware_machine_function *function, const struct bk__firmware_step *access,
		       int64_t place)
{
	for (unsigned i = (unsigned)(place & 0xfff); function && i < (place & 0xfff) + access->width; i++)
		if (i < BK__MACHINE_LEARNT)
			function->written[i] = access->line;
}

static int repeat(struct replay *replay, const struct bk__firmware_step *access)
{
	struct bk__firmware_machine *machine = &replay->machine;
	bool ecam = access->kind == BK__STEP_ECAM;
	struct bk_space *space = ecam ? bk_pci_host_config(machine->host) : machine->ports;
	uint64_t address = ecam ? access->address & BK__MACHINE_CONFIG_MASK : access->address, value;
	int64_t place = bk__firmware_machine_target(machine, access);
	int error;

	replay->access = access;
	replay->target =
		place < 0 ? NULL
			  : bk__firmware_machine_at(machine, (uint8_t)(place >> 20), (uint8_t)(place >> 12));
	bk__firmware_machine_follow_index(machine, access);
	error = spend(replay, access);
	if (error)
		return error;
	if (access->write) {
		error = make_write(replay, space, address, access);
		note_write(replay->target, access, place);
	} else {
		error = bk_space_read(space, address, access->width, &value);
		replay->counts->reads++;
		if (!error && place >= 0)
			compare_read(replay, access, value, place);
	}
	if (error)
		return bk_fail(replay->err, -error, "%s:%" PRIu32 ": the model: %s", machine->name,
			       access->line, strerror(-error));
	return 0;
}

int bk__firmware_replay(const char *name, const struct bk__firmware_trace *trace,
			const struct bk__firmware_replay_ops *ops, void *opaque,
			struct bk__firmware_replay_counts *counts, struct bk_error *err)
{
	struct replay replay = { .ops = ops, .opaque = opaque, .counts = counts, .err = err };
	int error, destroyed;

	*counts = (struct bk__firmware_replay_counts){ 0 };
	error = bk__firmware_machine_create(name, trace, &replay.machine, err);
	for (unsigned i = 0; !error && i < trace->function_count; i++) {
		struct bk__firmware_machine_function *function = &replay.machine.functions[i];

		follow_numbers(function);
		function->secondary_before = function->secondary;
	}
	for (size_t i = 0; i < trace->step_count && !error; i++) {
		const struct bk__firmware_step *step = &trace->steps[i];

		if (!bk__firmware_step_is_access(step)) {
			error = event(&replay, step);
			continue;
		}
		settle(&replay, false);
		error = repeat(&replay, step);
	}
	if (!error)
		settle(&replay, true);
	destroyed = bk__firmware_machine_destroy(&replay.machine);
	if (!error && destroyed)
		error = bk_fail(err, -destroyed, "%s: the model cannot be taken down: %s", name,
				strerror(-destroyed));
	return error;
}
