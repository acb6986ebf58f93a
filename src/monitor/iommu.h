/* SPDX-License-Identifier: BSD-2-Clause */
/* Maps what devices may access by DMA: the guest's RAM, and BARs if asked for. Follows a space. */
#ifndef BK_MONITOR_IOMMU_H
#define BK_MONITOR_IOMMU_H

#include <barkeep/device.h>
#include <barkeep/space.h>

struct bk__monitor_iommu;

/* Starts listening to `memory`. */
int bk__monitor_iommu_create(struct bk_space *memory, bool peer_to_peer, struct bk__monitor_iommu **iommu,
			     struct bk_error *err);

/* All devices must have been removed. */
void bk__monitor_iommu_destroy(struct bk__monitor_iommu *iommu);

/* Maps all RAM for the device, which follows from now on. A line if RAM cannot be mapped: nothing is then.
 * A device that does no DMA is fine. Owner only. */
int bk__monitor_iommu_add(struct bk__monitor_iommu *iommu, struct bk_device *device, struct bk_error *err);
void bk__monitor_iommu_remove(struct bk__monitor_iommu *iommu, struct bk_device *device);

#endif
