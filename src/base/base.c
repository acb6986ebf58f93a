/* SPDX-License-Identifier: BSD-2-Clause */
/* Error lines, the log, and the token bucket that keeps a guest from flooding it. */
#include <barkeep/base.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LINE ((int)sizeof(((struct bk_error *)0)->text)) /* bytes of a line, its end included */

/* Leaves out the middle of a text that is too long: names stand at its start, the reason at its end. */
static void shorten(char line[static LINE], const char *text, size_t length)
{
	const size_t head = LINE / 2;
	const char *tail = text + length - (LINE - 1 - head - 3);

	memcpy(line, text, head);
	memcpy(line + head, "...", 3);
	memcpy(line + head + 3, tail, LINE - head - 3);
	/* No part of a UTF-8 character is left at the cut. */
	for (size_t i = head; i && ((unsigned char)text[i] & 0xc0) == 0x80; i--)
		line[i - 1] = '.';
	for (size_t i = head + 3; ((unsigned char)line[i] & 0xc0) == 0x80; i++)
		line[i] = '.';
}

/* One line, whatever the names in it hold. */
static void format_line(char line[static LINE], const char *format, va_list args)
{
	va_list again;
	char *text;
	int length;

	va_copy(again, args);
	length = vsnprintf(line, LINE, format, args);
	if (length < 0)
		line[0] = 0;
	if (length >= LINE && (text = malloc((size_t)length + 1))) {
		vsnprintf(text, (size_t)length + 1, format, again);
		shorten(line, text, (size_t)length);
		free(text);
	}
	va_end(again);
	for (char *c = line; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
}

unsigned bk_version(void)
{
	return BK_VERSION;
}

int bk_fail(struct bk_error *err, int code, const char *format, ...)
{
	if (err) {
		va_list args;

		va_start(args, format);
		format_line(err->text, format, args);
		va_end(args);
	}
	return -code;
}

static bk_log_fn *log_fn;
static void *log_opaque;

void bk_log_set(bk_log_fn *fn, void *opaque)
{
	log_fn = fn;
	log_opaque = opaque;
}

void bk_log(enum bk_log_level level, const char *format, ...)
{
	char line[LINE];
	va_list args;

	if (!log_fn && level > BK_LOG_WARNING)
		return;
	va_start(args, format);
	format_line(line, format, args);
	va_end(args);
	if (log_fn)
		log_fn(log_opaque, level, line);
	else
		fprintf(stderr, "barkeep: %s\n", line);
}

/*
 * The state packs what a bucket needs into one word, so that it is shared
 * without a lock: the second of the last refill (32 bits), the tokens used (8)
 * and the lines refused since (24, saturating).
 */
#define BURST  10u
#define MISSED 0xffffffu

bool bk_ratelimit_ok(struct bk_ratelimit *limit, uint64_t *missed)
{
	struct timespec now;
	uint64_t old = __atomic_load_n(&limit->state, __ATOMIC_RELAXED), new;
	bool ok;

	clock_gettime(CLOCK_MONOTONIC, &now);
	do {
		uint32_t second = (uint32_t)(old >> 32), elapsed = (uint32_t)now.tv_sec - second;
		unsigned used = (old >> 24) & 0xff, refused = old & MISSED;

		used = elapsed >= used ? 0 : used - elapsed;
		ok = used < BURST;
		*missed = ok ? refused : 0;
		if (ok) {
			used++;
			refused = 0;
		} else if (refused < MISSED) {
			refused++;
		}
		new = (uint64_t)(uint32_t)now.tv_sec << 32 | (uint64_t)used << 24 | refused;
	} while (!__atomic_compare_exchange_n(&limit->state, &old, new, false, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	return ok;
}

void bk_log_limited(struct bk_ratelimit *limit, enum bk_log_level level, const char *format, ...)
{
	char line[LINE];
	uint64_t missed;
	va_list args;

	if (!bk_ratelimit_ok(limit, &missed))
		return;
	va_start(args, format);
	format_line(line, format, args);
	va_end(args);
	if (missed)
		bk_log(level, "%s (%" PRIu64 " lines like this left out)", line, missed);
	else
		bk_log(level, "%s", line);
}
