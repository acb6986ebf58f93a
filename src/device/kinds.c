/* SPDX-License-Identifier: BSD-2-Clause */
/* The kinds of devices that a context can open, and opening one by its name. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/context.h"
#include "device/dump.h"
#include "device/options.h"
#include "device/sim.h"
#include "device/user.h"
#include "device/vfio.h"

enum { KINDS_MAX = 64 };

struct bk__device_kind {
	struct bk__device_kind *next;
	bk_device_open_fn *open;
	void *opaque;
	char name[];
};

static const struct {
	const char *name;
	bk_device_open_fn *open;
	const char *const *keys;
} built_in[] = {
	{ "vfio", bk__vfio_open, bk__vfio_keys },
	{ "sim", bk__sim_open, bk__sim_keys },
	{ "dump", bk__dump_open, bk__dump_keys },
	{ "vfio-user", bk__user_open, bk__user_keys },
};

#define BUILT_IN (sizeof(built_in) / sizeof(built_in[0]))

/* `name` and a colon begin the spec? */
static bool names(const char *spec, const char *name)
{
	size_t length = strlen(name);

	return !strncmp(spec, name, length) && spec[length] == ':';
}

const char *const *bk__device_keys(const char *spec)
{
	static const char *const none[] = { NULL };

	for (size_t i = 0; i < BUILT_IN; i++)
		if (names(spec, built_in[i].name))
			return built_in[i].keys;
	return none;
}

static bool is_name(const char *name)
{
	return *name && strlen(name) < 32 &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(name);
}

int bk_device_context_add_kind(struct bk_device_context *context, const char *kind, bk_device_open_fn *open,
			       void *opaque)
{
	struct bk__device_kind **link = &context->kinds, *new;
	unsigned count = 0;

	if (!is_name(kind) || !open)
		return -EINVAL;
	for (; *link; link = &(*link)->next, count++)
		if (!strcmp((*link)->name, kind))
			return -EEXIST;
	if (count == KINDS_MAX)
		return -ENOSPC;
	new = malloc(sizeof(*new) + strlen(kind) + 1);
	if (!new)
		return -ENOMEM;
	new->next = NULL;
	new->open = open;
	new->opaque = opaque;
	strcpy(new->name, kind);
	*link = new;
	return 0;
}

int bk__device_kinds_init(struct bk_device_context *context)
{
	int r = 0;

	for (size_t i = 0; i < BUILT_IN && !r; i++)
		r = bk_device_context_add_kind(context, built_in[i].name, built_in[i].open, NULL);
	return r;
}

void bk__device_kinds_free(struct bk_device_context *context)
{
	struct bk__device_kind *kind;

	while ((kind = context->kinds)) {
		context->kinds = kind->next;
		free(kind);
	}
}

static int unknown_kind(const struct bk_device_context *context, const char *spec, struct bk_error *err)
{
	const char *words[KINDS_MAX + 1] = { NULL };
	char list[300] = "";
	unsigned count = 0;

	for (const struct bk__device_kind *kind = context->kinds; kind; kind = kind->next)
		words[count++] = kind->name;
	bk__device_list(list, sizeof(list), words);
	return bk_fail(err, EINVAL,
		       "%s: no such kind of device; there are %s, as in vfio:DDDD:BB:SS.F or "
		       "sim:FILE",
		       spec, list);
}

int bk_device_open(struct bk_device_context *context, const char *spec, struct bk_device **device,
		   struct bk_error *err)
{
	*device = NULL;
	for (const struct bk__device_kind *kind = context->kinds; kind; kind = kind->next)
		if (names(spec, kind->name))
			return kind->open(kind->opaque, context, strchr(spec, ':') + 1, spec, device, err);
	return unknown_kind(context, spec, err);
}
