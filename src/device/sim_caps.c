/* SPDX-License-Identifier: BSD-2-Clause */
/* A sim's capabilities: from YAML to bytes in config space (PCI 3.0 6.7, PCIe 7.5.3, 7.6, 7.9). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/pci_regs.h"
#include "device/sim_parts.h"

#define BODY (BK__PCI_CONFIG_SIZE - BK__PCI_EXTENDED)

/* One capability on its way into config space. Its first byte is its ID. */
struct cap {
	const struct bk__yaml_node *node; /* of its entry in the list */
	unsigned offset;                  /* 0: wherever there is room */
	unsigned length;
	unsigned *where; /* where to store its final offset, or NULL */
	uint8_t bytes[BODY], write[BODY], clear[BODY];
};

struct loader {
	struct sim *sim;
	const struct bk__yaml *yaml;
	struct bk_error *err;
	const struct bk__yaml_node *seen[8]; /* by kind: most may be there once */
};

static void put(uint8_t *bytes, unsigned offset, uint64_t value, unsigned width)
{
	bk__store(bytes + offset, width, value);
}

static int build_pm(struct loader *loader, const struct bk__yaml_node *node, struct cap *cap)
{
	static const struct bk__yaml_field fields[] = {
		{ "no-soft-reset", BK__YAML_BOOL, 0, false, 0, 0, NULL },
		{ 0 },
	};
	bool keeps = true;
	int r = bk__yaml_read(loader->yaml, node, "pm", fields, &keeps, loader->err);

	cap->where = &loader->sim->config.pm;
	put(cap->bytes, 0, BK__PCI_CAP_PM, 1);
	put(cap->bytes, BK__PCI_PM_PMC, BK__PCI_PM_PMC_VERSION_1_2, 2);
	put(cap->bytes, BK__PCI_PM_PMCSR, keeps ? BK__PCI_PM_PMCSR_NO_SOFT_RESET : 0, 2);
	put(cap->write, BK__PCI_PM_PMCSR, BK__PCI_PM_PMCSR_STATE, 2);
	cap->length = BK__PCI_PM_SIZE;
	loader->sim->config.soft_reset = !keeps;
	return r;
}

static int build_msi(struct loader *loader, const struct bk__yaml_node *node, struct cap *cap)
{
	struct {
		uint64_t vectors;
		bool wide, maskable;
	} msi = { 1, true, false };
	static const struct bk__yaml_field fields[] = {
		{ "vectors", BK__YAML_NUMBER, 0, false, 1, 32, NULL },
		{ "64bit", BK__YAML_BOOL, sizeof(uint64_t), false, 0, 0, NULL },
		{ "maskable", BK__YAML_BOOL, sizeof(uint64_t) + sizeof(bool), false, 0, 0, NULL },
		{ 0 },
	};
	unsigned data, log2;
	int r = bk__yaml_read(loader->yaml, node, "msi", fields, &msi, loader->err);

	if (r)
		return r;
	if (msi.vectors & (msi.vectors - 1))
		return bk__yaml_fail(loader->yaml, bk__yaml_get(node, "vectors"), loader->err,
				     "MSI vectors must be a power of two: 1, 2, 4, 8, 16 or 32");
	log2 = (unsigned)__builtin_ctzll(msi.vectors);
	put(cap->bytes, 0, BK__PCI_CAP_MSI, 1);
	put(cap->bytes, BK__PCI_MSI_CONTROL,
	    log2 << BK__PCI_MSI_CONTROL_CAPABLE_SHIFT | (msi.wide ? BK__PCI_MSI_CONTROL_64BIT : 0) |
		    (msi.maskable ? BK__PCI_MSI_CONTROL_MASKABLE : 0),
	    2);
	put(cap->write, BK__PCI_MSI_CONTROL,
	    BK__PCI_MSI_CONTROL_ENABLE | BK__PCI_MSI_CONTROL_COUNT_MASK << BK__PCI_MSI_CONTROL_ENABLED_SHIFT,
	    2);
	put(cap->write, BK__PCI_MSI_ADDRESS, 0xfffffffc, 4);
	if (msi.wide)
		put(cap->write, BK__PCI_MSI_ADDRESS + 4, 0xffffffff, 4);
	data = msi.wide ? BK__PCI_MSI_DATA_64 : BK__PCI_MSI_DATA_32;
	put(cap->write, data, 0xffff, 2);
	cap->length = data + 2;
	if (msi.maskable) {
		put(cap->write, data + 4, (1ull << msi.vectors) - 1, 4);
		cap->length = data + 12; /* mask and pending bits */
	}
	loader->sim->irqs.count[BK_DEVICE_MSI] = (unsigned)msi.vectors;
	return 0;
}

