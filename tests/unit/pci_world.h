/* SPDX-License-Identifier: BSD-2-Clause */
/* A small machine for the tests of pci/: RAM, an IOAPIC, windows, ECAM, ports, and functions that
 * answer every byte with who they are. */
#ifndef PCI_WORLD_H
#define PCI_WORLD_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <barkeep/pci.h>

#define WINDOW_FIRST UINT64_C(0x80000000)
#define ECAM         UINT64_C(0xe0000000)
#define IOAPIC       UINT64_C(0xfec00000)
#define WIDE_FIRST   UINT64_C(0x100000000)
#define IO_WINDOW    0x1000 /* ports 0x1000-0xffff, bus addresses the same */

/* What a byte reads as: nobody, RAM, the IOAPIC, or BAR b of function f. */
enum { NOBODY = 0xff, RAM = 0xfe, CHIP = 0xfd };
#define WHO(function, bar) ((uint8_t)((function) << 3 | (bar)))

struct part {
	unsigned id; /* 0 to 30 */
	struct bk_pci_function *function;
	uint8_t devfn;
	struct bk_space *spaces[BK_PCI_ROM + 1];
	struct answer {
		uint8_t who;
		_Atomic unsigned reads, writes, width;
		_Atomic uint64_t offset, value;
	} answers[BK_PCI_ROM + 1];

	uint16_t command; /* as told */
	unsigned commands, resets;
	int reset_result;
};

struct world {
	struct bk_domain *domain;
	struct bk_space *memory, *ports, *below;
	struct bk_pci_host *host;
	struct bk_pci_bus *bus;
	unsigned foreign_writes;

	struct bk_pci_message messages[64];
	unsigned message_count;
	bool lines[16];
	unsigned line_changes;
};

/* The windows of a desc that `tune` gets: there is room for eight. */
#define WINDOWS(desc) ((struct bk_pci_window *)(desc)->windows)

/* `tune` may change the host's desc before it is created. */
struct world *world_create(void (*tune)(struct bk_pci_host_desc *desc));
void world_destroy(struct world *world);

/* Fills in what is zero (ids, spaces of BARs), creates it. */
void part_create(struct world *world, struct part *part, unsigned id, struct bk_pci_function_desc desc);
void part_create_in(struct world *world, struct part *part, unsigned id, struct bk_pci_function_desc desc,
		    bool bridge);
void part_attach(struct world *world, struct part *part, uint8_t devfn);
void part_destroy(struct part *part); /* detaches, too */

/* Guest accesses to config space through ECAM. */
uint64_t config_read(struct world *world, uint8_t devfn, unsigned offset, unsigned width);
void config_write(struct world *world, uint8_t devfn, unsigned offset, unsigned width, uint64_t value);

uint8_t memory_byte(struct world *world, uint64_t address);
uint8_t port_byte(struct world *world, uint64_t address);

#define BAR(n)  (0x10 + 4 * (n))
#define ROM_BAR 0x30

#define IO_BAR(bytes)                                  \
	{                                              \
		.kind = BK_PCI_BAR_IO, .size = (bytes) \
	}
#define MEM32_BAR(bytes)                                  \
	{                                                 \
		.kind = BK_PCI_BAR_MEM32, .size = (bytes) \
	}
#define MEM64_BAR(bytes)                                  \
	{                                                 \
		.kind = BK_PCI_BAR_MEM64, .size = (bytes) \
	}

#define assert_config(world, devfn, offset, width, value) \
	assert_int_equal(config_read(world, devfn, offset, width), (uint64_t)(value))
#define assert_memory(world, address, who) assert_int_equal(memory_byte(world, address), who)
#define assert_port(world, address, who)   assert_int_equal(port_byte(world, address), who)

/* How many BARs bk_pci_host_assign leaves out. */
static inline unsigned assign(struct bk_pci_host *host, uint64_t page,
			      void (*report)(void *opaque, const char *line), void *opaque)
{
	unsigned left_out = 99;

	assert_int_equal(bk_pci_host_assign(host, page, &left_out, report, opaque), 0);
	return left_out;
}

#endif
