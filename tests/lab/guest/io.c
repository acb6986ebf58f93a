/* SPDX-License-Identifier: BSD-2-Clause */
/* io: one read or write of device registers at an exact width. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __x86_64__
#include <sys/io.h>
#endif
#include <sys/mman.h>
#include <unistd.h>

static const char usage[] =
	"usage: io read PLACE OFFSET WIDTH [COUNT]    COUNT values, one a line\n"
	"       io write PLACE OFFSET WIDTH VALUE\n"
	"PLACE: /dev/mem or a BAR's sysfs resourceN (memory access, WIDTH 1, 2, 4, 8, any alignment),\n"
	"       a function's sysfs config (WIDTH 1, 2, 4), or \"port\" (WIDTH 1, 2, 4)\n";

static void fail(const char *what)
{
	fprintf(stderr, "io: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t number(const char *text)
{
	char *end;
	errno = 0;
	uint64_t value = strtoull(text, &end, 0);
	if (errno || end == text || *end) {
		fprintf(stderr, "io: not a number: %s\n", text);
		exit(2);
	}
	return value;
}

/* Each access is one instruction of that width, which the volatile types see to. */
static uint64_t memory_read(const volatile void *at, unsigned width)
{
	switch (width) {
	case 1:
		return *(const volatile uint8_t *)at;
	case 2:
		return *(const volatile uint16_t *)at;
	case 4:
		return *(const volatile uint32_t *)at;
	default:
		return *(const volatile uint64_t *)at;
	}
}

static void memory_write(volatile void *at, unsigned width, uint64_t value)
{
	switch (width) {
	case 1:
		*(volatile uint8_t *)at = (uint8_t)value;
		break;
	case 2:
		*(volatile uint16_t *)at = (uint16_t)value;
		break;
	case 4:
		*(volatile uint32_t *)at = (uint32_t)value;
		break;
	default:
		*(volatile uint64_t *)at = value;
		break;
	}
}

#ifdef __x86_64__
static void port_open(void)
{
	if (iopl(3))
		fail("iopl");
}

static uint64_t port_read(unsigned short port, unsigned width)
{
	return width == 1 ? inb(port) : width == 2 ? inw(port) : inl(port);
}

static void port_write(unsigned short port, unsigned width, uint64_t value)
{
	if (width == 1)
		outb((uint8_t)value, port);
	else if (width == 2)
		outw((uint16_t)value, port);
	else
		outl((uint32_t)value, port);
}
#else /* no ports */
static void port_open(void)
{
	errno = ENOSYS;
	fail("port");
}

static uint64_t port_read(unsigned short port, unsigned width)
{
	(void)port, (void)width;
	return 0;
}

static void port_write(unsigned short port, unsigned width, uint64_t value)
{
	(void)port, (void)width, (void)value;
}
#endif

int main(int argc, char **argv)
{
	if (argc < 5 || argc > 6) {
		fputs(usage, stderr);
		return 2;
	}
	const char *place = argv[2];
	const int is_write = strcmp(argv[1], "write") == 0;
	const int is_port = strcmp(place, "port") == 0;
	const size_t length = strlen(place);
	const int is_config = length >= 6 && strcmp(place + length - 6, "config") == 0;
	uint64_t offset = number(argv[3]);
	const unsigned width = (unsigned)number(argv[4]);
	const uint64_t value = is_write && argc == 6 ? number(argv[5]) : 0;
	const uint64_t count = !is_write && argc == 6 ? number(argv[5]) : 1;

	const int width_ok = width == 1 || width == 2 || width == 4 || (width == 8 && !is_port && !is_config);
	if ((!is_write && strcmp(argv[1], "read") != 0) || (is_write && argc != 6) || !width_ok) {
		fputs(usage, stderr);
		return 2;
	}

	int fd = -1;
	volatile char *memory = NULL;
	if (is_port) {
		port_open();
	} else {
		fd = open(place, (is_write || !is_config ? O_RDWR : O_RDONLY) | O_SYNC);
		if (fd < 0)
			fail(place);
	}
	if (!is_port && !is_config) {
		const uint64_t page = offset & ~(uint64_t)4095;
		memory = mmap(NULL, offset - page + width * count, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			      (off_t)page);
		if (memory == MAP_FAILED)
			fail(place);
		memory += offset - page;
	}

	for (uint64_t i = 0; i < count; i++, offset += width) {
		uint64_t got = value;
		if (memory && is_write)
			memory_write(memory, width, value);
		else if (memory)
			got = memory_read(memory + i * width, width);
		else if (is_port && is_write)
			port_write((unsigned short)offset, width, value);
		else if (is_port)
			got = port_read((unsigned short)offset, width);
		else if (is_write ? pwrite(fd, &got, width, (off_t)offset) != (ssize_t)width
				  : pread(fd, &got, width, (off_t)offset) != (ssize_t)width)
			fail(place);
		if (!is_write)
			printf("0x%0*" PRIx64 "\n", (int)width * 2, got);
	}
	return 0;
}
