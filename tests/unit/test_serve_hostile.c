/* SPDX-License-Identifier: BSD-2-Clause */
/* Clients that mean a server harm: at what moment they say something, and what they do not do. */
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "serve/memory_files.h"
#include "open_files.h"
#include "serve_client.h"

#define TRIGGER_FDS (BK__WIRE_IRQ_FDS | BK__WIRE_IRQ_TRIGGER)

static struct bk_device_ops ops; /* the device's, changed by a test */
static const struct bk_device_ops *real_ops;

static void change_ops(struct served *served)
{
	real_ops = served->device.fake.device.ops;
	ops = *real_ops;
	served->device.fake.device.ops = &ops;
}

static void wait_for(sem_t *sem)
{
	while (sem_wait(sem))
		;
}

/* ---- A message that comes while the server takes the descriptors of another -------- */

enum { SERVER, CLIENT, DEVICE };
static _Thread_local int role;
static struct {
	atomic_bool armed;
	sem_t in_handler; /* the server's thread has a command with descriptors */
	sem_t reads;      /* the device's thread is about to read a message */
	sem_t replies;    /* the server's thread has taken the descriptors */
	sem_t done;       /* the device's thread has read it */
	struct served *served;
} moment;

ssize_t __real_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags)
{
	if (role == DEVICE && atomic_load(&moment.armed)) {
		sem_post(&moment.reads);
		wait_for(&moment.replies);
	}
	return __real_recvmsg(fd, message, flags);
}

/* The server is about to reply. */
static void before_reply(void)
{
	if (role == SERVER && atomic_load(&moment.armed)) {
		sem_post(&moment.replies);
		wait_for(&moment.done);
		atomic_store(&moment.armed, false);
	}
}

ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
	before_reply();
	return __real_sendmsg(fd, message, flags);
}

ssize_t __real_send(int fd, const void *data, size_t count, int flags);
ssize_t __wrap_send(int fd, const void *data, size_t count, int flags);
ssize_t __wrap_send(int fd, const void *data, size_t count, int flags)
{
	before_reply();
	return __real_send(fd, data, count, flags);
}

static int held_set_irqs(struct bk_device *device, unsigned index, enum bk_device_irq_action action,
			 unsigned start, unsigned count, const int *fds)
{
	const int error = real_ops->set_irqs(device, index, action, start, count, fds);

	if (atomic_load(&moment.armed)) {
		sem_post(&moment.in_handler);
		wait_for(&moment.reads);
	}
	return error;
}

static void *read_memory(void *opaque)
{
	const struct bk_device_dma *map = opaque;
	uint64_t value = 0;

	role = DEVICE;
	assert_int_equal(map->read(map->opaque, 0, &value, sizeof(value)), 0);
	assert_int_equal(value, 0x4242424242424242);
	sem_post(&moment.done);
	return NULL;
}

static void answer_dma(struct served *served)
{
	struct {
		struct bk__wire_header header;
		struct bk__wire_dma_access access;
		uint8_t data[8];
	} reply;
	const struct iovec part = { &reply, sizeof(reply) };

	assert_int_equal(client_hear(served), 0);
	assert_int_equal(served->reply.header.command, BK__WIRE_DMA_READ);
	reply.header = served->reply.header;
	reply.header.flags = BK__WIRE_REPLY;
	reply.header.size = sizeof(reply);
	memcpy(&reply.access, served->reply.payload, sizeof(reply.access));
	memset(reply.data, 0x42, sizeof(reply.data));
	assert_int_equal(bk__wire_send(served->fd, &part, 1, NULL, 0), 0);
}

static void descriptors_that_are_taken_stay_taken(void **state)
{
	const struct bk__wire_set_irqs set = { sizeof(set), TRIGGER_FDS, BK_DEVICE_MSIX, 3, 1 };
	const int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct served *served = malloc(sizeof(*served));
	pthread_t device;
	uint64_t count;

	(void)state;
	role = CLIENT;
	served_create(served);
	change_ops(served);
	ops.set_irqs = held_set_irqs;
	sem_init(&moment.in_handler, 0, 0);
	sem_init(&moment.reads, 0, 0);
	sem_init(&moment.replies, 0, 0);
	sem_init(&moment.done, 0, 0);
	served_start(served);
	client_start(served);
	assert_int_equal(client_map(served, 0x10000, 0x1000, 0, -1), 0);
	atomic_store(&moment.armed, true);
	client_say(served, BK__WIRE_SET_IRQS, 0, &set, sizeof(set), NULL, 0, &event, 1);
	wait_for(&moment.in_handler);
	assert_int_equal(pthread_create(&device, NULL, read_memory, &served->device.maps[0]), 0);
	answer_dma(served);
	assert_int_equal(client_hear(served), 0);
	assert_int_equal(served->reply.header.command, BK__WIRE_SET_IRQS);
	assert_int_equal(served->reply.header.flags, BK__WIRE_REPLY);
	pthread_join(device, NULL);
	assert_int_equal(client_unmap(served, 0x10000, 0x1000, 0), 0);
	served_fire(&served->device, BK_DEVICE_MSIX, 3);
	assert_int_equal(read(event, &count, sizeof(count)), sizeof(count));
	client_close(served);
	close(event);
	served_end(served);
	free(served);
}

