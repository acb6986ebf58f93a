/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Dispatch: from an access to the handlers that answer it.
 *
 * The normal way of a read; a write has the same with `write` in each name:
 *
 *     bk_space_read       begins a read section, guesses the span by the table
 *     read_guessed        does that span take the access?
 *     read_taken          calls its handler, ends the section
 *
 * Off that way: read_unready is a thread's first read; read_nested is a read in
 * a handler; read_beyond looks into the second window, read_listed into a list,
 * read_edge is for an access over the edge between two spans; read_unguessed
 * is for what no guess answers, by read_value, and what that does not find in
 * one span or two is cut in pieces by cut.c.
 */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-gcse") /* which costs the normal way an instruction */
#endif

#include "space/table.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"

/* ---- One value ---- */

static const uint64_t masks[9] = {
	0, 0xff, 0xffff, 0xffffff, 0xffffffff, 0xffffffffff, 0xffffffffffff, 0xffffffffffffff, UINT64_MAX,
};

static __attribute__((noinline)) int slow_read(const struct bk__space_view *view, uint64_t address,
					       unsigned width, uint64_t *value)
{
	uint8_t data[8];
	int error;

	error = bk__space_cut(view, address, data, width, false);
	*value = bk__load(data, width);
	return error;
}

static __attribute__((noinline)) int slow_write(const struct bk__space_view *view, uint64_t address,
						unsigned width, uint64_t value)
{
	uint8_t data[8];

	bk__store(data, width, value);
	return bk__space_cut(view, address, data, width, true);
}

/* Is the access inside the span, and does the handler take its width? The access must not begin before the
 * span. `limits` has no width that is longer than the span. */
static inline bool fits(const struct bk__space_span *span, uint64_t offset, unsigned width)
{
	uint64_t limits = span->limits;

	return limits >> (width + BK__LIMITS_WIDTHS) & 1 && offset <= (uint64_t)(uint32_t)limits - width;
}

/* The span that holds the address; NULL if there is none. */
static const struct bk__space_span *find(const struct bk__space_view *view, uint64_t address)
{
	const struct bk__space_span *span = bk__space_first_guess(view, address);
	const struct bk__space_rest *rest;

	if (!span)
		span = bk__space_second_guess(view, address);
	if (!span) {
		struct bk__space_cursor cursor = bk__space_view_find(view, address);

		span = bk__space_cursor_span(&cursor);
	} else if (bk__space_is_list(span)) {
		span = bk__space_list_find(span, address);
	}
	if (!span || bk__space_is_list(span))
		return NULL;
	rest = bk__space_rest(span);
	return address - rest->first <= rest->length ? span : NULL;
}

/* Does it take an access at once that begins in it? */
static inline bool holds(const struct bk__space_span *span, uint64_t address, unsigned width)
{
	const struct bk__space_rest *rest = bk__space_rest(span);

	return bk__space_span_accepts(span, width) && address - rest->first <= rest->length - (width - 1);
}

/* ---- Over one edge ---- */

/* Two ranges side by side, each of which takes its part of an access at once. */
struct pair {
	const struct bk__space_span *low, *high;
	unsigned first; /* bytes that are the lower one's */
};

/* A part that begins in the span or after it: is it aligned, taken in one access, and not in a region
 * that must see it? */
static inline bool fits_part(const struct bk__space_span *span, uint64_t address, unsigned width)
{
	return fits(span, bk__space_span_offset(span, address), width) && !(address & (width - 1)) &&
	       !(span->limits >> BK__LIMITS_WIDTHS & BK__LIMITS_WHOLE);
}