static bool is_inside(const struct sim_bar *bar, const struct sim_span *span)
{
	return bar->size && bar->kind != SIM_IO && span->size <= bar->size &&
	       span->offset <= bar->size - span->size;
}

/* As in some real devices, the table or PBA may lie outside its BAR, or both may overlap. Then neither
 * exists, and the BAR answers there. */
static bool msix_is_there(const struct sim_bar *table_bar, const struct sim_span *table,
			  const struct sim_bar *pba_bar, const struct sim_span *pba)
{
	if (!is_inside(table_bar, table) || !is_inside(pba_bar, pba))
		return false;
	return table_bar != pba_bar || table->offset + table->size <= pba->offset ||
	       pba->offset + pba->size <= table->offset;
}

static int add_msix_span(struct loader *loader, struct sim_bar *bar, const struct sim_span *span)
{
	return bk__sim_bar_add(bar, span) ? bk__yaml_no_memory(loader->yaml, loader->err) : 0;
}

static int check_msix_offset(struct loader *loader, const struct sim_span *span)
{
	if (span->offset & 7)
		return bk__yaml_fail(loader->yaml, span->node, loader->err,
				     "the %s must begin at a multiple of 8", span->name);
	return 0;
}

static int build_msix(struct loader *loader, const struct bk__yaml_node *node, struct cap *cap)
{
	struct {
		uint64_t vectors, bar, table, pba, pba_bar;
	} msix = { 1, 0, 0, 0, UINT64_MAX };
	static const struct bk__yaml_field fields[] = {
		{ "vectors", BK__YAML_NUMBER, 0, true, 1, 2048, NULL },
		{ "bar", BK__YAML_NUMBER, 8, true, 0, 5, NULL },
		{ "table", BK__YAML_SIZE, 16, true, 0, UINT32_MAX, NULL },
		{ "pba", BK__YAML_SIZE, 24, true, 0, UINT32_MAX, NULL },
		{ "pba-bar", BK__YAML_NUMBER, 32, false, 0, 5, NULL },
		{ 0 },
	};
	struct sim_span table = { .kind = SIM_MSIX_TABLE, .name = "MSI-X table" };
	struct sim_span pba = { .kind = SIM_MSIX_PBA, .name = "MSI-X PBA" };
	struct sim_bar *table_bar, *pba_bar;
	int r = bk__yaml_read(loader->yaml, node, "msix", fields, &msix, loader->err);

	if (r)
		return r;
	if (msix.pba_bar == UINT64_MAX)
		msix.pba_bar = msix.bar;
	table_bar = &loader->sim->bars[msix.bar];
	pba_bar = &loader->sim->bars[msix.pba_bar];
	table.offset = msix.table;
	table.size = BK__PCI_MSIX_ENTRY * msix.vectors;
	table.node = bk__yaml_get(node, "table");
	pba.offset = msix.pba;
	pba.size = 8 * ((msix.vectors + 63) / 64);
	pba.node = bk__yaml_get(node, "pba");
	r = check_msix_offset(loader, &table);
	if (!r)
		r = check_msix_offset(loader, &pba);
	if (!r && msix_is_there(table_bar, &table, pba_bar, &pba)) {
		r = add_msix_span(loader, table_bar, &table);
		if (!r)
			r = add_msix_span(loader, pba_bar, &pba);
	}
	put(cap->bytes, 0, BK__PCI_CAP_MSIX, 1);
	put(cap->bytes, BK__PCI_MSIX_CONTROL, msix.vectors - 1, 2);
	put(cap->write, BK__PCI_MSIX_CONTROL, BK__PCI_MSIX_CONTROL_ENABLE | BK__PCI_MSIX_CONTROL_MASK, 2);
	put(cap->bytes, BK__PCI_MSIX_TABLE, msix.table | msix.bar, 4);
	put(cap->bytes, BK__PCI_MSIX_PBA, msix.pba | msix.pba_bar, 4);
	cap->length = BK__PCI_MSIX_SIZE;
	loader->sim->irqs.count[BK_DEVICE_MSIX] = (unsigned)msix.vectors;
	return r;
}

