/* SPDX-License-Identifier: BSD-2-Clause */
/* YAML with positions: libyaml's events become a bounded tree, and tables of fields read it. */
#include "base/yaml.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "base/file.h"
#include "base/number.h"

#define QUOTED 40 /* bytes of a text, in a line for people */

struct bk__yaml {
	char *name;
	struct bk__yaml_node *root;
	struct bk__yaml_node *newest; /* all nodes, by `older` */
	unsigned nodes;
};

struct level {
	struct bk__yaml_node *node;
	const struct bk__yaml_node *key; /* read, its value not yet */
};

static int fail_at(const char *name, size_t line, size_t column, struct bk_error *err, const char *format,
		   va_list args)
{
	char text[sizeof(err->text)];

	vsnprintf(text, sizeof(text), format, args);
	return bk_fail(err, EINVAL, "%.400s:%zu:%zu: %s", name, line, column, text);
}

int bk__yaml_fail(const struct bk__yaml *yaml, const struct bk__yaml_node *node, struct bk_error *err,
		  const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fail_at(yaml->name, node->line, node->column, err, format, args);
	va_end(args);
	return -EINVAL;
}

/* In UTF-8; marks count these, too. */
static size_t characters(const char *text, size_t length)
{
	size_t count = 0;

	for (size_t i = 0; i < length; i++)
		count += ((unsigned char)text[i] & 0xc0) != 0x80;
	return count;
}

int bk__yaml_fail_inside(const struct bk__yaml *yaml, const struct bk__yaml_node *node, size_t at,
			 struct bk_error *err, const char *what)
{
	const char *rest = node->text + at;
	size_t length = strlen(rest);

	if (node->verbatim) {
		const struct bk__yaml_node place = {
			.line = node->line,
			.column = node->column + node->quoted + (unsigned)characters(node->text, at),
		};

		return bk__yaml_fail(yaml, &place, err, "%s", what);
	}
	if (!length)
		return bk__yaml_fail(yaml, node, err, "%s, at the end of this", what);
	if (length > QUOTED)
		for (length = QUOTED; length && ((unsigned char)rest[length] & 0xc0) == 0x80;)
			length--;
	return bk__yaml_fail(yaml, node, err, "%s, at \"%.*s\"", what, (int)length, rest);
}

int bk__yaml_no_memory(const struct bk__yaml *yaml, struct bk_error *err)
{
	return bk_fail(err, ENOMEM, "%.400s: out of memory", yaml->name);
}

static int fail_mark(const struct bk__yaml *yaml, const yaml_mark_t *mark, struct bk_error *err,
		     const char *format, ...) __attribute__((format(printf, 4, 5)));
static int fail_mark(const struct bk__yaml *yaml, const yaml_mark_t *mark, struct bk_error *err,
		     const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fail_at(yaml->name, mark->line + 1, mark->column + 1, err, format, args);
	va_end(args);
	return -EINVAL;
}

/* libyaml's own complaint. Its reader gives a byte's offset, the other stages a mark. */
static int fail_syntax(const struct bk__yaml *yaml, const yaml_parser_t *parser, const char *text,
		       size_t length, struct bk_error *err)
{
	yaml_mark_t mark = parser->problem_mark;

	if (parser->error == YAML_MEMORY_ERROR)
		return bk__yaml_no_memory(yaml, err);
	if (parser->error == YAML_READER_ERROR) {
		mark.line = mark.column = 0;
		for (size_t i = 0; i < parser->problem_offset && i < length; i++) {
			mark.column += ((unsigned char)text[i] & 0xc0) != 0x80;
			if (text[i] == '\n') {
				mark.line++;
				mark.column = 0;
			}
		}
	}
	return fail_mark(yaml, &mark, err, "not YAML: %s",
			 parser->problem ? parser->problem : "cannot be parsed");
}

