/* SPDX-License-Identifier: BSD-2-Clause */
/* The log's queue: who logs never waits, what is lost is counted, raw terminals get whole lines. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log_writer.h"

static void open_pipe(int ends[2])
{
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
}

/* All that comes until the other end is closed. */
static char *read_all(int fd)
{
	size_t size = 0, room = 1 << 16;
	char *text = malloc(room);

	for (;;) {
		ssize_t n;

		assert_non_null(text);
		n = read(fd, text + size, room - size - 1);
		assert_true(n >= 0);
		if (!n)
			break;
		size += (size_t)n;
		if (room - size < 4096)
			text = realloc(text, room *= 2);
	}
	text[size] = 0;
	return text;
}

static void *reader(void *opaque)
{
	return read_all(*(int *)opaque);
}

/* A machine that is busy may make its reader as slow as a stuck one. */
static void flush(void)
{
	while (!bk__base_log_flush())
		;
}

static void lines_come_in_order(void **state)
{
	int ends[2];
	char *text;

	(void)state;
	open_pipe(ends);
	assert_int_equal(bk__base_log_start(ends[1]), 0);
	assert_int_equal(bk__base_log_start(ends[1]), -EBUSY);
	bk_log(BK_LOG_ERROR, "first %d", 1);
	bk_log(BK_LOG_WARNING, "second");
	bk_log(BK_LOG_INFO, "nobody wants to know");
	bk_log(BK_LOG_WARNING, "third");
	flush();
	bk__base_log_stop();
	close(ends[1]);
	text = read_all(ends[0]);
	assert_string_equal(text, "barkeep: first 1\nbarkeep: second\nbarkeep: third\n");
	free(text);
	close(ends[0]);
	assert_true(bk__base_log_flush()); /* none is started */
	bk__base_log_stop();
}

/* Nobody reads the pipe: who logs goes on, and what was lost is counted once somebody reads. */
static void full_pipe_keeps_nobody(void **state)
{
	const unsigned total = 100000;
	unsigned written = 0, lost = 0, more;
	pthread_t thread;
	char *text, *save = NULL;
	void *result;
	int ends[2];

	(void)state;
	open_pipe(ends);
	assert_int_equal(bk__base_log_start(ends[1]), 0);
	for (unsigned i = 0; i < total; i++)
		bk_log(BK_LOG_WARNING, "line %06u", i);
	assert_int_equal(pthread_create(&thread, NULL, reader, &ends[0]), 0);
	flush();
	bk__base_log_stop();
	close(ends[1]);
	pthread_join(thread, &result);
	text = result;
	for (const char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char expected[32];

		if (sscanf(line, "barkeep: %u log lines are lost", &more) == 1) {
			lost += more;
			continue;
		}
		snprintf(expected, sizeof(expected), "barkeep: line %06u", written + lost);
		assert_string_equal(line, expected);
		written++;
	}
	assert_true(lost > 0);
	assert_int_equal(written + lost, total);
	free(text);
	close(ends[0]);
}

static void stuck_pipe_does_not_hold_up_the_end(void **state)
{
	char bytes[4096] = { 0 };
	int ends[2];

	(void)state;
	open_pipe(ends);
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
	while (write(ends[1], bytes, sizeof(bytes)) > 0)
		;
	fcntl(ends[1], F_SETFL, 0);
	assert_int_equal(bk__base_log_start(ends[1]), 0);
	assert_false(bk__base_log_flush()); /* nothing is queued, but nothing could be written either */
	bk_log(BK_LOG_ERROR, "one line");
	assert_false(bk__base_log_flush());
	bk__base_log_stop();
	close(ends[0]);
	close(ends[1]);
}

static void closed_pipe_is_no_end(void **state)
{
	int ends[2];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	open_pipe(ends);
	close(ends[0]);
	assert_int_equal(bk__base_log_start(ends[1]), 0);
	bk_log(BK_LOG_ERROR, "to nobody");
	flush();
	bk__base_log_stop();
	close(ends[1]);
}

static void terminal_gets_whole_lines(int raw)
{
	const int master = posix_openpt(O_RDWR | O_NOCTTY);
	const char wanted[] = "barkeep: one\r\nbarkeep: two\r\n";
	char text[sizeof(wanted)] = "";
	struct termios mode;
	size_t got = 0;
	int slave;

	assert_true(master >= 0);
	assert_int_equal(grantpt(master) | unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	assert_true(slave >= 0);
	assert_int_equal(tcgetattr(slave, &mode), 0);
	mode.c_oflag |= OPOST | ONLCR;
	if (raw)
		cfmakeraw(&mode);
	assert_int_equal(tcsetattr(slave, TCSANOW, &mode), 0);
	assert_int_equal(bk__base_log_start(slave), 0);
	bk_log(BK_LOG_ERROR, "one");
	bk_log(BK_LOG_ERROR, "two");
	flush();
	bk__base_log_stop();
	while (got < sizeof(wanted) - 1) {
		const ssize_t n = read(master, text + got, sizeof(wanted) - 1 - got);

		assert_true(n > 0);
		got += (size_t)n;
	}
	assert_string_equal(text, wanted);
	close(slave);
	close(master);
}

static void raw_terminal_lines_have_a_carriage_return(void **state)
{
	(void)state;
	terminal_gets_whole_lines(true);
}

static void cooked_terminal_lines_have_one_only(void **state)
{
	(void)state;
	terminal_gets_whole_lines(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_come_in_order),
		cmocka_unit_test(full_pipe_keeps_nobody),
		cmocka_unit_test(stuck_pipe_does_not_hold_up_the_end),
		cmocka_unit_test(closed_pipe_is_no_end),
		cmocka_unit_test(raw_terminal_lines_have_a_carriage_return),
		cmocka_unit_test(cooked_terminal_lines_have_one_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
