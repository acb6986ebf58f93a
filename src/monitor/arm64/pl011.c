/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PL011 UART as Arm's manual (DDI 0183) has it.
 *
 * The line has no speed. A byte written is sent before the write ends, so the transmitter is always empty; a
 * receive FIFO below its trigger level has always waited long enough for the timeout interrupt.
 */
#include "monitor/arm64/pl011.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "monitor/arm64/primecell.h"

#define FIFO 16
#define PART 0x00141011 /* r1p4 */

enum {
	DR = 0x00,
	RSR = 0x04,
	FR = 0x18,
	ILPR = 0x20,
	IBRD = 0x24,
	FBRD = 0x28,
	LCR_H = 0x2c,
	CR = 0x30,
	IFLS = 0x34,
	IMSC = 0x38,
	RIS = 0x3c,
	MIS = 0x40,
	ICR = 0x44,
	DMACR = 0x48,
};

#define FR_CTS  0x001
#define FR_DSR  0x002
#define FR_DCD  0x004
#define FR_RXFE 0x010
#define FR_RXFF 0x040
#define FR_TXFE 0x080

#define LCR_FIFOS 0x10

#define CR_LOOP  0x080
#define CR_RESET 0x300 /* transmitter and receiver are on */

#define INT_RX      0x010
#define INT_TX      0x020
#define INT_TIMEOUT 0x040
#define INT_OVERRUN 0x400
#define INT_ALL     0x7ff

#define RSR_OVERRUN 0x8

struct bk__monitor_pl011 {
	const struct bk__monitor_pl011_ops *ops;
	void *opaque;
	struct bk_region *region;

	pthread_mutex_t lock; /* of all that follows, and of the order in which levels are told */
	uint32_t ilpr, ibrd, fbrd, lcr, cr, ifls, imsc, dmacr, rsr;
	uint32_t raised; /* of RIS: what stays until it is cleared */
	uint8_t received[FIFO];
	unsigned first, count; /* of `received` */
	bool full;             /* there was no room when the lock was last given up */
	bool level;            /* of the interrupt, as it was told last */
};

/* ---- State, under the lock --------------------------------------------- */

static unsigned capacity(const struct bk__monitor_pl011 *uart)
{
	return uart->lcr & LCR_FIFOS ? FIFO : 1;
}

static unsigned trigger(const struct bk__monitor_pl011 *uart)
{
	static const uint8_t levels[8] = { 2, 4, 8, 12, 14, 14, 14, 14 };

	return uart->lcr & LCR_FIFOS ? levels[uart->ifls >> 3 & 7] : 1;
}

/* In loopback the receiver is off the line. */
static unsigned room(const struct bk__monitor_pl011 *uart)
{
	return uart->cr & CR_LOOP ? 0 : capacity(uart) - uart->count;
}

static void receive(struct bk__monitor_pl011 *uart, uint8_t byte)
{
	if (uart->count == capacity(uart)) {
		uart->rsr |= RSR_OVERRUN;
		uart->raised |= INT_OVERRUN;
		return;
	}
	uart->received[(uart->first + uart->count++) % FIFO] = byte;
	/* A guest may clear the timeout and go on reading: it comes with the next byte again. */
	uart->raised |= uart->count >= trigger(uart) ? INT_RX : INT_TIMEOUT;
}

static uint32_t take(struct bk__monitor_pl011 *uart)
{
	const uint8_t byte = uart->received[uart->first];

	if (!uart->count)
		return 0;
	uart->first = (uart->first + 1) % FIFO;
	uart->count--;
	if (uart->count < trigger(uart))
		uart->raised &= ~(uint32_t)INT_RX;
	if (!uart->count)
		uart->raised &= ~(uint32_t)INT_TIMEOUT;
	else if (!(uart->raised & INT_RX))
		uart->raised |= INT_TIMEOUT;
	return byte;
}

static void initialise(struct bk__monitor_pl011 *uart)
{
	uart->ilpr = uart->ibrd = uart->fbrd = uart->lcr = uart->imsc = uart->dmacr = uart->rsr = 0;
	uart->cr = CR_RESET;
	uart->ifls = 0x12;
	uart->raised = 0;
	uart->count = 0;
}

/* Ends what began with taking the lock: reports what changed, and releases it. */
static void finish(struct bk__monitor_pl011 *uart)
{
	const bool level = uart->raised & uart->imsc;
	const bool full = !room(uart), emptied = uart->full && !full;

	uart->full = full;
	if (level != uart->level)
		uart->ops->irq(uart->opaque, level);
	uart->level = level;
	pthread_mutex_unlock(&uart->lock);
	if (emptied)
		uart->ops->room(uart->opaque);
}

/* ---- Registers --------------------------------------------------------- */

static uint32_t flags(const struct bk__monitor_pl011 *uart)
{
	return FR_CTS | FR_DSR | FR_DCD | FR_TXFE | (uart->count ? 0 : FR_RXFE) |
	       (uart->count == capacity(uart) ? FR_RXFF : 0);
}

