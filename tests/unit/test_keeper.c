/* SPDX-License-Identifier: BSD-2-Clause */
/* The terminal is given back when the process that made it raw is killed, by whichever relation it has to it.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "monitor/keeper.h"

enum relation {
	STRANGER,   /* the terminal does not control the process */
	FOREGROUND, /* a job of the session whose terminal it is */
	BACKGROUND,
	LEADER, /* the process is the leader of that session */
};

static void go_raw_and_die(int slave)
{
	struct termios original, raw;
	struct bk_error err;

	if (bk__monitor_keeper_start(slave, &err) || tcgetattr(slave, &original))
		_exit(1);
	raw = original;
	cfmakeraw(&raw);
	bk__monitor_keeper_note(&original);
	signal(SIGTTOU, SIG_IGN);
	if (tcsetattr(slave, TCSANOW, &raw))
		_exit(1);
	kill(getpid(), SIGKILL);
}

/* The leader of a session; it has a job in the foreground or background, or is what goes raw itself. */
static void lead(int slave, enum relation relation)
{
	pid_t job;

	if (setsid() < 0 || (relation != STRANGER && ioctl(slave, TIOCSCTTY, 0)))
		_exit(1);
	if (relation == LEADER || relation == STRANGER)
		go_raw_and_die(slave);
	signal(SIGTTOU, SIG_IGN);
	job = fork();
	if (!job) {
		setpgid(0, 0);
		if (relation == FOREGROUND)
			tcsetpgrp(slave, getpgrp());
		go_raw_and_die(slave);
	}
	close(slave);
	waitpid(job, NULL, 0);
	/* The session is there until its terminal is given back: the keeper is the only one left of the job.
	 */
	pause();
	_exit(0);
}

static bool raw_after(enum relation relation)
{
	const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios mode;
	int slave, status;
	pid_t leader;
	char byte;

	assert_true(master >= 0);
	assert_int_equal(grantpt(master) | unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	assert_true(slave >= 0);
	assert_int_equal(tcgetattr(slave, &mode), 0);
	assert_true(mode.c_lflag & ICANON);
	leader = fork();
	if (!leader)
		lead(slave, relation);
	close(slave);
	/* The end: nobody has the terminal open any more, the keeper neither. */
	while (read(master, &byte, 1) > 0)
		;
	assert_int_equal(errno, EIO);
	assert_int_equal(tcgetattr(master, &mode), 0);
	kill(leader, SIGKILL);
	assert_int_equal(waitpid(leader, &status, 0), leader);
	assert_true(WIFSIGNALED(status));
	close(master);
	return !(mode.c_lflag & ICANON);
}

static void foreground_job_killed(void **state)
{
	(void)state;
	assert_false(raw_after(FOREGROUND));
}

static void session_leader_killed(void **state)
{
	(void)state;
	assert_false(raw_after(LEADER));
}

static void process_of_no_session_killed(void **state)
{
	(void)state;
	assert_false(raw_after(STRANGER));
}

/* It is the foreground's. */
static void background_job_killed(void **state)
{
	(void)state;
	assert_true(raw_after(BACKGROUND));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(foreground_job_killed),
		cmocka_unit_test(session_leader_killed),
		cmocka_unit_test(process_of_no_session_killed),
		cmocka_unit_test(background_job_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
