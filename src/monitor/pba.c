/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page of an MSI-X PBA: mapped until a vector fires that the guest masks.
 *
 * While the page is mapped, the guest reads the device's own PBA. The device
 * does not know which vectors the guest masks: only their eventfds record that they fired. The thread that
 * serves the run polls these eventfds. When one fires, the PBA gets its trap, and reads exit to the
 * function's registers, until no masked vector is pending any more. A guest that reads the PBA between the
 * two still finds the device's bit, which is 0.
 */
#include "monitor/pba.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/ratelimit.h"

#define VECTORS 2048 /* PCI 3.0 6.8.2 */
#define AT_ONCE 16

struct bk__monitor_pba {
	struct bk__base_loop *loop;
	struct bk_mediator *mediate;
	int set; /* epoll, of eventfds of masked vectors; each is silent after it has fired once */
	struct bk__ratelimit limit;

	/* Inside the function's lock, outside the mediator's. */
	pthread_mutex_t lock;
	bool watched[VECTORS];
	bool pending[VECTORS]; /* of those watched */
	unsigned pending_count;
};

static void set_trap(struct bk__monitor_pba *pba, bool trap)
{
	const int error = bk_mediator_trap_pba(pba->mediate, trap);

	if (error && trap) /* a trap that stays does no harm */
		bk__log_limited(&pba->limit, BK_LOG_WARNING,
				"%s: the guest does not see which MSI-X vectors are pending: %s",
				bk_mediator_below(pba->mediate)->name, strerror(-error));
}

static void set_pending(struct bk__monitor_pba *pba, unsigned vector, bool pending)
{
	if (pba->pending[vector] == pending)
		return;
	pba->pending[vector] = pending;
	pba->pending_count += pending ? 1 : -1u;
	if (!pba->pending_count || pending)
		set_trap(pba, pending);
}

static void on_ready(void *opaque)
{
	struct bk__monitor_pba *pba = opaque;
	struct epoll_event events[AT_ONCE];
	int count;

	/* Under the lock, so that no vector leaves the set between the two. */
	pthread_mutex_lock(&pba->lock);
	do {
		count = epoll_wait(pba->set, events, AT_ONCE, 0);
		for (int i = 0; i < count; i++)
			set_pending(pba, events[i].data.u32, true);
	} while (count == AT_ONCE);
	pthread_mutex_unlock(&pba->lock);
}

struct bk__monitor_pba *bk__monitor_pba_create(struct bk__base_loop *loop, struct bk_mediator *mediate)
{
	struct bk__monitor_pba *pba = calloc(1, sizeof(*pba));

	if (!pba)
		return NULL;
	pba->loop = loop;
	pba->mediate = mediate;
	pba->set = epoll_create1(EPOLL_CLOEXEC);
	pthread_mutex_init(&pba->lock, NULL);
	if (pba->set < 0 || bk__base_loop_add(loop, pba->set, on_ready, pba) ||
	    bk_mediator_trap_pba(mediate, false)) {
		bk__monitor_pba_destroy(pba);
		return NULL;
	}
	return pba;
}

void bk__monitor_pba_watch(struct bk__monitor_pba *pba, unsigned vector, int fd)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLONESHOT, .data.u32 = vector };

	if (!pba)
		return;
	pthread_mutex_lock(&pba->lock);
	if (!pba->watched[vector]) {
		pba->watched[vector] = true;
		/* If we cannot watch it fire, reads have to exit. */
		if (epoll_ctl(pba->set, EPOLL_CTL_ADD, fd, &event))
			set_pending(pba, vector, true);
	}
	pthread_mutex_unlock(&pba->lock);
}

void bk__monitor_pba_leave(struct bk__monitor_pba *pba, unsigned vector, int fd)
{
	if (!pba)
		return;
	pthread_mutex_lock(&pba->lock);
	if (pba->watched[vector]) {
		pba->watched[vector] = false;
		epoll_ctl(pba->set, EPOLL_CTL_DEL, fd, NULL);
		set_pending(pba, vector, false);
	}
	pthread_mutex_unlock(&pba->lock);
}

void bk__monitor_pba_destroy(struct bk__monitor_pba *pba)
{
	if (!pba)
		return;
	if (pba->set >= 0) {
		bk__base_loop_remove(pba->loop, pba->set);
		close(pba->set);
	}
	(void)bk_mediator_trap_pba(pba->mediate, true); /* its bus is empty */
	pthread_mutex_destroy(&pba->lock);
	free(pba);
}
