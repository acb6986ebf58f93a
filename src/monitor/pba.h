/* SPDX-License-Identifier: BSD-2-Clause */
/* The page of an MSI-X PBA: mapped, until a vector that the guest masks has fired. */
#ifndef BK_MONITOR_PBA_H
#define BK_MONITOR_PBA_H

#include <barkeep/mediate.h>

#include "base/loop.h"

struct bk__monitor_pba;

/* Removes the trap over the PBA; call it before the function's interrupts are set up. NULL: the page cannot
 * be mapped anyway, or vectors cannot be watched, and the trap stays. Only the owner of the loop, which
 * watches them. */
struct bk__monitor_pba *bk__monitor_pba_create(struct bk__base_loop *loop, struct bk_mediator *mediate);

/* The vector is masked, and KVM does not read its eventfd: what is in it is pending from now on. Any thread,
 * the function's lock held; with NULL it does nothing. */
void bk__monitor_pba_watch(struct bk__monitor_pba *pba, unsigned vector, int fd);

/* That again: before KVM reads it, or it is closed. Does nothing where it is not watched. */
void bk__monitor_pba_leave(struct bk__monitor_pba *pba, unsigned vector, int fd);

/* When no vector is watched any more. The trap is back. Owner only; NULL is allowed. */
void bk__monitor_pba_destroy(struct bk__monitor_pba *pba);

#endif