static struct bk__yaml_node *add_node(struct bk__yaml *yaml, enum bk__yaml_kind kind, const yaml_mark_t *mark,
				      const void *text, size_t length)
{
	struct bk__yaml_node *node = calloc(1, sizeof(*node) + length + 1);

	if (!node)
		return NULL;
	node->kind = kind;
	node->line = (unsigned)mark->line + 1;
	node->column = (unsigned)mark->column + 1;
	if (length)
		memcpy(node->text, text, length);
	node->older = yaml->newest;
	yaml->newest = node;
	yaml->nodes++;
	return node;
}

static int add_key(const struct bk__yaml *yaml, struct level *level, const struct bk__yaml_node *key,
		   struct bk_error *err)
{
	const struct bk__yaml_node *other;

	if (key->kind != BK__YAML_SCALAR)
		return bk__yaml_fail(yaml, key, err, "a key must be a word, not a list or map");
	if (level->node->count == BK__YAML_KEYS)
		return bk__yaml_fail(yaml, key, err, "too many keys here: at most %u", BK__YAML_KEYS);
	other = bk__yaml_get(level->node, key->text);
	if (other)
		return bk__yaml_fail(yaml, key, err,
				     "\"%.60s\" is given twice (first in line %u); remove one", key->text,
				     other->key->line);
	level->key = key;
	return 0;
}

/* Puts a new node where the open list or map wants it: as an entry, a key, or a key's value. */
static int place(struct bk__yaml *yaml, struct level *level, struct bk__yaml_node *node, struct bk_error *err)
{
	struct bk__yaml_node *parent = level->node;

	if (!parent) {
		yaml->root = node;
		return 0;
	}
	if (parent->kind == BK__YAML_MAP) {
		if (!level->key)
			return add_key(yaml, level, node, err);
		node->key = level->key;
		level->key = NULL;
	}
	if (parent->last)
		parent->last->next = node;
	else
		parent->first = node;
	parent->last = node;
	parent->count++;
	return 0;
}

static int add_event(struct bk__yaml *yaml, const yaml_event_t *event, struct level *levels, unsigned *depth,
		     struct bk_error *err)
{
	const yaml_mark_t *mark = &event->start_mark;
	const yaml_char_t *anchor = NULL, *tag = NULL;
	struct bk__yaml_node *node;
	enum bk__yaml_kind kind;
	const void *text = NULL;
	size_t length = 0;
	int r;

	switch (event->type) {
	case YAML_SCALAR_EVENT:
		kind = BK__YAML_SCALAR;
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
		text = event->data.scalar.value;
		length = event->data.scalar.length;
		break;
	case YAML_SEQUENCE_START_EVENT:
		kind = BK__YAML_LIST;
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
		break;
	case YAML_MAPPING_START_EVENT:
		kind = BK__YAML_MAP;
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		(*depth)--;
		return 0;
	case YAML_ALIAS_EVENT:
		return fail_mark(yaml, mark, err, "aliases (*) are not used here; write the value out");
	case YAML_DOCUMENT_START_EVENT:
		if (yaml->root)
			return fail_mark(yaml, mark, err,
					 "a second document; put one in a file and remove this one");
		return 0;
	default:
		return 0;
	}
	if (anchor || tag)
		return fail_mark(yaml, mark, err, "%s not used here; remove it",
				 anchor ? "an anchor (&) is" : "a tag (!) is");
	if (length && memchr(text, 0, length))
		return fail_mark(yaml, mark, err, "a NUL character; remove it");
	if (yaml->nodes == BK__YAML_NODES)
		return fail_mark(yaml, mark, err, "too many values in one file: at most %u", BK__YAML_NODES);
	if (kind != BK__YAML_SCALAR && *depth == BK__YAML_DEPTH)
		return fail_mark(yaml, mark, err, "nested too deep: at most %u levels", BK__YAML_DEPTH);
	node = add_node(yaml, kind, mark, text, length);
	if (!node)
		return bk__yaml_no_memory(yaml, err);
	if (kind == BK__YAML_SCALAR) {
		node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
		/* An escape has more characters than what it stands for. */
		node->verbatim = event->end_mark.line == mark->line &&
				 event->end_mark.index - mark->index ==
					 characters(node->text, length) + (node->quoted ? 2 : 0);
	}
	r = place(yaml, &levels[*depth], node, err);
	if (!r && kind != BK__YAML_SCALAR)
		levels[++*depth] = (struct level){ .node = node };
	return r;
}

