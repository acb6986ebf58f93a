/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reclaim: one thread per domain, which waits for readers, so that no other thread has to, and calls
 * `released`.
 *
 * A commit must not wait for readers: it may run in a handler, or under a lock
 * that a handler of another thread waits for. It leaves the regions that it
 * removed here. Who removes faster than readers leave is slowed down outside
 * its reads, but never made to wait for a given reader. What a commit took out
 * of views needs no wait, see retired.c; but when no commits come any more, the
 * thread takes care of the rest.
 */
#include "space/ends.h"
#include "space/internal.h"

#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "base/thread.h"

enum {
	LIMIT_COUNT = 1024,              /* removals beyond which a thread that removes is slowed down */
	PATIENCE_NS = 10 * 1000 * 1000,  /* the longest it is kept */
	PAUSE_NS = 10 * 1000,            /* between looks at readers, first */
	PAUSE_MOST_NS = 2 * 1000 * 1000, /* and last */
	TIDY_NS = 500 * 1000 * 1000, /* after the first commit, and as long as there is something to tidy */
};

static struct timespec in(long ns)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += ns;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	return until;
}

static void release(struct bk_domain *domain, struct bk__space_removal *removal)
{
	while (removal->regions) {
		struct bk_region *region = removal->regions;

		removal->regions = region->next_removed;
		bk__space_region_release(region);
	}
	removal->recycle(domain, removal);
}

/*
 * Until no reader is in a view that has what commits up to `number` removed. It
 * looks, and does not wait for one after the other: a reader that stays in a
 * newer view is none of ours, and nobody has to wake us.
 */
static void wait_for_readers(struct bk_domain *domain, uint64_t number)
{
	struct timespec pause = { .tv_nsec = PAUSE_NS };

	for (;;) {
		bool inside;

		bk__space_lock(domain);
		inside = bk__space_is_inside(domain, number);
		bk__space_unlock(domain);
		if (!inside)
			return;
		nanosleep(&pause, NULL);
		pause.tv_nsec = pause.tv_nsec < PAUSE_MOST_NS / 2 ? 2 * pause.tv_nsec : PAUSE_MOST_NS;
	}
}

/* Reclaim lock held, but not while it works. */
static void reclaim_removals(struct bk_domain *domain)
{
	struct bk__space_removal *removals = domain->removals;
	size_t count = domain->removal_count;
	uint64_t queued = domain->removals_queued, number = 0;

	for (const struct bk__space_removal *removal = removals; removal; removal = removal->next)
		number = removal->number; /* they are in order */
	domain->removals = NULL;
	domain->last_removal = &domain->removals;
	pthread_mutex_unlock(&domain->reclaim_lock);
	wait_for_readers(domain, number);
	while (removals) {
		struct bk__space_removal *removal = removals;

		removals = removal->next;
		release(domain, removal);
	}
	pthread_mutex_lock(&domain->reclaim_lock);
	domain->removal_count -= count;
	domain->removals_recycled = queued;
	pthread_cond_broadcast(&domain->reclaim_done);
}

/* The same. Once for all commits up to now, if nothing waits for readers. */
static void tidy(struct bk_domain *domain)
{
	pthread_mutex_unlock(&domain->reclaim_lock);
	bk__space_lock(domain);
	if (bk__space_tidy(domain))
		__atomic_store_n(&domain->untidy, false, __ATOMIC_RELAXED);
	bk__space_unlock(domain);
	pthread_mutex_lock(&domain->reclaim_lock);
}

static void *reclaim(void *opaque)
{
	struct bk_domain *domain = opaque;

	bk__base_thread_enter("space");
	pthread_mutex_lock(&domain->reclaim_lock);
	while (domain->removals || !domain->reclaim_stop) {
		if (domain->removals) {
			reclaim_removals(domain);
		} else if (__atomic_load_n(&domain->untidy, __ATOMIC_RELAXED)) {
			const struct timespec until = in(TIDY_NS);

			while (!domain->removals && !domain->reclaim_stop) {
				if (!pthread_cond_timedwait(&domain->reclaim_wake, &domain->reclaim_lock,
							    &until))
					continue;
				tidy(domain);
				break;
			}
		} else {
			pthread_cond_wait(&domain->reclaim_wake, &domain->reclaim_lock);
		}
	}
	pthread_mutex_unlock(&domain->reclaim_lock);
	return NULL;
}

