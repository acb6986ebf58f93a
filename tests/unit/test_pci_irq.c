/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts: INTx lines, MSI, MSI-X with its table and pending bits, and an owner that is told. */
#include "pci_world.h"

#include <stdio.h>
#include <stdlib.h>

#include "pci_adds.h"

#define DEVFN BK_PCI_DEVFN(3, 0)
#define TABLE UINT64_C(0x90000000)
#define PBA   (TABLE + 0x8000)

static int setup(void **state)
{
	*state = world_create(NULL);
	return 0;
}

static int teardown(void **state)
{
	world_destroy(*state);
	return 0;
}

static void assert_message(struct world *world, unsigned number, uint64_t address, uint32_t data)
{
	assert_true(number < world->message_count);
	assert_int_equal(world->messages[number].address, address);
	assert_int_equal(world->messages[number].data, data);
}

static void config(struct world *world, unsigned offset, unsigned width, uint64_t value)
{
	config_write(world, DEVFN, offset, width, value);
}

/* Also at the ends of what is put together: the header, STATUS, the header type, MSI's pending bits. */
static void a_wide_read_is_its_bytes(void **state)
{
	struct world *world = *state;
	struct bk_pci_function_desc desc = { .pin = 1, .bars = { MEM64_BAR(0x10000) } };
	struct part part, other;
	uint64_t bytes[256];
	unsigned at;

	part_create(world, &part, 1, desc);
	at = (unsigned)bk_pci_msi_add(part.function, 0x40, 16, true, true);
	part_attach(world, &part, DEVFN);
	part_create(world, &other, 2, (struct bk_pci_function_desc){ 0 });
	part_attach(world, &other, DEVFN + 1);
	bk_pci_function_set_intx(part.function, true);
	config(world, 4, 2, 4);
	config(world, 0x10, 4, 0xffffffff);
	config(world, at + 4, 4, 0xfee01000);
	config(world, at + 16, 4, 0xffffffff);
	config(world, at + 2, 2, 0x41); /* on, 16 vectors */
	assert_int_equal(bk_pci_function_send_msi(part.function, 3), 0);
	assert_int_equal(bk_pci_function_send_msi(part.function, 10), 0);
	for (unsigned i = 0; i < 256; i++)
		bytes[i] = config_read(world, DEVFN, i, 1);
	assert_int_equal(bytes[6] & 8, 8);
	assert_int_equal(bytes[14] & 0x80, 0x80);
	assert_int_equal(bytes[at + 20], 8);
	assert_int_equal(bytes[at + 21], 4);
	for (unsigned i = 0; i < 253; i++) {
		assert_config(world, DEVFN, i, 2, bytes[i] | bytes[i + 1] << 8);
		assert_config(world, DEVFN, i, 4,
			      bytes[i] | bytes[i + 1] << 8 | bytes[i + 2] << 16 | bytes[i + 3] << 24);
	}
	part_destroy(&other);
	part_destroy(&part);
}

/* ---- MSI --------------------------------------------------------------- */

