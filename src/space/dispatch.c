/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Dispatch: from an access to the handlers that answer it.
 *
 * An access of 1, 2, 4 or 8 bytes inside one span goes straight to its
 * handler. Every other one takes the slow path, which walks over spans and
 * gaps and cuts what a handler does not take whole.
 */
#include "table.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"

/* ---- Stand-ins for handlers ---- */

int bk__no_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	return -EOPNOTSUPP;
}

int bk__no_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	return -EOPNOTSUPP;
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LITTLE_ENDIAN_HOST 1
#else
#define LITTLE_ENDIAN_HOST 0
#endif

/* Memory is shared with the guest's other threads: an aligned access is one access. */
int bk__plain_read(void *host, uint64_t offset, unsigned width, uint64_t *value)
{
	uint8_t *at = (uint8_t *)host + offset;

	if (!LITTLE_ENDIAN_HOST || (uintptr_t)at % width)
		*value = bk__load(at, width);
	else if (width == 8)
		*value = __atomic_load_n((uint64_t *)at, __ATOMIC_RELAXED);
	else if (width == 4)
		*value = __atomic_load_n((uint32_t *)at, __ATOMIC_RELAXED);
	else if (width == 2)
		*value = __atomic_load_n((uint16_t *)at, __ATOMIC_RELAXED);
	else
		*value = __atomic_load_n(at, __ATOMIC_RELAXED);
	return 0;
}

int bk__plain_write(void *host, uint64_t offset, unsigned width, uint64_t value)
{
	uint8_t *at = (uint8_t *)host + offset;

	if (!LITTLE_ENDIAN_HOST || (uintptr_t)at % width)
		bk__store(at, width, value);
	else if (width == 8)
		__atomic_store_n((uint64_t *)at, value, __ATOMIC_RELAXED);
	else if (width == 4)
		__atomic_store_n((uint32_t *)at, (uint32_t)value, __ATOMIC_RELAXED);
	else if (width == 2)
		__atomic_store_n((uint16_t *)at, (uint16_t)value, __ATOMIC_RELAXED);
	else
		__atomic_store_n(at, (uint8_t)value, __ATOMIC_RELAXED);
	return 0;
}

/* ---- Failures ---- */

