/* SPDX-License-Identifier: BSD-2-Clause */
/* The hierarchy of a trace as functions of the model, and where an access goes in it. One thread. */
#ifndef BARKEEP_FIRMWARE_MACHINE_H
#define BARKEEP_FIRMWARE_MACHINE_H

#include "firmware/trace.h"

enum { BK__MACHINE_LEARNT = 256, BK__MACHINE_HEADER = 64, BK__MACHINE_CONFIG_MASK = 0x0fffffff };

/* What the other machine and the model say of a BAR. */
struct bk__firmware_verdict {
	bool different, excused;
	bool on, recorded_on;
	uint64_t address, recorded_address;
};

struct bk__firmware_machine_function {
	const struct bk__firmware_trace_function *desc;
	struct bk_pci_function *function; /* NULL: not built */
	struct bk_pci_bus *below;         /* NULL: no bridge */
	struct bk__firmware_bus *bus;     /* the same; its functions */
	unsigned functions_below;         /* there, and below those */
	struct bk__firmware_machine *machine;
	struct bk_space *spaces[BK_PCI_ROM + 1];

	uint8_t secondary, subordinate;       /* of a bridge: as registers are now */
	uint8_t secondary_before;             /* the last access: events of a reset tell what was */
	uint8_t first[BK__MACHINE_LEARNT];    /* what the first read gave */
	uint32_t known[BK__MACHINE_LEARNT];   /* the line of that read, if no write came before it */
	uint32_t written[BK__MACHINE_LEARNT]; /* the line of the last write */
	uint8_t pm, express; /* where these capabilities are, if the trace shows them; 0: nowhere */

	struct {
		bool on;
		uint64_t address;
	} recorded[BK_PCI_ROM + 1];
	struct bk__firmware_verdict last[BK_PCI_ROM + 1]; /* as last compared */
	bool changed; /* it is on the list of those that the last access may have changed */
};

/* Who is on a bus, and which of them are bridges, by devfn. */
struct bk__firmware_bus {
	struct bk__firmware_machine_function *at[256];
	uint8_t bridges[256];
	unsigned bridge_count;
};

struct bk__firmware_machine {
	const struct bk__firmware_trace *trace;
	const char *name; /* of the trace, for errors */
	struct bk__firmware_machine_function *functions;
	struct bk__firmware_bus *root;
	uint32_t index; /* what 0xcf8 holds */
	struct bk__firmware_machine_function **changed;
	unsigned changed_count;

	struct bk_domain *domain;
	struct bk_space *memory, *ports;
	struct bk_pci_host *host;
};

/* Reset values are learnt from the whole trace first. 0, or a negative errno with a line. Destroy it in
 * any case. */
int bk__firmware_machine_create(const char *name, const struct bk__firmware_trace *trace,
				struct bk__firmware_machine *machine, struct bk_error *err);

/* 0, or what the first call that failed returned: a fault of ours. */
int bk__firmware_machine_destroy(struct bk__firmware_machine *machine);

/*
 * Where in config an access goes: bus << 20 | devfn << 12 | register, with 0xcf8 as it is; -1: to the address
 * register, or nowhere.
 */
int64_t bk__firmware_machine_target(const struct bk__firmware_machine *machine,
				    const struct bk__firmware_step *access);

/* 0xcf8 after that access. */
void bk__firmware_machine_follow_index(struct bk__firmware_machine *machine,
				       const struct bk__firmware_step *access);

/* The last access may have changed the function's registers. */
void bk__firmware_changed(struct bk__firmware_machine_function *function);

/* The function that a config access reaches, as the registers of bridges are now; NULL: none. */
struct bk__firmware_machine_function *bk__firmware_machine_at(struct bk__firmware_machine *machine,
							      uint8_t bus, uint8_t devfn);

/* Is that byte of the header one that has to be read here as there? PCI 3.0 6.1, PCI-to-PCI Bridge 1.2 3.2.
 */
bool bk__firmware_machine_compared(const struct bk__firmware_trace_function *function, unsigned offset);

#endif
