/* SPDX-License-Identifier: BSD-2-Clause */
/* Error lines, the log and its token bucket. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <barkeep/base.h>

#include "base/array.h"
#include "base/ratelimit.h"
#include "base/thread.h"

static void fail_fills_one_line(void **state)
{
	struct bk_error err;
	char longer[4096];

	assert_int_equal(bk_fail(&err, ENOENT, "%s: no such %s", "x", "device"), -ENOENT);
	assert_string_equal(err.text, "x: no such device");
	assert_int_equal(bk_fail(NULL, EINVAL, "%d", 1), -EINVAL);
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	bk_fail(&err, EINVAL, "%s", longer);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

/* A path may be longer than a line, and what is wrong with it stands behind it. */
static void a_line_that_is_too_long_keeps_its_start_and_its_end(void **state)
{
	struct bk_error err;
	char longer[4096];

	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	bk_fail(&err, ENAMETOOLONG, "file %s: File name too long", longer);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	assert_memory_equal(err.text, "file aaa", 8);
	assert_non_null(strstr(err.text, "aaa...aaa"));
	assert_string_equal(err.text + strlen(err.text) - 20, ": File name too long");
	/* Cut between characters, wherever they fall. */
	for (size_t skip = 0; skip < 3; skip++) {
		for (size_t i = 0; i + 3 < sizeof(longer); i += 3)
			memcpy(longer + i, "\xe2\x82\xac", 3);
		longer[3000] = 0;
		bk_fail(&err, EINVAL, "%.*s%s: bad", (int)skip, "xx", longer);
		assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
		for (const char *at = err.text; *at; at += (*at & 0x80) ? 3 : 1)
			assert_true(!(*at & 0x80) || !memcmp(at, "\xe2\x82\xac", 3));
	}
}

static void a_line_has_no_control_characters(void **state)
{
	struct bk_error err;

	bk_fail(&err, EINVAL, "x\n\x1b[2J\x7f: \xc3\xa4");
	assert_string_equal(err.text, "x??[2J?: \xc3\xa4");
}

static char last[1100];
static void keep(void *opaque, enum bk_log_level level, const char *line)
{
	strncpy(last, line, sizeof(last) - 1);
	*(enum bk_log_level *)opaque = level;
}

static void log_goes_where_told(void **state)
{
	enum bk_log_level level = BK_LOG_ERROR;

	bk_log_set(keep, &level);
	bk_log(BK_LOG_DEBUG, "slot %u", 7);
	bk_log_set(NULL, NULL);
	assert_int_equal(level, BK_LOG_DEBUG);
	assert_string_equal(last, "slot 7");
}

static void ratelimit_lets_a_burst_through_and_counts_the_rest(void **state)
{
	struct bk__ratelimit limit = { 0 };
	uint64_t missed;
	unsigned passed = 0;

	for (int i = 0; i < 1000; i++)
		passed += bk__ratelimit_ok(&limit, &missed);
	assert_in_range(passed, 10, 12); /* the burst, and one a second */
	assert_in_range(limit.state & 0xffffff, 980, 990);
}

static void count(void *opaque, enum bk_log_level level, const char *line)
{
	keep(&level, level, line);
	++*(unsigned *)opaque;
}

static void a_flood_of_lines_is_cut_and_the_next_line_says_so(void **state)
{
	struct bk__ratelimit limit = { 0 };
	unsigned lines = 0;

	bk_log_set(count, &lines);
	for (int i = 0; i < 1000; i++)
		bk__log_limited(&limit, BK_LOG_WARNING, "BAR %d", i);
	assert_in_range(lines, 10, 12);
	limit.state &= 0xffffff; /* long ago: tokens are back, the count of refused lines stays */
	bk__log_limited(&limit, BK_LOG_WARNING, "BAR %d", 7);
	bk_log_set(NULL, NULL);
	assert_non_null(strstr(last, "BAR 7 ("));
	assert_non_null(strstr(last, " lines like this left out)"));
}

