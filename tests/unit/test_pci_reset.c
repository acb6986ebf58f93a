/* SPDX-License-Identifier: BSD-2-Clause */
/* Resets: what goes on beside a slow one, what registers keep, and what power states and removal stop. */
#include "pci_world.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "pci_adds.h"

#define PORT   BK_PCI_DEVFN(1, 0)
#define OTHER  BK_PCI_DEVFN(2, 0)
#define SECOND UINT64_C(0x01) /* bus number below the port */

enum { PM = 0x40, MSI = 0x50, EXPRESS = 0x70, FLR = EXPRESS + 9, NEVER = -12345 };

static const uint8_t root_port[60] = { [2] = 0x42, [0x1e] = 1 };
static const uint8_t endpoint[60] = { [2] = 0x02, [7] = 0x10, [8] = 0x10, [9] = 0x28 };

/* A card whose reset ends when it is told to. */
struct card {
	struct bk_pci_function *function;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool slow, running;
	unsigned resets;
	int result;

	_Atomic unsigned commands, modes, vectors, live;
	uint16_t command;
	enum bk_pci_irq_mode mode;
};

static int on_reset(void *opaque)
{
	struct card *card = opaque;
	int result;

	pthread_mutex_lock(&card->lock);
	card->resets++;
	card->running = true;
	pthread_cond_broadcast(&card->changed);
	while (card->slow)
		pthread_cond_wait(&card->changed, &card->lock);
	card->running = false;
	result = card->result;
	pthread_mutex_unlock(&card->lock);
	return result;
}

static void on_command(void *opaque, uint16_t command)
{
	struct card *card = opaque;

	card->command = command;
	atomic_fetch_add(&card->commands, 1);
}

static void on_mode(void *opaque, enum bk_pci_irq_mode mode, unsigned vectors)
{
	struct card *card = opaque;

	card->mode = mode;
	atomic_fetch_add(&card->modes, 1);
	atomic_store(&card->live, 0);
}

static void on_vector(void *opaque, unsigned vector, const struct bk_pci_message *message)
{
	struct card *card = opaque;

	atomic_fetch_add(&card->vectors, 1);
	atomic_store(&card->live, message != NULL);
}

static const struct bk_pci_irq_ops irq_ops = { .mode = on_mode, .vector = on_vector };

static void card_create(struct world *world, struct card *card, const char *name)
{
	const struct bk_pci_function_desc desc = {
		.name = name,
		.vendor = 0x1b36,
		.device = 0x10,
		.extended = true,
		.pin = 1,
		.command = on_command,
		.reset = on_reset,
		.opaque = card,
	};

	*card = (struct card){ .result = 0 };
	pthread_mutex_init(&card->lock, NULL);
	pthread_cond_init(&card->changed, NULL);
	assert_int_equal(bk_pci_function_create(world->domain, &desc, &card->function, NULL), 0);
	assert_int_equal(bk_pci_pm_add(card->function, PM, 0x8000, false), PM);
	assert_int_equal(bk_pci_msi_add(card->function, MSI, 1, true, false), MSI);
	assert_int_equal(bk_pci_express_add(card->function, EXPRESS, endpoint, 60), EXPRESS);
	bk_pci_function_set_irq_ops(card->function, &irq_ops, card);
}

static void card_slow(struct card *card, bool slow)
{
	pthread_mutex_lock(&card->lock);
	card->slow = slow;
	pthread_cond_broadcast(&card->changed);
	pthread_mutex_unlock(&card->lock);
}

static void card_wait(struct card *card)
{
	pthread_mutex_lock(&card->lock);
	while (!card->running)
		pthread_cond_wait(&card->changed, &card->lock);
	pthread_mutex_unlock(&card->lock);
}

static void card_destroy(struct card *card)
{
	bk_pci_function_detach(card->function);
	assert_int_equal(bk_pci_function_destroy(card->function), 0);
	pthread_cond_destroy(&card->changed);
	pthread_mutex_destroy(&card->lock);
}

/* A root port with two cards, of one slot, and a function beside it. */
struct stage {
	struct world *world;
	struct part port, other;
	struct card cards[2];
};

