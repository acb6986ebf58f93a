/* SPDX-License-Identifier: BSD-2-Clause */
/* A search tree of nodes that live in what they index: a treap, so that it needs no allocation. */
#ifndef BARKEEP_SPACE_TREE_H
#define BARKEEP_SPACE_TREE_H

#include <stdint.h>

struct bk__node {
	struct bk__node *left, *right;
	uint32_t weight; /* random: a parent's is never below its children's */
};

struct bk__tree {
	struct bk__node *root;
	/* A total order. */
	int (*compare)(const struct bk__node *a, const struct bk__node *b);
	/* Recomputes what a node knows of its subtree from its children. May be NULL. */
	void (*refresh)(struct bk__node *node);
};

/* The node's key must not change while it is in the tree. */
void bk__tree_insert(struct bk__tree *tree, struct bk__node *node);
void bk__tree_remove(struct bk__tree *tree, struct bk__node *node);

#endif
