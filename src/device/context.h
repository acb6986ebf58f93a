/* SPDX-License-Identifier: BSD-2-Clause */
/* What the devices of one guest share. It is not global: a process may have many. */
#ifndef BARKEEP_DEVICE_CONTEXT_H
#define BARKEEP_DEVICE_CONTEXT_H

#include <barkeep/device.h>

struct bk__vfio_container;
struct bk__device_kind;

struct bk_device_context {
	const char *sysfs;                    /* where sysfs is mounted */
	const char *dev;                      /* the directory of VFIO's nodes */
	struct bk__vfio_container *container; /* NULL while no vfio device is open */
	struct bk__device_kind *kinds;        /* in the order in which they were added */
	unsigned apart; /* seconds, see device/apart.h; 0: all devices are one owner's */
};

/* The kinds that barkeep brings; -ENOMEM. Free also after a failure. (kinds.c) */
int bk__device_kinds_init(struct bk_device_context *context);
void bk__device_kinds_free(struct bk_device_context *context);

/* Looks for devices elsewhere than in /sys and /dev/vfio, so that tests can show any host. The strings stay
 * the caller's and must outlive the context. */
void bk__device_context_roots(struct bk_device_context *context, const char *sysfs, const char *dev);

#endif
