/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads what lspci prints with -x, -xxx or -xxxx, and the Region lines of -vv.
 *
 *   0000:02:00.0 Network controller [0280]: ... [168c:003e] (rev 32)
 *   	Region 0: Memory at df200000 (64-bit, non-prefetchable) [size=2M]
 *   	Expansion ROM at f7e00000 [disabled] [size=64K]
 *   00: 8c 16 3e 00 06 04 10 00 32 00 80 02 10 00 00 00
 *
 * Other lines are ignored. Text may be quoted with blanks or `>`, as mail and issue trackers do. A gap in the
 * bytes of a function is an error, since part of the text was not copied.
 */
#include "device/dump.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A line, without its quotation and its end. Not NUL-terminated. */
struct line {
	const char *at, *end;
	unsigned number;
};

struct parser {
	const char *file, *wanted; /* `wanted` NULL: the only function */
	struct bk__device_dump current, *found;
	bool open;  /* `current` is a function */
	bool bytes; /* lines of its config space came */
	/* What is wrong with `current`, which matters only if it is wanted. */
	unsigned bad_line;
	struct bk_error bad;
	/* Functions with config space that could be meant. */
	unsigned count;
	char list[300];
	unsigned found_bad_line;
	struct bk_error found_bad;
};

/* ---- Characters -------------------------------------------------------- */

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Takes `least` to `most` hexadecimal digits off the line; else returns false and takes nothing. */
static bool take_hex(struct line *line, unsigned least, unsigned most, uint64_t *value)
{
	const char *at = line->at;
	unsigned count = 0;

	for (*value = 0; at < line->end && count <= most && digit(*at) >= 0; at++, count++)
		*value = *value << 4 | (unsigned)digit(*at);
	if (count < least || count > most)
		return false;
	line->at = at;
	return true;
}

static bool take_char(struct line *line, char c)
{
	if (line->at == line->end || *line->at != c)
		return false;
	line->at++;
	return true;
}

static void skip_blanks(struct line *line)
{
	while (line->at < line->end && is_blank(*line->at))
		line->at++;
}

/* Where the words are in the line, or NULL. */
static const char *find(const struct line *line, const char *words)
{
	size_t length = strlen(words);

	for (const char *at = line->at; (size_t)(line->end - at) >= length; at++)
		if (!memcmp(at, words, length))
			return at;
	return NULL;
}

static bool next_line(const char **text, const char *end, struct line *line)
{
	const char *newline;

	if (*text == end)
		return false;
	newline = memchr(*text, '\n', (size_t)(end - *text));
	line->at = *text;
	line->end = newline ? newline : end;
	line->number++;
	*text = newline ? newline + 1 : end;
	while (line->at < line->end && (is_blank(*line->at) || *line->at == '>'))
		line->at++;
	while (line->at < line->end && is_blank(line->end[-1]))
		line->end--;
	return true;
}

/* ---- Functions --------------------------------------------------------- */

static void finish(struct parser *parser)
{
	struct bk__device_dump *current = &parser->current;
	size_t used = strlen(parser->list);

	if (!parser->open || !parser->bytes)
		return;
	if (parser->wanted && strcmp(parser->wanted, current->address)) {
		/* Not wanted: only listed as an alternative. */
	} else if (!parser->count++) {
		*parser->found = *current;
		parser->found_bad_line = parser->bad_line;
		parser->found_bad = parser->bad;
	}
	if (used + sizeof(current->address) + 8 < sizeof(parser->list))
		snprintf(parser->list + used, sizeof(parser->list) - used, "%s%s", used ? ", " : "",
			 current->address);
	else if (used && parser->list[used - 1] != '.')
		strcpy(parser->list + used, ", ...");
}

