/* SPDX-License-Identifier: BSD-2-Clause */
/* A trace, plain and packed, is loaded and replayed with each allocation failing in turn. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <lzma.h>

#include "failing.h"
#include "firmware/replay.h"

/* Of this thread alone: the one that reclaims allocates nothing that may fail. */
static __thread long left = -1; /* allocations until one fails; -1: none does */

static bool fails(void)
{
	return left >= 0 && left-- == 0;
}

int __real_posix_memalign(void **memory, size_t alignment, size_t size);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t size);

int __wrap_posix_memalign(void **memory, size_t alignment, size_t size)
{
	return fails() ? ENOMEM : __real_posix_memalign(memory, alignment, size);
}

static bool stubborn; /* what is destroyed says that it is in use */

int __real_bk_space_destroy(struct bk_space *space);
int __wrap_bk_space_destroy(struct bk_space *space);
int __real_bk_domain_destroy(struct bk_domain *domain);
int __wrap_bk_domain_destroy(struct bk_domain *domain);

int __wrap_bk_space_destroy(struct bk_space *space)
{
	const int error = __real_bk_space_destroy(space);

	return stubborn ? -EBUSY : error;
}

int __wrap_bk_domain_destroy(struct bk_domain *domain)
{
	const int error = __real_bk_domain_destroy(domain);

	return stubborn ? -EPERM : error;
}

static void swallow(void *opaque, enum bk_log_level level, const char *line)
{
}

static void told(void *opaque, const struct bk__firmware_difference *difference)
{
	++*(unsigned *)opaque;
}

static const char text[] =
	"dev 01.0 1:1 bridge x\ndev 01.0/00.0 1:2 endpoint x\ndev 02.0 1:3 endpoint x\n"
	"bar 01.0/00.0 0 mem32 0x1000\nbar 02.0 0 io 0x20\n"
	"ecam r 0x10034 1 0x40\necam r 0x10040 4 0x00030001\n"
	"ecam r 0x8034 1 0x40\necam r 0x8040 2 0x10\n"
	"ecam w 0x8018 4 0x010100\necam w 0x100010 4 0x90000000\necam w 0x100004 2 0x2\n"
	"map 01:00.0 0 0x90000000 0x1000 x\necam w 0x10010 4 0x2000\necam r 0x10010 4 0x2001\n"
	"ecam r 0x10010 4 0x1\n";

static size_t write_file(const char *path, bool packed)
{
	static uint8_t bytes[4096];
	size_t size = 0;
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	if (packed) {
		assert_int_equal(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, NULL, (const uint8_t *)text,
							 sizeof(text) - 1, bytes, &size, sizeof(bytes)),
				 LZMA_OK);
	} else {
		memcpy(bytes, text, size = sizeof(text) - 1);
	}
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
	return size;
}

/* 0, or the error with its line. */
static int run(const char *path, unsigned *differences)
{
	static const struct bk__firmware_replay_ops ops = { .difference = told };
	struct bk__firmware_replay_counts counts;
	struct bk_error err = { { 0 } };
	struct bk__firmware_trace trace;
	int error = bk__firmware_trace_load(path, &trace, &err);

	*differences = 0;
	if (!error)
		error = bk__firmware_replay(path, &trace, &ops, differences, &counts, &err);
	left = -1;
	bk__firmware_trace_free(&trace);
	if (error) {
		assert_int_equal(error, -ENOMEM);
		assert_memory_equal(err.text, path, strlen(path));
		assert_null(strchr(err.text, '\n'));
	}
	return error;
}

static void every_allocation_fails_in_turn(void **state)
{
	char path[] = "/tmp/barkeep-trace-XXXXXX";
	const int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	bk_log_set(swallow, NULL);
	for (unsigned packed = 0; packed < 2; packed++) {
		unsigned failures = 0, differences;
		bool done = false;

		write_file(path, packed);
		assert_int_equal(run(path, &differences), 0);
		assert_int_equal(differences, 1);
		for (long n = 0; !done; n++) {
			int error;

			left = n;
			error = run(path, &differences);
			failures += error != 0;
			/* It fails until there are fewer allocations than that. A map that cannot follow is
			 * a difference. */
			done = !error && differences == 1 && n > 200;
		}
		assert_true(failures > 50);
	}
	bk_log_set(NULL, NULL);
	unlink(path);
}

/* Its first error is told: those behind it follow from it. */
static void a_model_that_stays_is_an_error(void **state)
{
	static const struct bk__firmware_replay_ops ops = { .difference = told };
	char path[] = "/tmp/barkeep-trace-XXXXXX", wanted[200];
	struct bk__firmware_replay_counts counts;
	struct bk_error err = { { 0 } };
	struct bk__firmware_trace trace;
	unsigned differences = 0;
	const int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	write_file(path, false);
	assert_int_equal(bk__firmware_trace_load(path, &trace, &err), 0);
	stubborn = true;
	assert_int_equal(bk__firmware_replay(path, &trace, &ops, &differences, &counts, &err), -EBUSY);
	stubborn = false;
	snprintf(wanted, sizeof(wanted), "%s: the model cannot be taken down: %s", path, strerror(EBUSY));
	assert_string_equal(err.text, wanted);
	assert_int_equal(differences, 1);
	bk__firmware_trace_free(&trace);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_allocation_fails_in_turn),
		cmocka_unit_test(a_model_that_stays_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
