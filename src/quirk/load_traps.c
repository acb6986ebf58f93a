/* SPDX-License-Identifier: BSD-2-Clause */
/* From YAML: which devices a quirk is for, and its traps. */
#include "quirk/load.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"

/* ---- Match ------------------------------------------------------------- */

static const char *const kinds[] = { "any", "io", "mem32", "mem64", "mem", NULL };

static int load_bar(struct bk__quirk_loader *loader, const struct bk__yaml_node *node)
{
	struct {
		uint64_t index, least, most;
		unsigned kind;
	} bar = { .least = 1, .most = UINT64_MAX };
	static const struct bk__yaml_field fields[] = {
		{ "index", BK__YAML_NUMBER, 0, true, 0, 5, NULL },
		{ "min", BK__YAML_SIZE, 8, false, 1, UINT64_MAX, NULL },
		{ "max", BK__YAML_SIZE, 16, false, 1, UINT64_MAX, NULL },
		{ "kind", BK__YAML_CHOICE, 24, false, 0, 0, kinds },
		{ 0 },
	};
	static const unsigned sets[] = {
		0,
		1u << BK_PCI_BAR_IO,
		1u << BK_PCI_BAR_MEM32,
		1u << BK_PCI_BAR_MEM64,
		1u << BK_PCI_BAR_MEM32 | 1u << BK_PCI_BAR_MEM64,
	};
	int r;

	if (node->kind != BK__YAML_MAP)
		return BK__FAIL(node, "a BAR is a map with index, and perhaps kind, min and max");
	r = bk__yaml_read(loader->yaml, node, "a BAR", fields, &bar, loader->err);
	if (r)
		return r;
	if (bar.least > bar.most)
		return BK__FAIL(bk__yaml_get(node, "max"), "max is less than min: no BAR would match");
	loader->quirk->bars[loader->quirk->bar_count++] = (struct bk__quirk_bar_match){
		.index = (unsigned)bar.index,
		.kind = sets[bar.kind],
		.least = bar.least,
		.most = bar.most,
	};
	return 0;
}

/* `0x5800` or `0x5800/0xff00`. */
static int load_id(struct bk__quirk_loader *loader, const struct bk__yaml_node *node, uint64_t most,
		   struct bk__quirk_id *id)
{
	uint64_t value = 0, mask = most;
	const char *end = node->kind == BK__YAML_SCALAR ? bk__base_number_take(node->text, &value) : NULL;

	if (end && *end == '/')
		end = bk__base_number_take(end + 1, &mask);
	if (!end || *end || value > most || mask > most)
		return BK__FAIL(node, "here must be a number up to 0x%" PRIx64 ", or VALUE/MASK", most);
	if (value & ~mask)
		return BK__FAIL(node, "the value has bits that are not in its mask: it would match nothing");
	*id = (struct bk__quirk_id){ (uint32_t)value, (uint32_t)mask };
	return 0;
}

static int load_ids(struct bk__quirk_loader *loader, const struct bk__yaml_node *node, uint64_t most,
		    struct bk__quirk_ids *ids)
{
	const bool list = node->kind == BK__YAML_LIST;
	const unsigned count = list ? node->count : 1;
	int r = 0;

	if (!count || count > BK__QUIRK_IDS)
		return BK__FAIL(node, "here must be 1 to %u ids", BK__QUIRK_IDS);
	ids->list = bk__quirk_alloc(loader->quirk, count * sizeof(*ids->list));
	if (!ids->list)
		return bk__yaml_no_memory(loader->yaml, loader->err);
	for (const struct bk__yaml_node *child = list ? node->first : node; child && !r;
	     child = list ? child->next : NULL)
		r = load_id(loader, child, most, &ids->list[ids->count++]);
	return r;
}

struct match_fields {
	const struct bk__yaml_node *ids[BK__IDS], *bars, *when;
};

int bk__quirk_load_match(struct bk__quirk_loader *loader, const struct bk__yaml_node *node)
{
#define ID(id) offsetof(struct match_fields, ids) + (id) * sizeof(node)
	static const struct bk__yaml_field fields[] = {
		{ "vendor", BK__YAML_NODE, ID(BK__ID_VENDOR), false, 0, 0, NULL },
		{ "device", BK__YAML_NODE, ID(BK__ID_DEVICE), false, 0, 0, NULL },
		{ "class", BK__YAML_NODE, ID(BK__ID_CLASS), false, 0, 0, NULL },
		{ "revision", BK__YAML_NODE, ID(BK__ID_REVISION), false, 0, 0, NULL },
		{ "subsystem-vendor", BK__YAML_NODE, ID(BK__ID_SUBVENDOR), false, 0, 0, NULL },
		{ "subsystem", BK__YAML_NODE, ID(BK__ID_SUBSYSTEM), false, 0, 0, NULL },
		{ "bars", BK__YAML_NODES_OF, offsetof(struct match_fields, bars), false, 1, 6, NULL },
		{ "when", BK__YAML_NODE, offsetof(struct match_fields, when), false, 0, 0, NULL },
		{ 0 },
	};
#undef ID
	static const uint64_t most[BK__IDS] = {
		[BK__ID_VENDOR] = 0xffff, [BK__ID_DEVICE] = 0xffff,    [BK__ID_CLASS] = 0xffffff,
		[BK__ID_REVISION] = 0xff, [BK__ID_SUBVENDOR] = 0xffff, [BK__ID_SUBSYSTEM] = 0xffff,
	};
	struct match_fields match = { .when = NULL };
	int r = bk__yaml_read(loader->yaml, node, "what a quirk is for", fields, &match, loader->err);

	if (!r && !node->count)
		return BK__FAIL(node, "this matches every device: give at least a vendor, a class or when");
	for (unsigned i = 0; !r && i < BK__IDS; i++)
		if (match.ids[i])
			r = load_ids(loader, match.ids[i], most[i], &loader->quirk->ids[i]);
	for (node = match.bars ? match.bars->first : NULL; node && !r; node = node->next)
		r = load_bar(loader, node);
	if (!r && match.when)
		r = bk__quirk_load_number(loader, match.when, BK__PART_MATCH, &loader->quirk->when);
	return r;
}

