/* SPDX-License-Identifier: BSD-2-Clause */
/* Constant: reads give the bytes of a value, repeated from the trap's start on; writes vanish. */
#include "mediate/verbs.h"

#include <stdlib.h>

static int constant_read(void *opaque, unsigned region, uint64_t offset, unsigned width, uint64_t *value)
{
	const struct bk__mediate_verb *verb = opaque;
	uint64_t at = offset - verb->first;

	*value = 0;
	for (unsigned i = 0; i < width; i++)
		*value |= (verb->value >> (at + i) % verb->width * 8 & 0xff) << 8 * i;
	return 0;
}

static int constant_write(void *opaque, unsigned region, uint64_t offset, unsigned width, uint64_t value)
{
	return 0;
}

const struct bk_trap_ops bk__mediate_constant_ops = {
	.read = constant_read,
	.write = constant_write,
	.released = free,
};
