/* SPDX-License-Identifier: BSD-2-Clause */
/* Any file as a kernel: refused with one line, or loaded into RAM; and what is loaded stays inside. */
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "monitor/x86/boot.h"

#define RAM        (UINT64_C(64) << 20)
#define PAGE       4096u
#define INITRD     "initrd"
#define APPEND_MAX 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* RAM between two pages that nobody may touch. */
static uint8_t *ram_bytes(void)
{
	static uint8_t *bytes;

	if (!bytes) {
		bytes = mmap(NULL, RAM + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			     0);
		if (bytes == MAP_FAILED)
			abort();
		bytes += PAGE;
	}
	/* Fresh and zero, so that an input costs what it writes. */
	if (mmap(bytes, RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
		 -1, 0) == MAP_FAILED)
		abort();
	return bytes;
}

static int file_of(const void *bytes, size_t size, char name[32])
{
	int fd = memfd_create("file", MFD_CLOEXEC);

	if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
		abort();
	snprintf(name, 32, "/proc/self/fd/%d", fd);
	return fd;
}

/* The first two bytes say how long a command line there is, and whether an initrd; the rest is the kernel. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bk_error err = { "" };
	struct bk__monitor_boot *boot = NULL;
	struct kvm_regs regs;
	struct kvm_sregs sregs = { 0 };
	char kernel[32], initrd[32], append[APPEND_MAX + 1] = "";
	struct bk__monitor_ram ram = { .fd = -1, .size = RAM, .low_size = RAM };
	int kernel_fd, initrd_fd, rc;

	if (size < 2)
		return 0;
	ram.host = ram_bytes();
	memset(append, 'a', (data[0] << 4) % APPEND_MAX);
	kernel_fd = file_of(data + 2, size - 2, kernel);
	initrd_fd = file_of(INITRD, sizeof(INITRD), initrd);
	rc = bk__monitor_boot_open(kernel, data[1] & 1 ? initrd : NULL, append, &ram, &boot, &err);
	if (rc && (boot || !err.text[0] || strchr(err.text, '\n')))
		abort();
	if (!rc) {
		/* The file shrinks between two starts. */
		if (data[1] & 2 && ftruncate(kernel_fd, (off_t)(size - 2) / 2))
			abort();
		rc = bk__monitor_boot_load(boot, &ram, 0xe0000, &err);
		if (rc && (!(data[1] & 2) || !err.text[0]))
			abort();
		bk__monitor_boot_registers(boot, &regs, &sregs);
		if (!rc && !bk__monitor_ram_at(&ram, regs.rip, 1))
			abort();
		bk__monitor_boot_close(boot);
	}
	close(kernel_fd);
	close(initrd_fd);
	return 0;
}
