/* SPDX-License-Identifier: BSD-2-Clause */
/* Which quirks a device gets: `quirks=` and `set=` of a device, and those that barkeep ships. */
#ifndef BK_CLI_QUIRKS_H
#define BK_CLI_QUIRKS_H

#include <barkeep/quirk.h>

#include "base/array.h"

struct cli_quirks {
	struct bk_quirk **at;
	size_t count, capacity; /* see base/array.h */
};

/* What a device's options say of quirks. */
struct cli_quirk_options {
	char *quirks; /* auto, none, or files, separated by colons; NULL: auto */
	BK__ARRAY(struct bk_quirk_setting) settings; /* names are malloc's */
};

/* `text` is NAME=VALUE. The last one of a name counts. -EINVAL with a line. */
int cli_quirks_set(struct cli_quirk_options *options, const char *text, struct bk_error *err);
void cli_quirk_options_free(struct cli_quirk_options *options);

/*
 * The directory of the shipped ones: $BARKEEP_QUIRKS, or beside the program: ../share/barkeep/quirks where it
 * is installed, ../quirks where it was built; else where it was to be installed.
 */
const char *cli_quirks_directory(void);

/* Adds one file, or all of the directory, by name. A line says file, line and column. */
int cli_quirks_load(struct cli_quirks *quirks, const char *file, struct bk_error *err);
int cli_quirks_load_shipped(struct cli_quirks *quirks, struct bk_error *err);
void cli_quirks_free(struct cli_quirks *quirks);

/* Loads those that the options name, for devices that are opened when the files may be out of reach. They
 * stay as long as the process. Before other threads. */
int cli_quirks_keep(const struct cli_quirk_options *options, struct bk_error *err);

/*
 * Puts the device's quirks in front of it: `*device` becomes that device, and `chosen` has them. It is closed
 * on failure. Without quirks it stays as it is.
 */
int cli_quirks_stack(const struct cli_quirk_options *options, struct bk_device **device,
		     struct cli_quirks *chosen, struct bk_error *err);

#endif
