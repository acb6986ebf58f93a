/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's RAM: taken at once if asked for, and not at all where the host or a control group has not that
 * much. */
#include <errno.h>
#include <inttypes.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "monitor/host_memory.h"
#include "monitor/ram.h"

#define MIB UINT64_C(0x100000)

/* ---- A host ------------------------------------------------------------ */

static char root[64];

static void write_file(const char *path, const char *text)
{
	char name[256];
	FILE *file;

	snprintf(name, sizeof(name), "%s%s", root, path);
	for (char *slash = strchr(name + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		mkdir(name, 0700);
		*slash = '/';
	}
	file = fopen(name, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	return remove(path);
}

static int make_host(void **state)
{
	strcpy(root, "/tmp/test_ram.XXXXXX");
	if (!mkdtemp(root))
		return -1;
	write_file("/proc/meminfo", "MemTotal:        8388608 kB\nMemFree:           10240 kB\n"
				    "MemAvailable:    1048576 kB\n");
	return 0;
}

static int remove_host(void **state)
{
	return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void assert_left(uint64_t mib, const char *says)
{
	struct bk_error err = { { 0 } };

	assert_int_equal(bk__monitor_host_memory_check(root, mib * MIB, &err), 0);
	assert_int_equal(bk__monitor_host_memory_check(root, mib * MIB + 1024, &err), -ENOMEM);
	assert_non_null(strstr(err.text, says));
	assert_null(strchr(err.text, '\n'));
}

static void what_the_host_has_available_counts(void **state)
{
	assert_left(1024, "MemAvailable");
}

static void a_host_that_tells_nothing_refuses_nothing(void **state)
{
	write_file("/proc/meminfo", "MemTotal: 4 kB\n");
	write_file("/proc/self/cgroup", "garbage\n1:\n:::\n0::/nowhere\n5:memory:/neither\n");
	assert_int_equal(bk__monitor_host_memory_check(root, UINT64_MAX, NULL), 0);
	assert_int_equal(bk__monitor_host_memory_check("/nowhere", UINT64_MAX, NULL), 0);
}

static void the_limit_of_a_control_group_counts(void **state)
{
	write_file("/proc/self/cgroup", "0::/vm.slice/guest\n");
	write_file("/sys/fs/cgroup/vm.slice/guest/memory.max", "536870912\n");
	write_file("/sys/fs/cgroup/vm.slice/guest/memory.current", "134217728\n");
	assert_left(384, "/vm.slice/guest leaves 384 MiB: raise its memory.max");
	/* Pages of files are given back. */
	write_file("/sys/fs/cgroup/vm.slice/guest/memory.stat",
		   "anon 1\ninactive_file_not 9\ninactive_file 67108864\nactive_file 5\n");
	assert_left(448, "/vm.slice/guest");
}

static void the_limit_of_a_group_above_counts(void **state)
{
	write_file("/proc/self/cgroup", "0::/vm.slice/guest\n");
	write_file("/sys/fs/cgroup/vm.slice/guest/memory.max", "max\n");
	write_file("/sys/fs/cgroup/vm.slice/guest/memory.current", "0\n");
	write_file("/sys/fs/cgroup/vm.slice/memory.max", "104857600\n");
	write_file("/sys/fs/cgroup/vm.slice/memory.current", "209715200\n");
	assert_left(0, "group /vm.slice leaves 0 MiB");
	/* In a container its own group is the root that it sees. */
	write_file("/proc/self/cgroup", "0::/\n");
	write_file("/sys/fs/cgroup/memory.max", "104857600\n");
	write_file("/sys/fs/cgroup/memory.current", "0\n");
	assert_left(100, "group / leaves 100 MiB");
}

static void the_first_version_of_control_groups_counts(void **state)
{
	write_file("/proc/self/cgroup",
		   "12:cpu,memory:/docker\n3:cpuset,memory2:/docker\n1:name=systemd:/\n");
	write_file("/sys/fs/cgroup/memory/docker/memory.limit_in_bytes", "314572800\n");
	write_file("/sys/fs/cgroup/memory/docker/memory.usage_in_bytes", "209715200\n");
	write_file("/sys/fs/cgroup/memory/docker/memory.stat",
		   "inactive_file 1\ntotal_inactive_file 1048576\n");
	assert_left(101, "/docker leaves 101 MiB: raise its memory.limit_in_bytes");
}

/* ---- RAM --------------------------------------------------------------- */

/* What this process has of either kind. */
static uint64_t resident_kib(bool shared)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[256];
	unsigned long kib = 0;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, shared ? "RssShmem: %lu kB" : "RssAnon: %lu kB", &kib) == 1)
			break;
	fclose(file);
	return kib;
}

