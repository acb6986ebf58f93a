/* SPDX-License-Identifier: BSD-2-Clause */
/* The VERSION message: what each side can do, as JSON. */
#ifndef BK_WIRE_VERSION_H
#define BK_WIRE_VERSION_H

#include "wire/message.h"

#define BK__WIRE_VERSION_TEXT 4096 /* bytes of JSON at most, with the NUL */

/* Which members were there. */
enum {
	BK__WIRE_HAS_FDS = 1,
	BK__WIRE_HAS_DATA = 2,
	BK__WIRE_HAS_MAPS = 4,
	BK__WIRE_HAS_PGSIZES = 8,
	BK__WIRE_HAS_TWIN = 16,
	BK__WIRE_HAS_MULTI = 32,
};

struct bk__wire_version {
	unsigned major, minor;
	unsigned has; /* BK__WIRE_HAS_*; the values of others are the text's defaults */
	uint32_t fds;
	uint64_t data, maps, pgsizes;
	bool twin, multi;
	uint32_t twin_index; /* of a reply: which fd the second socket is */
};

/*
 * Takes the payload of a request or reply apart. No JSON at all is fine, and so is text without its NUL;
 * members that are not known are skipped. -EINVAL with a line for text that is no object, numbers that are
 * negative or more than a field holds, more than BK__WIRE_VERSION_TEXT bytes; -ENOMEM.
 */
int bk__wire_version_take(const void *payload, size_t size, struct bk__wire_version *version,
			  struct bk_error *err);

/*
 * Writes a payload with the members of `has`, NUL-terminated. `twin_index` is written in a reply only. The
 * number of bytes, or -ENOMEM, -ENOBUFS if it is more than `room`.
 */
int bk__wire_version_put(void *payload, size_t room, const struct bk__wire_version *version, bool reply);

#endif
