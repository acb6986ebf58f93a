/* SPDX-License-Identifier: BSD-2-Clause */
/* The socket of a client, on which messages go both ways. */
#include "serve/channel.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define KEPT_MOST  (16u << 20) /* bytes of commands that a client may send before it answers */
#define ANSWER_MS  4000        /* clients wait 5 seconds for a reply, in which this one may be needed */
#define LOOK_MS    10          /* between two looks whether somebody reads */
#define LUCKY_MOST 8

/* A command that came while somebody waited for a reply. */
struct bk__serve_kept {
	struct bk__serve_kept *next;
	struct bk__wire_message message;
	int fds[BK__WIRE_FDS_ANYHOW];
	uint8_t payload[];
};

struct bk__serve_waiter {
	struct bk__serve_waiter *next;
	uint16_t id;
	unsigned command;
	struct bk__wire_dma_access sent;
	void *data; /* of a read */
	bool done;
	int error;
};

int bk__serve_channel_open(struct bk__serve_channel *channel, int fd)
{
	int error;

	*channel = (struct bk__serve_channel){ .twin = { .fd = -1 }, .data = BK__WIRE_DATA };
	error = bk__wire_stream_open(&channel->stream, fd, BK__WIRE_MESSAGE);
	if (error)
		return error;
	pthread_mutex_init(&channel->send_lock, NULL);
	pthread_mutex_init(&channel->twin_lock, NULL);
	pthread_mutex_init(&channel->lock, NULL);
	bk__base_cond_init(&channel->changed);
	return 0;
}

void bk__serve_channel_break(struct bk__serve_channel *channel, int error)
{
	pthread_mutex_lock(&channel->lock);
	if (!channel->broken)
		channel->broken = error;
	pthread_cond_broadcast(&channel->changed);
	shutdown(channel->stream.fd, SHUT_RDWR);
	if (channel->twin.fd >= 0)
		shutdown(channel->twin.fd, SHUT_RDWR);
	pthread_mutex_unlock(&channel->lock);
}

static void free_kept(struct bk__serve_kept *kept)
{
	if (kept)
		bk__wire_drop_fds(&kept->message);
	free(kept);
}

void bk__serve_channel_close(struct bk__serve_channel *channel)
{
	free_kept(channel->current);
	while (channel->first) {
		struct bk__serve_kept *kept = channel->first;

		channel->first = kept->next;
		free_kept(kept);
	}
	bk__wire_stream_close(&channel->stream);
	if (channel->twin.fd >= 0) {
		bk__wire_stream_close(&channel->twin);
		close(channel->twin.fd);
	}
	pthread_cond_destroy(&channel->changed);
	pthread_mutex_destroy(&channel->lock);
	pthread_mutex_destroy(&channel->twin_lock);
	pthread_mutex_destroy(&channel->send_lock);
}

int bk__serve_channel_twin(struct bk__serve_channel *channel, int *fd)
{
	struct bk__wire_stream twin;
	int pair[2], error;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	error = bk__wire_stream_open(&twin, pair[0], BK__WIRE_MESSAGE);
	if (!error) {
		pthread_mutex_lock(&channel->lock);
		error = channel->broken;
		if (!error)
			channel->twin = twin;
		pthread_mutex_unlock(&channel->lock);
		if (error)
			bk__wire_stream_close(&twin);
	}
	if (error) {
		close(pair[0]);
		close(pair[1]);
		return error;
	}
	*fd = pair[1];
	return 0;
}

int bk__serve_channel_send(struct bk__serve_channel *channel, const struct iovec *parts, unsigned count,
			   const int *fds, unsigned fd_count)
{
	int error;

	pthread_mutex_lock(&channel->send_lock);
	error = bk__wire_send(channel->stream.fd, parts, count, fds, fd_count);
	pthread_mutex_unlock(&channel->send_lock);
	return error;
}

/* ---- Replies to DMA ---------------------------------------------------- */

static bool is_reply(const struct bk__wire_message *message)
{
	return (message->header.flags & BK__WIRE_TYPE) == BK__WIRE_REPLY;
}

