/* SPDX-License-Identifier: BSD-2-Clause */
/* A device made up by a test: config bytes, BARs in a memory file, and a record of each access to them. */
#ifndef BARKEEP_TEST_FAKE_DEVICE_H
#define BARKEEP_TEST_FAKE_DEVICE_H

#include <pthread.h>

#include <barkeep/device.h>

#include "areas.h"

#define FAKE_ACCESSES 4096

struct fake_access {
	unsigned region;
	uint64_t offset;
	size_t count;
	bool write;
	uint64_t value; /* of up to 8 bytes */
};

struct fake {
	struct bk_device device;
	struct bk_device_info info;
	struct bk_device_region regions[BK_DEVICE_REGIONS];
	struct areas areas[BK_DEVICE_REGIONS];
	uint8_t *bytes[BK_DEVICE_REGIONS]; /* NULL: no contents, reads give 0 */
	struct bk_device_irq irqs[BK_DEVICE_IRQS];
	uint8_t config[4096];

	pthread_mutex_t lock;
	struct fake_access access[FAKE_ACCESSES]; /* of BARs and ROM, the first so many */
	unsigned accesses;
	unsigned config_writes;
	struct fake_access config_write; /* the last one */

	uint8_t *host_config; /* what the host hides, or NULL: nothing; 4096 bytes */
	int host_config_size; /* how much of it it shows, or a negative errno */

	int fail;        /* errno that BAR and ROM accesses give */
	int config_fail; /* and those to config space */
	int reset_result;
	unsigned resets;
	bool closed;
};

/* An endpoint 1234:5678 with INTA, without BARs and capabilities. */
void fake_init(struct fake *fake);
void fake_done(struct fake *fake);

/* `low`: the bits of the register that tell its kind. Contents are byte n = n * 7 + n / 256. `mapped`: all of
 * it in one area. */
void fake_bar(struct fake *fake, unsigned bar, unsigned low, uint64_t size, bool mapped);

/* Bytes of config space as an integer. */
void fake_put(struct fake *fake, unsigned offset, unsigned width, uint64_t value);
uint64_t fake_get(const struct fake *fake, unsigned offset, unsigned width);

/* What a read of a BAR at this offset and width gives. */
uint64_t fake_pattern(uint64_t offset, unsigned width);

/* MSI-X with its table and PBA where they are said to be. */
void fake_msix(struct fake *fake, unsigned offset, unsigned next, unsigned vectors, uint32_t table,
	       uint32_t pba);

#endif
