/* SPDX-License-Identifier: BSD-2-Clause */
/* The standard descriptors and signals of a process, made safe before anything is opened. */
#include "cli/standard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static bool secure_descriptor(int fd)
{
	if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
		return true;
	/* The lowest free number is this one: those below are taken by now. */
	return open("/dev/null", O_RDONLY | O_NOCTTY) == fd;
}

static void on_failed_write(int number)
{
	(void)number;
}

/* A handler, not SIG_IGN: a program that is executed later would inherit that. */
static void secure_signal(int number)
{
	const struct sigaction action = { .sa_handler = on_failed_write, .sa_flags = SA_RESTART };
	struct sigaction old;

	if (!sigaction(number, NULL, &old) && old.sa_handler == SIG_DFL)
		sigaction(number, &action, NULL);
}

bool cli_secure_standard(void)
{
	secure_signal(SIGPIPE);
	secure_signal(SIGXFSZ);
	return secure_descriptor(STDIN_FILENO) && secure_descriptor(STDOUT_FILENO) &&
	       secure_descriptor(STDERR_FILENO);
}
