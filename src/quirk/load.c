/* SPDX-License-Identifier: BSD-2-Clause */
/* From YAML to a quirk: the whole file, its options and variables. docs/quirks.md has the format.
 */
#include "quirk/load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_ 31

int bk__quirk_load_text(struct bk__quirk_loader *loader, const char *text, const char **copy)
{
	char *kept = bk__quirk_alloc(loader->quirk, strlen(text) + 1);

	if (!kept)
		return bk__yaml_no_memory(loader->yaml, loader->err);
	strcpy(kept, text);
	*copy = kept;
	return 0;
}

/* For people, in one line: C0, DEL and C1, which is two bytes in UTF-8, would do things to a terminal. */
static int load_about(struct bk__quirk_loader *loader, const struct bk__yaml_node *map, const char **about)
{
	const struct bk__yaml_node *node = bk__yaml_get(map, "about");

	for (const unsigned char *c = (const unsigned char *)node->text; *c; c++)
		if (*c < ' ' || *c == 0x7f || (*c == 0xc2 && c[1] < 0xa0))
			return BK__FAIL(node, "about is one line, without control characters");
	return bk__quirk_load_text(loader, node->text, about);
}

/* ---- Options and variables --------------------------------------------- */

static int check_name(struct bk__quirk_loader *loader, const struct bk__yaml_node *key)
{
	const struct bk_quirk *quirk = loader->quirk;
	const char *name = key->text;

	if (strlen(name) > NAME_MAX_ || *name < 'a' || *name > 'z' ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(name))
		return BK__FAIL(key,
				"a name has small letters, digits and _, begins with a letter, and has at "
				"most %d characters",
				NAME_MAX_);
	if (bk__quirk_name_is_taken(name))
		return BK__FAIL(key, "\"%s\" means something in expressions; choose another name", name);
	for (unsigned i = 0; i < quirk->option_count; i++)
		if (!strcmp(quirk->options[i].name, name))
			return BK__FAIL(key, "\"%s\" is an option already; choose another name", name);
	return 0;
}

struct option_fields {
	const char *about;
	uint64_t value;
	const struct bk__yaml_node *valid;
};

static int load_option(struct bk__quirk_loader *loader, const struct bk__yaml_node *node)
{
	static const struct bk__yaml_field fields[] = {
		{ "about", BK__YAML_TEXT, offsetof(struct option_fields, about), true, 1, 500, NULL },
		{ "default", BK__YAML_NUMBER, offsetof(struct option_fields, value), false, 0, UINT64_MAX,
		  NULL },
		{ "valid", BK__YAML_NODE, offsetof(struct option_fields, valid), false, 0, 0, NULL },
		{ 0 },
	};
	struct bk_quirk *quirk = loader->quirk;
	struct bk__quirk_option *option = &quirk->options[quirk->option_count];
	struct option_fields read = { 0 };
	int r = check_name(loader, node->key);

	if (!r && node->kind != BK__YAML_MAP)
		r = BK__FAIL(node, "an option is a map with about, and perhaps default and valid");
	if (!r)
		r = bk__yaml_read(loader->yaml, node, "an option", fields, &read, loader->err);
	if (!r)
		r = bk__quirk_load_text(loader, node->key->text, &option->name);
	if (!r)
		r = load_about(loader, node, &option->about);
	if (r)
		return r;
	option->has_default = bk__yaml_get(node, "default");
	option->value = read.value;
	quirk->option_names[quirk->option_count++] = option->name;
	return read.valid ? bk__quirk_load_number(loader, read.valid, BK__PART_OPTION, &option->valid) : 0;
}

static int load_options(struct bk__quirk_loader *loader, const struct bk__yaml_node *node)
{
	int r = 0;

	if (node->count > BK__OPTIONS)
		return BK__FAIL(node, "at most %u options", BK__OPTIONS);
	for (node = node->first; node && !r; node = node->next)
		r = load_option(loader, node);
	return r;
}

static int load_variables(struct bk__quirk_loader *loader, const struct bk__yaml_node *node)
{
	struct bk_quirk *quirk = loader->quirk;
	int r = 0;

	if (node->count > BK__VARIABLES)
		return BK__FAIL(node, "at most %u variables", BK__VARIABLES);
	for (node = node->first; node && !r; node = node->next) {
		const unsigned i = quirk->variable_count;

		r = check_name(loader, node->key);
		if (!r)
			r = bk__quirk_load_text(loader, node->key->text, &quirk->variables[i]);
		if (!r)
			r = bk__quirk_load_number(loader, node, BK__PART_START, &quirk->start[i]);
		quirk->variable_count += !r;
	}
	return r;
}

