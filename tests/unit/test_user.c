/* SPDX-License-Identifier: BSD-2-Clause */
/* `vfio-user:PATH`: a device of another process, against a server that obeys, errs, goes and comes back. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include <barkeep/device.h>

#include "base/bytes.h"
#include "open_files.h"
#include "user_kit.h"

/* The first time that is asked for is right, and all others are an hour later. */
static atomic_bool time_flies;
static atomic_uint asked;

int __real_clock_gettime(clockid_t clock, struct timespec *time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *time)
{
	const int error = __real_clock_gettime(clock, time);

	if (atomic_load(&time_flies) && atomic_fetch_add(&asked, 1))
		time->tv_sec += 3600;
	return error;
}

/* How often this thread's next receives are too late. */
static _Thread_local unsigned late;

ssize_t __real_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags)
{
	if (late) {
		late--;
		errno = EAGAIN;
		return -1;
	}
	return __real_recvmsg(fd, message, flags);
}

static void note_area(void *opaque, const struct bk_device_area *area)
{
	struct bk_device_area *found = opaque;

	assert_int_equal(found->size, 0); /* one */
	*found = *area;
}

static void what_the_server_says(void **state)
{
	struct kit *kit = *state;
	struct bk_device_info info = { 0 };
	struct bk_device_region region = { 0 };
	struct bk_device_irq irq = { 0 };
	struct bk_device_area area = { 0 };
	uint8_t *mapped;

	open_device(kit, "");
	server_of(kit)->bar0[0x1004] = 0x5a;
	assert_int_equal(bk_device_info(kit->device, &info), 0);
	assert_int_equal(info.flags, BK_DEVICE_CAN_RESET);
	assert_int_equal(bk_device_region(kit->device, 0, &region), 0);
	assert_int_equal(region.size, FAKE_BAR0);
	assert_int_equal(region.flags, BK_DEVICE_READ | BK_DEVICE_WRITE | BK_DEVICE_MMAP);
	assert_int_equal(bk_device_areas(kit->device, 0, false, note_area, &area), 0);
	assert_int_equal(area.offset, 0x1000);
	assert_int_equal(area.size, FAKE_BAR0 - 0x1000);
	mapped = mmap(NULL, area.size, PROT_READ, MAP_SHARED, region.fd,
		      (off_t)(region.fd_offset + area.offset));
	assert_true(mapped != MAP_FAILED);
	assert_int_equal(mapped[4], 0x5a);
	munmap(mapped, area.size);
	assert_int_equal(bk_device_region(kit->device, 1, &region), 0);
	assert_int_equal(region.size, 0);
	assert_int_equal(bk_device_region(kit->device, 9, &region), -EINVAL);
	assert_int_equal(bk_device_irq(kit->device, BK_DEVICE_MSIX, &irq), 0);
	assert_int_equal(irq.count, FAKE_VECTORS_MSIX);
	assert_int_equal(bk_device_irq(kit->device, BK_DEVICE_INTX, &irq), 0);
	assert_int_equal(irq.flags, BK_DEVICE_IRQ_MASKABLE | BK_DEVICE_IRQ_AUTOMASKED);
	assert_int_equal(bk_device_reset(kit->device), 0);
	assert_int_equal(server_of(kit)->resets, 1);
	end(kit);
}

static void reads_and_writes(void **state)
{
	struct kit *kit = *state;
	uint8_t data[256];
	uint32_t value = 0x11223344;

	kit->server.max_data = 100; /* less than config space */
	open_device(kit, "");
	for (unsigned i = 0; i < 256; i++)
		server_of(kit)->config[i] = (uint8_t)i;
	server_of(kit);
	assert_int_equal(bk_device_read(kit->device, BK_DEVICE_CONFIG, 0, data, 256), 0);
	assert_memory_equal(data, server_of(kit)->config, 256);
	assert_int_equal(bk_device_write(kit->device, 2, 8, &value, 4), 0);
	assert_int_equal(bk_device_read(kit->device, 2, 8, data, 4), 0);
	assert_memory_equal(data, &value, 4);
	assert_int_equal(server_of(kit)->posted, 0); /* a mapped read could overtake it */
	assert_int_equal(bk_device_read(kit->device, BK_DEVICE_CONFIG, 254, data, 4), -EINVAL);
	assert_int_equal(bk_device_read(kit->device, BK_DEVICE_CONFIG, UINT64_MAX, data, 4), -EINVAL);
	assert_int_equal(bk_device_write(kit->device, 5, 0, data, 1), -EINVAL);
	assert_int_equal(bk_device_write(kit->device, 77, 0, data, 1), -EINVAL);
	end(kit);
}

