/* SPDX-License-Identifier: BSD-2-Clause */
/* Mediators: devices whose BARs carry traps.
 *
 * A mediator takes a bk_device, builds the PCI function that a guest sees, and makes each BAR a space:
 * the device is the region at the bottom (mapped if the device can be mapped), each trap is a region
 * above it. The MSI-X table and PBA are traps of the same list. A monitor attaches the function to a
 * bus. The mediator is also a bk_device, whose regions are the spaces, so it can stand below another
 * mediator or a server.
 *
 * Threads: traps may be added and removed at any time from any thread, also
 * from a trap's own handler. Handlers run with no barkeep lock held, on the
 * thread of the access.
 */
#ifndef BARKEEP_MEDIATE_H
#define BARKEEP_MEDIATE_H

#include <barkeep/device.h>
#include <barkeep/pci.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bk_mediator;
struct bk_trap;

/* Zero-initialise it. Copied. */
struct bk_mediator_options {
	size_t struct_size;    /* see base.h */
	bool rom_off;          /* show no expansion ROM */
	const void *rom_image; /* show this instead of the device's own; copied */
	size_t rom_size;       /* bytes, at most 16 MiB */
	bool below_port; /* for use behind a PCI Express port: an endpoint with a link, not integrated */
	bool vga;        /* show the legacy VGA ranges of a device that has them (class 0300) */

	/*
	 * Show the MSI-X table and PBA in BAR `msix_bar` (0..5) instead of where the device has them,
	 * so that no other registers share a page with them. If the device has this BAR, it is shown at
	 * twice its size or more, with the table from the middle on. If the device has no such BAR, one
	 * is added: 64-bit prefetchable if the next index is free, else 32-bit. The table's old place
	 * becomes ordinary registers, which the guest can write. So use it only if the IOMMU remaps
	 * interrupts.
	 */
	bool msix_move;
	unsigned msix_bar;

	/*
	 * Map a memory BAR smaller than a page while it starts a page and nothing else is in that page.
	 * The guest then also reaches the rest of the page. Use it only if the device has nothing there
	 * that a guest must not touch.
	 */
	bool share_page;

	/*
	 * Filter mode: another program, such as a virtual machine monitor with its own PCI model, uses
	 * this mediator in place of the device below. There is no function. Each access to config space
	 * reads or writes the device's, except for the ROM's register and what msix_move changes. The
	 * mediator leaves COMMAND alone, makes no traps of the MSI-X table and PBA, and maps no BARs; a
	 * reset resets the device. share_page and below_port have no effect.
	 */
	bool filter;
};

/*
 * Creates a mediator. It takes ownership of `below`: bk_mediator_destroy closes it, and so does this
 * call if it fails. It reads the device's config space and regions and builds the function. Ids, BARs
 * and capabilities are the device's. Power management, MSI, MSI-X, Express and AF are modelled. SR-IOV,
 * ATS, PRI, PASID, ACS, ARI, IDE, DOE and Enhanced Allocation are hidden. Resizable BARs show their
 * current size. Vital product data can be read. Other capabilities are live: each access reads the
 * device, as for STATUS. From 0x40 on, bytes outside any capability, shown or hidden, are live, too.
 *
 * A write reaches the device at the guest's width where drivers need that: in vendors' capabilities
 * (vendor-specific, VSEC, DVSEC), in AER, power budgeting and PCI-X, and in bytes outside any
 * capability. Writes to Device Control and Device Control 2 go to the model and to the device, except
 * for the payload size, which stays the host's. Above 0x100 a host may hide capabilities.
 * bk_device_host_config shows which bytes belong to them; without it, bytes there outside any
 * capability are read-only. All other writes from 0x40 on are counted (bk_trap_stats), and logged once
 * for each register.
 *
 * The device's COMMAND.IO and MEM stay 1 until it is closed. MASTER follows the guest's. A reset of the
 * function resets the device.
 *
 * If a part of the device's description makes no sense, the mediator leaves that part out, with a line
 * in the log: a BAR that is too small (below 4 bytes of I/O, 16 of memory), or MSI-X with a table or
 * PBA outside its BAR or both at the same place. If the size of a BAR is not a power of two, it is
 * rounded up to one. A PBA that starts inside the table is shown from the table's end on.
 *
 * -ENODEV with a line if the device does not answer (its ids or all of its registers are all ones);
 * -EINVAL with a line if the device cannot have what an option asks for; -ENOMEM; or an error of the
 * device below. Owner only.
 */
int bk_mediator_create(struct bk_domain *domain, struct bk_device *below,
		       const struct bk_mediator_options *options, struct bk_mediator **mediate,
		       struct bk_error *err);

