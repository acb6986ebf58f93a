/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of a mediated device share. */
#ifndef BARKEEP_MEDIATE_MEDIATE_H
#define BARKEEP_MEDIATE_MEDIATE_H

#include <pthread.h>

#include <barkeep/mediate.h>

#include "base/array.h"
#include "base/pci_regs.h"
#include "mediate/count.h"

/* BAR 0..5, ROM, config and VGA: the regions that are spaces here. Others (a
 * vendor's own) belong to the device below alone. */
#define BK__SPACES 9

/*
 * Who is above whom in a region's space. The registers of config space are at
 * priority 0 (bk_pci_function_config). Users' traps are at BK_TRAP_PRIORITY
 * plus what they ask for, but never below BK__PRIORITY_LOWEST.
 */
enum {
	BK__PRIORITY_HANDLED = -1, /* a BAR, ROM or VGA range, all of it */
	BK__PRIORITY_MAPPED = 0,   /* what of a BAR can be mapped */
	BK__PRIORITY_HOLE = 1,     /* what of that must exit because of the device below */
	BK__PRIORITY_CONFIG = 1,   /* config space, all of it */
	BK__PRIORITY_LOWEST = 2,
	BK__PRIORITY_BUILTIN = BK_TRAP_PRIORITY - 1,
};

/* A range at the bottom of a region: what answers where there is no trap. */
struct bk__mediate_place {
	struct bk_mediator *mediate;
	unsigned region;
	uint64_t first, size;
	void *host; /* where it is mapped; NULL: handled, or mapped by others only (filter mode) */
	struct bk__base_guard *guard; /* or NULL */
};

/* What a page that exits because traps have edges in it costs the registers beside them. (page.c) */
struct bk__mediate_page {
	unsigned region;
	uint64_t first;
	unsigned traps;                /* that have an edge in it; under the mediator's lock */
	struct bk__mediate_page *next; /* in its chain; atomic */
	struct bk__mediate_counts counts;
};

struct bk__mediate_region {
	struct bk_space *space;       /* NULL: there is no such region */
	struct bk_region *bottom;     /* what answers there where there is nothing else */
	struct bk_device_region info; /* of the device below */
	uint64_t size;                /* bytes that a guest sees */
	uint64_t page;                /* of a BAR that shares its page, which is as long as its space; or 0 */
	struct bk__mediate_counts counts; /* registers without a trap */

	struct bk__mediate_place **areas; /* that are mapped; ascending, fixed after create */
	size_t area_count;

	struct bk__mediate_range *holes; /* in them, under the mediator's lock (hole.c) */
	size_t hole_count;

	/* With an edge of a trap in them, ascending; under the mediator's lock. */
	BK__ARRAY(struct bk__mediate_page *) pages;
	struct bk__mediate_page *
		*buckets;      /* the same in chains, for accesses; NULL before the first; atomic */
	unsigned bucket_count; /* a power of two */
};

/* A write that came so many times on end. */
struct bk__mediate_repeated {
	uint64_t offset, value;
	unsigned width, times;
};

/* One that is made without the trap. */
struct bk__mediate_accelerated {
	const struct bk_trap *trap;
	uint64_t offset, value;
	unsigned width;
	void *handle; /* the accelerator's */
};

enum { BK__ACCELERATED = 10 };

struct bk_mediator {
	struct bk_device device; /* the face: the mediated device as a device */
	struct bk_device *below;
	struct bk_domain *domain;
	struct bk_pci_function *function;  /* NULL in filter mode */
	struct bk__mediate_filter *filter; /* NULL but in filter mode (filter.c) */

	/* Which of the two recorders gets each access, plus 1; 0: none. A recorder stays while it is in
	 * use. Both atomic. (record.c) */
	unsigned recording;
	struct bk__mediate_recorder {
		bk_access_fn *fn;
		void *opaque;
		unsigned users;
	} recorders[2];

	uint64_t page_size;
	struct bk__mediate_region regions[BK__SPACES];

	/* Config space of the device below as it was at create, and which bits of
	 * the guest's are read from the device at each access, which are written to
	 * it, and which are written 1 to clear a bit there. Fixed after create. */
	uint8_t config[BK__PCI_CONFIG_SIZE];
	uint8_t live[BK__PCI_CONFIG_SIZE];
	uint8_t passed[BK__PCI_CONFIG_SIZE];
	uint8_t w1c[BK__PCI_CONFIG_SIZE];
	uint8_t free[BK__PCI_CONFIG_SIZE]; /* 1: no capability has it, neither shown nor hidden */
	uint32_t mixed[BK__PCI_CONFIG_SIZE / 4 /
		       32];    /* registers of which any byte is live or free, one bit each */
	unsigned config_size;  /* that a guest sees: 256 or 4096 bytes */
	unsigned config_below; /* and how many of them the device has */

	uint16_t decode;  /* COMMAND.IO and MEM of the device: 1 from create to close */
	uint16_t command; /* the guest's COMMAND; under the function's lock, stays in a reset */
	bool can_reset;
	bool below_port;
	bool reset_told; /* that it cannot be reset; in a reset, of which there is one at a time */

