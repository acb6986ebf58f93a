/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest sees of a PCI function.
 *
 * A function's config space is a space (space.h): the registers at the bottom,
 * whatever an owner traps above. A bus has three spaces: memory, I/O, and
 * config, in which each function shows at devfn << 12. A host bridge shows
 * config as ECAM and through CF8/CFC, and the other two through its windows.
 *
 * The map is a pure function of the registers. After every config write the
 * place of every BAR is computed from the registers as they stand, and what
 * differs from the present map is changed in one update. A BAR register keeps
 * what was written, whether or not it can be mapped, and is masked on read.
 *
 * Threads: config space of one function is under that function's lock, which
 * the calls here and the registers' handlers take; no lock is held over a reset. Lock order: host lock (who
 * is on which bus), function lock (parents first), the host's interrupt lock or
 * the domain's commit lock. Callbacks say which lock they are called with.
 *
 * Each call says who may make it. "Any thread": at the same time as any other call, except one that destroys
 * the object. "Owner only": one thread at a time, which no other call on the object meets, except accesses
 * of guests. "Any handler": also from a handler of a region, while a guest waits for it. "No function lock
 * held": not from a callback that is called with the function's lock, and not from a listener.
 *
 * Offsets, widths, sizes and addresses are in bytes. A bus address is what a BAR register holds. Errors are
 * negative errnos.
 *
 * "PCI 3.0" is the PCI Local Bus Specification 3.0, "PCIe" the PCI Express
 * Base Specification 5.0, "PM" the PCI Power Management Specification 1.2.
 */
#ifndef BARKEEP_PCI_H
#define BARKEEP_PCI_H

#include <barkeep/space.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bk_pci_host;     /* a host bridge and the hierarchy below it */
struct bk_pci_bus;      /* where functions are */
struct bk_pci_function; /* one function */

#define BK_PCI_DEVFN(slot, function) ((uint8_t)((slot) << 3 | (function)))

/* ---- Host bridge ------------------------------------------------------- */

enum bk_pci_window_kind { BK_PCI_WINDOW_IO, BK_PCI_WINDOW_MEMORY };

/*
 * Addresses of the host that reach the bus: [first, last] of `space` shows
 * the bus from `bus_first`. Only inside windows can a guest reach a BAR.
 */
struct bk_pci_window {
	enum bk_pci_window_kind kind;
	struct bk_space *space; /* the guest's memory or ports */
	uint64_t first, last;
	uint64_t bus_first; /* usually the same as first */
	int priority;       /* in `space`; lower than RAM, firmware and other fixed ranges */
};

/* Of 0xcf8 and 0xcfc in `ports`: I/O windows and other ports stay below it. */
#define BK_PCI_PORTS_PRIORITY 0x10000

struct bk_pci_message {
	uint64_t address;
	uint32_t data;
	/* Whom the host takes for the sender: bus << 8 | devfn of the function, or of a bridge to a
	 * conventional bus above it. Interrupt controllers such as Arm's ITS need it. */
	uint16_t requester;
};

/* Zero-initialise it; it is copied, the windows, too. */
struct bk_pci_host_desc {
	size_t struct_size; /* of this struct, or 0: see base.h */
	struct bk_domain *domain;
	const struct bk_pci_window *windows;
	unsigned window_count;

	/* ECAM (PCIe 7.2.2): bus << 20 | devfn << 12 | register, from ecam_first in
	 * `ecam`; not shown where `ecam` is NULL. */
	struct bk_space *ecam;
	uint64_t ecam_first; /* of bus 0, even if bus_first is not 0 */
	int ecam_priority;
	uint8_t bus_first, bus_last; /* the root bus is bus_first */

	/* CF8/CFC (PCI 3.0 3.2.2.3.2) at those ports; not shown where NULL. Only 4
	 * bytes at 0xcf8 are the address register: other accesses to 0xcf8-0xcfb
	 * (0xcf9 resets a PC), and those to 0xcfc-0xcff while the enable bit is clear,
	 * go to the same port of `ports_below`, if there is one. Both show the buses from bus_first to
	 * bus_last; other buses are empty. */
	struct bk_space *ports;
	struct bk_space *ports_below;

	bool address_zero; /* a BAR at bus address 0 decodes */

