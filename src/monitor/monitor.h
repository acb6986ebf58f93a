/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small KVM monitor: it boots a guest with the devices that it is given, and
 * nothing else. Front of the command `barkeep run`.
 */
#ifndef BK_MONITOR_H
#define BK_MONITOR_H

#include <barkeep/mediate.h>

struct bk__monitor;

struct bk__monitor_config {
	/* x86: bzImage, or ELF with a PVH note; arm64: Image. NULL with firmware. */
	const char *kernel;
	const char *initrd;   /* or NULL */
	const char *append;   /* kernel command line, or NULL */
	const char *firmware; /* arm64: what runs instead of a kernel, or NULL */
	uint64_t io_window;   /* arm64: where the window of I/O BARs is in memory; 0: the default */
	uint64_t memory;      /* bytes of guest RAM; a multiple of 2 MiB */
	unsigned cpus;        /* 1..16 */
	bool huge_pages;      /* RAM from hugetlbfs pages */
	bool share_memory;    /* RAM can be given to other processes: to servers of vfio-user devices */
	bool preallocate;     /* touch all RAM before the guest starts */
	bool peer_to_peer;    /* map BARs into the IOMMU too, following their moves */
	bool no_reboot;       /* a guest's reset ends the run */
	bool log_map;         /* log which BAR answers where */
	/* What devices of the host can use (bk_device_context_iova_ranges); needed until bk__monitor_create
	 * returns. */
	const struct bk_device_iova_range *iova_ranges;
	unsigned iova_range_count;
	int console_in; /* the guest's serial console; -1: none */
	int console_out;
	int console_listen; /* without them: a client of this Unix socket has the console; -1: none */
};

enum bk__monitor_end {
	BK__END_POWEROFF, /* the guest switched itself off */
	BK__END_RESET,    /* the guest reset itself, and no_reboot was asked for */
	BK__END_CRASH,    /* the guest crashed, and nothing of it goes on; on x86 by a triple fault */
	BK__END_STOPPED,  /* bk__monitor_stop, the escape key */
	BK__END_ERROR,    /* KVM or the monitor failed; the line says how */
};

/* Opens KVM, makes RAM, platform and host bridge, loads kernel and initrd. */
int bk__monitor_create(const struct bk__monitor_config *config, struct bk__monitor **monitor,
		       struct bk_error *err);

/* The domain of all the guest's spaces: what bk_mediator_create needs. */
struct bk_domain *bk__monitor_domain(struct bk__monitor *monitor);

/* What is above a bus. */
enum bk__monitor_bus_kind {
	BK__BUS_ROOT, /* the host bridge */
	BK__BUS_PORT, /* a PCI Express root port, with a hot-plug slot */
	BK__BUS_PCI,  /* a bridge to conventional PCI */
};

struct bk__monitor_bridge_config {
	const char *name;
	enum bk__monitor_bus_kind kind; /* BK__BUS_PORT or BK__BUS_PCI */
	const char *bus;                /* the bridge above; NULL: the root bus, where root ports are */
	int slot;                       /* -1: the next free one */
	unsigned function;
	uint64_t memory, prefetchable; /* bytes of room for a device to come to a root port; 0: the default */
};

/*
 * Makes a bridge; the one above must be there. -ENOENT, -EEXIST (the name, or the place), -EINVAL, -ENOSPC or
 * -ENOMEM with a line. Before the guest runs.
 */
int bk__monitor_bridge(struct bk__monitor *monitor, const struct bk__monitor_bridge_config *config,
		       struct bk_error *err);

/* What kind of bus is below the bridge of that name (NULL: the root bus). -ENOENT with a line. */
int bk__monitor_bus(struct bk__monitor *monitor, const char *name, enum bk__monitor_bus_kind *kind,
		    struct bk_error *err);

struct bk__monitor_place {
	const char *bus; /* the bridge above; NULL: the root bus, where 00.0 is the host bridge */
	int slot;        /* -1: the next free one; behind a root port there is slot 0 alone */
	unsigned function;
};

/*
 * Puts the device on a bus, with its interrupts and DMA wired. A running guest is notified if the bus
 * is behind a root port. On success the monitor owns the mediator and closes it when it is destroyed;
 * on failure it stays the caller's.
 */
