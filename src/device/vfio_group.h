/* SPDX-License-Identifier: BSD-2-Clause */
/* The VFIO container of a context and the IOMMU groups in it: opened once, shared by the devices. */
#ifndef BARKEEP_DEVICE_VFIO_GROUP_H
#define BARKEEP_DEVICE_VFIO_GROUP_H

#include <pthread.h>

#include "device/context.h"
#include "device/dma_table.h"

struct bk__device_vfio;

struct bk__vfio_group {
	struct bk__vfio_container *container;
	struct bk__vfio_group *next;
	int number, fd;
	unsigned uses; /* devices opened from it */
};

/* One IOMMU address space: what the devices of one guest see. */
struct bk__vfio_container {
	struct bk_device_context *context;
	unsigned apart; /* the context's */
	int fd;
	pthread_mutex_t lock; /* both lists: a reset, from any thread, walks them; taken before dma_lock */
	struct bk__vfio_group *groups;
	struct bk__device_vfio *devices;

	pthread_mutex_t dma_lock;
	pthread_cond_t dma_gone; /* signalled whenever a map has left the table */
	struct bk__device_dma_table dma;
};

/*
 * Opens the group of a function, or takes it again, and with the first group
 * the container. The lines name `spec` and say the way out. Owner only.
 */
int bk__vfio_group_get(struct bk_device_context *context, int number, const char *address, const char *spec,
		       struct bk__vfio_group **group, struct bk_error *err);

/* Gives one use back; with the last of all groups the container goes too. Close the device's fd first. */
void bk__vfio_group_put(struct bk__vfio_group *group);

/* Lists a device as open, and no more. */
void bk__vfio_group_join(struct bk__device_vfio *vfio);
void bk__vfio_group_leave(struct bk__device_vfio *vfio);

/* The open device at that address, or NULL. Under the container's lock. */
struct bk__device_vfio *bk__vfio_group_device(struct bk__vfio_container *container, const char *address);

/* The group of that number if this container has it, else NULL. Under the container's lock. */
struct bk__vfio_group *bk__vfio_group_find(struct bk__vfio_container *container, int number);

/* As bk_device_context_groups. */
unsigned bk__vfio_group_fds(struct bk__vfio_container *container, int *fds, unsigned room);

#endif
