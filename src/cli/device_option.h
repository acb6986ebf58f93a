/* SPDX-License-Identifier: BSD-2-Clause */
/* `--device SPEC[,key=value]...` as every subcommand takes it. */
#ifndef BK_CLI_DEVICE_H
#define BK_CLI_DEVICE_H

#include <barkeep/mediate.h>

#include "base/array.h"
#include "cli/quirk_choice.h"

/* A trap of the user's; `trap` is NULL before the device is open. */
struct cli_trap {
	struct bk_trap_desc desc;
	struct bk_trap *trap;
};

/* Who decides where a guest sees a device, and which pages are mapped: bus, addr, share-page. */
enum cli_front {
	CLI_FRONT_OWN,   /* this program */
	CLI_FRONT_WRAP,  /* the program that is wrapped */
	CLI_FRONT_SERVE, /* the client */
};

struct cli_device {
	enum cli_front front;
	char *spec; /* for bk_device_open: with the options of its kind */
	char *name; /* what a person calls it: `spec` unless said otherwise */
	char *bus;  /* the bridge above, or NULL: the root bus */
	int slot;   /* -1: any */
	unsigned function;
	char *romfile; /* or NULL */
	char *rom;     /* what is in that, once it is read */
	size_t rom_size;
	bool rom_off;
	bool unmapped;   /* wrap: no BAR of it is offered for mapping */
	bool filter;     /* wrap: somebody else models the device */
	bool below_port; /* for open: its bus is that of a root port */
	bool vga;
	bool msix_move;
	unsigned msix_bar; /* where to */
	bool share_page;
	struct cli_quirk_options quirks;
	struct cli_quirks chosen;         /* once opened: those that it got */
	BK__ARRAY(struct cli_trap) traps; /* see below */
	struct bk_mediator *mediate;      /* once opened */
	bool attached;                    /* a monitor owns the mediator now */
	bool leaving;                     /* and closes it at this moment: it is not to be used */
};

/*
 * Takes the text apart; a comma that belongs to a value is doubled. The front refuses options that are not
 * its business. Options: name=NAME, bus=NAME, addr=SS.F (hexadecimal), romfile=FILE, rombar=on|off,
 * vga=on|off, msix=barN, share-page=on|off, quirks=auto|none|FILE[:FILE]..., set=NAME=VALUE,
 * trap=REGION+OFFSET/LENGTH:VERB (any number of the last two). -EINVAL with a line; `device` is then empty.
 */
int cli_device_parse(const char *text, enum cli_front front, struct cli_device *device, struct bk_error *err);

/* Opens the device, puts its quirks on it, mediates it, adds its traps. */
int cli_device_open(struct cli_device *device, struct bk_device_context *context, struct bk_domain *domain,
		    struct bk_error *err);

/* Reads the files that it names, which need not be there any more when it is opened. */
int cli_device_prepare(struct cli_device *device, struct bk_error *err);

/* The same on a device that is open. Takes `below`, also on failure. */
int cli_device_mediate(struct cli_device *device, struct bk_device *below, struct bk_domain *domain,
		       struct bk_error *err);

/* Closes it if it is open, and frees what parse allocated. */
void cli_device_close(struct cli_device *device);

/*
 * The user's traps, as REGION+OFFSET/LENGTH:VERB: one more for open to add, and all of them added (by open);
 * or, while the guest runs, one added, one replaced by another that starts at the same place, and the one
 * that starts at that place removed. A line says why not. (traps.c)
 */
int cli_traps_parse(struct cli_device *device, const char *text, struct bk_error *err);
int cli_traps_open(struct cli_device *device, struct bk_error *err);
int cli_traps_add(struct cli_device *device, const char *text, struct bk_error *err);
int cli_traps_replace(struct cli_device *device, const char *text, struct bk_error *err);
int cli_traps_remove(struct cli_device *device, const char *text, struct bk_error *err);

#endif
