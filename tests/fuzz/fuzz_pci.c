/* SPDX-License-Identifier: BSD-2-Clause */
/* Config accesses, hot plug and resets out of any bytes, compared with the model of the unit tests. */
#include <barkeep/base.h>

#include "../unit/pci_model.h"

#include "ops.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void quiet(void *opaque, enum bk_log_level level, const char *line)
{
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bk_log_set(quiet, NULL);
	fuzz_ops(&pci_model, data, size);
	return 0;
}
