/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files that turn YAML into a quirk share. */
#ifndef BARKEEP_QUIRK_LOAD_H
#define BARKEEP_QUIRK_LOAD_H

#include "base/yaml.h"
#include "quirk/quirk.h"

struct bk__quirk_loader {
	struct bk_quirk *quirk;
	const struct bk__yaml *yaml;
	struct bk_error *err;
	uint64_t wait; /* of the reset's steps so far */
};

#define BK__FAIL(node, ...) bk__yaml_fail(loader->yaml, node, loader->err, __VA_ARGS__)

/* What an item of each part of a file may use. */
enum bk__quirk_part {
	BK__PART_OPTION,
	BK__PART_MATCH,
	BK__PART_START,
	BK__PART_EDIT,
	BK__PART_ROM,
	BK__PART_PLACE,
	BK__PART_TRAP,
	BK__PART_RESET
};

/* All return 0, or a negative errno with the line. */
int bk__quirk_load_text(struct bk__quirk_loader *loader, const char *text, const char **copy);
int bk__quirk_load_number(struct bk__quirk_loader *loader, const struct bk__yaml_node *node,
			  enum bk__quirk_part part, struct bk__quirk_item **item);
/* `length` bytes of a scalar from `from` on. */
int bk__quirk_load_part(struct bk__quirk_loader *loader, const struct bk__yaml_node *node, size_t from,
			size_t length, enum bk__quirk_part part, struct bk__quirk_item **item);
/* A scalar or a list of them. */
int bk__quirk_load_items(struct bk__quirk_loader *loader, const struct bk__yaml_node *node,
			 enum bk__quirk_part part, struct bk__quirk_items *items);
/* The same, where each must do something; `what` is where. */
int bk__quirk_load_actions(struct bk__quirk_loader *loader, const struct bk__yaml_node *node,
			   enum bk__quirk_part part, const char *what, struct bk__quirk_items *items);

int bk__quirk_load_match(struct bk__quirk_loader *loader, const struct bk__yaml_node *node);
int bk__quirk_load_traps(struct bk__quirk_loader *loader, const struct bk__yaml_node *node);
int bk__quirk_load_edits(struct bk__quirk_loader *loader, const struct bk__yaml_node *node);
int bk__quirk_load_rom(struct bk__quirk_loader *loader, const struct bk__yaml_node *node);
int bk__quirk_load_reset(struct bk__quirk_loader *loader, const struct bk__yaml_node *node);

#endif
