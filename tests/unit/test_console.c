/* SPDX-License-Identifier: BSD-2-Clause */
/* The console on pipes, and on a pseudo-terminal whose state is looked at from outside. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "monitor/console.h"

#define TRIES 60000 /* of 10 ms: how long anything may take to happen */

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
}

static double seconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- A guest that takes what it has room for --------------------------- */

struct guest {
	pthread_mutex_t lock;
	size_t room, count;
	uint8_t bytes[1 << 18];
	unsigned escapes;
};

static struct guest guest = { .lock = PTHREAD_MUTEX_INITIALIZER };

static size_t on_room(void *opaque)
{
	size_t room;

	pthread_mutex_lock(&guest.lock);
	room = guest.room;
	pthread_mutex_unlock(&guest.lock);
	return room;
}

static void on_input(void *opaque, const uint8_t *bytes, size_t count)
{
	pthread_mutex_lock(&guest.lock);
	if (count > guest.room || guest.count + count > sizeof(guest.bytes))
		abort();
	memcpy(guest.bytes + guest.count, bytes, count);
	guest.count += count;
	guest.room -= count;
	pthread_mutex_unlock(&guest.lock);
}

static void on_escape(void *opaque)
{
	pthread_mutex_lock(&guest.lock);
	guest.escapes++;
	pthread_mutex_unlock(&guest.lock);
}

static const struct bk__monitor_console_ops ops = { on_room, on_input, on_escape };

static void make_room(struct bk__monitor_console *console, size_t room)
{
	pthread_mutex_lock(&guest.lock);
	guest.room = room;
	pthread_mutex_unlock(&guest.lock);
	if (console)
		bk__monitor_console_poke(console);
}

/* The guest has taken `count` bytes, or will in time. */
static bool taken(size_t count)
{
	for (int i = 0; i < TRIES; i++) {
		bool enough;

		pthread_mutex_lock(&guest.lock);
		enough = guest.count >= count;
		pthread_mutex_unlock(&guest.lock);
		if (enough)
			return true;
		nap();
	}
	return false;
}

static bool escaped(void)
{
	for (int i = 0; i < TRIES; i++) {
		unsigned escapes;

		pthread_mutex_lock(&guest.lock);
		escapes = guest.escapes;
		pthread_mutex_unlock(&guest.lock);
		if (escapes)
			return true;
		nap();
	}
	return false;
}

static int fresh_guest(void **state)
{
	guest.room = sizeof(guest.bytes);
	guest.count = guest.escapes = 0;
	return 0;
}

/* ---- Pipes and files --------------------------------------------------- */

static void input_in_order(void **state)
{
	struct bk__monitor_console *console;
	struct bk_error err;
	uint8_t bytes[50000];
	int in[2];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + i / 256);
	bytes[0] = 1; /* no escape key: this is no terminal */
	bytes[1] = 'x';
	assert_int_equal(pipe(in), 0);
	make_room(NULL, 0);
	assert_int_equal(bk__monitor_console_open(in[0], -1, -1, &ops, NULL, &console, &err), 0);
	assert_int_equal(write(in[1], bytes, sizeof(bytes)), sizeof(bytes));
	close(in[1]);
	for (size_t at = 0; at < sizeof(bytes); at += 1000) {
		make_room(console, 1000);
		assert_true(taken(at + 1000));
	}
	assert_int_equal(guest.escapes, 0);
	assert_memory_equal(guest.bytes, bytes, sizeof(bytes));
	bk__monitor_console_close(console);
	close(in[0]);
}

/* CPU time that the process uses in 300 ms. */
static double cpu_while_idle(void)
{
	double before = seconds(CLOCK_PROCESS_CPUTIME_ID);

	for (int i = 0; i < 30; i++)
		nap();
	return seconds(CLOCK_PROCESS_CPUTIME_ID) - before;
}

/* Input that has ended, in all the ways it can: nothing spins, output goes on, and bytes read before count.
 */
