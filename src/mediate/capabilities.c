/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Capabilities as the device has them, at its own offsets. The function models some. Those that would give
 * the guest power over the host are hidden. All others are read-only, and read from the device at each
 * access. Registers in none are the device's own, see live_config.c.
 *
 * The device is hostile: its chains may loop, overlap or end anywhere. A capability that makes no sense is
 * left out and logged. An MSI-X table that is not in its BAR refuses the device, since nothing tells where
 * its registers are.
 */
#include "mediate/filter.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/pci_regs.h"
#include "pci/chain.h"
#include "pci/regs.h"

/* A capability as the device describes it. If its length is unknown, it reaches to the next one or to the
 * end. */
struct found {
	unsigned id, version, offset, size;
	const uint8_t *bytes;
};

/* The offsets, in units of 4 bytes, where a capability starts. */
struct starts {
	bool at[BK__PCI_CONFIG_SIZE / 4];
};

static int left_out(struct bk_mediator *m, const struct found *cap, const char *why)
{
	bk_log(BK_LOG_WARNING, "%s: capability 0x%02x at 0x%02x is not shown: %s", m->below->name, cap->id,
	       cap->offset, why);
	return 0;
}

/* The answer of a bk_pci_*_add: only running out of memory is an error. */
static int added(struct bk_mediator *m, const struct found *cap, int r)
{
	if (r == -ENOMEM)
		return r;
	return r < 0 ? left_out(m, cap, strerror(-r)) : 0;
}

/* Registers that drivers need and hosts let through: vendors', error reporting, power budgeting and PCI-X.
 * All others are read-only. */
static bool is_passed(bool extended, uint64_t id)
{
	return extended ? id == BK__PCI_EXT_AER || id == BK__PCI_EXT_POWER || id == BK__PCI_EXT_VENDOR ||
				  id == BK__PCI_EXT_DVSEC
			: id == BK__PCI_CAP_VENDOR || id == BK__PCI_CAP_PCIX;
}

/* Where the registers of such a capability begin, after ids and lengths. */
static unsigned passed_from(bool extended, unsigned id)
{
	switch (id) {
	case BK__PCI_EXT_VENDOR:
		return extended ? 8 : 4;
	case BK__PCI_EXT_DVSEC:
		return 10;
	case BK__PCI_CAP_VENDOR:
		return 3;
	default:
		return extended ? 4 : 2;
	}
}

/* `size` bytes from `skip` on are read from the device each time. */
static void make_live(struct bk_mediator *m, const struct found *cap, unsigned skip)
{
	const bool extended = cap->offset >= BK__PCI_EXTENDED;

	if (cap->size > skip)
		memset(m->live + cap->offset + skip, 0xff, cap->size - skip);
	skip = passed_from(extended, cap->id);
	if (cap->size > skip && is_passed(extended, cap->id))
		memset(m->passed + cap->offset + skip, 0xff, cap->size - skip);
}

/* Logs that the chain is cut, once: it loops or leaves the space. */
static void chain_cut(struct bk_mediator *m, unsigned offset)
{
	bk_log(BK_LOG_WARNING, "%s: the chain of capabilities leads to 0x%02x, where none can be: cut there",
	       m->below->name, offset);
}

/* The end of the first 256 bytes, or of the device's config space if that is less. */
static unsigned standard_end(const struct bk_mediator *m)
{
	return m->config_below < BK__PCI_EXTENDED ? m->config_below & ~3u : BK__PCI_EXTENDED;
}

static void walk(struct bk_mediator *m, bool extended, struct starts *starts)
{
	struct bk__pci_chain chain;

	bk__pci_chain_begin(&chain, m->config, extended ? m->config_size : m->config_below, extended);
	while (bk__pci_chain_next(&chain))
		starts->at[chain.at / 4] = true;
	if (chain.end == BK__PCI_CHAIN_BROKEN)
		chain_cut(m, chain.at);
}

unsigned bk__mediate_capability_below(struct bk_mediator *m, unsigned id)
{
	struct starts starts = { 0 };

	walk(m, false, &starts);
	for (unsigned offset = BK__PCI_HEADER_END; offset < BK__PCI_EXTENDED; offset += 4)
		if (starts.at[offset / 4] && m->config[offset] == id)
			return offset;
	return 0;
}

