/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random operations for a machine that drives the real thing and a dumb model
 * of it, and compares them.
 *
 * An operation is random words that are interpreted by the state they meet, so
 * that a list of them stays a list of operations when some are left out: that
 * is how a failing list is shrunk, and what a fuzzer mutates.
 */
#ifndef TESTS_RANDOM_OPS_H
#define TESTS_RANDOM_OPS_H

#include <stddef.h>
#include <stdint.h>

struct model_op {
	uint8_t what, a, b, c;
	uint32_t x;
};

struct model {
	/* Runs the operations on a new machine. NULL if all went as the model says, else what did not;
	 * `*at`: which operation. */
	const char *(*run)(const struct model_op *ops, size_t count, size_t *at);
	/* One line that tells what an operation asks for. */
	void (*describe)(const struct model_op *op, char *line, size_t size);
};

/*
 * A test: `total` operations in lists of `list`. BK_TEST_SEED repeats a run, BK_TEST_OPS makes it longer. A
 * failing list is shrunk and printed so that it can be put into a test.
 */
void random_ops(const struct model *model, size_t list, size_t total);

#endif