static void msi_of_every_layout(void **state)
{
	struct world *world = *state;

	for (unsigned layout = 0; layout < 4; layout++) {
		bool wide = layout & 1, maskable = layout & 2;
		const unsigned data = wide ? 12 : 8, mask = data + 4;
		struct part part;
		unsigned at;

		world->message_count = 0;
		part_create(world, &part, 1, (struct bk_pci_function_desc){ 0 });
		at = (unsigned)bk_pci_msi_add(part.function, 0, 8, wide, maskable);
		part_attach(world, &part, DEVFN);
		config(world, 4, 2, 4);
		assert_config(world, DEVFN, at + 2, 2, 3 << 1 | wide << 7 | maskable << 8);
		assert_int_equal(bk_pci_function_send_msi(part.function, 0), -EINVAL);
		config(world, at + 4, 4, 0xfee01007);
		if (wide)
			config(world, at + 8, 4, 0x12);
		config(world, at + data, 2, 0xabcf);
		assert_config(world, DEVFN, at + 4, 4, 0xfee01004);
		config(world, at + 2, 2, 0xffff); /* enables 128, which are 8 */
		assert_config(world, DEVFN, at + 2, 2, 0x71 | 3 << 1 | wide << 7 | maskable << 8);
		assert_int_equal(bk_pci_function_send_msi(part.function, 8), -EINVAL);
		assert_int_equal(bk_pci_function_send_msi(part.function, 5), 0);
		assert_message(world, 0, wide ? UINT64_C(0x12fee01004) : 0xfee01004, 0xabcd);
		config(world, at + 2, 2, 0x11); /* two vectors */
		assert_int_equal(bk_pci_function_send_msi(part.function, 2), -EINVAL);
		assert_int_equal(bk_pci_function_send_msi(part.function, 0), 0);
		assert_message(world, 1, wide ? UINT64_C(0x12fee01004) : 0xfee01004, 0xabce);
		if (maskable) {
			config(world, at + mask, 4, 0xffffffff);
			assert_config(world, DEVFN, at + mask, 4, 0xff);
			assert_int_equal(bk_pci_function_send_msi(part.function, 1), 0);
			assert_int_equal(bk_pci_function_send_msi(part.function, 1), 0);
			assert_int_equal(world->message_count, 2);
			assert_config(world, DEVFN, at + mask + 4, 4, 2);
			config(world, at + mask + 4, 4, 0); /* read only */
			assert_config(world, DEVFN, at + mask + 3, 2, 0x200);
			config(world, at + mask, 1, 0xfe);
			assert_int_equal(world->message_count, 2);
			config(world, at + mask, 1, 0xfc);
			assert_int_equal(world->message_count, 3); /* once */
			assert_message(world, 2, wide ? UINT64_C(0x12fee01004) : 0xfee01004, 0xabcf);
			assert_config(world, DEVFN, at + mask + 4, 4, 0);
		}
		if (maskable) { /* what is pending is gone with its vector, and with MSI */
			unsigned sent = world->message_count;

			config(world, at + mask, 1, 0xff);
			assert_int_equal(bk_pci_function_send_msi(part.function, 0), 0);
			assert_int_equal(bk_pci_function_send_msi(part.function, 1), 0);
			config(world, at + 2, 2, 0x01); /* one vector */
			config(world, at + 2, 2, 0x11);
			assert_config(world, DEVFN, at + mask + 4, 4, 1);
			config(world, at + 2, 2, 0);
			config(world, at + 2, 2, 0x11);
			assert_config(world, DEVFN, at + mask + 4, 4, 0);
			config(world, at + mask, 1, 0);
			assert_int_equal(world->message_count, sent);
		}
		config(world, at + 2, 2, 0);
		assert_int_equal(bk_pci_function_send_msi(part.function, 0), -EINVAL);
		part_destroy(&part);
	}
}

/* ---- MSI-X ------------------------------------------------------------- */

struct msix {
	struct part part;
	unsigned at;
};

/* `vectors` entries at the start of BAR 0, the PBA at 0x8000 in it. */
static void msix_create(struct world *world, struct msix *msix, unsigned vectors)
{
	struct bk_pci_function_desc desc = { .bars = { MEM32_BAR(0x10000) }, .pin = 1 };
	struct bk_update *update = bk_update_begin(world->domain);
	struct bk_region_desc table, pba;
	struct bk_region *region;

	part_create(world, &msix->part, 1, desc);
	assert_int_equal(bk_pci_msix_regions(msix->part.function, &table, &pba), -ENOENT);
	msix->at = (unsigned)msix_add(msix->part.function, 0, vectors, 0, 0, 0, 0x8000);
	assert_int_equal(bk_pci_msix_regions(msix->part.function, &table, &pba), 0);
	assert_int_equal(table.first, 0);
	assert_int_equal(table.last, vectors * 16 - 1);
	assert_int_equal(pba.first, 0x8000);
	assert_int_equal(pba.last, 0x8000 + (vectors + 63) / 64 * 8 - 1);
	table.priority = pba.priority = 10;
	pba.rank = 1;
	assert_int_equal(bk_update_add(update, msix->part.spaces[0], &table, &region), 0);
	assert_int_equal(bk_update_add(update, msix->part.spaces[0], &pba, &region), 0);
	assert_int_equal(bk_update_commit(update, NULL), 0);
	part_attach(world, &msix->part, DEVFN);
	config(world, BAR(0), 4, TABLE);
	config(world, 4, 2, 6);
}

