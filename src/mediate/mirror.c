/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mirror: a range of a BAR shows the function's config space as the guest sees
 * it, with its own BAR values and capabilities. Accesses go to the space, so
 * that any width and any trap over config space means the same through both.
 */
#include "mediate/mediate.h"
#include "mediate/verbs.h"

#include <stdlib.h>

static int mirror_read(void *opaque, unsigned region, uint64_t offset, unsigned width, uint64_t *value)
{
	struct bk__mediate_verb *verb = opaque;

	return bk_space_read(verb->mediate->regions[BK_DEVICE_CONFIG].space,
			     verb->value + (offset - verb->first), width, value);
}

static int mirror_write(void *opaque, unsigned region, uint64_t offset, unsigned width, uint64_t value)
{
	struct bk__mediate_verb *verb = opaque;

	return bk_space_write(verb->mediate->regions[BK_DEVICE_CONFIG].space,
			      verb->value + (offset - verb->first), width, value);
}

const struct bk_trap_ops bk__mediate_mirror_ops = {
	.read = mirror_read,
	.write = mirror_write,
	.released = free,
};
