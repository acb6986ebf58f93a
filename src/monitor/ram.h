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
 * One line when the host has not that much. RAM that is not shared has no file
 * (`fd` is -1): a host gives such memory as huge pages of its own accord, and
 * most give a memfd 4 KiB ones only.
 */
int bk__monitor_ram_open(struct bk__monitor_ram *ram, const struct bk__monitor_ram_config *config,
			 struct bk_error *err);
void bk__monitor_ram_close(struct bk__monitor_ram *ram);

#endif
