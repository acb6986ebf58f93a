/* SPDX-License-Identifier: BSD-2-Clause */
/* A sorted table of disjoint DMA maps. Ranges are compared by their last byte, so 2^64 fits. */
#include "device/dma_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The first map that ends at or after `iova`. */
static unsigned position(const struct bk__device_dma_table *table, uint64_t iova)
{
	unsigned low = 0, high = table->count;

	while (low < high) {
		unsigned middle = (low + high) / 2;
		const struct bk_device_dma *dma = &table->maps[middle].dma;

		if (dma->iova + (dma->size - 1) < iova)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct bk__device_dma_map *bk__device_dma_table_find(struct bk__device_dma_table *table, uint64_t iova,
						     uint64_t size)
{
	unsigned at = position(table, iova);

	if (at == table->count || table->maps[at].dma.iova != iova || table->maps[at].dma.size != size)
		return NULL;
	return &table->maps[at];
}

int bk__device_dma_table_add(struct bk__device_dma_table *table, const struct bk_device_dma *dma)
{
	uint64_t last = dma->iova + (dma->size - 1);
	unsigned at;

	if (!dma->size || last < dma->iova)
		return -EINVAL;
	at = position(table, dma->iova);
	if (at < table->count && table->maps[at].dma.iova <= last)
		return -EEXIST;
	if (table->count == table->room) {
		unsigned room = table->room ? 2 * table->room : 16;
		struct bk__device_dma_map *maps = realloc(table->maps, room * sizeof(*maps));

		if (!maps)
			return -ENOMEM;
		table->maps = maps;
		table->room = room;
	}
	memmove(&table->maps[at + 1], &table->maps[at], (table->count - at) * sizeof(*table->maps));
	table->maps[at] = (struct bk__device_dma_map){ .dma = *dma, .uses = 1 };
	table->count++;
	return 0;
}

void bk__device_dma_table_remove(struct bk__device_dma_table *table, struct bk__device_dma_map *map)
{
	unsigned at = (unsigned)(map - table->maps);

	table->count--;
	memmove(map, map + 1, (table->count - at) * sizeof(*map));
}

void bk__device_dma_table_free(struct bk__device_dma_table *table)
{
	free(table->maps);
	*table = (struct bk__device_dma_table){ 0 };
}
