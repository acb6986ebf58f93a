/* SPDX-License-Identifier: BSD-2-Clause */
/* Items, evaluated. */
#include "quirk/expr_parts.h"

#include <string.h>

/* PCI Code and ID Assignment 1.14, chapters 2 and 3. */
static const struct {
	const char *name;
	bool extended;
	uint16_t id;
} caps[] = {
	{ "pm", false, 0x01 },     { "agp", false, 0x02 },     { "vpd", false, 0x03 },
	{ "msi", false, 0x05 },    { "pcix", false, 0x07 },    { "ht", false, 0x08 },
	{ "vendor", false, 0x09 }, { "express", false, 0x10 }, { "msix", false, 0x11 },
	{ "sata", false, 0x12 },   { "af", false, 0x13 },      { "aer", true, 0x01 },
	{ "vc", true, 0x02 },      { "serial", true, 0x03 },   { "vendor", true, 0x0b },
	{ "acs", true, 0x0d },     { "ari", true, 0x0e },      { "ats", true, 0x0f },
	{ "sriov", true, 0x10 },   { "pri", true, 0x13 },      { "rebar", true, 0x15 },
	{ "ltr", true, 0x18 },     { "pasid", true, 0x1b },    { "l1ss", true, 0x1e },
	{ "ptm", true, 0x1f },     { "dvsec", true, 0x23 },
};

int bk__quirk_cap_id(const char *name, size_t length, bool extended)
{
	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++)
		if (caps[i].extended == extended && strlen(caps[i].name) == length &&
		    !memcmp(caps[i].name, name, length))
			return caps[i].id;
	return -1;
}

static uint64_t low(uint64_t value, unsigned width)
{
	return width >= 8 ? value : value & (((uint64_t)1 << 8 * width) - 1);
}

static uint64_t right(uint64_t value, uint64_t bits)
{
	return bits < 64 ? value >> bits : 0;
}

static uint64_t left(uint64_t value, uint64_t bits)
{
	return bits < 64 ? value << bits : 0;
}

/* The bits to shift for an offset in bytes; far ones have nothing. */
static uint64_t bits(uint64_t bytes)
{
	return bytes < 8 ? 8 * bytes : 64;
}

static unsigned width_of(const struct bk__quirk_node *node, const struct bk__quirk_run *run)
{
	return node->width ? node->width : run->width;
}

static uint64_t number(const struct bk__quirk_item *item, unsigned index, struct bk__quirk_run *run);

static uint64_t place_read(const struct bk__quirk_item *item, const struct bk__quirk_node *node,
			   struct bk__quirk_run *run)
{
	const uint64_t offset = node->index == BK__DEVICE ? 0 : number(item, node->left, run);
	uint64_t value = 0;
	int r = run->read(run->opaque, (enum bk__quirk_place)node->index, offset, width_of(node, run),
			  &value);

	if (r && !run->error)
		run->error = r;
	return low(r ? UINT64_MAX : value, width_of(node, run));
}

static uint64_t operation(enum bk__quirk_op op, uint64_t a, uint64_t b)
{
	switch (op) {
	case BK__OP_EQUAL:
		return a == b;
	case BK__OP_UNEQUAL:
		return a != b;
	case BK__OP_BELOW:
		return a < b;
	case BK__OP_ABOVE:
		return a > b;
	case BK__OP_AT_MOST:
		return a <= b;
	case BK__OP_AT_LEAST:
		return a >= b;
	case BK__OP_OR:
		return a | b;
	case BK__OP_XOR:
		return a ^ b;
	case BK__OP_AND:
		return a & b;
	case BK__OP_LEFT:
		return left(a, b);
	case BK__OP_RIGHT:
		return right(a, b);
	case BK__OP_ADD:
		return a + b;
	case BK__OP_SUBTRACT:
		return a - b;
	default:
		return a * b;
	}
}

