/* SPDX-License-Identifier: BSD-2-Clause */
/* Traps as a user writes them: REGION+OFFSET/LENGTH:VERB. */
#include "mediate/mediate.h"
#include "mediate/verbs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/number.h"
#include "base/struct.h"

#define EXAMPLE "as in bar2+0xf00/0x100:mirror"

/* Moves *text past `word` if it starts with that. */
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
static bool place(const char **text, struct bk_trap_desc *desc)
{
	uint64_t id;

	for (desc->region = 0; desc->region < BK__SPACES; desc->region++)
		if (accept(text, bk_device_region_name(desc->region)))
			return true;
	desc->region = BK_DEVICE_CONFIG;
	if (accept(text, "cap:"))
		desc->from = BK_TRAP_FROM_CAPABILITY;
	else if (accept(text, "ext:"))
		desc->from = BK_TRAP_FROM_EXTENDED;
	if (!desc->from || !number(text, &id) || id > (desc->from == BK_TRAP_FROM_EXTENDED ? 0xffff : 0xff))
		return false;
	desc->capability = (unsigned)id;
	return true;
}

static bool verb(const char **text, struct bk_trap_desc *desc)
{
	const char *name;

	for (unsigned i = BK_TRAP_HANDLERS + 1; (name = bk__mediate_verb_name((enum bk_trap_verb)i)); i++) {
		if (!accept(text, name))
			continue;
		desc->verb = (enum bk_trap_verb)i;
		return true;
	}
	return false;
}

static bool fits(uint64_t value, unsigned width)
{
	return width == 8 || !(value >> 8 * width);
}

static int parse(const char *text, struct bk_trap_desc *desc, struct bk_error *err)
{
	const char *at = text;
	bool has_value;

	if (!place(&at, desc))
		return bk_fail(
			err, EINVAL,
			"%s: a trap starts with bar0 to bar5, rom, config, vga, cap:ID or ext:ID, " EXAMPLE,
			text);
	if (!accept(&at, "+") || !number(&at, &desc->offset))
		return bk_fail(err, EINVAL, "%s: after the region comes + and an offset in bytes, " EXAMPLE,
			       text);
	if (!accept(&at, "/") || !number(&at, &desc->length) || !desc->length)
		return bk_fail(err, EINVAL, "%s: after the offset comes / and a length in bytes, " EXAMPLE,
			       text);
	if (!accept(&at, ":") || !verb(&at, desc))
		return bk_fail(err, EINVAL,
			       "%s: after the length comes :mirror, :const=VALUE or :log, " EXAMPLE, text);
	has_value = accept(&at, "=");
	if (has_value && !number(&at, &desc->value))
		return bk_fail(err, EINVAL, "%s: = wants a number of up to 64 bits, as in const=0x12345678",
			       text);
	desc->overlay = accept(&at, ":overlay");
	desc->accelerate = desc->verb == BK_TRAP_LOG && accept(&at, ":accelerate");
	if (*at)
		return bk_fail(err, EINVAL, "%s: \"%s\" is left over, " EXAMPLE, text, at);
	if (desc->verb == BK_TRAP_CONSTANT && !has_value)
		return bk_fail(err, EINVAL, "%s: const wants a value, as in const=0x12345678", text);
	if (desc->verb == BK_TRAP_LOG && has_value)
		return bk_fail(err, EINVAL, "%s: log takes no value, as in config+0x40/2:log", text);
	if (desc->verb == BK_TRAP_CONSTANT) {
		if (bk__is_width(desc->length))
			desc->width = (unsigned)desc->length;
		else
			desc->width = fits(desc->value, 4) ? 4 : 8;
		if (!fits(desc->value, desc->width))
			return bk_fail(err, EINVAL, "%s: 0x%" PRIx64 " does not fit in %u bytes", text,
				       desc->value, desc->width);
	}
	return 0;
}

int bk_trap_parse(const char *text, struct bk_trap_desc *desc, struct bk_error *err)
{
	struct bk_trap_desc full = { .struct_size = sizeof(full) };
	int error = parse(text, &full, err);

	bk__struct_give(desc, &full, sizeof(full));
	return error;
}
