/* SPDX-License-Identifier: BSD-2-Clause */
/* Is a quirk for a device? */
#include "quirk/stack.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/pci_regs.h"

static int no(struct bk_error *err, const struct bk_quirk *quirk, const char *why)
{
	bk_fail(err, 0, "%s: %s", quirk->name, why);
	return 0;
}

int bk__quirk_options(const struct bk_quirk *quirk, const struct bk_quirk_setting *settings, size_t count,
		      uint64_t options[BK__OPTIONS], struct bk_error *err)
{
	for (unsigned i = 0; i < quirk->option_count; i++) {
		const struct bk__quirk_option *option = &quirk->options[i];
		bool set = option->has_default;

		options[i] = option->value;
		for (size_t s = 0; s < count; s++) {
			if (strcmp(settings[s].name, option->name))
				continue;
			options[i] = settings[s].value;
			set = true;
		}
		if (!set) {
			bk_fail(err, 0, "%s: needs the option %s (%s)", quirk->name, option->name,
				option->about);
			return 0;
		}
	}
	for (unsigned i = 0; i < quirk->option_count; i++) {
		struct bk__quirk_run run = { .width = 8, .options = options };

		if (quirk->options[i].valid && !bk__quirk_item_number(quirk->options[i].valid, &run))
			return bk_fail(err, EINVAL, "%s: the option %s cannot be 0x%" PRIx64 ": %s",
				       quirk->name, quirk->options[i].name, options[i],
				       quirk->options[i].about);
	}
	return 1;
}

static bool among(const struct bk__quirk_ids *ids, uint32_t value)
{
	for (unsigned i = 0; i < ids->count; i++)
		if ((value & ids->list[i].mask) == ids->list[i].value)
			return true;
	return !ids->count;
}

static const char *ids_differ(const struct bk_quirk *quirk, const uint8_t *config)
{
	static const struct {
		unsigned offset, width;
		const char *why;
	} fields[BK__IDS] = {
		[BK__ID_VENDOR] = { BK__PCI_VENDOR, 2, "another vendor" },
		[BK__ID_DEVICE] = { BK__PCI_DEVICE, 2, "another device id" },
		[BK__ID_CLASS] = { BK__PCI_CLASS, 3, "another class" },
		[BK__ID_REVISION] = { BK__PCI_REVISION, 1, "another revision" },
		[BK__ID_SUBVENDOR] = { BK__PCI_SUBSYSTEM_VENDOR, 2, "another subsystem vendor" },
		[BK__ID_SUBSYSTEM] = { BK__PCI_SUBSYSTEM, 2, "another subsystem id" },
	};

	for (unsigned i = 0; i < BK__IDS; i++)
		if (!among(&quirk->ids[i], (uint32_t)bk__load(config + fields[i].offset, fields[i].width)))
			return fields[i].why;
	return NULL;
}

static bool bar_is(const struct bk__quirk_bar_match *bar, const uint8_t *config, const uint64_t *sizes)
{
	const unsigned low = config[BK__PCI_BAR0 + 4 * bar->index];
	const enum bk_pci_bar_kind kind = low & BK__PCI_BAR_IO ? BK_PCI_BAR_IO
					  : (low & BK__PCI_BAR_TYPE) == BK__PCI_BAR_TYPE_64
						  ? BK_PCI_BAR_MEM64
						  : BK_PCI_BAR_MEM32;

	return sizes[bar->index] && sizes[bar->index] >= bar->least && sizes[bar->index] <= bar->most &&
	       (!bar->kind || bar->kind >> kind & 1);
}

int bk_quirk_match(const struct bk_quirk *quirk, struct bk_device *device,
		   const struct bk_quirk_setting *settings, size_t setting_count, struct bk_error *err)
{
	uint8_t config[BK__PCI_CONFIG_SIZE];
	uint64_t sizes[BK__SIZE_COUNT], options[BK__OPTIONS];
	uint16_t caps[BK__CAPS];
	unsigned size;
	const char *why;
	struct bk__quirk_run run = {
		.width = 4,
		.options = options,
		.caps = caps,
		.sizes = sizes,
		.read = bk__quirk_device_place_read,
		.opaque = device,
	};
	int r = bk_device_read(device, BK_DEVICE_CONFIG, 0, config, 64);

	if (r < 0)
		return bk_fail(err, -r, "%s: config space cannot be read: %s", device->name, strerror(-r));
	why = ids_differ(quirk, config);
	if (why)
		return no(err, quirk, why);
	r = bk__quirk_read_sizes(device, sizes, err);
	if (r)
		return r;
	for (unsigned i = 0; i < quirk->bar_count; i++)
		if (!bar_is(&quirk->bars[i], config, sizes))
			return no(err, quirk, "its BARs are others");
	r = bk__quirk_options(quirk, settings, setting_count, options, err);
	if (r <= 0 || !quirk->when)
		return r;
	/* All of config space only for those few that get so far. */
	r = bk__quirk_read_config(device, config, &size, err);
	if (r)
		return r;
	bk__quirk_find_caps(quirk, config, size, caps);
	if (!bk__quirk_item_number(quirk->when, &run) || run.error)
		return no(err, quirk, "its condition does not hold");
	return 1;
}