static void count(uint64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

static __attribute__((noinline, cold)) void failed(struct bk_space *space, const struct bk__span *span,
						   uint64_t address, bool write, unsigned width, int error)
{
	uint64_t missed;

	count(&space->errors);
	count(&bk__rest(span)->region->errors);
	if (space->on_error) {
		space->on_error(space->on_error_opaque, bk__rest(span)->region, address, write, width, error);
	} else if (bk_ratelimit_ok(&space->log_limit, &missed)) {
		char reason[80] = "";

		if (strerror_r(-error, reason, sizeof(reason)))
			reason[0] = 0;
		bk_log(BK_LOG_WARNING,
		       "%s: %s of %u bytes at 0x%" PRIx64 " failed in region '%s': error %d %s (%" PRIu64
		       " lines like this left out)",
		       space->name, write ? "write" : "read", width, address, bk__rest(span)->region->name,
		       -error, reason, missed);
	}
}

/* ---- The slow path ---- */

struct access {
	struct bk_space *space;
	bool write;
	int error; /* the first of a handler's */
};

static bool accepts(const struct bk__span *span, size_t width)
{
	return width - 1 < 8 && span->room[width - 1];
}

static void call(struct access *access, const struct bk__span *span, uint64_t address, uint8_t *data,
		 unsigned width)
{
	uint64_t value = 0;
	int error;

	if (!accepts(span, width))
		error = -EINVAL;
	else if (access->write)
		error = bk__rest(span)->write(span->opaque, bk__span_offset(span, address), width,
					      bk__load(data, width));
	else
		error = span->read(span->opaque, bk__span_offset(span, address), width, &value);
	if (bk__unlikely(error)) {
		value = UINT64_MAX;
		failed(access->space, span, address, access->write, width, error);
		if (!access->error)
			access->error = error;
	}
	if (!access->write)
		bk__store(data, width, value);
}

static void copy_plain(struct access *access, const struct bk__span *span, uint64_t address, uint8_t *data,
		       size_t length)
{
	uint8_t *host = (uint8_t *)span->opaque + bk__span_offset(span, address);

	if (access->write)
		memcpy(host, data, length);
	else
		memcpy(data, host, length);
}

/* `length` bytes that lie inside the span; `whole`: they are the whole access. */
static void call_span(struct access *access, const struct bk__span *span, uint64_t address, uint8_t *data,
		      size_t length, bool whole)
{
	if (whole && accepts(span, length)) {
		call(access, span, address, data, (unsigned)length);
		return;
	}
	if (length > 8 && !bk__rest(span)->region->ops &&
	    !(access->write && bk__rest(span)->write == bk__no_write)) {
		copy_plain(access, span, address, data, length);
		return;
	}
	while (length) {
		unsigned width = 8, narrower;

		while (width > length || address % width)
			width /= 2;
		for (narrower = width; narrower && !accepts(span, narrower);)
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
	const struct bk__span *by; /* NULL: there is none */
	uint8_t data[8];
};

/* The first span of the access whose region wants it whole, and that is not all of it. */
static const struct bk__span *straddled(struct bk__cursor cursor, uint64_t address, size_t length)
{
	const struct bk__span *span;

	for (; (span = bk__cursor_span(&cursor)); bk__cursor_next(&cursor)) {
		const struct bk_region_ops *ops = bk__rest(span)->region->ops;

		if (bk__span_first(span) > address && bk__span_first(span) - address >= length)
			break;
		if (bk__span_first(span) <= address && bk__span_last(span) - address >= length - 1)
			break;
		if (ops && ops->whole)
			return span;
	}
	return NULL;
}

static void read_whole(struct access *access, const struct bk__span *span, uint64_t address, unsigned length,
		       struct whole *whole)
{
	uint64_t value = UINT64_MAX;
	int error = bk__rest(span)->region->ops->whole(span->opaque, bk__span_offset(span, address), length,
						       &value);

	if (error == -ERANGE)
		return;
	if (bk__unlikely(error)) {
		value = UINT64_MAX;
		failed(access->space, span, address, false, length, error);
		access->error = error;
	}
	bk__store(whole->data, 8, value);
	whole->by = span;
}

static bool yields(const struct bk__span *span, const struct whole *whole)
{
	return whole->by && bk__rest(span)->region->ops && bk__rest(span)->region->ops->yields &&
	       span->origin == whole->by->origin &&
	       bk__rest(span)->region->space == bk__rest(whole->by)->region->space;
}

/* Inside a read section. */
static int slow(const struct bk__view *view, uint64_t address, uint8_t *data, size_t length, bool write)
{
	struct access access = { .space = view->space, .write = write };
	struct bk__cursor cursor = bk__view_find(view, address);
	size_t done = 0;
	struct whole whole = { NULL, { 0 } };

	if (!write && (length == 2 || length == 4 || length == 8)) {
		const struct bk__span *span = straddled(cursor, address, length);

		if (span)
			read_whole(&access, span, address, (unsigned)length, &whole);
	}
	while (done < length) {
		uint64_t at = address + done, left = length - done;
		const struct bk__span *span = bk__cursor_span(&cursor);

		if (!span) { /* nobody from here on; past 2^64 - 1 there is no span either */
			unclaimed(&access, data + done, left);
			break;
		}
		if (bk__span_first(span) > at) {
			if (left > bk__span_first(span) - at)
				left = bk__span_first(span) - at;
			unclaimed(&access, data + done, left);
		} else {
			if (left - 1 > bk__span_last(span) - at)
				left = bk__span_last(span) - at + 1;
			if (bk__unlikely(yields(span, &whole)))
				memcpy(data + done, whole.data + done, left);
			else
				call_span(&access, span, at, data + done, left, left == length);
			bk__cursor_next(&cursor);
		}
		done += left;
	}
	return access.error;
}

/* ---- One value ---- */

static const uint64_t masks[9] = {
	0, 0xff, 0xffff, 0xffffff, 0xffffffff, 0xffffffffff, 0xffffffffffff, 0xffffffffffffff, UINT64_MAX,
};

static __attribute__((noinline)) int slow_read(const struct bk__view *view, uint64_t address, unsigned width,
					       uint64_t *value)
{
	uint8_t data[8];
	int error;

	error = slow(view, address, data, width, false);
	*value = bk__load(data, width);
	return error;
}

static __attribute__((noinline)) int slow_write(const struct bk__view *view, uint64_t address, unsigned width,
						uint64_t value)
{
	uint8_t data[8];

	bk__store(data, width, value);
	return slow(view, address, data, width, true);
}

/* Does an access lie in the span that begins where the handler sees this offset, and does the handler take
 * it at once? */
static inline bool has_room(const struct bk__span *span, uint64_t offset, unsigned width)
{
	return offset - span->start < span->room[width - 1];
}

/* The same however large the span is. No width has room that is longer than the span, so nothing wraps. */
static bool takes(const struct bk__span *span, uint64_t address, unsigned width)
{
	return span->room[width - 1] &&
	       address - bk__span_first(span) <= bk__rest(span)->length - (width - 1);
}

/* The span that takes the access at once, if there is one. */
static const struct bk__span *search(const struct bk__view *view, uint64_t address, unsigned width)
{
	const struct bk__span *span = bk__first_guess(view, address);

	if (!span)
		span = bk__second_guess(view, address);
	if (!span) {
		struct bk__cursor cursor = bk__view_find(view, address);

		span = bk__cursor_span(&cursor);
	} else if (!span->read) {
		span = bk__list_find(span, address);
	}
	return span && takes(span, address, width) ? span : NULL;
}

/* Inside a read section, like the next: all that can happen to a read. */
static __attribute__((noinline)) int read_value(const struct bk__view *view, uint64_t address, unsigned width,
						uint64_t *value)
{
	const struct bk__span *span = search(view, address, width);
	int error;

	if (!span)
		return slow_read(view, address, width, value);
	error = span->read(span->opaque, bk__span_offset(span, address), width, value);
	*value &= masks[width];
	if (bk__unlikely(error)) {
		*value = masks[width];
		failed(view->space, span, address, false, width, error);
	}
	return error;
}

static __attribute__((noinline)) int write_value(const struct bk__view *view, uint64_t address,
						 unsigned width, uint64_t value)
{
	const struct bk__span *span = search(view, address, width);
	int error;

	if (!span)
		return slow_write(view, address, width, value);
	error = bk__rest(span)->write(span->opaque, bk__span_offset(span, address), width,
				      value & masks[width]);
	if (bk__unlikely(error))
		failed(view->space, span, address, true, width, error);
	return error;
}

/* ---- The entries ---- */

/* For all but the fast path. `inside` says whether the thread was inside a read before. 0 or -ENOMEM. */
static int enter(struct bk_space *space, bool *inside)
{
	int error = bk__reader_prepare(space->domain);

	if (error)
		return error;
	*inside = bk__read_ongoing();
	if (!*inside)
		bk__heavy_read_lock();
	return 0;
}

static void leave(bool inside)
{
	if (!inside)
		bk__heavy_read_unlock();
}

/* The ways off the fast path are calls in tail position, so that it need not
 * keep anything for them. */

static __attribute__((noinline, cold)) int invalid(void)
{
	return -EINVAL;
}

static __attribute__((noinline, cold)) int read_unready(struct bk_space *space, uint64_t address,
							unsigned width, uint64_t *value)
{
	bool inside;
	int error = enter(space, &inside);

	*value = masks[width];
	if (error)
		return error;
	error = read_value(bk__view_of(space), address, width, value);
	leave(inside);
	return error;
}

static __attribute__((noinline)) int read_unguessed(const struct bk__view *view, uint64_t address,
						    unsigned width, uint64_t *value)
{
	int error = read_value(bk__settled(view), address, width, value);

	bk__read_unlock();
	return error;
}

/* What is needed once more after the handler. It is kept in memory from the
 * start: each register for it would cost every access more. */
struct kept {
	const struct bk__view *view;
	uint64_t address;
	uint64_t *value;
	unsigned width;
};
#define KEEP(object) __asm__ volatile("" : "+m"(object))

static __attribute__((noinline, cold)) int read_failed(const struct kept *kept, int error)
{
	*kept->value = masks[kept->width];
	failed(kept->view->space, search(kept->view, kept->address, kept->width), kept->address, false,
	       kept->width, error);
	bk__read_unlock();
	return error;
}

/* What a span answers that takes the access. Inside a read section, which this and the next two end. */
static inline int read_taken(const struct bk__view *view, const struct bk__span *span, uint64_t address,
			     uint64_t offset, unsigned width, uint64_t *value)
{
	struct kept kept;
	int error;

	kept.view = view;
	KEEP(kept.view);
	kept.address = address;
	KEEP(kept.address);
	kept.value = value;
	KEEP(kept.value);
	kept.width = width;
	KEEP(kept.width);
	error = span->read(span->opaque, offset, width, value);
	if (bk__unlikely(error))
		return read_failed(&kept, error);
	if (bk__unlikely(*kept.value > masks[kept.width]))
		*kept.value &= masks[kept.width];
	bk__read_unlock();
	return 0;
}

/* The guess was wrong, or is a list. */
static __attribute__((noinline)) int read_listed(const struct bk__view *view, const struct bk__span *span,
						 uint64_t address, unsigned width, uint64_t *value)
{
	uint64_t offset;

	if (!span->read)
		span = bk__list_find(span, address);
	offset = bk__span_offset(span, address);
	if (!has_room(span, offset, width))
		return read_unguessed(view, address, width, value);
	return read_taken(view, span, address, offset, width, value);
}

static inline int read_guessed(const struct bk__view *view, const struct bk__span *span, uint64_t address,
			       unsigned width, uint64_t *value)
{
	uint64_t offset = bk__span_offset(span, address);

	if (bk__unlikely(!has_room(span, offset, width)))
		return read_listed(view, span, address, width, value);
	return read_taken(view, span, address, offset, width, value);
}

static __attribute__((noinline)) int read_beyond(const struct bk__view *view, uint64_t address,
						 unsigned width, uint64_t *value)
{
	const struct bk__span *span = bk__second_guess(view, address);

	if (!span)
		return read_unguessed(view, address, width, value);
	return read_guessed(view, span, address, width, value);
}

/* From the start of a cache line on, so that it takes the same time in every program. */
#define ALIGNED __attribute__((aligned(64)))

ALIGNED int bk_space_read(struct bk_space *space, uint64_t address, unsigned width, uint64_t *value)
{
	const struct bk__view *view;
	const struct bk__span *span;

	if (bk__unlikely(width - 1 > 7))
		return invalid();
	if (!bk__ready())
		return read_unready(space, address, width, value);
	bk__read_lock();
	view = bk__subscribe(space->published);
	span = bk__first_guess(view, address);
	if (bk__unlikely(!span))
		return read_beyond(view, address, width, value);
	return read_guessed(view, span, address, width, value);
}

static __attribute__((noinline, cold)) int write_unready(struct bk_space *space, uint64_t address,
							 unsigned width, uint64_t value)
{
	bool inside;
	int error = enter(space, &inside);

	if (error)
		return error;
	error = write_value(bk__view_of(space), address, width, value);
	leave(inside);
	return error;
}

static __attribute__((noinline)) int write_unguessed(const struct bk__view *view, uint64_t address,
						     unsigned width, uint64_t value)
{
	int error = write_value(bk__settled(view), address, width, value);

	bk__read_unlock();
	return error;
}

static __attribute__((noinline, cold)) int write_failed(const struct kept *kept, int error)
{
	failed(kept->view->space, search(kept->view, kept->address, kept->width), kept->address, true,
	       kept->width, error);
	bk__read_unlock();
	return error;
}

static inline int write_taken(const struct bk__view *view, const struct bk__span *span, uint64_t address,
			      uint64_t offset, unsigned width, uint64_t value)
{
	struct kept kept;
	int error;

	kept.view = view;
	KEEP(kept.view);
	kept.address = address;
	KEEP(kept.address);
	kept.width = width;
	KEEP(kept.width);
	error = bk__rest(span)->write(span->opaque, offset, width, value & masks[width]);
	if (bk__unlikely(error))
		return write_failed(&kept, error);
	bk__read_unlock();
	return 0;
}

static __attribute__((noinline)) int write_listed(const struct bk__view *view, const struct bk__span *span,
						  uint64_t address, unsigned width, uint64_t value)
{
	uint64_t offset;

	if (!span->read)
		span = bk__list_find(span, address);
	offset = bk__span_offset(span, address);
	if (!has_room(span, offset, width))
		return write_unguessed(view, address, width, value);
	return write_taken(view, span, address, offset, width, value);
}

static inline int write_guessed(const struct bk__view *view, const struct bk__span *span, uint64_t address,
				unsigned width, uint64_t value)
{
	uint64_t offset = bk__span_offset(span, address);

	if (bk__unlikely(!has_room(span, offset, width)))
		return write_listed(view, span, address, width, value);
	return write_taken(view, span, address, offset, width, value);
}

static __attribute__((noinline)) int write_beyond(const struct bk__view *view, uint64_t address,
						  unsigned width, uint64_t value)
{
	const struct bk__span *span = bk__second_guess(view, address);

	if (!span)
		return write_unguessed(view, address, width, value);
	return write_guessed(view, span, address, width, value);
}

ALIGNED int bk_space_write(struct bk_space *space, uint64_t address, unsigned width, uint64_t value)
{
	const struct bk__view *view;
	const struct bk__span *span;

	if (bk__unlikely(width - 1 > 7))
		return invalid();
	if (!bk__ready())
		return write_unready(space, address, width, value);
	bk__read_lock();
	view = bk__subscribe(space->published);
	span = bk__first_guess(view, address);
	if (bk__unlikely(!span))
		return write_beyond(view, address, width, value);
	return write_guessed(view, span, address, width, value);
}

int bk_space_read_bytes(struct bk_space *space, uint64_t address, void *data, size_t length)
{
	bool inside;
	int error;

	if (!length)
		return -EINVAL;
	error = enter(space, &inside);
	if (error) {
		memset(data, 0xff, length);
		return error;
	}
	error = slow(bk__view_of(space), address, data, length, false);
	leave(inside);
	return error;
}

int bk_space_write_bytes(struct bk_space *space, uint64_t address, const void *data, size_t length)
{
	bool inside;
	int error;

	if (!length)
		return -EINVAL;
	error = enter(space, &inside);
	if (error)
		return error;
	/* Only read: the access is a write. */
	error = slow(bk__view_of(space), address, (uint8_t *)data, length, true);
	leave(inside);
	return error;
}

void bk_space_visit(struct bk_space *space, uint64_t first, uint64_t last,
		    bool (*visit)(void *opaque, const struct bk_flat *flat), void *opaque)
{
	const struct bk__span *span;
	struct bk__cursor cursor;
	bool inside;

	if (enter(space, &inside))
		return;
	cursor = bk__view_find(bk__view_of(space), first);
	for (; (span = bk__cursor_span(&cursor)) && bk__span_first(span) <= last; bk__cursor_next(&cursor)) {
		struct bk_flat flat;

		bk__span_flat(span, &flat);
		if (!visit(opaque, &flat))
			break;
	}
	leave(inside);
}
