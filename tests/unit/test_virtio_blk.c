/* SPDX-License-Identifier: BSD-2-Clause */
/* virtio-blk, from its driver's side; and what a hostile driver may do to its queue. */
#include "virtio_driver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "virtio/blk.h"

enum {
	SECTORS = 512,
	HEADER = DRIVER_DATA, /* in memory */
	STATUS = DRIVER_DATA + 0x800,
	DATA = DRIVER_DATA + 0x1000,
	TABLE = DRIVER_DATA + 0x80000, /* an indirect one */
	IN = 0,
	OUT = 1,
	FLUSH = 4,
	GET_ID = 8,
	DISCARD = 11,
	ZEROES = 13,
};

struct fixture {
	struct driver driver;
	char path[64];
	int fd;
};

static struct fixture fixture;

struct how {
	bool readonly, threaded, plain, far;
	off_t size; /* 0: SECTORS */
};

static void open_disk(struct how how)
{
	struct fixture *f = &fixture;
	struct bk__virtio_disk *disk;
	struct bk__virtio *virtio;
	struct bk_error err;
	uint8_t sector[512];

	strcpy(f->path, "/tmp/barkeep-disk-XXXXXX");
	f->fd = mkstemp(f->path);
	assert_true(f->fd >= 0);
	for (unsigned i = 0; i < SECTORS; i++) {
		memset(sector, (int)i + 1, sizeof(sector));
		assert_int_equal(pwrite(f->fd, sector, sizeof(sector), 512 * (off_t)i), sizeof(sector));
	}
	if (how.size)
		assert_int_equal(ftruncate(f->fd, how.size), 0);
	if (bk__virtio_disk_open(f->path, how.readonly, &disk, &err))
		fail_msg("%s", err.text);
	if (how.plain)
		bk__virtio_disk_plain(disk);
	assert_int_equal(
		bk__virtio_blk_create("virtio-blk:x", disk, how.readonly, "abc", how.threaded, &virtio, &err),
		0);
	driver_attach(&f->driver, virtio, how.far);
}

static void close_disk(void)
{
	driver_detach(&fixture.driver);
	close(fixture.fd);
	unlink(fixture.path);
}

static void put_header(unsigned slot, uint32_t type, uint64_t sector)
{
	uint8_t *header = fixture.driver.memory + HEADER + 16 * (uint64_t)slot;

	bk__store(header, 4, type);
	bk__store(header + 4, 4, 0);
	bk__store(header + 8, 8, sector);
	fixture.driver.memory[STATUS + slot] = 0xaa;
}

/* Three descriptors from 3 * slot on. */
static void prepare(unsigned slot, uint32_t type, uint64_t sector, uint64_t at, uint32_t length)
{
	struct driver *driver = &fixture.driver;
	const uint16_t first = (uint16_t)(3 * slot);

	put_header(slot, type, sector);
	driver_describe(driver, 0, first, HEADER + 16 * (uint64_t)slot, 16, DRIVER_NEXT, first + 1u);
	driver_describe(driver, 0, first + 1u, at, length,
			DRIVER_NEXT | (type == IN || type == GET_ID ? DRIVER_WRITE : 0), first + 2u);
	driver_describe(driver, 0, first + 2u, STATUS + slot, 1, DRIVER_WRITE, 0);
	driver_add(driver, 0, first);
}

static uint8_t finish(uint32_t *length)
{
	struct driver *driver = &fixture.driver;
	uint32_t head;

	driver_kick(driver, 0);
	driver_wait(driver, 0, &head, length);
	return driver->memory[STATUS + head / 3];
}

static uint8_t request(uint32_t type, uint64_t sector, uint32_t length)
{
	uint32_t written;

	prepare(0, type, sector, DATA, length);
	return finish(&written);
}

