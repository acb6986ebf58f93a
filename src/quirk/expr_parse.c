/* SPDX-License-Identifier: BSD-2-Clause */
/* Items from text: a parser by precedence, with the place of what is wrong. */
#include "quirk/expr_parts.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH 24

struct parser {
	const char *text;
	size_t length, at;
	const struct bk__quirk_names *names;
	struct bk__quirk_item_error *wrong;
	bool failed;
	unsigned count, depth;
	struct bk__quirk_node nodes[BK__NODES];
};

/* The first complaint stays. Returns a node, so that callers need not look. */
static unsigned wrong(struct parser *p, size_t at, const char *format, ...)
{
	va_list args;

	if (p->failed)
		return 0;
	p->failed = true;
	p->wrong->at = at;
	va_start(args, format);
	vsnprintf(p->wrong->text, sizeof(p->wrong->text), format, args);
	va_end(args);
	return 0;
}

static unsigned node(struct parser *p, struct bk__quirk_node what)
{
	if (p->count == BK__NODES)
		return wrong(p, p->at, "this is too long: at most %u numbers, names and operators",
			     BK__NODES);
	p->nodes[p->count] = what;
	return p->count++;
}

/* ---- Tokens ------------------------------------------------------------ */

static void blanks(struct parser *p)
{
	while (p->at < p->length &&
	       (p->text[p->at] == ' ' || p->text[p->at] == '\n' || p->text[p->at] == '\t'))
		p->at++;
}

static char look(const struct parser *p, size_t ahead)
{
	return p->at + ahead < p->length ? p->text[p->at + ahead] : 0;
}

