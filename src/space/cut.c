/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Splits an access that no handler takes whole: walks over spans and gaps, and cuts the access at edges
 * and into widths that the handlers take.
 */
#include "base/ratelimit.h"
#include "space/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"

/* ---- Failures ---- */

static void count(uint64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

void bk__space_failed(struct bk_space *space, const struct bk__space_span *span, uint64_t address, bool write,
		      unsigned width, int error)
{
	uint64_t missed;

	count(&space->errors);
	count(&bk__space_rest(span)->region->errors);
	if (space->on_error) {
		space->on_error(space->on_error_opaque, bk__space_rest(span)->region, address, write, width,
				error);
	} else if (bk__ratelimit_ok(&space->log_limit, &missed)) {
		char reason[80] = "";

		if (strerror_r(-error, reason, sizeof(reason)))
			reason[0] = 0;
		bk_log(BK_LOG_WARNING,
		       "%s: %s of %u bytes at 0x%" PRIx64 " failed in region '%s': error %d %s (%" PRIu64
		       " lines like this left out)",
		       space->name, write ? "write" : "read", width, address,
		       bk__space_rest(span)->region->name, -error, reason, missed);
	}
}

/* ---- Pieces ---- */

struct access {
	struct bk_space *space;
	bool write;
	int error; /* the first of a handler's */
};

static void call(struct access *access, const struct bk__space_span *span, uint64_t address, uint8_t *data,
		 unsigned width)
{
	uint64_t value = 0;
	int error;

	if (!bk__space_span_accepts(span, width))
		error = -EINVAL;
	else if (access->write)
		error = bk__space_rest(span)->write(span->opaque, bk__space_span_offset(span, address), width,
						    bk__load(data, width));
	else
		error = span->read(span->opaque, bk__space_span_offset(span, address), width, &value);
	if (bk__space_unlikely(error)) {
		value = UINT64_MAX;
		bk__space_failed(access->space, span, address, access->write, width, error);
		if (!access->error)
			access->error = error;
	}
	if (!access->write)
		bk__store(data, width, value);
}

static void copy_plain(struct access *access, const struct bk__space_span *span, uint64_t address,
		       uint8_t *data, size_t length)
{
	uint8_t *host = (uint8_t *)span->opaque + bk__space_span_offset(span, address);

	if (access->write)
		memcpy(host, data, length);
	else
		memcpy(data, host, length);
}

/* `length` bytes that lie inside the span. */
static void call_span(struct access *access, const struct bk__space_span *span, uint64_t address,
		      uint8_t *data, size_t length)
{
	if (length > 8 && bk__space_rest(span)->region->plain &&
	    !(access->write && bk__space_rest(span)->write == bk__space_no_write)) {
		copy_plain(access, span, address, data, length);
		return;
	}
	while (length) {
		unsigned width = 8, narrower;

		while (width > length || address % width)
			width /= 2;
		for (narrower = width; narrower && !bk__space_span_accepts(span, narrower);)
			narrower /= 2;
		if (narrower)
			width = narrower;
		call(access, span, address, data, width);
		address += width;
		data += width;
		length -= width;
	}
}

static void unclaimed(struct access *access, uint8_t *data, size_t length)
{
	count(access->write ? &access->space->unclaimed_writes : &access->space->unclaimed_reads);
	if (!access->write)
		memset(data, 0xff, length);
}

/* A read that is made once, at its own width, for all regions that yield to it. */
struct whole {
	const struct bk__space_span *by; /* NULL: there is none */
	uint8_t data[8];
};

/* The first span of the access whose region wants it whole, and that is not all of it. */
static const struct bk__space_span *straddled(struct bk__space_cursor cursor, uint64_t address, size_t length)
{
	const struct bk__space_span *span;

	for (; (span = bk__space_cursor_span(&cursor)); bk__space_cursor_next(&cursor)) {
		if (bk__space_span_first(span) > address && bk__space_span_first(span) - address >= length)
			break;
		if (bk__space_span_first(span) <= address &&
		    bk__space_span_last(span) - address >= length - 1)
			break;
		if (bk__space_rest(span)->region->whole)
			return span;
	}
	return NULL;
}

static void read_whole(struct access *access, const struct bk__space_span *span, uint64_t address,
		       unsigned length, struct whole *whole)
{
	uint64_t value = UINT64_MAX;
	int error = bk__space_rest(span)->region->whole(span->opaque, bk__space_span_offset(span, address),
							length, &value);

	if (error == -ERANGE)
		return;
	if (bk__space_unlikely(error)) {
		value = UINT64_MAX;
		bk__space_failed(access->space, span, address, false, length, error);
		access->error = error;
	}
	bk__store(whole->data, 8, value);
	whole->by = span;
}

static bool yields(const struct bk__space_span *span, const struct whole *whole)
{
	return whole->by && bk__space_rest(span)->region->yields && span->origin == whole->by->origin &&
	       bk__space_rest(span)->region->space == bk__space_rest(whole->by)->region->space;
}

int bk__space_cut(const struct bk__space_view *view, uint64_t address, uint8_t *data, size_t length,
		  bool write)
{
	struct access access = { .space = view->space, .write = write };
	struct bk__space_cursor cursor = bk__space_view_find(view, address);
	size_t done = 0;
	struct whole whole = { NULL, { 0 } };

	if (!write && (length == 2 || length == 4 || length == 8)) {
		const struct bk__space_span *span = straddled(cursor, address, length);

		if (span)
			read_whole(&access, span, address, (unsigned)length, &whole);
	}
	while (done < length) {
		uint64_t at = address + done, left = length - done;
		const struct bk__space_span *span = bk__space_cursor_span(&cursor);

		if (!span) { /* no region from here on; past 2^64 - 1 there is no span either */
			unclaimed(&access, data + done, left);
			break;
		}
		if (bk__space_span_first(span) > at) {
			if (left > bk__space_span_first(span) - at)
				left = bk__space_span_first(span) - at;
			unclaimed(&access, data + done, left);
		} else {
			if (left - 1 > bk__space_span_last(span) - at)
				left = bk__space_span_last(span) - at + 1;
			if (bk__space_unlikely(yields(span, &whole)))
				memcpy(data + done, whole.data + done, left);
			else
				call_span(&access, span, at, data + done, left);
			bk__space_cursor_next(&cursor);
		}
		done += left;
	}
	return access.error;
}
