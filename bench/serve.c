/* SPDX-License-Identifier: BSD-2-Clause */
/* A served device beside a bare ping-pong over a socket, of messages of the same sizes. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <barkeep/mediate.h>

#include "base/pci_regs.h"
#include "bench.h"
#include "serve/serve.h"
#include "wire/stream.h"

#define DEVICES  8
#define SECONDS  3.0
#define COUNTED  10000
#define ASKED    (sizeof(struct bk__wire_header) + sizeof(struct bk__wire_region_access))
#define MAPS     65535
#define BATCH    64
#define MAP_SIZE UINT64_C(4096)

/* ---- What the server calls, counted: a client here calls __real_send ------------------------------------
 */

static atomic_uint_fast64_t system_calls, allocations;

ssize_t __real_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __real_send(int fd, const void *data, size_t count, int flags);
ssize_t __wrap_send(int fd, const void *data, size_t count, int flags);
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);

ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags)
{
	atomic_fetch_add_explicit(&system_calls, 1, memory_order_relaxed);
	return __real_recvmsg(fd, message, flags);
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
	atomic_fetch_add_explicit(&system_calls, 1, memory_order_relaxed);
	return __real_sendmsg(fd, message, flags);
}

ssize_t __wrap_send(int fd, const void *data, size_t count, int flags)
{
	atomic_fetch_add_explicit(&system_calls, 1, memory_order_relaxed);
	return __real_send(fd, data, count, flags);
}

void *__wrap_malloc(size_t size)
{
	atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
	return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
	return __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
	return __real_realloc(old, size);
}

/* ---- Both ends --------------------------------------------------------- */

