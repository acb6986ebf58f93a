/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's network at the other end of a network card, by way of this process: libslirp. */
#include <errno.h>

#include "virtio/net.h"

#ifndef BK_SLIRP

int bk__virtio_net_user(const char *const *forwards, unsigned count, struct bk__virtio_net_end *end,
			struct bk_error *err)
{
	return bk_fail(
		err, EOPNOTSUPP,
		"this barkeep was built without libslirp; give the card a tap interface with tap=NAME");
}

#else

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <slirp/libslirp.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/ratelimit.h"

enum { TIMERS = 8, FORWARD = 80 /* characters */, RESOLV_MAX = 65536, SOCKETS_MOST = 8192, AGAIN_MS = 1000 };

#define HOST "10.0.2.2"

struct timer {
	struct user *user; /* NULL: it is free */
	SlirpTimerCb call;
	void *opaque;
	int64_t due; /* ms, or -1 */
};

struct user {
	struct bk__virtio_net *net;
	Slirp *slirp;
	unsigned forwards;
	int probe;   /* a file, to find out which descriptor is free */
	int fd_most; /* no socket is opened while all descriptors below it are in use */
	bool full;   /* that was so when libslirp asked for polls */
	struct timer timers[TIMERS];
	const struct bk__virtio_polls *polled; /* while libslirp asks what came of it */
	struct bk__virtio_polls *filled;
	struct bk__ratelimit limit;
};

/* ---- What libslirp asks of us ------------------------------------------ */

static ssize_t on_send(const void *frame, size_t length, void *opaque)
{
	const struct user *user = opaque;

	bk__virtio_net_receive(user->net, frame, length);
	return (ssize_t)length;
}

static void on_guest_error(const char *message, void *opaque)
{
	bk__log_limited(&((struct user *)opaque)->limit, BK_LOG_DEBUG, "user network: %s", message);
}

static int64_t now_ns(void *opaque)
{
	return (int64_t)bk__base_now();
}

static void *on_timer_new(SlirpTimerCb call, void *to, void *opaque)
{
	struct user *user = opaque;

	for (unsigned i = 0; i < TIMERS; i++) {
		if (user->timers[i].user)
			continue;
		user->timers[i] = (struct timer){ user, call, to, -1 };
		return &user->timers[i];
	}
	return NULL;
}

static void on_timer_free(void *timer, void *opaque)
{
	if (timer)
		((struct timer *)timer)->user = NULL;
}

static void on_timer_mod(void *timer, int64_t due, void *opaque)
{
	if (timer)
		((struct timer *)timer)->due = due;
}

static void on_poll_fd(int fd, void *opaque)
{
}

/* It may be ready to send or take more: the worker asks it again after what it does now. */
static void on_notify(void *opaque)
{
	const struct user *user = opaque;

	if (user->net)
		bk__virtio_net_wake(user->net);
}

static const SlirpCb callbacks = {
	.send_packet = on_send,
	.guest_error = on_guest_error,
	.clock_get_ns = now_ns,
	.timer_new = on_timer_new,
	.timer_free = on_timer_free,
	.timer_mod = on_timer_mod,
	.register_poll_fd = on_poll_fd,
	.unregister_poll_fd = on_poll_fd,
	.notify = on_notify,
};

/* ---- A limit ----------------------------------------------------------- */

/* libslirp has none: a guest could take all descriptors of the process. */
static int limit_of_descriptors(int probe)
{
	struct rlimit limit;
	int most = probe + SOCKETS_MOST;

	/* The rest of the process needs some, too. */
	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur / 4 * 3 < (rlim_t)most)
		most = (int)(limit.rlim_cur / 4 * 3);
	return most;
}

/* The host gives out the lowest descriptor that is free. */
static bool is_full(const struct user *user)
{
	const int fd = fcntl(user->probe, F_DUPFD_CLOEXEC, 0);

	if (fd >= 0)
		close(fd);
	return fd < 0 || fd >= user->fd_most;
}

/* Is it a forwarded port, whose next connection would be a socket more? */
static bool is_listening(int fd)
{
	int listens = 0;
	socklen_t size = sizeof(listens);

	return !getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) && listens;
}

/* Could libslirp open a socket for this frame? Not for the next ones of a TCP connection, nor for DHCP. */
static bool may_open(const uint8_t *frame, size_t length)
{
	enum { ETHERNET = 14, IP = 20, PORTS = 4, FLAGS = 13, SYN = 2, BOOTP = 67 };
	const uint8_t *ip = frame + ETHERNET, *inner;
	size_t header;

	if (length < ETHERNET + IP || frame[12] != 0x08 || frame[13] != 0x00)
		return false; /* not IPv4 */
	header = (ip[0] & 15u) * 4;
	inner = ip + header;
	if (header < IP || length < ETHERNET + header + PORTS || (ip[6] & 0x3f) || ip[7])
		return true; /* nonsense, or a fragment */
	if (ip[9] == IPPROTO_TCP)
		return length < ETHERNET + header + FLAGS + 1 || inner[FLAGS] & SYN;
	return ip[9] != IPPROTO_UDP || inner[2] || inner[3] != BOOTP;
}

