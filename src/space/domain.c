/* SPDX-License-Identifier: BSD-2-Clause */
/* Creates and destroys domains. */
#include "space/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct bk_domain *bk_domain_create(void)
{
	struct bk_domain *domain;
	void *memory;

	if (posix_memalign(&memory, 64, sizeof(*domain)))
		return NULL;
	domain = memory;
	memset(domain, 0, sizeof(*domain));
	domain->leaf_spans = BK__LEAF_SPANS;
	bk__space_lock_init(domain);
	bk__space_retired_init(domain);
	if (bk__space_reader_init() || bk__space_reclaim_start(domain)) {
		pthread_mutex_destroy(&domain->commit_lock);
		free(domain);
		return NULL;
	}
	return domain;
}

int bk_domain_destroy(struct bk_domain *domain)
{
	int error;

	if (bk__space_read_ongoing() || bk__space_is_reclaimer(domain))
		return -EDEADLK;
	error = bk__space_lock(domain);
	if (error)
		return error;
	if (domain->space_count)
		error = -EBUSY;
	bk__space_unlock(domain);
	if (error)
		return error;
	bk__space_reclaim_stop(domain);
	bk__space_retired_end(domain);
	bk__space_store_destroy(domain);
	pthread_mutex_destroy(&domain->commit_lock);
	free(domain->items.at);
	free(domain->heap.at);
	free(domain->pieces.at);
	free(domain->gathered.at);
	free(domain->firsts.at);
	free(domain->made_spans.at);
	free(domain->retired_spans.at);
	free(domain->made_leaves.at);
	free(domain->retired_leaves.at);
	free(domain->made_rows.at);
	free(domain->retired_rows.at);
	free(domain);
	return 0;
}
