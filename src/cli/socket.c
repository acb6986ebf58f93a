/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A Unix socket that listens at a path, and that no other process of barkeep replaces or removes. It is
 * bound to a temporary name and gets the path, by link(), once it listens. So a socket at the path that
 * refuses connections was left by a process that has ended. Looking whether it is one and removing it
 * happen under a lock on the directory, so that what is removed is what was looked at.
 */
#include "cli/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define TRIES     1000 /* 10 ms each, while others do the same */
#define OWN_NAMES 100  /* that are left from killed processes with our number */

/* Through the directory, so that the path's length does not count, nor what the current directory is. */
static void set_address(struct sockaddr_un *address, int directory, const char *name)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/%s", directory, name);
}

static int open_directory(struct cli_socket *socket, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *parent = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	int error = 0;

	socket->name = strdup(slash ? slash + 1 : path);
	if (!parent || !socket->name)
		error = -ENOMEM;
	else
		socket->directory = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (!error && socket->directory < 0)
		error = -errno;
	free(parent);
	return error;
}

/* Is this a socket that no process listens on? */
static bool is_stale(const struct cli_socket *listener)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;
	struct stat st;
	bool stale;

	if (fd < 0)
		return false;
	set_address(&address, listener->directory, listener->name);
	stale = !fstatat(listener->directory, listener->name, &st, AT_SYMLINK_NOFOLLOW) &&
		S_ISSOCK(st.st_mode) && connect(fd, (const struct sockaddr *)&address, sizeof(address)) &&
		errno == ECONNREFUSED;
	close(fd);
	return stale;
}

/* 0, or -EAGAIN while others do the same, or an error. */
static int remove_stale(const struct cli_socket *socket)
{
	const int lock = openat(socket->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	int error = 0;

	if (lock < 0)
		return -errno;
	if (flock(lock, LOCK_EX | LOCK_NB))
		error = errno == EWOULDBLOCK ? -EAGAIN : -errno;
	else if (is_stale(socket))
		unlinkat(socket->directory, socket->name, 0);
	else if (!fstatat(socket->directory, socket->name, &st, AT_SYMLINK_NOFOLLOW))
		error = -EADDRINUSE;
	close(lock);
	return error;
}

/* Gives the socket, which is at `own`, its path. */
static int take_path(const struct cli_socket *socket, const char *own)
{
	const struct timespec pause = { .tv_nsec = 10000000 };

	for (unsigned try = 0; try < TRIES; try++) {
		int error;

		if (!linkat(socket->directory, own, socket->directory, socket->name, 0))
			return 0;
		error = errno == EEXIST ? remove_stale(socket) : -errno;
		if (error && error != -EAGAIN)
			return error;
		if (error)
			nanosleep(&pause, NULL);
	}
	return -EADDRINUSE;
}

/* Binds it to a name that is not in use. */
static int bind_own(struct cli_socket *socket, char *own, size_t room)
{
	struct sockaddr_un address;

	for (unsigned number = 0; number < OWN_NAMES; number++) {
		snprintf(own, room, ".barkeep-%d-%u", (int)getpid(), number);
		set_address(&address, socket->directory, own);
		if (!bind(socket->fd, (const struct sockaddr *)&address, sizeof(address)))
			return 0;
		if (errno != EADDRINUSE)
			break;
	}
	return -errno;
}

static int listen_there(struct cli_socket *listener, int backlog)
{
	char own[30];
	struct stat st;
	int error;

	listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* What fchmod says is what bind makes: there is no moment in which others may connect. */
	if (listener->fd < 0 || fchmod(listener->fd, 0600))
		return -errno;
	error = bind_own(listener, own, sizeof(own));
	if (error)
		return error;
	if (fstatat(listener->directory, own, &st, AT_SYMLINK_NOFOLLOW) || listen(listener->fd, backlog)) {
		error = -errno;
	} else {
		listener->device = st.st_dev;
		listener->inode = st.st_ino;
		error = take_path(listener, own);
	}
	unlinkat(listener->directory, own, 0);
	return error;
}

int cli_socket_listen(struct cli_socket *socket, const char *what, const char *path, int backlog,
		      struct bk_error *err)
{
	/* As long as a path can be that who connects puts into an address. */
	const size_t room = sizeof(((struct sockaddr_un *)NULL)->sun_path);
	int error;

	*socket = (struct cli_socket){ .fd = -1, .directory = -1 };
	if (!*path || strlen(path) >= room)
		return bk_fail(err, ENAMETOOLONG, "%s %s: a socket's path has 1 to %zu bytes", what, path,
			       room - 1);
	error = open_directory(socket, path);
	if (!error)
		error = listen_there(socket, backlog);
	if (!error)
		return 0;
	cli_socket_close(socket);
	return bk_fail(err, -error, "%s %s: %s", what, path,
		       error == -EADDRINUSE ? "it is there already, and in use or no socket"
					    : strerror(-error));
}

void cli_socket_close(struct cli_socket *socket)
{
	struct stat st;

	/* No other process takes the path while this socket accepts connections. */
	if (socket->inode && !fstatat(socket->directory, socket->name, &st, AT_SYMLINK_NOFOLLOW) &&
	    st.st_dev == socket->device && st.st_ino == socket->inode)
		unlinkat(socket->directory, socket->name, 0);
	if (socket->fd >= 0)
		close(socket->fd);
	if (socket->directory >= 0)
		close(socket->directory);
	free(socket->name);
	*socket = (struct cli_socket){ .fd = -1, .directory = -1 };
}
