/* SPDX-License-Identifier: BSD-2-Clause */
/* A domain: the commit lock, the published snapshot and the slots in it. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int bk__lock(struct bk_domain *domain)
{
	return -pthread_mutex_lock(&domain->commit_lock);
}

void bk__unlock(struct bk_domain *domain)
{
	pthread_mutex_unlock(&domain->commit_lock);
}

struct bk_domain *bk_domain_create(void)
{
	pthread_mutexattr_t attributes;
	struct bk_domain *domain;
	void *memory;

	if (posix_memalign(&memory, 64, sizeof(*domain)))
		return NULL;
	domain = memory;
	memset(domain, 0, sizeof(*domain));
	domain->snapshot = bk__snapshot_alloc(8);
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&domain->commit_lock, &attributes);
	pthread_mutexattr_destroy(&attributes);
	if (!domain->snapshot || bk__reader_init() || bk__reclaim_start(domain)) {
		pthread_mutex_destroy(&domain->commit_lock);
		free(domain->snapshot);
		free(domain);
		return NULL;
	}
	return domain;
}

int bk_domain_destroy(struct bk_domain *domain)
{
	int error;

	if (bk__read_ongoing() || bk__is_reclaimer(domain))
		return -EDEADLK;
	error = bk__lock(domain);
	if (error)
		return error;
	if (domain->space_count)
		error = -EBUSY;
	bk__unlock(domain);
	if (error)
		return error;
	bk__reclaim_stop(domain);
	bk__store_destroy(domain);
	pthread_mutex_destroy(&domain->commit_lock);
	free(domain->snapshot);
	free(domain->free_slots.at);
	free(domain->items.at);
	free(domain->heap.at);
	free(domain->pieces.at);
	free(domain->born.at);
	free(domain->died.at);
	free(domain);
	return 0;
}

static void bury_snapshot(struct bk_domain *domain, struct bk__grave *grave)
{
	free(bk__container(grave, struct bk__snapshot, grave));
}

int bk__slot_take(struct bk_domain *domain, size_t *slot)
{
	struct bk__snapshot *old = domain->snapshot, *new;

	/* So that giving it back cannot fail. */
	if (bk__grow((void **)&domain->free_slots.at, &domain->free_slots.capacity, domain->slots_used + 1,
		     sizeof(size_t)))
		return -ENOMEM;
	if (domain->free_slots.count) {
		*slot = domain->free_slots.at[--domain->free_slots.count];
	} else {
		if (domain->slots_used == old->capacity) {
			new = bk__snapshot_alloc(old->capacity * 2);
			if (!new)
				return -ENOMEM;
			memcpy(new->views, old->views, old->capacity * sizeof(new->views[0]));
			bk__publish(domain->snapshot, new);
			old->grave.bury = bury_snapshot;
			bk__dig(domain, &old->grave, sizeof(*old), false);
		}
		*slot = domain->slots_used++;
	}
	bk__publish(domain->snapshot->views[*slot], &bk__empty_view);
	return 0;
}

void bk__slot_give(struct bk_domain *domain, size_t slot)
{
	domain->free_slots.at[domain->free_slots.count++] = slot;
}
