/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands of a running guest's control socket. */
#ifndef BK_CLI_COMMANDS_H
#define BK_CLI_COMMANDS_H

#include "cli/control.h"

/* All of them; a row without a name ends them. */
extern const struct cli_command cli_commands[];

#endif