static void writes_are_posted_where_nothing_is_mapped(void **state)
{
	struct kit *kit = *state;
	uint32_t value = 0x55667788, back;

	kit->server.no_maps = true;
	open_device(kit, "");
	assert_int_equal(bk_device_write(kit->device, 2, 4, &value, 4), 0);
	assert_int_equal(bk_device_write(kit->device, BK_DEVICE_CONFIG, 0x3c, &value, 1), 0);
	assert_int_equal(bk_device_read(kit->device, 2, 4, &back, 4), 0);
	assert_int_equal(back, value);
	assert_int_equal(server_of(kit)->posted, 1); /* config space waits for its answer */
	end(kit);
}

static bool fired(int fd)
{
	uint64_t count;

	return read(fd, &count, sizeof(count)) == sizeof(count);
}

static void interrupts(void **state)
{
	struct kit *kit = *state;
	int fds[FAKE_VECTORS_MSIX], none = -1;

	open_device(kit, "");
	for (unsigned i = 0; i < FAKE_VECTORS_MSIX; i++)
		fds[i] = eventfd(0, EFD_NONBLOCK);
	int with_gaps[FAKE_VECTORS_MSIX];

	memcpy(with_gaps, fds, sizeof(fds));
	with_gaps[0] = with_gaps[7] = with_gaps[8] = -1;
	assert_int_equal(bk_device_set_irqs(kit->device, BK_DEVICE_MSIX, BK_DEVICE_IRQ_TRIGGER, 0,
					    FAKE_VECTORS_MSIX, with_gaps),
			 0);
	assert_int_equal(server_of(kit)->most_fds, 8); /* as many as it takes */
	for (unsigned i = 0; i < FAKE_VECTORS_MSIX; i++)
		assert_int_equal(server_of(kit)->irqs[2][i] >= 0, with_gaps[i] >= 0);
	assert_int_equal(bk_device_set_irqs(kit->device, BK_DEVICE_MSIX, BK_DEVICE_IRQ_TRIGGER, 39, 1, NULL),
			 0);
	assert_true(fired(fds[39]));
	assert_false(fired(fds[38]));
	assert_int_equal(bk_device_set_irqs(kit->device, BK_DEVICE_MSIX, BK_DEVICE_IRQ_TRIGGER, 39, 1, &none),
			 0);
	assert_true(server_of(kit)->irqs[2][39] < 0);
	assert_int_equal(bk_device_set_irqs(kit->device, BK_DEVICE_MSIX, BK_DEVICE_IRQ_TRIGGER, 39, 2, fds),
			 -EINVAL);
	assert_int_equal(bk_device_set_irqs(kit->device, BK_DEVICE_MSI, BK_DEVICE_IRQ_TRIGGER, 0, 1, fds),
			 -EINVAL);
	assert_int_equal(bk_device_set_irqs(kit->device, BK_DEVICE_MSIX, BK_DEVICE_IRQ_TRIGGER, 0, 0, NULL),
			 0);
	assert_true(server_of(kit)->irqs[2][1] < 0);
	assert_int_equal(bk_device_set_irqs(kit->device, BK_DEVICE_INTX, BK_DEVICE_IRQ_TRIGGER, 0, 1, fds),
			 0);
	assert_int_equal(bk_device_set_irqs(kit->device, BK_DEVICE_INTX, BK_DEVICE_IRQ_UNMASK, 0, 1, fds + 1),
			 0);
	assert_true(server_of(kit)->unmask >= 0);
	end(kit);
	for (unsigned i = 0; i < FAKE_VECTORS_MSIX; i++)
		close(fds[i]);
}

