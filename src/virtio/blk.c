/* SPDX-License-Identifier: BSD-2-Clause */
/* virtio-blk: a disk (virtio 1.2, 5.2). */
#include "virtio/blk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define F_SEG_MAX      BK__VIRTIO_F(2)
#define F_RO           BK__VIRTIO_F(5)
#define F_BLK_SIZE     BK__VIRTIO_F(6)
#define F_FLUSH        BK__VIRTIO_F(9)
#define F_DISCARD      BK__VIRTIO_F(13)
#define F_WRITE_ZEROES BK__VIRTIO_F(14)

enum {
	SECTOR = 512,
	HEADER = 16,
	SEGMENT = 16, /* of a discard */
	BOUNCE = 65536,
	MOST_SECTORS = 8192,  /* to discard or to zero at once */
	MOST_MOVED = 1 << 30, /* bytes to read or to write at once: a reset waits for what is in flight */
	SEGMENT_UNMAP = 1,
	CONFIG_SIZE = 60,
};

enum {
	TYPE_IN = 0,
	TYPE_OUT = 1,
	TYPE_FLUSH = 4,
	TYPE_GET_ID = 8,
	TYPE_DISCARD = 11,
	TYPE_WRITE_ZEROES = 13
};

enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2 };

struct request {
	struct bk__virtio_disk_request disk; /* first */
	struct request *next;                /* that is free */
	uint16_t head;
	unsigned ticket;
	uint64_t status_at;
	uint32_t written; /* with the status, if all goes well */
	struct iovec *iov;
	unsigned room;
};

struct blk {
	struct bk__virtio_disk *disk;
	uint64_t sectors;
	bool readonly;
	bool starved; /* chains wait for a request that is free */
	char serial[BK__VIRTIO_BLK_SERIAL + 1];
	struct request *free;
	struct request requests[BK__VIRTIO_QUEUE_MAX];
	uint8_t bounce[BOUNCE];
};

static struct blk *blk_of(const struct bk__virtio *virtio)
{
	return virtio->opaque;
}

/* ---- The end of a request ---------------------------------------------- */

static uint8_t status_of(struct bk__virtio *virtio, int error)
{
	if (!error)
		return S_OK;
	if (error == -EOPNOTSUPP)
		return S_UNSUPP;
	bk__log_limited(&virtio->limit, BK_LOG_WARNING, "%s: a request of the guest failed: %s",
			virtio->device.name, strerror(-error));
	return S_IOERR;
}

static void answer(struct bk__virtio *virtio, uint16_t head, uint64_t status_at, uint8_t status,
		   uint32_t written)
{
	if (bk__device_dma_write(virtio->dma, status_at, &status, 1))
		virtio->queues[0].broken = true;
	bk__virtio_queue_push(&virtio->queues[0], head, status == S_OK ? written : 1);
}

static void end(struct bk__virtio *virtio, struct request *request)
{
	struct blk *blk = blk_of(virtio);

	answer(virtio, request->head, request->status_at, status_of(virtio, request->disk.error),
	       request->written);
	bk__device_dma_leave(virtio->dma, request->ticket);
	request->next = blk->free;
	blk->free = request;
}

static void end_all(struct bk__virtio *virtio, bool wait)
{
	struct blk *blk = blk_of(virtio);
	struct bk__virtio_disk_request *done;

	while ((done = bk__virtio_disk_done(blk->disk, wait)))
		end(virtio, (struct request *)done);
}

/* ---- Memory ------------------------------------------------------------ */

/* The buffers of a request without what its header or its status takes. */
struct span {
	const struct bk__virtio_buffer *buffers;
	unsigned count;
	uint64_t skip, length;
};

static bool add_memory(struct request *request, void *host, size_t length)
{
	struct bk__virtio_disk_request *disk = &request->disk;

	if (disk->iov_count == request->room) {
		const unsigned room = request->room ? 2 * request->room : 16;
		struct iovec *iov =
			room <= BK__VIRTIO_DISK_IOV ? realloc(request->iov, room * sizeof(*iov)) : NULL;

		if (!iov)
			return false;
		request->iov = iov;
		request->room = room;
	}
	request->iov[disk->iov_count++] = (struct iovec){ host, length };
	return true;
}