/* Regions of the model go before it does. */
static void msix_destroy(struct msix *msix)
{
	bk_pci_function_detach(msix->part.function);
	assert_int_equal(bk_space_destroy(msix->part.spaces[0]), 0);
	msix->part.spaces[0] = NULL;
	part_destroy(&msix->part);
}

static uint64_t get(struct world *world, uint64_t address, unsigned width)
{
	uint64_t value;

	assert_int_equal(bk_space_read(world->memory, address, width, &value), 0);
	return value;
}

static void put(struct world *world, uint64_t address, unsigned width, uint64_t value)
{
	assert_int_equal(bk_space_write(world->memory, address, width, value), 0);
}

static void msix_table_and_masks(void **state)
{
	struct world *world = *state;
	struct msix msix;
	struct bk_pci_function *f;

	msix_create(world, &msix, 70);
	f = msix.part.function;
	assert_config(world, DEVFN, msix.at, 4, 0x00450011);
	assert_config(world, DEVFN, msix.at + 4, 8, UINT64_C(0x0000800000000000));
	assert_int_equal(get(world, TABLE + 12, 4), 1);
	assert_int_equal(get(world, TABLE + 69 * 16 + 8, 8), UINT64_C(1) << 32);
	assert_int_equal(get(world, TABLE + 70 * 16, 1), WHO(1, 0));
	assert_int_equal(bk_pci_function_send_msi(f, 0), -EINVAL); /* not enabled */

	put(world, TABLE + 3 * 16, 8, UINT64_C(0x00000001fee00003));
	put(world, TABLE + 3 * 16 + 8, 4, 0x41);
	assert_int_equal(get(world, TABLE + 3 * 16, 8), UINT64_C(0x00000001fee00000));
	config(world, msix.at + 2, 2, 0x8000);
	assert_config(world, DEVFN, msix.at + 2, 2, 0x8045);
	assert_int_equal(bk_pci_function_send_msi(f, 70), -EINVAL);
	assert_int_equal(bk_pci_function_send_msi(f, 3), 0);
	assert_int_equal(bk_pci_function_send_msi(f, 69), 0);
	assert_int_equal(world->message_count, 0);
	assert_int_equal(get(world, PBA, 8), 8);
	assert_int_equal(get(world, PBA + 8, 8), 0x20);
	assert_int_equal(get(world, PBA + 7, 4), 0x2000);
	put(world, PBA, 8, 0);
	assert_int_equal(get(world, PBA, 1), 8);

	put(world, TABLE + 3 * 16 + 12, 4, 0xfffffffe); /* reserved bits stay 0 */
	assert_int_equal(get(world, TABLE + 3 * 16 + 12, 4), 0);
	assert_int_equal(world->message_count, 1);
	assert_message(world, 0, UINT64_C(0x1fee00000), 0x41);
	assert_int_equal(get(world, PBA, 8), 0);
	assert_int_equal(bk_pci_function_send_msi(f, 3), 0);
	assert_int_equal(world->message_count, 2);

	/* Function mask. */
	config(world, msix.at + 3, 1, 0xc0);
	assert_int_equal(bk_pci_function_send_msi(f, 3), 0);
	put(world, TABLE + 3 * 16 + 8, 4, 0x42);
	assert_int_equal(world->message_count, 2);
	assert_int_equal(get(world, PBA, 1), 8);
	config(world, msix.at + 3, 1, 0x80);
	assert_int_equal(world->message_count, 3);
	assert_message(world, 2, UINT64_C(0x1fee00000), 0x42);

	/* Pending over a time when it is not enabled. */
	config(world, msix.at + 3, 1, 0xc0);
	assert_int_equal(bk_pci_function_send_msi(f, 3), 0);
	config(world, msix.at + 3, 1, 0);
	assert_int_equal(get(world, PBA, 1), 8);
	assert_int_equal(world->message_count, 3);
	config(world, msix.at + 3, 1, 0x80);
	assert_int_equal(world->message_count, 4);

	/* A reset takes all of it away. */
	assert_int_equal(bk_pci_function_send_msi(f, 69), 0);
	bk_pci_function_reset(f);
	config(world, BAR(0), 4, TABLE);
	config(world, 4, 2, 6);
	assert_int_equal(get(world, PBA + 8, 8), 0);
	assert_int_equal(get(world, TABLE + 3 * 16 + 12, 4), 1);
	assert_config(world, DEVFN, msix.at + 2, 2, 0x45);
	assert_int_equal(world->message_count, 4);
	msix_destroy(&msix);
}

