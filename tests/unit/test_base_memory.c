/* SPDX-License-Identifier: BSD-2-Clause */
/* Files, YAML and lines when memory or a system call fails. */
#include "base/ratelimit.h"
#include "failing.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>
#include <yaml.h>

#include "base/file.h"
#include "base/loop.h"
#include "base/items.h"
#include "base/number.h"
#include "base/thread.h"
#include "base/yaml.h"

static long countdown = -1; /* allocations until one fails; below 0: none does */
static unsigned failed;

static bool fails(void)
{
	bool yes = countdown >= 0 && countdown-- == 0;

	failed += yes;
	return yes;
}

static enum { NOTHING, INTERRUPTED_ONCE, NOT_READ, NO_PARSER, PARSER_WITHOUT_MEMORY, NO_REASON } wrong;

ssize_t __real_read(int fd, void *bytes, size_t count);
ssize_t __wrap_read(int fd, void *bytes, size_t count);
int __real_yaml_parser_initialize(yaml_parser_t *parser);
int __wrap_yaml_parser_initialize(yaml_parser_t *parser);
int __real_yaml_parser_parse(yaml_parser_t *parser, yaml_event_t *event);
int __wrap_yaml_parser_parse(yaml_parser_t *parser, yaml_event_t *event);

ssize_t __wrap_read(int fd, void *bytes, size_t count)
{
	if (wrong == INTERRUPTED_ONCE || wrong == NOT_READ) {
		errno = wrong == NOT_READ ? EIO : EINTR;
		wrong = wrong == NOT_READ ? NOT_READ : NOTHING;
		return -1;
	}
	return __real_read(fd, bytes, count);
}

int __wrap_yaml_parser_initialize(yaml_parser_t *parser)
{
	return wrong != NO_PARSER && __real_yaml_parser_initialize(parser);
}

int __wrap_yaml_parser_parse(yaml_parser_t *parser, yaml_event_t *event)
{
	int done = __real_yaml_parser_parse(parser, event);

	if (wrong != PARSER_WITHOUT_MEMORY && wrong != NO_REASON)
		return done;
	if (done)
		yaml_event_delete(event);
	parser->error = wrong == NO_REASON ? YAML_PARSER_ERROR : YAML_MEMORY_ERROR;
	parser->problem = NULL;
	return 0;
}

/* Calls of the event loop, which fail as allocations do. */
FAILING(int, epoll_create1, (int flags), (errno = EMFILE, -1), flags)
FAILING(int, eventfd, (unsigned count, int flags), (errno = EMFILE, -1), count, flags)
FAILING(int, epoll_ctl, (int epoll, int what, int fd, struct epoll_event *event), (errno = ENOSPC, -1), epoll,
	what, fd, event)

static int wait_error;

int __real_epoll_wait(int epoll, struct epoll_event *events, int most, int milliseconds);
int __wrap_epoll_wait(int epoll, struct epoll_event *events, int most, int milliseconds);

int __wrap_epoll_wait(int epoll, struct epoll_event *events, int most, int milliseconds)
{
	errno = wait_error;
	return wait_error ? -1 : __real_epoll_wait(epoll, events, most, milliseconds);
}

static const char text[] = "a: [1, 2, {b: c}]\nd: \"e\"\n";

static void yaml_without_memory_says_so(void **state)
{
	struct bk__yaml *yaml;
	struct bk_error err;
	unsigned total = 0;

	for (long nth = 0;; nth++) {
		int error;

		failed = 0;
		countdown = nth;
		error = bk__yaml_parse("f", text, sizeof(text) - 1, &yaml, &err);
		countdown = -1;
		if (!failed) {
			assert_int_equal(error, 0);
			break;
		}
		total++;
		assert_int_equal(error, -ENOMEM);
		assert_null(yaml);
		assert_string_equal(err.text, "f: out of memory");
	}
	assert_in_range(total, 8, 100);
	bk__yaml_free(yaml);
	wrong = NO_PARSER;
	assert_int_equal(bk__yaml_parse("f", text, sizeof(text) - 1, &yaml, &err), -ENOMEM);
	wrong = PARSER_WITHOUT_MEMORY;
	assert_int_equal(bk__yaml_parse("f", text, sizeof(text) - 1, &yaml, &err), -ENOMEM);
	assert_string_equal(err.text, "f: out of memory");
	wrong = NO_REASON;
	assert_int_equal(bk__yaml_parse("f", text, sizeof(text) - 1, &yaml, &err), -EINVAL);
	assert_non_null(strstr(err.text, "not YAML: cannot be parsed"));
	wrong = NOTHING;
}

