/* SPDX-License-Identifier: BSD-2-Clause */
/* What a guest's accesses to config space and to an MSI-X table cost. */
#include <string.h>

#include <barkeep/pci.h>

#include "bench.h"
#include "parts.h"

enum {
	FUNCTIONS = 32,
	MOVED = 5, /* the function whose BAR moves, and that has MSI-X */
	VECTORS = 2048,
	ENTRY = 16, /* bytes of the table */
	ROUND = 10000,
};

#define ECAM   UINT64_C(0xe0000000)
#define WINDOW UINT64_C(0x80000000)
#define TABLE  UINT64_C(0xd0000000) /* the BAR with the table */
#define FREE   UINT64_C(0xc0000000) /* where a BAR goes, and next to it */

struct machine {
	struct bk_domain *domain;
	struct bk_space *memory;
	struct bk_pci_host *host;
	struct bk_pci_function *functions[FUNCTIONS];
	uint64_t messages;
};

static uint64_t sink;

static int answer(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	*value = offset;
	return 0;
}

static int take(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	return 0;
}

static void got_message(void *opaque, const struct bk_pci_message *message)
{
	((struct machine *)opaque)->messages += message->data != 0;
}

static struct bk_space *bar_space(struct machine *m, uint64_t size)
{
	static const struct bk_region_ops ops = { .read = answer, .write = take };
	struct bk_region_desc desc = { .name = "registers", .last = size - 1, .ops = &ops };
	struct bk_space *space = bk_space_create(m->domain, "BAR", size - 1);

	if (!space || bk_region_add(space, &desc, NULL, NULL))
		die("no memory");
	return space;
}

static void config_write(struct machine *m, unsigned f, unsigned offset, unsigned width, uint64_t value)
{
	if (bk_space_write(m->memory, ECAM + (f << 15) + offset, width, value))
		die("a config write failed");
}

static void add_msix(struct machine *m, struct bk_space *space)
{
	struct bk_region_desc table, pba;
	struct bk_update *update = bk_update_begin(m->domain);

	if (bk_pci_msix_add(m->functions[MOVED],
			    &(struct bk_pci_msix_desc){ .offset = 0x40,
							.vectors = VECTORS,
							.table_bar = 1,
							.pba_bar = 1,
							.pba_offset = VECTORS * ENTRY }) != 0x40 ||
	    bk_pci_msix_regions(m->functions[MOVED], &table, &pba))
		die("no MSI-X");
	table.priority = pba.priority = 1;
	pba.rank = 1;
	bk_update_add(update, space, &table, NULL);
	bk_update_add(update, space, &pba, NULL);
	if (bk_update_commit(update, NULL))
		die("no memory");
}

/* 32 functions of three BARs on the root bus, all of them decoding. */
static struct machine *create(void)
{
	static struct machine machine, *m = &machine;
	struct bk_pci_window window;
	struct bk_pci_host_desc desc = { .windows = &window, .window_count = 1, .bus_last = 255 };

	memset(m, 0, sizeof(*m));
	m->domain = bk_domain_create();
	m->memory = m->domain ? bk_space_create(m->domain, "memory", UINT64_MAX) : NULL;
	if (!m->memory)
		die("no memory");
	desc.domain = m->domain;
	window = (struct bk_pci_window){
		BK_PCI_WINDOW_MEMORY, m->memory, WINDOW, ECAM - 1, WINDOW, 0,
	};
	desc.ecam = m->memory;
	desc.ecam_first = ECAM;
	desc.msi = got_message;
	desc.opaque = m;
	if (bk_pci_host_create(&desc, &m->host, NULL))
		die("no host bridge");
	for (unsigned f = 0; f < FUNCTIONS; f++) {
		struct bk_pci_function_desc function = { .vendor = 0x1b36, .device = (uint16_t)f };

		for (unsigned i = 0; i < 3; i++) {
			struct bk_pci_bar *bar = &function.bars[i];

			bar->kind = BK_PCI_BAR_MEM32;
			bar->size = i == 1 ? 0x10000 : 0x1000;
			bar->space = bar_space(m, bar->size);
		}
		if (bk_pci_function_create(m->domain, &function, &m->functions[f], NULL))
			die("no function");
		if (f == MOVED)
			add_msix(m, function.bars[1].space);
		if (bk_pci_function_attach(m->functions[f], bk_pci_host_bus(m->host), (uint8_t)(f << 3)))
			die("no slot");
		for (unsigned i = 0; i < 3; i++)
			config_write(m, f, 0x10 + 4 * i, 4, WINDOW + f * 0x100000 + i * 0x10000);
		config_write(m, f, 0x14, 4, f == MOVED ? TABLE : WINDOW + f * 0x100000 + 0x40000);
		config_write(m, f, 4, 2, 6);
	}
	config_write(m, MOVED, 0x42, 2, 0x8000);
	for (unsigned i = 0; i < VECTORS; i++)
		if (bk_space_write(m->memory, TABLE + i * ENTRY, 8, 0xfee00000) ||
		    bk_space_write(m->memory, TABLE + i * ENTRY + 8, 4, 0x40))
			die("no table");
	return m;
}

