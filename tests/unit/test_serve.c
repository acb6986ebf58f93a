/* SPDX-License-Identifier: BSD-2-Clause */
/* A served device, from its socket: what reaches the device, and what is left when a client has gone. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/bytes.h"
#include "device/sim.h"
#include "open_files.h"
#include "serve_client.h"

#define TRIGGER_FDS  (BK__WIRE_IRQ_FDS | BK__WIRE_IRQ_TRIGGER)
#define TRIGGER_NONE (BK__WIRE_IRQ_NONE | BK__WIRE_IRQ_TRIGGER)

static struct served *made(void)
{
	struct served *served = malloc(sizeof(*served));

	served_create(served);
	return served;
}

static void unmade(struct served *served)
{
	served_end(served);
	free(served);
}

static bool fired(int fd)
{
	uint64_t count;

	return read(fd, &count, sizeof(count)) == sizeof(count);
}

static int event(void)
{
	return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

/* ---- Interrupts -------------------------------------------------------- */

static void the_clients_eventfd_is_the_devices(void **state)
{
	struct served *served = made();
	const int fds[] = { event(), event() }, other = event();

	served_start(served);
	client_start(served);
	assert_int_equal(client_irqs(served, TRIGGER_FDS, BK_DEVICE_MSIX, 5, 2, fds, 2), 0);
	served_fire(&served->device, BK_DEVICE_MSIX, 6);
	assert_false(fired(fds[0]));
	assert_true(fired(fds[1]));
	/* One of them again, another one, and none. */
	assert_int_equal(client_irqs(served, TRIGGER_FDS, BK_DEVICE_MSIX, 6, 1, &other, 1), 0);
	assert_int_equal(client_irqs(served, TRIGGER_NONE, BK_DEVICE_MSIX, 6, 1, NULL, 0), 0);
	assert_false(fired(fds[1]));
	assert_true(fired(other));
	assert_int_equal(client_irqs(served, TRIGGER_FDS, BK_DEVICE_MSIX, 5, 1000, NULL, 0), 0);
	assert_int_equal(served_bound(&served->device), 0);
	assert_true(served->device.on[BK_DEVICE_MSIX]);
	assert_int_equal(client_irqs(served, TRIGGER_NONE, BK_DEVICE_MSIX, 0, 0, NULL, 0), 0);
	assert_false(served->device.on[BK_DEVICE_MSIX]);
	unmade(served);
	close(fds[0]);
	close(fds[1]);
	close(other);
}

static void interrupts_that_do_not_exist(void **state)
{
	struct served *served = made();
	const int fd = event(), file = memory_file(8);

	served_start(served);
	client_start(served);
	assert_int_equal(client_irqs(served, TRIGGER_FDS, BK_DEVICE_IRQS, 0, 1, &fd, 1), -EINVAL);
	assert_int_equal(client_irqs(served, TRIGGER_NONE, BK_DEVICE_IRQS, 0, 0, NULL, 0), -EINVAL);
	assert_int_equal(client_irqs(served, TRIGGER_FDS, BK_DEVICE_MSIX, 2048, 1, &fd, 1), -EINVAL);
	assert_int_equal(client_irqs(served, TRIGGER_FDS, BK_DEVICE_MSIX, 2047, 2, NULL, 0), -EINVAL);
	assert_int_equal(client_irqs(served, TRIGGER_FDS, BK_DEVICE_MSIX, 0, 0, NULL, 0), -EINVAL);
	assert_int_equal(client_irqs(served, TRIGGER_FDS, BK_DEVICE_MSIX, 0, 1, &file, 1), -EINVAL);
	assert_int_equal(client_irqs(served, BK__WIRE_IRQ_FDS | BK__WIRE_IRQ_MASK, 0, 0, 1, &fd, 1), -EINVAL);
	assert_int_equal(served_bound(&served->device), 0);
	unmade(served);
	close(fd);
	close(file);
}

static void intx_is_masked_and_resampled(void **state)
{
	struct served *served = made();
	const int fd = event(), resample = event();

	served_start(served);
	client_start(served);
	assert_int_equal(client_irqs(served, BK__WIRE_IRQ_NONE | BK__WIRE_IRQ_MASK, 0, 0, 1, NULL, 0),
			 -EINVAL);
	assert_int_equal(client_irqs(served, BK__WIRE_IRQ_FDS | BK__WIRE_IRQ_UNMASK, 0, 0, 1, &resample, 1),
			 -EINVAL);
	assert_int_equal(client_irqs(served, TRIGGER_FDS, BK_DEVICE_INTX, 0, 1, &fd, 1), 0);
	assert_int_equal(client_irqs(served, BK__WIRE_IRQ_FDS | BK__WIRE_IRQ_UNMASK, 0, 0, 1, &resample, 1),
			 0);
	assert_true(served->device.resample >= 0);
	/* Once more, and another fd: the device has one at a time. */
	assert_int_equal(client_irqs(served, BK__WIRE_IRQ_NONE | BK__WIRE_IRQ_UNMASK, 0, 0, 1, NULL, 0), 0);
	assert_int_equal(client_irqs(served, BK__WIRE_IRQ_FDS | BK__WIRE_IRQ_UNMASK, 0, 0, 1, &resample, 1),
			 0);
	assert_true(served->device.resample >= 0);
	/* The guest's end of interrupt must not unmask it while the client has it masked. */
	assert_int_equal(client_irqs(served, BK__WIRE_IRQ_NONE | BK__WIRE_IRQ_MASK, 0, 0, 1, NULL, 0), 0);
	assert_true(served->device.intx_masked);
	assert_int_equal(served->device.resample, -1);
	assert_int_equal(client_irqs(served, BK__WIRE_IRQ_NONE | BK__WIRE_IRQ_UNMASK, 0, 0, 1, NULL, 0), 0);
	assert_false(served->device.intx_masked);
	assert_true(served->device.resample >= 0);
	assert_int_equal(client_irqs(served, BK__WIRE_IRQ_FDS | BK__WIRE_IRQ_UNMASK, 0, 0, 1, NULL, 0), 0);
	assert_int_equal(served->device.resample, -1);
	unmade(served);
	close(fd);
	close(resample);
}

