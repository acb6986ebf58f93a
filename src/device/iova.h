/* SPDX-License-Identifier: BSD-2-Clause */
/* Which I/O virtual addresses devices can use: those that the host's IOMMU groups do not reserve. */
#ifndef BARKEEP_DEVICE_IOVA_H
#define BARKEEP_DEVICE_IOVA_H

#include <barkeep/device.h>

/* As bk_device_context_iova_ranges, before a device is open: by reserved_regions of all groups. */
unsigned bk__device_iova_of_groups(const char *sysfs, struct bk_device_iova_range *ranges, unsigned room);

struct vfio_iommu_type1_info;

/* The same by an answer of VFIO_IOMMU_GET_INFO, which has `argsz` bytes. 0: it does not say. (vfio_dma.c) */
unsigned bk__vfio_iova_of_info(const struct vfio_iommu_type1_info *info, struct bk_device_iova_range *ranges,
			       unsigned room);

/* And of a container. (vfio_dma.c) */
unsigned bk__vfio_iova_of_container(int container, struct bk_device_iova_range *ranges, unsigned room);

#endif