/* The access does not begin before `low`. False: it is none over such an edge, or the table does not tell. */
static inline bool find_pair(const struct bk__space_view *view, const struct bk__space_span *low,
			     uint64_t address, unsigned width, struct pair *pair)
{
	uint64_t offset = bk__space_span_offset(low, address), end = (uint32_t)low->limits;

	if (offset >= end || end - offset >= width)
		return false;
	pair->low = low;
	pair->first = (unsigned)(end - offset);
	if (!(address + pair->first)) /* the top: nothing is behind it, least of all what is at 0 */
		return false;
	pair->high = bk__space_first_guess(view, address + pair->first);
	if (!pair->high)
		return false;
	if (bk__space_is_list(pair->high))
		pair->high = bk__space_list_find(pair->high, address + pair->first);
	return fits_part(low, address, pair->first) &&
	       fits_part(pair->high, address + pair->first, width - pair->first);
}

/* One piece, whatever the handler says. */
static inline int read_piece(const struct bk__space_view *view, const struct bk__space_span *span,
			     uint64_t address, unsigned width, uint64_t *value)
{
	int error = span->read(span->opaque, bk__space_span_offset(span, address), width, value);

	*value &= masks[width];
	if (bk__space_unlikely(error)) {
		*value = masks[width];
		bk__space_failed(view->space, span, address, false, width, error);
	}
	return error;
}

static inline int write_piece(const struct bk__space_view *view, const struct bk__space_span *span,
			      uint64_t address, unsigned width, uint64_t value)
{
	int error = bk__space_rest(span)->write(span->opaque, bk__space_span_offset(span, address), width,
						value & masks[width]);

	if (bk__space_unlikely(error))
		bk__space_failed(view->space, span, address, true, width, error);
	return error;
}

static int read_pair(const struct bk__space_view *view, const struct pair *pair, uint64_t address,
		     unsigned width, uint64_t *value)
{
	uint64_t low = 0, high = 0;
	int error = read_piece(view, pair->low, address, pair->first, &low);
	int other = read_piece(view, pair->high, address + pair->first, width - pair->first, &high);

	*value = low | high << 8 * pair->first;
	return error ? error : other;
}

static int write_pair(const struct bk__space_view *view, const struct pair *pair, uint64_t address,
		      unsigned width, uint64_t value)
{
	int error = write_piece(view, pair->low, address, pair->first, value);
	int other = write_piece(view, pair->high, address + pair->first, width - pair->first,
				value >> 8 * pair->first);

	return error ? error : other;
}

/* Inside a read section, like the next: all that can happen to a read. */
static __attribute__((noinline)) int read_value(const struct bk__space_view *view, uint64_t address,
						unsigned width, uint64_t *value)
{
	const struct bk__space_span *span = find(view, address);
	struct pair pair;

	if (span && holds(span, address, width))
		return read_piece(view, span, address, width, value);
	if (span && find_pair(view, span, address, width, &pair))
		return read_pair(view, &pair, address, width, value);
	return slow_read(view, address, width, value);
}

static __attribute__((noinline)) int write_value(const struct bk__space_view *view, uint64_t address,
						 unsigned width, uint64_t value)
{
	const struct bk__space_span *span = find(view, address);
	struct pair pair;

	if (span && holds(span, address, width))
		return write_piece(view, span, address, width, value);
	if (span && find_pair(view, span, address, width, &pair))
		return write_pair(view, &pair, address, width, value);
	return slow_write(view, address, width, value);
}

/* ---- The entries ---- */

/* The fast path's beginning: which view the thread reads is noted for those who free views. */
static inline const struct bk__space_view *begin(struct bk_space *space, unsigned long *ctr)
{
	const struct bk__space_view *view;

	bk__space_read_lock(ctr);
	view = bk__space_subscribe(space->published);
	bk__space_note(&bk__space_reader.view, view);
	return view;
}

/* The same in a handler. */
static inline const struct bk__space_view *begin_nested(struct bk_space *space)
{
	const void **place = bk__space_nested_read_lock();
	const struct bk__space_view *view = bk__space_subscribe(space->published);

	bk__space_note(place, view);
	return view;
}

/* For all others: a read outside any other, or in a handler. */
struct entry {
	const struct bk__space_view *view;
	bool nested;
};

