/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's RAM: one memfd. */
#ifndef BK_MONITOR_RAM_H
#define BK_MONITOR_RAM_H

#include <barkeep/base.h>

#include "monitor/layout.h"

/* `size` bytes, a multiple of 2 MiB; from huge pages, and taken from the host at once, if asked for. One line
 * when the host has not that much. */
int bk__monitor_ram_open(struct bk__monitor_ram *ram, uint64_t size, bool huge_pages, bool preallocate,
			 struct bk_error *err);
void bk__monitor_ram_close(struct bk__monitor_ram *ram);

#endif
