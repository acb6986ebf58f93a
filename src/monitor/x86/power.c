/* SPDX-License-Identifier: BSD-2-Clause */
/* ACPI's fixed power registers, PM1a (ACPI 6.4, 4.8.3.1 and .2): soft off and the power button. */
#include "monitor/x86/power.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

/* Bytes of the block. Of 2-byte registers the high byte comes second. */
enum { STATUS = 0, ENABLE = 2, CONTROL = 4, BYTES = 6 };

#define BUTTON  0x01 /* bit 8 of status and of enable, hence of their high bytes */
#define SCI_EN  0x01 /* of control's low byte: ACPI mode, always */
#define SLP_EN  0x20 /* of its high byte, and the next two */
#define SLP_TYP 0x1c
#define S5      (5 << 2)

struct bk__monitor_power {
	const struct bk__monitor_power_ops *ops;
	void *opaque;
	pthread_mutex_t lock; /* of what follows, and of the order in which levels are told */
	uint8_t bytes[BYTES];
	bool level; /* of the interrupt, as it was told last */
};

/* With the lock held. */
static void tell_level(struct bk__monitor_power *power)
{
	const bool level = power->bytes[STATUS + 1] & power->bytes[ENABLE + 1] & BUTTON;

	if (level != power->level)
		power->ops->sci(power->opaque, level);
	power->level = level;
}

static int power_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	struct bk__monitor_power *power = opaque;

	*value = 0;
	pthread_mutex_lock(&power->lock);
	for (unsigned i = 0; i < width; i++) {
		uint64_t byte = power->bytes[offset + i];

		if (offset + i == CONTROL)
			byte |= SCI_EN;
		*value |= byte << (8 * i);
	}
	pthread_mutex_unlock(&power->lock);
	return 0;
}

/* True: the guest switches itself off. */
static bool write_byte(struct bk__monitor_power *power, unsigned at, uint8_t byte)
{
	if (at < ENABLE) {
		power->bytes[at] &= (uint8_t)~byte; /* status is cleared by writing ones */
		return false;
	}
	power->bytes[at] = byte;
	if (at != CONTROL + 1 || !(byte & SLP_EN))
		return false;
	power->bytes[at] &= (uint8_t)~SLP_EN;
	return (byte & SLP_TYP) == S5;
}

static int power_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	struct bk__monitor_power *power = opaque;
	bool off = false;

	pthread_mutex_lock(&power->lock);
	for (unsigned i = 0; i < width; i++)
		off |= write_byte(power, (unsigned)offset + i, (uint8_t)(value >> (8 * i)));
	tell_level(power);
	pthread_mutex_unlock(&power->lock);
	if (off)
		power->ops->soft_off(power->opaque);
	return 0;
}

static const struct bk_region_ops power_ops = { .read = power_read, .write = power_write };

bool bk__monitor_power_button(struct bk__monitor_power *power)
{
	bool listens;

	pthread_mutex_lock(&power->lock);
	listens = power->bytes[ENABLE + 1] & BUTTON;
	if (listens) {
		power->bytes[STATUS + 1] |= BUTTON;
		tell_level(power);
	}
	pthread_mutex_unlock(&power->lock);
	return listens;
}

void bk__monitor_power_reset(struct bk__monitor_power *power)
{
	pthread_mutex_lock(&power->lock);
	for (unsigned i = 0; i < BYTES; i++)
		power->bytes[i] = 0;
	tell_level(power);
	pthread_mutex_unlock(&power->lock);
}

static int add_region(struct bk__monitor_power *power, struct bk_space *ports, uint64_t port)
{
	const struct bk_region_desc desc = {
		.name = "pm1",
		.first = port,
		.last = port + BYTES - 1,
		.rank = port,
		.kind = BK_REGION_HANDLED,
		.ops = &power_ops,
		.opaque = power,
	};

	return bk_region_add(ports, &desc, NULL, NULL);
}

int bk__monitor_power_create(struct bk_space *ports, uint64_t port, const struct bk__monitor_power_ops *ops,
			     void *opaque, struct bk__monitor_power **out)
{
	struct bk__monitor_power *power = calloc(1, sizeof(*power));
	int error;

	if (!power)
		return -ENOMEM;
	power->ops = ops;
	power->opaque = opaque;
	pthread_mutex_init(&power->lock, NULL);
	error = add_region(power, ports, port);
	if (error) {
		bk__monitor_power_destroy(power);
		return error;
	}
	*out = power;
	return 0;
}

void bk__monitor_power_destroy(struct bk__monitor_power *power)
{
	if (!power)
		return;
	pthread_mutex_destroy(&power->lock);
	free(power);
}
