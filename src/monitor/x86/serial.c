/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A 16550A as National's data sheet (PC16550D) has it, wired as in a PC: OUT2
 * gates the interrupt, and whoever is on the line has DCD, DSR and CTS on.
 *
 * The line has no speed. A byte written is sent before the write ends, so the
 * transmitter is always empty; a receive FIFO below its trigger level has
 * always waited long enough for the timeout interrupt.
 */
#include "monitor/x86/serial.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define PORTS 8
#define FIFO  16

/* Registers; the first two are the divisor's halves while LCR.DLAB is set. */
enum { RBR_THR, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCR };

#define IER_RDA  0x01
#define IER_THRE 0x02
#define IER_RLS  0x04
#define IER_MSR  0x08
#define IER_ALL  0x0f

#define IIR_NONE    0x01
#define IIR_MSR     0x00
#define IIR_THRE    0x02
#define IIR_RDA     0x04
#define IIR_RLS     0x06
#define IIR_TIMEOUT 0x0c
#define IIR_FIFOS   0xc0

#define FCR_ENABLE   0x01
#define FCR_CLEAR_RX 0x02

#define LCR_DLAB 0x80

#define MCR_DTR  0x01
#define MCR_RTS  0x02
#define MCR_OUT1 0x04
#define MCR_OUT2 0x08
#define MCR_LOOP 0x10
#define MCR_ALL  0x1f

#define LSR_DR   0x01
#define LSR_OE   0x02
#define LSR_THRE 0x20
#define LSR_TEMT 0x40

#define MSR_DELTA 0x0f
#define MSR_TERI  0x04 /* RI went off; the other deltas tell both edges */
#define MSR_CTS   0x10
#define MSR_DSR   0x20
#define MSR_RI    0x40
#define MSR_DCD   0x80
#define MSR_LINE  (MSR_CTS | MSR_DSR | MSR_DCD)

#define DIVISOR 12 /* 9600 baud, until the guest says otherwise */

struct bk__monitor_serial {
	const struct bk__monitor_serial_ops *ops;
	void *opaque;
	struct bk_region *region;

	pthread_mutex_t lock; /* of all that follows */
	uint8_t ier, fcr, lcr, mcr, msr, scr;
	uint16_t divisor;
	bool overrun;
	bool sent; /* the THRE interrupt's condition: emptied, and not yet read from IIR */
	uint8_t received[FIFO];
	unsigned first, count; /* of `received` */
	bool full;             /* there was no room when the lock was last given up */

	bool level;       /* of the interrupt, as the registers have it */
	bool told;        /* as the last call of ops->irq had it */
	unsigned changes; /* calls that are still to be made, each the opposite of the one before */
	bool telling;     /* a thread is making them */
};

/* ---- State, under the lock --------------------------------------------- */

static unsigned capacity(const struct bk__monitor_serial *serial)
{
	return serial->fcr & FCR_ENABLE ? FIFO : 1;
}

static unsigned trigger(const struct bk__monitor_serial *serial)
{
	static const uint8_t levels[] = { 1, 4, 8, 14 };

	return serial->fcr & FCR_ENABLE ? levels[serial->fcr >> 6] : 1;
}

/* In loopback the receiver is off the line. */
static unsigned room(const struct bk__monitor_serial *serial)
{
	return serial->mcr & MCR_LOOP ? 0 : capacity(serial) - serial->count;
}

static void receive(struct bk__monitor_serial *serial, uint8_t byte)
{
	if (serial->count == capacity(serial)) {
		serial->overrun = true;
		return;
	}
	serial->received[(serial->first + serial->count++) % FIFO] = byte;
}

static uint8_t take(struct bk__monitor_serial *serial)
{
	uint8_t byte = serial->received[serial->first];

	if (!serial->count)
		return 0;
	serial->first = (serial->first + 1) % FIFO;
	serial->count--;
	return byte;
}

