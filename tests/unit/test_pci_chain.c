/* SPDX-License-Identifier: BSD-2-Clause */
/* Chains of capabilities as devices have them, good and bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "pci/chain.h"

static uint8_t config[BK__PCI_CONFIG_SIZE];

static void standard(unsigned at, unsigned id, unsigned next)
{
	config[at] = (uint8_t)id;
	config[at + 1] = (uint8_t)next;
}

static void extended(unsigned at, unsigned id, unsigned version, unsigned next)
{
	bk__store(config + at, 4, id | version << 16 | next << 20);
}

static int clean(void **state)
{
	(void)state;
	memset(config, 0, sizeof(config));
	config[6] = 0x10;
	return 0;
}

/* Walks, and checks where it was. */
static struct bk__pci_chain walk(unsigned size, bool is_extended, const unsigned *places, unsigned count)
{
	struct bk__pci_chain chain;
	unsigned i = 0;

	bk__pci_chain_begin(&chain, config, size, is_extended);
	for (; bk__pci_chain_next(&chain); i++) {
		assert_true(i < count);
		assert_int_equal(chain.at, places[i]);
	}
	assert_int_equal(i, count);
	return chain;
}

static void in_order(void **state)
{
	const unsigned places[] = { 0x50, 0x40, 0xf8 };
	struct bk__pci_chain chain;

	(void)state;
	config[0x34] = 0x53; /* the low bits mean nothing */
	standard(0x50, 0x05, 0x41);
	standard(0x40, 0x11, 0xf8);
	standard(0xf8, 0x01, 0);
	chain = walk(256, false, places, 3);
	assert_int_equal(chain.end, BK__PCI_CHAIN_ENDS);
	assert_int_equal(chain.pointer, 0xf9);
	assert_int_equal(bk__pci_chain_find(config, 256, false, 0x11), 0x40);
	assert_int_equal(bk__pci_chain_find(config, 256, false, 0x10), 0);
	bk__pci_chain_begin(&chain, config, 256, false);
	assert_true(bk__pci_chain_next(&chain));
	assert_int_equal(chain.pointer, 0x34);
	assert_int_equal(chain.next, 0x40);
	assert_true(bk__pci_chain_next(&chain));
	assert_int_equal(chain.pointer, 0x51);
	config[6] = 0;
	assert_int_equal(walk(256, false, NULL, 0).end, BK__PCI_CHAIN_ENDS);
	assert_int_equal(walk(0x20, false, NULL, 0).end, BK__PCI_CHAIN_ENDS); /* not even a header */
}

static void in_order_extended(void **state)
{
	const unsigned places[] = { 0x100, 0xffc, 0x200 };
	struct bk__pci_chain chain;

	(void)state;
	extended(0x100, 0x0b, 1, 0xffe);
	extended(0xffc, 0x23, 2, 0x200);
	extended(0x200, 0x01, 3, 0);
	chain = walk(4096, true, places, 3);
	assert_int_equal(chain.end, BK__PCI_CHAIN_ENDS);
	assert_int_equal(chain.pointer, 0x200);
	assert_int_equal(bk__pci_chain_find(config, 4096, true, 0x23), 0xffc);
	assert_int_equal(bk__pci_chain_find(config, 256, true, 0x23), 0);
	bk__pci_chain_begin(&chain, config, 4096, true);
	assert_true(bk__pci_chain_next(&chain));
	assert_int_equal(chain.pointer, 0);
	assert_int_equal(chain.version, 1);
	assert_true(bk__pci_chain_next(&chain));
	assert_int_equal(chain.pointer, 0x100);
	assert_int_equal(chain.version, 2);
}

static void none_extended(void **state)
{
	(void)state;
	assert_int_equal(walk(4096, true, NULL, 0).end, BK__PCI_CHAIN_ENDS);
	bk__store(config + 0x100, 4, UINT32_MAX);
	assert_int_equal(walk(4096, true, NULL, 0).end, BK__PCI_CHAIN_ENDS);
}

