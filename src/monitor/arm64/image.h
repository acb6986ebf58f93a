/* SPDX-License-Identifier: BSD-2-Clause */
/* What an arm64 guest starts from: Linux's Image with an initrd, or firmware. */
#ifndef BK_MONITOR_ARM64_IMAGE_H
#define BK_MONITOR_ARM64_IMAGE_H

#include "monitor/boot_file.h"
#include "monitor/layout.h"

struct bk__monitor_config;

/* Where things go, in guest-physical addresses. */
struct bk__monitor_image {
	bool firmware; /* it is in flash, and the kernel is its own affair */
	uint64_t kernel, devicetree, initrd;
	uint64_t entry;
};

struct bk__monitor_boot {
	struct bk__monitor_file kernel; /* or firmware */
	struct bk__monitor_file initrd; /* fd -1: none */
	char *append;
	struct bk__monitor_image image;
};

/* Opens and checks the files. One line if missing, unreadable, truncated, not a kernel, or too large. */
int bk__monitor_image_open(const struct bk__monitor_config *config, const struct bk__monitor_ram *ram,
			   struct bk__monitor_boot **boot, struct bk_error *err);

void bk__monitor_boot_close(struct bk__monitor_boot *boot);

/* Writes kernel and initrd to RAM. */
int bk__monitor_image_load(const struct bk__monitor_boot *boot, const struct bk__monitor_ram *ram,
			   struct bk_error *err);

#endif