static char *temporary(const char *content, size_t size)
{
	static char path[] = "/tmp/barkeep-base-XXXXXX";
	int fd;

	strcpy(path + strlen(path) - 6, "XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, size), (ssize_t)size);
	close(fd);
	return path;
}

static void files_that_cannot_be_read_say_why(void **state)
{
	char *path = temporary(text, sizeof(text) - 1), *bytes;
	struct bk_error err;
	size_t size;
	static char large[9000];

	wrong = INTERRUPTED_ONCE;
	assert_int_equal(bk__base_file_read(path, 100, &bytes, &size, &err), 0);
	assert_int_equal(size, sizeof(text) - 1);
	assert_string_equal(bytes, text);
	free(bytes);
	wrong = NOT_READ;
	assert_int_equal(bk__base_file_read(path, 100, &bytes, &size, &err), -EIO);
	assert_null(bytes);
	assert_non_null(strstr(err.text, "cannot be read"));
	wrong = NOTHING;
	countdown = 0;
	assert_int_equal(bk__base_file_read(path, 100, &bytes, &size, &err), -ENOMEM);
	countdown = -1;
	assert_int_equal(bk__base_file_read(path, 3, &bytes, &size, &err), -EFBIG);
	unlink(path);
	assert_int_equal(bk__base_file_read(path, 100, &bytes, &size, &err), -ENOENT);
	assert_int_equal(bk__base_file_read("/dev/null", 100, &bytes, &size, &err), -EINVAL);
	path = temporary(large, sizeof(large));
	assert_int_equal(bk__base_file_read(path, sizeof(large), &bytes, &size, &err), 0);
	assert_int_equal(size, sizeof(large));
	free(bytes);
	assert_int_equal(bk__base_file_read(path, sizeof(large) - 1, &bytes, &size, &err), -EFBIG);
	unlink(path);
}

static void a_line_too_long_without_memory_is_its_start(void **state)
{
	static char longer[4096];
	struct bk_error err;

	memset(longer, 'a', sizeof(longer) - 1);
	countdown = 0;
	bk_fail(&err, EINVAL, "%s: bad", longer);
	countdown = -1;
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	assert_null(strchr(err.text, '.'));
	/* What the C library cannot print: a wide character that is none. */
	bk_fail(&err, EINVAL, "%lc", (wint_t)0x7fffffff);
	assert_string_equal(err.text, "");
}

static void a_line_of_no_characters_at_all_is_cut(void **state)
{
	static char longer[4096];
	struct bk_error err;

	memset(longer, 0x80, sizeof(longer) - 1); /* each continues a character that never began */
	bk_fail(&err, EINVAL, "%s", longer);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	assert_int_equal(err.text[0], '.');
}

static void what_nobody_asked_for_is_not_logged(void **state)
{
	bk_log_set(NULL, NULL);
	countdown = 0; /* not even looked at */
	bk_log(BK_LOG_INFO, "%5000s", "x");
	assert_int_equal(countdown, 0);
	countdown = -1;
}

static const char *entered;

static void note_kind(const char *kind)
{
	entered = kind;
}

static void threads_tell_the_hook_what_they_are(void **state)
{
	bk__base_thread_set_hook(NULL);
	bk__base_thread_enter("nobody");
	assert_null(entered);
	bk__base_thread_set_hook(note_kind);
	bk__base_thread_enter("vcpu");
	assert_string_equal(entered, "vcpu");
	bk__base_thread_set_hook(NULL);
}

/* Folded text is quoted from the place on, between characters. */
static void a_place_in_folded_text_is_quoted(void **state)
{
	static char file[600] = "a: >\n  x\n  ";
	const struct bk__yaml_node *node;
	struct bk__yaml *yaml;
	struct bk_error err;

	for (unsigned i = 0; i < 180; i++)
		strcat(file, "\xe2\x82\xac");
	assert_int_equal(bk__yaml_parse("f", file, strlen(file), &yaml, &err), 0);
	node = bk__yaml_get(bk__yaml_root(yaml), "a");
	for (size_t at = 0; at < 3; at++) {
		const char *quote;

		bk__yaml_fail_inside(yaml, node, at, &err, "bad");
		quote = strstr(err.text, "bad, at \"");
		assert_non_null(quote);
		quote = strrchr(err.text, '"');
		assert_memory_equal(quote - 3, "\xe2\x82\xac", 3);
	}
	bk__yaml_fail_inside(yaml, node, strlen(node->text), &err, "bad");
	assert_non_null(strstr(err.text, "bad, at the end of this"));
	bk__yaml_free(yaml);
}

static void a_list_is_no_choice(void **state)
{
	static const char *const choices[] = { "one", "two", NULL };
	static const struct bk__yaml_field field = { .key = "a",
						     .type = BK__YAML_CHOICE,
						     .choices = choices };
	struct bk__yaml *yaml;
	struct bk_error err;
	unsigned choice = 7;

	assert_int_equal(bk__yaml_parse("f", "a: [one]", 8, &yaml, &err), 0);
	assert_int_equal(
		bk__yaml_scalar(yaml, bk__yaml_get(bk__yaml_root(yaml), "a"), "a", &field, &choice, &err),
		-EINVAL);
	assert_non_null(strstr(err.text, "a must be one of one, two, not \"a list\""));
	assert_int_equal(choice, 7);
	bk__yaml_free(yaml);
}

static void items_are_taken_one_by_one(void **state)
{
	const char *rest = "a,b,,c,";
	char *item;

	countdown = 0;
	assert_null(bk__base_next_item(&rest));
	countdown = -1;
	item = bk__base_next_item(&rest);
	assert_string_equal(item, "a");
	free(item);
	item = bk__base_next_item(&rest);
	assert_string_equal(item, "b,c");
	free(item);
	assert_string_equal(rest, "");
	item = bk__base_next_item(&rest);
	assert_string_equal(item, "");
	free(item);
}

static void numbers_are_read_the_same_everywhere(void **state)
{
	static const struct {
		const char *text;
		bool number, size;
		uint64_t value;
	} cases[] = {
		{ "0", true, true, 0 },
		{ "10", true, true, 10 },
		{ "010", false, false, 0 },
		{ "0x1F", true, true, 0x1f },
		{ "0Xaf", true, true, 0xaf },
		{ "0x", false, false, 0 },
		{ "", false, false, 0 },
		{ "-1", false, false, 0 },
		{ "9g", false, true, UINT64_C(9) << 30 },
		{ "1K", false, true, 1024 },
		{ "1m", false, true, 1 << 20 },
		{ "2T", false, true, UINT64_C(2) << 40 },
		{ "1KB", false, false, 0 },
		{ "1 ", false, false, 0 },
		{ "1x", false, false, 0 },
		{ "1@", false, false, 0 },
		{ "0x1G", false, true, 1 << 30 },
		{ "16777216T", false, false, 0 },
		{ "18446744073709551615", true, true, UINT64_MAX },
		{ "18446744073709551616", false, false, 0 },
		{ "184467440737095516150", false, false, 0 },
		{ "0x10000000000000000", false, false, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t number = 0, size = 0;

		assert_int_equal(bk__base_number(cases[i].text, &number), cases[i].number);
		assert_int_equal(bk__base_size(cases[i].text, &size), cases[i].size);
		if (cases[i].number)
			assert_true(number == cases[i].value);
		if (cases[i].size)
			assert_true(size == cases[i].value);
	}
}

/* Every second that the token bucket counts, and lines that a flood loses by the million. */
static void lost_lines_are_counted_up_to_a_limit(void **state)
{
	struct bk__ratelimit limit = { 0 };
	uint64_t missed;

	while (bk__ratelimit_ok(&limit, &missed))
		;
	for (uint64_t refused = 0xfffff0; refused <= 0xffffff; refused++) {
		limit.state = (limit.state & ~UINT64_C(0xffffff)) | refused;
		limit.state |= UINT64_C(200) << 24; /* used up for minutes */
		assert_false(bk__ratelimit_ok(&limit, &missed));
	}
	assert_int_equal(limit.state & 0xffffff, 0xffffff);
}

static void ignore(void *opaque)
{
}

static void a_loop_says_what_it_could_not_have(void **state)
{
	static const int create_errors[] = { -ENOMEM, -EMFILE, -EMFILE, -ENOSPC, 0 };
	static const int add_errors[] = { -ENOMEM, -ENOSPC, 0 };
	struct bk__base_loop *loop = NULL;
	int fds[2] = { eventfd(0, 0), eventfd(0, 0) };

	for (long nth = 0; nth < 5; nth++) {
		countdown = nth;
		assert_int_equal(bk__base_loop_create(&loop), create_errors[nth]);
		countdown = -1;
	}
	for (long nth = 0; nth < 3; nth++) {
		countdown = nth;
		assert_int_equal(bk__base_loop_add(loop, fds[0], ignore, NULL), add_errors[nth]);
		countdown = -1;
	}
	assert_int_equal(bk__base_loop_add(loop, fds[1], ignore, NULL), 0);
	assert_int_equal(bk__base_loop_change(loop, fds[1], 0), 0);
	countdown = 0;
	assert_int_equal(bk__base_loop_change(loop, fds[1], POLLIN), -ENOSPC);
	countdown = -1;
	assert_int_equal(bk__base_loop_change(loop, fds[1], POLLIN), 0);
	bk__base_loop_remove(loop, fds[0]); /* behind the other */
	wait_error = EINTR;
	assert_int_equal(bk__base_loop_wait(loop, -1), 0);
	wait_error = EBADF;
	assert_int_equal(bk__base_loop_wait(loop, -1), -EBADF);
	wait_error = 0;
	assert_int_equal(bk__base_loop_wait(loop, 0), 0);
	bk__base_loop_destroy(loop);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(yaml_without_memory_says_so),
		cmocka_unit_test(files_that_cannot_be_read_say_why),
		cmocka_unit_test(a_line_too_long_without_memory_is_its_start),
		cmocka_unit_test(a_line_of_no_characters_at_all_is_cut),
		cmocka_unit_test(what_nobody_asked_for_is_not_logged),
		cmocka_unit_test(threads_tell_the_hook_what_they_are),
		cmocka_unit_test(a_place_in_folded_text_is_quoted),
		cmocka_unit_test(a_list_is_no_choice),
		cmocka_unit_test(items_are_taken_one_by_one),
		cmocka_unit_test(numbers_are_read_the_same_everywhere),
		cmocka_unit_test(a_loop_says_what_it_could_not_have),
		cmocka_unit_test(lost_lines_are_counted_up_to_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
