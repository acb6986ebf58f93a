/* SPDX-License-Identifier: BSD-2-Clause */
/* The lines of a trace. */
#include "firmware/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS = 8, CHUNK = 1024 };

/* A line's words, and where it stands. */
struct line {
	struct bk__firmware_trace *trace;
	const char *name;
	uint32_t number;
	char text[BK__TRACE_LINE + 1];
	char *words[WORDS];
	unsigned count;
	struct bk_error *err;
};

#define COMPLAIN(line, code, format, ...) \
	bk_fail((line)->err, code, "%s:%" PRIu32 ": " format, (line)->name, (line)->number, __VA_ARGS__)

static bool split(struct line *line)
{
	char *save = NULL;

	for (char *word = strtok_r(line->text, " \t\r", &save); word; word = strtok_r(NULL, " \t\r", &save)) {
		if (line->count == WORDS)
			return false;
		line->words[line->count++] = word;
	}
	return true;
}

/* Digits only, up to `end` (a character, 0 at the end of the word); NULL if it is something else. */
static const char *number(const char *text, int base, uint64_t most, char end, uint64_t *value)
{
	char *after;

	if (!strchr(base == 16 ? "0123456789abcdefABCDEF" : "0123456789", *text) || !*text)
		return NULL;
	errno = 0;
	*value = strtoull(text, &after, base);
	return errno || *after != end || *value > most ? NULL : after + (end ? 1 : 0);
}

static bool parse(struct line *line, unsigned word, int base, uint64_t most, uint64_t *value)
{
	return number(line->words[word], base, most, 0, value);
}

/* 0x and hexadecimal. */
static bool parse_hex(struct line *line, unsigned word, uint64_t *value)
{
	const char *text = line->words[word];

	return text[0] == '0' && text[1] == 'x' && number(text + 2, 16, UINT64_MAX, 0, value);
}

/* SLOT.FUNCTION */
static bool parse_devfn(const char *text, uint8_t *devfn)
{
	uint64_t slot, function;

	text = number(text, 16, 31, '.', &slot);
	if (!text || !number(text, 16, 7, 0, &function))
		return false;
	*devfn = BK_PCI_DEVFN(slot, function);
	return true;
}

/* Room for one more, in chunks. */
static int grow(struct line *line, void **array, size_t count, size_t most, size_t size, const char *what)
{
	void *larger;

	if (count >= most)
		return COMPLAIN(line, E2BIG, "more than %zu %s", most, what);
	if (count % CHUNK)
		return 0;
	larger = realloc(*array, (count + CHUNK) * size);
	if (!larger)
		return COMPLAIN(line, ENOMEM, "%s", "out of memory");
	*array = larger;
	return 0;
}

static struct bk__firmware_trace_function *find(struct bk__firmware_trace *trace, const char *path,
						size_t length)
{
	for (unsigned i = 0; i < trace->function_count; i++)
		if (!strncmp(trace->functions[i].path, path, length) && !trace->functions[i].path[length])
			return &trace->functions[i];
	return NULL;
}

/* dev PATH VENDOR:DEVICE endpoint|bridge CLASS */
static int add_function(struct line *line)
{
	struct bk__firmware_trace *trace = line->trace;
	struct bk__firmware_trace_function function = { .line = line->number, .parent = -1 };
	const char *path = line->words[1], *own, *rest;
	uint64_t vendor = 0, device = 0;
	void *array = trace->functions;
	int error;

	if (line->count != 4 && line->count != 5)
		return COMPLAIN(line, EINVAL, "%s",
				"should be: dev PATH VENDOR:DEVICE endpoint|bridge CLASS");
	if (strlen(path) > BK__TRACE_PATH)
		return COMPLAIN(line, E2BIG, "a path of more than %d bytes", BK__TRACE_PATH);
	if (find(trace, path, strlen(path)))
		return COMPLAIN(line, EEXIST, "%s is there already", path);
	own = strrchr(path, '/');
	if (own) {
		struct bk__firmware_trace_function *parent = find(trace, path, (size_t)(own - path));

		if (!parent || !parent->bridge)
			return COMPLAIN(line, EINVAL, "%s: no bridge `%.*s` in the lines above", path,
					(int)(own - path), path);
		function.parent = (int)(parent - trace->functions);
	}
	if (!parse_devfn(own ? own + 1 : path, &function.devfn))
		return COMPLAIN(line, EINVAL, "%s: should end in SLOT.FUNCTION, as 1f.7", path);
	rest = number(line->words[2], 16, 0xffff, ':', &vendor);
	if (!rest || !number(rest, 16, 0xffff, 0, &device))
		return COMPLAIN(line, EINVAL, "%s: should be VENDOR:DEVICE, as 8086:10d3", line->words[2]);
	function.bridge = !strcmp(line->words[3], "bridge");
	if (!function.bridge && strcmp(line->words[3], "endpoint"))
		return COMPLAIN(line, EINVAL, "%s: should be endpoint or bridge", line->words[3]);
	function.vendor = (uint16_t)vendor;
	function.device = (uint16_t)device;
	memcpy(function.path, path, strlen(path));
	error = grow(line, &array, trace->function_count, BK__TRACE_FUNCTIONS, sizeof(function), "functions");
	trace->functions = array;
	if (!error)
		trace->functions[trace->function_count++] = function;
	return error;
}