/* Finds the memory of the buffers. False if a part of it can only be reached by calls, or there are too many
 * parts. */
static bool find_memory(struct bk__virtio *virtio, struct request *request, const struct span *span,
			bool write)
{
	uint64_t skip = span->skip, left = span->length;

	request->disk.iov_count = 0;
	for (unsigned i = 0; i < span->count && left; i++) {
		uint64_t at = span->buffers[i].at, length = span->buffers[i].length;

		if (skip >= length) {
			skip -= length;
			continue;
		}
		at += skip;
		length -= skip;
		skip = 0;
		if (length > left)
			length = left;
		left -= length;
		while (length) {
			uint64_t run = length;
			void *host = bk__device_dma_at(virtio->dma, at, &run, write);

			if (!host || !add_memory(request, host, (size_t)run))
				return false;
			at += run;
			length -= run;
		}
	}
	request->disk.iov = request->iov;
	return !left;
}

/* One piece after the other through memory of our own. `offset` is that of the data in the chain. */
static int bounce(struct bk__virtio *virtio, struct bk__virtio_disk_request *whole, uint64_t offset)
{
	struct blk *blk = blk_of(virtio);
	const struct bk__virtio_queue *queue = &virtio->queues[0];
	const bool reads = whole->kind == BK__VIRTIO_DISK_READ;
	int error = 0;

	for (uint64_t done = 0; done < whole->length && !error;) {
		const size_t part = whole->length - done < BOUNCE ? (size_t)(whole->length - done) : BOUNCE;
		struct iovec iov = { blk->bounce, part };
		struct bk__virtio_disk_request piece = { .kind = whole->kind,
							 .offset = whole->offset + done,
							 .length = part,
							 .iov = &iov,
							 .iov_count = 1 };

		if (!reads)
			error = bk__virtio_chain_read(queue, &virtio->chain, offset + done, blk->bounce,
						      part);
		if (!error)
			error = bk__virtio_disk_now(blk->disk, &piece);
		if (!error && reads)
			error = bk__virtio_chain_write(queue, &virtio->chain, offset + done, blk->bounce,
						       part);
		done += part;
	}
	return error;
}

/* ---- Requests ---------------------------------------------------------- */

/* Places what a request says in the disk: 0 or -EIO. */
static int place(const struct blk *blk, struct bk__virtio_disk_request *disk, uint64_t sector,
		 uint64_t length)
{
	if (length % SECTOR || sector > blk->sectors || length / SECTOR > blk->sectors - sector)
		return -EIO;
	disk->offset = sector * SECTOR;
	disk->length = length;
	return 0;
}

/* Reads or writes. 1: it goes on. */
static int move(struct bk__virtio *virtio, struct request *request, uint64_t sector, bool reads)
{
	const struct bk__virtio_chain *chain = &virtio->chain;
	struct blk *blk = blk_of(virtio);
	const struct span span = { .buffers = chain->buffers + (reads ? chain->out : 0),
				   .count = reads ? chain->in : chain->out,
				   .skip = reads ? 0 : HEADER,
				   .length = reads ? chain->in_bytes - 1 : chain->out_bytes - HEADER };
	int error = span.length > MOST_MOVED ? -EIO : place(blk, &request->disk, sector, span.length);

	if (!error && !reads && blk->readonly)
		error = -EROFS;
	if (error || !span.length)
		return error;
	request->disk.kind = reads ? BK__VIRTIO_DISK_READ : BK__VIRTIO_DISK_WRITE;
	if (reads)
		request->written = (uint32_t)span.length + 1;
	if (!find_memory(virtio, request, &span, reads))
		return bounce(virtio, &request->disk, span.skip);
	return 1;
}

