/* SPDX-License-Identifier: BSD-2-Clause */
/* An event loop: calls functions when descriptors can be read. */
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
 * Waits until a fd can be read, the loop is woken or `milliseconds` are over (-1: never), and calls what is
 * ready. 1 if it was woken since the last call, 0, or a negative errno; a signal ends it early with 0.
 */
int bk__base_loop_wait(struct bk__base_loop *loop, int milliseconds);

/* Lets bk__base_loop_wait return 1. Any thread, any signal handler. */
void bk__base_loop_wake(struct bk__base_loop *loop);

/* Can be read while anything is ready: a loop can be part of another. */
int bk__base_loop_fd(const struct bk__base_loop *loop);

#endif