	/* An MSI of an emulated function (see bk_pci_function_send_msi). Any thread, function lock held. */
	void (*msi)(void *opaque, const struct bk_pci_message *message);
	/* One of `lines` interrupt lines changed; functions that share it are or-ed.
	 * Called with the host's interrupt lock held. */
	void (*intx)(void *opaque, unsigned line, bool level);
	unsigned lines; /* default 4; slot S with pin P (1 = A) is on line (S + P - 1) % lines */
	void *opaque;
};

/*
 * -EINVAL with a line for a desc that makes no sense, -EEXIST if a window or
 * ECAM has an equal priority and rank (the rank is its first address) in its
 * space, -E2BIG (see base.h), -ENOMEM. Any thread, no function lock held.
 */
int bk_pci_host_create(const struct bk_pci_host_desc *desc, struct bk_pci_host **host, struct bk_error *err);

/* First detach all functions, destroy all bridges, and stop showing or listening to the spaces of its buses
 * (-EBUSY). It may be tried again; meanwhile the host shows nothing, and takes no functions (-ESHUTDOWN).
 * -ENOMEM: nothing is changed. Owner only, no function lock held; never from a handler (-EDEADLK). */
int bk_pci_host_destroy(struct bk_pci_host *host);

/* The root bus (number bus_first of the desc). Valid as long as the host. Any thread, any handler. */
struct bk_pci_bus *bk_pci_host_bus(struct bk_pci_host *host);

/* The space that ECAM and CF8/CFC show: bus << 20 | devfn << 12 | register. All
 * of it answers: where no function is, with all ones (PCI 3.0 6.1). Valid as long as the host. Any thread,
 * any handler. */
struct bk_space *bk_pci_host_config(struct bk_pci_host *host);

/* A bus's memory (64-bit) and I/O (32-bit) spaces, in bus addresses: where BARs show, and windows lead to.
 * Valid as long as the bus. Any thread, any handler. */
struct bk_space *bk_pci_bus_memory(struct bk_pci_bus *bus);
struct bk_space *bk_pci_bus_io(struct bk_pci_bus *bus);

/*
 * Gives every BAR and ROM an address, every bridge its windows and bus numbers,
 * as firmware would: largest first, naturally aligned, memory at least `page`
 * bytes apart from another BAR (so that each can be mapped), 64-bit
 * prefetchable ones above 4 GiB where there is such a window, nothing where
 * somebody else answers, nor in a window below 1 MiB, or of ports below 0x400 (legacy VGA); then sets
 * COMMAND.IO and MEM of functions that got all, and of bridges with something behind. Windows of a hot-plug
 * slot (bk_pci_slot_add) have at least 2 MiB of memory, 2 MiB of prefetchable memory (or
 * bk_pci_slot_set_room) and 4 KiB of I/O, as Linux leaves by default, but only where all else fits as well;
 * one line says if not. What does not fit keeps address 0, and `report` (may be NULL) is called with a line
 * for each: which BAR, how much room it needs, what is left. *left_out (may be NULL): how many BARs did not
 * fit. 0, also if some did not; -ENOMEM: no BAR has an address, and *left_out is 0. Owner only, before the
 * guest runs; callbacks of functions are called.
 */
int bk_pci_host_assign(struct bk_pci_host *host, uint64_t page, unsigned *left_out,
		       void (*report)(void *opaque, const char *line), void *opaque);

/*
 * Who is where below the host, which BARs decode, and which parts of those are
 * in no window and so unreachable. (bk_space_describe tells who is shadowed by
 * whom.) A BAR that does not answer has the reason, see bk_pci_function_explain. 0, -ENOMEM or what the sink
 * returned. Any thread, any handler, no function lock held; it writes with no lock held.
 */
int bk_pci_host_describe(struct bk_pci_host *host, enum bk_format format, bk_sink_fn *sink, void *opaque);

/* ---- Functions --------------------------------------------------------- */

enum bk_pci_bar_kind { BK_PCI_BAR_NONE, BK_PCI_BAR_IO, BK_PCI_BAR_MEM32, BK_PCI_BAR_MEM64 };

#define BK_PCI_BARS 6
#define BK_PCI_ROM  6 /* the index of the expansion ROM where a BAR index is asked for */

struct bk_pci_bar {
	enum bk_pci_bar_kind kind; /* MEM64 takes two registers: the next BAR must be NONE */
	bool prefetchable;
	uint64_t size; /* power of two: I/O 4..2^31, MEM32 16..2^31, MEM64 16..2^63, ROM 2 KiB..2^24 */
	struct bk_space *space; /* what answers in it; not owned */
	/*
	 * Memory below a page: 0, or a power of two above `size`, and `space` is so
	 * long. While the register is a multiple of it, all of that much is shown,
	 * what is not the BAR's below everything else on the bus: a BAR that is
	 * alone in its page can be mapped as a page.
	 */
	uint64_t page;
};

