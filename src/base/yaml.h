/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * YAML files that people write, read with the place of every value.
 *
 * A file becomes a tree of nodes, each with its line and column, so that not
 * only a syntax error but anything wrong with a value is one line that begins
 * FILE:LINE:COLUMN. What the files need not have is refused: aliases, tags,
 * several documents, keys given twice. Everything is bounded, as a file may
 * come from anyone.
 */
#ifndef BARKEEP_BASE_YAML_H
#define BARKEEP_BASE_YAML_H

#include <barkeep/base.h>

#define BK__YAML_BYTES (1u << 20) /* of a file */
#define BK__YAML_NODES (1u << 18)
#define BK__YAML_DEPTH 16
#define BK__YAML_KEYS  64 /* of one map */

enum bk__yaml_kind { BK__YAML_SCALAR, BK__YAML_LIST, BK__YAML_MAP };

struct bk__yaml_node {
	enum bk__yaml_kind kind;
	unsigned line, column;           /* from 1; column in characters */
	bool quoted;                     /* a scalar in quotes or a block: never a number */
	bool verbatim;                   /* a scalar that is in the file, on one line, as its text is */
	unsigned count;                  /* children of a list or map */
	const struct bk__yaml_node *key; /* of a value in a map, else NULL */
	struct bk__yaml_node *first;     /* child */
	struct bk__yaml_node *next;      /* sibling */
	struct bk__yaml_node *last, *older;
	char text[]; /* of a scalar; holds no NUL but the one at its end */
};

struct bk__yaml;

/* Reads and parses a regular file; bk__yaml_parse does the same with text, whose name only errors use.
 * The result is the caller's to free. -EINVAL, -ENOMEM or what opening gave, with a line. */
int bk__yaml_load(const char *file, struct bk__yaml **yaml, struct bk_error *err);
int bk__yaml_parse(const char *name, const char *text, size_t length, struct bk__yaml **yaml,
		   struct bk_error *err);
void bk__yaml_free(struct bk__yaml *yaml);

const struct bk__yaml_node *bk__yaml_root(const struct bk__yaml *yaml);

/* The value of a key; NULL if the map does not have it. */
const struct bk__yaml_node *bk__yaml_get(const struct bk__yaml_node *map, const char *key);

/* Says what is wrong at a node, as `FILE:LINE:COLUMN: ...`, always in one line. Returns -EINVAL. */
int bk__yaml_fail(const struct bk__yaml *yaml, const struct bk__yaml_node *node, struct bk_error *err,
		  const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The same, at a byte of a scalar's text. Where that text is folded or has escapes in the file, the place is
 * the scalar's, and the text from that byte on is quoted. */
int bk__yaml_fail_inside(const struct bk__yaml *yaml, const struct bk__yaml_node *node, size_t at,
			 struct bk_error *err, const char *what);

/* Says that memory ran out while reading the file. Returns -ENOMEM. */
int bk__yaml_no_memory(const struct bk__yaml *yaml, struct bk_error *err);

/* What a key of a map holds, and the type of the member it is stored in. */
enum bk__yaml_type {
	BK__YAML_NUMBER,   /* uint64_t: decimal or 0x, in [min, max] */
	BK__YAML_SIZE,     /* uint64_t: the same, and K, M, G, T for powers of 1024 */
	BK__YAML_BOOL,     /* bool: true or false */
	BK__YAML_TEXT,     /* const char *, as long as the tree lives: [min, max] bytes */
	BK__YAML_CHOICE,   /* unsigned: index into choices, which ends with NULL */
	BK__YAML_NODE,     /* const struct bk__yaml_node *: of any kind */
	BK__YAML_NODES_OF, /* the same, a list: [min, max] entries */
	BK__YAML_MAP_OF,   /* the same, a map */
};

struct bk__yaml_field {
	const char *key; /* a table of fields ends with NULL */
	enum bk__yaml_type type;
	size_t offset; /* of the member */
	bool required;
	uint64_t min, max;
	const char *const *choices;
};

/*
 * Stores the values of a map in the struct at `out`. Members whose key is
 * absent stay as they were. Refuses a key that no field names, a value that
 * is not of its field's type, and a required key that is missing; `what` says
 * in that line what the map describes ("a BAR").
 */
int bk__yaml_read(const struct bk__yaml *yaml, const struct bk__yaml_node *map, const char *what,
		  const struct bk__yaml_field *fields, void *out, struct bk_error *err);

/* One scalar by the rules of one field (whose key and offset are not used), into `out`. */
int bk__yaml_scalar(const struct bk__yaml *yaml, const struct bk__yaml_node *node, const char *what,
		    const struct bk__yaml_field *field, void *out, struct bk_error *err);

#endif