int bk__monitor_attach(struct bk__monitor *monitor, struct bk_mediator *mediate,
		       const struct bk__monitor_place *place, struct bk_error *err);

/* -EBUSY with a line while devices can neither come nor go: the guest is reset, or one is being given back.
 * Requests are served then; open no device. */
int bk__monitor_busy(const struct bk__monitor *monitor, struct bk_error *err);

/*
 * Takes a device out of its slot, notifies the guest, and closes the mediator. -EPERM with a line if it
 * is in no slot. While the guest runs, only the main thread may call this and bk__monitor_attach
 * (bk__monitor_watch).
 */
int bk__monitor_detach(struct bk__monitor *monitor, struct bk_mediator *mediate, struct bk_error *err);

/*
 * Asks the guest to let a device in a slot go (the attention button), which takes it some seconds: then
 * bk__monitor_let_go says so. 0; 1: the guest has switched the slot off already, so that it may be detached;
 * -EPERM, -EAGAIN, -EALREADY or -EBUSY with a line. While the guest runs, by the thread that runs it.
 */
int bk__monitor_ask(struct bk__monitor *monitor, struct bk_mediator *mediate, struct bk_error *err);

/* `gone` is called for each device that the guest was asked for and has let go, by the thread that runs the
 * guest: it is to detach it. */
void bk__monitor_let_go(struct bk__monitor *monitor, void (*gone)(void *opaque, struct bk_mediator *mediate),
			void *opaque);

/* The VFIO groups of all devices (bk_device_context_groups), for KVM. After each change. */
void bk__monitor_groups(struct bk__monitor *monitor, const int *fds, unsigned count);

/* While the guest runs `ready` is called when `fd` can be read, by the thread that runs it. The fd is closed
 * after the monitor's end or after a run. 0 or a negative errno. */
int bk__monitor_watch(struct bk__monitor *monitor, int fd, void (*ready)(void *opaque), void *opaque);

/*
 * When the host wants a device back, the main thread calls `wanted`, which returns true if it has
 * detached the device. If it is NULL or returns false, the run ends.
 */
void bk__monitor_wanted(struct bk__monitor *monitor,
			bool (*wanted)(void *opaque, struct bk_mediator *mediate), void *opaque);

/* Assigns addresses, runs the guest to its end. A guest's reset restarts it in
 * place unless no_reboot. */
enum bk__monitor_end bk__monitor_run(struct bk__monitor *monitor, struct bk_error *err);

/*
 * While the guest runs, by the thread that runs it (bk__monitor_watch). A guest that is paused executes
 * nothing and sees nothing; devices that are passed through go on, and their interrupts wait. It may be reset
 * meanwhile, and stays paused. -EBUSY with a line while a device is in reset.
 */
int bk__monitor_pause(struct bk__monitor *monitor, struct bk_error *err);
void bk__monitor_resume(struct bk__monitor *monitor);
bool bk__monitor_paused(const struct bk__monitor *monitor);

/* Resets the guest soon, as it could itself (which ends the run with no_reboot). Any thread. */
void bk__monitor_reset(struct bk__monitor *monitor);

/* Presses the power button; false if the guest does not listen to it. Any thread. */
bool bk__monitor_button(struct bk__monitor *monitor);

/* Ends the run soon. From any thread or signal handler. */
void bk__monitor_stop(struct bk__monitor *monitor);

/* Exits that were served: for `run --stats`. */
struct bk__monitor_stats {
	uint64_t mmio_exits, io_exits;
	uint64_t mapped_exits;         /* found a mapped page without a memslot (F37 and races) */
	uint64_t memslots, unmappable; /* now; pages that could not get a memslot */
};
void bk__monitor_stats(struct bk__monitor *monitor, struct bk__monitor_stats *stats);
struct bk_space *bk__monitor_memory(struct bk__monitor *monitor);
struct bk_space *bk__monitor_ports(struct bk__monitor *monitor);
struct bk_pci_host *bk__monitor_host(struct bk__monitor *monitor);

void bk__monitor_destroy(struct bk__monitor *monitor);

#endif
