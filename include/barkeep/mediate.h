/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device whose BARs carry traps.
 *
 * A mediated device takes a bk_device, builds the PCI function that a guest
 * sees of it, and makes each BAR a space: the device is the region at the
 * bottom (mapped where the device can be mapped), each trap is a region above
 * it. The MSI-X table and PBA are traps of the same list. It is a bk_device
 * itself, whose regions are the spaces, so that it can stand below another
 * mediator or a server; a monitor attaches its function to a bus.
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
	bool below_port; /* it goes behind a PCI Express port: an endpoint with a link, not integrated */
	bool vga;        /* show the legacy VGA ranges of a device that has them (class 0300) */

	/*
	 * Show the MSI-X table and PBA in BAR `msix_bar` (0..5) instead of where
	 * the device has them, so that its other registers there do not share a
	 * page with them. If the device has this BAR, it is shown at twice its
	 * size or more, with the table from the middle on. If the device has no
	 * such BAR, one is added: 64-bit prefetchable if the next index is free,
	 * else 32-bit. The table's old place becomes registers like all others.
	 * Let a guest near them only if the IOMMU remaps interrupts.
	 */
	bool msix_move;
	unsigned msix_bar;

	/*
	 * Map a memory BAR smaller than a page while it starts a page and nothing
	 * else is in that page. The guest then also reaches the rest of the page.
	 * Use it only for devices that have nothing there that a guest must not
	 * touch.
	 */
	bool share_page;

	/*
	 * Another program models the device, and uses this mediator instead of the
	 * device below (a virtual machine monitor with a model of its own). There
	 * is no function. Each access to config space reads or writes the device's,
	 * except for the ROM's register and what msix_move changes. The mediator
	 * leaves COMMAND alone, makes no traps of the MSI-X table and PBA, and maps
	 * no BARs; a reset resets the device. share_page and below_port have no
	 * effect.
	 */
	bool filter;
};

/*
 * Takes `below` (closed by bk_mediator_destroy, also when this fails). Reads its
 * config space and regions, builds the function: ids, BARs, capabilities as
 * the device has them; power management, MSI, MSI-X, Express and AF modelled;
 * SR-IOV, ATS, PRI, PASID, ACS, ARI, IDE, DOE and Enhanced Allocation hidden;
 * resizable BARs with the size they have; vital product data that can be read;
 * other capabilities live, that is read from the device at each access, as
 * STATUS is. From 0x40 on, bytes that are in no capability, shown or hidden, are
 * live, too.
 *
 * A write reaches the device at the guest's width where its driver needs that:
 * in vendors' capabilities (vendor-specific, VSEC, DVSEC), in AER, power
 * budgeting and PCI-X, and in bytes of no capability. Device Control and Device
 * Control 2 are kept by the model and reach the device, except for the payload
 * size, which stays the host's. Above 0x100 a host may hide capabilities.
 * bk_device_host_config shows which bytes belong to them; without it, bytes in
 * no capability are read-only there. All other writes from 0x40 on are counted
 * (bk_trap_stats), and logged once for each register.
 *
 * The device's COMMAND.IO and MEM are 1 until it is closed; MASTER follows the
 * guest's; a reset of the function resets the device.
 *
 * What a device says of itself does not refuse it. What makes no sense is left
 * out, with one line in the log: a BAR that cannot be one (below 4 bytes of I/O,
 * 16 of memory), MSI-X of which the table or PBA is outside its BAR or both
 * are at the same place. A BAR that is no power of two is shown with the next
 * one, a PBA that starts inside the table has what is left of it.
 *
 * -ENODEV with a line if the device does not answer (its ids or all of its
 * registers are all ones); -EINVAL with one if an option asks for what it cannot
 * have; -ENOMEM; what the device below returns. Owner only.
 */
int bk_mediator_create(struct bk_domain *domain, struct bk_device *below,
		       const struct bk_mediator_options *options, struct bk_mediator **mediate,
		       struct bk_error *err);

/*
 * Removes all traps, waits for readers, closes the device below. -EBUSY with a
 * line in the log if its function is on a bus, or if somebody else shows or
 * listens to one of its spaces; -EDEADLK from a handler. Then nothing is
 * changed, and it may be tried again. Owner only; accesses may still be under
 * way in the spaces.
 */
int bk_mediator_destroy(struct bk_mediator *mediate);

/* The mediated device as a device. Closing it destroys the mediator (bk_mediator_destroy). Any thread, any
 * handler. */
struct bk_device *bk_mediator_device(struct bk_mediator *mediate);

/* The device below. Any thread, any handler. */
struct bk_device *bk_mediator_below(struct bk_mediator *mediate);

/* What a guest sees of it; a monitor attaches it to a bus. NULL in filter mode. Any thread, any handler. */
struct bk_pci_function *bk_mediator_function(struct bk_mediator *mediate);

