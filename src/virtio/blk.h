/* SPDX-License-Identifier: BSD-2-Clause */
/* virtio-blk: a disk (virtio 1.2, 5.2). */
#ifndef BK_VIRTIO_BLK_H
#define BK_VIRTIO_BLK_H

#include "virtio/disk.h"
#include "virtio/pci_device.h"

enum { BK__VIRTIO_BLK_SERIAL = 20 };

/* Takes the disk over, unless it fails. `serial` has 20 characters at most. */
int bk__virtio_blk_create(const char *spec, struct bk__virtio_disk *disk, bool readonly, const char *serial,
			  bool threaded, struct bk__virtio **virtio, struct bk_error *err);

#endif