/* ---- DMA ------------------------------------------------------------------ */

static int read_pattern(void *opaque, uint64_t offset, void *data, size_t count)
{
	(void)opaque;
	memset(data, (int)(offset >> 4) & 0xff, count);
	return offset >= 0x800 ? -EFAULT : 0;
}

static int write_pattern(void *opaque, uint64_t offset, const void *data, size_t count)
{
	memcpy((uint8_t *)opaque + offset, data, count);
	return 0;
}

static void map_all(struct kit *kit, uint8_t *sink)
{
	static uint8_t memory[0x2000] __attribute__((aligned(4096)));
	int fd = memfd_create("ram", MFD_CLOEXEC);
	const struct bk_device_dma maps[] = {
		{ .iova = 0x10000, .size = 0x1000, .flags = 3, .vaddr = memory, .fd = fd },
		{ .iova = 0x20000, .size = 0x1000, .flags = 3, .vaddr = memory + 0x1000, .fd = -1 },
		{ .iova = 0x30000,
		  .size = 0x1000,
		  .flags = 3,
		  .fd = -1,
		  .read = read_pattern,
		  .write = write_pattern,
		  .opaque = sink },
		{ .iova = 0x40000, .size = 0x1000, .flags = BK_DEVICE_DMA_READ, .vaddr = memory, .fd = -1 },
	};

	memset(memory + 0x1000, 0x77, 0x1000);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(bk_device_dma_map(kit->device, &maps[i], &kit->err), 0);
	assert_int_equal(bk_device_dma_map(kit->device, &maps[0], &kit->err), -EEXIST);
	close(fd);
}

/* In the server's thread. */
static void ask_for_memory(struct fake_server *server, int fd)
{
	uint8_t data[64];

	assert_int_equal(fake_dma_read(server, fd, 0x20ff0, data, 16), 0);
	assert_int_equal(data[15], 0x77);
	assert_int_equal(fake_dma_read(server, fd, 0x20ff0, data, 17), EFAULT);
	assert_int_equal(fake_dma_read(server, fd, 0x30010, data, 64), 0);
	assert_int_equal(data[63], 1);
	assert_int_equal(fake_dma_read(server, fd, 0x30800, data, 4), EFAULT);
	assert_int_equal(fake_dma_read(server, fd, 0x50000, data, 4), EFAULT);
	assert_int_not_equal(fake_dma_read(server, fd, UINT64_MAX, data, 4), 0);
	memset(data, 0x3c, sizeof(data));
	assert_int_equal(fake_dma_write(server, fd, 0x30020, data, 64), 0);
	assert_int_equal(fake_dma_write(server, fd, 0x40000, data, 4), EFAULT); /* read only */
}

static void ask_on_first(struct fake_server *server, void *opaque)
{
	(void)opaque;
	ask_for_memory(server, server->fd);
}

static void ask_on_second(struct fake_server *server, void *opaque)
{
	(void)opaque;
	ask_for_memory(server, server->twin);
}

static void memory_of_the_client(void **state)
{
	struct kit *kit = *state;
	uint8_t sink[0x1000] = { 0 };
	uint32_t value;

	open_device(kit, "");
	map_all(kit, sink);
	assert_int_equal(server_of(kit)->map_count, 4);
	assert_true(server_of(kit)->maps[0].fd);
	assert_false(server_of(kit)->maps[1].fd);
	/* In the middle of a read, on the same socket. */
	atomic_store(&server_of(kit)->dma_address, 0x20000);
	assert_int_equal(bk_device_read(kit->device, 2, 0, &value, 4), 0);
	assert_int_equal(server_of(kit)->dma_value, 0x77777777);
	assert_int_equal(bk_device_dma_unmap(kit->device, 0x20000, 0x1000), 0);
	assert_int_equal(bk_device_dma_unmap(kit->device, 0x20000, 0x1000), -ENOENT);
	assert_int_equal(server_of(kit)->map_count, 3);
	atomic_store(&server_of(kit)->dma_address, 0x20000);
	server_of(kit)->dma_value = 0;
	server_of(kit);
	assert_int_equal(bk_device_read(kit->device, 2, 0, &value, 4), 0);
	assert_int_equal(server_of(kit)->dma_value, 0); /* refused */
	end(kit);
}

