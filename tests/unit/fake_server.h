/* SPDX-License-Identifier: BSD-2-Clause */
/* A vfio-user server in a thread of the test, that does what the test says, right or wrong. */
#ifndef FAKE_SERVER_H
#define FAKE_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "wire/stream.h"

enum fake_fault {
	FAKE_NONE,
	FAKE_MAJOR,        /* VERSION: another major */
	FAKE_MINOR,        /* VERSION: a minor above the proposed one */
	FAKE_TEXT,         /* VERSION: no JSON */
	FAKE_NO_PCI,       /* no PCI device */
	FAKE_AREA,         /* an area past the end of its region */
	FAKE_CAP,          /* a capability past the end of the reply */
	FAKE_VECTORS,      /* more vectors than there can be */
	FAKE_LONG_INFO,    /* region info longer than asked for */
	FAKE_SHORT_INFO,   /* device info cut off */
	FAKE_HUGE,         /* a reply of 4 GiB */
	FAKE_HANG_UP,      /* closes instead of an answer to device info */
	FAKE_NO_VERSION,   /* closes instead of an answer to VERSION */
	FAKE_NO_REGION,    /* closes instead of the second answer for a region */
	FAKE_NO_FD,        /* a region to map without a file */
	FAKE_SETUP_FAULTS, /* how many of these there are; the rest is for reads */
	FAKE_READ_SHORT,
	FAKE_READ_LONG,
	FAKE_READ_OTHER, /* the reply to another command */
	FAKE_READ_ERROR,
	FAKE_READ_FDS, /* with fds that nobody asked for */
	FAKE_FAULTS,
	FAKE_IO_FDS,         /* what no client can use, and one that it can */
	FAKE_IO_FDS_HANG_UP, /* closes when it is asked for them */
};

enum { FAKE_BAR0 = 0x10000, FAKE_BAR2 = 0x1000, FAKE_VECTORS_MSIX = 40 };

struct fake_server {
	char path[64];
	int listener, fd;
	pthread_t thread;
	atomic_int fault;
	bool twin_socket;
	bool no_maps; /* no region can be mapped */
	uint32_t max_fds;
	uint64_t max_data;

	/* The device. */
	int memory; /* of BAR 0, from 0x1000 on */
	uint8_t *bar0;
	uint8_t bar2[FAKE_BAR2], config[256];
	uint32_t msix_count;
	bool keeps_maps; /* refuses to unmap */

	/* Before the next read is answered, this is read from the client's memory. */
	_Atomic uint64_t dma_address;
	uint32_t dma_value;

	/* Called once, in the server's thread, after the next answer. */
	void (*after)(struct fake_server *server, void *opaque);
	void *opaque;

	pthread_mutex_t lock; /* what was seen */
	pthread_cond_t changed;
	int twin; /* our end */
	struct {
		uint64_t address, size;
		bool fd;
	} maps[16];
	unsigned map_count, messages, posted, resets, most_fds;
	int irqs[5][64]; /* eventfds, -1 */
	int unmask;
};

void fake_server_init(struct fake_server *server);
void fake_server_start(struct fake_server *server); /* listens, and serves one client after the other */
void fake_server_stop(struct fake_server *server);  /* as if it were killed */
void fake_server_free(struct fake_server *server);

/* Waits until the condition holds, under the lock. */
#define fake_wait(server, condition)                                            \
	do {                                                                    \
		pthread_mutex_lock(&(server)->lock);                            \
		while (!(condition))                                            \
			pthread_cond_wait(&(server)->changed, &(server)->lock); \
		pthread_mutex_unlock(&(server)->lock);                          \
	} while (0)

/* A command to the client on this socket, and its answer; the error number of an error reply. */
int fake_dma_read(struct fake_server *server, int fd, uint64_t address, void *data, uint32_t count);
int fake_dma_write(struct fake_server *server, int fd, uint64_t address, const void *data, uint32_t count);

#endif
