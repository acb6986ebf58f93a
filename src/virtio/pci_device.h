/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtio device as a PCI function: transitional, with legacy registers in an I/O BAR and modern ones in a
 * memory BAR (virtio 1.2, 4.1).
 *
 * A type (virtio-blk, virtio-net) gives the device its features, its config and
 * what it does with its queues. Queues are served on a thread of the device, so
 * no vCPU waits for a disk; only a reset waits until nothing is in flight.
 *
 * Locks: `config_lock`, then `lock`, then that of the worker; then `isr_lock`.
 * The worker takes none of the first two, as who holds them waits for it, and
 * for its DMA.
 */
#ifndef BK_VIRTIO_PCI_DEVICE_H
#define BK_VIRTIO_PCI_DEVICE_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/ratelimit.h"
#include "device/irqs.h"
#include "virtio/queue.h"

enum {
	BK__VIRTIO_QUEUES_MAX = 4,
	BK__VIRTIO_CONFIG_MAX = 64, /* of a type */
	BK__VIRTIO_PCI_CONFIG = 256,
	BK__VIRTIO_NO_VECTOR = 0xffff,
};

/* Device status, virtio 1.2, 2.1. */
enum {
	BK__VIRTIO_ACKNOWLEDGE = 1,
	BK__VIRTIO_DRIVER = 2,
	BK__VIRTIO_DRIVER_OK = 4,
	BK__VIRTIO_FEATURES_OK = 8,
	BK__VIRTIO_NEEDS_RESET = 0x40,
	BK__VIRTIO_FAILED = 0x80,
};

/* Features of any device, 6. */
#define BK__VIRTIO_F(bit)          (UINT64_C(1) << (bit))
#define BK__VIRTIO_F_ANY_LAYOUT    BK__VIRTIO_F(27)
#define BK__VIRTIO_F_INDIRECT_DESC BK__VIRTIO_F(28)
#define BK__VIRTIO_F_EVENT_INDEX   BK__VIRTIO_F(29)
#define BK__VIRTIO_F_VERSION_1     BK__VIRTIO_F(32)

struct bk__virtio;

/* Descriptors that a worker waits for. */
struct bk__virtio_polls {
	struct pollfd *fds;
	unsigned count, room;
	int timeout; /* ms, or -1 */
};

/* Adds one; its index, or -1 when out of memory. */
int bk__virtio_polls_add(struct bk__virtio_polls *polls, int fd, short events);

/*
 * What a type of device does. All but `close` and `describe` are called by the
 * worker, or by bk__virtio_serve if there is none.
 *
 * start: the driver has set DRIVER_OK. May be NULL.
 * serve: a queue may have new chains.
 * fill, poll: what to wait for besides, and what came of it. May be NULL.
 * drain: returns when nothing is in flight. What is kept of the queues is
 *   forgotten. May be NULL.
 */
struct bk__virtio_type {
	const char *name;
	uint16_t id; /* virtio 1.2, 5; the legacy id of a PCI device is 0xfff more */
	uint32_t class_code;
	unsigned queues;
	unsigned legacy_size; /* of the I/O BAR */
	const char *thread;   /* its kind, see base/thread.h */
	void (*start)(struct bk__virtio *virtio);
	void (*serve)(struct bk__virtio *virtio, unsigned queue);
	void (*fill)(struct bk__virtio *virtio, struct bk__virtio_polls *polls);
	void (*poll)(struct bk__virtio *virtio, const struct bk__virtio_polls *polls);
	void (*drain)(struct bk__virtio *virtio);
	void (*describe)(struct bk__virtio *virtio,
			 void (*say)(void *opaque, const char *key, const char *value), void *opaque);
	void (*close)(struct bk__virtio *virtio); /* frees what the type has; the device is freed after it */
};

/* Config space of the function. Under `config_lock`. */
struct bk__virtio_config {
	uint8_t bytes[BK__VIRTIO_PCI_CONFIG], reset[BK__VIRTIO_PCI_CONFIG], write[BK__VIRTIO_PCI_CONFIG];
	unsigned access; /* offset of the capability through which a driver reaches BARs */
};

/* By legacy and by modern registers. */
enum { BK__VIRTIO_DOORBELLS = 2 };

struct bk__virtio_worker {
	pthread_t thread;
	bool started;
	/* Changed while it is parked: eventfds that kick a queue, too; -1: none. */
	int doorbells[BK__VIRTIO_QUEUES_MAX][BK__VIRTIO_DOORBELLS];
	int wake;           /* an eventfd */
	atomic_uint kicked; /* a bit for each queue */

	pthread_mutex_t lock; /* what follows */
	pthread_cond_t changed;
	bool pause, parked, stop;
};

struct bk__virtio {
	struct bk_device device;
	const struct bk__virtio_type *type;
	char *name;
	void *opaque; /* the type's */
	struct bk__device_dma_space *dma;
	struct bk__device_irqs irqs;
	struct bk_space *bars[6]; /* NULL: there is none */
	struct bk_region *legacy_vectors, *legacy_config;

	pthread_mutex_t config_lock;
	struct bk__virtio_config config;

	pthread_mutex_t lock; /* registers, which only a driver changes: what follows */
	uint64_t offered, accepted;
	uint32_t offered_select, accepted_select;
	uint16_t queue_select;
	uint8_t type_config[BK__VIRTIO_CONFIG_MAX]; /* constant */

	atomic_uint status;
	atomic_bool master; /* COMMAND.MASTER: queues are served */
	atomic_uint config_vector, vectors[BK__VIRTIO_QUEUES_MAX];
	pthread_mutex_t isr_lock;
	uint8_t isr;
	bool intx_disabled;