/* The server asks when it has answered everything. */
static void let_it_ask(struct kit *kit, void (*ask)(struct fake_server *server, void *sink))
{
	uint8_t sink[0x1000] = { 0 };
	uint32_t value;

	open_device(kit, "");
	map_all(kit, sink);
	pthread_mutex_lock(&kit->server.lock);
	kit->server.after = ask;
	kit->server.opaque = sink;
	pthread_mutex_unlock(&kit->server.lock);
	assert_int_equal(bk_device_read(kit->device, 2, 0, &value, 4), 0);
	fake_wait(&kit->server, !kit->server.after);
	end(kit);
	assert_int_equal(sink[0x20 + 63], 0x3c);
	assert_int_equal(sink[0x20 + 64], 0);
}

static void memory_while_nobody_calls(void **state)
{
	let_it_ask(*state, ask_on_first);
}

static void memory_by_the_second_socket(void **state)
{
	struct kit *kit = *state;

	kit->server.twin_socket = true;
	let_it_ask(kit, ask_on_second);
}

/* ---- Hostile servers ------------------------------------------------------- */

static void what_cannot_be_understood_is_refused(void **state)
{
	struct kit *kit = *state;

	for (int fault = FAKE_NONE + 1; fault < FAKE_SETUP_FAULTS; fault++) {
		struct bk_device_area area = { 0 };

		kit->server.fault = fault;
		fake_server_start(&kit->server);
		int r = bk_device_open(kit->context, kit->spec, &kit->device, &kit->err);

		if (fault == FAKE_NO_FD) { /* it is a device all the same */
			assert_int_equal(r, 0);
			assert_int_equal(bk_device_areas(kit->device, 0, true, note_area, &area), 0);
			assert_int_equal(area.size, 0);
			bk_device_close(kit->device);
		} else {
			if (!r)
				fail_msg("fault %d is taken", fault);
			assert_non_null(strstr(kit->err.text, kit->server.path));
		}
		fake_server_stop(&kit->server);
	}
	assert_int_equal(bk_device_open(kit->context, kit->spec, &kit->device, &kit->err), -ENOENT);
	assert_non_null(strstr(kit->err.text, "no server answers"));
}

/* The lowest that is free: what was closed by mistake would be it. */
static int free_fd(void)
{
	const int fd = eventfd(0, 0);

	close(fd);
	return fd;
}

static void a_server_that_hangs_up_closes_nothing_of_ours(void **state)
{
	static const enum fake_fault faults[] = { FAKE_HANG_UP, FAKE_NO_VERSION, FAKE_NO_REGION };
	struct kit *kit = *state;

	for (unsigned i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		const int before = free_fd();

		kit->server.fault = faults[i];
		fake_server_start(&kit->server);
		assert_int_equal(bk_device_open(kit->context, kit->spec, &kit->device, &kit->err), -EIO);
		fake_server_stop(&kit->server);
		assert_int_equal(free_fd(), before);
	}
}

/* Its memory may be another's by then. */
static void a_map_that_the_server_keeps_is_gone(void **state)
{
	struct kit *kit = *state;
	uint8_t sink[0x1000];
	uint32_t value;

	kit->server.keeps_maps = true;
	open_device(kit, "");
	map_all(kit, sink);
	assert_int_equal(bk_device_dma_unmap(kit->device, 0x20000, 0x1000), -EBUSY);
	atomic_store(&server_of(kit)->dma_address, 0x20000);
	server_of(kit)->dma_value = 0;
	server_of(kit);
	assert_int_equal(bk_device_read(kit->device, 2, 0, &value, 4), 0);
	assert_int_equal(server_of(kit)->dma_value, 0);
	assert_int_equal(bk_device_dma_unmap(kit->device, 0x20000, 0x1000), -ENOENT);
	end(kit);
}