/*
 * The space of a region (BAR 0..5, BK_DEVICE_ROM, BK_DEVICE_CONFIG,
 * BK_DEVICE_VGA); NULL if there is none. Its flat view says which pages can be
 * mapped and who traps the others. In VGA's, offsets are the addresses that
 * VGA has: memory at 0xa0000-0xbffff, ports at 0x3b0-0x3bb and 0x3c0-0x3df.
 * Valid as long as the mediator. Any thread, any handler.
 */
struct bk_space *bk_mediator_space(struct bk_mediator *mediate, unsigned region);

/*
 * Where the first capability of an id is in the config space that a guest
 * sees, traps left aside (PCI 3.0 6.7; extended: PCIe 7.6.3). -ENOENT if there
 * is none. Any thread, any handler, not with the function's lock held.
 */
int bk_mediator_capability(struct bk_mediator *mediate, bool extended, unsigned id, unsigned *offset);

/* ---- Traps ------------------------------------------------------------- */

/*
 * The handlers of a trap; copied when it is added. `offset` is in bytes from the
 * start of the region, so that one handler can serve many places. `width` is 1,
 * 2, 4 or 8. Return 0 or a negative errno: the read then gives all ones, the
 * write is dropped, and the error is counted and reported as in bk_region_ops.
 * They may call the device below. A missing one is bk_mediator_below_read or
 * _write.
 */
struct bk_trap_ops {
	size_t struct_size; /* see base.h */
	int (*read)(void *opaque, unsigned region, uint64_t offset, unsigned width, uint64_t *value);
	int (*write)(void *opaque, unsigned region, uint64_t offset, unsigned width, uint64_t value);
	void (*released)(void *opaque); /* as in bk_region_ops */
	unsigned widths;                /* as in bk_region_ops */
};

/* Where device registers without a trap are; traps are above. */
#define BK_TRAP_PRIORITY 16

/* Where `offset` of a trap counts from. */
enum bk_trap_from {
	BK_TRAP_FROM_START,      /* of the region */
	BK_TRAP_FROM_CAPABILITY, /* the first capability of this id; the region is config space */
	BK_TRAP_FROM_EXTENDED,   /* the same among the extended ones */
};

/* Who answers: handlers, or a ready-made trap. */
enum bk_trap_verb {
	BK_TRAP_HANDLERS, /* `ops` */
	BK_TRAP_MIRROR,   /* shows config space, as the guest sees it, from `value` on; not in config space */
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
	 * A read of 2, 4 or 8 bytes that is only in part in the trap reaches the
	 * device whole, once and at the guest's width (bk_mediator_below_read), and
	 * then has the trap's bytes put over. Without it, and for writes always,
	 * each side gets its own part.
	 */
	bool overlay;
	/*
	 * In a BAR: writes do nothing but reach the device at the same place, and
	 * so one that comes again and again may be made without a call, see
	 * bk_mediator_accelerate. It is then not counted either.
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
 * Takes effect before it returns: an access is wholly before or wholly after.
 * -EINVAL with a line for a place that is not in the device, -ENOENT with one
 * if it has no such capability, -EEXIST if a trap of the same priority starts
 * at the same offset, -ESHUTDOWN while it is closed, -ENOMEM; then `released` is not called. The MSI-X table
 * and PBA are traps of priority -1. `*trap` is set before a handler can run.
 * Any thread, any handler.
 */
int bk_trap_add(struct bk_mediator *mediate, const struct bk_trap_desc *desc, struct bk_trap **trap,
		struct bk_error *err);

/*
 * The new trap takes the place of `old` in one step: each access finds one of
 * them, never neither and never both. It may be somewhere else in the device.
 * Its counters start at zero; `old` is as after bk_trap_remove. Errors as
 * bk_trap_add, and `old` stays. Any thread, any handler.
 */
int bk_trap_replace(struct bk_trap *old, const struct bk_trap_desc *desc, struct bk_trap **trap,
		    struct bk_error *err);

/* The registers below answer again, and pages that no other trap is in can be
 * mapped again; `released` follows when nobody is inside. `trap` must not be
 * used again; bk_mediator_destroy removes those that are left. Cannot fail: without
 * memory the registers below answer all the same, and pages and `released`
 * follow with a later change. Any thread, any handler. */
void bk_trap_remove(struct bk_trap *trap);

/*
 * The trap over the MSI-X PBA keeps its page, and the registers in it, from
 * being mapped. It is needed only while a vector is pending that the guest
 * masks, which the device does not know; else the device's own PBA says the
 * same. Whoever sees vectors become pending (bk_pci_irq_ops) may take the trap
 * away with false and bring it back with true; it is there at first. Its
 * counters start at zero each time. An access that exits for another reason
 * always finds the function's bits. -ENOTSUP: the page would not be mapped in
 * any case, since the device does not let it, the MSI-X table is in it, a trap
 * of lower priority reaches over the PBA, or there is no PBA; all stays as it
 * is. True gives errors of bk_trap_add, too, and the trap is not there then.
 * Any thread, any handler, with the function's lock held or not; one call at a
 * time.
 */
int bk_mediator_trap_pba(struct bk_mediator *mediate, bool trap);

/*
 * REGION+OFFSET/LENGTH:VERB, as in `bar2+0xf00/0x100:mirror`,
 * `bar0+0x40/4:const=0x12345678`, `config+0x40/2:log`, `cap:0x11+2/2:log`.
 * REGION is bar0 to bar5, rom, config or vga, or a capability of config space
 * by its id, `cap:ID` or (extended) `ext:ID`, which OFFSET then counts from;
 * numbers are decimal or 0x. VERB is `mirror`, or `mirror=CONFIG_OFFSET`
 * (which may not be on config), `const=VALUE`, as wide as LENGTH where that is
 * 1, 2, 4 or 8 and else 4 bytes, or 8 if VALUE needs them, or `log`; `:overlay`
 * may follow, and after log `:accelerate` (bk_trap_desc). Fills what `desc` has of
 * it, the rest is 0; zero-initialise it before. -EINVAL with a line. Any thread.
 */
int bk_trap_parse(const char *text, struct bk_trap_desc *desc, struct bk_error *err);

/*
 * What an access without the user's traps would do, at this width: in a BAR,
 * call the device below, or the function for what is in the MSI-X table and
 * PBA; in the VGA ranges, the device below; in the ROM, read the image; in config space, read or write the
 * function's registers and the device's live ones. (The device's own registers
 * are in bk_device_read of bk_mediator_below.) For handlers of traps.
 * -EINVAL for a width that is not 1, 2, 4 or 8 or past the end, or what the
 * device returns. Any thread, any handler; in config space and in the MSI-X
 * table and PBA not with the function's lock held.
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
 * The monitor lets the host's kernel make such writes (for KVM and VFIO: an
 * eventfd between the two). start returns 0 and sets *handle, which goes to
 * stop, or a negative errno: then the trap goes on as before. Both may be called
 * on any thread, in a handler, with the function's lock held; they may add and
 * remove listeners, but must not commit, or call bk_trap_* or bk_mediator_* on
 * this mediator. Afterwards the write must not reach the trap, unless it cannot
 * be made otherwise.
 */
struct bk_accelerator_ops {
	size_t struct_size;
	int (*start)(void *opaque, const struct bk_accelerated *what, void **handle);
	void (*stop)(void *opaque, void *handle);
};

/*
 * At most ten writes of a function are accelerated at a time; they are stopped
 * when it is reset, when their trap goes, and by this call, which with NULL
 * turns it off: to be done before `opaque` goes. `ops` is copied. 0, or -E2BIG;
 * with NULL it cannot fail. Owner only.
 */
int bk_mediator_accelerate(struct bk_mediator *mediate, const struct bk_accelerator_ops *ops, void *opaque);

/*
 * What answers in a BAR where no trap does and nothing is mapped: to be found in
 * the guest's view, never to be looked into. NULL: there is no such BAR. Owner
 * only.
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
	unsigned accelerated; /* writes that are made without the trap, and not counted; how many different
				 ones */
};

