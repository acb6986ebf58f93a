/* SPDX-License-Identifier: BSD-2-Clause */
/* Logs which BAR answers where, each time that a guest's change moves one. */
#ifndef BK_MONITOR_MAP_LOG_H
#define BK_MONITOR_MAP_LOG_H

#include <barkeep/mediate.h>

struct bk__monitor_map_log;

/* Owner only, like all calls here. The committing thread writes its lines. */
int bk__monitor_map_log_create(struct bk_space *memory, struct bk_space *ports,
			       struct bk__monitor_map_log **log, struct bk_error *err);

/* From now on, the BARs of this device: before it is on a bus, and after it has left. A NULL log does
 * nothing. Out of memory the device's lines are missing. */
void bk__monitor_map_log_add(struct bk__monitor_map_log *log, struct bk_mediator *mediate);
void bk__monitor_map_log_remove(struct bk__monitor_map_log *log, struct bk_mediator *mediate);

/* NULL is nothing. */
void bk__monitor_map_log_destroy(struct bk__monitor_map_log *log);

#endif
