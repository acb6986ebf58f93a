/* SPDX-License-Identifier: BSD-2-Clause */
/* Files that are expansion ROMs, and files that are not. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/bytes.h"
#include "pci/rom_image.h"

static uint8_t file[0x4000];

/* An image of `units` times 512 bytes, its PCIR structure at 0x40. */
static void put_image(size_t at, uint16_t vendor, uint16_t device, unsigned units, bool last)
{
	uint8_t *image = file + at;

	bk__store(image, 2, 0xaa55);
	bk__store(image + 0x18, 2, 0x40);
	memcpy(image + 0x40, "PCIR", 4);
	bk__store(image + 0x44, 2, vendor);
	bk__store(image + 0x46, 2, device);
	bk__store(image + 0x50, 2, units);
	image[0x55] = last ? 0x80 : 0;
}

static int clear(void **state)
{
	memset(file, 0, sizeof(file));
	return 0;
}

static void refuse(size_t size, const char *line)
{
	uint8_t *exact = malloc(size ? size : 1); /* nothing past the end is read */
	struct bk_error err = { "" };

	memcpy(exact, file, size);
	assert_int_equal(bk__pci_rom_check(exact, size, &err), -EINVAL);
	assert_string_equal(err.text, line);
	free(exact);
}

static void a_rom_is_one(void **state)
{
	put_image(0, 0x10de, 0x1b80, 2, true);
	assert_int_equal(bk__pci_rom_check(file, 0x400, NULL), 0);
	assert_int_equal(bk__pci_rom_check(file, 0x58, NULL), 0); /* just the structure */
	refuse(0x57,
	       "not the ROM of a PCI device: it points to 0x40, where no PCIR structure is; nowhere in it "
	       "does a ROM start");
}

/* Tools that read a card's flash give a header first: Nvidia's NVGI, with the ROM at 0x600. */
static void a_vendors_header_comes_before_the_rom(void **state)
{
	memcpy(file, "NVGI", 4);
	put_image(0x600, 0x10de, 0x1b80, 2, true);
	refuse(sizeof(file),
	       "not a ROM: it does not start with 55 aa; a ROM starts at 0x600, behind a header: cut "
	       "off what is before (tail -c +1537)");
	/* One that has the signature by chance. */
	bk__store(file, 2, 0xaa55);
	bk__store(file + 0x18, 2, 0xffff);
	refuse(sizeof(file),
	       "not the ROM of a PCI device: it points to 0xffff, where no PCIR structure is; a ROM "
	       "starts at 0x600, behind a header: cut off what is before (tail -c +1537)");
}

static void what_is_no_rom_is_told(void **state)
{
	static const char nothing[] =
		"not a ROM: it does not start with 55 aa; nowhere in it does a ROM start";

	refuse(0, nothing);
	refuse(1, nothing);
	refuse(sizeof(file), nothing);
	file[0] = 0x55; /* half of it */
	refuse(sizeof(file), nothing);
	bk__store(file, 2, 0xaa55);
	refuse(2, nothing); /* no room for a header */
	refuse(0x1a,
	       "not the ROM of a PCI device: it points to 0x0, where no PCIR structure is; nowhere in it "
	       "does a ROM start");
}

static bool is_for(size_t size, unsigned vendor, unsigned device, unsigned first)
{
	uint16_t v = (uint16_t)vendor, d = (uint16_t)device;
	bool is = bk__pci_rom_is_for(file, size, &v, &d);

	if (!is)
		assert_int_equal((unsigned)v << 16 | d, first);
	return is;
}

static void one_of_several_images_is_for_the_device(void **state)
{
	put_image(0, 0x10de, 0x1b80, 2, false);
	put_image(0x400, 0x10de, 0x1b81, 1, false);
	put_image(0x600, 0x10de, 0x1b82, 1, true);
	put_image(0x800, 0x10de, 0x1b83, 1, true); /* behind the last one */
	assert_true(is_for(sizeof(file), 0x10de, 0x1b80, 0));
	assert_true(is_for(sizeof(file), 0x10de, 0x1b82, 0));
	assert_false(is_for(sizeof(file), 0x10de, 0x1b83, 0x10de1b80));
	assert_false(is_for(sizeof(file), 0x10df, 0x1b80, 0x10de1b80));
	assert_false(is_for(0x600, 0x10de, 0x1b82, 0x10de1b80)); /* cut off */
	bk__store(file + 0x50, 2, 0); /* an image without a length is the last one */
	assert_false(is_for(sizeof(file), 0x10de, 0x1b81, 0x10de1b80));
	bk__store(file, 2, 0);
	assert_false(is_for(sizeof(file), 0x10de, 0x1b80, 0x10de1b80)); /* none at all: as given */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_rom_is_one, clear),
		cmocka_unit_test_setup(a_vendors_header_comes_before_the_rom, clear),
		cmocka_unit_test_setup(what_is_no_rom_is_told, clear),
		cmocka_unit_test_setup(one_of_several_images_is_for_the_device, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