/* Zero-initialise it; it is copied. */
struct bk_pci_function_desc {
	size_t struct_size; /* of this struct, or 0: see base.h */
	const char *name;
	uint16_t vendor, device, subsystem_vendor, subsystem;
	uint8_t revision;
	uint32_t class_code; /* base class << 16 | sub-class << 8 | interface */
	uint8_t pin;         /* 0 none, 1 INTA# ... 4 INTD# */
	bool extended;       /* config space of 4096 bytes instead of 256 */
	struct bk_pci_bar bars[BK_PCI_BARS];
	struct bk_pci_bar rom; /* kind MEM32 or NONE */

	/* Legacy VGA ranges, for a function of class 0300; NULL: none. Address 0 of
	 * `vga_memory` shows at 0xa0000 (128 KiB), that of `vga_io` at port 0x3b0
	 * (up to 0x3df, except 0x3bc-0x3bf), each while COMMAND enables it. Not owned. */
	struct bk_space *vga_memory, *vga_io;

	/*
	 * What happened to the registers; any may be NULL. Called on the thread
	 * that wrote.
	 */
	/* COMMAND is now this (PCI 3.0 6.2.2). MASTER is clear in it while a bridge above does not
	 * forward what the function sends, outside D0, and from bk_pci_function_detach until the function
	 * is on a bus again: it must not reach memory then. Called with the function's lock held: it must
	 * not call bk_pci_* on the same function, and must not wait for a dispatch. */
	void (*command)(void *opaque, uint16_t command);
	/* FLR, AF, D3hot to D0 without No_Soft_Reset, a reset of the bus or bk_pci_function_reset.
	 * Registers are reset already. No lock is held, and it may take as long as it needs: see
	 * bk_pci_function_in_reset. It must not reset or destroy the same function. */
	int (*reset)(void *opaque);
	void *opaque;
};

/* Creates a function that is on no bus yet, with a type 0 header (PCI 3.0 6.1). -EINVAL with a line for a
 * desc that makes no sense; -E2BIG (see base.h); -ENOMEM. Any thread, no function lock held. */
int bk_pci_function_create(struct bk_domain *domain, const struct bk_pci_function_desc *desc,
			   struct bk_pci_function **function, struct bk_error *err);

/* First detach it, remove the regions of bk_pci_msix_regions, and stop showing or listening to its config
 * space and the spaces of the bus below (-EBUSY: nothing is changed). Waits for a reset to end. Owner only,
 * no function lock held; never from a handler (-EDEADLK). */
int bk_pci_function_destroy(struct bk_pci_function *function);

/*
 * Puts the function on a bus; a guest sees it from now on. While several
 * functions share a slot, all of them show the multi-function bit. Registers
 * stay as they stand; bk_pci_function_reset makes them those of a fresh card.
 * -EEXIST: there is one at this devfn. -EBUSY: it is on a bus. -EXDEV: the bus
 * is in another domain, or the function is a bridge of another host. -ESHUTDOWN:
 * bk_pci_host_destroy failed before. -ENOMEM. Any thread, no function lock held.
 */
int bk_pci_function_attach(struct bk_pci_function *function, struct bk_pci_bus *bus, uint8_t devfn);

/* Takes it off its bus: its BARs and config space answer nowhere. 0, also if it is on none. -ENOMEM: nothing
 * is changed, and it may be tried again. Any thread, no function lock held; readers may still be inside for a
 * while. */
int bk_pci_function_detach(struct bk_pci_function *function);

/*
 * The function's own config space, 256 or 4096 bytes, with the registers in a
 * region of priority 0. Owners may add regions above it. Reading and writing
 * it is what a guest does through ECAM. Valid as long as the function. Any thread, any handler.
 */
struct bk_space *bk_pci_function_config(struct bk_pci_function *function);

/*
 * The registers themselves, as an access to config space would reach them if
 * no owner had put a region above: for the handlers of such regions, which show
 * some bits of a register and change others. Width 1, 2 or 4, any alignment;
 * -EINVAL otherwise or past the end. Any thread, any handler, not with the
 * function's lock held.
 */
int bk_pci_function_read(struct bk_pci_function *function, unsigned offset, unsigned width, uint64_t *value);
int bk_pci_function_write(struct bk_pci_function *function, unsigned offset, unsigned width, uint64_t value);