static unsigned room(const struct starts *starts, unsigned offset, unsigned end)
{
	unsigned next = offset + 4;

	while (next < end && !starts->at[next / 4])
		next += 4;
	return next - offset;
}

/* PM 3.2: the model has D0 and D3hot, and no wake events. The device itself stays in D0 and so keeps
 * its state, as No_Soft_Reset says. A guest that resets a function by D3hot must use the FLR
 * instead. */
static int add_pm(struct bk_mediator *m, const struct found *cap)
{
	uint16_t pmc;

	if (cap->size < 8)
		return left_out(m, cap, "it is cut short");
	pmc = (uint16_t)bk__load(cap->bytes + BK__PCI_PM_PMC, 2) & 0x003f;
	return added(m, cap, bk_pci_pm_add(m->function, cap->offset, pmc, true));
}

/* PCI 3.0 6.8.1: mask and pending bits are last. */
static int add_msi(struct bk_mediator *m, const struct found *cap)
{
	unsigned control = (unsigned)bk__load(cap->bytes + BK__PCI_MSI_CONTROL, 2),
		 log2 = control >> BK__PCI_MSI_CONTROL_CAPABLE_SHIFT & BK__PCI_MSI_CONTROL_COUNT_MASK;
	bool address64 = control & BK__PCI_MSI_CONTROL_64BIT,
	     maskable = control & BK__PCI_MSI_CONTROL_MASKABLE;
	unsigned size = (address64 ? BK__PCI_MSI_SIZE_64 : BK__PCI_MSI_SIZE_32) +
			(maskable ? BK__PCI_MSI_SIZE_MASKABLE : 0);
	struct bk_device_irq irq = { 0 };

	if (log2 > 5)
		return left_out(m, cap, "its number of messages is reserved");
	if (cap->size < size && maskable &&
	    cap->size >= size - BK__PCI_MSI_SIZE_MASKABLE) { /* another one begins there */
		bk_log(BK_LOG_WARNING, "%s: MSI at 0x%02x is cut short: shown without masks", m->below->name,
		       cap->offset);
		maskable = false;
	} else if (cap->size < size) {
		return left_out(m, cap, "it is cut short");
	}
	if (bk_device_irq(m->below, BK_DEVICE_MSI, &irq) || !irq.count)
		return left_out(m, cap, "the device below delivers no MSI");
	while (log2 && 1u << log2 > irq.count)
		log2--;
	return added(m, cap, bk_pci_msi_add(m->function, cap->offset, 1u << log2, address64, maskable));
}

/* Where the device says that the table and the PBA are. */
struct msix_place {
	unsigned bar;
	uint32_t offset, size;
};

static bool in_its_bar(const struct bk_mediator *m, const struct msix_place *place)
{
	uint64_t have = place->bar < BK_PCI_BARS ? m->regions[place->bar].size : 0;

	return have && !(bk__load(m->config + BK__PCI_BAR0 + 4 * place->bar, 4) & BK__PCI_BAR_IO) &&
	       have >= place->size && place->offset <= have - place->size;
}

/* An MSI-X that makes no sense is left out: its registers stay the device's, and the driver uses other
 * interrupts. A PBA that starts inside the table is accepted, for no driver reads it. */
static bool msix_makes_sense(struct bk_mediator *m, const struct found *cap, const struct msix_place *table,
			     const struct msix_place *pba)
{
	const char *why = !in_its_bar(m, table) ? "its table is outside its BAR"
			  : !in_its_bar(m, pba) ? "its PBA is outside its BAR"
			  : table->bar == pba->bar && table->offset == pba->offset
				  ? "its table and its PBA are at the same place"
				  : NULL;

	if (why)
		bk_log(BK_LOG_WARNING,
		       "%s: MSI-X (0x%02x) is not shown: %s (%u bytes at 0x%" PRIx32
		       " of bar%u, %u bytes at 0x%" PRIx32
		       " of bar%u); msix=barN shows it, with both in a BAR of your choice",
		       m->below->name, cap->offset, why, table->size, table->offset, table->bar, pba->size,
		       pba->offset, pba->bar);
	return !why;
}

