/* SPDX-License-Identifier: BSD-2-Clause */
/* How barkeep starts a thread, and what every thread does first. */
#include "base/thread.h"

#include <signal.h>
#include <stddef.h>

static bk__base_thread_hook *thread_hook;

void bk__base_thread_set_hook(bk__base_thread_hook *hook)
{
	thread_hook = hook;
}

void bk__base_thread_enter(const char *kind)
{
	if (thread_hook)
		thread_hook(kind);
}

int bk__base_thread_start(pthread_t *thread, void *(*run)(void *opaque), void *opaque, const int *open)
{
	static const int own[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS, 0 };
	sigset_t blocked, before;
	int error;

	sigfillset(&blocked);
	for (const int *signal = own; *signal; signal++)
		sigdelset(&blocked, *signal);
	for (const int *signal = open; signal && *signal; signal++)
		sigdelset(&blocked, *signal);
	pthread_sigmask(SIG_SETMASK, &blocked, &before);
	error = pthread_create(thread, NULL, run, opaque);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -error;
}