static void F25_table_takes_any_width_and_alignment(void **state)
{
	struct world *world = *state;
	struct msix msix;
	uint8_t model[5 * 16] = { 0 };

	msix_create(world, &msix, 5);
	for (unsigned i = 12; i < sizeof(model); i += 16)
		model[i] = 1;
	config(world, msix.at + 2, 2, 0x8000);
	srand(25);
	for (unsigned round = 0; round < 20000; round++) {
		unsigned width = (unsigned)rand() % 8 + 1,
			 at = (unsigned)rand() % (sizeof(model) - width + 1);
		uint64_t value = (uint64_t)rand() << 33 ^ (uint64_t)rand() << 16 ^ (uint64_t)rand(), back = 0;

		put(world, TABLE + at, width, value);
		for (unsigned i = at; i < at + width; i++, value >>= 8)
			model[i] = i % 16 == 0    ? value & 0xfc
				   : i % 16 < 12  ? value & 0xff
				   : i % 16 == 12 ? value & 1
						  : 0;
		width = (unsigned)rand() % 8 + 1, at = (unsigned)rand() % (sizeof(model) - width + 1);
		for (unsigned i = width; i--;)
			back = back << 8 | model[at + i];
		assert_true(get(world, TABLE + at, width) == back);
		put(world, PBA + at % 8, width, UINT64_MAX);
		assert_int_equal(get(world, PBA, 8), 0);
	}
	/* Over the end of the table: the registers behind get their part. */
	put(world, TABLE + 78, 4, 0);
	assert_int_equal(msix.part.answers[0].offset, 80);
	msix_destroy(&msix);
}

static void msix_that_makes_no_sense_is_refused(void **state)
{
	struct world *world = *state;
	struct bk_pci_function_desc desc = { .bars = { MEM32_BAR(0x1000), IO_BAR(0x1000) } };
	struct part part;

	part_create(world, &part, 1, desc);
	assert_int_equal(msix_add(part.function, 0, 0, 0, 0, 0, 0x800), -EINVAL);
	assert_int_equal(msix_add(part.function, 0, 2049, 0, 0, 0, 0x800), -EINVAL);
	assert_int_equal(msix_add(part.function, 0, 257, 0, 0, 0, 0x800), -EINVAL);
	assert_int_equal(msix_add(part.function, 0, 16, 0, 0xfffffff8, 0, 0x800), -EINVAL);
	assert_int_equal(msix_add(part.function, 0, 16, 0, 4, 0, 0x800), -EINVAL);
	assert_int_equal(msix_add(part.function, 0, 16, 1, 0, 0, 0x800), -EINVAL);
	assert_int_equal(msix_add(part.function, 0, 16, 2, 0, 0, 0x800), -EINVAL);
	assert_int_equal(msix_add(part.function, 0, 16, 6, 0, 0, 0x800), -EINVAL);
	assert_int_equal(msix_add(part.function, 0, 16, 0, 0, 99, 0x800), -EINVAL);
	assert_int_equal(msix_add(part.function, 0, 16, 0, 0, 0, 0x1000), -EINVAL);
	assert_int_equal(msix_add(part.function, 0x41, 16, 0, 0, 0, 0x800), -EINVAL);
	assert_int_equal(msix_add(part.function, 0, 64, 0, 0, 0, 0xff8), 0x40);
	assert_int_equal(msix_add(part.function, 0, 64, 0, 0, 0, 0xff8), -EEXIST);
	part_destroy(&part);
}

