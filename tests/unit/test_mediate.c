/* SPDX-License-Identifier: BSD-2-Clause */
/* The function that a guest sees of a device, honest or hostile, and the mediated device as a device. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "trap_kit.h"

static int create(struct fixture *f)
{
	f->err.text[0] = 0;
	return bk_mediator_create(f->domain, &f->fake.device, &f->options, &f->mediate, &f->err);
}

static void open_(struct fixture *f)
{
	if (create(f))
		fail_msg("%s", f->err.text);
}

static void cap_list(struct fixture *f, unsigned first)
{
	fake_put(&f->fake, 6, 2, 0x10);
	fake_put(&f->fake, 0x34, 1, first);
}

/* ---- Ids, BARs, COMMAND, STATUS ---------------------------------------- */

static void ids_and_bars_are_the_devices(void **state)
{
	struct fixture *f = *state;

	fake_bar(&f->fake, 0, 0x8, 0x4000, false);
	fake_bar(&f->fake, 2, 0x4, 0x100000, false);
	fake_bar(&f->fake, 5, 0x1, 64, false);
	fake_put(&f->fake, 0x3e, 2, 0x0403);
	open_(f);
	assert_int_equal(cfg(f, 0x00, 4), 0x56781234);
	assert_int_equal(cfg(f, 0x08, 4), 0x0200a105);
	assert_int_equal(cfg(f, 0x2c, 4), 0xbeefcafe);
	assert_int_equal(cfg(f, 0x3d, 1), 1);
	assert_int_equal(cfg(f, 0x3e, 2), 0x0403);
	for (unsigned i = 0; i < 6; i++)
		cfg_write(f, 0x10 + 4 * i, 4, 0xffffffff);
	assert_int_equal(cfg(f, 0x10, 4), 0xffffc008);
	assert_int_equal(cfg(f, 0x14, 4), 0);
	assert_int_equal(cfg(f, 0x18, 4), 0xfff00004);
	assert_int_equal(cfg(f, 0x1c, 4), 0xffffffff);
	assert_int_equal(cfg(f, 0x20, 4), 0);
	assert_int_equal(cfg(f, 0x24, 4), 0xffffffc1);
	/* Nothing of that reached the device. */
	assert_int_equal(fake_get(&f->fake, 0x10, 4), 0x8);
	assert_int_equal(fake_get(&f->fake, 0x18, 4), 0x4);
}

static void a_device_without_intx_has_no_pin(void **state)
{
	struct fixture *f = *state;

	f->fake.irqs[BK_DEVICE_INTX].count = 0;
	open_(f);
	assert_int_equal(cfg(f, 0x3d, 1), 0);
}

static void master_is_forwarded_and_decoding_stays_on(void **state)
{
	struct fixture *f = *state;

	fake_bar(&f->fake, 0, 0, 0x1000, false);
	fake_bar(&f->fake, 1, 1, 16, false);
	fake_put(&f->fake, 4, 2, 0x0140); /* parity, SERR#: the host's business */
	open_(f);
	assert_int_equal(fake_get(&f->fake, 4, 2), 0x0143);
	assert_int_equal(cfg(f, 4, 2), 0);
	cfg_write(f, 4, 2, 0x0407);
	assert_int_equal(fake_get(&f->fake, 4, 2), 0x0147); /* Interrupt Disable stays here */
	assert_int_equal(cfg(f, 4, 2), 0x0407);
	cfg_write(f, 4, 1, 0x04);
	assert_int_equal(fake_get(&f->fake, 4, 2), 0x0147);
	cfg_write(f, 4, 1, 0x00);
	assert_int_equal(fake_get(&f->fake, 4, 2), 0x0143);
}

static void status_is_live(void **state)
{
	struct fixture *f = *state;

	fake_put(&f->fake, 6, 2, 0x0280);
	open_(f);
	assert_int_equal(cfg(f, 6, 2), 0x0280);
	fake_put(&f->fake, 6, 2, 0xf908);
	fake_put(&f->fake, 4, 2, 0x0100);
	assert_int_equal(cfg(f, 6, 2), 0xf908);
	assert_int_equal(cfg(f, 7, 1), 0xf9);
	assert_int_equal(cfg(f, 4, 4) >> 16, 0xf908);
	assert_int_equal(cfg(f, 5, 2) >> 8, 0x08);
	/* What a guest writes as 1 is cleared; COMMAND beside it is not touched. */
	cfg_write(f, 6, 2, 0x2100);
	assert_int_equal(fake_get(&f->fake, 6, 2), 0xd808);
	assert_int_equal(fake_get(&f->fake, 4, 2), 0x0100);
	cfg_write(f, 4, 4, 0xffff0000);
	assert_int_equal(fake_get(&f->fake, 6, 2), 0x0008);
	assert_int_equal(fake_get(&f->fake, 4, 2), 0x0100);
	cfg_write(f, 7, 1, 0xff);
	/* The bit that says whether there are capabilities is the function's. */
	fake_put(&f->fake, 6, 2, 0x0010);
	assert_int_equal(cfg(f, 6, 2) & 0x10, 0);
}

/* A device that is gone reads all ones where it is asked; what is kept here stays. */
static void live_registers_of_a_dead_device_read_all_ones(void **state)
{
	struct fixture *f = *state;

	open_(f);
	f->fake.config_fail = EIO;
	assert_int_equal(cfg(f, 6, 2), 0xffff);
	assert_int_equal(cfg(f, 4, 4), 0xffffffff);
	assert_int_equal(cfg(f, 0, 4), 0x56781234);
	cfg_write(f, 4, 2, 4);
	assert_int_equal(cfg(f, 4, 2), 4);
	bk_mediator_destroy(f->mediate);
	f->mediate = NULL;

	assert_int_equal(create(f), -EIO);
	assert_non_null(strstr(f->err.text, "config space cannot be read"));
}

/* F29 F19 */
static void F29_a_reset_of_the_function_resets_the_device(void **state)
{
	struct fixture *f = *state;

	fake_bar(&f->fake, 0, 0, 0x1000, false);
	open_(f);
	cfg_write(f, 4, 2, 6);
	cfg_write(f, 0x10, 4, 0xfe000000);
	assert_int_equal(bk_pci_function_reset(bk_mediator_function(f->mediate)), 0);
	assert_int_equal(f->fake.resets, 1);
	assert_int_equal(cfg(f, 4, 2), 0);
	assert_int_equal(cfg(f, 0x10, 4), 0);
	assert_int_equal(fake_get(&f->fake, 4, 2), 2); /* decodes again, no master */

	f->fake.reset_result = -EOPNOTSUPP;
	cfg_write(f, 4, 2, 6);
	assert_int_equal(bk_device_reset(bk_mediator_device(f->mediate)), -EOPNOTSUPP);
	assert_int_equal(cfg(f, 4, 2), 0);
	assert_int_equal(fake_get(&f->fake, 4, 2), 2);
	assert_int_equal(f->fake.resets, 2);
}

