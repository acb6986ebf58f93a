/* SPDX-License-Identifier: BSD-2-Clause */
/* The standard descriptors and signals of a process, made safe before anything is opened. */
#ifndef BK_CLI_STANDARD_H
#define BK_CLI_STANDARD_H

#include <stdbool.h>

/*
 * Opens /dev/null where descriptor 0, 1 or 2 is closed, so that nothing opened later gets one of these
 * numbers. What replaces 0 is at its end; what replaces 1 and 2 cannot be written, so that output to it is an
 * error as it was before. False if that is impossible.
 *
 * A write to a pipe that nobody reads, or past the limit of a file's size, becomes an error (EPIPE, EFBIG)
 * rather than the silent end of the process. A program that this one executes gets its default actions back.
 */
bool cli_secure_standard(void);

#endif