/* 0 or -ENOMEM. */
static int enter(struct bk_space *space, struct entry *entry)
{
	int error = bk__space_reader_prepare(space->domain);
	const struct bk__space_view *published;

	if (error)
		return error;
	entry->nested = bk__space_read_ongoing();
	if (entry->nested) {
		published = begin_nested(space);
	} else {
		bk__space_heavy_read_lock();
		published = bk__space_subscribe(space->published);
		bk__space_note(&bk__space_reader.view, published);
	}
	entry->view = bk__space_settled(published);
	return 0;
}

static void leave(const struct entry *entry)
{
	if (entry->nested)
		bk__space_nested_read_unlock();
	else
		bk__space_heavy_read_unlock();
}

/* The ways off the fast path are calls in tail position, so that it need not
 * keep anything for them. */

static __attribute__((noinline, cold)) int invalid(void)
{
	return -EINVAL;
}

/* A read in a handler. There is nothing to do before one but what is done here. */
static __attribute__((noinline)) int read_nested(struct bk_space *space, uint64_t address, unsigned width,
						 uint64_t *value)
{
	const struct bk__space_view *view = begin_nested(space);
	const struct bk__space_span *span = bk__space_first_guess(view, address);
	int error;

	if (span && fits(span, bk__space_span_offset(span, address), width))
		error = read_piece(view, span, address, width, value);
	else
		error = read_value(bk__space_settled(view), address, width, value);
	bk__space_nested_read_unlock();
	return error;
}

static __attribute__((noinline, cold)) int read_outermost(struct bk_space *space, uint64_t address,
							  unsigned width, uint64_t *value)
{
	struct entry entry;
	int error = enter(space, &entry);

	*value = masks[width];
	if (error)
		return error;
	error = read_value(entry.view, address, width, value);
	leave(&entry);
	return error;
}

static __attribute__((noinline)) int read_unready(struct bk_space *space, uint64_t address, unsigned width,
						  uint64_t *value)
{
	return bk__space_reader.state == BK__READER_READY ? read_nested(space, address, width, value)
							  : read_outermost(space, address, width, value);
}

static __attribute__((noinline)) int read_unguessed(const struct bk__space_view *view, uint64_t address,
						    unsigned width, uint64_t *value)
{
	int error = read_value(bk__space_settled(view), address, width, value);

	bk__space_read_unlock();
	return error;
}

/* What is needed once more after the handler, beside the view, which the thread has noted. It is kept in
 * memory from the start: each register for it would cost every access more. */
struct kept {
	uint64_t address;
	uint64_t *value;
	unsigned width;
};

/* What the outermost read of a thread is in. */
static const struct bk__space_view *noted(void)
{
	return bk__space_reader.view;
}

static __attribute__((noinline, cold)) int read_failed(const volatile struct kept *kept, int error)
{
	const struct bk__space_view *view = noted();

	*kept->value = masks[kept->width];
	bk__space_failed(view->space, find(view, kept->address), kept->address, false, kept->width, error);
	bk__space_read_unlock();
	return error;
}

/* What a span answers that takes the access. Inside a read section, which this and the next two end. */
static inline int read_taken(const struct bk__space_span *span, uint64_t address, uint64_t offset,
			     unsigned width, uint64_t *value)
{
	volatile struct kept kept;
	int error;

	kept.address = address;
	kept.value = value;
	kept.width = width;
	error = span->read(span->opaque, offset, width, value);
	if (bk__space_unlikely(error))
		return read_failed(&kept, error);
	if (bk__space_unlikely(*kept.value > masks[kept.width]))
		*kept.value &= masks[kept.width];
	bk__space_read_unlock();
	return 0;
}

/* Inside a read section, which it ends: an access over an edge, or any that no guess answers. */
static __attribute__((noinline)) int read_edge(const struct bk__space_view *view,
					       const struct bk__space_span *span, uint64_t address,
					       unsigned width, uint64_t *value)
{
	struct pair pair;
	int error;

	if (!find_pair(view, span, address, width, &pair))
		return read_unguessed(view, address, width, value);
	error = read_pair(view, &pair, address, width, value);
	bk__space_read_unlock();
	return error;
}

