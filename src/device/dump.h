/* SPDX-License-Identifier: BSD-2-Clause */
/* A device made from the output of lspci: its config space and the sizes of its BARs, with no registers
 * behind them. */
#ifndef BARKEEP_DEVICE_DUMP_H
#define BARKEEP_DEVICE_DUMP_H

#include "base/pci_regs.h"
#include "device/sysfs.h"

struct bk_device_context;
struct bk_device;

#define BK__DUMP_BYTES (16u << 20) /* of a file */

/* What a Region line says of a BAR. */
struct bk__dump_bar {
	uint64_t size; /* 0: nothing */
	uint64_t address;
	bool io, wide, prefetchable;
};

/* A function as a file has it. */
struct bk__device_dump {
	char address[BK__PCI_ADDRESS];
	char title[128];             /* what stands behind the address */
	unsigned line;               /* of the address */
	uint16_t vendor, device;     /* as `-nn` prints them; 0: not there */
	struct bk__dump_bar bars[7]; /* the last one is the ROM */
	unsigned dumped;             /* bytes of config space in the file */
	unsigned size;               /* of config space: 256 or 4096 */
	uint8_t config[BK__PCI_CONFIG_SIZE];
};

/*
 * dump_parse.c: finds a function in the text: the one at `function`, as
 * bk__device_pci_address writes it, or the only one that there is. -EINVAL with a line
 * that says file and line, or which functions there are.
 */
int bk__dump_parse(const char *file, const char *text, size_t length, const char *function,
		   struct bk__device_dump *dump, struct bk_error *err);

/*
 * dump_config.c: makes config space what VFIO shows: ids and BARs of virtual
 * functions, no list of capabilities that was not dumped. `write` gets the bits
 * that can be written, `vectors` how many interrupts of each kind there are.
 */
void bk__dump_config(struct bk__device_dump *dump, uint8_t write[BK__PCI_CONFIG_SIZE], unsigned vectors[]);

/* dump.c: as bk_device_open_fn; `text` is FILE[,function=ADDRESS][,bar0=SIZE]... */
int bk__dump_open(void *opaque, struct bk_device_context *context, const char *text, const char *spec,
		  struct bk_device **device, struct bk_error *err);

extern const char *const bk__dump_keys[]; /* of its options */

/* The same of a text; `file` is its name in errors. */
int bk__dump_open_text(const char *file, const char *text, size_t length, const char *function,
		       const char *spec, struct bk_device **device, struct bk_error *err);

#endif
