/* SPDX-License-Identifier: BSD-2-Clause */
/* The registers as a guest reads and writes them: handlers of a region. */
#ifndef BARKEEP_PCI_REGISTERS_H
#define BARKEEP_PCI_REGISTERS_H

#include <stdint.h>

/* `function` is the function; 0 or what its owner said of a reset. Not with its lock held. */
int bk__pci_registers_read(void *function, uint64_t offset, unsigned width, uint64_t *value);
int bk__pci_registers_write(void *function, uint64_t offset, unsigned width, uint64_t value);

#endif