/* ---- A server that asks, and asks ------------------------------------------ */

struct flood {
	int fd;
	bool listens;     /* reads the answers */
	atomic_bool full; /* some time nobody read what it sent */
	pthread_t thread;
};

static void *flood(void *opaque)
{
	struct flood *flood = opaque;
	const struct bk__wire_dma_access access = { .address = 0x10000, .count = 0x1000 };
	const struct bk__wire_header header = { .id = 0x7777,
						.command = BK__WIRE_DMA_READ,
						.size = sizeof(header) + sizeof(access) };
	uint8_t message[sizeof(header) + sizeof(access)], answers[0x10000];

	memcpy(message, &header, sizeof(header));
	memcpy(message + sizeof(header), &access, sizeof(access));
	for (;;) {
		ssize_t n = send(flood->fd, message, sizeof(message), MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN) {
			struct pollfd fd = { .fd = flood->fd, .events = POLLOUT };

			atomic_store(&flood->full, true);
			poll(&fd, 1, flood->listens ? 0 : -1);
		} else if (n != sizeof(message)) {
			return NULL;
		}
		if (flood->listens && recv(flood->fd, answers, sizeof(answers), MSG_DONTWAIT) == 0)
			return NULL;
	}
}

static void start_flood(struct flood *of, int fd, bool listens)
{
	*of = (struct flood){ .fd = dup(fd), .listens = listens };
	assert_int_equal(pthread_create(&of->thread, NULL, flood, of), 0);
}

static void end_flood(struct flood *of)
{
	shutdown(of->fd, SHUT_RDWR);
	pthread_join(of->thread, NULL);
	close(of->fd);
}

static void a_server_that_takes_no_answers(void **state)
{
	struct kit *kit = *state;
	uint8_t sink[0x1000];
	struct flood of;

	kit->server.twin_socket = true;
	open_device(kit, "");
	map_all(kit, sink);
	start_flood(&of, server_of(kit)->twin, false);
	while (!atomic_load(&of.full)) /* it would wait for ever if it never filled up */
		usleep(1000);
	end(kit); /* though the device's thread waits to answer */
	end_flood(&of);
}

static void a_server_that_asks_for_ever(void **state)
{
	struct kit *kit = *state;
	uint8_t sink[0x1000];
	uint32_t value;
	struct flood of;

	open_device(kit, "");
	map_all(kit, sink);
	pthread_mutex_lock(&kit->server.lock); /* no answer */
	start_flood(&of, kit->server.fd, true);
	atomic_store(&time_flies, true);
	assert_int_equal(bk_device_read(kit->device, 2, 0, &value, 4), -EIO);
	atomic_store(&time_flies, false);
	end_flood(&of);
	pthread_mutex_unlock(&kit->server.lock);
	end(kit);
}

static void wrong_answers_to_reads(void **state)
{
	struct kit *kit = *state;
	char spec[sizeof(kit->spec)];

	strcpy(spec, kit->spec);
	for (int fault = FAKE_SETUP_FAULTS + 1; fault < FAKE_FAULTS; fault++) {
		uint32_t value = 0;

		strcpy(kit->spec, spec);
		open_device(kit, "");
		server_of(kit)->bar2[0] = 0x99;
		server_of(kit);
		kit->server.fault = fault;
		int r = bk_device_read(kit->device, 2, 0, &value, 4);

		server_of(kit)->fault = FAKE_NONE;
		if (fault == FAKE_READ_FDS) {
			assert_int_equal(r, 0);
			assert_int_equal(bk__load(&value, 4), 0x99);
		} else {
			assert_true(r < 0);
		}
		if (fault == FAKE_READ_ERROR) /* one access, not the connection */
			assert_int_equal(bk_device_read(kit->device, 2, 0, &value, 4), 0);
		end(kit);
	}
}

