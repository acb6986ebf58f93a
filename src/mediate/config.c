/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Config space without traps: the function's registers, with the bits of the
 * device that stay live, and the one bit of COMMAND that goes to the device.
 *
 * Bytes that are in no capability are the device's own, read at each access and
 * below 0x100 also written. Not above: a host may take capabilities that it does not
 * know out of that chain, PASID among them, and what is a register of those
 * cannot be told from what is one of the device's.
 */
#include "mediate/filter.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "pci/cap.h"

#define VENDOR       0x00
#define HEADER       0x40
#define CONVENTIONAL 0x100

/* PCI 3.0 6.2.2 */
#define COMMAND         0x04
#define COMMAND_IO      0x0001
#define COMMAND_MEMORY  0x0002
#define COMMAND_MASTER  0x0004
#define STATUS          0x06
#define STATUS_CAP_LIST 0x0010
#define STATUS_ERRORS   0xf900 /* write 1 to clear */
#define EXTENDED        0x100

/* All ones: nothing is there, or a virtual function whose device is in trouble, of which the host still knows
 * the ids. */
static bool answers(const struct bk_mediate *m)
{
	if (bk__load(m->config + VENDOR, 2) == 0xffff)
		return false;
	for (unsigned i = COMMAND; i < HEADER; i++)
		if (m->config[i] != 0xff)
			return true;
	return false;
}

int bk__mediate_config_load(struct bk_mediate *m, struct bk_error *err)
{
	uint64_t size = m->regions[BK_DEVICE_CONFIG].info.size;
	int r;

	if (size < HEADER)
		return bk_fail(err, ENODEV,
			       "%s: does not answer as a PCI device (a config space of %" PRIu64 " bytes)",
			       m->below->name, size);
	m->config_size = size < BK__CONFIG_MAX ? CONVENTIONAL : BK__CONFIG_MAX;
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
			       m->below->name, bk__load(m->config + COMMAND, 2));

	/* STATUS tells what the device met, but for the bit that says whether there are capabilities. */
	bk__store(m->live + STATUS, 2, 0xffff & ~STATUS_CAP_LIST);
	bk__store(m->w1c + STATUS, 2, STATUS_ERRORS);
	return 0;
}

/* Which of these bytes are the device's own: bit i for byte i. A capability may have been added since. */
static unsigned own(struct bk_mediate *m, uint64_t offset, unsigned width)
{
	unsigned bits = 0;

	for (unsigned i = 0; i < width; i++)
		bits |= (unsigned)m->free[offset + i] << i;
	return bits ? bits & ~bk__capability_holds(m->function, (unsigned)offset, width) : 0;
}

int bk__mediate_config_read(struct bk_mediate *m, uint64_t offset, unsigned width, uint64_t *value)
{
	uint64_t live, device;
	unsigned bits;
	int r;

	if (m->filter)
		return bk__mediate_filter_read(m, offset, width, value);
	if (width == 8) {
		uint64_t high;

		r = bk__mediate_config_read(m, offset, 4, value);
		if (!r)
			r = bk__mediate_config_read(m, offset + 4, 4, &high);
		if (!r)
			*value |= high << 32;
		return r;
	}
	r = bk_pci_function_read(m->function, (unsigned)offset, width, value);
	/* Nothing of the device is live, and the host may block who asks it. */
	if (bk_pci_function_in_reset(m->function))
		return r;
	live = bk__load(m->live + offset, width);
	bits = own(m, offset, width);
	for (unsigned i = 0; i < width; i++)
		live |= bits >> i & 1 ? (uint64_t)0xff << 8 * i : 0;
	if (r || !live)
		return r;
	r = bk__device_read(m, BK_DEVICE_CONFIG, offset, width, &device);
	if (!r)
		*value = (*value & ~live) | (device & live);
	return r;
}

/* Writes those bytes of which the bit is set, at the guest's width where that is all. */
static int write_own(struct bk_mediate *m, uint64_t offset, unsigned width, uint64_t value, unsigned bits)
{
	const unsigned half = width / 2;
	int r, other;

	if (!bits)
		return 0;
	if (bits == (1u << width) - 1)
		return bk__device_write(m, BK_DEVICE_CONFIG, offset, width, value);
	r = write_own(m, offset, half, value, bits & ((1u << half) - 1));
	other = write_own(m, offset + half, half, value >> 8 * half, bits >> half);
	return r ? r : other;
}

int bk__mediate_config_write(struct bk_mediate *m, uint64_t offset, unsigned width, uint64_t value)
{
	uint64_t clear;
	int r;

	if (m->filter)
		return bk__mediate_filter_write(m, offset, width, value);
	if (width == 8) {
		r = bk__mediate_config_write(m, offset, 4, value);
		return r ? r : bk__mediate_config_write(m, offset + 4, 4, value >> 32);
	}
	if (bk_pci_function_in_reset(m->function))
		return 0; /* nobody takes it */
	r = bk_pci_function_write(m->function, (unsigned)offset, width, value);
	/* By bytes: a neighbour of a byte that clears bits is none of the guest's business. */
	clear = value & bk__load(m->w1c + offset, width);
	for (unsigned i = 0; !r && i < width; i++)
		if (clear >> 8 * i & 0xff)
			r = bk__device_write(m, BK_DEVICE_CONFIG, offset + i, 1, clear >> 8 * i & 0xff);
	if (!r && offset < EXTENDED)
		r = write_own(m, offset, width, value, own(m, offset, width));
	return r ? r : bk__mediate_vpd(m, offset, width, value);
}

/*
 * MASTER follows the guest. IO and MEM stay on for as long as the device is
 * open, whatever the guest does: mappings of its BARs would raise SIGBUS
 * otherwise. The guest's bits drive only its map.
 */
int bk__mediate_command(struct bk_mediate *m)
{
	uint64_t now, wanted;
	int r = bk__device_read(m, BK_DEVICE_CONFIG, COMMAND, 2, &now);

	if (r)
		return r;
	wanted = (now & ~(uint64_t)COMMAND_MASTER) | m->decode | (m->command & COMMAND_MASTER);
	return wanted == now ? 0 : bk__device_write(m, BK_DEVICE_CONFIG, COMMAND, 2, wanted);
}