/* ---- Registers --------------------------------------------------------- */

static void writes_without_a_reply_and_several_at_once(void **state)
{
	struct served *served = made();
	const struct bk__wire_region_access access = { 0x40, 0, 4 };
	struct {
		uint64_t count;
		struct bk__wire_write writes[2];
	} multi = { 2, { { 0x48, 0, 4, { 1 } }, { 0x4c, 0, 2, { 2 } } } };

	served_start(served);
	client_start(served);
	client_say(served, BK__WIRE_REGION_WRITE, BK__WIRE_NO_REPLY, &access, sizeof(access), "abcd", 4, NULL,
		   0);
	client_say(served, BK__WIRE_REGION_READ, BK__WIRE_NO_REPLY, &access, sizeof(access), NULL, 0, NULL,
		   0);
	client_say(served, 99, BK__WIRE_NO_REPLY, NULL, 0, NULL, 0, NULL, 0);
	assert_int_equal(client_read(served, 0, 0x40, 4), 0x64636261);
	assert_int_equal(client_ask(served, BK__WIRE_WRITE_MULTI, &multi, sizeof(multi), NULL, 0), 0);
	assert_int_equal(bk__load(served->reply.payload, 8), 2);
	assert_int_equal(client_read(served, 0, 0x48, 8) & 0xffffffffffff, 0x200000001);
	unmade(served);
}

/* A client that waits for the bytes whatever the reply says must not wait for ever. */
static void what_reaches_nothing(void **state)
{
	struct served *served = made();
	const struct bk__wire_region_access past = { 0x1000, 0, 4 };

	served_start(served);
	client_start(served);
	assert_int_equal(client_read(served, 0, 0xffe, 4), 0xffffffff);
	assert_int_equal(client_read(served, 77, 0, 8), UINT64_MAX);
	assert_int_equal(client_write(served, 0, 0x1000, 1, 4), 0);
	unmade(served);

	served = made();
	served->config.strict = true;
	served_start(served);
	client_start(served);
	assert_int_equal(client_ask(served, BK__WIRE_REGION_READ, &past, sizeof(past), NULL, 0), -EINVAL);
	assert_int_equal(client_write(served, 0, 0x1000, 1, 4), -EINVAL);
	unmade(served);
}

static void a_reset_works_or_is_said_to(void **state)
{
	struct served *served = made();

	served_start(served);
	client_start(served);
	assert_int_equal(client_ask(served, BK__WIRE_RESET, NULL, 0, NULL, 0), 0);
	assert_int_equal(served->device.fake.resets, 1);
	/* Some clients send it to just those that cannot. */
	served->device.fake.reset_result = -EOPNOTSUPP;
	assert_int_equal(client_ask(served, BK__WIRE_RESET, NULL, 0, NULL, 0), 0);
	served->device.fake.reset_result = -EIO;
	assert_int_equal(client_ask(served, BK__WIRE_RESET, NULL, 0, NULL, 0), -EIO);
	unmade(served);
}

/* ---- Memory ------------------------------------------------------------ */

