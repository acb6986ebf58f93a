/* SPDX-License-Identifier: BSD-2-Clause */
/* One client of a server: what the files of the room share. */
#ifndef BK_SERVE_SESSION_H
#define BK_SERVE_SESSION_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/array.h"
#include "base/ratelimit.h"
#include "serve/channel.h"
#include "serve/memory_files.h"
#include "serve/serve.h"
#include "wire/version.h"

/* The vectors of one interrupt index, as the client gave them. */
struct bk__serve_irq {
	struct bk_device_irq info;
	int *fds; /* info.count of them, -1: none; NULL before the first */
};

/* A range that the client has mapped: what it costs, and what the device knows of it. */
struct bk__serve_map {
	struct bk__serve_session *session;
	struct bk__serve_file *file; /* NULL: only messages reach it */
	uint64_t iova, size, offset;
	bool given;   /* the device has it */
	bool file_io; /* the file is read and written, not mapped */
};

/* A region's fd and the areas that the client has been told. */
struct bk__serve_share {
	BK__ARRAY(struct bk__wire_area) areas;
	int fd;          /* the device's: not ours; -1: none */
	uint64_t offset; /* of the region in it */
	bool told;       /* from then on the pages are the client's */
	bool losing;     /* a trap is about to take some */
	bool made;       /* the file is of these pages alone (bk_device_share) */
};

/* Registers of a BAR that the client writes by writing an eventfd. */
struct bk__serve_doorbells {
	struct bk_device_doorbell at[BK__WIRE_FDS];
	int fds[BK__WIRE_FDS];
	unsigned count;
	bool told; /* from then on they are the client's */
};

struct bk__serve_session {
	struct bk__serve *serve;
	const struct bk__serve_config *config;
	struct bk_device *device;
	struct bk__serve_channel channel;
	struct bk__wire_limits limits;
	bool versioned;
	unsigned fds_most; /* that the client takes in one message */
	uint8_t *out;      /* header, fixed part and data of a reply */

	/* Maps by address (maps.c). */
	BK__ARRAY(struct bk__serve_map *) maps;
	unsigned maps_most;
	uint64_t memory;                    /* bytes of them */
	struct bk__serve_files own, *files; /* its own, or those of the server's group */

	/* Interrupts (irqs.c). */
	struct bk__serve_irq irqs[BK_DEVICE_IRQS];
	int resample;     /* INTx: -1: none */
	bool intx_masked; /* by the client */
	bool intx_off;    /* by COMMAND's Interrupt Disable */

	/* Mapped pages (share.c); the lock because traps come on other threads. */
	pthread_mutex_t share_lock;
	struct bk__serve_share shares[BK_DEVICE_REGIONS];
	struct bk__serve_doorbells doorbells[BK_DEVICE_ROM];
};

/* Its clients are one user's: the owner of one device can reach what those of the others have mapped. */
struct bk__serve_group {
	struct bk__serve_files files;
	pthread_mutex_t lock;
	unsigned clients; /* now */
	uid_t user;       /* of those */
};

struct bk__serve {
	struct bk__serve_config config;
	pthread_t thread;
	int listener, stop; /* a socket, or -1; an eventfd */
	int client;         /* connected from the start; or -1 */
	atomic_bool stopping;

	pthread_mutex_t lock;
	struct bk__serve_channel *channel; /* the client's, for a thread that stops it; NULL */

	struct bk__serve_session
		*stuck; /* of a client that has gone, whose memory the device keeps; or NULL */

	struct bk__ratelimit complaints; /* for all clients, so that a refused one may retry */

	atomic_uint_fast64_t clients, refused, maps, memory;
	atomic_uint_fast64_t commands[BK__SERVE_COMMANDS]; /* messages of each */
	atomic_bool busy;
	atomic_bool told; /* why pages are not mapped */
};

/* ---- server.c ---- */

/* Has somebody to be told that the server ends? */
bool bk__serve_stopping(struct bk__serve *serve);

