/* SPDX-License-Identifier: BSD-2-Clause */
/* Quirks on a device: what the files that run them share. */
#ifndef BARKEEP_QUIRK_STACK_H
#define BARKEEP_QUIRK_STACK_H

#include <pthread.h>

#include "quirk/quirk.h"

#define BK__CONFIG_SIZE 4096

/* A quirk on a device. */
struct bk__bound {
	struct bk_quirk *quirk;
	struct bk__stack *stack;
	uint64_t options[BK__OPTIONS];
	uint16_t host_caps[BK__CAPS], guest_caps[BK__CAPS];
	uint64_t start[BK__VARIABLES];
	uint64_t variables[BK__VARIABLES]; /* under the stack's lock */
	bool stale;                        /* atomic: the device was reset, variables are to start again */
};

/* A rule at its place in a region. */
struct bk__placed {
	const struct bk__rule *rule;
	struct bk__bound *bound;
	unsigned region;
	uint64_t first, last;
	unsigned order; /* who is asked first */
	struct bk_ratelimit limit;
};

/* Rules that overlap, as one trap. */
struct bk__group {
	struct bk__stack *stack;
	struct bk__placed *rules; /* in their order */
	unsigned count;
	bool locked;          /* some of them have variables */
	struct bk_trap *trap; /* stays as long as the mediator */
};

struct bk__stack {
	struct bk_device device; /* the face */
	struct bk_device *below;
	struct bk__bound *bound;
	size_t count;
	uint64_t sizes[BK__SIZE_COUNT];
	bool below_resets;
	struct bk__bound *script; /* whose reset it is, or NULL */
	bool used;                /* guest memory was mapped for it: its end has something to reset */

	/* Config space as it is shown where the mask says so. Fixed after bk_quirk_stack. */
	uint8_t config[BK__CONFIG_SIZE], mask[BK__CONFIG_SIZE];
	uint8_t kept[BK__CONFIG_SIZE]; /* not 0: not written to the device */
	unsigned config_size;

	uint8_t *rom; /* what is shown instead of the device's, or NULL */
	uint64_t rom_size;
	bool rom_hidden;

	/* Since bk_quirk_attach. The lock is held while a rule of a quirk with variables runs, which may lead
	 * to another rule on the same thread. It comes before the function's lock, and a reset does not take
	 * it. */
	pthread_mutex_t lock;
	struct bk_mediate *mediate;
	struct bk__placed *rules;
	struct bk__group *groups;
	unsigned msix_bar, msix_size;
	uint64_t msix_offset;
};

/* The offset of a capability; 0 if there is none. (caps.c) */
unsigned bk__find_cap(const uint8_t *config, unsigned size, bool extended, unsigned id);
void bk__find_caps(const struct bk_quirk *quirk, const uint8_t *config, unsigned size, uint16_t *offsets);

/* Config space of a device, and how much there is. (caps.c) */
int bk__read_config(struct bk_device *device, uint8_t config[BK__CONFIG_SIZE], unsigned *size,
		    struct bk_error *err);
/* The sizes of its BARs, its ROM and config space. (caps.c) */
int bk__read_sizes(struct bk_device *device, uint64_t sizes[BK__SIZE_COUNT], struct bk_error *err);

/* BARs and config space of a device as places; `opaque` is the bk_device. (caps.c) */
int bk__device_place_read(void *opaque, enum bk__place place, uint64_t offset, unsigned width,
			  uint64_t *value);
int bk__device_place_write(void *opaque, enum bk__place place, uint64_t offset, unsigned width,
			   uint64_t value);

/* The options of a quirk from the settings. 1: all there. 0: one is missing, -EINVAL: one is not valid; with
 * a line. (match.c) */
int bk__quirk_options(const struct bk_quirk *quirk, const struct bk_quirk_setting *settings, size_t count,
		      uint64_t options[BK__OPTIONS], struct bk_error *err);

/* Edits of config space, and of the ROM, by one quirk. (edit.c, rom.c) */
int bk__edit_config(struct bk__bound *bound, struct bk_error *err);
int bk__edit_rom(struct bk__bound *bound, struct bk_error *err);

/* After all edits: registers of capabilities that `config`, the device's own, has and that are no longer
 * shown, or not as such, are out of reach. (edit.c) */
int bk__edit_guard(struct bk__stack *stack, const uint8_t *config);

/* Does the steps. (reset.c) */
int bk__reset_steps(struct bk__bound *bound);

/* The stack whose face a device is, or NULL. (stack.c) */
struct bk__stack *bk__stack_of(struct bk_device *device);

#endif
