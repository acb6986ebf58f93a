/* SPDX-License-Identifier: BSD-2-Clause */
/* The thread that serves a device's queues, and how it is made to pause. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/thread.h"
#include "virtio/pci_device.h"

int bk__virtio_polls_add(struct bk__virtio_polls *polls, int fd, short events)
{
	if (polls->count == polls->room) {
		const unsigned room = polls->room ? 2 * polls->room : 16;
		struct pollfd *fds = realloc(polls->fds, room * sizeof(*fds));

		if (!fds)
			return -1;
		polls->fds = fds;
		polls->room = room;
	}
	polls->fds[polls->count] = (struct pollfd){ .fd = fd, .events = events };
	return (int)polls->count++;
}

static void wake(struct bk__virtio_worker *worker)
{
	const uint64_t one = 1;

	while (worker->started && write(worker->wake, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

void bk__virtio_kick(struct bk__virtio *virtio, unsigned queue)
{
	if (queue >= virtio->type->queues)
		return;
	/* One that is kicked already has not been looked at since. */
	if (!(atomic_fetch_or(&virtio->worker.kicked, 1u << queue) & 1u << queue))
		wake(&virtio->worker);
}

void bk__virtio_kick_all(struct bk__virtio *virtio)
{
	for (unsigned i = 0; i < virtio->type->queues; i++)
		if (virtio->queues[i].ready)
			bk__virtio_kick(virtio, i);
}

bool bk__virtio_is_running(const struct bk__virtio *virtio)
{
	const unsigned status = atomic_load(&virtio->status);

	return atomic_load(&virtio->master) && status & BK__VIRTIO_DRIVER_OK &&
	       !(status & BK__VIRTIO_NEEDS_RESET);
}

static unsigned enter(struct bk__virtio *virtio)
{
	uint64_t generation;
	const unsigned ticket = bk__device_dma_enter(virtio->dma, &generation);

	for (unsigned i = 0; i < virtio->type->queues; i++)
		if (virtio->queues[i].ready)
			bk__virtio_queue_enter(&virtio->queues[i], generation);
	return ticket;
}

static void drain(struct bk__virtio *virtio)
{
	unsigned ticket;

	if (!virtio->type->drain)
		return;
	ticket = enter(virtio);
	virtio->type->drain(virtio);
	bk__device_dma_leave(virtio->dma, ticket);
}

static void serve(struct bk__virtio *virtio, const struct bk__virtio_polls *polls)
{
	const unsigned kicked = atomic_exchange(&virtio->worker.kicked, 0);
	const unsigned ticket = enter(virtio);

	if (virtio->type->poll)
		virtio->type->poll(virtio, polls);
	for (unsigned i = 0; i < virtio->type->queues; i++)
		if (kicked & 1u << i && bk__virtio_is_running(virtio))
			virtio->type->serve(virtio, i);
	bk__device_dma_leave(virtio->dma, ticket);
}

void bk__virtio_serve(struct bk__virtio *virtio)
{
	struct bk__virtio_polls polls = { .timeout = 0 };

	if (virtio->type->fill)
		virtio->type->fill(virtio, &polls);
	if (polls.count)
		poll(polls.fds, polls.count, 0);
	serve(virtio, &polls);
	free(polls.fds);
}

/* Returns false when the thread has to end. */
static bool obey(struct bk__virtio *virtio)
{
	struct bk__virtio_worker *worker = &virtio->worker;
	bool stop;

	pthread_mutex_lock(&worker->lock);
	if (worker->pause) {
		drain(virtio);
		worker->parked = true;
		pthread_cond_broadcast(&worker->changed);
		while (worker->pause)
			pthread_cond_wait(&worker->changed, &worker->lock);
		worker->parked = false;
	}
	stop = worker->stop;
	pthread_mutex_unlock(&worker->lock);
	return !stop;
}

static void add_doorbells(struct bk__virtio *virtio, struct bk__virtio_polls *polls)
{
	for (unsigned i = 0; i < virtio->type->queues; i++)
		for (unsigned j = 0; j < BK__VIRTIO_DOORBELLS; j++)
			if (virtio->worker.doorbells[i][j] >= 0)
				bk__virtio_polls_add(polls, virtio->worker.doorbells[i][j], POLLIN);
}

/* Those of `polls` that were written, from its second entry on. */
static void hear_doorbells(struct bk__virtio *virtio, const struct bk__virtio_polls *polls)
{
	unsigned at = 1;
	uint64_t count;

	for (unsigned i = 0; i < virtio->type->queues; i++)
		for (unsigned j = 0; j < BK__VIRTIO_DOORBELLS; j++) {
			const int fd = virtio->worker.doorbells[i][j];

			if (fd < 0 || at >= polls->count || polls->fds[at].fd != fd)
				continue;
			if (polls->fds[at++].revents && read(fd, &count, sizeof(count)) == sizeof(count))
				atomic_fetch_or(&virtio->worker.kicked, 1u << i);
		}
}