/* ---- An owner that is told --------------------------------------------- */

static char told[4096];
static uint64_t fired;

static void note(const char *format, ...)
{
	size_t length = strlen(told);
	va_list args;

	va_start(args, format);
	vsnprintf(told + length, sizeof(told) - length, format, args);
	va_end(args);
}

static void on_mode(void *opaque, enum bk_pci_irq_mode mode, unsigned vectors)
{
	note("%s %u;", mode == BK_PCI_IRQ_INTX ? "intx" : mode == BK_PCI_IRQ_MSI ? "msi" : "msix", vectors);
}

static void on_vector(void *opaque, unsigned vector, const struct bk_pci_message *message)
{
	if (message)
		note("%u=%llx:%x;", vector, (unsigned long long)message->address, message->data);
	else
		note("%u off;", vector);
}

static bool on_pending(void *opaque, unsigned vector)
{
	return fired >> vector & 1;
}

static void on_intx_mask(void *opaque, bool masked)
{
	note("mask %d;", masked);
}

static const struct bk_pci_irq_ops ops = {
	.mode = on_mode, .vector = on_vector, .pending = on_pending, .intx_mask = on_intx_mask
};

#define assert_told(text)                        \
	do {                                     \
		assert_string_equal(told, text); \
		told[0] = 0;                     \
	} while (0)

static void owner_is_told_what_msix_registers_say(void **state)
{
	struct world *world = *state;
	struct msix msix;
	struct bk_pci_function *f;

	told[0] = 0;
	fired = 0;
	msix_create(world, &msix, 4);
	f = msix.part.function;
	put(world, TABLE + 16, 8, 0xfee00000);
	put(world, TABLE + 16 + 8, 8, 0x31);
	bk_pci_function_set_irq_ops(f, &ops, NULL);
	assert_told("intx 0;mask 0;");
	assert_int_equal(bk_pci_function_send_msi(f, 0), -EPERM);
	config(world, 4, 2, 0x406);
	assert_told("mask 1;");
	config(world, msix.at + 2, 2, 0xc000);
	assert_told("msix 4;");
	config(world, msix.at + 2, 2, 0x8000);
	assert_told("1=fee00000:31;");
	put(world, TABLE + 32, 4, 0xfee01000);
	assert_told("");
	put(world, TABLE + 44, 4, 0);
	assert_told("2=fee01000:0;");
	put(world, TABLE + 44, 4, 0);
	assert_told("");
	put(world, TABLE + 41, 1, 0x77); /* changed while unmasked */
	assert_told("2=fee01000:7700;");
	put(world, TABLE + 42, 4, 0x10000); /* data's upper half, and masked */
	assert_told("2 off;");
	fired = 0x6;
	assert_int_equal(get(world, PBA, 8), 4); /* 1 is not masked: it was delivered */
	config(world, msix.at + 3, 1, 0xc0);
	assert_told("1 off;");
	assert_int_equal(get(world, PBA, 8), 6);
	config(world, msix.at + 3, 1, 0x80);
	assert_told("1=fee00000:31;");
	bk_pci_function_set_irq_ops(f, &ops, NULL); /* all of it again, to a newcomer */
	assert_told("msix 4;1=fee00000:31;mask 1;");
	bk_pci_function_reset(f);
	assert_told("intx 0;mask 0;");
	assert_int_equal(msix.part.resets, 1);
	bk_pci_function_set_irq_ops(f, NULL, NULL);
	config(world, msix.at + 3, 1, 0x80);
	assert_told("");
	msix_destroy(&msix);
}

