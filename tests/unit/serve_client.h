/* SPDX-License-Identifier: BSD-2-Clause */
/* A server in this process, and a client that says to it whatever a test wants. */
#ifndef BARKEEP_TEST_SERVE_CLIENT_H
#define BARKEEP_TEST_SERVE_CLIENT_H

#include <semaphore.h>

#include "serve/serve.h"
#include "served_device.h"
#include "wire/stream.h"
#include "wire/version.h"

struct served {
	struct served_device device;
	struct bk__serve_config config;
	struct bk__serve *serve;
	char path[64];
	sem_t gone; /* posted when a client has gone */
	int fd;     /* the client's end, or -1 */
	struct bk__wire_stream stream;
	struct bk__wire_message reply;
	uint16_t id; /* of the last command */
};

/* The device, and after changes to it or `config` the server. */
void served_create(struct served *served);
void served_start(struct served *served);
void served_end(struct served *served);

void client_connect(struct served *served);
void client_close(struct served *served); /* and waits until the server has noticed */

/* Connects and agrees on version 0.2 and all that there is, without a twin socket. */
void client_start(struct served *served);

/* A command. The payload is in two parts, of which each may be empty. */
void client_say(struct served *served, unsigned command, unsigned flags, const void *payload, size_t size,
		const void *data, size_t data_size, const int *fds, unsigned fd_count);

/* Waits for the next message; it is in `reply`. 0, or what the stream gave. */
int client_hear(struct served *served);

/* Both: 0, or the negative errno of the reply. A reply that is none of the command fails the test. */
int client_ask(struct served *served, unsigned command, const void *payload, size_t size, const int *fds,
	       unsigned fd_count);

int client_map(struct served *served, uint64_t address, uint64_t size, uint64_t offset, int fd);
int client_unmap(struct served *served, uint64_t address, uint64_t size, unsigned flags);
int client_irqs(struct served *served, unsigned flags, unsigned index, unsigned start, unsigned count,
		const int *fds, unsigned fd_count);
uint64_t client_read(struct served *served, unsigned region, uint64_t offset, unsigned count);
int client_write(struct served *served, unsigned region, uint64_t offset, uint64_t value, unsigned count);

int memory_file(uint64_t size);

#endif