/* The name it was created with; valid as long as the function. Any thread, any handler. */
const char *bk_pci_function_name(const struct bk_pci_function *function);

/*
 * All registers to the values of a fresh card, then desc.reset, whose result it returns; the same for all
 * that is below a bridge. It takes as long as desc.reset does. If another thread resets the function already,
 * it waits for that and returns its result. 0, or the negative errno of desc.reset. Any thread, no function
 * lock held, never from desc.reset.
 *
 * A guest resets a function in other ways, too. What registers keep over them: an FLR, an AF reset and D3hot
 * to D0 leave what PCIe 6.6.2 lists (Max_Payload_Size, controls of the link, capabilities of the link and of
 * virtual channels), and sticky registers; a reset of the bus or a disabled link leaves sticky registers
 * (Advanced Error Reporting, Link Control 2, PME bits of a function that wakes from D3cold).
 */
int bk_pci_function_reset(struct bk_pci_function *function);

/*
 * Is the function in reset? It is while its desc.reset runs, or waits to be run: the functions of a bus are
 * reset one after the other. No lock is held over desc.reset, so that all other calls work, on this function
 * and on others. Meanwhile
 * - config space of the function, bk_pci_function_read included, reads all ones, or a vendor id of 0x0001
 *   where the guest enabled CRS Software Visibility in the root port above; writes are dropped;
 * - nothing of it decodes, and it sends no interrupts;
 * - desc.command and the interrupt callbacks are not called. When the reset ends, they are called with what
 *   they missed. Before desc.reset they were called with COMMAND 0 and interrupts off;
 * - it may be detached and attached. bk_pci_function_destroy waits for the end of the reset.
 *
 * Whoever reads or writes the device behind the function, beside the registers here, should ask first: a host
 * may block such an access until its own reset ends. Takes no lock. Any thread, any handler, any callback.
 */
bool bk_pci_function_in_reset(const struct bk_pci_function *function);

/* Where a BAR (or BK_PCI_ROM) is now. */
struct bk_pci_bar_state {
	size_t struct_size; /* of this struct, or 0: set it before the call */
	uint64_t address;   /* as the register holds it, masked to the BAR's size */
	uint64_t size;      /* bytes */
	bool decodes;       /* the function's own decision; a window may still hide it */
};
/* 0; -EINVAL: there is no such BAR. Any thread, any handler, no function lock held. */
int bk_pci_function_bar(struct bk_pci_function *function, unsigned index, struct bk_pci_bar_state *state);

/* Why a BAR does not answer: of several reasons the first one here, except the last two. */
enum bk_pci_bar_reason {
	BK_PCI_BAR_ANSWERS,      /* it does, in all of the host's windows that lead to it */
	BK_PCI_BAR_IN_RESET,     /* see bk_pci_function_in_reset */
	BK_PCI_BAR_POWERED_DOWN, /* the function is in D1, D2 or D3hot (PM 5.4.1) */
	BK_PCI_BAR_COMMAND_OFF,  /* COMMAND.IO or COMMAND.MEM, whichever it needs, is 0 (PCI 3.0 6.2.2) */
	BK_PCI_BAR_ROM_OFF,      /* the enable bit of the expansion ROM is 0 (PCI 3.0 6.2.5.2) */
	BK_PCI_BAR_PROBED,   /* a half of the register holds all ones, as a size probe leaves it (6.2.5.1) */
	BK_PCI_BAR_AT_ZERO,  /* it is at address 0, and desc.address_zero of the host is not set */
	BK_PCI_BAR_DETACHED, /* the function is on no bus */
	BK_PCI_BAR_LEFT_BEHIND, /* the map could not follow for want of memory; the next config write tries
				   again */
	BK_PCI_BAR_OUTSIDE,     /* it decodes, but a part of it is in no window of `bridge` */
};

/* Why a BAR is where it is, or why it is nowhere. */
struct bk_pci_explanation {
	size_t struct_size; /* of this struct, or 0: set it before the call */
	enum bk_pci_bar_reason reason;
	const char *kind;       /* "64-bit prefetchable memory" and so on; a constant */
	unsigned offset, width; /* the register: where in config space, and 4 or 8 bytes */
	uint64_t raw;           /* what the guest wrote to it; a read gives the bits `shown` of that */
	uint64_t shown;
	uint64_t address, length; /* the address in it, and the BAR's size, in bytes */
	bool io;                  /* in I/O space, not in memory */
	uint16_t command;         /* COMMAND, as the guest wrote it */
	unsigned power_state;     /* 0 (D0) to 3 (D3hot) */
	const struct bk_pci_function
		*bridge; /* of OUTSIDE; NULL: the host's windows. Valid while it is there */
	uint64_t missing_first, missing_last; /* of OUTSIDE: the first part that cannot be reached */
};