/* ---- Capabilities ------------------------------------------------------ */

static unsigned next_of(struct fixture *f, unsigned offset)
{
	return (unsigned)cfg(f, offset + 1, 1);
}

static void capabilities_stand_where_the_device_has_them(void **state)
{
	struct fixture *f = *state;

	fake_bar(&f->fake, 1, 0, 0x4000, false);
	cap_list(f, 0xc0);
	fake_put(&f->fake, 0xc0, 4, 0xc9c25001); /* PM, D1, D2, PME# */
	fake_put(&f->fake, 0xc4, 2, 0x0000);     /* the device would reset on its way out of D3hot */
	fake_put(&f->fake, 0x50, 4, 0x018a7005); /* MSI: 32 messages, 64-bit, maskable */
	fake_msix(&f->fake, 0x70, 0x90, 5, 0x0001, 0x1001);
	fake_put(&f->fake, 0x90, 4, 0x0012a009); /* vendor, 0x12 bytes */
	for (unsigned i = 3; i < 16; i++)
		fake_put(&f->fake, 0x90 + i, 1, 0x80 + i);
	fake_put(&f->fake, 0xa0, 4, 0x03060013); /* AF: TP and FLR */
	fake_put(&f->fake, 0xa1, 1, 0xd0);
	fake_put(&f->fake, 0xd0, 4, 0x00010014); /* Enhanced Allocation: not shown */
	open_(f);

	assert_int_equal(cfg(f, 6, 2) & 0x10, 0x10);
	assert_int_equal(cfg(f, 0x34, 1), 0x50);
	assert_int_equal(cfg(f, 0x50, 1), 0x05);
	assert_int_equal(next_of(f, 0x50), 0x70);
	assert_int_equal(cfg(f, 0x52, 2), 0x018a);
	assert_int_equal(cfg(f, 0x70, 1), 0x11);
	assert_int_equal(next_of(f, 0x70), 0x90);
	assert_int_equal(cfg(f, 0x72, 2), 4);
	assert_int_equal(cfg(f, 0x74, 4), 0x0001);
	assert_int_equal(cfg(f, 0x78, 4), 0x1001);
	assert_int_equal(cfg(f, 0x90, 1), 0x09);
	assert_int_equal(next_of(f, 0x90), 0xa0);
	assert_int_equal(cfg(f, 0xa0, 1), 0x13);
	assert_int_equal(next_of(f, 0xa0), 0xc0);
	assert_int_equal(cfg(f, 0xc0, 1), 0x01);
	assert_int_equal(next_of(f, 0xc0), 0);
	assert_int_equal(cfg(f, 0xc2, 2) & 0xfe00, 0); /* no D1, D2, PME# */

	/* F19: it never leaves D0, so the guest is told that it keeps its state, and it does. */
	assert_int_equal(cfg(f, 0xc4, 2), 0x0008);
	cfg_write(f, 0x3c, 1, 0x5a);
	cfg_write(f, 0xc4, 2, 3);
	assert_int_equal(cfg(f, 0xc4, 2), 0x000b);
	cfg_write(f, 0xc4, 2, 0);
	assert_int_equal(cfg(f, 0x3c, 1), 0x5a);

	/* The vendor's is read from the device, and written to it. */
	assert_int_equal(cfg(f, 0x94, 4), 0x87868584);
	fake_put(&f->fake, 0x94, 4, 0x11223344);
	assert_int_equal(cfg(f, 0x94, 4), 0x11223344);
	fake_put(&f->fake, 0x91, 1, 0x33); /* but for its place in the chain */
	assert_int_equal(next_of(f, 0x90), 0xa0);
	cfg_write(f, 0x94, 4, 0x55667788);
	assert_int_equal(fake_get(&f->fake, 0x94, 4), 0x55667788);

	/* MSI, MSI-X and the power state stay here. */
	f->fake.config_writes = 0;
	cfg_write(f, 0x52, 2, 0x0001);
	cfg_write(f, 0x54, 4, 0xfee00000);
	cfg_write(f, 0x72, 2, 0x8000);
	cfg_write(f, 0xc4, 2, 0x0003);
	assert_int_equal(f->fake.config_writes, 0);
	assert_int_equal(cfg(f, 0xc4, 2) & 3, 3);
	cfg_write(f, 0xc4, 2, 0);
	/* An AF reset is the device's. */
	cfg_write(f, 0xa4, 1, 1);
	assert_int_equal(f->fake.resets, 1);
}

static void vital_product_data_can_be_read_but_not_written(void **state)
{
	struct fixture *f = *state;
	struct bk_trap_desc spec = { 0 };
	struct bk_trap *trap;

	cap_list(f, 0x50);
	fake_put(&f->fake, 0x50, 4, 0x80000003);
	open_(f);
	cfg_write(f, 0x52, 2, 0x0010);
	assert_int_equal(fake_get(&f->fake, 0x50, 4), 0x00100003);
	cfg_write(f, 0x50, 4, 0x00200000);
	assert_int_equal(fake_get(&f->fake, 0x50, 4), 0x00200003);
	fake_put(&f->fake, 0x52, 2, 0x8020); /* done */
	fake_put(&f->fake, 0x54, 4, 0x12345678);
	assert_int_equal(cfg(f, 0x52, 2), 0x8020);
	assert_int_equal(cfg(f, 0x53, 1), 0x80);
	assert_int_equal(cfg(f, 0x54, 4), 0x12345678);
	f->fake.config_writes = 0;
	cfg_write(f, 0x54, 4, 0xdeadbeef);
	cfg_write(f, 0x52, 2, 0x8010);
	cfg_write(f, 0x52, 1, 0x10);
	assert_int_equal(f->fake.config_writes, 0);

	/* Nor does a trap that hands on stand in the way. */
	assert_int_equal(bk_trap_parse("config+0x50/8:log", &spec, NULL), 0);
	assert_int_equal(bk_trap_add(f->mediate, &spec, &trap, NULL), 0);
	cfg_write(f, 0x52, 2, 0x0030);
	assert_int_equal(fake_get(&f->fake, 0x52, 2), 0x0030);
}

