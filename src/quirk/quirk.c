/* SPDX-License-Identifier: BSD-2-Clause */
/* The memory of a quirk, and what it says of itself. */
#include "quirk/quirk.h"

#include <stdlib.h>

struct bk__quirk_chunk {
	struct bk__quirk_chunk *next;
	void *block;
};

void *bk__quirk_keep(struct bk_quirk *quirk, void *block)
{
	struct bk__quirk_chunk *chunk = block ? malloc(sizeof(*chunk)) : NULL;

	if (!chunk) {
		free(block);
		return NULL;
	}
	*chunk = (struct bk__quirk_chunk){ quirk->memory, block };
	quirk->memory = chunk;
	return block;
}

void *bk__quirk_alloc(struct bk_quirk *quirk, size_t size)
{
	return bk__quirk_keep(quirk, calloc(1, size));
}

struct bk_quirk *bk__quirk_hold(struct bk_quirk *quirk)
{
	__atomic_fetch_add(&quirk->references, 1, __ATOMIC_RELAXED);
	return quirk;
}

void bk_quirk_destroy(struct bk_quirk *quirk)
{
	struct bk__quirk_chunk *chunk;

	if (!quirk || __atomic_sub_fetch(&quirk->references, 1, __ATOMIC_ACQ_REL))
		return;
	while ((chunk = quirk->memory)) {
		quirk->memory = chunk->next;
		free(chunk->block);
		free(chunk);
	}
	free(quirk);
}

const char *bk_quirk_name(const struct bk_quirk *quirk)
{
	return quirk->name;
}

const char *bk_quirk_about(const struct bk_quirk *quirk)
{
	return quirk->about;
}

const char *bk_quirk_option(const struct bk_quirk *quirk, unsigned index, const char **about)
{
	if (index >= quirk->option_count)
		return NULL;
	*about = quirk->options[index].about;
	return quirk->options[index].name;
}
