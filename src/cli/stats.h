/* SPDX-License-Identifier: BSD-2-Clause */
/* The table that `--stats` prints at the end. */
#ifndef BK_CLI_STATS_H
#define BK_CLI_STATS_H

#include <stdio.h>

#include <barkeep/mediate.h>

/* How wide the first column is to be, with this device in it, too. Begin with 0. */
int cli_stats_width(int width, const char *device);

void cli_stats_head(FILE *out, int width);

/* The rows of a device: each trap, what was accessed without one, and beside one. */
void cli_stats_device(FILE *out, int width, const char *device, struct bk_mediator *mediate);

#endif
