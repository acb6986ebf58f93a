/* SPDX-License-Identifier: BSD-2-Clause */
/* Devices: what stands behind a BAR.
 *
 * A `bk_device` has the shape of a VFIO PCI device: regions to read, write and partly map,
 * interrupts by eventfds, DMA maps, reset. Kinds of device implement it (vfio, vfio-user, sim,
 * dump). Mediators take one and are one themselves, so they can be stacked. A monitor or a server
 * uses the topmost one.
 *
 * Indexes, flags and actions follow linux/vfio.h and the vfio-user protocol, but the numbers are
 * defined here: this header does not need Linux.
 */
#ifndef BARKEEP_DEVICE_H
#define BARKEEP_DEVICE_H

#include <barkeep/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Region indexes (VFIO_PCI_*_REGION_INDEX). BAR n is region n. */
enum {
	BK_DEVICE_BAR0 = 0,
	BK_DEVICE_ROM = 6,
	BK_DEVICE_CONFIG = 7,
	BK_DEVICE_VGA = 8,
	BK_DEVICE_REGIONS = 9, /* device specific ones follow */
};

/* Interrupt indexes (VFIO_PCI_*_IRQ_INDEX). */
enum {
	BK_DEVICE_INTX = 0,
	BK_DEVICE_MSI = 1,
	BK_DEVICE_MSIX = 2,
	BK_DEVICE_ERR = 3, /* an unrecoverable error happened */
	BK_DEVICE_REQ = 4, /* the host wants the device back */
	BK_DEVICE_IRQS = 5,
};

enum {
	BK_DEVICE_CAN_RESET = 1, /* reset works */
};

struct bk_device_info {
	size_t struct_size; /* of this struct, or 0: see base.h */
	unsigned flags;     /* BK_DEVICE_CAN_* */
	unsigned regions;   /* how many region indexes there are */
	unsigned irqs;      /* how many interrupt indexes there are */
};

enum {
	BK_DEVICE_READ = 1,
	BK_DEVICE_WRITE = 2,
	BK_DEVICE_MMAP = 4, /* areas of it can be mapped from `fd`, see bk_device_areas */
};

struct bk_device_region {
	size_t struct_size;
	unsigned flags;     /* BK_DEVICE_READ ... */
	int fd;             /* to map from, owned by the device; -1 without BK_DEVICE_MMAP */
	uint64_t size;      /* bytes; 0: there is no such region */
	uint64_t fd_offset; /* byte 0 of the region in that file */
};

struct bk_device_area {
	uint64_t offset, size; /* bytes in the region; page multiples, or the whole of a BAR below a page */
};

typedef void bk_device_area_fn(void *opaque, const struct bk_device_area *area);

/* One write to a register of a BAR. */
struct bk_device_doorbell {
	size_t struct_size;
	unsigned region;
	uint64_t offset;
	unsigned width;
	uint64_t value;
	bool has_fd; /* a write to the eventfd `fd` makes it, without bk_device_ioeventfd */
	int fd;      /* the device's, until `visit` returns: duplicate it */
};

typedef void bk_device_doorbell_fn(void *opaque, const struct bk_device_doorbell *doorbell);

enum {
	BK_DEVICE_IRQ_MASKABLE = 2,
	BK_DEVICE_IRQ_AUTOMASKED = 4, /* masks itself when it fires; unmask is the end of interrupt */
	BK_DEVICE_IRQ_NORESIZE = 8,
};

struct bk_device_irq {
	size_t struct_size;
	unsigned flags;
	unsigned count; /* vectors; 0: there is no such interrupt */
};

enum bk_device_irq_action {
	BK_DEVICE_IRQ_TRIGGER, /* fds[i] is written when vector start + i fires; -1: none */
	BK_DEVICE_IRQ_MASK,    /* fds must be NULL */
	BK_DEVICE_IRQ_UNMASK,  /* with fds: an eventfd that unmasks when it is written (INTx resample) */
};

enum {
	BK_DEVICE_DMA_READ = 1, /* the device may read guest memory */
	BK_DEVICE_DMA_WRITE = 2,
};

