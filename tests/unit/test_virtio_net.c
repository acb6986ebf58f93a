/* SPDX-License-Identifier: BSD-2-Clause */
/* virtio-net, from its driver's side, with what it sends coming back. */
#include "virtio_driver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "virtio/net.h"
#include "virtio/virtio.h"

enum {
	RECEIVE = 0,
	SEND = 1,
	ROOM = DRIVER_DATA, /* in memory: where frames arrive, 0x800 for each */
	FRAME = DRIVER_DATA + 0x80000,
	MRG_RXBUF = 15,
};

static const uint8_t mac[BK__VIRTIO_MAC] = { 0x52, 0x54, 0, 1, 2, 3 };

struct fixture {
	struct driver driver;
	struct bk__virtio_net *net;
	size_t header; /* of a frame */
};

static struct fixture fixture;

static void open_card(bool threaded, bool far)
{
	struct bk__virtio_net_end end;
	struct bk__virtio *virtio;
	struct bk_error err;

	assert_int_equal(bk__virtio_net_loop(&end), 0);
	assert_int_equal(bk__virtio_net_create("virtio-net:loop", end.ops, end.opaque, mac, threaded, end.net,
					       &virtio, &err),
			 0);
	fixture.net = *end.net;
	driver_attach(&fixture.driver, virtio, far);
}

static void start(bool modern, uint64_t features)
{
	driver_start(&fixture.driver, modern, features, true);
	fixture.header = modern || features & BK__VIRTIO_F(MRG_RXBUF) ? 12 : 10;
}

/* Room for a frame, of so many bytes. */
static void give_room(uint16_t slot, uint32_t length)
{
	driver_describe(&fixture.driver, RECEIVE, slot, ROOM + 0x800 * (uint64_t)slot, length, DRIVER_WRITE,
			0);
	driver_add(&fixture.driver, RECEIVE, slot);
}

/* A frame of so many bytes, all of them `fill`. Waits until the card has it. */
static void send_frame(uint8_t fill, uint32_t length)
{
	struct driver *driver = &fixture.driver;
	uint32_t head, used;

	memset(driver->memory + FRAME, 0, 64);
	memset(driver->memory + FRAME + 64, fill, length);
	driver_describe(driver, SEND, 0, FRAME, (uint32_t)fixture.header, DRIVER_NEXT, 1);
	driver_describe(driver, SEND, 1, FRAME + 64, length, 0, 0);
	driver_add(driver, SEND, 0);
	driver_kick(driver, SEND);
	driver_wait(driver, SEND, &head, &used);
	assert_int_equal(head, 0);
	assert_int_equal(used, 0);
}

static void expect_frame(uint32_t slot, uint8_t fill, uint32_t length)
{
	struct driver *driver = &fixture.driver;
	const uint8_t *frame = driver->memory + ROOM + 0x800 * (uint64_t)slot;
	uint32_t head, used;

	driver_wait(driver, RECEIVE, &head, &used);
	assert_int_equal(head, slot);
	assert_int_equal(used, fixture.header + length);
	if (fixture.header == 12)
		assert_int_equal(bk__load(frame + 10, 2), 1);
	for (uint32_t i = 0; i < length; i++)
		assert_int_equal(frame[fixture.header + i], fill);
}

static void frames_come_and_go(void **state)
{
	for (unsigned i = 0; i < 16; i++) {
		open_card(i & 1, i & 2);
		start(i & 4, i & 8 ? ~UINT64_C(0) : 0);
		give_room(0, 0x800);
		give_room(1, 0x800);
		send_frame(0x11, 60);
		expect_frame(0, 0x11, 60);
		send_frame(0x22, 1514);
		expect_frame(1, 0x22, 1514);
		assert_true(driver_interrupts(&fixture.driver, 1)); /* each queue has its vector */
		assert_true(driver_interrupts(&fixture.driver, 2));
		driver_detach(&fixture.driver);
	}
}

static void the_card_has_an_address_and_a_link(void **state)
{
	struct driver *driver = &fixture.driver;

	open_card(false, false);
	for (unsigned modern = 0; modern < 2; modern++) {
		const unsigned bar = modern ? 4 : 0, config = modern ? 0x2000 : 24;

		start(modern, 0);
		for (unsigned i = 0; i < 6; i++)
			assert_int_equal(driver_in(driver, bar, config + i, 1), mac[i]);
		assert_int_equal(driver_in(driver, bar, config + 6, 2), 1);
	}
	driver_detach(driver);
}

