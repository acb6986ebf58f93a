/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random operations on the address space and on a dumb model of it.
 *
 * BK_TEST_SEED repeats a run, BK_TEST_OPS makes it longer. A failing list of
 * operations is shrunk and printed so that it can be put into a test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "space_model.h"

enum { LIST = 400 };

static uint64_t next(uint64_t *seed)
{
	uint64_t x = *seed += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/* Leaves out what is not needed for a failure, in ever smaller pieces. */
static size_t shrink(struct model_op *ops, size_t count)
{
	struct model_op fewer[LIST];
	size_t at;

	for (size_t piece = count / 2; piece; piece = count < 8 && piece > 1 ? 1 : piece / 2) {
		for (size_t from = 0; from + piece <= count;) {
			memcpy(fewer, ops, from * sizeof(*ops));
			memcpy(fewer + from, ops + from + piece, (count - from - piece) * sizeof(*ops));
			if (model_run(fewer, count - piece, &at)) {
				count -= piece;
				memcpy(ops, fewer, count * sizeof(*ops));
			} else {
				from += piece;
			}
		}
	}
	return count;
}

static void report(struct model_op *ops, size_t count, uint64_t seed)
{
	const char *wrong;
	char line[200];
	size_t at;

	count = shrink(ops, count);
	wrong = model_run(ops, count, &at);
	printf("seed %llu: %s at operation %zu of\n", (unsigned long long)seed,
	       wrong ? wrong : "not seen again", at);
	for (size_t i = 0; i < count; i++) {
		model_describe(&ops[i], line, sizeof(line));
		printf("\t%s\n", line);
	}
}

static void random_operations_go_as_in_the_model(void **state)
{
	const char *seed_text = getenv("BK_TEST_SEED"), *ops_text = getenv("BK_TEST_OPS");
	uint64_t seed = seed_text ? strtoull(seed_text, NULL, 0) : (uint64_t)time(NULL) * 1000003;
	size_t total = ops_text ? strtoull(ops_text, NULL, 0) : 1000000;

	for (size_t done = 0; done < total; done += LIST) {
		uint64_t start = seed + done, x = start;
		struct model_op ops[LIST];
		const char *wrong;
		size_t at;

		for (unsigned i = 0; i < LIST; i++) {
			uint64_t r = next(&x);

			ops[i] = (struct model_op){ (uint8_t)r, (uint8_t)(r >> 8), (uint8_t)(r >> 16),
						    (uint8_t)(r >> 24), (uint32_t)(r >> 32) };
		}
		wrong = model_run(ops, LIST, &at);
		if (wrong) {
			report(ops, LIST, start);
			fail_msg("seed %llu: %s", (unsigned long long)start, wrong);
		}
	}
	printf("seed %llu, %zu operations\n", (unsigned long long)seed, total);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_operations_go_as_in_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