static void interrupts_that_nobody_delivers_are_not_shown(void **state)
{
	struct fixture *f = *state;

	fake_bar(&f->fake, 0, 0, 0x4000, false);
	cap_list(f, 0x50);
	fake_put(&f->fake, 0x50, 4, 0x00807005);
	fake_msix(&f->fake, 0x70, 0, 5, 0x0000, 0x1000);
	f->fake.irqs[BK_DEVICE_MSI].count = 0;
	f->fake.irqs[BK_DEVICE_MSIX].count = 0;
	open_(f);
	assert_int_equal(cfg(f, 0x34, 1), 0);
	assert_int_equal(cfg(f, 0x50, 4), 0);
	assert_int_equal(cfg(f, 0x70, 4), 0);
}

static void fewer_vectors_below_are_fewer_above(void **state)
{
	struct fixture *f = *state;

	fake_bar(&f->fake, 0, 0, 0x4000, false);
	cap_list(f, 0x50);
	fake_put(&f->fake, 0x50, 4, 0x00887005); /* 16 messages */
	fake_msix(&f->fake, 0x70, 0, 64, 0x0000, 0x1000);
	f->fake.irqs[BK_DEVICE_MSI].count = 5;
	f->fake.irqs[BK_DEVICE_MSIX].count = 9;
	open_(f);
	assert_int_equal(cfg(f, 0x52, 2) >> 1 & 7, 2);
	assert_int_equal(cfg(f, 0x72, 2) & 0x7ff, 8);
}

static void an_express_endpoint_is_integrated_in_the_root_complex(void **state)
{
	struct fixture *f = *state;

	cap_list(f, 0x40);
	fake_put(&f->fake, 0x40, 4, 0x01020010 | 0x02000000); /* version 2, endpoint, slot, message 1 */
	fake_put(&f->fake, 0x44, 4, 0x10008fc2);              /* FLR */
	fake_put(&f->fake, 0x48, 4, 0x00002937);
	for (unsigned i = 0x4c; i < 0x60; i += 4)
		fake_put(&f->fake, i, 4, 0x12345678);
	fake_put(&f->fake, 0x64, 4, 0x001f0000);
	fake_put(&f->fake, 0x68, 2, 0x0409);
	for (unsigned i = 0x6c; i < 0x7c; i += 4)
		fake_put(&f->fake, i, 4, 0x12345678);
	open_(f);
	assert_int_equal(cfg(f, 0x42, 2) & 0x01ff, 0x0092);
	assert_int_equal(cfg(f, 0x42, 2) & 0x3e00, 0x0200);
	assert_int_equal(cfg(f, 0x44, 4), 0x10008fc2);
	assert_int_equal(cfg(f, 0x64, 4), 0x001f0000);
	for (unsigned i = 0x4c; i < 0x60; i += 4)
		assert_int_equal(cfg(f, i, 4), 0);
	for (unsigned i = 0x6c; i < 0x7c; i += 4)
		assert_int_equal(cfg(f, i, 4), 0);
	assert_int_equal(cfg(f, 0x48, 2), 0x2810);
	assert_int_equal(fake_get(&f->fake, 0x48, 2), 0x2937);
	cfg_write(f, 0x48, 2, 0x59d0);
	assert_int_equal(cfg(f, 0x48, 2), 0x59d0);
	assert_int_equal(fake_get(&f->fake, 0x48, 2), 0x5930); /* but for the payload size */
	fake_put(&f->fake, 0x4a, 2, 0x0024);
	assert_int_equal(cfg(f, 0x4a, 2), 0x0024);
	assert_int_equal(cfg(f, 0x68, 2), 0); /* not the host's Device Control 2 */
	cfg_write(f, 0x4a, 2, 0xffff);        /* errors are cleared in the device */
	assert_int_equal(fake_get(&f->fake, 0x4a, 2), 0x000f);
	cfg_write(f, 0x48, 2, 0xa810); /* Initiate FLR */
	assert_int_equal(f->fake.resets, 1);
}

/* An endpoint of version 2 may end behind its second link registers, an integrated one before the first. */
static void a_short_express_capability_is_shown_as_it_is(void **state)
{
	struct fixture *f = *state;

	cap_list(f, 0x40);
	fake_put(&f->fake, 0x40, 4, 0x00027410);
	fake_put(&f->fake, 0x44, 4, 0x10008fc2);
	fake_put(&f->fake, 0x70, 4, 0xffffffff); /* Link Control 2 */
	fake_put(&f->fake, 0x74, 4, 0x00018005); /* MSI */
	open_(f);
	assert_int_equal(cfg(f, 0x40, 4), 0x00927410);
	assert_int_equal(cfg(f, 0x44, 4), 0x10008fc2);
	assert_int_equal(cfg(f, 0x70, 4), 0);
	assert_int_equal(cfg(f, 0x74, 4), 0x00008005);
	cfg_write(f, 0x48, 2, 0xa810);
	assert_int_equal(f->fake.resets, 1);
}

static void an_integrated_endpoint_has_12_bytes_of_express(void **state)
{
	struct fixture *f = *state;

	cap_list(f, 0x40);
	fake_put(&f->fake, 0x40, 4, 0x00914c10);
	fake_put(&f->fake, 0x44, 4, 0x00008fc2);
	fake_put(&f->fake, 0x4c, 4, 0x00040009);
	open_(f);
	assert_int_equal(cfg(f, 0x40, 4), 0x00914c10);
	assert_int_equal(cfg(f, 0x48, 2), 0x2810);
	assert_int_equal(cfg(f, 0x4c, 4), 0x00040009);
	cfg_write(f, 0x4c, 4, 0xffffffff);
	assert_int_equal(cfg(f, 0x4c, 4), 0xff040009); /* the vendor's own byte */
}

static void below_a_port_an_endpoint_keeps_its_link(void **state)
{
	struct fixture *f = *state;

	cap_list(f, 0x40);
	fake_put(&f->fake, 0x40, 4, 0x00020010);
	fake_put(&f->fake, 0x4c, 4, 0x00417443);
	fake_put(&f->fake, 0x50, 4, 0x10430040);
	f->options.below_port = true;
	open_(f);
	assert_int_equal(cfg(f, 0x42, 2), 0x0002);
	assert_int_equal(cfg(f, 0x4c, 4), 0x00417443);
	assert_int_equal(cfg(f, 0x52, 2), 0x1043);
}

