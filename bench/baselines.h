/* SPDX-License-Identifier: BSD-2-Clause */
/* Other ways to find who answers an address, as they are used elsewhere; fixed at the time they are made. */
#ifndef BENCH_BASELINES_H
#define BENCH_BASELINES_H

#include <stddef.h>
#include <stdint.h>

#include <barkeep/space.h>

struct baseline_region {
	uint64_t first, last;
	int (*read)(void *opaque, uint64_t offset, unsigned width, uint64_t *value);
	void *opaque;
};

struct baselines;

/* Regions in address order, apart from each other. */
struct baselines *baselines_create(const struct baseline_region *regions, size_t count);
void baselines_destroy(struct baselines *b);

/* A sorted array with a branch-free search and no protection whatever: a lower bound for searches. */
int baseline_array(struct baselines *b, uint64_t address, unsigned width, uint64_t *value);
/* A red-black tree under a read-write lock that is held over the handler, with
 * the region that the thread used last as a hint. */
int baseline_tree_rwlock(struct baselines *b, uint64_t address, unsigned width, uint64_t *value);
/* A sorted map under one mutex. */
int baseline_map_mutex(struct baselines *b, uint64_t address, unsigned width, uint64_t *value);
/* Always the same region: what is left is an indirect call. */
int baseline_call(struct baselines *b, uint64_t address, unsigned width, uint64_t *value);

#endif
