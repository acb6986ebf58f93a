/* SPDX-License-Identifier: BSD-2-Clause */
/* A device that exists only in a file: opening `sim:FILE`, and calls for tests. */
#ifndef BARKEEP_DEVICE_SIM_H
#define BARKEEP_DEVICE_SIM_H

#include <barkeep/device.h>

/* As bk_device_open_fn; `text` is the file. Errors say file, line and column. */
int bk__sim_open(void *opaque, struct bk_device_context *context, const char *text, const char *spec,
		 struct bk_device **device, struct bk_error *err);

extern const char *const bk__sim_keys[]; /* of its options */

/* The same of a text; `file` is its name in errors, and a ROM's file is beside it. */
int bk__sim_open_text(const char *file, const char *text, size_t length, const char *spec,
		      struct bk_device **device, struct bk_error *err);

/* ---- What reached the device. Any thread. `device` must be a sim. ---- */

#define BK__SIM_ACCESSES 256 /* remembered */

struct bk__sim_access {
	unsigned region; /* BK_DEVICE_BAR0 ... BK_DEVICE_CONFIG */
	unsigned width;  /* bytes: 1, 2, 4, 8 */
	bool write;
	uint64_t offset, value;
};

/* Copies the latest accesses, at most `room`, oldest first. Returns how many. */
unsigned bk__sim_accesses(struct bk_device *device, struct bk__sim_access *list, unsigned room);

/* How many accesses of a region had that width and direction since the device was opened. */
uint64_t bk__sim_count(struct bk_device *device, unsigned region, unsigned width, bool write);

#endif
