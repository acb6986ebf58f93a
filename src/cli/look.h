/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands that look at one device. */
#ifndef BK_CLI_LOOK_H
#define BK_CLI_LOOK_H

#include "cli/device_option.h"

/* Opens the device that a user names, calls `look`, closes it. The command's exit status; errors are printed.
 */
int cli_look(const char *command, const char *text,
	     void (*look)(void *opaque, const struct cli_device *device), void *opaque);

#endif