/* All that a disk does, in one way to get at it. */
static void use(struct how how, bool modern, uint64_t features)
{
	struct driver *driver = &fixture.driver;
	uint8_t sector[512];
	uint32_t written;

	open_disk(how);
	driver_start(driver, modern, features, true);
	assert_int_equal(driver_in(driver, modern ? 4 : 0, modern ? 0x2000 : 24, 8), SECTORS);
	prepare(0, IN, 5, DATA, 1024);
	assert_int_equal(finish(&written), 0);
	assert_int_equal(written, 1025);
	memset(sector, 6, sizeof(sector));
	assert_memory_equal(driver->memory + DATA, sector, 512);
	memset(sector, 7, sizeof(sector));
	assert_memory_equal(driver->memory + DATA + 512, sector, 512);
	assert_true(driver_interrupts(driver, 1));

	memset(driver->memory + DATA, 0x5a, 512);
	assert_int_equal(request(OUT, 9, 512), how.readonly ? 1 : 0);
	assert_int_equal(pread(fixture.fd, sector, 512, 9 * 512), 512);
	assert_int_equal(sector[0], how.readonly ? 10 : 0x5a);
	assert_int_equal(request(FLUSH, 0, 0), 0);

	prepare(0, GET_ID, 0, DATA, 20);
	assert_int_equal(finish(&written), 0);
	assert_int_equal(written, 21);
	assert_memory_equal(driver->memory + DATA, "abc\0\0", 5);

	/* Past the end, a part of a sector, and what there is not. */
	assert_int_equal(request(IN, SECTORS, 512), 1);
	assert_int_equal(request(IN, SECTORS - 1, 1024), 1);
	assert_int_equal(request(IN, UINT64_MAX, 512), 1);
	assert_int_equal(request(IN, 0, 100), 1);
	assert_int_equal(request(99, 0, 512), 2);
	assert_int_equal(request(IN, 0, 0), 0);
	close_disk();
}

static void a_disk_is_read_and_written(void **state)
{
	for (unsigned i = 0; i < 32; i++) {
		const struct how how = { .readonly = i & 1, .threaded = i & 2, .plain = i & 4, .far = i & 8 };

		use(how, i & 16, i & 1 ? BK__VIRTIO_F_EVENT_INDEX : 0);
	}
}

static void blocks_are_given_back_and_zeroed(void **state)
{
	struct driver *driver = &fixture.driver;
	uint8_t sectors[1024], zeros[1024] = { 0 };

	for (unsigned plain = 0; plain < 2; plain++) {
		open_disk((struct how){ .plain = plain });
		driver_start(driver, true, ~UINT64_C(0), true);
		for (uint32_t type = DISCARD; type <= ZEROES; type += 2) {
			bk__store(driver->memory + DATA, 8, 16 + type);
			bk__store(driver->memory + DATA + 8, 4, 2);
			bk__store(driver->memory + DATA + 12, 4, 0);
			assert_int_equal(request(type, 0, 16), 0);
			assert_int_equal(pread(fixture.fd, sectors, 1024, 512 * (16 + (off_t)type)), 1024);
			assert_memory_equal(sectors, zeros, 1024);
			bk__store(driver->memory + DATA + 8, 4, SECTORS);
			assert_int_equal(request(type, 0, 16), 1);
			bk__store(driver->memory + DATA + 12, 4, 8);
			assert_int_equal(request(type, 0, 16), 2);
			assert_int_equal(request(type, 0, 32), 2);
		}
		close_disk();
	}
	open_disk((struct how){ .readonly = true });
	driver_start(driver, true, ~UINT64_C(0), true);
	bk__store(driver->memory + DATA, 8, 0);
	bk__store(driver->memory + DATA + 8, 8, 1);
	assert_int_equal(request(ZEROES, 0, 16), 1);
	close_disk();
}

/* The holes of a large file are read as fast as a guest asks for them: what it can ask for at once has a
 * bound. */