/* bar PATH INDEX io|mem32|mem64[,pref]|rom LENGTH */
static int add_bar(struct line *line)
{
	static const struct {
		const char *name;
		struct bk__firmware_trace_bar bar;
	} kinds[] = {
		{ "io", { BK_PCI_BAR_IO, false, 0 } },           { "mem32", { BK_PCI_BAR_MEM32, false, 0 } },
		{ "mem32,pref", { BK_PCI_BAR_MEM32, true, 0 } }, { "mem64", { BK_PCI_BAR_MEM64, false, 0 } },
		{ "mem64,pref", { BK_PCI_BAR_MEM64, true, 0 } }, { "rom", { BK_PCI_BAR_MEM32, false, 0 } },
	};
	enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };
	struct bk__firmware_trace_function *function;
	uint64_t index, size;
	unsigned kind = 0;

	if (line->count != 5)
		return COMPLAIN(line, EINVAL, "%s", "should be: bar PATH INDEX KIND LENGTH");
	function = find(line->trace, line->words[1], strlen(line->words[1]));
	if (!function)
		return COMPLAIN(line, EINVAL, "no function `%s` in the lines above", line->words[1]);
	if (!parse(line, 2, 10, BK_PCI_ROM, &index))
		return COMPLAIN(line, EINVAL, "BAR %s: there are 0 to 5, and 6 is the ROM", line->words[2]);
	if (function->bars[index].kind != BK_PCI_BAR_NONE)
		return COMPLAIN(line, EEXIST, "%s has a BAR %s already", function->path, line->words[2]);
	while (kind < KINDS && strcmp(line->words[3], kinds[kind].name))
		kind++;
	if (kind == KINDS || (kind == KINDS - 1) != (index == BK_PCI_ROM))
		return COMPLAIN(line, EINVAL, "BAR %s of kind %s: 0 to 5 are io, mem32 or mem64, 6 is rom",
				line->words[2], line->words[3]);
	if (!parse_hex(line, 4, &size) || !size)
		return COMPLAIN(line, EINVAL, "%s: should be a length, as 0x1000", line->words[4]);
	function->bars[index] = kinds[kind].bar;
	function->bars[index].size = size;
	return 0;
}

/* ecam|cf8|cfc r|w ADDRESS SIZE VALUE */
static int parse_access(struct line *line, struct bk__firmware_step *step)
{
	const char *direction = line->count == 5 ? line->words[1] : "";
	uint64_t width, first = step->kind == BK__STEP_CF8 ? 0xcf8 : 0xcfc;

	if (strcmp(direction, "r") && strcmp(direction, "w"))
		return COMPLAIN(line, EINVAL, "should be: %s r|w ADDRESS SIZE VALUE", line->words[0]);
	step->write = *direction == 'w';
	if (!parse_hex(line, 2, &step->address))
		return COMPLAIN(line, EINVAL, "%s: should be an address, as 0xcf8", line->words[2]);
	if (!parse(line, 3, 10, 4, &width) || !width || width == 3)
		return COMPLAIN(line, EINVAL, "%s: a size should be 1, 2 or 4", line->words[3]);
	if (!parse_hex(line, 4, &step->value))
		return COMPLAIN(line, EINVAL, "%s: should be a value, as 0xff", line->words[4]);
	if (step->kind != BK__STEP_ECAM && (step->address < first || step->address > first + 4 - width))
		return COMPLAIN(line, EINVAL, "%s: outside of ports %#" PRIx64 "-%#" PRIx64, line->words[2],
				first, first + 3);
	if (step->kind == BK__STEP_ECAM && (step->address & 0xfff) + width > 0x1000)
		return COMPLAIN(line, EINVAL, "%s: past the end of a function's registers", line->words[2]);
	step->width = (uint8_t)width;
	step->value &= UINT32_MAX >> (32 - 8 * width);
	return 0;
}