/* Discards blocks, or writes zeros. 1: it goes on. */
static int erase(struct bk__virtio *virtio, struct request *request, bool discard)
{
	struct blk *blk = blk_of(virtio);
	uint8_t segment[SEGMENT];
	uint64_t sectors;
	uint32_t flags;

	if (virtio->chain.out_bytes != HEADER + SEGMENT)
		return -EOPNOTSUPP; /* there is one segment at most */
	if (bk__virtio_chain_read(&virtio->queues[0], &virtio->chain, HEADER, segment, sizeof(segment)))
		return -EFAULT;
	sectors = bk__load(segment + 8, 4);
	flags = (uint32_t)bk__load(segment + 12, 4);
	if (flags & ~(uint32_t)SEGMENT_UNMAP || (discard && flags))
		return -EOPNOTSUPP;
	if (blk->readonly)
		return -EROFS;
	if (sectors > MOST_SECTORS || place(blk, &request->disk, bk__load(segment, 8), sectors * SECTOR))
		return -EIO;
	if (!sectors)
		return 0;
	request->disk.kind = discard || flags ? BK__VIRTIO_DISK_DISCARD : BK__VIRTIO_DISK_ZERO;
	return 1;
}

static int get_id(struct bk__virtio *virtio, struct request *request)
{
	char id[BK__VIRTIO_BLK_SERIAL] = { 0 };
	const uint64_t room = virtio->chain.in_bytes - 1;
	const size_t length = room < sizeof(id) ? (size_t)room : sizeof(id);

	memcpy(id, blk_of(virtio)->serial, sizeof(id));
	request->written = (uint32_t)length + 1;
	return bk__virtio_chain_write(&virtio->queues[0], &virtio->chain, 0, id, length);
}

/* 0 or a negative errno if it is done, 1 if it is to be started. */
static int begin(struct bk__virtio *virtio, struct request *request)
{
	uint8_t header[HEADER];
	uint64_t sector;

	if (bk__virtio_chain_read(&virtio->queues[0], &virtio->chain, 0, header, sizeof(header)))
		return -EFAULT;
	sector = bk__load(header + 8, 8);
	switch (bk__load(header, 4)) {
	case TYPE_IN:
		return move(virtio, request, sector, true);
	case TYPE_OUT:
		return move(virtio, request, sector, false);
	case TYPE_FLUSH:
		request->disk.kind = BK__VIRTIO_DISK_FLUSH;
		return 1;
	case TYPE_GET_ID:
		return get_id(virtio, request);
	case TYPE_DISCARD:
		return erase(virtio, request, true);
	case TYPE_WRITE_ZEROES:
		return erase(virtio, request, false);
	default:
		return -EOPNOTSUPP;
	}
}

/* The last byte that the device writes is its status. */
static uint64_t status_place(const struct bk__virtio_chain *chain)
{
	const struct bk__virtio_buffer *buffer = &chain->buffers[chain->out + chain->in - 1];

	while (!buffer->length)
		buffer--;
	return buffer->at + buffer->length - 1;
}

/* The chain in hand. */
static void take(struct bk__virtio *virtio)
{
	struct blk *blk = blk_of(virtio);
	struct request *request = blk->free;
	int result;

	if (!virtio->chain.in_bytes) {
		virtio->queues[0].broken = true; /* there is no place for an answer */
		return;
	}
	blk->free = request->next;
	request->disk = (struct bk__virtio_disk_request){ 0 };
	request->head = virtio->chain.head;
	request->status_at = status_place(&virtio->chain);
	request->written = 1;
	request->ticket = bk__device_dma_enter(virtio->dma, NULL);
	result = begin(virtio, request);
	if (result == -EFAULT) /* it has no such memory */
		virtio->queues[0].broken = true;
	if (result <= 0)
		request->disk.error = result;
	if (result <= 0 || bk__virtio_disk_start(blk->disk, &request->disk))
		end(virtio, request);
}

static void blk_serve(struct bk__virtio *virtio, unsigned index)
{
	struct blk *blk = blk_of(virtio);
	struct bk__virtio_queue *queue = &virtio->queues[index];
	unsigned budget = 2 * BK__VIRTIO_QUEUE_MAX;

	do {
		bk__virtio_queue_notify(queue, false);
		while (budget && blk->free && bk__virtio_queue_pop(queue, &virtio->chain)) {
			budget--;
			take(virtio);
		}
		bk__virtio_disk_submit(blk->disk);
		end_all(virtio, false);
	} while (budget && blk->free && bk__virtio_queue_notify(queue, true));
	blk->starved = !blk->free;
	if (!budget)
		bk__virtio_kick(virtio, index); /* what else there is to do has its turn first */
	bk__virtio_signal(virtio, index);
}