static int setup(void **state)
{
	static struct stage stage;

	stage = (struct stage){ .world = world_create(NULL) };
	part_create_in(stage.world, &stage.port, 1, (struct bk_pci_function_desc){ .extended = true }, true);
	assert_int_equal(bk_pci_express_add(stage.port.function, EXPRESS, root_port, 60), EXPRESS);
	part_attach(stage.world, &stage.port, PORT);
	part_create(stage.world, &stage.other, 2, (struct bk_pci_function_desc){ .bars = { IO_BAR(16) } });
	part_attach(stage.world, &stage.other, OTHER);
	for (unsigned i = 0; i < 2; i++) {
		card_create(stage.world, &stage.cards[i], i ? "second" : "first");
		assert_int_equal(bk_pci_function_attach(stage.cards[i].function,
							bk_pci_bridge_bus(stage.port.function), (uint8_t)i),
				 0);
	}
	config_write(stage.world, PORT, 0x18, 4, SECOND << 8 | SECOND << 16);
	config_write(stage.world, PORT, 4, 2, 7);
	*state = &stage;
	return 0;
}

static int teardown(void **state)
{
	struct stage *stage = *state;

	for (unsigned i = 0; i < 2; i++)
		if (stage->cards[i].function)
			card_destroy(&stage->cards[i]);
	part_destroy(&stage->port);
	part_destroy(&stage->other);
	world_destroy(stage->world);
	return 0;
}

static uint64_t below_read(struct stage *stage, unsigned card, unsigned offset, unsigned width)
{
	uint64_t value;

	assert_int_equal(bk_space_read(stage->world->memory, ECAM + (SECOND << 20) + (card << 12) + offset,
				       width, &value),
			 0);
	return value;
}

static int below_write(struct stage *stage, unsigned card, unsigned offset, unsigned width, uint64_t value)
{
	return bk_space_write(stage->world->memory, ECAM + (SECOND << 20) + (card << 12) + offset, width,
			      value);
}

struct flr {
	struct stage *stage;
	unsigned card;
	int result;
};

static void *flr(void *opaque)
{
	struct flr *flr = opaque;

	flr->result = below_write(flr->stage, flr->card, FLR, 1, 0x80);
	return NULL;
}

static void *reset(void *opaque)
{
	struct flr *flr = opaque;

	flr->result = bk_pci_function_reset(flr->stage->cards[flr->card].function);
	return NULL;
}

static void *destroy(void *opaque)
{
	struct flr *flr = opaque;

	flr->result = bk_pci_function_destroy(flr->stage->cards[flr->card].function);
	return NULL;
}

static void *bus_reset(void *opaque)
{
	struct flr *flr = opaque;

	config_write(flr->stage->world, PORT, 0x3e, 1, 0x40);
	return NULL;
}

/* ---- Beside a slow reset ---------------------------------------------------- */

static void a_reset_of_minutes_stops_nobody_else(void **state)
{
	struct stage *stage = *state;
	struct card *card = &stage->cards[0];
	struct flr one = { .stage = stage, .result = NEVER };
	unsigned commands, modes;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	pthread_t thread;

	assert_int_equal(below_write(stage, 0, 4, 2, 4), 0);
	assert_int_equal(below_write(stage, 0, MSI + 2, 2, 1), 0);
	assert_int_equal(card->mode, BK_PCI_IRQ_MSI);
	card_slow(card, true);
	assert_false(bk_pci_function_in_reset(card->function));
	assert_int_equal(pthread_create(&thread, NULL, flr, &one), 0);
	card_wait(card);
	/* Its owner knew before it began. */
	assert_int_equal(card->command, 0);
	assert_int_equal(card->mode, BK_PCI_IRQ_INTX);
	commands = card->commands;
	modes = card->modes;
	/* The function itself. */
	assert_true(bk_pci_function_in_reset(card->function));
	assert_int_equal(below_read(stage, 0, 0, 4), 0xffffffff);
	assert_int_equal(below_read(stage, 0, 4, 2), 0xffff);
	assert_int_equal(below_read(stage, 0, 0x100, 4), 0xffffffff);
	assert_int_equal(below_write(stage, 0, 4, 2, 4), 0);
	assert_int_equal(below_write(stage, 0, MSI + 2, 2, 1), 0);
	assert_int_equal(below_write(stage, 0, FLR, 1, 0x80), 0);
	assert_int_equal(bk_pci_function_send_msi(card->function, 0), -EPERM);
	assert_int_equal(bk_pci_function_set_intx(card->function, true), 0);
	/* Others: on its bus, on the bus above, the port, the whole. */
	assert_int_equal(below_write(stage, 1, 4, 2, 4), 0);
	assert_int_equal(stage->cards[1].command, 4);
	assert_int_equal(below_read(stage, 1, 0, 2), 0x1b36);
	config_write(stage->world, OTHER, 4, 2, 1);
	assert_config(stage->world, OTHER, 4, 2, 1);
	config_write(stage->world, PORT, 4, 2, 0);
	config_write(stage->world, PORT, 4, 2, 6);
	bk_pci_function_detach(stage->other.function);
	part_attach(stage->world, &stage->other, OTHER);
	assert_int_equal(bk_pci_host_describe(stage->world->host, BK_FORMAT_TEXT, bk_sink_file, out), 0);
	fclose(out);
	assert_non_null(strstr(text, "first"));
	free(text);
	/* Hot removal and return, and what the owner may do. */
	bk_pci_function_detach(card->function);
	assert_int_equal(bk_pci_function_attach(card->function, bk_pci_bridge_bus(stage->port.function), 0),
			 0);
	assert_int_equal(bk_pci_function_write(card->function, 4, 2, 4), 0);
	assert_int_equal(card->commands, commands);
	assert_int_equal(card->modes, modes);
	assert_int_equal(card->resets, 1);
	card_slow(card, false);
	pthread_join(thread, NULL);
	assert_int_equal(one.result, 0);
	assert_false(bk_pci_function_in_reset(card->function));
	assert_int_equal(below_read(stage, 0, 0, 2), 0x1b36);
	assert_int_equal(below_read(stage, 0, 4, 2), 0);
	/* The level that rose meanwhile is there now. */
	assert_int_equal(below_read(stage, 0, 6, 1) & 8, 8);
	assert_true(stage->world->lines[1]);
	assert_int_equal(bk_pci_function_set_intx(card->function, false), 0);
	assert_int_equal(below_write(stage, 0, 4, 2, 4), 0);
	assert_int_equal(card->command, 4);
}

