/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Allocations that fail when a test says so. A program includes this once,
 * defines fails(), and is linked with --wrap for these four: the linker gives
 * our code the wrappers instead of the C library's functions.
 */
#ifndef BARKEEP_TESTS_FAILING_H
#define BARKEEP_TESTS_FAILING_H

#include <stdbool.h>
#include <stddef.h>

/* Does this allocation fail? */
static bool fails(void);

#define FAILING(type, name, parameters, failure, ...) \
	type __real_##name parameters;                \
	type __wrap_##name parameters;                \
	type __wrap_##name parameters                 \
	{                                             \
		if (fails())                          \
			return failure;               \
		return __real_##name(__VA_ARGS__);    \
	}

FAILING(void *, malloc, (size_t size), NULL, size)
FAILING(void *, calloc, (size_t count, size_t size), NULL, count, size)
FAILING(void *, realloc, (void *old, size_t size), NULL, old, size)
FAILING(char *, strdup, (const char *text), NULL, text)

#endif
