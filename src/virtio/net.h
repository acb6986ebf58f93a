/* SPDX-License-Identifier: BSD-2-Clause */
/* virtio-net: a network card (virtio 1.2, 5.1), and what is at the other end of its cable. */
#ifndef BK_VIRTIO_NET_H
#define BK_VIRTIO_NET_H

#include "virtio/pci_device.h"

enum { BK__VIRTIO_MAC = 6, BK__VIRTIO_FRAME = 65550 };

struct bk__virtio_net;

/*
 * The other end. All but `close` and `describe` are called by the worker.
 *
 * send: a frame of the guest.
 * fill, poll: what to wait for, and what came of it: frames for the guest, by
 *   bk__virtio_net_receive. `ready` says whether it would take one now.
 */
struct bk__virtio_net_ops {
	void (*send)(void *opaque, const uint8_t *frame, size_t length);
	void (*fill)(void *opaque, struct bk__virtio_polls *polls, bool ready);
	void (*poll)(void *opaque, const struct bk__virtio_polls *polls);
	void (*describe)(void *opaque, void (*say)(void *opaque, const char *key, const char *value),
			 void *to);
	void (*close)(void *opaque);
};

/* Takes `opaque` over, unless it fails; `net` is for bk__virtio_net_receive, from the first call on. */
int bk__virtio_net_create(const char *spec, const struct bk__virtio_net_ops *ops, void *opaque,
			  const uint8_t mac[BK__VIRTIO_MAC], bool threaded, struct bk__virtio_net **net,
			  struct bk__virtio **virtio, struct bk_error *err);

/* A frame for the guest. One that it has no room for is kept for a while, or dropped. On the worker. */
void bk__virtio_net_receive(struct bk__virtio_net *net, const uint8_t *frame, size_t length);

/* Wakes the worker, so that it asks what to wait for. */
void bk__virtio_net_wake(struct bk__virtio_net *net);

/* ---- Other ends -------------------------------------------------------- */

/* They get their card later: see `attach`. */
struct bk__virtio_net_end {
	const struct bk__virtio_net_ops *ops;
	void *opaque;
	struct bk__virtio_net **net; /* where the card is to be written */
};

/* The host's network, by way of this process. `forwards` are texts such as "tcp:127.0.0.1:2222-:22". */
int bk__virtio_net_user(const char *const *forwards, unsigned count, struct bk__virtio_net_end *end,
			struct bk_error *err);

/* A tap interface of the host. */
int bk__virtio_net_tap(const char *name, struct bk__virtio_net_end *end, struct bk_error *err);

/* What the guest sends comes back to it; for tests. */
int bk__virtio_net_loop(struct bk__virtio_net_end *end);

#endif
