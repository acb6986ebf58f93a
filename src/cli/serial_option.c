/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the guest's serial console is: --serial FILE, unix:PATH or pty. */
#include "cli/serial_option.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

void cli_serial_init(struct cli_serial *serial)
{
	*serial = (struct cli_serial){ .in = STDIN_FILENO, .out = STDOUT_FILENO, .listen = -1, .held = -1 };
	serial->socket.fd = serial->socket.directory = -1;
}

/* Raw, so that nothing is echoed to the guest before a terminal program sets it. */
static int open_pty(struct cli_serial *serial, struct bk_error *err)
{
	struct termios mode;
	char name[64];

	serial->in = serial->out = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (serial->in < 0 || grantpt(serial->in) || unlockpt(serial->in) ||
	    ptsname_r(serial->in, name, sizeof(name)))
		return bk_fail(err, errno, "--serial pty: no pseudo-terminal: %s", strerror(errno));
	serial->held = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (serial->held < 0 || tcgetattr(serial->held, &mode))
		return bk_fail(err, errno, "--serial pty: %s: %s", name, strerror(errno));
	cfmakeraw(&mode);
	tcsetattr(serial->held, TCSANOW, &mode);
	fprintf(stderr, "barkeep: the serial console is %s\n", name);
	return 0;
}

int cli_serial_open(struct cli_serial *serial, const char *text, struct bk_error *err)
{
	int error = 0;

	serial->in = serial->out = -1;
	if (!strcmp(text, "pty"))
		return open_pty(serial, err);
	if (!strncmp(text, "unix:", 5)) {
		error = cli_socket_listen(&serial->socket, "--serial", text + 5, 1, err);
		if (!error)
			serial->listen = serial->socket.fd;
		return error;
	}
	serial->out = open(text, O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY | O_CLOEXEC, 0666);
	if (serial->out < 0)
		return bk_fail(err, errno, "--serial %s: %s", text, strerror(errno));
	return 0;
}

void cli_serial_close(struct cli_serial *serial)
{
	if (serial->out > STDERR_FILENO)
		close(serial->out); /* `in` is the same, if there is one */
	if (serial->held >= 0)
		close(serial->held);
	cli_socket_close(&serial->socket);
	cli_serial_init(serial);
}