/*
 * Removes all traps, waits for readers and closes the device below. -EBUSY with a line in the log if
 * the function is on a bus, or if another space shows one of the mediator's or one has listeners;
 * -EDEADLK from a handler. On an error nothing is changed, and you may try again. Owner only; accesses
 * to the spaces may still be in progress.
 */
int bk_mediator_destroy(struct bk_mediator *mediate);

/* The mediated device as a device. Closing it destroys the mediator (bk_mediator_destroy). Any thread, any
 * handler. */
struct bk_device *bk_mediator_device(struct bk_mediator *mediate);

/* The device below. Any thread, any handler. */
struct bk_device *bk_mediator_below(struct bk_mediator *mediate);

/* The function that the guest sees; a monitor attaches it to a bus. NULL in filter mode. Any thread,
 * any handler. */
struct bk_pci_function *bk_mediator_function(struct bk_mediator *mediate);

/*
 * The space of a region (BAR 0..5, BK_DEVICE_ROM, BK_DEVICE_CONFIG,
 * BK_DEVICE_VGA); NULL if there is none. Its flat view says which pages can be mapped and which traps
 * are in the others. Offsets in the VGA space are the VGA addresses: memory at 0xa0000-0xbffff, ports
 * at 0x3b0-0x3bb and 0x3c0-0x3df. Valid as long as the mediator. Any thread, any handler.
 */
struct bk_space *bk_mediator_space(struct bk_mediator *mediate, unsigned region);

/*
 * Finds the first capability of an id in the config space that a guest sees, ignoring traps (PCI 3.0
 * 6.7; extended: PCIe 7.6.3). -ENOENT if there is none. Any thread, any handler, not with the
 * function's lock held.
 */
int bk_mediator_capability(struct bk_mediator *mediate, bool extended, unsigned id, unsigned *offset);

/* ---- Traps ------------------------------------------------------------- */

/*
 * The handlers of a trap; copied when it is added. `offset` is in bytes from the
 * start of the region, so that one handler can serve many places. `width` is 1,
 * 2, 4 or 8. Return 0 or a negative errno: the read then gives all ones, the
 * write is dropped, and the error is counted and reported as in bk_region_ops.
 * They may call the device below. If one is missing, the access goes to bk_mediator_below_read or
 * _write.
 */
struct bk_trap_ops {
	size_t struct_size; /* see base.h */
	int (*read)(void *opaque, unsigned region, uint64_t offset, unsigned width, uint64_t *value);
	int (*write)(void *opaque, unsigned region, uint64_t offset, unsigned width, uint64_t value);
	void (*released)(void *opaque); /* as in bk_region_ops */
	unsigned widths;                /* as in bk_region_ops */
};

/* The priority of the device's own registers; traps are above. */
#define BK_TRAP_PRIORITY 16

/* What the `offset` of a trap is relative to. */
enum bk_trap_from {
	BK_TRAP_FROM_START,      /* of the region */
	BK_TRAP_FROM_CAPABILITY, /* the first capability of this id; the region is config space */
	BK_TRAP_FROM_EXTENDED,   /* the same among the extended ones */
};

/* What answers: handlers, or a ready-made trap. */
enum bk_trap_verb {
	BK_TRAP_HANDLERS, /* `ops` */
	BK_TRAP_MIRROR,   /* shows config space, as the guest sees it, from `value` on; not allowed in config
			     space */
	BK_TRAP_CONSTANT, /* reads give the bytes of `value`, repeated every `width`; writes vanish */
	BK_TRAP_LOG,      /* goes to bk_mediator_below_read or _write, and leaves a (rate-limited) log line */
};

/* Zero-initialise it; it is copied, with everything it points to except `opaque`. */
struct bk_trap_desc {
	size_t struct_size;
	unsigned region; /* BAR 0..5, BK_DEVICE_ROM, BK_DEVICE_CONFIG or BK_DEVICE_VGA */
	enum bk_trap_from from;
	unsigned capability; /* its id; found when the trap is added */
	int priority; /* added to BK_TRAP_PRIORITY, -14 or more; among equals the trap that starts lower wins
		       */
	uint64_t offset, length; /* bytes */
	/*
	 * A read of 2, 4 or 8 bytes that is only partly in the trap reads the device once, at the
	 * guest's width (bk_mediator_below_read); the trap's bytes then replace the device's. Otherwise
	 * such a read is split at the trap's edge, and writes always are.
	 */
	bool overlay;
	/*
	 * For a trap in a BAR whose writes only go to the device at the same place: a write that
	 * repeats may then be made without a call of the handler, see bk_mediator_accelerate. Such a
	 * write is not counted either.
	 */
	bool accelerate;
	const char *name; /* for people; NULL: "trap", or the verb as bk_trap_parse has it */
	enum bk_trap_verb verb;
	const struct bk_trap_ops *ops; /* of BK_TRAP_HANDLERS */
	void *opaque;                  /* of its handlers */
	uint64_t value;                /* of BK_TRAP_CONSTANT and BK_TRAP_MIRROR */
	unsigned width;                /* of BK_TRAP_CONSTANT, in bytes: 1, 2, 4 or 8 */
};