/* ---- The card's end ---------------------------------------------------- */

static void user_send(void *opaque, const uint8_t *frame, size_t length)
{
	struct user *user = opaque;

	if (may_open(frame, length) && is_full(user)) {
		bk__log_limited(&user->limit, BK_LOG_WARNING,
				"user network: too many connections: new ones of the guest are dropped");
		return;
	}
	slirp_input(user->slirp, frame, (int)length);
}

/* The same events by two names. */
static const struct {
	int slirp;
	short poll;
} events[] = {
	{ SLIRP_POLL_IN, POLLIN },   { SLIRP_POLL_OUT, POLLOUT }, { SLIRP_POLL_PRI, POLLPRI },
	{ SLIRP_POLL_ERR, POLLERR }, { SLIRP_POLL_HUP, POLLHUP },
};

#define EVENTS (sizeof(events) / sizeof(events[0]))

static int on_add_poll(int fd, int wanted, void *opaque)
{
	const struct user *user = opaque;
	short bits = 0;

	if (user->full && is_listening(fd))
		return -1;
	for (unsigned i = 0; i < EVENTS; i++)
		if (wanted & events[i].slirp)
			bits |= events[i].poll;
	return bk__virtio_polls_add(user->filled, fd, bits);
}

static int on_events(int index, void *opaque)
{
	const struct bk__virtio_polls *polls = ((struct user *)opaque)->polled;
	int bits = 0;

	if (index < 0 || (unsigned)index >= polls->count)
		return 0;
	for (unsigned i = 0; i < EVENTS; i++)
		if (polls->fds[index].revents & events[i].poll)
			bits |= events[i].slirp;
	return bits;
}

static void user_fill(void *opaque, struct bk__virtio_polls *polls, bool ready)
{
	struct user *user = opaque;
	uint32_t wait = polls->timeout < 0 ? UINT32_MAX : (uint32_t)polls->timeout;
	const int64_t now = bk__base_now_ms();

	user->filled = polls;
	user->full = user->forwards && is_full(user);
	if (user->full && wait > AGAIN_MS)
		wait = AGAIN_MS;
	slirp_pollfds_fill(user->slirp, &wait, on_add_poll, user);
	user->filled = NULL;
	for (unsigned i = 0; i < TIMERS; i++) {
		const struct timer *timer = &user->timers[i];

		if (timer->user && timer->due >= 0 && timer->due - now < wait)
			wait = timer->due > now ? (uint32_t)(timer->due - now) : 0;
	}
	polls->timeout = wait > INT32_MAX ? -1 : (int)wait;
}

static void user_poll(void *opaque, const struct bk__virtio_polls *polls)
{
	struct user *user = opaque;
	const int64_t now = bk__base_now_ms();

	user->polled = polls;
	slirp_pollfds_poll(user->slirp, !polls->count, on_events, user);
	user->polled = NULL;
	for (unsigned i = 0; i < TIMERS; i++) {
		struct timer *timer = &user->timers[i];

		if (!timer->user || timer->due < 0 || timer->due > now)
			continue;
		timer->due = -1;
		timer->call(timer->opaque);
	}
}

static void user_describe(void *opaque, void (*say)(void *opaque, const char *key, const char *value),
			  void *to)
{
	const struct user *user = opaque;
	char text[32];

	say(to, "network", "user (the guest is 10.0.2.15, the host " HOST ")");
	snprintf(text, sizeof(text), "%u", user->forwards);
	say(to, "forwarded ports", text);
}

static void user_close(void *opaque)
{
	struct user *user = opaque;

	user->net = NULL;
	slirp_cleanup(user->slirp);
	close(user->probe);
	free(user);
}

static const struct bk__virtio_net_ops user_ops = {
	.send = user_send,
	.fill = user_fill,
	.poll = user_poll,
	.describe = user_describe,
	.close = user_close,
};

/* ---- Opening ----------------------------------------------------------- */

/* ADDRESS:PORT, the address may be missing. Changes the text. */
static bool parse_place(char *text, struct in_addr *address, unsigned *port)
{
	char *colon = strrchr(text, ':'), *end;
	unsigned long number;

	if (!colon || colon[1] < '0' || colon[1] > '9')
		return false;
	*colon = 0;
	number = strtoul(colon + 1, &end, 10);
	*port = (unsigned)number;
	return !*end && number && number <= 65535 && (!*text || inet_pton(AF_INET, text, address) == 1);
}

