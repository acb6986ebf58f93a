/* SPDX-License-Identifier: BSD-2-Clause */
/* Waits at a socket for notes and for its end, which comes when the other process is gone. */
#include "monitor/keeper.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

struct note {
	bool raw;
	struct termios original;
};

static struct {
	pid_t pid;
	int notes; /* the end that is written */
} keeper = { .notes = -1 };

/*
 * If the run is in the background, the terminal belongs to another process, which has set it as it
 * needs. A terminal that is not our controlling one, for example because the session's leader was
 * killed, has no background.
 */
static bool is_ours(void)
{
	const pid_t group = tcgetpgrp(0);

	return group == getpgrp() || (group < 0 && errno == ENOTTY);
}

/* The other process. It calls only what is allowed after a fork with threads. */
static void keep(int terminal, int notes)
{
	struct note note, last = { .raw = false };

	if (dup2(terminal, 0) < 0 || dup2(notes, 1) < 0)
		_exit(1);
	close_range(2, ~0u, 0);
	for (;;) {
		const ssize_t count = read(1, &note, sizeof(note));

		if (count == (ssize_t)sizeof(note))
			last = note;
		else if (count >= 0 || errno != EINTR)
			break;
	}
	if (last.raw && is_ours())
		tcsetattr(0, TCSANOW, &last.original);
	_exit(0);
}

int bk__monitor_keeper_start(int fd, struct bk_error *err)
{
	sigset_t all, before;
	int ends[2];

	if (keeper.notes >= 0)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return bk_fail(err, errno, "console: %s", strerror(errno));
	/* Signals that end or stop the process group must not end this process. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	keeper.pid = fork();
	if (!keeper.pid)
		keep(fd, ends[0]);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	close(ends[0]);
	if (keeper.pid < 0) {
		close(ends[1]);
		return bk_fail(err, errno, "console: no process to guard the terminal: %s", strerror(errno));
	}
	keeper.notes = ends[1];
	return 0;
}

void bk__monitor_keeper_note(const struct termios *original)
{
	struct note note;
	ssize_t ignored;

	if (keeper.notes < 0)
		return;
	memset(&note, 0, sizeof(note));
	note.raw = original;
	if (original)
		note.original = *original;
	ignored = send(keeper.notes, &note, sizeof(note), MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)ignored;
}

void bk__monitor_keeper_stop(void)
{
	if (keeper.notes < 0)
		return;
	close(keeper.notes);
	keeper.notes = -1;
	while (waitpid(keeper.pid, NULL, 0) < 0 && errno == EINTR)
		;
}