static struct msix_place msix_place(const struct found *cap, unsigned offset, uint32_t size)
{
	uint32_t at = (uint32_t)bk__load(cap->bytes + offset, 4);

	return (struct msix_place){ .bar = at & 7, .offset = at & ~7u, .size = size };
}

/* PCI 3.0 6.8.2 */
static int add_msix(struct bk_mediator *m, const struct found *cap)
{
	struct msix_place table, pba;
	struct bk_device_irq irq = { 0 };
	unsigned vectors;
	int r;

	if (cap->size < 12)
		return left_out(m, cap, "it is cut short");
	if (bk_device_irq(m->below, BK_DEVICE_MSIX, &irq) || !irq.count)
		return left_out(m, cap, "the device below delivers no MSI-X");
	vectors = ((unsigned)bk__load(cap->bytes + BK__PCI_MSIX_CONTROL, 2) & BK__PCI_MSIX_CONTROL_SIZE) + 1;
	if (vectors > irq.count)
		vectors = irq.count;
	table = msix_place(cap, 4, 16 * vectors);
	pba = msix_place(cap, 8, 8 * ((vectors + 63) / 64));
	if (m->msix_moved) {
		table.bar = pba.bar = m->msix_to;
		table.offset = m->msix_table;
		pba.offset = m->msix_pba;
	} else if (!msix_makes_sense(m, cap, &table, &pba)) {
		return 0;
	}
	r = bk_pci_msix_add(m->function, &(struct bk_pci_msix_desc){ .offset = cap->offset,
								     .vectors = vectors,
								     .table_bar = table.bar,
								     .table_offset = table.offset,
								     .pba_bar = pba.bar,
								     .pba_offset = pba.offset });
	if (r >= 0) {
		m->msix_modelled = true;
		m->msix_bar[0] = table.bar;
		m->msix_bar[1] = pba.bar;
	}
	return added(m, cap, r);
}

/*
 * PCIe 7.5.3. An endpoint on a root bus, with no port above it, is a root
 * complex integrated one, which has no link and no slot: their registers are
 * zero. Behind a port it is the other way round. Controls start at the value they have after a reset; the
 * host's stay in the device until the guest writes them.
 */
#define PASSED_CONTROL 0x7f1f /* not the payload size, nor Initiate FLR, which is the model's */

/* Makes registers of the capability read as zeros and ignore writes. */
static int blank(struct bk_mediator *m, const struct found *cap, unsigned first, unsigned end)
{
	static const uint8_t zeros[BK__PCI_EXPRESS_SIZE];

	return bk_pci_function_preset(m->function, &(struct bk_pci_preset){ .offset = cap->offset + first,
									    .bytes = zeros,
									    .writable = zeros,
									    .w1c = zeros,
									    .count = end - first });
}

