/* SPDX-License-Identifier: BSD-2-Clause */
/* Error lines and the log. */
#include <barkeep/base.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/line.h"

/* Leaves out the middle of a text that is too long: names stand at its start, the reason at its end. */
static void shorten(char line[static BK__LINE], const char *text, size_t length)
{
	const size_t head = BK__LINE / 2;
	const char *tail = text + length - (BK__LINE - 1 - head - 3);

	memcpy(line, text, head);
	memcpy(line + head, "...", 3);
	memcpy(line + head + 3, tail, BK__LINE - head - 3);
	/* No part of a UTF-8 character is left at the cut. */
	for (size_t i = head; i && ((unsigned char)text[i] & 0xc0) == 0x80; i--)
		line[i - 1] = '.';
	for (size_t i = head + 3; ((unsigned char)line[i] & 0xc0) == 0x80; i++)
		line[i] = '.';
}

/* One line, whatever the names in it hold. */
void bk__base_line(char line[static BK__LINE], const char *format, va_list args)
{
	va_list again;
	char *text;
	int length;

	va_copy(again, args);
	length = vsnprintf(line, BK__LINE, format, args);
	if (length < 0)
		line[0] = 0;
	if (length >= BK__LINE && (text = malloc((size_t)length + 1))) {
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
		bk__base_line(err->text, format, args);
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
	char line[BK__LINE];
	va_list args;

	if (!log_fn && level > BK_LOG_WARNING)
		return;
	va_start(args, format);
	bk__base_line(line, format, args);
	va_end(args);
	if (log_fn)
		log_fn(log_opaque, level, line);
	else
		fprintf(stderr, "barkeep: %s\n", line);
}
