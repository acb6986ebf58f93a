/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parser and the evaluation of items share. */
#ifndef BARKEEP_QUIRK_EXPR_PARTS_H
#define BARKEEP_QUIRK_EXPR_PARTS_H

#include "quirk/expr.h"

enum bk__quirk_op {
	BK__OP_NUMBER,
	BK__OP_AT,
	BK__OP_WRITTEN,
	BK__OP_VARIABLE,
	BK__OP_BYTES, /* of a variable, from `left` on */
	BK__OP_OPTION,
	BK__OP_CAP,
	BK__OP_SIZE,
	BK__OP_PLACE,
	BK__OP_INVERT,
	BK__OP_NOT,
	BK__OP_NEGATE,
	BK__OP_OR_ELSE, /* the right side only if it matters: it may read registers */
	BK__OP_AND_THEN,
	BK__OP_EQUAL,
	BK__OP_UNEQUAL,
	BK__OP_BELOW,
	BK__OP_ABOVE,
	BK__OP_AT_MOST,
	BK__OP_AT_LEAST,
	BK__OP_OR,
	BK__OP_XOR,
	BK__OP_AND,
	BK__OP_LEFT,
	BK__OP_RIGHT,
	BK__OP_ADD,
	BK__OP_SUBTRACT,
	BK__OP_MULTIPLY,
};

#endif
