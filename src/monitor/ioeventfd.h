/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes of a mediated device that traps only pass on, and its doorbells, made by the kernel. */
#ifndef BK_MONITOR_ACCELERATE_H
#define BK_MONITOR_ACCELERATE_H

#include <barkeep/mediate.h>

#include "monitor/vm.h"

struct bk__monitor_accelerator;

/* From now on; `memory` and `ports` are the guest's. NULL when out of memory. */
struct bk__monitor_accelerator *bk__monitor_accelerator_create(const struct bk__monitor_vm *vm,
							       struct bk_space *memory,
							       struct bk_space *ports,
							       struct bk_mediator *mediate);

/* None any more. Before the mediator is closed; NULL is fine. */
void bk__monitor_accelerator_destroy(struct bk__monitor_accelerator *accelerator);

#endif
