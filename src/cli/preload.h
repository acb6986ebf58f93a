/* SPDX-License-Identifier: BSD-2-Clause */
/* What the preloaded library's parts share. */
#ifndef BK_CLI_PRELOAD_H
#define BK_CLI_PRELOAD_H

#include "cli/device_option.h"

/* A device that the program has open. */
struct wrapped {
	struct cli_device device;
	struct wrapped *next;
};

/* What the commands of the control socket are about: here, a program that is wrapped. */
struct run {
	struct wrapped *list;
};

/* Of the list. Held while one of its devices is used. */
void cli_preload_lock(void);
void cli_preload_unlock(void);

#endif
