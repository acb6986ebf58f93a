/* SPDX-License-Identifier: BSD-2-Clause */
/* A treap: a search tree by key, a heap by random weight; its depth is logarithmic. */
#include "space/tree.h"

#include <stddef.h>

static void refresh(const struct bk__space_tree *tree, struct bk__space_node *node)
{
	if (tree->refresh)
		tree->refresh(node);
}

/* Cuts a subtree into the nodes before `key` and those after it. */
static void split(const struct bk__space_tree *tree, struct bk__space_node *root,
		  const struct bk__space_node *key, struct bk__space_node **before,
		  struct bk__space_node **after)
{
	if (!root) {
		*before = *after = NULL;
	} else if (tree->compare(root, key) < 0) {
		*before = root;
		split(tree, root->right, key, &root->right, after);
		refresh(tree, root);
	} else {
		*after = root;
		split(tree, root->left, key, before, &root->left);
		refresh(tree, root);
	}
}

static struct bk__space_node *join(const struct bk__space_tree *tree, struct bk__space_node *left,
				   struct bk__space_node *right)
{
	if (!left || !right)
		return left ? left : right;
	if (left->weight >= right->weight) {
		left->right = join(tree, left->right, right);
		refresh(tree, left);
		return left;
	}
	right->left = join(tree, left, right->left);
	refresh(tree, right);
	return right;
}

static struct bk__space_node *insert(const struct bk__space_tree *tree, struct bk__space_node *root,
				     struct bk__space_node *node)
{
	if (!root || node->weight > root->weight) {
		split(tree, root, node, &node->left, &node->right);
		refresh(tree, node);
		return node;
	}
	if (tree->compare(node, root) < 0)
		root->left = insert(tree, root->left, node);
	else
		root->right = insert(tree, root->right, node);
	refresh(tree, root);
	return root;
}

static struct bk__space_node *take_out(const struct bk__space_tree *tree, struct bk__space_node *root,
				       struct bk__space_node *node)
{
	if (root == node)
		return join(tree, node->left, node->right);
	if (tree->compare(node, root) < 0)
		root->left = take_out(tree, root->left, node);
	else
		root->right = take_out(tree, root->right, node);
	refresh(tree, root);
	return root;
}

void bk__space_tree_insert(struct bk__space_tree *tree, struct bk__space_node *node)
{
	tree->root = insert(tree, tree->root, node);
}

void bk__space_tree_remove(struct bk__space_tree *tree, struct bk__space_node *node)
{
	tree->root = take_out(tree, tree->root, node);
}
