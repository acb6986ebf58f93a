/* SPDX-License-Identifier: BSD-2-Clause */
/* What can be asked of a running guest through its control socket. */
#ifndef BK_CLI_COMMANDS_H
#define BK_CLI_COMMANDS_H

#include "cli/control.h"

/* All of them; a row without a name ends them. */
extern const struct cli_command cli_commands[];

#endif