/* A range of I/O virtual addresses (the guest's physical ones). */
struct bk_device_dma {
	size_t struct_size;
	uint64_t iova, size; /* bytes; page multiples */
	unsigned flags;      /* BK_DEVICE_DMA_* */
	void *vaddr;         /* the same memory in this process; NULL: only `read` and `write` access it */
	int fd;              /* the file it comes from, or -1 */
	uint64_t fd_offset;

	/*
	 * For memory that this process has not mapped; only devices in software accept it. They
	 * transfer `count` bytes at `offset` from `iova`. 0 or a negative errno. They may be called
	 * on any thread, on several at once, until dma_unmap has returned. They must not wait for a
	 * call of the device to return: dma_unmap, reset and writes to registers wait for them.
	 */
	int (*read)(void *opaque, uint64_t offset, void *data, size_t count);
	int (*write)(void *opaque, uint64_t offset, const void *data, size_t count);
	void *opaque; /* their first argument */
};

/*
 * A device calls these when its mappable areas change, as a mediator does when traps are added. It
 * may call them on any thread, even in a handler of the device, with a lock of the device held:
 * they must not call the device, except for bk_device_areas and bk_device_region.
 *
 * lose: these pages must no longer be mapped. Once it has returned 0, they are accessed only by
 * read and write of the device. If it returns an error, they stay mapped. change: the mappable
 * areas of the region have changed, or are again as they were before a `lose`. The region may have
 * another file to map from, or none: unmap what is mapped of the old one.
 */
struct bk_device_watcher {
	size_t struct_size;
	int (*lose)(void *opaque, unsigned region, uint64_t first, uint64_t last);
	void (*change)(void *opaque, unsigned region);
};

struct bk_device;

/*
 * The operations of a device. All return 0 or a negative errno. read, write,
 * set_irqs and reset may be called on any thread at the same time; only the owner
 * calls the others, except those described as "any thread". None may wait for a
 * dispatch to end. (DMA of a device in software is not a dispatch.)
 *
 * info, region, irq: fill in the struct, which is zeroed and has all members.
 *   -EINVAL for an index that is not below `regions` or `irqs`; an index below them
 *   that the device does not use has size or count 0.
 * read, write: `count` bytes at `offset` of a region, lowest address first. 1, 2, 4
 *   or 8 aligned bytes reach the device as one access of that width where the
 *   transport has it; other counts as aligned pieces. -EINVAL past the end, -EIO
 *   when the device does not answer (data is then undefined).
 * set_irqs: see enum bk_device_irq_action. `fds` has `count` entries or is NULL.
 *   TRIGGER with count 0 and NULL turns the whole index off; with a count and NULL
 *   it writes the eventfds that are set, as if the device had fired (-EINVAL while
 *   the index is off). Vectors of MSI and MSI-X may be set one by one, in any order:
 *   the device requests vectors from the host as they are set, and vectors without
 *   an eventfd cost nothing. -ENOSPC: the host does not have that many; as many as
 *   possible are set. If the host can add vectors only by turning all of them off
 *   and on again, setting one may make others fire once more. The caller keeps its
 *   fds, and closes one of MSI or MSI-X only after it was replaced or the index was
 *   turned off. Only one of INTX, MSI and MSIX is on at a time: turn the other off
 *   first.
 * dma_map: -EEXIST on overlap. Devices that share one IOMMU address space accept an
 *   identical map once per device. -ENOMEM with a line if the memlock limit is too
 *   low. A device of the host refuses memory without a `vaddr` (-EINVAL).
 * dma_unmap: exactly what was mapped. When it has returned 0, the device does not
 *   use that memory any more; it may have to wait for a transfer to end. -ENOENT:
 *   it has no such map. After another error the device may use the memory still.
 * reset: returns the whole device to its reset state; -EOPNOTSUPP if it cannot.
 * ioeventfd: from now on, whenever the eventfd `fd` is signalled, the host writes
 *   `value` to `offset` of a BAR in one access of `width` bytes. The write does not
 *   go through this table. fd -1 undoes it. Any thread, several at once; -EEXIST if
 *   there is one, -ENOSPC if there are too many, -ENOTTY if the host cannot do it.
 * areas: calls `visit` for each area of a region that can be mapped now, in
 *   ascending order, disjoint; with `all` for each area that could be mapped if
 *   nothing were in the way. None for an index that does not exist. Any thread.
 * watch: from now on the device calls `watcher` before its mappable areas
 *   change; NULL ends that. One watcher at a time (-EBUSY). `watcher` is copied.
 *   Missing: the areas never change.
 * host_config: the first `count` bytes of config space as the host itself sees
 *   them, for a device whose `read` does not show everything (VFIO removes
 *   capabilities that it does not know from the chain). Returns the number of bytes
 *   that it filled in, or a negative errno. Missing: `read` shows everything.
 * doorbells: calls `visit` for each write that only wakes the device. The user of the
 *   device may let the host's kernel make these writes from the start, with
 *   `ioeventfd`, or by the eventfd that the device has for it. Missing: none are
 *   known. Any thread.
 * share: makes a file that holds the `count` areas of a region, at their offsets,
 *   and no other page of the device, for a process that may access only these. The
 *   device owns the file until the next `share` of that region or close; after that,
 *   mappings of it no longer reach the device, if the host can ensure that. count 0:
 *   revokes the file, and `fd` may be NULL. Owner only. -EOPNOTSUPP if there can be
 *   no such file.
 * describe: facts for people (`inspect`), as key and value.
 * close: releases everything, resets the device if it can, frees it.
 */
