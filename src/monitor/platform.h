/* SPDX-License-Identifier: BSD-2-Clause */
/* The fixed parts of the machine: RAM, the host bridge, and the board with its serial console. */
#ifndef BK_MONITOR_PLATFORM_H
#define BK_MONITOR_PLATFORM_H

#include <barkeep/pci.h>

#include "monitor/board.h"
#include "monitor/gsi.h"
#include "monitor/layout.h"

struct bk__monitor_platform;

/* From vCPU threads, and the console's; they must not wait for either. */
struct bk__monitor_platform_ops {
	void (*poweroff)(void *opaque);
	void (*reset)(void *opaque);
	void (*escape)(void *opaque);
};

struct bk__monitor_platform_config {
	const struct bk__monitor_config *config; /* this and what it points at: as long as the platform */
	struct bk_space *memory, *ports;
	const struct bk__monitor_ram *ram;
	const struct bk__monitor_layout *layout;
	struct bk__monitor_gsi *gsis;
	const struct bk__monitor_platform_ops *ops;
	void *opaque;
};

int bk__monitor_platform_create(const struct bk__monitor_platform_config *config,
				struct bk__monitor_platform **platform, struct bk_error *err);
struct bk_pci_host *bk__monitor_platform_host(struct bk__monitor_platform *platform);
struct bk__monitor_board *bk__monitor_platform_board(struct bk__monitor_platform *platform);

/* Presses the power button; false if the guest does not listen to it. */
bool bk__monitor_platform_button(struct bk__monitor_platform *platform);

/* All to the state after power-on. While no vCPU runs. */
void bk__monitor_platform_reset(struct bk__monitor_platform *platform);

/* The serial console's other side. While no vCPU runs. */
int bk__monitor_platform_connect(struct bk__monitor_platform *platform, int in, int out, int listen,
				 struct bk_error *err);
void bk__monitor_platform_disconnect(struct bk__monitor_platform *platform);

/* Functions but the host bridge's own must have been detached. */
void bk__monitor_platform_destroy(struct bk__monitor_platform *platform);

#endif
