/* SPDX-License-Identifier: BSD-2-Clause */
/* Restricts the threads of a run once they serve a guest: no capabilities, few system calls. */
#ifndef BK_CLI_SANDBOX_H
#define BK_CLI_SANDBOX_H

#include <barkeep/base.h>

/*
 * From now on threads restrict themselves as they start (base/thread.h), and this process gains no rights by
 * executing. With `plugging`, the thread that runs the guest keeps what opening devices needs. A line if the
 * kernel cannot do it. Before any thread is started.
 */
int cli_sandbox_start(bool plugging, struct bk_error *err);

#endif
