/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Config space without traps: the function's registers, with the bits that are read from the device or
 * written to it.
 *
 * The device gets writes that its driver needs and hosts let through: bytes in no capability, those of
 * vendors' capabilities, error reporting, Device Control except the payload size (all of a hierarchy must
 * agree on that), and bus mastering. A write that reaches neither the device nor the model is counted.
 */
#include "mediate/filter.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/pci_regs.h"
#include "pci/regs.h"

/* False if all bytes are ones: no device, or a virtual function whose device failed (the host still gives its
 * ids). */
static bool answers(const struct bk_mediator *m)
{
	if (bk__load(m->config + BK__PCI_VENDOR, 2) == 0xffff)
		return false;
	for (unsigned i = BK__PCI_COMMAND; i < BK__PCI_HEADER_END; i++)
		if (m->config[i] != 0xff)
			return true;
	return false;
}

int bk__mediate_config_load(struct bk_mediator *m, struct bk_error *err)
{
	uint64_t size = m->regions[BK_DEVICE_CONFIG].info.size;
	int r;

	if (size < BK__PCI_HEADER_END)
		return bk_fail(err, ENODEV,
			       "%s: does not answer as a PCI device (a config space of %" PRIu64 " bytes)",
			       m->below->name, size);
	m->config_size = size < BK__PCI_CONFIG_SIZE ? BK__PCI_EXTENDED : BK__PCI_CONFIG_SIZE;
	m->config_below = size < m->config_size ? (unsigned)size : m->config_size;
	if (m->config_below < m->config_size)
		bk_log(BK_LOG_WARNING,
		       "%s: a config space of %" PRIu64 " bytes (256 or 4096): the rest of 256 is 0",
		       m->below->name, size);
	r = bk_device_read(m->below, BK_DEVICE_CONFIG, 0, m->config, m->config_below);
	if (r < 0)
		return bk_fail(err, -r, "%s: config space cannot be read: %s", m->below->name, strerror(-r));
	if (!answers(m))
		return bk_fail(err, ENODEV,
			       "%s: the device does not answer (its registers read 0x%04" PRIx64 ")",
			       m->below->name, bk__load(m->config + BK__PCI_COMMAND, 2));

	/* STATUS is the device's, except the bit that says whether there are capabilities.
	 */
	bk__store(m->live + BK__PCI_STATUS, 2, 0xffff & ~BK__PCI_STATUS_CAP_LIST);
	bk__store(m->w1c + BK__PCI_STATUS, 2, BK__PCI_STATUS_ERRORS);
	return 0;
}

void bk__mediate_config_ready(struct bk_mediator *m)
{
	for (unsigned i = 0; i < m->config_size; i++)
		if (m->live[i] || m->free[i])
			m->mixed[i / 128] |= 1u << i / 4 % 32;
}

/* Is any byte of the register with this one the device's? */
static bool is_mixed(const struct bk_mediator *m, uint64_t at)
{
	return m->mixed[at / 128] >> at / 4 % 32 & 1;
}

/* Bit i is set if byte i is the device's own, and no capability has been added there since. */
static unsigned own(struct bk_mediator *m, uint64_t offset, unsigned width)
{
	unsigned bits = 0;

	for (unsigned i = 0; i < width; i++)
		bits |= (unsigned)m->free[offset + i] << i;
	return bits ? bits & ~bk__pci_capability_holds(m->function, (unsigned)offset, width) : 0;
}

/* Bit i is set if bits of byte i are written to the device. */
static unsigned passed(struct bk_mediator *m, uint64_t offset, unsigned width)
{
	unsigned bits = 0, free = 0;

	for (unsigned i = 0; i < width; i++) {
		bits |= (unsigned)!!m->passed[offset + i] << i;
		free |= (unsigned)m->free[offset + i] << i;
	}
	return bits & free ? bits & (~free | own(m, offset, width)) : bits;
}

/* Reads 1, 2 or 4 bytes, of which some may be the device's. */
static __attribute__((noinline)) int mixed_read(struct bk_mediator *m, uint64_t offset, unsigned width,
						uint64_t *value)
{
	uint64_t live, device;
	unsigned bits;
	int r = bk_pci_function_read(m->function, (unsigned)offset, width, value);

	/* During a reset no bits are live, and the host may block a read. */
	if (bk_pci_function_in_reset(m->function))
		return r;
	live = bk__load(m->live + offset, width);
	bits = own(m, offset, width);
	for (unsigned i = 0; i < width; i++)
		live |= bits >> i & 1 ? (uint64_t)0xff << 8 * i : 0;
	if (r || !live)
		return r;
	r = bk_device_read_value(m->below, BK_DEVICE_CONFIG, offset, width, &device);
	if (!r)
		*value = (*value & ~live) | (device & live);
	return r;
}

static __attribute__((noinline)) int halves_read(struct bk_mediator *m, uint64_t offset, uint64_t *value)
{
	uint64_t high;
	int r = bk__mediate_config_read(m, offset, 4, value);

	if (!r)
		r = bk__mediate_config_read(m, offset + 4, 4, &high);
	if (!r)
		*value |= high << 32;
	return r;
}