static void loops(void **state)
{
	const unsigned places[] = { 0x40, 0x60 }, places_extended[] = { 0x100, 0x140 };
	struct bk__pci_chain chain;

	(void)state;
	config[0x34] = 0x40;
	standard(0x40, 0x05, 0x60);
	standard(0x60, 0x05, 0x40);
	chain = walk(256, false, places, 2);
	assert_int_equal(chain.end, BK__PCI_CHAIN_BROKEN);
	assert_int_equal(chain.at, 0x40);
	extended(0x100, 1, 1, 0x140);
	extended(0x140, 2, 1, 0x140);
	chain = walk(4096, true, places_extended, 2);
	assert_int_equal(chain.end, BK__PCI_CHAIN_BROKEN);
	assert_int_equal(chain.at, 0x140);
}

/* All 48 places, and all 960: the longest chains there can be. */
static void longest(void **state)
{
	unsigned places[960];

	(void)state;
	config[0x34] = 0x40;
	for (unsigned i = 0; i < 48; i++) {
		places[i] = 0x40 + 4 * i;
		standard(places[i], 0xff, i == 47 ? 0 : places[i] + 4);
	}
	assert_int_equal(walk(256, false, places, 48).end, BK__PCI_CHAIN_ENDS);
	for (unsigned i = 0; i < 960; i++) {
		places[i] = 0x100 + 4 * i;
		extended(places[i], 1, 0, i == 959 ? 0 : places[i] + 4);
	}
	assert_int_equal(walk(4096, true, places, 960).end, BK__PCI_CHAIN_ENDS);
}

static void leads_outside(void **state)
{
	const unsigned places[] = { 0x40 }, places_extended[] = { 0x100 };
	struct bk__pci_chain chain;

	(void)state;
	config[0x34] = 0x40;
	standard(0x40, 0x05, 0x3c);
	chain = walk(256, false, places, 1);
	assert_int_equal(chain.end, BK__PCI_CHAIN_BROKEN);
	assert_int_equal(chain.at, 0x3c);
	/* A device that has 0x52 bytes has none at 0x50: its header would end behind them. */
	standard(0x40, 0x05, 0x50);
	chain = walk(0x52, false, places, 1);
	assert_int_equal(chain.end, BK__PCI_CHAIN_BROKEN);
	assert_int_equal(chain.at, 0x50);
	extended(0x100, 1, 1, 0x40);
	chain = walk(4096, true, places_extended, 1);
	assert_int_equal(chain.end, BK__PCI_CHAIN_BROKEN);
	assert_int_equal(chain.at, 0x40);
}

struct reads {
	unsigned left;
};

static bool read_some(void *opaque, unsigned offset, unsigned width, uint32_t *value)
{
	struct reads *reads = opaque;

	if (!reads->left)
		return false;
	reads->left--;
	*value = (uint32_t)bk__load(config + offset, width);
	return true;
}

static void unreadable(void **state)
{
	(void)state;
	config[0x34] = 0x40;
	standard(0x40, 0x05, 0x50);
	standard(0x50, 0x11, 0);
	for (unsigned works = 0; works <= 4; works++) {
		struct reads reads = { works };
		struct bk__pci_chain chain;
		unsigned count = 0;

		bk__pci_chain_begin_read(&chain, 256, false, read_some, &reads);
		while (bk__pci_chain_next(&chain))
			count++;
		/* STATUS, the pointer, then a capability each. */
		assert_int_equal(count, works < 2 ? 0 : works - 2);
		assert_int_equal(chain.end, works < 4 ? BK__PCI_CHAIN_UNREADABLE : BK__PCI_CHAIN_ENDS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(in_order, clean),
		cmocka_unit_test_setup(in_order_extended, clean),
		cmocka_unit_test_setup(none_extended, clean),
		cmocka_unit_test_setup(loops, clean),
		cmocka_unit_test_setup(longest, clean),
		cmocka_unit_test_setup(leads_outside, clean),
		cmocka_unit_test_setup(unreadable, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