static void memory_is_mapped_once_a_file(void **state)
{
	struct served *served = made();
	const int fd = memory_file(0x10000);
	const unsigned before = open_files();
	uint64_t *memory = mmap(NULL, 0x10000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct bk__serve_stats stats;
	unsigned now;

	served_start(served);
	client_start(served);
	assert_int_equal(client_map(served, 0x100000, 0x2000, 0x4000, fd), 0);
	now = open_files();
	assert_int_equal(client_map(served, 0x200000, 0x2000, 0x8000, fd), 0);
	assert_int_equal(open_files(), now);
	bk__serve_stats(served->serve, &stats);
	assert_int_equal(stats.maps, 2);
	assert_int_equal(stats.memory, 0x4000);
	memory[0x8008 / 8] = 0x123456789abcdef0;
	assert_int_equal(client_write(served, 0, SERVED_READ, 0x200008, 8), 0);
	assert_int_equal(client_read(served, 0, SERVED_VALUE, 8), 0x123456789abcdef0);
	assert_int_equal(client_write(served, 0, SERVED_WRITE, 0x100010, 8), 0);
	assert_int_equal(memory[0x4010 / 8], 0x123456789abcdef0);
	assert_int_equal(client_unmap(served, 0x200000, 0x1000, 0), -EINVAL);
	assert_int_equal(client_unmap(served, 0x200000, 0x2000, 0), 0);
	assert_int_equal(bk__load(served->reply.payload + 8, 8), 0x200000);
	assert_int_equal(client_unmap(served, 0, 0, BK__WIRE_UNMAP_ALL), 0);
	assert_int_equal(served->device.map_count, 0);
	client_close(served);
	bk__serve_destroy(served->serve);
	served->serve = NULL;
	assert_int_equal(open_files(), before);
	unmade(served);
	munmap(memory, 0x10000);
	close(fd);
}

/* The client's firmware, for example: hardware has nothing to reach it by. */
static void memory_without_a_file_is_noted(void **state)
{
	struct served *served = made();

	served->device.no_messages = true;
	served_start(served);
	client_start(served);
	assert_int_equal(client_map(served, 0xfffc0000, 0x40000, 0, -1), 0);
	assert_int_equal(served->device.map_count, 0);
	assert_int_equal(client_map(served, 0xfffc0000, 0x1000, 0, -1), -EEXIST);
	assert_int_equal(client_unmap(served, 0xfffc0000, 0x40000, 0), 0);
	assert_int_equal(client_map(served, 0xfffc0000, 0x1000, 0, -1), 0);
	unmade(served);
}

static void f35_a_client_that_maps_too_much(void **state)
{
	struct served *served = made();
	int fd = memory_file(0x8000), file = open("/proc/self/exe", O_RDONLY), readable;
	char path[32];

	served->config.memory = 0x6000;
	served->config.maps = 3;
	served_start(served);
	client_start(served);
	assert_int_equal(client_map(served, 0x10000, 0x2000, 0, fd), 0);
	assert_int_equal(client_map(served, 0x11000, 0x2000, 0, fd), -EEXIST);
	assert_int_equal(client_map(served, 0xf000, 0x1001000, 0, -1), -EEXIST);
	assert_int_equal(client_map(served, UINT64_MAX - 0xfff, 0x2000, 0, fd), -EINVAL);
	assert_int_equal(client_map(served, 0x20000, 0, 0, fd), -EINVAL);
	assert_int_equal(client_map(served, 0x20800, 0x1000, 0, fd), -EINVAL);
	assert_int_equal(client_map(served, 0x20000, 0x1000, 0x800, fd), -EINVAL);
	assert_int_equal(client_map(served, 0x20000, 0x2000, 0x7000, fd), -EINVAL);
	assert_int_equal(client_map(served, 0x20000, 0x2000, UINT64_MAX - 0xfff, fd), -EINVAL);
	assert_int_equal(client_map(served, 0x20000, 0x1000, 0, file), -EINVAL);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	readable = open(path, O_RDONLY);
	assert_int_equal(client_map(served, 0x20000, 0x1000, 0, readable), -EACCES);
	assert_int_equal(client_map(served, 0x20000, 0x5000, 0, fd), -ENOMEM);
	assert_int_equal(client_map(served, 0x20000, 0x2000, 0, fd), 0);
	assert_int_equal(client_map(served, 0x30000, 0x1000, 0, fd), 0);
	assert_int_equal(client_map(served, 0x40000, 0x1000, 0, fd), -ENOSPC);
	served->device.map_result = ENOMEM; /* as the kernel says at the limit of locked memory */
	assert_int_equal(client_unmap(served, 0x30000, 0x1000, 0), 0);
	assert_int_equal(client_map(served, 0x30000, 0x1000, 0, fd), -ENOMEM);
	assert_int_equal(served->device.map_count, 2);
	unmade(served);
	close(fd);
	close(file);
	close(readable);
}

/* The device may use it still: it stays mapped, whether the client stays or goes. */
static void memory_that_the_device_keeps_stays(void **state)
{
	struct served *served = made();
	const int fd = memory_file(0x4000);
	const unsigned before = open_files();
	const uint64_t value = 0x123456789abcdef0;
	struct bk__serve_stats stats;

	assert_int_equal(pwrite(fd, &value, sizeof(value), 0x1000), sizeof(value));
	served_start(served);
	client_start(served);
	assert_int_equal(client_map(served, 0x10000, 0x2000, 0, fd), 0);
	assert_int_equal(client_map(served, 0x20000, 0x1000, 0x2000, fd), 0);
	assert_int_equal(client_map(served, 0x30000, 0x1000, 0, -1), 0);
	served->device.unmap_result = ENOMEM;
	assert_int_equal(client_unmap(served, 0x10000, 0x2000, 0), -ENOMEM);
	assert_int_equal(client_unmap(served, 0, 0, BK__WIRE_UNMAP_ALL), -ENOMEM);
	bk__serve_stats(served->serve, &stats);
	assert_int_equal(stats.maps, 3);
	assert_int_equal(stats.memory, 0x4000);
	assert_int_equal(client_write(served, 0, SERVED_READ, 0x11000, 8), 0);
	assert_int_equal(client_read(served, 0, SERVED_VALUE, 8), value);
	assert_int_equal(client_map(served, 0x10000, 0x1000, 0, fd), -EEXIST);
	served->device.unmap_result = 0;
	assert_int_equal(client_unmap(served, 0x20000, 0x1000, 0), 0);
	served->device.unmap_result = ENOMEM;
	client_close(served);
	/* Nobody else's device reaches it. */
	client_connect(served);
	assert_int_not_equal(client_hear(served), 0);
	client_close(served);
	assert_int_equal(served->device.map_count, 2);
	for (unsigned i = 0; i < 2; i++) {
		const struct bk_device_dma *map = &served->device.maps[i];
		uint64_t seen = 0;

		if (map->vaddr)
			assert_int_equal(*(uint64_t *)((uint8_t *)map->vaddr + 0x1000), value);
		else
			assert_int_not_equal(map->read(map->opaque, 0, &seen, sizeof(seen)), 0);
	}
	served->device.unmap_result = 0;
	client_start(served);
	assert_int_equal(served->device.map_count, 0);
	bk__serve_stats(served->serve, &stats);
	assert_int_equal(stats.maps, 0);
	client_close(served);
	bk__serve_destroy(served->serve);
	served->serve = NULL;
	assert_int_equal(open_files(), before);
	unmade(served);
	close(fd);
}

static void f34_a_client_truncates_its_memory(void **state)
{
	struct served *served = made();
	const int fd = memory_file(0x4000);

	served_start(served);
	client_start(served);
	assert_int_equal(client_map(served, 0x10000, 0x4000, 0, fd), 0);
	assert_int_equal(ftruncate(fd, 0x1000), 0);
	served->device.fake.bytes[0][SERVED_VALUE] = 1;
	assert_int_equal(client_write(served, 0, SERVED_READ, 0x12000, 8), 0);
	assert_int_equal(client_read(served, 0, SERVED_VALUE, 8), 0);
	assert_int_equal(client_read(served, 0, SERVED_RESULT, 8), 0);
	assert_int_equal(client_write(served, 0, SERVED_WRITE, 0x13ff8, 8), 0);
	assert_int_equal(client_write(served, 0, SERVED_WRITE, 0x10000, 8), 0); /* this page is there */
	assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 0x1000), 0);
	assert_int_equal(client_write(served, 0, SERVED_READ, 0x10000, 8), 0);
	assert_int_equal(client_unmap(served, 0x10000, 0x4000, 0), 0);
	unmade(served);
	close(fd);
}