static void options_are_checked(void **state)
{
	struct kit *kit = *state;
	static const char *const bad[] = { ",reconnect=x", ",reconnect=86401", ",reconnect=", ",again=1" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char spec[160];

		snprintf(spec, sizeof(spec), "%s%s", kit->spec, bad[i]);
		assert_int_equal(bk_device_open(kit->context, spec, &kit->device, &kit->err), -EINVAL);
	}
	char spec[300] = "vfio-user:/";

	memset(spec + 11, 'x', 200);
	assert_int_equal(bk_device_open(kit->context, spec, &kit->device, &kit->err), -ENAMETOOLONG);
}

/* ---- A server that goes ---------------------------------------------------- */

static void watch(struct kit *kit, struct told *told)
{
	static const struct bk_device_watcher watcher = { .lose = lose, .change = change };

	*told = (struct told){ .lost = 0 };
	pthread_mutex_init(&told->lock, NULL);
	pthread_cond_init(&told->changed, NULL);
	assert_int_equal(bk_device_watch(kit->device, &watcher, told), 0);
	assert_int_equal(bk_device_watch(kit->device, &watcher, told), -EBUSY);
}

static void a_server_that_goes(void **state)
{
	struct kit *kit = *state;
	struct bk_device_area area = { 0 };
	struct bk_device_region region = { 0 };
	uint8_t sink[0x1000];
	struct told told;
	uint32_t value;
	int fd = eventfd(0, 0);

	open_device(kit, "");
	watch(kit, &told);
	map_all(kit, sink);
	fake_server_stop(&kit->server);
	wait_for(&told, 1);
	assert_int_equal(told.lost, 1);
	assert_int_equal(bk_device_read(kit->device, 2, 0, &value, 4), -EIO);
	assert_int_equal(bk_device_write(kit->device, 2, 0, &value, 4), -EIO);
	assert_int_equal(bk_device_areas(kit->device, 0, false, note_area, &area), 0);
	assert_int_equal(area.size, 0);
	assert_int_equal(bk_device_region(kit->device, 0, &region), 0);
	assert_int_equal(region.size, FAKE_BAR0);
	assert_int_equal(region.fd, -1);
	assert_int_equal(bk_device_set_irqs(kit->device, BK_DEVICE_INTX, BK_DEVICE_IRQ_TRIGGER, 0, 0, NULL),
			 0);
	assert_int_equal(bk_device_set_irqs(kit->device, BK_DEVICE_INTX, BK_DEVICE_IRQ_TRIGGER, 0, 1, &fd),
			 -EIO);
	assert_int_equal(bk_device_dma_unmap(kit->device, 0x10000, 0x1000), 0);
	assert_int_equal(bk_device_reset(kit->device), -EIO);
	bk_device_close(kit->device);
	close(fd);
}

static void a_server_that_comes_back(void **state)
{
	struct kit *kit = *state;
	struct bk_device_area area = { 0 };
	uint8_t sink[0x1000];
	const uint16_t command = 0x0006;
	struct told told;
	uint32_t value;
	int fds[3] = { eventfd(0, EFD_NONBLOCK), -1, eventfd(0, EFD_NONBLOCK) },
	    more = eventfd(0, EFD_NONBLOCK), first = dup(fds[0]), last = dup(more);

	open_device(kit, ",reconnect=3600");
	watch(kit, &told);
	map_all(kit, sink);
	assert_int_equal(bk_device_write(kit->device, BK_DEVICE_CONFIG, 4, &command, 2), 0);
	assert_int_equal(bk_device_set_irqs(kit->device, BK_DEVICE_MSIX, BK_DEVICE_IRQ_TRIGGER, 4, 3, fds),
			 0);
	/* As with VFIO, the caller may close what it has handed over. */
	close(fds[0]);
	close(fds[2]);
	fake_server_stop(&kit->server);
	wait_for(&told, 1);
	memset(server_of(kit)->config + 4, 0, 2);
	assert_int_equal(bk_device_read(kit->device, 2, 0, &value, 4), -EIO);
	/* What is asked meanwhile is asked when it is back. */
	assert_int_equal(bk_device_set_irqs(kit->device, BK_DEVICE_MSIX, BK_DEVICE_IRQ_TRIGGER, 9, 1, &more),
			 0);
	close(more);
	assert_int_equal(bk_device_dma_unmap(kit->device, 0x40000, 0x1000), 0);
	fake_server_start(&kit->server);
	wait_for(&told, 2);
	assert_int_equal(bk_device_read(kit->device, 2, 0, &value, 4), 0);
	assert_int_equal(server_of(kit)->map_count, 3);
	assert_memory_equal(server_of(kit)->config + 4, &command, 2);
	assert_true(server_of(kit)->irqs[2][4] >= 0 && server_of(kit)->irqs[2][6] >= 0 &&
		    server_of(kit)->irqs[2][9] >= 0);
	assert_int_equal(bk_device_set_irqs(kit->device, BK_DEVICE_MSIX, BK_DEVICE_IRQ_TRIGGER, 4, 6, NULL),
			 0);
	assert_true(fired(first) && fired(last));
	assert_true(server_of(kit)->irqs[2][5] < 0 && server_of(kit)->irqs[2][0] < 0);
	assert_int_equal(bk_device_areas(kit->device, 0, false, note_area, &area), 0);
	assert_int_equal(area.size, FAKE_BAR0 - 0x1000);
	end(kit);
	close(first);
	close(last);
}

