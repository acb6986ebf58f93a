/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Facts about a device from the host's sysfs: driver, IOMMU group and its members, NUMA node, link. An
 * address is that of a PCI function or a mediated device's UUID.
 */
#ifndef BARKEEP_DEVICE_SYSFS_H
#define BARKEEP_DEVICE_SYSFS_H

#include <barkeep/base.h>

enum {
	BK__PCI_ADDRESS = 24,   /* bytes for "DDDDDDDD:BB:SS.F" and its end */
	BK__SYSFS_ADDRESS = 40, /* for a PCI address or a UUID */
	BK__SYSFS_FACT = 64,
};

/*
 * "DDDD:BB:SS.F" or "BB:SS.F" (domain 0) in hexadecimal, to the long form, in
 * sysfs's lower case. A domain has 4 to 8 digits: Intel's VMD makes some above
 * 0xffff, as 10000:01:00.0. -EINVAL for anything else.
 */
int bk__device_pci_address(const char *text, char address[BK__PCI_ADDRESS]);

/* A UUID, 8-4-4-4-12 hexadecimal digits, to lower case. -EINVAL for anything else. */
int bk__sysfs_uuid(const char *text, char uuid[BK__SYSFS_ADDRESS]);

/*
 * A PCI address, a UUID, or a path of sysfs that ends with one of them, to the
 * address that sysfs has. -EINVAL for anything else.
 */
int bk__sysfs_address(const char *text, char address[BK__SYSFS_ADDRESS]);

/* True for a mediated device, false for a PCI function. */
bool bk__sysfs_is_mediated(const char *address);

/* True if there is such a device. */
bool bk__sysfs_exists(const char *sysfs, const char *address);

/* The bound driver, or -ENOENT when there is none. */
int bk__sysfs_driver(const char *sysfs, const char *address, char driver[BK__SYSFS_FACT]);

/* True for vfio-pci and its variants for certain devices (mlx5_vfio_pci, ...). */
bool bk__device_driver_is_vfio(const char *driver);

/* The number of the IOMMU group, or -ENOENT when there is no IOMMU behind it. */
int bk__sysfs_group(const char *sysfs, const char *address);

/* The first line of one of the function's files ("numa_node"), or a negative errno. */
int bk__sysfs_fact(const char *sysfs, const char *address, const char *file, char value[BK__SYSFS_FACT]);

/*
 * Reads the first `count` bytes of config space, as the kernel sees them. Returns how many it read (64
 * without privileges), or a negative errno.
 */
int bk__sysfs_config(const char *sysfs, const char *address, void *data, size_t count);

/* Calls `each` for every other function of the group; `driver` is "" when it has none. */
void bk__sysfs_group_members(const char *sysfs, const char *address,
			     void (*each)(void *opaque, const char *member, const char *driver),
			     void *opaque);

#endif