/*
 * Adds a trap. It takes effect before the call returns; each access is either before or after that.
 * -EINVAL with a line for a place outside the device, -ENOENT with a line if it has no such capability,
 * -EEXIST if a trap of the same priority starts at the same offset, -ESHUTDOWN while the mediator is
 * being destroyed, -ENOMEM; after an error `released` is not called. The MSI-X table and PBA are traps
 * of priority -1. `*trap` is set before a handler can run. Any thread, any handler.
 */
int bk_trap_add(struct bk_mediator *mediate, const struct bk_trap_desc *desc, struct bk_trap **trap,
		struct bk_error *err);

/*
 * Replaces `old` by a new trap in one step: each access finds exactly one of them. The new trap may be
 * elsewhere in the device. Its counters start at zero. `old` is as after bk_trap_remove. Errors as
 * bk_trap_add; after an error `old` stays. Any thread, any handler.
 */
int bk_trap_replace(struct bk_trap *old, const struct bk_trap_desc *desc, struct bk_trap **trap,
		    struct bk_error *err);

/* Removes a trap: the registers below answer again, and pages without another trap can be mapped again.
 * `released` is called when no reader is inside. `trap` must not be used again; bk_mediator_destroy
 * removes the traps that are left. It cannot fail: when out of memory, the registers below answer all
 * the same, but pages stay unmapped and `released` is not called until a later change. Any thread, any
 * handler. */
void bk_trap_remove(struct bk_trap *trap);

/*
 * Removes (false) or restores (true) the trap over the MSI-X PBA, which is there at first. The trap
 * keeps the PBA's page from being mapped. It is needed only while a vector is pending that the guest
 * has masked, because the device does not know of this mask; at other times the device's own PBA has
 * the same bits. So a caller that learns when vectors become pending (bk_pci_irq_ops) can remove the
 * trap in between. The trap's counters start at zero each time. An access that exits for another reason
 * always finds the function's bits. -ENOTSUP: the page would not be mapped in any case, because the
 * device does not allow it, the MSI-X table is in it, a trap of lower priority covers the PBA, or there
 * is no PBA; nothing is changed. True can also return the errors of bk_trap_add; the trap is then not
 * there. Any thread, any handler, with the function's lock held or not; one call at a time.
 */
int bk_mediator_trap_pba(struct bk_mediator *mediate, bool trap);

/*
 * REGION+OFFSET/LENGTH:VERB, as in `bar2+0xf00/0x100:mirror`,
 * `bar0+0x40/4:const=0x12345678`, `config+0x40/2:log`, `cap:0x11+2/2:log`.
 * REGION is bar0 to bar5, rom, config or vga, or a capability of config space by its id, `cap:ID` or
 * (extended) `ext:ID`; OFFSET is then relative to the capability. Numbers are decimal or 0x. VERB is
 * `mirror` or `mirror=CONFIG_OFFSET` (neither may be on config), `const=VALUE` or `log`. A constant is
 * as wide as LENGTH if that is 1, 2, 4 or 8, otherwise 4 bytes, or 8 if VALUE needs them. `:overlay`
 * may follow, and after log `:accelerate` (bk_trap_desc). Fills in `desc`, which must be
 * zero-initialised; members that the text does not set become 0. -EINVAL with a line. Any thread.
 */
int bk_trap_parse(const char *text, struct bk_trap_desc *desc, struct bk_error *err);

/*
 * Makes an access as if the user's traps were not there, at this width. In a BAR or the VGA ranges it
 * goes to the device below, except that the function answers in the MSI-X table and PBA; in the ROM it
 * reads the image; in config space it reads or writes the function's registers and the device's live
 * ones. (The device's own registers are in bk_device_read of bk_mediator_below.) For handlers of traps.
 * -EINVAL for a width that is not 1, 2, 4 or 8 or past the end, or an error of the device. Any thread,
 * any handler; in config space and in the MSI-X table and PBA not with the function's lock held.
 */
int bk_mediator_below_read(struct bk_mediator *mediate, unsigned region, uint64_t offset, unsigned width,
			   uint64_t *value);
int bk_mediator_below_write(struct bk_mediator *mediate, unsigned region, uint64_t offset, unsigned width,
			    uint64_t value);

/* ---- Acceleration ------------------------------------------------------ */

