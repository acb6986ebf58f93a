/* SPDX-License-Identifier: BSD-2-Clause */
/* A sorted table of disjoint DMA maps. Ranges are compared by their last byte, so 2^64 fits. */
#include "device/dma_table.h"

#include <errno.h>
#include <stdlib.h>

static int ends_before(const void *element, const void *key)
{
	const struct bk_device_dma *dma = &((const struct bk__device_dma_map *)element)->dma;

	return dma->iova + (dma->size - 1) < *(const uint64_t *)key;
}

/* The first map that ends at or after `iova`. */
static size_t position(const struct bk__device_dma_table *table, uint64_t iova)
{
	return bk__array_search(table->maps.at, table->maps.count, sizeof(*table->maps.at), &iova,
				ends_before);
}

struct bk__device_dma_map *bk__device_dma_table_find(struct bk__device_dma_table *table, uint64_t iova,
						     uint64_t size)
{
	struct bk__device_dma_map *map = table->maps.at + position(table, iova);

	if (map == table->maps.at + table->maps.count || map->dma.iova != iova || map->dma.size != size)
		return NULL;
	return map;
}

const struct bk__device_dma_map *bk__device_dma_table_at(const struct bk__device_dma_table *table,
							 uint64_t iova)
{
	const size_t at = position(table, iova);

	return at < table->maps.count && table->maps.at[at].dma.iova <= iova ? &table->maps.at[at] : NULL;
}

int bk__device_dma_table_add(struct bk__device_dma_table *table, const struct bk_device_dma *dma)
{
	uint64_t last = dma->iova + (dma->size - 1);
	size_t at;

	if (!dma->size || last < dma->iova)
		return -EINVAL;
	at = position(table, dma->iova);
	if (at < table->maps.count && table->maps.at[at].dma.iova <= last)
		return -EEXIST;
	if (bk__array_reserve(&table->maps, 1))
		return -ENOMEM;
	bk__array_insert(&table->maps, at, ((struct bk__device_dma_map){ .dma = *dma, .uses = 1 }));
	return 0;
}

void bk__device_dma_table_remove(struct bk__device_dma_table *table, struct bk__device_dma_map *map)
{
	bk__array_remove(&table->maps, (size_t)(map - table->maps.at));
}

void bk__device_dma_table_free(struct bk__device_dma_table *table)
{
	free(table->maps.at);
	*table = (struct bk__device_dma_table){ 0 };
}
