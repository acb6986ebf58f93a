/* SPDX-License-Identifier: BSD-2-Clause */
/* A run of a guest: what was asked for, and what is there. */
#ifndef BK_CLI_RUN_H
#define BK_CLI_RUN_H

#include "cli/background.h"
#include "cli/bridge.h"
#include "cli/device.h"
#include "cli/serial.h"

struct run {
	struct bk__monitor_config config;
	struct cli_bridges bridges;
	struct cli_device *devices;
	size_t device_count;
	bool stats;
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

/* Forgets one that is at `index`. */
void cli_run_drop(struct run *run, size_t index);

/* Opens a device and puts it in its place, or takes it out of its slot. A line says why not. */
int cli_run_attach(struct run *run, struct cli_device *device, struct bk_error *err);
int cli_run_detach(struct run *run, struct cli_device *device, struct bk_error *err);

#endif