/*
 * Why is this BAR (or BK_PCI_ROM) not there? Looks at the function's registers, then at the windows from the
 * host down to it. Who else answers at its addresses, bk_space_explain tells. Unless `text` is NULL, a line
 * without an end of line is put there, cut to `text_size` bytes with the terminating zero; 192 are enough.
 *
 * 0; -EINVAL: there is no such BAR; -ENOMEM. Any thread, not from a callback of the
 * function or the host, no function lock held.
 */
int bk_pci_function_explain(struct bk_pci_function *function, unsigned index,
			    struct bk_pci_explanation *explanation, char *text, size_t text_size);

/* Bytes of config space, and what a guest may write to them. Zero-initialise it; it is copied. */
struct bk_pci_preset {
	size_t struct_size;   /* of this struct, or 0: see base.h */
	unsigned offset;      /* in config space */
	size_t count;         /* bytes in each of the three that follow; NULL: those stay as they are */
	const void *bytes;    /* the values, now and at reset */
	const void *writable; /* bits that take what a guest writes */
	const void *w1c;      /* bits that a written 1 clears */
};
/*
 * Sets registers without side effects and without traps, for owners that fix up
 * what a guest sees at start. What the model computes when a register is read
 * (sizes of BARs, STATUS bit 3, MSI's pending bits) stays so. 0; -EINVAL
 * outside config space; -EBUSY if attached; -E2BIG (see base.h). Owner only,
 * before attach, no function lock held; desc.command is not called.
 */
int bk_pci_function_preset(struct bk_pci_function *function, const struct bk_pci_preset *preset);

/* ---- Bridges ----------------------------------------------------------- */
/*
 * A bridge is a function with a type 1 header and a bus below (PCI-to-PCI
 * Bridge 1.2; as a root port or switch port with a capability that says so).
 * Its registers open windows to the bus below: I/O (16-bit), memory,
 * prefetchable memory (64-bit), the VGA ranges, and bus numbers. What is below
 * answers only through them. Windows, like BARs, need COMMAND and D0, and are
 * shut while Bridge Control resets the bus; that, and a reset of the bridge,
 * resets every function below. With ISA Enable the I/O window lets only the
 * first 256 ports of each 1024 through (3.2.5.18); VGA Enable forwards the
 * aliases of its ports too, unless VGA 16-bit Decode is set. Messages from below
 * pass while Bus Master is set (3.2.4.3), and wait until then.
 *
 * Config space from 0x100 on is reached through ports of PCI Express alone (a capability of
 * bk_pci_express_add says what a bridge is): behind a PCIe-to-PCI or a conventional bridge it reads all ones.
 *
 * All calls on functions are for bridges too. Config writes to a bridge hold
 * the host's lock: callbacks of it and of functions below it must not attach
 * or detach.
 */

/*
 * `desc` as of any function, with at most two BARs, without subsystem ids (a
 * capability of id 0x0d has them). Windows are closed at reset. It belongs to
 * the hierarchy of this host. Errors as bk_pci_function_create; -EINVAL with a
 * line for more BARs. Destroying it needs an empty bus (-EBUSY). Any thread, no function lock held.
 */
int bk_pci_bridge_create(struct bk_pci_host *host, const struct bk_pci_function_desc *desc,
			 struct bk_pci_function **bridge, struct bk_error *err);

/* The bus below; NULL if it is no bridge. Valid as long as the bridge. Any thread, any handler. */
struct bk_pci_bus *bk_pci_bridge_bus(struct bk_pci_function *bridge);

/* ---- Capabilities ------------------------------------------------------ */
/*
 * Each adds a capability to the chain (PCI 3.0 6.7; extended ones PCIe 7.6.3)
 * and returns its offset. `offset` 0 chooses the next free one. -EINVAL if it
 * would overlap the header or another capability, is not 4-byte aligned or
 * runs past the end; -ENOSPC if nothing is free; -EEXIST where one of a kind
 * is allowed and there is one; -ENOMEM. Owner only; before the function is
 * attached or while a guest uses it: a read of config space sees all of it or
 * nothing. Chains keep the order of offsets, so that they cannot loop, not
 * even for a guest that follows one while it changes. No function lock held.
 */

