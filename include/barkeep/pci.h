/* SPDX-License-Identifier: BSD-2-Clause */
/* PCI as a guest sees it: functions, buses, bridges and the host bridge.
 *
 * A function's config space is a space (space.h), with the registers at the bottom and the owner's
 * traps above. A bus has three spaces: memory, I/O, and config, which shows each function at devfn <<
 * 12. A host bridge shows config through ECAM and CF8/CFC, and the other two through its windows.
 *
 * The map is a pure function of the registers. After every config write barkeep computes the place of
 * each BAR from the registers as they are now, and changes what differs from the current map in one
 * update. A BAR register keeps what was written, whether or not it can be mapped; reads are masked.
 *
 * Threads: a lock of the function guards its config space; the calls here and the registers' handlers
 * take it. No lock is held during a reset. Lock order: host lock (which function is on which bus),
 * function lock (parents first), the host's interrupt lock or the domain's commit lock. The comment of
 * a callback says with which lock it is called.
 *
 * The comment of each call says where it may be made. "Any thread": at the same time as any other call,
 * except one that destroys the object. "Owner only": not at the same time as any other call on the
 * object; only guests may access it meanwhile. "Any handler": also from a handler of a region, while a
 * guest waits for it. "No function lock held": not from a callback that is called with the function's
 * lock, and not from a listener.
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
 * A window: [first, last] of `space` shows the bus from `bus_first` on. A guest can reach a BAR only
 * through a window.
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
	/* The requester ID: bus << 8 | devfn of the function, or of a bridge above it to a conventional
	 * bus. Interrupt controllers such as Arm's ITS need it. */
	uint16_t requester;
};

/* Zero-initialise it; it is copied, the windows, too. */
struct bk_pci_host_desc {
	size_t struct_size; /* of this struct, or 0: see base.h */
	struct bk_domain *domain;
	const struct bk_pci_window *windows;
	unsigned window_count;

	/* ECAM (PCIe 7.2.2): bus << 20 | devfn << 12 | register, from ecam_first in `ecam`. NULL: there
	 * is no ECAM. */
	struct bk_space *ecam;
	uint64_t ecam_first; /* of bus 0, even if bus_first is not 0 */
	int ecam_priority;
	uint8_t bus_first, bus_last; /* the root bus is bus_first */

	/* CF8/CFC (PCI 3.0 3.2.2.3.2) at these ports. NULL: there are none. Only 4-byte accesses at
	 * 0xcf8 reach the address register. Other accesses to 0xcf8-0xcfb (0xcf9 resets a PC), and
	 * those to 0xcfc-0xcff while the enable bit is clear, go to the same port of `ports_below`,
	 * unless that is NULL. ECAM and CF8/CFC show the buses from bus_first to bus_last; other buses
	 * are empty. */
	struct bk_space *ports;
	struct bk_space *ports_below;

	bool address_zero; /* a BAR at bus address 0 decodes */

	/* An MSI of an emulated function (see bk_pci_function_send_msi). Any thread, function lock held. */
	void (*msi)(void *opaque, const struct bk_pci_message *message);
	/* One of `lines` interrupt lines changed. `level` is the OR of the functions that share it.
	 * Called with the host's interrupt lock held. */
	void (*intx)(void *opaque, unsigned line, bool level);
	unsigned lines; /* default 4; slot S with pin P (1 = A) is on line (S + P - 1) % lines */
	void *opaque;
};

/*
 * Creates a host bridge with an empty root bus. -EINVAL with a line for a desc that makes no sense;
 * -EEXIST if a window or ECAM has the priority and rank (its first address) of another region in its
 * space; -E2BIG (see base.h); -ENOMEM. Any thread, no function lock held.
 */
int bk_pci_host_create(const struct bk_pci_host_desc *desc, struct bk_pci_host **host, struct bk_error *err);

/* Destroys a host bridge. First detach all functions, destroy all bridges, and stop showing or
 * listening to the spaces of its buses (-EBUSY otherwise). After -EBUSY you may try again; meanwhile
 * the host shows nothing, and takes no functions (-ESHUTDOWN). -ENOMEM: nothing is changed. Owner only,
 * no function lock held; never from a handler (-EDEADLK). */
