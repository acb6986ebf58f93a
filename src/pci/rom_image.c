/* SPDX-License-Identifier: BSD-2-Clause */
/* Parses an expansion ROM (PCI Firmware 3.0, 5.1): whether it is one, and for which device. */
#include "pci/rom_image.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

enum {
	POINTER = 0x18, /* to the PCIR structure, in an image */
	HEADER_SIZE = 0x1a,
	PCIR_VENDOR = 0x04, /* in that structure */
	PCIR_DEVICE = 0x06,
	PCIR_LENGTH = 0x10, /* of the image, in units of 512 bytes */
	PCIR_INDICATOR = 0x15,
	PCIR_SIZE = 0x18,
	UNIT = 512,
};

static bool is_signed(const uint8_t *image, size_t size)
{
	return size >= HEADER_SIZE && image[0] == 0x55 && image[1] == 0xaa;
}

/* The structure of the image, or NULL. */
static const uint8_t *pcir_of(const uint8_t *image, size_t size)
{
	size_t at = is_signed(image, size) ? (size_t)bk__load(image + POINTER, 2) : size;

	return size >= PCIR_SIZE && at <= size - PCIR_SIZE && !memcmp(image + at, "PCIR", 4) ? image + at
											     : NULL;
}

/* Where the first ROM in the bytes starts; `size` if there is none. */
static size_t find_rom(const uint8_t *bytes, size_t size)
{
	size_t at = 0;

	while (at < size && !pcir_of(bytes + at, size - at))
		at++;
	return at;
}

int bk__pci_rom_check(const void *bytes, size_t size, struct bk_error *err)
{
	size_t start = find_rom(bytes, size);
	char elsewhere[128];

	if (!start && size)
		return 0;
	if (start < size)
		snprintf(elsewhere, sizeof(elsewhere),
			 "; a ROM starts at 0x%zx, behind a header: cut off what is before (tail -c +%zu)",
			 start, start + 1);
	else
		snprintf(elsewhere, sizeof(elsewhere), "; nowhere in it does a ROM start");
	if (is_signed(bytes, size))
		return bk_fail(err, EINVAL,
			       "not the ROM of a PCI device: it points to 0x%x, where no PCIR structure is%s",
			       (unsigned)bk__load((const uint8_t *)bytes + POINTER, 2), elsewhere);
	return bk_fail(err, EINVAL, "not a ROM: it does not start with 55 aa%s", elsewhere);
}

bool bk__pci_rom_is_for(const void *bytes, size_t size, uint16_t *vendor, uint16_t *device)
{
	const uint8_t *image = bytes, *pcir = pcir_of(image, size), *first = pcir;

	while (pcir) {
		size_t length = (size_t)bk__load(pcir + PCIR_LENGTH, 2) * UNIT;

		if (bk__load(pcir + PCIR_VENDOR, 2) == *vendor && bk__load(pcir + PCIR_DEVICE, 2) == *device)
			return true;
		if (pcir[PCIR_INDICATOR] & 0x80 || !length || length >= size)
			break;
		image += length;
		size -= length;
		pcir = pcir_of(image, size);
	}
	if (first) {
		*vendor = (uint16_t)bk__load(first + PCIR_VENDOR, 2);
		*device = (uint16_t)bk__load(first + PCIR_DEVICE, 2);
	}
	return false;
}
