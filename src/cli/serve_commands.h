/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands of the control socket of `barkeep serve`. */
#ifndef BK_CLI_SERVE_COMMANDS_H
#define BK_CLI_SERVE_COMMANDS_H

#include "cli/control.h"

extern const struct cli_command cli_serve_commands[];

#endif
