/* SPDX-License-Identifier: BSD-2-Clause */
/* The MSI-X table and PBA: traps like any others, whose registers are the function's; and a BAR for them to
 * go to. */
#include "mediate/mediate.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/pci_regs.h"

/* The accesses below answer these registers. */
static const struct bk_trap_ops msix_ops;

/* Cuts off the part of the PBA that reaches into the table. */
static void clip_pba(struct bk_mediator *m)
{
	struct bk_region_desc *table = &m->msix[0], *pba = &m->msix[1];

	if (m->msix_bar[0] != m->msix_bar[1] || pba->first > table->last || table->first > pba->last)
		return;
	bk_log(BK_LOG_WARNING,
	       "%s: the MSI-X PBA (0x%" PRIx64 " of bar%u) reaches into the table (0x%" PRIx64
	       "), which answers there; msix=barN shows both in a BAR of your choice",
	       m->below->name, pba->first, m->msix_bar[1], table->first);
	if (pba->first < table->first) {
		pba->last = table->first - 1;
	} else if (pba->last > table->last) {
		pba->base += table->last + 1 - pba->first;
		pba->first = table->last + 1;
	} else {
		pba->ops = NULL;
	}
}

/* The table, 0, or the PBA, 1. */
static int place(struct bk_mediator *m, unsigned which, const char *name, struct bk_trap **trap,
		 struct bk_error *err)
{
	const struct bk_region_desc *msix = &m->msix[which];
	const struct bk_trap_desc desc = {
		.region = m->msix_bar[which],
		.offset = msix->first,
		.length = msix->last - msix->first + 1,
		.name = name,
		.ops = &msix_ops,
	};

	return bk__mediate_trap_place(m, &desc, BK__PRIORITY_BUILTIN, trap, err);
}

int bk__mediate_msix_traps(struct bk_mediator *m, struct bk_error *err)
{
	struct bk_trap *table;
	int r;

	if (!m->msix_modelled)
		return 0;
	r = bk_pci_msix_regions(m->function, &m->msix[0], &m->msix[1]);
	if (r)
		return bk_fail(err, -r, "%s: MSI-X: %s", m->below->name, strerror(-r));
	clip_pba(m);
	r = place(m, 0, "msix-table", &table, err);
	if (!r && m->msix[1].ops)
		r = place(m, 1, "msix-pba", &m->pba, err);
	return r;
}

/* True if all pages of the PBA can be mapped and none holds a part of the table. */
static bool pba_can_be_mapped(const struct bk_mediator *m)
{
	const struct bk_region_desc *table = &m->msix[0], *pba = &m->msix[1];
	const uint64_t in_page = m->page_size - 1, first = pba->first & ~in_page, last = pba->last | in_page;
	const struct bk__mediate_region *region = &m->regions[m->msix_bar[1]];

	if (!pba->ops || (m->msix_bar[0] == m->msix_bar[1] && table->first <= last && table->last >= first))
		return false;
	for (size_t i = 0; i < region->area_count; i++) {
		const struct bk__mediate_place *area = region->areas[i];

		if (area->first <= first && last - area->first < area->size)
			return true;
	}
	return false;
}

/* A trap of lower priority, such as a quirk's, would answer if the PBA's trap went. */
static bool pba_is_over_a_trap(struct bk_mediator *m)
{
	const struct bk_region_desc *pba = &m->msix[1];
	bool over = false;

	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < m->traps.count && !over; i++) {
		const struct bk_trap *trap = m->traps.at[i];

		over = trap->region == m->msix_bar[1] && trap->priority < BK__PRIORITY_BUILTIN &&
		       trap->offset <= pba->last && trap->offset + trap->length > pba->first;
	}
	pthread_mutex_unlock(&m->lock);
	return over;
}

int bk_mediator_trap_pba(struct bk_mediator *m, bool trap)
{
	struct bk_error err;

	if (!pba_can_be_mapped(m) || (!trap && pba_is_over_a_trap(m)))
		return -ENOTSUP;
	if (trap && !m->pba)
		return place(m, 1, "msix-pba", &m->pba, &err);
	if (!trap && m->pba) {
		bk_trap_remove(m->pba);
		m->pba = NULL;
	}
	return 0;
}

