/* SPDX-License-Identifier: BSD-2-Clause */
/* Loading of expressions: items of a quirk file, and lists of actions. */
#include "quirk/load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct bk__quirk_names names_of(struct bk_quirk *quirk, enum bk__quirk_part part)
{
	static const unsigned places[] = {
		[BK__PART_OPTION] = 0,
		[BK__PART_MATCH] = 1u << BK__HOST,
		[BK__PART_START] = 1u << BK__HOST,
		[BK__PART_EDIT] = 1u << BK__HOST | 1u << BK__HERE,
		[BK__PART_ROM] = 1u << BK__HOST | 1u << BK__ROM,
		[BK__PART_PLACE] = 1u << BK__HOST | 1u << BK__CONFIG,
		[BK__PART_TRAP] =
			BK__BARS | 1u << BK__DEVICE | 1u << BK__CONFIG | 1u << BK__HOST | 1u << BK__MSIX,
		[BK__PART_RESET] = BK__BARS | 1u << BK__HOST,
	};
	struct bk__quirk_names names = {
		.places = places[part],
		.fixed = part == BK__PART_EDIT || part == BK__PART_ROM ? 1u << BK__HOST : 0,
		.access = part == BK__PART_TRAP,
		.device = part != BK__PART_OPTION,
		.options = quirk->option_names,
		.option_count = quirk->option_count,
		.caps = quirk->caps,
		.cap_count = &quirk->cap_count,
	};

	if (part == BK__PART_TRAP || part == BK__PART_RESET) {
		names.variables = quirk->variables;
		names.variable_count = quirk->variable_count;
	}
	return names;
}

int bk__quirk_load_part(struct bk__quirk_loader *loader, const struct bk__yaml_node *node, size_t from,
			size_t length, enum bk__quirk_part part, struct bk__quirk_item **item)
{
	const struct bk__quirk_names names = names_of(loader->quirk, part);
	struct bk__quirk_item_error wrong;
	int r = bk__quirk_item_parse(node->text + from, length, &names, item, &wrong);

	if (r == -EINVAL)
		return bk__yaml_fail_inside(loader->yaml, node, from + wrong.at, loader->err, wrong.text);
	*item = bk__quirk_keep(loader->quirk, *item);
	return *item ? 0 : bk__yaml_no_memory(loader->yaml, loader->err);
}

static int one_item(struct bk__quirk_loader *loader, const struct bk__yaml_node *node,
		    enum bk__quirk_part part, struct bk__quirk_item **item)
{
	if (node->kind != BK__YAML_SCALAR)
		return BK__FAIL(node, "here must be an expression, not a %s",
				node->kind == BK__YAML_MAP ? "map" : "list");
	return bk__quirk_load_part(loader, node, 0, strlen(node->text), part, item);
}

int bk__quirk_load_number(struct bk__quirk_loader *loader, const struct bk__yaml_node *node,
			  enum bk__quirk_part part, struct bk__quirk_item **item)
{
	int r = one_item(loader, node, part, item);

	if (!r && bk__quirk_item_is_action(*item))
		return BK__FAIL(node, "here must be a number or a condition (to compare, write ==)");
	return r;
}

int bk__quirk_load_items(struct bk__quirk_loader *loader, const struct bk__yaml_node *node,
			 enum bk__quirk_part part, struct bk__quirk_items *items)
{
	const bool list = node->kind == BK__YAML_LIST;
	const struct bk__yaml_node *child = list ? node->first : node;
	struct bk__quirk_item **to;
	int r = 0;

	if (list && (!node->count || node->count > BK__QUIRK_ITEMS))
		return BK__FAIL(node, "here must be 1 to %u expressions", BK__QUIRK_ITEMS);
	to = bk__quirk_alloc(loader->quirk, BK__QUIRK_ITEMS * sizeof(*to));
	if (!to)
		return bk__yaml_no_memory(loader->yaml, loader->err);
	items->list = (const struct bk__quirk_item **)to;
	for (items->count = 0; child && !r; child = list ? child->next : NULL)
		r = one_item(loader, child, part, &to[items->count++]);
	return r;
}

int bk__quirk_load_actions(struct bk__quirk_loader *loader, const struct bk__yaml_node *node,
			   enum bk__quirk_part part, const char *what, struct bk__quirk_items *items)
{
	const struct bk__yaml_node *child = node->kind == BK__YAML_LIST ? node->first : node;
	const bool sink = part == BK__PART_TRAP; /* a place alone gets the value written */
	int r = bk__quirk_load_items(loader, node, part, items);

	for (unsigned i = 0; !r && i < items->count; i++, child = child->next) {
		const struct bk__quirk_item *item = items->list[i];

		if (bk__quirk_item_is_action(item) || (sink && item->kind == BK__ITEM_PLACE) ||
		    (sink && item->kind == BK__ITEM_REGISTER && bk__quirk_item_is_variable(item)))
			continue;
		return BK__FAIL(child, "%s this does nothing: write PLACE = VALUE", what);
	}
	return r;
}
