/* SPDX-License-Identifier: BSD-2-Clause */
/* A fuzz input as operations on a model of the unit tests. */
#ifndef BK_FUZZ_OPS_H
#define BK_FUZZ_OPS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/random_ops.h"

static inline void fuzz_ops(const struct model *model, const uint8_t *data, size_t size)
{
	enum { MOST = 60 };
	struct model_op ops[MOST];
	size_t count = size / sizeof(ops[0]), at;
	const char *wrong;

	count = count < MOST ? count : MOST;
	if (count) /* no bytes may have no address */
		memcpy(ops, data, count * sizeof(ops[0]));
	wrong = model->run(ops, count, &at);
	if (wrong) {
		char line[200];

		fprintf(stderr, "%s at operation %zu of\n", wrong, at);
		for (size_t i = 0; i < count; i++) {
			model->describe(&ops[i], line, sizeof(line));
			fprintf(stderr, "%s\n", line);
		}
		abort();
	}
}

#endif