static void below_a_port_nothing_is_integrated(void **state)
{
	struct fixture *f = *state;

	cap_list(f, 0x40);
	fake_put(&f->fake, 0x40, 4, 0x00920010);
	fake_put(&f->fake, 0x4c, 4, 0);
	fake_put(&f->fake, 0x50, 4, 0);
	f->options.below_port = true;
	open_(f);
	assert_int_equal(cfg(f, 0x42, 2), 0x0002);
	assert_int_equal(cfg(f, 0x4c, 4), 0x00000011);
	assert_int_equal(cfg(f, 0x50, 4), 0x00110000);
}

static void without_a_reset_below_no_flr_is_offered(void **state)
{
	struct fixture *f = *state;

	f->fake.info.flags = 0;
	cap_list(f, 0x40);
	fake_put(&f->fake, 0x40, 4, 0x0002a010);
	fake_put(&f->fake, 0x44, 4, 0x10008fc2);
	fake_put(&f->fake, 0xa0, 4, 0x03060013);
	open_(f);
	assert_int_equal(cfg(f, 0x44, 4), 0x00008fc2);
	assert_int_equal(next_of(f, 0x40), 0);
}

static unsigned ext(unsigned id, unsigned version, unsigned next)
{
	return id | version << 16 | next << 20;
}

static void extended_capabilities_that_hold_the_host_are_hidden(void **state)
{
	struct fixture *f = *state;
	const unsigned hidden[] = { 0x10, 0x0f, 0x13, 0x1b, 0x0d, 0x0e, 0x11, 0x24, 0x2e, 0x30 };
	unsigned at = 0x100;

	for (unsigned i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++, at += 0x40) {
		for (unsigned j = 4; j < 0x40; j += 4)
			fake_put(&f->fake, at + j, 4, 0xdeadbeef);
		fake_put(&f->fake, at, 4, ext(hidden[i], 1, at + 0x40));
	}
	fake_put(&f->fake, at, 4, ext(0x0003, 1, at + 0x10)); /* serial number */
	fake_put(&f->fake, at + 4, 8, 0x1122334455667788);
	fake_put(&f->fake, at + 0x10, 4, ext(0x000b, 1, 0)); /* vendor specific, 12 bytes */
	fake_put(&f->fake, at + 0x14, 4, 0x00c00001);
	fake_put(&f->fake, at + 0x18, 4, 0xcafe0001);
	fake_put(&f->fake, at + 0x1c, 4, 0xcafe0002);
	open_(f);
	assert_int_equal(cfg(f, 0x100, 4) >> 20, at);
	assert_int_equal(cfg(f, 0x100, 2), 0);
	/* Their registers are, all of them; of those that have always the same number what follows is not. */
	for (unsigned i = 0x104; i < at; i += 4) {
		const unsigned id = hidden[(i - 0x100) / 0x40];
		const unsigned length = id == 0x13 ? 16 : id == 0x0f || id == 0x1b || id == 0x0e ? 8 : 0x40;

		assert_int_equal(cfg(f, i, 4), i % 0x40 < length ? 0 : 0xdeadbeef);
		cfg_write(f, i, 4, 0);
		if (i % 0x40)
			assert_int_equal(fake_get(&f->fake, i, 4), i % 0x40 < length ? 0xdeadbeef : 0);
	}
	assert_int_equal(cfg(f, at, 4), ext(0x0003, 1, at + 0x10));
	assert_int_equal(cfg(f, at + 4, 4), 0x55667788);
	assert_int_equal(cfg(f, at + 0x10, 4), ext(0x000b, 1, 0));
	assert_int_equal(cfg(f, at + 0x18, 4), 0xcafe0001);
	assert_int_equal(cfg(f, at + 0x1c, 4), 0xcafe0002); /* behind its end */
	fake_put(&f->fake, at + 8, 4, 0x99);
	assert_int_equal(cfg(f, at + 8, 4), 0x99);
	cfg_write(f, at + 8, 4, 0);
	assert_int_equal(fake_get(&f->fake, at + 8, 4), 0x99);
}

/* Any byte of config space that is not 0. */
static uint8_t filler(unsigned offset)
{
	return (uint8_t)(offset * 7 + offset / 256) | 1;
}

static void fill_config(struct fixture *f)
{
	for (unsigned i = 0x40; i < 0x1000; i++)
		fake_put(&f->fake, i, 1, filler(i));
}

/* Writes what is not there to every byte, which must reach the device only where `reaches` says so; what is
 * read elsewhere is the same before and after. */
static void write_every_byte(struct fixture *f, bool (*is_own)(unsigned offset),
			     bool (*reaches)(unsigned offset))
{
	for (unsigned i = 0x40; i < 0x1000; i++) {
		const uint8_t there = (uint8_t)fake_get(&f->fake, i, 1);

		if (is_own(i))
			assert_int_equal(cfg(f, i, 1), there);
		cfg_write(f, i, 1, (uint8_t)~there);
		if (fake_get(&f->fake, i, 1) != (reaches(i) ? (uint8_t)~there : there))
			fail_msg("0x%x: %sreached", i, reaches(i) ? "not " : "");
		fake_put(&f->fake, i, 1, there);
	}
}

static bool beside_capabilities(unsigned offset)
{
	return (offset >= 0x40 && offset < 0x50) || (offset >= 0x68 && offset < 0x70) ||
	       (offset >= 0x7c && offset < 0xa0) || (offset >= 0xa8 && offset < 0xb0) ||
	       (offset >= 0xb8 && offset < 0xd0) || (offset >= 0x10c && offset < 0x140) ||
	       (offset >= 0x158 && offset < 0x200);
}

/* And what is inside vendors'. */
static bool writable(unsigned offset)
{
	return beside_capabilities(offset) || (offset >= 0xb3 && offset < 0xb8) ||
	       (offset >= 0x148 && offset < 0x158);
}