/* tcp|udp:[ADDRESS]:PORT-[ADDRESS]:PORT */
static int forward(struct user *user, const char *text, struct bk_error *err)
{
	struct in_addr host = { htonl(INADDR_LOOPBACK) }, guest = { 0 };
	unsigned host_port, guest_port;
	char copy[FORWARD], *dash;
	const bool udp = !strncmp(text, "udp:", 4);

	if (strlen(text) >= sizeof(copy) || (!udp && strncmp(text, "tcp:", 4)))
		return bk_fail(err, EINVAL, "hostfwd=%s: tcp or udp, as in tcp::2222-:22", text);
	strcpy(copy, text + 4);
	dash = strchr(copy, '-');
	if (!dash)
		return bk_fail(err, EINVAL, "hostfwd=%s: a `-` is missing, as in tcp::2222-:22", text);
	*dash = 0;
	if (!parse_place(copy, &host, &host_port) || !parse_place(dash + 1, &guest, &guest_port))
		return bk_fail(err, EINVAL, "hostfwd=%s: [ADDRESS]:PORT on both sides, as in tcp::2222-:22",
			       text);
	if (slirp_add_hostfwd(user->slirp, udp, host, (int)host_port, guest, (int)guest_port) < 0)
		return bk_fail(err, errno ? errno : EADDRINUSE,
			       "hostfwd=%s: the host's port cannot be had: %s", text,
			       strerror(errno ? errno : EADDRINUSE));
	user->forwards++;
	return 0;
}

static struct in_addr address(const char *text)
{
	struct in_addr result = { 0 };

	inet_pton(AF_INET, text, &result);
	return result;
}

/* The first name server of a file such as /etc/resolv.conf; 0 if there is none. */
static struct in_addr first_nameserver(const char *path)
{
	static const char word[] = "nameserver ";
	struct in_addr found = { 0 };
	char *text, *rest = NULL;
	size_t size;

	if (bk__base_file_read(path, RESOLV_MAX, &text, &size, NULL))
		return found;
	for (char *line = strtok_r(text, "\n", &rest); line && !found.s_addr;
	     line = strtok_r(NULL, "\n", &rest))
		if (!strncmp(line, word, sizeof(word) - 1))
			found = address(line + sizeof(word) - 1 + strspn(line + sizeof(word) - 1, " \t"));
	free(text);
	return found;
}

static bool is_loopback(struct in_addr server)
{
	return ntohl(server.s_addr) >> 24 == IN_LOOPBACKNET;
}

/*
 * The name server that the guest is given. It is looked up now: the thread that
 * serves the card opens no files. One on the host itself is reached by the
 * host's address in the guest's network.
 */
static struct in_addr nameserver(void)
{
	struct in_addr server = first_nameserver("/etc/resolv.conf");

	if (is_loopback(server) && server.s_addr != htonl(INADDR_LOOPBACK)) {
		const struct in_addr behind = first_nameserver("/run/systemd/resolve/resolv.conf");

		if (behind.s_addr)
			server = behind;
	}
	return !server.s_addr || is_loopback(server) ? address(HOST) : server;
}

int bk__virtio_net_user(const char *const *forwards, unsigned count, struct bk__virtio_net_end *end,
			struct bk_error *err)
{
	const SlirpConfig config = {
		.version = 3,
		.in_enabled = true,
		.vnetwork = address("10.0.2.0"),
		.vnetmask = address("255.255.255.0"),
		.vhost = address(HOST),
		.vdhcp_start = address("10.0.2.15"),
		.vnameserver = nameserver(),
		.disable_dns = true, /* it would read /etc/resolv.conf again and again */
	};
	struct user *user = calloc(1, sizeof(*user));
	int error = 0;

	if (!user)
		return bk_fail(err, ENOMEM, "out of memory");
	user->probe = eventfd(0, EFD_CLOEXEC);
	user->slirp = user->probe < 0 ? NULL : slirp_new(&config, &callbacks, user);
	if (!user->slirp) {
		if (user->probe >= 0)
			close(user->probe);
		free(user);
		return bk_fail(err, ENOMEM, "libslirp does not start");
	}
	user->fd_most = limit_of_descriptors(user->probe);
	for (unsigned i = 0; i < count && !error; i++)
		error = forward(user, forwards[i], err);
	if (error) {
		user_close(user);
		return error;
	}
	*end = (struct bk__virtio_net_end){ &user_ops, user, &user->net };
	return 0;
}

#endif