/* ---- A second socket that nobody reads ---------------------------------- */

static int write_much(struct bk_device *device, unsigned region, uint64_t offset, const void *data,
		      size_t count)
{
	const struct served_device *served = (const struct served_device *)device;
	uint8_t *much;

	if (region == BK_DEVICE_CONFIG || !served->map_count)
		return real_ops->write(device, region, offset, data, count);
	much = calloc(1, BK__WIRE_DATA);
	sem_post(&moment.in_handler);
	assert_int_not_equal(served->maps[0].write(served->maps[0].opaque, 0, much, BK__WIRE_DATA), 0);
	free(much);
	return 0;
}

/* A server whose device writes that much when a register is written. */
static void start_writer(struct served *served)
{
	role = CLIENT;
	served_create(served);
	change_ops(served);
	ops.write = write_much;
	sem_init(&moment.in_handler, 0, 0);
	served_start(served);
}

/* Until it is about to write. */
static void let_write(struct served *served)
{
	const struct bk__wire_region_access kick = { 0x40, 0, 4 };

	assert_int_equal(client_map(served, 0, 2 * BK__WIRE_DATA, 0, -1), 0);
	client_say(served, BK__WIRE_REGION_WRITE, 0, &kick, sizeof(kick), "1234", 4, NULL, 0);
	wait_for(&moment.in_handler);
}

/* The client has the other end, and does not close it. */
static void a_server_ends_though_nobody_reads_what_it_writes(void **state)
{
	const struct bk__wire_version version = { .minor = 2, .has = BK__WIRE_HAS_TWIN, .twin = true };
	struct served *served = malloc(sizeof(*served));
	uint8_t payload[512];
	const int size = bk__wire_version_put(payload, sizeof(payload), &version, false);
	int twin;

	(void)state;
	start_writer(served);
	client_connect(served);
	assert_int_equal(client_ask(served, BK__WIRE_VERSION, payload, (size_t)size, NULL, 0), 0);
	twin = bk__wire_take_fd(&served->reply, 0);
	assert_true(twin >= 0);
	let_write(served);
	bk__serve_destroy(served->serve); /* it would wait for ever */
	served->serve = NULL;
	close(twin);
	served_end(served);
	free(served);
}

/* ---- Commands before an answer ------------------------------------------ */

/* The device reads memory that only messages reach; its thread waits. */
static void say_read_memory(struct served *served)
{
	const struct bk__wire_region_access access = { SERVED_READ, 0, 8 };
	const uint64_t address = 0;

	client_say(served, BK__WIRE_REGION_WRITE, 0, &access, sizeof(access), &address, sizeof(address), NULL,
		   0);
}

static void commands_wait_for_an_answer(void **state)
{
	enum { COMMANDS = 1000 };
	const struct bk__wire_region_access access = { 0, BK_DEVICE_CONFIG, 4 };
	struct served *served = malloc(sizeof(*served));
	unsigned first;

	(void)state;
	role = CLIENT;
	served_create(served);
	served_start(served);
	client_start(served);
	assert_int_equal(client_map(served, 0, 0x1000, 0, -1), 0);
	say_read_memory(served);
	first = served->id;
	for (unsigned i = 0; i < COMMANDS; i++)
		client_say(served, BK__WIRE_REGION_READ, 0, &access, sizeof(access), NULL, 0, NULL, 0);
	answer_dma(served);
	for (unsigned i = 0; i <= COMMANDS; i++) {
		assert_int_equal(client_hear(served), 0);
		assert_int_equal(served->reply.header.id, (uint16_t)(first + i));
		assert_int_equal(served->reply.header.flags, BK__WIRE_REPLY);
	}
	served_end(served);
	free(served);
}

