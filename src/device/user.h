/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device of another process, reached by vfio-user. The text's names are in wire/protocol.h.
 *
 * Locks, in order: `setup` (what the client has set: maps, interrupts; it outlives a connection), `lock` (the
 * connection: one request at a time), `using` (the maps, while the server transfers). `told` (which
 * watcher is notified of areas) is taken with none of them held.
 */
#ifndef BARKEEP_DEVICE_USER_H
#define BARKEEP_DEVICE_USER_H

#include <pthread.h>
#include <stdatomic.h>

#include <barkeep/device.h>

#include "device/dma_table.h"
#include "wire/stream.h"
#include "wire/version.h"

enum { BK__USER_VECTORS = 2048, BK__USER_AREAS = 1024, BK__USER_DOORBELLS = 64 };

/* What the server says of a region. */
struct bk__user_region {
	unsigned flags; /* BK__WIRE_REGION_* */
	int fd;         /* to map from, ours; -1 */
	uint64_t size, fd_offset;
	struct bk_device_area *areas; /* malloc */
	size_t count;
};

struct bk__user_irq {
	unsigned flags, count; /* BK__WIRE_IRQ_* */
};

/* A write to a BAR that is made by writing an eventfd. */
struct bk__user_doorbell {
	unsigned region;
	uint64_t offset, size; /* bytes of the write; 0: any */
	bool any;              /* value, else just this one: */
	uint64_t value;
	int fd; /* ours */
};

/* A connection, from VERSION on. */
struct bk__user_link {
	int fd, twin; /* -1: none */
	bool broken;  /* nothing more can be said on it */
	uint16_t id;
	struct bk__wire_stream stream;
	struct bk__wire_version agreed;
	bool resets, posts; /* `posts`: writes to memory BARs need no answer */
	unsigned memory;    /* bit n: BAR n is in memory space */
	struct bk__user_region regions[BK_DEVICE_REGIONS];
	struct bk__user_irq irqs[BK_DEVICE_IRQS];
	struct bk__user_doorbell doorbells[BK__USER_DOORBELLS];
	unsigned doorbell_count;
	bool asked; /* for those */
};

/* What was asked for an interrupt: to be asked again of a server that comes back. */
struct bk__user_wanted {
	int *fds; /* of each vector, ours, or -1; NULL: off */
	unsigned count;
	int unmask; /* ours, or -1 */
};

struct bk__user_device {
	struct bk_device device;
	char *path;
	bool no_doorbells;  /* the server ends the connection if it is asked for them */
	unsigned reconnect; /* seconds to wait for a server that has gone; 0: it stays gone */

	pthread_mutex_t setup;
	pthread_rwlock_t using;
	struct bk__device_dma_table maps; /* changed under `setup` and `using` */
	struct bk__user_wanted wanted[BK_DEVICE_IRQS];
	uint16_t command; /* as it was written last */

	pthread_mutex_t lock;
	struct bk__user_link link;

	pthread_mutex_t told;
	struct bk_device_watcher watcher;
	void *opaque;

	pthread_t thread;
	bool started;
	int wake; /* eventfd: the thread looks again, or ends; and at the files that it was given */
	atomic_bool ending;
};

/* What a request is made of, and where its reply goes. */
struct bk__user_request {
	unsigned command;
	const void *fixed; /* the payload, in two parts */
	size_t fixed_size;
	const void *data;
	size_t size;
	const int *fds;
	unsigned fd_count;

	void *reply; /* the reply's fixed part */
	size_t reply_size;
	void *answer; /* what follows it, up to `room` bytes; */
	size_t room;
	size_t answered;           /* how many these were */
	bool takes_fd, takes_twin; /* of the reply's fds; the others are closed */
	int fd, twin;              /* out: the caller's, or -1 */
	unsigned twin_index;
	int *all; /* or NULL: takes up to BK__WIRE_FDS of them, */
	unsigned all_count;
};

/* ---- user_call.c: under `lock` ------------------------------------------ */

/* Sends a request and waits for its reply. 0, what the server answered, -EIO once the link is broken. */
int bk__user_call(struct bk__user_device *user, struct bk__user_link *link, struct bk__user_request *request);

/* Sends a request that needs no reply. */
int bk__user_post(struct bk__user_device *user, struct bk__user_link *link, struct bk__user_request *request);

/*
 * user_serve.c: answers commands of the server that are there, without waiting for more. `fd` is the
 * stream's. False: nothing more will come. On the first socket under `lock`, on the second one without.
 */