/*
 * Calls `visit` for every trap in order of region and offset, and before those
 * of each region for it, with the accesses that reached registers without a
 * trap (exits on pages that could not be mapped, or were not yet). Names are
 * valid until `visit` returns. Any thread; `visit` must not add, replace or
 * remove traps.
 */
void bk_mediator_stats(struct bk_mediator *mediate,
		       void (*visit)(void *opaque, const struct bk_trap_stats *stats), void *opaque);

/*
 * What traps cost the registers beside them: calls `visit` for every page that
 * could be mapped if no trap were in a part of it, with the accesses that
 * reached registers without a trap there (of those that bk_mediator_stats has
 * for the region). `name` is NULL, `last` 0. Pages a trap covers whole have no
 * such registers. In order of region and offset; rules of bk_mediator_stats.
 */
void bk_mediator_page_stats(struct bk_mediator *mediate,
			    void (*visit)(void *opaque, const struct bk_trap_stats *stats), void *opaque);

/* ---- Each access ------------------------------------------------------- */

/* An access that is finished. */
struct bk_access {
	size_t struct_size;
	const char *trap; /* the name of the one that answered; NULL: registers without a trap */
	unsigned region;
	unsigned width;  /* bytes: 1, 2, 4 or 8 */
	uint64_t offset; /* bytes from the start of the region */
	bool write;
	int error;      /* 0, or the negative errno that a handler or the device gave */
	uint64_t value; /* read or written; after an error of no meaning */
};

typedef void bk_access_fn(void *opaque, const struct bk_access *access);

/*
 * From now on `record` is called after each access that reaches the mediator's
 * spaces, in place of who was before; NULL ends that. Each part of an access
 * that was split counts as one; so does the read that an overlay makes of the
 * device. Nobody sees accesses to mapped pages, and accelerated writes. `record`
 * runs in the handler, on the thread of the access, several at once: rules of
 * handlers hold, and the vCPU waits for it.
 *
 * When it returns, the old one is not called any more: it waits for accesses
 * that are under way. -EDEADLK from a handler. Owner only, with no lock
 * held that `record` takes.
 */
int bk_mediator_record(struct bk_mediator *mediate, bk_access_fn *record, void *opaque);

#ifdef __cplusplus
}
#endif
#endif
