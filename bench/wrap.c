/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * usage: bench_wrap pread|ioctl|mmap|region|trap   Makes 1000 such calls, in a function that callgrind can
 * tell.
 *
 * pread, ioctl and mmap are on descriptors that are not VFIO's; region is a pread of a device's region in
 * which nothing differs, trap one of a register that a trap answers. bench/run runs it with and without the
 * wrap library.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { COUNT = 1000 };

void run_wrap(const char *what, int fd);

static inline __attribute__((always_inline)) void calls(const char *what, int fd)
{
	const off_t region = *what == 'r' ? (off_t)2 << 40 : 0;
	uint32_t value;
	int pending;

	for (unsigned i = 0; i < COUNT; i++) {
		if (*what == 'i') {
			ioctl(fd, FIONREAD, &pending);
		} else if (*what == 'm') {
			void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

			munmap(page, 4096);
		} else {
			(void)!pread(fd, &value, sizeof(value), region);
		}
	}
}

__attribute__((noinline)) void run_wrap(const char *what, int fd)
{
	calls(what, fd);
}

/* With a second thread the C library's calls take more, as a VMM's do; the wrap library may have one anyway.
 */
static __attribute__((noreturn)) void *sleep_on(void *unused)
{
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int pipes[2], fd = -1;
	pthread_t thread;

	if (*what == 'i') {
		if (pipe(pipes))
			return 1;
		fd = pipes[0];
	} else if (*what == 'r' || *what == 't') {
		const int group = open("/dev/vfio/7", O_RDWR);

		fd = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, "0000:01:00.0");
	} else {
		fd = open("/dev/zero", O_RDWR);
	}
	if (fd < 0 || pthread_create(&thread, NULL, sleep_on, NULL))
		return 1;
	calls(what, fd); /* functions are looked up by their first call */
	run_wrap(what, fd);
	return 0;
}
