/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A dumb model of PCI functions and bridges: bytes as a guest wrote them, and
 * what they mean, read off the specification and without a view. Who answers
 * an address is found by a search through everything from the root down.
 */
#ifndef TESTS_PCI_REGISTERS_H
#define TESTS_PCI_REGISTERS_H

#include <stdbool.h>

#include <barkeep/pci.h>

enum {
	REG_BRIDGES = 4, /* they come first */
	REG_FUNCTIONS = 10,
	REG_BYTES = 0x110,
	REG_PM = 0x40,
	REG_EXPRESS = 0x48,
	REG_EXPRESS_SIZE = 60,
	REG_MSI = 0x84,
	REG_MSI_SIZE = 20, /* of one vector that can be masked */
	REG_RESIZABLE = 0x100,
};

/* What a function shows; the numbers up to the ROM are those of BARs. */
enum {
	REG_VGA_MEMORY = BK_PCI_ROM + 1,
	REG_VGA_MONO,
	REG_VGA_COLOR,
	REG_IO, /* windows of a bridge */
	REG_MEMORY,
	REG_PREFETCHABLE,
	REG_VGA_ALIASES,
	REG_SHOWS,
};

/* Where a function is. */
enum { REG_ROOT = -1, REG_NOWHERE = -2 }; /* else the bridge above */

struct reg_function {
	const struct bk_pci_function_desc *desc;
	bool bridge, keeps, flr; /* keeps: No_Soft_Reset */
	bool slot, empty;        /* for hot plug, below a root port; with no function 0 in it */
	bool msi, pending;       /* pending: its vector fired and could not be sent yet */
	uint64_t sizes;          /* that BAR 0 may have; 0: it is not resizable */
	int parent;
	bool taken; /* off a bus; it never was on one otherwise, if it is nowhere */
	uint8_t devfn;
	uint8_t bytes[REG_BYTES];
	unsigned resets; /* that its owner is told */
};

/* Computed from the registers: where a thing is, in addresses of the function's bus. */
struct reg_place {
	bool on, io, window;
	uint64_t first, last;
	enum { REG_ALL, REG_NOT_ISA, REG_VGA_PORTS } ports; /* which of them pass */
};

struct registers {
	struct reg_function functions[REG_FUNCTIONS];
	bool address_zero;
	unsigned messages; /* that were sent */

	/* By reg_settle. */
	struct reg_place places[REG_FUNCTIONS][REG_SHOWS];
	unsigned order[REG_FUNCTIONS]; /* by devfn */
	struct {
		unsigned function, show;
	} on[REG_FUNCTIONS * REG_SHOWS]; /* what answers at all, in order of precedence on its bus */
	unsigned on_count;
};

/* Who answers, and at which offset of it. `function` -1: nobody. */
struct reg_answer {
	int function;
	unsigned show;
	uint64_t offset;
};

/* All to their values after a reset; the tree below a bridge with it. */
void reg_reset(struct registers *all, unsigned function);

/* Without what is below, and without telling the owner. */
void reg_clear(struct reg_function *function);

/* A config write of up to 8 bytes that is made whole, with all that follows from it. */
void reg_write(struct registers *all, unsigned function, unsigned offset, unsigned width, uint64_t value);

/* The function's vector fires. False if MSI is off. */
bool reg_fire(struct registers *all, unsigned function);

/* Sends what can be sent now. After all changes but writes, which do it themselves. */
void reg_send(struct registers *all);

/* What a guest reads in that byte of the header (below 0x40), and of what can be written above. */
uint8_t reg_byte(const struct registers *all, unsigned function, unsigned offset);

/* After changes, before what follows. */
void reg_settle(struct registers *all);

/* Who answers an address of the root bus. */
struct reg_answer reg_owner(const struct registers *all, bool io, uint64_t address);

/* The function that answers config accesses; -1: none. */
int reg_route(const struct registers *all, uint8_t bus, uint8_t devfn, unsigned offset);

/* May the function's memory writes pass all bridges above? */
bool reg_passes(const struct registers *all, unsigned function);

/* May it make any, if its COMMAND says so? */
bool reg_masters(const struct registers *all, unsigned function);

/* Is one of them the other, or above it? */
bool reg_contains(const struct registers *all, unsigned above, int below);

/* Who is there; -1: nobody. */
int reg_at(const struct registers *all, int parent, uint8_t devfn);

#endif