static void a_frame_may_take_several_buffers(void **state)
{
	struct driver *driver = &fixture.driver;
	uint32_t head, used;

	open_card(false, false);
	start(true, BK__VIRTIO_F(MRG_RXBUF));
	for (uint16_t i = 0; i < 4; i++)
		give_room(i, 500);
	send_frame(0x33, 1200);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(driver_used(driver, RECEIVE, &head, &used));
		assert_int_equal(head, i);
		assert_int_equal(used, i < 2 ? 500 : 212);
	}
	assert_false(driver_used(driver, RECEIVE, &head, &used));
	assert_int_equal(bk__load(driver->memory + ROOM + 10, 2), 3);
	assert_int_equal(driver->memory[ROOM + 0x1000 + 211], 0x33);
	assert_int_equal(driver->memory[ROOM + 0x1000 + 212], 0);
	driver_detach(driver);
}

static void frames_wait_for_room(void **state)
{
	struct driver *driver = &fixture.driver;
	uint32_t head, used;

	for (unsigned threaded = 0; threaded < 2; threaded++) {
		open_card(threaded, false);
		start(true, BK__VIRTIO_F(MRG_RXBUF));
		for (unsigned i = 0; i < 10; i++)
			send_frame((uint8_t)(i + 1), 100);
		assert_false(driver_used(driver, RECEIVE, &head, &used));
		for (unsigned i = 0; i < 10; i++) {
			give_room((uint16_t)i, 0x800);
			driver_kick(driver, RECEIVE);
			expect_frame(i, (uint8_t)(i + 1), 100);
		}
		driver_detach(driver);
	}
}

/* What is kept has bounds, and a reset forgets it. */
static void frames_do_not_wait_for_ever(void **state)
{
	struct driver *driver = &fixture.driver;
	uint32_t head, used, count = 0;

	open_card(false, false);
	start(true, BK__VIRTIO_F(MRG_RXBUF));
	for (unsigned i = 0; i < 300; i++)
		send_frame(1, 100);
	for (unsigned i = 0; i < 300; i++) {
		give_room((uint16_t)(i % 32), 0x800);
		driver_kick(driver, RECEIVE);
		count += driver_used(driver, RECEIVE, &head, &used);
	}
	assert_int_equal(count, 256);
	start(true, 0);
	send_frame(1, 100);
	start(true, 0);
	give_room(0, 0x800);
	send_frame(2, 100);
	expect_frame(0, 2, 100);
	driver_detach(driver);
}

/* One buffer too small for a frame, without mergeable ones: it is dropped, and the buffer is there for the
 * next. */
static void a_frame_that_is_too_long_is_dropped(void **state)
{
	open_card(false, false);
	start(false, 0);
	give_room(0, 200);
	send_frame(1, 500);
	send_frame(2, 100);
	expect_frame(0, 2, 100);
	driver_detach(&fixture.driver);
}

static void frames_without_sense_are_dropped(void **state)
{
	struct driver *driver = &fixture.driver;
	uint32_t head, used;

	open_card(false, false);
	start(true, 0);
	give_room(0, 0x800);
	driver_describe(driver, SEND, 0, FRAME, 12, 0, 0); /* a header alone */
	driver_describe(driver, SEND, 1, FRAME, 5, 0, 0);  /* not even that */
	driver_describe(driver, SEND, 2, FRAME, 70000, 0, 0);
	driver_describe(driver, SEND, 3, ROOM, 64, DRIVER_WRITE, 0);
	for (uint16_t i = 0; i < 4; i++)
		driver_add(driver, SEND, i);
	driver_kick(driver, SEND);
	for (unsigned i = 0; i < 4; i++)
		assert_true(driver_used(driver, SEND, &head, &used));
	assert_false(driver_used(driver, RECEIVE, &head, &used));
	assert_false(driver_status(driver) & BK__VIRTIO_NEEDS_RESET);
	/* Memory that is not there is another matter; and so is a buffer for a frame that cannot be written.
	 */
	driver_describe(driver, SEND, 0, DRIVER_MEMORY, 100, 0, 0);
	driver_add(driver, SEND, 0);
	driver_kick(driver, SEND);
	assert_true(driver_status(driver) & BK__VIRTIO_NEEDS_RESET);
	start(true, 0);
	driver_describe(driver, RECEIVE, 0, ROOM, 100, 0, 0);
	driver_add(driver, RECEIVE, 0);
	send_frame(1, 60);
	assert_true(driver_status(driver) & BK__VIRTIO_NEEDS_RESET);
	driver_detach(driver);
}

/* ---- Kinds ------------------------------------------------------------- */

