/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's RAM: memory of this process alone, or a memfd that others can map. */
#ifndef BK_MONITOR_RAM_H
#define BK_MONITOR_RAM_H

#include <barkeep/base.h>

#include "monitor/layout.h"

struct bk__monitor_ram_config {
	uint64_t size;    /* a multiple of 2 MiB */
	bool huge_pages;  /* from hugetlbfs, which the host has reserved */
	bool share;       /* other processes can be given it, by `fd` */
	bool preallocate; /* taken from the host at once */
};

/*
 * A line if the host does not have that much. RAM that is not shared has no file (`fd` is -1): hosts
 * back such memory with huge pages by themselves, but most back a memfd only with 4 KiB pages.
 */
int bk__monitor_ram_open(struct bk__monitor_ram *ram, const struct bk__monitor_ram_config *config,
			 struct bk_error *err);
void bk__monitor_ram_close(struct bk__monitor_ram *ram);

#endif