/* ---- DMA by messages --------------------------------------------------- */

static void answer_dma(struct served *served, int fd, uint64_t value)
{
	struct bk__wire_header header = served->reply.header;
	struct bk__wire_dma_access access;
	uint8_t data[8];
	struct iovec parts[] = { { &header, sizeof(header) }, { &access, sizeof(access) }, { data, 8 } };
	const bool read = header.command == BK__WIRE_DMA_READ;

	memcpy(&access, served->reply.payload, sizeof(access));
	assert_int_equal(access.count, 8);
	bk__store(data, 8, value);
	header.flags = BK__WIRE_REPLY;
	header.size = (uint32_t)(sizeof(header) + sizeof(access) + (read ? 8 : 0));
	assert_int_equal(bk__wire_send(fd, parts, read ? 3 : 2, NULL, 0), 0);
}

/* The reply to the write comes after its DMA; a command in between waits for its turn. */
static void dma_round_trip(struct served *served)
{
	const struct bk__wire_region_access read_value = { SERVED_VALUE, 0, 8 }, go = { SERVED_READ, 0, 8 },
					    back = { SERVED_WRITE, 0, 8 };
	uint8_t address[8];
	uint16_t id;

	bk__store(address, 8, 0x10018);
	client_say(served, BK__WIRE_REGION_WRITE, 0, &go, sizeof(go), address, 8, NULL, 0);
	id = served->id;
	assert_int_equal(client_hear(served), 0);
	assert_int_equal(served->reply.header.command, BK__WIRE_DMA_READ);
	assert_int_equal(bk__load(served->reply.payload, 8), 0x10018);
	client_say(served, BK__WIRE_REGION_READ, 0, &read_value, sizeof(read_value), NULL, 0, NULL, 0);
	answer_dma(served, served->fd, 0x1122334455667788);
	assert_int_equal(client_hear(served), 0);
	assert_int_equal(served->reply.header.id, id);
	assert_int_equal(served->reply.header.command, BK__WIRE_REGION_WRITE);
	assert_int_equal(client_hear(served), 0);
	assert_int_equal(served->reply.header.command, BK__WIRE_REGION_READ);
	assert_int_equal(bk__load(served->reply.payload + 16, 8), 0x1122334455667788);

	client_say(served, BK__WIRE_REGION_WRITE, 0, &back, sizeof(back), address, 8, NULL, 0);
	assert_int_equal(client_hear(served), 0);
	assert_int_equal(served->reply.header.command, BK__WIRE_DMA_WRITE);
	assert_int_equal(bk__load(served->reply.payload + 16, 8), 0x1122334455667788);
	answer_dma(served, served->fd, 0);
	assert_int_equal(client_hear(served), 0);
	assert_int_equal(served->reply.header.command, BK__WIRE_REGION_WRITE);
	assert_int_equal(client_read(served, 0, SERVED_RESULT, 8), 0);
}

static void dma_by_messages(void **state)
{
	struct served *served = made();

	served_start(served);
	client_start(served);
	assert_int_equal(client_map(served, 0x10000, 0x1000, 0, -1), 0);
	dma_round_trip(served);
	assert_int_equal(client_write(served, 0, SERVED_THREAD, 1, 8), 0);
	dma_round_trip(served);
	unmade(served);
}

