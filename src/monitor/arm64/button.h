/* SPDX-License-Identifier: BSD-2-Clause */
/* The power button: on line 3 of a PL061 GPIO controller, which has no other. */
#ifndef BK_MONITOR_ARM64_BUTTON_H
#define BK_MONITOR_ARM64_BUTTON_H

#include <barkeep/space.h>

#define BK__BUTTON_LINE 3

struct bk__monitor_button;

/* `irq` sets the level of the controller's interrupt, with its lock held. */
int bk__monitor_button_create(struct bk_space *memory, uint64_t first, void (*irq)(void *opaque, bool level),
			      void *opaque, struct bk__monitor_button **button);

/* Presses and releases it. False if the guest does not listen to it. Any thread. */
bool bk__monitor_button_press(struct bk__monitor_button *button);

/* The state after power-on. While no vCPU runs. */
void bk__monitor_button_reset(struct bk__monitor_button *button);

/* When no reader is left. NULL is fine. */
void bk__monitor_button_destroy(struct bk__monitor_button *button);

#endif
