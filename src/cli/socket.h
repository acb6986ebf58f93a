/* SPDX-License-Identifier: BSD-2-Clause */
/* A Unix socket that listens at a path, and that no other process of barkeep replaces or removes. */
#ifndef BK_CLI_SOCKET_H
#define BK_CLI_SOCKET_H

#include <sys/stat.h>

#include <barkeep/base.h>

struct cli_socket {
	int fd;        /* listens; -1: not open */
	int directory; /* of the path */
	char *name;    /* in the directory */
	dev_t device;  /* together with the next: which file is ours */
	ino_t inode;
};

/*
 * Listens at `path`, without blocking; only the owner may connect. The socket appears there when it
 * accepts connections. Replaces a socket there that no process listens on. If several processes try at
 * once, one gets the path, the others -EADDRINUSE. A line begins with `what` and the path.
 */
int cli_socket_listen(struct cli_socket *socket, const char *what, const char *path, int backlog,
		      struct bk_error *err);

/* Removes the path, if it is still ours. Does nothing if it is not open. */
void cli_socket_close(struct cli_socket *socket);

#endif