/* The last [vvvv:dddd] of the title, as -nn prints it. */
static void find_ids(struct bk__device_dump *dump, struct line line)
{
	for (; line.at < line.end; line.at++) {
		struct line inside = line;
		uint64_t vendor, device;

		if (take_char(&inside, '[') && take_hex(&inside, 4, 4, &vendor) && take_char(&inside, ':') &&
		    take_hex(&inside, 4, 4, &device) && take_char(&inside, ']')) {
			dump->vendor = (uint16_t)vendor;
			dump->device = (uint16_t)device;
		}
	}
}

/* "[DDDD:]BB:SS.F title" begins a function. */
static bool take_function(struct parser *parser, struct line line)
{
	struct line from = line;
	uint64_t domain = 0, bus, slot, function;

	if (!(take_hex(&line, 4, 8, &domain) && take_char(&line, ':'))) {
		line = from;
		domain = 0;
	}
	if (!take_hex(&line, 2, 2, &bus) || !take_char(&line, ':') || !take_hex(&line, 2, 2, &slot) ||
	    !take_char(&line, '.') || !take_hex(&line, 1, 1, &function) || slot > 31 || function > 7 ||
	    (line.at < line.end && !is_blank(*line.at)))
		return false;
	finish(parser);
	memset(&parser->current, 0, sizeof(parser->current));
	parser->open = true;
	parser->bytes = false;
	parser->bad_line = 0;
	parser->current.line = line.number;
	snprintf(parser->current.address, sizeof(parser->current.address), "%04x:%02x:%02x.%x",
		 (unsigned)domain, (unsigned)bus, (unsigned)slot, (unsigned)function);
	skip_blanks(&line);
	snprintf(parser->current.title, sizeof(parser->current.title), "%.*s",
		 line.end - line.at > 127 ? 127 : (int)(line.end - line.at), line.at);
	for (char *c = parser->current.title; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	find_ids(&parser->current, line);
	return true;
}

#define BAD(...)                                                    \
	do {                                                        \
		if (!parser->bad_line) {                            \
			parser->bad_line = line.number;             \
			bk_fail(&parser->bad, EINVAL, __VA_ARGS__); \
		}                                                   \
	} while (0)

/* ---- Config space ------------------------------------------------------ */

/* "OFFSET: XX XX ...", 16 bytes. */
static bool take_bytes(struct parser *parser, struct line line)
{
	struct bk__device_dump *dump = &parser->current;
	uint64_t offset, byte;
	uint8_t bytes[16];
	unsigned count = 0;
	struct line peek;

	if (!take_hex(&line, 2, 3, &offset) || !take_char(&line, ':') || line.at == line.end ||
	    !is_blank(*line.at))
		return false;
	skip_blanks(&line);
	peek = line;
	if (!take_hex(&peek, 2, 2, &byte) || (peek.at < peek.end && !is_blank(*peek.at)))
		return false;
	parser->bytes = true;
	while (count < 16 && take_hex(&line, 2, 2, &byte)) {
		bytes[count++] = (uint8_t)byte;
		if (line.at < line.end && !is_blank(*line.at))
			break;
		skip_blanks(&line);
	}
	if (line.at < line.end)
		BAD("behind %u bytes of config space stands \"%.*s\"", count,
		    line.end - line.at > 20 ? 20 : (int)(line.end - line.at), line.at);
	else if (count < 16)
		BAD("the line has %u bytes of config space; lspci prints 16", count);
	else if (offset != dump->dumped)
		BAD("bytes at 0x%" PRIx64 " of config space follow, where 0x%x is next: a line is missing "
		    "or stands twice",
		    offset, dump->dumped);
	else {
		memcpy(dump->config + offset, bytes, 16);
		dump->dumped += 16;
	}
	return true;
}

/* ---- Regions ----------------------------------------------------------- */

/* "[size=16K]": false if there is none. An impossible size is an error. */
static bool take_size(struct parser *parser, struct line line, uint64_t *size)
{
	static const char units[] = "KMGTPE";
	const char *at = find(&line, "[size="), *unit;
	uint64_t value = 0;

	if (!at)
		return false;
	for (at += strlen("[size="); at < line.end && *at >= '0' && *at <= '9' && value <= UINT64_MAX / 16;
	     at++)
		value = value * 10 + (unsigned)(*at - '0');
	unit = at < line.end && *at ? strchr(units, *at) : NULL;
	if (unit) {
		unsigned shift = 10 * (unsigned)(unit - units + 1);

		value = value > UINT64_MAX >> shift ? 0 : value << shift;
		at++;
	}
	if (at == line.end || *at != ']' || !value || value > UINT64_C(1) << 63) {
		BAD("this size is none; it has to be as in [size=16K]");
		return false;
	}
	*size = value;
	return true;
}

/* "Region N: Memory at ADDRESS (64-bit, prefetchable) [size=2M]", "Expansion ROM at ADDRESS [size=64K]" */
static bool take_region(struct parser *parser, struct line line)
{
	static const char region[] = "Region ", rom[] = "Expansion ROM at ";
	struct bk__dump_bar bar = { 0 };
	unsigned index = 6;
	struct line address;
	const char *at;

	if ((size_t)(line.end - line.at) > strlen(region) && !memcmp(line.at, region, strlen(region))) {
		line.at += strlen(region);
		index = (unsigned)(*line.at - '0');
		line.at++;
		if (index > 5 || !take_char(&line, ':'))
			return false;
	} else if ((size_t)(line.end - line.at) <= strlen(rom) || memcmp(line.at, rom, strlen(rom))) {
		return false;
	}
	bar.io = find(&line, "I/O ports at") != NULL;
	bar.wide = find(&line, "64-bit") != NULL;
	bar.prefetchable = find(&line, "prefetchable") && !find(&line, "non-prefetchable");
	at = find(&line, " at ");
	if (at) {
		address = (struct line){ at + 4, line.end, line.number };
		if (!take_hex(&address, 1, 16, &bar.address))
			bar.address = 0; /* <unassigned>, <ignored> */
	}
	if (take_size(parser, line, &bar.size))
		parser->current.bars[index] = bar;
	return true;
}

/* ---- The whole --------------------------------------------------------- */

static int check(struct parser *parser, struct bk_error *err)
{
	const struct bk__device_dump *found = parser->found;

	if (!parser->count && !*parser->list)
		return bk_fail(
			err, EINVAL,
			"%s: no function with its config space is in it; print one with lspci -vvxxxx, "
			"as root",
			parser->file);
	if (!parser->count)
		return bk_fail(err, ENOENT, "%s: there is no %s with its config space in it; there are %s",
			       parser->file, parser->wanted, parser->list);
	if (parser->count > 1 && !parser->wanted)
		return bk_fail(err, EINVAL, "%s: it has %u functions: say which with function=: %s",
			       parser->file, parser->count, parser->list);
	if (parser->found_bad_line)
		return bk_fail(err, EINVAL, "%s:%u: %s", parser->file, parser->found_bad_line,
			       parser->found_bad.text);
	if (found->dumped < 64)
		return bk_fail(err, EINVAL,
			       "%s:%u: %s has %u bytes of config space; 64 are the least (lspci -x)",
			       parser->file, found->line, found->address, found->dumped);
	if (parser->count > 1)
		bk_log(BK_LOG_WARNING, "%s: %s is in it %u times; the first one is taken, in line %u",
		       parser->file, found->address, parser->count, found->line);
	return 0;
}

int bk__dump_parse(const char *file, const char *text, size_t length, const char *function,
		   struct bk__device_dump *dump, struct bk_error *err)
{
	struct parser parser = { .file = file, .wanted = function, .found = dump };
	const char *end = text + length;
	struct line line = { .number = 0 };

	while (next_line(&text, end, &line))
		if (!take_function(&parser, line) && parser.open && !take_bytes(&parser, line))
			take_region(&parser, line);
	finish(&parser);
	dump->size = dump->dumped > 256 ? BK__PCI_CONFIG_SIZE : 256;
	return check(&parser, err);
}
