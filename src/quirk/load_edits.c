/* SPDX-License-Identifier: BSD-2-Clause */
/* From YAML: what is shown differently of config space and ROM, and how the device is reset. */
#include "quirk/load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/number.h"
#include "pci/rom_image.h"

/* ---- Config space ------------------------------------------------------ */

struct edit_fields {
	const char *verb[3]; /* by enum bk__quirk_edit_kind */
	bool extended;
	uint64_t size, version;
	const struct bk__yaml_node *at, *when, *set;
};

static const char *const verbs[] = { "insert", "drop", "edit" };

/* A capability's name or id; for an edit also the header. */
static int load_capability(struct bk__quirk_loader *loader, const struct bk__yaml_node *node,
			   struct bk__quirk_edit *edit)
{
	uint64_t id;

	edit->id = bk__quirk_cap_id(node->text, strlen(node->text), edit->extended);
	if (edit->id >= 0)
		return 0;
	if (edit->kind == BK__EDIT_BYTES && !strcmp(node->text, "header"))
		return 0; /* -1 */
	if (!bk__base_number(node->text, &id) || id > (edit->extended ? 0xffff : 0xff))
		return BK__FAIL(node, "here must be the name or the id of %s capability%s",
				edit->extended ? "an extended" : "a",
				edit->kind == BK__EDIT_BYTES ? ", or header" : "");
	edit->id = (int)id;
	return 0;
}

static int check_edit(struct bk__quirk_loader *loader, const struct bk__yaml_node *node,
		      struct bk__quirk_edit *edit)
{
	static const struct {
		const char *key;
		unsigned kinds; /* that have it */
		bool needed;
	} rules[] = {
		{ "at", 1 << BK__EDIT_INSERT, true },
		{ "size", 1 << BK__EDIT_INSERT, true },
		{ "version", 1 << BK__EDIT_INSERT, false },
		{ "set", 1 << BK__EDIT_INSERT | 1 << BK__EDIT_BYTES, true },
	};
	const unsigned least = edit->extended ? 4 : 2;

	for (unsigned i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const struct bk__yaml_node *value = bk__yaml_get(node, rules[i].key);
		const bool has = rules[i].kinds >> edit->kind & 1;

		if (value && !has)
			return BK__FAIL(value->key, "\"%s\" has no meaning for %s; remove it", rules[i].key,
					verbs[edit->kind]);
		if (!value && has && rules[i].needed)
			return BK__FAIL(node, "%s needs \"%s\"", verbs[edit->kind], rules[i].key);
	}
	if (edit->kind == BK__EDIT_INSERT && edit->size <= least)
		return BK__FAIL(bk__yaml_get(node, "size"),
				"a capability has more than %u bytes: id and next pointer count", least);
	if (edit->kind == BK__EDIT_INSERT && edit->size > (edit->extended ? 0xf00 : 0xc0))
		return BK__FAIL(bk__yaml_get(node, "size"), "a capability of that size fits nowhere");
	if (edit->version && !edit->extended)
		return BK__FAIL(bk__yaml_get(node, "version"), "only extended capabilities have a version");
	return 0;
}

static int load_edit(struct bk__quirk_loader *loader, const struct bk__yaml_node *node,
		     struct bk__quirk_edit *edit)
{
#define AT(member) offsetof(struct edit_fields, member)
	static const struct bk__yaml_field fields[] = {
		{ "insert", BK__YAML_TEXT, AT(verb[0]), false, 1, 31, NULL },
		{ "drop", BK__YAML_TEXT, AT(verb[1]), false, 1, 31, NULL },
		{ "edit", BK__YAML_TEXT, AT(verb[2]), false, 1, 31, NULL },
		{ "extended", BK__YAML_BOOL, AT(extended), false, 0, 0, NULL },
		{ "at", BK__YAML_NODE, AT(at), false, 0, 0, NULL },
		{ "size", BK__YAML_NUMBER, AT(size), false, 1, 4096, NULL },
		{ "version", BK__YAML_NUMBER, AT(version), false, 1, 15, NULL },
		{ "when", BK__YAML_NODE, AT(when), false, 0, 0, NULL },
		{ "set", BK__YAML_NODE, AT(set), false, 0, 0, NULL },
		{ 0 },
	};
#undef AT
	struct edit_fields read = { .at = NULL };
	unsigned given = 0;
	int r;

