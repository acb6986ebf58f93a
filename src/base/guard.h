/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mappings of files that another process may shrink.
 *
 * If a file shrinks, accesses to the pages past its end raise SIGBUS. In a guarded mapping such a page
 * is replaced by memory of this process instead.
 */
#ifndef BK_BASE_GUARD_H
#define BK_BASE_GUARD_H

#include <stdbool.h>
#include <stdint.h>

struct bk__base_guard;

/* From now on this process recovers from a SIGBUS in a guarded mapping; any other SIGBUS has its former
 * effect. A server and a monitor call it; the library does not, since signals belong to the program.
 * Any thread. */
void bk__base_guard_start(void);

/* Guards `size` bytes, whole pages, from now on: each byte of a page that has gone is `fill`. Any thread.
 * NULL when out of memory. */
struct bk__base_guard *bk__base_guard_add(const void *base, uint64_t size, uint8_t fill);

/* Before it is unmapped; NULL is fine. Any thread. */
void bk__base_guard_remove(struct bk__base_guard *guard);

/* Whenever a page is mended, somebody writes this eventfd: from now on, or no more, before it is closed. Any
 * thread. False when out of memory. */
bool bk__base_guard_tell(int fd);
void bk__base_guard_tell_no_more(int fd);

/* The same writes, for a page that the kernel found missing: nothing is mended then. Any thread. */
void bk__base_guard_alert(void);

#endif
