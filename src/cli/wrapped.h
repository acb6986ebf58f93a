/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What `barkeep wrap` and the library that it preloads share: the settings.
 *
 * The command passes them on in the environment, as lines KEY=VALUE: device=ADDRESS[,key=value]...,
 * stats=, control=PATH, log=PATH.
 */
#ifndef BK_CLI_WRAPPED_H
#define BK_CLI_WRAPPED_H

#include "base/array.h"
#include "cli/device_option.h"

#define CLI_WRAP_VARIABLE "BARKEEP_WRAP"

/* A device as it was given: of every one that is opened by its name a new cli_device is made. */
struct cli_wrap_device {
	char *text;
	struct cli_device parsed; /* its spec is the address, as VFIO has it */
};

struct cli_wrap_settings {
	BK__ARRAY(struct cli_wrap_device) devices;
	bool stats;
	char *control, *log; /* paths, or NULL */
};

/* Takes one setting. -EINVAL or -ENOMEM with a line. */
int cli_wrap_set(struct cli_wrap_settings *settings, const char *key, const char *value,
		 struct bk_error *err);

/* Takes the lines of the environment's variable; `lines` is NULL where there are none. */
int cli_wrap_load(struct cli_wrap_settings *settings, const char *lines, struct bk_error *err);

/* The lines, to be freed; NULL when out of memory. */
char *cli_wrap_save(const struct cli_wrap_settings *settings);

/* Reads the files that devices name, and all quirks that a device without a name gets. */
int cli_wrap_prepare(struct cli_wrap_settings *settings, struct bk_error *err);

/* A device of that text, for a device of VFIO's: not opened yet. */
int cli_wrap_parse(const char *text, struct cli_device *device, struct bk_error *err);

/* The one whose address it is, or NULL. */
const struct cli_wrap_device *cli_wrap_find(const struct cli_wrap_settings *settings, const char *address);

#endif