/* Both sides send more than a socket holds; the client reads when it has sent. */
static void large_messages_both_ways(void **state)
{
	const struct bk__wire_region_access access = { 0, BK_DEVICE_CONFIG, BK__WIRE_DATA };
	struct served *served = malloc(sizeof(*served));
	uint8_t *much = calloc(1, BK__WIRE_DATA);
	struct {
		struct bk__wire_header header;
		struct bk__wire_dma_access access;
	} reply;
	const struct iovec part = { &reply, sizeof(reply) };

	(void)state;
	start_writer(served);
	client_start(served);
	let_write(served);
	client_say(served, BK__WIRE_REGION_WRITE, 0, &access, sizeof(access), much, BK__WIRE_DATA, NULL, 0);
	assert_int_equal(client_hear(served), 0);
	assert_int_equal(served->reply.header.command, BK__WIRE_DMA_WRITE);
	reply.header = served->reply.header;
	reply.header.flags = BK__WIRE_REPLY | BK__WIRE_ERROR;
	reply.header.error = EFAULT;
	reply.header.size = sizeof(reply);
	memcpy(&reply.access, served->reply.payload, sizeof(reply.access));
	assert_int_equal(bk__wire_send(served->fd, &part, 1, NULL, 0), 0);
	for (unsigned i = 1; i <= 2; i++) {
		assert_int_equal(client_hear(served), 0);
		assert_int_equal(served->reply.header.id, i + 2);
	}
	served_end(served);
	free(much);
	free(served);
}

static void commands_without_an_answer_end(void **state)
{
	const struct bk__wire_region_access access = { 0, 0, BK__WIRE_DATA };
	const struct bk__wire_header header = { .command = BK__WIRE_REGION_WRITE,
						.size = sizeof(header) + sizeof(access) + BK__WIRE_DATA,
						.flags = BK__WIRE_NO_REPLY };
	struct served *served = malloc(sizeof(*served));
	uint8_t *much = calloc(1, BK__WIRE_DATA);
	const struct iovec parts[] = { { (void *)(uintptr_t)&header, sizeof(header) },
				       { (void *)(uintptr_t)&access, sizeof(access) },
				       { much, BK__WIRE_DATA } };
	const struct bk__wire_region_access where = { SERVED_READ, 0, 8 };
	const struct bk__wire_header again = { .command = BK__WIRE_REGION_WRITE,
					       .size = sizeof(again) + sizeof(where) + 8 };
	const struct iovec wait[] = { { (void *)(uintptr_t)&again, sizeof(again) },
				      { (void *)(uintptr_t)&where, sizeof(where) },
				      { much, 8 } };
	int error = 0;

	(void)state;
	role = CLIENT;
	served_create(served);
	served_start(served);
	client_start(served);
	assert_int_equal(client_map(served, 0, 0x1000, 0, -1), 0);
	while (!error) {
		error = bk__wire_send(served->fd, wait, 3, NULL, 0);
		if (!error)
			error = bk__wire_send(served->fd, parts, 3, NULL, 0);
	}
	assert_true(error == -EPIPE || error == -ECONNRESET);
	client_close(served);
	client_start(served);
	served_end(served);
	free(much);
	free(served);
}

/* ---- Descriptors --------------------------------------------------------- */

static void a_client_does_not_take_all_descriptors(void **state)
{
	struct served *served = malloc(sizeof(*served));
	const int growing = memory_file(0x1000);
	uint64_t address = 0;
	int error = 0, fd;

	(void)state;
	role = CLIENT;
	served_create(served);
	served_start(served);
	client_start(served);
	/* Each in a file of its own; or in one that has become longer, and has to be mapped again. */
	for (unsigned i = 0; !error; i++, address += 0x1000) {
		fd = i % 2 ? growing : memory_file(0x1000);
		assert_int_equal(ftruncate(growing, 0x1000 * (1 + (off_t)i)), 0);
		error = client_map(served, address, 0x1000, i % 2 ? 0x1000 * (uint64_t)i : 0, fd);
		if (fd != growing)
			close(fd);
	}
	assert_int_equal(error, -ENFILE);
	assert_int_equal(address, 0x1000 * (uint64_t)(BK__SERVE_FILES + 1));
	assert_int_equal(client_unmap(served, 0, 0x1000, 0), 0);
	fd = memory_file(0x1000);
	assert_int_equal(client_map(served, 0, 0x1000, 0, fd), 0);
	assert_int_equal(client_map(served, address, 0x1000, 0, fd), 0); /* it is there already */
	close(fd);
	served_end(served);
	free(served);
	close(growing);
}

static int sealed_file(int seals)
{
	const int fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 0x2000), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

