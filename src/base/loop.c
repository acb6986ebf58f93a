/* SPDX-License-Identifier: BSD-2-Clause */
/* An event loop: calls functions when descriptors can be read or written. */
#include "base/loop.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define AT_ONCE 32 /* events of one wait */

_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT, "poll's events are epoll's");

struct entry {
	struct entry *next;
	int fd; /* -1: removed, freed after the events that may name it */
	unsigned events;
	void (*ready)(void *opaque);
	void *opaque;
};

struct bk__base_loop {
	int epoll, wake;
	unsigned depth; /* of waits */
	struct entry *entries, *removed;
};

int bk__base_loop_create(struct bk__base_loop **result)
{
	struct bk__base_loop *loop = calloc(1, sizeof(*loop));
	struct epoll_event event = { .events = EPOLLIN };
	int error;

	if (!loop)
		return -ENOMEM;
	loop->wake = -1;
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll >= 0)
		loop->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake >= 0 && !epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->wake, &event)) {
		*result = loop;
		return 0;
	}
	error = -errno;
	bk__base_loop_destroy(loop);
	return error;
}

static void free_entries(struct entry **list)
{
	while (*list) {
		struct entry *entry = *list;

		*list = entry->next;
		free(entry);
	}
}

void bk__base_loop_destroy(struct bk__base_loop *loop)
{
	if (!loop)
		return;
	free_entries(&loop->entries);
	free_entries(&loop->removed);
	if (loop->wake >= 0)
		close(loop->wake);
	if (loop->epoll >= 0)
		close(loop->epoll);
	free(loop);
}

int bk__base_loop_add(struct bk__base_loop *loop, int fd, void (*ready)(void *opaque), void *opaque)
{
	struct entry *entry = malloc(sizeof(*entry));
	struct epoll_event event = { .events = POLLIN, .data.ptr = entry };

	if (!entry)
		return -ENOMEM;
	*entry = (struct entry){ loop->entries, fd, POLLIN, ready, opaque };
	if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event)) {
		const int error = -errno;

		free(entry);
		return error;
	}
	loop->entries = entry;
	return 0;
}

/* Leads to NULL if it is not there. */
static struct entry **find(struct bk__base_loop *loop, int fd)
{
	struct entry **link = &loop->entries;

	while (*link && (*link)->fd != fd)
		link = &(*link)->next;
	return link;
}

void bk__base_loop_remove(struct bk__base_loop *loop, int fd)
{
	struct entry **link = find(loop, fd), *entry = *link;

	if (!entry)
		return;
	epoll_ctl(loop->epoll, EPOLL_CTL_DEL, fd, NULL);
	*link = entry->next;
	entry->fd = -1;
	entry->next = loop->removed;
	loop->removed = entry;
}

int bk__base_loop_change(struct bk__base_loop *loop, int fd, unsigned events)
{
	struct entry *entry = *find(loop, fd);
	struct epoll_event event = { .events = events, .data.ptr = entry };
	int operation = EPOLL_CTL_MOD;

	if (!entry)
		return -ENOENT;
	if (entry->events == events)
		return 0;
	if (!events) /* as long as epoll has it, it reports the end of the other side */
		operation = EPOLL_CTL_DEL;
	else if (!entry->events)
		operation = EPOLL_CTL_ADD;
	if (epoll_ctl(loop->epoll, operation, fd, &event))
		return -errno;
	entry->events = events;
	return 0;
}

int bk__base_loop_wait(struct bk__base_loop *loop, int milliseconds)
{
	struct epoll_event events[AT_ONCE];
	const int count = epoll_wait(loop->epoll, events, AT_ONCE, milliseconds);
	int woken = 0;

	if (count < 0)
		return errno == EINTR ? 0 : -errno;
	loop->depth++;
	for (int i = 0; i < count; i++) {
		const struct entry *entry = events[i].data.ptr;
		uint64_t ignored;

		if (!entry)
			woken = read(loop->wake, &ignored, sizeof(ignored)) == sizeof(ignored);
		else if (entry->fd >= 0 && entry->events)
			entry->ready(entry->opaque);
	}
	if (!--loop->depth)
		free_entries(&loop->removed);
	return woken;
}

void bk__base_loop_wake(struct bk__base_loop *loop)
{
	const int error = errno;
	const uint64_t one = 1;

	/* It fails only where it is woken already. */
	if (write(loop->wake, &one, sizeof(one)) < 0)
		errno = error;
}

int bk__base_loop_fd(const struct bk__base_loop *loop)
{
	return loop->epoll;
}

int bk__base_loop_wake_fd(const struct bk__base_loop *loop)
{
	return loop->wake;
}
