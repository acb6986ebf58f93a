/* SPDX-License-Identifier: BSD-2-Clause */
/* A sorted table of disjoint DMA maps: one for the container, one for each device that uses it. */
#ifndef BARKEEP_DEVICE_DMA_TABLE_H
#define BARKEEP_DEVICE_DMA_TABLE_H

#include <barkeep/device.h>

#include "base/array.h"

struct bk__device_dma_map {
	struct bk_device_dma dma;
	unsigned uses; /* the devices that asked for it */
};

struct bk__device_dma_table {
	BK__ARRAY(struct bk__device_dma_map) maps; /* ascending, disjoint */
};

/* The map of exactly this range, or NULL. */
struct bk__device_dma_map *bk__device_dma_table_find(struct bk__device_dma_table *table, uint64_t iova,
						     uint64_t size);

/* The map that has this address, or NULL. */
const struct bk__device_dma_map *bk__device_dma_table_at(const struct bk__device_dma_table *table,
							 uint64_t iova);

/* Adds a map with one use. -EEXIST when it overlaps another, -EINVAL when it is empty or wraps, -ENOMEM. */
int bk__device_dma_table_add(struct bk__device_dma_table *table, const struct bk_device_dma *dma);

/* `map` is one of the table's own. */
void bk__device_dma_table_remove(struct bk__device_dma_table *table, struct bk__device_dma_map *map);

void bk__device_dma_table_free(struct bk__device_dma_table *table);

#endif
