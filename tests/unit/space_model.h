/* SPDX-License-Identifier: BSD-2-Clause */
/* A dumb model of the address space, byte by byte and without a view, beside the real one. */
#ifndef TESTS_SPACE_MODEL_H
#define TESTS_SPACE_MODEL_H

#include "random_ops.h"

extern const struct model space_model;

#endif