static void a_request_is_bounded(void **state)
{
	open_disk((struct how){ .size = (off_t)4 << 30 });
	driver_start(&fixture.driver, true, 0, true);
	assert_int_equal(request(IN, 0, (1u << 30) + 512), 1);
	assert_int_equal(request(OUT, 0, (1u << 30) + 512), 1);
	assert_int_equal(request(IN, 0, 512), 0);
	close_disk();
}

static void a_disk_that_has_become_shorter_fails(void **state)
{
	for (unsigned plain = 0; plain < 2; plain++) {
		open_disk((struct how){ .plain = plain });
		driver_start(&fixture.driver, true, 0, true);
		assert_int_equal(ftruncate(fixture.fd, 512 * 10 + 100), 0);
		assert_int_equal(request(IN, 9, 512), 0);
		assert_int_equal(request(IN, 9, 1024), 1);
		assert_int_equal(request(IN, 100, 512), 1);
		close_disk();
	}
}

/* A header in pieces, and data in many: ANY_LAYOUT. */
static void buffers_may_lie_anyhow(void **state)
{
	struct driver *driver = &fixture.driver;
	uint32_t head, length;

	open_disk((struct how){ .plain = false });
	for (unsigned modern = 0; modern < 2; modern++) {
		driver_start(driver, modern, ~UINT64_C(0), true);
		put_header(0, IN, 3);
		driver_describe(driver, 0, 0, HEADER, 7, DRIVER_NEXT, 10);
		driver_describe(driver, 0, 10, HEADER + 7, 9, DRIVER_NEXT, 20);
		driver_describe(driver, 0, 20, DATA, 500, DRIVER_NEXT | DRIVER_WRITE, 30);
		driver_describe(driver, 0, 30, DATA + 0x2000, 13, DRIVER_NEXT | DRIVER_WRITE, 40);
		driver_describe(driver, 0, 40, 0, 0, DRIVER_WRITE, 0);
		driver_add(driver, 0, 0);
		driver_kick(driver, 0);
		driver_wait(driver, 0, &head, &length);
		assert_int_equal(head, 0);
		assert_int_equal(length, 513);
		assert_int_equal(driver->memory[DATA + 499], 4);
		assert_int_equal(driver->memory[DATA + 0x2000 + 11], 4);
		assert_int_equal(driver->memory[DATA + 0x2000 + 12], 0); /* the status */
		memset(driver->memory + DATA, 0xff, 0x3000);
	}
	close_disk();
}

/* A chain in an indirect table. */
static void prepare_indirect(uint64_t sector)
{
	struct driver *driver = &fixture.driver;

	put_header(0, IN, sector);
	driver_describe_at(driver, TABLE, 0, HEADER, 16, DRIVER_NEXT, 1);
	driver_describe_at(driver, TABLE, 1, DATA, 512, DRIVER_NEXT | DRIVER_WRITE, 2);
	driver_describe_at(driver, TABLE, 2, STATUS, 1, DRIVER_WRITE, 0);
	driver_describe(driver, 0, 7, TABLE, 48, DRIVER_INDIRECT, 0);
}

static void chains_may_be_indirect(void **state)
{
	struct driver *driver = &fixture.driver;
	uint32_t head, length;

	for (unsigned way = 0; way < 4; way++) {
		open_disk((struct how){ .far = way & 1 });
		driver_start(driver, way & 2, BK__VIRTIO_F_INDIRECT_DESC, true);
		prepare_indirect(8);
		driver_add(driver, 0, 7);
		driver_kick(driver, 0);
		driver_wait(driver, 0, &head, &length);
		assert_int_equal(head, 7);
		assert_int_equal(length, 513);
		assert_int_equal(driver->memory[DATA], 9);
		close_disk();
	}
}

