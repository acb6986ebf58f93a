/* SPDX-License-Identifier: BSD-2-Clause */
/* Parses numbers in the one form that all options and files use: decimal or 0x. */
#ifndef BARKEEP_BASE_NUMBER_H
#define BARKEEP_BASE_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The number that is all of `text`: decimal, or hexadecimal behind 0x. False
 * for anything else, for more than 64 bits, and for a leading zero: 010 is
 * eight for some and ten for others.
 */
bool bk__base_number(const char *text, uint64_t *value);

/* The number at the start of `text`; returns what follows it, or NULL if there is none or one as above. */
const char *bk__base_number_take(const char *text, uint64_t *value);

/* As bk__base_number, with K, M, G or T (powers of 1024) behind it if you like. */
bool bk__base_size(const char *text, uint64_t *bytes);

#endif
