/* SPDX-License-Identifier: BSD-2-Clause */
/* edu: what a shell cannot do with QEMU's edu device: DMA to pages of known address, and interrupts through
 * UIO. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum {
	REG_IRQ_STATUS = 0x24,
	REG_IRQ_RAISE = 0x60,
	REG_IRQ_ACK = 0x64,
	REG_DMA_SRC = 0x80,
	REG_DMA_DST = 0x88,
	REG_DMA_COUNT = 0x90,
	REG_DMA_COMMAND = 0x98,
	DMA_START = 1,
	DMA_TO_MEMORY = 2,
	BUFFER = 0x40000, /* the device's own memory, one page of it */
	PAGE = 4096,
	DMA_BYTES = PAGE - 8, /* QEMU 7.2 ends at a transfer that reaches the buffer's last byte */
	PCI_COMMAND = 4,
	PCI_COMMAND_INTX_OFF = 1 << 10,
};

static volatile char *regs;

static void fail(const char *what)
{
	printf("%s\n", what);
	exit(1);
}

static uint32_t read32(unsigned reg)
{
	return *(volatile uint32_t *)(regs + reg);
}
static void write32(unsigned reg, uint32_t value)
{
	*(volatile uint32_t *)(regs + reg) = value;
}
static uint64_t read64(unsigned reg)
{
	return *(volatile uint64_t *)(regs + reg);
}
static void write64(unsigned reg, uint64_t value)
{
	*(volatile uint64_t *)(regs + reg) = value;
}

static int open_file(const char *name)
{
	int fd = open(name, O_RDWR | O_SYNC);
	if (fd < 0) {
		perror(name);
		exit(1);
	}
	return fd;
}

static void map_regs(const char *resource)
{
	regs = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, open_file(resource), 0);
	if (regs == MAP_FAILED)
		fail("cannot map the registers");
}

/* A page that stays where it is, filled with bytes that depend on the seed; its physical address in *address.
 */
static unsigned char *pinned_page(unsigned seed, uint64_t *address)
{
	unsigned char *page =
		mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
	if (page == MAP_FAILED)
		fail("cannot lock a page");
	for (unsigned i = 0; i < PAGE; i++)
		page[i] = (unsigned char)(seed + i * 7 + i / 256);

	uint64_t entry;
	int fd = open("/proc/self/pagemap", O_RDONLY);
	if (fd < 0 || pread(fd, &entry, 8, (off_t)((uintptr_t)page / PAGE * 8)) != 8 || !(entry & 1ULL << 63))
		fail("cannot learn a page's address");
	close(fd);
	*address = (entry & ((1ULL << 55) - 1)) * PAGE;
	return page;
}

static void dma(uint64_t src, uint64_t dst, unsigned direction)
{
	write64(REG_DMA_SRC, src);
	write64(REG_DMA_DST, dst);
	write64(REG_DMA_COUNT, DMA_BYTES);
	write64(REG_DMA_COMMAND, DMA_START | direction);
	for (int ms = 0; read64(REG_DMA_COMMAND) & DMA_START; ms++) {
		if (ms == 5000)
			fail("the DMA does not end");
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
}

/* Guest memory to the device and back to another page. */
static void test_dma(void)
{
	uint64_t src, dst;
	unsigned char *from = pinned_page(1, &src), *to = pinned_page(2, &dst);
	dma(src, BUFFER, 0);
	dma(BUFFER, dst, DMA_TO_MEMORY);
	if (memcmp(from, to, DMA_BYTES) != 0)
		fail("the bytes did not come back as they were");
}

static void test_irq(int config, int uio, unsigned count)
{
	for (unsigned i = 1; i <= count; i++) {
		write32(REG_IRQ_RAISE, i);
		struct pollfd event = { .fd = uio, .events = POLLIN };
		uint32_t total;
		if (poll(&event, 1, 5000) != 1 || read(uio, &total, 4) != 4) {
			printf("interrupt %u of %u did not arrive\n", i, count);
			exit(1);
		}
		const uint32_t status = read32(REG_IRQ_STATUS);
		write32(REG_IRQ_ACK, status);
		if (status != i) {
			printf("interrupt %u came with status %#x\n", i, status);
			exit(1);
		}
		/* The UIO driver has masked the line there. */
		uint16_t command;
		if (pread(config, &command, 2, PCI_COMMAND) != 2)
			fail("cannot read COMMAND");
		if (!(command & PCI_COMMAND_INTX_OFF))
			fail("the interrupt was taken, but INTx is not masked in COMMAND");
		command = (uint16_t)(command & ~PCI_COMMAND_INTX_OFF);
		if (pwrite(config, &command, 2, PCI_COMMAND) != 2)
			fail("cannot write COMMAND");
	}
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "dma") == 0) {
		map_regs(argv[2]);
		test_dma();
	} else if (argc == 6 && strcmp(argv[1], "irq") == 0) {
		map_regs(argv[2]);
		test_irq(open_file(argv[3]), open_file(argv[4]), (unsigned)atoi(argv[5]));
	} else {
		fputs("usage: edu dma RESOURCE0\n       edu irq RESOURCE0 CONFIG /dev/uioN COUNT\n"
		      "prints \"ok\", or what went wrong\n",
		      stderr);
		return 2;
	}
	printf("ok\n");
	return 0;
}
