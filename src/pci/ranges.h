/* SPDX-License-Identifier: BSD-2-Clause */
/* A set of addresses, as sorted ranges that do not touch. It holds the free space from which addresses
 * are assigned. */
#ifndef BARKEEP_PCI_RANGES_H
#define BARKEEP_PCI_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bk__pci_free_range {
	uint64_t first, last;
};

/* Zero-initialise it. An array as of base/array.h. */
struct bk__pci_ranges {
	struct bk__pci_free_range *at;
	size_t count, capacity;
};

void bk__pci_ranges_free(struct bk__pci_ranges *ranges);

/* 0 or -ENOMEM (nothing changed). */
int bk__pci_ranges_add(struct bk__pci_ranges *ranges, uint64_t first, uint64_t last);
int bk__pci_ranges_remove(struct bk__pci_ranges *ranges, uint64_t first, uint64_t last);

/*
 * The lowest place of `size` bytes in [least, most] at a multiple of `align`
 * (a power of two). Does not remove it. False if there is none.
 */
bool bk__pci_ranges_find(const struct bk__pci_ranges *ranges, uint64_t size, uint64_t align, uint64_t least,
			 uint64_t most, uint64_t *first);

/* The longest stretch in [least, most], in bytes (all of 2^64 counts as one less). */
uint64_t bk__pci_ranges_longest(const struct bk__pci_ranges *ranges, uint64_t least, uint64_t most);

#endif
