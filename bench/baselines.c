/* SPDX-License-Identifier: BSD-2-Clause */
/* What dispatch is compared with. */
#include "baselines.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct node {
	struct node *left, *right;
	bool red;
	struct baseline_region region;
};

struct baselines {
	pthread_mutex_t mutex;
	pthread_rwlock_t rwlock;
	size_t count;
	struct node *root, *nodes;
	struct baseline_region *regions;
	uint64_t firsts[];
};

static bool is_red(const struct node *node)
{
	return node && node->red;
}

static struct node *rotate_left(struct node *node)
{
	struct node *up = node->right;

	node->right = up->left;
	up->left = node;
	up->red = node->red;
	node->red = true;
	return up;
}

static struct node *rotate_right(struct node *node)
{
	struct node *up = node->left;

	node->left = up->right;
	up->right = node;
	up->red = node->red;
	node->red = true;
	return up;
}

/* A red-black tree whose red links lean to the left. */
static struct node *insert(struct node *node, struct node *new)
{
	if (!node)
		return new;
	if (new->region.first < node->region.first)
		node->left = insert(node->left, new);
	else
		node->right = insert(node->right, new);
	if (is_red(node->right) && !is_red(node->left))
		node = rotate_left(node);
	if (is_red(node->left) && is_red(node->left->left))
		node = rotate_right(node);
	if (is_red(node->left) && is_red(node->right)) {
		node->red = true;
		node->left->red = node->right->red = false;
	}
	return node;
}

struct baselines *baselines_create(const struct baseline_region *regions, size_t count)
{
	struct baselines *b = calloc(1, sizeof(*b) + count * sizeof(b->firsts[0]));

	b->count = count;
	b->regions = calloc(count, sizeof(*regions));
	b->nodes = calloc(count, sizeof(*b->nodes));
	memcpy(b->regions, regions, count * sizeof(*regions));
	for (size_t i = 0; i < count; i++)
		b->firsts[i] = regions[i].first;
	for (size_t i = 0; i < count; i++) {
		b->nodes[i] = (struct node){ .red = true, .region = regions[i] };
		b->root = insert(b->root, &b->nodes[i]);
		b->root->red = false;
	}
	pthread_mutex_init(&b->mutex, NULL);
	pthread_rwlock_init(&b->rwlock, NULL);
	return b;
}

void baselines_destroy(struct baselines *b)
{
	pthread_mutex_destroy(&b->mutex);
	pthread_rwlock_destroy(&b->rwlock);
	free(b->regions);
	free(b->nodes);
	free(b);
}

static inline int answer(const struct baseline_region *region, uint64_t address, unsigned width,
			 uint64_t *value)
{
	if (address - region->first > region->last - region->first || region->last - address < width - 1)
		return -ENXIO;
	return region->read(region->opaque, address - region->first, width, value);
}

/* The last region that begins at or below the address; without a branch that depends on it. */
static inline size_t search(const struct baselines *b, uint64_t address)
{
	const uint64_t *base = b->firsts;
	size_t left = b->count;

	while (left > 1) {
		size_t half = left / 2;

		base = base[half] <= address ? base + half : base;
		left -= half;
	}
	return (size_t)(base - b->firsts);
}

int baseline_array(struct baselines *b, uint64_t address, unsigned width, uint64_t *value)
{
	return answer(&b->regions[search(b, address)], address, width, value);
}

int baseline_tree_rwlock(struct baselines *b, uint64_t address, unsigned width, uint64_t *value)
{
	static __thread const struct baseline_region *hint;
	const struct baseline_region *found = hint;
	int error = -ENXIO;

	pthread_rwlock_rdlock(&b->rwlock);
	if (!found || address < found->first || address > found->last) {
		const struct node *node = b->root;

		while (node && (address < node->region.first || address > node->region.last))
			node = address < node->region.first ? node->left : node->right;
		found = node ? &node->region : NULL;
		hint = found;
	}
	if (found)
		error = answer(found, address, width, value);
	pthread_rwlock_unlock(&b->rwlock);
	return error;
}

int baseline_map_mutex(struct baselines *b, uint64_t address, unsigned width, uint64_t *value)
{
	struct baseline_region region;

	pthread_mutex_lock(&b->mutex);
	region = b->regions[search(b, address)];
	pthread_mutex_unlock(&b->mutex);
	return answer(&region, address, width, value);
}

int baseline_call(struct baselines *b, uint64_t address, unsigned width, uint64_t *value)
{
	return b->regions[0].read(b->regions[0].opaque, address, width, value);
}
