/* SPDX-License-Identifier: BSD-2-Clause */
/* A run of a guest: its options and its parts. */
#ifndef BK_CLI_RUN_H
#define BK_CLI_RUN_H

#include "base/array.h"
#include "cli/background.h"
#include "cli/bridge_option.h"
#include "cli/device_option.h"
#include "cli/serial_option.h"

struct run {
	struct bk__monitor_config config;
	struct cli_bridges bridges;
	BK__ARRAY(struct cli_device) devices;
	bool stats, sandbox;
	const char *control;       /* path of its socket, or NULL */
	const char *serial;        /* where its console is, or NULL: here */
	const char *pidfile, *log; /* paths, or NULL */
	bool daemonize;

	struct cli_serial console;
	struct cli_background background;
	struct cli_pidfile own_pidfile;
	int log_fd; /* -1: standard error */
	struct bk__monitor *monitor;
	struct bk_device_context *context;
};

/* Adds a device, which may move the others. -EINVAL or -ENOMEM with a line. */
int cli_run_add(struct run *run, const char *text, struct bk_error *err);

/* The same of a kind: `text` is what follows "KIND:". */
int cli_run_add_kind(struct run *run, const char *kind, const char *text, struct bk_error *err);

/* Forgets one that is at `index`. */
void cli_run_drop(struct run *run, size_t index);

/* Opens a device and puts it in its place. A line says why not. */
int cli_run_attach(struct run *run, struct cli_device *device, struct bk_error *err);

/* From now on a device leaves its slot when its host wants it back, or the guest lets it go. */
void cli_run_listen(struct run *run);

/* Function 0 of the card in the slot of a root port; NULL: there is none. */
struct cli_device *cli_run_card(struct run *run, const char *bus);

/* Takes a device out of its slot and drops it, together with all functions of its card, if it is one of one
 * that has its function 0. A line says why not. */
int cli_run_take_out(struct run *run, struct cli_device *device, struct bk_error *err);

#endif