static void eventfds_that_come_and_go(void **state)
{
	struct kit *kit = *state;
	const int none = -1;
	int fds[FAKE_VECTORS_MSIX];
	unsigned before = 0;

	for (unsigned i = 0; i < FAKE_VECTORS_MSIX; i++)
		fds[i] = eventfd(0, EFD_NONBLOCK);
	open_device(kit, ",reconnect=3600");
	for (unsigned i = 0; i < 2000; i++) {
		if (i == 2)
			before = open_files();
		assert_int_equal(bk_device_set_irqs(kit->device, BK_DEVICE_MSIX, BK_DEVICE_IRQ_TRIGGER, 0,
						    FAKE_VECTORS_MSIX, fds),
				 0);
		assert_int_equal(
			bk_device_set_irqs(kit->device, BK_DEVICE_INTX, BK_DEVICE_IRQ_UNMASK, 0, 1, fds), 0);
		if (i % 3)
			bk_device_set_irqs(kit->device, BK_DEVICE_INTX, BK_DEVICE_IRQ_UNMASK, 0, 1, &none);
		for (unsigned index = BK_DEVICE_INTX; index <= BK_DEVICE_MSIX; index += 2)
			if (i % 2)
				assert_int_equal(bk_device_set_irqs(kit->device, index, BK_DEVICE_IRQ_TRIGGER,
								    0, 0, NULL),
						 0);
	}
	assert_int_equal(open_files(), before);
	end(kit);
	for (unsigned i = 0; i < FAKE_VECTORS_MSIX; i++)
		close(fds[i]);
}

static void another_device_does_not_take_its_place(void **state)
{
	struct kit *kit = *state;
	struct told told;
	uint32_t value;

	open_device(kit, ",reconnect=3600");
	watch(kit, &told);
	fake_server_stop(&kit->server);
	wait_for(&told, 1);
	server_of(kit)->msix_count = 7;
	server_of(kit)->messages = 0;
	fake_server_start(&kit->server);
	fake_wait(&kit->server, kit->server.messages && kit->server.fd < 0); /* it came, saw, and went */
	assert_int_equal(bk_device_read(kit->device, 2, 0, &value, 4), -EIO);
	assert_int_equal(told.changes, 1);
	end(kit);
}

