/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of the benchmark. Each prints its figures. */
#ifndef BENCH_PARTS_H
#define BENCH_PARTS_H

#include <stddef.h>

#include "layout.h"

/* dispatch.c */
void run_space(void *layout, size_t count); /* reads `count` addresses of it */
void run_write(void *layout, size_t count); /* writes them */
void run_array(void *layout, size_t count); /* reads them from the sorted array */
void run_edges(void *layout, size_t count); /* reads 8 bytes over the edge of two regions */
/* `suffix` is put after each name. */
void dispatch_one_reader(const char *suffix);
void dispatch_many_regions(void);
void dispatch_two_readers(void);

/* commit.c; `target` is the mean in ns, or 0 */
void commit_moves(size_t count, double target);
void commit_batch(void);

/* pci.c */
enum { PCI_COUNT = 2000 }; /* as bench/run says, too */
void run_pci_move(void *machine, size_t count);
void run_pci_read(void *machine, size_t count);
void run_pci_unmask(void *machine, size_t count);
void pci_accesses(void);
void pci_count(const char *what); /* PCI_COUNT of them: "move", "read" or "unmask" */

/* kvm.c */
void kvm_moves(void);

/* trap.c */
void run_traps(void *trapped, size_t count); /* reads any of the traps */
void trap_costs(void);
void trap_count(size_t traps); /* LAYOUT_ADDRESSES reads of so many, after as many that only warm up */

/* quirk.c */
void quirk_load(void);
void quirk_mirror(void);
enum { MIRROR_COUNT = 1000 }; /* as bench/run says, too */
void run_mirror(void *mirrored, size_t count);
void quirk_mirror_count(void);

/* memory.c */
void memory_per_region(void);
void memory_growth(size_t moves,
		   size_t leak); /* with so many bytes lost at each move, to see that they show */

#endif
