/* SPDX-License-Identifier: BSD-2-Clause */
/* A file that is an expansion ROM, and nothing more. After cmocka.h. */
#ifndef BARKEEP_TEST_ROM_FILE_H
#define BARKEEP_TEST_ROM_FILE_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { ROM_FILE_LEAST = 0x1c + 0x18 };

/* The signature, and a PCIR structure where it points; 0 up to `size`. Byte 3 is `mark`. */
static inline void rom_file_write(const char *path, size_t size, uint8_t mark)
{
	uint8_t bytes[4096] = { 0x55, 0xaa, 0, mark, [0x18] = 0x1c, [0x1c] = 'P', 'C', 'I', 'R' };
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_in_range(size, ROM_FILE_LEAST, sizeof(bytes));
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

#endif
