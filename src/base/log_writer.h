/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Log lines that never make their thread wait: a bounded queue, and a thread that writes it to a descriptor.
 *
 * If the queue is full, lines are lost; a line in their place says how many. To a terminal in raw mode
 * lines end with a carriage return, too. A process has one at most.
 */
#ifndef BK_BASE_LOG_WRITER_H
#define BK_BASE_LOG_WRITER_H

#include <barkeep/base.h>

/* From now on bk_log writes to `fd`, lines of BK_LOG_WARNING and above. -EBUSY if it does already, or the
 * error of starting a thread: then lines go where they went. Before other threads log. */
int bk__base_log_start(int fd);

/* Waits until all lines are written and `fd` takes more. False if it has taken nothing for some seconds: then
 * a write to it would hang. True if there is no queue. Never from a thread that must not wait. */
bool bk__base_log_flush(void);

/* Flushes, ends the thread, and lets bk_log write to standard error again. After other threads that log. */
void bk__base_log_stop(void);

#endif