	uint8_t *rom; /* `size` bytes of its region */

	/* Where a guest finds the MSI-X table and PBA, if that is not where the device has them. */
	bool msix_moved;
	unsigned msix_to;
	uint32_t msix_table, msix_pba;
	struct bk_region_desc msix[2]; /* table and PBA, as the function answers them; fixed after create */
	unsigned msix_bar[2];
	bool msix_modelled;  /* the function has MSI-X */
	struct bk_trap *pba; /* NULL: bk_mediator_trap_pba took it away, or there never was one */
	unsigned vpd;        /* where the capability is, 0: nowhere */
	unsigned control[2]; /* Device Control and Device Control 2, which the model keeps for the device; or
				0 */

	/* Guests' writes to config space that had no effect, and in which registers of 4 bytes, one bit
	 * each. */
	uint64_t lost;                                 /* relaxed */
	uint32_t lost_told[BK__PCI_CONFIG_SIZE / 128]; /* relaxed */

	struct bk_space *vga[2]; /* the memory and the ports of VGA, as the function shows them; or NULL */

	/* Of the traps and pages, and held while a change to them is committed:
	 * outside the domain's commit lock, inside a function's. No handler, listener
	 * or `released` of this room takes it. */
	pthread_mutex_t lock;
	BK__ARRAY(struct bk_trap *) traps; /* in order of region, offset, priority */
	struct bk_trap *retired;           /* that still have a region, for want of memory */
	bool closed;                       /* nothing is added or removed any more */
	struct bk_device_watcher watcher;  /* of what can be mapped; zeroed: nobody */
	void *watcher_opaque;
	struct bk_accelerator_ops accelerator; /* zeroed: none */
	void *accelerator_opaque;
	struct bk__mediate_accelerated accelerated[BK__ACCELERATED];
	unsigned accelerated_count;

	pthread_mutex_t repeated_lock; /* of what traps have seen; the innermost */
};

/* A trap, from bk_trap_add until no reader is inside it. The fields that an access needs are in one
 * cache line.
 */
struct bk_trap {
	/* The handlers; NULL: the device's registers. Atomic: both go when the trap does and there is no
	 * memory. */
	int (*read)(void *opaque, unsigned region, uint64_t offset, unsigned width, uint64_t *value);
	int (*write)(void *opaque, unsigned region, uint64_t offset, unsigned width, uint64_t value);
	void *opaque;
	struct bk_mediator *mediate;
	uint64_t last; /* value; relaxed */
	unsigned region;
	bool accelerate;
	struct bk__mediate_counts counts;

	int priority; /* in the region's space */
	uint64_t offset, length;
	struct bk_region *handle;
	struct bk_region_ops region_ops;
	void (*released)(void *opaque);
	struct bk_trap *next_retired;
	struct bk__mediate_page *left[2];     /* pages that it was the last one in, freed with it; or NULL */
	struct bk__mediate_repeated repeated; /* under repeated_lock */
	char name[];
};

enum { BK__CACHE_LINE = 64 };

/* The space of a BAR, with the device at its bottom, mapped where it can be. Bytes that the device does
 * not have read as all ones. (place.c) */
int bk__mediate_bar_build(struct bk_mediator *m, unsigned index, struct bk_pci_bar *bar,
			  struct bk_error *err);

/* The page that a BAR may share, or 0. (place.c) */
uint64_t bk__mediate_bar_page(const struct bk_mediator *m, unsigned index, const struct bk_pci_bar *bar);

/* Is all of an access to a BAR the device's, where there is no trap? (below.c) */
bool bk__mediate_device_has(const struct bk_mediator *m, unsigned bar, uint64_t offset, unsigned width);

/* Puts what answers without a trap at `priority` over `size` bytes of the region's space. (place.c) */
int bk__mediate_bottom_add(struct bk_mediator *m, unsigned region, uint64_t first, uint64_t size,
			   int priority, unsigned widths, struct bk_error *err);

/* The callbacks of a place. (place.c) */
extern const struct bk_region_ops bk__mediate_place_ops;

/* The fields of a region that shows a part of a mapped area. (place.c) */
struct bk_region_desc bk__mediate_mapped_desc(const struct bk__mediate_place *area, uint64_t first,
					      uint64_t size);

uint64_t bk__mediate_page_size(void);

/* An access that reached registers without a trap, in a region that has buckets: counts it for each page that
 * exits because of a trap. (page.c) */
void bk__mediate_count_pages(struct bk_mediator *m, unsigned region, uint64_t offset, unsigned width,
			     bool write, int r);

/*
 * Counters of pages that can be mapped and have a part of a trap in them.
 *
 * prepare makes them for a trap, before the update that adds it; claim says
 * that it is there, unclaim that it is not after all: what is made then stays
 * for the next one. release is for one that goes, and comes before the commit:
 * what is left in the trap no access can find any more, and is freed with it;
 * restore takes that back. All under the lock, except the last two. (page.c)
 */