/* map|unmap BUS:SLOT.FN BAR ADDRESS LENGTH DEVICE */
static int parse_event(struct line *line, struct bk__firmware_step *step)
{
	const char *rest;
	uint64_t bus, bar;

	if (line->count != 5 && line->count != 6)
		return COMPLAIN(line, EINVAL, "should be: %s BUS:SLOT.FN BAR ADDRESS LENGTH DEVICE",
				line->words[0]);
	rest = number(line->words[1], 16, 255, ':', &bus);
	if (!rest || !parse_devfn(rest, &step->devfn))
		return COMPLAIN(line, EINVAL, "%s: should be BUS:SLOT.FUNCTION, as 01:1f.7", line->words[1]);
	if (!parse(line, 2, 10, BK_PCI_ROM, &bar))
		return COMPLAIN(line, EINVAL, "BAR %s: there are 0 to 5, and 6 is the ROM", line->words[2]);
	if (!parse_hex(line, 3, &step->address) || !parse_hex(line, 4, &step->value))
		return COMPLAIN(line, EINVAL, "%s %s: should be address and length, as 0xfe000000 0x1000",
				line->words[3], line->words[4]);
	step->bus = (uint8_t)bus;
	step->bar = (uint8_t)bar;
	return 0;
}

static const char *const step_names[] = {
	[BK__STEP_ECAM] = "ecam", [BK__STEP_CF8] = "cf8",     [BK__STEP_CFC] = "cfc",
	[BK__STEP_MAP] = "map",   [BK__STEP_UNMAP] = "unmap",
};

static int add_step(struct line *line)
{
	struct bk__firmware_trace *trace = line->trace;
	struct bk__firmware_step step = { .line = line->number };
	void *array = trace->steps;
	int error;

	while (step.kind <= BK__STEP_UNMAP && strcmp(line->words[0], step_names[step.kind]))
		step.kind++;
	if (step.kind > BK__STEP_UNMAP)
		return COMPLAIN(line, EINVAL, "`%.40s`: should be dev, bar, ecam, cf8, cfc, map or unmap",
				line->words[0]);
	error = bk__firmware_step_is_access(&step) ? parse_access(line, &step) : parse_event(line, &step);
	if (error)
		return error;
	error = grow(line, &array, trace->step_count, BK__TRACE_STEPS, sizeof(step), "accesses and events");
	trace->steps = array;
	if (!error)
		trace->steps[trace->step_count++] = step;
	return error;
}

int bk__firmware_trace_add_line(struct bk__firmware_trace *trace, const char *name, uint32_t number,
				const char *text, struct bk_error *err)
{
	struct line line = { .trace = trace, .name = name, .number = number, .err = err };
	size_t length = strlen(text);

	if (length > BK__TRACE_LINE)
		return COMPLAIN(&line, E2BIG, "a line of more than %d bytes", BK__TRACE_LINE);
	for (const char *c = text; *c; c++)
		if ((unsigned char)*c >= 0x7f || ((unsigned char)*c < ' ' && *c != '\t' && *c != '\r'))
			return COMPLAIN(&line, EINVAL, "byte %#x is no text", (unsigned char)*c);
	memcpy(line.text, text, length);
	if (!split(&line))
		return COMPLAIN(&line, EINVAL, "more than %d words", WORDS);
	if (!line.count)
		return 0;
	if (!strcmp(line.words[0], "dev"))
		return add_function(&line);
	if (!strcmp(line.words[0], "bar"))
		return add_bar(&line);
	return add_step(&line);
}

void bk__firmware_trace_free(struct bk__firmware_trace *trace)
{
	free(trace->functions);
	free(trace->steps);
	*trace = (struct bk__firmware_trace){ 0 };
}

void bk__firmware_step_text(const struct bk__firmware_step *step, char *text, size_t size)
{
	if (bk__firmware_step_is_access(step))
		snprintf(text, size, "%s %c 0x%" PRIx64 " %u 0x%" PRIx64, step_names[step->kind],
			 step->write ? 'w' : 'r', step->address, step->width, step->value);
	else
		snprintf(text, size, "%s %02x:%02x.%x %u 0x%" PRIx64 " 0x%" PRIx64, step_names[step->kind],
			 step->bus, step->devfn >> 3, step->devfn & 7, step->bar, step->address, step->value);
}
