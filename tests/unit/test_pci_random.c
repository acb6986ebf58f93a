/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * F03 and all that a guest can do at once: config writes of any width to any
 * function of random hierarchies, resets, and functions that come and go. After
 * each, all registers and the whole map are those of a model that computes them
 * from the registers alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "pci_model.h"

static void F03_the_map_is_that_of_the_registers_alone(void **state)
{
	random_ops(&pci_model, 200, 40000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(F03_the_map_is_that_of_the_registers_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
