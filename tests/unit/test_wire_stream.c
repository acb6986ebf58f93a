/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages over a socket: whole, in pieces, several at once, with fds and without. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "wire/stream.h"

struct pair {
	int client;
	struct bk__wire_stream stream;
};

static int set_up(void **state)
{
	struct pair *pair = calloc(1, sizeof(*pair));
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	pair->client = fds[0];
	assert_int_equal(bk__wire_stream_open(&pair->stream, fds[1], BK__WIRE_MESSAGE), 0);
	*state = pair;
	return 0;
}

static int tear_down(void **state)
{
	struct pair *pair = *state;

	bk__wire_stream_close(&pair->stream);
	close(pair->stream.fd);
	if (pair->client >= 0)
		close(pair->client);
	free(pair);
	return 0;
}

static void send_message(const struct pair *pair, unsigned id, size_t payload, const int *fds, unsigned count)
{
	static uint8_t bytes[BK__WIRE_MESSAGE];
	struct bk__wire_header header = { .id = (uint16_t)id,
					  .command = BK__WIRE_DMA_MAP,
					  .size = (uint32_t)(sizeof(header) + payload) };
	const struct iovec parts[] = { { &header, sizeof(header) }, { bytes, payload } };

	assert_int_equal(bk__wire_send(pair->client, parts, 2, fds, count), 0);
}

static void expect(struct pair *pair, unsigned id, size_t payload, unsigned fds)
{
	struct bk__wire_message message;

	assert_int_equal(bk__wire_receive(&pair->stream, &message, MSG_DONTWAIT), 0);
	assert_int_equal(message.header.id, id);
	assert_int_equal(message.size, payload);
	assert_int_equal(message.fd_count, fds);
	for (unsigned i = 0; i < fds; i++)
		assert_true(fcntl(message.fds[i], F_GETFD) & FD_CLOEXEC);
	bk__wire_drop_fds(&message);
}

static int nothing(struct pair *pair)
{
	struct bk__wire_message message;

	return bk__wire_receive(&pair->stream, &message, MSG_DONTWAIT);
}

