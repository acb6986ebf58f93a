/* SPDX-License-Identifier: BSD-2-Clause */
/* One device of `barkeep serve`: its options, its start, and what its host says while no client listens. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/items.h"
#include "base/number.h"
#include "cli/served.h"

#define SPIN_MOST 1000 /* microseconds */
#define BACKLOG   16

static const unsigned host_events[2] = { BK_DEVICE_ERR, BK_DEVICE_REQ };

/* ---- Options ----------------------------------------------------------- */

static int parse_number(const char *key, const char *value, uint64_t most, uint64_t *number,
			struct bk_error *err)
{
	if (!bk__base_number(value, number) || *number > most)
		return bk_fail(err, EINVAL, "%s=%s: give a number up to %llu", key, value,
			       (unsigned long long)most);
	return 0;
}

static int parse_user(const char *value, uid_t *user, struct bk_error *err)
{
	const struct passwd *entry = getpwnam(value);
	uint64_t number;

	if (!entry && (!bk__base_number(value, &number) || number >= UINT32_MAX))
		return bk_fail(err, EINVAL, "user=%s: there is no such user", value);
	*user = entry ? entry->pw_uid : (uid_t)number;
	return 0;
}

static int parse_mmap(const char *value, enum bk__serve_mmap *mmap, struct bk_error *err)
{
	static const char *const words[] = { "off", "safe", "device-fd" };

	for (unsigned i = 0; i < 3; i++) {
		if (!strcmp(value, words[i])) {
			*mmap = (enum bk__serve_mmap)i;
			return 0;
		}
	}
	return bk_fail(err, EINVAL, "mmap=%s: off, safe or device-fd", value);
}

static int parse_mode(const char *value, unsigned *mode, struct bk_error *err)
{
	char *end;
	const unsigned long number = strtoul(value, &end, 8);

	if (end == value || *end || number & ~0666UL || (number & 0600) != 0600)
		return bk_fail(err, EINVAL, "mode=%s: give it in octal, 0600 to 0666", value);
	*mode = (unsigned)number;
	return 0;
}

static int parse_copy(const char *value, char **text, struct bk_error *err)
{
	free(*text);
	*text = strdup(value);
	return *text ? 0 : bk_fail(err, ENOMEM, "out of memory");
}

/* An option of the socket's; *mine is false for one of the device's. */
static int parse_option(struct cli_served *served, char *item, bool *mine, struct bk_error *err)
{
	char *value = strchr(item, '=');
	uint64_t number;
	int error;

	*mine = value;
	if (!value)
		return 0;
	*value++ = 0;
	if (!strcmp(item, "socket"))
		return parse_copy(value, &served->path, err);
	if (!strcmp(item, "group"))
		return parse_copy(value, &served->group, err);
	if (!strcmp(item, "mode"))
		return parse_mode(value, &served->mode, err);
	if (!strcmp(item, "mmap"))
		return parse_mmap(value, &served->config.mmap, err);
	if (!strcmp(item, "user")) {
		served->config.check_user = true;
		return parse_user(value, &served->config.user, err);
	}
	if (!strcmp(item, "memory")) {
		if (!bk__base_size(value, &number) || !number)
			return bk_fail(err, EINVAL, "memory=%s: give a size such as 4G", value);
		served->config.memory = number;
		return 0;
	}
	if (!strcmp(item, "fd")) {
		error = parse_number(item, value, 1 << 20, &number, err);
		served->fd = error ? -1 : (int)number;
		return error;
	}
	if (!strcmp(item, "spin")) {
		error = parse_number(item, value, SPIN_MOST, &number, err);
		served->config.spin = (unsigned)number;
		return error;
	}
	if (!strcmp(item, "maps")) {
		error = parse_number(item, value, 65535, &number, err);
		served->config.maps = (unsigned)number;
		return error;
	}
	*mine = false;
	return 0;
}

/* Appends an item as it stands. */
static int append(char **text, const char *from, size_t length, struct bk_error *err)
{
	const size_t used = *text ? strlen(*text) : 0;
	char *grown = realloc(*text, used + length + 2);

	if (!grown)
		return bk_fail(err, ENOMEM, "out of memory");
	*text = grown;
	if (used)
		grown[used] = ',';
	memcpy(grown + used + !!used, from, length);
	grown[used + !!used + length] = 0;
	return 0;
}

static int split(struct cli_served *served, const char *text, struct bk_error *err)
{
	bool first = true;
	int error = 0;

	while ((*text || first) && !error) {
		const char *from = text;
		char *item = bk__base_next_item(&text);
		bool mine = false;

		if (!item)
			return bk_fail(err, ENOMEM, "out of memory");
		if (!first)
			error = parse_option(served, item, &mine, err);
		if (!error && !mine) {
			const size_t length =
				(size_t)(text - from) - (text > from && *text && text[-1] == ',');

			error = append(&served->text, from, length, err);
		}
		free(item);
		first = false;
	}
	return error;
}