/* The guess was wrong, or is a list. */
static __attribute__((noinline)) int read_listed(const struct bk__space_view *view,
						 const struct bk__space_span *span, uint64_t address,
						 unsigned width, uint64_t *value)
{
	uint64_t offset;

	if (bk__space_is_list(span))
		span = bk__space_list_find(span, address);
	offset = bk__space_span_offset(span, address);
	if (!fits(span, offset, width))
		return read_edge(view, span, address, width, value);
	return read_taken(span, address, offset, width, value);
}

static inline int read_guessed(const struct bk__space_view *view, const struct bk__space_span *span,
			       uint64_t address, unsigned width, uint64_t *value)
{
	uint64_t offset = bk__space_span_offset(span, address);

	if (bk__space_unlikely(!fits(span, offset, width)))
		return read_listed(view, span, address, width, value);
	return read_taken(span, address, offset, width, value);
}

static __attribute__((noinline)) int read_beyond(const struct bk__space_view *view, uint64_t address,
						 unsigned width, uint64_t *value)
{
	const struct bk__space_span *span = bk__space_second_guess(view, address);

	if (!span)
		return read_unguessed(view, address, width, value);
	return read_guessed(view, span, address, width, value);
}

/* From the start of a cache line on, so that it takes the same time in every program. */
#define ALIGNED __attribute__((aligned(64)))

ALIGNED int bk_space_read(struct bk_space *space, uint64_t address, unsigned width, uint64_t *value)
{
	unsigned long *ctr = bk__space_reader.ctr;
	const struct bk__space_view *view;
	const struct bk__space_span *span;

	if (bk__space_unlikely(width - 1 > 7))
		return invalid();
	if (!bk__space_ready(ctr))
		return read_unready(space, address, width, value);
	view = begin(space, ctr);
	span = bk__space_first_guess(view, address);
	if (bk__space_unlikely(!span))
		return read_beyond(view, address, width, value);
	return read_guessed(view, span, address, width, value);
}

static __attribute__((noinline)) int write_nested(struct bk_space *space, uint64_t address, unsigned width,
						  uint64_t value)
{
	const struct bk__space_view *view = begin_nested(space);
	const struct bk__space_span *span = bk__space_first_guess(view, address);
	int error;

	if (span && fits(span, bk__space_span_offset(span, address), width))
		error = write_piece(view, span, address, width, value);
	else
		error = write_value(bk__space_settled(view), address, width, value);
	bk__space_nested_read_unlock();
	return error;
}

static __attribute__((noinline, cold)) int write_outermost(struct bk_space *space, uint64_t address,
							   unsigned width, uint64_t value)
{
	struct entry entry;
	int error = enter(space, &entry);

	if (error)
		return error;
	error = write_value(entry.view, address, width, value);
	leave(&entry);
	return error;
}

static __attribute__((noinline)) int write_unready(struct bk_space *space, uint64_t address, unsigned width,
						   uint64_t value)
{
	return bk__space_reader.state == BK__READER_READY ? write_nested(space, address, width, value)
							  : write_outermost(space, address, width, value);
}

static __attribute__((noinline)) int write_unguessed(const struct bk__space_view *view, uint64_t address,
						     unsigned width, uint64_t value)
{
	int error = write_value(bk__space_settled(view), address, width, value);

	bk__space_read_unlock();
	return error;
}

static __attribute__((noinline, cold)) int write_failed(const volatile struct kept *kept, int error)
{
	const struct bk__space_view *view = noted();

	bk__space_failed(view->space, find(view, kept->address), kept->address, true, kept->width, error);
	bk__space_read_unlock();
	return error;
}

static inline int write_taken(const struct bk__space_span *span, uint64_t address, uint64_t offset,
			      unsigned width, uint64_t value)
{
	volatile struct kept kept;
	int error;

	kept.address = address;
	kept.width = width;
	error = bk__space_rest(span)->write(span->opaque, offset, width, value & masks[width]);
	if (bk__space_unlikely(error))
		return write_failed(&kept, error);
	bk__space_read_unlock();
	return 0;
}