static void expect_open(const char *spec, int error, const char *text)
{
	struct bk_device_context *context = bk_device_context_create();
	struct bk_device *device;
	struct bk_error err = { { 0 } };

	assert_int_equal(bk__virtio_add_kinds(context), 0);
	assert_int_equal(bk_device_open(context, spec, &device, &err), error);
	if (text && !strstr(err.text, text))
		fail_msg("%s", err.text);
	bk_device_close(device);
	bk_device_context_destroy(context);
}

static void devices_are_opened_by_name(void **state)
{
	expect_open("virtio-net:", -EINVAL, "user or tap=NAME");
	expect_open("virtio-net:tap=", -EINVAL, "a name of 1 to 15");
	expect_open("virtio-net:tap=x,hostfwd=tcp::1-:2", -EINVAL, "forwards nothing");
	expect_open("virtio-net:user,mac=52:54:00:12:34", -EINVAL, "mac=");
	expect_open("virtio-net:user,mac=53:54:00:12:34:56", -EINVAL, "an address of one card");
	expect_open("virtio-net:user,mac=5x:54:00:12:34:56", -EINVAL, "mac=");
	expect_open("virtio-net:user,foo=1", -EINVAL, "no option `foo=1`");
	expect_open("virtio-blk:", -EINVAL, "a file is missing");
	expect_open("virtio-blk:/nonexistent/x", -ENOENT, "cannot be opened");
	expect_open("virtio-blk:/nonexistent/x,serial=123456789012345678901", -EINVAL, "20 characters");
	expect_open("virtio-blk:/nonexistent/x,readonly=maybe", -EINVAL, "no option");
	assert_string_equal(bk__virtio_keys("virtio-blk:x")[0], "readonly");
	assert_string_equal(bk__virtio_keys("virtio-net:x")[0], "mac");
	assert_null(bk__virtio_keys("vfio:x")[0]);
}

#ifdef BK_SLIRP
static void the_user_network_forwards_ports(void **state)
{
	expect_open("virtio-net:user", 0, NULL);
	expect_open("virtio-net:user,mac=52:54:00:12:34:56", 0, NULL);
	expect_open("virtio-net:user,hostfwd=sctp::1-:2", -EINVAL, "tcp or udp");
	expect_open("virtio-net:user,hostfwd=tcp::1", -EINVAL, "`-` is missing");
	expect_open("virtio-net:user,hostfwd=tcp::0-:2", -EINVAL, "[ADDRESS]:PORT");
	expect_open("virtio-net:user,hostfwd=tcp::70000-:2", -EINVAL, "[ADDRESS]:PORT");
	expect_open("virtio-net:user,hostfwd=tcp:x:1-:2", -EINVAL, "[ADDRESS]:PORT");
	expect_open("virtio-net:user,hostfwd=tcp:127.0.0.1:1-10.0.2.15:", -EINVAL, "[ADDRESS]:PORT");
}

/* ARP for the host's address on its network is answered. */
static void the_user_network_answers(void **state)
{
	static const uint8_t who[42] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 1,  2,
					 3,    8,    6,    0,    1,    8,    0,    6,    4, 0,  1,
					 0x52, 0x54, 0,    1,    2,    3,    10,   0,    2, 15, 0,
					 0,    0,    0,    0,    0,    10,   0,    2,    2 };
	struct driver *driver = &fixture.driver;
	struct bk__virtio_net_end end;
	struct bk__virtio *virtio;
	uint32_t head, used;

	for (unsigned threaded = 0; threaded < 2; threaded++) {
		assert_int_equal(bk__virtio_net_user(NULL, 0, &end, NULL), 0);
		assert_int_equal(bk__virtio_net_create("virtio-net:user", end.ops, end.opaque, mac, threaded,
						       end.net, &virtio, NULL),
				 0);
		driver_attach(driver, virtio, false);
		start(true, 0);
		give_room(0, 0x800);
		memset(driver->memory + FRAME, 0, 12);
		memcpy(driver->memory + FRAME + 12, who, sizeof(who));
		driver_describe(driver, SEND, 0, FRAME, 12 + sizeof(who), 0, 0);
		driver_add(driver, SEND, 0);
		driver_kick(driver, SEND);
		driver_wait(driver, RECEIVE, &head, &used);
		assert_int_equal(driver->memory[ROOM + 12 + 21], 2); /* a reply, from 10.0.2.2 */
		assert_memory_equal(driver->memory + ROOM + 12 + 28, who + 38, 4);
		driver_detach(driver);
	}
}

