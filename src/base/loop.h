/* SPDX-License-Identifier: BSD-2-Clause */
/* An event loop: calls functions when descriptors can be read or written. */
#ifndef BK_BASE_LOOP_H
#define BK_BASE_LOOP_H

#include <barkeep/base.h>

struct bk__base_loop;

/* One thread owns a loop: it makes all calls except bk__base_loop_wake. 0 or a negative errno. */
int bk__base_loop_create(struct bk__base_loop **loop);

/* NULL is fine. Closes no fd that was added. Not from a `ready`. */
void bk__base_loop_destroy(struct bk__base_loop *loop);

/*
 * From now on calls `ready` when `fd` can be read, or its other side is gone. `ready` may add and remove any
 * fd, its own too. 0, -EEXIST if the fd is there, -EPERM for one that cannot be waited for, -ENOMEM, -ENOSPC.
 */
int bk__base_loop_add(struct bk__base_loop *loop, int fd, void (*ready)(void *opaque), void *opaque);

/* Before the fd is closed. Its `ready` is not called any more. Does nothing if it is not there. */
void bk__base_loop_remove(struct bk__base_loop *loop, int fd);

/*
 * What the fd is waited for from now on, of <poll.h>: POLLIN, as when it was added, POLLOUT or both. 0:
 * nothing, not even that its other side is gone. 0, -ENOENT if it is not there; -ENOMEM or -ENOSPC if it was
 * waited for nothing, as it is then still.
 */
int bk__base_loop_change(struct bk__base_loop *loop, int fd, unsigned events);

/*
 * Waits until a fd is ready, the loop is woken or `milliseconds` are over (-1: never), and calls what is
 * ready. 1 if it was woken since the last call, 0, or a negative errno; a signal ends it early with 0.
 *
 * A `ready` may wait, too. What such an inner wait has served may be called once more by the outer one,
 * although it is not ready any more: hence fds that a loop with inner waits has do not block.
 */
int bk__base_loop_wait(struct bk__base_loop *loop, int milliseconds);

/* Lets bk__base_loop_wait return 1. Any thread, any signal handler. */
void bk__base_loop_wake(struct bk__base_loop *loop);

/* Can be read while anything is ready: a loop can be part of another. */
int bk__base_loop_fd(const struct bk__base_loop *loop);

/* The other fd that a loop has for itself. */
int bk__base_loop_wake_fd(const struct bk__base_loop *loop);

#endif
