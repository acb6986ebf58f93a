/* SPDX-License-Identifier: BSD-2-Clause */
/* A function of the host behind vfio-pci: what its files share. */
#ifndef BARKEEP_DEVICE_VFIO_H
#define BARKEEP_DEVICE_VFIO_H

#include <stdatomic.h>

#include "device/sysfs.h"
#include "device/vfio_group.h"

/* The vectors of the one of MSI and MSI-X that is on. */
struct bk__vfio_messages {
	int *fds; /* as the caller gave them, -1: none; NULL while both are off */
	unsigned count;
	unsigned taken; /* those below it can be set without asking the host for more */
	unsigned most;  /* that the host was found to have */
	bool told;      /* that the host has fewer than were asked for */
};

struct bk__vfio_region {
	struct bk_device_region info;
	struct bk_device_area *areas; /* ascending */
	size_t area_count;
};

struct bk__device_vfio {
	struct bk_device base;
	char *name; /* first: the interface hands it back */
	struct bk__vfio_group *group;
	struct bk__device_vfio *next; /* in container->devices */
	char address[BK__SYSFS_ADDRESS];
	int fd;

	/* As the kernel told at open; they do not change. */
	bool function_reset;
	int shared[BK_DEVICE_ROM]; /* files of some pages of a BAR; 0: none */
	unsigned region_count;
	struct bk__vfio_region *regions;
	unsigned irq_count;
	struct bk_device_irq irqs[BK_DEVICE_IRQS];
	unsigned pmcsr; /* offset of the power control byte in config space, or 0 */

	struct bk__device_dma_table dma; /* what this device maps in the container; under its dma_lock */
	atomic_bool in_use;              /* that is something */

	pthread_mutex_t config_lock; /* read-modify-write of COMMAND */

	pthread_mutex_t irq_lock;
	unsigned irq_on;               /* which of INTX, MSI and MSIX is; BK_DEVICE_IRQS: none */
	bool irq_told[BK_DEVICE_IRQS]; /* ERR and REQ: an eventfd is set */
	struct bk__vfio_messages messages;

	/* The part of a BAR that 8-byte accesses go through; `window` is NULL while there is none. */
	pthread_mutex_t window_lock;
	void *window;
	unsigned window_region;
	uint64_t window_offset, window_size;
};

/* ---- vfio.c ---- */

/* As bk_device_open_fn; `text` is ADDRESS. */
int bk__vfio_open(void *opaque, struct bk_device_context *context, const char *text, const char *spec,
		  struct bk_device **device, struct bk_error *err);

extern const char *const bk__vfio_keys[]; /* of its options */

/*
 * The capability `id` in the chain that starts at byte `at` of an answer of
 * `size` bytes, or NULL. The kernel aligns it to nothing: copy from it.
 */
const uint8_t *bk__vfio_capability(const void *answer, uint32_t size, uint32_t at, uint16_t id);

/* ---- vfio_access.c ---- */

int bk__vfio_read(struct bk_device *device, unsigned region, uint64_t offset, void *data, size_t count);
int bk__vfio_write(struct bk_device *device, unsigned region, uint64_t offset, const void *data,
		   size_t count);

/* Memory and I/O decode on, bus master off. */
int bk__vfio_quiesce(struct bk__device_vfio *vfio);

/* Finds what writes to config space must leave alone. */
void bk__vfio_find_pm(struct bk__device_vfio *vfio);

void bk__vfio_window_close(struct bk__device_vfio *vfio);

/* ---- vfio_irq.c ---- */

int bk__vfio_set_irqs(struct bk_device *device, unsigned index, enum bk_device_irq_action action,
		      unsigned start, unsigned count, const int *fds);
void bk__vfio_irqs_off(struct bk__device_vfio *vfio);

/* VFIO_DEVICE_SET_IRQS: a negative errno, 0, or how many vectors the kernel could give. */
int bk__vfio_irq_set(struct bk__device_vfio *vfio, unsigned index, uint32_t flags, unsigned start,
		     unsigned count, const int *fds);

/* ---- vfio_messages.c: under irq_lock, `index` is MSI or MSI-X ---- */

/* Sets eventfds, with more vectors of the host where it takes them. -ENOSPC: some are not there. */
int bk__vfio_messages_set(struct bk__device_vfio *vfio, unsigned index, unsigned start, unsigned count,
			  const int *fds);

/* Writes those that are set, as if the device had fired. */
int bk__vfio_messages_fire(struct bk__device_vfio *vfio, unsigned index, unsigned start, unsigned count);

/* After the kernel was told: forgets them. */
void bk__vfio_messages_off(struct bk__device_vfio *vfio);

/* ---- vfio_dma.c ---- */

void bk__vfio_dma_init(struct bk__vfio_container *container);
void bk__vfio_dma_done(struct bk__vfio_container *container);
int bk__vfio_dma_map(struct bk_device *device, const struct bk_device_dma *dma, struct bk_error *err);
int bk__vfio_dma_unmap(struct bk_device *device, uint64_t iova, uint64_t size);
void bk__vfio_dma_unmap_all(struct bk__device_vfio *vfio);

/* ---- vfio_share.c ---- */

int bk__vfio_share(struct bk_device *device, unsigned region, const struct bk_device_area *areas,
		   size_t count, int *fd);
void bk__vfio_share_close(struct bk__device_vfio *vfio);

/* ---- vfio_reset.c ---- */

enum bk__vfio_reset {
	BK__VFIO_RESET_NONE,
	BK__VFIO_RESET_FUNCTION, /* this function only */
	BK__VFIO_RESET_BUS,      /* all functions behind its bus or slot, all of them ours */
};

/* What a reset would be now: groups that the context opens later may make one possible. */
enum bk__vfio_reset bk__vfio_reset_method(struct bk__device_vfio *vfio);

int bk__vfio_reset(struct bk_device *device);

/* The same, but never one that another open device would feel. */
int bk__vfio_reset_alone(struct bk__device_vfio *vfio);

#endif
