/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts of a function: which vectors may send, according to the registers. Called with the
 * function's lock. */
#ifndef BARKEEP_PCI_IRQ_H
#define BARKEEP_PCI_IRQ_H

#include <barkeep/pci.h>

#include "base/pci_regs.h"

struct bk__pci_msi {
	unsigned offset; /* of the capability, 0: none */
	unsigned vectors;
	bool address64, maskable;
	unsigned pending_at; /* where its pending bits are; 0: it shows none */
	uint32_t pending;
};

struct bk__pci_msix {
	unsigned offset;
	unsigned vectors;
	unsigned table_bar, pba_bar;
	uint32_t table_offset, pba_offset;
	uint8_t *table;
	uint64_t pending[BK__PCI_MSIX_VECTORS / 64];
};

/* The registers of the capability in use, as last settled: nothing to do while they are the same. */
struct bk__pci_irq_registers {
	uint16_t control;
	uint64_t address;
	uint32_t data, mask;
	uint16_t requester;
};

struct bk__pci_irq {
	struct bk_pci_irq_ops copied;
	const struct bk_pci_irq_ops *ops; /* it; NULL: an emulated function */
	void *opaque;
	enum bk_pci_irq_mode mode;
	unsigned vectors;
	struct bk__pci_irq_registers seen;
	bool sends, stopped; /* as last settled: it may send what is pending; a bridge or its power state does
				not let it */
	uint64_t live[BK__PCI_MSIX_VECTORS / 64]; /* vectors that may send */
	bool intx_masked;
};

static inline bool bk__pci_bit(const uint64_t *bits, unsigned n)
{
	return bits[n / 64] >> n % 64 & 1;
}

static inline void bk__pci_bit_set(uint64_t *bits, unsigned n, bool value)
{
	bits[n / 64] = (bits[n / 64] & ~(UINT64_C(1) << n % 64)) | (uint64_t)value << n % 64;
}

/* After any change of registers. */
void bk__pci_irq_settle(struct bk_pci_function *function);

/* After a change of one vector's registers; `message`: of what it sends, too. */
void bk__pci_irq_settle_vector(struct bk_pci_function *function, unsigned vector, bool message);

/* Nothing is pending, the table is as after a reset. Settle after it. */
void bk__pci_irq_reset(struct bk_pci_function *function);

/* An emulated function's vector fires: sent, or pending. Or it is taken back, if it is still pending. */
int bk__pci_irq_fire(struct bk_pci_function *function, unsigned vector);
void bk__pci_irq_withdraw(struct bk_pci_function *function, unsigned vector);

/* Is this vector, of the mode in use, waiting to be unmasked? */
bool bk__pci_irq_pending(struct bk_pci_function *function, unsigned vector);

/* How many vectors are enabled; 0: not in use. */
unsigned bk__pci_msi_enabled(const struct bk_pci_function *function);
unsigned bk__pci_msix_enabled(const struct bk_pci_function *function);

void bk__pci_msi_registers(const struct bk_pci_function *function, struct bk__pci_irq_registers *registers);
void bk__pci_msix_registers(const struct bk_pci_function *function, struct bk__pci_irq_registers *registers);

/* What the vector would send; false if it is masked. */
bool bk__pci_msi_message(const struct bk_pci_function *function, unsigned vector,
			 struct bk_pci_message *message);
bool bk__pci_msix_message(const struct bk_pci_function *function, unsigned vector,
			  struct bk_pci_message *message);

/* Bytes of the pending bits. */
static inline unsigned bk__pci_msix_pba_size(unsigned vectors)
{
	return (vectors + 63) / 64 * 8;
}

void bk__pci_msix_reset(struct bk_pci_function *function);

#endif