int bk_pci_host_destroy(struct bk_pci_host *host);

/* The root bus (number bus_first of the desc). Valid as long as the host. Any thread, any handler. */
struct bk_pci_bus *bk_pci_host_bus(struct bk_pci_host *host);

/* The space that ECAM and CF8/CFC show: bus << 20 | devfn << 12 | register. Where there is no function
 * it gives all ones (PCI 3.0 6.1). Valid as long as the host. Any thread, any handler. */
struct bk_space *bk_pci_host_config(struct bk_pci_host *host);

/* A bus's memory (64-bit) and I/O (32-bit) spaces, in bus addresses: where BARs show, and windows lead to.
 * Valid as long as the bus. Any thread, any handler. */
struct bk_space *bk_pci_bus_memory(struct bk_pci_bus *bus);
struct bk_space *bk_pci_bus_io(struct bk_pci_bus *bus);

/*
 * Gives every BAR and ROM an address, every bridge its windows and bus numbers,
 * as firmware would: largest first, naturally aligned, memory at least `page`
 * bytes apart from another BAR (so that each can be mapped), 64-bit prefetchable ones above 4 GiB if
 * there is such a window. It does not use addresses at which another region answers, windows below 1
 * MiB, and ports below 0x400 (legacy VGA). Then it sets COMMAND.IO and MEM of functions that got all
 * their addresses, and of bridges with something behind them. Windows of a hot-plug slot
 * (bk_pci_slot_add) get at least 2 MiB of memory, 2 MiB of prefetchable memory (or
 * bk_pci_slot_set_room) and 4 KiB of I/O, which are Linux's defaults, if everything else still fits;
 * otherwise `report` gets a line. A BAR that does not fit keeps address 0, and `report` (may be NULL)
 * gets a line: which BAR, how much room it needs, what is left. *left_out (may be NULL): how many BARs
 * did not fit. 0, also if some did not; -ENOMEM: no BAR has an address, and *left_out is 0. Owner only,
 * before the guest runs; callbacks of functions are called.
 */
int bk_pci_host_assign(struct bk_pci_host *host, uint64_t page, unsigned *left_out,
		       void (*report)(void *opaque, const char *line), void *opaque);

/*
 * Prints the hierarchy below the host, which BARs decode, and which parts of these are in no window and
 * so cannot be reached. (bk_space_describe prints which regions shadow others.) If a BAR does not
 * answer, it prints the reason, as bk_pci_function_explain. 0, -ENOMEM or what the sink returned. Any
 * thread, any handler, no function lock held; no lock is held while the sink is called.
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
	 * For a memory BAR smaller than a page: the page size, a power of two above `size`, and `space`
	 * is that long; otherwise 0. While the address in the register is a multiple of `page`, the
	 * function shows the whole page. The part outside the BAR is below everything else on the bus.
	 * So a BAR that is alone in its page can be mapped as a page.
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
	 * Callbacks for changes of registers; any may be NULL. Called on the thread that wrote.
	 */
	/* COMMAND has changed to `command` (PCI 3.0 6.2.2). MASTER is clear in it while a bridge above
	 * does not forward what the function sends, outside D0, and from bk_pci_function_detach until
	 * the function is on a bus again: the function must not access memory then. Called with the
	 * function's lock held: it must not call bk_pci_* on the same function, and must not wait for a
	 * dispatch. */
	void (*command)(void *opaque, uint16_t command);
	/* The function is being reset: FLR, AF, D3hot to D0 without No_Soft_Reset, a reset of the bus
	 * or bk_pci_function_reset. The registers have been reset already. No lock is held, and it may
	 * take as long as it needs: see bk_pci_function_in_reset. It must not reset or destroy the same
	 * function. */
	int (*reset)(void *opaque);
	void *opaque;
};

/* Creates a function that is on no bus yet, with a type 0 header (PCI 3.0 6.1). -EINVAL with a line for a
 * desc that makes no sense; -E2BIG (see base.h); -ENOMEM. Any thread, no function lock held. */
int bk_pci_function_create(struct bk_domain *domain, const struct bk_pci_function_desc *desc,
			   struct bk_pci_function **function, struct bk_error *err);

