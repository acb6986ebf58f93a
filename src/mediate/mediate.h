/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of a mediated device share. */
#ifndef BARKEEP_MEDIATE_MEDIATE_H
#define BARKEEP_MEDIATE_MEDIATE_H

#include <pthread.h>

#include <barkeep/mediate.h>

/* BAR 0..5, ROM and config: the regions that are spaces here. Others (VGA, a
 * vendor's own) belong to the device below alone. */
#define BK__SPACES 8

#define BK__CONFIG_MAX 4096

/*
 * Who is above whom in a region's space. The registers of config space are at
 * priority 0 (bk_pci_function_config). Users' traps are at BK_TRAP_PRIORITY
 * plus what they ask for, but never below BK__PRIORITY_LOWEST.
 */
enum {
	BK__PRIORITY_HANDLED = 0, /* a BAR or ROM, all of it */
	BK__PRIORITY_MAPPED = 1,  /* what of a BAR can be mapped; config space, all of it */
	BK__PRIORITY_LOWEST = 2,
	BK__PRIORITY_BUILTIN = BK_TRAP_PRIORITY - 1,
};

struct bk__region {
	struct bk_space *space;         /* NULL: there is no such region */
	struct bk_device_region info;   /* of the device below */
	uint64_t size;                  /* bytes that a guest sees */
	uint64_t reads, writes, errors; /* registers without a trap; relaxed */
};

struct bk_mediate {
	struct bk_device device; /* the face: the mediated device as a device */
	struct bk_device *below;
	struct bk_domain *domain;
	struct bk_pci_function *function;
	struct bk__region regions[BK__SPACES];

	/* Config space of the device below as it was at create, and which bits of
	 * the guest's are read from the device at each access, and which are also
	 * written to it (and clear a bit there). Fixed after create. */
	uint8_t config[BK__CONFIG_MAX];
	uint8_t live[BK__CONFIG_MAX];
	uint8_t w1c[BK__CONFIG_MAX];
	unsigned config_size;

	uint16_t decode;  /* COMMAND.IO and MEM of the device: 1 from create to close */
	uint16_t command; /* the guest's COMMAND; under the function's lock */
	bool can_reset;
	bool below_port;
	bool reset_told; /* that it cannot be reset; under the function's lock */

	uint8_t *rom; /* `size` bytes of its region */

	struct bk_region_desc msix[2]; /* table and PBA, as the function answers them; fixed after create */
	unsigned msix_bar[2];
	unsigned vpd; /* where the capability is, 0: nowhere */

	pthread_mutex_t lock;   /* of the list below; never held in a commit */
	struct bk_trap **traps; /* in order of region, offset, priority */
	size_t trap_count, trap_room;
};

/* "bar2", "rom", "config". */
const char *bk__region_name(unsigned region);

/* The space of a BAR with the device at its bottom, mapped where `mappable` and where it can be. (below.c) */
int bk__bar_build(struct bk_mediate *m, unsigned bar, bool mappable, struct bk_error *err);

/* Puts what answers without a trap at `priority` over all of the region's space. (below.c) */
int bk__bottom_add(struct bk_mediate *m, unsigned region, int priority, unsigned widths,
		   struct bk_error *err);

/* One access to the device below, no questions asked. (below.c) */
int bk__device_read(struct bk_mediate *m, unsigned region, uint64_t offset, unsigned width, uint64_t *value);
int bk__device_write(struct bk_mediate *m, unsigned region, uint64_t offset, unsigned width, uint64_t value);

/* Maps `size` bytes of a file so that large pages can be used: the address is a multiple of the power of two
 * that holds `size` (at most 1 GiB, the largest page). NULL with errno. (map.c) */
void *bk__map(int fd, uint64_t offset, uint64_t size, bool writable);
void bk__unmap(void *host, uint64_t size);

/* Reads the device's config space. (config.c) */
int bk__mediate_config_load(struct bk_mediate *m, struct bk_error *err);

/* The guest's registers with the live bits of the device, without traps. (config.c) */
int bk__mediate_config_read(struct bk_mediate *m, uint64_t offset, unsigned width, uint64_t *value);
int bk__mediate_config_write(struct bk_mediate *m, uint64_t offset, unsigned width, uint64_t value);

/* The device's COMMAND from the guest's. Function lock held, or nobody else there yet. (config.c) */
int bk__mediate_command(struct bk_mediate *m);

/* The image that a guest sees; size 0 if there is none. (rom.c) */
int bk__mediate_rom(struct bk_mediate *m, const struct bk_mediate_options *options, struct bk_error *err);

/* The function and the BARs' spaces from the device's config space and regions. (function.c) */
int bk__mediate_function(struct bk_mediate *m, const struct bk_mediate_options *options,
			 struct bk_error *err);

/* Capabilities, as the device has them. (capabilities.c) */
int bk__mediate_capabilities(struct bk_mediate *m, struct bk_error *err);

/* After a guest's write to config space: passes requests to read vital product data on. (vpd.c) */
int bk__mediate_vpd(struct bk_mediate *m, uint64_t offset, unsigned width, uint64_t value);

/* The MSI-X table and PBA as traps of the list. (trap.c) */
int bk__msix_traps(struct bk_mediate *m, unsigned table_bar, unsigned pba_bar, struct bk_error *err);

/* Adds at `priority` in the region's space; checks nothing but the place. (trap.c) */
int bk__trap_place(struct bk_mediate *m, const struct bk_trap_desc *desc, int priority, struct bk_trap **trap,
		   struct bk_error *err);

extern const struct bk_device_ops bk__face_ops; /* face.c */

#endif
