/* SPDX-License-Identifier: BSD-2-Clause */
/* vector: reads registers with an instruction that KVM does not emulate (PADDD of MMX on x86, a load of two
 * registers on arm64), once or until SIGTERM.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static sigjmp_buf illegal;
static volatile sig_atomic_t ended;

static void on_illegal(int number)
{
	(void)number;
	siglongjmp(illegal, 1);
}

static void on_end(int number)
{
	(void)number;
	ended = 1;
}

static uint64_t load(const volatile uint64_t *at)
{
	uint64_t value;

#ifdef __aarch64__
	uint64_t low, high;

	__asm__ volatile("ldp %w0, %w1, %2" : "=r"(low), "=r"(high) : "Ump"(*at));
	value = high << 32 | low;
#else
	__asm__ volatile("pxor %%mm0, %%mm0\n\tpaddd %1, %%mm0\n\tmovq %%mm0, %0\n\temms"
			 : "=r"(value)
			 : "m"(*at)
			 : "mm0");
#endif
	return value;
}

int main(int argc, char **argv)
{
	if (argc < 3 || argc > 4) {
		fputs("usage: vector FILE OFFSET [on]\n"
		      "Prints \"illegal\" or the 8 bytes; with \"on\" it reads until SIGTERM and prints how "
		      "many "
		      "reads were done and how many were illegal.\n",
		      stderr);
		return 2;
	}
	const int fd = open(argv[1], O_RDWR | O_SYNC);
	const uint64_t offset = strtoull(argv[2], NULL, 0);
	uint8_t *page =
		fd < 0 ? MAP_FAILED
		       : mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)(offset & ~4095ull));
	if (page == MAP_FAILED) {
		fprintf(stderr, "vector: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	const volatile uint64_t *at = (const volatile uint64_t *)(page + (offset & 4088));
	const struct sigaction action = { .sa_handler = on_illegal };
	static uint64_t reads, bad; /* static: kept over siglongjmp */
	const struct sigaction end = { .sa_handler = on_end };

	sigaction(SIGILL, &action, NULL);
	sigaction(SIGBUS, &action, NULL); /* an external abort of arm64 */
	sigaction(SIGTERM, &end, NULL);
	if (argc == 3) {
		if (sigsetjmp(illegal, 1))
			puts("illegal");
		else
			printf("0x%016" PRIx64 "\n", load(at));
		return 0;
	}
	if (sigsetjmp(illegal, 1))
		bad++;
	if (!bad) { /* it comes here again after each that is illegal */
		puts("reading");
		fflush(stdout);
	}
	while (!ended) {
		reads++;
		load(at);
	}
	printf("reads=%" PRIu64 " illegal=%" PRIu64 "\n", reads, bad);
	return 0;
}
