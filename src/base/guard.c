/* SPDX-License-Identifier: BSD-2-Clause */
/* Mappings of files that another process may shrink: memory takes the place of the pages that have gone. */
#include "base/guard.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LARGEST_PAGE ((uintptr_t)1 << 30)

/* The signal handler walks these lists on any thread, so entries stay and are used again. */
struct bk__base_guard {
	struct bk__base_guard *next;
	uintptr_t first, end; /* atomic; end 0: free */
	uint8_t fill;
};

struct listener {
	struct listener *next;
	int fd; /* atomic; -1: free */
};

static struct bk__base_guard *guards; /* atomic */
static struct listener *listeners;    /* atomic */
static uintptr_t page_size;           /* from before the handler is there, */
static struct sigaction before;       /* and so is this: what is done about a SIGBUS of somebody else */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- In the signal handler --------------------------------------------- */

static struct bk__base_guard *find(uintptr_t address)
{
	struct bk__base_guard *guard = __atomic_load_n(&guards, __ATOMIC_ACQUIRE);

	while (guard) {
		const uintptr_t end = __atomic_load_n(&guard->end, __ATOMIC_ACQUIRE);

		if (address >= __atomic_load_n(&guard->first, __ATOMIC_ACQUIRE) && address < end)
			return guard;
		guard = guard->next;
	}
	return NULL;
}

/* The kernel cuts no large page of a file: the first size that it takes is that of the page. */
static bool mend(uintptr_t address)
{
	const struct bk__base_guard *guard = find(address);

	for (uintptr_t size = page_size; guard && size <= LARGEST_PAGE; size <<= 1) {
		const uintptr_t first = address & ~(size - 1);

		if (first < guard->first || size > guard->end - first)
			return false;
		if (mmap((void *)first, size, PROT_READ | PROT_WRITE,
			 MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED)
			continue;
		if (guard->fill)
			memset((void *)first, guard->fill, size);
		return true;
	}
	return false;
}

void bk__base_guard_alert(void)
{
	const uint64_t one = 1;

	for (struct listener *listener = __atomic_load_n(&listeners, __ATOMIC_ACQUIRE); listener;
	     listener = listener->next) {
		const int fd = __atomic_load_n(&listener->fd, __ATOMIC_ACQUIRE);

		if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
			continue; /* it has been written */
	}
}

static void on_bus_error(int number, siginfo_t *info, void *context)
{
	const int error = errno;

	(void)context;
	if (mend((uintptr_t)info->si_addr))
		bk__base_guard_alert();
	else
		sigaction(number, &before, NULL); /* it happens again */
	errno = error;
}

/* ---- Outside of it ----------------------------------------------------- */

void bk__base_guard_start(void)
{
	const struct sigaction action = { .sa_sigaction = on_bus_error,
					  .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK };
	struct sigaction now;

	pthread_mutex_lock(&lock);
	if (!sigaction(SIGBUS, NULL, &now) &&
	    !(now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_bus_error)) {
		page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
		before = now;
		sigaction(SIGBUS, &action, NULL);
	}
	pthread_mutex_unlock(&lock);
}

struct bk__base_guard *bk__base_guard_add(const void *base, uint64_t size, uint8_t fill)
{
	struct bk__base_guard *guard;

	pthread_mutex_lock(&lock);
	for (guard = guards; guard && guard->end; guard = guard->next)
		;
	if (!guard) {
		guard = calloc(1, sizeof(*guard));
		if (guard) {
			guard->next = guards;
			__atomic_store_n(&guards, guard, __ATOMIC_RELEASE);
		}
	}
	if (guard) {
		guard->fill = fill;
		__atomic_store_n(&guard->first, (uintptr_t)base, __ATOMIC_RELEASE);
		__atomic_store_n(&guard->end, (uintptr_t)base + size, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&lock);
	return guard;
}

void bk__base_guard_remove(struct bk__base_guard *guard)
{
	if (!guard)
		return;
	pthread_mutex_lock(&lock);
	__atomic_store_n(&guard->end, 0, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&lock);
}

/* Under the lock: the entry of `fd`, or NULL. */
static struct listener *listener_of(int fd)
{
	struct listener *listener = listeners;

	while (listener && listener->fd != fd)
		listener = listener->next;
	return listener;
}

bool bk__base_guard_tell(int fd)
{
	struct listener *listener;

	pthread_mutex_lock(&lock);
	listener = listener_of(-1);
	if (listener) {
		__atomic_store_n(&listener->fd, fd, __ATOMIC_RELEASE);
	} else {
		listener = malloc(sizeof(*listener));
		if (listener) {
			*listener = (struct listener){ .next = listeners, .fd = fd };
			__atomic_store_n(&listeners, listener, __ATOMIC_RELEASE);
		}
	}
	pthread_mutex_unlock(&lock);
	return listener;
}

void bk__base_guard_tell_no_more(int fd)
{
	struct listener *listener;

	pthread_mutex_lock(&lock);
	listener = listener_of(fd);
	if (listener)
		__atomic_store_n(&listener->fd, -1, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&lock);
}