static void fail(const char *what)
{
	fprintf(stderr, "bench_serve: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void pair(int fds[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
		fail("socketpair");
}

/* A round trip: `ask` bytes there, `answer` bytes back. */
static void round_trip(int fd, void *message, size_t ask, size_t answer)
{
	uint8_t reply[256];

	if (__real_send(fd, message, ask, 0) != (ssize_t)ask ||
	    recv(fd, reply, answer, MSG_WAITALL) != (ssize_t)answer)
		fail("round trip");
}

struct bare {
	int fds[2];
	size_t ask, answer;
};

static void *echo(void *opaque)
{
	const struct bare *bare = opaque;
	uint8_t bytes[256] = { 0 };

	while (recv(bare->fds[1], bytes, bare->ask, 0) == (ssize_t)bare->ask)
		if (__real_send(bare->fds[1], bytes, bare->answer, MSG_NOSIGNAL) < 0)
			break;
	return NULL;
}

static void run_bare(void *opaque, size_t count)
{
	const struct bare *bare = opaque;
	uint8_t bytes[256] = { 0 };

	while (count--)
		round_trip(bare->fds[0], bytes, bare->ask, bare->answer);
}

struct device {
	struct bk_device_context *context;
	struct bk_domain *domain;
	struct bk_mediator *mediate;
	struct bk__serve *serve;
	int fd;
};

struct message {
	struct bk__wire_header header;
	struct bk__wire_region_access access;
	uint32_t value; /* of a write */
};

static void run_read(void *opaque, size_t count)
{
	const struct device *device = opaque;
	struct message read = { { .command = BK__WIRE_REGION_READ, .size = ASKED }, { 0x10, 0, 4 }, 0 };

	while (count--)
		round_trip(device->fd, &read, ASKED, ASKED + 4);
}

static void run_write(void *opaque, size_t count)
{
	const struct device *device = opaque;
	struct message write = { { .command = BK__WIRE_REGION_WRITE, .size = ASKED + 4 }, { 0x10, 0, 4 }, 7 };

	while (count--)
		round_trip(device->fd, &write, ASKED + 4, ASKED);
}

/* ---- A device that answers at once ------------------------------------- */

static int quick_info(struct bk_device *device, struct bk_device_info *info)
{
	*info = (struct bk_device_info){ .flags = BK_DEVICE_CAN_RESET,
					 .regions = BK_DEVICE_REGIONS,
					 .irqs = BK_DEVICE_IRQS };
	return 0;
}

static int quick_region(struct bk_device *device, unsigned index, struct bk_device_region *region)
{
	*region = (struct bk_device_region){ .fd = -1 };
	if (index == BK_DEVICE_CONFIG || !index) {
		region->flags = BK_DEVICE_READ | BK_DEVICE_WRITE;
		region->size = index ? 256 : 4096;
	}
	return 0;
}

static int quick_irq(struct bk_device *device, unsigned index, struct bk_device_irq *irq)
{
	*irq = (struct bk_device_irq){ 0 };
	return 0;
}

static int quick_read(struct bk_device *device, unsigned region, uint64_t offset, void *data, size_t count)
{
	memset(data, 1, count);
	if (region == BK_DEVICE_CONFIG && offset <= BK__PCI_HEADER_TYPE &&
	    count > BK__PCI_HEADER_TYPE - offset)
		((uint8_t *)data)[BK__PCI_HEADER_TYPE - offset] = 0;
	return 0;
}

static int quick_write(struct bk_device *device, unsigned region, uint64_t offset, const void *data,
		       size_t count)
{
	return 0;
}

static int quick_reset(struct bk_device *device)
{
	return 0;
}

static void quick_close(struct bk_device *device)
{
}

static const struct bk_device_ops quick_ops = {
	.info = quick_info,
	.region = quick_region,
	.irq = quick_irq,
	.read = quick_read,
	.write = quick_write,
	.reset = quick_reset,
	.close = quick_close,
};

static struct bk_device quick = { .ops = &quick_ops, .name = "quick" };

/* `sim`: a device that does DMA; else the quick one. */
static void open_device(struct device *device, unsigned spin, bool sim)
{
	struct bk__serve_config config = { .name = "bench", .spin = spin };
	struct {
		struct bk__wire_header header;
		uint16_t version[2];
	} first = { { .command = BK__WIRE_VERSION, .size = 20 }, { 0, 1 } };
	struct bk_device *below = &quick;
	struct bk_error err;
	uint8_t reply[256];
	int fds[2];

	pair(fds);
	device->context = bk_device_context_create();
	device->domain = bk_domain_create();
	if ((sim && bk_device_open(device->context, "sim:" EXAMPLES "/edu.yaml", &below, &err)) ||
	    bk_mediator_create(device->domain, below, NULL, &device->mediate, &err)) {
		fprintf(stderr, "bench_serve: %s\n", err.text);
		exit(1);
	}
	config.device = bk_mediator_device(device->mediate);
	config.mediate = device->mediate;
	if (bk__serve_create(&config, fds[1], true, &device->serve, &err))
		fail(err.text);
	device->fd = fds[0];
	if (__real_send(device->fd, &first, 20, 0) != 20 || recv(device->fd, reply, sizeof(reply), 0) < 20)
		fail("VERSION");
}

static void close_device(struct device *device)
{
	close(device->fd);
	bk__serve_destroy(device->serve);
	bk_mediator_destroy(device->mediate);
	bk_domain_destroy(device->domain);
	bk_device_context_destroy(device->context);
}

/* ---- Figures ----------------------------------------------------------- */

static void count(struct device *device)
{
	run_read(device, 100);
	atomic_store(&system_calls, 0);
	atomic_store(&allocations, 0);
	run_read(device, COUNTED);
	bench_print_target("serve/read/system-calls", "calls", (double)atomic_load(&system_calls) / COUNTED,
			   0, 0, 2.001);
	bench_print_target("serve/read/allocations", "calls", (double)atomic_load(&allocations) / COUNTED, 0,
			   0, 0);
}

/* `where`: the server's CPU; the client's is 0. */
static void round_trips(const char *name, unsigned where, unsigned devices, double target)
{
	struct device device[DEVICES];
	struct bare reads = { .ask = ASKED, .answer = ASKED + 4 },
		    writes = { .ask = ASKED + 4, .answer = ASKED };
	pthread_t threads[2];
	struct bench_kernel kernels[] = {
		{ .name = "bare", .run = run_bare, .opaque = &reads },
		{ .name = "read", .run = run_read, .opaque = &device[0] },
		{ .name = "bare-write", .run = run_bare, .opaque = &writes },
		{ .name = "write", .run = run_write, .opaque = &device[0] },
	};
	char full[80];

	bench_pin(where);
	pair(reads.fds);
	pair(writes.fds);
	if (pthread_create(&threads[0], NULL, echo, &reads) ||
	    pthread_create(&threads[1], NULL, echo, &writes))
		fail("thread");
	for (unsigned i = 0; i < devices; i++)
		open_device(&device[i], 0, false);
	bench_pin(0);
	if (!where)
		count(&device[0]);
	bench_measure(kernels, 4, SECONDS, BENCH_WALL);
	for (unsigned i = 0; i < 4; i++) {
		snprintf(full, sizeof(full), "serve/%s/%s", name, kernels[i].name);
		bench_print(full, "ns", kernels[i].ns, kernels[i].low, kernels[i].high);
	}
	for (unsigned i = 0; i < 4; i += 2) {
		snprintf(full, sizeof(full), "serve/%s/%s", name, kernels[i + 1].name);
		bench_print_ratio(full, "x bare", kernels[i + 1].ns / kernels[i].ns, target);
	}
	for (unsigned i = 0; i < devices; i++)
		close_device(&device[i]);
	close(reads.fds[0]);
	close(writes.fds[0]);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	close(reads.fds[1]);
	close(writes.fds[1]);
}

static void ask_for_map(int fd, uint64_t i, const int *memory)
{
	struct {
		struct bk__wire_header header;
		struct bk__wire_dma_map map;
	} map = { { .command = BK__WIRE_DMA_MAP, .size = 48 },
		  { 32, 3, i * MAP_SIZE, 2 * i * MAP_SIZE, MAP_SIZE } };
	const struct iovec part = { &map, sizeof(map) };

	if (bk__wire_send(fd, &part, 1, memory, 1))
		fail("DMA_MAP");
}

/* As many maps as the protocol lets a client make, each with a descriptor, some of them at a time. */
static void maps(void)
{
	const int memory = memfd_create("bench", 0);
	struct device device;
	double start, end;

	bench_pin_nowhere();
	open_device(&device, 0, true);
	if (memory < 0 || ftruncate(memory, MAPS * MAP_SIZE))
		fail("memfd");
	start = bench_now(BENCH_WALL);
	for (uint64_t i = 0; i < MAPS; i += BATCH) {
		const uint64_t count = MAPS - i < BATCH ? MAPS - i : BATCH;

		for (uint64_t j = 0; j < count; j++)
			ask_for_map(device.fd, i + j, &memory);
		for (uint64_t j = 0; j < count; j++) {
			struct bk__wire_header reply;

			if (recv(device.fd, &reply, sizeof(reply), MSG_WAITALL) != sizeof(reply) ||
			    reply.flags != BK__WIRE_REPLY)
				fail("DMA_MAP");
		}
	}
	end = bench_now(BENCH_WALL);
	bench_print("serve/maps/65535", "ms", (end - start) / 1e6, 0, 0);
	start = bench_now(BENCH_WALL);
	close_device(&device);
	bench_print("serve/maps/65535/end", "ms", (bench_now(BENCH_WALL) - start) / 1e6, 0, 0);
	close(memory);
}

/* Alone: who takes turns with others is not looked for. */
static void spinning(void)
{
	struct device device;
	struct bench_kernel kernel = { .name = "read", .run = run_read, .opaque = &device };

	bench_pin(1);
	open_device(&device, 50, false);
	bench_pin(0);
	bench_measure(&kernel, 1, SECONDS, BENCH_WALL);
	bench_print("serve/two-cpus/spin/read", "ns", kernel.ns, kernel.low, kernel.high);
	close_device(&device);
}

/* Under callgrind: the same number of round trips with and without a server, whose difference is the
 * server's. */
static void count_only(const char *what, size_t count)
{
	struct bare bare = { .ask = ASKED, .answer = ASKED + 4 };
	struct device device;
	pthread_t thread;

	pair(bare.fds);
	if (pthread_create(&thread, NULL, echo, &bare))
		fail("thread");
	open_device(&device, 0, false);
	if (strcmp(what, "read") == 0)
		run_read(&device, count);
	else if (strcmp(what, "write") == 0)
		run_write(&device, count);
	else
		run_bare(&bare, count);
	close_device(&device);
	close(bare.fds[0]);
	pthread_join(thread, NULL);
	close(bare.fds[1]);
}

/*
 * usage: bench_serve [--count bare|read|write N]: all figures, or so many round trips
 */
int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "--count") == 0) {
		count_only(argv[2], strtoull(argv[3], NULL, 0));
		return 0;
	}
	round_trips("one-cpu", 0, 1, 1.1);
	if (bench_cpus() > 1) {
		round_trips("two-cpus", 1, 1, 1.1);
		round_trips("two-cpus/8-devices", 1, DEVICES, 1.1);
		spinning();
	}
	maps();
	return 0;
}
