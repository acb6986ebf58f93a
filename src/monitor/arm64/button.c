/* SPDX-License-Identifier: BSD-2-Clause */
/* The power button on a PL061 GPIO controller (Arm DDI 0190). */
#include "monitor/arm64/button.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "monitor/arm64/primecell.h"

#define PART 0x00041061

/* Data is read and written through a mask, which bits 2 to 9 of the address are. */
enum {
	DATA_END = 0x400,
	DIR = 0x400,
	IS = 0x404,  /* level-sensitive */
	IBE = 0x408, /* both edges, else ... */
	IEV = 0x40c, /* ... the rising one */
	IE = 0x410,
	RIS = 0x414,
	MIS = 0x418,
	IC = 0x41c,
	AFSEL = 0x420,
};

#define LINE (1u << BK__BUTTON_LINE)

struct bk__monitor_button {
	struct bk_region *region;
	void (*irq)(void *opaque, bool level);
	void *opaque;
	pthread_mutex_t lock; /* of what follows, and of the order in which levels are told */
	uint8_t data, dir, sense, both, event, enable, raised, select;
	bool pressed;
	bool level; /* of the interrupt, as it was told last */
};

/* With the lock held. */
static void tell_level(struct bk__monitor_button *button)
{
	const bool level = button->raised & button->enable;

	if (level != button->level)
		button->irq(button->opaque, level);
	button->level = level;
}

/* What the lines are: outputs as written, and of inputs there is one. */
static uint8_t lines(const struct bk__monitor_button *button)
{
	return (uint8_t)((button->data & button->dir) | (button->pressed ? LINE & ~button->dir : 0));
}

static void edge(struct bk__monitor_button *button, bool pressed)
{
	button->pressed = pressed;
	if (!(button->dir & LINE) && !(button->sense & LINE) &&
	    (button->both & LINE || !(button->event & LINE) == !pressed))
		button->raised |= LINE;
}

static uint8_t *plain(struct bk__monitor_button *button, uint64_t offset)
{
	switch (offset) {
	case DIR:
		return &button->dir;
	case IS:
		return &button->sense;
	case IBE:
		return &button->both;
	case IEV:
		return &button->event;
	case IE:
		return &button->enable;
	case AFSEL:
		return &button->select;
	default:
		return NULL;
	}
}

static int button_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	struct bk__monitor_button *button = opaque;
	const uint8_t *at;

	offset &= ~UINT64_C(3);
	pthread_mutex_lock(&button->lock);
	at = plain(button, offset);
	if (offset < DATA_END) {
		*value = lines(button) & offset >> 2;
		if (*value & LINE & ~button->dir) /* the guest has seen it: now it is released */
			edge(button, false);
		tell_level(button);
	} else if (at) {
		*value = *at;
	} else if (offset == RIS) {
		*value = button->raised;
	} else if (offset == MIS) {
		*value = button->raised & button->enable;
	} else {
		*value = offset >= BK__PRIMECELL_ID ? bk__monitor_primecell_id(PART, offset) : 0;
	}
	pthread_mutex_unlock(&button->lock);
	return 0;
}

static int button_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	struct bk__monitor_button *button = opaque;
	const uint8_t byte = (uint8_t)value, mask = (uint8_t)(offset >> 2);
	uint8_t *at;

	if (offset % 4)
		return 0;
	pthread_mutex_lock(&button->lock);
	at = plain(button, offset);
	if (offset < DATA_END)
		button->data = (uint8_t)((button->data & ~mask) | (byte & mask));
	else if (at)
		*at = byte;
	else if (offset == IC)
		button->raised &= (uint8_t)~byte;
	tell_level(button);
	pthread_mutex_unlock(&button->lock);
	return 0;
}

static const struct bk_region_ops region_ops = {
	.read = button_read,
	.write = button_write,
	.widths = BK_WIDTH_1 | BK_WIDTH_2 | BK_WIDTH_4,
};

bool bk__monitor_button_press(struct bk__monitor_button *button)
{
	bool listens;

	pthread_mutex_lock(&button->lock);
	listens = button->enable & LINE;
	if (listens && !button->pressed)
		edge(button, true);
	tell_level(button);
	pthread_mutex_unlock(&button->lock);
	return listens;
}

void bk__monitor_button_reset(struct bk__monitor_button *button)
{
	pthread_mutex_lock(&button->lock);
	button->data = button->dir = button->sense = button->both = button->event = button->enable =
		button->raised = button->select = 0;
	button->pressed = false;
	tell_level(button);
	pthread_mutex_unlock(&button->lock);
}

int bk__monitor_button_create(struct bk_space *memory, uint64_t first, void (*irq)(void *opaque, bool level),
			      void *opaque, struct bk__monitor_button **out)
{
	struct bk__monitor_button *button = calloc(1, sizeof(*button));
	const struct bk_region_desc desc = { .name = "power button",
					     .first = first,
					     .last = first + BK__PRIMECELL_SIZE - 1,
					     .rank = first,
					     .ops = &region_ops,
					     .opaque = button };
	int error;

	if (!button)
		return -ENOMEM;
	button->irq = irq;
	button->opaque = opaque;
	pthread_mutex_init(&button->lock, NULL);
	error = bk_region_add(memory, &desc, &button->region, NULL);
	if (error) {
		pthread_mutex_destroy(&button->lock);
		free(button);
		return error;
	}
	*out = button;
	return 0;
}

void bk__monitor_button_destroy(struct bk__monitor_button *button)
{
	if (!button)
		return;
	bk_region_retire(button->region);
	pthread_mutex_destroy(&button->lock);
	free(button);
}
