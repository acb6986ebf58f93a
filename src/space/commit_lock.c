/* SPDX-License-Identifier: BSD-2-Clause */
/* The commit lock of a domain. */
#include "space/internal.h"

void bk__space_lock_init(struct bk_domain *domain)
{
	pthread_mutexattr_t attributes;

	/* A listener that commits gets -EDEADLK. */
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&domain->commit_lock, &attributes);
	pthread_mutexattr_destroy(&attributes);
}

int bk__space_lock(struct bk_domain *domain)
{
	return -pthread_mutex_lock(&domain->commit_lock);
}

void bk__space_unlock(struct bk_domain *domain)
{
	pthread_mutex_unlock(&domain->commit_lock);
}