bool bk__user_attend(struct bk__user_device *user, int fd, struct bk__wire_stream *stream, uint64_t most);

/* Answers one message, if it is a command of the server. 0; an error of the socket. */
int bk__user_serve(struct bk__user_device *user, int fd, struct bk__wire_message *message, uint64_t most);

/* Nothing more can be said: the thread sees to it. */
void bk__user_break(struct bk__user_device *user, struct bk__user_link *link);

/* The thread looks at everything again. Any lock may be held. */
void bk__user_wake(struct bk__user_device *user);

/* ---- user_setup.c ------------------------------------------------------- */

/* Connects, agrees on a version, asks what the device has. A line on failure; the link is closed then. */
int bk__user_connect(struct bk__user_device *user, struct bk__user_link *link, struct bk_error *err);
void bk__user_disconnect(struct bk__user_link *link);

/* The parts of that: a link without anything; and what is said over link->fd first. */
void bk__user_link_init(struct bk__user_link *link);
int bk__user_begin(struct bk__user_device *user, struct bk__user_link *link, struct bk_error *err);

/* Has the server shrunk a file that it gave to be mapped? */
bool bk__user_has_shrunk(const struct bk__user_link *link);

/* Closes what belongs to the connection. What the device has stays known. */
void bk__user_lose(struct bk__user_link *link);

/* Is that the device that it was? Regions, interrupts and ids are. */
bool bk__user_is_same(const struct bk__user_link *now, const struct bk__user_link *before);

/* ---- user_doorbells.c --------------------------------------------------- */

/* Asks which registers have an eventfd. A server that does not say has none. 0; an error of the connection.
 */
int bk__user_doorbells_learn(struct bk__user_device *user, struct bk__user_link *link);
void bk__user_doorbells_lose(struct bk__user_link *link);

/* As the operation of a device: those that are one write. None of a server that may be replaced by another.
 */
int bk__user_doorbells(struct bk_device *device, bk_device_doorbell_fn *visit, void *opaque);

/* Makes a write of `count` bytes that needs no message, under `lock`; false: it needs one. */
bool bk__user_doorbells_ring(const struct bk__user_link *link, unsigned region, uint64_t offset,
			     const void *data, size_t count);

/* ---- user_irq.c: under `setup` ------------------------------------------- */

/* As the operation of a device. */
int bk__user_irqs_set(struct bk__user_device *user, unsigned index, enum bk_device_irq_action action,
		      unsigned start, unsigned count, const int *fds);

/* Asks for everything that is wanted, under `lock`, too. */
int bk__user_irqs_again(struct bk__user_device *user, struct bk__user_link *link);
void bk__user_irqs_forget(struct bk__user_device *user);

/* ---- user_dma.c: under `setup` ------------------------------------------- */

int bk__user_dma_map(struct bk__user_device *user, const struct bk_device_dma *dma, struct bk_error *err);
int bk__user_dma_unmap(struct bk__user_device *user, uint64_t iova, uint64_t size);
void bk__user_dma_forget(struct bk__user_device *user);

/* Asks for all maps that there are, under `lock`, too. */
int bk__user_dma_again(struct bk__user_device *user, struct bk__user_link *link);

/* ---- user_access.c ------------------------------------------------------- */

int bk__user_read(struct bk_device *device, unsigned region, uint64_t offset, void *data, size_t count);
int bk__user_write(struct bk_device *device, unsigned region, uint64_t offset, const void *data,
		   size_t count);

/* Writes COMMAND as it was, under `setup` and `lock`. */
int bk__user_command_again(struct bk__user_device *user, struct bk__user_link *link);

/* ---- user_thread.c: notices that the server has gone, and looks for it -------- */

int bk__user_thread_start(struct bk__user_device *user);
void bk__user_thread_stop(struct bk__user_device *user);

/* ---- user.c ------------------------------------------------------------- */

/* Creates one that is not connected. Closing it as a device frees it. NULL when out of memory. */
struct bk__user_device *bk__user_create(const char *spec, const char *path);

/* As bk_device_open_fn; `text` is PATH[,reconnect=SECONDS]. */
int bk__user_open(void *opaque, struct bk_device_context *context, const char *text, const char *spec,
		  struct bk_device **device, struct bk_error *err);

extern const char *const bk__user_keys[]; /* of its options */

#endif
