/* SPDX-License-Identifier: BSD-2-Clause */
/* How barkeep starts a thread, and what every thread does first. */
#ifndef BK_BASE_THREAD_H
#define BK_BASE_THREAD_H

#include <pthread.h>

/*
 * Called by each thread on itself, with what kind it is: "vcpu", "console", "space" (frees what no reader
 * needs), "log", "device", "user" (looks after a device of another process), "disk" and "network" (an
 * emulated one's), "control" (the one that runs a monitor, once it has started the others). NULL: nothing is.
 * Set it before the first thread is started.
 */
typedef void bk__base_thread_hook(const char *kind);
void bk__base_thread_set_hook(bk__base_thread_hook *hook);

void bk__base_thread_enter(const char *kind);

/*
 * Starts a thread that takes no signals of the process, except those that it
 * causes itself (SIGSEGV and its like) and those of `open`, which ends with 0 and
 * may be NULL. 0 or a negative errno.
 */
int bk__base_thread_start(pthread_t *thread, void *(*run)(void *opaque), void *opaque, const int *open);

#endif