/* Any capability (PCI 3.0 6.7), or extended capability (PCIe 7.6.3). Zero-initialise it; it is copied, with
 * the bytes. */
struct bk_pci_capability_desc {
	size_t struct_size; /* of this struct, or 0: see base.h */
	bool extended;      /* in the chain from 0x100 on */
	uint16_t id;        /* at most 0xff unless `extended` */
	uint8_t version;    /* of an extended one: 4 bits */
	unsigned offset;    /* in config space; 0: the next free one */
	unsigned size;     /* bytes, with the header: 2 bytes, or 4 of an extended one, which are filled in */
	const void *bytes; /* each of the three: `size` bytes, or NULL for zeros; the values at reset */
	const void *writable; /* bits that take what a guest writes */
	const void *w1c;      /* bits that a written 1 clears */
};
/* Adds any capability, and returns its offset. -EINVAL also for an id that is too large; -E2BIG (see base.h).
 * Other errors and threads as above.
 */
int bk_pci_capability_add(struct bk_pci_function *function, const struct bk_pci_capability_desc *desc);

/*
 * Takes the capability that begins at `offset` out of its chain. Its registers
 * read zero and take no writes, and what it did is done no more: interrupts are
 * off, the function is in D0, a BAR has its size of before. The MSI-X table and
 * PBA answer with errors until their regions are removed. -ENOENT: none begins
 * there. -EBUSY: the PCI Express capability of a port with a slot. Owner only,
 * no function lock held.
 */
int bk_pci_capability_remove(struct bk_pci_function *function, unsigned offset);

/* Power management (PM 3.2). Outside D0 nothing decodes and nothing is sent: desc.command gets a COMMAND
 * without MASTER, vectors are silent. D3hot leads to D0 only. From D3hot back in D0 registers are as
 * programmed if no_soft_reset, else reset. `pmc`: the PMC register (PM 3.2.3), which says whether D1, D2 and
 * PME are there. Errors and threads as above. */
int bk_pci_pm_add(struct bk_pci_function *function, unsigned offset, uint16_t pmc, bool no_soft_reset);

/* MSI (PCI 3.0 6.8.1). vectors: 1, 2, 4, 8, 16 or 32 (-EINVAL otherwise). `address64`: with an upper half of
 * the address; `maskable`: with mask and pending bits. Errors and threads as above. */
int bk_pci_msi_add(struct bk_pci_function *function, unsigned offset, unsigned vectors, bool address64,
		   bool maskable);

/* MSI-X (PCI 3.0 6.8.2). The table has 16 bytes for each vector, the PBA a bit, in units of 8 bytes. Both lie
 * inside memory BARs, at multiples of 8. Zero-initialise it; it is copied. */
struct bk_pci_msix_desc {
	size_t struct_size;                /* of this struct, or 0: see base.h */
	unsigned offset;                   /* of the capability; 0: the next free one */
	unsigned vectors;                  /* 1..2048 */
	unsigned table_bar, pba_bar;       /* 0..5 */
	uint32_t table_offset, pba_offset; /* bytes, in that BAR */
};
/* Adds MSI-X, and returns the capability's offset. Table and PBA answer where the owner puts their regions,
 * see bk_pci_msix_regions. -EINVAL also for other counts and places; -E2BIG (see base.h). Other errors and
 * threads as above. */
int bk_pci_msix_add(struct bk_pci_function *function, const struct bk_pci_msix_desc *desc);

/* PCI Express (PCIe 7.5.3), 12 to 60 bytes as a device shows them. Control registers take what a guest writes
 * and keep it; Initiate FLR (where DEVCAP has it) is a reset. A root port with CRS Software Visibility in
 * Root Capabilities lets the guest see that a function below is in reset (bk_pci_function_in_reset). -EINVAL
 * for other sizes and without bytes; other errors and threads as above. */
int bk_pci_express_add(struct bk_pci_function *function, unsigned offset, const void *bytes, unsigned size);

