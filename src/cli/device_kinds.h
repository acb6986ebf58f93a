/* SPDX-License-Identifier: BSD-2-Clause */
/* The kinds of devices that a program has: the command has more than the library that it preloads. */
#ifndef BK_CLI_DEVICE_KINDS_H
#define BK_CLI_DEVICE_KINDS_H

#include <barkeep/device.h>

/* The options that the kind of `spec` takes; ends with NULL. In the command one may be without a value. */
const char *const *cli_kind_keys(const char *spec);

/* A context with all kinds of the command. NULL when out of memory. */
struct bk_device_context *cli_kinds_context(void);

#endif
