/* SPDX-License-Identifier: BSD-2-Clause */
/* virtio-net: a network card (virtio 1.2, 5.1). */
#include "virtio/net.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define F_MAC       BK__VIRTIO_F(5)
#define F_MRG_RXBUF BK__VIRTIO_F(15)
#define F_STATUS    BK__VIRTIO_F(16)

enum {
	RECEIVE = 0, /* queues */
	SEND = 1,
	HEADER = 12,
	HEADER_LEGACY = 10, /* without the number of buffers */
	HEADER_BUFFERS = 10,
	LINK_UP = 1,
	CONFIG_SIZE = 8,
	KEPT = 256,           /* frames */
	KEPT_BYTES = 1 << 20, /* and their bytes */
	BUFFERS = 64,         /* that one frame may take */
};

/* A frame that waits for room. */
struct frame {
	struct frame *next;
	size_t length;
	uint8_t bytes[];
};

struct bk__virtio_net {
	struct bk__virtio *virtio;
	const struct bk__virtio_net_ops *ops;
	void *opaque;
	uint8_t mac[BK__VIRTIO_MAC];
	struct frame *kept, **last;
	unsigned kept_count;
	size_t kept_bytes;
	atomic_ulong sent, received, dropped;
	uint8_t out[HEADER + BK__VIRTIO_FRAME]; /* of the guest, with its header */
	uint8_t in[HEADER + BK__VIRTIO_FRAME];
};

static struct bk__virtio_net *net_of(const struct bk__virtio *virtio)
{
	return virtio->opaque;
}

static size_t header_size(const struct bk__virtio *virtio)
{
	return bk__virtio_has(virtio, F_MRG_RXBUF | BK__VIRTIO_F_VERSION_1) ? HEADER : HEADER_LEGACY;
}

/* ---- To the guest ------------------------------------------------------ */

/* One chain of those that a frame takes. */
struct taken {
	uint16_t head;
	uint32_t length;
};

/* Puts a part of the frame into the next chain. 0: there is none. */
static size_t put_part(struct bk__virtio *virtio, size_t from, size_t length, struct taken *taken)
{
	struct bk__virtio_queue *queue = &virtio->queues[RECEIVE];
	const struct bk__virtio_chain *chain = &virtio->chain;
	size_t part;

	if (!bk__virtio_queue_pop(queue, &virtio->chain))
		return 0;
	part = chain->in_bytes < length - from ? (size_t)chain->in_bytes : length - from;
	if (!part || bk__virtio_chain_write(queue, chain, 0, net_of(virtio)->in + from, part)) {
		queue->broken = true;
		return 0;
	}
	*taken = (struct taken){ chain->head, (uint32_t)part };
	return part;
}

/* The number of buffers is in the first of them, and is known last. */
static bool count_buffers(struct bk__virtio *virtio, const struct bk__virtio_chain *first, unsigned count)
{
	uint8_t bytes[2];

	bk__store(bytes, 2, count);
	return !bk__virtio_chain_write(&virtio->queues[RECEIVE], first, HEADER_BUFFERS, bytes, 2);
}

/* Gives the guest what is in `in`, with its header. False if it has no room now. */
static bool deliver(struct bk__virtio *virtio, size_t length)
{
	struct bk__virtio_queue *queue = &virtio->queues[RECEIVE];
	const bool several = bk__virtio_has(virtio, F_MRG_RXBUF);
	struct taken taken[BUFFERS];
	struct bk__virtio_chain first;
	unsigned count = 0;
	size_t done = 0;

	while (done < length && count < (several ? BUFFERS : 1)) {
		const size_t part = put_part(virtio, done, length, &taken[count]);

		if (!part)
			break;
		if (!count && several)
			first = virtio->chain;
		count++;
		done += part;
	}
	if (queue->broken)
		return false;
	if (done < length) {
		/* Too small for it, whatever comes: it is dropped. */
		bk__virtio_queue_unpop(queue, count);
		return count == (several ? BUFFERS : 1);
	}
	if (several && !count_buffers(virtio, &first, count))
		queue->broken = true;
	for (unsigned i = 0; i < count; i++)
		bk__virtio_queue_push(queue, taken[i].head, taken[i].length);
	return true;
}