/*
 * Gives a port with a PCI Express capability a slot into which a card may be put, and from which
 * it may be taken, while the guest runs (PCIe 6.7, 7.5.3.9-11): hot-plug capable, surprise removal
 * allowed; no command to complete; button, indicator and power controller with bk_pci_slot_add_button alone.
 * `number` (0..8191) is the slot's, which should be its own in the machine.
 *
 * The card is whoever is attached below at device 0, function 0: Presence Detect State and Data Link
 * Layer Link Active follow, the latter unless Link Disable is set, which also resets and hides what
 * is below. The link is as fast and as wide as the card's own, but not more than the port's. Each change is
 * latched as an event in Slot Status, and signalled as Slot Control says: by MSI or MSI-X vector 0, or by the
 * pin. Of a card with more functions attach function 0 last, and detach it first: without it there is no
 * link, and the others are out of reach. bk_pci_host_assign leaves room below it.
 *
 * -EINVAL: not a bridge with the capability of a root or downstream port, at least 28 bytes of it, or
 * `number` too large; -EEXIST: it has one; -EBUSY: it is attached. Owner only, before attach, no function
 * lock held.
 */
int bk_pci_slot_add(struct bk_pci_function *port, unsigned number);

/*
 * Gives the slot an attention button, a power controller and a power indicator (PCIe 6.7.1), so that a
 * guest can be asked to let a card go. While the power is off the card is reset and out of reach; one that
 * is attached then presses the button. `power`
 * is called when the guest switches it: on the thread that writes, with the port's lock and the host's
 * held, so that it must not call bk_pci_*. -EINVAL without a slot; -EBUSY: the port is attached. Owner
 * only, before attach, no function lock held.
 */
int bk_pci_slot_add_button(struct bk_pci_function *port, void (*power)(void *opaque, bool on), void *opaque);

/*
 * Presses the button. A guest that uses the card then makes the indicator blink, waits five seconds for
 * the button to be pressed again (which means: no), lets the card go and switches the power off. -EAGAIN:
 * the guest does not listen to it; -EALREADY: the indicator blinks; -EINVAL: there is no button.
 * PCIe 6.7.1.5. Any thread, any handler, no function lock held.
 */
int bk_pci_slot_press(struct bk_pci_function *port);

/* Is the power of the slot on (PCIe 7.5.3.10), as it is at first and where there is no controller? Any
 * thread, any handler, no function lock held. */
bool bk_pci_slot_powered(struct bk_pci_function *port);

/*
 * How much room bk_pci_host_assign leaves below the slot, in bytes: multiples of 1 MiB, 0 for none, at
 * most 2^31 of memory and 2^46 of prefetchable memory. A card's largest BAR fits if the room is a power
 * of two and no smaller. 0; -EINVAL for other sizes or without a slot, -EBUSY if the port is attached. Owner
 * only, before attach, no function lock held.
 */
int bk_pci_slot_set_room(struct bk_pci_function *port, uint64_t memory, uint64_t prefetchable);

/* Advanced features (Advanced Capabilities for Conventional PCI, ECN): a FLR for conventional functions.
 * Initiate FLR is a reset; Transactions Pending reads 0. Errors and threads as above. */
int bk_pci_af_add(struct bk_pci_function *function, unsigned offset);

struct bk_pci_resizable {
	unsigned bar;   /* of memory */
	uint64_t sizes; /* that it may have, or-ed, from 1 MiB up: that of the desc is one of them */
};

/*
 * Resizable BARs (PCIe 7.8.6), at most 6. The BAR's size is what its control
 * register says, at once; the next smaller one where that is none of `sizes`
 * (the smallest, if there is no smaller). At reset it is that of the desc.
 * -EINVAL also for no memory BAR, one named twice, and a size that its space
 * or, above 2 GiB, a 32-bit BAR has no room for. Other errors and threads as above.
 */
int bk_pci_resizable_add(struct bk_pci_function *function, unsigned offset,
			 const struct bk_pci_resizable *bars, unsigned count);

/* Device serial number (PCIe 7.9.3), one for a function (-EEXIST). Other errors and threads as above. */
int bk_pci_serial_add(struct bk_pci_function *function, unsigned offset, uint64_t serial);

enum bk_pci_vendor_kind {
	BK_PCI_VENDOR, /* vendor-specific capability (PCI 3.0 appendix H): a header of 3 bytes */
	BK_PCI_VSEC,   /* extended, of the function's vendor (PCIe 7.9.5): 8 bytes */
	BK_PCI_DVSEC,  /* extended, of the vendor named (PCIe 7.9.6): 10 bytes */
};

/* A vendor's capability: a header, which is filled in, and `size` bytes after it. Zero-initialise it; it is
 * copied, with the bytes. */