	/* The driver's part is written while the worker is parked, the rest is the worker's. */
	struct bk__virtio_queue queues[BK__VIRTIO_QUEUES_MAX];
	struct bk__virtio_chain chain; /* the one that the worker is handling */
	struct bk__virtio_worker worker;
	struct bk__ratelimit limit; /* of lines that a guest can cause */
};

/* ---- function.c: the device -------------------------------------------- */

/*
 * A device that `spec` named, with `opaque` of the type and its features
 * (`features`, besides those of any device). `config` has `size` bytes. With `threaded` it has a
 * worker; otherwise its owner calls bk__virtio_serve. On an error the caller keeps `opaque`, and `err`
 * has a line.
 */
int bk__virtio_create(const struct bk__virtio_type *type, void *opaque, const char *spec, uint64_t features,
		      const void *config, size_t size, bool threaded, struct bk__virtio **virtio,
		      struct bk_error *err);

/* ---- worker.c ---------------------------------------------------------- */

int bk__virtio_worker_start(struct bk__virtio *virtio, bool threaded); /* 0 or a negative errno */
void bk__virtio_worker_stop(struct bk__virtio *virtio);

/* Queues that are ready may have new chains. Under `lock`. */
void bk__virtio_kick_all(struct bk__virtio *virtio);

/* A queue has new chains. Any thread. */
void bk__virtio_kick(struct bk__virtio *virtio, unsigned queue);

/* From now on a write to the eventfd kicks the queue; -1 ends that. -EEXIST, or an error of dup. Under
 * `lock`. */
int bk__virtio_doorbell(struct bk__virtio *virtio, unsigned queue, unsigned which, int fd);

/* Between these two no queue is served, and nothing is in flight. Under `lock`. */
void bk__virtio_worker_park(struct bk__virtio *virtio);
void bk__virtio_worker_go(struct bk__virtio *virtio);

/* What the worker does when it is woken, without waiting. For a device that has none. */
void bk__virtio_serve(struct bk__virtio *virtio);

/* ---- For types, on the worker ------------------------------------------ */

/* The device was entered: the queues may be used until it is left. */
bool bk__virtio_has(const struct bk__virtio *virtio, uint64_t feature); /* was it negotiated? */
bool bk__virtio_is_running(const struct bk__virtio *virtio);            /* are queues served? */

/* Signals the driver, if it wants that, and notices a queue that is broken. */
void bk__virtio_signal(struct bk__virtio *virtio, unsigned queue);

/* The device can go on only after a reset: a line, and an interrupt. */
void bk__virtio_break(struct bk__virtio *virtio, const char *why);

/* ---- state.c: what registers do. Under `lock` -------------------------- */

void bk__virtio_set_status(struct bk__virtio *virtio, uint8_t status, bool legacy);
void bk__virtio_reset(struct bk__virtio *virtio);
void bk__virtio_set_features(struct bk__virtio *virtio, uint64_t accepted);
/* A modern driver makes a queue ready, a legacy one gives it a page or takes it back with 0. */
void bk__virtio_queue_ready(struct bk__virtio *virtio, unsigned queue);
void bk__virtio_queue_page(struct bk__virtio *virtio, unsigned queue, uint32_t page);
uint16_t bk__virtio_vector(const struct bk__virtio *virtio, uint16_t vector); /* or NO_VECTOR */

/* ---- interrupt.c ------------------------------------------------------- */

void bk__virtio_interrupt(struct bk__virtio *virtio, unsigned vector, uint8_t isr);
uint8_t bk__virtio_isr_take(struct bk__virtio *virtio); /* reads and clears it */
uint8_t bk__virtio_isr_peek(struct bk__virtio *virtio);
void bk__virtio_intx_disable(struct bk__virtio *virtio, bool disabled);

/* ---- modern.c, legacy.c, config.c: registers --------------------------- */

enum { BK__VIRTIO_BAR_LEGACY = 0, BK__VIRTIO_BAR_MSIX = 1, BK__VIRTIO_BAR_MODERN = 4 };

#define BK__VIRTIO_MODERN_SIZE   0x4000u
#define BK__VIRTIO_MODERN_COMMON 0x0000u
#define BK__VIRTIO_MODERN_ISR    0x1000u
#define BK__VIRTIO_MODERN_CONFIG 0x2000u
#define BK__VIRTIO_MODERN_NOTIFY 0x3000u
#define BK__VIRTIO_NOTIFY_STEP   4u
#define BK__VIRTIO_LEGACY_NOTIFY 16u
#define BK__VIRTIO_COMMON_SIZE   56u

/* Append the regions of their BARs. */
void bk__virtio_modern_add(struct bk__virtio *virtio, struct bk_update *update);
void bk__virtio_legacy_add(struct bk__virtio *virtio, struct bk_update *update);

/* MSI-X was turned on or off: the legacy registers have two more then. 0 or -ENOMEM. */
int bk__virtio_legacy_msix(struct bk__virtio *virtio, bool on);

/* Handlers of the type's config, which both show. */
extern const struct bk_region_ops bk__virtio_type_config_ops;

void bk__virtio_config_build(struct bk__virtio *virtio);
void bk__virtio_config_reset(struct bk__virtio *virtio);
int bk__virtio_config_read(struct bk__virtio *virtio, unsigned offset, uint8_t *data, unsigned count);
int bk__virtio_config_write(struct bk__virtio *virtio, unsigned offset, const uint8_t *data, unsigned count);

#endif
