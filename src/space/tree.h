/* SPDX-License-Identifier: BSD-2-Clause */
/* A search tree of nodes that live in what they index: a treap, so that it needs no allocation. */
#ifndef BARKEEP_SPACE_TREE_H
#define BARKEEP_SPACE_TREE_H

#include <stdint.h>

struct bk__space_node {
	struct bk__space_node *left, *right;
	uint32_t weight; /* random: a parent's is never below its children's */
};

struct bk__space_tree {
	struct bk__space_node *root;
	/* A total order. */
	int (*compare)(const struct bk__space_node *a, const struct bk__space_node *b);
	/* Recomputes what a node knows of its subtree from its children. May be NULL. */
	void (*refresh)(struct bk__space_node *node);
};

/* The node's key must not change while it is in the tree. */
void bk__space_tree_insert(struct bk__space_tree *tree, struct bk__space_node *node);
void bk__space_tree_remove(struct bk__space_tree *tree, struct bk__space_node *node);

#endif