static void what_is_in_no_capability_is_the_devices(void **state)
{
	struct fixture *f = *state;

	fake_bar(&f->fake, 1, 0, 0x4000, false);
	fill_config(f);
	cap_list(f, 0x50);
	fake_put(&f->fake, 0x50, 4, 0x018a7005); /* MSI: 64-bit, maskable */
	fake_msix(&f->fake, 0x70, 0xa0, 5, 0x0001, 0x1001);
	fake_put(&f->fake, 0xa0, 4, 0x0003b001); /* PM */
	fake_put(&f->fake, 0xb0, 4, 0x0008d009); /* vendor */
	fake_put(&f->fake, 0xd0, 4, 0x00080008); /* of a length that is not known: to the end */
	fake_put(&f->fake, 0x100, 4, ext(0x0003, 1, 0x140));
	fake_put(&f->fake, 0x140, 4, ext(0x000b, 1, 0x200));
	fake_put(&f->fake, 0x144, 4, 0x01800001);
	fake_put(&f->fake, 0x200, 4, ext(0x0002, 1, 0)); /* as 0xd0 */
	open_(f);
	write_every_byte(f, beside_capabilities, writable);

	/* Whole where it can be, and else those bytes alone that are the device's. */
	f->fake.config_writes = 0;
	cfg_write(f, 0x40, 4, 0x11223344);
	assert_int_equal(f->fake.config_writes, 1);
	assert_int_equal(cfg(f, 0x40, 4), 0x11223344);
	cfg_write(f, 0x4e, 4, 0x11223344);
	assert_int_equal(f->fake.config_writes, 2);
	assert_int_equal(fake_get(&f->fake, 0x4e, 4), 0x70053344);
	cfg_write(f, 0x67, 2, 0x5566);
	assert_int_equal(f->fake.config_writes, 3);
	assert_int_equal(fake_get(&f->fake, 0x67, 2), 0x5500 | filler(0x67));
	assert_int_equal(bk_mediator_below_write(f->mediate, BK_DEVICE_CONFIG, 0x80, 8, 0x123456789abcdef0),
			 0);
	assert_int_equal(fake_get(&f->fake, 0x80, 8), 0x123456789abcdef0);
	/* One that was not there. */
	assert_int_equal(bk_pci_vendor_add(bk_mediator_function(f->mediate),
					   &(struct bk_pci_vendor_desc){ .offset = 0x40,
									 .bytes = "abcde",
									 .writable = "\0\xff\0\0\0",
									 .size = 5 }),
			 0x40);
	assert_int_equal(cfg(f, 0x43, 4), 0x64636261);
	cfg_write(f, 0x44, 4, 0);
	assert_int_equal(cfg(f, 0x43, 4), 0x64630061);
	assert_int_equal(fake_get(&f->fake, 0x40, 4), 0x11223344);
	cfg_write(f, 0x48, 4, 0);
	assert_int_equal(fake_get(&f->fake, 0x48, 4), 0);
}

static bool anywhere(unsigned offset)
{
	return offset < 0x100 || offset >= 0x104;
}

static void without_capabilities_all_is_the_devices(void **state)
{
	struct fixture *f = *state;

	fill_config(f);
	fake_put(&f->fake, 0x100, 4, 0xffffffff);
	open_(f);
	write_every_byte(f, anywhere, anywhere);
	assert_int_equal(cfg(f, 0x100, 4), 0);
}

static bool nowhere(unsigned offset)
{
	return false;
}

static bool behind_vendors(unsigned offset)
{
	return offset >= 0x48 && offset < 0x80;
}

static bool of_vendors(unsigned offset)
{
	return offset >= 0x43 && offset < 0x80;
}

static bool of_the_last_vendor(unsigned offset)
{
	return offset >= 0x5b && offset < 0x100;
}

/* Loops, capabilities inside others and beyond the end: what one may have is no device's own. */
static void hostile_capabilities_leave_nothing_free(void **state)
{
	struct fixture *f = *state;

	fill_config(f);
	cap_list(f, 0x40);
	fake_put(&f->fake, 0x40, 4, 0x018a4405); /* MSI, with one of 2 bytes in it */
	fake_put(&f->fake, 0x44, 4, 0x00035809); /* whose second is at the end of MSI */
	fake_put(&f->fake, 0x58, 4, 0x00a84009); /* up to the end, and back to the first */
	fake_put(&f->fake, 0x100, 4, ext(0x0010, 1, 0x104));
	fake_put(&f->fake, 0x104, 4, ext(0x0018, 1, 0x140)); /* inside SR-IOV */
	fake_put(&f->fake, 0x140, 4, ext(0x0015, 1, 0x100));
	open_(f);
	write_every_byte(f, nowhere, of_the_last_vendor);
	for (unsigned i = 0x10c; i < 0x140; i += 4)
		assert_int_equal(cfg(f, i, 4), 0);
	bk_mediator_destroy(f->mediate);
	f->mediate = NULL;

	fake_put(&f->fake, 0x40, 4, 0x00088009);
	fake_put(&f->fake, 0x80, 4, 0x00004008);
	open_(f);
	write_every_byte(f, behind_vendors, of_vendors);
}

static void resizable_bars_show_the_size_they_have(void **state)
{
	struct fixture *f = *state;

	fake_bar(&f->fake, 0, 0xc, 0x200000, false);
	fake_put(&f->fake, 0x100, 4, ext(0x15, 1, 0));
	fake_put(&f->fake, 0x104, 4, 0x0003fff0);
	fake_put(&f->fake, 0x108, 4, 0x00000120); /* one BAR, bar0, 2 MiB */
	open_(f);
	assert_int_equal(cfg(f, 0x100, 4), ext(0x15, 1, 0));
	assert_int_equal(cfg(f, 0x104, 4), 0x20);
	assert_int_equal(cfg(f, 0x108, 4), 0x120);
	cfg_write(f, 0x108, 4, 0x0a20);
	assert_int_equal(cfg(f, 0x108, 4), 0x120);
	assert_int_equal(fake_get(&f->fake, 0x108, 4), 0x120);
}

static void a_conventional_device_has_256_bytes(void **state)
{
	struct fixture *f = *state;
	struct bk_device_region region = { 0 };

	f->fake.regions[BK_DEVICE_CONFIG].size = 256;
	open_(f);
	assert_int_equal(bk_device_region(bk_mediator_device(f->mediate), BK_DEVICE_CONFIG, &region), 0);
	assert_int_equal(region.size, 256);
	assert_int_equal(bk_space_last(bk_mediator_space(f->mediate, BK_DEVICE_CONFIG)), 255);
}

/* ---- ROM --------------------------------------------------------------- */