static unsigned open_fds(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void one_read_takes_a_whole_message(void **state)
{
	struct pair *pair = *state;

	send_message(pair, 1, 16, NULL, 0);
	expect(pair, 1, 16, 0);
	assert_int_equal(pair->stream.reads, 1);
	assert_int_equal(nothing(pair), -EAGAIN);
}

/* As a client does that sends many maps before it looks at a reply. */
static void fds_stay_with_their_message(void **state)
{
	struct pair *pair = *state;
	const int fds[] = { eventfd(0, 0), eventfd(0, 0) };
	const unsigned before = open_fds();

	send_message(pair, 1, 32, NULL, 0);
	send_message(pair, 2, 32, fds, 1);
	send_message(pair, 3, 32, fds, 2);
	send_message(pair, 4, 32, NULL, 0);
	send_message(pair, 5, 0, NULL, 0);
	send_message(pair, 6, 32, fds, 1);
	expect(pair, 1, 32, 0);
	expect(pair, 2, 32, 1);
	expect(pair, 3, 32, 2);
	expect(pair, 4, 32, 0);
	expect(pair, 5, 0, 0);
	expect(pair, 6, 32, 1);
	assert_int_equal(nothing(pair), -EAGAIN);
	assert_int_equal(open_fds(), before);
	close(fds[0]);
	close(fds[1]);
}

/* Two messages in one sendmsg, with the fds of both; SET_IRQS says how many it has. */
struct batch {
	struct bk__wire_header first;
	struct bk__wire_dma_map map;
	struct bk__wire_header second;
	struct bk__wire_set_irqs set;
	struct bk__wire_header last;
};

static struct batch make_batch(uint32_t irq_flags, uint32_t irqs)
{
	return (struct batch){
		.first = { .id = 1,
			   .command = BK__WIRE_DMA_MAP,
			   .size = sizeof(struct bk__wire_header) + sizeof(struct bk__wire_dma_map) },
		.second = { .id = 2,
			    .command = BK__WIRE_SET_IRQS,
			    .size = sizeof(struct bk__wire_header) + sizeof(struct bk__wire_set_irqs) },
		.set = { .flags = irq_flags, .count = irqs },
		.last = { .id = 3, .command = BK__WIRE_RESET, .size = sizeof(struct bk__wire_header) },
	};
}

static void send_batch(const struct pair *pair, const struct batch *batch, const int *fds, unsigned count)
{
	/* Without the padding behind it. */
	const struct iovec part = { (void *)(uintptr_t)batch,
				    offsetof(struct batch, last) + sizeof(batch->last) };

	assert_int_equal(bk__wire_send(pair->client, &part, 1, fds, count), 0);
}

/* The next message has just these. */
static void expect_fds(struct pair *pair, unsigned id, const int *fds, unsigned count)
{
	struct bk__wire_message message;

	assert_int_equal(bk__wire_receive(&pair->stream, &message, MSG_DONTWAIT), 0);
	assert_int_equal(message.header.id, id);
	assert_int_equal(message.fd_count, count);
	for (unsigned i = 0; i < count; i++) {
		const uint64_t one = 1;
		uint64_t got;

		assert_int_equal(write(fds[i], &one, sizeof(one)), sizeof(one));
		assert_int_equal(read(message.fds[i], &got, sizeof(got)), sizeof(got));
	}
	bk__wire_drop_fds(&message);
}

static void a_sendmsg_may_have_several_messages(void **state)
{
	struct pair *pair = *state;
	const int fds[] = { eventfd(0, EFD_NONBLOCK), eventfd(0, EFD_NONBLOCK), eventfd(0, EFD_NONBLOCK) };
	const unsigned before = open_fds();
	struct batch batch = make_batch(BK__WIRE_IRQ_FDS | BK__WIRE_IRQ_TRIGGER, 2);

	/* Those of both, behind a message that could have some. */
	send_message(pair, 0, 32, NULL, 0);
	send_batch(pair, &batch, fds, 3);
	expect_fds(pair, 0, NULL, 0);
	expect_fds(pair, 1, fds, 1);
	expect_fds(pair, 2, fds + 1, 2);
	expect_fds(pair, 3, NULL, 0);
	assert_int_equal(pair->stream.reads, 1);

	/* Of the second alone. */
	send_batch(pair, &batch, fds, 2);
	expect_fds(pair, 1, NULL, 0);
	expect_fds(pair, 2, fds, 2);
	expect_fds(pair, 3, NULL, 0);

	/* The second has none, whatever its count says. */
	batch = make_batch(BK__WIRE_IRQ_NONE | BK__WIRE_IRQ_TRIGGER, UINT32_MAX);
	send_batch(pair, &batch, fds, 1);
	expect_fds(pair, 1, fds, 1);
	expect_fds(pair, 2, NULL, 0);
	expect_fds(pair, 3, NULL, 0);

	/* More than all may have: the last one is refused for them. */
	send_batch(pair, &batch, fds, 2);
	expect_fds(pair, 1, fds, 1);
	expect_fds(pair, 2, NULL, 0);
	expect_fds(pair, 3, fds + 1, 1);

	/* A count beyond all bounds takes what there is. */
	batch = make_batch(BK__WIRE_IRQ_FDS | BK__WIRE_IRQ_TRIGGER, UINT32_MAX);
	send_batch(pair, &batch, fds, 3);
	expect_fds(pair, 1, NULL, 0);
	expect_fds(pair, 2, fds, 3);
	expect_fds(pair, 3, NULL, 0);
	assert_int_equal(open_fds(), before);
	for (unsigned i = 0; i < 3; i++)
		close(fds[i]);
}

/* The kernel ends a read behind the fds of one sendmsg. */
static void two_sendmsg_with_fds_are_two_reads(void **state)
{
	struct pair *pair = *state;
	const int fds[] = { eventfd(0, EFD_NONBLOCK), eventfd(0, EFD_NONBLOCK) };

	send_message(pair, 1, 32, fds, 1);
	send_message(pair, 2, 32, fds + 1, 1);
	expect_fds(pair, 1, fds, 1);
	assert_false(bk__wire_ready(&pair->stream));
	assert_int_equal(pair->stream.reads, 1);
	expect_fds(pair, 2, fds + 1, 1);
	assert_int_equal(pair->stream.reads, 2);
	close(fds[0]);
	close(fds[1]);
}

static void the_fds_of_replies(void **state)
{
	const struct bk__wire_io_fds io_fds = { .argsz = sizeof(io_fds), .count = 5 };
	struct bk__wire_header header = { .size = sizeof(header) + sizeof(io_fds), .flags = BK__WIRE_REPLY };
	const uint8_t *payload = (const uint8_t *)&io_fds;

	(void)state;
	header.command = BK__WIRE_REGION_INFO;
	assert_int_equal(bk__wire_fds_most(&header, payload), 1);
	header.command = BK__WIRE_VERSION;
	assert_int_equal(bk__wire_fds_most(&header, payload), 1);
	header.command = BK__WIRE_DMA_MAP;
	assert_int_equal(bk__wire_fds_most(&header, payload), 0);
	header.command = BK__WIRE_REGION_IO_FDS;
	assert_int_equal(bk__wire_fds_most(&header, payload), 5);
	header.size = sizeof(header);
	assert_int_equal(bk__wire_fds_most(&header, payload), 0);
	header.flags = BK__WIRE_COMMAND;
	header.command = BK__WIRE_SET_IRQS; /* and too short */
	assert_int_equal(bk__wire_fds_most(&header, payload), 0);
	header.command = 1000;
	assert_int_equal(bk__wire_fds_most(&header, payload), 0);
}

static void a_message_may_come_byte_by_byte(void **state)
{
	struct pair *pair = *state;
	struct bk__wire_header header = { .id = 9, .size = 20 };
	const int fd = eventfd(0, 0);
	struct iovec part = { &header, 1 };

	assert_int_equal(bk__wire_send(pair->client, &part, 1, &fd, 1), 0);
	assert_int_equal(nothing(pair), -EAGAIN);
	for (size_t i = 1; i < 20; i++) {
		static const uint8_t zero[4];

		assert_false(bk__wire_ready(&pair->stream));
		part.iov_base = i < 16 ? (uint8_t *)&header + i : (uint8_t *)(uintptr_t)zero;
		assert_int_equal(bk__wire_send(pair->client, &part, 1, NULL, 0), 0);
		if (i < 19)
			assert_int_equal(nothing(pair), -EAGAIN);
	}
	expect(pair, 9, 4, 1);
	close(fd);
}

/* Whatever the parts are, the bytes are the same, and so are descriptors. */
static void parts_of_any_size(void **state)
{
	struct pair *pair = *state;
	static uint8_t bytes[1000];
	const int fd = eventfd(0, 0);

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7);
	for (unsigned size = 0; size < 400; size += 3) {
		for (unsigned fds = 0; fds < 2; fds++) {
			struct bk__wire_header header = { .id = (uint16_t)size,
							  .size = (uint32_t)(sizeof(header) + size) };
			const struct iovec parts[] = { { &header, 10 },
						       { (uint8_t *)&header + 10, sizeof(header) - 10 },
						       { bytes, size / 3 },
						       { bytes + size / 3, size - size / 3 } };
			struct bk__wire_message message;

			assert_int_equal(bk__wire_send(pair->client, parts, 4, &fd, fds), 0);
			assert_int_equal(bk__wire_receive(&pair->stream, &message, MSG_DONTWAIT), 0);
			assert_int_equal(message.header.id, size);
			assert_int_equal(message.size, size);
			assert_memory_equal(message.payload, bytes, size);
			assert_int_equal(message.fd_count, fds);
			bk__wire_drop_fds(&message);
		}
	}
	close(fd);
}