static int add_express(struct bk_mediator *m, const struct found *cap)
{
	uint8_t bytes[BK__PCI_EXPRESS_SIZE] = { 0 };
	unsigned most = (cap->bytes[BK__PCI_EXPRESS_CAPABILITIES] & BK__PCI_EXPRESS_CAPABILITIES_VERSION) == 1
				? BK__PCI_EXPRESS_SIZE_V1
				: BK__PCI_EXPRESS_SIZE;
	unsigned size =
		cap->size < most ? cap->size : most; /* devices leave out registers that they do not have */
	unsigned flags = (unsigned)bk__load(cap->bytes + BK__PCI_EXPRESS_CAPABILITIES, 2);
	bool integrated = !m->below_port && (!(flags & BK__PCI_EXPRESS_CAPABILITIES_TYPE) ||
					     (flags & BK__PCI_EXPRESS_CAPABILITIES_TYPE) ==
						     BK__PCI_EXPRESS_LEGACY_ENDPOINT
							     << BK__PCI_EXPRESS_CAPABILITIES_TYPE_SHIFT);
	int r;

	if (size < BK__PCI_EXPRESS_LINK_CAPABILITIES)
		return left_out(m, cap, "it is cut short");
	memcpy(bytes, cap->bytes, size);
	if (integrated)
		flags = (flags &
			 ~(unsigned)(BK__PCI_EXPRESS_CAPABILITIES_TYPE | BK__PCI_EXPRESS_CAPABILITIES_SLOT)) |
			BK__PCI_EXPRESS_INTEGRATED_ENDPOINT << BK__PCI_EXPRESS_CAPABILITIES_TYPE_SHIFT;
	if (m->below_port &&
	    (flags & BK__PCI_EXPRESS_CAPABILITIES_TYPE) ==
		    BK__PCI_EXPRESS_INTEGRATED_ENDPOINT << BK__PCI_EXPRESS_CAPABILITIES_TYPE_SHIFT &&
	    size >= BK__PCI_EXPRESS_LINK_CAPABILITIES + 8) {
		flags &= ~(unsigned)BK__PCI_EXPRESS_CAPABILITIES_TYPE; /* and there is a link */
		bk__store(bytes + BK__PCI_EXPRESS_LINK_CAPABILITIES, 4, BK__PCI_EXPRESS_LINK_STATUS_SLOWEST);
		bk__store(bytes + BK__PCI_EXPRESS_LINK_CAPABILITIES + 4, 4,
			  (uint64_t)BK__PCI_EXPRESS_LINK_STATUS_SLOWEST << 16);
	}
	bk__store(bytes + BK__PCI_EXPRESS_CAPABILITIES, 2, flags);
	if (!m->can_reset)
		bk__store(bytes + BK__PCI_EXPRESS_DEVICE_CAPABILITIES, 4,
			  bk__load(bytes + BK__PCI_EXPRESS_DEVICE_CAPABILITIES, 4) &
				  ~(uint64_t)BK__PCI_EXPRESS_DEVICE_CAPABILITIES_FLR);
	bk__store(bytes + BK__PCI_EXPRESS_DEVICE_CONTROL, 4, BK__PCI_EXPRESS_DEVICE_CONTROL_RESET);
	bk__store(bytes + BK__PCI_EXPRESS_DEVICE_CONTROL_2, 4, 0);
	r = bk_pci_express_add(m->function, cap->offset, bytes, size);
	if (r < 0)
		return added(m, cap, r);
	m->live[cap->offset + BK__PCI_EXPRESS_DEVICE_STATUS] = BK__PCI_EXPRESS_DEVICE_STATUS_LIVE;
	m->w1c[cap->offset + BK__PCI_EXPRESS_DEVICE_STATUS] = BK__PCI_EXPRESS_DEVICE_STATUS_ERRORS;
	m->control[0] = cap->offset + BK__PCI_EXPRESS_DEVICE_CONTROL;
	bk__store(m->passed + m->control[0], 2, PASSED_CONTROL);
	if (size >= BK__PCI_EXPRESS_DEVICE_CONTROL_2 + 2) {
		m->control[1] = cap->offset + BK__PCI_EXPRESS_DEVICE_CONTROL_2;
		bk__store(m->passed + m->control[1], 2, 0xffff);
	}
	r = 0;
	if (integrated && size > BK__PCI_EXPRESS_LINK_CAPABILITIES)
		r = blank(m, cap, BK__PCI_EXPRESS_LINK_CAPABILITIES,
			  size < BK__PCI_EXPRESS_DEVICE_CONTROL_2 - 4 ? size
								      : BK__PCI_EXPRESS_DEVICE_CONTROL_2 - 4);
	if (!r && integrated && size > BK__PCI_EXPRESS_LINK_CAPABILITIES_2)
		r = blank(m, cap, BK__PCI_EXPRESS_LINK_CAPABILITIES_2, size);
	return r;
}

static int add_af(struct bk_mediator *m, const struct found *cap)
{
	if (cap->size < 6)
		return left_out(m, cap, "it is cut short");
	if (!m->can_reset || !(cap->bytes[3] & 2))
		return 0; /* all it offers is a reset */
	return added(m, cap, bk_pci_af_add(m->function, cap->offset));
}

static int add_live(struct bk_mediator *m, struct found *cap)
{
	int r;

	r = bk_pci_capability_add(m->function, &(struct bk_pci_capability_desc){ .id = (uint8_t)cap->id,
										 .offset = cap->offset,
										 .size = cap->size,
										 .bytes = cap->bytes });
	if (r < 0)
		return added(m, cap, r);
	make_live(m, cap, 2);
	if (cap->id == BK__PCI_CAP_VPD && cap->size >= 8)
		m->vpd = cap->offset;
	return 0;
}