int bk__mediate_pages_prepare(struct bk_mediator *m, struct bk_trap *trap);
void bk__mediate_pages_claim(struct bk_mediator *m, const struct bk_trap *trap);
void bk__mediate_pages_unclaim(struct bk_mediator *m, const struct bk_trap *trap);
void bk__mediate_pages_release(struct bk_mediator *m, struct bk_trap *trap);
void bk__mediate_pages_restore(struct bk_mediator *m, struct bk_trap *trap);
void bk__mediate_pages_left_free(struct bk_trap *trap);
void bk__mediate_pages_free(struct bk__mediate_region *region);

/* Maps `size` bytes of a file so that large pages can be used: the address is a multiple of the power of two
 * that holds `size` (at most 1 GiB, the largest page). NULL with errno. (mmap.c) */
void *bk__mediate_map(int fd, uint64_t offset, uint64_t size, bool writable);

/* Maps another file at the same place; `fd` below 0: memory that is 0. 0 or a negative errno. */
int bk__mediate_map_again(void *host, int fd, uint64_t offset, uint64_t size, bool writable);
void bk__mediate_unmap(void *host, uint64_t size);

/* What is mapped at place->host may be this file from now on: if somebody may shrink it, pages that have gone
 * read all ones. False when out of memory. */
bool bk__mediate_guard(struct bk__mediate_place *place, int fd);

/* Reads the device's config space. (live_config.c) */
int bk__mediate_config_load(struct bk_mediator *m, struct bk_error *err);

/* Once it is known what of config space is live. (live_config.c) */
void bk__mediate_config_ready(struct bk_mediator *m);

/* The guest's registers with the live bits of the device, without traps. (live_config.c) */
int bk__mediate_config_read(struct bk_mediator *m, uint64_t offset, unsigned width, uint64_t *value);
int bk__mediate_config_write(struct bk_mediator *m, uint64_t offset, unsigned width, uint64_t value);

/* Sets the device's COMMAND from the guest's. Function lock held, in a reset, or before other threads
 * can be there. (live_config.c)
 */
int bk__mediate_command(struct bk_mediator *m);

/* The image that a guest sees; size 0 if there is none. (rom.c) */
int bk__mediate_rom(struct bk_mediator *m, const struct bk_mediator_options *options, struct bk_error *err);

/* The function and the BARs' spaces from the device's config space and regions. (build.c) */
int bk__mediate_function(struct bk_mediator *m, const struct bk_mediator_options *options,
			 struct bk_error *err);

/* Capabilities, as the device has them. (capabilities.c) */
int bk__mediate_capabilities(struct bk_mediator *m, struct bk_error *err);

/* Is this write a request to read vital product data? And does it. (vpd.c) */
bool bk__mediate_vpd_reads(const struct bk_mediator *m, uint64_t offset, unsigned width, uint64_t value);
int bk__mediate_vpd_request(struct bk_mediator *m, uint64_t offset, uint64_t value);

/* Where the device's own config space has a capability of the standard list; 0: nowhere. (capabilities.c) */
unsigned bk__mediate_capability_below(struct bk_mediator *m, unsigned id);

/* Chooses where the MSI-X table and PBA go, and changes or makes the BAR for it. (msix_traps.c) */
int bk__mediate_msix_move(struct bk_mediator *m, unsigned bar, struct bk_pci_bar bars[BK_PCI_BARS],
			  struct bk_error *err);

/* The MSI-X table and PBA as traps of the list, if the function has any. (msix_traps.c) */
int bk__mediate_msix_traps(struct bk_mediator *m, struct bk_error *err);

/* Adds at `priority` in the region's space; checks nothing but the place. (trap.c) */
int bk__mediate_trap_place(struct bk_mediator *m, const struct bk_trap_desc *desc, int priority,
			   struct bk_trap **trap, struct bk_error *err);

/* A write that the trap has passed on. (accelerate.c) */
void bk__mediate_accelerate_note(struct bk_trap *trap, uint64_t offset, unsigned width, uint64_t value);
/* No write of this trap, or with NULL of any, is made without it any more. Under the lock. (accelerate.c) */
void bk__mediate_accelerate_stop(struct bk_mediator *m, const struct bk_trap *trap);
/* How many there are. Under the lock. (accelerate.c) */
unsigned bk__mediate_accelerate_count(const struct bk_mediator *m, const struct bk_trap *trap);
/* The function was reset. (accelerate.c) */
void bk__mediate_accelerate_reset(struct bk_mediator *m);

/* The legacy VGA ranges; afterwards m->vga is for the function. (vga.c) */
int bk__mediate_vga(struct bk_mediator *m, struct bk_error *err);
/* [offset, offset + length) is in one of them. (vga.c) */
bool bk__mediate_vga_has(uint64_t offset, uint64_t length);

extern const struct bk_device_ops bk__mediate_face_ops; /* face.c */

#endif