/* A client that goes while the device waits for it. */
static void dma_that_nobody_answers(void **state)
{
	struct served *served = made();
	const struct bk__wire_region_access go = { SERVED_READ, 0, 8 };
	uint8_t address[8];

	served_start(served);
	for (unsigned threads = 0; threads < 2; threads++) {
		client_start(served);
		assert_int_equal(client_map(served, 0x10000, 0x1000, 0, -1), 0);
		assert_int_equal(client_write(served, 0, SERVED_THREAD, threads, 8), 0);
		bk__store(address, 8, 0x10018);
		client_say(served, BK__WIRE_REGION_WRITE, 0, &go, sizeof(go), address, 8, NULL, 0);
		assert_int_equal(client_hear(served), 0);
		assert_int_equal(served->reply.header.command, BK__WIRE_DMA_READ);
		client_close(served);
		assert_int_not_equal(bk__load(served->device.fake.bytes[0] + SERVED_RESULT, 8), 0);
		assert_int_equal(served->device.map_count, 0);
	}
	unmade(served);
}

static void dma_on_the_twin_socket(void **state)
{
	struct served *served = made();
	const struct bk__wire_version version = {
		.minor = 2, .has = BK__WIRE_HAS_FDS | BK__WIRE_HAS_TWIN, .fds = 1, .twin = true
	};
	const struct bk__wire_region_access go = { SERVED_READ, 0, 8 };
	struct bk__wire_version agreed;
	struct bk__wire_stream twin, main;
	uint8_t payload[512], address[8];
	const int size = bk__wire_version_put(payload, sizeof(payload), &version, false);

	served_start(served);
	client_connect(served);
	assert_int_equal(client_ask(served, BK__WIRE_VERSION, payload, (size_t)size, NULL, 0), 0);
	assert_int_equal(bk__wire_version_take(served->reply.payload, served->reply.size, &agreed, NULL), 0);
	assert_true(agreed.twin);
	assert_int_equal(agreed.twin_index, 0);
	assert_int_equal(served->reply.fd_count, 1);
	assert_int_equal(bk__wire_stream_open(&twin, bk__wire_take_fd(&served->reply, 0), BK__WIRE_MESSAGE),
			 0);
	assert_int_equal(client_map(served, 0x10000, 0x1000, 0, -1), 0);
	bk__store(address, 8, 0x10020);
	client_say(served, BK__WIRE_REGION_WRITE, 0, &go, sizeof(go), address, 8, NULL, 0);
	main = served->stream;
	served->stream = twin;
	assert_int_equal(client_hear(served), 0);
	assert_int_equal(served->reply.header.command, BK__WIRE_DMA_READ);
	answer_dma(served, twin.fd, 0x55);
	bk__wire_stream_close(&served->stream);
	served->stream = main;
	assert_int_equal(client_hear(served), 0);
	assert_int_equal(served->reply.header.command, BK__WIRE_REGION_WRITE);
	assert_int_equal(client_read(served, 0, SERVED_VALUE, 8), 0x55);
	close(twin.fd);
	unmade(served);
}

/* ---- Pages ------------------------------------------------------------- */

static int region_info(struct served *served, unsigned index, uint32_t argsz)
{
	const struct bk__wire_region_info info = { .argsz = argsz, .index = index };

	return client_ask(served, BK__WIRE_REGION_INFO, &info, sizeof(info), NULL, 0);
}

static void only_a_file_that_holds_no_other_page_is_handed_out(void **state)
{
	struct served *served = made();
	struct bk__wire_region_info info;

	/* The region begins somewhere in its file: there are other pages. */
	served_start(served);
	client_start(served);
	assert_int_equal(region_info(served, 2, 64), 0);
	memcpy(&info, served->reply.payload, sizeof(info));
	assert_int_equal(info.flags, BK__WIRE_REGION_READS | BK__WIRE_REGION_WRITES);
	assert_int_equal(served->reply.fd_count, 0);
	assert_int_equal(region_info(served, 99, 64), -EINVAL);
	unmade(served);

	served = made();
	served->config.mmap = BK__SERVE_MMAP_DEVICE_FD;
	served->device.fake.areas[2].count = 2;
	served->device.fake.areas[2].at[0] = (struct bk_device_area){ 0, 0x1000 };
	served->device.fake.areas[2].at[1] = (struct bk_device_area){ 0x3000, 0x1000 };
	served_start(served);
	client_start(served);
	assert_int_equal(region_info(served, 2, 32), 0);
	memcpy(&info, served->reply.payload, sizeof(info));
	assert_int_equal(info.argsz, 80);
	assert_int_equal(info.cap_offset, 32);
	assert_int_equal(served->reply.size, 32);
	assert_int_equal(served->reply.fd_count, 0);
	assert_int_equal(region_info(served, 2, 80), 0);
	assert_int_equal(served->reply.size, 80);
	assert_int_equal(served->reply.fd_count, 1);
	assert_int_equal(bk__load(served->reply.payload + 48, 8), 0);
	assert_int_equal(bk__load(served->reply.payload + 64, 8), 0x3000);
	unmade(served);
}

static int add_trap(struct bk_mediator *mediate, const char *text)
{
	struct bk_trap_desc desc = { 0 };
	struct bk_trap *trap;

	assert_int_equal(bk_trap_parse(text, &desc, NULL), 0);
	return bk_trap_add(mediate, &desc, &trap, NULL);
}