/* An endpoint behind one lane of 2.5 GT/s. */
static int build_express(struct loader *loader, const struct bk__yaml_node *node, struct cap *cap)
{
	static const struct bk__yaml_field fields[] = {
		{ "flr", BK__YAML_BOOL, 0, false, 0, 0, NULL },
		{ 0 },
	};
	bool flr = false;
	int r = bk__yaml_read(loader->yaml, node, "express", fields, &flr, loader->err);

	if (!r && !loader->sim->express)
		return bk__yaml_fail(loader->yaml, node, loader->err,
				     "an express capability needs \"express: true\" at the top");
	cap->where = &loader->sim->config.express;
	put(cap->bytes, 0, BK__PCI_CAP_EXPRESS, 1);
	put(cap->bytes, BK__PCI_EXPRESS_CAPABILITIES, 2, 2); /* version 2, an endpoint */
	put(cap->bytes, BK__PCI_EXPRESS_DEVICE_CAPABILITIES,
	    BK__PCI_EXPRESS_DEVICE_CAPABILITIES_ROLE_ERRORS |
		    (flr ? BK__PCI_EXPRESS_DEVICE_CAPABILITIES_FLR : 0),
	    4);
	put(cap->write, BK__PCI_EXPRESS_DEVICE_CONTROL,
	    0x7fff | (flr ? BK__PCI_EXPRESS_DEVICE_CONTROL_FLR : 0), 2);
	put(cap->clear, BK__PCI_EXPRESS_DEVICE_STATUS, BK__PCI_EXPRESS_DEVICE_STATUS_ERRORS, 2);
	put(cap->bytes, BK__PCI_EXPRESS_LINK_CAPABILITIES, BK__PCI_EXPRESS_LINK_STATUS_SLOWEST, 4);
	put(cap->write, BK__PCI_EXPRESS_LINK_CONTROL, 0x00c3, 2);
	put(cap->bytes, BK__PCI_EXPRESS_LINK_STATUS, BK__PCI_EXPRESS_LINK_STATUS_SLOWEST, 2);
	put(cap->write, BK__PCI_EXPRESS_DEVICE_CONTROL_2, 0xffff, 2);
	cap->length = BK__PCI_EXPRESS_SIZE;
	return r;
}

static int build_af(struct loader *loader, const struct bk__yaml_node *node, struct cap *cap)
{
	static const struct bk__yaml_field fields[] = {
		{ "flr", BK__YAML_BOOL, 0, false, 0, 0, NULL },
		{ 0 },
	};
	bool flr = true;
	int r = bk__yaml_read(loader->yaml, node, "af", fields, &flr, loader->err);

	cap->where = &loader->sim->config.af;
	put(cap->bytes, 0, BK__PCI_CAP_AF, 1);
	put(cap->bytes, BK__PCI_AF_LENGTH, BK__PCI_AF_SIZE, 1);
	put(cap->bytes, BK__PCI_AF_CAPABILITIES,
	    BK__PCI_AF_CAPABILITIES_PENDING | (flr ? BK__PCI_AF_CAPABILITIES_FLR : 0), 1);
	put(cap->write, BK__PCI_AF_CONTROL, flr ? BK__PCI_AF_CONTROL_FLR : 0, 1);
	cap->length = BK__PCI_AF_SIZE;
	return r;
}

/* A list of byte values after `at` bytes of header. */
static int put_bytes(struct loader *loader, const struct bk__yaml_node *list, bool writable, unsigned at,
		     struct cap *cap)
{
	static const struct bk__yaml_field byte = { "bytes", BK__YAML_NUMBER, 0, false, 0, 0xff, NULL };

	for (const struct bk__yaml_node *node = list->first; node; node = node->next) {
		uint64_t value;
		int r = bk__yaml_scalar(loader->yaml, node, "each of bytes", &byte, &value, loader->err);

		if (r)
			return r;
		cap->write[at] = writable ? 0xff : 0;
		cap->bytes[at++] = (uint8_t)value;
	}
	cap->length = at;
	return 0;
}

struct bytes {
	uint64_t id, version;
	const struct bk__yaml_node *bytes;
	bool writable;
};

