/* SPDX-License-Identifier: BSD-2-Clause */
/* A quirk as loaded: constant from then on, and shared by the devices it is on. */
#ifndef BARKEEP_QUIRK_QUIRK_H
#define BARKEEP_QUIRK_QUIRK_H

#include <barkeep/quirk.h>

#include "quirk/expr.h"

#define BK__QUIRK_RULES   256
#define BK__QUIRK_ITEMS   16 /* in one list */
#define BK__QUIRK_EDITS   32
#define BK__QUIRK_STEPS   64
#define BK__QUIRK_IDS     256     /* in one list */
#define BK__QUIRK_WAIT    5000000 /* of a whole reset, in microseconds */
#define BK__QUIRK_ROM_MAX ((uint64_t)16 << 20)

/* A value or several, each with the bits that count. */
struct bk__quirk_ids {
	unsigned count; /* 0: any */
	struct bk__quirk_id {
		uint32_t value, mask;
	} * list;
};

enum {
	BK__ID_VENDOR,
	BK__ID_DEVICE,
	BK__ID_CLASS,
	BK__ID_REVISION,
	BK__ID_SUBVENDOR,
	BK__ID_SUBSYSTEM,
	BK__IDS
};

struct bk__quirk_bar_match {
	unsigned index;
	unsigned kind;        /* a set of 1 << enum bk_pci_bar_kind; 0: any */
	uint64_t least, most; /* bytes */
};

struct bk__quirk_option {
	const char *name, *about;
	bool has_default;
	uint64_t value;
	struct bk__quirk_item *valid; /* or NULL */
};

struct bk__quirk_rule {
	unsigned region;
	struct bk__quirk_item *offset, *length;
	unsigned width;              /* 0: any */
	struct bk__quirk_item *when; /* or NULL */
	bool reads, writes, log;
	bool accelerate; /* all it does is to pass writes on */
	struct bk__quirk_items read, write;
	unsigned line; /* in the file */
};

enum bk__quirk_edit_kind { BK__EDIT_INSERT, BK__EDIT_DROP, BK__EDIT_BYTES };

struct bk__quirk_edit {
	enum bk__quirk_edit_kind kind;
	bool extended;
	int id;                    /* of the capability; -1: the header, from 0 on */
	struct bk__quirk_items at; /* insert: places to try */
	unsigned size, version;
	struct bk__quirk_item *when; /* or NULL */
	struct bk__quirk_items set;
	unsigned line;
};

struct bk__quirk_rom_edit {
	bool hide;
	uint8_t *image; /* or NULL */
	uint64_t size;
	struct bk__quirk_item *when; /* or NULL */
	struct bk__quirk_items set;
	int checksum; /* the byte that makes the sum right, or -1 */
};

enum bk__quirk_step_kind { BK__STEP_DO, BK__STEP_REQUIRE, BK__STEP_DELAY, BK__STEP_POLL };

struct bk__quirk_step {
	enum bk__quirk_step_kind kind;
	struct bk__quirk_item *when; /* or NULL */
	struct bk__quirk_item *test; /* require, poll */
	struct bk__quirk_items what; /* do */
	uint64_t wait, every;        /* microseconds */
	bool go_on;                  /* poll: also when time is up */
	unsigned line;
};

struct bk_quirk {
	unsigned references;
	const char *file, *name, *about;

	struct bk__quirk_ids ids[BK__IDS];
	struct bk__quirk_bar_match bars[6];
	unsigned bar_count;
	struct bk__quirk_item *when; /* or NULL */

	struct bk__quirk_option options[BK__OPTIONS];
	const char *option_names[BK__OPTIONS];
	unsigned option_count;

	const char *variables[BK__VARIABLES];
	struct bk__quirk_item *start[BK__VARIABLES];
	unsigned variable_count;

	struct bk__quirk_cap caps[BK__CAPS];
	unsigned cap_count;

	struct bk__quirk_edit *edits;
	unsigned edit_count;
	struct bk__quirk_rom_edit *rom; /* or NULL */
	struct bk__quirk_rule *rules;
	unsigned rule_count;
	struct bk__quirk_step *steps;
	unsigned step_count;
	bool reset_always; /* not only where the host has no reset */

	struct bk__quirk_chunk *memory; /* all of the above */
};

/* Zeroed memory, at least a byte, that lives as long as the quirk; NULL when there is none. `bk__quirk_keep`
 * takes over a block of malloc's, and frees it if that fails. */
void *bk__quirk_alloc(struct bk_quirk *quirk, size_t size);
void *bk__quirk_keep(struct bk_quirk *quirk, void *block);

/* Adds a user of it, which calls bk_quirk_destroy. */
struct bk_quirk *bk__quirk_hold(struct bk_quirk *quirk);

#endif
