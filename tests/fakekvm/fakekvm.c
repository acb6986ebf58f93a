/* SPDX-License-Identifier: BSD-2-Clause */
/* A /dev/kvm without a CPU, to be preloaded: open and ioctl, as far as the monitor uses them. See README.md.
 */
#undef _FILE_OFFSET_BITS /* else `open` would be another name of `open64` */

#include "fakekvm.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#define FILES 65536
#define VCPUS 16

enum kind { OTHER, KVM, VM, VCPU, DEVICE };

static struct {
	_Atomic unsigned char kind;
	_Atomic unsigned char vcpu; /* of a VCPU */
} files[FILES];
static struct fake_vcpu vcpus[VCPUS];

/* ---- Requests that fail ------------------------------------------------ */

static const char *const names[FAKE_REQUESTS] = { "slot-add", "slot-remove", "irqfd", "routes" };
static _Atomic unsigned failures[FAKE_REQUESTS];

bool fake_fail(const char *name, unsigned count)
{
	for (unsigned i = 0; i < FAKE_REQUESTS; i++)
		if (!strcmp(name, names[i])) {
			atomic_store(&failures[i], count);
			return true;
		}
	return false;
}

bool fake_fails(enum fake_request request)
{
	unsigned left = atomic_load(&failures[request]);

	while (left && !atomic_compare_exchange_weak(&failures[request], &left, left - 1))
		;
	return left != 0;
}

/* ---- Files ------------------------------------------------------------- */

static int make(enum kind kind, int fd)
{
	if (fd >= FILES) {
		close(fd);
		errno = EMFILE;
		return -1;
	}
	if (fd >= 0)
		atomic_store(&files[fd].kind, kind);
	return fd;
}

static int make_vcpu(unsigned long id)
{
	const int fd = id < VCPUS ? memfd_create("fake-vcpu", MFD_CLOEXEC) : -1;
	void *run = MAP_FAILED;

	if (fd >= 0 && !ftruncate(fd, FAKE_RUN_BYTES))
		run = mmap(NULL, FAKE_RUN_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (run == MAP_FAILED)
		return -1;
	if (!id)
		fake_open_files();
	vcpus[id] = (struct fake_vcpu){ .id = (unsigned)id, .run = run };
	if (fd < FILES)
		atomic_store(&files[fd].vcpu, (unsigned char)id);
	return make(VCPU, fd);
}

static int null_file(void)
{
	static int (*real)(const char *, int, ...);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "open");
	return real("/dev/null", O_RDWR | O_CLOEXEC);
}

int open(const char *path, int flags, ...)
{
	static int (*real)(const char *, int, ...);
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
	va_end(args);
	if (!strcmp(path, "/dev/kvm"))
		return make(KVM, null_file());
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "open");
	return real(path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));

int close(int fd)
{
	static int (*real)(int);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "close");
	if (fd >= 0 && fd < FILES)
		atomic_store(&files[fd].kind, OTHER);
	return real(fd);
}

/* ---- Requests ---------------------------------------------------------- */

static int extension(long id)
{
	return id == KVM_CAP_NR_MEMSLOTS ? 32764 : id == KVM_CAP_IRQ_ROUTING ? 4096 : 1;
}

static int cpuid(struct kvm_cpuid2 *cpuid)
{
	if (cpuid->nent < 2) {
		errno = E2BIG;
		return -1;
	}
	cpuid->nent = 2;
	memset(cpuid->entries, 0, 2 * sizeof(cpuid->entries[0]));
	cpuid->entries[0].eax = 1;
	cpuid->entries[1].function = 0x80000008;
	cpuid->entries[1].eax = 40; /* bits of an address */
	return 0;
}

static int request(int fd, unsigned long number, void *argument)
{
	switch (number) {
	case KVM_GET_API_VERSION:
		return 12;
	case KVM_CHECK_EXTENSION:
		return extension((long)argument);
	case KVM_GET_VCPU_MMAP_SIZE:
		return FAKE_RUN_BYTES;
	case KVM_CREATE_VM:
		return make(VM, null_file());
	case KVM_CREATE_VCPU:
		return make_vcpu((unsigned long)argument);
	case KVM_CREATE_DEVICE:
		return (((struct kvm_create_device *)argument)->fd = (uint32_t)make(DEVICE, null_file())), 0;
	case KVM_GET_SUPPORTED_CPUID:
		return cpuid(argument);
	case KVM_GET_MSR_INDEX_LIST:
		((struct kvm_msr_list *)argument)->nmsrs = 0;
		return 0;
	case KVM_TRANSLATE:
		((struct kvm_translation *)argument)->valid = fake_translate(argument);
		return 0;
	case KVM_GET_REGS:
		fake_registers(argument);
		return 0;
	case KVM_GET_SREGS:
		fake_special_registers(argument);
		return 0;
	case KVM_SET_USER_MEMORY_REGION:
		return fake_slot_set(argument);
	case KVM_IRQFD:
		return fake_irqfd(argument);
	case KVM_SET_GSI_ROUTING:
		return fake_routes(argument);
	case KVM_SIGNAL_MSI: {
		const struct kvm_msi *msi = argument;

		fake_message((uint64_t)msi->address_hi << 32 | msi->address_lo, msi->data);
		return 1;
	}
	case KVM_IRQ_LINE: {
		const struct kvm_irq_level *line = argument;

		fake_line(line->irq, line->level);
		return 0;
	}
	case KVM_RUN:
		return fake_run(&vcpus[atomic_load(&files[fd].vcpu)]);
	}
	return 0; /* state that is set and read back: nobody has it */
}

/* FAKEKVM_FAIL says which request fails, counted from 1. */
static bool is_to_fail(unsigned long number)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static long count;
	const char *wanted = getenv("FAKEKVM_FAIL");
	bool fails;

	if (!wanted)
		return false;
	pthread_mutex_lock(&lock);
	fails = ++count == atol(wanted);
	pthread_mutex_unlock(&lock);
	if (!fails)
		return false;
	fprintf(stderr, "fakekvm: failed 0x%lx\n", number);
	errno = ENOMEM;
	return true;
}

int ioctl(int fd, unsigned long number, ...)
{
	static int (*real)(int, unsigned long, ...);
	va_list args;
	void *argument;

	va_start(args, number);
	argument = va_arg(args, void *);
	va_end(args);
	if (fd >= 0 && fd < FILES && atomic_load(&files[fd].kind) != OTHER)
		return is_to_fail(number) ? -1 : request(fd, number, argument);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "ioctl");
	return real(fd, number, argument);
}