struct bk_device_ops {
	size_t struct_size;
	int (*info)(struct bk_device *device, struct bk_device_info *info);
	int (*region)(struct bk_device *device, unsigned index, struct bk_device_region *region);
	int (*irq)(struct bk_device *device, unsigned index, struct bk_device_irq *irq);
	int (*read)(struct bk_device *device, unsigned region, uint64_t offset, void *data, size_t count);
	int (*write)(struct bk_device *device, unsigned region, uint64_t offset, const void *data,
		     size_t count);
	int (*set_irqs)(struct bk_device *device, unsigned index, enum bk_device_irq_action action,
			unsigned start, unsigned count, const int *fds);
	int (*dma_map)(struct bk_device *device, const struct bk_device_dma *dma, struct bk_error *err);
	int (*dma_unmap)(struct bk_device *device, uint64_t iova, uint64_t size);
	int (*reset)(struct bk_device *device);
	int (*ioeventfd)(struct bk_device *device, unsigned region, uint64_t offset, unsigned width,
			 uint64_t value, int fd);
	int (*areas)(struct bk_device *device, unsigned region, bool all, bk_device_area_fn *visit,
		     void *opaque);
	int (*watch)(struct bk_device *device, const struct bk_device_watcher *watcher, void *opaque);
	int (*host_config)(struct bk_device *device, void *data, size_t count);
	int (*share)(struct bk_device *device, unsigned region, const struct bk_device_area *areas,
		     size_t count, int *fd);
	void (*describe)(struct bk_device *device,
			 void (*say)(void *opaque, const char *key, const char *value), void *opaque);
	void (*close)(struct bk_device *device);
	int (*doorbells)(struct bk_device *device, bk_device_doorbell_fn *visit, void *opaque);
};

/*
 * Embed it as the first member of your device's struct. A device that wraps another one sets
 * `below` to it and implements only the operations that it changes: for a missing one, the device
 * below is called, except for close.
 */
struct bk_device {
	const struct bk_device_ops *ops; /* static: outlives the device */
	const char *name;                /* as the user named it: "vfio:0000:01:00.0"; outlives it, too */
	struct bk_device *below;         /* or NULL; closing it is up to `close` */
};

/* ---- Calls of the operations ------------------------------------------- */
/*
 * struct bk_device_ops has the rules. If neither the device nor one below it has an operation, the
 * call returns -EOPNOTSUPP. Only bk_device_close takes NULL for `device`.
 */

/* Fill in a struct with facts about the device, a region or an interrupt index. 0; -EINVAL for an
 * index that does not exist. (An index that the device does not use has size or count 0.) Owner
 * only. */