/* Takes the reply apart for the one who waits for it. */
static void answer(struct bk__serve_waiter *waiter, const struct bk__wire_message *message)
{
	struct bk__wire_dma_access fixed;
	const uint8_t *rest;
	size_t left;

	waiter->done = true;
	waiter->error = bk__wire_check_reply(message, waiter->command, &fixed, sizeof(fixed), &rest, &left);
	if (waiter->error)
		return;
	if (fixed.address != waiter->sent.address || fixed.count != waiter->sent.count ||
	    (waiter->data && left < fixed.count))
		waiter->error = -EPROTO;
	else if (waiter->data)
		memcpy(waiter->data, rest, fixed.count);
}

/* Nobody may wait any more: then it came too late. Under the lock. */
static void deliver(struct bk__serve_channel *channel, const struct bk__wire_message *message)
{
	for (struct bk__serve_waiter *waiter = channel->waiters; waiter; waiter = waiter->next) {
		if (waiter->id == message->header.id && !waiter->done) {
			answer(waiter, message);
			break;
		}
	}
	pthread_cond_broadcast(&channel->changed);
}

/* ---- Reading ----------------------------------------------------------- */

/* Looks for a while before it sleeps, as long as that has paid lately. */
static int receive(struct bk__serve_channel *channel, struct bk__wire_message *message)
{
	const uint64_t end = channel->spin ? bk__base_now() + 1000 * (uint64_t)channel->spin : 0;
	int error = -EAGAIN;

	if (end && channel->lucky) {
		do
			error = bk__wire_receive(&channel->stream, message, MSG_DONTWAIT);
		while (error == -EAGAIN && bk__base_now() < end);
		if (error != -EAGAIN) {
			channel->lucky += channel->lucky < LUCKY_MOST;
			return error;
		}
		channel->lucky--;
	}
	do
		error = bk__wire_receive(&channel->stream, message, 0);
	while (error == -EINTR);
	/* It would have come in time. */
	if (end && !channel->lucky && bk__base_now() < end)
		channel->lucky = 1;
	return error;
}

/* While the thread is at the command, others read on. */
static void take_fds(struct bk__serve_channel *channel, struct bk__wire_message *message)
{
	memcpy(channel->fds, message->fds, message->fd_count * sizeof(*channel->fds));
	message->fds = channel->fds;
}

static size_t cost(const struct bk__wire_message *message)
{
	return sizeof(struct bk__serve_kept) + message->size;
}

static void take_kept(struct bk__serve_channel *channel, struct bk__wire_message *message)
{
	struct bk__serve_kept *kept = channel->first;

	channel->first = kept->next;
	if (!channel->first)
		channel->last = NULL;
	channel->kept -= cost(&kept->message);
	channel->current = kept;
	*message = kept->message;
}

int bk__serve_channel_next(struct bk__serve_channel *channel, struct bk__wire_message *message)
{
	int error = 0;
	bool done = false;

	pthread_mutex_lock(&channel->lock);
	free_kept(channel->current);
	channel->current = NULL;
	while (!done) {
		if (channel->first) {
			take_kept(channel, message);
			break;
		}
		if (channel->broken) {
			error = channel->broken;
			break;
		}
		if (channel->reading) {
			pthread_cond_wait(&channel->changed, &channel->lock);
			continue;
		}
		channel->reading = true;
		channel->stream.pin = 0;
		pthread_mutex_unlock(&channel->lock);
		error = receive(channel, message);
		if (!error)
			take_fds(channel, message);
		pthread_mutex_lock(&channel->lock);
		channel->reading = false;
		done = error || !is_reply(message);
		if (done) {
			channel->stream.pin = channel->stream.start;
			if (channel->waiters)
				pthread_cond_broadcast(&channel->changed);
			continue;
		}
		deliver(channel, message);
		bk__wire_drop_fds(message);
	}
	pthread_mutex_unlock(&channel->lock);
	return error;
}

/* ---- DMA --------------------------------------------------------------- */