static void interrupts_come_as_the_driver_wants(void **state)
{
	struct driver *driver = &fixture.driver;
	struct driver_queue *queue = &driver->queues[0];

	open_disk((struct how){ .plain = true });
	driver_start(driver, true, 0, true);
	request(FLUSH, 0, 0);
	assert_int_equal(driver_interrupts(driver, 1), 1);
	bk__store(driver->memory + queue->avail, 2, 1); /* no interrupt */
	request(FLUSH, 0, 0);
	assert_int_equal(driver_interrupts(driver, 1), 0);
	driver_out(driver, 4, 22, 2, 0);
	driver_out(driver, 4, 26, 2, BK__VIRTIO_NO_VECTOR);
	bk__store(driver->memory + queue->avail, 2, 0);
	request(FLUSH, 0, 0);
	assert_int_equal(driver_interrupts(driver, 1), 0);

	/* By index: of three requests, when the second is done. */
	driver_start(driver, true, BK__VIRTIO_F_EVENT_INDEX, true);
	bk__store(driver->memory + queue->avail + 4 + 2 * queue->size, 2, 1);
	request(FLUSH, 0, 0);
	assert_int_equal(driver_interrupts(driver, 1), 0);
	request(FLUSH, 0, 0);
	assert_int_equal(driver_interrupts(driver, 1), 1);
	request(FLUSH, 0, 0);
	assert_int_equal(driver_interrupts(driver, 1), 0);
	assert_int_equal(bk__load(driver->memory + queue->used + 4 + 8 * queue->size, 2), 3); /* kick at */
	close_disk();
}

static void intx_is_a_level(void **state)
{
	struct driver *driver = &fixture.driver;

	open_disk((struct how){ .plain = true });
	for (unsigned modern = 0; modern < 2; modern++) {
		const unsigned bar = modern ? 4 : 0, isr = modern ? 0x1000 : 19;

		driver_start(driver, modern, 0, false);
		request(FLUSH, 0, 0);
		assert_int_equal(driver_interrupts(driver, 0), 1);
		assert_int_equal(driver_in(driver, BK_DEVICE_CONFIG, 6, 2) & 8, 8);
		request(FLUSH, 0, 0);
		assert_int_equal(driver_interrupts(driver, 0), 0); /* it masks itself */
		bk_device_set_irqs(driver->device, BK_DEVICE_INTX, BK_DEVICE_IRQ_UNMASK, 0, 1, NULL);
		assert_int_equal(driver_interrupts(driver, 0), 1); /* still asserted */
		assert_int_equal(driver_in(driver, bar, isr, 1), 1);
		assert_int_equal(driver_in(driver, bar, isr, 1), 0);
		bk_device_set_irqs(driver->device, BK_DEVICE_INTX, BK_DEVICE_IRQ_UNMASK, 0, 1, NULL);
		assert_int_equal(driver_interrupts(driver, 0), 0);
		driver_command(driver, 0x407);
		request(FLUSH, 0, 0);
		assert_int_equal(driver_interrupts(driver, 0), 0); /* disabled */
		driver_command(driver, 7);
		assert_int_equal(driver_interrupts(driver, 0), 1);
	}
	close_disk();
}

/* ---- A hostile driver -------------------------------------------------- */

static void add_ring(uint16_t index)
{
	bk__store(fixture.driver.memory + fixture.driver.queues[0].avail + 2, 2, index);
}