int bk_device_info(struct bk_device *device, struct bk_device_info *info);
int bk_device_region(struct bk_device *device, unsigned index, struct bk_device_region *region);
int bk_device_irq(struct bk_device *device, unsigned index, struct bk_device_irq *irq);

/* Reads or writes `count` bytes at `offset` of a region, lowest address first. 1, 2, 4 or 8 aligned bytes are
 * one access of that width where the transport has it. 0; -EINVAL past the end; -EIO if the device does not
 * answer: `data` is undefined then. Any thread. */
int bk_device_read(struct bk_device *device, unsigned region, uint64_t offset, void *data, size_t count);
int bk_device_write(struct bk_device *device, unsigned region, uint64_t offset, const void *data,
		    size_t count);

/* Connects `count` vectors of an interrupt index, from `start` on, to eventfds, fires them, or masks and
 * unmasks the index: see `set_irqs` of struct bk_device_ops and enum bk_device_irq_action. 0; -EINVAL;
 * -ENOSPC: the host does not have that many vectors. Any thread. */
int bk_device_set_irqs(struct bk_device *device, unsigned index, enum bk_device_irq_action action,
		       unsigned start, unsigned count, const int *fds);

/* Lets the device access guest memory by DMA. 0; -EEXIST if it overlaps another map; -EINVAL for
 * memory that the device cannot use; -ENOMEM; -E2BIG (see base.h); with a line. Owner only. */
int bk_device_dma_map(struct bk_device *device, const struct bk_device_dma *dma, struct bk_error *err);

/* Removes exactly one map: `size` bytes at `iova`. It may wait for a transfer to end. 0: the device
 * does not use that memory any more; -ENOENT: there is no such map. After another error the device
 * may use the memory still: keep it. Owner only. */
int bk_device_dma_unmap(struct bk_device *device, uint64_t iova, uint64_t size);

/* Resets the whole device, which may take minutes. 0; -EOPNOTSUPP if it cannot. Any thread. */
int bk_device_reset(struct bk_device *device);

/* Whenever the eventfd `fd` is signalled, the host writes `value` to `offset` of a BAR in one
 * access of `width` bytes. fd -1 undoes it. 0; -EEXIST if there is one; -ENOSPC if there are too
 * many; -ENOTTY if the host cannot do it. Any thread. */
int bk_device_ioeventfd(struct bk_device *device, unsigned region, uint64_t offset, unsigned width,
			uint64_t value, int fd);

/* Calls `visit` for each area of a region that can be mapped now, in ascending order; with `all` for each
 * area that could be mapped if nothing were in the way. 0 or a negative errno. Any thread. */
int bk_device_areas(struct bk_device *device, unsigned region, bool all, bk_device_area_fn *visit,
		    void *opaque);

/* From now on the device calls `watcher`, which is copied, before its mappable areas change; NULL ends that.
 * 0; -EBUSY if it has a watcher. Owner only. */
int bk_device_watch(struct bk_device *device, const struct bk_device_watcher *watcher, void *opaque);

/* Reads the first `count` bytes of config space as the host itself sees them. Returns how many
 * bytes it read, or a negative errno. Owner only. */
int bk_device_host_config(struct bk_device *device, void *data, size_t count);

/* Calls `visit` for each write that only wakes the device, and that the host's kernel may therefore make,
 * with bk_device_ioeventfd or by the device's own eventfd. 0 or a negative errno. Any thread. */
int bk_device_doorbells(struct bk_device *device, bk_device_doorbell_fn *visit, void *opaque);

/* Makes a file that holds the `count` areas of a region, and no other page of the device. The
 * device owns the file until the next call for that region or close. count 0 revokes it, and `fd`
 * may be NULL. 0; -EOPNOTSUPP if there can be no such file. Owner only. */
int bk_device_share(struct bk_device *device, unsigned region, const struct bk_device_area *areas,
		    size_t count, int *fd);

/* Calls `say` with facts for people, as key and value. Owner only. */
void bk_device_describe(struct bk_device *device,
			void (*say)(void *opaque, const char *key, const char *value), void *opaque);

/* Releases everything, resets the device if it can, and frees it. NULL does nothing. Owner only. */
void bk_device_close(struct bk_device *device);

