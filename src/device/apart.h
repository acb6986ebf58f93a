/* SPDX-License-Identifier: BSD-2-Clause */
/* Devices that have to share one context although they have different owners. */
#ifndef BARKEEP_DEVICE_APART_H
#define BARKEEP_DEVICE_APART_H

#include <barkeep/device.h>

/*
 * The devices have different owners, who act at the same time: dma_map, dma_unmap and reset of different
 * devices may be called on different threads. A reset spares devices that have memory mapped. A map that
 * overlaps another owner's waits up to that many seconds for it to go: the owners are parts of one guest, and
 * change its memory together, but not at one moment. Before a device is opened.
 */
void bk__device_context_apart(struct bk_device_context *context, unsigned seconds);

/* The IOMMU group of the function of the host that a spec names, or -1. (vfio.c) */
int bk__device_context_group(const struct bk_device_context *context, const char *spec);

#endif
