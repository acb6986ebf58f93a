/* SPDX-License-Identifier: BSD-2-Clause */
/* Random hierarchies of functions and bridges beside a dumb model of them, see pci_registers.h. The first
 * operation chooses the hierarchy. */
#ifndef TESTS_PCI_MODEL_H
#define TESTS_PCI_MODEL_H

#include "random_ops.h"

extern const struct model pci_model;

#endif
