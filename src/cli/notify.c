/* SPDX-License-Identifier: BSD-2-Clause */
/* Notifications to systemd and sockets from it: sd_notify(3) and sd_listen_fds(3), by a socket and
 * variables. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/number.h"
#include "cli/served.h"

#define SOCKETS_MOST 64

void cli_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const size_t length = path ? strlen(path) : 0;
	int fd;

	if (!length || length >= sizeof(address.sun_path) || (*path != '/' && *path != '@'))
		return;
	memcpy(address.sun_path, path, length);
	if (*path == '@')
		address.sun_path[0] = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	/* By connect, so that the sandbox need not let datagrams go anywhere. */
	if (connect(fd, (const struct sockaddr *)&address,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) ||
	    send(fd, state, strlen(state), MSG_NOSIGNAL) < 0)
		bk_log(BK_LOG_WARNING, "NOTIFY_SOCKET %s: %s", path, strerror(errno));
	close(fd);
}

unsigned cli_notify_sockets(void)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	uint64_t number;

	if (!pid || !count || !bk__base_number(pid, &number) || number != (uint64_t)getpid() ||
	    !bk__base_number(count, &number) || number > SOCKETS_MOST)
		return 0;
	return (unsigned)number;
}