/* Recursion is bounded by the number of nodes; each leads to earlier ones only. */
static uint64_t number(const struct bk__quirk_item *item, unsigned index, struct bk__quirk_run *run)
{
	const struct bk__quirk_node *node = &item->nodes[index];
	uint64_t a;

	switch ((enum bk__quirk_op)node->op) {
	case BK__OP_NUMBER:
		return node->number;
	case BK__OP_AT:
		return run->at;
	case BK__OP_WRITTEN:
		return run->value;
	case BK__OP_VARIABLE:
		return run->variables[node->index];
	case BK__OP_BYTES:
		return low(right(run->variables[node->index], bits(number(item, node->left, run))),
			   run->width);
	case BK__OP_OPTION:
		return run->options[node->index];
	case BK__OP_CAP:
		return run->caps[node->index];
	case BK__OP_SIZE:
		a = number(item, node->left, run);
		return a < BK__SIZE_COUNT ? run->sizes[a] : 0;
	case BK__OP_PLACE:
		return place_read(item, node, run);
	case BK__OP_INVERT:
		return ~number(item, node->left, run);
	case BK__OP_NOT:
		return !number(item, node->left, run);
	case BK__OP_NEGATE:
		return -number(item, node->left, run);
	case BK__OP_OR_ELSE:
		return number(item, node->left, run) || number(item, node->right, run);
	case BK__OP_AND_THEN:
		return number(item, node->left, run) && number(item, node->right, run);
	default:
		a = number(item, node->left, run);
		return operation((enum bk__quirk_op)node->op, a, number(item, node->right, run));
	}
}

static void store(const struct bk__quirk_item *item, unsigned target, uint64_t value,
		  struct bk__quirk_run *run)
{
	const struct bk__quirk_node *node = &item->nodes[target];
	uint64_t offset = 0, mask;
	int r;

	if (node->op == BK__OP_VARIABLE) {
		run->variables[node->index] = value;
		return;
	}
	if (node->op == BK__OP_BYTES || node->index != BK__DEVICE)
		offset = number(item, node->left, run);
	if (node->op == BK__OP_BYTES) {
		mask = left(low(UINT64_MAX, run->width), bits(offset));
		run->variables[node->index] =
			(run->variables[node->index] & ~mask) | (left(value, bits(offset)) & mask);
		return;
	}
	r = run->write(run->opaque, (enum bk__quirk_place)node->index, offset, width_of(node, run),
		       low(value, width_of(node, run)));
	if (r && !run->error)
		run->error = r;
}

/* A number or a variable alone is a register: an access to a part of it gets that part. */
static uint64_t register_read(const struct bk__quirk_item *item, struct bk__quirk_run *run)
{
	const struct bk__quirk_node *node = &item->nodes[item->value];
	const unsigned word = run->word ? run->word : node->number >> 32 ? 8 : 4;
	uint64_t value = 0;

	if (node->op == BK__OP_VARIABLE)
		return right(run->variables[node->index], bits(run->at));
	for (unsigned i = 0; i < run->width; i++)
		value |= (right(node->number, bits((run->at + i) % word)) & 0xff) << 8 * i;
	return value;
}

/* A variable: the loader refuses a number alone in a write. */
static void register_write(const struct bk__quirk_item *item, struct bk__quirk_run *run)
{
	const struct bk__quirk_node *node = &item->nodes[item->value];
	const uint64_t mask = left(low(UINT64_MAX, run->width), bits(run->at));

	run->variables[node->index] =
		(run->variables[node->index] & ~mask) | (left(run->value, bits(run->at)) & mask);
}

uint64_t bk__quirk_item_number(const struct bk__quirk_item *item, struct bk__quirk_run *run)
{
	return number(item, item->value, run);
}

uint64_t bk__quirk_items_read(const struct bk__quirk_items *items, struct bk__quirk_run *run)
{
	uint64_t value = low(UINT64_MAX, run->width);

	for (unsigned i = 0; i < items->count; i++) {
		const struct bk__quirk_item *item = items->list[i];

		if (item->kind == BK__ITEM_STORE)
			store(item, item->target, number(item, item->value, run), run);
		else if (item->kind == BK__ITEM_REGISTER)
			value = register_read(item, run);
		else if (item->kind != BK__ITEM_DROP)
			value = number(item, item->value, run);
	}
	return low(value, run->width);
}

void bk__quirk_items_write(const struct bk__quirk_items *items, struct bk__quirk_run *run)
{
	for (unsigned i = 0; i < items->count; i++) {
		const struct bk__quirk_item *item = items->list[i];

		if (item->kind == BK__ITEM_STORE)
			store(item, item->target, number(item, item->value, run), run);
		else if (item->kind == BK__ITEM_PLACE)
			store(item, item->value, run->value, run);
		else if (item->kind == BK__ITEM_REGISTER)
			register_write(item, run);
	}
}