/* Whatever comes, in whatever number, as often as it likes. */
static void no_descriptor_is_left_behind(void **state)
{
	enum { KINDS = 7, EVENT = 5, FDS = 3, ROUNDS = 300 };
	struct served *served = malloc(sizeof(*served));
	int kinds[KINDS], pair[2], events[FDS];
	unsigned before = 0;

	(void)state;
	role = CLIENT;
	assert_int_equal(pipe(pair), 0);
	kinds[0] = pair[0];
	kinds[1] = open("/tmp", O_RDONLY | O_DIRECTORY);
	kinds[2] = socket(AF_UNIX, SOCK_STREAM, 0);
	kinds[3] = open("/dev/zero", O_RDWR);
	kinds[4] = sealed_file(F_SEAL_WRITE); /* cannot be mapped for writing */
	kinds[EVENT] = eventfd(0, 0);
	kinds[6] = open("/proc/self/maps", O_RDONLY);
	for (unsigned i = 0; i < FDS; i++)
		events[i] = eventfd(0, EFD_NONBLOCK);
	served_create(served);
	served_start(served);
	client_start(served);
	for (unsigned round = 0; round < ROUNDS; round++) {
		const struct bk__wire_set_irqs set = { sizeof(set), TRIGGER_FDS, BK_DEVICE_MSIX, round % 5,
						       FDS };
		const int mixed[FDS] = { events[0], kinds[round % KINDS], events[1] };
		const int memory = memory_file(0x2000), extra[2] = { memory, events[0] };
		const struct bk__wire_dma_map map = { sizeof(map), 3, 0, 0x100000, 0x1000 };

		for (unsigned i = 0; i < KINDS; i++) {
			assert_true(client_map(served, 0x10000, 0x1000, 0, kinds[i]) < 0);
			if (i != EVENT)
				assert_true(client_irqs(served, TRIGGER_FDS, BK_DEVICE_MSIX, 0, 1, &kinds[i],
							1) < 0);
		}
		assert_int_equal(
			client_irqs(served, TRIGGER_FDS, BK_DEVICE_MSIX, round % 5, FDS, events, FDS), 0);
		if (round % KINDS != EVENT)
			assert_true(client_irqs(served, TRIGGER_FDS, BK_DEVICE_MSIX, 0, FDS, mixed, FDS) < 0);
		assert_true(client_irqs(served, TRIGGER_FDS, BK_DEVICE_MSIX, UINT32_MAX - 1, FDS, events,
					FDS) < 0);
		assert_true(client_irqs(served, TRIGGER_FDS, BK_DEVICE_MSIX, 0, 2, events, FDS) < 0);
		assert_true(client_ask(served, BK__WIRE_DMA_MAP, &map, sizeof(map), extra, 2) < 0);
		client_say(served, BK__WIRE_SET_IRQS, BK__WIRE_NO_REPLY, &set, sizeof(set), NULL, 0, events,
			   FDS);
		client_say(served, BK__WIRE_RESET, BK__WIRE_NO_REPLY, NULL, 0, NULL, 0, events, FDS);
		assert_int_equal(client_map(served, 0x20000, 0x2000, 0, memory), 0);
		assert_int_equal(client_unmap(served, 0x20000, 0x2000, 0), 0);
		close(memory);
		assert_int_equal(client_irqs(served, BK__WIRE_IRQ_NONE | BK__WIRE_IRQ_TRIGGER, BK_DEVICE_MSIX,
					     0, 0, NULL, 0),
				 0);
		/* The last command's are closed with the next one. */
		assert_int_equal(client_read(served, BK_DEVICE_CONFIG, 0, 4), 0x56781234);
		if (!round)
			before = open_files();
		assert_int_equal(open_files(), before);
	}
	client_close(served);
	served_end(served);
	free(served);
	for (unsigned i = 0; i < KINDS; i++)
		close(kinds[i]);
	for (unsigned i = 0; i < FDS; i++)
		close(events[i]);
	close(pair[1]);
}

/* ---- A client that comes again and again --------------------------------- */

static atomic_uint lines;

static void count_line(void *opaque, enum bk_log_level level, const char *line)
{
	(void)opaque, (void)level, (void)line;
	atomic_fetch_add(&lines, 1);
}

static void nobody_fills_the_log_by_coming_again(void **state)
{
	enum { CLIENTS = 300 };
	struct served *served = malloc(sizeof(*served));
	const uint8_t nonsense[16] = { 0 };

	(void)state;
	role = CLIENT;
	served_create(served);
	served_start(served);
	bk_log_set(count_line, NULL);
	for (unsigned i = 0; i < CLIENTS; i++) {
		client_connect(served);
		assert_int_equal(write(served->fd, nonsense, sizeof(nonsense)), sizeof(nonsense));
		assert_int_not_equal(client_hear(served), 0);
		client_close(served);
	}
	assert_in_range(atomic_load(&lines), 1, CLIENTS / 2); /* ten, and one a second */
	served_end(served);
	free(served);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(descriptors_that_are_taken_stay_taken),
		cmocka_unit_test(a_server_ends_though_nobody_reads_what_it_writes),
		cmocka_unit_test(commands_wait_for_an_answer),
		cmocka_unit_test(large_messages_both_ways),
		cmocka_unit_test(commands_without_an_answer_end),
		cmocka_unit_test(a_client_does_not_take_all_descriptors),
		cmocka_unit_test(no_descriptor_is_left_behind),
		cmocka_unit_test(nobody_fills_the_log_by_coming_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
