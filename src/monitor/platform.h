/* SPDX-License-Identifier: BSD-2-Clause */
/* What is fixed in the machine: RAM, reserved ranges, power and reset ports, UART, host bridge. */
#ifndef BK_MONITOR_PLATFORM_H
#define BK_MONITOR_PLATFORM_H

#include <barkeep/pci.h>

#include "monitor/gsi.h"
#include "monitor/layout.h"

struct bk__platform;

/* From vCPU threads, and the console's; they must not wait for either. */
struct bk__platform_ops {
	void (*poweroff)(void *opaque);
	void (*reset)(void *opaque);
	void (*escape)(void *opaque);
};

struct bk__platform_config {
	struct bk_space *memory, *ports;
	const struct bk__ram *ram;
	struct bk__gsi *gsis;
	struct bk__window mmio64;
	const struct bk__platform_ops *ops;
	void *opaque;
};

int bk__platform_create(const struct bk__platform_config *config, struct bk__platform **platform,
			struct bk_error *err);
struct bk_pci_host *bk__platform_host(struct bk__platform *platform);

/* Presses the power button; false if the guest does not listen to it. */
bool bk__platform_button(struct bk__platform *platform);

/* All to the state after power-on. While no vCPU runs. */
void bk__platform_reset(struct bk__platform *platform);

/* The serial console's other side. While no vCPU runs. */
int bk__platform_connect(struct bk__platform *platform, int in, int out, int listen, struct bk_error *err);
void bk__platform_disconnect(struct bk__platform *platform);

/* Functions but the host bridge's own must have been detached. */
void bk__platform_destroy(struct bk__platform *platform);

#endif
