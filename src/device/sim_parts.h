/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of a sim: its BARs, config space and interrupts.
 *
 * sim_load.c and sim_caps.c fill them from YAML; nothing of the layout changes
 * afterwards. What changes is under `lock`, which is held for one access and
 * never while waiting.
 */
#ifndef BARKEEP_DEVICE_SIM_PARTS_H
#define BARKEEP_DEVICE_SIM_PARTS_H

#include <pthread.h>

#include "base/array.h"
#include "base/pci_regs.h"
#include "base/ratelimit.h"
#include "base/yaml.h"
#include "device/irqs.h"
#include "device/sim.h"

#define SIM_REGISTERS 4096u        /* of one device */
#define SIM_MEMORY    (256u << 20) /* of all mappable BARs */
#define SIM_FILLED    (16u << 20)  /* of those with a pattern, which has to be written */
#define SIM_ROM       (16u << 20)

/* The legacy VGA ranges, where they are in VFIO's region. */
#define SIM_VGA_MEMORY_SIZE (BK__PCI_VGA_MEMORY_END - BK__PCI_VGA_MEMORY)
#define SIM_VGA_PORTS_SIZE  (BK__PCI_VGA_COLOR_END - BK__PCI_VGA_MONO)

struct bk__device_dma_space;

enum sim_span_kind { SIM_REGISTER, SIM_MIRROR, SIM_MSIX_TABLE, SIM_MSIX_PBA };

enum sim_register_access {
	SIM_RO,
	SIM_RW,
	SIM_W1C,
	SIM_RC,
	SIM_WO,
	SIM_IRQ,
	SIM_ACK,
	SIM_STATUS,
	SIM_LOG,
};

/* A part of a BAR that is not memory. */
struct sim_span {
	uint64_t offset, size;
	enum sim_span_kind kind;
	char name[40];
	const struct bk__yaml_node *node; /* while loading */

	/* SIM_REGISTER: size is its width. Values are little-endian numbers. */
	enum sim_register_access access;
	uint64_t reset, mask, value;
	unsigned vector;
	uint64_t vector_bits; /* of the value written; 0: `vector` */

	/* SIM_MIRROR */
	unsigned config; /* the first byte shown */
	bool writable;

	/* SIM_MSIX_TABLE: its own storage where the BAR has none */
	uint8_t *table;
};

enum sim_bar_kind { SIM_IO, SIM_MEM32, SIM_MEM64 };

struct sim_bar {
	uint64_t size; /* 0: there is none */
	enum sim_bar_kind kind;
	bool prefetchable, mappable;
	bool fill_address; /* each word holds its own offset */
	uint32_t fill;
	uint64_t address;                 /* where the host has it */
	BK__ARRAY(struct sim_span) spans; /* ascending, disjoint */
	int fd;                           /* of `memory`; -1 */
	int shared;                       /* of the pages that somebody has by themselves; -1: of none */
	uint8_t *memory;                  /* NULL unless mappable */
	struct bk_device_area *areas;     /* that can be mapped, ascending */
	unsigned area_count;
	struct bk_device_area *shared_areas; /* those of `shared`, ascending */
	size_t shared_count;
	const struct bk__yaml_node *node; /* while loading */
};

struct sim_config {
	unsigned size;
	uint8_t bytes[BK__PCI_CONFIG_SIZE]; /* what the hardware holds */
	uint8_t reset[BK__PCI_CONFIG_SIZE];
	uint8_t write[BK__PCI_CONFIG_SIZE]; /* writable bits */
	uint8_t clear[BK__PCI_CONFIG_SIZE]; /* bits that a one clears */
	uint8_t shown[0x34]; /* the BARs and ROM as region 7 shows them: as VFIO, not the hardware's */
	/* Offsets of capabilities, 0 for none, and what they can. */
	unsigned pm, express, af;
	bool soft_reset; /* D3hot to D0 resets */
};

struct sim {
	struct bk_device device;
	char *name, *file;
	char model[64];
	uint16_t vendor, id, subsystem_vendor, subsystem;
	uint32_t class_code;
	uint8_t revision, pin;
	bool express, can_reset, opened;
	bool odd; /* statements that make no sense are wanted */
	int gate; /* a FIFO: a reset takes until there is a byte to read from it; -1: none */
	unsigned register_count;

	pthread_mutex_t lock;
	struct sim_bar bars[6];
	struct sim_config config;
	struct bk__device_irqs irqs;
	uint64_t pending; /* bits raised and not acknowledged: INTx is asserted */
	uint64_t raised;
	uint8_t *rom;
	uint64_t rom_size;
	uint8_t *vga;                     /* the legacy VGA memory, then the ports; or NULL */
	struct bk__device_dma_space *dma; /* NULL until there is a map */
	uint64_t access_count, reset_count;
	struct bk__ratelimit log_limit; /* of registers that log */
	struct bk__sim_access ring[BK__SIM_ACCESSES];
	uint64_t counts[BK_DEVICE_REGIONS][2][4]; /* by region, write, log2 of the width */
};

/* sim_load.c: fills a zeroed sim from the tree. -EINVAL with the place; what was filled is freed with the
 * sim. */
int bk__sim_load(struct sim *sim, const struct bk__yaml *yaml, struct bk_error *err);

/* sim_caps.c: the two lists of capabilities (each may be NULL), into config space and, for MSI-X, the BARs.
 */
int bk__sim_load_caps(struct sim *sim, const struct bk__yaml *yaml, const struct bk__yaml_node *capabilities,
		      const struct bk__yaml_node *extended, struct bk_error *err);

/* sim_config.c. Locked, except the first. `raw` is the hardware's view, as a mirror shows it. */
void bk__sim_config_build(struct sim *sim);
void bk__sim_config_reset(struct sim *sim);
void bk__sim_config_read(struct sim *sim, unsigned offset, uint8_t *data, unsigned count, bool raw);
/* True if the write asks for a reset of the function, which the caller then does. The caller updates the
 * interrupts, too. */
bool bk__sim_config_write(struct sim *sim, unsigned offset, const uint8_t *data, unsigned count, bool raw);
bool bk__sim_config_decodes(const struct sim *sim, const struct sim_bar *bar);
bool bk__sim_config_intx_disabled(const struct sim *sim);

/* sim_bar.c. */
int bk__sim_bar_add(struct sim_bar *bar, const struct sim_span *span); /* -ENOMEM; while loading */
int bk__sim_bar_open(struct sim_bar *bar, const struct bk__yaml *yaml,
		     struct bk_error *err); /* once it has all spans */
void bk__sim_bar_close(struct sim_bar *bar);
void bk__sim_bar_reset(
	struct sim_bar *bar); /* locked, as the next two: naturally aligned, 1, 2, 4, 8 bytes */
void bk__sim_bar_read(struct sim *sim, struct sim_bar *bar, uint64_t offset, uint8_t *data, unsigned count);
/* True if the write asks for a reset. */
bool bk__sim_bar_write(struct sim *sim, struct sim_bar *bar, uint64_t offset, const uint8_t *data,
		       unsigned count);

/* sim_share.c: as the operation of a device. */
int bk__sim_share(struct bk_device *device, unsigned region, const struct bk_device_area *areas, size_t count,
		  int *fd);

/* sim_irq.c. Locked. */
void bk__sim_irqs_raise(struct sim *sim, uint64_t bits, unsigned vector);
void bk__sim_irqs_acknowledge(struct sim *sim, uint64_t bits);
void bk__sim_irqs_update(struct sim *sim); /* after anything that INTx depends on has changed */

#endif
