/* SPDX-License-Identifier: BSD-2-Clause */
/* Programs into which a library can be preloaded. */
#ifndef BK_CLI_PROGRAM_H
#define BK_CLI_PROGRAM_H

#include <barkeep/base.h>

/* The program's path as exec would find it, to be freed. NULL with a line. */
char *cli_program_find(const char *name, struct bk_error *err);

/*
 * Would the dynamic linker preload our library into it? A script is what its interpreter is. -EINVAL with a
 * line if it is statically linked, for another machine or C library, or one whose environment the system does
 * not trust (setuid, setgid, file capabilities).
 */
int cli_program_check(const char *path, struct bk_error *err);

#endif