/* A write of `value`, `width` bytes at `offset` of a BAR, that a trap has passed on BK_ACCELERATE_AFTER times
 * in a row. */
struct bk_accelerated {
	size_t struct_size;
	const struct bk_region
		*region;        /* the trap's, to be found in the guest's view; never to be looked into */
	uint64_t region_offset; /* of the write in that region, as bk_flat has it */
	unsigned bar;
	uint64_t offset;
	unsigned width;
	uint64_t value;
};

#define BK_ACCELERATE_AFTER 10

/*
 * Callbacks by which the monitor lets the host's kernel make such writes (for KVM and VFIO: an eventfd
 * between the two). start returns 0 and sets *handle, which is later passed to stop, or it returns a
 * negative errno: then the trap works as before. Both may be called on any thread, in a handler, with
 * the function's lock held; they may add and remove listeners, but must not commit, or call bk_trap_*
 * or bk_mediator_* on this mediator. Afterwards the write must not reach the trap, unless it cannot be
 * made otherwise.
 */
struct bk_accelerator_ops {
	size_t struct_size;
	int (*start)(void *opaque, const struct bk_accelerated *what, void **handle);
	void (*stop)(void *opaque, void *handle);
};

/*
 * Turns acceleration on, or off with NULL; call it with NULL before `opaque` becomes invalid. At most
 * ten writes of a function are accelerated at a time. They are stopped when the function is reset, when
 * their trap is removed, and by this call. `ops` is copied. 0, or -E2BIG; with NULL it cannot fail.
 * Owner only.
 */
int bk_mediator_accelerate(struct bk_mediator *mediate, const struct bk_accelerator_ops *ops, void *opaque);

/*
 * The region of a BAR's registers that have no trap and are not mapped. Compare it with regions in the
 * guest's view; do not use it otherwise. NULL: there is no such BAR. Owner only.
 */
const struct bk_region *bk_mediator_registers(const struct bk_mediator *mediate, unsigned bar);

/* ---- Counters ---------------------------------------------------------- */

struct bk_trap_stats {
	size_t struct_size;
	const char *name; /* of the trap; NULL: registers without a trap */
	unsigned region;
	uint64_t offset, length;
	uint64_t reads, writes, errors;
	uint64_t last; /* the value that was read or written last, without an error; a trap's only */
	uint64_t lost; /* of config space without a trap: writes that reached neither device nor model */
	unsigned accelerated; /* how many different writes are made without the trap; these are not counted */
};

/*
 * Calls `visit` for every trap in order of region and offset. Before the traps of a region it calls
 * `visit` for the region itself, with the accesses that reached registers without a trap (exits on
 * pages that could not be mapped, or were not mapped yet). Names are valid until `visit` returns. Any
 * thread; `visit` must not add, replace or remove traps.
 */
void bk_mediator_stats(struct bk_mediator *mediate,
		       void (*visit)(void *opaque, const struct bk_trap_stats *stats), void *opaque);

/*
 * Shows what traps cost the registers beside them. Calls `visit` for every page that is not mapped only
 * because a trap is in a part of it, with the accesses there that reached registers without a trap.
 * (bk_mediator_stats includes them in those of the region.) `name` is NULL, `last` 0. A page that a
 * trap covers completely has no such registers. In order of region and offset; rules of
 * bk_mediator_stats.
 */
void bk_mediator_page_stats(struct bk_mediator *mediate,
			    void (*visit)(void *opaque, const struct bk_trap_stats *stats), void *opaque);

/* ---- Each access ------------------------------------------------------- */

/* A finished access. */
struct bk_access {
	size_t struct_size;
	const char *trap; /* the name of the trap that answered; NULL: registers without a trap */
	unsigned region;
	unsigned width;  /* bytes: 1, 2, 4 or 8 */
	uint64_t offset; /* bytes from the start of the region */
	bool write;
	int error;      /* 0, or the negative errno of the handler or the device */
	uint64_t value; /* read or written; undefined after an error */
};

typedef void bk_access_fn(void *opaque, const struct bk_access *access);

/*
 * From now on `record` is called after each access that reaches the mediator's spaces; it replaces an
 * earlier one, and NULL ends that. Each part of a split access counts as one access, and so does an
 * overlay's read of the device. Accesses to mapped pages and accelerated writes are not reported.
 * `record` runs in the handler, on the thread of the access, on several threads at once: the rules of
 * handlers apply, and the vCPU waits for it.
 *
 * The call waits for accesses in progress: when it returns, the old `record` is not called any more.
 * -EDEADLK from a handler. Owner only, with no lock held that `record` takes.
 */
int bk_mediator_record(struct bk_mediator *mediate, bk_access_fn *record, void *opaque);

#ifdef __cplusplus
}
#endif
#endif