int bk__space_reclaim_start(struct bk_domain *domain)
{
	int error;

	domain->last_removal = &domain->removals;
	pthread_mutex_init(&domain->reclaim_lock, NULL);
	bk__base_cond_init(&domain->reclaim_wake);
	bk__base_cond_init(&domain->reclaim_done);
	error = bk__base_thread_start(&domain->reclaimer, reclaim, domain, NULL);
	if (error) {
		pthread_cond_destroy(&domain->reclaim_wake);
		pthread_cond_destroy(&domain->reclaim_done);
		pthread_mutex_destroy(&domain->reclaim_lock);
	}
	return error;
}

void bk__space_reclaim_stop(struct bk_domain *domain)
{
	pthread_mutex_lock(&domain->reclaim_lock);
	domain->reclaim_stop = true;
	pthread_cond_signal(&domain->reclaim_wake);
	pthread_mutex_unlock(&domain->reclaim_lock);
	pthread_join(domain->reclaimer, NULL);
	pthread_cond_destroy(&domain->reclaim_wake);
	pthread_cond_destroy(&domain->reclaim_done);
	pthread_mutex_destroy(&domain->reclaim_lock);
}

void bk__space_removal_queue(struct bk_domain *domain, struct bk__space_removal *removal)
{
	pthread_mutex_lock(&domain->reclaim_lock);
	removal->next = NULL;
	*domain->last_removal = removal;
	domain->last_removal = &removal->next;
	domain->removals_queued++;
	domain->removal_count++;
	pthread_mutex_unlock(&domain->reclaim_lock);
	pthread_cond_signal(&domain->reclaim_wake);
}

void bk__space_reclaim_tidy(struct bk_domain *domain)
{
	if (__atomic_load_n(&domain->untidy, __ATOMIC_RELAXED))
		return;
	pthread_mutex_lock(&domain->reclaim_lock);
	__atomic_store_n(&domain->untidy, true, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&domain->reclaim_lock);
	pthread_cond_signal(&domain->reclaim_wake);
}

bool bk__space_is_reclaimer(struct bk_domain *domain)
{
	return pthread_equal(pthread_self(), domain->reclaimer);
}

void bk__space_reclaim_wait(struct bk_domain *domain)
{
	pthread_mutex_lock(&domain->reclaim_lock);
	if (domain->removal_count > LIMIT_COUNT && !bk__space_is_reclaimer(domain)) {
		const struct timespec until = in(PATIENCE_NS);

		pthread_cond_timedwait(&domain->reclaim_done, &domain->reclaim_lock, &until);
	}
	pthread_mutex_unlock(&domain->reclaim_lock);
}

int bk__space_reader_prepare(struct bk_domain *domain)
{
	const struct bk__space_reader *reader = &bk__space_reader;

	if (reader->state == BK__READER_OWES && !bk__space_read_ongoing()) {
		bk__space_reader_set(BK__READER_NEW); /* which registration finds to be done */
		bk__space_reclaim_wait(domain);
	}
	if (reader->state == BK__READER_NEW || !reader->record ||
	    (reader->state == BK__READER_FOREIGN && !URCU_TLS(urcu_memb_reader).registered))
		return bk__space_reader_register();
	return 0;
}

bool bk__space_must_not_wait(struct bk_domain *domain)
{
	return bk__space_read_ongoing() || bk__space_is_reclaimer(domain);
}

int bk_domain_synchronize(struct bk_domain *domain)
{
	uint64_t queued;
	int error;

	if (bk__space_must_not_wait(domain))
		return -EDEADLK;
	error = bk__space_lock(domain); /* in a listener */
	if (error)
		return error;
	bk__space_unlock(domain);
	pthread_mutex_lock(&domain->reclaim_lock);
	for (queued = domain->removals_queued; domain->removals_recycled < queued;)
		pthread_cond_wait(&domain->reclaim_done, &domain->reclaim_lock);
	pthread_mutex_unlock(&domain->reclaim_lock);
	bk__space_lock(domain);
	bk__space_tidy(domain);
	bk__space_unlock(domain);
	return 0;
}
