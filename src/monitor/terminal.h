/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The terminal in raw mode, and back: on close, on exit(), before the process
 * stops (SIGTSTP) and on the signals that end it, as far as they had their
 * default action. A process has one at most.
 */
#ifndef BK_MONITOR_TERMINAL_H
#define BK_MONITOR_TERMINAL_H

#include <barkeep/base.h>

/* A person's end of a terminal? The master of a pseudo-terminal is none. */
bool bk__monitor_terminal_is(int fd);

/* `fd` is a terminal; `event` is an eventfd that is written when the process continues
 * after a stop, and must stay open. Raw mode begins with bk__monitor_terminal_take. -EBUSY. */
int bk__monitor_terminal_open(int fd, int event, struct bk_error *err);

/* Raw mode, unless it is already. False while the process is in the background or about to stop:
 * the terminal is not ours to read then. Any thread. */
bool bk__monitor_terminal_take(void);

void bk__monitor_terminal_close(void);

#endif