static bool give(struct bk__virtio_net *net, const uint8_t *frame, size_t length)
{
	struct bk__virtio *virtio = net->virtio;
	const size_t header = header_size(virtio);

	memset(net->in, 0, header);
	if (header == HEADER)
		bk__store(net->in + HEADER_BUFFERS, 2, 1);
	memcpy(net->in + header, frame, length);
	if (!deliver(virtio, header + length))
		return false;
	atomic_fetch_add(&net->received, 1);
	return true;
}

static void keep(struct bk__virtio_net *net, const uint8_t *bytes, size_t length)
{
	struct frame *frame = NULL;

	if (net->kept_count < KEPT && net->kept_bytes + length <= KEPT_BYTES)
		frame = malloc(sizeof(*frame) + length);
	if (!frame) {
		atomic_fetch_add(&net->dropped, 1);
		return;
	}
	frame->next = NULL;
	frame->length = length;
	memcpy(frame->bytes, bytes, length);
	*net->last = frame;
	net->last = &frame->next;
	net->kept_count++;
	net->kept_bytes += length;
}

static void forget_first(struct bk__virtio_net *net)
{
	struct frame *frame = net->kept;

	net->kept = frame->next;
	if (!net->kept)
		net->last = &net->kept;
	net->kept_count--;
	net->kept_bytes -= frame->length;
	free(frame);
}

void bk__virtio_net_receive(struct bk__virtio_net *net, const uint8_t *frame, size_t length)
{
	struct bk__virtio *virtio = net->virtio;

	if (!bk__virtio_is_running(virtio) || !virtio->queues[RECEIVE].ready || length > BK__VIRTIO_FRAME) {
		atomic_fetch_add(&net->dropped, 1);
		return;
	}
	if (net->kept || !give(net, frame, length)) {
		keep(net, frame, length);
		/* The guest has to say when there is room. */
		if (bk__virtio_queue_notify(&virtio->queues[RECEIVE], true))
			bk__virtio_kick(virtio, RECEIVE);
	}
	bk__virtio_signal(virtio, RECEIVE);
}

static void give_kept(struct bk__virtio *virtio)
{
	struct bk__virtio_net *net = net_of(virtio);
	struct bk__virtio_queue *queue = &virtio->queues[RECEIVE];

	bk__virtio_queue_notify(queue, false);
	while (net->kept && give(net, net->kept->bytes, net->kept->length))
		forget_first(net);
	if (net->kept && bk__virtio_queue_notify(queue, true))
		bk__virtio_kick(virtio, RECEIVE);
	bk__virtio_signal(virtio, RECEIVE);
}

/* ---- From the guest ---------------------------------------------------- */

/* Takes the chain in hand. */
static void send(struct bk__virtio *virtio)
{
	struct bk__virtio_net *net = net_of(virtio);
	struct bk__virtio_queue *queue = &virtio->queues[SEND];
	const struct bk__virtio_chain *chain = &virtio->chain;
	const size_t header = header_size(virtio);
	size_t length;

	if (chain->out_bytes <= header || chain->out_bytes > header + BK__VIRTIO_FRAME) {
		atomic_fetch_add(&net->dropped, 1);
	} else {
		length = (size_t)chain->out_bytes;
		if (bk__virtio_chain_read(queue, chain, 0, net->out, length)) {
			queue->broken = true;
			return;
		}
		atomic_fetch_add(&net->sent, 1);
		net->ops->send(net->opaque, net->out + header, length - header);
	}
}

static void send_all(struct bk__virtio *virtio)
{
	struct bk__virtio_queue *queue = &virtio->queues[SEND];
	unsigned budget = BK__VIRTIO_QUEUE_MAX;

	do {
		bk__virtio_queue_notify(queue, false);
		while (budget && bk__virtio_queue_pop(queue, &virtio->chain)) {
			const uint16_t head = virtio->chain.head;

			send(virtio); /* which may take chains of the other queue in hand */
			bk__virtio_queue_push(queue, head, 0);
			budget--;
		}
	} while (budget && bk__virtio_queue_notify(queue, true));
	if (!budget)
		bk__virtio_kick(virtio, SEND); /* what else there is to do has its turn first */
	bk__virtio_signal(virtio, SEND);
}

/* ---- The device -------------------------------------------------------- */