static void owner_is_told_what_msi_registers_say(void **state)
{
	struct world *world = *state;
	struct part part;
	unsigned at;

	told[0] = 0;
	fired = 0;
	part_create(world, &part, 1, (struct bk_pci_function_desc){ 0 });
	at = (unsigned)bk_pci_msi_add(part.function, 0, 4, false, true);
	part_attach(world, &part, DEVFN);
	bk_pci_function_set_irq_ops(part.function, &ops, NULL);
	assert_told("intx 0;mask 0;");
	config(world, at + 4, 4, 0xfee00000);
	config(world, at + 8, 2, 0x40);
	assert_told("");
	config(world, at + 2, 2, 0x11);
	assert_told("msi 2;1=fee00000:41;0=fee00000:40;");
	config(world, at + 12, 4, 2);
	assert_told("1 off;");
	fired = 7;
	assert_config(world, DEVFN, at + 16, 4, 2);
	config(world, at + 8, 2, 0x50);
	assert_told("0=fee00000:50;");
	config(world, at + 12, 4, 0);
	assert_told("1=fee00000:51;");
	config(world, at + 2, 2, 0x21);
	assert_told("msi 4;3=fee00000:53;2=fee00000:52;1=fee00000:51;0=fee00000:50;");
	config(world, at + 2, 2, 0x20);
	assert_told("intx 0;");
	part_destroy(&part);
}

static void pending_is_sent_once_on_a_bus(void **state)
{
	struct world *world = *state;
	struct part part;
	unsigned at;

	part_create(world, &part, 1, (struct bk_pci_function_desc){ 0 });
	at = (unsigned)bk_pci_msi_add(part.function, 0, 1, false, true);
	assert_int_equal(bk_pci_function_write(part.function, 4, 2, 4), 0);
	assert_int_equal(bk_pci_function_write(part.function, at + 4, 4, 0xfee00000), 0);
	assert_int_equal(bk_pci_function_write(part.function, at + 2, 2, 1), 0);
	assert_int_equal(bk_pci_function_send_msi(part.function, 0), 0);
	assert_int_equal(world->message_count, 0);
	part_attach(world, &part, DEVFN);
	assert_int_equal(world->message_count, 1);
	part_destroy(&part);
}

/* A message is a memory write (PCIe 7.5.1.1.3), and outside D0 nothing is asserted or sent (PM 5.4.1). */
static void only_a_bus_master_in_d0_interrupts(void **state)
{
	struct world *world = *state;
	struct part part;
	unsigned msi, pm;

	part_create(world, &part, 1, (struct bk_pci_function_desc){ .pin = 1 });
	msi = (unsigned)bk_pci_msi_add(part.function, 0, 2, false, true);
	pm = (unsigned)bk_pci_pm_add(part.function, 0, 3, true);
	part_attach(world, &part, DEVFN);
	config(world, msi + 4, 4, 0xfee00000);
	config(world, msi + 2, 2, 0x11);
	assert_int_equal(bk_pci_function_send_msi(part.function, 1), 0);
	assert_int_equal(bk_pci_function_send_msi(part.function, 1), 0);
	assert_int_equal(world->message_count, 0);
	assert_config(world, DEVFN, msi + 16, 4, 2);
	config(world, 4, 2, 2);
	assert_int_equal(world->message_count, 0);
	config(world, 4, 1, 6);
	assert_int_equal(world->message_count, 1); /* once, and not lost */
	assert_message(world, 0, 0xfee00000, 1);
	assert_config(world, DEVFN, msi + 16, 4, 0);
	assert_int_equal(bk_pci_function_send_msi(part.function, 0), 0);
	assert_int_equal(world->message_count, 2);

	config(world, pm + 4, 2, 3);
	assert_int_equal(bk_pci_function_send_msi(part.function, 0), 0);
	assert_int_equal(world->message_count, 2);
	config(world, msi + 12, 4, 1); /* masked meanwhile */
	config(world, pm + 4, 2, 0);
	assert_int_equal(world->message_count, 2);
	config(world, msi + 12, 4, 0);
	assert_int_equal(world->message_count, 3);

	config(world, msi + 2, 2, 0);
	assert_int_equal(bk_pci_function_set_intx(part.function, true), 0);
	assert_true(world->lines[3]);
	config(world, pm + 4, 2, 3);
	assert_false(world->lines[3]);
	assert_config(world, DEVFN, 6, 2, 0x18);
	config(world, pm + 4, 2, 0);
	assert_true(world->lines[3]); /* a level, not a message: it needs no bus master */
	config(world, 4, 2, 0);
	assert_true(world->lines[3]);
	part_destroy(&part);
}

