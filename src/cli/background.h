/* SPDX-License-Identifier: BSD-2-Clause */
/* A run in the background: the process that started it waits until the guest runs, or reports the
 * error.
 */
#ifndef BK_CLI_BACKGROUND_H
#define BK_CLI_BACKGROUND_H

#include <barkeep/base.h>

struct cli_background {
	int started; /* write end of a pipe to the process that waits; -1: none */
};

/*
 * Continues in a child, in a new session, and returns there with *exit_now false. In the parent it
 * waits until the child calls cli_background_go or ends, and returns with *exit_now true and the exit
 * status to end with in *status. Before any thread is started or device opened.
 */
int cli_background_start(struct cli_background *background, bool *exit_now, int *status,
			 struct bk_error *err);

/* The guest runs: lets the parent end with status 0. Standard input, output and error become `log`, or
 * /dev/null where that is -1. */
void cli_background_go(struct cli_background *background, int log);

struct cli_pidfile {
	int fd; /* locked as long as we are there; -1: none */
	const char *path;
};

/*
 * Our process number into a file at `path`, which stays locked: a file that an ended process has left is
 * taken over, one of a process that is there is an error, and so is one that holds something else.
 */
int cli_pidfile_open(struct cli_pidfile *pidfile, const char *path, struct bk_error *err);

/* Removes it. */
void cli_pidfile_close(struct cli_pidfile *pidfile);

#endif
