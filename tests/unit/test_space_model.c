/* SPDX-License-Identifier: BSD-2-Clause */
/* Random operations on the address space and on a dumb model of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "space_model.h"

static void random_operations_go_as_in_the_model(void **state)
{
	random_ops(&space_model, 400, 1000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_operations_go_as_in_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