/* Under the lock. */
static int keep(struct bk__serve_channel *channel, const struct bk__wire_message *message)
{
	struct bk__serve_kept *kept;

	if (cost(message) > KEPT_MOST - channel->kept)
		return -ENOBUFS;
	kept = malloc(cost(message));
	if (!kept)
		return -ENOMEM;
	kept->next = NULL;
	kept->message = *message;
	memcpy(kept->payload, message->payload, message->size);
	memcpy(kept->fds, message->fds, message->fd_count * sizeof(*kept->fds));
	kept->message.payload = kept->payload;
	kept->message.fds = kept->fds;
	if (channel->last)
		channel->last->next = kept;
	else
		channel->first = kept;
	channel->last = kept;
	channel->kept += cost(message);
	return 0;
}

/* Reads one message for whoever it is for. Not under the lock, as the one who reads. */
static int pump(struct bk__serve_channel *channel, int milliseconds)
{
	struct pollfd fd = { .fd = channel->stream.fd, .events = POLLIN };
	struct bk__wire_message message;
	int error;

	if (!bk__wire_ready(&channel->stream) && poll(&fd, 1, milliseconds) <= 0)
		return 0;
	error = bk__wire_receive(&channel->stream, &message, MSG_DONTWAIT);
	if (!error) {
		pthread_mutex_lock(&channel->lock);
		if (is_reply(&message))
			deliver(channel, &message);
		else
			error = keep(channel, &message);
		pthread_mutex_unlock(&channel->lock);
		if (error || is_reply(&message))
			bk__wire_drop_fds(&message);
	}
	return error == -EAGAIN || error == -EINTR ? 0 : error;
}

/* Under the lock, which is given up meanwhile. */
static int wait_answer(struct bk__serve_channel *channel, const struct bk__serve_waiter *waiter)
{
	const uint64_t end = bk__base_now() + (uint64_t)ANSWER_MS * 1000000;

	while (!waiter->done) {
		const uint64_t now = bk__base_now();
		const struct timespec until = { (time_t)(end / 1000000000), (long)(end % 1000000000) };
		int error;

		if (channel->broken)
			return channel->broken;
		if (now >= end)
			return -ETIMEDOUT;
		if (channel->reading) {
			pthread_cond_timedwait(&channel->changed, &channel->lock, &until);
			continue;
		}
		channel->reading = true;
		pthread_mutex_unlock(&channel->lock);
		error = pump(channel, (int)((end - now) / 1000000) + 1);
		pthread_mutex_lock(&channel->lock);
		channel->reading = false;
		if (error && !channel->broken)
			channel->broken = error;
		pthread_cond_broadcast(&channel->changed);
	}
	return waiter->error;
}

/* The socket is full: the client may not read before somebody has read what it sends. */
static int read_meanwhile(void *opaque)
{
	struct bk__serve_channel *channel = opaque;
	struct pollfd fd = { .fd = channel->stream.fd, .events = POLLOUT };
	int error;
	bool reads;

	pthread_mutex_lock(&channel->lock);
	error = channel->broken;
	reads = !error && !channel->reading;
	channel->reading |= reads;
	pthread_mutex_unlock(&channel->lock);
	if (!reads) {
		/* The one who reads may stop to. */
		if (!error)
			poll(&fd, 1, LOOK_MS);
		return error;
	}
	fd.events |= POLLIN;
	if (poll(&fd, 1, -1) > 0 && fd.revents & ~POLLOUT)
		error = pump(channel, 0);
	pthread_mutex_lock(&channel->lock);
	channel->reading = false;
	if (error && !channel->broken)
		channel->broken = error;
	pthread_cond_broadcast(&channel->changed);
	pthread_mutex_unlock(&channel->lock);
	return error;
}

static void join(struct bk__serve_channel *channel, struct bk__serve_waiter *waiter)
{
	waiter->id = channel->next_id++;
	waiter->next = channel->waiters;
	channel->waiters = waiter;
}

static void leave(struct bk__serve_channel *channel, struct bk__serve_waiter *waiter)
{
	struct bk__serve_waiter **link = &channel->waiters;

	while (*link != waiter)
		link = &(*link)->next;
	*link = waiter->next;
}

