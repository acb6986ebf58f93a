/* SPDX-License-Identifier: BSD-2-Clause */
/* Log: accesses reach the device, and leave a line. */
#include "base/ratelimit.h"
#include "mediate/mediate.h"
#include "mediate/verbs.h"

#include <inttypes.h>
#include <stdlib.h>

/* A warning, since the user asked for these lines and should see them without asking again. */
static void line(struct bk__mediate_verb *verb, bool write, uint64_t offset, unsigned width, uint64_t value,
		 int error)
{
	bk__log_limited(&verb->limit, BK_LOG_WARNING, "%s: %s+0x%" PRIx64 ": %s %u 0x%0*" PRIx64 "%s",
			verb->mediate->below->name, bk_device_region_name(verb->region), offset,
			write ? "write" : "read", width, 2 * (int)width, value, error ? ", failed" : "");
}

static int log_read(void *opaque, unsigned region, uint64_t offset, unsigned width, uint64_t *value)
{
	struct bk__mediate_verb *verb = opaque;
	int r = bk_mediator_below_read(verb->mediate, region, offset, width, value);

	line(verb, false, offset, width, *value, r);
	return r;
}

static int log_write(void *opaque, unsigned region, uint64_t offset, unsigned width, uint64_t value)
{
	struct bk__mediate_verb *verb = opaque;
	int r = bk_mediator_below_write(verb->mediate, region, offset, width, value);

	line(verb, true, offset, width, value, r);
	return r;
}

const struct bk_trap_ops bk__mediate_log_ops = {
	.read = log_read,
	.write = log_write,
	.released = free,
};
