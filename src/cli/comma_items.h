/* SPDX-License-Identifier: BSD-2-Clause */
/* Parses the comma-separated values of --device and --bridge. */
#ifndef BK_CLI_ITEMS_H
#define BK_CLI_ITEMS_H

#include <barkeep/base.h>

/* SS.F, hexadecimal: 00.0 to 1f.7; the function may be left out. -EINVAL with a line. */
int cli_parse_addr(const char *value, int *slot, unsigned *function, struct bk_error *err);

#endif
