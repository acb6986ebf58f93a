/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Benchmark of the address space, of traps in it, and of the PCI model. It uses the public interface only,
 * and so can be linked with either library; the shared one is said in the first argument, which is put after
 * each name.
 */
#include <stdlib.h>
#include <string.h>

#include "parts.h"

/*
 * usage: bench_space [SUFFIX]: all but growth, or dispatch only if there is a suffix
 *
 * Parts: --moves N (moves among N regions), --growth N [LEAK] (what N moves leave
 * behind, in a process that did nothing else; with LEAK bytes lost at each), --pci, --kvm, --traps, --quirks,
 * --memory.
 *
 * Under callgrind: --count N [write|edges|nested|many] (N reads of 384 regions,
 * writes, reads over two regions, reads behind a bridge, reads of 100,000
 * regions), --pci move|read|unmask (2000 of it), --traps N (65,536 reads of any
 * of N traps), --mirror (1000 reads of a mirror).
 */
int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--count") == 0) {
		run_space(layout_create(384, LAYOUT_FLAT), strtoull(argv[2], NULL, 0));
		return 0;
	}
	if (argc == 4 && strcmp(argv[1], "--count") == 0) {
		const bool many = strcmp(argv[3], "many") == 0, nested = strcmp(argv[3], "nested") == 0;
		struct layout *layout =
			layout_create(many ? 99999 : 384, nested ? LAYOUT_NESTED : LAYOUT_FLAT);
		const size_t count = strtoull(argv[2], NULL, 0);

		if (many) {
			run_array(layout,
				  LAYOUT_ADDRESSES); /* the caches know the addresses, not the space */
			run_space(layout, count);
		} else if (nested) {
			run_array(layout, LAYOUT_ADDRESSES);
			run_space(layout, count);
		} else if (strcmp(argv[3], "write") == 0) {
			run_write(layout, count);
		} else {
			run_edges(layout, count);
		}
		return 0;
	}
	if (argc == 3 && strcmp(argv[1], "--moves") == 0) {
		commit_moves(strtoull(argv[2], NULL, 0), 0);
		return 0;
	}
	if (argc >= 3 && strcmp(argv[1], "--growth") == 0) {
		memory_growth(strtoull(argv[2], NULL, 0), argc > 3 ? strtoull(argv[3], NULL, 0) : 0);
		return 0;
	}
	if (argc == 2 && strcmp(argv[1], "--pci") == 0) {
		pci_accesses();
		return 0;
	}
	if (argc == 3 && strcmp(argv[1], "--pci") == 0) {
		pci_count(argv[2]);
		return 0;
	}
	if (argc == 2 && strcmp(argv[1], "--kvm") == 0) {
		kvm_moves();
		return 0;
	}
	if (argc == 2 && strcmp(argv[1], "--traps") == 0) {
		trap_costs();
		return 0;
	}
	if (argc == 3 && strcmp(argv[1], "--traps") == 0) {
		trap_count(strtoull(argv[2], NULL, 0));
		return 0;
	}
	if (argc == 2 && strcmp(argv[1], "--mirror") == 0) {
		quirk_mirror_count();
		return 0;
	}
	if (argc == 2 && strcmp(argv[1], "--memory") == 0) {
		memory_per_region();
		return 0;
	}
	if (argc == 2 && strcmp(argv[1], "--quirks") == 0) {
		quirk_load();
		quirk_mirror();
		return 0;
	}
	dispatch_one_reader(argc > 1 ? argv[1] : "");
	if (argc > 1)
		return 0;
	dispatch_many_regions();
	dispatch_two_readers();
	commit_moves(384, 3000);
	commit_moves(10000, 40000);
	commit_batch();
	kvm_moves();
	trap_costs();
	pci_accesses();
	quirk_load();
	quirk_mirror();
	memory_per_region();
	return 0;
}
