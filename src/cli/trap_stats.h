/* SPDX-License-Identifier: BSD-2-Clause */
/* Counters of traps: the table that `--stats` prints at the end, and the answer of the control
 * socket. */
#ifndef BK_CLI_TRAP_STATS_H
#define BK_CLI_TRAP_STATS_H

#include <json-c/json.h>
#include <stdio.h>

#include <barkeep/mediate.h>

/* How wide the first column is to be, with this device in it, too. Begin with 0. */
int cli_stats_width(int width, const char *device);

void cli_stats_head(FILE *out, int width);

/* The rows of a device: each trap, what was accessed without one, and beside one. */
void cli_stats_device(FILE *out, int width, const char *device, struct bk_mediator *mediate);

/* One row as an object: place, counts, and of a trap its name and last value. */
json_object *cli_stats_json(const struct bk_trap_stats *stats);

#endif
