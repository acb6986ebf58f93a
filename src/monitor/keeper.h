/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A second process that restores the terminal if this one is killed (SIGKILL, out of memory).
 *
 * It is forked before devices are opened, since a process that has one of their
 * mappings keeps them open.
 */
#ifndef BK_MONITOR_KEEPER_H
#define BK_MONITOR_KEEPER_H

#include <barkeep/base.h>

struct termios;

/* Starts it for the terminal at `fd`, unless it runs. */
int bk__monitor_keeper_start(int fd, struct bk_error *err);

/* From now on the terminal is in raw mode and was as in `original`; or, with NULL, is as it was.
 * Any thread, any signal handler. */
void bk__monitor_keeper_note(const struct termios *original);

/* Ends it. */
void bk__monitor_keeper_stop(void);

#endif