/* ---- The whole --------------------------------------------------------- */

struct top_fields {
	const char *name, *about;
	const struct bk__yaml_node *match, *options, *variables, *config, *rom, *traps, *reset;
};

#define AT(member) offsetof(struct top_fields, member)
static const struct bk__yaml_field top_fields[] = {
	{ "quirk", BK__YAML_TEXT, AT(name), true, 1, NAME_MAX_, NULL },
	{ "about", BK__YAML_TEXT, AT(about), true, 1, 500, NULL },
	{ "match", BK__YAML_MAP_OF, AT(match), true, 0, 0, NULL },
	{ "options", BK__YAML_MAP_OF, AT(options), false, 0, 0, NULL },
	{ "variables", BK__YAML_MAP_OF, AT(variables), false, 0, 0, NULL },
	{ "config", BK__YAML_NODES_OF, AT(config), false, 1, BK__QUIRK_EDITS, NULL },
	{ "rom", BK__YAML_MAP_OF, AT(rom), false, 0, 0, NULL },
	{ "traps", BK__YAML_NODES_OF, AT(traps), false, 1, BK__QUIRK_RULES, NULL },
	{ "reset", BK__YAML_MAP_OF, AT(reset), false, 0, 0, NULL },
	{ 0 },
};
#undef AT

static int load_top(struct bk__quirk_loader *loader)
{
	const struct bk__yaml_node *root = bk__yaml_root(loader->yaml);
	struct top_fields top = { 0 };
	int r;

	if (root->kind != BK__YAML_MAP)
		return BK__FAIL(root, "a quirk file is a map with quirk, about, match, and what it does");
	r = bk__yaml_read(loader->yaml, root, "a quirk", top_fields, &top, loader->err);
	if (r)
		return r;
	if (strspn(top.name, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(top.name))
		return BK__FAIL(bk__yaml_get(root, "quirk"),
				"a quirk's name has small letters, digits and -");
	if (!top.config && !top.rom && !top.traps && !top.reset)
		return BK__FAIL(root, "this quirk does nothing: give it config, rom, traps or reset");
	r = bk__quirk_load_text(loader, top.name, &loader->quirk->name);
	if (!r)
		r = load_about(loader, root, &loader->quirk->about);
	/* Names before those who use them. */
	if (!r && top.options)
		r = load_options(loader, top.options);
	if (!r && top.variables)
		r = load_variables(loader, top.variables);
	if (!r)
		r = bk__quirk_load_match(loader, top.match);
	if (!r && top.config)
		r = bk__quirk_load_edits(loader, top.config);
	if (!r && top.rom)
		r = bk__quirk_load_rom(loader, top.rom);
	if (!r && top.traps)
		r = bk__quirk_load_traps(loader, top.traps);
	if (!r && top.reset)
		r = bk__quirk_load_reset(loader, top.reset);
	return r;
}

/* Takes the tree. */
static int load(const char *name, struct bk__yaml *yaml, struct bk_quirk **out, struct bk_error *err)
{
	struct bk__quirk_loader loader = { .quirk = calloc(1, sizeof(*loader.quirk)),
					   .yaml = yaml,
					   .err = err };
	int r = loader.quirk ? 0 : bk__yaml_no_memory(yaml, err);

	if (!r) {
		loader.quirk->references = 1;
		r = bk__quirk_load_text(&loader, name, &loader.quirk->file);
	}
	if (!r)
		r = load_top(&loader);
	bk__yaml_free(yaml);
	if (r)
		bk_quirk_destroy(loader.quirk);
	else
		*out = loader.quirk;
	return r;
}

int bk_quirk_load(const char *file, struct bk_quirk **quirk, struct bk_error *err)
{
	struct bk__yaml *yaml;
	int r = bk__yaml_load(file, &yaml, err);

	*quirk = NULL;
	return r ? r : load(file, yaml, quirk, err);
}

int bk_quirk_parse(const char *name, const char *text, size_t length, struct bk_quirk **quirk,
		   struct bk_error *err)
{
	struct bk__yaml *yaml;
	int r = bk__yaml_parse(name, text, length, &yaml, err);

	*quirk = NULL;
	return r ? r : load(name, yaml, quirk, err);
}