/* The highest of the pending interrupts, as IIR names it. */
static uint8_t pending(const struct bk__monitor_serial *serial)
{
	if (serial->ier & IER_RLS && serial->overrun)
		return IIR_RLS;
	if (serial->ier & IER_RDA && serial->count)
		return serial->count >= trigger(serial) ? IIR_RDA : IIR_TIMEOUT;
	if (serial->ier & IER_THRE && serial->sent)
		return IIR_THRE;
	if (serial->ier & IER_MSR && serial->msr & MSR_DELTA)
		return IIR_MSR;
	return IIR_NONE;
}

/* The modem's lines; in loopback they are MCR's outputs. */
static uint8_t modem_lines(const struct bk__monitor_serial *serial)
{
	if (!(serial->mcr & MCR_LOOP))
		return MSR_LINE;
	return (serial->mcr & MCR_RTS ? MSR_CTS : 0) | (serial->mcr & MCR_DTR ? MSR_DSR : 0) |
	       (serial->mcr & MCR_OUT1 ? MSR_RI : 0) | (serial->mcr & MCR_OUT2 ? MSR_DCD : 0);
}

static void update_modem(struct bk__monitor_serial *serial)
{
	uint8_t lines = modem_lines(serial), changed = (serial->msr ^ lines) & 0xf0;

	if (lines & MSR_RI)
		changed &= ~MSR_RI;
	serial->msr = lines | (serial->msr & MSR_DELTA) | changed >> 4;
}

static void initialise(struct bk__monitor_serial *serial)
{
	serial->ier = serial->fcr = serial->lcr = serial->mcr = serial->scr = 0;
	serial->msr = MSR_LINE;
	serial->divisor = DIVISOR;
	serial->overrun = serial->sent = false;
	serial->count = 0;
}

/*
 * Ends what began with the lock taken: gives it up, and tells what changed.
 *
 * One thread at a time calls ops->irq, for the others too, so that the calls
 * come in order. None but whole pulses are left out: on an edge-triggered pin
 * each edge counts, and two that nobody could have told apart count as one.
 */
static void finish(struct bk__monitor_serial *serial)
{
	bool level = pending(serial) != IIR_NONE && (serial->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;
	bool was_full = serial->full, full = room(serial) == 0;

	serial->full = full;
	if (level != serial->level) {
		serial->level = level;
		serial->changes += serial->changes == 3 ? -1u : 1;
	}
	if (!serial->telling) {
		serial->telling = true;
		while (serial->changes) {
			bool told = serial->told = !serial->told;

			serial->changes--;
			pthread_mutex_unlock(&serial->lock);
			serial->ops->irq(serial->opaque, told);
			pthread_mutex_lock(&serial->lock);
		}
		serial->telling = false;
	}
	pthread_mutex_unlock(&serial->lock);
	if (was_full && !full && serial->ops->room)
		serial->ops->room(serial->opaque);
}

/* ---- Registers --------------------------------------------------------- */

static uint8_t read_iir(struct bk__monitor_serial *serial)
{
	uint8_t id = pending(serial);

	if (id == IIR_THRE)
		serial->sent = false;
	return id | (serial->fcr & FCR_ENABLE ? IIR_FIFOS : 0);
}

static uint8_t read_lsr(struct bk__monitor_serial *serial)
{
	uint8_t value = LSR_THRE | LSR_TEMT | (serial->count ? LSR_DR : 0) | (serial->overrun ? LSR_OE : 0);

	serial->overrun = false;
	return value;
}

static uint8_t read_msr(struct bk__monitor_serial *serial)
{
	uint8_t value = serial->msr;

	serial->msr &= ~MSR_DELTA;
	return value;
}

static int serial_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	struct bk__monitor_serial *serial = opaque;
	bool dlab;

	pthread_mutex_lock(&serial->lock);
	dlab = serial->lcr & LCR_DLAB;
	switch (offset) {
	case RBR_THR:
		*value = dlab ? serial->divisor & 0xff : take(serial);
		break;
	case IER:
		*value = dlab ? serial->divisor >> 8 : serial->ier;
		break;
	case IIR_FCR:
		*value = read_iir(serial);
		break;
	case LCR:
		*value = serial->lcr;
		break;
	case MCR:
		*value = serial->mcr;
		break;
	case LSR:
		*value = read_lsr(serial);
		break;
	case MSR:
		*value = read_msr(serial);
		break;
	default:
		*value = serial->scr;
	}
	finish(serial);
	return 0;
}

