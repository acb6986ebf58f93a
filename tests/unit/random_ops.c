/* SPDX-License-Identifier: BSD-2-Clause */
/* Random lists of operations; a failing one is shrunk. */
#include "random_ops.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

enum { LIST = 400 }; /* the longest */

static uint64_t next(uint64_t *seed)
{
	uint64_t x = *seed += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/* Leaves out what is not needed for a failure, in ever smaller pieces. */
static size_t shrink(const struct model *model, struct model_op *ops, size_t count)
{
	struct model_op fewer[LIST];
	size_t at;

	for (size_t piece = count / 2; piece; piece = count < 8 && piece > 1 ? 1 : piece / 2) {
		for (size_t from = 0; from + piece <= count;) {
			memcpy(fewer, ops, from * sizeof(*ops));
			memcpy(fewer + from, ops + from + piece, (count - from - piece) * sizeof(*ops));
			if (model->run(fewer, count - piece, &at)) {
				count -= piece;
				memcpy(ops, fewer, count * sizeof(*ops));
			} else {
				from += piece;
			}
		}
	}
	return count;
}

static void report(const struct model *model, struct model_op *ops, size_t count, uint64_t seed)
{
	const char *wrong;
	char line[200];
	size_t at;

	count = shrink(model, ops, count);
	wrong = model->run(ops, count, &at);
	printf("seed %llu: %s at operation %zu of\n", (unsigned long long)seed,
	       wrong ? wrong : "not seen again", at);
	for (size_t i = 0; i < count; i++) {
		model->describe(&ops[i], line, sizeof(line));
		printf("\t%s\n", line);
	}
}

void random_ops(const struct model *model, size_t list, size_t total)
{
	const char *seed_text = getenv("BK_TEST_SEED"), *ops_text = getenv("BK_TEST_OPS");
	uint64_t seed = seed_text ? strtoull(seed_text, NULL, 0) : (uint64_t)time(NULL) * 1000003;

	total = ops_text ? strtoull(ops_text, NULL, 0) : total;
	list = list < LIST ? list : LIST;
	for (size_t done = 0; done < total; done += list) {
		uint64_t start = seed + done, x = start;
		struct model_op ops[LIST];
		const char *wrong;
		size_t at;

		for (size_t i = 0; i < list; i++) {
			uint64_t r = next(&x);

			ops[i] = (struct model_op){ (uint8_t)r, (uint8_t)(r >> 8), (uint8_t)(r >> 16),
						    (uint8_t)(r >> 24), (uint32_t)(r >> 32) };
		}
		wrong = model->run(ops, list, &at);
		if (wrong) {
			report(model, ops, list, start);
			fail_msg("seed %llu: %s", (unsigned long long)start, wrong);
		}
	}
	printf("seed %llu, %zu operations\n", (unsigned long long)seed, total);
}