/* What makes no sense in a queue, one by one. */
static bool spoil(unsigned way)
{
	struct driver *driver = &fixture.driver;

	prepare_indirect(0);
	prepare(0, IN, 0, DATA, 512);
	switch (way) {
	case 0: /* more chains than the queue has room for */
		add_ring((uint16_t)(driver->queues[0].size + 1));
		return true;
	case 1: /* a head that is none */
		bk__store(driver->memory + driver->queues[0].avail + 4, 2, driver->queues[0].size);
		return true;
	case 2: /* a loop */
		driver_describe(driver, 0, 1, DATA, 512, DRIVER_NEXT | DRIVER_WRITE, 1);
		return true;
	case 3: /* a next that is none */
		driver_describe(driver, 0, 1, DATA, 512, DRIVER_NEXT | DRIVER_WRITE, 0xffff);
		return true;
	case 4: /* to be read after one to be written */
		driver_describe(driver, 0, 2, STATUS, 1, 0, 0);
		return true;
	case 5: /* nothing to be written */
		driver_describe(driver, 0, 0, HEADER, 16, 0, 0);
		return true;
	case 6: /* memory that is not there */
		driver_describe(driver, 0, 1, DRIVER_MEMORY - 16, 512, DRIVER_NEXT | DRIVER_WRITE, 2);
		return true;
	case 7:
		driver_describe(driver, 0, 0, (uint64_t)-16 - DRIVER_BASE, 17, DRIVER_NEXT, 1);
		return true;
	case 8: /* a table in a table */
		driver_describe_at(driver, TABLE, 1, TABLE, 48, DRIVER_INDIRECT, 0);
		break;
	case 9: /* a table, and something behind it */
		driver_describe(driver, 0, 7, TABLE, 48, DRIVER_INDIRECT | DRIVER_NEXT, 1);
		break;
	case 10: /* lengths of a table */
		driver_describe(driver, 0, 7, TABLE, 0, DRIVER_INDIRECT, 0);
		break;
	case 11:
		driver_describe(driver, 0, 7, TABLE, 47, DRIVER_INDIRECT, 0);
		break;
	case 12: /* a table that is not there */
		driver_describe(driver, 0, 7, DRIVER_MEMORY, 0xfffffff0, DRIVER_INDIRECT, 0);
		break;
	case 13: /* a loop in a table */
		driver_describe_at(driver, TABLE, 1, DATA, 512, DRIVER_NEXT | DRIVER_WRITE, 1);
		break;
	case 14: /* past the end of a table */
		driver_describe_at(driver, TABLE, 1, DATA, 512, DRIVER_NEXT | DRIVER_WRITE, 3);
		break;
	default:
		return false;
	}
	bk__store(driver->memory + driver->queues[0].avail + 4, 2, 7);
	return true;
}

static void a_queue_that_makes_no_sense_is_broken(void **state)
{
	struct driver *driver = &fixture.driver;
	unsigned count = 0;

	open_disk((struct how){ .plain = true });
	for (unsigned far = 0; far < 2; far++) {
		for (unsigned way = 0;; way++, count++) {
			driver_start(driver, true, BK__VIRTIO_F_INDIRECT_DESC, true);
			if (!spoil(way))
				break;
			driver_kick(driver, 0);
			if (!(driver_status(driver) & BK__VIRTIO_NEEDS_RESET))
				fail_msg("way %u is taken", way);
			assert_int_equal(driver_interrupts(driver, 0), 1);
			driver_interrupts(driver, 1);
			driver_reset(driver);
		}
		driver_start(driver, true, 0, true);
		assert_int_equal(request(IN, 0, 512), 0); /* a reset heals it */
		close_disk();
		open_disk((struct how){ .plain = true, .far = true });
	}
	close_disk();
	assert_int_equal(count, 30);
}

/* Without the feature a table is none. */
static void indirect_is_negotiated(void **state)
{
	struct driver *driver = &fixture.driver;

	open_disk((struct how){ .plain = true });
	driver_start(driver, true, 0, true);
	prepare_indirect(0);
	driver_add(driver, 0, 7);
	driver_kick(driver, 0);
	assert_true(driver_status(driver) & BK__VIRTIO_NEEDS_RESET);
	close_disk();
}

static void rings_may_be_nowhere(void **state)
{
	struct driver *driver = &fixture.driver;

	open_disk((struct how){ .plain = true });
	driver_start(driver, false, 0, true);
	driver_out(driver, 0, 14, 2, 0);
	driver_out(driver, 0, 8, 4, 0xfffffff0);
	driver_kick(driver, 0);
	assert_true(driver_status(driver) & BK__VIRTIO_NEEDS_RESET);
	close_disk();
}