static void a_function_in_reset_says_not_yet_if_the_guest_asked_the_port_for_it(void **state)
{
	struct stage *stage = *state;
	struct flr one = { .stage = stage };
	pthread_t thread;

	config_write(stage->world, PORT, EXPRESS + 0x1c, 2, 0x10);
	card_slow(&stage->cards[0], true);
	assert_int_equal(pthread_create(&thread, NULL, flr, &one), 0);
	card_wait(&stage->cards[0]);
	assert_int_equal(below_read(stage, 0, 0, 4), 0xffff0001);
	assert_int_equal(below_read(stage, 0, 0, 2), 0x0001);
	assert_int_equal(below_read(stage, 0, 0, 1), 0xff);
	assert_int_equal(below_read(stage, 0, 2, 2), 0xffff);
	assert_int_equal(below_read(stage, 0, 4, 4), 0xffffffff);
	config_write(stage->world, PORT, EXPRESS + 0x1c, 2, 0);
	assert_int_equal(below_read(stage, 0, 0, 4), 0xffffffff);
	bk_pci_function_detach(stage->cards[0].function);
	{
		uint64_t value;

		assert_int_equal(bk_pci_function_read(stage->cards[0].function, 0, 4, &value), 0);
		assert_int_equal(value, 0xffffffff);
	}
	card_slow(&stage->cards[0], false);
	pthread_join(thread, NULL);
}

static void a_reset_of_what_is_in_reset_waits_for_its_result(void **state)
{
	struct stage *stage = *state;
	struct flr one = { .stage = stage }, two = { .stage = stage, .result = NEVER };
	pthread_t threads[2];

	stage->cards[0].result = -EIO;
	card_slow(&stage->cards[0], true);
	assert_int_equal(pthread_create(&threads[0], NULL, flr, &one), 0);
	card_wait(&stage->cards[0]);
	assert_int_equal(pthread_create(&threads[1], NULL, reset, &two), 0);
	/* A reset of the bus leaves it to who has begun. */
	config_write(stage->world, PORT, 0x3e, 1, 0x40);
	config_write(stage->world, PORT, 0x3e, 1, 0);
	assert_int_equal(stage->cards[1].resets, 1);
	card_slow(&stage->cards[0], false);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(one.result, -EIO);
	assert_int_equal(two.result, -EIO);
	/* Two, if the second one came when the first had ended. */
	assert_in_range(stage->cards[0].resets, 1, 2);
}

