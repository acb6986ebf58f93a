/* SPDX-License-Identifier: BSD-2-Clause */
/* Ready-made traps: their names, and what makes one of a description. */
#include "mediate/verbs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/bytes.h"

static const struct {
	const char *name;
	const struct bk_trap_ops *ops;
} verbs[] = {
	[BK_TRAP_MIRROR] = { "mirror", &bk__mediate_mirror_ops },
	[BK_TRAP_CONSTANT] = { "const", &bk__mediate_constant_ops },
	[BK_TRAP_LOG] = { "log", &bk__mediate_log_ops },
};

const char *bk__mediate_verb_name(enum bk_trap_verb verb)
{
	return (unsigned)verb < sizeof(verbs) / sizeof(verbs[0]) ? verbs[verb].name : NULL;
}

static int check(const struct bk_trap_desc *desc, struct bk_error *err)
{
	if (!bk__mediate_verb_name(desc->verb))
		return bk_fail(err, EINVAL, "there is no trap verb %d", (int)desc->verb);
	if (desc->verb == BK_TRAP_CONSTANT &&
	    (!bk__is_width(desc->width) || (desc->width < 8 && desc->value >> 8 * desc->width)))
		return bk_fail(err, EINVAL,
			       "const: 0x%" PRIx64 " in %u bytes (1, 2, 4 or 8, and it must fit)",
			       desc->value, desc->width);
	if (desc->verb == BK_TRAP_MIRROR && desc->region == BK_DEVICE_CONFIG)
		return bk_fail(err, EINVAL, "mirror: config space cannot mirror itself: choose a BAR");
	if (desc->verb == BK_TRAP_MIRROR && desc->value > UINT64_MAX - desc->length)
		return bk_fail(err, EINVAL, "mirror: there is no config space at 0x%" PRIx64, desc->value);
	return 0;
}

int bk__mediate_verb_make(struct bk_mediator *m, struct bk_trap_desc *desc, struct bk_error *err)
{
	struct bk__mediate_verb *verb;
	int error = check(desc, err);

	if (error)
		return error;
	verb = calloc(1, sizeof(*verb));
	if (!verb)
		return bk_fail(err, ENOMEM, "%s: out of memory", verbs[desc->verb].name);
	verb->mediate = m;
	verb->first = desc->offset;
	verb->value = desc->value;
	verb->region = desc->region;
	verb->width = desc->width;
	desc->name = desc->name ? desc->name : verbs[desc->verb].name;
	desc->ops = verbs[desc->verb].ops;
	desc->opaque = verb;
	return 0;
}