/* One's complement of the sum of 16-bit words. */
static void put_checksum(uint8_t *at, const uint8_t *from, size_t size, unsigned sum)
{
	for (size_t i = 0; i < size; i += 2)
		sum += from[i] * 256u + from[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~(sum + (sum >> 16)) & 0xffff;
	at[0] = (uint8_t)(sum >> 8);
	at[1] = (uint8_t)sum;
}

/* From 10.0.2.15 to 10.0.2.2, TCP with `flags` or UDP, from a port to a port of the host. */
static size_t compose(uint8_t *frame, unsigned protocol, unsigned from, unsigned to, unsigned flags)
{
	enum { IP = 14, INNER = 34, INNER_SIZE = 40, SIZE = INNER + INNER_SIZE };
	static const uint8_t head[INNER] = { 0x52, 0x55, 10,   0, 2, 2,  0x52, 0x54, 0, 1, 2,  3,
					     8,    0,    0x45, 0, 0, 60, 0,    0,    0, 0, 64, 0,
					     0,    0,    10,   0, 2, 15, 10,   0,    2, 2 };

	memset(frame, 0, SIZE);
	memcpy(frame, head, sizeof(head));
	frame[23] = (uint8_t)protocol;
	put_checksum(frame + 24, frame + IP, 20, 0);
	frame[INNER] = (uint8_t)(from >> 8);
	frame[INNER + 1] = (uint8_t)from;
	frame[INNER + 2] = (uint8_t)(to >> 8);
	frame[INNER + 3] = (uint8_t)to;
	if (protocol == IPPROTO_UDP) {
		frame[INNER + 5] = INNER_SIZE;
		return SIZE;
	}
	frame[INNER + 12] = 0x50;
	frame[INNER + 13] = (uint8_t)flags;
	put_checksum(frame + INNER + 16, frame + 26, 8 + INNER_SIZE, protocol + INNER_SIZE);
	return SIZE;
}

/* A port of the host's with somebody who listens. */
static unsigned listen_somewhere(int *fd)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof(address);

	*fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(*fd >= 0);
	assert_int_equal(bind(*fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(*fd, 128), 0);
	assert_int_equal(getsockname(*fd, (struct sockaddr *)&address, &size), 0);
	return ntohs(address.sin_port);
}

static unsigned free_descriptors(const struct rlimit *limit)
{
	int fds[64];
	unsigned count = 0, most = sizeof(fds) / sizeof(fds[0]);

	assert_true(limit->rlim_cur <= most);
	while (count < most && (fds[count] = eventfd(0, EFD_CLOEXEC)) >= 0)
		count++;
	for (unsigned i = 0; i < count; i++)
		close(fds[i]);
	return count;
}

static void leave_descriptors(unsigned protocol)
{
	struct rlimit was, now;
	struct bk__virtio_net_end end;
	struct bk__virtio *virtio;
	uint8_t frame[74];
	unsigned before, port;
	int fd;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	now = (struct rlimit){ 64, was.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
	port = listen_somewhere(&fd);
	assert_int_equal(bk__virtio_net_user(NULL, 0, &end, NULL), 0);
	assert_int_equal(bk__virtio_net_create("virtio-net:user", end.ops, end.opaque, mac, false, end.net,
					       &virtio, NULL),
			 0);
	driver_attach(&fixture.driver, virtio, false);
	start(true, 0);
	before = free_descriptors(&now);
	assert_true(before > 16);
	for (unsigned i = 0; i < 100; i++)
		end.ops->send(end.opaque, frame, compose(frame, protocol, 1024 + i, port, 2));
	assert_int_equal(free_descriptors(&now), 16); /* a quarter is left */
	/* What opens nothing goes on. */
	end.ops->send(end.opaque, frame, compose(frame, IPPROTO_TCP, 1025, port, 16));
	assert_in_range(free_descriptors(&now), 16, before);
	driver_detach(&fixture.driver);
	close(fd);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
}

static void the_user_network_leaves_descriptors(void **state)
{
	leave_descriptors(IPPROTO_UDP);
	leave_descriptors(IPPROTO_TCP);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_come_and_go),
		cmocka_unit_test(the_card_has_an_address_and_a_link),
		cmocka_unit_test(a_frame_may_take_several_buffers),
		cmocka_unit_test(frames_wait_for_room),
		cmocka_unit_test(frames_do_not_wait_for_ever),
		cmocka_unit_test(a_frame_that_is_too_long_is_dropped),
		cmocka_unit_test(frames_without_sense_are_dropped),
		cmocka_unit_test(devices_are_opened_by_name),
#ifdef BK_SLIRP
		cmocka_unit_test(the_user_network_forwards_ports),
		cmocka_unit_test(the_user_network_answers),
		cmocka_unit_test(the_user_network_leaves_descriptors),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