static void end_of_input(void **state)
{
	int in[2], out[2], null = open("/dev/null", O_RDWR), unreadable = open("/dev/null", O_WRONLY);
	char text[2];

	assert_int_equal(pipe(in), 0);
	assert_int_equal(write(in[1], "ab", 2), 2);
	close(in[1]);
	for (int i = 0; i < 4; i++) {
		int ends[] = { in[0], null, -1, unreadable };
		struct bk__monitor_console *console;
		struct bk_error err;

		assert_int_equal(pipe(out), 0);
		assert_int_equal(bk__monitor_console_open(ends[i], out[1], -1, &ops, NULL, &console, &err),
				 0);
		if (i == 0)
			assert_true(taken(2));
		assert_true(cpu_while_idle() < 0.05);
		bk__monitor_console_output(console, 'o');
		bk__monitor_console_output(console, 'k');
		bk__monitor_console_close(console);
		assert_int_equal(read(out[0], text, 2), 2);
		assert_memory_equal(text, "ok", 2);
		close(out[0]);
		close(out[1]);
	}
	close(in[0]);
	close(null);
	close(unreadable);
}

static void shared_flags_stay(void **state)
{
	struct bk__monitor_console *console;
	struct bk_error err;
	int in[2], out[2];

	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	assert_int_equal(bk__monitor_console_open(in[0], out[1], -1, &ops, NULL, &console, &err), 0);
	assert_int_equal(fcntl(in[0], F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(fcntl(out[1], F_GETFL) & O_NONBLOCK, 0);
	bk__monitor_console_close(console);
	for (int i = 0; i < 2; i++) {
		close(in[i]);
		close(out[i]);
	}
}

/* A regular file goes on where it was, and appends if it appends. */
static void regular_files(void **state)
{
	char name[] = "/tmp/barkeep-console-XXXXXX", text[16] = "";
	struct bk__monitor_console *console;
	struct bk_error err;
	int fd = mkstemp(name), append = open(name, O_WRONLY | O_APPEND);

	assert_int_equal(write(fd, "skip:data", 9), 9);
	assert_int_equal(lseek(fd, 5, SEEK_SET), 5);
	assert_int_equal(bk__monitor_console_open(fd, append, -1, &ops, NULL, &console, &err), 0);
	assert_true(taken(4));
	assert_memory_equal(guest.bytes, "data", 4);
	bk__monitor_console_output(console, '!');
	bk__monitor_console_close(console);
	assert_int_equal(pread(fd, text, sizeof(text), 0), 10);
	assert_string_equal(text, "skip:data!");
	close(fd);
	close(append);
	unlink(name);
}

/* All of a long text arrives, if the reader is slow but there. */
static void *slow_reader(void *opaque)
{
	uint8_t bytes[4096], next = 0;
	ssize_t got;

	while ((got = read(*(int *)opaque, bytes, sizeof(bytes))) > 0) {
		for (ssize_t i = 0; i < got; i++)
			if (bytes[i] != next++)
				return "wrong byte";
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	return next == (200000 & 255) ? NULL : "wrong count";
}

static void output_flushed(void **state)
{
	struct bk__monitor_console *console;
	struct bk_error err;
	pthread_t thread;
	void *wrong;
	int out[2];

	assert_int_equal(pipe(out), 0);
	assert_int_equal(bk__monitor_console_open(-1, out[1], -1, &ops, NULL, &console, &err), 0);
	assert_int_equal(pthread_create(&thread, NULL, slow_reader, &out[0]), 0);
	for (unsigned i = 0; i < 200000; i++)
		bk__monitor_console_output(console, (uint8_t)i);
	bk__monitor_console_close(console);
	close(out[1]);
	pthread_join(thread, &wrong);
	assert_null(wrong);
	close(out[0]);
}

/* Nobody reads: the wait is bounded, once, not for each byte. */
static void output_stuck(void **state)
{
	struct bk__monitor_console *console;
	struct bk_error err;
	double before = seconds(CLOCK_MONOTONIC);
	int out[2];

	assert_int_equal(pipe(out), 0);
	assert_int_equal(bk__monitor_console_open(-1, out[1], -1, &ops, NULL, &console, &err), 0);
	for (unsigned i = 0; i < 200000; i++)
		bk__monitor_console_output(console, 'x');
	bk__monitor_console_close(console);
	assert_true(seconds(CLOCK_MONOTONIC) - before < 5);
	close(out[0]);
	close(out[1]);
}

static void on_line(void *opaque, enum bk_log_level level, const char *line)
{
	if (strstr(line, "what the guest says is lost"))
		__atomic_fetch_add((unsigned *)opaque, 1, __ATOMIC_RELAXED);
}

/* Said once, since nothing else shows it. */
static void output_to_a_full_disk(void **state)
{
	struct bk__monitor_console *console;
	struct bk_error err;
	unsigned lines = 0;
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	assert_true(full >= 0);
	bk_log_set(on_line, &lines);
	assert_int_equal(bk__monitor_console_open(-1, full, -1, &ops, NULL, &console, &err), 0);
	for (unsigned i = 0; i < 100000; i++)
		bk__monitor_console_output(console, 'x');
	bk__monitor_console_close(console);
	bk_log_set(NULL, NULL);
	assert_int_equal(lines, 1);
	close(full);
}

/* The reader has gone: output is dropped, and SIGPIPE (which would end this test) does not come. */
static void output_closed(void **state)
{
	struct bk__monitor_console *console;
	struct bk_error err;
	int out[2];

	assert_int_equal(pipe(out), 0);
	close(out[0]);
	assert_int_equal(bk__monitor_console_open(-1, out[1], -1, &ops, NULL, &console, &err), 0);
	for (unsigned i = 0; i < 200000; i++)
		bk__monitor_console_output(console, 'x');
	assert_true(cpu_while_idle() < 0.05);
	bk__monitor_console_close(console);
	close(out[1]);
}

/* ---- A terminal -------------------------------------------------------- */

struct pty {
	int master, slave;
	char name[64];
	struct termios before;
};

static struct pty open_pty(void)
{
	struct pty pty = { .master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC) };

	assert_true(pty.master >= 0);
	assert_int_equal(grantpt(pty.master), 0);
	assert_int_equal(unlockpt(pty.master), 0);
	assert_int_equal(ptsname_r(pty.master, pty.name, sizeof(pty.name)), 0);
	pty.slave = open(pty.name, O_RDWR | O_NOCTTY);
	assert_true(pty.slave >= 0);
	assert_int_equal(tcgetattr(pty.slave, &pty.before), 0);
	assert_true(pty.before.c_lflag & ICANON);
	return pty;
}

static void close_pty(struct pty *pty)
{
	close(pty->master);
	close(pty->slave);
}

static bool is_raw(const struct pty *pty)
{
	struct termios now;

	assert_int_equal(tcgetattr(pty->slave, &now), 0);
	return !(now.c_lflag & (ICANON | ECHO | ISIG)) && !(now.c_oflag & OPOST);
}

static bool becomes_raw(const struct pty *pty, bool raw)
{
	for (int i = 0; i < TRIES; i++) {
		if (is_raw(pty) == raw)
			return true;
		nap();
	}
	return false;
}

static void given_back(const struct pty *pty)
{
	struct termios now;

	assert_int_equal(tcgetattr(pty->slave, &now), 0);
	assert_int_equal(now.c_iflag, pty->before.c_iflag);
	assert_int_equal(now.c_oflag, pty->before.c_oflag);
	assert_int_equal(now.c_cflag, pty->before.c_cflag);
	assert_int_equal(now.c_lflag, pty->before.c_lflag);
	assert_memory_equal(now.c_cc, pty->before.c_cc, sizeof(now.c_cc));
}

static void terminal_and_close(void **state)
{
	struct pty pty = open_pty();
	struct bk__monitor_console *console, *second;
	struct bk_error err;
	char text[8];

	assert_int_equal(bk__monitor_console_open(pty.slave, pty.slave, -1, &ops, NULL, &console, &err), 0);
	assert_true(is_raw(&pty));
	assert_int_equal(write(pty.master, "\x03\x1a\r", 3), 3);
	assert_true(taken(3));
	assert_memory_equal(guest.bytes, "\x03\x1a\r", 3);
	bk__monitor_console_output(console, '\n');
	assert_int_equal(read(pty.master, text, sizeof(text)), 1);
	assert_int_equal(text[0], '\n');
	assert_int_equal(bk__monitor_console_open(pty.slave, -1, -1, &ops, NULL, &second, &err), -EBUSY);
	assert_true(is_raw(&pty));
	bk__monitor_console_close(console);
	given_back(&pty);
	/* And once more, now that it is free. */
	assert_int_equal(bk__monitor_console_open(pty.slave, -1, -1, &ops, NULL, &second, &err), 0);
	assert_true(is_raw(&pty));
	bk__monitor_console_close(second);
	given_back(&pty);
	close_pty(&pty);
}

static void escape_key(void **state)
{
	struct pty pty = open_pty();
	struct bk__monitor_console *console;
	struct bk_error err;
	char text[128] = "";

	assert_int_equal(bk__monitor_console_open(pty.slave, pty.slave, -1, &ops, NULL, &console, &err), 0);
	assert_int_equal(write(pty.master, "a\x01\x01x\x01", 5), 5);
	assert_true(taken(3));
	assert_memory_equal(guest.bytes, "a\x01x", 3);
	assert_int_equal(write(pty.master, "hb", 2), 2);
	assert_true(taken(4));
	assert_int_equal(guest.bytes[3], 'b');
	assert_true(read(pty.master, text, sizeof(text) - 1) > 0);
	assert_non_null(strstr(text, "Ctrl-A x"));
	/* Also while the guest takes nothing. */
	make_room(NULL, 0);
	assert_int_equal(write(pty.master, "typed ahead\x01x", 13), 13);
	assert_true(escaped());
	assert_int_equal(guest.count, 4);
	bk__monitor_console_close(console);
	given_back(&pty);
	close_pty(&pty);
}

/* The other side hangs up. */
static void hangup(void **state)
{
	struct pty pty = open_pty();
	struct bk__monitor_console *console;
	struct bk_error err;

	assert_int_equal(bk__monitor_console_open(pty.slave, pty.slave, -1, &ops, NULL, &console, &err), 0);
	close(pty.master);
	nap();
	assert_true(cpu_while_idle() < 0.05);
	bk__monitor_console_output(console, 'x');
	bk__monitor_console_close(console);
	close(pty.slave);
}

/* ---- Processes that end ------------------------------------------------ */

/* A child with the pty as its controlling terminal runs `body`. */
static pid_t child(struct pty *pty, void (*body)(struct pty *pty))
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		/* cmocka's handlers are not the child's. */
		for (int number = 1; number < NSIG; number++)
			signal(number, SIG_DFL);
		setsid();
		ioctl(pty->slave, TIOCSCTTY, 0);
		body(pty);
		_exit(99);
	}
	return pid;
}