/* Pages that are no mapping of a process are nobody's when the host looks for one to kill. */
static void preallocated_memory_counts_for_this_process(void **state)
{
	for (unsigned share = 0; share < 2; share++) {
		const uint64_t before = resident_kib(share);
		struct bk__monitor_ram_config config = { .size = 64 * MIB, .share = share };
		struct bk_error err = { { 0 } };
		struct bk__monitor_ram ram;

		assert_int_equal(bk__monitor_ram_open(&ram, &config, &err), 0);
		assert_true(resident_kib(share) < before + 64 * 1024);
		bk__monitor_ram_close(&ram);
		config.preallocate = true;
		assert_int_equal(bk__monitor_ram_open(&ram, &config, &err), 0);
		assert_true(resident_kib(share) >= before + 64 * 1024);
		bk__monitor_ram_close(&ram);
	}
}

static void only_shared_memory_has_a_file(void **state)
{
	struct bk__monitor_ram_config config = { .size = 4 * MIB };
	struct bk_error err = { { 0 } };
	struct bk__monitor_ram ram;
	uint8_t byte = 0;

	assert_int_equal(bk__monitor_ram_open(&ram, &config, &err), 0);
	assert_int_equal(ram.fd, -1);
	assert_int_equal((uintptr_t)ram.host % (2 * MIB), 0);
	((uint8_t *)ram.host)[config.size - 1] = 1;
	bk__monitor_ram_close(&ram);
	config.share = true;
	assert_int_equal(bk__monitor_ram_open(&ram, &config, &err), 0);
	assert_int_equal((uintptr_t)ram.host % (2 * MIB), 0);
	((uint8_t *)ram.host)[config.size - 1] = 0x5a;
	assert_int_equal(pread(ram.fd, &byte, 1, (off_t)config.size - 1), 1);
	assert_int_equal(byte, 0x5a);
	bk__monitor_ram_close(&ram);
}

static void more_than_the_host_has_is_refused_at_once(void **state)
{
	/* Twice what there is: addresses for that much a process has, under every sanitizer. */
	const uint64_t mib = 2 * ((uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / MIB);
	char line[64];

	snprintf(line, sizeof(line), "%" PRIu64 " MiB cannot be taken", mib);
	for (unsigned share = 0; share < 2; share++) {
		const struct bk__monitor_ram_config config = { .size = mib * MIB,
							       .share = share,
							       .preallocate = true };
		const uint64_t before = resident_kib(share);
		struct bk_error err = { { 0 } };
		struct bk__monitor_ram ram;

		assert_int_equal(bk__monitor_ram_open(&ram, &config, &err), -ENOMEM);
		assert_non_null(strstr(err.text, line));
		assert_null(strchr(err.text, '\n'));
		assert_int_equal(ram.fd, -1);
		assert_true(resident_kib(share) < before + 1024);
	}
}

int main(void)
{
#define HOST_TEST(name) cmocka_unit_test_setup_teardown(name, make_host, remove_host)
	const struct CMUnitTest tests[] = {
		HOST_TEST(what_the_host_has_available_counts),
		HOST_TEST(a_host_that_tells_nothing_refuses_nothing),
		HOST_TEST(the_limit_of_a_control_group_counts),
		HOST_TEST(the_limit_of_a_group_above_counts),
		HOST_TEST(the_first_version_of_control_groups_counts),
		cmocka_unit_test(preallocated_memory_counts_for_this_process),
		cmocka_unit_test(only_shared_memory_has_a_file),
		cmocka_unit_test(more_than_the_host_has_is_refused_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