	if (node->kind != BK__YAML_MAP)
		return BK__FAIL(node, "an edit of config space is a map with insert, drop or edit");
	r = bk__yaml_read(loader->yaml, node, "an edit of config space", fields, &read, loader->err);
	for (unsigned i = 0; !r && i < 3; i++) {
		if (!read.verb[i])
			continue;
		edit->kind = (enum bk__quirk_edit_kind)i;
		given++;
	}
	if (!r && given != 1)
		return BK__FAIL(node, "here must be one of insert, drop and edit");
	edit->extended = read.extended;
	edit->size = (unsigned)read.size;
	edit->version = (unsigned)read.version;
	edit->line = node->line;
	if (!r)
		r = load_capability(loader, bk__yaml_get(node, verbs[edit->kind]), edit);
	if (!r)
		r = check_edit(loader, node, edit);
	if (!r && read.at)
		r = bk__quirk_load_items(loader, read.at, BK__PART_EDIT, &edit->at);
	for (unsigned i = 0; i < edit->at.count && !r; i++)
		if (bk__quirk_item_is_action(edit->at.list[i]))
			r = BK__FAIL(read.at, "here must be numbers: offsets in config space");
	if (!r && read.when)
		r = bk__quirk_load_number(loader, read.when, BK__PART_EDIT, &edit->when);
	if (!r && read.set)
		r = bk__quirk_load_actions(loader, read.set, BK__PART_EDIT, "in an edit", &edit->set);
	return r;
}

int bk__quirk_load_edits(struct bk__quirk_loader *loader, const struct bk__yaml_node *node)
{
	struct bk_quirk *quirk = loader->quirk;
	int r = 0;

	quirk->edits = bk__quirk_alloc(quirk, node->count * sizeof(*quirk->edits));
	if (!quirk->edits)
		return bk__yaml_no_memory(loader->yaml, loader->err);
	for (node = node->first; node && !r; node = node->next)
		r = load_edit(loader, node, &quirk->edits[quirk->edit_count++]);
	return r;
}

/* ---- ROM --------------------------------------------------------------- */

static int load_image(struct bk__quirk_loader *loader, const struct bk__yaml_node *node)
{
	struct bk__quirk_rom_edit *rom = loader->quirk->rom;
	struct bk_error why;
	size_t size;
	char *bytes;
	int r = bk__base_file_read_beside("the ROM's file", loader->quirk->file, node->text,
					  BK__QUIRK_ROM_MAX, &bytes, &size, &why);

	if (r == -ENOMEM)
		return bk__yaml_no_memory(loader->yaml, loader->err);
	if (r)
		return BK__FAIL(node, "%s", why.text);
	if (!size)
		r = BK__FAIL(node, "the ROM's file \"%.100s\" is empty", node->text);
	else if (bk__pci_rom_check(bytes, size, &why))
		r = BK__FAIL(node, "the ROM's file \"%.100s\": %s", node->text, why.text);
	else if (!(rom->image = bk__quirk_alloc(loader->quirk, size)))
		r = bk__yaml_no_memory(loader->yaml, loader->err);
	else
		memcpy(rom->image, bytes, size);
	rom->size = size;
	free(bytes);
	return r;
}

struct rom_fields {
	bool hide;
	const char *file;
	uint64_t checksum;
	const struct bk__yaml_node *when, *set;
};

int bk__quirk_load_rom(struct bk__quirk_loader *loader, const struct bk__yaml_node *node)
{
#define AT(member) offsetof(struct rom_fields, member)
	static const struct bk__yaml_field fields[] = {
		{ "hide", BK__YAML_BOOL, AT(hide), false, 0, 0, NULL },
		{ "file", BK__YAML_TEXT, AT(file), false, 1, 255, NULL },
		{ "when", BK__YAML_NODE, AT(when), false, 0, 0, NULL },
		{ "set", BK__YAML_NODE, AT(set), false, 0, 0, NULL },
		{ "checksum", BK__YAML_NUMBER, AT(checksum), false, 0, 511, NULL },
		{ 0 },
	};
#undef AT
	struct bk_quirk *quirk = loader->quirk;
	struct rom_fields read = { 0 };
	int r = bk__yaml_read(loader->yaml, node, "a ROM", fields, &read, loader->err);

	if (r)
		return r;
	if (!read.hide == !(read.file || read.set))
		return BK__FAIL(node, "a ROM has either hide: true, or file or set or both");
	quirk->rom = bk__quirk_alloc(quirk, sizeof(*quirk->rom));
	if (!quirk->rom)
		return bk__yaml_no_memory(loader->yaml, loader->err);
	quirk->rom->hide = read.hide;
	quirk->rom->checksum = bk__yaml_get(node, "checksum") ? (int)read.checksum : -1;
	if (read.file)
		r = load_image(loader, bk__yaml_get(node, "file"));
	if (!r && read.when)
		r = bk__quirk_load_number(loader, read.when, BK__PART_ROM, &quirk->rom->when);
	if (!r && read.set)
		r = bk__quirk_load_actions(loader, read.set, BK__PART_ROM, "in an edit", &quirk->rom->set);
	return r;
}