static __attribute__((noinline)) int write_edge(const struct bk__space_view *view,
						const struct bk__space_span *span, uint64_t address,
						unsigned width, uint64_t value)
{
	struct pair pair;
	int error;

	if (!find_pair(view, span, address, width, &pair))
		return write_unguessed(view, address, width, value);
	error = write_pair(view, &pair, address, width, value);
	bk__space_read_unlock();
	return error;
}

static __attribute__((noinline)) int write_listed(const struct bk__space_view *view,
						  const struct bk__space_span *span, uint64_t address,
						  unsigned width, uint64_t value)
{
	uint64_t offset;

	if (bk__space_is_list(span))
		span = bk__space_list_find(span, address);
	offset = bk__space_span_offset(span, address);
	if (!fits(span, offset, width))
		return write_edge(view, span, address, width, value);
	return write_taken(span, address, offset, width, value);
}

static inline int write_guessed(const struct bk__space_view *view, const struct bk__space_span *span,
				uint64_t address, unsigned width, uint64_t value)
{
	uint64_t offset = bk__space_span_offset(span, address);

	if (bk__space_unlikely(!fits(span, offset, width)))
		return write_listed(view, span, address, width, value);
	return write_taken(span, address, offset, width, value);
}

static __attribute__((noinline)) int write_beyond(const struct bk__space_view *view, uint64_t address,
						  unsigned width, uint64_t value)
{
	const struct bk__space_span *span = bk__space_second_guess(view, address);

	if (!span)
		return write_unguessed(view, address, width, value);
	return write_guessed(view, span, address, width, value);
}

ALIGNED int bk_space_write(struct bk_space *space, uint64_t address, unsigned width, uint64_t value)
{
	unsigned long *ctr = bk__space_reader.ctr;
	const struct bk__space_view *view;
	const struct bk__space_span *span;

	if (bk__space_unlikely(width - 1 > 7))
		return invalid();
	if (!bk__space_ready(ctr))
		return write_unready(space, address, width, value);
	view = begin(space, ctr);
	span = bk__space_first_guess(view, address);
	if (bk__space_unlikely(!span))
		return write_beyond(view, address, width, value);
	return write_guessed(view, span, address, width, value);
}

int bk_space_read_bytes(struct bk_space *space, uint64_t address, void *data, size_t length)
{
	struct entry entry;
	int error;

	if (!length)
		return -EINVAL;
	if (bk__is_width(length)) { /* which is the same, and faster */
		uint64_t value;

		error = bk_space_read(space, address, (unsigned)length, &value);
		bk__store(data, (unsigned)length, value);
		return error;
	}
	error = enter(space, &entry);
	if (error) {
		memset(data, 0xff, length);
		return error;
	}
	error = bk__space_cut(entry.view, address, data, length, false);
	leave(&entry);
	return error;
}

int bk_space_write_bytes(struct bk_space *space, uint64_t address, const void *data, size_t length)
{
	struct entry entry;
	int error;

	if (!length)
		return -EINVAL;
	if (bk__is_width(length))
		return bk_space_write(space, address, (unsigned)length, bk__load(data, (unsigned)length));
	error = enter(space, &entry);
	if (error)
		return error;
	/* Only read: the access is a write. */
	error = bk__space_cut(entry.view, address, (uint8_t *)data, length, true);
	leave(&entry);
	return error;
}

int bk_space_visit(struct bk_space *space, uint64_t first, uint64_t last,
		   bool (*visit)(void *opaque, const struct bk_flat *flat), void *opaque)
{
	const struct bk__space_span *span;
	struct bk__space_cursor cursor;
	struct entry entry;
	int error = enter(space, &entry);

	if (error)
		return error;
	cursor = bk__space_view_find(entry.view, first);
	for (; (span = bk__space_cursor_span(&cursor)) && bk__space_span_first(span) <= last;
	     bk__space_cursor_next(&cursor)) {
		struct bk_flat flat;

		bk__space_span_flat(span, &flat);
		if (!visit(opaque, &flat))
			break;
	}
	leave(&entry);
	return 0;
}
