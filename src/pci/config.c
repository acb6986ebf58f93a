/* SPDX-License-Identifier: BSD-2-Clause */
/* Config space as bytes with a write mask and a write-1-to-clear mask. */
#include "pci/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

int bk__pci_config_init(struct bk__pci_config *config, unsigned size)
{
	uint8_t *bytes = calloc(4, size);

	if (!bytes)
		return -ENOMEM;
	*config = (struct bk__pci_config){
		.size = size,
		.value = bytes,
		.reset = bytes + size,
		.writable = bytes + 2 * size,
		.w1c = bytes + 3 * size,
	};
	memset(config->shown, 0xff, sizeof(config->shown));
	return 0;
}

void bk__pci_config_free(struct bk__pci_config *config)
{
	free(config->value);
}

uint64_t bk__pci_config_get(const struct bk__pci_config *config, unsigned offset, unsigned width)
{
	return bk__load(config->value + offset, width);
}

void bk__pci_config_set(struct bk__pci_config *config, unsigned offset, unsigned width, uint64_t value)
{
	bk__store(config->value + offset, width, value);
}

void bk__pci_config_preset(struct bk__pci_config *config, unsigned offset, unsigned width, uint64_t value)
{
	bk__store(config->value + offset, width, value);
	bk__store(config->reset + offset, width, value);
}

void bk__pci_config_allow(struct bk__pci_config *config, unsigned offset, unsigned width, uint64_t writable,
			  uint64_t w1c)
{
	bk__store(config->writable + offset, width, writable);
	bk__store(config->w1c + offset, width, w1c);
}

void bk__pci_config_write(struct bk__pci_config *config, unsigned offset, unsigned width, uint64_t value)
{
	const uint64_t writable = bk__load(config->writable + offset, width);
	const uint64_t kept = bk__load(config->value + offset, width) & ~writable;
	const uint64_t cleared = value & bk__load(config->w1c + offset, width);

	bk__store(config->value + offset, width, (kept | (value & writable)) & ~cleared);
}

uint64_t bk__pci_config_shown(const struct bk__pci_config *config, unsigned offset, unsigned width)
{
	const uint64_t value = bk__load(config->value + offset, width);

	if (offset >= BK__PCI_HEADER_END)
		return value;
	return (value & bk__load(config->shown + offset, width)) | bk__load(config->fixed + offset, width);
}

void bk__pci_config_revert(struct bk__pci_config *config, unsigned offset, unsigned width)
{
	memcpy(config->value + offset, config->reset + offset, width);
}

void bk__pci_config_reset(struct bk__pci_config *config)
{
	bk__pci_config_revert(config, 0, config->size);
}
