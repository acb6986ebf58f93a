/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The socket of a client, on which messages go both ways.
 *
 * The server's thread reads commands. A device in software may meanwhile, on that thread or on its own, send
 * DMA_READ and DMA_WRITE and wait for the replies: whoever waits reads for all. Commands that come before the
 * reply are kept for the server's thread, in their order. With a second socket (the twin) DMA goes there.
 */
#ifndef BK_SERVE_CHANNEL_H
#define BK_SERVE_CHANNEL_H

#include <pthread.h>

#include "wire/stream.h"

struct bk__serve_kept;
struct bk__serve_waiter;

struct bk__serve_channel {
	struct bk__wire_stream stream;
	unsigned spin;  /* microseconds */
	unsigned lucky; /* how often in a row it paid, up to a few */

	pthread_mutex_t send_lock; /* one message at a time */

	pthread_mutex_t lock; /* what follows */
	pthread_cond_t changed;
	bool reading; /* somebody reads */
	int broken;   /* negative errno: nothing comes any more */
	uint16_t next_id;
	struct bk__serve_waiter *waiters;
	struct bk__serve_kept *first, *last; /* commands for the server's thread */
	struct bk__serve_kept *current;      /* the one it has, or NULL */
	int fds[BK__WIRE_FDS_ANYHOW];        /* those of its command, which others that read leave alone */
	size_t kept;                         /* bytes of those that wait */

	/* The twin socket. */
	pthread_mutex_t twin_lock;
	struct bk__wire_stream twin; /* fd -1: there is none */
	uint64_t data;               /* bytes of a DMA message that the client takes */
};

/* -ENOMEM or the error of pthread. The fd stays the caller's. */
int bk__serve_channel_open(struct bk__serve_channel *channel, int fd);

/* From now on all that wait fail. Any thread. */
void bk__serve_channel_break(struct bk__serve_channel *channel, int error);

/* When no thread waits any more. */
void bk__serve_channel_close(struct bk__serve_channel *channel);

/* Makes a pair, keeps one end, and gives the other. */
int bk__serve_channel_twin(struct bk__serve_channel *channel, int *fd);

/* The next command, valid until the next call; the server's thread only. Errors as bk__wire_receive. */
int bk__serve_channel_next(struct bk__serve_channel *channel, struct bk__wire_message *message);

/* Sends one message of the server's. */
int bk__serve_channel_send(struct bk__serve_channel *channel, const struct iovec *parts, unsigned count,
			   const int *fds, unsigned fd_count);

/* Moves `count` bytes between `data` and the client's memory at `address` by messages. Any thread. 0,
 * -ETIMEDOUT when the client does not answer for some seconds, what it answers, or what broke. */
int bk__serve_channel_dma(struct bk__serve_channel *channel, uint64_t address, void *data, uint64_t count,
			  bool write);

#endif
