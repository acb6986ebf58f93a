/* SPDX-License-Identifier: BSD-2-Clause */
/* What can be asked of `barkeep serve` through its control socket. */
#ifndef BK_CLI_SERVE_COMMANDS_H
#define BK_CLI_SERVE_COMMANDS_H

#include "cli/control.h"

extern const struct cli_command cli_serve_commands[];

#endif
