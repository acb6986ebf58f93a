/* SPDX-License-Identifier: BSD-2-Clause */
/* Parses an expansion ROM (PCI Firmware 3.0, 5.1): whether it is one, and for which device. */
#ifndef BARKEEP_PCI_ROM_IMAGE_H
#define BARKEEP_PCI_ROM_IMAGE_H

#include <barkeep/base.h>

/*
 * 0 if the bytes start with a ROM: the signature 55 aa, and a PCIR structure
 * where it points. Otherwise -EINVAL with a line that says what is missing, and
 * at which offset a ROM starts: vendors put headers before it.
 */
int bk__pci_rom_check(const void *bytes, size_t size, struct bk_error *err);

/* An image of the ROM is for that device? If not, `vendor` and `device` are those of its first one. */
bool bk__pci_rom_is_for(const void *bytes, size_t size, uint16_t *vendor, uint16_t *device);

#endif
