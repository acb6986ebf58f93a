/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Repeats in the model what a guest did on another machine, and compares what it read, and where each
 * BAR was after each write. The rules are in tests/traces/README.md.
 */
#ifndef BARKEEP_FIRMWARE_REPLAY_H
#define BARKEEP_FIRMWARE_REPLAY_H

#include "firmware/model.h"

enum {
	BK__FIRMWARE_WORK =
		1 << 23,          /* functions below a bridge, added up over the writes to bridges: at most */
	BK__FIRMWARE_TOLD = 1000, /* differences that are printed; more are only counted */
};

struct bk__firmware_replay_counts {
	uint64_t reads, bytes, writes, events; /* bytes: of reads, that were compared */
	uint64_t excused, differences;
};

struct bk__firmware_difference {
	const struct bk__firmware_step *access; /* that caused it; NULL: it was so before the first write */
	const char *path;                       /* the function; NULL: there is none */
	bool map;                               /* of a BAR; else of a read */

	unsigned bar;
	struct bk__firmware_verdict verdict;

	unsigned offset, width; /* of the read */
	uint64_t value, recorded, mask;

	const char *why; /* the model decided so */
};

struct bk__firmware_replay_ops {
	void (*difference)(void *opaque, const struct bk__firmware_difference *difference);
	/* After each access and the events that belong to it; may be NULL. Where the BARs are now:
	 * bk_pci_function_bar of the machine's functions. */
	void (*step)(void *opaque, struct bk__firmware_machine *machine,
		     const struct bk__firmware_step *access);
};

/*
 * The whole trace. A BAR's difference is printed once, until it changes. Differences are no error; errors
 * have a line that begins with `name` and the line of the trace.
 */
int bk__firmware_replay(const char *name, const struct bk__firmware_trace *trace,
			const struct bk__firmware_replay_ops *ops, void *opaque,
			struct bk__firmware_replay_counts *counts, struct bk_error *err);

/* Why the BAR is where the model has it; why the register at `offset` has this value (`function` NULL:
 * there is none). */
void bk__firmware_why_bar(const struct bk__firmware_machine_function *function, unsigned bar, char *text,
			  size_t size);
void bk__firmware_why_read(struct bk__firmware_machine *machine,
			   const struct bk__firmware_machine_function *function, int64_t place, char *text,
			   size_t size);

#endif