static void the_rom_is_the_devices_the_users_or_none(void **state)
{
	struct fixture *f = *state;
	struct bk_space *rom;
	uint64_t value;

	f->fake.regions[BK_DEVICE_ROM].size = 0x1000;
	f->fake.regions[BK_DEVICE_ROM].flags = BK_DEVICE_READ;
	f->fake.bytes[BK_DEVICE_ROM] = malloc(0x1000);
	memset(f->fake.bytes[BK_DEVICE_ROM], 0x5a, 0x1000);
	open_(f);
	rom = bk_mediator_space(f->mediate, BK_DEVICE_ROM);
	assert_int_equal(bk_space_last(rom), 0xfff);
	f->fake.accesses = 0;
	bk_space_read(rom, 0xffc, 4, &value);
	assert_int_equal(value, 0x5a5a5a5a);
	assert_int_equal(bk_space_write(rom, 0xffc, 4, 0), 0);
	bk_space_read(rom, 0xff8, 8, &value);
	assert_int_equal(value, 0x5a5a5a5a5a5a5a5a);
	assert_int_equal(f->fake.accesses, 0); /* it was read at create */
	cfg_write(f, 0x30, 4, 0xfffff800);
	assert_int_equal(cfg(f, 0x30, 4), 0xfffff000);
	bk_mediator_destroy(f->mediate);

	f->options.rom_image = "\x55\xaa\x01";
	f->options.rom_size = 3;
	open_(f);
	rom = bk_mediator_space(f->mediate, BK_DEVICE_ROM);
	assert_int_equal(bk_space_last(rom), 0x7ff);
	bk_space_read(rom, 0, 4, &value);
	assert_int_equal(value, 0xff01aa55);
	bk_mediator_destroy(f->mediate);

	f->options.rom_size = (16 << 20) + 1;
	assert_int_equal(create(f), -EINVAL);
	assert_non_null(strstr(f->err.text, "ROM"));

	f->options.rom_off = true;
	open_(f);
	assert_null(bk_mediator_space(f->mediate, BK_DEVICE_ROM));
	cfg_write(f, 0x30, 4, 0xffffffff);
	assert_int_equal(cfg(f, 0x30, 4), 0);
	bk_mediator_destroy(f->mediate);

	memset(&f->options, 0, sizeof(f->options));
	f->fake.fail = EIO; /* no chip behind the register */
	open_(f);
	assert_null(bk_mediator_space(f->mediate, BK_DEVICE_ROM));
}

/* ---- Nobody there, and chains ------------------------------------------ */

static void refused(struct fixture *f, const char *what)
{
	f->fake.closed = false;
	assert_int_equal(create(f), -ENODEV);
	assert_null(f->mediate);
	assert_true(f->fake.closed);
	if (!strstr(f->err.text, what) || strncmp(f->err.text, "fake: ", 6))
		fail_msg("\"%s\" does not say %s", f->err.text, what);
}

static void a_device_that_does_not_answer_is_refused_with_a_line(void **state)
{
	struct fixture *f = *state;
	struct fake *fake = &f->fake;

	fake->regions[BK_DEVICE_CONFIG].size = 10;
	refused(f, "config space");
	fake->regions[BK_DEVICE_CONFIG].size = 0;
	refused(f, "config space");
	fake->regions[BK_DEVICE_CONFIG].size = 4096;
	fake_put(fake, 0, 2, 0xffff);
	refused(f, "does not answer");
	/* A virtual function that is gone: the host still knows its ids. */
	memset(fake->config + 4, 0xff, sizeof(fake->config) - 4);
	fake_put(fake, 0, 2, 0x1234);
	refused(f, "does not answer");
	fake_put(fake, 0x0e, 1, 0);
	fake_put(fake, 0x34, 1, 0);
	open_(f);
}

static void chains_that_loop_or_leave_are_cut(void **state)
{
	struct fixture *f = *state;
	unsigned count = 0;

	/* 0x40 -> 0x60 -> 0x40 and an extended one that points to itself, to the header, out of the space. */
	cap_list(f, 0x40);
	fake_put(&f->fake, 0x40, 4, 0x00006009); /* vendor, length 0 */
	fake_put(&f->fake, 0x60, 4, 0x00ff4009); /* vendor, longer than there is room */
	fake_put(&f->fake, 0x100, 4, ext(0x0003, 1, 0x200));
	fake_put(&f->fake, 0x200, 4, ext(0x000b, 1, 0x200));
	fake_put(&f->fake, 0x204, 4, 0xfff00001);
	open_(f);
	for (unsigned at = (unsigned)cfg(f, 0x34, 1); at; at = next_of(f, at))
		assert_true(++count <= 48);
	assert_int_equal(count, 2);
	count = 0;
	for (unsigned at = 0x100; at; at = (unsigned)cfg(f, at, 4) >> 20)
		assert_true(++count <= 960);
	assert_int_equal(count, 2);
	bk_mediator_destroy(f->mediate);
	f->mediate = NULL;

	fake_put(&f->fake, 0x34, 1, 0x3c); /* into the header */
	fake_put(&f->fake, 0x100, 4, ext(0x0003, 1, 0x040));
	open_(f);
	assert_int_equal(cfg(f, 0x34, 1), 0);
	assert_int_equal(cfg(f, 0x100, 4), ext(0x0003, 1, 0));
}

/* A device whose config space is noise: its function holds. */
static void noise_in_config_space_refuses_no_device(void **state)
{
	struct fixture *f = *state;
	uint64_t seed = 88172645463325252;

	fake_bar(&f->fake, 0, 0, 0x10000, true);
	for (unsigned n = 0; n < 300; n++) {
		for (unsigned i = 0; i < 4096; i += 8) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			fake_put(&f->fake, i, 8, seed);
		}
		fake_put(&f->fake, 0, 4, 0x56781234);
		fake_put(&f->fake, 0x0e, 1, 0);
		fake_put(&f->fake, 0x10, 4, n & 1 ? 0 : 4);
		fake_put(&f->fake, 6, 2, 0x10);
		/* Ids that mean something, at places that are likely to be visited. */
		for (unsigned i = 0x40; i < 0x100; i += 4) {
			static const uint8_t ids[] = { 1, 5, 9, 0x10, 0x11, 0x13, 0x14, 3 };

			fake_put(&f->fake, i, 1, ids[(seed >> i % 32) & 7]);
			seed = seed * 6364136223846793005 + 1442695040888963407;
		}
		open_(f);
		for (unsigned i = 0; i < 4096; i += 4)
			cfg(f, i, 4);
		for (unsigned i = 0; i < 4096; i += 4)
			cfg_write(f, i, 4, seed >> i % 32);
		bk_mediator_destroy(f->mediate);
		f->mediate = NULL;
	}
}

/* ---- As a device ------------------------------------------------------- */

