/* SPDX-License-Identifier: BSD-2-Clause */
/* regwatch: reads a register of a BAR without a pause, until it has the last value; how often it had which.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { VALUES = 8 };

int main(int argc, char **argv)
{
	struct {
		uint32_t value;
		uint64_t count;
	} seen[VALUES];
	unsigned n = 0, at = 0;

	if (argc != 4) {
		fputs("usage: regwatch RESOURCE OFFSET LAST    4 bytes at OFFSET, below 4096\n", stderr);
		return 2;
	}
	const uint32_t last = (uint32_t)strtoul(argv[3], NULL, 0);
	const int fd = open(argv[1], O_RDWR | O_SYNC);
	volatile char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	volatile uint32_t *reg = (volatile uint32_t *)(page + strtoul(argv[2], NULL, 0));

	if (page == MAP_FAILED) {
		perror(argv[1]);
		return 1;
	}
	do {
		const uint32_t value = *reg;

		for (at = 0; at < n && seen[at].value != value;)
			at++;
		if (at == VALUES) {
			puts("too many different values");
			return 1;
		}
		if (at == n) {
			seen[n].value = value;
			seen[n++].count = 0;
		}
		seen[at].count++;
	} while (seen[at].value != last);
	for (unsigned i = 0; i < n; i++)
		printf("0x%08" PRIx32 " %" PRIu64 "\n", seen[i].value, seen[i].count);
	return 0;
}