static int check_place(const struct cli_served *served, struct bk_error *err)
{
	if (served->path && served->fd >= 0)
		return bk_fail(err, EINVAL, "socket and fd exclude each other");
	if (!served->path && (served->group || served->mode))
		return bk_fail(err, EINVAL, "mode and group are of a socket with a path");
	return 0;
}

int cli_served_parse(struct run *run, const char *text, struct bk_error *err)
{
	struct cli_served *served = calloc(1, sizeof(*served));
	struct bk_error inner = { { 0 } };
	int error;

	if (!served || bk__array_reserve(&run->list, 1)) {
		free(served);
		return bk_fail(err, ENOMEM, "out of memory");
	}
	served->run = run;
	served->fd = served->events[0] = served->events[1] = served->socket.fd = served->socket.directory =
		-1;
	served->config.mmap = BK__SERVE_MMAP_SAFE;
	error = split(served, text, &inner);
	if (!error)
		error = cli_device_parse(served->text, CLI_FRONT_SERVE, &served->device, &inner);
	if (!error)
		error = check_place(served, &inner);
	if (error) {
		cli_served_free(served);
		return bk_fail(err, -error, "%s", inner.text);
	}
	served->device.below_port = true; /* the client knows what it goes behind, and has to be told all */
	run->list.at[run->list.count++] = served;
	return 0;
}

/* ---- The host's events ------------------------------------------------- */

static bool taken(int fd)
{
	uint64_t count;

	return fd >= 0 && read(fd, &count, sizeof(count)) == sizeof(count);
}

static void on_event(void *opaque)
{
	struct cli_served *served = opaque;

	if (taken(served->events[0]))
		bk_log(BK_LOG_ERROR,
		       "%s: the device reports an error that it cannot recover from; the host's kernel log "
		       "says more",
		       served->device.name);
	if (!taken(served->events[1]))
		return;
	bk_log(BK_LOG_WARNING,
	       "%s: the host wants the device back (it was unbound or removed there), so it is served no "
	       "more",
	       served->device.name);
	cli_served_stop(served);
}

/* While a client is there it may have set its own. */
static void listen_to_host(struct cli_served *served)
{
	struct bk_device *device = bk_mediator_device(served->device.mediate);

	for (unsigned i = 0; i < 2; i++)
		if (served->events[i] >= 0)
			bk_device_set_irqs(device, host_events[i], BK_DEVICE_IRQ_TRIGGER, 0, 1,
					   &served->events[i]);
}

