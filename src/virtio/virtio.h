/* SPDX-License-Identifier: BSD-2-Clause */
/* Emulated devices, as kinds that a context opens: `virtio-blk:FILE` and `virtio-net:user` or `:tap=NAME`. */
#ifndef BK_VIRTIO_VIRTIO_H
#define BK_VIRTIO_VIRTIO_H

#include <barkeep/device.h>

/* Adds the kinds. Errors as bk_device_context_add_kind. */
int bk__virtio_add_kinds(struct bk_device_context *context);

/* The options that the kind of `spec` takes; ends with NULL, and has none if it is another kind. Those
 * without a value are among them. */
const char *const *bk__virtio_keys(const char *spec);

#endif
