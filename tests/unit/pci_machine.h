/* SPDX-License-Identifier: BSD-2-Clause */
/* A machine with a random hierarchy, beside the dumb model of its registers; and how they are compared. */
#ifndef TESTS_PCI_MACHINE_H
#define TESTS_PCI_MACHINE_H

#include "pci_registers.h"

enum { FLATS = 1024, CAPABILITIES = 64 };

#define WINDOW_FIRST UINT64_C(0x80000000)
#define ECAM         UINT64_C(0xe0000000)
#define ECAM_LAST    (ECAM + 0xfffffff)
#define IOAPIC       UINT64_C(0xfec00000)
#define WIDE_FIRST   UINT64_C(0x100000000)
#define VGA_FIRST    UINT64_C(0xa0000)
#define VGA_LAST     UINT64_C(0xbffff)

/* What bytes read as: who, of a BAR. */
enum { NOBODY = 0xff, FOREIGN = 0xfe };

enum { VGA_MEMORY = BK_PCI_ROM + 1, VGA_IO, ANSWERS };

struct machine;

/* Every byte of a BAR reads as who it is. */
struct answer {
	struct machine *machine;
	uint8_t who;
	uint64_t size;
	struct bk_space *space;
	struct bk_region *region;
};

struct machine {
	struct bk_domain *domain;
	struct bk_space *memory, *ports, *buses;
	struct bk_pci_host *host;
	struct bk_pci_function *functions[REG_FUNCTIONS];
	struct bk_pci_function_desc descs[REG_FUNCTIONS];
	struct answer answers[REG_FUNCTIONS][ANSWERS];
	unsigned resets[REG_FUNCTIONS], messages;
	uint16_t commands[REG_FUNCTIONS];
	struct bk_region *ram, *ioapic;
	struct capability { /* who holds which bytes, in no order */
		unsigned offset, size;
	} capabilities[REG_FUNCTIONS][CAPABILITIES];
	unsigned capability_count[REG_FUNCTIONS];
	unsigned fixed_count[REG_FUNCTIONS]; /* that stay: the first ones */
	struct registers registers;

	struct bk_flat flats[FLATS];
	unsigned flat_count;
	uint64_t written; /* times who: the last write that reached a BAR */
	const char *wrong;
	char text[160];
};

/* Notes the first thing that went otherwise than it should. */
void machine_wrong(struct machine *m, const char *what, uint64_t address);
void machine_must(struct machine *m, int error, const char *what);

/* A hierarchy out of a number: bridges at the root or below earlier ones, functions anywhere. */
void machine_build(struct machine *m, uint32_t seed);
void machine_finish(struct machine *m);

/* What is refused, and with what error, is compared, too. */
void machine_attach(struct machine *m, unsigned f, int parent, uint8_t devfn);
void machine_detach(struct machine *m, unsigned f);

void machine_note_capability(struct machine *m, unsigned f, unsigned offset, unsigned size);

/* Who answers in the guest's spaces, windows and fixed ranges included; NULL: nobody. */
const struct bk_region *machine_owner(struct machine *m, bool io, uint64_t address, uint64_t *offset);

/* Addresses that are not compared: config space and its ports. */
bool machine_exempt(bool io, uint64_t address);

/* All registers, chains and the whole map. */
void machine_compare(struct machine *m);

#endif