static void blk_fill(struct bk__virtio *virtio, struct bk__virtio_polls *polls)
{
	struct blk *blk = blk_of(virtio);

	if (bk__virtio_disk_going(blk->disk))
		bk__virtio_polls_add(polls, bk__virtio_disk_fd(blk->disk), POLLIN);
}

static void blk_poll(struct bk__virtio *virtio, const struct bk__virtio_polls *polls)
{
	struct blk *blk = blk_of(virtio);

	if (!bk__virtio_disk_going(blk->disk))
		return;
	end_all(virtio, false);
	bk__virtio_signal(virtio, 0);
	if (blk->starved)
		bk__virtio_kick(virtio, 0);
}

static void blk_drain(struct bk__virtio *virtio)
{
	struct blk *blk = blk_of(virtio);

	end_all(virtio, true);
	blk->starved = false;
}

/* ---- The device -------------------------------------------------------- */

static void blk_describe(struct bk__virtio *virtio,
			 void (*say)(void *opaque, const char *key, const char *value), void *opaque)
{
	struct blk *blk = blk_of(virtio);
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64, blk->sectors);
	say(opaque, "sectors", text);
	say(opaque, "access", blk->readonly ? "read-only" : "read-write");
	if (*blk->serial)
		say(opaque, "serial", blk->serial);
	say(opaque, "file access", bk__virtio_disk_way(blk->disk));
}

static void blk_free(struct blk *blk)
{
	for (unsigned i = 0; i < BK__VIRTIO_QUEUE_MAX; i++)
		free(blk->requests[i].iov);
	free(blk);
}

static void blk_close(struct bk__virtio *virtio)
{
	bk__virtio_disk_close(blk_of(virtio)->disk);
	blk_free(blk_of(virtio));
}

static const struct bk__virtio_type blk_type = {
	.name = "virtio-blk",
	.id = 2,
	.class_code = 0x010000,
	.queues = 1,
	.legacy_size = 128,
	.thread = "disk",
	.serve = blk_serve,
	.fill = blk_fill,
	.poll = blk_poll,
	.drain = blk_drain,
	.describe = blk_describe,
	.close = blk_close,
};

static void fill_config(uint8_t *config, const struct blk *blk)
{
	bk__store(config + 0, 8, blk->sectors);
	bk__store(config + 12, 4, BK__VIRTIO_QUEUE_MAX - 2); /* segments, beside header and status */
	bk__store(config + 20, 4, SECTOR);
	bk__store(config + 34, 2, 1); /* queues */
	bk__store(config + 36, 4, MOST_SECTORS);
	bk__store(config + 40, 4, 1); /* segment */
	bk__store(config + 44, 4, 8); /* discards are aligned to a page */
	bk__store(config + 48, 4, MOST_SECTORS);
	bk__store(config + 52, 4, 1);
	config[56] = 1; /* zeros may be holes */
}

int bk__virtio_blk_create(const char *spec, struct bk__virtio_disk *disk, bool readonly, const char *serial,
			  bool threaded, struct bk__virtio **virtio, struct bk_error *err)
{
	struct blk *blk = calloc(1, sizeof(*blk));
	const uint64_t features =
		F_SEG_MAX | F_BLK_SIZE | F_FLUSH | (readonly ? F_RO : F_DISCARD | F_WRITE_ZEROES);
	uint8_t config[CONFIG_SIZE] = { 0 };
	int error;

	if (!blk)
		return bk_fail(err, ENOMEM, "%s: out of memory", spec);
	blk->disk = disk;
	blk->sectors = bk__virtio_disk_size(disk) / SECTOR;
	blk->readonly = readonly;
	snprintf(blk->serial, sizeof(blk->serial), "%s", serial ? serial : "");
	for (unsigned i = 0; i < BK__VIRTIO_QUEUE_MAX; i++) {
		blk->requests[i].next = blk->free;
		blk->free = &blk->requests[i];
	}
	fill_config(config, blk);
	error = bk__virtio_create(&blk_type, blk, spec, features, config, sizeof(config), threaded, virtio,
				  err);
	if (error)
		blk_free(blk);
	return error;
}
