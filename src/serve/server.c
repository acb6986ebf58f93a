/* SPDX-License-Identifier: BSD-2-Clause */
/* The thread of a server: accepts a client, serves it, accepts the next. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/guard.h"
#include "base/ratelimit.h"
#include "base/thread.h"
#include "serve/session.h"

#define PAUSE_NS 100000000 /* when no descriptor is left for a client */

bool bk__serve_stopping(struct bk__serve *serve)
{
	return atomic_load(&serve->stopping);
}

static void turn_away(struct bk__serve *serve, uid_t user, const char *why)
{
	bk__log_limited(&serve->complaints, BK_LOG_WARNING, "%s: a process of user %u is turned away%s",
			serve->config.name, (unsigned)user, why);
}

/* Whose process is it? Then it is in the group. */
static bool is_welcome(struct bk__serve *serve, int fd)
{
	struct ucred peer = { 0 };
	socklen_t size = sizeof(peer);

	if (!serve->config.check_user && !serve->config.group)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size))
		return false;
	if (serve->config.check_user && peer.uid != serve->config.user && peer.uid != geteuid() && peer.uid) {
		turn_away(serve, peer.uid, "");
		return false;
	}
	if (bk__serve_group_enter(serve->config.group, peer.uid))
		return true;
	turn_away(serve, peer.uid, ": another user has a device of the same IOMMU group");
	return false;
}

/* A device that reaches the memory of an earlier client is given to no other. */
static bool is_clean(struct bk__serve *serve)
{
	const bool was_stuck = serve->stuck;
	const int error = bk__serve_session_settle(serve);

	if (error)
		bk__log_limited(&serve->complaints, BK_LOG_ERROR,
				"%s: a client is not served: the device keeps memory of the last one: %s",
				serve->config.name, strerror(-error));
	else if (was_stuck)
		bk__serve_group_leave(serve->config.group);
	return !error;
}

/* Takes the fd. */
static void serve_client(struct bk__serve *serve, int fd)
{
	if (!bk__serve_stopping(serve) && is_clean(serve) && is_welcome(serve, fd)) {
		atomic_fetch_add(&serve->clients, 1);
		atomic_store(&serve->busy, true);
		bk__serve_session_run(serve, fd);
		atomic_store(&serve->busy, false);
		if (!serve->stuck)
			bk__serve_group_leave(serve->config.group);
	}
	close(fd);
	if (serve->config.gone)
		serve->config.gone(serve->config.opaque);
}

/* Waits for a client; -1 when the server is to stop. */
static int next_client(struct bk__serve *serve)
{
	static struct bk__ratelimit limit;
	struct pollfd fds[] = { { .fd = serve->stop, .events = POLLIN },
				{ .fd = serve->listener, .events = POLLIN } };

	while (!bk__serve_stopping(serve)) {
		const struct timespec pause = { .tv_nsec = PAUSE_NS };
		int fd;

		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return -1;
		if (!(fds[1].revents))
			continue;
		fd = accept4(serve->listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			return fd;
		if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
			continue;
		bk__log_limited(&limit, BK_LOG_ERROR, "%s: no client can be taken: %s", serve->config.name,
				strerror(errno));
		nanosleep(&pause, NULL);
	}
	return -1;
}

static void *run(void *opaque)
{
	struct bk__serve *serve = opaque;
	int fd;

	bk__base_thread_enter("serve");
	if (serve->client >= 0)
		serve_client(serve, serve->client);
	while (serve->listener >= 0 && (fd = next_client(serve)) >= 0)
		serve_client(serve, fd);
	return NULL;
}

static int start(struct bk__serve *serve)
{
	return bk__base_thread_start(&serve->thread, run, serve, NULL);
}

int bk__serve_create(const struct bk__serve_config *config, int fd, bool connected, struct bk__serve **result,
		     struct bk_error *err)
{
	struct bk__serve *serve = calloc(1, sizeof(*serve));
	int error = -ENOMEM;

	if (serve) {
		serve->config = *config;
		serve->listener = connected ? -1 : fd;
		serve->client = connected ? fd : -1;
		pthread_mutex_init(&serve->lock, NULL);
		serve->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		bk__base_guard_start();
		error = serve->stop < 0 ? -errno : start(serve);
	}
	if (!error) {
		*result = serve;
		return 0;
	}
	if (serve && serve->stop >= 0)
		close(serve->stop);
	free(serve);
	close(fd);
	return bk_fail(err, -error, "%s: cannot be served: %s", config->name, strerror(-error));
}

void bk__serve_destroy(struct bk__serve *serve)
{
	const uint64_t one = 1;

	if (!serve)
		return;
	pthread_mutex_lock(&serve->lock);
	atomic_store(&serve->stopping, true);
	if (serve->channel)
		bk__serve_channel_break(serve->channel, -ECANCELED);
	pthread_mutex_unlock(&serve->lock);
	while (write(serve->stop, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	pthread_join(serve->thread, NULL);
	close(serve->stop);
	if (serve->listener >= 0)
		close(serve->listener);
	pthread_mutex_destroy(&serve->lock);
	is_clean(serve); /* what is left is the device's until it is closed */
	free(serve);
}

void bk__serve_stats(struct bk__serve *serve, struct bk__serve_stats *stats)
{
	*stats = (struct bk__serve_stats){
		.clients = atomic_load(&serve->clients),
		.client = atomic_load(&serve->busy),
		.refused = atomic_load(&serve->refused),
		.maps = atomic_load(&serve->maps),
		.memory = atomic_load(&serve->memory),
	};
	for (unsigned i = 0; i < BK__SERVE_COMMANDS; i++) {
		stats->commands[i] = atomic_load(&serve->commands[i]);
		stats->messages += stats->commands[i];
	}
}

_Static_assert((int)BK__SERVE_COMMANDS == BK__WIRE_COMMANDS, "a count for each command");

const char *bk__serve_command_name(unsigned command)
{
	return command ? bk__wire_command_name(command) : "unknown";
}
