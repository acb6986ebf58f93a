/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reclaim: one thread a domain, which waits for readers so that nobody else
 * has to, and calls `released`.
 *
 * A commit must not wait for readers: it may run in a handler, or under a lock
 * that a handler of another thread waits for. It leaves a grave here, and the
 * thread takes care of them: at once where regions were removed, else by the
 * hundred, since to wake it and to wait for readers costs as much as ten
 * commits. Memory that is free then is for later commits to take, a little
 * each, so that the thread never holds their lock. Who commits faster than
 * that is slowed down outside its reads, but never made to wait for a given
 * reader.
 */
#include "internal.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

enum {
	WAKE_COUNT = 128, /* graves, or bytes in them, that the thread is woken for */
	WAKE_BYTES = 4 << 20,
	LIMIT_COUNT = 1024, /* graves beyond which a committing thread is slowed down */
	LIMIT_BYTES = 64 << 20,
	PATIENCE_NS = 10 * 1000 * 1000, /* the longest it is kept */
	BURY_COUNT = 4, /* graves that a commit buries: more than it makes, and not much to do */
};

/* Calls `released` for all regions in the graves. Returns the link at the end of the list. */
static struct bk__grave **release_all(struct bk__grave **link)
{
	for (; *link; link = &(*link)->next) {
		while ((*link)->regions) {
			struct bk_region *region = (*link)->regions;

			(*link)->regions = region->next_dead;
			bk__region_release(region);
		}
	}
	return link;
}

void bk__bury(struct bk_domain *domain, bool all)
{
	struct bk__grave *graves, **link = &graves;

	pthread_mutex_lock(&domain->reclaim_lock);
	graves = domain->ready;
	for (unsigned i = 0; *link && (all || i < BURY_COUNT); i++)
		link = &(*link)->next;
	domain->ready = *link;
	if (!*link)
		domain->last_ready = &domain->ready;
	*link = NULL;
	pthread_mutex_unlock(&domain->reclaim_lock);
	while (graves) {
		struct bk__grave *grave = graves;

		graves = grave->next;
		grave->bury(domain, grave);
	}
}

static void *reclaim(void *opaque)
{
	struct bk_domain *domain = opaque;

	pthread_mutex_lock(&domain->reclaim_lock);
	for (;;) {
		struct bk__grave *graves, **end;
		size_t count, bytes;
		uint64_t dug;

		while (!domain->reclaim_now && !domain->reclaim_stop)
			pthread_cond_wait(&domain->reclaim_wake, &domain->reclaim_lock);
		if (!domain->graves && domain->reclaim_stop)
			break;
		graves = domain->graves;
		count = domain->grave_count;
		bytes = domain->grave_bytes;
		dug = domain->dug;
		domain->graves = NULL;
		domain->last_grave = &domain->graves;
		domain->reclaim_now = false;
		pthread_mutex_unlock(&domain->reclaim_lock);

		if (graves)
			bk__wait_for_readers();
		end = release_all(&graves);

		pthread_mutex_lock(&domain->reclaim_lock);
		*domain->last_ready = graves;
		if (graves)
			domain->last_ready = end;
		domain->grave_count -= count;
		domain->grave_bytes -= bytes;
		if (domain->grave_count >= WAKE_COUNT || domain->grave_bytes >= WAKE_BYTES)
			domain->reclaim_now = true;
		domain->buried = dug;
		pthread_cond_broadcast(&domain->reclaim_done);
	}
	pthread_mutex_unlock(&domain->reclaim_lock);
	return NULL;
}

int bk__reclaim_start(struct bk_domain *domain)
{
	pthread_condattr_t attributes;
	sigset_t all, before;
	int error;

	domain->last_grave = &domain->graves;
	domain->last_ready = &domain->ready;
	pthread_mutex_init(&domain->reclaim_lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&domain->reclaim_wake, &attributes);
	pthread_cond_init(&domain->reclaim_done, &attributes);
	pthread_condattr_destroy(&attributes);
	/* Signals are the business of the owner's threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&domain->reclaimer, NULL, reclaim, domain);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error) {
		pthread_cond_destroy(&domain->reclaim_wake);
		pthread_cond_destroy(&domain->reclaim_done);
		pthread_mutex_destroy(&domain->reclaim_lock);
	}
	return -error;
}

void bk__reclaim_stop(struct bk_domain *domain)
{
	pthread_mutex_lock(&domain->reclaim_lock);
	domain->reclaim_stop = true;
	pthread_cond_signal(&domain->reclaim_wake);
	pthread_mutex_unlock(&domain->reclaim_lock);
	pthread_join(domain->reclaimer, NULL);
	bk__bury(domain, true); /* nobody else is there, so the commit lock is not needed */
	pthread_cond_destroy(&domain->reclaim_wake);
	pthread_cond_destroy(&domain->reclaim_done);
	pthread_mutex_destroy(&domain->reclaim_lock);
}

void bk__dig(struct bk_domain *domain, struct bk__grave *grave, size_t bytes, bool now)
{
	bool wake;

	pthread_mutex_lock(&domain->reclaim_lock);
	grave->next = NULL;
	*domain->last_grave = grave;
	domain->last_grave = &grave->next;
	domain->dug++;
	domain->grave_count++;
	domain->grave_bytes += bytes;
	wake = !domain->reclaim_now &&
	       (now || domain->grave_count >= WAKE_COUNT || domain->grave_bytes >= WAKE_BYTES);
	domain->reclaim_now |= wake;
	pthread_mutex_unlock(&domain->reclaim_lock);
	if (wake)
		pthread_cond_signal(&domain->reclaim_wake);
}

bool bk__is_reclaimer(struct bk_domain *domain)
{
	return pthread_equal(pthread_self(), domain->reclaimer);
}

/* Reclaim lock held. */
static bool too_much(const struct bk_domain *domain)
{
	return domain->grave_count > LIMIT_COUNT || domain->grave_bytes > LIMIT_BYTES;
}

void bk__settle(struct bk_domain *domain)
{
	struct timespec until;

	pthread_mutex_lock(&domain->reclaim_lock);
	if (too_much(domain) && !bk__is_reclaimer(domain)) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += PATIENCE_NS;
		if (until.tv_nsec >= 1000000000) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000;
		}
		while (too_much(domain) &&
		       !pthread_cond_timedwait(&domain->reclaim_done, &domain->reclaim_lock, &until))
			;
	}
	pthread_mutex_unlock(&domain->reclaim_lock);
}

int bk__reader_prepare(struct bk_domain *domain)
{
	if (bk__reader_state == BK__READER_OWES && !bk__read_ongoing()) {
		bk__reader_set(BK__READER_NEW); /* which registration finds to be done */
		bk__settle(domain);
	}
	return bk__reader_state == BK__READER_NEW ? bk__reader_register() : 0;
}

int bk_domain_synchronize(struct bk_domain *domain)
{
	uint64_t dug;

	if (bk__read_ongoing() || bk__is_reclaimer(domain))
		return -EDEADLK;
	pthread_mutex_lock(&domain->reclaim_lock);
	dug = domain->dug;
	if (domain->buried < dug) {
		domain->reclaim_now = true;
		pthread_cond_signal(&domain->reclaim_wake);
	}
	while (domain->buried < dug)
		pthread_cond_wait(&domain->reclaim_done, &domain->reclaim_lock);
	pthread_mutex_unlock(&domain->reclaim_lock);
	return 0;
}
