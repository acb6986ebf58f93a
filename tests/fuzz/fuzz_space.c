/* SPDX-License-Identifier: BSD-2-Clause */
/* Operations on the address space out of any bytes, compared with the model of the unit tests. */
#include "../unit/space_model.h"

#include "ops.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_ops(&space_model, data, size);
	return 0;
}
