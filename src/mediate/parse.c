/* SPDX-License-Identifier: BSD-2-Clause */
/* Traps as a user writes them: REGION+OFFSET/LENGTH:VERB. */
#include "mediate/mediate.h"
#include "mediate/verbs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"

#define EXAMPLE "as in bar2+0xf00/0x100:mirror"

static const char *const verb_names[] = {
	[BK_TRAP_MIRROR] = "mirror",
	[BK_TRAP_CONSTANT] = "const",
	[BK_TRAP_LOG] = "log",
};

static const struct bk_trap_ops *const verb_ops[] = {
	[BK_TRAP_MIRROR] = &bk__mediate_mirror_ops,
	[BK_TRAP_CONSTANT] = &bk__mediate_constant_ops,
	[BK_TRAP_LOG] = &bk__mediate_log_ops,
};

#define VERBS (sizeof(verb_names) / sizeof(verb_names[0]))

/* Moves *text behind `word` if it starts with it. */
static bool accept(const char **text, const char *word)
{
	size_t length = strlen(word);

	if (strncmp(*text, word, length))
		return false;
	*text += length;
	return true;
}

static bool number(const char **text, uint64_t *value)
{
	const char *end = bk__base_number_take(*text, value);

	if (end)
		*text = end;
	return end;
}

/* A region by its name, or a capability by its id. */
static bool place(const char **text, struct bk_trap_spec *spec)
{
	uint64_t id;

	for (spec->region = 0; spec->region < BK__SPACES; spec->region++)
		if (accept(text, bk_device_region_name(spec->region)))
			return true;
	spec->region = BK_DEVICE_CONFIG;
	if (accept(text, "cap:"))
		spec->from = BK_TRAP_FROM_CAPABILITY;
	else if (accept(text, "ext:"))
		spec->from = BK_TRAP_FROM_EXTENDED;
	if (!spec->from || !number(text, &id) || id > (spec->from == BK_TRAP_FROM_EXTENDED ? 0xffff : 0xff))
		return false;
	spec->capability = (unsigned)id;
	return true;
}

static bool verb(const char **text, struct bk_trap_spec *spec)
{
	for (unsigned i = 0; i < VERBS; i++) {
		if (!accept(text, verb_names[i]))
			continue;
		spec->verb = (enum bk_trap_verb)i;
		return true;
	}
	return false;
}

static bool is_width(uint64_t width)
{
	return width == 1 || width == 2 || width == 4 || width == 8;
}

static bool fits(uint64_t value, unsigned width)
{
	return width == 8 || !(value >> 8 * width);
}

int bk_trap_parse(const char *text, struct bk_trap_spec *spec, struct bk_error *err)
{
	const char *at = text;
	bool has_value;

	*spec = (struct bk_trap_spec){ 0 };
	if (!place(&at, spec))
		return bk_fail(
			err, EINVAL,
			"%s: a trap starts with bar0 to bar5, rom, config, vga, cap:ID or ext:ID, " EXAMPLE,
			text);
	if (!accept(&at, "+") || !number(&at, &spec->offset))
		return bk_fail(err, EINVAL, "%s: after the region comes + and an offset in bytes, " EXAMPLE,
			       text);
	if (!accept(&at, "/") || !number(&at, &spec->length) || !spec->length)
		return bk_fail(err, EINVAL, "%s: after the offset comes / and a length in bytes, " EXAMPLE,
			       text);
	if (!accept(&at, ":") || !verb(&at, spec))
		return bk_fail(err, EINVAL,
			       "%s: after the length comes :mirror, :const=VALUE or :log, " EXAMPLE, text);
	has_value = accept(&at, "=");
	if (has_value && !number(&at, &spec->value))
		return bk_fail(err, EINVAL, "%s: = wants a number of up to 64 bits, as in const=0x12345678",
			       text);
	spec->overlay = accept(&at, ":overlay");
	spec->accelerate = spec->verb == BK_TRAP_LOG && accept(&at, ":accelerate");
	if (*at)
		return bk_fail(err, EINVAL, "%s: \"%s\" is left over, " EXAMPLE, text, at);
	if (spec->verb == BK_TRAP_CONSTANT && !has_value)
		return bk_fail(err, EINVAL, "%s: const wants a value, as in const=0x12345678", text);
	if (spec->verb == BK_TRAP_LOG && has_value)
		return bk_fail(err, EINVAL, "%s: log takes no value, as in config+0x40/2:log", text);
	if (spec->verb == BK_TRAP_CONSTANT) {
		if (is_width(spec->length))
			spec->width = (unsigned)spec->length;
		else
			spec->width = fits(spec->value, 4) ? 4 : 8;
		if (!fits(spec->value, spec->width))
			return bk_fail(err, EINVAL, "%s: 0x%" PRIx64 " does not fit in %u bytes", text,
				       spec->value, spec->width);
	}
	return 0;
}

static int place_spec(struct bk_mediator *m, struct bk_trap *old, const struct bk_trap_spec *spec,
		      struct bk_trap **trap, struct bk_error *err)
{
	struct bk_trap_desc desc = {
		.region = spec->region,
		.from = spec->from,
		.capability = spec->capability,
		.offset = spec->offset,
		.length = spec->length,
		.overlay = spec->overlay,
		.accelerate = spec->accelerate,
	};
	struct bk__mediate_verb *verb;
	unsigned at;
	int r;

	*trap = NULL;
	if ((unsigned)spec->verb >= VERBS)
		return bk_fail(err, EINVAL, "there is no trap verb %d", (int)spec->verb);
	if (spec->verb == BK_TRAP_CONSTANT && (!is_width(spec->width) || !fits(spec->value, spec->width)))
		return bk_fail(err, EINVAL,
			       "const: 0x%" PRIx64 " in %u bytes (1, 2, 4 or 8, and it must fit)",
			       spec->value, spec->width);
	if (spec->verb == BK_TRAP_MIRROR && spec->region == BK_DEVICE_CONFIG)
		return bk_fail(err, EINVAL, "mirror: config space cannot mirror itself: choose a BAR");
	if (spec->verb == BK_TRAP_MIRROR && spec->value > UINT64_MAX - spec->length)
		return bk_fail(err, EINVAL, "mirror: there is no config space at 0x%" PRIx64, spec->value);
	verb = calloc(1, sizeof(*verb));
	if (!verb)
		return bk_fail(err, ENOMEM, "%s: out of memory", verb_names[spec->verb]);
	verb->mediate = m;
	verb->spec = *spec;
	if (spec->from != BK_TRAP_FROM_START &&
	    !bk_mediator_capability(m, spec->from == BK_TRAP_FROM_EXTENDED, spec->capability, &at))
		verb->spec.offset += at; /* handlers see offsets from the region's start */
	desc.name = verb_names[spec->verb];
	desc.ops = verb_ops[spec->verb];
	desc.opaque = verb;
	r = old ? bk_trap_replace(old, &desc, trap, err) : bk_trap_add(m, &desc, trap, err);
	if (r)
		free(verb);
	return r;
}

int bk_trap_add_spec(struct bk_mediator *m, const struct bk_trap_spec *spec, struct bk_trap **trap,
		     struct bk_error *err)
{
	return place_spec(m, NULL, spec, trap, err);
}

int bk_trap_replace_spec(struct bk_trap *old, const struct bk_trap_spec *spec, struct bk_trap **trap,
			 struct bk_error *err)
{
	return place_spec(old->mediate, old, spec, trap, err);
}