/* ---- Another place for them -------------------------------------------- */

/* Doubled, it must still fit in a BAR of this width. */
#define BAR32_MOST ((uint64_t)1 << 30)
#define BAR64_MOST ((uint64_t)1 << 62)

/* PCI 3.0 6.8.2: 16 bytes a vector, and a bit of the PBA in words of 64. A power of two of whole pages. */
static uint64_t room_for(unsigned vectors)
{
	uint64_t size = (uint64_t)sysconf(_SC_PAGESIZE);

	while (size < 16 * vectors + 8 * ((vectors + 63) / 64))
		size <<= 1;
	return size;
}

static int make_bar(struct bk_mediator *m, unsigned bar, struct bk_pci_bar bars[BK_PCI_BARS], uint64_t room,
		    struct bk_error *err)
{
	bool wide = bar < 5 && bars[bar + 1].kind == BK_PCI_BAR_NONE;

	if (bar && bars[bar - 1].kind == BK_PCI_BAR_MEM64)
		return bk_fail(err, EINVAL, "%s: msix: bar%u is the upper half of bar%u", m->below->name, bar,
			       bar - 1);
	bars[bar] = (struct bk_pci_bar){ .kind = wide ? BK_PCI_BAR_MEM64 : BK_PCI_BAR_MEM32,
					 .prefetchable = wide,
					 .size = room };
	m->msix_table = 0;
	return 0;
}

static int grow_bar(struct bk_mediator *m, unsigned bar, struct bk_pci_bar *to, uint64_t room,
		    struct bk_error *err)
{
	uint64_t half = room;

	if (to->kind == BK_PCI_BAR_IO)
		return bk_fail(err, EINVAL, "%s: msix: bar%u is an I/O BAR: the table needs memory",
			       m->below->name, bar);
	while (half < to->size && half <= UINT32_MAX) /* a BAR's register says a power of two */
		half <<= 1;
	/* A capability has 32 bits for the offset of the table, whatever the BAR. */
	if (to->size > (to->kind == BK_PCI_BAR_MEM32 ? BAR32_MOST : BAR64_MOST) || half > UINT32_MAX)
		return bk_fail(err, EINVAL,
			       "%s: msix: bar%u has 0x%" PRIx64 " bytes: doubled, %s; choose another BAR",
			       m->below->name, bar, to->size,
			       to->kind == BK_PCI_BAR_MEM32 ? "it would not fit below 4 GiB"
							    : "its middle is more than 4 GiB from its start");
	to->size = 2 * half;
	m->msix_table = (uint32_t)half;
	return 0;
}

int bk__mediate_msix_move(struct bk_mediator *m, unsigned bar, struct bk_pci_bar bars[BK_PCI_BARS],
			  struct bk_error *err)
{
	unsigned at = bk__mediate_capability_below(m, BK__PCI_CAP_MSIX), vectors;
	struct bk_device_irq irq = { 0 };
	int r;

	if (bar >= BK_PCI_BARS)
		return bk_fail(err, EINVAL, "%s: msix: there is no bar%u (bar0 to bar5)", m->below->name,
			       bar);
	if (!at || bk_device_irq(m->below, BK_DEVICE_MSIX, &irq) || !irq.count)
		return bk_fail(err, EINVAL, "%s: msix: the device has no MSI-X table to move",
			       m->below->name);
	vectors = ((unsigned)bk__load(m->config + at + BK__PCI_MSIX_CONTROL, 2) & BK__PCI_MSIX_CONTROL_SIZE) +
		  1;
	if (bars[bar].kind == BK_PCI_BAR_NONE)
		r = make_bar(m, bar, bars, room_for(vectors), err);
	else
		r = grow_bar(m, bar, &bars[bar], room_for(vectors), err);
	if (r)
		return r;
	m->msix_moved = true;
	m->msix_to = bar;
	m->msix_pba = m->msix_table + 16 * vectors;
	return 0;
}
