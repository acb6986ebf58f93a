/* SPDX-License-Identifier: BSD-2-Clause */
/* Quirks on a device: what the files that run them share. */
#ifndef BARKEEP_QUIRK_STACK_H
#define BARKEEP_QUIRK_STACK_H

#include <pthread.h>

#include "base/pci_regs.h"
#include "base/ratelimit.h"
#include "quirk/quirk.h"

/* A quirk on a device. */
struct bk__quirk_bound {
	struct bk_quirk *quirk;
	struct bk__quirk_stack *stack;
	uint64_t options[BK__OPTIONS];
	uint16_t host_caps[BK__CAPS], guest_caps[BK__CAPS];
	uint64_t start[BK__VARIABLES];
	uint64_t variables[BK__VARIABLES]; /* under the stack's lock */
	bool stale;                        /* atomic: the device was reset, variables are to start again */
};

/* A rule at its place in a region. */
struct bk__quirk_placed {
	const struct bk__quirk_rule *rule;
	struct bk__quirk_bound *bound;
	unsigned region;
	uint64_t first, last;
	unsigned order; /* which is asked first */
	struct bk__ratelimit limit;
};

/* Rules that overlap, as one trap. */
struct bk__quirk_group {
	struct bk__quirk_stack *stack;
	struct bk__quirk_placed *rules; /* in their order */
	unsigned count;
	bool locked;          /* some of them have variables */
	struct bk_trap *trap; /* stays as long as the mediator */
};

struct bk__quirk_stack {
	struct bk_device device; /* the face */
	struct bk_device *below;
	struct bk__quirk_bound *bound;
	size_t count;
	uint64_t sizes[BK__SIZE_COUNT];
	bool below_resets;
	struct bk__quirk_bound *script; /* whose reset it is, or NULL */
	bool used;                      /* guest memory was mapped for it: its end has something to reset */

	/* Config space as it is shown where the mask says so. Fixed after bk_quirk_stack. */
	uint8_t config[BK__PCI_CONFIG_SIZE], mask[BK__PCI_CONFIG_SIZE];
	uint8_t kept[BK__PCI_CONFIG_SIZE]; /* not 0: not written to the device */
	unsigned config_size;

	uint8_t *rom; /* what is shown instead of the device's, or NULL */
	uint64_t rom_size;
	bool rom_hidden;

	/* Since bk_quirk_attach. The lock is held while a rule of a quirk with variables runs, which may lead
	 * to another rule on the same thread. It comes before the function's lock, and a reset does not take
	 * it. */
	pthread_mutex_t lock;
	struct bk_mediator *mediate;
	struct bk__quirk_placed *rules;
	struct bk__quirk_group *groups;
	unsigned msix_bar, msix_size;
	uint64_t msix_offset;
};

/* (caps.c) */
void bk__quirk_find_caps(const struct bk_quirk *quirk, const uint8_t *config, unsigned size,
			 uint16_t *offsets);

/* Config space of a device, and how much there is. (caps.c) */
int bk__quirk_read_config(struct bk_device *device, uint8_t config[BK__PCI_CONFIG_SIZE], unsigned *size,
			  struct bk_error *err);
/* The sizes of its BARs, its ROM and config space. (caps.c) */
int bk__quirk_read_sizes(struct bk_device *device, uint64_t sizes[BK__SIZE_COUNT], struct bk_error *err);

/* BARs and config space of a device as places; `opaque` is the bk_device. (caps.c) */
int bk__quirk_device_place_read(void *opaque, enum bk__quirk_place place, uint64_t offset, unsigned width,
				uint64_t *value);
int bk__quirk_device_place_write(void *opaque, enum bk__quirk_place place, uint64_t offset, unsigned width,
				 uint64_t value);

/* The options of a quirk from the settings. 1: all there. 0: one is missing, -EINVAL: one is not valid; with
 * a line. (match.c) */
int bk__quirk_options(const struct bk_quirk *quirk, const struct bk_quirk_setting *settings, size_t count,
		      uint64_t options[BK__OPTIONS], struct bk_error *err);

/* Edits of config space, and of the ROM, by one quirk. (edit.c, rom.c) */
int bk__quirk_edit_config(struct bk__quirk_bound *bound, struct bk_error *err);
int bk__quirk_edit_rom(struct bk__quirk_bound *bound, struct bk_error *err);

/* After all edits: registers of capabilities that `config`, the device's own, has and that are no longer
 * shown, or not as such, are out of reach. (edit.c) */
int bk__quirk_edit_guard(struct bk__quirk_stack *stack, const uint8_t *config);

/* Does the steps. (reset.c) */
int bk__quirk_reset_steps(struct bk__quirk_bound *bound);

/* The stack whose face a device is, or NULL. (stack.c) */
struct bk__quirk_stack *bk__quirk_stack_of(struct bk_device *device);

#endif
