/* SPDX-License-Identifier: BSD-2-Clause */
/* What tells the threads that count apart. */
#include "mediate/count.h"

__thread char bk__mediate_counting_thread;