static void open_events(struct cli_served *served)
{
	struct bk_device *device = bk_mediator_device(served->device.mediate);

	for (unsigned i = 0; i < 2; i++) {
		struct bk_device_irq irq = { .struct_size = sizeof(irq) };

		if (bk_device_irq(device, host_events[i], &irq) || !irq.count)
			continue;
		served->events[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (served->events[i] >= 0 &&
		    bk__base_loop_add(served->run->loop, served->events[i], on_event, served)) {
			close(served->events[i]);
			served->events[i] = -1;
		}
	}
	listen_to_host(served);
}

static void close_events(struct cli_served *served)
{
	for (unsigned i = 0; i < 2; i++) {
		if (served->events[i] < 0)
			continue;
		bk_device_set_irqs(bk_mediator_device(served->device.mediate), host_events[i],
				   BK_DEVICE_IRQ_TRIGGER, 0, 0, NULL);
		bk__base_loop_remove(served->run->loop, served->events[i]);
		close(served->events[i]);
		served->events[i] = -1;
	}
}

/* On the server's thread. */
static void on_gone(void *opaque)
{
	struct cli_served *served = opaque;

	listen_to_host(served);
	atomic_store(&served->gone, true);
	bk__base_loop_wake(served->run->loop);
}

/* ---- Start and end ----------------------------------------------------- */

static int open_socket(struct cli_served *served, struct bk_error *err)
{
	const struct group *group = served->group ? getgrnam(served->group) : NULL;
	socklen_t size = sizeof(int);
	int listens = 0, error;

	if (served->fd >= 0) {
		if (getsockopt(served->fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size))
			return bk_fail(err, errno, "fd=%d: %s", served->fd, strerror(errno));
		served->connected = !listens;
		fcntl(served->fd, F_SETFD, FD_CLOEXEC);
		/* To look for a client must not wait; a connection waits for it. */
		fcntl(served->fd, F_SETFL, listens ? O_NONBLOCK : 0);
		return 0;
	}
	if (!served->path)
		return bk_fail(err, EINVAL, "%s: give it a socket: socket=PATH or fd=N", served->device.name);
	if (served->group && !group)
		return bk_fail(err, EINVAL, "group=%s: there is no such group", served->group);
	error = cli_socket_listen(&served->socket, "socket", served->path, BACKLOG, err);
	if (error)
		return error;
	if ((group && chown(served->path, (uid_t)-1, group->gr_gid)) ||
	    (served->mode && chmod(served->path, served->mode)))
		return bk_fail(err, errno, "socket %s: %s", served->path, strerror(errno));
	return 0;
}

static const char *const mmap_lines[] = {
	[BK__SERVE_MMAP_OFF] = "every access to its registers is a message",
	[BK__SERVE_MMAP_SAFE] = "clients map pages without a trap where a file can be made of just those",
	[BK__SERVE_MMAP_DEVICE_FD] =
		"clients get the device's own file, and are trusted with all of the device",
};

static int start(struct cli_served *served, struct bk_error *err)
{
	/* The path stays ours while the device is opened again. */
	const int listener = served->fd >= 0 ? served->fd : served->socket.fd;
	const int fd = served->connected ? served->fd : fcntl(listener, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return bk_fail(err, errno, "socket: %s", strerror(errno));
	served->config.name = served->device.name;
	served->config.mediate = served->device.mediate;
	served->config.device = bk_mediator_device(served->device.mediate);
	served->config.strict = served->run->strict;
	served->config.gone = on_gone;
	served->config.opaque = served;
	open_events(served);
	return bk__serve_create(&served->config, fd, served->connected, &served->serve, err);
}

static int open_device(struct cli_served *served, struct bk_error *err)
{
	int error = cli_shared_get(served, err);

	if (error)
		return error;
	served->domain = bk_domain_create();
	if (!served->domain)
		return bk_fail(err, ENOMEM, "out of memory");
	return cli_device_open(&served->device, served->shared->context, served->domain, err);
}

int cli_served_open(struct cli_served *served, struct bk_error *err)
{
	int error = open_device(served, err);

	/* Whoever finds the socket finds a device behind it. */
	if (!error)
		error = open_socket(served, err);
	if (!error)
		error = start(served, err);
	if (!error)
		bk_log(served->config.mmap == BK__SERVE_MMAP_DEVICE_FD ? BK_LOG_WARNING : BK_LOG_INFO,
		       "%s: served at %s; %s", served->device.name,
		       served->path ? served->path : "a descriptor", mmap_lines[served->config.mmap]);
	return error;
}

static void close_device(struct cli_served *served)
{
	bk__serve_destroy(served->serve);
	served->serve = NULL;
	if (served->device.mediate)
		close_events(served);
	cli_device_close(&served->device);
	if (served->domain)
		bk_domain_destroy(served->domain);
	served->domain = NULL;
	cli_shared_put(served);
}

void cli_served_stop(struct cli_served *served)
{
	close_device(served);
	cli_socket_close(&served->socket);
}

void cli_served_free(struct cli_served *served)
{
	cli_served_stop(served);
	free(served->text);
	free(served->path);
	free(served->group);
	free(served);
}

/* ---- While it runs ----------------------------------------------------- */

static void reopen(struct cli_served *served)
{
	struct bk_error err;
	int error;

	served->reload = false;
	close_device(served);
	error = cli_device_parse(served->text, CLI_FRONT_SERVE, &served->device, &err);
	if (!error) {
		served->device.below_port = true;
		error = open_device(served, &err);
	}
	if (!error)
		error = start(served, &err);
	if (!error)
		bk_log(BK_LOG_INFO, "%s: its quirks are loaded again", served->device.name);
	else
		bk_log(BK_LOG_ERROR, "%s: not served any more: %s", served->text, err.text);
	if (error)
		cli_served_stop(served);
}

void cli_served_reload(struct cli_served *served)
{
	struct bk__serve_stats stats;

	if (!served->serve)
		return;
	if (served->connected)
		return; /* it ends with its client */
	bk__serve_stats(served->serve, &stats);
	served->reload = true;
	if (!stats.client)
		reopen(served);
	else
		bk_log(BK_LOG_INFO, "%s: its quirks are loaded again when its client has gone",
		       served->device.name);
}

void cli_served_tend(struct cli_served *served)
{
	if (!atomic_exchange(&served->gone, false) || !served->serve)
		return;
	if (served->connected)
		cli_served_stop(served); /* there will be no other */
	else if (served->reload)
		reopen(served);
}
