/* SPDX-License-Identifier: BSD-2-Clause */
/* The devicetree, which describes the machine to the guest. */
#ifndef BK_MONITOR_ARM64_DEVICETREE_H
#define BK_MONITOR_ARM64_DEVICETREE_H

#include <barkeep/base.h>

#include "monitor/layout.h"

#define BK__DEVICETREE_SIZE 0x20000 /* with room for what a boot loader adds */

struct bk__monitor_devicetree_config {
	unsigned cpus;
	const struct bk__monitor_ram *ram;
	struct bk__monitor_window mmio64;
	uint64_t io_window; /* as in struct bk__monitor_config */
	const char *append; /* or NULL */
	uint64_t initrd, initrd_size;
};

/* Writes it to the BK__DEVICETREE_SIZE bytes at `blob`. -ENOMEM with a line if it does not fit. */
int bk__monitor_devicetree_build(const struct bk__monitor_devicetree_config *config, void *blob,
				 struct bk_error *err);

#endif