/* Destroys a function. First detach it, remove the regions of bk_pci_msix_regions, and stop showing or
 * listening to its config space and the spaces of the bus below (-EBUSY otherwise: nothing is changed).
 * Waits for a reset to end. Owner only, no function lock held; never from a handler (-EDEADLK). */
int bk_pci_function_destroy(struct bk_pci_function *function);

/*
 * Puts the function on a bus; a guest sees it from now on. While several functions share a slot, all of
 * them show the multi-function bit. Registers keep their values; bk_pci_function_reset sets those of a
 * fresh card. -EEXIST: there is one at this devfn. -EBUSY: it is on a bus. -EXDEV: the bus is in
 * another domain, or the function is a bridge of another host. -ESHUTDOWN: bk_pci_host_destroy failed
 * before. -ENOMEM. Any thread, no function lock held.
 */
int bk_pci_function_attach(struct bk_pci_function *function, struct bk_pci_bus *bus, uint8_t devfn);

/* Takes the function off its bus: its BARs and config space no longer answer. 0, also if it is on no
 * bus. -ENOMEM: nothing is changed, and you may try again. Any thread, no function lock held; readers
 * may still be inside for a while. */
int bk_pci_function_detach(struct bk_pci_function *function);

/*
 * The function's config space, 256 or 4096 bytes, with the registers in a region of priority 0. Owners
 * may add regions above it. Accesses to it have the same effect as a guest's through ECAM. Valid as
 * long as the function. Any thread, any handler.
 */
struct bk_space *bk_pci_function_config(struct bk_pci_function *function);

/*
 * Reads or writes the registers themselves, below any region that an owner has added. Use it in the
 * handlers of such regions, for example to change some bits of a register and pass others on. Width 1,
 * 2 or 4, any alignment; -EINVAL otherwise or past the end. Any thread, any handler, not with the
 * function's lock held.
 */
int bk_pci_function_read(struct bk_pci_function *function, unsigned offset, unsigned width, uint64_t *value);
int bk_pci_function_write(struct bk_pci_function *function, unsigned offset, unsigned width, uint64_t value);

/* The name it was created with; valid as long as the function. Any thread, any handler. */
const char *bk_pci_function_name(const struct bk_pci_function *function);

/*
 * Sets all registers to the values of a fresh card, then calls desc.reset and returns its result; does
 * the same for everything below a bridge. If another thread is already resetting the function, it waits
 * for that reset and returns its result. 0, or the negative errno of desc.reset. Any thread, no
 * function lock held, never from desc.reset.
 *
 * The resets that a guest can cause keep some registers. An FLR, an AF reset and D3hot to D0 keep what
 * PCIe 6.6.2 lists (Max_Payload_Size, controls of the link, capabilities of the link and of virtual
 * channels), and sticky registers. A reset of the bus or a disabled link keeps sticky registers
 * (Advanced Error Reporting, Link Control 2, PME bits of a function that wakes from D3cold).
 */
int bk_pci_function_reset(struct bk_pci_function *function);

/*
 * Is the function in reset? It is while its desc.reset runs or is about to run: the functions of a bus
 * are reset one after the other. No lock is held during desc.reset, so all other calls work, on this
 * function and on others. Meanwhile
 * - config space of the function, bk_pci_function_read included, reads all ones, or a vendor id of 0x0001
 *   where the guest enabled CRS Software Visibility in the root port above; writes are dropped;
 * - nothing of it decodes, and it sends no interrupts;
 * - desc.command and the interrupt callbacks are not called. Before desc.reset they were called with
 *   COMMAND 0 and interrupts off; when the reset ends, they are called with what has changed since;
 * - it may be detached and attached. bk_pci_function_destroy waits for the end of the reset.
 *
 * Code that accesses the device behind the function should check this first: a host may block such an
 * access until its own reset ends. Takes no lock. Any thread, any handler, any callback.
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

/* Why a BAR does not answer. If several reasons apply, it is the first in this list, except for the
 * last two. */
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