static void the_header_the_library_and_the_build_are_of_one_release(void **state)
{
	char text[32];

	snprintf(text, sizeof(text), "%d.%d.%d", BK_VERSION_MAJOR, BK_VERSION_MINOR, BK_VERSION_PATCH);
	assert_string_equal(text, VERSION);
	assert_int_equal(bk_version(), BK_VERSION);
}

static int is_below(const void *element, const void *key)
{
	return *(const unsigned *)element < *(const unsigned *)key;
}

static void an_array_has_room_or_says_that_there_is_none(void **state)
{
	BK__ARRAY(uint64_t) array = { 0 };

	assert_int_equal(bk__array_reserve(&array, SIZE_MAX / 2), -ENOMEM);
	assert_int_equal(bk__array_reserve(&array, 20), 0);
	assert_int_equal(array.capacity, 32);
	assert_int_equal(bk__array_grow((void **)&array.at, &array.capacity, 0, 32, sizeof(uint64_t)), 0);
	assert_int_equal(array.capacity, 32);
	free(array.at);
}

static void an_array_in_order_grows_and_shrinks(void **state)
{
	BK__ARRAY(unsigned) array = { 0 };
	unsigned x = 12345;

	for (unsigned i = 0; i < 1000; i++) {
		const unsigned key = x = x * 1103515245 + 12345;
		const size_t at = bk__array_search(array.at, array.count, sizeof(key), &key, is_below);

		assert_int_equal(bk__array_reserve(&array, 1), 0);
		bk__array_insert(&array, at, key);
		assert_int_equal(array.at[at], key);
		if (i % 3 == 2)
			bk__array_remove(&array, x % array.count);
		for (size_t j = 1; j < array.count; j++)
			assert_true(array.at[j - 1] <= array.at[j]);
	}
	assert_int_equal(array.count, 1000 - 333);
	assert_true(array.capacity >= array.count);
	assert_int_equal(bk__array_search(array.at, 0, sizeof(x), &x, is_below), 0);
	x = array.at[array.count - 1] + 1;
	assert_int_equal(bk__array_search(array.at, array.count, sizeof(x), &x, is_below), array.count);
	/* What no memory holds is refused, and the array stays. */
	assert_int_equal(bk__array_reserve(&array, SIZE_MAX), -ENOMEM);
	assert_int_equal(bk__array_reserve(&array, SIZE_MAX / 4), -ENOMEM);
	assert_int_equal(bk__array_reserve(&array, SIZE_MAX / 8 + 1), -ENOMEM);
	assert_int_equal(array.at[array.count - 1], x - 1);
	free(array.at);
}

static void *note_mask(void *opaque)
{
	pthread_sigmask(SIG_SETMASK, NULL, opaque);
	return NULL;
}

static void a_thread_takes_no_signals_but_its_own(void **state)
{
	static const int open[] = { SIGUSR1, 0 };
	sigset_t before, after, mask;
	pthread_t thread;

	pthread_sigmask(SIG_SETMASK, NULL, &before);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(bk__base_thread_start(&thread, note_mask, &mask, i ? open : NULL), 0);
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_true(sigismember(&mask, SIGTERM));
		assert_true(sigismember(&mask, SIGUSR2));
		assert_int_equal(sigismember(&mask, SIGUSR1), !i);
		assert_false(sigismember(&mask, SIGSEGV));
		assert_false(sigismember(&mask, SIGBUS));
		assert_false(sigismember(&mask, SIGSYS));
	}
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int i = 1; i < 32; i++)
		assert_int_equal(sigismember(&before, i), sigismember(&after, i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thread_takes_no_signals_but_its_own),
		cmocka_unit_test(an_array_has_room_or_says_that_there_is_none),
		cmocka_unit_test(an_array_in_order_grows_and_shrinks),
		cmocka_unit_test(the_header_the_library_and_the_build_are_of_one_release),
		cmocka_unit_test(fail_fills_one_line),
		cmocka_unit_test(a_line_that_is_too_long_keeps_its_start_and_its_end),
		cmocka_unit_test(a_line_has_no_control_characters),
		cmocka_unit_test(log_goes_where_told),
		cmocka_unit_test(ratelimit_lets_a_burst_through_and_counts_the_rest),
		cmocka_unit_test(a_flood_of_lines_is_cut_and_the_next_line_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