struct bk_pci_vendor_desc {
	size_t struct_size; /* of this struct, or 0: see base.h */
	enum bk_pci_vendor_kind kind;
	unsigned offset;      /* in config space; 0: the next free one */
	uint16_t vendor;      /* who defined a DVSEC */
	uint16_t id;          /* of the VSEC or DVSEC */
	uint8_t revision;     /* of the VSEC or DVSEC: 4 bits */
	unsigned size;        /* bytes after the header */
	const void *bytes;    /* `size` bytes: the values at reset; NULL: zeros */
	const void *writable; /* `size` bytes: bits that take what a guest writes; NULL: none */
};
/* Adds a vendor's capability, and returns its offset. -EINVAL also for another kind; -E2BIG (see base.h).
 * Other errors and threads as above. */
int bk_pci_vendor_add(struct bk_pci_function *function, const struct bk_pci_vendor_desc *desc);

/*
 * Fills what answers in the BARs that hold the MSI-X table and the PBA: name,
 * first, last (in that BAR), kind, ops and opaque; the owner chooses priority
 * and rank and adds them to the BARs' spaces. -ENOENT without MSI-X. Any
 * width and alignment is defined (PCI 3.0 6.8.2 wants 4 or 8, aligned): a
 * write changes the bytes it covers. PBA writes are dropped. `table` and `pba` are written whole. The
 * handlers need the function: remove the regions before it is destroyed. Any thread, any handler, no function
 * lock held.
 */
int bk_pci_msix_regions(struct bk_pci_function *function, struct bk_region_desc *table,
			struct bk_region_desc *pba);

/* ---- Interrupts -------------------------------------------------------- */

enum bk_pci_irq_mode {
	BK_PCI_IRQ_INTX, /* neither MSI nor MSI-X is enabled */
	BK_PCI_IRQ_MSI,
	BK_PCI_IRQ_MSIX,
};

/*
 * For functions whose interrupts come from outside (a passed-through device):
 * what the registers say about them. Called with the function's lock held.
 *
 * mode: from now on interrupts are of this kind; for MSI and MSI-X `vectors`
 *   says how many, and all of them are silent until `vector` says otherwise.
 * vector: this vector sends `message` from now on; NULL: it is masked and must
 *   stay silent, what fires meanwhile is pending. If several change at once, the
 *   call for the highest comes first. A vector without a call needs no vector of
 *   the host.
 * pending: has this masked vector fired? For the PBA and MSI's pending bits.
 * intx_mask: COMMAND's Interrupt Disable is now this.
 */
struct bk_pci_irq_ops {
	size_t struct_size; /* of this struct, or 0: see base.h */
	void (*mode)(void *opaque, enum bk_pci_irq_mode mode, unsigned vectors);
	void (*vector)(void *opaque, unsigned vector, const struct bk_pci_message *message);
	bool (*pending)(void *opaque, unsigned vector);
	void (*intx_mask)(void *opaque, bool masked);
};

/*
 * Without this call the function is an emulated one: bk_pci_function_send_msi and
 * bk_pci_function_set_intx raise its interrupts, and pending bits are kept here.
 * The ops are copied, and called with the present state before it returns. NULL ops makes it emulated again.
 * 0 or -E2BIG (see base.h). `opaque` is valid until other ops, or none, are set. Any thread, any handler, no
 * function lock held.
 */
int bk_pci_function_set_irq_ops(struct bk_pci_function *function, const struct bk_pci_irq_ops *ops,
				void *opaque);

/* The line of the host that the function's pin is on, 0 up (PCI-to-PCI Bridge 1.2, 9.1); -ENOENT without a
 * pin or a bus. It changes when a bridge above is attached elsewhere. Any thread, any handler, no function
 * lock held. */
int bk_pci_function_intx_line(struct bk_pci_function *function);

/* An emulated function fires MSI or MSI-X vector n: sent, or pending while
 * masked, not a bus master (COMMAND bit 2), outside D0, on no bus or below a bridge that forwards nothing.
 * -EINVAL beyond the vectors enabled, -EPERM with irq ops (PCI 3.0 6.8). Any thread, any handler, no function
 * lock held. */
int bk_pci_function_send_msi(struct bk_pci_function *function, unsigned vector);

/* A function's INTx level (STATUS bit 3; gated by Interrupt Disable, MSI,
 * MSI-X and D0; PCI 3.0 2.2.6); a reset of the function lowers it. -ENOENT without a pin. Any thread,
 * any handler, no function lock held. */
int bk_pci_function_set_intx(struct bk_pci_function *function, bool level);

#ifdef __cplusplus
}
#endif
#endif
