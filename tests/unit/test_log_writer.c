/* SPDX-License-Identifier: BSD-2-Clause */
/* The log's queue: who logs never waits, what is lost is counted, raw terminals get whole lines. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
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

/* ---- What the system does -------------------------------------------------- */

static _Atomic unsigned interrupted, full; /* so many writes fail */
static _Atomic bool stuck, no_thread, impatient;
static sem_t in_write, go_on;

ssize_t __real_write(int fd, const void *bytes, size_t count);
ssize_t __wrap_write(int fd, const void *bytes, size_t count);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
			  void *opaque);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
			  void *opaque);
int __real_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *lock, const struct timespec *until);
int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *lock, const struct timespec *until);

ssize_t __wrap_write(int fd, const void *bytes, size_t count)
{
	if (interrupted) {
		interrupted--;
		errno = EINTR;
		return -1;
	}
	if (full) {
		full--;
		errno = EAGAIN;
		return -1;
	}
	if (stuck) {
		sem_post(&in_write);
		sem_wait(&go_on);
	}
	return __real_write(fd, bytes, count);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
			  void *opaque)
{
	return no_thread ? EAGAIN : __real_pthread_create(thread, attributes, run, opaque);
}

/* The time is over at once for who is impatient. */
int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *lock, const struct timespec *until)
{
	return impatient ? ETIMEDOUT : __real_pthread_cond_timedwait(cond, lock, until);
}

/* ---- Tests ------------------------------------------------------------------ */

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

static void terminal_gets_whole_lines(tcflag_t output)
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
	mode.c_oflag = output;
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
	terminal_gets_whole_lines(ONLCR); /* which means nothing without OPOST */
}

static void a_terminal_that_adds_no_carriage_return_is_as_a_raw_one(void **state)
{
	(void)state;
	terminal_gets_whole_lines(OPOST);
}

static void cooked_terminal_lines_have_one_only(void **state)
{
	(void)state;
	terminal_gets_whole_lines(OPOST | ONLCR);
}

static void an_interrupted_write_loses_nothing(void **state)
{
	int ends[2];
	char *text;

	(void)state;
	open_pipe(ends);
	interrupted = 2;
	full = 2;
	assert_int_equal(bk__base_log_start(ends[1]), 0);
	bk_log(BK_LOG_ERROR, "whole");
	flush();
	bk__base_log_stop();
	assert_int_equal(interrupted + full, 0);
	close(ends[1]);
	text = read_all(ends[0]);
	assert_string_equal(text, "barkeep: whole\n");
	free(text);
	close(ends[0]);
}

static void keep(void *opaque, enum bk_log_level level, const char *line)
{
	(void)level;
	snprintf(opaque, 32, "%s", line);
}

static void without_a_thread_lines_go_where_they_went(void **state)
{
	char kept[32] = "";

	(void)state;
	bk_log_set(keep, kept);
	no_thread = true;
	assert_int_equal(bk__base_log_start(STDERR_FILENO), -EAGAIN);
	no_thread = false;
	bk_log(BK_LOG_ERROR, "as before");
	assert_string_equal(kept, "as before");
	assert_true(bk__base_log_flush());
	bk__base_log_stop(); /* it has none, and takes nothing away */
	bk_log(BK_LOG_ERROR, "again");
	assert_string_equal(kept, "again");
	bk_log_set(NULL, NULL);
}

/* The last test: a process has one log, and this one's thread is never joined. */
static void a_thread_that_hangs_in_a_write_is_left_alone(void **state)
{
	static const char line[] = "barkeep: late\n";
	char text[sizeof(line)] = "";
	int ends[2];

	(void)state;
	open_pipe(ends);
	assert_int_equal(sem_init(&in_write, 0, 0) | sem_init(&go_on, 0, 0), 0);
	stuck = true;
	assert_int_equal(bk__base_log_start(ends[1]), 0);
	bk_log(BK_LOG_ERROR, "late");
	sem_wait(&in_write);
	impatient = true;
	assert_false(bk__base_log_flush());
	bk__base_log_stop();
	bk__base_log_stop();                                   /* it is not detached twice */
	assert_int_equal(bk__base_log_start(ends[1]), -EBUSY); /* the queue is still its own */
	assert_false(bk__base_log_flush());
	impatient = stuck = false;
	sem_post(&go_on);
	flush();
	assert_int_equal(read(ends[0], text, sizeof(text)), sizeof(line) - 1);
	assert_string_equal(text, line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_come_in_order),
		cmocka_unit_test(full_pipe_keeps_nobody),
		cmocka_unit_test(stuck_pipe_does_not_hold_up_the_end),
		cmocka_unit_test(closed_pipe_is_no_end),
		cmocka_unit_test(raw_terminal_lines_have_a_carriage_return),
		cmocka_unit_test(a_terminal_that_adds_no_carriage_return_is_as_a_raw_one),
		cmocka_unit_test(cooked_terminal_lines_have_one_only),
		cmocka_unit_test(an_interrupted_write_loses_nothing),
		cmocka_unit_test(without_a_thread_lines_go_where_they_went),
		cmocka_unit_test(a_thread_that_hangs_in_a_write_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