int bk__mediate_config_read(struct bk_mediator *m, uint64_t offset, unsigned width, uint64_t *value)
{
	if (m->filter)
		return bk__mediate_filter_read(m, offset, width, value);
	if (width == 8)
		return halves_read(m, offset, value);
	if (is_mixed(m, offset) || is_mixed(m, offset + width - 1))
		return mixed_read(m, offset, width, value);
	return bk_pci_function_read(m->function, (unsigned)offset, width, value);
}

/* Registers of which the device gets the model's value after the write, which may have caused a reset.
 */
static bool is_modelled(const struct bk_mediator *m, uint64_t at)
{
	return (m->control[0] && at - m->control[0] < 2) || (m->control[1] && at - m->control[1] < 2);
}

/* Passes one write on, with the device's own value in bits that are not the guest's. */
static int write_whole(struct bk_mediator *m, uint64_t offset, unsigned width, uint64_t value)
{
	const uint64_t mask = bk__load(m->passed + offset, width);
	uint64_t there = 0;
	int r = 0;

	if (is_modelled(m, offset)) {
		r = bk_pci_function_read(m->function, (unsigned)offset, width, &value);
		if (bk_pci_function_in_reset(m->function))
			return 0; /* the value is not the device's then */
	}
	if (!r && mask != UINT64_MAX >> (64 - 8 * width))
		r = bk_device_read_value(m->below, BK_DEVICE_CONFIG, offset, width, &there);
	if (!r)
		r = bk_device_write_value(m->below, BK_DEVICE_CONFIG, offset, width,
					  (value & mask) | (there & ~mask));
	return r;
}

/* Writes the bytes whose bit is set, at the guest's width if all are. */
static int write_passed(struct bk_mediator *m, uint64_t offset, unsigned width, uint64_t value, unsigned bits)
{
	const unsigned half = width / 2;
	int r, other;

	if (!bits)
		return 0;
	if (bits == (1u << width) - 1)
		return write_whole(m, offset, width, value);
	r = write_passed(m, offset, half, value, bits & ((1u << half) - 1));
	other = write_passed(m, offset + half, half, value >> 8 * half, bits >> half);
	return r ? r : other;
}

/* Byte by byte, so that the neighbours of a byte that clears bits are not touched. */
static int write_clears(struct bk_mediator *m, uint64_t offset, unsigned width, uint64_t clear)
{
	int r = 0;

	for (unsigned i = 0; !r && i < width; i++)
		if (clear >> 8 * i & 0xff)
			r = bk_device_write_value(m->below, BK_DEVICE_CONFIG, offset + i, 1,
						  clear >> 8 * i & 0xff);
	return r;
}

/* Logs a write without effect once for each register, except in the header, which drivers probe by writes. */
static void count_lost(struct bk_mediator *m, uint64_t offset, unsigned width, uint64_t value)
{
	const uint64_t at = offset & ~(uint64_t)3;
	const uint32_t bit = 1u << at / 4 % 32;

	if (offset < BK__PCI_HEADER_END)
		return;
	__atomic_fetch_add(&m->lost, 1, __ATOMIC_RELAXED);
	if (!(__atomic_fetch_or(&m->lost_told[at / 128], bit, __ATOMIC_RELAXED) & bit))
		bk_log(BK_LOG_INFO,
		       "%s: config+0x%" PRIx64 ": a write of 0x%0*" PRIx64
		       " has no effect: that register is read-only here (logged once)",
		       m->below->name, offset, (int)(2 * width), value);
}

int bk__mediate_config_write(struct bk_mediator *m, uint64_t offset, unsigned width, uint64_t value)
{
	unsigned bits;
	uint64_t clears;
	int r;

	if (m->filter)
		return bk__mediate_filter_write(m, offset, width, value);
	if (width == 8) {
		r = bk__mediate_config_write(m, offset, 4, value);
		return r ? r : bk__mediate_config_write(m, offset + 4, 4, value >> 32);
	}
	if (bk_pci_function_in_reset(m->function))
		return 0; /* the write has no effect */
	r = bk_pci_function_write(m->function, (unsigned)offset, width, value);
	if (r)
		return r;
	bits = passed(m, offset, width);
	clears = bk__load(m->w1c + offset, width);
	r = write_clears(m, offset, width, value & clears);
	if (!r)
		r = write_passed(m, offset, width, value, bits);
	if (!r && bk__mediate_vpd_reads(m, offset, width, value))
		return bk__mediate_vpd_request(m, offset, value);
	if (!bits && !clears && !bk__pci_registers_take(m->function, (unsigned)offset, width))
		count_lost(m, offset, width, value);
	return r;
}

/*
 * MASTER follows the guest. IO and MEM stay on for as long as the device is
 * open, whatever the guest does: mappings of its BARs would raise SIGBUS
 * otherwise. The guest's bits drive only its map.
 */
int bk__mediate_command(struct bk_mediator *m)
{
	uint64_t now, wanted;
	int r = bk_device_read_value(m->below, BK_DEVICE_CONFIG, BK__PCI_COMMAND, 2, &now);

	if (r)
		return r;
	wanted =
		(now & ~(uint64_t)BK__PCI_COMMAND_MASTER) | m->decode | (m->command & BK__PCI_COMMAND_MASTER);
	return wanted == now ? 0
			     : bk_device_write_value(m->below, BK_DEVICE_CONFIG, BK__PCI_COMMAND, 2, wanted);
}
