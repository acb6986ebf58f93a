/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the guest's serial console is: --serial FILE, unix:PATH or pty. */
#ifndef BK_CLI_SERIAL_H
#define BK_CLI_SERIAL_H

#include "cli/socket.h"

struct cli_serial {
	int in, out, listen; /* as in struct bk__monitor_config; -1: none */
	int held;            /* keeps a pseudo-terminal from hanging up while no program has it open; -1 */
	struct cli_socket socket;
};

/* Standard input and output. */
void cli_serial_init(struct cli_serial *serial);

/* What `text` names, instead. A pseudo-terminal's name is printed to standard error. */
int cli_serial_open(struct cli_serial *serial, const char *text, struct bk_error *err);

/* Removes a socket. */
void cli_serial_close(struct cli_serial *serial);

#endif
