/* SPDX-License-Identifier: BSD-2-Clause */
/* A run in the background: the process that started it waits until the guest runs, or reports the
 * error.
 */
#include "cli/background.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the parent. A child that is gone without a word has said on standard error why. */
static int wait_for_start(int pipe, pid_t child)
{
	char byte;
	int status;
	ssize_t n;

	do {
		n = read(pipe, &byte, 1);
	} while (n < 0 && errno == EINTR);
	if (n == 1)
		return 0;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int cli_background_start(struct cli_background *background, bool *exit_now, int *status, struct bk_error *err)
{
	int ends[2];
	pid_t child;

	if (pipe2(ends, O_CLOEXEC))
		return bk_fail(err, errno, "--daemonize: pipe: %s", strerror(errno));
	fflush(NULL);
	child = fork();
	if (child < 0) {
		const int error = errno;

		close(ends[0]);
		close(ends[1]);
		return bk_fail(err, error, "--daemonize: fork: %s", strerror(error));
	}
	*exit_now = child > 0;
	if (child) {
		close(ends[1]);
		*status = wait_for_start(ends[0], child);
		close(ends[0]);
		return 0;
	}
	close(ends[0]);
	setsid();
	background->started = ends[1];
	return 0;
}

void cli_background_go(struct cli_background *background, int log)
{
	const int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
	const char byte = 0;

	if (background->started < 0)
		return;
	dup2(nowhere, STDIN_FILENO);
	dup2(log >= 0 ? log : nowhere, STDOUT_FILENO);
	dup2(log >= 0 ? log : nowhere, STDERR_FILENO);
	if (nowhere > STDERR_FILENO)
		close(nowhere);
	while (write(background->started, &byte, 1) < 0 && errno == EINTR) {
		/* once more */
	}
	close(background->started);
	background->started = -1;
}

/* Nothing but a number and the end of its line: then it may be written over. */
static bool is_pidfile(int fd)
{
	char text[24];
	const ssize_t n = pread(fd, text, sizeof(text), 0);

	for (ssize_t i = 0; i + 1 < n; i++)
		if (text[i] < '0' || text[i] > '9')
			return false;
	return n == 0 || (n > 1 && n < (ssize_t)sizeof(text) && text[n - 1] == '\n');
}

int cli_pidfile_open(struct cli_pidfile *pidfile, const char *path, struct bk_error *err)
{
	char text[24];
	int error = 0;

	pidfile->path = path;
	pidfile->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);
	if (pidfile->fd < 0)
		return bk_fail(err, errno, "--pidfile %s: %s", path, strerror(errno));
	snprintf(text, sizeof(text), "%d\n", (int)getpid());
	if (flock(pidfile->fd, LOCK_EX | LOCK_NB))
		error = bk_fail(err, EEXIST, "--pidfile %s: another run that is there has it", path);
	else if (!is_pidfile(pidfile->fd))
		error = bk_fail(err, EEXIST, "--pidfile %s: it holds something else than a process number",
				path);
	else if (ftruncate(pidfile->fd, 0) ||
		 pwrite(pidfile->fd, text, strlen(text), 0) != (ssize_t)strlen(text))
		error = bk_fail(err, EIO, "--pidfile %s: it cannot be written: %s", path, strerror(errno));
	if (!error)
		return 0;
	close(pidfile->fd);
	pidfile->fd = -1;
	return error;
}

void cli_pidfile_close(struct cli_pidfile *pidfile)
{
	if (pidfile->fd < 0)
		return;
	unlink(pidfile->path);
	close(pidfile->fd);
	pidfile->fd = -1;
}