static void a_function_is_not_destroyed_in_its_reset(void **state)
{
	struct stage *stage = *state;
	struct flr one = { .stage = stage }, two = { .stage = stage, .result = NEVER };
	pthread_t threads[2];

	card_slow(&stage->cards[0], true);
	assert_int_equal(pthread_create(&threads[0], NULL, reset, &one), 0);
	card_wait(&stage->cards[0]);
	bk_pci_function_detach(stage->cards[0].function);
	assert_int_equal(pthread_create(&threads[1], NULL, destroy, &two), 0);
	for (unsigned i = 0; i < 1000; i++)
		sched_yield();
	assert_true(bk_pci_function_in_reset(stage->cards[0].function));
	assert_int_equal(*(volatile int *)&two.result, NEVER);
	card_slow(&stage->cards[0], false);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(two.result, 0);
	stage->cards[0].function = NULL;
}

static void those_on_a_bus_are_in_reset_until_it_was_their_turn(void **state)
{
	struct stage *stage = *state;
	struct flr one = { .stage = stage };
	pthread_t thread;

	stage->cards[1].result = -EIO; /* a line in the log, and nothing else */
	card_slow(&stage->cards[0], true);
	assert_int_equal(pthread_create(&thread, NULL, bus_reset, &one), 0);
	card_wait(&stage->cards[0]);
	assert_true(bk_pci_function_in_reset(stage->cards[0].function));
	assert_true(bk_pci_function_in_reset(stage->cards[1].function));
	assert_int_equal(stage->cards[1].resets, 0);
	assert_false(bk_pci_function_in_reset(stage->port.function));
	assert_config(stage->world, PORT, 0, 2, 0x1b36);
	card_slow(&stage->cards[0], false);
	pthread_join(thread, NULL);
	for (unsigned i = 0; i < 2; i++) {
		assert_false(bk_pci_function_in_reset(stage->cards[i].function));
		assert_int_equal(stage->cards[i].resets, 1);
	}
	assert_int_equal(stage->port.resets, 0);
}

/* ---- What registers keep ---------------------------------------------------- */

enum { LINK = EXPRESS + 0x10, DEVICE = EXPRESS + 8, LINK2 = EXPRESS + 0x30, PMCSR = PM + 4 };

/* Capabilities of 16 bytes that a guest may write: Advanced Error Reporting, virtual channels, a vendor's. */
static const struct {
	uint16_t id;
	unsigned at;
	bool by_flr, by_bus; /* left */
} extended[] = {
	{ 0x01, 0x100, true, true },   { 0x02, 0x110, true, false }, { 0x08, 0x120, true, false },
	{ 0x09, 0x130, true, false },  { 0x19, 0x140, true, false }, { 0x25, 0x150, true, false },
	{ 0x26, 0x160, true, false },  { 0x27, 0x170, true, false }, { 0x2a, 0x180, true, false },
	{ 0x0b, 0x190, false, false },
};

enum { EXTENDED = sizeof(extended) / sizeof(extended[0]) };

static void program(struct bk_pci_function *function)
{
	bk_pci_function_write(function, 4, 2, 0x0507);
	bk_pci_function_write(function, 0x3c, 1, 11);
	bk_pci_function_write(function, PMCSR, 2, 0x0100);
	bk_pci_function_write(function, DEVICE, 2, 0x2f3f);
	bk_pci_function_write(function, LINK, 2, 0xffdf);
	bk_pci_function_write(function, LINK2, 2, 0x0005);
	for (unsigned i = 0; i < EXTENDED; i++)
		bk_pci_function_write(function, extended[i].at + 8, 4, 0x55555555);
}

static void keeps(struct bk_pci_function *function, unsigned offset, unsigned width, uint64_t value)
{
	uint64_t now;

	assert_int_equal(bk_pci_function_read(function, offset, width, &now), 0);
	if (now != value)
		fail_msg("register 0x%x is 0x%x, not 0x%x", offset, (unsigned)now, (unsigned)value);
}