#define BYTES(max)                                                                            \
	{                                                                                     \
		"bytes", BK__YAML_NODES_OF, offsetof(struct bytes, bytes), true, 0, max, NULL \
	}
#define WRITABLE                                                                               \
	{                                                                                      \
		"writable", BK__YAML_BOOL, offsetof(struct bytes, writable), false, 0, 0, NULL \
	}

static int build_vendor(struct loader *loader, const struct bk__yaml_node *node, struct cap *cap)
{
	static const struct bk__yaml_field fields[] = {
		BYTES(0xbd),
		WRITABLE,
		{ "length", BK__YAML_NUMBER, offsetof(struct bytes, id), false, 0, 0xff, NULL },
		{ 0 },
	};
	struct bytes vendor = { 0 };
	int r = bk__yaml_read(loader->yaml, node, "vendor", fields, &vendor, loader->err);

	if (r)
		return r;
	put(cap->bytes, 0, BK__PCI_CAP_VENDOR, 1);
	put(cap->bytes, BK__PCI_CAP_VENDOR_LENGTH,
	    bk__yaml_get(node, "length") ? vendor.id : BK__PCI_CAP_VENDOR_HEADER + vendor.bytes->count, 1);
	return put_bytes(loader, vendor.bytes, vendor.writable, BK__PCI_CAP_VENDOR_HEADER, cap);
}

static int build_raw(struct loader *loader, const struct bk__yaml_node *node, struct cap *cap)
{
	static const struct bk__yaml_field fields[] = {
		{ "id", BK__YAML_NUMBER, offsetof(struct bytes, id), true, 0, 0xff, NULL },
		BYTES(0xbe),
		WRITABLE,
		{ 0 },
	};
	struct bytes raw = { 0 };
	int r = bk__yaml_read(loader->yaml, node, "raw", fields, &raw, loader->err);

	if (r)
		return r;
	put(cap->bytes, 0, raw.id, 1);
	return put_bytes(loader, raw.bytes, raw.writable, BK__PCI_CAP_HEADER, cap);
}

static int build_serial(struct loader *loader, const struct bk__yaml_node *node, struct cap *cap)
{
	static const struct bk__yaml_field field = {
		"serial", BK__YAML_NUMBER, 0, false, 0, UINT64_MAX, NULL
	};
	uint64_t serial = 0;
	int r = bk__yaml_scalar(loader->yaml, node, "serial", &field, &serial, loader->err);

	put(cap->bytes, 0, BK__PCI_EXT_SERIAL | 1 << BK__PCI_EXT_VERSION_SHIFT, 4);
	put(cap->bytes, BK__PCI_SERIAL_NUMBER, serial, 8);
	cap->length = BK__PCI_SERIAL_SIZE;
	return r;
}

static int build_vendor_specific(struct loader *loader, const struct bk__yaml_node *node, struct cap *cap)
{
	static const struct bk__yaml_field fields[] = {
		{ "id", BK__YAML_NUMBER, offsetof(struct bytes, id), true, 0, 0xffff, NULL },
		{ "revision", BK__YAML_NUMBER, offsetof(struct bytes, version), false, 0, 15, NULL },
		BYTES(BODY - BK__PCI_EXT_VENDOR_HEADER),
		WRITABLE,
		{ 0 },
	};
	struct bytes vendor = { 0 };
	int r = bk__yaml_read(loader->yaml, node, "vendor-specific", fields, &vendor, loader->err);

	if (r)
		return r;
	put(cap->bytes, 0, BK__PCI_EXT_VENDOR | 1 << BK__PCI_EXT_VERSION_SHIFT, 4);
	put(cap->bytes, BK__PCI_EXT_VENDOR_ID,
	    vendor.id | vendor.version << BK__PCI_EXT_VENDOR_REVISION_SHIFT |
		    (uint64_t)(BK__PCI_EXT_VENDOR_HEADER + vendor.bytes->count)
			    << BK__PCI_EXT_VENDOR_LENGTH_SHIFT,
	    4);
	return put_bytes(loader, vendor.bytes, vendor.writable, BK__PCI_EXT_VENDOR_HEADER, cap);
}