static bool accept(struct parser *p, char c)
{
	blanks(p);
	if (look(p, 0) != c)
		return false;
	p->at++;
	return true;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || c == '_';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static size_t word_length(const struct parser *p)
{
	size_t length = 0;

	if (is_letter(look(p, 0)))
		while (is_letter(look(p, length)) || is_digit(look(p, length)))
			length++;
	return length;
}

static bool is(const char *name, const char *text, size_t length)
{
	return strlen(name) == length && !memcmp(name, text, length);
}

static int digit(char c, unsigned base)
{
	int value = -1;

	if (is_digit(c))
		value = c - '0';
	else if (c >= 'a' && c <= 'f')
		value = c - 'a' + 10;
	else if (c >= 'A' && c <= 'F')
		value = c - 'A' + 10;
	return value < (int)base ? value : -1;
}

static unsigned number(struct parser *p)
{
	const size_t start = p->at;
	unsigned base = 10;
	uint64_t value = 0;

	if (look(p, 0) == '0' && (look(p, 1) == 'x' || look(p, 1) == 'X')) {
		base = 16;
		p->at += 2;
	}
	if (digit(look(p, 0), base) < 0)
		return wrong(p, start, "a number has digits after 0x");
	if (base == 10 && look(p, 0) == '0' && digit(look(p, 1), 10) >= 0)
		return wrong(p, start,
			     "a number has no leading zero: 010 is eight for some and ten for others");
	for (int d; (d = digit(look(p, 0), base)) >= 0; p->at++) {
		if (value > (UINT64_MAX - (unsigned)d) / base)
			return wrong(p, start, "this number has more than 64 bits");
		value = value * base + (unsigned)d;
	}
	if (is_letter(look(p, 0)))
		return wrong(p, start, "this is no number");
	return node(p, (struct bk__quirk_node){ .op = BK__OP_NUMBER, .number = value });
}

/* ---- Names ------------------------------------------------------------- */

static unsigned expression(struct parser *p, unsigned lowest);

static unsigned in_parentheses(struct parser *p)
{
	unsigned inner;

	if (!accept(p, '('))
		return wrong(p, p->at, "here must be a parenthesis with an offset in it");
	inner = expression(p, 1);
	if (!accept(p, ')'))
		return wrong(p, p->at, "here a parenthesis must be closed");
	return inner;
}

/* cap(NAME), ecap(ID): the capability is resolved before anything is evaluated. */
static unsigned capability(struct parser *p, bool extended)
{
	size_t start, length;
	struct bk__quirk_cap cap = { .extended = extended };
	unsigned i;

	if (!accept(p, '('))
		return wrong(p, p->at, "here must be a capability in parentheses, as in cap(msi)");
	blanks(p);
	start = p->at;
	length = word_length(p);
	if (length) {
		int id = bk__quirk_cap_id(p->text + start, length, extended);

		if (id < 0)
			return wrong(p, start, "\"%.*s\" is no %s capability that has a name; give its id",
				     (int)(length < 40 ? length : 40), p->text + start,
				     extended ? "extended" : "standard");
		cap.id = (uint16_t)id;
		p->at += length;
	} else if (is_digit(look(p, 0))) {
		const unsigned n = number(p);

		if (p->failed)
			return 0;
		if (p->nodes[n].number > (extended ? 0xffff : 0xff))
			return wrong(p, start, "this is no capability's id");
		cap.id = (uint16_t)p->nodes[n].number;
	} else {
		return wrong(p, start, "here must be a capability's name or id");
	}
	if (!accept(p, ')'))
		return wrong(p, p->at, "here a parenthesis must be closed");
	for (i = 0; i < *p->names->cap_count; i++)
		if (p->names->caps[i].id == cap.id && p->names->caps[i].extended == extended)
			break;
	if (i == BK__CAPS)
		return wrong(p, start, "too many capabilities: at most %u in one quirk", BK__CAPS);
	if (i == *p->names->cap_count)
		p->names->caps[(*p->names->cap_count)++] = cap;
	return node(p, (struct bk__quirk_node){ .op = BK__OP_CAP, .index = i });
}

static const char *const place_names[BK__PLACES] = {
	"bar0", "bar1", "bar2", "bar3", "bar4", "bar5", "rom", "device", "config", "host", "msix", "here",
};

static unsigned place(struct parser *p, unsigned index, size_t start)
{
	struct bk__quirk_node what = { .op = BK__OP_PLACE, .index = index };

	if (!(p->names->places >> index & 1))
		return wrong(p, start, "%s cannot be used here", place_names[index]);
	if (index == BK__DEVICE)
		return node(p, what);
	if (look(p, 0) == '.') {
		const char c = look(p, 1);

		if ((c != '1' && c != '2' && c != '4' && c != '8') || is_digit(look(p, 2)))
			return wrong(p, p->at, "after the dot comes a width in bytes: 1, 2, 4 or 8");
		what.width = (uint8_t)(c - '0');
		p->at += 2;
	} else if (!p->names->access) {
		return wrong(p, p->at, "here must be a width, as in %s.4(0x10)", place_names[index]);
	}
	what.left = (uint8_t)in_parentheses(p);
	return node(p, what);
}

static unsigned variable(struct parser *p, unsigned index)
{
	struct bk__quirk_node what = { .op = BK__OP_VARIABLE, .index = index };

	if (p->names->access && look(p, 0) == '(') {
		what.op = BK__OP_BYTES;
		what.left = (uint8_t)in_parentheses(p);
	}
	return node(p, what);
}

static int among(const char *const *names, unsigned count, const char *text, size_t length)
{
	for (unsigned i = 0; i < count; i++)
		if (is(names[i], text, length))
			return (int)i;
	return -1;
}

bool bk__quirk_name_is_taken(const char *name)
{
	static const char *const words[] = { "at", "value", "cap", "ecap", "size", "drop" };
	const size_t length = strlen(name);

	return among(words, sizeof(words) / sizeof(words[0]), name, length) >= 0 ||
	       among(place_names, BK__PLACES, name, length) >= 0;
}

static unsigned named(struct parser *p)
{
	const struct bk__quirk_names *names = p->names;
	const size_t start = p->at, length = word_length(p);
	const char *text = p->text + start;
	int index;

	if (!length)
		return wrong(p, start, "here must be a number, a name or a parenthesis");
	p->at += length;
	if (names->device && (is("cap", text, length) || is("ecap", text, length)))
		return capability(p, *text == 'e');
	if (names->device && is("size", text, length))
		return node(p,
			    (struct bk__quirk_node){ .op = BK__OP_SIZE, .left = (uint8_t)in_parentheses(p) });
	if (names->access && (is("at", text, length) || is("value", text, length)))
		return node(p, (struct bk__quirk_node){ .op = *text == 'a' ? BK__OP_AT : BK__OP_WRITTEN });
	index = among(place_names, BK__PLACES, text, length);
	if (index >= 0)
		return place(p, (unsigned)index, start);
	index = among(names->variables, names->variable_count, text, length);
	if (index >= 0)
		return variable(p, (unsigned)index);
	index = among(names->options, names->option_count, text, length);
	if (index >= 0)
		return node(p, (struct bk__quirk_node){ .op = BK__OP_OPTION, .index = (unsigned)index });
	return wrong(p, start, "there is nothing here with the name \"%.*s\"",
		     (int)(length < 40 ? length : 40), text);
}

/* ---- Operators --------------------------------------------------------- */

/* Longer ones first. Unlike in C, all comparisons bind weaker than all that computes. */
static const struct {
	const char *text;
	unsigned precedence;
	enum bk__quirk_op op;
} binaries[] = {
	{ "||", 1, BK__OP_OR_ELSE }, { "&&", 2, BK__OP_AND_THEN }, { "==", 3, BK__OP_EQUAL },
	{ "!=", 3, BK__OP_UNEQUAL }, { "<=", 3, BK__OP_AT_MOST },  { ">=", 3, BK__OP_AT_LEAST },
	{ "<<", 7, BK__OP_LEFT },    { ">>", 7, BK__OP_RIGHT },    { "<", 3, BK__OP_BELOW },
	{ ">", 3, BK__OP_ABOVE },    { "|", 4, BK__OP_OR },        { "^", 5, BK__OP_XOR },
	{ "&", 6, BK__OP_AND },      { "+", 8, BK__OP_ADD },       { "-", 8, BK__OP_SUBTRACT },
	{ "*", 9, BK__OP_MULTIPLY },
};

static int binary(struct parser *p)
{
	blanks(p);
	for (unsigned i = 0; i < sizeof(binaries) / sizeof(binaries[0]); i++) {
		const char *text = binaries[i].text;

		if (look(p, 0) == text[0] && (!text[1] || look(p, 1) == text[1]))
			return (int)i;
	}
	return -1;
}

static unsigned unary(struct parser *p)
{
	unsigned inner;
	char c;

	blanks(p);
	c = look(p, 0);
	if (p->failed)
		return 0;
	if (++p->depth > DEPTH) {
		inner = wrong(p, p->at, "this is nested too deep");
	} else if (c == '~' || c == '!' || c == '-') {
		p->at++;
		inner = unary(p);
		inner = node(p, (struct bk__quirk_node){ .op = c == '~'   ? BK__OP_INVERT
							       : c == '!' ? BK__OP_NOT
									  : BK__OP_NEGATE,
							 .left = (uint8_t)inner });
	} else if (c == '(') {
		inner = in_parentheses(p);
	} else if (is_digit(c)) {
		inner = number(p);
	} else {
		inner = named(p);
	}
	p->depth--;
	return inner;
}

static unsigned expression(struct parser *p, unsigned lowest)
{
	unsigned left = unary(p), right;
	int i;

	while (!p->failed && (i = binary(p)) >= 0 && binaries[i].precedence >= lowest) {
		p->at += strlen(binaries[i].text);
		right = expression(p, binaries[i].precedence + 1);
		left = node(p, (struct bk__quirk_node){ .op = binaries[i].op,
							.left = (uint8_t)left,
							.right = (uint8_t)right });
	}
	return left;
}

/* ---- Items ------------------------------------------------------------- */

static bool can_be_stored(const struct parser *p, unsigned index)
{
	const enum bk__quirk_op op = p->nodes[index].op;

	return op == BK__OP_PLACE || op == BK__OP_VARIABLE || op == BK__OP_BYTES;
}

static enum bk__quirk_item_kind item(struct parser *p, struct bk__quirk_item *out)
{
	unsigned left;

	blanks(p);
	if (word_length(p) == 4 && !memcmp(p->text + p->at, "drop", 4)) {
		p->at += 4;
		return BK__ITEM_DROP;
	}
	left = expression(p, 1);
	out->value = (uint8_t)left;
	if (!p->failed && accept(p, '=')) {
		if (!can_be_stored(p, left))
			wrong(p, 0, "what is left of = must be a place or a variable");
		else if (p->nodes[left].op == BK__OP_PLACE && p->names->fixed >> p->nodes[left].index & 1)
			wrong(p, 0, "%s cannot be written here", place_names[p->nodes[left].index]);
		out->target = (uint8_t)left;
		out->value = (uint8_t)expression(p, 1);
		return BK__ITEM_STORE;
	}
	if (p->failed)
		return BK__ITEM_VALUE;
	if (p->nodes[left].op == BK__OP_NUMBER || p->nodes[left].op == BK__OP_VARIABLE)
		return BK__ITEM_REGISTER;
	return can_be_stored(p, left) ? BK__ITEM_PLACE : BK__ITEM_VALUE;
}

int bk__quirk_item_parse(const char *text, size_t length, const struct bk__quirk_names *names,
			 struct bk__quirk_item **out, struct bk__quirk_item_error *error)
{
	struct parser p = { .text = text, .length = length, .names = names, .wrong = error };
	struct bk__quirk_item head = { 0 };

	*out = NULL;
	head.kind = item(&p, &head);
	blanks(&p);
	if (!p.failed && p.at < length)
		wrong(&p, p.at, "from here on this is not understood");
	if (p.failed)
		return -EINVAL;
	*out = malloc(sizeof(head) + p.count * sizeof(struct bk__quirk_node));
	if (!*out)
		return -ENOMEM;
	**out = head;
	(*out)->count = p.count;
	memcpy((*out)->nodes, p.nodes, p.count * sizeof(struct bk__quirk_node));
	return 0;
}

bool bk__quirk_item_is_action(const struct bk__quirk_item *item)
{
	return item->kind == BK__ITEM_STORE || item->kind == BK__ITEM_DROP;
}

bool bk__quirk_item_is_variable(const struct bk__quirk_item *item)
{
	return item->nodes[item->value].op == BK__OP_VARIABLE;
}

bool bk__quirk_item_is_device(const struct bk__quirk_item *item)
{
	return item->kind == BK__ITEM_PLACE && item->nodes[item->value].op == BK__OP_PLACE &&
	       item->nodes[item->value].index == BK__DEVICE;
}