int bk__yaml_parse(const char *name, const char *text, size_t length, struct bk__yaml **out,
		   struct bk_error *err)
{
	struct level levels[BK__YAML_DEPTH + 1] = { 0 };
	struct bk__yaml *yaml;
	yaml_parser_t parser;
	yaml_event_t event;
	unsigned depth = 0;
	bool end = false;
	int r = 0;

	*out = NULL;
	yaml = calloc(1, sizeof(*yaml));
	if (!yaml || !(yaml->name = strdup(name)) || !yaml_parser_initialize(&parser)) {
		bk__yaml_free(yaml);
		return bk_fail(err, ENOMEM, "%.400s: out of memory", name);
	}
	if (length > BK__YAML_BYTES) {
		yaml_mark_t mark = { 0 };

		length = 0;
		r = fail_mark(yaml, &mark, err, "the file is too large: at most %u bytes", BK__YAML_BYTES);
	}
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
	while (!r && !end) {
		if (!yaml_parser_parse(&parser, &event)) {
			r = fail_syntax(yaml, &parser, text, length, err);
			break;
		}
		end = event.type == YAML_STREAM_END_EVENT;
		r = add_event(yaml, &event, levels, &depth, err);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	if (!r && !yaml->root) {
		yaml_mark_t mark = { 0 };

		r = fail_mark(yaml, &mark, err, "the file is empty");
	}
	if (r)
		bk__yaml_free(yaml);
	else
		*out = yaml;
	return r;
}

int bk__yaml_load(const char *file, struct bk__yaml **yaml, struct bk_error *err)
{
	size_t length;
	char *text;
	int r;

	*yaml = NULL;
	r = bk__base_file_read(file, BK__YAML_BYTES, &text, &length, err);
	if (r)
		return r;
	r = bk__yaml_parse(file, text, length, yaml, err);
	free(text);
	return r;
}

void bk__yaml_free(struct bk__yaml *yaml)
{
	struct bk__yaml_node *node;

	if (!yaml)
		return;
	while ((node = yaml->newest)) {
		yaml->newest = node->older;
		free(node);
	}
	free(yaml->name);
	free(yaml);
}

const struct bk__yaml_node *bk__yaml_root(const struct bk__yaml *yaml)
{
	return yaml->root;
}

const struct bk__yaml_node *bk__yaml_get(const struct bk__yaml_node *map, const char *key)
{
	const struct bk__yaml_node *node;

	for (node = map->kind == BK__YAML_MAP ? map->first : NULL; node; node = node->next)
		if (!strcmp(node->key->text, key))
			break;
	return node;
}

/* ---- Tables of fields ---- */

static bool parse_number(const struct bk__yaml_node *node, bool suffixes, uint64_t *value)
{
	return !node->quoted &&
	       (suffixes ? bk__base_size(node->text, value) : bk__base_number(node->text, value));
}

static const char *shown(const struct bk__yaml_node *node)
{
	return node->kind == BK__YAML_LIST ? "a list" : node->kind == BK__YAML_MAP ? "a map" : node->text;
}

/* Appends to a list of words, cut where the room ends. */
static void list(char *text, size_t room, const char *word)
{
	size_t used = strlen(text);

	snprintf(text + used, room - used, "%s%s", used ? ", " : "", word);
}

/* Small numbers as people say them, others as the field does. */
#define SHOW(value) ((value) < 10 ? "" : "0x"), (value)

static int fail_number(const struct bk__yaml *yaml, const struct bk__yaml_node *node, const char *what,
		       const struct bk__yaml_field *field, struct bk_error *err)
{
	return bk__yaml_fail(yaml, node, err,
			     "%s must be a number from %s%" PRIx64 " to %s%" PRIx64
			     ", not %s\"%.60s\"; write it in decimal or as 0x...%s",
			     what, SHOW(field->min), SHOW(field->max), node->quoted ? "the text " : "",
			     shown(node),
			     field->type == BK__YAML_SIZE ? ", with K, M, G or T if you like" : "");
}

int bk__yaml_scalar(const struct bk__yaml *yaml, const struct bk__yaml_node *node, const char *what,
		    const struct bk__yaml_field *field, void *out, struct bk_error *err)
{
	bool scalar = node->kind == BK__YAML_SCALAR;
	char choices[400] = "";
	uint64_t number;
	size_t length;

	switch (field->type) {
	case BK__YAML_NUMBER:
	case BK__YAML_SIZE:
		if (!scalar || !parse_number(node, field->type == BK__YAML_SIZE, &number) ||
		    number < field->min || number > field->max)
			return fail_number(yaml, node, what, field, err);
		*(uint64_t *)out = number;
		return 0;
	case BK__YAML_BOOL:
		if (!scalar || (strcmp(node->text, "true") && strcmp(node->text, "false")))
			return bk__yaml_fail(yaml, node, err, "%s must be true or false, not \"%.60s\"", what,
					     shown(node));
		*(bool *)out = node->text[0] == 't';
		return 0;
	case BK__YAML_TEXT:
		length = strlen(node->text);
		if (!scalar || length < field->min || length > field->max)
			return bk__yaml_fail(yaml, node, err,
					     "%s must be a text of %" PRIu64 " to %" PRIu64
					     " bytes, not \"%.60s\"",
					     what, field->min, field->max, shown(node));
		*(const char **)out = node->text;
		return 0;
	case BK__YAML_CHOICE:
		for (unsigned i = 0; field->choices[i]; i++) {
			list(choices, sizeof(choices), field->choices[i]);
			if (scalar && !strcmp(node->text, field->choices[i])) {
				*(unsigned *)out = i;
				return 0;
			}
		}
		return bk__yaml_fail(yaml, node, err, "%s must be one of %s, not \"%.60s\"", what, choices,
				     shown(node));
	case BK__YAML_NODES_OF:
		if (node->kind != BK__YAML_LIST)
			return bk__yaml_fail(yaml, node, err, "%s must be a list", what);
		if (node->count < field->min || node->count > field->max)
			return bk__yaml_fail(yaml, node, err,
					     "%s must have from %" PRIu64 " to %" PRIu64 " entries, not %u",
					     what, field->min, field->max, node->count);
		break;
	case BK__YAML_MAP_OF:
		if (node->kind != BK__YAML_MAP)
			return bk__yaml_fail(yaml, node, err, "%s must be a map ({key: value, ...})", what);
		break;
	case BK__YAML_NODE:
		break;
	}
	*(const struct bk__yaml_node **)out = node;
	return 0;
}

int bk__yaml_read(const struct bk__yaml *yaml, const struct bk__yaml_node *map, const char *what,
		  const struct bk__yaml_field *fields, void *out, struct bk_error *err)
{
	const struct bk__yaml_field *field;
	char known[400] = "";
	int r;

	if (map->kind != BK__YAML_MAP)
		return bk__yaml_fail(yaml, map, err, "%s must be a map ({key: value, ...})", what);
	for (const struct bk__yaml_node *node = map->first; node; node = node->next) {
		for (field = fields; field->key && strcmp(field->key, node->key->text); field++)
			;
		if (!field->key) {
			for (field = fields; field->key; field++)
				list(known, sizeof(known), field->key);
			return bk__yaml_fail(yaml, node->key, err,
					     "%s has no key \"%.60s\"; remove it, or use one of: %s", what,
					     node->key->text, known);
		}
		r = bk__yaml_scalar(yaml, node, field->key, field, (char *)out + field->offset, err);
		if (r)
			return r;
	}
	for (field = fields; field->key; field++)
		if (field->required && !bk__yaml_get(map, field->key))
			return bk__yaml_fail(yaml, map, err, "%s needs the key \"%s\"; add it", what,
					     field->key);
	return 0;
}