static int add_standard(struct bk_mediator *m, struct found *cap)
{
	switch (cap->id) {
	case BK__PCI_CAP_PM:
		return add_pm(m, cap);
	case BK__PCI_CAP_MSI:
		return add_msi(m, cap);
	case BK__PCI_CAP_MSIX:
		return add_msix(m, cap);
	case BK__PCI_CAP_EXPRESS:
		return add_express(m, cap);
	case BK__PCI_CAP_AF:
		return add_af(m, cap);
	case BK__PCI_CAP_EA:
		return 0;
	default:
		return add_live(m, cap);
	}
}

/*
 * PCIe 7.8.6: up to six BARs, each with the sizes it could have and the one it
 * has. Only the latter is shown, for the map below cannot change.
 */
static int add_rebar(struct bk_mediator *m, const struct found *cap)
{
	unsigned bars = cap->size >= 12 ? cap->bytes[8] >> 5 : 0;
	uint8_t bytes[4 + 8 * 6] = { 0 };

	if (!bars || bars > 6 || cap->size < 4 + 8 * bars)
		return left_out(m, cap, "it is cut short");
	for (unsigned i = 0; i < bars; i++) {
		unsigned control = (unsigned)bk__load(cap->bytes + 8 + 8 * i, 4) & 0x3fe7;
		unsigned bar = control & 7, log2 = control >> 8;

		if (bar >= BK_PCI_BARS || log2 > 27 || m->regions[bar].size != (uint64_t)1 << (20 + log2))
			return left_out(m, cap, "it does not agree with the BARs");
		bk__store(bytes + 4 + 8 * i, 4, (uint64_t)1 << (4 + log2));
		bk__store(bytes + 8 + 8 * i, 4, control);
	}
	return added(m, cap,
		     bk_pci_capability_add(m->function,
					   &(struct bk_pci_capability_desc){ .extended = true,
									     .id = BK__PCI_EXT_RESIZABLE,
									     .version = (uint8_t)cap->version,
									     .offset = cap->offset,
									     .size = 4 + 8 * bars,
									     .bytes = bytes }));
}

static bool is_hidden(unsigned id)
{
	switch (id) {
	case 0:
	case BK__PCI_EXT_ACS:
	case BK__PCI_EXT_ARI:
	case BK__PCI_EXT_ATS:
	case BK__PCI_EXT_SRIOV:
	case BK__PCI_EXT_MRIOV:
	case BK__PCI_EXT_PRI:
	case BK__PCI_EXT_PASID:
	case BK__PCI_EXT_VF_RESIZABLE:
	case BK__PCI_EXT_DOE:
	case BK__PCI_EXT_IDE:
		return true;
	default:
		return false;
	}
}

static int add_extended(struct bk_mediator *m, struct found *cap)
{
	int r;

	if (is_hidden(cap->id))
		return 0;
	if (cap->id == BK__PCI_EXT_RESIZABLE)
		return add_rebar(m, cap);
	r = bk_pci_capability_add(m->function,
				  &(struct bk_pci_capability_desc){ .extended = true,
								    .id = (uint16_t)cap->id,
								    .version = (uint8_t)cap->version,
								    .offset = cap->offset,
								    .size = cap->size,
								    .bytes = cap->bytes });
	if (r < 0)
		return added(m, cap, r);
	make_live(m, cap, 4);
	return 0;
}

/* True if another capability begins inside the byte's own, before it: the model ends the outer one there. */
static bool is_behind_another(struct bk_mediator *m, const uint16_t *owners, unsigned at)
{
	const unsigned owner = owners[at];

	for (unsigned i = owner; i < at; i++)
		if (owners[i] != owner)
			return bk__pci_capability_holds(m->function, owner, 1) &&
			       !bk__pci_capability_holds(m->function, at, 1);
	return false;
}

/* Config space as the host sees it, with the capabilities that it hides from guests; unknown from `known` on.
 */
struct host {
	uint8_t config[BK__PCI_CONFIG_SIZE];
	uint16_t owners[BK__PCI_CONFIG_SIZE];
	unsigned known;
};

