/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A dumb model of the address space, byte by byte and without a view, and a
 * machine that drives it and the real one with the same operations.
 *
 * An operation is four random words that are interpreted by the state they
 * meet, so that a list of them stays a list of operations when some are left
 * out: that is how a failing list is shrunk, and what a fuzzer mutates.
 */
#ifndef TESTS_SPACE_MODEL_H
#define TESTS_SPACE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct model_op {
	uint8_t what, a, b, c;
	uint32_t x;
};

/* Runs the operations. NULL if all went as the model says, else what did not; `*at`: which operation. */
const char *model_run(const struct model_op *ops, size_t count, size_t *at);

/* One line that tells what an operation asks for. */
void model_describe(const struct model_op *op, char *line, size_t size);

#endif
