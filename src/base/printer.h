/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptions, as lines for people or as JSON. They are collected in memory while locks are held, and
 * written afterwards, since the reader may be slow, or a part of the guest.
 */
#ifndef BARKEEP_BASE_PRINTER_H
#define BARKEEP_BASE_PRINTER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <barkeep/base.h>

struct bk__printer {
	FILE *out; /* collects; what is printed besides the calls below goes there */
	bool json;
	unsigned depth;
	bool first; /* of a list: nothing is in it yet */
	int error;  /* set it, and nothing is written */

	char *text;
	size_t size;
};

/* 0 or -ENOMEM. */
int bk__printer_begin(struct bk__printer *printer, bool json);

/* Gives all of it to the sink, unless there was an error, and frees. No lock held. 0, the error, -ENOMEM or
 * what the sink returned. */
int bk__printer_end(struct bk__printer *printer, bk_sink_fn *sink, void *opaque);

/* As it is for people; in JSON with what needs it escaped, without the quotes. */
void bk__put_text(struct bk__printer *printer, const char *text);

/* An indented line, or the next member of a list. */
void bk__put_next(struct bk__printer *printer);

/* Addresses are strings in JSON: its numbers are not sure to hold 64 bits. */
void bk__put_range(struct bk__printer *printer, uint64_t first, uint64_t last);

void bk__put_list(struct bk__printer *printer, const char *key);
void bk__put_list_end(struct bk__printer *printer);

#endif
