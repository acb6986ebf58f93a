/* SPDX-License-Identifier: BSD-2-Clause */
/* What the subcommands of `barkeep` share. */
#ifndef BK_CLI_H
#define BK_CLI_H

#include <stdio.h>

#include <barkeep/base.h>

/* Exit statuses; the man pages list them. */
enum {
	CLI_OK = 0,
	CLI_ERROR = 1,        /* it did not work; a line says why */
	CLI_USAGE = 2,        /* wrong arguments */
	CLI_TRIPLE_FAULT = 3, /* `run`: a vCPU of the guest shut down */
	CLI_ESCAPED = 4,      /* `run`: ended by the escape key */
	CLI_SIGNAL = 128,     /* ended by a signal: 128 + its number */
};

/* Each gets its own name as argv[0]. main() checks that standard output was written whole. */
int cli_wrap(int argc, char **argv);
int cli_run(int argc, char **argv);
int cli_serve(int argc, char **argv);
int cli_inspect(int argc, char **argv);
int cli_firmware(int argc, char **argv);
int cli_control(int argc, char **argv);
int cli_quirk(int argc, char **argv);

/* From now on log lines go to `fd`, and never make their thread wait. */
void cli_start_log(int fd);

/* Log lines go before what is written to standard error next. If that takes nothing, what is written to it
 * from now on vanishes rather than to keep the process from its end. */
void cli_flush_log(void);

/* `barkeep: ` and the line, to standard error; returns CLI_ERROR. */
int cli_error(const struct bk_error *err);

/* `barkeep COMMAND: ` and the line, and where to find help; returns CLI_USAGE. */
int cli_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* For the option at which getopt_long, with opterr 0 and long options that are above 255, said '?'. */
int cli_unknown_option(const char *command, char **argv);

#endif
