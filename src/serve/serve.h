/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device behind a socket that speaks vfio-user: one client at a time.
 *
 * Each server has a thread. It accepts a client, handles its messages in order, and releases everything
 * when the client disconnects. No client waits for that of another server.
 */
#ifndef BK_SERVE_SERVE_H
#define BK_SERVE_SERVE_H

#include <sys/types.h>

#include <barkeep/mediate.h>

struct bk__serve;
struct bk__serve_group;

enum bk__serve_mmap {
	BK__SERVE_MMAP_OFF,
	BK__SERVE_MMAP_SAFE,      /* only what cannot reach more than the pages that are allowed */
	BK__SERVE_MMAP_DEVICE_FD, /* the device's own file: the client is trusted with all of the device */
};

/* Zero-initialise it. Strings stay the caller's. */
struct bk__serve_config {
	const char *name;            /* in log lines */
	struct bk_device *device;    /* stays the caller's */
	struct bk_mediator *mediate; /* whose face the device is, or NULL */
	enum bk__serve_mmap mmap;
	bool strict; /* refuse what clients in use do against the text, and say so where they cannot stand it
		      */
	uint64_t memory; /* bytes that a client may map; 0: as many as it likes */
	unsigned maps;   /* and in how many pieces; 0: 65535 */
	unsigned spin;   /* microseconds to look for the next message before sleeping; at most 1000 */
	bool check_user; /* only this user's processes, our own user's and root's are served */
	uid_t user;
	struct bk__serve_group *group; /* or NULL; outlives the server */
	void (*gone)(void *opaque); /* a client has gone and nothing is left of it; on the server's thread; or
				       NULL */
	void *opaque;
};

/*
 * What servers share whose devices the host's IOMMU does not tell apart: such devices see one memory, so
 * their clients have to be one guest's. Memory that several of them map from one file is mapped here once, at
 * one address, so that the IOMMU takes it for the same. While one has a client, another user's are turned
 * away. NULL when out of memory. Owner only.
 */
struct bk__serve_group *bk__serve_group_create(void);
void bk__serve_group_destroy(struct bk__serve_group *group); /* NULL is fine */

/*
 * Serves clients that connect to `fd`, which listens, or the one that it is connected to. Takes the fd, also
 * on failure. Owner only.
 */
int bk__serve_create(const struct bk__serve_config *config, int fd, bool connected, struct bk__serve **serve,
		     struct bk_error *err);

/* Ends the client and waits until nothing is left of it. NULL is fine. Owner only. */
void bk__serve_destroy(struct bk__serve *serve);

/* Commands are those of vfio-user, by their number; 0 stands for numbers that are none. */
#define BK__SERVE_COMMANDS 19
const char *bk__serve_command_name(unsigned command);

/* Any thread. */
struct bk__serve_stats {
	uint64_t clients;                      /* so far */
	bool client;                           /* one is there */
	uint64_t messages;                     /* of all clients */
	uint64_t commands[BK__SERVE_COMMANDS]; /* how many of them are of each */
	uint64_t refused;                      /* messages that got an error */
	uint64_t maps;                         /* of memory, now */
	uint64_t memory;                       /* bytes of those */
};
void bk__serve_stats(struct bk__serve *serve, struct bk__serve_stats *stats);

#endif
