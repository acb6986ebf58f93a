/* SPDX-License-Identifier: BSD-2-Clause */
/* Why a BAR answers, or does not. */
#ifndef BARKEEP_PCI_EXPLAIN_BAR_H
#define BARKEEP_PCI_EXPLAIN_BAR_H

#include <barkeep/pci.h>

enum { BK__PCI_EXPLAIN_TEXT = 192 }; /* bytes that are enough for any */

/* As the function itself decides: windows above are not looked at. There is such a BAR. Function's lock. */
void bk__pci_explain(const struct bk_pci_function *function, unsigned index,
		     struct bk_pci_explanation *explanation);

/* The reason in words, without the function's name. */
void bk__pci_explain_text(const struct bk_pci_explanation *explanation, char *text, size_t size);

#endif