/* Memory is pinned and devices reset for minutes; a register answers at once, or the server is lost. */
static void slow_answers(void **state)
{
	struct kit *kit = *state;
	const struct bk_device_dma dma = {
		.size = 0x1000,
		.fd = kit->server.memory,
		.flags = BK_DEVICE_DMA_READ,
	};
	uint32_t value;

	open_device(kit, "");
	late = 19;
	assert_int_equal(bk_device_dma_map(kit->device, &dma, &kit->err), 0);
	assert_int_equal(late, 0);
	late = 19;
	assert_int_equal(bk_device_reset(kit->device), 0);
	assert_int_equal(late, 0);
	late = 19;
	assert_int_equal(bk_device_dma_unmap(kit->device, 0, 0x1000), 0);
	assert_int_equal(late, 0);
	late = 1;
	assert_int_equal(bk_device_read(kit->device, 2, 8, &value, 4), -EIO);
	assert_int_equal(late, 0);
	end(kit);
}

/* Servers that end the connection at the question, and one whose answer makes little sense. */
static void note_doorbell(void *opaque, const struct bk_device_doorbell *doorbell)
{
	const uint64_t one = 1;

	assert_int_equal(doorbell->region, 0);
	assert_int_equal(doorbell->offset, 0x64);
	assert_int_equal(doorbell->width, 4);
	assert_int_equal(doorbell->value, 7);
	assert_true(doorbell->has_fd);
	assert_int_equal(write(doorbell->fd, &one, sizeof(one)), sizeof(one));
	++*(unsigned *)opaque;
}

/* How many of them KVM may be given: those that are one write. */
static unsigned doorbells(struct kit *kit)
{
	unsigned count = 0;

	assert_int_equal(bk_device_doorbells(kit->device, note_doorbell, &count), 0);
	return count;
}

static void registers_with_an_eventfd(void **state)
{
	static const unsigned refused[] = { 0x40, 0x44, 0x48, 0x4c, 0x50, FAKE_BAR0 - 4 };
	struct kit *kit = *state;
	const uint32_t value = 1;
	unsigned messages, posted;

	kit->server.no_maps = true;
	kit->server.fault = FAKE_IO_FDS_HANG_UP;
	open_device(kit, "");
	assert_int_equal(bk_device_write(kit->device, 0, 0x60, &value, 4), 0);
	bk_device_close(kit->device);
	kit->server.fault = FAKE_IO_FDS;
	assert_int_equal(bk_device_open(kit->context, kit->spec, &kit->device, &kit->err), 0);
	messages = server_of(kit)->messages;
	posted = server_of(kit)->posted;
	assert_int_equal(bk_device_write(kit->device, 0, 0x60, &value, 4), 0);
	assert_int_equal(server_of(kit)->messages, messages);
	for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_int_equal(bk_device_write(kit->device, 0, refused[i], &value, 4), 0);
	assert_int_equal(server_of(kit)->messages, messages + 6);
	assert_int_equal(bk_device_write(kit->device, 0, 0x60, &value, 2), 0); /* of another width */
	assert_int_equal(server_of(kit)->messages, messages + 7);
	/* An eventfd would overtake writes that wait for no answer. */
	assert_int_equal(server_of(kit)->posted, posted);
	assert_int_equal(doorbells(kit), 1);
	bk_device_close(kit->device);
	/* A server that comes back would have others. */
	strcat(kit->spec, ",reconnect=3600");
	assert_int_equal(bk_device_open(kit->context, kit->spec, &kit->device, &kit->err), 0);
	assert_int_equal(doorbells(kit), 0);
	end(kit);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(what_the_server_says),
		TEST(reads_and_writes),
		TEST(writes_are_posted_where_nothing_is_mapped),
		TEST(interrupts),
		TEST(memory_of_the_client),
		TEST(memory_while_nobody_calls),
		TEST(memory_by_the_second_socket),
		TEST(what_cannot_be_understood_is_refused),
		TEST(a_server_that_hangs_up_closes_nothing_of_ours),
		TEST(a_map_that_the_server_keeps_is_gone),
		TEST(a_server_that_takes_no_answers),
		TEST(a_server_that_asks_for_ever),
		TEST(wrong_answers_to_reads),
		TEST(options_are_checked),
		TEST(slow_answers),
		TEST(a_server_that_goes),
		TEST(a_server_that_comes_back),
		TEST(eventfds_that_come_and_go),
		TEST(another_device_does_not_take_its_place),
		TEST(registers_with_an_eventfd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