/*
 * Read or write one integer of `width` bytes (1, 2, 4 or 8), in PCI's little-endian order on every
 * host. 0 or a negative errno. After an error, bytes of `*value` that could not be read are 0. Any
 * thread.
 */
int bk_device_read_value(struct bk_device *device, unsigned region, uint64_t offset, unsigned width,
			 uint64_t *value);
int bk_device_write_value(struct bk_device *device, unsigned region, uint64_t offset, unsigned width,
			  uint64_t value);

/* The name of a region for users: "bar0" to "bar5", "rom", "config" or "vga"; "region" for others.
 * Any thread. */
const char *bk_device_region_name(unsigned region);

/* ---- Kinds and contexts ------------------------------------------------ */

/*
 * Devices opened through one context share what the host provides only once: a VFIO container, an
 * IOMMU group. Use one context per guest. It must outlive its devices. NULL when out of memory.
 * Owner only.
 */
struct bk_device_context;
struct bk_device_context *bk_device_context_create(void);
void bk_device_context_destroy(struct bk_device_context *context);

/*
 * Opens a device of one kind. `spec` is what the user named, "KIND:TEXT", and
 * `text` points behind its colon; options such as `,key=value` are part of it.
 * It returns what bk_device_open does: 0 with a device that the caller closes, or a negative errno
 * with a line.
 */
typedef int bk_device_open_fn(void *opaque, struct bk_device_context *context, const char *text,
			      const char *spec, struct bk_device **device, struct bk_error *err);

/*
 * Adds a kind of device: from now on `bk_device_open` passes every "KIND:..." to `open`. A context
 * has vfio, sim, dump and vfio-user from the start. -EEXIST if it has this kind already; -EINVAL
 * unless the name consists of at most 31 characters a-z, 0-9 and -; -ENOSPC after 64 kinds. Owner
 * only.
 */
int bk_device_context_add_kind(struct bk_device_context *context, const char *kind, bk_device_open_fn *open,
			       void *opaque);

/*
 * Stores the VFIO group fds in use, up to `room` of them, and returns how many there are (`fds` may
 * be NULL if `room` is 0). The context owns them; each is valid until the last device of its group
 * is closed. A monitor passes them to KVM (KVM_DEV_VFIO_GROUP_ADD), which then honours DMA that
 * does not snoop the caches. Owner only.
 */
unsigned bk_device_context_groups(struct bk_device_context *context, int *fds, unsigned room);

/* I/O virtual addresses, both inclusive. */
struct bk_device_iova_range {
	uint64_t first, last;
};

/*
 * Stores the ranges of I/O virtual addresses that the host's IOMMU lets devices use, ascending and
 * disjoint, up to `room` of them, and returns how many there are (`ranges` may be NULL if `room` is
 * 0). 0: no address is known to be reserved. If guest memory is mapped at the guest's own
 * addresses, it must be inside these ranges: on AMD hosts nothing can be mapped from 0xfd00000000
 * to 0xffffffffff. While a vfio device is open, VFIO reports the ranges. Before that, they are what
 * no IOMMU group of the host reserves, so that a guest can be laid out before its devices are
 * opened. Owner only.
 */
unsigned bk_device_context_iova_ranges(struct bk_device_context *context, struct bk_device_iova_range *ranges,
				       unsigned room);

/*
 * Opens a device: `vfio:DDDD:BB:SS.F`, `vfio-user:PATH`, `sim:FILE`, `dump:FILE` or a kind that
 * bk_device_context_add_kind added. Options of the kind follow as `,key=value`; double a comma
 * inside a name or value. On failure `err` says what is wrong and what to do: no such device; bound
 * to another driver (which one, and the commands to rebind); the group is not viable (which other
 * devices, and what to do); no IOMMU; no permission. Errors in `sim:` files name file, line and
 * column, those in `dump:` files file and line. 0 with a device that the caller closes, or a
 * negative errno. Owner only.
 */
int bk_device_open(struct bk_device_context *context, const char *spec, struct bk_device **device,
		   struct bk_error *err);

#ifdef __cplusplus
}
#endif
#endif
