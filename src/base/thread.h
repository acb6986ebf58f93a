/* SPDX-License-Identifier: BSD-2-Clause */
/* What every thread that barkeep starts does first. */
#ifndef BK_BASE_THREAD_H
#define BK_BASE_THREAD_H

/*
 * Called by each thread on itself, with what kind it is: "vcpu", "console", "space" (frees what no reader
 * needs), "log", "device", "disk" and "network" (an emulated one's), "control" (the one that runs a monitor,
 * once it has started the others). NULL: nothing is. Set it before the first thread is started.
 */
typedef void bk__base_thread_hook(const char *kind);
void bk__base_thread_set_hook(bk__base_thread_hook *hook);

void bk__base_thread_enter(const char *kind);

#endif