static int build_raw_extended(struct loader *loader, const struct bk__yaml_node *node, struct cap *cap)
{
	static const struct bk__yaml_field fields[] = {
		{ "id", BK__YAML_NUMBER, offsetof(struct bytes, id), true, 0, 0xffff, NULL },
		{ "version", BK__YAML_NUMBER, offsetof(struct bytes, version), false, 0, 15, NULL },
		BYTES(BODY - BK__PCI_EXT_HEADER),
		WRITABLE,
		{ 0 },
	};
	struct bytes raw = { .version = 1 };
	int r = bk__yaml_read(loader->yaml, node, "raw", fields, &raw, loader->err);

	if (r)
		return r;
	put(cap->bytes, 0, raw.id | raw.version << BK__PCI_EXT_VERSION_SHIFT, 4);
	return put_bytes(loader, raw.bytes, raw.writable, BK__PCI_EXT_HEADER, cap);
}

/* ---- Lists ---- */

#define KINDS 7

struct kind {
	const char *key;
	int (*build)(struct loader *loader, const struct bk__yaml_node *node, struct cap *cap);
	bool once;
	bool map; /* the value is a map */
};

static const struct kind standard_kinds[KINDS + 1] = {
	{ "pm", build_pm, true, true },     { "msi", build_msi, true, true },
	{ "msix", build_msix, true, true }, { "express", build_express, true, true },
	{ "af", build_af, true, true },     { "vendor", build_vendor, false, true },
	{ "raw", build_raw, false, true },  { 0 },
};

static const struct kind extended_kinds[KINDS + 1] = {
	{ "serial", build_serial, true, false },
	{ "vendor-specific", build_vendor_specific, false, true },
	{ "raw", build_raw_extended, false, true },
	{ 0 },
};

/* An entry is a map of one kind of capability, and maybe its offset. */
static int build(struct loader *loader, const struct kind *kinds, unsigned first, unsigned end,
		 const struct bk__yaml_node *node, struct cap *cap)
{
	struct {
		uint64_t offset;
		const struct bk__yaml_node *kinds[KINDS];
	} entry = { 0 };
	struct bk__yaml_field fields[KINDS + 2] = {
		{ "offset", BK__YAML_NUMBER, 0, false, first, end - 4, NULL },
	};
	int which = -1, r;

	for (unsigned i = 0; kinds[i].key; i++)
		fields[i + 1] = (struct bk__yaml_field){
			.key = kinds[i].key,
			.type = kinds[i].map ? BK__YAML_MAP_OF : BK__YAML_NODE,
			.offset = 8 + i * sizeof(entry.kinds[0]),
		};
	r = bk__yaml_read(loader->yaml, node, "a capability", fields, &entry, loader->err);
	if (r)
		return r;
	for (unsigned i = 0; kinds[i].key; i++) {
		if (!entry.kinds[i])
			continue;
		if (which >= 0)
			return bk__yaml_fail(loader->yaml, node, loader->err,
					     "one entry is one capability, not both \"%s\" and \"%s\"; begin "
					     "a new entry with -",
					     kinds[which].key, kinds[i].key);
		which = (int)i;
	}
	if (which < 0)
		return bk__yaml_fail(loader->yaml, node, loader->err,
				     "an entry must name its capability, such as \"%s\"", kinds[0].key);
	if (kinds[which].once && loader->seen[which])
		return bk__yaml_fail(loader->yaml, node, loader->err,
				     "a second \"%s\" (first in line %u); remove one", kinds[which].key,
				     loader->seen[which]->line);
	loader->seen[which] = node;
	if (entry.offset & 3)
		return bk__yaml_fail(loader->yaml, bk__yaml_get(node, "offset"), loader->err,
				     "a capability must begin at a multiple of 4");
	cap->node = node;
	cap->offset = (unsigned)entry.offset;
	return kinds[which].build(loader, entry.kinds[which], cap);
}

