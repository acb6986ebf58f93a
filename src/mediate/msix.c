/* SPDX-License-Identifier: BSD-2-Clause */
/* The MSI-X table and PBA: traps like any others, whose registers are the function's. */
#include "mediate/mediate.h"

#include <errno.h>

/* What is below them knows them. */
static const struct bk_trap_ops msix_ops;

int bk__msix_traps(struct bk_mediate *m, unsigned table_bar, unsigned pba_bar, struct bk_error *err)
{
	const unsigned bars[] = { table_bar, pba_bar };
	static const char *const names[] = { "msix-table", "msix-pba" };
	struct bk_trap *trap;
	int r = bk_pci_msix_regions(m->function, &m->msix[0], &m->msix[1]);

	for (unsigned i = 0; !r && i < 2; i++) {
		const struct bk_trap_desc desc = {
			.region = bars[i],
			.offset = m->msix[i].first,
			.length = m->msix[i].last - m->msix[i].first + 1,
			.name = names[i],
			.ops = &msix_ops,
		};

		m->msix_bar[i] = bars[i];
		r = bk__trap_place(m, NULL, &desc, BK__PRIORITY_BUILTIN, &trap, err);
	}
	return r == -ENOENT ? 0 : r;
}
