/* SPDX-License-Identifier: BSD-2-Clause */
/* What tests that play VFIO's kernel have in common. */
#ifndef BARKEEP_TEST_VFIO_KERNEL_H
#define BARKEEP_TEST_VFIO_KERNEL_H

#include <errno.h>
#include <linux/vfio.h>

/* As a system call fails. */
static inline int refuse(int error)
{
	errno = error;
	return -1;
}

/* VFIO_DEVICE_GET_PCI_HOT_RESET_INFO of functions 0 and 1 on bus 1, which are in these groups. */
static inline int tell_reach(struct vfio_pci_hot_reset_info *info, unsigned group, unsigned next_group)
{
	info->count = 2;
	if (info->argsz < sizeof(*info) + 2 * sizeof(info->devices[0]))
		return refuse(ENOSPC);
	info->devices[0] = (struct vfio_pci_dependent_device){ .group_id = group, .bus = 1, .devfn = 0 };
	info->devices[1] = (struct vfio_pci_dependent_device){ .group_id = next_group, .bus = 1, .devfn = 1 };
	return 0;
}

#endif