/* The byte leaves without the lock: whoever takes it may have to wait. */
static void transmit(struct bk__monitor_serial *serial, uint8_t byte)
{
	serial->sent = false;
	if (serial->mcr & MCR_LOOP) {
		receive(serial, byte);
	} else {
		finish(serial);
		serial->ops->output(serial->opaque, byte);
		pthread_mutex_lock(&serial->lock);
	}
	serial->sent = true;
}

static void write_ier(struct bk__monitor_serial *serial, uint8_t value)
{
	/* The transmitter is empty: asking for its interrupt gives it at once, every time. */
	if (value & ~serial->ier & IER_THRE)
		serial->sent = true;
	serial->ier = value & IER_ALL;
}

static void write_fcr(struct bk__monitor_serial *serial, uint8_t value)
{
	if (!(value & FCR_ENABLE))
		value = 0;
	if (value & FCR_CLEAR_RX || (value ^ serial->fcr) & FCR_ENABLE)
		serial->count = 0;
	serial->fcr = value & (FCR_ENABLE | 0xc0);
}

static int serial_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	struct bk__monitor_serial *serial = opaque;
	uint8_t byte = (uint8_t)value;
	bool dlab;

	pthread_mutex_lock(&serial->lock);
	dlab = serial->lcr & LCR_DLAB;
	switch (offset) {
	case RBR_THR:
		if (dlab)
			serial->divisor = (serial->divisor & 0xff00) | byte;
		else
			transmit(serial, byte);
		break;
	case IER:
		if (dlab)
			serial->divisor = (uint16_t)((serial->divisor & 0xff) | byte << 8);
		else
			write_ier(serial, byte);
		break;
	case IIR_FCR:
		write_fcr(serial, byte);
		break;
	case LCR:
		serial->lcr = byte;
		break;
	case MCR:
		serial->mcr = byte & MCR_ALL;
		update_modem(serial);
		break;
	case SCR:
		serial->scr = byte;
		break;
	default: /* LSR and MSR are read-only, except for factory tests */
		break;
	}
	finish(serial);
	return 0;
}

static const struct bk_region_ops region_ops = {
	.read = serial_read,
	.write = serial_write,
	.widths = BK_WIDTH_1,
};

/* ---- Calls ------------------------------------------------------------- */

size_t bk__monitor_serial_room(struct bk__monitor_serial *serial)
{
	size_t count;

	pthread_mutex_lock(&serial->lock);
	count = room(serial);
	pthread_mutex_unlock(&serial->lock);
	return count;
}

size_t bk__monitor_serial_input(struct bk__monitor_serial *serial, const uint8_t *bytes, size_t count)
{
	size_t taken = 0;

	pthread_mutex_lock(&serial->lock);
	while (taken < count && room(serial))
		receive(serial, bytes[taken++]);
	finish(serial);
	return taken;
}

void bk__monitor_serial_reset(struct bk__monitor_serial *serial)
{
	pthread_mutex_lock(&serial->lock);
	initialise(serial);
	finish(serial);
}

int bk__monitor_serial_create(struct bk_space *ports, uint64_t first,
			      const struct bk__monitor_serial_ops *ops, void *opaque,
			      struct bk__monitor_serial **serial)
{
	struct bk__monitor_serial *new = calloc(1, sizeof(*new));
	struct bk_region_desc desc = { .name = "serial",
				       .first = first,
				       .last = first + PORTS - 1,
				       .rank = first,
				       .ops = &region_ops,
				       .opaque = new };
	int rc;

	if (!new)
		return -ENOMEM;
	new->ops = ops;
	new->opaque = opaque;
	pthread_mutex_init(&new->lock, NULL);
	initialise(new);
	rc = bk_region_add(ports, &desc, &new->region, NULL);
	if (rc) {
		pthread_mutex_destroy(&new->lock);
		free(new);
		return rc;
	}
	*serial = new;
	return 0;
}

void bk__monitor_serial_destroy(struct bk__monitor_serial *serial)
{
	if (!serial)
		return;
	bk_region_retire(serial->region);
	pthread_mutex_destroy(&serial->lock);
	free(serial);
}