static struct bk__monitor_console *console_of(struct pty *pty)
{
	struct bk__monitor_console *console;

	if (bk__monitor_console_open(pty->slave, pty->slave, -1, &ops, NULL, &console, NULL))
		_exit(98);
	return console;
}

static void wait_for_ever(struct pty *pty)
{
	console_of(pty);
	for (;;)
		pause();
}

static void exits_on_input(struct pty *pty)
{
	console_of(pty);
	while (!taken(1))
		;
	exit(7);
}

static void forks(struct pty *pty)
{
	pid_t pid;

	console_of(pty);
	pid = fork();
	if (!pid)
		exit(0);
	waitpid(pid, NULL, 0);
	for (;;)
		pause();
}

static void ended_by_a_signal(void **state)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGABRT, SIGSEGV, SIGPIPE, SIGUSR1 };

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		struct pty pty = open_pty();
		pid_t pid = child(&pty, wait_for_ever);
		int status;

		assert_true(becomes_raw(&pty, true));
		assert_int_equal(kill(pid, signals[i]), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), signals[i]);
		given_back(&pty);
		close_pty(&pty);
	}
}

static void ended_by_exit(void **state)
{
	struct pty pty = open_pty();
	pid_t pid = child(&pty, exits_on_input);
	int status;

	assert_true(becomes_raw(&pty, true));
	assert_int_equal(write(pty.master, "q", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
	given_back(&pty);
	close_pty(&pty);
}

/* A signal that the process handles itself is left to it. */
static volatile sig_atomic_t terminated;

static void on_term(int number)
{
	terminated = 1;
}

static void handles_term(struct pty *pty)
{
	struct bk__monitor_console *console;

	signal(SIGTERM, on_term);
	console = console_of(pty);
	while (!terminated)
		nap();
	if (signal(SIGTERM, SIG_DFL) != on_term)
		_exit(1);
	bk__monitor_console_close(console);
	_exit(signal(SIGINT, SIG_IGN) == SIG_DFL && signal(SIGTSTP, SIG_IGN) == SIG_DFL ? 5 : 2);
}

static void own_handlers_stay(void **state)
{
	struct pty pty = open_pty();
	pid_t pid = child(&pty, handles_term);
	int status;

	assert_true(becomes_raw(&pty, true));
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 5);
	given_back(&pty);
	close_pty(&pty);
}

/* The exit of a forked child is not the end of the console. */
static void childs_exit(void **state)
{
	struct pty pty = open_pty();
	pid_t pid = child(&pty, forks);
	int status;

	assert_true(becomes_raw(&pty, true));
	for (int i = 0; i < 20; i++)
		nap();
	assert_true(is_raw(&pty));
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	given_back(&pty);
	close_pty(&pty);
}

/* ---- Job control ------------------------------------------------------- */

/* Runs as the shell of a session: fails by its exit status, the line where. */
#define CHECK(CONDITION)                                                        \
	do {                                                                    \
		if (!(CONDITION)) {                                             \
			if (job > 0)                                            \
				kill(job, SIGKILL);                             \
			fprintf(stderr, "line %d: %s\n", __LINE__, #CONDITION); \
			_exit(1);                                               \
		}                                                               \
	} while (0)

static double cpu_of(pid_t pid)
{
	clockid_t clock;

	return clock_getcpuclockid(pid, &clock) ? -1 : seconds(clock);
}

static pid_t start_job(struct pty *pty, bool foreground)
{
	pid_t job = fork();

	if (!job) {
		setpgid(0, 0);
		while (foreground && tcgetpgrp(pty->slave) != getpgrp())
			nap();
		signal(SIGTTOU, SIG_DFL);
		wait_for_ever(pty);
	}
	setpgid(job, job);
	if (foreground)
		tcsetpgrp(pty->slave, job);
	return job;
}

static void shell(struct pty *pty)
{
	double cpu;
	pid_t job;
	int status;

	signal(SIGTTOU, SIG_IGN); /* as shells do */
	job = start_job(pty, true);
	CHECK(becomes_raw(pty, true));

	/* Stopped from the keyboard of another terminal: ours is usable at once. */
	CHECK(!kill(job, SIGTSTP));
	CHECK(waitpid(job, &status, WUNTRACED) == job);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP);
	CHECK(!is_raw(pty));
	CHECK(!tcsetpgrp(pty->slave, getpgrp()));

	/* Continued in the background: it runs, touches nothing, reads nothing, and does not spin. */
	CHECK(!kill(job, SIGCONT));
	CHECK(write(pty->master, "ls\n", 3) == 3);
	nap();
	cpu = cpu_of(job);
	for (int i = 0; i < 60; i++)
		nap();
	CHECK(cpu_of(job) - cpu < 0.05);
	CHECK(!is_raw(pty));
	CHECK(waitpid(job, &status, WNOHANG | WUNTRACED) == 0);
	CHECK(tcflush(pty->slave, TCIFLUSH) == 0);

	/* Back in the foreground, first without a signal, then after a stop without a warning. */
	CHECK(!tcsetpgrp(pty->slave, job));
	CHECK(becomes_raw(pty, true));
	CHECK(!kill(job, SIGSTOP));
	CHECK(waitpid(job, &status, WUNTRACED) == job && WIFSTOPPED(status));
	CHECK(!tcsetpgrp(pty->slave, getpgrp()));
	CHECK(!tcsetattr(pty->slave, TCSANOW, &pty->before));
	CHECK(!tcsetpgrp(pty->slave, job));
	CHECK(!kill(job, SIGCONT));
	CHECK(becomes_raw(pty, true));
	CHECK(!kill(job, SIGTERM));
	CHECK(waitpid(job, &status, 0) == job && WIFSIGNALED(status));
	CHECK(!is_raw(pty));
	CHECK(!tcsetpgrp(pty->slave, getpgrp()));

	/* Started in the background, and ended there. */
	job = start_job(pty, false);
	for (int i = 0; i < 20; i++)
		nap();
	CHECK(waitpid(job, &status, WNOHANG | WUNTRACED) == 0);
	CHECK(!is_raw(pty));
	CHECK(!kill(job, SIGTERM));
	CHECK(waitpid(job, &status, 0) == job && WIFSIGNALED(status));
	_exit(0);
}

static void job_control(void **state)
{
	struct pty pty = open_pty();
	pid_t pid = child(&pty, shell);
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	given_back(&pty);
	close_pty(&pty);
}

int main(void)
{
#define TEST(NAME) cmocka_unit_test_setup(NAME, fresh_guest)
	const struct CMUnitTest tests[] = {
		TEST(input_in_order),
		TEST(end_of_input),
		TEST(shared_flags_stay),
		TEST(regular_files),
		TEST(output_flushed),
		TEST(output_stuck),
		TEST(output_to_a_full_disk),
		TEST(output_closed),
		TEST(terminal_and_close),
		TEST(escape_key),
		TEST(hangup),
		TEST(ended_by_a_signal),
		TEST(ended_by_exit),
		TEST(own_handlers_stay),
		TEST(childs_exit),
		TEST(job_control),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