static uint32_t read_register(struct bk__monitor_pl011 *uart, uint64_t offset)
{
	switch (offset) {
	case DR:
		return take(uart);
	case RSR:
		return uart->rsr;
	case FR:
		return flags(uart);
	case ILPR:
		return uart->ilpr;
	case IBRD:
		return uart->ibrd;
	case FBRD:
		return uart->fbrd;
	case LCR_H:
		return uart->lcr;
	case CR:
		return uart->cr;
	case IFLS:
		return uart->ifls;
	case IMSC:
		return uart->imsc;
	case RIS:
		return uart->raised;
	case MIS:
		return uart->raised & uart->imsc;
	case DMACR:
		return uart->dmacr;
	default:
		return offset >= BK__PRIMECELL_ID ? bk__monitor_primecell_id(PART, offset) : 0;
	}
}

/* The lock is given up while the byte leaves: whoever takes it may have to wait. */
static void transmit(struct bk__monitor_pl011 *uart, uint8_t byte)
{
	uart->raised &= ~(uint32_t)INT_TX;
	if (uart->cr & CR_LOOP) {
		receive(uart, byte);
	} else {
		finish(uart);
		uart->ops->output(uart->opaque, byte);
		pthread_mutex_lock(&uart->lock);
	}
	uart->raised |= INT_TX;
}

static void write_register(struct bk__monitor_pl011 *uart, uint64_t offset, uint32_t value)
{
	switch (offset) {
	case DR:
		transmit(uart, (uint8_t)value);
		break;
	case RSR:
		uart->rsr = 0;
		break;
	case ILPR:
		uart->ilpr = value & 0xff;
		break;
	case IBRD:
		uart->ibrd = value & 0xffff;
		break;
	case FBRD:
		uart->fbrd = value & 0x3f;
		break;
	case LCR_H:
		if ((value ^ uart->lcr) & LCR_FIFOS) { /* which empties them */
			uart->count = 0;
			uart->raised &= ~(uint32_t)(INT_RX | INT_TIMEOUT);
		}
		uart->lcr = value & 0xff;
		break;
	case CR:
		uart->cr = value & 0xff87;
		break;
	case IFLS:
		uart->ifls = value & 0x3f;
		break;
	case IMSC:
		uart->imsc = value & INT_ALL;
		break;
	case ICR:
		uart->raised &= ~value;
		break;
	case DMACR:
		uart->dmacr = value & 7;
		break;
	default:
		break;
	}
}

/* Registers have 32 bits at most: a narrower access is to the low bits, which is where all of DR's data is.
 */
static int pl011_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	struct bk__monitor_pl011 *uart = opaque;

	pthread_mutex_lock(&uart->lock);
	*value = offset % 4 ? 0 : read_register(uart, offset);
	finish(uart);
	return 0;
}

static int pl011_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	struct bk__monitor_pl011 *uart = opaque;

	pthread_mutex_lock(&uart->lock);
	if (offset % 4 == 0)
		write_register(uart, offset, (uint32_t)value);
	finish(uart);
	return 0;
}

static const struct bk_region_ops region_ops = {
	.read = pl011_read,
	.write = pl011_write,
	.widths = BK_WIDTH_1 | BK_WIDTH_2 | BK_WIDTH_4,
};

/* ---- Calls ------------------------------------------------------------- */

size_t bk__monitor_pl011_room(struct bk__monitor_pl011 *uart)
{
	size_t count;

	pthread_mutex_lock(&uart->lock);
	count = room(uart);
	pthread_mutex_unlock(&uart->lock);
	return count;
}

size_t bk__monitor_pl011_input(struct bk__monitor_pl011 *uart, const uint8_t *bytes, size_t count)
{
	size_t taken = 0;

	pthread_mutex_lock(&uart->lock);
	while (taken < count && room(uart))
		receive(uart, bytes[taken++]);
	finish(uart);
	return taken;
}

void bk__monitor_pl011_reset(struct bk__monitor_pl011 *uart)
{
	pthread_mutex_lock(&uart->lock);
	initialise(uart);
	finish(uart);
}

int bk__monitor_pl011_create(struct bk_space *memory, uint64_t first, const struct bk__monitor_pl011_ops *ops,
			     void *opaque, struct bk__monitor_pl011 **out)
{
	struct bk__monitor_pl011 *uart = calloc(1, sizeof(*uart));
	const struct bk_region_desc desc = { .name = "serial",
					     .first = first,
					     .last = first + BK__PRIMECELL_SIZE - 1,
					     .rank = first,
					     .ops = &region_ops,
					     .opaque = uart };
	int error;

	if (!uart)
		return -ENOMEM;
	uart->ops = ops;
	uart->opaque = opaque;
	pthread_mutex_init(&uart->lock, NULL);
	initialise(uart);
	error = bk_region_add(memory, &desc, &uart->region, NULL);
	if (error) {
		pthread_mutex_destroy(&uart->lock);
		free(uart);
		return error;
	}
	*out = uart;
	return 0;
}

void bk__monitor_pl011_destroy(struct bk__monitor_pl011 *uart)
{
	if (!uart)
		return;
	bk_region_retire(uart->region);
	pthread_mutex_destroy(&uart->lock);
	free(uart);
}