static void the_largest_message(void **state)
{
	struct pair *pair = *state;
	struct bk__wire_header header = { .size = BK__WIRE_MESSAGE };
	uint8_t *bytes = calloc(1, BK__WIRE_MESSAGE);
	size_t sent = 0;
	int result = -EAGAIN;

	memcpy(bytes, &header, sizeof(header));
	/* The socket holds less than that. */
	while (result == -EAGAIN) {
		const ssize_t n = send(pair->client, bytes + sent, BK__WIRE_MESSAGE - sent, MSG_DONTWAIT);
		struct bk__wire_message message;

		sent += n > 0 ? (size_t)n : 0;
		result = bk__wire_receive(&pair->stream, &message, MSG_DONTWAIT);
	}
	assert_int_equal(result, 0);
	assert_int_equal(sent, BK__WIRE_MESSAGE);
	header.size++;
	assert_int_equal(send(pair->client, &header, sizeof(header), 0), sizeof(header));
	assert_int_equal(nothing(pair), -EPROTO);
	free(bytes);
}

static void as_many_fds_as_the_kernel_lets(void **state)
{
	struct pair *pair = *state;
	int fds[BK__WIRE_FDS_ANYHOW];
	const int fd = eventfd(0, 0);
	const unsigned before = open_fds();

	for (unsigned i = 0; i < BK__WIRE_FDS_ANYHOW; i++)
		fds[i] = fd;
	send_message(pair, 1, 0, fds, BK__WIRE_FDS_ANYHOW);
	send_message(pair, 2, 0, fds, BK__WIRE_FDS_ANYHOW);
	expect(pair, 1, 0, BK__WIRE_FDS_ANYHOW);
	expect(pair, 2, 0, BK__WIRE_FDS_ANYHOW);
	assert_int_equal(open_fds(), before);
	close(fd);
}