/* Places capabilities with an offset first, then finds room for the others. */
static int place(struct loader *loader, struct cap *caps, unsigned count, unsigned first, unsigned end)
{
	const struct bk__yaml_node *owner[BK__PCI_CONFIG_SIZE / 4] = { 0 };

	for (unsigned pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < count; i++) {
			struct cap *cap = &caps[i];
			unsigned offset = cap->offset ? cap->offset : first, at;

			if ((pass == 0) != (cap->offset != 0))
				continue;
			for (at = offset; at < offset + cap->length && offset + cap->length <= end; at += 4) {
				if (!owner[at / 4])
					continue;
				if (pass == 0 && loader->sim->odd)
					continue; /* the later one lies over the earlier */
				if (pass == 0)
					return bk__yaml_fail(
						loader->yaml, cap->node, loader->err,
						"this capability (0x%x-0x%x) overlaps the one of line %u; "
						"move one, or leave its offset out",
						offset, offset + cap->length - 1, owner[at / 4]->line);
				offset = at + 4;
			}
			if (offset + cap->length > end)
				return bk__yaml_fail(loader->yaml, cap->node, loader->err,
						     "no room for this capability of %u bytes below 0x%x",
						     cap->length, end);
			cap->offset = offset;
			for (at = offset; at < offset + cap->length; at += 4)
				owner[at / 4] = cap->node;
		}
	}
	return 0;
}

static void install(struct sim_config *config, const struct cap *cap)
{
	memcpy(config->reset + cap->offset, cap->bytes, cap->length);
	memcpy(config->write + cap->offset, cap->write, cap->length);
	memcpy(config->clear + cap->offset, cap->clear, cap->length);
}

/* A chain from 0x34 in the order of the file. */
static int link_standard(struct loader *loader, const struct cap *caps, unsigned count)
{
	struct sim_config *config = &loader->sim->config;
	unsigned next = BK__PCI_CAP_POINTER;

	for (unsigned i = 0; i < count; i++)
		install(config, &caps[i]);
	for (unsigned i = 0; i < count; i++) {
		put(config->reset, next, caps[i].offset, 1);
		next = caps[i].offset + BK__PCI_CAP_NEXT;
		put(config->reset, next, 0, 1);
		if (caps[i].where)
			*caps[i].where = caps[i].offset;
	}
	return 0;
}

/* A chain by ascending offset, whose first must be at 0x100 (PCIe 7.6.2). */
static int link_extended(struct loader *loader, const struct cap *caps, unsigned count)
{
	struct sim_config *config = &loader->sim->config;
	unsigned last = 0, place_of[BK__PCI_CONFIG_SIZE / 4] = { 0 };

	for (unsigned i = 0; i < count; i++) {
		install(config, &caps[i]);
		place_of[caps[i].offset / 4] = i + 1;
	}
	if (count && !place_of[BK__PCI_EXTENDED / 4] && !loader->sim->odd)
		return bk__yaml_fail(loader->yaml, caps[0].node, loader->err,
				     "one extended capability must be at 0x100; leave this offset out");
	for (unsigned at = BK__PCI_EXTENDED; at < BK__PCI_CONFIG_SIZE; at += 4) {
		if (!place_of[at / 4])
			continue;
		if (last)
			config->reset[last + BK__PCI_EXT_NEXT] |= (uint8_t)(at << 4);
		if (last)
			config->reset[last + BK__PCI_EXT_NEXT + 1] = (uint8_t)(at >> 4);
		last = at;
	}
	return 0;
}

static int load_list(struct sim *sim, const struct bk__yaml *yaml, const struct bk__yaml_node *list,
		     bool extended, struct bk_error *err)
{
	struct loader loader = { .sim = sim, .yaml = yaml, .err = err };
	unsigned first = extended ? BK__PCI_EXTENDED : BK__PCI_HEADER_END, count = 0;
	unsigned end = extended ? BK__PCI_CONFIG_SIZE : BK__PCI_EXTENDED;
	struct cap *caps;
	int r = 0;

	if (!list || !list->count)
		return 0;
	caps = calloc(list->count, sizeof(*caps));
	if (!caps)
		return bk__yaml_no_memory(yaml, err);
	for (const struct bk__yaml_node *node = list->first; node && !r; node = node->next)
		r = build(&loader, extended ? extended_kinds : standard_kinds, first, end, node,
			  &caps[count++]);
	if (!r)
		r = place(&loader, caps, count, first, end);
	if (!r)
		r = (extended ? link_extended : link_standard)(&loader, caps, count);
	free(caps);
	return r;
}

int bk__sim_load_caps(struct sim *sim, const struct bk__yaml *yaml, const struct bk__yaml_node *capabilities,
		      const struct bk__yaml_node *extended, struct bk_error *err)
{
	int r = load_list(sim, yaml, capabilities, false, err);

	return r ? r : load_list(sim, yaml, extended, true, err);
}
