/* SPDX-License-Identifier: BSD-2-Clause */
/* The options of a device's kind: `NAME[,key=value]...`, with commas inside a value doubled. */
#ifndef BARKEEP_DEVICE_OPTIONS_H
#define BARKEEP_DEVICE_OPTIONS_H

#include <barkeep/base.h>

enum { BK__DEVICE_KEYS_MAX = 8 };

struct bk__device_options {
	char *name;                        /* up to the first comma */
	char *values[BK__DEVICE_KEYS_MAX]; /* by the key's place in the list; NULL: not given. The last one
					      counts. */
};

/*
 * Takes `text` apart. `keys` ends with NULL. -EINVAL with a line that names
 * `spec`, for a key that is not in it. Free the options afterwards, also on failure.
 */
int bk__device_options_parse(const char *text, const char *spec, const char *const *keys,
			     struct bk__device_options *options, struct bk_error *err);
void bk__device_options_free(struct bk__device_options *options);

/* The keys that a kind which barkeep brings takes: of `spec`, as bk_device_open has it. Ends with NULL. */
const char *const *bk__device_keys(const char *spec);

/* Appends "a, b and c" of a list that ends with NULL. */
void bk__device_list(char *text, size_t room, const char *const *words);

#endif