/* ---- Reset ------------------------------------------------------------- */

struct step_fields {
	const struct bk__yaml_node *when, *what, *require, *poll;
	uint64_t delay, timeout, every;
	bool go_on;
};

static int load_step_map(struct bk__quirk_loader *loader, const struct bk__yaml_node *node,
			 struct bk__quirk_step *step)
{
#define AT(member) offsetof(struct step_fields, member)
	static const struct bk__yaml_field fields[] = {
		{ "when", BK__YAML_NODE, AT(when), false, 0, 0, NULL },
		{ "do", BK__YAML_NODE, AT(what), false, 0, 0, NULL },
		{ "require", BK__YAML_NODE, AT(require), false, 0, 0, NULL },
		{ "poll", BK__YAML_NODE, AT(poll), false, 0, 0, NULL },
		{ "delay", BK__YAML_NUMBER, AT(delay), false, 1, BK__QUIRK_WAIT, NULL },
		{ "timeout", BK__YAML_NUMBER, AT(timeout), false, 1, BK__QUIRK_WAIT, NULL },
		{ "every", BK__YAML_NUMBER, AT(every), false, 1, BK__QUIRK_WAIT, NULL },
		{ "go-on", BK__YAML_BOOL, AT(go_on), false, 0, 0, NULL },
		{ 0 },
	};
#undef AT
	struct step_fields read = { .every = 1 };
	int r = bk__yaml_read(loader->yaml, node, "a step", fields, &read, loader->err);

	if (r)
		return r;
	if (!!read.what + !!read.require + !!read.poll + !!read.delay != 1)
		return BK__FAIL(node, "a step has one of do, require, delay and poll");
	if (!read.poll != !read.timeout)
		return BK__FAIL(node, "poll and timeout belong together");
	if (!read.poll && (bk__yaml_get(node, "every") || bk__yaml_get(node, "go-on")))
		return BK__FAIL(node, "every and go-on belong to poll");
	step->kind = read.what      ? BK__STEP_DO
		     : read.require ? BK__STEP_REQUIRE
		     : read.poll    ? BK__STEP_POLL
				    : BK__STEP_DELAY;
	step->wait = read.poll ? read.timeout : read.delay;
	step->every = read.every;
	step->go_on = read.go_on;
	loader->wait += step->wait;
	if (loader->wait > BK__QUIRK_WAIT)
		return BK__FAIL(node, "this reset may take longer than %u microseconds in all",
				BK__QUIRK_WAIT);
	if (read.when)
		r = bk__quirk_load_number(loader, read.when, BK__PART_RESET, &step->when);
	if (!r && (read.require || read.poll))
		r = bk__quirk_load_number(loader, read.require ? read.require : read.poll, BK__PART_RESET,
					  &step->test);
	return r ? r : read.what ? bk__quirk_load_items(loader, read.what, BK__PART_RESET, &step->what) : 0;
}

int bk__quirk_load_reset(struct bk__quirk_loader *loader, const struct bk__yaml_node *node)
{
	struct {
		const struct bk__yaml_node *steps;
		bool always;
	} read = { 0 };
	static const struct bk__yaml_field fields[] = {
		{ "steps", BK__YAML_NODES_OF, 0, true, 1, BK__QUIRK_STEPS, NULL },
		{ "always", BK__YAML_BOOL, sizeof(void *), false, 0, 0, NULL },
		{ 0 },
	};
	struct bk_quirk *quirk = loader->quirk;
	int r = bk__yaml_read(loader->yaml, node, "a reset", fields, &read, loader->err);

	if (r)
		return r;
	quirk->reset_always = read.always;
	quirk->steps = bk__quirk_alloc(quirk, read.steps->count * sizeof(*quirk->steps));
	if (!quirk->steps)
		return bk__yaml_no_memory(loader->yaml, loader->err);
	for (node = read.steps->first; node && !r; node = node->next) {
		struct bk__quirk_step *step = &quirk->steps[quirk->step_count++];

		step->line = node->line;
		if (node->kind == BK__YAML_MAP)
			r = load_step_map(loader, node, step);
		else if (node->kind == BK__YAML_LIST)
			r = BK__FAIL(node, "a step is an expression, or a map; several are do: [...]");
		else /* a read is a step, too: it makes sure that a write has arrived */
			r = bk__quirk_load_items(loader, node, BK__PART_RESET, &step->what);
	}
	return r;
}