/* The same chain again and again, as often as a ring has places, while none is answered. */
static void a_chain_may_come_twice(void **state)
{
	struct driver *driver = &fixture.driver;
	uint32_t head, length;

	open_disk((struct how){ .threaded = false });
	driver_start(driver, true, 0, true);
	prepare(0, IN, 0, DATA, 512);
	for (unsigned i = 1; i < DRIVER_SIZE; i++)
		driver_add(driver, 0, 0);
	driver_kick(driver, 0);
	for (unsigned i = 0; i < DRIVER_SIZE; i++)
		driver_wait(driver, 0, &head, &length);
	assert_false(driver_status(driver) & BK__VIRTIO_NEEDS_RESET);
	close_disk();
}

/* ---- What goes on meanwhile -------------------------------------------- */

static void fill_queue(uint32_t length)
{
	for (unsigned i = 0; i < DRIVER_SIZE / 3; i++)
		prepare(i, IN, 8 * (uint64_t)i, DATA + 0x1000 * (uint64_t)i, length);
	driver_kick(&fixture.driver, 0);
}

/* What is written after the reset stays. */
static void a_reset_ends_what_is_in_flight(void **state)
{
	struct driver *driver = &fixture.driver;

	for (unsigned plain = 0; plain < 2; plain++) {
		open_disk((struct how){ .threaded = true, .plain = plain });
		for (unsigned i = 0; i < 100; i++) {
			driver_start(driver, i & 1, 0, true);
			fill_queue(4096);
			driver_reset(driver);
			memset(driver->memory, 0xee, DRIVER_MEMORY);
			for (unsigned at = 0; at < DRIVER_MEMORY; at++)
				assert_int_equal(driver->memory[at], 0xee);
		}
		close_disk();
	}
}

static void unmapped_memory_is_left_alone(void **state)
{
	struct driver *driver = &fixture.driver;
	struct bk_device_dma dma = { .iova = DRIVER_BASE,
				     .size = DRIVER_MEMORY,
				     .flags = BK_DEVICE_DMA_READ | BK_DEVICE_DMA_WRITE,
				     .fd = -1 };

	open_disk((struct how){ .threaded = true });
	dma.vaddr = driver->memory;
	for (unsigned i = 0; i < 100; i++) {
		driver_start(driver, true, 0, true);
		fill_queue(4096);
		assert_int_equal(bk_device_dma_unmap(driver->device, DRIVER_BASE, DRIVER_MEMORY), 0);
		memset(driver->memory, 0xee, DRIVER_MEMORY);
		driver_reset(driver);
		for (unsigned at = 0; at < DRIVER_MEMORY; at++)
			assert_int_equal(driver->memory[at], 0xee);
		assert_int_equal(bk_device_dma_map(driver->device, &dma, NULL), 0);
	}
	close_disk();
}

static void a_device_without_the_bus_waits(void **state)
{
	struct driver *driver = &fixture.driver;
	uint32_t head, length;

	for (unsigned threaded = 0; threaded < 2; threaded++) {
		open_disk((struct how){ .threaded = threaded });
		driver_start(driver, true, 0, true);
		driver_command(driver, 3);
		prepare(0, IN, 4, DATA, 512);
		driver_kick(driver, 0);
		assert_false(driver_used(driver, 0, &head, &length));
		assert_int_equal(driver->memory[DATA], 0);
		assert_false(driver_status(driver) & BK__VIRTIO_NEEDS_RESET);
		driver_command(driver, 7);
		driver_wait(driver, 0, &head, &length);
		assert_int_equal(driver->memory[DATA], 5);
		close_disk();
	}
}