static void a_function_level_reset_leaves_what_belongs_to_the_link(void **state)
{
	static const uint8_t bytes[16], all[16] = { [4] = 255, 255, 255, 255, 255, 255, 255, 255 };
	struct stage *stage = *state;
	struct bk_pci_function *function = stage->cards[0].function;

	for (unsigned i = 0; i < EXTENDED; i++)
		assert_int_equal(
			extended_add(function, extended[i].id, 1, extended[i].at, 16, bytes, all, NULL),
			extended[i].at);
	assert_int_equal(bk_pci_af_add(function, 0xb0), 0xb0);
	for (unsigned how = 0; how < 5; how++) {
		const bool flr = how < 3, bus = how == 3;

		program(function);
		if (how == 0)
			bk_pci_function_write(function, DEVICE, 2, 0xaf3f);
		else if (how == 1)
			bk_pci_function_write(function, 0xb4, 1, 1);
		else if (how == 2)
			bk_pci_function_write(function, PMCSR, 2, 0x0103),
				bk_pci_function_write(function, PMCSR, 2, 0x0100);
		else if (bus)
			config_write(stage->world, PORT, 0x3e, 1, 0x40),
				config_write(stage->world, PORT, 0x3e, 1, 0);
		else
			bk_pci_function_reset(function);
		assert_int_equal(stage->cards[0].resets, how + 1);
		keeps(function, 4, 2, 0);
		keeps(function, 0x3c, 1, 0);
		keeps(function, PMCSR, 2, flr || bus ? 0x0100 : 0);
		keeps(function, DEVICE, 2, flr ? 0x2830 : 0x2810);
		keeps(function, LINK, 2, flr ? 0x03cb : 0);
		keeps(function, LINK2, 2, flr || bus ? 5 : 0);
		for (unsigned i = 0; i < EXTENDED; i++) {
			const bool left = flr ? extended[i].by_flr : bus && extended[i].by_bus;

			keeps(function, extended[i].at + 8, 4, left ? 0x55555555 : 0);
		}
	}
	/* One that cannot wake from D3cold keeps nothing of that, a short capability has no more to keep. */
	assert_int_equal(bk_pci_capability_remove(function, PM), 0);
	assert_int_equal(bk_pci_pm_add(function, PM, 0x7800, false), PM);
	assert_int_equal(bk_pci_capability_remove(function, EXPRESS), 0);
	assert_int_equal(bk_pci_express_add(function, EXPRESS, endpoint, 20), EXPRESS);
	program(function);
	bk_pci_function_write(function, DEVICE, 2, 0xaf3f);
	keeps(function, PMCSR, 2, 0);
	keeps(function, DEVICE, 2, 0x2830);
	keeps(function, LINK, 2, 0x03cb);
}

static void a_power_state_that_is_not_there_is_not_entered(void **state)
{
	struct stage *stage = *state;

	for (unsigned power = 1; power < 3; power++) {
		below_write(stage, 0, PMCSR, 1, power);
		assert_int_equal(below_read(stage, 0, PMCSR, 1), 0);
	}
	assert_int_equal(bk_pci_capability_remove(stage->cards[0].function, PM), 0);
	assert_int_equal(bk_pci_pm_add(stage->cards[0].function, PM, 0x0200, true), PM);
	below_write(stage, 0, 4, 2, 2);
	below_write(stage, 0, PMCSR, 1, 2);
	assert_int_equal(below_read(stage, 0, PMCSR, 1), 8);
	below_write(stage, 0, PMCSR, 1, 3);
	below_write(stage, 0, PMCSR, 1, 0); /* No_Soft_Reset */
	assert_int_equal(below_read(stage, 0, 4, 2), 2);
	assert_int_equal(stage->cards[0].resets, 0);
}

/* A bridge between the port and the card passes on what the port says. */
static void not_yet_is_said_below_bridges_too(void **state)
{
	struct stage *stage = *state;
	struct flr one = { .stage = stage };
	struct part between;
	pthread_t thread;
	uint64_t value;

	part_create_in(stage->world, &between, 3, (struct bk_pci_function_desc){ 0 }, true);
	bk_pci_function_detach(stage->cards[0].function);
	assert_int_equal(bk_pci_function_attach(between.function, bk_pci_bridge_bus(stage->port.function), 0),
			 0);
	assert_int_equal(
		bk_pci_function_attach(stage->cards[0].function, bk_pci_bridge_bus(between.function), 0), 0);
	config_write(stage->world, PORT, EXPRESS + 0x1c, 2, 0x10);
	card_slow(&stage->cards[0], true);
	assert_int_equal(pthread_create(&thread, NULL, reset, &one), 0);
	card_wait(&stage->cards[0]);
	assert_int_equal(bk_pci_function_read(stage->cards[0].function, 0, 4, &value), 0);
	assert_int_equal(value, 0xffff0001);
	card_slow(&stage->cards[0], false);
	pthread_join(thread, NULL);
	bk_pci_function_detach(stage->cards[0].function);
	part_destroy(&between);
}

/* ---- Power states and removal ----------------------------------------------- */