static int zero_read(void *opaque, unsigned region, uint64_t offset, unsigned width, uint64_t *value)
{
	*value = 0;
	return 0;
}

static const struct bk_trap_ops zero_ops = { .read = zero_read };

struct said {
	bool below, trap;
};

static void say(void *opaque, const char *key, const char *value)
{
	struct said *said = opaque;

	said->below |= !strcmp(key, "made up by");
	said->trap |= !strcmp(key, "trap") && strstr(value, "bar0+0x2100/0x4") && strstr(value, "zero");
}

static void as_a_device_its_regions_are_the_spaces(void **state)
{
	struct fixture *f = *state;
	struct bk_trap_desc desc = { .offset = 0x2100, .length = 4, .name = "zero", .ops = &zero_ops };
	struct bk_device_region region = { 0 };
	struct areas areas;
	struct bk_device_info info = { 0 };
	struct bk_device *device;
	struct bk_trap *trap;
	struct said said = { 0 };
	uint8_t bytes[64];
	uint64_t value;

	fake_bar(&f->fake, 0, 0, 0x10000, true);
	open_(f);
	device = bk_mediator_device(f->mediate);
	assert_string_equal(device->name, "fake");
	assert_int_equal(bk_device_info(device, &info), 0);
	assert_int_equal(info.regions, BK_DEVICE_REGIONS);
	assert_int_equal(bk_device_region(device, 0, &region), 0);
	areas = areas_of(device, 0);
	assert_int_equal(areas.count, 1);
	assert_int_equal(areas.at[0].size, 0x10000);

	assert_int_equal(bk_trap_add(f->mediate, &desc, &trap, NULL), 0);
	assert_int_equal(bk_device_region(device, 0, &region), 0);
	areas = areas_of(device, 0);
	assert_int_equal(region.size, 0x10000);
	assert_int_equal(region.fd, f->fake.regions[0].fd);
	assert_int_equal(region.fd_offset, f->fake.regions[0].fd_offset);
	assert_int_equal(areas.count, 2);
	assert_int_equal(areas.at[0].offset, 0);
	assert_int_equal(areas.at[0].size, 0x2000);
	assert_int_equal(areas.at[1].offset, 0x3000);
	assert_int_equal(areas.at[1].size, 0xd000);

	assert_int_equal(bk_device_read(device, 0, 0x20f0, bytes, 64), 0);
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(bytes[i], i >= 0x10 && i < 0x14 ? 0 : fake_pattern(0x20f0 + i, 1));
	f->fake.accesses = 0;
	value = 0x1122334455667788;
	assert_int_equal(bk_device_write(device, 0, 8, &value, 8), 0);
	assert_int_equal(f->fake.accesses, 1);
	assert_int_equal(f->fake.access[0].count, 8);
	assert_int_equal(bk_device_read(device, 0, 0xffff, bytes, 2), -EINVAL);
	assert_int_equal(bk_device_read(device, 0, UINT64_MAX, bytes, 2), -EINVAL);
	assert_int_equal(bk_device_write(device, 0, 0x10000, bytes, 1), -EINVAL);
	assert_int_equal(bk_device_read(device, 1, 0, bytes, 1), -EINVAL);
	assert_int_equal(bk_device_region(device, 1, &region), 0);
	assert_int_equal(region.size, 0);
	assert_int_equal(bk_device_region(device, 99, &region), -EINVAL);

	assert_int_equal(bk_device_region(device, BK_DEVICE_CONFIG, &region), 0);
	assert_int_equal(region.size, 4096);
	assert_int_equal(region.flags, BK_DEVICE_READ | BK_DEVICE_WRITE);
	memset(bytes, 0xff, 4);
	assert_int_equal(bk_device_write(device, BK_DEVICE_CONFIG, 0x10, bytes, 4), 0);
	assert_int_equal(bk_device_read(device, BK_DEVICE_CONFIG, 0x10, bytes, 4), 0);
	assert_memory_equal(bytes, "\0\0\xff\xff", 4);

	bk_device_describe(device, say, &said);
	assert_true(said.below);
	assert_true(said.trap);
	bk_device_close(device);
	assert_true(f->fake.closed);
	f->mediate = NULL;
}

static void each_of_many_areas_is_told(void **state)
{
	struct fixture *f = *state;
	struct areas areas;
	struct bk_trap *trap;

	/* 31 holes in pages 0, 2, 6, 12, ...: areas of 1, 3, 5, ... pages. */
	fake_bar(&f->fake, 0, 0, 0x400000, true);
	open_(f);
	for (uint64_t i = 0; i < 31; i++) {
		struct bk_trap_desc desc = { .offset = i * (i + 1) * 4096, .length = 4096, .ops = &zero_ops };

		assert_int_equal(bk_trap_add(f->mediate, &desc, &trap, NULL), 0);
	}
	areas = areas_of(bk_mediator_device(f->mediate), 0);
	assert_int_equal(areas.count, 31);
	for (uint64_t i = 0; i < 31; i++) {
		uint64_t end = i == 30 ? 0x400000 : (i + 1) * (i + 2) * 4096;

		assert_int_equal(areas.at[i].offset, (i * (i + 1) + 1) * 4096);
		assert_int_equal(areas.at[i].size, end - areas.at[i].offset);
	}
}

/* A mediator on a mediator: the upper one sees what the lower one shows. */
static void mediators_stack(void **state)
{
	struct fixture *f = *state;
	struct bk_trap_desc desc = { .offset = 0x1000, .length = 4, .ops = &zero_ops };
	struct bk_mediator *upper;
	struct bk_trap *trap;
	struct bk_device_region region = { 0 };
	struct areas areas;
	struct bk_error err;
	uint64_t value;

	fake_bar(&f->fake, 0, 0, 0x10000, true);
	cap_list(f, 0x90);
	fake_put(&f->fake, 0x90, 4, 0x00100009);
	fake_put(&f->fake, 0x94, 4, 0x12345678);
	open_(f);
	assert_int_equal(bk_trap_add(f->mediate, &desc, &trap, NULL), 0);
	if (bk_mediator_create(f->domain, bk_mediator_device(f->mediate), NULL, &upper, &err))
		fail_msg("%s", err.text);
	desc.offset = 0x2000;
	assert_int_equal(bk_trap_add(upper, &desc, &trap, NULL), 0);
	assert_int_equal(bk_device_region(bk_mediator_device(upper), 0, &region), 0);
	areas = areas_of(bk_mediator_device(upper), 0);
	assert_int_equal(areas.count, 2);
	assert_int_equal(areas.at[1].offset, 0x3000);
	for (uint64_t at = 0; at < 0x10000; at += 0x800) {
		assert_int_equal(bk_space_read(bk_mediator_space(upper, 0), at, 4, &value), 0);
		assert_int_equal(value, at == 0x1000 || at == 0x2000 ? 0 : fake_pattern(at, 4));
	}
	assert_int_equal(bk_space_read(bk_mediator_space(upper, BK_DEVICE_CONFIG), 0x94, 4, &value), 0);
	assert_int_equal(value, 0x12345678);
	bk_space_write(bk_mediator_space(upper, BK_DEVICE_CONFIG), 4, 2, 4);
	assert_int_equal(fake_get(&f->fake, 4, 2), 6);
	bk_mediator_destroy(upper);
	assert_true(f->fake.closed);
	f->mediate = NULL;
}