static void look_at_host(struct bk_mediator *m, struct host *host)
{
	int r = bk_device_host_config(m->below, host->config, m->config_size);

	host->known = r < 0 ? 0 : (unsigned)r;
	if (r == -EOPNOTSUPP) { /* the device below hides nothing */
		memcpy(host->config, m->config, sizeof(host->config));
		host->known = m->config_size;
	} else if (m->config_size > BK__PCI_EXTENDED && host->known < m->config_size) {
		bk_log(BK_LOG_INFO,
		       "%s: the host does not show all of its config space (%s): what is in no "
		       "capability above 0x100 is read-only",
		       m->below->name, r < 0 ? strerror(-r) : "it does to root");
	}
	if (host->known == m->config_size)
		bk__pci_capability_owners(host->config, m->config_size, host->owners);
}

/* Above 0x100 a byte may belong to a capability that the host hides, such as PASID. */
static bool is_free_on_host(const struct bk_mediator *m, const struct host *host, unsigned at)
{
	const unsigned owner = host->owners[at];

	if (at < BK__PCI_EXTENDED)
		return true;
	return host->known == m->config_size &&
	       (!owner || is_passed(true, bk__load(host->config + owner, 2)));
}

/*
 * Finds registers in no capability: they are the device's own, and its driver knows them. The first extended
 * header is not one: the model always has it.
 */
static int find_free(struct bk_mediator *m)
{
	uint16_t *owners = malloc(m->config_size * sizeof(*owners));
	struct host *host = calloc(1, sizeof(*host));

	if (!owners || !host) {
		free(owners);
		free(host);
		return -ENOMEM;
	}
	look_at_host(m, host);
	bk__pci_capability_owners(m->config, m->config_size, owners);
	for (unsigned i = BK__PCI_HEADER_END; i < m->config_below; i++) {
		m->free[i] = owners[i] ? is_behind_another(m, owners, i)
				       : i < BK__PCI_EXTENDED || i >= BK__PCI_EXTENDED + 4;
		if (m->free[i] && (owners[i] || is_free_on_host(m, host, i)))
			m->passed[i] = 0xff;
	}
	free(owners);
	free(host);
	return 0;
}

static int build(struct bk_mediator *m)
{
	struct starts starts = { 0 };
	int r = 0;

	walk(m, false, &starts);
	walk(m, true, &starts);
	for (unsigned offset = BK__PCI_HEADER_END; !r && offset < m->config_size; offset += 4) {
		bool extended = offset >= BK__PCI_EXTENDED;
		const uint8_t *bytes = m->config + offset;
		struct found cap = {
			.id = (unsigned)bk__load(bytes, extended ? 2 : 1),
			.version = bytes[2] & 0x0f,
			.offset = offset,
			.size = room(&starts, offset, extended ? m->config_size : standard_end(m)),
			.bytes = bytes,
		};
		unsigned length;

		if (!starts.at[offset / 4])
			continue;
		length = bk__pci_capability_length(m->config, m->config_size, offset);
		if (length && length < cap.size)
			cap.size = length;
		r = extended ? add_extended(m, &cap) : add_standard(m, &cap);
	}
	return r;
}

int bk__mediate_capabilities(struct bk_mediator *m, struct bk_error *err)
{
	int r = build(m);

	if (!r)
		r = find_free(m);
	return r == -ENOMEM ? bk_fail(err, ENOMEM, "%s: capabilities: out of memory", m->below->name) : r;
}

/* Config space as the guest sees it, without live bits and traps. */
static bool shown(void *opaque, unsigned offset, unsigned width, uint32_t *value)
{
	struct bk_mediator *m = opaque;
	uint64_t bytes;
	int r = m->filter ? bk__mediate_filter_read(m, offset, width, &bytes)
			  : bk_pci_function_read(m->function, offset, width, &bytes);

	*value = r ? 0 : (uint32_t)bytes;
	return !r;
}

int bk_mediator_capability(struct bk_mediator *m, bool extended, unsigned id, unsigned *offset)
{
	struct bk__pci_chain chain;

	bk__pci_chain_begin_read(&chain, m->config_size, extended, shown, m);
	while (bk__pci_chain_next(&chain)) {
		if (chain.id == id) {
			*offset = chain.at;
			return 0;
		}
	}
	return -ENOENT;
}