static void d3hot_stops_dma_and_messages(void **state)
{
	struct stage *stage = *state;
	struct card *card = &stage->cards[0];

	assert_int_equal(bk_pci_capability_remove(card->function, PM), 0);
	assert_int_equal(bk_pci_pm_add(card->function, PM, 0x0600, true), PM);
	below_write(stage, 0, 4, 2, 6);
	below_write(stage, 0, MSI + 4, 4, 0xfee00000);
	below_write(stage, 0, MSI + 2, 2, 1);
	for (unsigned power = 1; power < 4; power++) {
		assert_int_equal(card->command, 6);
		assert_int_equal(card->live, 1);
		below_write(stage, 0, PMCSR, 1, power);
		assert_int_equal(card->command, 2);
		assert_int_equal(card->live, 0);
		assert_int_equal(below_read(stage, 0, 4, 2), 6);
		below_write(stage, 0, PMCSR, 1, 0);
	}
	assert_int_equal(card->command, 6);
	assert_int_equal(card->live, 1);
}

static void a_higher_power_state_is_reached_through_d0_alone(void **state)
{
	struct stage *stage = *state;

	assert_int_equal(bk_pci_capability_remove(stage->cards[0].function, PM), 0);
	assert_int_equal(bk_pci_pm_add(stage->cards[0].function, PM, 0x0600, false), PM);
	for (unsigned from = 1; from < 4; from++) {
		for (unsigned to = 1; to < 4; to++) {
			below_write(stage, 0, 4, 2, 2);
			below_write(stage, 0, PMCSR, 1, from);
			below_write(stage, 0, PMCSR, 1, to);
			assert_int_equal(below_read(stage, 0, PMCSR, 1), to > from ? to : from);
			below_write(stage, 0, PMCSR, 1, 0);
			assert_int_equal(below_read(stage, 0, PMCSR, 1), 0);
			/* The way out of D3hot is a soft reset, however it got there. */
			assert_int_equal(below_read(stage, 0, 4, 2), from == 3 || to == 3 ? 0 : 2);
		}
	}
}

static void what_is_taken_out_masters_no_bus(void **state)
{
	struct stage *stage = *state;
	struct card *card = &stage->cards[0];
	struct bk_pci_bus *bus = bk_pci_bridge_bus(stage->port.function);

	/* Below a port that does not forward. */
	config_write(stage->world, PORT, 4, 2, 3);
	below_write(stage, 0, 4, 2, 7);
	below_write(stage, 0, MSI + 2, 2, 1);
	assert_int_equal(card->command, 3);
	bk_pci_function_detach(card->function);
	assert_int_equal(card->command, 3);
	assert_int_equal(card->live, 0);
	/* And below one that does. */
	assert_int_equal(bk_pci_function_attach(card->function, bus, 0), 0);
	config_write(stage->world, PORT, 4, 2, 7);
	assert_int_equal(card->command, 7);
	assert_int_equal(card->live, 1);
	bk_pci_function_detach(card->function);
	assert_int_equal(card->command, 3);
	assert_int_equal(card->live, 0);
	/* Registers are written while it is nowhere. */
	assert_int_equal(bk_pci_function_write(card->function, 4, 2, 4), 0);
	assert_int_equal(card->command, 0);
	assert_int_equal(bk_pci_function_attach(card->function, bus, 0), 0);
	assert_int_equal(card->command, 4);
	/* One that never was on a bus is somebody's device. */
	bk_pci_function_detach(stage->cards[1].function);
	card_destroy(&stage->cards[1]);
	card_create(stage->world, &stage->cards[1], "alone");
	assert_int_equal(bk_pci_function_write(stage->cards[1].function, 4, 2, 6), 0);
	assert_int_equal(stage->cards[1].command, 6);
}

#define WITH_STAGE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STAGE(a_reset_of_minutes_stops_nobody_else),
		WITH_STAGE(a_function_in_reset_says_not_yet_if_the_guest_asked_the_port_for_it),
		WITH_STAGE(a_reset_of_what_is_in_reset_waits_for_its_result),
		WITH_STAGE(a_function_is_not_destroyed_in_its_reset),
		WITH_STAGE(those_on_a_bus_are_in_reset_until_it_was_their_turn),
		WITH_STAGE(a_function_level_reset_leaves_what_belongs_to_the_link),
		WITH_STAGE(a_power_state_that_is_not_there_is_not_entered),
		WITH_STAGE(not_yet_is_said_below_bridges_too),
		WITH_STAGE(d3hot_stops_dma_and_messages),
		WITH_STAGE(a_higher_power_state_is_reached_through_d0_alone),
		WITH_STAGE(what_is_taken_out_masters_no_bus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