/* ---- group.c ---- */

/* A client of that user comes, unless clients of another are there, and goes. NULL is any group. */
bool bk__serve_group_enter(struct bk__serve_group *group, uid_t user);
void bk__serve_group_leave(struct bk__serve_group *group);

/* ---- session.c ---- */

/* Serves the client behind the socket until it goes, and gives everything back. */
void bk__serve_session_run(struct bk__serve *serve, int fd);

/* Takes from the device what it kept of the last client's memory: no other client may come before. 0, or why
 * it keeps it still. */
int bk__serve_session_settle(struct bk__serve *serve);

/* Where a reply's payload is put before bk__serve_reply, which sends `size` bytes of it. 0, or what ends the
 * connection. */
#define BK__SERVE_PAYLOAD(session) ((session)->out + sizeof(struct bk__wire_header))
int bk__serve_reply(struct bk__serve_session *session, const struct bk__wire_message *message, size_t size,
		    const int *fds, unsigned fd_count);

/* An error reply; `error` is negative. `what` is for the log, or NULL. */
int bk__serve_refuse(struct bk__serve_session *session, const struct bk__wire_message *message, int error,
		     const char *what);

/* ---- Commands. Each answers; 0, or what ends the connection. ---- */

/* info.c */

/* 0, -EINVAL for an index that does not exist; one that is just absent has size 0. */
int bk__serve_region_of(struct bk__serve_session *session, unsigned index, struct bk_device_region *region);
int bk__serve_device_info(struct bk__serve_session *session, struct bk__wire_message *message,
			  const struct bk__wire_request *request);
int bk__serve_region_info(struct bk__serve_session *session, struct bk__wire_message *message,
			  const struct bk__wire_request *request);
int bk__serve_irq_info(struct bk__serve_session *session, struct bk__wire_message *message,
		       const struct bk__wire_request *request);

/* doorbells.c */
int bk__serve_io_fds(struct bk__serve_session *session, struct bk__wire_message *message,
		     const struct bk__wire_request *request);
void bk__serve_doorbells_close(struct bk__serve_session *session);

/* Has the client an eventfd for a register in this range? Under the share lock. */
bool bk__serve_doorbells_held(const struct bk__serve_session *session, unsigned region, uint64_t first,
			      uint64_t last);

/* access.c */
int bk__serve_region_read(struct bk__serve_session *session, struct bk__wire_message *message,
			  const struct bk__wire_request *request);
int bk__serve_region_write(struct bk__serve_session *session, struct bk__wire_message *message,
			   const struct bk__wire_request *request);
int bk__serve_write_multi(struct bk__serve_session *session, struct bk__wire_message *message,
			  const struct bk__wire_request *request);
int bk__serve_reset(struct bk__serve_session *session, struct bk__wire_message *message,
		    const struct bk__wire_request *request);

/* irqs.c */
int bk__serve_set_irqs(struct bk__serve_session *session, struct bk__wire_message *message,
		       const struct bk__wire_request *request);
void bk__serve_irqs_open(struct bk__serve_session *session);
void bk__serve_irqs_close(struct bk__serve_session *session);

/* maps.c */
int bk__serve_dma_map(struct bk__serve_session *session, struct bk__wire_message *message,
		      const struct bk__wire_request *request);
int bk__serve_dma_unmap(struct bk__serve_session *session, struct bk__wire_message *message,
			const struct bk__wire_request *request);

/* 0, or why the device keeps some of them; those stay. */
int bk__serve_unmap_all(struct bk__serve_session *session);

/* ---- share.c ---- */

/* What the client may map of a region; from then on it is the client's. NULL: nothing. */
void bk__serve_share_get(struct bk__serve_session *session, unsigned region,
			 const struct bk_device_region *info, struct bk__serve_share **share);
void bk__serve_share_open(struct bk__serve_session *session);
void bk__serve_share_close(struct bk__serve_session *session);

#endif
