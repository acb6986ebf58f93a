/* SPDX-License-Identifier: BSD-2-Clause */
/* Traps that a user gives a device: at its start, and while the guest runs. */
#include <errno.h>

#include "cli/device_option.h"

/* Two of one place cannot be told apart, and cannot be in a device together. */
static bool same_place(const struct bk_trap_desc *a, const struct bk_trap_desc *b)
{
	return a->region == b->region && a->from == b->from && a->capability == b->capability &&
	       a->offset == b->offset;
}

static struct cli_trap *find(struct cli_device *device, const struct bk_trap_desc *desc, const char *text,
			     struct bk_error *err)
{
	for (size_t i = 0; i < device->traps.count; i++)
		if (same_place(&device->traps.at[i].desc, desc))
			return &device->traps.at[i];
	bk_fail(err, ENOENT, "%s: %s: no trap of yours starts there", device->name, text);
	return NULL;
}

static int make_room(struct cli_device *device, struct bk_error *err)
{
	return bk__array_reserve(&device->traps, 1) ? bk_fail(err, ENOMEM, "out of memory") : 0;
}

int cli_traps_parse(struct cli_device *device, const char *text, struct bk_error *err)
{
	struct bk_trap_desc desc = { 0 };
	int r = bk_trap_parse(text, &desc, err);

	if (!r)
		r = make_room(device, err);
	if (!r)
		device->traps.at[device->traps.count++] = (struct cli_trap){ .desc = desc };
	return r;
}

int cli_traps_open(struct cli_device *device, struct bk_error *err)
{
	struct bk_error inner;
	int r = 0;

	for (size_t i = 0; !r && i < device->traps.count; i++) {
		struct cli_trap *trap = &device->traps.at[i];

		r = bk_trap_add(device->mediate, &trap->desc, &trap->trap, &inner);
		if (r)
			bk_fail(err, -r, "%s: %s", device->spec, inner.text);
	}
	return r;
}

int cli_traps_add(struct cli_device *device, const char *text, struct bk_error *err)
{
	struct cli_trap *trap;
	int r = cli_traps_parse(device, text, err);

	if (r)
		return r;
	trap = &device->traps.at[device->traps.count - 1];
	r = bk_trap_add(device->mediate, &trap->desc, &trap->trap, err);
	if (r)
		device->traps.count--;
	return r;
}

int cli_traps_replace(struct cli_device *device, const char *text, struct bk_error *err)
{
	struct bk_trap_desc desc = { 0 };
	struct bk_trap *new;
	struct cli_trap *trap;
	int r = bk_trap_parse(text, &desc, err);

	if (r)
		return r;
	trap = find(device, &desc, text, err);
	if (!trap)
		return -ENOENT;
	r = bk_trap_replace(trap->trap, &desc, &new, err);
	if (!r)
		*trap = (struct cli_trap){ desc, new };
	return r;
}

int cli_traps_remove(struct cli_device *device, const char *text, struct bk_error *err)
{
	struct bk_trap_desc desc = { 0 };
	struct cli_trap *trap;
	int r = bk_trap_parse(text, &desc, err);

	if (r)
		return r;
	trap = find(device, &desc, text, err);
	if (!trap)
		return -ENOENT;
	bk_trap_remove(trap->trap);
	*trap = device->traps.at[--device->traps.count];
	return 0;
}
