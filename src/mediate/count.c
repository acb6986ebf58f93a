/* SPDX-License-Identifier: BSD-2-Clause */
/* Identifies the thread that counts. */
#include "mediate/count.h"

__thread char bk__mediate_counting_thread;