/* A sim behind a mediator with a trap in its second page: the client maps the others, and only those. */
static void pages_in_a_file_of_their_own(void **state)
{
	static const char text[] = "name: a\nvendor: 0x1234\ndevice: 0x5678\nclass: 0xff0000\nbars:\n"
				   "- {index: 2, kind: mem32, size: 16K, mappable: true}\n";
	struct served *served = made();
	struct bk_domain *domain = bk_domain_create();
	struct bk_mediator *mediate;
	struct bk_device *sim;
	struct bk_error err;
	struct bk__wire_region_info info;
	volatile uint32_t *page;
	uint8_t *file;
	int fd;

	assert_int_equal(bk__sim_open_text("a", text, sizeof(text) - 1, "sim:a", &sim, &err), 0);
	assert_int_equal(bk_mediator_create(domain, sim, NULL, &mediate, &err), 0);
	assert_int_equal(add_trap(mediate, "bar2+0x1000/4:const=0x55"), 0);
	served->config.device = bk_mediator_device(mediate);
	served->config.mediate = mediate;
	served_start(served);
	client_start(served);
	assert_int_equal(client_write(served, 2, 0x2000, 7, 4), 0);
	assert_int_equal(client_write(served, 2, 0x1010, 8, 4), 0); /* beside the trap */
	assert_int_equal(region_info(served, 2, 128), 0);
	memcpy(&info, served->reply.payload, sizeof(info));
	assert_int_equal(info.flags, 15);
	assert_int_equal(info.offset, 0);
	assert_int_equal(bk__load(served->reply.payload + 40, 4), 2);
	assert_int_equal(bk__load(served->reply.payload + 48, 8), 0);
	assert_int_equal(bk__load(served->reply.payload + 56, 8), 0x1000);
	assert_int_equal(bk__load(served->reply.payload + 64, 8), 0x2000);
	assert_int_equal(bk__load(served->reply.payload + 72, 8), 0x2000);
	fd = bk__wire_take_fd(&served->reply, 0);
	file = mmap(NULL, 0x4000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(file, MAP_FAILED);
	page = (uint32_t *)(file + 0x2000);
	assert_int_equal(*page, 7);
	assert_int_equal(bk__load(file + 0x1010, 4), 0); /* not the device's */
	*page = 9;
	assert_int_equal(client_read(served, 2, 0x2000, 4), 9);
	assert_int_equal(client_write(served, 2, 4, 3, 4), 0);
	assert_int_equal(bk__load(file + 4, 4), 3);
	bk__store(file + 0x1010, 4, 1);
	assert_int_equal(client_read(served, 2, 0x1000, 4), 0x55);
	assert_int_equal(client_read(served, 2, 0x1010, 4), 8);

	/* The client has the third page until it goes; afterwards it has none, even if it kept the file. */
	assert_int_equal(add_trap(mediate, "bar2+0x2000/4:const=0x55"), -EBUSY);
	client_close(served);
	assert_int_equal(add_trap(mediate, "bar2+0x2000/4:const=0x55"), 0);
	client_start(served);
	assert_int_equal(client_read(served, 2, 0x2000, 4), 0x55);
	assert_int_equal(client_write(served, 2, 0x3000, 1, 4), 0);
	bk__store(file + 0x3000, 4, 2);
	assert_int_equal(client_read(served, 2, 0x3000, 4), 1);
	assert_int_equal(region_info(served, 2, 128), 0);
	assert_int_equal(bk__load(served->reply.payload + 64, 8), 0x3000);
	client_close(served);
	bk__serve_destroy(served->serve);
	served->serve = NULL;
	munmap(file, 0x4000);
	close(fd);
	assert_int_equal(bk_mediator_destroy(mediate), 0);
	bk_domain_destroy(domain);
	unmade(served);
}

/* ---- Ends -------------------------------------------------------------- */

/* One message of a session: bytes, and fds that go with the first. */
struct part {
	size_t first, size;
	int fds[2];
	unsigned fd_count;
};

struct session {
	uint8_t bytes[2048];
	size_t size;
	struct part parts[32];
	unsigned count;
};

static void put(struct session *session, unsigned command, const void *payload, size_t size, const int *fds,
		unsigned fd_count)
{
	const struct bk__wire_header header = { .id = (uint16_t)session->count,
						.command = (uint16_t)command,
						.size = (uint32_t)(sizeof(header) + size) };
	struct part *part = &session->parts[session->count++];

	*part = (struct part){ session->size, sizeof(header) + size, { 0 }, fd_count };
	if (fd_count)
		memcpy(part->fds, fds, fd_count * sizeof(*fds));
	memcpy(session->bytes + session->size, &header, sizeof(header));
	if (size)
		memcpy(session->bytes + session->size + sizeof(header), payload, size);
	session->size += part->size;
}

/* What a client does that takes all there is. */
static void record(struct session *session, const int *events, int memory)
{
	const struct bk__wire_version version = {
		.minor = 2, .has = BK__WIRE_HAS_FDS | BK__WIRE_HAS_TWIN, .fds = 16, .twin = true
	};
	const struct bk__wire_dma_map maps[] = { { 32, 3, 0, 0x10000, 0x2000 },
						 { 32, 1, 0x2000, 0x20000, 0x1000 },
						 { 32, 3, 0, 0x40000, 0x1000 } };
	const struct bk__wire_dma_unmap unmap = { 24, 0, 0x20000, 0x1000 };
	const struct bk__wire_set_irqs intx = { 20, TRIGGER_FDS, BK_DEVICE_INTX, 0, 1 },
				       resample = { 20, BK__WIRE_IRQ_FDS | BK__WIRE_IRQ_UNMASK,
						    BK_DEVICE_INTX, 0, 1 },
				       msix = { 20, TRIGGER_FDS, BK_DEVICE_MSIX, 3, 2 },
				       req = { 20, TRIGGER_FDS, BK_DEVICE_REQ, 0, 1 };
	const struct bk__wire_region_info region = { .argsz = 128, .index = 2 };
	const struct {
		struct bk__wire_region_access access;
		uint8_t data[2];
	} __attribute__((packed)) command = { { 4, BK_DEVICE_CONFIG, 2 }, { 6, 0 } };
	const struct bk__wire_region_access read = { 0, BK_DEVICE_CONFIG, 256 };
	uint8_t text[256];
	const int size = bk__wire_version_put(text, sizeof(text), &version, false);

	put(session, BK__WIRE_VERSION, text, (size_t)size, NULL, 0);
	put(session, BK__WIRE_DMA_MAP, &maps[0], 32, &memory, 1);
	put(session, BK__WIRE_DMA_MAP, &maps[1], 32, &memory, 1);
	put(session, BK__WIRE_DMA_MAP, &maps[2], 32, NULL, 0);
	put(session, BK__WIRE_REGION_INFO, &region, sizeof(region), NULL, 0);
	put(session, BK__WIRE_REGION_READ, &read, sizeof(read), NULL, 0);
	put(session, BK__WIRE_REGION_WRITE, &command, sizeof(command), NULL, 0);
	put(session, BK__WIRE_SET_IRQS, &intx, 20, events, 1);
	put(session, BK__WIRE_SET_IRQS, &resample, 20, events + 1, 1);
	put(session, BK__WIRE_SET_IRQS, &msix, 20, events, 2);
	put(session, BK__WIRE_SET_IRQS, &req, 20, events, 1);
	put(session, BK__WIRE_DMA_UNMAP, &unmap, sizeof(unmap), NULL, 0);
	put(session, BK__WIRE_RESET, NULL, 0, NULL, 0);
	put(session, BK__WIRE_REGION_WRITE, &command, sizeof(command), NULL, 0);
}

/* The first bytes of it. The server may have ended the connection. */
static void play(const struct served *served, struct session *session, size_t bytes)
{
	for (unsigned i = 0; i < session->count && session->parts[i].first < bytes; i++) {
		const struct part *part = &session->parts[i];
		const size_t left = bytes - part->first;
		const struct iovec piece = { session->bytes + part->first,
					     left < part->size ? left : part->size };

		assert_int_equal(bk__wire_send(served->fd, &piece, 1, part->fds, part->fd_count), 0);
	}
}

static void nothing_is_left(struct served *served, unsigned files)
{
	struct bk__serve_stats stats;

	assert_int_equal(open_files(), files);
	assert_int_equal(served_bound(&served->device), 0);
	assert_int_equal(served->device.resample, -1);
	assert_int_equal(served->device.map_count, 0);
	assert_int_equal(fake_get(&served->device.fake, 4, 2) & 4, 0); /* bus master */
	for (unsigned i = 0; i < BK_DEVICE_IRQS; i++)
		assert_false(served->device.on[i]);
	bk__serve_stats(served->serve, &stats);
	assert_int_equal(stats.maps, 0);
	assert_int_equal(stats.memory, 0);
	assert_false(stats.client);
}

static void f33_a_client_killed_at_every_byte(void **state)
{
	struct served *served = made();
	struct session session = { .size = 0 };
	const int events[] = { event(), event() }, memory = memory_file(0x4000);
	unsigned files;

	record(&session, events, memory);
	served->config.mmap = BK__SERVE_MMAP_DEVICE_FD;
	served_start(served);
	files = open_files();
	for (size_t bytes = 0; bytes <= session.size; bytes++) {
		const unsigned resets = served->device.fake.resets;

		/* With a device that can be reset, and one that cannot. */
		served->device.fake.reset_result = bytes & 1 ? -EOPNOTSUPP : 0;
		client_connect(served);
		play(served, &session, bytes);
		client_close(served);
		nothing_is_left(served, files);
		assert_true(served->device.fake.resets > resets);
	}
	served->device.fake.reset_result = 0;
	client_start(served);
	assert_int_equal(client_read(served, BK_DEVICE_CONFIG, 0, 4), 0x56781234);
	unmade(served);
	close(events[0]);
	close(events[1]);
	close(memory);
}

/* A message of each command with one byte changed, and of each length below its own. */
static void f32_messages_that_make_no_sense(void **state)
{
	struct served *served = made();
	struct session session = { .size = 0 };
	const int events[] = { event(), event() }, memory = memory_file(0x4000);
	unsigned files;

	record(&session, events, memory);
	served_start(served);
	files = open_files();
	for (size_t at = 0; at < session.size; at++) {
		const uint8_t was = session.bytes[at];

		for (unsigned i = 0; i < 3; i++) {
			static const uint8_t flips[] = { 0x01, 0x80, 0xff };

			session.bytes[at] = was ^ flips[i];
			client_connect(served);
			for (unsigned part = 0; part < session.count; part++) {
				const struct part *p = &session.parts[part];
				const struct iovec piece = { session.bytes + p->first, p->size };

				/* The server may be gone by then. */
				if (bk__wire_send(served->fd, &piece, 1, p->fds, p->fd_count))
					break;
			}
			client_close(served);
			nothing_is_left(served, files);
		}
		session.bytes[at] = was;
	}
	client_start(served);
	for (unsigned i = 1; i < session.count; i++) {
		const struct part *part = &session.parts[i];

		for (size_t size = 0; size < part->size - sizeof(struct bk__wire_header); size++) {
			struct bk__wire_header header;

			memcpy(&header, session.bytes + part->first, sizeof(header));
			assert_int_equal(client_ask(served, header.command,
						    session.bytes + part->first + sizeof(header), size,
						    part->fds, part->fd_count),
					 -EINVAL);
		}
	}
	assert_int_equal(client_read(served, BK_DEVICE_CONFIG, 0, 4), 0x56781234);
	client_close(served);
	nothing_is_left(served, files);
	unmade(served);
	close(events[0]);
	close(events[1]);
	close(memory);
}

/* The client finds the connection closed, and another server gives the device again. */
static void f36_a_server_that_ends(void **state)
{
	struct served *served = made();
	const int fd = memory_file(0x1000);

	served_start(served);
	client_start(served);
	assert_int_equal(client_map(served, 0x10000, 0x1000, 0, fd), 0);
	bk__serve_destroy(served->serve);
	assert_int_equal(client_hear(served), -EPIPE);
	assert_int_equal(served->device.map_count, 0);
	bk__wire_stream_close(&served->stream);
	close(served->fd);
	unlink(served->path);
	served_start(served);
	client_start(served);
	assert_int_equal(client_map(served, 0x10000, 0x1000, 0, fd), 0);
	unmade(served);
	close(fd);
}

/* Its socket is full of replies; it holds nobody up but itself. */
static void a_client_that_reads_no_replies(void **state)
{
	struct served *served = made(), *other = made();
	const struct bk__wire_region_access read = { 0, BK_DEVICE_CONFIG, 4096 };
	const struct bk__wire_header header = { .command = BK__WIRE_REGION_READ, .size = 32 };
	const struct iovec parts[] = { { (void *)(uintptr_t)&header, 16 }, { (void *)(uintptr_t)&read, 16 } };
	int error = 0;

	served_start(served);
	served_start(other);
	client_start(served);
	assert_int_equal(fcntl(served->fd, F_SETFL, O_NONBLOCK), 0);
	while (!error)
		error = bk__wire_send(served->fd, parts, 2, NULL, 0);
	client_start(other);
	assert_int_equal(client_read(other, BK_DEVICE_CONFIG, 0, 4), 0x56781234);
	client_close(other);
	unmade(other);
	bk__serve_destroy(served->serve); /* does not wait for it either */
	served->serve = NULL;
	unmade(served);
}

static void others_wait_until_the_client_has_gone(void **state)
{
	struct served *served = made();
	struct served second;

	served_start(served);
	client_start(served);
	memset(&second, 0, sizeof(second));
	second.device.fake.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	strcpy(second.path, served->path);
	client_connect(&second);
	client_say(&second, BK__WIRE_VERSION, 0, "\0\0\0\0", 4, NULL, 0, NULL, 0);
	assert_int_equal(client_read(served, BK_DEVICE_CONFIG, 0, 4), 0x56781234);
	assert_int_equal(bk__wire_receive(&second.stream, &second.reply, MSG_DONTWAIT), -EAGAIN);
	client_close(served);
	assert_int_equal(client_hear(&second), 0);
	assert_int_equal(second.reply.header.flags, BK__WIRE_REPLY);
	bk__wire_stream_close(&second.stream);
	close(second.fd);
	unmade(served);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_clients_eventfd_is_the_devices),
		cmocka_unit_test(interrupts_that_do_not_exist),
		cmocka_unit_test(intx_is_masked_and_resampled),
		cmocka_unit_test(writes_without_a_reply_and_several_at_once),
		cmocka_unit_test(what_reaches_nothing),
		cmocka_unit_test(a_reset_works_or_is_said_to),
		cmocka_unit_test(memory_is_mapped_once_a_file),
		cmocka_unit_test(memory_without_a_file_is_noted),
		cmocka_unit_test(memory_that_the_device_keeps_stays),
		cmocka_unit_test(dma_by_messages),
		cmocka_unit_test(dma_that_nobody_answers),
		cmocka_unit_test(dma_on_the_twin_socket),
		cmocka_unit_test(only_a_file_that_holds_no_other_page_is_handed_out),
		cmocka_unit_test(pages_in_a_file_of_their_own),
		cmocka_unit_test(a_client_that_reads_no_replies),
		cmocka_unit_test(others_wait_until_the_client_has_gone),
		cmocka_unit_test(f32_messages_that_make_no_sense),
		cmocka_unit_test(f33_a_client_killed_at_every_byte),
		cmocka_unit_test(f34_a_client_truncates_its_memory),
		cmocka_unit_test(f35_a_client_that_maps_too_much),
		cmocka_unit_test(f36_a_server_that_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