static bool is_the_devices(void *opaque, const struct bk_flat *flat)
{
	struct fake *fake = opaque;

	if (flat->memory) {
		assert_int_equal(flat->memory->fd_offset + flat->offset,
				 fake->regions[0].fd_offset + flat->first);
		assert_memory_equal((uint8_t *)flat->memory->host + flat->offset,
				    fake->bytes[0] + flat->first, flat->last - flat->first + 1);
	}
	return true;
}

static void areas_that_make_no_sense_are_not_mapped(void **state)
{
	struct fixture *f = *state;
	struct bk_device_region *region = &f->fake.regions[0], face;
	struct areas areas;
	int fd;

	fake_bar(&f->fake, 0, 0, 0x10000, true);
	f->fake.areas[0].count = 6;
	f->fake.areas[0].at[0] = (struct bk_device_area){ 0x0800, 0x2000 }; /* one whole page: 0x1000 */
	f->fake.areas[0].at[1] = (struct bk_device_area){ 0x1000, 0x1000 }; /* the same again */
	f->fake.areas[0].at[2] = (struct bk_device_area){ 0x4000, 0 };
	f->fake.areas[0].at[3] = (struct bk_device_area){ 0x8000, UINT64_MAX }; /* to the end */
	f->fake.areas[0].at[4] = (struct bk_device_area){ 0x10000, 0x1000 };
	f->fake.areas[0].at[5] = (struct bk_device_area){ UINT64_MAX, UINT64_MAX };
	open_(f);
	assert_int_equal(bk_device_region(bk_mediator_device(f->mediate), 0, &face), 0);
	areas = areas_of(bk_mediator_device(f->mediate), 0);
	assert_int_equal(areas.count, 2);
	assert_int_equal(areas.at[0].offset, 0x1000);
	assert_int_equal(areas.at[0].size, 0x1000);
	assert_int_equal(areas.at[1].offset, 0x8000);
	assert_int_equal(areas.at[1].size, 0x8000);
	bk_space_visit(bk_mediator_space(f->mediate, 0), 0, 0xffff, is_the_devices, &f->fake);
	for (uint64_t at = 0; at < 0x10000; at += 0x800) {
		uint64_t value;

		bk_space_read(bk_mediator_space(f->mediate, 0), at, 4, &value);
		assert_int_equal(value, fake_pattern(at, 4));
	}
	f->fake.accesses = 0;
	bk_mediator_destroy(f->mediate);
	f->mediate = NULL;

	/* A file that cannot be mapped: the device answers all the same. */
	f->fake.areas[0].count = 1;
	f->fake.areas[0].at[0] = (struct bk_device_area){ 0, 0x10000 };
	fd = region->fd;
	region->fd = 1000;
	open_(f);
	assert_int_equal(bk_device_region(bk_mediator_device(f->mediate), 0, &face), 0);
	areas = areas_of(bk_mediator_device(f->mediate), 0);
	assert_int_equal(areas.count, 0);
	assert_int_equal(bk_space_read(bk_mediator_space(f->mediate, 0), 0x20, 4, &(uint64_t){ 0 }), 0);
	assert_int_equal(f->fake.accesses, 1);
	region->fd = fd;
}

#define WITH_DEVICE(test) cmocka_unit_test_setup_teardown(test, bare_begin, bare_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DEVICE(ids_and_bars_are_the_devices),
		WITH_DEVICE(a_device_without_intx_has_no_pin),
		WITH_DEVICE(master_is_forwarded_and_decoding_stays_on),
		WITH_DEVICE(status_is_live),
		WITH_DEVICE(live_registers_of_a_dead_device_read_all_ones),
		WITH_DEVICE(F29_a_reset_of_the_function_resets_the_device),
		WITH_DEVICE(capabilities_stand_where_the_device_has_them),
		WITH_DEVICE(vital_product_data_can_be_read_but_not_written),
		WITH_DEVICE(interrupts_that_nobody_delivers_are_not_shown),
		WITH_DEVICE(fewer_vectors_below_are_fewer_above),
		WITH_DEVICE(an_express_endpoint_is_integrated_in_the_root_complex),
		WITH_DEVICE(a_short_express_capability_is_shown_as_it_is),
		WITH_DEVICE(an_integrated_endpoint_has_12_bytes_of_express),
		WITH_DEVICE(below_a_port_an_endpoint_keeps_its_link),
		WITH_DEVICE(below_a_port_nothing_is_integrated),
		WITH_DEVICE(without_a_reset_below_no_flr_is_offered),
		WITH_DEVICE(extended_capabilities_that_hold_the_host_are_hidden),
		WITH_DEVICE(what_is_in_no_capability_is_the_devices),
		WITH_DEVICE(without_capabilities_all_is_the_devices),
		WITH_DEVICE(hostile_capabilities_leave_nothing_free),
		WITH_DEVICE(resizable_bars_show_the_size_they_have),
		WITH_DEVICE(a_conventional_device_has_256_bytes),
		WITH_DEVICE(the_rom_is_the_devices_the_users_or_none),
		WITH_DEVICE(a_device_that_does_not_answer_is_refused_with_a_line),
		WITH_DEVICE(chains_that_loop_or_leave_are_cut),
		WITH_DEVICE(noise_in_config_space_refuses_no_device),
		WITH_DEVICE(as_a_device_its_regions_are_the_spaces),
		WITH_DEVICE(each_of_many_areas_is_told),
		WITH_DEVICE(mediators_stack),
		WITH_DEVICE(areas_that_make_no_sense_are_not_mapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