/* Why a BAR is where it is, or why it does not answer. */
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
 * Explains why this BAR (or BK_PCI_ROM) does not answer. It looks at the function's registers, then at
 * the windows from the host down to the function. (bk_space_explain says which other region answers at
 * an address.) Unless `text` is NULL, it writes a line of text there, without a newline, cut to
 * `text_size` bytes with the terminating zero; 192 are enough.
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
 * Sets registers without side effects and without traps, for owners that change what a guest sees at
 * first. It does not affect what the model computes on a read (sizes of BARs, STATUS bit 3, MSI's
 * pending bits). 0; -EINVAL outside config space; -EBUSY if attached; -E2BIG (see base.h). Owner only,
 * before attach, no function lock held; desc.command is not called.
 */
int bk_pci_function_preset(struct bk_pci_function *function, const struct bk_pci_preset *preset);

/* ---- Bridges ----------------------------------------------------------- */
/*
 * A bridge is a function with a type 1 header and a bus below (PCI-to-PCI
 * Bridge 1.2; as a root port or switch port with a capability that says so).
 * Its registers open windows to the bus below: I/O (16-bit), memory,
 * prefetchable memory (64-bit), the VGA ranges, and bus numbers. Functions below answer only through
 * these windows. Windows, like BARs, need COMMAND and D0, and are closed while Bridge Control resets
 * the bus; that, and a reset of the bridge, resets every function below. With ISA Enable the I/O window
 * forwards only the first 256 ports of each 1024 (3.2.5.18). VGA Enable also forwards the aliases of
 * its ports, unless VGA 16-bit Decode is set. Messages from below pass while Bus Master is set
 * (3.2.4.3), and wait until then.
 *
 * Config space from 0x100 on can be reached only through PCI Express ports (a capability of
 * bk_pci_express_add says what a bridge is): behind a PCIe-to-PCI or a conventional bridge it reads all
 * ones.
 *
 * All calls on functions work on bridges, too. Config writes to a bridge hold the host's lock:
 * callbacks of the bridge and of functions below it must not attach or detach.
 */

/*
 * Creates a bridge, for use below this host. `desc` is that of any function, with at most two BARs and
 * without subsystem ids (a capability with id 0x0d has them). Windows are closed at reset. Errors as
 * bk_pci_function_create; -EINVAL with a line for more BARs. To destroy it, first empty its bus (-EBUSY
 * otherwise). Any thread, no function lock held.
 */
int bk_pci_bridge_create(struct bk_pci_host *host, const struct bk_pci_function_desc *desc,
			 struct bk_pci_function **bridge, struct bk_error *err);

/* The bus below; NULL if it is no bridge. Valid as long as the bridge. Any thread, any handler. */
struct bk_pci_bus *bk_pci_bridge_bus(struct bk_pci_function *bridge);

/* ---- Capabilities ------------------------------------------------------ */
/*
 * Each of these calls adds a capability to the chain (PCI 3.0 6.7; extended ones PCIe 7.6.3) and
 * returns its offset. `offset` 0 chooses the next free one. A read of config space sees all of the
 * capability or nothing, also if a guest uses the function. Chains stay in the order of offsets, so a
 * guest that walks one cannot loop, even while it changes.
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
/* Adds any capability, and returns its offset. -EINVAL if it would overlap the header or another
 * capability, is not 4-byte aligned or runs past the end, or for an id that is too large; -ENOSPC if no
 * place is free; -EEXIST if the function can have only one of this kind, and has one; -E2BIG (see
 * base.h); -ENOMEM. Owner only, before the function is attached or while a guest uses it; no function
 * lock held.
 */
int bk_pci_capability_add(struct bk_pci_function *function, const struct bk_pci_capability_desc *desc);

/*
 * Takes the capability that begins at `offset` out of its chain. Its registers read zero and take no
 * writes, and its effects end: interrupts are off, the function is in D0, a BAR has its original size.
 * The MSI-X table and PBA answer with errors until their regions are removed. -ENOENT: no capability
 * begins there. -EBUSY: the PCI Express capability of a port with a slot. Owner only, no function lock
 * held.
 */
int bk_pci_capability_remove(struct bk_pci_function *function, unsigned offset);

/* Power management (PM 3.2). Outside D0 the function decodes nothing and sends nothing: desc.command
 * gets a COMMAND without MASTER, vectors are silent. From D3hot the only way is to D0. The registers
 * are then as before if no_soft_reset, otherwise reset. `pmc`: the PMC register (PM 3.2.3), which says
 * whether the function has D1, D2 and PME. Errors and threads as bk_pci_capability_add. */
