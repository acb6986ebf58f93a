/* SPDX-License-Identifier: BSD-2-Clause */
/* What the values of --device and --bridge are made of. */
#ifndef BK_CLI_ITEMS_H
#define BK_CLI_ITEMS_H

#include <barkeep/base.h>

/* The text up to the next single comma, with doubled ones made single, to be freed; NULL when out of memory.
 * Moves `*text` past it. */
char *cli_next_item(const char **text);

/* SS.F, hexadecimal: 00.0 to 1f.7; the function may be left out. -EINVAL with a line. */
int cli_parse_addr(const char *value, int *slot, unsigned *function, struct bk_error *err);

#endif