static void ring_once(void *opaque, const struct bk_device_doorbell *doorbell)
{
	struct driver *driver = &fixture.driver;
	const uint64_t one = 1;
	unsigned *count = opaque;
	uint32_t head, length;

	*count += 1;
	driver_start(driver, doorbell->region == 4, 0, true);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(bk_device_ioeventfd(driver->device, doorbell->region, doorbell->offset,
						     doorbell->width, doorbell->value, driver->fds[3]),
				 i ? -EEXIST : 0);
		prepare(0, IN, 4, DATA, 512);
		assert_int_equal(write(driver->fds[3], &one, sizeof(one)), sizeof(one));
		driver_wait(driver, 0, &head, &length);
		assert_int_equal(length, 513);
	}
	assert_int_equal(bk_device_ioeventfd(driver->device, doorbell->region, doorbell->offset,
					     doorbell->width, doorbell->value, -1),
			 0);
	assert_int_equal(request(IN, 4, 512), 0); /* the register still does */
}

static void an_eventfd_may_kick(void **state)
{
	unsigned count = 0;

	open_disk((struct how){ .threaded = true });
	assert_int_equal(bk_device_doorbells(fixture.driver.device, ring_once, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(bk_device_ioeventfd(fixture.driver.device, 4, 20, 1, 0, fixture.driver.fds[3]),
			 -ENOTTY);
	close_disk();
}

/* ---- The file ---------------------------------------------------------- */

static void a_file_has_one_writer(void **state)
{
	struct bk__virtio_disk *first, *second;
	char path[] = "/tmp/barkeep-disk-XXXXXX";
	struct bk_error err;
	const int fd = mkstemp(path);

	assert_int_equal(bk__virtio_disk_open(path, false, &first, &err), -EINVAL); /* empty */
	assert_int_equal(ftruncate(fd, 1000), 0);
	assert_int_equal(bk__virtio_disk_open(path, false, &first, &err), 0);
	assert_int_equal(bk__virtio_disk_size(first), 512);
	assert_int_equal(bk__virtio_disk_open(path, false, &second, &err), -EBUSY);
	assert_non_null(strstr(err.text, "another process uses it"));
	assert_int_equal(bk__virtio_disk_open(path, true, &second, &err), -EBUSY);
	bk__virtio_disk_close(first);
	assert_int_equal(bk__virtio_disk_open(path, true, &first, &err), 0);
	assert_int_equal(bk__virtio_disk_open(path, true, &second, &err), 0);
	bk__virtio_disk_close(first);
	assert_int_equal(bk__virtio_disk_open(path, false, &first, &err), -EBUSY);
	bk__virtio_disk_close(second);
	close(fd);
	unlink(path);
	assert_int_equal(bk__virtio_disk_open(path, true, &first, &err), -ENOENT);
	assert_int_equal(bk__virtio_disk_open("/dev/null", true, &first, &err), -EINVAL);
	assert_int_equal(bk__virtio_disk_open("/", true, &first, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_disk_is_read_and_written),
		cmocka_unit_test(blocks_are_given_back_and_zeroed),
		cmocka_unit_test(a_request_is_bounded),
		cmocka_unit_test(a_disk_that_has_become_shorter_fails),
		cmocka_unit_test(buffers_may_lie_anyhow),
		cmocka_unit_test(chains_may_be_indirect),
		cmocka_unit_test(interrupts_come_as_the_driver_wants),
		cmocka_unit_test(intx_is_a_level),
		cmocka_unit_test(a_queue_that_makes_no_sense_is_broken),
		cmocka_unit_test(indirect_is_negotiated),
		cmocka_unit_test(rings_may_be_nowhere),
		cmocka_unit_test(a_chain_may_come_twice),
		cmocka_unit_test(a_reset_ends_what_is_in_flight),
		cmocka_unit_test(unmapped_memory_is_left_alone),
		cmocka_unit_test(a_device_without_the_bus_waits),
		cmocka_unit_test(an_eventfd_may_kick),
		cmocka_unit_test(a_file_has_one_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
