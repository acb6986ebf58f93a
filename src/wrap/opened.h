/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device that the program has opened, with the mediator that stands between.
 *
 * Accesses count themselves in and out. Closing the last descriptor also decrements that count; the
 * thread that makes it zero destroys the mediator.
 */
#ifndef BARKEEP_WRAP_DEVICE_H
#define BARKEEP_WRAP_DEVICE_H

#include <barkeep/mediate.h>

#include "wrap/files.h"
#include "wrap/wrap.h"

/* A region as the kernel describes it. */
struct bk__wrap_region {
	uint32_t flags; /* VFIO_REGION_INFO_FLAG_* */
	uint64_t size;
	uint8_t *answer; /* all of the kernel's, with its capabilities; NULL: there is no such region */
	uint32_t answer_size;
};

struct bk__wrap_device {
	struct bk_device back; /* first: the program's descriptor as a device (back.c) */
	char name[128];        /* of it */
	int fd;                /* a duplicate of the program's, private */
	unsigned flags;        /* VFIO_DEVICE_FLAGS_* */
	unsigned region_count, irq_count;
	struct bk__wrap_region regions[BK_DEVICE_REGIONS];

	unsigned users;    /* atomic; 0: it is gone */
	unsigned unmapped; /* atomic: bit n: the program maps region n whole or not at all: so not at all */
	unsigned child;    /* which of the forks opened it */
	uint64_t position; /* atomic: of read and write */

	struct bk_mediator *mediate;
	void *opaque; /* the argument of the function that mediated it */
	struct bk__wrap_file *file;
	struct bk__wrap_device *next; /* of those that are open, under a lock */
};

static inline struct bk__wrap_device *bk__wrap_device_of(const struct bk__wrap_file *file)
{
	return __atomic_load_n(&file->device, __ATOMIC_ACQUIRE);
}

/* The file's device, with a name such as 0000:01:00.0 or "" for one that is to be found, is mediated. -errno
 * after a line. `fd` may be any descriptor of it. */
int bk__wrap_device_begin(struct bk__wrap_file *file, int fd, const char *name);

/* The last descriptor is closed. */
void bk__wrap_device_end(struct bk__wrap_file *file);

/* Around each use of what is in it. NULL: it is gone. */
struct bk__wrap_device *bk__wrap_device_enter(struct bk__wrap_file *file);
void bk__wrap_device_leave(struct bk__wrap_device *device);

/* Region n is to be asked of the mediator from now on. */
static inline void bk__wrap_device_mediates(struct bk__wrap_device *device, unsigned region)
{
	__atomic_fetch_or(&device->file->mediated, 1u << region, __ATOMIC_RELEASE);
}

/* Does it differ from the device's? */
static inline bool bk__wrap_device_is_mediated(const struct bk__wrap_device *device, uint64_t region)
{
	return region < BK_DEVICE_REGIONS &&
	       __atomic_load_n(&device->file->mediated, __ATOMIC_ACQUIRE) >> region & 1;
}

/* Is it not to be mapped? */
static inline bool bk__wrap_device_is_unmapped(const struct bk__wrap_device *device, uint64_t region)
{
	return region < BK_DEVICE_REGIONS &&
	       __atomic_load_n(&device->unmapped, __ATOMIC_ACQUIRE) >> region & 1;
}

/* Which region an offset of a descriptor is in, if the mediator answers there; else -1. */
static inline int bk__wrap_device_region(const struct bk__wrap_device *device, uint64_t offset)
{
	const uint64_t region = offset >> BK__WRAP_OFFSET_BITS;

	return bk__wrap_device_is_mediated(device, region) ? (int)region : -1;
}

/* All devices were reset by a call for one of them. */
void bk__wrap_devices_were_reset(void);

/* Around a fork: waits until no thread is inside a device, and lets threads in again; the child drops
 * the devices that it cannot have. */
void bk__wrap_device_hold(void);
void bk__wrap_device_go_on(bool child);

/* This process has a copy of another's devices, and no fork was seen. */
void bk__wrap_device_copied(void);

/* Calls `visit` for each open device, which cannot end meanwhile. */
void bk__wrap_device_visit(void (*visit)(void *opaque, struct bk__wrap_device *device), void *opaque);

/* ---- back.c ---- */

/* Reads what the kernel says of the device. -errno with a line. */
int bk__wrap_back_open(struct bk__wrap_device *device, int fd, struct bk_error *err);
void bk__wrap_back_close(struct bk__wrap_device *device);

#endif