/* ---- Traps ------------------------------------------------------------- */

struct rule_fields {
	const char *at;
	uint64_t width;
	bool log, accelerate;
	const struct bk__yaml_node *when, *read, *write;
};

/* REGION+OFFSET/LENGTH, of which OFFSET and LENGTH are expressions. */
static int load_place(struct bk__quirk_loader *loader, const struct bk__yaml_node *node,
		      struct bk__quirk_rule *rule)
{
	const char *text = node->text, *plus = strchr(text, '+'), *slash = strrchr(text, '/');
	size_t length = plus ? (size_t)(plus - text) : 0;
	int r;

	for (rule->region = 0; rule->region < BK_DEVICE_REGIONS; rule->region++) {
		const char *name = bk_device_region_name(rule->region);

		if (strlen(name) == length && !memcmp(name, text, length))
			break;
	}
	if (!plus || !slash || slash < plus || rule->region == BK_DEVICE_REGIONS)
		return BK__FAIL(node,
				"here must be REGION+OFFSET/LENGTH, as in bar0+0x88000/0x100, with bar0 to "
				"bar5, rom, config or vga");
	r = bk__quirk_load_part(loader, node, length + 1, (size_t)(slash - plus) - 1, BK__PART_PLACE,
				&rule->offset);
	if (!r)
		r = bk__quirk_load_part(loader, node, (size_t)(slash - text) + 1, strlen(slash + 1),
					BK__PART_PLACE, &rule->length);
	if (!r && (bk__quirk_item_is_action(rule->offset) || bk__quirk_item_is_action(rule->length)))
		r = BK__FAIL(node, "OFFSET and LENGTH are numbers");
	return r;
}

/* Then the write may be made by others, who know nothing of the rule. */
static bool only_passes_on(const struct bk__quirk_rule *rule)
{
	return rule->region < BK_DEVICE_ROM && !rule->when && !rule->width && !rule->log &&
	       rule->write.count == 1 && bk__quirk_item_is_device(rule->write.list[0]);
}

static int load_rule(struct bk__quirk_loader *loader, const struct bk__yaml_node *node,
		     struct bk__quirk_rule *rule)
{
#define AT(member) offsetof(struct rule_fields, member)
	static const struct bk__yaml_field fields[] = {
		{ "at", BK__YAML_TEXT, AT(at), true, 1, 1000, NULL },
		{ "width", BK__YAML_NUMBER, AT(width), false, 1, 8, NULL },
		{ "when", BK__YAML_NODE, AT(when), false, 0, 0, NULL },
		{ "read", BK__YAML_NODE, AT(read), false, 0, 0, NULL },
		{ "write", BK__YAML_NODE, AT(write), false, 0, 0, NULL },
		{ "log", BK__YAML_BOOL, AT(log), false, 0, 0, NULL },
		{ "accelerate", BK__YAML_BOOL, AT(accelerate), false, 0, 0, NULL },
		{ 0 },
	};
#undef AT
	struct rule_fields read = { 0 };
	bool gives = false;
	int r;

	if (node->kind != BK__YAML_MAP)
		return BK__FAIL(node, "a trap is a map with at, and read, write or log");
	r = bk__yaml_read(loader->yaml, node, "a trap", fields, &read, loader->err);
	if (r)
		return r;
	rule->line = node->line;
	rule->width = (unsigned)read.width;
	rule->log = read.log;
	rule->accelerate = read.accelerate;
	rule->reads = read.read;
	rule->writes = read.write;
	if (rule->width & (rule->width - 1))
		return BK__FAIL(bk__yaml_get(node, "width"), "width must be 1, 2, 4 or 8 bytes");
	if (!read.read && !read.write && !read.log)
		return BK__FAIL(node, "this trap does nothing: give it read, write or log");
	r = load_place(loader, bk__yaml_get(node, "at"), rule);
	if (!r && read.when)
		r = bk__quirk_load_number(loader, read.when, BK__PART_TRAP, &rule->when);
	if (!r && read.read)
		r = bk__quirk_load_items(loader, read.read, BK__PART_TRAP, &rule->read);
	for (unsigned i = 0; i < rule->read.count && !r; i++)
		gives |= !bk__quirk_item_is_action(rule->read.list[i]);
	if (!r && read.read && !gives)
		r = BK__FAIL(read.read, "a read must give a number, as 0xffffffff or device do");
	if (!r && read.write)
		r = bk__quirk_load_actions(loader, read.write, BK__PART_TRAP, "in a write", &rule->write);
	if (!r && rule->accelerate && !only_passes_on(rule))
		r = BK__FAIL(
			bk__yaml_get(node, "accelerate"),
			"only a rule for a BAR with write: device, and without when, width and log, can be "
			"accelerated");
	return r;
}

int bk__quirk_load_traps(struct bk__quirk_loader *loader, const struct bk__yaml_node *node)
{
	struct bk_quirk *quirk = loader->quirk;
	int r = 0;

	quirk->rules = bk__quirk_alloc(quirk, node->count * sizeof(*quirk->rules));
	if (!quirk->rules)
		return bk__yaml_no_memory(loader->yaml, loader->err);
	for (node = node->first; node && !r; node = node->next)
		r = load_rule(loader, node, &quirk->rules[quirk->rule_count++]);
	return r;
}
