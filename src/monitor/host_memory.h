/* SPDX-License-Identifier: BSD-2-Clause */
/* How much memory the host can still provide: what it has, and what the control groups of this process
 * allow.
 */
#ifndef BK_MONITOR_HOST_MEMORY_H
#define BK_MONITOR_HOST_MEMORY_H

#include <barkeep/base.h>

/*
 * 0 if `bytes` more fit, or if nothing says that they do not. Else -ENOMEM, and a line with what limits it.
 * `root` goes before /proc and /sys: "" but in tests. Owner only.
 */
int bk__monitor_host_memory_check(const char *root, uint64_t bytes, struct bk_error *err);

#endif
