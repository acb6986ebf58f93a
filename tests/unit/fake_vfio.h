/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VFIO made up by tests: what the kernel would answer, below the wrap library.
 *
 * Two PCI devices, 0000:01:00.0 in group 7 and 0000:02:00.0 in group 8. A descriptor of one is a memory file
 * in which region n is at n << 40, so that mappings of it work. bar0: 64 KiB, mappable, with the
 * MSIX_MAPPABLE capability bar1: 64 KiB, with sparse areas of the kernel's own: 0-0x3fff and 0x8000-0xffff
 *   bar2: 1 MiB, 64-bit, mappable
 *   bar4: 256 bytes, I/O
 *   bar5: 256 bytes of memory, mappable
 *   rom: 4 KiB, config: 256 bytes with MSI-X at 0x70
 */
#ifndef BARKEEP_TEST_FAKE_VFIO_H
#define BARKEEP_TEST_FAKE_VFIO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct fake_vfio {
	unsigned opens, closes_seen; /* of devices */
	unsigned reads, writes;      /* of regions, by calls that came down to here */
	unsigned resets, hot_resets, ioeventfds, features, binds;
	unsigned last_width; /* of the last access */
	uint64_t last_offset;
	int fail;        /* errno of every access to a region, or 0 */
	int fail_info;   /* of VFIO_DEVICE_GET_INFO */
	bool odd_layout; /* regions are somewhere else in the descriptor */
	bool no_proc;    /* readlink fails, as where there is no /proc */
	bool no_reset;   /* VFIO_DEVICE_FLAGS_RESET is not there */
};

extern struct fake_vfio fake_vfio;

/* The functions that see /dev/vfio. */
int fake_vfio_open(const char *path, int flags, mode_t mode);
int fake_vfio_openat(int directory, const char *path, int flags, mode_t mode);
int fake_vfio_ioctl(int fd, unsigned long request, void *argument);
ssize_t fake_vfio_pread(int fd, void *data, size_t count, off_t at);
ssize_t fake_vfio_pwrite(int fd, const void *data, size_t count, off_t at);
ssize_t fake_vfio_readlink(const char *path, char *target, size_t size);

#define FAKE_VFIO_OFFSET(region, offset) (((off_t)(region) << 40) + (off_t)(offset))

#endif