static void destroy(struct machine *m)
{
	for (unsigned f = 0; f < FUNCTIONS; f++) {
		bk_pci_function_detach(m->functions[f]);
		if (bk_pci_function_destroy(m->functions[f]))
			die("a function is still there");
	}
	if (bk_pci_host_destroy(m->host))
		die("the host bridge is still there");
}

/* ---- Kernels: each is what instructions are counted of -------------------- */

__attribute__((noinline)) void run_pci_move(void *opaque, size_t count)
{
	for (size_t i = 0; i < count; i++)
		config_write(opaque, MOVED, 0x10, 4, FREE + (i & 1) * 0x1000);
}

__attribute__((noinline)) void run_pci_read(void *opaque, size_t count)
{
	struct machine *m = opaque;
	uint64_t sum = 0, value;

	for (size_t i = 0; i < count; i++) {
		if (bk_space_read(m->memory, ECAM + (i % FUNCTIONS << 15), 4, &value))
			die("a config read failed");
		sum += value;
	}
	sink += sum;
}

/* All vectors are masked, and have fired. */
static void make_pending(struct machine *m)
{
	for (unsigned i = 0; i < VECTORS; i++)
		if (bk_space_write(m->memory, TABLE + i * ENTRY + 12, 4, 1) ||
		    bk_pci_function_send_msi(m->functions[MOVED], i))
			die("a vector did not fire");
}

__attribute__((noinline)) void run_pci_unmask(void *opaque, size_t count)
{
	struct machine *m = opaque;

	for (size_t i = 0; i < count; i++)
		if (bk_space_write(m->memory, TABLE + i * ENTRY + 12, 4, 0))
			die("a vector was not unmasked");
}

/* ---- Figures ------------------------------------------------------------- */

static void print(const char *name, double *rounds)
{
	double ns = bench_quantile(rounds, BENCH_ROUNDS, 0.5);

	bench_print(name, "ns", ns, rounds[0], rounds[BENCH_ROUNDS - 1]);
}

/* CPU time of the process for one, that of reclaim included. */
static double once(void (*run)(void *opaque, size_t count), struct machine *m, size_t count)
{
	double start = bench_now(BENCH_PROCESS_CPU);

	run(m, count);
	return (bench_now(BENCH_PROCESS_CPU) - start) / (double)count;
}

void pci_accesses(void)
{
	struct machine *m = create();
	double move[BENCH_ROUNDS], read[BENCH_ROUNDS], unmask[BENCH_ROUNDS];

	bench_pin(1);
	for (int round = -1; round < BENCH_ROUNDS; round++) { /* one to warm up */
		double ns[3];

		ns[0] = once(run_pci_move, m, ROUND);
		ns[1] = once(run_pci_read, m, ROUND * 10);
		make_pending(m);
		ns[2] = once(run_pci_unmask, m, VECTORS);
		if (round < 0)
			continue;
		move[round] = ns[0];
		read[round] = ns[1];
		unmask[round] = ns[2];
	}
	if (m->messages != (BENCH_ROUNDS + 1) * VECTORS)
		die("an interrupt was lost");
	print("pci/config-write-move", move);
	print("pci/ecam-read", read);
	print("pci/msix-unmask", unmask);
	destroy(m);
}

void pci_count(const char *what)
{
	struct machine *m = create();

	if (strcmp(what, "move") == 0)
		run_pci_move(m, PCI_COUNT);
	else if (strcmp(what, "read") == 0)
		run_pci_read(m, PCI_COUNT);
	else {
		make_pending(m);
		run_pci_unmask(m, PCI_COUNT);
	}
	destroy(m);
}
