/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds the functions below. */
#undef _FILE_OFFSET_BITS
#include "wrap/real.h"

#include <dlfcn.h>
#include <errno.h>

/* A function that the C library lacks fails as an old kernel would. */
#define MISSING(result, name, parameters, arguments) \
	static result missing_##name parameters      \
	{                                            \
		errno = ENOSYS;                      \
		return (result)-1;                   \
	}

#define FIND(result, name, parameters, arguments)                                                        \
	static void find_##name(void)                                                                    \
	{                                                                                                \
		result(*found) parameters = (result(*) parameters)dlsym(RTLD_NEXT, #name);               \
                                                                                                         \
		__atomic_store_n(&bk__wrap_real.name, found ? found : missing_##name, __ATOMIC_RELAXED); \
	}

#define FIRST(result, name, parameters, arguments)   \
	static result first_##name parameters        \
	{                                            \
		find_##name();                       \
		return bk__wrap_real.name arguments; \
	}

#define MEMBER(result, name, parameters, arguments) .name = first_##name,
#define CALL(result, name, parameters, arguments)   find_##name();

#pragma GCC diagnostic ignored "-Wpedantic" /* POSIX: what dlsym gives may be a function */

BK__WRAP_REAL(MISSING)
BK__WRAP_REAL(FIND)
BK__WRAP_REAL(FIRST)

struct bk__wrap_real bk__wrap_real = { BK__WRAP_REAL(MEMBER) };

void bk__wrap_real_find(void)
{
	BK__WRAP_REAL(CALL)
}
