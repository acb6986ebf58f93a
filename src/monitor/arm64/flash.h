/* SPDX-License-Identifier: BSD-2-Clause */
/* Flash memory with firmware in it; writes are dropped. */
#ifndef BK_MONITOR_ARM64_FLASH_H
#define BK_MONITOR_ARM64_FLASH_H

#include <barkeep/space.h>

#include "monitor/boot_file.h"

struct bk__monitor_flash;
struct bk__monitor_board;

/* Shows it in `memory`; empty flash is zeros, and takes no memory. */
int bk__monitor_flash_create(struct bk_space *memory, struct bk__monitor_flash **flash, struct bk_error *err);

/* Puts the file at its start. */
int bk__monitor_flash_load(struct bk__monitor_flash *flash, const struct bk__monitor_file *file,
			   struct bk_error *err);

/* When no reader of the space is left, which it goes with. NULL is fine. */
void bk__monitor_flash_destroy(struct bk__monitor_flash *flash);

/* That of a board; NULL: it has none. (board.c) */
struct bk__monitor_flash *bk__monitor_board_flash(struct bk__monitor_board *board);

#endif