/* ---- INTx -------------------------------------------------------------- */

static void intx_lines_are_shared_and_gated(void **state)
{
	struct world *world = *state;
	struct part a, b, c;
	unsigned msi;

	part_create(world, &a, 1, (struct bk_pci_function_desc){ .pin = 1 });
	part_create(world, &b, 2, (struct bk_pci_function_desc){ .pin = 2 });
	part_create(world, &c, 3, (struct bk_pci_function_desc){ 0 });
	msi = (unsigned)bk_pci_msi_add(a.function, 0, 1, false, false);
	assert_int_equal(bk_pci_function_intx_line(a.function), -ENOENT);
	part_attach(world, &a, BK_PCI_DEVFN(6, 0)); /* line 2 */
	part_attach(world, &b, BK_PCI_DEVFN(5, 0)); /* line 2, too */
	part_attach(world, &c, BK_PCI_DEVFN(4, 0));
	assert_int_equal(bk_pci_function_intx_line(a.function), 2);
	assert_int_equal(bk_pci_function_intx_line(b.function), 2);
	assert_int_equal(bk_pci_function_intx_line(c.function), -ENOENT);
	assert_int_equal(bk_pci_function_set_intx(c.function, true), -ENOENT);

	assert_int_equal(bk_pci_function_set_intx(a.function, true), 0);
	assert_true(world->lines[2]);
	assert_config(world, a.devfn, 6, 2, 0x18);
	bk_pci_function_set_intx(b.function, true);
	bk_pci_function_set_intx(b.function, true);
	bk_pci_function_set_intx(a.function, false);
	assert_true(world->lines[2]);
	assert_config(world, a.devfn, 6, 2, 0x10);
	config_write(world, b.devfn, 4, 2, 0x400);
	assert_false(world->lines[2]);
	assert_config(world, b.devfn, 6, 2, 0x08); /* the status bit does not care */
	config_write(world, b.devfn, 4, 2, 0);
	assert_true(world->lines[2]);
	bk_pci_function_reset(b.function);
	assert_false(world->lines[2]);
	assert_config(world, b.devfn, 6, 2, 0);

	bk_pci_function_set_intx(a.function, true);
	config_write(world, a.devfn, msi + 2, 2, 1); /* MSI instead */
	assert_false(world->lines[2]);
	config_write(world, a.devfn, msi + 2, 2, 0);
	assert_true(world->lines[2]);
	bk_pci_function_detach(a.function);
	assert_false(world->lines[2]);
	part_attach(world, &a, BK_PCI_DEVFN(7, 0)); /* the level goes with it */
	assert_true(world->lines[3]);
	assert_false(world->lines[2]);
	part_destroy(&a);
	assert_false(world->lines[3]);
	assert_int_equal(world->line_changes, 10);
	part_destroy(&b);
	part_destroy(&c);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_wide_read_is_its_bytes),
		WORLD_TEST(msi_of_every_layout),
		WORLD_TEST(msix_table_and_masks),
		WORLD_TEST(F25_table_takes_any_width_and_alignment),
		WORLD_TEST(msix_that_makes_no_sense_is_refused),
		WORLD_TEST(owner_is_told_what_msix_registers_say),
		WORLD_TEST(owner_is_told_what_msi_registers_say),
		WORLD_TEST(pending_is_sent_once_on_a_bus),
		WORLD_TEST(only_a_bus_master_in_d0_interrupts),
		WORLD_TEST(intx_lines_are_shared_and_gated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
