/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Items: the one language in which a quirk says what it computes and where it
 * puts the result. An item is an integer expression, or a place to which one is
 * stored. It has no loops and no names that it could define, so it always ends.
 *
 * The caller decides what the places are: a trap reads and writes a mediated device, an edit a copy of
 * config space, a reset script the device.
 */
#ifndef BARKEEP_QUIRK_EXPR_H
#define BARKEEP_QUIRK_EXPR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BK__NODES      64 /* of one item */
#define BK__CAPS       16 /* that one quirk asks for */
#define BK__VARIABLES  16
#define BK__OPTIONS    8
#define BK__SIZE_COUNT 8 /* BARs, ROM, config space */

enum bk__quirk_place {
	BK__BAR0, /* to BK__BAR0 + 5: registers of a BAR */
	BK__ROM = 6,
	BK__DEVICE, /* what the access would reach without this rule */
	BK__CONFIG, /* config space as the guest sees it */
	BK__HOST,   /* config space of the device */
	BK__MSIX,   /* the guest's MSI-X table */
	BK__HERE,   /* config space of the device as it is shown, from a capability on */
	BK__PLACES,
};
#define BK__BARS (1u << 6 | ((1u << 6) - 1)) /* as a set: BARs and ROM */

/* A capability that an item asks for, resolved once for each device. */
struct bk__quirk_cap {
	bool extended;
	uint16_t id;
};

/* What an item may name. */
struct bk__quirk_names {
	unsigned places; /* a set of 1 << enum bk__quirk_place */
	unsigned fixed;  /* those of them that cannot be written */
	bool access;     /* `at` and `value` */
	bool device;     /* there is one: cap, ecap and size */
	const char *const *variables, *const *options;
	unsigned variable_count, option_count;
	struct bk__quirk_cap *caps; /* room for BK__CAPS; what an item asks for is added */
	unsigned *cap_count;
};

struct bk__quirk_node {
	uint8_t op;
	uint8_t width; /* of a place: 0 is that of the access */
	uint8_t left, right;
	uint32_t index; /* of a place, variable, option or capability */
	uint64_t number;
};

enum bk__quirk_item_kind {
	BK__ITEM_VALUE,    /* an expression */
	BK__ITEM_REGISTER, /* a number or a variable alone: bytes from the rule's start on */
	BK__ITEM_PLACE,    /* a place alone: in a write, it gets the value written */
	BK__ITEM_STORE,    /* place = expression */
	BK__ITEM_DROP,     /* nothing */
};

struct bk__quirk_item {
	enum bk__quirk_item_kind kind;
	uint8_t target, value; /* nodes */
	unsigned count;
	struct bk__quirk_node nodes[];
};

struct bk__quirk_items {
	const struct bk__quirk_item **list;
	unsigned count;
};

/* What is wrong with an item, and at which byte of it. */
struct bk__quirk_item_error {
	size_t at;
	char text[160];
};

/*
 * Parses `length` bytes. The item is the caller's to free. -EINVAL with
 * `wrong`, or -ENOMEM.
 */
int bk__quirk_item_parse(const char *text, size_t length, const struct bk__quirk_names *names,
			 struct bk__quirk_item **item, struct bk__quirk_item_error *wrong);

/* Does it store somewhere, or nowhere? */
bool bk__quirk_item_is_action(const struct bk__quirk_item *item);

/* Of a BK__ITEM_REGISTER: not a number? */
bool bk__quirk_item_is_variable(const struct bk__quirk_item *item);

/* The device, and nothing else? */
bool bk__quirk_item_is_device(const struct bk__quirk_item *item);

/* Is it a word of the language, which no variable may be called? */
bool bk__quirk_name_is_taken(const char *name);

/* The id of a standard or extended capability by its name; -1 if there is none. */
int bk__quirk_cap_id(const char *name, size_t length, bool extended);

/* One evaluation. */
struct bk__quirk_run {
	uint64_t at, value; /* of the access: bytes from the rule's start, what was written */
	unsigned width;     /* bytes */
	unsigned word;      /* bytes of the register that the rule is for; 0: it is for more than one */
	uint64_t *variables;
	const uint64_t *options;
	const uint16_t *caps;  /* offsets, 0: there is none */
	const uint64_t *sizes; /* BK__SIZE_COUNT of them, in bytes */
	int (*read)(void *opaque, enum bk__quirk_place place, uint64_t offset, unsigned width,
		    uint64_t *value);
	int (*write)(void *opaque, enum bk__quirk_place place, uint64_t offset, unsigned width,
		     uint64_t value);
	void *opaque;
	int error; /* the first that a place gave; such reads give all ones */
};

/* The item's number, for conditions and constants. It is no action. */
uint64_t bk__quirk_item_number(const struct bk__quirk_item *item, struct bk__quirk_run *run);

/* Does the items in order. A read gives the number of the last one that has one. */
uint64_t bk__quirk_items_read(const struct bk__quirk_items *items, struct bk__quirk_run *run);
void bk__quirk_items_write(const struct bk__quirk_items *items, struct bk__quirk_run *run);

#endif