/* Fds come with each piece of a message: those that are too many are closed. */
static void more_fds_than_a_message_has(void **state)
{
	struct pair *pair = *state;
	struct bk__wire_header header = { .id = 1, .size = 20 };
	struct iovec part = { &header, 16 };
	int fds[BK__WIRE_FDS_ANYHOW];
	const int fd = eventfd(0, 0);
	const unsigned before = open_fds();

	for (unsigned i = 0; i < BK__WIRE_FDS_ANYHOW; i++)
		fds[i] = fd;
	assert_int_equal(bk__wire_send(pair->client, &part, 1, fds, BK__WIRE_FDS_ANYHOW), 0);
	part.iov_len = 1;
	assert_int_equal(bk__wire_send(pair->client, &part, 1, fds, BK__WIRE_FDS_ANYHOW), 0);
	assert_int_equal(nothing(pair), -EAGAIN);
	assert_int_equal(bk__wire_send(pair->client, &part, 1, fds, BK__WIRE_FDS_ANYHOW), 0);
	assert_int_equal(nothing(pair), -EBADMSG);
	bk__wire_stream_close(&pair->stream);
	assert_int_equal(open_fds(), before);
	close(fd);
}

static void the_end_is_between_messages_or_in_one(void **state)
{
	struct pair *pair = *state;

	send_message(pair, 1, 4, NULL, 0);
	close(pair->client);
	pair->client = -1;
	expect(pair, 1, 4, 0);
	assert_int_equal(nothing(pair), -EPIPE);
}

static void the_end_in_a_message(void **state)
{
	struct pair *pair = *state;
	const int fd = eventfd(0, 0);
	const unsigned before = open_fds();
	struct bk__wire_header header = { .size = 20 };
	struct iovec part = { &header, 15 };

	assert_int_equal(bk__wire_send(pair->client, &part, 1, &fd, 1), 0);
	close(pair->client);
	pair->client = -1;
	assert_int_equal(nothing(pair), -ECONNRESET);
	bk__wire_stream_close(&pair->stream);
	assert_int_equal(open_fds(), before - 1);
	close(fd);
}

static void who_does_not_read_is_not_waited_for(void **state)
{
	struct pair *pair = *state;
	static uint8_t bytes[1 << 20];
	struct iovec part = { bytes, sizeof(bytes) };

	assert_int_equal(fcntl(pair->client, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(bk__wire_send(pair->client, &part, 1, NULL, 0), -EPIPE); /* a part went out */
	assert_int_equal(bk__wire_send(pair->client, &part, 1, NULL, 0), -EAGAIN);
	assert_int_equal(bk__wire_send(pair->client, &part, BK__WIRE_PARTS + 1, NULL, 0), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* However many came with it. */
static void a_large_message_fits_behind_one_that_is_in_use(void **state)
{
	enum { MOST = 40000, BEFORE = 3 };
	struct pair *pair = *state;
	const int fd = pair->stream.fd;
	struct bk__wire_message message;

	bk__wire_stream_close(&pair->stream);
	assert_int_equal(bk__wire_stream_open(&pair->stream, fd, MOST), 0);
	for (unsigned i = 0; i < BEFORE; i++)
		send_message(pair, i, MOST - sizeof(struct bk__wire_header), NULL, 0);
	for (unsigned i = 0; i < BEFORE; i++) {
		pair->stream.pin = 0;
		assert_int_equal(bk__wire_receive(&pair->stream, &message, MSG_DONTWAIT), 0);
		assert_int_equal(message.header.id, i);
		pair->stream.pin = pair->stream.start;
	}
	assert_int_equal(pair->stream.reads, 1);
	for (unsigned i = 0; i < BEFORE; i++) {
		send_message(pair, i, MOST - sizeof(struct bk__wire_header), NULL, 0);
		expect(pair, i, MOST - sizeof(struct bk__wire_header), 0);
	}
	memcpy(&message.header, message.payload - sizeof(message.header), sizeof(message.header));
	assert_int_equal(message.header.id, BEFORE - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_read_takes_a_whole_message),
		TEST(fds_stay_with_their_message),
		TEST(a_message_may_come_byte_by_byte),
		TEST(parts_of_any_size),
		TEST(the_largest_message),
		TEST(as_many_fds_as_the_kernel_lets),
		TEST(more_fds_than_a_message_has),
		TEST(the_end_is_between_messages_or_in_one),
		TEST(the_end_in_a_message),
		TEST(who_does_not_read_is_not_waited_for),
		TEST(a_sendmsg_may_have_several_messages),
		TEST(two_sendmsg_with_fds_are_two_reads),
		TEST(the_fds_of_replies),
		TEST(a_large_message_fits_behind_one_that_is_in_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
