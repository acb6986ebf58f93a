/* SPDX-License-Identifier: BSD-2-Clause */
/* The kinds of capabilities that the model has. */
#include "pci/kind.h"

#include <stddef.h>

static const struct bk__pci_kind *const kinds[] = {
	&bk__pci_express_kind, &bk__pci_af_kind,   &bk__pci_pm_kind,
	&bk__pci_msi_kind,     &bk__pci_msix_kind, &bk__pci_resizable_kind,
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

void bk__pci_kinds_settle(struct bk_pci_function *function)
{
	for (size_t i = 0; i < KINDS; i++)
		if (kinds[i]->settle)
			kinds[i]->settle(function);
}

void bk__pci_kinds_forget(struct bk_pci_function *function, unsigned offset)
{
	for (size_t i = 0; i < KINDS; i++)
		kinds[i]->forget(function, offset);
}

bool bk__pci_kinds_written(struct bk_pci_function *function, const struct bk__pci_write *write)
{
	for (size_t i = 0; i < KINDS; i++)
		if (kinds[i]->written && kinds[i]->written(function, write))
			return true;
	return false;
}

void bk__pci_kinds_keep(struct bk_pci_function *function, const uint8_t *before, bool sticky)
{
	for (size_t i = 0; i < KINDS; i++)
		if (kinds[i]->keep)
			kinds[i]->keep(function, before, sticky);
}