int bk_pci_pm_add(struct bk_pci_function *function, unsigned offset, uint16_t pmc, bool no_soft_reset);

/* MSI (PCI 3.0 6.8.1). vectors: 1, 2, 4, 8, 16 or 32 (-EINVAL otherwise). `address64`: with an upper half of
 * the address; `maskable`: with mask and pending bits. Errors and threads as bk_pci_capability_add. */
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
 * threads as bk_pci_capability_add. */
int bk_pci_msix_add(struct bk_pci_function *function, const struct bk_pci_msix_desc *desc);

/* PCI Express (PCIe 7.5.3), 12 to 60 bytes as a device shows them. Control registers take what a guest writes
 * and keep it; Initiate FLR (if DEVCAP offers it) is a reset. A root port with CRS Software Visibility
 * in Root Capabilities lets the guest see that a function below is in reset (bk_pci_function_in_reset).
 * -EINVAL also for other sizes and without bytes; other errors and threads as bk_pci_capability_add. */
int bk_pci_express_add(struct bk_pci_function *function, unsigned offset, const void *bytes, unsigned size);

/*
 * Gives a port with a PCI Express capability a slot, into which a card may be plugged and from which it
 * may be unplugged while the guest runs (PCIe 6.7, 7.5.3.9-11). The slot is hot-plug capable, allows
 * surprise removal and has no command completion. Only bk_pci_slot_add_button gives it a button, an
 * indicator and a power controller. `number` (0..8191) is the slot's number, which should be unique in
 * the machine.
 *
 * The card is the function that is attached below at device 0, function 0. Presence Detect State
 * follows it, and so does Data Link Layer Link Active unless Link Disable is set, which also resets and
 * hides what is below. The link is as fast and as wide as the card's own, but not more than the port's.
 * Each change is latched as an event in Slot Status, and signalled as Slot Control says: by MSI or
 * MSI-X vector 0, or by the pin. If a card has several functions, attach function 0 last and detach it
 * first: without it there is no link, and the others cannot be reached. bk_pci_host_assign leaves room
 * below the slot.
 *
 * -EINVAL: not a bridge with the capability of a root or downstream port, at least 28 bytes of it, or
 * `number` too large; -EEXIST: it has one; -EBUSY: it is attached. Owner only, before attach, no function
 * lock held.
 */
int bk_pci_slot_add(struct bk_pci_function *port, unsigned number);

/*
 * Gives the slot an attention button, a power controller and a power indicator (PCIe 6.7.1), with which
 * a guest can be asked to release a card. While the power is off, the card is reset and cannot be
 * reached; attaching a card then presses the button. `power` is called when the guest switches the
 * power, on the thread that writes, with the locks of the port and of the host held, so it must not
 * call bk_pci_*. -EINVAL without a slot; -EBUSY: the port is attached. Owner only, before attach, no
 * function lock held.
 */
int bk_pci_slot_add_button(struct bk_pci_function *port, void (*power)(void *opaque, bool on), void *opaque);

/*
 * Presses the button. A guest that uses the card then makes the indicator blink, waits five seconds in
 * case the button is pressed again (to cancel), releases the card and switches the power off. -EAGAIN:
 * the guest has not enabled the button's event; -EALREADY: the indicator blinks; -EINVAL: there is no
 * button. PCIe 6.7.1.5. Any thread, any handler, no function lock held.
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
 * Initiate FLR is a reset; Transactions Pending reads 0. Errors and threads as bk_pci_capability_add. */
int bk_pci_af_add(struct bk_pci_function *function, unsigned offset);

struct bk_pci_resizable {
	unsigned bar;   /* of memory */
	uint64_t sizes; /* that it may have, or-ed, from 1 MiB up: that of the desc is one of them */
};

/*
 * Resizable BARs (PCIe 7.8.6), at most 6. The BAR's size follows its control register at once. If the
 * register's size is none of `sizes`, the BAR gets the next smaller one, or the smallest. A reset
 * restores the size of the desc. -EINVAL also if a BAR is not a memory BAR or is named twice, or if a
 * size does not fit its space or, above 2 GiB, a 32-bit BAR. Other errors and threads as
 * bk_pci_capability_add.
 */