/* A DMA_WRITE of `data`, or a DMA_READ. */
static unsigned compose(struct bk__wire_header *header, struct bk__serve_waiter *waiter, const void *data,
			struct iovec *parts)
{
	*header = (struct bk__wire_header){ .id = waiter->id,
					    .command = (uint16_t)waiter->command,
					    .size = (uint32_t)(sizeof(*header) + sizeof(waiter->sent)) };
	parts[0] = (struct iovec){ header, sizeof(*header) };
	parts[1] = (struct iovec){ &waiter->sent, sizeof(waiter->sent) };
	if (!data)
		return 2;
	header->size += (uint32_t)waiter->sent.count;
	parts[2] = (struct iovec){ (void *)(uintptr_t)data, waiter->sent.count };
	return 3;
}

static int on_main(struct bk__serve_channel *channel, struct bk__serve_waiter *waiter, const void *data)
{
	struct bk__wire_header header;
	struct iovec parts[3];
	unsigned count;
	int error;

	pthread_mutex_lock(&channel->lock);
	join(channel, waiter);
	pthread_mutex_unlock(&channel->lock);
	count = compose(&header, waiter, data, parts);
	pthread_mutex_lock(&channel->send_lock);
	error = bk__wire_send_or(channel->stream.fd, parts, count, NULL, 0, read_meanwhile, channel);
	pthread_mutex_unlock(&channel->send_lock);
	pthread_mutex_lock(&channel->lock);
	if (!error)
		error = wait_answer(channel, waiter);
	leave(channel, waiter);
	pthread_mutex_unlock(&channel->lock);
	return error;
}

static int on_twin(struct bk__serve_channel *channel, struct bk__serve_waiter *waiter, const void *data)
{
	const uint64_t end = bk__base_now() + (uint64_t)ANSWER_MS * 1000000;
	struct bk__wire_message message;
	struct bk__wire_header header;
	struct iovec parts[3];
	unsigned count;
	int error;

	pthread_mutex_lock(&channel->twin_lock);
	waiter->id = channel->next_id++;
	count = compose(&header, waiter, data, parts);
	error = bk__wire_send(channel->twin.fd, parts, count, NULL, 0);
	while (!error && !waiter->done) {
		struct pollfd fd = { .fd = channel->twin.fd, .events = POLLIN };
		const uint64_t now = bk__base_now();

		if (!bk__wire_ready(&channel->twin) &&
		    (now >= end || poll(&fd, 1, (int)((end - now) / 1000000) + 1) == 0)) {
			error = -ETIMEDOUT;
			break;
		}
		error = bk__wire_receive(&channel->twin, &message, MSG_DONTWAIT);
		if (error == -EAGAIN || error == -EINTR) {
			error = 0;
			continue;
		}
		if (error)
			break;
		if (is_reply(&message) && message.header.id == waiter->id)
			answer(waiter, &message);
		bk__wire_drop_fds(&message);
	}
	pthread_mutex_unlock(&channel->twin_lock);
	return error ? error : waiter->error;
}

int bk__serve_channel_dma(struct bk__serve_channel *channel, uint64_t address, void *data, uint64_t count,
			  bool write)
{
	uint8_t *bytes = data;
	int error;

	pthread_mutex_lock(&channel->lock);
	error = channel->broken; /* its sockets may be closed */
	pthread_mutex_unlock(&channel->lock);
	while (count && !error) {
		const uint64_t piece = count < channel->data ? count : channel->data;
		struct bk__serve_waiter waiter = {
			.command = write ? BK__WIRE_DMA_WRITE : BK__WIRE_DMA_READ,
			.sent = { address, piece },
			.data = write ? NULL : bytes,
		};

		error = channel->twin.fd >= 0 ? on_twin(channel, &waiter, write ? bytes : NULL)
					      : on_main(channel, &waiter, write ? bytes : NULL);
		address += piece;
		bytes += piece;
		count -= piece;
	}
	return error;
}
