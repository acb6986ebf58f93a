/* SPDX-License-Identifier: BSD-2-Clause */
/* Operations on the address space out of any bytes, compared with the model of the unit tests. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/space_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { MOST = 60 };
	struct model_op ops[MOST];
	size_t count = size / sizeof(ops[0]), at;
	const char *wrong;

	count = count < MOST ? count : MOST;
	memcpy(ops, data, count * sizeof(ops[0]));
	wrong = model_run(ops, count, &at);
	if (wrong) {
		char line[200];

		fprintf(stderr, "%s at operation %zu of\n", wrong, at);
		for (size_t i = 0; i < count; i++) {
			model_describe(&ops[i], line, sizeof(line));
			fprintf(stderr, "%s\n", line);
		}
		abort();
	}
	return 0;
}
