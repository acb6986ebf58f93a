/* SPDX-License-Identifier: BSD-2-Clause */
/* ACPI's fixed power registers, PM1a (ACPI 6.4, 4.8.3.1 and .2): soft off and the power button. */
#ifndef BK_MONITOR_X86_POWER_H
#define BK_MONITOR_X86_POWER_H

#include <barkeep/space.h>

struct bk__monitor_power;

/* From the thread that writes a register or presses the button. */
struct bk__monitor_power_ops {
	void (*sci)(void *opaque, bool level); /* the system control interrupt, with a lock held */
	void (*soft_off)(void *opaque);        /* the guest switches itself off */
};

/* Registers at `port` of `ports`: status and enable (2 bytes each), then control (2 bytes). */
int bk__monitor_power_create(struct bk_space *ports, uint64_t port, const struct bk__monitor_power_ops *ops,
			     void *opaque, struct bk__monitor_power **power);

/* Presses the button. False if the guest does not listen to it. Any thread. */
bool bk__monitor_power_button(struct bk__monitor_power *power);

/* The state after power-on. While no vCPU runs. */
void bk__monitor_power_reset(struct bk__monitor_power *power);

/* When no reader of the ports is left. NULL is fine. */
void bk__monitor_power_destroy(struct bk__monitor_power *power);

#endif