static void net_serve(struct bk__virtio *virtio, unsigned queue)
{
	if (queue == RECEIVE)
		give_kept(virtio);
	else
		send_all(virtio);
}

static void net_fill(struct bk__virtio *virtio, struct bk__virtio_polls *polls)
{
	struct bk__virtio_net *net = net_of(virtio);

	if (net->ops->fill)
		net->ops->fill(net->opaque, polls, !net->kept);
}

static void net_poll(struct bk__virtio *virtio, const struct bk__virtio_polls *polls)
{
	struct bk__virtio_net *net = net_of(virtio);

	if (net->ops->poll)
		net->ops->poll(net->opaque, polls);
}

static void net_drain(struct bk__virtio *virtio)
{
	struct bk__virtio_net *net = net_of(virtio);

	while (net->kept)
		forget_first(net);
}

static void net_describe(struct bk__virtio *virtio,
			 void (*say)(void *opaque, const char *key, const char *value), void *opaque)
{
	struct bk__virtio_net *net = net_of(virtio);
	const uint8_t *mac = net->mac;
	char text[128];

	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
		 mac[5]);
	say(opaque, "MAC address", text);
	if (net->ops->describe)
		net->ops->describe(net->opaque, say, opaque);
	snprintf(text, sizeof(text), "%lu sent, %lu received, %lu dropped", atomic_load(&net->sent),
		 atomic_load(&net->received), atomic_load(&net->dropped));
	say(opaque, "frames", text);
}

static void net_close(struct bk__virtio *virtio)
{
	struct bk__virtio_net *net = net_of(virtio);

	net_drain(virtio);
	if (net->ops->close)
		net->ops->close(net->opaque);
	free(net);
}

static const struct bk__virtio_type net_type = {
	.name = "virtio-net",
	.id = 1,
	.class_code = 0x020000,
	.queues = 2,
	.legacy_size = 64,
	.thread = "network",
	.serve = net_serve,
	.fill = net_fill,
	.poll = net_poll,
	.drain = net_drain,
	.describe = net_describe,
	.close = net_close,
};

int bk__virtio_net_create(const char *spec, const struct bk__virtio_net_ops *ops, void *opaque,
			  const uint8_t mac[BK__VIRTIO_MAC], bool threaded, struct bk__virtio_net **result,
			  struct bk__virtio **virtio, struct bk_error *err)
{
	struct bk__virtio_net *net = calloc(1, sizeof(*net));
	uint8_t config[CONFIG_SIZE] = { 0 };
	int error;

	if (!net)
		return bk_fail(err, ENOMEM, "%s: out of memory", spec);
	net->ops = ops;
	net->opaque = opaque;
	net->last = &net->kept;
	memcpy(net->mac, mac, BK__VIRTIO_MAC);
	memcpy(config, mac, BK__VIRTIO_MAC);
	bk__store(config + BK__VIRTIO_MAC, 2, LINK_UP);
	error = bk__virtio_create(&net_type, net, spec, F_MAC | F_STATUS | F_MRG_RXBUF, config,
				  sizeof(config), false, &net->virtio, err);
	if (error) {
		free(net);
		return error;
	}
	*result = net;
	*virtio = net->virtio;
	/* The worker may use the card at once. */
	error = bk__virtio_worker_start(net->virtio, threaded);
	if (error) {
		net->ops = &(const struct bk__virtio_net_ops){ .send = NULL };
		bk_device_close(&net->virtio->device);
		return bk_fail(err, -error, "%s: %s", spec, strerror(-error));
	}
	return 0;
}

void bk__virtio_net_wake(struct bk__virtio_net *net)
{
	bk__virtio_kick(net->virtio, SEND);
}

/* ---- The loop ---------------------------------------------------------- */

struct loop {
	struct bk__virtio_net *net;
};

static void loop_send(void *opaque, const uint8_t *frame, size_t length)
{
	bk__virtio_net_receive(((struct loop *)opaque)->net, frame, length);
}

int bk__virtio_net_loop(struct bk__virtio_net_end *end)
{
	static const struct bk__virtio_net_ops ops = { .send = loop_send, .close = free };
	struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return -ENOMEM;
	*end = (struct bk__virtio_net_end){ &ops, loop, &loop->net };
	return 0;
}