static void *work(void *opaque)
{
	struct bk__virtio *virtio = opaque;
	struct bk__virtio_polls polls = { .timeout = -1 };
	uint64_t count;

	bk__base_thread_enter(virtio->type->thread);
	while (obey(virtio)) {
		polls.count = 0;
		polls.timeout = -1;
		if (bk__virtio_polls_add(&polls, virtio->worker.wake, POLLIN) < 0)
			continue;
		add_doorbells(virtio, &polls);
		if (virtio->type->fill)
			virtio->type->fill(virtio, &polls);
		if (poll(polls.fds, polls.count, polls.timeout) < 0)
			polls.count = 0;
		hear_doorbells(virtio, &polls);
		if (polls.count && polls.fds[0].revents &&
		    read(virtio->worker.wake, &count, sizeof(count)) < 0)
			polls.fds[0].revents = 0;
		serve(virtio, &polls);
	}
	free(polls.fds);
	return NULL;
}

int bk__virtio_worker_start(struct bk__virtio *virtio, bool threaded)
{
	struct bk__virtio_worker *worker = &virtio->worker;
	int error;

	if (!threaded)
		return 0;
	worker->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (worker->wake < 0)
		return -errno;
	worker->started = true;
	error = bk__base_thread_start(&worker->thread, work, virtio, NULL);
	if (error) {
		worker->started = false;
		close(worker->wake);
	}
	return error;
}

void bk__virtio_worker_stop(struct bk__virtio *virtio)
{
	struct bk__virtio_worker *worker = &virtio->worker;

	if (!worker->started)
		return;
	pthread_mutex_lock(&worker->lock);
	worker->stop = true;
	pthread_mutex_unlock(&worker->lock);
	wake(worker);
	pthread_join(worker->thread, NULL);
	close(worker->wake);
	worker->started = false;
}

void bk__virtio_worker_park(struct bk__virtio *virtio)
{
	struct bk__virtio_worker *worker = &virtio->worker;

	if (!worker->started) {
		drain(virtio);
		return;
	}
	pthread_mutex_lock(&worker->lock);
	worker->pause = true;
	wake(worker);
	while (!worker->parked)
		pthread_cond_wait(&worker->changed, &worker->lock);
	pthread_mutex_unlock(&worker->lock);
}

void bk__virtio_worker_go(struct bk__virtio *virtio)
{
	struct bk__virtio_worker *worker = &virtio->worker;

	pthread_mutex_lock(&worker->lock);
	worker->pause = false;
	pthread_cond_broadcast(&worker->changed);
	pthread_mutex_unlock(&worker->lock);
	/* What was kicked meanwhile took no notice. */
	if (atomic_load(&worker->kicked))
		wake(worker);
}

int bk__virtio_doorbell(struct bk__virtio *virtio, unsigned queue, unsigned which, int fd)
{
	int *place = &virtio->worker.doorbells[queue][which], own = -1, error = 0;

	if (fd >= 0) {
		own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (own < 0)
			return -errno;
	}
	bk__virtio_worker_park(virtio);
	if (fd >= 0 && *place >= 0)
		error = -EEXIST;
	if (error && own >= 0)
		close(own);
	if (!error && *place >= 0)
		close(*place);
	if (!error)
		*place = own;
	bk__virtio_worker_go(virtio);
	bk__virtio_kick_all(virtio); /* one that was written and not heard */
	return error;
}

bool bk__virtio_has(const struct bk__virtio *virtio, uint64_t feature)
{
	return virtio->accepted & feature;
}

void bk__virtio_break(struct bk__virtio *virtio, const char *why)
{
	const unsigned before = atomic_fetch_or(&virtio->status, BK__VIRTIO_NEEDS_RESET);

	if (before & BK__VIRTIO_NEEDS_RESET)
		return;
	bk__log_limited(&virtio->limit, BK_LOG_WARNING, "%s: %s; it stands still until its driver resets it",
			virtio->device.name, why);
	if (before & BK__VIRTIO_DRIVER_OK)
		bk__virtio_interrupt(virtio, atomic_load(&virtio->config_vector), 2);
}

void bk__virtio_signal(struct bk__virtio *virtio, unsigned queue)
{
	if (bk__virtio_queue_signal(&virtio->queues[queue]))
		bk__virtio_interrupt(virtio, atomic_load(&virtio->vectors[queue]), 1);
	if (virtio->queues[queue].broken)
		bk__virtio_break(virtio,
				 "its driver gave it a queue that makes no sense, or that it cannot reach");
}
