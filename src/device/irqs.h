/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interrupts of a device in software, as VFIO gives them. INTx is a level, masked by itself when it
 * fires; MSI and MSI-X are edges.
 *
 * Any thread, except for opening and closing. The locks are innermost. None of the calls waits for the owner
 * of an eventfd for more than some seconds.
 */
#ifndef BARKEEP_DEVICE_IRQS_H
#define BARKEEP_DEVICE_IRQS_H

#include <pthread.h>

#include <barkeep/device.h>

struct bk__device_irqs {
	const char *name; /* of the device, for log lines */
	unsigned count[BK_DEVICE_IRQS];

	/* The eventfd that is being written now, or -1. If the write blocks, a thread that wants `lock`
	 * empties the eventfd's counter. */
	pthread_mutex_t written_lock;
	int written;

	pthread_mutex_t lock;     /* what follows */
	int *fds[BK_DEVICE_IRQS]; /* our own duplicates; below 0: no eventfd is signalled */
	bool on[BK_DEVICE_IRQS];
	bool level, masked; /* INTx */
	uint64_t lost;

	/* The thread that waits for the end of INTx; started when it first has something to wait for. */
	pthread_t thread;
	bool started, stop;
	bool changed; /* `resample` is news to the thread, which then owns it */
	int resample; /* -1: none */
	int wake;
};

/* No vectors yet: the owner sets `count`, then opens it. Close it even if that failed. */
void bk__device_irqs_init(struct bk__device_irqs *irqs, const char *name);
int bk__device_irqs_open(struct bk__device_irqs *irqs); /* -ENOMEM */
void bk__device_irqs_close(struct bk__device_irqs *irqs);

/* As the operation of a device. */
int bk__device_irqs_set(struct bk__device_irqs *irqs, unsigned index, enum bk_device_irq_action action,
			unsigned start, unsigned count, const int *fds);

/* Fires a vector of MSI-X or MSI. False if neither is on. */
bool bk__device_irqs_fire(struct bk__device_irqs *irqs, unsigned vector);

/* Does the device assert INTx now? */
void bk__device_irqs_level(struct bk__device_irqs *irqs, bool level);

bool bk__device_irqs_on(struct bk__device_irqs *irqs, unsigned index);

/* How many messages were lost because there was no eventfd. */
uint64_t bk__device_irqs_lost(struct bk__device_irqs *irqs);

#endif