int bk_pci_resizable_add(struct bk_pci_function *function, unsigned offset,
			 const struct bk_pci_resizable *bars, unsigned count);

/* Device serial number (PCIe 7.9.3), one for a function (-EEXIST). Other errors and threads as
 * bk_pci_capability_add. */
int bk_pci_serial_add(struct bk_pci_function *function, unsigned offset, uint64_t serial);

enum bk_pci_vendor_kind {
	BK_PCI_VENDOR, /* vendor-specific capability (PCI 3.0 appendix H): a header of 3 bytes */
	BK_PCI_VSEC,   /* extended, of the function's vendor (PCIe 7.9.5): 8 bytes */
	BK_PCI_DVSEC,  /* extended, of the vendor named (PCIe 7.9.6): 10 bytes */
};

/* A vendor's capability: a header, which barkeep fills in, and `size` bytes after it. Zero-initialise
 * it; it is copied, with the bytes. */
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
 * Other errors and threads as bk_pci_capability_add. */
int bk_pci_vendor_add(struct bk_pci_function *function, const struct bk_pci_vendor_desc *desc);

/*
 * Fills in the regions of the MSI-X table and the PBA: name, first, last (in their BAR), kind, ops and
 * opaque. The owner chooses priority and rank and adds them to the BARs' spaces. -ENOENT without MSI-X.
 * Accesses of any width and alignment work (PCI 3.0 6.8.2 only defines aligned ones of 4 and 8 bytes):
 * a write changes the bytes that it covers. PBA writes are dropped. All members of `table` and `pba`
 * are overwritten. The handlers need the function: remove the regions before it is destroyed. Any
 * thread, any handler, no function lock held.
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
 * Callbacks for functions whose interrupts come from outside (a passed-through device): they report
 * what the guest has set in the registers. Called with the function's lock held.
 *
 * mode: the kind of interrupts from now on. For MSI and MSI-X, `vectors` is their number; none of them may
 *   send until `vector` is called for it.
 * vector: this vector sends `message` from now on. NULL: it is masked and must not send; if it fires
 *   meanwhile, it is pending. If several change at once, the call for the highest comes first. A vector
 *   without a call needs no vector of the host.
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
 * Sets the interrupt callbacks of a function. A function without them is an emulated one:
 * bk_pci_function_send_msi and bk_pci_function_set_intx raise its interrupts, and barkeep keeps the
 * pending bits. `ops` is copied, and its callbacks are called with the current state before this call
 * returns. NULL makes the function emulated again. 0 or -E2BIG (see base.h). `opaque` must stay valid
 * until other ops, or none, are set. Any thread, any handler, no function lock held.
 */
int bk_pci_function_set_irq_ops(struct bk_pci_function *function, const struct bk_pci_irq_ops *ops,
				void *opaque);

/* The host's interrupt line, from 0, to which the function's pin is connected (PCI-to-PCI Bridge 1.2,
 * 9.1); -ENOENT without a pin or a bus. It changes when a bridge above is attached elsewhere. Any
 * thread, any handler, no function lock held. */
int bk_pci_function_intx_line(struct bk_pci_function *function);

/* Fires an MSI or MSI-X vector of an emulated function. The message is sent at once, or stays pending
 * while the vector is masked or the function is not a bus master (COMMAND bit 2), outside D0, on no bus
 * or below a bridge that does not forward it. -EINVAL beyond the vectors enabled, -EPERM with irq ops
 * (PCI 3.0 6.8). Any thread, any handler, no function lock held. */
int bk_pci_function_send_msi(struct bk_pci_function *function, unsigned vector);

/* Sets the INTx level of an emulated function (STATUS bit 3; gated by Interrupt Disable, MSI, MSI-X and
 * D0; PCI 3.0 2.2.6). A reset of the function lowers it. -ENOENT without a pin. Any thread, any
 * handler, no function lock held. */
int bk_pci_function_set_intx(struct bk_pci_function *function, bool level);

#ifdef __cplusplus
}
#endif
#endif
